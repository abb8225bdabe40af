//! `AWS::Serverless::Function`: what Lambda must know of a function, and the role that SAM makes for it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::expression::{Expression, Kind};
use super::problem::{Position, TemplateProblem};
use super::schema;
use super::yaml::Node;
use super::{OnDeletion, Resource, ResourceKind};

/// A function as the stack made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its logical id in the template.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// The name of its binary: `BuildProperties.Binary`, or the folder that `CodeUri` names.
    pub binary: String,
    /// `_HANDLER`; a custom runtime only passes it on.
    pub handler: String,
    /// The template's environment variables with everything put in.
    pub environment: BTreeMap<String, String>,
    /// The name of its role.
    pub role: String,
    /// The ARN of its role.
    pub role_arn: String,
    /// Whether what it does is traced with its role.
    pub tracing: Tracing,
    /// The longest that one invocation may take.
    pub timeout: Duration,
    /// Its memory in MB; told to the function, not enforced.
    pub memory: u32,
    /// The most environments at once, if the template reserves a number.
    pub reserved: Option<usize>,
    /// The log group.
    pub log_group: String,
    /// How its log is written.
    pub log_format: LogFormat,
    /// The least severe line that a JSON log keeps.
    pub log_level: Option<String>,
    /// The queues it is fed from.
    pub sources: Vec<QueueSource>,
}

/// How Lambda writes its own lines, and what it tells the function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum LogFormat {
    /// Plain lines.
    #[default]
    Text,
    /// A JSON object a line.
    #[serde(rename = "JSON")]
    Json,
}

/// `Tracing`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum Tracing {
    /// Lambda sends what it sampled to X-Ray, with the function's role. There is no X-Ray here: only the role is checked.
    Active,
    /// Only what a caller sampled already is traced.
    #[default]
    PassThrough,
}

/// An event source mapping from a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSource {
    /// The queue's ARN.
    pub queue_arn: String,
    /// The most messages in one event.
    pub batch_size: usize,
    /// How long a batch may be gathered.
    pub window: Duration,
    /// Whether the function's answer says which messages failed.
    pub failures: FailureReport,
    /// The most invocations at once, if the template says.
    pub concurrency: Option<usize>,
    /// Whether anything is taken out of the queue.
    pub state: SourceState,
}

/// `FunctionResponseTypes`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureReport {
    /// The batch succeeds or fails as one.
    WholeBatch,
    /// `ReportBatchItemFailures`
    BatchItems,
}

