//! Whole mails, as people get them.

use super::*;

#[test]
fn a_build_that_breaks_is_told_in_full() {
    let facts = after(facts(&sample!("failed")), &[earlier(60, BuildStatus::Succeeded, 8)]);
    insta::assert_snapshot!("broke", shown(&facts, &policy()));
}

#[test]
fn the_first_build_ever_that_fails_broke_too() {
    let mut facts = facts(&sample!("failed"));
    facts.commits.rest = Rest::NotRead;
    facts.commits.listed.truncate(1);
    facts.console = None;
    insta::assert_snapshot!("broke_first", shown(&facts, &Policy::none()));
}

#[test]
fn a_build_that_fails_again_says_how_often_and_since_when() {
    let builds = [
        earlier(90, BuildStatus::Succeeded, 5),
        earlier(60, BuildStatus::Failed, 6),
        earlier(50, BuildStatus::Stopped, 7),
        earlier(40, BuildStatus::TimedOut, 8),
    ];
    insta::assert_snapshot!("still_broken", shown(&after(facts(&sample!("failed")), &builds), &policy()));
}

#[test]
fn a_build_that_passes_after_failures_is_fixed() {
    let builds = [
        earlier(9_000, BuildStatus::Succeeded, 5),
        earlier(2_000, BuildStatus::Failed, 6),
        earlier(50, BuildStatus::Fault, 7),
        earlier(40, BuildStatus::TimedOut, 8),
    ];
    insta::assert_snapshot!("fixed", shown(&after(facts(&sample!("succeeded")), &builds), &policy()));
}

#[test]
fn a_build_that_somebody_stopped_says_nothing_about_the_code() {
    insta::assert_snapshot!("stopped", shown(&facts(&sample!("stopped")), &Policy::none()));
}

#[test]
fn a_buildspec_that_cannot_be_read_is_named() {
    insta::assert_snapshot!("buildspec", shown(&facts(&sample!("failed-buildspec")), &policy()));
}

#[test]
fn a_build_that_took_too_long_and_one_that_codebuild_could_not_run_say_so() {
    let timed_out = shown(&facts(&sample!("timed-out")), &policy());
    let fault = shown(&facts(&sample!("fault")), &policy());
    insta::assert_snapshot!("timed_out_and_fault", format!("{timed_out}\n=====\n{fault}"));
}

#[test]
fn a_pull_request_that_breaks_is_told_with_whose_it_is_and_where_to_look() {
    let facts = of_a_pull_request(facts(&sample!("failed")));
    let shown = shown(&facts, &policy());
    assert!(!shown.contains("hunter2") && !shown.contains('\u{202e}'), "{shown}");
    let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    for wanted in [
        "Subject: unit broke on pull request 12 of payments",
        "The Pusher, please mend what pull request 12 brings: `./run-tests` failed with exit status 1 with its target branch merged in.",
        "What unit broke on pull request 12 of payments (project payments-unit)",
        "Request 12, feature/sums into main, by developer: Round the sums, password=",
        "Merged with main at 000000b before it was built",
        "git merge --no-edit 000000b0",
        "request https://eu-west-1.console.aws.amazon.com/codesuite/codecommit/repositories/payments/pull-requests/12?region=eu-west-1",
    ] {
        assert!(words.contains(wanted), "no {wanted:?} in {shown}");
    }
}

#[test]
fn a_build_of_a_pull_request_that_somebody_asked_for_is_its_authors_to_mend() {
    let mut facts = of_a_pull_request(facts(&sample!("failed")));
    let Origin::Recorded(start) = &mut facts.origin else { panic!("recorded") };
    start.pusher = None;
    let review = start.pull_request.as_mut().unwrap();
    (review.asked, review.merge) = (Some(arn("pusher")), None);
    let shown = shown(&facts, &policy());
    assert!(shown.contains("developer, please mend what pull request 12 brings: "), "{shown}");
    assert!(shown.contains("Asked for  by The Pusher, in a comment"), "{shown}");
}

