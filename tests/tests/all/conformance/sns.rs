//! SNS's script.

use serde_json::{Value, json};

use super::run::{Known, Run};

const KNOWN: Known = Known {
    // docs.aws.amazon.com/sns/latest/api/CommonErrors.html
    common: &[("ValidationError", 400)],
    always: &[
        ("CreateTopic", "/TopicArn"),
        ("ListTopics", "/Topics/0/TopicArn"),
        ("GetTopicAttributes", "/Attributes/TopicArn"),
        ("GetTopicAttributes", "/Attributes/Owner"),
        ("GetTopicAttributes", "/Attributes/Policy"),
        ("GetTopicAttributes", "/Attributes/DisplayName"),
        ("GetTopicAttributes", "/Attributes/SubscriptionsConfirmed"),
        ("GetTopicAttributes", "/Attributes/SubscriptionsPending"),
        ("GetTopicAttributes", "/Attributes/SubscriptionsDeleted"),
        ("Subscribe", "/SubscriptionArn"),
        ("ListSubscriptions", "/Subscriptions/0/SubscriptionArn"),
        ("ListSubscriptions", "/Subscriptions/0/Owner"),
        ("ListSubscriptions", "/Subscriptions/0/Protocol"),
        ("ListSubscriptions", "/Subscriptions/0/Endpoint"),
        ("ListSubscriptions", "/Subscriptions/0/TopicArn"),
        ("GetSubscriptionAttributes", "/Attributes/SubscriptionArn"),
        ("GetSubscriptionAttributes", "/Attributes/TopicArn"),
        ("GetSubscriptionAttributes", "/Attributes/Owner"),
        ("GetSubscriptionAttributes", "/Attributes/Protocol"),
        ("GetSubscriptionAttributes", "/Attributes/Endpoint"),
        ("GetSubscriptionAttributes", "/Attributes/PendingConfirmation"),
        ("GetSubscriptionAttributes", "/Attributes/ConfirmationWasAuthenticated"),
        ("GetSubscriptionAttributes", "/Attributes/RawMessageDelivery"),
        ("Publish", "/MessageId"),
        ("PublishBatch", "/Successful/0/MessageId"),
        ("PublishBatch", "/Failed"),
    ],
    taken: &[],
};

