//! What is new about a build that ended: derived from its history, never from the order in which events came.

use serde::{Deserialize, Serialize};
use signalbox_events::{BuildStatus, CommitId};

use crate::history::{Finished, History, StartedFor};
use crate::order::{counts, in_order};

/// What is new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// It fails, and was green or unknown before.
    Broke {
        /// The last build that was green, if any is remembered.
        green: Option<Finished>,
    },
    /// It fails, as it did before.
    StillBroken {
        /// How many failures in a row, this one counted.
        failures: Count,
        /// The first of them.
        first: Finished,
        /// The one before this.
        last: Finished,
    },
    /// It is green, and failed before.
    Fixed {
        /// How many failures in a row.
        failures: Count,
        /// The first of them.
        first: Finished,
        /// The last of them.
        last: Finished,
    },
    /// It is green, as it was before; or nothing was known of it.
    Unchanged {
        /// The green build before this.
        green: Option<Finished>,
    },
    /// A build of a newer push has its result already: this one is history.
    Late {
        /// That build.
        newer: Finished,
    },
    /// Somebody had an older commit built: what came after it has its result already.
    Again {
        /// That build.
        newer: Finished,
    },
    /// `CodeBuild` failed, or the buildspec was never begun: nothing is known of the code.
    NotRun,
    /// This very result was handled before, by another event.
    Told,
    /// Somebody stopped it: nothing is known of the code.
    Stopped,
    /// The trigger stopped it for a newer commit, whose own result tells more.
    Superseded {
        /// The newer commit.
        by: CommitId,
    },
}

/// How many, as far as the history reaches back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Count {
    /// So many.
    Exactly(usize),
    /// So many, and perhaps more before them.
    AtLeast(usize),
}

/// What `finished` means after `history`.
pub(crate) fn news(history: &History, finished: &Finished, superseded_by: Option<&CommitId>) -> News {
    // A build that ended by itself before it could be stopped has a result like any other.
    if let Some(by) = superseded_by.filter(|_| finished.status == BuildStatus::Stopped) {
        return News::Superseded { by: by.clone() };
    }
    if history.builds.iter().any(|one| one.build == finished.build && one.status == finished.status) {
        return News::Told;
    }
    if finished.status == BuildStatus::Stopped {
        return News::Stopped;
    }
    let mut builds = history.without(&finished.build).builds;
    builds.push(finished.clone());
    let order = in_order(&builds);
    let place = order.iter().position(|one| one.build == finished.build).unwrap_or_default();
    let (before, behind) = order.split_at(place);
    let newest = |some: &[&Finished]| {
        some.iter().rfind(|one| one.build != finished.build && counts(&builds, one)).copied().cloned()
    };
    if let Some(newer) = newest(behind) {
        let is_late = finished.started_for == StartedFor::Ref || newer.moment() > finished.moment();
        return if is_late { News::Late { newer } } else { News::Again { newer } };
    }
    if let (true, Some(newer)) = (finished.is_result() && !counts(&builds, finished), newest(before)) {
        return News::Again { newer };
    }
    if !finished.is_result() {
        return News::NotRun;
    }
    let mut results = before.iter().rev().filter(|one| counts(&builds, one)).copied().peekable();
    let mut failed: Vec<&Finished> = Vec::new();
    while let Some(one) = results.next_if(|one| !one.status.is_success()) {
        failed.push(one);
    }
    let green = results.next().cloned();
    // Without a green build before them, older failures may have been forgotten.
    let count = |n| if green.is_none() && history.is_full() { Count::AtLeast(n) } else { Count::Exactly(n) };
    match (finished.status.is_success(), failed.last(), failed.first()) {
        (true, Some(first), Some(last)) => {
            News::Fixed { failures: count(failed.len()), first: (*first).clone(), last: (*last).clone() }
        }
        (false, Some(first), Some(last)) => {
            News::StillBroken { failures: count(failed.len() + 1), first: (*first).clone(), last: (*last).clone() }
        }
        (true, ..) => News::Unchanged { green },
        (false, ..) => News::Broke { green },
    }
}
