//! Listings: keys and versions, grouped by a delimiter, in pages.

use std::collections::BTreeMap;
use std::ops::Bound;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Reply;
use super::buckets::{iso, owner};
use super::error::{Outcome, Refused};
use super::route::Request;
use super::store::{Store, Version};
use super::xml::element;
use crate::paging::{BadToken, Listing};
use crate::world::World;

/// The largest page, and the page where none is asked for, as on AWS.
const PAGE: usize = 1000;

/// What `encoding-type=url` leaves as it is.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/');

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
enum After {
    /// Behind this key.
    Key(String),
    /// Behind this version of the key.
    Version(String, String),
    /// Behind all keys that begin so.
    Group(String),
}

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
    /// The current object of each key.
    Objects,
    /// Every version and delete marker.
    Versions,
}

/// One page.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    entries: Vec<Entry>,
    groups: Vec<String>,
    /// Where the next page begins, if there is one.
    next: Option<After>,
}

/// One version on a page.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    key: String,
    version: Version,
    is_latest: bool,
}

fn page(
    keys: &BTreeMap<String, Vec<Version>>,
    what: Listed,
    (prefix, delimiter): (&str, &str),
    after: Option<&After>,
    limit: usize,
) -> Page {
    let mut page = Page::default();
    let mut last = None;
    let from = match after {
        Some(After::Key(key) | After::Version(key, _) | After::Group(key)) if key.as_str() > prefix => key.as_str(),
        _ => prefix,
    };
    'keys: for (key, versions) in keys.range::<str, _>((Bound::Included(from), Bound::Unbounded)) {
        let Some(rest) = key.strip_prefix(prefix) else { break };
        let mut skipped = 0;
        match after {
            Some(After::Key(marker)) if key <= marker => continue,
            Some(After::Group(group)) if key.starts_with(group.as_str()) => continue,
            Some(After::Version(marker, id)) if key == marker => {
                // A version that was deleted since then was the last of its page: what is left comes after it.
                skipped = versions.iter().position(|version| version.id == *id).map_or(0, |at| at + 1);
            }
            _ => {}
        }
        let wanted: Vec<(usize, &Version)> = match what {
            Listed::Objects => {
                versions.first().filter(|one| one.object.is_some()).map(|one| (0, one)).into_iter().collect()
            }
            Listed::Versions => versions.iter().enumerate().skip(skipped).collect(),
        };
        if wanted.is_empty() {
            continue;
        }
        let group = if delimiter.is_empty() {
            None
        } else {
            rest.split_once(delimiter).map(|(start, _)| format!("{prefix}{start}{delimiter}"))
        };
        if let Some(group) = group {
            if page.groups.last() == Some(&group) {
                continue;
            }
            if page.entries.len() + page.groups.len() == limit {
                page.next = last;
                break;
            }
            last = Some(After::Group(group.clone()));
            page.groups.push(group);
            continue;
        }
        for (at, version) in wanted {
            if page.entries.len() + page.groups.len() == limit {
                page.next = last;
                break 'keys;
            }
            last = Some(match what {
                Listed::Objects => After::Key(key.clone()),
                Listed::Versions => After::Version(key.clone(), version.id.clone()),
            });
            page.entries.push(Entry { key: key.clone(), version: version.clone(), is_latest: at == 0 });
        }
    }
    page
}

