//! Archives: what was on the bus, kept on disk to be replayed. One file an archive, one line an event.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::EventBridge;
use super::envelope::{Envelope, Sealed};
use super::matching::Fields;
use super::pattern::Pattern;
use crate::kept::add_whole;

const DAY: i64 = 86_400_000;

/// How often expired events are thrown away, in milliseconds. They are not shown any more before that.
const SWEEP_EVERY: i64 = 3_600_000;

/// What an archive is; its events lie in `DIR/archives/NAME.jsonl`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Archive {
    /// The ARN of the bus.
    pub(super) source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    /// Only events that match are kept; it was understood when it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pattern: Option<String>,
    /// Nought keeps events for ever.
    pub(super) retention_days: i64,
    /// In milliseconds since 1970.
    pub(super) created: i64,
}

/// How much an archive holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Holding {
    pub(super) events: usize,
    pub(super) bytes: usize,
}

/// The files of all archives.
#[derive(Debug)]
pub(super) struct Shelf {
    dir: PathBuf,
    /// One writer at a time: a sweep must not lose what is added meanwhile.
    writing: Mutex<()>,
}

/// A line of an archive: when it was archived, in milliseconds since 1970, and the event.
fn line(archived: Timestamp, body: &str) -> String {
    format!("{{\"archived\":{},\"event\":{body}}}\n", archived.as_millisecond())
}

/// The parts of a line; `None` for half a line, which a killed process may have left.
fn parts(line: &str) -> Option<(i64, &str)> {
    let (archived, event) = line.strip_prefix("{\"archived\":")?.split_once(",\"event\":")?;
    Some((archived.parse().ok()?, event.strip_suffix('}')?))
}

impl Archive {
    fn wants(&self, fields: &Fields<'_>) -> bool {
        let Some(pattern) = &self.pattern else { return true };
        pattern.parse::<Pattern>().is_ok_and(|pattern| pattern.accepts(fields))
    }

    /// The moment before which events are gone.
    fn horizon(&self, now: Timestamp) -> i64 {
        if self.retention_days == 0 {
            return i64::MIN;
        }
        now.as_millisecond().saturating_sub(self.retention_days.saturating_mul(DAY))
    }
}

impl Shelf {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, writing: Mutex::new(()) }
    }

    fn file(&self, archive: &str) -> PathBuf {
        self.dir.join(format!("{archive}.jsonl"))
    }

    fn add(&self, archive: &str, sealed: &Sealed) -> std::io::Result<()> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        fs::create_dir_all(&self.dir)?;
        let mut file = File::options().create(true).append(true).open(self.file(archive))?;
        add_whole(&mut file, line(sealed.ingested, &sealed.body).as_bytes())
    }

    /// Throws an archive's events away.
    pub(super) fn remove(&self, archive: &str) -> std::io::Result<()> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        match fs::remove_file(self.file(archive)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn text(&self, archive: &str) -> std::io::Result<String> {
        match fs::read(self.file(archive)) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(error),
        }
    }

    fn sweep(&self, name: &str, horizon: i64) -> std::io::Result<()> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let text = self.text(name)?;
        let stays = |line: &&str| parts(line).is_some_and(|(archived, _)| archived >= horizon);
        let kept: String = text.lines().filter(stays).flat_map(|line| [line, "\n"]).collect();
        if kept.len() == text.len() {
            return Ok(());
        }
        let beside = self.dir.join(format!("{name}.new"));
        fs::write(&beside, kept)?;
        fs::rename(beside, self.file(name))
    }
}

impl EventBridge {
    /// Keeps an event in every archive that wants it. An event that cannot be kept is told to the operator.
    pub(super) fn archive(&self, sealed: &Sealed, fields: &Fields<'_>) {
        let wanting: Vec<String> = self.state.read(|state| {
            let wanting = state.archives.iter().filter(|(_, archive)| archive.wants(fields));
            wanting.map(|(name, _)| name.clone()).collect()
        });
        for name in wanting {
            if let Err(error) = self.shelf.add(&name, sealed) {
                tracing::error!(event.id = sealed.id, archive = name, %error, "an event is missing in an archive");
            }
        }
    }

    /// How much of an archive is there and has not expired.
    pub(super) fn holding(&self, name: &str, archive: &Archive) -> std::io::Result<Holding> {
        let horizon = archive.horizon(self.world.now());
        let text = self.shelf.text(name)?;
        let there = text.lines().filter_map(parts).filter(|(archived, _)| *archived >= horizon);
        Ok(there.fold(Holding::default(), |held, (_, event)| Holding {
            events: held.events + 1,
            bytes: held.bytes + event.len(),
        }))
    }

    /// The events of an archive whose times lie in a range of milliseconds since 1970, by the minute, as replays bring them.
    pub(super) fn archived(
        &self,
        name: &str,
        archive: &Archive,
        from: i64,
        to: i64,
    ) -> std::io::Result<Vec<(i64, Envelope)>> {
        let horizon = archive.horizon(self.world.now());
        let text = self.shelf.text(name)?;
        let there = text.lines().filter_map(parts).filter(|(archived, _)| *archived >= horizon);
        let mut events: Vec<(i64, Envelope)> = there
            .filter_map(|(_, event)| {
                let event: Envelope = serde_json::from_str(event).ok()?;
                let time: Timestamp = event.time.parse().ok()?;
                Some((time.as_millisecond(), event))
            })
            .filter(|(time, _)| (from..=to).contains(time))
            .collect();
        events.sort_by_key(|(time, _)| time.div_euclid(60_000));
        Ok(events)
    }

    /// Throws away what has expired; gives when that is due again.
    pub(super) fn sweep_due(&self, now: Timestamp) -> Option<i64> {
        let expiring: Vec<(String, i64)> = self.state.read(|state| {
            let expiring = state.archives.iter().filter(|(_, archive)| archive.retention_days > 0);
            expiring.map(|(name, archive)| (name.clone(), archive.horizon(now))).collect()
        });
        let mut due = self.sweep.lock().unwrap_or_else(PoisonError::into_inner);
        if expiring.is_empty() {
            return None;
        }
        let at = now.as_millisecond();
        if *due <= at {
            *due = at + SWEEP_EVERY;
            for (name, horizon) in expiring {
                if let Err(error) = self.shelf.sweep(&name, horizon) {
                    tracing::warn!(archive = name, %error, "expired events could not be thrown away");
                }
            }
        }
        Some(*due)
    }
}
