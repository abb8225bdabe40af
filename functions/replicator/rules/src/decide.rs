//! What is done to each copy, and why.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use signalbox_events::{Obstacle, ObstacleKind, RefName, RepositoryName};
use signalbox_policy::{Create, Mode, OnDivergence, Policy};

use crate::bundle::{bundle_of, compare_bundle};
use crate::compare::{Described, Direction, Failed, Left, Plan, agree, compare_in};
use crate::facts::{Facts, Lasting, Listing, Origin, ReplicaFacts, SourceFacts, TargetFacts};
use crate::memory::{Begun, Failing, Memory, Standing};
use crate::place::{Copied, Home, Place, copies_of, is_mutual, memory_key, way_back};
use crate::refs::Names;
use crate::render::obstacle_of;

/// A target that could not be reached for this long after a push is told.
const LATE: SignedDuration = SignedDuration::from_mins(10);

/// A report keeps at most this many commands of a copy.
const REPORTED: usize = 500;

/// What is to be done, and why.
#[must_use]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// In one word.
    pub verdict: Verdict,
    /// Whether the actions are done or only reported.
    pub mode: Mode,
    /// Why, for each copy.
    pub reasons: Vec<Reason>,
    /// What to do, in this order.
    pub actions: Vec<Action>,
}

/// A decision in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Something is copied.
    Copy,
    /// Something cannot be copied.
    Fail,
    /// Every copy is as the policy wants it.
    Equal,
    /// The event concerns no copy.
    NotConcerned,
}

/// Why something happens, or does not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The event is about no ref that is copied.
    NoReplica,
    /// The repository is gone; its copies stay as they are.
    SourceGone {
        /// Its name.
        repository: RepositoryName,
    },
    /// What a copy needs, or why it needs nothing.
    Compared {
        /// Where it is.
        target: String,
        /// How many refs are equal.
        equal: usize,
        /// How many must move.
        moves: usize,
        /// What becomes of its description.
        #[serde(default)]
        description: Described,
        /// Which are left as they are.
        left: Vec<Left>,
        /// Which cannot be made equal.
        failed: Vec<Failed>,
    },
    /// A copy cannot be made, and a person must do something.
    Trouble {
        /// Where it is.
        target: String,
        /// What is wrong.
        what: Obstacle,
    },
    /// A copy cannot be looked at now.
    Later {
        /// Where it is.
        target: String,
        /// Why.
        what: String,
    },
    /// There is nothing to put into a bundle.
    NothingToBundle {
        /// Where it would be.
        target: String,
    },
    /// The facts say nothing of it: they were gathered for another policy.
    FactsMissing {
        /// Where it is.
        target: String,
    },
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Make a copy equal.
    Copy(Box<Copy>),
    /// Nothing but our own memory of a copy changes.
    Remember {
        /// Where the memory lies.
        key: String,
        /// Where the copy is.
        target: String,
        /// How it stands; nothing of one that must be looked at again.
        troubles: Vec<Obstacle>,
    },
    /// Have the event come again.
    ComeAgain {
        /// Where the copy is.
        target: String,
        /// Why.
        what: String,
    },
}

/// A copy to make equal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Copy {
    /// Where its memory lies.
    pub key: String,
    /// Where it is.
    pub place: Place,
    /// Whether the repository must be made first.
    pub create: Create,
    /// What is done to it, and what is not.
    pub plan: Plan,
    /// The target's default branch as it was seen.
    pub head: Option<RefName>,
    /// How many commands a report left out.
    #[serde(default)]
    pub left_out: usize,
}

impl Decision {
    /// Whether nothing is wrong that a person must mend.
    pub fn is_complete(&self) -> bool {
        !self.reasons.iter().any(|reason| match reason {
            Reason::Trouble { .. } | Reason::FactsMissing { .. } => true,
            Reason::Compared { failed, .. } => !failed.is_empty(),
            Reason::NoReplica | Reason::SourceGone { .. } | Reason::NothingToBundle { .. } | Reason::Later { .. } => {
                false
            }
        })
    }

