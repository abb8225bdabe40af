//! The stack: a template made real in the local cloud.
//!
//! Making is idempotent, as a deployment is: what is there already is found by its name and changed to what the template
//! says. So a restart in the same folder takes up where the last one ended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::expression::{Reference, Unresolved};
use super::function::{self, Function};
use super::make::{self, Deployer, Services, Subscription};
use super::yaml::scalar_text;
use super::{Pseudo, Resource, ResourceKind, Template, names, schema};
use crate::auth::Caller;
use crate::cloud::Cloud;
use crate::error::ServiceError;
use crate::kept::Kept;
use crate::s3::Versioning;

/// A stack that was made.
#[derive(Debug, Clone)]
pub struct Stack {
    /// Its name.
    pub name: String,
    /// Every resource by its logical id.
    pub resources: BTreeMap<String, Made>,
    /// The outputs in the template's order.
    pub outputs: Vec<Output>,
    /// The functions, ready to be started.
    pub functions: Vec<Function>,
}

/// A resource that was made, or that is kept for those who ask for it.
#[derive(Debug, Clone)]
pub struct Made {
    /// Its type.
    pub kind: ResourceKind,
    /// What `Ref` gives.
    pub reference: String,
    /// Its name.
    pub name: String,
    /// What `Fn::GetAtt` gives.
    pub attributes: BTreeMap<&'static str, String>,
    /// Its properties with everything put in: roles and policies are read from here.
    pub properties: Value,
}

/// An output with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// What it says.
    pub description: Option<String>,
    /// Its value.
    pub value: String,
}

/// Why a stack could not be made.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// A value that only shows to be wrong when the resources are there.
    #[error("{resource}: a value of the template cannot be worked out")]
    Value {
        /// The logical id.
        resource: String,
        /// What is wrong, and where.
        #[source]
        source: Unresolved,
    },
    /// A value of the wrong kind.
    #[error("{what}")]
    Shape {
        /// What is wrong.
        what: String,
    },
    /// A service refused to make it.
    #[error("{resource} ({kind}) could not be made")]
    Refused {
        /// The logical id.
        resource: String,
        /// The type.
        kind: &'static str,
        /// The service's answer.
        #[source]
        source: ServiceError,
    },
    /// The record of what the stack made cannot be read or written.
    #[error("the stack's record cannot be kept")]
    Record(#[source] anyhow::Error),
}

/// What a stack made the last time, so that a rule that is gone from the template can be taken away.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    rules: BTreeMap<String, String>,
}

impl Stack {
    /// Makes everything that the template says, and finds again what is there already.
    ///
    /// # Errors
    /// A service that refuses, a value that cannot be worked out; what was made until then stays.
    pub async fn create(cloud: &Cloud, template: &Template) -> Result<Self, StackError> {
        let record = Kept::<Record>::open(&cloud.world.dir, "stack").map_err(StackError::Record)?;
        let caller = Caller {
            arn: format!(
                "arn:aws:sts::{}:assumed-role/cloudformation/{}",
                template.pseudo.account, template.pseudo.stack_name
            ),
            access_key_id: String::new(),
        };
        let services = Deployer { cloud, caller };
        let stack = Self::make(&services, template).await?;
        let rules: BTreeMap<String, String> = stack
            .resources
            .iter()
            .filter(|(_, made)| made.kind == ResourceKind::Rule)
            .map(|(id, made)| (id.clone(), made.name.clone()))
            .collect();
        let before = record.read(|record| record.rules.clone());
        for (id, name) in before.iter().filter(|(_, name)| !rules.values().any(|rule| rule == *name)) {
            make::delete_stale_rule(&services, name).await.map_err(|source| StackError::Refused {
                resource: id.clone(),
                kind: ResourceKind::Rule.name(),
                source,
            })?;
            tracing::info!(rule = name, "the template no longer has this rule; it is deleted");
        }
        if before != rules {
            record.change(|record| record.rules = rules);
            record.save().map_err(StackError::Record)?;
        }
        Ok(stack)
    }

    pub(super) async fn make(services: &impl Services, template: &Template) -> Result<Self, StackError> {
        let mut stack = Self {
            name: template.pseudo.stack_name.clone(),
            resources: BTreeMap::new(),
            outputs: Vec::new(),
            functions: Vec::new(),
        };
        for resource in &template.resources {
            stack.add(services, &template.pseudo, resource).await?;
        }
        for output in &template.outputs {
            let value = output
                .value
                .resolve(&mut |reference| stack.find(reference))
                .map_err(|source| StackError::Value { resource: format!("the output {}", output.name), source })?;
            stack.outputs.push(Output {
                name: output.name.clone(),
                description: output.description.clone(),
                value: scalar_text(&value).unwrap_or_default(),
            });
        }
        Ok(stack)
    }

    fn find(&self, reference: &Reference) -> Option<String> {
        let made = self.resources.get(&reference.resource)?;
        match &reference.attribute {
            None => Some(made.reference.clone()),
            Some(attribute) => made.attributes.get(attribute.as_str()).cloned(),
        }
    }

