//! Which facts a decision will want.

use serde::{Deserialize, Serialize};
use signalbox_events::{
    BuildId, BuildStart, CheckState, Detail, Event, ProjectName, PullRequestState, RefName, RepositoryName,
};
use signalbox_policy::{BuildspecFrom, Policy, PullRequestFilter, StartBuild};
use signalbox_trigger_rules::review_key;

use crate::asked::{Asked, Check};
use crate::facts::{Facts, Idle, Occasion, Project, PullRequestFacts, RuleEvent, Scope, Subject};
use crate::gate::Gate;
use crate::judge::{does_not_apply, missing_facts, newest, startable};

/// What shall be gathered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// The pull request to look at.
    pub subject: Option<Subject>,
    /// The build whose record says which pull request it was started for.
    pub build: Option<BuildId>,
    /// What led here.
    pub occasion: Occasion,
    /// That record, once it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Box<BuildStart>>,
}

/// What shall be gathered for one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckNeeds {
    /// Its name, which is the trigger's.
    pub name: String,
    /// The project that it runs.
    pub project: ProjectName,
    /// Whether only builds count that ran the target branch's buildspec.
    pub is_of_target: bool,
}

impl CheckNeeds {
    /// Where the trigger keeps what it started for a pull request.
    pub fn state_key(&self, subject: &Subject) -> String {
        review_key(&subject.repository, &subject.pull_request, &self.name)
    }
}

/// What else shall be gathered, once it is known which builds there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct More {
    /// What the source's tip says of itself.
    pub head: bool,
    /// Which files the pull request changes.
    pub paths: bool,
    /// Whether these projects exist, by the checks that run them.
    pub projects: Vec<CheckNeeds>,
}

impl Needs {
    /// A look at a pull request because of the clock.
    pub fn of_sweep(subject: Subject) -> Self {
        Self { subject: Some(subject), build: None, occasion: Occasion::Sweep, record: None }
    }

    fn none(why: Idle) -> Self {
        Self { subject: None, build: None, occasion: Occasion::None(why), record: None }
    }
}

/// Which facts the decision on this event will want.
pub fn needs(event: &Event, policy: &Policy, gate: &Gate) -> Needs {
    match &event.detail {
        Detail::PullRequest(change) => {
            let (repository, into) = (change.repository.clone(), change.destination.reference.clone());
            if gate.is_ours(change.caller.as_ref()) {
                return Needs::none(Idle::Ours);
            }
            if change.state != PullRequestState::Open {
                return Needs::none(Idle::Closed);
            }
            if Asked::of(policy, &repository, &into).is_none() {
                return Needs::none(Idle::NothingAsked { repository, into });
            }
            let subject = Subject { repository, pull_request: change.pull_request.clone() };
            let occasion = Occasion::PullRequest { rules: RuleEvent::of(&change.event), by: change.caller.clone() };
            Needs { subject: Some(subject), build: None, occasion, record: None }
        }
        Detail::BuildState(change) => {
            let build = change.build.clone();
            if policy.sections.iter().all(|section| section.approvals.is_empty()) {
                return Needs::none(Idle::NotAboutReviews);
            }
            Needs { subject: None, build: Some(build.clone()), occasion: Occasion::Build { build }, record: None }
        }
        Detail::ApprovalRuleTemplate(change) if gate.is_ours(change.caller.as_ref()) => Needs::none(Idle::Ours),
        Detail::ApprovalRuleTemplate(change) if Gate::may_be_ours(change.name.as_str()) => {
            Needs::none(Idle::About(Scope::Templates))
        }
        Detail::CheckState(change) if change.state == CheckState::Judged && change.stack.as_str() == gate.stack => {
            Needs {
                subject: Some(Subject {
                    repository: change.repository.clone(),
                    pull_request: change.pull_request.clone(),
                }),
                build: None,
                occasion: Occasion::Judged,
                record: None,
            }
        }
        Detail::Scheduled(_) => Needs::none(Idle::About(Scope::Everything)),
        _ => Needs::none(Idle::NotAboutReviews),
    }
}

