//! The rules from outside: facts in, decisions and whole mails out.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must fail, also in its own helpers")]

use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use signalbox_events::{
    AccountId, Arn, BuildId, BuildPhase, BuildStart, BuildStatus, CommitId, Detail, Event, Parsed, PhaseStatus,
    PhaseType, RefName, Region, RepositoryName, parse_event,
};
use signalbox_notifier_rules::{
    Action, Began, CommitFacts, Commits, Console, Decision, Facts, Finished, History, Known, Mail, Origin, Reason,
    Rest, StartedFor, Verdict, decide, log_lines, needs, needs_more, render_action, render_reason,
    start_record_may_still_come,
};
use signalbox_policy::{Policy, parse_policy};

const POLICY: &str = r#"
mode: enforce
repositories:
  payments:
    notifications:
      - about: [build.failed, build.fixed]
        to: [team-payments]
people:
  "arn:aws:iam::111122223333:user/pusher": { name: The Pusher, email: pusher@example.com, teams: [team-payments] }
"#;

macro_rules! sample {
    ($name:literal) => {
        sample(include_bytes!(concat!("../../../../events/codebuild-build-", $name, ".json")))
    };
}

fn sample(bytes: &[u8]) -> Event {
    match parse_event(bytes) {
        Ok(Parsed::Ours(event)) => *event,
        other => panic!("no event of ours: {other:?}"),
    }
}

fn policy() -> Policy {
    parse_policy(POLICY).unwrap()
}

fn commit(n: u32) -> CommitId {
    CommitId::parse(format!("{n:07x}{}", "0".repeat(33))).unwrap()
}

fn arn(user: &str) -> Arn {
    Arn::parse(format!("arn:aws:iam::111122223333:user/{user}")).unwrap()
}

/// Facts as they are gathered for a build that the trigger `unit` started for `main` of `payments`.
fn facts(event: &Event) -> Facts {
    let mut facts = Facts::before_gathering(event);
    if let Some(build) = &mut facts.build {
        build.known = Known::FromCodeBuild;
        facts.origin = Origin::Recorded(BuildStart {
            build: build.build.clone(),
            trigger: "unit".to_owned(),
            repository: RepositoryName::parse("payments").unwrap(),
            reference: RefName::branch("main").unwrap(),
            commit: commit(10),
            previous: Some(commit(9)),
            pusher: Some(arn("pusher")),
            attempt: 1,
            at: build.start.unwrap_or_default(),
            superseded_by: None,
        });
    }
    facts.commits = Commits {
        listed: vec![
            CommitFacts::new(commit(10), "Round the sums\n\nThey were not.", "The Pusher"),
            CommitFacts::new(commit(9), "Add sums", "A Developer"),
        ],
        rest: Rest::Complete,
    };
    facts.log = Some(log_lines(&log(&["running 3 tests", "sums_are_round ... FAILED", "expected 41, found 42"])));
    facts.console = Console::of(
        &Arn::parse("arn:aws:codebuild:eu-west-1:111122223333:build/x:y").unwrap(),
        &Region::parse("eu-west-1").unwrap(),
        &AccountId::parse("111122223333").unwrap(),
    );
    facts
}

fn log(output: &[&str]) -> Vec<String> {
    let container = |text: &str| format!("[Container] 2026/03/02 09:14:52.123456 {text}\n");
    let mut lines = vec![container("Entering phase BUILD"), container("Running command ./run-tests")];
    lines.extend(output.iter().map(|line| format!("{line}\n")));
    for text in [
        "",
        "Command did not exit successfully ./run-tests exit status 1",
        "Phase complete: BUILD State: FAILED",
        "Phase context status code: COMMAND_EXECUTION_ERROR Message: Error while executing command: ./run-tests. Reason: exit status 1",
        "Entering phase POST_BUILD",
    ] {
        lines.push(container(text));
    }
    lines
}

