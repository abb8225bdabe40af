//! The sweep: which branches moved without an event that told of it.
//!
//! CodeCommit's events are best effort. The sweep looks at where branches are, compares that with what it saw last, and
//! finds the pushes that nobody took up. What it sees for the first time is only remembered.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use signalbox_events::{
    CommitId, Detail, Envelope, Event, EventId, RefChange, RefName, ReferenceChange, RepositoryName,
};
use signalbox_policy::{Policy, Trigger};

use crate::facts::Push;
use crate::journal::{Arrival, Known};
use crate::needs::not_yet;
use crate::review_sweep::takes_reviews;
use crate::trouble::Trouble;

/// A memory that nobody has looked at for this long before the last whole round tells nothing: the repository begins anew.
const STALE: SignedDuration = SignedDuration::from_hours(48);

/// A memory in which nothing changes is written this often all the same, so that it does not go stale.
const REFRESH: SignedDuration = SignedDuration::from_hours(12);

/// A scheduled event that is this much older than a sweep was waiting when that one began.
const OVERDUE: SignedDuration = SignedDuration::from_mins(1);

/// Where the next sweep goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The repository; `None` begins with the first.
    pub repository: Option<RepositoryName>,
    /// The branch behind which it goes on there; `None` begins with the first.
    pub behind: Option<String>,
    /// When the last round began in which every repository was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<Timestamp>,
    /// When the round began that goes on there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<Timestamp>,
    /// The repositories of which something is open: a sweep that has no time to look there again must not pass for whole.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub troubled: BTreeSet<RepositoryName>,
}

impl Cursor {
    /// Where it lies in the bucket.
    pub const KEY: &str = "state/sweep/cursor.json";

    /// When the round began that looked for this scheduled event, too; `None` where it must sweep itself.
    ///
    /// After an outage many wait in the queue. When they have come around, everything was looked at for the others, too.
    pub fn answers(&self, due: Option<Timestamp>) -> Option<Timestamp> {
        self.began.filter(|began| due.is_some_and(|due| began.duration_since(due) > OVERDUE))
    }

    /// The cursor behind a sweep that began where this one says, at that time, and stopped before a repository, or behind a
    /// branch of it; `None` where it came around.
    #[must_use]
    pub fn after(&self, began: Timestamp, stopped: Option<(RepositoryName, Option<String>)>) -> Self {
        let round = self.round.filter(|_| self.repository.is_some()).unwrap_or(began);
        let Some((repository, behind)) = stopped else {
            // A sweep that went on within a repository saw the rest of it in the sweeps before.
            let whole = if self.behind.is_some() { round } else { began };
            return Self { began: Some(whole), ..Self::default() };
        };
        // Past the last repository the next round begins with the first.
        let is_next = self.repository.as_ref().is_some_and(|from| repository < *from);
        let (began, round) = if is_next { (Some(round), began) } else { (self.began, round) };
        Self { repository: Some(repository), behind, began, round: Some(round), ..Self::default() }
    }

    /// The cursor over what is there by now, which a later sweep may have written.
    #[must_use]
    pub fn over(&self, there: Option<&Self>) -> Self {
        Self { began: self.began.max(there.and_then(|there| there.began)), ..self.clone() }
    }
}

/// What the sweep remembers of one repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The repository's UUID: one that was deleted and made again begins anew.
    pub repository_id: Option<String>,
    /// When this was last written.
    pub written: Timestamp,
    /// Every branch by its short name; `None` for one that no trigger wants, or that nobody has looked at yet.
    pub branches: BTreeMap<String, Option<Seen>>,
    /// Why the repository could not be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
    /// Why branches could not be looked at or dealt with, by their short names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub troubles: BTreeMap<String, Trouble>,
}

/// Where a branch was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The commit.
    pub commit: CommitId,
    /// When it was seen there first.
    pub since: Timestamp,
}

/// What one look at a repository showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// The repository.
    pub repository: RepositoryName,
    /// Its UUID.
    pub repository_id: Option<String>,
    /// When the look began.
    pub at: Timestamp,
    /// Every branch there is, by short name.
    pub listed: BTreeSet<String>,
    /// Those of them that a trigger wants.
    pub wanted: BTreeSet<String>,
    /// Where those are that were looked at.
    pub tips: BTreeMap<String, Tip>,
    /// What was remembered before.
    pub memory: Option<Memory>,
    /// When the last round began in which every repository was looked at, as far as is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<Timestamp>,
}

/// A repository that is known, and looked at as if for the first time all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeginsAnew {
    /// The repository.
    pub repository: RepositoryName,
    /// When it was last looked at, where that is too long ago; `None` where it was deleted and made again.
    pub stale_since: Option<Timestamp>,
}

