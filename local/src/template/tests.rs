use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use super::function::{FailureReport, Function, SourceState};
use super::make::{Services, Subscription};
use super::{Problems, Pseudo, Stack, Template, TemplateProblem};
use crate::error::{Answer, ServiceError};
use crate::s3::Versioning;

fn pseudo() -> Pseudo {
    Pseudo::new("111122223333", "eu-west-1", "signalbox")
}

fn parse(text: &str) -> Result<Template, Vec<TemplateProblem>> {
    Template::parse(text, &BTreeMap::new(), &pseudo())
}

fn problems(text: &str) -> String {
    let problems = parse(text).expect_err("this template has problems");
    Problems { file: "template.yaml", problems: &problems }.to_string()
}

fn with(parameters: &[(&str, &str)], text: &str) -> Result<Template, Vec<TemplateProblem>> {
    let parameters = parameters.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Template::parse(text, &parameters, &pseudo())
}

/// Services that note what they are told, and refuse what `exists` says is there.
#[derive(Default)]
struct Recorder {
    told: Mutex<Vec<String>>,
    queues_are_there: Mutex<bool>,
    targets_there: Vec<&'static str>,
}

impl Recorder {
    fn note(&self, line: String) {
        self.told.lock().unwrap().push(line);
    }

    fn told(&self) -> String {
        self.told.lock().unwrap().join("\n")
    }
}

impl Services for Recorder {
    async fn events(&self, operation: &'static str, input: Value) -> Answer<Value> {
        self.note(format!("events {operation} {input}"));
        match operation {
            "ListTargetsByRule" => {
                let targets: Vec<Value> = self.targets_there.iter().map(|id| json!({ "Id": id })).collect();
                Ok(json!({ "Targets": targets }))
            }
            _ => Ok(json!({})),
        }
    }

    async fn logs(&self, operation: &'static str, input: Value) -> Answer<Value> {
        self.note(format!("logs {operation} {input}"));
        Ok(json!({}))
    }

    async fn sqs(&self, operation: &'static str, input: Value) -> Answer<Value> {
        self.note(format!("sqs {operation} {input}"));
        if operation == "CreateQueue" && *self.queues_are_there.lock().unwrap() {
            return Err(ServiceError::bad("QueueNameExists", "it is there with other attributes"));
        }
        let name = input.get("QueueName").and_then(Value::as_str).unwrap_or("queue");
        Ok(json!({ "QueueUrl": format!("http://127.0.0.1:4566/111122223333/{name}") }))
    }

    async fn create_topic(&self, name: &str) -> Answer<String> {
        self.note(format!("sns create {name}"));
        Ok(format!("arn:aws:sns:eu-west-1:111122223333:{name}"))
    }

    async fn set_topic(&self, topic_arn: &str, attribute: &'static str, value: &str) -> Answer<()> {
        self.note(format!("sns set {topic_arn} {attribute} {value}"));
        Ok(())
    }

    async fn set_bucket_policy(&self, bucket: &str, policy: &str) -> Answer<()> {
        self.note(format!("s3 policy {bucket} {policy}"));
        Ok(())
    }

    async fn subscribe(&self, subscription: &Subscription) -> Answer<String> {
        self.note(format!("sns {subscription:?}"));
        Ok(format!("{}:1", subscription.topic_arn))
    }

    fn role(&self, name: &str, properties: &Value) -> Answer<()> {
        self.note(format!("iam role {name} {properties}"));
        Ok(())
    }

    fn managed_policy(&self, arn: &str, properties: &Value) -> Answer<()> {
        self.note(format!("iam policy {arn} {properties}"));
        Ok(())
    }

    fn admit_function(&self, function: &Function) -> Answer<()> {
        self.note(format!("lambda admit {} {}", function.name, function.role_arn));
        Ok(())
    }

    async fn create_bucket(&self, name: &str, versioning: Versioning) -> Answer<()> {
        self.note(format!("s3 create {name} {versioning:?}"));
        Ok(())
    }
}

async fn made(template: &Template) -> Stack {
    Stack::make(&Recorder::default(), template).await.unwrap()
}

