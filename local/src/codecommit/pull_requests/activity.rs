//! `DescribePullRequestEvents`: what happened to a pull request, oldest first.

use serde::{Deserialize, Serialize};
use signalbox_events::RepositoryName;

use super::super::names::{ObjectId, check_arn, check_size};
use super::super::repositories::{Repositories, epoch_seconds, no_such_page};
use super::checks::check_id;
use super::shapes::MergeMetadata;
use super::state::{Activity, End, PullRequest, What};
use crate::error::{Answer, ServiceError};
use crate::paging::Order;

/// The page, as documented.
const PAGE: usize = 100;

/// All types, as the model has them.
const TYPES: [&str; 9] = [
    "PULL_REQUEST_CREATED",
    "PULL_REQUEST_STATUS_CHANGED",
    "PULL_REQUEST_SOURCE_REFERENCE_UPDATED",
    "PULL_REQUEST_MERGE_STATE_CHANGED",
    "PULL_REQUEST_APPROVAL_RULE_CREATED",
    "PULL_REQUEST_APPROVAL_RULE_UPDATED",
    "PULL_REQUEST_APPROVAL_RULE_DELETED",
    "PULL_REQUEST_APPROVAL_RULE_OVERRIDDEN",
    "PULL_REQUEST_APPROVAL_STATE_CHANGED",
];

/// The input.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct Events {
    pull_request_id: Option<String>,
    pull_request_event_type: Option<String>,
    actor_arn: Option<String>,
    next_token: Option<String>,
    max_results: Option<i64>,
}

/// The output.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct Page {
    pull_request_events: Vec<Event>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// `PullRequestEvent` of the model.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    pull_request_id: String,
    event_date: f64,
    pull_request_event_type: &'static str,
    actor_arn: String,
    #[serde(flatten)]
    metadata: Metadata,
}

