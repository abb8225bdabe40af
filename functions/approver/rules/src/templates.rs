//! The gates' templates: what is wanted, what is there, and the smallest change between the two.
//!
//! A template gives its rule to pull requests that are opened later, and nobody can edit such a rule. What a template does not
//! reach, a rule on the pull request itself does.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use signalbox_events::{RefName, RepositoryName};
use signalbox_policy::Policy;

use crate::asked::Asked;
use crate::gate::Gate;

/// So many templates of ours a repository has at most: CodeCommit allows 25, and people have some of their own.
///
/// Pull requests into further branches get their gate when they are opened.
pub const MOST_OF_REPOSITORY: usize = 20;

/// The templates as they shall be: the branch of each, and the repositories that it applies to, under its name.
pub type Wanted = BTreeMap<String, (RefName, BTreeSet<RepositoryName>)>;

/// A template as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateFacts {
    /// What it says and the SHA-256 of that; `None` where it is not there.
    pub content: Option<(String, Option<String>)>,
    /// The repositories that it applies to.
    pub repositories: BTreeSet<RepositoryName>,
    /// Who changed it last.
    pub modified_by: Option<String>,
}

/// What is remembered of the templates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateMemory {
    /// The templates that we made, by name, with the repositories they were to apply to.
    pub made: BTreeMap<String, BTreeSet<RepositoryName>>,
}

impl TemplateMemory {
    /// Where it lies in the bucket.
    pub const KEY: &str = "state/approver/templates.json";

    /// The memory without what was not done: what never was there nobody can have taken away.
    #[must_use]
    pub fn without(&self, undone: &[TemplateAction]) -> Self {
        let mut made = self.made.clone();
        for action in undone {
            match action {
                TemplateAction::Make { name, .. } => {
                    made.remove(name);
                }
                TemplateAction::Associate { name, repository } => {
                    made.get_mut(name).map(|repositories| repositories.remove(repository));
                }
                TemplateAction::Mend { .. } | TemplateAction::Disassociate { .. } => {}
            }
        }
        made.retain(|_, repositories| !repositories.is_empty());
        Self { made }
    }
}

/// One thing to do to a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemplateAction {
    /// Make it.
    Make {
        /// Its name.
        name: String,
        /// What it says.
        content: String,
    },
    /// Make it say again what it must.
    Mend {
        /// Its name.
        name: String,
        /// What it shall say.
        content: String,
        /// The SHA-256 of what it says now.
        sha256: Option<String>,
    },
    /// Have it apply to a repository.
    Associate {
        /// Its name.
        name: String,
        /// The repository.
        repository: RepositoryName,
    },
    /// Have it apply to a repository no more.
    Disassociate {
        /// Its name.
        name: String,
        /// The repository.
        repository: RepositoryName,
    },
}

/// What somebody did to a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemplateDrift {
    /// It was deleted.
    Deleted {
        /// Its name.
        name: String,
    },
    /// It says something else.
    Changed {
        /// Its name.
        name: String,
        /// Who changed it last.
        by: Option<String>,
    },
    /// It was taken from a repository.
    Disassociated {
        /// Its name.
        name: String,
        /// The repository.
        repository: RepositoryName,
    },
}

/// What is to be done to the templates, and what somebody did to them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct TemplateDecision {
    /// What is to be done, in this order.
    pub actions: Vec<TemplateAction>,
    /// What was done by others.
    pub drift: Vec<TemplateDrift>,
    /// What is remembered afterwards.
    pub memory: TemplateMemory,
}

/// The templates that the policy wants, of these repositories with their branches.
///
/// Only branches that are there count: CodeCommit takes full names, and no patterns.
pub fn wanted_templates(policy: &Policy, gate: &Gate, branches: &BTreeMap<RepositoryName, BTreeSet<String>>) -> Wanted {
    let mut wanted = Wanted::new();
    for (repository, branches) in branches {
        let asked = branches.iter().filter_map(|name| {
            let branch = RefName::branch(name).ok()?;
            Asked::of(policy, repository, &branch).is_some().then_some(branch)
        });
        for branch in asked.take(MOST_OF_REPOSITORY) {
            let entry = wanted.entry(gate.name(&branch)).or_insert_with(|| (branch, BTreeSet::new()));
            entry.1.insert(repository.clone());
        }
    }
    wanted
}

