//! A cloud to test against, with the real git on the other side.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::PoisonError;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::auth::{Caller, Credentials, git_credentials};
use crate::cloud::{Cloud, Running, Settings};
use crate::error::Answer;

/// A running cloud in a folder that goes away with it.
pub(super) struct Site {
    pub(super) running: Running,
    pub(super) developer: Credentials,
    pub(super) folder: tempfile::TempDir,
}

impl Site {
    pub(super) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    pub(super) async fn start_in(folder: tempfile::TempDir) -> Self {
        Self::start_with(folder, &["eu-west-1"]).await
    }

    pub(super) async fn start_with(folder: tempfile::TempDir, regions: &[&str]) -> Self {
        let regions = regions.iter().map(|&region| region.to_owned()).collect();
        let settings = Settings { regions, ..Settings::new(folder.path().join("cloud")) };
        let running = Cloud::start(settings).await.unwrap();
        let developer = running.cloud.keys.user(&running.cloud.world, "developer");
        Self { running, developer, folder }
    }

    /// A cloud with a repository `demo`.
    pub(super) async fn with_demo() -> Self {
        let site = Self::start().await;
        site.call("CreateRepository", json!({ "repositoryName": "demo" })).await.unwrap();
        site
    }

    pub(super) fn caller(&self) -> Caller {
        Caller { arn: self.developer.arn.clone(), access_key_id: self.developer.access_key_id.clone() }
    }

    pub(super) async fn call(&self, operation: &str, input: Value) -> Answer<Value> {
        self.running.cloud.codecommit.call(operation, input, &self.caller()).await
    }

    /// The same as somebody else: a user, or a role's session by its ARN.
    pub(super) async fn call_as(&self, arn: &str, operation: &str, input: Value) -> Answer<Value> {
        let caller = Caller { arn: arn.to_owned(), access_key_id: "AKIA".to_owned() };
        self.running.cloud.codecommit.call(operation, input, &caller).await
    }

    /// What happened, as `EVENT PULL-REQUEST-OR-REF`, since the last call.
    pub(super) fn told(&self) -> Vec<String> {
        let of = |event: &Value| {
            let name = ["pullRequestId", "referenceFullName", "approvalRuleTemplateName", "commentId", "commitId"];
            let name = name.into_iter().find_map(|name| event[name].as_str()).unwrap_or_default();
            format!("{} {name}", event["event"].as_str().unwrap())
        };
        self.events().iter().map(of).collect()
    }

    /// A cloud with `demo`, whose `main` has one commit of two files, and `topic` one more upon it; and its work tree.
    pub(super) async fn with_topic() -> (Self, WorkTree) {
        let site = Self::with_demo().await;
        let tree = site.work_tree("tree").await;
        tree.commit("a", "1\n2\n3\n4\n5\n").await;
        tree.commit("b", "one\n").await;
        tree.git(&["checkout", "-q", "-b", "topic"]).await;
        tree.commit("b", "two\n").await;
        tree.git(&["push", "-q", "origin", "main", "topic"]).await;
        site.events();
        (site, tree)
    }

    /// `CreatePullRequest` of `topic` into `main` of `demo`; gives the pull request.
    pub(super) async fn open_topic(&self) -> Value {
        let targets = json!([{ "repositoryName": "demo", "sourceReference": "topic", "destinationReference": "main" }]);
        let made = self.call("CreatePullRequest", json!({ "title": "Two", "targets": targets })).await.unwrap();
        made["pullRequest"].clone()
    }

    /// `GetPullRequest`.
    pub(super) async fn pull_request(&self, id: &str) -> Value {
        self.call("GetPullRequest", json!({ "pullRequestId": id })).await.unwrap()["pullRequest"].clone()
    }

    /// The code with which an operation is refused.
    pub(super) async fn refused(&self, operation: &str, input: Value) -> String {
        self.call(operation, input).await.unwrap_err().code
    }

    /// `PutFile` on `main` of `demo`, after whatever is its tip; gives the commit.
    pub(super) async fn put(&self, path: &str, content: &str) -> String {
        let tip = self.call("GetBranch", json!({ "repositoryName": "demo", "branchName": "main" })).await;
        let mut input = json!({
            "repositoryName": "demo", "branchName": "main", "filePath": path, "fileContent": STANDARD.encode(content),
        });
        if let Ok(tip) = tip {
            input["parentCommitId"] = tip["branch"]["commitId"].clone();
        }
        self.call("PutFile", input).await.unwrap()["commitId"].as_str().unwrap().to_owned()
    }

