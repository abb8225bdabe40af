//! The loop of a function: an invocation in, each event handled, failures sorted, an answer out.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
pub use lambda_runtime::Error;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use sha2::{Digest, Sha256};
use signalbox_aws::{Aws, AwsEnvironment, Bucket, Failure, Queue};
use signalbox_events::EventId;
use signalbox_ledger::{Ledger, Report, State};

use crate::batch::{Answer, Delivery, Invocation, answer_payload, deliveries, wait_before_retry};
use crate::policy_source::PolicySource;
use crate::settings::Settings;
use crate::{logging, metrics};

/// Kept back from Lambda's deadline, for the answer and the log.
const RESERVE: SignedDuration = SignedDuration::from_secs(2);

/// What a function is made from.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Makes the clients that only this function has.
    pub aws: Aws,
    /// What the template says.
    pub settings: Settings,
    /// The function's ledger.
    pub ledger: Ledger,
    /// The stack's small state.
    pub state: State,
    /// The policy in force.
    pub policy: Arc<PolicySource>,
}

impl Setup {
    /// Everything that all functions have, for these settings.
    pub fn new(aws: Aws, settings: Settings) -> Self {
        let bucket = Bucket::new(&aws, &settings.bucket);
        Self {
            ledger: Ledger::new(bucket.clone(), &settings.function),
            state: State::new(bucket.clone()),
            policy: Arc::new(PolicySource::new(bucket, &settings.policy_key)),
            aws,
            settings,
        }
    }
}

/// How an event ended well.
#[derive(Debug, Clone, PartialEq)]
pub enum Handled {
    /// It was decided, and what was decided is done and reported.
    Reported(Box<Report>),
    /// It was finished before, by an earlier delivery.
    Before,
    /// It is none of ours.
    NotOurs,
}

/// A function: handles one event.
pub trait Handle: Send + Sync + 'static {
    /// The six steps: parse, needs, gather, decide, apply, ledger.
    fn handle(&self, event: &[u8], invocation: Invocation) -> impl Future<Output = Result<Handled, Failure>> + Send;
}

/// Runs a function until Lambda ends the process.
///
/// # Errors
/// An environment that lacks a variable, or a Runtime API that is not there.
pub async fn run<H: Handle>(make: impl FnOnce(&Setup) -> H) -> Result<(), Error> {
    let get = |name: &str| std::env::var(name).ok();
    logging::start_logging(get("SIGNALBOX_LOG").as_deref());
    let setup = Setup::new(Aws::new(AwsEnvironment::read(get)?), Settings::read(get)?);
    let function = make(&setup);
    let (setup, function) = (&setup, &function);
    lambda_runtime::run(service_fn(move |invocation: LambdaEvent<Value>| async move {
        let deadline = i64::try_from(invocation.context.deadline).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let now = Timestamp::now();
        let invocation_facts = Invocation { now, deadline: deadline.unwrap_or(now + SignedDuration::from_secs(30)) };
        let mut answers = Vec::new();
        for delivery in deliveries(&invocation.payload) {
            let answer = answer_one(setup, function, &delivery, invocation_facts.deadline).await;
            answers.push((delivery, answer));
        }
        answer_payload(&answers).map_err(Error::from)
    }))
    .await
}

