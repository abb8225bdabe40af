//! What a decision of the protector is made from.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use signalbox_events::{CommitId, PullRequestId, RefName, Region, RepositoryName};

use crate::journal::{Journal, Move};
use crate::range::Range;
use crate::rest::Rest;

/// The id of a git object: 40 or 64 hex digits. Not a commit's: a ref may point to an annotated tag.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Object(String);

impl Object {
    /// Checks and wraps; nothing for a text that is no id, and for the one of zeros that stands for *no object*.
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = matches!(text.len(), 40 | 64)
            && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
            && text.bytes().any(|byte| byte != b'0');
        is_id.then(|| Self(text.to_owned()))
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first seven digits, as people quote commits.
    pub fn short(&self) -> &str {
        self.0.get(..7).unwrap_or(&self.0)
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl TryFrom<String> for Object {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is no object id"))
    }
}

impl From<Object> for String {
    fn from(object: Object) -> String {
        object.0
    }
}

/// A ref of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The repository.
    pub repository: RepositoryName,
    /// The full name of the ref.
    pub reference: RefName,
}

/// Everything that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The ref; `None` for an event that is about none.
    pub subject: Option<Subject>,
    /// The region that it lies in.
    pub region: Region,
    /// Why the protector looks.
    pub origin: Origin,
    /// When it looks.
    pub now: Timestamp,
    /// The move that is judged.
    pub made: Option<Move>,
    /// Whose move it is.
    pub whose: Whose,
    /// The journal of the ref, as it was read.
    pub journal: Journal,
    /// What was read of the move.
    pub arrival: Arrival,
    /// Where the ref is.
    pub tip: Tip,
}

/// Why the protector looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// An event told of a move.
    Event,
    /// The sweep found the ref where no event had told that it is.
    Sweep,
    /// The event is about no ref.
    Other,
}

/// Whose a move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// A role of the stack made it.
    Ours,
    /// Anybody else.
    Theirs,
}

/// What was read of a move.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// Whether what was there is still in it.
    pub ancestry: Ancestry,
    /// Whether a pull request brought it.
    pub merged: Merged,
    /// The commits and files that it brings; `None` where nobody wanted to know.
    pub range: Option<Range>,
    /// What of it is still to be looked at; `None` where this look came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<Rest>,
}

/// Whether what was there is still in what is there now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ancestry {
    /// Nobody wanted to know.
    #[default]
    NotRead,
    /// It is.
    Forward,
    /// Commits were dropped.
    Rewritten,
    /// One of the two commits cannot be read any more.
    Unreadable,
}

/// Whether a pull request brought a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Merged {
    /// Nobody wanted to know.
    #[default]
    NotRead,
    /// This one did: the commit is what its merge came to.
    By(PullRequestId),
    /// None did.
    No,
}

/// Where a ref is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tip {
    /// Nobody looked.
    #[default]
    NotRead,
    /// It points there.
    At {
        /// To this object.
        object: Object,
        /// To this commit, behind a tag object where there is one.
        commit: CommitId,
    },
    /// It is not there.
    Gone,
    /// The repository is not there.
    NoRepository,
}

impl Tip {
    /// The place in the words of the journal; `None` where it is not known.
    pub fn place(&self) -> Option<Option<CommitId>> {
        match self {
            Self::At { commit, .. } => Some(Some(commit.clone())),
            Self::Gone => Some(None),
            Self::NotRead | Self::NoRepository => None,
        }
    }
}

impl Facts {
    /// The facts before anything is read: for explaining an event by itself.
    pub fn before_gathering(
        subject: Option<Subject>,
        region: Region,
        origin: Origin,
        made: Option<Move>,
        now: Timestamp,
    ) -> Self {
        Self {
            subject,
            region,
            origin,
            now,
            made,
            whose: Whose::Theirs,
            journal: Journal::default(),
            arrival: Arrival::default(),
            tip: Tip::NotRead,
        }
    }

    /// The facts as a report keeps them: long lists are cut.
    #[must_use]
    pub fn for_report(&self) -> Self {
        let mut facts = self.clone();
        facts.arrival.range = facts.arrival.range.as_ref().map(Range::for_report);
        facts
    }
}
