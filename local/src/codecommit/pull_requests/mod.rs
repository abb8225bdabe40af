//! Pull requests: what git does not know of them, and what happens to them when their branches move.
//!
//! A pull request stands in `DIR/state/codecommit-pull-requests.json`. Its commits are kept by refs below
//! `refs/pull-requests/`, which no git client is shown.

mod activity;
mod checks;
mod follow;
mod merge;
mod news;
mod operations;
mod shapes;
mod state;
#[cfg(test)]
mod tests;

pub(super) use self::checks::check_id;
pub(super) use self::merge::not_associated;
pub(super) use self::news::{News, console, java_date};
pub(super) use self::state::{PullRequest, PullRequests, What};
