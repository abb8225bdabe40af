//! An execution environment: one process of a function, with a Runtime API of its own.
//!
//! A task owns the process and everything that it says. It hands over one event at a time, watches the deadline, and
//! ends with the process: whoever invokes finds it gone and starts another.

mod ending;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use self::ending::millis;
use super::invocation::{FunctionFailure, Invocation, InvocationError};
use super::log::{Fate, Lines, Stream};
use super::process::{self, Group, Process};
use super::runtime_api::{self, Call, Delivery, Refused};
use crate::auth::Keys;
use crate::chaos::{Doom, Kind};
use crate::iam::gate;
use crate::template::function::Function;
use crate::template::roles::LAMBDA;
use crate::world::World;

/// How long a function may take until it asks for its first event, as on AWS.
const INIT_LIMIT: Duration = Duration::from_secs(10);

/// How long a process that reported an init error may take to end by itself.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What every process of a function is made from.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) function: Function,
    pub(super) binary: PathBuf,
    pub(super) world: Arc<World>,
    pub(super) keys: Arc<Keys>,
    pub(super) lines: Lines,
    pub(super) init_limit: Duration,
    /// Changes when every process is to be killed.
    pub(super) kill: watch::Receiver<u64>,
}

impl Spec {
    pub(super) fn new(
        function: Function,
        binary: PathBuf,
        world: &Arc<World>,
        keys: &Arc<Keys>,
        lines: Lines,
        kill: watch::Receiver<u64>,
    ) -> Self {
        let (world, keys) = (Arc::clone(world), Arc::clone(keys));
        Self { function, binary, world, keys, lines, init_limit: INIT_LIMIT, kill }
    }
}

/// Why a process did not come to its first event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StartFailure {
    pub(super) reason: String,
    pub(super) last_lines: Vec<String>,
}

/// How an invocation ended.
pub(super) type Outcome = Result<Bytes, InvocationError>;

struct Job {
    invocation: Invocation,
    outcome: oneshot::Sender<Outcome>,
}

/// A process that waits for events. Dropped, the process is ended.
#[derive(Debug)]
pub(super) struct Environment {
    jobs: mpsc::Sender<Job>,
    task: JoinHandle<()>,
    group: Arc<Group>,
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.task.abort();
        self.group.kill();
    }
}

impl Environment {
    /// Starts a process and waits until it asks for its first event.
    pub(super) async fn start(spec: &Arc<Spec>) -> Result<Self, StartFailure> {
        let mut life = Life::start(spec).await?;
        life.initialise().await?;
        let group = life.process.group();
        let (jobs, taken) = mpsc::channel(1);
        Ok(Self { jobs, task: tokio::spawn(life.run(taken)), group })
    }

    /// Whether its process is still there, as far as is known.
    pub(super) fn is_alive(&self) -> bool {
        !self.task.is_finished() && !self.jobs.is_closed()
    }

    /// Has one event done; `None` if the process ended before it took the event.
    pub(super) async fn invoke(&self, invocation: Invocation) -> Option<Outcome> {
        let (outcome, ended) = oneshot::channel();
        self.jobs.send(Job { invocation, outcome }).await.ok()?;
        ended.await.ok()
    }
}

/// What the process is doing.
enum Phase {
    /// It has not asked for anything yet.
    Starting,
    /// It waits for an event.
    Waiting(oneshot::Sender<Result<Delivery, Refused>>),
    /// It works on one.
    Working(Work),
    /// It has answered and not asked for the next yet.
    Finishing(Finished),
}

struct Work {
    id: String,
    started: Instant,
    deadline: Instant,
    outcome: oneshot::Sender<Outcome>,
    doom: Option<Doom>,
}

struct Finished {
    id: String,
    started: Instant,
    deadline: Instant,
    status: &'static str,
}

struct Life {
    spec: Arc<Spec>,
    process: Process,
    log: Stream,
    calls: mpsc::Receiver<Call>,
    kill: watch::Receiver<u64>,
    phase: Phase,
    /// An event that could not be handed over because the process's connection broke.
    held: Option<Job>,
    started: Instant,
    init: Option<Duration>,
    init_error: Option<FunctionFailure>,
    _server: JoinSet<()>,
}

