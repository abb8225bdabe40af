//! What all services share: the account, the region, the folder, the clock and the ids.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::sync::broadcast;

use crate::chaos;
use crate::iam::Iam;
use crate::paging::{Listing, Pages};

/// The account that the stack is in; more may be played beside it.
pub const ACCOUNT: &str = "111122223333";

/// How many calls a watcher may be behind.
const WATCHED_CALLS: usize = 4096;

/// A call of an AWS operation that was let in at the endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// The signing name of its service.
    pub service: String,
    /// The operation.
    pub operation: String,
    /// The path of its address: `/BUCKET/KEY` for an object of S3, `/` for most others.
    pub path: String,
}

/// What every service knows of the world around it.
#[derive(Debug)]
pub struct World {
    /// The region, `eu-west-1` unless told otherwise.
    pub region: String,
    /// The account id, twelve digits.
    pub account: String,
    /// The folder that everything is kept below.
    pub dir: PathBuf,
    /// The account's users and roles, and what they may do.
    pub iam: Iam,
    /// What goes wrong on purpose, in all accounts and regions; nothing until it is switched on.
    pub chaos: Arc<chaos::Source>,
    is_home: bool,
    shared: Arc<Shared>,
}

/// What the worlds of several accounts and regions have in common.
#[derive(Debug)]
struct Shared {
    seed: u64,
    drawn: Mutex<u64>,
    endpoint: OnceLock<String>,
    pages: OnceLock<Pages>,
    calls: broadcast::Sender<Called>,
}

/// Why a region cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegionError {
    /// It is not of the form that AWS's names have.
    #[error("{0:?} is no region: AWS's are named like eu-west-1, us-east-1 or ap-southeast-2")]
    NoName(String),
    /// It is in China, GovCloud or another part of AWS that is kept apart.
    #[error("{0} is not in the partition `aws`, the only one that the local cloud plays; take one like eu-west-1")]
    OtherPartition(String),
}

/// Looks whether AWS could have a region of that name.
///
/// # Errors
/// Another form, another partition.
pub fn check_region(name: &str) -> Result<(), RegionError> {
    let parts: Vec<&str> = name.split('-').collect();
    let letters = |part: &str| !part.is_empty() && part.chars().all(|letter| letter.is_ascii_lowercase());
    let well_formed = match parts.as_slice() {
        [place, direction @ .., number] => {
            place.len() == 2
                && letters(place)
                && !direction.is_empty()
                && direction.iter().all(|part| letters(part))
                && matches!(number.as_bytes(), [b'1'..=b'9'] | [b'1'..=b'9', b'0'..=b'9'])
        }
        _ => false,
    };
    if !well_formed {
        return Err(RegionError::NoName(name.to_owned()));
    }
    if ["cn-", "us-gov-", "us-iso", "eu-isoe-"].iter().any(|other| name.starts_with(other)) {
        return Err(RegionError::OtherPartition(name.to_owned()));
    }
    Ok(())
}

/// Why an account cannot be played beside the first one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// It is not of the form that AWS's ids have.
    #[error("{0:?} is no account: AWS's have twelve digits, such as 444455556666")]
    NoId(String),
    /// It is the one that is always played.
    #[error("{ACCOUNT} is the account that the stack is in; it is there already")]
    Home,
}

/// Looks whether an account can be played beside the first one.
///
/// # Errors
/// Another form, the first one itself.
pub fn check_account(id: &str) -> Result<(), AccountError> {
    if id.len() != 12 || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(AccountError::NoId(id.to_owned()));
    }
    if id == ACCOUNT { Err(AccountError::Home) } else { Ok(()) }
}

impl World {
    /// A world in `dir`. The same seed draws the same ids in the same order.
    pub fn new(dir: PathBuf, region: &str, seed: u64) -> Self {
        Self {
            region: region.to_owned(),
            account: ACCOUNT.to_owned(),
            dir,
            iam: Iam::new(ACCOUNT, region),
            chaos: Arc::default(),
            is_home: true,
            shared: Arc::new(Shared {
                seed,
                drawn: Mutex::new(0),
                endpoint: OnceLock::new(),
                pages: OnceLock::new(),
                calls: broadcast::channel(WATCHED_CALLS).0,
            }),
        }
    }

    /// The world of another region of the same account: the same endpoint and ids, a folder of its own.
    pub fn in_region(&self, region: &str) -> Self {
        Self {
            region: region.to_owned(),
            account: self.account.clone(),
            dir: self.dir.join("regions").join(region),
            iam: self.iam.in_region(region),
            chaos: Arc::clone(&self.chaos),
            is_home: false,
            shared: Arc::clone(&self.shared),
        }
    }

    /// The world of this region in another account: the same endpoint and ids, a folder and people of its own.
    pub(crate) fn in_account(&self, account: &str) -> Self {
        Self {
            region: self.region.clone(),
            account: account.to_owned(),
            dir: self.dir.join("accounts").join(account),
            iam: self.iam.in_account(account),
            chaos: Arc::clone(&self.chaos),
            is_home: self.is_home,
            shared: Arc::clone(&self.shared),
        }
    }

