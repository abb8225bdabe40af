//! CodeCommit, read.

mod approvals;
mod guards;
mod reviews;

use aws_sdk_codecommit::Client;
use aws_sdk_codecommit::types::{SortByEnum, UserInfo};
use serde::{Deserialize, Serialize};
use signalbox_events::{CommitId, RepositoryName};

pub use self::approvals::{ApprovalRuleText, Edited, PostedComment, ReviewedPullRequest, Reviews, Vote, Written};
pub use self::guards::{ApprovalRule, RepositoryTrigger};
pub use self::reviews::{CommentText, MergedPullRequest, Merges, PullRequest, Replied};

use crate::failure::{lacking, sort, unreadable};
use crate::{Aws, Failure};

/// Reads repositories.
#[derive(Debug, Clone)]
pub struct CodeCommit {
    client: Client,
    page: Option<i32>,
}

/// A commit, as far as people ask about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Its id.
    pub id: CommitId,
    /// Its parents, first parent first.
    pub parents: Vec<CommitId>,
    /// The whole message.
    pub message: String,
    /// Who wrote it.
    pub author: Signature,
    /// Who committed it.
    pub committer: Signature,
}

/// A name and address as git keeps them: claimed, not proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The name.
    pub name: String,
    /// The e-mail address.
    pub email: String,
}

impl From<Option<UserInfo>> for Signature {
    fn from(user: Option<UserInfo>) -> Self {
        user.map_or_else(
            || Self { name: String::new(), email: String::new() },
            |user| Self { name: user.name.unwrap_or_default(), email: user.email.unwrap_or_default() },
        )
    }
}

/// What CodeCommit keeps of a repository beside its refs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepositoryInfo {
    /// The short name of the default branch; an empty repository has none.
    pub default_branch: Option<String>,
    /// What people wrote about it.
    pub description: String,
}

/// A path that differs between two commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedPath {
    /// Where it lies.
    pub path: String,
    /// What it is now, as git writes it: `100644`, `120000` ...; `None` where it is gone.
    pub mode: Option<String>,
    /// The object that it is now; `None` where it is gone.
    pub blob: Option<String>,
    /// Whether it was there before.
    pub was_there: bool,
}

/// The paths that differ between two commits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangedPaths {
    /// The paths, in no promised order.
    pub paths: Vec<ChangedPath>,
    /// Where the list goes on; `None` where this is its end.
    pub next: Option<String>,
}

impl CodeCommit {
    /// A reader.
    pub fn new(aws: &Aws) -> Self {
        Self { client: Client::new(&aws.config), page: None }
    }

    /// A reader that asks for pages of `items` items; AWS's own size where this is not called.
    #[must_use]
    pub fn with_page_size(self, items: i32) -> Self {
        Self { page: Some(items), ..self }
    }

