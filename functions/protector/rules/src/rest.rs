//! What of a long push is still to be looked at.
//!
//! One look takes in what fits into its memory and its time; it is judged at once. The rest is remembered with the journal, and the next look goes on there.

use serde::{Deserialize, Serialize};
use signalbox_events::CommitId;
use signalbox_policy::Protection;

use crate::action::Action;
use crate::decide::{Decision, Reason, Verdict, Violation};
use crate::facts::{Ancestry, Facts, Subject};
use crate::journal::Move;
use crate::judge::MOST_FINDINGS;

/// After so many looks what is left is given up, and told: something keeps them from getting on.
pub(crate) const MOST_LOOKS: u32 = 100;

/// How far a push was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rest {
    /// So many looks were had.
    pub looks: u32,
    /// How far the list of changed paths was read.
    #[serde(default)]
    pub paths: Paths,
    /// What was there before a new ref: the tips of the other refs at the first look.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub base: Vec<CommitId>,
    /// These commits and all before them were looked at.
    #[serde(default)]
    pub done: Vec<CommitId>,
    /// Of the next commit, its files up to this one.
    #[serde(default)]
    pub within: Option<Within>,
    /// How the history is cut, where it does not fit into one look.
    #[serde(default)]
    pub cut: Option<Cut>,
    /// What the first look found out about what was there.
    #[serde(default)]
    pub ancestry: Ancestry,
    /// Whether names that only case tells apart were looked for.
    #[serde(default)]
    pub has_collisions: bool,
    /// So many commits were looked at.
    pub commits: usize,
    /// So many files.
    pub files: usize,
    /// What was found so far.
    #[serde(default)]
    pub found: Vec<Violation>,
}

/// How far the list of changed paths was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Paths {
    /// Not at all.
    #[default]
    Unread,
    /// It goes on with this token of CodeCommit's.
    From(String),
    /// To its end.
    Read,
}

/// How a history is cut: by the distance from its last commit, which has 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// Everything from this distance on was looked at.
    pub left: u32,
    /// The next look goes so far.
    pub step: u32,
}

/// A file of a commit, by which a look went on last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Within {
    /// The commit.
    pub commit: CommitId,
    /// The file.
    pub path: String,
}

impl Rest {
    /// The rest with what this look found.
    #[must_use]
    pub(crate) fn with_found(&self, found: Vec<Violation>) -> Self {
        let mut next = self.clone();
        next.found = found;
        next.found.truncate(MOST_FINDINGS);
        next
    }

    /// Whether it does not get on any more.
    pub fn is_endless(&self) -> bool {
        self.looks >= MOST_LOOKS
    }
}

/// Whether a violation that was found before is of this protection.
pub(crate) fn is_of(violation: &Violation, protection: &Protection) -> bool {
    violation.line == protection.line && violation.name == protection.name
}

/// Has what is left of a long push looked at, unless the push is undone anyway.
pub(crate) fn go_on(facts: &Facts, (subject, made): (&Subject, &Move), found: Vec<Violation>, decision: &mut Decision) {
    let before = facts.journal.rests.get(&made.id);
    let Some(rest) = facts.arrival.rest.as_ref().filter(|_| decision.verdict != Verdict::Restore) else {
        decision.reasons.extend(before.map(|before| Reason::InParts { looks: before.looks + 1 }));
        return;
    };
    // What is settled needs no more looking at.
    let is_settled = decision.reasons.iter().any(|it| matches!(it, Reason::IsBack | Reason::Overtaken));
    let remembered = decision.actions.iter_mut().find_map(|action| match action {
        Action::Remember { rest, .. } => Some(rest),
        _ => None,
    });
    if let (Some(kept), false) = (remembered, is_settled) {
        *kept = Some(Box::new(rest.with_found(found)));
        decision.reasons.push(Reason::Unfinished { commits: rest.commits, files: rest.files });
        decision.actions.push(Action::GoOn { subject: subject.clone() });
    }
}
