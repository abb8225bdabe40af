//! Which operation a request asks for, and whether it asks for anything that is not offered.

use bytes::Bytes;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

use super::Setting;
use super::conditions;
use super::error::{Outcome, Refused};
use super::operation::Operation;
use crate::error::ServiceError;
use crate::git_credential::region_of;

/// The longest key, in bytes of UTF-8.
const LONGEST_KEY: usize = 1024;

/// The query fields that choose an operation; all of them, so that none is mistaken for an ordinary request.
const SUBRESOURCES: &[&str] = &[
    "accelerate",
    "acl",
    "analytics",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "list-type",
    "location",
    "logging",
    "metadataConfiguration",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "partNumber",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "renameObject",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "session",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versioning",
    "versions",
    "website",
];

/// Headers of the `x-amz-` family that any request may carry.
const COMMON_HEADERS: &[&str] = &[
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-expected-bucket-owner",
    "x-amz-request-payer",
    "x-amz-security-token",
    "x-amz-user-agent",
];

/// Headers that go with a body.
const BODY_HEADERS: &[&str] = &[
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
    "x-amz-decoded-content-length",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-trailer",
];

/// Headers that say how an object is to be kept.
const OBJECT_HEADERS: &[&str] = &[
    "x-amz-acl",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-bucket-key-enabled",
    "x-amz-storage-class",
];

