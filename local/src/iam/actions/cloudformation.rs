//! CloudFormation: everything is done to a stack.

use super::{Input, Need};
use crate::world::World;

pub(super) fn needs(world: &World, operation: &str, input: Input<'_>) -> Option<Vec<Need>> {
    let stack = |name: &str| match name {
        "" => "*".to_owned(),
        arn if arn.starts_with("arn:") => arn.to_owned(),
        name => world.arn("cloudformation", &format!("stack/{name}/*")),
    };
    let resource = match operation {
        "DeleteStack" | "DescribeStackResources" | "DescribeStacks" | "GetTemplate" | "ListStackResources" => {
            stack(input.text("StackName"))
        }
        "ListStacks" => "*".to_owned(),
        _ => return None,
    };
    Some(vec![Need::new(format!("cloudformation:{operation}"), resource)])
}
