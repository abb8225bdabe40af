//! What the functions' logs say, the newest first.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;
use signalbox_aws::{LogLine, Logs};
use signalbox_ledger::{SWEPT, SWEPT_IN_PART};

use crate::command::account::{Entered, FunctionParts};

/// How far back is looked, in minutes: each span is begun only where the nearer ones brought too little. The last is as
/// long as an event can be in a queue.
const SPANS: [i64; 4] = [5, 60, 24 * 60, 14 * 24 * 60];

/// How far back is looked for what asks for a person.
const DAY: [i64; 1] = [24 * 60];

/// How far back is looked for what was said of one event.
const LONGEST: [i64; 1] = [14 * 24 * 60];

/// At most so many pages are read of one piece of a log. They begin with the oldest lines: a piece that has more is cut in
/// halves, and the newer half comes first.
const PAGES: u16 = 5;

/// At most so many pieces are searched.
const PIECES: u32 = 24;

/// Of at most so many refused events is looked whether they went well since: each takes a search of its own.
const REFUSALS: usize = 20;

/// Why something is not known that the log would tell.
pub(super) const TOO_LONG: &str = "the log is too long to be searched to its end";

/// What a function logged of an event.
#[derive(Debug, Clone, Serialize)]
pub(super) struct EventStatus {
    pub(super) at: Timestamp,
    pub(super) event: String,
    /// `handled`, `refused` or `comes again`.
    pub(super) outcome: String,
    pub(super) verdict: String,
    pub(super) told: String,
}

/// What was found in a log, and how far it was searched for it.
#[derive(Debug)]
pub(super) struct Found<T> {
    pub(super) what: T,
    pub(super) reach: Reach,
}

/// Events that were refused and did not go well since.
#[derive(Debug)]
pub(super) struct Refusals {
    /// Newest first.
    pub(super) events: Vec<EventStatus>,
    /// Whether all that were refused were looked at.
    pub(super) are_all: bool,
}

/// The last events of a function.
#[derive(Debug, Default)]
struct Newest {
    /// Newest first.
    events: Vec<EventStatus>,
}

impl EventStatus {
    /// Whether it is a sweep, which tells of itself by its verdict; one that found a push is an event like any other.
    fn is_sweep(&self) -> bool {
        self.verdict == SWEPT || self.left_something()
    }

    /// Whether it is a sweep that could not look at everything, or not deal with it.
    pub(super) fn left_something(&self) -> bool {
        self.verdict == SWEPT_IN_PART
    }

    /// Reads the one line that a function logs for an event.
    fn read(line: &LogLine) -> Option<Self> {
        let said: Value = serde_json::from_str(&line.text).ok()?;
        let field = |name: &str| said.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let outcome = field("message").filter(|message| matches!(*message, "handled" | "refused" | "comes again"))?;
        let words = [field("reasons"), field("actions"), field("why")].into_iter().flatten().collect::<Vec<_>>();
        Some(Self {
            at: line.at,
            event: field("event.id").unwrap_or_default().to_owned(),
            outcome: outcome.to_owned(),
            verdict: field("verdict").unwrap_or_default().to_owned(),
            told: words.join("; "),
        })
    }
}

impl Newest {
    /// Takes a line up; tells whether it has enough.
    fn take(&mut self, line: &LogLine, most: usize) -> Looking {
        match EventStatus::read(line) {
            // Of sweeps only the last one is told, by itself.
            Some(said) if said.is_sweep() || said.verdict == "not ours" => {}
            Some(said) => self.events.push(said),
            None => {}
        }
        if self.events.len() < most { Looking::GoesOn } else { Looking::IsOver }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looking {
    GoesOn,
    IsOver,
}

/// How far a search came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Somebody had enough.
    Enough,
    /// Everything was looked at.
    End,
    /// The log is too long for it: older lines were not looked at.
    Cut,
}

/// One function's log.
#[derive(Debug)]
pub(super) struct FunctionLog<'a> {
    pub(super) entered: &'a Entered,
    pub(super) logs: Logs,
    pub(super) parts: &'a FunctionParts,
}

