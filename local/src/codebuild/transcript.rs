//! A build's log: lines of bounded length and number, written as they come.

use std::sync::Arc;

use crate::logs::Logs;
use crate::logs::lines::{Lines, shown};
use crate::world::World;

/// The longest line that is kept whole; a longer one is cut.
const LONGEST_LINE: usize = 16 * 1024;
/// A cutter for a build's output.
pub(crate) fn lines() -> Lines {
    Lines::at_most(LONGEST_LINE)
}

/// How much output of one build is kept. Even if every byte of it has to be escaped it fits into one stream of the logs,
/// and our own last lines behind it.
const LARGEST_LOG: usize = 8 * 1024 * 1024;
/// What a line costs beside its text.
const LINE_OVERHEAD: usize = 80;

/// The group and stream that a build writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogTarget {
    pub(crate) group: String,
    pub(crate) stream: String,
}

/// Writes a build's log.
#[derive(Debug)]
pub(crate) struct Transcript {
    world: Arc<World>,
    logs: Arc<Logs>,
    target: Option<LogTarget>,
    written: usize,
    waiting: Vec<String>,
}

impl Transcript {
    /// A log that goes to `target`, or nowhere where the project turned it off.
    pub(crate) fn new(world: &Arc<World>, logs: &Arc<Logs>, target: Option<LogTarget>) -> Self {
        Self { world: Arc::clone(world), logs: Arc::clone(logs), target, written: 0, waiting: Vec::new() }
    }

    /// A line of our own, marked and dated as CodeBuild does it.
    pub(crate) fn say(&mut self, text: impl AsRef<str>) {
        let now = self.world.now();
        let text = format!("[Container] {} {}", now.strftime("%Y/%m/%d %H:%M:%S%.6f"), text.as_ref().trim_end());
        self.waiting.push(text);
        self.flush();
    }

    /// A line of a command's output; it is written with the next [`Transcript::flush`].
    pub(crate) fn output(&mut self, line: &[u8]) {
        if self.written > LARGEST_LOG {
            return;
        }
        let text = shown(line, LONGEST_LINE);
        self.written += text.len() + LINE_OVERHEAD;
        if self.written > LARGEST_LOG {
            self.say(format!("The output is longer than {LARGEST_LOG} bytes; the rest of it is not kept."));
        } else {
            self.waiting.push(text);
        }
    }

    /// Writes what is waiting. Whoever read a piece of output calls it before waiting for the next.
    pub(crate) fn flush(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        if let Some(target) = self.target.as_ref().filter(|_| !waiting.is_empty()) {
            self.logs.append_all(&target.group, &target.stream, self.world.now(), waiting);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_without_end_is_cut_once_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let world = Arc::new(World::new(dir.path().to_owned(), "eu-west-1", 1));
        let logs = Arc::new(Logs::open(&world).unwrap());
        let target = LogTarget { group: "g".to_owned(), stream: "s".to_owned() };
        let mut transcript = Transcript::new(&world, &logs, Some(target));
        let line = vec![b'x'; LONGEST_LINE];
        for _ in 0..=LARGEST_LOG / LONGEST_LINE + 10 {
            transcript.output(&line);
        }
        transcript.say("our own lines are still written");
        let events = logs.events("g", "s");
        assert!(events.iter().map(|event| event.message.len()).sum::<usize>() < LARGEST_LOG + 1000);
        let told = events.iter().filter(|event| event.message.contains("the rest of it is not kept")).count();
        assert_eq!(told, 1);
        assert!(events.last().unwrap().message.ends_with("still written"));
    }
}
