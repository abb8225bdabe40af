//! CloudWatch Logs: the end of a build's log.

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
        let request = self.client.get_log_events().log_group_name(group).log_stream_name(stream);
        match request.start_from_head(false).limit(i32::from(lines)).send().await {
            Ok(answer) => {
                let messages = answer.events.unwrap_or_default().into_iter().filter_map(|event| event.message);
                Ok(Some(messages.map(|line| line.trim_end().to_owned()).collect()))
            }
            Err(error) if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) => {
                Ok(None)
            }
            Err(error) => Err(sort(format!("logs:GetLogEvents on {group}/{stream}"), error)),
        }
    }
}
