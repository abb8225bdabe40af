//! Every listing of every service, over the wire, in pages of one.

mod reviews;

use serde_json::{Value, json};

use crate::cloud::Settings;
use crate::http::testing::Client;

/// How a listing is asked for and what is in its answer.
#[derive(Debug, Clone, Copy)]
enum Wire {
    /// Service, member of the items, what names an item (empty: the item itself), member of the token.
    Json(&'static str, &'static str, &'static str, &'static str),
    /// The element that names an item.
    Sns(&'static str),
    /// The element that holds the items, and the one that names an item (empty: the item itself).
    Iam(&'static str, &'static str),
    /// The element that names an item; the element of the token.
    S3(&'static str, &'static str),
}

/// One listing.
struct Listing {
    wire: Wire,
    operation: &'static str,
    /// For S3 the target, else the parameters.
    input: Value,
    /// The code that a bad token gets.
    refusal: &'static str,
    /// What it holds at first; empty where ids are drawn.
    first: Vec<String>,
    /// What follows the first page after things came and went.
    then: Vec<String>,
}

/// A page: the items' names and the next token, or the code of the refusal.
type Answer = Result<(Vec<String>, Option<String>), String>;

fn elements(text: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    text.split(&open).skip(1).filter_map(|rest| Some(rest.split_once(&close)?.0.to_owned())).collect()
}

/// Names without the ARN or the URL before them.
fn short(name: &str) -> String {
    name.rsplit([':', '/']).next().unwrap_or_default().to_owned()
}

async fn call(client: &Client, service: &'static str, operation: &str, input: &Value) -> (bool, Value) {
    let (prefix, version) = match service {
        "codebuild" => ("CodeBuild_20161006", "1.1"),
        "codecommit" => ("CodeCommit_20150413", "1.1"),
        "events" => ("AWSEvents", "1.1"),
        "logs" => ("Logs_20140328", "1.1"),
        _ => ("AmazonSQS", "1.0"),
    };
    let (target, kind) = (format!("{prefix}.{operation}"), format!("application/x-amz-json-{version}"));
    let headers = [("x-amz-target", &*target), ("content-type", &*kind)];
    let text = client.send(service, "POST", "/", &headers, &input.to_string()).await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.contains(" 200 "), serde_json::from_str(body).unwrap())
}

async fn good(client: &Client, service: &'static str, operation: &str, input: Value) -> Value {
    let (is_good, answer) = call(client, service, operation, &input).await;
    assert!(is_good, "{operation}: {answer}");
    answer
}

impl Listing {
    async fn page(&self, client: &Client, token: Option<&str>) -> Answer {
        match self.wire {
            Wire::Json(service, items, name, next) => {
                let mut input = self.input.clone();
                if let Some(token) = token {
                    input[next] = json!(token);
                }
                let (is_good, answer) = call(client, service, self.operation, &input).await;
                if !is_good {
                    let code = answer["__type"].as_str().unwrap();
                    return Err(code.rsplit('#').next().unwrap().to_owned());
                }
                let found = answer[items].as_array().unwrap().iter();
                let names = found.map(|item| short(item.pointer(name).and_then(Value::as_str).unwrap())).collect();
                Ok((names, answer[next].as_str().map(str::to_owned)))
            }
            Wire::Sns(element) => {
                let given = self.input.as_object().unwrap().iter();
                let mut parameters: Vec<(&str, &str)> =
                    given.map(|(name, value)| (&**name, value.as_str().unwrap())).collect();
                parameters.extend(token.map(|token| ("NextToken", token)));
                let text = client.sns(self.operation, &parameters).await;
                match elements(&text, "Code").pop() {
                    Some(code) => Err(code),
                    None => Ok((
                        elements(&text, element).iter().map(|name| short(name)).collect(),
                        elements(&text, "NextToken").pop(),
                    )),
                }
            }
            Wire::Iam(items, element) => {
                let given = self.input.as_object().unwrap().iter();
                let mut parameters: Vec<(&str, &str)> =
                    given.map(|(name, value)| (&**name, value.as_str().unwrap())).collect();
                parameters.extend(token.map(|token| ("Marker", token)));
                let text = iam(client, self.operation, &parameters).await;
                match elements(&text, "Code").pop() {
                    Some(code) => Err(code),
                    None => {
                        let next = elements(&text, "Marker").pop();
                        assert_eq!(elements(&text, "IsTruncated"), [next.is_some().to_string()], "{text}");
                        let items = elements(&text, items).concat();
                        Ok((elements(&items, element), next))
                    }
                }
            }
            Wire::S3(element, next) => {
                let (path, query) = self.input.as_str().unwrap().split_once('?').unwrap();
                let token = token.map_or_else(String::new, |token| format!("continuation-token={token}&"));
                let text = client.send("s3", "GET", &format!("{path}?{token}{query}"), &[], "").await;
                match elements(&text, "Code").pop() {
                    Some(code) => Err(code),
                    None if element == "Key" => Ok((elements(&text, element), elements(&text, next).pop())),
                    None => Ok((
                        elements(&text, element).iter().map(|name| name.replace("bucket-", "")).collect(),
                        elements(&text, next).pop(),
                    )),
                }
            }
        }
    }

