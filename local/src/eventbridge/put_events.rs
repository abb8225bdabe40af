//! `PutEvents`: each entry is taken or refused by itself.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::EventBridge;
use super::envelope::Draft;
use super::operations::{check_bus_name, check_length, required};
use super::rules::invalid;
use crate::error::Answer;

/// The most entries of one `PutEvents`, as on AWS.
const MOST_ENTRIES: usize = 10;

/// The most bytes that the entries of one `PutEvents` may have together, as AWS counts them.
const LARGEST_REQUEST: usize = 256 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct PutEvents {
    entries: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Entry {
    /// Seconds since 1970, as the protocol has it.
    time: Option<f64>,
    source: Option<String>,
    #[serde(default)]
    resources: Vec<String>,
    detail_type: Option<String>,
    detail: Option<String>,
    event_bus_name: Option<String>,
    trace_header: Option<String>,
}

/// Why an entry of `PutEvents` was not put on the bus.
struct Refused {
    code: &'static str,
    message: String,
}

impl EventBridge {
    pub(super) fn put_events(&self, input: PutEvents) -> Answer<Value> {
        let entries = required(input.entries, "entries")?;
        if !(1..=MOST_ENTRIES).contains(&entries.len()) {
            return Err(invalid(format!(
                "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length from 1 to {MOST_ENTRIES}, not {}",
                entries.len()
            )));
        }
        entries.iter().try_for_each(Entry::check)?;
        let size: usize = entries.iter().map(Entry::size).sum();
        if size > LARGEST_REQUEST {
            return Err(invalid(format!(
                "Total size of the entries in the request is over the limit. Reason: they have {size} bytes, {LARGEST_REQUEST} are allowed."
            )));
        }
        let results: Vec<Result<String, Refused>> = entries.into_iter().map(|entry| self.put_entry(entry)).collect();
        let failed = results.iter().filter(|result| result.is_err()).count();
        let shown: Vec<Value> = results
            .into_iter()
            .map(|result| match result {
                Ok(id) => json!({ "EventId": id }),
                Err(refused) => json!({ "ErrorCode": refused.code, "ErrorMessage": refused.message }),
            })
            .collect();
        Ok(json!({ "FailedEntryCount": failed, "Entries": shown }))
    }

    fn put_entry(&self, entry: Entry) -> Result<String, Refused> {
        let argument = |message: String| Refused { code: "InvalidArgument", message };
        let wanted = |value: Option<String>, name: &str| {
            value.filter(|value| !value.is_empty()).ok_or_else(|| {
                argument(format!("Parameter {name} is not valid. Reason: {name} is a required argument."))
            })
        };
        if let Some(bus) = entry.event_bus_name.filter(|bus| !self.is_default_bus(bus)) {
            return Err(argument(format!(
                "Parameter EventBusName is not valid. Reason: the local cloud has the default bus only, not {bus}."
            )));
        }
        let source = wanted(entry.source, "Source")?;
        let detail_type = wanted(entry.detail_type, "DetailType")?;
        let detail = wanted(entry.detail, "Detail")?;
        if source.starts_with("aws.") {
            return Err(Refused {
                code: "NotAuthorizedForSourceException",
                message: "Not authorized for the source.".to_owned(),
            });
        }
        if detail_type.chars().count() > 128 {
            return Err(argument(
                "Parameter DetailType is not valid. Reason: it is longer than 128 characters.".to_owned(),
            ));
        }
        if entry.trace_header.as_ref().is_some_and(|header| !(1..=500).contains(&header.len())) {
            return Err(argument("Parameter TraceHeader is not valid. Reason: it has 1 to 500 characters.".to_owned()));
        }
        let detail: Value = serde_json::from_str(&detail)
            .ok()
            .filter(Value::is_object)
            .ok_or_else(|| Refused { code: "MalformedDetail", message: "Detail is malformed.".to_owned() })?;
        let time = match entry.time {
            None => self.world.now(),
            // Events have no fractions of a second.
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a float too large becomes the largest integer, which is no time"
            )]
            Some(seconds) => Timestamp::from_second(seconds as i64)
                .map_err(|_| argument("Parameter Time is not valid. Reason: it is no time.".to_owned()))?,
        };
        Ok(self.put(Draft {
            source: &source,
            detail_type: &detail_type,
            resources: entry.resources,
            time,
            detail,
            trace_header: entry.trace_header,
        }))
    }
}

impl Entry {
    /// What the model says of an entry: anything else that is wrong with one fails that entry alone.
    fn check(&self) -> Answer<()> {
        self.resources.iter().try_for_each(|resource| check_length("entries.member.resources", resource, 2048))?;
        self.event_bus_name.as_deref().map_or(Ok(()), |bus| check_bus_name("entries.member.eventBusName", bus, 1600))
    }

    /// What AWS counts: 14 bytes for a time, and the length of every text.
    fn size(&self) -> usize {
        let texts = [&self.source, &self.detail_type, &self.detail];
        let texts = texts.into_iter().flatten().chain(&self.resources);
        self.time.map_or(0, |_| 14) + texts.map(String::len).sum::<usize>()
    }
}
