//! Which merges are possible and what is in their way: `GetMergeOptions` and `GetMergeConflicts`.

use serde::{Deserialize, Serialize};
use signalbox_events::MergeOption;

use super::super::names::{ObjectId, check_size};
use super::super::repositories::{Repositories, Repository, no_such_page};
use super::super::tree::{Entry, Mode};
use super::combine::{Found, find};
use super::judge::{Conflict, Judged};
use super::lines::is_binary;
use super::resolution::Resolution;
use super::{How, Tips, check_option};
use crate::error::Answer;
use crate::paging::Order;

/// The page of files; AWS documents none.
pub(super) const PAGE: usize = 100;

/// `GetMergeOptions`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct MergeOptions {
    repository_name: Option<String>,
    source_commit_specifier: Option<String>,
    destination_commit_specifier: Option<String>,
    conflict_detail_level: Option<String>,
    conflict_resolution_strategy: Option<String>,
}

/// `GetMergeConflicts`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct MergeConflicts {
    repository_name: Option<String>,
    source_commit_specifier: Option<String>,
    destination_commit_specifier: Option<String>,
    merge_option: Option<String>,
    conflict_detail_level: Option<String>,
    conflict_resolution_strategy: Option<String>,
    max_conflict_files: Option<i64>,
    next_token: Option<String>,
}

/// The output of `GetMergeOptions`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct PossibleOptions {
    merge_options: Vec<&'static str>,
    source_commit_id: ObjectId,
    destination_commit_id: ObjectId,
    base_commit_id: ObjectId,
}

/// The output of `GetMergeConflicts`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct Conflicts {
    mergeable: bool,
    source_commit_id: ObjectId,
    destination_commit_id: ObjectId,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_commit_id: Option<ObjectId>,
    conflict_metadata_list: Vec<Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// `ConflictMetadata` of the model.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) file_path: String,
    file_sizes: Three<u64>,
    file_modes: Three<&'static str>,
    object_types: Three<&'static str>,
    number_of_conflicts: usize,
    is_binary_file: Three<bool>,
    content_conflict: bool,
    file_mode_conflict: bool,
    object_type_conflict: bool,
    merge_operations: Operations,
}

/// A value for each version that is there.
#[derive(Debug, Serialize)]
struct Three<T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<T>,
}

/// `MergeOperations` of the model: what each side did to the file.
#[derive(Debug, Serialize)]
struct Operations {
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<&'static str>,
}

impl<T> Three<T> {
    /// Of source, destination and base, in this order.
    fn of<S>([source, destination, base]: [S; 3], value: impl Fn(S) -> Option<T>) -> Self {
        Self { source: value(source), destination: value(destination), base: value(base) }
    }
}

impl Repositories {
    pub(in crate::codecommit) async fn get_merge_options(&self, input: MergeOptions) -> Answer<PossibleOptions> {
        let repository = self.named(input.repository_name)?;
        let how = How::check(input.conflict_detail_level.as_deref(), input.conflict_resolution_strategy.as_deref())?;
        let source = self.commit(&repository, input.source_commit_specifier).await?;
        let destination = self.commit(&repository, input.destination_commit_specifier).await?;
        let tips = self.near_tips(&repository, source, destination).await?;
        let mut options = Vec::new();
        if tips.is_fast_forward() {
            options.push(MergeOption::FastForward.as_aws());
        }
        let judged = self.judge(&repository, &tips, how, &Resolution::default()).await?;
        if judged.open().next().is_none() {
            options.extend([MergeOption::Squash.as_aws(), MergeOption::ThreeWay.as_aws()]);
        }
        Ok(PossibleOptions {
            merge_options: options,
            base_commit_id: tips.common()?.clone(),
            source_commit_id: tips.source,
            destination_commit_id: tips.destination,
        })
    }

