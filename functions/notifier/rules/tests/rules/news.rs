//! What is new about a build, after those before it.

use super::*;

#[test]
fn what_codebuild_could_not_run_blames_nobody_later() {
    for not_run in [
        earlier(30, BuildStatus::Fault, 8),
        Finished { began: Began::Never, ..earlier(30, BuildStatus::Failed, 8) },
        earlier(30, BuildStatus::Stopped, 8),
    ] {
        let green = earlier(60, BuildStatus::Succeeded, 7);
        let failed = after(facts(&sample!("failed")), &[green.clone(), not_run.clone()]);
        assert_eq!(news(&failed), "Mail: it broke: build #7 of 2026-03-02 08:14 UTC was green");
        let passed = after(facts(&sample!("succeeded")), &[green, not_run]);
        assert!(news(&passed).starts_with("Silent: nothing changed"), "{}", news(&passed));
    }
}

#[test]
fn a_build_that_ended_by_itself_is_told_even_if_it_was_to_be_stopped() {
    let mut facts = facts(&sample!("failed"));
    let Origin::Recorded(start) = &mut facts.origin else { panic!("recorded") };
    start.superseded_by = Some(commit(11));
    assert_eq!(news(&facts), "Mail: it broke: no earlier result is known");
}

/// The build of commit 10, started again by hand.
fn retried(event: &Event) -> Facts {
    let mut facts = facts(event);
    facts.origin = Origin::Environment {
        trigger: "unit".to_owned(),
        repository: RepositoryName::parse("payments").unwrap(),
        reference: RefName::branch("main").unwrap(),
        commit: commit(10),
        pull_request: None,
    };
    facts
}

#[test]
fn an_older_commit_that_is_built_again_changes_nothing() {
    let pushed = [earlier(60, BuildStatus::Failed, 10), earlier(30, BuildStatus::Succeeded, 11)];
    let again = after(retried(&sample!("failed")), &pushed);
    assert_eq!(
        news(&again),
        "Silent: it builds an older commit again: build #11 of 2026-03-02 08:44 UTC has the result of a newer one already"
    );
    let mut next = decide(&again, &policy());
    let Some(Action::History { finished, .. }) = next.actions.pop() else { panic!("it is remembered") };
    // The next push still comes after the green one.
    let finished = Finished { started: finished.started - SignedDuration::from_mins(5), ..*finished };
    let mut history = pushed.to_vec();
    history.push(Finished { build: BuildId::parse("payments-unit:again").unwrap(), ..finished });
    let mut pushed_next = facts(&sample!("failed"));
    let Origin::Recorded(start) = &mut pushed_next.origin else { panic!("recorded") };
    start.commit = commit(12);
    assert_eq!(news(&after(pushed_next, &history)), "Mail: it broke: build #11 of 2026-03-02 08:44 UTC was green");
}

#[test]
fn a_newer_commit_that_ends_after_an_older_one_was_built_again_is_not_late() {
    let again =
        Finished { started_for: StartedFor::Somebody, commit: Some(commit(8)), ..earlier(-5, BuildStatus::Failed, 20) };
    let green = after(facts(&sample!("succeeded")), &[earlier(60, BuildStatus::Failed, 8), again]);
    assert!(news(&green).starts_with("Mail: it is fixed: it failed 2 times"), "{}", news(&green));
}

#[test]
fn the_newest_commit_that_is_built_again_is_told() {
    let pushed = [earlier(60, BuildStatus::Succeeded, 9), earlier(30, BuildStatus::Failed, 10)];
    assert!(news(&after(retried(&sample!("succeeded")), &pushed)).starts_with("Mail: it is fixed"));
    // A ref that was set back to a commit makes it the newest again.
    let back = [earlier(60, BuildStatus::Succeeded, 10), earlier(30, BuildStatus::Failed, 11)];
    assert!(news(&after(facts(&sample!("succeeded")), &back)).starts_with("Mail: it is fixed"));
}

#[test]
fn green_after_green_is_silent_and_remembered() {
    let green = after(facts(&sample!("succeeded")), &[earlier(60, BuildStatus::Succeeded, 8)]);
    let decision = decide(&green, &policy());
    assert_eq!(decision.verdict, Verdict::Silent);
    assert!(matches!(decision.actions.as_slice(), [Action::History { .. }]));
    insta::assert_snapshot!(
        "silent",
        [
            news(&green),
            news(&facts(&sample!("succeeded"))),
            news(&after(facts(&sample!("failed")), &[earlier(-5, BuildStatus::Succeeded, 20)])),
            news(&after(facts(&sample!("stopped")), &[earlier(-5, BuildStatus::Succeeded, 20)])),
        ]
        .join("\n")
    );
}

#[test]
fn a_superseded_build_leaves_no_trace() {
    let mut facts = facts(&sample!("stopped"));
    let Origin::Recorded(start) = &mut facts.origin else { panic!("recorded") };
    start.superseded_by = Some(commit(11));
    let decision = decide(&facts, &Policy::none());
    assert_eq!((decision.verdict, decision.actions.len()), (Verdict::Silent, 0));
    assert!(news(&facts).contains("newer commit 000000b"), "{}", news(&facts));
}

fn status() -> impl Strategy<Value = BuildStatus> {
    proptest::sample::select(BuildStatus::ALL.iter().copied().filter(|status| status.is_terminal()).collect::<Vec<_>>())
}

fn histories() -> impl Strategy<Value = Vec<Finished>> {
    let build = (-60_i64..60, status());
    proptest::collection::vec(build, 0..60).prop_map(|builds| {
        let numbered = (0_u32..).zip(builds);
        numbered.map(|(n, (minutes, status))| earlier(minutes, status, n)).collect()
    })
}

proptest! {
    #[test]
    fn deciding_again_after_the_history_is_written_sends_nothing(builds in histories(), status in status()) {
        let mut facts = after(facts(&sample!("failed")), &builds);
        facts.build.as_mut().unwrap().status = status;
        let decision = decide(&facts, &Policy::none());
        for action in &decision.actions {
            if let Action::History { finished, older, .. } = action {
                facts.history = facts.history.with(finished, older);
                // A build older than everything that is remembered is forgotten at once: then it is late every time.
            }
        }
        let again = decide(&facts, &Policy::none());
        prop_assert_eq!(again.verdict, Verdict::Silent, "{:?}", again.reasons);
    }

    #[test]
    fn a_crash_after_the_mail_changes_nothing_for_the_successor(builds in histories(), status in status()) {
        let mut facts = after(facts(&sample!("failed")), &builds);
        facts.build.as_mut().unwrap().status = status;
        let decision = decide(&facts, &Policy::none());
        // The mail comes first, so until it is sent the history is as it was.
        let history_first = matches!(decision.actions.as_slice(), [Action::History { .. }, _, ..]);
        prop_assert!(!history_first);
        prop_assert_eq!(decide(&facts, &Policy::none()), decision);
    }
}
