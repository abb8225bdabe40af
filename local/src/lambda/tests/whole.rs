//! From the template to the function: a stack in a cloud, with the real services between.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::{script, until};
use crate::cloud::{Cloud, Running, Settings};
use crate::lambda::{Functions, InvocationError, StartError};
use crate::template::{Pseudo, Stack, Template};

const TEMPLATE: &str = r#"
Transform: AWS::Serverless-2016-10-31
Parameters:
  TestExecutable: { Type: String }
Resources:
  Rule:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: { source: [aws.codecommit] }
      Targets: [{ Id: queue, Arn: !GetAtt Jobs.Arn }]
  Jobs:
    Type: AWS::SQS::Queue
    Properties: { VisibilityTimeout: 1, RedrivePolicy: { deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 1 } }
  Dead: { Type: AWS::SQS::Queue }
  JobsPolicy:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref Jobs]
      PolicyDocument:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Principal: { Service: events.amazonaws.com }
            Action: sqs:SendMessage
            Resource: !GetAtt Jobs.Arn
            Condition: { ArnEquals: { "aws:SourceArn": !GetAtt Rule.Arn } }
  Trigger:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: trigger
      CodeUri: functions/trigger
      Handler: bootstrap
      Runtime: provided.al2023
      Timeout: 20
      Environment: { Variables: { TEST_EXECUTABLE: !Ref TestExecutable } }
      Events:
        Jobs:
          Type: SQS
          Properties: { Queue: !GetAtt Jobs.Arn, FunctionResponseTypes: [ReportBatchItemFailures] }
"#;

async fn cloud(dir: &std::path::Path) -> Running {
    let settings = Settings::new(dir);
    Cloud::start(settings).await.unwrap()
}

fn template(text: &str) -> Template {
    let executable = std::env::current_exe().unwrap().display().to_string();
    let parameters = BTreeMap::from([("TestExecutable".to_owned(), executable)]);
    Template::parse(text, &parameters, &Pseudo::new("111122223333", "eu-west-1", "signalbox")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_goes_through_rule_and_queue_into_the_function_and_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let running = cloud(dir.path()).await;
    let cloud = &running.cloud;
    let stack = Stack::create(cloud, &template(TEMPLATE)).await.unwrap();
    let binaries = BTreeMap::from([("trigger".to_owned(), script())]);
    let functions = Functions::start(cloud, &stack.functions, &binaries).unwrap();

    cloud.eventbridge.publish("aws.codecommit", "Something", Vec::new(), cloud.world.now(), json!({}));
    let said = |text: &str| {
        let input = json!({ "logGroupName": "/aws/lambda/trigger" });
        let cloud = std::sync::Arc::clone(cloud);
        let text = text.to_owned();
        async move {
            let events = cloud.logs.call("FilterLogEvents", input).await;
            events.is_ok_and(|events| events.to_string().contains(&text))
        }
    };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !said("aws.codecommit").await || !said("REPORT RequestId").await {
        assert!(tokio::time::Instant::now() < deadline, "the event does not reach the log");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let jobs = &stack.resources["Jobs"].name;
    until("the message is deleted", || {
        let counts = cloud.sqs.counts(jobs).unwrap();
        counts.visible + counts.in_flight == 0
    })
    .await;

    assert_eq!(functions.invoke("trigger", &json!({ "a": 1 })).await, Ok(json!({ "a": 1 })));
    let unknown = functions.invoke("approver", &json!({})).await.unwrap_err();
    assert_eq!(unknown, InvocationError::NoSuchFunction { name: "approver".to_owned(), known: "trigger".to_owned() });
    functions.stop().await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_function_whose_binary_was_not_built_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let running = cloud(dir.path()).await;
    let stack = Stack::create(&running.cloud, &template(TEMPLATE)).await.unwrap();
    let binaries = BTreeMap::from([("notifier".to_owned(), script())]);
    let error = Functions::start(&running.cloud, &stack.functions, &binaries).unwrap_err();
    assert!(matches!(&error, StartError::NoBinary { binary, .. } if binary == "trigger"), "{error}");
}

#[tokio::test]
async fn a_restart_in_the_same_folder_finds_the_stack_and_takes_a_rule_away_that_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let running = cloud(dir.path()).await;
    let first = Stack::create(&running.cloud, &template(TEMPLATE)).await.unwrap();
    let jobs = first.resources["Jobs"].name.clone();
    running.cloud.sqs.send(&jobs, "waits", BTreeMap::new()).unwrap();
    running.stop().await.unwrap();

    let running = cloud(dir.path()).await;
    let changed = TEMPLATE.replace("  Rule:\n", "  OtherRule:\n").replace("Rule.Arn", "OtherRule.Arn");
    let second = Stack::create(&running.cloud, &template(&changed)).await.unwrap();
    assert_eq!(second.resources["Jobs"].name, jobs);
    assert_eq!(running.cloud.sqs.counts(&jobs).unwrap().visible, 1);
    let caller = crate::auth::Caller {
        arn: "arn:aws:iam::111122223333:user/developer".to_owned(),
        access_key_id: String::new(),
    };
    let rules = running.cloud.eventbridge.call("ListRules", json!({}), &caller).await.unwrap();
    let names: Vec<&str> = rules["Rules"].as_array().unwrap().iter().filter_map(|rule| rule["Name"].as_str()).collect();
    assert_eq!(names, [second.resources["OtherRule"].name.as_str()]);
}

#[tokio::test]
async fn the_template_that_is_deployed_is_followed_and_made() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let pseudo = Pseudo::new("111122223333", "eu-west-1", "signalbox");
    let parameters = BTreeMap::from([("Email".to_owned(), "team@example.com".to_owned())]);
    let template = match Template::parse(&text, &parameters, &pseudo) {
        Ok(template) => template,
        Err(problems) => panic!("{}", crate::template::Problems { file: "template.yaml", problems: &problems }),
    };
    let dir = tempfile::tempdir().unwrap();
    let running = cloud(dir.path()).await;
    for _ in 0..2 {
        let stack = Stack::create(&running.cloud, &template).await.unwrap();
        let binaries: Vec<&str> = stack.functions.iter().map(|function| function.binary.as_str()).collect();
        assert!(binaries.contains(&"trigger") && binaries.contains(&"notifier"), "{binaries:?}");
        assert!(stack.outputs.iter().all(|output| !output.value.is_empty()));
    }
}
