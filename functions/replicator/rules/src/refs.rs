//! Which refs are copied, and what they are called in the copy.

use std::collections::BTreeSet;

use signalbox_events::RefName;
use signalbox_policy::{Mapping, Replica, is_quarantined};

/// The refs that are ever copied. Git hosts hide the rest, such as `refs/pull/`, or refuse it.
pub const fn copied_kinds() -> &'static [&'static str] {
    &["refs/heads/", "refs/tags/", "refs/notes/"]
}

/// The names of a copy's refs, here and there.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a>(pub(crate) &'a Replica);

impl<'a> Names<'a> {
    /// The names of this copy.
    pub fn of(replica: &'a Replica) -> Self {
        Self(replica)
    }

    /// Whether this ref of the source is copied.
    pub fn is_copied(&self, name: &RefName) -> bool {
        may_be_copied(name) && self.0.refs.matches(name.as_str())
    }

    /// Whether a name that is none of git's would be copied, were it one.
    pub(crate) fn is_asked_for(&self, odd: &str) -> bool {
        self.0.refs.matches(odd)
    }

    /// What a ref of the source is called in the target, if it is copied.
    pub fn there(&self, name: &RefName) -> Option<RefName> {
        if !self.is_copied(name) {
            return None;
        }
        mapped(&self.0.map, name).filter(may_be_copied)
    }

    /// What a ref of the target can be called in the source: more than one name only where two are mapped onto one.
    pub fn here(&self, name: &RefName) -> BTreeSet<RefName> {
        let back = self.0.map.iter().filter_map(|mapping| {
            let rest = name.as_str().strip_prefix(&mapping.to)?;
            let is_whole = mapping.to.ends_with('/') || rest.is_empty();
            is_whole.then(|| RefName::parse(format!("{}{rest}", mapping.from)).ok())?
        });
        let candidates = back.chain([name.clone()]);
        candidates.filter(|candidate| self.there(candidate).as_ref() == Some(name)).collect()
    }
}

fn may_be_copied(name: &RefName) -> bool {
    !is_quarantined(name) && copied_kinds().iter().any(|kind| name.as_str().starts_with(kind))
}

/// The most exact mapping decides: a whole ref before a prefix, a longer prefix before a shorter one.
fn mapped(map: &[Mapping], name: &RefName) -> Option<RefName> {
    let text = name.as_str();
    let fits = map.iter().filter(|mapping| match mapping.from.ends_with('/') {
        true => text.starts_with(&mapping.from),
        false => text == mapping.from,
    });
    let Some(best) = fits.max_by_key(|mapping| mapping.from.len()) else { return Some(name.clone()) };
    RefName::parse(format!("{}{}", best.to, text.strip_prefix(&best.from).unwrap_or_default())).ok()
}
