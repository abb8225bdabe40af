//! The event-pattern language: which events a rule wants.
//!
//! Patterns are taken apart as AWS's rule engine does it: a pattern is a list of branches (more than one only where there
//! is an `$or`), a branch maps dotted paths to the values that are wanted there. What AWS would refuse is refused here.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::matcher::{Bound, Cidr, LARGEST_NUMBER, Matcher, Range, Text, Wildcard, fold};

/// The most branches that the `$or`s of one pattern may multiply to, as on AWS.
const MOST_BRANCHES: usize = 1000;

/// The words that have a meaning inside a match expression and so cannot be field names inside an `$or`.
const RESERVED: [&str; 9] =
    ["exactly", "prefix", "suffix", "equals-ignore-case", "anything-but", "numeric", "exists", "wildcard", "cidr"];

/// A pattern that AWS would not accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", if path.is_empty() { "the pattern" } else { path })]
pub struct InvalidPattern {
    /// The dotted path of the key that is wrong; empty for the pattern as a whole.
    pub path: String,
    /// What is wrong there and what was expected.
    pub problem: String,
}

/// A pattern that was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    pub(super) branches: Vec<Branch>,
}

/// What is wanted at each path; every path must be satisfied.
pub(super) type Branch = BTreeMap<String, Vec<Matcher>>;

impl std::str::FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| InvalidPattern { path: String::new(), problem: format!("it is not JSON: {error}") })?;
        Self::parse(&value)
    }
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// The first thing that AWS would not accept, with its path.
    pub fn parse(value: &Value) -> Result<Self, InvalidPattern> {
        let mut branches = Vec::new();
        let Value::Object(object) = value else {
            return Err(wrong("", format!("it must be an object, not {}", kind(value))));
        };
        parse_object(&mut branches, "", object, Inside::Pattern)?;
        Ok(Self { branches })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Pattern,
    Or,
}

fn wrong(path: &str, problem: impl Into<String>) -> InvalidPattern {
    InvalidPattern { path: path.to_owned(), problem: problem.into() }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

pub(super) fn join(path: &str, step: &str) -> String {
    if path.is_empty() { step.to_owned() } else { format!("{path}.{step}") }
}

fn parse_object(
    branches: &mut Vec<Branch>,
    path: &str,
    object: &Map<String, Value>,
    inside: Inside,
) -> Result<(), InvalidPattern> {
    if object.is_empty() {
        return Err(wrong(path, "empty objects are not allowed; name at least one field"));
    }
    for (step, value) in object {
        let here = join(path, step);
        if step == "$or" {
            parse_or(branches, path, &here, value)?;
            continue;
        }
        if inside == Inside::Or && RESERVED.contains(&step.as_str()) {
            return Err(wrong(&here, format!("{step} is a word of the pattern language and no field name inside $or")));
        }
        match value {
            Value::Object(nested) => parse_object(branches, &here, nested, inside)?,
            Value::Array(values) => {
                let matchers = parse_values(&here, values)?;
                if branches.is_empty() {
                    branches.push(Branch::new());
                }
                for branch in branches.iter_mut() {
                    branch.insert(here.clone(), matchers.clone());
                }
            }
            other => {
                return Err(wrong(&here, format!("must be an object or an array of values, not {}", kind(other))));
            }
        }
    }
    Ok(())
}

fn parse_or(branches: &mut Vec<Branch>, path: &str, here: &str, value: &Value) -> Result<(), InvalidPattern> {
    let Value::Array(choices) = value else {
        return Err(wrong(here, format!("must be an array of at least two objects, not {}", kind(value))));
    };
    if choices.len() < 2 {
        return Err(wrong(here, format!("must hold at least two objects, it has {}", choices.len())));
    }
    let before = std::mem::take(branches);
    for choice in choices {
        let Value::Object(choice) = choice else {
            return Err(wrong(here, format!("may only hold objects, not {}", kind(choice))));
        };
        let mut forked = if before.is_empty() { vec![Branch::new()] } else { before.clone() };
        parse_object(&mut forked, path, choice, Inside::Or)?;
        branches.append(&mut forked);
        if branches.len() > MOST_BRANCHES {
            return Err(wrong(here, format!("the combinations of all $or are more than {MOST_BRANCHES}")));
        }
    }
    Ok(())
}

fn parse_values(path: &str, values: &[Value]) -> Result<Vec<Matcher>, InvalidPattern> {
    if values.is_empty() {
        return Err(wrong(path, "empty arrays are not allowed; give at least one value"));
    }
    values
        .iter()
        .map(|value| match value {
            Value::Object(expression) => parse_expression(path, expression),
            Value::Array(_) => {
                Err(wrong(path, "a value must be a string, a number, true, false, null or a match expression"))
            }
            Value::Number(number) => Ok(Matcher::Number(number.clone())),
            scalar => Ok(Matcher::Equals(scalar.clone())),
        })
        .collect()
}

fn only_entry<'a>(path: &str, object: &'a Map<String, Value>) -> Result<(&'a str, &'a Value), InvalidPattern> {
    let mut entries = object.iter();
    match (entries.next(), entries.next()) {
        (Some((name, value)), None) => Ok((name, value)),
        (None, _) => Err(wrong(path, "a match expression needs a name, such as prefix or exists")),
        (Some(_), Some(_)) => Err(wrong(path, "only one key is allowed in a match expression")),
    }
}

