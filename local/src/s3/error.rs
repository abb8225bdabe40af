//! What S3 answers when it refuses: its codes, its sentences, and the elements it adds for each.

use crate::error::ServiceError;

/// A refusal in S3's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
    /// Elements beside `Code` and `Message`, for instance `Key`.
    pub(super) details: Vec<(&'static str, String)>,
    /// Headers that go with the refusal, for instance `x-amz-delete-marker`.
    pub(super) headers: Vec<(&'static str, String)>,
}

/// What every operation of S3 returns.
pub(super) type Outcome<T> = Result<T, Refused>;

impl Refused {
    pub(super) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), details: Vec::new(), headers: Vec::new() }
    }

    pub(super) fn with(mut self, element: &'static str, value: impl Into<String>) -> Self {
        self.details.push((element, value.into()));
        self
    }

    pub(super) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn internal(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let message = format!("the local cloud cannot {what} {}: {error}", path.display());
        tracing::error!(%message, "S3 failed");
        Self::new(500, "InternalError", message)
    }

    pub(super) fn no_such_bucket(bucket: &str) -> Self {
        Self::new(404, "NoSuchBucket", "The specified bucket does not exist").with("BucketName", bucket)
    }

    pub(super) fn no_such_key(key: &str) -> Self {
        Self::new(404, "NoSuchKey", "The specified key does not exist.").with("Key", key)
    }

    pub(super) fn precondition_failed(condition: &str) -> Self {
        Self::new(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
            .with("Condition", condition)
    }

    pub(super) fn invalid_argument(name: &str, value: &str, message: impl Into<String>) -> Self {
        Self::new(400, "InvalidArgument", message).with("ArgumentName", name).with("ArgumentValue", value)
    }

    pub(super) fn malformed_xml(what: &str) -> Self {
        Self::new(
            400,
            "MalformedXML",
            format!(
                "The XML you provided was not well-formed or did not validate against our published schema: {what}"
            ),
        )
    }

    /// A header that means something here but that the local cloud cannot do: loud, as S3 itself is.
    pub(super) fn unsupported_header(name: &str) -> Self {
        Self::new(
            501,
            "NotImplemented",
            format!("A header you provided implies functionality that is not implemented: {name}; the local cloud's docs/assumptions.md lists what it offers"),
        )
        .with("Header", name)
    }
}

impl Refused {
    /// The error as other services see it. No `From`: a second way into `ServiceError` would leave `?` undecided
    /// everywhere else.
    pub(super) fn into_service(self) -> ServiceError {
        ServiceError { status: self.status, code: self.code, message: self.message }
    }
}

impl From<ServiceError> for Refused {
    fn from(error: ServiceError) -> Self {
        Self::new(error.status, &error.code, error.message)
    }
}
