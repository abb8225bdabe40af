//! Which events are ours, and who reads them.

use crate::cloudtrail::{self, ApiCall, IamCall};
use crate::codebuild::{BuildPhaseChange, BuildStateChange};
use crate::codecommit::{
    self, ApprovalRuleTemplateChange, Comment, CommentReaction, PullRequestChange, PullRequestComment,
};
use crate::codedeploy::{DeploymentChange, DeploymentInstanceChange};
use crate::codepipeline::{ActionExecution, PipelineExecution, StageExecution};
use crate::envelope::{Again, Envelope};
use crate::error::ParseError;
use crate::fields::{Fields, cut};
use crate::names::EventId;
use crate::scheduled::Scheduled;
use crate::signalbox::{self, CheckStateChange, ProtectionStateChange, ReplicaStateChange};
use crate::{Detail, Event, NotOurs, Parsed};

/// Every pair of source and detail-type that is parsed, in AWS's spelling; the last three are our own.
///
/// `CodeBuild Fleet State Change` is missing on purpose: AWS lists it without saying what it carries, and no job of
/// Signalbox wants it. `CodeCommit PullRequest State Change` is how older documentation spells the kind before it.
pub const DETAIL_TYPES: &[(&str, &str)] = &[
    ("aws.codecommit", codecommit::REPOSITORY),
    ("aws.codecommit", codecommit::PULL_REQUEST),
    ("aws.codecommit", codecommit::PULL_REQUEST_OLD),
    ("aws.codecommit", codecommit::COMMENT_ON_COMMIT),
    ("aws.codecommit", codecommit::COMMENT_ON_PULL_REQUEST),
    ("aws.codecommit", codecommit::REACTION),
    ("aws.codecommit", codecommit::TEMPLATE),
    ("aws.codecommit", cloudtrail::API_CALL),
    (cloudtrail::IAM, cloudtrail::API_CALL),
    ("aws.codebuild", BUILD_STATE),
    ("aws.codebuild", BUILD_PHASE),
    ("aws.codedeploy", DEPLOYMENT),
    ("aws.codedeploy", INSTANCE),
    ("aws.codepipeline", PIPELINE),
    ("aws.codepipeline", STAGE),
    ("aws.codepipeline", ACTION),
    ("aws.events", SCHEDULED),
    (signalbox::OWN_SOURCE, signalbox::REPLICA),
    (signalbox::OWN_SOURCE, signalbox::PROTECTION),
    (signalbox::OWN_SOURCE, signalbox::CHECK),
];

const BUILD_STATE: &str = "CodeBuild Build State Change";
const BUILD_PHASE: &str = "CodeBuild Build Phase Change";
const DEPLOYMENT: &str = "CodeDeploy Deployment State-change Notification";
const INSTANCE: &str = "CodeDeploy Instance State-change Notification";
const PIPELINE: &str = "CodePipeline Pipeline Execution State Change";
const STAGE: &str = "CodePipeline Stage Execution State Change";
const ACTION: &str = "CodePipeline Action Execution State Change";
const SCHEDULED: &str = "Scheduled Event";

