//! Claims: who works on an event, for how long, and what is already done.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use signalbox_aws::{Bucket, Failure, Object, Put};
use signalbox_events::{Envelope, EventId};

use crate::entry::{Entry, Outcome, Phase, Report, Round};

/// The ledger of one function.
#[derive(Debug, Clone)]
pub struct Ledger {
    bucket: Bucket,
    function: String,
}

/// One time that an event is run: the first, or once more after it was finished.
///
/// A delivery says which time it is for. One of an earlier time finds the event finished, though it was opened again: a late
/// copy of the event shall not take the place of the delivery that somebody wished for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn<'a> {
    event: &'a EventId,
    round: u32,
}

impl<'a> Turn<'a> {
    /// The first time.
    pub fn first(event: &'a EventId) -> Self {
        Self { event, round: 0 }
    }

    /// The time after the event was finished so often.
    pub fn after(event: &'a EventId, round: u32) -> Self {
        Self { event, round }
    }

    /// The time that the event itself says.
    pub fn of(envelope: &'a Envelope) -> Self {
        Self { event: &envelope.id, round: envelope.again.as_ref().map_or(0, |again| again.round) }
    }

    /// The event.
    pub fn event(&self) -> &'a EventId {
        self.event
    }

    /// Whether the entry has been opened again since.
    fn is_over(&self, entry: &Entry) -> bool {
        entry.rounds() > self.round
    }
}

/// What a claim came to.
#[derive(Debug)]
#[must_use]
pub enum Claim {
    /// It is ours until the lease runs out.
    Held(Box<Held>),
    /// It is finished: nothing is left to do.
    Finished(Box<Entry>),
    /// Another invocation works on it.
    Busy {
        /// When its lease runs out.
        until: Timestamp,
    },
}

/// What became of a finished event that shall run once more.
#[derive(Debug)]
#[must_use]
pub enum Reopened {
    /// The next delivery of the event is granted the claim, and begins anew.
    Open {
        /// How often the event was finished before.
        round: u32,
        /// The event as it came, without the values of variables.
        received: Value,
    },
    /// The ledger knows no such event: nothing was to be done for it, or it is too long ago.
    Unknown,
    /// It is not finished: it waits in its queue or among the dead letters.
    Unfinished,
    /// It is being worked on.
    Busy {
        /// When the lease runs out.
        until: Timestamp,
    },
    /// It was finished without its event being kept: by an older version, or because it was none.
    NotKept,
}

/// What became of a report that needed no claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// It is written.
    Written,
    /// The event is finished already, and what it ended with stands.
    Before,
}

/// A claim that is ours. Every write names the version that we wrote last, so a successor stops us.
#[derive(Debug)]
pub struct Held {
    ledger: Ledger,
    entry: Entry,
    etag: String,
}

impl Ledger {
    /// The ledger of `function` in the stack's bucket.
    pub fn new(bucket: Bucket, function: impl Into<String>) -> Self {
        Self { bucket, function: function.into() }
    }

    /// Where an event's entry lies.
    pub fn key(&self, event: &EventId) -> String {
        format!("ledger/{}/{event}", self.function)
    }

    /// Claims an event for `lease`; a lease that ran out is taken over, with the outcomes that it left.
    ///
    /// # Errors
    /// As S3 fails; [`Failure::Retry`] where a race was lost, and where the entry cannot be read, as it can be mended or deleted.
    pub async fn claim(&self, turn: Turn<'_>, lease: SignedDuration, now: Timestamp) -> Result<Claim, Failure> {
        let key = self.key(turn.event);
        let mut entry = Entry {
            function: self.function.clone(),
            event: turn.event.clone(),
            writer: draw(&key)?,
            phase: Phase::Claimed { until: now.saturating_add(lease).unwrap_or(Timestamp::MAX) },
            attempts: 1,
            outcomes: BTreeMap::new(),
            report: None,
            earlier: Vec::new(),
        };
        let bytes = encode(&key, &entry)?;
        if let Put::Written { etag } = self.bucket.put_new(&key, bytes.clone()).await? {
            return Ok(Claim::Held(Box::new(Held { ledger: self.clone(), entry, etag })));
        }
        let Some(object) = self.bucket.get(&key).await? else {
            return Err(Failure::retry(
                format!("claiming {key}"),
                "the entry was there and is gone; it will be looked at again",
            ));
        };
        if object.bytes == bytes {
            return Ok(Claim::Held(Box::new(Held { ledger: self.clone(), entry, etag: object.etag })));
        }
        let there = decode(&key, &object)?;
        match there.phase {
            Phase::Done | Phase::Refused => Ok(Claim::Finished(Box::new(there))),
            Phase::Claimed { .. } if turn.is_over(&there) => Ok(Claim::Finished(Box::new(there))),
            Phase::Claimed { until } if until > now => Ok(Claim::Busy { until }),
            Phase::Claimed { .. } => {
                entry.attempts = there.attempts.saturating_add(1);
                entry.outcomes = there.outcomes;
                entry.earlier = there.earlier;
                let etag = self.put_over(&key, encode(&key, &entry)?, &object.etag).await?;
                Ok(Claim::Held(Box::new(Held { ledger: self.clone(), entry, etag })))
            }
        }
    }

