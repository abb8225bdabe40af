//! The `signalbox` command: what can be asked of it, and how it answers.

mod account;
mod apply;
mod ask;
mod check;
mod dead_letters;
mod demo;
mod explain;
mod git_credential;
mod meaning;
mod paint;
mod redrive;
mod schema;
mod serve;
mod status;
mod uninstall;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use paint::Paint;

/// Signalbox: triggers, approvals, notifications, branch protection and replication for AWS CodeCommit.
#[derive(Debug, Parser)]
#[command(
    name = "signalbox",
    version,
    after_help = "Without a command it plays the demo: everything on this machine, no AWS account needed."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play the main job on this machine: a push starts a build, and its result arrives as mail.
    Demo(demo::Arguments),
    /// Keep the local cloud up, for git and the AWS SDKs.
    Serve(serve::Arguments),
    /// Check a policy file; all its problems at once.
    Check(check::Arguments),
    /// Print the JSON Schema of the policy file, for editors.
    Schema(schema::Arguments),
    /// Show what every function would decide on an event, and why.
    Explain(explain::Arguments),
    /// Put a policy file into force, after showing what it changes.
    Apply(apply::Arguments),
    /// Show how the stack fares: queues, dead letters with their reasons, the last events, the policy in force.
    Status(status::Arguments),
    /// Send events again that a function gave up on, or run a finished event once more.
    Redrive(redrive::Arguments),
    /// Remove the stack, and the bucket and log groups that it leaves behind.
    Uninstall(uninstall::Arguments),
    /// Answer git's question for the password of a CodeCommit repository (a git credential helper).
    GitCredential(git_credential::Arguments),
}

/// How a command ended, beside an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Exit code 0.
    Good,
    /// What was looked at is not good: exit code 1, already explained.
    Bad,
}

/// Runs the command line and says how it ended: 0 well, 1 badly, 2 wrong usage.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output with code 0, mistakes to standard error with code 2.
            let _closed_pipe = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let outcome = match cli.command.unwrap_or_else(|| Command::Demo(demo::Arguments::default())) {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Apply(arguments) => apply::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Redrive(arguments) => redrive::run(&arguments),
        Command::Uninstall(arguments) => uninstall::run(&arguments),
        Command::GitCredential(arguments) => git_credential::run(&arguments),
    };
    match outcome {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::Bad) => ExitCode::FAILURE,
        Err(error) if error.is::<Interrupted>() => {
            eprintln!("{error}");
            // As a shell tells of a program that Ctrl-C ended.
            ExitCode::from(130)
        }
        Err(error) => {
            let paint = Paint::for_stderr();
            eprintln!("{} {error}", paint.bad("error:"));
            for below in error.chain().skip(1) {
                eprintln!("  {} {below}", paint.dim("because"));
            }
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to standard output. A reader that has gone (`| head`) is no reason to fail.
pub(crate) fn tell(line: &str) {
    let _gone = writeln!(std::io::stdout(), "{line}");
}

/// The person who started this wants it to end.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted;

/// Warnings (or more) of the local cloud go to standard error, in words.
pub(crate) fn log_to_stderr(level: &str) {
    let started = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(Paint::for_stderr() == Paint::Coloured)
        .with_target(false)
        .without_time()
        .with_env_filter(tracing_subscriber::EnvFilter::new(format!("{level},hyper=warn,hyper_util=warn")))
        .try_init();
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}

/// Waits for Ctrl-C, for a polite request to end, or for the terminal to go away.
pub(crate) async fn asked_to_end() -> anyhow::Result<()> {
    use anyhow::Context;
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen for signals")?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed.context("cannot listen for Ctrl-C"),
        _ = terminate.recv() => Ok(()),
        _ = hangup.recv() => Ok(()),
    }
}

/// Starts the asynchronous part of a command.
pub(crate) fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    use anyhow::Context;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let result = runtime.block_on(future);
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    result
}
