//! CodeBuild: real buildspecs, run in a shell.
//!
//! `model` is what the service model says, `projects` and `starts` are the operations, `run` takes a build through its
//! phases, `source` fetches, `buildspec` plans, `shell` executes, `transcript` logs and `events` tells EventBridge.

mod buildspec;
mod events;
mod model;
mod projects;
mod run;
mod shell;
mod source;
mod starts;
mod transcript;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_support;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{Semaphore, watch};

use crate::auth::{Caller, Keys};
use crate::error::{Answer, ServiceError};
use crate::eventbridge::EventBridge;
use crate::kept::Kept;
use crate::logs::Logs;
use crate::paging::BadToken;
use crate::world::World;
use model::{Build, Context, PhaseType, Project, Status};

/// The operations that are offered here.
pub const OPERATIONS: &[&str] = &[
    "BatchGetBuilds",
    "BatchGetProjects",
    "CreateProject",
    "DeleteProject",
    "ListBuilds",
    "ListBuildsForProject",
    "ListProjects",
    "RetryBuild",
    "StartBuild",
    "StopBuild",
    "UpdateProject",
];

/// How long changes are gathered before the state is written: it is written whole, and a build changes it ten times.
const SAVE_AFTER: Duration = Duration::from_millis(500);

/// Writing takes at most one of so many parts of the time, however many builds there are.
const SAVE_PART: u32 = 20;

/// The documented size of a page.
const PAGE: usize = 100;

/// How many builds are remembered; AWS forgets them after a year.
const REMEMBERED_BUILDS: usize = 1000;

/// How fast time passes here and how much is done at once.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long a minute of a time-out is; tests make it short.
    pub minute: Duration,
    /// How many builds run at once: the account's concurrency quota. Others wait in the queue.
    pub at_once: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { minute: Duration::from_secs(60), at_once: 2 }
    }
}

/// Projects and builds.
#[derive(Debug)]
pub struct CodeBuild {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    world: Arc<World>,
    keys: Arc<Keys>,
    bus: Arc<EventBridge>,
    logs: Arc<Logs>,
    pace: Pace,
    state: Kept<State>,
    slots: Arc<Semaphore>,
    /// How many places there are beyond [`Pace::at_once`].
    raised: AtomicUsize,
    running: Mutex<HashMap<String, Handle>>,
    /// A write of the state is on its way.
    save_is_due: AtomicBool,
    /// How long the last write took.
    last_save: Mutex<Duration>,
    /// The seam for tests: where repositories are cloned from instead of this cloud's own git server.
    repositories: Option<String>,
    #[cfg(test)]
    published: Mutex<Vec<events::Event>>,
}

/// What is kept on disk.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    projects: BTreeMap<String, Project>,
    /// The oldest first.
    builds: Vec<Build>,
    /// The last build number of each project.
    numbers: BTreeMap<String, u64>,
    tokens: Vec<UsedToken>,
}

/// An idempotency token that was used.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct UsedToken {
    token: String,
    at: Timestamp,
    request: Value,
    build: String,
}

/// A build that runs.
#[derive(Debug)]
struct Handle {
    stop: watch::Sender<Option<Stop>>,
    over: watch::Receiver<Over>,
}

/// Why a build is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Asked,
    CloudEnds,
}

/// Whether a build's task has come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    NotYet,
    Yes,
}

impl CodeBuild {
    /// Opens what is there. A build that ran when the last cloud died is a FAULT from now on.
    ///
    /// # Errors
    /// A folder that cannot be used, a spoilt state file.
    pub fn open(
        world: &Arc<World>,
        keys: &Arc<Keys>,
        bus: &Arc<EventBridge>,
        logs: &Arc<Logs>,
    ) -> anyhow::Result<Self> {
        Self::open_at(Pace::default(), world, keys, bus, logs)
    }

    /// [`CodeBuild::open`] at a pace of its own.
    ///
    /// # Errors
    /// The same.
    pub fn open_at(
        pace: Pace,
        world: &Arc<World>,
        keys: &Arc<Keys>,
        bus: &Arc<EventBridge>,
        logs: &Arc<Logs>,
    ) -> anyhow::Result<Self> {
        Ok(Self { inner: Arc::new(Inner::open(pace, world, keys, bus, logs)?) })
    }

