//! The messages that were accepted since the state was last written, one line each.
//!
//! The state is one file that is written whole, which is too slow for every message: with 2,000 messages in it that took
//! a tenth of a second for each. A line here is written before the sender is answered, so that a killed process loses no
//! message. What became of a message since is in the state only: after a kill it may come once more, as on AWS.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::State;
use super::queue::{Queue, Stored, Ticket};
use crate::kept::add_whole;

#[derive(Deserialize)]
struct Line {
    queue: String,
    /// Which queue of that name: another may have been made since.
    mark: String,
    ticket: Ticket,
    message: Stored,
}

#[derive(Serialize)]
struct LineRef<'a> {
    queue: &'a str,
    mark: &'a str,
    ticket: Ticket,
    message: &'a Stored,
}

/// The file, open for the next line.
#[derive(Debug)]
pub(super) struct Journal {
    file: Mutex<File>,
}

impl Journal {
    /// Opens the file in `DIR/state`; gives what is in it, for [`replay`].
    pub(super) fn open(dir: &Path) -> anyhow::Result<(Self, Vec<u8>)> {
        let path = dir.join("state/sqs.journal");
        let cannot_use = || format!("cannot use {}", path.display());
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            bytes => bytes.with_context(cannot_use)?,
        };
        let file = OpenOptions::new().create(true).append(true).open(&path).with_context(cannot_use)?;
        Ok((Self { file: Mutex::new(file) }, bytes))
    }

    /// A journal in another place, for tests.
    #[cfg(test)]
    pub(super) fn on(file: File) -> Self {
        Self { file: Mutex::new(file) }
    }

    /// Writes down a message that a queue has just taken.
    pub(super) fn add(&self, name: &str, queue: &Queue, ticket: Ticket) -> anyhow::Result<()> {
        let Some((mark, message)) = queue.entry(ticket) else { return Ok(()) };
        let mut line = serde_json::to_vec(&LineRef { queue: name, mark, ticket, message })?;
        line.push(b'\n');
        add_whole(&mut self.file.lock().unwrap_or_else(PoisonError::into_inner), &line)
            .context("cannot write the journal of the queues")
    }

    /// Forgets all lines, because the state has them.
    pub(super) fn clear(&self) -> anyhow::Result<()> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.set_len(0).context("cannot clear the journal of the queues")
    }
}

/// Adds the messages that the state lacks; gives how many those were.
///
/// A queue knows which it had: its tickets are given once, so every message below the next one was there.
pub(super) fn replay(state: &mut State, journal: &[u8]) -> usize {
    let mut added = 0;
    for line in BufReader::new(journal).split(b'\n').map_while(Result::ok) {
        // The last line may be cut; it was never answered then.
        let Ok(line) = serde_json::from_slice::<Line>(&line) else { continue };
        let restored =
            state.queues.get_mut(&line.queue).is_some_and(|queue| queue.restore(&line.mark, line.ticket, line.message));
        added += usize::from(restored);
    }
    added
}
