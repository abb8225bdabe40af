//! What the sweep cannot do: said once, at once where it will never go better, and after a day where it only might.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use signalbox_events::RepositoryName;

/// A queue keeps trying an event for a day before it gives it up. So long does the sweep try before it says so.
const LIFE: SignedDuration = SignedDuration::from_hours(24);

/// How a look at a repository or a branch failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failed {
    /// It will never go well.
    Refused(String),
    /// It may go better at the next sweep.
    Later(String),
}

/// Something that could not be looked at or dealt with the last time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Since when.
    pub since: Timestamp,
    /// Why, the last time.
    pub why: String,
    /// Whether it was said.
    #[serde(default)]
    pub told: bool,
    /// The refusal that was said last: what only fails in between does not make it new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

/// A repository or a branch that the sweep could not deal with, as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotSwept {
    /// The repository.
    pub repository: RepositoryName,
    /// The branch by its short name; `None` for the repository itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Why.
    pub why: String,
}

impl Trouble {
    /// The trouble after one more failure, and what is to be said now.
    ///
    /// A refusal is said once, and again when its reason changes. What only might go better is said once, when it has lasted
    /// as long as a queue would have tried.
    pub fn after(there: Option<&Self>, failed: &Failed, now: Timestamp) -> (Self, Option<String>) {
        let since = there.map_or(now, |there| there.since);
        let lasts = now.duration_since(since);
        let said = there.and_then(|there| there.refusal.clone());
        let (why, refusal, told, news) = match failed {
            Failed::Refused(why) => {
                let told = said.as_ref() == Some(why);
                (why, Some(why.clone()), told, (!told).then(|| why.clone()))
            }
            Failed::Later(why) => {
                let told = there.is_some_and(|there| there.told);
                let is_due = !told && lasts >= LIFE;
                (why, said, told, is_due.then(|| format!("it has failed for {} hours: {why}", lasts.as_hours())))
            }
        };
        (Self { since, why: why.clone(), told: told || news.is_some(), refusal }, news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3600).unwrap()
    }

    /// At which of these hours something is said.
    fn said(failures: &[(i64, Failed)]) -> Vec<i64> {
        let (mut there, mut said) = (None, Vec::new());
        for (at, failed) in failures {
            let (trouble, news) = Trouble::after(there.as_ref(), failed, hour(*at));
            there = Some(trouble);
            said.extend(news.map(|_| *at));
        }
        said
    }

    #[test]
    fn a_refusal_is_said_at_once_and_what_may_go_better_after_a_day_each_once() {
        let refused = |why: &str| Failed::Refused(why.to_owned());
        let later = |why: &str| Failed::Later(why.to_owned());
        assert_eq!(said(&[(0, refused("no")), (1, refused("no")), (2, refused("other"))]), [0, 2]);
        let throttled = (0..60).map(|at| (at, later(&format!("throttled, request {at}"))));
        assert_eq!(said(&throttled.collect::<Vec<_>>()), [24]);
        assert_eq!(said(&[(0, later("away")), (1, refused("no")), (30, later("away"))]), [1]);
        assert_eq!(said(&[(0, refused("no")), (1, later("away")), (2, refused("no")), (3, refused("other"))]), [0, 3]);
        assert_eq!(
            said(&[(0, later("away")), (24, later("away")), (25, refused("no")), (26, refused("no"))]),
            [24, 25]
        );
    }
}
