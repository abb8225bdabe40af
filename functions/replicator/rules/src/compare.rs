//! The three-way comparison: what the source has, what the target has, and what both had when they were last equal.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use signalbox_events::RefName;
use signalbox_policy::{Deletions, OnDivergence, Replica};

use crate::facts::{Listing, Object, Refs, ReplicaFacts, TargetFacts};
use crate::refs::Names;

/// What makes a target equal, and what stands in the way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What the target is told, deletions first.
    pub commands: Vec<Command>,
    /// What its default branch shall be, where it is another one.
    pub head: Option<RefName>,
    /// What becomes of its description.
    #[serde(default)]
    pub description: Described,
    /// Refs that differ and are left as they are, with the reason.
    pub left: Vec<Left>,
    /// Refs that cannot be made equal.
    pub failed: Vec<Failed>,
    /// How many refs are equal.
    pub equal: usize,
}

/// One ref of the target moves. The old id is the one that was seen: a server refuses the command if it is another by then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The ref in the target.
    pub name: RefName,
    /// Where it is; `None` for one that is not there.
    pub old: Option<Object>,
    /// Where it goes; `None` for a deletion.
    pub new: Option<Object>,
    /// Why.
    pub because: Because,
}

/// Why a ref of the target moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// It is new in the source.
    New,
    /// It moved in the source, and the target's place was seen there before.
    Moved,
    /// It ended in the source.
    Ended,
    /// `on_divergence: overwrite`, and the target has something of its own.
    Overwritten,
}

/// What becomes of the target's description.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Described {
    /// It is the source's, or nobody can know.
    #[default]
    Equal,
    /// It becomes the source's.
    Becomes {
        /// What it was, as it was seen.
        old: String,
        /// What it becomes.
        new: String,
    },
    /// It differs and stays so.
    Left(Why),
}

/// A ref that differs and stays so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The ref in the target.
    pub name: RefName,
    /// Why.
    pub why: Why,
}

/// Why a ref that differs stays so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Only the target moved, and it is copied back to the source.
    OtherDirection,
    /// It was never in the source.
    NeverHere,
    /// It ended in the source, and the policy has `deletions: false`.
    DeletionsIgnored,
    /// `on_divergence: keep`, and the target has something of its own.
    Kept,
}

/// A ref that cannot be made equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The ref in the target, or what there is in its place.
    pub name: String,
    /// What is wrong.
    pub trouble: Trouble,
}

/// What is wrong with a ref.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// Both sides moved, or the target has commits that were never in the source.
    Diverged {
        /// Where the source is.
        here: Object,
        /// Where the target is.
        there: Object,
    },
    /// It was deleted in the target.
    EndedThere {
        /// Where the source is.
        here: Object,
    },
    /// It was deleted in the source and moved in the target.
    MovedThere {
        /// Where the target is.
        there: Object,
    },
    /// Several refs of the source have this one name in the target.
    Collision {
        /// Their names.
        names: BTreeSet<RefName>,
    },
    /// The source has no refs at all: nothing is deleted for that.
    SourceEmpty {
        /// How many refs the target has.
        there: usize,
    },
    /// The name cannot be copied.
    OddName,
    /// The target has a ref whose name is the beginning of this one's, or this one's is of its: git keeps only one of them.
    InTheWay {
        /// That ref.
        other: RefName,
    },
}

/// Whether the target is copied back to the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    OneWay,
    Mutual,
}

/// The places of one ref.
#[derive(Clone, Copy)]
struct Places<'a> {
    here: Option<&'a Object>,
    there: Option<&'a Object>,
    agreed: Option<&'a Object>,
}

enum Judged {
    Equal,
    Do(Because),
    Leave(Why),
    Fail(Trouble),
}

/// Compares as if the target were not copied back. See [`crate::decide`], which knows.
pub fn compare(source: &Listing, facts: &ReplicaFacts, replica: &Replica) -> Plan {
    compare_in(source, facts, replica, Direction::OneWay)
}

