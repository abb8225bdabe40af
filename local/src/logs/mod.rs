//! CloudWatch Logs: groups, streams, events.
//!
//! A group is a folder and a stream is a file of JSON lines whose first line says which stream it is. So the files are all
//! the state there is: nothing is lost when the process dies, and memory holds one small record a stream.

mod inputs;
pub(crate) mod lines;
mod operations;
pub(crate) mod page;
mod pattern;
mod reading;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::broadcast;

pub use self::operations::OPERATIONS;
use crate::error::{Answer, ServiceError};
use crate::kept::add_whole;
use crate::world::World;

/// The largest file of one stream. What would go beyond it is not kept: a runaway function must not fill the disk.
const LARGEST_STREAM: u64 = 64 * 1024 * 1024;

/// How many lines a slow follower may lag behind before it misses some.
const FOLLOWED_LINES: usize = 4096;

/// The file that says which group a folder is.
const HEAD: &str = "group.json";

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEvent {
    /// When it happened, in milliseconds since 1970.
    pub timestamp: i64,
    /// When it was taken in, in milliseconds since 1970.
    pub ingested: i64,
    /// The text.
    pub message: String,
}

/// A line as it comes in, for those who follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The group, for instance `/aws/codebuild/unit`.
    pub group: String,
    /// The stream in it.
    pub stream: String,
    /// The text.
    pub message: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    name: String,
    created: i64,
}

#[derive(Debug)]
struct Group {
    created: i64,
    folder: PathBuf,
    streams: BTreeMap<String, Stream>,
}

#[derive(Debug, Clone)]
struct Stream {
    created: i64,
    file: PathBuf,
    bytes: u64,
    first: Option<i64>,
    last: Option<i64>,
    last_ingestion: Option<i64>,
    /// Whether the operator knows that lines are lost: once is enough.
    told_that_lines_are_lost: bool,
}

impl Stream {
    fn new(created: i64, file: PathBuf) -> Self {
        Self { created, file, bytes: 0, first: None, last: None, last_ingestion: None, told_that_lines_are_lost: false }
    }

    fn saw(&mut self, event: &LogEvent, bytes: u64) {
        self.bytes += bytes;
        self.first = Some(self.first.map_or(event.timestamp, |first| first.min(event.timestamp)));
        self.last = Some(self.last.map_or(event.timestamp, |last| last.max(event.timestamp)));
        self.last_ingestion = Some(event.ingested);
    }
}

/// All groups and streams, below `DIR/logs`.
#[derive(Debug)]
pub struct Logs {
    world: Arc<World>,
    folder: PathBuf,
    groups: Mutex<BTreeMap<String, Group>>,
    followers: broadcast::Sender<LogLine>,
}

