//! The rules of the trigger: facts in, decision out.
//!
//! No async, no AWS, no clock, no environment, no randomness: everything that [`decide`] looks at is in [`Facts`], and both
//! are values that can be written to a file.

mod action;
mod decide;
mod decide_review;
mod decision;
mod facts;
mod journal;
mod needs;
mod render;
mod reply;
mod review;
mod review_needs;
mod review_sweep;
mod start;
mod state;
mod sweep;
mod trouble;
mod wishes;

pub use action::{Action, OnlyIf, Reply, StartBuild, StopBuild};
pub use decide::{SKIP_MARKERS, decide, skip_marker};
pub use decision::{Because, Decision, Idle, Reason, Verdict};
pub use facts::{Base, Difference, Facts, Head, Push, SweepFacts, TriggerFacts};
pub use journal::{Arrival, Journal, Known, Origin, TakenUp};
pub use needs::{Needs, PushNeeds, SweepNeeds, Target, TriggerNeeds, WhichFiles, needs, push_of, scope};
pub use render::{render_action, render_reason};
pub use review::{Looked, Meets, Merge, PullRequest, Review, Subject, TargetBuildspec, What, Writer, review_of};
pub use review_needs::{BuildspecNeeds, ReviewTriggerNeeds, review_key, review_needs};
pub use review_sweep::{
    Comparison, FoundReview, ReviewCursor, ReviewLook, ReviewMemory, SeenReview, lost_event, may_review, wants_review,
};
pub use state::{PastStart, RefState};
pub use sweep::{BeginsAnew, Cursor, Look, Memory, Moved, Seen, Tip, may_start, wanted};
pub use trouble::{Failed, NotSwept, Trouble};
pub use wishes::commands;
