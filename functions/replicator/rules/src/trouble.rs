//! What keeps a copy from being made: what a person must mend, what may pass, and what is remembered of it.

use signalbox_events::{Obstacle, ObstacleKind, RepositoryName};
use signalbox_policy::{Create, OnDivergence, Policy};

use crate::decide::{Action, Decision, Reason, Verdict};
use crate::facts::{Facts, Lasting, ReplicaFacts, TargetFacts};
use crate::memory::Failing;
use crate::place::{Copied, Home, Place, is_mutual, memory_key, way_back};

/// What keeps a copy from being compared at all.
pub(crate) enum Trouble {
    /// A person must mend it.
    Lasting(Obstacle),
    /// It may pass.
    Passing(String),
    /// Somebody copies it already.
    Busy(String),
}

/// What a person can do about what cannot be read or written: what it is, the reason says.
const MEND: &str = "Mend that; the next push and each sweep look again";

/// Something that a person must mend before a copy can be made at all.
pub fn unusable(what: &str) -> Obstacle {
    Obstacle::of_copy(ObstacleKind::Unusable, what, MEND)
}

/// Something that may pass, and has not for a while.
pub fn out_of_reach(what: &str) -> Obstacle {
    let remedy = "It is tried again by itself; look whether the other side is there";
    Obstacle::of_copy(ObstacleKind::OutOfReach, what, remedy)
}

pub(crate) fn trouble(
    facts: &Facts,
    home: &Home,
    source: &RepositoryName,
    policy: &Policy,
    (copy, place, known): (&Copied<'_>, &Place, &ReplicaFacts),
) -> Result<(), Trouble> {
    let lasting =
        |what: &str, remedy: &str| Err(Trouble::Lasting(Obstacle::of_copy(ObstacleKind::Unusable, what, remedy)));
    if let Place::Nowhere { .. } = place {
        return lasting("this is no name of a CodeCommit repository", "Mend `to` in the policy");
    }
    if place.neighbour(home) == Some(source) {
        return lasting("the repository would be its own copy", "Mend `to` in the policy");
    }
    // Only here it is known which account a role leads to; what can be told without it, the policy's check tells.
    let overwrites = copy.replica.on_divergence == OnDivergence::Overwrite;
    if overwrites && way_back(policy, source, home, copy, place) == Some(OnDivergence::Overwrite) {
        let remedy = "Use on_divergence: fail or keep in one of them";
        return lasting("the two repositories overwrite each other", remedy);
    }
    let is_there = known.target != TargetFacts::Missing;
    let other_way = known.memory.begun.as_ref().filter(|begun| is_there && begun.source != *source);
    if let Some(begun) = other_way.filter(|_| is_mutual(policy, source, home, copy, place)) {
        let what = format!("a copy of {} to here was cut off, and what came of it is not known yet", begun.source);
        return Err(Trouble::Busy(what));
    }
    if let Some(working) = known.memory.working.as_ref().filter(|working| working.until > facts.now) {
        let what = format!("another invocation copies it, until {} at most", working.until);
        return Err(Trouble::Busy(what));
    }
    match &known.target {
        TargetFacts::Listed(_) => Ok(()),
        TargetFacts::Missing if copy.replica.create == Create::WhereMissing => Ok(()),
        TargetFacts::Missing => {
            let remedy = "Make it, or let the policy say `create: true`";
            lasting("there is no such repository, or it may not be seen", remedy)
        }
        TargetFacts::Unreadable { what, lasting: Lasting::UntilMended } => Err(Trouble::Lasting(unusable(what))),
        TargetFacts::Unreadable { what, lasting: Lasting::ForNow } => Err(Trouble::Passing(what.clone())),
    }
}

/// Has a change of what is wrong remembered, and told where it was not; what is remembered and told already needs nothing.
pub(crate) fn remember(
    source: &RepositoryName,
    (key, target, known): (&str, &str, &ReplicaFacts),
    troubles: Vec<Obstacle>,
    decision: &mut Decision,
) {
    let before = known.memory.failing.get(source);
    let since = before.map(|before| before.since).unwrap_or_default();
    let after = (!troubles.is_empty()).then(|| Failing::new(troubles.clone(), since));
    if before == after.as_ref() && known.memory.is_told(source) {
        return;
    }
    decision.actions.push(Action::Remember { key: key.to_owned(), target: target.to_owned(), troubles });
}

/// Says of each copy that its source cannot be read, and why.
pub(crate) fn unread(
    facts: &Facts,
    source: &RepositoryName,
    copies: &[(Copied<'_>, Place)],
    (what, lasting): (&str, Lasting),
    decision: &mut Decision,
) {
    let what = format!("the source cannot be read: {what}");
    for (copy, place) in copies {
        let (key, target) = (memory_key(source, &facts.home(), copy, place), place.to_string());
        let Some(known) = facts.replicas.get(&key) else {
            decision.reasons.push(Reason::FactsMissing { target });
            continue;
        };
        let is_worked_on = known.memory.working.as_ref().is_some_and(|working| working.until > facts.now);
        match lasting {
            // Whoever works on it could read the source, and says how it came out.
            Lasting::UntilMended if !is_worked_on => {
                let what = unusable(&what);
                decision.reasons.push(Reason::Trouble { target: target.clone(), what: what.clone() });
                remember(source, (&key, &target, known), vec![what], decision);
            }
            Lasting::UntilMended | Lasting::ForNow => {
                passing(facts, source, (key, target, known), what.clone(), decision);
            }
        }
    }
    if !decision.is_complete() {
        decision.verdict = Verdict::Fail;
    }
}

/// Something that may pass: it is looked at again, and told once it has lasted for a while.
pub(crate) fn passing(
    facts: &Facts,
    source: &RepositoryName,
    (key, target, known): (String, String, &ReplicaFacts),
    what: String,
    decision: &mut Decision,
) {
    decision.reasons.push(Reason::Later { target: target.clone(), what: what.clone() });
    if facts.is_late(facts.now) {
        remember(source, (&key, &target, known), vec![out_of_reach(&what)], decision);
    }
    decision.actions.push(Action::ComeAgain { target, what });
}
