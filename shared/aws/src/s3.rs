//! One bucket: reads, and writes that only happen if nobody else was faster.

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;

use jiff::Timestamp;

use crate::failure::{lacking, sort, timestamp};
use crate::{Aws, Failure};

/// The object's own metadata that names its writer.
pub(crate) const WRITER: &str = "signalbox-writer";

/// A bucket that a function keeps its state in.
#[derive(Debug, Clone)]
pub struct Bucket {
    pub(crate) client: Client,
    pub(crate) name: String,
}

/// An object with what a conditional write needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The content.
    pub bytes: Vec<u8>,
    /// The entity tag, quotes included.
    pub etag: String,
    /// The version, where the bucket keeps versions.
    pub version: Option<String>,
    /// When it was written.
    pub written: Option<Timestamp>,
    /// Who said of themselves to have written it; see [`Bucket::replace`].
    pub writer: Option<String>,
}

/// How a conditional write ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Put {
    /// It was written; the tag is what the next conditional write names.
    Written {
        /// The new entity tag, quotes included.
        etag: String,
    },
    /// Somebody else was there first: nothing was written.
    Lost,
}

impl Bucket {
    /// A bucket by its name.
    pub fn new(aws: &Aws, name: impl Into<String>) -> Self {
        let path_style = aws.config.endpoint_url().is_some();
        let config = aws_sdk_s3::config::Builder::from(&aws.config).force_path_style(path_style).build();
        Self { client: Client::from_conf(config), name: name.into() }
    }

    /// The bucket's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads an object; `None` where there is none.
    ///
    /// # Errors
    /// As [`Failure`] sorts them; without `s3:ListBucket` a missing key is *forbidden* on AWS.
    pub async fn get(&self, key: &str) -> Result<Option<Object>, Failure> {
        let doing = self.doing("GetObject", key);
        match self.client.get_object().bucket(&self.name).key(key).send().await {
            Ok(answer) => read(&doing, answer).await.map(Some),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => Ok(None),
            Err(error) => Err(sort(doing, error)),
        }
    }

    /// Reads an object unless it is still the one with `etag`: `Ok(None)` means *unchanged*.
    ///
    /// # Errors
    /// As [`Bucket::get`]; an object that is gone is an error of code `NoSuchKey`.
    pub async fn get_if_changed(&self, key: &str, etag: &str) -> Result<Option<Object>, Failure> {
        let doing = self.doing("GetObject", key);
        match self.client.get_object().bucket(&self.name).key(key).if_none_match(etag).send().await {
            Ok(answer) => read(&doing, answer).await.map(Some),
            Err(error) if error.raw_response().is_some_and(|raw| raw.status().as_u16() == 304) => Ok(None),
            Err(error) => Err(sort(doing, error)),
        }
    }

    /// Writes an object that must not be there yet.
    ///
    /// # Errors
    /// As [`Failure`] sorts them. A race that S3 cannot settle (409) is [`Failure::Retry`].
    pub async fn put_new(&self, key: &str, bytes: Vec<u8>) -> Result<Put, Failure> {
        let request = self.client.put_object().bucket(&self.name).key(key).if_none_match("*");
        self.put(key, request, bytes).await
    }

    /// Writes an object that must still be the one with `etag`.
    ///
    /// # Errors
    /// As [`Bucket::put_new`]; an object that is gone counts as [`Put::Lost`].
    pub async fn put_over(&self, key: &str, bytes: Vec<u8>, etag: &str) -> Result<Put, Failure> {
        let request = self.client.put_object().bucket(&self.name).key(key).if_match(etag);
        self.put(key, request, bytes).await
    }

    async fn put(&self, key: &str, request: PutObjectFluentBuilder, bytes: Vec<u8>) -> Result<Put, Failure> {
        let doing = self.doing("PutObject", key);
        match request.content_type("application/json").body(ByteStream::from(bytes)).send().await {
            Ok(answer) => Ok(Put::Written { etag: answer.e_tag.ok_or_else(|| lacking(&doing, "ETag"))? }),
            Err(error) if error.raw_response().is_some_and(|raw| matches!(raw.status().as_u16(), 404 | 412)) => {
                match sort(doing, error) {
                    failure if failure.code() == Some("NoSuchBucket") => Err(failure),
                    _ => Ok(Put::Lost),
                }
            }
            Err(error) => Err(sort(doing, error)),
        }
    }

    pub(crate) fn doing(&self, action: &str, key: &str) -> String {
        format!("s3:{action} on {}/{key}", self.name)
    }
}

pub(crate) async fn read(doing: &str, answer: GetObjectOutput) -> Result<Object, Failure> {
    let etag = answer.e_tag.ok_or_else(|| lacking(doing, "ETag"))?;
    let written = timestamp(answer.last_modified);
    let writer = answer.metadata.and_then(|mut metadata| metadata.remove(WRITER));
    let body = answer.body.collect().await;
    let body = body.map_err(|error| Failure::retry(doing, format!("the body was cut off: {error}")))?;
    Ok(Object { bytes: body.to_vec(), etag, version: answer.version_id, written, writer })
}
