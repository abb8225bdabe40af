//! What is done to each copy, and why.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use signalbox_events::{Obstacle, RefName, RepositoryName};
use signalbox_policy::{Create, Mode, Policy};

use crate::bundle::{bundle_of, compare_bundle};
use crate::compare::{Described, Direction, Failed, Left, Plan, agree, compare_in};
use crate::facts::{Facts, Listing, Origin, ReplicaFacts, SourceFacts, TargetFacts};
use crate::memory::{Begun, Memory, Standing};
use crate::place::{Copied, Home, Place, copies_of, is_mutual, memory_key};
use crate::refs::Names;
use crate::render::obstacle_of;
use crate::trouble::{Trouble, passing, remember, trouble, unread};

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

/// What a target still needs, seen what it has now.
pub fn plan_left(facts: &Facts, policy: &Policy, key: &str, listed: &Listing) -> Plan {
    let (Some((source, copy, place)), SourceFacts::Listed(listing), Some(known)) =
        (facts.copy_at(policy, key), &facts.source, facts.replicas.get(key))
    else {
        return Plan::default();
    };
    let known = ReplicaFacts { target: TargetFacts::Listed(listed.clone()), ..known.clone() };
    plan(&facts.home(), source, policy, (&copy, &place), (listing, &known))
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
        let (source, copy, place) = self.copy_at(policy, key)?;
        let known = self.replicas.get(key)?;
        let direction = direction(&self.home(), source, policy, &copy, &place);
        let mut memory = match (&self.source, known.target.listing()) {
            (SourceFacts::Listed(listing), Some(target)) => {
                agreed_now(listing, target, (&copy, direction), (source, &known.memory))
            }
            _ => known.memory.clone(),
        };
        memory.target = place.to_string();
        memory.working = None;
        Some(memory.standing(source, standing, self.now))
    }

    /// What is remembered of a push before it is made, where its target is copied back.
    pub fn begun(&self, policy: &Policy, copy: &Copy) -> Option<Begun> {
        let (source, copied, place) = self.copy_at(policy, &copy.key)?;
        let places = || copy.plan.commands.iter().map(|command| (command.name.clone(), command.new.clone())).collect();
        is_mutual(policy, source, &self.home(), &copied, &place)
            .then(|| Begun { source: source.clone(), places: places() })
    }

    /// The refs that a bundle under this key shall hold, and what its `HEAD` names.
    pub fn bundle(&self, policy: &Policy, key: &str) -> Option<Listing> {
        let SourceFacts::Listed(listing) = &self.source else { return None };
        let (_, copy, _) = self.copy_at(policy, key)?;
        Some(bundle_of(listing, copy.replica))
    }

    /// The copy whose memory lies under this key, with its source and its place.
    fn copy_at<'a>(&'a self, policy: &'a Policy, key: &str) -> Option<(&'a RepositoryName, Copied<'a>, Place)> {
        let (source, home) = (self.repository.as_ref()?, self.home());
        let found = copies_of(policy, source).into_iter();
        let mut found = found.filter(|(copy, place)| memory_key(source, &home, copy, place) == key);
        found.next().map(|(copy, place)| (source, copy, place))
    }
}
