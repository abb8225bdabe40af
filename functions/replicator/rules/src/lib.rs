//! The rules of the replicator: facts in, decision out.
//!
//! No async, no AWS, no git, no clock, no environment, no randomness: everything that [`decide`] looks at is in [`Facts`],
//! and both are values that can be written to a file.
//!
//! An event only says *look now*. What is compared is what the source has, what the target has, and what both had when they
//! were last equal; so it does not matter how often an event comes, nor in which order.

mod bundle;
mod compare;
mod decide;
mod facts;
mod memory;
mod needs;
mod place;
mod pushes;
mod refs;
mod render;
mod steps;
mod trouble;

pub use bundle::{BUNDLE_BEGINNING, Found, bundle_header, bundle_listing};
pub use compare::{Because, Command, Described, Failed, Left, Plan, Trouble, Why, compare, unsure};
pub use decide::{Action, Copy, Decision, Reason, Verdict, decide, plan_left};
pub use facts::{Facts, Lasting, Listing, Object, Origin, Push, Refs, ReplicaFacts, SourceFacts, TargetFacts};
pub use memory::{Begun, Failing, Memory, Standing, Told, Working, WrittenBundle};
pub use needs::{Cursor, Needs, ReplicaNeeds, has_replicas, needs, needs_of};
pub use place::{Copied, Home, Place, copies_of, memory_key};
pub use pushes::{MOST_COMMANDS, pushes};
pub use refs::{Names, copied_kinds};
pub use render::{
    obstacle_of, render_action, render_command, render_left, render_reason, too_far, too_large, too_late,
};
pub use steps::{GotOn, Unfit, divided, is_branch};
pub use trouble::{out_of_reach, unusable};
