//! Reasons and actions as sentences: the one place where they are worded.

use signalbox_events::{BuildStatus, ProtectionState};
use signalbox_policy::EVERYONE;

use crate::copies::CopyNews;
use crate::decide::{Action, Reason};
use crate::history::{Began, Finished};
use crate::news::{Count, News};
use crate::text::{moment, ordinal};

/// A reason as a sentence.
pub fn render_reason(reason: &Reason) -> String {
    match reason {
        Reason::NotConcerned => {
            "mail is sent about the results of builds, about copies and about protections, and this is none of them"
                .to_owned()
        }
        Reason::NotEnded => "the build has only begun".to_owned(),
        Reason::NoRepository { project } => format!(
            "no CodeCommit repository is known for this build of {project}, neither from its source nor from a trigger"
        ),
        Reason::OnlyTheEvent => {
            "only the event tells of the build: CodeBuild no longer knows it, or was not asked".to_owned()
        }
        Reason::StartedByTrigger { trigger } => format!("the trigger {trigger} started the build"),
        Reason::NoRecord { trigger } => format!(
            "no start of this build is recorded; its own variables name the trigger {trigger}, so who pushed is unknown"
        ),
        Reason::StartedByOther { initiator: Some(initiator) } => {
            format!("no trigger started the build, {initiator} did")
        }
        Reason::StartedByOther { initiator: None } => {
            "no trigger started the build, and nobody knows who did".to_owned()
        }
        Reason::News(news) => render_news(news),
        Reason::Copy(news) => render_copy_news(news),
        Reason::Protection { state } => render_protection(*state).to_owned(),
        Reason::Nobody { topic, repository } => {
            format!("the policy has nobody who wants to hear of {topic} of {repository}")
        }
        Reason::Heard { topic, to, lines } => {
            let who = audience(to, "everybody");
            let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
            match lines.as_slice() {
                [] => format!("{who} hears of {topic}: the policy says nothing else"),
                [line] => format!("{who} hears of {topic}, as line {line} of the policy says"),
                lines => format!("{who} hears of {topic}, as the lines {} of the policy say", lines.join(", ")),
            }
        }
    }
}

/// Whom a message names, with `all` for everybody.
fn audience(to: &[String], all: &str) -> String {
    let named: Vec<&str> = to.iter().map(String::as_str).filter(|name| *name != EVERYONE).collect();
    match (named.join(", "), named.len() < to.len()) {
        (named, false) => named,
        (named, true) if named.is_empty() => all.to_owned(),
        (named, true) => format!("{all} (by name {named})"),
    }
}

const fn render_protection(state: ProtectionState) -> &'static str {
    match state {
        ProtectionState::Restored => "what is protected was put back",
        ProtectionState::WouldRestore => "what is protected would be put back, were the policy enforced",
        ProtectionState::Violated => "what is protected is not as the policy wants it, and was left so",
        ProtectionState::Bypassed => "somebody went past a protection who may, and is asked for a reason",
        ProtectionState::Weakened => "the protection itself was weakened",
        ProtectionState::Contested => "something moves what is protected each time that it is put back",
        ProtectionState::Failed => "what is protected could not be judged, or not be put back",
    }
}

fn render_copy_news(news: &CopyNews) -> String {
    match news {
        CopyNews::Fails => "the copy cannot be made equal".to_owned(),
        CopyNews::Changed => "the copy still cannot be made equal, and what is wrong has changed".to_owned(),
        CopyNews::Equal => "the copy is equal again".to_owned(),
        CopyNews::Late { newer } => {
            format!("it comes late: what was seen of the copy at {} was told already", moment(*newer))
        }
        CopyNews::Told => "this very thing was told already".to_owned(),
    }
}

fn render_news(news: &News) -> String {
    match news {
        News::Broke { green: Some(green) } => format!("it broke: {} was green", build(green)),
        News::Broke { green: None } => "it broke: no earlier result is known".to_owned(),
        News::StillBroken { failures, first, .. } => {
            format!("it is still broken, for the {} time since {}", nth(*failures), build(first))
        }
        News::Fixed { failures, first, .. } => {
            let (Count::Exactly(n) | Count::AtLeast(n)) = *failures;
            let more = if matches!(failures, Count::AtLeast(_)) { " or more" } else { "" };
            let s = if n == 1 { "" } else { "s" };
            format!("it is fixed: it failed {n}{more} time{s} since {}", build(first))
        }
        News::Unchanged { green: Some(green) } => {
            format!("nothing changed: it is green, as {} was, and green after green is no news", build(green))
        }
        News::Unchanged { green: None } => "it is green, and no earlier result is known: no news".to_owned(),
        News::Late { newer } => format!("it comes late: {} came after it and has its result already", build(newer)),
        News::Again { newer } => {
            format!("it builds an older commit again: {} has the result of a newer one already", build(newer))
        }
        News::NotRun => "it could not be run, so it says nothing about the code".to_owned(),
        News::Told => "this very result was handled before, by another event".to_owned(),
        News::Stopped => "somebody stopped it, so it says nothing about the code".to_owned(),
        News::Superseded { by } => {
            format!("the trigger stopped it for the newer commit {}, whose own result will tell", by.short())
        }
    }
}

fn build(finished: &Finished) -> String {
    let number = finished.number.map_or_else(|| finished.build.to_string(), |number| format!("#{number}"));
    format!("build {number} of {}", moment(finished.started))
}

pub(crate) fn nth(count: Count) -> String {
    match count {
        Count::Exactly(n) => ordinal(n),
        Count::AtLeast(n) => format!("{} or later", ordinal(n)),
    }
}

/// How a build ended, as a word behind "it".
pub(crate) const fn ended(status: BuildStatus) -> &'static str {
    match status {
        BuildStatus::Succeeded => "passed",
        BuildStatus::Failed => "failed",
        BuildStatus::Fault => "could not be run, because CodeBuild itself failed",
        BuildStatus::TimedOut => "was ended because it took too long",
        BuildStatus::Stopped => "was stopped",
        BuildStatus::InProgress => "still runs",
    }
}

/// An action as a sentence without an end, such as `send the mail "unit broke on main of demo"`.
pub fn render_action(action: &Action) -> String {
    match action {
        Action::Mail(mail) => {
            format!("send the mail \"{}\" to {}", mail.subject, audience(&mail.attributes.to, "every subscriber"))
        }
        Action::History { finished, .. } => {
            let ended = match finished.began {
                Began::Never => "never began",
                Began::Yes => ended(finished.status),
            };
            format!("remember that {} {ended}", build(finished))
        }
        Action::CopyTold { .. } => "remember what was told of the copy".to_owned(),
    }
}
