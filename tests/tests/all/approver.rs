//! The approver over real pull requests and real builds, with CodeCommit itself as the judge of what may be merged.

mod contests;
mod drift;
mod judged;
mod many;
mod roles;
pub(crate) mod world;

use serde_json::json;
use signalbox_glue::Handled;

use world::{World, policy};

pub(crate) const REFUSED: &str = "PullRequestApprovalRulesNotSatisfiedException";

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_is_refused_until_the_check_is_green_and_then_it_goes() {
    let mut world = World::new("{ checks: [unit] }").await;
    let id = world.open("feature", &["broken"]).await;
    world.settle().await;
    assert_eq!(world.merge(&id).await.as_deref(), Some(REFUSED));
    let comment = world.comment(&id).await;
    assert!(
        comment.contains("| check unit | missing | build unit:") && comment.contains("ended as FAILED"),
        "{comment}"
    );
    assert!(!world.is_voted(&id).await);

    world.git(&["rm", "--quiet", "broken"]);
    world.commit("mended", &["good"]);
    world.git(&["push", "--quiet", "origin", "feature"]);
    // Votes belong to a revision: until the new one is built there is none.
    assert_eq!(world.merge(&id).await.as_deref(), Some(REFUSED));
    world.settle().await;
    assert!(world.is_voted(&id).await);
    // Edited in place: there is one comment all along.
    let comment = world.comment(&id).await;
    assert!(comment.contains("Everything is met") && comment.contains("| check unit | met |"), "{comment}");
    assert_eq!(world.merge(&id).await, None);
    world.settle().await;
    assert_eq!(world.comments(&id).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_somebody_started_by_hand_proves_nothing() {
    let mut world = World::new("{ checks: [unit] }").await;
    let id = world.open("feature", &["broken"]).await;
    world.settle().await;
    let commit = world.git(&["rev-parse", "HEAD"]);
    let easy = "version: 0.2\nphases:\n  build:\n    commands: [\"true\"]\n";
    let start = json!({ "projectName": "unit", "sourceVersion": commit, "buildspecOverride": easy });
    world.ground.cloud().codebuild.call("StartBuild", start, &world.ground.developer()).await.unwrap();
    let reports = world.settle().await;
    let told: Vec<&String> = reports.iter().flat_map(|report| &report.reasons).collect();
    assert!(told.iter().any(|reason| reason.contains("the trigger did not start build")), "{told:?}");
    assert!(!world.is_voted(&id).await);
    assert_eq!(world.merge(&id).await.as_deref(), Some(REFUSED));
}

#[tokio::test(flavor = "multi_thread")]
async fn reviewers_are_others_and_approve_this_very_revision() {
    let mut world = World::new("{ checks: [unit], reviewers: { count: 1 } }").await;
    let id = world.open("feature", &["good"]).await;
    world.settle().await;
    assert_eq!(world.merge(&id).await.as_deref(), Some(REFUSED));
    let approve = json!({ "pullRequestId": id, "revisionId": world.revision(&id).await, "approvalState": "APPROVE" });
    world.call_as("reviewer", "UpdatePullRequestApprovalState", approve.clone()).await.unwrap();
    world.settle().await;
    assert!(
        world.comment(&id).await.contains("| 1 approval | met | reviewer approved"),
        "{}",
        world.comment(&id).await
    );
    assert!(world.is_voted(&id).await);

    // Who takes an approval back takes the gate's vote along.
    let mut revoke = approve.clone();
    revoke["approvalState"] = json!("REVOKE");
    world.call_as("reviewer", "UpdatePullRequestApprovalState", revoke).await.unwrap();
    world.settle().await;
    assert!(!world.is_voted(&id).await);
    world.call_as("reviewer", "UpdatePullRequestApprovalState", approve).await.unwrap();
    world.settle().await;

    // A push is a new revision: nobody has approved that.
    world.commit("more", &["more"]);
    world.git(&["push", "--quiet", "origin", "feature"]);
    world.settle().await;
    assert!(!world.is_voted(&id).await && world.merge(&id).await.as_deref() == Some(REFUSED));
    let approve = json!({ "pullRequestId": id, "revisionId": world.revision(&id).await, "approvalState": "APPROVE" });
    world.call_as("reviewer", "UpdatePullRequestApprovalState", approve).await.unwrap();
    world.settle().await;
    assert_eq!(world.merge(&id).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_does_not_apply_is_green_with_its_reason() {
    let ground = signalbox_tests::Ground::without_functions().await.unwrap();
    let text = policy("{ checks: [unit] }").replace("into: [main]", "into: [main], paths: [\"src/**\"]");
    let mut world = World::on(ground, &text).await;
    let id = world.open("docs", &["docs/a.md"]).await;
    world.settle().await;
    assert_eq!(world.ground.builds("unit").await.unwrap().len(), 0);
    let comment = world.comment(&id).await;
    assert!(comment.contains("| check unit | met | it does not apply, as none of the 1 changed file"), "{comment}");
    assert_eq!(world.merge(&id).await, None);

    let id = world.open("code", &["src/a.rs"]).await;
    world.settle().await;
    assert_eq!(world.ground.builds("unit").await.unwrap().len(), 1);
    assert_eq!(world.merge(&id).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_whose_project_is_not_there_says_so() {
    let ground = signalbox_tests::Ground::without_functions().await.unwrap();
    let mut world = World::on(ground, &policy("{ checks: [unit] }").replace("build: unit", "build: nowhere")).await;
    let id = world.open("feature", &["good"]).await;
    world.settle().await;
    let comment = world.comment(&id).await;
    assert!(comment.contains("| check unit | missing | there is no build project nowhere"), "{comment}");
    assert_eq!(world.merge(&id).await.as_deref(), Some(REFUSED));
}

#[tokio::test(flavor = "multi_thread")]
async fn observe_tells_what_it_would_do_and_does_nothing() {
    let ground = signalbox_tests::Ground::without_functions().await.unwrap();
    let mut world = World::on(ground, &policy("{ reviewers: { count: 1 } }").replace("enforce", "observe")).await;
    let id = world.open("feature", &["good"]).await;
    let reports = world.settle().await;
    let told: Vec<&String> = reports.iter().flat_map(|report| &report.actions).collect();
    assert!(told.iter().any(|line| line.starts_with("would give pull request")), "{told:?}");
    let Handled::Reported(report) = world.sweep("clock-1").await else { panic!("refused") };
    assert!(report.actions.iter().any(|line| line == "would make the template signalbox gate main"), "{report:?}");
    assert_eq!((world.rules(&id).await.len(), world.comments(&id).await.len()), (0, 0));
    assert_eq!(world.merge(&id).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_open_before_is_swept_and_what_is_opened_later_has_the_templates_rule() {
    let ground = signalbox_tests::Ground::without_functions().await.unwrap();
    let mut world = World::on(ground, "mode: enforce\n").await;
    let before = world.open("before", &["earlier"]).await;
    world.settle().await;
    assert_eq!(world.rules(&before).await, [""; 0]);
    world.ground.policy(&policy("{ checks: [unit] }")).unwrap();
    let Handled::Reported(report) = world.sweep("clock-1").await else { panic!("refused") };
    assert!(report.actions.iter().any(|line| line == "make the template signalbox gate main: done"), "{report:?}");
    assert_eq!(world.rules(&before).await, ["signalbox gate main"]);
    assert_eq!(world.merge(&before).await.as_deref(), Some(REFUSED));

    let later = world.open("later", &["new"]).await;
    let rules = world.pull_request(&later).await["approvalRules"].clone();
    assert_eq!(rules[0]["originApprovalRuleTemplate"]["approvalRuleTemplateName"], "signalbox gate main", "{rules}");
    assert_eq!(world.merge(&later).await.as_deref(), Some(REFUSED), "before any function has looked");
    world.settle().await;
    assert_eq!(world.rules(&later).await.len(), 1);
    assert_eq!(world.merge(&later).await, None);

    // A second sweep finds nothing to do.
    let Handled::Reported(report) = world.sweep("clock-2").await else { panic!("refused") };
    assert_eq!((report.verdict.as_str(), report.actions.len()), ("nothing new", 0), "{report:?}");

    // Where the policy asks for nothing any more the gate opens, and the template goes.
    let held = world.open("held", &["broken"]).await;
    world.settle().await;
    assert_eq!(world.merge(&held).await.as_deref(), Some(REFUSED));
    world.ground.policy("mode: enforce\n").unwrap();
    let Handled::Reported(report) = world.sweep("clock-3").await else { panic!("refused") };
    assert!(
        report.actions.iter().any(|line| line.starts_with("take the template signalbox gate main from demo")),
        "{report:?}"
    );
    assert_eq!(world.merge(&held).await, None);
    assert_eq!(world.merge(&before).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_branch_that_ends_in_the_middle_breaks_nothing() {
    let mut world = World::new("{ checks: [unit] }").await;
    let id = world.open("feature", &["good"]).await;
    let events = world.waiting();
    world.git(&["push", "--quiet", "origin", ":feature"]);
    let mut verdicts = Vec::new();
    for event in events {
        verdicts.extend(world.deliver(&event).await.into_iter().map(|report| report.verdict));
    }
    assert!(verdicts.contains(&"closed".to_owned()), "{verdicts:?}");
    world.settle().await;
    assert_eq!(world.pull_request(&id).await["pullRequestStatus"], "CLOSED");
    assert_eq!(world.comments(&id).await.len(), 0);
    let Handled::Reported(report) = world.sweep("clock-1").await else { panic!("refused") };
    assert!(report.reasons[0].contains("0 open pull requests"), "{report:?}");
}
