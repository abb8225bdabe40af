//! Commits made through the API: `CreateCommit`, `PutFile`, `DeleteFile`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::events::Move;
use super::files::LARGEST_FILE;
use super::names::{BranchName, ObjectId, check_path};
use super::refs::Swap;
use super::repositories::{Repositories, Repository};
use super::signing::{Signed, Signing};
use super::tree::{Changes, Content, EmptyFolders, Listing, Mode, Plan, Put};
use crate::auth::Caller;
use crate::error::{Answer, ServiceError};

/// Most files in one commit.
const MOST_FILES: usize = 100;
/// The contents of one commit together.
const LARGEST_COMMIT: usize = 7 * 1024 * 1024;

/// `CreateCommit`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Create {
    repository_name: Option<String>,
    branch_name: Option<String>,
    parent_commit_id: Option<String>,
    author_name: Option<String>,
    email: Option<String>,
    commit_message: Option<String>,
    keep_empty_folders: Option<EmptyFolders>,
    put_files: Option<Vec<PutEntry>>,
    delete_files: Option<Vec<DeleteEntry>>,
    set_file_modes: Option<Vec<ModeEntry>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PutEntry {
    file_path: Option<String>,
    file_mode: Option<String>,
    file_content: Option<String>,
    source_file: Option<SourceFile>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SourceFile {
    file_path: Option<String>,
    is_move: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DeleteEntry {
    file_path: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ModeEntry {
    file_path: Option<String>,
    file_mode: Option<String>,
}

/// `PutFile`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PutFile {
    repository_name: Option<String>,
    branch_name: Option<String>,
    file_content: Option<String>,
    file_path: Option<String>,
    file_mode: Option<String>,
    parent_commit_id: Option<String>,
    commit_message: Option<String>,
    name: Option<String>,
    email: Option<String>,
}

/// `DeleteFile`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeleteFile {
    repository_name: Option<String>,
    branch_name: Option<String>,
    file_path: Option<String>,
    parent_commit_id: Option<String>,
    keep_empty_folders: Option<EmptyFolders>,
    commit_message: Option<String>,
    name: Option<String>,
    email: Option<String>,
}

/// The output of `CreateCommit`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Created {
    commit_id: ObjectId,
    tree_id: ObjectId,
    files_added: Vec<FileMetadata>,
    files_updated: Vec<FileMetadata>,
    files_deleted: Vec<FileMetadata>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FileMetadata {
    absolute_path: String,
    blob_id: ObjectId,
    file_mode: Mode,
}

/// The output of `PutFile`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WrittenFile {
    commit_id: ObjectId,
    blob_id: ObjectId,
    tree_id: ObjectId,
}

/// The output of `DeleteFile`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RemovedFile {
    commit_id: ObjectId,
    blob_id: ObjectId,
    tree_id: ObjectId,
    file_path: String,
}

/// A branch that a commit is to be added to, and where it stands.
#[derive(Debug)]
struct Base {
    repository: Repository,
    branch: BranchName,
    parent: Option<ObjectId>,
    files: Listing,
}

