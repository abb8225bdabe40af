//! The operations as callers see them.

use std::sync::Arc;

use super::*;
use crate::world::World;

fn logs(dir: &std::path::Path) -> Logs {
    Logs::open(&Arc::new(World::new(dir.to_owned(), "eu-west-1", 1))).unwrap()
}

async fn messages(logs: &Logs, input: Value) -> (Vec<String>, String, String) {
    let answer = logs.call("GetLogEvents", input).await.unwrap();
    let text = |key: &str| answer[key].as_str().unwrap().to_owned();
    let events = answer["events"].as_array().unwrap();
    let messages = events.iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect();
    (messages, text("nextForwardToken"), text("nextBackwardToken"))
}

#[tokio::test]
async fn a_stream_is_read_forward_and_backward_and_its_end_gives_the_same_token_again() {
    let dir = tempfile::tempdir().unwrap();
    let logs = logs(dir.path());
    for number in 0..5 {
        logs.append("g", "s", logs.world.now(), &format!("line {number}"));
    }
    let ask = |more: Value| {
        let mut input = json!({ "logGroupName": "g", "logStreamName": "s", "limit": 2 });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let (latest, forward, back) = messages(&logs, ask(json!({}))).await;
    assert_eq!(latest, ["line 3", "line 4"], "without startFromHead the latest come");
    let (before, _, _) = messages(&logs, ask(json!({ "nextToken": back }))).await;
    assert_eq!(before, ["line 1", "line 2"]);
    let (none, same, _) = messages(&logs, ask(json!({ "nextToken": forward }))).await;
    assert!(none.is_empty());
    assert_eq!(same, forward);
    logs.append("g", "s", logs.world.now(), "line 5");
    let (new, next, _) = messages(&logs, ask(json!({ "nextToken": forward }))).await;
    assert_eq!(new, ["line 5"]);
    assert_ne!(next, forward);
    let (head, _, at_start) = messages(&logs, ask(json!({ "startFromHead": true }))).await;
    assert_eq!(head, ["line 0", "line 1"]);
    let (none, _, same) = messages(&logs, ask(json!({ "nextToken": at_start }))).await;
    assert!(none.is_empty());
    assert_eq!(same, at_start);

    let forged = logs.call("GetLogEvents", ask(json!({ "nextToken": "f/7" }))).await.unwrap_err();
    assert_eq!(forged.code, "InvalidParameterException");
}

#[tokio::test]
async fn what_was_logged_is_there_after_a_restart_even_if_a_line_was_cut() {
    let dir = tempfile::tempdir().unwrap();
    let first = logs(dir.path());
    first.append("/aws/codebuild/unit", "a/b", first.world.now(), "kept");
    let file = first.with_groups(|groups| groups["/aws/codebuild/unit"].streams["a/b"].file.clone());
    drop(first);
    let mut text = std::fs::read_to_string(&file).unwrap();
    text.push_str("{\"timestamp\":1,\"inges");
    std::fs::write(&file, text).unwrap();

    let again = logs(dir.path());
    again.append("/aws/codebuild/unit", "a/b", again.world.now(), "more");
    let messages: Vec<String> =
        again.events("/aws/codebuild/unit", "a/b").into_iter().map(|event| event.message).collect();
    assert_eq!(messages, ["kept", "more"]);
    let streams = again.call("DescribeLogStreams", json!({ "logGroupName": "/aws/codebuild/unit" })).await.unwrap();
    assert!(streams["logStreams"][0]["lastEventTimestamp"].is_i64(), "{streams}");
}

#[tokio::test]
async fn groups_and_streams_are_made_once_and_listed_in_pages() {
    let dir = tempfile::tempdir().unwrap();
    let logs = logs(dir.path());
    for group in ["c", "a", "b"] {
        logs.call("CreateLogGroup", json!({ "logGroupName": group })).await.unwrap();
    }
    let again = logs.call("CreateLogGroup", json!({ "logGroupName": "a" })).await.unwrap_err();
    assert_eq!(again.code, "ResourceAlreadyExistsException");
    let stream = json!({ "logGroupName": "a", "logStreamName": "s" });
    logs.call("CreateLogStream", stream.clone()).await.unwrap();
    assert_eq!(logs.call("CreateLogStream", stream).await.unwrap_err().code, "ResourceAlreadyExistsException");
    let nowhere = json!({ "logGroupName": "z", "logStreamName": "s" });
    assert_eq!(logs.call("CreateLogStream", nowhere).await.unwrap_err().code, "ResourceNotFoundException");

    let mut seen = Vec::new();
    let mut token = Value::Null;
    loop {
        let mut input = json!({ "limit": 1 });
        if token.is_string() {
            input["nextToken"] = token.clone();
        }
        let page = logs.call("DescribeLogGroups", input).await.unwrap();
        seen.push(page["logGroups"][0]["logGroupName"].as_str().unwrap().to_owned());
        token = page["nextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!(seen, ["a", "b", "c"]);
    let forged = logs.call("DescribeLogGroups", json!({ "nextToken": "00" })).await.unwrap_err();
    assert_eq!(forged.code, "InvalidParameterException");
}

#[tokio::test]
async fn a_batch_is_checked_and_a_filter_finds_across_streams() {
    let dir = tempfile::tempdir().unwrap();
    let logs = logs(dir.path());
    let now = logs.world.now().as_millisecond();
    logs.call("CreateLogGroup", json!({ "logGroupName": "g" })).await.unwrap();
    for stream in ["one", "two"] {
        logs.call("CreateLogStream", json!({ "logGroupName": "g", "logStreamName": stream })).await.unwrap();
    }
    let put = |stream: &str, events: Value| {
        logs.call("PutLogEvents", json!({ "logGroupName": "g", "logStreamName": stream, "logEvents": events }))
    };
    let mut follower = logs.subscribe();
    put("one", json!([{ "timestamp": now - 5, "message": "ERROR first" }])).await.unwrap();
    assert_eq!(follower.try_recv().unwrap().message, "ERROR first");
    let answer =
        put("two", json!([{ "timestamp": 1, "message": "too old" }, { "timestamp": now, "message": "ERROR second" }]))
            .await
            .unwrap();
    assert_eq!(answer["rejectedLogEventsInfo"], json!({ "tooOldLogEventEndIndex": 1 }));
    let backwards = json!([{ "timestamp": now, "message": "b" }, { "timestamp": now - 1, "message": "a" }]);
    assert_eq!(put("one", backwards).await.unwrap_err().code, "InvalidParameterException");

    let ask = |token: Option<String>| {
        let mut input = json!({ "logGroupName": "g", "filterPattern": "ERROR", "limit": 1 });
        if let Some(token) = token {
            input["nextToken"] = json!(token);
        }
        logs.call("FilterLogEvents", input)
    };
    let first = ask(None).await.unwrap();
    assert_eq!(first["events"][0]["message"], "ERROR first");
    let second = ask(first["nextToken"].as_str().map(str::to_owned)).await.unwrap();
    assert_eq!(second["events"][0]["logStreamName"], "two");
    assert!(second["nextToken"].is_null());

    let odd = logs.call("FilterLogEvents", json!({ "logGroupName": "g", "unmask": true })).await.unwrap_err();
    assert_eq!(odd.code, "InvalidParameterException");
}
