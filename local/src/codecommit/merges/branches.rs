//! Merges of branches without a pull request, and merge commits that no ref points to. Approval rules are not asked.

use serde::{Deserialize, Serialize};
use signalbox_events::MergeOption;

use super::super::events::{Move, RefChange, STATE_CHANGE, Subject, unreferenced_commit};
use super::super::names::{BranchName, ObjectId};
use super::super::refs::{Swap, branch_ref};
use super::super::repositories::{Repositories, Repository};
use super::super::signing::Signing;
use super::super::tree::EmptyFolders;
use super::resolution::{FileModeMissing, RawResolution};
use super::{How, Merged, Merging, check_option_with_contents, concurrent_update};
use crate::auth::Caller;
use crate::error::{Answer, ServiceError};

/// `MergeBranchesByFastForward`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct BranchesFastForward {
    repository_name: Option<String>,
    source_commit_specifier: Option<String>,
    destination_commit_specifier: Option<String>,
    target_branch: Option<String>,
}

/// `MergeBranchesBySquash` and `MergeBranchesByThreeWay`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct BranchesWithContents {
    repository_name: Option<String>,
    source_commit_specifier: Option<String>,
    destination_commit_specifier: Option<String>,
    target_branch: Option<String>,
    conflict_detail_level: Option<String>,
    conflict_resolution_strategy: Option<String>,
    author_name: Option<String>,
    email: Option<String>,
    commit_message: Option<String>,
    keep_empty_folders: Option<EmptyFolders>,
    conflict_resolution: Option<RawResolution>,
}

/// `CreateUnreferencedMergeCommit`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct Unreferenced {
    repository_name: Option<String>,
    source_commit_specifier: Option<String>,
    destination_commit_specifier: Option<String>,
    merge_option: Option<String>,
    conflict_detail_level: Option<String>,
    conflict_resolution_strategy: Option<String>,
    author_name: Option<String>,
    email: Option<String>,
    commit_message: Option<String>,
    keep_empty_folders: Option<EmptyFolders>,
    conflict_resolution: Option<RawResolution>,
}

/// What all of them give.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct Made {
    commit_id: ObjectId,
    tree_id: ObjectId,
}

impl Repositories {
    pub(in crate::codecommit) async fn merge_branches_by_fast_forward(
        &self,
        input: BranchesFastForward,
        caller: &Caller,
    ) -> Answer<Made> {
        let repository = self.named(input.repository_name)?;
        let target = check_target(input.target_branch, input.destination_commit_specifier.as_deref())?;
        let source = self.commit(&repository, input.source_commit_specifier).await?;
        let destination = self.commit(&repository, input.destination_commit_specifier).await?;
        let target = self.target(&repository, target).await?;
        let merged = self.fast_forward(&repository, source, destination).await?;
        self.arrive(&repository, &target, merged, caller).await
    }

    pub(in crate::codecommit) async fn merge_branches_with_contents(
        &self,
        option: MergeOption,
        input: BranchesWithContents,
        caller: &Caller,
    ) -> Answer<Made> {
        let repository = self.named(input.repository_name)?;
        let how = How::check(input.conflict_detail_level.as_deref(), input.conflict_resolution_strategy.as_deref())?;
        let resolution = RawResolution::check(input.conflict_resolution, how, FileModeMissing::HasACode)?;
        let target = check_target(input.target_branch, input.destination_commit_specifier.as_deref())?;
        let signing = Signing { name: input.author_name, email: input.email, message: input.commit_message };
        let named = (&input.source_commit_specifier, &input.destination_commit_specifier);
        let signing = signing.check(caller, &message(option, named.0.as_deref(), named.1.as_deref()))?;
        let source = self.commit(&repository, input.source_commit_specifier).await?;
        let destination = self.commit(&repository, input.destination_commit_specifier).await?;
        let target = self.target(&repository, target).await?;
        let merging = Merging { option, how, signing, folders: input.keep_empty_folders, resolution };
        let merged = self.merge_contents(&repository, source, destination, merging).await?;
        self.arrive(&repository, &target, merged, caller).await
    }