pub(super) fn objects(store: &Store, world: &World, request: &Request) -> Outcome<Reply> {
    let bucket = store.bucket(&request.bucket)?;
    let limit = page_size(request, "max-keys", PAGE)?;
    let encode = encoder(request)?;
    let prefix = request.query("prefix").unwrap_or_default();
    let delimiter = request.query("delimiter").unwrap_or_default();
    let listing = world.listing("s3:ListObjectsV2", &[&bucket.name, prefix, delimiter]);
    let start_after = request.query("start-after").filter(|start| !start.is_empty());
    let token = request.query("continuation-token");
    let after = match token {
        Some(token) => {
            let place = place(&listing, token)?;
            Some(match place.strip_prefix("g ") {
                Some(group) => After::Group(group.to_owned()),
                None => After::Key(place.strip_prefix("k ").unwrap_or(&place).to_owned()),
            })
        }
        None => start_after.map(|start| After::Key(start.to_owned())),
    };
    let size = world.page_size(limit);
    let page = bucket.read(|keys| page(keys, Listed::Objects, (prefix, delimiter), after.as_ref(), size));

    let mut content = element("Name", &bucket.name) + &element("Prefix", &encode(prefix));
    if !delimiter.is_empty() {
        content.push_str(&element("Delimiter", &encode(delimiter)));
    }
    content.push_str(&element("MaxKeys", &limit.to_string()));
    content.push_str(&encoding(request));
    content.push_str(&element("KeyCount", &(page.entries.len() + page.groups.len()).to_string()));
    content.push_str(&element("IsTruncated", if page.next.is_some() { "true" } else { "false" }));
    if let Some(token) = token {
        content.push_str(&element("ContinuationToken", token));
    }
    if let Some(start) = start_after {
        content.push_str(&element("StartAfter", &encode(start)));
    }
    if let Some(next) = &page.next {
        let place = match next {
            After::Group(group) => format!("g {group}"),
            After::Key(key) | After::Version(key, _) => format!("k {key}"),
        };
        content.push_str(&element("NextContinuationToken", &listing.token(&place)));
    }
    let owner = if request.query("fetch-owner") == Some("true") { owner(world) } else { String::new() };
    for entry in &page.entries {
        content.push_str(&format!("<Contents>{}{owner}</Contents>", describe(entry, &encode)));
    }
    content.push_str(&groups(&page, &encode));
    Ok(Reply::xml("ListBucketResult", &content))
}

/// `ListObjects`, which older clients still send: a marker is a key, and the last key of a page is the next marker.
pub(super) fn objects_before_v2(store: &Store, world: &World, request: &Request) -> Outcome<Reply> {
    let bucket = store.bucket(&request.bucket)?;
    let limit = page_size(request, "max-keys", PAGE)?;
    let encode = encoder(request)?;
    let prefix = request.query("prefix").unwrap_or_default();
    let delimiter = request.query("delimiter").unwrap_or_default();
    let marker = request.query("marker").unwrap_or_default();
    let after = match marker {
        "" => None,
        group if !delimiter.is_empty() && group.ends_with(delimiter) => Some(After::Group(group.to_owned())),
        key => Some(After::Key(key.to_owned())),
    };
    let size = world.page_size(limit);
    let page = bucket.read(|keys| page(keys, Listed::Objects, (prefix, delimiter), after.as_ref(), size));
    let mut content = element("Name", &bucket.name) + &element("Prefix", &encode(prefix));
    content.push_str(&element("Marker", &encode(marker)));
    if !delimiter.is_empty() {
        content.push_str(&element("Delimiter", &encode(delimiter)));
    }
    content.push_str(&element("MaxKeys", &limit.to_string()));
    content.push_str(&encoding(request));
    content.push_str(&element("IsTruncated", if page.next.is_some() { "true" } else { "false" }));
    if let (Some(After::Group(next) | After::Key(next) | After::Version(next, _)), false) =
        (&page.next, delimiter.is_empty())
    {
        // Without a delimiter a client takes the last key of the page, as on AWS.
        content.push_str(&element("NextMarker", &encode(next)));
    }
    for entry in &page.entries {
        content.push_str(&format!("<Contents>{}{}</Contents>", describe(entry, &encode), owner(world)));
    }
    content.push_str(&groups(&page, &encode));
    Ok(Reply::xml("ListBucketResult", &content))
}

