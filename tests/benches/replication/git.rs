//! git, whatever the machine's own configuration says.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

/// A git that heeds nothing but its repository and these settings.
pub(crate) fn command(settings: &[(String, String)]) -> Command {
    let mut git = Command::new("git");
    git.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    for (name, value) in
        [("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_TERMINAL_PROMPT", "0")]
    {
        git.env(name, value);
    }
    for role in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{role}_NAME"), "A Developer").env(format!("GIT_{role}_EMAIL"), "developer@example.com");
    }
    git.env("GIT_CONFIG_COUNT", settings.len().to_string());
    for (number, (key, value)) in settings.iter().enumerate() {
        git.env(format!("GIT_CONFIG_KEY_{number}"), key).env(format!("GIT_CONFIG_VALUE_{number}"), value);
    }
    git.stdin(Stdio::null());
    git
}

/// What git prints in a repository; it must not fail.
pub(crate) fn run<S: AsRef<OsStr>>(dir: &Path, arguments: &[S]) -> anyhow::Result<String> {
    let mut git = command(&[]);
    git.arg("--git-dir").arg(dir).args(arguments);
    told(git)
}

/// What a command prints; it must not fail.
pub(crate) fn told(mut command: Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("{command:?} cannot be run"))?;
    // The environment, which Debug shows too, may hold a password.
    let name: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    ensure!(output.status.success(), "git {}: {}", name.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}
