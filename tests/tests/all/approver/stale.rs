//! Merge results: a push to the target branch makes them stale, and they are built anew.

use serde_json::Value;
use signalbox_approver::Approver;
use signalbox_aws::Failure;
use signalbox_glue::Handled;
use signalbox_tests::Ground;

use super::REFUSED;
use super::world::{CHECK, World, policy};

async fn world() -> World {
    let text = policy("{ checks: [unit], merge_result: required }")
        .replace("into: [main]", "into: [main], commit: merge-result");
    World::on(Ground::without_functions().await.unwrap(), &text).await
}

/// Pushes a commit of this file to `main`; gives its event, which nobody has taken, and leaves no other.
fn move_main(world: &mut World, file: &str) -> Value {
    world.git(&["switch", "--quiet", "main"]);
    world.commit("another", &[file]);
    world.git(&["push", "--quiet", "origin", "main"]);
    world.waiting().into_iter().find(|event| event["detail"]["event"] == "referenceUpdated").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_good_changes_that_break_the_branch_together_do_not_both_get_in() {
    let mut world = world().await;
    let left = world.open("left", &["left"]).await;
    let right = world.open("right", &["right"]).await;
    let other = world.open("other", &["fine"]).await;
    world.settle().await;
    for id in [&left, &right, &other] {
        assert!(world.is_voted(id).await, "{}", world.comment(id).await);
    }
    assert_eq!(world.merge(&left).await, None);
    // Nobody has looked yet, and CodeCommit would still let it in: the look is what follows at once.
    world.settle().await;
    assert_eq!(world.ground.builds("unit").await.unwrap().len(), 5, "the two that are open are built once more");
    let comment = world.comment(&right).await;
    assert!(
        comment.contains("| check unit | missing | build unit:") && comment.contains("ended as FAILED"),
        "{comment}"
    );
    assert_eq!(world.merge(&right).await.as_deref(), Some(REFUSED));
    assert!(world.is_voted(&other).await, "{}", world.comment(&other).await);
    assert_eq!(world.merge(&other).await, None);
    world.settle().await;
    assert_eq!(world.comments(&other).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vote_is_taken_back_at_once_and_what_conflicts_says_so() {
    let mut world = world().await;
    let id = world.open("feature", &["good", "same"]).await;
    world.settle().await;
    assert!(world.is_voted(&id).await);
    let moved = move_main(&mut world, "same");
    world.deliver(&moved).await;
    assert!(!world.is_voted(&id).await);
    assert!(
        world
            .comment(&id)
            .await
            .contains("meets conflicts, so it cannot be built | whoever merges main into feature |")
    );

    world.git(&["switch", "--quiet", "feature"]);
    world.git(&["merge", "--quiet", "-X", "ours", "--no-edit", "main"]);
    world.git(&["push", "--quiet", "origin", "feature"]);
    world.settle().await;
    assert!(world.is_voted(&id).await, "{}", world.comment(&id).await);
    assert_eq!(world.merge(&id).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_event_told_the_sweep_finds_and_asks_for_until_it_is_built() {
    let mut world = world().await;
    let id = world.open("feature", &["good"]).await;
    world.settle().await;
    move_main(&mut world, "more");
    world.sweep("clock-1").await;
    assert!(!world.is_voted(&id).await && world.comment(&id).await.contains("the target branch has moved to"));
    // Its word to the trigger is lost, too.
    assert!(world.waiting().iter().any(|event| event["detail-type"] == CHECK));
    world.sweep("clock-2").await;
    world.settle().await;
    assert!(world.is_voted(&id).await, "{}", world.comment(&id).await);
    assert_eq!(world.ground.builds("unit").await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_looked_at_in_pages_and_what_is_left_the_sweep_looks_at() {
    let ground = Ground::in_pages_of_one(signalbox_local::stage::Programs::None).await.unwrap();
    let text = policy("{ checks: [unit], merge_result: required }")
        .replace("into: [main]", "into: [main], commit: merge-result");
    let mut world = World::on(ground, &text).await;
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.push(world.open(&format!("feature-{number}"), &[&format!("f{number}")]).await);
    }
    world.settle().await;
    for id in &ids {
        assert!(world.is_voted(id).await, "{}", world.comment(id).await);
    }
    let moved = move_main(&mut world, "more");
    world.approver = Approver::new(&world.ground.setup("approver").unwrap()).with_sweep_time(std::time::Duration::ZERO);
    let Ok(Handled::Reported(report)) = world.handle(&moved).await else { panic!("refused") };
    assert!(report.actions.iter().any(|line| line == "2 more pull requests are left to the next sweep"), "{report:?}");
    let mut voted = 0;
    for id in &ids {
        voted += usize::from(world.is_voted(id).await);
    }
    assert_eq!(voted, 2);
    world.approver = Approver::new(&world.ground.setup("approver").unwrap());
    world.sweep("clock-1").await;
    world.settle().await;
    for id in &ids {
        assert!(world.is_voted(id).await, "{}", world.comment(id).await);
    }
    assert_eq!(world.ground.builds("unit").await.unwrap().len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_looked_at_for_now_has_the_event_come_again() {
    let mut world = world().await;
    let id = world.open("feature", &["good"]).await;
    world.settle().await;
    let moved = move_main(&mut world, "more");
    let chaos = &world.ground.cloud().world.chaos;
    chaos.set(Some("fail@codecommit:GetPullRequest=1".parse().unwrap()));
    let failure = world.handle(&moved).await.unwrap_err();
    assert!(matches!(failure, Failure::Retry(_)), "{failure}");
    chaos.set(None);
    assert!(world.is_voted(&id).await);
    assert!(matches!(world.handle(&moved).await, Ok(Handled::Reported(_))));
    assert!(!world.is_voted(&id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_nobody_asks_merge_results_of_costs_no_call() {
    let mut world = World::new("{ checks: [unit] }").await;
    let id = world.open("feature", &["good"]).await;
    world.settle().await;
    let moved = move_main(&mut world, "more");
    let Ok(Handled::Reported(report)) = world.handle(&moved).await else { panic!("refused") };
    assert_eq!(report.verdict, "not concerned");
    assert!(world.is_voted(&id).await);
    assert_eq!(world.merge(&id).await, None);
}
