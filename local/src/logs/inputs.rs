//! What the operations of CloudWatch Logs are called with, and what any of it may be.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Answer, ServiceError};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeleteLogGroup {
    pub(super) log_group_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateLogGroup {
    pub(super) log_group_name: String,
    /// Nothing that is offered shows tags.
    #[serde(default)]
    pub(super) tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateLogStream {
    pub(super) log_group_name: String,
    pub(super) log_stream_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PutLogEvents {
    pub(super) log_group_name: String,
    pub(super) log_stream_name: String,
    pub(super) log_events: Vec<InputEvent>,
    /// AWS ignores it since 2023 as well.
    pub(super) sequence_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct InputEvent {
    pub(super) timestamp: i64,
    pub(super) message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeLogGroups {
    pub(super) log_group_name_prefix: Option<String>,
    pub(super) log_group_name_pattern: Option<String>,
    pub(super) next_token: Option<String>,
    pub(super) limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeLogStreams {
    pub(super) log_group_name: Option<String>,
    pub(super) log_group_identifier: Option<String>,
    pub(super) log_stream_name_prefix: Option<String>,
    pub(super) order_by: Option<StreamOrder>,
    #[serde(default)]
    pub(super) descending: bool,
    pub(super) next_token: Option<String>,
    pub(super) limit: Option<usize>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamOrder {
    LogStreamName,
    LastEventTime,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct GetLogEvents {
    pub(super) log_group_name: Option<String>,
    pub(super) log_group_identifier: Option<String>,
    pub(super) log_stream_name: String,
    pub(super) start_time: Option<i64>,
    pub(super) end_time: Option<i64>,
    pub(super) next_token: Option<String>,
    pub(super) limit: Option<usize>,
    #[serde(default)]
    pub(super) start_from_head: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FilterLogEvents {
    pub(super) log_group_name: Option<String>,
    pub(super) log_group_identifier: Option<String>,
    pub(super) log_stream_names: Option<Vec<String>>,
    pub(super) log_stream_name_prefix: Option<String>,
    pub(super) start_time: Option<i64>,
    pub(super) end_time: Option<i64>,
    #[serde(default)]
    pub(super) filter_pattern: String,
    pub(super) next_token: Option<String>,
    pub(super) limit: Option<usize>,
    /// Without meaning on AWS since 2019: answers are always interleaved.
    #[serde(default, rename = "interleaved")]
    pub(super) _interleaved: bool,
}

pub(super) fn invalid(message: impl Into<String>) -> ServiceError {
    ServiceError::bad("InvalidParameterException", message)
}

pub(super) fn input<T: DeserializeOwned>(value: Value) -> Answer<T> {
    crate::input::read(value, "InvalidParameterException")
}

pub(super) fn check_length(member: &str, text: Option<&str>, lengths: std::ops::RangeInclusive<usize>) -> Answer<()> {
    crate::input::check_length("InvalidParameterException", member, text, lengths)
}

/// A time in milliseconds since 1970; there is none before.
pub(super) fn check_time(member: &str, time: Option<i64>) -> Answer<()> {
    match time {
        Some(time) if time < 0 => Err(invalid(format!(
            "1 validation error detected: Value '{time}' at '{member}' failed to satisfy constraint: Member must have value greater than or equal to 0"
        ))),
        _ => Ok(()),
    }
}

pub(super) fn is_group_name(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || "._-/#".contains(c))
}
