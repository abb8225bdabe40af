//! What is remembered of a copy: the refs that both sides last agreed on, what is wrong with it, and what people were told.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use signalbox_events::{
    EventId, MOST_OBSTACLES, Obstacle, RefName, ReplicaState, ReplicaStateChange, RepositoryName, StackName,
};

use crate::facts::{Object, Refs};
use crate::steps::Unfit;

/// The memory of one copy, or of two repositories that copy each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The target, for whoever reads the object.
    pub target: String,
    /// The refs that were equal on both sides when they were last listed, by their names in the target.
    pub agreed: Refs,
    /// The bundle that holds them, where the target is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<WrittenBundle>,
    /// The description that both sides had when they were last seen with the same one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// When it was last made equal, for each source: two that copy each other share a memory.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub equal: BTreeMap<RepositoryName, Timestamp>,
    /// What is wrong, for each source.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failing: BTreeMap<RepositoryName, Failing>,
    /// What people were last told is wrong, for each source; nothing where they know that it is equal.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub told: BTreeMap<RepositoryName, Told>,
    /// What did not get through in one push, for each source.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unfit: BTreeMap<RepositoryName, Unfit>,
    /// Who copies at the moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working: Option<Working>,
    /// What was begun and not seen to its end, where two copy each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Begun>,
}

/// A push that is made, or was: until both sides were listed again nobody knows what came of it.
///
/// What it put into the copy looks from there like something that the copy's own people pushed, and must not be copied back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// The repository that is copied.
    pub source: RepositoryName,
    /// Where each ref of the copy goes; `None` for one that ends.
    pub places: BTreeMap<RefName, Option<Object>>,
}

/// The bundle that we wrote last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenBundle {
    /// The object's tag: another one is another bundle.
    pub etag: String,
    /// What its `HEAD` names.
    pub head: Option<RefName>,
}

/// A copy that could not be made equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// Since when.
    pub since: Timestamp,
    /// What is wrong.
    pub what: Vec<Obstacle>,
    /// How many more there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: usize,
}

/// What people were told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Since when it is wrong.
    pub since: Timestamp,
    /// What tells what is wrong from anything else.
    pub mark: String,
    /// How often they were told something of it.
    pub times: u32,
}

/// An invocation that copies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Working {
    /// The event that it copies for.
    pub event: EventId,
    /// When others may take over.
    pub until: Timestamp,
}

/// How a copy stands after it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is as the policy wants it.
    Equal,
    /// These keep it from being so.
    Failing(Vec<Obstacle>),
    /// It must be looked at again: what was known of it stays.
    Open,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Failing {
    /// What is wrong, since then.
    pub(crate) fn new(mut what: Vec<Obstacle>, since: Timestamp) -> Self {
        let left_out = what.len().saturating_sub(MOST_OBSTACLES);
        what.truncate(MOST_OBSTACLES);
        Self { since, what, left_out }
    }

    /// The same for what is the same, though commits moved since.
    fn mark(&self) -> String {
        let marks: Vec<_> = self.what.iter().map(Obstacle::mark).collect();
        hex(digest(&format!("{} {marks:?} {}", self.since, self.left_out)))
    }
}

impl Begun {
    /// The places that were agreed on, and those of this push that came about: the copy has them now, and the source had them.
    pub(crate) fn came_about(&self, there: &Refs, mut agreed: Refs) -> Refs {
        for (name, place) in self.places.iter().filter(|(name, place)| there.get(*name) == place.as_ref()) {
            match place {
                Some(place) => agreed.insert(name.clone(), place.clone()),
                None => agreed.remove(name),
            };
        }
        agreed
    }
}

impl Memory {
    /// A memory of nothing.
    pub fn empty(target: impl Into<String>) -> Self {
        Self { target: target.into(), ..Self::default() }
    }

    /// The memory of a copy that stands so for this source; the moment of the first failure stays.
    #[must_use]
    pub fn standing(mut self, source: &RepositoryName, standing: Standing, now: Timestamp) -> Self {
        match standing {
            Standing::Open => {}
            Standing::Equal => {
                self.failing.remove(source);
                self.equal.insert(source.clone(), now);
            }
            Standing::Failing(what) => {
                let since = self.failing.get(source).map_or(now, |failing| failing.since);
                self.failing.insert(source.clone(), Failing::new(what, since));
            }
        }
        self
    }

    /// What people are to be told of this source's copy and were not told yet.
    ///
    /// It follows from the memory alone: whoever died before it could write down that it was told says the very same again,
    /// under the same id.
    pub fn untold(
        &self,
        key: &str,
        source: &RepositoryName,
        stack: &StackName,
        now: Timestamp,
    ) -> Option<ReplicaStateChange> {
        if self.is_told(source) {
            return None;
        }
        let (failing, told) = (self.failing.get(source), self.told.get(source));
        let (state, since, mark) = match (failing, told) {
            (None, None) => return None,
            (None, Some(told)) => (ReplicaState::Equal, told.since, String::new()),
            (Some(failing), Some(_)) => (ReplicaState::Changed, failing.since, failing.mark()),
            (Some(failing), None) => (ReplicaState::Failed, failing.since, failing.mark()),
        };
        let times = told.map_or(0, |told| told.times);
        Some(ReplicaStateChange {
            notice: EventId::of_notice(digest(&format!("{stack}\n{key}\n{source}\n{since}\n{times}\n{mark}"))),
            stack: stack.clone(),
            repository: source.clone(),
            target: self.target.clone(),
            state,
            since,
            seen: now,
            last_equal: self.equal.get(source).copied().filter(|_| state != ReplicaState::Equal),
            obstacles: failing.map(|failing| failing.what.clone()).unwrap_or_default(),
            left_out: failing.map_or(0, |failing| u64::try_from(failing.left_out).unwrap_or(u64::MAX)),
        })
    }

