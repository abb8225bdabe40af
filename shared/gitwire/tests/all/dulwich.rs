//! dulwich, an implementation of git that shares nothing with git's own, on either side.
//!
//! `SIGNALBOX_DULWICH` names the folder of a Python environment with it; without that the tests say that they skip, and in CI they
//! fail.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use signalbox_gitwire::http::{Remote, RemoteUrl};
use signalbox_gitwire::{Change, Command as Order, Oid, Outcome, RefName, Together, Version};

use crate::host::{Host, Ways, client};
use crate::mirror::{COPIED, mirror};
use crate::repository::Repository;

/// dulwich's server over a folder of repositories; it ends with this.
struct Dulwich {
    child: Child,
    folder: tempfile::TempDir,
    address: String,
}

/// What the environment names; nothing where the tests are to be skipped.
fn environment() -> Option<PathBuf> {
    let found = std::env::var_os("SIGNALBOX_DULWICH").filter(|value| !value.is_empty()).map(PathBuf::from);
    if found.is_none() {
        let is_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
        assert!(!is_ci, "CI is set and SIGNALBOX_DULWICH does not name a Python environment with dulwich");
        let _closed = writeln!(std::io::stderr(), "skipped: SIGNALBOX_DULWICH does not name a Python environment");
    }
    found
}

impl Dulwich {
    fn start(environment: &std::path::Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(environment.join("bin/python"))
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dulwich/serve.py"))
            .arg(folder.path())
            .env_clear()
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        assert!(!port.is_empty(), "dulwich did not start");
        Self { child, folder, address: format!("http://127.0.0.1:{}", port.trim()) }
    }

    fn repository(&self, name: &str) -> Repository {
        Repository::bare(self.folder.path(), name, &[])
    }

    fn remote(&self, name: &str) -> Remote {
        Remote::new(&client(), RemoteUrl::parse(&format!("{}/{name}", self.address)).unwrap(), None)
    }

    /// What git itself sees there, over the same server.
    fn ls_remote(&self, name: &str) -> String {
        let git = crate::repository::git(self.folder.path())
            .args(["ls-remote", "--refs", &format!("{}/{name}", self.address)])
            .output()
            .unwrap();
        assert!(git.status.success(), "{git:?}");
        let text = String::from_utf8(git.stdout).unwrap();
        text.lines().filter(|line| !line.contains("refs/pull/")).map(|line| format!("{line}\n")).collect()
    }
}

impl Drop for Dulwich {
    fn drop(&mut self) {
        let _it_may_have_ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn fill(source: &Repository) {
    for number in 0..12 {
        source.commit("main", &format!("file-{}", number % 3), format!("{number}\n").repeat(300).as_bytes());
    }
    source.git(&["branch", "topic/one", "main~3"]);
    source.git(&["tag", "plain", "main~2"]);
    source.git(&["tag", "-a", "v1", "-m", "one", "main~1"]);
}

/// The same refs, by git's own word on the files and over the server, and nothing wrong or missing on either side.
fn same(source: &Repository, target: &Repository) {
    assert_eq!(source.refs(), target.refs());
    for name in ["main", "topic/one", "v1^{commit}"] {
        assert_eq!(source.tip(name), target.tip(name));
    }
    source.check();
    target.check();
}

/// A first copy, a move of everything, and an end, between two repositories wherever they are served.
async fn goes_through_a_life(from: &Remote, to: &Remote, source: &Repository, target: &Repository) {
    fill(source);
    let copy = async || mirror(from, to, Together::Each).await.unwrap();
    let first = copy().await.unwrap();
    assert!(first.report.is_done(), "{first:?}");
    same(source, target);
    assert_eq!(copy().await, None, "nothing is left to do");

    source.commit("main", "file-1", b"one more\n");
    source.git(&["update-ref", "refs/heads/topic/one", "main~5"]);
    source.git(&["tag", "-f", "-a", "v1", "-m", "two", "main"]);
    source.git(&["tag", "-d", "plain"]);
    let second = copy().await.unwrap();
    assert!(second.report.is_done(), "{second:?}");
    assert!(second.pack.unwrap().bytes < 2000, "{second:?}");
    same(source, target);

    // A long pack, which goes in chunks.
    source.commit("main", "large", &Repository::noise(3_000_000));
    let third = copy().await.unwrap();
    assert!(third.report.is_done() && third.pack.unwrap().bytes > 3_000_000, "{third:?}");
    same(source, target);
}

#[tokio::test]
async fn dulwich_is_a_target() {
    let Some(environment) = environment() else { return };
    let (host, dulwich) = (Host::start(Ways::default()).await, Dulwich::start(&environment));
    let (source, target) = (host.repository("s.git", &[]), dulwich.repository("t.git"));
    goes_through_a_life(&host.remote("s.git"), &dulwich.remote("t.git"), &source, &target).await;
    let ours = source.git(&["for-each-ref", "--format=%(objectname)%09%(refname)"]) + "\n";
    assert_eq!(dulwich.ls_remote("t.git"), ours);
}

#[tokio::test]
async fn dulwich_is_a_source() {
    let Some(environment) = environment() else { return };
    let (host, dulwich) = (Host::start(Ways::default()).await, Dulwich::start(&environment));
    let (source, target) = (dulwich.repository("s.git"), host.repository("t.git", &[]));
    goes_through_a_life(&dulwich.remote("s.git"), &host.remote("t.git"), &source, &target).await;
    let listed = dulwich.remote("s.git").source(COPIED).await.unwrap();
    assert_eq!(listed.server().version, Version::V0, "dulwich speaks no version 2 over HTTP yet");
}

#[tokio::test]
async fn dulwich_moves_nothing_that_is_not_any_more_where_it_was_seen() {
    let Some(environment) = environment() else { return };
    let dulwich = Dulwich::start(&environment);
    let target = dulwich.repository("t.git");
    fill(&target);
    let seen = dulwich.remote("t.git").target().await.unwrap();
    let id = |name: &str| Oid::parse(&target.tip(name)).unwrap();
    let (stale, now, other) = (id("main~1"), id("main"), id("topic/one"));
    let name = RefName::parse("refs/heads/main").unwrap();
    let orders = [Order { name: name.clone(), change: Change::Update { old: stale, new: other } }];
    let pushed = seen.push(&orders, Together::Each).await.unwrap();
    assert_eq!(id("main"), now);
    // It says that it has done it: whoever wants to know lists the refs once more.
    assert_eq!(pushed.report.results[0].outcome, Outcome::Done);
    let listed = dulwich.remote("t.git").target().await.unwrap();
    assert!(listed.listing().refs.iter().any(|entry| entry.name == name && entry.id == now));
}
