//! One large object, written in parts as it comes, so that no more than a part of it is in memory.

use std::time::Duration;

use aws_sdk_s3::config::Builder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use aws_smithy_types::timeout::TimeoutConfig;
use bytes::{Bytes, BytesMut};

use crate::failure::{lacking, sort};
use crate::{Aws, Bucket, Failure, Put};

/// The bytes of a part. What is shorter goes in one piece; S3 takes 10,000 parts, so an object has at most 80 GB.
pub const MOST_HELD: usize = 8 * 1024 * 1024;

/// How long one try of a part may take.
const PART: Duration = Duration::from_secs(60);

/// How long S3 may take to put the parts together: it says that it can take minutes.
const COMPLETION: Duration = Duration::from_secs(5 * 60);

/// What an object is written over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Over {
    /// Nothing: there must be none.
    Nothing,
    /// The object with this tag, quotes included: it must still be there.
    Tag(String),
}

/// How an object begins, with what a conditional write needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beginning {
    /// The first bytes.
    pub bytes: Vec<u8>,
    /// The entity tag, quotes included.
    pub etag: String,
}

/// An object on its way. Until it is completed nobody sees anything of it; [`Upload::abort`] leaves nothing behind.
#[derive(Debug)]
pub struct Upload {
    bucket: Bucket,
    key: String,
    over: Over,
    held: BytesMut,
    /// The id that S3 gave it; none as long as all of it fits into one piece.
    id: Option<String>,
    parts: Vec<CompletedPart>,
}

impl Bucket {
    /// The region that a bucket is in, as S3 tells whoever asks in another one.
    ///
    /// # Errors
    /// As [`Failure`] sorts them; no such bucket, and one that may not be seen, are refused.
    pub async fn region_of(aws: &Aws, name: &str) -> Result<String, Failure> {
        let doing = format!("s3:ListBucket on {name}");
        let bucket = Self::new(aws, name);
        match bucket.client.head_bucket().bucket(name).send().await {
            Ok(answer) => Ok(answer.bucket_region.unwrap_or_else(|| aws.region().to_owned())),
            Err(error) => {
                let elsewhere = error.raw_response().filter(|raw| matches!(raw.status().as_u16(), 301 | 400));
                let elsewhere = elsewhere.and_then(|raw| raw.headers().get("x-amz-bucket-region")).map(str::to_owned);
                match elsewhere.filter(|region| region != aws.region()) {
                    Some(region) => Ok(region),
                    None if error.raw_response().is_some_and(|raw| raw.status().as_u16() == 404) => {
                        Err(Failure::refused(doing, "there is no such bucket"))
                    }
                    None => Err(sort(doing, error)),
                }
            }
        }
    }

    /// Reads the first bytes of an object; `None` where there is none.
    ///
    /// # Errors
    /// As [`Bucket::get`].
    pub async fn beginning(&self, key: &str, bytes: usize) -> Result<Option<Beginning>, Failure> {
        let doing = self.doing("GetObject", key);
        let range = format!("bytes=0-{}", bytes.saturating_sub(1));
        match self.client.get_object().bucket(&self.name).key(key).range(range).send().await {
            Ok(answer) => {
                let object = crate::s3::read(&doing, answer).await?;
                Ok(Some(Beginning { bytes: object.bytes, etag: object.etag }))
            }
            Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => Ok(None),
            // An object without any bytes has no first ones.
            Err(error) if error.raw_response().is_some_and(|raw| raw.status().as_u16() == 416) => {
                let whole = self.get(key).await?;
                Ok(whole.map(|object| Beginning { bytes: object.bytes, etag: object.etag }))
            }
            Err(error) => Err(sort(doing, error)),
        }
    }

    /// Begins an object that comes piece by piece.
    pub fn upload(&self, key: &str, over: Over) -> Upload {
        let (bucket, key) = (self.clone(), key.to_owned());
        Upload { bucket, key, over, held: BytesMut::new(), id: None, parts: Vec::new() }
    }
}

impl Upload {
    /// Takes the next piece, and sends a part when there is enough for one.
    ///
    /// # Errors
    /// As [`Failure`] sorts them: then the object must be aborted.
    pub async fn write(&mut self, mut piece: &[u8]) -> Result<(), Failure> {
        while self.held.len() + piece.len() > MOST_HELD {
            let (now, later) = piece.split_at_checked(MOST_HELD - self.held.len()).unwrap_or((piece, &[]));
            self.held.extend_from_slice(now);
            piece = later;
            let part = self.held.split().freeze();
            self.send(part).await?;
        }
        self.held.extend_from_slice(piece);
        Ok(())
    }

