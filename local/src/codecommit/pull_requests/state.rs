//! What is kept of pull requests, and how they change. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use signalbox_events::{ApprovalStatus, MergeOption, OverrideStatus};

use super::super::approval_rules::Rule;
use super::super::names::ObjectId;
use super::super::tokens::Tokens;
use crate::error::{Answer, ServiceError};

/// All pull requests of a region.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::codecommit) struct PullRequests {
    last: u64,
    all: BTreeMap<u64, PullRequest>,
    pub(super) tokens: Tokens,
}

/// A pull request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::codecommit) struct PullRequest {
    pub(in crate::codecommit) id: u64,
    pub(in crate::codecommit) repository_id: String,
    pub(super) title: String,
    pub(super) description: Option<String>,
    pub(in crate::codecommit) author: String,
    pub(super) created: Timestamp,
    pub(super) active: Timestamp,
    /// The full name of the branch to be merged.
    pub(in crate::codecommit) source: String,
    /// The full name of the branch that it is to be merged into.
    pub(in crate::codecommit) destination: String,
    /// The tip of that branch; after a merge the one before it.
    pub(in crate::codecommit) destination_commit: ObjectId,
    pub(in crate::codecommit) revision: Revision,
    pub(super) earlier: Vec<Revision>,
    pub(super) end: Option<End>,
    pub(super) token: Option<String>,
    pub(in crate::codecommit) rules: Vec<Rule>,
    pub(super) activity: Vec<Activity>,
}

/// The source branch as it was pushed once, with the votes on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::codecommit) struct Revision {
    pub(in crate::codecommit) id: String,
    pub(in crate::codecommit) source_commit: ObjectId,
    /// The ARNs of those who approved it.
    pub(in crate::codecommit) approvers: BTreeSet<String>,
    /// Who set the rules aside for it.
    pub(in crate::codecommit) overrider: Option<String>,
}

/// How a pull request ended. None opens again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum End {
    Closed,
    Merged { by: String, commit: ObjectId, option: MergeOption },
}

/// Something that happened to a pull request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Activity {
    pub(super) at: Timestamp,
    pub(super) actor: String,
    pub(super) what: What,
}

/// What happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::codecommit) enum What {
    Created { source: ObjectId, destination: ObjectId, base: Option<ObjectId> },
    Closed,
    SourceUpdated { source: ObjectId, destination: ObjectId, base: Option<ObjectId> },
    Merged { commit: ObjectId, option: MergeOption },
    RuleCreated { id: String, name: String, content: String },
    RuleUpdated { id: String, name: String, content: String },
    RuleDeleted { id: String, name: String, content: String },
    RulesOverridden { revision: String, status: OverrideStatus },
    ApprovalChanged { revision: String, status: ApprovalStatus },
}

impl Revision {
    pub(super) fn new(id: String, source_commit: ObjectId) -> Self {
        Self { id, source_commit, approvers: BTreeSet::new(), overrider: None }
    }
}

impl PullRequests {
    /// The id that the next pull request gets.
    pub(super) fn next_id(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn insert(&mut self, pull_request: PullRequest) {
        self.all.insert(pull_request.id, pull_request);
    }

    /// The pull request with this id.
    pub(in crate::codecommit) fn find(&self, id: u64) -> Answer<&PullRequest> {
        self.all.get(&id).ok_or_else(|| does_not_exist(id))
    }

    /// The same to change it.
    pub(in crate::codecommit) fn find_mut(&mut self, id: u64) -> Answer<&mut PullRequest> {
        self.all.get_mut(&id).ok_or_else(|| does_not_exist(id))
    }

    /// The same of one that is open.
    pub(in crate::codecommit) fn find_open(&mut self, id: u64) -> Answer<&mut PullRequest> {
        let found = self.find_mut(id)?;
        if found.is_open() { Ok(found) } else { Err(already_closed(id)) }
    }

    /// All that are open.
    pub(super) fn open(&self) -> impl Iterator<Item = &PullRequest> {
        self.all.values().filter(|one| one.is_open())
    }

    /// Those of a repository, by id.
    pub(super) fn of_repository<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a PullRequest> {
        self.all.values().filter(move |one| one.repository_id == id)
    }

    /// Forgets those of a repository that is gone.
    pub(in crate::codecommit) fn forget_repository(&mut self, id: &str) {
        self.all.retain(|_, one| one.repository_id != id);
        let all = &self.all;
        self.tokens.retain(|made| made.parse().is_ok_and(|id: u64| all.contains_key(&id)));
    }
}

impl PullRequest {
    pub(in crate::codecommit) fn is_open(&self) -> bool {
        self.end.is_none()
    }

    pub(super) fn is_merged(&self) -> bool {
        matches!(self.end, Some(End::Merged { .. }))
    }

    /// The tip of the source branch.
    pub(in crate::codecommit) fn source_commit(&self) -> &ObjectId {
        &self.revision.source_commit
    }

    /// The revision with this id, the current one or an earlier one.
    pub(in crate::codecommit) fn revision(&self, id: &str) -> Answer<&Revision> {
        self.earlier.iter().chain([&self.revision]).find(|revision| revision.id == id).ok_or_else(|| {
            ServiceError::bad("InvalidRevisionIdException", format!("pull request {} has no revision {id}", self.id))
        })
    }

    /// The current revision, if it has this id.
    pub(in crate::codecommit) fn current(&mut self, id: &str) -> Answer<&mut Revision> {
        self.revision(id)?;
        if self.revision.id == id {
            Ok(&mut self.revision)
        } else {
            Err(ServiceError::bad(
                "RevisionNotCurrentException",
                format!("pull request {} has moved on from revision {id}; get it and try again", self.id),
            ))
        }
    }

    /// Takes up a new tip of the source branch: votes on the old one do not count for it.
    pub(super) fn revise(&mut self, revision: Revision) {
        let old = std::mem::replace(&mut self.revision, revision);
        self.earlier.push(old);
    }

    /// Which number the current revision has, from 1 on.
    pub(super) fn revision_number(&self) -> usize {
        self.earlier.len() + 1
    }

    /// Notes what somebody did. A vote is no activity, as far as its date goes.
    pub(in crate::codecommit) fn note(&mut self, at: Timestamp, actor: &str, what: What) {
        if !matches!(what, What::RulesOverridden { .. } | What::ApprovalChanged { .. }) {
            self.active = at;
        }
        self.activity.push(Activity { at, actor: actor.to_owned(), what });
    }

    /// Notes a comment.
    pub(in crate::codecommit) fn touch(&mut self, at: Timestamp) {
        self.active = at;
    }
}

fn does_not_exist(id: u64) -> ServiceError {
    ServiceError::bad("PullRequestDoesNotExistException", format!("there is no pull request {id}"))
}

pub(super) fn already_closed(id: u64) -> ServiceError {
    ServiceError::bad("PullRequestAlreadyClosedException", format!("pull request {id} is closed"))
}
