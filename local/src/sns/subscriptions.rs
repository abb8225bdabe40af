//! Subscriptions: what they are, and the operations that make, change and end them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::filter::{Filter, Scope};
use super::message::invalid;
use super::topics::check_arn;
use super::{Sns, State, attribute_map, element, entries, not_found};
use crate::auth::Caller;
use crate::error::{Answer, ServiceError};
use crate::http::Parameters;

/// The longest address that mail knows.
const LONGEST_ADDRESS: usize = 254;

/// The most filter policies of a topic, as on AWS unless raised.
const MOST_FILTERS: usize = 200;

/// A subscription; its ARN is its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Subscription {
    pub(super) topic: String,
    pub(super) protocol: Protocol,
    pub(super) endpoint: String,
    pub(super) attributes: BTreeMap<String, String>,
    /// The ARN of whoever subscribed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) principal: Option<String>,
    #[serde(default)]
    pub(super) confirmation: Confirmation,
}

/// Whether the endpoint said that it wants to be subscribed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Confirmation {
    /// It did, or did not have to: a queue of the same account.
    #[default]
    Given,
    /// It did, and only whoever has keys may unsubscribe it.
    GivenForGood,
    /// It was asked; this is the token, and when it was made, in milliseconds since 1970.
    Asked { token: String, at: i64 },
}

/// How a subscription is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Protocol {
    Email,
    EmailJson,
    Sqs,
}

impl Protocol {
    fn parse(text: &str) -> Answer<Self> {
        match text {
            "email" => Ok(Self::Email),
            "email-json" => Ok(Self::EmailJson),
            "sqs" => Ok(Self::Sqs),
            other => Err(invalid(format!(
                "Protocol: the local cloud delivers to email, email-json and sqs, not to {}",
                other.chars().take(40).collect::<String>()
            ))),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::EmailJson => "email-json",
            Self::Sqs => "sqs",
        }
    }
}

impl Subscription {
    pub(super) fn is_confirmed(&self) -> bool {
        !matches!(self.confirmation, Confirmation::Asked { .. })
    }

    /// What it filters by, if it does.
    pub(super) fn filter(&self) -> Answer<Option<(Filter, Scope)>> {
        read_filter(&self.attributes, "")
    }

    /// `RawMessageDelivery`
    pub(super) fn is_raw(&self) -> bool {
        self.attributes.get("RawMessageDelivery").is_some_and(|raw| raw == "true")
    }

    /// The ARN of its dead-letter queue.
    pub(super) fn dead_letters(&self) -> Option<String> {
        dead_letters_of(self.attributes.get("RedrivePolicy")?)
    }
}

fn dead_letters_of(redrive: &str) -> Option<String> {
    let policy: Value = serde_json::from_str(redrive).ok()?;
    Some(policy.get("deadLetterTargetArn")?.as_str()?.to_owned())
}

/// `place` is what AWS puts in front of the attribute's name in an error: `Subscribe` says more than a later change.
fn read_filter(attributes: &BTreeMap<String, String>, place: &str) -> Answer<Option<(Filter, Scope)>> {
    let scope = match attributes.get("FilterPolicyScope").map(String::as_str) {
        None | Some("MessageAttributes") => Scope::MessageAttributes,
        Some("MessageBody") => Scope::MessageBody,
        Some(other) => {
            return Err(invalid(format!(
                "{place}FilterPolicyScope: Invalid value [{other}]. Please use either MessageBody or MessageAttributes"
            )));
        }
    };
    match attributes.get("FilterPolicy").map(String::as_str) {
        // An empty policy takes the filter away.
        None | Some("" | "{}") => Ok(None),
        Some(policy) => {
            let filter = Filter::parse(policy, scope).map_err(|wrong| invalid(wrong.told(place)))?;
            Ok(Some((filter, scope)))
        }
    }
}

