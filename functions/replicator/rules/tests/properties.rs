//! Two repositories, people, and replicators that are interrupted anywhere: nothing is lost, and it comes to an end.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proptest::prelude::*;
use signalbox_events::{RefName, Region, RepositoryName};
use signalbox_policy::{OnDivergence, Policy, parse_policy};
use signalbox_replicator_rules::*;

const NAMES: [&str; 3] = ["refs/heads/a", "refs/heads/b", "refs/tags/v"];

#[derive(Debug, Clone, Default)]
struct Repository {
    refs: BTreeMap<usize, u8>,
    /// Everything that ever was in it: nothing is ever collected.
    objects: BTreeSet<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    A,
    B,
}

#[derive(Debug, Clone)]
enum ByPerson {
    /// A new commit, or one that is anywhere already.
    Push {
        side: Side,
        name: usize,
        commit: Option<u8>,
    },
    Delete {
        side: Side,
        name: usize,
    },
}

#[derive(Debug, Clone)]
enum Step {
    Person(ByPerson),
    /// The replicator from this side looks.
    Look(Side),
    /// It acts on what it saw: somebody may push while it does, and it may die before it remembers.
    Act {
        from: Side,
        meanwhile: Option<ByPerson>,
        dies: bool,
    },
}

struct World {
    policy: Policy,
    sides: BTreeMap<Side, Repository>,
    memories: BTreeMap<String, (u32, Memory)>,
    looked: BTreeMap<Side, (u32, Facts)>,
    next: u8,
    /// Refs that a person deleted where both sides had them.
    tombs: BTreeSet<(Side, usize)>,
}

fn object(number: u8) -> Object {
    Object::parse(&format!("{:040x}", u64::from(number) + 1)).unwrap()
}

fn number(object: &Object) -> u8 {
    u8::try_from(u64::from_str_radix(object.as_str(), 16).unwrap() - 1).unwrap()
}

fn name(index: usize) -> RefName {
    RefName::parse(NAMES[index]).unwrap()
}

fn index(name: &RefName) -> usize {
    NAMES.iter().position(|known| *known == name.as_str()).unwrap()
}

impl Side {
    fn other(self) -> Self {
        if self == Self::A { Self::B } else { Self::A }
    }

    fn repository(self) -> RepositoryName {
        RepositoryName::parse(if self == Self::A { "a" } else { "b" }).unwrap()
    }
}

impl World {
    fn new(policy: &str) -> Self {
        Self {
            policy: parse_policy(policy).unwrap(),
            sides: [(Side::A, Repository::default()), (Side::B, Repository::default())].into(),
            memories: BTreeMap::new(),
            looked: BTreeMap::new(),
            next: 0,
            tombs: BTreeSet::new(),
        }
    }

    fn overwrites(&self) -> bool {
        let mut replicas = self.policy.sections.iter().flat_map(|section| &section.replicas);
        replicas.any(|replica| replica.on_divergence == OnDivergence::Overwrite)
    }

    fn home() -> Home {
        Home { region: Region::parse("eu-west-1").unwrap(), account: None }
    }

    fn key(&self, from: Side) -> Option<String> {
        let needs = needs_of(&from.repository(), &Self::home(), Origin::Sweep, &self.policy);
        needs.replicas.first().map(|replica| replica.key.clone())
    }

    fn listing(&self, side: Side) -> Listing {
        let refs = self.sides[&side].refs.iter().map(|(at, commit)| (name(*at), object(*commit))).collect();
        Listing { refs, ..Listing::default() }
    }

    fn person(&mut self, step: &ByPerson) {
        match step {
            ByPerson::Push { side, name, commit } => {
                let commit = match commit {
                    Some(commit) if *commit < self.next => *commit,
                    _ => {
                        self.next += 1;
                        self.next - 1
                    }
                };
                let repository = self.sides.get_mut(side).unwrap();
                repository.refs.insert(*name, commit);
                repository.objects.insert(commit);
                self.tombs.retain(|(_, at)| at != name);
            }
            ByPerson::Delete { side, name: at } => {
                let was = self.sides.get_mut(side).unwrap().refs.remove(at).map(object);
                let agreed = self.key(*side).and_then(|key| self.memories.get(&key)?.1.agreed.get(&name(*at)).cloned());
                // What overwrites may bring back what was deleted in the copy: that is its meaning.
                if was.is_some() && was == agreed && !self.overwrites() {
                    self.tombs.insert((*side, *at));
                }
            }
        }
    }