    /// Everything behind a token, one item a page.
    async fn walk(&self, client: &Client, mut token: Option<String>) -> Vec<String> {
        let mut found = Vec::new();
        loop {
            let (items, next) = self.page(client, token.as_deref()).await.unwrap();
            // The last page may be empty where what was to come is gone.
            assert!(items.len() == 1 || (items.is_empty() && next.is_none()), "{}: {items:?}", self.operation);
            found.extend(items);
            token = next;
            if token.is_none() {
                return found;
            }
        }
    }
}

async fn in_pages_of_one(dir: &std::path::Path) -> Client {
    Client::start_with(Settings { page_size: Some(1), ..Settings::new(dir) }).await
}

fn names(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

const X: &str = "arn:aws:sqs:eu-west-1:111122223333:x";
const TOPIC: &str = "arn:aws:sns:eu-west-1:111122223333:t";
const IN_IRELAND: &str =
    "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";

async fn iam(client: &Client, action: &str, parameters: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", action).append_pair("Version", "2010-05-08").extend_pairs(parameters);
    client.send("iam", "POST", "/", &[], &form.finish()).await
}

async fn good_iam(client: &Client, action: &str, parameters: &[(&str, &str)]) {
    let answer = iam(client, action, parameters).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{action}: {answer}");
}

async fn s3(client: &Client, method: &'static str, path: &str, body: &str) {
    let answer = client.send("s3", method, path, &[], body).await;
    assert!(answer.starts_with("HTTP/1.1 20"), "{method} {path}: {answer}");
}

fn project(name: &str) -> Value {
    let buildspec = "version: 0.2\nphases:\n  build:\n    commands: ['true']\n";
    json!({
        "name": name, "source": { "type": "NO_SOURCE", "buildspec": buildspec },
        "artifacts": { "type": "NO_ARTIFACTS" }, "serviceRole": "arn:aws:iam::111122223333:role/build",
        "environment": { "type": "LINUX_CONTAINER", "image": "aws/codebuild/standard:7.0", "computeType": "BUILD_GENERAL1_SMALL" },
    })
}

async fn build(client: &Client) -> String {
    let build = good(client, "codebuild", "StartBuild", json!({ "projectName": "ps" })).await;
    short(build.pointer("/build/id").and_then(Value::as_str).unwrap())
}

async fn subscribe(client: &Client, who: &str) -> String {
    let queue = format!("arn:aws:sqs:eu-west-1:111122223333:{who}");
    let parameters = [("TopicArn", TOPIC), ("Protocol", "sqs"), ("Endpoint", &*queue)];
    elements(&client.sns("Subscribe", &parameters).await, "SubscriptionArn").pop().unwrap()
}

async fn say(client: &Client, stream: &str, lines: &[(i64, &str)]) {
    let place = json!({ "logGroupName": "pages-lines", "logStreamName": stream });
    call(client, "logs", "CreateLogStream", &place).await;
    let events: Vec<Value> = lines.iter().map(|(at, text)| json!({ "timestamp": at, "message": text })).collect();
    let input = json!({ "logGroupName": "pages-lines", "logStreamName": stream, "logEvents": events });
    good(client, "logs", "PutLogEvents", input).await;
}

/// What the things that have names hang on; gives the commit that branches are made at.
async fn prepare(client: &Client) -> String {
    good(client, "codecommit", "CreateRepository", json!({ "repositoryName": "host" })).await;
    let files = ["b", "d", "f"].map(|path| json!({ "filePath": path, "fileContent": "eA==" }));
    let input = json!({ "repositoryName": "host", "branchName": "z", "putFiles": files });
    let tip = good(client, "codecommit", "CreateCommit", input).await;
    good(client, "codebuild", "CreateProject", project("ps")).await;
    good(client, "sqs", "CreateQueue", json!({ "QueueName": "x" })).await;
    good(client, "events", "PutRule", json!({ "Name": "rule", "EventPattern": "{\"source\":[\"mine\"]}" })).await;
    for group in ["pages-lines", "pages-streams"] {
        good(client, "logs", "CreateLogGroup", json!({ "logGroupName": group })).await;
    }
    client.sns("CreateTopic", &[("Name", "t")]).await;
    s3(client, "PUT", "/bucket-objects", IN_IRELAND).await;
    tip["commitId"].as_str().unwrap().to_owned()
}

/// Makes one thing of each kind with this name.
async fn make(client: &Client, name: &str, tip: &str) {
    good(client, "codecommit", "CreateRepository", json!({ "repositoryName": name })).await;
    let branch = json!({ "repositoryName": "host", "branchName": name, "commitId": tip });
    good(client, "codecommit", "CreateBranch", branch).await;
    good(client, "codebuild", "CreateProject", project(&format!("p{name}"))).await;
    let redrive = json!({ "deadLetterTargetArn": X, "maxReceiveCount": 3 }).to_string();
    let queue = json!({ "QueueName": name, "Attributes": { "RedrivePolicy": redrive } });
    good(client, "sqs", "CreateQueue", queue).await;
    good(client, "events", "PutRule", json!({ "Name": name, "EventPattern": "{\"source\":[\"mine\"]}" })).await;
    for (rule, id, target) in [(name, "x", "x"), ("rule", name, "other")] {
        let target = json!([{ "Id": id, "Arn": format!("arn:aws:sqs:eu-west-1:111122223333:{target}") }]);
        good(client, "events", "PutTargets", json!({ "Rule": rule, "Targets": target })).await;
    }
    let bus = "arn:aws:events:eu-west-1:111122223333:event-bus/default";
    good(client, "events", "CreateArchive", json!({ "ArchiveName": name, "EventSourceArn": bus })).await;
    good(client, "logs", "CreateLogGroup", json!({ "logGroupName": format!("pages-{name}") })).await;
    let stream = json!({ "logGroupName": "pages-streams", "logStreamName": name });
    good(client, "logs", "CreateLogStream", stream).await;
    client.sns("CreateTopic", &[("Name", name)]).await;
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "AWS": "111122223333" }, "Action": "sts:AssumeRole",
    }] });
    let allow =
        json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }] });
    let (trust, allow) = (trust.to_string(), allow.to_string());
    good_iam(client, "CreateUser", &[("UserName", name), ("Path", "/pages/")]).await;
    let role = [("RoleName", name), ("Path", "/pages/"), ("AssumeRolePolicyDocument", trust.as_str())];
    good_iam(client, "CreateRole", &role).await;
    for (action, whose) in [("PutUserPolicy", ("UserName", "developer")), ("PutRolePolicy", ("RoleName", "build"))] {
        good_iam(client, action, &[whose, ("PolicyName", name), ("PolicyDocument", allow.as_str())]).await;
    }
    s3(client, "PUT", &format!("/bucket-{name}"), IN_IRELAND).await;
    s3(client, "PUT", &format!("/bucket-objects/{name}"), "x").await;
}

