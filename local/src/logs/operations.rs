//! The operations of CloudWatch Logs that the local cloud offers.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::pattern::Pattern;
use super::{Group, LogEvent, Logs, Stream, no_group, no_stream, read_events, write_events};
use crate::error::{Answer, ServiceError};
use crate::paging::{Listing, Order};

/// The operations that are offered here.
pub const OPERATIONS: &[&str] = &[
    "CreateLogGroup",
    "CreateLogStream",
    "DeleteLogGroup",
    "DescribeLogGroups",
    "DescribeLogStreams",
    "FilterLogEvents",
    "GetLogEvents",
    "PutLogEvents",
];

/// The documented largest (and default) page of the describing operations.
const DESCRIBE_PAGE: usize = 50;
/// The documented most events of one answer.
const MOST_EVENTS: usize = 10_000;
/// The documented largest answer and the largest batch, in bytes, each event counted with 26 bytes beside its text.
const LARGEST_BATCH: usize = 1_048_576;
const EVENT_OVERHEAD: usize = 26;
const HOUR_MS: i64 = 3_600_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DeleteLogGroup {
    log_group_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateLogGroup {
    log_group_name: String,
    /// Nothing that is offered shows tags.
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateLogStream {
    log_group_name: String,
    log_stream_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PutLogEvents {
    log_group_name: String,
    log_stream_name: String,
    log_events: Vec<InputEvent>,
    /// AWS ignores it since 2023 as well.
    sequence_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct InputEvent {
    timestamp: i64,
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DescribeLogGroups {
    log_group_name_prefix: Option<String>,
    log_group_name_pattern: Option<String>,
    next_token: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DescribeLogStreams {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name_prefix: Option<String>,
    order_by: Option<StreamOrder>,
    #[serde(default)]
    descending: bool,
    next_token: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
enum StreamOrder {
    LogStreamName,
    LastEventTime,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GetLogEvents {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name: String,
    start_time: Option<i64>,
    end_time: Option<i64>,
    next_token: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    start_from_head: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FilterLogEvents {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_names: Option<Vec<String>>,
    log_stream_name_prefix: Option<String>,
    start_time: Option<i64>,
    end_time: Option<i64>,
    #[serde(default)]
    filter_pattern: String,
    next_token: Option<String>,
    limit: Option<usize>,
    /// Without meaning on AWS since 2019: answers are always interleaved.
    #[serde(default, rename = "interleaved")]
    _interleaved: bool,
}

fn invalid(message: impl Into<String>) -> ServiceError {
    ServiceError::bad("InvalidParameterException", message)
}

fn input<T: DeserializeOwned>(value: Value) -> Answer<T> {
    crate::input::read(value, "InvalidParameterException")
}

fn check_length(member: &str, text: Option<&str>, lengths: std::ops::RangeInclusive<usize>) -> Answer<()> {
    crate::input::check_length("InvalidParameterException", member, text, lengths)
}

/// A time in milliseconds since 1970; there is none before.
fn check_time(member: &str, time: Option<i64>) -> Answer<()> {
    match time {
        Some(time) if time < 0 => Err(invalid(format!(
            "1 validation error detected: Value '{time}' at '{member}' failed to satisfy constraint: Member must have value greater than or equal to 0"
        ))),
        _ => Ok(()),
    }
}

fn is_group_name(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || "._-/#".contains(c))
}

impl Logs {
    /// Answers one operation of the JSON protocol.
    ///
    /// # Errors
    /// AWS's codes.
    pub async fn call(&self, operation: &str, value: Value) -> Answer<Value> {
        match operation {
            "CreateLogGroup" => self.create_log_group(&input(value)?),
            "DeleteLogGroup" => self.delete_log_group(&input(value)?),
            "CreateLogStream" => self.create_log_stream(&input(value)?),
            "PutLogEvents" => self.put_log_events(input(value)?),
            "DescribeLogGroups" => self.describe_log_groups(&input(value)?),
            "DescribeLogStreams" => self.describe_log_streams(&input(value)?),
            "GetLogEvents" => self.get_log_events(&input(value)?),
            "FilterLogEvents" => self.filter_log_events(&input(value)?),
            _ => Err(ServiceError::unknown_operation("logs", operation)),
        }
    }

    fn create_log_group(&self, input: &CreateLogGroup) -> Answer<Value> {
        let name = &input.log_group_name;
        for (key, value) in &input.tags {
            check_length("tags", Some(key), 1..=128)?;
            check_length("tags", Some(value), 0..=256)?;
            let allowed = |c: char| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c);
            if !key.chars().chain(value.chars()).all(allowed) {
                return Err(invalid(format!("the tag {key:?} may hold letters, digits, spaces and _.:/=+-@ only")));
            }
        }
        if name.is_empty() || name.len() > 512 || !is_group_name(name) {
            return Err(invalid(format!(
                "logGroupName {name:?} is not 1 to 512 of letters, digits, '.', '_', '-', '/' and '#'"
            )));
        }
        self.with_groups(|groups| {
            if groups.contains_key(name) {
                return Err(ServiceError::bad(
                    "ResourceAlreadyExistsException",
                    "The specified log group already exists",
                ));
            }
            groups.insert(name.clone(), self.make_group(name)?);
            Ok(json!({}))
        })
    }

    fn delete_log_group(&self, input: &DeleteLogGroup) -> Answer<Value> {
        self.with_groups(|groups| {
            let group = groups.remove(&input.log_group_name).ok_or_else(no_group)?;
            match std::fs::remove_dir_all(&group.folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    let failed = ServiceError::internal(format!("cannot remove {}: {error}", group.folder.display()));
                    groups.insert(input.log_group_name.clone(), group);
                    Err(failed)
                }
                _ => Ok(json!({})),
            }
        })
    }

    fn create_log_stream(&self, input: &CreateLogStream) -> Answer<Value> {
        let name = &input.log_stream_name;
        if name.is_empty() || name.chars().count() > 512 || name.contains([':', '*']) {
            return Err(invalid(format!("logStreamName {name:?} is not 1 to 512 characters without ':' and '*'")));
        }
        self.with_groups(|groups| {
            let group = groups.get_mut(&input.log_group_name).ok_or_else(no_group)?;
            if group.streams.contains_key(name) {
                return Err(ServiceError::bad(
                    "ResourceAlreadyExistsException",
                    "The specified log stream already exists",
                ));
            }
            let stream = self.make_stream(&group.folder, name)?;
            group.streams.insert(name.clone(), stream);
            Ok(json!({}))
        })
    }

    fn put_log_events(&self, input: PutLogEvents) -> Answer<Value> {
        check_length("sequenceToken", input.sequence_token.as_deref(), 1..=usize::MAX)?;
        let events = &input.log_events;
        events.iter().try_for_each(|event| check_time("logEvents.timestamp", Some(event.timestamp)))?;
        let bytes: usize = events.iter().map(|event| event.message.len() + EVENT_OVERHEAD).sum();
        if events.is_empty() || events.len() > MOST_EVENTS || bytes > LARGEST_BATCH {
            return Err(invalid(format!(
                "a batch has 1 to {MOST_EVENTS} log events of together at most {LARGEST_BATCH} bytes; this one has {} of {bytes}",
                events.len()
            )));
        }
        if events.iter().any(|event| event.message.is_empty()) {
            return Err(invalid("a log event's message must not be empty"));
        }
        if !events.is_sorted_by_key(|event| event.timestamp) {
            return Err(invalid("Log events in a single PutLogEvents request must be in chronological order."));
        }
        let now = self.world.now().as_millisecond();
        let too_old = events.partition_point(|event| event.timestamp < now - 14 * 24 * HOUR_MS);
        let too_new = events.partition_point(|event| event.timestamp <= now + 2 * HOUR_MS);
        let all = events.len();
        let taken: Vec<LogEvent> = input
            .log_events
            .into_iter()
            .take(too_new)
            .skip(too_old)
            .map(|event| LogEvent { timestamp: event.timestamp, ingested: now, message: event.message })
            .collect();
        self.with_groups(|groups| {
            let group = groups.get_mut(&input.log_group_name).ok_or_else(no_group)?;
            let stream = group.streams.get_mut(&input.log_stream_name).ok_or_else(no_stream)?;
            write_events(stream, &taken)
        })?;
        for event in &taken {
            self.tell_followers(&input.log_group_name, &input.log_stream_name, &event.message);
        }
        let mut rejected = serde_json::Map::new();
        if too_old > 0 {
            rejected.insert("tooOldLogEventEndIndex".to_owned(), json!(too_old));
        }
        if too_new < all {
            rejected.insert("tooNewLogEventStartIndex".to_owned(), json!(too_new));
        }
        let mut answer = json!({ "nextSequenceToken": now.to_string() });
        if !rejected.is_empty()
            && let Some(answer) = answer.as_object_mut()
        {
            answer.insert("rejectedLogEventsInfo".to_owned(), Value::Object(rejected));
        }
        Ok(answer)
    }

    fn describe_log_groups(&self, input: &DescribeLogGroups) -> Answer<Value> {
        if input.log_group_name_prefix.is_some() && input.log_group_name_pattern.is_some() {
            return Err(invalid("logGroupNamePrefix and logGroupNamePattern exclude each other"));
        }
        for (member, text) in [
            ("logGroupNamePrefix", input.log_group_name_prefix.as_deref()),
            ("logGroupNamePattern", input.log_group_name_pattern.as_deref()),
        ] {
            check_length(member, text, usize::from(member == "logGroupNamePrefix")..=512)?;
            if text.is_some_and(|text| !is_group_name(text)) {
                return Err(invalid(format!("{member} holds what no log group's name can hold")));
            }
        }
        let limit = describe_limit(input.limit)?;
        let filters = format!("{:?} {:?}", input.log_group_name_prefix, input.log_group_name_pattern);
        let listing = self.world.listing("logs:DescribeLogGroups", &[&filters]);
        self.with_groups(|groups| {
            let found = groups
                .iter()
                .filter(|(name, _)| input.log_group_name_prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix)))
                .filter(|(name, _)| {
                    input.log_group_name_pattern.as_ref().is_none_or(|part| name.contains(part.as_str()))
                })
                .map(|(name, group)| (name.clone(), self.group_json(name, group)));
            let (page, next) =
                listing.page(found, Order::Ascending, limit, input.next_token.as_deref()).map_err(|_| bad_token())?;
            Ok(with_next(json!({ "logGroups": page }), next))
        })
    }

    fn describe_log_streams(&self, input: &DescribeLogStreams) -> Answer<Value> {
        let group_name = group_name(input.log_group_name.as_deref(), input.log_group_identifier.as_deref())?;
        let limit = describe_limit(input.limit)?;
        check_length("logStreamNamePrefix", input.log_stream_name_prefix.as_deref(), 1..=512)?;
        let by_time = input.order_by == Some(StreamOrder::LastEventTime);
        if by_time && input.log_stream_name_prefix.is_some() {
            return Err(invalid("orderBy LastEventTime and logStreamNamePrefix exclude each other"));
        }
        self.with_groups(|groups| {
            let group = groups.get(group_name).ok_or_else(no_group)?;
            let key = |name: &str, stream: &Stream| {
                if by_time { format!("{:020} {name}", stream.last.unwrap_or_default()) } else { name.to_owned() }
            };
            let mut streams: Vec<(String, Value)> = group
                .streams
                .iter()
                .filter(|(name, _)| input.log_stream_name_prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix)))
                .map(|(name, stream)| (key(name, stream), self.stream_json(group_name, name, stream)))
                .collect();
            streams.sort_by(|(one, _), (other, _)| one.cmp(other));
            let order = if input.descending { Order::Descending } else { Order::Ascending };
            if order == Order::Descending {
                streams.reverse();
            }
            let filters = format!("{:?} {by_time} {order:?}", input.log_stream_name_prefix);
            let listing = self.world.listing("logs:DescribeLogStreams", &[group_name, &filters]);
            let (page, next) =
                listing.page(streams, order, limit, input.next_token.as_deref()).map_err(|_| bad_token())?;
            Ok(with_next(json!({ "logStreams": page }), next))
        })
    }

    fn get_log_events(&self, input: &GetLogEvents) -> Answer<Value> {
        let group = group_name(input.log_group_name.as_deref(), input.log_group_identifier.as_deref())?;
        check_time("startTime", input.start_time)?;
        check_time("endTime", input.end_time)?;
        let limit = self.world.page_size(event_limit(input.limit)?);
        // A token is a place in the stream: the times that are asked for may change from page to page, as on AWS.
        let listing = self.world.listing("logs:GetLogEvents", &[group, &input.log_stream_name]);
        let events = self.stream_events(group, &input.log_stream_name)?;
        let first = events.partition_point(|event| input.start_time.is_some_and(|start| event.timestamp < start));
        let behind = events.partition_point(|event| input.end_time.is_none_or(|end| event.timestamp < end)).max(first);
        let place = match input.next_token.as_deref() {
            Some(token) => Place::read(&listing, token, &events)?.within(first, behind),
            None if input.start_from_head => Place::Forward(first),
            None => Place::Backward(behind),
        };
        let (from, to) = match place {
            Place::Forward(from) => {
                let waiting = events.get(from..behind).unwrap_or_default();
                (from, from + fitting(waiting.iter(), limit))
            }
            Place::Backward(to) => {
                let before = events.get(first..to).unwrap_or_default();
                (to - fitting(before.iter().rev(), limit), to)
            }
        };
        let shown: Vec<Value> = events
            .get(from..to)
            .unwrap_or_default()
            .iter()
            .map(|event| {
                json!({ "timestamp": event.timestamp, "message": event.message, "ingestionTime": event.ingested })
            })
            .collect();
        Ok(json!({
            "events": shown,
            "nextForwardToken": Place::Forward(to).token(&listing, &events),
            "nextBackwardToken": Place::Backward(from).token(&listing, &events),
        }))
    }

    fn filter_log_events(&self, input: &FilterLogEvents) -> Answer<Value> {
        let group = group_name(input.log_group_name.as_deref(), input.log_group_identifier.as_deref())?;
        let limit = event_limit(input.limit)?;
        check_time("startTime", input.start_time)?;
        check_time("endTime", input.end_time)?;
        check_length("logStreamNamePrefix", input.log_stream_name_prefix.as_deref(), 1..=512)?;
        check_length("filterPattern", Some(&input.filter_pattern), 0..=1024)?;
        if input.log_stream_names.as_ref().is_some_and(|names| !(1..=100).contains(&names.len())) {
            return Err(invalid("logStreamNames must be 1 to 100"));
        }
        let stream_names = input.log_stream_names.as_deref().unwrap_or_default();
        let pattern = Pattern::parse(&input.filter_pattern)?;
        if !stream_names.is_empty() && input.log_stream_name_prefix.is_some() {
            return Err(invalid("logStreamNames and logStreamNamePrefix exclude each other"));
        }
        let names: Vec<String> = self.with_groups(|groups| {
            let streams = &groups.get(group).ok_or_else(no_group)?.streams;
            if let Some(missing) = stream_names.iter().find(|name| !streams.contains_key(*name)) {
                tracing::debug!(stream = missing, "no such stream");
                return Err(no_stream());
            }
            Ok(streams
                .keys()
                .filter(|name| stream_names.is_empty() || stream_names.contains(name))
                .filter(|name| input.log_stream_name_prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix)))
                .cloned()
                .collect())
        })?;
        let mut found = Vec::new();
        for stream in names {
            for (index, event) in self.stream_events(group, &stream)?.into_iter().enumerate() {
                let in_time = input.start_time.is_none_or(|start| event.timestamp >= start)
                    && input.end_time.is_none_or(|end| event.timestamp <= end);
                if in_time && pattern.matches(&event.message) {
                    let id = format!("{}{index:010}", super::file_name(&stream));
                    found.push((format!("{:020} {stream} {index:010}", event.timestamp), (stream.clone(), id, event)));
                }
            }
        }
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        let filters = format!(
            "{:?} {:?} {:?} {:?} {}",
            input.log_stream_names,
            input.log_stream_name_prefix,
            input.start_time,
            input.end_time,
            input.filter_pattern
        );
        let listing = self.world.listing("logs:FilterLogEvents", &[group, &filters]);
        let rest = listing.rest(found, Order::Ascending, input.next_token.as_deref()).map_err(|_| bad_token())?;
        let count = fitting(rest.iter().map(|(_, (_, _, event))| event), limit);
        let (page, next) = listing.cut(rest, count);
        let shown: Vec<Value> = page
            .into_iter()
            .map(|(stream, id, event)| {
                json!({
                    "logStreamName": stream,
                    "timestamp": event.timestamp,
                    "message": event.message,
                    "ingestionTime": event.ingested,
                    "eventId": id,
                })
            })
            .collect();
        Ok(with_next(json!({ "events": shown, "searchedLogStreams": [] }), next))
    }

    fn stream_events(&self, group: &str, stream: &str) -> Answer<Vec<LogEvent>> {
        let file = self.with_groups(|groups| {
            let group = groups.get(group).ok_or_else(no_group)?;
            group.streams.get(stream).map(|stream| stream.file.clone()).ok_or_else(no_stream)
        })?;
        Ok(read_events(&file))
    }

    fn group_json(&self, name: &str, group: &Group) -> Value {
        let arn = self.world.arn("logs", &format!("log-group:{name}"));
        json!({
            "logGroupName": name,
            "creationTime": group.created,
            "metricFilterCount": 0,
            "arn": format!("{arn}:*"),
            "logGroupArn": arn,
            "logGroupClass": "STANDARD",
            "storedBytes": group.streams.values().map(|stream| stream.bytes).sum::<u64>(),
        })
    }

    fn stream_json(&self, group: &str, name: &str, stream: &Stream) -> Value {
        let mut shown = json!({
            "logStreamName": name,
            "creationTime": stream.created,
            "arn": self.world.arn("logs", &format!("log-group:{group}:log-stream:{name}")),
            "storedBytes": 0,
        });
        let times = [
            ("firstEventTimestamp", stream.first),
            ("lastEventTimestamp", stream.last),
            ("lastIngestionTime", stream.last_ingestion),
        ];
        if let Some(shown) = shown.as_object_mut() {
            for (key, time) in times {
                if let Some(time) = time {
                    shown.insert(key.to_owned(), json!(time));
                }
            }
        }
        shown
    }
}

