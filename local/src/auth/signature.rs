//! Signature Version 4, checked as AWS documents it, over what was really received: in the `Authorization` header or, for
//! S3, in the fields of a presigned address.

use hyper::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::chunked::{Chain, NotChunked, Unsigned, Wrong, is_streamed};
use super::refusal::Refusal;
use super::{CLOCK_SKEW_SECONDS, Caller, Keys, sign, signing_key};

/// The longest that a presigned address can be good for: a week.
const LONGEST_LINK: i64 = 7 * 24 * 60 * 60;

/// The fields that sign an address; whoever reads the query behind the front does not see them.
const LINK_FIELDS: &[&str] = &[
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
];

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

/// A signature taken apart.
struct Signature<'a> {
    id: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    signed_headers: &'a str,
    stamp: &'a str,
    then: Timestamp,
    token: Option<String>,
    signature: &'a str,
    /// How long it is good, where it is part of an address.
    good_for: Option<i64>,
}

/// Whether an address is presigned, be it in the way of version 4 or in the one before.
pub(crate) fn is_presigned(query: &str) -> bool {
    fields(query).any(|(key, _)| key == "X-Amz-Signature" || key == "X-Amz-Algorithm" || key == "AWSAccessKeyId")
}

/// The service that a signature claims to be for, be it good or not: in its words it is refused.
pub(crate) fn claimed_service(headers: &HeaderMap, query: &str) -> Option<String> {
    let credential = match header(headers, "authorization") {
        Some(authorization) => authorization.split_once("Credential=")?.1.split(',').next()?.to_owned(),
        None => field(query, "X-Amz-Credential")?,
    };
    credential.split('/').nth(3).map(str::to_owned)
}

/// A query without the fields that sign it.
pub(crate) fn unsigned_query(query: &str) -> String {
    let kept = query.split('&').filter(|pair| {
        let key = decode(pair.split_once('=').map_or(*pair, |(key, _)| key));
        !LINK_FIELDS.contains(&key.as_str())
    });
    kept.collect::<Vec<_>>().join("&")
}

impl Keys {
    /// Checks a request's signature; gives who called and the region and service that were signed for.
    ///
    /// # Errors
    /// Why not, for a service to put into its own words.
    pub fn check(&self, request: &SignedParts<'_>, now: Timestamp) -> Result<(Caller, Scope), Refusal> {
        match header(request.headers, "authorization") {
            Some(authorization) => self.verify(&Signature::in_header(authorization, request.headers)?, request, now),
            None if is_presigned(request.query) => {
                let credential = needed(request.query, "X-Amz-Credential")?;
                let signed_headers = needed(request.query, "X-Amz-SignedHeaders")?;
                let stamp = needed(request.query, "X-Amz-Date")?;
                let signature = needed(request.query, "X-Amz-Signature")?;
                let signature = Signature::in_address(request.query, &credential, &signed_headers, &stamp, &signature)?;
                self.verify(&signature, request, now)
            }
            None => Err(Refusal::NotSigned),
        }
    }

    fn verify(
        &self,
        signature: &Signature<'_>,
        request: &SignedParts<'_>,
        now: Timestamp,
    ) -> Result<(Caller, Scope), Refusal> {
        let Signature { id, date, region, service, stamp, .. } = *signature;
        signature.check_time(now)?;
        let keys = self.find(id, signature.token.as_deref(), now)?;
        let hash = signature.payload_hash(request)?;
        let canonical = signature.canonical(request, &hash);
        let to_sign = format!(
            "AWS4-HMAC-SHA256\n{stamp}\n{date}/{region}/{service}/aws4_request\n{}",
            hex::encode(Sha256::digest(&canonical))
        );
        if sign(&keys.secret_access_key, date, region, service, &to_sign) != signature.signature {
            let (id, provided) = (id.to_owned(), signature.signature.to_owned());
            return Err(Refusal::WrongSignature { id, provided, to_sign, canonical });
        }
        if service == "s3" {
            signature.check_all_signed(request.headers)?;
        }
        let scope = format!("{date}/{region}/{service}/aws4_request");
        let key = signing_key(&keys.secret_access_key, date, region, service);
        let chain = Chain { key: &key, stamp, scope: &scope, seed: signature.signature };
        chain.check(&hash, request.body).map_err(|wrong| match wrong {
            Wrong::Form(NotChunked::Incomplete(what)) => Refusal::NotChunked(what),
            Wrong::Form(NotChunked::Trailer) => Refusal::NotChunked("its trailer is not made of fields".to_owned()),
            Wrong::Signature(Unsigned { provided, to_sign }) => {
                Refusal::WrongSignature { id: id.to_owned(), provided, to_sign, canonical: String::new() }
            }
        })?;
        let scope = Scope { region: region.to_owned(), service: service.to_owned() };
        Ok((Caller { arn: keys.arn, access_key_id: keys.access_key_id }, scope))
    }
}

