//! The service as callers see it: operations in, answers out.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::*;
use crate::auth::Caller;

struct Bench {
    sqs: Arc<Sqs>,
    world: Arc<World>,
    _dir: tempfile::TempDir,
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let world = Arc::new(World::new(dir.path().to_owned(), "eu-west-1", 1));
    world.listens_at("http://127.0.0.1:4566".to_owned());
    Bench { sqs: Arc::new(Sqs::open(&world).unwrap()), world, _dir: dir }
}

impl Bench {
    async fn call(&self, operation: &str, input: Value) -> Value {
        self.sqs.call(operation, input, &caller()).await.unwrap_or_else(|refused| panic!("{operation}: {refused}"))
    }

    async fn refusal(&self, operation: &str, input: Value) -> String {
        self.sqs.call(operation, input, &caller()).await.expect_err(operation).code
    }

    async fn queue(&self, name: &str, attributes: Value) -> String {
        let made = self.call("CreateQueue", json!({"QueueName": name, "Attributes": attributes})).await;
        made["QueueUrl"].as_str().unwrap().to_owned()
    }

    async fn receive(&self, url: &str) -> Vec<Value> {
        let input = json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "AttributeNames": ["All"],
                           "MessageAttributeNames": ["All"]});
        self.call("ReceiveMessage", input).await["Messages"].as_array().cloned().unwrap_or_default()
    }

    fn wait(&self, seconds: i64) {
        self.sqs.ahead.fetch_add(seconds * 1000, Ordering::Relaxed);
    }
}

fn caller() -> Caller {
    Caller { arn: "arn:aws:iam::111122223333:user/developer".to_owned(), access_key_id: "AKIA".to_owned() }
}

#[tokio::test]
async fn a_message_goes_in_and_comes_out_with_its_digests_and_attributes() {
    let bench = bench();
    let url = bench.queue("trigger", json!({})).await;
    assert_eq!(url, "http://127.0.0.1:4566/111122223333/trigger");
    let sent = bench
        .call(
            "SendMessage",
            json!({"QueueUrl": url, "MessageBody": "This is a test message",
                   "MessageAttributes": {"timestamp": {"DataType": "Number", "StringValue": "1493147359900"}}}),
        )
        .await;
    assert_eq!(sent["MD5OfMessageBody"], "fafb00f5732ab283681e124bf8747ed1");
    assert_eq!(sent["MD5OfMessageAttributes"], "235c5c510d26fb653d073faed50ae77c");

    let received = bench.receive(&url).await;
    assert_eq!(received[0]["MessageId"], sent["MessageId"]);
    assert_eq!(received[0]["MD5OfBody"], sent["MD5OfMessageBody"]);
    assert_eq!(received[0]["MD5OfMessageAttributes"], sent["MD5OfMessageAttributes"]);
    assert_eq!(received[0]["Attributes"]["ApproximateReceiveCount"], "1");
    assert!(received[0]["Attributes"]["SenderId"].as_str().unwrap().starts_with("AIDA"));
    assert!(bench.receive(&url).await.is_empty());

    bench.call("DeleteMessage", json!({"QueueUrl": url, "ReceiptHandle": received[0]["ReceiptHandle"]})).await;
    bench.wait(60);
    assert!(bench.receive(&url).await.is_empty());
}

