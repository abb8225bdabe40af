//! What follows a move of a protected ref, and why.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use signalbox_events::{Arn, CommitId, RefName};
use signalbox_policy::{Forbidden, Mode, OnViolation, Pattern, Policy, Protection, QUARANTINE, TriggerName};

use crate::action::{Action, Restore};
use crate::facts::{Ancestry, Facts, Merged, Object, Origin, Subject, Tip, Whose};
use crate::finding::{Fault, Finding};
use crate::journal::{Journal, Judged, Move, Undo};
use crate::judge::judge;
use crate::needs::protections_of;
use crate::news::news_of;
use crate::pace::{is_contest, pause_after};
use crate::watch::Weakening;

/// For this long the event of a move that is missing may still come.
const LATE: SignedDuration = SignedDuration::from_mins(10);

/// What is to be done, and why.
#[must_use]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// In one word.
    pub verdict: Verdict,
    /// Whether the actions are done or only reported.
    pub mode: Mode,
    /// Why.
    pub reasons: Vec<Reason>,
    /// What to do, in this order.
    pub actions: Vec<Action>,
}

/// A decision in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No protection covers it.
    NotConcerned,
    /// It is allowed.
    Allowed,
    /// It is not allowed, and somebody made it who may all the same.
    Bypassed,
    /// It is not allowed, and stays.
    Reported,
    /// It is not allowed, and the ref is put back.
    Restore,
    /// Signalbox made it.
    Ours,
}

/// One thing that a protection does not allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The line of the protection in the policy file.
    pub line: usize,
    /// Its name, where it has one.
    pub name: Option<TriggerName>,
    /// What is wrong.
    pub what: What,
}

/// What is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// No pull request brought it.
    DirectPush,
    /// Commits were dropped.
    ForcePush,
    /// The ref ended.
    Deletion,
    /// The ref began.
    Creation,
    /// The ref moved.
    Update,
    /// Its name is not as it must be.
    Name {
        /// The expression.
        pattern: String,
    },
    /// Something in the range is wrong.
    Range(Finding),
    /// The protection itself is weaker than it was.
    Weakened(Weakening),
}

/// Why something happens, or does not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No protection covers it.
    NoProtection,
    /// A role of the stack made it.
    OwnMove,
    /// Every rule allows it.
    Allowed {
        /// The pull request that brought it, where that was asked.
        merged: Merged,
    },
    /// Something is not allowed.
    Violated(Violation),
    /// Somebody may do it all the same.
    MayBypass {
        /// Who.
        by: Arn,
    },
    /// The strictest protection only reports.
    OnlyReported,
    /// No event told of the move: nobody knows who made it, and what came between.
    Gap {
        /// Where the ref was last known to be.
        known: Option<CommitId>,
        /// Where it is.
        found: Option<CommitId>,
    },
    /// The commits cannot be read any more, so it is not known whether some were dropped.
    Unreadable,
    /// The facts do not say where the ref is.
    TipUnknown,
    /// The repository is gone.
    NoRepository,
    /// The ref is where it belongs already.
    IsBack,
    /// Somebody who may has moved it since.
    Overtaken,
    /// The ref is elsewhere, and no event has told yet how it came there.
    WayUnknown {
        /// Where it is.
        tip: Option<CommitId>,
    },
    /// Something moves the ref back each time that it is put back: a person must end that.
    Contest {
        /// Who.
        with: Option<Arn>,
    },
    /// It is put back, and how often that was done lately.
    PutBack {
        /// So often within the last hour.
        before: usize,
    },
}

impl Decision {
    /// Whether nothing is left that a person must look at.
    pub fn is_complete(&self) -> bool {
        !self.reasons.iter().any(|reason| {
            let is_unread = |violation: &Violation| is_unread(&violation.what);
            match reason {
                Reason::Violated(violation) => is_unread(violation),
                Reason::Gap { .. } | Reason::Unreadable | Reason::TipUnknown | Reason::Contest { .. } => true,
                Reason::WayUnknown { .. } => self.verdict == Verdict::Reported,
                _ => false,
            }
        })
    }

