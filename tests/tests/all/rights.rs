//! The policies that docs/deploy.md hands to people: what they grant is enough for the commands, and none of it is spare.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use signalbox_local::iam::Definition;
use signalbox_tests::Ground;

use crate::desk::{Desk, POLICY, Ran, dead_letters};

const USER: &str = "operator";

fn document(name: &str) -> Value {
    let file = format!("{}/../docs/examples/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// Each action of each statement, with the document that lacks it.
fn without_each(document: &Value) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for (number, statement) in document["Statement"].as_array().unwrap().iter().enumerate() {
        let actions = statement["Action"].as_array().cloned().unwrap_or_else(|| vec![statement["Action"].clone()]);
        for action in &actions {
            let left: Vec<&Value> = actions.iter().filter(|other| *other != action).collect();
            let mut lacking = document.clone();
            if left.is_empty() {
                lacking["Statement"].as_array_mut().unwrap().remove(number);
            } else {
                lacking["Statement"][number]["Action"] = json!(left);
            }
            all.insert(format!("{} {}", statement["Sid"].as_str().unwrap(), action.as_str().unwrap()), lacking);
        }
    }
    all
}

/// A desk of somebody who has this policy and nothing else.
fn desk_with(ground: &Ground, document: &Value) -> Desk {
    let world = &ground.cloud().world;
    world.iam.put_user(USER, Definition::default()).unwrap();
    world.iam.put_user_policy(USER, "signalbox", document).unwrap();
    let keys = ground.cloud().keys.user(world, USER);
    Desk::at(ground)
        .with("AWS_ACCESS_KEY_ID", &keys.access_key_id)
        .with("AWS_SECRET_ACCESS_KEY", &keys.secret_access_key)
}

/// Whether a run was kept from anything.
fn is_refused(ran: &Ran) -> bool {
    ran.out.contains("access denied") || ran.error.contains("access denied")
}

fn went_well(what: &str, ran: &Ran) -> Result<(), String> {
    if ran.code == Some(0) && !is_refused(ran) { Ok(()) } else { Err(format!("{what}: {} {}", ran.out, ran.error)) }
}

/// What an operator does all day; the first that fails ends it.
async fn operate(ground: &Ground, document: &Value) -> Result<(), String> {
    let desk = desk_with(ground, document);
    let mode = jiff::Timestamp::now().as_nanosecond();
    desk.file("signalbox.yaml", &format!("# {mode}\n{POLICY}"));
    went_well("apply", &desk.run(&["apply", "--yes"]).await)?;
    ground.cloud().sqs.send(&dead_letters(ground, "trigger"), "no event", BTreeMap::new()).unwrap();
    let status = desk.run(&["status", "--events", "1"]).await;
    if status.code != Some(1) || is_refused(&status) || status.out.contains("not seen") {
        return Err(format!("status: {} {}", status.out, status.error));
    }
    went_well("redrive", &desk.run(&["redrive", "trigger", "--all"]).await)?;
    let entry = json!({
        "function": "trigger", "event": "e-1", "phase": "done", "attempts": 1, "outcomes": {}, "report": {
            "at": "2026-01-01T00:00:00Z", "policy_version": null, "mode": "enforce", "verdict": "start", "reasons": [],
            "actions": [], "replay": { "received": { "id": "e-1", "detail-type": "x", "source": "y" } },
        },
    });
    let bucket = ground.stage.bucket().unwrap();
    ground.cloud().s3.put(bucket, "ledger/trigger/e-1", entry.to_string().as_bytes()).unwrap();
    went_well("redrive --again", &desk.run(&["redrive", "trigger", "--again", "--event", "e-1"]).await)?;
    went_well("redrive --again of any function", &desk.run(&["redrive", "--again", "--event", "e-1"]).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_policy_is_enough_and_none_of_it_is_spare() {
    let ground = Ground::without_functions().await.unwrap();
    let document = document("operator.json");
    operate(&ground, &document).await.unwrap();
    for (grant, lacking) in without_each(&document) {
        let action = grant.split(' ').next_back().unwrap();
        // Without it a key that is not there reads as forbidden: before the first policy `apply` misses it, and later whoever
        // asks all functions which of them knows an event.
        if action == "s3:ListBucket" {
            let fresh = Ground::without_functions().await.unwrap();
            let failed = operate(&fresh, &lacking).await.expect_err(&grant);
            assert!(failed.starts_with("apply") && failed.contains("access denied"), "{grant}: {failed}");
            fresh.stage.clear().await.unwrap();
            let failed = operate(&ground, &lacking).await.expect_err(&grant);
            assert!(failed.starts_with("redrive --again of any function"), "{grant}: {failed}");
            assert!(failed.contains("access denied"), "{grant}: {failed}");
            continue;
        }
        let failed = operate(&ground, &lacking).await.expect_err(&grant);
        assert!(failed.contains("access denied"), "{grant}: {failed}");
        assert!(failed.to_lowercase().contains(&action.to_lowercase()), "{grant}: {failed}");
    }
    ground.stage.clear().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_for_removing_is_enough_and_none_of_it_is_spare() {
    let ground = Ground::without_functions().await.unwrap();
    ground.policy(POLICY).unwrap();
    let document = document("uninstall.json");
    let mut lacking = without_each(&document);
    // In the order in which they are needed: each attempt gets further than the one before it.
    for grant in [
        "FindDeletedStacks cloudformation:ListStacks",
        "DeleteTheStack cloudformation:DescribeStacks",
        "DeleteTheStack cloudformation:ListStackResources",
        "EmptyAndDeleteTheBucket s3:ListBucket",
        "CountEvents sqs:GetQueueAttributes",
        "DeleteTheStack cloudformation:DeleteStack",
        "SaveAndDeleteEveryVersion s3:GetObjectVersion",
        "DeleteLogs logs:DeleteLogGroup",
        "EmptyAndDeleteTheBucket s3:ListBucketVersions",
        "SaveAndDeleteEveryVersion s3:DeleteObjectVersion",
        "EmptyAndDeleteTheBucket s3:DeleteBucket",
    ] {
        let desk = desk_with(&ground, &lacking.remove(grant).unwrap());
        let mut arguments = vec!["uninstall", "--yes"];
        if grant.contains("GetObjectVersion") {
            arguments.extend(["--backup", "backup"]);
        }
        let ran = desk.run(&arguments).await;
        let action = grant.split(' ').next_back().unwrap();
        // A bucket of a deleted stack that nobody may look at is passed over; only its own stack's must be seen.
        assert_eq!(ran.code, Some(1), "{grant}: {} {}", ran.out, ran.error);
        assert!(ran.error.contains(&format!("may not {action}")), "{grant}: {}", ran.error);
        if grant.contains("GetObjectVersion") {
            assert!(!ground.cloud().sqs.queue_names().is_empty(), "what cannot be saved is not deleted");
        }
    }
    assert!(lacking.is_empty(), "not tried: {:?}", lacking.keys());
    let ran = desk_with(&ground, &document).run(&["uninstall", "--yes"]).await;
    assert_eq!(ran.code, Some(0), "{} {}", ran.out, ran.error);
    ground.stage.clear().await.unwrap();
}

/// Gives the reason for a bypass and looks at the report; the first that fails ends it.
async fn explain_bypass(ground: &Ground, document: &Value, event: &str) -> Result<(), String> {
    let desk = desk_with(ground, document);
    let decision = json!({ "verdict": "bypassed", "mode": "enforce", "reasons": [], "actions": [] });
    let subject = json!({ "repository": "demo", "reference": "refs/heads/main" });
    let entry = json!({
        "function": "protector", "event": event, "phase": "done", "attempts": 1, "outcomes": {}, "report": {
            "at": jiff::Timestamp::now(), "policy_version": null, "mode": "enforce", "verdict": "bypassed", "reasons": [],
            "actions": [], "replay": { "facts": { "subject": subject }, "decision": decision },
        },
    });
    let bucket = ground.stage.bucket().unwrap();
    ground.cloud().s3.put(bucket, &format!("ledger/protector/{event}"), entry.to_string().as_bytes()).unwrap();
    went_well("report bypass", &desk.run(&["report", "bypass", event, "--reason", "it was on fire"]).await)?;
    went_well("report protections", &desk.run(&["report", "protections"]).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_for_whoever_bypasses_is_enough_and_none_of_it_is_spare() {
    let document = document("bypass.json");
    for (number, (grant, lacking)) in without_each(&document).into_iter().enumerate() {
        let ground = Ground::without_functions().await.unwrap();
        let failed = explain_bypass(&ground, &lacking, &format!("e-{number}")).await.expect_err(&grant);
        let action = grant.split(' ').next_back().unwrap();
        assert!(failed.contains("access denied"), "{grant}: {failed}");
        assert!(failed.to_lowercase().contains(&action.to_lowercase()), "{grant}: {failed}");
        ground.stage.clear().await.unwrap();
    }
    let ground = Ground::without_functions().await.unwrap();
    explain_bypass(&ground, &document, "e-whole").await.unwrap();
    ground.stage.clear().await.unwrap();
}
