//! The functions' binaries: built with the cargo that is there, or taken from a folder.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Command;

/// The variable that names a folder of ready-made binaries.
pub const READY_MADE: &str = "SIGNALBOX_FUNCTIONS";

/// How long a build is quiet before cargo's own lines are shown: one that has nothing to do says nothing.
const QUIET: Duration = Duration::from_millis(700);

/// How many of cargo's lines are kept for the error.
const LAST_LINES: usize = 200;

/// Why there are no binaries.
#[derive(Debug, thiserror::Error)]
pub enum BinariesError {
    /// The folder of ready-made binaries is of no use.
    #[error("the functions cannot be taken from {} ({READY_MADE})", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What is wrong.
        #[source]
        source: std::io::Error,
    },
    /// The source is not where it was when this program was built.
    #[error(
        "the functions cannot be built: {} is not the workspace any more; run this from a checkout, \
         or set {READY_MADE} to a folder with the binaries", workspace.display()
    )]
    NoWorkspace {
        /// Where it was.
        workspace: PathBuf,
    },
    /// There is no cargo.
    #[error(
        "the functions cannot be built: {} cannot be run; install Rust (https://rustup.rs), \
         or set {READY_MADE} to a folder with the binaries", Path::new(cargo).display()
    )]
    NoCargo {
        /// What was tried.
        cargo: OsString,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The build failed.
    #[error("the functions do not build:\n{output}")]
    Failed {
        /// The last of what cargo said.
        output: String,
    },
}

/// The binaries by their names: from the folder that [`READY_MADE`] names, or built.
///
/// # Errors
/// See [`BinariesError`].
pub async fn find() -> Result<BTreeMap<String, PathBuf>, BinariesError> {
    match std::env::var_os(READY_MADE) {
        Some(folder) => in_folder(Path::new(&folder)),
        None => {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
            build(&cargo, &workspace()?).await
        }
    }
}

/// Every file in a folder that can be run.
///
/// # Errors
/// The folder cannot be read.
pub fn in_folder(folder: &Path) -> Result<BTreeMap<String, PathBuf>, BinariesError> {
    use std::os::unix::fs::PermissionsExt;
    let wrong = |source| BinariesError::Folder { folder: folder.to_owned(), source };
    let folder = folder.canonicalize().map_err(wrong)?;
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        let path = entry.path();
        let metadata = std::fs::metadata(&path).map_err(wrong)?;
        if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
            found.insert(entry.file_name().to_string_lossy().into_owned(), path);
        }
    }
    Ok(found)
}

/// The workspace that this program was built from.
///
/// # Errors
/// It is not where it was.
pub fn workspace() -> Result<PathBuf, BinariesError> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/")).to_owned();
    let manifest = std::fs::read_to_string(workspace.join("Cargo.toml")).unwrap_or_default();
    if manifest.contains("[workspace]") { Ok(workspace) } else { Err(BinariesError::NoWorkspace { workspace }) }
}

/// Builds every binary of a workspace, in the profile of the running program.
///
/// # Errors
/// No cargo, or a build that fails: with what cargo said.
pub async fn build(cargo: &OsString, workspace: &Path) -> Result<BTreeMap<String, PathBuf>, BinariesError> {
    // Whoever started this may have closed its standard error.
    let _gone = writeln!(std::io::stderr(), "building the functions (the first time this takes a few minutes) ...");
    match cargo_build(cargo, workspace, Network::Allowed).await {
        // A machine that has everything but the network: what is in the cache may do.
        Err(BinariesError::Failed { output }) if is_about_network(&output) => {
            cargo_build(cargo, workspace, Network::Offline).await
        }
        result => result,
    }
}

fn is_about_network(output: &str) -> bool {
    ["Could not resolve host", "failed to download", "failed to fetch", "spurious network error", "--offline"]
        .iter()
        .any(|hint| output.contains(hint))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    Allowed,
    Offline,
}

#[derive(Debug, Deserialize)]
struct Message {
    reason: String,
    target: Option<Target>,
    executable: Option<PathBuf>,
    message: Option<Diagnostic>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Diagnostic {
    rendered: Option<String>,
    level: String,
}

/// Takes out of a nested cargo's environment what the cargo that runs this program has set for it: the nested one must find
/// out for itself, or it builds everything anew.
pub fn forget_outer_cargo(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text == "CARGO_MANIFEST_DIR" || text == "CARGO_MANIFEST_PATH" {
            command.env_remove(&name);
        }
    }
}

