//! The one place where Lambda speaks to SQS.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{Answer, ServiceError};
use crate::sqs::Sqs;

/// The most messages that SQS gives at once.
pub(super) const MOST_AT_ONCE: usize = 10;

/// A message as `ReceiveMessage` gives it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Message {
    pub(super) message_id: String,
    pub(super) receipt_handle: String,
    #[serde(default)]
    pub(super) body: String,
    #[serde(default, rename = "MD5OfBody")]
    pub(super) md5_of_body: String,
    #[serde(default)]
    pub(super) attributes: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) message_attributes: BTreeMap<String, MessageAttribute>,
}

/// An attribute that the sender gave a message.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MessageAttribute {
    pub(super) data_type: String,
    pub(super) string_value: Option<String>,
    /// Base64.
    pub(super) binary_value: Option<String>,
}

/// A queue that a function is fed from.
pub(super) trait Queue: Send + Sync + 'static {
    /// Waits at most `wait` for at most `most` messages. Dropped while it waits, it has taken nothing.
    fn receive(&self, most: usize, wait: Duration) -> impl Future<Output = Answer<Vec<Message>>> + Send;
    /// Takes a message out for good.
    fn delete(&self, receipt: &str) -> impl Future<Output = Answer<()>> + Send;
}

/// A queue of this cloud.
#[derive(Debug)]
pub(super) struct CloudQueue {
    pub(super) sqs: Arc<Sqs>,
    pub(super) url: String,
}

impl Queue for CloudQueue {
    async fn receive(&self, most: usize, wait: Duration) -> Answer<Vec<Message>> {
        let input = json!({
            "QueueUrl": self.url,
            "MaxNumberOfMessages": most.min(MOST_AT_ONCE),
            "WaitTimeSeconds": wait.as_secs(),
            "MessageAttributeNames": ["All"],
            "MessageSystemAttributeNames": ["All"],
        });
        let mut answer = self.sqs.call("ReceiveMessage", input).await?;
        match answer.get_mut("Messages").map(Value::take) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(messages) => serde_json::from_value(messages).map_err(ServiceError::internal),
        }
    }

    async fn delete(&self, receipt: &str) -> Answer<()> {
        let input = json!({ "QueueUrl": self.url, "ReceiptHandle": receipt });
        self.sqs.call("DeleteMessage", input).await.map(|_| ())
    }
}
