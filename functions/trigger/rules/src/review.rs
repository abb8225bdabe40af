//! What is known of a pull request, and of a comment on one.
//!
//! An event only says that there is something to look at: what is decided on is the pull request as it stands. So events
//! may come late, twice and in any order.

use serde::{Deserialize, Serialize};
use signalbox_events::{
    Arn, CheckState, CommentChange, CommentId, CommitId, Detail, Event, EventId, PullRequestEvent, PullRequestId,
    PullRequestState, RefName, RepositoryName, RevisionId,
};

use crate::facts::Push;

/// What an event says of a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The repository.
    pub repository: RepositoryName,
    /// The pull request's number.
    pub pull_request: PullRequestId,
    /// What happened.
    pub what: What,
    /// Who did it, where the event says so.
    pub by: Option<Arn>,
}

/// What happened to a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It was made, or its source branch moved; one is looked at like the other.
    Revised {
        /// The target branch: it never changes.
        into: RefName,
        /// The revision that the event tells of, which need not be the newest.
        revision: Option<RevisionId>,
    },
    /// Its target branch has moved, and the approver wants its merge results built anew.
    Stale,
    /// Somebody wrote a comment.
    Commented {
        /// The comment. No event says what it says.
        comment: CommentId,
    },
}

/// Everything that is known of a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// What the event says.
    pub subject: Subject,
    /// Who wrote the comment, for one.
    #[serde(default)]
    pub writer: Writer,
    /// The lines of the comment that begin with a slash; `None` where nobody has read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<Vec<String>>,
    /// The pull request as it stands.
    pub pull_request: Looked,
    /// What a merge into the target branch would meet; `None` where nobody asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<Merge>,
}

/// Whose comment it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Writer {
    /// A person's, or another program's.
    #[default]
    Somebody,
    /// The stack's own: it is never answered.
    Ourselves,
}

/// A pull request, as far as it was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Looked {
    /// Nobody has looked yet.
    NotYet,
    /// There is none of this number in this repository.
    Gone,
    /// It is there.
    There(Box<PullRequest>),
}

/// A pull request as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// Whether it is open, and how it ended.
    pub state: PullRequestState,
    /// Its revision.
    pub revision: RevisionId,
    /// The source branch.
    pub source: RefName,
    /// The tip of it.
    pub source_commit: CommitId,
    /// The target branch.
    pub into: RefName,
    /// The tip of it, as the pull request tells; it may have moved on.
    pub into_commit: CommitId,
    /// Where the source branch left the target branch; `None` where they have no history in common.
    pub base: Option<CommitId>,
    /// Who made it.
    pub author: Option<Arn>,
    /// Its title.
    pub title: String,
}

/// What a merge of the source's tip into the target branch would meet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merge {
    /// The tip of the target branch; `None` where the branch is gone.
    pub with: Option<CommitId>,
    /// What the merge would meet.
    pub meets: Meets,
}

/// What a merge would meet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meets {
    /// Nothing in its way.
    Nothing,
    /// Both sides changed the same lines.
    Conflicts,
    /// CodeCommit will not tell: the build itself will.
    Untold {
        /// Why.
        why: String,
    },
}

/// The buildspec of the target branch, for a trigger that wants that one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetBuildspec {
    /// The project has its own, which no pull request reaches: nothing has to be handed over.
    InProject,
    /// The file as the target branch has it.
    File {
        /// Its path.
        path: String,
        /// The commit that it was read from.
        commit: CommitId,
        /// What is in it.
        text: String,
    },
    /// The target branch has no such file.
    Missing {
        /// The path.
        path: String,
    },
    /// The file is no text, or longer than a start may carry.
    Unusable {
        /// The path.
        path: String,
        /// How many bytes it has.
        bytes: usize,
    },
    /// There is no such project.
    NoProject,
}

impl TargetBuildspec {
    /// The longest buildspec that is handed over with a start, in bytes.
    pub const LONGEST: usize = 64 * 1024;

    /// The file as it was read.
    pub fn of_file(path: String, commit: CommitId, content: Option<Vec<u8>>) -> Self {
        let Some(content) = content else { return Self::Missing { path } };
        let bytes = content.len();
        match String::from_utf8(content) {
            Ok(mut text) if bytes <= Self::LONGEST && !text.trim().is_empty() => {
                // CodeBuild takes a single line for a path.
                if !text.ends_with('\n') {
                    text.push('\n');
                }
                Self::File { path, commit, text }
            }
            _ => Self::Unusable { path, bytes },
        }
    }
}