    /// Answers one operation of the JSON protocol.
    ///
    /// # Errors
    /// AWS's codes.
    pub async fn call(&self, operation: &str, input: Value, caller: &Caller) -> Answer<Value> {
        let inner = &self.inner;
        match operation {
            "CreateProject" => inner.create_project(input),
            "UpdateProject" => inner.update_project(input),
            "DeleteProject" => inner.delete_project(input),
            "BatchGetProjects" => inner.batch_get_projects(input),
            "ListProjects" => inner.list_projects(input),
            "StartBuild" => inner.start_build(input, caller),
            "RetryBuild" => inner.retry_build(input, caller),
            "StopBuild" => inner.stop_build(input).await,
            "BatchGetBuilds" => inner.batch_get_builds(input),
            "ListBuilds" => inner.list_builds(input),
            "ListBuildsForProject" => inner.list_builds_for_project(input),
            _ => Err(ServiceError::unknown_operation("codebuild", operation)),
        }
    }

    /// Lets so many more builds run at once, and five times as many wait: the account's concurrency quota is raised.
    pub fn raise_quota(&self, by: usize) {
        self.inner.raised.fetch_add(by, Ordering::Relaxed);
        self.inner.slots.add_permits(by);
    }

    /// Ends every build that still runs, with its process group.
    pub async fn stop_all(&self) {
        // Whoever waits in the queue, or starts from now on, gets no place any more.
        self.inner.slots.close();
        let stopped: Vec<watch::Receiver<Over>> = self.inner.with_running(|running| {
            running
                .values()
                .map(|handle| {
                    handle.stop.send_replace(Some(Stop::CloudEnds));
                    handle.over.clone()
                })
                .collect()
        });
        for mut over in stopped {
            // An error says that the task is gone, which is what is waited for.
            let _gone = over.wait_for(|over| *over == Over::Yes).await;
        }
    }

    /// Writes the state.
    ///
    /// # Errors
    /// The disk.
    pub fn save(&self) -> anyhow::Result<()> {
        self.inner.save()
    }
}

impl Inner {
    fn open(
        pace: Pace,
        world: &Arc<World>,
        keys: &Arc<Keys>,
        bus: &Arc<EventBridge>,
        logs: &Arc<Logs>,
    ) -> anyhow::Result<Self> {
        let state = Kept::<State>::open(&world.dir, "codebuild")?;
        let leftovers = world.dir.join("builds");
        if leftovers.exists() {
            std::fs::remove_dir_all(&leftovers).with_context(|| format!("cannot remove {}", leftovers.display()))?;
        }
        let now = world.now();
        if state.read(|state| state.builds.iter().any(|build| !build.build_complete)) {
            state.change(|state| {
                for build in state.builds.iter_mut().filter(|build| !build.build_complete) {
                    let why = Context::new("INTERNAL_SERVICE_ERROR", "The local cloud ended while this build ran.");
                    build.end(Status::Fault, Some(why), now);
                    build.complete(Status::Fault, now);
                }
            });
        }
        Ok(Self {
            world: Arc::clone(world),
            keys: Arc::clone(keys),
            bus: Arc::clone(bus),
            logs: Arc::clone(logs),
            pace,
            state,
            slots: Arc::new(Semaphore::new(pace.at_once)),
            raised: AtomicUsize::new(0),
            running: Mutex::new(HashMap::new()),
            save_is_due: AtomicBool::new(false),
            last_save: Mutex::default(),
            repositories: None,
            #[cfg(test)]
            published: Mutex::default(),
        })
    }

