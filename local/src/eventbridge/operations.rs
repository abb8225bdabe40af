//! The operations of the JSON protocol.
//!
//! Every input is a struct that knows all members it honours; one that it does not know is refused, never ignored.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::rules::{Rule, RuleState, Target, check_name, invalid, parse_pattern};
use super::{EventBridge, bus_arn, no_such_bus, no_such_rule};
use crate::auth::Caller;
use crate::error::{Answer, ServiceError};
use crate::paging::Order;

/// The operations that are offered here.
pub const OPERATIONS: &[&str] = &[
    "CancelReplay",
    "CreateArchive",
    "DeleteArchive",
    "DeleteRule",
    "DescribeArchive",
    "DescribeEventBus",
    "DescribeReplay",
    "DescribeRule",
    "DisableRule",
    "EnableRule",
    "ListArchives",
    "ListEventBuses",
    "ListReplays",
    "ListRuleNamesByTarget",
    "ListRules",
    "ListTargetsByRule",
    "PutEvents",
    "PutRule",
    "PutTargets",
    "RemoveTargets",
    "StartReplay",
    "TestEventPattern",
    "UpdateArchive",
];

/// The largest page of a listing, as on AWS.
const LARGEST_PAGE: usize = 100;

/// What an event that is tested against a pattern must have.
const MANDATORY: [&str; 7] = ["id", "account", "source", "time", "region", "resources", "detail-type"];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct PutRule {
    name: Option<String>,
    event_pattern: Option<String>,
    schedule_expression: Option<String>,
    #[serde(default)]
    state: RuleState,
    description: Option<String>,
    event_bus_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct OneRule {
    name: Option<String>,
    event_bus_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct DeleteRule {
    name: Option<String>,
    event_bus_name: Option<String>,
    /// It only matters for rules that other services manage, and there are none.
    #[serde(rename = "Force")]
    _force: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ListRules {
    name_prefix: Option<String>,
    event_bus_name: Option<String>,
    next_token: Option<String>,
    limit: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct PutTargets {
    rule: Option<String>,
    event_bus_name: Option<String>,
    targets: Option<Vec<Target>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct RemoveTargets {
    rule: Option<String>,
    event_bus_name: Option<String>,
    ids: Option<Vec<String>>,
    #[serde(rename = "Force")]
    _force: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ListTargets {
    rule: Option<String>,
    event_bus_name: Option<String>,
    next_token: Option<String>,
    limit: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ListRuleNames {
    target_arn: Option<String>,
    event_bus_name: Option<String>,
    next_token: Option<String>,
    limit: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct DescribeEventBus {
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ListEventBuses {
    name_prefix: Option<String>,
    next_token: Option<String>,
    limit: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct TestEventPattern {
    event_pattern: Option<String>,
    event: Option<String>,
}

/// A rule as the protocol shows it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ShownRule<'a> {
    name: &'a str,
    arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_pattern: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule_expression: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: &'a Option<String>,
    state: RuleState,
    event_bus_name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<&'a str>,
}

pub(super) fn parse<T: DeserializeOwned>(input: Value) -> Answer<T> {
    crate::input::read(input, "ValidationException")
}

pub(super) fn required<T>(value: Option<T>, name: &str) -> Answer<T> {
    value.ok_or_else(|| {
        invalid(format!(
            "1 validation error detected: Value at '{name}' failed to satisfy constraint: Member must not be null"
        ))
    })
}

pub(super) fn rendered(value: impl Serialize) -> Answer<Value> {
    serde_json::to_value(value).map_err(ServiceError::internal)
}

impl EventBridge {
    /// Answers one operation of the JSON protocol.
    ///
    /// # Errors
    /// AWS's codes.
    pub async fn call(&self, operation: &str, input: Value, _caller: &Caller) -> Answer<Value> {
        match operation {
            "CancelReplay" => self.cancel_replay(parse(input)?),
            "CreateArchive" => self.create_archive(parse(input)?),
            "DeleteArchive" => self.delete_archive(parse(input)?),
            "DeleteRule" => self.delete_rule(parse(input)?),
            "DescribeArchive" => self.describe_archive(parse(input)?),
            "DescribeEventBus" => self.describe_event_bus(&parse(input)?),
            "DescribeReplay" => self.describe_replay(parse(input)?),
            "DescribeRule" => self.describe_rule(parse(input)?),
            "DisableRule" => self.set_state(parse(input)?, RuleState::Disabled),
            "EnableRule" => self.set_state(parse(input)?, RuleState::Enabled),
            "ListArchives" => self.list_archives(&parse(input)?),
            "ListEventBuses" => self.list_event_buses(parse(input)?),
            "ListReplays" => self.list_replays(&parse(input)?),
            "ListRuleNamesByTarget" => self.list_rule_names_by_target(parse(input)?),
            "ListRules" => self.list_rules(parse(input)?),
            "ListTargetsByRule" => self.list_targets_by_rule(parse(input)?),
            "PutEvents" => self.put_events(parse(input)?),
            "PutRule" => self.put_rule_call(parse(input)?),
            "PutTargets" => self.put_targets(parse(input)?),
            "RemoveTargets" => self.remove_targets(parse(input)?),
            "StartReplay" => self.start_replay(parse(input)?),
            "TestEventPattern" => test_event_pattern(parse(input)?),
            "UpdateArchive" => self.update_archive(parse(input)?),
            unknown => Err(ServiceError::unknown_operation("events", unknown)),
        }
    }

    pub(super) fn is_default_bus(&self, bus: &str) -> bool {
        super::bus::is_default(&self.world, Some(bus))
    }

    fn check_bus(&self, bus: Option<&str>) -> Answer<()> {
        match bus.filter(|bus| !self.is_default_bus(bus)) {
            None => Ok(()),
            Some(bus) => Err(no_such_bus(bus)),
        }
    }

    fn describe_event_bus(&self, input: &DescribeEventBus) -> Answer<Value> {
        if let Some(name) = &input.name {
            check_bus_name("name", name, 1600)?;
        }
        self.check_bus(input.name.as_deref())?;
        Ok(self.default_bus())
    }

    fn list_event_buses(&self, input: ListEventBuses) -> Answer<Value> {
        let prefix = input.name_prefix;
        if let Some(prefix) = &prefix {
            check_bus_name("namePrefix", prefix, 256)?;
        }
        let prefix = prefix.unwrap_or_default();
        let buses = [("default".to_owned(), self.default_bus())];
        let buses = buses.into_iter().filter(|(name, _)| name.starts_with(&prefix)).collect();
        self.listed(("EventBuses", "ListEventBuses", &[&prefix]), buses, input.limit, input.next_token.as_deref())
    }

    fn default_bus(&self) -> Value {
        json!({ "Name": "default", "Arn": bus_arn(&self.world, None) })
    }

    fn put_rule_call(&self, input: PutRule) -> Answer<Value> {
        self.check_bus(input.event_bus_name.as_deref())?;
        let rule = Rule {
            pattern: input.event_pattern,
            schedule: input.schedule_expression,
            description: input.description,
            state: input.state,
            targets: std::collections::BTreeMap::new(),
        };
        let arn = self.store(&required(input.name, "name")?, rule)?;
        Ok(json!({ "RuleArn": arn }))
    }

    fn show<'a>(&'a self, name: &'a str, rule: &'a Rule) -> ShownRule<'a> {
        ShownRule {
            name,
            arn: self.rule_arn(name),
            event_pattern: &rule.pattern,
            schedule_expression: &rule.schedule,
            description: &rule.description,
            state: rule.state,
            event_bus_name: "default",
            created_by: None,
        }
    }

    fn describe_rule(&self, input: OneRule) -> Answer<Value> {
        self.check_bus(input.event_bus_name.as_deref())?;
        let name = required(input.name, "name")?;
        self.state.read(|state| {
            let rule = state.rules.get(&name).ok_or_else(|| no_such_rule(&name))?;
            rendered(ShownRule { created_by: Some(&self.world.account), ..self.show(&name, rule) })
        })
    }

    fn list_rules(&self, input: ListRules) -> Answer<Value> {
        self.check_bus(input.event_bus_name.as_deref())?;
        let prefix = input.name_prefix;
        if let Some(prefix) = &prefix {
            check_name("namePrefix", prefix)?;
        }
        let prefix = prefix.unwrap_or_default();
        let rules: Vec<(String, Value)> = self.state.read(|state| {
            let named = state.rules.iter().filter(|(name, _)| name.starts_with(&prefix));
            named.map(|(name, rule)| Ok((name.clone(), rendered(self.show(name, rule))?))).collect::<Answer<_>>()
        })?;
        self.listed(("Rules", "ListRules", &[&prefix]), rules, input.limit, input.next_token.as_deref())
    }

    fn set_state(&self, input: OneRule, state: RuleState) -> Answer<Value> {
        self.check_bus(input.event_bus_name.as_deref())?;
        let name = required(input.name, "name")?;
        let changed = self.with_rule(&name, |rule| std::mem::replace(&mut rule.state, state) != state)?;
        if changed {
            self.reschedule(&name);
        }
        Ok(json!({}))
    }

    fn delete_rule(&self, input: DeleteRule) -> Answer<Value> {
        self.check_bus(input.event_bus_name.as_deref())?;
        let name = required(input.name, "name")?;
        check_name("name", &name)?;
        let has_targets = self.state.read(|state| state.rules.get(&name).is_some_and(|rule| !rule.targets.is_empty()));
        if has_targets {
            return Err(invalid("Rule can't be deleted since it has targets."));
        }
        self.remove_rule(&name);
        Ok(json!({}))
    }

    fn put_targets(&self, input: PutTargets) -> Answer<Value> {
        self.check_bus(input.event_bus_name.as_deref())?;
        let rule = required(input.rule, "rule")?;
        let targets = required(input.targets, "targets")?;
        if !(1..=10).contains(&targets.len()) {
            return Err(invalid(format!("1 to 10 targets can be put at once, not {}.", targets.len())));
        }
        let arns = targets.iter().flat_map(|target| std::iter::once(target.arn.as_str()).chain(target.dead_letters()));
        arns.into_iter().try_for_each(|arn| check_length("targets.member.arn", arn, 1600))?;
        self.store_targets(&rule, targets)?;
        Ok(json!({ "FailedEntryCount": 0, "FailedEntries": [] }))
    }

    fn remove_targets(&self, input: RemoveTargets) -> Answer<Value> {
        self.check_bus(input.event_bus_name.as_deref())?;
        let rule = required(input.rule, "rule")?;
        let ids = required(input.ids, "ids")?;
        if !(1..=100).contains(&ids.len()) {
            return Err(invalid(format!("1 to 100 targets can be removed at once, not {}.", ids.len())));
        }
        ids.iter().try_for_each(|id| check_name("ids", id))?;
        self.with_rule(&rule, |rule| rule.targets.retain(|id, _| !ids.contains(id)))?;
        Ok(json!({ "FailedEntryCount": 0, "FailedEntries": [] }))
    }

    fn list_targets_by_rule(&self, input: ListTargets) -> Answer<Value> {
        self.check_bus(input.event_bus_name.as_deref())?;
        let name = required(input.rule, "rule")?;
        let targets: Vec<(String, Value)> = self.state.read(|state| {
            let rule = state.rules.get(&name).ok_or_else(|| no_such_rule(&name))?;
            rule.targets.iter().map(|(id, target)| Ok((id.clone(), rendered(target)?))).collect::<Answer<_>>()
        })?;
        self.listed(("Targets", "ListTargetsByRule", &[&name]), targets, input.limit, input.next_token.as_deref())
    }

    fn list_rule_names_by_target(&self, input: ListRuleNames) -> Answer<Value> {
        self.check_bus(input.event_bus_name.as_deref())?;
        let arn = required(input.target_arn, "targetArn")?;
        check_length("targetArn", &arn, 1600)?;
        let names: Vec<(String, Value)> = self.state.read(|state| {
            let feeds = |rule: &Rule| rule.targets.values().any(|target| target.arn == arn);
            state.rules.iter().filter(|(_, rule)| feeds(rule)).map(|(name, _)| (name.clone(), json!(name))).collect()
        });
        self.listed(("RuleNames", "ListRuleNamesByTarget", &[&arn]), names, input.limit, input.next_token.as_deref())
    }

    /// One page of what an operation lists, sorted by the items' names, as its `member`.
    pub(super) fn listed(
        &self,
        (member, operation, filters): (&str, &str, &[&str]),
        items: Vec<(String, Value)>,
        limit: Option<i64>,
        token: Option<&str>,
    ) -> Answer<Value> {
        let most = match limit {
            None => LARGEST_PAGE,
            Some(limit) => {
                usize::try_from(limit).ok().filter(|limit| (1..=LARGEST_PAGE).contains(limit)).ok_or_else(|| {
                    invalid(format!(
                        "1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member must have a value from 1 to {LARGEST_PAGE}"
                    ))
                })?
            }
        };
        let listing = self.world.listing(&format!("events:{operation}"), filters);
        let (items, next) = listing
            .page(items, Order::Ascending, most, token)
            .map_err(|_| invalid("Parameter NextToken is not valid. Reason: it is no token of this listing."))?;
        let mut output = Map::from_iter([(member.to_owned(), Value::Array(items))]);
        if let Some(next) = next {
            output.insert("NextToken".to_owned(), json!(next));
        }
        Ok(Value::Object(output))
    }
}

pub(super) fn check_length(member: &str, text: &str, most: usize) -> Answer<()> {
    crate::input::check_length("ValidationException", member, Some(text), 1..=most)
}

/// Whether a text can be the name of a bus or its ARN.
pub(super) fn check_bus_name(member: &str, bus: &str, most: usize) -> Answer<()> {
    check_length(member, bus, most)?;
    if bus.chars().all(|c| c.is_ascii_alphanumeric() || "/.-_:".contains(c)) {
        return Ok(());
    }
    Err(invalid(format!("1 validation error detected: Value '{bus}' at '{member}' is neither a name nor an ARN")))
}

fn test_event_pattern(input: TestEventPattern) -> Answer<Value> {
    let pattern = parse_pattern(&required(input.event_pattern, "eventPattern")?)?;
    let event: Value = serde_json::from_str(&required(input.event, "event")?)
        .map_err(|error| invalid(format!("Parameter Event is not valid. Reason: it is not JSON: {error}")))?;
    if let Some(missing) = MANDATORY.iter().find(|name| event.get(name).is_none()) {
        return Err(invalid(format!("Parameter Event is not valid. Reason: an event must have {missing}.")));
    }
    Ok(json!({ "Result": pattern.matches(&event) }))
}
