//! `EventBridge`'s script.

use serde_json::{Value, json};
use signalbox_local::world::World;

use super::run::{Known, Run};

const KNOWN: Known = Known {
    common: &[("SerializationException", 400), ("ValidationException", 400)],
    always: &[
        ("PutRule", "/RuleArn"),
        ("DescribeRule", "/Name"),
        ("DescribeRule", "/Arn"),
        ("DescribeRule", "/State"),
        ("DescribeRule", "/EventBusName"),
        ("DescribeRule", "/CreatedBy"),
        ("ListRules", "/Rules"),
        ("ListTargetsByRule", "/Targets"),
        ("ListRuleNamesByTarget", "/RuleNames"),
        ("PutTargets", "/FailedEntryCount"),
        ("PutTargets", "/FailedEntries"),
        ("RemoveTargets", "/FailedEntryCount"),
        ("RemoveTargets", "/FailedEntries"),
        ("PutEvents", "/FailedEntryCount"),
        ("PutEvents", "/Entries"),
        ("TestEventPattern", "/Result"),
        ("DescribeEventBus", "/Name"),
        ("DescribeEventBus", "/Arn"),
        ("ListEventBuses", "/EventBuses/0/Name"),
        ("ListEventBuses", "/EventBuses/0/Arn"),
        ("CreateArchive", "/ArchiveArn"),
        ("CreateArchive", "/State"),
        ("CreateArchive", "/CreationTime"),
        ("UpdateArchive", "/ArchiveArn"),
        ("UpdateArchive", "/State"),
        ("DescribeArchive", "/ArchiveArn"),
        ("DescribeArchive", "/ArchiveName"),
        ("DescribeArchive", "/EventSourceArn"),
        ("DescribeArchive", "/State"),
        ("DescribeArchive", "/RetentionDays"),
        ("DescribeArchive", "/SizeBytes"),
        ("DescribeArchive", "/EventCount"),
        ("ListArchives", "/Archives/0/ArchiveName"),
        ("StartReplay", "/ReplayArn"),
        ("StartReplay", "/State"),
        ("DescribeReplay", "/ReplayArn"),
        ("DescribeReplay", "/State"),
        ("DescribeReplay", "/Destination/Arn"),
        ("ListReplays", "/Replays"),
        ("CancelReplay", "/ReplayArn"),
        ("CancelReplay", "/State"),
    ],
    taken: &[],
};

