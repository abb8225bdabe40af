//! Approval rule templates: made, read, changed, deleted. A change reaches no pull request that is there already.

use serde::{Deserialize, Serialize};

use super::super::names::check_size;
use super::super::repositories::{Repositories, epoch_seconds, no_such_page};
use super::content::Place;
use super::news::Change;
use super::{OF_TEMPLATES, Template, Templates, check_existing, sha256};
use crate::auth::Caller;
use crate::error::{Answer, ServiceError};
use crate::paging::Order;

/// Most templates in a region.
const MOST_TEMPLATES: usize = 1000;
/// Longest description.
const LONGEST_DESCRIPTION: usize = 1000;
/// The page of listings of templates; AWS documents none.
pub(super) const PAGE: usize = 100;

/// `CreateApprovalRuleTemplate`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct CreateTemplate {
    approval_rule_template_name: Option<String>,
    approval_rule_template_content: Option<String>,
    approval_rule_template_description: Option<String>,
}

/// An input that only names a template.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct NamedTemplate {
    approval_rule_template_name: Option<String>,
}

/// `UpdateApprovalRuleTemplateContent`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct UpdateTemplateContent {
    approval_rule_template_name: Option<String>,
    new_rule_content: Option<String>,
    existing_rule_content_sha256: Option<String>,
}

/// `UpdateApprovalRuleTemplateDescription`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct UpdateTemplateDescription {
    approval_rule_template_name: Option<String>,
    approval_rule_template_description: Option<String>,
}

/// `UpdateApprovalRuleTemplateName`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct UpdateTemplateName {
    old_approval_rule_template_name: Option<String>,
    new_approval_rule_template_name: Option<String>,
}

/// `ListApprovalRuleTemplates`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct ListTemplates {
    next_token: Option<String>,
    max_results: Option<i64>,
}

/// What gives a template.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct OneTemplate {
    approval_rule_template: ShownTemplate,
}

/// `ApprovalRuleTemplate` of the model.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownTemplate {
    approval_rule_template_id: String,
    approval_rule_template_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_rule_template_description: Option<String>,
    approval_rule_template_content: String,
    rule_content_sha256: String,
    last_modified_date: f64,
    creation_date: f64,
    last_modified_user: String,
}

/// The output of `DeleteApprovalRuleTemplate`; of a template that is not there it is empty.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct DeletedTemplate {
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_rule_template_id: Option<String>,
}

/// What lists templates.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct TemplateNames {
    pub(super) approval_rule_template_names: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_token: Option<String>,
}

impl OneTemplate {
    fn new(id: &str, template: &Template) -> Self {
        Self {
            approval_rule_template: ShownTemplate {
                approval_rule_template_id: id.to_owned(),
                approval_rule_template_name: template.name.clone(),
                approval_rule_template_description: template.description.clone(),
                approval_rule_template_content: template.content.clone(),
                rule_content_sha256: sha256(&template.content),
                last_modified_date: epoch_seconds(template.modified),
                creation_date: epoch_seconds(template.created),
                last_modified_user: template.modified_by.clone(),
            },
        }
    }
}

impl Templates {
    /// The id of the template of that name.
    pub(super) fn id(&self, name: &str) -> Option<String> {
        self.by_id.iter().find(|(_, template)| template.name == name).map(|(id, _)| id.clone())
    }

    /// The template of that name, with its id.
    pub(super) fn named(&self, name: &str) -> Answer<(String, Template)> {
        let found = self.by_id.iter().find(|(_, template)| template.name == name);
        found.map(|(id, template)| (id.clone(), template.clone())).ok_or_else(|| {
            ServiceError::bad(
                "ApprovalRuleTemplateDoesNotExistException",
                format!("there is no approval rule template {name} in this region"),
            )
        })
    }
}

impl Repositories {
    pub(in crate::codecommit) fn create_template(&self, input: CreateTemplate, caller: &Caller) -> Answer<OneTemplate> {
        let name = OF_TEMPLATES.check_name(input.approval_rule_template_name)?;
        let content = OF_TEMPLATES.check_content(input.approval_rule_template_content, Place::Template)?;
        let description = check_description(input.approval_rule_template_description)?;
        let now = self.world.now();
        let id = self.world.uuid();
        let template = self.templates.change(|all| -> Answer<Template> {
            if all.id(&name).is_some() {
                return Err(name_exists(&name));
            }
            if all.by_id.len() >= MOST_TEMPLATES {
                return Err(ServiceError::bad(
                    "NumberOfRuleTemplatesExceededException",
                    format!("there are {MOST_TEMPLATES} approval rule templates already"),
                ));
            }
            let template =
                Template { name, description, content, created: now, modified: now, modified_by: caller.arn.clone() };
            all.by_id.insert(id.clone(), template.clone());
            Ok(template)
        })?;
        self.tell_template(&id, &template, Change::Created, &[], caller);
        Ok(OneTemplate::new(&id, &template))
    }

