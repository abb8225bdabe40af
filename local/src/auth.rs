//! Who calls: the keys that the local cloud hands out, and the signatures made with them.
//!
//! Signature Version 4 is checked as AWS documents it, over what was really received; the git password is checked as the
//! AWS CLI's credential helper makes it (method `GIT`, no payload hash, a timestamp without its `Z` in the string to sign).

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use anyhow::Context;
use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

use crate::error::{Answer, ServiceError};
use crate::world::World;

/// How far a caller's clock may be off, as on AWS.
const CLOCK_SKEW_SECONDS: i64 = 15 * 60;

/// Who made a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user's ARN, or the assumed-role session's.
    pub arn: String,
    /// The access key id the call was signed with.
    pub access_key_id: String,
}

/// A set of credentials that the local cloud handed out.
#[derive(Clone)]
pub struct Credentials {
    /// `AKIA...` for a user, `ASIA...` for a session.
    pub access_key_id: String,
    /// The secret; never logged.
    pub secret_access_key: String,
    /// The session's token; a user has none.
    pub session_token: Option<String>,
    /// The ARN of whoever holds them.
    pub arn: String,
    /// When they end; a user's never do.
    pub expires: Option<Timestamp>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).field("arn", &self.arn).finish()
    }
}

/// All keys that are good here. They live as long as the process: nothing is kept on disk.
#[cfg_attr(test, derive(Default))]
pub struct Keys {
    by_id: RwLock<HashMap<String, Credentials>>,
    /// What all secrets are made from. Ids may be guessed from the world's seed, secrets may not.
    source: [u8; 32],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    /// An empty ring, with a source of secrets that only this process knows.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn draw() -> anyhow::Result<Self> {
        let mut source = [0; 32];
        getrandom::fill(&mut source).context("the system gives no random numbers")?;
        Ok(Self { by_id: RwLock::default(), source })
    }

    /// A secret that belongs to an access key id.
    fn secret(&self, access_key_id: &str, what: &str) -> String {
        hex::encode(mac(&self.source, &format!("{what} {access_key_id}")))
    }

    /// Long-lived keys of an IAM user.
    pub fn user(&self, world: &World, name: &str) -> Credentials {
        let access_key_id = format!("AKIA{}", world.hex(16).to_uppercase());
        self.add(Credentials {
            secret_access_key: self.secret(&access_key_id, "key"),
            access_key_id,
            session_token: None,
            arn: format!("arn:aws:iam::{}:user/{name}", world.account),
            expires: None,
        })
    }

    /// Keys of a role's session, good for an hour unless told otherwise.
    pub fn session(&self, world: &World, role: &str, session: &str, expires: Option<Timestamp>) -> Credentials {
        let access_key_id = format!("ASIA{}", world.hex(16).to_uppercase());
        self.add(Credentials {
            secret_access_key: self.secret(&access_key_id, "key"),
            session_token: Some(self.secret(&access_key_id, "token")),
            access_key_id,
            arn: format!("arn:aws:sts::{}:assumed-role/{role}/{session}", world.account),
            expires,
        })
    }

    fn add(&self, credentials: Credentials) -> Credentials {
        let mut keys = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
        // Sessions that ran out a while ago are forgotten: every build makes one.
        let past = Timestamp::now() - SignedDuration::from_hours(1);
        keys.retain(|_, there| there.expires.is_none_or(|end| end > past));
        keys.insert(credentials.access_key_id.clone(), credentials.clone());
        credentials
    }

    fn find(&self, access_key_id: &str, token: Option<&str>, now: Timestamp) -> Answer<Credentials> {
        let keys = self.by_id.read().unwrap_or_else(PoisonError::into_inner);
        let found = keys.get(access_key_id).ok_or_else(|| {
            ServiceError::with_status(
                403,
                "UnrecognizedClientException",
                format!("the access key id {access_key_id} is not one that this local cloud handed out; take the export lines that `signalbox serve` prints"),
            )
        })?;
        if found.session_token.as_deref() != token {
            return Err(ServiceError::with_status(
                403,
                "UnrecognizedClientException",
                "the security token included in the request is invalid",
            ));
        }
        if found.expires.is_some_and(|end| end <= now) {
            return Err(ServiceError::with_status(
                403,
                "ExpiredTokenException",
                "the security token included in the request is expired",
            ));
        }
        Ok(found.clone())
    }

    /// Checks a request's signature; gives who called and the region and service that were signed for.
    ///
    /// # Errors
    /// AWS's codes: `MissingAuthenticationTokenException`, `IncompleteSignatureException`, `UnrecognizedClientException`,
    /// `ExpiredTokenException`, `RequestExpired`, `InvalidSignatureException`.
    pub fn check(&self, request: &SignedParts<'_>, now: Timestamp) -> Answer<(Caller, Scope)> {
        let authorization = header(request.headers, "authorization").ok_or_else(|| {
            ServiceError::with_status(403, "MissingAuthenticationTokenException", "the request is not signed")
        })?;
        let incomplete = |what: &str| {
            ServiceError::with_status(400, "IncompleteSignatureException", format!("the Authorization header {what}"))
        };
        let fields = authorization
            .strip_prefix("AWS4-HMAC-SHA256")
            .ok_or_else(|| incomplete("is not of the kind AWS4-HMAC-SHA256"))?;
        let field = |name: &str| {
            fields
                .split(',')
                .filter_map(|field| field.trim().split_once('='))
                .find_map(|(key, value)| (key == name).then_some(value))
        };
        let credential = field("Credential").ok_or_else(|| incomplete("has no Credential"))?;
        let signed_headers = field("SignedHeaders").ok_or_else(|| incomplete("has no SignedHeaders"))?;
        let signature = field("Signature").ok_or_else(|| incomplete("has no Signature"))?;
        let parts: Vec<&str> = credential.split('/').collect();
        let [id, date, region, service, "aws4_request"] = parts.as_slice() else {
            return Err(incomplete("has a Credential that is not KEY/DATE/REGION/SERVICE/aws4_request"));
        };
        let scope = Scope { region: (*region).to_owned(), service: (*service).to_owned() };

        if !signed_headers.split(';').any(|name| name == "host") {
            return Err(incomplete("does not sign the host"));
        }
        let stamp = header(request.headers, "x-amz-date").ok_or_else(|| incomplete("comes without x-amz-date"))?;
        check_clock(stamp, now)?;
        if !stamp.starts_with(*date) {
            return Err(incomplete("has a Credential of another day than x-amz-date"));
        }
        let keys = self.find(id, header(request.headers, "x-amz-security-token"), now)?;

        let mut canonical = format!(
            "{}\n{}\n{}\n",
            request.method,
            canonical_path(request.path, service),
            canonical_query(request.query)
        );
        for name in signed_headers.split(';') {
            let values: Vec<String> = request
                .headers
                .get_all(name)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .map(|value| value.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect();
            canonical.push_str(&format!("{name}:{}\n", values.join(",")));
        }
        let body_hash = match header(request.headers, "x-amz-content-sha256") {
            Some(word) if word == "UNSIGNED-PAYLOAD" || word.starts_with("STREAMING-") => word.to_owned(),
            stated => {
                let really = hex::encode(Sha256::digest(request.body));
                if stated.is_some_and(|stated| stated != really) {
                    return Err(ServiceError::with_status(
                        400,
                        "XAmzContentSHA256Mismatch",
                        "the provided 'x-amz-content-sha256' header does not match what was computed",
                    ));
                }
                really
            }
        };
        canonical.push_str(&format!("\n{signed_headers}\n{body_hash}"));
        let to_sign = format!(
            "AWS4-HMAC-SHA256\n{stamp}\n{date}/{region}/{service}/aws4_request\n{}",
            hex::encode(Sha256::digest(canonical))
        );
        verify(&keys.secret_access_key, date, region, service, &to_sign, signature)?;
        Ok((Caller { arn: keys.arn, access_key_id: keys.access_key_id }, scope))
    }

    /// Checks the user name and password of a git request to `path` (`/v1/repos/NAME`) at one of `hosts`.
    ///
    /// # Errors
    /// The codes of [`Keys::check`]; git only sees the status.
    pub fn check_git(
        &self,
        user: &str,
        password: &str,
        hosts: &[&str],
        path: &str,
        region: &str,
        now: Timestamp,
    ) -> Answer<Caller> {
        let (id, token) = match user.split_once('%') {
            Some((id, token)) => (id, Some(token)),
            None => (user, None),
        };
        let keys = self.find(id, token, now)?;
        let (stamp, signature) = password.split_once('Z').ok_or_else(|| {
            ServiceError::with_status(
                403,
                "InvalidSignatureException",
                "the git password is not TIMESTAMP + Z + signature",
            )
        })?;
        check_clock(&format!("{stamp}Z"), now)?;
        let good =
            hosts.iter().any(|host| git_signature(&keys.secret_access_key, stamp, host, path, region) == signature);
        if !good {
            return Err(wrong_signature());
        }
        Ok(Caller { arn: keys.arn, access_key_id: keys.access_key_id })
    }
}

