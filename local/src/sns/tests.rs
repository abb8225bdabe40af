//! The operations as a client sees them, over the wire.
use std::collections::BTreeMap;

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
    assert_eq!(one(&subscribed, "SubscriptionArn"), "pending confirmation");
    let mail = client.running.cloud.sns.inbox().pop().unwrap();
    assert_eq!((mail.to.as_str(), mail.subject.as_str()), (address, "AWS Notification - Subscription Confirmation"));
    let page = client.browse(&path_in(&mail.body, "/confirmation.html?")).await;
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("Subscription confirmed"), "{page}");
    mail.subscription.clone()
}

/// The path of the link in a text that begins so.
fn path_in(text: &str, start: &str) -> String {
    let from = text.find(start).unwrap_or_else(|| panic!("no {start} in {text}"));
    text[from..].split_whitespace().next().unwrap().to_owned()
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
    let file = std::fs::read_to_string(dir.path().join("inbox/team@example.com/000003.eml")).unwrap();
    assert!(file.contains("Subject: unit broke on main of demo\r\n"), "{file}");

    let list = client.browse("/inbox").await;
    assert!(list.contains("<a href=\"/inbox/3\">") && list.contains(">unit broke on main of demo</span>"), "{list}");
    assert!(list.contains("http-equiv=\"refresh\""), "{list}");
    assert!(list.contains("href=\"/inbox?to=other%40example.com\""), "{list}");
    let searched = client.browse("/inbox?to=team%40example.com&q=Pushed+MAIN").await;
    assert!(
        searched.contains("1 found for") && searched.contains("/inbox/3\"") && !searched.contains("/inbox/1\""),
        "{searched}"
    );
    assert!(!searched.contains("http-equiv"), "nobody is interrupted while he searches");
    assert!(client.browse("/inbox?q=%22%3E%3Cscript%3E").await.contains("&quot;&gt;&lt;script&gt;"));
    let raw = client.browse("/inbox/3.eml").await;
    assert!(raw.contains("content-type: message/rfc822") && raw.ends_with(&file), "{raw}");
    let page = client.browse("/inbox/3").await;
    assert!(page.contains("content-security-policy: default-src 'none'; style-src 'sha256-"), "{page}");
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "{page}");
    assert!(client.browse("/inbox/4").await.starts_with("HTTP/1.1 404"));
    assert!(client.browse("/").await.contains("location: /inbox\r\n"));

    client.running.stop().await.unwrap();
    let client = Client::start(dir.path()).await;
    assert_eq!(client.running.cloud.sns.inbox().last(), Some(&mail));
    client.sns("Publish", &[("TopicArn", topic.as_str()), ("Message", "no attributes")]).await;
    assert_eq!(client.running.cloud.sns.inbox().len(), 3, "both filters name an attribute");
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
        (
            "PublishBatch",
            vec![
                ("TopicArn", topic),
                ("PublishBatchRequestEntries.member.1.Id", "a b"),
                ("PublishBatchRequestEntries.member.1.Message", "m"),
            ],
            "InvalidBatchEntryId",
        ),
        (
            "PublishBatch",
            vec![
                ("TopicArn", topic),
                ("PublishBatchRequestEntries.member.1.Id", "a"),
                ("PublishBatchRequestEntries.member.1.Message", &large[..200_000]),
                ("PublishBatchRequestEntries.member.2.Id", "b"),
                ("PublishBatchRequestEntries.member.2.Message", &large[..200_000]),
            ],
            "BatchRequestTooLong",
        ),
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
    let again = [
        ("TopicArn", topic.as_str()),
        ("Protocol", "email"),
        ("Endpoint", "a@example.com"),
        ("Attributes.entry.1.key", "FilterPolicy"),
        ("Attributes.entry.1.value", r#"{"n":[1]}"#),
    ];
    assert_eq!(one(&client.sns("Subscribe", &again).await, "SubscriptionArn"), arn, "it is there already");
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
    assert_eq!(client.running.cloud.sns.inbox().len(), 2);
    assert_eq!(client.running.cloud.sns.inbox()[1].subject, "AWS Notification Message");
    client.sns("DeleteTopic", &[("TopicArn", topic.as_str())]).await;
    let gone = client.sns("GetSubscriptionAttributes", &[("SubscriptionArn", arn.as_str())]).await;
    assert!(gone.starts_with("HTTP/1.1 404"), "{gone}");
}

