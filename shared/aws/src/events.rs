//! The account's default event bus, as far as one function tells another something.

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_smithy_types::DateTime;
use jiff::Timestamp;

use crate::failure::{answered, lacking, sort};
use crate::{Aws, Failure};

/// The default event bus of a region.
#[derive(Debug, Clone)]
pub struct Bus {
    client: Client,
}

/// An event to put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Who says it.
    pub source: &'a str,
    /// What it is about.
    pub detail_type: &'a str,
    /// The ARNs that it is about.
    pub resources: Vec<String>,
    /// When it happened.
    pub time: Timestamp,
    /// A JSON object.
    pub detail: String,
}

impl Bus {
    /// The bus where these clients are.
    pub fn new(aws: &Aws) -> Self {
        Self { client: Client::new(&aws.config) }
    }

    /// Puts one event; gives the id that EventBridge made for it.
    ///
    /// EventBridge has no token that would tell a second try from a second event: the detail has to say what it is about in
    /// a way that makes a second one harmless.
    ///
    /// # Errors
    /// As [`Failure`] sorts them. The call may go well and the entry fail: that is an error, too.
    pub async fn put(&self, entry: Entry<'_>) -> Result<String, Failure> {
        let doing = format!("events:PutEvents of {:?}", entry.detail_type);
        let request = PutEventsRequestEntry::builder()
            .source(entry.source)
            .detail_type(entry.detail_type)
            .set_resources(Some(entry.resources))
            .time(DateTime::from_secs(entry.time.as_second()))
            .detail(entry.detail)
            .build();
        let answer = self.client.put_events().entries(request).send().await;
        let answer = answer.map_err(|error| sort(&doing, error))?;
        let put = answer.entries.unwrap_or_default().into_iter().next();
        let put = put.ok_or_else(|| lacking(&doing, "Entries"))?;
        match (put.event_id, put.error_code) {
            (Some(id), None) if answer.failed_entry_count == 0 => Ok(id),
            (_, Some(code)) => Err(answered(doing, &code, put.error_message.as_deref())),
            (_, None) => Err(Failure::retry(doing, "the entry was not taken, and EventBridge does not say why")),
        }
    }
}
