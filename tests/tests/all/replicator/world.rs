//! Two regions, git in their repositories, and the function.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use signalbox_aws::Failure;
use signalbox_glue::{Handle, Handled};
use signalbox_ledger::Report;
use signalbox_local::cloud::Cloud;
use signalbox_local::stage::Programs;
use signalbox_replicator::Replicator;
use signalbox_tests::{Ground, MIRROR, template};

pub(super) const THERE: &str = "us-east-1";

/// Two regions, the repository `demo` in the first, and the function.
pub(super) struct World {
    pub(super) ground: Ground,
    pub(super) replicator: Replicator,
    events: AtomicU32,
}

pub(super) fn policy(replica: &str) -> String {
    format!("mode: enforce\nrepositories:\n  demo:\n    replicas:\n      - {replica}\n")
}

/// Runs git in a bare repository, whatever the machine's own configuration says.
pub(crate) fn git_with(dir: &Path, arguments: &[&str], input: &str) -> (bool, String) {
    let mut git = Command::new("git");
    git.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    for (name, value) in [("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_SYSTEM", "/dev/null")] {
        git.env(name, value);
    }
    for role in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{role}_NAME"), "A Developer").env(format!("GIT_{role}_EMAIL"), "developer@example.com");
        git.env(format!("GIT_{role}_DATE"), "2024-01-01T00:00:00Z");
    }
    git.arg("--git-dir").arg(dir).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = git.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    let said = [ended.stdout, ended.stderr].concat();
    (ended.status.success(), String::from_utf8_lossy(&said).trim().to_owned())
}

pub(super) fn git(dir: &Path, arguments: &[&str]) -> String {
    let (ended_well, said) = git_with(dir, arguments, "");
    assert!(ended_well, "git {arguments:?}: {said}");
    said
}

/// A commit of one file, in nobody's branch yet.
pub(super) fn commit(dir: &Path, text: &str, parents: &[&str]) -> String {
    let (_, blob) = git_with(dir, &["hash-object", "-w", "--stdin"], text);
    let (_, tree) = git_with(dir, &["mktree"], &format!("100644 blob {blob}\tfile\n"));
    let mut arguments = vec!["commit-tree", &tree, "-m", text];
    arguments.extend(parents.iter().flat_map(|parent| ["-p", parent]));
    git(dir, &arguments)
}

/// A blob that does not get smaller by much, in nobody's commit yet.
pub(crate) fn noise(dir: &Path, bytes: usize, seed: u64) -> String {
    let mut state = seed;
    let mut text = String::with_capacity(bytes + 16);
    while text.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(&format!("{:016x}", state ^ state >> 29));
    }
    git_with(dir, &["hash-object", "-w", "--stdin"], &text).1
}

/// A commit of these blobs.
pub(crate) fn commit_of(dir: &Path, blobs: &[&str], parents: &[&str]) -> String {
    let lines = blobs.iter().enumerate().map(|(at, blob)| format!("100644 blob {blob}\tfile-{at}\n"));
    let (_, tree) = git_with(dir, &["mktree"], &lines.collect::<String>());
    let mut arguments = vec!["commit-tree", &tree, "-m", "large"];
    arguments.extend(parents.iter().flat_map(|parent| ["-p", parent]));
    git(dir, &arguments)
}

pub(crate) fn set(dir: &Path, name: &str, id: &str) {
    git(dir, &["update-ref", name, id]);
}

pub(super) fn refs(dir: &Path) -> String {
    git(dir, &["for-each-ref", "--format=%(objectname) %(refname)"])
}

/// Where a ref is; an empty text where it is not.
pub(super) fn tip(dir: &Path, name: &str) -> String {
    git(dir, &["for-each-ref", "--format=%(objectname)", name])
}

pub(super) fn is_whole(dir: &Path) {
    git(dir, &["fsck", "--full", "--strict", "--no-dangling"]);
}

pub(crate) fn dir_of(cloud: &Cloud, name: &str) -> PathBuf {
    cloud.codecommit.repository_dir(name).unwrap_or_else(|| panic!("no repository {name}"))
}

impl World {
    pub(super) async fn new(replica: &str) -> Self {
        let ground = Ground::in_two_regions(THERE).await.unwrap();
        ground.repository("demo").await.unwrap();
        ground.policy(&policy(replica)).unwrap();
        let replicator = Replicator::new(&ground.setup("replicator").unwrap());
        Self { ground, replicator, events: AtomicU32::new(0) }
    }

