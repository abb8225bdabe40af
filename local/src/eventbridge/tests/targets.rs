//! Queues, topics and log groups as targets; what they are sent; what is tried again.

use super::*;

const TOPIC: &str = "arn:aws:sns:eu-west-1:111122223333:notices";
const GROUP: &str = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/events/pushes:*";
const RULE: &str = "arn:aws:events:eu-west-1:111122223333:rule/pushes";

impl Bench {
    async fn target(&self, target: Value) {
        let output = self.good("PutTargets", json!({"Rule": "pushes", "Targets": [target]})).await;
        assert_eq!(output["FailedEntryCount"], 0);
    }

    /// A topic that lets the rule publish, with one reader.
    async fn topic(&self) {
        self.sns.create_topic("notices").unwrap();
        let allow = json!({"Statement": [{"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sns:Publish", "Resource": TOPIC, "Condition": {"ArnEquals": {"aws:SourceArn": RULE}}}]});
        self.topic_policy(&allow).await;
        self.sns.subscribe(TOPIC, "email", "team@example.com", BTreeMap::new()).unwrap();
    }

    async fn topic_policy(&self, policy: &Value) {
        let parameters = crate::http::Parameters::of([
            ("TopicArn", TOPIC),
            ("AttributeName", "Policy"),
            ("AttributeValue", &policy.to_string()),
        ]);
        let caller = Caller { arn: String::new(), access_key_id: String::new() };
        self.sns.call("SetTopicAttributes", &parameters, &caller).await.unwrap();
    }
}

#[tokio::test]
async fn a_target_is_sent_what_its_input_says_and_lists_it() {
    let bench = bench();
    let transformer = json!({"InputPathsMap": {"commit": "$.detail.commitId"}, "InputTemplate": "\"pushed <commit> by <aws.events.rule-name>\""});
    let target = json!({"Id": "1", "Arn": QUEUE, "InputTransformer": transformer});
    bench.target(target.clone()).await;
    bench.push("aws.codecommit");
    assert_eq!(bench.received("trigger").await[0].body, "\"pushed c0ffee by pushes\"");
    assert_eq!(bench.good("ListTargetsByRule", json!({"Rule": "pushes"})).await["Targets"], json!([target]));

    bench.target(json!({"Id": "1", "Arn": QUEUE, "InputPath": "$.detail"})).await;
    bench.push("aws.codecommit");
    let body: Value = serde_json::from_str(&bench.received("trigger").await[0].body).unwrap();
    assert_eq!(body, json!({"commitId": "c0ffee", "event": "referenceUpdated"}));
}

#[tokio::test]
async fn a_topic_gets_events_only_from_a_rule_that_its_policy_names() {
    let bench = bench();
    bench.topic().await;
    bench.target(json!({"Id": "1", "Arn": TOPIC, "Input": "\"look\"", "DeadLetterConfig": {"Arn": DEAD}})).await;
    let published = bench.push("aws.codecommit");
    assert!(matches!(published.deliveries[0].outcome, Outcome::Delivered { .. }));
    assert_eq!(bench.sns.inbox()[0].body, "\"look\"");

    let other = json!({"Statement": [{"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sns:Publish", "Resource": TOPIC, "Condition": {"ArnEquals": {"aws:SourceArn": format!("{RULE}-x")}}}]});
    bench.topic_policy(&other).await;
    bench.push("aws.codecommit");
    let letter = bench.received("dead").await.remove(0);
    let attribute = |name: &str| letter.attributes[name].string_value.clone().unwrap();
    assert_eq!((attribute("ERROR_CODE"), attribute("TARGET_ARN")), ("NO_PERMISSIONS".to_owned(), TOPIC.to_owned()));
    assert!(attribute("ERROR_MESSAGE").contains("because no resource-based policy allows the SNS:Publish action"));
    assert!(letter.body.contains("c0ffee"), "a dead letter is the event itself: {}", letter.body);
    assert_eq!(bench.sns.inbox().len(), 1);
}

#[tokio::test]
async fn a_log_group_gets_a_line_an_event_and_must_be_there() {
    let bench = bench();
    bench.target(json!({"Id": "1", "Arn": GROUP, "InputPath": "$.detail.commitId"})).await;
    let lost = bench.push("aws.codecommit");
    assert!(matches!(&lost.deliveries[0].outcome, Outcome::Dropped { reason } if reason.ends_with("does not exist")));
    bench.logs.call("CreateLogGroup", json!({"logGroupName": "/aws/events/pushes"})).await.unwrap();
    bench.push("aws.codecommit");
    let lines: Vec<String> =
        bench.logs.events("/aws/events/pushes", "pushes").into_iter().map(|event| event.message).collect();
    assert_eq!(lines, ["\"c0ffee\""]);
}

