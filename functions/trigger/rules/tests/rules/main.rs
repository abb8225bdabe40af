//! Values in, decisions out.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod reviews;
mod supersede;

use std::collections::BTreeMap;

use jiff::Timestamp;
use signalbox_events::{
    Again, Arn, BuildId, BuildStatus, CommitId, Event, EventId, Parsed, RefName, RepositoryName, parse_event,
};
use signalbox_policy::{Policy, parse_policy};
use signalbox_trigger_rules::*;

const POLICY: &str = r#"
mode: enforce
repositories:
  demo:
    triggers:
      unit:
        on: { push: { branches: [main, "release/**"], paths: ["src/**", "!**/*.md"] } }
        start: { build: demo-unit }
      lint:
        on: { push: { branches: [main] } }
        start: { build: demo-lint, environment: { LEVEL: strict } }
        supersede: true
      release:
        on: { push: { tags: ["v*"] } }
        start: { build: demo-release }
"#;

fn policy() -> Policy {
    parse_policy(POLICY).unwrap_or_else(|problems| panic!("{problems}"))
}

fn commit(name: char) -> CommitId {
    CommitId::parse(name.to_string().repeat(40)).unwrap()
}

fn build(project: &str, number: u32) -> BuildId {
    BuildId::parse(format!("{project}:{number:08}")).unwrap()
}

fn event(reference: &str, detail: &str) -> Event {
    let kind = if reference.starts_with("refs/tags/") { "tag" } else { "branch" };
    let short = reference.rsplit('/').next().unwrap();
    let text = format!(
        r#"{{"version":"0","id":"e-1","detail-type":"CodeCommit Repository State Change","source":"aws.codecommit",
        "account":"111122223333","time":"2026-01-01T00:00:00Z","region":"eu-west-1","resources":[],
        "detail":{{"callerUserArn":"arn:aws:iam::111122223333:user/developer","referenceFullName":"{reference}",
        "referenceName":"{short}","referenceType":"{kind}","repositoryId":"r-1","repositoryName":"demo",{detail}}}}}"#
    );
    match parse_event(text.as_bytes()).unwrap() {
        Parsed::Ours(event) => *event,
        Parsed::NotOurs(other) => panic!("{other:?}"),
    }
}

