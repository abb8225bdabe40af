//! Lambda: the Runtime API and the real binaries behind it.
//!
//! A function is its binary, run with the environment of the template and nothing of our own. Each process has a Runtime
//! API to itself; a pool keeps as many as are needed. Messages of a function's queues are taken out, handed over and
//! deleted as an event source mapping does it.

mod batch;
pub mod binaries;
mod environment;
mod invocation;
mod log;
mod poller;
mod pool;
mod process;
mod queue;
mod runtime_api;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use self::invocation::InvocationError;

use self::environment::Spec;
use self::pool::{Pool, Presence};
use self::queue::CloudQueue;
use crate::cloud::Cloud;
use crate::template::function::{Function, SourceState};

/// How functions are run.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The most processes of one function at once.
    pub environments: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { environments: 2 }
    }
}

/// Why the functions cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The template names a binary that was not built.
    #[error(
        "the function {function} runs the binary {binary}, which was not built; there are: {known}. \
         Metadata.BuildProperties.Binary of the template must name a binary of the workspace"
    )]
    NoBinary {
        /// The function's logical id.
        function: String,
        /// The binary that it wants.
        binary: String,
        /// What there is.
        known: String,
    },
    /// The template feeds a function from something that is no queue of this stack's region.
    #[error("the function {function} is fed from {arn}, which is not the ARN of a queue")]
    NoQueue {
        /// The function's logical id.
        function: String,
        /// What was given.
        arn: String,
    },
}

/// Ends a function for good: what deleting it does.
#[derive(Debug, Clone)]
pub struct Switch(Arc<Pool>);

impl Switch {
    /// Its processes end, and nothing is taken out of its queue any more.
    pub fn off(&self) {
        self.0.set_presence(Presence::Stopped);
    }
}

/// The functions of a stack, running. Dropped, every process is ended.
#[derive(Debug)]
pub struct Functions {
    pools: BTreeMap<String, Arc<Pool>>,
    pollers: JoinSet<()>,
    writer: JoinSet<()>,
}

impl Functions {
    /// Makes every function of a stack ready, and starts to feed them from their queues.
    ///
    /// # Errors
    /// As [`Functions::start_with`].
    pub fn start(
        cloud: &Cloud,
        functions: &[Function],
        binaries: &BTreeMap<String, PathBuf>,
    ) -> Result<Self, StartError> {
        Self::start_with(cloud, functions, binaries, Settings::default())
    }

    /// The same with settings.
    ///
    /// No process is started before there is an event for it, as on AWS.
    ///
    /// # Errors
    /// A function whose binary is not in `binaries`, an event source that is no queue.
    pub fn start_with(
        cloud: &Cloud,
        functions: &[Function],
        binaries: &BTreeMap<String, PathBuf>,
        settings: Settings,
    ) -> Result<Self, StartError> {
        let (lines, waiting) = log::channel();
        let mut writer = JoinSet::new();
        writer.spawn(log::write(Arc::clone(&cloud.logs), waiting));
        let mut all = Self { pools: BTreeMap::new(), pollers: JoinSet::new(), writer };
        for function in functions {
            let binary = binaries.get(&function.binary).ok_or_else(|| StartError::NoBinary {
                function: function.id.clone(),
                binary: function.binary.clone(),
                known: binaries.keys().cloned().collect::<Vec<_>>().join(", "),
            })?;
            let (kill, killed) = watch::channel(0);
            let spec = Spec::new(function.clone(), binary.clone(), &cloud.world, &cloud.keys, lines.clone(), killed);
            let pool = Arc::new(Pool::new(spec, kill, settings.environments));
            for source in function.sources.iter().filter(|source| source.state == SourceState::Enabled) {
                let name = queue_name(&source.queue_arn).ok_or_else(|| StartError::NoQueue {
                    function: function.id.clone(),
                    arn: source.queue_arn.clone(),
                })?;
                let queue = Arc::new(CloudQueue {
                    sqs: Arc::clone(&cloud.sqs),
                    world: Arc::clone(&cloud.world),
                    function: function.clone(),
                    name,
                });
                // A function whose reserved concurrency is nought takes nothing.
                if pool.most() > 0 {
                    all.pollers.spawn(poller::poll(Arc::clone(&pool), queue, source.clone()));
                }
            }
            all.pools.insert(function.name.clone(), pool);
        }
        Ok(all)
    }

    /// The names of the functions.
    pub fn names(&self) -> Vec<&str> {
        self.pools.keys().map(String::as_str).collect()
    }

    /// How each function is ended, under its name.
    pub fn switches(&self) -> BTreeMap<String, Switch> {
        self.pools.iter().map(|(name, pool)| (name.clone(), Switch(Arc::clone(pool)))).collect()
    }

    /// Invokes a function and waits for its answer.
    ///
    /// # Errors
    /// See [`InvocationError`].
    pub async fn invoke(&self, name: &str, payload: &Value) -> Result<Value, InvocationError> {
        let body = self.pool(name)?.invoke(Bytes::from(payload.to_string())).await?;
        pool::parse_answer(&body)
    }

    /// Kills every process of a function, whatever it is doing; the next event gets a new one.
    ///
    /// # Errors
    /// No function of this name.
    pub fn kill(&self, name: &str) -> Result<(), InvocationError> {
        self.pool(name).map(|pool| pool.kill())
    }

    /// Makes it as if the function were not there: its processes end and its messages stay in the queue.
    ///
    /// # Errors
    /// No function of this name.
    pub fn stop_function(&self, name: &str) -> Result<(), InvocationError> {
        self.pool(name).map(|pool| pool.set_presence(Presence::Stopped))
    }

    /// Lets a stopped function take events again.
    ///
    /// # Errors
    /// No function of this name.
    pub fn start_function(&self, name: &str) -> Result<(), InvocationError> {
        self.pool(name).map(|pool| pool.set_presence(Presence::Here))
    }

    /// Ends every process and writes what is left of the logs.
    pub async fn stop(mut self) {
        self.pollers.shutdown().await;
        for pool in self.pools.values() {
            pool.set_presence(Presence::Stopped);
        }
        // The pools hold the last ends of the log's channel; with them gone the writer finishes and ends.
        self.pools.clear();
        let finish = async { while self.writer.join_next().await.is_some() {} };
        if tokio::time::timeout(std::time::Duration::from_secs(2), finish).await.is_err() {
            self.writer.abort_all();
        }
    }

    fn pool(&self, name: &str) -> Result<&Arc<Pool>, InvocationError> {
        self.pools
            .get(name)
            .ok_or_else(|| InvocationError::NoSuchFunction { name: name.to_owned(), known: self.names().join(", ") })
    }
}

/// The name of the queue that an ARN names.
fn queue_name(arn: &str) -> Option<String> {
    match arn.split(':').collect::<Vec<_>>().as_slice() {
        ["arn", _, "sqs", _, _, name] => Some((*name).to_owned()),
        _ => None,
    }
}
