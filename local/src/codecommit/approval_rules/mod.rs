//! Approval rules: what they say, the templates that they come from, the votes that meet them.

mod associations;
mod content;
mod news;
mod rules;
mod templates;
#[cfg(test)]
mod tests;
mod votes;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::content::{Content, Place};
use super::repositories::epoch_seconds;
use crate::error::{Answer, ServiceError};

/// Longest name of a rule or template.
const LONGEST_NAME: usize = 100;

/// A rule of one pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) content: String,
    created: Timestamp,
    modified: Timestamp,
    modified_by: String,
    /// The template that it was made from; such a rule can only be overridden.
    pub(super) origin: Option<Origin>,
}

/// The template that a rule was made from, as it was called then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    id: String,
    name: String,
}

/// A template.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Template {
    name: String,
    description: Option<String>,
    content: String,
    created: Timestamp,
    modified: Timestamp,
    modified_by: String,
}

/// The templates of a region, by id, and the repositories that they are associated with.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Templates {
    by_id: BTreeMap<String, Template>,
    /// The ids of the templates of a repository, by its id.
    associated: BTreeMap<String, BTreeSet<String>>,
}

/// Which rules votes meet.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Met {
    pub(super) satisfied: Vec<String>,
    pub(super) not_satisfied: Vec<String>,
}

/// `ApprovalRule` of the model.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownRule {
    approval_rule_id: String,
    approval_rule_name: String,
    approval_rule_content: String,
    rule_content_sha256: String,
    last_modified_date: f64,
    creation_date: f64,
    last_modified_user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin_approval_rule_template: Option<ShownOrigin>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownOrigin {
    approval_rule_template_id: String,
    approval_rule_template_name: String,
}

impl Rule {
    pub(super) fn sha256(&self) -> String {
        sha256(&self.content)
    }

    pub(super) fn shown(&self) -> ShownRule {
        let origin = |origin: &Origin| ShownOrigin {
            approval_rule_template_id: origin.id.clone(),
            approval_rule_template_name: origin.name.clone(),
        };
        ShownRule {
            approval_rule_id: self.id.clone(),
            approval_rule_name: self.name.clone(),
            approval_rule_content: self.content.clone(),
            rule_content_sha256: self.sha256(),
            last_modified_date: epoch_seconds(self.modified),
            creation_date: epoch_seconds(self.created),
            last_modified_user: self.modified_by.clone(),
            origin_approval_rule_template: self.origin.as_ref().map(origin),
        }
    }
}

impl Met {
    /// Holds the votes on a revision against the rules.
    pub(super) fn by(rules: &[Rule], approvers: &BTreeSet<String>) -> Self {
        let mut met = Self::default();
        for rule in rules {
            // What a template says of branches was asked when the rule was made.
            let content = Content::parse(&rule.content, Place::Template);
            let is_met = content.is_ok_and(|content| content.is_met_by(approvers.iter().map(String::as_str)));
            let list = if is_met { &mut met.satisfied } else { &mut met.not_satisfied };
            list.push(rule.name.clone());
        }
        met
    }
}

impl Templates {
    /// The rules that a new pull request into this branch gets; `id` draws their ids.
    pub(super) fn rules(
        &self,
        repository_id: &str,
        destination: &str,
        now: Timestamp,
        id: impl Fn() -> String,
    ) -> Vec<Rule> {
        let associated = self.associated.get(repository_id).into_iter().flatten();
        let mut templates: Vec<(&String, &Template)> =
            associated.filter_map(|template| self.by_id.get_key_value(template)).collect();
        templates.sort_by(|(_, one), (_, other)| one.name.cmp(&other.name));
        let is_for = |template: &Template| {
            Content::parse(&template.content, Place::Template).is_ok_and(|content| content.is_for(destination))
        };
        let rule = |(template_id, template): (&String, &Template)| Rule {
            id: id(),
            name: template.name.clone(),
            content: template.content.clone(),
            created: now,
            modified: now,
            modified_by: template.modified_by.clone(),
            origin: Some(Origin { id: template_id.clone(), name: template.name.clone() }),
        };
        templates.into_iter().filter(|(_, template)| is_for(template)).map(rule).collect()
    }

    /// Forgets the associations of a repository that is gone.
    pub(super) fn forget_repository(&mut self, id: &str) {
        self.associated.remove(id);
    }
}

fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// What an operation answers when the name or the content of a rule or template is wrong.
#[derive(Debug, Clone, Copy)]
struct Codes {
    name_required: &'static str,
    name_invalid: &'static str,
    content_required: &'static str,
    content_invalid: &'static str,
}

const OF_RULES: Codes = Codes {
    name_required: "ApprovalRuleNameRequiredException",
    name_invalid: "InvalidApprovalRuleNameException",
    content_required: "ApprovalRuleContentRequiredException",
    content_invalid: "InvalidApprovalRuleContentException",
};

const OF_TEMPLATES: Codes = Codes {
    name_required: "ApprovalRuleTemplateNameRequiredException",
    name_invalid: "InvalidApprovalRuleTemplateNameException",
    content_required: "ApprovalRuleTemplateContentRequiredException",
    content_invalid: "InvalidApprovalRuleTemplateContentException",
};

impl Codes {
    fn check_name(self, name: Option<String>) -> Answer<String> {
        let name = name
            .filter(|name| !name.is_empty())
            .ok_or_else(|| ServiceError::bad(self.name_required, "the name of the approval rule is required"))?;
        let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ' ' | '_' | '-');
        if name.chars().count() <= LONGEST_NAME && name.chars().all(is_good) && !name.ends_with(".git") {
            Ok(name)
        } else {
            Err(ServiceError::bad(
                self.name_invalid,
                format!("{name:?} is not 1 to {LONGEST_NAME} letters, digits, periods, spaces, underscores and dashes"),
            ))
        }
    }

    fn check_content(self, content: Option<String>, place: Place) -> Answer<String> {
        let content = content
            .filter(|content| !content.is_empty())
            .ok_or_else(|| ServiceError::bad(self.content_required, "the content of the approval rule is required"))?;
        Content::parse(&content, place)
            .map_err(|wrong| ServiceError::bad(self.content_invalid, format!("the content is no rule: {wrong}")))?;
        Ok(content)
    }
}

/// Whether the content that is to be replaced is the one that its hash names; without a hash any is.
fn check_existing(content: &str, expected: Option<&str>) -> Answer<()> {
    match expected {
        Some(expected) if !expected.eq_ignore_ascii_case(&sha256(content)) => Err(ServiceError::bad(
            "InvalidRuleContentSha256Exception",
            "the SHA-256 is not that of the rule's content; get the rule and try again",
        )),
        _ => Ok(()),
    }
}
