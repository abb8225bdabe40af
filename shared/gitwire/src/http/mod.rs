//! Smart HTTP: the protocol carried to a server and back.
//!
//! A [`Remote`] is one repository behind one [`Client`]. As a [`Source`] it is asked for its refs and for a [`PackStream`]; as a
//! [`Target`] it is asked for its refs and takes a push. Handing the stream to [`Target::push`] makes the pump: each piece is
//! asked of the source when the target takes it, so what is in memory at any time is a piece or two and the buffers of two
//! connections. When the source breaks off, or its pack is not what its checksum says, the push's request is torn without its
//! end, and the target keeps nothing.
//!
//! [`Failure`] names host and repository, never a credential, and says whether another try may go better.

mod authorization;
mod body;
mod client;
mod connect;
mod failure;
mod history;
mod known;
mod pack_stream;
mod source;
mod target;
mod url;
mod way;

pub use authorization::{Authorization, InvalidAuthorization};
pub use client::{Client, NoCertificates, Patience, Remote};
pub use failure::{Cause, Failure, Kind};
pub use pack_stream::{Meter, PackStream};
pub use source::Source;
pub use target::{Pushed, Target};
pub use url::{InvalidUrl, RemoteUrl};
pub use way::Way;
