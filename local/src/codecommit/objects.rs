//! Objects: the files of a commit, and what is written before a ref points to it.

use super::commits::split_object;
use super::files::parse_tree_lines;
use super::git::{GitFailure, Place};
use super::names::ObjectId;
use super::repositories::{Repositories, Repository};
use super::signing::Signed;
use super::tree::{Entry, Listing, Mode, Plan};
use crate::error::{Answer, ServiceError};

impl Repositories {
    /// All files of a commit.
    pub(super) async fn all_files(&self, repository: &Repository, commit: &ObjectId) -> Answer<Listing> {
        let output = self.git.run(&*repository.dir, &["ls-tree", "-r", "-z", commit.as_str()], b"").await?;
        let lines = parse_tree_lines(&output)?.into_iter();
        Ok(lines.map(|line| (line.path, Entry { mode: Mode::from_git(&line.mode), id: line.id })).collect())
    }

    /// The blob of a file of a commit.
    pub(super) async fn blob_at(
        &self,
        repository: &Repository,
        commit: &ObjectId,
        path: &str,
    ) -> Answer<Option<ObjectId>> {
        let output = self.git.run(&*repository.dir, &["ls-tree", "-z", commit.as_str(), "--", path], b"").await?;
        let lines = parse_tree_lines(&output)?;
        Ok(lines.into_iter().find(|line| line.kind == "blob" && line.path == path).map(|line| line.id))
    }

    /// The contents of blobs, in one git for all of them.
    pub(super) async fn read_blobs(&self, repository: &Repository, ids: &[ObjectId]) -> Answer<Vec<Vec<u8>>> {
        let input: String = ids.iter().map(|id| format!("{id}\n")).collect();
        let output = self.git.run(&*repository.dir, &["cat-file", "--batch"], input.as_bytes()).await?;
        let mut rest = output.as_slice();
        let mut contents = Vec::new();
        for _ in ids {
            let (object, behind) = split_object(rest).ok_or_else(|| unreadable("cat-file", rest))?;
            rest = behind;
            // The commit that a submodule names is not here.
            contents.push(
                object.filter(|(kind, _)| *kind == "blob").map_or_else(Vec::new, |(_, content)| content.to_vec()),
            );
        }
        Ok(contents)
    }

    /// Writes blobs, in one git for all of them.
    pub(super) async fn write_blobs(&self, repository: &Repository, contents: &[Vec<u8>]) -> Answer<Vec<ObjectId>> {
        if contents.is_empty() {
            return Ok(Vec::new());
        }
        let folder = self.scratch()?;
        let mut paths = String::new();
        for (number, content) in contents.iter().enumerate() {
            let file = folder.path().join(number.to_string());
            std::fs::write(&file, content).map_err(ServiceError::internal)?;
            paths.push_str(&format!("{}\n", file.display()));
        }
        let arguments = ["hash-object", "-w", "--no-filters", "--stdin-paths"];
        let output = self.git.run(&*repository.dir, &arguments, paths.as_bytes()).await?;
        let ids: Vec<ObjectId> = String::from_utf8_lossy(&output).lines().filter_map(ObjectId::parse).collect();
        if ids.len() == contents.len() { Ok(ids) } else { Err(unreadable("hash-object", &output).into()) }
    }

    /// Writes the tree of `parent` as the plan changes it.
    pub(super) async fn write_tree(
        &self,
        repository: &Repository,
        parent: Option<&ObjectId>,
        plan: &Plan,
    ) -> Answer<ObjectId> {
        let folder = self.scratch()?;
        let index = folder.path().join("index");
        let place = Place { dir: &repository.dir, index: Some(&index) };
        if let Some(parent) = parent {
            self.git.run(place, &["read-tree", parent.as_str()], b"").await?;
        }
        self.git.run(place, &["update-index", "-z", "--index-info"], plan.index_info().as_bytes()).await?;
        Ok(one_id("write-tree", &self.git.run(place, &["write-tree"], b"").await?)?)
    }

    /// Writes a commit that no ref points to yet.
    pub(super) async fn write_commit_object(
        &self,
        repository: &Repository,
        signing: &Signed,
        tree: &ObjectId,
        parents: &[&ObjectId],
    ) -> Answer<ObjectId> {
        let object = signing.commit_object(tree, parents, self.world.now().as_second());
        let arguments = ["hash-object", "-t", "commit", "-w", "--stdin"];
        Ok(one_id("hash-object", &self.git.run(&*repository.dir, &arguments, object.as_bytes()).await?)?)
    }

    pub(super) fn scratch(&self) -> Answer<tempfile::TempDir> {
        tempfile::Builder::new().prefix(".work-").tempdir_in(&self.root).map_err(ServiceError::internal)
    }
}

fn one_id(command: &'static str, output: &[u8]) -> Result<ObjectId, GitFailure> {
    ObjectId::parse(String::from_utf8_lossy(output).trim()).ok_or_else(|| unreadable(command, output))
}

fn unreadable(command: &'static str, output: &[u8]) -> GitFailure {
    GitFailure::Answer { command, answer: String::from_utf8_lossy(output).chars().take(200).collect() }
}
