//! What a decision is: a verdict, the reasons for it, and the actions.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use signalbox_events::{Arn, BuildId, CommitId, EventId, PullRequestId, PullRequestState, RefName, RepositoryName};
use signalbox_policy::Mode;

use crate::action::Action;
use crate::facts::{Base, Push};
use crate::review_sweep::FoundReview;
use crate::sweep::BeginsAnew;
use crate::trouble::NotSwept;

/// What is to be done, and why.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// In one word.
    pub verdict: Verdict,
    /// Whether the actions are done or only reported.
    pub mode: Mode,
    /// Why, for each trigger that was considered.
    pub reasons: Vec<Reason>,
    /// What to do, in this order.
    pub actions: Vec<Action>,
}

impl Decision {
    /// Whether every trigger could be decided on.
    pub fn is_complete(&self) -> bool {
        !self
            .reasons
            .iter()
            .any(|reason| matches!(reason, Reason::Idle { idle: Idle::Unreadable { .. }, .. } | Reason::NotSwept(_)))
    }
}

/// A decision in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// At least one build starts.
    Start,
    /// The sweep found a push or a pull request that no event told of.
    Found,
    /// A comment is answered, and nothing starts.
    Answer,
    /// Triggers were considered, and none starts.
    Nothing,
    /// The event concerns no trigger at all.
    NotConcerned,
}

/// Why something happens, or does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The event is no push, no pull request that is opened or updated, and no new comment on one.
    NotAPush,
    /// The sweep has nothing to look at: the policy starts nothing for pushes to branches or for pull requests.
    NothingToSweep,
    /// The sweep looks at the repositories of these sections.
    Sweeps {
        /// Their patterns.
        repositories: Vec<String>,
    },
    /// No event told of a push; the sweep found it.
    Missed {
        /// The push.
        push: Push,
    },
    /// No event told of a pull request; the sweep found it.
    MissedReview(FoundReview),
    /// Somebody else took this revision or comment up, or an earlier delivery did.
    TakenUpUnder {
        /// The id in the ledger under which it is told what came of it.
        id: EventId,
    },
    /// The comment is the stack's own.
    OwnComment,
    /// The comment has no command in it.
    NoCommand,
    /// What the comment says is not known yet.
    CommentUnread,
    /// No trigger of the policy has anything to do with pull requests of this repository.
    NoReviewTrigger {
        /// The repository.
        repository: RepositoryName,
    },
    /// No trigger of the policy takes pull requests into this branch.
    NoTriggerInto {
        /// The repository.
        repository: RepositoryName,
        /// The target branch.
        into: RefName,
    },
    /// There is no such pull request in this repository.
    ReviewGone {
        /// Its number.
        pull_request: PullRequestId,
    },
    /// The pull request is not open any more.
    ReviewEnded {
        /// Its number.
        pull_request: PullRequestId,
        /// How it ended.
        state: PullRequestState,
    },
    /// Nobody has looked at the pull request yet.
    ReviewUnseen {
        /// Its number.
        pull_request: PullRequestId,
    },
    /// Somebody asks which commands there are.
    AsksForHelp {
        /// How the question was put.
        command: String,
    },
    /// Somebody asks for a trigger that is not there.
    UnknownTrigger {
        /// The name, as it was written.
        name: String,
    },
    /// Somebody wants to have run again what failed, and nothing has.
    NothingFailed {
        /// The current commit.
        commit: CommitId,
    },
    /// The sweep could not look at a repository or a branch, or not deal with what it found there.
    NotSwept(NotSwept),
    /// The sweep only remembers where the branches of a known repository are.
    BeginsAnew(BeginsAnew),
    /// A sweep that began after this one was due has looked for it, too.
    SweptSince {
        /// When that one began.
        began: Timestamp,
    },
    /// The sweep took the push up before its event came.
    SweptBefore {
        /// The id of the push in the ledger.
        id: EventId,
    },
    /// No trigger of the policy wants pushes to this ref.
    NoTrigger {
        /// The repository.
        repository: RepositoryName,
        /// The branch or tag.
        reference: RefName,
    },
    /// A trigger starts its build.
    Starts {
        /// Its name.
        trigger: String,
        /// What is built.
        commit: CommitId,
        /// Which try of this commit it is.
        attempt: u32,
        /// What made it start.
        because: Because,
    },
    /// A trigger starts nothing.
    Idle {
        /// Its name.
        trigger: String,
        /// Why.
        idle: Idle,
    },
    /// An older build of the ref is stopped.
    Supersedes {
        /// The trigger's name.
        trigger: String,
        /// The older build.
        build: BuildId,
        /// What is built in its place.
        commit: CommitId,
    },
}

