//! How a request names a bus, and what the bus and its rules are called.
//!
//! The gate judges what the service acts on, so both ask here.

use crate::world::World;

/// The bus that there is without making one.
const DEFAULT: &str = "default";

/// The ARN of the bus that a request names: by its name, by its ARN, or, naming none, the default one.
pub(crate) fn bus_arn(world: &World, named: Option<&str>) -> String {
    match named.unwrap_or(DEFAULT) {
        arn if arn.starts_with("arn:") => arn.to_owned(),
        name => world.arn("events", &format!("event-bus/{name}")),
    }
}

/// The ARN of a rule of that bus; on the default bus it does not say which.
pub(crate) fn rule_arn(world: &World, bus: Option<&str>, rule: &str) -> String {
    let bus = bus_arn(world, bus);
    match bus.split_once(":event-bus/") {
        Some((owner, DEFAULT)) => format!("{owner}:rule/{rule}"),
        Some((owner, name)) => format!("{owner}:rule/{name}/{rule}"),
        None => world.arn("events", &format!("rule/{bus}/{rule}")),
    }
}

/// Whether a request means the default bus of this account and region.
pub(super) fn is_default(world: &World, named: Option<&str>) -> bool {
    bus_arn(world, named) == bus_arn(world, None)
}