pub(crate) fn compare_in(source: &Listing, facts: &ReplicaFacts, replica: &Replica, direction: Direction) -> Plan {
    let nothing = Listing::default();
    let target = facts.target.listing().unwrap_or(&nothing);
    let no_refs = Refs::new();
    let agreed = if is_new(facts, direction) { &no_refs } else { &facts.memory.agreed };
    let names = Names::of(replica);
    let wanted = wanted(source, names);
    let tips: BTreeSet<&Object> = source.refs.values().collect();
    let mut plan = Plan::default();
    plan.failed.extend(odd(source, names));

    let mut ended = Vec::new();
    for name in considered(&wanted, target, agreed, names) {
        let here = wanted.get(&name);
        if let Some(several) = here.filter(|names| names.len() > 1) {
            let names = several.keys().map(|name| (*name).clone()).collect();
            plan.failed.push(Failed { name: name.to_string(), trouble: Trouble::Collision { names } });
            continue;
        }
        let here = here.and_then(|names| names.values().next().copied());
        let places = Places { here, there: target.refs.get(&name), agreed: agreed.get(&name) };
        let was_here = |id: &Object| facts.known.contains(id) || tips.contains(id);
        match judge(places, replica, direction, was_here) {
            Judged::Equal => plan.equal += usize::from(here.is_some()),
            Judged::Leave(why) => plan.left.push(Left { name, why }),
            Judged::Fail(trouble) => plan.failed.push(Failed { name: name.to_string(), trouble }),
            Judged::Do(because) => {
                let command = Command { name, old: places.there.cloned(), new: here.cloned(), because };
                if command.new.is_none() { ended.push(command) } else { plan.commands.push(command) }
            }
        }
    }
    if source.refs.is_empty() && !ended.is_empty() {
        let trouble = Trouble::SourceEmpty { there: ended.len() };
        plan.failed.push(Failed { name: "every ref".to_owned(), trouble });
    } else {
        ended.append(&mut plan.commands);
        plan.commands = ended;
    }
    leave_what_has_no_room(&mut plan, target);
    plan.head = head(source, target, names, &plan);
    plan.description = described(source, facts, replica, direction);
    plan
}

/// Names of the source that the copy would have, if git could be told of them.
pub(crate) fn odd(source: &Listing, names: Names<'_>) -> Vec<Failed> {
    let asked = source.odd.iter().filter(|name| names.is_asked_for(name));
    asked.map(|name| Failed { name: name.clone(), trouble: Trouble::OddName }).collect()
}

/// `refs/heads/a/b` cannot be made beside a `refs/heads/a` that stays, nor the other way round.
fn leave_what_has_no_room(plan: &mut Plan, target: &Listing) {
    let is_new = |command: &Command| command.old.is_none() && command.new.is_some();
    if !plan.commands.iter().any(is_new) {
        return;
    }
    let ended: BTreeSet<&RefName> =
        plan.commands.iter().filter(|command| command.new.is_none()).map(|command| &command.name).collect();
    let stay: BTreeSet<&str> = target.refs.keys().filter(|name| !ended.contains(name)).map(RefName::as_str).collect();
    let in_the_way = |name: &str| -> Option<RefName> {
        let above = name.match_indices('/').filter_map(|(at, _)| name.get(..at)).find(|above| stay.contains(above));
        let below = format!("{name}/");
        let below = || stay.range(below.as_str()..).next().copied().filter(|first| first.starts_with(&below));
        RefName::parse(above.or_else(below)?).ok()
    };
    let no_room: BTreeMap<RefName, RefName> = (plan.commands.iter().filter(|command| is_new(command)))
        .filter_map(|command| Some((command.name.clone(), in_the_way(command.name.as_str())?)))
        .collect();
    plan.commands.retain(|command| !no_room.contains_key(&command.name));
    plan.failed.extend(
        no_room
            .into_iter()
            .map(|(name, other)| Failed { name: name.to_string(), trouble: Trouble::InTheWay { other } }),
    );
}

/// The tips of the target about which the source must be asked whether it has them: they decide.
pub fn unsure(source: &Listing, facts: &ReplicaFacts, replica: &Replica) -> BTreeSet<Object> {
    let Some(target) = facts.target.listing() else { return BTreeSet::new() };
    let wanted = wanted(source, Names::of(replica));
    let tips: BTreeSet<&Object> = source.refs.values().collect();
    let differ = target.refs.iter().filter(|(name, there)| {
        wanted.get(*name).is_some_and(|here| here.values().any(|here| here != there))
            && facts.memory.agreed.get(*name) != Some(*there)
            && !tips.contains(there)
    });
    differ.map(|(_, there)| there.clone()).collect()
}

/// What both sides agree on, seen what they have now: where they differ, what they agreed on before.
pub(crate) fn agree(
    source: &Listing,
    target: &Listing,
    replica: &Replica,
    before: &Refs,
    direction: Direction,
) -> Refs {
    let names = Names::of(replica);
    let wanted = wanted(source, names);
    let mut agreed = Refs::new();
    if direction == Direction::Mutual {
        // What only the way back copies is for the way back to forget.
        let others = before.iter().filter(|(name, _)| names.here(name).is_empty());
        agreed.extend(others.map(|(name, id)| (name.clone(), id.clone())));
    }
    for name in considered(&wanted, target, before, names) {
        let here = wanted.get(&name).filter(|names| names.len() == 1).and_then(|names| names.values().next().copied());
        let there = target.refs.get(&name);
        let kept = if here == there { here } else { before.get(&name) };
        if let Some(id) = kept {
            agreed.insert(name, id.clone());
        }
    }
    agreed
}

