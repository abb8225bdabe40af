//! `signalbox status`, as the real program.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use signalbox_tests::Ground;

use crate::desk::{Desk, POLICY, between, dead_letters};

#[tokio::test(flavor = "multi_thread")]
async fn status_of_a_healthy_stack_needs_nobody() {
    let ground = Ground::without_functions().await.unwrap();
    ground.policy(POLICY).unwrap();
    let desk = Desk::at(&ground);
    let ran = desk.run(&["status"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.error);
    for told in
        ["CREATE_COMPLETE in account 111122223333", "enforce: 1 repository section, 1 trigger", "nothing needs you"]
    {
        assert!(ran.out.contains(told), "{told}: {}", ran.out);
    }
    let ran = desk.run(&["status", "--json"]).await;
    let status: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &status["functions"][0]["name"]), (Some(0), &json!("notifier")));
    assert_eq!(status["mail"][0]["endpoint"], "team@example.com");
    ground.stage.clear().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_of_dead_letters_why_and_what_to_do() {
    let ground = Ground::without_functions().await.unwrap();
    let (sqs, desk) = (&ground.cloud().sqs, Desk::at(&ground));
    let dead = dead_letters(&ground, "trigger");
    let push: Value =
        serde_json::from_str(&std::fs::read_to_string("../events/codecommit-reference-updated-push.json").unwrap())
            .unwrap();
    let event = push["id"].as_str().unwrap();
    sqs.send(&dead, &push.to_string(), BTreeMap::new()).unwrap();
    let said =
        json!({ "message": "comes again", "event.id": event, "why": "codebuild:StartBuild on unit: AccessDenied" });
    ground.cloud().logs.append("/aws/lambda/signalbox-trigger", "one", jiff::Timestamp::now(), &said.to_string());
    let undelivered = BTreeMap::from([
        ("ERROR_CODE".to_owned(), signalbox_local::sqs::MessageAttribute::string("NO_PERMISSIONS")),
        ("RULE_ARN".to_owned(), signalbox_local::sqs::MessageAttribute::string("arn:aws:events:x")),
    ]);
    sqs.send(&dead, "not JSON", undelivered).unwrap();
    let ran = desk.run(&["status"]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.error);
    for told in [
        "trigger gave up on 2 events",
        "because codebuild:StartBuild on unit: AccessDenied",
        &format!("signalbox redrive trigger --event {event}"),
        "EventBridge could not put it into the queue: NO_PERMISSIONS",
    ] {
        assert!(ran.out.contains(told), "{told}: {}", ran.out);
    }
    // Looking takes nothing away: it can be looked at again at once.
    let again = desk.run(&["status", "--json"]).await;
    let status: Value = serde_json::from_str(&again.out).unwrap();
    assert_eq!(status["functions"][1]["newest_dead_letters"].as_array().unwrap().len(), 2, "{status}");

    let ran = desk.run(&["redrive", "--dry-run"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.error);
    assert!(ran.out.contains("2 would be sent again"), "{}", ran.out);
    let ran = desk.run(&["redrive", "trigger", "--event", event, "--event", "no-such-event"]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.error);
    assert!(ran.out.contains("1 sent again") && ran.out.contains("no-such-event is no dead letter"), "{}", ran.out);
    assert_eq!(sqs.counts(&dead).unwrap().visible, 1);
    let ran = desk.run(&["redrive", "--all"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.error);
    assert_eq!(sqs.counts(&dead).unwrap().visible, 0);
    let sent = sqs.receive(&ground.stage.function("trigger"), 10, Duration::ZERO).await.unwrap();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|message| message.attributes.is_empty()), "what EventBridge said of it is over: {sent:?}");
    ground.stage.clear().await.unwrap();
}

fn log(ground: &Ground, at: jiff::Timestamp, line: &Value) {
    ground.cloud().logs.append("/aws/lambda/signalbox-trigger", "one", at, &line.to_string());
}

fn ago(seconds: i64) -> jiff::Timestamp {
    jiff::Timestamp::now() - jiff::SignedDuration::from_secs(seconds)
}

