//! What a target is sent: the event, a part of it, a constant, or a template with parts of it put in.
//!
//! A template is JSON, or quoted lines, with placeholders `<name>`. Outside of quotes a placeholder becomes the value as
//! JSON; inside it becomes its text, so that what was JSON stays JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::path::Path;
use super::rules::{Target, invalid};
use crate::error::Answer;
use crate::input::check_length;

/// The most characters of an input or a template, as on AWS.
const LARGEST_INPUT: usize = 8192;

/// The longest path, as on AWS.
const LONGEST_PATH: usize = 256;

/// The most paths of a template, as on AWS.
const MOST_PATHS: usize = 100;

/// What a template can say without a path of its own.
const PREDEFINED: [&str; 5] = [
    "aws.events.rule-arn",
    "aws.events.rule-name",
    "aws.events.event.ingestion-time",
    "aws.events.event",
    "aws.events.event.json",
];

/// How the parts of an event become a target's input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct InputTransformer {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    input_paths_map: BTreeMap<String, String>,
    input_template: String,
}

/// An event on its way to one rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Occurrence<'a> {
    pub(super) event: &'a Value,
    /// The event's text as it goes over the wire.
    pub(super) body: &'a str,
    /// When the bus got it, in ISO 8601.
    pub(super) ingested: &'a str,
    pub(super) rule_name: &'a str,
    pub(super) rule_arn: &'a str,
}

impl Target {
    /// Whether AWS would take how the target's input is made.
    pub(super) fn check_input(&self) -> Answer<()> {
        let id = &self.id;
        let ways = [self.input.is_some(), self.input_path.is_some(), self.input_transformer.is_some()];
        if ways.into_iter().filter(|way| *way).count() > 1 {
            return Err(invalid(format!(
                "Only one of Input, InputPath, or InputTransformer must be provided for target {id}."
            )));
        }
        if let Some(input) = &self.input {
            check_length("ValidationException", "targets.member.input", Some(input), 0..=LARGEST_INPUT)?;
            serde_json::from_str::<Value>(input)
                .map_err(|error| invalid(format!("JSON syntax error in input for target {id}: {error}.")))?;
        }
        if let Some(path) = &self.input_path {
            check_path("inputPath", id, path)?;
        }
        self.input_transformer.as_ref().map_or(Ok(()), |transformer| transformer.check(id))
    }

    /// What the target is sent of an event.
    pub(super) fn input_of(&self, occurrence: Occurrence<'_>) -> String {
        if let Some(input) = &self.input {
            return input.clone();
        }
        if let Some(path) = &self.input_path {
            let found = Path::parse(path).ok().and_then(|path| path.find(occurrence.event));
            return found.unwrap_or(Value::Null).to_string();
        }
        match &self.input_transformer {
            Some(transformer) => transformer.fill(occurrence),
            None => occurrence.body.to_owned(),
        }
    }
}

impl InputTransformer {
    fn check(&self, id: &str) -> Answer<()> {
        let (paths, template) = (&self.input_paths_map, &self.input_template);
        if template.is_empty() {
            return Err(invalid(format!("InputTemplate for target {id} must not be empty.")));
        }
        let member = "targets.member.inputTransformer.inputTemplate";
        check_length("ValidationException", member, Some(template), 1..=LARGEST_INPUT)?;
        if paths.len() > MOST_PATHS {
            return Err(invalid(format!(
                "InputPathsMap for target {id} has {} paths, at most {MOST_PATHS} are allowed.",
                paths.len()
            )));
        }
        for (name, path) in paths {
            let good = (1..=256).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
            if !good || name.to_ascii_uppercase().starts_with("AWS") {
                return Err(invalid(format!(
                    "InputPathsMap for target {id} contains invalid key {name:?}: a key holds letters, digits, '_' and '-', and does not start with AWS."
                )));
            }
            check_path("inputTransformer.inputPathsMap", id, path)?;
        }
        for piece in pieces(template) {
            if let Piece::Placeholder { name, .. } = piece
                && !paths.contains_key(name)
                && !PREDEFINED.contains(&name)
            {
                return Err(invalid(format!("InputTemplate for target {id} contains invalid placeholder {name}.")));
            }
        }
        let sample = render(template, |_| Some(json!(0)));
        let is_json = serde_json::from_str::<Value>(&sample).map(|_| ());
        let is_lines = sample.lines().all(|line| serde_json::from_str::<String>(line).is_ok());
        match is_json {
            Err(error) if !is_lines => Err(invalid(format!(
                "Invalid InputTemplate for target {id} : it is neither JSON nor lines in quotes ({error})."
            ))),
            _ => Ok(()),
        }
    }

