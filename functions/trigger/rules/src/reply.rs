//! The one answer to a comment: what there is to ask for, and why something was not started.
//!
//! No line of it begins with a slash, so that it could never be a command itself.

use sha2::{Digest, Sha256};
use signalbox_events::CommitId;
use signalbox_policy::{Start, Trigger};

use crate::action::{Action, Reply};
use crate::decision::Idle;
use crate::needs::not_yet;
use crate::render::render_idle;
use crate::review::Subject;
use crate::wishes::{Hint, UnknownName};

/// Longest answer, in characters; CodeCommit takes 10,240.
const LONGEST: usize = 8_000;

/// At most this many triggers are listed.
const LISTED: usize = 50;

/// One thing that the answer says.
#[derive(Debug, Clone)]
pub(crate) enum Line<'a> {
    /// A trigger was asked for and starts nothing.
    NotStarted(&'a Trigger, String),
    /// What was asked for has not failed.
    NothingFailed(CommitId),
    /// A name that no trigger has.
    Unknown(UnknownName),
    /// Everything that can be asked for.
    Help(Vec<&'a Trigger>),
}

impl<'a> Line<'a> {
    /// Why a trigger that was asked for starts nothing; nothing where it has the build that was asked for.
    pub(crate) fn of_idle(trigger: &'a Trigger, idle: &Idle) -> Option<Self> {
        let why = match idle {
            idle if idle.has_a_build() => return None,
            Idle::NotFailed => return None,
            // AWS's words name accounts and roles, which are not for everybody who reads the pull request.
            Idle::Unreadable { .. } => "something of it cannot be read; the trigger's ledger says what".to_owned(),
            idle => render_idle(idle),
        };
        Some(Self::NotStarted(trigger, why))
    }

    fn said(&self) -> String {
        match self {
            Self::NotStarted(trigger, why) => format!("`{}` starts nothing: {why}.", trigger.name),
            Self::NothingFailed(commit) => {
                format!("Nothing has failed for {}: there is nothing to run once more.", commit.short())
            }
            Self::Unknown(unknown) => {
                let name = shown(&unknown.name);
                let hint = match &unknown.hint {
                    Hint::Nothing => "`/test ?` lists what there is.".to_owned(),
                    Hint::Nearest(near) => format!("Did you mean `/test {near}`?"),
                    Hint::Command(command) => return format!("`{name}` is started by `{command}`."),
                    Hint::OtherBranch => {
                        return format!(
                            "`{name}` does not take pull requests into this branch. `/test ?` lists what does."
                        );
                    }
                };
                format!("There is no trigger `{name}` for this pull request. {hint}")
            }
            Self::Help(triggers) if triggers.is_empty() => {
                "No trigger takes pull requests into this branch.".to_owned()
            }
            Self::Help(triggers) => {
                let mut lines =
                    vec!["These can be asked for, each by a line of its own in a comment:".to_owned(), String::new()];
                lines.extend(triggers.iter().take(LISTED).map(|trigger| offered(trigger)));
                if triggers.len() > LISTED {
                    lines.push(format!("- and {} more", triggers.len() - LISTED));
                }
                lines.push("- `/retest` starts once more what has failed of the current commit".to_owned());
                lines.join("\n")
            }
        }
    }
}

/// A trigger with its commands and what it starts.
fn offered(trigger: &Trigger) -> String {
    let what = match &trigger.start {
        Start::Build(build) => format!("the build project `{}`", build.project),
        Start::Pipeline(pipeline) => format!("the pipeline `{}`", pipeline.name),
        Start::Deployment(deployment) => format!("a deployment of `{}`", deployment.application),
    };
    let test = trigger.on.pull_request.as_ref().map(|_| format!("`/test {}`", trigger.name));
    let own = trigger.on.comment.as_ref().map(|own| format!("`{own}`"));
    let own = own.filter(|own| test.as_ref() != Some(own));
    let commands: Vec<String> = test.iter().cloned().chain(own).collect();
    let note = not_yet(trigger).map(|idle| format!(" (not now: {})", render_idle(&idle))).unwrap_or_default();
    format!("- {} starts {what}{note}", commands.join(" or "))
}

/// A name that somebody wrote, without anything that would be more than text.
fn shown(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    name.chars().take(64).map(|c| if plain(c) { c } else { '?' }).collect()
}

/// The answer to a comment, if there is anything to say.
pub(crate) fn reply(subject: &Subject, lines: &[Line<'_>]) -> Option<Action> {
    let to = subject.comment().filter(|_| !lines.is_empty())?.clone();
    let mut text = lines.iter().map(Line::said).collect::<Vec<_>>().join("\n\n");
    if text.chars().count() > LONGEST {
        text = text.chars().take(LONGEST).chain("...".chars()).collect();
    }
    let token = hex::encode(Sha256::digest(format!("reply\n{to}")));
    Some(Action::Reply(Reply { to, text, token }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_wrote_is_repeated_as_plain_text_only() {
        assert_eq!(shown("unit-2.x"), "unit-2.x");
        assert_eq!(shown("`rm -rf`<b>@all"), "?rm?-rf??b??all");
        assert_eq!(shown(&"x".repeat(300)).len(), 64);
    }
}
