//! One queue: how long a function's failed message waits, and what a person looks at and sends again.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName};
use jiff::Timestamp;

use crate::failure::sort;
use crate::{Aws, Failure};

/// How many messages a queue holds, approximately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// That wait to be received.
    pub visible: u64,
    /// That were received and are neither deleted nor visible again.
    pub in_flight: u64,
    /// That are not visible yet.
    pub delayed: u64,
}

/// A message that was received.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its id.
    pub id: String,
    /// What deleting it must name.
    pub receipt: String,
    /// Its body.
    pub body: String,
    /// When it was sent.
    pub sent: Option<Timestamp>,
    attributes: HashMap<String, MessageAttributeValue>,
}

impl Received {
    /// The text of a message attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)?.string_value()
    }

    /// The same message without some of its attributes.
    #[must_use]
    pub fn without(mut self, attributes: &[&str]) -> Self {
        self.attributes.retain(|name, _| !attributes.contains(&name.as_str()));
        self
    }

    fn new(message: Message) -> Self {
        let sent = message.attributes.as_ref().and_then(|all| all.get(&MessageSystemAttributeName::SentTimestamp));
        Self {
            sent: sent.and_then(|sent| sent.parse().ok()).and_then(|sent| Timestamp::from_millisecond(sent).ok()),
            id: message.message_id.unwrap_or_default(),
            receipt: message.receipt_handle.unwrap_or_default(),
            body: message.body.unwrap_or_default(),
            attributes: message.message_attributes.unwrap_or_default(),
        }
    }
}

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

    /// How many messages it holds.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn depth(&self) -> Result<Depth, Failure> {
        let request = self.client.get_queue_attributes().queue_url(&self.url);
        let request = request
            .attribute_names(QueueAttributeName::ApproximateNumberOfMessages)
            .attribute_names(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)
            .attribute_names(QueueAttributeName::ApproximateNumberOfMessagesDelayed);
        let answer = request.send().await;
        let answer = answer.map_err(|error| sort(format!("sqs:GetQueueAttributes on {}", self.url), error))?;
        let attributes = answer.attributes.unwrap_or_default();
        let number = |name| attributes.get(&name).and_then(|text| text.parse().ok()).unwrap_or_default();
        Ok(Depth {
            visible: number(QueueAttributeName::ApproximateNumberOfMessages),
            in_flight: number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
            delayed: number(QueueAttributeName::ApproximateNumberOfMessagesDelayed),
        })
    }

    /// Takes up to ten messages, hidden from others for `hidden` (whole seconds); asks every server of the queue, so
    /// that an empty answer means an empty queue.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn receive(&self, hidden: Duration) -> Result<Vec<Received>, Failure> {
        let seconds = i32::try_from(hidden.as_secs()).unwrap_or(43_200);
        let request = self.client.receive_message().queue_url(&self.url).max_number_of_messages(10);
        let request = request
            .visibility_timeout(seconds)
            .wait_time_seconds(1)
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
        let answer = request.send().await;
        let answer = answer.map_err(|error| sort(format!("sqs:ReceiveMessage on {}", self.url), error))?;
        Ok(answer.messages.unwrap_or_default().into_iter().map(Received::new).collect())
    }

    /// Sends a message as it was received, as a new one; gives its id.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn send_again(&self, message: &Received) -> Result<String, Failure> {
        let attributes = Some(message.attributes.clone()).filter(|attributes| !attributes.is_empty());
        self.send_with(&message.body, attributes).await
    }

    /// Sends a message; gives its id.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn send(&self, body: &str) -> Result<String, Failure> {
        self.send_with(body, None).await
    }

    async fn send_with(
        &self,
        body: &str,
        attributes: Option<HashMap<String, MessageAttributeValue>>,
    ) -> Result<String, Failure> {
        let request = self.client.send_message().queue_url(&self.url).message_body(body);
        let answer = request.set_message_attributes(attributes).send().await;
        let answer = answer.map_err(|error| sort(format!("sqs:SendMessage on {}", self.url), error))?;
        Ok(answer.message_id.unwrap_or_default())
    }

    /// Deletes a received message.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn delete(&self, receipt: &str) -> Result<(), Failure> {
        let answer = self.client.delete_message().queue_url(&self.url).receipt_handle(receipt).send().await;
        answer.map(drop).map_err(|error| sort(format!("sqs:DeleteMessage on {}", self.url), error))
    }
}