async fn cargo_build(
    cargo: &OsString,
    workspace: &Path,
    network: Network,
) -> Result<BTreeMap<String, PathBuf>, BinariesError> {
    let mut command = Command::new(cargo);
    command.current_dir(workspace).args(["build", "--workspace", "--bins", "--message-format=json"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    if network == Network::Offline {
        command.arg("--offline");
    }
    forget_outer_cargo(&mut command);
    let no_cargo = |source| BinariesError::NoCargo { cargo: cargo.clone(), source };
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(no_cargo)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let ((found, diagnostics), said, status) = tokio::join!(read_messages(stdout), relay(stderr), child.wait());
    if status.map_err(no_cargo)?.success() {
        return Ok(found);
    }
    Err(BinariesError::Failed { output: format!("{diagnostics}{said}") })
}

/// The executables that cargo names, and the errors of the compiler.
async fn read_messages(stdout: Option<impl AsyncRead + Unpin>) -> (BTreeMap<String, PathBuf>, String) {
    let (mut found, mut diagnostics) = (BTreeMap::new(), String::new());
    let Some(stdout) = stdout else { return (found, diagnostics) };
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(message) = serde_json::from_str::<Message>(&line) else { continue };
        match (message.reason.as_str(), message.target, message.executable, message.message) {
            ("compiler-artifact", Some(target), Some(executable), _)
                if target.kind.iter().any(|kind| kind == "bin") =>
            {
                found.insert(target.name, executable);
            }
            ("compiler-message", _, _, Some(Diagnostic { rendered: Some(text), level })) if level == "error" => {
                diagnostics.push_str(&text);
            }
            _ => {}
        }
    }
    (found, diagnostics)
}

/// Keeps cargo's lines, and shows them to a person when the build takes longer than a moment.
async fn relay(stderr: Option<impl AsyncRead + Unpin>) -> String {
    let mut kept: Vec<String> = Vec::new();
    let Some(stderr) = stderr else { return String::new() };
    let is_terminal = std::io::stderr().is_terminal();
    let mut lines = BufReader::new(stderr).lines();
    let quiet = tokio::time::sleep(QUIET);
    tokio::pin!(quiet);
    let mut shown: Option<usize> = None;
    loop {
        tokio::select! {
            line = lines.next_line() => match line {
                Ok(Some(line)) => kept.push(line),
                Ok(None) | Err(_) => break,
            },
            () = &mut quiet, if shown.is_none() && is_terminal => shown = Some(0),
        }
        if let Some(count) = &mut shown {
            for line in kept.iter().skip(*count) {
                // Nobody can be told that standard error is gone.
                let _gone = writeln!(std::io::stderr(), "{line}");
            }
            *count = kept.len();
        }
    }
    let skipped = kept.len().saturating_sub(LAST_LINES);
    kept.into_iter().skip(skipped).map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn package(name: &str, main: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        write(
            &dir.path().join("Cargo.toml"),
            &format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n"),
        );
        write(&dir.path().join("src/main.rs"), main);
        // The target folder of the real build must not be shared with a workspace that is thrown away.
        write(&dir.path().join(".cargo/config.toml"), "[build]\ntarget-dir = \"target\"\n");
        dir
    }

    fn cargo() -> OsString {
        std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"))
    }

    #[tokio::test]
    async fn a_build_finds_its_executables_by_what_cargo_says() {
        let dir = package("tiny", "fn main() {}");
        let found = build(&cargo(), dir.path()).await.unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["tiny"]);
        assert!(found["tiny"].is_file());
    }

    #[tokio::test]
    async fn a_build_that_fails_shows_what_the_compiler_said() {
        let dir = package("broken", "fn main() { undefined() }");
        let error = build(&cargo(), dir.path()).await.unwrap_err().to_string();
        assert!(error.contains("cannot find function `undefined`"), "{error}");
    }

    #[tokio::test]
    async fn a_missing_cargo_says_what_to_do() {
        let error = build(&OsString::from("/nowhere/cargo"), Path::new("/")).await.unwrap_err().to_string();
        assert!(error.contains("install Rust") && error.contains(READY_MADE), "{error}");
    }

    #[test]
    fn a_folder_gives_what_can_be_run() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("trigger"), "");
        write(&dir.path().join("notes.txt"), "");
        std::fs::set_permissions(dir.path().join("trigger"), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(dir.path().join("notes.txt"), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(in_folder(dir.path()).unwrap().keys().collect::<Vec<_>>(), ["trigger"]);

        let error = in_folder(Path::new("/nowhere")).unwrap_err().to_string();
        assert!(error.contains("/nowhere"), "{error}");
    }

    #[test]
    fn the_workspace_is_the_one_this_was_built_from() {
        assert!(workspace().unwrap().join("local/Cargo.toml").is_file());
    }
}
