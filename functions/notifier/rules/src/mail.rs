//! The mail: a subject that says what happened, a body, and what subscriptions can filter by.

use serde::{Deserialize, Serialize};
use signalbox_events::{Arn, RepositoryName};
use signalbox_policy::{Policy, Topic};

use crate::body::body;
use crate::decide::{Case, Told};
use crate::facts::Facts;
use crate::news::News;
use crate::redact::redact;
use crate::render::nth;
use crate::text::{ascii, cut, cut_in_the_middle, plain};

/// SNS takes subjects of fewer than 100 characters.
const LONGEST_SUBJECT: usize = 99;

/// A mail as it goes to the topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// Printable ASCII, under 100 characters.
    pub subject: String,
    /// Plain text, at most 16 KB.
    pub body: String,
    /// What subscriptions can filter by.
    pub attributes: Attributes,
}

/// What subscriptions can filter by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Such as `build.failed`.
    pub topic: Topic,
    /// The repository.
    pub repository: RepositoryName,
    /// Of a build the full name of the branch or tag; what was built where there is neither.
    pub reference: Option<String>,
    /// Of a build its `CodeBuild` project.
    pub project: Option<String>,
    /// Of a copy where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Teams and people that the policy names, and `everyone` where every subscriber is meant.
    pub to: Vec<String>,
}

/// One line of free text as mail may show it.
pub(crate) fn shown(text: &str, longest: usize) -> String {
    cut(redact(&plain(&cut(text, 4_000))).trim(), longest)
}

/// Characters of a sentence of another function.
pub(crate) const LONGEST_SENTENCE: usize = 600;

/// A sentence of another function, without the full stop that it may have already.
pub(crate) fn sentence(text: &str) -> String {
    shown(text, LONGEST_SENTENCE).trim_end_matches('.').to_owned()
}

pub(crate) fn who(arn: &Arn, policy: &Policy) -> String {
    let named = policy.person(arn).and_then(|person| person.name.as_ref());
    shown(named.map_or_else(|| arn.person(), |name| name.as_str()), 100)
}

pub(crate) fn mail(facts: &Facts, told: &Told<'_>, topic: Topic, to: Vec<String>, policy: &Policy) -> Mail {
    Mail {
        subject: subject(told),
        body: body(facts, told, topic, policy),
        attributes: Attributes {
            topic,
            repository: told.case.repository.clone(),
            reference: Some(cut(&plain(told.case.place.name()), 1_000)),
            project: Some(told.case.build.project.to_string()),
            target: None,
            to,
        },
    }
}

/// Where it happened, such as `main of demo` or `tag v1 of demo`.
pub(crate) fn place(case: &Case<'_>) -> String {
    let (kind, name) = case.place.said();
    format!("{kind}{} of {}", shown(name, 200), case.repository)
}

fn subject(told: &Told<'_>) -> String {
    let case = &told.case;
    let (state, more) = match &told.news {
        News::Broke { .. } => ("broke", String::new()),
        News::StillBroken { failures, .. } => ("is still broken", format!(" ({} failure)", nth(*failures))),
        News::Fixed { .. } => ("is fixed", String::new()),
        News::NotRun => ("could not be run", String::new()),
        _ => ("was stopped", String::new()),
    };
    let (kind, reference) = case.place.said();
    fitted([case.name(), reference, case.repository.as_str()], |[name, reference, repository]| {
        format!("{name} {state} on {kind}{reference} of {repository}{more}")
    })
}

/// A subject of these parts that is short enough: the longest gives way first, and each keeps both of its ends.
pub(crate) fn fitted<const N: usize>(parts: [&str; N], said: impl Fn(&[String; N]) -> String) -> String {
    let mut parts = parts.map(|part| match ascii(part).trim() {
        "" => "?".to_owned(),
        part => part.to_owned(),
    });
    loop {
        let subject = said(&parts);
        let longest = parts.iter_mut().max_by_key(|part| part.len());
        match longest.filter(|part| subject.len() > LONGEST_SUBJECT && part.len() > 12) {
            Some(part) => {
                let over = subject.len() - LONGEST_SUBJECT;
                let shorter = part.len().saturating_sub(over.clamp(1, 8)).max(12);
                *part = cut_in_the_middle(&part.replace("...", "-"), shorter.min(part.len() - 1));
            }
            None => return cut(&subject, LONGEST_SUBJECT),
        }
    }
}
