//! Rules and their targets, as they are kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::archive::Archive;
use super::delivery::Waiting;
use super::pattern::Pattern;
use super::replay::Replay;
use super::schedule::Schedule;
use super::transform::InputTransformer;
use crate::error::{Answer, ServiceError};

/// The most targets of a rule, as on AWS.
pub(super) const MOST_TARGETS: usize = 5;

/// The most rules of a bus, as on AWS unless raised.
pub(super) const MOST_RULES: usize = 300;

/// How often an event is tried again at most, as on AWS.
const MOST_RETRIES: i64 = 185;

/// How old an event may get before it is given up, in seconds, as on AWS.
const GREATEST_AGE: i64 = 86_400;

/// Whether a rule looks at events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RuleState {
    /// It does.
    #[default]
    Enabled,
    /// It is there and does nothing.
    Disabled,
}

/// Everything of the default bus, by name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) rules: BTreeMap<String, Rule>,
    #[serde(default)]
    pub(super) archives: BTreeMap<String, Archive>,
    #[serde(default)]
    pub(super) replays: BTreeMap<String, Replay>,
    /// Deliveries that will be tried again.
    #[serde(default)]
    pub(super) waiting: Vec<Waiting>,
}

/// A rule of the default bus.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Rule {
    /// The pattern as it was given; it was understood when it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pattern: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) schedule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    pub(super) state: RuleState,
    #[serde(default)]
    pub(super) targets: BTreeMap<String, Target>,
}

/// Where a rule's events go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Target {
    pub(super) id: String,
    pub(super) arn: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) input_path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) input_transformer: Option<InputTransformer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) dead_letter_config: Option<DeadLetterConfig>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) retry_policy: Option<RetryPolicy>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct DeadLetterConfig {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) arn: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct RetryPolicy {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    maximum_retry_attempts: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    maximum_event_age_in_seconds: Option<i64>,
}

/// What a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place<'a> {
    Queue,
    Topic,
    /// The group's name.
    LogGroup(&'a str),
}

pub(super) fn invalid(message: impl Into<String>) -> ServiceError {
    ServiceError::bad("ValidationException", message)
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

/// Whether a text can be the name of a rule or the id of a target.
pub(super) fn check_name(member: &str, text: &str) -> Answer<()> {
    if is_name(text) {
        return Ok(());
    }
    Err(invalid(format!(
        "1 validation error detected: Value '{text}' at '{member}' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+ and have a length of 1 to 64"
    )))
}

impl Rule {
    /// Whether AWS would take the rule.
    pub(super) fn check(&self) -> Answer<()> {
        if self.pattern.is_none() && self.schedule.is_none() {
            return Err(invalid("Parameter(s) EventPattern or ScheduleExpression must be specified."));
        }
        if let Some(pattern) = &self.pattern {
            parse_pattern(pattern)?;
        }
        if let Some(schedule) = &self.schedule {
            Schedule::parse(schedule)
                .map_err(|reason| invalid(format!("Parameter ScheduleExpression is not valid. Reason: {reason}")))?;
        }
        if self.description.as_ref().is_some_and(|text| text.chars().count() > 512) {
            return Err(invalid("Parameter Description is not valid. Reason: it is longer than 512 characters."));
        }
        Ok(())
    }

    /// When it runs, if it runs by the clock and is enabled.
    pub(super) fn live_schedule(&self) -> Option<Schedule> {
        let schedule = self.schedule.as_deref().filter(|_| self.state == RuleState::Enabled)?;
        Schedule::parse(schedule).ok()
    }

    /// The pattern by which it looks at events, if it does.
    pub(super) fn live_pattern(&self) -> Option<Pattern> {
        let pattern = self.pattern.as_deref().filter(|_| self.state == RuleState::Enabled)?;
        pattern.parse().ok()
    }
}

/// Reads a pattern; the error is what `PutRule` answers.
pub(super) fn parse_pattern(text: &str) -> Answer<Pattern> {
    if text.len() > 4096 {
        return Err(invalid("Parameter EventPattern is not valid. Reason: it is longer than 4096 characters."));
    }
    text.parse().map_err(|error| {
        ServiceError::bad("InvalidEventPatternException", format!("Event pattern is not valid. Reason: {error}"))
    })
}

impl Target {
    /// A target with no more than a dead-letter queue.
    pub(super) fn new(id: &str, arn: &str, dead_letters: Option<&str>) -> Self {
        Self {
            id: id.to_owned(),
            arn: arn.to_owned(),
            input: None,
            input_path: None,
            input_transformer: None,
            dead_letter_config: dead_letters.map(|arn| DeadLetterConfig { arn: Some(arn.to_owned()) }),
            retry_policy: None,
        }
    }

    pub(super) fn dead_letters(&self) -> Option<&str> {
        self.dead_letter_config.as_ref()?.arn.as_deref()
    }

    /// How often it is tried again, and how old an event may get, in milliseconds.
    pub(super) fn patience(&self) -> (i64, i64) {
        let policy = self.retry_policy.as_ref();
        let retries = policy.and_then(|policy| policy.maximum_retry_attempts).unwrap_or(MOST_RETRIES);
        let age = policy.and_then(|policy| policy.maximum_event_age_in_seconds).unwrap_or(GREATEST_AGE);
        (retries, age * 1000)
    }

    /// What the ARN names, if events can go there.
    pub(super) fn place(&self) -> Option<Place<'_>> {
        let parts: Vec<&str> = self.arn.splitn(6, ':').collect();
        match parts.as_slice() {
            ["arn", _, "sqs", _, _, name] if is_plain(name) => Some(Place::Queue),
            ["arn", _, "sns", _, _, name] if is_plain(name) => Some(Place::Topic),
            ["arn", _, "logs", _, _, group] => {
                let group = group.strip_prefix("log-group:")?;
                Some(Place::LogGroup(group.strip_suffix(":*").unwrap_or(group)))
            }
            _ => None,
        }
    }

    /// Whether AWS would take the target, and the local cloud can serve it.
    pub(super) fn check(&self) -> Answer<()> {
        check_name("targets.member.id", &self.id)?;
        if self.place().is_none() {
            return Err(invalid(format!(
                "Parameter {} is not valid. Reason: the local cloud delivers events to SQS queues, SNS topics (no FIFO ones) and log groups only, so an ARN such as arn:aws:sqs:REGION:ACCOUNT:NAME was expected.",
                self.arn
            )));
        }
        if let Some(arn) = self.dead_letters()
            && Self::new("", arn, None).place() != Some(Place::Queue)
        {
            return Err(invalid(format!(
                "Parameter {arn} is not valid. Reason: a dead-letter queue is a standard SQS queue, so an ARN such as arn:aws:sqs:REGION:ACCOUNT:NAME was expected."
            )));
        }
        self.check_input()?;
        let limits = self.retry_policy.map(|policy| {
            [
                ("maximumRetryAttempts", policy.maximum_retry_attempts, 0, MOST_RETRIES),
                ("maximumEventAgeInSeconds", policy.maximum_event_age_in_seconds, 60, GREATEST_AGE),
            ]
        });
        for (member, value, least, most) in limits.into_iter().flatten() {
            if let Some(value) = value.filter(|value| !(least..=most).contains(value)) {
                return Err(invalid(format!(
                    "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: Member must have a value from {least} to {most}"
                )));
            }
        }
        Ok(())
    }
}

/// Whether a queue or a topic of that name is a standard one.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.contains(':') && !name.ends_with(".fifo")
}
