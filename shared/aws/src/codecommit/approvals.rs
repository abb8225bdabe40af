//! CodeCommit's pull requests: rules, votes, overrides, comments, and the templates that rules come from.

mod templates;

use aws_sdk_codecommit::types::{ApprovalState, OverrideStatus};
use signalbox_events::{Arn, CommentId, PullRequestId, RepositoryName, RevisionId};

use super::reviews::{read_pull_request, reading};
use super::{CodeCommit, PullRequest};
use crate::failure::{lacking, sort, unreadable};
use crate::{Aws, Failure};

/// Reads and changes pull requests, with the keys of whoever made it.
#[derive(Debug, Clone)]
pub struct Reviews {
    codecommit: CodeCommit,
}

/// A pull request as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewedPullRequest {
    /// Its number.
    pub id: PullRequestId,
    /// Its repository. No pull request has ever had more than one.
    pub repository: RepositoryName,
    /// How it stands.
    pub now: PullRequest,
    /// Its approval rules, those of templates among them.
    pub rules: Vec<ApprovalRuleText>,
}

/// An approval rule, or the template of some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRuleText {
    /// Its name.
    pub name: String,
    /// What it says, as JSON.
    pub content: String,
    /// The SHA-256 of that, which a change must name.
    pub sha256: Option<String>,
    /// The template that it came from: such a rule can only be overridden.
    pub template: Option<String>,
    /// Who changed it last.
    pub modified_by: Option<String>,
}

/// A vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vote {
    /// Given.
    Approve,
    /// Taken back.
    Revoke,
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostedComment {
    /// Its id.
    pub id: CommentId,
    /// What it says; nothing once it is deleted.
    pub content: String,
    /// Who wrote it.
    pub author: Option<Arn>,
    /// Whether somebody deleted it.
    pub is_deleted: bool,
}

/// What became of something that others may change at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is done.
    Done,
    /// It is not what it was when it was looked at: to be looked at again.
    Changed,
    /// There is no room for it: CodeCommit's limit is reached.
    Full,
}

/// What CodeCommit says where a pull request, a rule or a template is not as it was looked at.
const CHANGED: &[&str] = &[
    "ApprovalRuleDoesNotExistException",
    "ApprovalRuleNameAlreadyExistsException",
    "ApprovalRuleTemplateDoesNotExistException",
    "ApprovalRuleTemplateNameAlreadyExistsException",
    "ConcurrentReferenceUpdateException",
    "InvalidRuleContentSha256Exception",
    "PullRequestAlreadyClosedException",
    "PullRequestDoesNotExistException",
    "RevisionNotCurrentException",
];

/// What it says where there is no room.
const FULL: &[&str] = &[
    "MaximumNumberOfApprovalsExceededException",
    "MaximumRuleTemplatesAssociatedWithRepositoryException",
    "NumberOfRuleTemplatesExceededException",
    "NumberOfRulesExceededException",
];

fn sorted(result: Result<(), Failure>) -> Result<Written, Failure> {
    match result {
        Ok(()) => Ok(Written::Done),
        Err(failure) if failure.code().is_some_and(|code| CHANGED.contains(&code)) => Ok(Written::Changed),
        Err(failure) if failure.code().is_some_and(|code| FULL.contains(&code)) => Ok(Written::Full),
        Err(failure) => Err(failure),
    }
}

impl Reviews {
    /// A reader and writer.
    pub fn new(aws: &Aws) -> Self {
        Self { codecommit: CodeCommit::new(aws) }
    }

