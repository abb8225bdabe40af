//! Small state: JSON objects below `state/`, changed only by whoever read them last.

use serde::Serialize;
use serde::de::DeserializeOwned;
use signalbox_aws::{Bucket, Failure, Put};

use crate::ledger::encode;

/// How often a change is tried before the event goes back to the queue.
const TRIES: u32 = 5;

/// The state of the stack.
#[derive(Debug, Clone)]
pub struct State {
    bucket: Bucket,
}

/// A value as it was read, with what its next write must name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept<T> {
    /// The value.
    pub value: T,
    /// The entity tag it was read with.
    pub etag: String,
}

impl State {
    /// The state in the stack's bucket.
    pub fn new(bucket: Bucket) -> Self {
        Self { bucket }
    }

    /// Reads a value; `None` where there is none.
    ///
    /// # Errors
    /// As S3 fails; a value that cannot be read is [`Failure::Retry`], as it can be mended, and says which object.
    pub async fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<Kept<T>>, Failure> {
        let Some(object) = self.bucket.get(key).await? else { return Ok(None) };
        match serde_json::from_slice(&object.bytes) {
            Ok(value) => Ok(Some(Kept { value, etag: object.etag })),
            Err(error) => {
                let what = format!(
                    "it is not what belongs there ({error}); an older version of the object may be: restore it"
                );
                Err(Failure::retry(format!("reading {key}"), what))
            }
        }
    }

    /// Writes a value that must not be there yet; one that is there stays.
    ///
    /// # Errors
    /// As S3 fails.
    pub async fn write_new<T: Serialize>(&self, key: &str, value: &T) -> Result<Put, Failure> {
        self.bucket.put_new(key, encode(key, value)?).await
    }

    /// Writes a value over the one that was read with this entity tag, or where none was; not where somebody was faster.
    ///
    /// For whoever decided on what was read: what it decides again on may be something else.
    ///
    /// # Errors
    /// As S3 fails.
    pub async fn replace<T: Serialize>(&self, key: &str, etag: Option<&str>, value: &T) -> Result<Put, Failure> {
        self.put(key, etag, value).await
    }

    /// Changes a value by compare-and-swap: reads, changes, writes, and begins again where somebody was faster.
    ///
    /// `change` gets the value or `None`, and returns the new one; it may run several times.
    ///
    /// # Errors
    /// As S3 fails; [`Failure::Retry`] where others were faster every time.
    pub async fn change<T, C>(&self, key: &str, change: C) -> Result<T, Failure>
    where
        T: Serialize + DeserializeOwned + PartialEq,
        C: Fn(Option<&T>) -> T,
    {
        for _ in 0..TRIES {
            let there = self.read::<T>(key).await?;
            let value = change(there.as_ref().map(|kept| &kept.value));
            if self.swap(key, there.as_ref(), &value).await? == Swap::Ours {
                return Ok(value);
            }
        }
        Err(too_slow(key))
    }

    /// Changes a value that is there, in the same way; one that is not there stays so.
    ///
    /// # Errors
    /// As [`State::change`].
    pub async fn change_existing<T, C>(&self, key: &str, change: C) -> Result<Option<T>, Failure>
    where
        T: Serialize + DeserializeOwned + PartialEq,
        C: Fn(&T) -> T,
    {
        for _ in 0..TRIES {
            let Some(there) = self.read::<T>(key).await? else { return Ok(None) };
            let value = change(&there.value);
            if self.swap(key, Some(&there), &value).await? == Swap::Ours {
                return Ok(Some(value));
            }
        }
        Err(too_slow(key))
    }

    /// Writes over the value that was read, or a new one where there was none; `None` where somebody was faster.
    ///
    /// # Errors
    /// As S3 fails.
    pub async fn write_over<T>(&self, key: &str, there: Option<&Kept<T>>, value: T) -> Result<Option<Kept<T>>, Failure>
    where
        T: Clone + Serialize + DeserializeOwned + PartialEq,
    {
        if let Some(same) = there.filter(|kept| kept.value == value) {
            return Ok(Some(same.clone()));
        }
        match self.put(key, there.map(|kept| kept.etag.as_str()), &value).await? {
            Put::Written { etag } => Ok(Some(Kept { value, etag })),
            // It may have been this very write, whose answer was cut off.
            Put::Lost => Ok(self.read::<T>(key).await?.filter(|now| now.value == value)),
        }
    }

    async fn put<T: Serialize>(&self, key: &str, over: Option<&str>, value: &T) -> Result<Put, Failure> {
        let bytes = encode(key, value)?;
        match over {
            Some(etag) => self.bucket.put_over(key, bytes, etag).await,
            None => self.bucket.put_new(key, bytes).await,
        }
    }

    async fn swap<T>(&self, key: &str, there: Option<&Kept<T>>, value: &T) -> Result<Swap, Failure>
    where
        T: Serialize + PartialEq,
    {
        if there.is_some_and(|kept| kept.value == *value) {
            return Ok(Swap::Ours);
        }
        let put = self.put(key, there.map(|kept| kept.etag.as_str()), value).await?;
        Ok(if put == Put::Lost { Swap::Lost } else { Swap::Ours })
    }
}

/// Whether a swap left our value there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Swap {
    Ours,
    Lost,
}

fn too_slow(key: &str) -> Failure {
    Failure::retry(format!("writing {key}"), format!("others were faster {TRIES} times"))
}
