//! The body of a mail: a first line that says what to do, and then the rest.

use jiff::SignedDuration;
use signalbox_events::{BuildStatus, PhaseType, RepositoryName};
use signalbox_policy::{Policy, Topic};

use crate::cause::{Cause, Failed};
use crate::decide::{Case, Place, Told};
use crate::facts::{Facts, Origin, Rest};
use crate::history::Finished;
use crate::mail::{place, shown, who};
use crate::news::{Count, News};
use crate::redact::{REMOVED, redact};
use crate::render::ended;
use crate::text::{cut, duration, moment, plain, wrapped};

/// Bytes of a body: far below what SNS takes, and more than anybody reads.
const LONGEST_BODY: usize = 16_000;

/// Lines of the log that are shown.
const LOG_LINES: usize = 15;

/// Characters of a line of the log.
const LONGEST_LOG_LINE: usize = 300;

/// The line that says what to do, and who.
fn first_line(told: &Told<'_>, policy: &Policy) -> String {
    let case = &told.case;
    if let Some(newer) = &told.since {
        let newer = format!("{}, which {}", past(newer, policy), ended(newer.status));
        return format!("Look at {newer}: what follows is older, and told once more because somebody asked for it.");
    }
    let failed = Failed::of(case);
    let pusher = case.pusher.map(|pusher| who(pusher, policy));
    // Whoever made a pull request answers for it where nobody is known to have pushed.
    let review = case.review();
    let owner = pusher.clone().or_else(|| review.and_then(|review| Some(who(review.author.as_ref()?, policy))));
    let what = failed.said(case);
    let please = |whom: Option<&str>, what_to_do: &str, default: &str| match whom {
        Some(whom) => format!("{whom}, please {what_to_do}"),
        None => default.to_owned(),
    };
    match &told.news {
        News::NotRun if case.build.status == BuildStatus::Fault => {
            format!("Start it again: {what}, which says nothing about the code.")
        }
        News::NotRun => {
            let project = &case.build.project;
            let look = match failed.phase.map(|phase| phase.phase) {
                Some(PhaseType::Queued | PhaseType::Submitted) => {
                    format!(
                        "Look at what else CodeBuild runs and at the limits of project {project}, then start it again"
                    )
                }
                _ => format!("Look at project {project}, its image and its role in CodeBuild, then start it again"),
            };
            format!("{look}: {what}, which says nothing about the code.")
        }
        News::Broke { .. } if matches!(failed.cause, Cause::Buildspec(_)) => {
            let line = please(owner.as_deref(), "correct the buildspec", "Please correct the buildspec");
            format!("{line}: {what}.")
        }
        News::Broke { .. } => match review {
            Some(review) => {
                let mend = format!("mend what pull request {} brings", review.id);
                let merged = if review.merge.is_some() { " with its target branch merged in" } else { "" };
                format!("{}: {what}{merged}.", please(owner.as_deref(), &mend, &format!("Please {mend}")))
            }
            None => {
                let whose = "Please fix or revert what was built";
                format!("{}: {what}.", please(pusher.as_deref(), "fix or revert your push", whose))
            }
        },
        News::StillBroken { first, .. } => {
            let breaker = first.pusher.as_ref().map(|pusher| who(pusher, policy));
            let whom = match (&breaker, &owner) {
                (Some(breaker), Some(pusher)) if breaker != pusher => Some(format!("{breaker} or {pusher}")),
                (Some(one), _) | (None, Some(one)) => Some(one.clone()),
                (None, None) => None,
            };
            let since = format!("broken since {}", moment(first.started));
            let (do_it, please_do_it) = match failed.cause {
                Cause::Buildspec(_) => ("correct the buildspec", "Please correct the buildspec"),
                _ => ("fix or revert what broke it", "Please fix or revert what broke it"),
            };
            format!("{}: it is {since}, and {what}.", please(whom.as_deref(), do_it, please_do_it))
        }
        News::Fixed { .. } => match pusher {
            Some(pusher) => format!("Nothing is left to do: the push of {pusher} fixed it."),
            None => "Nothing is left to do: it is green again.".to_owned(),
        },
        _ => "Start it again if its result is needed: somebody stopped it, so nothing is known of this commit."
            .to_owned(),
    }
}

