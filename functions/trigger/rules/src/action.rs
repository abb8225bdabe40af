//! What there is to do: builds that start and stop, and what is remembered of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use signalbox_events::{
    Again, Arn, BuildId, BuildStatus, CommentId, CommitId, EventId, ProjectName, PullRequestStart, RefName,
    RepositoryName,
};
use signalbox_policy::EnvironmentValue;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Remember how builds ended. It changes nothing but the trigger's own memory, and may be done twice.
    Settle {
        /// The key of the state.
        state_key: String,
        /// How they ended.
        settled: BTreeMap<BuildId, BuildStatus>,
    },
    /// Stop a build that a newer commit makes pointless.
    Stop(StopBuild),
    /// Start a build.
    Start(Box<StartBuild>),
    /// Answer a comment.
    Reply(Reply),
}

/// An answer to a comment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The comment.
    pub to: CommentId,
    /// What is said, in Markdown; no line of it is a command.
    pub text: String,
    /// The same for the same comment, so that it is answered once.
    pub token: String,
}

/// What must still hold when a build is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnlyIf {
    /// Nothing more.
    Anyway,
    /// The branch is still at the commit; if it moved on, the event of that push starts the newer one.
    StillTip,
}

/// A build to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopBuild {
    /// The trigger that started it.
    pub trigger: String,
    /// The build.
    pub build: BuildId,
    /// The key of the trigger's state.
    pub state_key: String,
    /// The commit that takes its place.
    pub superseded_by: CommitId,
    /// The repository.
    pub repository: RepositoryName,
    /// The branch.
    pub reference: RefName,
    /// The key of the start that takes its place; `None` where that one was there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_start: Option<String>,
}

/// A build to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartBuild {
    /// The trigger.
    pub trigger: String,
    /// The key of its state.
    pub state_key: String,
    /// The CodeBuild project.
    pub project: ProjectName,
    /// Another buildspec than the project's: a path, or for a pull request the text of the target branch's.
    pub buildspec: Option<String>,
    /// The repository.
    pub repository: RepositoryName,
    /// The branch or tag.
    pub reference: RefName,
    /// What is built.
    pub commit: CommitId,
    /// Where the ref was before.
    pub previous: Option<CommitId>,
    /// Who pushed; unknown where a newer commit than the pushed one is built.
    pub pusher: Option<Arn>,
    /// When the ref came to the commit; unknown in the same case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<Timestamp>,
    /// What must still hold.
    pub only_if: OnlyIf,
    /// Which try of this commit it is.
    pub attempt: u32,
    /// No build of this start is older, where that is known: the ref was not there yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// The id of the push that starts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<EventId>,
    /// The same for the same (repository, ref, commit, trigger, attempt), whoever decides it, however often.
    pub token: String,
    /// Variables for the build.
    pub environment: BTreeMap<String, EnvironmentValue>,
    /// The wish that it is started for, where somebody has a finished event run once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
    /// The pull request that it is started for; `None` for a push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<Box<PullRequestStart>>,
}

impl Action {
    /// A name for it that stays the same however often it is decided; `None` where it may simply be done again.
    pub fn key(&self) -> Option<String> {
        match self {
            Self::Settle { .. } => None,
            Self::Stop(stop) => Some(format!("stop {}", stop.build)),
            Self::Start(start) => Some(start.key()),
            Self::Reply(_) => Some("reply".to_owned()),
        }
    }
}

impl StartBuild {
    /// A name for it that stays the same however often it is decided.
    pub fn key(&self) -> String {
        format!("start {} {} {}", self.trigger, self.commit, self.attempt)
    }
}