    /// The same with the replicator let into another account by this template.
    pub(super) async fn with_mirror(replica: &str, mirror: &str) -> Self {
        let text = std::fs::read_to_string(template()).unwrap();
        let ground = Ground::with_mirror(&text, mirror, Programs::None, THERE).await.unwrap();
        ground.repository("demo").await.unwrap();
        ground.policy(&policy(replica)).unwrap();
        let replicator = Replicator::new(&ground.setup("replicator").unwrap());
        Self { ground, replicator, events: AtomicU32::new(0) }
    }

    /// The other account, in the region of the copies.
    pub(super) fn mirror(&self) -> &Cloud {
        self.ground.stage.all().find(MIRROR).unwrap().find(THERE).unwrap()
    }

    pub(super) async fn describe(&self, cloud: &Cloud, name: &str, text: &str) {
        let input = json!({ "repositoryName": name, "repositoryDescription": text });
        cloud.codecommit.call("UpdateRepositoryDescription", input, &self.ground.developer()).await.unwrap();
    }

    pub(super) async fn description(&self, cloud: &Cloud, name: &str) -> String {
        let input = json!({ "repositoryName": name });
        let there = cloud.codecommit.call("GetRepository", input, &self.ground.developer()).await.unwrap();
        there["repositoryMetadata"]["repositoryDescription"].as_str().unwrap_or_default().to_owned()
    }

    pub(super) fn elsewhere(&self) -> &Cloud {
        self.ground.stage.regions().find(THERE).unwrap()
    }

    pub(super) async fn make_there(&self, name: &str) -> PathBuf {
        let input = json!({ "repositoryName": name });
        self.elsewhere().codecommit.call("CreateRepository", input, &self.ground.developer()).await.unwrap();
        self.there(name)
    }

    pub(super) fn here(&self) -> PathBuf {
        dir_of(self.ground.cloud(), "demo")
    }

    pub(super) fn there(&self, name: &str) -> PathBuf {
        dir_of(self.elsewhere(), name)
    }

    /// Any push to a branch: the replicator looks for itself what it was.
    pub(super) fn event_of(&self, repository: &str) -> Value {
        let number = self.events.fetch_add(1, Ordering::Relaxed);
        let now = self.ground.cloud().world.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        json!({
            "version": "0", "id": format!("push-{number}"), "detail-type": "CodeCommit Repository State Change",
            "source": "aws.codecommit", "account": "111122223333", "time": now, "region": "eu-west-1",
            "resources": [format!("arn:aws:codecommit:eu-west-1:111122223333:{repository}")],
            "detail": {
                "event": "referenceCreated", "repositoryName": repository, "repositoryId": "id", "referenceType": "branch",
                "referenceName": "main", "referenceFullName": "refs/heads/main",
                "commitId": "0123456789012345678901234567890123456789",
            },
        })
    }

    pub(super) fn event(&self) -> Value {
        self.event_of("demo")
    }

    pub(super) async fn handle(&self, event: &Value) -> Result<Handled, Failure> {
        self.replicator.handle(event.to_string().as_bytes(), self.ground.invocation()).await
    }

    pub(super) async fn copied(&self) -> Report {
        match self.handle(&self.event()).await.unwrap() {
            Handled::Reported(report) => *report,
            other => panic!("not copied: {other:?}"),
        }
    }

    pub(super) async fn refused(&self) -> Report {
        match self.handle(&self.event()).await.unwrap() {
            Handled::Refused(report) => *report,
            other => panic!("not refused: {other:?}"),
        }
    }

    pub(super) async fn sweep(&self) -> Handled {
        let number = self.events.fetch_add(1, Ordering::Relaxed);
        let event = json!({
            "version": "0", "id": format!("clock-{number}"), "detail-type": "Scheduled Event", "source": "aws.events",
            "account": "111122223333", "time": "2024-01-01T00:00:00Z", "region": "eu-west-1",
            "resources": ["arn:aws:events:eu-west-1:111122223333:rule/sweep"], "detail": {},
        });
        self.handle(&event).await.unwrap()
    }

    /// What is remembered of the copy, where there is one.
    pub(super) fn memory(&self) -> Value {
        self.memory_of("")
    }

    /// What is remembered of the copy whose address begins so.
    pub(super) fn memory_of(&self, begin: &str) -> Value {
        let found = self.ground.objects("state/replicas/").unwrap().into_values();
        let mut found = found.filter(|kept| kept["target"].as_str().is_some_and(|target| target.starts_with(begin)));
        found.next().unwrap_or_default()
    }
}
