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
use signalbox_events::{AGAIN, EventId, id_of};
use signalbox_ledger::{Ledger, Report, State, Turn};

use crate::batch::{Answer, Delivery, Invocation, RESERVE, answer_payload, deliveries, wait_before_retry};
use crate::logging;
use crate::metrics::{self, Count};
use crate::policy_source::PolicySource;
use crate::settings::Settings;

/// Kept back from it for the answer alone.
const ANSWER: SignedDuration = SignedDuration::from_millis(500);

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
    /// Something in it can never be done; the report, which says what, is in the ledger.
    Refused(Box<Report>),
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
        let deadline =
            i64::try_from(invocation.context.deadline).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let now = Timestamp::now();
        let invocation_facts = Invocation::new(now, deadline.unwrap_or(now + SignedDuration::from_secs(30)));
        let mut answers = Vec::new();
        for delivery in deliveries(&invocation.payload) {
            let answer = answer_one(setup, function, &delivery, invocation_facts).await;
            answers.push((delivery, answer));
        }
        answer_payload(&answers).map_err(Error::from)
    }))
    .await
}

async fn answer_one<H: Handle>(setup: &Setup, function: &H, delivery: &Delivery, batch: Invocation) -> Answer {
    let now = Timestamp::now();
    let deadline = batch.deadline;
    if let Some(message) = delivery.message.as_ref().filter(|message| message.received > 1) {
        // An event that ends its process every time leaves no other line with its id.
        tracing::info!(event.id = event_id(&delivery.body).as_str(), received = message.received, "received again");
    }
    let Some(left) = time_until(deadline - RESERVE, now) else {
        return again(
            setup,
            delivery,
            &Failure::retry("beginning an event", "the invocation's time is nearly over"),
            deadline,
        )
        .await;
    };
    let handled = tokio::time::timeout(left, function.handle(&delivery.body, Invocation { now, ..batch })).await;
    let handled = handled.unwrap_or_else(|_| {
        Err(Failure::retry("handling an event", format!("it took longer than the {} s that were left", left.as_secs())))
    });
    let handled = match handled {
        Err(failure @ Failure::Refused(_)) => {
            // What cannot be recorded must not be lost: it stays in the queue until it can.
            let left = time_until(deadline - RESERVE, Timestamp::now()).unwrap_or_default();
            match tokio::time::timeout(left, refuse(setup, delivery, &failure, now)).await {
                Ok(recorded) => recorded.map(|report| Handled::Refused(Box::new(report))),
                Err(_) => Err(failure.into_retry()),
            }
        }
        handled => handled,
    };
    match handled {
        Ok(handled) => finished(setup, delivery, handled, now),
        Err(failure) => again(setup, delivery, &failure, deadline).await,
    }
}

/// Counts and logs an event that needs not come again.
fn finished(setup: &Setup, delivery: &Delivery, handled: Handled, began: Timestamp) -> Answer {
    let duration_ms = Timestamp::now().duration_since(began).as_millis();
    let id = event_id(&delivery.body);
    let id = id.as_str();
    let name = &setup.settings.function_name;
    match handled {
        Handled::Reported(report) => {
            metrics::count(name, Count::Handled);
            let (reasons, actions) = (report.reasons.join("; "), report.actions.join("; "));
            tracing::info!(event.id = id, verdict = report.verdict, reasons, actions, duration_ms, "handled");
            Answer::Finished(serde_json::to_value(report).unwrap_or_default())
        }
        Handled::Refused(report) => {
            metrics::count(name, Count::Refused);
            let (reasons, actions) = (report.reasons.join("; "), report.actions.join("; "));
            tracing::error!(event.id = id, verdict = report.verdict, reasons, actions, duration_ms, "refused");
            Answer::Finished(serde_json::to_value(report).unwrap_or_default())
        }
        Handled::Before | Handled::NotOurs => {
            metrics::count(name, Count::Handled);
            let verdict = if handled == Handled::Before { "finished before" } else { "not ours" };
            tracing::info!(event.id = id, verdict, duration_ms, "handled");
            Answer::Finished(Value::from(verdict))
        }
    }
}

/// Sends a delivery back to its queue, with a wait that grows, or until it makes sense to try again.
async fn again(setup: &Setup, delivery: &Delivery, failure: &Failure, deadline: Timestamp) -> Answer {
    metrics::count(&setup.settings.function_name, Count::Retried);
    let why = failure.chain();
    let Some(message) = &delivery.message else {
        tracing::warn!(why, "failed; a bare event has no queue to go back to");
        return Answer::Again { why };
    };
    let wait = wait_before_retry(message.received, failure.problem().not_before, Timestamp::now());
    let id = event_id(&delivery.body);
    tracing::warn!(event.id = id.as_str(), received = message.received, wait_s = wait.as_secs(), why, "comes again");
    if let Some(url) = &setup.settings.queue_url
        && let Some(left) = time_until(deadline - ANSWER, Timestamp::now())
    {
        // Made here and not at the start: few events fail.
        let queue = Queue::new(&setup.aws, url);
        let unchanged = match tokio::time::timeout(left, queue.show_again_in(&message.receipt, wait)).await {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure.chain()),
            Err(_) => Some("there was no time left".to_owned()),
        };
        if let Some(why) = unchanged {
            tracing::warn!(why, "the wait could not be shortened; the queue's own time-out holds");
        }
    }
    Answer::Again { why }
}

fn time_until(moment: Timestamp, now: Timestamp) -> Option<Duration> {
    Duration::try_from(moment.duration_since(now)).ok()
}

