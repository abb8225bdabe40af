//! The one place where the stack speaks to the services.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::function::Function;
use super::roles;
use crate::auth::Caller;
use crate::cloud::Cloud;
use crate::error::{Answer, ServiceError};
use crate::http::Parameters;
use crate::s3::{Setting, Versioning};

/// What a stack needs of a cloud.
///
/// A trait, so that the making can be watched in a test without any service.
pub(super) trait Services: Send + Sync {
    /// One operation of EventBridge.
    fn events(&self, operation: &'static str, input: Value) -> impl Future<Output = Answer<Value>> + Send;
    /// One operation of CloudWatch Logs.
    fn logs(&self, operation: &'static str, input: Value) -> impl Future<Output = Answer<Value>> + Send;
    /// One operation of SQS.
    fn sqs(&self, operation: &'static str, input: Value) -> impl Future<Output = Answer<Value>> + Send;
    /// Makes a topic, or finds it; gives its ARN.
    fn create_topic(&self, name: &str) -> impl Future<Output = Answer<String>> + Send;
    /// Gives a topic an attribute, for instance its policy.
    fn set_topic(
        &self,
        topic_arn: &str,
        attribute: &'static str,
        value: &str,
    ) -> impl Future<Output = Answer<()>> + Send;
    /// Subscribes an endpoint, or finds the subscription; gives its ARN.
    fn subscribe(&self, subscription: &Subscription) -> impl Future<Output = Answer<String>> + Send;
    /// Makes a bucket, or finds it.
    fn create_bucket(&self, name: &str, versioning: Versioning) -> impl Future<Output = Answer<()>> + Send;
    /// Makes a role, or changes it.
    fn role(&self, name: &str, properties: &Value) -> Answer<()>;
    /// Makes a managed policy, or changes it, and hangs it on its roles.
    fn managed_policy(&self, arn: &str, properties: &Value) -> Answer<()>;
    /// What Lambda looks at before it makes a function.
    fn admit_function(&self, function: &Function) -> Answer<()>;
    /// Gives a bucket its policy.
    fn set_bucket_policy(&self, bucket: &str, policy: &str) -> impl Future<Output = Answer<()>> + Send;
}

/// A subscription to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subscription {
    pub(super) topic_arn: String,
    pub(super) protocol: String,
    pub(super) endpoint: String,
    /// `FilterPolicy`, `RawMessageDelivery` and their like, as texts.
    pub(super) attributes: BTreeMap<String, String>,
}

/// A cloud, and as whom the stack calls it.
#[derive(Debug)]
pub(super) struct Deployer<'a> {
    pub(super) cloud: &'a Cloud,
    pub(super) caller: Caller,
}

impl Services for Deployer<'_> {
    async fn events(&self, operation: &'static str, input: Value) -> Answer<Value> {
        self.cloud.eventbridge.call(operation, input, &self.caller).await
    }

    async fn logs(&self, operation: &'static str, input: Value) -> Answer<Value> {
        self.cloud.logs.call(operation, input).await
    }

    async fn sqs(&self, operation: &'static str, input: Value) -> Answer<Value> {
        self.cloud.sqs.call(operation, input, &self.caller).await
    }

    async fn create_topic(&self, name: &str) -> Answer<String> {
        self.cloud.sns.create_topic(name)
    }

    async fn set_topic(&self, topic_arn: &str, attribute: &'static str, value: &str) -> Answer<()> {
        let parameters =
            Parameters::of([("TopicArn", topic_arn), ("AttributeName", attribute), ("AttributeValue", value)]);
        self.cloud.sns.call("SetTopicAttributes", &parameters, &self.caller).await.map(|_| ())
    }

    async fn subscribe(&self, subscription: &Subscription) -> Answer<String> {
        let Subscription { topic_arn, protocol, endpoint, attributes } = subscription;
        self.cloud.sns.subscribe(topic_arn, protocol, endpoint, attributes.clone())
    }

    async fn create_bucket(&self, name: &str, versioning: Versioning) -> Answer<()> {
        self.cloud.s3.create_bucket(name, versioning)
    }

    fn role(&self, name: &str, properties: &Value) -> Answer<()> {
        self.cloud.world.iam.put_role(name, roles::definition(properties))
    }

    fn managed_policy(&self, arn: &str, properties: &Value) -> Answer<()> {
        let names = |whose: &str| -> Vec<String> {
            let list = properties.get(whose).and_then(Value::as_array).into_iter().flatten();
            list.filter_map(|name| name.as_str().map(str::to_owned)).collect()
        };
        let iam = &self.cloud.world.iam;
        if let Some(group) = names("Groups").first() {
            let what = format!("The group with name {group} cannot be found: the local cloud has none.");
            return Err(ServiceError::with_status(404, "NoSuchEntity", what));
        }
        let document = properties.get("PolicyDocument").unwrap_or(&Value::Null);
        iam.put_managed_policy(arn, document, &names("Roles"))?;
        names("Users").iter().try_for_each(|user| iam.attach_user_policy(user, arn))
    }

