//! Messages on their way into a queue: from callers, and from services that the queue's policy lets in.

use std::collections::BTreeMap;
use std::time::Duration;

use super::message::{self, MessageAttribute};
use super::queue::Stored;
use super::{Sqs, milliseconds, no_such_queue};
use crate::error::{Answer, ServiceError};
use crate::iam::Need;

/// A message that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The message's id.
    pub id: String,
    /// The MD5 digest of the body, in hex.
    pub md5: String,
}

/// Why a service's message did not get into a queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undeliverable {
    /// There is no such queue.
    #[error("the queue {queue} does not exist")]
    NoSuchQueue {
        /// The ARN that was meant.
        queue: String,
    },
    /// The queue's policy does not let the service send.
    #[error("{reason}")]
    NotAllowed {
        /// Which statement is missing or in the way.
        reason: String,
    },
    /// The queue does not take this message.
    #[error("the queue refused the message: {reason}")]
    Refused {
        /// What is wrong with it.
        reason: String,
    },
    /// The queue could not take it now; it may later.
    #[error("the queue could not take the message: {reason}")]
    Failed {
        /// What went wrong.
        reason: String,
    },
}

/// What is sent beside a message's body.
#[derive(Debug, Default)]
pub(crate) struct Extras {
    pub(crate) attributes: BTreeMap<String, MessageAttribute>,
    /// Instead of the queue's own.
    pub(crate) delay: Option<Duration>,
    pub(crate) trace_header: Option<String>,
    pub(crate) unwritten: Unwritten,
}

/// What becomes of a message that the journal cannot take, as on a full disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Unwritten {
    /// Its sender is told, and sends it again.
    #[default]
    Refused,
    /// It stays, for whoever sent it cannot send it again: an event is told once. The next state that is written has it.
    Kept,
}

impl Sqs {
    /// Sends a message.
    ///
    /// # Errors
    /// No such queue; a body or an attribute that AWS refuses.
    pub fn send(&self, queue: &str, body: &str, attributes: BTreeMap<String, MessageAttribute>) -> Answer<Sent> {
        self.send_as(queue, body, "signalbox", Extras { attributes, ..Extras::default() })
    }

    pub(super) fn send_as(&self, queue: &str, body: &str, sender: &str, extras: Extras) -> Answer<Sent> {
        let name = self.name(queue)?;
        let now = self.now();
        let id = self.world.uuid();
        self.state.change(|state| {
            let queue = state.queues.get_mut(&name).ok_or_else(|| no_such_queue(queue))?;
            message::check_message(body, &extras.attributes, queue.attributes.number("MaximumMessageSize"))?;
            let delay = extras.delay.map_or_else(|| queue.attributes.milliseconds("DelaySeconds"), milliseconds);
            let mut stored = Stored::new(id.clone(), body.to_owned(), sender.to_owned(), now);
            stored.attributes = extras.attributes;
            stored.trace_header = extras.trace_header;
            let ticket = queue.push(stored, delay, now);
            match self.journal.add(&name, queue, ticket) {
                Err(error) if extras.unwritten == Unwritten::Refused => {
                    queue.take_back(ticket);
                    Err(ServiceError::internal(format!("{error:#}")))
                }
                Err(error) => {
                    tracing::error!(queue = name, error = format!("{error:#}"), "a message is in memory only");
                    Ok(())
                }
                Ok(()) => Ok(()),
            }
        })?;
        self.ring(&name);
        Ok(Sent { id, md5: message::md5_of_body(body) })
    }

    /// Whether the queue's policy lets an AWS service send for one of its resources.
    ///
    /// # Errors
    /// There is no such queue, or the reason why not.
    pub fn may_send(&self, queue_arn: &str, service: &str, source_arn: &str) -> Result<(), Undeliverable> {
        let missing = || Undeliverable::NoSuchQueue { queue: queue_arn.to_owned() };
        let name = self.name(queue_arn).map_err(|_| missing())?;
        let policy = self
            .state
            .read(|state| state.queues.get(&name).map(|queue| queue.attributes.get("Policy")))
            .ok_or_else(missing)?;
        let need = Need::new("sqs:SendMessage", queue_arn);
        let checked = self.world.iam.check_service(service, source_arn, &need, policy.as_deref());
        checked.map_err(|refusal| Undeliverable::NotAllowed { reason: refusal.to_string() })
    }

    /// A queue's policy, if there is such a queue and it has one.
    pub(crate) fn policy(&self, queue: &str) -> Option<String> {
        let name = self.name(queue).ok()?;
        self.state.read(|state| state.queues.get(&name).and_then(|queue| queue.attributes.get("Policy")))
    }

    /// Sends a message as an AWS service does it: only if the queue's policy lets it.
    ///
    /// # Errors
    /// No such queue, no permission, or a message that the queue does not take, or not now.
    pub fn send_for_service(
        &self,
        queue_arn: &str,
        service: &str,
        source_arn: &str,
        body: &str,
        attributes: BTreeMap<String, MessageAttribute>,
    ) -> Result<Sent, Undeliverable> {
        self.send_for(queue_arn, (service, source_arn), body, Extras { attributes, ..Extras::default() })
    }

    /// [`Sqs::send_for_service`] with whatever can be sent beside a body.
    ///
    /// # Errors
    /// The same.
    pub(crate) fn send_for(
        &self,
        queue_arn: &str,
        (service, source_arn): (&str, &str),
        body: &str,
        extras: Extras,
    ) -> Result<Sent, Undeliverable> {
        self.may_send(queue_arn, service, source_arn)?;
        let extras = Extras { unwritten: Unwritten::Kept, ..extras };
        self.send_as(queue_arn, body, service, extras).map_err(|refused| match refused.code.as_str() {
            "QueueDoesNotExist" => Undeliverable::NoSuchQueue { queue: queue_arn.to_owned() },
            _ if refused.status >= 500 => Undeliverable::Failed { reason: refused.message },
            _ => Undeliverable::Refused { reason: refused.message },
        })
    }
}
