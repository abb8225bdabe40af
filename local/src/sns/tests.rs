//! The operations as a client sees them, over the wire.
use crate::http::testing::Client;

fn one<'a>(text: &'a str, name: &str) -> &'a str {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    text.split(&open).nth(1).and_then(|rest| rest.split(&close).next()).unwrap_or_default()
}

async fn topic(client: &Client) -> String {
    let created = client.sns("CreateTopic", &[("Name", "notices")]).await;
    assert!(created.starts_with("HTTP/1.1 200"), "{created}");
    one(&created, "TopicArn").to_owned()
}

async fn subscribe(client: &Client, topic: &str, address: &str, policy: &str) -> String {
    let subscribed = client
        .sns(
            "Subscribe",
            &[
                ("TopicArn", topic),
                ("Protocol", "email"),
                ("Endpoint", address),
                ("Attributes.entry.1.key", "FilterPolicy"),
                ("Attributes.entry.1.value", policy),
            ],
        )
        .await;
    assert!(subscribed.starts_with("HTTP/1.1 200"), "{subscribed}");
    one(&subscribed, "SubscriptionArn").to_owned()
}

#[tokio::test]
async fn a_message_becomes_mail_for_whoever_wants_it_and_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::start(dir.path()).await;
    let topic = topic(&client).await;
    assert_eq!(topic, "arn:aws:sns:eu-west-1:111122223333:notices");
    subscribe(&client, &topic, "team@example.com", r#"{"team":["payments"]}"#).await;
    subscribe(&client, &topic, "other@example.com", r#"{"team":[{"anything-but":"payments"}]}"#).await;
    let mut news = client.running.cloud.sns.subscribe_mail();
    let published = client
        .sns(
            "Publish",
            &[
                ("TopicArn", topic.as_str()),
                ("Subject", "unit broke on main of demo"),
                ("Message", "a developer pushed.\nLook: https://example.com/build?a=1&b=2 <script>"),
                ("MessageAttributes.entry.1.Name", "team"),
                ("MessageAttributes.entry.1.Value.DataType", "String.Array"),
                ("MessageAttributes.entry.1.Value.StringValue", r#"["payments"]"#),
            ],
        )
        .await;
    let mail = news.recv().await.unwrap();
    assert_eq!(mail.to, "team@example.com");
    assert_eq!(mail.message_id, one(&published, "MessageId"));
    assert!(news.try_recv().is_err(), "nobody else wanted it");
    let file = std::fs::read_to_string(dir.path().join("inbox/team@example.com/000001.eml")).unwrap();
    assert!(file.contains("Subject: unit broke on main of demo\r\n"), "{file}");

    let list = client.browse("/inbox").await;
    assert!(list.contains("<a href=\"/inbox/1\">unit broke on main of demo</a>"), "{list}");
    let page = client.browse("/inbox/1").await;
    assert!(page.contains("content-security-policy: default-src 'none'; style-src 'sha256-"), "{page}");
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "{page}");
    assert!(client.browse("/inbox/2").await.starts_with("HTTP/1.1 404"));
    assert!(client.browse("/").await.contains("location: /inbox\r\n"));

    client.running.stop().await.unwrap();
    let client = Client::start(dir.path()).await;
    assert_eq!(client.running.cloud.sns.inbox(), [mail]);
    client.sns("Publish", &[("TopicArn", topic.as_str()), ("Message", "no attributes")]).await;
    assert_eq!(client.running.cloud.sns.inbox().len(), 1, "both filters name an attribute");
    let subscriptions = client.sns("ListSubscriptionsByTopic", &[("TopicArn", topic.as_str())]).await;
    assert_eq!(subscriptions.matches("<member>").count(), 2);
}

#[tokio::test]
async fn what_sns_would_refuse_is_refused_with_its_code() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::start(dir.path()).await;
    let topic = topic(&client).await;
    let topic = topic.as_str();
    let long = "s".repeat(100);
    let large = "m".repeat(256 * 1024 + 1);
    let none = format!("{topic}-none");
    let cases = [
        ("Publish", vec![("TopicArn", none.as_str()), ("Message", "m")], "NotFound"),
        ("Publish", vec![("TopicArn", "nonsense"), ("Message", "m")], "InvalidParameter"),
        ("Publish", vec![("TopicArn", topic)], "InvalidParameter"),
        ("Publish", vec![("TopicArn", topic), ("Message", "")], "InvalidParameter"),
        ("Publish", vec![("TopicArn", topic), ("Message", large.as_str())], "InvalidParameter"),
        ("Publish", vec![("TopicArn", topic), ("Message", "m"), ("Subject", long.as_str())], "InvalidParameter"),
        ("Publish", vec![("TopicArn", topic), ("Message", "m"), ("Subject", "two\nlines")], "InvalidParameter"),
        ("Publish", vec![("TopicArn", topic), ("Message", "m"), ("Subject", "Grüße")], "InvalidParameter"),
        ("Publish", vec![("TopicArn", topic), ("Message", "m"), ("Subject", " s")], "InvalidParameter"),
        ("Publish", vec![("TopicArn", topic), ("Message", "{}"), ("MessageStructure", "json")], "InvalidParameter"),
        ("Publish", vec![("TopicArn", topic), ("Message", "m"), ("MessageGroupId", "g")], "InvalidParameter"),
        (
            "Publish",
            vec![
                ("TopicArn", topic),
                ("Message", "m"),
                ("MessageAttributes.entry.1.Name", "n"),
                ("MessageAttributes.entry.1.Value.DataType", "Number"),
                ("MessageAttributes.entry.1.Value.StringValue", "many"),
            ],
            "ParameterValueInvalid",
        ),
        ("Subscribe", vec![("TopicArn", topic), ("Protocol", "https"), ("Endpoint", "https://x")], "InvalidParameter"),
        (
            "Subscribe",
            vec![("TopicArn", topic), ("Protocol", "email"), ("Endpoint", "a@b\r\nBcc: c@d")],
            "InvalidParameter",
        ),
        ("Subscribe", vec![("TopicArn", none.as_str()), ("Protocol", "email"), ("Endpoint", "a@b")], "NotFound"),
        ("CreateTopic", vec![("Name", "a.fifo")], "InvalidParameter"),
        ("CreateTopic", vec![("Name", "no spaces")], "InvalidParameter"),
        ("ListTopics", vec![("NextToken", "forged")], "InvalidParameter"),
        ("PublishBatch", vec![("TopicArn", topic)], "EmptyBatchRequest"),
        ("AddPermission", vec![], "UnknownOperationException"),
    ];
    for (action, parameters, code) in cases {
        let refused = client.sns(action, &parameters).await;
        assert_eq!(one(&refused, "Code"), code, "{action} {refused}");
    }
    assert!(client.running.cloud.sns.inbox().is_empty());
}

