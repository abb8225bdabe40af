//! How far long work is, for a person at a terminal: never in a pipe or a file.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Short work needs no word.
const AFTER: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_millis(200);

/// One line of standard error that is written over.
#[derive(Debug)]
pub(super) struct Progress {
    is_shown: bool,
    next: Instant,
    has_written: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { is_shown: std::io::stderr().is_terminal() && !is_dumb, next: Instant::now() + AFTER, has_written: false }
    }

    pub(super) fn tell(&mut self, text: impl FnOnce() -> String) {
        if !self.is_shown || Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + EVERY;
        self.has_written = true;
        self.write(&format!("\r\u{1b}[2K{} ...", text()));
    }

    fn write(&self, text: &str) {
        let mut out = std::io::stderr();
        // Nobody reads it any more: then nobody waits.
        let _gone = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.has_written {
            self.write("\r\u{1b}[2K");
        }
    }
}