impl Repositories {
    pub(super) async fn create_commit(&self, input: Create, caller: &Caller) -> Answer<Created> {
        let base = self.base(input.repository_name, input.branch_name, input.parent_commit_id).await?;
        let puts = input.put_files.unwrap_or_default();
        let deletes = input.delete_files.unwrap_or_default();
        let modes = input.set_file_modes.unwrap_or_default();
        match puts.len() + deletes.len() + modes.len() {
            0 => return Err(ServiceError::bad("FileEntryRequiredException", "no file is put, deleted or changed")),
            count if count > MOST_FILES => {
                return Err(ServiceError::bad(
                    "MaximumFileEntriesExceededException",
                    format!("{count} files are more than the {MOST_FILES} that one commit may change; use git"),
                ));
            }
            _ => {}
        }
        let mut contents = Vec::new();
        let mut checked = Vec::new();
        for put in puts {
            let (path, mode, source) = check_put(put)?;
            if let Source::Content(bytes) = &source {
                contents.push(bytes.clone());
            }
            checked.push((path, mode, source));
        }
        let together: usize = contents.iter().map(Vec::len).sum();
        if together > LARGEST_COMMIT {
            return Err(ServiceError::bad(
                "FileContentSizeLimitExceededException",
                format!("the files have {together} bytes and one commit takes at most {LARGEST_COMMIT}; use git"),
            ));
        }
        let mut changes = Changes::default();
        for entry in deletes {
            changes.deletes.push(check_path(entry.file_path)?);
        }
        for entry in modes {
            let path = check_path(entry.file_path)?;
            let mode = entry.file_mode.ok_or_else(|| {
                ServiceError::bad("FileModeRequiredException", format!("the new file mode of {path} is missing"))
            })?;
            changes.modes.push((path, Mode::check(&mode)?));
        }
        let signing = Signing { name: input.author_name, email: input.email, message: input.commit_message };
        let signing = signing.check(caller, "Changed files")?;
        let mut ids = self.write_blobs(&base.repository, &contents).await?.into_iter();
        for (path, mode, source) in checked {
            let content = match source {
                Source::Content(_) => {
                    Content::Blob(ids.next().ok_or_else(|| ServiceError::internal("a blob is missing"))?)
                }
                Source::Copy(from) => Content::CopyOf(from),
                Source::Move(from) => Content::MoveOf(from),
            };
            changes.puts.push(Put { path, mode, content });
        }
        let plan = self.plan(&base, &changes, input.keep_empty_folders).await?;
        let nothing = ServiceError::bad("NoChangeException", "the commit would change nothing");
        let (commit_id, tree_id) = self.write_commit(&base, &plan, signing, caller, nothing).await?;
        let mut output =
            Created { commit_id, tree_id, files_added: vec![], files_updated: vec![], files_deleted: vec![] };
        for (absolute_path, step) in plan.steps {
            let (list, entry) = match step {
                (None, Some(new)) => (&mut output.files_added, new),
                (Some(_), Some(new)) => (&mut output.files_updated, new),
                (Some(old), None) => (&mut output.files_deleted, old),
                (None, None) => continue,
            };
            list.push(FileMetadata { absolute_path, blob_id: entry.id, file_mode: entry.mode });
        }
        Ok(output)
    }

    pub(super) async fn put_file(&self, input: PutFile, caller: &Caller) -> Answer<WrittenFile> {
        let base = self.base(input.repository_name, input.branch_name, input.parent_commit_id).await?;
        let path = check_path(input.file_path)?;
        let content = input.file_content.ok_or_else(|| {
            ServiceError::bad("FileContentRequiredException", format!("the content of {path} is missing"))
        })?;
        let content = decode(&path, &content)?;
        let mode = input.file_mode.as_deref().map(Mode::check).transpose()?;
        let word = if base.files.contains_key(&path) { "Edited" } else { "Added" };
        let signing = Signing { name: input.name, email: input.email, message: input.commit_message };
        let signing = signing.check(caller, &format!("{word} {path}"))?;
        let blobs = self.write_blobs(&base.repository, &[content]).await?;
        let blob_id = blobs.into_iter().next().ok_or_else(|| ServiceError::internal("a blob is missing"))?;
        let put = Put { path: path.clone(), mode, content: Content::Blob(blob_id.clone()) };
        let changes = Changes { puts: vec![put], ..Changes::default() };
        let plan = self.plan(&base, &changes, None).await?;
        let same = ServiceError::bad("SameFileContentException", format!("{path} has exactly this content already"));
        let (commit_id, tree_id) = self.write_commit(&base, &plan, signing, caller, same).await?;
        Ok(WrittenFile { commit_id, blob_id, tree_id })
    }

    pub(super) async fn delete_file(&self, input: DeleteFile, caller: &Caller) -> Answer<RemovedFile> {
        let base = self.base(input.repository_name, input.branch_name, input.parent_commit_id).await?;
        let file_path = check_path(input.file_path)?;
        let signing = Signing { name: input.name, email: input.email, message: input.commit_message };
        let signing = signing.check(caller, &format!("Deleted {file_path}"))?;
        let changes = Changes { deletes: vec![file_path.clone()], ..Changes::default() };
        let plan = self.plan(&base, &changes, input.keep_empty_folders).await?;
        let missing = || ServiceError::bad("FileDoesNotExistException", format!("there is no file {file_path}"));
        let blob_id = base.files.get(&file_path).map(|entry| entry.id.clone()).ok_or_else(missing)?;
        let (commit_id, tree_id) = self.write_commit(&base, &plan, signing, caller, missing()).await?;
        Ok(RemovedFile { commit_id, blob_id, tree_id, file_path })
    }

