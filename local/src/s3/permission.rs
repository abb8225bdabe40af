//! Whether the caller may do what a request asks for: IAM, and the bucket's own policy.

use super::Setting;
use super::conditions::WriteCondition;
use super::error::{Outcome, Refused};
use super::operation::Operation;
use super::route::{Request, split};
use super::store::Store;
use crate::auth::Caller;
use crate::iam::Need;
use crate::iam::s3_actions::{Wanted, need, of_setting};
use crate::world::World;

/// Who asks, and whom to ask about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) store: &'a Store,
    pub(super) world: &'a World,
    pub(super) caller: &'a Caller,
}

impl Asking<'_> {
    /// Lets an operation through, or says what is missing.
    pub(super) fn admit(self, operation: Operation, request: &Request) -> Outcome<()> {
        for (bucket, need) in needs(operation, request)? {
            self.check(&bucket, &need)?;
        }
        Ok(())
    }

    /// Whether one key of a `DeleteObjects` may be deleted.
    pub(super) fn may_delete(
        self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
        condition: &WriteCondition,
    ) -> Outcome<()> {
        self.check(bucket, &need(bucket, deletion(key, version)))?;
        if condition.tells_content() { self.check(bucket, &need(bucket, reading(key, None))) } else { Ok(()) }
    }

    /// What is told of a key that is not there: whoever may not list the bucket is not told whether there is one.
    pub(super) fn hide_missing(self, bucket: &str, missing: Refused) -> Refused {
        match self.check(bucket, &need(bucket, Wanted::OfBucket("s3:ListBucket"))) {
            Ok(()) => missing,
            Err(forbidden) => forbidden,
        }
    }

    fn check(self, bucket: &str, need: &Need) -> Outcome<()> {
        // One that is to be made belongs to whoever makes it, whoever has the name already.
        let is_new = need.action == "s3:CreateBucket";
        let bucket = if is_new { None } else { self.store.bucket(bucket).ok() };
        let policy = bucket.as_ref().and_then(|bucket| bucket.setting(Setting::Policy));
        let need = match &bucket {
            Some(bucket) => need.clone().owned_by(&bucket.owner()),
            None => need.clone(),
        };
        let checked = self.world.iam.check(&self.caller.arn, &need, policy.as_deref());
        checked.map_err(|refusal| Refused::from(refusal.into_service("s3")))
    }
}

fn deletion<'a>(key: &'a str, version: Option<&'a str>) -> Wanted<'a> {
    match version {
        Some(version) => Wanted::OfVersion("s3:DeleteObjectVersion", key, version),
        None => Wanted::OfObject("s3:DeleteObject", key),
    }
}

fn reading<'a>(key: &'a str, version: Option<&'a str>) -> Wanted<'a> {
    match version {
        Some(version) => Wanted::OfVersion("s3:GetObjectVersion", key, version),
        None => Wanted::OfObject("s3:GetObject", key),
    }
}

/// What an operation needs, each with the bucket whose policy has a say.
fn needs(operation: Operation, request: &Request) -> Outcome<Vec<(String, Need)>> {
    use Operation as Op;
    let (bucket, key) = (request.bucket.as_str(), request.key.as_str());
    let listing = |action| Wanted::Keys {
        action,
        prefix: request.query("prefix"),
        delimiter: request.query("delimiter"),
        most: request.query("max-keys"),
    };
    let put = Wanted::OfObject("s3:PutObject", key);
    let wanted = match operation {
        Op::ListBuckets => Wanted::Buckets,
        Op::CreateBucket => Wanted::OfBucket("s3:CreateBucket"),
        Op::DeleteBucket => Wanted::OfBucket("s3:DeleteBucket"),
        Op::HeadBucket => Wanted::OfBucket("s3:ListBucket"),
        Op::GetBucketLocation => Wanted::OfBucket("s3:GetBucketLocation"),
        Op::GetBucketVersioning => Wanted::OfBucket("s3:GetBucketVersioning"),
        Op::PutBucketVersioning => Wanted::OfBucket("s3:PutBucketVersioning"),
        Op::GetSetting(setting) => Wanted::OfBucket(of_setting(setting).0),
        Op::PutSetting(setting) => Wanted::OfBucket(of_setting(setting).1),
        Op::DeleteSetting(setting) => Wanted::OfBucket(of_setting(setting).2),
        Op::ListObjects | Op::ListObjectsV2 => listing("s3:ListBucket"),
        Op::CreateMultipartUpload | Op::UploadPart | Op::CompleteMultipartUpload | Op::PutObject => put,
        Op::AbortMultipartUpload => Wanted::OfObject("s3:AbortMultipartUpload", key),
        Op::ListParts => Wanted::OfObject("s3:ListMultipartUploadParts", key),
        Op::ListMultipartUploads => Wanted::OfBucket("s3:ListBucketMultipartUploads"),
        Op::ListObjectVersions => listing("s3:ListBucketVersions"),
        // Each key is asked about when it is its turn.
        Op::DeleteObjects => return Ok(Vec::new()),
        Op::GetObject | Op::HeadObject => reading(key, request.query("versionId")),
        Op::DeleteObject => deletion(key, request.query("versionId")),
        Op::CopyObject => {
            let source = request.header("x-amz-copy-source").unwrap_or_default();
            let (path, version) = match source.split_once("?versionId=") {
                Some((path, version)) => (path, Some(version)),
                None => (source, None),
            };
            let (from, from_key) = split(path)?;
            let read = need(&from, reading(&from_key, version));
            let mut needs = vec![(from, read), (bucket.to_owned(), need(bucket, put))];
            needs.extend(condition_need(operation, request));
            return Ok(needs);
        }
    };
    let mut needs = vec![(bucket.to_owned(), need(bucket, wanted))];
    needs.extend(condition_need(operation, request));
    Ok(needs)
}

/// A write or a deletion on condition of what is there tells what is there.
fn condition_need(operation: Operation, request: &Request) -> Option<(String, Need)> {
    use Operation as Op;
    let condition = match operation {
        // A condition that is not taken is refused after this.
        Op::PutObject | Op::CompleteMultipartUpload | Op::CopyObject => {
            WriteCondition::of_put(&request.headers).unwrap_or_default()
        }
        Op::DeleteObject => WriteCondition::of_delete(&request.headers),
        _ => WriteCondition::Always,
    };
    let bucket = request.bucket.as_str();
    condition.tells_content().then(|| (bucket.to_owned(), need(bucket, reading(&request.key, None))))
}
