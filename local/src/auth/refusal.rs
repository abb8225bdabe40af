//! Why a request gets no further than the front door, and how each protocol says so: the one table of it.

use jiff::{SignedDuration, Timestamp};

use super::CLOCK_SKEW_SECONDS;
use crate::cloud::BESIDE;
use crate::world::ACCOUNT;

/// How a service answers: the same refusal has other codes, words and statuses in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// AWS JSON: CodeCommit, CodeBuild, EventBridge, CloudWatch Logs.
    Json,
    /// SQS: AWS JSON, with the statuses of the Query protocol that it once spoke.
    Sqs,
    /// AWS Query: SNS, STS.
    Query,
    /// REST XML.
    S3,
}

/// Why a request is refused before a service sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody signed it.
    NotSigned,
    /// It is signed in a way that was given up.
    OldSigning,
    /// The signature is not well-formed; says what about it.
    Malformed(String),
    /// The fields of a presigned address are not well-formed; says what about them.
    MalformedQuery(String),
    /// S3 wants to be told the body's hash.
    NoPayloadHash,
    /// These headers came along without being signed.
    HeadersNotSigned(String),
    /// No key of that id was handed out.
    UnknownKey(String),
    /// The session's token is missing, wrong, or too much.
    WrongToken(String),
    /// The session is over.
    SessionOver,
    /// The moment of signing is too far from now.
    Skewed {
        /// The moment, as it was written.
        stamp: String,
        /// When it was signed.
        then: Timestamp,
        /// When it came.
        now: Timestamp,
    },
    /// A presigned address was used too late.
    LinkOver {
        /// For how many seconds it was good.
        seconds: i64,
        /// Until when it was good.
        until: Timestamp,
        /// When it came.
        now: Timestamp,
    },
    /// The signature is another than the one that belongs to what came.
    WrongSignature {
        /// The access key id.
        id: String,
        /// The signature that came.
        provided: String,
        /// What should have been signed.
        to_sign: String,
        /// What that was made from.
        canonical: String,
    },
    /// The body is not the one whose hash was signed.
    BodyDiffers {
        /// The hash that was stated.
        stated: String,
        /// The hash of what came.
        really: String,
    },
    /// A region that is not played.
    OtherRegion {
        /// The region that was signed for.
        asked: String,
        /// Those that are played.
        played: String,
        /// The home region.
        home: String,
    },
    /// A service that is not played in the account of the key.
    OtherAccount {
        /// The service's signing name.
        service: String,
        /// The account.
        account: String,
    },
    /// The body is larger than any that is taken; says what is.
    TooLarge(usize),
    /// The body does not come in chunks as its head says; says what about it.
    NotChunked(String),
    /// The body ended before its length was reached.
    CutOff,
    /// Nothing more came.
    Stalled,
}

/// A refusal in a protocol's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The HTTP status.
    pub status: u16,
    /// The code.
    pub code: &'static str,
    /// The sentence.
    pub message: String,
    /// Elements that S3 adds.
    pub details: Vec<(&'static str, String)>,
}

const WRONG_SIGNATURE: &str = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.";
const WRONG_TOKEN: &str = "The security token included in the request is invalid.";
const SESSION_OVER: &str = "The security token included in the request is expired";

impl Refusal {
    /// What a service of that dialect answers.
    pub fn told(&self, dialect: Dialect) -> Told {
        let (status, code) = self.code(dialect);
        Told { status, code, message: self.message(dialect), details: self.details() }
    }

