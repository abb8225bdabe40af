//! Approval rule templates, and the repositories that they apply to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{TEMPLATE, event_word, unexpected_event};
use crate::error::ParseError;
use crate::fields::Fields;
use crate::names::{Arn, RepositoryName, TemplateId, TemplateName};

pub(super) const EVENTS: &[&str] = &[
    "approvalRuleTemplateCreated",
    "approvalRuleTemplateUpdated",
    "approvalRuleTemplateDeleted",
    "approvalRuleTemplateAssociatedWithRepository",
    "approvalRuleTemplateDisassociatedFromRepository",
    "batchAssociateApprovalRuleTemplateWithRepositories",
    "batchDisassociateApprovalRuleTemplateFromRepositories",
];

/// An approval rule template changed, or where it applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRuleTemplateChange {
    /// The template.
    pub template: TemplateId,
    /// Its name.
    pub name: TemplateName,
    /// The SHA-256 of its content.
    pub content_sha256: Option<String>,
    /// What happened.
    pub change: TemplateChange,
    /// The repositories it is about, each with its UUID; none where only the template changed.
    ///
    /// The documented samples of the batch events have a second repository's name in the UUID's place, so whoever needs
    /// certainty lists the template's repositories.
    pub repositories: BTreeMap<RepositoryName, String>,
    /// Who did it.
    pub caller: Option<Arn>,
}

/// What happened to an approval rule template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemplateChange {
    /// It was made.
    Created,
    /// Its name, description or content changed.
    Updated,
    /// It was deleted.
    Deleted,
    /// It applies to one more repository.
    Associated,
    /// It applies to one repository fewer.
    Disassociated,
    /// It applies to several more repositories.
    BatchAssociated,
    /// It applies to several repositories fewer.
    BatchDisassociated,
}

impl ApprovalRuleTemplateChange {
    pub(crate) fn parse(detail: &Fields<'_>) -> Result<Self, ParseError> {
        let change = match event_word(detail)? {
            "approvalRuleTemplateCreated" => TemplateChange::Created,
            "approvalRuleTemplateUpdated" => TemplateChange::Updated,
            "approvalRuleTemplateDeleted" => TemplateChange::Deleted,
            "approvalRuleTemplateAssociatedWithRepository" => TemplateChange::Associated,
            "approvalRuleTemplateDisassociatedFromRepository" => TemplateChange::Disassociated,
            "batchAssociateApprovalRuleTemplateWithRepositories" => TemplateChange::BatchAssociated,
            "batchDisassociateApprovalRuleTemplateFromRepositories" => TemplateChange::BatchDisassociated,
            other => return Err(unexpected_event(detail, other, TEMPLATE, EVENTS)),
        };
        Ok(Self {
            template: detail.name("approvalRuleTemplateId")?,
            name: detail.name("approvalRuleTemplateName")?,
            content_sha256: detail.optional_string("approvalRuleTemplateContentSha256")?,
            change,
            repositories: parse_repositories(detail)?,
            caller: detail.optional_name("callerUserArn")?,
        })
    }
}

fn parse_repositories(detail: &Fields<'_>) -> Result<BTreeMap<RepositoryName, String>, ParseError> {
    let Some(repositories) = detail.optional_object("repositories")? else {
        return Ok(BTreeMap::new());
    };
    repositories
        .entries()
        .map(|(name, id)| {
            let name = RepositoryName::parse(name).map_err(|error| ParseError::Invalid {
                field: detail.at("repositories"),
                problem: error.to_string(),
            })?;
            Ok((name, id.text()?.to_owned()))
        })
        .collect()
}
