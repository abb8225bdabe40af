//! The policy in force: read from the bucket, parsed once a version.

use std::sync::Arc;

use signalbox_aws::{Bucket, Failure, Object};
use signalbox_policy::{Policy, parse_policy};
use tokio::sync::Mutex;

/// Where the policy comes from.
#[derive(Debug)]
pub struct PolicySource {
    bucket: Bucket,
    key: String,
    last: Mutex<Option<(String, InForce)>>,
}

/// A policy with the version that reports name.
#[derive(Debug, Clone)]
pub struct InForce {
    /// The policy.
    pub policy: Arc<Policy>,
    /// The object's version; `None` where no policy was put there yet.
    pub version: Option<String>,
}

impl PolicySource {
    /// The policy at `key` of the stack's bucket.
    pub fn new(bucket: Bucket, key: impl Into<String>) -> Self {
        Self { bucket, key: key.into(), last: Mutex::new(None) }
    }

    /// The policy as it is now. One conditional read; an unchanged policy is not parsed again.
    ///
    /// # Errors
    /// [`Failure::Retry`] for a policy with problems: the events wait in the queue until it is mended.
    /// A policy that may not be read makes them wait, too: a push must not be lost to a wrong permission.
    pub async fn current(&self) -> Result<InForce, Failure> {
        self.read().await.map_err(Failure::into_retry)
    }

    async fn read(&self) -> Result<InForce, Failure> {
        let mut last = self.last.lock().await;
        let object = match last.as_ref() {
            None => self.bucket.get(&self.key).await?,
            Some((etag, in_force)) => match self.bucket.get_if_changed(&self.key, etag).await {
                Ok(None) => return Ok(in_force.clone()),
                Ok(Some(object)) => Some(object),
                Err(failure) if failure.code() == Some("NoSuchKey") => None,
                Err(failure) => return Err(failure),
            },
        };
        let Some(object) = object else {
            *last = None;
            return Ok(InForce { policy: Arc::new(Policy::none()), version: None });
        };
        let in_force = self.parse(&object)?;
        *last = Some((object.etag, in_force.clone()));
        Ok(in_force)
    }

    fn parse(&self, object: &Object) -> Result<InForce, Failure> {
        let place = format!("reading the policy s3://{}/{}", self.bucket.name(), self.key);
        let mend = "put a policy there that `signalbox check` passes; until then the events wait in the queue";
        let text = std::str::from_utf8(&object.bytes)
            .map_err(|error| Failure::retry(&place, format!("it is not UTF-8 ({error}); {mend}")))?;
        let policy = parse_policy(text).map_err(|problems| Failure::retry(&place, format!("{problems}; {mend}")))?;
        Ok(InForce { policy: Arc::new(policy), version: object.version.clone().or_else(|| Some(object.etag.clone())) })
    }
}
