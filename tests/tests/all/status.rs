//! `signalbox status`, as the real program.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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
    assert_eq!((ran.code, &status["functions"][0]["name"]), (Some(0), &json!("approver")));
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
    assert_eq!(status["functions"][4]["newest_dead_letters"].as_array().unwrap().len(), 2, "{status}");

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
    assert!(ran.out.contains("the last one of trigger found nothing: 20"), "{}", ran.out);
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
    let events = status["functions"][4]["last_events"].as_array().unwrap();
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
    let refused = "trigger refused 1 event within a day, last e-1: no such project";
    let ran = desk.run(&["status"]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.error);
    assert!(ran.out.contains(refused) && ran.out.contains("the event was not kept"), "{}", ran.out);
    assert!(!ran.out.contains("--again"), "it would fail: {}", ran.out);
    // Whether it is kept, the ledger knows.
    let received = json!({ "bytes": 7, "keys": null });
    for (received, can_run_again) in
        [(received, false), (json!({ "id": "e-1", "detail-type": "x", "source": "y" }), true)]
    {
        keep(&ground, "e-1", &received);
        let ran = desk.run(&["status"]).await;
        assert!(ran.code == Some(1) && ran.out.contains(refused), "{}", ran.out);
        assert_eq!(ran.out.contains("redrive trigger --again --event e-1"), can_run_again, "{}", ran.out);
    }
    log(&ground, ago(400), &json!({ "message": "handled", "event.id": "e-1", "verdict": "start" }));
    let ran = desk.run(&["status"]).await;
    assert_eq!(ran.code, Some(0), "{} {}", ran.out, ran.error);
    ground.stage.clear().await.unwrap();
}

