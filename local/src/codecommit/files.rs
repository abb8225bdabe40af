//! Files, folders and blobs at a commit.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::git::GitFailure;
use super::names::{ObjectId, check_folder, check_path};
use super::repositories::{Repositories, Repository};
use super::tree::Mode;
use crate::error::{Answer, ServiceError};

/// The largest file that the API gives or takes; git has no such limit.
pub(super) const LARGEST_FILE: u64 = 6 * 1024 * 1024;

/// `GetFile`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OneFile {
    repository_name: Option<String>,
    commit_specifier: Option<String>,
    file_path: Option<String>,
}

/// `GetFolder`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OneFolder {
    repository_name: Option<String>,
    commit_specifier: Option<String>,
    folder_path: Option<String>,
}

/// `GetBlob`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OneBlob {
    repository_name: Option<String>,
    blob_id: Option<String>,
}

/// The output of `GetFile`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileContent {
    commit_id: ObjectId,
    blob_id: ObjectId,
    file_path: String,
    file_mode: Mode,
    file_size: u64,
    file_content: String,
}

/// The output of `GetBlob`.
#[derive(Debug, Serialize)]
pub(super) struct BlobContent {
    content: String,
}

/// The output of `GetFolder`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FolderContent {
    commit_id: ObjectId,
    folder_path: String,
    tree_id: ObjectId,
    sub_folders: Vec<SubFolder>,
    files: Vec<File>,
    symbolic_links: Vec<File>,
    sub_modules: Vec<SubModule>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SubFolder {
    tree_id: ObjectId,
    absolute_path: String,
    relative_path: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct File {
    blob_id: ObjectId,
    absolute_path: String,
    relative_path: String,
    file_mode: Mode,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SubModule {
    commit_id: ObjectId,
    absolute_path: String,
    relative_path: String,
}

/// One line of `git ls-tree -z`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TreeLine {
    pub(super) mode: String,
    pub(super) kind: String,
    pub(super) id: ObjectId,
    pub(super) path: String,
}

impl Repositories {
    pub(super) async fn get_file(&self, input: OneFile) -> Answer<FileContent> {
        let repository = self.named(input.repository_name)?;
        let path = check_path(input.file_path)?;
        let commit_id = self.commit_or_head(&repository, input.commit_specifier).await?;
        let output = self.git.run(&*repository.dir, &["ls-tree", "-z", commit_id.as_str(), "--", &path], b"").await?;
        let line = parse_tree_lines(&output)?
            .into_iter()
            .find(|line| line.kind == "blob" && line.path == path)
            .ok_or_else(|| ServiceError::bad("FileDoesNotExistException", format!("there is no file {path}")))?;
        let content = self.blob(&repository, &line.id).await?;
        Ok(FileContent {
            commit_id,
            blob_id: line.id,
            file_path: path,
            file_mode: Mode::from_git(&line.mode),
            file_size: content.len() as u64,
            file_content: STANDARD.encode(content),
        })
    }

    /// The folder's tree id is that of the whole commit: "tree information for the commit that contains the folder".
    pub(super) async fn get_folder(&self, input: OneFolder) -> Answer<FolderContent> {
        let repository = self.named(input.repository_name)?;
        // An empty path is the root; only a missing one is an error.
        let path = input
            .folder_path
            .ok_or_else(|| ServiceError::bad("PathRequiredException", "the path of a folder is required"))?;
        let path = check_folder(&path)?;
        let commit_id = self.commit_or_head(&repository, input.commit_specifier).await?;
        let missing = || ServiceError::bad("FolderDoesNotExistException", format!("there is no folder {path}"));
        let folder = self.folder(&repository, &commit_id, &path).await?.ok_or_else(missing)?;
        let root = self.git.objects(&repository.dir, &[format!("{commit_id}^{{tree}}")]).await?;
        let tree_id = root.into_iter().flatten().next().ok_or_else(missing)?;
        let output = self.git.run(&*repository.dir, &["ls-tree", "-z", folder.as_str()], b"").await?;
        let mut content = FolderContent {
            commit_id,
            tree_id,
            sub_folders: Vec::new(),
            files: Vec::new(),
            symbolic_links: Vec::new(),
            sub_modules: Vec::new(),
            folder_path: path,
        };
        for line in parse_tree_lines(&output)? {
            let (id, relative_path) = (line.id, line.path);
            let absolute_path = if content.folder_path.is_empty() {
                relative_path.clone()
            } else {
                format!("{}/{relative_path}", content.folder_path)
            };
            let file_mode = Mode::from_git(&line.mode);
            match (line.kind.as_str(), file_mode) {
                ("tree", _) => content.sub_folders.push(SubFolder { tree_id: id, absolute_path, relative_path }),
                ("commit", _) => content.sub_modules.push(SubModule { commit_id: id, absolute_path, relative_path }),
                (_, Mode::Symlink) => {
                    content.symbolic_links.push(File { blob_id: id, absolute_path, relative_path, file_mode });
                }
                _ => content.files.push(File { blob_id: id, absolute_path, relative_path, file_mode }),
            }
        }
        Ok(content)
    }

    pub(super) async fn get_blob(&self, input: OneBlob) -> Answer<BlobContent> {
        let repository = self.named(input.repository_name)?;
        let id = input
            .blob_id
            .filter(|id| !id.is_empty())
            .ok_or_else(|| ServiceError::bad("BlobIdRequiredException", "the id of a blob is required"))?;
        let id = ObjectId::parse(&id)
            .ok_or_else(|| ServiceError::bad("InvalidBlobIdException", format!("{id:?} is not a full blob id")))?;
        Ok(BlobContent { content: STANDARD.encode(self.blob(&repository, &id).await?) })
    }

    async fn commit_or_head(&self, repository: &Repository, specifier: Option<String>) -> Answer<ObjectId> {
        self.commit(repository, Some(specifier.unwrap_or_else(|| "HEAD".to_owned()))).await
    }

    /// The tree of a folder of a commit; the root's path is empty.
    async fn folder(&self, repository: &Repository, commit: &ObjectId, path: &str) -> Answer<Option<ObjectId>> {
        if path.is_empty() {
            let found = self.git.objects(&repository.dir, &[format!("{commit}^{{tree}}")]).await?;
            return Ok(found.into_iter().flatten().next());
        }
        let output = self.git.run(&*repository.dir, &["ls-tree", "-z", commit.as_str(), "--", path], b"").await?;
        let lines = parse_tree_lines(&output)?;
        Ok(lines.into_iter().find(|line| line.kind == "tree" && line.path == path).map(|line| line.id))
    }

    async fn blob(&self, repository: &Repository, id: &ObjectId) -> Answer<Vec<u8>> {
        let question = format!("{id}\n");
        let arguments = ["cat-file", "--batch-check=%(objecttype) %(objectsize)"];
        let answer = self.git.run(&*repository.dir, &arguments, question.as_bytes()).await?;
        let answer = String::from_utf8_lossy(&answer);
        let size = answer.trim().strip_prefix("blob ").and_then(|size| size.parse::<u64>().ok());
        let size =
            size.ok_or_else(|| ServiceError::bad("BlobIdDoesNotExistException", format!("there is no blob {id}")))?;
        if size > LARGEST_FILE {
            return Err(ServiceError::bad(
                "FileTooLargeException",
                format!("the file has {size} bytes and the API gives at most {LARGEST_FILE}; use git"),
            ));
        }
        Ok(self.git.run(&*repository.dir, &["cat-file", "blob", id.as_str()], b"").await?)
    }
}

/// Reads `MODE SP TYPE SP ID TAB PATH NUL` lines.
pub(super) fn parse_tree_lines(output: &[u8]) -> Result<Vec<TreeLine>, GitFailure> {
    let text = String::from_utf8_lossy(output);
    let parse = |line: &str| {
        let (head, path) = line.split_once('\t')?;
        let mut words = head.split_whitespace();
        let (mode, kind, id) = (words.next()?, words.next()?, words.next()?);
        Some(TreeLine { mode: mode.to_owned(), kind: kind.to_owned(), id: ObjectId::parse(id)?, path: path.to_owned() })
    };
    text.split_terminator('\0')
        .map(|line| parse(line).ok_or_else(|| GitFailure::Answer { command: "ls-tree", answer: line.to_owned() }))
        .collect()
}
