//! The only place that runs git, and how: alone with its repository, whatever the machine's own configuration says.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use super::names::ObjectId;
use crate::error::ServiceError;
use crate::program;

/// The oldest git that is known to do all of this; `cat-file -z` came with 2.38, Debian 12 has 2.39.
const OLDEST: (u32, u32) = (2, 39);

/// What holds for every git that runs here. Passed by the environment, so that it also reaches what git starts itself,
/// and so that a repository made by an older version needs no migration.
const CONFIGURATION: &[(&str, &str)] = &[
    // The folder is ours, even where a container gives it another owner; and hooks in it never run.
    ("safe.directory", "*"),
    ("core.hooksPath", "/dev/null"),
    // No process stays behind after a push, and no object that an event named goes away.
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("receive.autogc", "false"),
    // CodeCommit speaks only the smart protocol.
    ("http.receivepack", "true"),
    ("http.uploadpack", "true"),
    ("http.getanyfile", "false"),
    // CodeCommit takes force pushes and deletions, but for the default branch.
    ("receive.denyNonFastForwards", "false"),
    ("receive.denyDeletes", "false"),
    ("receive.denyDeleteCurrent", "refuse"),
    ("receive.advertisePushOptions", "false"),
    ("transfer.fsckObjects", "false"),
    // Only branches and tags are there.
    ("transfer.hideRefs", "refs"),
    ("transfer.hideRefs", "!refs/heads"),
    ("transfer.hideRefs", "!refs/tags"),
    // A build fetches exactly its commit, also when the branch has moved away from it; protocol version 2 allows that anyway.
    ("uploadpack.allowAnySHA1InWant", "true"),
];

/// The git of this machine.
#[derive(Debug)]
pub(super) struct Git {
    program: PathBuf,
    home: PathBuf,
    search_path: OsString,
}

/// A git that ended with something other than 0.
#[derive(Debug, thiserror::Error)]
pub(super) enum GitFailure {
    /// It could not be started or spoken to.
    #[error("cannot run git {command}")]
    Run {
        /// The subcommand.
        command: String,
        /// Why.
        source: std::io::Error,
    },
    /// It said no.
    #[error("git {command} failed: {stderr}")]
    Refused {
        /// The subcommand.
        command: String,
        /// What it wrote to its error stream.
        stderr: String,
    },
    /// It said something that we do not understand.
    #[error("git {command} answered {answer:?}, which cannot be understood")]
    Answer {
        /// The subcommand.
        command: &'static str,
        /// What it wrote.
        answer: String,
    },
}

impl From<GitFailure> for ServiceError {
    fn from(failure: GitFailure) -> Self {
        let cause = std::error::Error::source(&failure).map(|source| format!(": {source}")).unwrap_or_default();
        Self::internal(format!("{failure}{cause}"))
    }
}

/// What `git merge-file` made of three files.
#[derive(Debug)]
pub(super) struct MergedLines {
    pub(super) text: Vec<u8>,
    /// Whether the text holds conflicts.
    pub(super) conflicts: bool,
}

/// A folder to run in, with the environment that one call adds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// The bare repository.
    pub(super) dir: &'a Path,
    /// The index file, where a tree is built.
    pub(super) index: Option<&'a Path>,
}

impl<'a> From<&'a Path> for Place<'a> {
    fn from(dir: &'a Path) -> Self {
        Self { dir, index: None }
    }
}

impl Git {
    /// Finds git and looks whether it will do; `home` is made to be its home folder.
    ///
    /// # Errors
    /// No git, one that is too old, one without `http-backend`: each with what to install.
    pub(super) fn open(home: PathBuf) -> anyhow::Result<Self> {
        Self::open_on(program::search_path(), home)
    }

