//! Which actions an operation needs, on which resources, and what the service says of the request.
//!
//! One file a service, after AWS's service authorization reference. An operation that is not in its file is refused at
//! the gate as one that is not offered, so that none can be forgotten.

mod cloudformation;
mod codebuild;
pub(super) mod codecommit;
mod events;
mod iam;
pub(super) mod logs;
pub(crate) mod s3;
mod secretsmanager;
mod sns;
mod sqs;

use serde_json::Value;

use super::Need;
use crate::http::Parameters;
use crate::world::World;

/// What an operation was called with, in the service's protocol.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Input<'a> {
    /// AWS JSON.
    Json(&'a Value),
    /// AWS Query.
    Form(&'a Parameters),
}

impl<'a> Input<'a> {
    /// A text member.
    fn text(self, name: &str) -> &'a str {
        match self {
            Self::Json(value) => value.get(name).and_then(Value::as_str).unwrap_or_default(),
            Self::Form(parameters) => parameters.get(name).unwrap_or_default(),
        }
    }

    /// The texts of a list member of the JSON protocol.
    fn texts(self, name: &str) -> Vec<&'a str> {
        self.list(name).iter().filter_map(Value::as_str).collect()
    }

    /// A list member of the JSON protocol.
    fn list(self, name: &str) -> &'a [Value] {
        match self {
            Self::Json(value) => value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default(),
            Self::Form(_) => &[],
        }
    }
}

/// What an operation needs; nothing for one that everybody may call, `None` for one that is not known.
pub(super) fn needs(world: &World, service: &str, operation: &str, input: Input<'_>) -> Option<Vec<Need>> {
    match service {
        "cloudformation" => cloudformation::needs(world, operation, input),
        "codebuild" => codebuild::needs(world, operation, input),
        "codecommit" => codecommit::needs(world, operation, input),
        "events" => events::needs(world, operation, input),
        "iam" => iam::needs(world, operation, input),
        "logs" => logs::needs(world, operation, input),
        "secretsmanager" => secretsmanager::needs(world, operation, input),
        "sns" => sns::needs(world, operation, input),
        "sqs" => sqs::needs(world, operation, input),
        // Whoever has keys may ask who that is; a role's trust is asked where the role is assumed.
        "sts" => matches!(operation, "GetCallerIdentity" | "AssumeRole").then(Vec::new),
        _ => None,
    }
}
