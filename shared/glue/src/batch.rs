//! What Lambda hands over: an SQS batch or one bare event; and what it wants back.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use signalbox_aws::{ONCE, OPERATION};

/// One event as it came, with what is known of its delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The event's bytes: a message's body, or the whole payload.
    pub body: Vec<u8>,
    /// The message it came in; a bare event has none.
    pub message: Option<Message>,
}

/// An SQS message around an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// What a change of its visibility must name.
    pub receipt: String,
    /// How often it has been received, this time counted.
    pub received: u32,
}

/// What a function knows of the invocation it runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invocation {
    /// The moment it began: `decide` never looks at a clock itself.
    pub now: Timestamp,
    /// When Lambda ends it.
    pub deadline: Timestamp,
    /// When the last action may be begun whose second try would do its work twice: what is cut off between an action and its
    /// record is done once more.
    pub last_begin: Timestamp,
}

/// Kept back from Lambda's deadline, for the answer and the log.
pub(crate) const RESERVE: Duration = Duration::from_secs(2);

/// How long such an action and its record may take at most: the action's one try, and the record's two calls, as an entry that
/// seems to be another's is read again.
const ACTION: Duration = ONCE.saturating_add(OPERATION.saturating_mul(2));

impl Invocation {
    /// An invocation that begins now.
    pub fn new(now: Timestamp, deadline: Timestamp) -> Self {
        // Of an invocation that is too short for it, a quarter is left: better a mail twice than none.
        let shorter = Duration::try_from(deadline.duration_since(now)).unwrap_or_default().saturating_mul(3) / 4;
        Self { now, deadline, last_begin: deadline - (ACTION + RESERVE).min(shorter) }
    }

    /// How long a claim of this invocation holds: as long as it may live, and a little.
    pub fn lease(&self) -> SignedDuration {
        self.deadline.duration_since(self.now) + SignedDuration::from_secs(5)
    }
}