/// Takes away what can be taken away of what has this name.
async fn unmake(client: &Client, name: &str) {
    good(client, "codecommit", "DeleteRepository", json!({ "repositoryName": name })).await;
    good(client, "codecommit", "DeleteBranch", json!({ "repositoryName": "host", "branchName": name })).await;
    good(client, "codebuild", "DeleteProject", json!({ "name": format!("p{name}") })).await;
    let url = format!("{}/111122223333/{name}", client.running.cloud.world.endpoint());
    good(client, "sqs", "DeleteQueue", json!({ "QueueUrl": url })).await;
    good(client, "events", "RemoveTargets", json!({ "Rule": name, "Ids": ["x"] })).await;
    good(client, "events", "DeleteRule", json!({ "Name": name })).await;
    good(client, "events", "RemoveTargets", json!({ "Rule": "rule", "Ids": [name] })).await;
    good(client, "events", "DeleteArchive", json!({ "ArchiveName": name })).await;
    for (action, whose) in
        [("DeleteUserPolicy", ("UserName", "developer")), ("DeleteRolePolicy", ("RoleName", "build"))]
    {
        good_iam(client, action, &[whose, ("PolicyName", name)]).await;
    }
    good_iam(client, "DeleteUser", &[("UserName", name)]).await;
    good_iam(client, "DeleteRole", &[("RoleName", name)]).await;
    client.sns("DeleteTopic", &[("TopicArn", &TOPIC.replace(":t", &format!(":{name}")))]).await;
    s3(client, "DELETE", &format!("/bucket-{name}"), "").await;
    s3(client, "DELETE", &format!("/bucket-objects/{name}"), "").await;
}

