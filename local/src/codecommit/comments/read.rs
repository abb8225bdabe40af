//! Comments are read: one, those of a pull request, those of two commits.

use serde::{Deserialize, Serialize};
use signalbox_events::RepositoryName;

use super::super::names::{ObjectId, check_commit_id, check_size};
use super::super::pull_requests::{check_id, not_associated};
use super::super::repositories::{Repositories, Repository, no_such_page};
use super::{Comment, Location, OneComment, ShownComment, Thread, check_comment_id};
use crate::auth::Caller;
use crate::error::{Answer, ServiceError};
use crate::paging::{Listing, Order};

/// The page of an input that says nothing, as documented.
const PAGE: i64 = 100;
/// The largest page, as documented.
const LARGEST_PAGE: usize = 500;

/// An input that only names a comment.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct OneId {
    pub(super) comment_id: Option<String>,
}

/// `GetCommentsForPullRequest`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct OfPullRequest {
    pull_request_id: Option<String>,
    repository_name: Option<String>,
    before_commit_id: Option<String>,
    after_commit_id: Option<String>,
    next_token: Option<String>,
    max_results: Option<i64>,
}

/// `GetCommentsForComparedCommit`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct OfComparedCommit {
    repository_name: Option<String>,
    before_commit_id: Option<String>,
    after_commit_id: Option<String>,
    next_token: Option<String>,
    max_results: Option<i64>,
}

/// The output of `GetCommentsForPullRequest`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct CommentsOfPullRequest {
    comments_for_pull_request_data: Vec<ShownThread>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// The output of `GetCommentsForComparedCommit`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct CommentsOfComparedCommit {
    comments_for_compared_commit_data: Vec<ShownThread>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// `CommentsForPullRequest` and `CommentsForComparedCommit` of the model.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownThread {
    #[serde(skip_serializing_if = "Option::is_none")]
    pull_request_id: Option<String>,
    repository_name: RepositoryName,
    #[serde(skip_serializing_if = "Option::is_none")]
    before_commit_id: Option<ObjectId>,
    after_commit_id: ObjectId,
    #[serde(skip_serializing_if = "Option::is_none")]
    before_blob_id: Option<ObjectId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after_blob_id: Option<ObjectId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Location>,
    comments: Vec<ShownComment>,
}

impl ShownThread {
    fn new(thread: Thread, repository: &RepositoryName) -> Self {
        Self {
            pull_request_id: thread.pull_request.map(|id| id.to_string()),
            repository_name: repository.clone(),
            before_commit_id: thread.before,
            after_commit_id: thread.after,
            before_blob_id: thread.before_blob,
            after_blob_id: thread.after_blob,
            location: thread.location,
            comments: Vec::new(),
        }
    }
}

/// Where a page of comments begins and how many it holds.
struct Window<'a> {
    listing: Listing<'a>,
    size: usize,
    token: Option<String>,
}

impl Repositories {
    /// A comment that was deleted is only shown among the others.
    pub(in crate::codecommit) fn get_comment(&self, input: OneId, caller: &Caller) -> Answer<OneComment> {
        let id = check_comment_id(input.comment_id)?;
        self.comments.read(|all| {
            let comment = all.find(&id)?;
            if comment.content.is_none() {
                return Err(ServiceError::bad("CommentDeletedException", format!("the comment {id} was deleted")));
            }
            Ok(OneComment { comment: comment.shown(&caller.arn) })
        })
    }

