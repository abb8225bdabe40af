//! A repository with pull requests, a clone of it with the real git, and the trigger.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use signalbox_aws::Failure;
use signalbox_events::BuildStart;
use signalbox_glue::{Handle, Handled};
use signalbox_ledger::Report;
use signalbox_local::auth::Caller;
use signalbox_tests::Ground;
use signalbox_trigger::Trigger;

pub(super) const QUICK: &str = "version: 0.2\nphases:\n  build:\n    commands: [\"true\"]\n";
pub(super) const FAILING: &str = "version: 0.2\nphases:\n  build:\n    commands: [\"false\"]\n";
pub(super) const SLOW: &str = "version: 0.2\nphases:\n  build:\n    commands: [\"sleep 60\"]\n";

const REVIEW: &str = "CodeCommit Pull Request State Change";
const COMMENT: &str = "CodeCommit Comment on Pull Request";

/// The repository `demo` with one commit on `main`, the project `unit`, and the function.
pub(super) struct World {
    pub(super) ground: Ground,
    pub(super) trigger: Trigger,
    clone: PathBuf,
}

/// A policy with the trigger `unit`, whose reasons are these.
pub(super) fn policy(on: &str, more: &str) -> String {
    format!(
        "mode: enforce\nrepositories:\n  demo:\n    triggers:\n      unit:\n        on: {on}\n        start: {{ build: unit }}\n{more}"
    )
}

impl World {
    /// `buildspec` is the project's own, or `None` for the repository's.
    pub(super) async fn new(policy: &str, buildspec: Option<&str>) -> Self {
        let ground = Ground::without_functions().await.unwrap();
        ground.repository("demo").await.unwrap();
        ground.project("unit", "demo", buildspec).await.unwrap();
        ground.policy(policy).unwrap();
        // Pages of one: nothing may be forgotten behind the first.
        let trigger = Trigger::new(&ground.setup("trigger").unwrap()).with_page_size(1);
        let clone = ground.desk().join("clone");
        std::fs::create_dir_all(&clone).unwrap();
        let world = Self { ground, trigger, clone };
        world.git(&["init", "--quiet", "--initial-branch", "main", "."]);
        let address = format!("{}/v1/repos/demo", world.ground.cloud().world.endpoint());
        world.git(&["remote", "add", "origin", &address]);
        world.commit("first", &[("README.md", Some("r")), ("src/old", Some("line one\nline two\nline three\n"))]);
        world.git(&["push", "--quiet", "origin", "main"]);
        world
    }

