//! Filter policies: which messages a subscription wants, in SNS's own dialect.
//!
//! Message attributes and message bodies are matched by the same rules: attributes are made one JSON object first.

use serde_json::{Map, Value};

use crate::eventbridge::Cidr;

/// The most names of one policy, the most combinations of their values, and the most bytes, as on AWS.
const MOST_NAMES: usize = 5;
const MOST_COMBINATIONS: usize = 150;
const LARGEST_POLICY: usize = 256 * 1024;

/// The largest number that a policy may name.
const LARGEST_NUMBER: f64 = 1e9;

/// What a policy is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    MessageAttributes,
    MessageBody,
}

/// What is wrong with a policy, in AWS's words where they are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wrong {
    Policy(String),
    /// Names inside of names, which message attributes do not have.
    Nested,
}

impl Wrong {
    /// The sentence; `place` stands in front of the attribute's name.
    pub(super) fn told(&self, place: &str) -> String {
        match self {
            Self::Policy(what) => format!("{place}FilterPolicy: {what}"),
            Self::Nested => "Filter policy scope MessageAttributes does not support nested filter policy".to_owned(),
        }
    }
}

fn wrong(what: impl Into<String>) -> Wrong {
    Wrong::Policy(what.into())
}

/// A policy that was checked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filter {
    all: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq)]
