//! Copies that cannot be made equal, told by the replicator over the bus and mailed by the notifier.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use signalbox_aws::{Aws, AwsEnvironment, Bus, Entry, Failure};
use signalbox_glue::{Handle, Handled};
use signalbox_notifier::Notifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::world::{World, commit, git, policy, set};

const KIND: &str = "Signalbox Replica State Change";

impl World {
    /// What was put on the bus since this was asked last.
    async fn put(&mut self) -> Vec<Value> {
        self.ground.events(KIND).await
    }

    async fn notified(&self, event: &Value) -> Handled {
        let notifier = Notifier::new(&self.ground.setup("notifier").unwrap());
        notifier.handle(event.to_string().as_bytes(), self.ground.invocation()).await.unwrap()
    }

    /// Hands over what was put; gives the subjects of all mail so far.
    async fn mailed(&mut self) -> Vec<String> {
        for event in self.put().await {
            let handled = self.notified(&event).await;
            assert!(matches!(handled, Handled::Reported(_)), "{handled:?}");
        }
        self.ground.cloud().sns.inbox().iter().map(|mail| mail.subject.clone()).collect()
    }
}

/// A copy whose main has a commit of its own.
async fn diverged() -> World {
    let world = World::new("{ to: codecommit://us-east-1/demo }").await;
    let (here, there) = (world.here(), world.make_there("demo").await);
    let one = commit(&here, "one", &[]);
    set(&here, "refs/heads/main", &one);
    set(&here, "refs/heads/next", &one);
    world.copied().await;
    set(&there, "refs/heads/main", &commit(&there, "theirs", &[&one]));
    set(&here, "refs/heads/main", &commit(&here, "ours", &[&one]));
    world
}

#[tokio::test]
async fn a_copy_that_cannot_be_made_equal_is_mailed_once_when_it_changes_and_when_it_is_over() {
    let mut world = diverged().await;
    let (here, there) = (world.here(), world.there("demo"));
    world.refused().await;
    let fails = "copy of demo in us-east-1 cannot be made equal";
    assert_eq!(world.mailed().await, [fails]);
    let mail = world.ground.cloud().sns.inbox().remove(0);
    let first = mail.body.lines().next().unwrap();
    assert!(first.starts_with("Push that commit to the source or reset the copy"), "{}", mail.body);
    for said in ["refs/heads/main diverged: the copy is at", "Failing    since", "Equal      last made so"] {
        assert!(mail.body.contains(said), "{said}: {}", mail.body);
    }
    let attribute = |name: &str| mail.attributes.get(name).map(|value| value.text().to_owned());
    assert_eq!(attribute("topic").as_deref(), Some("replica.failed"));
    assert_eq!(attribute("target").as_deref(), Some("codecommit://us-east-1/demo"));
    assert_eq!((attribute("ref"), attribute("project")), (None, None));

    // Another push and two sweeps meet the same divergence, wherever the source is by then.
    set(&here, "refs/heads/main", &commit(&here, "more", &[&git(&here, &["rev-parse", "refs/heads/main"])]));
    world.refused().await;
    world.sweep().await;
    world.sweep().await;
    assert_eq!(world.mailed().await.len(), 1);

    set(&there, "refs/heads/next", &commit(&there, "theirs, too", &[]));
    world.sweep().await;
    let still = "copy of demo in us-east-1 still cannot be made equal";
    assert_eq!(world.mailed().await, [fails, still]);

    for name in ["main", "next"] {
        set(&there, &format!("refs/heads/{name}"), &git(&there, &["rev-list", "--max-parents=0", "refs/heads/main"]));
    }
    world.copied().await;
    let equal = "copy of demo in us-east-1 is equal again";
    assert_eq!(world.mailed().await, [fails, still, equal]);
    world.copied().await;
    world.sweep().await;
    assert_eq!(world.mailed().await.len(), 3);
}

#[tokio::test]
async fn what_is_put_twice_is_mailed_once_and_what_could_not_be_put_is_put_later() {
    let mut world = diverged().await;
    world.refused().await;
    let put = world.put().await;
    assert_eq!(put.len(), 1);
    assert!(matches!(world.notified(&put[0]).await, Handled::Reported(_)));
    // Whoever was cut off before it wrote down that people were told tells them again: another event, the same notice.
    let bucket = world.ground.stage.bucket().unwrap().to_owned();
    let (key, mut memory) = world.ground.objects("state/replicas/").unwrap().into_iter().next().unwrap();
    assert!(memory.as_object_mut().unwrap().remove("told").is_some(), "{memory}");
    world.ground.cloud().s3.put(&bucket, &key, memory.to_string().as_bytes()).unwrap();
    world.sweep().await;
    let again = world.put().await;
    assert_eq!(again.len(), 1);
    assert_ne!(again[0]["id"], put[0]["id"]);
    assert_eq!(again[0]["detail"]["notice"], put[0]["detail"]["notice"]);
    assert_eq!(world.notified(&again[0]).await, Handled::Before);
    assert_eq!(world.ground.cloud().sns.inbox().len(), 1);
    assert!(world.memory()["told"]["demo"]["mark"].is_string());
}