    pub(super) fn git(&self, arguments: &[&str]) -> String {
        let mut command: Command = crate::protector::world::command(&self.ground, &self.clone, "git");
        let output = tokio::task::block_in_place(|| command.args(arguments).output()).unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A commit of these files (`None` deletes one) upon what is checked out.
    pub(super) fn commit(&self, message: &str, files: &[(&str, Option<&str>)]) -> String {
        for (path, content) in files {
            let file = self.clone.join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            match content {
                Some(content) => std::fs::write(file, content).unwrap(),
                None => std::fs::remove_file(file).unwrap(),
            }
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// A branch of its own that leaves `main` here, with one commit of these files, pushed.
    pub(super) fn topic(&self, branch: &str, files: &[(&str, Option<&str>)]) -> String {
        self.git(&["switch", "--quiet", "--create", branch, "main"]);
        let commit = self.commit(branch, files);
        self.git(&["push", "--quiet", "origin", branch]);
        commit
    }

    /// One more commit on a branch, pushed.
    pub(super) fn push(&self, branch: &str, message: &str, files: &[(&str, Option<&str>)]) -> String {
        self.git(&["switch", "--quiet", branch]);
        let commit = self.commit(message, files);
        self.git(&["push", "--quiet", "--force", "origin", branch]);
        commit
    }

    pub(super) async fn call(&self, operation: &str, input: Value) -> Value {
        self.call_as(operation, input, &self.ground.developer()).await
    }

    pub(super) async fn call_as(&self, operation: &str, input: Value, caller: &Caller) -> Value {
        self.ground.cloud().codecommit.call(operation, input, caller).await.unwrap()
    }

    /// Opens a pull request; gives its number and its event.
    pub(super) async fn open(&mut self, source: &str, into: &str) -> (String, Value) {
        let target = json!({ "repositoryName": "demo", "sourceReference": source, "destinationReference": into });
        let input = json!({ "title": format!("Bring {source}; $(touch /tmp/owned)"), "targets": [target] });
        let made = self.call("CreatePullRequest", input).await;
        let id = made["pullRequest"]["pullRequestId"].as_str().unwrap().to_owned();
        (id, self.event().await)
    }

    /// The next event of a pull request.
    pub(super) async fn event(&mut self) -> Value {
        self.ground.event(REVIEW).await.unwrap()
    }

    /// Comments on a pull request; gives the event.
    pub(super) async fn comment(&mut self, id: &str, text: &str) -> Value {
        let developer = self.ground.developer();
        self.comment_as(id, text, &developer).await
    }

    pub(super) async fn comment_as(&mut self, id: &str, text: &str, caller: &Caller) -> Value {
        let pull_request = self.pull_request(id).await;
        let target = &pull_request["pullRequestTargets"][0];
        let input = json!({
            "pullRequestId": id, "repositoryName": "demo", "beforeCommitId": target["destinationCommit"],
            "afterCommitId": target["sourceCommit"], "content": text,
        });
        let made = self.call_as("PostCommentForPullRequest", input, caller).await;
        // An answer to an earlier one may have been told in between.
        loop {
            let event = self.ground.event(COMMENT).await.unwrap();
            if event["detail"]["commentId"] == made["comment"]["commentId"] {
                return event;
            }
        }
    }

    /// A session of the trigger's own role.
    pub(super) fn ourselves(&self) -> Caller {
        Caller { arn: self.ground.keys("trigger").arn, access_key_id: String::new() }
    }

    pub(super) async fn pull_request(&self, id: &str) -> Value {
        self.call("GetPullRequest", json!({ "pullRequestId": id })).await["pullRequest"].clone()
    }

    /// Every comment on a pull request, oldest first.
    pub(super) async fn comments(&self, id: &str) -> Vec<(String, String)> {
        let found = self.call("GetCommentsForPullRequest", json!({ "pullRequestId": id })).await;
        let threads = found["commentsForPullRequestData"].as_array().unwrap();
        let comments = threads.iter().flat_map(|thread| thread["comments"].as_array().unwrap());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        comments.map(|comment| (text(&comment["authorArn"]), text(&comment["content"]))).collect()
    }

    pub(super) async fn handle(&self, event: &Value) -> Result<Handled, Failure> {
        self.trigger.handle(event.to_string().as_bytes(), self.ground.invocation()).await
    }

    pub(super) async fn report(&self, event: &Value) -> Report {
        match self.handle(event).await.unwrap() {
            Handled::Reported(report) => *report,
            other => panic!("no report: {other:?}"),
        }
    }

    /// Every start that is recorded, in the order in which they were made.
    pub(super) fn starts(&self) -> Vec<BuildStart> {
        let starts = self.ground.objects("state/starts/").unwrap().into_values();
        let mut starts: Vec<BuildStart> = starts.map(|start| serde_json::from_value(start).unwrap()).collect();
        starts.sort_by_key(|start| start.at);
        starts
    }

    /// The build that a start made, as CodeBuild tells it.
    pub(super) async fn build(&self, start: &BuildStart) -> Value {
        let codebuild = &self.ground.cloud().codebuild;
        let input = json!({ "ids": [start.build.as_str()] });
        let found = codebuild.call("BatchGetBuilds", input, &self.ground.developer()).await.unwrap();
        found["builds"][0].clone()
    }

    /// The values of a build's variables whose names begin like this.
    pub(super) async fn variables(&self, start: &BuildStart) -> Vec<(String, String)> {
        let build = self.build(start).await;
        let all = build["environment"]["environmentVariables"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        all.iter().map(|variable| (text(&variable["name"]), text(&variable["value"]))).collect()
    }

    pub(super) async fn built(&self) -> usize {
        self.ground.builds("unit").await.unwrap().len()
    }

    /// The reasons under an id in the ledger.
    pub(super) fn told(&self, id: &str) -> Vec<String> {
        let entries = self.ground.objects("ledger/trigger/").unwrap();
        let entry = entries.get(&format!("ledger/trigger/{id}")).unwrap_or_else(|| panic!("no {id}: {entries:?}"));
        let reasons = entry["report"]["reasons"].as_array().unwrap();
        reasons.iter().map(|reason| reason.as_str().unwrap().to_owned()).collect()
    }
}
