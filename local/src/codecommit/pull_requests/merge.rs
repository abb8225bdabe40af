//! Pull requests are merged: what is asked before, git's compare-and-swap, the end of the pull request.

use serde::Deserialize;
use signalbox_events::MergeOption;

use super::super::approval_rules::Met;
use super::super::events::{Move, RefChange};
use super::super::merges::{FileModeMissing, How, Merged, Merging, RawResolution, concurrent_update, message};
use super::super::names::ObjectId;
use super::super::refs::{Swap, branch_ref};
use super::super::repositories::{Held, Repositories, Repository};
use super::super::signing::Signing;
use super::super::tree::EmptyFolders;
use super::checks::{check_id, check_reference};
use super::shapes::OnePullRequest;
use super::state::{End, PullRequest};
use crate::auth::Caller;
use crate::error::{Answer, ServiceError};

/// `MergePullRequestByFastForward`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct FastForward {
    pull_request_id: Option<String>,
    repository_name: Option<String>,
    source_commit_id: Option<String>,
}

/// `MergePullRequestBySquash` and `MergePullRequestByThreeWay`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct WithContents {
    pull_request_id: Option<String>,
    repository_name: Option<String>,
    source_commit_id: Option<String>,
    conflict_detail_level: Option<String>,
    conflict_resolution_strategy: Option<String>,
    commit_message: Option<String>,
    author_name: Option<String>,
    email: Option<String>,
    keep_empty_folders: Option<EmptyFolders>,
    conflict_resolution: Option<RawResolution>,
}

/// What every merge of a pull request names.
struct Asked {
    id: u64,
    repository: Repository,
    source: Option<ObjectId>,
}

impl Repositories {
    pub(in crate::codecommit) async fn merge_pull_request_by_fast_forward(
        &self,
        input: FastForward,
        caller: &Caller,
    ) -> Answer<OnePullRequest> {
        let asked = self.asked(input.pull_request_id, input.repository_name, input.source_commit_id)?;
        let lock = self.review_lock(&asked.repository);
        let held = lock.lock().await;
        let (one, destination) = self.mergeable(&asked).await?;
        let merged = self.fast_forward(&asked.repository, one.source_commit().clone(), destination).await?;
        self.arrive_for(&asked.repository, one, merged, caller, held).await
    }

    pub(in crate::codecommit) async fn merge_pull_request_with_contents(
        &self,
        option: MergeOption,
        input: WithContents,
        caller: &Caller,
    ) -> Answer<OnePullRequest> {
        let asked = self.asked(input.pull_request_id, input.repository_name, input.source_commit_id)?;
        let how = How::check(input.conflict_detail_level.as_deref(), input.conflict_resolution_strategy.as_deref())?;
        let resolution = RawResolution::check(input.conflict_resolution, how, FileModeMissing::IsInvalid)?;
        let signing = Signing { name: input.author_name, email: input.email, message: input.commit_message };
        let lock = self.review_lock(&asked.repository);
        let held = lock.lock().await;
        let (one, destination) = self.mergeable(&asked).await?;
        let signing = signing.check(caller, &message(option, Some(&one.source), Some(&one.destination)))?;
        let merging = Merging { option, how, signing, folders: input.keep_empty_folders, resolution };
        let merged = self.merge_contents(&asked.repository, one.source_commit().clone(), destination, merging).await?;
        self.arrive_for(&asked.repository, one, merged, caller, held).await
    }

    fn asked(&self, id: Option<String>, repository: Option<String>, source: Option<String>) -> Answer<Asked> {
        let id = check_id(id)?;
        let repository = self.named(repository)?;
        let source = match source {
            Some(source) => Some(ObjectId::parse(&source).ok_or_else(|| {
                ServiceError::bad("InvalidCommitIdException", format!("{source:?} is not a full commit id"))
            })?),
            None => None,
        };
        Ok(Asked { id, repository, source })
    }

    /// The pull request and the tip of its destination, if it may be merged as it is now.
    async fn mergeable(&self, asked: &Asked) -> Answer<(PullRequest, ObjectId)> {
        let Asked { id, repository, source } = asked;
        let one = self.pull_requests.read(|all| all.find(*id).cloned())?;
        if one.repository_id != repository.id {
            return Err(not_associated(*id, repository));
        }
        if !one.is_open() {
            return Err(super::state::already_closed(*id));
        }
        let different = || {
            ServiceError::bad(
                "TipOfSourceReferenceIsDifferentException",
                format!("the tip of {} is another commit; get pull request {id} and try again", one.source),
            )
        };
        if source.as_ref().is_some_and(|source| source != one.source_commit()) {
            return Err(different());
        }
        let (source_branch, destination_branch) =
            (check_reference(Some(one.source.clone()))?, check_reference(Some(one.destination.clone()))?);
        // A push whose pull requests have not followed yet.
        if self.tip_if_there(repository, &source_branch).await?.as_ref() != Some(one.source_commit()) {
            return Err(if source.is_some() { different() } else { concurrent_update(&one.source) });
        }
        if one.revision.overrider.is_none() {
            let met = Met::by(&one.rules, &one.revision.approvers);
            if !met.not_satisfied.is_empty() {
                return Err(ServiceError::bad(
                    "PullRequestApprovalRulesNotSatisfiedException",
                    format!(
                        "the approval rules of pull request {id} are not satisfied: {}",
                        met.not_satisfied.join(", ")
                    ),
                ));
            }
        }
        let destination = self.tip_if_there(repository, &destination_branch).await?;
        let destination = destination.ok_or_else(|| concurrent_update(&one.destination))?;
        Ok((one, destination))
    }

    /// Moves the destination to what was merged and ends the pull request.
    async fn arrive_for(
        &self,
        repository: &Repository,
        one: PullRequest,
        merged: Merged,
        caller: &Caller,
        held: Held<'_>,
    ) -> Answer<OnePullRequest> {
        let Merged { commit, note } = merged;
        let branch = check_reference(Some(one.destination.clone()))?;
        let how = Move::Updated(note.destination.clone(), commit.clone());
        let moves = note.destination != commit;
        if moves && self.move_branch(repository, &branch, &how).await? == Swap::Lost {
            return Err(concurrent_update(branch.as_str()));
        }
        let changes = if moves { vec![RefChange { name: branch_ref(&branch)?, how }] } else { Vec::new() };
        let end = End::Merged { by: caller.arn.clone(), commit, option: note.option };
        self.pull_requests.change(|all| -> Answer<()> {
            all.find_mut(one.id)?.destination_commit = note.destination.clone();
            Ok(())
        })?;
        // First: what follows from the branch must not find it open.
        let ended = self.end(repository, one.id, end.clone(), caller).await?;
        self.tell_of(repository, changes, Some(&note), caller, &held).await;
        self.tell_end(repository, &ended, &end, caller);
        drop(held);
        self.shown(ended).await
    }
}

pub(in crate::codecommit) fn not_associated(id: u64, repository: &Repository) -> ServiceError {
    ServiceError::bad(
        "RepositoryNotAssociatedWithPullRequestException",
        format!("pull request {id} is not one of {}", repository.name),
    )
}
