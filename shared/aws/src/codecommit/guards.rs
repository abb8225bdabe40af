//! What protects a repository beside its refs: approval rules, the templates that they come from, and triggers.

use std::collections::BTreeMap;

use aws_sdk_codecommit::types::PullRequestStatusEnum;
use signalbox_events::{Arn, PullRequestId, RepositoryName};

use super::CodeCommit;
use super::reviews::reading;
use crate::Failure;
use crate::failure::{lacking, sort, unreadable};

/// An approval rule, or the template of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRule {
    /// What it asks for, as CodeCommit writes it.
    pub content: String,
    /// Who changed it last.
    pub by: Option<Arn>,
}

/// A trigger of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryTrigger {
    /// Its name.
    pub name: String,
    /// The ARN of the topic or function that it calls.
    pub destination: String,
    /// The branches; none for all.
    pub branches: Vec<String>,
    /// What it tells of.
    pub events: Vec<String>,
}

impl CodeCommit {
    /// The names of the approval rule templates that apply to a repository, every page of them.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn templates_of(&self, repository: &RepositoryName) -> Result<Vec<String>, Failure> {
        let doing = format!("codecommit:ListAssociatedApprovalRuleTemplatesForRepository on {repository}");
        let (mut found, mut token) = (Vec::new(), None);
        loop {
            let request = self
                .client
                .list_associated_approval_rule_templates_for_repository()
                .repository_name(repository.as_str())
                .set_max_results(self.page)
                .set_next_token(token);
            let answer = request.send().await.map_err(|error| sort(&doing, error))?;
            found.extend(answer.approval_rule_template_names.unwrap_or_default());
            token = answer.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(found);
            }
        }
    }

    /// The repositories that an approval rule template applies to, every page of them; none where there is no such template.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn repositories_of_template(&self, template: &str) -> Result<Vec<RepositoryName>, Failure> {
        let doing = format!("codecommit:ListRepositoriesForApprovalRuleTemplate of {template}");
        let (mut found, mut token) = (Vec::new(), None);
        loop {
            let request = self
                .client
                .list_repositories_for_approval_rule_template()
                .approval_rule_template_name(template)
                .set_max_results(self.page)
                .set_next_token(token);
            let answer = match request.send().await {
                Ok(answer) => answer,
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(|error| error.is_approval_rule_template_does_not_exist_exception()) =>
                {
                    return Ok(Vec::new());
                }
                Err(error) => return Err(sort(doing, error)),
            };
            let names = answer.repository_names.unwrap_or_default().into_iter().map(RepositoryName::parse);
            let names = names.collect::<Result<Vec<_>, _>>();
            found.extend(names.map_err(|error| unreadable(&doing, error))?);
            token = answer.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(found);
            }
        }
    }

    /// An approval rule template; `None` where there is none of that name.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn template(&self, name: &str) -> Result<Option<ApprovalRule>, Failure> {
        let doing = format!("codecommit:GetApprovalRuleTemplate {name}");
        match self.client.get_approval_rule_template().approval_rule_template_name(name).send().await {
            Ok(answer) => {
                let template = answer.approval_rule_template.ok_or_else(|| lacking(&doing, "approvalRuleTemplate"))?;
                let content = template.approval_rule_template_content;
                let content = content.ok_or_else(|| lacking(&doing, "approvalRuleTemplateContent"))?;
                Ok(Some(ApprovalRule { content, by: arn(template.last_modified_user) }))
            }
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_approval_rule_template_does_not_exist_exception()) =>
            {
                Ok(None)
            }
            Err(error) => Err(sort(doing, error)),
        }
    }

    /// The approval rules of an open pull request, by name; `None` for one that is closed or not there.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn approval_rules(&self, id: &PullRequestId) -> Result<Option<BTreeMap<String, ApprovalRule>>, Failure> {
        let Some(answer) = self.get_pull_request(id).await? else { return Ok(None) };
        let found = answer.pull_request.ok_or_else(|| lacking(&reading(id), "pullRequest"))?;
        if found.pull_request_status != Some(PullRequestStatusEnum::Open) {
            return Ok(None);
        }
        let rules = found.approval_rules.unwrap_or_default().into_iter().filter_map(|rule| {
            let seen = ApprovalRule { content: rule.approval_rule_content?, by: arn(rule.last_modified_user) };
            Some((rule.approval_rule_name?, seen))
        });
        Ok(Some(rules.collect()))
    }

    /// The triggers of a repository.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn triggers(&self, repository: &RepositoryName) -> Result<Vec<RepositoryTrigger>, Failure> {
        let doing = format!("codecommit:GetRepositoryTriggers on {repository}");
        let sent = self.client.get_repository_triggers().repository_name(repository.as_str()).send().await;
        let answer = sent.map_err(|error| sort(doing, error))?;
        let triggers = answer.triggers.unwrap_or_default().into_iter().map(|trigger| RepositoryTrigger {
            name: trigger.name,
            destination: trigger.destination_arn,
            branches: trigger.branches.unwrap_or_default(),
            events: trigger.events.iter().map(|event| event.as_str().to_owned()).collect(),
        });
        Ok(triggers.collect())
    }
}

fn arn(text: Option<String>) -> Option<Arn> {
    text.and_then(|text| Arn::parse(text).ok())
}