/// Whether the protector's record of the pull request is asked for: some check into this branch is a protection with rules.
pub fn wants_review(policy: &Policy, repository: &RepositoryName, into: &RefName) -> bool {
    policy.protections_asked(repository, into).iter().any(|protection| protection.has_range_rules())
}

/// Which pull request a build is looked at for, by the record of its start.
pub fn needs_of_build(build: &BuildId, record: Option<&BuildStart>, policy: &Policy) -> Needs {
    let started = record.and_then(|record| Some((&record.repository, record.pull_request.as_ref()?)));
    let Some((repository, of)) = started else { return Needs::none(Idle::NotStartedByUs { build: build.clone() }) };
    if Asked::of(policy, repository, &of.into).is_none() {
        return Needs::none(Idle::NothingAsked { repository: repository.clone(), into: of.into.clone() });
    }
    let subject = Subject { repository: repository.clone(), pull_request: of.id.clone() };
    let (occasion, record) = (Occasion::Build { build: build.clone() }, record.cloned().map(Box::new));
    Needs { subject: Some(subject), build: Some(build.clone()), occasion, record }
}

/// The checks whose builds shall be looked for: those that a trigger can start for pull requests into this branch.
pub fn check_needs(policy: &Policy, repository: &RepositoryName, into: &RefName) -> Vec<CheckNeeds> {
    let Some(asked) = Asked::of(policy, repository, into) else { return Vec::new() };
    let startable = asked.checks.iter().filter_map(|check| {
        let (_, filter, build) = startable(check, into).ok()?;
        Some(check_need(check, filter, build))
    });
    startable.collect()
}

fn check_need(check: &Check<'_>, filter: &PullRequestFilter, build: &StartBuild) -> CheckNeeds {
    CheckNeeds {
        name: check.name.to_string(),
        project: build.project.clone(),
        is_of_target: filter.buildspec_from == BuildspecFrom::Target,
    }
}

/// What else the decision will want, now that it is known which builds there are.
pub fn wants_more(facts: &Facts, policy: &Policy) -> More {
    let mut more = More::default();
    let (Some(subject), Some(here)) = (&facts.subject, facts.here()) else { return more };
    let Some(asked) = Asked::of(policy, &subject.repository, &here.destination) else { return more };
    for check in &asked.checks {
        let Ok((trigger, filter, build)) = startable(check, &here.destination) else { continue };
        let Some(known) = facts.checks.get(check.name.as_str()) else { continue };
        if known.unreadable.is_some() || newest(known).is_some() {
            continue;
        }
        if let Some(missing) = missing_facts(trigger, filter, here, facts) {
            more.head |= missing.head;
            more.paths |= missing.paths;
        }
        // What does not apply needs no project.
        if does_not_apply(trigger, filter, here, facts).is_some() {
            continue;
        }
        if known.project == Project::NotRead {
            more.projects.push(check_need(check, filter, build));
        }
    }
    more
}

/// Whether anybody may have set the rules aside, so that it is worth a call to ask.
pub fn may_be_overridden(facts: &Facts) -> bool {
    match &facts.occasion {
        Occasion::Sweep => true,
        Occasion::PullRequest { rules: Some(RuleEvent::Overridden | RuleEvent::InForceAgain), .. } => true,
        Occasion::PullRequest { .. } | Occasion::Build { .. } | Occasion::Judged | Occasion::None(_) => {
            facts.memory.overridden.is_some()
        }
    }
}

/// Whether anything is asked of an open pull request, or was, so that its gate is still there.
pub fn is_concerned(policy: &Policy, subject: &Subject, here: &PullRequestFacts, gate: &Gate) -> bool {
    let has_gate = || here.rules.iter().flatten().any(|rule| gate.is_named(&rule.name, &here.destination));
    here.state == PullRequestState::Open
        && (Asked::of(policy, &subject.repository, &here.destination).is_some() || has_gate())
}
