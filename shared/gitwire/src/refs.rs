//! What refs a repository has, and `ls-refs` to ask for them.

use crate::pkt::{self, Decoder, Pkt};
use crate::{Advertisement, Oid, Reader, RefName, Version, WireError};

/// More than the refs of any repository that fits into the memory of a function.
pub(crate) const MOST_BYTES: usize = 64 * 1024 * 1024;

const PLACE: &str = "the list of refs";

/// One ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ref {
    /// Its full name.
    pub name: RefName,
    /// What it points at.
    pub id: Oid,
    /// What the annotated tag that it points at stands for.
    pub peeled: Option<Oid>,
}

/// Where `HEAD` is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Head {
    /// On a branch, which need not exist yet.
    Branch(RefName),
    /// On no branch.
    Detached(Oid),
    /// The server does not tell; for a push it never does.
    #[default]
    Unknown,
}

/// The refs of a repository, in the server's order, without `HEAD` itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The refs.
    pub refs: Vec<Ref>,
    /// The default branch.
    pub head: Head,
    /// Names that git refuses or that are not UTF-8, shortened: such a ref cannot be asked for or pushed.
    pub unusable: Vec<String>,
}

impl Listing {
    /// Adds a ref, `HEAD` among them, under the name that the server gives it.
    pub(crate) fn add(&mut self, id: Oid, name: &[u8]) -> Option<&mut Ref> {
        if name == b"HEAD" {
            // Where it points at a branch, that is said besides.
            if self.head == Head::Unknown {
                self.head = Head::Detached(id);
            }
            return None;
        }
        let Ok(name) = RefName::parse_bytes(name) else {
            self.unusable.push(crate::error::quote(name));
            return None;
        };
        self.refs.push(Ref { name, id, peeled: None });
        self.refs.last_mut()
    }

    pub(crate) fn set_head(&mut self, target: &[u8]) {
        if let Ok(name) = RefName::parse_bytes(target) {
            self.head = Head::Branch(name);
        }
    }

    /// Leaves only what begins with one of the prefixes, as version 2 does on the server.
    #[must_use]
    pub fn below(mut self, prefixes: &[&str]) -> Self {
        let wanted = |name: &str| prefixes.is_empty() || prefixes.iter().any(|prefix| name.starts_with(prefix));
        self.refs.retain(|entry| wanted(entry.name.as_str()));
        self.unusable.retain(|name| wanted(name));
        self
    }
}

/// The `ls-refs` request of version 2, for refs that begin with one of the prefixes (all, if there is none) and `HEAD`.
pub fn ls_refs(server: &Advertisement, prefixes: &[&str]) -> Result<Vec<u8>, WireError> {
    if server.version != Version::V2 {
        return Err(WireError::Missing("protocol version 2"));
    }
    server.capabilities.require("ls-refs")?;
    let mut request = Vec::new();
    pkt::write_line(&mut request, format_args!("command=ls-refs"))?;
    for answer in server.capabilities.answers() {
        pkt::write_line(&mut request, format_args!("{answer}"))?;
    }
    pkt::write_delimiter(&mut request);
    pkt::write_line(&mut request, format_args!("peel"))?;
    pkt::write_line(&mut request, format_args!("symrefs"))?;
    if server.capabilities.has_feature("ls-refs", "unborn") {
        pkt::write_line(&mut request, format_args!("unborn"))?;
    }
    if !prefixes.is_empty() {
        for prefix in prefixes.iter().copied().chain(["HEAD"]) {
            pkt::write_line(&mut request, format_args!("ref-prefix {prefix}"))?;
        }
    }
    pkt::write_flush(&mut request);
    Ok(request)
}

/// Reads the answer to `ls-refs`.
#[derive(Debug, Default)]
pub struct LsRefsReader {
    decoder: Decoder,
    listing: Listing,
    bytes: usize,
    complete: bool,
}

impl LsRefsReader {
    fn line(&mut self, line: &[u8]) -> Result<(), WireError> {
        let unexpected = || WireError::unexpected(PLACE, line);
        let mut words = line.split(|&byte| byte == b' ');
        let (id, name) = words.next().zip(words.next()).ok_or_else(unexpected)?;
        let mut peeled = None;
        for attribute in words {
            if let Some(id) = attribute.strip_prefix(b"peeled:") {
                peeled = Some(parse_id(id, line)?);
            } else if let Some(target) = attribute.strip_prefix(b"symref-target:")
                && name == b"HEAD"
            {
                self.listing.set_head(target);
            }
        }
        if id != b"unborn"
            && let Some(entry) = self.listing.add(parse_id(id, line)?, name)
        {
            entry.peeled = entry.peeled.or(peeled);
        }
        Ok(())
    }
}

/// An id in a line; one of another object format is told by its length.
pub(crate) fn parse_id(id: &[u8], line: &[u8]) -> Result<Oid, WireError> {
    Oid::parse_bytes(id).map_err(|wrong| match wrong {
        crate::InvalidOid::Sha256(_) => WireError::ObjectFormat("sha256".to_owned()),
        crate::InvalidOid::Malformed(_) => WireError::unexpected(PLACE, line),
    })
}

impl Reader for LsRefsReader {
    type Output = Listing;

    fn feed(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        self.bytes += bytes.len();
        if self.bytes > MOST_BYTES {
            return Err(WireError::TooMuch { place: PLACE, most: MOST_BYTES });
        }
        self.decoder.feed(bytes);
        while let Some(line) = self.decoder.next_pkt()? {
            match line {
                Pkt::Data(line) if !self.complete => self.line(pkt::checked_text(&line)?)?,
                Pkt::Flush if !self.complete => self.complete = true,
                Pkt::ResponseEnd if self.complete => {}
                other => return Err(WireError::unexpected(PLACE, format!("{other:?}").as_bytes())),
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Listing, WireError> {
        if self.complete && self.decoder.is_empty() { Ok(self.listing) } else { Err(WireError::Ended { place: PLACE }) }
    }
}

#[cfg(test)]
#[path = "refs_tests.rs"]
mod tests;