    fn facts(&self, from: Side, key: &str, memory: &Memory) -> Facts {
        let source = self.listing(from);
        let mut known = ReplicaFacts {
            target: TargetFacts::Listed(self.listing(from.other())),
            memory: memory.clone(),
            known: BTreeSet::new(),
        };
        let repository = from.repository();
        let (copy, _) = copies_of(&self.policy, &repository).remove(0);
        let asked = unsure(&source, &known, copy.replica);
        known.known = asked.into_iter().filter(|id| self.sides[&from].objects.contains(&number(id))).collect();
        let mut facts =
            Facts::before_gathering(Some(from.repository()), Self::home(), Origin::Sweep, Timestamp::UNIX_EPOCH);
        facts.source = SourceFacts::Listed(source);
        facts.replicas.insert(key.to_owned(), known);
        facts
    }

    fn look(&mut self, from: Side) {
        let Some(key) = self.key(from) else { return };
        let (version, memory) = self.memories.get(&key).cloned().unwrap_or_default();
        let facts = self.facts(from, &key, &memory);
        self.looked.insert(from, (version, facts));
    }

    /// Acts on what was seen; gives how many commands there were.
    fn act(&mut self, from: Side, meanwhile: Option<&ByPerson>, dies: bool) -> usize {
        let Some(key) = self.key(from) else { return 0 };
        let Some((seen, mut facts)) = self.looked.remove(&from) else { return 0 };
        let decision = decide(&facts, &self.policy);
        // Nobody acts on what somebody else changed meanwhile.
        let kept = self.memories.entry(key.clone()).or_default();
        if kept.0 != seen {
            return 0;
        }
        kept.0 += 1;
        // Where that is the last that is heard of it, it is known what was begun.
        for action in &decision.actions {
            if let Action::Copy(copy) = action {
                kept.1.begun = facts.begun(&self.policy, copy);
            }
        }
        let mut count = 0;
        for action in &decision.actions {
            let Action::Copy(copy) = action else { continue };
            for command in pushes(&copy.plan.commands, None).concat() {
                count += 1;
                self.command(from, &command);
            }
        }
        if let Some(step) = meanwhile {
            self.person(step);
        }
        if !dies {
            let there = self.listing(from.other());
            facts.replicas.get_mut(&key).unwrap().target = TargetFacts::Listed(there);
            let memory = facts.settled(&self.policy, &key, Standing::Equal).unwrap();
            self.memories.insert(key, (seen + 2, memory));
        }
        for (side, at) in &self.tombs {
            assert!(!self.sides[side].refs.contains_key(at), "{} came back at {side:?}", NAMES[*at]);
        }
        count
    }

    /// What a git server does with a command: it compares the old id, and swaps.
    fn command(&mut self, from: Side, command: &Command) {
        let at = index(&command.name);
        let there = self.sides[&from.other()].refs.get(&at).map(|commit| object(*commit));
        if there != command.old {
            return;
        }
        if let Some(old) = command.old.as_ref().filter(|_| command.because != Because::Overwritten) {
            assert!(self.sides[&from].objects.contains(&number(old)), "{command:?} drops what the source never had");
        }
        let target = self.sides.get_mut(&from.other()).unwrap();
        match &command.new {
            Some(new) => {
                target.refs.insert(at, number(new));
                target.objects.insert(number(new));
            }
            None => {
                target.refs.remove(&at);
            }
        }
    }