impl<'a> Signature<'a> {
    fn in_header(authorization: &'a str, headers: &'a HeaderMap) -> Result<Self, Refusal> {
        if authorization.starts_with("AWS ") {
            return Err(Refusal::OldSigning);
        }
        let fields = authorization.strip_prefix("AWS4-HMAC-SHA256").ok_or_else(|| {
            Refusal::Malformed("Authorization header is not of the kind AWS4-HMAC-SHA256.".to_owned())
        })?;
        let field = |name: &str| {
            fields
                .split(',')
                .filter_map(|field| field.trim().split_once('='))
                .find_map(|(key, value)| (key == name).then_some(value))
                .ok_or_else(|| Refusal::Malformed(format!("Authorization header requires '{name}' parameter.")))
        };
        let credential = field("Credential")?;
        let (signed_headers, signature) = (field("SignedHeaders")?, field("Signature")?);
        let stamp = header(headers, "x-amz-date").ok_or_else(|| {
            Refusal::Malformed("Authorization header requires existence of an 'X-Amz-Date' header.".to_owned())
        })?;
        let token = header(headers, "x-amz-security-token").map(str::to_owned);
        Self::parse(credential, signed_headers, stamp, signature, token, None).map_err(Refusal::Malformed)
    }

    fn in_address(
        query: &str,
        credential: &'a str,
        signed_headers: &'a str,
        stamp: &'a str,
        signature: &'a str,
    ) -> Result<Self, Refusal> {
        if needed(query, "X-Amz-Algorithm")? != "AWS4-HMAC-SHA256" {
            let what = "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"";
            return Err(Refusal::MalformedQuery(what.to_owned()));
        }
        let good_for: i64 = needed(query, "X-Amz-Expires")?
            .parse()
            .map_err(|_| Refusal::MalformedQuery("X-Amz-Expires should be a number".to_owned()))?;
        if good_for < 0 {
            return Err(Refusal::MalformedQuery("X-Amz-Expires must be non-negative".to_owned()));
        }
        if good_for > LONGEST_LINK {
            return Err(Refusal::MalformedQuery(format!(
                "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than {LONGEST_LINK} seconds"
            )));
        }
        let token = field(query, "X-Amz-Security-Token");
        let parsed = Self::parse(credential, signed_headers, stamp, signature, token, Some(good_for));
        let parsed = parsed.map_err(Refusal::MalformedQuery)?;
        if parsed.service != "s3" {
            let what = format!("a presigned address is good for s3 only here, not for {}", parsed.service);
            return Err(Refusal::MalformedQuery(what));
        }
        Ok(parsed)
    }

