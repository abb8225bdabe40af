//! The rules of the protector: facts in, decision out.
//!
//! No async, no AWS, no git, no clock, no environment, no randomness: everything that [`decide`] looks at is in [`Facts`],
//! and both are values that can be written to a file.
//!
//! Two halves. [`judge`] holds a [`Range`] of commits and files against the rules for them and knows nothing of how it came. [`decide`] says
//! what follows a move of a ref: nothing, a report, or putting it back to where the [`Journal`] proves that it was; [`decide_review`] holds the
//! range of a pull request against the protections that it needs as checks.

mod action;
mod decide;
mod facts;
mod finding;
mod journal;
mod judge;
mod needs;
mod news;
mod pace;
mod paths;
mod pushers;
mod range;
mod render;
mod rest;
mod review;
mod secrets;
mod signature;
mod told;
mod watch;
mod watch_facts;
mod weaker;

pub use action::{Action, Restore};
pub use decide::{Decision, Reason, Verdict, Violation, What, decide, kept_as, kept_since, wants_tip};
pub use facts::{Ancestry, Arrival, Facts, Merged, Object, Origin, Subject, Tip, Whose};
pub use finding::{Fault, Finding};
pub use journal::{Journal, Judged, Move, Place, Undo};
pub use judge::{MOST_FINDINGS, judge};
pub use needs::{Cursor, Needs, Want, has_protections, move_of, needs, needs_of, needs_of_range, protections_of};
pub use news::{News, Told, protection_of, rule_of};
pub use pace::{is_contest, pause_after};
pub use paths::{folded, is_escaping};
pub use pushers::{PusherLook, PusherMemory, Pushers, Reached, Round, is_askable, is_named, refs_to_ask};
pub use range::{CommitFacts, Content, FileFacts, FileKind, Form, Range};
pub use render::{render_action, render_reason, render_rescue, render_restore, render_violation};
pub use rest::{Cut, Paths, Rest, Within};
pub use review::{ReviewDecision, ReviewFacts, ReviewMemory, ReviewVerdict, Reviewed, decide_review, render_review};
pub use secrets::{SecretHit, SecretKind, find_secrets};
pub use signature::{Keyring, Signature, Unsigned, Worth};
pub use told::{TellBook, Telling};
pub use watch::{WatchWanted, Weakening, decide_watch, watch_of, watched_words, watchers};
pub use watch_facts::{Guarded, RuleSeen, TriggerSeen, WatchFacts, WatchMemory, WatchTold};
pub use weaker::{Weaker, weaker};
