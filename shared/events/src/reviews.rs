//! Signalbox's own record of what the protector's rules found in the commits of a pull request.
//!
//! The protector writes it, and nobody else may; the approver reads it for the checks that are protections.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::names::{CommitId, PullRequestId, RepositoryName};

/// A record tells at most this many things that one check found.
pub const MOST_FINDINGS_RECORDED: usize = 50;

/// What the rules found in the commits of a pull request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewRecord {
    /// The tip of the source branch that was looked at; `None` before the first look.
    pub commit: Option<CommitId>,
    /// Whatever was behind this one was there before.
    pub base: Option<CommitId>,
    /// How many commits were looked at.
    pub commits: usize,
    /// What each protection found, under its name; none of them while it is not looked at to its end.
    pub checks: BTreeMap<String, CheckRecord>,
}

/// What one protection found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRecord {
    /// The rules that it was judged by, as a digest: of other rules it says nothing.
    pub rules: String,
    /// What is wrong, in which commit and file, and how to mend it: a sentence each, the first of them.
    pub findings: Vec<String>,
    /// How many more there are.
    pub left_out: usize,
    /// Whether something kept it from being looked at, so that looking again may help.
    pub is_unread: bool,
}

impl ReviewRecord {
    /// The key of the record in the stack's bucket.
    pub fn key(repository: &RepositoryName, id: &PullRequestId) -> String {
        format!("state/protected/{repository}/pull-requests/{id}.json")
    }

    /// What a check found in just these commits by just these rules; `None` where it has not looked.
    pub fn of(&self, name: &str, rules: &str, commit: &CommitId, base: &CommitId) -> Option<&CheckRecord> {
        let is_of = self.commit.as_ref() == Some(commit) && self.base.as_ref() == Some(base);
        self.checks.get(name).filter(|check| is_of && check.rules == rules)
    }
}
