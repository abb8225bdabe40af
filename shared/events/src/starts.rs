//! Signalbox's own record of a build that the trigger started.
//!
//! No event of AWS tells why a build runs. The trigger writes this under the build's id when it starts one; whoever hears of
//! the build later (the notifier now, checks later) joins the two.

use serde::{Deserialize, Serialize};

use crate::names::{Arn, BuildId, CommitId, PullRequestId, RefName, RepositoryName, RevisionId};

/// Why a build runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildStart {
    /// The build.
    pub build: BuildId,
    /// The policy's name of the trigger.
    pub trigger: String,
    /// The repository that was pushed to.
    pub repository: RepositoryName,
    /// The branch or tag; of a pull request its source branch.
    pub reference: RefName,
    /// What is built; of a pull request the tip of its source branch.
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
    /// The pull request that it was started for; `None` for a push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<Box<PullRequestStart>>,
}

/// The pull request that a build was started for, as it stood then.
///
/// Only what stands here proves something about a pull request: anybody may start a build by hand, with another buildspec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequestStart {
    /// Its number.
    pub id: PullRequestId,
    /// The revision whose source commit is built.
    pub revision: RevisionId,
    /// The branch that it shall be merged into.
    pub into: RefName,
    /// Where its source branch left that branch; `None` where the two have no history in common.
    pub base: Option<CommitId>,
    /// Who made it.
    pub author: Option<Arn>,
    /// Its title, as its author wrote it: nobody has checked it, and it goes into no variable of a build.
    pub title: String,
    /// Who asked for this build in a comment; `None` where nobody had to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Arn>,
    /// The tip of the target branch that the build was told to merge first; `None` where the source is built as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<CommitId>,
    /// Whose buildspec it runs.
    #[serde(default)]
    pub buildspec: BuildspecOf,
}

/// Whose buildspec the build of a pull request runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildspecOf {
    /// That of the commit that is built, or the project's own: nobody has looked which.
    #[default]
    Source,
    /// The one in the project itself or in S3, which no pull request reaches.
    Project,
    /// The file of the target branch, which the trigger handed over with the start.
    Target {
        /// The commit that it was read from.
        commit: CommitId,
        /// Its path.
        path: String,
    },
}

impl BuildStart {
    /// A moment at which the ref was at the commit, or came to it: by this the builds of a ref are ordered.
    ///
    /// A record of an older version may only say when the build was asked for, which is right after the ref was looked at. Of a pull
    /// request it is known to the second: a push is told so, and what a comment asked for must not come behind it for its fractions.
    pub fn there(&self) -> jiff::Timestamp {
        let there = self.seen.or(self.pushed).unwrap_or(self.at);
        match self.pull_request {
            Some(_) => jiff::Timestamp::from_second(there.as_second()).unwrap_or(there),
            None => there,
        }
    }

    /// The key of the record in the stack's bucket.
    pub fn key(build: &BuildId) -> String {
        format!("state/starts/{}/{}.json", build.project(), build.uuid())
    }
}