    /// A pull request; `None` where there is none of this number.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn pull_request(&self, id: &PullRequestId) -> Result<Option<ReviewedPullRequest>, Failure> {
        let Some(answer) = self.codecommit.get_pull_request(id).await? else { return Ok(None) };
        let found = answer.pull_request.ok_or_else(|| lacking(&reading(id), "pullRequest"))?;
        read(id, found).map(Some)
    }

    /// Who approved a revision; votes that were taken back are not among them.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn approvals(&self, id: &PullRequestId, revision: &RevisionId) -> Result<Vec<Arn>, Failure> {
        let doing = format!("codecommit:GetPullRequestApprovalStates {id}");
        let request = self.codecommit.client.get_pull_request_approval_states().pull_request_id(id.as_str());
        let answer = request.revision_id(revision.as_str()).send().await.map_err(|error| sort(&doing, error))?;
        let given = answer.approvals.unwrap_or_default().into_iter();
        let given = given.filter(|one| one.approval_state == Some(ApprovalState::Approve));
        given
            .filter_map(|one| one.user_arn)
            .map(|arn| Arn::parse(arn).map_err(|error| unreadable(&doing, error)))
            .collect()
    }

    /// Who set the approval rules of a revision aside, where somebody did.
    ///
    /// # Errors
    /// As [`Failure`] sorts them; an override of nobody is [`Failure::Refused`].
    pub async fn overrider(&self, id: &PullRequestId, revision: &RevisionId) -> Result<Option<Arn>, Failure> {
        let doing = format!("codecommit:GetPullRequestOverrideState {id}");
        let request = self.codecommit.client.get_pull_request_override_state().pull_request_id(id.as_str());
        let answer = request.revision_id(revision.as_str()).send().await.map_err(|error| sort(&doing, error))?;
        if !answer.overridden {
            return Ok(None);
        }
        let who = answer.overrider.ok_or_else(|| lacking(&doing, "overrider"))?;
        Arn::parse(who).map(Some).map_err(|error| unreadable(&doing, error))
    }

    /// Puts the rules of a revision in force again that somebody set aside.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn end_override(&self, id: &PullRequestId, revision: &RevisionId) -> Result<Written, Failure> {
        let request = self.codecommit.client.override_pull_request_approval_rules().pull_request_id(id.as_str());
        let sent = request.revision_id(revision.as_str()).override_status(OverrideStatus::Revoke).send().await;
        let doing = || format!("codecommit:OverridePullRequestApprovalRules {id}");
        sorted(sent.map(drop).map_err(|error| sort(doing(), error)))
    }

    /// Votes on a revision, or takes that back; a push that was faster makes it [`Written::Changed`].
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn vote(&self, id: &PullRequestId, revision: &RevisionId, vote: Vote) -> Result<Written, Failure> {
        let state = match vote {
            Vote::Approve => ApprovalState::Approve,
            Vote::Revoke => ApprovalState::Revoke,
        };
        let request = self.codecommit.client.update_pull_request_approval_state().pull_request_id(id.as_str());
        let sent = request.revision_id(revision.as_str()).approval_state(state).send().await;
        let doing = || format!("codecommit:UpdatePullRequestApprovalState {id}");
        sorted(sent.map(drop).map_err(|error| sort(doing(), error)))
    }

    /// Gives a pull request a rule; one of the same name that is there makes it [`Written::Changed`].
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn give_rule(&self, id: &PullRequestId, name: &str, content: &str) -> Result<Written, Failure> {
        let request = self.codecommit.client.create_pull_request_approval_rule().pull_request_id(id.as_str());
        let sent = request.approval_rule_name(name).approval_rule_content(content).send().await;
        let doing = || format!("codecommit:CreatePullRequestApprovalRule {id}");
        sorted(sent.map(drop).map_err(|error| sort(doing(), error)))
    }

    /// Changes a pull request's own rule, if it still says what has this SHA-256.
    ///
    /// # Errors
    /// As [`Failure`] sorts them; a rule of a template cannot be changed.
    pub async fn change_rule(
        &self,
        id: &PullRequestId,
        name: &str,
        content: &str,
        sha256: Option<&str>,
    ) -> Result<Written, Failure> {
        let request = self.codecommit.client.update_pull_request_approval_rule_content().pull_request_id(id.as_str());
        let request = request.approval_rule_name(name).new_rule_content(content);
        let sent = request.set_existing_rule_content_sha256(sha256.map(str::to_owned)).send().await;
        let doing = || format!("codecommit:UpdatePullRequestApprovalRuleContent {id}");
        sorted(sent.map(drop).map_err(|error| sort(doing(), error)))
    }

    /// Takes a pull request's own rule away; one that is not there stays so.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn drop_rule(&self, id: &PullRequestId, name: &str) -> Result<Written, Failure> {
        let request = self.codecommit.client.delete_pull_request_approval_rule().pull_request_id(id.as_str());
        let sent = request.approval_rule_name(name).send().await;
        let doing = || format!("codecommit:DeletePullRequestApprovalRule {id}");
        sorted(sent.map(drop).map_err(|error| sort(doing(), error)))
    }

    /// Comments on a pull request. The same token with the same text gives the comment back that it made before; `None`
    /// where the token made one with another text.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn comment(
        &self,
        on: &ReviewedPullRequest,
        text: &str,
        token: &str,
    ) -> Result<Option<PostedComment>, Failure> {
        let doing = format!("codecommit:PostCommentForPullRequest {}", on.id);
        let request = self
            .codecommit
            .client
            .post_comment_for_pull_request()
            .pull_request_id(on.id.as_str())
            .repository_name(on.repository.as_str())
            .before_commit_id(on.now.into_commit.as_str())
            .after_commit_id(on.now.source_commit.as_str())
            .content(text)
            .client_request_token(token);
        match request.send().await {
            Ok(answer) => read_comment(&doing, answer.comment.ok_or_else(|| lacking(&doing, "comment"))?).map(Some),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_idempotency_parameter_mismatch_exception()) => {
                Ok(None)
            }
            Err(error) => Err(sort(doing, error)),
        }
    }

    /// A comment; `None` where there is none of this id.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn comment_of(&self, id: &CommentId) -> Result<Option<PostedComment>, Failure> {
        let doing = format!("codecommit:GetComment {id}");
        match self.codecommit.client.get_comment().comment_id(id.as_str()).send().await {
            Ok(answer) => read_comment(&doing, answer.comment.ok_or_else(|| lacking(&doing, "comment"))?).map(Some),
            // What the call answers for a deleted one is not said anywhere; both are as good as gone.
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|e| e.is_comment_does_not_exist_exception() || e.is_comment_deleted_exception()) =>
            {
                Ok(None)
            }
            Err(error) => Err(sort(doing, error)),
        }
    }

    /// Changes what one of the caller's own comments says.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn change_comment(&self, id: &CommentId, text: &str) -> Result<Edited, Failure> {
        match self.codecommit.client.update_comment().comment_id(id.as_str()).content(text).send().await {
            Ok(_) => Ok(Edited::Done),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|e| e.is_comment_does_not_exist_exception() || e.is_comment_deleted_exception()) =>
            {
                Ok(Edited::Gone)
            }
            Err(error) => Err(sort(format!("codecommit:UpdateComment {id}"), error)),
        }
    }

    /// The first comment on a pull request, of at most 5,000, that is `wanted`, read page by page.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn find_comment(
        &self,
        id: &PullRequestId,
        wanted: impl Fn(&PostedComment) -> bool + Send,
    ) -> Result<Option<PostedComment>, Failure> {
        let doing = format!("codecommit:GetCommentsForPullRequest {id}");
        let mut token = None;
        let mut read = 0_usize;
        loop {
            let request = self.codecommit.client.get_comments_for_pull_request().pull_request_id(id.as_str());
            let request = request.set_max_results(self.codecommit.page).set_next_token(token);
            let answer = request.send().await.map_err(|error| sort(&doing, error))?;
            let threads = answer.comments_for_pull_request_data.unwrap_or_default();
            for comment in threads.into_iter().flat_map(|thread| thread.comments.unwrap_or_default()) {
                let comment = read_comment(&doing, comment)?;
                read += 1;
                if wanted(&comment) {
                    return Ok(Some(comment));
                }
            }
            token = answer.next_token.filter(|token| !token.is_empty());
            if token.is_none() || read >= MOST_COMMENTS {
                return Ok(None);
            }
        }
    }
}

