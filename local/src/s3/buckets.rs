//! The operations on buckets, and what is configured for them.

use jiff::Timestamp;

use super::error::{Outcome, Refused};
use super::listing::{no_such_page, page_size};
use super::route::Request;
use super::store::Store;
use super::xml::{Node, element, escape};
use super::{Reply, Setting, Versioning, payload};
use crate::iam;
use crate::paging::Order;
use crate::world::World;

/// The largest page of `ListBuckets`.
const PAGE: usize = 10_000;

/// What AWS configures for every new bucket.
const BLOCKED: &str = "<PublicAccessBlockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>";
const ENCRYPTED: &str = "<ServerSideEncryptionConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>";

/// A time as S3's documents write it.
pub(super) fn iso(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// The owner of everything here.
pub(super) fn owner(world: &World) -> String {
    format!("<Owner>{}</Owner>", element("ID", &world.account))
}

pub(super) fn list(store: &Store, world: &World, request: &Request) -> Outcome<Reply> {
    let limit = page_size(request, "max-buckets", PAGE)?;
    let asked = request.query("max-buckets").and_then(|asked| asked.parse::<usize>().ok());
    if let Some(asked) = asked.filter(|asked| !(1..=PAGE).contains(asked)) {
        let message = format!("Argument max-buckets must be an integer between 1 and {PAGE}");
        return Err(Refused::invalid_argument("max-buckets", &asked.to_string(), message));
    }
    let prefix = request.query("prefix").unwrap_or_default();
    let token = request.query("continuation-token");
    let named = store
        .buckets()
        .into_iter()
        .filter(|bucket| bucket.owner() == world.account && bucket.name.starts_with(prefix))
        .filter(|bucket| request.query("bucket-region").is_none_or(|region| region == bucket.region()));
    let (found, next) = if token.is_none() && request.query("max-buckets").is_none() {
        // Who asks for no pages gets none, as on AWS.
        (named.take(PAGE).collect(), None)
    } else {
        let listing = world.listing("s3:ListBuckets", &[prefix, request.query("bucket-region").unwrap_or_default()]);
        let keyed = named.map(|bucket| (bucket.name.clone(), bucket));
        listing
            .page(keyed, Order::Ascending, limit, token)
            .map_err(|bad| no_such_page(token.unwrap_or_default(), bad))?
    };
    let mut content = owner(world) + "<Buckets>";
    for bucket in &found {
        content.push_str("<Bucket>");
        content.push_str(&element("Name", &bucket.name));
        content.push_str(&element("CreationDate", &iso(bucket.created())));
        content.push_str(&element("BucketRegion", &bucket.region()));
        content.push_str("</Bucket>");
    }
    content.push_str("</Buckets>");
    if let Some(next) = next {
        content.push_str(&element("ContinuationToken", &next));
    }
    if !prefix.is_empty() {
        content.push_str(&element("Prefix", prefix));
    }
    Ok(Reply::xml("ListAllMyBucketsResult", &content))
}

pub(super) fn create(store: &Store, world: &World, request: &Request) -> Outcome<Reply> {
    let body = payload::take(request)?.bytes;
    let mut place = None;
    if !body.is_empty() {
        let node = Node::parse(&body, "CreateBucketConfiguration")?;
        if let Some(other) = node.children.iter().find(|child| child.name != "LocationConstraint") {
            return Err(Refused::new(
                501,
                "NotImplemented",
                format!("the local cloud does not offer {} of CreateBucketConfiguration", other.name),
            ));
        }
        place = node.get("LocationConstraint").map(str::to_owned);
    }
    // us-east-1 is the region that has no name here.
    let expected = (world.region != "us-east-1").then_some(world.region.as_str());
    if place.as_deref().filter(|place| !place.is_empty()) != expected {
        let named = place.as_deref().unwrap_or("unspecified");
        return Err(Refused::new(
            400,
            "IllegalLocationConstraintException",
            format!(
                "The {named} location constraint is incompatible for the region specific endpoint this request was sent to."
            ),
        ));
    }
    store.create(&request.bucket, world)?;
    Ok(Reply::new(200).header("location", format!("/{}", request.bucket)))
}

/// What every new bucket is configured with, as on AWS.
pub(super) fn defaults() -> [(Setting, String); 2] {
    [(Setting::PublicAccessBlock, BLOCKED.to_owned()), (Setting::Encryption, ENCRYPTED.to_owned())]
}

pub(super) fn delete(store: &Store, request: &Request) -> Outcome<Reply> {
    store.delete(&request.bucket)?;
    Ok(Reply::new(204))
}

/// Holds a bucket against the region that a request was signed for. Clients read the header and turn to the right one.
pub(super) fn check_region(store: &Store, world: &World, bucket: &str) -> Outcome<()> {
    let region = store.bucket(bucket)?.region();
    if region == world.region {
        return Ok(());
    }
    Err(Refused::new(
        301,
        "PermanentRedirect",
        "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.",
    )
    .with("Endpoint", format!("s3.{region}.amazonaws.com"))
    .with("Bucket", bucket)
    .with_header("x-amz-bucket-region", region))
}

/// Answers for a bucket that was found already.
pub(super) fn head(world: &World) -> Outcome<Reply> {
    Ok(Reply::new(200)
        .header("x-amz-bucket-region", &world.region)
        .header("x-amz-access-point-alias", "false")
        .header("content-type", "application/xml"))
}

pub(super) fn location(store: &Store, request: &Request) -> Outcome<Reply> {
    let region = store.bucket(&request.bucket)?.region();
    Ok(Reply::xml("LocationConstraint", &escape(if region == "us-east-1" { "" } else { &region })))
}

pub(super) fn get_versioning(store: &Store, request: &Request) -> Outcome<Reply> {
    let status = match store.bucket(&request.bucket)?.versioning() {
        Versioning::Off => String::new(),
        Versioning::Enabled => element("Status", "Enabled"),
        Versioning::Suspended => element("Status", "Suspended"),
    };
    Ok(Reply::xml("VersioningConfiguration", &status))
}

pub(super) fn put_versioning(store: &Store, request: &Request) -> Outcome<Reply> {
    let bucket = store.bucket(&request.bucket)?;
    let node = Node::parse(&payload::take(request)?.bytes, "VersioningConfiguration")?;
    if node.get("MfaDelete").is_some_and(|mfa| mfa != "Disabled") {
        return Err(Refused::new(501, "NotImplemented", "the local cloud does not offer MfaDelete"));
    }
    let versioning = match node.get("Status") {
        Some("Enabled") => Versioning::Enabled,
        Some("Suspended") => Versioning::Suspended,
        _ => {
            return Err(Refused::new(
                400,
                "IllegalVersioningConfigurationException",
                "The Versioning element must be specified: Status is Enabled or Suspended",
            ));
        }
    };
    bucket.set_versioning(versioning)?;
    Ok(Reply::new(200))
}

pub(super) fn get_setting(store: &Store, request: &Request, setting: Setting) -> Outcome<Reply> {
    let document = store.bucket(&request.bucket)?.setting(setting).ok_or_else(|| {
        let (code, message) = match setting {
            Setting::Policy => ("NoSuchBucketPolicy", "The bucket policy does not exist"),
            Setting::Lifecycle => ("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"),
            Setting::PublicAccessBlock => {
                ("NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found")
            }
            Setting::Encryption => (
                "ServerSideEncryptionConfigurationNotFoundError",
                "The server side encryption configuration was not found",
            ),
        };
        Refused::new(404, code, message).with("BucketName", &request.bucket)
    })?;
    let kind = if setting == Setting::Policy { "application/json" } else { "application/xml" };
    Ok(Reply { body: document.into(), ..Reply::new(200) }.header("content-type", kind))
}

pub(super) fn put_setting(store: &Store, request: &Request, setting: Setting) -> Outcome<Reply> {
    set(store, &request.bucket, setting, &payload::take(request)?.bytes)?;
    Ok(Reply::new(if setting == Setting::Policy { 204 } else { 200 }))
}

/// Keeps a setting after a look at whether it is one.
pub(super) fn set(store: &Store, bucket: &str, setting: Setting, document: &[u8]) -> Outcome<()> {
    let bucket = store.bucket(bucket)?;
    let root = match setting {
        Setting::Policy => {
            let malformed = |what: String| Refused::new(400, "MalformedPolicy", what);
            let policy: Option<serde_json::Value> = serde_json::from_slice(document).ok();
            let policy = policy
                .filter(serde_json::Value::is_object)
                .ok_or_else(|| malformed("Policies must be valid JSON and the first byte must be '{'".to_owned()))?;
            iam::Document::read(&policy, iam::Kind::Resource).map_err(|wrong| malformed(wrong.to_string()))?;
            None
        }
        Setting::Lifecycle => Some("LifecycleConfiguration"),
        Setting::PublicAccessBlock => Some("PublicAccessBlockConfiguration"),
        Setting::Encryption => Some("ServerSideEncryptionConfiguration"),
    };
    if let Some(root) = root {
        check_rules(setting, &Node::parse(document, root)?)?;
    }
    bucket.set(setting, Some(String::from_utf8_lossy(document).into_owned()))
}

/// Whether a document has what every rule of its kind must have.
fn check_rules(setting: Setting, document: &Node) -> Outcome<()> {
    if setting == Setting::PublicAccessBlock {
        return Ok(());
    }
    let rules: Vec<&Node> = document.all("Rule").collect();
    if rules.is_empty() {
        return Err(Refused::malformed_xml("it has no Rule"));
    }
    for rule in rules {
        let (given, allowed): (Vec<Option<&str>>, &[&str]) = match setting {
            Setting::Lifecycle => (vec![rule.get("Status")], &["Enabled", "Disabled"]),
            _ => {
                let defaults = rule.all("ApplyServerSideEncryptionByDefault");
                (defaults.map(|default| default.get("SSEAlgorithm")).collect(), &["AES256", "aws:kms", "aws:kms:dsse"])
            }
        };
        for value in given {
            if !value.is_some_and(|value| allowed.contains(&value)) {
                let what =
                    format!("a Rule has {} where one of {} must be", value.unwrap_or("nothing"), allowed.join(", "));
                return Err(Refused::malformed_xml(&what));
            }
        }
    }
    check_days(document)
}

/// Whether every number of days in a lifecycle is one.
fn check_days(node: &Node) -> Outcome<()> {
    let is_days = matches!(node.name.as_str(), "Days" | "NoncurrentDays" | "DaysAfterInitiation");
    if is_days && node.text.trim().parse::<u32>().is_err() {
        return Err(Refused::malformed_xml(&format!("{} is no number of days", node.text)));
    }
    node.children.iter().try_for_each(check_days)
}

pub(super) fn delete_setting(store: &Store, request: &Request, setting: Setting) -> Outcome<Reply> {
    // There is no bucket without encryption: deleting what was chosen brings the default back.
    let default = (setting == Setting::Encryption).then(|| ENCRYPTED.to_owned());
    store.bucket(&request.bucket)?.set(setting, default)?;
    Ok(Reply::new(204))
}
