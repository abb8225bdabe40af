//! A pack that is opened: which objects are in it, and what they hold.
//!
//! The pack stays where it is; of each object a few dozen bytes are kept, and of what was read last as much as there is room for. An object that
//! is longer than it may be is named with its length, and not read.

use std::collections::{HashMap, VecDeque};
use std::io::{self, BufReader, Read};
use std::sync::Arc;

use flate2::bufread::ZlibDecoder;
use sha1::{Digest, Sha1};

use crate::Oid;

/// How many bytes of a pack are read at once.
const PIECE: usize = 16 * 1024;

/// Where a pack lies.
pub trait ReadAt {
    /// Reads from this place on; 0 bytes at the end.
    ///
    /// # Errors
    /// As the place fails.
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize>;
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let mut rest = self.get(at..).unwrap_or_default();
        rest.read(into)
    }
}

#[cfg(unix)]
impl ReadAt for std::fs::File {
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, into, at)
    }
}

/// What may be used for it.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// So many objects at most.
    pub objects: usize,
    /// An object of more bytes is not held.
    pub object_bytes: u64,
    /// So many bytes of what was read last are kept.
    pub kept_bytes: usize,
}

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A commit.
    Commit,
    /// A folder.
    Tree,
    /// The content of a file.
    Blob,
    /// An annotated tag.
    Tag,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
            Self::Tag => "tag",
        }
    }
}

/// Why a pack cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Unopened {
    /// It is not what a pack looks like.
    #[error("the pack cannot be read: {what} at byte {at}")]
    Spoilt {
        /// What is wrong.
        what: &'static str,
        /// Where.
        at: u64,
    },
    /// It has more objects than may be looked at.
    #[error("the pack has {0} objects")]
    TooMany(usize),
    /// There was no time for all of it.
    #[error("the time was over after {done} of the pack's {objects} objects")]
    Stopped {
        /// So many objects were opened.
        done: usize,
        /// So many it has.
        objects: usize,
    },
    /// It cannot be read.
    #[error("the pack cannot be read")]
    Io(#[from] io::Error),
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Whole(Kind),
    /// A change of the object with this number.
    Delta(u32),
    /// A change of an object that was not met yet.
    DeltaOf(Oid),
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Where the deflated data begins.
    data: u64,
    /// How long they are inflated.
    inflated: u64,
    form: Form,
    kind: Option<Kind>,
    /// How long the object is.
    length: u64,
}

/// An open pack.
#[derive(Debug)]
pub struct OpenPack<S> {
    source: S,
    limits: Limits,
    entries: Vec<Entry>,
    by_id: HashMap<Oid, u32>,
    unread: usize,
    kept: Kept,
}

#[derive(Debug, Default)]
struct Kept {
    objects: HashMap<u32, Arc<[u8]>>,
    order: VecDeque<u32>,
    bytes: usize,
}

impl Kept {
    fn put(&mut self, number: u32, object: &Arc<[u8]>, most: usize) {
        if object.len() > most || self.objects.contains_key(&number) {
            return;
        }
        self.bytes += object.len();
        self.objects.insert(number, Arc::clone(object));
        self.order.push_back(number);
        while self.bytes > most {
            let Some(oldest) = self.order.pop_front() else { return };
            self.bytes -= self.objects.remove(&oldest).map_or(0, |object| object.len());
        }
    }
}

/// A reader of a place from a byte on, that knows how far it came.
struct Reading<'a, S> {
    source: &'a S,
    at: u64,
}

impl<S: ReadAt> Read for Reading<'_, S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read_at(self.at, into)?;
        self.at += count as u64;
        Ok(count)
    }
}

fn from<S: ReadAt>(source: &S, at: u64) -> BufReader<Reading<'_, S>> {
    BufReader::with_capacity(PIECE, Reading { source, at })
}

impl<S: ReadAt> OpenPack<S> {
    /// Opens a whole pack: reads every object once, to know its id.
    ///
    /// # Errors
    /// It is spoilt, or has too many objects.
    pub fn open(source: S, limits: Limits) -> Result<Self, Unopened> {
        Self::open_while(source, limits, || true)
    }