    fn fill(&self, occurrence: Occurrence<'_>) -> String {
        render(&self.input_template, |name| match name {
            "aws.events.rule-arn" => Some(json!(occurrence.rule_arn)),
            "aws.events.rule-name" => Some(json!(occurrence.rule_name)),
            "aws.events.event.ingestion-time" => Some(json!(occurrence.ingested)),
            "aws.events.event" => Some(without_detail(occurrence.event)),
            "aws.events.event.json" => Some(occurrence.event.clone()),
            name => Path::parse(self.input_paths_map.get(name)?).ok()?.find(occurrence.event),
        })
    }
}

fn check_path(member: &str, id: &str, path: &str) -> Answer<()> {
    check_length("ValidationException", &format!("targets.member.{member}"), Some(path), 0..=LONGEST_PATH)?;
    Path::parse(path)
        .map(|_| ())
        .map_err(|reason| invalid(format!("Invalid JSON path in {member} for target {id}. Reason: {reason}.")))
}

/// The event as `<aws.events.event>` has it.
fn without_detail(event: &Value) -> Value {
    let mut event = event.clone();
    if let Value::Object(members) = &mut event {
        members.remove("detail");
        if let Some(kind) = members.remove("detail-type") {
            members.insert("detailType".to_owned(), kind);
        }
    }
    event
}

enum Piece<'t> {
    Text(&'t str),
    Placeholder { name: &'t str, quoted: bool },
}

/// A template, cut at its placeholders; a `<` that begins none is text.
fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut quoted, mut escaped) = (false, false);
    let mut rest = template;
    while let Some(at) = rest.find('<') {
        let (text, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        for character in text.chars() {
            quoted ^= character == '"' && !escaped;
            escaped = character == '\\' && !escaped;
        }
        let inside = from.get(1..).unwrap_or_default();
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        pieces.push(Piece::Text(text));
        match inside.split_once('>').filter(|(name, _)| is_name(name)) {
            Some((name, behind)) => {
                pieces.push(Piece::Placeholder { name, quoted });
                rest = behind;
            }
            None => {
                pieces.push(Piece::Text("<"));
                rest = inside;
            }
        }
        escaped = false;
    }
    pieces.push(Piece::Text(rest));
    pieces
}