async fn answer_one<H: Handle>(setup: &Setup, function: &H, delivery: &Delivery, deadline: Timestamp) -> Answer {
    let now = Timestamp::now();
    let name = setup.settings.function.as_str();
    let left = deadline.duration_since(now) - RESERVE;
    let Ok(left) = Duration::try_from(left) else {
        return again(setup, delivery, &Failure::retry("beginning an event", "the invocation's time is nearly over")).await;
    };
    let handled = tokio::time::timeout(left, function.handle(&delivery.body, Invocation { now, deadline })).await;
    let handled = handled.unwrap_or_else(|_| {
        Err(Failure::retry("handling an event", format!("it took longer than the {} s that were left", left.as_secs())))
    });
    let duration_ms = Timestamp::now().duration_since(now).as_millis();
    match handled {
        Ok(handled) => {
            metrics::count(name, "Handled");
            let (verdict, reasons) = match &handled {
                Handled::Reported(report) => (report.verdict.as_str(), report.reasons.join("; ")),
                Handled::Before => ("finished before", String::new()),
                Handled::NotOurs => ("not ours", String::new()),
            };
            tracing::info!(event.id = event_id(&delivery.body).as_str(), verdict, reasons, duration_ms, "handled");
            Answer::Finished(match handled {
                Handled::Reported(report) => serde_json::to_value(report).unwrap_or_default(),
                Handled::Before | Handled::NotOurs => Value::from(verdict.to_owned()),
            })
        }
        Err(failure @ Failure::Refused(_)) => match refuse(setup, delivery, &failure, now).await {
            Ok(report) => {
                metrics::count(name, "Refused");
                tracing::error!(event.id = event_id(&delivery.body).as_str(), duration_ms, why = failure.chain(), "refused");
                Answer::Finished(serde_json::to_value(report).unwrap_or_default())
            }
            // What cannot be recorded must not be lost: it stays in the queue until it can.
            Err(unrecorded) => again(setup, delivery, &unrecorded).await,
        },
        Err(failure) => again(setup, delivery, &failure).await,
    }
}

/// Sends a delivery back to its queue, with a wait that grows.
async fn again(setup: &Setup, delivery: &Delivery, failure: &Failure) -> Answer {
    metrics::count(&setup.settings.function, "Retried");
    let why = failure.chain();
    let Some(message) = &delivery.message else {
        tracing::warn!(why, "failed; a bare event has no queue to go back to");
        return Answer::Again { why };
    };
    let wait = wait_before_retry(message.received);
    tracing::warn!(event.id = event_id(&delivery.body).as_str(), received = message.received, wait_s = wait.as_secs(), why, "comes again");
    if let Some(url) = &setup.settings.queue_url {
        // Made here and not at the start: few events fail.
        if let Err(unchanged) = Queue::new(&setup.aws, url).show_again_in(&message.receipt, wait).await {
            tracing::warn!(why = unchanged.chain(), "the wait could not be shortened; the queue's own time-out holds");
        }
    }
    Answer::Again { why }
}

/// Records an event that can never be handled.
async fn refuse(setup: &Setup, delivery: &Delivery, failure: &Failure, now: Timestamp) -> Result<Report, Failure> {
    let why = failure.chain();
    let replay = serde_json::from_slice(&delivery.body)
        .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&delivery.body).into_owned()));
    let report = Report {
        at: now,
        policy_version: None,
        mode: String::new(),
        verdict: "refused".to_owned(),
        reasons: vec![why],
        actions: Vec::new(),
        replay: serde_json::json!({ "received": replay }),
    };
    let id = event_id(&delivery.body);
    setup.ledger.refuse(&id, report.clone()).await?;
    Ok(report)
}

/// The event's own id, or one made from its content where it has none.
fn event_id(body: &[u8]) -> EventId {
    #[derive(serde::Deserialize)]
    struct Envelope {
        id: String,
    }
    let own = serde_json::from_slice::<Envelope>(body).ok().and_then(|envelope| EventId::parse(envelope.id).ok());
    own.unwrap_or_else(|| {
        let digest = Sha256::digest(body).iter().take(16).fold(0_u128, |digest, byte| digest << 8 | u128::from(*byte));
        EventId::of_malformed(digest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_without_a_usable_id_gets_one_from_its_content() {
        assert_eq!(event_id(br#"{"id":"e-1"}"#).as_str(), "e-1");
        let malformed = event_id(b"not json");
        assert_eq!(malformed, event_id(b"not json"));
        assert_ne!(malformed, event_id(br#"{"id":"with / slash"}"#));
        assert!(malformed.as_str().starts_with("malformed-"), "{malformed}");
    }
}
