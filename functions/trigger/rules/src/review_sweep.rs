//! The sweep over pull requests: which of them were opened or updated without an event that told of it.
//!
//! Whatever it finds is acted on under the id of the revision, as an event would have been: where one came after all, the
//! ledger knows. So what is remembered here only saves looking, and keeps the first look from starting anything.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use signalbox_events::{
    AccountId, CommitId, Detail, Envelope, Event, EventId, PullRequestChange, PullRequestEnd, PullRequestEvent,
    PullRequestId, RefName, Region, RepositoryName, RevisionId,
};
use signalbox_policy::{Policy, Trigger};

use crate::needs::not_yet;
use crate::review::PullRequest;
use crate::trouble::Trouble;
use crate::wishes::taking;

/// What is said of a repository of which not even the list can be had.
const WHOLE: &str = "";

/// Where the next sweep over pull requests goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewCursor {
    /// The repository; `None` begins with the first.
    pub repository: Option<RepositoryName>,
    /// The number behind which it goes on there.
    pub behind: Option<u64>,
    /// The repositories of which something is open.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub troubled: BTreeSet<RepositoryName>,
}

impl ReviewCursor {
    /// Where it lies in the bucket.
    pub const KEY: &str = "state/sweep/pull-requests.json";
}

/// What the sweep remembers of the open pull requests of one repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewMemory {
    /// Each that was open, by its number; `None` where the list of them could not be had yet.
    pub open: Option<BTreeMap<u64, SeenReview>>,
    /// What could not be looked at or dealt with, by its number; under nothing the list of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub troubles: BTreeMap<String, Trouble>,
}

/// How a pull request was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenReview {
    /// Its target branch, which never changes; `None` where it was only listed yet.
    pub into: Option<RefName>,
    /// The revision that was dealt with; `None` where no trigger wanted it then, or nobody has looked.
    pub revision: Option<RevisionId>,
}

/// What one look at the list of a repository's open pull requests showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewLook {
    /// The repository.
    pub repository: RepositoryName,
    /// The numbers of all that are open.
    pub listed: BTreeSet<u64>,
    /// What was remembered before; `None` at the first look.
    pub memory: Option<ReviewMemory>,
}

/// What a pull request that was looked at is to the sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// It is new, or has a new revision.
    Found,
    /// Nothing is to be done but to remember it.
    Known,
}

/// A pull request that no event told of, as far as the sweep can tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundReview {
    /// The repository.
    pub repository: RepositoryName,
    /// Its number.
    pub pull_request: PullRequestId,
    /// The revision.
    pub revision: RevisionId,
    /// The source branch.
    pub source: RefName,
    /// Its tip.
    pub commit: CommitId,
}

/// Whether any pull request of this repository can start something.
pub fn may_review(repository: &RepositoryName, policy: &Policy) -> bool {
    policy.triggers_for(repository).into_iter().any(takes_reviews)
}

pub(crate) fn takes_reviews(trigger: &Trigger) -> bool {
    not_yet(trigger).is_none() && trigger.on.pull_request.is_some()
}

/// Whether a pull request into this branch can start something.
pub fn wants_review(repository: &RepositoryName, into: &RefName, policy: &Policy) -> bool {
    taking(repository, into, policy).into_iter().any(takes_reviews)
}

impl ReviewMemory {
    /// Where the memory of a repository lies.
    pub fn key(repository: &RepositoryName) -> String {
        format!("state/sweep/pull-requests/{repository}.json")
    }

    /// The trouble with the list itself.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.troubles.get(WHOLE)
    }

    /// The memory with that trouble.
    #[must_use]
    pub fn troubled(there: Option<&Self>, trouble: &Trouble) -> Self {
        let mut next = there.cloned().unwrap_or_default();
        next.troubles.insert(WHOLE.to_owned(), trouble.clone());
        next
    }
}

impl ReviewLook {
    /// What was open before; nothing at the first look.
    fn before(&self) -> Option<&BTreeMap<u64, SeenReview>> {
        self.memory.as_ref()?.open.as_ref()
    }

    fn known(&self, number: u64) -> Option<&SeenReview> {
        self.before()?.get(&number)
    }

