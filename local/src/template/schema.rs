//! What a resource's properties may be: a property that is not followed is a problem, never ignored silently.

use serde_json::{Map, Value};

use super::expression::{Expression, Kind};
use super::problem::{Position, TemplateProblem, nearest};
use super::yaml::scalar_text;

/// The shape of a value.
#[derive(Debug)]
pub(super) enum Shape {
    Text,
    Integer,
    Flag,
    /// Anything; policies, event patterns, and what is only kept.
    Json,
    List(&'static Shape),
    /// Any keys, one shape.
    MapOf(&'static Shape),
    /// These keys and no others.
    Members(&'static [Member]),
}

/// One property.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) rule: Rule,
}

/// What is done with a property.
#[derive(Debug)]
pub(super) enum Rule {
    /// It must be there.
    Needed,
    /// The local cloud does what it says.
    Followed,
    /// Nobody can notice here whether it is done: encryption at rest, descriptions, tags, alarms.
    Unnoticed,
    /// Only these values are what the local cloud does anyway.
    Only(&'static [&'static str]),
}

pub(super) const fn needed(name: &'static str, shape: Shape) -> Member {
    Member { name, shape, rule: Rule::Needed }
}

pub(super) const fn followed(name: &'static str, shape: Shape) -> Member {
    Member { name, shape, rule: Rule::Followed }
}

pub(super) const fn unnoticed(name: &'static str) -> Member {
    Member { name, shape: Shape::Json, rule: Rule::Unnoticed }
}

pub(super) const fn only(name: &'static str, values: &'static [&'static str]) -> Member {
    Member { name, shape: Shape::Text, rule: Rule::Only(values) }
}

/// Holds a value against its shape; `path` is what the value is called in a message.
pub(super) fn check(shape: &Shape, value: &Expression, path: &str, problems: &mut Vec<TemplateProblem>) {
    let mut problem = |at: Position, message: String| problems.push(TemplateProblem::new(at, message));
    match (shape, &value.kind) {
        (Shape::Json, _) | (_, Kind::Select(..)) => {}
        (Shape::List(item), Kind::List(items)) => {
            for one in items {
                check(item, one, path, problems);
            }
        }
        (Shape::List(_), Kind::Split(..)) => {}
        // CloudFormation takes one value for a list of one.
        (Shape::List(item @ (Shape::Text | Shape::Integer)), _) => check(item, value, path, problems),
        (Shape::MapOf(item), Kind::Map(entries)) => {
            for (key, _, one) in entries {
                check(item, one, &format!("{path}.{key}"), problems);
            }
        }
        (Shape::Members(members), Kind::Map(entries)) => check_members(members, value.at, entries, path, problems),
        (Shape::List(_), _) => problem(value.at, format!("{path} must be a list")),
        (Shape::MapOf(_) | Shape::Members(_), _) => problem(value.at, format!("{path} must be a mapping")),
        (Shape::Text | Shape::Integer | Shape::Flag, Kind::List(_) | Kind::Map(_) | Kind::Split(..)) => {
            problem(value.at, format!("{path} must be a single value"));
        }
        (Shape::Text | Shape::Integer | Shape::Flag, Kind::Resource(_) | Kind::Text(_) | Kind::Join(..)) => {}
        (shape, Kind::Scalar(scalar)) => {
            if let Err(what) = coerce_scalar(shape, scalar) {
                problem(value.at, format!("{path} {what}"));
            }
        }
    }
}

fn check_members(
    members: &[Member],
    at: Position,
    entries: &[(String, Position, Expression)],
    path: &str,
    problems: &mut Vec<TemplateProblem>,
) {
    for (key, key_at, value) in entries {
        let Some(member) = members.iter().find(|member| member.name == key) else {
            let hint = nearest(key, members.iter().map(|member| member.name))
                .map(|near| format!("; did you mean {near}?"))
                .unwrap_or_default();
            problems.push(TemplateProblem::new(*key_at, format!("the local cloud does not follow {path}.{key}{hint}")));
            continue;
        };
        let path = format!("{path}.{key}");
        match member.rule {
            Rule::Unnoticed => {}
            Rule::Needed | Rule::Followed => check(&member.shape, value, &path, problems),
            Rule::Only(allowed) => {
                let known = value.known_text();
                if !known.as_deref().is_some_and(|text| allowed.contains(&text)) {
                    let given = known.map(|text| format!(" {text:?}")).unwrap_or_default();
                    problems.push(TemplateProblem::new(
                        value.at,
                        format!("the local cloud does not follow {path}{given}; it follows {}", allowed.join(", ")),
                    ));
                }
            }
        }
    }
    for member in members.iter().filter(|member| matches!(member.rule, Rule::Needed)) {
        if !entries.iter().any(|(key, _, _)| key == member.name) {
            problems.push(TemplateProblem::new(at, format!("{path}.{} is missing", member.name)));
        }
    }
}

fn coerce_scalar(shape: &Shape, scalar: &Value) -> Result<Value, String> {
    let text = scalar_text(scalar);
    let shown = || text.as_deref().map_or_else(|| scalar.to_string(), |text| format!("{text:?}"));
    match shape {
        Shape::Text => text.clone().map(Value::String).ok_or_else(|| "must be a text".to_owned()),
        Shape::Integer => text
            .as_deref()
            .and_then(|text| text.trim().parse::<i64>().ok())
            .map(Value::from)
            .ok_or_else(|| format!("must be a whole number, not {}", shown())),
        Shape::Flag => match text.as_deref() {
            Some("true" | "True") => Ok(Value::Bool(true)),
            Some("false" | "False") => Ok(Value::Bool(false)),
            _ => Err(format!("must be true or false, not {}", shown())),
        },
        Shape::Json => Ok(scalar.clone()),
        Shape::List(_) => Err("must be a list".to_owned()),
        Shape::MapOf(_) | Shape::Members(_) => Err("must be a mapping".to_owned()),
    }
}

/// A resolved value in its shape's own types: a `Timeout` that came as text is a number behind this.
pub(super) fn coerce(shape: &Shape, value: Value, path: &str) -> Result<Value, String> {
    match (shape, value) {
        (Shape::List(item), Value::Array(items)) => {
            items.into_iter().map(|one| coerce(item, one, path)).collect::<Result<Vec<_>, _>>().map(Value::Array)
        }
        (Shape::List(item), single) => coerce(item, single, path).map(|one| Value::Array(vec![one])),
        (Shape::MapOf(item), Value::Object(map)) => {
            let mut coerced = Map::new();
            for (key, one) in map {
                let one = coerce(item, one, &format!("{path}.{key}"))?;
                coerced.insert(key, one);
            }
            Ok(Value::Object(coerced))
        }
        (Shape::Members(members), Value::Object(map)) => {
            let mut coerced = Map::new();
            for (key, one) in map {
                let shape =
                    members.iter().find(|member| member.name == key).map_or(&Shape::Json, |member| &member.shape);
                let one = coerce(shape, one, &format!("{path}.{key}"))?;
                coerced.insert(key, one);
            }
            Ok(Value::Object(coerced))
        }
        (Shape::Json, value) => Ok(value),
        (shape, value) => coerce_scalar(shape, &value).map_err(|what| format!("{path} {what}")),
    }
}