/// Records an event that can never be handled.
async fn refuse(setup: &Setup, delivery: &Delivery, failure: &Failure, now: Timestamp) -> Result<Report, Failure> {
    let report = Report {
        at: now,
        policy_version: None,
        mode: String::new(),
        verdict: "refused".to_owned(),
        reasons: vec![failure.chain()],
        actions: Vec::new(),
        replay: serde_json::json!({ "received": received(&delivery.body) }),
    };
    let event = event_id(&delivery.body);
    setup.ledger.refuse(Turn::after(&event, round(&delivery.body)), report.clone(), now).await?;
    Ok(report)
}

/// What may be kept of what came in: an event of EventBridge without the values of variables, of anything else only its
/// shape. `signalbox redrive --again` hands the event in once more from here.
///
/// A CodePipeline job, for one, carries live credentials, and people give secrets to builds as plain variables.
pub fn received(body: &[u8]) -> Value {
    let read = serde_json::from_slice::<Value>(body).ok();
    match &read {
        Some(event) if event.get("detail-type").is_some() && event.get("source").is_some() => {
            let mut event = event.clone();
            take_values(&mut event);
            event
        }
        _ => serde_json::json!({
            "bytes": body.len(),
            "sha256": Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
            "keys": read.as_ref().and_then(Value::as_object).map(|object| object.keys().cloned().collect::<Vec<_>>()),
        }),
    }
}

/// Takes the values of environment variables out, wherever in an event they stand.
fn take_values(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(take_values),
        Value::Object(object) => {
            for (name, inner) in object {
                if name == "environment-variables" {
                    take_values_of_variables(inner);
                }
                take_values(inner);
            }
        }
        _ => {}
    }
}

fn take_values_of_variables(variables: &mut Value) {
    for variable in variables.as_array_mut().into_iter().flatten() {
        match variable.as_object_mut() {
            Some(variable) => {
                variable.remove("value");
            }
            // An event that is refused may be odd in just this place.
            None => *variable = Value::Null,
        }
    }
}

/// How often the event was finished before, where it says so.
fn round(body: &[u8]) -> u32 {
    let read = serde_json::from_slice::<Value>(body).ok();
    let round = read.as_ref().and_then(|event| event.get(AGAIN)).and_then(Value::as_u64);
    round.and_then(|round| u32::try_from(round).ok()).unwrap_or_default()
}

/// The event's own id, or one made from its content where it has none.
fn event_id(body: &[u8]) -> EventId {
    id_of(body).unwrap_or_else(|| {
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
        // What one function tells another has the id of what is told, however often it was put.
        let told = include_bytes!("../../../events/signalbox-replica-failed.json");
        assert_eq!(event_id(told).as_str(), "notice-0a1b2c3d4e5f60718293a4b5c6d7e8f9");
        let malformed = event_id(b"not json");
        assert_eq!(malformed, event_id(b"not json"));
        assert_ne!(malformed, event_id(br#"{"id":"with / slash"}"#));
        assert!(malformed.as_str().starts_with("malformed-"), "{malformed}");
    }

    #[test]
    fn credentials_of_something_that_is_no_event_are_not_kept() {
        let job = br#"{"CodePipeline.job":{"data":{"artifactCredentials":{"secretAccessKey":"very-secret"}}}}"#;
        let kept = received(job).to_string();
        assert!(!kept.contains("very-secret") && kept.contains("CodePipeline.job"), "{kept}");
        let event = br#"{"detail-type":"x","source":"aws.codecommit","detail":{"event":"odd"}}"#;
        assert_eq!(received(event)["detail"]["event"], "odd");
    }

    #[test]
    fn the_values_of_a_builds_variables_are_not_kept() {
        let mut event: Value =
            serde_json::from_slice(include_bytes!("../../../events/codebuild-build-failed.json")).unwrap();
        let variables = &mut event["detail"]["additional-information"]["environment"]["environment-variables"];
        *variables = serde_json::json!([
            { "name": "TOKEN", "type": "PLAINTEXT", "value": "very-secret" },
            { "name": "NESTED", "value": { "value": "very-secret" } },
            "very-secret",
        ]);
        let kept = received(event.to_string().as_bytes());
        assert!(!kept.to_string().contains("very-secret"), "{kept}");
        let variables = &kept["detail"]["additional-information"]["environment"]["environment-variables"];
        assert_eq!(variables[0], serde_json::json!({ "name": "TOKEN", "type": "PLAINTEXT" }));
        assert_eq!(kept["id"], event["id"]);
    }

    /// Uses all the time there is, and then refuses.
    struct Slow;

    impl Handle for Slow {
        async fn handle(&self, _: &[u8], invocation: Invocation) -> Result<Handled, Failure> {
            while Timestamp::now() < invocation.deadline - RESERVE {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(Failure::refused("reading the event", "malformed"))
        }
    }

    #[tokio::test]
    async fn a_refusal_behind_the_last_moment_is_not_recorded_any_more_and_comes_again() {
        let get = |name: &str| match name {
            // Nobody is there: a record that is tried all the same says so.
            "AWS_ENDPOINT_URL" => Some("http://127.0.0.1:9".to_owned()),
            "SIGNALBOX_QUEUE_URL" => None,
            _ => Some("x".to_owned()),
        };
        let setup = Setup::new(Aws::new(AwsEnvironment::read(get).unwrap()), Settings::read(get).unwrap());
        let now = Timestamp::now();
        let invocation = Invocation::new(now, now + RESERVE + Duration::from_millis(300));
        let delivery = Delivery { body: b"{}".to_vec(), message: None };
        let answer = answer_one(&setup, &Slow, &delivery, invocation).await;
        assert_eq!(answer, Answer::Again { why: "reading the event: malformed".to_owned() });
    }
}