#[tokio::test(flavor = "multi_thread")]
async fn sweeps_that_found_nothing_leave_room_for_what_happened() {
    let ground = Ground::without_functions().await.unwrap();
    let desk = Desk::at(&ground);
    log(
        &ground,
        ago(7200),
        &json!({ "message": "handled", "event.id": "e-1", "verdict": "start", "reasons": "unit starts" }),
    );
    for n in 0..120 {
        log(
            &ground,
            ago(7000 - n * 50),
            &json!({ "message": "handled", "event.id": format!("s-{n}"), "verdict": "swept" }),
        );
    }
    let ran = desk.run(&["status", "--events", "1"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.error);
    assert!(ran.out.contains("e-1  unit starts") && !ran.out.contains("s-119"), "{}", ran.out);
    assert!(ran.out.contains("the last one of trigger that found nothing: 20"), "{}", ran.out);
    ground.stage.clear().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_busy_log_the_newest_events_are_shown() {
    let ground = Ground::in_pages_of_one(signalbox_local::stage::Programs::None).await.unwrap();
    let desk = Desk::at(&ground);
    for n in 0..60 {
        log(
            &ground,
            ago(240 - n),
            &json!({ "message": "handled", "event.id": format!("e-{n}"), "verdict": "nothing" }),
        );
    }
    let ran = desk.run(&["status", "--json", "--events", "3"]).await;
    let status: Value = serde_json::from_str(&ran.out).unwrap();
    let events = status["functions"][1]["last_events"].as_array().unwrap();
    let told: Vec<&Value> = events.iter().map(|event| &event["event"]).collect();
    assert_eq!(told, ["e-59", "e-58", "e-57"], "{status}");
    ground.stage.clear().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_event_needs_somebody_until_it_went_well() {
    let ground = Ground::without_functions().await.unwrap();
    let desk = Desk::at(&ground);
    log(&ground, ago(90_000), &json!({ "message": "refused", "event.id": "long-ago", "verdict": "refused" }));
    log(
        &ground,
        ago(600),
        &json!({ "message": "refused", "event.id": "e-1", "verdict": "start", "reasons": "no such project" }),
    );
    log(&ground, ago(500), &json!({ "message": "handled", "event.id": "e-1", "verdict": "finished before" }));
    let ran = desk.run(&["status"]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.error);
    for told in
        ["trigger refused 1 event within a day, last e-1: no such project", "redrive trigger --again --event e-1"]
    {
        assert!(ran.out.contains(told), "{told}: {}", ran.out);
    }
    log(&ground, ago(400), &json!({ "message": "handled", "event.id": "e-1", "verdict": "start" }));
    let ran = desk.run(&["status"]).await;
    assert_eq!(ran.code, Some(0), "{} {}", ran.out, ran.error);
    ground.stage.clear().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_looked_at_is_told_and_ends_with_3() {
    let ground = Ground::without_functions().await.unwrap();
    let desk = Desk::at(&ground);
    for (operation, told) in [
        (
            "Logs_20140328.FilterLogEvents",
            "the last events of trigger: access denied: your credentials may not logs:FilterLogEvents",
        ),
        (
            "AmazonSQS.GetQueueAttributes",
            "the queue of trigger: access denied: your credentials may not sqs:GetQueueAttributes",
        ),
        ("GET /", "the policy: access denied: your credentials may not s3:GetObject"),
    ] {
        let cloud = between(&ground, move |call| {
            let body = if operation == "GET /" {
                "<Error><Code>AccessDenied</Code><Message>no</Message></Error>".to_owned()
            } else {
                r#"{"__type":"AccessDeniedException","message":"no"}"#.to_owned()
            };
            call.contains(operation).then_some((403, body))
        });
        let ran = desk.run(&["status", "--endpoint-url", &cloud]).await;
        assert_eq!(ran.code, Some(3), "{} {}", ran.out, ran.error);
        assert!(ran.out.contains(told) && !ran.out.contains("nothing needs you"), "{told}: {}", ran.out);
        assert!(ran.out.contains("not everything could be looked at"), "{}", ran.out);
    }
    let help = desk.run(&["status", "--help"]).await;
    assert!(help.out.contains("  3  not known"), "{}", help.out);
    ground.stage.clear().await.unwrap();
}