    fn with_running<R>(&self, act: impl FnOnce(&mut HashMap<String, Handle>) -> R) -> R {
        act(&mut self.running.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn save(&self) -> anyhow::Result<()> {
        self.state.save()
    }

    /// Writes the state without holding up who asks; the next save tries again what fails.
    fn save_soon(self: &Arc<Self>) {
        if self.save_is_due.swap(true, Ordering::AcqRel) {
            return;
        }
        let inner = Arc::clone(self);
        let last = *self.last_save.lock().unwrap_or_else(PoisonError::into_inner);
        tokio::spawn(async move {
            tokio::time::sleep(SAVE_AFTER.max(last * SAVE_PART)).await;
            inner.save_is_due.store(false, Ordering::Release);
            tokio::task::spawn_blocking(move || inner.save_or_warn());
        });
    }

    fn save_or_warn(&self) {
        let began = Instant::now();
        if let Err(error) = self.save() {
            tracing::warn!(error = format!("{error:#}"), "the state of CodeBuild is not on disk yet");
        }
        *self.last_save.lock().unwrap_or_else(PoisonError::into_inner) = began.elapsed();
    }

    fn build(&self, id: &str) -> Option<Build> {
        self.state.read(|state| state.builds.iter().rev().find(|build| build.id == id).cloned())
    }

    fn publish(&self, event: events::Event) {
        #[cfg(test)]
        self.published.lock().unwrap_or_else(PoisonError::into_inner).push(event.clone());
        self.bus.publish(events::SOURCE, event.detail_type, event.resources, event.time, event.detail);
    }

    /// Changes a build and gives the build as it is then.
    fn change_build<R>(&self, id: &str, change: impl FnOnce(&mut Build) -> R) -> Option<(Build, R)> {
        self.state.change(|state| {
            let build = state.builds.iter_mut().rev().find(|build| build.id == id)?;
            let result = change(build);
            Some((build.clone(), result))
        })
    }

    /// Ends the phase that runs and begins the next.
    fn advance(self: &Arc<Self>, id: &str, status: Status, context: Option<Context>, next: PhaseType) {
        let now = self.world.now();
        let changed = self.change_build(id, |build| {
            let ended = build.end(status, context, now);
            build.begin(next, now);
            ended
        });
        if let Some((build, Some(phase))) = changed {
            self.publish(events::phase_ended(&build, &phase));
        }
        self.save_soon();
    }

    /// Ends the phase that runs and with it the build.
    fn complete(self: &Arc<Self>, id: &str, phase: Status, context: Option<Context>, result: Status) {
        let now = self.world.now();
        let changed = self.change_build(id, |build| {
            let ended = build.end(phase, context, now);
            build.complete(result, now);
            ended
        });
        if let Some((build, ended)) = changed {
            if let Some(ended) = ended {
                self.publish(events::phase_ended(&build, &ended));
            }
            self.publish(events::ended(&build, self.world.now()));
        }
        self.save_soon();
    }
}

fn invalid(message: impl Into<String>) -> ServiceError {
    ServiceError::bad("InvalidInputException", message)
}

/// What the listings of this service answer to a token that is none of theirs.
fn no_such_page(_: BadToken) -> ServiceError {
    invalid("The nextToken is not one that this listing gave")
}

/// A key that sorts by time, and names of one moment by themselves.
fn moment(time: Timestamp, name: &str) -> String {
    format!("{:020} {name}", time.as_microsecond())
}

fn no_project(name: &str) -> ServiceError {
    ServiceError::bad("ResourceNotFoundException", format!("Project cannot be found: {name}"))
}

fn no_build(id: &str) -> ServiceError {
    ServiceError::bad("ResourceNotFoundException", format!("Build cannot be found: {id}"))
}

fn input<T: DeserializeOwned>(value: Value) -> Answer<T> {
    crate::input::read(value, "InvalidInputException")
}

/// The documented length of a member.
fn check_length(member: &str, text: Option<&str>, lengths: std::ops::RangeInclusive<usize>) -> Answer<()> {
    crate::input::check_length("InvalidInputException", member, text, lengths)
}

/// Names or ids to look up: 1 to 100, none of them empty.
fn check_batch(member: &str, items: &[String]) -> Answer<()> {
    if !(1..=100).contains(&items.len()) {
        return Err(invalid(format!("{member} must be 1 to 100, not {}", items.len())));
    }
    items.iter().try_for_each(|item| check_length(member, Some(item), 1..=usize::MAX))
}

fn shown(what: &impl Serialize) -> Answer<Value> {
    serde_json::to_value(what).map_err(ServiceError::internal)
}
