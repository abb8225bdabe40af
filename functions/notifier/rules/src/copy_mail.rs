//! The mail about a copy.

use signalbox_events::{Obstacle, ReplicaState, ReplicaStateChange};
use signalbox_policy::{Policy, Topic};

use crate::body::{Body, footer};
use crate::facts::Facts;
use crate::mail::{Attributes, LONGEST_SENTENCE, Mail, fitted, sentence, shown};
use crate::text::{duration, moment, wrapped};

pub(crate) fn copy_mail(
    change: &ReplicaStateChange,
    facts: &Facts,
    topic: Topic,
    to: Vec<String>,
    policy: &Policy,
) -> Mail {
    Mail {
        subject: subject(change),
        body: body(change, facts, topic, policy),
        attributes: Attributes {
            topic,
            repository: change.repository.clone(),
            reference: None,
            project: None,
            target: Some(shown(&change.target, 1_000)),
            to,
        },
    }
}

fn state(change: &ReplicaStateChange) -> &'static str {
    match change.state {
        ReplicaState::Failed => "cannot be made equal",
        ReplicaState::Changed => "still cannot be made equal",
        ReplicaState::Equal => "is equal again",
    }
}

fn subject(change: &ReplicaStateChange) -> String {
    let state = state(change);
    let (word, place, name) = place(change);
    let repository = change.repository.as_str();
    match name {
        Some(name) => fitted([repository, place, name], |[repository, place, name]| {
            format!("copy of {repository} {word} {place} ({name}) {state}")
        }),
        None => {
            fitted([repository, place], |[repository, place]| format!("copy of {repository} {word} {place} {state}"))
        }
    }
}

/// Where the copy is, as people say it, and what it is called where that is another name.
fn place(change: &ReplicaStateChange) -> (&'static str, &str, Option<&str>) {
    let target = change.target.split(' ').next().unwrap_or_default();
    let (scheme, rest) = target.split_once("://").unwrap_or(("", target));
    let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
    match scheme {
        "codecommit" => ("in", place, Some(path).filter(|name| *name != change.repository.as_str())),
        "https" => ("on", place, None),
        "s3" => ("in the bucket", place, None),
        _ => ("at", target, None),
    }
}

fn first_line(change: &ReplicaStateChange) -> String {
    match (change.state, change.obstacles.as_slice(), change.left_out) {
        (ReplicaState::Equal, ..) => "Nothing is left to do: the copy is equal again.".to_owned(),
        (_, [only], 0) if !only.remedy.is_empty() => format!("{}.", sentence(&only.remedy)),
        (_, [_], 0) => "Mend what is said below: it keeps the copy from being equal.".to_owned(),
        (_, several, more) => {
            let count = u64::try_from(several.len()).unwrap_or(u64::MAX).saturating_add(more);
            format!("Look at the {count} things below that keep the copy from being equal; each says what can be done.")
        }
    }
}

fn body(change: &ReplicaStateChange, facts: &Facts, topic: Topic, policy: &Policy) -> String {
    let mut body = Body::default();
    body.line(&wrapped(&first_line(change), ""));
    body.line("");
    let target = shown(&change.target, LONGEST_SENTENCE);
    body.field("What", &format!("the copy of {} at {target} {}", change.repository, state(change)));
    if change.state == ReplicaState::Equal {
        let took = duration(change.seen.duration_since(change.since));
        body.field("Failing", &format!("since {}, for {took}", moment(change.since)));
        body.field("Equal", &format!("since {}", moment(change.seen)));
    } else {
        body.field("Failing", &format!("since {}", moment(change.since)));
        match change.last_equal {
            Some(at) => {
                let lag = duration(change.seen.duration_since(at));
                body.field("Equal", &format!("last made so {}, {lag} before this was seen", moment(at)));
            }
            None => body.field("Equal", "never yet, as far as is remembered"),
        }
    }
    if !change.obstacles.is_empty() {
        body.heading("What stands in the way:");
        change.obstacles.iter().for_each(|obstacle| obstacle_lines(&mut body, obstacle));
    }
    if change.left_out > 0 {
        body.line(&format!("  ... and {} more", change.left_out));
    }
    body.heading("Where to look:");
    if let Some(console) = &facts.console {
        body.line(&format!("  source  {}", console.repository(&change.repository)));
    }
    body.line("  report  the newest entries below ledger/replicator/ in the stack's bucket");
    body.line("");
    body.line(&wrapped(&footer(&change.repository, topic, policy), ""));
    body.bounded()
}

fn obstacle_lines(body: &mut Body, obstacle: &Obstacle) {
    body.line(&format!("  - {}.", wrapped(&sentence(&obstacle.reason), "    ")));
    if !obstacle.remedy.is_empty() {
        body.line(&format!("    {}.", wrapped(&sentence(&obstacle.remedy), "    ")));
    }
}