    fn open_on(search_path: OsString, home: PathBuf) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&home).with_context(|| format!("cannot make the folder {}", home.display()))?;
        let git = Self { program: program::find("git", &search_path), home, search_path };
        let version = git.ask("--version").context(
            "cannot run git; install it (Debian and Ubuntu: the package git) and see that it is in the PATH",
        )?;
        let (major, minor) = parse_version(&version)
            .with_context(|| format!("`git --version` says {version:?}, which is no version"))?;
        if (major, minor) < OLDEST {
            bail!(
                "git {major}.{minor} is too old; install git {}.{} or newer (Debian and Ubuntu: the package git)",
                OLDEST.0,
                OLDEST.1
            );
        }
        let programs = PathBuf::from(git.ask("--exec-path").context("git does not say where its programs are")?);
        if !programs.join("git-http-backend").exists() {
            bail!(
                "there is no git-http-backend in {}; install all of git (Debian and Ubuntu: the package git)",
                programs.display()
            );
        }
        Ok(git)
    }

    fn ask(&self, question: &str) -> anyhow::Result<String> {
        let answer = self.bare_command().arg(question).stdin(Stdio::null()).output()?;
        if !answer.status.success() {
            bail!("git {question} failed: {}", String::from_utf8_lossy(&answer.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&answer.stdout).trim().to_owned())
    }

    fn bare_command(&self) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        command
            .env_clear()
            .env("PATH", &self.search_path)
            .env("HOME", &self.home)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_LITERAL_PATHSPECS", "1")
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_COUNT", CONFIGURATION.len().to_string());
        for (number, (key, value)) in CONFIGURATION.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{number}"), key).env(format!("GIT_CONFIG_VALUE_{number}"), value);
        }
        command.current_dir(&self.home).process_group(0);
        command
    }

    fn command(&self, place: Place<'_>) -> std::process::Command {
        let mut command = self.bare_command();
        command.current_dir(place.dir).env("GIT_DIR", place.dir);
        if let Some(index) = place.index {
            command.env("GIT_INDEX_FILE", index);
        }
        command
    }

    /// Runs one git to its end and gives what it printed.
    pub(super) async fn run(
        &self,
        place: impl Into<Place<'_>>,
        arguments: &[&str],
        input: &[u8],
    ) -> Result<Vec<u8>, GitFailure> {
        let mut command = self.command(place.into());
        command.args(arguments);
        self.finish(command, arguments, input).await
    }

    async fn finish(
        &self,
        mut command: std::process::Command,
        arguments: &[&str],
        input: &[u8],
    ) -> Result<Vec<u8>, GitFailure> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let name = || arguments.first().copied().unwrap_or_default().to_owned();
        let run = |source| GitFailure::Run { command: name(), source };
        let mut child = Command::from(command).kill_on_drop(true).spawn().map_err(run)?;
        let stdin = child.stdin.take();
        let write = async move {
            if let Some(mut stdin) = stdin {
                // A git that does not read to the end has its reasons; its exit code says whether they matter.
                let _its_exit_code_tells = stdin.write_all(input).await;
            }
        };
        let ((), output) = tokio::join!(write, child.wait_with_output());
        let output = output.map_err(run)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(GitFailure::Refused { command: name(), stderr })
    }

    /// Merges the lines of three files with git's own merge; the texts are labelled as the arguments say.
    ///
    /// # Errors
    /// git could not be run or would not merge these files.
    pub(super) async fn merge_file(&self, dir: &Path, arguments: &[&str]) -> Result<MergedLines, GitFailure> {
        let mut command = self.command(dir.into());
        command.arg("merge-file").args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let run = |source| GitFailure::Run { command: "merge-file".to_owned(), source };
        let output = Command::from(command).kill_on_drop(true).output().await.map_err(run)?;
        match output.status.code() {
            Some(0) => Ok(MergedLines { text: output.stdout, conflicts: false }),
            // So many conflicts; what went wrong is 128 or more.
            Some(1..128) => Ok(MergedLines { text: output.stdout, conflicts: true }),
            _ => {
                let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                Err(GitFailure::Refused { command: "merge-file".to_owned(), stderr })
            }
        }
    }

    /// Makes an empty bare repository; its HEAD names a branch that is not there yet.
    pub(super) async fn init(&self, dir: &Path, branch: &str) -> Result<(), GitFailure> {
        let folder = dir.to_string_lossy().into_owned();
        let branch = format!("--initial-branch={branch}");
        let arguments = ["init", "--quiet", "--bare", "--template=", "--object-format=sha1", &branch, "--", &folder];
        let mut command = self.bare_command();
        command.args(arguments);
        self.finish(command, &arguments, b"").await.map(drop)
    }

    /// Finds objects by expressions such as `refs/heads/main^{commit}`; none for each that is not there.
    pub(super) async fn objects(
        &self,
        dir: &Path,
        expressions: &[String],
    ) -> Result<Vec<Option<ObjectId>>, GitFailure> {
        let mut input = expressions.join("\n");
        input.push('\n');
        let output = self.run(dir, &["cat-file", "--batch-check=%(objectname)"], input.as_bytes()).await?;
        let text = String::from_utf8_lossy(&output);
        let found: Vec<_> = text.lines().map(ObjectId::parse).collect();
        if found.len() == expressions.len() {
            Ok(found)
        } else {
            Err(GitFailure::Answer { command: "cat-file", answer: text.chars().take(200).collect() })
        }
    }

    /// `git http-backend` as a CGI program over the repositories in `root`; its standard streams are pipes.
    pub(super) fn http_backend(&self, root: &Path, variables: &[(&str, &str)]) -> Result<Backend, GitFailure> {
        let mut command = self.bare_command();
        command
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", root)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = Command::from(command)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| GitFailure::Run { command: "http-backend".to_owned(), source })?;
        Ok(Backend { child })
    }
}

/// A running `git http-backend`; dropped, it ends with all that it started.
#[derive(Debug)]
pub(super) struct Backend {
    pub(super) child: Child,
}

impl Drop for Backend {
    fn drop(&mut self) {
        // The id is gone once it was waited for, so this never meets a stranger.
        let group = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(group) = group {
            let _it_may_have_ended_by_itself =
                rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// `git version 2.39.5 (Apple Git-154)` is 2.39.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix("git version ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_vendors_write_them() {
        assert_eq!(parse_version("git version 2.47.3"), Some((2, 47)));
        assert_eq!(parse_version("git version 2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert_eq!(parse_version("git version 3.0"), Some((3, 0)));
        assert_eq!(parse_version("git version what"), None);
        assert_eq!(parse_version("bash: git: not found"), None);
    }

    #[test]
    fn a_machine_without_git_or_with_an_old_one_is_told_what_to_install() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = || dir.path().join("bin").into_os_string();
        std::fs::create_dir(dir.path().join("bin")).unwrap();
        let refused = |what: &str| {
            let error = format!("{:#}", Git::open_on(path(), dir.path().join("home")).unwrap_err());
            assert!(error.contains(what) && error.contains("the package git"), "{error}");
        };
        refused("cannot run git");
        let fake = |answers: &str| {
            let file = dir.path().join("bin/git");
            std::fs::write(&file, format!("#!/bin/sh\n{answers}\n")).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        fake("echo git version 2.30.2");
        refused("2.30 is too old");
        fake("case $1 in --version) echo git version 2.47.3;; *) echo /nowhere;; esac");
        refused("no git-http-backend");
    }
}
