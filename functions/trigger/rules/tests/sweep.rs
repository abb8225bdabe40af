//! The sweep's comparison: what was seen, what is there, what moved, what is remembered.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use signalbox_events::{AccountId, CommitId, Envelope, EventId, Region, RepositoryName};
use signalbox_policy::parse_policy;
use signalbox_trigger_rules::*;

const NOW: i64 = 1_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn commit(name: &str) -> CommitId {
    CommitId::parse(name).unwrap()
}

fn memory(id: &str, written: i64, branches: &[(&str, Option<&str>)]) -> Memory {
    let seen = |name: &str| Seen { commit: commit(name), since: at(1) };
    Memory {
        repository_id: Some(id.to_owned()),
        written: at(written),
        branches: branches.iter().map(|(name, tip)| ((*name).to_owned(), tip.map(seen))).collect(),
        trouble: None,
        troubles: BTreeMap::new(),
    }
}

fn at_tip(name: &str) -> Tip {
    Tip { commit: Some(commit(name)), asked: at(NOW + 1), answered: at(NOW + 3) }
}

fn trouble(since: i64) -> Trouble {
    Trouble { since: at(since), why: "throttled".to_owned(), told: false, refusal: None }
}

/// A look at branches that are all wanted, but for those that begin with `x`.
fn look(tips: &[(&str, &str)], memory: Option<Memory>) -> Look {
    let listed: BTreeSet<String> = tips.iter().map(|(name, _)| (*name).to_owned()).collect();
    let wanted: BTreeSet<String> = listed.iter().filter(|name| !name.starts_with('x')).cloned().collect();
    let tips = tips.iter().filter(|(name, _)| wanted.contains(*name));
    Look {
        repository: RepositoryName::parse("demo").unwrap(),
        repository_id: Some("id".to_owned()),
        at: at(NOW),
        tips: tips.map(|(name, tip)| ((*name).to_owned(), at_tip(tip))).collect(),
        listed,
        wanted,
        memory,
        round: None,
    }
}

fn moved(look: &Look) -> Vec<(String, Option<String>)> {
    let from = |moved: Moved| moved.from.map(|seen| seen.commit.to_string());
    look.moved().into_iter().map(|moved| (moved.reference.short().to_owned(), from(moved))).collect()
}

fn remembered(memory: &Memory) -> Vec<(&str, Option<&str>)> {
    let all = memory.branches.iter();
    all.map(|(name, seen)| (name.as_str(), seen.as_ref().map(|seen| seen.commit.as_str()))).collect()
}

/// What is pushed while an answer is on its way, and has an event of its own, is newer than what the answer tells.
#[test]
fn a_push_that_the_sweep_finds_is_as_old_as_the_question() {
    let look = look(&[("main", "bb")], Some(memory("id", NOW, &[("main", Some("aa"))])));
    let moved = look.moved().remove(0);
    let sweep = Envelope {
        id: EventId::parse("sweep").unwrap(),
        time: Some(at(NOW - 60)),
        region: Region::parse("eu-central-1").unwrap(),
        account: AccountId::parse("111122223333").unwrap(),
        resources: Vec::new(),
        replay_name: None,
        again: None,
    };
    assert_eq!(moved.event(moved.id().unwrap(), &sweep).envelope.time, Some(at(NOW + 1)));
    // For the journal it is what was there when the answer came: an event of a push before that is the same push.
    assert_eq!(moved.arrival(moved.id().unwrap()).at, at(NOW + 3));
}

#[test]
fn what_moved_is_what_was_seen_elsewhere_and_what_was_never_there() {
    let day = 24 * 3600;
    for (what, memory, expected) in [
        ("the first look", None, vec![]),
        ("nothing moved", Some(memory("id", NOW, &[("main", Some("bb")), ("x", None)])), vec![]),
        ("a branch moved", Some(memory("id", NOW, &[("main", Some("aa"))])), vec![("main", Some("aa"))]),
        ("a branch is new", Some(memory("id", NOW, &[("gone", Some("aa"))])), vec![("main", None)]),
        ("a branch is wanted for the first time", Some(memory("id", NOW, &[("main", None)])), vec![]),
        ("a repository made anew", Some(memory("other", NOW, &[("main", Some("aa"))])), vec![]),
        ("a memory of yesterday", Some(memory("id", NOW - day, &[("main", Some("aa"))])), vec![("main", Some("aa"))]),
        ("a memory that is stale", Some(memory("id", NOW - 2 * day, &[("main", Some("aa"))])), vec![]),
    ] {
        let look = look(&[("main", "bb"), ("x", "cc")], memory);
        let expected: Vec<_> =
            expected.into_iter().map(|(name, from)| (name.to_owned(), from.map(str::to_owned))).collect();
        assert_eq!(moved(&look), expected, "{what}");
        let after = look.remember(look.memory.as_ref(), &BTreeMap::new());
        assert_eq!(remembered(&after), [("main", Some("bb")), ("x", None)], "{what}");
    }
}