impl Logs {
    /// Opens what is there. What has no whole head is left alone with a warning: a process that was killed, a full disk
    /// or a desktop may have left it, and no log is worth a cloud that does not start.
    ///
    /// # Errors
    /// A folder or a file that cannot be read.
    pub fn open(world: &Arc<World>) -> anyhow::Result<Self> {
        let folder = world.dir.join("logs");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let mut groups = BTreeMap::new();
        for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            if let Some((name, group)) = open_group(&entry?.path())? {
                groups.insert(name, group);
            }
        }
        let (followers, _) = broadcast::channel(FOLLOWED_LINES);
        Ok(Self { world: Arc::clone(world), folder, groups: Mutex::new(groups), followers })
    }

    /// Adds one event; makes the group and the stream where they are not there yet.
    ///
    /// A line that cannot be written is told to the operator and not to the caller: no build fails for its log.
    pub fn append(&self, group: &str, stream: &str, time: Timestamp, message: &str) {
        self.append_all(group, stream, time, vec![message.to_owned()]);
    }

    /// [`Logs::append`] for many events of one moment at once: a talkative process is written in one go.
    pub fn append_all(&self, group: &str, stream: &str, time: Timestamp, messages: Vec<String>) {
        let (timestamp, ingested) = (time.as_millisecond(), self.world.now().as_millisecond());
        let events: Vec<LogEvent> =
            messages.into_iter().map(|message| LogEvent { timestamp, ingested, message }).collect();
        let written = self.with_groups(|groups| {
            if !groups.contains_key(group) {
                groups.insert(group.to_owned(), self.make_group(group)?);
            }
            let found = groups.get_mut(group).ok_or_else(no_group)?;
            if !found.streams.contains_key(stream) {
                found.streams.insert(stream.to_owned(), self.make_stream(&found.folder, stream)?);
            }
            let stream = found.streams.get_mut(stream).ok_or_else(no_stream)?;
            let written = write_events(stream, &events);
            let known = written.is_err() && std::mem::replace(&mut stream.told_that_lines_are_lost, written.is_err());
            if known { Ok(()) } else { written }
        });
        if let Err(error) = written {
            tracing::warn!(group, stream, %error, "log lines are lost");
        }
        for event in &events {
            self.tell_followers(group, stream, &event.message);
        }
    }

    /// Whether there is such a group.
    pub fn has_group(&self, group: &str) -> bool {
        self.with_groups(|groups| groups.contains_key(group))
    }

    /// All events of a stream in the order of their time; none where there is no such stream.
    pub fn events(&self, group: &str, stream: &str) -> Vec<LogEvent> {
        let file = self.with_groups(|groups| Some(groups.get(group)?.streams.get(stream)?.file.clone()));
        file.map(|file| read_events(&file)).unwrap_or_default()
    }

    /// Every line from now on, of all groups. A follower that lags too far misses lines and is told how many.
    pub fn subscribe(&self) -> broadcast::Receiver<LogLine> {
        self.followers.subscribe()
    }

    /// Nothing to do: every line is in its file when [`Logs::append`] returns.
    ///
    /// # Errors
    /// None.
    pub fn save(&self) -> anyhow::Result<()> {
        Ok(())
    }

    fn with_groups<R>(&self, act: impl FnOnce(&mut BTreeMap<String, Group>) -> R) -> R {
        act(&mut self.groups.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell_followers(&self, group: &str, stream: &str, message: &str) {
        let line = LogLine { group: group.to_owned(), stream: stream.to_owned(), message: message.to_owned() };
        // An error only says that nobody follows.
        let _nobody_follows = self.followers.send(line);
    }

    fn make_group(&self, name: &str) -> Answer<Group> {
        let created = self.world.now().as_millisecond();
        let folder = self.folder.join(file_name(name));
        let head = serde_json::to_vec(&Head { name: name.to_owned(), created }).map_err(ServiceError::internal)?;
        std::fs::create_dir_all(&folder)
            .and_then(|()| swap_in(&folder.join(HEAD), &head))
            .map_err(|error| cannot_write(&folder, &error))?;
        // A folder that had lost its head may hold streams.
        let opened = open_group(&folder).map_err(|error| ServiceError::internal(format!("{error:#}")))?;
        opened.map(|(_, group)| group).ok_or_else(|| ServiceError::internal(format!("{} is gone", folder.display())))
    }

    fn make_stream(&self, folder: &Path, name: &str) -> Answer<Stream> {
        let created = self.world.now().as_millisecond();
        let file = folder.join(format!("{}.jsonl", file_name(name)));
        let mut head =
            serde_json::to_string(&Head { name: name.to_owned(), created }).map_err(ServiceError::internal)?;
        head.push('\n');
        swap_in(&file, head.as_bytes()).map_err(|error| cannot_write(&file, &error))?;
        Ok(Stream::new(created, file))
    }
}

/// Names may hold slashes and be longer than a file name may be.
fn file_name(name: &str) -> String {
    hex::encode(Sha256::digest(name)).chars().take(32).collect()
}

fn no_group() -> ServiceError {
    ServiceError::bad("ResourceNotFoundException", "The specified log group does not exist.")
}

fn no_stream() -> ServiceError {
    ServiceError::bad("ResourceNotFoundException", "The specified log stream does not exist.")
}

fn cannot_write(path: &Path, error: &std::io::Error) -> ServiceError {
    ServiceError::internal(format!("cannot write {}: {error}", path.display()))
}

fn write_events(stream: &mut Stream, events: &[LogEvent]) -> Answer<()> {
    let mut text = String::new();
    for event in events {
        text.push_str(&serde_json::to_string(event).map_err(ServiceError::internal)?);
        text.push('\n');
    }
    let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
    if stream.bytes.saturating_add(bytes) > LARGEST_STREAM {
        return Err(ServiceError::with_status(
            503,
            "ServiceUnavailableException",
            format!("the local cloud keeps at most {LARGEST_STREAM} bytes of one log stream; use another stream"),
        ));
    }
    std::fs::OpenOptions::new()
        .append(true)
        .open(&stream.file)
        .and_then(|mut file| add_whole(&mut file, text.as_bytes()))
        .map_err(|error| cannot_write(&stream.file, &error))?;
    for event in events {
        stream.saw(event, 0);
    }
    stream.bytes += bytes;
    Ok(())
}

/// Writes a file beside and swaps it in: under its name there is never a part of it.
fn swap_in(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = file.with_extension("new");
    std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, file)).inspect_err(|_| {
        // What stays is no stream and no head; the next try writes over it.
        let _gone_already = std::fs::remove_file(&beside);
    })
}

fn read_events(file: &Path) -> Vec<LogEvent> {
    let mut events = Vec::new();
    let read = each_event(file, |event, _| events.push(event));
    if let Err(error) = read {
        tracing::warn!(file = %file.display(), %error, "a log stream cannot be read");
    }
    events.sort_by_key(|event| event.timestamp);
    events
}