/// All listings that page, with what they hold when `b`, `d` and `f` are there, and what follows the first page when then
/// `b` goes and `a` and `e` come.
fn listings(client: &Client, tip: &str) -> Vec<Listing> {
    let url = format!("{}/111122223333/x", client.running.cloud.world.endpoint());
    let listing = |wire, operation, input, refusal, first: &str, then: &str| Listing {
        wire,
        operation,
        input,
        refusal,
        first: names(first),
        then: names(then),
    };
    let commit = |operation, input, wire: (&'static str, &'static str, &'static str), first, then| {
        let wire = Wire::Json("codecommit", wire.0, wire.1, wire.2);
        listing(wire, operation, input, "InvalidContinuationTokenException", first, then)
    };
    let builds = |operation, input, items, first, then| {
        listing(Wire::Json("codebuild", items, "", "nextToken"), operation, input, "InvalidInputException", first, then)
    };
    let events = |operation, input, items, name, first, then| {
        listing(Wire::Json("events", items, name, "NextToken"), operation, input, "ValidationException", first, then)
    };
    let logs = |operation, input, items, name, first, then| {
        let wire = Wire::Json("logs", items, name, "nextToken");
        listing(wire, operation, input, "InvalidParameterException", first, then)
    };
    let sqs = |operation, input, items, first, then| {
        listing(Wire::Json("sqs", items, "", "NextToken"), operation, input, "InvalidParameterValue", first, then)
    };
    let sns = |operation, input, element, first, then| {
        listing(Wire::Sns(element), operation, input, "InvalidParameter", first, then)
    };
    let iam = |operation, input, items, element, first, then| {
        listing(Wire::Iam(items, element), operation, input, "ValidationError", first, then)
    };
    let s3 = |operation, target: &str, element, token, first, then| {
        listing(Wire::S3(element, token), operation, json!(target), "InvalidArgument", first, then)
    };
    vec![
        commit(
            "ListRepositories",
            json!({}),
            ("repositories", "/repositoryName", "nextToken"),
            "b d f host",
            "d e f host",
        ),
        commit(
            "ListRepositories",
            json!({ "order": "descending" }),
            ("repositories", "/repositoryName", "nextToken"),
            "host f d b",
            "f e d a",
        ),
        commit(
            "ListBranches",
            json!({ "repositoryName": "host" }),
            ("branches", "", "nextToken"),
            "b d f z zs zt",
            "d e f z zs zt",
        ),
        commit(
            "GetDifferences",
            json!({ "repositoryName": "host", "afterCommitSpecifier": tip }),
            ("differences", "/afterBlob/path", "NextToken"),
            "b d f",
            "d f",
        ),
        builds("ListProjects", json!({}), "projects", "pb pd pf ps", "pd pe pf ps"),
        builds("ListProjects", json!({ "sortOrder": "DESCENDING" }), "projects", "ps pf pd pb", "pf pe pd pa"),
        builds("ListBuilds", json!({}), "ids", "", ""),
        builds("ListBuildsForProject", json!({ "projectName": "ps" }), "ids", "", ""),
        events("ListRules", json!({}), "Rules", "/Name", "b d f rule", "d e f rule"),
        events("ListTargetsByRule", json!({ "Rule": "rule" }), "Targets", "/Id", "b d f", "d e f"),
        events("ListRuleNamesByTarget", json!({ "TargetArn": X }), "RuleNames", "", "b d f", "d e f"),
        events("ListArchives", json!({ "State": "ENABLED" }), "Archives", "/ArchiveName", "b d f", "d e f"),
        logs(
            "DescribeLogGroups",
            json!({ "logGroupNamePrefix": "pages-" }),
            "logGroups",
            "/logGroupName",
            "pages-b pages-d pages-f pages-lines pages-streams",
            "pages-d pages-e pages-f pages-lines pages-streams",
        ),
        logs(
            "DescribeLogStreams",
            json!({ "logGroupName": "pages-streams" }),
            "logStreams",
            "/logStreamName",
            "b d f",
            "d e f",
        ),
        logs("FilterLogEvents", json!({ "logGroupName": "pages-lines" }), "events", "/message", "b d f", "d e f"),
        sqs("ListQueues", json!({ "MaxResults": 1000 }), "QueueUrls", "b d f x", "d e f x"),
        sqs(
            "ListDeadLetterSourceQueues",
            json!({ "QueueUrl": url, "MaxResults": 1000 }),
            "queueUrls",
            "b d f",
            "d e f",
        ),
        sns("ListTopics", json!({}), "TopicArn", "b d f t", "d e f t"),
        sns("ListSubscriptions", json!({}), "SubscriptionArn", "", ""),
        sns("ListSubscriptionsByTopic", json!({ "TopicArn": TOPIC }), "SubscriptionArn", "", ""),
        iam("ListUsers", json!({ "PathPrefix": "/pages/" }), "Users", "UserName", "b d f", "d e f"),
        iam("ListRoles", json!({ "PathPrefix": "/pages/" }), "Roles", "RoleName", "b d f", "d e f"),
        iam("ListUserPolicies", json!({ "UserName": "developer" }), "PolicyNames", "member", "b d f", "d e f"),
        iam(
            "ListRolePolicies",
            json!({ "RoleName": "build" }),
            "PolicyNames",
            "member",
            "b builds d f",
            "builds d e f",
        ),
        s3("ListBuckets", "/?max-buckets=1000", "Name", "ContinuationToken", "b d f objects", "d e f objects"),
        s3("ListObjectsV2", "/bucket-objects?list-type=2", "Key", "NextContinuationToken", "b d f", "d e f"),
    ]
}

