//! A bundle beside its source: it is written anew, whole, where it does not hold what the source has.

use signalbox_policy::Replica;

use crate::compare::{Because, Command, Failed, Plan, Trouble, odd, wanted};
use crate::facts::{Listing, Object, Refs};
use crate::memory::Memory;
use crate::refs::Names;

/// The first line of a bundle that every git since 2008 reads.
const FIRST_LINE: &[u8] = b"# v2 git bundle\n";

/// How much of an object must be read to tell whether it is a bundle.
pub const BUNDLE_BEGINNING: usize = FIRST_LINE.len();

/// What is in a bucket under a bundle's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// Nothing.
    Nothing,
    /// An object: its tag, and how it begins.
    Object {
        /// The tag.
        etag: &'a str,
        /// Its first bytes.
        beginning: &'a [u8],
    },
}

/// What a bundle holds, as far as it counts: what we remember of the very object that we wrote, else nothing.
///
/// Nothing at all for an object that is no bundle where we never wrote one: it is somebody's, and stays.
pub fn bundle_listing(found: Found<'_>, memory: &Memory) -> Option<Listing> {
    let Found::Object { etag, beginning } = found else { return Some(Listing::default()) };
    match &memory.bundle {
        Some(written) if written.etag == etag => {
            Some(Listing { refs: memory.agreed.clone(), head: written.head.clone(), ..Listing::default() })
        }
        Some(_) => Some(Listing::default()),
        None => beginning.starts_with(FIRST_LINE).then(Listing::default),
    }
}

/// What a bundle of this source shall hold.
pub(crate) fn bundle_of(source: &Listing, replica: &Replica) -> Listing {
    let names = Names::of(replica);
    let one = wanted(source, names).into_iter().filter(|(_, here)| here.len() == 1);
    let refs: Refs = one.filter_map(|(name, here)| Some((name, (*here.values().next()?).clone()))).collect();
    let head = source.head.as_ref().and_then(|head| names.there(head)).filter(|head| refs.contains_key(head));
    Listing { refs, head, ..Listing::default() }
}

/// Compares what a bundle holds with what it shall hold. Nobody commits to a bundle, so nothing in it can diverge.
pub(crate) fn compare_bundle(source: &Listing, there: &Listing, replica: &Replica) -> Plan {
    let names = Names::of(replica);
    let Listing { refs, head, .. } = bundle_of(source, replica);
    let mut plan = Plan::default();
    plan.failed.extend(odd(source, names));
    let several = wanted(source, names).into_iter().filter(|(_, here)| here.len() > 1);
    plan.failed.extend(several.map(|(name, here)| {
        let names = here.into_keys().cloned().collect();
        Failed { name: name.to_string(), trouble: Trouble::Collision { names } }
    }));
    if refs.is_empty() {
        // git knows no empty bundle, and an empty source is more often a mistake than meant.
        if !there.refs.is_empty() {
            let trouble = Trouble::SourceEmpty { there: there.refs.len() };
            plan.failed.push(Failed { name: "every ref".to_owned(), trouble });
        }
        return plan;
    }
    let ended = there.refs.iter().filter(|(name, _)| !refs.contains_key(*name));
    let ended = ended.map(|(name, was)| Command {
        name: name.clone(),
        old: Some(was.clone()),
        new: None,
        because: Because::Ended,
    });
    plan.commands.extend(ended);
    for (name, here) in &refs {
        match there.refs.get(name) {
            Some(was) if was == here => plan.equal += 1,
            was => plan.commands.push(Command {
                name: name.clone(),
                old: was.cloned(),
                new: Some(here.clone()),
                because: if was.is_some() { Because::Moved } else { Because::New },
            }),
        }
    }
    plan.head = head.filter(|head| there.head.as_ref() != Some(head));
    plan
}

/// What stands before the pack: each ref, and `HEAD`, so that a clone checks out the default branch.
///
/// git looks for a branch that is where `HEAD` is, from the end: of several the last one of the bundle is taken.
pub fn bundle_header(holds: &Listing) -> Vec<u8> {
    let refs = &holds.refs;
    let head = holds.head.as_ref().and_then(|name| refs.get_key_value(name));
    let mut header = FIRST_LINE.to_vec();
    let mut line = |id: &Object, name: &str| header.extend_from_slice(format!("{id} {name}\n").as_bytes());
    for (name, id) in refs.iter().filter(|(name, _)| head.is_none_or(|(head, _)| head != *name)) {
        line(id, name.as_str());
    }
    if let Some((name, id)) = head {
        line(id, name.as_str());
        line(id, "HEAD");
    }
    header.push(b'\n');
    header
}

#[cfg(test)]
mod tests {
    use signalbox_events::RefName;

    use super::*;
    use crate::memory::WrittenBundle;

    #[test]
    fn what_lies_under_the_key_counts_only_if_it_is_what_we_wrote() {
        let name = RefName::parse("refs/heads/main").unwrap();
        let id = Object::parse(&"a".repeat(40)).unwrap();
        let refs = Refs::from([(name.clone(), id)]);
        let bundle = WrittenBundle { etag: "\"1\"".to_owned(), head: Some(name) };
        let ours = Memory { agreed: refs, bundle: Some(bundle), ..Memory::default() };
        let object = |etag| Found::Object { etag, beginning: b"# v2 git bundle\n" };
        let other = |etag| Found::Object { etag, beginning: b"\x89PNG" };
        let count = |found, memory: &Memory| bundle_listing(found, memory).map(|listing| listing.refs.len());
        assert_eq!(count(object("\"1\""), &ours), Some(1));
        // Deleted, changed, or written by another: it is written anew.
        for found in [Found::Nothing, object("\"2\""), other("\"2\"")] {
            assert_eq!(count(found, &ours), Some(0), "{found:?}");
        }
        let none = Memory::default();
        assert_eq!(count(object("\"2\""), &none), Some(0));
        assert_eq!(count(other("\"2\""), &none), None);
    }
}