    fn play(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Person(step) => self.person(step),
                Step::Look(from) => self.look(*from),
                Step::Act { from, meanwhile, dies } => {
                    self.act(*from, meanwhile.as_ref(), *dies);
                }
            }
        }
    }

    /// Nobody pushes any more, and the sweeps go on; gives whether they come to an end.
    fn comes_to_an_end(&mut self) -> bool {
        for _ in 0..8 {
            let mut count = 0;
            for from in [Side::A, Side::B] {
                self.look(from);
                count += self.act(from, None, false);
            }
            if count == 0 {
                return true;
            }
        }
        false
    }
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::A), Just(Side::B)]
}

fn by_person() -> impl Strategy<Value = ByPerson> {
    prop_oneof![
        3 => (side(), 0..3_usize, proptest::option::of(0..12_u8))
            .prop_map(|(side, name, commit)| ByPerson::Push { side, name, commit }),
        1 => (side(), 0..3_usize).prop_map(|(side, name)| ByPerson::Delete { side, name }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let acts = (side(), proptest::option::weighted(0.2, by_person()), proptest::bool::weighted(0.1));
    let step = prop_oneof![
        3 => by_person().prop_map(Step::Person),
        2 => side().prop_map(Step::Look),
        2 => acts.prop_map(|(from, meanwhile, dies)| Step::Act { from, meanwhile, dies }),
    ];
    proptest::collection::vec(step, 0..40)
}

fn one_way(words: &str) -> String {
    format!(
        "mode: enforce\nrepositories:\n  a:\n    replicas:\n      - {{ to: \"codecommit://eu-west-1/b\"{words} }}\n"
    )
}

fn mutual(there: &str, back: &str) -> String {
    let back = format!("  b:\n    replicas:\n      - {{ to: \"codecommit://eu-west-1/a\", on_divergence: {back} }}\n");
    format!("{}{back}", one_way(&format!(", on_divergence: {there}")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_copy_that_overwrites_becomes_equal(steps in steps()) {
        let mut world = World::new(&one_way(", on_divergence: overwrite"));
        world.play(&steps);
        prop_assert!(world.comes_to_an_end());
        let (here, there) = (&world.sides[&Side::A].refs, &world.sides[&Side::B].refs);
        prop_assert!(here == there || here.is_empty(), "{here:?} {there:?}");
    }

    #[test]
    fn a_copy_that_does_not_comes_to_rest_and_names_what_differs(
        steps in steps(),
        words in prop_oneof![Just(", on_divergence: keep"), Just(""), Just(", deletions: false")],
    ) {
        let mut world = World::new(&one_way(words));
        world.play(&steps);
        prop_assert!(world.comes_to_an_end());
        world.look(Side::A);
        let (_, facts) = &world.looked[&Side::A];
        let decision = decide(facts, &world.policy);
        let told: BTreeSet<String> = decision.reasons.iter().flat_map(|reason| match reason {
            Reason::Compared { left, failed, .. } => {
                left.iter().map(|left| left.name.to_string()).chain(failed.iter().map(|it| it.name.clone())).collect()
            }
            _ => Vec::new(),
        }).collect();
        let (here, there) = (&world.sides[&Side::A].refs, &world.sides[&Side::B].refs);
        for (at, name) in NAMES.iter().enumerate() {
            let is_told = told.contains(*name) || told.contains("every ref");
            prop_assert!(here.get(&at) == there.get(&at) || is_told, "{name} differs and is not named");
        }
    }

    #[test]
    fn two_that_copy_each_other_come_to_rest_and_bring_nothing_back(
        steps in steps(),
        there in prop_oneof![Just("keep"), Just("fail")],
        back in prop_oneof![Just("keep"), Just("fail")],
    ) {
        let mut world = World::new(&mutual(there, back));
        world.play(&steps);
        prop_assert!(world.comes_to_an_end());
    }

    #[test]
    fn two_of_which_one_overwrites_come_to_rest(steps in steps(), back in prop_oneof![Just("keep"), Just("fail")]) {
        let mut world = World::new(&mutual("overwrite", back));
        world.play(&steps);
        prop_assert!(world.comes_to_an_end());
    }
}
