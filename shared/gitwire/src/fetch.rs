//! Asking for a pack: `fetch` of version 2, upload-pack of versions 0 and 1.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use crate::fetch_reader::{Dialect, FetchReader};
use crate::pkt;
use crate::{Advertisement, Oid, Version, WireError};

/// How many objects that the other side may know are named in one request.
const HAVES_A_ROUND: usize = 4096;
/// And into the first one.
const FIRST_HAVES: usize = 256;

/// How a pack may be written, which is for its receiver to say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PackForm {
    /// Deltas may build on objects that are not in the pack, but among the haves.
    pub thin: bool,
    /// Deltas may name their base by its distance.
    pub ofs_delta: bool,
}

/// What is wanted of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetch {
    /// The objects wanted, with everything that they need.
    pub wants: Vec<Oid>,
    /// What the receiver has, with everything that it needs; the likeliest to build upon first. Ids that the source does not
    /// know do no harm.
    pub haves: Vec<Oid>,
    /// How the pack may be written.
    pub form: PackForm,
    /// Tag objects that point at what is sent come along, asked for or not.
    pub include_tag: bool,
    /// The commits at which the receiver's history ends.
    pub shallow: Vec<Oid>,
    /// No more than so many commits of each history.
    pub deepen: Option<NonZeroU32>,
    /// An object filter, such as `blob:none`.
    pub filter: Option<String>,
}

/// The talk about what both sides have: which request comes next.
///
/// All haves are known from the start, so there is nothing to walk. They go in rounds, 256 in the first and up to 4,096 in
/// each behind it, and the source may say after any of them that it knows enough; the last ends in `done`. A source walks from
/// each have that it is told of, so the likeliest ones come first: of 1,000 all at once cost git 50 ms more.
#[derive(Debug)]
pub struct Negotiation<'a> {
    fetch: &'a Fetch,
    server: &'a Advertisement,
    common: BTreeSet<Oid>,
    rest: &'a [Oid],
    /// How many go into the next round, and into those behind it.
    next: usize,
    size: usize,
    over: bool,
}

impl Fetch {
    /// Starts to ask.
    pub fn negotiate<'a>(&'a self, server: &'a Advertisement) -> Result<Negotiation<'a>, WireError> {
        self.negotiate_in_rounds_of(FIRST_HAVES, HAVES_A_ROUND, server)
    }

    pub(crate) fn negotiate_in_rounds_of<'a>(
        &'a self,
        first: usize,
        haves: usize,
        server: &'a Advertisement,
    ) -> Result<Negotiation<'a>, WireError> {
        if self.wants.is_empty() {
            return Err(WireError::NothingAsked);
        }
        self.check(server)?;
        // Without detailed acknowledgements a server does not say what it knows, so that later rounds could repeat it.
        let in_rounds = server.version == Version::V2 || server.capabilities.has("multi_ack_detailed");
        let (next, size) = if in_rounds { (first, haves) } else { (usize::MAX, usize::MAX) };
        Ok(Negotiation { fetch: self, server, common: BTreeSet::new(), rest: &self.haves, next, size, over: false })
    }

    /// A request that says what is had, and not that this is all: the answer says which of it is known, and brings no pack.
    pub(crate) fn ask_only(&self, server: &Advertisement) -> Result<(Vec<u8>, FetchReader), WireError> {
        let mut talk = self.negotiate(server)?;
        talk.round(&self.haves, false)
    }

    fn check(&self, server: &Advertisement) -> Result<(), WireError> {
        let offers = |name| match server.version {
            Version::V2 => server.capabilities.has_feature("fetch", name),
            Version::V0 | Version::V1 => server.capabilities.has(name),
        };
        if server.version == Version::V2 {
            server.capabilities.require("fetch")?;
        }
        if (self.deepen.is_some() || !self.shallow.is_empty()) && !offers("shallow") {
            return Err(WireError::Missing("shallow"));
        }
        if self.filter.is_some() && !offers("filter") {
            return Err(WireError::Missing("filter"));
        }
        Ok(())
    }

    /// What both versions say about the history's end.
    fn write_depth(&self, request: &mut Vec<u8>) -> Result<(), WireError> {
        for id in &self.shallow {
            pkt::write_line(request, format_args!("shallow {id}"))?;
        }
        if let Some(depth) = self.deepen {
            pkt::write_line(request, format_args!("deepen {depth}"))?;
        }
        if let Some(filter) = &self.filter {
            pkt::write_line(request, format_args!("filter {filter}"))?;
        }
        Ok(())
    }
}

