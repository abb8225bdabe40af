//! A repository with a gate in the local cloud, a clone of it with the real git, the trigger, the approver and the protector.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use signalbox_approver::Approver;
use signalbox_aws::Failure;
use signalbox_glue::{Handle, Handled};
use signalbox_ledger::Report;
use signalbox_local::auth::Caller;
use signalbox_local::error::ServiceError;
use signalbox_local::eventbridge::Published;
use signalbox_protector::Protector;
use signalbox_tests::Ground;
use signalbox_trigger::Trigger;
use tokio::sync::broadcast;

/// Passes unless the commit has a file of this name.
const SPEC: &str = "version: 0.2\nphases:\n  build:\n    commands: [\"test ! -e broken\"]\n";

/// By which the approver and the protector talk.
pub(crate) const CHECK: &str = "Signalbox Check State Change";

/// For so long nothing happens when everything has happened.
const QUIET: Duration = Duration::from_millis(300);

/// The repository `demo` with its policy, a clone, and the functions that have to do with pull requests.
pub(crate) struct World {
    pub(crate) ground: Ground,
    pub(crate) approver: Approver,
    pub(crate) protector: Protector,
    trigger: Trigger,
    clone: PathBuf,
    events: broadcast::Receiver<Arc<Published>>,
}

/// A policy whose approval of merges into `main` is this.
pub(crate) fn policy(approval: &str) -> String {
    format!(
        "mode: enforce\nrepositories:\n  demo:\n    triggers:\n      unit:\n        on: {{ pull_request: {{ into: [main] }} }}\n        \
         start: {{ build: unit }}\n    approvals:\n      main: {approval}\n"
    )
}

impl World {
    /// With `main` at a first commit.
    pub(crate) async fn new(approval: &str) -> Self {
        let ground = Ground::without_functions().await.unwrap();
        Self::on(ground, &policy(approval)).await
    }

