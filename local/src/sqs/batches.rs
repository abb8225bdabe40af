//! Batches: an entry that fails takes no other with it.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::inputs::{Batch, ChangeEntry, DeleteEntry, SendEntry, required};
use super::operations::query_code;
use super::{Sqs, message};
use crate::auth::Caller;
use crate::error::{Answer, ServiceError};

/// The most entries of a batch, as on AWS.
const MOST_ENTRIES: usize = 10;

/// The largest batch of messages in bytes, as on AWS.
const LARGEST_BATCH: usize = 1_048_576;

/// An entry of a batch. One that lacks a member that the model requires fails the batch; anything else only itself.
trait BatchEntry {
    fn id(&self) -> Option<String>;
    fn check(&self) -> Answer<()>;
}

impl BatchEntry for SendEntry {
    fn id(&self) -> Option<String> {
        self.id.clone()
    }

    fn check(&self) -> Answer<()> {
        required(self.message_body.as_ref(), "MessageBody").map(drop)
    }
}

impl BatchEntry for DeleteEntry {
    fn id(&self) -> Option<String> {
        self.id.clone()
    }

    fn check(&self) -> Answer<()> {
        required(self.receipt_handle.as_ref(), "ReceiptHandle").map(drop)
    }
}

impl BatchEntry for ChangeEntry {
    fn id(&self) -> Option<String> {
        self.id.clone()
    }

    fn check(&self) -> Answer<()> {
        required(self.receipt_handle.as_ref(), "ReceiptHandle").map(drop)
    }
}

impl Sqs {
    pub(super) fn send_message_batch(&self, input: Batch<SendEntry>, caller: &Caller) -> Answer<Value> {
        let size = |entry: &SendEntry| {
            message::size(entry.message_body.as_deref().unwrap_or_default(), &entry.message_attributes)
        };
        let total: usize = input.entries.iter().flatten().map(size).sum();
        if total > LARGEST_BATCH {
            return Err(ServiceError::bad(
                "BatchRequestTooLong",
                format!("Batch requests cannot be longer than {LARGEST_BATCH} bytes. You have sent {total} bytes."),
            ));
        }
        self.batch(input, |queue, entry| self.send_entry(queue, entry, caller))
    }

    pub(super) fn delete_message_batch(&self, input: Batch<DeleteEntry>) -> Answer<Value> {
        self.batch(input, |queue, entry: DeleteEntry| {
            self.delete(queue, &required(entry.receipt_handle, "ReceiptHandle")?)?;
            Ok(Map::new())
        })
    }

    pub(super) fn change_message_visibility_batch(&self, input: Batch<ChangeEntry>) -> Answer<Value> {
        self.batch(input, |queue, entry| self.change_entry(queue, entry))
    }

    /// Does a batch entry by entry; one that fails does not keep the others from going through.
    fn batch<E: BatchEntry>(
        &self,
        input: Batch<E>,
        mut act: impl FnMut(&str, E) -> Answer<Map<String, Value>>,
    ) -> Answer<Value> {
        let name = self.queue(input.queue_url)?;
        self.with(&name, |_| ())?;
        let entries = required(input.entries, "Entries")?;
        if entries.is_empty() {
            return Err(ServiceError::bad("EmptyBatchRequest", "There should be at least one entry in the request."));
        }
        if entries.len() > MOST_ENTRIES {
            return Err(ServiceError::bad(
                "TooManyEntriesInBatchRequest",
                format!("Maximum number of entries per request are {MOST_ENTRIES}. You have sent {}.", entries.len()),
            ));
        }
        let mut ids = BTreeSet::new();
        for entry in &entries {
            let id = required(entry.id(), "Id")?;
            entry.check()?;
            let good =
                (1..=80).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
            if !good {
                return Err(ServiceError::bad(
                    "InvalidBatchEntryId",
                    format!("The batch entry id {id:?} may hold 1 to 80 of letters, digits, - and _ only."),
                ));
            }
            if let Some(twice) = ids.replace(id) {
                return Err(ServiceError::bad("BatchEntryIdsNotDistinct", format!("Id {twice} repeated.")));
            }
        }
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in entries {
            let id = entry.id().unwrap_or_default();
            match act(&name, entry) {
                Ok(mut done) => {
                    done.insert("Id".to_owned(), json!(id));
                    successful.push(done);
                }
                Err(refused) => failed.push(json!({
                    "Id": id,
                    "Code": query_code(&refused.code),
                    "Message": refused.message,
                    "SenderFault": refused.status < 500,
                })),
            }
        }
        Ok(json!({ "Successful": successful, "Failed": failed }))
    }
}
