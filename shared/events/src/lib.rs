//! The event vocabulary: raw EventBridge JSON in, typed events out.
//!
//! Nothing behind [`parse_event`] sees raw JSON. What is read is what AWS really sends, which is not always what it
//! documents: where the two differ, the doc comment of the field says what was decided.

mod cloudtrail;
mod codebuild;
mod codecommit;
mod codedeploy;
mod codepipeline;
mod dates;
mod describe;
mod envelope;
mod error;
mod fields;
mod kinds;
mod names;
mod reviews;
mod scheduled;
mod signalbox;
mod starts;
mod words;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use cloudtrail::{ApiCall, ApiCallName, IamCall, IamCallName, Permitted};
pub use codebuild::*;
pub use codecommit::*;
pub use codedeploy::*;
pub use codepipeline::*;
pub use envelope::{AGAIN, Again, Envelope};
pub use error::ParseError;
pub use kinds::DETAIL_TYPES;
pub use names::*;
pub use reviews::{CheckRecord, MOST_FINDINGS_RECORDED, ReviewRecord};
pub use scheduled::Scheduled;
pub use signalbox::{
    CHECK, CheckState, CheckStateChange, MOST_FINDINGS_TOLD, MOST_OBSTACLES, OWN_SOURCE, Obstacle, ObstacleKind,
    PROTECTION, Protected, ProtectionFinding, ProtectionState, ProtectionStateChange, REPLICA, ReplicaState,
    ReplicaStateChange,
};
pub use starts::{BuildStart, BuildspecOf, PullRequestStart};

/// What bytes turned out to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parsed {
    /// An event that Signalbox knows.
    Ours(Box<Event>),
    /// An EventBridge event of somebody else, or of a kind that Signalbox does not use.
    NotOurs(NotOurs),
}

/// An event that is none of ours, with as much as a log line needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotOurs {
    /// The envelope's id, when it has a usable one.
    pub id: Option<EventId>,
    /// Who sent it, for instance `aws.ecr`.
    pub source: String,
    /// What it is, for instance `ECR Image Action`.
    pub detail_type: String,
}

/// One event, typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What every event has.
    pub envelope: Envelope,
    /// What happened.
    pub detail: Detail,
}

/// What happened: one variant a kind of event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// A branch or tag was created, moved or deleted.
    Reference(ReferenceChange),
    /// A merge commit was made that no ref points to.
    UnreferencedMergeCommit(UnreferencedMergeCommit),
    /// A pull request changed.
    PullRequest(PullRequestChange),
    /// Somebody commented on a commit.
    CommentOnCommit(Comment),
    /// Somebody commented on a pull request.
    CommentOnPullRequest(PullRequestComment),
    /// Somebody reacted to a comment.
    CommentReaction(CommentReaction),
    /// An approval rule template changed, or where it applies.
    ApprovalRuleTemplate(ApprovalRuleTemplateChange),
    /// Somebody called what no event of CodeCommit tells of.
    ApiCall(ApiCall),
    /// Somebody called IAM, after which somebody may do more.
    IamCall(IamCall),
    /// A build began or ended.
    BuildState(BuildStateChange),
    /// A phase of a build ended.
    BuildPhase(BuildPhaseChange),
    /// A deployment changed its state.
    Deployment(DeploymentChange),
    /// A deployment changed its state on one instance.
    DeploymentInstance(DeploymentInstanceChange),
    /// A run of a pipeline changed its state.
    PipelineExecution(PipelineExecution),
    /// A stage of a pipeline's run changed its state.
    StageExecution(StageExecution),
    /// An action of a pipeline's run changed its state.
    ActionExecution(ActionExecution),
    /// A scheduled rule fired.
    Scheduled(Scheduled),
    /// A copy cannot be made equal, or is equal again: our own word.
    ReplicaState(Box<ReplicaStateChange>),
    /// What became of a protected ref, or of the protection itself: our own word.
    ProtectionState(Box<ProtectionStateChange>),
    /// Protections are to be judged as the checks of a pull request, or were: our own word.
    CheckState(CheckStateChange),
}

impl Event {
    /// The repository that the event is about, for the events of CodeCommit and of our own that are about one.
    pub fn repository(&self) -> Option<&RepositoryName> {
        match &self.detail {
            Detail::Reference(change) => Some(&change.repository),
            Detail::UnreferencedMergeCommit(commit) => Some(&commit.repository),
            Detail::PullRequest(change) => Some(&change.repository),
            Detail::CommentOnCommit(comment) => Some(&comment.repository),
            Detail::CommentOnPullRequest(on_pull_request) => Some(&on_pull_request.comment.repository),
            Detail::CommentReaction(reaction) => Some(&reaction.repository),
            Detail::ApiCall(call) => Some(&call.repository),
            Detail::ReplicaState(change) => Some(&change.repository),
            Detail::ProtectionState(change) => Some(&change.repository),
            Detail::CheckState(change) => Some(&change.repository),
            _ => None,
        }
    }
}

/// The id under which an event is known: its own, and of what one function tells another that of what is told.
pub fn id_of(bytes: &[u8]) -> Option<EventId> {
    #[derive(Deserialize)]
    struct Head {
        id: String,
        #[serde(default)]
        source: Value,
    }
    let head: Head = serde_json::from_slice(bytes).ok()?;
    if head.source == OWN_SOURCE
        && let Ok(Parsed::Ours(event)) = parse_event(bytes)
    {
        return Some(event.envelope.id);
    }
    EventId::parse(head.id).ok()
}

/// Reads one EventBridge event.
///
/// A detail-type or source that Signalbox does not know is [`Parsed::NotOurs`], never an error, because rules may match
/// more than was meant. The source counts too: nobody but AWS can send events whose source begins with `aws.`.
pub fn parse_event(bytes: &[u8]) -> Result<Parsed, ParseError> {
    let value: Value = serde_json::from_slice(bytes).map_err(|source| ParseError::NotJson { source })?;
    let Value::Object(map) = &value else {
        return Err(ParseError::NotAnObject { found: fields::kind_of(&value) });
    };
    kinds::parse(&fields::Fields::root(map))
}
