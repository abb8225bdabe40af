//! Rules to queues, and the operations as callers see them.

mod archives;
mod targets;

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::auth::Caller;

const QUEUE: &str = "arn:aws:sqs:eu-west-1:111122223333:trigger";
const DEAD: &str = "arn:aws:sqs:eu-west-1:111122223333:dead";

struct Bench {
    bus: Arc<EventBridge>,
    sqs: Arc<Sqs>,
    sns: Arc<Sns>,
    logs: Arc<Logs>,
    world: Arc<World>,
    dir: tempfile::TempDir,
}

/// A bus with the rule `pushes` (on `aws.codecommit`) and two queues that let that rule send.
fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let world = Arc::new(World::new(dir.path().to_owned(), "eu-west-1", 1));
    let sqs = Arc::new(Sqs::open(&world).unwrap());
    let sns = Arc::new(Sns::open(&world).unwrap());
    sns.delivers_to(&sqs);
    let logs = Arc::new(Logs::open(&world).unwrap());
    let bus = Arc::new(EventBridge::open(&world, &sqs).unwrap());
    bus.delivers_to(&sns, &logs);
    for name in ["trigger", "dead"] {
        sqs.create_queue(name, &BTreeMap::new()).unwrap();
        allow(&sqs, name);
    }
    bus.put_rule("pushes", &json!({"source": ["aws.codecommit"]}), RuleState::Enabled).unwrap();
    Bench { bus, sqs, sns, logs, world, dir }
}

fn allow(sqs: &Sqs, queue: &str) {
    let policy = json!({"Statement": [{"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage", "Resource": sqs.arn(queue),
        "Condition": {"ArnEquals": {"aws:SourceArn": "arn:aws:events:eu-west-1:111122223333:rule/pushes"}}}]});
    sqs.set_attributes(queue, &BTreeMap::from([("Policy".to_owned(), policy.to_string())])).unwrap();
}

impl Bench {
    fn push(&self, source: &str) -> Arc<Published> {
        let mut heard = self.bus.subscribe();
        let time = Timestamp::from_second(1_700_000_000).unwrap();
        let detail = json!({"event": "referenceUpdated", "commitId": "c0ffee"});
        self.bus.publish(source, "CodeCommit Repository State Change", vec!["arn:r".to_owned()], time, detail);
        heard.try_recv().unwrap()
    }

    async fn received(&self, queue: &str) -> Vec<crate::sqs::Message> {
        self.sqs.receive(queue, 10, Duration::ZERO).await.unwrap()
    }

    async fn call(&self, operation: &str, input: Value) -> Answer<Value> {
        let arn = "arn:aws:iam::111122223333:user/developer".to_owned();
        self.bus.call(operation, input, &Caller { arn, access_key_id: "AKIA".to_owned() }).await
    }

    async fn good(&self, operation: &str, input: Value) -> Value {
        self.call(operation, input).await.unwrap_or_else(|refused| panic!("{operation}: {refused}"))
    }

    async fn refusal(&self, operation: &str, input: Value) -> String {
        self.call(operation, input).await.expect_err(operation).code
    }
}

#[tokio::test]
async fn an_event_that_matches_arrives_in_the_rules_queue_as_the_whole_envelope() {
    let bench = bench();
    bench.bus.put_target("pushes", "queue", QUEUE, None).unwrap();
    let published = bench.push("aws.codecommit");
    let body = bench.received("trigger").await.remove(0).body;
    assert!(body.starts_with("{\"version\":\"0\",\"id\":"), "{body}");
    let event: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(event, published.event);
    assert_eq!(event["time"], "2023-11-14T22:13:20Z");
    assert_eq!((&event["account"], &event["region"]), (&json!("111122223333"), &json!("eu-west-1")));
    assert_eq!(event["detail"]["commitId"], "c0ffee");
    assert_eq!(published.rules, ["pushes"]);
    assert!(matches!(published.deliveries[0].outcome, Outcome::Delivered { .. }));
}