    /// Records the report of an event that asked for nothing, unless it is finished already; says which.
    ///
    /// # Errors
    /// As S3 fails; [`Failure::busy`] where another invocation holds the claim.
    pub async fn note(&self, turn: Turn<'_>, report: Report, now: Timestamp) -> Result<Noted, Failure> {
        self.write_finished(turn, Phase::Done, report, now).await
    }

    /// Records that an event can never be done, unless it is finished already.
    ///
    /// # Errors
    /// As [`Ledger::note`].
    pub async fn refuse(&self, turn: Turn<'_>, report: Report, now: Timestamp) -> Result<Noted, Failure> {
        self.write_finished(turn, Phase::Refused, report, now).await
    }

    /// An event's entry; `None` where there is none.
    ///
    /// # Errors
    /// As S3 fails; [`Failure::Retry`] for an entry that cannot be read.
    pub async fn read(&self, event: &EventId) -> Result<Option<Entry>, Failure> {
        let key = self.key(event);
        self.bucket.get(&key).await?.map(|object| decode(&key, &object)).transpose()
    }

    /// Opens a finished event again, so that its next delivery runs it once more; how it ended is kept in the entry.
    ///
    /// One that was opened already and not claimed since stays as it is: whoever was interrupted may ask again.
    ///
    /// # Errors
    /// As S3 fails; [`Failure::Retry`] where somebody else changed the entry meanwhile.
    pub async fn reopen(&self, event: &EventId, now: Timestamp) -> Result<Reopened, Failure> {
        let key = self.key(event);
        let Some(object) = self.bucket.get(&key).await? else { return Ok(Reopened::Unknown) };
        let mut entry = decode(&key, &object)?;
        match entry.phase {
            Phase::Claimed { until } if until > now => return Ok(Reopened::Busy { until }),
            Phase::Claimed { .. } if entry.earlier.is_empty() => return Ok(Reopened::Unfinished),
            Phase::Claimed { .. } | Phase::Done | Phase::Refused => {}
        }
        let Some(received) = entry.received().cloned() else { return Ok(Reopened::NotKept) };
        if matches!(entry.phase, Phase::Done | Phase::Refused) {
            let ended = Round {
                phase: entry.phase,
                outcomes: std::mem::take(&mut entry.outcomes),
                report: entry.report.take(),
            };
            entry.earlier.push(ended);
            entry.phase = Phase::Claimed { until: Timestamp::UNIX_EPOCH };
            entry.writer = draw(&key)?;
            self.put_over(&key, encode(&key, &entry)?, &object.etag).await?;
        }
        Ok(Reopened::Open { round: entry.rounds(), received })
    }

    async fn write_finished(
        &self,
        turn: Turn<'_>,
        phase: Phase,
        report: Report,
        now: Timestamp,
    ) -> Result<Noted, Failure> {
        let key = self.key(turn.event);
        let function = self.function.clone();
        let mut entry = Entry {
            function,
            event: turn.event.clone(),
            writer: draw(&key)?,
            phase,
            attempts: 1,
            outcomes: BTreeMap::new(),
            report: Some(report),
            earlier: Vec::new(),
        };
        if let Put::Written { .. } = self.bucket.put_new(&key, encode(&key, &entry)?).await? {
            return Ok(Noted::Written);
        }
        let Some(object) = self.bucket.get(&key).await? else { return Err(lost(&key)) };
        let there = decode(&key, &object)?;
        match there.phase {
            // Our own write, whose answer was cut off.
            Phase::Done | Phase::Refused if there.writer == entry.writer => return Ok(Noted::Written),
            Phase::Done | Phase::Refused => return Ok(Noted::Before),
            Phase::Claimed { .. } if turn.is_over(&there) => return Ok(Noted::Before),
            Phase::Claimed { until } if until > now => return Err(Failure::busy(format!("writing {key}"), until)),
            Phase::Claimed { .. } => {}
        }
        // A claim whose invocation died half-way: this word finishes it, and tells what was done before.
        entry.attempts = there.attempts.saturating_add(1);
        if let Some(report) = &mut entry.report {
            report
                .actions
                .extend(there.outcomes.iter().map(|(action, outcome)| format!("{action}: {outcome} (done before)")));
        }
        entry.outcomes = there.outcomes;
        entry.earlier = there.earlier;
        self.put_over(&key, encode(&key, &entry)?, &object.etag).await.map(|_| Noted::Written)
    }

