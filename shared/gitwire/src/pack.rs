//! Packs that go by: counted and checked, never opened.

use sha1::{Digest, Sha1};

use crate::Oid;

const HEADER: usize = 12;
const TRAILER: usize = 20;

/// The pack without objects, for commands on objects that the target has already.
pub const EMPTY: [u8; HEADER + TRAILER] = *b"PACK\0\0\0\x02\0\0\0\0\
    \x02\x9d\x08\x82\x3b\xd8\xa8\xea\xb5\x10\xad\x6a\xc7\x5c\x82\x3c\xfd\x3e\xd3\x1e";

/// What a complete pack was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackSummary {
    /// How many objects its header says are in it.
    pub objects: u32,
    /// Its length, header and trailer included.
    pub bytes: u64,
    /// Its trailer: the SHA-1 of everything before.
    pub checksum: Oid,
}

/// A pack that must not be passed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackFault {
    /// It begins with something else.
    #[error("a pack begins with PACK, not with {0:?}")]
    NotAPack(String),
    /// A format that came after this program.
    #[error("a pack of version {0}; only 2 and 3 are known")]
    Version(u32),
    /// It ends before a header and a trailer could be there.
    #[error("half a pack: it ends after {bytes} bytes, before its header and trailer are complete")]
    TooShort {
        /// How much there was.
        bytes: u64,
    },
    /// Its last 20 bytes are not the checksum of what came before.
    ///
    /// Where a pack ends cannot be told without opening its objects, so a pack that was cut looks like one that was damaged.
    #[error(
        "half a pack, or a damaged one: of {bytes} bytes the last 20 say the checksum is {trailer}, but what came before has {actual}"
    )]
    Trailer {
        /// How much there was.
        bytes: u64,
        /// What its end says.
        trailer: Oid,
        /// What it should have said.
        actual: Oid,
    },
}

/// Looks at the bytes of one pack as they go by, in constant memory.
#[derive(Debug, Clone, Default)]
pub struct PackChecker {
    header: Vec<u8>,
    /// The last bytes, which are not hashed: the trailer, if nothing follows.
    last: Vec<u8>,
    hash: Sha1,
    bytes: u64,
    objects: u32,
}

impl PackChecker {
    /// Looks at the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), PackFault> {
        self.bytes += bytes.len() as u64;
        if self.header.len() < HEADER {
            let missing = HEADER - self.header.len();
            self.header.extend(bytes.iter().take(missing));
            self.objects = self.check_header()?;
        }
        // Of what is held back and what came, everything but the last 20 bytes is hashed.
        let surplus = (self.last.len() + bytes.len()).saturating_sub(TRAILER);
        let (old, new) = (surplus.min(self.last.len()), surplus.saturating_sub(self.last.len()));
        let (hashed, kept) = bytes.split_at_checked(new).unwrap_or((bytes, &[]));
        self.hash.update(self.last.get(..old).unwrap_or_default());
        self.hash.update(hashed);
        self.last.drain(..old);
        self.last.extend_from_slice(kept);
        Ok(())
    }

    /// Checks as much of the header as is there, so that no byte of something else is passed on.
    fn check_header(&self) -> Result<u32, PackFault> {
        let magic = self.header.get(..4).unwrap_or(&self.header);
        if !b"PACK".starts_with(magic) {
            return Err(PackFault::NotAPack(crate::error::quote(magic)));
        }
        let number = |at| self.header.get(at..).and_then(|rest| rest.first_chunk()).copied().map(u32::from_be_bytes);
        match number(4) {
            None | Some(2 | 3) => Ok(number(8).unwrap_or_default()),
            Some(other) => Err(PackFault::Version(other)),
        }
    }

    /// How much has gone by.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Says whether what went by was a complete pack.
    pub fn finish(self) -> Result<PackSummary, PackFault> {
        let trailer: Option<[u8; TRAILER]> = self.last.try_into().ok();
        let (Some(trailer), true) = (trailer, self.bytes >= (HEADER + TRAILER) as u64) else {
            return Err(PackFault::TooShort { bytes: self.bytes });
        };
        let (trailer, actual) = (Oid::from(trailer), Oid::from(<[u8; TRAILER]>::from(self.hash.finalize())));
        if trailer != actual {
            return Err(PackFault::Trailer { bytes: self.bytes, trailer, actual });
        }
        Ok(PackSummary { objects: self.objects, bytes: self.bytes, checksum: trailer })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(bytes: &[u8], size: usize) -> Result<PackSummary, PackFault> {
        let mut checker = PackChecker::default();
        bytes.chunks(size).try_for_each(|piece| checker.feed(piece))?;
        checker.finish()
    }

    fn pack(version: u32, objects: u32, body: &[u8]) -> Vec<u8> {
        let mut pack = [&b"PACK"[..], &version.to_be_bytes(), &objects.to_be_bytes(), body].concat();
        let checksum = Sha1::digest(&pack);
        pack.extend_from_slice(&checksum);
        pack
    }

    #[test]
    fn the_empty_pack_is_a_pack() {
        assert_eq!(EMPTY.to_vec(), pack(2, 0, b""));
        assert_eq!(check(&EMPTY, 7).unwrap().objects, 0);
    }

    #[test]
    fn what_is_not_a_pack_is_refused_at_its_first_byte() {
        assert_eq!(check(b"<html>", 1), Err(PackFault::NotAPack("<".into())));
        assert_eq!(check(b"PAC<", 4), Err(PackFault::NotAPack("PAC<".into())));
        assert_eq!(check(&pack(4, 0, b""), 64), Err(PackFault::Version(4)));
        assert_eq!(check(b"", 1), Err(PackFault::TooShort { bytes: 0 }));
        assert_eq!(check(&EMPTY[..31], 5), Err(PackFault::TooShort { bytes: 31 }));
    }

    proptest! {
            #[test]
            fn whole_packs_pass_in_any_pieces_and_half_ones_in_none(
                body in prop::collection::vec(any::<u8>(), 0..200),
                version in 2_u32..=3,
                objects in any::<u32>(),
                size in 1_usize..64,
                cut in any::<prop::sample::Index>(),
            ) {
                let pack = pack(version, objects, &body);
                let summary = check(&pack, size).unwrap();
                prop_assert_eq!((summary.objects, summary.bytes), (objects, pack.len() as u64));
                let half = &pack[..cut.index(pack.len())];
    let refused = matches!(check(half, size), Err(PackFault::TooShort { .. } | PackFault::Trailer { .. }));
                prop_assert!(refused);
                let mut damaged = pack.clone();
                let place = 12 + cut.index(pack.len() - 12);
                damaged[place] ^= 1;
                let refused = matches!(check(&damaged, size), Err(PackFault::Trailer { .. }));
                prop_assert!(refused);
            }
        }
}
