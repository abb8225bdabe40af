//! CodeCommit over real bare git repositories.
//!
//! A repository is `DIR/repositories/NAME.git`; its refs and objects are git's, what git does not know (the id, the
//! description, the dates) is in `DIR/state/codecommit.json`, pull requests, comments and approval rule templates beside
//! it. Every change of a ref, by push or by an operation, is git's own compare-and-swap, puts one event on the bus, and is
//! what pull requests follow.

mod approval_rules;
mod calls;
mod comments;
mod commits;
mod differences;
mod events;
mod files;
mod git;
mod merge;
mod merges;
mod names;
mod objects;
#[cfg(test)]
mod operations_tests;
#[cfg(test)]
mod prevention_tests;
mod pull_requests;
mod receive;
mod refs;
mod repositories;
mod signing;
mod smart_http;
#[cfg(test)]
mod testing;
mod tokens;
mod tree;
mod triggers;
#[cfg(test)]
mod triggers_tests;
mod writes;

use std::path::PathBuf;
use std::sync::Arc;

use hyper::http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use signalbox_events::{MergeOption, RepositoryName};
use tokio::sync::OnceCell;

use crate::auth::Caller;
use crate::error::{Answer, ServiceError};
use crate::eventbridge::EventBridge;
use crate::http::{Response, Upload};
use crate::sns::Sns;
use crate::world::World;
use repositories::Repositories;
pub(crate) use smart_http::Refusal as GitRefusal;

/// The operations that are offered here.
pub const OPERATIONS: &[&str] = &[
    "AssociateApprovalRuleTemplateWithRepository",
    "BatchAssociateApprovalRuleTemplateWithRepositories",
    "BatchDescribeMergeConflicts",
    "BatchDisassociateApprovalRuleTemplateFromRepositories",
    "BatchGetCommits",
    "BatchGetRepositories",
    "CreateApprovalRuleTemplate",
    "CreateBranch",
    "CreateCommit",
    "CreatePullRequest",
    "CreatePullRequestApprovalRule",
    "CreateRepository",
    "CreateUnreferencedMergeCommit",
    "DeleteApprovalRuleTemplate",
    "DeleteBranch",
    "DeleteCommentContent",
    "DeleteFile",
    "DeletePullRequestApprovalRule",
    "DeleteRepository",
    "DescribeMergeConflicts",
    "DescribePullRequestEvents",
    "DisassociateApprovalRuleTemplateFromRepository",
    "EvaluatePullRequestApprovalRules",
    "GetApprovalRuleTemplate",
    "GetBlob",
    "GetBranch",
    "GetComment",
    "GetCommentReactions",
    "GetCommentsForComparedCommit",
    "GetCommentsForPullRequest",
    "GetCommit",
    "GetDifferences",
    "GetFile",
    "GetFolder",
    "GetMergeCommit",
    "GetMergeConflicts",
    "GetMergeOptions",
    "GetPullRequest",
    "GetPullRequestApprovalStates",
    "GetPullRequestOverrideState",
    "GetRepository",
    "GetRepositoryTriggers",
    "ListApprovalRuleTemplates",
    "ListAssociatedApprovalRuleTemplatesForRepository",
    "ListBranches",
    "ListPullRequests",
    "ListRepositories",
    "ListRepositoriesForApprovalRuleTemplate",
    "MergeBranchesByFastForward",
    "MergeBranchesBySquash",
    "MergeBranchesByThreeWay",
    "MergePullRequestByFastForward",
    "MergePullRequestBySquash",
    "MergePullRequestByThreeWay",
    "OverridePullRequestApprovalRules",
    "PostCommentForComparedCommit",
    "PostCommentForPullRequest",
    "PostCommentReply",
    "PutCommentReaction",
    "PutFile",
    "PutRepositoryTriggers",
    "TestRepositoryTriggers",
    "UpdateApprovalRuleTemplateContent",
    "UpdateApprovalRuleTemplateDescription",
    "UpdateApprovalRuleTemplateName",
    "UpdateComment",
    "UpdateDefaultBranch",
    "UpdatePullRequestApprovalRuleContent",
    "UpdatePullRequestApprovalState",
    "UpdatePullRequestDescription",
    "UpdatePullRequestStatus",
    "UpdatePullRequestTitle",
    "UpdateRepositoryDescription",
    "UpdateRepositoryName",
];

