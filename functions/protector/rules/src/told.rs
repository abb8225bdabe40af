//! How often people are told: somebody who keeps pushing is put back every time, and not mailed every time.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use signalbox_events::{Arn, EventId, RepositoryName};

/// What happens within this time of the first is counted together.
const WINDOW: SignedDuration = SignedDuration::from_hours(1);
/// Of one person so many are told one by one.
const OF_ONE: usize = 5;
/// Of all people together so many.
const OF_ALL: usize = 20;
/// So many of a window are remembered; what comes behind them is not told.
const REMEMBERED: usize = 256;

/// Who was told what of a repository within the last hour.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TellBook {
    /// When the window began.
    since: Option<Timestamp>,
    /// What came since, in its order.
    taken: Vec<Taken>,
    /// How much of each person was not told since they were told last.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    untold: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Taken {
    event: EventId,
    who: String,
    turn: Telling,
}

/// Whether something is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Telling {
    /// It is.
    Now {
        /// So much of the same person was not, before it.
        untold: u64,
    },
    /// It is not: too much was told already.
    Left {
        /// The how manieth of the same person it is within the hour.
        nth: usize,
    },
}

impl TellBook {
    /// Where that of a repository lies.
    pub fn key(repository: &RepositoryName) -> String {
        format!("state/protected/{repository}.told.json")
    }

    /// The book in which this event is entered; one that is there already stays as it is.
    ///
    /// Of one person the first five of an hour are told, then the 8th, the 16th, the 32nd and so on; of all people together the first twenty, then the
    /// 32nd and so on. An hour begins with what is told first.
    #[must_use]
    pub fn with(&self, event: &EventId, by: Option<&Arn>, now: Timestamp) -> Self {
        if self.turn_of(event).is_some() {
            return self.clone();
        }
        let is_over = self.since.is_none_or(|since| now.duration_since(since) >= WINDOW);
        let mut next = match is_over {
            true => Self { since: Some(now), taken: Vec::new(), untold: self.untold.clone() },
            false => self.clone(),
        };
        let who = by.map_or("-", Arn::as_str).to_owned();
        let nth = next.taken.iter().filter(|taken| taken.who == who).count().saturating_add(1);
        let nth_of_all = next.taken.len().saturating_add(1);
        let turn = if is_told(nth, OF_ONE) && is_told(nth_of_all, OF_ALL) && nth_of_all <= REMEMBERED {
            Telling::Now { untold: next.untold.remove(&who).unwrap_or_default() }
        } else {
            let untold = next.untold.entry(who.clone()).or_default();
            *untold = untold.saturating_add(1);
            Telling::Left { nth }
        };
        if next.taken.len() < REMEMBERED {
            next.taken.push(Taken { event: event.clone(), who, turn });
        }
        while next.untold.len() > REMEMBERED {
            next.untold.pop_first();
        }
        next
    }

    /// What became of this event; nothing where it was never entered, or could not be kept.
    pub fn turn_of(&self, event: &EventId) -> Option<Telling> {
        self.taken.iter().find(|taken| taken.event == *event).map(|taken| taken.turn)
    }
}

fn is_told(nth: usize, one_by_one: usize) -> bool {
    nth <= one_by_one || nth.is_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> EventId {
        EventId::parse(format!("e{number}")).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn person(name: &str) -> Arn {
        Arn::parse(format!("arn:aws:iam::111122223333:user/{name}")).unwrap()
    }

    #[test]
    fn who_keeps_pushing_is_mailed_less_and_less_and_hears_how_much_was_left_out() {
        let (mut book, who) = (TellBook::default(), person("developer"));
        let mut told = Vec::new();
        for number in 1..=40 {
            book = book.with(&id(number), Some(&who), at(number as i64));
            if let Some(Telling::Now { untold }) = book.turn_of(&id(number)) {
                told.push((number, untold));
            }
        }
        assert_eq!(told, [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (8, 2), (16, 7), (32, 15)]);
        // A second delivery is no second one, and an hour later all begins anew.
        assert_eq!(book.with(&id(8), Some(&who), at(41)), book);
        let later = book.with(&id(50), Some(&who), at(3_601));
        assert_eq!(later.turn_of(&id(50)), Some(Telling::Now { untold: 8 }));
        // Somebody else is heard all the same.
        let other = book.with(&id(51), Some(&person("other")), at(42));
        assert_eq!(other.turn_of(&id(51)), Some(Telling::Left { nth: 1 }), "the 41st of all");
    }

    #[test]
    fn who_pushes_every_ten_minutes_for_a_day_is_told_in_every_hour() {
        let (mut book, who) = (TellBook::default(), person("robot"));
        let mut told = 0;
        for number in 0..144 {
            book = book.with(&id(number), Some(&who), at(number as i64 * 600));
            told += usize::from(matches!(book.turn_of(&id(number)), Some(Telling::Now { .. })));
        }
        assert_eq!(told, 24 * 5);
    }

    #[test]
    fn many_robots_at_once_are_bounded_together_and_the_book_stays_small() {
        let mut book = TellBook::default();
        let mut told = 0;
        for number in 0..5_000 {
            book = book.with(&id(number), Some(&person(&format!("r{number}"))), at(number as i64 / 10));
            told += usize::from(matches!(book.turn_of(&id(number)), Some(Telling::Now { .. })));
        }
        assert_eq!(told, 20 + 4);
        assert!(serde_json::to_string(&book).unwrap().len() < 70_000);
    }
}
