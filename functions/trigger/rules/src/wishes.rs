//! What a comment asks for.
//!
//! A command is a line of its own that begins with a slash, outside of quoted lines and code blocks.

use signalbox_events::{RefName, RepositoryName};
use signalbox_policy::{Policy, PullRequestCommit, Trigger, nearest};

use crate::review_needs::what_is_built;

/// At most this many commands of a comment are looked at.
const MOST: usize = 10;

/// No command is longer; what is, is text.
const LONGEST: usize = 200;

/// What a comment asks for, and of which triggers.
#[derive(Debug, Default)]
pub(crate) struct Wishes<'a> {
    /// Triggers to start, each once, with the command that names it.
    pub(crate) starts: Vec<(&'a Trigger, &'a str)>,
    /// The command that asks for what failed to be run once more.
    pub(crate) retest: Option<&'a str>,
    /// The command that asks what there is.
    pub(crate) help: Option<&'a str>,
    /// Names that no trigger has.
    pub(crate) unknown: Vec<UnknownName>,
}

/// A name that no trigger of a pull request has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnknownName {
    pub(crate) name: String,
    pub(crate) hint: Hint,
}

/// What helps somebody who asked for a name that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hint {
    Nothing,
    Nearest(String),
    /// There is a trigger of this name, which a command of its own starts.
    Command(String),
    /// There is a trigger of this name, which does not take pull requests into this branch.
    OtherBranch,
}

/// The lines of a comment that may be commands, with single spaces, each once.
pub fn commands(text: &str) -> Vec<String> {
    let mut fence: Option<&str> = None;
    let mut found: Vec<String> = Vec::new();
    for line in text.lines() {
        let begins = line.trim_start();
        let indent = line.len() - begins.len();
        let marker = ["```", "~~~"].into_iter().find(|marker| begins.starts_with(marker));
        match (fence, marker) {
            (None, Some(marker)) => fence = Some(marker),
            (Some(open), Some(marker)) if open == marker => fence = None,
            // Four spaces make a line of code.
            (None, None) if begins.starts_with('/') && indent < 4 && line.len() <= LONGEST => {
                let command = begins.split_whitespace().collect::<Vec<_>>().join(" ");
                if found.len() < MOST && !found.contains(&command) {
                    found.push(command);
                }
            }
            _ => {}
        }
    }
    found
}

/// The triggers that take pull requests into this branch.
pub(crate) fn taking<'a>(repository: &'a RepositoryName, into: &RefName, policy: &'a Policy) -> Vec<&'a Trigger> {
    let takes = |trigger: &&Trigger| trigger.on.pull_request.as_ref().is_some_and(|filter| filter.takes(into));
    policy.triggers_for(repository).into_iter().filter(takes).collect()
}

/// The triggers that a comment on a pull request into this branch can start.
pub(crate) fn startable<'a>(repository: &'a RepositoryName, into: &RefName, policy: &'a Policy) -> Vec<&'a Trigger> {
    let may = |trigger: &&Trigger| {
        trigger.on.comment.is_some() || trigger.on.pull_request.as_ref().is_some_and(|filter| filter.takes(into))
    };
    policy.triggers_for(repository).into_iter().filter(may).collect()
}

/// Whether a trigger of the repository has anything to do with pull requests.
pub(crate) fn hears_comments(repository: &RepositoryName, policy: &Policy) -> bool {
    policy
        .triggers_for(repository)
        .iter()
        .any(|trigger| trigger.on.pull_request.is_some() || trigger.on.comment.is_some())
}

/// Whether a trigger of the repository builds merge results.
pub(crate) fn builds_merge_results(repository: &RepositoryName, policy: &Policy) -> bool {
    policy.triggers_for(repository).iter().any(|trigger| what_is_built(trigger) == PullRequestCommit::MergeResult)
}

/// What these commands ask for.
pub(crate) fn wishes<'a>(
    commands: &'a [String],
    repository: &'a RepositoryName,
    into: &RefName,
    policy: &'a Policy,
) -> Wishes<'a> {
    let (all, taking) = (policy.triggers_for(repository), taking(repository, into, policy));
    let mut wishes = Wishes::default();
    for command in commands {
        let own = |trigger: &&Trigger| trigger.on.comment.as_ref().is_some_and(|own| same(own.as_str(), command));
        let mut is_own = false;
        for trigger in all.iter().copied().filter(own) {
            is_own = true;
            wishes.start(trigger, command);
        }
        let mut words = command.split(' ');
        match words.next() {
            Some("/retest") if !is_own => wishes.retest = Some(command),
            Some("/test") => {
                let names: Vec<&str> = words.collect();
                if names.is_empty() || names == ["?"] {
                    wishes.help = Some(command);
                }
                for name in names.into_iter().filter(|name| *name != "?") {
                    match taking.iter().copied().find(|trigger| trigger.name.as_str() == name) {
                        Some(trigger) => wishes.start(trigger, command),
                        None if is_own => {}
                        None => wishes.unknown(name, &all, &taking),
                    }
                }
            }
            _ => {}
        }
    }
    wishes
}

