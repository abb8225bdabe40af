//! The checked policy, and the questions it answers.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use signalbox_events::{Arn, RefKind, RefName, RepositoryName};

use crate::glob_index::KeptIndex;
use crate::guard::{Approval, Protection, Replica};
use crate::names::{ArnPattern, EmailAddress, PersonName, TeamName, TriggerName};
use crate::topic::Topic;
use crate::trigger::{PathFilter, Trigger};
use crate::{Globs, Note, is_quarantined};

/// What stands for every subscriber among the names of recipients; `to` accepts it for no team and no person.
pub const EVERYONE: &str = "everyone";

/// A policy file that was checked.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Policy {
    /// Whether decisions are carried out.
    pub mode: Mode,
    /// What holds for which repositories, in the order of the file.
    pub sections: Vec<Section>,
    /// Who is who, in the order of the file.
    pub people: Vec<Person>,
    /// What the file asks for and this version does not do yet.
    #[serde(default)]
    pub(crate) notes: Vec<Note>,
}

/// Whether decisions are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Decide, record and report what would be done.
    #[default]
    Observe,
    /// Do it.
    Enforce,
}

/// What holds for some repositories.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// Which repositories: the one pattern of the section's key.
    pub repositories: Globs,
    /// The line of the key in the policy file.
    pub line: usize,
    /// What is started for which reason.
    pub triggers: Vec<Trigger>,
    /// What a merge needs.
    pub approvals: Vec<Approval>,
    /// What must not happen.
    pub protections: Vec<Protection>,
    /// Who is told; none when the section does not say.
    pub notifications: Option<Vec<NotificationRule>>,
    /// Which copies are kept.
    pub replicas: Vec<Replica>,
    /// The path filters of all triggers together, for pushes.
    #[serde(skip)]
    pub(crate) filters: KeptIndex,
    /// The same for pull requests.
    #[serde(skip)]
    pub(crate) review_filters: KeptIndex,
}

impl Section {
    /// For each trigger that is asked about, and that has a path filter: the first path that the filter lets through, by
    /// its position.
    ///
    /// However many are asked, every path is looked at once.
    pub fn first_paths<'a>(
        &self,
        filter: PathFilter,
        asked: impl Fn(&Trigger) -> bool,
        paths: impl IntoIterator<Item = &'a str>,
    ) -> Vec<(&Trigger, Option<usize>)> {
        let filters: Vec<(&Trigger, &Globs)> =
            (self.triggers.iter()).filter_map(|trigger| Some((trigger, trigger.paths(filter)?))).collect();
        let asking: Vec<usize> =
            (filters.iter().enumerate()).filter_map(|(at, (trigger, _))| asked(trigger).then_some(at)).collect();
        let found = match asking.as_slice() {
            [] => Vec::new(),
            // The others need not be compiled for one.
            [one] => {
                let globs = filters.get(*one).map(|(_, globs)| *globs);
                vec![paths.into_iter().position(|path| globs.is_some_and(|globs| globs.matches(path)))]
            }
            asking => {
                let kept = match filter {
                    PathFilter::Push => &self.filters,
                    PathFilter::PullRequest => &self.review_filters,
                };
                let index = kept.get(|| filters.iter().map(|(_, globs)| *globs).collect());
                index.first_matches_of(asking, paths)
            }
        };
        let triggers = asking.iter().filter_map(|&at| Some(filters.get(at)?.0));
        triggers.zip(found).collect()
    }
}

/// Who is told about what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NotificationRule {
    /// The line in the policy file.
    pub line: usize,
    /// The topics that its patterns stand for.
    pub about: BTreeSet<Topic>,
    /// Who is told; none for everyone.
    pub to: Option<Vec<Recipient>>,
}

/// A person of the policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Person {
    /// Who they are to AWS: an ARN, or a pattern that covers the sessions of a role.
    pub arn: ArnPattern,
    /// The line in the policy file.
    pub line: usize,
    /// What they are called.
    pub name: Option<PersonName>,
    /// Where mail reaches them.
    pub email: Option<EmailAddress>,
    /// Which teams they are in.
    pub teams: Vec<TeamName>,
}

/// A team or a person, as `to:` and `from:` name them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    /// A team; it needs no member in the policy, since a mailing list can subscribe for it.
    Team(TeamName),
    /// A person of the policy, by name.
    Person(PersonName),
}

impl Mode {
    /// The word of the policy file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Enforce => "enforce",
        }
    }
}

impl Recipient {
    /// The name, which is also the value of the message attribute that subscriptions filter by.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Team(name) => name.as_str(),
            Self::Person(name) => name.as_str(),
        }
    }
}

impl To {
    /// What messages carry for subscriptions to filter by: the names, and [`EVERYONE`] where everyone is meant.
    ///
    /// `None` where nobody is told.
    pub fn names(&self) -> Option<Vec<String>> {
        let names = |to: &[Recipient]| to.iter().map(|to| to.as_str().to_owned()).collect::<Vec<_>>();
        match self {
            Self::Nobody => None,
            Self::Only(to) => Some(names(to)),
            Self::Everyone(to) => {
                let mut names = names(to);
                names.push(EVERYONE.to_owned());
                Some(names)
            }
        }
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who is told about one topic of one repository, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct Audience {
    /// The lines of the rules that matched; empty when no rule speaks of the repository.
    pub rules: Vec<usize>,
    /// Who is told.
    pub to: To,
}

/// Who is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum To {
    /// Every subscriber; with those, as in [`To::Only`], whom rules beside it name.
    ///
    /// The names are kept, so that whoever takes only what names them does not miss it because others hear it, too.
    Everyone(Vec<Recipient>),
    /// These, each once, in alphabetical order with teams first.
    Only(Vec<Recipient>),
    /// Nobody: the repository has rules and none is about the topic.
    Nobody,
}

impl Policy {
    /// What holds without a policy: observe, and tell everyone about everything.
    pub fn none() -> Self {
        Self::default()
    }

