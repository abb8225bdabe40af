//! Who calls: the keys that the local cloud hands out, and the signatures made with them.
//!
//! Signature Version 4 is checked as AWS documents it, over what was really received; the git password is checked as the
//! AWS CLI's credential helper makes it (method `GIT`, no payload hash, a timestamp without its `Z` in the string to sign).

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use jiff::Timestamp;
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
#[derive(Debug, Default)]
pub struct Keys {
    by_id: RwLock<HashMap<String, Credentials>>,
}

impl Keys {
    /// Long-lived keys of an IAM user.
    pub fn user(&self, world: &World, name: &str) -> Credentials {
        self.add(Credentials {
            access_key_id: format!("AKIA{}", world.hex(16).to_uppercase()),
            secret_access_key: world.hex(40),
            session_token: None,
            arn: format!("arn:aws:iam::{}:user/{name}", world.account),
            expires: None,
        })
    }

    /// Keys of a role's session, good for an hour unless told otherwise.
    pub fn session(&self, world: &World, role: &str, session: &str, expires: Option<Timestamp>) -> Credentials {
        self.add(Credentials {
            access_key_id: format!("ASIA{}", world.hex(16).to_uppercase()),
            secret_access_key: world.hex(40),
            session_token: Some(world.hex(64)),
            arn: format!("arn:aws:sts::{}:assumed-role/{role}/{session}", world.account),
            expires,
        })
    }

    fn add(&self, credentials: Credentials) -> Credentials {
        self.by_id
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(credentials.access_key_id.clone(), credentials.clone());
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

        let stamp = header(request.headers, "x-amz-date").ok_or_else(|| incomplete("comes without x-amz-date"))?;
        check_clock(stamp, now)?;
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
