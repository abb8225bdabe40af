//! Archive and replay: what a rule missed comes back, and what was handled is not done again.

use std::time::Duration;

use serde_json::{Value, json};
use signalbox_tests::Ground;

const POLICY: &str = "mode: enforce\nrepositories:\n  demo:\n    triggers:\n      unit:\n        on: { push: { branches: [main] } }\n        start: { build: unit }\n";
const QUICK: &str = "version: 0.2\nphases:\n  build:\n    commands: [\"false\"]\n";

async fn events(ground: &Ground, operation: &str, input: Value) -> Value {
    let answer = ground.cloud().eventbridge.call(operation, input, &ground.developer()).await;
    answer.unwrap_or_else(|refused| panic!("{operation}: {refused}"))
}

/// Replays the last hour to all rules; gives how many events it brought.
async fn replay(ground: &Ground, name: &str) -> usize {
    let mut heard = ground.cloud().eventbridge.subscribe();
    let world = &ground.cloud().world;
    let now = world.now().as_second();
    let input = json!({
        "ReplayName": name,
        "EventSourceArn": world.arn("events", "archive/all"),
        "EventStartTime": now - 3600,
        "EventEndTime": now + 60,
        "Destination": { "Arn": world.arn("events", "event-bus/default") },
    });
    events(ground, "StartReplay", input).await;
    let mut state = None;
    for _ in 0..600 {
        let shown = events(ground, "DescribeReplay", json!({ "ReplayName": name })).await;
        state = shown.get("State").and_then(Value::as_str).map(str::to_owned);
        if state.as_deref() == Some("COMPLETED") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(state.as_deref(), Some("COMPLETED"));
    let mut brought = 0;
    while let Ok(published) = heard.try_recv() {
        brought += usize::from(
            published.event.get("replay-name").is_some_and(|replay| replay == name) && !published.rules.is_empty(),
        );
    }
    quiet(ground).await;
    brought
}

/// Waits until both functions have nothing left to do.
async fn quiet(ground: &Ground) {
    for function in ["trigger", "notifier"] {
        let queue = ground.stage.function(function);
        let empty = |ground: &Ground| {
            let counts = ground.cloud().sqs.counts(&queue)?;
            Ok((counts.visible + counts.in_flight + counts.delayed == 0).then_some(()))
        };
        ground.until("an empty queue", empty).await.unwrap();
    }
}

fn started(ground: &Ground) -> usize {
    ground.objects("state/starts/").unwrap().len()
}

async fn until_mails(ground: &Ground, count: usize) {
    ground.until("the mail", |ground| Ok((ground.cloud().sns.inbox().len() >= count).then_some(()))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_brings_back_what_a_rule_missed_and_repeats_nothing_that_was_done() {
    let ground = Ground::with_functions().await.unwrap();
    ground.repository("demo").await.unwrap();
    ground.project("unit", "demo", Some(QUICK)).await.unwrap();
    ground.policy(POLICY).unwrap();
    let bus = ground.cloud().world.arn("events", "event-bus/default");
    events(&ground, "CreateArchive", json!({ "ArchiveName": "all", "EventSourceArn": bus })).await;

    ground.commit("demo", "main", "one", &[("a", Some("1"))]).await.unwrap();
    until_mails(&ground, 1).await;
    ground.commit("demo", "main", "two", &[("a", Some("2"))]).await.unwrap();
    until_mails(&ground, 2).await;
    quiet(&ground).await;
    assert_eq!((started(&ground), ground.builds("unit").await.unwrap().len()), (2, 2));

    let brought = replay(&ground, "again").await;
    assert!(brought >= 4, "two pushes and two ends of builds at least, not {brought}");
    assert_eq!((started(&ground), ground.builds("unit").await.unwrap().len()), (2, 2), "the ledger knows the ids");
    assert_eq!(ground.cloud().sns.inbox().len(), 2, "nobody is told twice");

    let rules = events(
        &ground,
        "ListRuleNamesByTarget",
        json!({ "TargetArn": ground.cloud().sqs.arn(&ground.stage.function("trigger")) }),
    )
    .await;
    for rule in rules["RuleNames"].as_array().unwrap() {
        events(&ground, "DisableRule", json!({ "Name": rule })).await;
    }
    ground.commit("demo", "main", "three", &[("a", Some("3"))]).await.unwrap();
    for rule in rules["RuleNames"].as_array().unwrap() {
        events(&ground, "EnableRule", json!({ "Name": rule })).await;
    }
    quiet(&ground).await;
    assert_eq!(started(&ground), 2, "the push was missed");
    replay(&ground, "lost").await;
    until_mails(&ground, 3).await;
    assert_eq!((started(&ground), ground.builds("unit").await.unwrap().len()), (3, 3));
    ground.stage.clear().await.unwrap();
}
