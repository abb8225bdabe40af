//! CodeCommit's pull requests and the comments on them, read and answered.

use aws_sdk_codecommit::operation::get_pull_request::GetPullRequestOutput;
use aws_sdk_codecommit::types::{
    self, ConflictDetailLevelTypeEnum, ConflictResolutionStrategyTypeEnum, MergeOptionTypeEnum, PullRequestStatusEnum,
    PullRequestTarget,
};
use signalbox_events::{
    Arn, CommentId, CommitId, PullRequestId, PullRequestState, RefName, RepositoryName, RevisionId,
};

use super::{CodeCommit, commit_id};
use crate::Failure;
use crate::failure::{lacking, sort, unreadable};

/// CodeCommit would not look: the two are too far apart, or too much of them differs.
const TOO_MUCH: &[&str] = &[
    "MaximumFileContentToLoadExceededException",
    "MaximumItemsToCompareExceededException",
    "TipsDivergenceExceededException",
];

/// A pull request, as far as it tells where a commit comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedPullRequest {
    /// Its number.
    pub id: PullRequestId,
    /// What it was merged into, by full name.
    pub into: String,
    /// What the merge came to: the merge commit, or the tip of the source for a fast-forward.
    pub commit: CommitId,
    /// Whether CodeCommit made that commit.
    pub is_made: bool,
}

/// A pull request as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// Whether it is open, and how it ended.
    pub state: PullRequestState,
    /// The revision that votes are for; every push to the source branch makes another.
    pub revision: RevisionId,
    /// The source branch, by full name.
    pub source: RefName,
    /// Its tip.
    pub source_commit: CommitId,
    /// The target branch, by full name.
    pub into: RefName,
    /// Its tip, as the pull request tells it.
    pub into_commit: CommitId,
    /// The merge base of the two; `None` where they have none.
    pub base: Option<CommitId>,
    /// Who made it.
    pub author: Option<Arn>,
    /// Its title.
    pub title: String,
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommentText {
    /// What it says.
    pub text: String,
    /// Who wrote it.
    pub author: Option<Arn>,
}

/// What a merge of two commits would meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merges {
    /// Nothing in its way.
    Cleanly,
    /// Both changed the same lines.
    WithConflicts,
    /// CodeCommit will not tell, and why.
    Untold(String),
    /// One of the two is not there any more.
    Gone,
}

/// What came of an answer to a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replied {
    /// It is there: made now, or before with the same token.
    There,
    /// The comment is gone.
    CommentGone,
}

