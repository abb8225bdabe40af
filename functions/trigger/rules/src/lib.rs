//! The rules of the trigger: facts in, decision out.
//!
//! No async, no AWS, no clock, no environment, no randomness: everything that [`decide`] looks at is in [`Facts`], and both
//! are values that can be written to a file.

mod decide;
mod facts;
mod journal;
mod needs;
mod render;
mod sweep;

pub use decide::{
    Action, Because, Decision, Idle, OnlyIf, Reason, SKIP_MARKERS, StartBuild, StopBuild, Verdict, decide,
};
pub use facts::{Base, Difference, Facts, Green, Head, PastStart, Push, RefState, SweepFacts, TriggerFacts};
pub use journal::{Arrival, Journal, Known, Origin, TakenUp};
pub use needs::{Needs, PushNeeds, SweepNeeds, Target, TriggerNeeds, WhichFiles, needs, push_of, scope};
pub use render::{render_action, render_reason};
pub use sweep::{Cursor, Look, Memory, Moved, Seen, may_start, wanted};
