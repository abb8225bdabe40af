//! An event as it goes over the wire.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An event as it goes over the wire; the order of the members is AWS's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Envelope {
    pub(super) version: String,
    pub(super) id: String,
    #[serde(rename = "detail-type")]
    pub(super) detail_type: String,
    pub(super) source: String,
    pub(super) account: String,
    /// To the second.
    pub(super) time: String,
    pub(super) region: String,
    /// Only where it comes from an archive.
    #[serde(rename = "replay-name", default, skip_serializing_if = "Option::is_none")]
    pub(super) replay_name: Option<String>,
    pub(super) resources: Vec<String>,
    pub(super) detail: Value,
}

/// What makes an event.
pub(super) struct Draft<'a> {
    pub(super) source: &'a str,
    pub(super) detail_type: &'a str,
    pub(super) resources: Vec<String>,
    pub(super) time: Timestamp,
    pub(super) detail: Value,
    pub(super) trace_header: Option<String>,
}

/// An event on the bus: its text, its value, and what is known of its coming.
#[derive(Debug, Clone)]
pub(super) struct Sealed {
    pub(super) id: String,
    pub(super) body: String,
    pub(super) event: Value,
    pub(super) ingested: Timestamp,
    pub(super) trace_header: Option<String>,
}

impl Envelope {
    /// The event as it lies on the bus from a moment on.
    pub(super) fn seal(&self, ingested: Timestamp, trace_header: Option<String>) -> Sealed {
        Sealed {
            id: self.id.clone(),
            // Texts and a JSON value: neither can fail to be JSON.
            body: serde_json::to_string(self).unwrap_or_default(),
            event: serde_json::to_value(self).unwrap_or_default(),
            ingested,
            trace_header,
        }
    }
}
