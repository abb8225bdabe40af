//! Uploads in parts: what clients do with objects of more than a few megabytes.
//!
//! An upload is a folder `uploads/ID/` beside the bucket's objects, with `about.json` and one file a part, `N.part`; it is
//! gone when it is completed or aborted. A part's file begins with one line of JSON that says what follows, so that the two
//! can never be of different uploads of the part. Parts are joined in memory.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Reply;
use super::buckets::{iso, owner};
use super::checksum::{Algorithm, md5_bytes, md5_hex};
use super::conditions::{self, WriteCondition};
use super::error::{Outcome, Refused};
use super::listing::page_size;
use super::objects::{kept_headers, with_encryption};
use super::payload;
use super::route::Request;
use super::store::{Bucket, ObjectInfo, Store, json};
use super::xml::{Node, element};
use crate::world::World;

/// Parts are numbered from 1 to this.
const MOST_PARTS: usize = 10_000;

/// The least bytes of a part that is not the last.
const LEAST_PART: u64 = 5 * 1024 * 1024;

/// The largest page of parts and of uploads.
const PAGE: usize = 1000;

/// `about.json`
#[derive(Debug, Serialize, Deserialize)]
struct Upload {
    key: String,
    headers: BTreeMap<String, String>,
    initiated: Timestamp,
}

/// The first line of `N.part`.
#[derive(Debug, Serialize, Deserialize)]
struct Part {
    size: u64,
    etag: String,
    modified: Timestamp,
}

impl Part {
    /// The whole file.
    fn write(&self, bytes: &[u8]) -> Outcome<Vec<u8>> {
        let head = serde_json::to_string(self);
        let head = head.map_err(|error| Refused::new(500, "InternalError", error.to_string()))?;
        Ok([head.as_bytes(), b"\n", bytes].concat())
    }

    /// Takes the first line of a file; the part's bytes are left. A file that has none is no part.
    fn read(file: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut head = Vec::new();
        file.read_until(b'\n', &mut head)?;
        Ok(serde_json::from_slice(&head).ok())
    }
}

pub(super) fn create(store: &Store, world: &World, request: &Request) -> Outcome<Reply> {
    let bucket = store.bucket(&request.bucket)?;
    let headers = kept_headers(request)?;
    let id = world.hex(64);
    let folder = bucket.uploads().join(&id);
    fs::create_dir_all(&folder).map_err(|error| Refused::internal("make the folder", &folder, &error))?;
    let upload = Upload { key: request.key.clone(), headers, initiated: world.now() };
    bucket.swap_in(&json(&upload)?, &folder.join("about.json"))?;
    let content = element("Bucket", &bucket.name) + &element("Key", &request.key) + &element("UploadId", &id);
    let reply = Reply::xml("InitiateMultipartUploadResult", &content);
    let reply = reply.header_if("x-amz-checksum-algorithm", request.header("x-amz-checksum-algorithm"));
    Ok(reply.header(
        "x-amz-server-side-encryption",
        upload.headers.get("x-amz-server-side-encryption").map_or("AES256", String::as_str),
    ))
}

pub(super) fn upload_part(store: &Store, world: &World, request: &Request) -> Outcome<Reply> {
    let bucket = store.bucket(&request.bucket)?;
    let (folder, _) = find(&bucket, request)?;
    let number = request.query("partNumber").unwrap_or_default();
    let Some(number) = number.parse::<usize>().ok().filter(|number| (1..=MOST_PARTS).contains(number)) else {
        let message = format!("Part number must be an integer between 1 and {MOST_PARTS}, inclusive");
        return Err(Refused::invalid_argument("partNumber", number, message));
    };
    let payload = payload::take(request)?;
    let part = Part {
        size: u64::try_from(payload.bytes.len()).unwrap_or(u64::MAX),
        etag: md5_hex(&payload.bytes),
        modified: world.now(),
    };
    bucket.swap_in(&part.write(&payload.bytes)?, &part_file(&folder, number))?;
    let (algorithm, checksum) = &payload.checksum;
    Ok(Reply::new(200).header("etag", format!("\"{}\"", part.etag)).header(algorithm.header(), checksum))
}

