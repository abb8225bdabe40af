//! The rules of the notifier: facts in, decision out.
//!
//! No async, no AWS, no clock, no environment, no randomness: everything that [`decide`] looks at is in [`Facts`], and both
//! are values that can be written to a file.

mod body;
mod cause;
mod copies;
mod copy_mail;
mod decide;
mod facts;
mod forebears;
mod history;
mod links;
mod mail;
mod needs;
mod news;
mod order;
mod patterns;
mod protection_mail;
mod protections;
mod redact;
mod render;
mod text;

pub use copies::{CopyNews, CopyTold};
pub use decide::{Action, Decision, Reason, Verdict, decide};
pub use facts::{
    BuildFacts, CommitFacts, Commits, Facts, Known, Origin, Rest, log_lines, plain_phases, start_record_may_still_come,
};
pub use forebears::{Forebear, Search};
pub use history::{Began, Finished, History, StartedFor};
pub use links::Console;
pub use mail::{Attributes, Mail};
pub use needs::{CommitsWanted, ForebearsWanted, LogWanted, More, Needs, needs, needs_forebears, needs_more};
pub use news::{Count, News};
pub use redact::redact;
pub use render::{render_action, render_reason};
