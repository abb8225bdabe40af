//! Who may vote.

use signalbox_aws::{Aws, Reviews, Roles, Vote};
use signalbox_events::{Arn, PullRequestId, RevisionId};
use signalbox_glue::Handled;

use super::world::World;

fn checks_role(world: &World) -> Arn {
    let role = world.ground.setup("approver").unwrap().settings.checks_role.unwrap();
    Arn::parse(role).unwrap()
}

/// AWS with the keys of the checks role.
pub(super) async fn checks(world: &World) -> Aws {
    Roles::new(&world.ground.aws("approver"), "signalbox").assume_own(&checks_role(world)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_approver_may_assume_the_role_that_votes_and_it_may_not_vote_itself() {
    let mut world = World::new("{ checks: [unit] }").await;
    let id = world.open("feature", &["broken"]).await;
    world.settle().await;
    for function in ["trigger", "notifier", "protector", "replicator"] {
        let roles = Roles::new(&world.ground.aws(function), "signalbox");
        let refused = roles.assume_own(&checks_role(&world)).await.unwrap_err();
        assert!(refused.is_forbidden(), "{function}: {refused}");
    }
    let number = PullRequestId::parse(id.clone()).unwrap();
    let revision = RevisionId::parse(world.revision(&id).await).unwrap();
    let own = Reviews::new(&world.ground.aws("approver"));
    let refused = own.vote(&number, &revision, Vote::Approve).await.unwrap_err();
    assert!(refused.is_forbidden(), "{refused}");
    // The checks role may do nothing else.
    let checks = Reviews::new(&checks(&world).await);
    assert!(checks.drop_rule(&number, "signalbox gate main").await.unwrap_err().is_forbidden());
    assert!(checks.end_override(&number, &revision).await.unwrap_err().is_forbidden());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_vote_the_event_is_refused_and_says_why() {
    let mut world = World::new("{ checks: [unit] }").await;
    let id = world.open("feature", &["good"]).await;
    let role = checks_role(&world).as_str().rsplit('/').next().unwrap().to_owned();
    let nothing = serde_json::json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Action": "codecommit:UpdatePullRequestApprovalState", "Resource": "*",
    }] });
    world.ground.cloud().world.iam.put_role_policy(&role, "taken", &nothing).unwrap();
    world.settle().await;
    let told = world.ledger().iter().map(ToString::to_string).collect::<String>();
    assert!(told.contains("codecommit:UpdatePullRequestApprovalState") && told.contains("refused"), "{told}");
    assert!(!world.is_voted(&id).await);
    // The comment still says how things stand.
    assert!(world.comment(&id).await.contains("Everything is met"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_may_not_be_made_is_refused_and_nobody_is_said_to_have_deleted_it() {
    let world = World::new("{ checks: [unit] }").await;
    let role = world.ground.stage.stack.resources.get("ApproverRole").unwrap().name.clone();
    let iam = &world.ground.cloud().world.iam;
    let policy = |effect: &str| {
        serde_json::json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": effect, "Action": "codecommit:CreateApprovalRuleTemplate", "Resource": "*",
        }] })
    };
    iam.put_role_policy(&role, "taken", &policy("Deny")).unwrap();
    for id in ["clock-1", "clock-2"] {
        let Handled::Refused(report) = world.sweep(id).await else { panic!("not refused") };
        let told = report.actions.join("; ");
        assert!(
            told.contains("codecommit:CreateApprovalRuleTemplate") && told.contains("there is no such template"),
            "{told}"
        );
        assert!(!report.reasons.join("; ").contains("deleted"), "{:?}", report.reasons);
    }
    iam.put_role_policy(&role, "taken", &policy("Allow")).unwrap();
    let Handled::Reported(report) = world.sweep("clock-3").await else { panic!("refused") };
    assert!(report.actions.iter().any(|line| line == "make the template signalbox gate main: done"), "{report:?}");
}
