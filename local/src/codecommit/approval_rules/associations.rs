//! Which repositories a template is for: of those, each new pull request gets a rule from it.

use serde::{Deserialize, Serialize};

use super::super::Nothing;
use super::super::names::{check_repository, check_size};
use super::super::repositories::{Repositories, Repository, no_such_page};
use super::news::Change;
use super::templates::{PAGE, TemplateNames};
use super::{OF_TEMPLATES, Template};
use crate::auth::Caller;
use crate::error::{Answer, ServiceError};
use crate::paging::Order;

/// Most templates of a repository, and so of a pull request's rules.
const MOST_OF_REPOSITORY: usize = 25;
/// Most names in a batch.
const LARGEST_BATCH: usize = 100;

/// `AssociateApprovalRuleTemplateWithRepository` and `DisassociateApprovalRuleTemplateFromRepository`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct AssociateOne {
    approval_rule_template_name: Option<String>,
    repository_name: Option<String>,
}

/// The same for several repositories.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct AssociateMany {
    approval_rule_template_name: Option<String>,
    repository_names: Option<Vec<String>>,
}

/// `ListRepositoriesForApprovalRuleTemplate`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct ListRepositories {
    approval_rule_template_name: Option<String>,
    next_token: Option<String>,
    max_results: Option<i64>,
}

/// `ListAssociatedApprovalRuleTemplatesForRepository`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct ListTemplatesOfRepository {
    repository_name: Option<String>,
    next_token: Option<String>,
    max_results: Option<i64>,
}

/// The output of `BatchAssociateApprovalRuleTemplateWithRepositories`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct Associated {
    associated_repository_names: Vec<String>,
    errors: Vec<Failed>,
}

/// The output of `BatchDisassociateApprovalRuleTemplateFromRepositories`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct Disassociated {
    disassociated_repository_names: Vec<String>,
    errors: Vec<Failed>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failed {
    repository_name: String,
    error_code: String,
    error_message: String,
}

/// The output of `ListRepositoriesForApprovalRuleTemplate`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct RepositoryNames {
    repository_names: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// Whether a template comes to a repository or goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    To,
    From,
}

impl Repositories {
    pub(in crate::codecommit) fn associate_template(&self, input: AssociateOne, caller: &Caller) -> Answer<Nothing> {
        self.associate_one(input, Direction::To, Change::Associated, caller)
    }

    pub(in crate::codecommit) fn disassociate_template(&self, input: AssociateOne, caller: &Caller) -> Answer<Nothing> {
        self.associate_one(input, Direction::From, Change::Disassociated, caller)
    }

    pub(in crate::codecommit) fn batch_associate_template(
        &self,
        input: AssociateMany,
        caller: &Caller,
    ) -> Answer<Associated> {
        let (done, errors) = self.associate_many(input, Direction::To, Change::BatchAssociated, caller)?;
        Ok(Associated { associated_repository_names: done, errors })
    }

    pub(in crate::codecommit) fn batch_disassociate_template(
        &self,
        input: AssociateMany,
        caller: &Caller,
    ) -> Answer<Disassociated> {
        let (done, errors) = self.associate_many(input, Direction::From, Change::BatchDisassociated, caller)?;
        Ok(Disassociated { disassociated_repository_names: done, errors })
    }

    fn associate_one(
        &self,
        input: AssociateOne,
        direction: Direction,
        change: Change,
        caller: &Caller,
    ) -> Answer<Nothing> {
        let name = OF_TEMPLATES.check_name(input.approval_rule_template_name)?;
        let (id, template) = self.templates.read(|all| all.named(&name))?;
        let repository = self.named(input.repository_name)?;
        if self.turn(&id, &template, &repository, direction)? {
            self.tell_template(&id, &template, change, &[repository], caller);
        }
        Ok(Nothing {})
    }

