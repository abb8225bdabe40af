//! What people are told of a decision: what happened, what is wrong, what they can do. Never what is in the commits.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use signalbox_events::{
    Arn, CommitId, EventId, MOST_FINDINGS_TOLD, Protected, ProtectionFinding, ProtectionState, ProtectionStateChange,
    RefName, RepositoryName, StackName,
};
use signalbox_policy::Mode;

use crate::action::Action;
use crate::decide::{Decision, Reason, Verdict, Violation, What};
use crate::facts::{Facts, Subject};
use crate::finding::{Fault, Finding};
use crate::journal::{Judged, Move};
use crate::render::{remedy_of, render_reason, render_weakening};
use crate::watch::Weakening;
use crate::watch_facts::WatchFacts;

/// What is told, before it is known whether it goes well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// The repository.
    pub repository: RepositoryName,
    /// What of it is protected.
    pub about: Protected,
    /// The ref, where it is one.
    pub reference: Option<RefName>,
    /// What becomes of it.
    pub state: ProtectionState,
    /// Who did it.
    pub by: Option<Arn>,
    /// When.
    pub at: Option<Timestamp>,
    /// Where the ref was before.
    pub old: Option<CommitId>,
    /// Where they moved it.
    pub new: Option<CommitId>,
    /// The branch that keeps what is undone.
    pub kept: Option<RefName>,
    /// Why it comes to this.
    pub why: Vec<String>,
    /// What is wrong.
    pub findings: Vec<ProtectionFinding>,
    /// How many more there are.
    pub left_out: u64,
}

/// How what is told is known: under which ids, by which stack.
#[derive(Debug, Clone)]
pub struct Told<'a> {
    /// The id of what is told.
    pub notice: EventId,
    /// The stack.
    pub stack: &'a StackName,
    /// The ledger's entry.
    pub entry: &'a EventId,
    /// When it was decided.
    pub seen: Timestamp,
    /// How much of the same person was not told before.
    pub untold: u64,
}

impl News {
    /// What is told of a ref that could not be judged, or of all of a repository's.
    pub fn failed(repository: &RepositoryName, made: Option<(&RefName, &Move)>, why: String) -> Self {
        Self {
            repository: repository.clone(),
            about: Protected::Ref,
            reference: made.map(|(reference, _)| reference.clone()),
            state: ProtectionState::Failed,
            by: made.and_then(|(_, made)| made.by.clone()),
            at: made.and_then(|(_, made)| made.at),
            old: made.and_then(|(_, made)| made.old.clone()),
            new: made.and_then(|(_, made)| made.new.clone()),
            kept: None,
            why: vec![why],
            findings: Vec::new(),
            left_out: 0,
        }
    }

    /// The same once it is known that putting it back was refused.
    #[must_use]
    pub fn refused(&self, why: &str) -> Self {
        Self { state: ProtectionState::Failed, kept: None, why: vec![why.to_owned()], ..self.clone() }
    }

    /// The event that tells it.
    pub fn change(&self, told: Told<'_>) -> ProtectionStateChange {
        ProtectionStateChange {
            notice: told.notice,
            stack: told.stack.clone(),
            repository: self.repository.clone(),
            about: self.about,
            reference: self.reference.clone(),
            state: self.state,
            entry: told.entry.clone(),
            by: self.by.clone(),
            at: self.at,
            seen: told.seen,
            old: self.old.clone(),
            new: self.new.clone(),
            kept: self.kept.clone(),
            why: self.why.clone(),
            findings: self.findings.clone(),
            left_out: self.left_out,
            untold: told.untold,
        }
    }
}

