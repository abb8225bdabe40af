//! Changing refs: the commands of receive-pack and its report.

use crate::band::Band;
use crate::pkt::{self, Decoder, Pkt};
use crate::refs::MOST_BYTES;
use crate::{Advertisement, Oid, PackForm, Reader, RefName, WireError};

const PLACE: &str = "the report of a push";
/// How much of what hooks print is kept.
const MOST_WORDS: usize = 4096;

/// What becomes of a ref, with the value that was seen there: the target refuses when it is no longer the one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was not there.
    Create(Oid),
    /// It moves.
    Update {
        /// Where it was seen.
        old: Oid,
        /// Where it goes.
        new: Oid,
    },
    /// It goes away; this is where it was seen.
    Delete(Oid),
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The ref.
    pub name: RefName,
    /// What becomes of it.
    pub change: Change,
}

/// What happens to the other commands when one is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Together {
    /// Each command stands for itself.
    #[default]
    Each,
    /// All or none; the target must offer `atomic`.
    Atomic,
}

/// The commands of one push, and the reader for its report.
#[derive(Debug)]
pub struct PushRequest {
    /// What goes before the pack.
    pub head: Vec<u8>,
    /// Reads the report.
    pub report: ReportReader,
}

impl Change {
    fn ids(&self) -> (Oid, Oid) {
        match *self {
            Self::Create(new) => (Oid::ZERO, new),
            Self::Update { old, new } => (old, new),
            Self::Delete(old) => (old, Oid::ZERO),
        }
    }
}

impl Advertisement {
    /// How a pack for this target may be written.
    pub fn pack_form(&self) -> PackForm {
        PackForm { thin: !self.capabilities.has("no-thin"), ofs_delta: self.capabilities.has("ofs-delta") }
    }
}

/// Whether a pack must follow, be it an empty one: behind nothing but deletions none may.
pub fn needs_pack(commands: &[Command]) -> bool {
    commands.iter().any(|command| !matches!(command.change, Change::Delete(_)))
}

/// Writes the commands of a push; `shallow` are the commits at which the history in the pack ends.
pub fn request(
    target: &Advertisement,
    commands: &[Command],
    together: Together,
    shallow: &[Oid],
) -> Result<PushRequest, WireError> {
    if commands.is_empty() {
        return Err(WireError::NothingAsked);
    }
    let offered = &target.capabilities;
    let mut asked = vec![match offered.has("report-status-v2") {
        true => "report-status-v2",
        false => offered.require("report-status")?,
    }];
    if commands.iter().any(|command| matches!(command.change, Change::Delete(_))) {
        asked.push(offered.require("delete-refs")?);
    }
    if together == Together::Atomic {
        asked.push(offered.require("atomic")?);
    }
    let banded = offered.has("side-band-64k");
    asked.extend(["side-band-64k", "ofs-delta", "quiet"].into_iter().filter(|name| offered.has(name)));
    let mut tail: String = asked.iter().map(|name| format!(" {name}")).collect();
    for answer in offered.answers() {
        tail.push(' ');
        tail.push_str(&answer);
    }
    tail.insert(0, '\0');

    let mut head = Vec::new();
    for id in shallow {
        pkt::write_line(&mut head, format_args!("shallow {id}"))?;
    }
    for command in commands {
        let (old, new) = command.change.ids();
        // The first one carries what is asked for besides.
        pkt::write(&mut head, format!("{old} {new} {}{tail}", command.name).as_bytes())?;
        tail.clear();
    }
    pkt::write_flush(&mut head);
    let results = commands.iter().map(|command| RefResult::unreported(command.name.clone())).collect();
    let report = ReportReader {
        outer: banded.then(Decoder::default),
        inner: Decoder::default(),
        unpack: None,
        results,
        last: None,
        messages: Vec::new(),
        bytes: 0,
        complete: false,
    };
    Ok(PushRequest { head, report })
}

/// What a target says about a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whether it could take the pack; if not, its reason, and no ref has moved.
    pub unpack: Result<(), String>,
    /// What became of each command, in their order.
    pub results: Vec<RefResult>,
    /// What hooks printed, shortened.
    pub messages: String,
}

/// What became of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefResult {
    /// The ref of the command.
    pub name: RefName,
    /// How it ended.
    pub outcome: Outcome,
    /// `option` lines: what the target did instead, such as `refname refs/heads/other` or `new-oid ...`.
    pub options: Vec<String>,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The ref is where it should be.
    Done,
    /// It is where it was, and why.
    Refused(String),
    /// The target said nothing about it.
    Unreported,
}

