//! The sweep over pull requests: what a lost event left undone is done, and once.

use jiff::Timestamp;
use serde_json::{Value, json};
use signalbox_glue::Handled;
use signalbox_ledger::Report;

use super::world::{FAILING, World, policy};

const MAIN: &str = "{ pull_request: { into: [main] } }";

/// A scheduled event as the template's rule sends it.
fn scheduled(id: &str) -> Value {
    let sample: Value = serde_json::from_str(include_str!("../../../../events/scheduled-sweep.json")).unwrap();
    let Value::Object(mut event) = sample else { panic!("the sample is no event") };
    event.insert("id".to_owned(), json!(id));
    event.insert("time".to_owned(), json!(Timestamp::now().to_string()));
    Value::Object(event)
}

async fn sweep(world: &World) -> Report {
    match world.handle(&scheduled("sweep")).await.unwrap() {
        Handled::Reported(report) | Handled::Refused(report) => *report,
        other => panic!("no report: {other:?}"),
    }
}

fn memory(world: &World) -> Value {
    world.ground.objects("state/sweep/pull-requests/demo.json").unwrap().into_values().next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_pull_request_and_a_lost_push_to_it_are_found_and_built_once() {
    // A build that failed would be tried again by an event that counts as another push.
    let mut world = World::new(&policy(MAIN, ""), Some(FAILING)).await;
    world.topic("old", &[("old", Some("o"))]);
    world.open("old", "main").await;
    // What was there at the first look is only remembered.
    assert_eq!(sweep(&world).await.verdict, "swept");
    assert_eq!(world.built().await, 0);

    let commit = world.topic("feature", &[("a", Some("1"))]);
    let (number, opened) = world.open("feature", "main").await;
    let found = sweep(&world).await;
    assert_eq!(found.verdict, "found", "{found:?}");
    let expected =
        format!("pull request {number} of demo is at {}; no event told of it, the sweep found it", &commit[..7]);
    assert_eq!(found.reasons[1], expected);
    assert!(found.actions[0].contains(&format!("start unit for pull request {number}")), "{found:?}");
    world.ground.build_end().await.unwrap();
    assert_eq!(world.starts()[0].pusher, None);
    // Its event comes after all.
    assert_eq!(world.handle(&opened).await.unwrap(), Handled::Before);
    assert_eq!(sweep(&world).await.verdict, "swept");

    let commit = world.push("feature", "two", &[("a", Some("2"))]);
    world.event().await;
    assert_eq!(sweep(&world).await.verdict, "found");
    world.ground.build_end().await.unwrap();
    assert_eq!(world.starts()[1].commit.as_str(), commit);
    for id in ["quiet-1", "quiet-2"] {
        let Handled::Reported(report) = world.handle(&scheduled(id)).await.unwrap() else { panic!("no report") };
        assert_eq!(report.verdict, "swept");
    }
    assert!(world.ground.objects("ledger/trigger/quiet-").unwrap().is_empty(), "a quiet sweep leaves nothing");
    assert_eq!(world.built().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_event_told_of_is_left_alone_also_where_it_started_nothing() {
    let mut world = World::new(&policy(MAIN, ""), Some(FAILING)).await;
    sweep(&world).await;
    world.topic("feature", &[("a", Some("1"))]);
    world.push("feature", "typo [skip ci]", &[("a", Some("2"))]);
    let (_, opened) = world.open("feature", "main").await;
    assert_eq!(world.report(&opened).await.verdict, "nothing");
    world.ground.policy(&policy(MAIN, "        skip_ci: ignore\n")).unwrap();
    assert_eq!(sweep(&world).await.verdict, "swept");
    assert_eq!(world.built().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_that_no_trigger_wanted_before_is_only_remembered_and_a_closed_one_forgotten() {
    let mut world = World::new(&policy(MAIN, ""), Some(FAILING)).await;
    world.git(&["push", "--quiet", "origin", "main:refs/heads/other"]);
    sweep(&world).await;
    world.topic("feature", &[("a", Some("1"))]);
    let (number, _) = world.open("feature", "other").await;
    assert_eq!(sweep(&world).await.verdict, "swept");
    let seen = memory(&world)["open"][&number].clone();
    assert_eq!(seen, json!({ "into": "refs/heads/other", "revision": null }));
    world.ground.policy(&policy("{ pull_request: {} }", "")).unwrap();
    assert_eq!(sweep(&world).await.verdict, "swept");
    assert!(memory(&world)["open"][&number]["revision"].is_string());
    world.push("feature", "two", &[("a", Some("2"))]);
    assert_eq!(sweep(&world).await.verdict, "found", "from then on it is swept like any other");
    world.call("UpdatePullRequestStatus", json!({ "pullRequestId": number, "pullRequestStatus": "CLOSED" })).await;
    sweep(&world).await;
    assert_eq!(memory(&world)["open"], json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_is_bounded_and_the_next_one_goes_on() {
    let mut world = World::new(&policy(MAIN, ""), Some(FAILING)).await;
    sweep(&world).await;
    let count = 20;
    for n in 0..count {
        world.topic(&format!("t{n:02}"), &[("a", Some(&n.to_string()))]);
        world.open(&format!("t{n:02}"), "main").await;
    }
    world.trigger = signalbox_trigger::Trigger::new(&world.ground.setup("trigger").unwrap())
        .with_page_size(1)
        .with_sweep_time(std::time::Duration::ZERO);
    let mut sweeps = 0;
    while world.built().await < count {
        sweeps += 1;
        assert!(sweeps < 10, "{} of {count} after {sweeps} sweeps", world.built().await);
        sweep(&world).await;
    }
    assert!(sweeps > 1, "one sweep without any time looked at all of them");
    sweep(&world).await;
    sweep(&world).await;
    assert_eq!(world.built().await, count);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_throttled_is_left_for_the_next_sweep_and_found_there() {
    let mut world = World::new(&policy(MAIN, ""), Some(FAILING)).await;
    sweep(&world).await;
    world.topic("feature", &[("a", Some("1"))]);
    world.open("feature", "main").await;
    let chaos = &world.ground.cloud().world.chaos;
    chaos.set(Some("throttle@codecommit:GetPullRequest=1".parse().unwrap()));
    let report = sweep(&world).await;
    assert_eq!(report.verdict, "swept in part", "{report:?}");
    assert!(report.actions.iter().any(|told| told.contains("left for the next sweep")), "{report:?}");
    world.ground.cloud().world.chaos.set(None);
    assert_eq!(sweep(&world).await.verdict, "found");
    assert_eq!(world.built().await, 1);
}
