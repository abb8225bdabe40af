//! What the functions' logs say, the newest first.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;
use signalbox_aws::{LogLine, Logs};

use crate::command::account::{Entered, FunctionParts};

/// How far back is looked, in minutes: each span is begun only where the nearer ones brought too little. The last is as
/// long as an event can be in a queue.
const SPANS: [i64; 4] = [5, 60, 24 * 60, 14 * 24 * 60];

/// At most so many pages are read of one piece of a log. They begin with the oldest lines: a piece that has more is cut in
/// halves, and the newer half comes first.
const PAGES: u16 = 5;

/// At most so many pieces are searched.
const PIECES: u32 = 24;

/// How long ago a refusal may be and still ask for a person.
const REFUSALS: SignedDuration = SignedDuration::from_hours(24);

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

/// The last events of a function.
#[derive(Debug, Default)]
pub(super) struct Newest {
    /// Newest first.
    pub(super) events: Vec<EventStatus>,
    /// When the last sweep ended that found nothing; sweeps like it are no events to tell of.
    pub(super) quiet_sweep: Option<Timestamp>,
}

impl EventStatus {
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
            Some(said) if said.verdict == "swept" => {
                self.quiet_sweep.get_or_insert(said.at);
            }
            Some(said) if said.verdict == "not ours" => {}
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
    pub(super) async fn newest(&self, most: usize) -> anyhow::Result<Newest> {
        let mut newest = Newest::default();
        let now = Timestamp::now();
        let mut to = now;
        for minutes in SPANS {
            let from = now - SignedDuration::from_mins(minutes);
            if self.read("event.id", (from, to), |line| newest.take(line, most)).await? == Looking::IsOver {
                break;
            }
            to = from - SignedDuration::from_millis(1);
        }
        Ok(newest)
    }

    /// What was said last of an event.
    pub(super) async fn last_word(&self, event: &str) -> String {
        if !event.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c)) {
            return "not known: its id is none that the log could be searched for".to_owned();
        }
        let now = Timestamp::now();
        let [.., longest] = SPANS;
        let mut word = None;
        let read = self.read(event, (now - SignedDuration::from_mins(longest), now), |line| {
            word = EventStatus::read(line).filter(|said| said.event == event);
            if word.is_some() { Looking::IsOver } else { Looking::GoesOn }
        });
        match read.await {
            Ok(_) => word.map_or_else(
                || format!("the log says nothing of it; the function may die over it: see {}", self.parts.log_group),
                |said| said.told,
            ),
            Err(error) => format!("not known, the log could not be searched: {error:#}"),
        }
    }

    /// The events that were refused within a day and did not go well since, newest first.
    pub(super) async fn refused(&self) -> anyhow::Result<Vec<EventStatus>> {
        let now = Timestamp::now();
        let (mut refused, mut seen) = (Vec::new(), BTreeSet::new());
        self.read("refused", (now - REFUSALS, now), |line| {
            let said = EventStatus::read(line).filter(|said| said.outcome == "refused");
            refused.extend(said.filter(|said| seen.insert(said.event.clone())));
            Looking::GoesOn
        })
        .await?;
        let mut open = Vec::new();
        for one in refused {
            let mut is_mended = false;
            // A second delivery of the same refused event ends well, and mends nothing.
            self.read(&one.event, (one.at, now), |line| {
                let later = EventStatus::read(line).filter(|said| said.event == one.event && said.at > one.at);
                is_mended |= later.is_some_and(|said| said.outcome == "handled" && said.verdict != "finished before");
                Looking::GoesOn
            })
            .await?;
            if !is_mended {
                open.push(one);
            }
        }
        Ok(open)
    }

    /// Hands the lines of a time that hold `text` over one by one, newest first, until somebody has enough.
    async fn read(
        &self,
        text: &str,
        time: (Timestamp, Timestamp),
        mut take: impl FnMut(&LogLine) -> Looking,
    ) -> anyhow::Result<Looking> {
        // The newest piece lies on top.
        let mut pieces = vec![time];
        for _ in 0..PIECES {
            let Some((from, to)) = pieces.pop() else { break };
            let found = self.logs.search(&self.parts.log_group, text, (from, to), PAGES).await;
            let mut found = self.entered.or_told(found)?;
            let half = to.duration_since(from) / 2;
            if !found.is_complete && half >= SignedDuration::from_millis(1) {
                let middle = from + half;
                pieces.push((from, middle));
                pieces.push((middle + SignedDuration::from_millis(1), to));
                continue;
            }
            // Lines of several streams come in the order of their time only roughly.
            found.lines.sort_by_key(|line| line.at);
            if found.lines.iter().rev().any(|line| take(line) == Looking::IsOver) {
                return Ok(Looking::IsOver);
            }
        }
        Ok(Looking::GoesOn)
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
            line(3, r#"{"message":"handled","event.id":"s-1","verdict":"swept"}"#),
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
        assert_eq!(newest.quiet_sweep, Timestamp::from_second(4).ok());
    }
}
