//! EventBridge: rules, the bus, archives and replays.

use serde_json::Value;

use super::{Input, Need};
use crate::eventbridge::{bus_arn, rule_arn};
use crate::world::World;

pub(super) fn needs(world: &World, operation: &str, input: Input<'_>) -> Option<Vec<Need>> {
    let action = format!("events:{operation}");
    let on = |kind: &str, member: &str| {
        let name = input.text(member);
        Need::new(&action, world.arn("events", &format!("{kind}/{name}")))
    };
    let given = |member: &str| Some(input.text(member)).filter(|name| !name.is_empty());
    let on_rule = |member: &str| Need::new(&action, rule_arn(world, given("EventBusName"), input.text(member)));
    let need = match operation {
        "DeleteRule" | "DescribeRule" | "DisableRule" | "EnableRule" | "PutRule" => on_rule("Name"),
        "ListTargetsByRule" | "RemoveTargets" => on_rule("Rule"),
        "PutTargets" => {
            let mut need = on_rule("Rule");
            let arns = input.list("Targets").iter().filter_map(|target| target.get("Arn")?.as_str().map(str::to_owned));
            need.context = need.context.with_all("events:TargetArn", arns);
            need
        }
        "PutEvents" => return Some(put_events(world, &action, input.list("Entries"))),
        "CreateArchive" | "DeleteArchive" | "DescribeArchive" | "UpdateArchive" => on("archive", "ArchiveName"),
        "CancelReplay" | "DescribeReplay" | "StartReplay" => on("replay", "ReplayName"),
        "DescribeEventBus" => Need::new(&action, bus_arn(world, given("Name"))),
        "ListArchives"
        | "ListEventBuses"
        | "ListReplays"
        | "ListRuleNamesByTarget"
        | "ListRules"
        | "TestEventPattern" => Need::new(&action, "*"),
        _ => return None,
    };
    Some(vec![need])
}

/// Each entry for itself: what it says of its source and kind can be a condition.
fn put_events(world: &World, action: &str, entries: &[Value]) -> Vec<Need> {
    let mut needs: Vec<Need> = Vec::new();
    for entry in entries {
        let text = |name: &str| entry.get(name).and_then(Value::as_str);
        let mut need = Need::new(action, bus_arn(world, text("EventBusName")));
        need.context =
            need.context.with_if("events:source", text("Source")).with_if("events:detail-type", text("DetailType"));
        needs.push(need);
    }
    needs
}