/// What an expression comes to, as the value of an output.
async fn output(value: &str) -> Result<String, String> {
    let text = format!(
        r#"
Parameters:
  Stage: {{ Type: String, Default: test }}
  Zones: {{ Type: CommaDelimitedList, Default: "a, b,c" }}
Mappings:
  Sizes:
    test: {{ memory: 128 }}
    prod: {{ memory: 1024 }}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
  IsTest: {{ "Fn::Not": [{{ Condition: IsProd }}] }}
  Both: !And [!Condition IsTest, !Not [!Condition IsProd]]
  Either: !Or [!Condition IsProd, !Equals [1, "1"]]
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties: {{ QueueName: jobs }}
  Topic:
    Type: AWS::SNS::Topic
    Properties: {{ TopicName: mail }}
  Bucket:
    Type: AWS::S3::Bucket
    Properties: {{ BucketName: things }}
  Role:
    Type: AWS::IAM::Role
    Properties: {{ RoleName: worker, AssumeRolePolicyDocument: {{}} }}
Outputs:
  Out:
    Value: {value}
"#
    );
    let template =
        parse(&text).map_err(|problems| problems.iter().map(|one| one.message.clone()).collect::<String>())?;
    Ok(made(&template).await.outputs.remove(0).value)
}

#[tokio::test]
async fn intrinsic_functions_come_to_what_cloudformation_makes_of_them() {
    for (value, expected) in [
        ("!Ref Stage", "test"),
        ("{ Ref: Stage }", "test"),
        ("!Ref AWS::Region", "eu-west-1"),
        ("!Ref Queue", "http://127.0.0.1:4566/111122223333/jobs"),
        ("!GetAtt Queue.Arn", "arn:aws:sqs:eu-west-1:111122223333:jobs"),
        ("!GetAtt [Queue, QueueName]", "jobs"),
        ("{ \"Fn::GetAtt\": Queue.QueueName }", "jobs"),
        ("!Ref Topic", "arn:aws:sns:eu-west-1:111122223333:mail"),
        ("!GetAtt Topic.TopicName", "mail"),
        ("!GetAtt Bucket.Arn", "arn:aws:s3:::things"),
        ("!GetAtt Role.Arn", "arn:aws:iam::111122223333:role/worker"),
        ("!Sub \"${AWS::StackName}-${Stage}-${!Literal}\"", "signalbox-test-${Literal}"),
        ("!Sub \"${Bucket.Arn}/policy/*\"", "arn:aws:s3:::things/policy/*"),
        ("!Sub [\"${Name} in ${AWS::Region}\", { Name: !Ref Bucket }]", "things in eu-west-1"),
        ("!Join [\":\", [a, !Ref Stage, !GetAtt Queue.QueueName]]", "a:test:jobs"),
        ("!Select [1, !Ref Zones]", "b"),
        ("!Select [5, !Split [\":\", !GetAtt Queue.Arn]]", "jobs"),
        ("!Join [\"+\", !Split [\",\", \"x,y\"]]", "x+y"),
        ("!FindInMap [Sizes, !Ref Stage, memory]", "128"),
        ("!If [IsProd, yes-it-is, no]", "no"),
        ("!If [Both, both, not]", "both"),
        ("!If [Either, either, neither]", "either"),
        ("!Join [\"\", [a, !If [IsProd, b, !Ref AWS::NoValue], c]]", "ac"),
        ("true", "true"),
    ] {
        assert_eq!(output(value).await.as_deref(), Ok(expected), "{value}");
    }
}

#[tokio::test]
async fn a_wrong_intrinsic_says_what_it_wants() {
    for (value, expected) in [
        ("!Ref Quue", "there is no parameter and no resource Quue; did you mean Queue?"),
        (
            "!GetAtt Queue.Colour",
            "the local cloud does not follow the attribute Colour of AWS::SQS::Queue; it follows Arn, QueueName, QueueUrl",
        ),
        (
            "!ImportValue other",
            "the local cloud does not follow Fn::ImportValue; there are no other stacks here: use a parameter",
        ),
        ("!Cidr [a, b, c]", "the local cloud does not follow Fn::Cidr"),
        ("!Sub \"${Stage\"", "Fn::Sub wants a } behind every ${"),
        ("!Join [a]", "Fn::Join wants a list of 2 arguments"),
        ("!If [IsPord, a, b]", "there is no condition IsPord; did you mean IsProd?"),
        ("!FindInMap [Sizes, other, memory]", "Mappings has nothing at Sizes, other, memory"),
        ("!Equals [a, b]", "Fn::Equals stands in Conditions and in Fn::If only"),
        ("[a, b]", "the output Out must be a text"),
    ] {
        assert_eq!(output(value).await, Err(expected.to_owned()), "{value}");
    }
}