    /// Status and code: JSON, SQS, Query, S3.
    fn code(&self, dialect: Dialect) -> (u16, &'static str) {
        let [json, sqs, query, s3] = match self {
            Self::NotSigned => [
                (400, "MissingAuthenticationTokenException"),
                (403, "MissingAuthenticationTokenException"),
                (403, "MissingAuthenticationToken"),
                (403, "AccessDenied"),
            ],
            Self::OldSigning => [
                (400, "IncompleteSignatureException"),
                (400, "IncompleteSignatureException"),
                (400, "IncompleteSignature"),
                (400, "InvalidRequest"),
            ],
            Self::Malformed(_) | Self::NoPayloadHash => [
                (400, "IncompleteSignatureException"),
                (400, "IncompleteSignatureException"),
                (400, "IncompleteSignature"),
                (400, if *self == Self::NoPayloadHash { "InvalidRequest" } else { "AuthorizationHeaderMalformed" }),
            ],
            Self::MalformedQuery(_) => [
                (400, "IncompleteSignatureException"),
                (400, "IncompleteSignatureException"),
                (400, "IncompleteSignature"),
                (400, "AuthorizationQueryParametersError"),
            ],
            Self::UnknownKey(_) | Self::WrongToken(_) => [
                (400, "UnrecognizedClientException"),
                (403, "UnrecognizedClientException"),
                (403, "InvalidClientTokenId"),
                if matches!(self, Self::UnknownKey(_)) { (403, "InvalidAccessKeyId") } else { (400, "InvalidToken") },
            ],
            Self::SessionOver => [
                (400, "ExpiredTokenException"),
                (403, "ExpiredTokenException"),
                (403, "ExpiredToken"),
                (400, "ExpiredToken"),
            ],
            Self::Skewed { .. }
            | Self::LinkOver { .. }
            | Self::WrongSignature { .. }
            | Self::BodyDiffers { .. }
            | Self::HeadersNotSigned(_)
            | Self::OtherRegion { .. } => [
                (400, "InvalidSignatureException"),
                (403, "InvalidSignatureException"),
                (403, "SignatureDoesNotMatch"),
                match self {
                    Self::Skewed { .. } => (403, "RequestTimeTooSkewed"),
                    Self::LinkOver { .. } | Self::HeadersNotSigned(_) => (403, "AccessDenied"),
                    Self::BodyDiffers { .. } => (400, "XAmzContentSHA256Mismatch"),
                    Self::OtherRegion { .. } => (400, "AuthorizationHeaderMalformed"),
                    _ => (403, "SignatureDoesNotMatch"),
                },
            ],
            Self::OtherAccount { .. } => [
                (501, "UnknownOperationException"),
                (501, "UnknownOperationException"),
                (501, "UnknownOperationException"),
                (501, "NotImplemented"),
            ],
            Self::TooLarge(_) => [
                (413, "RequestEntityTooLargeException"),
                (413, "RequestEntityTooLargeException"),
                (413, "RequestEntityTooLargeException"),
                (400, "EntityTooLarge"),
            ],
            Self::CutOff | Self::NotChunked(_) => [
                (400, "MalformedHttpRequestException"),
                (400, "MalformedHttpRequestException"),
                (400, "MalformedHttpRequestException"),
                (400, "IncompleteBody"),
            ],
            Self::Stalled => [
                (408, "RequestTimeoutException"),
                (408, "RequestTimeoutException"),
                (408, "RequestTimeoutException"),
                (400, "RequestTimeout"),
            ],
        };
        match dialect {
            Dialect::Json => json,
            Dialect::Sqs => sqs,
            Dialect::Query => query,
            Dialect::S3 => s3,
        }
    }

