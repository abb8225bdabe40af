//! Other people's events: really delivered ones, and those printed in AWS's documentation.
//!
//! They are not part of this repository. `SIGNALBOX_EVENT_CORPUS` names the folder; the file names say what is inside.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use signalbox_events::{
    ApprovalStatus, Detail, OverrideStatus, ParseError, Parsed, PullRequestEvent, RefChange, TemplateChange,
    parse_event,
};

use crate::summary;

fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("SIGNALBOX_EVENT_CORPUS").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: SIGNALBOX_EVENT_CORPUS names no folder with events");
    }
    folder
}

/// Every event of the corpus: the file's name, and the elements of a sequence one by one.
fn each_event(folder: &Path) -> Vec<(String, Value)> {
    let mut events = Vec::new();
    for part in ["captured", "documented"] {
        for entry in std::fs::read_dir(folder.join(part)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            match serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap() {
                Value::Array(sequence) => {
                    assert!(name.contains("-sequence-") || name.contains("-two-records-"), "{name} is an array");
                    assert!(!sequence.is_empty(), "{name} is empty");
                    events.extend(sequence.into_iter().map(|event| (name.clone(), event)));
                }
                event => events.push((name, event)),
            }
        }
    }
    events.sort_by(|one, other| one.0.cmp(&other.0));
    events
}

/// The kind of a parsed event, in the words of the corpus's file names.
fn kind(detail: &Detail) -> String {
    let text = match detail {
        Detail::Reference(change) => match (&change.change, &change.merge) {
            (RefChange::Created { .. }, _) => "codecommit-reference-created",
            (RefChange::Updated { .. }, _) => "codecommit-reference-updated",
            (RefChange::Deleted { .. }, _) => "codecommit-reference-deleted",
        },
        Detail::UnreferencedMergeCommit(_) => "codecommit-unreferenced-merge-commit-created",
        Detail::PullRequest(change) => match &change.event {
            PullRequestEvent::Created => "codecommit-pr-created",
            PullRequestEvent::SourceBranchUpdated => "codecommit-pr-source-branch-updated",
            PullRequestEvent::StatusChanged => "codecommit-pr-status-changed-closed",
            PullRequestEvent::MergeStatusUpdated { .. } => "codecommit-pr-merge-status-updated",
            PullRequestEvent::ApprovalStateChanged { status: ApprovalStatus::Approve } => {
                "codecommit-pr-approval-state-changed-approve"
            }
            PullRequestEvent::ApprovalStateChanged { status: ApprovalStatus::Revoke } => {
                "codecommit-pr-approval-state-changed-revoke"
            }
            PullRequestEvent::ApprovalRuleCreated(_) => "codecommit-pr-approval-rule-created",
            PullRequestEvent::ApprovalRuleUpdated(_) => "codecommit-pr-approval-rule-updated",
            PullRequestEvent::ApprovalRuleDeleted(_) => "codecommit-pr-approval-rule-deleted",
            PullRequestEvent::ApprovalRuleOverridden { status: OverrideStatus::Override } => {
                "codecommit-pr-approval-rule-overridden"
            }
            PullRequestEvent::ApprovalRuleOverridden { status: OverrideStatus::Revoke } => {
                "codecommit-pr-approval-rule-override-revoked"
            }
        },
        Detail::CommentOnCommit(comment) => return format!("codecommit-comment-on-commit-{}", comment.change),
        Detail::CommentOnPullRequest(on) => return format!("codecommit-comment-on-pr-{}", on.comment.change),
        Detail::CommentReaction(reaction) => return format!("codecommit-comment-reaction-{}", reaction.change),
        Detail::ApprovalRuleTemplate(template) => match template.change {
            TemplateChange::Created => "codecommit-approval-rule-template-created",
            TemplateChange::Updated => "codecommit-approval-rule-template-updated",
            TemplateChange::Deleted => "codecommit-approval-rule-template-deleted",
            TemplateChange::Associated => "codecommit-approval-rule-template-associated",
            TemplateChange::Disassociated => "codecommit-approval-rule-template-disassociated",
            TemplateChange::BatchAssociated => "codecommit-approval-rule-template-batch-associated",
            TemplateChange::BatchDisassociated => "codecommit-approval-rule-template-batch-disassociated",
        },
        Detail::BuildState(build) => {
            return format!("codebuild-build-state-{}", build.status).to_lowercase().replace('_', "-");
        }
        Detail::BuildPhase(build) => return format!("codebuild-build-phase-{}", build.phase).to_lowercase(),
        Detail::Deployment(change) => return format!("codedeploy-deployment-{}", change.state).to_lowercase(),
        Detail::DeploymentInstance(change) => return format!("codedeploy-instance-{}", change.state).to_lowercase(),
        Detail::PipelineExecution(run) => return format!("codepipeline-pipeline-{}", run.state).to_lowercase(),
        Detail::StageExecution(run) => return format!("codepipeline-stage-{}", run.state).to_lowercase(),
        Detail::ActionExecution(run) => return format!("codepipeline-action-{}", run.state).to_lowercase(),
        Detail::Scheduled(_) => "scheduled",
        Detail::ApiCall(_) => "codecommit-api-call",
        Detail::IamCall(_) => "iam-api-call",
        Detail::ReplicaState(_) => "signalbox-replica",
        Detail::ProtectionState(_) => "signalbox-protection",
        Detail::CheckState(_) => "signalbox-check",
    };
    text.to_owned()
}

