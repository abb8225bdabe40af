//! What the trigger remembers of one of its triggers on one ref: the builds that it started, and the last green one.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use signalbox_events::{Again, BuildId, BuildStatus, CommitId, EventId, RefName, RevisionId};

use crate::facts::Facts;
use crate::journal::Origin;

/// At most this many starts are remembered for a trigger on a ref.
const REMEMBERED: usize = 50;

/// What the trigger remembers of one of its triggers on one ref (all tags together count as one).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefState {
    /// The last green build: the one of the ref's newest push that passed, in whatever order events came and builds ended.
    pub green: Option<PastStart>,
    /// The builds that were started, oldest first.
    pub starts: Vec<PastStart>,
}

/// A build that was started earlier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastStart {
    /// The build.
    pub build: BuildId,
    /// What it builds.
    pub commit: CommitId,
    /// The branch or tag it was started for.
    pub reference: RefName,
    /// Which try of this commit it is.
    pub attempt: u32,
    /// How it stands, as far as was asked.
    pub status: BuildStatus,
    /// When it was started.
    pub at: Timestamp,
    /// When the ref got to the commit, where the push says so; a branch's tip is started where it is, at [`PastStart::at`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed_at: Option<Timestamp>,
    /// Where the ref was before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<CommitId>,
    /// The wish that it was started for, where somebody had a finished event run once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
    /// The id of the push that started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<EventId>,
    /// For a pull request: the tip of the target branch that the build merges first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<CommitId>,
    /// For a pull request: the revision that it was started for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<RevisionId>,
}

impl PastStart {
    /// When the ref got to the commit, as far as is known.
    fn came(&self) -> Timestamp {
        self.pushed_at.unwrap_or(self.at)
    }

    /// Whether the other push began where this one ended, in the same second.
    fn leads(&self, to: &Self) -> bool {
        self.reference == to.reference
            && self.came().as_second() == to.came().as_second()
            && to.previous.as_ref() == Some(&self.commit)
    }

    /// Whether this start is the answer to the push that is decided on: then a build that failed is no reason for another.
    ///
    /// It is if this very push started it, before the invocation died; and, where pushes start the branch's tip whatever it
    /// is by then, if the tip was started after the push. A build that was stopped answers nobody else's push; nothing
    /// answers somebody who wants the event run once more.
    pub fn answers(&self, facts: &Facts, starts_tip: bool) -> bool {
        if facts.again.is_some() {
            return false;
        }
        if self.id.is_some() && self.id == facts.id {
            return true;
        }
        // What the sweep finds was pushed some time ago, but after the branch was seen elsewhere.
        let is_later = match facts.origin {
            Origin::Event => facts.pushed_at.is_some_and(|pushed| self.at >= pushed),
            Origin::Sweep => facts.moved_since.is_none_or(|since| self.at >= since),
        };
        starts_tip && is_later && self.status != BuildStatus::Stopped
    }
}

impl RefState {
    /// The builds whose end is not known yet.
    pub fn unsettled(&self) -> impl Iterator<Item = &BuildId> {
        self.starts.iter().filter(|start| !start.status.is_terminal()).map(|start| &start.build)
    }

    /// The state with what was learned of its builds. A build that ended stays as it ended.
    #[must_use]
    pub fn settle(&self, settled: &BTreeMap<BuildId, BuildStatus>) -> Self {
        let mut next = self.clone();
        for start in &mut next.starts {
            if let (false, Some(status)) = (start.status.is_terminal(), settled.get(&start.build)) {
                start.status = *status;
            }
        }
        let passed = next.starts.iter().filter(|start| start.status.is_success());
        next.green = next.green.iter().chain(passed).max_by_key(|start| next.place(start)).cloned();
        next
    }

    /// Where a start stands in the order in which the ref got to its commits.
    ///
    /// Events come late and in any order, so the order of starts does not tell; the times of the pushes do, to the second. Pushes of
    /// one second stand as each began where another ended. A branch that is forced back to a commit, and built there again, is
    /// there for the second time: it is the order of pushes that counts, not which commit contains which.
    fn place(&self, start: &PastStart) -> (i64, usize, Timestamp) {
        let mut way = vec![start];
        let mut last = start;
        while let Some(before) = self
            .starts
            .iter()
            .filter(|there| there.leads(last) && way.iter().all(|passed| passed.build != there.build))
            .min_by_key(|there| (there.at, &there.build))
        {
            way.push(before);
            last = before;
        }
        (start.came().as_second(), way.len(), start.at)
    }

    /// The state with one build stopped: it was asked to, and does not count as running any more.
    #[must_use]
    pub fn with_stopped(&self, build: &BuildId) -> Self {
        self.settle(&BTreeMap::from([(build.clone(), BuildStatus::Stopped)]))
    }

