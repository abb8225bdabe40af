//! S3's script.

use serde_json::{Value, json};

use super::run::{Known, Run};

const KNOWN: Known = Known {
    // docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html: S3's model names the fewest of its errors.
    common: &[
        ("AccessControlListNotSupported", 400),
        ("AccessDenied", 403),
        ("BucketNotEmpty", 409),
        ("IllegalLocationConstraintException", 400),
        ("IllegalVersioningConfigurationException", 400),
        ("InvalidArgument", 400),
        ("InvalidBucketName", 400),
        ("InvalidDigest", 400),
        ("BadDigest", 400),
        ("EntityTooSmall", 400),
        ("InvalidPart", 400),
        ("InvalidPartOrder", 400),
        ("InvalidRange", 416),
        ("InvalidRequest", 400),
        ("InvalidTag", 400),
        ("KeyTooLongError", 400),
        ("MalformedPolicy", 400),
        ("MalformedXML", 400),
        ("NoSuchBucket", 404),
        ("NoSuchBucketPolicy", 404),
        ("NoSuchKey", 404),
        ("NoSuchLifecycleConfiguration", 404),
        ("NoSuchPublicAccessBlockConfiguration", 404),
        ("NoSuchUpload", 404),
        ("NoSuchVersion", 404),
        ("NotImplemented", 501),
        ("PreconditionFailed", 412),
        ("ServerSideEncryptionConfigurationNotFoundError", 404),
        ("InvalidStorageClass", 400),
    ],
    always: &[
        ("ListBuckets", "/Buckets"),
        ("ListBuckets", "/Owner/ID"),
        ("PutObject", "/ETag"),
        ("GetObject", "/Body"),
        ("GetObject", "/ETag"),
        ("GetObject", "/LastModified"),
        ("GetObject", "/ContentLength"),
        ("GetObject", "/ContentType"),
        ("GetObject", "/AcceptRanges"),
        ("HeadObject", "/ETag"),
        ("HeadObject", "/LastModified"),
        ("HeadObject", "/ContentLength"),
        ("HeadObject", "/ContentType"),
        ("HeadObject", "/AcceptRanges"),
        ("HeadBucket", "/BucketRegion"),
        ("CopyObject", "/CopyObjectResult/ETag"),
        ("CopyObject", "/CopyObjectResult/LastModified"),
        ("CreateMultipartUpload", "/Bucket"),
        ("CreateMultipartUpload", "/Key"),
        ("CreateMultipartUpload", "/UploadId"),
        ("UploadPart", "/ETag"),
        ("CompleteMultipartUpload", "/Location"),
        ("CompleteMultipartUpload", "/ETag"),
        ("ListParts", "/Parts/0/PartNumber"),
        ("ListParts", "/Parts/0/Size"),
        ("ListMultipartUploads", "/Uploads/0/UploadId"),
        ("ListMultipartUploads", "/Uploads/0/Initiated"),
        ("ListObjects", "/Name"),
        ("ListObjects", "/IsTruncated"),
        ("ListObjects", "/Marker"),
        ("ListObjects", "/Contents/0/Owner/ID"),
        ("ListObjectsV2", "/Name"),
        ("ListObjectsV2", "/KeyCount"),
        ("ListObjectsV2", "/MaxKeys"),
        ("ListObjectsV2", "/IsTruncated"),
        ("ListObjectsV2", "/Prefix"),
        ("ListObjectVersions", "/Name"),
        ("ListObjectVersions", "/MaxKeys"),
        ("ListObjectVersions", "/IsTruncated"),
        ("ListObjectVersions", "/Versions/0/VersionId"),
        ("ListObjectVersions", "/Versions/0/IsLatest"),
        ("ListObjectVersions", "/Versions/0/ETag"),
        ("ListObjectVersions", "/Versions/0/Owner/ID"),
        ("DeleteObjects", "/Deleted"),
        ("GetPublicAccessBlock", "/PublicAccessBlockConfiguration/BlockPublicAcls"),
    ],
    taken: &[],
};

