//! `CodeCommit Approval Rule Template Change`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::pull_requests::java_date;
use super::super::repositories::{Repositories, Repository};
use super::{Template, sha256};
use crate::auth::Caller;

/// The event's detail-type.
const DETAIL_TYPE: &str = "CodeCommit Approval Rule Template Change";

/// What happened to a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Created,
    Updated,
    Deleted,
    Associated,
    Disassociated,
    BatchAssociated,
    BatchDisassociated,
}

impl Change {
    /// AWS's names; those of batches do not begin as the others do.
    fn event(self) -> &'static str {
        match self {
            Self::Created => "approvalRuleTemplateCreated",
            Self::Updated => "approvalRuleTemplateUpdated",
            Self::Deleted => "approvalRuleTemplateDeleted",
            Self::Associated => "approvalRuleTemplateAssociatedWithRepository",
            Self::Disassociated => "approvalRuleTemplateDisassociatedFromRepository",
            Self::BatchAssociated => "batchAssociateApprovalRuleTemplateWithRepositories",
            Self::BatchDisassociated => "batchDisassociateApprovalRuleTemplateFromRepositories",
        }
    }

    fn told(self, id: &str, template: &Template, repositories: &[Repository]) -> String {
        let names: Vec<&str> = repositories.iter().map(|repository| repository.name.as_str()).collect();
        let names = names.join(", ");
        let name = &template.name;
        match self {
            Self::Created => format!(
                "An approval rule template with the following name has been created: {name}. The ID of the created template is: {id}"
            ),
            Self::Updated => format!(
                "An approval rule template with the following name has been updated: {name}. The ID of the updated template is: {id}. The after rule template content SHA256 is {}",
                sha256(&template.content)
            ),
            Self::Deleted => format!(
                "An approval rule template with the following name has been deleted: {name}. The ID of the deleted template is: {id}"
            ),
            Self::Associated => {
                format!("An approval rule template has been associated with the following repository: [{names}]")
            }
            Self::Disassociated => {
                format!("An approval rule template has been disassociated from the following repository: [{names}]")
            }
            Self::BatchAssociated => format!(
                "An approval rule template has been batch associated with the following repository names: [{names}]"
            ),
            Self::BatchDisassociated => format!(
                "An approval rule template has been batch disassociated from the following repository names: [{names}]"
            ),
        }
    }
}

impl Repositories {
    /// Tells of a template, which is as it stands behind the change, and of the repositories that it is about.
    pub(super) fn tell_template(
        &self,
        id: &str,
        template: &Template,
        change: Change,
        repositories: &[Repository],
        caller: &Caller,
    ) {
        let mut detail = Map::new();
        let mut put = |key: &str, value: Value| {
            detail.insert(key.to_owned(), value);
        };
        let ids: BTreeMap<&str, &str> =
            repositories.iter().map(|repository| (repository.name.as_str(), &*repository.id)).collect();
        put("approvalRuleTemplateContentSha256", json!(sha256(&template.content)));
        put("approvalRuleTemplateId", json!(id));
        put("approvalRuleTemplateName", json!(template.name));
        put("callerUserArn", json!(caller.arn));
        put("creationDate", json!(java_date(template.created)));
        put("event", json!(change.event()));
        put("lastModifiedDate", json!(java_date(template.modified)));
        put(
            "notificationBody",
            json!(format!(
                "A approval rule template event occurred in the following AWS CodeCommit account: {}. User: {}. Additional information: {}. For more information, go to the AWS CodeCommit console.",
                self.world.account,
                caller.arn,
                change.told(id, template, repositories)
            )),
        );
        put("repositories", json!(ids));
        let arn = |repository: &Repository| self.world.arn("codecommit", repository.name.as_str());
        self.publish(DETAIL_TYPE, repositories.iter().map(arn).collect(), Value::Object(detail));
    }
}
