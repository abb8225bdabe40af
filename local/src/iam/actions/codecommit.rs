//! CodeCommit: everything is done to a repository; some of it to certain references.

use super::{Input, Need};
use crate::world::World;

/// The condition key that names the references that an action changes.
const REFERENCES: &str = "codecommit:References";

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
    let need = match operation {
        "CreateBranch" | "CreateCommit" | "DeleteBranch" | "DeleteFile" | "PutFile" => on_branch("branchName"),
        "GetMergeCommit" => on_branch("destinationCommitSpecifier"),
        "BatchGetRepositories" => {
            let names = input.texts("repositoryNames");
            return Some(names.into_iter().map(|name| Need::new(&action, repository(name))).collect());
        }
        "ListRepositories" => Need::new(&action, "*"),
        "UpdateRepositoryName" => on("oldName"),
        "BatchGetCommits"
        | "CreateRepository"
        | "DeleteRepository"
        | "GetBlob"
        | "GetBranch"
        | "GetCommit"
        | "GetDifferences"
        | "GetFile"
        | "GetFolder"
        | "GetRepository"
        | "ListBranches"
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
