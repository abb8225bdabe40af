//! CodeCommit: everything is done to a repository; some of it to certain references.

use super::{Input, Need};
use crate::world::World;

/// The condition key that names the references that an action changes.
const REFERENCES: &str = "codecommit:References";

/// What an operation needs. What it is called with is completed by [`CodeCommit::completed`]; without a repository, because
/// there is no such pull request or comment, any one would have to be allowed.
///
/// [`CodeCommit::completed`]: crate::codecommit::CodeCommit::completed
pub(super) fn needs(world: &World, operation: &str, input: Input<'_>) -> Option<Vec<Need>> {
    let repository = |name: &str| world.arn("codecommit", name);
    let action = format!("codecommit:{operation}");
    let on = |member: &str| Need::new(&action, repository(input.text(member)));
    let on_branch = |member: &str| {
        let branch = input.text(member);
        let need = on("repositoryName");
        // A commit's id names no reference.
        let is_id = branch.len() == 40 && branch.chars().all(|c| c.is_ascii_hexdigit());
        if branch.is_empty() || is_id { need } else { need.with(REFERENCES, full_name(branch)) }
    };
    let of_review = || {
        let name = input.text("repositoryName");
        Need::new(&action, repository(if name.is_empty() { "*" } else { name }))
    };
    let need = match operation {
        "CreateBranch" | "CreateCommit" | "DeleteBranch" | "DeleteFile" | "PutFile" => on_branch("branchName"),
        "CreateUnreferencedMergeCommit" | "GetMergeCommit" => on_branch("destinationCommitSpecifier"),
        "MergeBranchesByFastForward" | "MergeBranchesBySquash" | "MergeBranchesByThreeWay" => {
            let target =
                if input.text("targetBranch").is_empty() { "destinationCommitSpecifier" } else { "targetBranch" };
            on_branch(target)
        }
        "MergePullRequestByFastForward" | "MergePullRequestBySquash" | "MergePullRequestByThreeWay" => {
            let destination = input.text("destinationReference");
            if destination.is_empty() { of_review() } else { of_review().with(REFERENCES, destination) }
        }
        "CreatePullRequest" => {
            let names = input.list("targets").iter().filter_map(|target| target.get("repositoryName")?.as_str());
            let mut needs: Vec<Need> = names.map(|name| Need::new(&action, repository(name))).collect();
            if needs.is_empty() {
                needs.push(Need::new(&action, repository("*")));
            }
            return Some(needs);
        }
        "BatchAssociateApprovalRuleTemplateWithRepositories"
        | "BatchDisassociateApprovalRuleTemplateFromRepositories" => {
            let names = input.texts("repositoryNames");
            return Some(names.into_iter().map(|name| Need::new(&action, repository(name))).collect());
        }
        "CreatePullRequestApprovalRule"
        | "DeletePullRequestApprovalRule"
        | "DescribePullRequestEvents"
        | "EvaluatePullRequestApprovalRules"
        | "GetCommentsForPullRequest"
        | "GetPullRequest"
        | "GetPullRequestApprovalStates"
        | "GetPullRequestOverrideState"
        | "OverridePullRequestApprovalRules"
        | "PostCommentForPullRequest"
        | "UpdatePullRequestApprovalRuleContent"
        | "UpdatePullRequestApprovalState"
        | "UpdatePullRequestDescription"
        | "UpdatePullRequestStatus"
        | "UpdatePullRequestTitle"
        | "DeleteCommentContent"
        | "GetComment"
        | "GetCommentReactions"
        | "PostCommentReply"
        | "PutCommentReaction"
        | "UpdateComment" => of_review(),
        // A template is in no repository.
        "CreateApprovalRuleTemplate"
        | "DeleteApprovalRuleTemplate"
        | "GetApprovalRuleTemplate"
        | "ListApprovalRuleTemplates"
        | "ListRepositoriesForApprovalRuleTemplate"
        | "UpdateApprovalRuleTemplateContent"
        | "UpdateApprovalRuleTemplateDescription"
        | "UpdateApprovalRuleTemplateName" => Need::new(&action, "*"),
        "BatchGetRepositories" => {
            let names = input.texts("repositoryNames");
            return Some(names.into_iter().map(|name| Need::new(&action, repository(name))).collect());
        }
        "ListRepositories" => Need::new(&action, "*"),
        "UpdateRepositoryName" => on("oldName"),
        "AssociateApprovalRuleTemplateWithRepository"
        | "BatchDescribeMergeConflicts"
        | "BatchGetCommits"
        | "CreateRepository"
        | "DeleteRepository"
        | "DescribeMergeConflicts"
        | "DisassociateApprovalRuleTemplateFromRepository"
        | "GetBlob"
        | "GetBranch"
        | "GetCommentsForComparedCommit"
        | "GetCommit"
        | "GetDifferences"
        | "GetFile"
        | "GetFolder"
        | "GetMergeConflicts"
        | "GetMergeOptions"
        | "GetRepository"
        | "GetRepositoryTriggers"
        | "ListAssociatedApprovalRuleTemplatesForRepository"
        | "ListBranches"
        | "ListPullRequests"
        | "PostCommentForComparedCommit"
        | "PutRepositoryTriggers"
        | "TestRepositoryTriggers"
        | "UpdateDefaultBranch"
        | "UpdateRepositoryDescription" => on("repositoryName"),
        _ => return None,
    };
    Some(vec![need])
}

/// `git fetch` and `git clone`.
pub(crate) fn pull(world: &World, repository: &str) -> Need {
    Need::new("codecommit:GitPull", world.arn("codecommit", repository))
}

/// `git push` to one reference; which ones it is about is only known once the push has begun.
pub(crate) fn push(world: &World, repository: &str, reference: Option<&str>) -> Need {
    let need = Need::new("codecommit:GitPush", world.arn("codecommit", repository));
    match reference {
        Some(reference) => need.with(REFERENCES, reference),
        None => need,
    }
}

fn full_name(branch: &str) -> String {
    if branch.starts_with("refs/") { branch.to_owned() } else { format!("refs/heads/{branch}") }
}