fn check_attributes(protocol: Protocol, attributes: &BTreeMap<String, String>, place: &str) -> Answer<()> {
    for (name, value) in attributes {
        match name.as_str() {
            "FilterPolicy" | "FilterPolicyScope" => {}
            "RawMessageDelivery" if !matches!(value.as_str(), "true" | "false") => {
                return Err(invalid(format!(
                    "{place}RawMessageDelivery: Invalid value [{value}]. Must be true or false."
                )));
            }
            "RawMessageDelivery" if value == "true" && protocol != Protocol::Sqs => {
                return Err(invalid(format!(
                    "{place}RawMessageDelivery: the protocol {} does not support it",
                    protocol.name()
                )));
            }
            "RawMessageDelivery" => {}
            "RedrivePolicy" if protocol != Protocol::Sqs => {
                return Err(invalid(format!(
                    "{place}RedrivePolicy: the local cloud loses no mail, so the protocol {} has none",
                    protocol.name()
                )));
            }
            "RedrivePolicy" => {
                let good = dead_letters_of(value).is_some_and(|arn| is_queue(&arn) && !arn.ends_with(".fifo"));
                if !good {
                    return Err(invalid(format!(
                        "{place}RedrivePolicy: deadLetterTargetArn must be the ARN of a standard SQS queue"
                    )));
                }
            }
            other => return Err(invalid(format!("AttributeName: the local cloud does not offer {other}"))),
        }
    }
    read_filter(attributes, place).map(|_| ())
}

fn is_queue(arn: &str) -> bool {
    arn.starts_with("arn:aws:sqs:") && arn.split(':').count() == 6
}

fn check_endpoint(protocol: Protocol, endpoint: &str) -> Answer<()> {
    let good = match protocol {
        Protocol::Email | Protocol::EmailJson => is_address(endpoint),
        Protocol::Sqs => is_queue(endpoint),
    };
    match (good, protocol) {
        (true, _) => Ok(()),
        (false, Protocol::Sqs) => Err(invalid("SQS endpoint ARN")),
        (false, _) => Err(invalid("Email address")),
    }
}

/// A plain address, `local@domain`, without quotes, comments or line breaks.
pub(crate) fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let atom = |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
    text.len() <= LONGEST_ADDRESS
        && !local.is_empty()
        && local.bytes().all(atom)
        && !domain.is_empty()
        && domain
            .split('.')
            .all(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
}

fn check_count(state: &State, topic: &str) -> Answer<()> {
    let filters = state.subscriptions.values().filter(|one| one.topic == topic);
    if filters.filter(|one| one.attributes.contains_key("FilterPolicy")).count() < MOST_FILTERS {
        return Ok(());
    }
    let what = format!("a topic has at most {MOST_FILTERS} filter policies");
    Err(ServiceError::with_status(403, "FilterPolicyLimitExceeded", what))
}

impl Sns {
    /// Makes a subscription, or finds it; gives its ARN and what became of the confirmation.
    pub(super) fn make_subscription(
        &self,
        topic: &str,
        protocol: &str,
        endpoint: &str,
        attributes: BTreeMap<String, String>,
        confirmation: Confirmation,
        principal: Option<&str>,
    ) -> Answer<(String, Subscription)> {
        let protocol = Protocol::parse(protocol)?;
        check_endpoint(protocol, endpoint)?;
        check_attributes(protocol, &attributes, "Attributes Reason: ")?;
        if protocol == Protocol::Sqs && self.queues.get().is_none() {
            return Err(invalid("Protocol: there are no queues in this local cloud"));
        }
        self.change(|state| {
            state.topic(topic)?;
            let same = |one: &Subscription| one.topic == topic && one.protocol == protocol && one.endpoint == endpoint;
            if let Some((arn, there)) = state.subscriptions.iter_mut().find(|(_, one)| same(one)) {
                if there.attributes != attributes {
                    return Err(invalid("Attributes Reason: Subscription already exists with different attributes"));
                }
                if !there.is_confirmed() {
                    there.confirmation = confirmation;
                }
                return Ok((arn.clone(), there.clone()));
            }
            if attributes.contains_key("FilterPolicy") {
                check_count(state, topic)?;
            }
            // Ids are drawn from a seed and come again after a restart: take the first that is free.
            let arn = loop {
                let arn = format!("{topic}:{}", self.world.uuid());
                if !state.subscriptions.contains_key(&arn) {
                    break arn;
                }
            };
            let subscription = Subscription {
                topic: topic.to_owned(),
                protocol,
                endpoint: endpoint.to_owned(),
                attributes,
                principal: principal.map(str::to_owned),
                confirmation,
            };
            state.subscriptions.insert(arn.clone(), subscription.clone());
            Ok((arn, subscription))
        })
    }