#[tokio::test]
async fn chaos_drops_doubles_and_holds_back_what_goes_to_a_topic() {
    for (chaos, mails, waits) in [("drop", 0, false), ("duplicate", 2, false), ("delay", 1, true)] {
        let bench = bench();
        bench.topic().await;
        bench.target(json!({"Id": "1", "Arn": TOPIC})).await;
        bench.world.chaos.set(Some(format!("{chaos}=1").parse().unwrap()));
        let outcome = bench.push("aws.codecommit").deliveries[0].outcome.clone();
        let is_lost = matches!(&outcome, Outcome::Dropped { reason } if reason == "chaos dropped it");
        assert_eq!((is_lost, matches!(outcome, Outcome::Waiting { .. })), (mails == 0, waits), "{chaos}: {outcome:?}");
        if waits {
            assert!(bench.sns.inbox().is_empty());
            bench.bus.retry_due(bench.world.now() + jiff::SignedDuration::from_hours(1));
        }
        assert_eq!(bench.sns.inbox().len(), mails, "{chaos}");
    }
}

#[tokio::test]
async fn what_may_go_better_later_is_tried_again_with_growing_waits_also_after_a_restart() {
    let bench = bench();
    bench.topic().await;
    bench.target(json!({"Id": "1", "Arn": TOPIC, "DeadLetterConfig": {"Arn": DEAD}})).await;
    // A file where the folder of the mail should be: the disk refuses.
    let inbox = bench.dir.path().join("inbox");
    std::fs::remove_dir_all(&inbox).unwrap();
    std::fs::write(&inbox, "in the way").unwrap();
    let published = bench.push("aws.codecommit");
    assert!(matches!(published.deliveries[0].outcome, Outcome::Waiting { .. }), "{:?}", published.deliveries);
    let later = |seconds: i64| bench.world.now() + jiff::SignedDuration::from_secs(seconds);
    assert!(bench.bus.retry_due(bench.world.now()).is_some(), "it is not due yet");
    let after_first = bench.bus.retry_due(later(2)).unwrap();
    assert!(after_first > later(3).as_millisecond(), "the second wait is two seconds");
    assert!(bench.received("dead").await.is_empty());

    bench.bus.save().unwrap();
    let again = EventBridge::open(&bench.world, &bench.sqs).unwrap();
    again.delivers_to(&bench.sns, &bench.logs);
    std::fs::remove_file(&inbox).unwrap();
    assert_eq!(again.retry_due(later(60)), None);
    assert_eq!(bench.sns.inbox().len(), 1);
    assert!(bench.sns.inbox()[0].body.contains("c0ffee"));
}

#[tokio::test]
async fn a_retry_policy_ends_the_attempts_and_the_dead_letter_says_which_limit_did() {
    for (policy, condition, retries) in [
        (json!({"MaximumRetryAttempts": 2}), "MaximumRetryAttempts", "2"),
        (json!({"MaximumRetryAttempts": 0}), "MaximumRetryAttempts", "0"),
        (json!({"MaximumEventAgeInSeconds": 60}), "MaximumEventAgeInSeconds", "1"),
    ] {
        let bench = bench();
        bench.topic().await;
        bench.target(json!({"Id": "1", "Arn": TOPIC, "DeadLetterConfig": {"Arn": DEAD}, "RetryPolicy": policy})).await;
        std::fs::remove_dir_all(bench.dir.path().join("inbox")).unwrap();
        std::fs::write(bench.dir.path().join("inbox"), "in the way").unwrap();
        bench.push("aws.codecommit");
        let mut at = bench.world.now();
        for _ in 0..10 {
            at += jiff::SignedDuration::from_secs(120);
            bench.bus.retry_due(at);
        }
        let letter = bench.received("dead").await.remove(0);
        let attribute = |name: &str| letter.attributes[name].string_value.clone().unwrap();
        assert_eq!(attribute("EXHAUSTED_RETRY_CONDITION"), condition, "{policy}");
        assert_eq!(attribute("RETRY_ATTEMPTS"), retries, "{policy}");
        assert_eq!(attribute("ERROR_CODE"), "ERROR_FROM_TARGET");
    }
}

#[tokio::test]
async fn a_cron_rule_fires_on_its_minute_and_what_was_missed_is_not_made_up_for() {
    let bench = bench();
    bench.bus.remove_rule("pushes");
    bench.bus.put_schedule("pushes", "cron(0 12 * * ? *)", RuleState::Enabled).unwrap();
    bench.bus.put_target("pushes", "queue", QUEUE, None).unwrap();
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let noon = |day: u32| at(&format!("2026-11-{day}T12:00:00Z")).as_millisecond();
    assert_eq!(bench.bus.fire_due(at("2026-11-21T11:00:00Z")), Some(noon(21)));
    assert_eq!(bench.bus.fire_due(at("2026-11-21T12:00:00Z")), Some(noon(22)));
    assert_eq!(bench.received("trigger").await.len(), 1);
    assert_eq!(bench.bus.fire_due(at("2026-11-25T13:00:00Z")), Some(noon(26)));
    assert_eq!(bench.received("trigger").await.len(), 1);
}