#[tokio::test]
async fn an_event_that_does_not_match_or_a_disabled_rule_delivers_nothing_and_is_still_told() {
    let bench = bench();
    bench.bus.put_target("pushes", "queue", QUEUE, None).unwrap();
    assert!(bench.push("aws.codebuild").rules.is_empty());
    bench.good("DisableRule", json!({"Name": "pushes"})).await;
    assert!(bench.push("aws.codecommit").rules.is_empty());
    assert!(bench.received("trigger").await.is_empty());
    bench.good("EnableRule", json!({"Name": "pushes"})).await;
    assert_eq!(bench.push("aws.codecommit").rules, ["pushes"]);
}

#[tokio::test]
async fn what_cannot_be_delivered_goes_to_the_dead_letter_queue_and_says_why() {
    let bench = bench();
    let no_policy = bench.sqs.create_queue("closed", &BTreeMap::new()).unwrap();
    bench.bus.put_target("pushes", "gone", "arn:aws:sqs:eu-west-1:111122223333:gone", Some(DEAD)).unwrap();
    bench.bus.put_target("pushes", "closed", &no_policy, Some(DEAD)).unwrap();
    let published = bench.push("aws.codecommit");
    assert!(published.deliveries.iter().all(|delivery| matches!(delivery.outcome, Outcome::DeadLettered { .. })));
    let letters = bench.received("dead").await;
    let attribute = |number: usize, name: &str| letters[number].attributes[name].string_value.clone().unwrap();
    assert_eq!(
        (attribute(0, "ERROR_CODE"), attribute(1, "ERROR_CODE")),
        ("NO_PERMISSIONS".to_owned(), "NO_RESOURCE".to_owned())
    );
    assert_eq!(attribute(0, "TARGET_ARN"), no_policy);
    assert_eq!(attribute(0, "RULE_ARN"), "arn:aws:events:eu-west-1:111122223333:rule/pushes");
    assert!(attribute(0, "ERROR_MESSAGE").contains("has no policy"));
    assert_eq!(attribute(0, "RETRY_ATTEMPTS"), "0");
    assert!(!letters[0].attributes.contains_key("EXHAUSTED_RETRY_CONDITION"), "it was never tried again");
    assert_eq!(serde_json::from_str::<Value>(&letters[0].body).unwrap(), published.event);
}

