//! One queue: what is visible, what is in flight, what is delayed, and what has grown too old.
//!
//! Nothing here knows the clock: every question comes with the moment (milliseconds since 1970) at which it is asked.
//! Messages lie in one map; three ordered sets say which is next to become visible, to be received and to expire, so that
//! every operation costs the logarithm of the queue's length.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::attributes::{Attributes, Redrive};
use super::message::{Message, MessageAttribute};

/// A message's place in the order of arrival; smaller is older.
pub(super) type Ticket = u64;

/// A message as the queue keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) id: String,
    pub(super) body: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) attributes: BTreeMap<String, MessageAttribute>,
    pub(super) sender: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trace_header: Option<String>,
    /// When it was first enqueued anywhere: its age counts from here even in a dead-letter queue.
    pub(super) sent: i64,
    #[serde(default)]
    pub(super) receives: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) first_received: Option<i64>,
    /// The ARN of the queue that a dead letter came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) dead_letter_source: Option<String>,
    #[serde(default)]
    place: Place,
}

/// Where a message is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Place {
    #[default]
    Visible,
    DelayedUntil(i64),
    InFlightUntil(i64),
}

impl Stored {
    pub(super) fn new(id: String, body: String, sender: String, sent: i64) -> Self {
        Self {
            id,
            body,
            attributes: BTreeMap::new(),
            sender,
            trace_header: None,
            sent,
            receives: 0,
            first_received: None,
            dead_letter_source: None,
            place: Place::Visible,
        }
    }
}

/// How many messages are where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that can be received now.
    pub visible: usize,
    /// Messages that were received and neither deleted nor given back.
    pub in_flight: usize,
    /// Messages that were sent with a delay that has not run out.
    pub delayed: usize,
    /// How long ago the oldest message was first enqueued.
    pub oldest_age: Option<std::time::Duration>,
}

/// Why a message's visibility cannot be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReceiptProblem {
    /// It is no receipt of this queue.
    Malformed,
    /// The message is gone, is visible again, or was received again since.
    NotInFlight,
}

/// A queue.
#[derive(Debug, Serialize, Deserialize)]
#[serde(from = "Snapshot")]
pub(super) struct Queue {
    /// Drawn when it was made, so that a receipt of a queue that had the same name before is no receipt.
    mark: String,
    pub(super) created: i64,
    pub(super) modified: i64,
    pub(super) attributes: Attributes,
    next: Ticket,
    messages: BTreeMap<Ticket, Stored>,
    #[serde(skip_serializing)]
    visible: BTreeSet<Ticket>,
    #[serde(skip_serializing)]
    waiting: BTreeSet<(i64, Ticket)>,
    #[serde(skip_serializing)]
    by_age: BTreeSet<(i64, Ticket)>,
    #[serde(skip_serializing)]
    in_flight: usize,
}

/// A queue as it lies on disk.
#[derive(Deserialize)]
struct Snapshot {
    mark: String,
    created: i64,
    modified: i64,
    attributes: Attributes,
    next: Ticket,
    messages: BTreeMap<Ticket, Stored>,
}

impl From<Snapshot> for Queue {
    /// Whoever had received a message is gone with the process: it becomes visible again.
    fn from(snapshot: Snapshot) -> Self {
        let mut queue = Self::new(snapshot.mark, snapshot.attributes, snapshot.created);
        queue.modified = snapshot.modified;
        queue.next = snapshot.next;
        for (ticket, mut stored) in snapshot.messages {
            if matches!(stored.place, Place::InFlightUntil(_)) {
                stored.place = Place::Visible;
            }
            queue.put(ticket, stored);
        }
        queue
    }
}

impl Queue {
    pub(super) fn new(mark: String, attributes: Attributes, now: i64) -> Self {
        Self {
            mark,
            created: now,
            modified: now,
            attributes,
            next: 0,
            messages: BTreeMap::new(),
            visible: BTreeSet::new(),
            waiting: BTreeSet::new(),
            by_age: BTreeSet::new(),
            in_flight: 0,
        }
    }

    fn put(&mut self, ticket: Ticket, stored: Stored) {
        match stored.place {
            Place::Visible => drop(self.visible.insert(ticket)),
            Place::DelayedUntil(until) => drop(self.waiting.insert((until, ticket))),
            Place::InFlightUntil(until) => {
                self.waiting.insert((until, ticket));
                self.in_flight += 1;
            }
        }
        self.by_age.insert((stored.sent, ticket));
        self.messages.insert(ticket, stored);
    }