#[test]
fn what_could_not_be_dealt_with_is_found_again_under_the_same_id() {
    let before = memory("id", NOW, &[("main", Some("aa"))]);
    let first = look(&[("feature", "cc"), ("main", "bb")], Some(before));
    let open = ["main", "feature"].map(|name| (name.to_owned(), trouble(NOW))).into();
    let after = first.remember(first.memory.as_ref(), &open);
    let second = Look { at: at(NOW + 900), memory: Some(after), ..first.clone() };
    let ids = |look: &Look| look.moved().iter().map(|moved| moved.id().unwrap()).collect::<Vec<_>>();
    assert_eq!(ids(&first), ids(&second));
    assert_eq!(ids(&first).len(), 2);
}

#[test]
fn a_look_that_stopped_half_way_forgets_nothing_and_starts_nothing() {
    // The first look of all, which saw one of two branches; then the rest.
    let mut half = look(&[("a", "aa"), ("b", "bb")], None);
    half.tips.remove("b");
    let after = half.remember(None, &BTreeMap::new());
    assert_eq!(remembered(&after), [("a", Some("aa")), ("b", None)]);
    let rest = look(&[("a", "aa"), ("b", "bb")], Some(after));
    assert_eq!(moved(&rest), []);
    // A later one that did not get as far as a new branch: the next look still finds it new.
    let known = memory("id", NOW, &[("a", Some("aa"))]);
    let mut half = look(&[("a", "aa"), ("b", "bb")], Some(known));
    half.tips.remove("b");
    let after = half.remember(half.memory.as_ref(), &BTreeMap::new());
    assert_eq!(moved(&look(&[("a", "aa"), ("b", "bb")], Some(after))), [("b".to_owned(), None)]);
}

#[test]
fn a_branch_is_seen_at_a_place_from_the_question_on_and_had_got_there_when_the_answer_came() {
    let moved = look(&[("main", "bb")], Some(memory("id", NOW, &[("main", Some("aa"))])));
    assert_eq!(moved.moved()[0].at, at(NOW + 3), "its push is older than the answer");
    let after = moved.remember(moved.memory.as_ref(), &BTreeMap::new());
    let seen = after.branches["main"].as_ref().unwrap();
    assert_eq!(seen.since, at(NOW + 1), "whatever happens to it later is younger than the question");
}

#[test]
fn a_branch_in_trouble_keeps_its_place_and_since_when_until_it_goes_well() {
    let before = memory("id", NOW, &[("main", Some("aa")), ("other", Some("cc"))]);
    let mut failing = look(&[("main", "bb"), ("other", "dd")], Some(before));
    failing.tips.remove("main");
    let open = BTreeMap::from([("main".to_owned(), trouble(NOW))]);
    let after = failing.remember(failing.memory.as_ref(), &open);
    assert_eq!(remembered(&after), [("main", Some("aa")), ("other", Some("dd"))]);
    assert_eq!(after.troubles, open);
    let well = look(&[("main", "bb"), ("other", "dd")], Some(after));
    assert_eq!(moved(&well), [("main".to_owned(), Some("aa".to_owned()))]);
    assert!(well.remember(well.memory.as_ref(), &BTreeMap::new()).troubles.is_empty());
}

#[test]
fn a_scheduled_event_that_waited_while_another_sweep_began_is_answered() {
    let cursor = |began: Option<i64>| Cursor { began: began.map(at), ..Cursor::default() };
    for (what, began, due, expected) in [
        ("the first sweep of all", None, Some(NOW), None),
        ("the next in its turn", Some(NOW - 900), Some(NOW), None),
        ("two at nearly the same time", Some(NOW + 30), Some(NOW), None),
        ("one that waited through an outage", Some(NOW + 7200), Some(NOW), Some(NOW + 7200)),
        ("one that does not say when it was due", Some(NOW), None, None),
    ] {
        assert_eq!(cursor(began).answers(due.map(at)), expected.map(at), "{what}");
    }
    let written = cursor(Some(NOW)).over(Some(&cursor(Some(NOW + 1))));
    assert_eq!(written.began, Some(at(NOW + 1)), "a slow sweep does not take back what a later one wrote");
}

#[test]
fn only_a_round_that_came_around_answers_for_others_and_it_counts_from_its_first_sweep() {
    let name = |name: &str| RepositoryName::parse(name).unwrap();
    let stopped = |repository: &str| Some((name(repository), None));
    let first = Cursor { began: Some(at(NOW)), ..Cursor::default() }.after(at(NOW + 100), stopped("m"));
    assert_eq!((first.began, first.round), (Some(at(NOW)), Some(at(NOW + 100))), "it looked at a part only");
    let within = first.after(at(NOW + 200), Some((name("m"), Some("branch".to_owned()))));
    assert_eq!((within.began, within.round), (Some(at(NOW)), Some(at(NOW + 100))));
    let behind = within.after(at(NOW + 300), None);
    assert_eq!((behind.began, behind.round), (Some(at(NOW + 100)), None), "a part of m was seen before");
    let around = first.after(at(NOW + 200), stopped("c"));
    assert_eq!((around.began, around.round), (Some(at(NOW + 100)), Some(at(NOW + 200))), "past the last to the first");
    let alone = first.after(at(NOW + 200), None);
    assert_eq!((alone.began, alone.repository), (Some(at(NOW + 200)), None), "it looked at everything by itself");
}