/// Reads the whole event.
pub(crate) fn parse(event: &Fields<'_>) -> Result<Parsed, ParseError> {
    if !event.has("detail-type") {
        return Err(not_an_event(event));
    }
    let detail_type = event.text("detail-type", "the detail-type of an EventBridge event")?;
    let source = event.text("source", "the source of an EventBridge event")?;
    // Before anything else is asked of the event: what is not ours may have any shape.
    let is_other_call = detail_type == cloudtrail::API_CALL && !cloudtrail::is_ours(source, event);
    if is_other_call || !DETAIL_TYPES.contains(&(source, detail_type)) {
        return Ok(Parsed::NotOurs(NotOurs {
            id: event.optional_text("id").ok().flatten().and_then(|id| EventId::parse(id).ok()),
            source: source.to_owned(),
            detail_type: detail_type.to_owned(),
        }));
    }
    let mut envelope = Envelope::parse(event)?;
    let detail = event.object("detail", "the detail of the event, an object")?;
    let detail = match detail_type {
        codecommit::REPOSITORY => codecommit::parse_repository_change(&detail)?,
        codecommit::PULL_REQUEST | codecommit::PULL_REQUEST_OLD => {
            Detail::PullRequest(PullRequestChange::parse(&detail)?)
        }
        codecommit::COMMENT_ON_COMMIT => Detail::CommentOnCommit(Comment::parse_on_commit(&detail)?),
        codecommit::COMMENT_ON_PULL_REQUEST => Detail::CommentOnPullRequest(PullRequestComment::parse(&detail)?),
        codecommit::REACTION => Detail::CommentReaction(CommentReaction::parse(&detail)?),
        codecommit::TEMPLATE => Detail::ApprovalRuleTemplate(ApprovalRuleTemplateChange::parse(&detail)?),
        cloudtrail::API_CALL if source == cloudtrail::IAM => Detail::IamCall(IamCall::parse(&detail)?),
        cloudtrail::API_CALL => Detail::ApiCall(ApiCall::parse(&detail)?),
        BUILD_STATE => Detail::BuildState(BuildStateChange::parse(&detail)?),
        BUILD_PHASE => Detail::BuildPhase(BuildPhaseChange::parse(&detail)?),
        DEPLOYMENT => Detail::Deployment(DeploymentChange::parse(&detail)?),
        INSTANCE => Detail::DeploymentInstance(DeploymentInstanceChange::parse(&detail)?),
        PIPELINE => Detail::PipelineExecution(PipelineExecution::parse(&detail)?),
        STAGE => Detail::StageExecution(StageExecution::parse(&detail)?),
        ACTION => Detail::ActionExecution(ActionExecution::parse(&detail)?),
        signalbox::REPLICA => {
            let change = ReplicaStateChange::parse(&detail)?;
            take_notice(&mut envelope, &change.notice);
            Detail::ReplicaState(Box::new(change))
        }
        signalbox::PROTECTION => {
            let change = ProtectionStateChange::parse(&detail)?;
            take_notice(&mut envelope, &change.notice);
            Detail::ProtectionState(Box::new(change))
        }
        signalbox::CHECK => Detail::CheckState(CheckStateChange::parse(&detail)?),
        // The only one left in the list.
        _ => Detail::Scheduled(Scheduled::from_envelope(&envelope)),
    };
    Ok(Parsed::Ours(Box::new(Event { envelope, detail })))
}

/// Whoever puts a notice twice makes two events of it, with an id each: what is told is one.
fn take_notice(envelope: &mut Envelope, notice: &EventId) {
    envelope.id = notice.clone();
    envelope.again = envelope.again.take().map(|again| Again { event: notice.clone(), ..again });
}

/// Says what an object without a detail-type is instead, as people do send the functions the neighbours of an event.
fn not_an_event(event: &Fields<'_>) -> ParseError {
    if event.has("detailType") {
        let detail_type = event.optional_text("detailType").ok().flatten().unwrap_or_default();
        return ParseError::NotificationForm { detail_type: cut(detail_type) };
    }
    let neighbours = [
        ("CodePipeline.job", "the job of a CodePipeline Lambda action (it carries live credentials: do not store it)"),
        ("LifecycleEventHookExecutionId", "the call of a CodeDeploy lifecycle hook"),
        ("Records", "a batch of records (SQS, SNS or a CodeCommit trigger); one record's body is the event"),
        ("TopicArn", "an SNS envelope; its Message is what was sent"),
        ("userIdentity", "a bare CloudTrail record"),
        ("eventTriggerName", "a CodeDeploy trigger's SNS message"),
        ("approval", "a CodePipeline manual approval's SNS message"),
    ];
    let known = neighbours.iter().find(|(key, _)| event.has(key)).map(|(_, what)| *what);
    ParseError::NotAnEvent { looks_like: known.unwrap_or("nothing that AWS sends to a function") }
}
