//! Policy documents, read whole: what is not understood is refused with its place.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::condition::Condition;
use super::context::Context;
use super::pattern::{ArnPattern, Pattern, Variables, Wildcards};
use super::principal::{Principal, Principals};
use crate::error::ServiceError;
use crate::template::problem::nearest;

/// A text that is no policy document, in IAM's words where it has some, with the place of what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(String);

impl Malformed {
    pub(super) fn at(place: &str, what: impl std::fmt::Display) -> Self {
        Self(format!("{place}: {what}"))
    }

    /// As IAM itself answers.
    pub fn into_service(self) -> ServiceError {
        ServiceError::bad("MalformedPolicyDocument", self.0)
    }
}

/// What a document is attached to; each has its own rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// To a user or a role: it names resources and no principal.
    Identity,
    /// To a queue, a topic or a bucket: it names principals.
    Resource,
    /// To a role: who may assume it.
    Trust,
}

/// A policy document.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub(super) statements: Vec<Statement>,
}

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Allow,
    Deny,
}

/// `Action` or `NotAction`, `Resource` or `NotResource`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Named<T> {
    These(Vec<T>),
    AllBut(Vec<T>),
}

impl<T> Named<T> {
    /// The one of the list that fits, as the statement writes it; for `Not...` the element's own name.
    fn hit<'a>(&'a self, fits: impl Fn(&T) -> bool, text: impl Fn(&'a T) -> &'a str, not: &'a str) -> Option<&'a str> {
        match self {
            Self::These(list) => list.iter().find(|one| fits(one)).map(text),
            Self::AllBut(list) => (!list.iter().any(fits)).then_some(not),
        }
    }

    /// Everything that is listed.
    pub(super) fn list(&self) -> &[T] {
        match self {
            Self::These(list) | Self::AllBut(list) => list,
        }
    }
}

/// A statement of a document.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Statement {
    sid: Option<String>,
    number: usize,
    pub(super) effect: Effect,
    principals: Option<Principals>,
    /// In lower case: actions are the same in any case.
    pub(super) actions: Named<Pattern>,
    /// Absent where the document's own resource is the only one.
    pub(super) resources: Option<Named<ArnPattern>>,
    conditions: Vec<Condition>,
}

/// Which parts of a statement a request met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hit<'a> {
    pub(super) action: &'a str,
    pub(super) resource: &'a str,
}

impl Statement {
    /// `the statement ReadPolicy`, or its place where it has no name.
    pub(super) fn name(&self) -> String {
        match &self.sid {
            Some(sid) => format!("the statement {sid}"),
            None => format!("the statement number {}", self.number + 1),
        }
    }

    /// Its name alone, for records.
    pub(super) fn label(&self) -> String {
        self.sid.clone().unwrap_or_else(|| format!("Statement[{}]", self.number))
    }

    pub(super) fn action(&self, action: &str) -> Option<&str> {
        let (action, none) = (action.to_ascii_lowercase(), Context::default());
        self.actions.hit(|pattern| pattern.matches(&action, &none), Pattern::text, "NotAction")
    }

    pub(super) fn resource(&self, resource: &str, context: &Context) -> Option<&str> {
        match &self.resources {
            None => Some("*"),
            Some(named) => named.hit(|pattern| pattern.matches(resource, context), ArnPattern::text, "NotResource"),
        }
    }

    /// The first condition that does not hold.
    pub(super) fn unmet(&self, context: &Context) -> Option<&Condition> {
        self.conditions.iter().find(|condition| !condition.holds(context))
    }

