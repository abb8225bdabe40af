//! The operations on objects.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::buckets::iso;
use super::checksum::{Algorithm, md5_hex};
use super::conditions::{self, Read as Verdict, WriteCondition};
use super::error::{Outcome, Refused};
use super::payload::{self, Payload};
use super::permission::Asking;
use super::route::{Request, check_key, split};
use super::store::{Bucket, ObjectInfo, Store, Version};
use super::xml::{Node, element};
use super::{Reply, checksum};

/// The most objects of one `DeleteObjects`.
const MOST_DELETIONS: usize = 1000;

/// The most bytes of an object's own metadata, names and values together.
const MOST_METADATA: usize = 2048;

/// Headers that are kept with an object and given back.
const KEPT_HEADERS: &[&str] =
    &["cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires"];

/// Headers that tell how an object is encrypted.
const ENCRYPTION: &str = "x-amz-server-side-encryption";
const ENCRYPTION_KEY: &str = "x-amz-server-side-encryption-aws-kms-key-id";
const ENCRYPTION_BUCKET_KEY: &str = "x-amz-server-side-encryption-bucket-key-enabled";

impl ObjectInfo {
    /// An object that was written without any header.
    pub(super) fn plain(bytes: &[u8]) -> Self {
        let checksum = (Algorithm::Crc64Nvme, Algorithm::Crc64Nvme.of(bytes));
        let mut headers = BTreeMap::new();
        headers.insert("content-type".to_owned(), "binary/octet-stream".to_owned());
        headers.insert(ENCRYPTION.to_owned(), "AES256".to_owned());
        Self::new(bytes, headers, &checksum)
    }

    fn new(bytes: &[u8], headers: BTreeMap<String, String>, checksum: &(Algorithm, String)) -> Self {
        Self {
            size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            etag: checksum::md5_hex(bytes),
            headers,
            checksum: (checksum.0.header().to_owned(), checksum.1.clone()),
        }
    }
}

pub(super) fn put(store: &Store, request: &Request) -> Outcome<Reply> {
    let bucket = store.bucket(&request.bucket)?;
    let condition = WriteCondition::of_put(&request.headers)?;
    let Payload { bytes, checksum, .. } = payload::take(request)?;
    let headers = kept_headers(request)?;
    let object = ObjectInfo::new(&bytes, headers, &checksum);
    let version = bucket.put(&request.key, &bytes, object.clone(), &condition)?;
    let reply = Reply::new(200)
        .header("etag", format!("\"{}\"", object.etag))
        .header(&object.checksum.0, &object.checksum.1)
        .header("x-amz-checksum-type", "FULL_OBJECT")
        .header_if("x-amz-version-id", bucket.shown(&version.id));
    Ok(with_encryption(reply, &object))
}

pub(super) fn copy(store: &Store, request: &Request) -> Outcome<Reply> {
    let target = store.bucket(&request.bucket)?;
    let condition = WriteCondition::of_put(&request.headers)?;
    let source = request.header("x-amz-copy-source").unwrap_or_default();
    let (path, version) = match source.split_once("?versionId=") {
        Some((path, version)) => (path, Some(version)),
        None => (source, None),
    };
    let (from, key) = split(path)?;
    if from.is_empty() || key.is_empty() {
        return Err(Refused::invalid_argument("x-amz-copy-source", source, "Invalid copy source object key"));
    }
    check_key(&key)?;
    let replace = match request.header("x-amz-metadata-directive") {
        None | Some("COPY") => false,
        Some("REPLACE") => true,
        Some(other) => {
            return Err(Refused::invalid_argument("x-amz-metadata-directive", other, "Unknown metadata directive."));
        }
    };
    if from == request.bucket && key == request.key && version.is_none() && !replace {
        return Err(Refused::new(
            400,
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
        ));
    }
    let origin = store.bucket(&from)?;
    let (found, mut file) = origin.find(&key, version)?;
    let info = found.object.clone().unwrap_or_default();
    let bytes = read_part(&mut file, 0, info.size)?;
    let mut headers = if replace { content_headers(request)? } else { info.headers.clone() };
    headers.retain(|name, _| !name.starts_with(ENCRYPTION));
    headers.extend(encryption_headers(request)?);
    let object = ObjectInfo { headers, etag: md5_hex(&bytes), ..info };
    let version = target.put(&request.key, &bytes, object.clone(), &condition)?;
    let content = element("ETag", &format!("\"{}\"", object.etag)) + &element("LastModified", &iso(version.modified));
    let reply = Reply::xml("CopyObjectResult", &content)
        .header_if("x-amz-copy-source-version-id", origin.shown(&found.id))
        .header_if("x-amz-version-id", target.shown(&version.id));
    Ok(with_encryption(reply, &object))
}