#[test]
fn everything_that_is_not_followed_is_said_at_once_with_its_place() {
    let text = r#"
AWSTemplateFormatVersion: "2010-09-09"
Transform: [AWS::Serverless-2016-10-31, MyMacro]
Rules: {}
Globals:
  Api: {}
  Function:
    Layers: [a]
Parameters:
  Image: { Type: "AWS::SSM::Parameter::Value<String>" }
  Missing: { Type: String }
Conditions:
  Round: !Not [!Condition Round]
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties: {}
  Nothing: {}
  Nearly:
    Type: AWS::SQS::Qeue
  Queue:
    Type: AWS::SQS::Queue
    CreationPolicy: {}
    DependsOn: Ghost
    Properties:
      VisibilityTimout: 30
      FifoQueue: true
      DelaySeconds: soon
      RedrivePolicy: { maxReceiveCount: 3 }
  Rule:
    Type: AWS::Events::Rule
    Properties:
      EventBusName: other
      Targets:
        - Id: a
          Arn: !GetAtt Queue.Arn
          EcsParameters: {}
  Function:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      CodeUri: functions/trigger
      Timeout: 9000
      VpcConfig: {}
      Policies:
        - SQSPollerPolicy: { QueueName: a }
        - AWSLambdaExecute
      Events:
        Nightly: { Type: Schedule, Properties: { Schedule: rate(1 day) } }
        Queue: { Type: SQS, Properties: { Queue: !GetAtt Queue.Arn, BatchSize: 50, FilterCriteria: {} } }
  Left:
    Type: AWS::SQS::QueuePolicy
    Properties: { Queues: [!Ref Right], PolicyDocument: {} }
    DependsOn: Right
  Right:
    Type: AWS::SQS::Queue
    DependsOn: Left
"#;
    insta::assert_snapshot!(problems(text));
}

#[test]
fn values_that_lambda_would_refuse_are_problems() {
    let text = r#"
Resources:
  Queue: { Type: AWS::SQS::Queue }
  Function:
    Type: AWS::Serverless::Function
    Metadata: { BuildMethod: makefile }
    Properties:
      CodeUri: ./
      Handler: bootstrap
      Runtime: provided.al2023
      Role: arn:aws:iam::111122223333:role/worker
      Timeout: 901
      MemorySize: 64
      LoggingConfig: { LogFormat: JSON }
      Environment: { Variables: { AWS_REGION: eu-west-1, PATH: /opt } }
      Events:
        Jobs: { Type: SQS, Properties: { Queue: !GetAtt Queue.Arn, BatchSize: 50 } }
        More: { Type: SQS, Properties: { Queue: !GetAtt Queue.Arn, BatchSize: 50, MaximumBatchingWindowInSeconds: 301, ScalingConfig: { MaximumConcurrency: 1 } } }
"#;
    insta::assert_snapshot!(problems(text));
}

#[test]
fn what_is_not_yaml_or_not_a_template_is_one_clear_problem() {
    insta::assert_snapshot!(
        [
            "Resources: [",
            "Resources:\n  A: !Rfe B\n",
            "just a text",
            "",
            "Resources:\n  A: {}\n---\nB: {}\n",
            "Resources:\n  Queue: { Type: AWS::SQS::Queue }\n  Queue: { Type: AWS::SQS::Queue }\n",
        ]
        .map(problems)
        .join("\n--\n")
    );
}

const PARAMETERS: &str = r#"
Parameters:
  Level: { Type: String, Default: INFO, AllowedValues: [INFO, DEBUG] }
  Days: { Type: Number, MinValue: 1, MaxValue: 30, Default: 7 }
  Mail: { Type: String, Default: "", AllowedPattern: "^$|^[^@]+@[^@]+$", ConstraintDescription: must be a mail address }
  Secret: { Type: String, NoEcho: true, MinLength: 8, Default: long-enough }
  Ports: { Type: List<Number>, Default: "1,2" }
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties: { QueueName: !Ref Level, DelaySeconds: !Ref Days }
"#;

