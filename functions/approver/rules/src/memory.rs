//! What is remembered of a pull request between two looks at it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use signalbox_events::{Arn, CommentId, CommitId};

use crate::facts::{Head, Subject};

/// How often a comment that somebody deleted is made anew.
const MOST_ANEW: u32 = 1;

/// What is remembered of a pull request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// How many looks have written something: of two at the same time the later one sees it and looks again.
    #[serde(default)]
    pub looks: u64,
    /// Whether it had its gate: then one that is missing was taken away.
    #[serde(default)]
    pub gated: bool,
    /// Our comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<Posted>,
    /// What was read of the commits that stand to be merged, so that it is read once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Read>,
    /// What the protector was asked to judge: the commits and the rules, so that it is asked once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// Whether it was told that there is no room for the gate.
    #[serde(default)]
    pub told_full: bool,
    /// Who set the rules aside with leave, as it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overridden: Option<Arn>,
}

/// Our comment on a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posted {
    /// Its id.
    pub id: CommentId,
    /// The SHA-256 of what it says.
    pub sha256: String,
    /// How often somebody deleted it and it was made anew.
    #[serde(default)]
    pub anew: u32,
    /// It was deleted once more: it stays so.
    #[serde(default)]
    pub given_up: bool,
}

/// What was read of the commits of a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// The source's tip.
    pub commit: CommitId,
    /// Where it left the target.
    pub base: Option<CommitId>,
    /// What the tip says of itself.
    pub head: Option<Head>,
    /// What each path filter made of the changed files.
    pub paths: Vec<Filtered>,
}

/// What a path filter made of the changed files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filtered {
    /// The filter, as the policy has it.
    pub patterns: Vec<String>,
    /// The first path that it lets through.
    pub first: Option<String>,
    /// How many files changed in all.
    pub changed: usize,
}

impl Memory {
    /// Where it lies in the bucket.
    pub fn key(subject: &Subject) -> String {
        format!("state/approver/pull-requests/{}/{}.json", subject.repository, subject.pull_request)
    }

    /// What was read of these commits, if it was.
    pub fn read_of(&self, commit: &CommitId, base: Option<&CommitId>) -> Option<&Read> {
        self.read.as_ref().filter(|read| read.commit == *commit && read.base.as_ref() == base)
    }
}

impl Posted {
    /// Whether it is made anew after somebody deleted it.
    pub fn may_come_back(&self) -> bool {
        self.anew < MOST_ANEW
    }
}

/// The SHA-256 of a text.
pub fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// What makes posting the comment of a pull request the same act, however often it is tried: 64 hex digits.
pub fn comment_token(subject: &Subject, anew: u32) -> String {
    digest(&format!("signalbox comment\n{}\n{}\n{anew}", subject.repository, subject.pull_request))
}
