//! The real programs behind the template's rules and queues: what a crash, a bad event and a bad policy do there.

use std::time::Duration;

use serde_json::{Value, json};
use signalbox_tests::Ground;

const POLICY: &str = "mode: enforce\nrepositories:\n  demo:\n    triggers:\n      unit:\n        on: { push: { branches: [main] } }\n        start: { build: unit }\n";
const QUICK: &str = "version: 0.2\nphases:\n  build:\n    commands: [\"true\"]\n";

async fn ground() -> Ground {
    let ground = Ground::with_functions().await.unwrap();
    ground.repository("demo").await.unwrap();
    ground.project("unit", "demo", Some(QUICK)).await.unwrap();
    ground
}

fn entry(ground: &Ground, function: &str, event: &str) -> anyhow::Result<Option<Value>> {
    Ok(ground.stage.ledger_entry(function, event)?.filter(|entry| !entry["report"].is_null()))
}

fn queue_is_empty(ground: &Ground, function: &str) -> anyhow::Result<bool> {
    let counts = ground.cloud().sqs.counts(&ground.stage.function(function))?;
    Ok(counts.visible + counts.in_flight + counts.delayed == 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_event_is_recorded_counted_and_finished() {
    let ground = ground().await;
    ground.policy(POLICY).unwrap();
    let queue = ground.stage.function("trigger");
    let malformed = r#"{"id":"bad-1","source":"aws.codecommit","detail-type":"CodeCommit Repository State Change","account":"1","region":"eu-west-1","resources":[],"detail":{"event":"referenceUpdated"}}"#;
    ground.cloud().sqs.send(&queue, malformed, Default::default()).unwrap();
    ground.cloud().sqs.send(&queue, "not JSON at all", Default::default()).unwrap();
    let refused = ground.until("the refusal", |ground| entry(ground, "trigger", "bad-1")).await.unwrap();
    assert_eq!(refused["phase"], "refused");
    assert!(refused["report"]["reasons"][0].as_str().unwrap().contains("detail.repositoryName"), "{refused}");
    ground.until("both refusals", |ground| Ok((ground.objects("ledger/trigger/")?.len() == 2).then_some(()))).await.unwrap();
    ground.until("an empty queue", |ground| Ok(queue_is_empty(ground, "trigger")?.then_some(()))).await.unwrap();
    let log = ground.stage.last_lines("trigger", 200).await.unwrap().join("\n");
    assert!(log.contains("\"Refused\":1"), "{log}");
    ground.stage.clear().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_met_a_bad_policy_waits_and_is_handled_once_the_policy_is_good() {
    let mut ground = ground().await;
    let bucket = ground.stage.bucket().unwrap().to_owned();
    ground.cloud().s3.put(&bucket, "policy/signalbox.yaml", b"mode: enforse\n").unwrap();
    ground.commit("demo", "main", "one", &[("a", Some("a"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    let id = push["id"].as_str().unwrap().to_owned();
    let warned = async {
        while !ground.stage.last_lines("trigger", 200).await.unwrap().join("\n").contains("comes again") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), warned).await.unwrap();
    ground.policy(POLICY).unwrap();
    let report = ground.until("the report", |ground| entry(ground, "trigger", &id)).await.unwrap();
    assert_eq!(report["report"]["verdict"], "start");
    ground.stage.clear().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_is_killed_again_and_again_loses_no_push_and_doubles_no_build() {
    let ground = ground().await;
    ground.policy(POLICY).unwrap();
    // A crash leaves the message to its visibility time-out, which is minutes: shorter here, so that the test sees the end.
    let queue = ground.stage.function("trigger");
    ground.cloud().sqs.set_attributes(&queue, &[("VisibilityTimeout".to_owned(), "2".to_owned())].into()).unwrap();
    for n in 0..6 {
        ground.commit("demo", "main", "push", &[("a", Some(&n.to_string()))]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5 * n)).await;
        ground.stage.functions.kill(&queue).unwrap();
    }
    ground.until("six starts", |ground| Ok((ground.objects("state/starts/")?.len() >= 6).then_some(()))).await.unwrap();
    ground.until("an empty queue", |ground| Ok(queue_is_empty(ground, "trigger")?.then_some(()))).await.unwrap();
    let starts = ground.objects("state/starts/").unwrap();
    let mut commits: Vec<String> = starts.values().map(|start| start["commit"].to_string()).collect();
    commits.sort();
    commits.dedup();
    assert_eq!((starts.len(), commits.len()), (6, 6));
    assert_eq!(ground.builds("unit").await.unwrap().len(), 6);
    ground.stage.clear().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_event_can_be_invoked_directly() {
    let ground = ground().await;
    let event = json!({ "id": "bare-1", "source": "aws.ecr", "detail-type": "ECR Image Action", "detail": {} });
    let answer = ground.stage.functions.invoke(&ground.stage.function("trigger"), &event).await.unwrap();
    assert_eq!(answer, json!("not ours"));
    ground.stage.clear().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_functions_see_nothing_of_the_real_account() {
    let ground = ground().await;
    for function in &ground.stage.stack.functions {
        assert!(!function.environment.keys().any(|name| name.starts_with("AWS_")), "{:?}", function.environment);
    }
    let listening = ground.cloud().world.endpoint();
    assert!(listening.starts_with("http://127.0.0.1:"), "{listening}");
    ground.stage.clear().await.unwrap();
}