#[test]
fn a_slow_round_makes_no_known_repository_begin_anew_and_one_that_does_says_so() {
    let hours = |hours: i64| hours * 3600;
    let lost = vec![("main".to_owned(), Some("aa".to_owned()))];
    for (what, id, written, round, found, anew) in [
        ("the last whole round saw it", "id", hours(90), Some(hours(80)), true, None),
        ("a little before that round", "id", hours(90), Some(hours(50)), true, None),
        ("rounds go on, and none looked at it", "id", hours(90), Some(hours(40)), false, Some(Some(hours(90)))),
        ("no whole round is known of", "id", hours(90), None, false, Some(Some(hours(90)))),
        ("it was deleted and made again", "other", 0, Some(0), false, Some(None)),
    ] {
        let memory = memory(id, NOW - written, &[("main", Some("aa"))]);
        let look = Look { round: round.map(|ago| at(NOW - ago)), ..look(&[("main", "bb")], Some(memory)) };
        assert_eq!(moved(&look), if found { lost.clone() } else { Vec::new() }, "{what}");
        let begins = look.begins_anew().map(|anew| anew.stale_since);
        assert_eq!(begins, anew.map(|since| since.map(|ago| at(NOW - ago))), "{what}");
    }
    assert_eq!(look(&[("main", "bb")], None).begins_anew(), None, "a first look is none");
    let only_trouble = Memory::troubled(None, &trouble(NOW - hours(90)));
    assert_eq!(look(&[("main", "bb")], Some(only_trouble)).begins_anew(), None, "nothing was ever seen there");
}

#[test]
fn what_another_sweep_learned_meanwhile_stays() {
    let before = memory("id", NOW, &[("main", Some("aa"))]);
    let slow = look(&[("main", "bb")], Some(before));
    let there = memory("id", NOW, &[("main", Some("cc")), ("new", Some("dd"))]);
    let after = slow.remember(Some(&there), &BTreeMap::new());
    assert_eq!(remembered(&after), [("main", Some("cc")), ("new", Some("dd"))]);
}

#[test]
fn a_quiet_look_changes_nothing_until_the_memory_is_half_a_day_old() {
    let before = memory("id", NOW, &[("main", Some("bb"))]);
    let quiet = look(&[("main", "bb")], Some(before.clone()));
    assert_eq!(quiet.remember(Some(&before), &BTreeMap::new()), before);
    // Sweeps a day apart, too, keep it well away from going stale.
    let later = Look { at: at(NOW) + SignedDuration::from_hours(13), ..quiet };
    assert_eq!(later.remember(Some(&before), &BTreeMap::new()).written, later.at);
}

#[test]
fn only_branches_whose_push_can_start_something_are_wanted() {
    let text = "repositories:\n  demo:\n    triggers:\n      unit: { on: { push: { branches: [main] } }, start: { build: u } }\n      tags: { on: { push: { tags: ['*'] } }, start: { build: u } }\n      asks: { on: { push: { branches: [asked] } }, start: { build: u }, ask: { from: [team] } }\n      later: { on: { push: { branches: [piped] } }, start: { pipeline: p } }\n  tags:\n    triggers:\n      tags: { on: { push: { tags: ['*'] } }, start: { build: u } }\npeople:\n  'arn:aws:iam::111122223333:user/developer': { teams: [team] }\n";
    let policy = parse_policy(text).unwrap();
    let listed = ["main", "asked", "piped", "other", "quarantine/main"].map(str::to_owned).into();
    let repository = |name: &str| RepositoryName::parse(name).unwrap();
    assert_eq!(wanted(&repository("demo"), &listed, &policy), ["main".to_owned()].into());
    assert!(may_start(&repository("demo"), &policy));
    assert!(!may_start(&repository("tags"), &policy) && !may_start(&repository("elsewhere"), &policy));
}

proptest! {
    /// What was remembered after a look is what the next look of the same branches finds unmoved.
    #[test]
    fn a_second_look_at_the_same_branches_finds_nothing(
        before in prop::option::of(prop::collection::btree_map("[a-fx]", prop::option::of("[a-c]{2}"), 0..6)),
        tips in prop::collection::btree_map("[a-fx]", "[a-c]{2}", 0..6),
    ) {
        let before = before.map(|branches: BTreeMap<String, Option<String>>| {
            let branches: Vec<_> = branches.iter().map(|(name, tip)| (name.as_str(), tip.as_deref())).collect();
            memory("id", NOW, &branches)
        });
        let tips: Vec<(&str, &str)> = tips.iter().map(|(name, tip)| (name.as_str(), tip.as_str())).collect();
        let first = look(&tips, before);
        let after = first.remember(first.memory.as_ref(), &BTreeMap::new());
        prop_assert!(look(&tips, Some(after.clone())).moved().is_empty());
        prop_assert_eq!(after.branches.len(), tips.len());
    }
}