/// What people are told of this decision, if anything.
pub(crate) fn news_of(facts: &Facts, decision: &Decision) -> Option<News> {
    let (subject, made) = (facts.subject.as_ref()?, facts.made.as_ref()?);
    let (state, kept, put_back) = match decision.verdict {
        Verdict::NotConcerned | Verdict::Ours => return None,
        // Nothing is wrong but that no event told of it.
        Verdict::Allowed if decision.is_complete() => return None,
        Verdict::Allowed => (ProtectionState::Failed, None, None),
        Verdict::Bypassed => (ProtectionState::Bypassed, None, None),
        Verdict::Restore => restoring(decision)?,
        Verdict::Reported => reported(facts, made, decision),
    };
    let (findings, left_out) = findings(decision);
    let why = match put_back {
        Some(why) => vec![why],
        None => reasons(decision),
    };
    Some(News {
        repository: subject.repository.clone(),
        about: Protected::Ref,
        reference: Some(subject.reference.clone()),
        state,
        by: made.by.clone(),
        at: made.at,
        old: made.old.clone(),
        new: made.new.clone(),
        kept,
        why,
        findings,
        left_out,
    })
}

type State = (ProtectionState, Option<RefName>, Option<String>);

fn restoring(decision: &Decision) -> Option<State> {
    if decision.mode == Mode::Observe {
        return Some((ProtectionState::WouldRestore, None, Some(OBSERVED.to_owned())));
    }
    let mut restores = decision.actions.iter().filter_map(|action| match action {
        Action::Restore(restore) => Some(restore),
        _ => None,
    });
    match restores.next() {
        Some(restore) => Some((ProtectionState::Restored, restore.keep.clone(), None)),
        // It comes again, and is told then.
        None if !decision.reasons.contains(&Reason::TipUnknown) => None,
        None => Some((ProtectionState::Failed, None, None)),
    }
}

fn reported(facts: &Facts, made: &Move, decision: &Decision) -> State {
    let has = |wanted: fn(&Reason) -> bool| decision.reasons.iter().any(wanted);
    if has(|reason| matches!(reason, Reason::Contest { .. })) {
        return (ProtectionState::Contested, None, None);
    }
    if has(|reason| matches!(reason, Reason::IsBack | Reason::Overtaken))
        && let Some((kept, why)) = undone(facts, made)
    {
        return (ProtectionState::Restored, kept, Some(why));
    }
    let is_seen = decision.violations().any(|violation| !is_unread(&violation.what));
    let is_odd = |reason: &Reason| matches!(reason, Reason::Unreadable | Reason::WayUnknown { .. });
    if !is_seen || has(is_odd) {
        return (ProtectionState::Failed, None, None);
    }
    (ProtectionState::Violated, None, None)
}

/// Where Signalbox itself undid this move already, with what it was built upon or by itself: what is kept, and why.
fn undone(facts: &Facts, made: &Move) -> Option<(Option<RefName>, String)> {
    let tip = facts.tip.place()?;
    let is_later = |ours: &Move| ours.at >= made.at;
    let is_it = |ours: &&Move| ours.judged == Judged::Ours && ours.new == tip && is_later(ours);
    let ours = facts.journal.moves.iter().rev().find(is_it)?;
    let kept = facts.journal.kept.get(&ours.id).cloned();
    let why = match ours.old == made.new {
        true => "it is put back".to_owned(),
        false => "it is put back, together with what was pushed before or after it".to_owned(),
    };
    Some((kept, why))
}

const OBSERVED: &str = "the policy only observes (`mode: observe`): with `mode: enforce` it would have been put back, and what was pushed kept";

fn is_unread(what: &What) -> bool {
    matches!(what, What::Range(Finding { fault: Fault::Unread { .. }, .. }))
}

/// The reasons that are none of the findings.
fn reasons(decision: &Decision) -> Vec<String> {
    let is_why = |reason: &&Reason| !matches!(reason, Reason::Violated(_) | Reason::Allowed { .. });
    decision.reasons.iter().filter(is_why).map(render_reason).collect()
}

fn findings(decision: &Decision) -> (Vec<ProtectionFinding>, u64) {
    let told: Vec<ProtectionFinding> = decision.violations().take(MOST_FINDINGS_TOLD).map(finding_of).collect();
    let left_out = decision.violations().count().saturating_sub(told.len());
    (told, u64::try_from(left_out).unwrap_or(u64::MAX))
}