/// A body grows line by line.
#[derive(Default)]
pub(crate) struct Body(String);

impl Body {
    pub(crate) fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    /// A name in the margin and its value beside it, broken where it is long.
    pub(crate) fn field(&mut self, name: &str, value: &str) {
        self.line(&format!("{name:<10} {}", wrapped(value, &" ".repeat(11))));
    }

    pub(crate) fn heading(&mut self, text: &str) {
        self.line("");
        self.line(text);
    }

    /// The text, cut where it is longer than anybody reads.
    pub(crate) fn bounded(self) -> String {
        let Self(mut body) = self;
        if body.len() <= LONGEST_BODY {
            return body;
        }
        let mut end = LONGEST_BODY - 40;
        while !body.is_char_boundary(end) {
            end -= 1;
        }
        body.truncate(end);
        body.push_str("\n... (the mail was cut here)\n");
        body
    }
}

/// Why a mail came.
pub(crate) fn footer(repository: &RepositoryName, topic: Topic, policy: &Policy) -> String {
    let reason = match policy.audience(repository, topic).rules.first() {
        Some(line) => format!("line {line} of the policy asks for {topic} of {repository}"),
        None => format!("the policy does not say who hears of {repository}, so everybody does"),
    };
    format!("-- Signalbox; this came because {reason}.")
}

pub(crate) fn body(facts: &Facts, told: &Told<'_>, topic: Topic, policy: &Policy) -> String {
    let case = &told.case;
    let mut body = Body::default();
    body.line(&wrapped(&first_line(told, policy), ""));
    body.line("");
    body.field("What", &what(told));
    since(&mut body, told, policy);
    request(&mut body, case, policy);
    origin(&mut body, case, policy);
    if topic == Topic::BuildFailed {
        why(&mut body, case);
    }
    took(&mut body, case);
    commits(&mut body, facts, &told.news);
    if topic == Topic::BuildFailed {
        log(&mut body, facts);
        reproduce(&mut body, case);
    }
    links(&mut body, facts, case);
    body.line("");
    body.line(&wrapped(&footer(&case.repository, topic, policy), ""));
    body.bounded()
}

fn what(told: &Told<'_>) -> String {
    let case = &told.case;
    let state = match &told.news {
        News::Broke { .. } => "broke",
        News::StillBroken { .. } => "is still broken",
        News::Fixed { .. } => "is fixed",
        News::NotRun => "could not be run",
        _ => "was stopped",
    };
    let name = shown(case.name(), 100);
    let project = if case.trigger().is_some_and(|trigger| trigger != case.build.project.as_str()) {
        format!(" (project {})", case.build.project)
    } else {
        String::new()
    };
    format!("{name} {state} on {}{project}", place(case))
}

/// A build of the past with its commit and its pusher.
fn past(finished: &Finished, policy: &Policy) -> String {
    let commit = finished.commit.as_ref().map(|commit| format!(" of {}", commit.short())).unwrap_or_default();
    let pusher =
        finished.pusher.as_ref().map(|pusher| format!(", pushed by {}", who(pusher, policy))).unwrap_or_default();
    format!("the build{commit} at {}{pusher}", moment(finished.started))
}

fn times(count: Count) -> String {
    match count {
        Count::Exactly(1) => "once".to_owned(),
        Count::Exactly(n) => format!("{n} times"),
        Count::AtLeast(n) => format!("at least {n} times"),
    }
}

fn since(body: &mut Body, told: &Told<'_>, policy: &Policy) {
    match &told.news {
        News::Broke { green: Some(green) } => body.field("Green", &format!("until {}", past(green, policy))),
        News::Broke { green: None } => body.field("Before", "no result of it is known"),
        News::StillBroken { failures, first, .. } => {
            body.field("Broken", &format!("since {}; failed {}", past(first, policy), times(*failures)));
        }
        News::Fixed { failures, first, .. } => {
            let until = told.case.build.end.or(told.case.build.start);
            let took = until.map(|until| until.duration_since(first.ended.unwrap_or(first.started)));
            let took = took.map(|took| format!(" in {}", duration(took))).unwrap_or_default();
            body.field("Broken", &format!("since {}; failed {}{took}", past(first, policy), times(*failures)));
        }
        _ => {}
    }
}

