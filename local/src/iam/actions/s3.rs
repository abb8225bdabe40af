//! S3: what is done to a bucket, and what to the objects in it.

use super::Need;
use crate::s3::Setting;

/// An operation as far as it concerns permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted<'a> {
    /// The list of all buckets.
    Buckets,
    /// Something of a bucket.
    OfBucket(&'static str),
    /// A listing of its keys.
    Keys {
        /// `s3:ListBucket` or `s3:ListBucketVersions`.
        action: &'static str,
        /// The prefix that is asked for.
        prefix: Option<&'a str>,
        /// The delimiter.
        delimiter: Option<&'a str>,
        /// The most keys.
        most: Option<&'a str>,
    },
    /// Something of an object.
    OfObject(&'static str, &'a str),
    /// Something of a version of an object.
    OfVersion(&'static str, &'a str, &'a str),
}

/// The ARN of a bucket.
pub(crate) fn bucket_arn(bucket: &str) -> String {
    format!("arn:aws:s3:::{bucket}")
}

/// What is needed for it.
pub(crate) fn need(bucket: &str, wanted: Wanted<'_>) -> Need {
    let bucket = bucket_arn(bucket);
    match wanted {
        Wanted::Buckets => Need::new("s3:ListAllMyBuckets", "*"),
        Wanted::OfBucket(action) => Need::new(action, bucket),
        Wanted::Keys { action, prefix, delimiter, most } => {
            let mut need = Need::new(action, bucket);
            need.context = need
                .context
                .with_if("s3:prefix", prefix)
                .with_if("s3:delimiter", delimiter)
                .with_if("s3:max-keys", most);
            need
        }
        Wanted::OfObject(action, key) => Need::new(action, format!("{bucket}/{key}")),
        Wanted::OfVersion(action, key, version) => {
            Need::new(action, format!("{bucket}/{key}")).with("s3:VersionId", version)
        }
    }
}

/// The actions that read, write and take away a setting of a bucket.
pub(crate) fn of_setting(setting: Setting) -> (&'static str, &'static str, &'static str) {
    match setting {
        Setting::Policy => ("s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"),
        Setting::Lifecycle => {
            ("s3:GetLifecycleConfiguration", "s3:PutLifecycleConfiguration", "s3:PutLifecycleConfiguration")
        }
        Setting::PublicAccessBlock => {
            ("s3:GetBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock")
        }
        Setting::Encryption => {
            ("s3:GetEncryptionConfiguration", "s3:PutEncryptionConfiguration", "s3:PutEncryptionConfiguration")
        }
    }
}
