//! SNS: topics, subscriptions, and an inbox that people can read.
//!
//! Mail does not leave the machine: it becomes a file below `DIR/inbox` and a page at `/inbox`.

mod confirm;
mod deliver;
mod filter;
mod inbox;
mod mail;
mod message;
mod mime;
mod page;
mod publish;
mod subscriptions;
mod topics;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use self::inbox::Inbox;
use self::subscriptions::{Confirmation, Subscription};
use self::topics::Topic;
use crate::auth::Caller;
use crate::error::{Answer, ServiceError};
use crate::http::{Parameters, Response};
use crate::kept::Kept;
use crate::paging::Order;
use crate::sqs::Sqs;
use crate::world::World;

pub use self::mail::Mail;
pub use self::message::Attribute;
pub(crate) use self::subscriptions::is_address;

/// The operations that are offered here.
pub const OPERATIONS: &[&str] = &[
    "ConfirmSubscription",
    "CreateTopic",
    "DeleteTopic",
    "GetSubscriptionAttributes",
    "GetTopicAttributes",
    "ListSubscriptions",
    "ListSubscriptionsByTopic",
    "ListTopics",
    "Publish",
    "PublishBatch",
    "SetSubscriptionAttributes",
    "SetTopicAttributes",
    "Subscribe",
    "Unsubscribe",
];

/// How many items a page of a listing holds, as on AWS.
const PAGE: usize = 100;

/// What is kept between two runs; mails are files of their own.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    topics: BTreeMap<String, Topic>,
    subscriptions: BTreeMap<String, Subscription>,
    /// Which subscription a token confirmed: a link may be opened twice.
    #[serde(default)]
    confirmed: BTreeMap<String, String>,
}

/// Topics and the inbox.
#[derive(Debug)]
pub struct Sns {
    world: Arc<World>,
    kept: Kept<State>,
    inbox: Inbox,
    queues: OnceLock<Arc<Sqs>>,
}

impl Sns {
    /// Opens what is there.
    ///
    /// # Errors
    /// A spoilt state file, an inbox that cannot be read.
    pub fn open(world: &Arc<World>) -> anyhow::Result<Self> {
        Ok(Self {
            world: Arc::clone(world),
            kept: Kept::open(&world.dir, "sns")?,
            inbox: Inbox::open(&world.dir)?,
            queues: OnceLock::new(),
        })
    }

    /// Says where subscriptions of queues deliver to; before that they are refused.
    pub fn delivers_to(&self, queues: &Arc<Sqs>) {
        // A second call could only repeat the first: there is one queue service.
        let _first_word_stands = self.queues.set(Arc::clone(queues));
    }

    /// Makes a topic, or takes the one of that name; gives its ARN.
    ///
    /// # Errors
    /// `InvalidParameter` for a name that SNS would not take; the disk.
    pub fn create_topic(&self, name: &str) -> Answer<String> {
        self.make_topic(name, &BTreeMap::new())
    }

    /// Subscribes an endpoint to a topic with attributes such as `FilterPolicy`; gives the ARN.
    ///
    /// Nobody is asked: whoever makes a stack here reads the mail himself.
    ///
    /// # Errors
    /// As `Subscribe`.
    pub fn subscribe(
        &self,
        topic: &str,
        protocol: &str,
        endpoint: &str,
        attributes: BTreeMap<String, String>,
    ) -> Answer<String> {
        self.make_subscription(topic, protocol, endpoint, attributes, Confirmation::Given, None).map(|(arn, _)| arn)
    }

    /// All mails, oldest first.
    pub fn inbox(&self) -> Vec<Arc<Mail>> {
        self.inbox.mails()
    }

    /// Every mail from now on.
    pub fn subscribe_mail(&self) -> broadcast::Receiver<Arc<Mail>> {
        self.inbox.subscribe()
    }

    pub(crate) async fn call(&self, action: &str, parameters: &Parameters, caller: &Caller) -> Answer<String> {
        let known = members(action);
        if let Some(unknown) = known.and_then(|known| parameters.unknown(known)) {
            return Err(message::invalid(format!("{unknown}: the local cloud does not offer it")));
        }
        match action {
            "CreateTopic" => self.create_topic_call(parameters),
            "DeleteTopic" => self.delete_topic(parameters),
            "ListTopics" => self.list_topics(parameters),
            "GetTopicAttributes" => self.topic_attributes(parameters),
            "SetTopicAttributes" => self.set_topic_attributes(parameters),
            "Subscribe" => self.subscribe_call(parameters, caller),
            "ConfirmSubscription" => self.confirm_subscription(parameters),
            "Unsubscribe" => self.unsubscribe(parameters),
            "ListSubscriptions" => self.list_subscriptions(parameters),
            "ListSubscriptionsByTopic" => self.list_subscriptions_by_topic(parameters),
            "GetSubscriptionAttributes" => self.subscription_attributes(parameters),
            "SetSubscriptionAttributes" => self.set_subscription_attributes(parameters),
            "Publish" => self.publish(parameters),
            "PublishBatch" => self.publish_batch(parameters),
            _ => Err(ServiceError::unknown_operation("sns", action)),
        }
    }

