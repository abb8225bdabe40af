//! The operations on subscriptions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::filter::{Filter, Scope};
use super::message::invalid;
use super::topics::check_arn;
use super::{Sns, attribute_map, element, entries, not_found};
use crate::error::Answer;
use crate::http::Parameters;

/// The longest address that mail knows.
const LONGEST_ADDRESS: usize = 254;

/// A subscription; its ARN is its key. It is confirmed from the start: there is nobody to ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Subscription {
    pub(super) topic: String,
    pub(super) protocol: Protocol,
    pub(super) endpoint: String,
    pub(super) attributes: BTreeMap<String, String>,
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
    /// What it filters by, if it does.
    pub(super) fn filter(&self) -> Answer<Option<(Filter, Scope)>> {
        read_filter(&self.attributes)
    }

    /// `RawMessageDelivery`
    pub(super) fn is_raw(&self) -> bool {
        self.attributes.get("RawMessageDelivery").is_some_and(|raw| raw == "true")
    }
}

fn read_filter(attributes: &BTreeMap<String, String>) -> Answer<Option<(Filter, Scope)>> {
    let scope = match attributes.get("FilterPolicyScope").map(String::as_str) {
        None | Some("MessageAttributes") => Scope::MessageAttributes,
        Some("MessageBody") => Scope::MessageBody,
        Some(_) => return Err(invalid("FilterPolicyScope: it is MessageAttributes or MessageBody")),
    };
    match attributes.get("FilterPolicy").map(String::as_str) {
        // An empty policy takes the filter away.
        None | Some("" | "{}") => Ok(None),
        Some(policy) => {
            let filter = Filter::parse(policy, scope).map_err(|what| invalid(format!("FilterPolicy: {what}")))?;
            Ok(Some((filter, scope)))
        }
    }
}

fn check_attributes(protocol: Protocol, attributes: &BTreeMap<String, String>) -> Answer<()> {
    for (name, value) in attributes {
        match name.as_str() {
            "FilterPolicy" | "FilterPolicyScope" => {}
            "RawMessageDelivery" if !matches!(value.as_str(), "true" | "false") => {
                return Err(invalid("RawMessageDelivery: it is true or false"));
            }
            "RawMessageDelivery" if value == "true" && protocol != Protocol::Sqs => {
                return Err(invalid(
                    "Attributes Reason: RawMessageDelivery: the endpoint's protocol does not support it",
                ));
            }
            "RawMessageDelivery" => {}
            other => return Err(invalid(format!("AttributeName: the local cloud does not offer {other}"))),
        }
    }
    read_filter(attributes).map(|_| ())
}

fn check_endpoint(protocol: Protocol, endpoint: &str) -> Answer<()> {
    let good = match protocol {
        Protocol::Email | Protocol::EmailJson => is_address(endpoint),
        Protocol::Sqs => endpoint.starts_with("arn:aws:sqs:") && endpoint.split(':').count() == 6,
    };
    match (good, protocol) {
        (true, _) => Ok(()),
        (false, Protocol::Sqs) => Err(invalid("SQS endpoint ARN")),
        (false, _) => Err(invalid("Email address")),
    }
}