    /// The violations.
    pub fn violations(&self) -> impl Iterator<Item = &Violation> {
        self.reasons.iter().filter_map(|reason| match reason {
            Reason::Violated(violation) => Some(violation),
            _ => None,
        })
    }
}

fn is_unread(what: &What) -> bool {
    matches!(what, What::Range(Finding { fault: Fault::Unread { .. }, .. }))
}

/// Whether the decision depends on where the ref is, which the facts do not say yet.
///
/// It is looked up only then: a clean push needs not be looked at twice.
pub fn wants_tip(facts: &Facts, policy: &Policy) -> bool {
    facts.tip == Tip::NotRead && decide(facts, policy).reasons.contains(&Reason::TipUnknown)
}

/// Decides what follows a move. Total: whatever the facts are, there is a decision with a reason.
pub fn decide(facts: &Facts, policy: &Policy) -> Decision {
    let mut decision =
        Decision { verdict: Verdict::NotConcerned, mode: policy.mode, reasons: Vec::new(), actions: Vec::new() };
    let protections = facts.subject.as_ref().map(|subject| (subject, protections_of(policy, subject)));
    let (Some((subject, protections)), Some(made)) = (protections.filter(|(_, all)| !all.is_empty()), &facts.made)
    else {
        decision.reasons.push(Reason::NoProtection);
        return decision;
    };
    if facts.whose == Whose::Ours {
        decision.verdict = Verdict::Ours;
        decision.reasons.push(Reason::OwnMove);
        if !is_known_restore(facts, made) {
            remember(facts, subject, made, Judged::Ours, &mut decision);
        }
        return decision;
    }
    let mut open = Vec::new();
    let mut strictest = OnViolation::Report;
    let mut bypasses = false;
    for protection in &protections {
        let violations = violations(facts, made, subject, protection);
        let may = made.by.as_ref().filter(|by| protection.bypass.iter().any(|pattern| pattern.matches(by)));
        for what in violations {
            let violation = Violation { line: protection.line, name: protection.name.clone(), what };
            decision.reasons.push(Reason::Violated(violation.clone()));
            match may {
                Some(_) => bypasses = true,
                None => {
                    if !is_unread(&violation.what) {
                        strictest = strictest.max(protection.on_violation);
                    }
                    open.push(violation);
                }
            }
        }
    }
    if open.is_empty() && bypasses {
        decision.verdict = Verdict::Bypassed;
        decision.reasons.extend(made.by.clone().map(|by| Reason::MayBypass { by }));
        remember(facts, subject, made, Judged::Bypassed, &mut decision);
    } else if open.is_empty() && facts.arrival.ancestry == Ancestry::Unreadable {
        report(facts, (subject, made), Reason::Unreadable, &mut decision);
    } else if open.is_empty() {
        decision.verdict = Verdict::Allowed;
        if facts.origin == Origin::Sweep {
            decision.reasons.push(gap(facts, made));
        }
        decision.reasons.push(Reason::Allowed { merged: facts.arrival.merged.clone() });
        remember(facts, subject, made, Judged::Good, &mut decision);
    } else if facts.origin == Origin::Sweep {
        report(facts, (subject, made), gap(facts, made), &mut decision);
    } else if strictest == OnViolation::Report {
        report(facts, (subject, made), Reason::OnlyReported, &mut decision);
    } else {
        undo(facts, subject, made, &mut decision);
    }
    if let Some(news) = news_of(facts, &decision) {
        decision.actions.push(Action::Tell(Box::new(news)));
    }
    decision
}

fn gap(facts: &Facts, made: &Move) -> Reason {
    let known = facts.journal.last_place().cloned().unwrap_or_else(|| made.old.clone());
    Reason::Gap { known, found: made.new.clone() }
}