/// Where a reader stands in a stream: before an event, looking one way.
#[derive(Clone, Copy)]
enum Place {
    Forward(usize),
    Backward(usize),
}

impl Place {
    /// A token of AWS's shape: the way, then 56 digits. Ours say behind which moment, behind how many events of it, and
    /// that it was us who said so: an event that is put late, with an older time, moves no reader.
    fn token(self, listing: &Listing<'_>, events: &[LogEvent]) -> String {
        let (way, at) = match self {
            Self::Forward(at) => ("f", at),
            Self::Backward(at) => ("b", at),
        };
        // Backwards it is the event that was shown last that stays where it is, forwards the one before the place.
        let anchor = match self {
            Self::Backward(at) if at < events.len() => Some(at),
            _ => at.checked_sub(1),
        };
        let moment = anchor.and_then(|at| events.get(at)).map_or(0, |event| event.timestamp);
        let nth = at - events.partition_point(|event| event.timestamp < moment);
        let place = format!("{way}/{moment:016}{nth:020}");
        format!("{place}{:020}/s", listing.number(&place))
    }

    fn read(listing: &Listing<'_>, token: &str, events: &[LogEvent]) -> Answer<Self> {
        let (place, seal) =
            token.strip_suffix("/s").and_then(|token| token.split_at_checked(38)).ok_or_else(bad_token)?;
        if seal != format!("{:020}", listing.number(place)) {
            return Err(bad_token());
        }
        let (way, digits) = place.split_once('/').ok_or_else(bad_token)?;
        let (moment, nth) = digits.split_at_checked(16).ok_or_else(bad_token)?;
        let moment: i64 = moment.parse().map_err(|_| bad_token())?;
        let nth: usize = nth.parse().map_err(|_| bad_token())?;
        let at = events.partition_point(|event| event.timestamp < moment) + nth;
        Ok(if way == "f" { Self::Forward(at) } else { Self::Backward(at) })
    }