#[tokio::test]
async fn eventbridge_answers_as_its_model_says() {
    let Some(mut run) = Run::of("events", KNOWN).await else { return };
    let world = std::sync::Arc::clone(&run.ground.cloud().world);
    let pattern = json!({ "source": ["app"] }).to_string();
    let rule = json!({ "Name": "one", "EventPattern": pattern, "State": "DISABLED", "Description": "text", "EventBusName": "default" });
    run.good("PutRule", rule).await;
    run.good("PutRule", json!({ "Name": "two", "ScheduleExpression": "rate(5 minutes)" })).await;
    run.refused("PutRule", json!({ "Name": "x" }), "ValidationException").await;
    run.refused("PutRule", json!({ "Name": "x", "EventPattern": "{}" }), "InvalidEventPatternException").await;
    run.refused("PutRule", json!({ "Name": "x", "ScheduleExpression": "often" }), "ValidationException").await;
    run.refused(
        "PutRule",
        json!({ "Name": "x", "EventPattern": pattern, "EventBusName": "none" }),
        "ResourceNotFoundException",
    )
    .await;
    run.good("EnableRule", json!({ "Name": "one", "EventBusName": "default" })).await;
    run.good("DisableRule", json!({ "Name": "two", "EventBusName": "default" })).await;
    run.good("DescribeRule", json!({ "Name": "one", "EventBusName": "default" })).await;
    for operation in ["DescribeRule", "EnableRule", "DisableRule"] {
        run.refused(operation, json!({ "Name": "none" }), "ResourceNotFoundException").await;
    }
    let page = run.good("ListRules", json!({ "EventBusName": "default", "Limit": 1 })).await;
    run.good("ListRules", json!({ "Limit": 1, "NextToken": page["NextToken"] })).await;
    run.good("ListRules", json!({ "NamePrefix": "o" })).await;
    run.refused("ListRules", json!({ "NextToken": "forged" }), "ValidationException").await;

    let queue = world.arn("sqs", "some-queue");
    let target = json!({ "Id": "a", "Arn": queue, "DeadLetterConfig": { "Arn": queue },
        "RetryPolicy": { "MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 60 } });
    run.good("PutTargets", json!({ "Rule": "one", "EventBusName": "default", "Targets": [target] })).await;
    run.plain("PutTargets", json!({ "Rule": "one", "Targets": [{ "Id": "b", "Arn": queue }] })).await;
    run.refused("PutTargets", json!({ "Rule": "none", "Targets": [target] }), "ResourceNotFoundException").await;
    let many: Vec<Value> = (0..6).map(|number| json!({ "Id": format!("t{number}"), "Arn": queue })).collect();
    run.refused("PutTargets", json!({ "Rule": "one", "Targets": many }), "LimitExceededException").await;
    let page = run.good("ListTargetsByRule", json!({ "Rule": "one", "EventBusName": "default", "Limit": 1 })).await;
    run.good("ListTargetsByRule", json!({ "Rule": "one", "NextToken": page["NextToken"] })).await;
    run.refused("ListTargetsByRule", json!({ "Rule": "none" }), "ResourceNotFoundException").await;
    run.good("ListRuleNamesByTarget", json!({ "TargetArn": queue, "EventBusName": "default", "Limit": 1 })).await;
    run.refused("DeleteRule", json!({ "Name": "one" }), "ValidationException").await;

    let entry = json!({ "Time": 1_700_000_000.5, "Source": "app", "Resources": ["a"], "DetailType": "thing", "Detail": "{}", "EventBusName": "default" });
    run.good("PutEvents", json!({ "Entries": [entry] })).await;
    run.plain(
        "PutEvents",
        json!({ "Entries": [{ "Source": "app" }, { "Source": "app", "DetailType": "thing", "Detail": "{}" }] }),
    )
    .await;
    let event = json!({ "id": "1", "account": world.account, "source": "app", "time": "2026-01-01T00:00:00Z", "region": world.region,
        "resources": [], "detail-type": "thing", "detail": {} });
    run.good("TestEventPattern", json!({ "EventPattern": pattern, "Event": event.to_string() })).await;
    run.refused(
        "TestEventPattern",
        json!({ "EventPattern": "{", "Event": event.to_string() }),
        "InvalidEventPatternException",
    )
    .await;

    run.good("RemoveTargets", json!({ "Rule": "one", "EventBusName": "default", "Ids": ["a", "b"], "Force": false }))
        .await;
    run.refused("RemoveTargets", json!({ "Rule": "none", "Ids": ["a"] }), "ResourceNotFoundException").await;
    run.good("DeleteRule", json!({ "Name": "one", "EventBusName": "default", "Force": false })).await;
    run.plain("DeleteRule", json!({ "Name": "one" })).await;
    archives(&mut run, &world).await;
    run.end().await;
}

async fn archives(run: &mut Run, world: &World) {
    let bus = world.arn("events", "event-bus/default");
    run.good("DescribeEventBus", json!({ "Name": bus })).await;
    run.refused("DescribeEventBus", json!({ "Name": "none" }), "ResourceNotFoundException").await;
    run.good("ListEventBuses", json!({ "NamePrefix": "def", "Limit": 1 })).await;
    run.refused("ListEventBuses", json!({ "NextToken": "forged" }), "ValidationException").await;

    let pattern = json!({ "source": ["app"] }).to_string();
    for name in ["kept", "more"] {
        let archive = json!({ "ArchiveName": name, "EventSourceArn": bus, "Description": "text", "EventPattern": pattern, "RetentionDays": 1 });
        // The second one would find the first one's spoilt inputs taken already.
        if name == "kept" {
            run.good("CreateArchive", archive).await
        } else {
            run.plain("CreateArchive", archive).await
        };
    }
    let again = json!({ "ArchiveName": "kept", "EventSourceArn": bus });
    run.refused("CreateArchive", again, "ResourceAlreadyExistsException").await;
    let bad = json!({ "ArchiveName": "bad", "EventSourceArn": bus, "EventPattern": "{" });
    run.refused("CreateArchive", bad, "InvalidEventPatternException").await;
    run.good(
        "UpdateArchive",
        json!({ "ArchiveName": "kept", "Description": "new", "EventPattern": pattern, "RetentionDays": 0 }),
    )
    .await;
    run.good("DescribeArchive", json!({ "ArchiveName": "kept" })).await;
    for operation in ["DescribeArchive", "UpdateArchive", "DeleteArchive"] {
        run.refused(operation, json!({ "ArchiveName": "none" }), "ResourceNotFoundException").await;
    }
    let page = run.good("ListArchives", json!({ "Limit": 1 })).await;
    run.good("ListArchives", json!({ "Limit": 1, "NextToken": page["NextToken"] })).await;
    for filter in [json!({ "NamePrefix": "k" }), json!({ "EventSourceArn": bus }), json!({ "State": "ENABLED" })] {
        run.good("ListArchives", filter).await;
    }
    run.refused("ListArchives", json!({ "NextToken": "forged" }), "ValidationException").await;

    let entry = json!({ "Source": "app", "DetailType": "thing", "Detail": "{}" });
    run.plain("PutEvents", json!({ "Entries": [entry] })).await;
    run.plain("PutRule", json!({ "Name": "again", "EventPattern": pattern })).await;
    let archive = world.arn("events", "archive/kept");
    let replay = json!({ "ReplayName": "one", "Description": "text", "EventSourceArn": archive, "EventStartTime": 1_700_000_000,
        "EventEndTime": 4_000_000_000_u32, "Destination": { "Arn": bus, "FilterArns": [world.arn("events", "rule/again")] } });
    run.good("StartReplay", replay.clone()).await;
    run.refused("StartReplay", replay.clone(), "ResourceAlreadyExistsException").await;
    run.good("DescribeReplay", json!({ "ReplayName": "one" })).await;
    for operation in ["DescribeReplay", "CancelReplay"] {
        run.refused(operation, json!({ "ReplayName": "none" }), "ResourceNotFoundException").await;
    }
    run.good("ListReplays", json!({ "Limit": 1 })).await;
    for filter in [json!({ "NamePrefix": "o" }), json!({ "EventSourceArn": archive }), json!({ "State": "COMPLETED" })]
    {
        run.good("ListReplays", filter).await;
    }
    run.refused("ListReplays", json!({ "NextToken": "forged" }), "ValidationException").await;
    // More than a replay puts on the bus in one step, so that there is something to cancel.
    let entries = json!({ "Entries": vec![entry; 10] });
    for _ in 0..120 {
        run.plain("PutEvents", entries.clone()).await;
    }
    let mut second = replay;
    second["ReplayName"] = json!("two");
    run.plain("StartReplay", second).await;
    run.good("CancelReplay", json!({ "ReplayName": "two" })).await;
    run.good("DeleteArchive", json!({ "ArchiveName": "more" })).await;
    run.plain("DeleteArchive", json!({ "ArchiveName": "kept" })).await;
}