/// Everything about a move that one protection does not allow.
fn violations(facts: &Facts, made: &Move, subject: &Subject, protection: &Protection) -> Vec<What> {
    let forbids = |what: Forbidden| protection.forbid.contains(&what);
    let mut found = Vec::new();
    match (&made.old, &made.new) {
        (None, None) => {}
        (Some(_), None) => {
            if forbids(Forbidden::Deletion) {
                found.push(What::Deletion);
            }
            return found;
        }
        (None, Some(_)) => {
            if forbids(Forbidden::Creation) {
                found.push(What::Creation);
            }
            let fits = |pattern: &&Pattern| !pattern.is_found_in(subject.reference.short());
            let misfit = protection.names.as_ref().filter(fits);
            found.extend(misfit.map(|pattern| What::Name { pattern: pattern.as_str().to_owned() }));
        }
        (Some(_), Some(_)) => {
            if forbids(Forbidden::Update) {
                found.push(What::Update);
            }
            if forbids(Forbidden::ForcePush) && facts.arrival.ancestry == Ancestry::Rewritten {
                found.push(What::ForcePush);
            }
            if forbids(Forbidden::DirectPush) && facts.arrival.merged == Merged::No {
                found.push(What::DirectPush);
            }
        }
    }
    if let Some(range) = &facts.arrival.range {
        let findings = judge(range, protection.commits.as_ref(), protection.files.as_ref());
        found.extend(findings.into_iter().map(What::Range));
    }
    found
}

/// Undoes a move that is not allowed, where the journal proves what was there.
fn undo(facts: &Facts, subject: &Subject, made: &Move, decision: &mut Decision) {
    decision.verdict = Verdict::Restore;
    let bad = Move { judged: Judged::Bad, ..made.clone() };
    let journal = facts.journal.with(&bad);
    if is_contest(&journal, &bad) {
        report(facts, (subject, made), Reason::Contest { with: made.by.clone() }, decision);
        return;
    }
    let Some(tip) = facts.tip.place() else {
        match facts.tip {
            Tip::NoRepository => report(facts, (subject, made), Reason::NoRepository, decision),
            _ => decision.reasons.push(Reason::TipUnknown),
        }
        return;
    };
    match journal.undo(&bad, &tip) {
        Undo::To(place) => {
            let before = facts.now.checked_sub(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MIN);
            let before = journal.restores_since(before).count();
            let Some(restore) = restore(facts, subject, &journal, (&bad, before), place) else {
                report(facts, (subject, made), Reason::Unreadable, decision);
                return;
            };
            decision.reasons.push(Reason::PutBack { before });
            remember(facts, subject, made, Judged::Bad, decision);
            decision.actions.push(Action::Restore(Box::new(restore)));
        }
        Undo::Back => settle(facts, (subject, &journal, &bad), Reason::IsBack, decision),
        Undo::Overtaken => settle(facts, (subject, &journal, &bad), Reason::Overtaken, decision),
        Undo::Unproven => {
            let is_young = made.at.is_some_and(|at| facts.now.duration_since(at) < LATE);
            let reason = Reason::WayUnknown { tip: tip.clone() };
            if !is_young {
                report(facts, (subject, made), reason, decision);
                return;
            }
            decision.reasons.push(reason);
            remember(facts, subject, made, Judged::Bad, decision);
            let what = "the ref is elsewhere, and the event of that has not come yet".to_owned();
            decision.actions.push(Action::ComeAgain { subject: subject.clone(), what });
        }
    }
}