    pub(in crate::codecommit) async fn get_merge_conflicts(&self, input: MergeConflicts) -> Answer<Conflicts> {
        let repository = self.named(input.repository_name)?;
        let option = check_option(input.merge_option.as_deref())?;
        let how = How::check(input.conflict_detail_level.as_deref(), input.conflict_resolution_strategy.as_deref())?;
        let size = check_size(input.max_conflict_files, PAGE, "InvalidMaxConflictFilesException")?;
        let source = self.commit(&repository, input.source_commit_specifier).await?;
        let destination = self.commit(&repository, input.destination_commit_specifier).await?;
        let tips = self.near_tips(&repository, source, destination).await?;
        let filters = how.filters(&repository, &tips, option);
        let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
        let listing = self.world.listing("codecommit:GetMergeConflicts", &filters);
        let token = input.next_token.as_deref();
        let (mergeable, conflict_metadata_list, next_token) = if option == MergeOption::FastForward {
            let nothing: Vec<(String, Metadata)> = Vec::new();
            listing.page(nothing, Order::Ascending, size, token).map_err(no_such_page)?;
            (tips.is_fast_forward(), Vec::new(), None)
        } else {
            let judged = self.judge(&repository, &tips, how, &Resolution::default()).await?;
            let open = judged.open().map(|conflict| (conflict.path.clone(), conflict));
            let (page, next) = listing.page(open, Order::Ascending, size, token).map_err(no_such_page)?;
            let mut shown = Vec::new();
            for conflict in page {
                shown.push(self.metadata_of(&repository, &judged, conflict).await?);
            }
            (judged.open().next().is_none(), shown, next)
        };
        Ok(Conflicts {
            mergeable,
            source_commit_id: tips.source,
            destination_commit_id: tips.destination,
            base_commit_id: tips.base,
            conflict_metadata_list,
            next_token,
        })
    }

    /// What AWS shows of a conflict.
    pub(super) async fn metadata_of(
        &self,
        repository: &Repository,
        judged: &Judged,
        conflict: &Conflict,
    ) -> Answer<Metadata> {
        let sides = judged.sides();
        let found = [sides.source, sides.destination, sides.base].map(|side| find(side, &conflict.path));
        let entries = found.each_ref().map(entry);
        let [source, destination, base] = entries;
        let ids: Vec<ObjectId> = entries.iter().flatten().map(|entry| entry.id.clone()).collect();
        let contents = self.read_blobs(repository, &ids).await?;
        let content = |entry: &Entry| ids.iter().zip(&contents).find(|(id, _)| **id == entry.id).map(|(_, text)| text);
        let operation = |side: Option<&Entry>| match (base, side) {
            (None, Some(_)) => Some("A"),
            (Some(_), None) => Some("D"),
            (Some(base), Some(side)) if base != side => Some("M"),
            _ => None,
        };
        Ok(Metadata {
            file_path: conflict.path.clone(),
            file_sizes: Three::of(entries, |entry| {
                let size = content(entry?)?.len();
                Some(u64::try_from(size).unwrap_or(u64::MAX))
            }),
            file_modes: Three::of(entries, |entry| mode_word(entry?.mode)),
            object_types: Three::of(found.each_ref(), kind_word),
            number_of_conflicts: conflict.count(),
            is_binary_file: Three::of(entries, |entry| Some(is_binary(content(entry?)?))),
            content_conflict: conflict.content,
            file_mode_conflict: conflict.mode,
            object_type_conflict: conflict.kind,
            merge_operations: Operations { source: operation(source), destination: operation(destination) },
        })
    }
}

impl How {
    /// What a page of conflicts belongs to.
    pub(super) fn filters(self, repository: &Repository, tips: &Tips, option: MergeOption) -> Vec<String> {
        vec![
            repository.id.clone(),
            tips.source.to_string(),
            tips.destination.to_string(),
            option.to_string(),
            self.level.to_string(),
            self.strategy.to_string(),
        ]
    }
}

fn entry<'a>(found: &Found<'a>) -> Option<&'a Entry> {
    match found {
        Found::Entry(entry) => Some(entry),
        Found::Nothing | Found::Folder => None,
    }
}

/// A submodule has no file mode.
fn mode_word(mode: Mode) -> Option<&'static str> {
    match mode {
        Mode::Normal => Some("NORMAL"),
        Mode::Executable => Some("EXECUTABLE"),
        Mode::Symlink => Some("SYMLINK"),
        Mode::Submodule => None,
    }
}

fn kind_word(found: &Found<'_>) -> Option<&'static str> {
    match found {
        Found::Nothing => None,
        Found::Folder => Some("DIRECTORY"),
        Found::Entry(entry) => Some(match entry.mode {
            Mode::Normal | Mode::Executable => "FILE",
            Mode::Symlink => "SYMBOLIC_LINK",
            Mode::Submodule => "GIT_LINK",
        }),
    }
}
