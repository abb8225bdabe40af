//! The templates that approval rules come from, and the repositories that they apply to.

use signalbox_events::{RepositoryName, TemplateName};

use super::{ApprovalRuleText, Reviews, Written, sorted};
use crate::Failure;
use crate::failure::{lacking, sort};

impl Reviews {
    /// A template; `None` where there is none of this name.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn template(&self, name: &TemplateName) -> Result<Option<ApprovalRuleText>, Failure> {
        let doing = format!("codecommit:GetApprovalRuleTemplate {name}");
        match self
            .codecommit
            .client
            .get_approval_rule_template()
            .approval_rule_template_name(name.as_str())
            .send()
            .await
        {
            Ok(answer) => {
                let found = answer.approval_rule_template.ok_or_else(|| lacking(&doing, "approvalRuleTemplate"))?;
                Ok(Some(ApprovalRuleText {
                    name: found.approval_rule_template_name.unwrap_or_default(),
                    content: found.approval_rule_template_content.unwrap_or_default(),
                    sha256: found.rule_content_sha256,
                    template: None,
                    modified_by: found.last_modified_user,
                }))
            }
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_approval_rule_template_does_not_exist_exception()) =>
            {
                Ok(None)
            }
            Err(error) => Err(sort(doing, error)),
        }
    }

    /// Makes a template.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn make_template(
        &self,
        name: &TemplateName,
        content: &str,
        description: &str,
    ) -> Result<Written, Failure> {
        let request = self.codecommit.client.create_approval_rule_template().approval_rule_template_name(name.as_str());
        let request = request.approval_rule_template_content(content);
        let sent = request.approval_rule_template_description(description).send().await;
        let doing = || format!("codecommit:CreateApprovalRuleTemplate {name}");
        sorted(sent.map(drop).map_err(|error| sort(doing(), error)))
    }

    /// Changes a template, if it still says what has this SHA-256.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn change_template(
        &self,
        name: &TemplateName,
        content: &str,
        sha256: Option<&str>,
    ) -> Result<Written, Failure> {
        let request =
            self.codecommit.client.update_approval_rule_template_content().approval_rule_template_name(name.as_str());
        let request = request.new_rule_content(content);
        let sent = request.set_existing_rule_content_sha256(sha256.map(str::to_owned)).send().await;
        let doing = || format!("codecommit:UpdateApprovalRuleTemplateContent {name}");
        sorted(sent.map(drop).map_err(|error| sort(doing(), error)))
    }

    /// Has new pull requests of a repository get a template's rule; it may be so already.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn associate(&self, name: &TemplateName, with: &RepositoryName) -> Result<Written, Failure> {
        let request = self.codecommit.client.associate_approval_rule_template_with_repository();
        let sent = request.approval_rule_template_name(name.as_str()).repository_name(with.as_str()).send().await;
        let doing = || format!("codecommit:AssociateApprovalRuleTemplateWithRepository on {with}");
        sorted(sent.map(drop).map_err(|error| sort(doing(), error)))
    }

    /// Ends that; it may be so already.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn disassociate(&self, name: &TemplateName, from: &RepositoryName) -> Result<Written, Failure> {
        let request = self.codecommit.client.disassociate_approval_rule_template_from_repository();
        let sent = request.approval_rule_template_name(name.as_str()).repository_name(from.as_str()).send().await;
        let doing = || format!("codecommit:DisassociateApprovalRuleTemplateFromRepository on {from}");
        sorted(sent.map(drop).map_err(|error| sort(doing(), error)))
    }
}