/// What is put back; nothing where the journal holds what is no object's id.
fn restore(
    facts: &Facts,
    subject: &Subject,
    journal: &Journal,
    (made, before): (&Move, usize),
    place: Option<CommitId>,
) -> Option<Restore> {
    let (from, from_commit) = match &facts.tip {
        Tip::At { object, commit } => (Some(object.clone()), Some(commit.clone())),
        Tip::Gone | Tip::NotRead | Tip::NoRepository => (None, None),
    };
    let to = match &place {
        Some(commit) => Some(journal.objects.get(commit).cloned().or_else(|| Object::parse(commit.as_str()))?),
        None => None,
    };
    let at = made.at.unwrap_or(facts.now);
    let pause = pause_after(before);
    let not_before = if pause.is_zero() { None } else { at.checked_add(pause).ok() };
    let keep = from_commit.as_ref().and_then(|commit| kept_as(&subject.reference, commit, at));
    let undoes = journal.settled_by(made, &from_commit);
    Some(Restore { subject: subject.clone(), from, from_commit, to, to_commit: place, keep, undoes, not_before })
}

/// Where what was pushed is kept: `refs/heads/quarantine/<branch>/<time>-<short id>`.
pub fn kept_as(reference: &RefName, commit: &CommitId, at: Timestamp) -> Option<RefName> {
    let name = reference.as_str();
    let short = name.strip_prefix("refs/heads/").or_else(|| name.strip_prefix("refs/")).unwrap_or(name);
    let end = format!("/{}-{}", at.strftime("%Y%m%dT%H%M%SZ"), commit.short());
    // A branch has at most 256 characters.
    let room = 256_usize.saturating_sub("quarantine/".len() + end.len());
    let mut cut = short.len().min(room);
    while !short.is_char_boundary(cut) {
        cut -= 1;
    }
    let short = short.get(..cut).unwrap_or_default().trim_end_matches(['/', '.']);
    RefName::parse(format!("{QUARANTINE}{short}{end}")).ok()
}

/// When what is kept below the quarantine prefix was put there, as its name says.
pub fn kept_since(name: &RefName) -> Option<Timestamp> {
    let (_, last) = name.as_str().strip_prefix(QUARANTINE)?.rsplit_once('/')?;
    let (time, _) = last.split_once('-')?;
    let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", time).ok()?;
    time.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

fn report(facts: &Facts, (subject, made): (&Subject, &Move), reason: Reason, decision: &mut Decision) {
    decision.verdict = Verdict::Reported;
    decision.reasons.push(reason);
    remember(facts, subject, made, Judged::Reported, decision);
}

fn settle(
    facts: &Facts,
    (subject, journal, bad): (&Subject, &Journal, &Move),
    reason: Reason,
    decision: &mut Decision,
) {
    decision.verdict = Verdict::Reported;
    decision.reasons.push(reason);
    remember(facts, subject, bad, Judged::Bad, decision);
    let moves = facts.tip.place().map(|tip| journal.settled_by(bad, &tip)).unwrap_or_default();
    decision.actions.push(Action::Settle { subject: subject.clone(), moves });
}

/// In `observe` nothing is left to be undone later: a policy that is enforced one day does not reach back.
fn remember(facts: &Facts, subject: &Subject, made: &Move, judged: Judged, decision: &mut Decision) {
    let judged = match (decision.mode, judged) {
        (Mode::Observe, Judged::Bad) => Judged::Reported,
        (_, judged) => judged,
    };
    let object = match &facts.tip {
        Tip::At { object, commit } if object.as_str() != commit.as_str() => Some((commit.clone(), object.clone())),
        _ => None,
    };
    let made = Box::new(Move { judged, ..made.clone() });
    decision.actions.push(Action::Remember { subject: subject.clone(), made, object });
}

/// Whether the journal has this move of ours already, from when it was made.
fn is_known_restore(facts: &Facts, made: &Move) -> bool {
    let is_same = |there: &&Move| there.judged == Judged::Ours && there.old == made.old && there.new == made.new;
    let is_near = |there: &Move| match (there.at, made.at) {
        (Some(there), Some(made)) => there.duration_since(made).abs() < LATE,
        _ => true,
    };
    facts.journal.moves.iter().filter(is_same).any(is_near)
}
