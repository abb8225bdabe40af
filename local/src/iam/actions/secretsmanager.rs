//! Secrets Manager: secrets by the names that they are asked for.

use super::{Input, Need};
use crate::world::World;

/// Stands for the six characters that AWS puts behind a name, which a policy names by question marks or a star.
const BEHIND: &str = "-000000";

pub(super) fn needs(world: &World, operation: &str, input: Input<'_>) -> Option<Vec<Need>> {
    let named = match operation {
        "CreateSecret" => input.text("Name"),
        "GetSecretValue" => input.text("SecretId"),
        _ => return None,
    };
    let resource = match named.starts_with("arn:") {
        true => named.to_owned(),
        false => world.arn("secretsmanager", &format!("secret:{named}{BEHIND}")),
    };
    Some(vec![Need::new(format!("secretsmanager:{operation}"), resource)])
}
