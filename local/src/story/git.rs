//! The real git, as the developer runs it: told nothing but what a developer's git would be told.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};
use tokio::process::Command;

use crate::git_credential::credential_helper;

/// A clone that somebody works in.
#[derive(Debug)]
pub struct Clone {
    dir: PathBuf,
    environment: Vec<(String, String)>,
}

impl Clone {
    /// Clones `url` into `dir`; `helper` is the `signalbox` program, whose `git-credential` answers for the password.
    ///
    /// # Errors
    /// What git says.
    pub async fn make(url: &str, dir: &Path, helper: &Path, keys: Vec<(&'static str, String)>) -> anyhow::Result<Self> {
        let mut environment: Vec<(String, String)> =
            keys.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let settings = [
            ("credential.helper", String::new()),
            ("credential.helper", credential_helper(helper)),
            ("credential.useHttpPath", "true".to_owned()),
            ("init.defaultBranch", "main".to_owned()),
            ("user.name", "The developer".to_owned()),
            ("user.email", "developer@example.com".to_owned()),
        ];
        environment.push(("GIT_CONFIG_COUNT".to_owned(), settings.len().to_string()));
        for (index, (key, value)) in settings.into_iter().enumerate() {
            environment.push((format!("GIT_CONFIG_KEY_{index}"), key.to_owned()));
            environment.push((format!("GIT_CONFIG_VALUE_{index}"), value));
        }
        let above = dir.parent().context("the clone needs a folder to lie in")?;
        std::fs::create_dir_all(above).with_context(|| format!("cannot make the folder {}", above.display()))?;
        let clone = Self { dir: dir.to_owned(), environment };
        clone.run_in(above, &["clone", "--quiet", url, &dir.to_string_lossy()]).await?;
        Ok(clone)
    }

    /// Writes a file of the work tree.
    ///
    /// # Errors
    /// The disk.
    pub fn write(&self, path: &str, text: &str) -> anyhow::Result<()> {
        let file = self.dir.join(path);
        if let Some(above) = file.parent() {
            std::fs::create_dir_all(above).with_context(|| format!("cannot make the folder {}", above.display()))?;
        }
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    /// Runs git in the clone; gives what it printed.
    ///
    /// # Errors
    /// What git says.
    pub async fn git(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.run_in(&self.dir, arguments).await
    }

    /// Commits everything and pushes `main`; gives the commit's id.
    ///
    /// # Errors
    /// What git says.
    pub async fn push_all(&self, message: &str) -> anyhow::Result<String> {
        self.git(&["add", "--all"]).await?;
        self.git(&["commit", "--quiet", "--message", message]).await?;
        self.git(&["push", "--quiet", "origin", "HEAD:refs/heads/main"]).await?;
        Ok(self.git(&["rev-parse", "HEAD"]).await?.trim().to_owned())
    }

    async fn run_in(&self, dir: &Path, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(dir).env_clear().stdin(Stdio::null()).kill_on_drop(true);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", dir).env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0");
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let output = command.output().await.context("cannot run git; install git 2.39 or newer")?;
        if !output.status.success() {
            bail!("git {} failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
