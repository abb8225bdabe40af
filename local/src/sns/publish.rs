//! Publishing: a message goes to every subscription of its topic that wants it.

use serde_json::{Map, Value};

use super::filter::Scope;
use super::message::{Message, invalid};
use super::subscriptions::{Protocol, Subscription};
use super::{Sns, element};
use crate::error::{Answer, ServiceError};
use crate::http::Parameters;
use crate::iam::Need;

/// The most messages of one `PublishBatch`.
const MOST_ENTRIES: usize = 10;

/// The most bytes that the messages of one `PublishBatch` may have together.
const LARGEST_BATCH: usize = 256 * 1024;

/// The longest id of an entry.
const LONGEST_ID: usize = 80;

impl Sns {
    pub(super) fn publish(&self, parameters: &Parameters) -> Answer<String> {
        for refused in ["PhoneNumber", "TargetArn"] {
            if parameters.get(refused).is_some() {
                return Err(invalid(format!("{refused}: the local cloud publishes to a TopicArn only")));
            }
        }
        let topic = parameters.required("TopicArn")?;
        self.kept.read(|state| state.topic(topic).map(|_| ()))?;
        let message = Message::parse(parameters, "")?;
        let id = self.send(topic, &message)?;
        Ok(element("MessageId", &id))
    }

    pub(super) fn publish_batch(&self, parameters: &Parameters) -> Answer<String> {
        let topic = parameters.required("TopicArn")?;
        self.kept.read(|state| state.topic(topic).map(|_| ()))?;
        let prefix = |number: usize| format!("PublishBatchRequestEntries.member.{number}.");
        let ids: Vec<&str> = (1..).map_while(|number| parameters.get(&format!("{}Id", prefix(number)))).collect();
        check_ids(&ids)?;
        for number in 1..=ids.len() {
            parameters.required(&format!("{}Message", prefix(number)))?;
        }
        let messages: Vec<Answer<Message>> =
            (1..=ids.len()).map(|number| Message::parse(parameters, &prefix(number))).collect();
        let size: usize = messages.iter().flatten().map(Message::size).sum();
        if size > LARGEST_BATCH {
            return Err(ServiceError::bad(
                "BatchRequestTooLong",
                format!(
                    "The length of all the messages put together is more than the limit: {size} bytes, {LARGEST_BATCH} are allowed."
                ),
            ));
        }
        let (mut good, mut bad) = (String::new(), String::new());
        for (id, message) in ids.iter().zip(messages) {
            match message.and_then(|message| self.send(topic, &message)) {
                Ok(message) => {
                    let member = element("Id", id) + &element("MessageId", &message);
                    good.push_str(&format!("<member>{member}</member>"));
                }
                Err(refused) => {
                    let member = element("Id", id)
                        + &element("Code", &refused.code)
                        + &element("Message", &refused.message)
                        + &element("SenderFault", if refused.status < 500 { "true" } else { "false" });
                    bad.push_str(&format!("<member>{member}</member>"));
                }
            }
        }
        Ok(format!("<Successful>{good}</Successful><Failed>{bad}</Failed>"))
    }

    /// Publishes as an AWS service does it for one of its resources, a rule or an alarm for instance: only if the topic's
    /// policy lets it. Gives the message's id.
    ///
    /// # Errors
    /// `NotFound`, `AuthorizationError` with what is missing in the policy, a text or a subject that SNS does not take; the
    /// disk.
    pub fn publish_for_service(
        &self,
        topic: &str,
        service: &str,
        source_arn: &str,
        subject: Option<&str>,
        text: &str,
    ) -> Answer<String> {
        self.kept.read(|state| state.topic(topic).map(|_| ()))?;
        let policy = self.policy(topic);
        let checked =
            self.world.iam.check_service(service, source_arn, &Need::new("sns:Publish", topic), policy.as_deref());
        checked.map_err(|refusal| refusal.into_service("sns"))?;
        self.send(topic, &Message::of_text(subject, text)?)
    }

    /// Publishes as a trigger of a repository does it: a topic without a policy of its own lets its account's repositories in.
    ///
    /// # Errors
    /// As [`Sns::publish_for_service`].
    pub fn publish_for_trigger(&self, topic: &str, repository: &str, subject: &str, text: &str) -> Answer<String> {
        if self.has_own_policy(topic) {
            let service = "codecommit.amazonaws.com";
            return self.publish_for_service(topic, service, repository, Some(subject), text);
        }
        self.kept.read(|state| state.topic(topic).map(|_| ()))?;
        self.send(topic, &Message::of_text(Some(subject), text)?)
    }

    fn send(&self, topic: &str, message: &Message) -> Answer<String> {
        let id = self.world.uuid();
        let subscriptions: Vec<(String, Subscription)> = self.kept.read(|state| {
            let of_topic = state.subscriptions.iter().filter(|(_, one)| one.topic == topic && one.is_confirmed());
            of_topic.map(|(arn, one)| (arn.clone(), one.clone())).collect()
        });
        for (arn, one) in subscriptions {
            if !wants(&one, message)? {
                continue;
            }
            match one.protocol {
                Protocol::Sqs => self.send_to_queue(&arn, &one, &id, message),
                Protocol::Email | Protocol::EmailJson => self.send_mail(&arn, &one, &id, message)?,
            }
        }
        Ok(id)
    }
}

fn check_ids(ids: &[&str]) -> Answer<()> {
    let mut distinct = ids.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let good = |id: &&str| {
        (1..=LONGEST_ID).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let refused = |code, what: &str| Err(ServiceError::bad(code, what));
    match ids.len() {
        0 => refused("EmptyBatchRequest", "The batch request doesn't contain any entries."),
        count if count > MOST_ENTRIES => refused(
            "TooManyEntriesInBatchRequest",
            "The batch request contains more entries than permissible (more than 10).",
        ),
        count if count > distinct.len() => {
            refused("BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id.")
        }
        _ if !ids.iter().all(good) => refused(
            "InvalidBatchEntryId",
            "The Id of a batch entry in a batch request doesn't abide by the specification: letters, digits, '-' and '_', at most 80.",
        ),
        _ => Ok(()),
    }
}

fn wants(one: &Subscription, message: &Message) -> Answer<bool> {
    Ok(match one.filter()? {
        None => true,
        Some((filter, Scope::MessageAttributes)) => filter.matches(&message.properties()),
        // A text that is no JSON object is wanted by nobody who looks into it.
        Some((filter, Scope::MessageBody)) => {
            serde_json::from_str::<Map<String, Value>>(message.text("default")).is_ok_and(|body| filter.matches(&body))
        }
    })
}
