//! What the protector is held to, measured in one run:
//!
//!     cargo bench -p signalbox-tests --bench protection --profile dev
//!
//! The real programs run behind the queues of the local cloud, and the real git pushes. The limits are wide enough for the profile that the tests
//! are built in: what is deployed is faster. A number that does not hold ends it with exit code 1.

mod calls;
mod git;
mod judging;
mod report;
mod restoring;

use std::process::ExitCode;

use anyhow::Context;

use crate::report::Report;

const HELP: &str = "\
Measures how soon a ref is put back, what a clean push costs, and how long a decision takes.

Usage: cargo bench -p signalbox-tests --bench protection --profile dev [-- OPTIONS]

Options:
  --only-deciding  Only measure how long a decision takes
  -h, --help       Show this
";

fn main() -> ExitCode {
    let mut only_deciding = false;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            // cargo says so to every benchmark.
            "--bench" => {}
            "--only-deciding" => only_deciding = true,
            "-h" | "--help" => {
                print!("{HELP}");
                return ExitCode::SUCCESS;
            }
            other => {
                eprint!("unknown option {other}\n\n{HELP}");
                return ExitCode::from(2);
            }
        }
    }
    match run(only_deciding) {
        Ok(report) => {
            println!("\n{report}");
            if report.all_hold() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(only_deciding: bool) -> anyhow::Result<Report> {
    let mut report = Report::default();
    judging::measure(&mut report)?;
    if !only_deciding {
        let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
        runtime.block_on(async {
            calls::measure(&mut report).await?;
            restoring::measure(&mut report).await
        })?;
    }
    Ok(report)
}

/// The middle one.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
