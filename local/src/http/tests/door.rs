//! Who is not let in, and in which words: the table of `auth::Refusal`, seen from outside.

use jiff::SignedDuration;

use super::super::testing::{Client, Draft};

/// The service, the target, the headers, the body.
type Call = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

/// One call a dialect.
const CALLS: [Call; 4] = [
    ("codecommit", "/", &[("x-amz-target", "CodeCommit_20150413.ListRepositories"), JSON], "{}"),
    ("sqs", "/", &[("x-amz-target", "AmazonSQS.ListQueues"), ("content-type", "application/x-amz-json-1.0")], "{}"),
    (
        "sts",
        "/",
        &[("content-type", "application/x-www-form-urlencoded")],
        "Action=GetCallerIdentity&Version=2011-06-15",
    ),
    ("s3", "/", &[], ""),
];
const JSON: (&str, &str) = ("content-type", "application/x-amz-json-1.1");

fn drafts(client: &Client) -> Vec<Draft> {
    let draft = |(service, target, headers, body): Call| {
        let method = if service == "s3" { "GET" } else { "POST" };
        let draft = client.draft(service, method, target).body(body);
        headers.iter().fold(draft, |draft, (name, value)| draft.header(name, value))
    };
    CALLS.into_iter().map(draft).collect()
}

/// Status and code of an answer, whatever its protocol; the older code of SQS with it.
fn told(answer: &str) -> String {
    let status = answer.split(' ').nth(1).unwrap_or_default();
    let between = |before: &str, after: &str| {
        answer.split_once(before).and_then(|(_, rest)| rest.split_once(after)).map(|(code, _)| code.to_owned())
    };
    let code = between("\"__type\":\"", "\"").or_else(|| between("<Code>", "</Code>")).unwrap_or_default();
    match between("x-amzn-query-error: ", ";Sender") {
        Some(older) => format!("{status} {code} {older}"),
        None => format!("{status} {code}"),
    }
}

/// What the four services say when each call is spoilt in the same way.
async fn say(client: &Client, spoil: impl Fn(Draft) -> Vec<u8>) -> [String; 4] {
    let mut said = Vec::new();
    for draft in drafts(client) {
        said.push(told(&client.exchange(&spoil(draft)).await));
    }
    said.try_into().unwrap()
}

fn replaced(request: &[u8], what: &str, with: &str) -> Vec<u8> {
    let text = String::from_utf8(request.to_vec()).unwrap();
    assert!(text.contains(what), "there is no {what} in {text}");
    text.replace(what, with).into_bytes()
}