/// What made a trigger start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// It takes every push to the ref.
    Pushed,
    /// It takes every pull request into the branch.
    Revised {
        /// The pull request.
        pull_request: PullRequestId,
        /// The target branch.
        into: RefName,
    },
    /// The target branch has moved since the merge result was built.
    TargetMoved {
        /// The target branch.
        into: RefName,
        /// Where it is now.
        to: Option<CommitId>,
    },
    /// Somebody asked for it in a comment.
    Asked {
        /// The command.
        command: String,
        /// Who, where the event says so.
        by: Option<Arn>,
    },
    /// A changed path matches its filter.
    PathMatches {
        /// The first one that does.
        path: String,
        /// How many paths changed.
        changed: usize,
        /// Since when.
        base: Base,
    },
}

/// Why a trigger starts nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Idle {
    /// Its merge result was never built, so none is stale.
    NotStale,
    /// No changed path matches its filter.
    NoPathMatches {
        /// How many paths changed.
        changed: usize,
        /// One of them.
        example: Option<String>,
        /// Since when.
        base: Base,
    },
    /// The commit message asks for no build.
    SkipCi {
        /// The words that do.
        marker: String,
    },
    /// The commit's author is not one that it starts for.
    OtherAuthor {
        /// The author's address.
        author_email: String,
    },
    /// The commit is already green here.
    Green {
        /// The build that says so.
        build: BuildId,
    },
    /// The commit is being built.
    Running {
        /// The build.
        build: BuildId,
    },
    /// It was started once more already, for this very wish.
    StartedAgain {
        /// The build.
        build: BuildId,
    },
    /// This push has had its build, which did not pass.
    Answered {
        /// The build.
        build: BuildId,
    },
    /// The branch is gone.
    RefGone,
    /// The commit is not in the repository any more.
    CommitGone {
        /// The commit.
        commit: CommitId,
    },
    /// It has a path filter, and nobody has looked yet which files changed.
    FilesUnknown,
    /// It builds the result of the merge, and both branches changed the same lines.
    MergeConflict {
        /// The target branch.
        into: RefName,
        /// The tip of it.
        with: CommitId,
    },
    /// It builds the result of the merge, and the target branch is gone.
    TargetGone {
        /// The target branch.
        into: RefName,
    },
    /// It builds the result of the merge, and nobody has looked yet whether the two can be merged.
    MergeUnknown,
    /// It runs the buildspec of the target branch, which is not known yet.
    BuildspecUnknown,
    /// It runs the buildspec of the target branch, which has none.
    NoBuildspec {
        /// The path.
        path: String,
        /// The target branch.
        into: RefName,
    },
    /// It runs the buildspec of the target branch, which is no text or too long to be handed over.
    BuildspecUnusable {
        /// The path.
        path: String,
        /// How many bytes it has.
        bytes: usize,
    },
    /// It runs the buildspec of the target branch, and its project is not there to tell which file that is.
    NoProject,
    /// The commit has no build that failed.
    NotFailed,
    /// It asks people first, which this version cannot do yet: then it must not start.
    AskNotYet,
    /// It starts something that this version cannot start yet.
    StartNotYet,
    /// Something of it cannot be read, and never will be.
    Unreadable {
        /// What, and why.
        what: String,
    },
    /// The facts say nothing of this trigger: they were gathered for another policy.
    FactsMissing,
}

impl Idle {
    /// Whether the target has the build already that takes the place of older ones.
    pub(crate) fn has_a_build(&self) -> bool {
        matches!(self, Self::Green { .. } | Self::Running { .. } | Self::StartedAgain { .. } | Self::Answered { .. })
    }
}
