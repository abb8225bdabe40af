//! What a push says as it streams by, without I/O: the commands in front of the pack, and git's report behind it.
//!
//! Together they tell exactly what changed: git does each command as a compare-and-swap, so `old new ref` answered by
//! `ok ref` went from `old` to `new`, whoever else pushes at the same moment.

use signalbox_events::RefName;

use super::events::{Move, RefChange};
use super::names::ObjectId;

/// Most refs in one push, as documented.
pub(super) const MOST_REFS: usize = 4000;
/// Where a list of commands ends that nobody would send: 4,000 of the longest names fit.
const LARGEST_HEAD: usize = 20 * 1024 * 1024;
/// The largest packet of git's protocol, its length included.
const LARGEST_PACKET: usize = 65_520;

/// Something that is not git's protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the push is not what git sends: {0}")]
pub(super) struct Malformed(&'static str);

/// One ref that a push is to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    old: Option<ObjectId>,
    new: Option<ObjectId>,
    name: String,
}

/// The commands of a push and what its client can do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Commands {
    pub(super) list: Vec<Command>,
    capabilities: Vec<String>,
}

impl Commands {
    /// Whether the client asked for this capability; `report-status` is also there as `report-status-v2`.
    pub(super) fn has(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|word| word == capability)
    }

    /// Whether git will say what became of each command.
    pub(super) fn are_reported(&self) -> bool {
        self.has("report-status") || self.has("report-status-v2")
    }

    /// What changed, when git did the commands for these refs.
    pub(super) fn changes(&self, done: impl Fn(&str) -> bool) -> Vec<RefChange> {
        self.list.iter().filter(|command| done(&command.name)).filter_map(Command::change).collect()
    }

    /// git's report that refuses every command, for this reason.
    pub(super) fn refusal(&self, reason: &str) -> Vec<u8> {
        let mut report = packet(b"unpack ok\n");
        for command in &self.list {
            report.extend(packet(format!("ng {} {reason}\n", command.name).as_bytes()));
        }
        report.extend(b"0000");
        if !self.has("side-band-64k") {
            return report;
        }
        let mut framed = Vec::new();
        for part in report.chunks(LARGEST_PACKET - 5) {
            framed.extend(packet(&[&[1], part].concat()));
        }
        framed.extend(b"0000");
        framed
    }
}

impl Command {
    /// The ref's name, as the client wrote it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What the ref is after this command.
    pub(super) fn target(&self) -> Option<&ObjectId> {
        self.new.as_ref()
    }

    /// None where nothing changes: `old` is `new`, or nothing was deleted.
    fn change(&self) -> Option<RefChange> {
        let how = match (&self.old, &self.new) {
            (None, Some(new)) => Move::Created(new.clone()),
            (Some(old), Some(new)) if old != new => Move::Updated(old.clone(), new.clone()),
            (Some(old), None) => Move::Deleted(old.clone()),
            _ => return None,
        };
        Some(RefChange { name: RefName::parse(self.name.clone()).ok()?, how })
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.splitn(3, ' ');
        let id = |word: &str| match word {
            ObjectId::NONE => Some(None),
            word => ObjectId::parse(word).map(Some),
        };
        Some(Self { old: id(words.next()?)?, new: id(words.next()?)?, name: words.next()?.to_owned() })
    }
}

/// Reads the commands out of the first bytes of a push.
#[derive(Debug, Default)]
pub(super) struct CommandReader {
    head: Vec<u8>,
    at: usize,
    commands: Commands,
    complete: bool,
}

impl CommandReader {
    /// Takes the next bytes of the request; true once the commands are all there.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<bool, Malformed> {
        self.head.extend_from_slice(bytes);
        while !self.complete {
            match next_packet(self.head.get(self.at..).unwrap_or_default())? {
                Packet::Incomplete if self.head.len() > LARGEST_HEAD => return Err(Malformed("too many commands")),
                Packet::Incomplete => return Ok(false),
                Packet::Flush => {
                    self.at += 4;
                    self.complete = true;
                }
                Packet::Data(line) => {
                    let length = line.len() + 4;
                    let line = String::from_utf8_lossy(line).into_owned();
                    self.take(line.trim_end_matches('\n'))?;
                    self.at += length;
                }
            }
        }
        Ok(true)
    }

    fn take(&mut self, line: &str) -> Result<(), Malformed> {
        if line.starts_with("shallow ") {
            return Ok(());
        }
        let (command, capabilities) = line.split_once('\0').unwrap_or((line, ""));
        if self.commands.list.is_empty() {
            self.commands.capabilities = capabilities.split_whitespace().map(str::to_owned).collect();
        }
        self.commands.list.push(Command::parse(command).ok_or(Malformed("a command is not OLD NEW REF"))?);
        Ok(())
    }

    /// The commands, and every byte that was taken, which git must see too.
    pub(super) fn finish(self) -> (Commands, Vec<u8>) {
        (self.commands, self.head)
    }
}

/// Reads which commands git did out of its answer.
#[derive(Debug)]
pub(super) struct ReportReader {
    framing: Framing,
    outer: Vec<u8>,
    inner: Vec<u8>,
    done: std::collections::HashSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Plain,
    SideBand,
}

impl ReportReader {
    /// A reader for the answer to these commands.
    pub(super) fn new(commands: &Commands) -> Self {
        let framing = if commands.has("side-band-64k") { Framing::SideBand } else { Framing::Plain };
        Self { framing, outer: Vec::new(), inner: Vec::new(), done: std::collections::HashSet::new() }
    }