    pub(super) fn subscribe_call(&self, parameters: &Parameters, caller: &Caller) -> Answer<String> {
        let protocol = parameters.required("Protocol")?;
        let confirmation = if protocol == "sqs" { Confirmation::Given } else { self.asking()? };
        let (arn, made) = self.make_subscription(
            parameters.required("TopicArn")?,
            protocol,
            parameters.required("Endpoint")?,
            entries(parameters),
            confirmation,
            Some(&caller.arn),
        )?;
        let shown = match &made.confirmation {
            Confirmation::Asked { token, .. } => {
                self.ask(&arn, &made, token)?;
                let wanted = parameters.get("ReturnSubscriptionArn").is_some_and(|value| value == "true");
                if wanted { arn.as_str() } else { "pending confirmation" }
            }
            _ => arn.as_str(),
        };
        Ok(element("SubscriptionArn", shown))
    }

    pub(super) fn unsubscribe(&self, parameters: &Parameters) -> Answer<String> {
        let arn = parameters.required("SubscriptionArn")?;
        check_arn(arn, 7)?;
        self.change(|state| {
            if state.subscriptions.get(arn).is_some_and(|one| !one.is_confirmed()) {
                return Err(invalid("This subscription is pending confirmation and cannot be unsubscribed"));
            }
            state.subscriptions.remove(arn);
            Ok(String::new())
        })
    }

    pub(super) fn subscription_attributes(&self, parameters: &Parameters) -> Answer<String> {
        let arn = parameters.required("SubscriptionArn")?;
        check_arn(arn, 7)?;
        self.forget_unanswered();
        self.kept.read(|state| {
            let one = state.subscriptions.get(arn).ok_or_else(|| not_found("Subscription"))?;
            let mut attributes = one.attributes.clone();
            let mut say = |name: &str, value: &str| {
                attributes.entry(name.to_owned()).or_insert_with(|| value.to_owned());
            };
            say("SubscriptionArn", arn);
            say("TopicArn", &one.topic);
            say("Owner", &self.world.account);
            say("Protocol", one.protocol.name());
            say("Endpoint", &one.endpoint);
            say("PendingConfirmation", if one.is_confirmed() { "false" } else { "true" });
            let authenticated = one.protocol == Protocol::Sqs || one.confirmation == Confirmation::GivenForGood;
            say("ConfirmationWasAuthenticated", if authenticated { "true" } else { "false" });
            say("RawMessageDelivery", "false");
            if let Some(principal) = &one.principal {
                say("SubscriptionPrincipal", principal);
            }
            if one.attributes.contains_key("FilterPolicy") {
                say("FilterPolicyScope", "MessageAttributes");
            }
            Ok(attribute_map(&attributes))
        })
    }

    pub(super) fn set_subscription_attributes(&self, parameters: &Parameters) -> Answer<String> {
        let (arn, name) = (parameters.required("SubscriptionArn")?, parameters.required("AttributeName")?);
        check_arn(arn, 7)?;
        let value = parameters.get("AttributeValue").unwrap_or_default();
        self.change(|state| {
            let one = state.subscriptions.get(arn).ok_or_else(|| not_found("Subscription"))?;
            let mut attributes = one.attributes.clone();
            if matches!((name, value), ("FilterPolicy", "" | "{}") | ("RedrivePolicy", "")) {
                attributes.remove(name);
            } else {
                attributes.insert(name.to_owned(), value.to_owned());
            }
            check_attributes(one.protocol, &attributes, "")?;
            if attributes.contains_key("FilterPolicy") && !one.attributes.contains_key("FilterPolicy") {
                check_count(state, &one.topic)?;
            }
            if let Some(one) = state.subscriptions.get_mut(arn) {
                one.attributes = attributes;
            }
            Ok(String::new())
        })
    }
}
