use hyper::HeaderMap;

use super::*;

/// The example of AWS's signing documentation and of its published test suite: key, secret, moment, region.
const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const MOMENT: &str = "2015-08-30T12:36:00Z";

fn world() -> World {
    World::new(std::path::PathBuf::new(), "us-east-1", 1)
}

fn keys() -> Keys {
    let keys = Keys::default();
    keys.add(Credentials {
        access_key_id: KEY.to_owned(),
        secret_access_key: SECRET.to_owned(),
        session_token: None,
        arn: "arn:aws:iam::111122223333:user/developer".to_owned(),
        expires: None,
    });
    keys
}

struct Request {
    method: &'static str,
    query: &'static str,
    headers: HeaderMap,
    body: &'static [u8],
}

impl Request {
    fn new(method: &'static str, query: &'static str, headers: &[(&'static str, &str)]) -> Self {
        let headers = headers.iter().map(|(name, value)| {
            (hyper::header::HeaderName::from_static(name), value.parse::<hyper::header::HeaderValue>().unwrap())
        });
        Self { method, query, headers: headers.collect(), body: b"" }
    }

    /// `ListUsers` of IAM, as the signing documentation works it out.
    fn list_users() -> Self {
        let authorization = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
                             SignedHeaders=content-type;host;x-amz-date, \
                             Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
        Self::new(
            "GET",
            "Action=ListUsers&Version=2010-05-08",
            &[
                ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
                ("host", "iam.amazonaws.com"),
                ("x-amz-date", "20150830T123600Z"),
                ("authorization", authorization),
            ],
        )
    }

    fn set(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    fn check_at(&self, keys: &Keys, moment: &str) -> Result<(Caller, Scope), Refusal> {
        let parts =
            SignedParts { method: self.method, path: "/", query: self.query, headers: &self.headers, body: self.body };
        keys.check(&parts, moment.parse().unwrap())
    }

    fn refused(&self) -> String {
        self.check_at(&keys(), MOMENT).unwrap_err().told(Dialect::Json).code.to_owned()
    }
}

#[test]
fn the_documented_example_is_accepted_and_tells_who_calls_what() {
    let (caller, scope) = Request::list_users().check_at(&keys(), MOMENT).unwrap();
    assert_eq!(caller.arn, "arn:aws:iam::111122223333:user/developer");
    assert_eq!(scope, Scope { region: "us-east-1".to_owned(), service: "iam".to_owned() });
}

#[test]
fn the_simplest_request_of_the_published_test_suite_is_accepted() {
    let authorization = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                         SignedHeaders=host;x-amz-date, \
                         Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
    let headers =
        [("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z"), ("authorization", authorization)];
    Request::new("GET", "", &headers).check_at(&keys(), MOMENT).unwrap();
}

#[test]
fn what_was_altered_on_the_way_is_refused() {
    let mut request = Request::list_users();
    request.body = b"Action=DeleteUser";
    assert_eq!(request.refused(), "InvalidSignatureException");
    let mut request = Request::list_users();
    request.query = "Action=DeleteUser&Version=2010-05-08";
    assert_eq!(request.refused(), "InvalidSignatureException");
    let mut request = Request::list_users();
    request.method = "POST";
    assert_eq!(request.refused(), "InvalidSignatureException");
    assert_eq!(Request::list_users().set("host", "example.com").refused(), "InvalidSignatureException");
    let hash = "0".repeat(64);
    assert_eq!(Request::list_users().set("x-amz-content-sha256", &hash).refused(), "InvalidSignatureException");
    // A header that was not signed may change: proxies do that.
    Request::list_users().set("user-agent", "x").check_at(&keys(), MOMENT).unwrap();
}

#[test]
fn clocks_may_be_off_by_a_quarter_of_an_hour_either_way() {
    for near in ["2015-08-30T12:21:00Z", "2015-08-30T12:51:00Z"] {
        Request::list_users().check_at(&keys(), near).unwrap();
    }
    for far in ["2015-08-30T12:20:59Z", "2015-08-30T12:51:01Z", "2016-08-30T12:36:00Z"] {
        let refused = Request::list_users().check_at(&keys(), far).unwrap_err();
        let said = |dialect| refused.told(dialect);
        assert_eq!(
            (said(Dialect::S3).code, said(Dialect::Query).code),
            ("RequestTimeTooSkewed", "SignatureDoesNotMatch")
        );
        let message = said(Dialect::Json).message;
        let words = if far.ends_with("20:59Z") {
            "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z"
        } else {
            "Signature expired: 20150830T123600Z is now earlier than 20"
        };
        assert!(message.starts_with(words), "{message}");
    }
}

#[test]
fn unknown_expired_and_half_given_keys_are_refused_each_in_its_way() {
    let refused = |keys: &Keys, request: &Request| request.check_at(keys, MOMENT).unwrap_err().told(Dialect::Json);
    let unknown = refused(&Keys::default(), &Request::list_users());
    assert_eq!(unknown.code, "UnrecognizedClientException");
    assert!(unknown.message.contains("AKIDEXAMPLE") && unknown.message.contains("signalbox serve"), "{unknown:?}");

    let session = |expires: &str| {
        let keys = Keys::default();
        keys.add(Credentials {
            access_key_id: KEY.to_owned(),
            secret_access_key: SECRET.to_owned(),
            session_token: Some("token".to_owned()),
            arn: "arn:aws:sts::111122223333:assumed-role/R/S".to_owned(),
            expires: Some(expires.parse().unwrap()),
        });
        keys
    };
    let (over, good) = (session("2015-08-30T12:36:00Z"), session("2015-08-30T12:36:01Z"));
    let with_token = || Request::list_users().set("x-amz-security-token", "token");
    with_token().check_at(&good, MOMENT).unwrap();
    assert_eq!(refused(&over, &with_token()).code, "ExpiredTokenException");
    assert_eq!(refused(&good, &Request::list_users()).code, "UnrecognizedClientException");
    let other = Request::list_users().set("x-amz-security-token", "other");
    assert_eq!(refused(&good, &other).code, "UnrecognizedClientException");
}

#[test]
fn headers_that_are_missing_or_make_no_sense_are_named() {
    let without = |name: &str| {
        let mut request = Request::list_users();
        request.headers.remove(name);
        request
    };
    assert_eq!(without("authorization").refused(), "MissingAuthenticationTokenException");
    assert_eq!(without("x-amz-date").refused(), "IncompleteSignatureException");
    for wrong in [
        "Bearer x",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE, SignedHeaders=host, Signature=x",
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, Signature=x",
    ] {
        assert_eq!(Request::list_users().set("authorization", wrong).refused(), "IncompleteSignatureException");
    }
    assert_eq!(Request::list_users().set("x-amz-date", "yesterday").refused(), "IncompleteSignatureException");
}

#[test]
fn keys_that_are_handed_out_are_good_at_once_and_show_no_secret() {
    let world = world();
    let keys = Keys::default();
    let user = keys.user(&world, "developer");
    let session = keys.session(&world, "Build", "1", None);
    assert!(user.access_key_id.starts_with("AKIA") && session.access_key_id.starts_with("ASIA"));
    assert_eq!(session.arn, "arn:aws:sts::111122223333:assumed-role/Build/1");
    assert!(!format!("{keys:?}").contains(&user.secret_access_key));
}
