//! What somebody does to gates, templates and comments, and what comes of it.

use serde_json::{Value, json};
use signalbox_glue::Handled;

use super::REFUSED;
use super::world::World;

const DEVELOPER: &str = "arn:aws:iam::111122223333:user/developer";
const WEAK: &str = r#"{"Version":"2018-11-08","Statements":[{"Type":"Approvers","NumberOfApprovalsNeeded":1}]}"#;

fn is_told(world: &World, words: &[&str]) -> bool {
    world.ledger().iter().any(|report| {
        let reasons = report["reasons"].to_string();
        words.iter().all(|word| reasons.contains(word))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_is_deleted_or_weakened_comes_back_and_it_is_told_who_did_it() {
    let mut world = World::new("{ checks: [unit] }").await;
    let id = world.open("feature", &["broken"]).await;
    world.settle().await;
    let name = "signalbox gate main";
    let rule = json!({ "pullRequestId": id, "approvalRuleName": name });
    world.call("DeletePullRequestApprovalRule", rule).await.unwrap();
    world.settle().await;
    assert_eq!(world.rules(&id).await, [name]);
    assert!(is_told(&world, &[DEVELOPER, "deleted the rule signalbox gate main"]), "{:?}", world.ledger());

    let weaken = json!({ "pullRequestId": id, "approvalRuleName": name, "newRuleContent": WEAK });
    world.call("UpdatePullRequestApprovalRuleContent", weaken).await.unwrap();
    world.settle().await;
    let content = world.pull_request(&id).await["approvalRules"][0]["approvalRuleContent"].to_string();
    assert!(content.contains("ChecksRole"), "{content}");
    assert!(is_told(&world, &[DEVELOPER, "changed the rule signalbox gate main"]));
    assert_eq!(world.merge(&id).await.as_deref(), Some(REFUSED));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_is_ended_unless_the_policy_lets_somebody() {
    let approval = "{ checks: [unit], override: [\"arn:aws:iam::*:user/chief\"] }";
    let mut world = World::new(approval).await;
    let id = world.open("feature", &["broken"]).await;
    world.settle().await;
    let over = json!({
        "pullRequestId": id, "revisionId": world.revision(&id).await, "overrideStatus": "OVERRIDE",
    });
    world.call("OverridePullRequestApprovalRules", over.clone()).await.unwrap();
    world.settle().await;
    assert_eq!(world.merge(&id).await.as_deref(), Some(REFUSED));
    assert!(is_told(&world, &[DEVELOPER, "set the approval rules aside, and the policy does not let them"]));

    // Break-glass: it holds, it is in the ledger and in the comment.
    world.call_as("chief", "OverridePullRequestApprovalRules", over).await.unwrap();
    let reports = world.settle().await;
    assert!(reports.iter().any(|report| report.verdict == "overridden"), "{reports:?}");
    assert!(is_told(&world, &["user/chief set the approval rules aside, as the policy lets them"]));
    assert!(world.comment(&id).await.contains("chief set the approval rules aside"), "{}", world.comment(&id).await);
    assert_eq!(world.merge(&id).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_whose_event_was_lost_is_found_by_the_sweep() {
    let mut world = World::new("{ checks: [unit] }").await;
    let id = world.open("feature", &["broken"]).await;
    world.settle().await;
    let over = json!({
        "pullRequestId": id, "revisionId": world.revision(&id).await, "overrideStatus": "OVERRIDE",
    });
    world.call("OverridePullRequestApprovalRules", over).await.unwrap();
    world.waiting();
    world.sweep("clock-1").await;
    assert_eq!(world.merge(&id).await.as_deref(), Some(REFUSED));
    assert!(is_told(&world, &[DEVELOPER, "the policy does not let them"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_is_weakened_deleted_or_taken_away_comes_back() {
    let mut world = World::new("{ checks: [unit] }").await;
    world.sweep("clock-1").await;
    world.settle().await;
    let name = "signalbox gate main";
    let template = json!({ "approvalRuleTemplateName": name });
    let content = async |world: &World| {
        let found = world.call("GetApprovalRuleTemplate", template.clone()).await.unwrap();
        found["approvalRuleTemplate"]["approvalRuleTemplateContent"].to_string()
    };
    assert!(content(&world).await.contains("ChecksRole"));
    let weaken = json!({ "approvalRuleTemplateName": name, "newRuleContent": WEAK });
    world.call("UpdateApprovalRuleTemplateContent", weaken).await.unwrap();
    world.settle().await;
    assert!(content(&world).await.contains("ChecksRole"));
    assert!(is_told(&world, &[DEVELOPER, "changed the template signalbox gate main"]), "{:?}", world.ledger());

    let take = json!({ "approvalRuleTemplateName": name, "repositoryName": "demo" });
    world.call("DisassociateApprovalRuleTemplateFromRepository", take.clone()).await.unwrap();
    world.settle().await;
    assert!(is_told(&world, &[DEVELOPER, "took the template signalbox gate main from demo"]));
    world.call("DisassociateApprovalRuleTemplateFromRepository", take).await.unwrap();
    world.call("DeleteApprovalRuleTemplate", template.clone()).await.unwrap();
    // No event told.
    world.waiting();
    world.sweep("clock-2").await;
    assert!(is_told(&world, &["deleted the template signalbox gate main"]));
    let id = world.open("feature", &["good"]).await;
    let rules: Value = world.pull_request(&id).await["approvalRules"].take();
    assert_eq!(rules[0]["originApprovalRuleTemplate"]["approvalRuleTemplateName"], name, "{rules}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_that_somebody_deleted_is_made_anew_once() {
    let mut world = World::new("{ checks: [unit] }").await;
    let id = world.open("feature", &["broken"]).await;
    world.settle().await;
    for (sweep, left) in [("clock-1", 1), ("clock-2", 0), ("clock-3", 0)] {
        if let [comment] = world.comments(&id).await.as_slice() {
            world.call("DeleteCommentContent", json!({ "commentId": comment["commentId"] })).await.unwrap();
        }
        world.sweep(sweep).await;
        assert_eq!(world.comments(&id).await.len(), left, "{sweep}");
    }
    // What changes afterwards is voted on, and not commented on.
    world.git(&["rm", "--quiet", "broken"]);
    world.commit("mended", &["good"]);
    world.git(&["push", "--quiet", "origin", "feature"]);
    world.settle().await;
    assert!(world.is_voted(&id).await && world.comments(&id).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_that_was_posted_and_not_remembered_is_found_again() {
    let mut world = World::new("{ checks: [unit] }").await;
    let id = world.open("feature", &["broken"]).await;
    world.settle().await;
    let (s3, bucket) = (&world.ground.cloud().s3, world.ground.stage.bucket().unwrap());
    let key = format!("state/approver/pull-requests/demo/{id}.json");
    s3.delete(bucket, &key).unwrap();
    world.git(&["rm", "--quiet", "broken"]);
    world.commit("mended", &["good"]);
    world.git(&["push", "--quiet", "origin", "feature"]);
    world.settle().await;
    assert!(world.comment(&id).await.contains("Everything is met"));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_30_rules_there_is_no_room_and_that_is_said_and_nothing_breaks() {
    let mut world = World::new("{ checks: [unit] }").await;
    let id = world.open("feature", &["good"]).await;
    for number in 0..30 {
        let rule =
            json!({ "pullRequestId": id, "approvalRuleName": format!("rule {number}"), "approvalRuleContent": WEAK });
        world.call("CreatePullRequestApprovalRule", rule).await.unwrap();
    }
    let reports = world.settle().await;
    let refused = reports.iter().filter(|report| report.reasons.iter().any(|why| why.contains("30 approval rules")));
    assert!(refused.count() > 0, "{reports:?}");
    assert!(world.comment(&id).await.contains("there is no room for the gate"), "{}", world.comment(&id).await);
    assert_eq!(world.rules(&id).await.len(), 30);
    let rule = json!({ "pullRequestId": id, "approvalRuleName": "rule 7" });
    world.call("DeletePullRequestApprovalRule", rule).await.unwrap();
    world.settle().await;
    assert!(world.rules(&id).await.contains(&"signalbox gate main".to_owned()));
    let Handled::Reported(_) = world.sweep("clock-1").await else { panic!("refused") };
}
