//! Which facts a decision will want.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use signalbox_events::{Detail, Event, RefName, RepositoryName};
use signalbox_policy::Policy;

use crate::facts::{Origin, Push};
use crate::place::{Home, Place, copies_of, memory_key};
use crate::refs::Names;

/// What shall be gathered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Needs {
    /// The repository whose refs are wanted; `None` where nothing is copied.
    pub repository: Option<RepositoryName>,
    /// Why the replicator looks.
    pub origin: Origin,
    /// The copies to look at.
    pub replicas: Vec<ReplicaNeeds>,
}

/// What shall be gathered of one copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplicaNeeds {
    /// Where its memory lies.
    pub key: String,
    /// Where it is.
    pub place: Place,
}

/// Where the next sweep goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The repository; `None` begins with the first.
    pub repository: Option<RepositoryName>,
}

impl Cursor {
    /// Where it lies in the bucket.
    pub const KEY: &str = "state/replicas/cursor.json";
}

/// Whether the policy asks for any copy of this repository.
pub fn has_replicas(repository: &RepositoryName, policy: &Policy) -> bool {
    policy.sections_for(repository).any(|section| !section.replicas.is_empty())
}

/// What the decision on this event will want.
pub fn needs(event: &Event, policy: &Policy) -> Needs {
    let Detail::Reference(change) = &event.detail else {
        return Needs { repository: None, origin: Origin::Other, replicas: Vec::new() };
    };
    let push = Push { reference: change.reference.clone(), at: event.envelope.time };
    needs_of(&change.repository, &Home::of(&event.envelope), Origin::Event(push), policy)
}

/// What the decision on this repository will want.
pub fn needs_of(repository: &RepositoryName, home: &Home, origin: Origin, policy: &Policy) -> Needs {
    let concerns = |names: Names<'_>| match &origin {
        Origin::Event(push) => names.is_copied(&push.reference),
        Origin::Sweep => true,
        Origin::Other => false,
    };
    let copies = copies_of(policy, repository).into_iter().filter(|(copy, _)| concerns(Names::of(copy.replica)));
    let replicas = copies.map(|(copy, place)| ReplicaNeeds { key: memory_key(repository, home, &copy, &place), place });
    let replicas: Vec<_> = replicas.collect();
    Needs { repository: (!replicas.is_empty()).then(|| repository.clone()), origin, replicas }
}

impl Push {
    /// The change, for a report's first line.
    pub fn new(reference: RefName, at: Option<Timestamp>) -> Self {
        Self { reference, at }
    }
}