#[tokio::test]
async fn s3_answers_as_its_model_says() {
    let Some(mut run) = Run::of("s3", KNOWN).await else { return };
    let region = run.ground.cloud().world.region.clone();
    let create = json!({ "Bucket": "demo", "CreateBucketConfiguration": { "LocationConstraint": region }, "ACL": "private", "ObjectOwnership": "BucketOwnerEnforced" });
    run.good("CreateBucket", create.clone()).await;
    run.refused("CreateBucket", create, "BucketAlreadyOwnedByYou").await;
    run.refused(
        "CreateBucket",
        json!({ "Bucket": "Not_A_Name", "CreateBucketConfiguration": { "LocationConstraint": region } }),
        "InvalidBucketName",
    )
    .await;
    run.good("ListBuckets", json!({ "MaxBuckets": 1, "Prefix": "d" })).await;
    run.good("HeadBucket", json!({ "Bucket": "demo" })).await;
    run.refused("HeadBucket", json!({ "Bucket": "none" }), "").await;
    run.good("GetBucketLocation", json!({ "Bucket": "demo" })).await;
    run.good("GetBucketVersioning", json!({ "Bucket": "demo" })).await;
    run.good("PutBucketVersioning", json!({ "Bucket": "demo", "VersioningConfiguration": { "Status": "Enabled" } }))
        .await;
    run.plain("GetBucketVersioning", json!({ "Bucket": "demo" })).await;
    settings(&mut run).await;
    objects(&mut run).await;
    parts(&mut run).await;
    for operation in [
        "GetBucketLocation",
        "GetBucketVersioning",
        "ListObjectsV2",
        "ListObjectVersions",
        "GetBucketPolicy",
        "DeleteBucket",
    ] {
        run.refused(operation, json!({ "Bucket": "none" }), "NoSuchBucket").await;
    }
    run.plain(
        "CreateBucket",
        json!({ "Bucket": "empty", "CreateBucketConfiguration": { "LocationConstraint": region } }),
    )
    .await;
    run.refused("DeleteBucket", json!({ "Bucket": "demo" }), "BucketNotEmpty").await;
    run.good("DeleteBucket", json!({ "Bucket": "empty" })).await;
    run.end().await;
}

async fn settings(run: &mut Run) {
    let bucket = json!({ "Bucket": "demo" });
    run.refused("GetBucketPolicy", bucket.clone(), "NoSuchBucketPolicy").await;
    run.refused("GetBucketLifecycleConfiguration", bucket.clone(), "NoSuchLifecycleConfiguration").await;
    let deny =
        json!({ "Effect": "Deny", "Principal": "*", "Action": "s3:DeleteBucket", "Resource": "arn:aws:s3:::demo" });
    let policy = json!({ "Version": "2012-10-17", "Statement": [deny] }).to_string();
    run.good("PutBucketPolicy", json!({ "Bucket": "demo", "Policy": policy })).await;
    run.refused("PutBucketPolicy", json!({ "Bucket": "demo", "Policy": "no JSON" }), "MalformedPolicy").await;
    run.good("GetBucketPolicy", bucket.clone()).await;
    run.good("DeleteBucketPolicy", bucket.clone()).await;
    let rule =
        json!({ "ID": "old", "Filter": { "Prefix": "ledger/" }, "Status": "Enabled", "Expiration": { "Days": 3 } });
    run.good(
        "PutBucketLifecycleConfiguration",
        json!({ "Bucket": "demo", "LifecycleConfiguration": { "Rules": [rule] } }),
    )
    .await;
    run.good("GetBucketLifecycleConfiguration", bucket.clone()).await;
    run.good("DeleteBucketLifecycle", bucket.clone()).await;
    let block = json!({ "BlockPublicAcls": true, "IgnorePublicAcls": true, "BlockPublicPolicy": true, "RestrictPublicBuckets": true });
    run.good("PutPublicAccessBlock", json!({ "Bucket": "demo", "PublicAccessBlockConfiguration": block })).await;
    run.good("GetPublicAccessBlock", bucket.clone()).await;
    run.good("DeletePublicAccessBlock", bucket.clone()).await;
    run.refused("GetPublicAccessBlock", bucket.clone(), "NoSuchPublicAccessBlockConfiguration").await;
    let encryption = json!({ "Rules": [{ "ApplyServerSideEncryptionByDefault": { "SSEAlgorithm": "AES256" } }] });
    run.good("PutBucketEncryption", json!({ "Bucket": "demo", "ServerSideEncryptionConfiguration": encryption })).await;
    run.good("GetBucketEncryption", bucket.clone()).await;
    run.good("DeleteBucketEncryption", bucket).await;
}

