//! What all services share: the account, the region, the folder, the clock and the ids.

use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::paging::{Listing, Pages};

/// The account that the local cloud plays.
pub const ACCOUNT: &str = "111122223333";

/// What every service knows of the world around it.
#[derive(Debug)]
pub struct World {
    /// The region, `eu-west-1` unless told otherwise.
    pub region: String,
    /// The account id, twelve digits.
    pub account: String,
    /// The folder that everything is kept below.
    pub dir: PathBuf,
    seed: u64,
    drawn: Mutex<u64>,
    endpoint: OnceLock<String>,
    pages: Pages,
}

impl World {
    /// A world in `dir`. The same seed draws the same ids in the same order.
    pub fn new(dir: PathBuf, region: &str, seed: u64) -> Self {
        Self {
            region: region.to_owned(),
            account: ACCOUNT.to_owned(),
            dir,
            seed,
            drawn: Mutex::new(0),
            endpoint: OnceLock::new(),
            pages: Pages::default(),
        }
    }

    /// The same world with pages of its own; without them tokens are signed with a key that anyone knows.
    pub(crate) fn with_pages(self, pages: Pages) -> Self {
        Self { pages, ..self }
    }

    /// The size of a page that AWS would give `size` items.
    pub(crate) fn page_size(&self, size: usize) -> usize {
        self.pages.size(size)
    }

    /// A listing of this account and region: the operation as `codecommit:ListBranches`, and everything that chooses or
    /// orders its items.
    pub(crate) fn listing(&self, operation: &str, filters: &[&str]) -> Listing<'_> {
        self.pages.listing(&[&[self.account.as_str(), self.region.as_str(), operation][..], filters].concat())
    }

    /// The moment, in UTC.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// `http://127.0.0.1:PORT`, once the server listens; empty before.
    pub fn endpoint(&self) -> &str {
        self.endpoint.get().map_or("", String::as_str)
    }

    /// Says where the server listens; the first word stands.
    pub fn listens_at(&self, endpoint: String) {
        // A second call could only repeat the first: there is one server.
        let _first_word_stands = self.endpoint.set(endpoint);
    }

    /// `count` lower-case hex digits, at most 64, never the same twice.
    pub fn hex(&self, count: usize) -> String {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        *drawn += 1;
        let digest = Sha256::new().chain_update(self.seed.to_be_bytes()).chain_update(drawn.to_be_bytes()).finalize();
        hex::encode(digest).chars().take(count).collect()
    }

    /// A UUID of version 4's shape.
    pub fn uuid(&self) -> String {
        let hex = self.hex(30);
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        format!("{}-{}-4{}-a{}-{}", part(0, 8), part(8, 12), part(12, 15), part(15, 18), part(18, 30))
    }

    /// `arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE`.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.region, self.account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_ids_and_never_one_twice() {
        let ids = |seed| {
            let world = World::new(PathBuf::new(), "eu-west-1", seed);
            [world.uuid(), world.uuid(), world.hex(40)]
        };
        assert_eq!(ids(1), ids(1));
        assert_ne!(ids(1), ids(2));
        let [first, second, hex] = ids(1);
        assert_ne!(first, second);
        assert_eq!((first.len(), hex.len()), (36, 40));
    }
}
