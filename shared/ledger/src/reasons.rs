//! Why somebody went past a protection: asked for afterwards, given once, kept beside the ledger's entry.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use signalbox_aws::{Bucket, Failure, Put};
use signalbox_events::EventId;

use crate::ledger::encode;

/// Characters of a reason.
const LONGEST: usize = 1_000;

/// Where reasons lie. No function of the stack may write there.
pub const REASONS: &str = "ledger/reasons/";

/// A reason in somebody's words: not empty, at most 1,000 characters, no control characters but line breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReasonText(String);

/// A text that is no reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoReason {
    /// There is nothing in it.
    #[error("the reason is empty: say in a sentence why it was necessary")]
    Empty,
    /// It is too long.
    #[error("the reason has more than {LONGEST} characters: say it shorter, and where more is written")]
    TooLong,
    /// It has characters that a terminal would take for a command.
    #[error("the reason holds a control character")]
    Control,
}

impl ReasonText {
    /// Checks and trims.
    ///
    /// # Errors
    /// [`NoReason`].
    pub fn parse(text: &str) -> Result<Self, NoReason> {
        let text = text.trim();
        if text.is_empty() {
            return Err(NoReason::Empty);
        }
        if text.chars().count() > LONGEST {
            return Err(NoReason::TooLong);
        }
        if text.chars().any(|c| c.is_control() && c != '\n') {
            return Err(NoReason::Control);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReasonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ReasonText {
    type Error = NoReason;
    fn try_from(text: String) -> Result<Self, NoReason> {
        Self::parse(&text)
    }
}

impl From<ReasonText> for String {
    fn from(text: ReasonText) -> String {
        text.0
    }
}

/// A reason that was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenReason {
    /// The bypass, as the ledger has it.
    pub event: EventId,
    /// The reason.
    pub reason: ReasonText,
    /// Who gave it, as AWS says: the ARN of a user or of a role's session.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// What became of a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Gave {
    /// It is written.
    Written,
    /// One was given before, and stands.
    Before(GivenReason),
}

/// The reasons in the stack's bucket.
#[derive(Debug, Clone)]
pub struct Reasons {
    bucket: Bucket,
}

impl Reasons {
    /// The reasons in this bucket.
    pub fn new(bucket: Bucket) -> Self {
        Self { bucket }
    }

    fn key(event: &EventId) -> String {
        format!("{REASONS}{event}")
    }

    /// The reason for a bypass; `None` where none was given.
    ///
    /// # Errors
    /// As S3 fails; what is there and cannot be read is [`Failure::Retry`], as it can be mended.
    pub async fn of(&self, event: &EventId) -> Result<Option<GivenReason>, Failure> {
        let key = Self::key(event);
        let Some(object) = self.bucket.get(&key).await? else { return Ok(None) };
        serde_json::from_slice(&object.bytes).map(Some).map_err(|error| {
            Failure::retry(
                format!("reading {key}"),
                format!("it is no reason ({error}); delete the object, and give it anew"),
            )
        })
    }

    /// Gives a reason, unless there is one.
    ///
    /// # Errors
    /// As S3 fails.
    pub async fn give(&self, given: &GivenReason) -> Result<Gave, Failure> {
        let key = Self::key(&given.event);
        if let Put::Written { .. } = self.bucket.put_new(&key, encode(&key, given)?).await? {
            return Ok(Gave::Written);
        }
        match self.of(&given.event).await? {
            // This very write, whose answer was cut off.
            Some(there) if there == *given => Ok(Gave::Written),
            Some(there) => Ok(Gave::Before(there)),
            None => Err(Failure::retry(format!("writing {key}"), "somebody else took a reason away meanwhile")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_something_and_nothing_to_a_terminal() {
        assert_eq!(
            ReasonText::parse("  the build was down\nsee INC-7 ").unwrap().as_str(),
            "the build was down\nsee INC-7"
        );
        for (text, wrong) in
            [(" \n ", NoReason::Empty), ("\u{1b}[2J", NoReason::Control), (&*"x".repeat(1_001), NoReason::TooLong)]
        {
            assert_eq!(ReasonText::parse(text), Err(wrong));
        }
        assert!(serde_json::from_str::<ReasonText>("\"\"").is_err());
    }
}