    /// Every section that matches the repository, in the order of the file.
    pub fn sections_for<'a>(&'a self, repository: &'a RepositoryName) -> impl Iterator<Item = &'a Section> {
        self.sections.iter().filter(|section| section.repositories.matches(repository.as_str()))
    }

    /// Every trigger of the repository; where a name came twice (only possible through exclusions and classes that cannot
    /// be compared when the file is checked) the first holds.
    pub fn triggers_for<'a>(&'a self, repository: &'a RepositoryName) -> Vec<&'a Trigger> {
        let mut seen = BTreeSet::new();
        self.sections_for(repository)
            .flat_map(|section| &section.triggers)
            .filter(|trigger| seen.insert(&trigger.name))
            .collect()
    }

    /// The protections that pull requests into this branch need as checks, each once, in the order of the policy.
    ///
    /// A trigger of the same name comes first, as for [`Policy::triggers_for`]: two of one name are only possible where they cannot be
    /// told apart when the file is checked.
    pub fn protections_asked<'a>(&'a self, repository: &'a RepositoryName, into: &RefName) -> Vec<&'a Protection> {
        if into.kind() != RefKind::Branch || is_quarantined(into) {
            return Vec::new();
        }
        let triggers = self.triggers_for(repository);
        let approvals = self.sections_for(repository).flat_map(|section| &section.approvals);
        let checks = approvals.filter(|approval| approval.into.matches(into.short())).flat_map(|it| &it.checks);
        let mut seen = BTreeSet::new();
        let names = checks.filter(|name| seen.insert(*name) && triggers.iter().all(|trigger| trigger.name != **name));
        names.filter_map(|name| self.protection_named(repository, name)).collect()
    }

    /// The protection of this name, where the repository has one.
    pub fn protection_named<'a>(
        &'a self,
        repository: &'a RepositoryName,
        name: &TriggerName,
    ) -> Option<&'a Protection> {
        let mut protections = self.sections_for(repository).flat_map(|section| &section.protections);
        protections.find(|protection| protection.name.as_ref() == Some(name))
    }

    /// Who has this ARN: the exact entry, or else the first pattern that covers it.
    pub fn person(&self, arn: &Arn) -> Option<&Person> {
        let exact = self.people.iter().find(|person| person.arn.as_str() == arn.as_str());
        exact.or_else(|| self.people.iter().find(|person| person.arn.matches(arn)))
    }

    /// Every team that a person is in or that the policy addresses.
    pub fn teams(&self) -> BTreeSet<&TeamName> {
        let of_people = self.people.iter().flat_map(|person| &person.teams);
        let told = self.sections.iter().flat_map(|section| section.notifications.iter().flatten());
        let asked =
            self.sections.iter().flat_map(|section| &section.triggers).filter_map(|trigger| trigger.ask.as_ref());
        let reviewing = self
            .sections
            .iter()
            .flat_map(|section| &section.approvals)
            .filter_map(|approval| approval.reviewers.as_ref());
        let addressed = told
            .flat_map(|rule| rule.to.iter().flatten())
            .chain(asked.flat_map(|ask| &ask.from))
            .chain(reviewing.flat_map(|reviewers| &reviewers.from));
        of_people
            .chain(addressed.filter_map(|recipient| match recipient {
                Recipient::Team(team) => Some(team),
                Recipient::Person(_) => None,
            }))
            .collect()
    }

    /// The members of a team, in the order of the file.
    pub fn members<'a>(&'a self, team: &'a TeamName) -> impl Iterator<Item = &'a Person> {
        self.people.iter().filter(move |person| person.teams.contains(team))
    }

    /// Who is told about a topic of a repository.
    ///
    /// A repository of which no section says anything under `notifications` is as without a policy: everyone is told. So
    /// a first policy about one repository does not silence the others. As soon as one matching section has the key,
    /// even with an empty list, only the rules count.
    pub fn audience(&self, repository: &RepositoryName, topic: Topic) -> Audience {
        let mut spoken = false;
        let mut rules = Vec::new();
        let mut everyone = false;
        let mut to = BTreeSet::new();
        for said in self.sections_for(repository).filter_map(|section| section.notifications.as_ref()) {
            spoken = true;
            for rule in said.iter().filter(|rule| rule.about.contains(&topic)) {
                rules.push(rule.line);
                match &rule.to {
                    None => everyone = true,
                    Some(names) => to.extend(names.iter().cloned()),
                }
            }
        }
        let to = if !spoken || everyone {
            To::Everyone(to.into_iter().collect())
        } else if to.is_empty() {
            To::Nobody
        } else {
            To::Only(to.into_iter().collect())
        };
        Audience { rules, to }
    }

    /// What the file asks for and this version checks but does not do yet, in the order of the file.
    pub fn not_yet(&self) -> &[Note] {
        &self.notes
    }
}
