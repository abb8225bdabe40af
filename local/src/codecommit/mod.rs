//! CodeCommit over real bare git repositories.
//!
//! A repository is `DIR/repositories/NAME.git`; its refs and objects are git's, what git does not know (the id, the
//! description, the dates) is in `DIR/state/codecommit.json`. Every change of a ref, by push or by an operation, is
//! git's own compare-and-swap and puts one event on the bus.

mod commits;
mod differences;
mod events;
mod files;
mod git;
mod merge;
mod names;
#[cfg(test)]
mod operations_tests;
#[cfg(test)]
mod prevention_tests;
mod receive;
mod refs;
mod repositories;
mod signing;
mod smart_http;
#[cfg(test)]
mod testing;
mod tree;
mod writes;

use std::path::PathBuf;
use std::sync::Arc;

use hyper::http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use signalbox_events::RepositoryName;

use crate::auth::Caller;
use crate::error::{Answer, ServiceError};
use crate::eventbridge::EventBridge;
use crate::http::{Response, Upload};
use crate::world::World;
use repositories::Repositories;
pub(crate) use smart_http::Refusal as GitRefusal;

/// The operations that are offered here.
pub const OPERATIONS: &[&str] = &[
    "BatchGetCommits",
    "BatchGetRepositories",
    "CreateBranch",
    "CreateCommit",
    "CreateRepository",
    "DeleteBranch",
    "DeleteFile",
    "DeleteRepository",
    "GetBlob",
    "GetBranch",
    "GetCommit",
    "GetDifferences",
    "GetFile",
    "GetFolder",
    "GetMergeCommit",
    "GetRepository",
    "ListBranches",
    "ListRepositories",
    "PutFile",
    "UpdateDefaultBranch",
    "UpdateRepositoryDescription",
    "UpdateRepositoryName",
];

/// Repositories below `DIR/repositories`.
#[derive(Debug)]
pub struct CodeCommit {
    repositories: Arc<Repositories>,
}

impl CodeCommit {
    /// Opens what is there.
    ///
    /// # Errors
    /// A folder that cannot be used, a spoilt state file, no git or one that will not do.
    pub fn open(world: &Arc<World>, bus: &Arc<EventBridge>) -> anyhow::Result<Self> {
        Ok(Self { repositories: Arc::new(Repositories::open(world, bus)?) })
    }

    /// Answers one operation of the JSON protocol.
    ///
    /// # Errors
    /// AWS's codes.
    pub async fn call(&self, operation: &str, input: Value, caller: &Caller) -> Answer<Value> {
        // On a task of its own: a caller that hangs up must not leave a ref changed and its event unsent.
        let (repositories, operation, caller) = (Arc::clone(&self.repositories), operation.to_owned(), caller.clone());
        let task = tokio::spawn(async move { repositories.answer(&operation, input, &caller).await });
        task.await.unwrap_or_else(|ended| Err(ServiceError::internal(format!("the operation ended early: {ended}"))))
    }

    /// Answers one request of git's smart HTTP protocol, below `/v1/repos/`, of a caller whose password was good.
    pub(crate) async fn git_http(&self, head: Parts, body: Upload, caller: Caller) -> Response {
        smart_http::serve(&self.repositories, head, body, caller).await
    }

    /// The bare repository of that name, if there is one.
    pub fn repository_dir(&self, name: &str) -> Option<PathBuf> {
        let name = RepositoryName::parse(name).ok()?;
        self.repositories.find(&name).ok().map(|repository| repository.dir)
    }

    /// The short name of a repository's default branch; none before the first branch was pushed.
    ///
    /// # Errors
    /// `RepositoryDoesNotExistException`, or git failed.
    pub async fn default_branch(&self, name: &str) -> Answer<Option<String>> {
        let repository = self.repositories.find(&names::check_repository(Some(name.to_owned()))?)?;
        self.repositories.default_branch(&repository.dir).await
    }

    /// Writes the state.
    ///
    /// # Errors
    /// The disk.
    pub fn save(&self) -> anyhow::Result<()> {
        self.repositories.save()
    }
}

impl Repositories {
    async fn answer(&self, operation: &str, input: Value, caller: &Caller) -> Answer<Value> {
        match operation {
            "CreateRepository" => render(self.create_repository(parse(input)?).await?),
            "GetRepository" => render(self.get_repository(parse(input)?).await?),
            "BatchGetRepositories" => render(self.batch_get_repositories(parse(input)?).await?),
            "ListRepositories" => render(self.list_repositories(parse(input)?)?),
            "DeleteRepository" => render(self.delete_repository(parse(input)?)?),
            "UpdateRepositoryName" => render(self.update_repository_name(parse(input)?)?),
            "UpdateRepositoryDescription" => render(self.update_repository_description(parse(input)?)?),
            "UpdateDefaultBranch" => render(self.update_default_branch(parse(input)?).await?),
            "CreateBranch" => render(self.create_branch(parse(input)?, caller).await?),
            "GetBranch" => render(self.get_branch(parse(input)?).await?),
            "ListBranches" => render(self.list_branches(parse(input)?).await?),
            "DeleteBranch" => render(self.delete_branch(parse(input)?, caller).await?),
            "GetCommit" => render(self.get_commit(parse(input)?).await?),
            "BatchGetCommits" => render(self.batch_get_commits(parse(input)?).await?),
            "CreateCommit" => render(self.create_commit(parse(input)?, caller).await?),
            "PutFile" => render(self.put_file(parse(input)?, caller).await?),
            "DeleteFile" => render(self.delete_file(parse(input)?, caller).await?),
            "GetFile" => render(self.get_file(parse(input)?).await?),
            "GetFolder" => render(self.get_folder(parse(input)?).await?),
            "GetBlob" => render(self.get_blob(parse(input)?).await?),
            "GetDifferences" => render(self.get_differences(parse(input)?).await?),
            "GetMergeCommit" => render(self.get_merge_commit(parse(input)?).await?),
            _ => Err(ServiceError::unknown_operation("codecommit", operation)),
        }
    }
}

/// An operation that gives nothing back.
#[derive(Debug, Serialize)]
struct Nothing {}

fn parse<T: DeserializeOwned>(input: Value) -> Answer<T> {
    // CodeCommit has a code for each of its members, and none for what is no member at all.
    crate::input::read(input, "SerializationException")
}

fn render(output: impl Serialize) -> Answer<Value> {
    serde_json::to_value(output).map_err(ServiceError::internal)
}