/// A branch as people name it.
fn short(reference: &str) -> &str {
    reference.strip_prefix("refs/heads/").unwrap_or(reference)
}

/// The pull request: from where into what, whose, and what it is called.
fn request(body: &mut Body, case: &Case<'_>, policy: &Policy) {
    let Some(review) = case.review() else { return };
    let author = review.author.as_ref().map(|author| format!(", by {}", who(author, policy))).unwrap_or_default();
    let title = shown(&review.title, 150);
    let title = if title.is_empty() { title } else { format!(": {title}") };
    let source = shown(short(case.place.name()), 200);
    let into = shown(review.into.short(), 200);
    body.field("Request", &format!("{}, {source} into {into}{author}{title}", review.id));
    if let Some(with) = &review.merge {
        body.field("Merged", &format!("with {into} at {} before it was built", shown(with.short(), 7)));
    }
    if let Some(asked) = &review.asked {
        body.field("Asked for", &format!("by {}, in a comment", who(asked, policy)));
    }
}

fn origin(body: &mut Body, case: &Case<'_>, policy: &Policy) {
    let commit = case.commit.as_ref().map_or_else(|| "what was built".to_owned(), |commit| commit.short().to_owned());
    let initiator = case.build.initiator.as_deref().map(|initiator| shown(initiator, 200));
    match (case.pusher, case.origin) {
        (Some(pusher), _) => body.field("Pushed", &format!("{commit} by {}", who(pusher, policy))),
        // The request above says whose it is.
        (None, Origin::Recorded(start)) if start.pull_request.is_some() => body.field("Built", &commit),
        (None, Origin::Recorded(_)) => body.field("Pushed", &format!("{commit}; by whom, the event did not say")),
        (None, Origin::Environment { .. }) => {
            let by = initiator.map(|initiator| format!("; started by {initiator}")).unwrap_or_default();
            body.field("Built", &format!("{commit}{by}; who pushed it is not recorded"));
        }
        (None, Origin::Other) => {
            let by = initiator.unwrap_or_else(|| "somebody unknown".to_owned());
            body.field("Built", &format!("{commit}; started by {by}, not by a trigger"));
        }
    }
}

fn why(body: &mut Body, case: &Case<'_>) {
    let failed = Failed::of(case);
    if let Some(phase) = failed.phase {
        let took = phase.duration_seconds.and_then(|seconds| i64::try_from(seconds).ok());
        let after =
            took.map(|seconds| format!(", after {}", duration(SignedDuration::from_secs(seconds)))).unwrap_or_default();
        let never_built = !case.build.phases.iter().any(|phase| phase.phase == PhaseType::Build);
        let before = if never_built { "; no command of the buildspec's build phase ran" } else { "" };
        body.field("Failed in", &format!("phase {}{after}{before}", phase.phase));
    }
    match (&failed.cause, &failed.command) {
        (Cause::Command(reason), Some(command)) => {
            body.field("Command", &shown(command, 500));
            if let Some(reason) = reason {
                body.field("Result", &shown(reason, 200));
            }
        }
        (Cause::Buildspec(message), _) => body.field("Buildspec", &shown(message, 500)),
        (Cause::Fault(Some(message)) | Cause::NeverBegan(Some(message)) | Cause::Other(Some(message)), _) => {
            body.field("Message", &shown(message, 500))
        }
        _ => {}
    }
}

fn took(body: &mut Body, case: &Case<'_>) {
    let number = case.build.number.map(|number| format!("build {number}, ")).unwrap_or_default();
    let (start, end) = (case.build.start, case.build.end);
    match (start, end) {
        (Some(start), Some(end)) => {
            body.field("Took", &format!("{} ({number}ended {})", duration(end.duration_since(start)), moment(end)));
        }
        (None, Some(end)) => body.field("Ended", &format!("{number}{}", moment(end))),
        _ => {}
    }
}

