//! A repository that is read.

use super::body::Watched;
use super::client::{Remote, Service, read_all, version_2, whole};
use super::failure::{Cause, Failure};
use super::pack_stream::PackStream;
use crate::refs::ls_refs;
use crate::{Advertisement, Fetch, FetchEvent, FetchReader, Listing, LsRefsReader, Version, WireError};

/// What a source has.
#[derive(Debug)]
pub struct Source {
    remote: Remote,
    server: Advertisement,
    /// Its refs, as far as they were asked for.
    pub listing: Listing,
}

const LISTING: &str = "cannot list the refs of";

/// How one round of a negotiation ends.
enum Round {
    Pack(Box<PackStream>),
    Again,
}

impl Remote {
    /// Lists the refs that begin with one of the prefixes (all, if there is none), and `HEAD`.
    ///
    /// A source of protocol version 2 says what it can do once; later it is asked for its refs at once.
    pub async fn source(&self, prefixes: &[&str]) -> Result<Source, Failure> {
        if let Some(server) = self.client().abilities(self.url()) {
            match self.list(&server, prefixes).await {
                Ok(listing) => return Ok(Source { remote: self.clone(), server, listing }),
                // Whatever else it says, it may be another server by now: it is asked from the beginning.
                Err(cause) => {
                    self.client().forget_abilities(self.url());
                    if matches!(cause, Cause::Stalled { .. }) {
                        return Err(self.failure(LISTING, cause));
                    }
                }
            }
        }
        let (remote, mut server) = self.clone().greet(Service::UploadPack).await?;
        if server.version != Version::V2 {
            let listing = std::mem::take(&mut server.listing).below(prefixes);
            return Ok(Source { remote, server, listing });
        }
        let listed = remote.list(&server, prefixes).await;
        let listing = listed.map_err(|cause| remote.failure(LISTING, cause))?;
        if remote.url() == self.url() {
            self.client().remember_abilities(self.url(), &server);
        }
        Ok(Source { remote, server, listing })
    }

    /// Asks a server of version 2 for its refs.
    async fn list(&self, server: &Advertisement, prefixes: &[&str]) -> Result<Listing, Cause> {
        server.capabilities.check_object_format()?;
        let request = ls_refs(server, prefixes)?;
        let asked = self.ask_patiently(Service::UploadPack, version_2(server), whole(request));
        // A server has them at hand, as those of its greeting.
        let answer = self.in_time(asked, self.patience().greeting).await?;
        read_all(answer, LsRefsReader::default()).await
    }
}

impl Source {
    /// What it said about itself.
    pub fn server(&self) -> &Advertisement {
        &self.server
    }

    /// Where it is.
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Asks for a pack, and gives it as it begins to come.
    pub async fn fetch(&self, fetch: &Fetch) -> Result<PackStream, Failure> {
        let failure = |cause| self.remote.failure("cannot fetch from", cause);
        let mut talk = fetch.negotiate(&self.server).map_err(|error| failure(error.into()))?;
        loop {
            let (request, reader) = talk.next_round().map_err(|error| failure(error.into()))?;
            let asked = self.remote.ask(Service::UploadPack, version_2(&self.server), whole(request)).await;
            let answer = asked.map_err(failure)?;
            match self.round(answer, reader, &mut talk).await.map_err(failure)? {
                Round::Pack(pack) => return Ok(*pack),
                Round::Again => {}
            }
        }
    }

    /// Reads what comes before the pack.
    async fn round(
        &self,
        mut answer: Watched,
        mut reader: FetchReader,
        talk: &mut crate::Negotiation<'_>,
    ) -> Result<Round, Cause> {
        // Version 2 says with the pack where the source's own history ends, the older ones say it at the beginning.
        let mut shallow = self.server.shallow.clone();
        loop {
            match reader.next_event()? {
                Some(FetchEvent::Pack(first)) => {
                    let pack = PackStream::new(self.remote.clone(), answer, reader, first, shallow);
                    return Ok(Round::Pack(Box::new(pack)));
                }
                Some(FetchEvent::Common(id)) => talk.is_common(id),
                Some(FetchEvent::Ready) => talk.is_ready(),
                Some(FetchEvent::Shallow(id)) => shallow.push(id),
                Some(_) => {}
                None => match answer.data().await {
                    Some(data) => reader.feed(&data?),
                    None => {
                        reader.finish()?;
                        if talk.is_over() {
                            return Err(WireError::Ended { place: "the answer to a fetch" }.into());
                        }
                        return Ok(Round::Again);
                    }
                },
            }
        }
    }
}
