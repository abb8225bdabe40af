//! SNS: everything is done to a topic, also what is done to its subscriptions.

use super::{Input, Need};
use crate::world::World;

pub(super) fn needs(world: &World, operation: &str, input: Input<'_>) -> Option<Vec<Need>> {
    // A subscription's ARN is its topic's with an id behind it.
    let of_subscription = || {
        let arn = input.text("SubscriptionArn");
        arn.rsplit_once(':').filter(|(topic, _)| topic.split(':').count() == 6).map_or(arn, |(topic, _)| topic)
    };
    let (action, resource) = match operation {
        "CreateTopic" => return Some(vec![Need::new("sns:CreateTopic", world.arn("sns", input.text("Name")))]),
        "DeleteTopic"
        | "GetTopicAttributes"
        | "SetTopicAttributes"
        | "ConfirmSubscription"
        | "ListSubscriptionsByTopic"
        | "Publish" => (operation, input.text("TopicArn")),
        "PublishBatch" => ("Publish", input.text("TopicArn")),
        "Subscribe" => {
            let need = Need::new("sns:Subscribe", input.text("TopicArn")).with("sns:Protocol", input.text("Protocol"));
            return Some(vec![need.with("sns:Endpoint", input.text("Endpoint"))]);
        }
        "Unsubscribe" | "GetSubscriptionAttributes" | "SetSubscriptionAttributes" => (operation, of_subscription()),
        "ListTopics" | "ListSubscriptions" => (operation, "*"),
        _ => return None,
    };
    Some(vec![Need::new(format!("sns:{action}"), resource)])
}
