//! The first answer of a server: its version, its capabilities and, before version 2, its refs.

use bytes::Bytes;

use crate::pkt::{self, Decoder, Pkt};
use crate::refs::{Listing, MOST_BYTES, parse_id};
use crate::{Capabilities, Oid, Reader, WireError};

const PLACE: &str = "the server's first answer";

/// The version of the protocol that a server speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Version {
    /// Refs and capabilities first.
    #[default]
    V0,
    /// The same, with its number before them.
    V1,
    /// Capabilities first; refs when asked.
    V2,
}

/// What a service says about itself before anything is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Advertisement {
    /// The version that it chose.
    pub version: Version,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Its refs; empty in version 2.
    pub listing: Listing,
    /// The commits whose parents a shallow repository does not have; unknown in version 2.
    pub shallow: Vec<Oid>,
    /// Objects besides its refs that a target has, from repositories that it borrows from.
    pub haves: Vec<Oid>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Start,
    /// Behind `# service=`, before its flush.
    Announced,
    /// Behind that flush, or behind `version 1`.
    First,
    Capabilities,
    Refs,
    Complete,
}

/// Reads what `GET info/refs` answers.
#[derive(Debug, Default)]
pub struct AdvertisementReader {
    decoder: Decoder,
    state: State,
    bytes: usize,
    read: Advertisement,
}

impl AdvertisementReader {
    fn pkt(&mut self, pkt: Pkt) -> Result<(), WireError> {
        match (&self.state, pkt) {
            (State::Announced, Pkt::Flush) => self.state = State::First,
            (State::First | State::Start | State::Refs | State::Capabilities, Pkt::Flush) => self.complete()?,
            (State::Complete, Pkt::ResponseEnd) => {}
            (State::Start | State::First | State::Refs | State::Capabilities, Pkt::Data(line)) => self.line(&line)?,
            (_, other) => return Err(WireError::unexpected(PLACE, format!("{other:?}").as_bytes())),
        }
        Ok(())
    }

    fn line(&mut self, payload: &Bytes) -> Result<(), WireError> {
        let line = pkt::checked_text(payload)?;
        match self.state {
            State::Start if line.starts_with(b"# service=") => self.state = State::Announced,
            State::Start | State::First => match line.strip_prefix(b"version ") {
                Some(b"2") => {
                    self.read.version = Version::V2;
                    self.state = State::Capabilities;
                }
                Some(b"1") if self.read.version == Version::V0 => {
                    self.read.version = Version::V1;
                    self.state = State::First;
                }
                Some(_) => return Err(WireError::unexpected(PLACE, line)),
                None => {
                    self.state = State::Refs;
                    let (line, list) = split(line, 0).unwrap_or((line, &[]));
                    self.read.capabilities = Capabilities::parse_list(list);
                    // Before the first id, which would be of that format.
                    self.read.capabilities.check_object_format()?;
                    self.ref_line(line)?;
                }
            },
            State::Capabilities => self.read.capabilities.add(line),
            _ => self.ref_line(line)?,
        }
        Ok(())
    }

    fn ref_line(&mut self, line: &[u8]) -> Result<(), WireError> {
        let (id, name) = split(line, b' ').ok_or_else(|| WireError::unexpected(PLACE, line))?;
        if id == b"shallow" {
            self.read.shallow.push(parse_id(name, line)?);
            return Ok(());
        }
        let id = parse_id(id, line)?;
        let listing = &mut self.read.listing;
        match name {
            b"capabilities^{}" => {}
            b".have" => self.read.haves.push(id),
            _ => match name.strip_suffix(b"^{}") {
                // It comes right behind its tag.
                Some(tag) => {
                    if let Some(last) = listing.refs.last_mut().filter(|last| last.name.as_str().as_bytes() == tag) {
                        last.peeled = Some(id);
                    }
                }
                None => {
                    listing.add(id, name);
                }
            },
        }
        Ok(())
    }

    fn complete(&mut self) -> Result<(), WireError> {
        self.read.capabilities.check_object_format()?;
        if let Some(target) = self.read.capabilities.values("symref").find_map(|pair| pair.strip_prefix("HEAD:")) {
            self.read.listing.set_head(target.as_bytes());
        }
        self.state = State::Complete;
        Ok(())
    }
}

fn split(line: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = line.iter().position(|&byte| byte == separator)?;
    Some((line.get(..at)?, line.get(at + 1..)?))
}

impl Reader for AdvertisementReader {
    type Output = Advertisement;

    fn feed(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        self.bytes += bytes.len();
        if self.bytes > MOST_BYTES {
            return Err(WireError::TooMuch { place: PLACE, most: MOST_BYTES });
        }
        self.decoder.feed(bytes);
        while let Some(pkt) = self.decoder.next_pkt()? {
            self.pkt(pkt)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<Advertisement, WireError> {
        if self.state == State::Complete && self.decoder.is_empty() {
            Ok(self.read)
        } else {
            Err(WireError::Ended { place: PLACE })
        }
    }
}

#[cfg(test)]
#[path = "advert_tests.rs"]
mod tests;