pub(super) fn complete(store: &Store, request: &Request) -> Outcome<Reply> {
    let bucket = store.bucket(&request.bucket)?;
    let (folder, upload) = find(&bucket, request)?;
    let condition = WriteCondition::of_put(&request.headers)?;
    let node = Node::parse(&payload::take(request)?.bytes, "CompleteMultipartUpload")?;
    let mut named = Vec::new();
    for part in node.children.iter().filter(|child| child.name == "Part") {
        let number = part.get("PartNumber").and_then(|number| number.parse::<usize>().ok());
        let etag = part.get("ETag").map(conditions::bare);
        let (Some(number), Some(etag)) = (number, etag) else {
            return Err(Refused::malformed_xml("a Part has no PartNumber or no ETag"));
        };
        named.push((number, etag));
    }
    if named.is_empty() {
        return Err(Refused::malformed_xml("it names no Part"));
    }
    if !named.is_sorted_by(|(one, _), (other, _)| one < other) {
        let message = "The list of parts was not in ascending order. Parts must be ordered by part number.";
        return Err(Refused::new(400, "InvalidPartOrder", message));
    }
    let (mut bytes, mut digests) = (Vec::new(), Vec::new());
    let last = named.len() - 1;
    for (place, (number, etag)) in named.iter().enumerate() {
        let read = read_part(&part_file(&folder, *number))?;
        let (part, content) = read.filter(|(part, _)| part.etag == *etag).ok_or_else(|| {
            let message = "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.";
            Refused::new(400, "InvalidPart", message).with("PartNumber", number.to_string()).with("ETag", *etag)
        })?;
        if place != last && part.size < LEAST_PART {
            let message = "Your proposed upload is smaller than the minimum allowed size";
            return Err(Refused::new(400, "EntityTooSmall", message)
                .with("ProposedSize", part.size.to_string())
                .with("MinSizeAllowed", LEAST_PART.to_string())
                .with("PartNumber", number.to_string()));
        }
        digests.extend(md5_bytes(&content));
        bytes.extend(content);
    }
    // AWS names an object of parts by the digest of their digests and their number.
    let etag = format!("{}-{}", md5_hex(&digests), named.len());
    let checksum = (Algorithm::Crc64Nvme.header().to_owned(), Algorithm::Crc64Nvme.of(&bytes));
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let object = ObjectInfo { size, etag: etag.clone(), headers: upload.headers, checksum };
    let version = bucket.put(&request.key, &bytes, object.clone(), &condition)?;
    remove(&folder)?;
    let location = format!("/{}/{}", bucket.name, request.key);
    let content = [
        element("Location", &location),
        element("Bucket", &bucket.name),
        element("Key", &request.key),
        element("ETag", &format!("\"{etag}\"")),
        element("ChecksumCRC64NVME", &object.checksum.1),
        element("ChecksumType", "FULL_OBJECT"),
    ];
    let reply = Reply::xml("CompleteMultipartUploadResult", &content.concat());
    Ok(with_encryption(reply.header_if("x-amz-version-id", bucket.shown(&version.id)), &object))
}

pub(super) fn abort(store: &Store, request: &Request) -> Outcome<Reply> {
    let bucket = store.bucket(&request.bucket)?;
    let (folder, _) = find(&bucket, request)?;
    remove(&folder)?;
    Ok(Reply::new(204))
}

pub(super) fn list_parts(store: &Store, world: &World, request: &Request) -> Outcome<Reply> {
    let bucket = store.bucket(&request.bucket)?;
    let (folder, upload) = find(&bucket, request)?;
    let limit = page_size(request, "max-parts", PAGE)?;
    let marker = request.query("part-number-marker").unwrap_or("0");
    let after: usize = marker.parse().map_err(|_| {
        Refused::invalid_argument("part-number-marker", marker, "Argument part-number-marker must be an integer")
    })?;
    let there = parts(&folder)?;
    let page: Vec<(&usize, &Part)> = there.range(after + 1..).take(world.page_size(limit)).collect();
    let more = there.range(after + 1..).count() > page.len();
    let mut content = element("Bucket", &bucket.name) + &element("Key", &upload.key);
    content.push_str(&element("UploadId", request.query("uploadId").unwrap_or_default()));
    content.push_str(&element("PartNumberMarker", marker));
    if let (true, Some((number, _))) = (more, page.last()) {
        content.push_str(&element("NextPartNumberMarker", &number.to_string()));
    }
    content.push_str(&element("MaxParts", &limit.to_string()));
    content.push_str(&element("IsTruncated", if more { "true" } else { "false" }));
    for (number, part) in page {
        content.push_str(&format!(
            "<Part>{}{}{}{}</Part>",
            element("PartNumber", &number.to_string()),
            element("LastModified", &iso(part.modified)),
            element("ETag", &format!("\"{}\"", part.etag)),
            element("Size", &part.size.to_string())
        ));
    }
    content.push_str(&owner(world));
    content.push_str(&element("StorageClass", "STANDARD"));
    Ok(Reply::xml("ListPartsResult", &content))
}

