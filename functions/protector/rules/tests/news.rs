//! What is told of decisions, and what is watched beside the refs.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;

use jiff::Timestamp;
use signalbox_events::{
    Arn, CommitId, EventId, Protected, ProtectionState, PullRequestId, RefName, Region, RepositoryName,
};
use signalbox_policy::iam::guarded_refs;
use signalbox_policy::{Policy, parse_policy};
use signalbox_protector_rules::*;

fn policy(mode: &str, protection: &str) -> Policy {
    let text = format!("mode: {mode}\nrepositories:\n  demo:\n    protection:\n      - {protection}\n");
    parse_policy(&text).unwrap_or_else(|problems| panic!("{protection}: {problems:?}"))
}

fn commit(letter: char) -> CommitId {
    CommitId::parse(letter.to_string().repeat(40)).unwrap()
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn arn(name: &str) -> Arn {
    Arn::parse(format!("arn:aws:iam::111122223333:user/{name}")).unwrap()
}

fn repository() -> RepositoryName {
    RepositoryName::parse("demo").unwrap()
}

/// A forced push of `main` from a to b, at which it is now.
fn forced() -> Facts {
    let made = Move {
        id: EventId::parse("e1").unwrap(),
        at: Some(second(1)),
        old: Some(commit('a')),
        new: Some(commit('b')),
        by: Some(arn("developer")),
        judged: Judged::Good,
    };
    let subject = Subject { repository: repository(), reference: RefName::parse("refs/heads/main").unwrap() };
    let region = Region::parse("eu-west-1").unwrap();
    let facts = Facts::before_gathering(Some(subject), region, Origin::Event, Some(made), second(1));
    let arrival = Arrival { ancestry: Ancestry::Rewritten, ..Arrival::default() };
    Facts { tip: at('b'), arrival, ..facts }
}

fn at(letter: char) -> Tip {
    Tip::At { object: Object::parse(commit(letter).as_str()).unwrap(), commit: commit(letter) }
}

fn news(decision: &Decision) -> Vec<&News> {
    let told = decision.actions.iter().filter_map(|action| match action {
        Action::Tell(news) => Some(&**news),
        _ => None,
    });
    told.collect()
}

const NO_FORCE: &str = "{ refs: [main], forbid: [force-push] }";

#[test]
fn what_is_told_says_what_becomes_of_it_behind_all_that_is_done() {
    for (mode, protection, state) in [
        ("enforce", NO_FORCE, Some(ProtectionState::Restored)),
        ("observe", NO_FORCE, Some(ProtectionState::WouldRestore)),
        ("enforce", "{ refs: [main], forbid: [force-push], on_violation: report }", Some(ProtectionState::Violated)),
        (
            "enforce",
            "{ refs: [main], forbid: [force-push], bypass: [\"arn:aws:iam::*:user/developer\"] }",
            Some(ProtectionState::Bypassed),
        ),
        ("enforce", "{ refs: [main], forbid: [deletion] }", None),
        ("enforce", "{ refs: [other], forbid: [force-push] }", None),
    ] {
        let decision = decide(&forced(), &policy(mode, protection));
        let told = news(&decision);
        assert_eq!(told.first().map(|news| news.state), state, "{mode} {protection}");
        assert!(told.len() <= 1 && (told.is_empty() || matches!(decision.actions.last(), Some(Action::Tell(_)))));
    }
    let decision = decide(&forced(), &policy("enforce", NO_FORCE));
    let told = *news(&decision).first().unwrap();
    assert_eq!((&told.by, &told.old, &told.new), (&Some(arn("developer")), &Some(commit('a')), &Some(commit('b'))));
    assert_eq!(told.kept.as_ref().unwrap().short(), "quarantine/main/20231114T221321Z-bbbbbbb");
    let findings: Vec<(&str, &str)> =
        told.findings.iter().map(|finding| (finding.rule.as_str(), finding.protection.as_str())).collect();
    assert_eq!(findings, [("force-push", "line 5")]);
}

#[test]
fn what_was_put_back_before_an_invocation_died_is_told_from_the_journal() {
    let mut facts = forced();
    let made = facts.made.clone().unwrap();
    let id = EventId::parse("undo-e1").unwrap();
    let ours = Move {
        id: id.clone(),
        at: Some(second(2)),
        old: Some(commit('b')),
        new: Some(commit('a')),
        by: None,
        judged: Judged::Ours,
    };
    let kept = RefName::parse("refs/heads/quarantine/main/x").unwrap();
    let bad = Move { judged: Judged::Bad, ..made };
    facts.journal =
        Journal::default().with(&Move { judged: Judged::Undone, ..bad.clone() }).with(&ours).keeping(&id, &kept);
    facts.tip = at('a');
    let decision = decide(&facts, &policy("enforce", NO_FORCE));
    let told = *news(&decision).first().unwrap();
    assert_eq!((told.state, told.kept.as_ref()), (ProtectionState::Restored, Some(&kept)));
    // Somebody else put it back: that is no work of ours.
    facts.journal = Journal::default().with(&bad);
    let decision = decide(&facts, &policy("enforce", NO_FORCE));
    assert_eq!(news(&decision).first().unwrap().state, ProtectionState::Violated);
}

#[test]
fn what_is_in_files_is_not_told() {
    let mut facts = forced();
    let file = |path: &str, kind| FileFacts {
        commit: commit('b'),
        path: path.to_owned(),
        kind,
        size: None,
        content: None,
        collides_with: None,
    };
    let address = Some("https://user:hunter2@git.example.com/lib".to_owned());
    facts.arrival.range = Some(Range {
        files: vec![
            file("link", FileKind::Symlink { target: Some("/etc/hunter2".to_owned()) }),
            file("lib", FileKind::Submodule { address }),
        ],
        ..Range::default()
    });
    let protection =
        "{ refs: [main], files: { reject: [escaping-symlink], submodules: [\"https://other.example.com/**\"] } }";
    let decision = decide(&facts, &policy("enforce", protection));
    let told = *news(&decision).first().unwrap();
    assert_eq!(told.findings.len(), 2);
    assert!(!format!("{told:?}").contains("hunter2"), "{told:?}");
}

fn seen(default: &str, rules: &[(&str, u32)]) -> Guarded {
    let rule = |needed: u32| RuleSeen {
        content: format!(r#"{{"Statements":[{{"NumberOfApprovalsNeeded":{needed}}}]}}"#),
        by: Some(arn("editor")),
    };
    Guarded {
        default_branch: Some(default.to_owned()),
        templates: Some(rules.iter().map(|(name, needed)| ((*name).to_owned(), rule(*needed))).collect()),
        ..Guarded::default()
    }
}

fn watched(before: Guarded, there: Guarded, by: Option<Arn>) -> WatchFacts {
    let told = by.map(|by| WatchTold { by: Some(by), at: Some(second(1)), overridden: None });
    let facts = WatchFacts::before_gathering(repository(), Region::parse("eu-west-1").unwrap(), told, second(1));
    WatchFacts { memory: WatchMemory { seen: before, ..WatchMemory::default() }, there, ..facts }
}

fn memory(decision: &Decision) -> Option<&WatchMemory> {
    decision.actions.iter().find_map(|action| match action {
        Action::See { memory, .. } => Some(&**memory),
        _ => None,
    })
}

const WATCH: &str = "{ refs: [main], forbid: [force-push], watch: [default-branch, approval-rules] }";

#[test]
fn the_first_look_and_what_is_stronger_are_no_news() {
    let enforced = policy("enforce", WATCH);
    let there = seen("main", &[("two", 2)]);
    let first = decide_watch(&watched(Guarded::default(), there.clone(), None), &enforced);
    assert_eq!((first.verdict, news(&first).len(), &memory(&first).unwrap().seen), (Verdict::Allowed, 0, &there));
    let again = decide_watch(&watched(there.clone(), there.clone(), None), &enforced);
    assert_eq!(again.actions, []);
    let stronger = decide_watch(&watched(there, seen("main", &[("two", 3), ("more", 1)]), None), &enforced);
    assert_eq!((stronger.verdict, news(&stronger).len()), (Verdict::Allowed, 0));
}

#[test]
fn what_is_weaker_is_told_by_what_it_is_about_and_is_remembered_once_it_was() {
    let before = seen("main", &[("two", 2), ("gone", 1)]);
    let facts = watched(before.clone(), seen("develop", &[("two", 1)]), None);
    let decision = decide_watch(&facts, &policy("enforce", WATCH));
    let told: Vec<(Protected, ProtectionState, Option<Arn>, usize)> =
        news(&decision).iter().map(|news| (news.about, news.state, news.by.clone(), news.findings.len())).collect();
    assert_eq!(
        told,
        [
            (Protected::DefaultBranch, ProtectionState::Restored, None, 1),
            // Of a content that changed CodeCommit names who did it.
            (Protected::ApprovalRules, ProtectionState::Weakened, Some(arn("editor")), 2),
        ]
    );
    let Some(Action::SetDefaultBranch { from, to, .. }) = decision.actions.first() else { panic!("{decision:?}") };
    assert_eq!((from.as_deref(), to.as_str()), (Some("develop"), "main"));
    let after = memory(&decision).unwrap();
    assert_eq!((after.times, after.restores.len(), after.seen.default_branch.as_deref()), (1, 1, Some("main")));
    let again = WatchFacts { memory: after.clone(), there: seen("main", &[("two", 1)]), ..facts };
    assert_eq!(decide_watch(&again, &policy("enforce", WATCH)).actions, []);

    // In `observe`, and for whoever may, what is there is what belongs there from now on.
    for (mode, protection, by, state) in [
        ("observe", WATCH.to_owned(), None, ProtectionState::WouldRestore),
        (
            "enforce",
            WATCH.replace("watch:", "bypass: [\"arn:aws:iam::*:user/lead\"], watch:"),
            Some(arn("lead")),
            ProtectionState::Bypassed,
        ),
    ] {
        let facts = watched(before.clone(), Guarded { templates: None, ..seen("develop", &[]) }, by);
        let decision = decide_watch(&facts, &policy(mode, &protection));
        assert_eq!(news(&decision).first().unwrap().state, state);
        assert_eq!(memory(&decision).unwrap().seen.default_branch.as_deref(), Some("develop"));
        assert!(!decision.actions.iter().any(|action| matches!(action, Action::SetDefaultBranch { .. })));
    }
}

#[test]
fn nothing_is_said_of_what_is_not_watched_or_is_our_own() {
    let facts = watched(seen("main", &[]), seen("develop", &[]), Some(arn("developer")));
    let other = decide_watch(&facts, &policy("enforce", "{ refs: [main], watch: [repository-triggers] }"));
    assert_eq!((other.verdict, news(&other).len()), (Verdict::Allowed, 0));
    let ours = decide_watch(&WatchFacts { whose: Whose::Ours, ..facts }, &policy("enforce", WATCH));
    assert_eq!((ours.verdict, news(&ours).len()), (Verdict::Ours, 0));
}

#[test]
fn rules_of_a_pull_request_that_is_closed_are_forgotten() {
    let id = |number: &str| PullRequestId::parse(number).unwrap();
    let mut before = seen("main", &[]);
    for number in ["1", "2"] {
        let rule = RuleSeen { content: "{}".to_owned(), by: None };
        before.rules.insert(id(number), [("own".to_owned(), rule)].into());
    }
    let mut facts = watched(before, seen("main", &[]), None);
    facts.open = Some([id("2")].into());
    facts.there.rules.insert(id("2"), [].into());
    let decision = decide_watch(&facts, &policy("enforce", WATCH));
    assert_eq!(news(&decision).len(), 1, "the rule of the open one is gone");
    let rules = &memory(&decision).unwrap().seen.rules;
    assert_eq!(rules.keys().collect::<Vec<_>>(), [&id("2")]);
}

#[test]
fn whoever_may_push_is_told_in_one_mail_with_one_remedy_and_a_count_of_the_rest() {
    let guarded = "{ refs: [main], forbid: [direct-push], watch: [push-permissions] }";
    let main: BTreeSet<RefName> = [RefName::branch("main").unwrap()].into();
    let asked = |count: usize| (0..count).map(|number| (arn(&format!("u{number:02}")), main.clone())).collect();
    let look = |count, reached| Some(PusherLook { asked: asked(count), gone: BTreeSet::new(), reached });
    let of = |by, pushers| WatchFacts { pushers, ..watched(Guarded::default(), Guarded::default(), by) };
    for mode in ["enforce", "observe"] {
        let decision = decide_watch(&of(None, look(30, Reached::End)), &policy(mode, guarded));
        let all = news(&decision);
        let [told] = all.as_slice() else { panic!("{decision:?}") };
        assert_eq!((told.about, told.state), (Protected::PushPermissions, ProtectionState::Weakened));
        assert_eq!((told.findings.len(), told.left_out), (20, 10));
        let remedies: Vec<bool> = told.findings.iter().map(|finding| !finding.remedy.is_empty()).collect();
        assert!(remedies.last() == Some(&true) && remedies.iter().filter(|is_said| **is_said).count() == 1, "{told:?}");
        // Nothing can be put back, and what was told is no news.
        let remembered = memory(&decision).unwrap().clone();
        let again = WatchFacts { memory: remembered, ..of(None, look(30, Reached::End)) };
        assert_eq!(decide_watch(&again, &policy(mode, guarded)).actions, []);
    }

    // Two protections that want to know it make no two findings of one user.
    let two = format!("{guarded}\n      - {{ refs: [next], forbid: [direct-push], watch: [push-permissions] }}");
    let decision = decide_watch(&of(None, look(1, Reached::End)), &policy("enforce", &two));
    assert_eq!(news(&decision).first().unwrap().findings.len(), 1);

    // Who could push before anybody looked is nobody's doing, unless the call names them.
    let by = |facts: &WatchFacts| news(&decide_watch(facts, &policy("enforce", guarded))).first().unwrap().by.clone();
    assert_eq!(by(&of(Some(arn("editor")), look(2, Reached::End))), None);
    assert_eq!(by(&of(Some(arn("editor")), look(1, Reached::One))), Some(arn("editor")));
    let mut later = of(Some(arn("editor")), look(2, Reached::End));
    later.memory.pushers.round = Round::Later;
    assert_eq!(by(&later), Some(arn("editor")));

    // The first round is remembered before it is told.
    let part = decide_watch(&of(None, look(3, Reached::Part { behind: arn("u02") })), &policy("enforce", guarded));
    assert_eq!((part.verdict, news(&part).len()), (Verdict::Allowed, 0));
    assert_eq!(memory(&part).unwrap().pushers.untold.len(), 3);
}

#[test]
fn who_may_go_past_a_protection_is_not_asked_for() {
    let text = "{ refs: [main], forbid: [direct-push], bypass: [\"arn:aws:sts::*:assumed-role/break-glass/*\"] }\n      - { refs: [main, next], forbid: [direct-push], watch: [push-permissions], bypass: [\"arn:aws:iam::*:user/lead\", \"arn:aws:sts::*:assumed-role/break-glass/anna\"] }";
    let policy = policy("enforce", text);
    let repository = repository();
    let guarded = guarded_refs(&policy, &repository);
    let asked = |resource: &str| {
        let who = Arn::parse(format!("arn:aws:iam::111122223333:{resource}")).unwrap();
        refs_to_ask(&guarded, &who).iter().map(|name| name.short().to_owned()).collect::<Vec<_>>().join(" ")
    };
    // Each protection has its own list.
    assert_eq!(asked("user/lead"), "main");
    assert_eq!(asked("role/teams/break-glass"), "");
    assert_eq!(asked("role/other"), "main next");
}
