//! Whether a queue's policy lets an AWS service send to it, or a topic's lets one publish.
//!
//! This is only the one question that deliveries ask; the policies of callers come with IAM as a whole. What cannot be
//! judged (an unknown condition, `NotAction` and the like) counts against the delivery, and the reason says so.

use serde_json::Value;

/// A service that wants to send a message for one of its resources.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender<'a> {
    /// The service principal, such as `events.amazonaws.com`.
    pub(crate) service: &'a str,
    /// What it sends for: the rule's ARN.
    pub(crate) source_arn: &'a str,
    /// The account that this belongs to.
    pub(crate) account: &'a str,
}

/// Whether a text is a policy at all.
pub(super) fn check(text: &str) -> Result<(), String> {
    let policy: Value = serde_json::from_str(text).map_err(|error| format!("the policy is not JSON: {error}"))?;
    let statements = list(policy.get("Statement"));
    if statements.is_empty() {
        return Err("the policy has no Statement".to_owned());
    }
    for (number, statement) in statements.iter().enumerate() {
        let has = |one: &str, other: &str| statement.get(one).is_some() || statement.get(other).is_some();
        let effect = statement.get("Effect").and_then(Value::as_str);
        if !matches!(effect, Some("Allow" | "Deny")) {
            return Err(format!("statement {number} needs an Effect of Allow or Deny"));
        }
        if !has("Action", "NotAction") || !has("Principal", "NotPrincipal") {
            return Err(format!("statement {number} needs an Action and a Principal"));
        }
    }
    Ok(())
}

/// Whether `sender` may send to the queue `queue_arn` with this policy; the error says why not.
pub(super) fn may_send(policy: Option<&str>, queue_arn: &str, sender: Sender<'_>) -> Result<(), String> {
    let Some(text) = policy else {
        return Err(format!("the queue has no policy, so {} may not send to it", sender.service));
    };
    may("queue", "sqs:SendMessage", text, queue_arn, sender)
}

/// Whether `sender` may do `action` to the `kind` of resource with this ARN and policy; the error says why not.
pub(crate) fn may(kind: &str, action: &str, text: &str, arn: &str, sender: Sender<'_>) -> Result<(), String> {
    let service = sender.service;
    let policy: Value = serde_json::from_str(text).map_err(|error| format!("the policy is not JSON: {error}"))?;
    let mut allowed = false;
    let mut nearly = None;
    for statement in list(policy.get("Statement")) {
        let is_deny = statement.get("Effect").and_then(Value::as_str) == Some("Deny");
        if let Some(unknown) = ["NotAction", "NotPrincipal", "NotResource"].iter().find(|k| statement.get(k).is_some())
        {
            let reason = format!("the local cloud cannot judge a {kind} policy with {unknown}");
            if is_deny {
                return Err(reason);
            }
            nearly = Some(reason);
            continue;
        }
        if !(names_action(statement, action) && names_resource(statement, arn) && names_principal(statement, service)) {
            continue;
        }
        match (conditions_hold(statement, sender), is_deny) {
            (Ok(()), true) => return Err(format!("a Deny statement of the {kind}'s policy names {service}")),
            (Ok(()), false) => allowed = true,
            (Err(Unmet::Unknown(reason)), true) => return Err(reason),
            (Err(Unmet::Different(_)), true) => {}
            (Err(Unmet::Unknown(reason) | Unmet::Different(reason)), false) => nearly = Some(reason),
        }
    }
    if allowed {
        return Ok(());
    }
    let reason = nearly.unwrap_or_else(|| format!("no statement allows {service} to {action}"));
    Err(format!("the {kind}'s policy does not let {service} send for {}: {reason}", sender.source_arn))
}

fn list(value: Option<&Value>) -> Vec<&Value> {
    match value {
        Some(Value::Array(values)) => values.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    }
}

fn names_action(statement: &Value, action: &str) -> bool {
    let wanted = action.to_ascii_lowercase();
    list(statement.get("Action"))
        .iter()
        .filter_map(|action| action.as_str())
        .any(|action| like(&action.to_ascii_lowercase(), &wanted))
}

fn names_resource(statement: &Value, wanted: &str) -> bool {
    let resources = list(statement.get("Resource"));
    resources.is_empty() || resources.iter().filter_map(|arn| arn.as_str()).any(|arn| like(arn, wanted))
}

fn names_principal(statement: &Value, service: &str) -> bool {
    match statement.get("Principal") {
        Some(Value::String(anyone)) => anyone == "*",
        Some(principals) => {
            list(principals.get("Service")).iter().any(|named| *named == service)
                || list(principals.get("AWS")).iter().any(|named| *named == "*")
        }
        None => false,
    }
}

enum Unmet {
    Different(String),
    Unknown(String),
}

