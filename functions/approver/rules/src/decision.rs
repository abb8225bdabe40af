//! What a decision on a pull request consists of.

use serde::{Deserialize, Serialize};
use signalbox_events::{Arn, BuildId, RevisionId};
use signalbox_policy::Mode;

use crate::facts::{Idle, Subject};
use crate::judge::Item;
use crate::memory::Memory;

/// What is to be done about a pull request, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[must_use]
pub struct Decision {
    /// The decision in one word.
    pub verdict: Verdict,
    /// Whether it is carried out.
    pub mode: Mode,
    /// Everything that is asked, and whether it is met.
    pub items: Vec<Item>,
    /// What else is to be said.
    pub reasons: Vec<Reason>,
    /// What is to be done, in this order.
    pub actions: Vec<Action>,
    /// What is remembered if anything is done.
    pub memory: Memory,
    /// Whether it was told before that there is no room for the gate.
    #[serde(default)]
    pub was_told_full: bool,
    /// Whose override was told before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_overridden: Option<Arn>,
}

/// A decision in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The event is about no pull request that anything is asked of.
    NotConcerned,
    /// The pull request is closed, or gone.
    Closed,
    /// The policy asks for nothing any more: what is left of the gate is opened.
    NothingAsked,
    /// Everything is met.
    Met,
    /// Something may come to be met by itself.
    Waiting,
    /// Somebody must do something.
    Missing,
    /// Somebody who may set the rules aside did.
    Overridden,
}

/// What is to be said of a decision beside what is met and missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The event leads to nothing.
    Idle(Idle),
    /// The record of the build's start says which pull request it is for, and nobody has read it.
    RecordUnread(BuildId),
    /// The pull request is gone.
    Gone,
    /// The pull request is not open.
    Closed,
    /// Nothing is asked of it any more.
    NothingAsked,
    /// It was opened before its gate was there, or its template was not there.
    NoGateYet,
    /// The gate was taken away or changed.
    Tampered {
        /// The rule.
        rule: String,
        /// What was done.
        how: Tampering,
        /// Who did it, as far as is known.
        by: Option<String>,
    },
    /// There are as many rules as a pull request can have, and the gate is not among them.
    Full,
    /// Somebody who may not set the rules aside did.
    OverriddenWithoutLeave(Arn),
    /// Somebody who may did.
    OverriddenWithLeave(Arn),
    /// A rule without a pool counts the gate's vote as an approval.
    CountsEverybody {
        /// The rule.
        rule: String,
    },
    /// Somebody deleted the comment that was made anew already.
    CommentUnwanted,
}

/// What was done to a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tampering {
    /// It is not there any more.
    Deleted,
    /// It says something else.
    Changed,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Give the pull request its gate.
    GiveRule {
        /// The pull request.
        subject: Subject,
        /// The rule's name.
        name: String,
        /// What it says.
        content: String,
    },
    /// Make the gate say again what it must.
    MendRule {
        /// The pull request.
        subject: Subject,
        /// The rule's name.
        name: String,
        /// What it shall say.
        content: String,
        /// The SHA-256 of what it says now.
        sha256: Option<String>,
    },
    /// Take the gate away, where nothing is asked any more.
    DropRule {
        /// The pull request.
        subject: Subject,
        /// The rule's name.
        name: String,
    },
    /// Put the rules in force again.
    EndOverride {
        /// The pull request.
        subject: Subject,
        /// The revision.
        revision: RevisionId,
    },
    /// Vote for the revision.
    Approve {
        /// The pull request.
        subject: Subject,
        /// The revision.
        revision: RevisionId,
    },
    /// Take that vote back.
    Revoke {
        /// The pull request.
        subject: Subject,
        /// The revision.
        revision: RevisionId,
    },
    /// Have the protector judge it by the protections that it needs as checks.
    Ask {
        /// The pull request.
        subject: Subject,
    },
    /// Say in our comment how things stand.
    Say {
        /// The pull request.
        subject: Subject,
        /// What it shall say.
        text: String,
    },
}

impl Action {
    /// The pull request that it is done to.
    pub fn subject(&self) -> &Subject {
        match self {
            Self::GiveRule { subject, .. }
            | Self::MendRule { subject, .. }
            | Self::DropRule { subject, .. }
            | Self::EndOverride { subject, .. }
            | Self::Approve { subject, .. }
            | Self::Revoke { subject, .. }
            | Self::Ask { subject }
            | Self::Say { subject, .. } => subject,
        }
    }
}

impl Verdict {
    /// The words of the report.
    pub const fn words(self) -> &'static str {
        match self {
            Self::NotConcerned => "not concerned",
            Self::Closed => "closed",
            Self::NothingAsked => "nothing asked",
            Self::Met => "met",
            Self::Waiting => "waiting",
            Self::Missing => "missing",
            Self::Overridden => "overridden",
        }
    }
}

impl Decision {
    /// Whether everything that must be done can be.
    pub fn is_complete(&self) -> bool {
        // Once it was told, each further event need not be refused for it.
        !self.reasons.contains(&Reason::Full) || self.was_told_full
    }

    /// Whether somebody did to the rules what they may not, or what everybody should hear of, and what was not told yet.
    pub fn is_loud(&self) -> bool {
        self.reasons.iter().any(|reason| match reason {
            Reason::Tampered { .. } | Reason::OverriddenWithoutLeave(_) => true,
            Reason::OverriddenWithLeave(by) => self.told_overridden.as_ref() != Some(by),
            _ => false,
        })
    }
}
