//! What is written of buckets and objects beside the objects' bytes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::{Setting, Versioning};

/// What is kept of an object beside its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::s3) struct ObjectInfo {
    pub(in crate::s3) size: u64,
    /// The MD5 in hex, without quotes.
    pub(in crate::s3) etag: String,
    /// Headers that go back as they came: `content-type`, `x-amz-meta-*`, encryption.
    pub(in crate::s3) headers: BTreeMap<String, String>,
    /// The header and the value of the checksum that is kept.
    pub(in crate::s3) checksum: (String, String),
}

/// One version of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::s3) struct Version {
    /// Grows within a bucket: the order of versions.
    pub(super) sequence: u64,
    /// What `x-amz-version-id` says; [`super::NULL`] outside versioning.
    pub(in crate::s3) id: String,
    pub(in crate::s3) modified: Timestamp,
    /// The object; a delete marker has none.
    pub(in crate::s3) object: Option<ObjectInfo>,
}

/// A version's JSON file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) key: String,
    #[serde(flatten)]
    pub(super) version: Version,
}

/// `bucket.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct About {
    pub(super) created: Timestamp,
    /// Where it was made; one from before there were several is the home region's.
    #[serde(default)]
    pub(super) region: Option<String>,
    /// The account that it belongs to; one from before there were several is the stack's.
    #[serde(default)]
    pub(super) owner: Option<String>,
    pub(super) versioning: Versioning,
    pub(super) settings: BTreeMap<Setting, String>,
}