/// Every bad token is refused with the listing's own code: made up, cut short, of any other listing.
async fn refuse(client: &Client, all: &[Listing], tokens: &[String]) {
    for (listing, own) in all.iter().zip(tokens) {
        let cut = &own[..own.len() - 1];
        let foreign = tokens.iter().filter(|token| *token != own).map(String::as_str);
        for bad in ["forged", "", cut, &format!("{own}AAAA")].into_iter().chain(foreign) {
            let refused = listing.page(client, Some(bad)).await;
            assert_eq!(refused, Err(listing.refusal.to_owned()), "{} {} {bad}", listing.operation, listing.input);
        }
    }
}

#[tokio::test]
async fn every_listing_gives_every_item_once_in_order_while_things_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let client = in_pages_of_one(dir.path()).await;
    let tip = prepare(&client).await;
    let ground = reviews::prepare(&client, &tip).await;
    for name in ["f", "b", "d"] {
        make(&client, name, &tip).await;
        reviews::make(&client, name, &tip, &ground).await;
    }
    let start = client.running.cloud.world.now().as_millisecond() - 1000;
    say(&client, "s", &[(start + 10, "b"), (start + 20, "d"), (start + 30, "f")]).await;
    let builds = [build(&client).await, build(&client).await, build(&client).await];
    let mut subscriptions = Vec::new();
    for who in ["d", "f", "x"] {
        subscriptions.push(short(&subscribe(&client, who).await));
    }
    subscriptions.sort();

    let mut all = listings(&client, &tip);
    all.extend(reviews::listings(&ground, &tip));
    for listing in &mut all {
        match listing.operation {
            "ListBuilds" | "ListBuildsForProject" => {
                listing.first = builds.iter().rev().cloned().collect();
                listing.then = listing.first[1..].to_vec();
            }
            "ListSubscriptions" | "ListSubscriptionsByTopic" => {
                listing.first.clone_from(&subscriptions);
                listing.then = subscriptions[1..].to_vec();
            }
            _ => {}
        }
        assert_eq!(listing.walk(&client, None).await, listing.first, "{} {}", listing.operation, listing.input);
    }

    let mut tokens = Vec::new();
    for listing in &all {
        tokens.push(listing.page(&client, None).await.unwrap().1.unwrap());
    }
    refuse(&client, &all, &tokens).await;

    reviews::unmake(&client, "b").await;
    unmake(&client, "b").await;
    for name in ["a", "e"] {
        make(&client, name, &tip).await;
        reviews::make(&client, name, &tip, &ground).await;
    }
    say(&client, "late", &[(start + 5, "a"), (start + 25, "e")]).await;
    build(&client).await;
    client.sns("Unsubscribe", &[("SubscriptionArn", &format!("{TOPIC}:{}", subscriptions[0]))]).await;
    for (listing, token) in all.iter().zip(tokens) {
        let rest = listing.walk(&client, Some(token)).await;
        assert_eq!(rest, listing.then, "{} {}", listing.operation, listing.input);
    }

    // The branch that a listing named has moved: what follows would belong to another difference.
    let named = &mut all[3];
    named.input = json!({ "repositoryName": "host", "afterCommitSpecifier": "z" });
    let token = named.page(&client, None).await.unwrap().1.unwrap();
    let put = json!({ "repositoryName": "host", "branchName": "z", "parentCommitId": tip, "filePath": "g", "fileContent": "eA==" });
    good(&client, "codecommit", "PutFile", put).await;
    assert_eq!(named.page(&client, Some(&token)).await, Err("InvalidContinuationTokenException".to_owned()));
    client.running.stop().await.unwrap();
}

