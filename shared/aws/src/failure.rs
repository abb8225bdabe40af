//! What went wrong, sorted into the two kinds that matter to a queue: try again, or never.

use std::error::Error;
use std::fmt;

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
    /// How far the call came.
    pub cause: Cause,
    /// Before then it makes no sense to try again, where that is known.
    pub not_before: Option<Timestamp>,
    /// Where it comes from, for the log.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl Problem {
    fn new(doing: impl Into<String>, what: impl Into<String>) -> Self {
        Self { doing: doing.into(), what: what.into(), cause: Cause::Other, not_before: None, source: None }
    }

    fn because(self, cause: Cause) -> Self {
        Self { cause, ..self }
    }

    fn out_of(self, source: impl Error + Send + Sync + 'static) -> Self {
        Self { source: Some(Box::new(source)), ..self }
    }
}

/// How far a call came before it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// AWS answered with an error.
    Answered(Box<ServiceError>),
    /// There was no connection, or no answer in time.
    Unreachable,
    /// Anything else: no call was made, or its answer could not be read.
    Other,
}

/// An error that AWS answered with.
///
/// The request's id is not in the text of a [`Problem`]: the same problem met twice has to read the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceError {
    /// The code, such as `AccessDenied`; where the answer had none, its status, such as `HTTP 403`.
    pub code: String,
    /// AWS's sentence.
    pub message: Option<String>,
    /// The id that AWS's support asks for.
    pub request: Option<String>,
}

impl fmt::Display for ServiceError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.code)?;
        if let Some(message) = &self.message {
            write!(out, ": {message}")?;
        }
        match &self.request {
            Some(request) => write!(out, " (request {request})"),
            None => Ok(()),
        }
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

    /// Something that is to wait until this moment.
    pub fn wait(doing: impl Into<String>, what: impl Into<String>, until: Timestamp) -> Self {
        Self::Retry(Problem { not_before: Some(until), ..Problem::new(doing, what) })
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
        match &self.problem().cause {
            Cause::Answered(error) => Some(&error.code),
            Cause::Unreachable | Cause::Other => None,
        }
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

/// Codes of an entry of `PutEvents` that would fail the same way again; what else fails there is EventBridge's own trouble.
#[cfg(feature = "events")]
const NEVER: &[&str] = &[
    "InvalidArgument",
    "InvalidDetail",
    "MalformedDetail",
    "NotAuthorizedForDetailTypeException",
    "NotAuthorizedForSourceException",
    "ValidationException",
];

/// Codes that mean: the role may not.
const FORBIDDEN: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    // An answer to HEAD has no body that a code could be in.
    "HTTP 403",
    "UnauthorizedOperation",
];

/// Sorts an error that AWS answered with inside an answer that is none itself.
#[cfg(feature = "events")]
pub(crate) fn answered(doing: impl Into<String>, code: &str, message: Option<&str>) -> Failure {
    let error = ServiceError { code: code.to_owned(), message: message.map(str::to_owned), request: None };
    let what = worded(code, message);
    let problem = Problem::new(doing, what).because(Cause::Answered(Box::new(error)));
    if NEVER.contains(&code) || FORBIDDEN.contains(&code) { Failure::Refused(problem) } else { Failure::Retry(problem) }
}

/// A code and its message, and what to do about it.
fn worded(code: &str, message: Option<&str>) -> String {
    let message = message.unwrap_or("no message");
    if FORBIDDEN.contains(&code) {
        format!("{code}: {message}. This permission is missing; those of the functions are in template.yaml")
    } else {
        format!("{code}: {message}")
    }
}

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
        // What is no error by its status and has no code is an answer that nobody can read.
        SdkError::ServiceError(context) if !context.raw().status().is_success() || context.err().code().is_some() => {
            let status = context.raw().status().as_u16();
            let said = context.err();
            let error = ServiceError {
                code: said.code().map_or_else(|| format!("HTTP {status}"), str::to_owned),
                message: said.message().map(str::to_owned),
                request: said.meta().extra("aws_request_id").map(str::to_owned),
            };
            let code = error.code.as_str();
            let later = status >= 500 || status == 429 || LATER.contains(&code);
            let what = worded(code, error.message.as_deref());
            // Everything that the SDK knows of it is said: its own text repeats it in the form of a program.
            let problem = Problem::new(doing, what).because(Cause::Answered(Box::new(error)));
            if later { Failure::Retry(problem) } else { Failure::Refused(problem) }
        }
        SdkError::ConstructionFailure(_) => {
            Failure::Refused(Problem::new(doing, "the request could not be made").out_of(error))
        }
        SdkError::TimeoutError(_) => {
            Failure::Retry(Problem::new(doing, "no answer in time").because(Cause::Unreachable).out_of(error))
        }
        SdkError::DispatchFailure(ref failure) => {
            // Keys that cannot be had any more end here too.
            let is_network = failure.is_io() || failure.is_timeout() || failure.is_user();
            let (what, cause) = if is_network {
                ("the service could not be reached", Cause::Unreachable)
            } else {
                ("the request could not be sent", Cause::Other)
            };
            Failure::Retry(Problem::new(doing, what).because(cause).out_of(error))
        }
        _ => Failure::Retry(Problem::new(doing, "the answer could not be read").out_of(error)),
    }
}

/// What AWS answered is not of the kind that it should be: no name, no id.
#[cfg(any(feature = "codecommit", feature = "codebuild", feature = "iam"))]
pub(crate) fn unreadable(doing: &str, error: impl std::fmt::Display) -> Failure {
    Failure::refused(doing, format!("the answer cannot be read: {error}"))
}

/// A member that the service model requires was not in the answer.
#[cfg(any(
    feature = "codecommit",
    feature = "codebuild",
    feature = "events",
    feature = "iam",
    feature = "s3",
    feature = "sts"
))]
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
        let meta = ErrorMetadata::builder().code(code).message("said so").custom("aws_request_id", "r-1").build();
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

    #[test]
    fn the_same_refusal_reads_the_same_and_has_its_request_beside_it() {
        let failure = answered(400, "ResourceNotFoundException");
        assert_eq!(failure.chain(), "codebuild:StartBuild on unit: ResourceNotFoundException: said so");
        let Cause::Answered(error) = &failure.problem().cause else { panic!("{failure:?}") };
        assert_eq!(error.to_string(), "ResourceNotFoundException: said so (request r-1)");
    }
}
