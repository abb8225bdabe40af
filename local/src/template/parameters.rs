//! The template's parameters: what may be given, and what was.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

use super::problem::{Position, TemplateProblem, nearest};
use super::yaml::{Entry, Node, Tree};

/// The types that the local cloud follows; those that look something up in the account are refused.
const TYPES: [&str; 4] = ["String", "Number", "CommaDelimitedList", "List<Number>"];

const ATTRIBUTES: [&str; 11] = [
    "AllowedPattern",
    "AllowedValues",
    "ConstraintDescription",
    "Default",
    "Description",
    "MaxLength",
    "MaxValue",
    "MinLength",
    "MinValue",
    "NoEcho",
    "Type",
];

/// The value of every parameter: a text, or a list of texts. Everything that is wrong goes to `problems`.
pub(super) fn values(
    section: Option<&Node>,
    given: &BTreeMap<String, String>,
    problems: &mut Vec<TemplateProblem>,
) -> BTreeMap<String, Value> {
    let entries = section.map(Node::entries).unwrap_or_default();
    for name in given.keys() {
        if !entries.iter().any(|entry| entry.key == *name) {
            let hint = nearest(name, entries.iter().map(|entry| entry.key.as_str()))
                .map(|near| format!("; did you mean {near}?"))
                .unwrap_or_default();
            let at = section.map_or(Position::START, |section| section.at);
            problems.push(TemplateProblem::new(at, format!("the template has no parameter {name}{hint}")));
        }
    }
    entries.iter().filter_map(|entry| Some((entry.key.clone(), value(entry, given, problems)?))).collect()
}

/// The values as they may be shown.
pub(super) fn shown(section: Option<&Node>, values: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let is_secret = |name: &str| {
        let entry = section.and_then(|section| section.get(name));
        entry.and_then(|entry| entry.get("NoEcho")).and_then(Node::text).as_deref() == Some("true")
    };
    let text = |value: &Value| match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        value => value.as_str().unwrap_or_default().to_owned(),
    };
    values
        .iter()
        .map(|(name, value)| (name.clone(), if is_secret(name) { "****".to_owned() } else { text(value) }))
        .collect()
}

fn value(entry: &Entry, given: &BTreeMap<String, String>, problems: &mut Vec<TemplateProblem>) -> Option<Value> {
    let name = &entry.key;
    for attribute in entry.value.entries() {
        if !ATTRIBUTES.contains(&attribute.key.as_str()) {
            problems.push(TemplateProblem::new(
                attribute.at,
                format!("the parameter {name} has an attribute {} that CloudFormation does not know", attribute.key),
            ));
        }
    }
    let kind = entry.value.get("Type").and_then(Node::text).unwrap_or_default();
    if !TYPES.contains(&kind.as_str()) {
        let at = entry.value.get("Type").map_or(entry.at, |node| node.at);
        problems.push(TemplateProblem::new(
            at,
            format!(
                "the local cloud does not follow the type {kind:?} of the parameter {name}; it follows {}",
                TYPES.join(", ")
            ),
        ));
        return None;
    }
    let default = entry.value.get("Default").and_then(Node::text);
    let Some(text) = given.get(name).cloned().or(default) else {
        problems.push(TemplateProblem::new(
            entry.at,
            format!("the parameter {name} has no value and no Default; give it one"),
        ));
        return None;
    };
    let parts: Vec<&str> = match kind.as_str() {
        "CommaDelimitedList" | "List<Number>" => text.split(',').map(str::trim).collect(),
        _ => vec![text.as_str()],
    };
    let is_number = matches!(kind.as_str(), "Number" | "List<Number>");
    let secret = entry.value.get("NoEcho").and_then(Node::text).as_deref() == Some("true");
    let wrong = check(entry, &parts, is_number);
    for problem in &wrong {
        let shown = if secret { "its value (NoEcho)".to_owned() } else { format!("the value {text:?}") };
        let hint = entry
            .value
            .get("ConstraintDescription")
            .and_then(Node::text)
            .map(|text| format!(" ({text})"))
            .unwrap_or_default();
        problems.push(TemplateProblem::new(entry.at, format!("the parameter {name}: {shown} {problem}{hint}")));
    }
    if !wrong.is_empty() {
        return None;
    }
    Some(match kind.as_str() {
        "CommaDelimitedList" | "List<Number>" => parts.into_iter().map(Value::from).collect(),
        _ => Value::String(text),
    })
}

/// What is wrong with a value, as the end of a sentence.
fn check(entry: &Entry, parts: &[&str], is_number: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let attribute = |name: &str| entry.value.get(name).and_then(Node::text);
    let limit = |name: &str| attribute(name).and_then(|text| text.parse::<f64>().ok());
    if let Some(Tree::List(allowed)) = entry.value.get("AllowedValues").map(|node| &node.tree) {
        let allowed: Vec<String> = allowed.iter().filter_map(Node::text).collect();
        if parts.iter().any(|part| !allowed.iter().any(|allowed| allowed == part)) {
            wrong.push(format!("is not one of the allowed: {}", allowed.join(", ")));
        }
    }
    if let Some(pattern) = attribute("AllowedPattern") {
        match Regex::new(&format!("^(?:{pattern})$")) {
            Ok(regex) if parts.iter().any(|part| !regex.is_match(part)) => {
                wrong.push(format!("does not match the AllowedPattern {pattern}"));
            }
            Ok(_) => {}
            Err(_) => {
                wrong.push(format!("cannot be checked: the local cloud cannot read the AllowedPattern {pattern}"))
            }
        }
    }
    for part in parts {
        let length = part.chars().count() as f64;
        if limit("MinLength").is_some_and(|least| length < least) {
            wrong.push(format!("is shorter than {} characters", attribute("MinLength").unwrap_or_default()));
        }
        if limit("MaxLength").is_some_and(|most| length > most) {
            wrong.push(format!("is longer than {} characters", attribute("MaxLength").unwrap_or_default()));
        }
        if !is_number {
            continue;
        }
        match part.parse::<f64>() {
            Err(_) => wrong.push("is not a number".to_owned()),
            Ok(number) => {
                if limit("MinValue").is_some_and(|least| number < least) {
                    wrong.push(format!("is less than {}", attribute("MinValue").unwrap_or_default()));
                }
                if limit("MaxValue").is_some_and(|most| number > most) {
                    wrong.push(format!("is more than {}", attribute("MaxValue").unwrap_or_default()));
                }
            }
        }
    }
    wrong
}