    fn associate_many(
        &self,
        input: AssociateMany,
        direction: Direction,
        change: Change,
        caller: &Caller,
    ) -> Answer<(Vec<String>, Vec<Failed>)> {
        let name = OF_TEMPLATES.check_name(input.approval_rule_template_name)?;
        let names = input.repository_names.ok_or_else(|| {
            ServiceError::bad("RepositoryNamesRequiredException", "a list of repository names is required")
        })?;
        if names.len() > LARGEST_BATCH {
            return Err(ServiceError::bad(
                "MaximumRepositoryNamesExceededException",
                format!("{} names are more than {LARGEST_BATCH}", names.len()),
            ));
        }
        let (id, template) = self.templates.read(|all| all.named(&name))?;
        let (mut done, mut errors) = (Vec::new(), Vec::new());
        for name in names {
            let turned = check_repository(Some(name.clone())).and_then(|name| self.find(&name));
            let turned =
                turned.and_then(|repository| self.turn(&id, &template, &repository, direction).map(|_| repository));
            match turned {
                Ok(repository) => done.push(repository),
                Err(failed) => errors.push(Failed {
                    repository_name: name,
                    error_code: failed.code,
                    error_message: failed.message,
                }),
            }
        }
        if !done.is_empty() {
            self.tell_template(&id, &template, change, &done, caller);
        }
        Ok((done.into_iter().map(|repository| repository.name.to_string()).collect(), errors))
    }

    /// Gives whether anything changed; to say it twice is no error.
    fn turn(&self, id: &str, template: &Template, repository: &Repository, direction: Direction) -> Answer<bool> {
        self.templates.change(|all| {
            if !all.by_id.contains_key(id) {
                return all.named(&template.name).map(|_| false);
            }
            let templates = all.associated.entry(repository.id.clone()).or_default();
            match direction {
                Direction::From => Ok(templates.remove(id)),
                Direction::To if !templates.contains(id) && templates.len() >= MOST_OF_REPOSITORY => {
                    Err(ServiceError::bad(
                        "MaximumRuleTemplatesAssociatedWithRepositoryException",
                        format!("{} has {MOST_OF_REPOSITORY} templates already", repository.name),
                    ))
                }
                Direction::To => Ok(templates.insert(id.to_owned())),
            }
        })
    }

    pub(in crate::codecommit) fn list_repositories_of_template(
        &self,
        input: ListRepositories,
    ) -> Answer<RepositoryNames> {
        let name = OF_TEMPLATES.check_name(input.approval_rule_template_name)?;
        let size = check_size(input.max_results, PAGE, "InvalidMaxResultsException")?;
        let (id, ids) = self.templates.read(|all| -> Answer<(String, Vec<String>)> {
            let (id, _) = all.named(&name)?;
            let of = all.associated.iter().filter(|(_, templates)| templates.contains(&id));
            let of = of.map(|(repository, _)| repository.clone()).collect();
            Ok((id, of))
        })?;
        let mut names: Vec<String> = ids.iter().filter_map(|id| Some(self.with_id(id)?.name.to_string())).collect();
        names.sort();
        let listing = self.world.listing("codecommit:ListRepositoriesForApprovalRuleTemplate", &[&id]);
        let names = names.into_iter().map(|name| (name.clone(), name));
        let (repository_names, next_token) =
            listing.page(names, Order::Ascending, size, input.next_token.as_deref()).map_err(no_such_page)?;
        Ok(RepositoryNames { repository_names, next_token })
    }

    pub(in crate::codecommit) fn list_templates_of_repository(
        &self,
        input: ListTemplatesOfRepository,
    ) -> Answer<TemplateNames> {
        let repository = self.named(input.repository_name)?;
        let size = check_size(input.max_results, PAGE, "InvalidMaxResultsException")?;
        let mut names: Vec<String> = self.templates.read(|all| {
            let ids = all.associated.get(&repository.id).into_iter().flatten();
            ids.filter_map(|id| Some(all.by_id.get(id)?.name.clone())).collect()
        });
        names.sort();
        let listing =
            self.world.listing("codecommit:ListAssociatedApprovalRuleTemplatesForRepository", &[&repository.id]);
        let names = names.into_iter().map(|name| (name.clone(), name));
        let (approval_rule_template_names, next_token) =
            listing.page(names, Order::Ascending, size, input.next_token.as_deref()).map_err(no_such_page)?;
        Ok(TemplateNames { approval_rule_template_names, next_token })
    }
}
