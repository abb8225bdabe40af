//! git's smart protocol, and a thin HTTP client for it.
//!
//! Two halves. Everything but [`http`] is bytes in, values out, with no I/O: [`pkt`] lines, the [`Advertisement`], the
//! [`Listing`] of refs, [`Fetch`] and its answer, the commands of a [`push`] and their [`Report`], a [`PackChecker`].
//! [`http`] carries them to a server and streams a pack from one repository to another without opening it.
//!
//! Protocol version 2 is spoken where the server has it, else 0 or 1. Object ids are SHA-1; a repository of another object
//! format is refused by the format's name.
//!
//! # Why not gitoxide
//!
//! gix-packetline, gix-protocol and gix-transport (0.24, 0.68 and 0.62) were looked at. gix-protocol cannot push, which is
//! half of what is needed here; its fetch pulls from a reader of its own, negotiates over an object database and takes the pack
//! apart on the way; gix-transport brings curl or reqwest and waits by blocking. gix-packetline alone, without its readers, is one
//! function that reads a length, with a third string type and a tracing layer behind it. So there is nothing here but what the
//! protocol documents of git itself (gitprotocol-common, -pack, -v2, -http) say.
//!
//! [`unpack`] opens a pack, behind the feature `inflate`. gix-pack (0.76) does that, too, by way of an index file that it maps into
//! memory, with some thirty crates; here each object is wanted once, in the order of the walk, and flate2 is the one crate that it takes.

pub mod advert;
pub mod band;
pub mod capability;
mod error;
pub mod fetch;
pub mod fetch_reader;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "inflate")]
pub mod object;
mod oid;
pub mod pack;
pub mod pkt;
pub mod push;
mod refname;
pub mod refs;
#[cfg(feature = "inflate")]
pub mod unpack;
#[cfg(feature = "inflate")]
#[cfg(test)]
mod unpack_tests;

pub use advert::{Advertisement, AdvertisementReader, Version};
pub use capability::Capabilities;
pub use error::WireError;
pub use fetch::{Fetch, Negotiation, PackForm};
pub use fetch_reader::{FetchEvent, FetchReader};
pub use oid::{InvalidOid, Oid};
pub use pack::{PackChecker, PackFault, PackSummary};
pub use push::{Change, Command, Outcome, RefResult, Report, Together};
pub use refname::{InvalidRefName, RefName};
pub use refs::{Head, Listing, LsRefsReader, Ref};

/// Reads one whole answer that comes in pieces.
pub trait Reader {
    /// What it says.
    type Output;

    /// Takes the next piece.
    fn feed(&mut self, bytes: &[u8]) -> Result<(), WireError>;

    /// The answer is over: what it said, if it was complete.
    fn finish(self) -> Result<Self::Output, WireError>;
}