    /// Takes the next bytes of the answer.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        match self.framing {
            Framing::Plain => self.inner.extend_from_slice(bytes),
            Framing::SideBand => {
                self.outer.extend_from_slice(bytes);
                let inner = &mut self.inner;
                drain(&mut self.outer, |packet| {
                    if let Some((1, report)) = packet.split_first() {
                        inner.extend_from_slice(report);
                    }
                })?;
            }
        }
        let done = &mut self.done;
        drain(&mut self.inner, |line| {
            if let Some(name) = String::from_utf8_lossy(line).trim_end_matches('\n').strip_prefix("ok ") {
                done.insert(name.to_owned());
            }
        })
    }

    /// Whether git said `ok` to this ref.
    pub(super) fn is_done(&self, name: &str) -> bool {
        self.done.contains(name)
    }
}

/// Hands every whole packet on and keeps the rest.
fn drain(buffer: &mut Vec<u8>, mut take: impl FnMut(&[u8])) -> Result<(), Malformed> {
    let mut at = 0;
    loop {
        match next_packet(buffer.get(at..).unwrap_or_default())? {
            Packet::Incomplete => break,
            Packet::Flush => at += 4,
            Packet::Data(data) => {
                take(data);
                at += data.len() + 4;
            }
        }
    }
    buffer.drain(..at);
    Ok(())
}

enum Packet<'a> {
    Incomplete,
    Flush,
    Data(&'a [u8]),
}

fn next_packet(bytes: &[u8]) -> Result<Packet<'_>, Malformed> {
    let Some(digits) = bytes.get(..4) else { return Ok(Packet::Incomplete) };
    let length = std::str::from_utf8(digits).ok().and_then(|digits| usize::from_str_radix(digits, 16).ok());
    match length.ok_or(Malformed("a packet has no length"))? {
        0 => Ok(Packet::Flush),
        length if length > LARGEST_PACKET => Err(Malformed("a packet is too long")),
        1..4 => Err(Malformed("a packet of version 2 has no place in a push")),
        length => Ok(bytes.get(4..length).map_or(Packet::Incomplete, Packet::Data)),
    }
}

fn packet(data: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{:04x}", data.len() + 4).into_bytes();
    bytes.extend_from_slice(data);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: &str = ObjectId::NONE;

    fn line(text: &str) -> Vec<u8> {
        packet(text.as_bytes())
    }

    fn a(digit: &str) -> String {
        digit.repeat(40)
    }

    fn push() -> Vec<u8> {
        [
            line(&format!("shallow {}\n", a("9"))),
            line(&format!("{NONE} {} refs/heads/new\0report-status side-band-64k agent=git/2", a("1"))),
            line(&format!("{} {} refs/heads/main", a("1"), a("2"))),
            line(&format!("{} {NONE} refs/tags/v1", a("3"))),
            line(&format!("{} {} refs/heads/same", a("4"), a("4"))),
            b"0000PACK and what follows".to_vec(),
        ]
        .concat()
    }

    #[test]
    fn commands_are_read_from_pieces_of_any_size_and_no_byte_is_lost() {
        for size in [1, 3, 4, 7, 50, 10_000] {
            let (mut reader, bytes, mut taken) = (CommandReader::default(), push(), 0);
            for piece in bytes.chunks(size) {
                taken += piece.len();
                if reader.feed(piece).unwrap() {
                    break;
                }
            }
            let (commands, head) = reader.finish();
            assert_eq!(head, bytes[..taken]);
            assert_eq!(commands.list.len(), 4);
            assert!(commands.has("side-band-64k") && commands.are_reported() && !commands.has("atomic"));
        }
    }

    #[test]
    fn only_what_git_did_changed_and_only_where_something_differs() {
        let mut reader = CommandReader::default();
        assert!(reader.feed(&push()).unwrap());
        let (commands, _) = reader.finish();
        let report = [
            line("unpack ok\n"),
            line("ok refs/heads/new\n"),
            line("ng refs/heads/main failed to update ref\n"),
            line("ok refs/tags/v1\n"),
            line("ok refs/heads/same\n"),
            b"0000".to_vec(),
        ]
        .concat();
        for (outer, inner) in [(1, 1), (3, 5), (100, 1000)] {
            let mut framed = line("\u{2}progress");
            for part in report.chunks(inner) {
                framed.extend(packet(&[&[1], part].concat()));
            }
            framed.extend(b"0000");
            let mut reader = ReportReader::new(&commands);
            framed.chunks(outer).for_each(|piece| reader.feed(piece).unwrap());
            let changes: Vec<_> = commands.changes(|name| reader.is_done(name));
            let names: Vec<_> = changes.iter().map(|change| change.name.as_str()).collect();
            assert_eq!(names, ["refs/heads/new", "refs/tags/v1"]);
            assert_eq!(changes[1].how, Move::Deleted(ObjectId::parse(&a("3")).unwrap()));
        }
    }

    #[test]
    fn a_refusal_is_a_report_that_git_reads_as_one() {
        let mut reader = CommandReader::default();
        assert!(reader.feed(&push()).unwrap());
        let (commands, _) = reader.finish();
        let refusal = commands.refusal("too many");
        let mut report = ReportReader::new(&commands);
        report.feed(&refusal).unwrap();
        assert!(commands.changes(|name| report.is_done(name)).is_empty());
        assert!(String::from_utf8(refusal).unwrap().contains("ng refs/heads/main too many\n"));
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic() {
        for garbage in [&b"zzzz"[..], b"0001", b"ffff", b"0008hell", b"\xff\xff\xff\xff"] {
            assert!(CommandReader::default().feed(garbage).is_err(), "{garbage:?}");
        }
        assert_eq!(CommandReader::default().feed(b"0008he"), Ok(false));
        assert_eq!(CommandReader::default().feed(b"0000"), Ok(true));
    }
}
