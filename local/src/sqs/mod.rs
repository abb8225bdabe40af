//! SQS: standard queues with visibility, redrive, delays, retention and long polling.

mod address;
mod attributes;
mod batches;
mod inputs;
mod journal;
mod message;
mod moves;
mod operations;
mod queue;
mod queues;
mod sending;

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) use self::address::name_in_url;
pub use self::message::{Message, MessageAttribute};
pub use self::operations::OPERATIONS;
pub(crate) use self::operations::query_code;
pub use self::queue::Counts;
pub(crate) use self::sending::{Extras, Unwritten};
pub use self::sending::{Sent, Undeliverable};

use self::journal::Journal;
use self::queue::{Queue, ReceiptProblem};
use crate::error::{Answer, ServiceError};
use crate::kept::Kept;
use crate::world::World;

/// The most messages that one receive gives, as on AWS.
const MOST_RECEIVED: usize = 10;

/// The most messages of a queue that may be in flight, as on AWS.
const MOST_IN_FLIGHT: usize = 120_000;

/// The longest time that a message may be hidden, as on AWS.
const LONGEST_VISIBILITY: Duration = Duration::from_secs(12 * 60 * 60);

/// All queues of the account.
#[derive(Debug)]
pub struct Sqs {
    world: Arc<World>,
    state: Kept<State>,
    journal: Journal,
    bells: Mutex<HashMap<String, Arc<Notify>>>,
    /// Milliseconds that a test's clock runs ahead of the world's.
    #[cfg(test)]
    ahead: std::sync::atomic::AtomicI64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    queues: BTreeMap<String, Queue>,
    #[serde(default)]
    moves: Vec<moves::MoveTask>,
}

fn no_such_queue(queue: &str) -> ServiceError {
    ServiceError::bad(
        "QueueDoesNotExist",
        format!("The specified queue does not exist: {queue}. Make it with CreateQueue, or check its name."),
    )
}

fn invalid(parameter: &str, value: impl std::fmt::Display, reason: &str) -> ServiceError {
    ServiceError::bad(
        "InvalidParameterValue",
        format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}"),
    )
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

impl Sqs {
    /// Opens what is there; messages that were in flight are visible again.
    ///
    /// # Errors
    /// A spoilt state file.
    pub fn open(world: &Arc<World>) -> anyhow::Result<Self> {
        let state = Kept::<State>::open(&world.dir, "sqs")?;
        let (journal, lines) = Journal::open(&world.dir)?;
        if !lines.is_empty() {
            let messages = state.change(|state| journal::replay(state, &lines));
            tracing::debug!(messages, "the last cloud did not come to write these");
        }
        Ok(Self {
            world: Arc::clone(world),
            state,
            journal,
            bells: Mutex::default(),
            #[cfg(test)]
            ahead: std::sync::atomic::AtomicI64::new(0),
        })
    }

    /// Writes the state.
    ///
    /// # Errors
    /// The disk.
    pub fn save(&self) -> anyhow::Result<()> {
        self.state.save_then(|| self.journal.clear())
    }

    /// Writes a change to the queues themselves at once: they change rarely, and the journal's lines refer to them.
    fn save_now(&self) -> Answer<()> {
        self.save().map_err(|error| ServiceError::internal(format!("{error:#}")))
    }

    fn now(&self) -> i64 {
        let now = self.world.now().as_millisecond();
        #[cfg(test)]
        let now = now + self.ahead.load(std::sync::atomic::Ordering::Relaxed);
        now
    }

    /// The ARN of a queue by its name, whether or not it exists.
    pub fn arn(&self, name: &str) -> String {
        self.world.arn("sqs", name)
    }