/// `GetObject` and `HeadObject`: the same but for the body, which [`super::answer`] takes off.
pub(super) fn get(store: &Store, request: &Request) -> Outcome<Reply> {
    let bucket = store.bucket(&request.bucket)?;
    let (version, mut file) = bucket.find(&request.key, version_of(request)?)?;
    let object = version.object.clone().unwrap_or_default();
    let verdict = conditions::check_read(&request.headers, &object.etag, version.modified)?;
    if verdict == Verdict::NotModified {
        return Ok(describe(Reply::new(304), &bucket, &version, &object));
    }
    let range = conditions::parse_range(&request.headers, object.size)?;
    let (status, first, length) = match range {
        Some((first, last)) => (206, first, last - first + 1),
        None => (200, 0, object.size),
    };
    let mut reply = describe(Reply::new(status), &bucket, &version, &object);
    for (name, value) in &object.headers {
        let asked = KEPT_HEADERS.contains(&name.as_str()).then(|| request.query(&format!("response-{name}"))).flatten();
        reply = reply.header(name, asked.unwrap_or(value));
    }
    for name in KEPT_HEADERS.iter().filter(|name| !object.headers.contains_key(**name)) {
        reply = reply.header_if(name, request.query(&format!("response-{name}")));
    }
    if let Some((first, last)) = range {
        reply = reply.header("content-range", format!("bytes {first}-{last}/{}", object.size));
    } else if request.header("x-amz-checksum-mode").is_some_and(|mode| mode.eq_ignore_ascii_case("enabled")) {
        reply = reply.header(&object.checksum.0, &object.checksum.1).header("x-amz-checksum-type", "FULL_OBJECT");
    }
    reply = reply.header("content-length", length.to_string());
    if request.method != hyper::Method::HEAD {
        reply.body = read_part(&mut file, first, length)?.into();
    }
    Ok(reply)
}

pub(super) fn delete(store: &Store, request: &Request) -> Outcome<Reply> {
    let bucket = store.bucket(&request.bucket)?;
    let condition = WriteCondition::of_delete(&request.headers);
    let deleted = bucket.delete(&request.key, version_of(request)?, &condition)?;
    let reply = Reply::new(204).header_if("x-amz-version-id", deleted.version);
    Ok(if deleted.marker { reply.header("x-amz-delete-marker", "true") } else { reply })
}

pub(super) fn delete_many(asking: Asking<'_>, request: &Request) -> Outcome<Reply> {
    let bucket = asking.store.bucket(&request.bucket)?;
    let payload = payload::take(request)?;
    if !payload.vouched {
        return Err(Refused::new(400, "InvalidRequest", "Missing required header for this request: Content-MD5"));
    }
    let node = Node::parse(&payload.bytes, "Delete")?;
    let quiet = node.get("Quiet") == Some("true");
    let objects: Vec<&Node> = node.children.iter().filter(|child| child.name == "Object").collect();
    if objects.is_empty() || objects.len() > MOST_DELETIONS {
        return Err(Refused::malformed_xml(&format!(
            "it names {} objects, 1 to {MOST_DELETIONS} may be",
            objects.len()
        )));
    }
    let mut content = String::new();
    for object in objects {
        let key = object.get("Key").filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| Refused::malformed_xml("an Object has no Key"))?;
        if let Some(other) =
            object.children.iter().find(|child| !matches!(child.name.as_str(), "Key" | "VersionId" | "ETag"))
        {
            let message = format!("the local cloud does not offer {} of DeleteObjects", other.name);
            return Err(Refused::new(501, "NotImplemented", message));
        }
        let version = object.get("VersionId").filter(|version| !version.is_empty());
        let condition = match object.get("ETag") {
            None => WriteCondition::Always,
            Some("*") => WriteCondition::Present,
            Some(etag) => WriteCondition::Is(conditions::bare(etag).to_owned()),
        };
        let asked = element("Key", key) + &version.map(|id| element("VersionId", id)).unwrap_or_default();
        let may = check_key(key).and_then(|()| asking.may_delete(&request.bucket, key, version, &condition));
        match may.and_then(|()| bucket.delete(key, version, &condition)) {
            Ok(_) if quiet => {}
            Ok(deleted) => {
                let marker = match (&deleted.version, deleted.marker) {
                    (Some(id), true) => element("DeleteMarker", "true") + &element("DeleteMarkerVersionId", id),
                    _ => String::new(),
                };
                content.push_str(&format!("<Deleted>{asked}{marker}</Deleted>"));
            }
            Err(refused) => content.push_str(&format!(
                "<Error>{asked}{}{}</Error>",
                element("Code", &refused.code),
                element("Message", &refused.message)
            )),
        }
    }
    Ok(Reply::xml("DeleteResult", &content))
}

