//! Conflicts with their lines: `DescribeMergeConflicts` and `BatchDescribeMergeConflicts`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::super::names::{ObjectId, check_path, check_size};
use super::super::repositories::{Repositories, Repository, no_such_page};
use super::super::tree::Entry;
use super::combine::{Found, find};
use super::conflicts::{Metadata, PAGE};
use super::judge::{Conflict, Judged};
use super::lines::{Hunk, Side};
use super::resolution::Resolution;
use super::{How, check_option_with_contents};
use crate::error::{Answer, ServiceError};
use crate::paging::Order;

/// The page of hunks; AWS documents none.
const HUNKS: usize = 100;

/// `DescribeMergeConflicts`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct DescribeOne {
    repository_name: Option<String>,
    source_commit_specifier: Option<String>,
    destination_commit_specifier: Option<String>,
    merge_option: Option<String>,
    max_merge_hunks: Option<i64>,
    file_path: Option<String>,
    conflict_detail_level: Option<String>,
    conflict_resolution_strategy: Option<String>,
    next_token: Option<String>,
}

/// `BatchDescribeMergeConflicts`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct DescribeMany {
    repository_name: Option<String>,
    source_commit_specifier: Option<String>,
    destination_commit_specifier: Option<String>,
    merge_option: Option<String>,
    max_merge_hunks: Option<i64>,
    max_conflict_files: Option<i64>,
    file_paths: Option<Vec<String>>,
    conflict_detail_level: Option<String>,
    conflict_resolution_strategy: Option<String>,
    next_token: Option<String>,
}

/// The output of `DescribeMergeConflicts`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct Described {
    conflict_metadata: Metadata,
    merge_hunks: Vec<ShownHunk>,
    source_commit_id: ObjectId,
    destination_commit_id: ObjectId,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_commit_id: Option<ObjectId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// The output of `BatchDescribeMergeConflicts`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct DescribedMany {
    conflicts: Vec<ShownConflict>,
    errors: Vec<Failed>,
    source_commit_id: ObjectId,
    destination_commit_id: ObjectId,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_commit_id: Option<ObjectId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// `Conflict` of the model.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownConflict {
    conflict_metadata: Metadata,
    merge_hunks: Vec<ShownHunk>,
}

/// `BatchDescribeMergeConflictsError` of the model.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failed {
    file_path: String,
    exception_name: String,
    message: String,
}

/// `MergeHunk` of the model.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownHunk {
    is_conflict: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<ShownSide>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<ShownSide>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<ShownSide>,
}

/// `MergeHunkDetail` of the model.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownSide {
    start_line: usize,
    end_line: usize,
    hunk_content: String,
}

impl ShownHunk {
    fn new(hunk: Hunk) -> Self {
        let side = |side: Side| ShownSide {
            start_line: side.start,
            end_line: side.end,
            hunk_content: STANDARD.encode(side.text),
        };
        Self {
            is_conflict: true,
            source: hunk.source.map(side),
            destination: hunk.destination.map(side),
            base: hunk.base.map(side),
        }
    }
}

impl Repositories {
    /// A file that nothing is wrong with has no hunks.
    pub(in crate::codecommit) async fn describe_merge_conflicts(&self, input: DescribeOne) -> Answer<Described> {
        let repository = self.named(input.repository_name)?;
        let option = check_option_with_contents(input.merge_option.as_deref())?;
        let how = How::check(input.conflict_detail_level.as_deref(), input.conflict_resolution_strategy.as_deref())?;
        let size = check_size(input.max_merge_hunks, HUNKS, "InvalidMaxMergeHunksException")?;
        let path = check_path(input.file_path)?;
        let source = self.commit(&repository, input.source_commit_specifier).await?;
        let destination = self.commit(&repository, input.destination_commit_specifier).await?;
        let tips = self.near_tips(&repository, source, destination).await?;
        let judged = self.judge(&repository, &tips, how, &Resolution::default()).await?;
        let conflict = judged.conflict(&path)?;
        let hunks = self.hunks_of(&repository, &judged, &conflict).await?;
        let mut filters = how.filters(&repository, &tips, option);
        filters.push(path);
        let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
        let listing = self.world.listing("codecommit:DescribeMergeConflicts", &filters);
        let hunks = hunks.into_iter().enumerate().map(|(number, hunk)| (format!("{number:020}"), ShownHunk::new(hunk)));
        let (merge_hunks, next_token) =
            listing.page(hunks, Order::Ascending, size, input.next_token.as_deref()).map_err(no_such_page)?;
        Ok(Described {
            conflict_metadata: self.metadata_of(&repository, &judged, &conflict).await?,
            merge_hunks,
            source_commit_id: tips.source,
            destination_commit_id: tips.destination,
            base_commit_id: tips.base,
            next_token,
        })
    }

