//! What a decision of the replicator is made from.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use signalbox_events::{AccountId, RefName, Region, RepositoryName};

use crate::memory::Memory;
use crate::place::Home;

/// A report keeps at most this many refs of a listing.
const REPORTED: usize = 500;

/// Refs with what they point to.
pub type Refs = BTreeMap<RefName, Object>;

/// The id of a git object: 40 or 64 hex digits.
///
/// Not a commit's: a ref may point to an annotated tag.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Object(Arc<str>);

impl Object {
    /// Checks and wraps; nothing for a text that is no id, and for the one of zeros that stands for *no object*.
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = matches!(text.len(), 40 | 64)
            && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
            && text.bytes().any(|byte| byte != b'0');
        is_id.then(|| Self(text.into()))
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first seven digits, as people quote commits.
    pub fn short(&self) -> &str {
        self.0.get(..7).unwrap_or(&self.0)
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl TryFrom<String> for Object {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is no object id"))
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Everything that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The repository that is copied; `None` for an event that is about none.
    pub repository: Option<RepositoryName>,
    /// The region that it lies in.
    pub region: Region,
    /// The account that it lies in; older reports do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// Why the replicator looks.
    pub origin: Origin,
    /// When it looks.
    pub now: Timestamp,
    /// What was read of the repository.
    pub source: SourceFacts,
    /// What was read of each copy, under the key of its memory.
    pub replicas: BTreeMap<String, ReplicaFacts>,
}

/// Why the replicator looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// An event told of a change.
    Event(Push),
    /// The sweep came by.
    Sweep,
    /// The event is about nothing that is copied.
    Other,
}

/// The change that an event told of. It is reported; what is done never depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// The ref.
    pub reference: RefName,
    /// When it was changed, to the second.
    pub at: Option<Timestamp>,
}

/// What was read of the source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceFacts {
    /// Nobody wanted to know.
    #[default]
    NotRead,
    /// Its refs.
    Listed(Listing),
    /// The repository is gone.
    Gone,
    /// It could not be read.
    Unreadable {
        /// Why.
        what: String,
        /// Whether looking again may help.
        lasting: Lasting,
    },
}

/// What was read of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetFacts {
    /// Its refs.
    Listed(Listing),
    /// There is no such repository.
    Missing,
    /// It could not be read.
    Unreadable {
        /// Why.
        what: String,
        /// Whether looking again may help.
        lasting: Lasting,
    },
}

/// Whether looking again may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lasting {
    /// It may.
    ForNow,
    /// A person must do something first.
    UntilMended,
}

/// The refs of one side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// Each ref with what it points to, hidden ones among them.
    pub refs: Refs,
    /// What `HEAD` names.
    pub head: Option<RefName>,
    /// What people read about the repository; only CodeCommit tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Names that cannot be copied, as they are no text or hold what a ref's name may not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub odd: Vec<String>,
    /// How many refs a report left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: usize,
}

/// What was read of one copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaFacts {
    /// Its refs.
    pub target: TargetFacts,
    /// What is remembered of it.
    pub memory: Memory,
    /// The objects among those that [`crate::unsure`] names that the source has: they were there once.
    pub known: BTreeSet<Object>,
}

impl Facts {
    /// The facts before anything is read: for explaining an event by itself.
    pub fn before_gathering(repository: Option<RepositoryName>, home: Home, origin: Origin, now: Timestamp) -> Self {
        let Home { region, account } = home;
        Self { repository, region, account, origin, now, source: SourceFacts::NotRead, replicas: BTreeMap::new() }
    }

    /// Where the stack is.
    pub fn home(&self) -> Home {
        Home { region: self.region.clone(), account: self.account.clone() }
    }

    /// The facts as a report keeps them: refs that are the same everywhere are left out, long lists are cut.
    #[must_use]
    pub fn for_report(&self) -> Self {
        let mut facts = self.clone();
        let nothing = Refs::new();
        let source = if let SourceFacts::Listed(source) = &self.source { &source.refs } else { &nothing };
        // What differs anywhere is kept everywhere, so that the same follows from it for each copy.
        let mut kept: BTreeSet<RefName> = BTreeSet::new();
        for replica in self.replicas.values() {
            let target = replica.target.listing().map_or(&nothing, |listing| &listing.refs);
            let agreed = &replica.memory.agreed;
            let names = source.keys().chain(target.keys()).chain(agreed.keys());
            let differs = |name: &&RefName| {
                let here = source.get(*name);
                here != agreed.get(*name) || (replica.target.listing().is_some() && here != target.get(*name))
            };
            kept.extend(names.filter(differs).cloned());
        }
        if let Some(beyond) = kept.iter().nth(REPORTED).cloned() {
            kept.split_off(&beyond);
        }
        // One that is the same says that the source has refs at all.
        kept.extend(source.keys().next().cloned());
        if let SourceFacts::Listed(short) = &mut facts.source {
            cut(short, &kept);
        }
        for short in facts.replicas.values_mut() {
            if let TargetFacts::Listed(target) = &mut short.target {
                cut(target, &kept);
            }
            short.memory.agreed.retain(|name, _| kept.contains(name));
        }
        facts
    }
}

impl TargetFacts {
    /// The refs that are there; none where there is no repository yet.
    pub fn listing(&self) -> Option<&Listing> {
        match self {
            Self::Listed(listing) => Some(listing),
            Self::Missing | Self::Unreadable { .. } => None,
        }
    }
}

fn cut(listing: &mut Listing, kept: &BTreeSet<RefName>) {
    let before = listing.refs.len();
    listing.refs.retain(|name, _| kept.contains(name));
    listing.left_out = before - listing.refs.len();
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}
