//! The protection itself: what a policy watches beside the refs, so that it cannot be undone around git.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use signalbox_events::{
    ApiCallName, Arn, Detail, Event, OverrideStatus, Permitted, Protected, ProtectionState, PullRequestEvent,
    PullRequestId, RefName, RepositoryName, TemplateChange,
};
use signalbox_policy::{Mode, OnViolation, Policy, Protection, Watched};

use crate::action::Action;
use crate::decide::{Decision, Reason, Verdict, Violation, What};
use crate::facts::{Merged, Whose};
use crate::news::{News, watch_news};
use crate::pushers::{Reached, Round};
use crate::watch_facts::{TriggerSeen, WatchFacts, WatchTold};
use crate::weaker::{Weaker, weaker};

/// So often the default branch is put back within an hour; then a person is asked.
const MOST_RESTORES: usize = 3;

/// What shall be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchWanted {
    /// The repositories; none where the template knows them.
    pub repositories: BTreeSet<RepositoryName>,
    /// The approval rule template whose repositories are meant.
    pub template: Option<String>,
    /// What of them.
    pub word: Watched,
    /// The pull request, where it is about one.
    pub pull_request: Option<PullRequestId>,
    /// Whose permissions may be other ones, in every repository that watches them.
    #[serde(default)]
    pub permitted: Option<Permitted>,
    /// What the event tells.
    pub told: WatchTold,
}

/// How a protection itself is weaker than it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weakening {
    /// Another branch is the default one.
    DefaultBranch {
        /// It was this one.
        from: String,
        /// It is this one.
        to: Option<String>,
    },
    /// A template does not apply any more.
    TemplateGone {
        /// Its name.
        template: String,
    },
    /// A template asks for less.
    Template {
        /// Its name.
        template: String,
        /// How.
        how: Weaker,
    },
    /// A rule of an open pull request is gone.
    RuleGone {
        /// The pull request.
        pull_request: PullRequestId,
        /// The rule's name.
        rule: String,
    },
    /// A rule of an open pull request asks for less.
    Rule {
        /// The pull request.
        pull_request: PullRequestId,
        /// The rule's name.
        rule: String,
        /// How.
        how: Weaker,
    },
    /// The rules of a pull request were set aside.
    Overridden {
        /// The pull request.
        pull_request: PullRequestId,
    },
    /// IAM lets somebody push where the policy lets nobody.
    Pusher {
        /// The user or role.
        who: Arn,
        /// To these refs; one that stands for a pattern is any that the pattern covers.
        refs: BTreeSet<RefName>,
    },
    /// A repository trigger is gone.
    TriggerGone {
        /// Its name.
        trigger: String,
    },
    /// A repository trigger calls something else, or for less.
    Trigger {
        /// Its name.
        trigger: String,
    },
}

impl Weakening {
    /// What it is about.
    pub const fn about(&self) -> Protected {
        match self {
            Self::DefaultBranch { .. } => Protected::DefaultBranch,
            Self::TriggerGone { .. } | Self::Trigger { .. } => Protected::RepositoryTriggers,
            Self::Pusher { .. } => Protected::PushPermissions,
            _ => Protected::ApprovalRules,
        }
    }

    /// The word of the policy that asks for it.
    pub const fn rule(&self) -> &'static str {
        match self.about() {
            Protected::DefaultBranch => "watch default-branch",
            Protected::RepositoryTriggers => "watch repository-triggers",
            Protected::PushPermissions => "watch push-permissions",
            Protected::ApprovalRules | Protected::Ref => "watch approval-rules",
        }
    }
}

/// Whether a protection of the repository watches this.
pub fn watchers<'a>(policy: &'a Policy, repository: &'a RepositoryName, word: Watched) -> Vec<&'a Protection> {
    let sections = policy.sections_for(repository);
    sections.flat_map(|section| &section.protections).filter(|it| it.watch.contains(&word)).collect()
}

/// What of a repository the policy watches.
pub fn watched_words(policy: &Policy, repository: &RepositoryName) -> Vec<Watched> {
    const WORDS: [Watched; 4] =
        [Watched::DefaultBranch, Watched::ApprovalRules, Watched::RepositoryTriggers, Watched::PushPermissions];
    WORDS.into_iter().filter(|word| !watchers(policy, repository, *word).is_empty()).collect()
}