fn commits(body: &mut Body, facts: &Facts, news: &News) {
    if facts.commits.listed.is_empty() {
        return;
    }
    body.heading(match (news, facts.commits.listed.len(), facts.commits.rest) {
        (_, _, Rest::NotRead) => "The commit:",
        (News::Broke { green: Some(_) }, ..) => "Commits since it was green, newest first:",
        (News::StillBroken { .. } | News::Fixed { .. }, ..) => "Commits since the failure before, newest first:",
        _ => "Commits, newest first:",
    });
    for commit in &facts.commits.listed {
        let author = shown(&commit.author, 60);
        let author = if author.is_empty() { String::new() } else { format!(" ({author})") };
        let text = format!("{}{author}", shown(&commit.subject, 120));
        body.line(&format!("  {:<7} {}", shown(commit.id.short(), 7), wrapped(&text, &" ".repeat(10))));
    }
    if facts.commits.rest == Rest::More {
        body.line("  ... and more before these");
    }
}

/// The lines that tell: those before the failing phase ended, from the command that failed.
fn telling(lines: &[String]) -> &[String] {
    let own = |line: &String| line.starts_with("[Container]");
    let failed =
        lines.iter().position(|line| own(line) && line.contains("Phase complete") && line.contains("State: FAILED"));
    let mut shown = lines.get(..failed.unwrap_or(lines.len())).unwrap_or_default();
    while let Some((_, before)) =
        shown.split_last().filter(|(last, _)| last.trim().is_empty() || own(last) && !last.contains("Running command"))
    {
        shown = before;
    }
    if shown.is_empty() {
        shown = lines;
    }
    if let Some(command) = shown.iter().rposition(|line| own(line) && line.contains("Running command")) {
        shown = shown.get(command..).unwrap_or(shown);
    }
    shown.get(shown.len().saturating_sub(LOG_LINES)..).unwrap_or(shown)
}

fn log(body: &mut Body, facts: &Facts) {
    let Some(lines) = facts.log.as_deref().filter(|lines| lines.iter().any(|line| !line.trim().is_empty())) else {
        return;
    };
    body.heading("The last lines of the log:");
    // Facts may come from a file that nobody redacted; a private key spans lines, so all of them go through at once.
    let clean: Vec<String> = redact(&lines.iter().map(|line| plain(line)).collect::<Vec<_>>().join("\n"))
        .split('\n')
        .map(|line| cut(line.trim_end(), LONGEST_LOG_LINE))
        .collect();
    for line in telling(&clean) {
        body.line(format!("  | {line}").trim_end());
    }
}

fn reproduce(body: &mut Body, case: &Case<'_>) {
    let failed = Failed::of(case);
    let (Some(command), Some(commit)) = (&failed.command, &case.commit) else { return };
    // A command that had to be changed to be shown is none that anybody can run.
    let runs = command.len() <= 200 && shown(command, 200) == *command && !command.contains(REMOVED);
    if runs && matches!(failed.cause, Cause::Command(_)) {
        body.heading("To see it on your machine, in a clone of the repository:");
        body.line(&format!("  git fetch origin && git checkout {}", shown(commit.as_str(), 64)));
        if let Some(with) = case.review().and_then(|review| review.merge.as_ref()) {
            body.line(&format!("  git merge --no-edit {}", shown(with.as_str(), 64)));
        }
        body.line(&format!("  {command}"));
    }
}

fn links(body: &mut Body, facts: &Facts, case: &Case<'_>) {
    let log = case.build.logs.as_ref().and_then(|logs| logs.deep_link.as_deref());
    // A link of CodeBuild is shown as it is, or not at all.
    let log = log.filter(|link| link.len() <= 2_000 && !link.contains(|c: char| c.is_whitespace() || c.is_control()));
    if log.is_none() && facts.console.is_none() {
        return;
    }
    body.heading("Where to look:");
    if let Some(log) = log {
        body.line(&format!("  log     {log}"));
    }
    if let Some(console) = &facts.console {
        body.line(&format!("  build   {}", console.build(&case.build.project, &case.build.build)));
        if let Place::Review(id, _) = &case.place {
            body.line(&format!("  request {}", console.pull_request(&case.repository, id)));
        }
        if let Some(commit) = &case.commit {
            body.line(&format!("  commit  {}", console.commit(&case.repository, commit)));
        }
    }
}