    /// The pull requests to look at, in order; those into branches that no trigger wants are not among them.
    pub fn wanted(&self, behind: Option<u64>, policy: &Policy) -> Vec<u64> {
        let is_wanted = |number: &u64| match self.known(*number).and_then(|seen| seen.into.as_ref()) {
            Some(into) => wants_review(&self.repository, into, policy),
            None => true,
        };
        self.listed
            .iter()
            .copied()
            .filter(|number| behind.is_none_or(|behind| *number > behind))
            .filter(is_wanted)
            .collect()
    }

    /// What an open pull request is, compared with what was remembered.
    ///
    /// What is seen for the first time in a repository that is swept for the first time is only remembered; so is one whose
    /// target branch no trigger wanted before.
    pub fn compare(&self, number: u64, seen: &PullRequest, policy: &Policy) -> Comparison {
        if self.before().is_none() || !wants_review(&self.repository, &seen.into, policy) {
            return Comparison::Known;
        }
        match self.known(number) {
            None => Comparison::Found,
            Some(SeenReview { revision: Some(revision), .. }) if *revision != seen.revision => Comparison::Found,
            Some(_) => Comparison::Known,
        }
    }

    /// How a pull request is remembered that was dealt with.
    pub fn seen(&self, seen: &PullRequest, policy: &Policy) -> SeenReview {
        let is_wanted = wants_review(&self.repository, &seen.into, policy);
        SeenReview { into: Some(seen.into.clone()), revision: is_wanted.then(|| seen.revision.clone()) }
    }

    /// What is remembered after this look, over what is there by now, which another sweep may have written.
    ///
    /// `dealt` are those that were looked at and dealt with; `open` is what could not be.
    #[must_use]
    pub fn remember(
        &self,
        there: Option<&ReviewMemory>,
        dealt: &BTreeMap<u64, SeenReview>,
        open: &BTreeMap<u64, Trouble>,
    ) -> ReviewMemory {
        let mut next = there.cloned().unwrap_or_default();
        let mut all = next.open.take().unwrap_or_default();
        // What came to be known while we looked is not ours to forget.
        all.retain(|number, _| self.listed.contains(number) || self.known(*number).is_none());
        if self.before().is_none() {
            // Listed once, it is not new at the next look.
            for number in &self.listed {
                all.entry(*number).or_default();
            }
        }
        all.extend(dealt.iter().map(|(number, seen)| (*number, seen.clone())));
        next.open = Some(all);
        let is_listed = |number: &str| number.parse().is_ok_and(|number: u64| self.listed.contains(&number));
        let is_dealt = |number: &str| number.parse().is_ok_and(|number: u64| dealt.contains_key(&number));
        next.troubles.retain(|number, _| is_listed(number) && !is_dealt(number));
        next.troubles.extend(open.iter().map(|(number, trouble)| (number.to_string(), trouble.clone())));
        next
    }
}

impl FoundReview {
    /// What the sweep found.
    pub fn new(repository: &RepositoryName, pull_request: &PullRequestId, seen: &PullRequest) -> Self {
        Self {
            repository: repository.clone(),
            pull_request: pull_request.clone(),
            revision: seen.revision.clone(),
            source: seen.source.clone(),
            commit: seen.source_commit.clone(),
        }
    }
}

/// The event that would have told of it; who did what is not known.
pub fn lost_event(
    (repository, pull_request): (&RepositoryName, &PullRequestId),
    seen: &PullRequest,
    (id, at): (EventId, Timestamp),
    (account, region): (&AccountId, &Region),
) -> Event {
    let end = |reference: &RefName, commit: &CommitId| PullRequestEnd {
        reference: reference.clone(),
        commit: commit.clone(),
    };
    let detail = Detail::PullRequest(PullRequestChange {
        repository: repository.clone(),
        pull_request: pull_request.clone(),
        revision: Some(seen.revision.clone()),
        source: end(&seen.source, &seen.source_commit),
        destination: end(&seen.into, &seen.into_commit),
        state: seen.state,
        title: seen.title.clone(),
        description: None,
        author: seen.author.clone(),
        caller: None,
        event: PullRequestEvent::SourceBranchUpdated,
    });
    let envelope = Envelope {
        id,
        account: account.clone(),
        region: region.clone(),
        time: Some(at),
        resources: Vec::new(),
        replay_name: None,
        again: None,
    };
    Event { envelope, detail }
}