/// `Enabled`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceState {
    /// The queue is polled.
    Enabled,
    /// It is not.
    Disabled,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    handler: String,
    code_uri: Option<String>,
    #[serde(default)]
    environment: Environment,
    role: Option<String>,
    #[serde(default)]
    tracing: Tracing,
    #[serde(default = "three_seconds")]
    timeout: u64,
    #[serde(default = "least_memory")]
    memory_size: u32,
    #[serde(default)]
    events: BTreeMap<String, Event>,
    reserved_concurrent_executions: Option<usize>,
    #[serde(default)]
    logging_config: LoggingConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Environment {
    #[serde(default)]
    variables: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LoggingConfig {
    #[serde(default)]
    log_format: LogFormat,
    application_log_level: Option<String>,
    log_group: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    properties: SqsEvent,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SqsEvent {
    queue: String,
    batch_size: Option<usize>,
    enabled: Option<bool>,
    #[serde(default)]
    function_response_types: Vec<String>,
    #[serde(default)]
    maximum_batching_window_in_seconds: u64,
    scaling_config: Option<ScalingConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ScalingConfig {
    maximum_concurrency: Option<usize>,
}

/// The variables that a template may not set.
const RESERVED: [&str; 16] = [
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_TASK_ROOT",
    "_HANDLER",
];

fn three_seconds() -> u64 {
    3
}

fn least_memory() -> u32 {
    128
}

/// The function that resolved properties describe; `fallback_role` is the role that SAM makes.
pub(super) fn read(
    resource: &Resource,
    properties: Value,
    name: &str,
    arn: &str,
    fallback_role: Option<&str>,
) -> Result<Function, String> {
    let properties = schema::coerce(ResourceKind::Function.shape(), properties, &resource.id)?;
    let properties: Properties =
        serde_json::from_value(properties).map_err(|error| format!("{}: {error}", resource.id))?;
    let binary = binary(resource, properties.code_uri.as_deref()).unwrap_or_default();
    let role = properties.role.as_deref().or(fallback_role).unwrap_or_default();
    Ok(Function {
        id: resource.id.clone(),
        name: name.to_owned(),
        arn: arn.to_owned(),
        binary,
        handler: properties.handler,
        environment: properties.environment.variables,
        role: role.rsplit('/').next().unwrap_or(role).to_owned(),
        role_arn: role.to_owned(),
        tracing: properties.tracing,
        timeout: Duration::from_secs(properties.timeout),
        memory: properties.memory_size,
        reserved: properties.reserved_concurrent_executions,
        log_group: properties.logging_config.log_group.unwrap_or_else(|| format!("/aws/lambda/{name}")),
        log_format: properties.logging_config.log_format,
        log_level: properties.logging_config.application_log_level,
        sources: properties.events.into_values().map(|event| source(event.properties)).collect(),
    })
}

fn source(event: SqsEvent) -> QueueSource {
    let reports = event.function_response_types.iter().any(|kind| kind == "ReportBatchItemFailures");
    QueueSource {
        queue_arn: event.queue,
        batch_size: event.batch_size.unwrap_or(10),
        window: Duration::from_secs(event.maximum_batching_window_in_seconds),
        failures: if reports { FailureReport::BatchItems } else { FailureReport::WholeBatch },
        concurrency: event.scaling_config.and_then(|scaling| scaling.maximum_concurrency),
        state: if event.enabled == Some(false) { SourceState::Disabled } else { SourceState::Enabled },
    }
}

fn binary(resource: &Resource, code_uri: Option<&str>) -> Option<String> {
    let stated = resource.metadata.pointer("/BuildProperties/Binary").and_then(Value::as_str);
    let folder = code_uri.and_then(|uri| uri.trim_end_matches('/').rsplit('/').next());
    stated.or(folder).filter(|name| !name.is_empty() && *name != ".").map(str::to_owned)
}

/// What Lambda would refuse of a function's values.
pub(super) fn check(resource: &Resource, problems: &mut Vec<TemplateProblem>) {
    let at = |path: &[&str]| -> Position {
        let mut here = &resource.properties;
        for key in path {
            match here.get(key) {
                Some(inner) => here = inner,
                None => break,
            }
        }
        if path.is_empty() { resource.at } else { here.at }
    };
    let mut problem = |path: &[&str], message: String| {
        problems.push(TemplateProblem::new(at(path), format!("{}: {message}", resource.id)));
    };
    // What only resources know is not checked here; a wrong shape was reported already.
    let Ok(properties) = resource.properties.resolve(&mut |_| Some("0".to_owned())) else { return };
    if binary(resource, properties.get("CodeUri").and_then(Value::as_str)).is_none() {
        problem(
            &["CodeUri"],
            "CodeUri must name the function's folder, or Metadata.BuildProperties.Binary its binary".to_owned(),
        );
    }
    let build = resource.metadata.get("BuildMethod").and_then(Value::as_str);
    if let Some(other) = build.filter(|method| *method != "rust-cargolambda") {
        problem(&[], format!("the local cloud does not follow the BuildMethod {other}; it follows rust-cargolambda"));
    }
    let logging = properties.get("LoggingConfig");
    if let Some(format) = logging.and_then(|config| config.get("LogFormat")).and_then(Value::as_str)
        && !["Text", "JSON"].contains(&format)
    {
        problem(&["LoggingConfig", "LogFormat"], format!("LogFormat must be Text or JSON, not {format:?}"));
        return;
    }
    let Ok(function) = read(resource, properties, "x", "x", Some("x")) else { return };
    if !(1..=900).contains(&function.timeout.as_secs()) {
        problem(&["Timeout"], "Timeout must be 1 to 900 seconds".to_owned());
    }
    if !(128..=10_240).contains(&function.memory) {
        problem(&["MemorySize"], "MemorySize must be 128 to 10240 MB".to_owned());
    }
    for name in function.environment.keys().filter(|name| RESERVED.contains(&name.as_str())) {
        problem(&["Environment", "Variables"], format!("Lambda sets {name} itself and refuses a template that does"));
    }
    for source in &function.sources {
        let most = if source.window.is_zero() { 10 } else { 10_000 };
        if !(1..=most).contains(&source.batch_size) {
            problem(
                &["Events"],
                format!("BatchSize must be 1 to {most}; more than 10 needs MaximumBatchingWindowInSeconds"),
            );
        }
        if source.window.as_secs() > 300 {
            problem(&["Events"], "MaximumBatchingWindowInSeconds must be 0 to 300".to_owned());
        }
        if source.concurrency.is_some_and(|most| !(2..=1_000).contains(&most)) {
            problem(&["Events"], "MaximumConcurrency must be 2 to 1000".to_owned());
        }
    }
}

/// Whether SAM makes a role for a function.
pub(super) fn wants_role(function: &Node) -> bool {
    function.get("Properties").is_none_or(|properties| properties.get("Role").is_none())
}

/// The logical id of the role that SAM makes for a function.
pub(super) fn role_id(function: &str) -> String {
    format!("{function}Role")
}

/// The role that SAM makes for a function, and the function that waits for it.
pub(super) fn with_role(mut function: Resource, problems: &mut Vec<TemplateProblem>) -> Vec<Resource> {
    let at = function.at;
    let id = role_id(&function.id);
    let mut inline = Vec::new();
    let mut managed = vec![managed_policy(at, "AWSLambdaBasicExecutionRole")];
    if function.properties.get("Events").is_some_and(|events| matches!(&events.kind, Kind::Map(map) if !map.is_empty()))
    {
        managed.push(managed_policy(at, "AWSLambdaSQSQueueExecutionRole"));
    }
    let stated = function.properties.get("Policies");
    let items: Vec<&Expression> = match stated.map(|policies| &policies.kind) {
        Some(Kind::List(items)) => items.iter().collect(),
        Some(_) => stated.into_iter().collect(),
        None => Vec::new(),
    };
    for item in items {
        let is_name = item.known_text().is_some_and(|text| !text.starts_with("arn:"));
        match &item.kind {
            Kind::Map(_) if item.get("Statement").is_some() => {
                let name = Expression::text(at, format!("{id}Policy{}", inline.len()));
                inline.push(Expression {
                    at: item.at,
                    kind: Kind::Map(vec![
                        ("PolicyName".to_owned(), item.at, name),
                        ("PolicyDocument".to_owned(), item.at, item.clone()),
                    ]),
                });
            }
            Kind::Map(_) | Kind::List(_) | Kind::Split(..) => problems.push(TemplateProblem::new(
                item.at,
                format!(
                    "{}: the local cloud does not follow SAM's policy templates; write the Statement out",
                    function.id
                ),
            )),
            _ if is_name => problems.push(TemplateProblem::new(
                item.at,
                format!("{}: name a managed policy by its ARN, or write the Statement out", function.id),
            )),
            _ => managed.push(item.clone()),
        }
    }
    let trust = json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Principal": { "Service": ["lambda.amazonaws.com"] }, "Action": ["sts:AssumeRole"] }],
    });
    let properties = Expression {
        at,
        kind: Kind::Map(vec![
            ("AssumeRolePolicyDocument".to_owned(), at, Expression { at, kind: Kind::Scalar(trust) }),
            ("Policies".to_owned(), at, Expression { at, kind: Kind::List(inline) }),
            ("ManagedPolicyArns".to_owned(), at, Expression { at, kind: Kind::List(managed) }),
        ]),
    };
    let depends_on = properties.references().into_iter().map(|(_, reference)| reference.resource.clone()).collect();
    let role = Resource {
        id: id.clone(),
        kind: ResourceKind::Role,
        at,
        properties,
        depends_on,
        metadata: Value::Null,
        on_deletion: OnDeletion::Delete,
    };
    function.depends_on.insert(id);
    vec![role, function]
}

fn managed_policy(at: Position, name: &str) -> Expression {
    Expression::text(at, format!("arn:aws:iam::aws:policy/service-role/{name}"))
}
