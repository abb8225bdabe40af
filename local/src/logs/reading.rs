//! Reading events: one stream from a place on, or all streams of a group through a filter.

use serde_json::{Value, json};

use super::inputs::{FilterLogEvents, GetLogEvents, check_length, check_time, invalid};
use super::operations::{EVENT_OVERHEAD, LARGEST_BATCH, group_name, with_next};
use super::pattern::Pattern;
use super::{LogEvent, Logs, no_group, no_stream, read_events};
use crate::error::{Answer, ServiceError};
use crate::paging::{Listing, Order};

/// The documented most events of one answer and of one batch.
pub(super) const MOST_EVENTS: usize = 10_000;

impl Logs {
    pub(super) fn get_log_events(&self, input: &GetLogEvents) -> Answer<Value> {
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

    pub(super) fn filter_log_events(&self, input: &FilterLogEvents) -> Answer<Value> {
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

pub(super) fn bad_token() -> ServiceError {
    invalid("The specified nextToken is invalid.")
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
