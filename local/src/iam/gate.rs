//! The gate that every signed call passes before it is dispatched, and git's requests before git sees them.

use super::actions::{self, Input, codecommit, logs};
use super::{Need, Refusal};
use crate::auth::Caller;
use crate::cloud::Cloud;
use crate::error::{Answer, ServiceError};
use crate::http::Parameters;
use crate::world::World;

/// Lets a call of the JSON protocol through, or says who may not do what.
pub(crate) fn admit_json(
    cloud: &Cloud,
    service: &str,
    operation: &str,
    input: &serde_json::Value,
    caller: &Caller,
) -> Answer<()> {
    let completed = if service == "codecommit" { cloud.codecommit.completed(input) } else { None };
    admit(cloud, service, operation, Input::Json(completed.as_ref().unwrap_or(input)), caller)
}

/// The same for the Query protocol.
pub(crate) fn admit_form(
    cloud: &Cloud,
    service: &str,
    operation: &str,
    input: &Parameters,
    caller: &Caller,
) -> Answer<()> {
    admit(cloud, service, operation, Input::Form(input), caller)
}

fn admit(cloud: &Cloud, service: &str, operation: &str, input: Input<'_>, caller: &Caller) -> Answer<()> {
    let world = &cloud.world;
    let needs = actions::needs(world, service, operation, input)
        .ok_or_else(|| ServiceError::unknown_operation(service, operation))?;
    for need in needs {
        let policy = match service {
            "sqs" => cloud.sqs.policy(&need.resource),
            "sns" => cloud.sns.policy(&need.resource),
            _ => None,
        };
        world.iam.check(&caller.arn, &need, policy.as_deref()).map_err(|refusal| refusal.into_service(service))?;
    }
    Ok(())
}

/// `git fetch`: whether the caller may pull from a repository.
pub(crate) fn admit_pull(world: &World, repository: &str, caller: &Caller) -> Result<(), Refusal> {
    world.iam.check(&caller.arn, &codecommit::pull(world, repository), None)
}

/// `git push` before its references are known: whether the caller may push to a repository at all.
pub(crate) fn admit_push(world: &World, repository: &str, caller: &Caller) -> Result<(), Refusal> {
    world.iam.check(&caller.arn, &codecommit::push(world, repository, None), None)
}

/// `git push`: whether the caller may change this reference. Each is judged by itself: the condition key holds one.
pub(crate) fn admit_push_to(world: &World, repository: &str, reference: &str, caller: &Caller) -> Result<(), Refusal> {
    world.iam.check(&caller.arn, &codecommit::push(world, repository, Some(reference)), None)
}

/// Whether a role's session may make a log stream and write to it: what a service that writes for it needs.
pub(crate) fn admit_log_stream(
    world: &World,
    role: &str,
    session: &str,
    group: &str,
    stream: &str,
) -> Result<(), Refusal> {
    for action in ["CreateLogStream", "PutLogEvents"] {
        world.iam.check_session(role, session, &logs::on_stream(world, action, group, stream), None)?;
    }
    Ok(())
}

/// What Lambda asks of a function's role for a queue that feeds it.
pub(crate) const QUEUE_ACTIONS: [&str; 3] = ["ReceiveMessage", "DeleteMessage", "GetQueueAttributes"];

/// What Lambda asks of a function's role for active tracing.
pub(crate) const TRACE_ACTIONS: [&str; 2] = ["PutTraceSegments", "PutTelemetryRecords"];

/// An action of SQS on a queue.
pub(crate) fn on_queue(action: &str, queue_arn: &str) -> Need {
    Need::new(format!("sqs:{action}"), queue_arn)
}
