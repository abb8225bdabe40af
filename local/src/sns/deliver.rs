//! From a topic to an endpoint: mail into the inbox, messages into queues.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::Sns;
use super::mail::Mail;
use super::message::{Attribute, Message};
use super::subscriptions::{Protocol, Subscription};
use crate::error::{Answer, ServiceError};
use crate::sqs::MessageAttribute;

/// The principal under which topics send.
const PRINCIPAL: &str = "sns.amazonaws.com";

/// The most attributes that a raw message takes along to a queue.
const MOST_RAW_ATTRIBUTES: usize = 10;

/// The subject of the mail that asks.
const CONFIRMATION: &str = "AWS Notification - Subscription Confirmation";

/// What stays as it is in a link's value.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

impl Sns {
    /// A link to a page of this region.
    fn link(&self, path: &str, query: &[(&str, &str)]) -> String {
        let pairs: Vec<String> =
            query.iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, ENCODED))).collect();
        format!("{}{path}?{}", self.world.pages(), pairs.join("&"))
    }

    fn mail(&self, arn: &str, one: &Subscription, id: &str, subject: Option<&str>, body: String) -> Mail {
        let unsubscribe = self.link("/unsubscribe.html", &[("SubscriptionArn", arn), ("Endpoint", &one.endpoint)]);
        Mail {
            id: 0,
            from: self
                .kept
                .read(|state| state.topic(&one.topic).ok().and_then(|topic| topic.display_name().map(str::to_owned))),
            to: one.endpoint.clone(),
            subject: Mail::subject_of(subject),
            body,
            footer: format!(
                "To stop receiving notifications from this topic, visit\n{unsubscribe}\n\nSent by the local cloud: this mail never left this machine."
            ),
            received: self.world.now(),
            attributes: BTreeMap::new(),
            message_id: id.to_owned(),
            topic: one.topic.clone(),
            subscription: arn.to_owned(),
        }
    }

    fn file(&self, mail: Mail) -> Answer<()> {
        self.inbox.deliver(mail).map_err(|error| ServiceError::internal(format!("cannot file a mail: {error}")))
    }

    pub(super) fn send_mail(&self, arn: &str, one: &Subscription, id: &str, message: &Message) -> Answer<()> {
        let body = match one.protocol {
            Protocol::EmailJson => self.notification(arn, one, id, message).to_string(),
            _ => message.text("email").replace("\r\n", "\n"),
        };
        let mail = self.mail(arn, one, id, message.subject.as_deref(), body);
        self.file(Mail { attributes: message.attributes.clone(), ..mail })
    }

    /// Asks whoever reads mail at an endpoint whether they want to be subscribed.
    pub(super) fn ask(&self, arn: &str, one: &Subscription, token: &str) -> Answer<()> {
        let topic = &one.topic;
        let id = self.world.uuid();
        let body = if one.protocol == Protocol::EmailJson {
            let visit = "To confirm the subscription, visit the SubscribeURL included in this message.";
            let message = format!("You have chosen to subscribe to the topic {topic}.\n{visit}");
            let url = self.link("/", &[("Action", "ConfirmSubscription"), ("TopicArn", topic), ("Token", token)]);
            let mut envelope = self.envelope("SubscriptionConfirmation", &id, topic, &message);
            envelope.insert("Token".to_owned(), token.into());
            envelope.insert("SubscribeURL".to_owned(), url.into());
            Value::Object(envelope).to_string()
        } else {
            let url =
                self.link("/confirmation.html", &[("TopicArn", topic), ("Token", token), ("Endpoint", &one.endpoint)]);
            format!(
                "You have chosen to subscribe to the topic:\n{topic}\n\nTo confirm this subscription, visit\n{url}\n\nIf this was in error, there is nothing to do: without a confirmation no mail follows."
            )
        };
        let mail = self.mail(arn, one, &id, Some(CONFIRMATION), body);
        self.file(Mail { footer: "Sent by the local cloud: this mail never left this machine.".to_owned(), ..mail })
    }

    /// What a queue does not take goes to the subscription's dead-letter queue, or is lost and the log says so; the publisher
    /// is not told, as on AWS.
    pub(super) fn send_to_queue(&self, arn: &str, one: &Subscription, id: &str, message: &Message) {
        let Some(queues) = self.queues.get() else {
            tracing::warn!(subscription = arn, "there are no queues, so a message is lost");
            return;
        };
        let (body, attributes) = if one.is_raw() {
            let attributes = message.attributes.iter().map(|(name, value)| (name.clone(), for_queue(value))).collect();
            (message.text("sqs").to_owned(), attributes)
        } else {
            (self.notification(arn, one, id, message).to_string(), BTreeMap::new())
        };
        let send = |queue: &str, attributes: BTreeMap<String, MessageAttribute>| {
            queues.send_for_service(queue, PRINCIPAL, &one.topic, &body, attributes)
        };
        let failed = if attributes.len() > MOST_RAW_ATTRIBUTES {
            "a raw message has more than ten attributes".to_owned()
        } else {
            match send(&one.endpoint, attributes) {
                Ok(_) => return,
                Err(failed) => failed.to_string(),
            }
        };
        let Some(dead_letters) = one.dead_letters() else {
            tracing::warn!(
                subscription = arn,
                queue = one.endpoint,
                reason = failed,
                "a queue did not take a message, so it is lost"
            );
            return;
        };
        let attributes = [("RequestID", id), ("ErrorCode", "400"), ("ErrorMessage", &failed)];
        let attributes =
            attributes.into_iter().map(|(name, text)| (name.to_owned(), MessageAttribute::string(text))).collect();
        if let Err(second) = send(&dead_letters, attributes) {
            tracing::warn!(subscription = arn, queue = one.endpoint, reason = failed, dead_letters, %second, "neither a queue nor its dead-letter queue took a message, so it is lost");
        }
    }

    /// The JSON that `email-json` and queues receive.
    fn notification(&self, arn: &str, one: &Subscription, id: &str, message: &Message) -> Value {
        let mut envelope = self.envelope("Notification", id, &one.topic, message.text(one.protocol.name()));
        let url = self.link("/", &[("Action", "Unsubscribe"), ("SubscriptionArn", arn)]);
        envelope.insert("UnsubscribeURL".to_owned(), url.into());
        if let Some(subject) = &message.subject {
            envelope.insert("Subject".to_owned(), subject.clone().into());
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

    /// Nothing is signed here: the signature says so.
    fn envelope(&self, kind: &str, id: &str, topic: &str, message: &str) -> Map<String, Value> {
        let certificate =
            format!("https://sns.{}.amazonaws.com/SimpleNotificationService-local.pem", self.world.region);
        let members = [
            ("Type", kind.to_owned()),
            ("MessageId", id.to_owned()),
            ("TopicArn", topic.to_owned()),
            ("Message", message.to_owned()),
            ("Timestamp", self.world.now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()),
            ("SignatureVersion", "1".to_owned()),
            ("Signature", "bm90IHNpZ25lZCBieSB0aGUgbG9jYWwgY2xvdWQ=".to_owned()),
            ("SigningCertURL", certificate),
        ];
        members.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
    }
}

fn for_queue(value: &Attribute) -> MessageAttribute {
    let (text, bytes) = match value {
        Attribute::Binary(bytes) => (None, Some(bytes.clone())),
        other => (Some(other.text().to_owned()), None),
    };
    // A queue knows no lists: SNS sends their text.
    MessageAttribute { data_type: value.data_type().to_owned(), string_value: text, binary_value: bytes }
}
