//! Branches and tags that are created, moved and deleted, and merge commits that no ref points to.

use serde::{Deserialize, Serialize};

use super::{REPOSITORY, event_word, unexpected_event};
use crate::Detail;
use crate::error::ParseError;
use crate::fields::Fields;
use crate::names::{Arn, CommitId, RefName, RepositoryName};
use crate::words::words;

pub(super) const EVENTS: &[&str] =
    &["referenceCreated", "referenceUpdated", "referenceDeleted", "unreferencedMergeCommitCreated"];

/// A branch or tag was created, moved or deleted. One event is about one ref, however many were pushed together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceChange {
    /// The repository.
    pub repository: RepositoryName,
    /// Its UUID, which survives a renaming.
    pub repository_id: Option<String>,
    /// The full name of the ref.
    pub reference: RefName,
    /// What happened to it.
    pub change: RefChange,
    /// How CodeCommit merged, when a merge through its API moved the ref.
    ///
    /// Its presence does not prove that a pull request was merged: merging two branches looks the same.
    pub merge: Option<MergeDetail>,
    /// Who did it. Always there in events that were really delivered, missing from several documented ones.
    pub caller: Option<Arn>,
}

/// What happened to a ref. Nothing tells a force push from any other update: ancestry decides that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefChange {
    /// It is new.
    Created {
        /// Where it points.
        new: CommitId,
    },
    /// It points elsewhere.
    Updated {
        /// Where it pointed.
        old: CommitId,
        /// Where it points.
        new: CommitId,
    },
    /// It is gone.
    Deleted {
        /// Where it pointed.
        old: CommitId,
    },
}

impl RefChange {
    /// Where the ref pointed before, if it was there.
    pub fn old_commit(&self) -> Option<&CommitId> {
        match self {
            Self::Created { .. } => None,
            Self::Updated { old, .. } | Self::Deleted { old } => Some(old),
        }
    }

    /// Where the ref points now, if it is there.
    pub fn new_commit(&self) -> Option<&CommitId> {
        match self {
            Self::Created { new } | Self::Updated { new, .. } => Some(new),
            Self::Deleted { .. } => None,
        }
    }
}

/// How CodeCommit made a merge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeDetail {
    /// The strategy.
    pub option: MergeOption,
    /// The tip of what was merged.
    pub source: Option<CommitId>,
    /// The tip of what it was merged into, before the merge.
    pub destination: Option<CommitId>,
    /// The commit both come from; absent for a fast-forward.
    pub base: Option<CommitId>,
    /// How finely conflicts were looked for.
    pub conflict_detail_level: Option<ConflictDetailLevel>,
    /// How conflicts were resolved.
    pub conflict_resolution: Option<ConflictResolution>,
}

words! {
    /// A merge strategy.
    MergeOption {
        /// The ref moves to the source's tip; no commit is made.
        FastForward = "FAST_FORWARD_MERGE",
        /// One new commit with one parent.
        Squash = "SQUASH_MERGE",
        /// One new commit with two parents.
        ThreeWay = "THREE_WAY_MERGE",
    }
}

words! {
    /// How finely CodeCommit looks for conflicts.
    ConflictDetailLevel {
        /// Two changes to one file conflict.
        File = "FILE_LEVEL",
        /// Two changes to one line conflict.
        Line = "LINE_LEVEL",
    }
}

words! {
    /// How CodeCommit resolves conflicts.
    ConflictResolution {
        /// Not at all.
        None = "NONE",
        /// The source wins.
        AcceptSource = "ACCEPT_SOURCE",
        /// The destination wins.
        AcceptDestination = "ACCEPT_DESTINATION",
        /// By itself where that is possible.
        Automerge = "AUTOMERGE",
    }
}

/// A merge commit that no ref points to, as `CreateUnreferencedMergeCommit` makes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreferencedMergeCommit {
    /// The repository.
    pub repository: RepositoryName,
    /// Its UUID.
    pub repository_id: Option<String>,
    /// The new commit.
    pub commit: CommitId,
    /// How it was merged.
    pub merge: MergeDetail,
    /// Who did it, when the event says so.
    pub caller: Option<Arn>,
}