    /// The condition keys that it asks for and a request does not have.
    pub(super) fn unknown_keys<'a>(&'a self, context: &Context) -> impl Iterator<Item = &'a str> {
        self.conditions.iter().filter_map(|condition| condition.unknown_key(context))
    }

    /// How a principal is named, if it is; a statement without principals is about whom it is attached to.
    pub(super) fn principal(&self, principal: &Principal) -> Option<super::principal::NamedAs> {
        match &self.principals {
            None => Some(super::principal::NamedAs::Itself),
            Some(principals) => principals.names(principal, self.effect),
        }
    }

    /// What of it a request meets, principals aside.
    pub(super) fn hit(&self, action: &str, resource: &str, context: &Context) -> Option<Hit<'_>> {
        let (action, resource) = (self.action(action)?, self.resource(resource, context)?);
        self.unmet(context).is_none().then_some(Hit { action, resource })
    }
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// Whatever is not understood, with its place, for instance `Statement[1].Effect`.
    pub fn parse(text: &str, kind: Kind) -> Result<Self, Malformed> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| Malformed(format!("Syntax errors in policy: {error}")))?;
        Self::read(&value, kind)
    }

    /// Reads a document that is JSON already.
    ///
    /// # Errors
    /// As [`Document::parse`].
    pub fn read(value: &Value, kind: Kind) -> Result<Self, Malformed> {
        let Some(document) = value.as_object() else {
            return Err(Malformed("Syntax errors in policy: it must be an object with Statement".to_owned()));
        };
        check_members(document, &["Version", "Id", "Statement"], "the policy")?;
        let variables = match document.get("Version") {
            None => Variables::Literal,
            Some(version) => match version.as_str() {
                Some("2012-10-17") => Variables::Known,
                Some("2008-10-17") => Variables::Literal,
                _ => {
                    return Err(Malformed::at("Version", "The policy must contain a valid version string: 2012-10-17"));
                }
            },
        };
        if document.get("Id").is_some_and(|id| !id.is_string()) {
            return Err(Malformed::at("Id", "it must be a text"));
        }
        let statements: Vec<&Value> = match document.get("Statement") {
            Some(Value::Array(statements)) => statements.iter().collect(),
            Some(one @ Value::Object(_)) => vec![one],
            Some(_) => return Err(Malformed::at("Statement", "it must be an object or a list of objects")),
            None => Vec::new(),
        };
        if statements.is_empty() {
            return Err(Malformed("Missing required field Statement".to_owned()));
        }
        let mut sids = BTreeSet::new();
        let mut read = Vec::with_capacity(statements.len());
        for (number, statement) in statements.into_iter().enumerate() {
            let place = format!("Statement[{number}]");
            let statement = statement_of(statement, number, kind, variables, &place)?;
            if let Some(sid) = &statement.sid
                && !sids.insert(sid.clone())
            {
                let what = format!("Statement IDs (SID) in a single policy must be unique, and {sid} is there twice");
                return Err(Malformed::at(&format!("{place}.Sid"), what));
            }
            read.push(statement);
        }
        Ok(Self { statements: read })
    }
}

const MEMBERS: [&str; 9] =
    ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];

fn check_members(object: &Map<String, Value>, known: &[&str], place: &str) -> Result<(), Malformed> {
    match object.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let near = nearest(name, known.iter().copied());
            let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            Err(Malformed::at(place, format!("Syntax errors in policy: {name} is no element of it{hint}")))
        }
    }
}

fn statement_of(
    value: &Value,
    number: usize,
    kind: Kind,
    variables: Variables,
    place: &str,
) -> Result<Statement, Malformed> {
    let Some(statement) = value.as_object() else {
        return Err(Malformed::at(place, "Syntax errors in policy: a statement must be an object"));
    };
    check_members(statement, &MEMBERS, place)?;
    let sid = match statement.get("Sid") {
        None => None,
        Some(Value::String(sid)) => Some(sid.clone()).filter(|sid| !sid.is_empty()),
        Some(_) => return Err(Malformed::at(&format!("{place}.Sid"), "it must be a text")),
    };
    let bad_sid = |sid: &String| !sid.chars().all(|character| character.is_ascii_alphanumeric());
    if kind != Kind::Resource && sid.as_ref().is_some_and(bad_sid) {
        let what = "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*";
        return Err(Malformed::at(&format!("{place}.Sid"), what));
    }
    let effect = match statement.get("Effect") {
        Some(Value::String(effect)) if effect == "Allow" => Effect::Allow,
        Some(Value::String(effect)) if effect == "Deny" => Effect::Deny,
        None => return Err(Malformed::at(place, "Missing required field Effect")),
        Some(other) => return Err(Malformed::at(&format!("{place}.Effect"), format!("Invalid effect: {other}"))),
    };
    let principals = principals_of(statement, kind, effect, place)?;
    let actions = actions_of(statement, kind, place)?;
    let resources = resources_of(statement, kind, variables, place)?;
    let conditions = conditions_of(statement.get("Condition"), variables, place)?;
    Ok(Statement { sid, number, effect, principals, actions, resources, conditions })
}

fn principals_of(
    statement: &Map<String, Value>,
    kind: Kind,
    effect: Effect,
    place: &str,
) -> Result<Option<Principals>, Malformed> {
    let found = either(statement, "Principal", "NotPrincipal", place)?;
    match (kind, found) {
        (Kind::Identity, None) => Ok(None),
        (Kind::Identity, Some(_)) => Err(Malformed::at(place, "Policy document should not specify a principal.")),
        (_, None) => Err(Malformed::at(place, "Missing required field Principal")),
        (Kind::Trust, Some(("NotPrincipal", _))) => Err(Malformed::at(place, "Has prohibited field NotPrincipal")),
        // It would let in everybody else, of every account and none.
        (_, Some(("NotPrincipal", _))) if effect == Effect::Allow => {
            Err(Malformed::at(place, "Allow with NotPrincipal is not allowed."))
        }
        (_, Some((name, value))) => {
            Principals::parse(value, name == "NotPrincipal", &format!("{place}.{name}")).map(Some)
        }
    }
}

