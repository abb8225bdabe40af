//! Asking a source what it has, without fetching anything.

use super::client::{Service, version_2, whole};
use super::failure::{Cause, Failure};
use super::source::Source;
use crate::{Fetch, FetchEvent, Oid};

/// How many objects are asked about in one request.
const A_ROUND: usize = 256;

impl Source {
    /// Those of these objects that the source has, be they behind its refs or not.
    ///
    /// It is asked as if something were to be fetched, and hears no `done`: it says which of the haves it knows, too. One that
    /// knows enough after the first few may keep silent about the rest, so they are asked about again without those.
    pub async fn known(&self, ids: &[Oid]) -> Result<Vec<Oid>, Failure> {
        let Some(want) = self.listing.refs.first().map(|found| found.id) else { return Ok(Vec::new()) };
        let mut known = Vec::new();
        let mut rest = ids.to_vec();
        while !rest.is_empty() {
            let round: Vec<Oid> = rest.iter().copied().take(A_ROUND).collect();
            let found =
                self.round_of(want, &round).await.map_err(|cause| self.remote().failure("cannot ask", cause))?;
            // Nothing new of these: whatever was not named is not there.
            let is_over = found.is_empty();
            rest.retain(|id| !found.contains(id) && (!is_over || !round.contains(id)));
            known.extend(found);
        }
        Ok(known)
    }

    async fn round_of(&self, want: Oid, ids: &[Oid]) -> Result<Vec<Oid>, Cause> {
        let fetch = Fetch { wants: vec![want], haves: ids.to_vec(), ..Fetch::default() };
        let (request, mut reader) = fetch.ask_only(self.server())?;
        let mut answer = self.remote().ask(Service::UploadPack, version_2(self.server()), whole(request)).await?;
        let mut found = Vec::new();
        loop {
            match reader.next_event()? {
                Some(FetchEvent::Common(id)) if ids.contains(&id) && !found.contains(&id) => found.push(id),
                // A pack would follow, which nobody wants.
                Some(FetchEvent::Ready | FetchEvent::Pack(_)) => return Ok(found),
                Some(_) => {}
                None => match answer.data().await {
                    Some(data) => reader.feed(&data?),
                    None => return Ok(found),
                },
            }
        }
    }
}