#[tokio::test]
async fn attributes_are_given_only_when_asked_for() {
    let bench = bench();
    let url = bench.queue("q", json!({})).await;
    let attribute = json!({"DataType": "String", "StringValue": "x"});
    let input =
        json!({"QueueUrl": url, "MessageBody": "b", "MessageAttributes": {"repo.name": attribute, "other": attribute}});
    bench.call("SendMessage", input).await;
    let plain = bench.call("ReceiveMessage", json!({"QueueUrl": url, "VisibilityTimeout": 0})).await;
    assert!(
        plain["Messages"][0].get("Attributes").is_none() && plain["Messages"][0].get("MessageAttributes").is_none()
    );
    let input =
        json!({"QueueUrl": url, "MessageAttributeNames": ["repo.*"], "MessageSystemAttributeNames": ["SentTimestamp"]});
    let some = bench.call("ReceiveMessage", input).await;
    assert_eq!(some["Messages"][0]["MessageAttributes"].as_object().unwrap().keys().collect::<Vec<_>>(), ["repo.name"]);
    assert_eq!(some["Messages"][0]["Attributes"].as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn a_long_poll_wakes_at_once_when_a_message_arrives() {
    let bench = bench();
    let url = bench.queue("q", json!({})).await;
    let started = std::time::Instant::now();
    let poll = {
        let sqs = Arc::clone(&bench.sqs);
        let url = url.clone();
        tokio::spawn(async move { sqs.receive(&url, 10, Duration::from_secs(20)).await })
    };
    tokio::task::yield_now().await;
    bench.sqs.send("q", "hello", BTreeMap::new()).unwrap();
    let received = poll.await.unwrap().unwrap();
    assert_eq!(received[0].body, "hello");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_long_poll_sees_a_message_whose_visibility_runs_out_and_ends_with_its_queue() {
    let bench = bench();
    let url = bench.queue("q", json!({})).await;
    bench.sqs.send("q", "again", BTreeMap::new()).unwrap();
    bench.call("ReceiveMessage", json!({"QueueUrl": url, "VisibilityTimeout": 1})).await;
    let again = bench.sqs.receive("q", 1, Duration::from_secs(20)).await.unwrap();
    assert_eq!(again[0].system_attributes["ApproximateReceiveCount"], "2");

    let poll = {
        let sqs = Arc::clone(&bench.sqs);
        tokio::spawn(async move { sqs.receive("q", 1, Duration::from_secs(20)).await })
    };
    tokio::task::yield_now().await;
    bench.call("DeleteQueue", json!({"QueueUrl": url})).await;
    assert_eq!(poll.await.unwrap().unwrap_err().code, "QueueDoesNotExist");
}

#[tokio::test]
async fn a_message_received_too_often_goes_to_the_dead_letter_queue_and_can_be_sent_again() {
    let bench = bench();
    let dead = bench.queue("dead", json!({"MessageRetentionPeriod": "1000"})).await;
    let dead_arn = "arn:aws:sqs:eu-west-1:111122223333:dead";
    let redrive = json!({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 2}).to_string();
    let url = bench.queue("q", json!({"VisibilityTimeout": "10", "RedrivePolicy": redrive})).await;
    let sent = bench.call("SendMessage", json!({"QueueUrl": url, "MessageBody": "bad"})).await;
    let mut first_sent = Value::Null;
    for count in ["1", "2"] {
        let received = bench.receive(&url).await;
        assert_eq!(received[0]["Attributes"]["ApproximateReceiveCount"], count);
        first_sent = received[0]["Attributes"]["SentTimestamp"].clone();
        bench.wait(10);
    }
    assert!(bench.receive(&url).await.is_empty());

    let letter = bench.receive(&dead).await.remove(0);
    assert_eq!(letter["MessageId"], sent["MessageId"]);
    assert_eq!(letter["Attributes"]["SentTimestamp"], first_sent);
    assert_eq!(letter["Attributes"]["DeadLetterQueueSourceArn"], "arn:aws:sqs:eu-west-1:111122223333:q");
    let sources = bench.call("ListDeadLetterSourceQueues", json!({"QueueUrl": dead})).await;
    assert_eq!(sources["queueUrls"], json!([url]));

    let give_back = json!({"QueueUrl": dead, "ReceiptHandle": letter["ReceiptHandle"], "VisibilityTimeout": 0});
    bench.call("ChangeMessageVisibility", give_back).await;
    bench.call("StartMessageMoveTask", json!({"SourceArn": dead_arn})).await;
    let again = bench.receive(&url).await.remove(0);
    assert_ne!(again["MessageId"], sent["MessageId"]);
    assert_eq!(again["Attributes"]["ApproximateReceiveCount"], "1");
    let tasks = bench.call("ListMessageMoveTasks", json!({"SourceArn": dead_arn})).await;
    assert_eq!(tasks["Results"][0]["Status"], "COMPLETED");
    assert_eq!(tasks["Results"][0]["ApproximateNumberOfMessagesMoved"], 1);
    let not_dead = json!({"SourceArn": "arn:aws:sqs:eu-west-1:111122223333:q"});
    assert_eq!(bench.refusal("StartMessageMoveTask", not_dead).await, "InvalidParameterValue");
}

#[tokio::test]
async fn a_dead_letters_age_counts_from_its_first_enqueue() {
    let bench = bench();
    let dead = bench.queue("dead", json!({"MessageRetentionPeriod": "60"})).await;
    let redrive =
        json!({"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:111122223333:dead", "maxReceiveCount": 1}).to_string();
    let url = bench.queue("q", json!({"VisibilityTimeout": "50", "RedrivePolicy": redrive})).await;
    bench.call("SendMessage", json!({"QueueUrl": url, "MessageBody": "bad"})).await;
    bench.receive(&url).await;
    bench.wait(50);
    bench.receive(&url).await;
    assert_eq!(bench.sqs.counts("dead").unwrap().visible, 1);
    bench.wait(10);
    assert_eq!(bench.sqs.counts("dead").unwrap().visible, 0);
    assert!(bench.receive(&dead).await.is_empty());
}

#[tokio::test]
async fn a_batch_reports_each_entry_and_refuses_a_batch_that_is_none() {
    let bench = bench();
    let url = bench.queue("q", json!({})).await;
    let entries = json!([{"Id": "good", "MessageBody": "a"}, {"Id": "bad", "MessageBody": "\u{1}"},
                         {"Id": "late", "MessageBody": "b", "DelaySeconds": 5}]);
    let sent = bench.call("SendMessageBatch", json!({"QueueUrl": url, "Entries": entries})).await;
    assert_eq!(sent["Successful"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&sent["Failed"][0]["Id"], &sent["Failed"][0]["Code"]),
        (&json!("bad"), &json!("InvalidMessageContents"))
    );
    let counts = bench.sqs.counts("q").unwrap();
    assert_eq!((counts.visible, counts.delayed), (1, 1));

    let receipt = bench.receive(&url).await[0]["ReceiptHandle"].clone();
    let entries = json!([{"Id": "a", "ReceiptHandle": receipt, "VisibilityTimeout": 0}, {"Id": "b", "ReceiptHandle": "x", "VisibilityTimeout": 0}]);
    let changed = bench.call("ChangeMessageVisibilityBatch", json!({"QueueUrl": url, "Entries": entries})).await;
    assert_eq!(changed["Failed"][0]["Code"], "ReceiptHandleIsInvalid");
    let deleted = bench
        .call("DeleteMessageBatch", json!({"QueueUrl": url, "Entries": [{"Id": "a", "ReceiptHandle": receipt}]}))
        .await;
    assert_eq!(deleted, json!({"Successful": [{"Id": "a"}], "Failed": []}));
    assert_eq!(bench.sqs.counts("q").unwrap().visible, 0);

    let refusal =
        async |entries: Value| bench.refusal("SendMessageBatch", json!({"QueueUrl": url, "Entries": entries})).await;
    assert_eq!(refusal(json!([])).await, "EmptyBatchRequest");
    let twice = json!([{"Id": "a", "MessageBody": "a"}, {"Id": "a", "MessageBody": "a"}]);
    assert_eq!(refusal(twice).await, "BatchEntryIdsNotDistinct");
    assert_eq!(refusal(json!([{"Id": "a b", "MessageBody": "a"}])).await, "InvalidBatchEntryId");
    assert_eq!(refusal(json!(vec![json!({"Id": "a", "MessageBody": "a"}); 11])).await, "TooManyEntriesInBatchRequest");
    let huge =
        json!([{"Id": "a", "MessageBody": "a".repeat(600_000)}, {"Id": "b", "MessageBody": "a".repeat(600_000)}]);
    assert_eq!(refusal(huge).await, "BatchRequestTooLong");
}

#[tokio::test]
async fn queues_are_made_once_listed_in_pages_and_found_by_url_arn_and_name() {
    let bench = bench();
    for name in ["a", "b", "other"] {
        bench.queue(name, json!({"VisibilityTimeout": "5"})).await;
    }
    bench.queue("a", json!({"VisibilityTimeout": "5"})).await;
    let different = json!({"QueueName": "a", "Attributes": {"VisibilityTimeout": "6"}});
    assert_eq!(bench.refusal("CreateQueue", different).await, "QueueNameExists");

    let first = bench.call("ListQueues", json!({"MaxResults": 2})).await;
    let second = bench.call("ListQueues", json!({"MaxResults": 2, "NextToken": first["NextToken"]})).await;
    assert_eq!((first["QueueUrls"].as_array().unwrap().len(), second["QueueUrls"].as_array().unwrap().len()), (2, 1));
    assert_eq!(bench.refusal("ListQueues", json!({"NextToken": "forged"})).await, "InvalidParameterValue");
    let prefixed = bench.call("ListQueues", json!({"QueueNamePrefix": "o"})).await;
    assert_eq!(prefixed["QueueUrls"], json!(["http://127.0.0.1:4566/111122223333/other"]));

    for queue in ["a", "arn:aws:sqs:eu-west-1:111122223333:a", "http://127.0.0.1:1/111122223333/a"] {
        bench.sqs.counts(queue).unwrap();
    }
    for queue in ["none", "arn:aws:sqs:us-east-1:111122223333:a", "http://127.0.0.1:1/999999999999/a"] {
        assert_eq!(bench.sqs.counts(queue).unwrap_err().code, "QueueDoesNotExist", "{queue}");
    }
    assert_eq!(bench.refusal("GetQueueUrl", json!({"QueueName": "none"})).await, "QueueDoesNotExist");
}

#[tokio::test]
async fn attributes_have_awss_defaults_and_limits() {
    let bench = bench();
    let url = bench.queue("q", json!({"DelaySeconds": "1"})).await;
    let all = bench.call("GetQueueAttributes", json!({"QueueUrl": url, "AttributeNames": ["All"]})).await;
    let attributes = &all["Attributes"];
    assert_eq!(attributes["VisibilityTimeout"], "30");
    assert_eq!(attributes["MessageRetentionPeriod"], "345600");
    assert_eq!(attributes["DelaySeconds"], "1");
    assert_eq!(attributes["SqsManagedSseEnabled"], "true");
    assert_eq!(attributes["QueueArn"], "arn:aws:sqs:eu-west-1:111122223333:q");
    assert!(attributes.get("Policy").is_none());

    let set = async |attributes: Value| {
        bench.sqs.call("SetQueueAttributes", json!({"QueueUrl": url, "Attributes": attributes}), &caller()).await
    };
    for (name, value) in
        [("VisibilityTimeout", "43201"), ("Policy", "{"), ("RedrivePolicy", "{}"), ("DelaySeconds", "x")]
    {
        assert_eq!(set(json!({ name: value })).await.unwrap_err().code, "InvalidAttributeValue", "{name}");
    }
    let nowhere = json!({"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:111122223333:none", "maxReceiveCount": "3"});
    assert_eq!(set(json!({"RedrivePolicy": nowhere.to_string()})).await.unwrap_err().code, "InvalidParameterValue");
    let itself = json!({"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:111122223333:q", "maxReceiveCount": "3"});
    assert_eq!(set(json!({"RedrivePolicy": itself.to_string()})).await.unwrap_err().code, "InvalidParameterValue");
    assert_eq!(set(json!({"Colour": "red"})).await.unwrap_err().code, "InvalidAttributeName");
    set(json!({"VisibilityTimeout": "7"})).await.unwrap();
    let one = bench.call("GetQueueAttributes", json!({"QueueUrl": url, "AttributeNames": ["VisibilityTimeout"]})).await;
    assert_eq!(one, json!({"Attributes": {"VisibilityTimeout": "7"}}));
}

#[tokio::test]
async fn what_is_not_supported_is_refused_loudly() {
    let bench = bench();
    let url = bench.queue("q", json!({})).await;
    assert_eq!(bench.refusal("CreateQueue", json!({"QueueName": "q.fifo"})).await, "UnsupportedOperation");
    let fifo = json!({"QueueName": "f", "Attributes": {"FifoQueue": "true"}});
    assert_eq!(bench.refusal("CreateQueue", fifo).await, "UnsupportedOperation");
    let group = json!({"QueueUrl": url, "MessageBody": "b", "MessageGroupId": "g"});
    assert_eq!(bench.refusal("SendMessage", group).await, "SerializationException");
    assert_eq!(bench.refusal("AddPermission", json!({"QueueUrl": url})).await, "UnknownOperationException");
    assert_eq!(bench.refusal("SendMessage", json!({"QueueUrl": url})).await, "MissingParameter");
    let too_many = json!({"QueueUrl": url, "MaxNumberOfMessages": 11});
    assert_eq!(bench.refusal("ReceiveMessage", too_many).await, "InvalidParameterValue");
    let other_receipt = json!({"QueueUrl": url, "ReceiptHandle": "x"});
    assert_eq!(bench.refusal("DeleteMessage", other_receipt).await, "ReceiptHandleIsInvalid");
}

#[tokio::test]
async fn a_service_may_send_only_if_the_queues_policy_lets_it() {
    let bench = bench();
    let arn = bench.sqs.create_queue("q", &BTreeMap::new()).unwrap();
    let rule = "arn:aws:events:eu-west-1:111122223333:rule/pushes";
    let send = || bench.sqs.send_for_service(&arn, "events.amazonaws.com", rule, "b", BTreeMap::new());
    assert!(matches!(send(), Err(Undeliverable::NotAllowed { .. })));
    let policy = json!({"Statement": [{"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"},
                        "Action": "sqs:SendMessage", "Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": rule}}}]});
    bench.sqs.set_attributes("q", &BTreeMap::from([("Policy".to_owned(), policy.to_string())])).unwrap();
    send().unwrap();
    bench.sqs.delete_queue("q").unwrap();
    assert!(matches!(send(), Err(Undeliverable::NoSuchQueue { .. })));
}