impl RefResult {
    fn unreported(name: RefName) -> Self {
        Self { name, outcome: Outcome::Unreported, options: Vec::new() }
    }
}

impl Report {
    /// Whether all was done that was asked.
    pub fn is_done(&self) -> bool {
        self.unpack.is_ok() && self.results.iter().all(|result| result.outcome == Outcome::Done)
    }
}

/// Reads the report of a push.
#[derive(Debug)]
pub struct ReportReader {
    /// The side bands, if there are any; the report is in the first.
    outer: Option<Decoder>,
    inner: Decoder,
    unpack: Option<Result<(), String>>,
    results: Vec<RefResult>,
    /// The result that `option` lines belong to.
    last: Option<usize>,
    messages: Vec<u8>,
    bytes: usize,
    complete: bool,
}

impl ReportReader {
    fn read_bands(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let Some(outer) = &mut self.outer else {
            self.inner.feed(bytes);
            return Ok(());
        };
        outer.feed(bytes);
        while let Some(pkt) = outer.next_pkt()? {
            match pkt {
                Pkt::Data(payload) => match Band::parse(payload)? {
                    Band::Data(piece) => self.inner.feed(&piece),
                    Band::Progress(words) => {
                        let space = MOST_WORDS.saturating_sub(self.messages.len());
                        self.messages.extend(words.iter().take(space));
                    }
                },
                Pkt::Flush | Pkt::ResponseEnd => {}
                Pkt::Delimiter => return Err(WireError::unexpected(PLACE, b"a delimiter")),
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), WireError> {
        let unexpected = || WireError::unexpected(PLACE, line);
        let text = std::str::from_utf8(line).map_err(|_| unexpected())?;
        let (word, rest) = text.split_once(' ').ok_or_else(unexpected)?;
        match (word, &self.unpack) {
            ("unpack", None) => {
                let taken = if rest == "ok" { Ok(()) } else { Err(crate::error::quote(rest.as_bytes())) };
                self.unpack = Some(taken);
            }
            ("ok", Some(_)) => self.result(rest, Outcome::Done).ok_or_else(unexpected)?,
            ("ng", Some(_)) => {
                let (name, reason) = rest.split_once(' ').unwrap_or((rest, "no reason given"));
                let outcome = Outcome::Refused(crate::error::quote(reason.as_bytes()));
                self.result(name, outcome).ok_or_else(unexpected)?;
            }
            ("option", Some(_)) => {
                let last = self.last.and_then(|last| self.results.get_mut(last)).ok_or_else(unexpected)?;
                last.options.push(crate::error::quote(rest.as_bytes()));
            }
            _ => return Err(unexpected()),
        }
        Ok(())
    }

    /// Nothing for a ref that no command named. The report follows the commands' order, so the search starts behind the last.
    fn result(&mut self, name: &str, outcome: Outcome) -> Option<()> {
        let count = self.results.len();
        let start = self.last.map_or(0, |last| last + 1);
        let same = |at: &usize| self.results.get(*at).is_some_and(|result| result.name.as_str() == name);
        let at = (start..count).chain(0..start.min(count)).find(same)?;
        let result = self.results.get_mut(at)?;
        // With several lines for one command, a refusal stands.
        if !matches!(result.outcome, Outcome::Refused(_)) {
            result.outcome = outcome;
        }
        self.last = Some(at);
        Some(())
    }
}

impl Reader for ReportReader {
    type Output = Report;

    fn feed(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        self.bytes += bytes.len();
        if self.bytes > MOST_BYTES {
            return Err(WireError::TooMuch { place: PLACE, most: MOST_BYTES });
        }
        self.read_bands(bytes)?;
        while let Some(pkt) = self.inner.next_pkt()? {
            match pkt {
                Pkt::Data(line) if !self.complete => self.line(pkt::checked_text(&line)?)?,
                Pkt::Flush => self.complete = true,
                other => return Err(WireError::unexpected(PLACE, format!("{other:?}").as_bytes())),
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Report, WireError> {
        let left_over = !self.inner.is_empty() || self.outer.is_some_and(|outer| !outer.is_empty());
        match self.unpack {
            Some(unpack) if self.complete && !left_over => {
                let words = String::from_utf8_lossy(&self.messages);
                let messages = words.chars().filter(|c| !c.is_control() || *c == '\n').collect();
                Ok(Report { unpack, results: self.results, messages })
            }
            _ => Err(WireError::Ended { place: PLACE }),
        }
    }
}

#[cfg(test)]
#[path = "push_tests.rs"]
mod tests;