fn actions_of(statement: &Map<String, Value>, kind: Kind, place: &str) -> Result<Named<Pattern>, Malformed> {
    let Some((name, value)) = either(statement, "Action", "NotAction", place)? else {
        return Err(Malformed::at(place, "Policy statement must contain actions."));
    };
    let place = format!("{place}.{name}");
    let mut actions = Vec::new();
    for text in texts(value, &place)? {
        let vendor = text.split_once(':').map(|(vendor, action)| (vendor.to_ascii_lowercase(), action));
        let good = match &vendor {
            Some((vendor, action)) => {
                let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
                !vendor.is_empty()
                    && vendor.chars().all(plain)
                    && !action.is_empty()
                    && action.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '*' | '?'))
            }
            None => text == "*",
        };
        if !good {
            return Err(Malformed::at(
                &place,
                format!("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.: {text:?}"),
            ));
        }
        if kind == Kind::Trust && vendor.is_none_or(|(vendor, _)| vendor != "sts") {
            return Err(Malformed::at(&place, "AssumeRole policy may only specify STS AssumeRole actions."));
        }
        let pattern = Pattern::parse(&text.to_ascii_lowercase(), Variables::Literal, Wildcards::Known);
        actions.push(pattern.map_err(|what| Malformed::at(&place, what))?);
    }
    if actions.is_empty() {
        return Err(Malformed::at(&place, "Policy statement must contain actions."));
    }
    Ok(if name == "Action" { Named::These(actions) } else { Named::AllBut(actions) })
}

fn resources_of(
    statement: &Map<String, Value>,
    kind: Kind,
    variables: Variables,
    place: &str,
) -> Result<Option<Named<ArnPattern>>, Malformed> {
    let (name, value) = match (kind, either(statement, "Resource", "NotResource", place)?) {
        (Kind::Trust | Kind::Resource, None) => return Ok(None),
        (Kind::Trust, Some(_)) => return Err(Malformed::at(place, "Has prohibited field Resource")),
        (Kind::Identity, None) => return Err(Malformed::at(place, "Policy statement must contain resources.")),
        (Kind::Identity | Kind::Resource, Some(found)) => found,
    };
    let place = format!("{place}.{name}");
    let mut resources = Vec::new();
    for text in texts(value, &place)? {
        let pattern = ArnPattern::parse(&text, variables).map_err(|what| Malformed::at(&place, what))?;
        pattern.check_variables().map_err(|what| Malformed::at(&place, what))?;
        resources.push(pattern);
    }
    if resources.is_empty() {
        return Err(Malformed::at(&place, "Policy statement must contain resources."));
    }
    Ok(Some(if name == "Resource" { Named::These(resources) } else { Named::AllBut(resources) }))
}

fn conditions_of(value: Option<&Value>, variables: Variables, place: &str) -> Result<Vec<Condition>, Malformed> {
    let place = format!("{place}.Condition");
    let Some(value) = value else { return Ok(Vec::new()) };
    let operators = value.as_object().ok_or_else(|| Malformed::at(&place, "it must be an object of operators"))?;
    let mut conditions = Vec::new();
    for (operator, keys) in operators {
        let place = format!("{place}.{operator}");
        let keys = keys.as_object().ok_or_else(|| Malformed::at(&place, "it must be an object of condition keys"))?;
        for (key, values) in keys {
            conditions.push(Condition::parse(operator, key, values, variables, &format!("{place}.{key}"))?);
        }
    }
    Ok(conditions)
}

/// The one of two elements that is there; both is one too many.
fn either<'a>(
    statement: &'a Map<String, Value>,
    one: &'static str,
    other: &'static str,
    place: &str,
) -> Result<Option<(&'static str, &'a Value)>, Malformed> {
    match (statement.get(one), statement.get(other)) {
        (Some(_), Some(_)) => Err(Malformed::at(place, format!("it has both {one} and {other}; only one may be"))),
        (Some(value), None) => Ok(Some((one, value))),
        (None, Some(value)) => Ok(Some((other, value))),
        (None, None) => Ok(None),
    }
}

