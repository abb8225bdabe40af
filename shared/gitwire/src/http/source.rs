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

/// How one round of a negotiation ends.
enum Round {
    Pack(Box<PackStream>),
    Again,
}

impl Remote {
    /// Lists the refs that begin with one of the prefixes (all, if there is none), and `HEAD`.
    pub async fn source(&self, prefixes: &[&str]) -> Result<Source, Failure> {
        let (remote, mut server) = self.clone().greet(Service::UploadPack).await?;
        if server.version != Version::V2 {
            let listing = std::mem::take(&mut server.listing).below(prefixes);
            return Ok(Source { remote, server, listing });
        }
        let listed = async {
            server.capabilities.check_object_format()?;
            let request = ls_refs(&server, prefixes)?;
            let answer = remote.ask(Service::UploadPack, version_2(&server), whole(request)).await?;
            read_all(answer, LsRefsReader::default()).await
        };
        let listing = listed.await.map_err(|cause| remote.failure("cannot list the refs of", cause))?;
        Ok(Source { remote, server, listing })
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