/// The description goes along like a ref, except that one which cannot be made equal is no failure: no commit hangs on it.
fn described(source: &Listing, facts: &ReplicaFacts, replica: &Replica, direction: Direction) -> Described {
    let there = facts.target.listing().and_then(|target| target.description.as_ref());
    let (Some(here), Some(there)) = (&source.description, there) else { return Described::Equal };
    let agreed = if is_new(facts, direction) { "" } else { facts.memory.description.as_str() };
    if here == there {
        Described::Equal
    } else if there == agreed || replica.on_divergence == OnDivergence::Overwrite {
        Described::Becomes { old: there.clone(), new: here.clone() }
    } else if direction == Direction::Mutual && here == agreed {
        Described::Left(Why::OtherDirection)
    } else {
        Described::Left(Why::Kept)
    }
}

/// What the two agreed on counts for nothing where the target is another repository by now.
fn is_new(facts: &ReplicaFacts, direction: Direction) -> bool {
    match &facts.target {
        TargetFacts::Missing => true,
        TargetFacts::Listed(target) => target.refs.is_empty() && direction == Direction::OneWay,
        TargetFacts::Unreadable { .. } => false,
    }
}

pub(crate) type Wanted<'a> = BTreeMap<RefName, BTreeMap<&'a RefName, &'a Object>>;

/// What the target shall have: under each of its names the refs of the source that are called so there.
pub(crate) fn wanted<'a>(source: &'a Listing, names: Names<'_>) -> Wanted<'a> {
    let mut wanted = Wanted::new();
    for (name, id) in &source.refs {
        if let Some(there) = names.there(name) {
            wanted.entry(there).or_default().insert(name, id);
        }
    }
    wanted
}

/// The names in the target that this copy is about.
fn considered(wanted: &Wanted<'_>, target: &Listing, agreed: &Refs, names: Names<'_>) -> BTreeSet<RefName> {
    let others = target.refs.keys().chain(agreed.keys()).filter(|name| !wanted.contains_key(*name));
    let others = others.filter(|name| !names.here(name).is_empty());
    wanted.keys().chain(others).cloned().collect()
}

fn judge(at: Places<'_>, replica: &Replica, direction: Direction, was_here: impl Fn(&Object) -> bool) -> Judged {
    let mutual = direction == Direction::Mutual;
    let differs = |trouble: Trouble| match replica.on_divergence {
        OnDivergence::Overwrite => Judged::Do(Because::Overwritten),
        OnDivergence::Keep => Judged::Leave(Why::Kept),
        OnDivergence::Fail => Judged::Fail(trouble),
    };
    match (at.here, at.there) {
        (None, None) => Judged::Equal,
        (Some(here), Some(there)) if here == there => Judged::Equal,
        (Some(_), None) if at.agreed.is_none() => Judged::Do(Because::New),
        (Some(here), None) if mutual && at.agreed == Some(here) => Judged::Leave(Why::OtherDirection),
        (Some(here), None) => differs(Trouble::EndedThere { here: here.clone() }),
        (None, Some(_)) if at.agreed.is_none() && mutual => Judged::Leave(Why::OtherDirection),
        (None, Some(_)) if replica.deletions == Deletions::Ignore => Judged::Leave(Why::DeletionsIgnored),
        (None, Some(there)) if at.agreed == Some(there) => Judged::Do(Because::Ended),
        (None, Some(there)) if at.agreed.is_some() => differs(Trouble::MovedThere { there: there.clone() }),
        (None, Some(_)) => match replica.on_divergence {
            OnDivergence::Overwrite => Judged::Do(Because::Overwritten),
            OnDivergence::Keep | OnDivergence::Fail => Judged::Leave(Why::NeverHere),
        },
        (Some(_), Some(there)) if at.agreed == Some(there) => Judged::Do(Because::Moved),
        (Some(here), Some(_)) if mutual && at.agreed == Some(here) => Judged::Leave(Why::OtherDirection),
        (Some(_), Some(there)) if was_here(there) => Judged::Do(Because::Moved),
        (Some(here), Some(there)) => differs(Trouble::Diverged { here: here.clone(), there: there.clone() }),
    }
}

/// The default branch that the target shall have, if it is another one and the target has it then.
fn head(source: &Listing, target: &Listing, names: Names<'_>, plan: &Plan) -> Option<RefName> {
    let head = names.there(source.head.as_ref()?)?;
    if target.head.as_ref() == Some(&head) {
        return None;
    }
    let moves = plan.commands.iter().find(|command| command.name == head);
    let will_be_there = moves.map_or(target.refs.contains_key(&head), |command| command.new.is_some());
    will_be_there.then_some(head)
}
