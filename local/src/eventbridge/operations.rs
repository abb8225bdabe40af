//! The operations of the JSON protocol.
//!
//! Every input is a struct that knows all members it honours; one that it does not know is refused, never ignored.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::rules::{Rule, RuleState, Target, check_name, invalid, parse_pattern};
use super::{Draft, EventBridge, no_such_rule};
use crate::auth::Caller;
use crate::error::{Answer, ServiceError};
use crate::paging::Order;

/// The operations that are offered here.
pub const OPERATIONS: &[&str] = &[
    "DeleteRule",
    "DescribeRule",
    "DisableRule",
    "EnableRule",
    "ListRuleNamesByTarget",
    "ListRules",
    "ListTargetsByRule",
    "PutEvents",
    "PutRule",
    "PutTargets",
    "RemoveTargets",
    "TestEventPattern",
];

/// The largest page of a listing, as on AWS.
const LARGEST_PAGE: usize = 100;

/// The most entries of one `PutEvents`, as on AWS.
const MOST_ENTRIES: usize = 10;

/// The most bytes that the entries of one `PutEvents` may have together, as AWS counts them.
const LARGEST_REQUEST: usize = 256 * 1024;

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
struct PutEvents {
    entries: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Entry {
    /// Seconds since 1970, as the protocol has it.
    time: Option<f64>,
    source: Option<String>,
    #[serde(default)]
    resources: Vec<String>,
    detail_type: Option<String>,
    detail: Option<String>,
    event_bus_name: Option<String>,
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

/// Why an entry of `PutEvents` was not put on the bus.
struct Refused {
    code: &'static str,
    message: String,
}

fn parse<T: DeserializeOwned>(input: Value) -> Answer<T> {
    crate::input::read(input, "ValidationException")
}

fn required<T>(value: Option<T>, name: &str) -> Answer<T> {
    value.ok_or_else(|| {
        invalid(format!(
            "1 validation error detected: Value at '{name}' failed to satisfy constraint: Member must not be null"
        ))
    })
}

fn rendered(value: impl Serialize) -> Answer<Value> {
    serde_json::to_value(value).map_err(ServiceError::internal)
}

impl EventBridge {
    /// Answers one operation of the JSON protocol.
    ///
    /// # Errors
    /// AWS's codes.
    pub async fn call(&self, operation: &str, input: Value, _caller: &Caller) -> Answer<Value> {
        match operation {
            "DeleteRule" => self.delete_rule(parse(input)?),
            "DescribeRule" => self.describe_rule(parse(input)?),
            "DisableRule" => self.set_state(parse(input)?, RuleState::Disabled),
            "EnableRule" => self.set_state(parse(input)?, RuleState::Enabled),
            "ListRuleNamesByTarget" => self.list_rule_names_by_target(parse(input)?),
            "ListRules" => self.list_rules(parse(input)?),
            "ListTargetsByRule" => self.list_targets_by_rule(parse(input)?),
            "PutEvents" => self.put_events(parse(input)?),
            "PutRule" => self.put_rule_call(parse(input)?),
            "PutTargets" => self.put_targets(parse(input)?),
            "RemoveTargets" => self.remove_targets(parse(input)?),
            "TestEventPattern" => test_event_pattern(parse(input)?),
            unknown => Err(ServiceError::unknown_operation("events", unknown)),
        }
    }

    fn is_default_bus(&self, bus: &str) -> bool {
        bus == "default" || bus == self.world.arn("events", "event-bus/default")
    }

    fn check_bus(&self, bus: Option<&str>) -> Answer<()> {
        match bus.filter(|bus| !self.is_default_bus(bus)) {
            None => Ok(()),
            Some(bus) => Err(ServiceError::bad(
                "ResourceNotFoundException",
                format!("Event bus {bus} does not exist. The local cloud has the default bus only."),
            )),
        }
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
        self.listed(("Rules", "ListRules", &prefix), rules, input.limit, input.next_token.as_deref())
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
        self.listed(("Targets", "ListTargetsByRule", &name), targets, input.limit, input.next_token.as_deref())
    }

    fn list_rule_names_by_target(&self, input: ListRuleNames) -> Answer<Value> {
        self.check_bus(input.event_bus_name.as_deref())?;
        let arn = required(input.target_arn, "targetArn")?;
        check_length("targetArn", &arn, 1600)?;
        let names: Vec<(String, Value)> = self.state.read(|state| {
            let feeds = |rule: &Rule| rule.targets.values().any(|target| target.arn == arn);
            state.rules.iter().filter(|(_, rule)| feeds(rule)).map(|(name, _)| (name.clone(), json!(name))).collect()
        });
        self.listed(("RuleNames", "ListRuleNamesByTarget", &arn), names, input.limit, input.next_token.as_deref())
    }

    /// One page of what an operation lists, sorted by the items' names, as its `member`.
    fn listed(
        &self,
        (member, operation, filter): (&str, &str, &str),
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
        let listing = self.world.listing(&format!("events:{operation}"), &[filter]);
        let (items, next) = listing
            .page(items, Order::Ascending, most, token)
            .map_err(|_| invalid("Parameter NextToken is not valid. Reason: it is no token of this listing."))?;
        let mut output = Map::from_iter([(member.to_owned(), Value::Array(items))]);
        if let Some(next) = next {
            output.insert("NextToken".to_owned(), json!(next));
        }
        Ok(Value::Object(output))
    }

    fn put_events(&self, input: PutEvents) -> Answer<Value> {
        let entries = required(input.entries, "entries")?;
        if !(1..=MOST_ENTRIES).contains(&entries.len()) {
            return Err(invalid(format!(
                "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length from 1 to {MOST_ENTRIES}, not {}",
                entries.len()
            )));
        }
        entries.iter().try_for_each(Entry::check)?;
        let size: usize = entries.iter().map(Entry::size).sum();
        if size > LARGEST_REQUEST {
            return Err(invalid(format!(
                "Total size of the entries in the request is over the limit: {size} bytes, {LARGEST_REQUEST} are allowed."
            )));
        }
        let results: Vec<Result<String, Refused>> = entries.into_iter().map(|entry| self.put_entry(entry)).collect();
        let failed = results.iter().filter(|result| result.is_err()).count();
        let shown: Vec<Value> = results
            .into_iter()
            .map(|result| match result {
                Ok(id) => json!({ "EventId": id }),
                Err(refused) => json!({ "ErrorCode": refused.code, "ErrorMessage": refused.message }),
            })
            .collect();
        Ok(json!({ "FailedEntryCount": failed, "Entries": shown }))
    }

    fn put_entry(&self, entry: Entry) -> Result<String, Refused> {
        let argument = |message: String| Refused { code: "InvalidArgument", message };
        let wanted = |value: Option<String>, name: &str| {
            value.filter(|value| !value.is_empty()).ok_or_else(|| {
                argument(format!("Parameter {name} is not valid. Reason: {name} is a required argument."))
            })
        };
        if let Some(bus) = entry.event_bus_name.filter(|bus| !self.is_default_bus(bus)) {
            return Err(argument(format!(
                "Parameter EventBusName is not valid. Reason: the local cloud has the default bus only, not {bus}."
            )));
        }
        let source = wanted(entry.source, "Source")?;
        let detail_type = wanted(entry.detail_type, "DetailType")?;
        let detail = wanted(entry.detail, "Detail")?;
        if source.starts_with("aws.") {
            return Err(Refused {
                code: "NotAuthorizedForSourceException",
                message: format!("Not authorized for the source {source}: only AWS itself sends as aws.*."),
            });
        }
        if detail_type.chars().count() > 128 {
            return Err(argument(
                "Parameter DetailType is not valid. Reason: it is longer than 128 characters.".to_owned(),
            ));
        }
        let detail: Value = serde_json::from_str(&detail)
            .ok()
            .filter(Value::is_object)
            .ok_or_else(|| Refused { code: "MalformedDetail", message: "Detail is malformed.".to_owned() })?;
        let time = match entry.time {
            None => self.world.now(),
            // Events have no fractions of a second.
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a float too large becomes the largest integer, which is no time"
            )]
            Some(seconds) => Timestamp::from_second(seconds as i64)
                .map_err(|_| argument("Parameter Time is not valid. Reason: it is no time.".to_owned()))?,
        };
        Ok(self.put(&Draft { source: &source, detail_type: &detail_type, resources: entry.resources, time, detail }))
    }
}

impl Entry {
    /// What the model says of an entry: anything else that is wrong with one fails that entry alone.
    fn check(&self) -> Answer<()> {
        self.resources.iter().try_for_each(|resource| check_length("entries.member.resources", resource, 2048))?;
        let Some(bus) = &self.event_bus_name else { return Ok(()) };
        check_length("entries.member.eventBusName", bus, 1600)?;
        if bus.is_empty() || !bus.chars().all(|c| c.is_ascii_alphanumeric() || "/.-_:".contains(c)) {
            return Err(invalid(format!(
                "1 validation error detected: Value '{bus}' at 'entries.member.eventBusName' is neither a name nor an ARN"
            )));
        }
        Ok(())
    }

    /// What AWS counts: 14 bytes for a time, and the length of every text.
    fn size(&self) -> usize {
        let texts = [&self.source, &self.detail_type, &self.detail];
        let texts = texts.into_iter().flatten().chain(&self.resources);
        self.time.map_or(0, |_| 14) + texts.map(String::len).sum::<usize>()
    }
}

fn check_length(member: &str, text: &str, most: usize) -> Answer<()> {
    crate::input::check_length("ValidationException", member, Some(text), 1..=most)
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
