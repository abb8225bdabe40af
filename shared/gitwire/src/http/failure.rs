//! What went wrong with a server.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use tokio_rustls::rustls as tls;

use super::authorization::Authorization;
use crate::{PackFault, WireError};

/// Words by which a server says, in the protocol itself, what a status would say: trying again changes nothing.
const NO_WORDS: &[&str] = &[
    "access denied",
    "access forbidden",
    "authentication failed",
    "forbidden",
    "not authorized",
    "not permitted",
    "permission denied",
    "repository does not exist",
    "repository not found",
    "unauthorized",
];

/// A step that failed: which, where, why.
#[derive(Debug)]
pub struct Failure {
    /// The step, such as `cannot read the refs of`.
    pub doing: &'static str,
    /// The repository: scheme, host and path.
    pub place: String,
    /// Why.
    pub cause: Cause,
}

/// Whether another try may go better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It may: cut off, stalled, overloaded, a race.
    Retry,
    /// It would fail the same way until a person does something.
    Refused,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// No connection.
    #[error("the host cannot be reached")]
    Unreachable(#[source] Box<dyn Error + Send + Sync>),
    /// A connection, but not to whom it should be.
    #[error("the host's certificate is not trusted; its authority must be among the system's (or in SSL_CERT_FILE)")]
    Untrusted(#[source] Box<dyn Error + Send + Sync>),
    /// The connection ended in the middle of a request or of an answer.
    #[error("the connection broke off")]
    BrokenOff(#[source] Box<dyn Error + Send + Sync>),
    /// Nothing moved for so long.
    #[error("{what} for {}", seconds(*.after))]
    Stalled {
        /// Who did not move.
        what: &'static str,
        /// How long.
        after: Duration,
    },
    /// Status 401.
    #[error("the host asks for other credentials (401){}", besides(.0))]
    Unauthorized(String),
    /// Status 403.
    #[error("the host forbids it (403){}", besides(.0))]
    Forbidden(String),
    /// Status 404 or 410; many hosts say so, too, where the credentials do not reach.
    #[error("there is no such repository, or the credentials do not reach it ({status}){}", besides(.words))]
    NotFound {
        /// The number.
        status: u16,
        /// What the host said besides.
        words: String,
    },
    /// Status 411: the host, or something before it, takes no request whose length is not known beforehand.
    #[error("the host takes no request in chunks (411), so nothing of more than {most} bytes can be sent to it")]
    LengthRequired {
        /// Up to here the length is known beforehand.
        most: usize,
    },
    /// Any other status.
    #[error("the host answers with status {status}{}", besides(.words))]
    Status {
        /// The number.
        status: u16,
        /// What the host said besides.
        words: String,
    },
    /// An answer of another kind, such as the page of a login or of a proxy.
    #[error("the answer is {0}, not git's smart protocol; is this the address of a repository?")]
    NotGit(String),
    /// A redirect that is not followed: to plain HTTP, to another page, in a circle, or of a request that has a body.
    #[error("the host redirects to {0}, which is not followed; give the repository's own address")]
    Redirected(String),
    /// The protocol was not kept to, or the server says no in it.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The program itself: nothing that a server did.
    #[error("the request cannot be made")]
    Request(#[source] Box<dyn Error + Send + Sync>),
}

fn seconds(time: Duration) -> String {
    format!("{:?}", Duration::from_millis(time.as_millis().try_into().unwrap_or(u64::MAX)))
}

fn besides(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(": {words}") }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.doing, self.place, self.cause)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // The cause is in the text already.
        self.cause.source()
    }
}

impl Failure {
    /// Whether another try may go better.
    pub fn kind(&self) -> Kind {
        match &self.cause {
            Cause::Unreachable(_) | Cause::BrokenOff(_) | Cause::Stalled { .. } => Kind::Retry,
            Cause::Status { status: 408 | 425 | 429 | 500 | 502..=504 | 506..=599, .. } => Kind::Retry,
            Cause::Wire(WireError::Said(words)) if says_no(words) => Kind::Refused,
            Cause::Wire(WireError::Ended { .. } | WireError::Said(_)) => Kind::Retry,
            Cause::Wire(WireError::Pack(PackFault::TooShort { .. } | PackFault::Trailer { .. })) => Kind::Retry,
            _ => Kind::Refused,
        }
    }

    /// Takes a credential out of everything that a server said.
    pub(crate) fn scrubbed(mut self, authorization: Option<&Authorization>) -> Self {
        let Some(authorization) = authorization else { return self };
        match &mut self.cause {
            Cause::Unauthorized(words)
            | Cause::Forbidden(words)
            | Cause::NotFound { words, .. }
            | Cause::Status { words, .. }
            | Cause::NotGit(words)
            | Cause::Redirected(words)
            | Cause::Wire(WireError::Said(words))
            | Cause::Wire(WireError::Unexpected { line: words, .. }) => *words = authorization.scrub(words),
            _ => {}
        }
        self
    }
}

fn says_no(words: &str) -> bool {
    let words = words.to_lowercase();
    NO_WORDS.iter().any(|no| words.contains(no))
}

/// Sorts what the HTTP client says; none of its errors holds a header or a URL.
pub(crate) fn cause_of(error: hyper_util::client::legacy::Error) -> Cause {
    match (is_untrusted(&error), error.is_connect()) {
        (true, _) => Cause::Untrusted(Box::new(error)),
        (false, true) => Cause::Unreachable(Box::new(error)),
        (false, false) => Cause::BrokenOff(Box::new(error)),
    }
}

fn is_untrusted(error: &dyn Error) -> bool {
    let mut below = error.source();
    while let Some(error) = below {
        if matches!(error.downcast_ref(), Some(tls::Error::InvalidCertificate(_))) {
            return true;
        }
        // What an I/O error wraps is not its source.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        below = wrapped.map(|wrapped| wrapped as &dyn Error).or_else(|| error.source());
    }
    false
}