    /// The URL of a queue by its name, whether or not it exists.
    pub fn url(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.world.endpoint(), self.world.account)
    }

    /// Receives up to `most` messages with the queue's own visibility; waits up to `wait` for the first.
    ///
    /// # Errors
    /// No such queue, also when it is deleted during the wait.
    pub async fn receive(&self, queue: &str, most: usize, wait: Duration) -> Answer<Vec<Message>> {
        self.receive_hidden(queue, most, Some(wait), None).await
    }

    async fn receive_hidden(
        &self,
        queue: &str,
        most: usize,
        wait: Option<Duration>,
        visibility: Option<Duration>,
    ) -> Answer<Vec<Message>> {
        let name = self.name(queue)?;
        let queues_own = || {
            let seconds = self.with(&name, |queue| queue.attributes.number("ReceiveMessageWaitTimeSeconds"))?;
            Ok::<_, ServiceError>(Duration::from_secs(seconds))
        };
        let wait = wait.map_or_else(queues_own, Ok)?;
        let deadline = Instant::now() + wait;
        let bell = self.bell(&name);
        loop {
            // Listening starts before looking: a message that arrives in between rings.
            let mut rung = pin!(bell.notified());
            rung.as_mut().enable();
            let received = self.receive_now(&name, most, visibility)?;
            let left = deadline.saturating_duration_since(Instant::now());
            if !received.is_empty() || left.is_zero() {
                return Ok(received);
            }
            let next = self.with(&name, Queue::next_visible)?;
            let until_next = next.map(|at| Duration::from_millis(u64::try_from(at - self.now()).unwrap_or(1).max(1)));
            let pause = until_next.map_or(left, |next| next.min(left));
            tokio::select! {
                () = rung => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn receive_now(&self, name: &str, most: usize, visibility: Option<Duration>) -> Answer<Vec<Message>> {
        let now = self.now();
        // An empty poll changes nothing, so that it does not make the state be written again.
        if !self.with(name, |queue| queue.has_work(now))? {
            return Ok(Vec::new());
        }
        let most = most.clamp(1, MOST_RECEIVED);
        let (received, dead_letters_to) = self.state.change(|state| {
            let queue = state.queues.get_mut(name).ok_or_else(|| no_such_queue(name))?;
            queue.settle(now);
            if queue.is_over_limit(MOST_IN_FLIGHT) {
                return Err(ServiceError::bad(
                    "OverLimit",
                    format!("{MOST_IN_FLIGHT} messages of {name} are in flight; delete what was handled."),
                ));
            }
            let dead_letters_to = self.redrive(state, name, most, now);
            let queue = state.queues.get_mut(name).ok_or_else(|| no_such_queue(name))?;
            let visibility =
                visibility.map_or_else(|| queue.attributes.milliseconds("VisibilityTimeout"), milliseconds);
            Ok((queue.receive(most, visibility, now), dead_letters_to))
        })?;
        if let Some(target) = dead_letters_to {
            self.ring(&target);
        }
        Ok(received)
    }

    /// Moves what was received too often into the dead-letter queue; gives that queue's name if anything was moved.
    fn redrive(&self, state: &mut State, name: &str, most: usize, now: i64) -> Option<String> {
        let redrive = state.queues.get(name)?.attributes.redrive()?;
        let target = self.name(&redrive.target).ok().filter(|target| state.queues.contains_key(target));
        let Some(target) = target else {
            tracing::warn!(
                queue = name,
                dead_letter_queue = redrive.target,
                "the dead-letter queue does not exist; its messages stay where they are"
            );
            return None;
        };
        let mut moved = false;
        loop {
            let dead = state.queues.get_mut(name)?.take_dead_letters(&redrive, most);
            if dead.is_empty() {
                return moved.then_some(target);
            }
            moved = true;
            for mut stored in dead {
                tracing::info!(
                    queue = name,
                    message = stored.id,
                    receives = stored.receives,
                    to = target,
                    "a message was received too often"
                );
                stored.dead_letter_source = Some(self.arn(name));
                state.queues.get_mut(&target)?.push(stored, 0, now);
            }
        }
    }

    /// Deletes the message that a receipt is for; a stale receipt deletes nothing and is no error, as on AWS.
    ///
    /// # Errors
    /// No such queue; a receipt that is none of this queue.
    pub fn delete(&self, queue: &str, receipt: &str) -> Answer<()> {
        let name = self.name(queue)?;
        self.state.change(|state| {
            let queue = state.queues.get_mut(&name).ok_or_else(|| no_such_queue(queue))?;
            queue.delete(receipt).map_err(|problem| refuse_receipt(problem, receipt))
        })
    }

    /// Hides the message that a receipt is for until `visibility` from now; zero gives it back at once.
    ///
    /// # Errors
    /// No such queue; a receipt that is none of this queue, or whose message is not in flight; more than twelve hours.
    pub fn change_visibility(&self, queue: &str, receipt: &str, visibility: Duration) -> Answer<()> {
        if visibility > LONGEST_VISIBILITY {
            return Err(invalid("VisibilityTimeout", visibility.as_secs(), "Must be between 0 and 43200."));
        }
        let name = self.name(queue)?;
        let now = self.now();
        self.state.change(|state| {
            let queue = state.queues.get_mut(&name).ok_or_else(|| no_such_queue(queue))?;
            queue.settle(now);
            queue
                .change_visibility(receipt, milliseconds(visibility), now)
                .map_err(|problem| refuse_receipt(problem, receipt))
        })?;
        self.ring(&name);
        Ok(())
    }

    /// How many messages are where.
    ///
    /// # Errors
    /// No such queue.
    pub fn counts(&self, queue: &str) -> Answer<Counts> {
        let name = self.name(queue)?;
        let now = self.now();
        if self.with(&name, |queue| queue.is_unsettled(now))? {
            self.state.change(|state| {
                if let Some(queue) = state.queues.get_mut(&name) {
                    queue.settle(now);
                }
            });
        }
        self.with(&name, |queue| queue.counts(now))
    }

    /// Looks at a queue by its name.
    fn with<R>(&self, name: &str, look: impl FnOnce(&Queue) -> R) -> Answer<R> {
        self.state.read(|state| state.queues.get(name).map(look)).ok_or_else(|| no_such_queue(name))
    }

    /// The name of a queue that this process names by name, ARN or URL; requests have URLs only.
    fn name(&self, queue: &str) -> Answer<String> {
        let name = if queue.starts_with("arn:") {
            address::name_in_arn(&self.world, queue)
        } else if queue.contains('/') {
            name_in_url(&self.world, queue).ok()
        } else {
            Some(queue).filter(|name| !name.is_empty())
        };
        name.map(str::to_owned).ok_or_else(|| no_such_queue(queue))
    }

    fn bell(&self, name: &str) -> Arc<Notify> {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(bells.entry(name.to_owned()).or_default())
    }

    /// Wakes whoever waits for the queue; each looks for itself.
    fn ring(&self, name: &str) {
        let bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bells.get(name) {
            bell.notify_waiters();
        }
    }
}

fn refuse_receipt(problem: ReceiptProblem, receipt: &str) -> ServiceError {
    match problem {
        ReceiptProblem::Malformed => ServiceError::bad(
            "ReceiptHandleIsInvalid",
            format!("The input receipt handle \"{receipt}\" is not a valid receipt handle of this queue."),
        ),
        ReceiptProblem::NotInFlight => ServiceError::bad(
            "MessageNotInflight",
            "The message is not in flight: it was deleted, became visible again or was received again since.",
        ),
    }
}

#[cfg(test)]
mod tests;