fn parse_expression(path: &str, expression: &Map<String, Value>) -> Result<Matcher, InvalidPattern> {
    let (name, value) = only_entry(path, expression)?;
    match name {
        "exactly" => Ok(Matcher::Equals(Value::String(string(path, name, value)?.to_owned()))),
        "prefix" => Ok(Matcher::Prefix(text(path, name, value)?)),
        "suffix" => Ok(Matcher::Suffix(text(path, name, value)?)),
        "equals-ignore-case" => Ok(Matcher::EqualsIgnoreCase(fold(string(path, name, value)?))),
        "anything-but" => parse_anything_but(path, value),
        "numeric" => parse_numeric(path, value).map(Matcher::Range),
        "exists" => match value {
            Value::Bool(true) => Ok(Matcher::Exists),
            Value::Bool(false) => Ok(Matcher::Absent),
            other => Err(wrong(path, format!("exists must be true or false, not {}", kind(other)))),
        },
        "wildcard" => wildcard(path, string(path, name, value)?),
        "cidr" => Cidr::parse(string(path, name, value)?).map(Matcher::Cidr).map_err(|problem| wrong(path, problem)),
        other => Err(wrong(path, format!("{other} is no match expression; known are {}", RESERVED.join(", ")))),
    }
}

fn string<'a>(path: &str, name: &str, value: &'a Value) -> Result<&'a str, InvalidPattern> {
    value.as_str().ok_or_else(|| wrong(path, format!("{name} must be a string, not {}", kind(value))))
}

/// A string, or `{"equals-ignore-case": string}`.
fn text(path: &str, name: &str, value: &Value) -> Result<Text, InvalidPattern> {
    let Value::Object(expression) = value else {
        return Ok(Text::Exact(string(path, name, value)?.to_owned()));
    };
    match only_entry(path, expression)? {
        ("equals-ignore-case", value) => Ok(Text::Folded(fold(string(path, "equals-ignore-case", value)?))),
        (other, _) => Err(wrong(path, format!("{name} takes a string or equals-ignore-case, not {other}"))),
    }
}

fn parse_anything_but(path: &str, value: &Value) -> Result<Matcher, InvalidPattern> {
    if let Value::Object(expression) = value {
        let (name, value) = only_entry(path, expression)?;
        let make: fn(&str, &str) -> Result<Matcher, InvalidPattern> = match name {
            "prefix" => |_, text| Ok(Matcher::Prefix(Text::Exact(text.to_owned()))),
            "suffix" => |_, text| Ok(Matcher::Suffix(Text::Exact(text.to_owned()))),
            "equals-ignore-case" => |_, text| Ok(Matcher::EqualsIgnoreCase(fold(text))),
            "wildcard" => wildcard,
            other => {
                return Err(wrong(
                    path,
                    format!("anything-but takes values, prefix, suffix, wildcard or equals-ignore-case, not {other}"),
                ));
            }
        };
        let what = format!("anything-but {name}");
        let values = strings(path, &what, value)?;
        if name != "equals-ignore-case" && values.iter().any(|text| text.is_empty()) {
            return Err(wrong(path, format!("{what} may not be empty")));
        }
        let butted = values.into_iter().map(|text| make(path, text)).collect::<Result<_, _>>()?;
        return Ok(Matcher::AnythingBut(butted));
    }
    let one;
    let values = match value {
        Value::Array(values) => values,
        other => {
            one = vec![other.clone()];
            &one
        }
    };
    let all_strings = values.iter().all(Value::is_string);
    let all_numbers = values.iter().all(Value::is_number);
    if values.is_empty() || !(all_strings || all_numbers) {
        return Err(wrong(path, "anything-but takes one or more values, either all strings or all numbers"));
    }
    values
        .iter()
        .map(|value| match value {
            Value::Number(number) => in_range(path, "anything-but", value).map(|_| Matcher::Number(number.clone())),
            text => Ok(Matcher::Equals(text.clone())),
        })
        .collect::<Result<_, _>>()
        .map(Matcher::AnythingBut)
}

