//! Archives keep, replays bring back.

use super::*;

const BUS: &str = "arn:aws:events:eu-west-1:111122223333:event-bus/default";
const ARCHIVE: &str = "arn:aws:events:eu-west-1:111122223333:archive/all";
const RULE: &str = "arn:aws:events:eu-west-1:111122223333:rule/pushes";

impl Bench {
    async fn archive(&self, changes: Value) {
        let mut input = json!({"ArchiveName": "all", "EventSourceArn": BUS});
        for (name, value) in changes.as_object().unwrap() {
            input[name] = value.clone();
        }
        let made = self.good("CreateArchive", input).await;
        assert_eq!((&made["ArchiveArn"], &made["State"]), (&json!(ARCHIVE), &json!("ENABLED")));
    }

    fn replay(name: &str, filter: impl Into<Value>) -> Value {
        let filter = filter.into();
        json!({"ReplayName": name, "EventSourceArn": ARCHIVE, "EventStartTime": 1_699_999_000, "EventEndTime": 1_700_001_000,
            "Destination": {"Arn": BUS, "FilterArns": filter}})
    }

    async fn state(&self, name: &str) -> Value {
        self.good("DescribeReplay", json!({"ReplayName": name})).await["State"].clone()
    }

    fn finish(&self) {
        while self.bus.replay_step(self.world.now()).is_some() {}
    }
}

#[tokio::test]
async fn a_replay_brings_the_same_events_with_its_name_to_the_rules_that_it_names() {
    let bench = bench();
    bench.archive(json!({"Description": "d", "RetentionDays": 3})).await;
    bench.bus.put_target("pushes", "queue", QUEUE, None).unwrap();
    bench.bus.put_rule("other", &json!({"source": ["aws.codecommit"]}), RuleState::Enabled).unwrap();
    let before = bench.push("aws.codecommit");
    bench.received("trigger").await;
    let shown = bench.good("DescribeArchive", json!({"ArchiveName": "all"})).await;
    assert_eq!((&shown["EventCount"], &shown["RetentionDays"]), (&json!(1), &json!(3)));
    assert_eq!(shown["SizeBytes"], before.event.to_string().len());

    let started = bench.good("StartReplay", Bench::replay("again", json!([RULE]))).await;
    assert_eq!(started["State"], "STARTING");
    assert_eq!(started["ReplayArn"], "arn:aws:events:eu-west-1:111122223333:replay/again");
    let mut heard = bench.bus.subscribe();
    bench.finish();
    let published = heard.try_recv().unwrap();
    assert_eq!(published.rules, ["pushes"], "the other rule was not named");
    let mut event = published.event.clone();
    assert_eq!(event["replay-name"], "again");
    event.as_object_mut().unwrap().remove("replay-name");
    assert_eq!(event, before.event, "id and time are as they were");
    let body = bench.received("trigger").await.remove(0).body;
    assert!(body.contains("\"region\":\"eu-west-1\",\"replay-name\":\"again\",\"resources\""), "{body}");

    let shown = bench.good("DescribeReplay", json!({"ReplayName": "again"})).await;
    assert_eq!((&shown["State"], &shown["EventLastReplayedTime"]), (&json!("COMPLETED"), &json!(1_700_000_000.0)));
    assert_eq!(shown["Destination"], json!({"Arn": BUS, "FilterArns": [RULE]}));
    assert!(shown["ReplayEndTime"].is_number());
    let archived = bench.good("DescribeArchive", json!({"ArchiveName": "all"})).await;
    assert_eq!(archived["EventCount"], 1, "what is replayed is not archived again");
    let listed = bench.good("ListReplays", json!({"State": "COMPLETED"})).await;
    assert_eq!(listed["Replays"][0]["ReplayName"], "again");
}

#[tokio::test]
async fn only_what_the_pattern_wants_and_the_range_holds_comes_back() {
    let bench = bench();
    bench.archive(json!({"EventPattern": "{\"source\": [\"aws.codecommit\"]}"})).await;
    bench.push("aws.codebuild");
    bench.push("aws.codecommit");
    assert_eq!(bench.good("ListArchives", json!({})).await["Archives"][0]["EventCount"], 1);
    let mut before = Bench::replay("before", json!([]));
    before["EventEndTime"] = json!(1_699_999_999);
    bench.good("StartReplay", before).await;
    bench.good("StartReplay", Bench::replay("all", json!([]))).await;
    let mut heard = bench.bus.subscribe();
    bench.finish();
    assert_eq!(heard.try_recv().unwrap().event["replay-name"], "all");
    assert!(heard.try_recv().is_err());

    bench
        .good("UpdateArchive", json!({"ArchiveName": "all", "EventPattern": "{\"source\": [\"aws.codebuild\"]}"}))
        .await;
    bench.push("aws.codecommit");
    assert_eq!(bench.good("ListArchives", json!({})).await["Archives"][0]["EventCount"], 1);
}

#[tokio::test]
async fn archived_events_survive_a_restart_and_expire() {
    let bench = bench();
    bench.archive(json!({"RetentionDays": 2})).await;
    bench.push("aws.codecommit");
    bench.bus.save().unwrap();
    let again = EventBridge::open(&bench.world, &bench.sqs).unwrap();
    let caller = Caller { arn: String::new(), access_key_id: String::new() };
    let shown = again.call("DescribeArchive", json!({"ArchiveName": "all"}), &caller).await.unwrap();
    assert_eq!(shown["EventCount"], 1);
    let file = bench.dir.path().join("archives/all.jsonl");
    let days = |count: i64| bench.world.now() + jiff::SignedDuration::from_hours(24 * count);
    assert!(again.sweep_due(days(1)).is_some());
    assert!(!std::fs::read(&file).unwrap().is_empty());
    again.sweep_due(days(3));
    assert!(std::fs::read(&file).unwrap().is_empty(), "two days are over");
    again.call("DeleteArchive", json!({"ArchiveName": "all"}), &caller).await.unwrap();
    assert!(!file.exists());
}