    /// A page is one of files; of each file the first hunks are told.
    pub(in crate::codecommit) async fn batch_describe_merge_conflicts(
        &self,
        input: DescribeMany,
    ) -> Answer<DescribedMany> {
        let repository = self.named(input.repository_name)?;
        let option = check_option_with_contents(input.merge_option.as_deref())?;
        let how = How::check(input.conflict_detail_level.as_deref(), input.conflict_resolution_strategy.as_deref())?;
        let most_hunks = check_size(input.max_merge_hunks, HUNKS, "InvalidMaxMergeHunksException")?;
        let size = check_size(input.max_conflict_files, PAGE, "InvalidMaxConflictFilesException")?;
        let source = self.commit(&repository, input.source_commit_specifier).await?;
        let destination = self.commit(&repository, input.destination_commit_specifier).await?;
        let tips = self.near_tips(&repository, source, destination).await?;
        let judged = self.judge(&repository, &tips, how, &Resolution::default()).await?;
        let mut filters = how.filters(&repository, &tips, option);
        let mut errors = Vec::new();
        let wanted: Vec<Conflict> = match input.file_paths {
            None => judged.open().cloned().collect(),
            Some(paths) => {
                let mut wanted = Vec::new();
                for path in paths {
                    match check_path(Some(path.clone())).and_then(|path| judged.conflict(&path)) {
                        Ok(conflict) => wanted.push(conflict),
                        Err(failed) => errors.push(Failed {
                            file_path: path.clone(),
                            exception_name: failed.code,
                            message: failed.message,
                        }),
                    }
                    filters.push(path);
                }
                wanted.sort_by(|one, other| one.path.cmp(&other.path));
                wanted.dedup_by(|one, other| one.path == other.path);
                wanted.retain(|conflict| conflict.count() > 0);
                wanted
            }
        };
        let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
        let listing = self.world.listing("codecommit:BatchDescribeMergeConflicts", &filters);
        let wanted = wanted.into_iter().map(|conflict| (conflict.path.clone(), conflict));
        let (page, next_token) =
            listing.page(wanted, Order::Ascending, size, input.next_token.as_deref()).map_err(no_such_page)?;
        let mut conflicts = Vec::new();
        for conflict in page {
            let hunks = self.hunks_of(&repository, &judged, &conflict).await?;
            conflicts.push(ShownConflict {
                conflict_metadata: self.metadata_of(&repository, &judged, &conflict).await?,
                merge_hunks: hunks.into_iter().take(most_hunks).map(ShownHunk::new).collect(),
            });
        }
        Ok(DescribedMany {
            conflicts,
            errors,
            source_commit_id: tips.source,
            destination_commit_id: tips.destination,
            base_commit_id: tips.base,
            next_token,
        })
    }

    /// The lines that conflict; where none were merged the whole file on each side that has it as text.
    async fn hunks_of(&self, repository: &Repository, judged: &Judged, conflict: &Conflict) -> Answer<Vec<Hunk>> {
        if !conflict.hunks.is_empty() || !conflict.content {
            return Ok(conflict.hunks.clone());
        }
        let sides = judged.sides();
        let entry = |found: Found<'_>| match found {
            Found::Entry(entry) => Some(entry.clone()),
            Found::Nothing | Found::Folder => None,
        };
        let [base, source, destination]: [Option<Entry>; 3] =
            [sides.base, sides.source, sides.destination].map(|side| entry(find(side, &conflict.path)));
        let versions = self.versions(repository, base.as_ref(), source.as_ref(), destination.as_ref()).await?;
        if versions.is_binary() {
            return Ok(Vec::new());
        }
        let whole = |there: Option<Entry>, text: Vec<u8>| there.map(|_| Side::new(0, text));
        Ok(vec![Hunk {
            source: whole(source, versions.source),
            destination: whole(destination, versions.destination),
            base: whole(base, versions.base),
        }])
    }
}

impl Judged {
    /// What is wrong with a path; nothing, where it merges.
    fn conflict(&self, path: &str) -> Answer<Conflict> {
        if let Some(open) = self.open().find(|conflict| conflict.path == path) {
            return Ok(open.clone());
        }
        let sides = self.sides();
        if [sides.base, sides.source, sides.destination].iter().all(|side| find(side, path) == Found::Nothing) {
            return Err(ServiceError::bad("FileDoesNotExistException", format!("there is no file {path}")));
        }
        Ok(Conflict::none(path))
    }
}
