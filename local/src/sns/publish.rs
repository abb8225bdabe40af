//! Publishing: a message goes to every subscription of its topic that wants it.

use serde_json::{Map, Value, json};

use super::filter::Scope;
use super::mail::Mail;
use super::message::{Attribute, Message, invalid};
use super::subscriptions::{Protocol, Subscription};
use super::{Sns, element};
use crate::auth::Caller;
use crate::error::{Answer, ServiceError};
use crate::http::Parameters;
use crate::iam::Need;

/// The most messages of one `PublishBatch`.
const MOST_ENTRIES: usize = 10;

/// The most attributes that a raw message takes along to a queue.
const MOST_RAW_ATTRIBUTES: usize = 10;

impl Sns {
    pub(super) async fn publish(&self, parameters: &Parameters) -> Answer<String> {
        for refused in ["PhoneNumber", "TargetArn"] {
            if parameters.get(refused).is_some() {
                return Err(invalid(format!("{refused}: the local cloud publishes to a TopicArn only")));
            }
        }
        let topic = parameters.required("TopicArn")?;
        self.kept.read(|state| state.topic(topic).map(|_| ()))?;
        let message = Message::parse(parameters, "")?;
        let id = self.send(topic, &message).await?;
        Ok(element("MessageId", &id))
    }