fn strings<'a>(path: &str, name: &str, value: &'a Value) -> Result<Vec<&'a str>, InvalidPattern> {
    match value {
        Value::Array(values) if values.is_empty() => Err(wrong(path, format!("{name} needs at least one string"))),
        Value::Array(values) => values.iter().map(|value| string(path, name, value)).collect(),
        one => Ok(vec![string(path, name, one)?]),
    }
}

fn in_range(path: &str, name: &str, value: &Value) -> Result<f64, InvalidPattern> {
    let number = value
        .as_f64()
        .filter(|_| value.is_number())
        .ok_or_else(|| wrong(path, format!("{name} must be a number, not {}", kind(value))))?;
    if number.abs() > LARGEST_NUMBER {
        return Err(wrong(path, format!("{name} must be between -5.0e9 and 5.0e9, not {number}")));
    }
    Ok(number)
}

fn parse_numeric(path: &str, value: &Value) -> Result<Range, InvalidPattern> {
    let shape = "numeric must be an array such as [\"=\", 5], [\"<\", 10] or [\">\", 0, \"<=\", 5]";
    let terms = value.as_array().ok_or_else(|| wrong(path, format!("{shape}, not {}", kind(value))))?;
    let (operator, number, rest) = match terms.as_slice() {
        [Value::String(operator), number, rest @ ..] => (operator.as_str(), number, rest),
        _ => return Err(wrong(path, shape)),
    };
    let at = in_range(path, &format!("the value of numeric {operator}"), number)?;
    let bottom = match operator {
        "=" => Range { bottom: Some(Bound::With(at)), top: Some(Bound::With(at)) },
        "<" => Range { bottom: None, top: Some(Bound::Without(at)) },
        "<=" => Range { bottom: None, top: Some(Bound::With(at)) },
        ">" => Range { bottom: Some(Bound::Without(at)), top: None },
        ">=" => Range { bottom: Some(Bound::With(at)), top: None },
        other => return Err(wrong(path, format!("{other} is no numeric operator; known are =, <, <=, > and >="))),
    };
    match rest {
        [] => Ok(bottom),
        [Value::String(second), number] if operator.starts_with('>') => {
            let to = in_range(path, &format!("the value of numeric {second}"), number)?;
            let top = match second.as_str() {
                "<" => Bound::Without(to),
                "<=" => Bound::With(to),
                other => return Err(wrong(path, format!("a range goes on with < or <=, not {other}"))),
            };
            if at >= to {
                return Err(wrong(path, format!("the range starts at {at} and must end above it, not at {to}")));
            }
            Ok(Range { top: Some(top), ..bottom })
        }
        _ => Err(wrong(path, shape)),
    }
}

fn wildcard(path: &str, text: &str) -> Result<Matcher, InvalidPattern> {
    Wildcard::parse(text).map(Matcher::Wildcard).map_err(|problem| wrong(path, problem))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problem(pattern: impl Into<Value>) -> String {
        Pattern::parse(&pattern.into()).unwrap_err().to_string()
    }

    #[test]
    fn every_pattern_that_aws_refuses_is_refused() {
        let mut refused = 0;
        for line in include_str!("../../../tests/patterns/invalid.jsonl").lines() {
            let text: String = serde_json::from_str(line).unwrap();
            let parsed = text.parse::<Pattern>();
            assert!(parsed.is_err(), "{text} was accepted");
            refused += 1;
        }
        assert!(refused >= 12, "only {refused} cases were read");
    }

    #[test]
    fn a_refusal_names_the_key_and_what_was_expected() {
        assert_eq!(
            problem(json!({"detail": {"a": "x"}})),
            "detail.a: must be an object or an array of values, not a string"
        );
        assert_eq!(problem(json!({})), "the pattern: empty objects are not allowed; name at least one field");
        assert!(problem(json!({"a": [{"nope": 1}]})).starts_with("a: nope is no match expression; known are exactly,"));
        assert!(problem(json!({"a": [{"numeric": [">", 5, "<", 5]}]})).contains("must end above it"));
        assert!(problem(json!({"a": [{"numeric": ["<", 6e9]}]})).contains("between -5.0e9 and 5.0e9"));
        assert!(problem(json!({"a": [{"anything-but": ["x", 1]}]})).contains("all strings or all numbers"));
        assert!(problem(json!({"a": [{"wildcard": "a\\b"}]})).contains("before * or \\"));
        assert!(problem(json!({"$or": [{"prefix": ["a"]}, {"b": [1]}]})).contains("no field name inside $or"));
        assert!("{".parse::<Pattern>().unwrap_err().to_string().starts_with("the pattern: it is not JSON"));
    }
}