/// A request to S3, taken apart.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Empty for the service itself.
    pub(super) bucket: String,
    /// Empty for a bucket.
    pub(super) key: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Request {
    /// Finds bucket and key in the path, or in the host name and the path.
    pub(super) fn parse(head: Parts, body: Bytes) -> Outcome<Self> {
        let host = conditions::text(&head.headers, "host")
            .or_else(|| head.uri.authority().map(|authority| authority.as_str()))
            .unwrap_or_default();
        let path = head.uri.path();
        let (bucket, key) = match bucket_in_host(host) {
            Some(bucket) => (bucket.to_owned(), decode(path.strip_prefix('/').unwrap_or(path))?),
            None => split(path)?,
        };
        check_key(&key)?;
        let query = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        Ok(Self { method: head.method, bucket, key, query, headers: head.headers, body })
    }

    /// A query field's value.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }

    /// A header's value.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        conditions::text(&self.headers, name)
    }

    fn subresource(&self) -> &str {
        self.query.iter().map(|(key, _)| key.as_str()).find(|key| SUBRESOURCES.contains(key)).unwrap_or_default()
    }

    /// The operation, after everything else in the request was found to be something it offers.
    pub(super) fn operation(&self) -> Outcome<Operation> {
        let subresource = self.subresource();
        let operation = self.choose(subresource).ok_or_else(|| {
            let level = match (self.bucket.is_empty(), self.key.is_empty()) {
                (true, _) => "the service",
                (false, true) => "a bucket",
                (false, false) => "an object",
            };
            let name = name_of(&self.method, subresource, self.key.is_empty());
            let name = name.map_or_else(|| format!("{} ?{subresource} on {level}", self.method), str::to_owned);
            Refused::from(ServiceError::unknown_operation("s3", &name))
        })?;
        let fields = fields_of(operation);
        if let Some((name, value)) =
            self.query.iter().find(|(key, _)| key != "x-id" && key != subresource && !fields.contains(&key.as_str()))
        {
            let message = format!("the local cloud does not offer the query field {name} here");
            return Err(Refused { status: 501, ..Refused::invalid_argument(name, value, message) });
        }
        self.check_headers(operation)?;
        Ok(operation)
    }

    fn choose(&self, subresource: &str) -> Option<Operation> {
        use Operation as Op;
        let method = self.method.as_str();
        if self.bucket.is_empty() {
            return (method == "GET" && subresource.is_empty()).then_some(Op::ListBuckets);
        }
        if self.key.is_empty() {
            return match (method, subresource) {
                ("PUT", "") => Some(Op::CreateBucket),
                ("DELETE", "") => Some(Op::DeleteBucket),
                ("HEAD", "") => Some(Op::HeadBucket),
                ("GET", "location") => Some(Op::GetBucketLocation),
                ("GET", "versioning") => Some(Op::GetBucketVersioning),
                ("PUT", "versioning") => Some(Op::PutBucketVersioning),
                ("GET", "list-type") if self.query("list-type") == Some("2") => Some(Op::ListObjectsV2),
                ("GET", "") => Some(Op::ListObjects),
                ("GET", "uploads") => Some(Op::ListMultipartUploads),
                ("GET", "versions") => Some(Op::ListObjectVersions),
                ("POST", "delete") => Some(Op::DeleteObjects),
                ("GET", name) => Setting::of(name).map(Op::GetSetting),
                ("PUT", name) => Setting::of(name).map(Op::PutSetting),
                ("DELETE", name) => Setting::of(name).map(Op::DeleteSetting),
                _ => None,
            };
        }
        match (method, subresource) {
            // A part that is a copy has a name of its own, and is not offered.
            ("PUT", "partNumber" | "uploadId") if self.headers.contains_key("x-amz-copy-source") => None,
            ("PUT", "partNumber" | "uploadId") => Some(Op::UploadPart),
            ("POST", "uploads") => Some(Op::CreateMultipartUpload),
            ("POST", "uploadId") => Some(Op::CompleteMultipartUpload),
            ("DELETE", "uploadId") => Some(Op::AbortMultipartUpload),
            ("GET", "uploadId") => Some(Op::ListParts),
            ("PUT", "") if self.headers.contains_key("x-amz-copy-source") => Some(Op::CopyObject),
            ("PUT", "") => Some(Op::PutObject),
            ("GET", "") => Some(Op::GetObject),
            ("HEAD", "") => Some(Op::HeadObject),
            ("DELETE", "") => Some(Op::DeleteObject),
            _ => None,
        }
    }

    fn check_headers(&self, operation: Operation) -> Outcome<()> {
        use Operation as Op;
        let more: &[&[&str]] = match operation {
            Op::PutObject => &[BODY_HEADERS, OBJECT_HEADERS],
            Op::CreateMultipartUpload => &[OBJECT_HEADERS, &["x-amz-checksum-algorithm", "x-amz-checksum-type"]],
            Op::UploadPart => &[BODY_HEADERS],
            Op::CompleteMultipartUpload => &[BODY_HEADERS, &["x-amz-checksum-type", "x-amz-mp-object-size"]],
            Op::CopyObject => &[OBJECT_HEADERS, &["x-amz-copy-source", "x-amz-metadata-directive"]],
            Op::GetObject | Op::HeadObject => &[&["x-amz-checksum-mode"]],
            Op::CreateBucket => &[BODY_HEADERS, &["x-amz-acl", "x-amz-object-ownership"]],
            Op::PutBucketVersioning | Op::PutSetting(_) | Op::DeleteObjects => &[BODY_HEADERS],
            _ => &[],
        };
        let metadata = matches!(operation, Op::PutObject | Op::CopyObject | Op::CreateMultipartUpload);
        for name in self.headers.keys().map(hyper::header::HeaderName::as_str) {
            let known = !name.starts_with("x-amz-")
                || COMMON_HEADERS.contains(&name)
                || more.iter().any(|list| list.contains(&name))
                || (metadata && name.starts_with("x-amz-meta-"));
            if !known {
                return Err(Refused::unsupported_header(name));
            }
        }
        if let Some(acl) = self.header("x-amz-acl")
            && !matches!(acl, "private" | "bucket-owner-full-control")
        {
            return Err(Refused::new(400, "AccessControlListNotSupported", "The bucket does not allow ACLs"));
        }
        if let Some(mode) = self.header("x-amz-checksum-mode").filter(|mode| !mode.eq_ignore_ascii_case("enabled")) {
            return Err(Refused::invalid_argument(
                "x-amz-checksum-mode",
                mode,
                "Value for x-amz-checksum-mode header is invalid.",
            ));
        }
        if self.header("x-amz-object-ownership").is_some_and(|ownership| ownership != "BucketOwnerEnforced") {
            return Err(Refused::unsupported_header("x-amz-object-ownership"));
        }
        if self.header("x-amz-storage-class").is_some_and(|class| class != "STANDARD") {
            return Err(Refused::unsupported_header("x-amz-storage-class"));
        }
        Ok(())
    }
}

impl Setting {
    /// The setting of a subresource.
    fn of(subresource: &str) -> Option<Self> {
        match subresource {
            "policy" => Some(Self::Policy),
            "lifecycle" => Some(Self::Lifecycle),
            "publicAccessBlock" => Some(Self::PublicAccessBlock),
            "encryption" => Some(Self::Encryption),
            _ => None,
        }
    }
}

fn fields_of(operation: Operation) -> &'static [&'static str] {
    use Operation as Op;
    match operation {
        Op::ListBuckets => &["max-buckets", "continuation-token", "prefix", "bucket-region"],
        Op::ListObjectsV2 => {
            &["prefix", "delimiter", "max-keys", "continuation-token", "start-after", "encoding-type", "fetch-owner"]
        }
        Op::ListObjects => &["prefix", "delimiter", "max-keys", "marker", "encoding-type"],
        Op::UploadPart => &["partNumber", "uploadId"],
        Op::ListParts => &["max-parts", "part-number-marker"],
        Op::ListMultipartUploads => &["max-uploads", "key-marker", "upload-id-marker", "prefix"],
        Op::ListObjectVersions => {
            &["prefix", "delimiter", "max-keys", "key-marker", "version-id-marker", "encoding-type"]
        }
        Op::GetObject | Op::HeadObject => &[
            "versionId",
            "response-cache-control",
            "response-content-disposition",
            "response-content-encoding",
            "response-content-language",
            "response-content-type",
            "response-expires",
        ],
        Op::DeleteObject => &["versionId"],
        _ => &[],
    }
}