    pub(in crate::codecommit) async fn create_unreferenced_merge_commit(
        &self,
        input: Unreferenced,
        caller: &Caller,
    ) -> Answer<Made> {
        let repository = self.named(input.repository_name)?;
        let option = check_option_with_contents(input.merge_option.as_deref())?;
        let how = How::check(input.conflict_detail_level.as_deref(), input.conflict_resolution_strategy.as_deref())?;
        let resolution = RawResolution::check(input.conflict_resolution, how, FileModeMissing::HasACode)?;
        let signing = Signing { name: input.author_name, email: input.email, message: input.commit_message };
        let named = (&input.source_commit_specifier, &input.destination_commit_specifier);
        let signing = signing.check(caller, &message(option, named.0.as_deref(), named.1.as_deref()))?;
        let source = self.commit(&repository, input.source_commit_specifier).await?;
        let destination = self.commit(&repository, input.destination_commit_specifier).await?;
        let merging = Merging { option, how, signing, folders: input.keep_empty_folders, resolution };
        let merged = self.merge_contents(&repository, source, destination, merging).await?;
        let subject = Subject { name: &repository.name, id: &repository.id };
        let (resources, detail) = unreferenced_commit(&self.world, &subject, &merged.commit, &merged.note, &caller.arn);
        self.publish(STATE_CHANGE, resources, detail);
        let tree_id = self.tree_of(&repository, &merged.commit).await?;
        Ok(Made { commit_id: merged.commit, tree_id })
    }

    /// The branch that is merged into, which must be there.
    async fn target(&self, repository: &Repository, branch: BranchName) -> Answer<BranchName> {
        if self.tip_if_there(repository, &branch).await?.is_some() {
            return Ok(branch);
        }
        let tag = format!("refs/tags/{}", branch.as_str());
        if self.git.objects(&repository.dir, &[tag]).await?.into_iter().flatten().next().is_some() {
            return Err(ServiceError::bad(
                "BranchNameIsTagNameException",
                format!("{} is a tag, not a branch", branch.as_str()),
            ));
        }
        self.tip(repository, &branch).await.map(|_| branch)
    }

    /// Moves the branch to what was merged, unless it moved meanwhile.
    async fn arrive(
        &self,
        repository: &Repository,
        branch: &BranchName,
        merged: Merged,
        caller: &Caller,
    ) -> Answer<Made> {
        let Merged { commit, note } = merged;
        let tree_id = self.tree_of(repository, &commit).await?;
        let lock = self.review_lock(repository);
        let held = lock.lock().await;
        if note.destination != commit {
            let how = Move::Updated(note.destination.clone(), commit.clone());
            if self.move_branch(repository, branch, &how).await? == Swap::Lost {
                return Err(concurrent_update(branch.as_str()));
            }
            let changes = vec![RefChange { name: branch_ref(branch)?, how }];
            self.tell_of(repository, changes, Some(&note), caller, &held).await;
        }
        Ok(Made { commit_id: commit, tree_id })
    }
}

/// The branch to merge into: the target, or else the destination if that is a branch.
fn check_target(target: Option<String>, destination: Option<&str>) -> Answer<BranchName> {
    if let Some(target) = target {
        return BranchName::check(Some(target));
    }
    let destination = destination.unwrap_or_default();
    let short = destination.strip_prefix("refs/heads/").unwrap_or(destination);
    if short == "HEAD" || short.starts_with("refs/") || ObjectId::parse(short).is_some() {
        return Err(ServiceError::bad(
            "InvalidTargetBranchException",
            format!("{destination} is no branch; say into which one to merge with targetBranch"),
        ));
    }
    if short.is_empty() {
        return Err(ServiceError::bad("CommitRequiredException", "a commit specifier is required"));
    }
    BranchName::check(Some(short.to_owned()))
}

/// What a merge commit says when its maker says nothing.
pub(in crate::codecommit) fn message(option: MergeOption, source: Option<&str>, destination: Option<&str>) -> String {
    let short = |name: Option<&str>| {
        let name = name.unwrap_or_default();
        name.strip_prefix("refs/heads/").unwrap_or(name).to_owned()
    };
    let verb = if option == MergeOption::Squash { "Squash" } else { "Merge" };
    format!("{verb} {} into {}", short(source), short(destination))
}