/// How one delivery ended, as far as the queue cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is finished; the queue may forget it.
    Finished(Value),
    /// It must come back.
    Again {
        /// What failed.
        why: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    message_id: String,
    receipt_handle: String,
    body: String,
    event_source: String,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Attributes {
    #[serde(rename = "ApproximateReceiveCount")]
    received: String,
}

/// Takes a payload apart: each record of an SQS batch, or the payload itself.
///
/// Something that only looks like a batch is one bare event; parsing then says what is wrong with it.
pub(crate) fn deliveries(payload: &Value) -> Vec<Delivery> {
    let records: Option<Vec<Record>> =
        payload.get("Records").and_then(|records| Vec::<Record>::deserialize(records).ok());
    match records {
        Some(records) if records.iter().all(|record| record.event_source == "aws:sqs") => records
            .into_iter()
            .map(|record| Delivery {
                body: record.body.into_bytes(),
                message: Some(Message {
                    id: record.message_id,
                    receipt: record.receipt_handle,
                    received: record.attributes.received.parse().unwrap_or(1),
                }),
            })
            .collect(),
        _ => vec![Delivery { body: payload.to_string().into_bytes(), message: None }],
    }
}

/// What Lambda gets back.
///
/// # Errors
/// A bare event that failed: the text becomes the invocation's error.
pub fn answer_payload(answers: &[(Delivery, Answer)]) -> Result<Value, String> {
    if let [(Delivery { message: None, .. }, answer)] = answers {
        return match answer {
            Answer::Finished(report) => Ok(report.clone()),
            Answer::Again { why } => Err(why.clone()),
        };
    }
    let failed = answers.iter().filter_map(|(delivery, answer)| match (answer, &delivery.message) {
        (Answer::Again { .. }, Some(message)) => Some(json!({ "itemIdentifier": message.id })),
        _ => None,
    });
    Ok(json!({ "batchItemFailures": failed.collect::<Vec<_>>() }))
}

/// The longest that a failed message waits.
const LONGEST_WAIT: u64 = 900;

/// How long a message waits after its `received`th failed delivery: 1 s, doubled each time, at most 15 minutes.
///
/// Where it is known before when it makes no sense to try again, it waits until a second after then, however often it was
/// received: nothing fails there, and whoever works on the event either finishes it or ends with the lease.
pub fn wait_before_retry(received: u32, not_before: Option<Timestamp>, now: Timestamp) -> Duration {
    let seconds = match not_before {
        Some(until) => u64::try_from(until.duration_since(now).as_secs()).unwrap_or_default().saturating_add(1),
        None => 1_u64.checked_shl(received.saturating_sub(1)).unwrap_or(u64::MAX),
    };
    Duration::from_secs(seconds.clamp(1, LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(ids: &[&str]) -> Value {
        let record = |id: &&str| {
            json!({
                "messageId": id, "receiptHandle": format!("receipt-{id}"), "body": "{}", "eventSource": "aws:sqs",
                "attributes": { "ApproximateReceiveCount": "3" },
            })
        };
        json!({ "Records": ids.iter().map(record).collect::<Vec<_>>() })
    }

    #[test]
    fn an_action_that_would_be_doubled_leaves_time_for_the_longest_record() {
        let now = Timestamp::from_second(1_000).unwrap();
        let as_deployed = Invocation::new(now, now + SignedDuration::from_secs(120));
        // The clients give up before Lambda does.
        assert_eq!(as_deployed.last_begin + ONCE + OPERATION + OPERATION + RESERVE, as_deployed.deadline);
        let short = Invocation::new(now, now + SignedDuration::from_secs(20));
        assert_eq!(short.last_begin, now + SignedDuration::from_secs(5));
    }

    #[test]
    fn a_batch_reports_only_the_items_that_failed() {
        let deliveries = deliveries(&batch(&["first", "second"]));
        assert_eq!(deliveries[1].message.as_ref().map(|message| message.received), Some(3));
        let again = Answer::Again { why: "throttled".to_owned() };
        let answers: Vec<_> = deliveries.into_iter().zip([Answer::Finished(Value::Null), again]).collect();
        assert_eq!(answer_payload(&answers), Ok(json!({ "batchItemFailures": [{ "itemIdentifier": "second" }] })));
    }

    #[test]
    fn a_bare_event_that_fails_fails_the_invocation() {
        let deliveries = deliveries(&json!({ "source": "aws.codecommit" }));
        assert_eq!(deliveries.len(), 1);
        let answers: Vec<_> =
            deliveries.into_iter().map(|d| (d, Answer::Again { why: "throttled".to_owned() })).collect();
        assert_eq!(answer_payload(&answers), Err("throttled".to_owned()));
    }

    #[test]
    fn something_that_only_looks_like_a_batch_is_one_bare_event() {
        let payload = json!({ "Records": [{ "eventSource": "aws:s3" }] });
        assert_eq!(deliveries(&payload).len(), 1);
        assert_eq!(deliveries(&payload)[0].message, None);
    }

    #[test]
    fn waits_grow_from_a_second_to_a_quarter_of_an_hour() {
        let seconds: Vec<u64> = [0, 1, 2, 5, 10, 11, 40, u32::MAX]
            .map(|n| wait_before_retry(n, None, Timestamp::UNIX_EPOCH).as_secs())
            .to_vec();
        assert_eq!(seconds, [1, 1, 2, 16, 512, 900, 900, 900]);
    }

    #[test]
    fn a_busy_event_comes_again_when_the_lease_has_ended_however_often_it_came() {
        let now = Timestamp::from_second(1_000).unwrap();
        for (lease_ends_in, expected) in [(125_400, 126), (125_000, 126), (400, 1), (-5_000, 1), (86_400_000, 900)] {
            let until = now + SignedDuration::from_millis(lease_ends_in);
            for received in [1, 30] {
                let wait = wait_before_retry(received, Some(until), now);
                assert_eq!(wait.as_secs(), expected, "{lease_ends_in} ms, received {received} times");
            }
        }
    }
}