/// Whether two commands read the same, however many spaces there are.
fn same(one: &str, other: &str) -> bool {
    one.split_whitespace().eq(other.split_whitespace())
}

impl<'a> Wishes<'a> {
    fn start(&mut self, trigger: &'a Trigger, command: &'a str) {
        if self.starts.iter().all(|(there, _)| there.name != trigger.name) {
            self.starts.push((trigger, command));
        }
    }

    fn unknown(&mut self, name: &str, all: &[&Trigger], taking: &[&Trigger]) {
        if self.unknown.iter().any(|there| there.name == name) {
            return;
        }
        let of_name = all.iter().find(|trigger| trigger.name.as_str() == name);
        let hint = match of_name.map(|trigger| (&trigger.on.comment, &trigger.on.pull_request)) {
            Some((Some(own), _)) => Hint::Command(own.to_string()),
            Some((None, Some(_))) => Hint::OtherBranch,
            _ => match nearest(name, taking.iter().map(|trigger| trigger.name.as_str())) {
                Some(near) => Hint::Nearest(near.to_owned()),
                None => Hint::Nothing,
            },
        };
        self.unknown.push(UnknownName { name: name.to_owned(), hint });
    }
}

#[cfg(test)]
mod tests {
    use signalbox_policy::parse_policy;

    use super::*;

    #[test]
    fn a_command_is_a_line_of_its_own_that_nobody_quotes() {
        let text = "Looks good.\n/test unit\n> /test quoted\n`/test inline`\nplease /test later\n  /retest  \n\
                    ```\n/test code\n~~~\n/test code too\n```\n    /test indented\n/test unit\n/test   unit\n/";
        assert_eq!(commands(text), ["/test unit", "/retest", "/"]);
        assert_eq!(commands("nothing here\n//twice"), ["//twice"]);
        assert_eq!(commands(&format!("/{}", "x".repeat(300))), Vec::<String>::new());
        let many: String = (0..50).map(|n| format!("/test t{n}\n")).collect();
        assert_eq!(commands(&many).len(), MOST);
        // Whatever anybody writes, nothing panics.
        commands("\u{0}/\u{202e}test\r\n/t\u{e9}st \u{1f680}");
    }

    const POLICY: &str = r#"
repositories:
  demo:
    triggers:
      unit: { on: { pull_request: { into: [main] } }, start: { build: unit } }
      lint: { on: { pull_request: {} }, start: { build: lint } }
      stage: { on: { comment: "/deploy stage" }, start: { build: stage } }
      slow: { on: { comment: "/test slow" }, start: { build: slow } }
      push: { on: { push: {} }, start: { build: push } }
      old: { on: { pull_request: { into: [release] } }, start: { build: old } }
"#;

    fn asked(text: &str) -> String {
        let policy = parse_policy(POLICY).unwrap();
        let repository = RepositoryName::parse("demo").unwrap();
        let commands = commands(text);
        let wishes = wishes(&commands, &repository, &RefName::branch("main").unwrap(), &policy);
        let mut told: Vec<String> =
            wishes.starts.iter().map(|(trigger, command)| format!("{} by {command}", trigger.name)).collect();
        told.extend(wishes.retest.map(|command| format!("retest by {command}")));
        told.extend(wishes.help.map(|command| format!("help by {command}")));
        told.extend(wishes.unknown.iter().map(|unknown| format!("{}? {:?}", unknown.name, unknown.hint)));
        told.join(", ")
    }

    #[test]
    fn each_command_finds_its_triggers() {
        for (text, expected) in [
            ("/test unit", "unit by /test unit"),
            ("/test unit lint", "unit by /test unit lint, lint by /test unit lint"),
            ("/test lint\n/test lint unit", "lint by /test lint, unit by /test lint unit"),
            ("/deploy  stage", "stage by /deploy stage"),
            ("/test slow", "slow by /test slow"),
            ("/retest", "retest by /retest"),
            ("/retest please", "retest by /retest please"),
            ("/test ?", "help by /test ?"),
            ("/test", "help by /test"),
            ("/test unti", "unti? Nearest(\"unit\")"),
            ("/test stage", "stage? Command(\"/deploy stage\")"),
            ("/test old", "old? OtherBranch"),
            ("/test push", "push? Nothing"),
            ("/test nowhere-near", "nowhere-near? Nothing"),
            ("/lgtm\n/tests unit\n/deploy", ""),
        ] {
            assert_eq!(asked(text), expected, "{text}");
        }
    }
}
