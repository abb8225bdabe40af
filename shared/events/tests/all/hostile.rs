//! Nonsense: the parser answers, whatever comes.

use proptest::prelude::*;
use serde_json::{Value, json};
use signalbox_events::{Parsed, parse_event};

use crate::parse_to_summary;

const PUSH: &str = include_str!("../../../../events/codecommit-reference-updated-push.json");
const PULL_REQUEST: &str = include_str!("../../../../events/codecommit-pull-request-merged.json");
const BUILD: &str = include_str!("../../../../events/codebuild-build-failed.json");
const PIPELINE: &str = include_str!("../../../../events/codepipeline-execution-failed.json");
const ACTION: &str = include_str!("../../../../events/codepipeline-action-failed.json");

/// The path of every value inside a value, as JSON pointers.
pub(crate) fn pointers(value: &Value) -> Vec<String> {
    fn walk(value: &Value, path: &str, found: &mut Vec<String>) {
        found.push(path.to_owned());
        match value {
            Value::Object(map) => {
                for (key, inner) in map {
                    walk(inner, &format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), found);
                }
            }
            Value::Array(list) => {
                for (index, inner) in list.iter().enumerate() {
                    walk(inner, &format!("{path}/{index}"), found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(value, "", &mut found);
    found
}

fn with(sample: &str, changes: &[(&str, Value)]) -> Vec<u8> {
    let mut event: Value = serde_json::from_str(sample).unwrap();
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = event.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}"));
        parent[key] = value.clone();
    }
    serde_json::to_vec(&event).unwrap()
}

fn without(sample: &str, pointer: &str) -> Vec<u8> {
    let mut event: Value = serde_json::from_str(sample).unwrap();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = event.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    assert!(parent.remove(key).is_some(), "no {pointer}");
    serde_json::to_vec(&event).unwrap()
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|float| json!(float)),
        any::<String>().prop_map(Value::from),
        "[A-Z][a-z]{2} [0-9]{1,3}, [0-9]{1,9} [0-9]{1,3}:[0-9]{1,3}:[0-9]{1,3} [AP]M".prop_map(Value::from),
        "\\[.{0,20}\\]?".prop_map(Value::from),
        "(refs/|arn:|https://git-codecommit\\.).{0,20}".prop_map(Value::from),
        Just(json!([])),
        Just(json!([{}])),
        Just(json!({})),
    ]
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in any::<Vec<u8>>()) {
        drop(parse_event(&bytes));
    }

    #[test]
    fn a_sample_with_one_byte_changed_never_panics(
        sample in prop::sample::select(vec![PUSH, PULL_REQUEST, BUILD, PIPELINE, ACTION]),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = sample.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        drop(parse_event(&bytes));
    }

    #[test]
    fn a_sample_with_other_values_in_it_gives_an_answer_that_names_a_field(
        sample in prop::sample::select(vec![PUSH, PULL_REQUEST, BUILD, PIPELINE, ACTION]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any_value()), 1..4),
    ) {
        let mut event: Value = serde_json::from_str(sample).unwrap();
        for (at, value) in changes {
            let pointers = pointers(&event);
            *event.pointer_mut(&pointers[at.index(pointers.len())]).unwrap() = value;
        }
        match parse_event(&serde_json::to_vec(&event).unwrap()) {
            // What was read can be written and read again.
            Ok(parsed) => prop_assert_eq!(
                &serde_json::from_str::<Parsed>(&serde_json::to_string(&parsed).unwrap()).unwrap(), &parsed
            ),
            Err(error) => prop_assert!(error.to_string().len() < 600, "{}", error),
        }
    }
}

#[test]
fn a_number_may_be_an_integer_a_float_or_a_text() {
    for version in [json!(7), json!(7.0), json!("7")] {
        let bytes = with(PIPELINE, &[("/detail/version", version.clone())]);
        let Ok(Parsed::Ours(event)) = parse_event(&bytes) else { panic!("{version}") };
        let signalbox_events::Detail::PipelineExecution(run) = event.detail else { panic!("{version}") };
        assert_eq!(run.version, Some(7), "{version}");
    }
    insta::assert_snapshot!(
        parse_to_summary(&with(PIPELINE, &[("/detail/version", json!(-1))])),
        @"error: detail.version is a number; expected a whole number from 0 on"
    );
}

#[test]
fn an_account_may_be_a_number() {
    let Ok(Parsed::Ours(event)) = parse_event(&with(PUSH, &[("/account", json!(111_122_223_333_u64))])) else {
        panic!("a number is refused")
    };
    assert_eq!(event.envelope.account.as_str(), "111122223333");
}

#[test]
fn a_time_that_is_no_date_does_not_lose_the_event() {
    for time in [json!("yesterday"), json!(null), json!(17), json!("2026-03-02")] {
        let Ok(Parsed::Ours(event)) = parse_event(&with(PUSH, &[("/time", time.clone())])) else { panic!("{time}") };
        assert_eq!(event.envelope.time, None, "{time}");
    }
    let Ok(Parsed::Ours(event)) = parse_event(PUSH.as_bytes()) else { panic!("the sample is refused") };
    assert_eq!(event.envelope.time.unwrap().to_string(), "2026-03-02T09:14:07Z");
}

