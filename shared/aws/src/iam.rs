//! IAM, asked: who there is, and what the policies let them do.

use aws_sdk_iam::Client;
use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, PolicyEvaluationDecisionType};
use signalbox_events::Arn;

use crate::failure::{lacking, sort, unreadable};
use crate::{Aws, Failure};

/// The most users and roles that IAM puts on one page.
const PAGE: i32 = 1000;

/// Asks IAM. Its calls go to the one endpoint that all regions share.
#[derive(Debug, Clone)]
pub struct Iam {
    client: Client,
}

/// What IAM says that a user or role may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Simulated {
    /// It may.
    Allowed,
    /// It may not: something denies it, or nothing allows it.
    Denied,
    /// There is no such user or role any more.
    Gone,
}

impl Iam {
    /// An asker.
    pub fn new(aws: &Aws) -> Self {
        Self { client: Client::new(&aws.config) }
    }

    /// The ARNs of all users and roles of the account, every page of them, users first.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn users_and_roles(&self) -> Result<Vec<Arn>, Failure> {
        let doing = "iam:ListUsers";
        let (mut found, mut marker) = (Vec::new(), None);
        loop {
            let request = self.client.list_users().max_items(PAGE).set_marker(marker);
            let answer = request.send().await.map_err(|error| sort(doing, error))?;
            for user in answer.users {
                found.push(Arn::parse(user.arn).map_err(|error| unreadable(doing, error))?);
            }
            marker = answer.marker.filter(|marker| answer.is_truncated && !marker.is_empty());
            if marker.is_none() {
                break;
            }
        }
        let doing = "iam:ListRoles";
        loop {
            let request = self.client.list_roles().max_items(PAGE).set_marker(marker);
            let answer = request.send().await.map_err(|error| sort(doing, error))?;
            for role in answer.roles {
                found.push(Arn::parse(role.arn).map_err(|error| unreadable(doing, error))?);
            }
            marker = answer.marker.filter(|marker| answer.is_truncated && !marker.is_empty());
            if marker.is_none() {
                return Ok(found);
            }
        }
    }

    /// Whether a user or role may do something; `context` are condition keys with one value each.
    ///
    /// IAM evaluates its policies, its groups' and its permissions boundary, and service control policies without conditions. What a
    /// policy asks for beside `context`, such as an address or a time, is not known then, and does not hold.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn simulate(
        &self,
        principal: &Arn,
        action: &str,
        resource: &Arn,
        context: &[(&str, &str)],
    ) -> Result<Simulated, Failure> {
        let doing = format!("iam:SimulatePrincipalPolicy of {principal}");
        let entries = context.iter().map(|(key, value)| {
            let kind = if matches!(*value, "true" | "false") {
                ContextKeyTypeEnum::Boolean
            } else {
                ContextKeyTypeEnum::String
            };
            ContextEntry::builder().context_key_name(*key).context_key_type(kind).context_key_values(*value).build()
        });
        let request = self
            .client
            .simulate_principal_policy()
            .policy_source_arn(principal.as_str())
            .action_names(action)
            .resource_arns(resource.as_str())
            .set_context_entries(Some(entries.collect()));
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_entity_exception()) => {
                return Ok(Simulated::Gone);
            }
            Err(error) => return Err(sort(doing, error)),
        };
        // One action on one resource is one result.
        let results = answer.evaluation_results.unwrap_or_default();
        let result = results.first().ok_or_else(|| lacking(&doing, "EvaluationResults"))?;
        Ok(match result.eval_decision {
            PolicyEvaluationDecisionType::Allowed => Simulated::Allowed,
            _ => Simulated::Denied,
        })
    }
}
