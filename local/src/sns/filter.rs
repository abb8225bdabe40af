//! Filter policies: which messages a subscription wants, in SNS's own dialect.
//!
//! Message attributes and message bodies are matched by the same rules: attributes are made one JSON object first.

use serde_json::{Map, Value};

/// The most names of one policy, and the most combinations of their values, as on AWS.
const MOST_NAMES: usize = 5;
const MOST_COMBINATIONS: usize = 150;

/// The largest number that a policy may name.
const LARGEST_NUMBER: f64 = 1e9;

/// What a policy is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    MessageAttributes,
    MessageBody,
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
    /// A sentence that says what is wrong with it; also for operators that SNS has and the local cloud has not.
    pub(super) fn parse(policy: &str, scope: Scope) -> Result<Self, String> {
        let Ok(Value::Object(policy)) = serde_json::from_str(policy) else {
            return Err("it is not a JSON object".to_owned());
        };
        let filter = Self::read(&policy, scope)?;
        let (names, combinations) = filter.weigh();
        if names > MOST_NAMES {
            return Err(format!("it has {names} names, at most {MOST_NAMES} may be"));
        }
        if combinations > MOST_COMBINATIONS {
            return Err(format!("it has {combinations} combinations of values, at most {MOST_COMBINATIONS} may be"));
        }
        Ok(filter)
    }

    fn read(policy: &Map<String, Value>, scope: Scope) -> Result<Self, String> {
        let mut all = Vec::new();
        for (name, value) in policy {
            all.push(match value {
                Value::Array(items) if name == "$or" && items.len() > 1 && items.iter().all(Value::is_object) => {
                    let ways = items.iter().filter_map(Value::as_object).map(|item| Self::read(item, scope));
                    Rule::Or(ways.collect::<Result<_, _>>()?)
                }
                Value::Array(items) if items.is_empty() => return Err(format!("{name} has an empty list")),
                Value::Array(items) => {
                    let tests = items.iter().map(|item| Test::read(name, item));
                    Rule::Property(name.clone(), tests.collect::<Result<_, _>>()?)
                }
                Value::Object(inner) if scope == Scope::MessageBody => {
                    Rule::Object(name.clone(), Self::read(inner, scope)?)
                }
                Value::Object(_) => return Err(format!("{name} is nested, which needs FilterPolicyScope MessageBody")),
                _ => return Err(format!("{name} must be a list")),
            });
        }
        Ok(Self { all })
    }

    fn weigh(&self) -> (usize, usize) {
        self.all.iter().fold((0, 1), |(names, combinations), rule| {
            let (more, factor) = match rule {
                Rule::Property(_, tests) => (1, tests.len()),
                Rule::Object(_, inner) => inner.weigh(),
                Rule::Or(ways) => ways.iter().map(Self::weigh).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1)),
            };
            (names + more, combinations.saturating_mul(factor))
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

impl Test {
    fn read(name: &str, item: &Value) -> Result<Self, String> {
        let wrong = |what: &str| format!("{name}: {what}");
        let operator = match item {
            Value::Object(operator) => operator,
            Value::Array(_) => return Err(wrong("a list inside a list")),
            Value::Number(number) => {
                check_number(number.as_f64()).ok_or_else(|| wrong("a number is out of range"))?;
                return Ok(Self::Is(item.clone()));
            }
            Value::String(_) | Value::Bool(_) | Value::Null => return Ok(Self::Is(item.clone())),
        };
        let mut entries = operator.iter();
        let (Some((operator, value)), None) = (entries.next(), entries.next()) else {
            return Err(wrong("an operator must be an object with one member"));
        };
        let text = || match value.as_str() {
            Some(text) if !text.is_empty() => Ok(text.to_owned()),
            _ => Err(wrong(&format!("{operator} takes a text that is not empty"))),
        };
        match operator.as_str() {
            "prefix" => text().map(Self::Prefix),
            "suffix" => text().map(Self::Suffix),
            "equals-ignore-case" => text().map(|text| Self::EqualsIgnoreCase(text.to_lowercase())),
            "exists" => match value {
                Value::Bool(true) => Ok(Self::Exists),
                Value::Bool(false) => Ok(Self::Missing),
                _ => Err(wrong("exists takes true or false")),
            },
            "numeric" => {
                Ok(Self::Numeric(read_numeric(value).ok_or_else(|| {
                    wrong("numeric takes a comparison and a number, or two of each that make a range")
                })?))
            }
            "anything-but" => {
                let items = match value {
                    Value::Array(items) if !items.is_empty() => items.iter().collect(),
                    Value::String(_) | Value::Number(_) | Value::Object(_) => vec![value],
                    _ => return Err(wrong("anything-but takes a text, a number, a list, a prefix or a suffix")),
                };
                let mut but = Vec::new();
                for item in items {
                    match Self::read(name, item)? {
                        test @ (Self::Is(Value::String(_) | Value::Number(_)) | Self::Prefix(_) | Self::Suffix(_)) => {
                            but.push(test);
                        }
                        _ => return Err(wrong("anything-but takes texts, numbers, a prefix or a suffix")),
                    }
                }
                Ok(Self::AnythingBut(but))
            }
            other => Err(wrong(&format!("the local cloud does not offer the operator {other}"))),
        }
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

fn check_number(number: Option<f64>) -> Option<f64> {
    number.filter(|number| number.abs() <= LARGEST_NUMBER)
}

fn read_numeric(value: &Value) -> Option<Vec<(Comparison, f64)>> {
    let items = value.as_array()?;
    let mut comparisons = Vec::new();
    for pair in items.chunks(2) {
        let [comparison, number] = pair else { return None };
        let comparison = match comparison.as_str()? {
            "=" => Comparison::Equal,
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterOrEqual,
            _ => return None,
        };
        comparisons.push((comparison, check_number(number.as_f64())?));
    }
    use Comparison::{Greater, GreaterOrEqual, Less, LessOrEqual};
    match comparisons.as_slice() {
        [_] => Some(comparisons),
        [(Greater | GreaterOrEqual, low), (Less | LessOrEqual, high)] if low < high => Some(comparisons),
        _ => None,
    }
}

fn flatten<'a>(value: &'a Value, into: &mut Vec<&'a Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| flatten(item, into)),
        other => into.push(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wants(policy: &Value, message: &Value) -> bool {
        let filter = Filter::parse(&policy.to_string(), Scope::MessageBody).unwrap();
        filter.matches(message.as_object().unwrap())
    }

    #[test]
    fn each_operator_takes_what_it_should_and_nothing_else() {
        let cases = [
            (json!("failed"), json!("failed"), json!("Failed")),
            (json!(1.5), json!(1.50), json!("1.5")),
            (json!(true), json!(true), json!("true")),
            (json!(null), json!(null), json!("null")),
            (json!({"prefix": "build."}), json!("build.failed"), json!("builds")),
            (json!({"suffix": ".failed"}), json!("build.failed"), json!("failed.")),
            (json!({"equals-ignore-case": "Demo"}), json!("dEMO"), json!("demos")),
            (json!({"anything-but": "a"}), json!("b"), json!("a")),
            (json!({"anything-but": ["a", 1]}), json!(2), json!(1)),
            (json!({"anything-but": {"prefix": "a"}}), json!("b"), json!("ab")),
            (json!({"anything-but": {"suffix": "a"}}), json!("ab"), json!("ba")),
            (json!({"numeric": ["=", 3]}), json!(3.0), json!(3.1)),
            (json!({"numeric": [">", 0, "<=", 5]}), json!(5), json!(0)),
            (json!({"exists": true}), json!("x"), json!("")),
        ];
        for (test, good, bad) in cases {
            let policy = json!({"k": [test]});
            assert!(wants(&policy, &json!({"k": good})), "{policy} wants {good}");
            assert!(!wants(&policy, &json!({"k": bad})), "{policy} does not want {bad}");
            assert!(!wants(&policy, &json!({"other": good})), "{policy} needs k");
            assert!(wants(&policy, &json!({"k": [bad, good]})), "{policy} wants one element");
        }
    }

    #[test]
    fn names_are_and_values_are_or() {
        let policy = json!({"repository": ["demo", "web"], "outcome": [{"exists": false}]});
        assert!(wants(&policy, &json!({"repository": "web"})));
        assert!(!wants(&policy, &json!({"repository": "web", "outcome": "x"})));
        assert!(!wants(&json!({"a": [{"exists": false}]}), &json!({})), "SNS wants one attribute to be there");
        let either = json!({"$or": [{"a": [1]}, {"b": [2]}], "c": [3]});
        assert!(wants(&either, &json!({"b": 2, "c": 3})));
        assert!(!wants(&either, &json!({"b": 1, "c": 3})));
        let nested = json!({"detail": {"state": ["FAILED"]}});
        assert!(wants(&nested, &json!({"detail": {"state": "FAILED"}})));
        assert!(wants(&nested, &json!({"detail": [{"state": "OK"}, {"state": "FAILED"}]})));
        assert!(!wants(&nested, &json!({"state": "FAILED"})));
    }

    #[test]
    fn a_policy_that_sns_would_refuse_is_refused() {
        let bad = [
            json!([]),
            json!({"k": "text"}),
            json!({"k": []}),
            json!({"k": [["nested"]]}),
            json!({"k": {"inner": ["x"]}}),
            json!({"k": [{"prefix": 1}]}),
            json!({"k": [{"prefix": "a", "suffix": "b"}]}),
            json!({"k": [{"wildcard": "*"}]}),
            json!({"k": [{"exists": "yes"}]}),
            json!({"k": [{"numeric": [">", 1, ">", 2]}]}),
            json!({"k": [{"numeric": [">", 5, "<", 1]}]}),
            json!({"k": [{"numeric": ["="]}]}),
            json!({"k": [1e10]}),
            json!({"k": [{"anything-but": [{"exists": true}]}]}),
            json!({"a": [1], "b": [1], "c": [1], "d": [1], "e": [1], "f": [1]}),
            json!({"a": (0..13).collect::<Vec<_>>(), "b": (0..12).collect::<Vec<_>>()}),
        ];
        for policy in bad {
            Filter::parse(&policy.to_string(), Scope::MessageAttributes).expect_err(&policy.to_string());
        }
        assert!(Filter::parse("{", Scope::MessageBody).is_err());
    }
}