/// Decides on the templates. `looked` are the repositories that were looked at: of no other anything is taken away.
pub fn decide_templates(
    wanted: &Wanted,
    there: &BTreeMap<String, TemplateFacts>,
    memory: &TemplateMemory,
    gate: &Gate,
    looked: &BTreeSet<RepositoryName>,
) -> TemplateDecision {
    let mut decision = TemplateDecision { memory: memory.clone(), ..TemplateDecision::default() };
    let nothing = TemplateFacts::default();
    for (name, (branch, repositories)) in wanted {
        let here = there.get(name).unwrap_or(&nothing);
        let made = memory.made.get(name);
        let content = gate.template_content(branch);
        match &here.content {
            None => {
                if made.is_some() {
                    decision.drift.push(TemplateDrift::Deleted { name: name.clone() });
                }
                decision.actions.push(TemplateAction::Make { name: name.clone(), content });
            }
            Some((says, sha256)) if !gate.is_template(says, branch) => {
                if made.is_some() {
                    decision.drift.push(TemplateDrift::Changed { name: name.clone(), by: here.modified_by.clone() });
                }
                decision.actions.push(TemplateAction::Mend { name: name.clone(), content, sha256: sha256.clone() });
            }
            Some(_) => {}
        }
        for repository in repositories.difference(&here.repositories) {
            if here.content.is_some() && made.is_some_and(|made| made.contains(repository)) {
                let (name, repository) = (name.clone(), repository.clone());
                decision.drift.push(TemplateDrift::Disassociated { name, repository });
            }
            decision.actions.push(TemplateAction::Associate { name: name.clone(), repository: repository.clone() });
        }
        decision.memory.made.entry(name.clone()).or_default().extend(repositories.iter().cloned());
    }
    for (name, repositories) in &memory.made {
        let wanted = wanted.get(name).map(|(_, repositories)| repositories);
        let is_over = |repository: &&RepositoryName| {
            looked.contains(*repository) && wanted.is_none_or(|wanted| !wanted.contains(*repository))
        };
        let here = there.get(name).unwrap_or(&nothing);
        for repository in repositories.iter().filter(is_over) {
            if here.repositories.contains(repository) {
                let (name, repository) = (name.clone(), repository.clone());
                decision.actions.push(TemplateAction::Disassociate { name, repository });
            }
            if let Some(made) = decision.memory.made.get_mut(name) {
                made.remove(repository);
            }
        }
    }
    // A template of which nothing is left stays, as it does nothing; it is only forgotten.
    decision.memory.made.retain(|_, repositories| !repositories.is_empty());
    decision
}

/// What is done to a template, as a sentence.
pub fn render_template_action(action: &TemplateAction) -> String {
    match action {
        TemplateAction::Make { name, .. } => format!("make the template {name}"),
        TemplateAction::Mend { name, .. } => format!("make the template {name} the gate again"),
        TemplateAction::Associate { name, repository } => format!("associate the template {name} with {repository}"),
        TemplateAction::Disassociate { name, repository } => format!("take the template {name} from {repository}"),
    }
}

/// What somebody did to a template, as a sentence.
pub fn render_drift(drift: &TemplateDrift, by: Option<&str>) -> String {
    let who = by.unwrap_or("somebody");
    match drift {
        TemplateDrift::Deleted { name } => format!("{who} deleted the template {name}"),
        TemplateDrift::Changed { name, by: last } => {
            format!("{} changed the template {name}", by.or(last.as_deref()).unwrap_or("somebody"))
        }
        TemplateDrift::Disassociated { name, repository } => {
            format!("{who} took the template {name} from {repository}")
        }
    }
}
