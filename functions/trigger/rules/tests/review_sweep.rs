//! The sweep over pull requests: what is found, what is remembered.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use signalbox_events::{CommitId, PullRequestState, RefName, RepositoryName, RevisionId};
use signalbox_policy::{Policy, parse_policy};
use signalbox_trigger_rules::*;

fn policy(into: &str) -> Policy {
    let text = format!(
        "repositories:\n  demo:\n    triggers:\n      unit:\n        on: {{ pull_request: {{ into: [{into}] }} }}\n        start: {{ build: unit }}\n"
    );
    parse_policy(&text).unwrap_or_else(|problems| panic!("{problems}"))
}

fn repository() -> RepositoryName {
    RepositoryName::parse("demo").unwrap()
}

fn pull_request(into: &str, revision: u32) -> PullRequest {
    let commit = CommitId::parse(format!("{revision:040x}")).unwrap();
    PullRequest {
        state: PullRequestState::Open,
        revision: RevisionId::parse(format!("{revision:064x}")).unwrap(),
        source: RefName::branch("feature").unwrap(),
        source_commit: commit.clone(),
        into: RefName::branch(into).unwrap(),
        into_commit: commit,
        base: None,
        author: None,
        title: String::new(),
    }
}

fn look(listed: impl IntoIterator<Item = u64>, memory: Option<ReviewMemory>) -> ReviewLook {
    ReviewLook { repository: repository(), listed: listed.into_iter().collect(), memory }
}

/// A whole look at these pull requests; gives what was found and what is remembered.
fn whole(open: &BTreeMap<u64, PullRequest>, memory: Option<ReviewMemory>, policy: &Policy) -> (Vec<u64>, ReviewMemory) {
    let look = look(open.keys().copied(), memory);
    let wanted = look.wanted(None, policy);
    let found = wanted.iter().filter(|n| look.compare(**n, &open[n], policy) == Comparison::Found).copied().collect();
    let dealt = wanted.iter().map(|n| (*n, look.seen(&open[n], policy))).collect();
    (found, look.remember(look.memory.as_ref(), &dealt, &BTreeMap::new()))
}

#[test]
fn what_is_seen_first_is_remembered_and_what_is_new_or_moved_is_found() {
    let policy = policy("main");
    let mut open = BTreeMap::from([(1, pull_request("main", 1)), (2, pull_request("other", 1))]);
    let (found, memory) = whole(&open, None, &policy);
    assert_eq!(found, Vec::<u64>::new());
    open.insert(3, pull_request("main", 1));
    open.insert(4, pull_request("other", 1));
    open.insert(1, pull_request("main", 2));
    let (found, memory) = whole(&open, Some(memory), &policy);
    assert_eq!(found, [1, 3]);
    let (found, memory) = whole(&open, Some(memory), &policy);
    assert_eq!(found, Vec::<u64>::new());
    // Into a branch that no trigger wants: known, and not even looked at.
    assert_eq!(look(open.keys().copied(), Some(memory.clone())).wanted(None, &policy), [1, 3]);
    // A closed one is forgotten, and one that is wanted only now is remembered.
    open.remove(&3);
    let (found, memory) = whole(&open, Some(memory), &self::policy("main, other"));
    assert_eq!((found, memory.open.unwrap().keys().copied().collect::<Vec<_>>()), (vec![], vec![1, 2, 4]));
}

#[test]
fn a_first_look_that_was_cut_off_makes_nothing_new_of_what_it_did_not_reach() {
    let (policy, first) = (policy("main"), look([1, 2, 3], None));
    assert_eq!(first.wanted(None, &policy), [1, 2, 3]);
    let dealt = BTreeMap::from([(1, first.seen(&pull_request("main", 1), &policy))]);
    let memory = first.remember(None, &dealt, &BTreeMap::new());
    let next = look([1, 2, 3, 4], Some(memory));
    assert_eq!(next.wanted(Some(1), &policy), [2, 3, 4]);
    let compared = [2, 3, 4].map(|n| next.compare(n, &pull_request("main", 9), &policy));
    assert_eq!(compared, [Comparison::Known, Comparison::Known, Comparison::Found]);
}

#[test]
fn a_list_that_could_not_be_had_leaves_the_first_look_a_first_look() {
    let trouble = Trouble { since: jiff::Timestamp::UNIX_EPOCH, why: "away".to_owned(), told: false, refusal: None };
    let memory = ReviewMemory::troubled(None, &trouble);
    let look = look([1], Some(memory));
    assert_eq!(look.compare(1, &pull_request("main", 1), &policy("main")), Comparison::Known);
    let after = look.remember(look.memory.as_ref(), &BTreeMap::new(), &BTreeMap::new());
    assert!(after.troubles.is_empty() && after.open.is_some());
}

proptest! {
    /// Whatever is opened, pushed to and closed between two sweeps, each revision that a whole sweep sees is found once.
    #[test]
    fn every_revision_that_is_seen_is_found_once(
        steps in prop::collection::vec(prop::collection::vec((1_u64..6, 0_u8..3), 0..4), 1..8),
    ) {
        let policy = policy("main");
        let (mut open, mut revision, mut closed) = (BTreeMap::new(), 0, BTreeSet::new());
        let (_, mut memory) = whole(&open, None, &policy);
        for step in steps {
            let mut changed = BTreeSet::new();
            for (number, what) in step {
                if closed.contains(&number) {
                    continue;
                }
                if what == 0 && open.remove(&number).is_some() {
                    closed.insert(number);
                    changed.remove(&number);
                } else if what > 0 {
                    revision += 1;
                    open.insert(number, pull_request("main", revision));
                    changed.insert(number);
                }
            }
            let (found, next) = whole(&open, Some(memory), &policy);
            prop_assert_eq!(found, changed.into_iter().collect::<Vec<_>>());
            let (again, next) = whole(&open, Some(next), &policy);
            prop_assert_eq!(again, Vec::<u64>::new());
            memory = next;
        }
    }
}
