//! A repository in the local cloud, a clone of it with the real git, and the function.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use signalbox_aws::Failure;
use signalbox_glue::{Handle, Handled};
use signalbox_ledger::Report;
use signalbox_local::auth::git_credentials;
use signalbox_protector::Protector;
use signalbox_tests::Ground;

/// The repository `demo` with its protections, a clone, and the function.
pub(super) struct World {
    pub(super) ground: Ground,
    pub(super) protector: Protector,
    pub(super) clone: PathBuf,
}

pub(super) fn policy(protection: &str) -> String {
    format!("mode: enforce\nrepositories:\n  demo:\n    protection:\n      - {protection}\n")
}

/// A program in a folder, with the developer's password for git and nothing of this machine.
pub(crate) fn command(ground: &Ground, dir: &Path, program: &str) -> Command {
    let (keys, world) = (&ground.stage.developer, &ground.cloud().world);
    let host = world.endpoint().trim_start_matches("http://").to_owned();
    let keys = (keys.access_key_id.as_str(), keys.secret_access_key.as_str(), None);
    let (user, password) = git_credentials(keys, &host, "/v1/repos/demo", &world.region, world.now());
    let header = format!("Authorization: Basic {}", STANDARD.encode(format!("{user}:{password}")));
    let mut command = Command::new(program);
    command.current_dir(dir).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.env("HOME", dir).env("LC_ALL", "C").env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0");
    command.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "http.extraHeader").env("GIT_CONFIG_VALUE_0", header);
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), "The developer")
            .env(format!("GIT_{role}_EMAIL"), "developer@example.com");
    }
    command.stdin(Stdio::null());
    command
}

impl World {
    pub(super) async fn new(protection: &str) -> Self {
        Self::on(Ground::without_functions().await.unwrap(), protection).await
    }

    /// The same on a ground of the test's own.
    pub(super) async fn on(ground: Ground, protection: &str) -> Self {
        ground.repository("demo").await.unwrap();
        ground.policy(&policy(protection)).unwrap();
        let protector = Protector::new(&ground.setup("protector").unwrap());
        let clone = ground.desk().join("clone");
        std::fs::create_dir_all(&clone).unwrap();
        let world = Self { ground, protector, clone };
        world.git(&["init", "--quiet", "--initial-branch", "main", "."]);
        world.git(&["remote", "add", "origin", &world.address()]);
        world
    }

    pub(super) fn address(&self) -> String {
        format!("{}/v1/repos/demo", self.ground.cloud().world.endpoint())
    }

    /// A program in the clone, with the developer's password for git and nothing of this machine.
    pub(super) fn command(&self, program: &str) -> Command {
        command(&self.ground, &self.clone, program)
    }

    pub(super) fn try_git(&self, arguments: &[&str]) -> Output {
        self.command("git").args(arguments).output().unwrap()
    }

    pub(super) fn git(&self, arguments: &[&str]) -> String {
        let output = self.try_git(arguments);
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A commit of these files upon what is checked out.
    pub(super) fn commit(&self, message: &str, files: &[(&str, &[u8])]) -> String {
        for (path, content) in files {
            let file = self.clone.join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, content).unwrap();
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    pub(super) fn push(&self, what: &str) {
        self.git(&["push", "--quiet", "origin", what]);
    }

    /// The bare repository of the local cloud.
    pub(super) fn here(&self) -> PathBuf {
        self.ground.cloud().codecommit.repository_dir("demo").unwrap()
    }

    /// Where a ref of the repository is; an empty text where it is not.
    pub(super) fn tip(&self, name: &str) -> String {
        let dir = self.here();
        let arguments = ["--git-dir", dir.to_str().unwrap(), "for-each-ref", "--format=%(objectname)", name];
        self.git(&arguments)
    }

    /// What is kept below the quarantine prefix: name and commit.
    pub(super) fn kept(&self) -> Vec<(String, String)> {
        let dir = self.here();
        let format = "--format=%(refname) %(objectname)";
        let arguments = ["--git-dir", dir.to_str().unwrap(), "for-each-ref", format, "refs/heads/quarantine/"];
        let lines = self.git(&arguments);
        lines
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(name, id)| (name.to_owned(), id.to_owned()))
            .collect()
    }

    /// The next event of this ref on the bus.
    pub(super) async fn event(&mut self, name: &str) -> Value {
        loop {
            let event = self.ground.push_event().await.unwrap();
            if event["detail"]["referenceFullName"] == name {
                return event;
            }
        }
    }

    pub(super) async fn handle(&self, event: &Value) -> Result<Handled, Failure> {
        self.protector.handle(event.to_string().as_bytes(), self.ground.invocation()).await
    }

    pub(super) async fn reported(&self, event: &Value) -> Report {
        match self.handle(event).await.unwrap() {
            Handled::Reported(report) => *report,
            other => panic!("not reported: {other:?}"),
        }
    }

    /// The report of what happened to `main` next.
    pub(super) async fn next(&mut self) -> Report {
        let event = self.event("refs/heads/main").await;
        self.reported(&event).await
    }

    pub(super) async fn sweep(&self, id: &str) -> Handled {
        let event = json!({
            "version": "0", "id": id, "detail-type": "Scheduled Event", "source": "aws.events",
            "account": "111122223333", "time": "2024-01-01T00:00:00Z", "region": "eu-west-1",
            "resources": ["arn:aws:events:eu-west-1:111122223333:rule/sweep"], "detail": {},
        });
        self.handle(&event).await.unwrap()
    }
}

pub(super) fn is_whole(dir: &Path) {
    let fsck =
        Command::new("git").arg("--git-dir").arg(dir).args(["fsck", "--full", "--no-dangling"]).output().unwrap();
    assert!(fsck.status.success(), "{}", String::from_utf8_lossy(&fsck.stderr));
}
