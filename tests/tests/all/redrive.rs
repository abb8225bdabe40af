//! `signalbox redrive`, as the real program.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use signalbox_tests::Ground;

use crate::desk::{Desk, KEY, POLICY, QUICK, between, dead_letters};

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_whose_cause_is_mended_is_done_and_again_starts_exactly_one_more_build() {
    let mut ground = Ground::with_functions().await.unwrap();
    let desk = Desk::at(&ground);
    ground.repository("demo").await.unwrap();
    ground.project("unit", "demo", Some(QUICK)).await.unwrap();
    let (bucket, queue) = (ground.stage.bucket().unwrap().to_owned(), ground.stage.function("trigger"));
    ground.cloud().s3.put(&bucket, KEY, b"mode: enforse\n").unwrap();
    let dead = dead_letters(&ground, "trigger");
    let arn = ground.cloud().sqs.arn(dead.rsplit('/').next().unwrap());
    let redrive = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": 1 }).to_string();
    ground.cloud().sqs.set_attributes(&queue, &[("RedrivePolicy".to_owned(), redrive)].into()).unwrap();
    ground.commit("demo", "main", "one", &[("a", Some("a"))]).await.unwrap();
    let event = ground.push_event().await.unwrap()["id"].as_str().unwrap().to_owned();
    let given_up = |ground: &Ground| Ok((ground.cloud().sqs.counts(&dead)?.visible == 1).then_some(()));
    ground.until("the dead letter", given_up).await.unwrap();

    let ran = desk.run(&["status"]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.error);
    assert!(ran.out.contains("the policy in force has problems") && ran.out.contains("enforse"), "{}", ran.out);
    desk.file("signalbox.yaml", POLICY);
    let ran = desk.run(&["apply", "--yes"]).await;
    assert!(ran.out.contains("the policy in force has problems, so events wait"), "{} {}", ran.out, ran.error);
    let ran = desk.run(&["redrive", "trigger", "--event", &event]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.error);
    let entry = |ground: &Ground, wanted: usize| {
        let entry = ground.stage.ledger_entry("trigger", &event)?.filter(|entry| !entry["report"].is_null());
        let earlier = |entry: &Value| entry["earlier"].as_array().map_or(0, Vec::len);
        Ok(entry.filter(|entry| earlier(entry) == wanted))
    };
    ground.until("the report", |ground| entry(ground, 0)).await.unwrap();
    assert_eq!(ground.builds("unit").await.unwrap().len(), 1);
    ground.build_end().await.unwrap();

    let ran = desk.run(&["redrive", "--again", "--event", &event, "--dry-run"]).await;
    assert!(ran.out.contains("would run once more"), "{} {}", ran.out, ran.error);
    // One that nobody knows does not keep the next from its turn.
    let ran = desk.run(&["redrive", "--again", "--event", "never-seen", "--event", &event]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.error);
    assert!(ran.out.contains(&format!("trigger runs {event} once more")), "{} {}", ran.out, ran.error);
    let finished = ground.until("the second report", |ground| entry(ground, 1)).await.unwrap();
    let first = finished["earlier"][0]["outcomes"].as_object().unwrap();
    let second = finished["outcomes"].as_object().unwrap();
    assert_ne!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>(), "{finished}");
    assert_eq!(ground.builds("unit").await.unwrap().len(), 2, "{finished}");

    // The same wish delivered twice starts nothing more, also once its build has ended.
    ground.build_end().await.unwrap();
    let again = finished["report"]["replay"]["received"].clone();
    assert_eq!(again["signalbox-again"], 1, "{again}");
    ground.cloud().sqs.send(&queue, &again.to_string(), BTreeMap::new()).unwrap();
    let empty = |ground: &Ground| {
        let counts = ground.cloud().sqs.counts(&queue)?;
        Ok((counts.visible + counts.in_flight + counts.delayed == 0).then_some(()))
    };
    ground.until("an empty queue", empty).await.unwrap();
    assert_eq!(ground.builds("unit").await.unwrap().len(), 2);

    let ran = desk.run(&["redrive", "--again", "--event", "never-seen"]).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.error.contains("the ledger knows no event never-seen"), "{}", ran.error);
    ground.stage.clear().await.unwrap();
}