    /// The branch and its files, when the parent that was given is its tip. An empty repository needs no parent.
    async fn base(&self, name: Option<String>, branch: Option<String>, parent: Option<String>) -> Answer<Base> {
        let repository = self.named(name)?;
        let branch = BranchName::check(branch)?;
        let parent = parent.filter(|parent| !parent.is_empty());
        let Some(tip) = self.tip_if_there(&repository, &branch).await? else {
            let tag = format!("refs/tags/{}", branch.as_str());
            if self.git.objects(&repository.dir, &[tag]).await?.into_iter().flatten().next().is_some() {
                return Err(ServiceError::bad(
                    "BranchNameIsTagNameException",
                    format!("{} is a tag, not a branch", branch.as_str()),
                ));
            }
            if parent.is_some() || !self.all_branches(&repository).await?.is_empty() {
                return Err(ServiceError::bad(
                    "BranchDoesNotExistException",
                    format!("there is no branch {} in {}", branch.as_str(), repository.name),
                ));
            }
            return Ok(Base { repository, branch, parent: None, files: Listing::new() });
        };
        let parent = parent.ok_or_else(|| {
            ServiceError::bad(
                "ParentCommitIdRequiredException",
                format!("the id of the commit at the tip of {} is required", branch.as_str()),
            )
        })?;
        let parent = ObjectId::parse(&parent).ok_or_else(|| {
            ServiceError::bad("InvalidParentCommitIdException", format!("{parent:?} is not a full commit id"))
        })?;
        let found = self.git.objects(&repository.dir, &[format!("{parent}^{{commit}}")]).await?;
        if found.into_iter().flatten().next().is_none() {
            return Err(ServiceError::bad(
                "ParentCommitDoesNotExistException",
                format!("there is no commit {parent} in {}", repository.name),
            ));
        }
        if parent != tip {
            return Err(outdated(&branch));
        }
        let files = self.all_files(&repository, &tip).await?;
        Ok(Base { repository, branch, parent: Some(tip), files })
    }

    async fn plan(&self, base: &Base, changes: &Changes, folders: Option<EmptyFolders>) -> Answer<Plan> {
        let folders = folders.unwrap_or(EmptyFolders::Go);
        let empty = match folders {
            EmptyFolders::Go => None,
            EmptyFolders::Stay => self.write_blobs(&base.repository, &[Vec::new()]).await?.into_iter().next(),
        };
        changes.plan(&base.files, empty.as_ref())
    }

    /// Writes the tree and the commit, and moves the branch to it unless it moved meanwhile.
    async fn write_commit(
        &self,
        base: &Base,
        plan: &Plan,
        signing: Signed,
        caller: &Caller,
        nothing_to_do: ServiceError,
    ) -> Answer<(ObjectId, ObjectId)> {
        if plan.steps.is_empty() {
            return Err(nothing_to_do);
        }
        let tree = self.write_tree(&base.repository, base.parent.as_ref(), plan).await?;
        let parents: Vec<&ObjectId> = base.parent.iter().collect();
        let commit = self.write_commit_object(&base.repository, &signing, &tree, &parents).await?;
        let how = match &base.parent {
            Some(parent) => Move::Updated(parent.clone(), commit.clone()),
            None => Move::Created(commit.clone()),
        };
        match self.swap(&base.repository, &base.branch, how, caller).await? {
            Swap::Done => Ok((commit, tree)),
            Swap::Lost => Err(outdated(&base.branch)),
        }
    }
}

#[derive(Debug)]
enum Source {
    Content(Vec<u8>),
    Copy(String),
    Move(String),
}

fn check_put(put: PutEntry) -> Answer<(String, Option<Mode>, Source)> {
    let path = check_path(put.file_path)?;
    let mode = put.file_mode.as_deref().map(Mode::check).transpose()?;
    let source = match (put.file_content, put.source_file) {
        (Some(_), Some(_)) => {
            return Err(ServiceError::bad(
                "FileContentAndSourceFileSpecifiedException",
                format!("{path} has both a content and a source file"),
            ));
        }
        (None, None) => {
            return Err(ServiceError::bad(
                "SourceFileOrContentRequiredException",
                format!("{path} has neither a content nor a source file"),
            ));
        }
        (Some(content), None) => Source::Content(decode(&path, &content)?),
        (None, Some(source)) => {
            let from = check_path(source.file_path)?;
            if source.is_move == Some(true) { Source::Move(from) } else { Source::Copy(from) }
        }
    };
    Ok((path, mode, source))
}

/// The bytes of a file that came as base64.
pub(super) fn decode(path: &str, content: &str) -> Answer<Vec<u8>> {
    let bytes = STANDARD.decode(content).map_err(|error| {
        ServiceError::bad("SerializationException", format!("the content of {path} is not base64: {error}"))
    })?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(ServiceError::bad(
            "FileContentSizeLimitExceededException",
            format!("{path} has {} bytes and the API takes at most {LARGEST_FILE}; use git", bytes.len()),
        ));
    }
    Ok(bytes)
}

fn outdated(branch: &BranchName) -> ServiceError {
    ServiceError::bad(
        "ParentCommitIdOutdatedException",
        format!("the parent commit is not the tip of {}; get the branch and try again", branch.as_str()),
    )
}
