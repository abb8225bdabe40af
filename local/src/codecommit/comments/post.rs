//! Comments are made, answered, changed and deleted.

use serde::{Deserialize, Serialize};
use serde_json::json;
use signalbox_events::RepositoryName;

use super::super::names::{ObjectId, check_commit_id, check_path};
use super::super::pull_requests::{check_id, not_associated};
use super::super::repositories::{Repositories, Repository};
use super::super::tokens::{Request, check_token};
use super::news::Change;
use super::read::OneId;
use super::{Comment, Location, OneComment, ShownComment, Thread, check_comment_id};
use crate::auth::Caller;
use crate::error::{Answer, ServiceError};

/// Longest comment, in characters.
const LONGEST: usize = 10_240;

/// `PostCommentForPullRequest`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct ForPullRequest {
    pull_request_id: Option<String>,
    repository_name: Option<String>,
    before_commit_id: Option<String>,
    after_commit_id: Option<String>,
    location: Option<Location>,
    content: Option<String>,
    client_request_token: Option<String>,
}

/// `PostCommentForComparedCommit`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct ForComparedCommit {
    repository_name: Option<String>,
    before_commit_id: Option<String>,
    after_commit_id: Option<String>,
    location: Option<Location>,
    content: Option<String>,
    client_request_token: Option<String>,
}

/// `PostCommentReply`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct Reply {
    in_reply_to: Option<String>,
    client_request_token: Option<String>,
    content: Option<String>,
}

/// `UpdateComment`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct Update {
    comment_id: Option<String>,
    content: Option<String>,
}

/// The output of both posts.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct Posted {
    repository_name: RepositoryName,
    #[serde(skip_serializing_if = "Option::is_none")]
    pull_request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before_commit_id: Option<ObjectId>,
    after_commit_id: ObjectId,
    #[serde(skip_serializing_if = "Option::is_none")]
    before_blob_id: Option<ObjectId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after_blob_id: Option<ObjectId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Location>,
    comment: ShownComment,
}

/// A comment that begins a thread.
struct Draft {
    repository: Repository,
    pull_request: Option<u64>,
    before: Option<ObjectId>,
    after: ObjectId,
    location: Option<Location>,
    content: String,
    token: Option<String>,
}

impl Repositories {
    /// Also on a pull request that is closed, and on any two commits.
    pub(in crate::codecommit) async fn post_comment_for_pull_request(
        &self,
        input: ForPullRequest,
        caller: &Caller,
    ) -> Answer<Posted> {
        let id = check_id(input.pull_request_id)?;
        let repository = self.named(input.repository_name)?;
        let before = check_commit_id(input.before_commit_id)?;
        let after = check_commit_id(input.after_commit_id)?;
        let content = check_content(input.content)?;
        let token = check_token(input.client_request_token)?;
        let one = self.pull_requests.read(|all| all.find(id).cloned())?;
        if one.repository_id != repository.id {
            return Err(not_associated(id, &repository));
        }
        let (before, location) = (Some(before), input.location);
        let draft = Draft { repository, pull_request: Some(id), before, after, location, content, token };
        self.post(draft, caller).await
    }

    pub(in crate::codecommit) async fn post_comment_for_compared_commit(
        &self,
        input: ForComparedCommit,
        caller: &Caller,
    ) -> Answer<Posted> {
        let repository = self.named(input.repository_name)?;
        let before = input.before_commit_id.map(|id| check_commit_id(Some(id))).transpose()?;
        let after = check_commit_id(input.after_commit_id)?;
        let content = check_content(input.content)?;
        let token = check_token(input.client_request_token)?;
        let location = input.location;
        let draft = Draft { repository, pull_request: None, before, after, location, content, token };
        self.post(draft, caller).await
    }