/// The ledger's entry of a refused event, of which this was kept.
fn keep(ground: &Ground, event: &str, received: &Value) {
    let entry = json!({
        "function": "trigger", "event": event, "phase": "refused", "attempts": 1, "outcomes": {}, "report": {
            "at": "2026-01-01T00:00:00Z", "policy_version": null, "mode": "enforce", "verdict": "refused", "reasons": [],
            "actions": [], "replay": { "received": received },
        },
    });
    let (s3, bucket) = (&ground.cloud().s3, ground.stage.bucket().unwrap());
    s3.put(bucket, &format!("ledger/trigger/{event}"), entry.to_string().as_bytes()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_left_something_needs_somebody_until_a_later_one_is_whole() {
    let ground = Ground::without_functions().await.unwrap();
    let desk = Desk::at(&ground);
    let said = |message: &str, id: &str, verdict: &str| {
        let actions = "demo-2: left for the next sweep: codecommit:ListBranches on demo-2: AccessDenied";
        json!({ "message": message, "event.id": id, "verdict": verdict, "actions": actions })
    };
    log(&ground, ago(3000), &said("handled", "s-0", "swept"));
    log(&ground, ago(2000), &said("refused", "s-1", "swept in part"));
    log(&ground, ago(1000), &said("handled", "s-2", "swept in part"));
    let ran = desk.run(&["status"]).await;
    assert_eq!(ran.code, Some(1), "{} {}", ran.out, ran.error);
    for told in ["the last sweep of trigger left something (s-2): demo-2: left", "the next one tries it again"] {
        assert!(ran.out.contains(told), "{told}: {}", ran.out);
    }
    for false_or_useless in ["--again", "trigger refused", "nothing needs you"] {
        assert!(!ran.out.contains(false_or_useless), "{false_or_useless}: {}", ran.out);
    }
    // An event that went well in between proves nothing of the sweep.
    log(&ground, ago(800), &said("handled", "e-1", "start"));
    assert_eq!(desk.run(&["status"]).await.code, Some(1));
    log(&ground, ago(500), &said("handled", "s-3", "swept"));
    let ran = desk.run(&["status"]).await;
    assert_eq!(ran.code, Some(0), "{} {}", ran.out, ran.error);
    ground.stage.clear().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_refused_events_only_some_are_looked_after() {
    let ground = Ground::without_functions().await.unwrap();
    let desk = Desk::at(&ground);
    for n in 0..60 {
        log(
            &ground,
            ago(6000 - n),
            &json!({ "message": "refused", "event.id": format!("e-{n}."), "verdict": "refused" }),
        );
    }
    let searches = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&searches);
    let cloud = between(&ground, move |call| {
        counted.fetch_add(usize::from(call.contains("Logs_20140328.FilterLogEvents")), Ordering::SeqCst);
        None
    });
    let ran = desk.run(&["status", "--endpoint-url", &cloud]).await;
    assert_eq!(ran.code, Some(1), "{} {}", ran.out, ran.error);
    assert!(ran.out.contains("trigger refused at least 20 events within a day, last e-59."), "{}", ran.out);
    assert!(searches.load(Ordering::SeqCst) < 60, "{searches:?}");
    ground.stage.clear().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_too_long_to_be_searched_is_not_known_to_hold_nothing() {
    let ground = Ground::in_pages_of_one(signalbox_local::stage::Programs::None).await.unwrap();
    let desk = Desk::at(&ground);
    ground.cloud().sqs.send(&dead_letters(&ground, "trigger"), r#"{"id":"e-1"}"#, BTreeMap::new()).unwrap();
    // Each has the words that are looked for, and none is an event's last word.
    for n in 0..200 {
        log(
            &ground,
            ago(80_000 - n * 400),
            &json!({ "message": "received again", "event.id": "e-1", "by": "refused" }),
        );
    }
    log(&ground, ago(250_000), &json!({ "message": "comes again", "event.id": "e-1", "why": "throttled" }));
    let ran = desk.run(&["status"]).await;
    assert_eq!(ran.code, Some(1), "{} {}", ran.out, ran.error);
    for told in [
        "because not known, the log is too long to be searched to its end",
        "not seen: the last events of trigger: not all are known, the log is too long",
        "not seen: the refused events of trigger: not all are known, the log is too long",
        "  not known of trigger",
    ] {
        assert!(ran.out.contains(told), "{told}: {}", ran.out);
    }
    for wrong in ["the log says nothing of it", "none yet"] {
        assert!(!ran.out.contains(wrong), "{wrong}: {}", ran.out);
    }
    ground.stage.clear().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_looked_at_is_told_and_ends_with_3() {
    let ground = Ground::without_functions().await.unwrap();
    let desk = Desk::at(&ground);
    for (operation, told, not_known, wrong, field) in [
        (
            "Logs_20140328.FilterLogEvents",
            "the last events of trigger: access denied: your credentials may not logs:FilterLogEvents",
            "  not known of approver, notifier, protector, replicator, trigger",
            "none yet",
            "/functions/1/last_events",
        ),
        (
            "Logs_20140328.FilterLogEvents",
            "the refused events of trigger: access denied",
            "not seen: the last sweep of trigger: access denied",
            "none yet",
            "/functions/1/refused",
        ),
        (
            "AmazonSQS.GetQueueAttributes",
            "the queue of trigger: access denied: your credentials may not sqs:GetQueueAttributes",
            "trigger             ?",
            "trigger             0",
            "/functions/1/newest_dead_letters",
        ),
        (
            "GET /",
            "the policy: access denied: your credentials may not s3:GetObject",
            "policy not known",
            "none is in force",
            "/policy",
        ),
        (
            "Action=ListSubscriptionsByTopic",
            "who gets mail: access denied: your credentials may not sns:ListSubscriptionsByTopic",
            "mail not known",
            "subscribers get mail",
            "/mail",
        ),
    ] {
        let cloud = between(&ground, move |call| {
            let body = match operation {
                "GET /" => "<Error><Code>AccessDenied</Code><Message>no</Message></Error>",
                "Action=ListSubscriptionsByTopic" => {
                    "<ErrorResponse><Error><Code>AuthorizationError</Code><Message>no</Message></Error></ErrorResponse>"
                }
                _ => r#"{"__type":"AccessDeniedException","message":"no"}"#,
            };
            let body = body.to_owned();
            call.contains(operation).then_some((403, body))
        });
        let ran = desk.run(&["status", "--endpoint-url", &cloud]).await;
        assert_eq!(ran.code, Some(3), "{} {}", ran.out, ran.error);
        assert!(ran.out.contains(told) && !ran.out.contains("nothing needs you"), "{told}: {}", ran.out);
        assert!(ran.out.contains("not everything could be looked at"), "{}", ran.out);
        assert!(ran.out.contains(not_known) && !ran.out.contains(wrong), "{not_known}, not {wrong}: {}", ran.out);
        let ran = desk.run(&["status", "--json", "--endpoint-url", &cloud]).await;
        let status: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!((ran.code, status.pointer(field)), (Some(3), Some(&Value::Null)), "{field}: {status}");
    }
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = desk.command(&["status"]).await;
    command.stdout(full).stderr(std::process::Stdio::piped());
    let output = command.spawn().unwrap().wait_with_output().await.unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "nothing is known to need anybody: {error}");
    assert!(error.contains("standard output cannot be written"), "{error}");
    let help = desk.run(&["status", "--help"]).await;
    assert!(help.out.contains("  3  not known"), "{}", help.out);
    ground.stage.clear().await.unwrap();
}
