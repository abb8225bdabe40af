//! `Condition`: an operator, a key, and the values that it is compared with.

use std::cmp::Ordering;
use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::Value;

use super::context::{self, Context};
use super::document::Malformed;
use super::pattern::{ArnPattern, Pattern, Variables, Wildcards};
use crate::template::problem::nearest;

/// One line of a `Condition` block.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    operator: String,
    shown_key: String,
    key: String,
    set: Set,
    missing: Missing,
    negated: Negated,
    test: Test,
}

/// How the request's values are taken, where a key has several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    /// Without a word about it: one that fits is enough.
    Plain,
    ForAnyValue,
    ForAllValues,
}

/// What a key that the request does not have means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Differs,
    /// `...IfExists`
    Holds,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Negated {
    No,
    Yes,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Text(Vec<Pattern>),
    TextInAnyCase(Vec<Pattern>),
    Arn(Vec<ArnPattern>),
    Number(Compare, Vec<f64>),
    Date(Compare, Vec<Timestamp>),
    Flag(Vec<bool>),
    Address(Vec<Network>),
    /// `Null`: whether the key is missing.
    Absent(Vec<bool>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Compare {
    fn fits(self, order: Option<Ordering>) -> bool {
        let Some(order) = order else { return false };
        match self {
            Self::Equal => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// Addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(most), |bits| bits.parse().ok().filter(|bits| *bits <= most))?;
        Some(Self { address, bits })
    }

    fn holds(self, other: IpAddr) -> bool {
        let differ = match (self.address, other) {
            (IpAddr::V4(here), IpAddr::V4(there)) => {
                u128::from((here.to_bits() ^ there.to_bits()).checked_shr(32 - u32::from(self.bits)).unwrap_or(0))
            }
            (IpAddr::V6(here), IpAddr::V6(there)) => {
                (here.to_bits() ^ there.to_bits()).checked_shr(128 - u32::from(self.bits)).unwrap_or(0)
            }
            _ => return false,
        };
        differ == 0
    }
}

/// The names of the operators, without `IfExists`, `Not` and the words about sets, for who mistypes one.
const OPERATORS: [&str; 29] = [
    "ArnEquals",
    "ArnLike",
    "ArnNotEquals",
    "ArnNotLike",
    "Bool",
    "DateEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateNotEquals",
    "IpAddress",
    "NotIpAddress",
    "Null",
    "NumericEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericNotEquals",
    "StringEquals",
    "StringEqualsIgnoreCase",
    "StringLike",
    "StringNotEquals",
    "StringNotEqualsIgnoreCase",
    "StringNotLike",
    "ForAllValues:StringEquals",
    "ForAnyValue:StringEquals",
    "StringEqualsIfExists",
];

impl Condition {
    /// Reads one operator's entry for one key.
    pub(super) fn parse(
        operator: &str,
        key: &str,
        values: &Value,
        variables: Variables,
        place: &str,
    ) -> Result<Self, Malformed> {
        let wrong = |what: String| Malformed::at(place, what);
        let (set, rest) = match operator.split_once(':') {
            None => (Set::Plain, operator),
            Some(("ForAnyValue", rest)) => (Set::ForAnyValue, rest),
            Some(("ForAllValues", rest)) => (Set::ForAllValues, rest),
            Some((other, _)) => return Err(wrong(format!("{other} is neither ForAnyValue nor ForAllValues"))),
        };
        let (name, missing) = match rest.strip_suffix("IfExists") {
            Some(name) => (name, Missing::Holds),
            None => (rest, Missing::Differs),
        };
        let lower = key.to_ascii_lowercase();
        if !context::is_known(&lower) {
            return Err(wrong(format!("the local cloud does not know the condition key {key}")));
        }
        let texts = texts(values).ok_or_else(|| wrong("values must be texts, or a list of texts".to_owned()))?;
        let patterns = |wildcards| -> Result<Vec<Pattern>, Malformed> {
            texts
                .iter()
                .map(|text| {
                    let pattern = Pattern::parse(text, variables, wildcards).map_err(&wrong)?;
                    pattern.check_variables().map_err(&wrong)?;
                    Ok(pattern)
                })
                .collect()
        };
        let (base, negated) = match name {
            "NotIpAddress" => ("IpAddress".to_owned(), Negated::Yes),
            _ if name.contains("Not") => (name.replacen("Not", "", 1), Negated::Yes),
            _ => (name.to_owned(), Negated::No),
        };
        let test = match base.as_str() {
            "StringEquals" => Test::Text(patterns(Wildcards::Literal)?),
            "StringEqualsIgnoreCase" => Test::TextInAnyCase(patterns(Wildcards::Literal)?),
            "StringLike" => Test::Text(patterns(Wildcards::Known)?),
            "ArnEquals" | "ArnLike" => Test::Arn(
                texts
                    .iter()
                    .map(|text| ArnPattern::parse(text, variables).map_err(|_| wrong(format!("{text} is no ARN"))))
                    .map(|arn| arn.and_then(|arn| arn.check_variables().map_err(&wrong).map(|()| arn)))
                    .collect::<Result<_, _>>()?,
            ),
            "Bool" if negated == Negated::No => Test::Flag(flags(&texts).map_err(&wrong)?),
            "Null" if negated == Negated::No && missing == Missing::Differs => {
                Test::Absent(flags(&texts).map_err(&wrong)?)
            }
            "IpAddress" => Test::Address(
                texts
                    .iter()
                    .map(|text| Network::parse(text).ok_or_else(|| wrong(format!("{text} is no address or block"))))
                    .collect::<Result<_, _>>()?,
            ),
            other => match ordered(other) {
                Some(("Numeric", compare)) if negated == Negated::No || compare == Compare::Equal => Test::Number(
                    compare,
                    texts
                        .iter()
                        .map(|text| text.parse().map_err(|_| wrong(format!("{text} is no number"))))
                        .collect::<Result<_, _>>()?,
                ),
                Some(("Date", compare)) if negated == Negated::No || compare == Compare::Equal => Test::Date(
                    compare,
                    texts
                        .iter()
                        .map(|text| date(text).ok_or_else(|| wrong(format!("{text} is no date"))))
                        .collect::<Result<_, _>>()?,
                ),
                _ => {
                    let near = nearest(operator, OPERATORS.into_iter());
                    let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                    return Err(wrong(format!("Invalid Condition type : {operator}.{hint}")));
                }
            },
        };
        Ok(Self { operator: operator.to_owned(), shown_key: key.to_owned(), key: lower, set, missing, negated, test })
    }

    /// `StringEquals on aws:SourceAccount`
    pub(super) fn name(&self) -> String {
        format!("{} on {}", self.operator, self.shown_key)
    }

    /// Its key, where the request does not have it.
    pub(super) fn unknown_key(&self, context: &Context) -> Option<&str> {
        context.get(&self.key).is_none().then_some(self.shown_key.as_str())
    }

    /// Whether it holds for a request.
    pub(super) fn holds(&self, context: &Context) -> bool {
        let found = context.get(&self.key).filter(|values| !values.is_empty());
        if let Test::Absent(wanted) = &self.test {
            return wanted.contains(&found.is_none());
        }
        let one = |value: &String| self.equals_any(value, context) != (self.negated == Negated::Yes);
        match (self.set, found) {
            (Set::ForAllValues, None) => true,
            (Set::ForAllValues, Some(values)) => values.iter().all(one),
            (_, Some(values)) => values.iter().any(one),
            (Set::ForAnyValue, None) => self.missing == Missing::Holds,
            (Set::Plain, None) => self.missing == Missing::Holds || self.negated == Negated::Yes,
        }
    }

    fn equals_any(&self, value: &str, context: &Context) -> bool {
        match &self.test {
            Test::Text(patterns) => patterns.iter().any(|pattern| pattern.matches(value, context)),
            Test::TextInAnyCase(patterns) => patterns.iter().any(|pattern| pattern.matches_in_any_case(value, context)),
            Test::Arn(patterns) => patterns.iter().any(|pattern| pattern.matches(value, context)),
            Test::Number(compare, numbers) => {
                let Ok(number) = value.parse::<f64>() else { return false };
                numbers.iter().any(|wanted| compare.fits(number.partial_cmp(wanted)))
            }
            Test::Date(compare, dates) => {
                let Some(moment) = date(value) else { return false };
                dates.iter().any(|wanted| compare.fits(moment.partial_cmp(wanted)))
            }
            Test::Flag(flags) => value.parse().is_ok_and(|flag| flags.contains(&flag)),
            Test::Address(networks) => {
                value.parse().is_ok_and(|address| networks.iter().any(|network| network.holds(address)))
            }
            // Judged before any value is looked at.
            Test::Absent(_) => false,
        }
    }
}

/// One text or several; numbers and booleans are texts here, as IAM takes them.
fn texts(values: &Value) -> Option<Vec<String>> {
    fn text(value: &Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
            _ => None,
        }
    }
    match values {
        Value::Array(values) => values.iter().map(text).collect(),
        one => text(one).map(|text| vec![text]),
    }
}

fn flags(texts: &[String]) -> Result<Vec<bool>, String> {
    texts
        .iter()
        .map(|text| text.to_ascii_lowercase().parse().map_err(|_| format!("{text} is neither true nor false")))
        .collect()
}

/// `NumericLessThanEquals` -> the kind and how it compares.
fn ordered(name: &str) -> Option<(&'static str, Compare)> {
    let (kind, rest) = match (name.strip_prefix("Numeric"), name.strip_prefix("Date")) {
        (Some(rest), _) => ("Numeric", rest),
        (_, Some(rest)) => ("Date", rest),
        _ => return None,
    };
    let compare = match rest {
        "Equals" => Compare::Equal,
        "LessThan" => Compare::Less,
        "LessThanEquals" => Compare::LessOrEqual,
        "GreaterThan" => Compare::Greater,
        "GreaterThanEquals" => Compare::GreaterOrEqual,
        _ => return None,
    };
    Some((kind, compare))
}

/// A moment as ISO 8601 writes it, also a day alone, or seconds since 1970.
fn date(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<i64>()
        && text.len() > 4
    {
        return Timestamp::from_second(seconds).ok();
    }
    text.parse().ok().or_else(|| {
        let day: jiff::civil::Date = text.parse().ok()?;
        Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(operator: &str, key: &str, values: impl Into<Value>) -> Result<Condition, Malformed> {
        Condition::parse(operator, key, &values.into(), Variables::Known, "Condition")
    }

    fn holds(operator: &str, key: &str, values: impl Into<Value>) -> bool {
        let context = Context::default()
            .with("aws:username", "developer")
            .with("aws:SecureTransport", "true")
            .with("aws:SourceIp", "203.0.113.7")
            .with("aws:CurrentTime", "2026-03-01T12:00:00Z")
            .with("aws:EpochTime", "1772366400")
            .with("s3:max-keys", "10")
            .with("aws:SourceArn", "arn:aws:events:eu-west-1:111122223333:rule/push")
            .with_all("codecommit:References", ["refs/heads/main".to_owned(), "refs/heads/dev".to_owned()]);
        parse(operator, key, values).unwrap().holds(&context)
    }

    #[test]
    fn texts_are_equal_alike_or_equal_in_any_case() {
        assert!(holds("StringEquals", "aws:UserName", json!(["x", "developer"])));
        assert!(!holds("StringEquals", "aws:username", "devel*") && holds("StringLike", "aws:username", "devel*"));
        assert!(holds("StringEqualsIgnoreCase", "aws:username", "DEVELOPER"));
        assert!(!holds("StringNotEquals", "aws:username", json!(["x", "developer"])));
        assert!(holds("StringNotLike", "aws:username", json!(["x*", "y*"])));
        assert!(!holds("StringNotEqualsIgnoreCase", "aws:username", "Developer"));
        assert!(holds("StringEquals", "aws:username", "${aws:username}"));
        assert!(!holds("StringEquals", "aws:username", "${aws:PrincipalTag/none}"));
    }

    #[test]
    fn a_key_that_is_missing_differs_from_everything_unless_told_otherwise() {
        let key = "sts:ExternalId";
        assert!(!holds("StringEquals", key, "x") && holds("StringNotEquals", key, "x"));
        assert!(holds("StringEqualsIfExists", key, "x") && holds("Null", key, "true") && !holds("Null", key, false));
        assert!(!holds("ForAnyValue:StringEquals", key, "x") && holds("ForAllValues:StringEquals", key, "x"));
        assert!(!holds("ForAnyValue:StringNotEquals", key, "x"));
        assert!(holds("Null", "aws:username", "false"));
    }

    #[test]
    fn of_several_values_all_or_any_must_fit() {
        let key = "codecommit:References";
        let both = json!(["refs/heads/main", "refs/heads/dev"]);
        assert!(holds("ForAllValues:StringEquals", key, both.clone()));
        assert!(!holds("ForAllValues:StringEquals", key, "refs/heads/main"));
        assert!(holds("ForAnyValue:StringLike", key, "refs/heads/m*") && holds("StringLike", key, "refs/heads/m*"));
        assert!(holds("ForAnyValue:StringNotEquals", key, "refs/heads/main"));
        assert!(!holds("ForAllValues:StringNotEquals", key, both));
    }

    #[test]
    fn numbers_dates_flags_addresses_and_arns_are_compared_as_what_they_are() {
        assert!(holds("NumericLessThanEquals", "s3:max-keys", 10) && !holds("NumericLessThan", "s3:max-keys", "10"));
        assert!(holds("NumericNotEquals", "s3:max-keys", "11") && holds("NumericGreaterThan", "s3:max-keys", "9.5"));
        assert!(holds("DateGreaterThan", "aws:CurrentTime", "2026-03-01T11:59:59Z"));
        assert!(
            holds("DateLessThan", "aws:CurrentTime", "2026-03-02")
                && holds("DateEquals", "aws:EpochTime", 1_772_366_400)
        );
        assert!(!holds("DateNotEquals", "aws:CurrentTime", "2026-03-01T13:00:00+01:00"));
        assert!(holds("Bool", "aws:SecureTransport", true) && !holds("Bool", "aws:SecureTransport", "False"));
        assert!(
            holds("IpAddress", "aws:SourceIp", "203.0.113.0/24") && holds("IpAddress", "aws:SourceIp", "0.0.0.0/0")
        );
        assert!(holds("NotIpAddress", "aws:SourceIp", json!(["10.0.0.0/8", "2001:db8::/32"])));
        assert!(holds("ArnLike", "aws:SourceArn", "arn:aws:events:*:*:rule/p*"));
        assert!(holds("ArnNotEquals", "aws:SourceArn", "arn:aws:events:eu-west-1:111122223333:rule/x"));
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_place() {
        let told = |operator: &str, key: &str, value: Value| parse(operator, key, value).unwrap_err().to_string();
        assert!(told("StringEqals", "aws:username", json!("x")).contains("did you mean StringEquals?"));
        for (operator, key, value) in [
            ("StringEquals", "aws:Usernam", json!("x")),
            ("ForSomeValues:StringEquals", "aws:username", json!("x")),
            ("Bool", "aws:SecureTransport", json!("yes")),
            ("NumericEquals", "s3:max-keys", json!("ten")),
            ("NumericNotLessThan", "s3:max-keys", json!("10")),
            ("DateEquals", "aws:CurrentTime", json!("tomorrow")),
            ("IpAddress", "aws:SourceIp", json!("10.0.0.0/33")),
            ("ArnLike", "aws:SourceArn", json!("rule/x")),
            ("NullIfExists", "aws:username", json!("true")),
            ("StringEquals", "aws:username", json!({"a": 1})),
            ("StringEquals", "aws:username", json!("${broken")),
        ] {
            assert!(told(operator, key, value).starts_with("Condition: "), "{operator} {key}");
        }
    }
}
