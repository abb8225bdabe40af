//! CloudWatch Logs: groups, and the streams in them.
//!
//! What is done to a group is asked of `log-group:NAME:log-stream:` with no stream behind it, which is what a policy's
//! `log-group:NAME:*` names.

use super::{Input, Need};
use crate::world::World;

pub(super) fn needs(world: &World, operation: &str, input: Input<'_>) -> Option<Vec<Need>> {
    let group = || {
        let named = input.text("logGroupName");
        let named = if named.is_empty() { input.text("logGroupIdentifier") } else { named };
        // An identifier may be the group's ARN.
        let named = named.split_once(":log-group:").map_or(named, |(_, name)| name.trim_end_matches(":*"));
        named.to_owned()
    };
    let (action, group, name) = match operation {
        "CreateLogStream" | "GetLogEvents" | "PutLogEvents" => (operation, group(), input.text("logStreamName")),
        "CreateLogGroup" | "DeleteLogGroup" | "DescribeLogStreams" | "FilterLogEvents" => (operation, group(), ""),
        "DescribeLogGroups" => (operation, input.text("logGroupNamePrefix").to_owned(), ""),
        _ => return None,
    };
    Some(vec![on_stream(world, action, &group, name)])
}

/// An action on a stream of a group; on the group itself with no stream.
pub(crate) fn on_stream(world: &World, action: &str, group: &str, stream: &str) -> Need {
    Need::new(format!("logs:{action}"), world.arn("logs", &format!("log-group:{group}:log-stream:{stream}")))
}
