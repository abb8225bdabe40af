//! `signalbox serve` on a disk that fills up and has room again: a limit to the size of its files stands for the disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use signalbox_aws::{Aws, AwsEnvironment, Bucket, CodeBuild, Failure, FetchedHistory, Put, Start};
use signalbox_events::ProjectName;
use signalbox_tests::programs;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// What a file can still hold on the full disk, in bytes: a little, so that writes break off in their middle.
const ROOM: u64 = 64;

struct Served {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    exports: Vec<(String, String)>,
    bucket: String,
    program: PathBuf,
}

impl Served {
    async fn start(dir: &Path) -> Self {
        let program = programs().await.unwrap().remove("signalbox").unwrap();
        // A write beyond the limit is then an error, as on a full disk, and no signal that kills.
        let mut child = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\" serve --port 0 --dir \"$1\" 2>&1"])
            .arg(&program)
            .arg(dir)
            .env(signalbox_local::lambda::binaries::READY_MADE, program.parent().unwrap())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut exports, mut bucket) = (Vec::new(), String::new());
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some((name, value)) = line.trim().strip_prefix("export ").and_then(|export| export.split_once('=')) {
                exports.push((name.to_owned(), value.to_owned()));
            }
            if let Some((_, rest)) = line.split_once("s3://") {
                bucket = rest.split('/').next().unwrap_or_default().to_owned();
            }
            if line.starts_with("Ctrl-C") {
                break;
            }
        }
        Self { child, lines, exports, bucket, program }
    }

    fn export(&self, name: &str) -> String {
        self.exports.iter().find(|(key, _)| key == name).unwrap().1.clone()
    }

    fn aws(&self) -> Aws {
        Aws::new(AwsEnvironment {
            region: self.export("AWS_REGION"),
            access_key_id: self.export("AWS_ACCESS_KEY_ID"),
            secret_access_key: self.export("AWS_SECRET_ACCESS_KEY"),
            session_token: None,
            endpoint: Some(self.export("AWS_ENDPOINT_URL")),
        })
    }

    fn bucket(&self) -> Bucket {
        Bucket::new(&self.aws(), &self.bucket)
    }

    fn limit(&self, bytes: Option<u64>) {
        let pid = Pid::from_raw(self.child.id().unwrap().try_into().unwrap());
        prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    }

    /// Reads what it tells until a line has these words.
    async fn tells(&mut self, words: &str) {
        let read = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if line.contains(words) {
                    return;
                }
            }
            panic!("it ended without telling {words:?}");
        };
        tokio::time::timeout(Duration::from_secs(20), read).await.unwrap();
    }

    async fn git(&self, dir: &Path, arguments: &[&str]) -> (bool, String) {
        let helper = format!("credential.helper=!'{}' git-credential", self.program.display());
        let output = Command::new("git")
            .args(["-c", "credential.helper=", "-c", &helper, "-c", "credential.useHttpPath=true"])
            .args(arguments)
            .current_dir(dir)
            .envs(self.exports.iter().filter(|(name, _)| name.starts_with("AWS_")).cloned())
            .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_NAME"), "A. Developer")))
            .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_EMAIL"), "developer@example.com")))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .output()
            .await
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

#[tokio::test]
async fn a_full_disk_is_told_loses_nothing_that_was_acknowledged_and_passes() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("cloud");
    let desk = dir.path().join("desk");
    std::fs::create_dir(&desk).unwrap();
    let mut served = Served::start(&folder).await;
    let bucket = served.bucket();
    let put = async |key: &str| bucket.put_new(key, vec![b'x'; 4096]).await;
    assert!(matches!(put("before").await.unwrap(), Put::Written { .. }));
    let remote = format!("{}/v1/repos/demo", served.export("AWS_ENDPOINT_URL"));
    served.git(&desk, &["init", "-q", "-b", "main"]).await;
    std::fs::write(desk.join("a"), "a".repeat(4096)).unwrap();
    served.git(&desk, &["add", "a"]).await;
    served.git(&desk, &["commit", "-q", "-m", "one"]).await;

    served.limit(Some(ROOM));
    let refused = put("during").await.unwrap_err();
    assert!(matches!(refused, Failure::Retry(_)), "{refused}");
    let (pushed, _) = served.git(&desk, &["push", "-q", &remote, "main"]).await;
    assert!(!pushed, "a push that cannot be kept is refused");
    assert!(bucket.get("before").await.unwrap().is_some(), "what is there can be read");
    // What is kept in memory first is acknowledged, and written once there is room.
    let start = Start {
        project: ProjectName::parse("demo-unit").unwrap(),
        source_version: "main".to_owned(),
        token: "token".to_owned(),
        environment: BTreeMap::new(),
        buildspec: None,
        history: FetchedHistory::AsProject,
    };
    let build = CodeBuild::new(&served.aws()).start(start).await.unwrap();
    served.tells("the state cannot be written").await;

    served.limit(None);
    served.tells("the state can be written again").await;
    assert!(matches!(put("after").await.unwrap(), Put::Written { .. }));
    let (pushed, _) = served.git(&desk, &["push", "-q", &remote, "main"]).await;
    assert!(pushed, "it has recovered");
    served.child.kill().await.unwrap();

    let served = Served::start(&folder).await;
    let bucket = served.bucket();
    for (key, there) in [("before", true), ("during", false), ("after", true)] {
        assert_eq!(bucket.get(key).await.unwrap().is_some(), there, "{key}");
    }
    let builds = CodeBuild::new(&served.aws()).builds(std::slice::from_ref(&build)).await.unwrap();
    assert_eq!(builds.len(), 1, "the build that was acknowledged is still known");
    let remote = format!("{}/v1/repos/demo", served.export("AWS_ENDPOINT_URL"));
    let (_, refs) = served.git(&desk, &["ls-remote", &remote]).await;
    assert!(refs.contains("refs/heads/main"), "{refs}");
}
