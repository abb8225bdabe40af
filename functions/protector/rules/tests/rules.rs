//! Moves of protected refs, and ranges of commits, against policies.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use signalbox_events::{Arn, CommitId, EventId, PullRequestId, RefName, Region, RepositoryName};
use signalbox_policy::{Mode, Policy, parse_policy};
use signalbox_protector_rules::*;

fn policy(protection: &str) -> Policy {
    let text = format!("mode: enforce\nrepositories:\n  demo:\n    protection:\n      - {protection}\n");
    parse_policy(&text).unwrap_or_else(|problems| panic!("{protection}: {problems:?}"))
}

fn commit(letter: char) -> CommitId {
    CommitId::parse(letter.to_string().repeat(40)).unwrap()
}

fn place(letter: char) -> Place {
    (letter != '-').then(|| commit(letter))
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn developer() -> Option<Arn> {
    Some(Arn::parse("arn:aws:iam::111122223333:user/developer").unwrap())
}

fn moved(number: i64, from: char, to: char, judged: Judged) -> Move {
    let id = EventId::parse(format!("e{number}")).unwrap();
    let by = if judged == Judged::Ours { None } else { developer() };
    Move { id, at: Some(second(number)), old: place(from), new: place(to), by, judged }
}

fn subject(name: &str) -> Subject {
    Subject { repository: RepositoryName::parse("demo").unwrap(), reference: RefName::parse(name).unwrap() }
}

fn tip(letter: char) -> Tip {
    match place(letter) {
        Some(commit) => Tip::At { object: Object::parse(commit.as_str()).unwrap(), commit },
        None => Tip::Gone,
    }
}

/// A move of `main` from one place to another, at which it is now.
fn facts(from: char, to: char) -> Facts {
    facts_of("refs/heads/main", moved(1, from, to, Judged::Good))
}

fn facts_of(name: &str, made: Move) -> Facts {
    let to = made.new.as_ref().map_or('-', |commit| commit.as_str().chars().next().unwrap());
    let now = made.at.unwrap();
    let region = Region::parse("eu-west-1").unwrap();
    let facts = Facts::before_gathering(Some(subject(name)), region, Origin::Event, Some(made), now);
    Facts { tip: tip(to), ..facts }
}

fn rewritten(facts: Facts) -> Facts {
    Facts { arrival: Arrival { ancestry: Ancestry::Rewritten, ..facts.arrival.clone() }, ..facts }
}

fn restore(decision: &Decision) -> Option<&Restore> {
    decision.actions.iter().find_map(|action| match action {
        Action::Restore(restore) => Some(&**restore),
        _ => None,
    })
}

fn judged(decision: &Decision) -> Option<Judged> {
    decision.actions.iter().find_map(|action| match action {
        Action::Remember { made, .. } => Some(made.judged),
        _ => None,
    })
}

fn said(decision: &Decision) -> String {
    decision.reasons.iter().map(render_reason).collect::<Vec<_>>().join("\n")
}

const NO_FORCE: &str = "{ refs: [main], forbid: [force-push, deletion] }";

#[test]
fn a_move_that_nothing_forbids_is_remembered_and_left() {
    let decision = decide(&facts('a', 'b'), &policy(NO_FORCE));
    assert_eq!((decision.verdict, judged(&decision)), (Verdict::Allowed, Some(Judged::Good)));
    let other = decide(&facts_of("refs/heads/other", moved(1, 'a', '-', Judged::Good)), &policy(NO_FORCE));
    assert_eq!((other.verdict, other.actions.len()), (Verdict::NotConcerned, 0));
}

#[test]
fn a_force_push_is_put_back_and_what_was_pushed_is_kept() {
    let decision = decide(&rewritten(facts('a', 'b')), &policy(NO_FORCE));
    let restore = restore(&decision).unwrap();
    assert_eq!((&restore.from_commit, &restore.to_commit), (&place('b'), &place('a')));
    assert_eq!(restore.keep.as_ref().unwrap().as_str(), "refs/heads/quarantine/main/20231114T221321Z-bbbbbbb");
    assert_eq!(kept_since(restore.keep.as_ref().unwrap()), Some(second(1)));
    assert_eq!((decision.verdict, judged(&decision)), (Verdict::Restore, Some(Judged::Bad)));
    assert!(render_rescue(restore).unwrap().contains("git fetch origin quarantine/main/20231114T221321Z-bbbbbbb"));
}

#[test]
fn a_deleted_ref_is_made_again_and_nothing_is_kept() {
    let decision = decide(&facts('a', '-'), &policy(NO_FORCE));
    let restore = restore(&decision).unwrap();
    assert_eq!((&restore.from, &restore.to_commit, &restore.keep), (&None, &place('a'), &None));
}

#[test]
fn a_deleted_tag_comes_back_as_the_tag_object_that_was_seen() {
    let tags = policy("{ refs: [\"refs/tags/v*\"], forbid: [update, deletion] }");
    let made = facts_of("refs/tags/v1", moved(1, '-', 'a', Judged::Good));
    let object = Object::parse(&"c".repeat(40)).unwrap();
    let made = Facts { tip: Tip::At { object: object.clone(), commit: commit('a') }, ..made };
    let decision = decide(&made, &tags);
    let Some(Action::Remember { object: Some((of, seen)), .. }) = decision.actions.first() else {
        panic!("{decision:?}")
    };
    assert_eq!((of, seen), (&commit('a'), &object));
    let mut deleted = facts_of("refs/tags/v1", moved(2, 'a', '-', Judged::Good));
    deleted.journal = Journal::default().with(&moved(1, '-', 'a', Judged::Good)).seen(of, seen);
    assert_eq!(restore(&decide(&deleted, &tags)).unwrap().to, Some(object));
}

#[test]
fn each_word_of_forbid_is_its_own() {
    let violation = |protection: &str, facts: Facts| {
        let decision = decide(&facts, &policy(protection));
        decision.violations().map(|it| format!("{:?}", it.what)).collect::<Vec<_>>().join(" ")
    };
    let merged = |merged: Merged| {
        let facts = facts('a', 'b');
        Facts { arrival: Arrival { merged, ..facts.arrival.clone() }, ..facts }
    };
    let one = |word: &str| format!("{{ refs: [main], forbid: [{word}] }}");
    assert_eq!(violation(&one("direct-push"), merged(Merged::No)), "DirectPush");
    assert_eq!(violation(&one("direct-push"), merged(Merged::By(PullRequestId::parse("7").unwrap()))), "");
    assert_eq!(violation(&one("direct-push"), facts('-', 'a')), "", "a new branch is no push to one that is there");
    assert_eq!(violation(&one("creation"), facts('-', 'a')), "Creation");
    assert_eq!(violation(&one("update"), facts('a', 'b')), "Update");
    assert_eq!(violation(&one("update"), facts('a', '-')), "", "a deletion has a word of its own");
    assert_eq!(violation(&one("deletion"), facts('a', '-')), "Deletion");
    assert_eq!(violation(&one("force-push"), rewritten(facts('a', 'b'))), "ForcePush");
    let names = "{ refs: [\"**\"], names: \"^(feature|fix)/[a-z]+$\" }";
    let named = |name: &str| violation(names, facts_of(name, moved(1, '-', 'a', Judged::Good)));
    assert!(named("refs/heads/Test").starts_with("Name"), "{}", named("refs/heads/Test"));
    assert_eq!(named("refs/heads/feature/one"), "");
    assert_eq!(named("refs/heads/quarantine/main/x"), "", "the reserved prefix is nobody's");
}

#[test]
fn a_ref_that_must_not_be_made_ends_and_is_kept() {
    let decision = decide(&facts('-', 'a'), &policy("{ refs: [main], forbid: [creation] }"));
    let restore = restore(&decision).unwrap();
    assert_eq!((&restore.from_commit, &restore.to), (&place('a'), &None));
    assert!(restore.keep.is_some());
}

#[test]
fn report_only_reports_and_the_stricter_protection_holds() {
    let report = "{ refs: [main], forbid: [force-push], on_violation: report }";
    let decision = decide(&rewritten(facts('a', 'b')), &policy(report));
    assert_eq!((decision.verdict, judged(&decision)), (Verdict::Reported, Some(Judged::Reported)));
    let both = policy(&format!("{report}\n      - {{ refs: [\"**\"], forbid: [force-push] }}"));
    assert_eq!(decide(&rewritten(facts('a', 'b')), &both).verdict, Verdict::Restore);
    // One that is not violated makes nothing stricter.
    let other = policy(&format!("{report}\n      - {{ refs: [\"**\"], forbid: [deletion] }}"));
    assert_eq!(decide(&rewritten(facts('a', 'b')), &other).verdict, Verdict::Reported);
}

#[test]
fn whom_a_bypass_names_may_do_it_and_each_protection_has_its_own() {
    let bypass = "{ refs: [main], forbid: [force-push], bypass: [\"arn:aws:iam::111122223333:user/dev*\"] }";
    let decision = decide(&rewritten(facts('a', 'b')), &policy(bypass));
    assert_eq!((decision.verdict, judged(&decision)), (Verdict::Bypassed, Some(Judged::Bypassed)));
    assert!(said(&decision).contains("developer may do it all the same"), "{}", said(&decision));
    let both = policy(&format!("{bypass}\n      - {{ refs: [main], forbid: [force-push] }}"));
    assert_eq!(decide(&rewritten(facts('a', 'b')), &both).verdict, Verdict::Restore);
    let mut unknown = rewritten(facts('a', 'b'));
    unknown.made.as_mut().unwrap().by = None;
    assert_eq!(decide(&unknown, &policy(bypass)).verdict, Verdict::Restore, "nobody is let through for being unknown");
}

#[test]
fn our_own_moves_are_noted_once_and_never_answered() {
    let ours = Facts { whose: Whose::Ours, ..rewritten(facts('b', 'a')) };
    let decision = decide(&ours, &policy(NO_FORCE));
    assert_eq!((decision.verdict, judged(&decision)), (Verdict::Ours, Some(Judged::Ours)));
    let known = Facts { journal: Journal::default().with(&moved(0, 'b', 'a', Judged::Ours)), ..ours };
    assert!(decide(&known, &policy(NO_FORCE)).actions.is_empty());
}

#[test]
fn observe_decides_the_same_and_leaves_nothing_to_be_undone_later() {
    let mut observing = policy(NO_FORCE);
    observing.mode = Mode::Observe;
    let decision = decide(&rewritten(facts('a', 'b')), &observing);
    assert_eq!(
        (decision.verdict, decision.mode, judged(&decision)),
        (Verdict::Restore, Mode::Observe, Some(Judged::Reported))
    );
    assert!(restore(&decision).is_some());
}

#[test]
fn where_the_way_is_not_known_it_waits_and_then_reports() {
    let mut elsewhere = rewritten(facts('a', 'b'));
    elsewhere.tip = tip('c');
    let decision = decide(&elsewhere, &policy(NO_FORCE));
    assert!(
        matches!(decision.actions.last(), Some(Action::ComeAgain { .. })) && decision.is_complete(),
        "{decision:?}"
    );
    elsewhere.now += SignedDuration::from_mins(11);
    let decision = decide(&elsewhere, &policy(NO_FORCE));
    assert_eq!((decision.verdict, judged(&decision)), (Verdict::Reported, Some(Judged::Reported)));
    assert!(!decision.is_complete() && restore(&decision).is_none());
}

#[test]
fn what_the_sweep_finds_is_told_and_never_undone() {
    let found = Facts { origin: Origin::Sweep, ..rewritten(facts('a', 'b')) };
    let decision = decide(&found, &policy(NO_FORCE));
    assert_eq!(decision.verdict, Verdict::Reported);
    assert!(restore(&decision).is_none() && !decision.is_complete());
    assert!(said(&decision).contains("no event told"), "{}", said(&decision));
}

#[test]
fn the_place_of_the_ref_is_looked_up_only_for_what_is_not_allowed() {
    let blind = |facts: Facts| Facts { tip: Tip::NotRead, ..facts };
    assert!(!wants_tip(&blind(facts('a', 'b')), &policy(NO_FORCE)));
    assert!(wants_tip(&blind(rewritten(facts('a', 'b'))), &policy(NO_FORCE)));
    assert!(!wants_tip(&rewritten(facts('a', 'b')), &policy(NO_FORCE)));
}

#[test]
fn a_person_is_put_back_every_time_only_later() {
    let mut journal = Journal::default();
    let mut waits = Vec::new();
    for round in 0..6 {
        let at = round * 120;
        let mut facts = rewritten(facts_of("refs/heads/main", moved(at, 'a', 'b', Judged::Good)));
        facts.journal = journal.clone();
        let decision = decide(&facts, &policy(NO_FORCE));
        let restore = restore(&decision).unwrap_or_else(|| panic!("round {round}: {}", said(&decision)));
        waits.push(restore.not_before.map_or(0, |until| until.duration_since(second(at)).as_secs()));
        journal = journal.with(&moved(at, 'a', 'b', Judged::Undone));
        journal = journal.with(&moved(at + 60, 'b', 'a', Judged::Ours));
    }
    assert_eq!(waits, [0, 0, 5, 10, 20, 40]);
}

#[test]
fn against_another_guard_it_ends_after_three_rounds_and_asks_a_person() {
    let mut journal = Journal::default();
    for round in 0..3 {
        let at = round * 20;
        journal = journal.with(&moved(at, 'a', 'b', Judged::Undone)).with(&moved(at + 2, 'b', 'a', Judged::Ours));
    }
    let mut facts = rewritten(facts_of("refs/heads/main", moved(60, 'a', 'b', Judged::Good)));
    facts.journal = journal.clone();
    let decision = decide(&facts, &policy(NO_FORCE));
    assert!(restore(&decision).is_none() && !decision.is_complete());
    assert!(said(&decision).contains("moves the ref back each time"), "{}", said(&decision));
    // Something else that is pushed is no answer to us.
    let mut facts = rewritten(facts_of("refs/heads/main", moved(60, 'a', 'c', Judged::Good)));
    facts.journal = journal;
    assert!(restore(&decide(&facts, &policy(NO_FORCE))).is_some());
}

fn range() -> Range {
    Range {
        commits: vec![CommitFacts {
            id: commit('b'),
            parents: vec![commit('a')],
            message: "feat: one".to_owned(),
            author: "dev@example.com".to_owned(),
            committer: "dev@example.com".to_owned(),
            signature: Signature::NotRead,
        }],
        ..Range::default()
    }
}

fn file(path: &str) -> FileFacts {
    let content = Some(Content { form: Form::Text, secrets: Vec::new() });
    FileFacts {
        commit: commit('b'),
        path: path.to_owned(),
        kind: FileKind::File,
        size: Some(10),
        content,
        collides_with: None,
    }
}

/// What is wrong with a range, each as one sentence.
fn faults(rules: &str, range: &Range) -> Vec<String> {
    let policy = policy(&format!("{{ refs: [main], {rules} }}"));
    let protection = &policy.sections[0].protections[0];
    judge(range, protection.commits.as_ref(), protection.files.as_ref()).iter().map(ToString::to_string).collect()
}

#[test]
fn each_rule_for_commits_says_what_is_wrong_where_and_how_to_mend_it() {
    let with = |change: fn(&mut CommitFacts)| {
        let mut range = range();
        change(&mut range.commits[0]);
        range
    };
    for (rules, bad, begins) in [
        (
            r#"commits: { message: "^(feat|fix)" }"#,
            with(|it| it.message = "wip".to_owned()),
            "commits.message: commit bbbbbbb",
        ),
        (
            r#"commits: { forbid_message: "WIP" }"#,
            with(|it| it.message.push_str(" WIP")),
            "commits.forbid_message: commit bbbbbbb",
        ),
        (
            r#"commits: { author: "@example\\.com$" }"#,
            with(|it| it.author = "x@example.org".to_owned()),
            "commits.author: commit bbbbbbb",
        ),
        (
            r#"commits: { committer: "@example\\.com$" }"#,
            with(|it| it.committer = "x@y.example.org".to_owned()),
            "commits.committer: commit",
        ),
        ("commits: { history: linear }", with(|it| it.parents.push(commit('c'))), "commits.history: commit bbbbbbb"),
    ] {
        assert_eq!(faults(rules, &range()), [""; 0], "{rules}");
        let found = faults(rules, &bad);
        assert!(
            found.len() == 1 && found[0].starts_with(begins) && found[0].contains("To mend it"),
            "{rules}: {found:?}"
        );
    }
}

#[test]
fn each_rule_for_files_says_what_is_wrong_where_and_how_to_mend_it() {
    let one = |file: FileFacts| Range { files: vec![file], ..range() };
    let secret = |allowed_by: &[&str]| {
        let allowed_by = allowed_by.iter().map(|text| (*text).to_owned()).collect();
        let hit = SecretHit { kind: SecretKind::GithubToken, line: 3, allowed_by };
        FileFacts { content: Some(Content { form: Form::Text, secrets: vec![hit] }), ..file("a") }
    };
    let module = |address: Option<&str>| FileFacts {
        kind: FileKind::Submodule { address: address.map(str::to_owned) },
        content: None,
        ..file("lib")
    };
    let link =
        |target: &str| FileFacts { kind: FileKind::Symlink { target: Some(target.to_owned()) }, ..file("a/link") };
    let binary = Content { form: Form::Binary, secrets: Vec::new() };
    for (rules, good, bad, begins) in [
        (
            "files: { forbid: [\"*.pem\"] }",
            file("a.txt"),
            file("deep/in/key.pem"),
            "files.forbid: deep/in/key.pem in bbbbbbb",
        ),
        (
            "files: { max_size: 1KB }",
            file("a"),
            FileFacts { size: Some(1001), ..file("big") },
            "files.max_size: big in bbbbbbb",
        ),
        (
            "files: { reject: [binary] }",
            file("a"),
            FileFacts { content: Some(binary), ..file("a") },
            "files.reject binary: a",
        ),
        (
            "files: { reject: [escaping-symlink] }",
            link("../b"),
            link("../../b"),
            "files.reject escaping-symlink: a/link",
        ),
        (
            "files: { reject: [submodule] }",
            file("a"),
            module(Some("https://git.example.com/a")),
            "files.reject submodule: lib",
        ),
        (
            "files: { submodules: [\"https://git.example.com/**\"] }",
            module(Some("https://git.example.com/x/a")),
            module(Some("https://evil.example.org/a")),
            "files.submodules: lib",
        ),
        ("files: { submodules: [\"https://git.example.com/**\"] }", file("a"), module(None), "files.submodules: lib"),
        (
            "files: { reject: [case-collision] }",
            file("a"),
            FileFacts { collides_with: Some("A".to_owned()), ..file("a") },
            "files.reject case-collision: a",
        ),
        (
            "files: { reject: [secret], allow_secrets: [\"^x\"] }",
            secret(&["^x"]),
            secret(&[]),
            "files.reject secret: a",
        ),
        ("files: { reject: [secret] }", file("a"), secret(&["^another policy's"]), "files.reject secret: a"),
    ] {
        assert_eq!(faults(rules, &one(good)), [""; 0], "{rules}");
        let found = faults(rules, &one(bad));
        assert!(
            found.len() == 1 && found[0].starts_with(begins) && found[0].contains("To mend it"),
            "{rules}: {found:?}"
        );
    }
}

#[test]
fn what_could_not_be_looked_at_is_told_and_undoes_nothing() {
    let rules = policy("{ refs: [main], commits: { message: feat } }");
    let mut facts = facts('a', 'b');
    facts.arrival.range = Some(Range { unread: vec!["over 400 MB".to_owned()], ..range() });
    let decision = decide(&facts, &rules);
    assert_eq!(decision.verdict, Verdict::Reported);
    assert!(!decision.is_complete() && restore(&decision).is_none() && said(&decision).contains("over 400 MB"));
    facts.arrival.range.as_mut().unwrap().commits[0].message = "wip".to_owned();
    assert!(restore(&decide(&facts, &rules)).is_some(), "what was found beside it counts");
}

#[test]
fn a_good_commit_that_cannot_be_read_is_told() {
    let mut facts = facts('a', 'b');
    facts.arrival.ancestry = Ancestry::Unreadable;
    let decision = decide(&facts, &policy(NO_FORCE));
    assert!(!decision.is_complete() && said(&decision).contains("cannot be read any more"));
}

#[test]
fn only_what_a_protection_asks_is_gathered() {
    let wants = |protection: &str, name: &str, from: char, to: char| {
        let needs = needs_of(subject(name), Origin::Event, moved(1, from, to, Judged::Good), &policy(protection));
        needs.wants.into_iter().collect::<Vec<_>>()
    };
    let main = "refs/heads/main";
    assert_eq!(wants(NO_FORCE, main, 'a', 'b'), [Want::Ancestry]);
    assert_eq!(wants(NO_FORCE, main, 'a', '-'), []);
    assert_eq!(wants("{ refs: [main], forbid: [direct-push] }", main, 'a', 'b'), [Want::PullRequest]);
    assert_eq!(wants("{ refs: [main], files: { forbid: [\"*.pem\"] } }", main, 'a', 'b'), [Want::Paths]);
    let contents = wants("{ refs: [main], files: { reject: [secret] }, commits: { message: x } }", main, 'a', 'b');
    assert_eq!(contents, [Want::Commits, Want::Paths, Want::Contents]);
    assert_eq!(wants("{ refs: [\"refs/tags/*\"], forbid: [update] }", "refs/tags/v1", '-', 'a'), [Want::Tip]);
}

/// The facts of one look at a long push: what was found before, what is left.
fn long(message: &str, before: Option<Rest>, left: Option<Rest>) -> Facts {
    let mut facts = facts('a', 'b');
    let mut range = range();
    range.commits[0].message = message.to_owned();
    facts.arrival.range = Some(range);
    facts.arrival.rest = left;
    if let Some(before) = before {
        let made = facts.made.clone().unwrap();
        facts.journal = Journal::default().with(&made).with_rest(&made.id, Some(&before));
    }
    facts
}

fn rest_of(decision: &Decision) -> Option<&Rest> {
    decision.actions.iter().find_map(|action| match action {
        Action::Remember { rest, .. } => rest.as_deref(),
        _ => None,
    })
}

#[test]
fn a_long_push_is_judged_part_by_part_and_ends_with_all_that_was_found() {
    let rules = policy("{ refs: [main], on_violation: report, commits: { message: feat } }");
    let left = Rest { looks: 1, commits: 1, ..Rest::default() };
    let first = decide(&long("wip", None, Some(left)), &rules);
    assert_eq!((first.verdict, first.is_complete()), (Verdict::Reported, true));
    assert!(matches!(first.actions.last(), Some(Action::GoOn { .. })), "{first:?}");
    assert!(said(&first).contains("1 commits and 0 files of it were looked at so far"), "{}", said(&first));
    let before = rest_of(&first).unwrap().clone();
    assert_eq!(before.found.len(), 1);

    let again = Rest { looks: 2, commits: 2, ..Rest::default() };
    let second = decide(&long("feat", Some(before), Some(again)), &rules);
    let before = rest_of(&second).unwrap().clone();
    assert_eq!(before.found.len(), 1, "what was found is not forgotten");

    let last = decide(&long("feat", Some(before), None), &rules);
    assert_eq!((last.verdict, last.violations().count(), rest_of(&last)), (Verdict::Reported, 1, None));
    assert!(said(&last).contains("it was looked at in 3 parts"), "{}", said(&last));
    assert!(!last.actions.iter().any(|action| matches!(action, Action::GoOn { .. })));
}

#[test]
fn what_a_later_part_finds_is_undone_and_nothing_more_is_looked_at() {
    let rules = policy("{ refs: [main], commits: { message: feat } }");
    let before = Rest { looks: 1, ..Rest::default() };
    let decision = decide(&long("wip", Some(before), Some(Rest { looks: 2, ..Rest::default() })), &rules);
    assert_eq!((restore(&decision).unwrap().to_commit.clone(), rest_of(&decision)), (place('a'), None));
    assert!(!decision.actions.iter().any(|action| matches!(action, Action::GoOn { .. })));
    // What an earlier part found of a protection that is gone counts no more.
    let found = decision.violations().next().unwrap().clone();
    let before = Rest { looks: 1, found: vec![Violation { line: 99, ..found }], ..Rest::default() };
    assert_eq!(decide(&long("feat", Some(before), None), &rules).verdict, Verdict::Allowed);
}

#[test]
fn a_bypass_lets_a_part_through_and_the_rest_is_looked_at_all_the_same() {
    let rules =
        policy("{ refs: [main], commits: { message: feat }, bypass: [\"arn:aws:iam::111122223333:user/dev*\"] }");
    let decision = decide(&long("wip", None, Some(Rest { looks: 1, ..Rest::default() })), &rules);
    assert_eq!(decision.verdict, Verdict::Bypassed);
    assert!(rest_of(&decision).is_some() && matches!(decision.actions.last(), Some(Action::GoOn { .. })));
}

#[test]
fn no_expression_explodes_whatever_the_message_is() {
    // What takes other engines longer than the world will stand.
    let rules = "commits: { message: \"^(a|a?)+$\", forbid_message: [\"(x+x+)+y\", \"^(([a-z])+.)+[A-Z]([a-z])+$\"] }";
    let mut range = range();
    range.commits[0].message = format!("{}{}", "a".repeat(20_000), "x".repeat(40_000));
    assert_eq!(faults(rules, &range).len(), 1);
}

#[test]
fn signatures_are_wanted_with_the_keys_of_every_protection() {
    let both = "{ refs: [main], commits: { signed: anybody } }\n      - { refs: [\"**\"], commits: { message: feat } }";
    let needs = needs_of(subject("refs/heads/main"), Origin::Event, moved(1, 'a', 'b', Judged::Good), &policy(both));
    assert!(needs.wants.contains(&Want::Signatures) && needs.signing_keys.is_empty());
    let needs = needs_of(subject("refs/heads/other"), Origin::Event, moved(1, 'a', 'b', Judged::Good), &policy(both));
    assert!(!needs.wants.contains(&Want::Signatures));
}

/// A world of one ref: moves are made, events of them come in any order, and what is decided is done.
struct World {
    tip: char,
    journal: Journal,
    policy: Policy,
    waiting: Vec<Move>,
}

impl World {
    /// An event comes, and behind it once more those that asked to come again.
    fn deliver(&mut self, made: &Move) {
        for made in [made.clone()].into_iter().chain(std::mem::take(&mut self.waiting)) {
            self.judge(&made);
        }
    }

    /// Force pushes are those to a letter that comes before.
    fn judge(&mut self, made: &Move) {
        let letter = |place: &Place| place.as_ref().map_or('-', |commit| commit.as_str().chars().next().unwrap());
        let (from, to) = (letter(&made.old), letter(&made.new));
        let mut facts = facts_of("refs/heads/main", made.clone());
        facts.arrival.ancestry = if to > from { Ancestry::Forward } else { Ancestry::Rewritten };
        facts.tip = tip(self.tip);
        facts.journal = self.journal.clone();
        let decision = decide(&facts, &self.policy);
        for action in decision.actions {
            match action {
                Action::Remember { made, .. } => self.journal = self.journal.with(&made),
                Action::Settle { moves, .. } => self.journal = self.journal.settled(&moves),
                Action::Restore(restore) => {
                    self.tip = letter(&restore.to_commit);
                    let ours = Move {
                        id: EventId::parse(format!("undo-{}", made.id)).unwrap(),
                        at: Some(second(1_000)),
                        old: restore.from_commit.clone(),
                        new: restore.to_commit.clone(),
                        by: None,
                        judged: Judged::Ours,
                    };
                    self.journal = self.journal.settled(&restore.undoes).with(&ours);
                }
                Action::ComeAgain { .. } => self.waiting.push(made.clone()),
                Action::GoOn { .. } | Action::Tell(_) => {}
                Action::SetDefaultBranch { .. } | Action::See { .. } => panic!("no move asks for that"),
            }
        }
    }
}

proptest! {
    /// Whatever the order in which the events of some moves come, and however often, the ref ends at the same place: where it was before the
    /// first move that is not allowed.
    #[test]
    fn the_order_of_events_does_not_matter(steps in prop::collection::vec(0..6_u8, 1..12), turns in [any::<u8>(); 5]) {
        let mut at = 'a';
        let mut moves = Vec::new();
        let mut visited = BTreeSet::from(['a']);
        for (number, step) in steps.iter().enumerate() {
            // Never to a place where it was: then ids alone tell the way.
            let to = char::from(b'a' + step);
            if !visited.insert(to) {
                continue;
            }
            moves.push(moved(i64::try_from(number).unwrap(), at, to, Judged::Good));
            at = to;
        }
        prop_assume!(!moves.is_empty());
        let letter = |place: &Place| place.as_ref().unwrap().as_str().chars().next().unwrap();
        let first_bad = moves.iter().find(|made| letter(&made.new) < letter(&made.old));
        let expected = first_bad.map_or(at, |made| letter(&made.old));

        let mut shuffled: Vec<(u8, Move)> = turns.into_iter().zip(moves.iter().cloned()).collect();
        shuffled.sort_by_key(|(turn, _)| *turn);
        let shuffled: Vec<Move> = shuffled.into_iter().map(|(_, made)| made).collect();
        let mut world = World { tip: at, journal: Journal::default(), policy: policy(NO_FORCE), waiting: Vec::new() };
        for made in &shuffled {
            world.deliver(made);
        }
        // The last ones may wait for each other.
        for _ in &moves {
            for made in std::mem::take(&mut world.waiting) {
                world.judge(&made);
            }
        }
        prop_assert_eq!(world.tip, expected, "{:?} as {:?}", moves, shuffled);
        prop_assert!(world.waiting.is_empty(), "{:?} wait for ever", world.waiting);
        let left = world.journal.moves.iter().find(|made| made.judged == Judged::Bad);
        prop_assert!(left.is_none(), "{:?} was left", left);
        let before = (world.tip, world.journal.clone());
        for made in &shuffled {
            world.deliver(made);
        }
        prop_assert_eq!((world.tip, world.journal), before);
    }
}