#[tokio::test]
async fn who_asks_for_no_pages_of_queues_and_buckets_gets_all_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let client = in_pages_of_one(dir.path()).await;
    for name in ["one", "two"] {
        good(&client, "sqs", "CreateQueue", json!({ "QueueName": name })).await;
        s3(&client, "PUT", &format!("/bucket-{name}"), IN_IRELAND).await;
    }
    let queues = good(&client, "sqs", "ListQueues", json!({})).await;
    assert_eq!((queues["QueueUrls"].as_array().unwrap().len(), &queues["NextToken"]), (2, &Value::Null));
    let buckets = client.send("s3", "GET", "/", &[], "").await;
    assert_eq!(elements(&buckets, "Name"), ["bucket-one", "bucket-two"]);
    assert!(elements(&buckets, "ContinuationToken").is_empty());
    client.running.stop().await.unwrap();
}

#[tokio::test]
async fn the_listings_of_s3_that_go_by_names_hold_one_item_a_page_too() {
    let dir = tempfile::tempdir().unwrap();
    let client = in_pages_of_one(dir.path()).await;
    s3(&client, "PUT", "/bucket-one", IN_IRELAND).await;
    for key in ["a", "b", "c"] {
        s3(&client, "PUT", &format!("/bucket-one/{key}"), "x").await;
    }
    let upload =
        elements(&client.send("s3", "POST", "/bucket-one/whole?uploads=", &[], "").await, "UploadId").remove(0);
    for part in 1..=3 {
        s3(&client, "PUT", &format!("/bucket-one/whole?partNumber={part}&uploadId={upload}"), "x").await;
    }
    for (target, item, marker, next, expected) in [
        ("/bucket-one?", "Key", "marker", "Key", "a b c"),
        ("/bucket-one?versions=&", "Key", "key-marker", "NextKeyMarker", "a b c"),
        (
            &*format!("/bucket-one/whole?uploadId={upload}&"),
            "PartNumber",
            "part-number-marker",
            "NextPartNumberMarker",
            "1 2 3",
        ),
    ] {
        let (mut found, mut at) = (Vec::new(), String::new());
        loop {
            let text = client.send("s3", "GET", &format!("{target}{at}"), &[], "").await;
            let items = elements(&text, item);
            assert!(items.len() <= 1, "{text}");
            found.extend(items);
            if elements(&text, "IsTruncated") != ["true"] {
                break;
            }
            at = format!("{marker}={}", elements(&text, next).pop().unwrap());
        }
        assert_eq!(found, names(expected), "{target}");
    }
    client.running.stop().await.unwrap();
}