    /// Says how pages are cut; the first word stands. Without one their tokens are signed with a key that anyone knows.
    pub(crate) fn cuts_pages(&self, pages: Pages) {
        let _first_word_stands = self.shared.pages.set(pages);
    }

    fn paging(&self) -> &Pages {
        self.shared.pages.get_or_init(Pages::default)
    }

    /// The size of a page that AWS would give `size` items.
    pub(crate) fn page_size(&self, size: usize) -> usize {
        self.paging().size(size)
    }

    /// A listing of this account and region: the operation as `codecommit:ListBranches`, and everything that chooses or
    /// orders its items.
    pub(crate) fn listing(&self, operation: &str, filters: &[&str]) -> Listing<'_> {
        self.paging().listing(&[&[self.account.as_str(), self.region.as_str(), operation][..], filters].concat())
    }

    /// The moment, in UTC.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// `http://127.0.0.1:PORT`, once the server listens; empty before.
    pub fn endpoint(&self) -> &str {
        self.shared.endpoint.get().map_or("", String::as_str)
    }

    /// Says where the server listens; the first word stands.
    pub fn listens_at(&self, endpoint: String) {
        // A second call could only repeat the first: there is one server.
        let _first_word_stands = self.shared.endpoint.set(endpoint);
    }

    /// Every call that the endpoint lets in from now on, in all accounts and regions.
    pub fn watch_calls(&self) -> broadcast::Receiver<Called> {
        self.shared.calls.subscribe()
    }

    /// Tells a call to those who watch; without one it is not even put into words.
    pub(crate) fn tell_call(&self, call: impl FnOnce() -> Called) {
        if self.shared.calls.receiver_count() > 0 {
            // The last watcher may have gone in between.
            let _heard = self.shared.calls.send(call());
        }
    }

    /// Where a browser finds this region's pages. The home region has the endpoint itself; another is told by the host,
    /// which every browser looks for on this machine.
    pub fn pages(&self) -> String {
        self.at_host(&format!("{}.localhost", self.region))
    }

    /// Where git finds this region's repositories: what is there on AWS as `git-codecommit.REGION.amazonaws.com`. The home
    /// region has the endpoint itself.
    pub fn git_endpoint(&self) -> String {
        self.at_host(&format!("git-codecommit.{}.localhost", self.region))
    }

    fn at_host(&self, host: &str) -> String {
        match self.endpoint().rsplit_once(':') {
            Some((_, port)) if !self.is_home => format!("http://{host}:{port}"),
            _ => self.endpoint().to_owned(),
        }
    }

    /// `count` lower-case hex digits, at most 64, never the same twice.
    pub fn hex(&self, count: usize) -> String {
        let mut drawn = self.shared.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        *drawn += 1;
        let digest =
            Sha256::new().chain_update(self.shared.seed.to_be_bytes()).chain_update(drawn.to_be_bytes()).finalize();
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
    fn a_region_is_named_as_aws_names_them() {
        for good in ["eu-west-1", "us-east-1", "ap-southeast-2", "mx-central-1", "il-central-1"] {
            check_region(good).unwrap();
        }
        for wrong in ["", "eu", "EU-WEST-1", "eu-west", "eu-west-0", "eu-west-1a", "../up-1", "eu--1", "europe-west-1"]
        {
            assert_eq!(check_region(wrong), Err(RegionError::NoName(wrong.to_owned())));
        }
        for other in ["cn-north-1", "us-gov-west-1", "us-iso-east-1", "us-isob-east-1"] {
            assert_eq!(check_region(other), Err(RegionError::OtherPartition(other.to_owned())));
        }
    }

    #[test]
    fn regions_share_ids_and_the_port_but_not_the_folder() {
        let home = World::new(PathBuf::from("/cloud"), "eu-west-1", 1);
        let other = home.in_region("us-east-1");
        assert_ne!(home.uuid(), other.uuid());
        home.listens_at("http://127.0.0.1:4600".to_owned());
        assert_eq!(other.endpoint(), "http://127.0.0.1:4600");
        assert_eq!(home.git_endpoint(), "http://127.0.0.1:4600");
        assert_eq!(other.git_endpoint(), "http://git-codecommit.us-east-1.localhost:4600");
        assert_eq!(other.pages(), "http://us-east-1.localhost:4600");
        assert_eq!(other.dir, PathBuf::from("/cloud/regions/us-east-1"));
    }

    #[test]
    fn another_account_has_twelve_digits_and_a_folder_of_its_own() {
        check_account("444455556666").unwrap();
        for wrong in ["", "44445555666", "4444555566667", "44445555666x", "../44445555"] {
            assert_eq!(check_account(wrong), Err(AccountError::NoId(wrong.to_owned())));
        }
        assert_eq!(check_account(ACCOUNT), Err(AccountError::Home));
        let other = World::new(PathBuf::from("/cloud"), "eu-west-1", 1).in_account("444455556666");
        assert_eq!(other.dir, PathBuf::from("/cloud/accounts/444455556666"));
        assert_eq!(other.in_region("us-east-1").dir, PathBuf::from("/cloud/accounts/444455556666/regions/us-east-1"));
        assert_eq!(other.arn("codecommit", "demo"), "arn:aws:codecommit:eu-west-1:444455556666:demo");
    }

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
