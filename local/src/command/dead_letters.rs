//! The dead letters of a function: looked at without being taken away, or taken to be sent again.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use serde_json::Value;
use signalbox_aws::{Aws, Queue, Received};
use signalbox_events::{Parsed, id_of, parse_event};

use super::account::{Entered, FunctionParts};

/// How long dead letters are hidden from others while they are looked at.
const LOOK: Duration = Duration::from_secs(30);

/// What EventBridge adds to an event that it could not deliver.
pub(super) const UNDELIVERED: [&str; 6] =
    ["ERROR_CODE", "ERROR_MESSAGE", "EXHAUSTED_RETRY_CONDITION", "RETRY_ATTEMPTS", "RULE_ARN", "TARGET_ARN"];

/// Something that a function gave up on.
#[derive(Debug, Clone)]
pub(super) struct DeadLetter {
    pub(super) message: Received,
    /// The event's own id, where it has one.
    pub(super) event: Option<String>,
    /// In one line.
    pub(super) summary: String,
}

impl DeadLetter {
    fn new(message: Received) -> Self {
        let body: Option<Value> = serde_json::from_str(&message.body).ok();
        let own = || body.as_ref().and_then(|body| body.get("id")?.as_str()).map(str::to_owned);
        let event = id_of(message.body.as_bytes()).map(String::from).or_else(own);
        Self { event, summary: summary(&message.body), message }
    }

    /// The event's id, or the message's.
    pub(super) fn id(&self) -> &str {
        self.event.as_deref().unwrap_or(&self.message.id)
    }

    /// What EventBridge says of an event that never reached the queue.
    pub(super) fn undelivered(&self) -> Option<String> {
        let code = self.message.attribute("ERROR_CODE")?;
        let message = self.message.attribute("ERROR_MESSAGE").unwrap_or_default();
        Some(format!("EventBridge could not put it into the queue: {code} {message}").trim_end().to_owned())
    }
}

/// An event in one line.
pub(super) fn summary(body: &str) -> String {
    match parse_event(body.as_bytes()) {
        Ok(Parsed::Ours(event)) => event.detail.to_string(),
        Ok(Parsed::NotOurs(other)) => format!("{} from {}", other.detail_type, other.source),
        Err(error) => format!("no event ({error}; {} bytes)", body.len()),
    }
}

/// So many receives in a row without anything new end the taking, if the queue counts nothing that waits.
const BARREN: u32 = 2;

/// So many end it in any case: a count may be minutes old.
const MOST_BARREN: u32 = 10;

/// Takes messages out of a dead-letter queue, each once, hidden until they are given back or deleted.
#[derive(Debug)]
pub(super) struct Taker {
    queue: Queue,
    seen: BTreeSet<String>,
    hidden: Duration,
    until: Timestamp,
    /// What is not wanted stays hidden to the end: given back at once it would be in the way of the rest.
    held: Vec<Received>,
}

impl Taker {
    /// Only what was there at `until` is taken: what fails again meanwhile is not sent in circles.
    pub(super) fn new(aws: &Aws, function: &FunctionParts, hidden: Duration, until: Timestamp) -> Self {
        let queue = Queue::new(aws, &function.dead_letters);
        Self { queue, seen: BTreeSet::new(), hidden, until, held: Vec::new() }
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The next few; none when all were seen.
    ///
    /// One receive that brings nothing is no end: a queue lies on many servers, and not all of them answer each time.
    pub(super) async fn next(&mut self, entered: &Entered) -> anyhow::Result<Vec<DeadLetter>> {
        let mut barren = 0;
        loop {
            let mut fresh = Vec::new();
            for message in entered.or_told(self.queue.receive(self.hidden).await)? {
                let is_new = self.seen.insert(message.id.clone());
                let was_there = message.sent.is_none_or(|sent| sent <= self.until);
                if is_new && was_there { fresh.push(DeadLetter::new(message)) } else { self.held.push(message) }
            }
            if !fresh.is_empty() {
                return Ok(fresh);
            }
            barren += 1;
            let is_end =
                barren >= MOST_BARREN || (barren >= BARREN && entered.or_told(self.queue.depth().await)?.visible == 0);
            if is_end {
                return Ok(fresh);
            }
        }
    }

    /// Keeps a message hidden until [`Taker::finish`].
    pub(super) fn hold(&mut self, letter: DeadLetter) {
        self.held.push(letter.message);
    }

    /// Lets everything that was held be seen again at once; what cannot be given back comes back by itself.
    ///
    /// An error tells that nobody may give back: then all of it stays hidden for its time.
    pub(super) async fn finish(self, entered: &Entered) -> anyhow::Result<()> {
        for message in &self.held {
            match self.queue.show_again_in(&message.receipt, Duration::ZERO).await {
                Err(failure) if failure.is_forbidden() => {
                    let hidden = format!("they stay hidden from others for {} seconds", self.hidden.as_secs());
                    return entered.or_told(Err(failure)).context(hidden);
                }
                // Its time was over before.
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}

/// Up to `most` dead letters, newest first, given back at once.
pub(super) async fn look(entered: &Entered, function: &FunctionParts, most: usize) -> anyhow::Result<Vec<DeadLetter>> {
    let mut taker = Taker::new(&entered.aws, function, LOOK, Timestamp::now());
    let mut found: Vec<DeadLetter> = Vec::new();
    let mut failed = None;
    while found.len() < most {
        match taker.next(entered).await {
            Ok(more) if more.is_empty() => break,
            Ok(more) => found.extend(more),
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    for letter in &found {
        taker.hold(letter.clone());
    }
    let given_back = taker.finish(entered).await;
    if let Some(error) = failed {
        return Err(error);
    }
    given_back?;
    found.sort_by_key(|letter| std::cmp::Reverse(letter.message.sent));
    Ok(found)
}