#[derive(Debug, Serialize)]
enum Metadata {
    #[serde(rename = "pullRequestCreatedEventMetadata", rename_all = "camelCase")]
    Created {
        repository_name: RepositoryName,
        source_commit_id: ObjectId,
        destination_commit_id: ObjectId,
        #[serde(skip_serializing_if = "Option::is_none")]
        merge_base: Option<ObjectId>,
    },
    #[serde(rename = "pullRequestStatusChangedEventMetadata", rename_all = "camelCase")]
    Status { pull_request_status: &'static str },
    #[serde(rename = "pullRequestSourceReferenceUpdatedEventMetadata", rename_all = "camelCase")]
    SourceUpdated {
        repository_name: RepositoryName,
        before_commit_id: ObjectId,
        after_commit_id: ObjectId,
        #[serde(skip_serializing_if = "Option::is_none")]
        merge_base: Option<ObjectId>,
    },
    #[serde(rename = "pullRequestMergedStateChangedEventMetadata", rename_all = "camelCase")]
    Merged { repository_name: RepositoryName, destination_reference: String, merge_metadata: MergeMetadata },
    #[serde(rename = "approvalRuleEventMetadata", rename_all = "camelCase")]
    Rule { approval_rule_name: String, approval_rule_id: String, approval_rule_content: String },
    #[serde(rename = "approvalStateChangedEventMetadata", rename_all = "camelCase")]
    Approval { revision_id: String, approval_status: &'static str },
    #[serde(rename = "approvalRuleOverriddenEventMetadata", rename_all = "camelCase")]
    Overridden { revision_id: String, override_status: &'static str },
}

impl Event {
    fn new(one: &PullRequest, repository: &RepositoryName, activity: Activity) -> Self {
        let Activity { at, actor, what } = activity;
        let kind = kind(&what);
        let repository_name = repository.clone();
        let metadata = match what {
            What::Created { source, destination, base } => Metadata::Created {
                repository_name,
                source_commit_id: source,
                destination_commit_id: destination,
                merge_base: base,
            },
            What::Closed => Metadata::Status { pull_request_status: "CLOSED" },
            // AWS calls the tip of the destination "before" and that of the source "after".
            What::SourceUpdated { source, destination, base } => Metadata::SourceUpdated {
                repository_name,
                before_commit_id: destination,
                after_commit_id: source,
                merge_base: base,
            },
            What::Merged { commit, option } => Metadata::Merged {
                repository_name,
                destination_reference: one.destination.clone(),
                merge_metadata: MergeMetadata::of(Some(&End::Merged { by: actor.clone(), commit, option })),
            },
            What::RuleCreated { id, name, content }
            | What::RuleUpdated { id, name, content }
            | What::RuleDeleted { id, name, content } => {
                Metadata::Rule { approval_rule_name: name, approval_rule_id: id, approval_rule_content: content }
            }
            What::RulesOverridden { revision, status } => {
                Metadata::Overridden { revision_id: revision, override_status: status.as_aws() }
            }
            What::ApprovalChanged { revision, status } => {
                Metadata::Approval { revision_id: revision, approval_status: status.as_aws() }
            }
        };
        Self {
            pull_request_id: one.id.to_string(),
            event_date: epoch_seconds(at),
            pull_request_event_type: kind,
            actor_arn: actor,
            metadata,
        }
    }
}

fn kind(what: &What) -> &'static str {
    match what {
        What::Created { .. } => "PULL_REQUEST_CREATED",
        What::Closed => "PULL_REQUEST_STATUS_CHANGED",
        What::SourceUpdated { .. } => "PULL_REQUEST_SOURCE_REFERENCE_UPDATED",
        What::Merged { .. } => "PULL_REQUEST_MERGE_STATE_CHANGED",
        What::RuleCreated { .. } => "PULL_REQUEST_APPROVAL_RULE_CREATED",
        What::RuleUpdated { .. } => "PULL_REQUEST_APPROVAL_RULE_UPDATED",
        What::RuleDeleted { .. } => "PULL_REQUEST_APPROVAL_RULE_DELETED",
        What::RulesOverridden { .. } => "PULL_REQUEST_APPROVAL_RULE_OVERRIDDEN",
        What::ApprovalChanged { .. } => "PULL_REQUEST_APPROVAL_STATE_CHANGED",
    }
}

impl Repositories {
    pub(in crate::codecommit) fn describe_pull_request_events(&self, input: Events) -> Answer<Page> {
        let id = check_id(input.pull_request_id)?;
        let wanted = input.pull_request_event_type;
        if let Some(other) = wanted.as_deref().filter(|wanted| !TYPES.contains(wanted)) {
            return Err(ServiceError::bad(
                "InvalidPullRequestEventTypeException",
                format!("{other:?} is no type of pull-request events"),
            ));
        }
        let actor = check_arn(input.actor_arn, "InvalidActorArnException")?;
        let size = check_size(input.max_results, PAGE, "InvalidMaxResultsException")?;
        let (one, repository) = self.pull_request(id)?;
        if let Some(actor) = actor.as_deref().filter(|actor| !self.world.iam.is_known(actor)) {
            return Err(ServiceError::bad("ActorDoesNotExistException", format!("there is no {actor} here")));
        }
        let is_wanted = |activity: &Activity| {
            wanted.as_ref().is_none_or(|wanted| wanted == kind(&activity.what))
                && actor.as_ref().is_none_or(|actor| *actor == activity.actor)
        };
        let all = one.activity.iter().enumerate().filter(|(_, activity)| is_wanted(activity));
        let all = all
            .map(|(number, activity)| (format!("{number:020}"), Event::new(&one, &repository.name, activity.clone())));
        let filters = [&*id.to_string(), wanted.as_deref().unwrap_or_default(), actor.as_deref().unwrap_or_default()];
        let listing = self.world.listing("codecommit:DescribePullRequestEvents", &filters);
        let (pull_request_events, next_token) =
            listing.page(all, Order::Ascending, size, input.next_token.as_deref()).map_err(no_such_page)?;
        Ok(Page { pull_request_events, next_token })
    }
}