/// What belongs to whom, by the shape of the JSON alone and not by what the parser says.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Raw,
    RawOfOthers,
    Notification,
    Other,
}

fn form_of(event: &Value) -> Form {
    let ours = ["aws.codecommit", "aws.codebuild", "aws.codedeploy", "aws.codepipeline"];
    let source = event["source"].as_str().unwrap_or_default();
    match event["detail-type"].as_str() {
        Some(kind) if ours.contains(&source) && !kind.contains("CloudTrail") => Form::Raw,
        Some(_) => Form::RawOfOthers,
        None if event["detailType"].is_string() => Form::Notification,
        None => Form::Other,
    }
}

#[test]
fn every_raw_event_of_the_corpus_parses_to_what_its_file_is_named_for() {
    let Some(folder) = corpus() else { return };
    let mut kinds = BTreeMap::<String, usize>::new();
    let mut forms = BTreeMap::<Form, usize>::new();
    for (name, event) in each_event(&folder) {
        let form = form_of(&event);
        let parsed = parse_event(&serde_json::to_vec(&event).unwrap());
        let said = || format!("{name}: {}", summary(&parsed));
        match (&form, &parsed) {
            (Form::Raw, Ok(Parsed::Ours(event))) => {
                let kind = kind(&event.detail);
                // A sequence is named for its story, not for its events.
                assert!(name.contains("-sequence-") || name.starts_with(&kind), "{kind} in {}", said());
                *kinds.entry(kind).or_default() += 1;
            }
            (Form::RawOfOthers, Ok(Parsed::NotOurs(_))) => {}
            (Form::Notification, Err(ParseError::NotificationForm { .. })) => {}
            (Form::Other, Err(ParseError::NotAnEvent { looks_like })) => {
                assert_ne!(*looks_like, "nothing that AWS sends to a function", "{}", said());
            }
            _ => panic!("{form:?}: {}", said()),
        }
        *forms.entry(form).or_default() += 1;
    }
    let counts: Vec<_> = kinds.iter().map(|(kind, count)| format!("{kind}: {count}")).collect();
    insta::assert_snapshot!("corpus_kinds", counts.join("\n"));
    insta::assert_debug_snapshot!("corpus_forms", forms);
}

/// A notification has the detail of its raw event, so most of what was really captured can be read that way, too.
#[test]
fn the_detail_of_a_captured_notification_reads_as_the_raw_event_would() {
    let Some(folder) = corpus() else { return };
    let mut read = 0;
    for (name, event) in each_event(&folder) {
        if form_of(&event) != Form::Notification {
            continue;
        }
        let mut raw = event.clone();
        raw["detail-type"] = event["detailType"].clone();
        raw["id"] = "00000000-0000-4000-8000-000000000000".into();
        let parsed = parse_event(&serde_json::to_vec(&raw).unwrap());
        assert!(matches!(parsed, Ok(Parsed::Ours(_))), "{name}: {}", summary(&parsed));
        read += 1;
    }
    assert!(read >= 50, "only {read} notifications in the corpus");
}

/// Whatever is cut out of a good event: an answer, and never a panic.
#[test]
fn no_field_that_is_taken_out_of_a_real_event_makes_the_parser_panic() {
    let Some(folder) = corpus() else { return };
    let mut tried = 0;
    for (_, event) in each_event(&folder) {
        for pointer in crate::hostile::pointers(&event) {
            for replacement in [Value::Null, Value::Bool(true), 3.into(), "x".into(), Value::Array(vec![])] {
                let mut broken = event.clone();
                *broken.pointer_mut(&pointer).unwrap() = replacement;
                drop(parse_event(&serde_json::to_vec(&broken).unwrap()));
                tried += 1;
            }
        }
    }
    assert!(tried > 10_000, "only {tried} mutations were tried");
}
