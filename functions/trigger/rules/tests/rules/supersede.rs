//! Where only the newest commit of a branch matters.

use super::*;

#[test]
fn superseding_stops_what_still_runs_for_other_commits_of_the_same_branch() {
    let mut other_branch = past("demo-lint", 4, 'e', BuildStatus::InProgress);
    other_branch.reference = RefName::branch("release/1").unwrap();
    let state = RefState {
        green: None,
        starts: vec![
            past("demo-lint", 1, 'c', BuildStatus::InProgress),
            past("demo-lint", 2, 'd', BuildStatus::Failed),
            past("demo-lint", 3, 'd', BuildStatus::InProgress),
            other_branch,
        ],
    };
    let settled = BTreeMap::from([(build("demo-lint", 3), BuildStatus::Succeeded)]);
    let decision =
        decide(&facts("refs/heads/main", &[("lint", TriggerFacts { state, settled, ..known() })]), &policy());
    insta::assert_snapshot!(told(&decision), @r"
    unit starts nothing: the facts say nothing of it; gather them anew
    lint starts for bbbbbbb: it takes every push to this ref
    lint stops the older build demo-lint:00000001: bbbbbbb takes its place
    -> remember that demo-lint:00000003 ended as SUCCEEDED
    -> start demo-lint for main at bbbbbbb
    -> stop build demo-lint:00000001
    ");
}

#[test]
fn a_stop_that_was_not_done_is_decided_again_once_the_newer_build_is_there() {
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let start = |number, name, status, second| PastStart { at: at(second), ..past("demo-lint", number, name, status) };
    let running = BuildStatus::InProgress;
    for (status, again) in [
        (running, "the commit is being built"),
        (BuildStatus::Succeeded, "the commit is already green here"),
        (BuildStatus::Failed, "this push has had its build"),
    ] {
        let newer = PastStart { id: Some(EventId::parse("e-1").unwrap()), ..start(2, 'b', status, 20) };
        let state =
            RefState { green: None, starts: vec![start(1, 'c', running, 10), newer, start(3, 'd', running, 30)] };
        let state = state.settle(&BTreeMap::new());
        let lint = TriggerFacts { state: state.clone(), ..known() };
        let id = Some(EventId::parse("e-1").unwrap());
        let decision = decide(&Facts { id, ..facts("refs/heads/main", &[("lint", lint)]) }, &policy());
        assert!(told(&decision).contains(again), "{}", told(&decision));
        let [Action::Stop(stop)] = decision.actions.as_slice() else { panic!("{}", told(&decision)) };
        assert_eq!((&stop.build, &stop.for_start), (&build("demo-lint", 1), &None), "only what is older");
        // Done, it is not decided any more.
        let lint = TriggerFacts { state: state.with_stopped(&stop.build), ..known() };
        let id = Some(EventId::parse("e-1").unwrap());
        let decision = decide(&Facts { id, ..facts("refs/heads/main", &[("lint", lint)]) }, &policy());
        assert_eq!(decision.actions, [], "{}", told(&decision));
    }
    // A tip that nothing was started for takes nobody's place.
    let head = Some(Head { message: "[skip ci]".to_owned(), author_email: String::new() });
    let state = RefState { green: None, starts: vec![start(1, 'c', running, 10)] };
    let decision = decide(&facts("refs/heads/main", &[("lint", TriggerFacts { state, head, ..known() })]), &policy());
    assert_eq!(decision.actions, []);
}

#[test]
fn a_tag_never_supersedes() {
    let policy =
        parse_policy(&POLICY.replace("{ build: demo-release }", "{ build: demo-release }\n        supersede: true"))
            .unwrap();
    let mut moved = past("demo-release", 1, 'c', BuildStatus::InProgress);
    moved.reference = RefName::parse("refs/tags/v1").unwrap();
    let state = RefState { green: None, starts: vec![moved] };
    let decision = decide(&facts("refs/tags/v1", &[("release", TriggerFacts { state, ..known() })]), &policy);
    assert_eq!(decision.actions.len(), 1, "{}", told(&decision));
    assert_eq!(starts(&decision)[0].only_if, OnlyIf::Anyway);
}
