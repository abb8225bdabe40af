//! What a decision has done.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use signalbox_events::{CommitId, EventId, RefName, RepositoryName};

use crate::facts::{Object, Subject};
use crate::journal::Move;
use crate::news::News;
use crate::watch_facts::WatchMemory;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Write the move into the journal. It is done in `observe`, too.
    Remember {
        /// The ref.
        subject: Subject,
        /// The move.
        made: Box<Move>,
        /// The tag object that was seen, with its commit.
        object: Option<(CommitId, Object)>,
    },
    /// Put the ref back.
    Restore(Box<Restore>),
    /// Make the branch the default one again that was it.
    SetDefaultBranch {
        /// The repository.
        repository: RepositoryName,
        /// The one that was seen; it is left alone once it is another.
        from: Option<String>,
        /// The one that it was.
        to: String,
    },
    /// Remember what was seen of a repository's protection. It is done in `observe`, too.
    See {
        /// The repository.
        repository: RepositoryName,
        /// What was remembered when it was decided.
        before: Box<WatchMemory>,
        /// What is remembered now.
        memory: Box<WatchMemory>,
    },
    /// Note that nothing is left of some moves.
    Settle {
        /// The ref.
        subject: Subject,
        /// The moves, by their ids.
        moves: BTreeSet<EventId>,
    },
    /// Have people told, in `observe`, too: behind all others, since it tells how they went.
    Tell(Box<News>),
    /// Have the event come again.
    ComeAgain {
        /// The ref.
        subject: Subject,
        /// Why.
        what: String,
    },
}

/// A ref that is put back: one compare-and-swap from where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// The ref.
    pub subject: Subject,
    /// Where it is; `None` for one that is gone.
    pub from: Option<Object>,
    /// The commit that it is at.
    pub from_commit: Option<CommitId>,
    /// Where it goes; `None` for one that is to end.
    pub to: Option<Object>,
    /// The commit that it goes to.
    pub to_commit: Option<CommitId>,
    /// Where what was pushed is kept; `None` where nothing was.
    pub keep: Option<RefName>,
    /// The moves of which nothing is left then, by their ids.
    pub undoes: BTreeSet<EventId>,
    /// It waits until then.
    pub not_before: Option<Timestamp>,
}