    fn take(&mut self, ticket: Ticket) -> Option<Stored> {
        let stored = self.messages.remove(&ticket)?;
        self.by_age.remove(&(stored.sent, ticket));
        match stored.place {
            Place::Visible => drop(self.visible.remove(&ticket)),
            Place::DelayedUntil(until) => drop(self.waiting.remove(&(until, ticket))),
            Place::InFlightUntil(until) => {
                self.waiting.remove(&(until, ticket));
                self.in_flight -= 1;
            }
        }
        Some(stored)
    }

    /// Adds a message, to be seen at once or after a delay.
    pub(super) fn push(&mut self, mut stored: Stored, delay: i64, now: i64) -> Ticket {
        stored.place = if delay > 0 { Place::DelayedUntil(now + delay) } else { Place::Visible };
        let ticket = self.next;
        self.next += 1;
        self.put(ticket, stored);
        ticket
    }

    /// Takes back a message that could not be accepted after all.
    pub(super) fn take_back(&mut self, ticket: Ticket) {
        self.take(ticket);
    }

    /// A message with the mark of its queue, to be written down.
    pub(super) fn entry(&self, ticket: Ticket) -> Option<(&str, &Stored)> {
        Some((&self.mark, self.messages.get(&ticket)?))
    }

    /// Adds a message that was written down, if this is its queue and has not had it.
    pub(super) fn restore(&mut self, mark: &str, ticket: Ticket, stored: Stored) -> bool {
        let lacks = self.mark == mark && ticket >= self.next;
        if lacks {
            self.next = ticket + 1;
            self.put(ticket, stored);
        }
        lacks
    }

    /// Lets the time pass: what is too old goes, what has waited long enough is seen again.
    pub(super) fn settle(&mut self, now: i64) {
        let oldest = now - self.attributes.milliseconds("MessageRetentionPeriod");
        while let Some((_, ticket)) = self.by_age.first().copied().filter(|(sent, _)| *sent <= oldest) {
            self.take(ticket);
        }
        while let Some((until, ticket)) = self.waiting.first().copied().filter(|(until, _)| *until <= now) {
            self.waiting.remove(&(until, ticket));
            if let Some(stored) = self.messages.get_mut(&ticket) {
                if matches!(stored.place, Place::InFlightUntil(_)) {
                    self.in_flight -= 1;
                }
                stored.place = Place::Visible;
                self.visible.insert(ticket);
            }
        }
    }

    /// Whether time has passed for any message since the queue was last settled.
    pub(super) fn is_unsettled(&self, now: i64) -> bool {
        let oldest = now - self.attributes.milliseconds("MessageRetentionPeriod");
        self.next_visible().is_some_and(|until| until <= now)
            || self.by_age.first().is_some_and(|(sent, _)| *sent <= oldest)
    }

    /// Whether a receive at this moment could give anything.
    pub(super) fn has_work(&self, now: i64) -> bool {
        !self.visible.is_empty() || self.next_visible().is_some_and(|until| until <= now)
    }

    /// When the next message that waits becomes visible.
    pub(super) fn next_visible(&self) -> Option<i64> {
        self.waiting.first().map(|(until, _)| *until)
    }

    pub(super) fn is_over_limit(&self, most: usize) -> bool {
        self.in_flight >= most
    }

    /// Takes out what was received as often as the redrive policy allows and is due again.
    ///
    /// They are looked for among the `most` at the front, which are those that a receive would give now. A message keeps
    /// its ticket, so what was received often is mostly older than what never was; a delayed message is not always, as it
    /// has had its ticket from the start. A dead letter behind such is found by a later receive, before it is given out.
    pub(super) fn take_dead_letters(&mut self, redrive: &Redrive, most: usize) -> Vec<Stored> {
        let dead: Vec<Ticket> = self
            .visible
            .iter()
            .take(most)
            .copied()
            .filter(|ticket| self.messages.get(ticket).is_some_and(|stored| stored.receives >= redrive.most_receives))
            .collect();
        dead.into_iter().filter_map(|ticket| self.take(ticket)).collect()
    }