    async fn post(&self, draft: Draft, caller: &Caller) -> Answer<Posted> {
        let Draft { repository, pull_request, before, after, location, content, token } = draft;
        if before.as_ref() == Some(&after) {
            return Err(ServiceError::bad(
                "BeforeCommitIdAndAfterCommitIdAreSameException",
                format!("{after} is compared with itself"),
            ));
        }
        for commit in before.iter().chain([&after]) {
            self.commit(&repository, Some(commit.to_string())).await?;
        }
        let (location, before_blob, after_blob) = self.locate(&repository, location, before.as_ref(), &after).await?;
        let asked = json!({
            "repository": repository.id, "pull_request": pull_request, "before": before, "after": after,
            "location": location, "content": content,
        });
        let request = Request::new(&caller.arn, token.as_deref(), &asked);
        let now = self.world.now();
        let (comment, thread, is_new) = self.comments.change(|all| -> Answer<(Comment, Thread, bool)> {
            if let Some(made) = all.tokens.find(request.as_ref())? {
                let comment = all.find(made)?.clone();
                let thread = all.thread(&comment)?.clone();
                return Ok((comment, thread, false));
            }
            let (thread_id, number) = (self.world.uuid(), all.next_number());
            let comment = Comment {
                id: format!("{thread_id}:{}", self.world.uuid()),
                thread: thread_id.clone(),
                number,
                content: Some(content),
                in_reply_to: None,
                created: now,
                modified: now,
                author: caller.arn.clone(),
                token,
                reactions: Default::default(),
            };
            let thread = Thread {
                repository_id: repository.id.clone(),
                pull_request,
                before,
                after,
                before_blob,
                after_blob,
                location,
                number,
            };
            all.threads.insert(thread_id, thread.clone());
            all.all.insert(comment.id.clone(), comment.clone());
            all.tokens.note(request, &*comment.id);
            Ok((comment, thread, true))
        })?;
        if is_new {
            self.tell_comment(&comment, &thread, Change::Created, caller);
        }
        Ok(Posted {
            repository_name: repository.name,
            pull_request_id: thread.pull_request.map(|id| id.to_string()),
            before_commit_id: thread.before,
            after_commit_id: thread.after,
            before_blob_id: thread.before_blob,
            after_blob_id: thread.after_blob,
            location: thread.location,
            comment: comment.shown(&caller.arn),
        })
    }

    /// Looks whether there is such a place; gives it with the blobs of its file before and after.
    async fn locate(
        &self,
        repository: &Repository,
        location: Option<Location>,
        before: Option<&ObjectId>,
        after: &ObjectId,
    ) -> Answer<(Option<Location>, Option<ObjectId>, Option<ObjectId>)> {
        let Some(location) = location else { return Ok((None, None, None)) };
        if location == (Location { file_path: None, file_position: None, relative_file_version: None }) {
            return Err(ServiceError::bad("InvalidFileLocationException", "the location says nothing"));
        }
        let path = check_path(location.file_path)?;
        let (mut blobs, mut there) = ([None, None], false);
        for (blob, commit) in blobs.iter_mut().zip([before, Some(after)]) {
            if let Some(commit) = commit {
                *blob = self.blob_at(repository, commit, &path).await?;
                there |= blob.is_some();
            }
        }
        if !there {
            return Err(ServiceError::bad(
                "PathDoesNotExistException",
                format!("there is no file {path} in these commits"),
            ));
        }
        let [before_blob, after_blob] = blobs;
        let version = location.relative_file_version;
        let of_version = match version.as_deref() {
            None => None,
            Some("BEFORE") => before_blob.as_ref(),
            Some("AFTER") => after_blob.as_ref(),
            Some(other) => {
                return Err(bad_version(format!("{other:?} is neither BEFORE nor AFTER")));
            }
        };
        if version.is_some() && of_version.is_none() {
            return Err(bad_version(format!("there is no {path} on that side")));
        }
        if let Some(position) = location.file_position {
            let blob =
                of_version.ok_or_else(|| bad_version("a position is one in the file BEFORE or AFTER".to_owned()))?;
            let content = self.read_blobs(repository, std::slice::from_ref(blob)).await?.pop().unwrap_or_default();
            let lines = content.split_inclusive(|byte| *byte == b'\n').count();
            if !usize::try_from(position).is_ok_and(|position| (1..=lines).contains(&position)) {
                return Err(ServiceError::bad(
                    "InvalidFilePositionException",
                    format!("{path} has {lines} lines; there is no line {position}"),
                ));
            }
        }
        let location =
            Location { file_path: Some(path), file_position: location.file_position, relative_file_version: version };
        Ok((Some(location), before_blob, after_blob))
    }