    pub(in crate::codecommit) fn get_template(&self, input: NamedTemplate) -> Answer<OneTemplate> {
        let name = OF_TEMPLATES.check_name(input.approval_rule_template_name)?;
        let (id, template) = self.templates.read(|all| all.named(&name))?;
        Ok(OneTemplate::new(&id, &template))
    }

    pub(in crate::codecommit) fn list_templates(&self, input: ListTemplates) -> Answer<TemplateNames> {
        let ListTemplates { next_token, max_results } = input;
        let size = check_size(max_results, PAGE, "InvalidMaxResultsException")?;
        let mut names: Vec<String> =
            self.templates.read(|all| all.by_id.values().map(|template| template.name.clone()).collect());
        names.sort();
        let listing = self.world.listing("codecommit:ListApprovalRuleTemplates", &[]);
        let names = names.into_iter().map(|name| (name.clone(), name));
        let (approval_rule_template_names, next_token) =
            listing.page(names, Order::Ascending, size, next_token.as_deref()).map_err(no_such_page)?;
        Ok(TemplateNames { approval_rule_template_names, next_token })
    }

    pub(in crate::codecommit) fn update_template_content(
        &self,
        input: UpdateTemplateContent,
        caller: &Caller,
    ) -> Answer<OneTemplate> {
        let name = OF_TEMPLATES.check_name(input.approval_rule_template_name)?;
        let content = OF_TEMPLATES.check_content(input.new_rule_content, Place::Template)?;
        self.update_template(&name, caller, |_, template| {
            check_existing(&template.content, input.existing_rule_content_sha256.as_deref())?;
            template.content = content;
            Ok(())
        })
    }

    pub(in crate::codecommit) fn update_template_description(
        &self,
        input: UpdateTemplateDescription,
        caller: &Caller,
    ) -> Answer<OneTemplate> {
        let name = OF_TEMPLATES.check_name(input.approval_rule_template_name)?;
        if input.approval_rule_template_description.is_none() {
            return Err(ServiceError::bad(
                "InvalidApprovalRuleTemplateDescriptionException",
                "a description is required",
            ));
        }
        let description = check_description(input.approval_rule_template_description)?;
        self.update_template(&name, caller, |_, template| {
            template.description = description;
            Ok(())
        })
    }

    pub(in crate::codecommit) fn update_template_name(
        &self,
        input: UpdateTemplateName,
        caller: &Caller,
    ) -> Answer<OneTemplate> {
        let old = OF_TEMPLATES.check_name(input.old_approval_rule_template_name)?;
        let new = OF_TEMPLATES.check_name(input.new_approval_rule_template_name)?;
        self.update_template(&old, caller, |all, template| {
            if template.name != new && all.id(&new).is_some() {
                return Err(name_exists(&new));
            }
            template.name = new;
            Ok(())
        })
    }

    fn update_template(
        &self,
        name: &str,
        caller: &Caller,
        update: impl FnOnce(&Templates, &mut Template) -> Answer<()>,
    ) -> Answer<OneTemplate> {
        let now = self.world.now();
        let (id, template) = self.templates.change(|all| -> Answer<(String, Template)> {
            let (id, mut template) = all.named(name)?;
            update(all, &mut template)?;
            template.modified = now;
            template.modified_by.clone_from(&caller.arn);
            all.by_id.insert(id.clone(), template.clone());
            Ok((id, template))
        })?;
        self.tell_template(&id, &template, Change::Updated, &[], caller);
        Ok(OneTemplate::new(&id, &template))
    }

    /// A template that is not there was deleted before, for all AWS says.
    pub(in crate::codecommit) fn delete_template(
        &self,
        input: NamedTemplate,
        caller: &Caller,
    ) -> Answer<DeletedTemplate> {
        let name = OF_TEMPLATES.check_name(input.approval_rule_template_name)?;
        let deleted = self.templates.change(|all| -> Answer<Option<(String, Template)>> {
            let Some(id) = all.id(&name) else { return Ok(None) };
            if all.associated.values().any(|templates| templates.contains(&id)) {
                return Err(ServiceError::bad(
                    "ApprovalRuleTemplateInUseException",
                    format!("the template {name} is associated with a repository; disassociate it first"),
                ));
            }
            Ok(all.by_id.remove_entry(&id))
        })?;
        if let Some((id, template)) = &deleted {
            self.tell_template(id, template, Change::Deleted, &[], caller);
        }
        Ok(DeletedTemplate { approval_rule_template_id: deleted.map(|(id, _)| id) })
    }
}

fn check_description(description: Option<String>) -> Answer<Option<String>> {
    if description.as_ref().is_some_and(|text| text.chars().count() > LONGEST_DESCRIPTION) {
        return Err(ServiceError::bad(
            "InvalidApprovalRuleTemplateDescriptionException",
            format!("the description is longer than {LONGEST_DESCRIPTION} characters"),
        ));
    }
    Ok(description.filter(|text| !text.is_empty()))
}

fn name_exists(name: &str) -> ServiceError {
    ServiceError::bad(
        "ApprovalRuleTemplateNameAlreadyExistsException",
        format!("there is an approval rule template {name} in this region already"),
    )
}
