//! A program behind the Runtime API, and how long it takes for what.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use signalbox_local::lambda::{Functions, Settings};
use signalbox_local::logs::LogLine;
use signalbox_local::template::function::LogFormat;
use signalbox_local::world::Called;
use tokio::sync::broadcast;

use crate::world::World;

/// One program under measurement.
#[derive(Debug)]
pub(crate) struct Subject {
    name: String,
    function: String,
    /// The name in the local cloud: what is invoked, and whose log tells the times.
    physical: String,
    group: String,
    functions: Functions,
    lines: broadcast::Receiver<LogLine>,
    init: Vec<f64>,
    first_done: Vec<f64>,
    idle: Vec<f64>,
    warm: Vec<f64>,
    memory: f64,
    calls: Calls,
}

/// How often each operation was called; what the policy and the ledger need is left out.
pub(crate) type Calls = BTreeMap<String, usize>;

/// What came out; times in ms, medians.
#[derive(Debug)]
pub(crate) struct Measured {
    /// The program.
    pub(crate) name: String,
    /// From the start of the process until it asks for an event.
    pub(crate) init: f64,
    /// From the start of the process until its first event is done, with all AWS calls.
    pub(crate) first_done: f64,
    /// A warm event that needs no AWS call.
    pub(crate) idle: f64,
    /// A warm event that needs some.
    pub(crate) warm: f64,
    /// The most memory it has had, in MB.
    pub(crate) memory: f64,
    /// The AWS calls of the first event of the last process.
    pub(crate) calls: Calls,
}

impl Subject {
    /// Puts a program in the place of one of the stack's functions.
    pub(crate) fn start(world: &World, name: &str, function: &str, program: &Path) -> anyhow::Result<Self> {
        let cloud = world.cloud();
        let mut made = world.function(function)?.clone();
        // Handed over by hand: nothing is taken from the queue.
        made.sources.clear();
        made.log_format = LogFormat::Json;
        made.binary = "program".to_owned();
        let (physical, group) = (made.name.clone(), made.log_group.clone());
        let binaries = BTreeMap::from([("program".to_owned(), program.to_owned())]);
        let lines = cloud.logs.subscribe();
        let functions = Functions::start_with(cloud, &[made], &binaries, Settings { environments: 1 })?;
        Ok(Self {
            name: name.to_owned(),
            function: function.to_owned(),
            physical,
            group,
            functions,
            lines,
            init: Vec::new(),
            first_done: Vec::new(),
            idle: Vec::new(),
            warm: Vec::new(),
            memory: 0.0,
            calls: Calls::new(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn function(&self) -> &str {
        &self.function
    }

    /// A new process, and its first event.
    pub(crate) async fn cold(&mut self, world: &World, event: &Value) -> anyhow::Result<()> {
        self.functions.kill(&self.physical)?;
        let mut watched = world.cloud().world.watch_calls();
        let metrics = self.invoke(event).await?;
        self.calls = counted(&mut watched)?;
        let init = metrics.init.context("a new process told no Init Duration")?;
        self.init.push(init);
        self.first_done.push(init + metrics.duration);
        Ok(())
    }

    /// What a warm event calls.
    pub(crate) async fn calls_of(&mut self, world: &World, event: &Value) -> anyhow::Result<Calls> {
        let mut watched = world.cloud().world.watch_calls();
        self.invoke(event).await?;
        counted(&mut watched)
    }

    /// A warm event that needs no AWS call.
    pub(crate) async fn idle(&mut self, event: &Value) -> anyhow::Result<()> {
        let metrics = self.invoke(event).await?;
        self.idle.push(metrics.duration);
        Ok(())
    }

    /// A warm event of the mixture that memory is measured with.
    pub(crate) async fn warm(&mut self, event: &Value) -> anyhow::Result<()> {
        let metrics = self.invoke(event).await?;
        self.warm.push(metrics.duration);
        self.memory = metrics.memory.unwrap_or_default();
        Ok(())
    }

    async fn invoke(&mut self, event: &Value) -> anyhow::Result<Metrics> {
        // Whatever the programs before it said.
        while let Ok(_) | Err(broadcast::error::TryRecvError::Lagged(_)) = self.lines.try_recv() {}
        let answered = self.functions.invoke(&self.physical, event).await;
        answered.with_context(|| format!("{} on {event}", self.name))?;
        let told = async {
            loop {
                match self.lines.recv().await {
                    Ok(line) if line.group == self.group => {
                        if let Some(metrics) = Metrics::read(&line.message) {
                            return Ok(metrics);
                        }
                    }
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => bail!("the log is gone"),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(5), told).await.context("Lambda's report did not come")?
    }

    /// Ends the program.
    pub(crate) async fn end(self) -> anyhow::Result<Measured> {
        self.functions.stop().await;
        Ok(Measured {
            name: self.name,
            init: median(self.init),
            first_done: median(self.first_done),
            idle: median(self.idle),
            warm: median(self.warm),
            memory: self.memory,
            calls: self.calls,
        })
    }
}

/// The calls that were watched until now.
fn counted(watched: &mut broadcast::Receiver<Called>) -> anyhow::Result<Calls> {
    let mut calls = Calls::new();
    loop {
        match watched.try_recv() {
            Ok(call) if ["/policy/", "/ledger/"].iter().any(|part| call.path.contains(part)) => {}
            Ok(call) => *calls.entry(format!("{}:{}", call.service, call.operation)).or_default() += 1,
            Err(broadcast::error::TryRecvError::Lagged(missed)) => bail!("{missed} calls were not counted"),
            Err(_) => return Ok(calls),
        }
    }
}

/// What Lambda reports of an invocation.
#[derive(Debug)]
struct Metrics {
    duration: f64,
    init: Option<f64>,
    memory: Option<f64>,
}

impl Metrics {
    fn read(line: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(line.trim()).ok()?;
        if line.get("type")? != "platform.report" {
            return None;
        }
        let metric = |name: &str| line.pointer(&format!("/record/metrics/{name}")).and_then(Value::as_f64);
        Some(Self {
            duration: metric("durationMs")?,
            init: metric("initDurationMs"),
            memory: metric("maxMemoryUsedMB"),
        })
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
