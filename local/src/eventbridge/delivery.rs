//! From a rule to its target: sent, tried again, laid into the dead-letter queue, or lost.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::envelope::Sealed;
use super::rules::{Place, Target};
use super::transform::Occurrence;
use super::{EventBridge, Outcome, PRINCIPAL};
use crate::error::ServiceError;
use crate::sqs::{Extras, MessageAttribute, Undeliverable};

/// The longest wait between two attempts, in milliseconds: 185 of them fill about a day.
const LONGEST_WAIT: i64 = 480_000;

/// A delivery that failed and will be tried again, or one that is late.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Waiting {
    event_id: String,
    /// The event as it was; this is what a dead-letter queue gets.
    body: String,
    /// What the target is sent.
    input: String,
    rule: String,
    target: Target,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace_header: Option<String>,
    /// When the bus got the event, in milliseconds since 1970.
    since: i64,
    /// Which retry the next attempt is; 0 for the first attempt.
    retries: i64,
    due: i64,
}

/// Why a target did not take an event.
struct Failure {
    code: &'static str,
    reason: String,
    /// Whether it may go better later.
    passes: bool,
}

impl From<Undeliverable> for Failure {
    fn from(failed: Undeliverable) -> Self {
        let (code, passes) = match failed {
            Undeliverable::NoSuchQueue { .. } => ("NO_RESOURCE", false),
            Undeliverable::NotAllowed { .. } => ("NO_PERMISSIONS", false),
            Undeliverable::Refused { .. } => ("INVALID_PARAMETER", false),
            Undeliverable::Failed { .. } => ("ERROR_FROM_TARGET", true),
        };
        Self { code, reason: failed.to_string(), passes }
    }
}

impl From<ServiceError> for Failure {
    fn from(refused: ServiceError) -> Self {
        let code = match refused.code.as_str() {
            "NotFound" => "NO_RESOURCE",
            "AuthorizationError" => "NO_PERMISSIONS",
            _ if refused.status >= 500 => "ERROR_FROM_TARGET",
            _ => "INVALID_PARAMETER",
        };
        Self { code, reason: refused.message, passes: refused.status >= 500 }
    }
}

impl EventBridge {
    /// Sends to the target, once for each of `lateness`, else to its dead-letter queue; both must let the rule send. What
    /// became of the first is told.
    pub(super) fn deliver(&self, sealed: &Sealed, rule: &str, target: &Target, lateness: &[Duration]) -> Outcome {
        let input = target.input_of(Occurrence {
            event: &sealed.event,
            body: &sealed.body,
            ingested: &sealed.ingested.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            rule_name: rule,
            rule_arn: &self.rule_arn(rule),
        });
        let waiting = Waiting {
            event_id: sealed.id.clone(),
            body: sealed.body.clone(),
            input,
            rule: rule.to_owned(),
            target: target.clone(),
            trace_header: sealed.trace_header.clone(),
            since: sealed.ingested.as_millisecond(),
            retries: 0,
            due: 0,
        };
        let send = |late: &Duration| self.send_once(waiting.clone(), *late, sealed.ingested);
        let outcomes: Vec<Outcome> = lateness.iter().map(send).collect();
        let dropped = || Outcome::Dropped { reason: "chaos dropped it".to_owned() };
        outcomes.into_iter().next().unwrap_or_else(dropped)
    }

    /// The first attempt, so that the target has it after `late`. A queue hides it so long; anywhere else it waits here.
    fn send_once(&self, waiting: Waiting, late: Duration, now: Timestamp) -> Outcome {
        if !late.is_zero() && waiting.target.place() != Some(Place::Queue) {
            let late = i64::try_from(late.as_millis()).unwrap_or(LONGEST_WAIT);
            self.wait(Waiting { due: now.as_millisecond() + late, ..waiting });
            return Outcome::Waiting { reason: "chaos holds it back".to_owned() };
        }
        match self.attempt(&waiting, late) {
            Ok(message_id) => Outcome::Delivered { message_id },
            Err(failure) => self.settle(waiting, failure, now),
        }
    }

    /// Keeps a delivery for its time.
    fn wait(&self, waiting: Waiting) {
        self.state.change(|state| state.waiting.push(waiting));
        self.rescheduled.notify_waiters();
    }

    /// Tries what is due; gives when the next attempt is.
    pub(super) fn retry_due(&self, now: Timestamp) -> Option<i64> {
        let at = now.as_millisecond();
        if self.state.read(|state| state.waiting.iter().any(|waiting| waiting.due <= at)) {
            let due = self.state.change(|state| {
                let (due, later) = std::mem::take(&mut state.waiting).into_iter().partition(|one| one.due <= at);
                state.waiting = later;
                let due: Vec<Waiting> = due;
                due
            });
            for waiting in due {
                match self.attempt(&waiting, Duration::ZERO) {
                    Ok(_) => tracing::info!(
                        event.id = waiting.event_id,
                        rule = waiting.rule,
                        retries = waiting.retries,
                        "delivered after all"
                    ),
                    Err(failure) => drop(self.settle(waiting, failure, now)),
                }
            }
        }
        self.state.read(|state| state.waiting.iter().map(|waiting| waiting.due).min())
    }

