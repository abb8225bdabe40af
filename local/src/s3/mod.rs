//! S3: versioned buckets with atomic conditional writes.
//!
//! A request goes through [`route`] to one of [`buckets`], [`objects`] and [`listing`], which work on the [`store`].
//! All of them are synchronous: a call runs on a thread where it may wait for the disk.

mod buckets;
mod checksum;
mod conditions;
mod error;
mod listing;
mod multipart;
mod objects;
mod operation;
mod payload;
mod permission;
mod route;
mod store;
mod xml;

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

pub use self::operation::OPERATIONS;
pub(crate) use self::route::{bucket_in_host, operation};

use self::conditions::WriteCondition;
use self::error::{Outcome, Refused};
use self::permission::Asking;
use self::route::Request;
use self::store::{ObjectInfo, Store};
use crate::error::Answer;
use crate::http::{Call, Response, whole};
use crate::world::World;

/// Whether a bucket keeps what is overwritten and deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Versioning {
    /// It never did.
    Off,
    /// It does.
    Enabled,
    /// It did, and keeps what it has.
    Suspended,
}

/// What is configured for a bucket and given back as it came; only the policy is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Setting {
    /// `?policy`, JSON.
    Policy,
    /// `?lifecycle`, XML.
    Lifecycle,
    /// `?publicAccessBlock`, XML.
    PublicAccessBlock,
    /// `?encryption`, XML.
    Encryption,
}

/// An object that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its bytes.
    pub bytes: Bytes,
    /// Its ETag without the quotes.
    pub etag: String,
    /// Its version; `None` in a bucket that never had versioning.
    pub version: Option<String>,
}

/// Buckets below `DIR/buckets`.
#[derive(Debug)]
pub struct S3 {
    store: Arc<Store>,
    world: Arc<World>,
}

impl S3 {
    /// Opens what is there.
    ///
    /// # Errors
    /// A folder that cannot be used, an object that somebody damaged.
    pub fn open(world: &Arc<World>) -> anyhow::Result<Self> {
        Ok(Self { store: Arc::new(Store::open(world)?), world: Arc::clone(world) })
    }

    /// The same buckets, as another region or account sees them.
    pub(crate) fn in_region(&self, world: &Arc<World>) -> Self {
        Self { store: Arc::clone(&self.store), world: Arc::clone(world) }
    }

    /// Makes a bucket, or takes the one that is there, and sets its versioning.
    ///
    /// # Errors
    /// A name that AWS would not take, a disk that fails.
    pub fn create_bucket(&self, name: &str, versioning: Versioning) -> Answer<()> {
        match self.store.create(name, &self.world) {
            Err(refused) if refused.code != "BucketAlreadyOwnedByYou" => return Err(refused.into_service()),
            Ok(()) | Err(_) => {}
        }
        buckets::check_region(&self.store, &self.world, name).map_err(Refused::into_service)?;
        let bucket = self.store.bucket(name).map_err(Refused::into_service)?;
        if bucket.versioning() != versioning {
            bucket.set_versioning(versioning).map_err(Refused::into_service)?;
        }
        Ok(())
    }

    /// Keeps a setting of a bucket, as its `Put` operation would.
    ///
    /// # Errors
    /// No such bucket, a document that is not of that kind.
    pub fn set(&self, bucket: &str, setting: Setting, document: &str) -> Answer<()> {
        buckets::set(&self.store, bucket, setting, document.as_bytes()).map_err(Refused::into_service)
    }

    /// Forgets a setting of a bucket, as its `Delete` operation would.
    ///
    /// # Errors
    /// No such bucket, a disk that fails.
    pub fn forget(&self, bucket: &str, setting: Setting) -> Answer<()> {
        self.store.bucket(bucket).and_then(|bucket| bucket.set(setting, None)).map_err(Refused::into_service)
    }

    /// Deletes a bucket, which must be empty.
    ///
    /// # Errors
    /// No such bucket, `BucketNotEmpty`, a disk that fails.
    pub fn delete_bucket(&self, name: &str) -> Answer<()> {
        self.store.delete(name).map_err(Refused::into_service)
    }

    /// Writes an object, whatever was there.
    ///
    /// # Errors
    /// No such bucket, a key that is too long, a disk that fails.
    pub fn put(&self, bucket: &str, key: &str, bytes: &[u8]) -> Answer<()> {
        route::check_key(key).map_err(Refused::into_service)?;
        let info = ObjectInfo::plain(bytes);
        let bucket = self.store.bucket(bucket).map_err(Refused::into_service)?;
        bucket.put(key, bytes, info, &WriteCondition::Always).map_err(Refused::into_service)?;
        Ok(())
    }

    /// Deletes a key; one that is not there is none already.
    ///
    /// # Errors
    /// No such bucket, a disk that fails.
    pub fn delete(&self, bucket: &str, key: &str) -> Answer<()> {
        let bucket = self.store.bucket(bucket).map_err(Refused::into_service)?;
        bucket.delete(key, None, &WriteCondition::Always).map_err(Refused::into_service)?;
        Ok(())
    }

