//! Roles and policies of the template, and what Lambda asks of a function's role before it makes the function.

use std::collections::BTreeMap;

use serde_json::Value;

use super::function::{Function, SourceState, Tracing};
use crate::error::{Answer, ServiceError};
use crate::iam::gate::{QUEUE_ACTIONS, TRACE_ACTIONS, on_queue};
use crate::iam::{Definition, Iam, Need};
use crate::sqs::Sqs;

/// The service that runs functions.
pub(crate) const LAMBDA: &str = "lambda.amazonaws.com";

/// What the properties of an `AWS::IAM::Role` describe.
pub(super) fn definition(properties: &Value) -> Definition {
    let text = |key: &str| properties.get(key).and_then(Value::as_str).map(str::to_owned);
    let list = |key: &str| properties.get(key).and_then(Value::as_array).into_iter().flatten();
    let inline = list("Policies").filter_map(|policy| {
        Some((policy.get("PolicyName")?.as_str()?.to_owned(), policy.get("PolicyDocument")?.clone()))
    });
    Definition {
        path: text("Path").unwrap_or_default(),
        inline: inline.collect(),
        managed: list("ManagedPolicyArns").filter_map(|arn| arn.as_str().map(str::to_owned)).collect(),
        boundary: text("PermissionsBoundary"),
        tags: BTreeMap::new(),
        trust: properties.get("AssumeRolePolicyDocument").cloned(),
        longest_session: properties.get("MaxSessionDuration").and_then(Value::as_i64),
        description: text("Description"),
    }
}

/// What Lambda refuses a function for: a role that it may not assume, or that lacks what Lambda does with it.
pub(super) fn admit_function(iam: &Iam, sqs: &Sqs, function: &Function) -> Answer<()> {
    let refused = |what: String| ServiceError::bad("InvalidParameterValueException", what);
    let Function { role, name, role_arn, .. } = function;
    iam.check_assume_by_service(LAMBDA, role_arn).map_err(|refusal| {
        refused(format!("The role defined for the function cannot be assumed by Lambda. {refusal}"))
    })?;
    let lacks = |action: &str, service: &str, refusal: crate::iam::Refusal| {
        refused(format!(
            "The provided execution role does not have permissions to call {action} on {service}. {refusal}"
        ))
    };
    if function.tracing == Tracing::Active {
        for action in TRACE_ACTIONS {
            iam.check_session(role, name, &Need::new(format!("xray:{action}"), "*"), None)
                .map_err(|refusal| lacks(action, "XRAY", refusal))?;
        }
    }
    for source in function.sources.iter().filter(|source| source.state == SourceState::Enabled) {
        let policy = sqs.policy(&source.queue_arn);
        for action in QUEUE_ACTIONS {
            iam.check_session(role, name, &on_queue(action, &source.queue_arn), policy.as_deref())
                .map_err(|refusal| lacks(action, "SQS", refusal))?;
        }
    }
    Ok(())
}