/// A plain address, `local@domain`, without quotes, comments or line breaks.
fn is_address(text: &str) -> bool {
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

fn list(page: &[(&String, &Subscription)], owner: &str) -> String {
    let members: String = page
        .iter()
        .map(|(arn, one)| {
            format!(
                "<member>{}{}{}{}{}</member>",
                element("TopicArn", &one.topic),
                element("Protocol", one.protocol.name()),
                element("SubscriptionArn", arn),
                element("Owner", owner),
                element("Endpoint", &one.endpoint)
            )
        })
        .collect();
    format!("<Subscriptions>{members}</Subscriptions>")
}

impl Sns {
    pub(super) fn make_subscription(
        &self,
        topic: &str,
        protocol: &str,
        endpoint: &str,
        attributes: BTreeMap<String, String>,
    ) -> Answer<String> {
        let protocol = Protocol::parse(protocol)?;
        check_endpoint(protocol, endpoint)?;
        check_attributes(protocol, &attributes)?;
        if protocol == Protocol::Sqs && self.queues.get().is_none() {
            return Err(invalid("Protocol: there are no queues in this local cloud"));
        }
        self.change(|state| {
            state.topic(topic)?;
            let same = |one: &Subscription| one.topic == topic && one.protocol == protocol && one.endpoint == endpoint;
            if let Some((arn, there)) = state.subscriptions.iter().find(|(_, one)| same(one)) {
                if there.attributes != attributes {
                    return Err(invalid("Attributes Reason: Subscription already exists with different attributes"));
                }
                return Ok(arn.clone());
            }
            // Ids are drawn from a seed and come again after a restart: take the first that is free.
            let arn = loop {
                let arn = format!("{topic}:{}", self.world.uuid());
                if !state.subscriptions.contains_key(&arn) {
                    break arn;
                }
            };
            let subscription =
                Subscription { topic: topic.to_owned(), protocol, endpoint: endpoint.to_owned(), attributes };
            state.subscriptions.insert(arn.clone(), subscription);
            Ok(arn)
        })
    }

    pub(super) fn subscribe_call(&self, parameters: &Parameters) -> Answer<String> {
        let arn = self.make_subscription(
            parameters.required("TopicArn")?,
            parameters.required("Protocol")?,
            parameters.required("Endpoint")?,
            entries(parameters),
        )?;
        Ok(element("SubscriptionArn", &arn))
    }

    /// Confirms what is confirmed already: the token is the last part of the subscription's ARN.
    pub(super) fn confirm_subscription(&self, parameters: &Parameters) -> Answer<String> {
        let (topic, token) = (parameters.required("TopicArn")?, parameters.required("Token")?);
        if parameters.get("AuthenticateOnUnsubscribe").is_some_and(|value| value == "true") {
            return Err(invalid("AuthenticateOnUnsubscribe: the local cloud does not offer it"));
        }
        self.kept.read(|state| {
            state.topic(topic)?;
            let arn = format!("{topic}:{token}");
            if state.subscriptions.contains_key(&arn) {
                Ok(element("SubscriptionArn", &arn))
            } else {
                Err(invalid("Token"))
            }
        })
    }

    pub(super) fn unsubscribe(&self, parameters: &Parameters) -> Answer<String> {
        let arn = parameters.required("SubscriptionArn")?;
        check_arn(arn, 7)?;
        self.change(|state| {
            state.subscriptions.remove(arn);
            Ok(String::new())
        })
    }

    pub(super) fn list_subscriptions(&self, parameters: &Parameters) -> Answer<String> {
        self.kept.read(|state| {
            let (page, next) =
                self.page_of(("ListSubscriptions", ""), state.subscriptions.iter(), parameters.get("NextToken"))?;
            Ok(list(&page, &self.world.account) + &next)
        })
    }

    pub(super) fn list_subscriptions_by_topic(&self, parameters: &Parameters) -> Answer<String> {
        let topic = parameters.required("TopicArn")?;
        self.kept.read(|state| {
            state.topic(topic)?;
            let of_topic = state.subscriptions.iter().filter(|(_, one)| one.topic == topic);
            let (page, next) =
                self.page_of(("ListSubscriptionsByTopic", topic), of_topic, parameters.get("NextToken"))?;
            Ok(list(&page, &self.world.account) + &next)
        })
    }

    pub(super) fn subscription_attributes(&self, parameters: &Parameters) -> Answer<String> {
        let arn = parameters.required("SubscriptionArn")?;
        check_arn(arn, 7)?;
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
            say("PendingConfirmation", "false");
            say("ConfirmationWasAuthenticated", "true");
            say("RawMessageDelivery", "false");
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
            let one = state.subscriptions.get_mut(arn).ok_or_else(|| not_found("Subscription"))?;
            let mut attributes = one.attributes.clone();
            if name == "FilterPolicy" && matches!(value, "" | "{}") {
                attributes.remove(name);
            } else {
                attributes.insert(name.to_owned(), value.to_owned());
            }
            check_attributes(one.protocol, &attributes)?;
            one.attributes = attributes;
            Ok(String::new())
        })
    }
}
