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
    /// When the ref came to the commit, as the event says, to the second, or when the sweep asked for it and found it there;
    /// `None` where a newer commit than the pushed one is built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<jiff::Timestamp>,
    /// Where the branch's tip is built: a moment between two looks that both showed the branch at this commit.
    ///
    /// Whatever was built before it was pushed before this moment, and whatever is pushed over it is pushed behind: so these
    /// moments order the builds of a branch. The time of a push would not, where one event finds the tip of another's push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<jiff::Timestamp>,
    /// The newer commit of the same ref that the trigger stopped this build for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<CommitId>,
}

impl BuildStart {
    /// A moment at which the ref was at the commit, or came to it: by this the builds of a ref are ordered.
    ///
    /// A record of an older version may only say when the build was asked for, which is right after the ref was looked at.
    pub fn there(&self) -> jiff::Timestamp {
        self.seen.or(self.pushed).unwrap_or(self.at)
    }

    /// The key of the record in the stack's bucket.
    pub fn key(build: &BuildId) -> String {
        format!("state/starts/{}/{}.json", build.project(), build.uuid())
    }
}
