//! Claims, reports and small state over conditional S3 writes.
//!
//! `ledger/FUNCTION/EVENT-ID` is one object in the life of an event: first the claim, with a lease and the outcome of each
//! action so far, then the finished report. A second delivery of the event meets it and does nothing again.

mod entry;
mod ledger;
mod reasons;
mod state;

pub use entry::{Entry, Outcome, Phase, Report, Round, SWEPT, SWEPT_IN_PART};
pub use ledger::{Claim, Held, Ledger, Noted, Reopened, Turn};
pub use reasons::{Gave, GivenReason, NoReason, REASONS, ReasonText, Reasons};
pub use state::{Kept, State};