enum Rule {
    /// A property has one of these.
    Property(String, Vec<Test>),
    /// A property is an object that matches.
    Object(String, Filter),
    /// `$or`: one of these matches.
    Or(Vec<Filter>),
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Is(Value),
    Prefix(String),
    Suffix(String),
    EqualsIgnoreCase(String),
    AnythingBut(Vec<Test>),
    Numeric(Vec<(Comparison, f64)>),
    Cidr(Cidr),
    Exists,
    Missing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Filter {
    /// Reads a policy.
    ///
    /// # Errors
    /// What is wrong with it; also for operators that SNS has and the local cloud has not.
    pub(super) fn parse(policy: &str, scope: Scope) -> Result<Self, Wrong> {
        if policy.len() > LARGEST_POLICY {
            return Err(wrong(format!("Filter policy is larger than {LARGEST_POLICY} bytes")));
        }
        let policy: Value =
            serde_json::from_str(policy).map_err(|error| wrong(format!("failed to parse JSON. {error}")))?;
        let Value::Object(policy) = policy else {
            return Err(wrong("Filter is not an object"));
        };
        let filter = Self::read(&policy, scope)?;
        if filter.names() > MOST_NAMES {
            return Err(wrong(format!("Filter policy can not have more than {MOST_NAMES} keys")));
        }
        if filter.combinations(1) > MOST_COMBINATIONS {
            return Err(wrong("Filter policy is too complex"));
        }
        Ok(filter)
    }

    fn read(policy: &Map<String, Value>, scope: Scope) -> Result<Self, Wrong> {
        if policy.is_empty() {
            return Err(wrong("Empty objects are not allowed"));
        }
        let mut all = Vec::new();
        for (name, value) in policy {
            all.push(match value {
                Value::Array(items) if name == "$or" => Rule::Or(read_ways(items, scope)?),
                Value::Array(items) if items.is_empty() => return Err(wrong("Empty arrays are not allowed")),
                Value::Array(items) => {
                    Rule::Property(name.clone(), items.iter().map(Test::read).collect::<Result<_, _>>()?)
                }
                Value::Object(inner) => {
                    let inner = Self::read(inner, scope)?;
                    if scope == Scope::MessageAttributes {
                        return Err(Wrong::Nested);
                    }
                    Rule::Object(name.clone(), inner)
                }
                _ => return Err(wrong(format!("{name:?} must be an object or an array"))),
            });
        }
        Ok(Self { all })
    }

    /// Names inside of names do not count.
    fn names(&self) -> usize {
        let counted = self.all.iter().map(|rule| match rule {
            Rule::Property(..) | Rule::Object(..) => 1,
            Rule::Or(ways) => ways.iter().map(Self::names).sum(),
        });
        counted.sum()
    }

    /// The values of a name count as often as it is deep; `$or` adds up what all else multiplies.
    fn combinations(&self, depth: usize) -> usize {
        self.all.iter().fold(1, |product: usize, rule| {
            product.saturating_mul(match rule {
                Rule::Property(_, tests) => tests.len().saturating_mul(depth),
                Rule::Object(_, inner) => inner.combinations(depth + 1),
                Rule::Or(ways) => ways.iter().fold(0, |sum, way| way.combinations(depth).saturating_add(sum)),
            })
        })
    }

    /// Whether a message with these properties is wanted.
    pub(super) fn matches(&self, properties: &Map<String, Value>) -> bool {
        self.all.iter().all(|rule| match rule {
            Rule::Property(name, tests) => match properties.get(name) {
                None => tests.contains(&Test::Missing) && !properties.is_empty(),
                Some(value) => {
                    let mut values = Vec::new();
                    flatten(value, &mut values);
                    tests.iter().any(|test| values.iter().any(|value| test.matches(value)))
                }
            },
            Rule::Object(name, inner) => match properties.get(name) {
                Some(Value::Object(object)) => inner.matches(object),
                Some(Value::Array(items)) => items.iter().filter_map(Value::as_object).any(|item| inner.matches(item)),
                Some(_) => false,
                None => inner.matches(&Map::new()),
            },
            Rule::Or(ways) => ways.iter().any(|way| way.matches(properties)),
        })
    }
}

fn read_ways(items: &[Value], scope: Scope) -> Result<Vec<Filter>, Wrong> {
    if items.len() < 2 {
        return Err(wrong("There must have at least 2 Objects in $or relationship."));
    }
    let ways = items.iter().map(|item| match item {
        Value::Object(way) => Filter::read(way, scope),
        _ => Err(wrong("Only JSON object is allowed in array of $or relationship.")),
    });
    ways.collect()
}

impl Test {
    fn read(item: &Value) -> Result<Self, Wrong> {
        let operator = match item {
            Value::Object(operator) => operator,
            Value::Array(_) => return Err(wrong("Match value must be String, number, true, false, or null")),
            Value::Number(number) => {
                in_range(number.as_f64())?;
                return Ok(Self::Is(item.clone()));
            }
            Value::String(_) | Value::Bool(_) | Value::Null => return Ok(Self::Is(item.clone())),
        };
        let mut entries = operator.iter();
        let (Some((operator, value)), None) = (entries.next(), entries.next()) else {
            return Err(wrong("Only one key allowed in match expression"));
        };
        let text = || match value.as_str() {
            Some("") => Err(wrong(format!("Null/Empty {operator} pattern is not allowed"))),
            Some(text) => Ok(text.to_owned()),
            None => Err(wrong(format!("{operator} match pattern must be a string"))),
        };
        match operator.as_str() {
            "prefix" => text().map(Self::Prefix),
            "suffix" => text().map(Self::Suffix),
            "equals-ignore-case" => text().map(|text| Self::EqualsIgnoreCase(text.to_lowercase())),
            "cidr" => Cidr::parse(&text()?).map(Self::Cidr).map_err(wrong),
            "exists" => match value {
                Value::Bool(true) => Ok(Self::Exists),
                Value::Bool(false) => Ok(Self::Missing),
                _ => Err(wrong("exists match pattern must be either true or false.")),
            },
            "numeric" => read_numeric(value).map(Self::Numeric),
            "anything-but" => Self::read_anything_but(value).map(Self::AnythingBut),
            other => Err(wrong(format!("Unrecognized match type {other}"))),
        }
    }

    fn read_anything_but(value: &Value) -> Result<Vec<Self>, Wrong> {
        let items = match value {
            Value::Array(items) if !items.is_empty() => items.iter().collect(),
            Value::String(_) | Value::Number(_) | Value::Object(_) => vec![value],
            _ => return Err(wrong("Value of anything-but must be an array or single string/number value.")),
        };
        let but = items.into_iter().map(|item| match Self::read(item)? {
            test @ (Self::Is(Value::String(_) | Value::Number(_)) | Self::Prefix(_) | Self::Suffix(_)) => Ok(test),
            _ => Err(wrong("Value of anything-but must be an array or single string/number value.")),
        });
        but.collect()
    }

