//! The operations of CloudWatch Logs that the local cloud offers.

use serde_json::{Value, json};

use super::inputs::{
    CreateLogGroup, CreateLogStream, DeleteLogGroup, DescribeLogGroups, DescribeLogStreams, PutLogEvents, StreamOrder,
    check_length, check_time, input, invalid, is_group_name,
};
use super::reading::{MOST_EVENTS, bad_token};
use super::{Group, LogEvent, Logs, Stream, no_group, no_stream, write_events};
use crate::error::{Answer, ServiceError};
use crate::paging::Order;

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
/// The largest batch in bytes, each event counted with 26 bytes beside its text.
pub(super) const LARGEST_BATCH: usize = 1_048_576;
pub(super) const EVENT_OVERHEAD: usize = 26;
const HOUR_MS: i64 = 3_600_000;

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

fn describe_limit(asked: Option<usize>) -> Answer<usize> {
    match asked {
        Some(limit) if !(1..=DESCRIBE_PAGE).contains(&limit) => {
            Err(invalid(format!("limit {limit} is not 1 to {DESCRIBE_PAGE}")))
        }
        asked => Ok(asked.unwrap_or(DESCRIBE_PAGE)),
    }
}

pub(super) fn with_next(mut answer: Value, next: Option<String>) -> Value {
    if let (Some(answer), Some(next)) = (answer.as_object_mut(), next) {
        answer.insert("nextToken".to_owned(), Value::String(next));
    }
    answer
}

/// The group by name, or by an identifier that may be its ARN.
pub(super) fn group_name<'a>(name: Option<&'a str>, identifier: Option<&'a str>) -> Answer<&'a str> {
    match (name, identifier) {
        (Some(name), None) => Ok(name),
        (None, Some(arn)) => Ok(arn.split_once(":log-group:").map_or(arn, |(_, name)| name.trim_end_matches(":*"))),
        _ => Err(invalid("give either logGroupName or logGroupIdentifier")),
    }
}

#[cfg(test)]
mod tests;
