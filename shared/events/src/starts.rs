//! Signalbox's own record of a build that the trigger started.
//!
//! No event of AWS tells why a build runs. The trigger writes this under the build's id when it starts one; whoever hears of
//! the build later (the notifier now, checks later) joins the two.

use serde::{Deserialize, Serialize};

use crate::names::{Arn, BuildId, CommitId, RefName, RepositoryName};

/// Why a build runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildStart {
    /// The build.
    pub build: BuildId,
    /// The policy's name of the trigger.
    pub trigger: String,
    /// The repository that was pushed to.
    pub repository: RepositoryName,
    /// The branch or tag.
    pub reference: RefName,
    /// What is built.
    pub commit: CommitId,
    /// Where the ref was before the push; `None` for a new ref.
    pub previous: Option<CommitId>,
    /// Who pushed.
    pub pusher: Option<Arn>,
    /// Which try of this commit it is, from 1.
    pub attempt: u32,
    /// When it was started.
    pub at: jiff::Timestamp,
    /// When the ref came to the commit, or was found there, to the second; `None` where a newer commit than the pushed one is
    /// built, which is the ref's at the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<jiff::Timestamp>,
    /// The newer commit of the same ref that the trigger stopped this build for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<CommitId>,
}

impl BuildStart {
    /// The key of the record in the stack's bucket.
    pub fn key(build: &BuildId) -> String {
        format!("state/starts/{}/{}.json", build.project(), build.uuid())
    }
}
