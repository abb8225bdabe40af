//! What holds for every call, whatever it asks for.

use serde_json::json;
use signalbox_tests::Ground;

use super::wire::{Received, Request, send};

fn json_call(target: &str, body: &str) -> Request {
    Request {
        method: "POST".to_owned(),
        target: "/".to_owned(),
        headers: vec![
            ("content-type".to_owned(), "application/x-amz-json-1.1".to_owned()),
            ("x-amz-target".to_owned(), target.to_owned()),
        ],
        body: body.as_bytes().to_vec(),
    }
}

fn form(method: &str, fields: &str) -> Request {
    let is_get = method == "GET";
    Request {
        method: method.to_owned(),
        target: if is_get { format!("/?{fields}") } else { "/".to_owned() },
        headers: vec![("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())],
        body: if is_get { Vec::new() } else { fields.as_bytes().to_vec() },
    }
}

/// Whether it is this refusal, written as the JSON protocol has it.
fn is_json_refusal(received: &Received, status: u16, code: &str) -> bool {
    let body: serde_json::Value = serde_json::from_slice(&received.body).unwrap_or_default();
    received.status == status
        && received.header("x-amzn-errortype") == code
        && body["__type"].as_str().and_then(|kind| kind.rsplit('#').next()) == Some(code)
        && !received.header("x-amzn-requestid").is_empty()
}

#[tokio::test]
async fn what_is_no_json_or_no_operation_of_the_service_is_refused_as_aws_refuses_it() {
    let ground = Ground::without_functions().await.unwrap();
    for (service, target) in [
        ("codecommit", "CodeCommit_20150413.ListRepositories"),
        ("codebuild", "CodeBuild_20161006.ListProjects"),
        ("events", "AWSEvents.ListRules"),
        ("logs", "Logs_20140328.DescribeLogGroups"),
        ("sqs", "AmazonSQS.ListQueues"),
    ] {
        let good = send(&ground, service, &json_call(target, "{}")).await;
        assert_eq!(good.status, 200, "{target}: {}", good.text());
        // Nothing at all is an empty input.
        let good = send(&ground, service, &json_call(target, "")).await;
        assert_eq!(good.status, 200, "{target}: {}", good.text());
        for broken in ["{", "[]", "7", "\"text\"", "null", "{\"a\":}"] {
            let refused = send(&ground, service, &json_call(target, broken)).await;
            assert!(is_json_refusal(&refused, 400, "SerializationException"), "{target} {broken}: {}", refused.text());
        }
        let (prefix, operation) = target.split_once('.').unwrap();
        for foreign in
            [format!("Foreign_20150413.{operation}"), operation.to_owned(), format!("{prefix}.NoSuchOperation")]
        {
            let refused = send(&ground, service, &json_call(&foreign, "{}")).await;
            assert!(is_json_refusal(&refused, 501, "UnknownOperationException"), "{foreign}: {}", refused.text());
        }
    }
    let refused = send(&ground, "lambda", &json_call("AWSLambda.Invoke", "{}")).await;
    assert!(is_json_refusal(&refused, 501, "UnknownOperationException"), "{}", refused.text());
}

#[tokio::test]
async fn query_calls_may_be_get_and_must_be_of_the_services_version() {
    let ground = Ground::without_functions().await.unwrap();
    for (service, good) in [
        ("sts", "Action=GetCallerIdentity&Version=2011-06-15"),
        ("sns", "Action=ListTopics&Version=2010-03-31"),
        ("iam", "Action=ListUsers&Version=2010-05-08"),
    ] {
        for method in ["GET", "POST"] {
            let answer = send(&ground, service, &form(method, good)).await;
            assert_eq!(answer.status, 200, "{method} {good}: {}", answer.text());
            assert_eq!(answer.header("content-type"), "text/xml");
        }
        let version = good.rsplit('=').next().unwrap();
        for (bad, code) in [
            (good.replace(version, "1999-01-01"), "InvalidAction"),
            (format!("Action=NoSuchAction&Version={version}"), "UnknownOperationException"),
            (format!("Version={version}"), "MissingAction"),
            (good.replace("&Version=", "&NoVersion="), "InvalidAction"),
        ] {
            let refused = send(&ground, service, &form("POST", &bad)).await;
            let text = refused.text();
            assert!(refused.status >= 400 && text.contains(&format!("<Code>{code}</Code>")), "{service} {bad}: {text}");
        }
    }
}

#[tokio::test]
async fn a_protocol_that_is_not_spoken_is_refused_by_its_name() {
    let ground = Ground::without_functions().await.unwrap();
    let cbor = Request {
        method: "POST".to_owned(),
        target: "/service/CodeBuild_20161006/operation/ListProjects".to_owned(),
        headers: vec![
            ("content-type".to_owned(), "application/cbor".to_owned()),
            ("smithy-protocol".to_owned(), "rpc-v2-cbor".to_owned()),
        ],
        body: vec![0xa0],
    };
    let refused = send(&ground, "codebuild", &cbor).await;
    assert_eq!(refused.status, 501, "{}", refused.text());
    assert!(refused.text().contains("rpc-v2-cbor"), "{}", refused.text());
}

#[tokio::test]
async fn an_optional_member_that_is_null_is_as_if_it_were_not_there() {
    let ground = Ground::without_functions().await.unwrap();
    let body = json!({ "QueueNamePrefix": null, "NextToken": null, "MaxResults": null });
    let answer = send(&ground, "sqs", &json_call("AmazonSQS.ListQueues", &body.to_string())).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}
