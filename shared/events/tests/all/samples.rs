//! The repository's own samples.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use signalbox_events::{
    ActionCategory, ActionState, BuildStatus, DeploymentState, Detail, Event, InstanceState, MergeOption, Parsed,
    PhaseType, PipelineState, PullRequestEvent, PullRequestState, RefChange, StageState, TemplateChange, parse_event,
};

use crate::parse_to_summary;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events")
}

fn samples() -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            found.push((name, std::fs::read(&path).unwrap()));
        }
    }
    found.sort();
    assert!(found.len() > 80, "only {} samples in {}", found.len(), folder().display());
    found
}

fn sample(name: &str) -> Event {
    let bytes = std::fs::read(folder().join(format!("{name}.json"))).unwrap();
    match parse_event(&bytes) {
        Ok(Parsed::Ours(event)) => *event,
        other => panic!("{name}: {other:?}"),
    }
}

fn events() -> Vec<(String, Event)> {
    let ours = samples().into_iter().filter_map(|(name, bytes)| match parse_event(&bytes) {
        Ok(Parsed::Ours(event)) => Some((name, *event)),
        _ => None,
    });
    ours.collect()
}

#[test]
fn every_sample_parses_to_what_its_name_says() {
    let lines: Vec<_> = samples().iter().map(|(name, bytes)| format!("{name}: {}", parse_to_summary(bytes))).collect();
    insta::assert_snapshot!("samples", lines.join("\n"));
}

#[test]
fn only_samples_called_unknown_or_malformed_are_none_of_ours() {
    for (name, bytes) in samples() {
        let parsed = parse_event(&bytes);
        let expected = match &parsed {
            Ok(Parsed::Ours(_)) => !name.starts_with("unknown-") && !name.starts_with("malformed-"),
            Ok(Parsed::NotOurs(_)) => name.starts_with("unknown-"),
            Err(_) => name.starts_with("malformed-"),
        };
        assert!(expected, "{name}: {parsed:?}");
    }
}

#[test]
fn the_table_of_samples_lists_exactly_the_files() {
    let readme = std::fs::read_to_string(folder().join("README.md")).unwrap();
    let listed: BTreeSet<_> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once(".json`"))
        .map(|(name, _)| name)
        .collect();
    let samples = samples();
    let there: BTreeSet<_> = samples.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(listed, there);
}

#[test]
fn samples_have_ids_of_their_own() {
    let events = events();
    let ids: BTreeSet<_> = events.iter().map(|(_, event)| event.envelope.id.as_str()).collect();
    assert_eq!(ids.len(), events.len());
}

#[test]
fn every_value_of_every_state_has_a_sample() {
    let mut builds = BTreeSet::new();
    let mut deployments = BTreeSet::new();
    let mut instances = BTreeSet::new();
    let mut pipelines = BTreeSet::new();
    let mut stages = BTreeSet::new();
    let mut actions = BTreeSet::new();
    let mut merges = BTreeSet::new();
    let mut templates = BTreeSet::new();
    let mut pull_requests = BTreeSet::new();
    let mut phases = BTreeSet::new();
    for (_, event) in events() {
        match event.detail {
            Detail::Reference(change) => merges.extend(change.merge.map(|merge| merge.option)),
            Detail::PullRequest(change) => drop(pull_requests.insert(change.state)),
            Detail::ApprovalRuleTemplate(change) => drop(templates.insert(change.change)),
            Detail::BuildState(change) => {
                builds.insert(change.status);
                phases.extend(change.information.iter().flat_map(|more| &more.phases).map(|phase| phase.phase));
            }
            Detail::Deployment(change) => drop(deployments.insert(change.state)),
            Detail::DeploymentInstance(change) => drop(instances.insert(change.state)),
            Detail::PipelineExecution(change) => drop(pipelines.insert(change.state)),
            Detail::StageExecution(change) => drop(stages.insert(change.state)),
            Detail::ActionExecution(change) => drop(actions.insert(change.state)),
            _ => {}
        }
    }
    assert_eq!(builds.len(), BuildStatus::ALL.len());
    assert_eq!(deployments.len(), DeploymentState::ALL.len());
    assert_eq!(instances.len(), InstanceState::ALL.len());
    assert_eq!(pipelines.len(), PipelineState::ALL.len());
    assert_eq!(stages.len(), StageState::ALL.len());
    assert_eq!(actions.len(), ActionState::ALL.len());
    assert_eq!(merges.len(), MergeOption::ALL.len());
    assert_eq!(phases.len(), PhaseType::ALL.len());
    assert_eq!(
        templates,
        [
            TemplateChange::Created,
            TemplateChange::Updated,
            TemplateChange::Deleted,
            TemplateChange::Associated,
            TemplateChange::Disassociated,
            TemplateChange::BatchAssociated,
            TemplateChange::BatchDisassociated,
        ]
        .into()
    );
    assert_eq!(pull_requests, [PullRequestState::Open, PullRequestState::Closed, PullRequestState::Merged].into());
}

