//! CloudWatch Logs: the end of a build's log.

use std::collections::VecDeque;

use aws_sdk_cloudwatchlogs::Client;

use crate::failure::sort;
use crate::{Aws, Failure};

/// Reads log streams.
#[derive(Debug, Clone)]
pub struct Logs {
    client: Client,
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
}