impl FunctionLog<'_> {
    /// The last events, from the one line that the function logs for each.
    ///
    /// Not from the newest streams: when a stream was last written to is known to CloudWatch only up to an hour later.
    pub(super) async fn newest(&self, most: usize) -> anyhow::Result<Found<Vec<EventStatus>>> {
        let mut newest = Newest::default();
        let reach = self.read_back("event.id", &SPANS, |line| newest.take(line, most)).await?;
        Ok(Found { what: newest.events, reach })
    }

    /// The last sweep of a day, where the function sweeps: the newest line of one that came to its end or was refused.
    pub(super) async fn last_sweep(&self) -> anyhow::Result<Found<Option<EventStatus>>> {
        let mut last = None;
        let reach = self
            .read_back(SWEPT, &DAY, |line| {
                last = EventStatus::read(line).filter(EventStatus::is_sweep);
                if last.is_some() { Looking::IsOver } else { Looking::GoesOn }
            })
            .await?;
        Ok(Found { what: last, reach })
    }

    /// What was said last of an event.
    pub(super) async fn last_word(&self, event: &str) -> String {
        if !event.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c)) {
            return "not known: its id is none that the log could be searched for".to_owned();
        }
        let mut word = None;
        let read = self.read_back(event, &LONGEST, |line| {
            word = EventStatus::read(line).filter(|said| said.event == event);
            if word.is_some() { Looking::IsOver } else { Looking::GoesOn }
        });
        match (read.await, word) {
            (Err(error), _) => format!("not known, the log could not be searched: {error:#}"),
            (Ok(_), Some(said)) => said.told,
            (Ok(Reach::Cut), None) => format!("not known, {TOO_LONG}: see {}", self.parts.log_group),
            (Ok(_), None) => {
                format!("the log says nothing of it; the function may die over it: see {}", self.parts.log_group)
            }
        }
    }

    /// The events that were refused within a day and did not go well since, newest first.
    ///
    /// A sweep that left something is none of them: whether that is over, the last sweep tells.
    pub(super) async fn refused(&self) -> anyhow::Result<Found<Refusals>> {
        let now = Timestamp::now();
        let (mut refused, mut seen) = (Vec::new(), BTreeSet::new());
        let mut reach = self
            .read_back("refused", &DAY, |line| {
                let said = EventStatus::read(line).filter(|said| said.outcome == "refused" && !said.is_sweep());
                refused.extend(said.filter(|said| seen.insert(said.event.clone())));
                Looking::GoesOn
            })
            .await?;
        let mut open = Refusals { are_all: refused.len() <= REFUSALS, events: Vec::new() };
        for one in refused.into_iter().take(REFUSALS) {
            let mut is_mended = false;
            // A second delivery of the same refused event ends well, and mends nothing.
            let since = self.read(&one.event, (one.at, now), |line| {
                let later = EventStatus::read(line).filter(|said| said.event == one.event && said.at > one.at);
                is_mended |= later.is_some_and(|said| said.outcome == "handled" && said.verdict != "finished before");
                if is_mended { Looking::IsOver } else { Looking::GoesOn }
            });
            if since.await? == Reach::Cut {
                reach = Reach::Cut;
            }
            if !is_mended {
                open.events.push(one);
            }
        }
        Ok(Found { what: open, reach })
    }

    /// As [`FunctionLog::read`], for these spans of minutes before now, each begun only where the nearer ones brought too
    /// little.
    async fn read_back(
        &self,
        text: &str,
        spans: &[i64],
        mut take: impl FnMut(&LogLine) -> Looking,
    ) -> anyhow::Result<Reach> {
        let now = Timestamp::now();
        let mut to = now;
        for minutes in spans {
            let from = now - SignedDuration::from_mins(*minutes);
            match self.read(text, (from, to), &mut take).await? {
                Reach::End => to = from - SignedDuration::from_millis(1),
                reach => return Ok(reach),
            }
        }
        Ok(Reach::End)
    }

    /// Hands the lines of a time that hold `text` over one by one, newest first, until somebody has enough, or for as long
    /// as [`PIECES`] last.
    async fn read(
        &self,
        text: &str,
        time: (Timestamp, Timestamp),
        mut take: impl FnMut(&LogLine) -> Looking,
    ) -> anyhow::Result<Reach> {
        let mut reach = Reach::End;
        // The newest piece lies on top.
        let mut pieces = vec![time];
        for _ in 0..PIECES {
            let Some((from, to)) = pieces.pop() else { return Ok(reach) };
            let found = self.logs.search(&self.parts.log_group, text, (from, to), PAGES).await;
            let mut found = self.entered.or_told(found)?;
            let half = to.duration_since(from) / 2;
            if !found.is_complete && half >= SignedDuration::from_millis(1) {
                let middle = from + half;
                pieces.push((from, middle));
                pieces.push((middle + SignedDuration::from_millis(1), to));
                continue;
            }
            if !found.is_complete {
                reach = Reach::Cut;
            }
            // Lines of several streams come in the order of their time only roughly.
            found.lines.sort_by_key(|line| line.at);
            if found.lines.iter().rev().any(|line| take(line) == Looking::IsOver) {
                return Ok(Reach::Enough);
            }
        }
        Ok(if pieces.is_empty() { reach } else { Reach::Cut })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lines_that_tell_of_an_event_are_events_and_quiet_sweeps_are_none() {
        let line = |at: i64, text: &str| LogLine { at: Timestamp::from_second(at).unwrap(), text: text.to_owned() };
        let lines = [
            line(5, r#"{"message":"comes again","event.id":"e-3","why":"throttled"}"#),
            line(4, r#"{"message":"handled","event.id":"s-2","verdict":"swept"}"#),
            line(4, r#"{"_aws":{}}"#),
            line(3, r#"{"message":"handled","event.id":"e-2","verdict":"not ours"}"#),
            line(3, r#"{"message":"handled","event.id":"s-1","verdict":"swept in part"}"#),
            line(2, "START RequestId: x"),
            line(
                1,
                r#"{"message":"handled","event.id":"e-1","verdict":"start","reasons":"unit starts","actions":"done"}"#,
            ),
        ];
        let mut newest = Newest::default();
        let looked: Vec<Looking> = lines.iter().map(|line| newest.take(line, 2)).collect();
        assert_eq!(looked.iter().filter(|looking| **looking == Looking::IsOver).count(), 1, "{looked:?}");
        let told: Vec<(&str, &str)> = newest.events.iter().map(|one| (one.event.as_str(), one.told.as_str())).collect();
        assert_eq!(told, [("e-3", "throttled"), ("e-1", "unit starts; done")]);
    }
}