    fn matches(&self, value: &Value) -> bool {
        let text = value.as_str();
        match self {
            Self::Is(Value::Number(wanted)) => {
                value.as_f64().zip(wanted.as_f64()).is_some_and(|(value, wanted)| same(value, wanted))
            }
            Self::Is(wanted) => value == wanted,
            Self::Prefix(prefix) => text.is_some_and(|text| text.starts_with(prefix)),
            Self::Suffix(suffix) => text.is_some_and(|text| text.ends_with(suffix)),
            Self::EqualsIgnoreCase(wanted) => text.is_some_and(|text| text.to_lowercase() == *wanted),
            Self::AnythingBut(but) => !value.is_null() && !but.iter().any(|test| test.matches(value)),
            Self::Numeric(comparisons) => value
                .as_f64()
                .is_some_and(|value| comparisons.iter().all(|(comparison, limit)| comparison.holds(value, *limit))),
            Self::Cidr(block) => text.and_then(|text| text.parse().ok()).is_some_and(|address| block.holds(address)),
            Self::Exists => !value.is_null() && text != Some("") && !value.is_object(),
            Self::Missing => false,
        }
    }
}

impl Comparison {
    fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Equal => same(value, limit),
            Self::Less => value < limit,
            Self::LessOrEqual => value <= limit,
            Self::Greater => value > limit,
            Self::GreaterOrEqual => value >= limit,
        }
    }
}

/// SNS compares five digits behind the point.
fn same(left: f64, right: f64) -> bool {
    (left - right).abs() < 5e-6
}

fn in_range(number: Option<f64>) -> Result<f64, Wrong> {
    let good = number.filter(|number| number.abs() <= LARGEST_NUMBER);
    good.ok_or_else(|| wrong(format!("Value must be between -{LARGEST_NUMBER:e} and {LARGEST_NUMBER:e}, inclusive")))
}

fn read_numeric(value: &Value) -> Result<Vec<(Comparison, f64)>, Wrong> {
    let items = value.as_array().ok_or_else(|| wrong("Value of numeric must be an array."))?;
    let mut comparisons = Vec::new();
    for (index, pair) in items.chunks(2).enumerate() {
        let operator = pair.first().unwrap_or(&Value::Null);
        let unknown = |name: &str| match index {
            0 => wrong(format!("Unrecognized numeric range operator: {name}")),
            _ => wrong(format!("Bad numeric range operator: {name}")),
        };
        let name = operator.as_str().ok_or_else(|| match index {
            0 => wrong(format!("Invalid member in numeric match: {operator}")),
            _ => wrong(format!("Bad value in numeric range: {operator}")),
        })?;
        let comparison = match name {
            "=" => Comparison::Equal,
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterOrEqual,
            other => return Err(unknown(other)),
        };
        match (comparisons.as_slice(), comparison) {
            ([], _) => {}
            ([(Comparison::Greater | Comparison::GreaterOrEqual, _)], Comparison::Less | Comparison::LessOrEqual) => {}
            ([(Comparison::Greater | Comparison::GreaterOrEqual, _)], _) => return Err(unknown(name)),
            ([_], _) => return Err(wrong("Too many elements in numeric expression")),
            _ => return Err(wrong("Too many terms in numeric range expression")),
        }
        let shown = if name == "=" { "equals" } else { name };
        let number = pair.get(1).and_then(Value::as_f64);
        let number = number.ok_or_else(|| wrong(format!("Value of {shown} must be numeric")))?;
        comparisons.push((comparison, in_range(Some(number))?));
    }
    match comparisons.as_slice() {
        [] => Err(wrong("Invalid member in numeric match: ]")),
        [(_, low), (_, high)] if low >= high => Err(wrong("Bottom must be less than top")),
        _ => Ok(comparisons),
    }
}

fn flatten<'a>(value: &'a Value, into: &mut Vec<&'a Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| flatten(item, into)),
        other => into.push(other),
    }
}

#[cfg(test)]
mod tests;
