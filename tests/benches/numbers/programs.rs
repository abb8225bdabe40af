//! The programs that are compared: built as they are deployed, and the two in Python.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail, ensure};
use signalbox_local::lambda::binaries::forget_outer_cargo;
use tokio::process::Command;

/// The Rust programs.
#[derive(Debug)]
pub(crate) struct Programs {
    /// A handler that does nothing.
    pub(crate) empty: PathBuf,
    trigger: PathBuf,
    notifier: PathBuf,
}

/// The scripts that start the Python functions.
#[derive(Debug)]
pub(crate) struct Python {
    folder: PathBuf,
}

fn workspace() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

async fn run(what: &str, command: &mut Command) -> anyhow::Result<()> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let status = command.stdin(Stdio::null()).stdout(std::io::stderr()).status().await;
    let status = status.with_context(|| format!("{what}: {program} cannot be run"))?;
    ensure!(status.success(), "{what}: {program} ended with {status}");
    Ok(())
}

/// Builds the functions and the empty handler in the release profile, each by itself, as `sam build` does.
pub(crate) async fn build() -> anyhow::Result<Programs> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    for package in [
        ["signalbox-glue", "--example", "empty"],
        ["signalbox-trigger", "--bin", "trigger"],
        ["signalbox-notifier", "--bin", "notifier"],
    ] {
        eprintln!("building {} in the release profile ...", package[2]);
        let mut command = Command::new(&cargo);
        command.current_dir(workspace()).args(["build", "--release", "--quiet", "--package"]).args(package);
        forget_outer_cargo(&mut command);
        run("building the functions", &mut command).await?;
    }
    let release = target().join("release");
    Ok(Programs {
        empty: release.join("examples/empty"),
        trigger: release.join("trigger"),
        notifier: release.join("notifier"),
    })
}

impl Programs {
    /// The program of a function.
    pub(crate) fn of(&self, function: &str) -> anyhow::Result<&Path> {
        match function {
            "trigger" => Ok(&self.trigger),
            "notifier" => Ok(&self.notifier),
            other => bail!("there is no program {other}"),
        }
    }

    /// The size of a program as it is uploaded, in MB.
    pub(crate) fn zipped(&self, program: &Path) -> anyhow::Result<f64> {
        // gzip and zip compress alike; their heads differ by some bytes.
        let output = std::process::Command::new("gzip").args(["-9", "--stdout"]).arg(program).output();
        let output = output.context("gzip cannot be run")?;
        ensure!(output.status.success(), "gzip: {}", String::from_utf8_lossy(&output.stderr));
        Ok(output.stdout.len() as f64 / 1e6)
    }
}

/// Installs boto3 and Lambda's own runtime client for Python once, and writes a start script for each function.
pub(crate) async fn python() -> anyhow::Result<Python> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/numbers/python");
    let folder = target().join("numbers");
    let venv = folder.join("venv");
    let requirements = std::fs::read_to_string(source.join("requirements.txt"))?;
    let stamp = venv.join("installed");
    if std::fs::read_to_string(&stamp).ok().as_ref() != Some(&requirements) {
        eprintln!("installing boto3 for the comparison ...");
        let hint = "the comparison needs python3 with venv; leave it out with `-- --without-python`";
        run(hint, Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv)).await?;
        let mut pip = Command::new(venv.join("bin/pip"));
        pip.args(["install", "--quiet", "--no-input", "--disable-pip-version-check", "--requirement"]);
        run(hint, pip.arg(source.join("requirements.txt"))).await?;
        std::fs::write(&stamp, &requirements)?;
    }
    let venv = venv.canonicalize()?;
    for file in ["bench_common.py", "trigger.py", "notifier.py"] {
        std::fs::copy(source.join(file), folder.join(file)).with_context(|| format!("copying {file}"))?;
    }
    for function in ["trigger", "notifier"] {
        let script = folder.join(function);
        let python = venv.join("bin/python");
        std::fs::write(&script, format!("#!/bin/sh\nexec {} -m awslambdaric {function}.handler\n", python.display()))?;
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(Python { folder: folder.canonicalize()? })
}

impl Python {
    /// The start script of a function.
    pub(crate) fn of(&self, function: &str) -> PathBuf {
        self.folder.join(function)
    }
}
