//! A source's history, asked about without fetching any of it.

use std::num::NonZeroU32;

use super::client::{Service, version_2, whole};
use super::failure::{Cause, Failure};
use super::source::Source;
use crate::{Fetch, FetchEvent, Oid, Version, WireError};

const DOING: &str = "cannot ask for the history of";

impl Source {
    /// Whether it gives what no ref points at: a commit on the way to one.
    pub fn gives_by_id(&self) -> bool {
        let offers = |name| self.server().capabilities.has(name);
        self.server().version == Version::V2
            || offers("allow-any-sha1-in-want")
            || offers("allow-reachable-sha1-in-want")
    }

    /// Whether it tells of [`Source::commits_at`].
    pub fn tells_depth(&self) -> bool {
        let capabilities = &self.server().capabilities;
        match self.server().version {
            Version::V2 => capabilities.has_feature("fetch", "shallow"),
            Version::V0 | Version::V1 => capabilities.has("shallow"),
        }
    }

    /// The commits at this distance from a commit (1 is itself); none where its history is shorter.
    ///
    /// It is asked as if a history of that depth were to be fetched. Where that ends the source says before the pack, which is
    /// not read.
    pub async fn commits_at(&self, tip: Oid, depth: NonZeroU32) -> Result<Vec<Oid>, Failure> {
        let fetch = Fetch { wants: vec![tip], deepen: Some(depth), ..Fetch::default() };
        self.depth_of(&fetch).await.map_err(|cause| self.remote().failure(DOING, cause))
    }

    async fn depth_of(&self, fetch: &Fetch) -> Result<Vec<Oid>, Cause> {
        let (request, mut reader) = fetch.negotiate(self.server())?.next_round()?;
        let mut answer = self.remote().ask(Service::UploadPack, version_2(self.server()), whole(request)).await?;
        let mut found = Vec::new();
        loop {
            match reader.next_event()? {
                Some(FetchEvent::Shallow(id)) => found.push(id),
                Some(FetchEvent::Pack(_)) => return Ok(found),
                Some(_) => {}
                None if reader.has_told_depth() => return Ok(found),
                None => match answer.data().await {
                    Some(data) => reader.feed(&data?),
                    None => return Err(WireError::Ended { place: "the answer to a question of depth" }.into()),
                },
            }
        }
    }

    /// Whether a commit's history reaches another one, as far as the source says so.
    ///
    /// It is asked as if the first were to be fetched by somebody who has the second, and says that it is ready when that
    /// is enough to build upon.
    pub async fn reaches(&self, tip: Oid, ancestor: Oid) -> Result<bool, Failure> {
        let fetch = Fetch { wants: vec![tip], haves: vec![ancestor], ..Fetch::default() };
        self.is_ready(&fetch).await.map_err(|cause| self.remote().failure(DOING, cause))
    }

    async fn is_ready(&self, fetch: &Fetch) -> Result<bool, Cause> {
        let (request, mut reader) = fetch.ask_only(self.server())?;
        let mut answer = self.remote().ask(Service::UploadPack, version_2(self.server()), whole(request)).await?;
        loop {
            match reader.next_event()? {
                Some(FetchEvent::Ready) => return Ok(true),
                Some(FetchEvent::Pack(_)) => return Ok(false),
                Some(_) => {}
                None => match answer.data().await {
                    Some(data) => reader.feed(&data?),
                    None => return Ok(false),
                },
            }
        }
    }
}