async fn objects(run: &mut Run) {
    let put = json!({ "Bucket": "demo", "Key": "a/b c.txt", "Body": "text", "ContentType": "text/plain", "CacheControl": "no-cache", "Metadata": { "team": "a" },
        "ACL": "private", "StorageClass": "STANDARD" });
    let first = run.good("PutObject", put).await;
    let etag = first["ETag"].clone();
    run.plain("PutObject", json!({ "Bucket": "demo", "Key": "a/b c.txt", "Body": "other", "IfMatch": etag })).await;
    run.plain("PutObject", json!({ "Bucket": "demo", "Key": "a/d.txt", "Body": "", "IfNoneMatch": "*" })).await;
    run.refused(
        "PutObject",
        json!({ "Bucket": "demo", "Key": "a/d.txt", "Body": "x", "IfNoneMatch": "*" }),
        "PreconditionFailed",
    )
    .await;
    run.refused("PutObject", json!({ "Bucket": "demo", "Key": "none", "Body": "x", "IfMatch": etag }), "NoSuchKey")
        .await;
    run.refused("PutObject", json!({ "Bucket": "none", "Key": "k", "Body": "x" }), "NoSuchBucket").await;
    run.refused("PutObject", json!({ "Bucket": "demo", "Key": "k".repeat(1025), "Body": "x" }), "KeyTooLongError")
        .await;
    let version = first["VersionId"].clone();
    run.good(
        "GetObject",
        json!({ "Bucket": "demo", "Key": "a/b c.txt", "VersionId": version, "ChecksumMode": "ENABLED" }),
    )
    .await;
    run.refused("GetObject", json!({ "Bucket": "demo", "Key": "none" }), "NoSuchKey").await;
    run.refused("GetObject", json!({ "Bucket": "demo", "Key": "a/d.txt", "VersionId": "none" }), "NoSuchVersion").await;
    run.refused("GetObject", json!({ "Bucket": "demo", "Key": "a/b c.txt", "IfMatch": "\"x\"" }), "PreconditionFailed")
        .await;
    run.refused("GetObject", json!({ "Bucket": "demo", "Key": "a/b c.txt", "Range": "bytes=900-" }), "InvalidRange")
        .await;
    run.good("HeadObject", json!({ "Bucket": "demo", "Key": "a/b c.txt" })).await;
    run.refused("HeadObject", json!({ "Bucket": "demo", "Key": "none" }), "").await;
    run.good(
        "CopyObject",
        json!({ "Bucket": "demo", "Key": "copy", "CopySource": "demo/a/b%20c.txt", "MetadataDirective": "COPY" }),
    )
    .await;
    run.refused("CopyObject", json!({ "Bucket": "demo", "Key": "copy", "CopySource": "demo/none" }), "NoSuchKey").await;
    let list = json!({ "Bucket": "demo", "Prefix": "a/", "MaxKeys": 1, "EncodingType": "url", "FetchOwner": true, "StartAfter": "a" });
    let page = run.good("ListObjectsV2", list).await;
    run.good(
        "ListObjectsV2",
        json!({ "Bucket": "demo", "Prefix": "a/", "ContinuationToken": page["NextContinuationToken"] }),
    )
    .await;
    run.plain("ListObjectsV2", json!({ "Bucket": "demo", "Delimiter": "/" })).await;
    run.refused("ListObjectsV2", json!({ "Bucket": "demo", "ContinuationToken": "forged" }), "InvalidArgument").await;
    run.good("DeleteObject", json!({ "Bucket": "demo", "Key": "copy" })).await;
    run.good("ListObjectVersions", json!({ "Bucket": "demo", "MaxKeys": 100, "EncodingType": "url" })).await;
    let page = run.plain("ListObjectVersions", json!({ "Bucket": "demo", "MaxKeys": 1, "Delimiter": "/" })).await;
    let mut next = json!({ "Bucket": "demo", "MaxKeys": 1, "Delimiter": "/" });
    for (from, to) in [("NextKeyMarker", "KeyMarker"), ("NextVersionIdMarker", "VersionIdMarker")] {
        if let Some(marker) = page.get(from).filter(|marker| *marker != &Value::Null) {
            next[to] = marker.clone();
        }
    }
    run.plain("ListObjectVersions", next).await;
    let delete =
        json!({ "Objects": [{ "Key": "a/d.txt" }, { "Key": "a/b c.txt", "VersionId": version }], "Quiet": false });
    run.good("DeleteObjects", json!({ "Bucket": "demo", "Delete": delete })).await;
}

