//! Comments on pull requests and on the difference between two commits, with replies and reactions.
//!
//! They stand in `DIR/state/codecommit-comments.json`. A comment without a comment before it begins a thread; its id is the
//! thread's and its own with a colon between.

mod news;
mod post;
mod reactions;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::names::ObjectId;
use super::repositories::epoch_seconds;
use super::tokens::Tokens;
use crate::error::{Answer, ServiceError};

/// All comments of a region.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Comments {
    last: u64,
    threads: BTreeMap<String, Thread>,
    all: BTreeMap<String, Comment>,
    tokens: Tokens,
}

/// What a comment and all replies to it are about.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Thread {
    repository_id: String,
    pull_request: Option<u64>,
    before: Option<ObjectId>,
    after: ObjectId,
    before_blob: Option<ObjectId>,
    after_blob: Option<ObjectId>,
    location: Option<Location>,
    /// Where it stands among all comments.
    number: u64,
}

/// `Location` of the model: a file, or a line of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Location {
    #[serde(skip_serializing_if = "Option::is_none")]
    file_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_position: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relative_file_version: Option<String>,
}

/// A comment.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Comment {
    id: String,
    thread: String,
    number: u64,
    /// None once it was deleted.
    content: Option<String>,
    in_reply_to: Option<String>,
    created: Timestamp,
    modified: Timestamp,
    author: String,
    token: Option<String>,
    /// The one reaction of each who has one, by ARN.
    reactions: BTreeMap<String, String>,
}

/// `Comment` of the model.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownComment {
    comment_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_reply_to: Option<String>,
    creation_date: f64,
    last_modified_date: f64,
    author_arn: String,
    deleted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_request_token: Option<String>,
    caller_reactions: Vec<String>,
    reaction_counts: BTreeMap<String, usize>,
}

/// What gives one comment.
#[derive(Debug, Serialize)]
pub(super) struct OneComment {
    comment: ShownComment,
}

impl Comment {
    fn shown(&self, caller_arn: &str) -> ShownComment {
        let mut reaction_counts = BTreeMap::new();
        for reaction in self.reactions.values() {
            *reaction_counts.entry(reaction.clone()).or_default() += 1;
        }
        ShownComment {
            comment_id: self.id.clone(),
            content: self.content.clone(),
            in_reply_to: self.in_reply_to.clone(),
            creation_date: epoch_seconds(self.created),
            last_modified_date: epoch_seconds(self.modified),
            author_arn: self.author.clone(),
            deleted: self.content.is_none(),
            client_request_token: self.token.clone(),
            caller_reactions: self.reactions.get(caller_arn).into_iter().cloned().collect(),
            reaction_counts,
        }
    }
}

impl Comments {
    fn find(&self, id: &str) -> Answer<&Comment> {
        self.all.get(id).ok_or_else(|| does_not_exist(id))
    }

    /// A comment that was not deleted.
    fn find_live(&mut self, id: &str) -> Answer<&mut Comment> {
        let found = self.all.get_mut(id).ok_or_else(|| does_not_exist(id))?;
        if found.content.is_some() {
            Ok(found)
        } else {
            Err(ServiceError::bad("CommentDeletedException", format!("the comment {id} was deleted")))
        }
    }

    fn thread(&self, comment: &Comment) -> Answer<&Thread> {
        self.threads.get(&comment.thread).ok_or_else(|| does_not_exist(&comment.id))
    }

    fn next_number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// The id of the repository that a comment was made in.
    pub(super) fn repository_of(&self, id: &str) -> Option<&str> {
        let comment = self.all.get(id)?;
        self.threads.get(&comment.thread).map(|thread| &*thread.repository_id)
    }

    /// Forgets those of a repository that is gone.
    pub(super) fn forget_repository(&mut self, id: &str) {
        self.threads.retain(|_, thread| thread.repository_id != id);
        let threads = &self.threads;
        self.all.retain(|_, comment| threads.contains_key(&comment.thread));
        let all = &self.all;
        self.tokens.retain(|made| all.contains_key(made));
    }
}

/// The id of a comment, as inputs have it.
fn check_comment_id(id: Option<String>) -> Answer<String> {
    let id = id
        .filter(|id| !id.is_empty())
        .ok_or_else(|| ServiceError::bad("CommentIdRequiredException", "the id of a comment is required"))?;
    let is_uuid = |text: &str| text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if id.split_once(':').is_some_and(|(thread, comment)| is_uuid(thread) && is_uuid(comment)) {
        Ok(id)
    } else {
        Err(ServiceError::bad("InvalidCommentIdException", format!("{id:?} is not the id of a comment")))
    }
}

fn does_not_exist(id: &str) -> ServiceError {
    ServiceError::bad("CommentDoesNotExistException", format!("there is no comment {id}"))
}
