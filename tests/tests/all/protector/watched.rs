//! The protection itself: what takes it away is found by the sweep and by events, told with who did it, and put back where
//! the policy says so.

use serde_json::{Value, json};
use signalbox_glue::Handled;

use super::world::{World, policy};

const ALL: &str =
    "{ refs: [main], forbid: [force-push], watch: [default-branch, approval-rules, repository-triggers] }";

impl World {
    async fn call(&self, operation: &str, input: Value) -> Value {
        self.ground.cloud().codecommit.call(operation, input, &self.ground.developer()).await.unwrap()
    }

    async fn set_default(&self, branch: &str) {
        self.call("UpdateDefaultBranch", json!({ "repositoryName": "demo", "defaultBranchName": branch })).await;
    }

    async fn default_branch(&self) -> String {
        self.ground.cloud().codecommit.default_branch("demo").await.unwrap().unwrap()
    }

    async fn make_template(&self, name: &str, needed: u32) {
        let input = json!({ "approvalRuleTemplateName": name, "approvalRuleTemplateContent": content(needed) });
        self.call("CreateApprovalRuleTemplate", input).await;
        let input = json!({ "approvalRuleTemplateName": name, "repositoryName": "demo" });
        self.call("AssociateApprovalRuleTemplateWithRepository", input).await;
    }

    /// What was told since the last time: state, what it is about, who did it, and the first thing that is wrong.
    pub(super) async fn said(&mut self) -> Vec<(String, String, String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let of = |event: &Value| {
            let detail = &event["detail"];
            let by = text(&detail["by"]).rsplit('/').next().unwrap().to_owned();
            (text(&detail["state"]), text(&detail["about"]), by, text(&detail["findings"][0]["wrong"]))
        };
        self.put().await.iter().map(of).collect()
    }
}

fn content(needed: u32) -> String {
    let statement = json!({ "Type": "Approvers", "NumberOfApprovalsNeeded": needed });
    json!({ "Version": "2018-11-08", "Statements": [statement] }).to_string()
}

pub(super) fn line(state: &str, about: &str, by: &str, wrong: &str) -> (String, String, String, String) {
    (state.to_owned(), about.to_owned(), by.to_owned(), wrong.to_owned())
}