async fn parts(run: &mut Run) {
    let of = |id: &Value, more: Value| {
        let mut input = json!({ "Bucket": "demo", "Key": "large", "UploadId": id });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let made = run
        .good(
            "CreateMultipartUpload",
            json!({ "Bucket": "demo", "Key": "large", "ContentType": "text/plain", "Metadata": { "team": "a" } }),
        )
        .await;
    let id = made["UploadId"].clone();
    let part = run.good("UploadPart", of(&id, json!({ "PartNumber": 1, "Body": "text" }))).await;
    run.refused("UploadPart", of(&json!("none"), json!({ "PartNumber": 1, "Body": "text" })), "NoSuchUpload").await;
    run.refused("UploadPart", of(&id, json!({ "PartNumber": 10_001, "Body": "text" })), "InvalidArgument").await;
    run.good("ListParts", of(&id, json!({ "MaxParts": 1 }))).await;
    run.refused("ListParts", of(&json!("none"), json!({})), "NoSuchUpload").await;
    run.good("ListMultipartUploads", json!({ "Bucket": "demo", "Prefix": "l" })).await;
    let whole = |etag: &Value| json!({ "MultipartUpload": { "Parts": [{ "ETag": etag, "PartNumber": 1 }] } });
    run.refused("CompleteMultipartUpload", of(&id, whole(&json!("\"x\""))), "InvalidPart").await;
    run.refused("CompleteMultipartUpload", of(&id, json!({ "MultipartUpload": { "Parts": [] } })), "MalformedXML")
        .await;
    run.good("CompleteMultipartUpload", of(&id, whole(&part["ETag"]))).await;
    run.plain("HeadObject", json!({ "Bucket": "demo", "Key": "large" })).await;
    let made = run.plain("CreateMultipartUpload", json!({ "Bucket": "demo", "Key": "large" })).await;
    run.good("AbortMultipartUpload", of(&made["UploadId"], json!({}))).await;
    run.refused("AbortMultipartUpload", of(&made["UploadId"], json!({})), "NoSuchUpload").await;
    run.good("ListObjects", json!({ "Bucket": "demo", "Prefix": "l", "MaxKeys": 1, "EncodingType": "url" })).await;
    run.plain("ListObjects", json!({ "Bucket": "demo", "Delimiter": "/", "Marker": "a" })).await;
}