/// Gives every event with its length in the file; gives the length of all whole lines, the head's included.
fn each_event(file: &Path, mut see: impl FnMut(LogEvent, u64)) -> std::io::Result<u64> {
    let mut reader = BufReader::new(std::fs::File::open(file)?);
    let mut line = Vec::new();
    let mut whole = 0;
    loop {
        line.clear();
        let bytes = u64::try_from(reader.read_until(b'\n', &mut line)?).unwrap_or(u64::MAX);
        // A line that was cut when the process died is no event.
        if line.last() != Some(&b'\n') {
            return Ok(whole);
        }
        let is_head = whole == 0;
        whole += bytes;
        if !is_head && let Ok(event) = serde_json::from_slice(&line) {
            see(event, bytes);
        }
    }
}

/// The group in a folder, if it is one.
fn open_group(folder: &Path) -> anyhow::Result<Option<(String, Group)>> {
    let cannot_read = || format!("cannot read the log group in {}", folder.display());
    let head = match std::fs::read(folder.join(HEAD)) {
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Err(error).with_context(cannot_read);
        }
        head => head.ok().and_then(|head| serde_json::from_slice::<Head>(&head).ok()),
    };
    let Some(head) = head else {
        tracing::warn!(path = %folder.display(), "this is no log group and is left alone");
        return Ok(None);
    };
    let mut group = Group { created: head.created, folder: folder.to_owned(), streams: BTreeMap::new() };
    for entry in std::fs::read_dir(folder).with_context(cannot_read)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "jsonl")
            && let Some((name, stream)) =
                open_stream(&file).with_context(|| format!("cannot read the log stream {}", file.display()))?
        {
            group.streams.insert(name, stream);
        }
    }
    Ok(Some((head.name, group)))
}

/// The stream in a file, if it is one; a line at its end that was cut when the process died is dropped.
fn open_stream(file: &Path) -> std::io::Result<Option<(String, Stream)>> {
    let mut first = Vec::new();
    if file.is_file() {
        BufReader::new(std::fs::File::open(file)?).read_until(b'\n', &mut first)?;
    }
    let head = if first.ends_with(b"\n") { serde_json::from_slice::<Head>(&first).ok() } else { None };
    let Some(head) = head else {
        tracing::warn!(path = %file.display(), "this is no log stream and is left alone");
        return Ok(None);
    };
    let mut stream = Stream::new(head.created, file.to_owned());
    let whole = each_event(file, |event, bytes| stream.saw(&event, bytes))?;
    if std::fs::metadata(file)?.len() > whole {
        std::fs::OpenOptions::new().write(true).open(file)?.set_len(whole)?;
    }
    Ok(Some((head.name, stream)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_or_a_desktop_left_keeps_no_log_from_being_opened() {
        let dir = tempfile::tempdir().unwrap();
        let world = Arc::new(World::new(dir.path().to_owned(), "eu-west-1", 1));
        let first = Logs::open(&world).unwrap();
        for (group, stream) in [("g", "whole"), ("g", "cut"), ("g", "empty"), ("headless", "s"), ("half", "s")] {
            first.append(group, stream, world.now(), "kept");
        }
        let folder = |group: &str| dir.path().join("logs").join(file_name(group));
        let file = |group: &str, stream: &str| folder(group).join(format!("{}.jsonl", file_name(stream)));
        drop(first);
        std::fs::write(dir.path().join("logs/.DS_Store"), "desktop").unwrap();
        std::fs::write(folder("g").join("stray.jsonl"), b"\xff\n").unwrap();
        std::fs::write(file("g", "cut"), "{\"name\":\"cu").unwrap();
        std::fs::write(file("g", "empty"), "").unwrap();
        std::fs::remove_file(folder("headless").join(HEAD)).unwrap();
        std::fs::write(folder("half").join(HEAD), "{\"na").unwrap();
        let whole = std::fs::read(file("g", "whole")).unwrap();
        std::fs::write(file("g", "whole"), [&whole, &b"{\"timestamp\":1,\"message\":\"\xe2\x82"[..]].concat()).unwrap();

        let again = Logs::open(&world).unwrap();
        assert_eq!(std::fs::read(file("g", "whole")).unwrap(), whole, "the half line is dropped");
        let texts = |group: &str, stream: &str| -> Vec<String> {
            again.events(group, stream).into_iter().map(|event| event.message).collect()
        };
        assert_eq!(texts("g", "whole"), ["kept"]);
        for (group, stream) in [("g", "cut"), ("g", "empty"), ("headless", "s"), ("half", "s")] {
            assert!(again.events(group, stream).is_empty(), "{group} {stream}");
            again.append(group, stream, world.now(), "more");
        }
        assert_eq!((texts("g", "cut"), texts("g", "empty")), (vec!["more".to_owned()], vec!["more".to_owned()]));
        assert_eq!(
            texts("headless", "s"),
            ["kept", "more"],
            "the streams of a group that lost its head are found again"
        );
        assert_eq!(texts("half", "s"), ["kept", "more"]);
        Logs::open(&world).unwrap();
    }
}
