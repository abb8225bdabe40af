//! A queue's attributes: what may be set, to what, and what stands when nothing was said.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Answer, ServiceError};
use crate::iam::{Document, Kind};

/// A day, the unit of most limits.
const DAY: u64 = 24 * 60 * 60;

/// The attributes that are numbers: name, what stands unless set, the least, the most.
const NUMBERS: [(&str, u64, u64, u64); 6] = [
    ("DelaySeconds", 0, 0, 900),
    ("KmsDataKeyReusePeriodSeconds", 300, 60, DAY),
    ("MaximumMessageSize", 1_048_576, 1024, 1_048_576),
    ("MessageRetentionPeriod", 4 * DAY, 60, 14 * DAY),
    ("ReceiveMessageWaitTimeSeconds", 0, 0, 20),
    ("VisibilityTimeout", 30, 0, 43_200),
];

/// The attributes that can be asked for and not set.
pub(super) const COMPUTED: [&str; 6] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
];

/// All attributes that can be set.
pub(super) const SETTABLE: [&str; 11] = [
    "DelaySeconds",
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "Policy",
    "ReceiveMessageWaitTimeSeconds",
    "RedriveAllowPolicy",
    "RedrivePolicy",
    "SqsManagedSseEnabled",
    "VisibilityTimeout",
];

/// Where messages go that were received too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Redrive {
    /// The dead-letter queue's ARN.
    pub(super) target: String,
    /// How often a message may be received before it goes there.
    pub(super) most_receives: u32,
}

/// What was set, as it was written; the rest stands at AWS's defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Attributes(BTreeMap<String, String>);

impl Attributes {
    /// Takes over what is set, all or nothing. An empty text takes a policy away.
    pub(super) fn set(&mut self, values: &BTreeMap<String, String>) -> Answer<()> {
        for (name, value) in values {
            check(name, value)?;
        }
        for (name, value) in values {
            if value.is_empty() {
                self.0.remove(name);
            } else {
                self.0.insert(name.clone(), value.clone());
            }
        }
        Ok(())
    }

    /// What an attribute is: as set, else AWS's default, else nothing.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned().or_else(|| match name {
            "SqsManagedSseEnabled" => Some((!self.0.contains_key("KmsMasterKeyId")).to_string()),
            // AWS shows it only for a queue with a key.
            "KmsDataKeyReusePeriodSeconds" if !self.0.contains_key("KmsMasterKeyId") => None,
            _ => NUMBERS.iter().find(|(number, ..)| *number == name).map(|(_, default, ..)| default.to_string()),
        })
    }

    /// The first attribute that is not what a second `CreateQueue` asks for.
    pub(super) fn differs_from<'a>(&self, values: &'a BTreeMap<String, String>) -> Option<&'a str> {
        values.iter().find(|(name, value)| self.get(name).unwrap_or_default() != **value).map(|(name, _)| name.as_str())
    }

    pub(super) fn number(&self, name: &str) -> u64 {
        self.get(name).and_then(|value| value.parse().ok()).unwrap_or_default()
    }

    pub(super) fn milliseconds(&self, name: &str) -> i64 {
        i64::try_from(self.number(name)).unwrap_or(i64::MAX / 1000) * 1000
    }

    pub(super) fn redrive(&self) -> Option<Redrive> {
        self.0.get("RedrivePolicy").and_then(|text| parse_redrive(text).ok())
    }

    /// Whether a queue may name this one as its dead-letter queue.
    pub(super) fn allows_redrive_from(&self, source_arn: &str) -> bool {
        let Some(allow) = self.0.get("RedriveAllowPolicy").and_then(|text| serde_json::from_str::<Value>(text).ok())
        else {
            return true;
        };
        match allow.get("redrivePermission").and_then(Value::as_str) {
            Some("denyAll") => false,
            Some("byQueue") => {
                let sources = allow.get("sourceQueueArns").and_then(Value::as_array);
                sources.is_some_and(|sources| sources.iter().any(|source| source == source_arn))
            }
            _ => true,
        }
    }
}

fn invalid(name: &str, reason: impl std::fmt::Display) -> ServiceError {
    ServiceError::bad("InvalidAttributeValue", format!("Invalid value for the parameter {name}. Reason: {reason}"))
}

fn check(name: &str, value: &str) -> Answer<()> {
    if name == "FifoQueue" || name == "ContentBasedDeduplication" || name.starts_with("Fifo") {
        return Err(ServiceError::bad(
            "UnsupportedOperation",
            format!("the local cloud has standard queues only: leave the attribute {name} out"),
        ));
    }
    if !SETTABLE.contains(&name) {
        return Err(ServiceError::bad("InvalidAttributeName", format!("Unknown Attribute {name}.")));
    }
    if let Some((_, _, least, most)) = NUMBERS.iter().find(|(number, ..)| *number == name) {
        return match value.parse::<u64>() {
            Ok(number) if (*least..=*most).contains(&number) => Ok(()),
            _ => Err(invalid(name, format!("must be an integer from {least} to {most}, not {value:?}"))),
        };
    }
    match name {
        "SqsManagedSseEnabled" if !matches!(value, "true" | "false") => {
            Err(invalid(name, format!("must be true or false, not {value:?}")))
        }
        "RedrivePolicy" if !value.is_empty() => parse_redrive(value).map(drop).map_err(|reason| invalid(name, reason)),
        "RedriveAllowPolicy" if !value.is_empty() => check_redrive_allow(value).map_err(|reason| invalid(name, reason)),
        "Policy" if !value.is_empty() => {
            Document::parse(value, Kind::Resource).map(drop).map_err(|wrong| invalid(name, wrong.to_string()))
        }
        _ => Ok(()),
    }
}

fn parse_redrive(text: &str) -> Result<Redrive, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    let target = value
        .get("deadLetterTargetArn")
        .and_then(Value::as_str)
        .filter(|arn| arn.starts_with("arn:aws:sqs:"))
        .ok_or("it needs deadLetterTargetArn, the ARN of a queue")?;
    let most_receives = match value.get("maxReceiveCount") {
        Some(Value::String(text)) => text.parse().ok(),
        Some(number) => number.as_u64(),
        None => None,
    };
    let most_receives = most_receives
        .and_then(|count| u32::try_from(count).ok())
        .filter(|count| (1..=1000).contains(count))
        .ok_or("it needs maxReceiveCount, an integer from 1 to 1000")?;
    Ok(Redrive { target: target.to_owned(), most_receives })
}

fn check_redrive_allow(text: &str) -> Result<(), String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    match value.get("redrivePermission").and_then(Value::as_str) {
        Some("allowAll" | "denyAll") => Ok(()),
        Some("byQueue") if value.get("sourceQueueArns").is_some_and(Value::is_array) => Ok(()),
        Some("byQueue") => Err("byQueue needs sourceQueueArns, a list of ARNs".to_owned()),
        _ => Err("redrivePermission must be allowAll, denyAll or byQueue".to_owned()),
    }
}
