//! The rules of one pull request. Those from a template can only be overridden.

use serde::{Deserialize, Serialize};

use super::super::pull_requests::{News, PullRequest, What, check_id};
use super::super::repositories::Repositories;
use super::content::Place;
use super::{OF_RULES, Rule, ShownRule, check_existing};
use crate::auth::Caller;
use crate::error::{Answer, ServiceError};

/// Most rules of a pull request, those from templates included.
const MOST_RULES: usize = 30;

/// `CreatePullRequestApprovalRule`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct CreateRule {
    pull_request_id: Option<String>,
    approval_rule_name: Option<String>,
    approval_rule_content: Option<String>,
}

/// `UpdatePullRequestApprovalRuleContent`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct UpdateRule {
    pull_request_id: Option<String>,
    approval_rule_name: Option<String>,
    existing_rule_content_sha256: Option<String>,
    new_rule_content: Option<String>,
}

/// `DeletePullRequestApprovalRule`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct DeleteRule {
    pull_request_id: Option<String>,
    approval_rule_name: Option<String>,
}

/// What gives a rule.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct OneRule {
    approval_rule: ShownRule,
}

/// The output of `DeletePullRequestApprovalRule`; of a rule that is not there it is empty.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct DeletedRule {
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_rule_id: Option<String>,
}

impl Repositories {
    pub(in crate::codecommit) fn create_rule(&self, input: CreateRule, caller: &Caller) -> Answer<OneRule> {
        let id = check_id(input.pull_request_id)?;
        let name = OF_RULES.check_name(input.approval_rule_name)?;
        let content = OF_RULES.check_content(input.approval_rule_content, Place::PullRequest)?;
        let (_, repository) = self.pull_request(id)?;
        let now = self.world.now();
        let (one, rule) = self.pull_requests.change(|all| -> Answer<(PullRequest, Rule)> {
            let one = all.find_open(id)?;
            if one.rules.iter().any(|rule| rule.name == name) {
                return Err(ServiceError::bad(
                    "ApprovalRuleNameAlreadyExistsException",
                    format!("pull request {id} has a rule {name} already"),
                ));
            }
            if one.rules.len() >= MOST_RULES {
                return Err(ServiceError::bad(
                    "NumberOfRulesExceededException",
                    format!("pull request {id} has {MOST_RULES} rules already"),
                ));
            }
            let rule = Rule {
                id: self.world.uuid(),
                name,
                content,
                created: now,
                modified: now,
                modified_by: caller.arn.clone(),
                origin: None,
            };
            one.rules.push(rule.clone());
            let (id, name, content) = rule.parts();
            one.note(now, &caller.arn, What::RuleCreated { id, name, content });
            Ok((one.clone(), rule))
        })?;
        self.tell_review(&repository, &one, News::RuleCreated(&rule), caller);
        Ok(OneRule { approval_rule: rule.shown() })
    }

    pub(in crate::codecommit) fn update_rule(&self, input: UpdateRule, caller: &Caller) -> Answer<OneRule> {
        let id = check_id(input.pull_request_id)?;
        let name = OF_RULES.check_name(input.approval_rule_name)?;
        let content = OF_RULES.check_content(input.new_rule_content, Place::PullRequest)?;
        let (_, repository) = self.pull_request(id)?;
        let now = self.world.now();
        let (one, rule) = self.pull_requests.change(|all| -> Answer<(PullRequest, Rule)> {
            let one = all.find_open(id)?;
            let rule = one.rules.iter_mut().find(|rule| rule.name == name).ok_or_else(|| {
                ServiceError::bad("ApprovalRuleDoesNotExistException", format!("pull request {id} has no rule {name}"))
            })?;
            if rule.origin.is_some() {
                return Err(from_template("CannotModifyApprovalRuleFromTemplateException", &name));
            }
            check_existing(&rule.content, input.existing_rule_content_sha256.as_deref())?;
            rule.content = content;
            rule.modified = now;
            rule.modified_by.clone_from(&caller.arn);
            let rule = rule.clone();
            let (id, name, content) = rule.parts();
            one.note(now, &caller.arn, What::RuleUpdated { id, name, content });
            Ok((one.clone(), rule))
        })?;
        self.tell_review(&repository, &one, News::RuleUpdated(&rule), caller);
        Ok(OneRule { approval_rule: rule.shown() })
    }

    /// A rule that is not there was deleted before, for all AWS says.
    pub(in crate::codecommit) fn delete_rule(&self, input: DeleteRule, caller: &Caller) -> Answer<DeletedRule> {
        let id = check_id(input.pull_request_id)?;
        let name = OF_RULES.check_name(input.approval_rule_name)?;
        let (_, repository) = self.pull_request(id)?;
        let now = self.world.now();
        let deleted = self.pull_requests.change(|all| -> Answer<Option<(PullRequest, Rule)>> {
            let one = all.find_open(id)?;
            let Some(rule) = one.rules.iter().find(|rule| rule.name == name).cloned() else { return Ok(None) };
            if rule.origin.is_some() {
                return Err(from_template("CannotDeleteApprovalRuleFromTemplateException", &name));
            }
            one.rules.retain(|one| one.id != rule.id);
            let (id, name, content) = rule.parts();
            one.note(now, &caller.arn, What::RuleDeleted { id, name, content });
            Ok(Some((one.clone(), rule)))
        })?;
        if let Some((one, rule)) = &deleted {
            self.tell_review(&repository, one, News::RuleDeleted(rule), caller);
        }
        Ok(DeletedRule { approval_rule_id: deleted.map(|(_, rule)| rule.id) })
    }
}

impl Rule {
    fn parts(&self) -> (String, String, String) {
        (self.id.clone(), self.name.clone(), self.content.clone())
    }
}

fn from_template(code: &str, name: &str) -> ServiceError {
    ServiceError::bad(code, format!("the rule {name} was made from a template; it can only be overridden"))
}
