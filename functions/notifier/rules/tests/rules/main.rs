//! The rules from outside: facts in, decisions and whole mails out.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must fail, also in its own helpers")]

use std::collections::BTreeSet;
use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use signalbox_events::{
    AccountId, Again, Arn, BuildId, BuildPhase, BuildStart, BuildStatus, BuildspecOf, CommitId, Detail, Event, Parsed,
    PhaseStatus, PhaseType, PullRequestId, PullRequestStart, RefName, Region, RepositoryName, RevisionId, parse_event,
};
use signalbox_notifier_rules::{
    Action, Began, CommitFacts, Commits, Console, Decision, Facts, Finished, Forebear, History, Known, Mail, Origin,
    Reason, Rest, StartedFor, Verdict, decide, log_lines, needs, needs_forebears, needs_more, render_action,
    render_reason, start_record_may_still_come,
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
        sample(include_bytes!(concat!("../../../../../events/codebuild-build-", $name, ".json")))
    };
}

mod copies;
mod facts;
mod mails;
mod news;
mod order;
mod protections;

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
            pushed: None,
            seen: None,
            superseded_by: None,
            pull_request: None,
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

/// A build that the trigger started for pull request 12.
fn of_a_pull_request(mut facts: Facts) -> Facts {
    let Origin::Recorded(start) = &mut facts.origin else { panic!("recorded") };
    start.reference = RefName::branch("feature/sums").unwrap();
    start.previous = None;
    start.pull_request = Some(Box::new(PullRequestStart {
        id: PullRequestId::parse("12").unwrap(),
        revision: RevisionId::parse("1".repeat(64)).unwrap(),
        into: RefName::branch("main").unwrap(),
        base: Some(commit(8)),
        author: Some(arn("developer")),
        title: "Round\nthe \u{202e}sums, password=hunter2".to_owned(),
        asked: None,
        merge: Some(commit(11)),
        buildspec: BuildspecOf::Source,
    }));
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
        pushed: None,
        previous: None,
        status,
        commit: Some(commit(n)),
        pusher: Some(arn("developer")),
        began: Began::Yes,
        started_for: StartedFor::Ref,
    }
}

fn after(mut facts: Facts, builds: &[Finished]) -> Facts {
    facts.history = builds.iter().fold(History::default(), |all, one| all.with(one, &BTreeSet::new()));
    facts
}

fn mail(decision: &Decision) -> Option<&Mail> {
    decision.actions.iter().find_map(|action| match action {
        Action::Mail(mail) => Some(&**mail),
        Action::History { .. } | Action::CopyTold { .. } => None,
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
