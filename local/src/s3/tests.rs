//! The operations as a client sees them, without a socket.
use super::*;
use hyper::{HeaderMap, Method};

struct Client {
    s3: S3,
    _dir: tempfile::TempDir,
}

struct Got {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Got {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn all(&self, name: &str) -> Vec<&str> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        self.text.split(&open).skip(1).map(|rest| rest.split(&close).next().unwrap()).collect()
    }

    fn one(&self, name: &str) -> &str {
        self.all(name).first().copied().unwrap_or_default()
    }
}

impl Client {
    fn new(versioning: Versioning) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let world = Arc::new(World::new(dir.path().to_owned(), "eu-west-1", 1));
        let s3 = S3::open(&world).unwrap();
        s3.create_bucket("demo", versioning).unwrap();
        Self { s3, _dir: dir }
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Got {
        let mut request = hyper::Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, body) = request.body(Bytes::copy_from_slice(body)).unwrap().into_parts();
        let caller = crate::auth::Caller {
            arn: "arn:aws:iam::111122223333:user/developer".to_owned(),
            access_key_id: String::new(),
        };
        let reply = answer(&self.s3.store, &self.s3.world, Call { caller, head, body }, "id");
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        Got { status: reply.status, headers: reply.into_response("id").headers().clone(), text }
    }

    fn get(&self, path: &str) -> Got {
        self.send("GET", path, &[], b"")
    }

    fn put(&self, path: &str, body: &[u8]) -> Got {
        self.send("PUT", path, &[], body)
    }
}

#[test]
fn an_object_comes_back_with_everything_that_was_said_about_it() {
    let client = Client::new(Versioning::Off);
    let headers = [
        ("content-type", "application/json"),
        ("content-encoding", "aws-chunked,gzip"),
        ("x-amz-decoded-content-length", "5"),
        ("x-amz-meta-function", "trigger"),
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "alias/demo"),
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ];
    let chunked = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
    let put = client.send("PUT", "/demo/a/b%20c", &headers, chunked);
    assert_eq!(put.status, 200, "{}", put.text);
    assert_eq!(put.header("etag"), Some("\"5d41402abc4b2a76b9719d911017c592\""));
    assert_eq!(put.header("x-amz-checksum-crc32"), Some("NhCmhg=="));
    assert_eq!(put.header("x-amz-server-side-encryption-aws-kms-key-id"), Some("alias/demo"));
    assert_eq!(put.header("x-amz-version-id"), None);

    let get = client.send("GET", "/demo/a/b%20c?x-id=GetObject", &[("x-amz-checksum-mode", "ENABLED")], b"");
    assert_eq!((get.status, get.text.as_str()), (200, "hello"));
    assert_eq!(get.header("content-type"), Some("application/json"));
    assert_eq!(get.header("content-encoding"), Some("gzip"));
    assert_eq!(get.header("x-amz-meta-function"), Some("trigger"));
    assert_eq!(get.header("x-amz-checksum-crc32"), Some("NhCmhg=="));
    let head = client.send("HEAD", "/demo/a/b%20c", &[], b"");
    assert_eq!((head.status, head.text.as_str(), head.header("content-length")), (200, "", Some("5")));
    let part = client.send("GET", "/demo/a/b%20c", &[("range", "bytes=1-2")], b"");
    assert_eq!((part.status, part.text.as_str()), (206, "el"));
    assert_eq!(part.header("content-range"), Some("bytes 1-2/5"));
    assert_eq!(client.send("HEAD", "/demo/missing", &[], b"").text, "");
    assert_eq!(client.get("/demo/missing").one("Key"), "missing");
}

