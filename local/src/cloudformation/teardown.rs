//! A stack's end: everything that was made is taken away, but for what the template says must stay.

use std::sync::PoisonError;

use serde_json::json;

use super::{CloudFormation, DELETED, Remembered, Resource};
use crate::auth::Caller;
use crate::cloud::Cloud;
use crate::error::{Answer, ServiceError};
use crate::http::Parameters;
use crate::s3::Setting;
use crate::template::{OnDeletion, delete_rule};

/// Codes that mean: it is gone already.
const GONE: &[&str] = &["QueueDoesNotExist", "ResourceNotFoundException", "NotFound", "NoSuchBucket"];

impl CloudFormation {
    /// Deletes a stack; one that is not there is fine, as on AWS.
    pub(super) async fn delete_stack(&self, cloud: &Cloud, name_or_id: &str) -> Answer<String> {
        let stack = match self.find(name_or_id) {
            Ok(stack) if !stack.is_deleted() => stack,
            _ => return Ok(String::new()),
        };
        let caller = Caller {
            arn: format!("arn:aws:sts::{}:assumed-role/cloudformation/{}", self.world.account, stack.name),
            access_key_id: String::new(),
        };
        let mut failed = Vec::new();
        // What was made last needs what was made before it.
        for resource in stack.resources.iter().rev().filter(|one| one.status != DELETED) {
            let (status, reason) = match resource.on_deletion {
                OnDeletion::Retain => ("DELETE_SKIPPED", None),
                OnDeletion::Delete => match self.delete_resource(cloud, &caller, resource).await {
                    Err(refused) if !GONE.contains(&refused.code.as_str()) => {
                        failed.push(resource.logical.clone());
                        ("DELETE_FAILED", Some(refused.to_string()))
                    }
                    _ => (DELETED, None),
                },
            };
            self.note(&stack.id, |there, now| {
                for one in there.resources.iter_mut().filter(|one| one.logical == resource.logical) {
                    (one.status, one.reason, one.changed) = (status.to_owned(), reason.clone(), now);
                }
            });
        }
        self.note(&stack.id, |there, now| {
            if failed.is_empty() {
                (there.status, there.reason, there.deleted) = (DELETED.to_owned(), None, Some(now));
            } else {
                there.status = "DELETE_FAILED".to_owned();
                there.reason = Some(format!("The following resource(s) failed to delete: [{}]. ", failed.join(", ")));
            }
        });
        self.save().map_err(|error| ServiceError::internal(format!("{error:#}")))?;
        Ok(String::new())
    }

    fn note(&self, id: &str, change: impl FnOnce(&mut Remembered, jiff::Timestamp)) {
        let now = self.world.now();
        self.kept.change(|state| {
            if let Some(there) = state.stacks.iter_mut().find(|one| one.id == id) {
                change(there, now);
            }
        });
    }

    async fn delete_resource(&self, cloud: &Cloud, caller: &Caller, resource: &Resource) -> Answer<()> {
        let id = resource.physical.as_str();
        match resource.kind.as_str() {
            "AWS::Lambda::Function" => {
                let switches = self.switches.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(switch) = switches.get(id) {
                    switch.off();
                }
                Ok(())
            }
            "AWS::SQS::Queue" => cloud.sqs.call("DeleteQueue", json!({ "QueueUrl": id }), caller).await.map(drop),
            "AWS::Events::Rule" => delete_rule(cloud, caller, id).await,
            "AWS::SNS::Topic" => {
                let topic = Parameters::of([("TopicArn", id)]);
                cloud.sns.call("DeleteTopic", &topic, caller).await.map(drop)
            }
            "AWS::SNS::Subscription" => {
                let subscription = Parameters::of([("SubscriptionArn", id)]);
                cloud.sns.call("Unsubscribe", &subscription, caller).await.map(drop)
            }
            "AWS::S3::Bucket" => cloud.s3.delete_bucket(id),
            "AWS::S3::BucketPolicy" => self.delete_bucket_policy(cloud, resource),
            "AWS::Logs::LogGroup" => cloud.logs.call("DeleteLogGroup", json!({ "logGroupName": id })).await.map(drop),
            // A queue's or a topic's policy goes with it; roles, alarms and metrics are only told of here.
            _ => Ok(()),
        }
    }

    /// The bucket outlives its policy: `OnlyTheAdministratorWritesPolicy` must not bind whoever empties it.
    fn delete_bucket_policy(&self, cloud: &Cloud, policy: &Resource) -> Answer<()> {
        let named = self.kept.read(|state| {
            let stack = state.stacks.iter().rev().find(|stack| {
                stack.resources.iter().any(|one| one.logical == policy.logical && one.physical == policy.physical)
            });
            let buckets = stack.into_iter().flat_map(|stack| &stack.resources);
            buckets.filter(|one| one.kind == "AWS::S3::Bucket").map(|one| one.physical.clone()).collect::<Vec<_>>()
        });
        for bucket in named {
            cloud.s3.forget(&bucket, Setting::Policy)?;
        }
        Ok(())
    }
}