/// A build of the same history, `minutes` before 09:14:12, the start of the samples.
fn earlier(minutes: i64, status: BuildStatus, n: u32) -> Finished {
    let start: Timestamp = "2026-03-02T09:14:12Z".parse().unwrap();
    Finished {
        build: BuildId::parse(format!("payments-unit:earlier-{n}")).unwrap(),
        number: Some(u64::from(n)),
        started: start - SignedDuration::from_mins(minutes),
        ended: Some(start - SignedDuration::from_mins(minutes - 1)),
        status,
        commit: Some(commit(n)),
        pusher: Some(arn("developer")),
        began: Began::Yes,
        started_for: StartedFor::Ref,
    }
}

fn after(mut facts: Facts, builds: &[Finished]) -> Facts {
    facts.history = builds.iter().fold(History::default(), |all, one| all.with(one));
    facts
}

fn mail(decision: &Decision) -> Option<&Mail> {
    decision.actions.iter().find_map(|action| match action {
        Action::Mail(mail) => Some(&**mail),
        Action::History { .. } => None,
    })
}

/// A decision as a person sees it; what must hold for every mail is held here.
fn shown(facts: &Facts, policy: &Policy) -> String {
    let decision = decide(facts, policy);
    let mut text = format!("verdict: {:?}\n", decision.verdict);
    for reason in &decision.reasons {
        writeln!(text, "because {}", render_reason(reason)).unwrap();
    }
    for action in &decision.actions {
        writeln!(text, "shall {}", render_action(action)).unwrap();
    }
    if let Some(mail) = mail(&decision) {
        check(mail);
        writeln!(text, "\nSubject: {}\n\n{}", mail.subject, mail.body).unwrap();
    }
    text
}

