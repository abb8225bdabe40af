//! A function's log: its own lines and Lambda's, on their way to CloudWatch Logs.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::logs::Logs;
use crate::template::function::{Function, LogFormat};

/// How many lines may wait; a function that writes faster is slowed down.
const WAITING_LINES: usize = 4096;

/// A line on its way.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) group: String,
    pub(super) stream: String,
    pub(super) time: Timestamp,
    pub(super) text: String,
}

/// Where lines go in.
pub(super) type Lines = mpsc::Sender<Line>;

/// A channel for lines; what comes out is for [`write`].
pub(super) fn channel() -> (Lines, mpsc::Receiver<Line>) {
    mpsc::channel(WAITING_LINES)
}

/// One environment's log stream.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    lines: Lines,
    group: String,
    stream: String,
    format: LogFormat,
    least: Option<usize>,
    fate: Fate,
}

/// Whether a log is written: the function's role says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Written,
    Lost,
}

const LEVELS: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

fn rank(level: &str) -> Option<usize> {
    LEVELS.iter().position(|known| known.eq_ignore_ascii_case(level))
}

impl Stream {
    pub(super) fn new(lines: Lines, function: &Function, stream: String, fate: Fate) -> Self {
        Self {
            lines,
            group: function.log_group.clone(),
            stream,
            format: function.log_format,
            least: function.log_level.as_deref().and_then(rank),
            fate,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.stream
    }

    /// A line that the function wrote. A JSON log drops what is below its level, as Lambda does.
    pub(super) async fn function_line(&self, text: &str) {
        if self.format == LogFormat::Json && self.least.is_some_and(|least| is_below(text, least)) {
            return;
        }
        self.put(text.to_owned()).await;
    }

    /// A line of Lambda's own: the text, or in a JSON log the record.
    pub(super) async fn platform_line(&self, text: String, kind: &str, record: Value) {
        let line = match self.format {
            LogFormat::Text => text,
            LogFormat::Json => {
                json!({ "time": Timestamp::now().to_string(), "type": kind, "record": record }).to_string()
            }
        };
        self.put(line).await;
    }

    async fn put(&self, text: String) {
        if self.fate == Fate::Lost {
            return;
        }
        let line = Line { group: self.group.clone(), stream: self.stream.clone(), time: Timestamp::now(), text };
        // The writer ends with the functions; then nobody reads the log any more.
        let _nobody_reads = self.lines.send(line).await;
    }
}

fn is_below(text: &str, least: usize) -> bool {
    let Ok(Value::Object(record)) = serde_json::from_str::<Value>(text) else { return false };
    record.get("level").and_then(Value::as_str).and_then(rank).is_some_and(|level| level < least)
}

/// Writes lines as they come, until the last sender is gone.
pub(super) async fn write(logs: Arc<Logs>, mut lines: mpsc::Receiver<Line>) {
    while let Some(Line { group, stream, time, text }) = lines.recv().await {
        logs.append(&group, &stream, time, &text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_below_a_level_only_if_it_says_so() {
        let warn = rank("WARN").unwrap();
        assert!(is_below(r#"{"level":"info","message":"x"}"#, warn));
        assert!(!is_below(r#"{"level":"ERROR"}"#, warn));
        assert!(!is_below(r#"{"message":"no level"}"#, warn));
        assert!(!is_below("plain text", warn));
    }
}
