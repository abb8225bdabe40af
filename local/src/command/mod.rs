//! The `signalbox` command: what can be asked of it, and how it answers.
//!
//! Nothing here prints by `println!` or `eprintln!`: both panic when the reader has gone.

#![warn(clippy::print_stderr, clippy::print_stdout)]

mod account;
mod apply;
mod ask;
mod check;
mod dead_letters;
mod demo;
mod explain;
mod git_credential;
mod iam;
mod meaning;
mod paint;
mod redrive;
mod report;
mod reviews;
mod schema;
mod serve;
mod status;
mod uninstall;

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::sync::OnceLock;

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

/// Each says of itself what it does, in its `Arguments`.
#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Arguments),
    Serve(serve::Arguments),
    Check(check::Arguments),
    Schema(schema::Arguments),
    Explain(explain::Arguments),
    Iam(iam::Arguments),
    Apply(apply::Arguments),
    Status(status::Arguments),
    Report(report::Arguments),
    Redrive(redrive::Arguments),
    Uninstall(uninstall::Arguments),
    GitCredential(git_credential::Arguments),
}

/// How a command ended, beside an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Exit code 0.
    Good,
    /// What was looked at is not good: exit code 1, already explained.
    Bad,
    /// Not everything could be looked at: exit code 3, already explained.
    Unseen,
}

/// The exit code of [`Outcome::Unseen`].
const UNSEEN: u8 = 3;

/// Runs the command line and says how it ended: 0 well, 1 badly, 2 wrong usage, 3 not everything could be looked at.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output with code 0, mistakes to standard error with code 2.
            let _closed_pipe = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let command = cli.command.unwrap_or_else(|| Command::Demo(demo::Arguments::default()));
    // To look and to tell is all that these do: where they cannot, nothing is known to be bad.
    let only_looks = match &command {
        Command::Status(_) => true,
        Command::Report(arguments) => arguments.only_looks(),
        _ => false,
    };
    let failed = if only_looks { ExitCode::from(UNSEEN) } else { ExitCode::FAILURE };
    let outcome = match command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Iam(arguments) => iam::run(&arguments),
        Command::Apply(arguments) => apply::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Redrive(arguments) => redrive::run(&arguments),
        Command::Uninstall(arguments) => uninstall::run(&arguments),
        Command::GitCredential(arguments) => git_credential::run(&arguments),
    };
    let code = match outcome {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::Bad) => ExitCode::FAILURE,
        Ok(Outcome::Unseen) => ExitCode::from(UNSEEN),
        Err(error) if error.is::<Interrupted>() => {
            complain(&error.to_string());
            // As a shell tells of a program that Ctrl-C ended.
            ExitCode::from(130)
        }
        Err(error) => {
            let paint = Paint::for_stderr();
            complain(&format!("{} {error}", paint.bad("error:")));
            for below in error.chain().skip(1) {
                complain(&format!("  {} {below}", paint.dim("because")));
            }
            failed
        }
    };
    remember(std::io::stdout().flush());
    match UNWRITTEN.get() {
        None => code,
        Some(why) => {
            let error = Paint::for_stderr().bad("error:");
            complain(&format!("{error} standard output cannot be written, so the output is not whole: {why}"));
            failed
        }
    }
}

/// Why standard output could not be written, if it could not.
static UNWRITTEN: OnceLock<String> = OnceLock::new();

/// Writes a line to standard output. A reader that has gone (`| head`) is no reason to fail; a full disk is one, at the end.
pub(crate) fn tell(line: &str) {
    remember(writeln!(std::io::stdout(), "{line}"));
}

fn remember(written: std::io::Result<()>) {
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        UNWRITTEN.get_or_init(|| error.to_string());
    }
}

/// Writes a line to standard error, if somebody is there to read it.
pub(crate) fn complain(line: &str) {
    let _gone = writeln!(std::io::stderr(), "{line}");
}

/// Standard error for the log, which would panic over an error of its writer.
#[derive(Debug)]
struct Forgiving;

impl Write for Forgiving {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _gone = std::io::stderr().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The person who started this wants it to end.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted;

/// Warnings (or more) of the local cloud go to standard error, in words.
pub(crate) fn log_to_stderr(level: &str) {
    let started = tracing_subscriber::fmt()
        .with_writer(|| Forgiving)
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
