//! The operations on topics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::message::invalid;
use super::{Sns, State, attribute_map, element, entries, not_found};
use crate::error::Answer;
use crate::http::Parameters;
use crate::iam::{Document, Kind};

/// What may be set for a topic. The name is who mail is from, and services need the policy; the rest is kept and given back.
const SETTABLE: &[&str] = &["DisplayName", "Policy", "KmsMasterKeyId", "SignatureVersion", "TracingConfig"];

/// A topic; its ARN is its key.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Topic {
    attributes: BTreeMap<String, String>,
}

impl Topic {
    /// Who mail is from, if that was said.
    pub(super) fn display_name(&self) -> Option<&str> {
        self.attributes.get("DisplayName").map(String::as_str).filter(|name| !name.is_empty())
    }
}

impl State {
    /// The topic of an ARN.
    pub(super) fn topic(&self, arn: &str) -> Answer<&Topic> {
        check_arn(arn, 6)?;
        self.topics.get(arn).ok_or_else(|| not_found("Topic"))
    }
}

/// An ARN of SNS with that many parts.
pub(super) fn check_arn(arn: &str, parts: usize) -> Answer<()> {
    if arn.starts_with("arn:aws:sns:") && arn.split(':').count() == parts {
        Ok(())
    } else {
        Err(invalid(format!("{} is not an ARN of SNS", arn.chars().take(100).collect::<String>())))
    }
}

fn check_attribute(name: &str, value: &str) -> Answer<()> {
    if name == "FifoTopic" || name == "ContentBasedDeduplication" {
        return Err(invalid("Attributes: the local cloud has no FIFO topics"));
    }
    if !SETTABLE.contains(&name) {
        return Err(invalid(format!("AttributeName: the local cloud does not offer {name}")));
    }
    if name == "Policy" {
        return Document::parse(value, Kind::Resource)
            .map(drop)
            .map_err(|wrong| invalid(format!("Policy Error: {wrong}")));
    }
    let good = match name {
        "DisplayName" => value.chars().count() <= 100 && !value.chars().any(char::is_control),
        "SignatureVersion" => matches!(value, "1" | "2"),
        "TracingConfig" => matches!(value, "PassThrough" | "Active"),
        _ => true,
    };
    if good { Ok(()) } else { Err(invalid(format!("{name} has a value that SNS would not take"))) }
}

impl Sns {
    pub(super) fn make_topic(&self, name: &str, attributes: &BTreeMap<String, String>) -> Answer<String> {
        if name.ends_with(".fifo") {
            return Err(invalid("Topic Name: the local cloud has no FIFO topics"));
        }
        let good = (1..=256).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if !good {
            return Err(invalid("Topic Name"));
        }
        for (name, value) in attributes {
            check_attribute(name, value)?;
        }
        let arn = self.world.arn("sns", name);
        self.change(|state| {
            if let Some(there) = state.topics.get(&arn) {
                if attributes.iter().any(|(name, value)| there.attributes.get(name) != Some(value)) {
                    return Err(invalid("Attributes Reason: Topic already exists with different attributes"));
                }
            } else {
                state.topics.insert(arn.clone(), Topic { attributes: attributes.clone() });
            }
            Ok(arn.clone())
        })
    }

    pub(super) fn create_topic_call(&self, parameters: &Parameters) -> Answer<String> {
        for refused in ["Tags.member.1.Key", "DataProtectionPolicy"] {
            if parameters.get(refused).is_some() {
                return Err(invalid(format!("{refused}: the local cloud does not offer it")));
            }
        }
        let arn = self.make_topic(parameters.required("Name")?, &entries(parameters))?;
        Ok(element("TopicArn", &arn))
    }

    pub(super) fn delete_topic(&self, parameters: &Parameters) -> Answer<String> {
        let arn = parameters.required("TopicArn")?;
        check_arn(arn, 6)?;
        self.change(|state| {
            state.topics.remove(arn);
            state.subscriptions.retain(|_, subscription| subscription.topic != arn);
            Ok(String::new())
        })
    }

    pub(super) fn list_topics(&self, parameters: &Parameters) -> Answer<String> {
        self.kept.read(|state| {
            let (page, next) = self.page_of(("ListTopics", ""), state.topics.iter(), parameters.get("NextToken"))?;
            let members: String =
                page.iter().map(|(arn, _)| format!("<member>{}</member>", element("TopicArn", arn))).collect();
            Ok(format!("<Topics>{members}</Topics>{next}"))
        })
    }

    pub(super) fn topic_attributes(&self, parameters: &Parameters) -> Answer<String> {
        let arn = parameters.required("TopicArn")?;
        self.kept.read(|state| {
            let mut attributes = state.topic(arn)?.attributes.clone();
            let of_topic = || state.subscriptions.values().filter(|one| one.topic == arn);
            let confirmed = of_topic().filter(|one| one.is_confirmed()).count();
            let pending = of_topic().count() - confirmed;
            attributes.insert("TopicArn".to_owned(), arn.to_owned());
            attributes.insert("Owner".to_owned(), self.world.account.clone());
            attributes.insert("SubscriptionsConfirmed".to_owned(), confirmed.to_string());
            attributes.insert("SubscriptionsPending".to_owned(), pending.to_string());
            attributes.insert("SubscriptionsDeleted".to_owned(), "0".to_owned());
            attributes.entry("DisplayName".to_owned()).or_default();
            attributes.entry("Policy".to_owned()).or_insert_with(|| self.default_policy(arn));
            Ok(attribute_map(&attributes))
        })
    }

    pub(super) fn set_topic_attributes(&self, parameters: &Parameters) -> Answer<String> {
        let (arn, name) = (parameters.required("TopicArn")?, parameters.required("AttributeName")?);
        let value = parameters.get("AttributeValue").unwrap_or_default();
        check_attribute(name, value)?;
        self.change(|state| {
            state.topic(arn)?;
            if let Some(topic) = state.topics.get_mut(arn) {
                topic.attributes.insert(name.to_owned(), value.to_owned());
            }
            Ok(String::new())
        })
    }

    /// A topic's policy, if there is such a topic.
    pub(crate) fn policy(&self, topic: &str) -> Option<String> {
        let own =
            self.kept.read(|state| state.topics.get(topic).map(|topic| topic.attributes.get("Policy").cloned()))?;
        Some(own.unwrap_or_else(|| self.default_policy(topic)))
    }

    /// Whether a topic was given a policy.
    pub(super) fn has_own_policy(&self, topic: &str) -> bool {
        self.kept.read(|state| state.topics.get(topic).is_some_and(|topic| topic.attributes.contains_key("Policy")))
    }

    /// The policy that a topic has until it gets another: its owner may do everything.
    fn default_policy(&self, arn: &str) -> String {
        json!({
            "Version": "2008-10-17",
            "Id": "__default_policy_ID",
            "Statement": [{
                "Sid": "__default_statement_ID",
                "Effect": "Allow",
                "Principal": { "AWS": "*" },
                "Action": [
                    "SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:AddPermission", "SNS:RemovePermission",
                    "SNS:DeleteTopic", "SNS:Subscribe", "SNS:ListSubscriptionsByTopic", "SNS:Publish"
                ],
                "Resource": arn,
                "Condition": { "StringEquals": { "AWS:SourceOwner": self.world.account } }
            }]
        })
        .to_string()
    }
}
