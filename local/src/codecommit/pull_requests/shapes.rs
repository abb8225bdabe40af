//! What the operations on pull requests are called with, and what they answer.

use serde::{Deserialize, Serialize};
use signalbox_events::RepositoryName;

use super::super::approval_rules::ShownRule;
use super::super::names::ObjectId;
use super::super::repositories::epoch_seconds;
use super::state::{End, PullRequest};

/// `CreatePullRequest`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct Create {
    pub(super) title: Option<String>,
    pub(super) description: Option<String>,
    pub(super) targets: Option<Vec<Option<Target>>>,
    pub(super) client_request_token: Option<String>,
}

/// `Target` of the model.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct Target {
    pub(super) repository_name: Option<String>,
    pub(super) source_reference: Option<String>,
    pub(super) destination_reference: Option<String>,
}

/// An input that only names a pull request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct OneId {
    pub(super) pull_request_id: Option<String>,
}

/// `ListPullRequests`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct List {
    pub(super) repository_name: Option<String>,
    pub(super) author_arn: Option<String>,
    pub(super) pull_request_status: Option<String>,
    pub(super) next_token: Option<String>,
    pub(super) max_results: Option<i64>,
}

/// `UpdatePullRequestTitle`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct Title {
    pub(super) pull_request_id: Option<String>,
    pub(super) title: Option<String>,
}

/// `UpdatePullRequestDescription`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct Describe {
    pub(super) pull_request_id: Option<String>,
    pub(super) description: Option<String>,
}

/// `UpdatePullRequestStatus`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct SetStatus {
    pub(super) pull_request_id: Option<String>,
    pub(super) pull_request_status: Option<String>,
}

/// The output of all operations that give a pull request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct OnePullRequest {
    pub(super) pull_request: Shown,
}

/// The output of `ListPullRequests`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct Ids {
    pub(super) pull_request_ids: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_token: Option<String>,
}

/// `PullRequest` of the model.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    pull_request_id: String,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    last_activity_date: f64,
    creation_date: f64,
    pull_request_status: &'static str,
    author_arn: String,
    pull_request_targets: [ShownTarget; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    client_request_token: Option<String>,
    revision_id: String,
    approval_rules: Vec<ShownRule>,
}

/// `PullRequestTarget` of the model.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownTarget {
    repository_name: RepositoryName,
    source_reference: String,
    destination_reference: String,
    destination_commit: ObjectId,
    source_commit: ObjectId,
    #[serde(skip_serializing_if = "Option::is_none")]
    merge_base: Option<ObjectId>,
    merge_metadata: MergeMetadata,
}

/// `MergeMetadata` of the model.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MergeMetadata {
    is_merged: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    merged_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    merge_commit_id: Option<ObjectId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    merge_option: Option<&'static str>,
}

impl MergeMetadata {
    pub(super) fn of(end: Option<&End>) -> Self {
        match end {
            Some(End::Merged { by, commit, option }) => Self {
                is_merged: true,
                merged_by: Some(by.clone()),
                merge_commit_id: Some(commit.clone()),
                merge_option: Some(option.as_aws()),
            },
            _ => Self::default(),
        }
    }
}

impl Shown {
    pub(super) fn new(one: &PullRequest, repository: RepositoryName, merge_base: Option<ObjectId>) -> Self {
        Self {
            pull_request_id: one.id.to_string(),
            title: one.title.clone(),
            description: one.description.clone(),
            last_activity_date: epoch_seconds(one.active),
            creation_date: epoch_seconds(one.created),
            pull_request_status: if one.is_open() { "OPEN" } else { "CLOSED" },
            author_arn: one.author.clone(),
            pull_request_targets: [ShownTarget {
                repository_name: repository,
                source_reference: one.source.clone(),
                destination_reference: one.destination.clone(),
                destination_commit: one.destination_commit.clone(),
                source_commit: one.source_commit().clone(),
                merge_base,
                merge_metadata: MergeMetadata::of(one.end.as_ref()),
            }],
            client_request_token: one.token.clone(),
            revision_id: one.revision.id.clone(),
            approval_rules: one.rules.iter().map(|rule| rule.shown()).collect(),
        }
    }
}