#[tokio::test]
async fn a_subscription_is_made_once_changed_and_ended() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::start(dir.path()).await;
    let topic = topic(&client).await;
    let arn = subscribe(&client, &topic, "a@example.com", r#"{"n":[1]}"#).await;
    assert_eq!(subscribe(&client, &topic, "a@example.com", r#"{"n":[1]}"#).await, arn);
    let confirmed = client
        .sns("ConfirmSubscription", &[("TopicArn", topic.as_str()), ("Token", arn.rsplit(':').next().unwrap())])
        .await;
    assert_eq!(one(&confirmed, "SubscriptionArn"), arn);
    let set = |value: &'static str| {
        let parameters =
            [("SubscriptionArn", arn.as_str()), ("AttributeName", "FilterPolicy"), ("AttributeValue", value)];
        let client = &client;
        async move { client.sns("SetSubscriptionAttributes", &parameters).await }
    };
    assert_eq!(one(&set(r#"{"n":[{"wildcard":"*"}]}"#).await, "Code"), "InvalidParameter");
    assert!(
        client
            .sns("GetSubscriptionAttributes", &[("SubscriptionArn", arn.as_str())])
            .await
            .contains("{&quot;n&quot;:[1]}")
    );
    assert!(set("{}").await.starts_with("HTTP/1.1 200"));
    let batch = [
        ("TopicArn", topic.as_str()),
        ("PublishBatchRequestEntries.member.1.Id", "good"),
        ("PublishBatchRequestEntries.member.1.Message", "m"),
        ("PublishBatchRequestEntries.member.2.Id", "bad"),
        ("PublishBatchRequestEntries.member.2.Message", ""),
    ];
    let published = client.sns("PublishBatch", &batch).await;
    assert_eq!(one(one(&published, "Successful"), "Id"), "good");
    assert_eq!(one(one(&published, "Failed"), "Id"), "bad");
    assert_eq!(client.running.cloud.sns.inbox().len(), 1);
    assert_eq!(client.running.cloud.sns.inbox()[0].subject, "AWS Notification Message");
    client.sns("DeleteTopic", &[("TopicArn", topic.as_str())]).await;
    let gone = client.sns("GetSubscriptionAttributes", &[("SubscriptionArn", arn.as_str())]).await;
    assert!(gone.starts_with("HTTP/1.1 404"), "{gone}");
}
