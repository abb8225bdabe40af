//! Asking before anybody gets mail: tokens, confirming, and the listings that show who has not answered.

use super::message::invalid;
use super::subscriptions::{Confirmation, Subscription};
use super::{Sns, element, not_found};
use crate::auth::unguessable;
use crate::error::{Answer, ServiceError};
use crate::http::Parameters;

/// How long a token is good, in milliseconds: two days, as on AWS.
const GOOD_FOR: i64 = 2 * 24 * 60 * 60 * 1000;

impl Sns {
    /// A question that was not answered yet.
    ///
    /// Whoever has the token can say yes, so it must not follow from the world's seed as ids do.
    pub(super) fn asking(&self) -> Answer<Confirmation> {
        let token = unguessable().map_err(|error| ServiceError::internal(format!("{error:#}")))?;
        Ok(Confirmation::Asked { token: hex::encode(token), at: self.world.now().as_millisecond() })
    }

    /// Takes away the subscriptions whose question ran out.
    pub(super) fn forget_unanswered(&self) {
        let now = self.world.now().as_millisecond();
        let ran_out =
            |one: &Subscription| matches!(one.confirmation, Confirmation::Asked { at, .. } if now - at > GOOD_FOR);
        if self.kept.read(|state| state.subscriptions.values().any(ran_out)) {
            self.kept.change(|state| state.subscriptions.retain(|_, one| !ran_out(one)));
        }
    }

    /// Confirms the subscription that a token was made for; gives its ARN. A token can be used again.
    pub(super) fn confirm(&self, topic: &str, token: &str, given: &Confirmation) -> Answer<String> {
        self.forget_unanswered();
        self.kept.read(|state| state.topic(topic).map(|_| ()))?;
        self.change(|state| {
            let is_there = |arn: &&String| state.subscriptions.get(*arn).is_some_and(|one| one.topic == topic);
            if let Some(arn) = state.confirmed.get(token).filter(is_there) {
                return Ok(arn.clone());
            }
            let asked = |one: &Subscription| {
                one.topic == topic
                    && matches!(&one.confirmation, Confirmation::Asked { token: asked, .. } if asked == token)
            };
            let (arn, one) =
                state.subscriptions.iter_mut().find(|(_, one)| asked(one)).ok_or_else(|| invalid("Token"))?;
            one.confirmation = given.clone();
            state.confirmed.insert(token.to_owned(), arn.clone());
            Ok(arn.clone())
        })
    }

    pub(super) fn confirm_subscription(&self, parameters: &Parameters) -> Answer<String> {
        let (topic, token) = (parameters.required("TopicArn")?, parameters.required("Token")?);
        let for_good =
            parameters.get("AuthenticateOnUnsubscribe").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let given = if for_good { Confirmation::GivenForGood } else { Confirmation::Given };
        Ok(element("SubscriptionArn", &self.confirm(topic, token, &given)?))
    }

    /// Ends a subscription for whoever reads its mail; gives the topic.
    pub(super) fn unsubscribe_by_link(&self, arn: &str) -> Answer<String> {
        self.change(|state| {
            let one = state.subscriptions.get(arn).ok_or_else(|| not_found("Subscription"))?;
            if one.confirmation == Confirmation::GivenForGood {
                let what = "This subscription can be removed with credentials only";
                return Err(ServiceError::with_status(403, "AuthorizationError", what));
            }
            let topic = one.topic.clone();
            state.subscriptions.remove(arn);
            Ok(topic)
        })
    }

    pub(super) fn list_subscriptions(&self, parameters: &Parameters) -> Answer<String> {
        self.forget_unanswered();
        self.kept.read(|state| {
            let (page, next) =
                self.page_of(("ListSubscriptions", ""), state.subscriptions.iter(), parameters.get("NextToken"))?;
            Ok(list(&page, &self.world.account) + &next)
        })
    }

    pub(super) fn list_subscriptions_by_topic(&self, parameters: &Parameters) -> Answer<String> {
        let topic = parameters.required("TopicArn")?;
        self.forget_unanswered();
        self.kept.read(|state| {
            state.topic(topic)?;
            let of_topic = state.subscriptions.iter().filter(|(_, one)| one.topic == topic);
            let (page, next) =
                self.page_of(("ListSubscriptionsByTopic", topic), of_topic, parameters.get("NextToken"))?;
            Ok(list(&page, &self.world.account) + &next)
        })
    }
}

fn list(page: &[(&String, &Subscription)], owner: &str) -> String {
    let members: String = page
        .iter()
        .map(|(arn, one)| {
            format!(
                "<member>{}{}{}{}{}</member>",
                element("TopicArn", &one.topic),
                element("Protocol", one.protocol.name()),
                element("SubscriptionArn", if one.is_confirmed() { arn } else { "PendingConfirmation" }),
                element("Owner", owner),
                element("Endpoint", &one.endpoint)
            )
        })
        .collect();
    format!("<Subscriptions>{members}</Subscriptions>")
}