    /// The same for as long as `goes_on` says so; it is asked before each object.
    ///
    /// # Errors
    /// As [`OpenPack::open`]; or it said no.
    pub fn open_while(source: S, limits: Limits, mut goes_on: impl FnMut() -> bool) -> Result<Self, Unopened> {
        let mut pack =
            Self { source, limits, entries: Vec::new(), by_id: HashMap::new(), unread: 0, kept: Kept::default() };
        let mut header = [0; 12];
        from(&pack.source, 0).read_exact(&mut header)?;
        let [b'P', b'A', b'C', b'K', 0, 0, 0, 2 | 3, a, b, c, d] = header else {
            return Err(Unopened::Spoilt { what: "no head of a pack", at: 0 });
        };
        let count = u32::from_be_bytes([a, b, c, d]);
        if count as usize > limits.objects {
            return Err(Unopened::TooMany(count as usize));
        }
        let mut at = header.len() as u64;
        let mut places = HashMap::new();
        let mut waiting = Vec::new();
        let stopped = |done: u32| Unopened::Stopped { done: done as usize, objects: count as usize };
        for number in 0..count {
            if !goes_on() {
                return Err(stopped(number));
            }
            places.insert(at, number);
            let (entry, head) = pack.head(at, &places)?;
            pack.entries.push(entry);
            at = head;
            let consumed = match entry.form {
                Form::Whole(kind) => pack.enter_whole(number, kind, entry)?,
                Form::Delta(_) | Form::DeltaOf(_) => pack.skip(entry)?,
            };
            at += consumed;
            if !matches!(entry.form, Form::Whole(_)) && !pack.enter_delta(number)? {
                waiting.push(number);
            }
        }
        // A change may stand before what it changes.
        while !waiting.is_empty() {
            let before = waiting.len();
            let mut still = Vec::new();
            for number in waiting {
                if !goes_on() {
                    return Err(stopped(number));
                }
                if !pack.enter_delta(number)? {
                    still.push(number);
                }
            }
            if still.len() == before {
                pack.unread += before;
                break;
            }
            waiting = still;
        }
        Ok(pack)
    }

    /// Every object: its id, what it is, and its length.
    pub fn objects(&self) -> impl Iterator<Item = (Oid, Kind, u64)> {
        self.by_id.keys().filter_map(|id| self.info(id).map(|(kind, length)| (*id, kind, length)))
    }

    /// What an object is, and its length; nothing where the pack does not have it.
    pub fn info(&self, id: &Oid) -> Option<(Kind, u64)> {
        let entry = self.entries.get(*self.by_id.get(id)? as usize)?;
        Some((entry.kind?, entry.length))
    }

    /// How many objects could not be read, as they are too long or build on what is not in the pack.
    pub fn unread(&self) -> usize {
        self.unread
    }

    /// What an object holds; nothing where the pack does not have it, or it is too long to be held.
    ///
    /// # Errors
    /// The pack cannot be read any more.
    pub fn read(&mut self, id: &Oid) -> Result<Option<Arc<[u8]>>, Unopened> {
        match self.by_id.get(id) {
            Some(number) => self.content(*number),
            None => Ok(None),
        }
    }