    fn attempt(&self, waiting: &Waiting, late: Duration) -> Result<String, Failure> {
        let Waiting { target, input, .. } = waiting;
        let rule_arn = self.rule_arn(&waiting.rule);
        let missing =
            |what: &str| Failure { code: "NO_RESOURCE", reason: format!("{what} does not exist"), passes: false };
        let none = || missing(&target.arn);
        match target.place().ok_or_else(none)? {
            Place::Queue => {
                // A queue may have a delay of its own, which a message without one gets.
                let delay = Some(late).filter(|late| !late.is_zero());
                let extras = Extras { delay, trace_header: waiting.trace_header.clone(), ..Extras::default() };
                Ok(self.sqs.send_for(&target.arn, (PRINCIPAL, &rule_arn), input, extras)?.id)
            }
            Place::Topic => {
                let (sns, _) = self.others.get().ok_or_else(none)?;
                Ok(sns.publish_for_service(&target.arn, PRINCIPAL, &rule_arn, None, input)?)
            }
            Place::LogGroup(group) => {
                let (_, logs) = self.others.get().filter(|(_, logs)| logs.has_group(group)).ok_or_else(none)?;
                // One stream a rule: whoever reads the group sees which rule a line is from.
                logs.append(group, &waiting.rule, self.world.now(), input);
                Ok(waiting.event_id.clone())
            }
        }
    }

    /// What becomes of a delivery that failed: it waits for another attempt, or it is over.
    fn settle(&self, waiting: Waiting, failure: Failure, now: Timestamp) -> Outcome {
        let at = now.as_millisecond();
        let (most_retries, oldest) = waiting.target.patience();
        let exhausted = match failure.passes {
            false => None,
            true if waiting.retries >= most_retries => Some("MaximumRetryAttempts"),
            true if at - waiting.since >= oldest => Some("MaximumEventAgeInSeconds"),
            true => {
                let wait = 1000_i64.saturating_mul(1 << waiting.retries.min(16)).min(LONGEST_WAIT);
                let Failure { reason, .. } = failure;
                let (rule, target) = (&waiting.rule, &waiting.target.arn);
                tracing::warn!(
                    event.id = waiting.event_id,
                    rule,
                    target,
                    reason,
                    wait_ms = wait,
                    "a target did not take an event; it is tried again"
                );
                self.wait(Waiting { due: at + wait, retries: waiting.retries + 1, ..waiting });
                return Outcome::Waiting { reason };
            }
        };
        self.bury(&waiting, failure, exhausted)
    }

    /// Lays an event into its target's dead-letter queue, if it has one that takes it.
    fn bury(&self, waiting: &Waiting, failure: Failure, exhausted: Option<&str>) -> Outcome {
        let Failure { code, reason, .. } = failure;
        let (rule, target) = (&waiting.rule, &waiting.target.arn);
        let Some(queue) = waiting.target.dead_letters() else {
            tracing::error!(
                event.id = waiting.event_id,
                rule,
                target,
                reason,
                "an event was dropped: it could not be delivered and the target has no dead-letter queue"
            );
            return Outcome::Dropped { reason };
        };
        let rule_arn = self.rule_arn(rule);
        let retries = waiting.retries.to_string();
        let attributes = [
            ("RULE_ARN", Some(rule_arn.as_str())),
            ("TARGET_ARN", Some(target.as_str())),
            ("ERROR_CODE", Some(code)),
            ("ERROR_MESSAGE", Some(reason.as_str())),
            ("RETRY_ATTEMPTS", Some(retries.as_str())),
            ("EXHAUSTED_RETRY_CONDITION", exhausted),
        ];
        let attributes = attributes
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), MessageAttribute::string(value?))))
            .collect();
        let extras = Extras { attributes, trace_header: waiting.trace_header.clone(), ..Extras::default() };
        match self.sqs.send_for(queue, (PRINCIPAL, &rule_arn), &waiting.body, extras) {
            Ok(_) => {
                tracing::warn!(
                    event.id = waiting.event_id,
                    rule,
                    target,
                    reason,
                    queue,
                    "an event went to the dead-letter queue"
                );
                Outcome::DeadLettered { queue: queue.to_owned(), reason }
            }
            Err(second) => {
                tracing::error!(event.id = waiting.event_id, rule, target, reason, queue, second = %second, "an event was dropped: neither the target nor its dead-letter queue took it");
                Outcome::Dropped { reason: format!("{reason}; and its dead-letter queue: {second}") }
            }
        }
    }
}