#[tokio::test]
async fn every_service_refuses_a_stranger_in_its_own_words() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::start(dir.path()).await;
    let cloud = &client.running.cloud;
    assert_eq!(say(&client, |draft| draft.sign()).await.map(|said| said[..3].to_owned()), ["200", "200", "200", "200"]);

    let wrong_secret = |mut draft: Draft| {
        draft.keys.secret_access_key.push('x');
        draft.sign()
    };
    assert_eq!(
        say(&client, wrong_secret).await,
        [
            "400 InvalidSignatureException",
            "403 com.amazon.coral.service#InvalidSignatureException SignatureDoesNotMatch",
            "403 SignatureDoesNotMatch",
            "403 SignatureDoesNotMatch",
        ]
    );
    let unknown = |mut draft: Draft| {
        draft.keys.access_key_id = "AKIAIOSFODNN7EXAMPLE".to_owned();
        draft.sign()
    };
    assert_eq!(
        say(&client, unknown).await,
        [
            "400 UnrecognizedClientException",
            "403 com.amazon.coral.service#UnrecognizedClientException InvalidClientTokenId",
            "403 InvalidClientTokenId",
            "403 InvalidAccessKeyId",
        ]
    );
    let over = cloud.keys.session(&cloud.world, "Build", "1", Some(cloud.world.now() - SignedDuration::from_secs(1)));
    let expired = |mut draft: Draft| {
        draft.keys = over.clone();
        draft.sign()
    };
    assert_eq!(
        say(&client, expired).await,
        [
            "400 ExpiredTokenException",
            "403 com.amazon.coral.service#ExpiredTokenException ExpiredToken",
            "403 ExpiredToken",
            "400 ExpiredToken",
        ]
    );
    let session = cloud.keys.session(&cloud.world, "Build", "2", None);
    for token in [Some("another".to_owned()), None] {
        let wrong_token = |mut draft: Draft| {
            draft.keys = session.clone();
            draft.keys.session_token.clone_from(&token);
            draft.sign()
        };
        assert_eq!(
            say(&client, wrong_token).await,
            [
                "400 UnrecognizedClientException",
                "403 com.amazon.coral.service#UnrecognizedClientException InvalidClientTokenId",
                "403 InvalidClientTokenId",
                "400 InvalidToken",
            ]
        );
    }
    for minutes in [-16, 16] {
        let skewed = |mut draft: Draft| {
            draft.moment += SignedDuration::from_mins(minutes);
            draft.sign()
        };
        assert_eq!(
            say(&client, skewed).await,
            [
                "400 InvalidSignatureException",
                "403 com.amazon.coral.service#InvalidSignatureException SignatureDoesNotMatch",
                "403 SignatureDoesNotMatch",
                "403 RequestTimeTooSkewed",
            ]
        );
    }
    let other_region = |mut draft: Draft| {
        draft.region = "ap-east-1".to_owned();
        draft.sign()
    };
    assert_eq!(
        say(&client, other_region).await,
        [
            "400 InvalidSignatureException",
            "403 com.amazon.coral.service#InvalidSignatureException SignatureDoesNotMatch",
            "403 SignatureDoesNotMatch",
            "400 AuthorizationHeaderMalformed",
        ]
    );
    client.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_request_that_is_not_signed_as_it_should_be_is_told_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::start(dir.path()).await;
    let not_signed = |draft: Draft| {
        let signed = String::from_utf8(draft.sign()).unwrap();
        let line = signed.lines().find(|line| line.starts_with("authorization")).unwrap().to_owned();
        // A DELETE, as an unsigned GET may be a browser's.
        signed.replace(&format!("{line}\r\n"), "").replacen("GET / ", "DELETE /demo ", 1).into_bytes()
    };
    // Without a signature nobody knows that the form was meant for STS but by its kind.
    assert_eq!(
        say(&client, not_signed).await,
        [
            "400 MissingAuthenticationTokenException",
            "403 com.amazon.coral.service#MissingAuthenticationTokenException MissingAuthenticationToken",
            "403 MissingAuthenticationToken",
            "403 AccessDenied",
        ]
    );
    let malformed = [
        "400 IncompleteSignatureException",
        "400 com.amazon.coral.service#IncompleteSignatureException IncompleteSignature",
        "400 IncompleteSignature",
        "400 AuthorizationHeaderMalformed",
    ];
    for (what, with) in [
        ("/aws4_request", "/aws5_request"),
        ("/aws4_request", ""),
        ("SignedHeaders=host;", "SignedHeaders="),
        ("Signature=", "Sgn="),
        ("AWS4-HMAC-SHA256", "AWS9-HMAC-SHA256"),
        ("x-amz-date: 2", "x-amz-date: 1"),
    ] {
        assert_eq!(say(&client, |draft| replaced(&draft.sign(), what, with)).await, malformed, "{what}");
    }
    let body_differs = |draft: Draft| replaced(&draft.body("{\"a\":1}").sign(), "{\"a\":1}", "{\"a\":2}");
    assert_eq!(
        say(&client, body_differs).await,
        [
            "400 InvalidSignatureException",
            "403 com.amazon.coral.service#InvalidSignatureException SignatureDoesNotMatch",
            "403 SignatureDoesNotMatch",
            "400 XAmzContentSHA256Mismatch",
        ]
    );
    let old = replaced(&client.draft("s3", "GET", "/").sign(), "AWS4-HMAC-SHA256 ", "AWS ");
    assert_eq!(told(&client.exchange(&old).await), "400 InvalidRequest");
    let slipped_in =
        replaced(&client.draft("s3", "GET", "/").sign(), "connection:", "x-amz-acl: private\r\nconnection:");
    let answer = client.exchange(&slipped_in).await;
    assert!(answer.contains("<HeadersNotSigned>x-amz-acl</HeadersNotSigned>"), "{answer}");
    let wrong = client.exchange(&replaced(&client.draft("s3", "GET", "/").sign(), "GET / ", "GET /other ")).await;
    assert!(wrong.contains("<CanonicalRequest>GET\n/other\n"), "what was signed can be compared: {wrong}");
    client.running.stop().await.unwrap();
}
