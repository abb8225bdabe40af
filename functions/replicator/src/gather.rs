//! What both sides have and what is remembered, read into facts. No policy in here.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use jiff::Timestamp;
use signalbox_aws::{Bucket, Failure, Over};
use signalbox_events::RefName;
use signalbox_gitwire::http::{Source, Target};
use signalbox_gitwire::{Head, Oid};
use signalbox_ledger::Kept;
use signalbox_policy::Policy;
use signalbox_replicator_rules::{
    Facts, Home, Lasting, Listing, Memory, Needs, Object, Place, ReplicaFacts, ReplicaNeeds, SourceFacts, TargetFacts,
    copied_kinds, copies_of, memory_key, unsure,
};

use crate::Replicator;
use crate::places::{is_missing, of_role, sorted};

/// The facts, with the open ends that they were read from.
pub(crate) struct Seen {
    pub(crate) facts: Facts,
    /// The source, to fetch from.
    pub(crate) source: Option<Source>,
    /// The entity tags with which the memories were read; none for one that is not there.
    pub(crate) tags: BTreeMap<String, String>,
    /// The targets, to write to, under the keys of their memories.
    pub(crate) targets: BTreeMap<String, Open>,
}

/// A target that was looked at, to be written to.
pub(crate) enum Open {
    /// A repository.
    Git(Box<Target>),
    /// A bundle, and what it is written over.
    Bundle {
        /// Its bucket.
        bucket: Bucket,
        /// What is there.
        over: Over,
    },
}

/// Reads what the decision will want. A target that cannot be read is a fact about that target, not the end of all.
pub(crate) async fn gather(
    function: &Replicator,
    needs: &Needs,
    home: &Home,
    policy: &Policy,
    now: Timestamp,
) -> Result<Seen, Failure> {
    let facts = Facts::before_gathering(needs.repository.clone(), home.clone(), needs.origin.clone(), now);
    let mut seen = Seen { facts, source: None, tags: BTreeMap::new(), targets: BTreeMap::new() };
    let Some(repository) = &needs.repository else { return Ok(seen) };
    // All memories are read before anything is listed: what is remembered afterwards is then not older than what was seen.
    let mut memories = Vec::new();
    for replica in &needs.replicas {
        memories.push(match function.state.read::<Memory>(&replica.key).await? {
            Some(Kept { value, etag }) => {
                seen.tags.insert(replica.key.clone(), etag);
                value
            }
            None => Memory::empty(replica.place.to_string()),
        });
    }
    let remote = function.codecommit_remote(&function.aws, repository).await?;
    let (source, description, targets) = tokio::join!(
        remote.source(copied_kinds()),
        description_of(function, needs),
        read_targets(function, &needs.replicas, &memories)
    );
    let source = match source {
        Ok(source) => Ok(source),
        Err(failure) if is_missing(&failure) => {
            seen.facts.source = SourceFacts::Gone;
            return Ok(seen);
        }
        Err(failure) => Err(sorted(&failure)),
    };
    let listed = source.and_then(|source| {
        let listing = Listing { description: description?, ..plain(&source.listing) };
        Ok((source, listing))
    });
    let copies = copies_of(policy, repository);
    for ((replica, memory), (target, open)) in needs.replicas.iter().zip(memories).zip(targets) {
        let mut known = ReplicaFacts { target, memory, known: BTreeSet::new() };
        let copy = copies.iter().find(|(copy, place)| memory_key(repository, home, copy, place) == replica.key);
        if let (Some((copy, _)), Ok((source, listing))) = (copy, &listed) {
            let asked = unsure(listing, &known, copy.replica);
            known.known = known_of(source, &asked).await?;
        }
        if let Some(open) = open {
            seen.targets.insert(replica.key.clone(), open);
        }
        seen.facts.replicas.insert(replica.key.clone(), known);
    }
    match listed {
        Ok((source, listing)) => {
            seen.facts.source = SourceFacts::Listed(listing);
            seen.source = Some(source);
        }
        Err(failure) => {
            let (what, lasting) = unreadable(&failure);
            seen.facts.source = SourceFacts::Unreadable { what, lasting };
        }
    }
    Ok(seen)
}

/// What people read about the source, where a copy can have it, too.
async fn description_of(function: &Replicator, needs: &Needs) -> Result<Option<String>, Failure> {
    let is_read = needs.replicas.iter().any(|replica| matches!(replica.place, Place::CodeCommit { .. }));
    match &needs.repository {
        Some(repository) if is_read => function.codecommit.description(repository).await.map(Some),
        _ => Ok(None),
    }
}

