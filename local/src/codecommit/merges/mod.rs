//! Merges: CodeCommit's three ways, its two levels of detail, its four ways out of a conflict.
//!
//! What two commits change against their merge base is put together path by path (`combine`); lines of one file are merged
//! by `git merge-file` (`lines`); what is left is a conflict (`judge`) and may be resolved by the caller (`resolution`).
//! The merged tree is written by git's index plumbing: there is never a work tree.

mod branches;
mod combine;
mod conflicts;
mod describe;
mod judge;
mod lines;
mod resolution;
#[cfg(test)]
mod tests;

use signalbox_events::{ConflictDetailLevel, ConflictResolution, MergeOption};

pub(super) use self::branches::message;
use self::resolution::Resolution;
pub(super) use self::resolution::{FileModeMissing, RawResolution};
use super::events::{MergeNote, MergedContents};
use super::names::ObjectId;
use super::repositories::{Repositories, Repository};
use super::signing::Signed;
use super::tree::{EmptyFolders, Listing, Plan, keep_folders};
use crate::error::{Answer, ServiceError};

/// Most commits that two tips may be away from each other; AWS documents no number.
const FURTHEST: usize = 10_000;

/// How contents are to be merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct How {
    level: ConflictDetailLevel,
    strategy: ConflictResolution,
}

impl How {
    pub(super) fn check(level: Option<&str>, strategy: Option<&str>) -> Answer<Self> {
        let level = level.unwrap_or(ConflictDetailLevel::File.as_aws());
        let strategy = strategy.unwrap_or(ConflictResolution::None.as_aws());
        Ok(Self {
            level: ConflictDetailLevel::from_aws(level).ok_or_else(|| {
                ServiceError::bad("InvalidConflictDetailLevelException", format!("{level:?} is no level of detail"))
            })?,
            strategy: ConflictResolution::from_aws(strategy).ok_or_else(|| {
                ServiceError::bad(
                    "InvalidConflictResolutionStrategyException",
                    format!("{strategy:?} is no strategy to resolve conflicts"),
                )
            })?,
        })
    }
}

fn check_option(option: Option<&str>) -> Answer<MergeOption> {
    let option = option
        .filter(|option| !option.is_empty())
        .ok_or_else(|| ServiceError::bad("MergeOptionRequiredException", "a merge option is required"))?;
    MergeOption::from_aws(option)
        .ok_or_else(|| ServiceError::bad("InvalidMergeOptionException", format!("{option:?} is no merge option")))
}

/// The same where a fast-forward makes no sense.
fn check_option_with_contents(option: Option<&str>) -> Answer<MergeOption> {
    match check_option(option)? {
        MergeOption::FastForward => Err(ServiceError::bad(
            "InvalidMergeOptionException",
            "FAST_FORWARD_MERGE merges no contents; use SQUASH_MERGE or THREE_WAY_MERGE",
        )),
        option => Ok(option),
    }
}

/// Two tips and what they have in common.
#[derive(Debug, Clone)]
pub(super) struct Tips {
    pub(super) source: ObjectId,
    pub(super) destination: ObjectId,
    base: Option<ObjectId>,
}

/// A commit that merges contents, and what is said of it.
#[derive(Debug)]
pub(super) struct Merging {
    pub(super) option: MergeOption,
    pub(super) how: How,
    pub(super) signing: Signed,
    pub(super) folders: Option<EmptyFolders>,
    pub(super) resolution: Resolution,
}

/// What came of a merge.
#[derive(Debug)]
pub(super) struct Merged {
    /// The source's own for a fast-forward.
    pub(super) commit: ObjectId,
    pub(super) note: MergeNote,
}

impl Tips {
    /// Where both lead back to; contents without a common history are not merged.
    fn common(&self) -> Answer<&ObjectId> {
        self.base.as_ref().ok_or_else(|| {
            ServiceError::bad(
                "TipsDivergenceExceededException",
                format!("{} and {} have no history in common", self.source, self.destination),
            )
        })
    }

    /// Whether the destination only has to be moved to reach the source.
    fn is_fast_forward(&self) -> bool {
        self.base.as_ref() == Some(&self.destination)
    }

    /// Whether the destination has the source already.
    fn is_up_to_date(&self) -> bool {
        self.base.as_ref() == Some(&self.source)
    }
}