/// Puts values in; what there is no value for leaves nothing in its place.
fn render(template: &str, value: impl Fn(&str) -> Option<Value>) -> String {
    let mut out = String::new();
    for piece in pieces(template) {
        let (name, quoted) = match piece {
            Piece::Text(text) => {
                out.push_str(text);
                continue;
            }
            Piece::Placeholder { name, quoted } => (name, quoted),
        };
        match value(name) {
            None => {}
            Some(value) if !quoted => out.push_str(&value.to_string()),
            Some(value @ Value::String(_)) => {
                let text = value.to_string();
                out.push_str(text.get(1..text.len() - 1).unwrap_or_default());
            }
            // Inside of quotes JSON loses its own.
            Some(value) => out.push_str(&value.to_string().replace("\\\"", "").replace(['"', '\\'], "")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(input: impl Into<Value>) -> Target {
        let input = input.into();
        let mut target = json!({"Id": "t", "Arn": "arn:aws:sqs:eu-west-1:111122223333:q"});
        for (name, value) in input.as_object().unwrap() {
            target[name] = value.clone();
        }
        serde_json::from_value(target).unwrap()
    }

    fn template(paths: impl Into<Value>, template: &str) -> Target {
        let paths = paths.into();
        target(json!({"InputTransformer": {"InputPathsMap": paths, "InputTemplate": template}}))
    }

    fn sent(target: &Target) -> String {
        target.check_input().unwrap();
        let event = json!({"version": "0", "id": "e", "detail-type": "State", "source": "aws.ec2", "resources": ["arn:r"],
            "detail": {"instance-id": "i-0123", "state": "RUN\"NING", "count": 3, "tags": {"a": "b"}}});
        target.input_of(Occurrence {
            event: &event,
            body: "the body",
            ingested: "2026-01-02T03:04:05Z",
            rule_name: "pushes",
            rule_arn: "arn:aws:events:eu-west-1:111122223333:rule/pushes",
        })
    }

    fn refusal(target: &Target) -> String {
        let refused = target.check_input().unwrap_err();
        assert_eq!(refused.code, "ValidationException");
        refused.message
    }

    #[test]
    fn the_whole_event_a_constant_or_a_part_of_it_is_sent() {
        assert_eq!(sent(&target(json!({}))), "the body");
        assert_eq!(sent(&target(json!({"Input": "{\"k\": 1}"}))), "{\"k\": 1}");
        assert_eq!(sent(&target(json!({"InputPath": "$.detail.instance-id"}))), "\"i-0123\"");
        assert_eq!(sent(&target(json!({"InputPath": "$.detail.tags"}))), "{\"a\":\"b\"}");
        assert_eq!(sent(&target(json!({"InputPath": "$.detail.nope"}))), "null");
    }

    #[test]
    fn a_template_of_text_is_filled_and_a_missing_value_leaves_nothing() {
        let paths = json!({"instance": "$.detail.instance-id", "state": "$.detail.state", "no": "$.detail.no"});
        let text = template(paths.clone(), "\"<instance> is in state <state>, <no>.\"");
        assert_eq!(sent(&text), r#""i-0123 is in state RUN\"NING, .""#);
        let escaped = template(paths.clone(), "\"<instance> is \\\"<instance>\\\"\"");
        assert_eq!(sent(&escaped), r#""i-0123 is \"i-0123\"""#);
        let lines = template(paths, "\"one <instance>\"\n\"two\"");
        assert_eq!(sent(&lines), "\"one i-0123\"\n\"two\"");
    }

    #[test]
    fn a_template_of_json_takes_values_as_they_are() {
        let paths =
            json!({"i": "$.detail.instance-id", "n": "$.detail.count", "t": "$.detail.tags", "r": "$.resources"});
        let filled = sent(&template(
            paths,
            r#"{"i": <i>, "q": "<i>", "n": <n>, "t": <t>, "s": "<t>", "r": "<r>", "lt": "a < b"}"#,
        ));
        assert_eq!(
            filled,
            r#"{"i": "i-0123", "q": "i-0123", "n": 3, "t": {"a":"b"}, "s": "{a:b}", "r": "[arn:r]", "lt": "a < b"}"#
        );
        assert!(serde_json::from_str::<Value>(&filled).is_ok());
    }

    #[test]
    fn the_predefined_variables_need_no_path() {
        let filled = sent(&template(
            json!({}),
            r#"{"rule": <aws.events.rule-name>, "arn": "<aws.events.rule-arn>", "at": <aws.events.event.ingestion-time>, "event": <aws.events.event>, "all": <aws.events.event.json>}"#,
        ));
        let filled: Value = serde_json::from_str(&filled).unwrap();
        assert_eq!(filled["rule"], "pushes");
        assert_eq!(filled["arn"], "arn:aws:events:eu-west-1:111122223333:rule/pushes");
        assert_eq!(filled["at"], "2026-01-02T03:04:05Z");
        assert_eq!(filled["event"]["detailType"], "State");
        assert!(filled["event"].get("detail").is_none());
        assert_eq!(filled["all"]["detail"]["count"], 3);
    }

    #[test]
    fn what_aws_would_refuse_is_refused_with_the_target_named() {
        let both = target(json!({"Input": "{}", "InputPath": "$"}));
        assert_eq!(refusal(&both), "Only one of Input, InputPath, or InputTransformer must be provided for target t.");
        assert!(refusal(&target(json!({"Input": "{"}))).starts_with("JSON syntax error in input for target t"));
        assert!(refusal(&target(json!({"Input": "1".repeat(8193)}))).contains("less than or equal to 8192"));
        assert!(refusal(&target(json!({"InputPath": "$['a']"}))).contains("Invalid JSON path in inputPath"));
        assert!(refusal(&template(json!({"a": "b"}), "\"<a>\"")).contains("begins with $"));
        assert!(refusal(&template(json!({"AWS": "$.a"}), "\"<AWS>\"")).contains("does not start with AWS"));
        assert_eq!(
            refusal(&template(json!({}), "\"<nope>\"")),
            "InputTemplate for target t contains invalid placeholder nope."
        );
        assert!(refusal(&template(json!({"a": "$.a"}), "plain <a>")).starts_with("Invalid InputTemplate for target t"));
        assert!(refusal(&template(json!({}), "{\"a\": }")).starts_with("Invalid InputTemplate"));
        assert!(refusal(&template(json!({}), "")).contains("must not be empty"));
        let hundred: Value =
            (0..101).map(|n| (format!("k{n}"), json!("$.a"))).collect::<serde_json::Map<_, _>>().into();
        assert!(refusal(&template(hundred, "\"x\"")).contains("at most 100"));
        let exact = format!("\"{}\"", "x".repeat(8190));
        template(json!({}), &exact).check_input().unwrap();
        assert!(refusal(&template(json!({}), &format!("{exact} "))).contains("8192"));
    }
}