    pub(crate) async fn on(ground: Ground, policy: &str) -> Self {
        ground.repository("demo").await.unwrap();
        ground.project("unit", "demo", Some(SPEC)).await.unwrap();
        ground.policy(policy).unwrap();
        let approver = Approver::new(&ground.setup("approver").unwrap());
        let trigger = Trigger::new(&ground.setup("trigger").unwrap());
        let protector = Protector::new(&ground.setup("protector").unwrap());
        let clone = ground.desk().join("clone");
        std::fs::create_dir_all(&clone).unwrap();
        let events = ground.cloud().eventbridge.subscribe();
        let world = Self { ground, approver, protector, trigger, clone, events };
        world.git(&["init", "--quiet", "--initial-branch", "main", "."]);
        world.git(&["remote", "add", "origin", &format!("{}/v1/repos/demo", world.ground.cloud().world.endpoint())]);
        world.commit("one", &["a"]);
        world.git(&["push", "--quiet", "origin", "main"]);
        world
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        crate::protector::world::command(&self.ground, &self.clone, program)
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = self.command("git").args(arguments).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A commit that adds these files.
    pub(crate) fn commit(&self, message: &str, files: &[&str]) -> String {
        for path in files {
            let file = self.clone.join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, message).unwrap();
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Pushes a branch upon `main` with one commit of these files, and opens a pull request; gives its number.
    pub(crate) async fn open(&self, branch: &str, files: &[&str]) -> String {
        self.git(&["switch", "--quiet", "-c", branch, "main"]);
        self.commit(branch, files);
        self.git(&["push", "--quiet", "origin", branch]);
        self.open_only(branch).await
    }

    pub(crate) async fn open_only(&self, branch: &str) -> String {
        let target = json!({ "repositoryName": "demo", "sourceReference": branch, "destinationReference": "main" });
        let made = self.call("CreatePullRequest", json!({ "title": branch, "targets": [target] })).await.unwrap();
        made["pullRequest"]["pullRequestId"].as_str().unwrap().to_owned()
    }

    /// A call of the developer, who makes all pull requests here.
    pub(crate) async fn call(&self, operation: &str, input: Value) -> Result<Value, ServiceError> {
        self.ground.cloud().codecommit.call(operation, input, &self.ground.developer()).await
    }

    /// The same of another user.
    pub(crate) async fn call_as(&self, user: &str, operation: &str, input: Value) -> Result<Value, ServiceError> {
        let arn = format!("arn:aws:iam::111122223333:user/{user}");
        let caller = Caller { arn, access_key_id: "AKIANOBODY".to_owned() };
        self.ground.cloud().codecommit.call(operation, input, &caller).await
    }

    pub(crate) async fn pull_request(&self, id: &str) -> Value {
        self.call("GetPullRequest", json!({ "pullRequestId": id })).await.unwrap()["pullRequest"].take()
    }

    pub(crate) async fn revision(&self, id: &str) -> String {
        self.pull_request(id).await["revisionId"].as_str().unwrap().to_owned()
    }

    /// What an attempt to merge comes to: nothing, or the code of the refusal.
    pub(crate) async fn merge(&self, id: &str) -> Option<String> {
        let input = json!({ "pullRequestId": id, "repositoryName": "demo" });
        self.call("MergePullRequestBySquash", input).await.err().map(|error| error.code)
    }

    /// Whether the gate's vote is on the present revision.
    pub(crate) async fn is_voted(&self, id: &str) -> bool {
        let input = json!({ "pullRequestId": id, "revisionId": self.revision(id).await });
        let approvals = self.call("GetPullRequestApprovalStates", input).await.unwrap();
        approvals["approvals"].to_string().contains("ChecksRole")
    }

    /// The texts of all comments on a pull request that are there.
    pub(crate) async fn comments(&self, id: &str) -> Vec<Value> {
        let found = self.call("GetCommentsForPullRequest", json!({ "pullRequestId": id })).await.unwrap();
        let threads = found["commentsForPullRequestData"].as_array().cloned().unwrap_or_default();
        let all = threads.into_iter().flat_map(|thread| thread["comments"].as_array().cloned().unwrap_or_default());
        all.filter(|comment| comment["deleted"] != true).collect()
    }

    /// The text of the one comment that there is.
    pub(crate) async fn comment(&self, id: &str) -> String {
        let comments = self.comments(id).await;
        assert_eq!(comments.len(), 1, "{comments:?}");
        comments[0]["content"].as_str().unwrap().to_owned()
    }

    /// The names of the rules of a pull request.
    pub(crate) async fn rules(&self, id: &str) -> Vec<String> {
        let rules = self.pull_request(id).await["approvalRules"].as_array().cloned().unwrap_or_default();
        rules.iter().map(|rule| rule["approvalRuleName"].as_str().unwrap().to_owned()).collect()
    }

    /// The events on the bus that nobody has taken yet.
    pub(crate) fn waiting(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        while let Ok(published) = self.events.try_recv() {
            events.push(published.event.clone());
        }
        events
    }

    pub(crate) async fn handle(&self, event: &Value) -> Result<Handled, Failure> {
        self.approver.handle(event.to_string().as_bytes(), self.ground.invocation()).await
    }

    /// Hands an event to the functions, as their rules would; gives what the approver reported.
    pub(crate) async fn deliver(&self, event: &Value) -> Vec<Report> {
        let kind = event["detail-type"].as_str().unwrap_or_default().to_owned();
        if kind == "CodeCommit Pull Request State Change" {
            let bytes = event.to_string();
            let handled = self.trigger.handle(bytes.as_bytes(), self.ground.invocation()).await;
            match handled {
                // The project may not be there: that is what the test is about.
                Ok(_) | Err(Failure::Refused(_)) => {}
                Err(failure) => panic!("the trigger: {}", failure.chain()),
            }
        }
        if kind == CHECK && event["detail"]["state"] == "WANTED" {
            self.judge(event).await;
        }
        let is_ours = kind == CHECK && event["detail"]["state"] == "JUDGED"
            || kind == "CodeCommit Pull Request State Change"
            || kind == "CodeBuild Build State Change"
            || kind == "CodeCommit Approval Rule Template Change";
        let mut reports = Vec::new();
        for _ in 0..if is_ours { 50 } else { 0 } {
            match self.handle(event).await {
                Ok(Handled::Reported(report) | Handled::Refused(report)) => reports.push(*report),
                Ok(Handled::Before | Handled::NotOurs) => {}
                Err(Failure::Retry(_)) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
                Err(failure) => panic!("{}", failure.chain()),
            }
            break;
        }
        reports
    }

    /// Has the protector judge a pull request to its end, in as many looks as it takes; gives how many those were.
    pub(crate) async fn judge(&self, event: &Value) -> usize {
        let bytes = event.to_string();
        for looks in 1..100 {
            match self.protector.handle(bytes.as_bytes(), self.ground.invocation()).await {
                Ok(_) => return looks,
                Err(Failure::Retry(_)) => {}
                Err(failure) => panic!("the protector: {}", failure.chain()),
            }
        }
        panic!("it never ends")
    }

    /// Hands everything over that happens until nothing does; gives what the approver reported.
    pub(crate) async fn settle(&mut self) -> Vec<Report> {
        let mut reports = Vec::new();
        loop {
            match tokio::time::timeout(QUIET, self.events.recv()).await {
                Ok(Ok(published)) => reports.extend(self.deliver(&published.event).await),
                Ok(Err(error)) => panic!("{error}"),
                Err(_) => {
                    if !self.is_building().await {
                        return reports;
                    }
                }
            }
        }
    }

    async fn is_building(&self) -> bool {
        let ids = self.ground.builds("unit").await.unwrap();
        if ids.is_empty() {
            return false;
        }
        let newest: Vec<&String> = ids.iter().take(100).collect();
        let codebuild = &self.ground.cloud().codebuild;
        let found = codebuild.call("BatchGetBuilds", json!({ "ids": newest }), &self.ground.developer()).await.unwrap();
        found["builds"].as_array().unwrap().iter().any(|build| build["buildStatus"] == "IN_PROGRESS")
    }

    pub(crate) async fn sweep(&self, id: &str) -> Handled {
        let event = json!({
            "version": "0", "id": id, "detail-type": "Scheduled Event", "source": "aws.events",
            "account": "111122223333", "time": "2024-01-01T00:00:00Z", "region": "eu-west-1",
            "resources": ["arn:aws:events:eu-west-1:111122223333:rule/sweep"], "detail": {},
        });
        self.handle(&event).await.unwrap()
    }

    /// Every report of the approver in the ledger.
    pub(crate) fn ledger(&self) -> Vec<Value> {
        let entries = self.ground.objects("ledger/approver/").unwrap();
        entries.into_values().map(|mut entry| entry["report"].take()).collect()
    }
}