/// What the targets have, all at once: one that does not answer holds up no other.
async fn read_targets(
    function: &Replicator,
    replicas: &[ReplicaNeeds],
    memories: &[Memory],
) -> Vec<(TargetFacts, Option<Open>)> {
    join_all(replicas.iter().zip(memories).map(|(replica, memory)| read_target(function, replica, memory))).await
}

/// Why something could not be read, and whether looking again may help.
fn unreadable(failure: &Failure) -> (String, Lasting) {
    let lasting = match failure {
        Failure::Retry(_) => Lasting::ForNow,
        Failure::Refused(_) => Lasting::UntilMended,
    };
    (failure.chain(), lasting)
}

/// What a target has, with the open end to write to.
async fn read_target(function: &Replicator, replica: &ReplicaNeeds, memory: &Memory) -> (TargetFacts, Option<Open>) {
    match open_target(function, &replica.place, memory).await {
        Ok(Some((listing, target))) => (TargetFacts::Listed(listing), Some(target)),
        Ok(None) => (TargetFacts::Missing, None),
        Err(failure) => {
            let (what, lasting) = unreadable(&failure);
            (TargetFacts::Unreadable { what, lasting }, None)
        }
    }
}

/// Lists a target; nothing where there is no such repository.
pub(crate) async fn open_target(
    function: &Replicator,
    place: &Place,
    memory: &Memory,
) -> Result<Option<(Listing, Open)>, Failure> {
    if let Place::Bundle { bucket, key, role } = place {
        let opened = function.open_bundle((bucket, key, role.as_ref()), memory).await;
        return opened.map(Some).map_err(|failure| of_role(failure, place));
    }
    let remote = function.remote(place).await?;
    let (about, target) = tokio::join!(about(function, place), remote.target());
    let (default_branch, description) = match about? {
        About::Missing => return Ok(None),
        About::Git => (None, None),
        About::CodeCommit { default_branch, description } => (default_branch, Some(description)),
    };
    let target = match target {
        Ok(target) => target,
        Err(failure) if is_missing(&failure) => return Ok(None),
        Err(failure) => return Err(sorted(&failure)),
    };
    let mut listing = Listing { description, ..plain(target.listing()) };
    listing.head = listing.head.or(default_branch);
    Ok(Some((listing, Open::Git(Box::new(target)))))
}

/// What a target's service says of a repository beside its refs.
enum About {
    /// There is none.
    Missing,
    /// git tells no more.
    Git,
    CodeCommit {
        default_branch: Option<RefName>,
        description: String,
    },
}

/// A push never tells what HEAD is: CodeCommit is asked.
async fn about(function: &Replicator, place: &Place) -> Result<About, Failure> {
    let Place::CodeCommit { region, repository, role } = place else { return Ok(About::Git) };
    let codecommit = function.codecommit_for(region.as_str(), role.as_ref()).await?;
    let there = codecommit.repository(repository).await.map_err(|failure| of_role(failure, place))?;
    let Some(there) = there else { return Ok(About::Missing) };
    let default_branch = there.default_branch.and_then(|branch| RefName::branch(&branch).ok());
    Ok(About::CodeCommit { default_branch, description: there.description })
}

/// A listing in the words of the rules. What can never be copied, whatever its name, is left out here.
fn plain(listing: &signalbox_gitwire::Listing) -> Listing {
    let mut plain = Listing::default();
    let is_ours = |name: &str| copied_kinds().iter().any(|kind| name.starts_with(kind));
    for found in listing.refs.iter().filter(|found| is_ours(found.name.as_str())) {
        match (RefName::parse(found.name.as_str()), Object::parse(&found.id.to_string())) {
            (Ok(name), Some(id)) => {
                plain.refs.insert(name, id);
            }
            _ => plain.odd.push(found.name.as_str().to_owned()),
        }
    }
    plain.odd.extend(listing.unusable.iter().filter(|name| is_ours(name)).cloned());
    if let Head::Branch(name) = &listing.head {
        plain.head = RefName::parse(name.as_str()).ok();
    }
    plain
}

/// Those of these objects that the source has.
async fn known_of(source: &Source, asked: &BTreeSet<Object>) -> Result<BTreeSet<Object>, Failure> {
    let ids: Vec<Oid> = asked.iter().filter_map(|object| Oid::parse(object.as_str()).ok()).collect();
    if ids.is_empty() {
        return Ok(BTreeSet::new());
    }
    let known = source.known(&ids).await.map_err(|failure| sorted(&failure))?;
    Ok(known.iter().filter_map(|id| Object::parse(&id.to_string())).collect())
}