impl Life {
    async fn start(spec: &Arc<Spec>) -> Result<Self, StartFailure> {
        let cannot = |what: String| StartFailure { reason: what, last_lines: Vec::new() };
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .map_err(|error| cannot(format!("no Runtime API could be opened: {error}")))?;
        let address =
            listener.local_addr().map_err(|error| cannot(format!("the Runtime API has no address: {error}")))?;
        let (sender, calls) = mpsc::channel(8);
        let mut server = JoinSet::new();
        server.spawn(runtime_api::serve(listener, sender));

        let day = spec.world.now().strftime("%Y/%m/%d").to_string();
        let stream = format!("{day}/[$LATEST]{}", spec.world.hex(32));
        let Function { role, role_arn, name, log_group, .. } = &spec.function;
        spec.world.iam.check_assume_by_service(LAMBDA, role_arn).map_err(|refusal| {
            cannot(format!("The role defined for the function cannot be assumed by Lambda. {refusal}"))
        })?;
        // Without the permission a function runs all the same, and nobody can read what it says.
        let fate = match gate::admit_log_stream(&spec.world, role, name, log_group, &stream) {
            Ok(()) => Fate::Written,
            Err(refusal) => {
                tracing::warn!(function = name, %refusal, "a function's log is not written");
                Fate::Lost
            }
        };
        let log = Stream::new(spec.lines.clone(), &spec.function, stream, fate);
        let variables =
            process::variables(&spec.function, &spec.binary, &spec.world, &spec.keys, &address.to_string(), log.name());
        let process = Process::start(&spec.binary, &variables, &log)
            .map_err(|error| cannot(format!("{} cannot be run: {error}", spec.binary.display())))?;
        let mut kill = spec.kill.clone();
        kill.mark_unchanged();
        Ok(Self {
            spec: Arc::clone(spec),
            process,
            log,
            calls,
            kill,
            phase: Phase::Starting,
            held: None,
            started: Instant::now(),
            init: None,
            init_error: None,
            _server: server,
        })
    }

    async fn initialise(&mut self) -> Result<(), StartFailure> {
        let mut limit = self.started + self.spec.init_limit;
        let what = loop {
            tokio::select! {
                Some(call) = self.calls.recv() => {
                    self.on_call(call).await;
                    if matches!(self.phase, Phase::Waiting(_)) {
                        self.init = Some(self.started.elapsed());
                        return Ok(());
                    }
                    if self.init_error.is_some() {
                        limit = limit.min(Instant::now() + LAST_WORDS);
                    }
                }
                status = self.process.ended() => break format!("it ended before it asked for an event ({status})"),
                () = tokio::time::sleep_until(limit) => {
                    self.process.kill().await;
                    break format!("it asked for no event within {} seconds", self.spec.init_limit.as_secs_f64());
                }
                _ = self.kill.changed() => {
                    self.process.kill().await;
                    break "it was killed while it started".to_owned();
                }
            }
        };
        self.process.drain().await;
        let reason = match self.init_error.take() {
            Some(failure) => format!("{}: {}", failure.kind, failure.message),
            None => what,
        };
        let text = format!(
            "INIT_REPORT Init Duration: {} ms\tPhase: init\tStatus: error\tError Type: {reason}",
            millis(self.started.elapsed())
        );
        let record = json!({ "phase": "init", "status": "error", "errorType": reason });
        self.log.platform_line(text, "platform.initReport", record).await;
        Err(StartFailure { reason, last_lines: self.process.last_lines() })
    }

