//! CloudWatch Logs: the end of a build's log, and what a function wrote lately.

use std::collections::VecDeque;

use aws_sdk_cloudwatchlogs::Client;
use jiff::Timestamp;

use crate::failure::sort;
use crate::{Aws, Failure};

/// Reads log streams.
#[derive(Debug, Clone)]
pub struct Logs {
    client: Client,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogLine {
    /// When it was written.
    pub at: Timestamp,
    /// The line.
    pub text: String,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Searched {
    /// The lines, oldest first.
    pub lines: Vec<LogLine>,
    /// Whether the search came to the end of its time, or had to stop before.
    pub is_complete: bool,
}

impl LogLine {
    fn new(at: Option<i64>, text: Option<String>) -> Option<Self> {
        let at = Timestamp::from_millisecond(at?).ok()?;
        Some(Self { at, text: text?.trim_end().to_owned() })
    }
}

impl Logs {
    /// A reader.
    pub fn new(aws: &Aws) -> Self {
        Self { client: Client::new(&aws.config) }
    }

    /// The last `lines` lines of a stream, oldest first; `None` where there is no such group or stream.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn tail(&self, group: &str, stream: &str, lines: u16) -> Result<Option<Vec<String>>, Failure> {
        let (mut tail, mut token) = (VecDeque::new(), None::<String>);
        loop {
            let missing = usize::from(lines).saturating_sub(tail.len());
            let request = self.client.get_log_events().log_group_name(group).log_stream_name(stream);
            let request = request.start_from_head(false).limit(i32::try_from(missing).unwrap_or(i32::MAX));
            let answer = match request.set_next_token(token.clone()).send().await {
                Ok(answer) => answer,
                Err(error) if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) => {
                    return Ok(None);
                }
                Err(error) => return Err(sort(format!("logs:GetLogEvents on {group}/{stream}"), error)),
            };
            for event in answer.events.unwrap_or_default().into_iter().rev().take(missing) {
                tail.push_front(event.message.unwrap_or_default().trim_end().to_owned());
            }
            // A page may hold fewer events than were asked for, even none; only the same token again is the beginning.
            let next = answer.next_backward_token;
            if tail.len() >= usize::from(lines) || next.is_none() || next == token {
                return Ok(Some(tail.into()));
            }
            token = next;
        }
    }

    /// The lines of a group that hold `text`, from the first moment of `time` to its last; `pages` bounds how long is
    /// searched.
    ///
    /// # Errors
    /// As [`Failure`] sorts them; a group that is not there has no lines.
    pub async fn search(
        &self,
        group: &str,
        text: &str,
        time: (Timestamp, Timestamp),
        pages: u16,
    ) -> Result<Searched, Failure> {
        let mut lines = Vec::new();
        let mut next = None;
        for _ in 0..pages {
            let request = self.client.filter_log_events().log_group_name(group).set_next_token(next);
            // In quotes it is one term, whatever signs it has.
            let request = request.filter_pattern(format!("\"{text}\""));
            let request = request.start_time(time.0.as_millisecond()).end_time(time.1.as_millisecond());
            let answer = match request.send().await {
                Ok(answer) => answer,
                Err(error) if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) => {
                    return Ok(Searched { lines, is_complete: true });
                }
                Err(error) => return Err(sort(format!("logs:FilterLogEvents on {group}"), error)),
            };
            let events = answer.events.unwrap_or_default().into_iter();
            lines.extend(events.filter_map(|event| LogLine::new(event.timestamp, event.message)));
            next = answer.next_token;
            if next.is_none() {
                return Ok(Searched { lines, is_complete: true });
            }
        }
        Ok(Searched { lines, is_complete: false })
    }

    /// Deletes a group with all its lines; gives whether it was there.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn delete_group(&self, group: &str) -> Result<bool, Failure> {
        match self.client.delete_log_group().log_group_name(group).send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) => {
                Ok(false)
            }
            Err(error) => Err(sort(format!("logs:DeleteLogGroup on {group}"), error)),
        }
    }
}