    /// The state with one more start; one that is already there is not added again.
    #[must_use]
    pub fn with_start(&self, start: PastStart) -> Self {
        let mut next = self.clone();
        if next.starts.iter().all(|there| there.build != start.build) {
            next.starts.push(start);
        }
        let surplus = next.starts.len().saturating_sub(REMEMBERED);
        next.starts.drain(..surplus);
        next
    }

    /// The newest start of a commit on a ref.
    pub fn newest_of(&self, commit: &CommitId, reference: &RefName) -> Option<&PastStart> {
        self.starts.iter().rev().find(|start| start.commit == *commit && start.reference == *reference)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn commit(name: &str) -> CommitId {
        CommitId::parse(name).unwrap()
    }

    fn past(number: u32, name: &str, status: BuildStatus) -> PastStart {
        PastStart {
            build: BuildId::parse(format!("p:{number:08}")).unwrap(),
            commit: commit(name),
            reference: RefName::branch("main").unwrap(),
            attempt: 1,
            status,
            at: second(i64::from(number)),
            pushed_at: None,
            previous: None,
            again: None,
            id: None,
            merge: None,
            revision: None,
        }
    }

    /// A start that passed, for a push of `name` on top of `previous`.
    fn passed(number: u32, name: &str, previous: &str, pushed: i64) -> PastStart {
        let previous = Some(commit(previous));
        PastStart { pushed_at: Some(second(pushed)), previous, ..past(number, name, BuildStatus::Succeeded) }
    }

    /// The last green commit of these starts, in this order.
    fn green(starts: &[PastStart]) -> String {
        let state = starts.iter().fold(RefState::default(), |state, start| state.with_start(start.clone()));
        state.settle(&BTreeMap::new()).green.map(|green| green.commit.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_newest_push_that_passed_is_green_in_whatever_order_events_came() {
        for (what, starts, expected) in [
            ("in order", vec![passed(1, "aa", "00", 10), passed(2, "bb", "aa", 20)], "bb"),
            ("the older event came late", vec![passed(2, "bb", "aa", 20), passed(9, "aa", "00", 10)], "bb"),
            ("late, and in the same second", vec![passed(2, "bb", "aa", 10), passed(9, "aa", "00", 10)], "bb"),
            (
                "three of one second, late",
                vec![passed(2, "cc", "bb", 10), passed(5, "aa", "00", 10), passed(9, "bb", "aa", 10)],
                "cc",
            ),
            ("late by two", vec![passed(2, "cc", "bb", 30), passed(9, "aa", "00", 10)], "cc"),
            ("forced back and built again", vec![passed(1, "bb", "aa", 20), passed(2, "aa", "bb", 30)], "aa"),
            ("forced back, its event came first", vec![passed(1, "aa", "bb", 30), passed(2, "bb", "aa", 20)], "aa"),
            ("forced elsewhere", vec![passed(1, "bb", "aa", 20), passed(2, "cc", "bb", 30)], "cc"),
            (
                "forced back by two, long after",
                vec![
                    past(1, "aa", BuildStatus::Failed),
                    passed(2, "bb", "aa", 20),
                    passed(3, "cc", "bb", 30),
                    passed(4, "aa", "cc", 40),
                ],
                "aa",
            ),
            ("forced elsewhere, late", vec![passed(1, "cc", "bb", 30), passed(2, "bb", "aa", 20)], "cc"),
        ] {
            assert_eq!(green(&starts), expected, "{what}");
        }
    }

    #[test]
    fn where_pushes_start_the_tip_the_order_of_starts_is_the_order_of_tips() {
        let tip = |number, name| past(number, name, BuildStatus::Succeeded);
        assert_eq!(green(&[tip(1, "aa"), tip(2, "bb")]), "bb");
        assert_eq!(green(&[tip(1, "bb"), tip(2, "aa")]), "aa");
    }

    #[test]
    fn a_green_commit_outlives_its_start_and_is_still_not_replaced_by_an_older_one() {
        let mut state = RefState::default().with_start(passed(100, "bb", "aa", 100)).settle(&BTreeMap::new());
        for number in 200..260 {
            state = state.with_start(past(number, "cc", BuildStatus::Failed));
        }
        let state = state.with_start(passed(300, "aa", "00", 10)).settle(&BTreeMap::new());
        assert_eq!(state.green.map(|green| green.commit), Some(commit("bb")));
    }

    #[test]
    fn tags_that_moved_say_nothing_of_other_tags() {
        let tag = |start: PastStart, name: &str| PastStart {
            reference: RefName::parse(format!("refs/tags/{name}")).unwrap(),
            ..start
        };
        let moved = tag(passed(1, "bb", "aa", 10), "latest");
        let later = tag(passed(2, "aa", "00", 20), "v2");
        assert_eq!(green(&[moved, later]), "aa");
    }

    #[test]
    fn a_lost_push_back_to_a_commit_that_failed_before_is_not_answered_by_its_old_start() {
        let old = past(1_000, "aa", BuildStatus::Failed);
        let answered = |since: Option<i64>| {
            let moved_since = since.map(second);
            old.answers(&Facts { origin: Origin::Sweep, moved_since, ..Facts::default() }, true)
        };
        assert!(answered(Some(999)), "the branch moved there, and that push found its tip started");
        assert!(answered(None), "a new branch");
        assert!(!answered(Some(1_001)), "it was elsewhere after that start, and came back");
    }

    fn status() -> impl Strategy<Value = BuildStatus> {
        prop::sample::select(BuildStatus::ALL)
    }

    proptest! {
        #[test]
        fn in_whatever_order_builds_end_the_newest_green_start_is_green(
            statuses in prop::collection::vec(status(), 1..8),
            order in any::<prop::sample::Index>(),
        ) {
            let starts: Vec<PastStart> = (0_u32..)
                .zip(&statuses)
                .map(|(n, _)| past(n, &format!("a{n}"), BuildStatus::InProgress))
                .collect();
            let ends: Vec<_> = starts.iter().map(|start| start.build.clone()).zip(statuses.iter().copied()).collect();
            let state = RefState { green: None, starts };
            let together = state.settle(&ends.iter().cloned().collect());
            let mut one_by_one = state;
            let first = order.index(ends.len());
            for (build, status) in ends.iter().cycle().skip(first).take(ends.len()) {
                one_by_one = one_by_one.settle(&BTreeMap::from([(build.clone(), *status)]));
            }
            prop_assert_eq!(&one_by_one, &together);
            let newest = (0..statuses.len()).rev().find(|n| statuses[*n].is_success());
            let expected = newest.map(|n| commit(&format!("a{n}")));
            prop_assert_eq!(together.green.map(|green| green.commit), expected);
        }

        /// A branch that is pushed forwards, forced back and elsewhere; its events come, and its builds end, in any order.
        /// Within one second it does not come back to a commit: nothing that is known would tell that order.
        #[test]
        fn in_whatever_order_events_come_and_builds_end_the_newest_push_that_passed_is_green(
            pushes in prop::collection::vec((0_usize..5, any::<bool>(), any::<bool>()), 1..9),
            shuffled in prop::collection::vec(any::<u32>(), 16),
        ) {
            let (mut second_now, mut at_tip) = (10, "00".to_owned());
            let mut this_second = vec![at_tip.clone()];
            let mut starts = Vec::new();
            for (number, (to, same_second, is_green)) in (1_u32..).zip(&pushes) {
                let to = format!("a{to}");
                if to == at_tip {
                    continue;
                }
                if !*same_second || this_second.contains(&to) {
                    second_now += 1;
                    this_second = vec![at_tip.clone()];
                }
                let status = if *is_green { BuildStatus::Succeeded } else { BuildStatus::Failed };
                starts.push(PastStart { status, ..passed(number, &to, &at_tip, second_now) });
                this_second.push(to.clone());
                at_tip = to;
            }
            let newest = starts.iter().rev().find(|start| start.status.is_success()).map(|start| start.build.clone());
            let mut order: Vec<usize> = (0..starts.len()).collect();
            order.sort_by_key(|place| shuffled[*place]);
            let (mut state, mut ends) = (RefState::default(), order.clone());
            for (handled, place) in (0_u32..).zip(order) {
                let start = PastStart {
                    status: BuildStatus::InProgress,
                    at: second(1_000 + i64::from(handled)),
                    ..starts[place].clone()
                };
                state = state.with_start(start);
            }
            ends.sort_by_key(|place| shuffled[8 + *place]);
            for place in ends {
                let ended = &starts[place];
                state = state.settle(&BTreeMap::from([(ended.build.clone(), ended.status)]));
            }
            prop_assert_eq!(state.green.map(|green| green.build), newest);
        }

        #[test]
        fn memory_is_bounded_and_a_start_is_kept_once(count in 1_u32..120) {
            let mut state = RefState::default();
            for n in 0..count {
                let start = past(n, "bb", BuildStatus::Failed);
                state = state.with_start(start.clone()).with_start(start);
            }
            prop_assert_eq!(state.starts.len(), usize::try_from(count.min(50)).unwrap());
        }
    }
}