/// What an event says of a pull request, if a trigger may have to look at it.
pub fn review_of(event: &Event) -> Option<Subject> {
    match &event.detail {
        Detail::PullRequest(change) => {
            let is_ours = matches!(change.event, PullRequestEvent::Created | PullRequestEvent::SourceBranchUpdated);
            is_ours.then(|| Subject {
                repository: change.repository.clone(),
                pull_request: change.pull_request.clone(),
                what: What::Revised { into: change.destination.reference.clone(), revision: change.revision.clone() },
                by: change.caller.clone(),
            })
        }
        // A comment that is changed is no new wish.
        Detail::CommentOnPullRequest(on) if on.comment.change == CommentChange::Created => Some(Subject {
            repository: on.comment.repository.clone(),
            pull_request: on.pull_request.clone(),
            what: What::Commented { comment: on.comment.comment.clone() },
            by: on.comment.caller.clone(),
        }),
        Detail::CheckState(change) if change.state == CheckState::Stale => Some(Subject {
            repository: change.repository.clone(),
            pull_request: change.pull_request.clone(),
            what: What::Stale,
            by: None,
        }),
        _ => None,
    }
}

impl Subject {
    /// The comment, where one was written.
    pub fn comment(&self) -> Option<&CommentId> {
        match &self.what {
            What::Commented { comment } => Some(comment),
            What::Revised { .. } | What::Stale => None,
        }
    }
}

impl Review {
    /// What is known before anybody looks.
    pub fn of(subject: Subject) -> Self {
        Self { subject, writer: Writer::Somebody, commands: None, pull_request: Looked::NotYet, merge: None }
    }

    /// What the event alone tells, where it tells how the pull request stood.
    pub(crate) fn of_event(event: &Event) -> Option<Self> {
        let review = Self::of(review_of(event)?);
        let Detail::PullRequest(change) = &event.detail else { return Some(review) };
        let Some(revision) = change.revision.clone() else { return Some(review) };
        let pull_request = PullRequest {
            state: change.state,
            revision,
            source: change.source.reference.clone(),
            source_commit: change.source.commit.clone(),
            into: change.destination.reference.clone(),
            into_commit: change.destination.commit.clone(),
            base: None,
            author: change.author.clone(),
            title: change.title.clone(),
        };
        let merge = Merge { with: Some(change.destination.commit.clone()), meets: Meets::Nothing };
        Some(Self { pull_request: Looked::There(Box::new(pull_request)), merge: Some(merge), ..review })
    }

    /// The pull request, where it was looked at and is open.
    pub fn open(&self) -> Option<&PullRequest> {
        match &self.pull_request {
            Looked::There(there) if there.state == PullRequestState::Open => Some(there),
            Looked::There(_) | Looked::Gone | Looked::NotYet => None,
        }
    }

    /// The id under which it is acted on: one for a revision, and one for a comment, whoever tells of it, and however often.
    ///
    /// None where there is nothing to act on: then the event's own will do.
    pub fn acts_under(&self) -> Option<EventId> {
        let open = self.open()?;
        match &self.subject.what {
            What::Revised { .. } => {
                EventId::of_revision(&self.subject.repository, &self.subject.pull_request, &open.revision).ok()
            }
            What::Commented { comment } => EventId::of_comment(comment).ok(),
            // Whoever asks twice finds the build that the first one started.
            What::Stale => None,
        }
    }

    /// Whether the event tells of the very revision that is there.
    pub(crate) fn is_current(&self) -> bool {
        match (&self.subject.what, self.open()) {
            (What::Revised { revision: Some(told), .. }, Some(open)) => *told == open.revision,
            _ => false,
        }
    }
}

impl PullRequest {
    /// The source branch at its tip, as if it had been pushed.
    pub fn as_push(&self, repository: &RepositoryName) -> Push {
        Push {
            repository: repository.clone(),
            reference: self.source.clone(),
            commit: self.source_commit.clone(),
            previous: None,
            pusher: None,
        }
    }
}