    async fn send(&mut self, part: Bytes) -> Result<(), Failure> {
        let id = match &self.id {
            Some(id) => id.clone(),
            None => {
                let doing = self.bucket.doing("CreateMultipartUpload", &self.key);
                let begun = self.bucket.client.create_multipart_upload().bucket(&self.bucket.name).key(&self.key);
                let begun = begun.send().await.map_err(|error| sort(&doing, error))?;
                let id = begun.upload_id.ok_or_else(|| lacking(&doing, "UploadId"))?;
                self.id = Some(id.clone());
                id
            }
        };
        let doing = self.bucket.doing("UploadPart", &self.key);
        let number = i32::try_from(self.parts.len() + 1);
        let number = number.map_err(|_| Failure::refused(&doing, "it has more parts than S3 takes"))?;
        let request = self.bucket.client.upload_part().bucket(&self.bucket.name).key(&self.key);
        let request = request.upload_id(id).part_number(number).body(ByteStream::from(part));
        let sent = request.customize().config_override(patience(PART, PART * 3)).send().await;
        let etag = sent.map_err(|error| sort(&doing, error))?.e_tag.ok_or_else(|| lacking(&doing, "ETag"))?;
        self.parts.push(CompletedPart::builder().part_number(number).e_tag(etag).build());
        Ok(())
    }

    /// Makes it the object; only now does anybody see it.
    ///
    /// # Errors
    /// As [`Failure`] sorts them: then it must be aborted. [`Put::Lost`] where somebody else wrote meanwhile.
    pub async fn finish(&mut self) -> Result<Put, Failure> {
        if self.id.is_none() {
            return self.put_whole().await;
        }
        if !self.held.is_empty() {
            let part = self.held.split().freeze();
            self.send(part).await?;
        }
        let doing = self.bucket.doing("CompleteMultipartUpload", &self.key);
        let parts = CompletedMultipartUpload::builder().set_parts(Some(self.parts.clone())).build();
        let request = self.bucket.client.complete_multipart_upload().bucket(&self.bucket.name).key(&self.key);
        let request = request.set_upload_id(self.id.clone()).multipart_upload(parts);
        let request = match &self.over {
            Over::Nothing => request.if_none_match("*"),
            Over::Tag(tag) => request.if_match(tag),
        };
        let done = request.customize().config_override(patience(COMPLETION, COMPLETION)).send().await;
        match done {
            Ok(answer) => {
                self.id = None;
                Ok(Put::Written { etag: answer.e_tag.ok_or_else(|| lacking(&doing, "ETag"))? })
            }
            Err(error) => match sort(doing, error) {
                failure if matches!(failure.code(), Some("PreconditionFailed" | "NoSuchKey")) => Ok(Put::Lost),
                // Its own first try may have gone well, and only its answer been lost.
                failure if failure.code() == Some("NoSuchUpload") => Err(failure.into_retry()),
                failure => Err(failure),
            },
        }
    }

    async fn put_whole(&mut self) -> Result<Put, Failure> {
        let doing = self.bucket.doing("PutObject", &self.key);
        let body = self.held.split().freeze();
        let request = self.bucket.client.put_object().bucket(&self.bucket.name).key(&self.key);
        let request = match &self.over {
            Over::Nothing => request.if_none_match("*"),
            Over::Tag(tag) => request.if_match(tag),
        };
        let request = request.body(ByteStream::from(body));
        match request.customize().config_override(patience(PART, PART * 3)).send().await {
            Ok(answer) => Ok(Put::Written { etag: answer.e_tag.ok_or_else(|| lacking(&doing, "ETag"))? }),
            Err(error) => match sort(doing, error) {
                failure if matches!(failure.code(), Some("PreconditionFailed" | "NoSuchKey")) => Ok(Put::Lost),
                failure => Err(failure),
            },
        }
    }

    /// Takes back what was sent; where nothing was, or it was completed, there is nothing to take back.
    ///
    /// # Errors
    /// As [`Failure`] sorts them: then parts are left over, which the bucket's lifecycle rule deletes if it has one.
    pub async fn abort(self) -> Result<(), Failure> {
        let Some(id) = self.id else { return Ok(()) };
        let request = self.bucket.client.abort_multipart_upload().bucket(&self.bucket.name).key(&self.key);
        let doing = self.bucket.doing("AbortMultipartUpload", &self.key);
        match request.upload_id(id).send().await {
            Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_upload()) => Ok(()),
            aborted => aborted.map(|_| ()).map_err(|error| sort(doing, error)),
        }
    }
}

/// Longer than for small objects.
fn patience(attempt: Duration, operation: Duration) -> Builder {
    let patience = TimeoutConfig::builder().operation_attempt_timeout(attempt).operation_timeout(operation).build();
    aws_sdk_s3::config::Config::builder().timeout_config(patience)
}