#[test]
fn a_bad_parameter_is_named_and_a_secret_is_not_shown() {
    let problems = with(
        &[
            ("Level", "LOUD"),
            ("Days", "31"),
            ("Mail", "nobody"),
            ("Secret", "short"),
            ("Ports", "1,x"),
            ("Levle", "INFO"),
        ],
        PARAMETERS,
    )
    .unwrap_err();
    let text = Problems { file: "template.yaml", problems: &problems }.to_string();
    assert!(!text.contains("short\""), "{text}");
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn a_good_parameter_takes_the_place_of_its_default() {
    let template = with(&[("Level", "DEBUG"), ("Days", "3")], PARAMETERS).unwrap();
    let recorder = Recorder::default();
    Stack::make(&recorder, &template).await.unwrap();
    assert_eq!(recorder.told(), r#"sqs CreateQueue {"Attributes":{"DelaySeconds":"3"},"QueueName":"DEBUG"}"#);
}

const FUNCTIONS: &str = r#"
Transform: AWS::Serverless-2016-10-31
Globals:
  Function:
    Runtime: provided.al2023
    Handler: bootstrap
    Timeout: 60
    MemorySize: 256
    Tracing: Active
    Environment:
      Variables: { SHARED: global, LEVEL: INFO }
Resources:
  Queue: { Type: AWS::SQS::Queue }
  Trigger:
    Type: AWS::Serverless::Function
    Metadata: { BuildMethod: rust-cargolambda, BuildProperties: { Binary: trigger } }
    Properties:
      CodeUri: .
      FunctionName: !Sub "${AWS::StackName}-trigger"
      Timeout: "90"
      Environment:
        Variables: { LEVEL: DEBUG, QUEUE: !Ref Queue, TIMES: 3 }
      Policies:
        - arn:aws:iam::aws:policy/ReadOnlyAccess
        - Version: "2012-10-17"
          Statement: [{ Effect: Allow, Action: "s3:GetObject", Resource: "*" }]
      Events:
        Jobs:
          Type: SQS
          Properties:
            Queue: !GetAtt Queue.Arn
            BatchSize: 5
            MaximumBatchingWindowInSeconds: 1
            FunctionResponseTypes: [ReportBatchItemFailures]
            ScalingConfig: { MaximumConcurrency: 2 }
  Notifier:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/notifier/
      Role: arn:aws:iam::111122223333:role/service/notifier
      LoggingConfig: { LogFormat: JSON, ApplicationLogLevel: WARN }
"#;

#[tokio::test]
async fn globals_are_merged_as_sam_does_and_a_function_without_a_role_gets_one() {
    let stack = made(&parse(FUNCTIONS).unwrap()).await;
    let [trigger, notifier] = stack.functions.as_slice() else { panic!("two functions") };
    let variables: Vec<String> = trigger.environment.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let queue = &stack.resources["Queue"];
    assert_eq!(
        variables,
        [
            "LEVEL=DEBUG".to_owned(),
            format!("QUEUE={}", queue.reference),
            "SHARED=global".to_owned(),
            "TIMES=3".to_owned()
        ]
    );
    assert_eq!((trigger.timeout, trigger.memory), (Duration::from_secs(90), 256));
    assert_eq!(notifier.environment["LEVEL"], "INFO");
    assert_eq!(notifier.timeout, Duration::from_secs(60));

    assert_eq!((trigger.name.as_str(), trigger.binary.as_str()), ("signalbox-trigger", "trigger"));
    assert_eq!((notifier.binary.as_str(), notifier.role.as_str()), ("notifier", "notifier"));
    let role = &stack.resources["TriggerRole"];
    assert_eq!(trigger.role, role.name);
    assert_eq!(role.properties["Policies"][0]["PolicyDocument"]["Statement"][0]["Action"], "s3:GetObject");
    assert_eq!(role.properties["ManagedPolicyArns"][2], "arn:aws:iam::aws:policy/ReadOnlyAccess");

    let source = &trigger.sources[0];
    assert_eq!(source.queue_arn, queue.attributes["Arn"]);
    assert_eq!((source.batch_size, source.window, source.concurrency), (5, Duration::from_secs(1), Some(2)));
    assert_eq!((source.failures, source.state), (FailureReport::BatchItems, SourceState::Enabled));
    assert_eq!(notifier.log_group, format!("/aws/lambda/{}", notifier.name));
    assert_eq!(notifier.log_level.as_deref(), Some("WARN"));
}

const WHOLE: &str = r#"
Parameters:
  Email: { Type: String, Default: team@example.com }
Conditions:
  HasEmail: !Not [!Equals [!Ref Email, ""]]
Resources:
  Rule:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: { source: [aws.codecommit], detail: { count: [{ numeric: [">", 0.5] }] } }
      Targets:
        - Id: queue
          Arn: !GetAtt Jobs.Arn
          RetryPolicy: { MaximumRetryAttempts: "185" }
          DeadLetterConfig: { Arn: !GetAtt Dead.Arn }
  Jobs:
    Type: AWS::SQS::Queue
    DependsOn: Bucket
    Properties:
      VisibilityTimeout: 360
      RedrivePolicy: { deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 240 }
  Dead: { Type: AWS::SQS::Queue, Properties: { QueueName: dead } }
  JobsPolicy:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref Jobs]
      PolicyDocument:
        Version: 2012-10-17
        Statement: [{ Effect: Allow, Action: "sqs:SendMessage", Resource: !GetAtt Jobs.Arn, Condition: { ArnEquals: { "aws:SourceArn": !GetAtt Rule.Arn } } }]
  Bucket: { Type: AWS::S3::Bucket, DeletionPolicy: Retain, Properties: { VersioningConfiguration: { Status: Enabled } } }
  Topic: { Type: AWS::SNS::Topic, Properties: { TopicName: mail, DisplayName: Signalbox } }
  Mail:
    Type: AWS::SNS::Subscription
    Condition: HasEmail
    Properties: { TopicArn: !Ref Topic, Protocol: email, Endpoint: !Ref Email, FilterPolicy: { team: [payments] } }
  Logs: { Type: AWS::Logs::LogGroup, Properties: { LogGroupName: /aws/lambda/x, RetentionInDays: 30 } }
  Alarm: { Type: AWS::CloudWatch::Alarm, Properties: { Threshold: 0.5 } }
"#;

#[tokio::test]
async fn resources_are_made_in_the_order_in_which_they_need_each_other() {
    let recorder = Recorder::default();
    Stack::make(&recorder, &parse(WHOLE).unwrap()).await.unwrap();
    insta::assert_snapshot!(recorder.told());
}

#[tokio::test]
async fn a_second_making_finds_the_queues_changes_them_and_takes_stale_targets_away() {
    let template = parse(WHOLE).unwrap();
    let first = made(&template).await;
    let recorder =
        Recorder { queues_are_there: Mutex::new(true), targets_there: vec!["queue", "old"], ..Recorder::default() };
    let second = Stack::make(&recorder, &template).await.unwrap();
    assert_eq!(first.resources["Jobs"].name, second.resources["Jobs"].name);
    let told = recorder.told();
    assert!(
        told.contains(
            r#"sqs SetQueueAttributes {"Attributes":{},"QueueUrl":"http://127.0.0.1:4566/111122223333/dead"}"#
        ),
        "{told}"
    );
    assert!(told.contains(r#""Ids":["old"]"#), "{told}");
}

#[tokio::test]
async fn a_condition_that_does_not_hold_leaves_its_resource_out() {
    let recorder = Recorder::default();
    let template = with(&[("Email", "")], WHOLE).unwrap();
    Stack::make(&recorder, &template).await.unwrap();
    assert!(!recorder.told().contains("Subscription"), "{}", recorder.told());

    let referred = format!("{WHOLE}Outputs:\n  Out:\n    Value: !Ref Mail\n");
    let problems = with(&[("Email", "")], &referred).unwrap_err();
    assert_eq!(problems[0].message, "Mail is left out by its condition; refer to it inside Fn::If");
}
