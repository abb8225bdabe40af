//! CloudWatch Logs: groups, streams, events.
//!
//! A group is a folder and a stream is a file of JSON lines whose first line says which stream it is. So the files are all
//! the state there is: nothing is lost when the process dies, and memory holds one small record a stream.

mod operations;
pub(crate) mod page;
mod pattern;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::broadcast;

use crate::error::{Answer, ServiceError};
use crate::world::World;

/// The largest file of one stream. What would go beyond it is not kept: a runaway function must not fill the disk.
const LARGEST_STREAM: u64 = 64 * 1024 * 1024;

/// How many lines a slow follower may lag behind before it misses some.
const FOLLOWED_LINES: usize = 4096;

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
    page: usize,
}

impl Logs {
    /// Opens what is there.
    ///
    /// # Errors
    /// A folder that cannot be read, a file that is not a stream.
    pub fn open(world: &Arc<World>) -> anyhow::Result<Self> {
        let folder = world.dir.join("logs");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let mut groups = BTreeMap::new();
        for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let (name, group) = open_group(&entry?.path())?;
            groups.insert(name, group);
        }
        let (followers, _) = broadcast::channel(FOLLOWED_LINES);
        Ok(Self {
            world: Arc::clone(world),
            folder,
            groups: Mutex::new(groups),
            followers,
            page: operations::DESCRIBE_PAGE,
        })
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
            .and_then(|()| std::fs::write(folder.join("group.json"), head))
            .map_err(|error| cannot_write(&folder, &error))?;
        Ok(Group { created, folder, streams: BTreeMap::new() })
    }

    fn make_stream(&self, folder: &Path, name: &str) -> Answer<Stream> {
        let created = self.world.now().as_millisecond();
        let file = folder.join(format!("{}.jsonl", file_name(name)));
        let mut head =
            serde_json::to_string(&Head { name: name.to_owned(), created }).map_err(ServiceError::internal)?;
        head.push('\n');
        std::fs::write(&file, head).map_err(|error| cannot_write(&file, &error))?;
        Ok(Stream {
            created,
            file,
            bytes: 0,
            first: None,
            last: None,
            last_ingestion: None,
            told_that_lines_are_lost: false,
        })
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
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| cannot_write(&stream.file, &error))?;
    for event in events {
        stream.saw(event, 0);
    }
    stream.bytes += bytes;
    Ok(())
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

fn each_event(file: &Path, mut see: impl FnMut(LogEvent, u64)) -> std::io::Result<()> {
    let mut reader = BufReader::new(std::fs::File::open(file)?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    loop {
        line.clear();
        let bytes = reader.read_line(&mut line)?;
        if bytes == 0 {
            return Ok(());
        }
        // A line that was cut when the process died is no event.
        if let Ok(event) = serde_json::from_str(&line) {
            see(event, u64::try_from(bytes).unwrap_or(0));
        }
    }
}

fn open_group(folder: &Path) -> anyhow::Result<(String, Group)> {
    let not_ours = || format!("{} is not a log group; move it away", folder.display());
    let head = std::fs::read(folder.join("group.json")).with_context(not_ours)?;
    let head: Head = serde_json::from_slice(&head).with_context(not_ours)?;
    let mut group = Group { created: head.created, folder: folder.to_owned(), streams: BTreeMap::new() };
    for entry in std::fs::read_dir(folder)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "jsonl") {
            let (name, stream) = open_stream(&file)?;
            group.streams.insert(name, stream);
        }
    }
    Ok((head.name, group))
}

fn open_stream(file: &Path) -> anyhow::Result<(String, Stream)> {
    let not_ours = || format!("{} is not a log stream; move it away", file.display());
    let mut first = String::new();
    BufReader::new(std::fs::File::open(file)?).read_line(&mut first).with_context(not_ours)?;
    let head: Head = serde_json::from_str(&first).with_context(not_ours)?;
    let mut stream = Stream {
        created: head.created,
        file: file.to_owned(),
        bytes: 0,
        first: None,
        last: None,
        last_ingestion: None,
        told_that_lines_are_lost: false,
    };
    each_event(file, |event, bytes| stream.saw(&event, bytes)).with_context(not_ours)?;
    mend_last_line(file).with_context(not_ours)?;
    Ok((head.name, stream))
}

/// Ends a line that was cut when the process died, so that the next event starts on a line of its own.
fn mend_last_line(file: &Path) -> std::io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    let mut open = std::fs::OpenOptions::new().read(true).append(true).open(file)?;
    let mut last = [0_u8];
    open.seek(SeekFrom::End(-1))?;
    open.read_exact(&mut last)?;
    if last == [b'\n'] { Ok(()) } else { open.write_all(b"\n") }
}
