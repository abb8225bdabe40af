//! DOWNLOAD_SOURCE: from a source version to a checked-out commit, with git over HTTP.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tokio::process::Command;

use super::model::Context;
use super::shell::Group;
use crate::program;

/// Where a repository is cloned from and as whom.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    /// `http://127.0.0.1:PORT/v1/repos/NAME`
    pub(crate) url: String,
    /// User name and password, if the server asks for them.
    pub(crate) credentials: Option<(String, String)>,
    /// What people call the source in messages.
    pub(crate) version: Option<String>,
    /// How many commits of history; absent for all.
    pub(crate) depth: Option<u32>,
}

/// Where things are put.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The build's home folder.
    pub(crate) home: PathBuf,
    /// The folder that is checked out into; it is there and empty.
    pub(crate) source: PathBuf,
}

/// A source that cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// git is not there.
    #[error("cannot run git; install git 2.39 or newer")]
    NoGit(#[source] std::io::Error),
    /// No such branch, tag or commit.
    #[error("reference not found for primary source and source version {version}")]
    NoReference {
        /// As it was asked for.
        version: String,
    },
    /// git said no.
    #[error("{what} failed for primary source and source version {version}: {said}")]
    Git {
        /// What was tried.
        what: &'static str,
        /// As it was asked for.
        version: String,
        /// git's last words.
        said: String,
    },
}

impl SourceError {
    /// What the failed phase carries.
    pub(crate) fn context(&self) -> Context {
        Context::new("CLIENT_ERROR", self.to_string())
    }
}