/// The user name and password that git sends for a repository, as AWS's credential helper makes them.
///
/// `path` is the URL's path (`/v1/repos/NAME`), `host` its host with the port if it has one.
pub fn git_credentials(
    keys: (&str, &str, Option<&str>),
    host: &str,
    path: &str,
    region: &str,
    now: Timestamp,
) -> (String, String) {
    let (id, secret, token) = keys;
    let stamp = now.strftime("%Y%m%dT%H%M%S").to_string();
    let user = token.map_or_else(|| id.to_owned(), |token| format!("{id}%{token}"));
    let signature = git_signature(secret, &stamp, host, path, region);
    (user, format!("{stamp}Z{signature}"))
}

fn git_signature(secret: &str, stamp: &str, host: &str, path: &str, region: &str) -> String {
    let date = stamp.get(..8).unwrap_or_default();
    let canonical = format!("GIT\n{path}\n\nhost:{host}\n\nhost\n");
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{stamp}\n{date}/{region}/codecommit/aws4_request\n{}",
        hex::encode(Sha256::digest(canonical))
    );
    sign(secret, date, region, "codecommit", &to_sign)
}

/// The region and service that a signature was made for: how the one endpoint knows which service is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// `eu-west-1`
    pub region: String,
    /// The signing name: `codecommit`, `codebuild`, `s3`, `sns`, `sqs`, `logs`, `events`, `sts`, ...
    pub service: String,
}