/// Where a branch is, as one call told. It was there at some moment between the question and the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tip {
    /// The commit; `None` for a branch that is gone since it was listed.
    pub commit: Option<CommitId>,
    /// When it was asked for: whatever is seen of the branch later happened behind it.
    pub asked: Timestamp,
    /// When the answer was there: a push that led to this place happened before it.
    pub answered: Timestamp,
}

/// A branch that moved, as far as the sweep can tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// The repository.
    pub repository: RepositoryName,
    /// The branch's full name.
    pub reference: RefName,
    /// Where it is.
    pub commit: CommitId,
    /// Where it was, and since when; `None` for a new branch.
    pub from: Option<Seen>,
    /// When the sweep asked where it is: a later push happened behind it.
    #[serde(default)]
    pub asked: Timestamp,
    /// When the sweep had seen it there.
    pub at: Timestamp,
}

/// Whether any push to a branch of this repository can start something.
pub fn may_start(repository: &RepositoryName, policy: &Policy) -> bool {
    policy.triggers_for(repository).into_iter().any(takes_branches)
}

/// The sections that can start anything for a push to a branch or for a pull request, of whatever repository.
pub(crate) fn sections(policy: &Policy) -> Vec<String> {
    let is_swept = |trigger: &Trigger| takes_branches(trigger) || takes_reviews(trigger);
    let sections = policy.sections.iter().filter(|section| section.triggers.iter().any(is_swept));
    sections.map(|section| section.repositories.patterns().join(", ")).collect()
}

/// The branches among these, by short name, whose pushes can start something.
pub fn wanted(repository: &RepositoryName, listed: &BTreeSet<String>, policy: &Policy) -> BTreeSet<String> {
    let triggers = policy.triggers_for(repository);
    let is_wanted = |name: &&String| {
        branch(name).is_some_and(|reference| {
            triggers.iter().any(|trigger| {
                takes_branches(trigger) && trigger.on.push.as_ref().is_some_and(|filter| filter.matches_ref(&reference))
            })
        })
    };
    listed.iter().filter(is_wanted).cloned().collect()
}

fn takes_branches(trigger: &Trigger) -> bool {
    not_yet(trigger).is_none() && trigger.on.push.as_ref().is_some_and(|filter| !filter.branches.patterns().is_empty())
}

fn branch(name: &str) -> Option<RefName> {
    RefName::parse(format!("refs/heads/{name}")).ok()
}

impl Memory {
    /// Where the memory of a repository lies.
    pub fn key(repository: &RepositoryName) -> String {
        format!("state/sweep/repositories/{repository}.json")
    }

    /// Whether it is of this very repository, and fresh enough to tell what moved.
    ///
    /// Rounds may be slow: a repository that the last whole round looked at is known, however long ago that was.
    fn holds(&self, look: &Look) -> bool {
        let until = look.round.map_or(look.at, |round| round.min(look.at));
        self.repository_id == look.repository_id && until.duration_since(self.written) < STALE
    }

    /// A memory of nothing but why the repository could not be looked at, or the one that is there with that.
    #[must_use]
    pub fn troubled(there: Option<&Self>, trouble: &Trouble) -> Self {
        let empty = || Self {
            repository_id: None,
            written: trouble.since,
            branches: BTreeMap::new(),
            trouble: None,
            troubles: BTreeMap::new(),
        };
        Self { trouble: Some(trouble.clone()), ..there.cloned().unwrap_or_else(empty) }
    }
}

impl Look {
    /// The memory, if it tells anything.
    fn remembered(&self) -> Option<&Memory> {
        self.memory.as_ref().filter(|memory| memory.holds(self))
    }

    /// Whether the repository begins anew, though something is remembered of it: a push that was lost there stays lost.
    pub fn begins_anew(&self) -> Option<BeginsAnew> {
        // Without its UUID nothing was ever seen of it but that it could not be looked at.
        let memory = self.memory.as_ref().filter(|memory| !memory.holds(self) && memory.repository_id.is_some())?;
        let is_same = memory.repository_id == self.repository_id;
        Some(BeginsAnew { repository: self.repository.clone(), stale_since: is_same.then_some(memory.written) })
    }