    /// Writes over the entry of this tag; gives the new tag.
    ///
    /// Where S3 says that somebody was faster it may have been this very write: its answer was cut off, and the SDK sent it
    /// again. No two invocations write the same bytes: each draws a number for its entries.
    async fn put_over(&self, key: &str, bytes: Vec<u8>, etag: &str) -> Result<String, Failure> {
        if let Put::Written { etag } = self.bucket.put_over(key, bytes.clone(), etag).await? {
            return Ok(etag);
        }
        let there = self.bucket.get(key).await?;
        there.filter(|there| there.bytes == bytes).map(|there| there.etag).ok_or_else(|| lost(key))
    }
}

impl Held {
    /// What an earlier invocation, or this one, already did under this key.
    pub fn outcome(&self, action: &str) -> Option<&Outcome> {
        self.entry.outcomes.get(action)
    }

    /// Everything that is recorded, under its key.
    pub fn outcomes(&self) -> impl Iterator<Item = (&String, &Outcome)> {
        self.entry.outcomes.iter()
    }

    /// How many invocations have claimed the event, this one counted.
    pub fn attempts(&self) -> u32 {
        self.entry.attempts
    }

    /// Records what came of an action, before the next one begins.
    ///
    /// # Errors
    /// [`Failure::Retry`] where a successor has taken over: then this invocation must stop.
    pub async fn record(&mut self, action: &str, outcome: Outcome) -> Result<(), Failure> {
        self.record_with_the_next(action, outcome);
        self.write().await
    }

    /// Records what came of an action with the next write, for one after which the claim is closed at once and which can be done twice.
    pub fn record_with_the_next(&mut self, action: &str, outcome: Outcome) {
        self.entry.outcomes.insert(action.to_owned(), outcome);
    }

    /// Closes the claim with its report: done.
    ///
    /// # Errors
    /// As [`Held::record`].
    pub async fn finish(self, report: Report) -> Result<(), Failure> {
        self.close(Phase::Done, report).await
    }

    /// Closes the claim with its report: something in it can never be done.
    ///
    /// # Errors
    /// As [`Held::record`].
    pub async fn refuse(self, report: Report) -> Result<(), Failure> {
        self.close(Phase::Refused, report).await
    }

    async fn close(mut self, phase: Phase, report: Report) -> Result<(), Failure> {
        self.entry.phase = phase;
        self.entry.report = Some(report);
        self.write().await
    }

    /// Gives the claim back at once, so that a retry need not wait for the lease; what was done stays recorded.
    ///
    /// # Errors
    /// As [`Held::record`].
    pub async fn release(mut self) -> Result<(), Failure> {
        self.entry.phase = Phase::Claimed { until: Timestamp::UNIX_EPOCH };
        self.write().await
    }

    async fn write(&mut self) -> Result<(), Failure> {
        let key = self.ledger.key(&self.entry.event);
        self.etag = self.ledger.put_over(&key, encode(&key, &self.entry)?, &self.etag).await?;
        Ok(())
    }
}

/// A number that no other invocation is likely to draw for the same event.
fn draw(key: &str) -> Result<u32, Failure> {
    getrandom::u32().map_err(|error| Failure::retry(format!("writing {key}"), format!("no random number: {error}")))
}

fn lost(key: &str) -> Failure {
    Failure::retry(format!("writing {key}"), "another invocation was faster; the event will be looked at again")
}

pub(crate) fn encode<T: serde::Serialize>(key: &str, value: &T) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec_pretty(value)
        .map_err(|error| Failure::refused(format!("writing {key}"), format!("it cannot be written as JSON: {error}")))
}

fn decode(key: &str, object: &Object) -> Result<Entry, Failure> {
    serde_json::from_slice(&object.bytes).map_err(|error| {
        Failure::retry(
            format!("reading {key}"),
            format!("it is no ledger entry ({error}); delete the object to handle the event anew"),
        )
    })
}