    /// The current object of a key, if there is one.
    ///
    /// # Errors
    /// No such bucket, a disk that fails.
    pub fn get(&self, bucket: &str, key: &str) -> Answer<Option<Object>> {
        let bucket = self.store.bucket(bucket).map_err(Refused::into_service)?;
        let (version, mut file) = match bucket.find(key, None) {
            Ok(found) => found,
            Err(refused) if refused.code == "NoSuchKey" => return Ok(None),
            Err(refused) => return Err(refused.into_service()),
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(crate::error::ServiceError::internal)?;
        let etag = version.object.map(|object| object.etag).unwrap_or_default();
        Ok(Some(Object { bytes: bytes.into(), etag, version: bucket.shown(&version.id) }))
    }

    /// The keys of a bucket that begin with `prefix`, in order.
    ///
    /// # Errors
    /// No such bucket.
    pub fn list(&self, bucket: &str, prefix: &str) -> Answer<Vec<String>> {
        Ok(self.store.bucket(bucket).map_err(Refused::into_service)?.read(|keys| {
            keys.iter()
                .filter(|(key, versions)| {
                    key.starts_with(prefix) && versions.first().is_some_and(|version| version.object.is_some())
                })
                .map(|(key, _)| key.clone())
                .collect()
        }))
    }

    pub(crate) async fn call(&self, call: Call, id: &str) -> Response {
        let (store, world, request_id) = (Arc::clone(&self.store), Arc::clone(&self.world), id.to_owned());
        let answered = tokio::task::spawn_blocking(move || answer(&store, &world, call, &request_id)).await;
        let reply = answered.unwrap_or_else(|error| {
            tracing::error!(%error, "S3 failed");
            Reply { status: 500, ..Reply::default() }
        });
        reply.into_response(id)
    }

    /// Does nothing: every operation has written what it did.
    ///
    /// # Errors
    /// None.
    pub fn save(&self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// An answer on its way out, before it is HTTP.
#[derive(Debug, Default)]
struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Reply {
    fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    fn xml(root: &str, content: &str) -> Self {
        Self { body: xml::document(root, content).into(), ..Self::new(200) }.header("content-type", "application/xml")
    }

    fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    fn header_if(self, name: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.header(name, value),
            None => self,
        }
    }

    fn refusal(refused: &Refused, resource: &str, id: &str) -> Self {
        let mut content = xml::element("Code", &refused.code) + &xml::element("Message", &refused.message);
        for (name, value) in &refused.details {
            content.push_str(&xml::element(name, value));
        }
        content.push_str(&xml::element("Resource", resource));
        content.push_str(&xml::element("RequestId", id));
        content.push_str(&xml::element("HostId", "signalbox-local"));
        let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>{content}</Error>");
        let mut reply =
            Self { body: body.into(), ..Self::new(refused.status) }.header("content-type", "application/xml");
        for (name, value) in &refused.headers {
            reply = reply.header(name, value.clone());
        }
        reply
    }

    fn into_response(self, id: &str) -> Response {
        let mut response = Response::new(whole(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let ours = [("x-amz-request-id", id), ("x-amz-id-2", "signalbox-local"), ("server", "AmazonS3")];
        let theirs = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in theirs.chain(ours) {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

fn answer(store: &Store, world: &World, call: Call, id: &str) -> Reply {
    let path = call.head.uri.path().to_owned();
    let is_head = call.head.method == hyper::Method::HEAD;
    let asking = Asking { store, world, caller: &call.caller };
    let outcome = Request::parse(call.head, call.body).and_then(|request| run(asking, &request));
    let mut reply = outcome.unwrap_or_else(|refused| {
        tracing::debug!(code = refused.code, message = refused.message, path, "S3 refused");
        Reply::refusal(&refused, &path, id)
    });
    if is_head || reply.status == 304 {
        reply.body = Bytes::new();
    }
    reply
}

fn run(asking: Asking<'_>, request: &Request) -> Outcome<Reply> {
    use operation::Operation as Op;
    let Asking { store, world, .. } = asking;
    let operation = request.operation()?;
    tracing::trace!(operation = operation.name(), bucket = request.bucket, "S3 is called");
    if let Some(owner) = request.header("x-amz-expected-bucket-owner")
        && store.bucket(&request.bucket).map_or_else(|_| world.account.clone(), |bucket| bucket.owner()) != owner
    {
        return Err(Refused::new(403, "AccessDenied", "Access Denied: the bucket belongs to another account"));
    }
    asking.admit(operation, request)?;
    if !matches!(operation, Op::CreateBucket | Op::ListBuckets | Op::GetBucketLocation) {
        buckets::check_region(store, world, &request.bucket)?;
    }
    match operation {
        Op::CreateBucket => buckets::create(store, world, request),
        Op::ListBuckets => buckets::list(store, world, request),
        Op::DeleteBucket => buckets::delete(store, request),
        Op::HeadBucket => buckets::head(world),
        Op::GetBucketLocation => buckets::location(store, request),
        Op::GetBucketVersioning => buckets::get_versioning(store, request),
        Op::PutBucketVersioning => buckets::put_versioning(store, request),
        Op::GetSetting(setting) => buckets::get_setting(store, request, setting),
        Op::PutSetting(setting) => buckets::put_setting(store, request, setting),
        Op::DeleteSetting(setting) => buckets::delete_setting(store, request, setting),
        Op::ListObjects => listing::objects_before_v2(store, world, request),
        Op::ListObjectsV2 => listing::objects(store, world, request),
        Op::ListObjectVersions => listing::versions(store, world, request),
        Op::DeleteObjects => objects::delete_many(asking, request),
        Op::CreateMultipartUpload => multipart::create(store, world, request),
        Op::UploadPart => multipart::upload_part(store, world, request),
        Op::CompleteMultipartUpload => multipart::complete(store, request),
        Op::AbortMultipartUpload => multipart::abort(store, request),
        Op::ListParts => multipart::list_parts(store, world, request),
        Op::ListMultipartUploads => multipart::list_uploads(store, world, request),
        Op::PutObject => objects::put(store, request),
        Op::CopyObject => objects::copy(store, request),
        Op::GetObject | Op::HeadObject => objects::get(store, request).map_err(|refused| match refused.code.as_str() {
            "NoSuchKey" => asking.hide_missing(&request.bucket, refused),
            _ => refused,
        }),
        Op::DeleteObject => objects::delete(store, request),
    }
}

#[cfg(test)]
mod tests;