    /// The repository and both commits come together, or none of them.
    pub(in crate::codecommit) async fn get_comments_for_pull_request(
        &self,
        input: OfPullRequest,
        caller: &Caller,
    ) -> Answer<CommentsOfPullRequest> {
        let id = check_id(input.pull_request_id)?;
        let size = check_size(Some(input.max_results.unwrap_or(PAGE)), LARGEST_PAGE, "InvalidMaxResultsException")?;
        let (one, repository) = self.pull_request(id)?;
        let named = [&input.repository_name, &input.before_commit_id, &input.after_commit_id];
        let commits = if named.iter().any(|member| member.is_some()) {
            let asked = self.named(input.repository_name)?;
            if asked.id != one.repository_id {
                return Err(not_associated(id, &asked));
            }
            let before = self.known_commit(&repository, input.before_commit_id).await?;
            let after = self.known_commit(&repository, input.after_commit_id).await?;
            Some((before, after))
        } else {
            None
        };
        let filter = commits.as_ref().map_or_else(String::new, |(before, after)| format!("{before} {after}"));
        let listing = self.world.listing("codecommit:GetCommentsForPullRequest", &[&id.to_string(), &filter]);
        let window = Window { listing, size, token: input.next_token };
        let is_wanted = |thread: &Thread| {
            thread.pull_request == Some(id)
                && commits
                    .as_ref()
                    .is_none_or(|(before, after)| thread.before.as_ref() == Some(before) && thread.after == *after)
        };
        let (comments_for_pull_request_data, next_token) = self.page_of(&repository, is_wanted, window, caller)?;
        Ok(CommentsOfPullRequest { comments_for_pull_request_data, next_token })
    }

    pub(in crate::codecommit) async fn get_comments_for_compared_commit(
        &self,
        input: OfComparedCommit,
        caller: &Caller,
    ) -> Answer<CommentsOfComparedCommit> {
        let repository = self.named(input.repository_name)?;
        let size = check_size(Some(input.max_results.unwrap_or(PAGE)), LARGEST_PAGE, "InvalidMaxResultsException")?;
        let before = match input.before_commit_id {
            Some(id) => Some(self.known_commit(&repository, Some(id)).await?),
            None => None,
        };
        let after = self.known_commit(&repository, input.after_commit_id).await?;
        let filters = [&*repository.id, before.as_ref().map_or("", ObjectId::as_str), after.as_str()];
        let listing = self.world.listing("codecommit:GetCommentsForComparedCommit", &filters);
        let window = Window { listing, size, token: input.next_token };
        let is_wanted = |thread: &Thread| {
            thread.repository_id == repository.id
                && thread.pull_request.is_none()
                && thread.before == before
                && thread.after == after
        };
        let (comments_for_compared_commit_data, next_token) = self.page_of(&repository, is_wanted, window, caller)?;
        Ok(CommentsOfComparedCommit { comments_for_compared_commit_data, next_token })
    }

    async fn known_commit(&self, repository: &Repository, id: Option<String>) -> Answer<ObjectId> {
        let id = check_commit_id(id)?;
        self.commit(repository, Some(id.to_string())).await
    }

    /// A page counts comments; those of one thread that follow each other are shown as one.
    fn page_of(
        &self,
        repository: &Repository,
        is_wanted: impl Fn(&Thread) -> bool,
        window: Window<'_>,
        caller: &Caller,
    ) -> Answer<(Vec<ShownThread>, Option<String>)> {
        let mut wanted: Vec<(u64, Thread, Comment)> = self.comments.read(|all| {
            let comments = all.all.values().filter_map(|comment| {
                let thread = all.threads.get(&comment.thread).filter(|thread| is_wanted(thread))?;
                Some((thread.number, thread.clone(), comment.clone()))
            });
            comments.collect()
        });
        wanted.sort_by_key(|(thread, _, comment)| (*thread, comment.number));
        let keyed = wanted
            .into_iter()
            .map(|(number, thread, comment)| (format!("{number:020}{:020}", comment.number), (thread, comment)));
        let Window { listing, size, token } = window;
        let (page, next_token) = listing.page(keyed, Order::Ascending, size, token.as_deref()).map_err(no_such_page)?;
        let mut threads: Vec<(u64, ShownThread)> = Vec::new();
        for (thread, comment) in page {
            let shown = comment.shown(&caller.arn);
            match threads.last_mut() {
                Some((number, last)) if *number == thread.number => last.comments.push(shown),
                _ => {
                    let number = thread.number;
                    let mut begun = ShownThread::new(thread, &repository.name);
                    begun.comments.push(shown);
                    threads.push((number, begun));
                }
            }
        }
        Ok((threads.into_iter().map(|(_, thread)| thread).collect(), next_token))
    }
}