#[tokio::test]
async fn queues_and_messages_are_there_again_after_a_restart() {
    let bench = bench();
    let url = bench.queue("q", json!({"VisibilityTimeout": "90"})).await;
    bench.call("SendMessage", json!({"QueueUrl": url, "MessageBody": "kept"})).await;
    assert_eq!(bench.receive(&url).await.len(), 1);
    bench.sqs.save().unwrap();
    let again = Sqs::open(&bench.world).unwrap();
    let received = again.receive("q", 10, Duration::ZERO).await.unwrap();
    assert_eq!(received[0].body, "kept");
    assert_eq!(received[0].system_attributes["ApproximateReceiveCount"], "2");
}

#[tokio::test]
async fn a_queue_is_brought_to_exactly_the_attributes_that_are_wanted() {
    let bench = bench();
    let wanted = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    bench.sqs.ensure_queue("q", &wanted("DelaySeconds", "5")).unwrap();
    bench.sqs.send("q", "kept", BTreeMap::new()).unwrap();
    bench.sqs.ensure_queue("q", &wanted("VisibilityTimeout", "9")).unwrap();
    let set = bench
        .sqs
        .with("q", |queue| (queue.attributes.number("DelaySeconds"), queue.attributes.number("VisibilityTimeout")));
    assert_eq!(set.unwrap(), (0, 9));
    assert_eq!(bench.sqs.counts("q").unwrap().delayed, 1);
}

