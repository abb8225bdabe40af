//! A whole copy from the crate's parts: what a target lacks, asked of the source, and sent on.

use std::collections::{BTreeMap, BTreeSet};

use signalbox_gitwire::http::{Failure, Pushed, Remote};
use signalbox_gitwire::{Change, Command, Fetch, Listing, Oid, RefName, Together};

/// The refs that a copy is about.
pub(crate) const COPIED: &[&str] = &["refs/heads/", "refs/tags/"];

fn by_name(listing: &Listing) -> BTreeMap<&RefName, Oid> {
    listing.refs.iter().map(|entry| (&entry.name, entry.id)).collect()
}

/// The commands that make the target's refs those of the source.
pub(crate) fn difference(source: &Listing, target: &Listing) -> Vec<Command> {
    let (source, target) = (by_name(source), by_name(target));
    let moved = source.iter().filter_map(|(name, &new)| {
        let change = match target.get(name) {
            None => Change::Create(new),
            Some(&old) if old != new => Change::Update { old, new },
            Some(_) => return None,
        };
        Some(Command { name: (*name).clone(), change })
    });
    let gone = target.iter().filter(|(name, _)| !source.contains_key(*name));
    let gone = gone.map(|(name, &old)| Command { name: (*name).clone(), change: Change::Delete(old) });
    moved.chain(gone).collect()
}

/// Makes the target what the source is; nothing if it is already.
pub(crate) async fn mirror(source: &Remote, target: &Remote, together: Together) -> Result<Option<Pushed>, Failure> {
    let (source, target) = (source.source(COPIED).await?, target.target().await?);
    let commands = difference(&source.listing, target.listing());
    if commands.is_empty() {
        return Ok(None);
    }
    let has: BTreeSet<Oid> = target.listing().refs.iter().map(|entry| entry.id).collect();
    let wants: BTreeSet<Oid> = commands
        .iter()
        .filter_map(|command| match command.change {
            Change::Create(new) | Change::Update { new, .. } => Some(new),
            Change::Delete(_) => None,
        })
        .filter(|new| !has.contains(new))
        .collect();
    if wants.is_empty() {
        return target.push(&commands, together).await.map(Some);
    }
    let fetch = Fetch {
        wants: wants.into_iter().collect(),
        haves: has.into_iter().collect(),
        form: target.pack_form(),
        ..Fetch::default()
    };
    target.push_pack(&commands, together, source.fetch(&fetch).await?).await.map(Some)
}
