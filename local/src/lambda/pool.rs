//! A function's environments: as many as are needed, no more than it may have, and a pause when they keep dying.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::environment::{Environment, Outcome, Spec, StartFailure};
use super::invocation::{Invocation, InvocationError};

/// The first pause after a process that did not start; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How often an event is handed to another process because the one before it ended without taking it.
const MOST_HANDOVERS: usize = 3;

/// Whether a function takes events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Here,
    Stopped,
}

/// A function that can be invoked.
#[derive(Debug)]
pub(super) struct Pool {
    spec: Arc<Spec>,
    kill: watch::Sender<u64>,
    presence: watch::Sender<Presence>,
    idle: Mutex<Vec<Environment>>,
    room: Semaphore,
    starts: Mutex<Starts>,
    most: usize,
}

/// How starting went lately.
#[derive(Debug, Default)]
struct Starts {
    failures: u32,
    not_before: Option<Instant>,
}

impl Pool {
    /// A pool of at most `most` environments. `kill` is the sender of the spec's receiver.
    pub(super) fn new(spec: Spec, kill: watch::Sender<u64>, most: usize) -> Self {
        let most = spec.function.reserved.map_or(most, |reserved| most.min(reserved));
        Self {
            spec: Arc::new(spec),
            kill,
            presence: watch::Sender::new(Presence::Here),
            idle: Mutex::default(),
            room: Semaphore::new(most),
            starts: Mutex::default(),
            most,
        }
    }

    pub(super) fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The most invocations at once.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Kills every process of the function.
    pub(super) fn kill(&self) {
        self.kill.send_modify(|count| *count += 1);
        self.take_idle();
    }

    /// Lets the function be there or not.
    pub(super) fn set_presence(&self, presence: Presence) {
        self.presence.send_replace(presence);
        if presence == Presence::Stopped {
            self.kill();
        }
    }

    /// Waits until the function is not there.
    pub(super) async fn stopped(&self) {
        self.wait_for(Presence::Stopped).await;
    }

    /// Waits until the function is there and a process may be started: nothing should be taken out of a queue before.
    pub(super) async fn ready(&self) {
        self.wait_for(Presence::Here).await;
        self.ready_to_start().await;
    }

    async fn wait_for(&self, wanted: Presence) {
        let mut presence = self.presence.subscribe();
        // The sender is ours: it cannot be gone.
        let _ours = presence.wait_for(|presence| *presence == wanted).await.is_ok();
    }

    /// Has one event done by a process that waits, or by a new one.
    pub(super) async fn invoke(&self, payload: Bytes) -> Outcome {
        let name = &self.spec.function.name;
        let stopped = || InvocationError::Stopped { name: name.clone() };
        let Ok(_room) = self.room.acquire().await else { return Err(stopped()) };
        let invocation = Invocation { id: self.spec.world.uuid(), payload, trace: self.trace() };
        for _ in 0..=MOST_HANDOVERS {
            if *self.presence.borrow() == Presence::Stopped {
                return Err(stopped());
            }
            let environment = match self.idle() {
                Some(environment) => environment,
                None => self.start().await?,
            };
            if let Some(outcome) = environment.invoke(invocation.clone()).await {
                if environment.is_alive() && *self.presence.borrow() == Presence::Here {
                    self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(environment);
                }
                return outcome;
            }
        }
        Err(InvocationError::DidNotStart { reason: "its processes end before they take the event".to_owned() })
    }

    fn idle(&self) -> Option<Environment> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(environment) = idle.pop() {
            if environment.is_alive() {
                return Some(environment);
            }
        }
        None
    }

    fn take_idle(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn lock_starts(&self) -> std::sync::MutexGuard<'_, Starts> {
        self.starts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn start(&self) -> Result<Environment, InvocationError> {
        self.ready_to_start().await;
        match Environment::start(&self.spec).await {
            Ok(environment) => {
                *self.lock_starts() = Starts::default();
                Ok(environment)
            }
            Err(failure) => Err(self.did_not_start(&failure)),
        }
    }

    async fn ready_to_start(&self) {
        let not_before = self.lock_starts().not_before;
        if let Some(not_before) = not_before {
            tokio::time::sleep_until(not_before).await;
        }
    }

    fn did_not_start(&self, failure: &StartFailure) -> InvocationError {
        let pause = {
            let mut starts = self.lock_starts();
            let pause = pause_after(starts.failures);
            starts.failures = starts.failures.saturating_add(1);
            starts.not_before = Some(Instant::now() + pause);
            pause
        };
        tracing::warn!(
            function = self.spec.function.name,
            binary = %self.spec.binary.display(),
            next_try_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            "a function does not start: {}; its last lines: {}",
            failure.reason,
            told_shortly(&failure.last_lines)
        );
        InvocationError::DidNotStart { reason: failure.reason.clone() }
    }

    /// A trace header that nothing samples: there is no X-Ray here.
    fn trace(&self) -> String {
        let world = &self.spec.world;
        let seconds = world.now().as_second();
        format!("Root=1-{seconds:08x}-{};Parent={};Sampled=0", world.hex(24), world.hex(16))
    }
}

fn pause_after(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST_PAUSE)
}

/// An answer as a value; no body at all is `null`.
pub(super) fn parse_answer(body: &Bytes) -> Result<Value, InvocationError> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(body)
        .map_err(|error| InvocationError::BadAnswer { reason: format!("it is not JSON: {error}") })
}

/// The very last of a process's lines, cut: the whole is in the function's log group.
fn told_shortly(lines: &[String]) -> String {
    if lines.is_empty() {
        return "none".to_owned();
    }
    let last = lines.iter().skip(lines.len().saturating_sub(3));
    last.map(|line| line.chars().take(200).collect::<String>()).collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end_growing() {
        assert_eq!(pause_after(0), Duration::from_millis(200));
        assert_eq!(pause_after(1), Duration::from_millis(400));
        assert_eq!(pause_after(60), LONGEST_PAUSE);
    }
}
