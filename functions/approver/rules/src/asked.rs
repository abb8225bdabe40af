//! What the policy asks of a pull request.

use signalbox_events::{Arn, RefKind, RefName, RepositoryName};
use signalbox_policy::{
    ArnPattern, Person, Policy, Protection, Recipient, Reviewers, Trigger, TriggerName, is_quarantined,
};

/// Everything that is asked of pull requests into one branch, of all sections together.
#[derive(Debug, Default, PartialEq)]
pub struct Asked<'a> {
    /// The checks, each once, in the order of the policy.
    pub checks: Vec<Check<'a>>,
    /// How many must approve, for each approval that says so.
    pub reviewers: Vec<&'a Reviewers>,
    /// For each approval, who may set the rules aside: whoever all of them name.
    pub may_override: Vec<&'a [ArnPattern]>,
}

/// A check by name.
#[derive(Debug, PartialEq)]
pub struct Check<'a> {
    /// Its name.
    pub name: &'a TriggerName,
    /// The trigger of that name; a protection's check has none.
    pub trigger: Option<&'a Trigger>,
    /// The protection of that name, where it is no trigger's.
    pub protection: Option<&'a Protection>,
}

impl<'a> Asked<'a> {
    /// What is asked of pull requests into this branch; `None` where nothing is.
    pub fn of(policy: &'a Policy, repository: &'a RepositoryName, into: &RefName) -> Option<Self> {
        if into.kind() != RefKind::Branch || is_quarantined(into) {
            return None;
        }
        let triggers = policy.triggers_for(repository);
        let mut asked = Self::default();
        let sections = policy.sections_for(repository);
        for approval in sections.flat_map(|section| &section.approvals) {
            if !approval.into.matches(into.short()) {
                continue;
            }
            for name in &approval.checks {
                if asked.checks.iter().all(|check| check.name != name) {
                    let trigger = triggers.iter().find(|trigger| trigger.name == *name).copied();
                    let protection = match trigger {
                        Some(_) => None,
                        None => policy.protection_named(repository, name),
                    };
                    asked.checks.push(Check { name, trigger, protection });
                }
            }
            asked.reviewers.extend(approval.reviewers.as_ref());
            asked.may_override.push(&approval.may_override);
        }
        (!asked.may_override.is_empty()).then_some(asked)
    }

    /// Whether somebody may set the rules aside: every approval must name them.
    pub fn may_override(&self, by: &Arn) -> bool {
        !self.may_override.is_empty()
            && self.may_override.iter().all(|patterns| patterns.iter().any(|pattern| pattern.matches(by)))
    }
}

/// Whether the policy asks for anything before merges into some branch of the repository.
pub fn has_approvals(policy: &Policy, repository: &RepositoryName) -> bool {
    policy.sections_for(repository).any(|section| !section.approvals.is_empty())
}

/// Who somebody is: two of their ARNs are one person where the policy knows them by one name.
pub(crate) fn known_as<'a>(policy: &'a Policy, arn: &'a Arn) -> &'a str {
    let name = policy.person(arn).and_then(|person| person.name.as_ref());
    name.map_or(arn.as_str(), |name| name.as_str())
}

/// What people call somebody.
pub(crate) fn called(policy: &Policy, arn: &Arn) -> String {
    let name = policy.person(arn).and_then(|person| person.name.as_ref());
    name.map_or_else(|| arn.person().to_owned(), |name| name.as_str().to_owned())
}

/// Whether somebody is one of these.
pub(crate) fn is_among(policy: &Policy, arn: &Arn, from: &[Recipient]) -> bool {
    let is_meant = |person: &Person| {
        from.iter().any(|recipient| match recipient {
            Recipient::Team(team) => person.teams.contains(team),
            Recipient::Person(name) => person.name.as_ref() == Some(name),
        })
    };
    from.is_empty() || policy.person(arn).is_some_and(is_meant)
}