/// A text or a list of texts.
pub(super) fn texts(value: &Value, place: &str) -> Result<Vec<String>, Malformed> {
    let wrong = || Malformed::at(place, "it must be a text or a list of texts");
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Array(values) => {
            values.iter().map(|value| value.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn statement(change: impl FnOnce(&mut Value)) -> Value {
        let mut statement = json!({ "Sid": "One", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*" });
        change(&mut statement);
        json!({ "Version": "2012-10-17", "Id": "x", "Statement": [statement] })
    }

    fn refused(document: &Value, kind: Kind) -> String {
        Document::read(document, kind).unwrap_err().to_string()
    }

    #[test]
    fn a_document_may_have_one_statement_or_several_and_lists_or_texts() {
        let one = json!({ "Statement": { "Effect": "Deny", "NotAction": ["s3:*", "iam:*"], "NotResource": "arn:aws:s3:::a*" } });
        assert_eq!(Document::read(&one, Kind::Identity).unwrap().statements.len(), 1);
        Document::read(&statement(|_| {}), Kind::Identity).unwrap();
        let trust = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Principal": { "Service": ["a.amazonaws.com"], "AWS": "111122223333" }, "Action": "sts:AssumeRole" }] });
        Document::read(&trust, Kind::Trust).unwrap();
    }

    #[test]
    fn everything_that_is_not_understood_is_refused_with_its_place() {
        let set = |key: &'static str, value: Value| statement(move |statement| statement[key] = value);
        let cases = [
            (
                set("Effct", json!("Allow")),
                "Statement[0]: Syntax errors in policy: Effct is no element of it; did you mean Effect?",
            ),
            (set("Effect", json!("allow")), "Statement[0].Effect: Invalid effect: \"allow\""),
            (set("Action", json!("GetObject")), "Statement[0].Action: Actions/Conditions must be prefaced by a vendor"),
            (set("Action", json!([])), "Statement[0].Action: Policy statement must contain actions."),
            (set("NotAction", json!("s3:*")), "Statement[0]: it has both Action and NotAction"),
            (set("Resource", json!("bucket/*")), "Statement[0].Resource: Resource bucket/* must be in ARN format"),
            (set("Resource", json!("arn:aws:s3:::b/${aws:nobody}")), "does not know the policy variable ${aws:nobody}"),
            (set("Principal", json!("*")), "Statement[0]: Policy document should not specify a principal."),
            (set("Sid", json!("with space")), "Statement[0].Sid: Statement IDs (SID) must be alpha-numeric."),
            (
                set("Condition", json!({ "StringEqals": { "aws:username": "x" } })),
                "Statement[0].Condition.StringEqals.aws:username: Invalid Condition type",
            ),
            (
                json!({ "Version": "2020-01-01", "Statement": [] }),
                "Version: The policy must contain a valid version string",
            ),
            (json!({ "Version": "2012-10-17" }), "Missing required field Statement"),
            (
                json!({ "Statements": [] }),
                "the policy: Syntax errors in policy: Statements is no element of it; did you mean Statement?",
            ),
            (json!([]), "Syntax errors in policy"),
        ];
        for (document, told) in cases {
            let message = refused(&document, Kind::Identity);
            assert!(message.contains(told), "{message}");
        }
        let mut twice = statement(|_| {});
        let again = twice["Statement"][0].clone();
        twice["Statement"].as_array_mut().unwrap().push(again);
        assert!(
            refused(&twice, Kind::Identity)
                .contains("Statement[1].Sid: Statement IDs (SID) in a single policy must be unique")
        );
        assert!(Document::parse("{", Kind::Identity).unwrap_err().to_string().starts_with("Syntax errors in policy"));
        let trust = |action: &str| json!({ "Statement": { "Effect": "Allow", "Principal": "*", "Action": action } });
        assert!(refused(&trust("s3:GetObject"), Kind::Trust).contains("may only specify STS AssumeRole actions"));
        assert!(refused(&statement(|_| {}), Kind::Resource).contains("Missing required field Principal"));
        let all_but = |effect: &str| {
            let action = "sts:AssumeRole";
            json!({ "Statement": { "Effect": effect, "NotPrincipal": { "AWS": "111122223333" }, "Action": action } })
        };
        assert!(refused(&all_but("Allow"), Kind::Resource).contains("Allow with NotPrincipal is not allowed"));
        Document::read(&all_but("Deny"), Kind::Resource).unwrap();
        for effect in ["Allow", "Deny"] {
            assert!(refused(&all_but(effect), Kind::Trust).contains("Has prohibited field NotPrincipal"));
        }
    }
}