#[test]
fn a_hand_written_push_may_name_its_ref_in_other_ways() {
    let mut event: Value = serde_json::from_slice(&without(PUSH, "/detail/referenceFullName")).unwrap();
    let sample = event.to_string();
    let tag = with(&sample, &[("/detail/referenceType", json!("tag"))]);
    let full = with(&sample, &[("/detail/referenceName", json!("refs/heads/release/1"))]);
    insta::assert_snapshot!(parse_to_summary(sample.as_bytes()), @"payments: refs/heads/main updated a6c4072..ed278db");
    insta::assert_snapshot!(parse_to_summary(&tag), @"payments: refs/tags/main updated a6c4072..ed278db");
    insta::assert_snapshot!(parse_to_summary(&full), @"payments: refs/heads/release/1 updated a6c4072..ed278db");
    insta::assert_snapshot!(parse_to_summary(&with(&sample, &[("/detail/referenceType", json!("note"))])), @r#"error: detail.referenceType is "note"; expected one of branch, tag"#);
    insta::assert_snapshot!(parse_to_summary(&without(&sample, "/detail/referenceType")), @"error: detail.referenceType is missing or empty; expected branch or tag");
    event["detail"].as_object_mut().unwrap().remove("referenceName");
    insta::assert_snapshot!(parse_to_summary(event.to_string().as_bytes()), @"error: detail.referenceFullName is missing or empty; expected a ref name");
}

#[test]
fn a_hand_written_pull_request_is_read_where_it_is_clear_and_refused_where_not() {
    let upper_case =
        with(PULL_REQUEST, &[("/detail/pullRequestStatus", json!("CLOSED")), ("/detail/isMerged", json!(true))]);
    insta::assert_snapshot!(parse_to_summary(&upper_case), @"payments: pull request 42 merged by SQUASH_MERGE");
    let short_names = with(
        PULL_REQUEST,
        &[("/detail/destinationReference", json!("master")), ("/detail/event", json!("pullRequestCreated"))],
    );
    insta::assert_snapshot!(parse_to_summary(&short_names), @"payments: pull request 42 created into refs/heads/master");
    let singular = String::from_utf8(without(PULL_REQUEST, "/detail/repositoryNames")).unwrap();
    insta::assert_snapshot!(parse_to_summary(&with(&singular, &[("/detail/repositoryName", json!("payments"))])), @"error: detail.repositoryNames is missing or empty; expected an array with the name of the pull request's repository");
    let two = with(PULL_REQUEST, &[("/detail/repositoryNames", json!(["payments", "demo"]))]);
    insta::assert_snapshot!(parse_to_summary(&two), @"error: detail.repositoryNames cannot be used: it holds 2 names; expected one");
    insta::assert_snapshot!(parse_to_summary(&with(PULL_REQUEST, &[("/detail/pullRequestStatus", json!("Draft"))])), @r#"error: detail.pullRequestStatus is "Draft"; expected one of Open, Closed"#);
}

#[test]
fn what_is_missing_from_the_envelope_is_named() {
    for field in ["id", "account", "region", "detail", "source", "detail-type"] {
        let said = parse_to_summary(&without(PUSH, &format!("/{field}")));
        assert!(said.starts_with("error: ") && said.contains(&format!("{field} is missing")), "{field}: {said}");
    }
}

#[test]
fn an_action_without_its_type_is_refused() {
    insta::assert_snapshot!(parse_to_summary(&without(ACTION, "/detail/type")), @"error: detail.type is missing or empty; expected the type of the action, an object");
    insta::assert_snapshot!(parse_to_summary(&without(ACTION, "/detail/stage")), @"error: detail.stage is missing or empty; expected a stage name");
    insta::assert_snapshot!(parse_to_summary(&with(ACTION, &[("/detail/type/category", json!("Ponder"))])), @r#"error: detail.type.category is "Ponder"; expected one of Source, Build, Deploy, Test, Invoke, Approval, Compute"#);
}

#[test]
fn the_neighbours_of_an_event_are_recognised_and_never_quoted() {
    let job = r#"{"CodePipeline.job":{"data":{"artifactCredentials":{"secretAccessKey":"hidden"}}}}"#;
    insta::assert_snapshot!(parse_to_summary(job.as_bytes()), @"error: this is not an EventBridge event: detail-type is missing; it looks like the job of a CodePipeline Lambda action (it carries live credentials: do not store it)");
    insta::assert_snapshot!(parse_to_summary(br#"{"DeploymentId":"d-1","LifecycleEventHookExecutionId":"x"}"#), @"error: this is not an EventBridge event: detail-type is missing; it looks like the call of a CodeDeploy lifecycle hook");
    insta::assert_snapshot!(parse_to_summary(b"{}"), @"error: this is not an EventBridge event: detail-type is missing; it looks like nothing that AWS sends to a function");
    insta::assert_snapshot!(parse_to_summary(b"17"), @"error: the event is a number; expected one EventBridge event as a JSON object");
    insta::assert_snapshot!(parse_to_summary(b""), @"error: the event is not JSON; expected one EventBridge event as a JSON object");
}

#[test]
fn an_event_of_somebody_else_may_have_any_shape() {
    insta::assert_snapshot!(parse_to_summary(br#"{"detail-type":"Paid","source":"com.example","detail":"{}"}"#), @r#"not ours: "Paid" from com.example"#);
    insta::assert_snapshot!(parse_to_summary(br#"{"detail-type":"Scheduled Event","source":"aws.scheduler","id":""}"#), @r#"not ours: "Scheduled Event" from aws.scheduler"#);
}
