//! Presigned addresses of S3, and bodies that come in signed or unsigned chunks.

use jiff::SignedDuration;
use serde_json::json;

use super::super::testing::{Client, Draft};
use crate::iam::Definition;
use crate::s3::Versioning;

#[tokio::test]
async fn a_presigned_address_is_good_for_what_it_was_signed_for_and_until_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::start(dir.path()).await;
    let cloud = &client.running.cloud;
    cloud.s3.create_bucket("demo", Versioning::Off).unwrap();
    let link = |method, target: &str| client.draft("s3", method, target).presign(600);
    let put = String::from_utf8(client.draft("s3", "PUT", "/demo/a%20b").body("hello").presign(600)).unwrap();
    assert!(client.exchange(put.as_bytes()).await.starts_with("HTTP/1.1 200"));
    let got = client.exchange(&link("GET", "/demo/a%20b")).await;
    assert!(got.starts_with("HTTP/1.1 200") && got.ends_with("hello"), "{got}");
    let kind = client.exchange(&link("GET", "/demo/a%20b?response-content-type=text%2Fcsv")).await;
    assert!(kind.contains("content-type: text/csv\r\n"), "{kind}");
    let read =
        json!({ "Statement": { "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::demo/*" } });
    cloud.world.iam.put_role("Build", Definition::of_service("codebuild.amazonaws.com", "read", read)).unwrap();
    let session = cloud.keys.session(&cloud.world, "Build", "1", None);
    let mut draft = client.draft("s3", "GET", "/demo/a%20b");
    draft.keys = session;
    assert!(client.exchange(&draft.presign(60)).await.ends_with("hello"));

    let refused = async |request: Vec<u8>, status: &str, words: &str| {
        let answer = client.exchange(&request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(words), "{words}: {answer}");
    };
    let mut old = client.draft("s3", "GET", "/demo/a%20b");
    old.moment -= SignedDuration::from_secs(61);
    assert!(client.exchange(&old.presign(3600)).await.ends_with("hello"), "it may be older than a request");
    refused(old.presign(60), "403", "Request has expired").await;
    old.moment += SignedDuration::from_hours(1);
    refused(old.presign(600), "403", "RequestTimeTooSkewed").await;
    let changed = |what: &str, with: &str| {
        let link = String::from_utf8(link("GET", "/demo/a%20b")).unwrap();
        assert!(link.contains(what), "{link}");
        link.replace(what, with).into_bytes()
    };
    refused(changed("/demo/a%20b", "/demo/other"), "403", "SignatureDoesNotMatch").await;
    refused(changed("GET ", "DELETE "), "403", "SignatureDoesNotMatch").await;
    refused(changed("X-Amz-Expires=600", "X-Amz-Expires=6000"), "403", "SignatureDoesNotMatch").await;
    refused(changed("X-Amz-Expires=600", "X-Amz-Expires=604801"), "400", "AuthorizationQueryParametersError").await;
    refused(changed("X-Amz-Expires=600", "X-Amz-Expires=-1"), "400", "AuthorizationQueryParametersError").await;
    refused(changed("X-Amz-Expires=600&", ""), "400", "X-Amz-Expires is missing").await;
    refused(changed("%2Fs3%2F", "%2Fsqs%2F"), "400", "for s3 only").await;
    refused(changed(&client.keys.access_key_id, "AKIAIOSFODNN7EXAMPLE"), "403", "InvalidAccessKeyId").await;
    refused(changed("connection:", "x-amz-meta-a: b\r\nconnection:"), "403", "HeadersNotSigned").await;
    client.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_body_in_chunks_is_decoded_and_held_against_the_checksum_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::start(dir.path()).await;
    client.running.cloud.s3.create_bucket("demo", Versioning::Off).unwrap();
    // As botocore sends it over https: the CRC32 of `hello world` behind two chunks.
    let send = async |checksum: &str, length: &str, body: &str| {
        let mut draft = client
            .draft("s3", "PUT", "/demo/k")
            .header("content-encoding", "aws-chunked")
            .header("x-amz-decoded-content-length", length)
            .header("x-amz-trailer", "x-amz-checksum-crc32")
            .body(body.replace("CHECKSUM", checksum));
        draft.payload = Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER".to_owned());
        client.exchange(&draft.sign()).await
    };
    let body = "5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:CHECKSUM\r\n\r\n";
    let good = send("DUoRhQ==", "11", body).await;
    assert!(good.starts_with("HTTP/1.1 200") && good.contains("x-amz-checksum-crc32: DUoRhQ=="), "{good}");
    let object = client.running.cloud.s3.get("demo", "k").unwrap().unwrap();
    assert_eq!(object.bytes, "hello world");
    for (checksum, length, body, code) in [
        ("DUoRhA==", "11", body, "BadDigest"),
        ("DUoRhQ==", "12", body, "IncompleteBody"),
        ("DUoRhQ==", "11", "5\r\nhello\r\n6\r\n wor", "IncompleteBody"),
        ("DUoRhQ==", "11", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "MalformedTrailerError"),
        ("DUoRhQ==", "11", "hello world", "IncompleteBody"),
    ] {
        let answer = send(checksum, length, body).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains(&format!("<Code>{code}</Code>")), "{answer}");
    }
    assert_eq!(client.running.cloud.s3.get("demo", "k").unwrap().unwrap(), object, "nothing of them was kept");
    client.running.stop().await.unwrap();
}

/// As the Java SDK sends it: each chunk is signed over the one before.
#[tokio::test]
async fn a_chunk_that_nobody_signed_is_refused_and_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::start(dir.path()).await;
    client.running.cloud.s3.create_bucket("demo", Versioning::Off).unwrap();
    let send = async |signatures: &dyn Fn(&Draft) -> [String; 2]| {
        let mut draft = client
            .draft("s3", "PUT", "/demo/k")
            .header("content-encoding", "aws-chunked")
            .header("x-amz-decoded-content-length", "5");
        draft.payload = Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD".to_owned());
        let [first, last] = signatures(&draft);
        let body = format!("5;chunk-signature={first}\r\nhello\r\n0;chunk-signature={last}\r\n\r\n");
        client.exchange(&draft.body(body).sign()).await
    };
    let good = send(&|draft| {
        let first = draft.sign_chunk(&draft.seed(), b"hello");
        let last = draft.sign_chunk(&first, b"");
        [first, last]
    })
    .await;
    assert!(good.starts_with("HTTP/1.1 200"), "{good}");
    client.running.cloud.s3.put("demo", "k", b"kept").unwrap();
    let other = send(&|draft| {
        let first = draft.sign_chunk(&draft.seed(), b"hullo");
        let last = draft.sign_chunk(&first, b"");
        [first, last]
    })
    .await;
    assert!(other.starts_with("HTTP/1.1 403") && other.contains("<Code>SignatureDoesNotMatch</Code>"), "{other}");
    let unchained =
        send(&|draft| [draft.sign_chunk(&draft.seed(), b"hello"), draft.sign_chunk(&draft.seed(), b"")]).await;
    assert!(unchained.contains("<Code>SignatureDoesNotMatch</Code>"), "{unchained}");
    assert_eq!(client.running.cloud.s3.get("demo", "k").unwrap().unwrap().bytes, "kept");
    let mut json = client
        .draft("codecommit", "POST", "/")
        .header("x-amz-target", "CodeCommit_20150413.ListRepositories")
        .body("{}");
    json.payload = Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER".to_owned());
    let refused = client.exchange(&json.sign()).await;
    assert!(refused.contains("InvalidSignatureException"), "only S3 takes chunks: {refused}");
    client.running.stop().await.unwrap();
}
