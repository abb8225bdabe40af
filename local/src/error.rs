//! What a service answers when it refuses: AWS's code, a message, an HTTP status.

/// An error as AWS's protocols carry it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ServiceError {
    /// The HTTP status.
    pub status: u16,
    /// The code of the service model, for instance `RepositoryDoesNotExistException`.
    pub code: String,
    /// A sentence for a person.
    pub message: String,
}

impl ServiceError {
    /// A client error with HTTP status 400, as nearly all errors of the JSON protocols are.
    pub fn bad(code: &str, message: impl Into<String>) -> Self {
        Self::with_status(400, code, message)
    }

    /// An error with a status of its own.
    pub fn with_status(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into() }
    }

    /// The local cloud itself failed: a disk, a process, a bug.
    pub fn internal(what: impl std::fmt::Display) -> Self {
        Self::with_status(500, "InternalFailure", format!("the local cloud failed: {what}"))
    }

    /// An operation that the local cloud does not offer: loud, never an empty success.
    pub fn unknown_operation(service: &str, operation: &str) -> Self {
        Self::with_status(
            501,
            "UnknownOperationException",
            format!("the local cloud does not offer {service}:{operation}; docs/assumptions.md lists what it offers"),
        )
    }
}

/// What every operation returns.
pub type Answer<T> = Result<T, ServiceError>;