#[tokio::test]
async fn without_a_dead_letter_queue_that_takes_it_the_event_is_dropped_and_that_is_told() {
    let bench = bench();
    bench.bus.put_target("pushes", "gone", "arn:aws:sqs:eu-west-1:111122223333:gone", None).unwrap();
    let closed = bench.sqs.create_queue("closed", &BTreeMap::new()).unwrap();
    bench.bus.put_target("pushes", "both", "arn:aws:sqs:eu-west-1:111122223333:gone", Some(&closed)).unwrap();
    let published = bench.push("aws.codecommit");
    let reasons: Vec<String> = published
        .deliveries
        .iter()
        .map(|delivery| match &delivery.outcome {
            Outcome::Dropped { reason } => reason.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(
        reasons[0].contains("does not exist; and its dead-letter queue: ") && reasons[0].contains("has no policy"),
        "{}",
        reasons[0]
    );
    assert!(reasons[1].ends_with("gone does not exist"), "{}", reasons[1]);
}

#[tokio::test]
async fn put_events_takes_the_good_entries_and_says_what_is_wrong_with_the_others() {
    let bench = bench();
    bench.good("PutRule", json!({"Name": "pushes", "EventPattern": "{\"source\": [\"acme\"]}"})).await;
    bench.bus.put_target("pushes", "queue", QUEUE, None).unwrap();
    let entry = |changes: Value| {
        let mut entry =
            json!({"Source": "acme", "DetailType": "Order", "Detail": "{\"n\": 1}", "Time": 1_700_000_000.5});
        for (name, value) in changes.as_object().unwrap() {
            entry[name] = value.clone();
        }
        entry
    };
    let entries = json!([
        entry(json!({})),
        entry(json!({"Source": null})),
        entry(json!({"Detail": "{"})),
        entry(json!({"Source": "aws.codecommit"})),
        entry(json!({"EventBusName": "orders"})),
        entry(json!({"DetailType": ""})),
        entry(
            json!({"EventBusName": "arn:aws:events:eu-west-1:111122223333:event-bus/default", "TraceHeader": "Root=1-2-3"})
        ),
        entry(json!({"Detail": "[1]"})),
        entry(json!({"DetailType": "t".repeat(129)})),
        entry(json!({"TraceHeader": ""})),
    ]);
    let output = bench.good("PutEvents", json!({"Entries": entries})).await;
    assert_eq!(output["FailedEntryCount"], 8);
    let codes: Vec<&str> =
        output["Entries"].as_array().unwrap().iter().map(|entry| entry["ErrorCode"].as_str().unwrap_or("-")).collect();
    assert_eq!(
        codes,
        [
            "-",
            "InvalidArgument",
            "MalformedDetail",
            "NotAuthorizedForSourceException",
            "InvalidArgument",
            "InvalidArgument",
            "-",
            "MalformedDetail",
            "InvalidArgument",
            "InvalidArgument"
        ]
    );
    let received = bench.received("trigger").await;
    assert_eq!(received.len(), 2);
    let event: Value = serde_json::from_str(&received[0].body).unwrap();
    assert_eq!(output["Entries"][3]["ErrorMessage"], "Not authorized for the source.");
    assert_eq!(received[1].system_attributes.get("AWSTraceHeader").map(String::as_str), Some("Root=1-2-3"));
    assert_eq!((&event["id"], &event["time"]), (&output["Entries"][0]["EventId"], &json!("2023-11-14T22:13:20Z")));

    let huge = entry(json!({"Detail": format!("{{\"x\": \"{}\"}}", "y".repeat(LIMIT))}));
    assert_eq!(bench.refusal("PutEvents", json!({"Entries": [huge]})).await, "ValidationException");
    assert_eq!(bench.refusal("PutEvents", json!({"Entries": []})).await, "ValidationException");
}

const LIMIT: usize = 256 * 1024;

#[tokio::test]
async fn rules_and_targets_are_listed_in_pages_changed_and_removed() {
    let bench = bench();
    let arn = bench
        .good(
            "PutRule",
            json!({"Name": "a", "EventPattern": "{\"source\": [\"x\"]}", "Description": "d", "State": "DISABLED"}),
        )
        .await;
    assert_eq!(arn["RuleArn"], "arn:aws:events:eu-west-1:111122223333:rule/a");
    let shown = bench.good("DescribeRule", json!({"Name": "a", "EventBusName": "default"})).await;
    assert_eq!((&shown["State"], &shown["CreatedBy"]), (&json!("DISABLED"), &json!("111122223333")));
    assert!(shown.get("ScheduleExpression").is_none());

    let first = bench.good("ListRules", json!({"Limit": 1})).await;
    let second = bench.good("ListRules", json!({"Limit": 1, "NextToken": first["NextToken"]})).await;
    assert_eq!((&first["Rules"][0]["Name"], &second["Rules"][0]["Name"]), (&json!("a"), &json!("pushes")));
    assert!(second.get("NextToken").is_none());
    assert_eq!(bench.refusal("ListRules", json!({"NextToken": "x"})).await, "ValidationException");

    let target =
        json!({"Id": "1", "Arn": QUEUE, "DeadLetterConfig": {"Arn": DEAD}, "RetryPolicy": {"MaximumRetryAttempts": 2}});
    bench.good("PutTargets", json!({"Rule": "a", "Targets": [target]})).await;
    let listed = bench.good("ListTargetsByRule", json!({"Rule": "a"})).await;
    assert_eq!(listed["Targets"], json!([target]));
    let names = bench.good("ListRuleNamesByTarget", json!({"TargetArn": QUEUE})).await;
    assert_eq!(names["RuleNames"], json!(["a"]));

    bench.good("PutRule", json!({"Name": "a", "EventPattern": "{\"source\": [\"y\"]}"})).await;
    assert_eq!(bench.good("ListTargetsByRule", json!({"Rule": "a"})).await["Targets"].as_array().unwrap().len(), 1);
    assert_eq!(bench.refusal("DeleteRule", json!({"Name": "a"})).await, "ValidationException");
    bench.good("RemoveTargets", json!({"Rule": "a", "Ids": ["1"]})).await;
    bench.good("DeleteRule", json!({"Name": "a"})).await;
    assert_eq!(bench.refusal("DescribeRule", json!({"Name": "a"})).await, "ResourceNotFoundException");
}

#[tokio::test]
async fn what_aws_or_the_local_cloud_does_not_take_is_refused() {
    let bench = bench();
    let pattern = "{\"source\": [\"x\"]}";
    for (input, code) in [
        (json!({"Name": "a b", "EventPattern": pattern}), "ValidationException"),
        (json!({"Name": "a"}), "ValidationException"),
        (json!({"Name": "a", "EventPattern": "{\"source\": \"x\"}"}), "InvalidEventPatternException"),
        (json!({"Name": "a", "ScheduleExpression": "cron(0 12 * * * *)"}), "ValidationException"),
        (json!({"Name": "a", "EventPattern": pattern, "RoleArn": "arn"}), "ValidationException"),
        (json!({"Name": "a", "EventPattern": pattern, "EventBusName": "mine"}), "ResourceNotFoundException"),
    ] {
        assert_eq!(bench.refusal("PutRule", input.clone()).await, code, "{input}");
    }
    for target in [
        json!({"Id": "1", "Arn": "arn:aws:lambda:eu-west-1:111122223333:function:f"}),
        json!({"Id": "1", "Arn": "arn:aws:sqs:eu-west-1:111122223333:q.fifo"}),
        json!({"Id": "1", "Arn": "arn:aws:sns:eu-west-1:111122223333:t.fifo"}),
        json!({"Id": "1", "Arn": "nonsense"}),
        json!({"Id": "1", "Arn": QUEUE, "InputPath": "detail"}),
        json!({"Id": "1", "Arn": QUEUE, "RoleArn": "arn:aws:iam::111122223333:role/r"}),
        json!({"Id": "1", "Arn": QUEUE, "RetryPolicy": {"MaximumRetryAttempts": 186}}),
        json!({"Id": "1", "Arn": QUEUE, "DeadLetterConfig": {"Arn": "arn:aws:sns:eu-west-1:111122223333:t"}}),
    ] {
        let input = json!({"Rule": "pushes", "Targets": [target]});
        assert_eq!(bench.refusal("PutTargets", input.clone()).await, "ValidationException", "{input}");
    }
    let six: Vec<Value> = (0..6).map(|id| json!({"Id": id.to_string(), "Arn": QUEUE})).collect();
    assert_eq!(bench.refusal("PutTargets", json!({"Rule": "pushes", "Targets": six})).await, "LimitExceededException");
    let nowhere = json!({"Rule": "none", "Targets": [{"Id": "1", "Arn": QUEUE}]});
    assert_eq!(bench.refusal("PutTargets", nowhere).await, "ResourceNotFoundException");
    assert_eq!(bench.refusal("CreateEventBus", json!({})).await, "UnknownOperationException");
}

#[tokio::test]
async fn a_pattern_can_be_tested_against_an_event() {
    let bench = bench();
    let event = json!({"id": "1", "account": "1", "source": "x", "time": "t", "region": "r", "resources": [], "detail-type": "d"});
    let input =
        |pattern: Value, event: &Value| json!({"EventPattern": pattern.to_string(), "Event": event.to_string()});
    assert_eq!(bench.good("TestEventPattern", input(json!({"source": ["x"]}), &event)).await, json!({"Result": true}));
    assert_eq!(bench.good("TestEventPattern", input(json!({"source": ["y"]}), &event)).await, json!({"Result": false}));
    let code = bench.refusal("TestEventPattern", input(json!({"source": ["y"]}), &json!({"id": "1"}))).await;
    assert_eq!(code, "ValidationException");
}

#[tokio::test]
async fn patterns_that_aws_refuses_are_refused_by_every_operation_that_takes_one() {
    let bench = bench();
    let event = json!({"id": "1", "account": "1", "source": "x", "time": "t", "region": "r", "resources": [], "detail-type": "d"});
    let bus = "arn:aws:events:eu-west-1:111122223333:event-bus/default";
    let mut refused = 0;
    let checked_with_awss_own_engine = include_str!("../../../../tests/patterns/invalid.jsonl").lines();
    let documented = include_str!("../../../../tests/patterns/documented-invalid.jsonl").lines();
    for line in checked_with_awss_own_engine.chain(documented) {
        let pattern: String = serde_json::from_str(line).unwrap();
        for (operation, input) in [
            ("PutRule", json!({"Name": "a", "EventPattern": pattern})),
            ("TestEventPattern", json!({"EventPattern": pattern, "Event": event.to_string()})),
            ("CreateArchive", json!({"ArchiveName": "a", "EventSourceArn": bus, "EventPattern": pattern})),
        ] {
            let error = bench.call(operation, input).await.expect_err(&pattern);
            assert_eq!(error.code, "InvalidEventPatternException", "{operation} {pattern}");
            assert!(error.message.starts_with("Event pattern is not valid. Reason: "), "{}", error.message);
        }
        refused += 1;
    }
    assert!(refused >= 50, "only {refused} cases were read");
    let long = json!({"source": ["x".repeat(4096)]}).to_string();
    assert_eq!(bench.refusal("PutRule", json!({"Name": "a", "EventPattern": long})).await, "ValidationException");
    let longest = json!({"source": ["x".repeat(4096 - 15)]}).to_string();
    assert_eq!(longest.len(), 4096);
    bench.good("PutRule", json!({"Name": "a", "EventPattern": longest})).await;
}

#[tokio::test]
async fn there_is_one_bus_and_others_are_not_made() {
    let bench = bench();
    let arn = "arn:aws:events:eu-west-1:111122223333:event-bus/default";
    assert_eq!(bench.good("DescribeEventBus", json!({})).await["Arn"], arn);
    assert_eq!(bench.good("ListEventBuses", json!({"NamePrefix": "def"})).await["EventBuses"][0]["Name"], "default");
    assert_eq!(bench.good("ListEventBuses", json!({"NamePrefix": "x"})).await["EventBuses"], json!([]));
    assert_eq!(bench.refusal("DescribeEventBus", json!({"Name": "mine"})).await, "ResourceNotFoundException");
}

#[tokio::test]
async fn a_rule_that_runs_by_the_clock_fires_once_a_period_to_its_own_targets_only() {
    let bench = bench();
    bench.bus.remove_rule("pushes");
    bench.bus.put_rule("other", &json!({"source": ["aws.events"]}), RuleState::Enabled).unwrap();
    bench.bus.put_schedule("pushes", "rate(5 minutes)", RuleState::Enabled).unwrap();
    bench.bus.put_target("pushes", "queue", QUEUE, None).unwrap();
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let mut heard = bench.bus.subscribe();
    assert_eq!(bench.bus.fire_due(at(0)), Some(300_000));
    assert_eq!(bench.bus.fire_due(at(299)), Some(300_000));
    assert!(heard.try_recv().is_err());
    assert_eq!(bench.bus.fire_due(at(301)), Some(600_000));
    let published = heard.try_recv().unwrap();
    assert_eq!(published.rules, ["pushes"]);
    assert_eq!(published.event["detail-type"], "Scheduled Event");
    assert_eq!(published.event["resources"], json!(["arn:aws:events:eu-west-1:111122223333:rule/pushes"]));
    assert_eq!(bench.received("trigger").await.len(), 1);
    assert_eq!(bench.bus.fire_due(at(10_000)), Some(10_300_000), "what was missed is made up for once");
    bench.good("DisableRule", json!({"Name": "pushes"})).await;
    assert_eq!(bench.bus.fire_due(at(20_000)), None);
}

#[tokio::test]
async fn rules_are_there_again_after_a_restart() {
    let bench = bench();
    bench.bus.put_target("pushes", "queue", QUEUE, Some(DEAD)).unwrap();
    bench.bus.save().unwrap();
    let again = EventBridge::open(&bench.world, &bench.sqs).unwrap();
    assert_eq!(again.rule_names(), ["pushes"]);
    again.publish("aws.codecommit", "x", Vec::new(), Timestamp::UNIX_EPOCH, json!({}));
    assert_eq!(bench.received("trigger").await.len(), 1);
}
