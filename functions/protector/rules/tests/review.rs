//! Pull requests against the protections that they need as checks.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use signalbox_events::{CommitId, PullRequestId, RefName, RepositoryName};
use signalbox_policy::{Policy, parse_policy};
use signalbox_protector_rules::*;

fn policy(protections: &str) -> Policy {
    let text = format!(
        "mode: enforce\nrepositories:\n  demo:\n    approvals:\n      main: {{ checks: [tidy, safe] }}\n    protection:\n{protections}"
    );
    parse_policy(&text).unwrap_or_else(|problems| panic!("{problems}"))
}

const TWO: &str = "      - { name: tidy, refs: [main], commits: { message: feat } }\n      - { name: safe, refs: [\"x/**\"], forbid: \
                   [direct-push, force-push], files: { forbid: [\"*.pem\"] } }\n      - { name: other, refs: [main], commits: { signed: \
                   anybody }, files: { reject: [secret] } }\n";

fn id(digit: char) -> CommitId {
    CommitId::parse(digit.to_string().repeat(40)).unwrap()
}

fn commit(digit: char, message: &str) -> CommitFacts {
    CommitFacts {
        id: id(digit),
        parents: vec![],
        message: message.to_owned(),
        author: "a@example.com".to_owned(),
        committer: "a@example.com".to_owned(),
        signature: Signature::NotRead,
    }
}

fn file(digit: char, path: &str) -> FileFacts {
    FileFacts {
        commit: id(digit),
        path: path.to_owned(),
        kind: FileKind::File,
        size: None,
        content: None,
        collides_with: None,
    }
}

fn facts(range: Option<Range>) -> ReviewFacts {
    let here = Reviewed {
        into: RefName::branch("main").unwrap(),
        source: RefName::branch("feature").unwrap(),
        commit: id('c'),
        base: id('a'),
    };
    let repository = RepositoryName::parse("demo").unwrap();
    ReviewFacts {
        here: Some(here),
        range,
        ..ReviewFacts::before_gathering(repository, PullRequestId::parse("7").unwrap())
    }
}

fn range() -> Range {
    Range {
        commits: vec![commit('b', "feat"), commit('c', "wip")],
        files: vec![file('c', "k.pem")],
        ..Range::default()
    }
}

#[test]
fn each_named_protection_judges_by_its_own_rules_wherever_its_refs_are() {
    let rules = policy(TWO);
    let decision = decide_review(&facts(Some(range())), &rules);
    assert_eq!(decision.verdict, ReviewVerdict::Judged);
    let record = &decision.memory.record;
    assert_eq!((record.commits, record.commit.clone(), record.base.clone()), (2, Some(id('c')), Some(id('a'))));
    let found = |name: &str| record.checks.get(name).unwrap().findings.join("; ");
    assert!(
        found("tidy").starts_with("commits.message: commit ccccccc: the message does not match \"feat\". To mend it, ")
    );
    assert!(found("safe").starts_with("files.forbid: k.pem in ccccccc: "), "{}", found("safe"));
    assert_eq!(record.checks.len(), 2, "nobody asks for the third one");

    // Only what these two want is read: no signatures, no contents, nothing about pushes.
    let (needs, rest) = facts(None).wants(&rules).unwrap();
    assert_eq!(needs.wants.into_iter().collect::<Vec<_>>(), [Want::Commits, Want::Paths]);
    assert_eq!(rest, Rest::default());
}

#[test]
fn what_was_judged_is_not_judged_again_and_what_was_not_read_is() {
    let rules = policy(TWO);
    let judged = decide_review(&facts(Some(range())), &rules);
    let again = ReviewFacts { memory: judged.memory.clone(), ..facts(None) };
    assert_eq!(again.wants(&rules), None);
    let decision = decide_review(&again, &rules);
    assert_eq!((decision.verdict, &decision.memory), (ReviewVerdict::Before, &judged.memory));
    // Other rules, other commits, or something that could not be read.
    assert!(again.wants(&policy(&TWO.replace("feat", "fix"))).is_some());
    let mut moved = again.clone();
    moved.here.as_mut().unwrap().commit = id('d');
    assert!(moved.wants(&rules).is_some());
    let unread = Range { unread: vec!["no leave".to_owned()], ..Range::default() };
    let unread = decide_review(&facts(Some(unread)), &rules);
    assert!(unread.memory.record.checks.values().all(|check| check.is_unread && check.findings.len() == 1));
    assert!(ReviewFacts { memory: unread.memory, ..facts(None) }.wants(&rules).is_some());
}

#[test]
fn nothing_is_said_of_a_part_until_the_last_was_looked_at() {
    let rules = policy(TWO);
    let rest = Rest { looks: 1, commits: 2, files: 1, ..Rest::default() };
    let first = decide_review(&ReviewFacts { rest: Some(rest), ..facts(Some(range())) }, &rules);
    assert_eq!((first.verdict, first.memory.record.checks.len()), (ReviewVerdict::Unfinished, 0));
    let next = ReviewFacts {
        memory: first.memory.clone(),
        ..facts(Some(Range { commits: vec![commit('b', "no")], ..Range::default() }))
    };
    let (_, before) = next.wants(&rules).unwrap();
    assert_eq!((before.looks, before.found.len()), (1, 2));
    let last = decide_review(&next, &rules);
    let record = &last.memory.record;
    assert_eq!((last.verdict, record.commits), (ReviewVerdict::Judged, 3));
    assert_eq!(record.checks.get("tidy").unwrap().findings.len(), 2, "what was found before is not forgotten");
    assert_eq!(last.memory.rest, None);
    // After a push it begins anew.
    let mut moved = next;
    moved.here.as_mut().unwrap().commit = id('d');
    assert_eq!(moved.wants(&rules).unwrap().1, Rest::default());
}

#[test]
fn what_is_closed_or_needs_none_is_not_concerned_and_what_nobody_read_is_not_judged() {
    let rules = policy(TWO);
    assert_eq!(decide_review(&facts(None), &rules).verdict, ReviewVerdict::Unread);
    let closed = ReviewFacts { here: None, ..facts(Some(range())) };
    assert_eq!(decide_review(&closed, &rules).verdict, ReviewVerdict::NotConcerned);
    let mut elsewhere = facts(Some(range()));
    elsewhere.here.as_mut().unwrap().into = RefName::branch("next").unwrap();
    assert_eq!(decide_review(&elsewhere, &rules).verdict, ReviewVerdict::NotConcerned);
    let no_rules = "      - { name: tidy, refs: [main], forbid: [deletion] }\n      - { name: safe, refs: [main], forbid: [deletion] }\n";
    let none = decide_review(&facts(None), &policy(no_rules));
    assert_eq!((none.verdict, none.memory.record.checks.len()), (ReviewVerdict::Judged, 2));
}

#[test]
fn a_long_list_is_cut_and_says_so() {
    let commits = (0..120).map(|_| commit('c', "wip")).collect::<Vec<_>>();
    let many = commits
        .into_iter()
        .enumerate()
        .map(|(number, commit)| CommitFacts { id: CommitId::parse(format!("{number:040x}")).unwrap(), ..commit });
    let decision = decide_review(&facts(Some(Range { commits: many.collect(), ..Range::default() })), &policy(TWO));
    let tidy = decision.memory.record.checks.get("tidy").unwrap();
    assert_eq!((tidy.findings.len(), tidy.left_out), (50, 70));
}
