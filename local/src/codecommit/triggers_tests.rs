//! Repository triggers, over real pushes and a topic that mails.

use serde_json::{Value, json};

use super::testing::Site;

const PEOPLE: &str = "people@example.com";

/// What triggers sent by mail, each as its one record.
fn sent(site: &Site) -> Vec<Value> {
    let inbox = site.running.cloud.sns.inbox();
    let mails = inbox.iter().filter(|mail| mail.subject == "UPDATE: AWS CodeCommit eu-west-1 push: demo");
    let text = |body: &str| body.split("\n\n--").next().unwrap().to_owned();
    let records = mails.map(|mail| {
        serde_json::from_str::<Value>(&text(&mail.body)).unwrap_or_else(|error| panic!("{error}: {}", mail.body))
    });
    records
        .map(|message| {
            assert_eq!(message["Records"].as_array().unwrap().len(), 1);
            message["Records"][0].clone()
        })
        .collect()
}

fn trigger(name: &str, topic: &str, branches: &[&str], events: &[&str]) -> Value {
    json!({ "name": name, "destinationArn": topic, "customData": "for the team", "branches": branches, "events": events })
}

async fn put(site: &Site, triggers: &[Value]) -> Value {
    site.call("PutRepositoryTriggers", json!({ "repositoryName": "demo", "triggers": triggers })).await.unwrap()
}

fn topic(site: &Site) -> String {
    let sns = &site.running.cloud.sns;
    let topic = sns.create_topic("pushes").unwrap();
    sns.subscribe(&topic, "email", PEOPLE, std::collections::BTreeMap::new()).unwrap();
    topic
}

#[tokio::test]
async fn a_push_calls_the_triggers_that_want_it_with_what_moved() {
    let site = Site::with_demo().await;
    let topic = topic(&site);
    let none = site.call("GetRepositoryTriggers", json!({ "repositoryName": "demo" })).await.unwrap();
    assert_eq!(none, json!({ "triggers": [] }));
    let all = trigger("all", &topic, &[], &["all"]);
    let put_id = put(&site, &[all.clone(), trigger("main", &topic, &["main"], &["updateReference"])]).await;
    let there = site.call("GetRepositoryTriggers", json!({ "repositoryName": "demo" })).await.unwrap();
    assert_eq!((&there["configurationId"], &there["triggers"][0]), (&put_id["configurationId"], &all));

    let tree = site.work_tree("tree").await;
    let one = tree.commit("a", "1").await;
    tree.git(&["push", "-q", "origin", "main", "main:refs/heads/topic", "main:refs/tags/v1"]).await;
    let first = sent(&site);
    assert_eq!(first.len(), 1, "{first:?}");
    assert_eq!(
        (&first[0]["eventTriggerName"], &first[0]["eventName"], &first[0]["customData"]),
        (&json!("all"), &json!("ReferenceChange"), &json!("for the team"))
    );
    let references = first[0]["codecommit"]["references"].as_array().unwrap();
    assert_eq!(references.len(), 3, "{first:?}");
    assert!(references.contains(&json!({ "commit": one, "created": true, "ref": "refs/heads/topic" })), "{first:?}");
    assert_eq!(first[0]["eventSourceARN"], "arn:aws:codecommit:eu-west-1:111122223333:demo");
    assert_eq!(first[0]["userIdentityARN"], "arn:aws:iam::111122223333:user/developer");
    assert_eq!(first[0]["eventTriggerConfigId"], put_id["configurationId"]);

    let two = tree.commit("a", "2").await;
    tree.git(&["push", "-q", "origin", "main", ":refs/heads/topic"]).await;
    let later = sent(&site).split_off(1);
    let of = |name: &str| {
        later.iter().find(|record| record["eventTriggerName"] == name).unwrap()["codecommit"]["references"].clone()
    };
    assert_eq!((later.len(), of("main")), (2, json!([{ "commit": two, "ref": "refs/heads/main" }])));
    assert!(
        of("all").as_array().unwrap().contains(&json!({ "commit": one, "deleted": true, "ref": "refs/heads/topic" }))
    );

    // An empty list takes all of them away.
    put(&site, &[]).await;
    tree.commit("a", "3").await;
    tree.git(&["push", "-q", "origin", "main"]).await;
    assert_eq!(sent(&site).len(), 3);
}