#[tokio::test]
async fn an_accepted_message_outlives_a_killed_process_and_comes_once() {
    let bench = bench();
    let url = bench.queue("q", json!({})).await;
    bench.call("SendMessage", json!({"QueueUrl": url, "MessageBody": "saved"})).await;
    bench.sqs.save().unwrap();
    let journal = bench.world.dir.join("state/sqs.journal");
    assert_eq!(std::fs::read(&journal).unwrap(), b"", "what is in the state is in no journal");
    for number in 0..3 {
        bench.call("SendMessage", json!({"QueueUrl": url, "MessageBody": format!("journal {number}")})).await;
    }
    bench.call("SendMessage", json!({"QueueUrl": url, "MessageBody": "late", "DelaySeconds": 600})).await;
    let mut written = std::fs::read(&journal).unwrap();
    written.extend_from_slice(b"{\"queue\":\"q\",\"ma");
    std::fs::write(&journal, &written).unwrap();

    let bodies = async |sqs: &Sqs| {
        let received = sqs.receive("q", 10, Duration::ZERO).await.unwrap();
        received.into_iter().map(|message| message.body).collect::<Vec<_>>()
    };
    let again = Sqs::open(&bench.world).unwrap();
    assert_eq!(bodies(&again).await, ["saved", "journal 0", "journal 1", "journal 2"]);
    assert_eq!(again.counts("q").unwrap().delayed, 1);
    again.save().unwrap();
    // A process that was killed between the state and the journal leaves both.
    std::fs::write(&journal, &written).unwrap();
    let third = Sqs::open(&bench.world).unwrap();
    assert_eq!(bodies(&third).await.len(), 4);

    third.delete_queue("q").unwrap();
    third.create_queue("q", &BTreeMap::new()).unwrap();
    std::fs::write(&journal, &written).unwrap();
    let fourth = Sqs::open(&bench.world).unwrap();
    assert!(bodies(&fourth).await.is_empty(), "another queue has the name now");
}