#[tokio::test]
async fn a_replay_goes_on_after_a_restart_and_can_be_cancelled() {
    let bench = bench();
    bench.archive(json!({})).await;
    for _ in 0..60 {
        bench.push("aws.codecommit");
    }
    bench.good("StartReplay", Bench::replay("long", json!([]))).await;
    bench.good("StartReplay", Bench::replay("stopped", json!([]))).await;
    bench.bus.replay_step(bench.world.now());
    assert_eq!(bench.state("long").await, "RUNNING");
    assert_eq!(bench.good("CancelReplay", json!({"ReplayName": "stopped"})).await["State"], "CANCELLING");
    bench.bus.save().unwrap();
    let again = EventBridge::open(&bench.world, &bench.sqs).unwrap();
    let mut heard = again.subscribe();
    while again.replay_step(bench.world.now()).is_some() {}
    let mut rest = 0;
    while let Ok(published) = heard.try_recv() {
        assert_eq!(published.event["replay-name"], "long");
        rest += 1;
    }
    assert_eq!(rest, 10, "fifty were replayed before");

    bench.finish();
    assert_eq!(bench.state("stopped").await, "CANCELLED");
    assert_eq!(bench.refusal("CancelReplay", json!({"ReplayName": "stopped"})).await, "IllegalStatusException");
}

#[tokio::test]
async fn archives_and_replays_are_refused_as_aws_refuses_them() {
    let bench = bench();
    bench.archive(json!({})).await;
    let archive = |changes: Value| {
        let mut input = json!({"ArchiveName": "b", "EventSourceArn": BUS});
        for (name, value) in changes.as_object().unwrap() {
            input[name] = value.clone();
        }
        input
    };
    let replay = |member: &str, value: Value| {
        let mut input = Bench::replay("r", json!([]));
        input[member] = value;
        input
    };
    bench.good("StartReplay", Bench::replay("there", json!([]))).await;
    for (operation, input, code, words) in [
        (
            "CreateArchive",
            archive(json!({"ArchiveName": "all"})),
            "ResourceAlreadyExistsException",
            "Archive all already exists.",
        ),
        (
            "CreateArchive",
            archive(json!({"EventSourceArn": format!("{BUS}x")})),
            "ResourceNotFoundException",
            "Event bus defaultx does not exist.",
        ),
        (
            "CreateArchive",
            archive(json!({"ArchiveName": "a".repeat(49)})),
            "ValidationException",
            "less than or equal to 48",
        ),
        ("CreateArchive", archive(json!({"RetentionDays": -1})), "ValidationException", "retentionDays"),
        ("CreateArchive", archive(json!({"KmsKeyIdentifier": "k"})), "ValidationException", "KmsKeyIdentifier"),
        ("DescribeArchive", json!({"ArchiveName": "no"}), "ResourceNotFoundException", "Archive no does not exist."),
        ("DeleteArchive", json!({"ArchiveName": "no"}), "ResourceNotFoundException", "Archive no does not exist."),
        ("UpdateArchive", json!({"ArchiveName": "no"}), "ResourceNotFoundException", "Archive no does not exist."),
        (
            "ListArchives",
            json!({"NamePrefix": "a", "State": "ENABLED"}),
            "ValidationException",
            "At most one filter is allowed",
        ),
        (
            "StartReplay",
            replay("EventSourceArn", json!(format!("{ARCHIVE}x"))),
            "ValidationException",
            "Parameter EventSourceArn is not valid. Reason: Archive allx does not exist.",
        ),
        (
            "StartReplay",
            replay("EventEndTime", json!(1_699_999_000)),
            "ValidationException",
            "EventStartTime must be before EventEndTime.",
        ),
        (
            "StartReplay",
            replay("Destination", json!({"Arn": format!("{BUS}x")})),
            "ResourceNotFoundException",
            "Event bus defaultx",
        ),
        (
            "StartReplay",
            replay("Destination", json!({"Arn": BUS, "FilterArns": [format!("{RULE}x")]})),
            "ValidationException",
            "there is no rule",
        ),
        (
            "StartReplay",
            replay("ReplayName", json!("there")),
            "ResourceAlreadyExistsException",
            "Replay there already exists.",
        ),
        ("DescribeReplay", json!({"ReplayName": "no"}), "ResourceNotFoundException", "Replay no does not exist."),
        ("CancelReplay", json!({"ReplayName": "no"}), "ResourceNotFoundException", "Replay no does not exist."),
        ("ListReplays", json!({"State": "DONE"}), "ValidationException", "enum value set"),
    ] {
        let error = bench.call(operation, input.clone()).await.expect_err(operation);
        assert_eq!(error.code, code, "{operation} {input}");
        assert!(error.message.contains(words), "{operation}: {}", error.message);
    }
    for number in 0..9 {
        bench.good("StartReplay", Bench::replay(&format!("r{number}"), json!([]))).await;
    }
    assert_eq!(bench.refusal("StartReplay", Bench::replay("r9", json!([]))).await, "LimitExceededException");
}
