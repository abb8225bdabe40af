//! Which facts a decision will want.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use signalbox_events::{Detail, Event, RefKind, RefName, RepositoryName};
use signalbox_policy::{Forbidden, Pattern, Policy, Protection, Rejected, Signed, SigningKey};

use crate::facts::{Origin, Subject};
use crate::journal::{Judged, Move};

/// What shall be gathered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Needs {
    /// The ref; `None` where no protection covers it.
    pub subject: Option<Subject>,
    /// Why the protector looks.
    pub origin: Origin,
    /// The move that is judged.
    pub made: Option<Move>,
    /// What is wanted of the move.
    pub wants: BTreeSet<Want>,
    /// Patterns for texts that look like credentials and are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_secrets: Vec<Pattern>,
    /// The keys that signatures are checked with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signing_keys: Vec<SigningKey>,
}

/// One thing that is wanted of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Want {
    /// Whether commits were dropped.
    Ancestry,
    /// Whether a pull request brought it.
    PullRequest,
    /// The commits that arrive.
    Commits,
    /// Their signatures.
    Signatures,
    /// The paths that arrive, with their kinds.
    Paths,
    /// What is in the files, how long they are, and what lies beside them.
    Contents,
    /// Where the ref is, with its tag object.
    Tip,
}

/// Where the next sweep goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The repository; `None` begins with the first.
    pub repository: Option<RepositoryName>,
}

impl Cursor {
    /// Where it lies in the bucket.
    pub const KEY: &str = "state/protected/cursor.json";
}

/// The protections that cover a ref, in the order of the policy.
pub fn protections_of<'a>(policy: &'a Policy, subject: &'a Subject) -> Vec<&'a Protection> {
    let sections = policy.sections_for(&subject.repository);
    sections.flat_map(|section| &section.protections).filter(|it| it.covers(&subject.reference)).collect()
}

/// Whether the policy protects any ref of this repository.
pub fn has_protections(repository: &RepositoryName, policy: &Policy) -> bool {
    policy.sections_for(repository).any(|section| !section.protections.is_empty())
}

/// The move that an event tells of.
pub fn move_of(event: &Event) -> Option<(Subject, Move)> {
    let Detail::Reference(change) = &event.detail else { return None };
    let subject = Subject { repository: change.repository.clone(), reference: change.reference.clone() };
    let made = Move {
        id: event.envelope.id.clone(),
        at: event.envelope.time,
        old: change.change.old_commit().cloned(),
        new: change.change.new_commit().cloned(),
        by: change.caller.clone(),
        judged: Judged::Good,
    };
    Some((subject, made))
}

/// What the decision on this event will want.
pub fn needs(event: &Event, policy: &Policy) -> Needs {
    match move_of(event) {
        Some((subject, made)) => needs_of(subject, Origin::Event, made, policy),
        None => Needs {
            subject: None,
            origin: Origin::Other,
            made: None,
            wants: BTreeSet::new(),
            allowed_secrets: Vec::new(),
            signing_keys: Vec::new(),
        },
    }
}

/// What the decision on this move will want.
pub fn needs_of(subject: Subject, origin: Origin, made: Move, policy: &Policy) -> Needs {
    let protections = protections_of(policy, &subject);
    let wants = protections.iter().flat_map(|protection| wants_of(protection, &made, &subject.reference)).collect();
    let (allowed_secrets, signing_keys) = helps(&protections);
    let subject = (!protections.is_empty()).then_some(subject);
    Needs { subject, origin, made: Some(made), wants, allowed_secrets, signing_keys }
}

/// What judging a range by these protections will want, for a pull request from this branch.
pub fn needs_of_range(subject: Subject, protections: &[&Protection]) -> Needs {
    let wants = protections.iter().flat_map(|protection| wants_of_range(protection)).collect();
    let (allowed_secrets, signing_keys) = helps(protections);
    Needs { subject: Some(subject), origin: Origin::Other, made: None, wants, allowed_secrets, signing_keys }
}

/// What helps to read a range: texts that are no secrets, and keys.
fn helps(protections: &[&Protection]) -> (Vec<Pattern>, Vec<SigningKey>) {
    let (mut allowed_secrets, mut signing_keys) = (Vec::new(), Vec::new());
    for protection in protections {
        let files = protection.files.iter().flat_map(|files| &files.allow_secrets);
        allowed_secrets.extend(files.cloned());
        let signed = protection.commits.as_ref().and_then(|commits| commits.signed.as_ref());
        if let Some(Signed::By(keys)) = signed {
            signing_keys.extend(keys.iter().filter(|key| matches!(key, SigningKey::OpenPgp(_))).cloned());
        }
    }
    (allowed_secrets, signing_keys)
}

fn wants_of(protection: &Protection, made: &Move, name: &RefName) -> BTreeSet<Want> {
    let mut wants = BTreeSet::new();
    let forbids = |what: Forbidden| protection.forbid.contains(&what);
    if name.kind() == RefKind::Tag && made.new.is_some() {
        // The event tells the commit; what would have to be put back one day is the tag object.
        wants.insert(Want::Tip);
    }
    if made.new.is_none() {
        return wants;
    }
    if made.old.is_some() {
        if forbids(Forbidden::ForcePush) {
            wants.insert(Want::Ancestry);
        }
        if forbids(Forbidden::DirectPush) {
            wants.insert(Want::PullRequest);
        }
    }
    wants.extend(wants_of_range(protection));
    wants
}

/// What the rules for commits and files want of a range, however it came.
fn wants_of_range(protection: &Protection) -> BTreeSet<Want> {
    let mut wants = BTreeSet::new();
    if let Some(commits) = &protection.commits {
        wants.insert(Want::Commits);
        if commits.signed.is_some() {
            wants.insert(Want::Signatures);
        }
    }
    if let Some(files) = &protection.files {
        wants.insert(Want::Paths);
        let reads = |what: &Rejected| *what != Rejected::Submodule;
        if files.max_size.is_some() || files.submodules.is_some() || files.reject.iter().any(reads) {
            wants.insert(Want::Contents);
        }
    }
    wants
}