    /// The details of the events since the last call.
    pub(super) fn events(&self) -> Vec<Value> {
        let published = &self.running.cloud.codecommit.repositories.published;
        std::mem::take(&mut *published.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn address(&self) -> &str {
        self.running.cloud.world.endpoint().strip_prefix("http://").unwrap()
    }

    /// The user name and password for a repository.
    pub(super) fn password(&self, who: &Credentials, repository: &str) -> (String, String) {
        let keys = (&*who.access_key_id, &*who.secret_access_key, who.session_token.as_deref());
        let world = &self.running.cloud.world;
        git_credentials(keys, self.address(), &format!("/v1/repos/{repository}"), &world.region, world.now())
    }

    pub(super) fn url_for(&self, who: &Credentials, repository: &str) -> String {
        let (user, password) = self.password(who, repository);
        format!("http://{}:{password}@{}/v1/repos/{repository}", user.replace('%', "%25"), self.address())
    }

    pub(super) fn url(&self) -> String {
        self.url_for(&self.developer, "demo")
    }

    /// A work tree named `name` with nothing in it and `origin` set to `demo`.
    pub(super) async fn work_tree(&self, name: &str) -> WorkTree {
        let tree = WorkTree { dir: self.folder.path().join(name), home: self.folder.path().to_owned() };
        std::fs::create_dir(&tree.dir).unwrap();
        tree.git(&["init", "-q", "-b", "main"]).await;
        tree.git(&["remote", "add", "origin", &self.url()]).await;
        tree
    }

    /// One request over a connection of its own, as raw as it gets; gives the whole answer.
    pub(super) async fn raw(&self, head: &str, body: &[u8]) -> String {
        let (user, password) = self.password(&self.developer, "demo");
        let mut stream = tokio::net::TcpStream::connect(self.address()).await.unwrap();
        let request = format!(
            "{head}\r\nHost: {}\r\nAuthorization: Basic {}\r\nConnection: close\r\n\r\n",
            self.address(),
            STANDARD.encode(format!("{user}:{password}"))
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// A work tree of a person, with git as that person has it.
pub(super) struct WorkTree {
    pub(super) dir: PathBuf,
    home: PathBuf,
}

impl WorkTree {
    pub(super) fn beside(&self, name: &str) -> Self {
        Self { dir: self.home.join(name), home: self.home.clone() }
    }

    async fn run(&self, arguments: &[&str], input: &[u8]) -> std::process::Output {
        let dir: &Path = if self.dir.exists() { &self.dir } else { &self.home };
        let mut child = tokio::process::Command::new("git")
            .args(arguments)
            .current_dir(dir)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C")
            .env("GIT_AUTHOR_NAME", "A. Developer")
            .env("GIT_AUTHOR_EMAIL", "developer@example.com")
            .env("GIT_COMMITTER_NAME", "A. Developer")
            .env("GIT_COMMITTER_EMAIL", "developer@example.com")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let (_, output) = tokio::join!(
            async move {
                stdin.write_all(input).await.unwrap();
                drop(stdin);
            },
            child.wait_with_output()
        );
        output.unwrap()
    }

    /// Runs git, which must succeed; gives what it printed.
    pub(super) async fn git(&self, arguments: &[&str]) -> String {
        self.git_reading(arguments, b"").await
    }

    pub(super) async fn git_reading(&self, arguments: &[&str], input: &[u8]) -> String {
        let output = self.run(arguments, input).await;
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Runs git, which must fail; gives what it complained about.
    pub(super) async fn git_fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments, b"").await;
        assert!(!output.status.success(), "git {arguments:?} should have failed");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Runs git, which may succeed or not.
    pub(super) async fn run_freely(&self, arguments: &[&str]) -> bool {
        self.run(arguments, b"").await.status.success()
    }

    /// Commits a file; gives the commit.
    pub(super) async fn commit(&self, path: &str, content: &str) -> String {
        std::fs::write(self.dir.join(path), content).unwrap();
        self.git(&["add", "--", path]).await;
        self.git(&["commit", "-q", "-m", &format!("Write {path}")]).await;
        self.git(&["rev-parse", "HEAD"]).await
    }
}