    async fn add(&mut self, services: &impl Services, pseudo: &Pseudo, resource: &Resource) -> Result<(), StackError> {
        let properties = resource
            .properties
            .resolve(&mut |reference| self.find(reference))
            .map_err(|source| StackError::Value { resource: resource.id.clone(), source })?;
        let properties = schema::coerce(resource.kind.shape(), properties, &resource.id)
            .map_err(|what| StackError::Shape { what })?;
        let name = resource
            .kind
            .naming()
            .and_then(|(property, _)| properties.get(property)?.as_str().map(str::to_owned))
            .unwrap_or_else(|| names::generated(resource.kind, &pseudo.stack_name, &resource.id));
        let refused =
            |source| StackError::Refused { resource: resource.id.clone(), kind: resource.kind.name(), source };
        let told = Self::tell(services, resource.kind, &name, &properties).await.map_err(refused)?;
        let (reference, attributes) = identity(resource.kind, pseudo, &name, told);
        if resource.kind == ResourceKind::ManagedPolicy {
            services.managed_policy(&reference, &properties).map_err(refused)?;
        }
        if resource.kind == ResourceKind::Function {
            let role = self
                .resources
                .get(&function::role_id(&resource.id))
                .and_then(|made| made.attributes.get("Arn").cloned());
            let arn = attributes.get("Arn").cloned().unwrap_or_default();
            let function = function::read(resource, properties.clone(), &name, &arn, role.as_deref())
                .map_err(|what| StackError::Shape { what })?;
            services.admit_function(&function).map_err(refused)?;
            self.functions.push(function);
        }
        let made = Made { kind: resource.kind, reference, name, attributes, properties };
        self.resources.insert(resource.id.clone(), made);
        Ok(())
    }

    /// Makes one resource; gives what only the service knows: a queue's URL, a subscription's ARN.
    async fn tell(
        services: &impl Services,
        kind: ResourceKind,
        name: &str,
        properties: &Value,
    ) -> Result<String, ServiceError> {
        let text = |key: &str| properties.get(key).and_then(Value::as_str).unwrap_or_default();
        let list = |key: &str| properties.get(key).and_then(Value::as_array).into_iter().flatten();
        let told = match kind {
            ResourceKind::Queue => make::queue(services, name, &queue_attributes(properties)).await?,
            ResourceKind::QueuePolicy => {
                let policy = json_text(properties.get("PolicyDocument"));
                for url in list("Queues") {
                    let input = json!({ "QueueUrl": url, "Attributes": { "Policy": policy } });
                    services.sqs("SetQueueAttributes", input).await?;
                }
                String::new()
            }
            ResourceKind::Rule => {
                let targets = properties.get("Targets").cloned().unwrap_or_else(|| json!([]));
                make::rule(services, name, rule(name, properties), targets).await?;
                String::new()
            }
            ResourceKind::Archive => {
                make::archive(services, archive(name, properties)).await?;
                String::new()
            }
            ResourceKind::Topic => {
                let arn = services.create_topic(name).await?;
                if let Some(display) = properties.get("DisplayName").and_then(Value::as_str) {
                    services.set_topic(&arn, "DisplayName", display).await?;
                }
                for inline in list("Subscription") {
                    services.subscribe(&subscription(&arn, inline)).await?;
                }
                arn
            }
            ResourceKind::TopicPolicy => {
                let policy = json_text(properties.get("PolicyDocument"));
                for topic in list("Topics").filter_map(Value::as_str) {
                    services.set_topic(topic, "Policy", &policy).await?;
                }
                String::new()
            }
            ResourceKind::BucketPolicy => {
                services.set_bucket_policy(text("Bucket"), &json_text(properties.get("PolicyDocument"))).await?;
                String::new()
            }
            ResourceKind::Subscription => services.subscribe(&subscription(text("TopicArn"), properties)).await?,
            ResourceKind::Bucket => {
                let status = properties.pointer("/VersioningConfiguration/Status").and_then(Value::as_str);
                let versioning = if status == Some("Enabled") { Versioning::Enabled } else { Versioning::Off };
                services.create_bucket(name, versioning).await?;
                String::new()
            }
            ResourceKind::LogGroup => {
                make::log_group(services, name).await?;
                String::new()
            }
            ResourceKind::Role => {
                services.role(name, properties)?;
                String::new()
            }
            // Lambda starts functions; a managed policy needs its ARN first; alarms and metrics are kept only.
            ResourceKind::Function | ResourceKind::ManagedPolicy | ResourceKind::Alarm | ResourceKind::MetricFilter => {
                String::new()
            }
        };
        Ok(told)
    }
}

fn json_text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    }
}

