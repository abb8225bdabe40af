//! CloudFormation: a stack found by its name, what is in it, and its end.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::{Stack, StackStatus};
use jiff::Timestamp;

use crate::failure::{sort, timestamp};
use crate::{Aws, Failure};

/// Reads and deletes stacks.
#[derive(Debug, Clone)]
pub struct Stacks {
    client: Client,
}

/// A stack as CloudFormation tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackDescription {
    /// The stack's own id, an ARN: it stays its name after the stack is deleted.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Such as `UPDATE_COMPLETE`.
    pub status: String,
    /// Why it is so.
    pub reason: Option<String>,
    /// When it was made or changed last.
    pub changed: Option<Timestamp>,
    /// Its outputs.
    pub outputs: BTreeMap<String, String>,
}

/// A stack that is gone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeletedStack {
    /// When it was deleted.
    pub deleted: Option<Timestamp>,
    /// Its id, an ARN.
    pub id: String,
}

/// One resource of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackResource {
    /// Its name in the template.
    pub logical_id: String,
    /// Its name in the account; a queue's is its URL.
    pub physical_id: Option<String>,
    /// Its type, such as `AWS::SQS::Queue`.
    pub kind: String,
    /// Such as `CREATE_COMPLETE`; `DELETE_SKIPPED` for what outlived its stack.
    pub status: String,
    /// Why it is so.
    pub reason: Option<String>,
}

impl Stacks {
    /// A reader.
    pub fn new(aws: &Aws) -> Self {
        Self { client: Client::new(&aws.config) }
    }

    /// A stack by its name, or, also a deleted one, by its id; `None` where there is none.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn find(&self, name_or_id: &str) -> Result<Option<StackDescription>, Failure> {
        let doing = format!("cloudformation:DescribeStacks on {name_or_id}");
        match self.client.describe_stacks().stack_name(name_or_id).send().await {
            Ok(answer) => Ok(answer.stacks.unwrap_or_default().into_iter().next().map(described)),
            Err(error) => match sort(doing, error) {
                // The code stands for every wrong input; only the sentence tells.
                gone if gone.code() == Some("ValidationError") && gone.to_string().contains("does not exist") => {
                    Ok(None)
                }
                failure => Err(failure),
            },
        }
    }

    /// The stacks of this name that were deleted within ninety days, the last one first.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn deleted(&self, name: &str) -> Result<Vec<DeletedStack>, Failure> {
        let mut found = Vec::new();
        let mut next = None;
        loop {
            let request = self.client.list_stacks().stack_status_filter(StackStatus::DeleteComplete);
            let answer = request.set_next_token(next).send().await;
            let answer = answer.map_err(|error| sort("cloudformation:ListStacks", error))?;
            for stack in answer.stack_summaries.unwrap_or_default() {
                if stack.stack_name.as_deref() == Some(name)
                    && let Some(id) = stack.stack_id
                {
                    found.push(DeletedStack { deleted: timestamp(stack.deletion_time), id });
                }
            }
            next = answer.next_token;
            if next.is_none() {
                found.sort();
                found.reverse();
                return Ok(found);
            }
        }
    }

    /// Everything in a stack, also in a deleted one that is named by its id.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn resources(&self, name_or_id: &str) -> Result<Vec<StackResource>, Failure> {
        let doing = format!("cloudformation:ListStackResources on {name_or_id}");
        let mut found = Vec::new();
        let mut next = None;
        loop {
            let request = self.client.list_stack_resources().stack_name(name_or_id).set_next_token(next);
            let answer = request.send().await.map_err(|error| sort(&doing, error))?;
            for one in answer.stack_resource_summaries.unwrap_or_default() {
                found.push(StackResource {
                    logical_id: one.logical_resource_id.unwrap_or_default(),
                    physical_id: one.physical_resource_id.filter(|id| !id.is_empty()),
                    kind: one.resource_type.unwrap_or_default(),
                    status: one.resource_status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
                    reason: one.resource_status_reason,
                });
            }
            next = answer.next_token;
            if next.is_none() {
                return Ok(found);
            }
        }
    }

    /// Asks for a stack to be deleted; [`Stacks::find`] by its id tells how far that is.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn delete(&self, id: &str) -> Result<(), Failure> {
        let answer = self.client.delete_stack().stack_name(id).send().await;
        answer.map(drop).map_err(|error| sort(format!("cloudformation:DeleteStack on {id}"), error))
    }
}

fn described(stack: Stack) -> StackDescription {
    let outputs = stack.outputs.unwrap_or_default().into_iter();
    StackDescription {
        id: stack.stack_id.unwrap_or_default(),
        name: stack.stack_name.unwrap_or_default(),
        status: stack.stack_status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
        reason: stack.stack_status_reason,
        changed: timestamp(stack.last_updated_time).or_else(|| timestamp(stack.creation_time)),
        outputs: outputs.filter_map(|output| output.output_key.zip(output.output_value)).collect(),
    }
}