/// One page of a stream: the texts, the token forwards, the token backwards.
async fn read(client: &Client, stream: &str, more: Value) -> Result<(Vec<String>, String, String), String> {
    let mut input = json!({ "logGroupName": "pages-lines", "logStreamName": stream });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (is_good, answer) = call(client, "logs", "GetLogEvents", &input).await;
    if !is_good {
        return Err(answer["__type"].as_str().unwrap().to_owned());
    }
    let texts = answer["events"].as_array().unwrap().iter().map(|event| event["message"].as_str().unwrap().to_owned());
    let token = |name: &str| answer[name].as_str().unwrap().to_owned();
    Ok((texts.collect(), token("nextForwardToken"), token("nextBackwardToken")))
}

#[tokio::test]
async fn a_stream_is_read_both_ways_and_a_late_line_moves_no_reader() {
    let dir = tempfile::tempdir().unwrap();
    let client = in_pages_of_one(dir.path()).await;
    good(&client, "logs", "CreateLogGroup", json!({ "logGroupName": "pages-lines" })).await;
    let start = client.running.cloud.world.now().as_millisecond() - 1000;
    say(&client, "s", &[(start + 10, "b"), (start + 20, "d"), (start + 20, "e"), (start + 30, "f")]).await;
    say(&client, "other", &[(start + 10, "x")]).await;

    let mut page = read(&client, "s", json!({ "startFromHead": true })).await.unwrap();
    assert_eq!(page.0, ["b"]);
    say(&client, "s", &[(start, "a")]).await;
    for expected in ["d", "e", "f"] {
        page = read(&client, "s", json!({ "nextToken": page.1 })).await.unwrap();
        assert_eq!(page.0, [expected]);
    }
    let end = read(&client, "s", json!({ "nextToken": page.1 })).await.unwrap();
    assert_eq!((end.0.len(), &end.1), (0, &page.1));

    let mut page = read(&client, "s", json!({})).await.unwrap();
    assert_eq!(page.0, ["f"]);
    say(&client, "s", &[(start + 5, "a again")]).await;
    for expected in ["e", "d", "b", "a again", "a"] {
        page = read(&client, "s", json!({ "nextToken": page.2 })).await.unwrap();
        assert_eq!(page.0, [expected]);
    }
    let head = read(&client, "s", json!({ "nextToken": page.2 })).await.unwrap();
    assert_eq!((head.0.len(), &head.2), (0, &page.2));

    let token = page.1;
    assert_eq!(token.len(), "f/".len() + 56 + "/s".len());
    let turned = token.replacen("f/", "b/", 1);
    let other = read(&client, "other", json!({})).await.unwrap().1;
    for bad in ["", "forged", &token[..token.len() - 1], &turned, &other, &format!("f/{:056}/s", 0)] {
        let refused = read(&client, "s", json!({ "nextToken": bad })).await;
        assert_eq!(refused.err().as_deref(), Some("InvalidParameterException"), "{bad}");
    }
    client.running.stop().await.unwrap();
}
