//! What went wrong, sorted into the two kinds that matter to a queue: try again, or never.

use std::error::Error;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use jiff::Timestamp;

/// A failed step.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It may succeed later: throttled, cut off, full, a race lost. The queue brings the event back.
    #[error("{0}")]
    Retry(Problem),
    /// It would fail the same way again: malformed, forbidden, impossible. It is recorded and finished.
    #[error("{0}")]
    Refused(Problem),
}

/// What was being done, and what was said to it.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {what}")]
pub struct Problem {
    /// The step, such as `codebuild:StartBuild on payments-unit`.
    pub doing: String,
    /// The answer, with AWS's error code where there is one, and what to do about it.
    pub what: String,
    /// AWS's error code.
    pub code: Option<String>,
    /// Before then it makes no sense to try again, where that is known.
    pub not_before: Option<Timestamp>,
    /// Where it comes from, for the log.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl Problem {
    fn new(doing: impl Into<String>, what: impl Into<String>) -> Self {
        Self { doing: doing.into(), what: what.into(), code: None, not_before: None, source: None }
    }

    fn told_by(self, code: Option<String>, source: impl Error + Send + Sync + 'static) -> Self {
        Self { code, source: Some(Box::new(source)), ..self }
    }
}

impl Failure {
    /// Something that may go better later.
    pub fn retry(doing: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Retry(Problem::new(doing, what))
    }

    /// Something that will not.
    pub fn refused(doing: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Refused(Problem::new(doing, what))
    }

    /// Another invocation works on it, until this moment at the latest: it may go better from then on.
    pub fn busy(doing: impl Into<String>, until: Timestamp) -> Self {
        let problem = Problem::new(doing, format!("another invocation works on it until {until}"));
        Self::Retry(Problem { not_before: Some(until), ..problem })
    }

    /// The same problem as one that may go better later: for what a person can mend while the event waits.
    #[must_use]
    pub fn into_retry(self) -> Self {
        match self {
            Self::Retry(problem) | Self::Refused(problem) => Self::Retry(problem),
        }
    }

    /// The problem inside, whichever kind it is.
    pub fn problem(&self) -> &Problem {
        match self {
            Self::Retry(problem) | Self::Refused(problem) => problem,
        }
    }

    /// AWS's error code, if AWS answered at all.
    pub fn code(&self) -> Option<&str> {
        self.problem().code.as_deref()
    }

    /// Whether the caller may not.
    pub fn is_forbidden(&self) -> bool {
        self.code().is_some_and(|code| FORBIDDEN.contains(&code))
    }

    /// The problem and everything below it, joined by colons: for the log, once, where it is handled.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut below = self.problem().source();
        while let Some(error) = below {
            let line = error.to_string();
            if !text.contains(&line) {
                text.push_str(": ");
                text.push_str(&line);
            }
            below = error.source();
        }
        text
    }
}

/// Codes that mean: come back later. Everything of HTTP status 5xx and 429 means it too.
const LATER: &[&str] = &[
    "AccountLimitExceededException",
    "ConcurrentReferenceUpdateException",
    "ConditionalRequestConflict",
    "EncryptionKeyUnavailableException",
    "ExpiredToken",
    "ExpiredTokenException",
    // Keys that were just handed out, and clocks that are off, are known soon.
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "KMSThrottlingException",
    "LimitExceededException",
    "OperationAborted",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestExpired",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeTooSkewed",
    "RequestTimeout",
    "SignatureDoesNotMatch",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "UnrecognizedClientException",
];

/// Codes that mean: the role may not.
const FORBIDDEN: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    "UnauthorizedOperation",
];

/// A time as the SDK has it.
#[cfg(any(feature = "cloudformation", feature = "codebuild", feature = "s3"))]
pub(crate) fn timestamp(time: Option<aws_smithy_types::DateTime>) -> Option<Timestamp> {
    time.and_then(|time| Timestamp::new(time.secs(), 0).ok())
}

/// Sorts an SDK error. `doing` names the action and the resource, such as `codecommit:GetBranch on demo`.
pub(crate) fn sort<E>(doing: impl Into<String>, error: SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let doing = doing.into();
    match error {
        SdkError::ServiceError(context) => {
            let status = context.raw().status().as_u16();
            let code = context.err().code().map_or_else(|| format!("HTTP {status}"), str::to_owned);
            let message = context.err().message().unwrap_or("no message").to_owned();
            let later = status >= 500 || status == 429 || LATER.contains(&code.as_str());
            let what = if FORBIDDEN.contains(&code.as_str()) {
                format!("{code}: {message}. This permission is missing; those of the functions are in template.yaml")
            } else {
                format!("{code}: {message}")
            };
            let problem = Problem::new(doing, what).told_by(Some(code), context.into_err());
            if later { Failure::Retry(problem) } else { Failure::Refused(problem) }
        }
        SdkError::ConstructionFailure(_) => {
            Failure::Refused(Problem::new(doing, "the request could not be made").told_by(None, error))
        }
        SdkError::TimeoutError(_) => Failure::Retry(Problem::new(doing, "no answer in time").told_by(None, error)),
        SdkError::DispatchFailure(_) => {
            Failure::Retry(Problem::new(doing, "the service could not be reached").told_by(None, error))
        }
        _ => Failure::Retry(Problem::new(doing, "the answer could not be read").told_by(None, error)),
    }
}

/// A member that the service model requires was not in the answer.
#[cfg(any(feature = "codecommit", feature = "codebuild", feature = "s3"))]
pub(crate) fn lacking(doing: &str, member: &str) -> Failure {
    Failure::refused(doing, format!("the answer lacks {member}"))
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::http::{Response, StatusCode};
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("a service error")]
    struct Modelled(ErrorMetadata);

    impl ProvideErrorMetadata for Modelled {
        fn meta(&self) -> &ErrorMetadata {
            &self.0
        }
    }

    fn answered(status: u16, code: &str) -> Failure {
        let meta = ErrorMetadata::builder().code(code).message("said so").build();
        let response = Response::new(StatusCode::try_from(status).unwrap(), SdkBody::empty());
        sort("codebuild:StartBuild on unit", SdkError::service_error(Modelled(meta), response))
    }

    #[test]
    fn a_full_codebuild_and_every_5xx_are_tried_again_and_a_missing_project_never() {
        assert!(matches!(answered(400, "AccountLimitExceededException"), Failure::Retry(_)));
        assert!(matches!(answered(503, "InternalError"), Failure::Retry(_)));
        assert!(matches!(answered(400, "ResourceNotFoundException"), Failure::Refused(_)));
    }

    #[test]
    fn a_missing_permission_names_the_action_and_where_to_look() {
        let failure = answered(400, "AccessDeniedException");
        assert!(matches!(failure, Failure::Refused(_)));
        let text = failure.to_string();
        assert!(text.starts_with("codebuild:StartBuild on unit: AccessDeniedException: said so"), "{text}");
        assert!(text.contains("template.yaml"), "{text}");
    }
}