    /// Receives up to `most` visible messages and hides them for `visibility` milliseconds.
    pub(super) fn receive(&mut self, most: usize, visibility: i64, now: i64) -> Vec<Message> {
        let tickets: Vec<Ticket> = self.visible.iter().take(most).copied().collect();
        let mut received = Vec::with_capacity(tickets.len());
        for ticket in tickets {
            let Some(stored) = self.messages.get_mut(&ticket) else { continue };
            stored.receives += 1;
            let first = *stored.first_received.get_or_insert(now);
            let mut system = BTreeMap::from([
                ("ApproximateFirstReceiveTimestamp".to_owned(), first.to_string()),
                ("ApproximateReceiveCount".to_owned(), stored.receives.to_string()),
                ("SenderId".to_owned(), stored.sender.clone()),
                ("SentTimestamp".to_owned(), stored.sent.to_string()),
            ]);
            if let Some(source) = &stored.dead_letter_source {
                system.insert("DeadLetterQueueSourceArn".to_owned(), source.clone());
            }
            if let Some(header) = &stored.trace_header {
                system.insert("AWSTraceHeader".to_owned(), header.clone());
            }
            received.push(Message {
                id: stored.id.clone(),
                receipt: format!("{}-{ticket}-{}", self.mark, stored.receives),
                body: stored.body.clone(),
                attributes: stored.attributes.clone(),
                system_attributes: system,
            });
            self.hide(ticket, visibility, now);
        }
        received
    }

    fn hide(&mut self, ticket: Ticket, visibility: i64, now: i64) {
        if let Some(mut stored) = self.take(ticket) {
            stored.place = if visibility > 0 { Place::InFlightUntil(now + visibility) } else { Place::Visible };
            self.put(ticket, stored);
        }
    }

    /// The ticket and the receive that a receipt is for.
    fn read_receipt(&self, receipt: &str) -> Option<(Ticket, u32)> {
        let (ticket, receive) = receipt.strip_prefix(&self.mark)?.strip_prefix('-')?.split_once('-')?;
        Some((ticket.parse().ok()?, receive.parse().ok()?))
    }

    /// Deletes the message of a receipt; a receipt that went stale deletes nothing and is no error, as on AWS.
    pub(super) fn delete(&mut self, receipt: &str) -> Result<(), ReceiptProblem> {
        let (ticket, receive) = self.read_receipt(receipt).ok_or(ReceiptProblem::Malformed)?;
        if self.messages.get(&ticket).is_some_and(|stored| stored.receives == receive) {
            self.take(ticket);
        }
        Ok(())
    }

    /// Hides the message of a receipt for `visibility` milliseconds from now; with 0 it is seen again at once.
    pub(super) fn change_visibility(&mut self, receipt: &str, visibility: i64, now: i64) -> Result<(), ReceiptProblem> {
        let (ticket, receive) = self.read_receipt(receipt).ok_or(ReceiptProblem::Malformed)?;
        let in_flight = self
            .messages
            .get(&ticket)
            .is_some_and(|stored| stored.receives == receive && matches!(stored.place, Place::InFlightUntil(_)));
        if !in_flight {
            return Err(ReceiptProblem::NotInFlight);
        }
        self.hide(ticket, visibility, now);
        Ok(())
    }

    /// Takes out all that is visible, oldest first.
    pub(super) fn drain_visible(&mut self) -> Vec<Stored> {
        let tickets: Vec<Ticket> = self.visible.iter().copied().collect();
        tickets.into_iter().filter_map(|ticket| self.take(ticket)).collect()
    }

    /// Throws every message away.
    pub(super) fn purge(&mut self) {
        self.messages.clear();
        self.visible.clear();
        self.waiting.clear();
        self.by_age.clear();
        self.in_flight = 0;
    }

    pub(super) fn counts(&self, now: i64) -> Counts {
        let age = |sent: i64| std::time::Duration::from_millis(u64::try_from(now - sent).unwrap_or_default());
        Counts {
            visible: self.visible.len(),
            in_flight: self.in_flight,
            delayed: self.waiting.len().saturating_sub(self.in_flight),
            oldest_age: self.by_age.first().map(|(sent, _)| age(*sent)),
        }
    }
}

#[cfg(test)]
mod tests;