/// Dead letters of the trigger that are no events, `bad` among them.
fn give_up(ground: &Ground, count: usize) -> String {
    let dead = dead_letters(ground, "trigger");
    for n in 0..count {
        let body = if n == 3 { "bad".to_owned() } else { format!("n-{n}") };
        ground.cloud().sqs.send(&dead, &body, BTreeMap::new()).unwrap();
    }
    dead
}

#[tokio::test(flavor = "multi_thread")]
async fn all_means_all_also_when_a_receive_finds_nothing() {
    let ground = Ground::without_functions().await.unwrap();
    let (dead, desk) = (give_up(&ground, 105), Desk::at(&ground));
    let mut receives = 0;
    let cloud = between(&ground, move |call| {
        let is_receive = call.contains("AmazonSQS.ReceiveMessage");
        receives += usize::from(is_receive);
        // As short polling has it: every other answer comes from servers that hold nothing of it.
        (is_receive && receives % 2 == 1).then(|| (200, "{}".to_owned()))
    });
    let ran = desk.run(&["redrive", "--dry-run", "--endpoint-url", &cloud]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.error);
    assert!(ran.out.contains("105 would be sent again"), "{}", ran.out);
    assert_eq!(ground.cloud().sqs.counts(&dead).unwrap().visible, 105, "a dry run gives all of them back");

    let ran = desk.run(&["redrive", "--all", "--endpoint-url", &cloud]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.error);
    assert!(ran.out.contains("105 sent again"), "{}", ran.out);
    assert_eq!(ground.cloud().sqs.counts(&ground.stage.function("trigger")).unwrap().visible, 105);
    ground.stage.clear().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_be_sent_keeps_no_other_and_is_told_at_the_end() {
    let ground = Ground::without_functions().await.unwrap();
    let (dead, desk) = (give_up(&ground, 25), Desk::at(&ground));
    let refusal = |code: &str| (400, format!(r#"{{"__type":"com.amazonaws.sqs#{code}","message":"not this one"}}"#));
    let cloud = between(&ground, move |call| {
        let is_bad = call.contains("AmazonSQS.SendMessage") && call.contains(r#""bad""#);
        is_bad.then(|| refusal("InvalidMessageContents"))
    });
    let ran = desk.run(&["redrive", "--all", "--endpoint-url", &cloud]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.error);
    assert!(ran.out.contains("24 sent again"), "{}", ran.out);
    assert!(
        ran.error.contains("not sent:") && ran.error.contains("InvalidMessageContents: not this one"),
        "{}",
        ran.error
    );
    let counts = ground.cloud().sqs.counts(&dead).unwrap();
    assert_eq!((counts.visible, counts.in_flight), (1, 0), "it can be tried again at once");

    // What nobody may do is said once.
    give_up(&ground, 25);
    let cloud =
        between(&ground, move |call| call.contains("AmazonSQS.SendMessage").then(|| refusal("AccessDeniedException")));
    let ran = desk.run(&["redrive", "--all", "--endpoint-url", &cloud]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.error);
    assert_eq!(ran.error.matches("may not sqs:SendMessage").count(), 1, "{}", ran.error);
    assert_eq!(ground.cloud().sqs.counts(&dead).unwrap().visible, 26);
    ground.stage.clear().await.unwrap();
}

#[tokio::test]
async fn the_usage_says_what_goes_with_what() {
    let desk = Desk::bare();
    let usage = desk.run(&["redrive"]).await;
    assert_eq!(usage.code, Some(2), "{}", usage.error);
    for line in
        ["signalbox redrive [FUNCTION] --all [--dry-run]", "--event <ID> [--event <ID>]... [--again] [--dry-run]"]
    {
        assert!(usage.error.contains(line), "{}", usage.error);
    }
    for wrong in [&["--all", "--event", "x"][..], &["--again"], &["--all", "--again"]] {
        let ran = desk.run(&[&["redrive"], wrong].concat()).await;
        assert_eq!(ran.code, Some(2), "{wrong:?}: {}", ran.error);
    }
}