    /// The head of an entry, and where its data begins.
    fn head(&self, at: u64, places: &HashMap<u64, u32>) -> Result<(Entry, u64), Unopened> {
        let spoilt = |what| Unopened::Spoilt { what, at };
        let mut reader = from(&self.source, at);
        let mut length = 0_u64;
        let mut next = || {
            let mut byte = [0];
            reader.read_exact(&mut byte)?;
            length += 1;
            let [byte] = byte;
            Ok::<u8, io::Error>(byte)
        };
        let first = next()?;
        let (kind, mut inflated, mut shift, mut more) =
            ((first >> 4) & 7, u64::from(first & 15), 4_u32, first & 0x80 != 0);
        while more {
            let byte = next()?;
            let part = u64::from(byte & 0x7f).checked_shl(shift).filter(|_| shift < 60);
            inflated |= part.ok_or_else(|| spoilt("a length without end"))?;
            shift += 7;
            more = byte & 0x80 != 0;
        }
        let form = match kind {
            1 => Form::Whole(Kind::Commit),
            2 => Form::Whole(Kind::Tree),
            3 => Form::Whole(Kind::Blob),
            4 => Form::Whole(Kind::Tag),
            6 => {
                let mut byte = next()?;
                let mut back = u64::from(byte & 0x7f);
                while byte & 0x80 != 0 {
                    byte = next()?;
                    let more = back.checked_add(1).and_then(|back| back.checked_mul(128));
                    back = more.ok_or_else(|| spoilt("a distance without end"))? + u64::from(byte & 0x7f);
                }
                let base = at.checked_sub(back).and_then(|place| places.get(&place));
                Form::Delta(*base.ok_or_else(|| spoilt("a change of nothing"))?)
            }
            7 => {
                let mut id = [0; 20];
                for byte in &mut id {
                    *byte = next()?;
                }
                Form::DeltaOf(Oid::from(id))
            }
            _ => return Err(spoilt("an object of no kind")),
        };
        let data = at + length;
        Ok((Entry { data, inflated, form, kind: None, length: 0 }, data))
    }

    /// Takes in an object that is no change of another; gives how many bytes it takes in the pack.
    fn enter_whole(&mut self, number: u32, kind: Kind, entry: Entry) -> Result<u64, Unopened> {
        let spoilt = |what| Unopened::Spoilt { what, at: entry.data };
        let mut reader = ZlibDecoder::new(from(&self.source, entry.data));
        let mut hash = Sha1::new();
        hash.update(format!("{} {}\0", kind.name(), entry.inflated));
        let mut held = (entry.inflated <= self.limits.object_bytes).then(Vec::new);
        let mut buffer = [0; PIECE];
        let mut length = 0_u64;
        loop {
            let count = reader.read(&mut buffer)?;
            let piece = buffer.get(..count).unwrap_or_default();
            if piece.is_empty() {
                break;
            }
            length += piece.len() as u64;
            if length > entry.inflated {
                return Err(spoilt("an object that is longer than it says"));
            }
            hash.update(piece);
            if let Some(held) = &mut held {
                held.extend_from_slice(piece);
            }
        }
        if length != entry.inflated {
            return Err(spoilt("an object that is shorter than it says"));
        }
        let consumed = reader.total_in();
        let id: [u8; 20] = hash.finalize().into();
        self.name(number, Oid::from(id), kind, length);
        if let Some(held) = held {
            self.kept.put(number, &held.into(), self.limits.kept_bytes);
        }
        Ok(consumed)
    }

    /// Reads over the data of an entry; gives how many bytes they take in the pack.
    fn skip(&self, entry: Entry) -> Result<u64, Unopened> {
        let mut reader = ZlibDecoder::new(from(&self.source, entry.data));
        let mut most = (&mut reader).take(entry.inflated.saturating_add(1));
        let length = io::copy(&mut most, &mut io::sink())?;
        if length != entry.inflated {
            return Err(Unopened::Spoilt { what: "a change that is not as long as it says", at: entry.data });
        }
        // The end of the stream may not have been read yet.
        io::copy(&mut reader, &mut io::sink())?;
        Ok(reader.total_in())
    }

    /// Takes in a change of another object; false where that one was not met yet.
    fn enter_delta(&mut self, number: u32) -> Result<bool, Unopened> {
        let Some(entry) = self.entries.get(number as usize).copied() else { return Ok(true) };
        let base = match entry.form {
            Form::Delta(base) => Some(base),
            Form::DeltaOf(id) => self.by_id.get(&id).copied(),
            Form::Whole(_) => return Ok(true),
        };
        let known = base.and_then(|base| Some((base, self.entries.get(base as usize)?.kind?)));
        let Some((base, kind)) = known else { return Ok(false) };
        if let Some(entry) = self.entries.get_mut(number as usize) {
            entry.form = Form::Delta(base);
        }
        let Some(object) = self.content(number)? else {
            self.unread += 1;
            return Ok(true);
        };
        let mut hash = Sha1::new();
        hash.update(format!("{} {}\0", kind.name(), object.len()));
        hash.update(&object);
        let id: [u8; 20] = hash.finalize().into();
        self.name(number, Oid::from(id), kind, object.len() as u64);
        Ok(true)
    }

