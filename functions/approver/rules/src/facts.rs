//! What a decision of the approver is made from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use signalbox_events::{
    ApprovalRuleName, Arn, BuildId, BuildStatus, CommitId, Detail, Event, OverrideStatus, ProjectName,
    PullRequestChange, PullRequestEvent, PullRequestId, PullRequestState, RefName, RepositoryName, ReviewRecord,
    RevisionId,
};

use crate::gate::Gate;
use crate::memory::Memory;

/// A report keeps at most this many paths.
const REPORTED_PATHS: usize = 500;

/// Everything that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The pull request; `None` for an event that leads to none.
    pub subject: Option<Subject>,
    /// What led here.
    pub occasion: Occasion,
    /// Who we are.
    pub gate: Gate,
    /// How the pull request stands.
    pub pull_request: Found,
    /// What is remembered of it.
    pub memory: Memory,
    /// Whether our comment is still there.
    #[serde(default)]
    pub comment: CommentSeen,
    /// What is known of each check, under its name.
    pub checks: BTreeMap<String, CheckFacts>,
    /// What the protector found in its commits; `None` where nothing of that is asked, or the protector has not looked yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<ReviewRecord>,
    /// What the source's tip says of itself, where somebody had to ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Head>,
    /// The files that the pull request changes, where somebody had to ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Paths>,
}

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subject {
    /// Its repository.
    pub repository: RepositoryName,
    /// Its number.
    pub pull_request: PullRequestId,
}

/// What led to a look at a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// An event that is about no pull request that anything is asked of.
    None(Idle),
    /// Something happened to it.
    PullRequest {
        /// What somebody did to its rules, where that is what happened.
        rules: Option<RuleEvent>,
        /// Who did it, where the event says so.
        by: Option<Arn>,
    },
    /// A build began or ended.
    Build {
        /// The build.
        build: BuildId,
    },
    /// The protector has judged it.
    Judged,
    /// The clock.
    Sweep,
}

/// Why an event leads to no pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Idle {
    /// It is about something else.
    NotAboutReviews,
    /// The policy asks for nothing there.
    NothingAsked {
        /// The repository.
        repository: RepositoryName,
        /// The branch that is merged into.
        into: RefName,
    },
    /// It is closed.
    Closed,
    /// The stack did it itself.
    Ours,
    /// The trigger did not start this build for a pull request.
    NotStartedByUs {
        /// The build.
        build: BuildId,
    },
    /// The event is about all pull requests, or all templates.
    About(Scope),
}

/// What an event is about that is about no single pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Templates.
    Templates,
    /// Everything.
    Everything,
}

/// What somebody did to approval rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleEvent {
    /// A rule was made.
    Created(ApprovalRuleName),
    /// A rule was changed.
    Changed(ApprovalRuleName),
    /// A rule was deleted.
    Deleted(ApprovalRuleName),
    /// All rules were set aside.
    Overridden,
    /// They are in force again.
    InForceAgain,
}

/// A pull request, looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// Nobody looked.
    NotRead,
    /// There is none.
    Gone,
    /// As it stands.
    Here(Box<PullRequestFacts>),
}

/// A pull request as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequestFacts {
    /// Open, closed or merged.
    pub state: PullRequestState,
    /// Who made it.
    pub author: Option<Arn>,
    /// What votes are given on; old events do not tell.
    pub revision: Option<RevisionId>,
    /// The branch that is merged.
    pub source: RefName,
    /// Its tip.
    pub source_commit: CommitId,
    /// The branch that it is merged into.
    pub destination: RefName,
    /// Its tip.
    pub destination_commit: CommitId,
    /// Where the two parted.
    pub base: Option<CommitId>,
    /// Its approval rules; `None` where nobody looked.
    pub rules: Option<Vec<RuleFacts>>,
    /// Who approved the revision; `None` where nobody looked.
    pub approvals: Option<Vec<Arn>>,
    /// Whether somebody set the rules aside.
    pub overrider: Overrider,
}

/// Whether somebody set the rules of a revision aside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overrider {
    /// Nobody looked: nothing said that it might be so.
    #[default]
    NotRead,
    /// Nobody did.
    Nobody,
    /// This one.
    By(Arn),
}

/// An approval rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleFacts {
    /// Its name.
    pub name: String,
    /// What it says.
    pub content: String,
    /// The SHA-256 of that.
    pub sha256: Option<String>,
    /// The template that it came from.
    pub template: Option<String>,
    /// Who changed it last.
    pub modified_by: Option<String>,
}