    fn within(self, first: usize, behind: usize) -> Self {
        match self {
            Self::Forward(at) => Self::Forward(at.clamp(first, behind)),
            Self::Backward(at) => Self::Backward(at.clamp(first, behind)),
        }
    }
}

fn bad_token() -> ServiceError {
    invalid("The specified nextToken is invalid.")
}

fn describe_limit(asked: Option<usize>) -> Answer<usize> {
    match asked {
        Some(limit) if !(1..=DESCRIBE_PAGE).contains(&limit) => {
            Err(invalid(format!("limit {limit} is not 1 to {DESCRIBE_PAGE}")))
        }
        asked => Ok(asked.unwrap_or(DESCRIBE_PAGE)),
    }
}

fn event_limit(asked: Option<usize>) -> Answer<usize> {
    match asked {
        Some(limit) if !(1..=MOST_EVENTS).contains(&limit) => {
            Err(invalid(format!("limit {limit} is not 1 to {MOST_EVENTS}")))
        }
        asked => Ok(asked.unwrap_or(MOST_EVENTS)),
    }
}

/// How many events from the front fit into one answer; at least one, or a large one would block the way.
fn fitting<'a>(events: impl Iterator<Item = &'a LogEvent>, limit: usize) -> usize {
    let mut bytes = 0;
    events
        .take(limit)
        .enumerate()
        .take_while(|(index, event)| {
            bytes += event.message.len() + EVENT_OVERHEAD;
            *index == 0 || bytes <= LARGEST_BATCH
        })
        .count()
}