    fn name(&mut self, number: u32, id: Oid, kind: Kind, length: u64) {
        if let Some(entry) = self.entries.get_mut(number as usize) {
            entry.kind = Some(kind);
            entry.length = length;
        }
        self.by_id.insert(id, number);
    }

    /// What an object holds; nothing where it, or one that it builds on, is too long.
    fn content(&mut self, number: u32) -> Result<Option<Arc<[u8]>>, Unopened> {
        let mut chain = Vec::new();
        let mut at = number;
        let mut object = loop {
            if let Some(kept) = self.kept.objects.get(&at) {
                break Arc::clone(kept);
            }
            let Some(entry) = self.entries.get(at as usize).copied() else { return Ok(None) };
            if entry.inflated > self.limits.object_bytes {
                return Ok(None);
            }
            match entry.form {
                Form::Whole(_) => break self.inflate(entry)?.into(),
                // What it builds on always has a smaller number or was resolved before it: a chain ends.
                Form::Delta(base) if chain.len() < self.entries.len() => {
                    chain.push((at, entry));
                    at = base;
                }
                Form::Delta(_) | Form::DeltaOf(_) => return Ok(None),
            }
        };
        self.kept.put(at, &object, self.limits.kept_bytes);
        for (number, entry) in chain.into_iter().rev() {
            let delta = self.inflate(entry)?;
            match apply(&object, &delta, self.limits.object_bytes) {
                Ok(Some(made)) => object = made.into(),
                Ok(None) => return Ok(None),
                Err(what) => return Err(Unopened::Spoilt { what, at: entry.data }),
            }
            self.kept.put(number, &object, self.limits.kept_bytes);
        }
        Ok(Some(object))
    }

    fn inflate(&self, entry: Entry) -> Result<Vec<u8>, Unopened> {
        let mut held = Vec::new();
        let reader = ZlibDecoder::new(from(&self.source, entry.data));
        reader.take(entry.inflated.saturating_add(1)).read_to_end(&mut held)?;
        if held.len() as u64 != entry.inflated {
            return Err(Unopened::Spoilt { what: "data that are not as long as they say", at: entry.data });
        }
        Ok(held)
    }
}

/// Makes an object from another one and a change; nothing where it would be longer than `most`.
fn apply(base: &[u8], delta: &[u8], most: u64) -> Result<Option<Vec<u8>>, &'static str> {
    const SPOILT: &str = "a change that does not fit what it changes";
    let mut delta = delta;
    let (from, to) = (varint(&mut delta).ok_or(SPOILT)?, varint(&mut delta).ok_or(SPOILT)?);
    if from != base.len() as u64 {
        return Err(SPOILT);
    }
    if to > most {
        return Ok(None);
    }
    let mut made: Vec<u8> = Vec::with_capacity(usize::try_from(to).map_err(|_| SPOILT)?);
    while let Some(order) = byte(&mut delta) {
        let piece = if order & 0x80 == 0 {
            let length = usize::from(order);
            if length == 0 {
                return Err(SPOILT);
            }
            let (piece, rest) = delta.split_at_checked(length).ok_or(SPOILT)?;
            delta = rest;
            piece
        } else {
            let mut part = |bits: std::ops::Range<u32>| {
                let mut number = 0_usize;
                for (at, bit) in bits.enumerate() {
                    if order & (1 << bit) != 0 {
                        number |= usize::from(byte(&mut delta).ok_or(SPOILT)?) << (8 * at);
                    }
                }
                Ok::<usize, &'static str>(number)
            };
            let (offset, length) = (part(0..4)?, part(4..7)?);
            let length = if length == 0 { 0x10000 } else { length };
            base.get(offset..offset.saturating_add(length)).ok_or(SPOILT)?
        };
        made.extend_from_slice(piece);
        if made.len() as u64 > to {
            return Err(SPOILT);
        }
    }
    if made.len() as u64 == to { Ok(Some(made)) } else { Err(SPOILT) }
}

fn byte(bytes: &mut &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*first)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..63).step_by(7) {
        let next = byte(bytes)?;
        number |= u64::from(next & 0x7f) << shift;
        if next & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