#[tokio::test]
async fn a_test_says_which_triggers_were_called_and_why_others_were_not() {
    let site = Site::with_demo().await;
    let topic = topic(&site);
    let gone = format!("{topic}-gone");
    let triggers = [trigger("good", &topic, &[], &["all"]), trigger("bad", &gone, &[], &["all"])];
    let input = json!({ "repositoryName": "demo", "triggers": triggers });
    let tested = site.call("TestRepositoryTriggers", input).await.unwrap();
    assert_eq!(tested["successfulExecutions"], json!(["good"]));
    assert_eq!(tested["failedExecutions"][0]["trigger"], "bad");
    assert!(!tested["failedExecutions"][0]["failureMessage"].as_str().unwrap().is_empty(), "{tested}");
    let sent = sent(&site);
    assert_eq!((sent.len(), &sent[0]["eventName"]), (1, &json!("TriggerEventTest")));
    // What is tested is not kept.
    let there = site.call("GetRepositoryTriggers", json!({ "repositoryName": "demo" })).await.unwrap();
    assert_eq!(there["triggers"], json!([]));
    // Triggers end with their repository.
    put(&site, &triggers).await;
    site.call("DeleteRepository", json!({ "repositoryName": "demo" })).await.unwrap();
    site.call("CreateRepository", json!({ "repositoryName": "demo" })).await.unwrap();
    let there = site.call("GetRepositoryTriggers", json!({ "repositoryName": "demo" })).await.unwrap();
    assert_eq!(there["triggers"], json!([]));
}

#[tokio::test]
async fn a_trigger_that_codecommit_does_not_take_is_refused_by_its_own_code() {
    let site = Site::with_demo().await;
    let topic = "arn:aws:sns:eu-west-1:111122223333:pushes";
    let with = |key: &str, value: Value| {
        let mut trigger = trigger("one", topic, &["main"], &["all"]);
        trigger[key] = value;
        vec![trigger]
    };
    let branches: Vec<String> = (0..11).map(|number| format!("b{number}")).collect();
    let many: Vec<Value> = (0..11).map(|number| trigger(&format!("t{number}"), topic, &[], &["all"])).collect();
    for (triggers, code) in [
        (many, "MaximumRepositoryTriggersExceededException"),
        (with("name", Value::Null), "RepositoryTriggerNameRequiredException"),
        (with("name", json!("two words")), "InvalidRepositoryTriggerNameException"),
        (with("name", json!("x".repeat(101))), "InvalidRepositoryTriggerNameException"),
        (vec![trigger("one", topic, &[], &["all"]); 2], "InvalidRepositoryTriggerNameException"),
        (with("destinationArn", Value::Null), "RepositoryTriggerDestinationArnRequiredException"),
        (with("destinationArn", json!("pushes")), "InvalidRepositoryTriggerDestinationArnException"),
        (
            with("destinationArn", json!("arn:aws:lambda:eu-west-1:111122223333:function:x")),
            "InvalidRepositoryTriggerDestinationArnException",
        ),
        (
            with("destinationArn", json!("arn:aws:sns:us-east-1:111122223333:pushes")),
            "InvalidRepositoryTriggerRegionException",
        ),
        (with("customData", json!("x".repeat(1_001))), "InvalidRepositoryTriggerCustomDataException"),
        (with("branches", Value::Null), "RepositoryTriggerBranchNameListRequiredException"),
        (with("branches", json!(branches)), "MaximumBranchesExceededException"),
        (with("branches", json!(["a b"])), "InvalidRepositoryTriggerBranchNameException"),
        (with("branches", json!(["x".repeat(257)])), "InvalidRepositoryTriggerBranchNameException"),
        (with("events", Value::Null), "RepositoryTriggerEventsListRequiredException"),
        (with("events", json!(["all", "updateReference"])), "InvalidRepositoryTriggerEventsException"),
        (with("events", json!(["push"])), "InvalidRepositoryTriggerEventsException"),
    ] {
        for operation in ["PutRepositoryTriggers", "TestRepositoryTriggers"] {
            let input = json!({ "repositoryName": "demo", "triggers": triggers });
            assert_eq!(site.refused(operation, input).await, code, "{operation}");
        }
    }
    for (input, code) in [
        (json!({ "repositoryName": "demo" }), "RepositoryTriggersListRequiredException"),
        (json!({ "triggers": [] }), "RepositoryNameRequiredException"),
        (json!({ "repositoryName": "none", "triggers": [] }), "RepositoryDoesNotExistException"),
    ] {
        assert_eq!(site.refused("PutRepositoryTriggers", input).await, code);
    }
}