/// The version that a request names.
fn version_of(request: &Request) -> Outcome<Option<&str>> {
    match request.query("versionId") {
        Some("") => Err(Refused::invalid_argument("versionId", "", "Version id cannot be the empty string")),
        other => Ok(other),
    }
}

fn describe(reply: Reply, bucket: &Bucket, version: &Version, object: &ObjectInfo) -> Reply {
    reply
        .header("etag", format!("\"{}\"", object.etag))
        .header("last-modified", http_date(version.modified))
        .header("accept-ranges", "bytes")
        .header_if("x-amz-version-id", bucket.shown(&version.id))
}

pub(super) fn with_encryption(reply: Reply, object: &ObjectInfo) -> Reply {
    object
        .headers
        .iter()
        .filter(|(name, _)| name.starts_with(ENCRYPTION))
        .fold(reply, |reply, (name, value)| reply.header(name, value))
}

fn http_date(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Everything that a write says of its object.
pub(super) fn kept_headers(request: &Request) -> Outcome<BTreeMap<String, String>> {
    let mut headers = content_headers(request)?;
    headers.extend(encryption_headers(request)?);
    Ok(headers)
}

/// The headers of a write that come back with every read.
fn content_headers(request: &Request) -> Outcome<BTreeMap<String, String>> {
    let mut kept = BTreeMap::new();
    let mut metadata = 0;
    for name in request.headers.keys().map(hyper::header::HeaderName::as_str) {
        let own = name.strip_prefix("x-amz-meta-");
        if own.is_none() && !KEPT_HEADERS.contains(&name) {
            continue;
        }
        let mut values = Vec::new();
        for value in request.headers.get_all(name) {
            values.push(value.to_str().map_err(|_| {
                Refused::invalid_argument(name, "", "the local cloud takes header values of printable ASCII only")
            })?);
        }
        let mut value = values.join(",");
        if name == "content-encoding" {
            let rest: Vec<&str> =
                value.split(',').map(str::trim).filter(|one| !one.is_empty() && *one != "aws-chunked").collect();
            value = rest.join(",");
            if value.is_empty() {
                continue;
            }
        }
        metadata += own.map_or(0, |own| own.len() + value.len());
        kept.insert(name.to_owned(), value);
    }
    if metadata > MOST_METADATA {
        return Err(Refused::new(
            400,
            "MetadataTooLarge",
            "Your metadata headers exceed the maximum allowed metadata size",
        )
        .with("Size", metadata.to_string())
        .with("MaxSizeAllowed", MOST_METADATA.to_string()));
    }
    kept.entry("content-type".to_owned()).or_insert_with(|| "binary/octet-stream".to_owned());
    Ok(kept)
}

/// How the object is said to be encrypted; nothing here is.
fn encryption_headers(request: &Request) -> Outcome<BTreeMap<String, String>> {
    let mut kept = BTreeMap::new();
    let algorithm = request.header(ENCRYPTION).unwrap_or("AES256");
    if !matches!(algorithm, "AES256" | "aws:kms" | "aws:kms:dsse") {
        return Err(Refused::invalid_argument(
            ENCRYPTION,
            algorithm,
            "The encryption method specified is not supported",
        ));
    }
    kept.insert(ENCRYPTION.to_owned(), algorithm.to_owned());
    for name in [ENCRYPTION_KEY, ENCRYPTION_BUCKET_KEY] {
        let Some(value) = request.header(name) else { continue };
        if algorithm == "AES256" {
            return Err(Refused::invalid_argument(
                name,
                value,
                "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
            ));
        }
        kept.insert(name.to_owned(), value.to_owned());
    }
    Ok(kept)
}

fn read_part(file: &mut File, first: u64, length: u64) -> Outcome<Vec<u8>> {
    let mut read = || -> io::Result<Vec<u8>> {
        file.seek(SeekFrom::Start(first))?;
        let mut bytes = Vec::new();
        file.take(length).read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()).unwrap_or_default() < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    };
    read()
        .map_err(|error| Refused::new(500, "InternalError", format!("the local cloud cannot read an object: {error}")))
}