impl Repositories {
    pub(super) async fn tips(&self, repository: &Repository, source: ObjectId, destination: ObjectId) -> Answer<Tips> {
        let base = self.merge_base(repository, &source, &destination).await?;
        Ok(Tips { source, destination, base })
    }

    /// The same, refused where the tips are too far apart to look at what they changed.
    async fn near_tips(&self, repository: &Repository, source: ObjectId, destination: ObjectId) -> Answer<Tips> {
        let tips = self.tips(repository, source, destination).await?;
        tips.common()?;
        let range = format!("{}...{}", tips.source, tips.destination);
        let arguments = ["rev-list", "--count", "--left-right", &range];
        let counted = self.git.run(&*repository.dir, &arguments, b"").await?;
        let counted = String::from_utf8_lossy(&counted);
        if counted.split_whitespace().filter_map(|count| count.parse::<usize>().ok()).any(|count| count > FURTHEST) {
            return Err(ServiceError::bad(
                "TipsDivergenceExceededException",
                format!("{} and {} are more than {FURTHEST} commits apart", tips.source, tips.destination),
            ));
        }
        Ok(tips)
    }

    /// A fast-forward.
    pub(super) async fn fast_forward(
        &self,
        repository: &Repository,
        source: ObjectId,
        destination: ObjectId,
    ) -> Answer<Merged> {
        let tips = self.tips(repository, source, destination).await?;
        if !tips.is_fast_forward() && !tips.is_up_to_date() {
            return Err(manual_merge(&format!("{} is not behind {}", tips.destination, tips.source)));
        }
        let commit = if tips.is_up_to_date() { &tips.destination } else { &tips.source }.clone();
        let note = MergeNote {
            option: MergeOption::FastForward,
            source: tips.source,
            destination: tips.destination,
            contents: None,
        };
        Ok(Merged { commit, note })
    }

    /// A squash or a three-way merge: writes its commit, to which no ref points yet.
    pub(super) async fn merge_contents(
        &self,
        repository: &Repository,
        source: ObjectId,
        destination: ObjectId,
        merging: Merging,
    ) -> Answer<Merged> {
        let tips = self.near_tips(repository, source, destination).await?;
        let base = tips.common()?.clone();
        let judged = self.judge(repository, &tips, merging.how, &merging.resolution).await?;
        if let Some(open) = judged.open().next() {
            let more = judged.open().count() - 1;
            let others = if more == 0 { String::new() } else { format!(" and {more} others") };
            return Err(manual_merge(&format!("{}{others} changed in both", open.path)));
        }
        let mut files = judged.files;
        if merging.folders == Some(EmptyFolders::Stay)
            && let Some(empty) = self.write_blobs(repository, &[Vec::new()]).await?.into_iter().next()
        {
            let gone: Vec<String> = judged.before.keys().filter(|path| !files.contains_key(*path)).cloned().collect();
            keep_folders(&mut files, gone.iter().map(String::as_str), &empty);
        }
        let plan = Plan::between(&judged.before, &files);
        let tree = self.write_tree(repository, Some(&tips.destination), &plan).await?;
        let parents = match merging.option {
            MergeOption::ThreeWay => vec![&tips.destination, &tips.source],
            MergeOption::Squash | MergeOption::FastForward => vec![&tips.destination],
        };
        let commit = self.write_commit_object(repository, &merging.signing, &tree, &parents).await?;
        let contents = MergedContents { base, level: merging.how.level, strategy: merging.how.strategy };
        let note = MergeNote {
            option: merging.option,
            source: tips.source,
            destination: tips.destination,
            contents: Some(contents),
        };
        Ok(Merged { commit, note })
    }

    /// The tree of a commit.
    async fn tree_of(&self, repository: &Repository, commit: &ObjectId) -> Answer<ObjectId> {
        let found = self.git.objects(&repository.dir, &[format!("{commit}^{{tree}}")]).await?;
        found.into_iter().flatten().next().ok_or_else(|| ServiceError::internal(format!("{commit} has no tree")))
    }
}

fn manual_merge(why: &str) -> ServiceError {
    ServiceError::bad("ManualMergeRequiredException", format!("the merge needs somebody: {why}"))
}

pub(super) fn concurrent_update(branch: &str) -> ServiceError {
    ServiceError::bad(
        "ConcurrentReferenceUpdateException",
        format!("{branch} was changed while it was merged into; try again"),
    )
}

/// The listing with nothing in it.
static NO_FILES: Listing = Listing::new();
