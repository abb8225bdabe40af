//! One entry of the protector's ledger, as a report has it.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use signalbox_events::{Detail, Parsed, ProtectionState, parse_event};
use signalbox_ledger::{Entry, Outcome, Phase};
use signalbox_policy::Mode;
use signalbox_protector_rules::{
    Action, Decision, Move, Reason, Subject, Verdict, protection_of, render_reason, render_violation, rule_of,
};

/// What became of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Became {
    /// It would be put back, were the policy enforced.
    WouldRestore,
    /// It was put back.
    Restored,
    /// It was left, and told.
    Left,
    /// Somebody may.
    Bypassed,
    /// It could not be judged, or not be put back.
    Failed,
}

/// One thing that a protection does not allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Broken {
    pub(super) protection: String,
    pub(super) rule: String,
    /// As a sentence.
    pub(super) told: String,
}

/// A move that is worth a line.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Item {
    pub(super) event: String,
    pub(super) at: Timestamp,
    pub(super) repository: Option<String>,
    #[serde(rename = "ref")]
    pub(super) reference: Option<String>,
    pub(super) by: Option<String>,
    pub(super) mode: String,
    pub(super) became: Became,
    pub(super) old: Option<String>,
    pub(super) new: Option<String>,
    pub(super) kept: Option<String>,
    pub(super) broken: Vec<Broken>,
    pub(super) why: Vec<String>,
}

/// What an entry is.
#[derive(Debug)]
pub(super) enum Read {
    /// A move that nothing forbids, or the stack's own.
    Quiet { at: Timestamp, repository: Option<String> },
    /// A move that is worth a line.
    Item(Box<Item>),
    /// It is being worked on, or waits for that.
    Open,
    /// Its report cannot be read: another version wrote it.
    Unknown,
}

impl Read {
    /// Reads the report of an entry.
    pub(super) fn of(entry: &Entry) -> Self {
        let earlier = || entry.earlier.iter().rev().find_map(|round| round.report.as_ref());
        let Some(report) = entry.report.as_ref().or_else(earlier) else { return Self::Open };
        let at_pointer = |pointer: &str| report.replay.pointer(pointer).cloned().filter(|value| !value.is_null());
        let subject: Option<Subject> =
            at_pointer("/facts/subject").and_then(|value| serde_json::from_value(value).ok());
        let made: Option<Move> = at_pointer("/facts/made").and_then(|value| serde_json::from_value(value).ok());
        let id = entry.event.to_string();
        let base = Item {
            event: id,
            at: report.at,
            repository: subject.as_ref().map(|subject| subject.repository.to_string()),
            reference: subject.as_ref().map(|subject| subject.reference.to_string()),
            by: made.as_ref().and_then(|made| made.by.as_ref()).map(ToString::to_string),
            mode: report.mode.clone(),
            became: Became::Failed,
            old: made.as_ref().and_then(|made| made.old.as_ref()).map(ToString::to_string),
            new: made.as_ref().and_then(|made| made.new.as_ref()).map(ToString::to_string),
            kept: None,
            broken: Vec::new(),
            why: report.reasons.clone(),
        };
        let Some(decision) = at_pointer("/decision") else {
            // Refused before it was judged, or a sweep that could not look at everything.
            return match entry.phase {
                Phase::Refused => Self::Item(Box::new(of_event(base, report.replay.get("received"), &report.actions))),
                _ => Self::Unknown,
            };
        };
        match serde_json::from_value::<Decision>(decision) {
            Ok(decision) => of_decision(entry, base, &decision),
            Err(_) => Self::Unknown,
        }
    }
}

fn of_event(item: Item, received: Option<&Value>, actions: &[String]) -> Item {
    let parsed = received.map(|event| parse_event(event.to_string().as_bytes()));
    match parsed {
        Some(Ok(Parsed::Ours(event))) => match event.detail {
            Detail::Reference(change) => Item {
                repository: Some(change.repository.to_string()),
                reference: Some(change.reference.to_string()),
                by: change.caller.as_ref().map(ToString::to_string),
                old: change.change.old_commit().map(ToString::to_string),
                new: change.change.new_commit().map(ToString::to_string),
                ..item
            },
            _ => item,
        },
        _ => Item { why: item.why.iter().chain(actions).cloned().collect(), ..item },
    }
}

fn of_decision(entry: &Entry, item: Item, decision: &Decision) -> Read {
    let news = decision.actions.iter().find_map(|action| match action {
        Action::Tell(news) => Some(news),
        _ => None,
    });
    let became = match (news.map(|news| news.state), decision.verdict) {
        (Some(ProtectionState::Restored), _) => Became::Restored,
        (Some(ProtectionState::WouldRestore), _) => Became::WouldRestore,
        (Some(ProtectionState::Violated | ProtectionState::Weakened | ProtectionState::Contested), _) => Became::Left,
        (Some(ProtectionState::Bypassed), _) | (None, Verdict::Bypassed) => Became::Bypassed,
        (Some(ProtectionState::Failed), _) => Became::Failed,
        (None, Verdict::Restore) if decision.mode == Mode::Observe => Became::WouldRestore,
        (None, Verdict::Restore) => Became::Restored,
        (None, Verdict::Reported) => Became::Left,
        (None, Verdict::NotConcerned | Verdict::Allowed | Verdict::Ours) => {
            return Read::Quiet { at: item.at, repository: item.repository };
        }
    };
    let refused = entry.outcomes.iter().find_map(|(key, outcome)| match outcome {
        Outcome::Refused(why) if key.starts_with("restore ") => Some(why.clone()),
        _ => None,
    });
    let is_why = |reason: &&Reason| !matches!(reason, Reason::Violated(_));
    let why = decision.reasons.iter().filter(is_why).map(render_reason).chain(refused.clone()).collect();
    let broken = decision.violations().map(|violation| Broken {
        protection: protection_of(violation),
        rule: rule_of(&violation.what).to_owned(),
        told: render_violation(violation),
    });
    Read::Item(Box::new(Item {
        became: if refused.is_some() { Became::Failed } else { became },
        repository: item.repository.or_else(|| news.map(|news| news.repository.to_string())),
        by: item.by.or_else(|| news.and_then(|news| news.by.as_ref()).map(ToString::to_string)),
        kept: news.and_then(|news| news.kept.as_ref()).map(|kept| kept.short().to_owned()),
        broken: broken.collect(),
        why,
        ..item
    }))
}
