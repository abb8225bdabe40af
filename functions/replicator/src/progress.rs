//! What came of the pushes to one target so far, to be read also when they were stopped.

use std::collections::BTreeMap;

use signalbox_aws::{Failure, Upload};
use signalbox_events::{Obstacle, RefName};
use signalbox_gitwire::http::{Meter, Source, Target};
use signalbox_replicator_rules::{Command, GotOn, Listing, Object, Unfit, WrittenBundle};
use tokio::time::Instant;

use crate::push::{Had, Sent, send};

/// Breaking off says nothing of a pack's length where no more than this had gone by.
const LONG: u64 = 8_000_000;

/// So many pushes in a row that a target declines say that it minds all of them. Halving finds one ref among 4,000 in twelve.
const MOST_IN_VAIN: usize = 16;

/// What came of the pushes to one target.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) sent: Sent,
    /// Steps beside the refs, each as a sentence.
    pub(crate) steps: Vec<String>,
    /// What a person must mend.
    pub(crate) troubles: Vec<Obstacle>,
    /// A bundle that is not whole yet.
    pub(crate) upload: Option<Upload>,
    /// The bundle that was written, and what it holds.
    pub(crate) bundle: Option<(WrittenBundle, Listing)>,
    /// Why the rest must be tried again.
    pub(crate) later: Option<Failure>,
    /// Branches on the way to their tips, and where they have come.
    pub(crate) stands: BTreeMap<RefName, Object>,
    /// How many of the troubles are pushes of which no part fits.
    pub(crate) out_of_reach: usize,
    /// The push that goes on at the moment.
    trying: Option<Trying>,
    /// Whether one got through.
    has_got_on: bool,
}

struct Trying {
    commands: Vec<Command>,
    since: Instant,
    meter: Option<Meter>,
}

impl Progress {
    fn add(&mut self, sent: Sent) {
        self.has_got_on |= sent.moved > 0;
        self.sent.add(sent);
    }

    /// A branch has come to a commit on the way to its tip.
    pub(crate) fn stands(&mut self, name: &RefName, at: &Object) {
        self.stands.insert(name.clone(), at.clone());
        // It is no ref that moved to where it shall be.
        self.sent.moved = self.sent.moved.saturating_sub(1);
    }

    /// A branch has come to its tip.
    pub(crate) fn came(&mut self, name: &RefName, steps: usize) {
        self.stands.remove(name);
        self.steps.push(format!("{name} came in {steps} steps"));
    }

    pub(crate) fn is_out_of_reach(&mut self, obstacle: Obstacle) {
        self.troubles.push(obstacle);
        self.out_of_reach += 1;
    }

    /// What is remembered of a long push that broke off: shorter ones may get through.
    pub(crate) fn broken(&self, before: Option<&Unfit>, whole: u64) -> Option<Unfit> {
        let bytes = self.trying.as_ref().and_then(|trying| trying.meter.as_ref()).map_or(0, Meter::bytes);
        if bytes < LONG {
            return before.cloned();
        }
        // How long it took says nothing about whether it would get through another time.
        self.unfit(before, whole).map(|unfit| Unfit { seconds: 0, ..unfit })
    }

    /// What is remembered of the push that was stopped in an invocation that had so many seconds.
    pub(crate) fn unfit(&self, before: Option<&Unfit>, whole: u64) -> Option<Unfit> {
        let Some(trying) = &self.trying else { return before.cloned() };
        let bytes = trying.meter.as_ref().map_or(0, Meter::bytes);
        let got_on = if self.has_got_on { GotOn::Somewhat } else { GotOn::NotAtAll };
        let seconds = trying.since.elapsed().as_secs();
        Some(Unfit::after(before, &trying.commands, bytes, (seconds, whole), got_on))
    }
}

/// How one push ended.
pub(crate) enum Fit {
    /// All its refs moved.
    Moved,
    /// Some did not; the progress says which.
    Stuck,
    /// The target takes no pack of that size; nothing moved.
    TooLarge {
        /// How much of it was sent.
        bytes: u64,
        /// The target's words.
        words: String,
    },
}

/// Both ends of a copy.
pub(crate) struct Pusher<'a> {
    pub(crate) source: &'a Source,
    pub(crate) target: &'a Target,
    /// What the target has.
    pub(crate) had: Had,
}

impl Pusher<'_> {
    /// One push; where the target declines it as a whole, in parts, so that what it minds holds up nothing else.
    pub(crate) async fn push(&mut self, commands: &[Command], progress: &mut Progress) -> Result<Fit, Failure> {
        let mut parts = vec![commands.to_vec()];
        let (mut fit, mut in_vain) = (Fit::Moved, 0);
        while let Some(part) = parts.pop() {
            let (came, sent) = self.push_once(&part, progress).await?;
            match came {
                // The whole was not too large, so a part of it is a matter of its own.
                Fit::TooLarge { .. } if part.len() == commands.len() => return Ok(came),
                _ if sent.is_declined() && in_vain < MOST_IN_VAIN => {
                    in_vain += 1;
                    let (one, other) = part.split_at(part.len() / 2);
                    parts.push(other.to_vec());
                    parts.push(one.to_vec());
                    continue;
                }
                Fit::Moved => in_vain = 0,
                Fit::Stuck | Fit::TooLarge { .. } => fit = Fit::Stuck,
            }
            progress.add(sent);
        }
        Ok(fit)
    }

    async fn push_once(&mut self, commands: &[Command], progress: &mut Progress) -> Result<(Fit, Sent), Failure> {
        let trying = Trying { commands: commands.to_vec(), since: Instant::now(), meter: None };
        let meter = &mut progress.trying.insert(trying).meter;
        let sent = send(self.source, self.target, &mut self.had, commands, meter).await;
        let bytes = meter.as_ref().map_or(0, Meter::bytes);
        let mut sent = sent?;
        progress.trying = None;
        if let Some(words) = sent.too_large.take() {
            sent.refused.extend(commands.iter().map(|command| (command.name.to_string(), words.clone())));
            return Ok((Fit::TooLarge { bytes, words }, sent));
        }
        let fit = if sent.moved == commands.len() { Fit::Moved } else { Fit::Stuck };
        Ok((fit, sent))
    }
}