impl Negotiation<'_> {
    /// The next request, with the reader for its answer.
    pub fn next_round(&mut self) -> Result<(Vec<u8>, FetchReader), WireError> {
        let (haves, rest) = self.rest.split_at(self.next.min(self.rest.len()));
        (self.rest, self.next) = (rest, self.size);
        self.round(haves, rest.is_empty())
    }

    fn round(&mut self, haves: &[Oid], done: bool) -> Result<(Vec<u8>, FetchReader), WireError> {
        self.over = done;
        let known = self.common.iter().filter(|id| !haves.contains(id)).copied();
        let haves: Vec<Oid> = known.chain(haves.iter().copied()).collect();
        let request = match self.server.version {
            Version::V2 => self.request_v2(&haves, done)?,
            Version::V0 | Version::V1 => self.request_v0(&haves, done)?,
        };
        let capabilities = &self.server.capabilities;
        let dialect = match self.server.version {
            Version::V2 => Dialect::Sections,
            Version::V0 | Version::V1 => Dialect::Lines {
                banded: capabilities.has("side-band-64k") || capabilities.has("side-band"),
                shallow_first: self.fetch.deepen.is_some(),
            },
        };
        Ok((request, FetchReader::new(dialect, done)))
    }

    /// Takes note of what the source has, too.
    pub fn is_common(&mut self, id: Oid) {
        self.common.insert(id);
    }

    /// Takes note that the source knows enough: whatever round comes next is the last.
    pub fn is_ready(&mut self) {
        self.rest = &[];
    }

    /// Whether the last request said `done`: its answer must be a pack.
    pub fn is_over(&self) -> bool {
        self.over
    }

    fn request_v2(&self, haves: &[Oid], done: bool) -> Result<Vec<u8>, WireError> {
        let fetch = self.fetch;
        let mut request = Vec::new();
        pkt::write_line(&mut request, format_args!("command=fetch"))?;
        for answer in self.server.capabilities.answers() {
            pkt::write_line(&mut request, format_args!("{answer}"))?;
        }
        pkt::write_delimiter(&mut request);
        let options = [
            (fetch.form.thin, "thin-pack"),
            (true, "no-progress"),
            (fetch.include_tag, "include-tag"),
            (fetch.form.ofs_delta, "ofs-delta"),
        ];
        for (_, option) in options.iter().filter(|(wanted, _)| *wanted) {
            pkt::write_line(&mut request, format_args!("{option}"))?;
        }
        fetch.write_depth(&mut request)?;
        for id in &fetch.wants {
            pkt::write_line(&mut request, format_args!("want {id}"))?;
        }
        for id in haves {
            pkt::write_line(&mut request, format_args!("have {id}"))?;
        }
        if done {
            pkt::write_line(&mut request, format_args!("done"))?;
        }
        pkt::write_flush(&mut request);
        Ok(request)
    }

    fn request_v0(&self, haves: &[Oid], done: bool) -> Result<Vec<u8>, WireError> {
        let fetch = self.fetch;
        let offered = &self.server.capabilities;
        let detailed = offered.has("multi_ack_detailed");
        let wide = offered.has("side-band-64k");
        let options = [
            (true, "multi_ack_detailed"),
            (detailed, "no-done"),
            (true, "side-band-64k"),
            (!wide, "side-band"),
            (fetch.form.thin, "thin-pack"),
            (true, "no-progress"),
            (fetch.include_tag, "include-tag"),
            (fetch.form.ofs_delta, "ofs-delta"),
            (fetch.filter.is_some(), "filter"),
            (fetch.deepen.is_some() || !fetch.shallow.is_empty(), "shallow"),
        ];
        let mut asked: String = options
            .iter()
            .filter(|(wanted, name)| *wanted && offered.has(name))
            .map(|(_, name)| format!(" {name}"))
            .collect();
        for answer in offered.answers() {
            asked.push(' ');
            asked.push_str(&answer);
        }
        let mut request = Vec::new();
        for id in &fetch.wants {
            // The first one carries what is asked for besides.
            pkt::write_line(&mut request, format_args!("want {id}{asked}"))?;
            asked.clear();
        }
        fetch.write_depth(&mut request)?;
        pkt::write_flush(&mut request);
        for id in haves {
            pkt::write_line(&mut request, format_args!("have {id}"))?;
        }
        if done {
            pkt::write_line(&mut request, format_args!("done"))?;
        } else {
            pkt::write_flush(&mut request);
        }
        Ok(request)
    }
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