fn pushed(reference: &str) -> Event {
    let (old, new) = (commit('a'), commit('b'));
    event(reference, &format!(r#""event":"referenceUpdated","oldCommitId":"{old}","commitId":"{new}""#))
}

fn known() -> TriggerFacts {
    TriggerFacts { target: Some(commit('b')), head: Some(Head::default()), ..TriggerFacts::default() }
}

fn facts(reference: &str, triggers: &[(&str, TriggerFacts)]) -> Facts {
    Facts {
        push: push_of(&pushed(reference)),
        triggers: triggers.iter().map(|(name, known)| ((*name).to_owned(), known.clone())).collect(),
        ..Facts::default()
    }
}

fn past(project: &str, number: u32, commit_id: char, status: BuildStatus) -> PastStart {
    PastStart {
        build: build(project, number),
        commit: commit(commit_id),
        reference: RefName::branch("main").unwrap(),
        attempt: 1,
        status,
        at: Timestamp::UNIX_EPOCH,
        pushed_at: None,
        previous: None,
        again: None,
        id: None,
        merge: None,
        revision: None,
    }
}

fn told(decision: &Decision) -> String {
    let reasons = decision.reasons.iter().map(render_reason);
    let actions = decision.actions.iter().map(|action| format!("-> {}", render_action(action)));
    reasons.chain(actions).collect::<Vec<_>>().join("\n")
}

fn starts(decision: &Decision) -> Vec<&StartBuild> {
    decision
        .actions
        .iter()
        .filter_map(|action| if let Action::Start(start) = action { Some(&**start) } else { None })
        .collect()
}

#[test]
fn an_event_that_is_no_push_needs_nothing_and_asks_for_nothing() {
    let deleted = event("refs/heads/main", &format!(r#""event":"referenceDeleted","oldCommitId":"{}""#, commit('a')));
    assert_eq!(needs(&deleted, &policy()), Needs::default());
    let decision = decide(&Facts { push: push_of(&deleted), ..Facts::default() }, &policy());
    assert_eq!(decision.verdict, Verdict::NotConcerned);
    insta::assert_snapshot!(told(&decision), @"the event is no push, and no pull request that is opened, updated or commented on");
}

#[test]
fn a_push_to_a_ref_that_no_trigger_wants_needs_nothing() {
    for reference in ["refs/heads/feature", "refs/tags/beta", "refs/heads/quarantine/main"] {
        assert_eq!(needs(&pushed(reference), &policy()), Needs::default(), "{reference}");
    }
    let decision = decide(&facts("refs/heads/feature", &[]), &policy());
    assert_eq!(decision.verdict, Verdict::NotConcerned);
    insta::assert_snapshot!(told(&decision), @"no trigger of the policy wants pushes to refs/heads/feature of demo");
}

#[test]
fn a_push_needs_the_files_of_filtered_triggers_and_the_tip_of_superseding_ones() {
    insta::assert_json_snapshot!(needs(&pushed("refs/heads/main"), &policy()).push.unwrap().triggers, @r#"
    [
      {
        "name": "unit",
        "state_key": "state/triggers/demo/unit/refs/heads/main.json",
        "target": "pushed",
        "files": "since_green"
      },
      {
        "name": "lint",
        "state_key": "state/triggers/demo/lint/refs/heads/main.json",
        "target": "tip",
        "files": "not_wanted"
      }
    ]
    "#);
}

#[test]
fn all_tags_share_one_memory() {
    let needs = needs(&pushed("refs/tags/v1"), &policy()).push.unwrap();
    assert_eq!(needs.triggers[0].state_key, "state/triggers/demo/release/refs/tags.json");
}

#[test]
fn a_matching_path_starts_the_build_and_documentation_does_not() {
    let mut unit = known();
    unit.difference = Some(0);
    let mut facts = facts("refs/heads/main", &[("unit", unit)]);
    let difference = |paths: &[&str]| Difference {
        base: Base::Green(commit('a')),
        target: commit('b'),
        left_out: 0,
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
    };
    facts.differences = vec![difference(&["README.md", "src/lib.rs"])];
    let decision = decide(&facts, &policy());
    insta::assert_snapshot!(told(&decision), @r"
    unit starts for bbbbbbb: src/lib.rs matches its paths (2 files changed since aaaaaaa, the last green commit)
    lint starts nothing: the facts say nothing of it; gather them anew
    -> start demo-unit for main at bbbbbbb
    ");
    facts.differences = vec![difference(&["README.md", "src/notes.md"])];
    let decision = decide(&facts, &policy());
    assert_eq!(decision.verdict, Verdict::Nothing);
    assert!(told(&decision).starts_with(
        "unit starts nothing: nothing matches its paths (2 files changed since aaaaaaa, the last green commit, such as README.md)"
    ), "{}", told(&decision));
    facts.differences = vec![difference(&[])];
    assert!(
        told(&decide(&facts, &policy()))
            .starts_with("unit starts nothing: nothing matches its paths (no file changed since aaaaaaa")
    );
}

#[test]
fn a_path_filter_without_files_starts_nothing() {
    let decision = decide(&facts("refs/heads/main", &[("unit", known())]), &policy());
    assert!(starts(&decision).is_empty());
    assert!(told(&decision).contains("which files changed is not known yet"));
}

#[test]
fn many_triggers_on_one_difference_find_the_same_paths_as_each_alone() {
    let text: String = (0..40)
        .map(|n| format!("      t{n:02}:\n        on: {{ push: {{ branches: [main], paths: [\"dir{n}/**\", \"!dir{n}/x\"] }} }}\n        start: {{ build: p }}\n"))
        .collect();
    let policy = parse_policy(&format!("repositories:\n  demo:\n    triggers:\n{text}")).unwrap();
    let triggers: BTreeMap<String, TriggerFacts> =
        (0..40).map(|n| (format!("t{n:02}"), TriggerFacts { difference: Some(0), ..known() })).collect();
    let paths = ["dir3/x", "dir3/y", "dir7/x", "dir12/a/b"].map(str::to_owned).to_vec();
    let difference = Difference { base: Base::Nothing, target: commit('b'), paths, left_out: 0 };
    let facts = Facts {
        push: push_of(&pushed("refs/heads/main")),
        triggers,
        differences: vec![difference],
        ..Facts::default()
    };
    let decision = decide(&facts, &policy);
    let started: Vec<&str> = starts(&decision).iter().map(|start| start.trigger.as_str()).collect();
    assert_eq!(started, ["t03", "t12"]);
}

#[test]
fn skip_ci_is_honoured_in_any_case_of_letters() {
    let mut lint = known();
    lint.head = Some(Head { message: "Fix a typo\n\n[Skip CI]".to_owned(), author_email: String::new() });
    let decision = decide(&facts("refs/heads/main", &[("lint", lint)]), &policy());
    assert!(told(&decision).contains("lint starts nothing: the commit message says [skip ci]"), "{}", told(&decision));
}

#[test]
fn a_trigger_for_certain_authors_leaves_others_alone() {
    let policy = parse_policy(&POLICY.replace("supersede: true", "authors: [\"*@example.com\"]")).unwrap();
    let by = |email: &str| {
        let head = Head { message: String::new(), author_email: email.to_owned() };
        facts("refs/heads/main", &[("lint", TriggerFacts { head: Some(head), ..known() })])
    };
    assert_eq!(starts(&decide(&by("developer@example.com"), &policy)).len(), 1);
    let decision = decide(&by("bot@example.org"), &policy);
    assert!(told(&decision).contains("the commit's author, bot@example.org, is not one of its authors"));
}

#[test]
fn a_green_or_running_commit_is_not_built_again_and_a_failed_one_is_tried_again() {
    let state = |status| RefState { green: None, starts: vec![past("demo-lint", 1, 'b', status)] };
    let decided = |status| {
        let decision =
            decide(&facts("refs/heads/main", &[("lint", TriggerFacts { state: state(status), ..known() })]), &policy());
        (starts(&decision).first().map(|start| start.attempt), told(&decision))
    };
    assert_eq!(decided(BuildStatus::Succeeded).0, None);
    assert_eq!(decided(BuildStatus::InProgress).0, None);
    for failed in [BuildStatus::Failed, BuildStatus::Fault, BuildStatus::TimedOut, BuildStatus::Stopped] {
        assert_eq!(decided(failed).0, Some(2), "{failed}");
    }
    assert!(decided(BuildStatus::Failed).1.contains("try 2 of this commit"));
}

#[test]
fn what_cannot_be_read_for_one_trigger_is_told_and_the_decision_is_not_complete() {
    let broken =
        TriggerFacts { unreadable: Some("codecommit:GetDifferences on demo: AccessDenied".to_owned()), ..known() };
    let decision = decide(&facts("refs/heads/main", &[("unit", broken), ("lint", known())]), &policy());
    assert_eq!(starts(&decision).len(), 1);
    assert!(!decision.is_complete());
    assert!(told(&decision).contains("unit starts nothing: codecommit:GetDifferences on demo: AccessDenied"));
}

#[test]
fn a_newer_commit_than_the_pushed_one_is_not_laid_at_the_pushers_door() {
    let newer = TriggerFacts { target: Some(commit('d')), ..known() };
    let decision = decide(&facts("refs/heads/main", &[("lint", newer)]), &policy());
    let start = starts(&decision)[0];
    assert_eq!((start.commit.clone(), start.pusher.clone(), start.only_if), (commit('d'), None, OnlyIf::StillTip));
}

#[test]
fn a_report_keeps_short_lists_of_paths_and_never_decides_from_a_cut_one() {
    let unit = TriggerFacts { difference: Some(0), ..known() };
    let mut long = facts("refs/heads/main", &[("unit", unit)]);
    let paths = (0..2_000).map(|n| format!("docs/{n}.md")).chain(["src/lib.rs".to_owned()]).collect();
    long.differences = vec![Difference { base: Base::Nothing, target: commit('b'), paths, left_out: 0 }];
    assert_eq!(starts(&decide(&long, &policy())).len(), 1);
    let cut = long.for_report();
    assert_eq!((cut.differences[0].paths.len(), cut.differences[0].left_out), (500, 1_501));
    let decision = decide(&cut, &policy());
    assert!(told(&decision).contains("which files changed is not known yet"), "{}", told(&decision));
}

#[test]
fn a_ref_that_is_longer_than_a_key_may_be_gets_a_key_of_its_own() {
    let key = |branch: &str| {
        needs(&pushed(&format!("refs/heads/release/{branch}")), &policy()).push.unwrap().triggers[0].state_key.clone()
    };
    let long = "\u{1f6a6}".repeat(250);
    let (one, other) = (key(&long), key(&format!("{long}x")));
    assert!(one.len() < 400 && one != other, "{one}");
}

#[test]
fn a_branch_that_is_gone_and_a_commit_that_is_gone_start_nothing() {
    let gone = TriggerFacts::default();
    assert!(told(&decide(&facts("refs/heads/main", &[("lint", gone)]), &policy())).contains("the branch is gone"));
    let gone = TriggerFacts { head: None, ..known() };
    let told = told(&decide(&facts("refs/heads/main", &[("lint", gone)]), &policy()));
    assert!(told.contains("commit bbbbbbb is not in the repository any more"), "{told}");
}

#[test]
fn a_trigger_that_asks_people_first_does_not_start() {
    let people = "people:\n  \"arn:aws:iam::111122223333:user/developer\": { teams: [release-managers] }\n";
    let asking = POLICY.replace("supersede: true", "ask: { from: [release-managers], within: 2d }") + people;
    let policy = parse_policy(&asking).unwrap();
    let decision = decide(&facts("refs/heads/main", &[("lint", known())]), &policy);
    assert!(starts(&decision).is_empty());
    assert!(told(&decision).contains("it asks people first"), "{}", told(&decision));
}

#[test]
fn the_build_is_told_why_it_runs_and_gets_the_policys_variables() {
    let decision = decide(&facts("refs/heads/main", &[("lint", known())]), &policy());
    let start = starts(&decision)[0];
    assert_eq!(start.pusher, Some(Arn::parse("arn:aws:iam::111122223333:user/developer").unwrap()));
    assert_eq!(start.repository, RepositoryName::parse("demo").unwrap());
    let names: Vec<&str> = start.environment.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["LEVEL", "SIGNALBOX_COMMIT", "SIGNALBOX_REF", "SIGNALBOX_REPOSITORY", "SIGNALBOX_TOKEN", "SIGNALBOX_TRIGGER"]
    );
}

#[test]
fn the_token_is_the_same_for_the_same_start_and_another_for_any_other() {
    let token = |reference: &str, attempts: u32| {
        let starts_before = (1..attempts).map(|n| PastStart {
            reference: RefName::parse(reference).unwrap(),
            attempt: n,
            ..past("demo-lint", n, 'b', BuildStatus::Failed)
        });
        let state = RefState { green: None, starts: starts_before.collect() };
        let known = TriggerFacts { state, ..known() };
        let decision = decide(&facts(reference, &[("lint", known.clone()), ("release", known)]), &policy());
        starts(&decision)[0].token.clone()
    };
    assert_eq!(token("refs/heads/main", 1), token("refs/heads/main", 1));
    assert_ne!(token("refs/heads/main", 1), token("refs/heads/main", 2));
    assert_ne!(token("refs/heads/main", 1), token("refs/tags/v1", 1));
    assert_eq!(token("refs/heads/main", 1).len(), 64);
}

#[test]
fn deciding_again_after_the_start_gives_nothing_to_start() {
    let facts_before = facts("refs/heads/main", &[("lint", known())]);
    let decision = decide(&facts_before, &policy());
    let start = starts(&decision)[0];
    let state = RefState::default().with_start(PastStart {
        build: build("demo-lint", 1),
        commit: start.commit.clone(),
        reference: start.reference.clone(),
        attempt: start.attempt,
        status: BuildStatus::InProgress,
        at: Timestamp::UNIX_EPOCH,
        pushed_at: None,
        previous: None,
        again: None,
        id: None,
        merge: None,
        revision: None,
    });
    let again = decide(&facts("refs/heads/main", &[("lint", TriggerFacts { state, ..known() })]), &policy());
    assert_eq!(again.actions, []);
}

#[test]
fn facts_and_decisions_can_be_written_to_a_file_and_read_back() {
    let facts = facts("refs/heads/main", &[("lint", known())]);
    let read: Facts = serde_json::from_str(&serde_json::to_string(&facts).unwrap()).unwrap();
    assert_eq!(read, facts);
    let decision = decide(&facts, &policy());
    let read: Decision = serde_json::from_str(&serde_json::to_string(&decision).unwrap()).unwrap();
    assert_eq!(read, decision);
}

#[test]
fn whoever_has_a_finished_event_run_once_more_gets_one_more_build_of_a_green_commit_and_no_third() {
    let wish = Again { event: EventId::parse("e-1").unwrap(), round: 1 };
    let before = past("demo-lint", 1, 'b', BuildStatus::Succeeded);
    let state = RefState::default().with_start(before);
    let mut wished = facts("refs/heads/main", &[("lint", TriggerFacts { state: state.clone(), ..known() })]);
    assert!(starts(&decide(&wished, &policy())).is_empty());
    wished.again = Some(wish.clone());
    let decision = decide(&wished, &policy());
    let start = starts(&decision)[0];
    assert_eq!((start.attempt, &start.again), (2, &Some(wish.clone())));
    for status in [BuildStatus::InProgress, BuildStatus::Succeeded, BuildStatus::Failed] {
        let started = PastStart { attempt: 2, again: Some(wish.clone()), ..past("demo-lint", 2, 'b', status) };
        let known = TriggerFacts { state: state.with_start(started), ..known() };
        let mut after = facts("refs/heads/main", &[("lint", known)]);
        after.again = Some(wish.clone());
        assert!(starts(&decide(&after, &policy())).is_empty(), "{status:?}");
    }
}

#[test]
fn a_push_whose_build_failed_before_the_push_was_finished_is_not_built_again() {
    let id = |id: &str| Some(EventId::parse(id).unwrap());
    let failed = PastStart { id: id("push-1"), ..past("demo-lint", 1, 'b', BuildStatus::Failed) };
    let known = TriggerFacts { state: RefState::default().with_start(failed), ..known() };
    let of = |push: &str| Facts { id: id(push), ..facts("refs/heads/main", &[("lint", known.clone())]) };
    let same = decide(&of("push-1"), &policy());
    assert_eq!(starts(&same).len(), 0);
    assert!(told(&same).contains("this push has had its build, which did not pass"), "{}", told(&same));
    // Another push of the same commit wants to know again.
    assert_eq!(starts(&decide(&of("push-2"), &policy()))[0].attempt, 2);
}

#[test]
fn where_pushes_start_the_tip_a_start_after_the_push_is_its_answer_unless_it_was_stopped() {
    let at = Timestamp::from_second(1_000).unwrap();
    let decided = |status, pushed: i64| {
        let past = PastStart { at, ..past("demo-lint", 1, 'b', status) };
        let known = TriggerFacts { state: RefState::default().with_start(past), ..known() };
        let pushed_at = Some(Timestamp::from_second(pushed).unwrap());
        starts(&decide(&Facts { pushed_at, ..facts("refs/heads/main", &[("lint", known)]) }, &policy())).len()
    };
    assert_eq!(decided(BuildStatus::Failed, 999), 0, "started for an earlier push that found this commit at the tip");
    assert_eq!(decided(BuildStatus::Failed, 1_001), 1, "pushed back to a commit that failed before");
    assert_eq!(decided(BuildStatus::Stopped, 999), 1, "stopped for a commit that is not the tip any more");
}