    fn message(&self, dialect: Dialect) -> String {
        let for_s3 = dialect == Dialect::S3;
        match self {
            Self::NotSigned if for_s3 => "Access Denied: the request is not signed".to_owned(),
            Self::NotSigned if dialect == Dialect::Query => "Request is missing Authentication Token".to_owned(),
            Self::NotSigned => "Missing Authentication Token".to_owned(),
            Self::OldSigning => {
                "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.".to_owned()
            }
            Self::Malformed(what) if for_s3 => format!("The authorization header is malformed; {what}"),
            Self::Malformed(what) | Self::MalformedQuery(what) => what.clone(),
            Self::NoPayloadHash => "Missing required header for this request: x-amz-content-sha256".to_owned(),
            Self::HeadersNotSigned(_) => "There were headers present in the request which were not signed".to_owned(),
            Self::UnknownKey(id) => {
                let said =
                    if for_s3 { "The AWS Access Key Id you provided does not exist in our records." } else { WRONG_TOKEN };
                format!("{said} The access key id {id} is not one that this local cloud handed out; take the export lines that `signalbox serve` prints")
            }
            Self::WrongToken(_) if for_s3 => "The provided token is malformed or otherwise invalid.".to_owned(),
            Self::WrongToken(_) => WRONG_TOKEN.to_owned(),
            Self::SessionOver if for_s3 => "The provided token has expired.".to_owned(),
            Self::SessionOver => SESSION_OVER.to_owned(),
            Self::Skewed { .. } if for_s3 => {
                "The difference between the request time and the current time is too large.".to_owned()
            }
            Self::Skewed { stamp, then, now } => {
                let skew = SignedDuration::from_secs(CLOCK_SKEW_SECONDS);
                let (now_at, before, after) = (now, basic(*now - skew), basic(*now + skew));
                let now = basic(*now);
                if then < now_at {
                    format!("Signature expired: {stamp} is now earlier than {before} ({now} - 15 min.)")
                } else {
                    format!("Signature not yet current: {stamp} is still later than {after} ({now} + 15 min.)")
                }
            }
            Self::LinkOver { .. } => "Request has expired".to_owned(),
            Self::WrongSignature { .. } if for_s3 => "The request signature we calculated does not match the signature you provided. Check your key and signing method.".to_owned(),
            Self::WrongSignature { .. } => WRONG_SIGNATURE.to_owned(),
            Self::BodyDiffers { .. } if for_s3 => {
                "The provided 'x-amz-content-sha256' header does not match what was computed.".to_owned()
            }
            Self::BodyDiffers { .. } => WRONG_SIGNATURE.to_owned(),
            Self::OtherRegion { asked, home, played } if for_s3 => {
                format!("The authorization header is malformed; the region '{asked}' is wrong; expecting '{home}' (this local cloud plays {played})")
            }
            Self::OtherRegion { asked, played, .. } => format!(
                "Credential should be scoped to a valid region, not '{asked}': this local cloud plays {played}; start it with --region {asked} for more"
            ),
            Self::OtherAccount { service, account } => format!(
                "the local cloud does not play {service} in the account {account}, only {}; {ACCOUNT} has everything",
                BESIDE.join(", ")
            ),
            Self::TooLarge(most) if for_s3 => {
                format!("Your proposed upload exceeds the maximum allowed size: the local cloud takes {most} bytes in one request")
            }
            Self::TooLarge(most) => format!("The request is larger than {most} bytes"),
            Self::NotChunked(what) => {
                format!("The request body terminated unexpectedly: the aws-chunked body is not well-formed, {what}")
            }
            Self::CutOff if for_s3 => {
                "You did not provide the number of bytes specified by the Content-Length HTTP header.".to_owned()
            }
            Self::CutOff => "The request ended before its body was whole".to_owned(),
            Self::Stalled => "Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed.".to_owned(),
        }
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::UnknownKey(id) => vec![("AWSAccessKeyId", id.clone())],
            Self::WrongToken(token) => vec![("Token-0", token.clone())],
            Self::HeadersNotSigned(names) => vec![("HeadersNotSigned", names.clone())],
            Self::Skewed { stamp, now, .. } => vec![
                ("RequestTime", stamp.clone()),
                ("ServerTime", seconds(*now)),
                ("MaxAllowedSkewMilliseconds", (CLOCK_SKEW_SECONDS * 1000).to_string()),
            ],
            Self::LinkOver { seconds: good_for, until, now } => vec![
                ("X-Amz-Expires", good_for.to_string()),
                ("Expires", seconds(*until)),
                ("ServerTime", seconds(*now)),
            ],
            Self::WrongSignature { id, provided, to_sign, canonical } => vec![
                ("AWSAccessKeyId", id.clone()),
                ("StringToSign", to_sign.clone()),
                ("SignatureProvided", provided.clone()),
                ("CanonicalRequest", canonical.clone()),
            ],
            Self::BodyDiffers { stated, really } => {
                vec![("ClientComputedContentSHA256", stated.clone()), ("S3ComputedContentSHA256", really.clone())]
            }
            Self::OtherRegion { home, .. } => vec![("Region", home.clone())],
            Self::TooLarge(most) => vec![("MaxSizeAllowed", most.to_string())],
            _ => Vec::new(),
        }
    }
}

/// A moment as signatures write it.
fn basic(moment: Timestamp) -> String {
    moment.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// A moment as S3 writes it.
fn seconds(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