/// What people are told of one thing that is watched.
pub(crate) fn watch_news(
    facts: &WatchFacts,
    decision: &Decision,
    about: Protected,
    state: ProtectionState,
    weakenings: &[(Weakening, Option<Arn>)],
) -> News {
    let is_about = |violation: &&Violation| match &violation.what {
        What::Weakened(weakening) => weakening.about() == about,
        _ => false,
    };
    let mut findings: Vec<ProtectionFinding> =
        decision.violations().filter(is_about).take(MOST_FINDINGS_TOLD).map(finding_of).collect();
    // Whoever may push is mended in one way, which is said once, behind the last of them.
    if about == Protected::PushPermissions
        && let Some((_, others)) = findings.split_last_mut()
    {
        others.iter_mut().for_each(|finding| finding.remedy.clear());
    }
    let left_out = decision.violations().filter(is_about).count().saturating_sub(findings.len());
    let by = weakenings.iter().filter(|(weakening, _)| weakening.about() == about).find_map(|(_, by)| by.clone());
    let why = match state {
        ProtectionState::WouldRestore => vec![OBSERVED_BRANCH.to_owned()],
        ProtectionState::Restored => vec!["it is put back".to_owned()],
        _ => reasons(decision),
    };
    News {
        repository: facts.repository.clone(),
        about,
        reference: None,
        state,
        by,
        at: facts.told.as_ref().and_then(|told| told.at),
        old: None,
        new: None,
        kept: None,
        why,
        findings,
        left_out: u64::try_from(left_out).unwrap_or(u64::MAX),
    }
}

const OBSERVED_BRANCH: &str =
    "the policy only observes (`mode: observe`): with `mode: enforce` it would have been put back";

/// What the policy calls a protection: its name, or where it stands.
pub fn protection_of(violation: &Violation) -> String {
    match &violation.name {
        Some(name) => name.to_string(),
        None => format!("line {}", violation.line),
    }
}

/// The rule that a violation breaks, as the policy file names it.
pub const fn rule_of(what: &What) -> &'static str {
    match what {
        What::DirectPush => "direct-push",
        What::ForcePush => "force-push",
        What::Deletion => "deletion",
        What::Creation => "creation",
        What::Update => "update",
        What::Name { .. } => "names",
        What::Range(finding) => finding.fault.rule(),
        What::Weakened(weakening) => weakening.rule(),
    }
}

fn finding_of(violation: &Violation) -> ProtectionFinding {
    let (wrong, remedy) = match &violation.what {
        What::DirectPush => ("no pull request brought it".to_owned(), "Push a branch and open a pull request"),
        What::ForcePush => ("commits were dropped".to_owned(), "Add commits instead, or `git revert`"),
        What::Deletion => ("it must not be deleted".to_owned(), ""),
        What::Creation => ("such a ref must not be made".to_owned(), "Choose another name"),
        What::Update => ("it must not move".to_owned(), "Make a new one instead"),
        What::Name { pattern } => (format!("its name does not match {pattern:?}"), "Push it under such a name"),
        What::Range(finding) => (plainly(&finding.fault), finding.fault.repair()),
        What::Weakened(weakening) => (render_weakening(weakening), remedy_of(weakening)),
    };
    let finding = match &violation.what {
        What::Range(finding) => Some(finding),
        _ => None,
    };
    ProtectionFinding {
        rule: rule_of(&violation.what).to_owned(),
        protection: protection_of(violation),
        commit: finding.and_then(|finding| finding.commit.clone()),
        path: finding.and_then(|finding| finding.path.clone()),
        wrong,
        remedy: remedy.to_owned(),
    }
}

/// What is wrong without what is in the file: an address may hold a password, and a link is a file's content.
pub(crate) fn plainly(fault: &Fault) -> String {
    match fault {
        Fault::EscapingSymlink { .. } => "the link leads out of the repository".to_owned(),
        Fault::SubmoduleAddress { address: Some(_) } => "the submodule's address is not allowed".to_owned(),
        fault => fault.to_string(),
    }
}

/// The words of an action that tells people.
pub(crate) fn render_telling(news: &News) -> String {
    let subject = match &news.reference {
        Some(reference) => {
            let subject = Subject { repository: news.repository.clone(), reference: reference.clone() };
            format!("{} of {}", subject.reference, subject.repository)
        }
        None => news.repository.to_string(),
    };
    let state = news.state.as_aws().to_lowercase().replace('_', " ");
    format!("have people told of {subject}: {state}")
}
