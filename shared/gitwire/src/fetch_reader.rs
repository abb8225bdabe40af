//! What a source answers to a fetch.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::band::Band;
use crate::pkt::{self, Decoder, Pkt};
use crate::refs::parse_id;
use crate::{Oid, RefName, WireError};

const PLACE: &str = "the answer to a fetch";

/// One thing that a source says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchEvent {
    /// It has this object, too.
    Common(Oid),
    /// It knows enough: the pack follows.
    Ready,
    /// The history that it sends ends here.
    Shallow(Oid),
    /// The receiver's history no longer ends here.
    Unshallow(Oid),
    /// What a ref that was wanted by its name points at.
    WantedRef(Oid, RefName),
    /// A piece of the pack, which may be empty: a sign of life.
    Pack(Bytes),
    /// Words for a person.
    Progress(Bytes),
}

/// How the answer is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Version 2.
    Sections,
    /// Versions 0 and 1.
    Lines {
        /// In side bands, or bare.
        banded: bool,
        /// The ends of the history come first, because a depth was asked for.
        shallow_first: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Version 2: a section's name comes next.
    Name,
    Acknowledgments,
    ShallowInfo,
    WantedRefs,
    /// Versions 0 and 1: `shallow` lines to a flush.
    Depth,
    /// Versions 0 and 1: `ACK` and `NAK`.
    Lines,
    Bands,
    /// The pack without any frame, to the end of the answer.
    Bare,
    Complete,
}

/// Reads the answer to one round.
#[derive(Debug)]
pub struct FetchReader {
    decoder: Decoder,
    dialect: Dialect,
    state: State,
    /// Whether the request said `done`, so that a pack must come.
    done: bool,
    events: VecDeque<FetchEvent>,
}

impl FetchReader {
    pub(crate) fn new(dialect: Dialect, done: bool) -> Self {
        let state = match dialect {
            Dialect::Sections => State::Name,
            Dialect::Lines { shallow_first: true, .. } => State::Depth,
            Dialect::Lines { shallow_first: false, .. } => State::Lines,
        };
        Self { decoder: Decoder::default(), dialect, state, done, events: VecDeque::new() }
    }

    /// Takes what arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.decoder.feed(bytes);
    }

    /// The next thing that was said, or nothing until more has arrived.
    pub fn next_event(&mut self) -> Result<Option<FetchEvent>, WireError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            self.notice_bare_pack();
            if self.state == State::Bare {
                let piece = self.decoder.take_rest();
                return Ok((!piece.is_empty()).then_some(FetchEvent::Pack(piece)));
            }
            let Some(pkt) = self.decoder.next_pkt()? else { return Ok(None) };
            self.take(pkt)?;
        }
    }

    /// Whether all was said about where the history ends, if that was asked for.
    pub(crate) fn has_told_depth(&self) -> bool {
        !matches!(
            self.state,
            State::Name | State::Acknowledgments | State::ShallowInfo | State::WantedRefs | State::Depth
        )
    }

    /// The answer is over: whether it may be.
    pub fn finish(&self) -> Result<(), WireError> {
        let complete = match self.state {
            State::Complete | State::Bare => true,
            // A round of versions 0 and 1 that did not say `done` just stops.
            State::Lines => !self.done,
            _ => false,
        };
        if complete && self.decoder.is_empty() { Ok(()) } else { Err(WireError::Ended { place: PLACE }) }
    }

    /// Without side bands the pack's first bytes stand where a length would, and are none.
    fn notice_bare_pack(&mut self) {
        let bare = matches!(self.dialect, Dialect::Lines { banded: false, .. });
        if bare && self.state == State::Lines && self.decoder.rest().starts_with(b"PACK") {
            self.state = State::Bare;
        }
    }

    fn take(&mut self, pkt: Pkt) -> Result<(), WireError> {
        match (self.state, pkt) {
            (State::Name, Pkt::Data(name)) => {
                self.state = match pkt::checked_text(&name)? {
                    b"acknowledgments" => State::Acknowledgments,
                    b"shallow-info" => State::ShallowInfo,
                    b"wanted-refs" => State::WantedRefs,
                    b"packfile" => State::Bands,
                    other => return Err(WireError::unexpected(PLACE, other)),
                };
            }
            (State::Acknowledgments | State::ShallowInfo | State::WantedRefs, Pkt::Delimiter) => {
                self.state = State::Name;
            }
            // The source wants to hear more first.
            (State::Acknowledgments, Pkt::Flush) if !self.done => self.state = State::Complete,
            (State::Depth, Pkt::Flush) => self.state = State::Lines,
            (State::Bands, Pkt::Flush) => self.state = State::Complete,
            (State::Complete, Pkt::ResponseEnd) => {}
            (State::Bands, Pkt::Data(payload)) => self.events.push_back(match Band::parse(payload)? {
                Band::Data(piece) => FetchEvent::Pack(piece),
                Band::Progress(words) => FetchEvent::Progress(words),
            }),
            (State::Lines, Pkt::Data(payload)) if self.begins_bands(&payload) => {
                self.state = State::Bands;
                return self.take(Pkt::Data(payload));
            }
            (
                State::Acknowledgments | State::ShallowInfo | State::WantedRefs | State::Depth | State::Lines,
                Pkt::Data(line),
            ) => {
                let line = pkt::checked_text(&line)?;
                let event = self.parse_line(line)?;
                self.events.extend(event);
            }
            (_, other) => return Err(WireError::unexpected(PLACE, format!("{other:?}").as_bytes())),
        }
        Ok(())
    }

    fn begins_bands(&self, payload: &[u8]) -> bool {
        matches!(self.dialect, Dialect::Lines { banded: true, .. }) && matches!(payload.first(), Some(1..=3))
    }

    fn parse_line(&self, line: &[u8]) -> Result<Option<FetchEvent>, WireError> {
        let mut words = line.split(|&byte| byte == b' ');
        let (first, second, third) = (words.next().unwrap_or_default(), words.next(), words.next());
        let id = || second.ok_or_else(|| WireError::unexpected(PLACE, line)).and_then(|id| parse_id(id, line));
        Ok(match (self.state, first, third) {
            (State::Acknowledgments, b"ready", _) => Some(FetchEvent::Ready),
            (State::Acknowledgments | State::Lines, b"NAK", _) => None,
            (State::Lines, b"ACK", Some(b"ready")) => Some(FetchEvent::Ready),
            (State::Acknowledgments | State::Lines, b"ACK", _) => Some(FetchEvent::Common(id()?)),
            (State::ShallowInfo | State::Depth, b"shallow", _) => Some(FetchEvent::Shallow(id()?)),
            (State::ShallowInfo | State::Depth, b"unshallow", _) => Some(FetchEvent::Unshallow(id()?)),
            (State::WantedRefs, id, _) => {
                let name = second.map(RefName::parse_bytes).and_then(Result::ok);
                let name = name.ok_or_else(|| WireError::unexpected(PLACE, line))?;
                Some(FetchEvent::WantedRef(parse_id(id, line)?, name))
            }
            _ => return Err(WireError::unexpected(PLACE, line)),
        })
    }
}
