//! Comments on commits and pull requests, and reactions to them.

use serde::{Deserialize, Serialize};

use super::{COMMENT_ON_COMMIT, COMMENT_ON_PULL_REQUEST, REACTION, event_word, unexpected_event};
use crate::error::ParseError;
use crate::fields::Fields;
use crate::names::{Arn, CommentId, CommitId, PullRequestId, RepositoryName};

pub(super) const ON_COMMIT_EVENTS: &[&str] = &["commentOnCommitCreated", "commentOnCommitUpdated"];
pub(super) const ON_PULL_REQUEST_EVENTS: &[&str] = &["commentOnPullRequestCreated", "commentOnPullRequestUpdated"];
pub(super) const REACTION_EVENTS: &[&str] = &["commentReactionCreated", "commentReactionUpdated"];

/// A comment was made or changed. The event never carries its text: `GetComment` does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// The repository.
    pub repository: RepositoryName,
    /// Its UUID.
    pub repository_id: Option<String>,
    /// The comment.
    pub comment: CommentId,
    /// Whether it is new.
    pub change: CommentChange,
    /// The comment that it answers, when it is a reply.
    pub in_reply_to: Option<CommentId>,
    /// The older side of what was compared; absent where a commit was looked at alone.
    pub before: Option<CommitId>,
    /// The newer side of what was compared.
    pub after: CommitId,
    /// Who wrote it.
    pub caller: Option<Arn>,
    /// The writer's name, where the session carries such a tag.
    pub caller_name: Option<String>,
    /// The writer's mail address, where the session carries such a tag.
    pub caller_email: Option<String>,
}

/// A comment on a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequestComment {
    /// The pull request.
    pub pull_request: PullRequestId,
    /// The comment.
    pub comment: Comment,
}

/// Somebody reacted to a comment, or took that back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommentReaction {
    /// The repository.
    pub repository: RepositoryName,
    /// Its UUID.
    pub repository_id: Option<String>,
    /// The comment.
    pub comment: CommentId,
    /// Whether the reaction is new.
    pub change: CommentChange,
    /// The reactions as emojis.
    pub emojis: Vec<String>,
    /// The same as short codes, such as `:thumbsup:`.
    pub shortcodes: Vec<String>,
    /// The same as code points, such as `U+1F44D`.
    pub unicodes: Vec<String>,
    /// Who reacted.
    pub caller: Option<Arn>,
}

/// Whether something is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommentChange {
    /// It is new.
    Created,
    /// It was there before.
    Updated,
}

impl CommentChange {
    fn parse(
        detail: &Fields<'_>,
        detail_type: &'static str,
        events: &'static [&'static str],
    ) -> Result<Self, ParseError> {
        let event = event_word(detail)?;
        match events.iter().position(|known| *known == event) {
            Some(0) => Ok(Self::Created),
            Some(_) => Ok(Self::Updated),
            None => Err(unexpected_event(detail, event, detail_type, events)),
        }
    }
}

impl Comment {
    pub(crate) fn parse_on_commit(detail: &Fields<'_>) -> Result<Self, ParseError> {
        Self::parse(detail, CommentChange::parse(detail, COMMENT_ON_COMMIT, ON_COMMIT_EVENTS)?)
    }

    fn parse(detail: &Fields<'_>, change: CommentChange) -> Result<Self, ParseError> {
        Ok(Self {
            repository: detail.name("repositoryName")?,
            repository_id: detail.optional_string("repositoryId")?,
            comment: detail.name("commentId")?,
            change,
            in_reply_to: detail.optional_name("inReplyTo")?,
            before: detail.optional_name("beforeCommitId")?,
            after: detail.name("afterCommitId")?,
            caller: detail.optional_name("callerUserArn")?,
            caller_name: detail.optional_string("displayName")?,
            caller_email: detail.optional_string("emailAddress")?,
        })
    }
}

impl PullRequestComment {
    pub(crate) fn parse(detail: &Fields<'_>) -> Result<Self, ParseError> {
        let change = CommentChange::parse(detail, COMMENT_ON_PULL_REQUEST, ON_PULL_REQUEST_EVENTS)?;
        Ok(Self { pull_request: detail.name("pullRequestId")?, comment: Comment::parse(detail, change)? })
    }
}

impl CommentReaction {
    pub(crate) fn parse(detail: &Fields<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            repository: detail.name("repositoryName")?,
            repository_id: detail.optional_string("repositoryId")?,
            comment: detail.name("commentId")?,
            change: CommentChange::parse(detail, REACTION, REACTION_EVENTS)?,
            emojis: detail.texts("reactionEmojis")?,
            shortcodes: detail.texts("reactionShortcodes")?,
            unicodes: detail.texts("reactionUnicodes")?,
            caller: detail.optional_name("callerUserArn")?,
        })
    }
}