    fn parse(
        credential: &'a str,
        signed_headers: &'a str,
        stamp: &'a str,
        signature: &'a str,
        token: Option<String>,
        good_for: Option<i64>,
    ) -> Result<Self, String> {
        let parts: Vec<&str> = credential.split('/').collect();
        let [id, date, region, service, "aws4_request"] = *parts.as_slice() else {
            return Err(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/aws4_request, got '{credential}'"
            ));
        };
        if !signed_headers.split(';').any(|name| name == "host") {
            return Err("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".to_owned());
        }
        let then = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", stamp)
            .and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC))
            .map_err(|_| format!("Date must be in ISO-8601 'basic format'. Got '{stamp}'."))?
            .timestamp();
        if stamp.get(..8) != Some(date) {
            return Err(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{date}' is not in '{stamp}'."
            ));
        }
        Ok(Self { id, date, region, service, signed_headers, stamp, then, token, signature, good_for })
    }

    fn check_time(&self, now: Timestamp) -> Result<(), Refusal> {
        let Some(seconds) = self.good_for else { return check_clock(self.stamp, self.then, now) };
        let until = self.then + SignedDuration::from_secs(seconds);
        if until < now {
            return Err(Refusal::LinkOver { seconds, until, now });
        }
        // It may be old, but not of the future.
        check_clock(self.stamp, self.then.max(now), now)
    }

    /// The word for the body that is part of what was signed, held against the body.
    fn payload_hash(&self, request: &SignedParts<'_>) -> Result<String, Refusal> {
        let really = || hex::encode(Sha256::digest(request.body));
        match header(request.headers, "x-amz-content-sha256") {
            Some(word) if word == "UNSIGNED-PAYLOAD" => Ok(word.to_owned()),
            // Only S3 takes a body in chunks.
            Some(word) if self.service == "s3" && is_streamed(word) => Ok(word.to_owned()),
            Some(stated) => {
                let really = really();
                if stated == really {
                    return Ok(really);
                }
                Err(Refusal::BodyDiffers { stated: stated.to_owned(), really })
            }
            None if self.good_for.is_some() => Ok("UNSIGNED-PAYLOAD".to_owned()),
            None if self.service == "s3" => Err(Refusal::NoPayloadHash),
            None => Ok(really()),
        }
    }

    fn canonical(&self, request: &SignedParts<'_>, hash: &str) -> String {
        let mut canonical = format!(
            "{}\n{}\n{}\n",
            request.method,
            canonical_path(request.path, self.service),
            canonical_query(request.query)
        );
        for name in self.signed_headers.split(';') {
            let values: Vec<String> = request
                .headers
                .get_all(name)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .map(|value| value.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect();
            canonical.push_str(&format!("{name}:{}\n", values.join(",")));
        }
        canonical.push_str(&format!("\n{}\n{hash}", self.signed_headers));
        canonical
    }

    /// What tells S3 what to do must be signed, or anybody on the way could add to it.
    fn check_all_signed(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let missing: Vec<&str> = headers
            .keys()
            .map(|name| name.as_str())
            .filter(|name| name.starts_with("x-amz-") && !self.signed_headers.split(';').any(|signed| signed == *name))
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(Refusal::HeadersNotSigned(missing.join(", "))) }
    }
}

/// Holds the moment of signing against the present one.
pub(super) fn check_clock(stamp: &str, then: Timestamp, now: Timestamp) -> Result<(), Refusal> {
    let off = now.as_second() - then.as_second();
    if off.abs() > CLOCK_SKEW_SECONDS {
        return Err(Refusal::Skewed { stamp: stamp.to_owned(), then, now });
    }
    Ok(())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The fields of a query, decoded.
fn fields(query: &str) -> impl Iterator<Item = (String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(key, value)| (decode(key), decode(value)))
}

fn field(query: &str, name: &str) -> Option<String> {
    fields(query).find_map(|(key, value)| (key == name).then_some(value))
}

fn needed(query: &str, name: &str) -> Result<String, Refusal> {
    if field(query, "AWSAccessKeyId").is_some() {
        return Err(Refusal::OldSigning);
    }
    field(query, name).ok_or_else(|| {
        Refusal::MalformedQuery(format!(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters: {name} is missing."
        ))
    })
}

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// S3 signs the path as it is sent, once encoded; every other service signs it encoded twice.
fn canonical_path(path: &str, service: &str) -> String {
    path.split('/')
        .map(|segment| if service == "s3" { encode(&decode(segment)) } else { encode(segment) })
        .collect::<Vec<_>>()
        .join("/")
}

fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = fields(query)
        .filter(|(key, _)| key != "X-Amz-Signature")
        .map(|(key, value)| (encode(&key), encode(&value)))
        .collect();
    pairs.sort();
    pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&")
}