/// The queue's properties as the attributes of `CreateQueue`: every value is a text there.
fn queue_attributes(properties: &Value) -> Value {
    const ATTRIBUTES: [&str; 7] = [
        "DelaySeconds",
        "MaximumMessageSize",
        "MessageRetentionPeriod",
        "ReceiveMessageWaitTimeSeconds",
        "RedriveAllowPolicy",
        "RedrivePolicy",
        "VisibilityTimeout",
    ];
    let attributes: Map<String, Value> = ATTRIBUTES
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), Value::String(json_text(Some(properties.get(name)?))))))
        .collect();
    Value::Object(attributes)
}

/// The rule's properties as the input of `PutRule`.
fn rule(name: &str, properties: &Value) -> Value {
    let mut input = Map::new();
    input.insert("Name".to_owned(), Value::from(name));
    if let Some(pattern) = properties.get("EventPattern") {
        input.insert("EventPattern".to_owned(), Value::String(json_text(Some(pattern))));
    }
    for member in ["Description", "ScheduleExpression", "State"] {
        if let Some(value) = properties.get(member) {
            input.insert(member.to_owned(), value.clone());
        }
    }
    Value::Object(input)
}

/// The archive's properties as the input of `CreateArchive`.
fn archive(name: &str, properties: &Value) -> Map<String, Value> {
    let mut input = Map::from_iter([("ArchiveName".to_owned(), Value::from(name))]);
    if let Some(pattern) = properties.get("EventPattern") {
        input.insert("EventPattern".to_owned(), Value::String(json_text(Some(pattern))));
    }
    for (property, member) in
        [("SourceArn", "EventSourceArn"), ("Description", "Description"), ("RetentionDays", "RetentionDays")]
    {
        if let Some(value) = properties.get(property) {
            input.insert(member.to_owned(), value.clone());
        }
    }
    input
}

fn subscription(topic_arn: &str, properties: &Value) -> Subscription {
    const ATTRIBUTES: [&str; 4] = ["FilterPolicy", "FilterPolicyScope", "RawMessageDelivery", "RedrivePolicy"];
    let text = |key: &str| properties.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    Subscription {
        topic_arn: topic_arn.to_owned(),
        protocol: text("Protocol"),
        endpoint: text("Endpoint"),
        attributes: ATTRIBUTES
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), json_text(Some(properties.get(name)?)))))
            .collect(),
    }
}

/// What `Ref` and `Fn::GetAtt` give.
fn identity(kind: ResourceKind, pseudo: &Pseudo, name: &str, told: String) -> (String, BTreeMap<&'static str, String>) {
    let Pseudo { account, region, partition, url_suffix, .. } = pseudo;
    let arn = |service: &str, resource: &str| format!("arn:{partition}:{service}:{region}:{account}:{resource}");
    let global = |service: &str, resource: &str| format!("arn:{partition}:{service}::{account}:{resource}");
    let name = name.to_owned();
    match kind {
        ResourceKind::Function => {
            let arn = arn("lambda", &format!("function:{name}"));
            (name, BTreeMap::from([("Arn", arn)]))
        }
        ResourceKind::Queue => {
            let arn = arn("sqs", &name);
            (told.clone(), BTreeMap::from([("Arn", arn), ("QueueName", name), ("QueueUrl", told)]))
        }
        ResourceKind::Rule => {
            let arn = arn("events", &format!("rule/{name}"));
            (name, BTreeMap::from([("Arn", arn)]))
        }
        ResourceKind::Archive => {
            let arn = arn("events", &format!("archive/{name}"));
            (name.clone(), BTreeMap::from([("Arn", arn), ("ArchiveName", name)]))
        }
        ResourceKind::Topic => (told.clone(), BTreeMap::from([("TopicArn", told), ("TopicName", name)])),
        ResourceKind::Subscription => (told.clone(), BTreeMap::from([("Arn", told)])),
        ResourceKind::Bucket => {
            let attributes = BTreeMap::from([
                ("Arn", format!("arn:{partition}:s3:::{name}")),
                ("DomainName", format!("{name}.s3.{url_suffix}")),
                ("RegionalDomainName", format!("{name}.s3.{region}.{url_suffix}")),
            ]);
            (name, attributes)
        }
        ResourceKind::Role => {
            let arn = global("iam", &format!("role/{name}"));
            let id = format!("AROA{}LOCAL", names::suffix(&pseudo.stack_name, &name));
            (name, BTreeMap::from([("Arn", arn), ("RoleId", id)]))
        }
        ResourceKind::ManagedPolicy => {
            let arn = global("iam", &format!("policy/{name}"));
            (arn.clone(), BTreeMap::from([("PolicyArn", arn)]))
        }
        ResourceKind::Alarm => {
            let arn = arn("cloudwatch", &format!("alarm:{name}"));
            (name, BTreeMap::from([("Arn", arn)]))
        }
        ResourceKind::LogGroup => {
            let arn = arn("logs", &format!("log-group:{name}:*"));
            (name, BTreeMap::from([("Arn", arn)]))
        }
        ResourceKind::QueuePolicy
        | ResourceKind::TopicPolicy
        | ResourceKind::BucketPolicy
        | ResourceKind::MetricFilter => (name, BTreeMap::new()),
    }
}