    async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        loop {
            let deadline = match &self.phase {
                Phase::Working(Work { deadline, .. }) | Phase::Finishing(Finished { deadline, .. }) => Some(*deadline),
                Phase::Starting | Phase::Waiting(_) => None,
            };
            let timer = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            let doomed = match &self.phase {
                Phase::Working(Work { started, doom: Some(Doom::Amid(life)), .. }) => Some(*started + *life),
                _ => None,
            };
            let doom = async {
                match doomed {
                    Some(moment) => tokio::time::sleep_until(moment).await,
                    None => std::future::pending().await,
                }
            };
            let is_waiting = matches!(self.phase, Phase::Waiting(_)) && self.held.is_none();
            tokio::select! {
                biased;
                Some(call) = self.calls.recv() => {
                    self.on_call(call).await;
                    if let Some(job) = self.held.take() {
                        self.hand_over(job).await;
                    }
                }
                status = self.process.ended() => return self.on_end(&status).await,
                () = timer => return self.on_time_out().await,
                () = doom => self.kill_for(Kind::Kill).await,
                _ = self.kill.changed() => {
                    let status = self.process.kill().await;
                    // One that had nothing to do leaves nothing to tell.
                    if !is_waiting {
                        self.on_end(&status).await;
                    }
                    return;
                }
                job = jobs.recv(), if is_waiting => match job {
                    Some(job) => self.hand_over(job).await,
                    None => {
                        self.process.kill().await;
                        return;
                    }
                },
            }
        }
    }

    async fn on_call(&mut self, call: Call) {
        // A reply that nobody waits for is a connection that broke; the process will ask again or end.
        match call {
            Call::Next(reply) => match std::mem::replace(&mut self.phase, Phase::Starting) {
                Phase::Working(work) => {
                    self.phase = Phase::Working(work);
                    let _connection_broke = reply.send(Err(Refused::WrongMoment));
                }
                Phase::Finishing(finished) => {
                    self.report(&finished).await;
                    self.phase = Phase::Waiting(reply);
                }
                Phase::Starting | Phase::Waiting(_) => self.phase = Phase::Waiting(reply),
            },
            // Chaos: the work is done, and nobody hears of it.
            Call::Response(id, ..) if self.is_doomed(&id, Doom::Late) => self.kill_for(Kind::KillLate).await,
            Call::Response(id, ..) if self.is_doomed(&id, Doom::TimeOut) => {
                self.spec.world.chaos.tell(Kind::TimeOut, &self.spec.function.name, &self.told());
                if let Phase::Working(work) = &mut self.phase {
                    work.deadline = Instant::now();
                }
            }
            Call::Response(id, body, reply) => {
                let (outcome, answer) = match body {
                    Some(body) => (Ok(body), Ok(())),
                    None => {
                        let reason = "it is larger than 6 MB (Function.ResponseSizeTooLarge)".to_owned();
                        (Err(InvocationError::BadAnswer { reason }), Err(Refused::TooLarge))
                    }
                };
                let taken = self.settle(&id, outcome);
                let _connection_broke = reply.send(taken.and(answer));
            }
            Call::Error(id, failure, reply) => {
                let FunctionFailure { kind, message } = failure;
                let taken = self.settle(&id, Err(InvocationError::Failed { kind, message }));
                let _connection_broke = reply.send(taken);
            }
            Call::InitError(failure, reply) => {
                let answer = if matches!(self.phase, Phase::Starting) && self.init.is_none() {
                    self.init_error = Some(failure);
                    Ok(())
                } else {
                    Err(Refused::WrongMoment)
                };
                let _connection_broke = reply.send(answer);
            }
        }
    }

    fn is_doomed(&self, id: &str, to: Doom) -> bool {
        matches!(&self.phase, Phase::Working(work) if work.id == id && work.doom == Some(to))
    }

    /// Kills the process for chaos; its end is then seen like any other.
    async fn kill_for(&mut self, kind: Kind) {
        self.spec.world.chaos.tell(kind, &self.spec.function.name, &self.told());
        self.process.kill().await;
    }

    /// What it works on.
    fn told(&self) -> String {
        match &self.phase {
            Phase::Working(work) => format!("at request {}", work.id),
            _ => String::new(),
        }
    }

    /// Gives the event's outcome to whoever invoked, if it is the event that is being worked on.
    fn settle(&mut self, id: &str, outcome: Outcome) -> Result<(), Refused> {
        match std::mem::replace(&mut self.phase, Phase::Starting) {
            Phase::Working(work) if work.id == id => {
                let status = if outcome.is_ok() { "success" } else { "error" };
                let Work { id, started, deadline, outcome: invoker, .. } = work;
                let _nobody_waits = invoker.send(outcome);
                self.phase = Phase::Finishing(Finished { id, started, deadline, status });
                Ok(())
            }
            other => {
                self.phase = other;
                Err(Refused::UnknownRequest)
            }
        }
    }

    async fn hand_over(&mut self, job: Job) {
        let reply = match std::mem::replace(&mut self.phase, Phase::Starting) {
            Phase::Waiting(reply) if !reply.is_closed() => reply,
            Phase::Waiting(_) => {
                self.held = Some(job);
                return;
            }
            other => {
                self.phase = other;
                self.held = Some(job);
                return;
            }
        };
        let doom = self.spec.world.chaos.doom(&self.spec.function.name);
        if doom == Some(Doom::Early) {
            // The event is with whoever invokes, who finds the process gone and takes another.
            return self.kill_for(Kind::KillEarly).await;
        }
        let Job { invocation, outcome } = job;
        let Invocation { id, payload, trace } = invocation;
        let timeout = self.spec.function.timeout;
        let now_ms = self.spec.world.now().as_millisecond();
        let timeout_ms = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        let text = format!("START RequestId: {id} Version: $LATEST");
        self.log.platform_line(text, "platform.start", json!({ "requestId": id, "version": "$LATEST" })).await;
        let delivery = Delivery {
            id: id.clone(),
            payload,
            deadline_ms: now_ms.saturating_add(timeout_ms),
            function_arn: self.spec.function.arn.clone(),
            trace,
        };
        // A connection that broke here belongs to a process that is ending; its end is the event's outcome.
        let _connection_broke = reply.send(Ok(delivery));
        let started = Instant::now();
        self.phase = Phase::Working(Work { id, started, deadline: started + timeout, outcome, doom });
    }
}