fn with_next(mut answer: Value, next: Option<String>) -> Value {
    if let (Some(answer), Some(next)) = (answer.as_object_mut(), next) {
        answer.insert("nextToken".to_owned(), Value::String(next));
    }
    answer
}

/// The group by name, or by an identifier that may be its ARN.
fn group_name<'a>(name: Option<&'a str>, identifier: Option<&'a str>) -> Answer<&'a str> {
    match (name, identifier) {
        (Some(name), None) => Ok(name),
        (None, Some(arn)) => Ok(arn.split_once(":log-group:").map_or(arn, |(_, name)| name.trim_end_matches(":*"))),
        _ => Err(invalid("give either logGroupName or logGroupIdentifier")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::world::World;

    fn logs(dir: &std::path::Path) -> Logs {
        Logs::open(&Arc::new(World::new(dir.to_owned(), "eu-west-1", 1))).unwrap()
    }

    async fn messages(logs: &Logs, input: Value) -> (Vec<String>, String, String) {
        let answer = logs.call("GetLogEvents", input).await.unwrap();
        let text = |key: &str| answer[key].as_str().unwrap().to_owned();
        let events = answer["events"].as_array().unwrap();
        let messages = events.iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect();
        (messages, text("nextForwardToken"), text("nextBackwardToken"))
    }

    #[tokio::test]
    async fn a_stream_is_read_forward_and_backward_and_its_end_gives_the_same_token_again() {
        let dir = tempfile::tempdir().unwrap();
        let logs = logs(dir.path());
        for number in 0..5 {
            logs.append("g", "s", logs.world.now(), &format!("line {number}"));
        }
        let ask = |more: Value| {
            let mut input = json!({ "logGroupName": "g", "logStreamName": "s", "limit": 2 });
            input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            input
        };
        let (latest, forward, back) = messages(&logs, ask(json!({}))).await;
        assert_eq!(latest, ["line 3", "line 4"], "without startFromHead the latest come");
        let (before, _, _) = messages(&logs, ask(json!({ "nextToken": back }))).await;
        assert_eq!(before, ["line 1", "line 2"]);
        let (none, same, _) = messages(&logs, ask(json!({ "nextToken": forward }))).await;
        assert!(none.is_empty());
        assert_eq!(same, forward);
        logs.append("g", "s", logs.world.now(), "line 5");
        let (new, next, _) = messages(&logs, ask(json!({ "nextToken": forward }))).await;
        assert_eq!(new, ["line 5"]);
        assert_ne!(next, forward);
        let (head, _, at_start) = messages(&logs, ask(json!({ "startFromHead": true }))).await;
        assert_eq!(head, ["line 0", "line 1"]);
        let (none, _, same) = messages(&logs, ask(json!({ "nextToken": at_start }))).await;
        assert!(none.is_empty());
        assert_eq!(same, at_start);

        let forged = logs.call("GetLogEvents", ask(json!({ "nextToken": "f/7" }))).await.unwrap_err();
        assert_eq!(forged.code, "InvalidParameterException");
    }

    #[tokio::test]
    async fn what_was_logged_is_there_after_a_restart_even_if_a_line_was_cut() {
        let dir = tempfile::tempdir().unwrap();
        let first = logs(dir.path());
        first.append("/aws/codebuild/unit", "a/b", first.world.now(), "kept");
        let file = first.with_groups(|groups| groups["/aws/codebuild/unit"].streams["a/b"].file.clone());
        drop(first);
        let mut text = std::fs::read_to_string(&file).unwrap();
        text.push_str("{\"timestamp\":1,\"inges");
        std::fs::write(&file, text).unwrap();

        let again = logs(dir.path());
        again.append("/aws/codebuild/unit", "a/b", again.world.now(), "more");
        let messages: Vec<String> =
            again.events("/aws/codebuild/unit", "a/b").into_iter().map(|event| event.message).collect();
        assert_eq!(messages, ["kept", "more"]);
        let streams = again.call("DescribeLogStreams", json!({ "logGroupName": "/aws/codebuild/unit" })).await.unwrap();
        assert!(streams["logStreams"][0]["lastEventTimestamp"].is_i64(), "{streams}");
    }

    #[tokio::test]
    async fn groups_and_streams_are_made_once_and_listed_in_pages() {
        let dir = tempfile::tempdir().unwrap();
        let logs = logs(dir.path());
        for group in ["c", "a", "b"] {
            logs.call("CreateLogGroup", json!({ "logGroupName": group })).await.unwrap();
        }
        let again = logs.call("CreateLogGroup", json!({ "logGroupName": "a" })).await.unwrap_err();
        assert_eq!(again.code, "ResourceAlreadyExistsException");
        let stream = json!({ "logGroupName": "a", "logStreamName": "s" });
        logs.call("CreateLogStream", stream.clone()).await.unwrap();
        assert_eq!(logs.call("CreateLogStream", stream).await.unwrap_err().code, "ResourceAlreadyExistsException");
        let nowhere = json!({ "logGroupName": "z", "logStreamName": "s" });
        assert_eq!(logs.call("CreateLogStream", nowhere).await.unwrap_err().code, "ResourceNotFoundException");

        let mut seen = Vec::new();
        let mut token = Value::Null;
        loop {
            let mut input = json!({ "limit": 1 });
            if token.is_string() {
                input["nextToken"] = token.clone();
            }
            let page = logs.call("DescribeLogGroups", input).await.unwrap();
            seen.push(page["logGroups"][0]["logGroupName"].as_str().unwrap().to_owned());
            token = page["nextToken"].clone();
            if token.is_null() {
                break;
            }
        }
        assert_eq!(seen, ["a", "b", "c"]);
        let forged = logs.call("DescribeLogGroups", json!({ "nextToken": "00" })).await.unwrap_err();
        assert_eq!(forged.code, "InvalidParameterException");
    }

    #[tokio::test]
    async fn a_batch_is_checked_and_a_filter_finds_across_streams() {
        let dir = tempfile::tempdir().unwrap();
        let logs = logs(dir.path());
        let now = logs.world.now().as_millisecond();
        logs.call("CreateLogGroup", json!({ "logGroupName": "g" })).await.unwrap();
        for stream in ["one", "two"] {
            logs.call("CreateLogStream", json!({ "logGroupName": "g", "logStreamName": stream })).await.unwrap();
        }
        let put = |stream: &str, events: Value| {
            logs.call("PutLogEvents", json!({ "logGroupName": "g", "logStreamName": stream, "logEvents": events }))
        };
        let mut follower = logs.subscribe();
        put("one", json!([{ "timestamp": now - 5, "message": "ERROR first" }])).await.unwrap();
        assert_eq!(follower.try_recv().unwrap().message, "ERROR first");
        let answer = put(
            "two",
            json!([{ "timestamp": 1, "message": "too old" }, { "timestamp": now, "message": "ERROR second" }]),
        )
        .await
        .unwrap();
        assert_eq!(answer["rejectedLogEventsInfo"], json!({ "tooOldLogEventEndIndex": 1 }));
        let backwards = json!([{ "timestamp": now, "message": "b" }, { "timestamp": now - 1, "message": "a" }]);
        assert_eq!(put("one", backwards).await.unwrap_err().code, "InvalidParameterException");

        let ask = |token: Option<String>| {
            let mut input = json!({ "logGroupName": "g", "filterPattern": "ERROR", "limit": 1 });
            if let Some(token) = token {
                input["nextToken"] = json!(token);
            }
            logs.call("FilterLogEvents", input)
        };
        let first = ask(None).await.unwrap();
        assert_eq!(first["events"][0]["message"], "ERROR first");
        let second = ask(first["nextToken"].as_str().map(str::to_owned)).await.unwrap();
        assert_eq!(second["events"][0]["logStreamName"], "two");
        assert!(second["nextToken"].is_null());

        let odd = logs.call("FilterLogEvents", json!({ "logGroupName": "g", "unmask": true })).await.unwrap_err();
        assert_eq!(odd.code, "InvalidParameterException");
    }
}
