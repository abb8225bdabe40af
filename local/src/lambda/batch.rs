//! A batch of messages as the event that a function gets, and what its answer says of each.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::invocation::LARGEST_PAYLOAD;
use crate::sqs::{Message, MessageAttribute};
use crate::template::function::FailureReport;

/// The event of a batch.
pub(super) fn event(messages: &[Message], queue_arn: &str, region: &str) -> Value {
    let records: Vec<Value> = messages
        .iter()
        .map(|message| {
            json!({
                "messageId": message.id,
                "receiptHandle": message.receipt,
                "body": message.body,
                "attributes": message.system_attributes,
                "messageAttributes": message_attributes(message),
                "md5OfBody": message.md5(),
                "eventSource": "aws:sqs",
                "eventSourceARN": queue_arn,
                "awsRegion": region,
            })
        })
        .collect();
    json!({ "Records": records })
}

fn message_attributes(message: &Message) -> Value {
    let attributes: Map<String, Value> = message
        .attributes
        .iter()
        .map(|(name, attribute)| {
            let MessageAttribute { data_type, string_value, binary_value } = attribute;
            let mut value = Map::new();
            if let Some(text) = string_value {
                value.insert("stringValue".to_owned(), Value::from(text.clone()));
            }
            if let Some(bytes) = binary_value {
                value.insert("binaryValue".to_owned(), Value::from(bytes.clone()));
            }
            value.insert("stringListValues".to_owned(), json!([]));
            value.insert("binaryListValues".to_owned(), json!([]));
            value.insert("dataType".to_owned(), Value::from(data_type.clone()));
            (name.clone(), Value::Object(value))
        })
        .collect();
    Value::Object(attributes)
}

/// Cuts what was gathered so that each event fits into an invocation.
pub(super) fn cut(messages: Vec<Message>) -> Vec<Vec<Message>> {
    /// What a record has beside its body and attributes.
    const RECORD: usize = 1024;
    let mut batches: Vec<Vec<Message>> = Vec::new();
    let mut size = 0;
    for message in messages {
        // Quotes and line breaks of a body are escaped in the event.
        let weight = Value::from(message.body.as_str()).to_string().len() + RECORD;
        match batches.last_mut() {
            Some(batch) if size + weight <= LARGEST_PAYLOAD => {
                size += weight;
                batch.push(message);
            }
            _ => {
                size = weight;
                batches.push(vec![message]);
            }
        }
    }
    batches
}

/// What a batch came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Only these failed, by their message ids.
    Failed(BTreeSet<String>),
    /// All of them failed, because of this.
    AllFailed(String),
}

impl Verdict {
    /// Whether a message is done with.
    pub(super) fn is_done(&self, message: &Message) -> bool {
        match self {
            Self::Failed(failed) => !failed.contains(&message.id),
            Self::AllFailed(_) => false,
        }
    }
}

/// Reads the function's answer as Lambda documents it.
///
/// Everything succeeded: an answer that is null or empty, `batchItemFailures` that is missing, null or empty. Everything
/// failed: an answer that is not an object or not JSON, an item without an identifier, with an empty one, or with one
/// that is in no record.
pub(super) fn judge(messages: &[Message], answer: &Value, failures: FailureReport) -> Verdict {
    let all_done = || Verdict::Failed(BTreeSet::new());
    if failures == FailureReport::WholeBatch {
        return all_done();
    }
    let all_failed = |why: String| Verdict::AllFailed(why);
    let items = match answer {
        Value::Null => return all_done(),
        Value::Object(object) => match object.get("batchItemFailures") {
            None | Some(Value::Null) => return all_done(),
            Some(Value::Array(items)) => items,
            Some(_) => return all_failed("batchItemFailures is not a list".to_owned()),
        },
        _ => return all_failed("the answer is not an object with batchItemFailures".to_owned()),
    };
    let mut failed = BTreeSet::new();
    for item in items {
        match item.get("itemIdentifier").and_then(Value::as_str) {
            Some(id) if messages.iter().any(|message| message.id == id) => {
                failed.insert(id.to_owned());
            }
            Some(id) => return all_failed(format!("batchItemFailures names {id:?}, which is no message of the batch")),
            None => return all_failed("an item of batchItemFailures has no itemIdentifier".to_owned()),
        }
    }
    Verdict::Failed(failed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn message(id: &str) -> Message {
        Message {
            id: id.to_owned(),
            receipt: format!("receipt-{id}"),
            body: "{\"a\": 1}".to_owned(),
            system_attributes: BTreeMap::from([("ApproximateReceiveCount".to_owned(), "1".to_owned())]),
            attributes: BTreeMap::from([("team".to_owned(), MessageAttribute::string("payments"))]),
        }
    }

    #[test]
    fn an_event_has_the_documented_shape() {
        let event = event(&[message("m1")], "arn:aws:sqs:eu-west-1:111122223333:jobs", "eu-west-1");
        insta::assert_snapshot!(serde_json::to_string_pretty(&event).unwrap());
    }

    #[test]
    fn an_answer_is_judged_as_lambda_documents_it() {
        let messages = [message("m1"), message("m2")];
        let only = |ids: &[&str]| Verdict::Failed(ids.iter().map(|id| (*id).to_owned()).collect());
        for (answer, expected) in [
            (json!(null), only(&[])),
            (json!({}), only(&[])),
            (json!({ "batchItemFailures": null }), only(&[])),
            (json!({ "batchItemFailures": [] }), only(&[])),
            (json!({ "batchItemFailures": [{ "itemIdentifier": "m2" }] }), only(&["m2"])),
        ] {
            assert_eq!(judge(&messages, &answer, FailureReport::BatchItems), expected, "{answer}");
        }
        for answer in [
            json!("done"),
            json!([]),
            json!({ "batchItemFailures": {} }),
            json!({ "batchItemFailures": [{ "itemIdentifier": "" }] }),
            json!({ "batchItemFailures": [{ "itemIdentifier": null }] }),
            json!({ "batchItemFailures": [{ "identifier": "m1" }] }),
            json!({ "batchItemFailures": [{ "itemIdentifier": "m1" }, { "itemIdentifier": "m3" }] }),
            json!({ "batchItemFailures": ["m1"] }),
        ] {
            let verdict = judge(&messages, &answer, FailureReport::BatchItems);
            assert!(matches!(verdict, Verdict::AllFailed(_)), "{answer}");
            assert!(!verdict.is_done(&messages[0]));
        }
        assert_eq!(judge(&messages, &json!("done"), FailureReport::WholeBatch), only(&[]));
    }

    #[test]
    fn a_batch_that_is_too_large_for_one_event_is_cut() {
        let large = |id: &str| Message { body: "x".repeat(2_500_000), ..message(id) };
        let cut = cut(vec![large("m1"), large("m2"), large("m3")]);
        let sizes: Vec<usize> = cut.iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 1]);
    }
}
