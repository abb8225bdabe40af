//! The gates' templates: read, compared with what the policy wants, and put right.

use std::collections::{BTreeMap, BTreeSet};

use signalbox_approver_rules::{
    TemplateAction, TemplateFacts, TemplateMemory, decide_templates, has_approvals, render_drift,
    render_template_action, wanted_templates,
};
use signalbox_aws::{Failure, Put, Written};
use signalbox_events::{RepositoryName, TemplateName};
use signalbox_glue::{InForce, Measure, measure};
use signalbox_policy::Mode;

use crate::Approver;

/// What people read of a template of ours.
const DESCRIPTION: &str = "Signalbox: pull requests into this branch are merged when everything that the policy asks for is met. Changes are undone.";

/// What was done to the templates.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// What others did to them, as sentences.
    pub(crate) drift: Vec<String>,
    /// What was done, or would be.
    pub(crate) told: Vec<String>,
    /// Whether something could not be done, and never will be.
    pub(crate) is_refused: bool,
    /// The repositories in which pull requests may have a gate.
    pub(crate) repositories: BTreeSet<RepositoryName>,
}

impl Approver {
    /// Makes the templates what the policy wants them to be.
    pub(crate) async fn keep_templates(&self, in_force: &InForce, by: Option<&str>) -> Result<Kept, Failure> {
        let mut kept = Kept::default();
        let policy = &in_force.policy;
        let memory = self.state.read::<TemplateMemory>(TemplateMemory::KEY).await?;
        let (memory, etag) = memory.map(|kept| (kept.value, kept.etag)).unzip();
        let memory = memory.unwrap_or_default();
        if memory.made.is_empty() && policy.sections.iter().all(|section| section.approvals.is_empty()) {
            return Ok(kept);
        }
        let were: BTreeSet<&RepositoryName> = memory.made.values().flatten().collect();
        let mut branches = BTreeMap::new();
        for (repository, _) in self.codecommit.repositories().await? {
            if !self.readable.holds(&repository) || !(has_approvals(policy, &repository) || were.contains(&repository))
            {
                continue;
            }
            match self.codecommit.branches(&repository).await {
                Ok(names) => {
                    branches.insert(repository, names.into_iter().collect::<BTreeSet<String>>());
                }
                Err(gone) if gone.code() == Some("RepositoryDoesNotExistException") => {}
                Err(failure) => return Err(failure),
            }
        }
        kept.repositories = branches.keys().cloned().collect();
        let wanted = wanted_templates(policy, &self.gate, &branches);
        let mut there = BTreeMap::new();
        for name in wanted.keys().chain(memory.made.keys()) {
            if !there.contains_key(name) {
                there.insert(name.clone(), self.template(name).await?);
            }
        }
        // A repository that was deleted takes its associations along.
        let looked: BTreeSet<RepositoryName> = kept.repositories.iter().chain(were).cloned().collect();
        let decision = decide_templates(&wanted, &there, &memory, &self.gate, &looked);
        kept.drift = decision.drift.iter().map(|drift| render_drift(drift, by)).collect();
        for drift in &kept.drift {
            tracing::warn!(why = drift.as_str(), "a gate's template was touched");
        }
        if policy.mode == Mode::Observe {
            kept.told =
                decision.actions.iter().map(|action| format!("would {}", render_template_action(action))).collect();
            return Ok(kept);
        }
        // What is to be put back is remembered before it is: else a change by others would not be told.
        if decision.memory != memory
            && self.state.replace(TemplateMemory::KEY, etag.as_deref(), &decision.memory).await? == Put::Lost
        {
            return Err(Failure::retry(
                "keeping the templates",
                "another invocation was faster; they are looked at again",
            ));
        }
        let (mut later, mut undone) = (None, Vec::new());
        for action in &decision.actions {
            let told = render_template_action(action);
            // It would be taken for one that somebody has just deleted, and tried again for ever.
            if let TemplateAction::Associate { name, .. } = action
                && undone.iter().any(|action| made_by(action) == Some(name))
            {
                kept.told.push(format!("{told}: left, as there is no such template"));
                continue;
            }
            match self.apply_template(action).await {
                Ok(Written::Done) => kept.told.push(format!("{told}: done")),
                Ok(Written::Changed) => {
                    later = later.or(Some(Failure::retry(told, "it is not as it was any more; it is looked at again")));
                }
                Ok(Written::Full) => {
                    kept.is_refused = true;
                    undone.push(action.clone());
                    kept.told.push(format!(
                        "{told}: refused: there is no room, CodeCommit's limit is 1,000 templates a region and 25 a \
                         repository; pull requests get their gate when they are opened"
                    ));
                }
                Err(failure @ Failure::Refused(_)) => {
                    kept.is_refused = true;
                    undone.push(action.clone());
                    kept.told.push(format!("{told}: refused: {}", failure.chain()));
                }
                Err(failure) => later = later.or(Some(failure)),
            }
        }
        if !undone.is_empty() {
            let forget = |there: Option<&TemplateMemory>| there.cloned().unwrap_or_default().without(&undone);
            self.state.change(TemplateMemory::KEY, forget).await?;
        }
        if !kept.drift.is_empty() {
            measure(&self.function_name, Measure::Restored);
        }
        match later {
            Some(failure) => Err(failure),
            None => Ok(kept),
        }
    }

    async fn template(&self, name: &str) -> Result<TemplateFacts, Failure> {
        let name = named(name)?;
        let Some(found) = self.reviews.template(&name).await? else { return Ok(TemplateFacts::default()) };
        let repositories = self.codecommit.repositories_of_template(name.as_str()).await?;
        Ok(TemplateFacts {
            content: Some((found.content, found.sha256)),
            repositories: repositories.into_iter().collect(),
            modified_by: found.modified_by,
        })
    }

    async fn apply_template(&self, action: &TemplateAction) -> Result<Written, Failure> {
        match action {
            TemplateAction::Make { name, content } => {
                self.reviews.make_template(&named(name)?, content, DESCRIPTION).await
            }
            TemplateAction::Mend { name, content, sha256 } => {
                self.reviews.change_template(&named(name)?, content, sha256.as_deref()).await
            }
            TemplateAction::Associate { name, repository } => self.reviews.associate(&named(name)?, repository).await,
            TemplateAction::Disassociate { name, repository } => {
                self.reviews.disassociate(&named(name)?, repository).await
            }
        }
    }
}

/// The template that an action makes.
fn made_by(action: &TemplateAction) -> Option<&String> {
    match action {
        TemplateAction::Make { name, .. } => Some(name),
        TemplateAction::Mend { .. } | TemplateAction::Associate { .. } | TemplateAction::Disassociate { .. } => None,
    }
}

fn named(name: &str) -> Result<TemplateName, Failure> {
    TemplateName::parse(name).map_err(|error| Failure::refused("naming a template", error.to_string()))
}
