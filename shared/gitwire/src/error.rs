//! What can be wrong with what a server says.

use crate::pack::PackFault;
use crate::pkt::PktError;

/// The longest piece of a server's words that an error repeats.
const LONGEST_QUOTE: usize = 300;

/// A server that does not speak the protocol as it should, or says no in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Not pkt-lines.
    #[error(transparent)]
    Pkt(#[from] PktError),
    /// A line that has no business where it stands.
    #[error("unexpected in {place}: {line:?}")]
    Unexpected {
        /// The part of the conversation.
        place: &'static str,
        /// The line, shortened.
        line: String,
    },
    /// The answer stopped before it was complete.
    #[error("{place} ends before it is complete")]
    Ended {
        /// The part of the conversation.
        place: &'static str,
    },
    /// An `ERR` line, or a message in the side band for fatal errors.
    #[error("the server says: {0}")]
    Said(String),
    /// A repository whose object ids are not SHA-1.
    #[error("the repository's object format is {0}; only sha1 is supported")]
    ObjectFormat(String),
    /// Something was asked for that the server did not offer.
    #[error("the server does not offer {0}")]
    Missing(&'static str),
    /// More than any repository has.
    #[error("{place} is longer than {most} bytes")]
    TooMuch {
        /// The part of the conversation.
        place: &'static str,
        /// The limit.
        most: usize,
    },
    /// A fetch without anything to fetch, or a push without a command.
    #[error("nothing was asked for")]
    NothingAsked,
    /// A pack that did not come as it was sent.
    #[error(transparent)]
    Pack(#[from] PackFault),
}

impl WireError {
    pub(crate) fn unexpected(place: &'static str, line: &[u8]) -> Self {
        Self::Unexpected { place, line: quote(line) }
    }

    pub(crate) fn said(words: &[u8]) -> Self {
        Self::Said(quote(words))
    }
}

/// A server's words made fit for one line of a log: shortened, without control characters.
pub(crate) fn quote(words: &[u8]) -> String {
    let text = String::from_utf8_lossy(words);
    let mut said: String =
        text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_QUOTE).collect();
    if text.trim().chars().count() > LONGEST_QUOTE {
        said.push_str("...");
    }
    said
}