/// AWS's name of an operation that is not offered, where somebody is likely to meet it.
fn name_of(method: &Method, subresource: &str, is_bucket: bool) -> Option<&'static str> {
    Some(match (method.as_str(), subresource) {
        ("PUT", "partNumber" | "uploadId") => "UploadPartCopy",
        ("GET" | "HEAD", "partNumber") => "GetObject with partNumber",
        ("GET", "attributes") => "GetObjectAttributes",
        ("POST", "") if is_bucket => "PostObject",
        _ => return None,
    })
}

/// The name of the operation that a request asks for, if it is one that is offered.
pub(crate) fn operation(head: &Parts) -> Option<&'static str> {
    let request = Request::parse(head.clone(), Bytes::new()).ok()?;
    request.choose(request.subresource()).map(Operation::name)
}

/// `BUCKET.localhost:PORT` and `BUCKET.127.0.0.1:PORT` name a bucket; SDKs do that unless told to use the path. A host of
/// git's names none.
pub(crate) fn bucket_in_host(host: &str) -> Option<&str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let bucket = [".localhost", ".127.0.0.1"].iter().find_map(|suffix| name.strip_suffix(suffix));
    bucket.filter(|bucket| !bucket.is_empty() && region_of(host).is_none())
}

/// `/BUCKET/KEY` -> both, decoded; the key may be empty and may begin with a slash.
pub(super) fn split(path: &str) -> Outcome<(String, String)> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    Ok((decode(bucket)?, decode(key)?))
}

fn decode(text: &str) -> Outcome<String> {
    percent_decode_str(text)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| Refused::new(400, "InvalidURI", "Couldn't parse the specified URI: it is not UTF-8."))
}

pub(super) fn check_key(key: &str) -> Outcome<()> {
    if key.len() > LONGEST_KEY {
        return Err(Refused::new(400, "KeyTooLongError", "Your key is too long")
            .with("Size", key.len().to_string())
            .with("MaxSizeAllowed", LONGEST_KEY.to_string()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::operation::OPERATIONS;
    use super::*;

    #[test]
    fn a_bucket_is_found_in_the_path_or_in_the_host() {
        assert_eq!(split("/demo/a%20b/c").unwrap(), ("demo".to_owned(), "a b/c".to_owned()));
        assert_eq!(split("/demo//a").unwrap(), ("demo".to_owned(), "/a".to_owned()));
        assert_eq!(split("/demo").unwrap(), ("demo".to_owned(), String::new()));
        assert_eq!(split("/demo/%2E%2E/x").unwrap().1, "../x");
        assert_eq!(split("/demo/%ff").unwrap_err().code, "InvalidURI");
        assert_eq!(bucket_in_host("demo.localhost:4566"), Some("demo"));
        assert_eq!(bucket_in_host("a.b.127.0.0.1:80"), Some("a.b"));
        assert_eq!(bucket_in_host("127.0.0.1:80"), None);
        assert_eq!(bucket_in_host("localhost"), None);
        assert_eq!(bucket_in_host("git-codecommit.us-east-1.localhost:4566"), None);
    }

    #[test]
    fn every_operation_of_the_list_is_found_by_some_request_and_no_other() {
        let mut found = std::collections::BTreeSet::new();
        for subresource in SUBRESOURCES.iter().chain([&""]) {
            for method in ["GET", "HEAD", "PUT", "POST", "DELETE"] {
                for (bucket, key, copies) in [("", "", false), ("b", "", false), ("b", "k", false), ("b", "k", true)] {
                    let value = if *subresource == "list-type" { "2" } else { "" };
                    let mut headers = HeaderMap::new();
                    if copies {
                        headers.insert("x-amz-copy-source", "b/k".parse().unwrap());
                    }
                    let request = Request {
                        method: method.parse().unwrap(),
                        bucket: bucket.to_owned(),
                        key: key.to_owned(),
                        query: vec![((*subresource).to_owned(), value.to_owned())],
                        headers,
                        body: Bytes::new(),
                    };
                    found.extend(request.choose(subresource).map(Operation::name));
                }
            }
        }
        assert_eq!(found.into_iter().collect::<Vec<_>>(), OPERATIONS);
    }
}