#[test]
fn every_event_survives_the_way_through_a_facts_file() {
    for (name, event) in events() {
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event, "{name}: {text}");
    }
}

#[test]
fn the_value_of_an_environment_variable_is_never_kept() {
    let raw = std::fs::read_to_string(folder().join("codebuild-build-failed.json")).unwrap();
    let values = ["payments/unit:token", "a-plain-value"];
    assert!(values.iter().all(|value| raw.contains(value)), "the sample no longer carries its values");
    let event = sample("codebuild-build-failed");
    let kept = serde_json::to_string(&event).unwrap();
    assert!(kept.contains("PAYMENTS_TOKEN") && !values.iter().any(|value| kept.contains(value)), "{kept}");
}

#[test]
fn a_failed_build_says_which_phase_failed_and_why() {
    let Detail::BuildState(build) = sample("codebuild-build-failed").detail else { panic!("no build") };
    assert!(build.status.is_terminal() && !build.status.is_success());
    assert_eq!(build.context, Vec::<String>::new());
    let more = build.information.unwrap();
    let failed = more.failed_phase().unwrap();
    assert_eq!(failed.phase, PhaseType::Build);
    assert_eq!(
        failed.context,
        ["COMMAND_EXECUTION_ERROR: Error while executing command: ./run-tests. Reason: exit status 1"]
    );
    assert_eq!(failed.duration_seconds, Some(21));
    assert_eq!(more.source_repository().unwrap().as_str(), "payments");
    assert_eq!(more.start_time.unwrap().to_string(), "2026-03-02T09:14:12Z");
    assert_eq!(more.logs.unwrap().stream.as_deref(), Some(build.build.uuid()));
}

#[test]
fn a_build_that_began_has_no_log_and_no_number() {
    let Detail::BuildState(build) = sample("codebuild-build-in-progress").detail else { panic!("no build") };
    assert_eq!(build.status, BuildStatus::InProgress);
    let more = build.information.unwrap();
    assert_eq!((more.logs, more.build_number, more.phases.len(), more.complete), (None, None, 0, false));
    assert_eq!(more.queued_timeout_in_minutes, Some(480));
}

#[test]
fn a_merge_still_names_the_old_tip_of_its_destination() {
    let (Detail::PullRequest(merged), Detail::Reference(moved)) =
        (sample("codecommit-pull-request-merged").detail, sample("codecommit-reference-updated-merge-squash").detail)
    else {
        panic!("not the two events of a merge")
    };
    assert_eq!(merged.event, PullRequestEvent::MergeStatusUpdated { option: Some(MergeOption::Squash) });
    assert_eq!(Some(&merged.destination.commit), moved.change.old_commit());
    assert_ne!(Some(&merged.destination.commit), moved.change.new_commit());
}

#[test]
fn a_branch_may_hold_slashes() {
    let Detail::Reference(created) = sample("codecommit-reference-created-branch").detail else { panic!("no ref") };
    assert_eq!(created.reference.short(), "feature/refunds/partial");
    assert!(matches!(created.change, RefChange::Created { .. }));
    assert_eq!(created.caller.unwrap().person(), "developer");
}

#[test]
fn approvals_in_pipelines_are_told_from_other_actions() {
    let about = |name| match sample(name).detail {
        Detail::ActionExecution(run) => {
            (run.is_approval_wanted(), run.is_approval_rejected(), run.action_type.category)
        }
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(about("codepipeline-action-approval-wanted"), (true, false, ActionCategory::Approval));
    assert_eq!(about("codepipeline-action-approval-given"), (false, false, ActionCategory::Approval));
    assert_eq!(about("codepipeline-action-approval-rejected"), (false, true, ActionCategory::Approval));
    assert_eq!(about("codepipeline-action-started"), (false, false, ActionCategory::Build));
    assert_eq!(about("codepipeline-action-failed"), (false, false, ActionCategory::Deploy));
}

#[test]
fn a_replayed_event_says_from_which_replay() {
    assert_eq!(
        sample("codecommit-reference-updated-replayed").envelope.replay_name.as_deref(),
        Some("after-the-outage")
    );
    assert_eq!(sample("codecommit-reference-updated-push").envelope.replay_name, None);
}
