//! What the operations on whole repositories are called with, and what they answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use signalbox_events::RepositoryName;

/// `UpdateRepositoryName`, and the only input without a `repositoryName`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct Rename {
    pub(super) old_name: Option<String>,
    pub(super) new_name: Option<String>,
}

/// `CreateRepository`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct Create {
    pub(super) repository_name: Option<String>,
    pub(super) repository_description: Option<String>,
    pub(super) tags: Option<BTreeMap<String, String>>,
    pub(super) kms_key_id: Option<String>,
}

/// `UpdateRepositoryDescription`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct Describe {
    pub(super) repository_name: Option<String>,
    pub(super) repository_description: Option<String>,
}

/// `UpdateDefaultBranch`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct SetDefault {
    pub(super) repository_name: Option<String>,
    pub(super) default_branch_name: Option<String>,
}

/// An input that only names a repository.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct Named {
    pub(super) repository_name: Option<String>,
}

/// `BatchGetRepositories`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct Batch {
    pub(super) repository_names: Option<Vec<String>>,
}

/// `ListRepositories`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct List {
    pub(super) next_token: Option<String>,
    pub(super) sort_by: Option<String>,
    pub(super) order: Option<String>,
}

/// `RepositoryMetadata` of the model.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct Metadata {
    pub(super) account_id: String,
    pub(super) repository_id: String,
    pub(super) repository_name: RepositoryName,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) repository_description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) default_branch: Option<String>,
    pub(super) last_modified_date: f64,
    pub(super) creation_date: f64,
    pub(super) clone_url_http: String,
    #[serde(rename = "Arn")]
    pub(super) arn: String,
}

/// The output of `CreateRepository` and `GetRepository`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct OneRepository {
    pub(super) repository_metadata: Metadata,
}

/// The output of `BatchGetRepositories`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct ManyRepositories {
    pub(super) repositories: Vec<Metadata>,
    pub(super) repositories_not_found: Vec<RepositoryName>,
    pub(super) errors: Vec<Value>,
}

/// The output of `DeleteRepository`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct DeletedRepository {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) repository_id: Option<String>,
}

/// The output of `ListRepositories`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct RepositoryList {
    pub(super) repositories: Vec<NameAndId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct NameAndId {
    pub(super) repository_name: String,
    pub(super) repository_id: String,
}