#[test]
fn a_body_that_is_not_what_its_checksum_says_is_refused_and_not_kept() {
    let client = Client::new(Versioning::Off);
    let wrong = [
        ("x-amz-checksum-crc32", "AAAAAA=="),
        ("x-amz-checksum-crc32c", "AAAAAA=="),
        ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA="),
        ("x-amz-checksum-sha1", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("x-amz-checksum-sha256", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="),
    ];
    for header in wrong {
        let refused = client.send("PUT", "/demo/k", &[header], b"hello");
        assert_eq!((refused.status, refused.one("Code")), (400, "BadDigest"), "{header:?}");
    }
    let chunked = [
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("x-amz-decoded-content-length", "5"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ];
    let send = |body: &[u8]| client.send("PUT", "/demo/k", &chunked, body).one("Code").to_owned();
    assert_eq!(send(b"5\r\nhellO\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"), "BadDigest");
    assert_eq!(send(b"5\r\nhello\r\n0\r\n\r\n"), "MalformedTrailerError");
    assert_eq!(send(b"4\r\nhell\r\n0\r\n\r\n"), "IncompleteBody");
    assert_eq!(client.send("PUT", "/demo/k", &[("content-md5", "x")], b"").one("Code"), "InvalidDigest");
    assert_eq!(client.get("/demo/k").one("Code"), "NoSuchKey");
}

#[test]
fn conditional_requests_answer_as_aws_does() {
    let client = Client::new(Versioning::Enabled);
    let status = |method: &str, header: (&str, &str)| client.send(method, "/demo/k", &[header], b"x").status;
    assert_eq!(status("PUT", ("if-match", "\"e\"")), 404);
    assert_eq!(status("DELETE", ("if-match", "*")), 412);
    assert_eq!(status("PUT", ("if-none-match", "*")), 200);
    let exists = client.send("PUT", "/demo/k", &[("if-none-match", "*")], b"y");
    assert_eq!(
        (exists.status, exists.one("Code"), exists.one("Condition")),
        (412, "PreconditionFailed", "If-None-Match")
    );
    let etag = client.send("HEAD", "/demo/k", &[], b"").header("etag").unwrap().to_owned();
    assert_eq!(status("GET", ("if-none-match", &etag)), 304);
    assert_eq!(status("GET", ("if-match", "\"other\"")), 412);
    assert_eq!(status("PUT", ("if-match", "\"other\"")), 412);
    assert_eq!(status("PUT", ("if-match", &etag)), 200);
    assert_eq!(status("DELETE", ("if-match", "\"other\"")), 412);
    assert_eq!(status("DELETE", ("if-match", &etag)), 204);
    // Behind a delete marker there is nothing.
    assert_eq!(status("PUT", ("if-match", &etag)), 404);
    assert_eq!(status("PUT", ("if-none-match", "*")), 200);
}

#[test]
fn versions_are_told_apart_until_they_are_deleted_for_good() {
    let client = Client::new(Versioning::Enabled);
    let first = client.put("/demo/k", b"one").header("x-amz-version-id").unwrap().to_owned();
    let second = client.put("/demo/k", b"two").header("x-amz-version-id").unwrap().to_owned();
    assert_ne!(first, second);
    let marker = client.send("DELETE", "/demo/k", &[], b"");
    assert_eq!((marker.status, marker.header("x-amz-delete-marker")), (204, Some("true")));
    let gone = client.get("/demo/k");
    assert_eq!((gone.status, gone.header("x-amz-delete-marker")), (404, Some("true")));
    assert_eq!(client.get(&format!("/demo/k?versionId={first}")).text, "one");
    assert_eq!(client.get("/demo/k?versionId=nonsense").one("Code"), "NoSuchVersion");

    let all = client.get("/demo?versions");
    let marker_id = marker.header("x-amz-version-id").unwrap();
    assert_eq!(all.all("VersionId"), [marker_id, second.as_str(), first.as_str()]);
    assert_eq!(all.all("IsLatest"), ["true", "false", "false"]);
    assert_eq!(client.send("DELETE", "/demo", &[], b"").one("Code"), "BucketNotEmpty");
    let body = format!(
        "<Delete><Object><Key>k</Key><VersionId>{first}</VersionId></Object><Object><Key>k</Key><VersionId>{second}</VersionId></Object><Object><Key>k</Key><VersionId>{marker_id}</VersionId></Object><Object><Key>never</Key><ETag>e</ETag></Object></Delete>"
    );
    assert_eq!(client.send("POST", "/demo?delete", &[], body.as_bytes()).one("Code"), "InvalidRequest");
    let md5 = checksum::md5_base64(body.as_bytes());
    let deleted = client.send("POST", "/demo?delete", &[("content-md5", &md5)], body.as_bytes());
    assert_eq!((deleted.all("Deleted").len(), deleted.all("Error").len(), deleted.one("Code")), (3, 1, "NoSuchKey"));
    assert_eq!(client.send("DELETE", "/demo", &[], b"").status, 204);
    assert_eq!(client.get("/demo/k").one("BucketName"), "demo");
}

/// All pages of a listing, one item each, as `Key` and `Prefix` elements.
fn walk(client: &Client, query: &str, size: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut next = String::new();
    loop {
        let page = client.get(&format!("/demo?list-type=2&max-keys={size}{query}{next}"));
        assert_eq!(page.status, 200, "{}", page.text);
        found.extend(page.all("Key").into_iter().map(str::to_owned));
        found.extend(
            page.all("CommonPrefixes").into_iter().map(|group| group.replace("<Prefix>", "").replace("</Prefix>", "")),
        );
        if page.one("IsTruncated") == "false" {
            return found;
        }
        next = format!("&continuation-token={}", page.one("NextContinuationToken"));
    }
}

#[test]
fn pages_of_any_size_hold_every_key_once() {
    let client = Client::new(Versioning::Off);
    let keys = ["a", "a/1", "a/2", "a/b/3", "a0", "b/", "b/x", "c"];
    for key in keys {
        client.put(&format!("/demo/{key}"), b"");
    }
    for size in ["1", "2", "3", "1000", "5000"] {
        assert_eq!(walk(&client, "", size), keys, "{size}");
        assert_eq!(walk(&client, "&prefix=a/", size), ["a/1", "a/2", "a/b/3"]);
        let mut grouped = walk(&client, "&delimiter=/", size);
        grouped.sort();
        assert_eq!(grouped, ["a", "a/", "a0", "b/", "c"], "{size}");
        assert_eq!(walk(&client, "&start-after=a/2", size), ["a/b/3", "a0", "b/", "b/x", "c"]);
        assert_eq!(walk(&client, "&prefix=zz", size), Vec::<String>::new());
    }
    assert_eq!(walk(&client, "&max-keys=0", "0"), Vec::<String>::new());
    let token = client.get("/demo?list-type=2&max-keys=1").one("NextContinuationToken").to_owned();
    for forged in [format!("{token}x"), "abc".to_owned(), String::new(), format!("{token}&prefix=a")] {
        let refused = client.get(&format!("/demo?list-type=2&continuation-token={forged}"));
        assert_eq!(refused.one("Code"), "InvalidArgument", "{forged}");
    }
    assert_eq!(client.get("/demo?list-type=2&max-keys=-1").one("Code"), "InvalidArgument");
    client.put("/demo/%07%26%20", b"");
    assert_eq!(client.get("/demo?list-type=2&encoding-type=url").one("Key"), "%07%26%20");
}

#[test]
fn pages_of_versions_go_on_where_they_stopped() {
    let client = Client::new(Versioning::Enabled);
    for key in ["a/1", "b", "a/1", "b", "a/2", "b"] {
        client.put(&format!("/demo/{key}"), b"");
    }
    let whole = client.get("/demo?versions");
    let mut found = Vec::new();
    let mut next = String::new();
    loop {
        let page = client.get(&format!("/demo?versions&max-keys=1{next}"));
        found.push(page.one("VersionId").to_owned());
        if page.one("IsTruncated") == "false" {
            break;
        }
        next =
            format!("&key-marker={}&version-id-marker={}", page.one("NextKeyMarker"), page.one("NextVersionIdMarker"));
    }
    assert_eq!(found, whole.all("VersionId"));
    assert_eq!(found.len(), 6);
    let grouped = client.get("/demo?versions&max-keys=1&delimiter=/");
    assert_eq!((grouped.one("NextKeyMarker"), grouped.all("Version").len()), ("a/", 0));
    assert_eq!(client.get("/demo?versions&delimiter=/&key-marker=a/").all("Version").len(), 3);
    assert_eq!(client.get("/demo?versions&version-id-marker=x").one("Code"), "InvalidArgument");
}

#[test]
fn what_is_configured_for_a_bucket_is_given_back() {
    let client = Client::new(Versioning::Off);
    assert!(client.get("/demo?location").text.contains(">eu-west-1<"));
    assert_eq!(client.get("/demo?versioning").one("Status"), "");
    let enable = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    assert_eq!(client.put("/demo?versioning", enable).status, 200);
    assert_eq!(client.get("/demo?versioning").one("Status"), "Enabled");
    assert_eq!(client.get("/demo?policy").one("Code"), "NoSuchBucketPolicy");
    assert_eq!(client.put("/demo?policy", b"[]").one("Code"), "MalformedPolicy");
    assert_eq!(client.put("/demo?policy", b"{\"Statement\":[]}").one("Code"), "MalformedPolicy");
    let policy =
        r#"{"Statement":{"Effect":"Deny","Principal":"*","Action":"s3:DeleteBucket","Resource":"arn:aws:s3:::demo"}}"#;
    assert_eq!(client.put("/demo?policy", policy.as_bytes()).status, 204);
    assert_eq!(client.get("/demo?policy").text, policy);
    assert_eq!(client.send("DELETE", "/demo?policy", &[], b"").status, 204);
    assert_eq!(client.get("/demo?policy").status, 404);
    assert_eq!(client.get("/demo?lifecycle").one("Code"), "NoSuchLifecycleConfiguration");
    assert_eq!(client.put("/demo?lifecycle", b"<Other/>").one("Code"), "MalformedXML");
    assert_eq!(client.get("/demo?publicAccessBlock").one("BlockPublicAcls"), "true");
    assert_eq!(client.get("/demo?encryption").one("SSEAlgorithm"), "AES256");
}

#[test]
fn buckets_are_made_listed_and_refused() {
    let client = Client::new(Versioning::Off);
    let here =
        b"<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
    assert_eq!(client.put("/other", here).status, 200);
    assert_eq!(client.put("/other", here).one("Code"), "BucketAlreadyOwnedByYou");
    assert_eq!(client.put("/third", b"").one("Code"), "IllegalLocationConstraintException");
    assert_eq!(client.put("/Bad_Name", here).one("Code"), "InvalidBucketName");
    assert_eq!(client.get("/").all("Name"), ["demo", "other"]);
    let page = client.get("/?max-buckets=1");
    assert_eq!(page.all("Name"), ["demo"]);
    assert_eq!(client.get(&format!("/?continuation-token={}", page.one("ContinuationToken"))).all("Name"), ["other"]);
    assert_eq!(client.send("HEAD", "/other", &[], b"").header("x-amz-bucket-region"), Some("eu-west-1"));
    assert_eq!(client.send("HEAD", "/third", &[], b"").status, 404);
    assert_eq!(client.send("PUT", "/k", &[("host", "other.localhost:4566")], b"hi").status, 200);
    assert_eq!(client.get("/other/k").text, "hi");
}

#[test]
fn what_is_not_offered_is_refused_loudly() {
    let client = Client::new(Versioning::Off);
    for (method, path, name) in [
        ("GET", "/demo/k?attributes", "GetObjectAttributes"),
        ("GET", "/demo?acl", "?acl"),
        ("PUT", "/demo/k?tagging", "?tagging"),
        ("DELETE", "/demo?cors", "?cors"),
    ] {
        let refused = client.send(method, path, &[], b"");
        assert_eq!((refused.status, refused.one("Code")), (501, "UnknownOperationException"), "{method} {path}");
        assert!(refused.one("Message").contains(name), "{}", refused.text);
    }
    for header in
        [("x-amz-tagging", "a=b"), ("x-amz-object-lock-mode", "GOVERNANCE"), ("x-amz-storage-class", "GLACIER")]
    {
        let refused = client.send("PUT", "/demo/k", &[header], b"");
        assert_eq!((refused.status, refused.one("Code")), (501, "NotImplemented"), "{header:?}");
    }
    assert_eq!(client.get("/demo/k?surprise=1").status, 501);
    assert_eq!(client.put(&format!("/demo/{}", "k".repeat(1025)), b"").one("Code"), "KeyTooLongError");
    let foreign = client.send("GET", "/demo/k", &[("x-amz-expected-bucket-owner", "999999999999")], b"");
    assert_eq!(foreign.one("Code"), "AccessDenied");
    assert_eq!(client.get("/demo/k").status, 404);
}

#[test]
fn a_copy_is_the_object_and_what_was_said_about_it() {
    let client = Client::new(Versioning::Enabled);
    client.send("PUT", "/demo/a%20b", &[("x-amz-meta-x", "1"), ("content-type", "text/plain")], b"hello");
    let copied = client.send("PUT", "/demo/c", &[("x-amz-copy-source", "/demo/a%20b")], b"");
    assert_eq!((copied.status, copied.one("ETag")), (200, "&quot;5d41402abc4b2a76b9719d911017c592&quot;"));
    let got = client.get("/demo/c");
    assert_eq!((got.text.as_str(), got.header("x-amz-meta-x")), ("hello", Some("1")));
    let itself = client.send("PUT", "/demo/c", &[("x-amz-copy-source", "demo/c")], b"");
    assert_eq!(itself.one("Code"), "InvalidRequest");
    let replaced = [("x-amz-copy-source", "demo/c"), ("x-amz-metadata-directive", "REPLACE"), ("content-type", "a/b")];
    assert_eq!(client.send("PUT", "/demo/c", &replaced, b"").status, 200);
    let got = client.get("/demo/c");
    assert_eq!((got.header("x-amz-meta-x"), got.header("content-type")), (None, Some("a/b")));
    assert_eq!(client.send("PUT", "/demo/d", &[("x-amz-copy-source", "demo/none")], b"").one("Code"), "NoSuchKey");
}

#[test]
fn other_parts_of_the_cloud_use_buckets_directly() {
    let client = Client::new(Versioning::Enabled);
    client.s3.create_bucket("demo", Versioning::Enabled).unwrap();
    client.s3.put("demo", "policy/signalbox.yaml", b"mode: observe\n").unwrap();
    let object = client.s3.get("demo", "policy/signalbox.yaml").unwrap().unwrap();
    assert_eq!(object.bytes, "mode: observe\n");
    assert!(object.version.is_some());
    assert_eq!(client.s3.get("demo", "policy").unwrap(), None);
    assert_eq!(client.s3.list("demo", "policy/").unwrap(), ["policy/signalbox.yaml"]);
    assert_eq!(client.s3.put("none", "k", b"").unwrap_err().code, "NoSuchBucket");
    let kept = "<LifecycleConfiguration><Rule><ID>old</ID><Status>Enabled</Status><Filter><Prefix>x/</Prefix></Filter><Expiration><Days>3</Days></Expiration></Rule></LifecycleConfiguration>";
    client.s3.set("demo", Setting::Lifecycle, kept).unwrap();
    assert_eq!(client.get("/demo?lifecycle").text, kept);
    let refused = client.s3.set("demo", Setting::Lifecycle, "<LifecycleConfiguration/>").unwrap_err();
    assert_eq!(refused.code, "MalformedXML");
    let policy =
        r#"{"Statement":{"Effect":"Deny","Principal":"*","Action":"s3:DeleteBucket","Resource":"arn:aws:s3:::demo"}}"#;
    client.s3.set("demo", Setting::Policy, policy).unwrap();
    assert_eq!(client.get("/demo?policy").text, policy);
}

#[tokio::test]
async fn a_signed_request_reaches_the_object_and_a_head_tells_its_length() {
    let dir = tempfile::tempdir().unwrap();
    let client = crate::http::testing::Client::start(dir.path()).await;
    client.running.cloud.s3.create_bucket("demo", Versioning::Enabled).unwrap();
    let put = client.send("s3", "PUT", "/demo/a%20b", &[("if-none-match", "*")], "hello").await;
    assert!(put.starts_with("HTTP/1.1 200"), "{put}");
    assert!(put.contains("x-amz-version-id: "), "{put}");
    let again = client.send("s3", "PUT", "/demo/a%20b", &[("if-none-match", "*")], "hello").await;
    assert!(again.starts_with("HTTP/1.1 412") && again.contains("<Code>PreconditionFailed</Code>"), "{again}");
    let head = client.send("s3", "HEAD", "/demo/a%20b", &[], "").await;
    assert!(head.contains("content-length: 5\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    let missing = client.send("s3", "HEAD", "/demo/none", &[], "").await;
    assert!(missing.starts_with("HTTP/1.1 404") && missing.ends_with("\r\n\r\n"), "{missing}");
    let listed = client.send("s3", "GET", "/demo?list-type=2", &[], "").await;
    assert!(listed.contains("<Key>a b</Key>"), "{listed}");
}

#[test]
fn a_large_object_arrives_in_parts_and_is_named_by_their_digests() {
    let client = Client::new(Versioning::Enabled);
    let begun = client.send("POST", "/demo/large?uploads", &[("x-amz-checksum-algorithm", "CRC32")], b"");
    assert_eq!(begun.status, 200, "{}", begun.text);
    let id = begun.one("UploadId").to_owned();
    let first = vec![b'a'; 5 * 1024 * 1024];
    let part = |number: u32, body: &[u8]| {
        client.put(&format!("/demo/large?partNumber={number}&uploadId={id}"), body).header("etag").unwrap().to_owned()
    };
    let (one, two) = (part(1, &first), part(2, b"b"));
    let finish = |parts: &[(u32, &str)]| {
        let parts: String = parts
            .iter()
            .map(|(number, etag)| format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"))
            .collect();
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        client.send("POST", &format!("/demo/large?uploadId={id}"), &[], body.as_bytes())
    };
    assert_eq!(client.get("/demo?uploads").all("UploadId"), [id.as_str()]);
    assert_eq!(client.get(&format!("/demo/large?uploadId={id}&max-parts=1")).one("NextPartNumberMarker"), "1");
    assert_eq!(finish(&[(2, &two), (1, &one)]).one("Code"), "InvalidPartOrder");
    assert_eq!(finish(&[(1, &one), (2, "\"0\"")]).one("Code"), "InvalidPart");
    let small = part(3, b"c");
    assert_eq!(finish(&[(2, &two), (3, &small)]).one("Code"), "EntityTooSmall");
    let done = finish(&[(1, &one), (2, &two)]);
    assert_eq!(done.status, 200, "{}", done.text);
    assert!(done.one("ETag").ends_with("-2&quot;") && done.header("x-amz-version-id").is_some(), "{}", done.text);
    let got = client.get("/demo/large");
    assert_eq!(got.text.len(), first.len() + 1);
    assert!(got.text.ends_with("ab"));
    assert_eq!(finish(&[(1, &one)]).one("Code"), "NoSuchUpload");
    let begun = client.send("POST", "/demo/large?uploads", &[], b"");
    let gone = format!("/demo/large?uploadId={}", begun.one("UploadId"));
    assert_eq!(client.send("DELETE", &gone, &[], b"").status, 204);
    assert_eq!(client.get(&gone).one("Code"), "NoSuchUpload");
}

#[test]
fn the_older_listing_goes_on_behind_a_key() {
    let client = Client::new(Versioning::Off);
    for key in ["a/1", "a/2", "b", "c"] {
        assert_eq!(client.put(&format!("/demo/{key}"), b"x").status, 200);
    }
    let first = client.get("/demo?max-keys=2");
    assert_eq!((first.all("Key"), first.one("IsTruncated"), first.one("NextMarker")), (vec!["a/1", "a/2"], "true", ""));
    assert_eq!(client.get("/demo?marker=a/2").all("Key"), ["b", "c"]);
    let grouped = client.get("/demo?delimiter=/&max-keys=1");
    assert_eq!(grouped.one("NextMarker"), "a/");
    assert_eq!(client.get("/demo?delimiter=/&marker=a/").all("Key"), ["b", "c"]);
}

/// Two uploads of one part at once: whichever is there, its bytes are those of its ETag.
#[test]
fn a_part_that_is_uploaded_twice_at_once_is_one_of_them_whole() {
    let client = Client::new(Versioning::Off);
    let id = client.send("POST", "/demo/k?uploads", &[], b"").one("UploadId").to_owned();
    let target = format!("/demo/k?partNumber=1&uploadId={id}");
    for round in 0..20 {
        std::thread::scope(|scope| {
            for letter in [b'a', b'b', b'c'] {
                let (client, target) = (&client, &target);
                scope.spawn(move || client.send("PUT", target, &[], &vec![letter; 100 + round]));
            }
            scope.spawn(|| client.get(&format!("/demo/k?uploadId={id}")));
        });
        let folder = client.s3.store.bucket("demo").unwrap().uploads().join(&id);
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(files.len(), 2, "one record a part: {files:?}");
        let file = std::fs::read(folder.join("1.part")).unwrap();
        let end = file.iter().position(|byte| *byte == b'\n').unwrap();
        let about: serde_json::Value = serde_json::from_slice(&file[..end]).unwrap();
        assert_eq!(about["etag"], super::checksum::md5_hex(&file[end + 1..]));
    }
    let listed = client.get(&format!("/demo/k?uploadId={id}"));
    let etag = listed.one("ETag").replace("&quot;", "\"");
    let body = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    );
    assert_eq!(client.send("POST", &format!("/demo/k?uploadId={id}"), &[], body.as_bytes()).status, 200);
    let text = client.get("/demo/k").text;
    assert!(text.len() == 119 && text.chars().all(|letter| text.starts_with(letter)), "{text}");
}
