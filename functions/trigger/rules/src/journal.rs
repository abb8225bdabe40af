//! Which pushes of a branch were taken up, by whom: so that an event and the sweep that meet in one push act once.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use signalbox_events::{CommitId, EventId};

use crate::facts::Push;
use crate::needs::key_part;

/// At most this many pushes of a branch are remembered.
const REMEMBERED: usize = 50;

/// The newest pushes of one branch that were taken up, oldest first.
///
/// Entered before anything is decided, by compare-and-swap: whoever comes second finds the entry and acts under its id, so
/// that the ledger's claim stands between the two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// The entries.
    pub pushes: Vec<TakenUp>,
}

/// A push that was taken up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenUp {
    /// The commit.
    pub commit: CommitId,
    /// The id that it is claimed under in the ledger.
    pub id: EventId,
    /// For an event when it was handled, for the sweep when it looked at the branch.
    pub at: Timestamp,
    /// Who came first.
    pub by: Origin,
}

/// How the trigger came to know of a push.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// CodeCommit's event told of it.
    #[default]
    Event,
    /// The sweep found it.
    Sweep,
}

impl Origin {
    pub(crate) fn is_event(&self) -> bool {
        *self == Self::Event
    }
}

/// A push that asks to be taken up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The commit.
    pub commit: CommitId,
    /// Its own id.
    pub id: EventId,
    /// The entry's [`TakenUp::at`].
    pub at: Timestamp,
    /// What is known of the time of the push.
    pub known: Known,
}

/// What is known of the time of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// The event says when it was, to the second, if it does.
    Pushed(Option<Timestamp>),
    /// The branch was elsewhere then, and moved later; `None` where it was not there at all.
    MovedSince(Option<Timestamp>),
}

impl Known {
    /// Who knows it.
    pub fn origin(&self) -> Origin {
        match self {
            Self::Pushed(_) => Origin::Event,
            Self::MovedSince(_) => Origin::Sweep,
        }
    }
}

impl Journal {
    /// Where the journal of the pushed branch lies.
    pub fn key(push: &Push) -> String {
        format!("state/journal/{}/{}.json", push.repository, key_part(push.reference.as_str()))
    }

    /// The entry of the push that arrives: its own, or that of whoever took the same push up before.
    ///
    /// A branch may come back to a commit, and that is another push: an event is the sweep's push only if it happened
    /// before the sweep looked, and an entry is what the sweep found only if it is younger than the branch's last place.
    pub fn entry(&self, arrival: &Arrival) -> Option<&TakenUp> {
        let is_own = |there: &&TakenUp| there.id == arrival.id;
        let is_same = |there: &&TakenUp| {
            there.commit == arrival.commit
                && match arrival.known {
                    Known::Pushed(at) => there.by == Origin::Sweep && at.is_none_or(|pushed| pushed <= there.at),
                    Known::MovedSince(since) => since.is_none_or(|since| there.at >= since),
                }
        };
        self.pushes.iter().find(is_own).or_else(|| self.pushes.iter().rev().find(is_same))
    }

    /// The journal with the push in it; one that was taken up before is not entered again.
    #[must_use]
    pub fn with(&self, arrival: &Arrival) -> Self {
        let mut next = self.clone();
        if self.entry(arrival).is_none() {
            let by = arrival.known.origin();
            next.pushes.push(TakenUp { commit: arrival.commit.clone(), id: arrival.id.clone(), at: arrival.at, by });
        }
        let surplus = next.pushes.len().saturating_sub(REMEMBERED);
        next.pushes.drain(..surplus);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn arrival(id: &str, commit: &str, at: i64, known: Known) -> Arrival {
        let (commit, id) = (CommitId::parse(commit).unwrap(), EventId::parse(id).unwrap());
        Arrival { commit, id, at: second(at), known }
    }

    /// The id that the last of these arrivals acts under.
    fn acts_under(arrivals: &[Arrival]) -> String {
        let journal = arrivals.iter().fold(Journal::default(), |journal, arrival| journal.with(arrival));
        journal.entry(arrivals.last().unwrap()).unwrap().id.to_string()
    }

    #[test]
    fn whoever_comes_first_gives_the_push_its_id() {
        let event = |at, pushed| arrival("event", "aa", at, Known::Pushed(pushed));
        let sweep = |at, since| arrival("sweep", "aa", at, Known::MovedSince(since));
        for (what, arrivals, expected) in [
            ("an event alone", vec![event(10, Some(second(9)))], "event"),
            ("the same event again", vec![event(10, Some(second(9))), event(700, Some(second(9)))], "event"),
            ("the sweep behind its event", vec![event(10, Some(second(9))), sweep(20, Some(second(5)))], "event"),
            ("the sweep behind the event of a new branch", vec![event(10, None), sweep(20, None)], "event"),
            ("a late event behind the sweep", vec![sweep(20, Some(second(5))), event(900, Some(second(9)))], "sweep"),
            ("a late event without a time", vec![sweep(20, Some(second(5))), event(900, None)], "sweep"),
            ("a push back to the commit, later", vec![sweep(20, None), event(900, Some(second(890)))], "event"),
            ("a lost push back to the commit", vec![event(10, None), sweep(900, Some(second(500)))], "sweep"),
            ("a sweep that is repeated", vec![sweep(20, Some(second(5))), sweep(30, Some(second(5)))], "sweep"),
        ] {
            assert_eq!(acts_under(&arrivals), expected, "{what}");
        }
        let other = arrival("other", "aa", 12, Known::Pushed(None));
        assert_eq!(acts_under(&[event(10, None), other]), "other", "two pushes of one commit are two");
    }

    #[test]
    fn a_journal_keeps_the_newest() {
        let all = (0..60).map(|n| arrival(&format!("e{n}"), "aa", n, Known::Pushed(None)));
        let journal = all.fold(Journal::default(), |journal, arrival| journal.with(&arrival));
        assert_eq!(journal.pushes.len(), REMEMBERED);
        assert_eq!(journal.pushes[0].id.as_str(), "e10");
    }
}
