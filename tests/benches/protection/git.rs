//! A clone in the local cloud, and the real git in it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use signalbox_local::auth::git_credentials;
use signalbox_tests::Ground;

/// A clone of the repository `demo`.
#[derive(Debug)]
pub(crate) struct Clone<'a> {
    ground: &'a Ground,
    dir: PathBuf,
}

impl<'a> Clone<'a> {
    /// Makes an empty one.
    pub(crate) fn make(ground: &'a Ground) -> anyhow::Result<Self> {
        let dir = ground.desk().join("clone");
        std::fs::create_dir_all(&dir)?;
        let clone = Self { ground, dir };
        clone.run(&["init", "--quiet", "--initial-branch", "main", "."])?;
        let address = format!("{}/v1/repos/demo", ground.cloud().world.endpoint());
        clone.run(&["remote", "add", "origin", &address])?;
        Ok(clone)
    }

    /// A commit of one file upon what is checked out; gives its id.
    pub(crate) fn commit(&self, message: &str) -> anyhow::Result<String> {
        std::fs::write(self.dir.join("file"), message)?;
        self.run(&["add", "--all"])?;
        self.run(&["commit", "--quiet", "--allow-empty", "-m", message])?;
        self.run(&["rev-parse", "HEAD"])
    }

    /// git with the developer's password and nothing of this machine; gives what it printed.
    pub(crate) fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let (keys, world) = (&self.ground.stage.developer, &self.ground.cloud().world);
        let host = world.endpoint().trim_start_matches("http://").to_owned();
        let pair = (&*keys.access_key_id, &*keys.secret_access_key, None);
        let (user, password) = git_credentials(pair, &host, "/v1/repos/demo", &world.region, world.now());
        let header = format!("Authorization: Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let mut git = Command::new("git");
        git.current_dir(&self.dir).args(arguments).stdin(Stdio::null()).env_clear();
        git.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", &self.dir).env("LC_ALL", "C");
        git.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_COUNT", "1");
        git.env("GIT_CONFIG_KEY_0", "http.extraHeader").env("GIT_CONFIG_VALUE_0", header);
        for role in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{role}_NAME"), "The developer");
            git.env(format!("GIT_{role}_EMAIL"), "developer@example.com");
        }
        let output = git.output().context("git cannot be run")?;
        ensure!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Where a ref of the repository itself is.
    pub(crate) fn tip(&self, name: &str) -> anyhow::Result<String> {
        let dir = self.ground.cloud().codecommit.repository_dir("demo").context("no repository")?;
        self.run(&["--git-dir", &dir.to_string_lossy(), "for-each-ref", "--format=%(objectname)", name])
    }
}
