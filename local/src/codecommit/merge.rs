//! The merge base of two commits, and the merge between them that was made already.

use serde::{Deserialize, Serialize};

use super::names::ObjectId;
use super::repositories::{Repositories, Repository};
use crate::error::{Answer, ServiceError};

/// `GetMergeCommit`. Nothing is merged here, so the two settings of a merge can change nothing; they are only checked.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Input {
    repository_name: Option<String>,
    source_commit_specifier: Option<String>,
    destination_commit_specifier: Option<String>,
    conflict_detail_level: Option<String>,
    conflict_resolution_strategy: Option<String>,
}

/// The output.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    source_commit_id: ObjectId,
    destination_commit_id: ObjectId,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_commit_id: Option<ObjectId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    merged_commit_id: Option<ObjectId>,
}

impl Repositories {
    pub(super) async fn get_merge_commit(&self, input: Input) -> Answer<Output> {
        let repository = self.named(input.repository_name)?;
        check_word(input.conflict_detail_level, &["FILE_LEVEL", "LINE_LEVEL"], "InvalidConflictDetailLevelException")?;
        check_word(
            input.conflict_resolution_strategy,
            &["NONE", "ACCEPT_SOURCE", "ACCEPT_DESTINATION", "AUTOMERGE"],
            "InvalidConflictResolutionStrategyException",
        )?;
        let source_commit_id = self.commit(&repository, input.source_commit_specifier).await?;
        let destination_commit_id = self.commit(&repository, input.destination_commit_specifier).await?;
        let base_commit_id = self.merge_base(&repository, &source_commit_id, &destination_commit_id).await?;
        let is_merged = base_commit_id.as_ref() == Some(&source_commit_id);
        let merged_commit_id =
            if is_merged { self.merge_of(&repository, &source_commit_id, &destination_commit_id).await? } else { None };
        Ok(Output { source_commit_id, destination_commit_id, base_commit_id, merged_commit_id })
    }

    /// None when the two have no history in common.
    pub(super) async fn merge_base(
        &self,
        repository: &Repository,
        one: &ObjectId,
        other: &ObjectId,
    ) -> Answer<Option<ObjectId>> {
        if one == other {
            return Ok(Some(one.clone()));
        }
        let difference = format!("{one}...{other}");
        // The three dots give both commits and, with a caret, every merge base. `git merge-base` would tell "none" from
        // "failed" only by its exit code.
        let output = self.git.run(&*repository.dir, &["rev-parse", &difference], b"").await?;
        let text = String::from_utf8_lossy(&output);
        Ok(text.lines().find_map(|line| line.strip_prefix('^')).and_then(ObjectId::parse))
    }

    /// The first merge commit on the way from `source` to `destination` that took `source` in.
    async fn merge_of(
        &self,
        repository: &Repository,
        source: &ObjectId,
        destination: &ObjectId,
    ) -> Answer<Option<ObjectId>> {
        let range = format!("{source}..{destination}");
        let arguments = ["rev-list", "--topo-order", "--reverse", "--parents", "--merges", "--ancestry-path", &range];
        let output = self.git.run(&*repository.dir, &arguments, b"").await?;
        let text = String::from_utf8_lossy(&output);
        let took_it_in = |line: &&str| line.split(' ').skip(2).any(|parent| parent == source.as_str());
        Ok(text.lines().find(took_it_in).and_then(|line| line.split(' ').next()).and_then(ObjectId::parse))
    }
}

pub(super) fn check_word(word: Option<String>, known: &[&str], code: &str) -> Answer<()> {
    match word {
        Some(word) if !known.contains(&word.as_str()) => {
            Err(ServiceError::bad(code, format!("{word:?} is none of {}", known.join(", "))))
        }
        _ => Ok(()),
    }
}