    /// The page at an address, if it is one of ours.
    pub(crate) fn page(&self, uri: &hyper::Uri) -> Option<Response> {
        page::page(self, uri)
    }

    /// Writes the state.
    ///
    /// # Errors
    /// The disk.
    pub fn save(&self) -> anyhow::Result<()> {
        self.kept.save()
    }

    /// Changes the state and writes it at once: topics change rarely, and mails refer to them.
    fn change<R>(&self, change: impl FnOnce(&mut State) -> Answer<R>) -> Answer<R> {
        let result = self.kept.change(change)?;
        self.kept.save().map_err(|error| ServiceError::internal(format!("{error:#}")))?;
        Ok(result)
    }

    /// One page of items that are ordered by ARN, and the element that leads to the next.
    fn page_of<'a, T>(
        &self,
        (operation, filter): (&str, &str),
        items: impl Iterator<Item = (&'a String, &'a T)>,
        token: Option<&str>,
    ) -> Answer<(Vec<(&'a String, &'a T)>, String)> {
        let items = items.map(|(arn, item)| (arn.clone(), (arn, item)));
        let listing = self.world.listing(&format!("sns:{operation}"), &[filter]);
        let (page, next) =
            listing.page(items, Order::Ascending, PAGE, token).map_err(|_| message::invalid("NextToken"))?;
        Ok((page, next.map_or_else(String::new, |next| element("NextToken", &next))))
    }
}

/// The members of an operation's input that are looked at; what is not must not be ignored.
fn members(action: &str) -> Option<&'static [&'static str]> {
    Some(match action {
        "CreateTopic" => &["Name", "Attributes", "Tags", "DataProtectionPolicy"],
        "DeleteTopic" | "GetTopicAttributes" => &["TopicArn"],
        "ListTopics" | "ListSubscriptions" => &["NextToken"],
        "SetTopicAttributes" => &["TopicArn", "AttributeName", "AttributeValue"],
        "Subscribe" => &["TopicArn", "Protocol", "Endpoint", "Attributes", "ReturnSubscriptionArn"],
        "ConfirmSubscription" => &["TopicArn", "Token", "AuthenticateOnUnsubscribe"],
        "Unsubscribe" | "GetSubscriptionAttributes" => &["SubscriptionArn"],
        "ListSubscriptionsByTopic" => &["TopicArn", "NextToken"],
        "SetSubscriptionAttributes" => &["SubscriptionArn", "AttributeName", "AttributeValue"],
        "Publish" => &[
            "TopicArn",
            "TargetArn",
            "PhoneNumber",
            "Message",
            "Subject",
            "MessageStructure",
            "MessageAttributes",
            "MessageDeduplicationId",
            "MessageGroupId",
        ],
        "PublishBatch" => &["TopicArn", "PublishBatchRequestEntries"],
        _ => return None,
    })
}

fn not_found(what: &str) -> ServiceError {
    ServiceError::with_status(404, "NotFound", format!("{what} does not exist"))
}

/// The `Attributes.entry.N.key` and `.value` of a request.
fn entries(parameters: &Parameters) -> BTreeMap<String, String> {
    (1..)
        .map_while(|number| {
            let name = parameters.get(&format!("Attributes.entry.{number}.key"))?;
            let value = parameters.get(&format!("Attributes.entry.{number}.value")).unwrap_or_default();
            Some((name.to_owned(), value.to_owned()))
        })
        .collect()
}

/// `<NAME>TEXT</NAME>`, the text escaped.
fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", quick_xml::escape::escape(text))
}

/// A map as the Query protocol writes it.
fn attribute_map(attributes: &BTreeMap<String, String>) -> String {
    let entries: String = attributes
        .iter()
        .map(|(name, value)| format!("<entry>{}{}</entry>", element("key", name), element("value", value)))
        .collect();
    format!("<Attributes>{entries}</Attributes>")
}

#[cfg(test)]
mod tests;