    pub(in crate::codecommit) fn post_reply(&self, input: Reply, caller: &Caller) -> Answer<OneComment> {
        let in_reply_to = check_comment_id(input.in_reply_to)?;
        let content = check_content(input.content)?;
        let token = check_token(input.client_request_token)?;
        let asked = json!({ "in_reply_to": in_reply_to, "content": content });
        let request = Request::new(&caller.arn, token.as_deref(), &asked);
        let now = self.world.now();
        let (comment, thread, is_new) = self.comments.change(|all| -> Answer<(Comment, Thread, bool)> {
            let answered = all.find(&in_reply_to)?.clone();
            let thread = all.thread(&answered)?.clone();
            if let Some(made) = all.tokens.find(request.as_ref())? {
                return Ok((all.find(made)?.clone(), thread, false));
            }
            let comment = Comment {
                id: format!("{}:{}", answered.thread, self.world.uuid()),
                thread: answered.thread,
                number: all.next_number(),
                content: Some(content),
                in_reply_to: Some(in_reply_to),
                created: now,
                modified: now,
                author: caller.arn.clone(),
                token,
                reactions: Default::default(),
            };
            all.all.insert(comment.id.clone(), comment.clone());
            all.tokens.note(request, &*comment.id);
            Ok((comment, thread, true))
        })?;
        if is_new {
            self.tell_comment(&comment, &thread, Change::Created, caller);
        }
        Ok(OneComment { comment: comment.shown(&caller.arn) })
    }

    /// Nobody changes what somebody else said.
    pub(in crate::codecommit) fn update_comment(&self, input: Update, caller: &Caller) -> Answer<OneComment> {
        let id = check_comment_id(input.comment_id)?;
        let content = check_content(input.content)?;
        let now = self.world.now();
        let (comment, thread) = self.comments.change(|all| -> Answer<(Comment, Thread)> {
            let comment = all.find_live(&id)?;
            if comment.author != caller.arn {
                return Err(ServiceError::bad(
                    "CommentNotCreatedByCallerException",
                    format!("the comment {id} was made by {}", comment.author),
                ));
            }
            comment.content = Some(content);
            comment.modified = now;
            let comment = comment.clone();
            let thread = all.thread(&comment)?.clone();
            Ok((comment, thread))
        })?;
        self.tell_comment(&comment, &thread, Change::Updated, caller);
        Ok(OneComment { comment: comment.shown(&caller.arn) })
    }

    /// Whoever is permitted to may delete any comment's content: the model has no code for "not yours" here.
    pub(in crate::codecommit) fn delete_comment_content(&self, input: OneId, caller: &Caller) -> Answer<OneComment> {
        let id = check_comment_id(input.comment_id)?;
        let now = self.world.now();
        let comment = self.comments.change(|all| -> Answer<Comment> {
            let comment = all.find_live(&id)?;
            comment.content = None;
            comment.modified = now;
            Ok(comment.clone())
        })?;
        Ok(OneComment { comment: comment.shown(&caller.arn) })
    }
}

fn check_content(content: Option<String>) -> Answer<String> {
    let content = content
        .filter(|content| !content.trim().is_empty())
        .ok_or_else(|| ServiceError::bad("CommentContentRequiredException", "a comment must say something"))?;
    if content.chars().count() > LONGEST {
        return Err(ServiceError::bad(
            "CommentContentSizeLimitExceededException",
            format!("the comment is longer than {LONGEST} characters"),
        ));
    }
    Ok(content)
}

fn bad_version(what: String) -> ServiceError {
    ServiceError::bad("InvalidRelativeFileVersionEnumException", what)
}
