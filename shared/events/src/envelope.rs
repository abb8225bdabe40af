//! What every EventBridge event has around its detail.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::ParseError;
use crate::fields::Fields;
use crate::names::{AccountId, Arn, EventId, Region};

/// The envelope of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The id under which a redelivery is recognised.
    pub id: EventId,
    /// The account that it happened in; some documented samples print it as a number.
    pub account: AccountId,
    /// The region that it happened in.
    pub region: Region,
    /// When it happened, to the second; for a build phase, when the phase began.
    ///
    /// Whatever is ordered by it must do without: a time that is absent or no date is `None` and no reason to lose the event.
    pub time: Option<Timestamp>,
    /// The resources it is about; in no promised order, and none at all for some kinds.
    pub resources: Vec<Arn>,
    /// The replay that it comes from, when it was replayed from an archive.
    pub replay_name: Option<String>,
    /// The event was finished before, and `signalbox redrive --again` has it run once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
}

/// The member of an event that says how often it was finished before.
pub const AGAIN: &str = "signalbox-again";

/// One wish of somebody that a finished event runs once more.
///
/// What is started for it remembers it, so that a delivery that comes twice starts nothing twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// The event.
    pub event: EventId,
    /// How often it was finished before.
    pub round: u32,
}

impl Envelope {
    pub(crate) fn parse(event: &Fields<'_>) -> Result<Self, ParseError> {
        let id: EventId = event.name("id")?;
        let round = event.optional_count(AGAIN).ok().flatten().and_then(|round| u32::try_from(round).ok());
        Ok(Self {
            again: round.map(|round| Again { event: id.clone(), round }),
            id,
            account: event.name_or_number("account")?,
            region: event.name("region")?,
            time: event.optional_text("time").ok().flatten().and_then(|text| text.parse().ok()),
            resources: event.list("resources")?.iter().map(|item| item.name()).collect::<Result<_, _>>()?,
            replay_name: event.optional_string("replay-name")?,
        })
    }
}
