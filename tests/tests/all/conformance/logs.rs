//! CloudWatch Logs' script.

use jiff::Timestamp;
use serde_json::json;

use super::run::{Known, Run};

const KNOWN: Known = Known {
    common: &[("SerializationException", 400)],
    always: &[
        ("DescribeLogGroups", "/logGroups/0/logGroupName"),
        ("DescribeLogGroups", "/logGroups/0/creationTime"),
        ("DescribeLogGroups", "/logGroups/0/metricFilterCount"),
        ("DescribeLogGroups", "/logGroups/0/arn"),
        ("DescribeLogGroups", "/logGroups/0/logGroupArn"),
        ("DescribeLogGroups", "/logGroups/0/storedBytes"),
        ("DescribeLogStreams", "/logStreams/0/logStreamName"),
        ("DescribeLogStreams", "/logStreams/0/creationTime"),
        ("DescribeLogStreams", "/logStreams/0/arn"),
        ("DescribeLogStreams", "/logStreams/0/storedBytes"),
        ("PutLogEvents", "/nextSequenceToken"),
        ("GetLogEvents", "/events/0/timestamp"),
        ("GetLogEvents", "/events/0/message"),
        ("GetLogEvents", "/events/0/ingestionTime"),
        ("GetLogEvents", "/nextForwardToken"),
        ("GetLogEvents", "/nextBackwardToken"),
        ("FilterLogEvents", "/events/0/logStreamName"),
        ("FilterLogEvents", "/events/0/timestamp"),
        ("FilterLogEvents", "/events/0/message"),
        ("FilterLogEvents", "/events/0/ingestionTime"),
        ("FilterLogEvents", "/events/0/eventId"),
        ("FilterLogEvents", "/searchedLogStreams"),
    ],
    taken: &[],
};

#[tokio::test]
async fn logs_answer_as_their_model_says() {
    let Some(mut run) = Run::of("logs", KNOWN).await else { return };
    run.good("CreateLogGroup", json!({ "logGroupName": "/a/group", "tags": { "team": "a" } })).await;
    run.plain("CreateLogGroup", json!({ "logGroupName": "/a/other" })).await;
    run.refused("CreateLogGroup", json!({ "logGroupName": "/a/group" }), "ResourceAlreadyExistsException").await;
    let stream = json!({ "logGroupName": "/a/group", "logStreamName": "one" });
    run.good("CreateLogStream", stream.clone()).await;
    run.refused("CreateLogStream", stream.clone(), "ResourceAlreadyExistsException").await;
    run.refused(
        "CreateLogStream",
        json!({ "logGroupName": "none", "logStreamName": "one" }),
        "ResourceNotFoundException",
    )
    .await;
    run.plain("CreateLogStream", json!({ "logGroupName": "/a/group", "logStreamName": "two" })).await;

    let now = Timestamp::now().as_millisecond();
    let put = |events: serde_json::Value| json!({ "logGroupName": "/a/group", "logStreamName": "one", "logEvents": events, "sequenceToken": "any" });
    run.good(
        "PutLogEvents",
        put(json!([{ "timestamp": now, "message": "first" }, { "timestamp": now, "message": "second" }])),
    )
    .await;
    run.plain(
        "PutLogEvents",
        put(json!([{ "timestamp": 1, "message": "too old" }, { "timestamp": now, "message": "third" }])),
    )
    .await;
    run.refused(
        "PutLogEvents",
        put(json!([{ "timestamp": now, "message": "a" }, { "timestamp": now - 1, "message": "b" }])),
        "InvalidParameterException",
    )
    .await;
    let nowhere = json!({ "logGroupName": "/a/group", "logStreamName": "none", "logEvents": [{ "timestamp": now, "message": "a" }] });
    run.refused("PutLogEvents", nowhere, "ResourceNotFoundException").await;

    let page = run.plain("DescribeLogGroups", json!({ "logGroupNamePrefix": "/a", "limit": 1 })).await;
    let next = json!({ "logGroupNamePrefix": "/a", "limit": 1, "nextToken": page["nextToken"] });
    run.good("DescribeLogGroups", next).await;
    run.good("DescribeLogGroups", json!({ "logGroupNamePattern": "other" })).await;
    run.refused("DescribeLogGroups", json!({ "nextToken": "forged" }), "InvalidParameterException").await;
    let both = json!({ "logGroupNamePrefix": "/a", "logGroupNamePattern": "a" });
    run.refused("DescribeLogGroups", both, "InvalidParameterException").await;

    let streams = json!({ "logGroupName": "/a/group", "orderBy": "LastEventTime", "descending": true, "limit": 1 });
    let page = run.plain("DescribeLogStreams", streams.clone()).await;
    let mut next = streams;
    next["nextToken"] = page["nextToken"].clone();
    run.good("DescribeLogStreams", next).await;
    run.good("DescribeLogStreams", json!({ "logGroupIdentifier": "/a/group", "logStreamNamePrefix": "o" })).await;
    run.refused("DescribeLogStreams", json!({ "logGroupName": "none" }), "ResourceNotFoundException").await;
    let order = json!({ "logGroupName": "/a/group", "logStreamNamePrefix": "o", "orderBy": "LastEventTime" });
    run.refused("DescribeLogStreams", order, "InvalidParameterException").await;

    let get = json!({ "logGroupName": "/a/group", "logStreamName": "one", "startTime": now - 1000, "endTime": now + 1000, "limit": 1, "startFromHead": true });
    let page = run.plain("GetLogEvents", get.clone()).await;
    let mut next = get;
    next["nextToken"] = page["nextForwardToken"].clone();
    run.good("GetLogEvents", next).await;
    run.good("GetLogEvents", json!({ "logGroupIdentifier": "/a/group", "logStreamName": "one" })).await;
    run.refused(
        "GetLogEvents",
        json!({ "logGroupName": "/a/group", "logStreamName": "none" }),
        "ResourceNotFoundException",
    )
    .await;
    let forged = json!({ "logGroupName": "/a/group", "logStreamName": "one", "nextToken": "forged" });
    run.refused("GetLogEvents", forged, "InvalidParameterException").await;

    let filter = json!({ "logGroupName": "/a/group", "logStreamNames": ["one"], "startTime": now - 1000, "endTime": now + 1000, "filterPattern": "i", "limit": 1, "interleaved": true });
    let page = run.plain("FilterLogEvents", json!({ "logGroupName": "/a/group", "limit": 1 })).await;
    run.plain("FilterLogEvents", json!({ "logGroupName": "/a/group", "limit": 1, "nextToken": page["nextToken"] }))
        .await;
    let mut filter_all = filter;
    filter_all["filterPattern"] = json!("first");
    run.good("FilterLogEvents", filter_all).await;
    run.good("FilterLogEvents", json!({ "logGroupIdentifier": "/a/group", "logStreamNamePrefix": "o" })).await;
    run.refused("FilterLogEvents", json!({ "logGroupName": "none" }), "ResourceNotFoundException").await;
    run.refused(
        "FilterLogEvents",
        json!({ "logGroupName": "/a/group", "nextToken": "forged" }),
        "InvalidParameterException",
    )
    .await;
    run.good("DeleteLogGroup", json!({ "logGroupName": "/a/group" })).await;
    run.refused("DeleteLogGroup", json!({ "logGroupName": "/a/group" }), "ResourceNotFoundException").await;
    run.end().await;
}