#[tokio::test]
async fn sns_answers_as_its_model_says() {
    let Some(mut run) = Run::of("sns", KNOWN).await else { return };
    let made = run.good("CreateTopic", json!({ "Name": "news", "Attributes": { "DisplayName": "News" } })).await;
    let topic = made["TopicArn"].as_str().unwrap_or_default().to_owned();
    let none = topic.replace(":news", ":none");
    run.refused("CreateTopic", json!({ "Name": "a b" }), "InvalidParameter").await;
    run.refused("CreateTopic", json!({ "Name": "x", "Attributes": { "NoSuch": "x" } }), "InvalidParameter").await;
    run.good("ListTopics", json!({})).await;
    run.refused("ListTopics", json!({ "NextToken": "forged" }), "InvalidParameter").await;
    run.good("GetTopicAttributes", json!({ "TopicArn": topic })).await;
    run.refused("GetTopicAttributes", json!({ "TopicArn": none }), "NotFound").await;
    run.refused("GetTopicAttributes", json!({ "TopicArn": "x" }), "InvalidParameter").await;
    run.good(
        "SetTopicAttributes",
        json!({ "TopicArn": topic, "AttributeName": "DisplayName", "AttributeValue": "New <&> old" }),
    )
    .await;
    run.plain("GetTopicAttributes", json!({ "TopicArn": topic })).await;
    run.refused(
        "SetTopicAttributes",
        json!({ "TopicArn": none, "AttributeName": "DisplayName", "AttributeValue": "x" }),
        "NotFound",
    )
    .await;

    let queue = run.ground.cloud().world.arn("sqs", "some-queue");
    let subscribe = json!({ "TopicArn": topic, "Protocol": "sqs", "Endpoint": queue,
        "Attributes": { "FilterPolicy": "{\"to\":[\"a\"]}", "RawMessageDelivery": "true" }, "ReturnSubscriptionArn": true });
    let made = run.good("Subscribe", subscribe).await;
    let one = made["SubscriptionArn"].as_str().unwrap_or_default().to_owned();
    run.plain("Subscribe", json!({ "TopicArn": topic, "Protocol": "email", "Endpoint": "a@example.com" })).await;
    run.refused("Subscribe", json!({ "TopicArn": topic, "Protocol": "pigeon", "Endpoint": "x" }), "InvalidParameter")
        .await;
    run.refused("Subscribe", json!({ "TopicArn": none, "Protocol": "email", "Endpoint": "a@example.com" }), "NotFound")
        .await;
    run.refused(
        "Subscribe",
        json!({ "TopicArn": topic, "Protocol": "email", "Endpoint": "no address" }),
        "InvalidParameter",
    )
    .await;
    run.good("ListSubscriptions", json!({})).await;
    run.refused("ListSubscriptions", json!({ "NextToken": "forged" }), "InvalidParameter").await;
    run.good("ListSubscriptionsByTopic", json!({ "TopicArn": topic })).await;
    run.refused("ListSubscriptionsByTopic", json!({ "TopicArn": none }), "NotFound").await;
    run.good("GetSubscriptionAttributes", json!({ "SubscriptionArn": one })).await;
    run.refused("GetSubscriptionAttributes", json!({ "SubscriptionArn": one.replace(":news:", ":none:") }), "NotFound")
        .await;
    run.good(
        "SetSubscriptionAttributes",
        json!({ "SubscriptionArn": one, "AttributeName": "RawMessageDelivery", "AttributeValue": "false" }),
    )
    .await;
    run.refused(
        "SetSubscriptionAttributes",
        json!({ "SubscriptionArn": one, "AttributeName": "FilterPolicy", "AttributeValue": "x" }),
        "InvalidParameter",
    )
    .await;
    let asked = run.ground.cloud().sns.inbox().into_iter().find(|mail| mail.body.contains("Token=")).unwrap();
    let token = asked.body.split("Token=").nth(1).and_then(|rest| rest.split('&').next()).unwrap().to_owned();
    run.good("ConfirmSubscription", json!({ "TopicArn": topic, "Token": token })).await;
    run.refused("ConfirmSubscription", json!({ "TopicArn": topic, "Token": "x" }), "InvalidParameter").await;
    run.refused("ConfirmSubscription", json!({ "TopicArn": none, "Token": "x" }), "NotFound").await;

    let attributes = json!({ "to": { "DataType": "String", "StringValue": "a" }, "b": { "DataType": "Binary", "BinaryValue": "AQI=" } });
    let publish =
        json!({ "TopicArn": topic, "Message": "text", "Subject": "subject", "MessageAttributes": attributes });
    run.good("Publish", publish).await;
    run.plain("Publish", json!({ "TopicArn": topic, "Message": "{\"default\":\"text\"}", "MessageStructure": "json" }))
        .await;
    run.refused("Publish", json!({ "TopicArn": none, "Message": "text" }), "NotFound").await;
    run.refused("Publish", json!({ "TopicArn": topic, "Message": "" }), "InvalidParameter").await;
    run.refused("Publish", json!({ "TopicArn": topic, "Message": "x", "Subject": "a\nb" }), "InvalidParameter").await;
    let entry = json!({ "Id": "a", "Message": "text", "Subject": "subject" });
    run.good("PublishBatch", json!({ "TopicArn": topic, "PublishBatchRequestEntries": [entry] })).await;
    let mixed = json!([{ "Id": "a", "Message": "text" }, { "Id": "b", "Message": "" }]);
    run.plain("PublishBatch", json!({ "TopicArn": topic, "PublishBatchRequestEntries": mixed })).await;
    let batch = |entries: Value| json!({ "TopicArn": topic, "PublishBatchRequestEntries": entries });
    run.refused("PublishBatch", batch(json!([])), "EmptyBatchRequest").await;
    run.refused("PublishBatch", batch(json!([entry, entry])), "BatchEntryIdsNotDistinct").await;
    run.refused("PublishBatch", batch(json!([{ "Id": "a b", "Message": "x" }])), "InvalidBatchEntryId").await;
    run.refused("PublishBatch", batch(Value::from(vec![entry.clone(); 11])), "TooManyEntriesInBatchRequest").await;

    run.good("Unsubscribe", json!({ "SubscriptionArn": one })).await;
    run.good("DeleteTopic", json!({ "TopicArn": topic })).await;
    run.plain("DeleteTopic", json!({ "TopicArn": topic })).await;
    run.end().await;
}