    /// The decision as a report keeps it: of long plans the beginning.
    pub fn for_report(&self) -> Self {
        let mut decision = self.clone();
        for action in &mut decision.actions {
            if let Action::Copy(copy) = action {
                copy.left_out = copy.plan.commands.len().saturating_sub(REPORTED);
                copy.plan.commands.truncate(REPORTED);
                copy.plan.left.truncate(REPORTED);
                copy.plan.failed.truncate(REPORTED);
            }
        }
        for reason in &mut decision.reasons {
            if let Reason::Compared { left, failed, .. } = reason {
                left.truncate(REPORTED);
                failed.truncate(REPORTED);
            }
        }
        decision
    }
}

/// Decides what each copy needs. Total: whatever the facts are, there is a decision with a reason.
pub fn decide(facts: &Facts, policy: &Policy) -> Decision {
    let mut decision =
        Decision { verdict: Verdict::NotConcerned, mode: policy.mode, reasons: Vec::new(), actions: Vec::new() };
    let copies = facts.repository.as_ref().map(|source| (source, concerned(facts, source, policy)));
    let Some((source, copies)) = copies.filter(|(_, copies)| !copies.is_empty()) else {
        decision.reasons.push(Reason::NoReplica);
        return decision;
    };
    decision.verdict = Verdict::Equal;
    let listing = match &facts.source {
        SourceFacts::Listed(listing) => listing,
        SourceFacts::Gone => {
            decision.reasons.push(Reason::SourceGone { repository: source.clone() });
            return decision;
        }
        SourceFacts::Unreadable { what, lasting } => {
            unread(facts, source, &copies, (what, *lasting), &mut decision);
            return decision;
        }
        SourceFacts::NotRead => {
            let missing = copies.iter().map(|(_, place)| Reason::FactsMissing { target: place.to_string() });
            decision.reasons.extend(missing);
            return decision;
        }
    };
    let home = facts.home();
    for (copy, place) in copies {
        let key = memory_key(source, &home, &copy, &place);
        match facts.replicas.get(&key) {
            Some(known) => decide_one(facts, source, listing, policy, (&copy, place, key, known), &mut decision),
            None => decision.reasons.push(Reason::FactsMissing { target: place.to_string() }),
        }
    }
    // A copy that takes long, as it did before, keeps no other waiting.
    decision.actions.sort_by_key(|action| match action {
        Action::Copy(copy) => {
            facts.replicas.get(&copy.key).is_some_and(|known| known.memory.unfit.contains_key(source))
        }
        Action::Remember { .. } | Action::ComeAgain { .. } => false,
    });
    let copies_something = decision.actions.iter().any(|action| matches!(action, Action::Copy(_)));
    if copies_something {
        decision.verdict = Verdict::Copy;
    } else if !decision.is_complete() {
        decision.verdict = Verdict::Fail;
    }
    decision
}

/// Says of each copy that its source cannot be read, and why.
fn unread(
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
        match lasting {
            Lasting::UntilMended => {
                let what = unusable(&what);
                decision.reasons.push(Reason::Trouble { target: target.clone(), what: what.clone() });
                remember(source, (&key, &target, known), vec![what], decision);
            }
            Lasting::ForNow => passing(facts, source, (key, target, known), what.clone(), decision),
        }
    }
    if !decision.is_complete() {
        decision.verdict = Verdict::Fail;
    }
}

/// Something that may pass: it is looked at again, and told once it has lasted for a while.
fn passing(
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

fn concerned<'a>(facts: &Facts, source: &'a RepositoryName, policy: &'a Policy) -> Vec<(Copied<'a>, Place)> {
    let mut copies = copies_of(policy, source);
    match &facts.origin {
        Origin::Event(push) => copies.retain(|(copy, _)| Names::of(copy.replica).is_copied(&push.reference)),
        Origin::Sweep => {}
        Origin::Other => copies.clear(),
    }
    copies
}