/// Whether our comment is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommentSeen {
    /// Nobody looked.
    #[default]
    NotRead,
    /// It is.
    There,
    /// Somebody deleted it.
    Gone,
}

/// What is known of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckFacts {
    /// The builds that the trigger started for the pull request's present commits, the oldest first.
    pub builds: Vec<BuildFacts>,
    /// Whether its project is there, where no build was and somebody had to ask.
    #[serde(default)]
    pub project: Project,
    /// Why nothing of it can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

/// A build that the trigger started for a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildFacts {
    /// The build.
    pub build: BuildId,
    /// Which try it is.
    pub attempt: u32,
    /// How CodeBuild says that it stands.
    pub status: BuildStatus,
    /// What keeps it from proving anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub void: Option<Void>,
}

/// Why a build proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Void {
    /// Somebody else than the trigger started it.
    OtherInitiator {
        /// Who.
        initiator: Option<String>,
    },
    /// It ran another project than the trigger's.
    OtherProject {
        /// The project that it ran.
        project: ProjectName,
    },
    /// It built another commit.
    OtherCommit {
        /// What it built.
        commit: Option<String>,
    },
    /// It ran the pull request's own buildspec, and the policy wants the target's.
    OtherBuildspec,
}

/// Whether a build project is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Project {
    /// Nobody looked.
    #[default]
    NotRead,
    /// It is.
    There,
    /// There is none.
    Missing,
}

/// What a commit says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The whole message.
    pub message: String,
    /// The author's e-mail address: claimed, not proven.
    pub author_email: String,
}

/// The files that a pull request changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paths {
    /// Both sides of renames, deletions too.
    pub paths: Vec<String>,
    /// How many a report left out to stay small. A function gathers them all.
    #[serde(default)]
    pub left_out: usize,
}

impl Facts {
    /// The facts as if nothing but the event were known.
    ///
    /// For explaining an event by itself, and what a function begins to gather with.
    pub fn before_gathering(event: &Event, subject: Option<Subject>, occasion: Occasion, gate: Gate) -> Self {
        let pull_request = match (&event.detail, &subject) {
            (Detail::PullRequest(change), Some(_)) => Found::Here(Box::new(PullRequestFacts::told(change))),
            _ => Found::NotRead,
        };
        Self {
            subject,
            occasion,
            gate,
            pull_request,
            memory: Memory::default(),
            comment: CommentSeen::NotRead,
            checks: BTreeMap::new(),
            review: None,
            head: None,
            paths: None,
        }
    }

    /// The facts as a report keeps them: a long list of paths is cut, and says so.
    #[must_use]
    pub fn for_report(&self) -> Self {
        let mut facts = self.clone();
        if let Some(paths) = &mut facts.paths {
            paths.left_out += paths.paths.len().saturating_sub(REPORTED_PATHS);
            paths.paths.truncate(REPORTED_PATHS);
        }
        facts
    }

    /// The pull request, if it was found.
    pub fn here(&self) -> Option<&PullRequestFacts> {
        match &self.pull_request {
            Found::Here(here) => Some(here),
            Found::NotRead | Found::Gone => None,
        }
    }
}

impl PullRequestFacts {
    /// What the commits of the pull request are counted from: where the two branches parted, or the target's tip where they never met.
    pub fn from(&self) -> &CommitId {
        self.base.as_ref().unwrap_or(&self.destination_commit)
    }

    /// As an event tells of it.
    fn told(change: &PullRequestChange) -> Self {
        Self {
            state: change.state,
            author: change.author.clone(),
            revision: change.revision.clone(),
            source: change.source.reference.clone(),
            source_commit: change.source.commit.clone(),
            destination: change.destination.reference.clone(),
            destination_commit: change.destination.commit.clone(),
            base: None,
            rules: None,
            approvals: None,
            overrider: Overrider::NotRead,
        }
    }
}

impl RuleEvent {
    /// What an event says that somebody did to rules.
    pub fn of(event: &PullRequestEvent) -> Option<Self> {
        match event {
            PullRequestEvent::ApprovalRuleCreated(rule) => Some(Self::Created(rule.name.clone())),
            PullRequestEvent::ApprovalRuleUpdated(rule) => Some(Self::Changed(rule.name.clone())),
            PullRequestEvent::ApprovalRuleDeleted(rule) => Some(Self::Deleted(rule.name.clone())),
            PullRequestEvent::ApprovalRuleOverridden { status: OverrideStatus::Override } => Some(Self::Overridden),
            PullRequestEvent::ApprovalRuleOverridden { status: OverrideStatus::Revoke } => Some(Self::InForceAgain),
            _ => None,
        }
    }
}