impl CodeCommit {
    /// The numbers of the closed pull requests, the newest first as far as numbers tell, every page of them.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn closed_pull_requests(&self, repository: &RepositoryName) -> Result<Vec<PullRequestId>, Failure> {
        let mut found = self.list_pull_requests(repository, PullRequestStatusEnum::Closed).await?;
        found.sort_by_key(|id| std::cmp::Reverse(id.as_str().parse::<u64>().unwrap_or_default()));
        Ok(found)
    }

    /// The numbers of the open pull requests, in no promised order, every page of them.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn open_pull_requests(&self, repository: &RepositoryName) -> Result<Vec<PullRequestId>, Failure> {
        self.list_pull_requests(repository, PullRequestStatusEnum::Open).await
    }

    async fn list_pull_requests(
        &self,
        repository: &RepositoryName,
        status: PullRequestStatusEnum,
    ) -> Result<Vec<PullRequestId>, Failure> {
        let doing = format!("codecommit:ListPullRequests on {repository}");
        let mut found = Vec::new();
        let mut token = None;
        loop {
            let request = self
                .client
                .list_pull_requests()
                .repository_name(repository.as_str())
                .pull_request_status(status.clone())
                .set_max_results(self.page)
                .set_next_token(token);
            let answer = request.send().await.map_err(|error| sort(&doing, error))?;
            for id in answer.pull_request_ids {
                found.push(PullRequestId::parse(id).map_err(|error| unreadable(&doing, error))?);
            }
            token = answer.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(found);
            }
        }
    }

    /// What CodeCommit says of a pull request; `None` where there is none.
    pub(super) async fn get_pull_request(&self, id: &PullRequestId) -> Result<Option<GetPullRequestOutput>, Failure> {
        match self.client.get_pull_request().pull_request_id(id.as_str()).send().await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_pull_request_does_not_exist_exception()) => {
                Ok(None)
            }
            Err(error) => Err(sort(reading(id), error)),
        }
    }

    /// A pull request of this repository as it stands; `None` where there is none.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn pull_request(
        &self,
        repository: &RepositoryName,
        id: &PullRequestId,
    ) -> Result<Option<PullRequest>, Failure> {
        let Some(answer) = self.get_pull_request(id).await? else { return Ok(None) };
        let found = answer.pull_request.ok_or_else(|| lacking(&reading(id), "pullRequest"))?;
        let targets = found.pull_request_targets.clone().unwrap_or_default();
        let ours = targets.into_iter().find(|target| target.repository_name.as_deref() == Some(repository.as_str()));
        let Some(target) = ours else { return Ok(None) };
        read_pull_request(id, found, target).map(Some)
    }

    /// What the merge of a pull request came to in this repository; `None` where it was not merged.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn merged_pull_request(
        &self,
        repository: &RepositoryName,
        id: &PullRequestId,
    ) -> Result<Option<MergedPullRequest>, Failure> {
        let Some(answer) = self.get_pull_request(id).await? else { return Ok(None) };
        let targets = answer.pull_request.and_then(|found| found.pull_request_targets).unwrap_or_default();
        let ours = targets.into_iter().find(|target| target.repository_name.as_deref() == Some(repository.as_str()));
        let Some(target) = ours else { return Ok(None) };
        let Some(merge) = target.merge_metadata.filter(|merge| merge.is_merged) else { return Ok(None) };
        // A fast-forward makes no commit of its own.
        let made = merge.merge_commit_id.filter(|id| !id.is_empty());
        let is_made = made.is_some() && made != target.source_commit;
        let commit = made.or(target.source_commit);
        let (Some(commit), Some(into)) = (commit, target.destination_reference) else { return Ok(None) };
        let into = if into.starts_with("refs/") { into } else { format!("refs/heads/{into}") };
        Ok(Some(MergedPullRequest { id: id.clone(), into, commit: commit_id(&reading(id), commit)?, is_made }))
    }

    /// A comment; `None` where there is none any more.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn comment(&self, id: &CommentId) -> Result<Option<CommentText>, Failure> {
        match self.client.get_comment().comment_id(id.as_str()).send().await {
            Ok(answer) => Ok(answer.comment.filter(|comment| !comment.deleted).map(|comment| CommentText {
                text: comment.content.unwrap_or_default(),
                author: comment.author_arn.and_then(|arn| Arn::parse(arn).ok()),
            })),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|e| e.is_comment_does_not_exist_exception() || e.is_comment_deleted_exception()) =>
            {
                Ok(None)
            }
            Err(error) => Err(sort(format!("codecommit:GetComment {id}"), error)),
        }
    }

    /// Answers a comment. The same token makes no second answer, whatever it says.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn reply(&self, to: &CommentId, text: &str, token: &str) -> Result<Replied, Failure> {
        let request = self.client.post_comment_reply().in_reply_to(to.as_str());
        match request.content(text).client_request_token(token).send().await {
            Ok(_) => Ok(Replied::There),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_idempotency_parameter_mismatch_exception()) => {
                Ok(Replied::There)
            }
            Err(error) if error.as_service_error().is_some_and(|e| e.is_comment_does_not_exist_exception()) => {
                Ok(Replied::CommentGone)
            }
            Err(error) => Err(sort(format!("codecommit:PostCommentReply to {to}"), error)),
        }
    }

    /// What a merge of `source` into `destination` would meet, line by line, as git merges.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn merges(
        &self,
        repository: &RepositoryName,
        source: &CommitId,
        destination: &CommitId,
    ) -> Result<Merges, Failure> {
        let request = self
            .client
            .get_merge_conflicts()
            .repository_name(repository.as_str())
            .source_commit_specifier(source.as_str())
            .destination_commit_specifier(destination.as_str())
            .merge_option(MergeOptionTypeEnum::ThreeWayMerge)
            .conflict_detail_level(ConflictDetailLevelTypeEnum::LineLevel)
            .conflict_resolution_strategy(ConflictResolutionStrategyTypeEnum::None)
            .max_conflict_files(1);
        match request.send().await {
            Ok(answer) => Ok(if answer.mergeable { Merges::Cleanly } else { Merges::WithConflicts }),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_commit_does_not_exist_exception()) => {
                Ok(Merges::Gone)
            }
            Err(error) => {
                let failure = sort(format!("codecommit:GetMergeConflicts on {repository}"), error);
                match failure.code() {
                    Some(code) if TOO_MUCH.contains(&code) => Ok(Merges::Untold(failure.to_string())),
                    _ => Err(failure),
                }
            }
        }
    }
}

/// What is done when a pull request is read, as failures name it.
pub(super) fn reading(id: &PullRequestId) -> String {
    format!("codecommit:GetPullRequest {id}")
}

/// A pull request as it stands, by what CodeCommit says of it and of its target.
pub(super) fn read_pull_request(
    id: &PullRequestId,
    found: types::PullRequest,
    target: PullRequestTarget,
) -> Result<PullRequest, Failure> {
    let doing = reading(id);
    let is_merged = target.merge_metadata.is_some_and(|merge| merge.is_merged);
    let required = |value: Option<String>, member| value.ok_or_else(|| lacking(&doing, member));
    let branch = |name: String| {
        let full = if name.starts_with("refs/") { RefName::parse(name) } else { RefName::branch(&name) };
        full.map_err(|error| unreadable(&doing, error))
    };
    let revision = RevisionId::parse(required(found.revision_id, "revisionId")?);
    let base = target.merge_base.filter(|id| !id.is_empty());
    Ok(PullRequest {
        state: match (is_merged, found.pull_request_status) {
            (true, _) => PullRequestState::Merged,
            (false, Some(PullRequestStatusEnum::Open)) => PullRequestState::Open,
            (false, Some(PullRequestStatusEnum::Closed)) => PullRequestState::Closed,
            (false, other) => return Err(unreadable(&doing, format!("its status is {other:?}"))),
        },
        revision: revision.map_err(|error| unreadable(&doing, error))?,
        source: branch(required(target.source_reference, "sourceReference")?)?,
        source_commit: commit_id(&doing, required(target.source_commit, "sourceCommit")?)?,
        into: branch(required(target.destination_reference, "destinationReference")?)?,
        into_commit: commit_id(&doing, required(target.destination_commit, "destinationCommit")?)?,
        base: base.map(|id| commit_id(&doing, id)).transpose()?,
        // Who made it is only told: an ARN that cannot be read is nobody.
        author: found.author_arn.and_then(|arn| Arn::parse(arn).ok()),
        title: found.title.unwrap_or_default(),
    })
}