/// What became of a change of a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edited {
    /// It says the new text.
    Done,
    /// Somebody deleted it.
    Gone,
}

/// A comment is looked for among at most so many.
const MOST_COMMENTS: usize = 5_000;

fn read_comment(doing: &str, comment: aws_sdk_codecommit::types::Comment) -> Result<PostedComment, Failure> {
    let id = comment.comment_id.ok_or_else(|| lacking(doing, "commentId"))?;
    Ok(PostedComment {
        id: CommentId::parse(id).map_err(|error| unreadable(doing, error))?,
        content: comment.content.unwrap_or_default(),
        author: comment.author_arn.and_then(|arn| Arn::parse(arn).ok()),
        is_deleted: comment.deleted,
    })
}

fn read(id: &PullRequestId, found: aws_sdk_codecommit::types::PullRequest) -> Result<ReviewedPullRequest, Failure> {
    let doing = reading(id);
    let target = found.pull_request_targets.as_deref().and_then(<[_]>::first).cloned();
    let target = target.ok_or_else(|| lacking(&doing, "pullRequestTargets"))?;
    let repository = target.repository_name.clone().ok_or_else(|| lacking(&doing, "repositoryName"))?;
    let rules = found.approval_rules.clone().unwrap_or_default().into_iter().map(|rule| ApprovalRuleText {
        name: rule.approval_rule_name.unwrap_or_default(),
        content: rule.approval_rule_content.unwrap_or_default(),
        sha256: rule.rule_content_sha256,
        template: rule.origin_approval_rule_template.and_then(|origin| origin.approval_rule_template_name),
        modified_by: rule.last_modified_user,
    });
    let rules = rules.collect();
    Ok(ReviewedPullRequest {
        id: id.clone(),
        repository: RepositoryName::parse(repository).map_err(|error| unreadable(&doing, error))?,
        now: read_pull_request(id, found, target)?,
        rules,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_means_two_things() {
        assert!(!CHANGED.iter().any(|code| FULL.contains(code)));
    }
}