/// `main` and `develop`, looked at once.
async fn begun(protection: &str) -> World {
    let mut world = World::new(protection).await;
    world.commit("one", &[("a", b"1")]);
    world.push("main");
    world.next().await;
    world.push("main:refs/heads/develop");
    world.sweep("clock-0").await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn another_default_branch_is_put_back_by_the_sweep_and_told_once() {
    let mut world = begun(ALL).await;
    world.set_default("develop").await;
    let Handled::Reported(report) = world.sweep("clock-1").await else { panic!("refused") };
    assert!(report.actions[0].contains("the default branch is develop instead of main"), "{report:?}");
    assert_eq!(world.default_branch().await, "main");
    let expected = line("RESTORED", "DEFAULT_BRANCH", "-", "the default branch is develop instead of main");
    assert_eq!(world.said().await, [expected]);
    world.sweep("clock-2").await;
    assert_eq!(world.said().await, []);

    // Something that changes it again and again is answered three times within an hour; then a person is asked.
    for clock in ["clock-3", "clock-4"] {
        world.set_default("develop").await;
        world.sweep(clock).await;
        assert_eq!((world.default_branch().await.as_str(), world.said().await.len()), ("main", 1), "{clock}");
    }
    world.set_default("develop").await;
    let Handled::Refused(report) = world.sweep("clock-5").await else { panic!("not refused") };
    assert!(report.actions[0].contains("each time that it is put back"), "{report:?}");
    assert_eq!((world.default_branch().await.as_str(), world.said().await[0].0.as_str()), ("develop", "CONTESTED"));
    world.sweep("clock-6").await;
    assert_eq!((world.default_branch().await.as_str(), world.said().await), ("develop", Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_cloudtrail_tells_of_is_answered_at_once_with_who_made_it() {
    let mut world = begun(ALL).await;
    world.set_default("develop").await;
    let call = world.ground.event("AWS API Call via CloudTrail").await.unwrap();
    assert_eq!(call["detail"]["eventName"], "UpdateDefaultBranch");
    assert_eq!(world.reported(&call).await.verdict, "restore");
    assert_eq!(world.default_branch().await, "main");
    let own = world.ground.event("AWS API Call via CloudTrail").await.unwrap();
    let expected = line("RESTORED", "DEFAULT_BRANCH", "developer", "the default branch is develop instead of main");
    assert_eq!(world.said().await, [expected]);
    // Neither the event that comes twice, nor our own call, nor the sweep tells it again.
    assert!(own["detail"]["userIdentity"]["arn"].as_str().unwrap().contains("assumed-role/"), "{own}");
    for event in [&call, &own] {
        world.handle(event).await.unwrap();
    }
    world.sweep("clock-1").await;
    assert_eq!((world.default_branch().await.as_str(), world.said().await), ("main", Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_changes_the_default_branch_and_observing_and_reporting_leave_it() {
    let bypass = ALL.replace("watch:", "bypass: [\"arn:aws:iam::*:user/developer\"], watch:");
    let mut world = begun(&bypass).await;
    world.set_default("develop").await;
    let call = world.ground.event("AWS API Call via CloudTrail").await.unwrap();
    assert_eq!(world.reported(&call).await.verdict, "bypassed");
    assert_eq!((world.default_branch().await.as_str(), world.said().await[0].0.as_str()), ("develop", "BYPASSED"));
    world.sweep("clock-1").await;
    assert_eq!((world.default_branch().await.as_str(), world.said().await), ("develop", Vec::new()));

    world.ground.policy(&policy(ALL).replace("enforce", "observe")).unwrap();
    world.set_default("main").await;
    world.sweep("clock-2").await;
    assert_eq!((world.default_branch().await.as_str(), world.said().await[0].0.as_str()), ("main", "WOULD_RESTORE"));
    world.ground.policy(&policy(&ALL.replace("watch:", "on_violation: report, watch:"))).unwrap();
    world.set_default("develop").await;
    world.sweep("clock-3").await;
    assert_eq!((world.default_branch().await.as_str(), world.said().await[0].0.as_str()), ("develop", "WEAKENED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_branch_that_may_not_be_put_back_is_told_once_a_day_and_tried_again() {
    let mut world = begun(ALL).await;
    world.deny("codecommit:UpdateDefaultBranch");
    world.set_default("develop").await;
    let Handled::Refused(report) = world.sweep("clock-1").await else { panic!("not refused") };
    assert!(report.actions[0].contains("the default branch is develop"), "{report:?}");
    let said = world.put().await;
    assert_eq!((said.len(), &said[0]["detail"]["state"]), (1, &json!("FAILED")));
    assert!(said[0]["detail"]["why"][0].as_str().unwrap().contains("codecommit:UpdateDefaultBranch"), "{said:?}");
    world.sweep("clock-2").await;
    assert_eq!(world.put().await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_and_rules_that_are_taken_away_or_weakened_are_told_with_who_did_it() {
    let mut world = begun(ALL).await;
    for name in ["two", "three"] {
        world.make_template(name, 2).await;
    }
    world.git(&["switch", "--quiet", "-c", "topic"]);
    world.commit("two", &[("a", b"2")]);
    world.push("topic");
    let target = json!({ "repositoryName": "demo", "sourceReference": "topic", "destinationReference": "main" });
    let made = world.call("CreatePullRequest", json!({ "title": "two", "targets": [target] })).await;
    let id = made["pullRequest"]["pullRequestId"].as_str().unwrap().to_owned();
    let rule =
        |content: String| json!({ "pullRequestId": id, "approvalRuleName": "own", "approvalRuleContent": content });
    world.call("CreatePullRequestApprovalRule", rule(content(2))).await;
    world.sweep("clock-1").await;
    assert_eq!(world.said().await, [], "what is new is no weakness");

    // By events, at once.
    let weaker = json!({ "approvalRuleTemplateName": "two", "newRuleContent": content(1) });
    world.call("UpdateApprovalRuleTemplateContent", weaker).await;
    let of_template = "CodeCommit Approval Rule Template Change";
    let next = async |world: &mut World, kind: &str, name: &str| loop {
        let event = world.ground.event(kind).await.unwrap();
        if event["detail"]["event"] == name {
            break event;
        }
    };
    let event = next(&mut world, of_template, "approvalRuleTemplateUpdated").await;
    world.reported(&event).await;
    let wrong = "the approval rule template two needs 1 approvals instead of 2";
    assert_eq!(world.said().await, [line("WEAKENED", "APPROVAL_RULES", "developer", wrong)]);
    let input = json!({ "approvalRuleTemplateName": "three", "repositoryName": "demo" });
    world.call("DisassociateApprovalRuleTemplateFromRepository", input).await;
    let event = next(&mut world, of_template, "approvalRuleTemplateDisassociatedFromRepository").await;
    world.reported(&event).await;
    let wrong = "the approval rule template three does not apply any more";
    assert_eq!(world.said().await, [line("WEAKENED", "APPROVAL_RULES", "developer", wrong)]);
    let input = json!({ "pullRequestId": id, "approvalRuleName": "own", "newRuleContent": content(1) });
    world.call("UpdatePullRequestApprovalRuleContent", input).await;
    let of_review = "CodeCommit Pull Request State Change";
    let event = next(&mut world, of_review, "pullRequestApprovalRuleUpdated").await;
    world.reported(&event).await;
    let wrong = format!("the rule own of pull request {id} needs 1 approvals instead of 2");
    assert_eq!(world.said().await, [line("WEAKENED", "APPROVAL_RULES", "developer", &wrong)]);
    let revision =
        world.call("GetPullRequest", json!({ "pullRequestId": id })).await["pullRequest"]["revisionId"].clone();
    let input = json!({ "pullRequestId": id, "revisionId": revision, "overrideStatus": "OVERRIDE" });
    world.call("OverridePullRequestApprovalRules", input).await;
    let event = next(&mut world, of_review, "pullRequestApprovalRuleOverridden").await;
    world.reported(&event).await;
    let wrong = format!("the approval rules of pull request {id} were set aside");
    assert_eq!(world.said().await, [line("WEAKENED", "APPROVAL_RULES", "developer", &wrong)]);

    // Without an event the sweep finds what is gone; the same event later tells nothing new.
    let input = json!({ "pullRequestId": id, "approvalRuleName": "own" });
    world.call("DeletePullRequestApprovalRule", input).await;
    let event = next(&mut world, of_review, "pullRequestApprovalRuleDeleted").await;
    world.sweep("clock-2").await;
    let wrong = format!("the rule own of pull request {id} is gone");
    assert_eq!(world.said().await, [line("WEAKENED", "APPROVAL_RULES", "-", &wrong)]);
    world.handle(&event).await.unwrap();
    world.sweep("clock-3").await;
    assert_eq!(world.said().await, []);

    // The report knows of them.
    let desk = crate::desk::Desk::at(&world.ground);
    let ran = desk.run(&["report", "protections"]).await;
    assert_eq!(ran.code, Some(0), "{} {}", ran.out, ran.error);
    assert!(ran.out.contains("watch approval-rules") && ran.out.contains("demo"), "{}", ran.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_that_are_removed_or_call_less_are_told() {
    let mut world = begun(ALL).await;
    let put = |branches: &[&str], events: &[&str], names: &[&str]| {
        let triggers: Vec<Value> = names
            .iter()
            .map(|name| {
                let topic = "arn:aws:sns:eu-west-1:111122223333:pushes";
                json!({ "name": name, "destinationArn": topic, "branches": branches, "events": events })
            })
            .collect();
        json!({ "repositoryName": "demo", "triggers": triggers })
    };
    world.call("PutRepositoryTriggers", put(&[], &["all"], &["one", "two"])).await;
    world.sweep("clock-1").await;
    assert_eq!(world.said().await, []);
    world.call("PutRepositoryTriggers", put(&["main"], &["all"], &["one", "two"])).await;
    world.sweep("clock-2").await;
    let wrong = "the repository trigger one calls something else, or for less than it did";
    assert_eq!(world.said().await, [line("WEAKENED", "REPOSITORY_TRIGGERS", "-", wrong)]);
    world.call("PutRepositoryTriggers", put(&["main"], &["all"], &["two"])).await;
    let call = loop {
        let call = world.ground.event("AWS API Call via CloudTrail").await.unwrap();
        if call["detail"]["requestParameters"]["triggers"].as_array().is_some_and(|all| all.len() == 1) {
            break call;
        }
    };
    world.reported(&call).await;
    let expected = line("WEAKENED", "REPOSITORY_TRIGGERS", "developer", "the repository trigger one is gone");
    assert_eq!(world.said().await, [expected]);
}