    pub(super) async fn publish_batch(&self, parameters: &Parameters) -> Answer<String> {
        let topic = parameters.required("TopicArn")?;
        self.kept.read(|state| state.topic(topic).map(|_| ()))?;
        let prefix = |number: usize| format!("PublishBatchRequestEntries.member.{number}.");
        let ids: Vec<&str> = (1..).map_while(|number| parameters.get(&format!("{}Id", prefix(number)))).collect();
        let mut distinct = ids.clone();
        distinct.sort_unstable();
        distinct.dedup();
        match ids.len() {
            0 => return Err(ServiceError::bad("EmptyBatchRequest", "The batch request doesn't contain any entries.")),
            count if count > MOST_ENTRIES => {
                return Err(ServiceError::bad(
                    "TooManyEntriesInBatchRequest",
                    "The batch request contains more entries than permissible (more than 10).",
                ));
            }
            count if count > distinct.len() => {
                return Err(ServiceError::bad(
                    "BatchEntryIdsNotDistinct",
                    "Two or more batch entries in the request have the same Id.",
                ));
            }
            _ => {}
        }
        for (number, id) in (1..).zip(&ids) {
            parameters.required(&format!("{}Message", prefix(number)))?;
            let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            if !(1..=80).contains(&id.len()) || !id.chars().all(is_good) {
                return Err(ServiceError::bad(
                    "InvalidBatchEntryId",
                    "The Id of a batch entry in a batch request doesn't abide by the specification.",
                ));
            }
        }
        let (mut good, mut bad) = (String::new(), String::new());
        for (number, id) in (1..).zip(&ids) {
            let published = match Message::parse(parameters, &prefix(number)) {
                Ok(message) => self.send(topic, &message).await,
                Err(refused) => Err(refused),
            };
            match published {
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

    /// Publishes as an AWS service does it for one of its resources, an alarm for instance: only if the topic's policy
    /// lets it.
    ///
    /// # Errors
    /// No such topic, `AuthorizationError`, a message that SNS does not take.
    pub async fn publish_for_service(
        &self,
        topic: &str,
        service: &str,
        source_arn: &str,
        subject: &str,
        text: &str,
    ) -> Answer<String> {
        self.kept.read(|state| state.topic(topic).map(|_| ()))?;
        let policy = self.policy(topic);
        let checked =
            self.world.iam.check_service(service, source_arn, &Need::new("sns:Publish", topic), policy.as_deref());
        checked.map_err(|refusal| refusal.into_service("sns"))?;
        let parameters = Parameters::of([("TopicArn", topic), ("Subject", subject), ("Message", text)]);
        self.publish(&parameters).await
    }

    async fn send(&self, topic: &str, message: &Message) -> Answer<String> {
        let id = self.world.uuid();
        let subscriptions: Vec<(String, Subscription)> = self.kept.read(|state| {
            let of_topic = state.subscriptions.iter().filter(|(_, one)| one.topic == topic);
            of_topic.map(|(arn, one)| (arn.clone(), one.clone())).collect()
        });
        for (arn, one) in subscriptions {
            if !wants(&one, message)? {
                continue;
            }
            match one.protocol {
                Protocol::Sqs => self.send_to_queue(&arn, &one, &id, message).await,
                Protocol::Email | Protocol::EmailJson => self.send_mail(&arn, &one, &id, message)?,
            }
        }
        Ok(id)
    }

    fn send_mail(&self, arn: &str, one: &Subscription, id: &str, message: &Message) -> Answer<()> {
        let body = match one.protocol {
            Protocol::EmailJson => self.envelope(arn, one, id, message).to_string(),
            _ => message.text("email").replace("\r\n", "\n"),
        };
        let mail = Mail {
            id: 0,
            to: one.endpoint.clone(),
            subject: Mail::subject_of(message.subject.as_deref()),
            body,
            received: self.world.now(),
            attributes: message.attributes.clone(),
            message_id: id.to_owned(),
            topic: one.topic.clone(),
            subscription: arn.to_owned(),
        };
        self.inbox.deliver(mail).map_err(|error| ServiceError::internal(format!("cannot file a mail: {error}")))
    }

    /// A queue that does not take the message loses it, and the log says so; the publisher is not told, as on AWS.
    async fn send_to_queue(&self, arn: &str, one: &Subscription, id: &str, message: &Message) {
        let Some(queues) = self.queues.get() else {
            tracing::warn!(subscription = arn, "there are no queues, so a message is lost");
            return;
        };
        let parts: Vec<&str> = one.endpoint.split(':').collect();
        let (account, name) = match parts.as_slice() {
            [_, _, _, _, account, name] => (*account, *name),
            _ => return,
        };
        let url = format!("{}/{account}/{name}", self.world.endpoint());
        let mut input = Map::from_iter([("QueueUrl".to_owned(), Value::from(url))]);
        if one.is_raw() {
            if message.attributes.len() > MOST_RAW_ATTRIBUTES {
                tracing::warn!(
                    subscription = arn,
                    "a raw message has more than ten attributes, so it is lost as on AWS"
                );
                return;
            }
            input.insert("MessageBody".to_owned(), message.text("sqs").into());
            let attributes = message.attributes.iter().map(|(name, value)| (name.clone(), for_queue(value)));
            let attributes: Map<String, Value> = attributes.collect();
            if !attributes.is_empty() {
                input.insert("MessageAttributes".to_owned(), attributes.into());
            }
        } else {
            input.insert("MessageBody".to_owned(), self.envelope(arn, one, id, message).to_string().into());
        }
        if let Err(refused) = queues.may_send(&one.endpoint, "sns.amazonaws.com", &one.topic) {
            tracing::warn!(subscription = arn, queue = one.endpoint, %refused, "a queue did not take a message, so it is lost");
            return;
        }
        let caller = Caller { arn: arn.to_owned(), access_key_id: "sns.amazonaws.com".to_owned() };
        if let Err(error) = queues.call("SendMessage", input.into(), &caller).await {
            tracing::warn!(subscription = arn, queue = one.endpoint, %error, "a queue did not take a message, so it is lost");
        }
    }

    /// The JSON that `email-json` and queues receive. Nothing is signed here: the signature says so.
    fn envelope(&self, arn: &str, one: &Subscription, id: &str, message: &Message) -> Value {
        let region = &self.world.region;
        let mut envelope = Map::new();
        let mut say = |name: &str, value: String| envelope.insert(name.to_owned(), value.into());
        say("Type", "Notification".to_owned());
        say("MessageId", id.to_owned());
        say("TopicArn", one.topic.clone());
        say("Message", message.text(one.protocol.name()).to_owned());
        say("Timestamp", self.world.now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string());
        say("SignatureVersion", "1".to_owned());
        say("Signature", "bm90IHNpZ25lZCBieSB0aGUgbG9jYWwgY2xvdWQ=".to_owned());
        say("SigningCertURL", format!("https://sns.{region}.amazonaws.com/SimpleNotificationService-local.pem"));
        say("UnsubscribeURL", format!("https://sns.{region}.amazonaws.com/?Action=Unsubscribe&SubscriptionArn={arn}"));
        if let Some(subject) = &message.subject {
            say("Subject", subject.clone());
        }
        if !message.attributes.is_empty() {
            let attributes: Map<String, Value> = message
                .attributes
                .iter()
                .map(|(name, value)| (name.clone(), json!({ "Type": value.data_type(), "Value": value.text() })))
                .collect();
            envelope.insert("MessageAttributes".to_owned(), attributes.into());
        }
        envelope.into()
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

fn for_queue(value: &Attribute) -> Value {
    match value {
        Attribute::Binary(bytes) => json!({ "DataType": "Binary", "BinaryValue": bytes }),
        other => json!({ "DataType": other.data_type(), "StringValue": other.text() }),
    }
}