    /// Whether people know how the copy of this source stands.
    pub fn is_told(&self, source: &RepositoryName) -> bool {
        match (self.failing.get(source), self.told.get(source)) {
            (None, None) => true,
            (Some(failing), Some(told)) => told.mark == failing.mark(),
            _ => false,
        }
    }

    /// The memory in which people were told this.
    #[must_use]
    pub fn with_told(mut self, change: &ReplicaStateChange) -> Self {
        let source = &change.repository;
        match self.failing.get(source) {
            Some(failing) => {
                let times = self.told.get(source).map_or(0, |told| told.times).saturating_add(1);
                let told = Told { since: failing.since, mark: failing.mark(), times };
                self.told.insert(source.clone(), told);
            }
            None => {
                self.told.remove(source);
            }
        }
        self
    }
}

fn digest(text: &str) -> u128 {
    Sha256::digest(text).iter().take(16).fold(0, |digest, byte| digest << 8 | u128::from(*byte))
}

fn hex(digest: u128) -> String {
    format!("{digest:032x}")
}

#[cfg(test)]
mod tests {
    use signalbox_events::ObstacleKind;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn diverged(name: &str, reason: &str) -> Obstacle {
        Obstacle::of_ref(name, ObstacleKind::Diverged, reason, "Reset it")
    }

    /// Looks at a copy so often, telling what is untold each time; gives what was told.
    fn told(looks: &[(i64, Option<Vec<Obstacle>>)]) -> Vec<(ReplicaState, i64)> {
        let (source, stack) = (RepositoryName::parse("demo").unwrap(), StackName::parse("signalbox").unwrap());
        let mut memory = Memory::empty("codecommit://us-east-1/demo");
        let (mut told, mut ids) = (Vec::new(), std::collections::BTreeSet::new());
        for (second, look) in looks {
            let standing = look.clone().map_or(Standing::Equal, Standing::Failing);
            memory = memory.standing(&source, standing, at(*second));
            let Some(change) = memory.untold("key", &source, &stack, at(*second)) else { continue };
            // Whoever died before it wrote that down says the same under the same id.
            let again = memory.untold("key", &source, &stack, at(second + 1)).unwrap();
            assert_eq!((&again.notice, again.state), (&change.notice, change.state));
            assert!(ids.insert(change.notice.clone()), "{change:?} has the id of something else");
            told.push((change.state, change.since.as_second()));
            memory = memory.with_told(&change);
        }
        told
    }

    #[test]
    fn a_copy_is_told_when_it_begins_to_fail_when_what_is_wrong_changes_and_once_when_it_is_equal_again() {
        use ReplicaState::{Changed, Equal, Failed};
        let main = |reason: &str| Some(vec![diverged("refs/heads/main", reason)]);
        let both = Some(vec![diverged("refs/heads/main", "a"), diverged("refs/heads/next", "a")]);
        let looks = [
            (1, None),
            (2, main("at 1")),
            (3, main("at 1")),
            // The source moves on: it is the same divergence.
            (4, main("at 2")),
            (5, both),
            (6, main("at 2")),
            (7, None),
            (8, None),
            (9, main("at 3")),
        ];
        assert_eq!(told(&looks), [(Failed, 2), (Changed, 2), (Changed, 2), (Equal, 2), (Failed, 9)]);
    }

    #[test]
    fn a_failure_that_is_over_before_anybody_heard_of_it_is_not_told() {
        let (source, stack) = (RepositoryName::parse("demo").unwrap(), StackName::parse("signalbox").unwrap());
        let failing = Memory::empty("x").standing(&source, Standing::Failing(vec![diverged("a", "b")]), at(1));
        assert!(failing.untold("key", &source, &stack, at(1)).is_some());
        let equal = failing.standing(&source, Standing::Equal, at(2));
        assert_eq!(equal.untold("key", &source, &stack, at(2)), None);
    }

    #[test]
    fn of_many_obstacles_the_first_are_told_and_the_rest_are_counted() {
        let (source, stack) = (RepositoryName::parse("demo").unwrap(), StackName::parse("signalbox").unwrap());
        let many = (0..50).map(|n| diverged(&format!("refs/heads/b{n}"), "x")).collect();
        let memory = Memory::empty("x").standing(&source, Standing::Failing(many), at(1));
        let change = memory.untold("key", &source, &stack, at(1)).unwrap();
        assert_eq!((change.obstacles.len(), change.left_out), (MOST_OBSTACLES, 30));
    }
}