/// What an event has looked at; nothing for one that weakens nothing.
pub fn watch_of(event: &Event) -> Option<WatchWanted> {
    let at = event.envelope.time;
    let wanted = |repositories, word, by: &Option<Arn>| WatchWanted {
        repositories,
        template: None,
        word,
        pull_request: None,
        permitted: None,
        told: WatchTold { by: by.clone(), at, overridden: None },
    };
    match &event.detail {
        Detail::ApiCall(call) => {
            let word = match call.name {
                ApiCallName::UpdateDefaultBranch => Watched::DefaultBranch,
                ApiCallName::PutRepositoryTriggers => Watched::RepositoryTriggers,
            };
            Some(wanted([call.repository.clone()].into(), word, &call.by))
        }
        Detail::IamCall(call) => {
            let look = wanted(BTreeSet::new(), Watched::PushPermissions, &call.by);
            Some(WatchWanted { permitted: Some(call.whose.clone()), ..look })
        }
        Detail::ApprovalRuleTemplate(change) => {
            let repositories: BTreeSet<RepositoryName> = change.repositories.keys().cloned().collect();
            let look = wanted(repositories, Watched::ApprovalRules, &change.caller);
            match change.change {
                TemplateChange::Disassociated | TemplateChange::BatchDisassociated => Some(look),
                TemplateChange::Updated => Some(WatchWanted { template: Some(change.name.to_string()), ..look }),
                // A template that applies to a repository cannot be deleted.
                TemplateChange::Created
                | TemplateChange::Deleted
                | TemplateChange::Associated
                | TemplateChange::BatchAssociated => None,
            }
        }
        Detail::PullRequest(change) => {
            let look = wanted([change.repository.clone()].into(), Watched::ApprovalRules, &change.caller);
            let id = Some(change.pull_request.clone());
            match &change.event {
                PullRequestEvent::ApprovalRuleDeleted(_) | PullRequestEvent::ApprovalRuleUpdated(_) => {
                    Some(WatchWanted { pull_request: id, ..look })
                }
                PullRequestEvent::ApprovalRuleOverridden { status } if *status == OverrideStatus::Override => {
                    let told = WatchTold { overridden: id.clone(), ..look.told.clone() };
                    Some(WatchWanted { pull_request: id, told, ..look })
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// Decides what follows what is there now. Total, as for moves.
pub fn decide_watch(facts: &WatchFacts, policy: &Policy) -> Decision {
    let mut decision =
        Decision { verdict: Verdict::NotConcerned, mode: policy.mode, reasons: Vec::new(), actions: Vec::new() };
    let weakenings = weakenings(facts);
    let (mut restores, mut strictest) = (None, BTreeMap::new());
    for (weakening, by) in &weakenings {
        let word = match weakening.about() {
            Protected::DefaultBranch => Watched::DefaultBranch,
            Protected::RepositoryTriggers => Watched::RepositoryTriggers,
            Protected::PushPermissions => Watched::PushPermissions,
            Protected::ApprovalRules | Protected::Ref => Watched::ApprovalRules,
        };
        for protection in watchers(policy, &facts.repository, word) {
            let what = What::Weakened(weakening.clone());
            let violation = Violation { line: protection.line, name: protection.name.clone(), what };
            // Whoever may push is one finding, however many protections want to know it.
            if word != Watched::PushPermissions || !decision.violations().any(|one| one.what == violation.what) {
                decision.reasons.push(Reason::Violated(violation));
            }
            let may = by.as_ref().filter(|by| protection.bypass.iter().any(|pattern| pattern.matches(by)));
            let entry = strictest.entry(weakening.about()).or_insert((None, None));
            match may {
                Some(by) => entry.1 = Some(by.clone()),
                None => entry.0 = entry.0.max(Some(protection.on_violation)),
            }
        }
    }
    if facts.whose == Whose::Ours || decision.reasons.is_empty() {
        decision.reasons = match facts.whose {
            Whose::Ours => vec![Reason::OwnMove],
            Whose::Theirs => vec![Reason::Allowed { merged: Merged::NotRead }],
        };
        decision.verdict = if facts.whose == Whose::Ours { Verdict::Ours } else { Verdict::Allowed };
        see(facts, Heard::Nothing, None, &mut decision);
        return decision;
    }
    let mut news: Vec<News> = Vec::new();
    for (about, (open, bypassed)) in &strictest {
        let state = match (about, open) {
            (_, None) => {
                decision.verdict = decision.verdict.max(Verdict::Bypassed);
                decision.reasons.extend(bypassed.clone().map(|by| Reason::MayBypass { by }));
                ProtectionState::Bypassed
            }
            (Protected::DefaultBranch, Some(OnViolation::Restore)) => {
                let (state, restore) = restore(facts, &weakenings, policy.mode);
                decision.verdict = decision.verdict.max(Verdict::Restore);
                if state == ProtectionState::Contested {
                    decision
                        .reasons
                        .push(Reason::Contest { with: facts.told.as_ref().and_then(|told| told.by.clone()) });
                }
                restores = restore;
                state
            }
            (_, Some(_)) => {
                decision.verdict = decision.verdict.max(Verdict::Reported);
                ProtectionState::Weakened
            }
        };
        news.push(watch_news(facts, &decision, *about, state, &weakenings));
    }
    decision.actions.extend(restores.clone());
    decision.actions.extend(news.into_iter().map(|news| Action::Tell(Box::new(news))));
    see(facts, Heard::Of, restores.as_ref(), &mut decision);
    decision
}

/// What becomes of a default branch that is to be put back.
fn restore(
    facts: &WatchFacts,
    weakenings: &[(Weakening, Option<Arn>)],
    mode: Mode,
) -> (ProtectionState, Option<Action>) {
    let change = weakenings.iter().find_map(|(weakening, _)| match weakening {
        Weakening::DefaultBranch { from, to } => Some((from, to)),
        _ => None,
    });
    let Some((from, to)) = change else { return (ProtectionState::Weakened, None) };
    if mode == Mode::Observe {
        return (ProtectionState::WouldRestore, None);
    }
    if lately(facts).count() >= MOST_RESTORES {
        return (ProtectionState::Contested, None);
    }
    let action = Action::SetDefaultBranch { repository: facts.repository.clone(), from: to.clone(), to: from.clone() };
    (ProtectionState::Restored, Some(action))
}

fn lately(facts: &WatchFacts) -> impl Iterator<Item = &Timestamp> {
    let before = facts.now.checked_sub(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MIN);
    facts.memory.restores.iter().filter(move |at| **at >= before)
}

/// Whether people hear of what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Of,
    Nothing,
}

/// Remembers what is there, and of a default branch that is put back what belongs there.
fn see(facts: &WatchFacts, heard: Heard, restore: Option<&Action>, decision: &mut Decision) {
    let mut memory = facts.memory.clone();
    let there = facts.there.clone();
    if restore.is_none() {
        memory.seen.default_branch = there.default_branch.or(memory.seen.default_branch);
    } else {
        memory.restores = lately(facts).copied().chain([facts.now]).collect();
    }
    memory.seen.templates = there.templates.or(memory.seen.templates);
    memory.seen.triggers = there.triggers.or(memory.seen.triggers);
    memory.seen.rules.extend(there.rules);
    if let Some(look) = &facts.pushers {
        memory.pushers = facts.memory.pushers.with(look).1;
    }
    if let Some(open) = &facts.open {
        memory.seen.rules.retain(|id, _| open.contains(id));
        memory.cursor = facts.cursor.clone();
    }
    if heard == Heard::Of {
        memory.times = memory.times.saturating_add(1);
    }
    if memory != facts.memory {
        let before = Box::new(facts.memory.clone());
        decision.actions.push(Action::See { repository: facts.repository.clone(), before, memory: Box::new(memory) });
    }
}

/// How what is there is weaker than what was seen, and who is known to have done each.
fn weakenings(facts: &WatchFacts) -> Vec<(Weakening, Option<Arn>)> {
    let (seen, there) = (&facts.memory.seen, &facts.there);
    let told = || facts.told.as_ref().and_then(|told| told.by.clone());
    let mut found = Vec::new();
    if let (Some(from), Some(to)) = (&seen.default_branch, &there.default_branch)
        && from != to
    {
        found.push((Weakening::DefaultBranch { from: from.clone(), to: Some(to.clone()) }, told()));
    }
    if let (Some(seen), Some(there)) = (&seen.templates, &there.templates) {
        for (name, old) in seen {
            match there.get(name) {
                None => found.push((Weakening::TemplateGone { template: name.clone() }, told())),
                Some(new) => found.extend(weaker(&old.content, &new.content).map(|how| {
                    (Weakening::Template { template: name.clone(), how }, told().or_else(|| new.by.clone()))
                })),
            }
        }
    }
    for (id, there) in &there.rules {
        for (name, old) in seen.rules.get(id).into_iter().flatten() {
            let (pull_request, rule) = (id.clone(), name.clone());
            match there.get(name) {
                None => found.push((Weakening::RuleGone { pull_request, rule }, told())),
                Some(new) => found.extend(
                    weaker(&old.content, &new.content)
                        .map(|how| (Weakening::Rule { pull_request, rule, how }, told().or_else(|| new.by.clone()))),
                ),
            }
        }
    }
    if let Some(pull_request) = facts.told.as_ref().and_then(|told| told.overridden.clone()) {
        found.push((Weakening::Overridden { pull_request }, told()));
    }
    if let (Some(seen), Some(there)) = (&seen.triggers, &there.triggers) {
        for (name, old) in seen {
            match there.get(name) {
                None => found.push((Weakening::TriggerGone { trigger: name.clone() }, told())),
                Some(new) if calls_less(old, new) => {
                    found.push((Weakening::Trigger { trigger: name.clone() }, told()));
                }
                Some(_) => {}
            }
        }
    }
    if let Some(look) = &facts.pushers {
        // Whoever changed a group or a policy did not bring those who could push before anybody looked.
        let is_theirs = look.reached == Reached::One || facts.memory.pushers.round == Round::Later;
        let (new, _) = facts.memory.pushers.with(look);
        found
            .extend(new.into_iter().map(|(who, refs)| (Weakening::Pusher { who, refs }, told().filter(|_| is_theirs))));
    }
    found
}

/// Whether a trigger calls something else, or is not called for everything any more.
fn calls_less(old: &TriggerSeen, new: &TriggerSeen) -> bool {
    let is_all = |events: &BTreeSet<String>| events.contains("all");
    let fewer_events = !is_all(&new.events) && (is_all(&old.events) || !old.events.is_subset(&new.events));
    let fewer_branches =
        !new.branches.is_empty() && (old.branches.is_empty() || !old.branches.is_subset(&new.branches));
    old.destination != new.destination || fewer_events || fewer_branches
}