/// Repositories below `DIR/repositories`.
#[derive(Debug)]
pub struct CodeCommit {
    repositories: Arc<Repositories>,
    /// Set once the pull requests have followed what their branches did before this start.
    caught_up: OnceCell<()>,
}

impl CodeCommit {
    /// Opens what is there.
    ///
    /// # Errors
    /// A folder that cannot be used, a spoilt state file, no git or one that will not do.
    pub fn open(world: &Arc<World>, bus: &Arc<EventBridge>) -> anyhow::Result<Self> {
        Ok(Self { repositories: Arc::new(Repositories::open(world, bus)?), caught_up: OnceCell::new() })
    }

    /// Lets repository triggers call topics.
    pub fn triggers_call(&self, sns: &Arc<Sns>) {
        let _set_once = self.repositories.sns.set(Arc::clone(sns));
    }

    /// Answers one operation of the JSON protocol.
    ///
    /// # Errors
    /// AWS's codes.
    pub async fn call(&self, operation: &str, input: Value, caller: &Caller) -> Answer<Value> {
        self.caught_up.get_or_init(|| self.repositories.catch_up()).await;
        // On a task of its own: a caller that hangs up must not leave a ref changed and its event unsent.
        let (repositories, operation, caller) = (Arc::clone(&self.repositories), operation.to_owned(), caller.clone());
        let task = tokio::spawn(async move {
            let output = repositories.answer(&operation, input.clone(), &caller).await;
            if let Ok(output) = &output {
                repositories.tell_call(&operation, &input, output, &caller);
            }
            output
        });
        task.await.unwrap_or_else(|ended| Err(ServiceError::internal(format!("the operation ended early: {ended}"))))
    }

    /// Answers one request of git's smart HTTP protocol, below `/v1/repos/`, of a caller whose password was good.
    pub(crate) async fn git_http(&self, head: Parts, body: Upload, caller: Caller) -> Response {
        smart_http::serve(&self.repositories, head, body, caller).await
    }

    /// The bare repository of that name, if there is one.
    pub fn repository_dir(&self, name: &str) -> Option<PathBuf> {
        let name = RepositoryName::parse(name).ok()?;
        self.repositories.find(&name).ok().map(|repository| repository.dir)
    }

    /// The short name of a repository's default branch; none before the first branch was pushed.
    ///
    /// # Errors
    /// `RepositoryDoesNotExistException`, or git failed.
    pub async fn default_branch(&self, name: &str) -> Answer<Option<String>> {
        let repository = self.repositories.find(&names::check_repository(Some(name.to_owned()))?)?;
        self.repositories.default_branch(&repository.dir).await
    }

    /// An input with what it does not say of itself: the repository of its pull request or comment, and the branch that
    /// the pull request is merged into. For whoever asks for permission before anything is looked at.
    pub(crate) fn completed(&self, input: &Value) -> Option<Value> {
        let member = |name: &str| input.get(name).and_then(Value::as_str);
        let mut completed = input.as_object()?.clone();
        if let Some(id) = member("pullRequestId") {
            let (one, repository) = self.repositories.pull_request(id.parse().ok()?).ok()?;
            completed.insert("repositoryName".to_owned(), json!(repository.name));
            completed.insert("destinationReference".to_owned(), json!(one.destination));
        } else {
            let comment = member("commentId").or_else(|| member("inReplyTo"))?;
            let id = self.repositories.comments.read(|all| all.repository_of(comment).map(str::to_owned))?;
            completed.insert("repositoryName".to_owned(), json!(self.repositories.with_id(&id)?.name));
        }
        Some(Value::Object(completed))
    }

    /// Writes the state.
    ///
    /// # Errors
    /// The disk.
    pub fn save(&self) -> anyhow::Result<()> {
        self.repositories.save()
    }
}

