//! One queue, as far as a function touches its own: how long a failed message waits.

use std::time::Duration;

use aws_sdk_sqs::Client;

use crate::failure::sort;
use crate::{Aws, Failure};

/// A function's own queue.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    /// A queue by its URL.
    pub fn new(aws: &Aws, url: impl Into<String>) -> Self {
        Self { client: Client::new(&aws.config), url: url.into() }
    }

    /// Lets a received message be seen again after `wait` (whole seconds, at most 12 hours).
    ///
    /// # Errors
    /// As [`Failure`] sorts them; a receipt that has gone stale is refused.
    pub async fn show_again_in(&self, receipt: &str, wait: Duration) -> Result<(), Failure> {
        let seconds = i32::try_from(wait.as_secs()).unwrap_or(i32::MAX).min(43_200);
        self.client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt)
            .visibility_timeout(seconds)
            .send()
            .await
            .map(drop)
            .map_err(|error| sort(format!("sqs:ChangeMessageVisibility on {}", self.url), error))
    }
}
