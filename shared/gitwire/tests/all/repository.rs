//! Repositories made and looked at with git itself.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A repository, work tree or bare, on disk.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    pub(crate) dir: PathBuf,
}

/// git without anything of this machine's own configuration.
pub(crate) fn git(dir: &Path) -> Command {
    git_of(Path::new("git"), dir)
}

/// The same with a git of one's own choice.
pub(crate) fn git_of(program: &Path, dir: &Path) -> Command {
    let mut git = Command::new(program);
    git.env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("HOME", dir)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_NAME"), "anna")))
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_EMAIL"), "anna@example.com")))
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_DATE"), "1700000000 +0000")))
        .current_dir(dir)
        .stdin(Stdio::null());
    git
}

impl Repository {
    /// A bare repository with these settings, each `key=value`.
    pub(crate) fn bare(root: &Path, name: &str, settings: &[&str]) -> Self {
        Self::init(root, name, &["--bare"], settings)
    }

    pub(crate) fn init(root: &Path, name: &str, options: &[&str], settings: &[&str]) -> Self {
        let dir = root.join(name);
        let made = git(root).args(["init", "-q", "-b", "main"]).args(options).arg(&dir).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let repository = Self { dir };
        // Thousands of refs are written here, and no power fails.
        repository.git(&["config", "core.fsync", "none"]);
        repository.git(&["config", "gc.auto", "0"]);
        repository.git(&["config", "receive.autogc", "false"]);
        for setting in settings {
            let (key, value) = setting.split_once('=').unwrap();
            repository.git(&["config", key, value]);
        }
        repository
    }

    pub(crate) fn try_git(&self, arguments: &[&str]) -> Output {
        git(&self.dir).args(arguments).output().unwrap()
    }

    /// What git prints, without the line end; git must not fail.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = self.try_git(arguments);
        assert!(output.status.success(), "git {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// What git prints when it is given this to read.
    pub(crate) fn git_with(&self, arguments: &[&str], input: &[u8]) -> String {
        use std::io::Write;
        let mut child = git(&self.dir).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// A commit with one file on a branch, in a bare repository; gives its id.
    pub(crate) fn commit(&self, branch: &str, path: &str, content: &[u8]) -> String {
        let full = format!("refs/heads/{branch}");
        let blob = self.git_with(&["hash-object", "-w", "--stdin"], content);
        let tip = self.try_git(&["rev-parse", "-q", "--verify", &full]);
        let tip = String::from_utf8(tip.stdout).unwrap().trim().to_owned();
        let mut tree = if tip.is_empty() { String::new() } else { self.git(&["ls-tree", &tip]) + "\n" };
        tree =
            tree.lines().filter(|line| !line.ends_with(&format!("\t{path}"))).map(|line| format!("{line}\n")).collect();
        tree += &format!("100644 blob {blob}\t{path}\n");
        let tree = self.git_with(&["mktree"], tree.as_bytes());
        let mut arguments = vec!["commit-tree", &tree, "-m", path];
        if !tip.is_empty() {
            arguments.extend(["-p", &tip]);
        }
        let commit = self.git(&arguments);
        self.git(&["update-ref", &full, &commit]);
        commit
    }

    /// Bytes that nothing can compress, the same every time.
    pub(crate) fn noise(length: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        std::iter::repeat_with(next).flatten().take(length).collect()
    }

    /// All refs with what they point at, and what tags stand for.
    pub(crate) fn refs(&self) -> String {
        self.git(&["for-each-ref", "--format=%(objectname) %(*objectname) %(refname)"])
    }

    pub(crate) fn tip(&self, name: &str) -> String {
        self.git(&["rev-parse", name])
    }

    /// git finds nothing wrong or missing.
    pub(crate) fn check(&self) {
        self.git(&["fsck", "--full", "--strict"]);
    }

    /// Neither refs nor objects, nor remains of what was to become objects.
    pub(crate) fn is_untouched(&self) -> bool {
        let files = self.git(&["count-objects", "-v"]);
        let none = ["count: 0", "in-pack: 0", "garbage: 0"].iter().all(|line| files.contains(line));
        let folders = std::fs::read_dir(self.dir.join("objects")).unwrap();
        let names: Vec<_> = folders.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        none && self.refs().is_empty() && names.iter().all(|name| name == "info" || name == "pack")
    }

    pub(crate) fn hook(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.dir.join("hooks").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}