impl Repositories {
    async fn answer(&self, operation: &str, input: Value, caller: &Caller) -> Answer<Value> {
        match operation {
            "CreateRepository" => render(self.create_repository(parse(input)?).await?),
            "GetRepository" => render(self.get_repository(parse(input)?).await?),
            "BatchGetRepositories" => render(self.batch_get_repositories(parse(input)?).await?),
            "ListRepositories" => render(self.list_repositories(parse(input)?)?),
            "DeleteRepository" => render(self.delete_repository(parse(input)?)?),
            "UpdateRepositoryName" => render(self.update_repository_name(parse(input)?)?),
            "UpdateRepositoryDescription" => render(self.update_repository_description(parse(input)?)?),
            "GetRepositoryTriggers" => render(self.get_triggers(parse(input)?)?),
            "PutRepositoryTriggers" => render(self.put_triggers(parse(input)?)?),
            "TestRepositoryTriggers" => render(self.test_triggers(parse(input)?, caller).await?),
            "UpdateDefaultBranch" => render(self.update_default_branch(parse(input)?).await?),
            "CreateBranch" => render(self.create_branch(parse(input)?, caller).await?),
            "GetBranch" => render(self.get_branch(parse(input)?).await?),
            "ListBranches" => render(self.list_branches(parse(input)?).await?),
            "DeleteBranch" => render(self.delete_branch(parse(input)?, caller).await?),
            "GetCommit" => render(self.get_commit(parse(input)?).await?),
            "BatchGetCommits" => render(self.batch_get_commits(parse(input)?).await?),
            "CreateCommit" => render(self.create_commit(parse(input)?, caller).await?),
            "PutFile" => render(self.put_file(parse(input)?, caller).await?),
            "DeleteFile" => render(self.delete_file(parse(input)?, caller).await?),
            "GetFile" => render(self.get_file(parse(input)?).await?),
            "GetFolder" => render(self.get_folder(parse(input)?).await?),
            "GetBlob" => render(self.get_blob(parse(input)?).await?),
            "GetDifferences" => render(self.get_differences(parse(input)?).await?),
            "GetMergeCommit" => render(self.get_merge_commit(parse(input)?).await?),
            _ => self.answer_reviews(operation, input, caller).await,
        }
    }