fn conditions_hold(statement: &Value, sender: Sender<'_>) -> Result<(), Unmet> {
    let Some(conditions) = statement.get("Condition").and_then(Value::as_object) else { return Ok(()) };
    for (operator, keys) in conditions {
        for (key, wanted) in keys.as_object().into_iter().flatten() {
            let unknown = || Unmet::Unknown(format!("the local cloud cannot judge the condition {operator} on {key}"));
            let actual = match key.to_ascii_lowercase().as_str() {
                "aws:sourcearn" => sender.source_arn,
                "aws:sourceaccount" => sender.account,
                "aws:securetransport" => "true",
                _ => return Err(unknown()),
            };
            let name = operator.strip_suffix("IfExists").unwrap_or(operator);
            let holds: fn(&str, &str) -> bool = match name {
                "ArnEquals" | "ArnLike" | "StringLike" => like,
                "StringEquals" => |wanted, actual| wanted == actual,
                "Bool" => |wanted, actual| wanted.eq_ignore_ascii_case(actual),
                _ => return Err(unknown()),
            };
            let met = list(Some(wanted)).iter().any(|wanted| match wanted {
                Value::String(wanted) => holds(wanted, actual),
                Value::Bool(wanted) => holds(&wanted.to_string(), actual),
                _ => false,
            });
            if !met {
                return Err(Unmet::Different(format!("{operator} on {key} wants {wanted}")));
            }
        }
    }
    Ok(())
}

/// Whether a text is what a policy's pattern means: `*` is any text, `?` any one character.
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut from) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(character) = text.get(from) {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == character => {
                at += 1;
                from += 1;
            }
            _ => match star {
                // Let the last star swallow one character more and try again.
                Some((star_at, swallowed)) => {
                    star = Some((star_at, swallowed + 1));
                    at = star_at + 1;
                    from = swallowed + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const QUEUE: &str = "arn:aws:sqs:eu-west-1:111122223333:trigger";
    const RULE: &str = "arn:aws:events:eu-west-1:111122223333:rule/pushes";
    const SENDER: Sender<'_> = Sender { service: "events.amazonaws.com", source_arn: RULE, account: "111122223333" };

    fn judged(statements: impl Into<Value>) -> Result<(), String> {
        let text = json!({"Version": "2012-10-17", "Statement": statements.into()}).to_string();
        check(&text).unwrap();
        may_send(Some(&text), QUEUE, SENDER)
    }

    fn allow() -> Value {
        json!({"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage",
               "Resource": QUEUE, "Condition": {"ArnEquals": {"aws:SourceArn": RULE}}})
    }

    #[test]
    fn the_usual_policy_lets_its_rule_send_and_no_other() {
        judged(allow()).unwrap();
        judged(json!([allow()])).unwrap();
        let mut other = allow();
        other["Condition"]["ArnEquals"]["aws:SourceArn"] = json!("arn:aws:events:eu-west-1:111122223333:rule/other");
        assert!(judged(other).unwrap_err().contains("ArnEquals on aws:SourceArn wants"));
    }

    #[test]
    fn wildcards_lists_and_the_account_condition_are_understood() {
        let mut policy = allow();
        policy["Action"] = json!(["SQS:Send*", "sqs:ReceiveMessage"]);
        policy["Resource"] = json!("arn:aws:sqs:*:111122223333:tr?gger");
        policy["Condition"] = json!({"ArnLike": {"AWS:SourceArn": ["arn:aws:events:*:*:rule/x", "arn:aws:events:*:rule/push*"]},
                                     "StringEquals": {"aws:SourceAccount": "111122223333"}});
        judged(policy).unwrap();
    }

    #[test]
    fn without_a_statement_for_it_a_service_may_not_send() {
        assert!(may_send(None, QUEUE, SENDER).unwrap_err().contains("has no policy"));
        for (key, value) in [
            ("Principal", json!({"Service": "sns.amazonaws.com"})),
            ("Action", json!("sqs:ReceiveMessage")),
            ("Resource", json!("arn:aws:sqs:eu-west-1:111122223333:other")),
        ] {
            let mut policy = allow();
            policy[key] = value;
            assert!(judged(policy).is_err(), "{key}");
        }
    }

    #[test]
    fn a_deny_wins_and_the_deny_of_plain_http_does_not_matter_to_a_service() {
        let deny = |secure: &str| {
            json!({"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": "*",
                   "Condition": {"Bool": {"aws:SecureTransport": secure}}})
        };
        judged(json!([allow(), deny("false")])).unwrap();
        assert!(judged(json!([allow(), deny("true")])).unwrap_err().contains("Deny"));
    }

    #[test]
    fn what_cannot_be_judged_counts_against_the_delivery_and_says_so() {
        let mut policy = allow();
        policy["Condition"] = json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}});
        assert!(judged(policy).unwrap_err().contains("cannot judge the condition IpAddress on aws:SourceIp"));
        assert!(judged(json!([allow(), {"Effect": "Deny", "Principal": "*", "NotAction": "sqs:X"}])).is_err());
    }

    #[test]
    fn a_text_that_is_no_policy_is_refused_when_it_is_set() {
        assert!(check("{").is_err());
        assert!(check("{}").is_err());
        assert!(check(r#"{"Statement": {"Effect": "allow", "Action": "*", "Principal": "*"}}"#).is_err());
    }
}