#[tokio::test]
async fn nobody_gets_mail_who_has_not_confirmed_and_a_link_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::start(dir.path()).await;
    let topic = topic(&client).await;
    let topic = topic.as_str();
    let ask = [("TopicArn", topic), ("Protocol", "email"), ("Endpoint", "a@example.com")];
    client.sns("Subscribe", &ask).await;
    let attributes = client.sns("GetTopicAttributes", &[("TopicArn", topic)]).await;
    assert!(attributes.contains("<key>SubscriptionsPending</key><value>1</value>"), "{attributes}");
    let listed = client.sns("ListSubscriptions", &[]).await;
    assert_eq!(one(&listed, "SubscriptionArn"), "PendingConfirmation");
    client.sns("Publish", &[("TopicArn", topic), ("Message", "too early")]).await;
    let inbox = || client.running.cloud.sns.inbox();
    assert_eq!(inbox().len(), 1, "the question and nothing else");

    let refused = client.sns("ConfirmSubscription", &[("TopicArn", topic), ("Token", "guessed")]).await;
    assert_eq!(one(&refused, "Code"), "InvalidParameter");
    assert!(client.browse("/confirmation.html?Token=guessed").await.starts_with("HTTP/1.1 400"));
    let link = path_in(&inbox()[0].body, "/confirmation.html?");
    assert!(client.browse(&link).await.contains("Subscription confirmed"));
    assert!(client.browse(&link).await.contains("Subscription confirmed"), "a second click does no harm");
    let elsewhere = one(&client.sns("CreateTopic", &[("Name", "others")]).await, "TopicArn").to_owned();
    let mail = inbox()[0].body.clone();
    let token = mail.split("Token=").nth(1).unwrap().split('&').next().unwrap();
    let refused = client.sns("ConfirmSubscription", &[("TopicArn", &elsewhere), ("Token", token)]).await;
    assert_eq!(one(&refused, "Code"), "InvalidParameter", "a used token is good for its own topic only");
    client.sns("Publish", &[("TopicArn", topic), ("Message", "now")]).await;
    assert_eq!(inbox().len(), 2);

    let unsubscribe = path_in(&inbox()[1].footer, "/unsubscribe.html?");
    assert!(client.browse(&unsubscribe).await.contains("Subscription removed"));
    assert!(client.browse(&unsubscribe).await.starts_with("HTTP/1.1 400"));
    client.sns("Publish", &[("TopicArn", topic), ("Message", "too late")]).await;
    assert_eq!(inbox().len(), 2);

    let json = [
        ("TopicArn", topic),
        ("Protocol", "email-json"),
        ("Endpoint", "a@example.com"),
        ("ReturnSubscriptionArn", "true"),
    ];
    let arn = one(&client.sns("Subscribe", &json).await, "SubscriptionArn").to_owned();
    let body: serde_json::Value = serde_json::from_str(&inbox()[2].body).unwrap();
    assert_eq!(body["Type"], "SubscriptionConfirmation");
    let token = body["Token"].as_str().unwrap();
    let good = [("TopicArn", topic), ("Token", token), ("AuthenticateOnUnsubscribe", "true")];
    assert_eq!(one(&client.sns("ConfirmSubscription", &good).await, "SubscriptionArn"), arn);
    client.sns("Publish", &[("TopicArn", topic), ("Message", "json")]).await;
    let body: serde_json::Value = serde_json::from_str(&inbox()[3].body).unwrap();
    assert_eq!(body["Message"], "json");
    let link = path_in(body["UnsubscribeURL"].as_str().unwrap(), "/?Action=Unsubscribe");
    assert!(client.browse(&link).await.contains("with credentials only"));
    assert!(client.sns("Unsubscribe", &[("SubscriptionArn", &arn)]).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_queue_gets_messages_only_if_its_policy_lets_the_topic_send_else_its_dead_letters_do() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::start(dir.path()).await;
    let topic = topic(&client).await;
    let topic = topic.as_str();
    let sqs = &client.running.cloud.sqs;
    let allow = |queue: &str| {
        let policy = serde_json::json!({"Statement": [{"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage", "Resource": sqs.arn(queue), "Condition": {"ArnEquals": {"aws:SourceArn": topic}}}]});
        sqs.set_attributes(queue, &BTreeMap::from([("Policy".to_owned(), policy.to_string())])).unwrap();
    };
    let arns: Vec<String> = ["q", "dead"].map(|name| sqs.create_queue(name, &BTreeMap::new()).unwrap()).to_vec();
    allow("dead");
    let redrive = format!(r#"{{"deadLetterTargetArn":"{}"}}"#, arns[1]);
    let subscribed = client
        .sns(
            "Subscribe",
            &[
                ("TopicArn", topic),
                ("Protocol", "sqs"),
                ("Endpoint", &arns[0]),
                ("Attributes.entry.1.key", "RedrivePolicy"),
                ("Attributes.entry.1.value", &redrive),
            ],
        )
        .await;
    let arn = one(&subscribed, "SubscriptionArn").to_owned();
    assert!(arn.starts_with(topic), "a queue of the account needs no confirmation: {subscribed}");
    client.sns("Publish", &[("TopicArn", topic), ("Message", "m"), ("Subject", "s")]).await;
    let dead = sqs.receive("dead", 10, std::time::Duration::ZERO).await.unwrap();
    assert!(dead[0].body.contains("\"Message\":\"m\""), "{}", dead[0].body);
    assert!(dead[0].attributes["ErrorMessage"].string_value.as_ref().unwrap().contains("has no policy"));

    allow("q");
    let raw = [("SubscriptionArn", arn.as_str()), ("AttributeName", "RawMessageDelivery"), ("AttributeValue", "true")];
    assert!(client.sns("SetSubscriptionAttributes", &raw).await.starts_with("HTTP/1.1 200"));
    client
        .sns(
            "Publish",
            &[
                ("TopicArn", topic),
                ("Message", "raw"),
                ("MessageAttributes.entry.1.Name", "n"),
                ("MessageAttributes.entry.1.Value.DataType", "Number"),
                ("MessageAttributes.entry.1.Value.StringValue", "1"),
            ],
        )
        .await;
    let message = sqs.receive("q", 10, std::time::Duration::ZERO).await.unwrap().remove(0);
    assert_eq!((message.body.as_str(), message.attributes["n"].data_type.as_str()), ("raw", "Number"));
}

#[tokio::test]
async fn tokens_do_not_follow_from_the_seed_and_links_lead_to_the_topics_own_region() {
    let ask = async || {
        let dir = tempfile::tempdir().unwrap();
        let client = Client::start_in(dir.path(), &["eu-west-1", "us-east-1"]).await;
        let draft = |form: &str| {
            let mut draft = client.draft("sns", "POST", "/").body(format!("{form}&Version=2010-03-31"));
            draft.region = "us-east-1".to_owned();
            draft.sign()
        };
        let made = client.exchange(&draft("Action=CreateTopic&Name=notices")).await;
        let topic = one(&made, "TopicArn").to_owned();
        let form = format!("Action=Subscribe&TopicArn={topic}&Protocol=email&Endpoint=a%40example.com");
        assert!(client.exchange(&draft(&form)).await.starts_with("HTTP/1.1 200"));
        let sns = &client.running.regions.find("us-east-1").unwrap().sns;
        let body = sns.inbox()[0].body.clone();
        let port = client.address().rsplit(':').next().unwrap().to_owned();
        let link = path_in(&body, "http://us-east-1.localhost:");
        let path = link.strip_prefix(&format!("http://us-east-1.localhost:{port}")).unwrap();
        let host = format!("us-east-1.localhost:{port}");
        let page = client.exchange(&crate::http::testing::page(path, &host)).await;
        assert!(page.starts_with("HTTP/1.1 200") && page.contains("Subscription confirmed"), "{page}");
        client.running.stop().await.unwrap();
        body.split("Token=").nth(1).unwrap().split('&').next().unwrap().to_owned()
    };
    let (first, second) = (ask().await, ask().await);
    assert_eq!((first.len(), second.len()), (64, 64));
    assert_ne!(first, second, "the same seed and another token");
}