pub(super) fn list_uploads(store: &Store, world: &World, request: &Request) -> Outcome<Reply> {
    let bucket = store.bucket(&request.bucket)?;
    let limit = page_size(request, "max-uploads", PAGE)?;
    let prefix = request.query("prefix").unwrap_or_default();
    let key_marker = request.query("key-marker").unwrap_or_default();
    let id_marker = request.query("upload-id-marker").unwrap_or_default();
    let mut all = uploads(&bucket)?;
    all.retain(|(id, upload)| {
        let behind = if id_marker.is_empty() {
            upload.key.as_str() > key_marker
        } else {
            (upload.key.as_str(), id.as_str()) > (key_marker, id_marker)
        };
        upload.key.starts_with(prefix) && (key_marker.is_empty() || behind)
    });
    let size = world.page_size(limit);
    let more = all.len() > size;
    all.truncate(size);
    let mut content = element("Bucket", &bucket.name) + &element("KeyMarker", key_marker);
    content.push_str(&element("UploadIdMarker", id_marker));
    if let (true, Some((id, upload))) = (more, all.last()) {
        content.push_str(&element("NextKeyMarker", &upload.key));
        content.push_str(&element("NextUploadIdMarker", id));
    }
    content.push_str(&element("Prefix", prefix));
    content.push_str(&element("MaxUploads", &limit.to_string()));
    content.push_str(&element("IsTruncated", if more { "true" } else { "false" }));
    for (id, upload) in &all {
        content.push_str(&format!(
            "<Upload>{}{}{}{}{}</Upload>",
            element("Key", &upload.key),
            element("UploadId", id),
            owner(world),
            element("StorageClass", "STANDARD"),
            element("Initiated", &iso(upload.initiated))
        ));
    }
    Ok(Reply::xml("ListMultipartUploadsResult", &content))
}

/// The folder and the head of the upload that a request names.
fn find(bucket: &Bucket, request: &Request) -> Outcome<(PathBuf, Upload)> {
    let id = request.query("uploadId").unwrap_or_default();
    let missing = || {
        let message = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.";
        Refused::new(404, "NoSuchUpload", message).with("UploadId", id)
    };
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(missing());
    }
    let folder = bucket.uploads().join(id);
    let bytes = fs::read(folder.join("about.json")).map_err(|_| missing())?;
    let upload: Upload = serde_json::from_slice(&bytes).map_err(|_| missing())?;
    if upload.key == request.key { Ok((folder, upload)) } else { Err(missing()) }
}

/// Every upload that is under way, by key and id.
fn uploads(bucket: &Bucket) -> Outcome<Vec<(String, Upload)>> {
    let folder = bucket.uploads();
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Refused::internal("read", &folder, &error)),
    };
    let mut found: Vec<(String, Upload)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let bytes = fs::read(entry.path().join("about.json")).ok()?;
            Some((entry.file_name().into_string().ok()?, serde_json::from_slice(&bytes).ok()?))
        })
        .collect();
    found.sort_by(|(id, one), (other_id, other)| (&one.key, id).cmp(&(&other.key, other_id)));
    Ok(found)
}

fn part_file(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("{number}.part"))
}

fn open_part(path: &Path) -> Outcome<Option<(Part, BufReader<File>)>> {
    let broken = |error: io::Error| Refused::internal("read", path, &error);
    let mut file = match File::open(path) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(broken(error)),
    };
    Ok(Part::read(&mut file).map_err(broken)?.map(|part| (part, file)))
}

/// A part with its bytes, both of one upload of it; none where none was uploaded.
fn read_part(path: &Path) -> Outcome<Option<(Part, Vec<u8>)>> {
    let Some((part, mut file)) = open_part(path)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| Refused::internal("read", path, &error))?;
    Ok(Some((part, bytes)))
}

/// The parts of an upload by their numbers.
fn parts(folder: &Path) -> Outcome<BTreeMap<usize, Part>> {
    let entries = fs::read_dir(folder).map_err(|error| Refused::internal("read", folder, &error))?;
    let mut found = BTreeMap::new();
    for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
        let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if let (Some(number), Some("part")) = (number, path.extension().and_then(|extension| extension.to_str()))
            && let Some((part, _)) = open_part(&path)?
        {
            found.insert(number, part);
        }
    }
    Ok(found)
}

/// Removes an upload; two who finish it at once do it once.
fn remove(folder: &Path) -> Outcome<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Refused::internal("remove", folder, &error)),
        _ => Ok(()),
    }
}