impl MergeDetail {
    fn parse(detail: &Fields<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            option: detail.word("mergeOption")?,
            source: detail.optional_name("sourceCommitId")?,
            destination: detail.optional_name("destinationCommitId")?,
            base: detail.optional_name("baseCommitId")?,
            // AWS's own schema lists both spellings.
            conflict_detail_level: match detail.optional_word("conflictDetailsLevel")? {
                Some(level) => Some(level),
                None => detail.optional_word("conflictDetailLevel")?,
            },
            conflict_resolution: detail.optional_word("conflictResolutionStrategy")?,
        })
    }

    fn parse_optional(detail: &Fields<'_>) -> Result<Option<Self>, ParseError> {
        match detail.optional_text("mergeOption")? {
            Some(_) => Self::parse(detail).map(Some),
            None => Ok(None),
        }
    }
}

/// Reads a `CodeCommit Repository State Change`.
pub(crate) fn parse_repository_change(detail: &Fields<'_>) -> Result<Detail, ParseError> {
    let change = match event_word(detail)? {
        "referenceCreated" => RefChange::Created { new: detail.name("commitId")? },
        "referenceUpdated" => RefChange::Updated { old: detail.name("oldCommitId")?, new: detail.name("commitId")? },
        "referenceDeleted" => RefChange::Deleted { old: detail.name("oldCommitId")? },
        "unreferencedMergeCommitCreated" => {
            return Ok(Detail::UnreferencedMergeCommit(UnreferencedMergeCommit {
                repository: detail.name("repositoryName")?,
                repository_id: detail.optional_string("repositoryId")?,
                commit: detail.name("commitId")?,
                merge: MergeDetail::parse(detail)?,
                caller: detail.optional_name("callerUserArn")?,
            }));
        }
        other => return Err(unexpected_event(detail, other, REPOSITORY, EVENTS)),
    };
    Ok(Detail::Reference(ReferenceChange {
        repository: detail.name("repositoryName")?,
        repository_id: detail.optional_string("repositoryId")?,
        reference: parse_reference(detail)?,
        change,
        merge: MergeDetail::parse_optional(detail)?,
        caller: detail.optional_name("callerUserArn")?,
    }))
}

/// The full name of the ref. AWS always sends it; hand-written events often have only the short one, or the full one in
/// the short one's place.
fn parse_reference(detail: &Fields<'_>) -> Result<RefName, ParseError> {
    if detail.optional_text("referenceFullName")?.is_some() {
        return detail.name("referenceFullName");
    }
    let Some(name) = detail.optional_text("referenceName")? else {
        return detail.name("referenceFullName");
    };
    if name.starts_with("refs/") {
        return detail.name("referenceName");
    }
    let full = match detail.text("referenceType", "branch or tag")? {
        "branch" => format!("refs/heads/{name}"),
        "tag" => format!("refs/tags/{name}"),
        other => {
            return Err(ParseError::Unknown {
                field: detail.at("referenceType"),
                value: crate::fields::cut(other),
                known: &["branch", "tag"],
            });
        }
    };
    RefName::parse(full).map_err(|error| detail.invalid("referenceName", error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_spellings_of_the_conflict_detail_level_are_read() {
        for key in ["conflictDetailsLevel", "conflictDetailLevel"] {
            let detail = json!({ "mergeOption": "SQUASH_MERGE", key: "FILE_LEVEL" });
            let merge = MergeDetail::parse(&Fields::root(detail.as_object().unwrap())).unwrap();
            assert_eq!(merge.conflict_detail_level, Some(ConflictDetailLevel::File), "{key}");
        }
    }

    #[test]
    fn a_change_has_the_commits_that_it_can_have() {
        let id = |text: &str| CommitId::parse(text).unwrap();
        let created = RefChange::Created { new: id("1") };
        let updated = RefChange::Updated { old: id("1"), new: id("2") };
        let deleted = RefChange::Deleted { old: id("2") };
        assert_eq!((created.old_commit(), created.new_commit()), (None, Some(&id("1"))));
        assert_eq!((updated.old_commit(), updated.new_commit()), (Some(&id("1")), Some(&id("2"))));
        assert_eq!((deleted.old_commit(), deleted.new_commit()), (Some(&id("2")), None));
    }
}
