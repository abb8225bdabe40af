//! The program that is measured: built as it is deployed, run by the local cloud's Runtime API, and watched from outside.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use signalbox_local::lambda::binaries::forget_outer_cargo;
use signalbox_local::lambda::{Functions, Settings};
use signalbox_local::template::function::LogFormat;
use tokio::process::Command;

use crate::world::World;

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    let own = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target"));
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(own, PathBuf::from)
}

/// Builds the function in the release profile, by itself, as `sam build` does; gives a script that starts it.
///
/// The script lets it write no byte to any file: the system would end it with a signal at the first one.
pub(crate) async fn build(folder: &Path) -> anyhow::Result<PathBuf> {
    eprintln!("building replicator in the release profile ...");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(&cargo);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    command.args(["build", "--release", "--quiet", "--package", "signalbox-replicator", "--bin", "replicator"]);
    forget_outer_cargo(&mut command);
    let status = command.stdin(Stdio::null()).stdout(std::io::stderr()).status().await;
    let status = status.context("building the function: cargo cannot be run")?;
    ensure!(status.success(), "building the function: cargo ended with {status}");
    let program = target().join("release/replicator").canonicalize()?;
    let script = folder.join("replicator");
    std::fs::write(&script, format!("#!/bin/sh\nulimit -f 0\nexec '{}'\n", program.display()))?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    // Without its settings it ends at once. When a new file is read for the first time the system writes down when that was, which would count as
    // something that the program wrote.
    let first = Command::new(&script).env_clear().stdin(Stdio::null()).output().await;
    ensure!(!first.context("the function cannot be run")?.status.success(), "the function runs without its settings");
    Ok(script)
}

/// The running function.
#[derive(Debug)]
pub(crate) struct Program {
    functions: Functions,
    physical: String,
    number: u32,
}

/// One copy.
#[derive(Debug)]
pub(crate) struct Copied {
    /// From the event to the answer.
    pub(crate) took: Duration,
    /// The bytes of the packs.
    pub(crate) pack: u64,
}

/// What the system says about the process.
#[derive(Debug)]
pub(crate) struct End {
    /// The most memory that it had, in MB.
    pub(crate) memory: f64,
    /// The bytes that it caused to be written to disk.
    pub(crate) written: u64,
}

impl Program {
    /// Puts the program in the place of the stack's function.
    pub(crate) fn start(world: &World, script: &Path) -> anyhow::Result<Self> {
        let mut made = world.function()?.clone();
        // Handed over by hand: nothing is taken from the queue.
        made.sources.clear();
        made.log_format = LogFormat::Json;
        made.binary = "program".to_owned();
        let physical = made.name.clone();
        let binaries = BTreeMap::from([("program".to_owned(), script.to_owned())]);
        let functions = Functions::start_with(world.cloud(), &[made], &binaries, Settings { environments: 1 })?;
        Ok(Self { functions, physical, number: 0 })
    }

    /// Has it look at the repository, and waits until the copy is made.
    pub(crate) async fn copy(&mut self, world: &World) -> anyhow::Result<Copied> {
        self.number += 1;
        let id = format!("measured-{}", self.number);
        let event = world.event(&id);
        let begin = Instant::now();
        let answered = self.functions.invoke(&self.physical, &event).await;
        let took = begin.elapsed();
        answered.with_context(|| format!("the replicator on {event}"))?;
        let entry = world.entry(&id)?;
        let told = entry.pointer("/report/actions/0").and_then(Value::as_str).unwrap_or_default();
        let pack = told.split("a pack of ").nth(1).and_then(|rest| rest.split(' ').next());
        let pack = pack.and_then(|bytes| bytes.parse().ok()).with_context(|| format!("nothing was copied: {entry}"))?;
        Ok(Copied { took, pack })
    }

    /// Looks at the process once more, and ends it.
    pub(crate) async fn end(self) -> anyhow::Result<End> {
        let process = process()?;
        let number = |file: &str, name: &str| -> anyhow::Result<u64> {
            let text = std::fs::read_to_string(process.join(file))?;
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let value = line.and_then(|rest| rest.split_whitespace().next()).and_then(|value| value.parse().ok());
            value.with_context(|| format!("/proc tells no {name}"))
        };
        let memory = number("status", "VmHWM:")? as f64 * 1024.0 / 1e6;
        let written = number("io", "write_bytes:")?;
        self.functions.stop().await;
        Ok(End { memory, written })
    }
}

/// The one process of the program.
fn process() -> anyhow::Result<PathBuf> {
    let program = target().join("release/replicator").canonicalize()?;
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        if std::fs::read_link(path.join("exe")).is_ok_and(|exe| exe == program) {
            return Ok(path);
        }
    }
    bail!("the program does not run any more")
}