    /// The branches that moved or are new, in order. Pure: whether an event told of them, the journals know.
    pub fn moved(&self) -> Vec<Moved> {
        let Some(memory) = self.remembered() else { return Vec::new() };
        let moved = self.tips.iter().filter_map(|(name, tip)| {
            let (commit, asked, at) = (tip.commit.clone()?, tip.asked, tip.answered);
            let from = match memory.branches.get(name) {
                // Seen for the first time, as a trigger wants it only now.
                Some(None) => return None,
                Some(Some(seen)) if seen.commit == commit => return None,
                Some(Some(seen)) => Some(seen.clone()),
                None => None,
            };
            Some(Moved { repository: self.repository.clone(), reference: branch(name)?, commit, from, asked, at })
        });
        moved.collect()
    }

    /// What is remembered after this look, over what is there now, which another sweep may have changed meanwhile.
    ///
    /// `open` are the branches, by short name, that could not be looked at or dealt with: the next sweep shall find them again.
    #[must_use]
    pub fn remember(&self, there: Option<&Memory>, open: &BTreeMap<String, Trouble>) -> Memory {
        let before = self.remembered();
        let kept = there.filter(|memory| memory.holds(self));
        let mut branches = kept.map(|memory| memory.branches.clone()).unwrap_or_default();
        let known = |name: &String| before.and_then(|memory| memory.branches.get(name));
        // What came to be known while we looked is not ours to forget.
        branches.retain(|name, _| self.listed.contains(name) || known(name).is_none());
        for name in &self.listed {
            if !self.wanted.contains(name) {
                branches.insert(name.clone(), None);
            } else if before.is_none() {
                branches.entry(name.clone()).or_insert(None);
            }
        }
        for (name, tip) in self.tips.iter().filter(|(name, _)| !open.contains_key(*name)) {
            let is_as_compared = match before {
                Some(_) => kept.is_none_or(|memory| memory.branches.get(name) == known(name)),
                None => matches!(branches.get(name), None | Some(None)),
            };
            match &tip.commit {
                _ if !is_as_compared => {}
                None => {
                    branches.remove(name);
                }
                Some(commit) if known(name).and_then(Option::as_ref).is_some_and(|seen| seen.commit == *commit) => {}
                Some(commit) => {
                    branches.insert(name.clone(), Some(Seen { commit: commit.clone(), since: tip.asked }));
                }
            }
        }
        let mut troubles = kept.map(|memory| memory.troubles.clone()).unwrap_or_default();
        troubles.retain(|name, _| self.wanted.contains(name) && !self.tips.contains_key(name));
        troubles.extend(open.iter().map(|(name, trouble)| (name.clone(), trouble.clone())));
        let repository_id = self.repository_id.clone();
        let next = Memory { repository_id, written: self.at, branches, trouble: None, troubles };
        match kept {
            Some(there) if *there == (Memory { written: there.written, ..next.clone() }) => {
                let is_due = self.at.duration_since(there.written) > REFRESH;
                Memory { written: if is_due { self.at } else { there.written }, ..next }
            }
            _ => next,
        }
    }
}

impl Moved {
    /// An id for the push that stays the same until the sweep remembers another place of the branch.
    pub fn id(&self) -> Option<EventId> {
        let since = self.from.as_ref().map(|seen| format!("{} {}", seen.commit, seen.since)).unwrap_or_default();
        let parts = [self.repository.as_str(), self.reference.as_str(), &since, self.commit.as_str()];
        let digest = Sha256::digest(parts.join("\n"));
        let digest: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        EventId::parse(format!("sweep-{digest}")).ok()
    }

    /// The push; who pushed is not known.
    pub fn push(&self) -> Push {
        Push {
            repository: self.repository.clone(),
            reference: self.reference.clone(),
            commit: self.commit.clone(),
            previous: self.from.as_ref().map(|seen| seen.commit.clone()),
            pusher: None,
        }
    }

    /// The push as an event would have told of it.
    ///
    /// Its time is when the sweep asked: what was pushed while the answer was on its way is newer.
    pub fn event(&self, id: EventId, sweep: &Envelope) -> Event {
        let new = self.commit.clone();
        let change = match &self.from {
            Some(seen) => RefChange::Updated { old: seen.commit.clone(), new },
            None => RefChange::Created { new },
        };
        let detail = Detail::Reference(ReferenceChange {
            repository: self.repository.clone(),
            repository_id: None,
            reference: self.reference.clone(),
            change,
            merge: None,
            caller: None,
        });
        let envelope =
            Envelope { id, time: Some(self.asked), resources: Vec::new(), replay_name: None, ..sweep.clone() };
        Event { envelope, detail }
    }

    /// How it asks to be taken up.
    pub fn arrival(&self, id: EventId) -> Arrival {
        let known = Known::MovedSince(self.from.as_ref().map(|seen| seen.since));
        Arrival { commit: self.commit.clone(), id, at: self.at, known }
    }
}