fn check(mail: &Mail) {
    let subject = &mail.subject;
    assert!(subject.len() < 100 && subject.chars().all(|c| (' '..='~').contains(&c)), "{subject:?}");
    assert!(!subject.starts_with(' ') && !subject.is_empty(), "{subject:?}");
    assert!(mail.body.len() <= 16_000);
    assert!(mail.body.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", mail.body);
}

fn news(facts: &Facts) -> String {
    let decision = decide(facts, &policy());
    let news = decision.reasons.iter().find(|reason| matches!(reason, Reason::News(_))).map(render_reason);
    format!("{:?}: {}", decision.verdict, news.unwrap_or_default())
}

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
    let finished = Finished { started: finished.started - SignedDuration::from_mins(5), ..finished };
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
fn facts_keep_no_secret_of_a_phase() {
    let mut event = sample!("failed");
    let Detail::BuildState(change) = &mut event.detail else { panic!("a build's state") };
    let said = "Error while executing command: mysql -phunter2. Reason: exit status 1".to_owned();
    change.context = vec![said.clone()];
    for phase in &mut change.information.as_mut().unwrap().phases {
        phase.context = vec![said.clone(), "password: hunter2 again".to_owned()];
    }
    let mut facts = facts(&event);
    let kept = serde_json::to_string(&facts).unwrap();
    assert!(!kept.contains("hunter2") && kept.contains("mysql -p[removed]. Reason: exit status 1"), "{kept}");
    // What had to be changed is nothing that anybody can run.
    let build = facts.build.as_mut().unwrap();
    build.phases.iter_mut().for_each(|phase| phase.context.truncate(1));
    assert!(!shown(&facts, &policy()).contains("To see it on your machine"));
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

#[test]
fn a_build_without_a_repository_is_silent_with_its_reason() {
    let facts = Facts::before_gathering(&sample!("succeeded-in-pipeline"));
    let decision = decide(&facts, &policy());
    assert_eq!((decision.verdict, decision.actions.len()), (Verdict::Silent, 0));
    assert!(decision.reasons.iter().any(|reason| matches!(reason, Reason::NoRepository { .. })), "{decision:?}");
}

#[test]
fn a_build_in_progress_and_a_push_concern_nobody_here() {
    let push = sample(include_bytes!("../../../../events/codecommit-reference-updated-push.json"));
    for event in [sample!("in-progress"), push] {
        let needs = needs(&event, &policy());
        assert_eq!(needs.build, None);
        assert_eq!(decide(&Facts::before_gathering(&event), &policy()).verdict, Verdict::NotConcerned);
    }
}

#[test]
fn nobody_who_wants_to_hear_means_no_mail_no_log_but_a_history() {
    let deaf = parse_policy("repositories: { payments: { notifications: [] } }").unwrap();
    let facts = facts(&sample!("failed"));
    let decision = decide(&facts, &deaf);
    assert_eq!(decision.verdict, Verdict::Silent);
    assert!(matches!(decision.actions.as_slice(), [Action::History { .. }]), "{decision:?}");
    assert_eq!(needs_more(&facts, &deaf), signalbox_notifier_rules::More::default());
}

#[test]
fn logs_and_commits_are_read_only_for_mail_and_only_back_to_the_last_result() {
    let failed = needs_more(&after(facts(&sample!("failed")), &[earlier(60, BuildStatus::Succeeded, 3)]), &policy());
    assert!(failed.log.is_some());
    assert_eq!(failed.commits.and_then(|wanted| wanted.until), Some(commit(3)));
    let green = after(facts(&sample!("succeeded")), &[earlier(60, BuildStatus::Succeeded, 3)]);
    assert_eq!(needs_more(&green, &policy()), signalbox_notifier_rules::More::default());
    let fixed = needs_more(&after(facts(&sample!("succeeded")), &[earlier(60, BuildStatus::Failed, 3)]), &policy());
    assert!(fixed.log.is_none() && fixed.commits.is_some());
}

#[test]
fn a_missing_record_is_waited_for_two_minutes() {
    let now: Timestamp = "2026-03-02T09:16:54Z".parse().unwrap();
    assert!(start_record_may_still_come(Some(now - SignedDuration::from_secs(119)), now));
    assert!(!start_record_may_still_come(Some(now - SignedDuration::from_secs(120)), now));
    assert!(!start_record_may_still_come(None, now));
}

#[test]
fn only_the_variables_of_the_trigger_together_tell_an_origin() {
    let all = [("TRIGGER", "unit"), ("REPOSITORY", "payments"), ("REF", "refs/heads/main"), ("COMMIT", "abc")];
    let of = |some: &[(&str, &str)]| {
        Origin::of_environment(
            &some.iter().map(|(name, value)| (format!("SIGNALBOX_{name}"), (*value).to_owned())).collect(),
        )
    };
    assert!(matches!(of(&all), Origin::Environment { .. }));
    assert_eq!(of(&all[1..]), Origin::Other);
    assert_eq!(of(&[all[0], all[1], ("REF", "main"), all[3]]), Origin::Other);
}

#[test]
fn facts_replay_from_a_file() {
    let facts = after(facts(&sample!("failed")), &[earlier(60, BuildStatus::Succeeded, 8)]);
    let read: Facts = serde_json::from_str(&serde_json::to_string(&facts).unwrap()).unwrap();
    assert_eq!(decide(&read, &policy()), decide(&facts, &policy()));
    let decision = decide(&facts, &policy());
    assert_eq!(serde_json::from_str::<Decision>(&serde_json::to_string(&decision).unwrap()).unwrap(), decision);
}

#[test]
fn fifty_failures_are_counted_as_what_they_are_at_least() {
    let builds: Vec<Finished> = (1..=60).map(|n| earlier(100 - i64::from(n), BuildStatus::Failed, n)).collect();
    let decision = decide(&after(facts(&sample!("failed")), &builds), &policy());
    assert_eq!(mail(&decision).unwrap().subject, "unit is still broken on main of payments (51st or later failure)");
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
            if let Action::History { finished, .. } = action {
                facts.history = facts.history.with(finished);
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

#[test]
fn every_sample_event_is_decided() {
    let Detail::BuildState(change) = &sample!("succeeded-bare").detail else { panic!("a build's state") };
    assert!(change.information.is_none());
    for event in [sample!("succeeded-bare"), sample!("succeeded-in-pipeline"), sample!("stopped"), sample!("fault")] {
        let facts = Facts::before_gathering(&event);
        assert!(!decide(&facts, &policy()).reasons.is_empty());
    }
}