    /// The operations on pull requests, merges, comments and approval rules.
    async fn answer_reviews(&self, operation: &str, input: Value, caller: &Caller) -> Answer<Value> {
        match operation {
            "CreatePullRequest" => render(self.create_pull_request(parse(input)?, caller).await?),
            "GetPullRequest" => render(self.get_pull_request(parse(input)?).await?),
            "ListPullRequests" => render(self.list_pull_requests(parse(input)?)?),
            "DescribePullRequestEvents" => render(self.describe_pull_request_events(parse(input)?)?),
            "UpdatePullRequestTitle" => render(self.update_pull_request_title(parse(input)?).await?),
            "UpdatePullRequestDescription" => render(self.update_pull_request_description(parse(input)?).await?),
            "UpdatePullRequestStatus" => render(self.update_pull_request_status(parse(input)?, caller).await?),
            "MergePullRequestByFastForward" => {
                render(self.merge_pull_request_by_fast_forward(parse(input)?, caller).await?)
            }
            "MergePullRequestBySquash" => {
                render(self.merge_pull_request_with_contents(MergeOption::Squash, parse(input)?, caller).await?)
            }
            "MergePullRequestByThreeWay" => {
                render(self.merge_pull_request_with_contents(MergeOption::ThreeWay, parse(input)?, caller).await?)
            }
            "MergeBranchesByFastForward" => render(self.merge_branches_by_fast_forward(parse(input)?, caller).await?),
            "MergeBranchesBySquash" => {
                render(self.merge_branches_with_contents(MergeOption::Squash, parse(input)?, caller).await?)
            }
            "MergeBranchesByThreeWay" => {
                render(self.merge_branches_with_contents(MergeOption::ThreeWay, parse(input)?, caller).await?)
            }
            "CreateUnreferencedMergeCommit" => {
                render(self.create_unreferenced_merge_commit(parse(input)?, caller).await?)
            }
            "GetMergeOptions" => render(self.get_merge_options(parse(input)?).await?),
            "GetMergeConflicts" => render(self.get_merge_conflicts(parse(input)?).await?),
            "DescribeMergeConflicts" => render(self.describe_merge_conflicts(parse(input)?).await?),
            "BatchDescribeMergeConflicts" => render(self.batch_describe_merge_conflicts(parse(input)?).await?),
            "CreatePullRequestApprovalRule" => render(self.create_rule(parse(input)?, caller)?),
            "UpdatePullRequestApprovalRuleContent" => render(self.update_rule(parse(input)?, caller)?),
            "DeletePullRequestApprovalRule" => render(self.delete_rule(parse(input)?, caller)?),
            "UpdatePullRequestApprovalState" => render(self.vote(parse(input)?, caller)?),
            "GetPullRequestApprovalStates" => render(self.approvals(parse(input)?)?),
            "OverridePullRequestApprovalRules" => render(self.override_rules(parse(input)?, caller)?),
            "GetPullRequestOverrideState" => render(self.override_state(parse(input)?)?),
            "EvaluatePullRequestApprovalRules" => render(self.evaluate(parse(input)?)?),
            "CreateApprovalRuleTemplate" => render(self.create_template(parse(input)?, caller)?),
            "GetApprovalRuleTemplate" => render(self.get_template(parse(input)?)?),
            "ListApprovalRuleTemplates" => render(self.list_templates(parse(input)?)?),
            "UpdateApprovalRuleTemplateContent" => render(self.update_template_content(parse(input)?, caller)?),
            "UpdateApprovalRuleTemplateDescription" => render(self.update_template_description(parse(input)?, caller)?),
            "UpdateApprovalRuleTemplateName" => render(self.update_template_name(parse(input)?, caller)?),
            "DeleteApprovalRuleTemplate" => render(self.delete_template(parse(input)?, caller)?),
            "AssociateApprovalRuleTemplateWithRepository" => render(self.associate_template(parse(input)?, caller)?),
            "DisassociateApprovalRuleTemplateFromRepository" => {
                render(self.disassociate_template(parse(input)?, caller)?)
            }
            "BatchAssociateApprovalRuleTemplateWithRepositories" => {
                render(self.batch_associate_template(parse(input)?, caller)?)
            }
            "BatchDisassociateApprovalRuleTemplateFromRepositories" => {
                render(self.batch_disassociate_template(parse(input)?, caller)?)
            }
            "ListRepositoriesForApprovalRuleTemplate" => render(self.list_repositories_of_template(parse(input)?)?),
            "ListAssociatedApprovalRuleTemplatesForRepository" => {
                render(self.list_templates_of_repository(parse(input)?)?)
            }
            "PostCommentForPullRequest" => render(self.post_comment_for_pull_request(parse(input)?, caller).await?),
            "PostCommentForComparedCommit" => {
                render(self.post_comment_for_compared_commit(parse(input)?, caller).await?)
            }
            "PostCommentReply" => render(self.post_reply(parse(input)?, caller)?),
            "UpdateComment" => render(self.update_comment(parse(input)?, caller)?),
            "DeleteCommentContent" => render(self.delete_comment_content(parse(input)?, caller)?),
            "GetComment" => render(self.get_comment(parse(input)?, caller)?),
            "GetCommentsForPullRequest" => render(self.get_comments_for_pull_request(parse(input)?, caller).await?),
            "GetCommentsForComparedCommit" => {
                render(self.get_comments_for_compared_commit(parse(input)?, caller).await?)
            }
            "PutCommentReaction" => render(self.put_reaction(parse(input)?, caller)?),
            "GetCommentReactions" => render(self.get_reactions(parse(input)?)?),
            _ => Err(ServiceError::unknown_operation("codecommit", operation)),
        }
    }
}

/// An operation that gives nothing back.
#[derive(Debug, Serialize)]
struct Nothing {}

fn parse<T: DeserializeOwned>(input: Value) -> Answer<T> {
    // CodeCommit has a code for each of its members, and none for what is no member at all.
    crate::input::read(input, "SerializationException")
}

fn render(output: impl Serialize) -> Answer<Value> {
    serde_json::to_value(output).map_err(ServiceError::internal)
}
