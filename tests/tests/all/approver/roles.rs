//! Who may vote.

use signalbox_aws::{Aws, Reviews, Roles, Vote};
use signalbox_events::{Arn, PullRequestId, RevisionId};

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