#[tokio::test]
async fn on_a_full_disk_a_sender_is_told_to_try_again_and_an_event_is_kept() {
    let mut bench = bench();
    let arn = "arn:aws:sqs:eu-west-1:111122223333:q";
    let rule = "arn:aws:events:eu-west-1:111122223333:rule/r";
    let policy = json!({ "Statement": { "Effect": "Allow", "Principal": { "Service": "events.amazonaws.com" },
                                        "Action": "sqs:SendMessage", "Resource": arn } });
    let url = bench.queue("q", json!({ "Policy": policy.to_string() })).await;
    // Whatever is written to it finds no space left on the device.
    let full = std::fs::OpenOptions::new().append(true).open("/dev/full").unwrap();
    Arc::get_mut(&mut bench.sqs).unwrap().journal = Journal::on(full);
    let sent = bench.sqs.call("SendMessage", json!({ "QueueUrl": url, "MessageBody": "told" }), &caller()).await;
    let refused = sent.unwrap_err();
    assert_eq!((refused.status, refused.code.as_str()), (500, "InternalFailure"));
    assert!(refused.message.contains("No space left"), "{refused}");
    bench.sqs.send_for_service(arn, "events.amazonaws.com", rule, "event", BTreeMap::new()).unwrap();
    let there: Vec<Value> = bench.receive(&url).await.iter().map(|message| message["Body"].clone()).collect();
    assert_eq!(there, ["event"], "what was refused is not there");
}