/// Puts the wanted commit into the source folder; gives its id.
pub(crate) async fn download(remote: &Remote, places: &Places) -> Result<String, SourceError> {
    let version = remote.version.clone().unwrap_or_default();
    let listing = git(remote, places, "listing the references", &["ls-remote", "--quiet", &remote.url]).await?;
    let wanted = resolve(remote.version.as_deref(), &listing)
        .ok_or_else(|| SourceError::NoReference { version: version.clone() })?;
    git(remote, places, "making the working copy", &["init", "--quiet", "--initial-branch=signalbox", "."]).await?;
    git(remote, places, "making the working copy", &["remote", "add", "origin", &remote.url]).await?;

    // What is no tip is looked for in the whole history, so that a commit to which no branch or tag leads is not there.
    let is_tip = listing.lines().any(|line| line.starts_with(&*wanted));
    let shallow = match remote.depth.filter(|_| is_tip) {
        Some(depth) => {
            let depth = format!("--depth={depth}");
            git(remote, places, "fetching", &["fetch", "--quiet", "--no-tags", &depth, "origin", &wanted]).await.is_ok()
        }
        None => false,
    };
    if !shallow {
        // A server may refuse to give a commit by its id; every branch and tag together hold it.
        git(
            remote,
            places,
            "fetching",
            &["fetch", "--quiet", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*"],
        )
        .await?;
    }
    let commit = format!("{wanted}^{{commit}}");
    git(remote, places, "finding the commit", &["rev-parse", "--quiet", "--verify", &commit])
        .await
        .map_err(|_| SourceError::NoReference { version: version.clone() })?;
    git(
        remote,
        places,
        "checking out",
        &["-c", "advice.detachedHead=false", "checkout", "--quiet", "--detach", &commit],
    )
    .await?;
    let head = git(remote, places, "finding the commit", &["rev-parse", "HEAD"]).await?;
    Ok(head.trim().to_owned())
}

/// The commit that a source version means: `refs/heads/x^{sha}`, a commit id, a branch, a tag, or nothing for HEAD.
fn resolve(version: Option<&str>, listing: &str) -> Option<String> {
    let references: Vec<(&str, &str)> = listing.lines().filter_map(|line| line.split_once('\t')).collect();
    let find = |name: &str| references.iter().find_map(|(id, other)| (*other == name).then(|| (*id).to_owned()));
    // An annotated tag stands for what it points at.
    let peeled = |name: &str| find(&format!("{name}^{{}}")).or_else(|| find(name));
    let Some(version) = version.filter(|version| !version.is_empty()) else { return find("HEAD") };
    if let Some((_, id)) = version.split_once("^{") {
        return id.strip_suffix('}').filter(|id| is_commit_id(id)).map(str::to_owned);
    }
    if is_commit_id(version) {
        return Some(version.to_owned());
    }
    if version.starts_with("refs/") {
        return peeled(version);
    }
    find(&format!("refs/heads/{version}")).or_else(|| peeled(&format!("refs/tags/{version}")))
}

fn is_commit_id(text: &str) -> bool {
    text.len() == 40 && text.chars().all(|c| c.is_ascii_hexdigit())
}

async fn git(remote: &Remote, places: &Places, what: &'static str, arguments: &[&str]) -> Result<String, SourceError> {
    let child = command(remote, places, arguments).spawn().map_err(SourceError::NoGit)?;
    let _ends_with_us = Group::of(&child);
    let output = child.wait_with_output().await.map_err(SourceError::NoGit)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("git said nothing");
    Err(SourceError::Git { what, version: remote.version.clone().unwrap_or_default(), said: said.to_owned() })
}

/// git in an environment of its own. The credentials travel as a header in its environment, for this one server only: they
/// are in no argument, no URL and no file, and the commands of the build never see them.
fn command(remote: &Remote, places: &Places, arguments: &[&str]) -> Command {
    let search_path = program::search_path();
    let mut command = Command::new(program::find("git", &search_path));
    command
        .args(arguments)
        .env_clear()
        .env("PATH", search_path)
        .env("HOME", &places.home)
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        // git's own children (git-remote-http) share its group and end with it.
        .process_group(0)
        .current_dir(&places.source)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if let Some((user, password)) = &remote.credentials {
        let header = format!("Authorization: Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
        command
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", format!("http.{}.extraHeader", remote.url))
            .env("GIT_CONFIG_VALUE_0", header);
    }
    command
}

/// The buildspec's path below the source folder, if it stays there.
pub(crate) fn buildspec_path(source: &Path, named: &str) -> Option<PathBuf> {
    use std::path::Component;
    let inside = Path::new(named).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    inside.then(|| source.join(named))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A repository with two commits on `main`, a branch, and both kinds of tags; gives the ids of the two commits.
    pub(crate) fn repository(at: &Path, files: &[(&str, &str)]) -> [String; 2] {
        std::fs::create_dir_all(at).unwrap();
        let run = |arguments: &[&str]| {
            let output = std::process::Command::new("git")
                .args(arguments)
                .current_dir(at)
                .env_clear()
                .env("PATH", std::env::var_os("PATH").unwrap())
                .env("HOME", at)
                .env("GIT_CONFIG_NOSYSTEM", "1")
                .env("GIT_CONFIG_GLOBAL", "/dev/null")
                .envs([("GIT_AUTHOR_NAME", "developer"), ("GIT_AUTHOR_EMAIL", "developer@example.com")])
                .envs([("GIT_COMMITTER_NAME", "developer"), ("GIT_COMMITTER_EMAIL", "developer@example.com")])
                .output()
                .unwrap();
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        run(&["init", "--quiet", "--initial-branch=main", "."]);
        std::fs::write(at.join("which"), "first").unwrap();
        run(&["add", "."]);
        run(&["commit", "--quiet", "-m", "first"]);
        let first = run(&["rev-parse", "HEAD"]);
        run(&["branch", "feature/one"]);
        run(&["tag", "light"]);
        run(&["tag", "-m", "a tag", "annotated"]);
        std::fs::write(at.join("which"), "second").unwrap();
        for (name, text) in files {
            std::fs::write(at.join(name), text).unwrap();
        }
        run(&["add", "."]);
        run(&["commit", "--quiet", "-m", "second"]);
        [first, run(&["rev-parse", "HEAD"])]
    }

    fn places(dir: &Path, name: &str) -> Places {
        let places = Places { home: dir.join("home"), source: dir.join(name) };
        std::fs::create_dir_all(&places.home).unwrap();
        std::fs::create_dir_all(&places.source).unwrap();
        places
    }

    #[tokio::test]
    async fn every_form_of_a_source_version_gives_exactly_its_commit() {
        let dir = tempfile::tempdir().unwrap();
        let [first, second] = repository(&dir.path().join("repo"), &[]);
        let url = format!("file://{}", dir.path().join("repo").display());
        let pinned = format!("refs/heads/main^{{{first}}}");
        let versions: [(Option<&str>, &str); 8] = [
            (None, &second),
            (Some("main"), &second),
            (Some("refs/heads/feature/one"), &first),
            (Some("feature/one"), &first),
            (Some("light"), &first),
            (Some("annotated"), &first),
            (Some(&first), &first),
            (Some(&pinned), &first),
        ];
        for (index, (version, expected)) in versions.into_iter().enumerate() {
            for depth in [None, Some(1)] {
                let places = places(dir.path(), &format!("{index}-{depth:?}"));
                let remote = Remote { url: url.clone(), credentials: None, version: version.map(str::to_owned), depth };
                assert_eq!(download(&remote, &places).await.unwrap(), expected, "{version:?} {depth:?}");
                let which = std::fs::read_to_string(places.source.join("which")).unwrap();
                assert_eq!(which, if expected == second { "second" } else { "first" });
                if depth.is_some() {
                    assert!(places.source.join(".git/shallow").exists() || expected == first, "{version:?}");
                }
            }
        }
    }

    /// As one of `CreateUnreferencedMergeCommit`: git itself would give it by its id.
    #[tokio::test]
    async fn a_commit_to_which_no_branch_or_tag_leads_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let repo = dir.path().join("repo");
        let [_, second] = repository(&repo, &[]);
        let git = |arguments: &[&str]| {
            let output = std::process::Command::new("git").args(arguments).current_dir(&repo).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
        let identity = ["-c", "user.name=developer", "-c", "user.email=developer@example.com"];
        let merge = ["commit-tree", &format!("{second}^{{tree}}"), "-p", &second, "-m", "merged"];
        let unreferenced = git(&[&identity[..], &merge].concat());
        let url = format!("file://{}", repo.display());
        for depth in [None, Some(1)] {
            let remote = Remote { url: url.clone(), credentials: None, version: Some(unreferenced.clone()), depth };
            let error = download(&remote, &places(dir.path(), &format!("{depth:?}"))).await.unwrap_err();
            assert!(matches!(error, SourceError::NoReference { .. }), "{depth:?}: {error}");
        }
    }

    #[tokio::test]
    async fn what_is_not_there_is_told_with_the_version_that_was_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        repository(&dir.path().join("repo"), &[]);
        let remote = |url: String, version: &str| Remote {
            url,
            credentials: None,
            version: Some(version.to_owned()),
            depth: None,
        };
        let url = format!("file://{}", dir.path().join("repo").display());
        for version in ["nowhere", "refs/heads/main^{zzz}", "1234567890123456789012345678901234567890"] {
            let error = download(&remote(url.clone(), version), &places(dir.path(), version)).await.unwrap_err();
            let context = error.context();
            assert_eq!(context.status_code, "CLIENT_ERROR");
            assert!(context.message.starts_with("reference not found for"), "{}", context.message);
            assert!(context.message.ends_with(version), "{}", context.message);
        }
        let nothing = format!("file://{}", dir.path().join("no-repo").display());
        let error = download(&remote(nothing, "main"), &places(dir.path(), "none")).await.unwrap_err();
        assert!(matches!(error, SourceError::Git { .. }), "{error}");
    }

    #[test]
    fn the_password_is_in_no_argument_and_meant_for_one_server() {
        let remote = Remote {
            url: "http://127.0.0.1:9/v1/repos/demo".to_owned(),
            credentials: Some(("ASIAX%token".to_owned(), "20261121T050000Zhush".to_owned())),
            version: None,
            depth: None,
        };
        let places = Places { home: PathBuf::from("/h"), source: PathBuf::from("/s") };
        let command = command(&remote, &places, &["ls-remote", &remote.url]);
        let secret = BASE64_STANDARD.encode("ASIAX%token:20261121T050000Zhush");
        for argument in command.as_std().get_args() {
            let argument = argument.to_str().unwrap();
            assert!(!argument.contains("hush") && !argument.contains(&secret), "{argument}");
        }
        let variables: Vec<(String, String)> = command
            .as_std()
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value?.to_str()?.to_owned())))
            .collect();
        let value = |wanted: &str| variables.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        assert_eq!(value("GIT_CONFIG_KEY_0"), Some("http.http://127.0.0.1:9/v1/repos/demo.extraHeader"));
        assert_eq!(value("GIT_CONFIG_VALUE_0"), Some(format!("Authorization: Basic {secret}").as_str()));
        assert_eq!(variables.iter().filter(|(_, value)| value.contains(&secret)).count(), 1);
    }

    #[test]
    fn a_buildspec_outside_of_the_source_is_not_read() {
        assert_eq!(buildspec_path(Path::new("/s"), "ci/spec.yml"), Some(PathBuf::from("/s/ci/spec.yml")));
        assert_eq!(buildspec_path(Path::new("/s"), "../spec.yml"), None);
        assert_eq!(buildspec_path(Path::new("/s"), "/etc/passwd"), None);
    }
}
