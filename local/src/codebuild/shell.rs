//! The one shell that a build's commands run in, one after the other.
//!
//! Version 0.2 promises that `cd`, `export` and plain variables carry over from command to command and from phase to phase.
//! So one shell lives for the whole build and reads from a pipe which file it is to run next. Behind each command it prints
//! a mark with the exit status into the same pipe as the command's output, so that status and output cannot overtake each
//! other. A command that ends the shell (`exit`, `set -e`, a syntax error) leaves directory and exported variables behind for
//! the shell that follows. When the local cloud dies the pipe closes, and the shell ends with the command that it runs.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::Instant;

use super::buildspec::Shell;
use super::transcript::{self, Transcript};
use crate::logs::lines::Lines;
use crate::program;

/// How long a shell may take to end by itself once there is nothing more to run.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long output is waited for once the shell is gone: a process that left the group may hold the pipe open.
const LAST_OUTPUT: Duration = Duration::from_millis(300);

/// A shell that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShellError {
    /// Not there, or not allowed.
    #[error("cannot start the shell {program}")]
    Start {
        /// `sh` or `bash`.
        program: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The build's folder cannot be written, or the pipe broke.
    #[error("cannot hand the command to the shell")]
    Hand(#[source] std::io::Error),
    /// The pipe broke.
    #[error("cannot read the command's output")]
    Read(#[source] std::io::Error),
}

/// How a shell is set up.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) shell: Shell,
    /// The build's own folder, for the command files.
    pub(crate) folder: PathBuf,
    /// Where the commands begin: the source.
    pub(crate) begin_in: PathBuf,
    /// All variables; nothing else is in the environment.
    pub(crate) environment: Vec<(String, String)>,
    /// Something that no output holds by chance.
    pub(crate) mark: String,
}

/// The shell of one build.
#[derive(Debug)]
pub(crate) struct BuildShell {
    setup: Setup,
    running: Option<Running>,
    steps: usize,
    succeeding: bool,
}

#[derive(Debug)]
struct Running {
    // Dropped first: the group is killed while the child still holds its process id.
    group: Group,
    child: Child,
    steps: ChildStdin,
    output: ChildStdout,
    lines: Lines,
    unread: Vec<u8>,
}

/// A process group that does not outlive its owner.
#[derive(Debug)]
pub(crate) struct Group(Option<Pid>);

impl Group {
    /// The group that a child leads that was started with `process_group(0)`.
    pub(crate) fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    fn kill(&mut self) {
        if let Some(group) = self.0.take() {
            // An error says that nobody is left in it.
            let _already_empty = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

impl BuildShell {
    pub(crate) fn new(setup: Setup) -> Self {
        Self { setup, running: None, steps: 0, succeeding: true }
    }

    /// From now on commands see `CODEBUILD_BUILD_SUCCEEDING=0`.
    pub(crate) fn build_fails(&mut self) {
        self.succeeding = false;
    }

    /// Runs a command to its end; gives its exit status.
    pub(crate) async fn run(&mut self, command: &str, transcript: &mut Transcript) -> Result<i32, ShellError> {
        self.steps += 1;
        let file = self.setup.folder.join(format!("command-{}", self.steps));
        std::fs::write(&file, command).map_err(ShellError::Hand)?;
        // A shell that something in the background has killed since is replaced, not written to.
        let ready = self.running.as_mut().is_some_and(|running| matches!(running.child.try_wait(), Ok(None)));
        if !ready {
            self.running = Some(self.start()?);
        }
        let Some(running) = &mut self.running else { return Ok(1) };
        let succeeding = u8::from(self.succeeding);
        let line = format!("{succeeding} {}\n", file.display());
        running.steps.write_all(line.as_bytes()).await.map_err(ShellError::Hand)?;
        running.steps.flush().await.map_err(ShellError::Hand)?;
        match running.until_mark(&self.setup.mark, transcript).await? {
            Ended::Command(status) => Ok(status),
            Ended::Shell(status) => {
                self.running = None;
                Ok(status)
            }
        }
    }

    /// Lets the shell end by itself (its `trap ... EXIT` may have something to do), then ends whatever it left running.
    pub(crate) async fn end(mut self, transcript: &mut Transcript) {
        let Some(running) = self.running.take() else { return };
        let Running { mut group, mut child, steps, mut output, mut lines, .. } = running;
        drop(steps);
        let ended = tokio::select! {
            ended = self.last_words(&mut output, &mut lines, transcript) => Some(ended),
            _ = child.wait() => None,
            () = tokio::time::sleep(LAST_WORDS) => None,
        };
        group.kill();
        if ended.is_none() {
            // What was said is still in the pipe; only a process that left the group could go on.
            let rest = self.last_words(&mut output, &mut lines, transcript);
            let _cut = tokio::time::timeout(LAST_OUTPUT, rest).await;
        }
        lines.end(|line| transcript.output(line));
        transcript.flush();
    }

    /// Passes on what comes until nobody holds the pipe any more.
    async fn last_words(&self, output: &mut ChildStdout, lines: &mut Lines, transcript: &mut Transcript) {
        let mut chunk = [0_u8; 4096];
        while let Ok(count) = output.read(&mut chunk).await
            && count > 0
        {
            lines.take(chunk.get(..count).unwrap_or_default(), |line| {
                if !self.is_mark(line) {
                    transcript.output(line);
                }
            });
            transcript.flush();
            tokio::task::yield_now().await;
        }
    }

    fn is_mark(&self, line: &[u8]) -> bool {
        let mark = self.setup.mark.as_bytes();
        line.windows(mark.len()).any(|part| part == mark)
    }

    /// The process that is started: nothing secret in its arguments, nothing of ours in its environment.
    fn command(&self, driver: &Path) -> Command {
        let search_path = self.setup.environment.iter().find(|(name, _)| *name == "PATH");
        let search_path = search_path.map(|(_, path)| OsStr::new(path)).unwrap_or_default();
        let mut command = Command::new(program::find(self.setup.shell.program(), search_path));
        command
            .arg(driver)
            .env_clear()
            .envs(self.setup.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.setup.begin_in)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // The driver's first line sends the shell's own complaints where the output goes.
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        command
    }

    fn start(&self) -> Result<Running, ShellError> {
        let driver = self.setup.folder.join("driver");
        std::fs::write(&driver, driver_script(&driver, &self.setup.mark)).map_err(ShellError::Hand)?;
        let program = self.setup.shell.program();
        let fail = |source| ShellError::Start { program, source };
        let mut child = self.command(&driver).spawn().map_err(fail)?;
        let group = Group::of(&child);
        let missing = || fail(std::io::Error::other("it has no pipes"));
        let steps = child.stdin.take().ok_or_else(missing)?;
        let output = child.stdout.take().ok_or_else(missing)?;
        Ok(Running { group, child, steps, output, lines: transcript::lines(), unread: Vec::new() })
    }
}

enum Ended {
    Command(i32),
    Shell(i32),
}

impl Running {
    /// Passes output on until the mark comes, or until the shell is gone.
    async fn until_mark(&mut self, mark: &str, transcript: &mut Transcript) -> Result<Ended, ShellError> {
        let mut chunk = vec![0_u8; 16 * 1024];
        let mut gone: Option<(i32, Instant)> = None;
        loop {
            if let Some((before, status, shell_ended, behind)) = find_mark(&self.unread, mark) {
                let rest = self.unread.split_off(behind);
                self.unread.truncate(before);
                let text = std::mem::replace(&mut self.unread, rest);
                self.lines.take(&text, |line| transcript.output(line));
                self.lines.end(|line| transcript.output(line));
                transcript.flush();
                return Ok(if shell_ended { Ended::Shell(status) } else { Ended::Command(status) });
            }
            self.pass_on(mark.len(), transcript);
            transcript.flush();
            // Others have their turn too, however much there is to read.
            tokio::task::yield_now().await;
            let count = match gone {
                None => {
                    tokio::select! {
                        biased;
                        exited = self.child.wait() => {
                            let exited = exited.map_err(ShellError::Read)?;
                            gone = Some((exit_status(exited), Instant::now() + LAST_OUTPUT));
                            continue;
                        }
                        read = self.output.read(&mut chunk) => read.map_err(ShellError::Read)?,
                    }
                }
                // Something may talk on behind a dead shell without end, so the clock is looked at by hand.
                Some((status, until)) => match tokio::time::timeout_at(until, self.output.read(&mut chunk)).await {
                    Ok(Ok(count)) if count > 0 && Instant::now() < until => count,
                    _ => return Ok(self.without_mark(status, transcript)),
                },
            };
            if count == 0 {
                let exited = self.child.wait().await.map_err(ShellError::Read)?;
                return Ok(self.without_mark(exit_status(exited), transcript));
            }
            self.unread.extend_from_slice(chunk.get(..count).unwrap_or_default());
        }
    }

    /// Hands on what cannot be the beginning of a mark.
    fn pass_on(&mut self, mark: usize, transcript: &mut Transcript) {
        // Behind the mark come the status and a letter; a mark is at most this long.
        let kept_back = mark + 8;
        let last_line = self.unread.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let safe = last_line.max(self.unread.len().saturating_sub(kept_back));
        let held = self.unread.split_off(safe);
        let text = std::mem::replace(&mut self.unread, held);
        self.lines.take(&text, |line| transcript.output(line));
    }

    fn without_mark(&mut self, status: i32, transcript: &mut Transcript) -> Ended {
        let text = std::mem::take(&mut self.unread);
        self.lines.take(&text, |line| transcript.output(line));
        self.lines.end(|line| transcript.output(line));
        transcript.flush();
        self.group.kill();
        Ended::Shell(status)
    }
}

/// As a shell tells it: a signal is 128 and its number.
fn exit_status(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1)
}

/// Finds `MARK STATUS KIND NEWLINE`; gives what is before, the status, whether the shell ended, and what is behind.
fn find_mark(bytes: &[u8], mark: &str) -> Option<(usize, i32, bool, usize)> {
    let before = bytes.windows(mark.len()).position(|part| part == mark.as_bytes())?;
    let rest = bytes.get(before + mark.len()..)?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let told = std::str::from_utf8(rest.get(..end)?).ok()?;
    let (status, kind) = told.trim().split_once(' ')?;
    Some((before, status.parse().ok()?, kind == "x", before + mark.len() + end + 1))
}

/// The loop that the shell runs. It prints the mark in two halves, so that `set -x` does not print a whole one.
fn driver_script(driver: &Path, mark: &str) -> String {
    let state = quote(&format!("{}.state", driver.display()));
    let place = quote(&format!("{}.place", driver.display()));
    let (first, second) = mark.split_at(mark.len() / 2);
    let mark = format!("'{first}' '{second}'");
    format!(
        r#"exec 3<&0 4>&1 </dev/null 2>&1
trap '{{ __signalbox_status=$?; export -p >{state}; pwd >{place}; printf "%s%s %s x\n" {inner} "$__signalbox_status" >&4; }} 2>/dev/null' EXIT
if [ -f {plain_state} ]; then {{ . {plain_state}; IFS= read -r __signalbox_place <{plain_place} && cd "$__signalbox_place"; }} 2>/dev/null; fi
while {{ read -r CODEBUILD_BUILD_SUCCEEDING __signalbox_step <&3; }} 2>/dev/null; do
command . "$__signalbox_step" 3<&- 4>&-
{{ printf '%s%s %s c\n' {mark} "$?" >&4; }} 2>/dev/null
done
"#,
        // Inside the single quotes of the trap.
        state = state.replace('\'', r"'\''"),
        place = place.replace('\'', r"'\''"),
        inner = mark.replace('\'', r"'\''"),
        plain_state = state,
        plain_place = place,
    )
}

/// A word in single quotes.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests;
