//! One invocation: what is asked, and how it can go wrong.

use std::time::Duration;

use bytes::Bytes;

/// The largest answer that Lambda takes.
pub(super) const LARGEST_PAYLOAD: usize = 6 * 1024 * 1024;

/// An event on its way to a function.
#[derive(Debug, Clone)]
pub(super) struct Invocation {
    /// The request's id; the same when it must be handed to another process.
    pub(super) id: String,
    pub(super) payload: Bytes,
    /// The value of `Lambda-Runtime-Trace-Id`.
    pub(super) trace: String,
}

/// What a function says of its own failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FunctionFailure {
    pub(super) kind: String,
    pub(super) message: String,
}

/// Why an invocation did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvocationError {
    /// The function answered with an error.
    #[error("the function failed: {kind}: {message}")]
    Failed {
        /// Its error type.
        kind: String,
        /// Its message.
        message: String,
    },
    /// The time-out of the template passed; the process was killed.
    #[error("Task timed out after {:.2} seconds", after.as_secs_f64())]
    TimedOut {
        /// The time-out.
        after: Duration,
    },
    /// The process ended in the middle of the invocation.
    #[error("Runtime exited with error: {status}")]
    Exited {
        /// `exit status 101`, `signal: killed`.
        status: String,
    },
    /// No process came as far as to ask for an event.
    #[error("the function did not start: {reason}")]
    DidNotStart {
        /// What happened instead.
        reason: String,
    },
    /// The answer is not JSON, or larger than Lambda takes.
    #[error("the function's answer is of no use: {reason}")]
    BadAnswer {
        /// What is wrong with it.
        reason: String,
    },
    /// [`super::Functions::stop_function`] was called.
    #[error("the function {name} is stopped")]
    Stopped {
        /// The function.
        name: String,
    },
    /// The stack has no function of this name.
    #[error("there is no function {name}; there are: {known}")]
    NoSuchFunction {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
}
