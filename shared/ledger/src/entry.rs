//! What lies in the ledger: one entry an event.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use signalbox_events::EventId;

/// One event of one function, from the claim to the report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The function that handles it.
    pub function: String,
    /// The event.
    pub event: EventId,
    /// Drawn by whoever wrote it, so that a writer knows its own words again.
    #[serde(default)]
    pub writer: u32,
    /// How far it is.
    pub phase: Phase,
    /// How many invocations have claimed it.
    pub attempts: u32,
    /// What was done, under each action's key: whoever takes over skips it.
    pub outcomes: BTreeMap<String, Outcome>,
    /// What came of it, once it is finished.
    pub report: Option<Report>,
    /// How it ended each time before somebody had it run once more, the first time first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Round>,
}

/// One time that an event was finished.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// `done` or `refused`.
    pub phase: Phase,
    /// What was done.
    pub outcomes: BTreeMap<String, Outcome>,
    /// What came of it.
    pub report: Option<Report>,
}

impl Entry {
    /// How often it was finished and opened again.
    pub fn rounds(&self) -> u32 {
        u32::try_from(self.earlier.len()).unwrap_or(u32::MAX)
    }

    /// The event as it came, as far as the last report kept it; nothing for what was no event.
    pub fn received(&self) -> Option<&Value> {
        let reports = self.report.iter().chain(self.earlier.iter().rev().filter_map(|round| round.report.as_ref()));
        let mut kept = reports.filter_map(|report| report.replay.get("received"));
        kept.find(|event| event.get("detail-type").is_some() && event.get("source").is_some())
    }
}

/// What came of an action. In any case it is not done again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is done.
    Done(String),
    /// There was no need for it any more, and why.
    Left(String),
    /// It can never be done, and why.
    Refused(String),
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Done(what) | Self::Left(what) => f.write_str(what),
            Self::Refused(why) => write!(f, "refused: {why}"),
        }
    }
}

/// How far an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Somebody works on it until the lease runs out.
    Claimed {
        /// When others may take over.
        until: Timestamp,
    },
    /// It is done.
    Done,
    /// It can never be done; the report says why.
    Refused,
}

/// The verdict of a sweep that found nothing, while nothing is open of any sweep before it.
pub const SWEPT: &str = "swept";

/// The verdict of a sweep while something is open that could not be looked at or dealt with, told of before or not.
pub const SWEPT_IN_PART: &str = "swept in part";

/// What a function says of an event: enough to explain the decision, and to replay it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// When it was written.
    pub at: Timestamp,
    /// The version of the policy that was in force, where there is one.
    pub policy_version: Option<String>,
    /// `observe` or `enforce`.
    pub mode: String,
    /// One line: what was decided.
    pub verdict: String,
    /// Each reason as a sentence.
    pub reasons: Vec<String>,
    /// Each action as a sentence, with what came of it.
    pub actions: Vec<String>,
    /// The event, the facts and the decision as values: `signalbox explain --facts` takes them.
    pub replay: Value,
}