fn decide_one(
    facts: &Facts,
    source: &RepositoryName,
    listing: &Listing,
    policy: &Policy,
    (copy, place, key, known): (&Copied<'_>, Place, String, &ReplicaFacts),
    decision: &mut Decision,
) {
    let target = place.to_string();
    let home = facts.home();
    match trouble(facts, &home, source, policy, (copy, &place, known)) {
        Ok(()) => {}
        Err(Trouble::Lasting(what)) => {
            decision.reasons.push(Reason::Trouble { target: target.clone(), what: what.clone() });
            return remember(source, (&key, &target, known), vec![what], decision);
        }
        Err(Trouble::Busy(what)) => {
            decision.reasons.push(Reason::Later { target: target.clone(), what: what.clone() });
            return decision.actions.push(Action::ComeAgain { target, what });
        }
        Err(Trouble::Passing(what)) => return passing(facts, source, (key, target, known), what, decision),
    }
    let plan = plan(&home, source, policy, (copy, &place), (listing, known));
    let there = known.target.listing();
    if matches!(place, Place::Bundle { .. }) && plan == Plan::default() && there.is_some_and(|it| it.refs.is_empty()) {
        decision.reasons.push(Reason::NothingToBundle { target: target.clone() });
    }
    decision.reasons.push(Reason::Compared {
        target: target.clone(),
        equal: plan.equal,
        moves: plan.commands.len(),
        description: plan.description.clone(),
        left: plan.left.clone(),
        failed: plan.failed.clone(),
    });
    let create = if known.target == TargetFacts::Missing { Create::WhereMissing } else { Create::Never };
    let is_described_anew = matches!(plan.description, Described::Becomes { .. });
    if !plan.commands.is_empty() || plan.head.is_some() || is_described_anew || create == Create::WhereMissing {
        let head = there.and_then(|listing| listing.head.clone());
        decision.actions.push(Action::Copy(Box::new(Copy { key, place, create, plan, head, left_out: 0 })));
        return;
    }
    let troubles: Vec<Obstacle> = plan.failed.iter().map(obstacle_of).collect();
    let direction = direction(&home, source, policy, copy, &place);
    let agreed = there.map(|there| agreed_now(listing, there, (copy, direction), (source, &known.memory)));
    if agreed.is_some_and(|agreed| agreed != known.memory) {
        decision.actions.push(Action::Remember { key, target, troubles });
    } else {
        remember(source, (&key, &target, known), troubles, decision);
    }
}

/// What makes a target equal.
fn plan(
    home: &Home,
    source: &RepositoryName,
    policy: &Policy,
    (copy, place): (&Copied<'_>, &Place),
    (listing, known): (&Listing, &ReplicaFacts),
) -> Plan {
    let nothing = Listing::default();
    let there = known.target.listing().unwrap_or(&nothing);
    if let Place::Bundle { .. } = place {
        return compare_bundle(listing, there, copy.replica);
    }
    let direction = direction(home, source, policy, copy, place);
    let plan = match known.memory.begun.as_ref().filter(|begun| begun.source == *source) {
        Some(begun) => {
            let agreed = begun.came_about(&there.refs, known.memory.agreed.clone());
            let known = ReplicaFacts { memory: Memory { agreed, ..known.memory.clone() }, ..known.clone() };
            compare_in(listing, &known, copy.replica, direction)
        }
        None => compare_in(listing, known, copy.replica, direction),
    };
    // Only AWS's own API sets a default branch.
    if let Place::CodeCommit { .. } = place { plan } else { Plan { head: None, ..plan } }
}

/// What is remembered, with what both sides agree on now.
fn agreed_now(
    source: &Listing,
    target: &Listing,
    (copy, direction): (&Copied<'_>, Direction),
    (name, before): (&RepositoryName, &Memory),
) -> Memory {
    let mut memory = before.clone();
    // Both sides were listed: what became of a push is known now.
    if let Some(begun) = memory.begun.take_if(|begun| begun.source == *name) {
        memory.agreed = begun.came_about(&target.refs, memory.agreed);
    }
    memory.agreed = agree(source, target, copy.replica, &memory.agreed, direction);
    if let (Some(here), Some(there)) = (&source.description, &target.description)
        && here == there
    {
        memory.description.clone_from(here);
    }
    memory
}

fn direction(home: &Home, source: &RepositoryName, policy: &Policy, copy: &Copied<'_>, place: &Place) -> Direction {
    match is_mutual(policy, source, home, copy, place) {
        true => Direction::Mutual,
        false => Direction::OneWay,
    }
}

/// What keeps a copy from being compared at all.
enum Trouble {
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

fn trouble(
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
fn remember(
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

/// What a target still needs, seen what it has now.
pub fn plan_left(facts: &Facts, policy: &Policy, key: &str, listed: &Listing) -> Plan {
    let (Some(source), SourceFacts::Listed(listing)) = (&facts.repository, &facts.source) else {
        return Plan::default();
    };
    let Some(known) = facts.replicas.get(key) else { return Plan::default() };
    let known = ReplicaFacts { target: TargetFacts::Listed(listed.clone()), ..known.clone() };
    let (copies, home) = (copies_of(policy, source), facts.home());
    let found = copies.iter().find(|(copy, place)| memory_key(source, &home, copy, place) == key);
    let Some((copy, place)) = found else { return Plan::default() };
    plan(&home, source, policy, (copy, place), (listing, &known))
}

impl Plan {
    /// Refs that stand in a way which this plan, made later, knows of and that one did not: somebody moved them meanwhile.
    pub fn moved_since(&self, before: &Self) -> Vec<String> {
        let names = |plan: &Self| -> BTreeSet<String> {
            let left = plan.left.iter().map(|left| left.name.to_string());
            plan.failed.iter().map(|failed| failed.name.clone()).chain(left).collect()
        };
        names(self).difference(&names(before)).cloned().collect()
    }
}

impl Facts {
    /// Whether the push that is looked at is so long ago that people should hear what keeps it from being copied.
    pub fn is_late(&self, now: Timestamp) -> bool {
        matches!(&self.origin, Origin::Event(push) if push.at.is_some_and(|at| now.duration_since(at) > LATE))
    }

    /// The memory of a copy after it was looked at once more: what is agreed on now, and how it stands.
    pub fn settled(&self, policy: &Policy, key: &str, standing: Standing) -> Option<Memory> {
        let source = self.repository.as_ref()?;
        let known = self.replicas.get(key)?;
        let SourceFacts::Listed(listing) = &self.source else { return None };
        let (copies, home) = (copies_of(policy, source), self.home());
        let (copy, place) = copies.iter().find(|(copy, place)| memory_key(source, &home, copy, place) == key)?;
        let direction = direction(&home, source, policy, copy, place);
        let mut memory = match known.target.listing() {
            Some(target) => agreed_now(listing, target, (copy, direction), (source, &known.memory)),
            None => known.memory.clone(),
        };
        memory.target = place.to_string();
        memory.working = None;
        Some(memory.standing(source, standing, self.now))
    }

    /// What is remembered of a push before it is made, where its target is copied back.
    pub fn begun(&self, policy: &Policy, copy: &Copy) -> Option<Begun> {
        let source = self.repository.as_ref()?;
        let (copies, home) = (copies_of(policy, source), self.home());
        let (copied, place) = copies.iter().find(|(it, place)| memory_key(source, &home, it, place) == copy.key)?;
        let places = || copy.plan.commands.iter().map(|command| (command.name.clone(), command.new.clone())).collect();
        is_mutual(policy, source, &home, copied, place).then(|| Begun { source: source.clone(), places: places() })
    }

    /// The refs that a bundle under this key shall hold, and what its `HEAD` names.
    pub fn bundle(&self, policy: &Policy, key: &str) -> Option<Listing> {
        let (Some(source), SourceFacts::Listed(listing)) = (&self.repository, &self.source) else { return None };
        let copies = copies_of(policy, source);
        let (copy, _) = copies.iter().find(|(copy, place)| memory_key(source, &self.home(), copy, place) == key)?;
        Some(bundle_of(listing, copy.replica))
    }
}