#[tokio::test]
async fn news_that_comes_late_is_no_news() {
    let mut world = diverged().await;
    world.refused().await;
    let there = world.there("demo");
    let failed = world.put().await.remove(0);
    set(&there, "refs/heads/main", &git(&there, &["rev-list", "--max-parents=0", "refs/heads/main"]));
    world.copied().await;
    let equal = world.put().await.remove(0);
    assert!(matches!(world.notified(&equal).await, Handled::Reported(_)));
    let Handled::Reported(report) = world.notified(&failed).await else { panic!("not reported") };
    assert_eq!(report.verdict, "silent", "{report:?}");
    assert!(report.reasons[0].starts_with("it comes late"), "{report:?}");
    assert_eq!(world.ground.cloud().sns.inbox().len(), 1);
}

#[tokio::test]
async fn who_hears_of_copies_is_for_the_policy_to_say_and_observing_tells_nobody() {
    let mut world = diverged().await;
    let replica = "{ to: codecommit://us-east-1/demo }";
    world.ground.policy(&policy(replica).replace("enforce", "observe")).unwrap();
    world.copied().await;
    assert_eq!(world.put().await, Vec::<Value>::new());
    let rules = "    notifications:\n      - { about: [build.*], to: [team-demo] }\n";
    world.ground.policy(&format!("{}{rules}", policy(replica))).unwrap();
    world.refused().await;
    assert_eq!(world.mailed().await, Vec::<String>::new());
    let rules = "    notifications:\n      - { about: [replica.*], to: [team-demo] }\n";
    world.ground.policy(&format!("{}{rules}", policy(replica))).unwrap();
    let there = world.there("demo");
    set(&there, "refs/heads/main", &git(&there, &["rev-list", "--max-parents=0", "refs/heads/main"]));
    world.copied().await;
    assert_eq!(world.mailed().await, ["copy of demo in us-east-1 is equal again"]);
    let mail = world.ground.cloud().sns.inbox().remove(0);
    assert_eq!(mail.attributes["to"].text(), r#"["team-demo"]"#);
}

#[tokio::test]
async fn the_bus_brings_it_into_the_notifiers_queue_and_no_other_stacks() {
    let world = diverged().await;
    world.refused().await;
    let queue = world.ground.stage.function("notifier");
    let there = |ground: &signalbox_tests::Ground| Ok((ground.cloud().sqs.counts(&queue)?.visible == 1).then_some(()));
    world.ground.until("the event in the queue", there).await.unwrap();
    let message = world.ground.cloud().sqs.receive(&queue, 10, Duration::ZERO).await.unwrap().remove(0);
    let event: Value = serde_json::from_str(&message.body).unwrap();
    assert_eq!(event["detail"]["stack"], "signalbox");
    let entry = |stack: &str| {
        let mut detail = event["detail"].clone();
        detail["stack"] = json!(stack);
        json!({ "Entries": [{ "Source": "signalbox", "DetailType": KIND, "Detail": detail.to_string() }] })
    };
    let (bus, caller) = (&world.ground.cloud().eventbridge, world.ground.developer());
    for stack in ["another", "signalbox"] {
        bus.call("PutEvents", entry(stack), &caller).await.unwrap();
    }
    world.ground.until("the second event", there).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.ground.cloud().sqs.counts(&queue).unwrap().visible, 1);
}

/// The role may say nothing else: neither as somebody else nor of another kind.
#[tokio::test]
async fn the_replicator_may_put_its_own_kind_of_event_only() {
    let world = World::new("{ to: codecommit://us-east-1/demo }").await;
    let put = async |function: &str, source: &str, detail_type: &str| {
        let bus = Bus::new(&world.ground.aws(function));
        let (resources, time, detail) = (Vec::new(), Timestamp::now(), "{}".to_owned());
        bus.put(Entry { source, detail_type, resources, time, detail }).await
    };
    assert!(put("replicator", "signalbox", KIND).await.is_ok());
    for (function, source, kind) in [
        ("replicator", "somebody", KIND),
        ("replicator", "signalbox", "Signalbox Protection State Change"),
        ("trigger", "signalbox", KIND),
        ("notifier", "signalbox", KIND),
    ] {
        let refused = put(function, source, kind).await.unwrap_err();
        assert!(matches!(refused, Failure::Refused(_)) && refused.is_forbidden(), "{function} {source}: {refused}");
    }
}

/// The call goes well, and its entry does not.
#[tokio::test]
async fn an_entry_that_is_not_taken_is_a_failure_though_the_call_went_well() {
    for (code, comes_again) in [("ThrottlingException", true), ("InternalFailure", true), ("MalformedDetail", false)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let get = |name: &str| Some(if name == "AWS_ENDPOINT_URL" { endpoint.clone() } else { "x".to_owned() });
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut caller, _)) = listener.accept().await {
                let mut bytes = [0; 8_192];
                let _some = caller.read(&mut bytes).await;
                counted.fetch_add(1, Ordering::SeqCst);
                let body =
                    json!({ "FailedEntryCount": 1, "Entries": [{ "ErrorCode": code, "ErrorMessage": "said so" }] });
                let body = body.to_string();
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nConnection: close";
                let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                let _sent = caller.write_all(answer.as_bytes()).await;
            }
        });
        let bus = Bus::new(&Aws::new(AwsEnvironment::read(get).unwrap()));
        let (resources, time, detail) = (Vec::new(), Timestamp::now(), "{}".to_owned());
        let entry = Entry { source: "signalbox", detail_type: KIND, resources, time, detail };
        let failure = bus.put(entry).await.unwrap_err();
        assert_eq!(matches!(failure, Failure::Retry(_)), comes_again, "{failure}");
        assert!(failure.to_string().contains(code), "{failure}");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
}
