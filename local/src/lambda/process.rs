//! A function's process: the real binary with Lambda's environment variables and nothing else.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use super::log::Stream;
use crate::auth::Keys;
use crate::logs::lines::{Lines, shown};
use crate::template::function::{Function, LogFormat};
use crate::world::World;

/// How many of a process's last lines are kept to say why it died.
const LAST_LINES: usize = 20;

/// The longest line that is kept whole, as CloudWatch Logs takes it; a longer one is cut.
const LONGEST_LINE: usize = 256 * 1024;

/// How long the last lines of a process that ended are waited for.
const DRAIN: Duration = Duration::from_millis(300);

/// A process group that is ended when its last owner lets go of it.
#[derive(Debug)]
pub(super) struct Group {
    pid: Option<Pid>,
    reaped: AtomicBool,
}

impl Group {
    /// Ends every process of the group, if the first of them was not reaped: its number may be somebody else's by then.
    pub(super) fn kill(&self) {
        if let (Some(pid), false) = (self.pid, self.reaped.load(Ordering::Acquire)) {
            // The only failure is that it is gone already.
            let _gone_already = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A process that runs.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    group: Arc<Group>,
    readers: JoinSet<()>,
    last: Arc<Mutex<VecDeque<String>>>,
}

impl Process {
    /// Starts `binary`; its output goes to `log` line by line.
    pub(super) fn start(binary: &Path, variables: &BTreeMap<String, String>, log: &Stream) -> std::io::Result<Self> {
        let folder = binary.parent().unwrap_or(Path::new("/"));
        let mut child = Command::new(binary)
            .env_clear()
            .envs(variables)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let last = Arc::new(Mutex::new(VecDeque::new()));
        let mut readers = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            readers.spawn(follow(stdout, log.clone(), Arc::clone(&last)));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.spawn(follow(stderr, log.clone(), Arc::clone(&last)));
        }
        let group = Arc::new(Group { pid, reaped: AtomicBool::new(false) });
        Ok(Self { child, group, readers, last })
    }

    /// The process group, for somebody who must be able to end it from elsewhere.
    pub(super) fn group(&self) -> Arc<Group> {
        Arc::clone(&self.group)
    }

    /// Waits for its end; can be dropped and called again.
    pub(super) async fn ended(&mut self) -> String {
        let status = self.child.wait().await;
        // Whatever it started ends with it. The group's number cannot have been given away in this instant: it is
        // somebody's only after another process took the number and made a group of it.
        self.group.kill();
        self.group.reaped.store(true, Ordering::Release);
        status.map_or_else(|error| format!("unknown ({error})"), describe)
    }

    /// Ends it now and waits until it is gone.
    pub(super) async fn kill(&mut self) -> String {
        self.group.kill();
        self.ended().await
    }

    /// Waits shortly for the lines that are still in its pipes.
    pub(super) async fn drain(&mut self) {
        let readers = &mut self.readers;
        let all_read = async { while readers.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, all_read).await.is_err() {
            self.readers.abort_all();
        }
    }

    /// The last lines that it wrote.
    pub(super) fn last_lines(&self) -> Vec<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// The most memory it has had so far in MB, where the system tells.
    pub(super) fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
        Some(kilobytes.div_ceil(1024))
    }
}

async fn follow(mut output: impl AsyncRead + Unpin, log: Stream, last: Arc<Mutex<VecDeque<String>>>) {
    let mut lines = Lines::at_most(LONGEST_LINE);
    let mut chunk = vec![0_u8; 16 * 1024];
    loop {
        let count = output.read(&mut chunk).await.unwrap_or(0);
        let mut complete = Vec::new();
        if count == 0 {
            lines.end(|line| complete.push(shown(line, LONGEST_LINE)));
        } else {
            lines.take(chunk.get(..count).unwrap_or_default(), |line| complete.push(shown(line, LONGEST_LINE)));
        }
        for text in complete {
            {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                if last.len() == LAST_LINES {
                    last.pop_front();
                }
                last.push_back(text.clone());
            }
            log.function_line(&text).await;
        }
        if count == 0 {
            return;
        }
    }
}

fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(9)) => "signal: killed".to_owned(),
        (None, Some(signal)) => format!("signal: {signal}"),
        (None, None) => "unknown".to_owned(),
    }
}

/// The variables that Lambda sets itself: a template that sets one of them is refused on AWS.
pub(super) fn variables(
    function: &Function,
    binary: &Path,
    world: &World,
    keys: &Keys,
    runtime_api: &str,
    stream: &str,
) -> BTreeMap<String, String> {
    let session = keys.session(world, &function.role, &function.name, None);
    let task_root = binary.parent().map(Path::to_path_buf).unwrap_or_else(|| PathBuf::from("/"));
    let own = [
        ("AWS_LAMBDA_RUNTIME_API", runtime_api.to_owned()),
        ("AWS_LAMBDA_FUNCTION_NAME", function.name.clone()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory.to_string()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", function.log_group.clone()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", stream.to_owned()),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_rust".to_owned()),
        ("AWS_REGION", world.region.clone()),
        ("AWS_DEFAULT_REGION", world.region.clone()),
        ("AWS_ACCESS_KEY_ID", session.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", session.secret_access_key),
        ("AWS_SESSION_TOKEN", session.session_token.unwrap_or_default()),
        ("AWS_ENDPOINT_URL", world.endpoint().to_owned()),
        // On a laptop an SDK that lost its keys must not go and look for others.
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("LAMBDA_TASK_ROOT", task_root.display().to_string()),
        ("_HANDLER", function.handler.clone()),
        ("TZ", ":UTC".to_owned()),
        ("LANG", "en_US.UTF-8".to_owned()),
        ("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/bin".to_owned()),
    ];
    let mut all = function.environment.clone();
    all.extend(own.into_iter().map(|(key, value)| (key.to_owned(), value)));
    if function.log_format == LogFormat::Json {
        all.insert("AWS_LAMBDA_LOG_FORMAT".to_owned(), "JSON".to_owned());
        let level = function.log_level.clone().unwrap_or_else(|| "INFO".to_owned());
        all.insert("AWS_LAMBDA_LOG_LEVEL".to_owned(), level);
    }
    all
}