/// What a signature is made over.
#[derive(Debug)]
pub struct SignedParts<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The path as it came, still percent-encoded.
    pub path: &'a str,
    /// The query string as it came.
    pub query: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The body.
    pub body: &'a [u8],
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn check_clock(stamp: &str, now: Timestamp) -> Answer<()> {
    let then = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", stamp)
        .and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC))
        .map_err(|_| {
            ServiceError::with_status(400, "IncompleteSignatureException", format!("{stamp} is not a date"))
        })?;
    let off = now.as_second() - then.timestamp().as_second();
    if off.abs() > CLOCK_SKEW_SECONDS {
        return Err(ServiceError::with_status(
            403,
            "RequestExpired",
            format!(
                "the signature's time {stamp} is {} seconds off; the clocks must agree within 15 minutes",
                off.abs()
            ),
        ));
    }
    Ok(())
}

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// S3 signs the path as it is sent, once encoded; every other service signs it encoded twice.
fn canonical_path(path: &str, service: &str) -> String {
    let encode = |segment: &str| utf8_percent_encode(segment, UNRESERVED).to_string();
    path.split('/')
        .map(
            |segment| {
                if service == "s3" { encode(&percent_decode_str(segment).decode_utf8_lossy()) } else { encode(segment) }
            },
        )
        .collect::<Vec<_>>()
        .join("/")
}

fn canonical_query(query: &str) -> String {
    let encode =
        |text: &str| utf8_percent_encode(&percent_decode_str(text).decode_utf8_lossy(), UNRESERVED).to_string();
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (encode(key), encode(value)))
        .collect();
    pairs.sort();
    pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&")
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    Hmac::<Sha256>::new_from_slice(key)
        .map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec())
        .unwrap_or_default()
}

fn signing_key(secret: &str, date: &str, region: &str, service: &str) -> Vec<u8> {
    [date, region, service, "aws4_request"]
        .iter()
        .fold(format!("AWS4{secret}").into_bytes(), |key, part| mac(&key, part))
}

fn sign(secret: &str, date: &str, region: &str, service: &str, to_sign: &str) -> String {
    hex::encode(mac(&signing_key(secret, date, region, service), to_sign))
}

fn wrong_signature() -> ServiceError {
    ServiceError::with_status(
        403,
        "InvalidSignatureException",
        "the request signature we calculated does not match the signature you provided; check the secret access key",
    )
}

fn verify(secret: &str, date: &str, region: &str, service: &str, to_sign: &str, signature: &str) -> Answer<()> {
    let expected = sign(secret, date, region, service, to_sign);
    if expected == signature { Ok(()) } else { Err(wrong_signature()) }
}

#[cfg(test)]
mod tests {
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

        fn check_at(&self, keys: &Keys, moment: &str) -> Answer<(Caller, Scope)> {
            let parts = SignedParts {
                method: self.method,
                path: "/",
                query: self.query,
                headers: &self.headers,
                body: self.body,
            };
            keys.check(&parts, moment.parse().unwrap())
        }

        fn refused(&self) -> String {
            self.check_at(&keys(), MOMENT).unwrap_err().code
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
        assert_eq!(Request::list_users().set("x-amz-content-sha256", &hash).refused(), "XAmzContentSHA256Mismatch");
        // A header that was not signed may change: proxies do that.
        Request::list_users().set("user-agent", "x").check_at(&keys(), MOMENT).unwrap();
    }

    #[test]
    fn clocks_may_be_off_by_a_quarter_of_an_hour_either_way() {
        for near in ["2015-08-30T12:21:00Z", "2015-08-30T12:51:00Z"] {
            Request::list_users().check_at(&keys(), near).unwrap();
        }
        for far in ["2015-08-30T12:20:59Z", "2015-08-30T12:51:01Z", "2016-08-30T12:36:00Z"] {
            assert_eq!(Request::list_users().check_at(&keys(), far).unwrap_err().code, "RequestExpired", "{far}");
        }
    }

    #[test]
    fn unknown_expired_and_half_given_keys_are_refused_each_in_its_way() {
        let refused = |keys: &Keys, request: &Request| request.check_at(keys, MOMENT).unwrap_err();
        let unknown = refused(&Keys::default(), &Request::list_users());
        assert_eq!(unknown.code, "UnrecognizedClientException");
        assert!(unknown.message.contains("AKIDEXAMPLE") && unknown.message.contains("signalbox serve"), "{unknown}");

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
}