#[test]
fn the_history_of_a_pull_request_is_not_that_of_its_branch() {
    let event = sample!("failed");
    let mut pushed = facts(&event);
    let of_request = of_a_pull_request(facts(&event));
    let Origin::Recorded(start) = &mut pushed.origin else { panic!("recorded") };
    start.reference = RefName::branch("feature/sums").unwrap();
    assert_ne!(pushed.history_key(), of_request.history_key());
    assert!(of_request.history_key().unwrap().ends_with("/pull-request%2F12.json"), "{:?}", of_request.history_key());
    // A build that somebody started again says the same by its variables.
    let mut retried = of_request.clone();
    retried.origin = Origin::of_environment(
        &[
            ("SIGNALBOX_TRIGGER", "unit"),
            ("SIGNALBOX_REPOSITORY", "payments"),
            ("SIGNALBOX_REF", "refs/heads/feature/sums"),
            ("SIGNALBOX_COMMIT", commit(10).as_str()),
            ("SIGNALBOX_PULL_REQUEST", "12"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
    );
    assert_eq!(retried.history_key(), of_request.history_key());
}

/// A build that ended in this phase, which says this.
fn ended_in(phase: PhaseType, status: PhaseStatus, said: &str) -> Facts {
    let timed_out = status == PhaseStatus::TimedOut;
    let mut facts = facts(&if timed_out { sample!("timed-out") } else { sample!("failed") });
    let build = facts.build.as_mut().unwrap();
    build.phases.truncate(1);
    build.phases.push(BuildPhase {
        phase,
        status: Some(status),
        context: vec![said.to_owned()],
        start: None,
        end: None,
        duration_seconds: Some(60),
    });
    facts.log = None;
    facts
}

#[test]
fn a_build_that_never_began_is_nobodys_fault() {
    let shown = [
        ended_in(PhaseType::Queued, PhaseStatus::TimedOut, "BUILD_TIMED_OUT: Build has timed out. "),
        ended_in(
            PhaseType::Provisioning,
            PhaseStatus::ClientError,
            "BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE: Unable to pull customer's container image.",
        ),
        ended_in(PhaseType::DownloadSource, PhaseStatus::Failed, "CLIENT_ERROR: authorization failed"),
    ]
    .map(|facts| {
        let shown = shown(&after(facts, &[earlier(60, BuildStatus::Failed, 8)]), &policy());
        assert!(!shown.contains("fix or revert") && shown.contains("the build never began"), "{shown}");
        shown
    });
    insta::assert_snapshot!("never_began", shown.join("\n=====\n"));
}

#[test]
fn a_buildspec_that_cannot_be_read_is_the_pushers() {
    let said = "YAML_FILE_ERROR: expected a map";
    let facts = ended_in(PhaseType::DownloadSource, PhaseStatus::Failed, said);
    assert!(shown(&facts, &policy()).contains("The Pusher, please correct the buildspec"));
}

#[test]
fn every_message_says_whom_it_is_for() {
    let to = |policy: &str| {
        let decision = decide(&facts(&sample!("failed")), &parse_policy(policy).unwrap());
        mail(&decision).unwrap().attributes.to.clone()
    };
    assert_eq!(to(POLICY), ["team-payments"]);
    assert_eq!(to("mode: enforce"), ["everyone"]);
    let both = POLICY.replace("people:", "  \"pay*\":\n    notifications:\n      - about: build.failed\npeople:");
    assert_eq!(to(&both), ["team-payments", "everyone"]);
}

#[test]
fn a_build_that_nobody_of_us_started_is_told_by_its_project() {
    let mut started_by_hand = facts(&sample!("failed"));
    started_by_hand.origin = Origin::Other;
    let build = started_by_hand.build.as_mut().unwrap();
    build.source_version = Some("refs/heads/main^{ed278db82e063d976ad5bf4de2f8def065aa898a}".to_owned());
    build.initiator = Some("user/developer".to_owned());
    insta::assert_snapshot!("by_hand", shown(&started_by_hand, &policy()));
}

#[test]
fn hostile_names_and_messages_do_no_harm() {
    let mut facts = after(facts(&sample!("failed")), &[earlier(60, BuildStatus::Failed, 8)]);
    let Origin::Recorded(start) = &mut facts.origin else { panic!("recorded") };
    start.trigger = "unit-with-quite-a-long-name-that-goes-on-and-on-and-on-until-64ch".to_owned();
    start.reference =
        RefName::branch(&format!("feature/\u{1f680}\u{202e}gr\u{f6}\u{df}e-{}", "x".repeat(200))).unwrap();
    let command = format!("curl -H 'Authorization: Bearer abcdefgh' {} \u{1b}[31m\nBcc: x", "y".repeat(300));
    let build = facts.build.as_mut().unwrap();
    for phase in build.phases.iter_mut().filter(|phase| phase.status == Some(PhaseStatus::Failed)) {
        phase.context =
            vec![format!("COMMAND_EXECUTION_ERROR: Error while executing command: {command}. Reason: exit status 2")];
    }
    facts.commits.listed = vec![
        CommitFacts::new(commit(10), "\n\u{1b}]0;x\u{7}One\rline\nSubject: another", "Eve\nBcc: y"),
        CommitFacts::new(commit(9), &"long ".repeat(1_000), ""),
    ];
    facts.commits.rest = Rest::More;
    facts.log = Some(log_lines(&log(&[
        "password=hunter2",
        "progress 1%\rprogress 100%\r",
        "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG\n-----END PRIVATE KEY-----",
        &"z".repeat(10_000),
    ])));
    let shown = shown(&facts, &policy());
    for secret in ["hunter2", "MIIE", "abcdefgh", "\u{1b}", "\u{202e}"] {
        assert!(!shown.contains(secret), "{secret:?} in {shown}");
    }
    insta::assert_snapshot!("hostile", shown);
}

#[test]
fn fifty_failures_are_counted_as_what_they_are_at_least() {
    let builds: Vec<Finished> = (1..=60).map(|n| earlier(100 - i64::from(n), BuildStatus::Failed, n)).collect();
    let decision = decide(&after(facts(&sample!("failed")), &builds), &policy());
    assert_eq!(mail(&decision).unwrap().subject, "unit is still broken on main of payments (51st or later failure)");
}

proptest! {
    #[test]
    fn no_input_makes_a_mail_that_sns_refuses(
        trigger in ".{1,80}", branch in "[^\\s\\p{C}]{1,250}", said in ".{0,500}", line in ".{0,600}", subject in ".{0,200}",
    ) {
        let mut facts = facts(&sample!("failed"));
        let Origin::Recorded(start) = &mut facts.origin else { panic!("recorded") };
        start.trigger = trigger;
        if let Ok(name) = RefName::branch(&branch) {
            start.reference = name;
        }
        facts.build.as_mut().unwrap().phases = vec![BuildPhase {
            phase: PhaseType::Build,
            status: Some(PhaseStatus::Failed),
            context: vec![format!("COMMAND_EXECUTION_ERROR: Error while executing command: {said}. Reason: {said}")],
            start: None,
            end: None,
            duration_seconds: Some(u64::MAX),
        }];
        facts.log = Some(vec![line; 40]);
        facts.commits.listed = vec![CommitFacts::new(commit(1), &subject, &subject); 10];
        check(mail(&decide(&facts, &policy())).unwrap());
    }
}
