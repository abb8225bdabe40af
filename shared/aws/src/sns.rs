//! One topic.

use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

use crate::failure::sort;
use crate::{Aws, Failure, ONCE};

/// A topic that mail goes out by.
#[derive(Debug, Clone)]
pub struct Topic {
    client: Client,
    arn: String,
}

/// A message attribute: what subscription filter policies look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// One text.
    Text(String),
    /// Several texts; a filter that names any one of them lets the message through.
    Texts(Vec<String>),
}

/// Somebody who gets what is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// Such as `email`.
    pub protocol: String,
    /// Such as the address.
    pub endpoint: String,
    /// Whether the link in AWS's mail was followed: before, nothing arrives.
    pub is_confirmed: bool,
}

impl Topic {
    /// A topic by its ARN.
    pub fn new(aws: &Aws, arn: impl Into<String>) -> Self {
        Self { client: Client::new(&aws.config), arn: arn.into() }
    }

    /// Publishes a message; gives its id.
    ///
    /// It is sent once and its answer waited for up to [`ONCE`]: SNS cannot tell a second try from a second message, and an
    /// answer that is lost says nothing of whether the work was done.
    ///
    /// `subject` is under 100 characters of printable ASCII, `message` at most 256 KB with the attributes.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn publish(
        &self,
        subject: &str,
        message: &str,
        attributes: &[(String, Attribute)],
    ) -> Result<String, Failure> {
        let doing = format!("sns:Publish on {}", self.arn);
        let mut request = self.client.publish().topic_arn(&self.arn).subject(subject).message(message);
        for (name, value) in attributes {
            let (kind, text) = match value {
                Attribute::Text(text) => ("String", text.clone()),
                Attribute::Texts(texts) => ("String.Array", json_array(texts)),
            };
            let value = MessageAttributeValue::builder().data_type(kind).string_value(text).build();
            let value = value
                .map_err(|error| Failure::refused(&doing, format!("the attribute {name} cannot be sent: {error}")))?;
            request = request.message_attributes(name, value);
        }
        let patience = TimeoutConfig::builder().operation_attempt_timeout(ONCE).operation_timeout(ONCE).build();
        let once = aws_sdk_sns::Config::builder().retry_config(RetryConfig::disabled()).timeout_config(patience);
        let answer = request.customize().config_override(once).send().await.map_err(|error| sort(doing, error))?;
        Ok(answer.message_id.unwrap_or_default())
    }

    /// Everybody who is subscribed.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn subscribers(&self) -> Result<Vec<Subscriber>, Failure> {
        let mut found = Vec::new();
        let mut next = None;
        loop {
            let request = self.client.list_subscriptions_by_topic().topic_arn(&self.arn).set_next_token(next);
            let answer = request.send().await;
            let answer =
                answer.map_err(|error| sort(format!("sns:ListSubscriptionsByTopic on {}", self.arn), error))?;
            let there = answer.subscriptions.unwrap_or_default().into_iter();
            found.extend(there.map(|one| Subscriber {
                protocol: one.protocol.unwrap_or_default(),
                endpoint: one.endpoint.unwrap_or_default(),
                is_confirmed: one.subscription_arn.as_deref() != Some("PendingConfirmation"),
            }));
            next = answer.next_token;
            if next.is_none() {
                return Ok(found);
            }
        }
    }
}

/// A JSON array of strings.
fn json_array(texts: &[String]) -> String {
    let quoted = texts.iter().map(|text| {
        let escaped: String = text
            .chars()
            .map(|c| match c {
                '"' => "\\\"".to_owned(),
                '\\' => "\\\\".to_owned(),
                c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
                c => c.to_string(),
            })
            .collect();
        format!("\"{escaped}\"")
    });
    format!("[{}]", quoted.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_attribute_is_json() {
        let texts = ["team-payments".to_owned(), "a\"b\\c\n".to_owned()];
        assert_eq!(json_array(&texts), r#"["team-payments","a\"b\\c\u000a"]"#);
    }
}