    /// All paths that differ between two commits, both sides of a rename and deletions included, every page of them.
    ///
    /// Without `before` every path of `after`'s tree. `None` where one of the commits is not in the repository.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn changed_paths(
        &self,
        repository: &RepositoryName,
        before: Option<&CommitId>,
        after: &CommitId,
    ) -> Result<Option<Vec<String>>, Failure> {
        let mut paths = Vec::new();
        let mut token = None;
        loop {
            let request = self
                .client
                .get_differences()
                .repository_name(repository.as_str())
                .set_before_commit_specifier(before.map(|id| id.as_str().to_owned()))
                .after_commit_specifier(after.as_str())
                .set_max_results(self.page)
                .set_next_token(token);
            let answer = match request.send().await {
                Ok(answer) => answer,
                Err(error) if error.as_service_error().is_some_and(|e| e.is_commit_does_not_exist_exception()) => {
                    return Ok(None);
                }
                Err(error) => return Err(sort(format!("codecommit:GetDifferences on {repository}"), error)),
            };
            for difference in answer.differences.unwrap_or_default() {
                let before = difference.before_blob.and_then(|blob| blob.path);
                let after = difference.after_blob.and_then(|blob| blob.path);
                match (before, after) {
                    (Some(before), Some(after)) if before == after => paths.push(after),
                    (before, after) => paths.extend(before.into_iter().chain(after)),
                }
            }
            token = answer.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(Some(paths));
            }
        }
    }

    /// The paths that differ between two commits with what they are now, page by page for as long as `goes_on` says so of the number of paths.
    ///
    /// Without `before` every path of `after`'s tree. `from` is where an earlier list of the same two commits goes on; where CodeCommit does not
    /// know it any more, the list begins anew. `None` where one of the commits is not in the repository.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn changes(
        &self,
        repository: &RepositoryName,
        before: Option<&CommitId>,
        after: &CommitId,
        from: Option<String>,
        goes_on: impl Fn(usize) -> bool,
    ) -> Result<Option<ChangedPaths>, Failure> {
        let mut changes = ChangedPaths::default();
        let mut token = from;
        loop {
            let was_given = token.is_some() && changes.paths.is_empty();
            let request = self
                .client
                .get_differences()
                .repository_name(repository.as_str())
                .set_before_commit_specifier(before.map(|id| id.as_str().to_owned()))
                .after_commit_specifier(after.as_str())
                .set_max_results(self.page)
                .set_next_token(token);
            let answer = match request.send().await {
                Ok(answer) => answer,
                Err(error) if error.as_service_error().is_some_and(|e| e.is_commit_does_not_exist_exception()) => {
                    return Ok(None);
                }
                Err(error)
                    if was_given
                        && error.as_service_error().is_some_and(|e| e.is_invalid_continuation_token_exception()) =>
                {
                    token = None;
                    continue;
                }
                Err(error) => return Err(sort(format!("codecommit:GetDifferences on {repository}"), error)),
            };
            for difference in answer.differences.unwrap_or_default() {
                let (before, after) = (difference.before_blob, difference.after_blob);
                let (is_there, was_there) = (after.is_some(), before.is_some());
                let Some(blob) = after.or(before) else { continue };
                let Some(path) = blob.path else { continue };
                let (mode, id) = if is_there { (blob.mode, blob.blob_id) } else { (None, None) };
                changes.paths.push(ChangedPath { path, mode, blob: id, was_there });
            }
            token = answer.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(Some(changes));
            }
            if !goes_on(changes.paths.len()) {
                changes.next = token;
                return Ok(Some(changes));
            }
        }
    }

    /// What is in a file; `None` where there is no such file or commit.
    ///
    /// # Errors
    /// As [`Failure`] sorts them; a file that is too large for the API is refused.
    pub async fn file(
        &self,
        repository: &RepositoryName,
        commit: &CommitId,
        path: &str,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let request = self.client.get_file().repository_name(repository.as_str());
        match request.commit_specifier(commit.as_str()).file_path(path).send().await {
            Ok(answer) => Ok(Some(answer.file_content.into_inner())),
            Err(error)
                if error.as_service_error().is_some_and(|e| {
                    e.is_file_does_not_exist_exception() || e.is_commit_does_not_exist_exception()
                }) =>
            {
                Ok(None)
            }
            Err(error) => Err(sort(format!("codecommit:GetFile on {repository}"), error)),
        }
    }

    /// Where a branch is now; `None` where there is no such branch. `branch` is the short name.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn branch_tip(&self, repository: &RepositoryName, branch: &str) -> Result<Option<CommitId>, Failure> {
        let doing = format!("codecommit:GetBranch on {repository}");
        let request = self.client.get_branch().repository_name(repository.as_str()).branch_name(branch);
        match request.send().await {
            Ok(answer) => {
                let id =
                    answer.branch.and_then(|branch| branch.commit_id).ok_or_else(|| lacking(&doing, "commitId"))?;
                commit_id(&doing, id).map(Some)
            }
            Err(error) if error.as_service_error().is_some_and(|e| e.is_branch_does_not_exist_exception()) => Ok(None),
            Err(error) => Err(sort(doing, error)),
        }
    }

    /// The short names of all branches, every page of them, in no promised order.
    ///
    /// CodeCommit's API does not list tags.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn branches(&self, repository: &RepositoryName) -> Result<Vec<String>, Failure> {
        let doing = format!("codecommit:ListBranches on {repository}");
        let mut names = Vec::new();
        let mut token = None;
        loop {
            let request = self.client.list_branches().repository_name(repository.as_str()).set_next_token(token);
            let answer = request.send().await.map_err(|error| sort(&doing, error))?;
            names.extend(answer.branches.unwrap_or_default());
            token = answer.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(names);
            }
        }
    }

    /// Every repository of the account in this region, every page of them: its name and its UUID.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn repositories(&self) -> Result<Vec<(RepositoryName, Option<String>)>, Failure> {
        let doing = "codecommit:ListRepositories";
        let mut found = Vec::new();
        let mut token = None;
        loop {
            let request = self.client.list_repositories().sort_by(SortByEnum::RepositoryName).set_next_token(token);
            let answer = request.send().await.map_err(|error| sort(doing, error))?;
            for one in answer.repositories.unwrap_or_default() {
                let name = one.repository_name.ok_or_else(|| lacking(doing, "repositoryName"))?;
                let name = RepositoryName::parse(name).map_err(|error| unreadable(doing, error))?;
                found.push((name, one.repository_id));
            }
            token = answer.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(found);
            }
        }
    }

    /// The short name of the default branch; an empty repository has none.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn default_branch(&self, repository: &RepositoryName) -> Result<Option<String>, Failure> {
        let request = self.client.get_repository().repository_name(repository.as_str());
        let answer =
            request.send().await.map_err(|error| sort(format!("codecommit:GetRepository on {repository}"), error))?;
        Ok(answer.repository_metadata.and_then(|metadata| metadata.default_branch))
    }

    /// What is kept of a repository beside its refs; `None` where there is no such repository.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn repository(&self, repository: &RepositoryName) -> Result<Option<RepositoryInfo>, Failure> {
        let request = self.client.get_repository().repository_name(repository.as_str());
        match request.send().await {
            Ok(answer) => {
                let metadata = answer.repository_metadata;
                Ok(Some(metadata.map_or_else(RepositoryInfo::default, |metadata| RepositoryInfo {
                    default_branch: metadata.default_branch,
                    description: metadata.repository_description.unwrap_or_default(),
                })))
            }
            Err(error) if error.as_service_error().is_some_and(|e| e.is_repository_does_not_exist_exception()) => {
                Ok(None)
            }
            Err(error) => Err(sort(format!("codecommit:GetRepository on {repository}"), error)),
        }
    }

    /// What people wrote about a repository; nothing where there is none.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn description(&self, repository: &RepositoryName) -> Result<String, Failure> {
        let request = self.client.batch_get_repositories().repository_names(repository.as_str());
        let sent = request.send().await;
        let answer = sent.map_err(|error| sort(format!("codecommit:BatchGetRepositories on {repository}"), error))?;
        let first = answer.repositories.unwrap_or_default().into_iter().next();
        Ok(first.and_then(|metadata| metadata.repository_description).unwrap_or_default())
    }

    /// Makes a repository; one that is there already stays as it is.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn create_repository(&self, repository: &RepositoryName, description: &str) -> Result<(), Failure> {
        let request = self.client.create_repository().repository_name(repository.as_str());
        let description = Some(description.to_owned()).filter(|text| !text.is_empty());
        match request.set_repository_description(description).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_repository_name_exists_exception()) => Ok(()),
            Err(error) => Err(sort(format!("codecommit:CreateRepository on {repository}"), error)),
        }
    }

    /// Makes a branch, by its short name, the default one.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn set_default_branch(&self, repository: &RepositoryName, branch: &str) -> Result<(), Failure> {
        let request =
            self.client.update_default_branch().repository_name(repository.as_str()).default_branch_name(branch);
        let sent = request.send().await;
        sent.map(drop).map_err(|error| sort(format!("codecommit:UpdateDefaultBranch on {repository}"), error))
    }

    /// Writes what people read about a repository.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn set_description(&self, repository: &RepositoryName, description: &str) -> Result<(), Failure> {
        let request = self.client.update_repository_description().repository_name(repository.as_str());
        let sent = request.repository_description(description).send().await;
        sent.map(drop).map_err(|error| sort(format!("codecommit:UpdateRepositoryDescription on {repository}"), error))
    }

    /// A commit; `None` where it is not in the repository.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn commit(&self, repository: &RepositoryName, id: &CommitId) -> Result<Option<Commit>, Failure> {
        let doing = format!("codecommit:GetCommit on {repository}");
        let request = self.client.get_commit().repository_name(repository.as_str()).commit_id(id.as_str());
        match request.send().await {
            Ok(answer) => {
                let commit = answer.commit.ok_or_else(|| lacking(&doing, "commit"))?;
                let parents = commit.parents.unwrap_or_default().into_iter().map(|id| commit_id(&doing, id));
                Ok(Some(Commit {
                    id: id.clone(),
                    parents: parents.collect::<Result<_, _>>()?,
                    message: commit.message.unwrap_or_default(),
                    author: commit.author.into(),
                    committer: commit.committer.into(),
                }))
            }
            Err(error) if error.as_service_error().is_some_and(|e| e.is_commit_id_does_not_exist_exception()) => {
                Ok(None)
            }
            Err(error) => Err(sort(doing, error)),
        }
    }

    /// The commit that two histories have in common; `None` where they have none or one side is not there.
    ///
    /// `one` and `other` are commit ids or branch names.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn merge_base(
        &self,
        repository: &RepositoryName,
        one: &str,
        other: &str,
    ) -> Result<Option<CommitId>, Failure> {
        let doing = format!("codecommit:GetMergeCommit on {repository}");
        let request = self
            .client
            .get_merge_commit()
            .repository_name(repository.as_str())
            .source_commit_specifier(one)
            .destination_commit_specifier(other);
        match request.send().await {
            Ok(answer) => answer.base_commit_id.filter(|id| !id.is_empty()).map(|id| commit_id(&doing, id)).transpose(),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_commit_does_not_exist_exception()) => Ok(None),
            Err(error) => Err(sort(doing, error)),
        }
    }
}

fn commit_id(doing: &str, id: String) -> Result<CommitId, Failure> {
    CommitId::parse(id).map_err(|error| unreadable(doing, error))
}