pub(super) fn versions(store: &Store, world: &World, request: &Request) -> Outcome<Reply> {
    let bucket = store.bucket(&request.bucket)?;
    let limit = page_size(request, "max-keys", PAGE)?;
    let encode = encoder(request)?;
    let prefix = request.query("prefix").unwrap_or_default();
    let delimiter = request.query("delimiter").unwrap_or_default();
    let key_marker = request.query("key-marker").filter(|marker| !marker.is_empty());
    let version_marker = request.query("version-id-marker").filter(|marker| !marker.is_empty());
    let after = match (key_marker, version_marker) {
        (None, Some(marker)) => {
            let message = "A version-id marker cannot be specified without a key marker.";
            return Err(Refused::invalid_argument("version-id-marker", marker, message));
        }
        (None, None) => None,
        (Some(key), Some(version)) => Some(After::Version(key.to_owned(), version.to_owned())),
        (Some(key), None) if !delimiter.is_empty() && key.ends_with(delimiter) => Some(After::Group(key.to_owned())),
        (Some(key), None) => Some(After::Key(key.to_owned())),
    };
    let size = world.page_size(limit);
    let page = bucket.read(|keys| page(keys, Listed::Versions, (prefix, delimiter), after.as_ref(), size));

    let mut content = element("Name", &bucket.name) + &element("Prefix", &encode(prefix));
    if !delimiter.is_empty() {
        content.push_str(&element("Delimiter", &encode(delimiter)));
    }
    content.push_str(&element("KeyMarker", &encode(key_marker.unwrap_or_default())));
    content.push_str(&element("VersionIdMarker", version_marker.unwrap_or_default()));
    content.push_str(&element("MaxKeys", &limit.to_string()));
    content.push_str(&encoding(request));
    content.push_str(&element("IsTruncated", if page.next.is_some() { "true" } else { "false" }));
    match &page.next {
        Some(After::Version(key, version)) => {
            content.push_str(&element("NextKeyMarker", &encode(key)));
            content.push_str(&element("NextVersionIdMarker", version));
        }
        Some(After::Key(key) | After::Group(key)) => content.push_str(&element("NextKeyMarker", &encode(key))),
        None => {}
    }
    for entry in &page.entries {
        let kind = if entry.version.object.is_some() { "Version" } else { "DeleteMarker" };
        content.push_str(&format!(
            "<{kind}>{}{}{}{}</{kind}>",
            describe(entry, &encode),
            element("VersionId", &entry.version.id),
            element("IsLatest", if entry.is_latest { "true" } else { "false" }),
            owner(world)
        ));
    }
    content.push_str(&groups(&page, &encode));
    Ok(Reply::xml("ListVersionsResult", &content))
}

fn describe(entry: &Entry, encode: &impl Fn(&str) -> String) -> String {
    let mut content = element("Key", &encode(&entry.key)) + &element("LastModified", &iso(entry.version.modified));
    if let Some(object) = &entry.version.object {
        content.push_str(&element("ETag", &format!("\"{}\"", object.etag)));
        let algorithm = object.checksum.0.strip_prefix("x-amz-checksum-").unwrap_or_default().to_ascii_uppercase();
        content.push_str(&element("ChecksumAlgorithm", &algorithm));
        content.push_str(&element("ChecksumType", "FULL_OBJECT"));
        content.push_str(&element("Size", &object.size.to_string()));
        content.push_str(&element("StorageClass", "STANDARD"));
    }
    content
}

fn groups(page: &Page, encode: &impl Fn(&str) -> String) -> String {
    page.groups
        .iter()
        .map(|group| format!("<CommonPrefixes>{}</CommonPrefixes>", element("Prefix", &encode(group))))
        .collect()
}

fn encoding(request: &Request) -> String {
    request.query("encoding-type").map(|kind| element("EncodingType", kind)).unwrap_or_default()
}

fn encoder(request: &Request) -> Outcome<impl Fn(&str) -> String + use<>> {
    let encoded = match request.query("encoding-type") {
        None => false,
        Some("url") => true,
        Some(other) => {
            return Err(Refused::invalid_argument(
                "encoding-type",
                other,
                "Invalid Encoding Method specified in Request",
            ));
        }
    };
    Ok(move |text: &str| if encoded { utf8_percent_encode(text, KEPT).to_string() } else { text.to_owned() })
}

/// The size of a page: what is asked for, up to `most`.
pub(super) fn page_size(request: &Request, field: &str, most: usize) -> Outcome<usize> {
    let Some(asked) = request.query(field) else { return Ok(most) };
    match asked.parse::<i32>().ok().and_then(|asked| usize::try_from(asked).ok()) {
        Some(asked) => Ok(asked.min(most)),
        None => {
            let message = format!("Argument {field} must be an integer between 0 and 2147483647");
            Err(Refused::invalid_argument(field, asked, message))
        }
    }
}

/// What a token stands for.
///
/// # Errors
/// `InvalidArgument` for one that was not given out for this listing.
fn place(listing: &Listing<'_>, token: &str) -> Outcome<String> {
    listing.place(token).map_err(|bad| no_such_page(token, bad))
}

/// What the listings of this service answer to a token that is none of theirs.
pub(super) fn no_such_page(token: &str, _: BadToken) -> Refused {
    Refused::invalid_argument("continuation-token", token, "The continuation token provided is incorrect")
}
