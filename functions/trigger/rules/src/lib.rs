//! The rules of the trigger: facts in, decision out.
//!
//! No async, no AWS, no clock, no environment, no randomness: everything that [`decide`] looks at is in [`Facts`], and both
//! are values that can be written to a file.

mod action;
mod decide;
mod decision;
mod facts;
mod journal;
mod needs;
mod render;
mod start;
mod state;
mod sweep;
mod trouble;

pub use action::{Action, OnlyIf, StartBuild, StopBuild};
pub use decide::{SKIP_MARKERS, decide};
pub use decision::{Because, Decision, Idle, Reason, Verdict};
pub use facts::{Base, Difference, Facts, Head, Push, SweepFacts, TriggerFacts};
pub use journal::{Arrival, Journal, Known, Origin, TakenUp};
pub use needs::{Needs, PushNeeds, SweepNeeds, Target, TriggerNeeds, WhichFiles, needs, push_of, scope};
pub use render::{render_action, render_reason};
pub use state::{PastStart, RefState};
pub use sweep::{BeginsAnew, Cursor, Look, Memory, Moved, Seen, Tip, may_start, wanted};
pub use trouble::{Failed, NotSwept, Trouble};