    fn admit_function(&self, function: &Function) -> Answer<()> {
        roles::admit_function(&self.cloud.world.iam, &self.cloud.sqs, function)
    }

    async fn set_bucket_policy(&self, bucket: &str, policy: &str) -> Answer<()> {
        self.cloud.s3.set(bucket, Setting::Policy, policy)
    }
}

/// Makes a queue, or finds it and gives it these attributes; its URL.
pub(super) async fn queue(services: &impl Services, name: &str, attributes: &Value) -> Answer<String> {
    let made = services.sqs("CreateQueue", json!({ "QueueName": name, "Attributes": attributes })).await;
    let url = |answer: &Value| answer.get("QueueUrl").and_then(Value::as_str).unwrap_or_default().to_owned();
    match made {
        Ok(answer) => Ok(url(&answer)),
        Err(refused) if is_code(&refused, &["QueueNameExists", "QueueAlreadyExists"]) => {
            let found = url(&services.sqs("GetQueueUrl", json!({ "QueueName": name })).await?);
            services.sqs("SetQueueAttributes", json!({ "QueueUrl": found, "Attributes": attributes })).await?;
            Ok(found)
        }
        Err(refused) => Err(refused),
    }
}

/// Makes a log group, or finds it.
pub(super) async fn log_group(services: &impl Services, name: &str) -> Answer<()> {
    match services.logs("CreateLogGroup", json!({ "logGroupName": name })).await {
        Err(refused) if !is_code(&refused, &["ResourceAlreadyExistsException"]) => Err(refused),
        _ => Ok(()),
    }
}

/// Makes or changes a rule and its targets; targets that are no longer named are taken away.
pub(super) async fn rule(services: &impl Services, name: &str, rule: Value, targets: Value) -> Answer<()> {
    services.events("PutRule", rule).await?;
    let wanted: Vec<&str> =
        targets.as_array().into_iter().flatten().filter_map(|target| target.get("Id")?.as_str()).collect();
    let there = target_ids(services, name).await?;
    let stale: Vec<String> = there.into_iter().filter(|id| !wanted.contains(&id.as_str())).collect();
    if !stale.is_empty() {
        services.events("RemoveTargets", json!({ "Rule": name, "Ids": stale })).await?;
    }
    if !wanted.is_empty() {
        let answer = services.events("PutTargets", json!({ "Rule": name, "Targets": targets })).await?;
        if answer.get("FailedEntryCount").and_then(Value::as_u64).unwrap_or_default() > 0 {
            let entries = answer.get("FailedEntries").cloned().unwrap_or_default();
            return Err(ServiceError::bad("ValidationException", format!("targets of {name} were refused: {entries}")));
        }
    }
    Ok(())
}

/// Makes an archive, or finds it and changes it; its bus stays.
pub(super) async fn archive(services: &impl Services, mut input: Map<String, Value>) -> Answer<()> {
    match services.events("CreateArchive", input.clone().into()).await {
        Err(refused) if is_code(&refused, &["ResourceAlreadyExistsException"]) => {
            input.remove("EventSourceArn");
            services.events("UpdateArchive", input.into()).await.map(|_| ())
        }
        made => made.map(|_| ()),
    }
}

/// Takes a rule away that the template no longer has.
pub(super) async fn delete_stale_rule(services: &impl Services, name: &str) -> Answer<()> {
    let ids = match target_ids(services, name).await {
        Err(refused) if is_code(&refused, &["ResourceNotFoundException"]) => return Ok(()),
        ids => ids?,
    };
    if !ids.is_empty() {
        services.events("RemoveTargets", json!({ "Rule": name, "Ids": ids })).await?;
    }
    services.events("DeleteRule", json!({ "Name": name })).await.map(|_| ())
}

/// Takes a rule away because its stack goes.
pub(crate) async fn delete_rule(cloud: &Cloud, caller: &Caller, name: &str) -> Answer<()> {
    delete_stale_rule(&Deployer { cloud, caller: caller.clone() }, name).await
}

async fn target_ids(services: &impl Services, rule: &str) -> Answer<Vec<String>> {
    let mut ids = Vec::new();
    let mut input = json!({ "Rule": rule });
    loop {
        let answer = services.events("ListTargetsByRule", input).await?;
        let targets = answer.get("Targets").and_then(Value::as_array).into_iter().flatten();
        ids.extend(targets.filter_map(|target| target.get("Id")?.as_str().map(str::to_owned)));
        match answer.get("NextToken").and_then(Value::as_str) {
            Some(token) => input = json!({ "Rule": rule, "NextToken": token }),
            None => return Ok(ids),
        }
    }
}

fn is_code(refused: &ServiceError, codes: &[&str]) -> bool {
    codes.iter().any(|code| refused.code.rsplit('.').next().is_some_and(|last| last == *code))
}
