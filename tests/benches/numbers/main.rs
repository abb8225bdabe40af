//! The numbers that the functions are held to, measured in one run:
//!
//!     cargo bench -p signalbox-tests
//!
//! It builds `trigger`, `notifier` and an empty `lambda_runtime` handler as they are deployed, puts the same two functions
//! written in Python with boto3 beside them, and runs all five by the local cloud's Runtime API over the same events. What
//! counts are the ratios; a number that does not hold ends it with exit code 1.

mod deciding;
mod measure;
mod programs;
mod report;
mod world;

use std::process::ExitCode;

use anyhow::Context;

use crate::measure::{Calls, Measured, Subject};
use crate::report::Report;
use crate::world::World;

/// How often each program is started.
const ROUNDS: usize = 20;

/// How many events a program does before its memory is looked at.
const EVENTS: usize = 1000;

const HELP: &str = "\
Measures the functions against an empty handler and against the same functions in Python with boto3.

Usage: cargo bench -p signalbox-tests [-- OPTIONS]

Options:
  --without-python  Leave the comparison with Python out
  --only-deciding   Only measure how long a decision takes
  -h, --help        Show this
";

#[derive(Debug, Default, Clone, Copy)]
struct Options {
    without_python: bool,
    only_deciding: bool,
}

fn main() -> ExitCode {
    let mut options = Options::default();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            // cargo says so to every benchmark.
            "--bench" => {}
            "--without-python" => options.without_python = true,
            "--only-deciding" => options.only_deciding = true,
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
    match run(options) {
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

fn run(options: Options) -> anyhow::Result<Report> {
    let mut report = Report::default();
    deciding::measure(&mut report)?;
    if !options.only_deciding {
        let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
        runtime.block_on(functions(options, &mut report))?;
    }
    Ok(report)
}

async fn functions(options: Options, report: &mut Report) -> anyhow::Result<()> {
    let programs = programs::build().await?;
    let python = if options.without_python { None } else { Some(programs::python().await?) };
    eprintln!("making the repository, the project and the events ...");
    let world = World::make(ROUNDS).await?;

    let mut subjects = vec![Subject::start(&world, "empty", "trigger", &programs.empty)?];
    for function in ["trigger", "notifier"] {
        subjects.push(Subject::start(&world, function, function, programs.of(function)?)?);
        if let Some(python) = &python {
            subjects.push(Subject::start(&world, &format!("{function} in Python"), function, &python.of(function))?);
        }
    }

    eprintln!("starting each program {ROUNDS} times ...");
    for round in 0..ROUNDS {
        // One after the other in every round, so that whatever else the machine does hits all of them.
        for subject in &mut subjects {
            let event = world.first_event(subject.function(), round, subject.name())?;
            subject.cold(&world, &event).await?;
            world.settle().await?;
        }
    }
    let mut measured = Vec::new();
    let mut unwanted = Calls::new();
    for mut subject in subjects {
        eprintln!("{EVENTS} events each: {} ...", subject.name());
        let not_ours = world::not_ours();
        for _ in 0..EVENTS {
            subject.idle(&not_ours).await?;
        }
        for number in 0..EVENTS {
            subject.warm(&world.later_event(subject.function(), number)).await?;
        }
        if subject.name() == "trigger" {
            unwanted = subject.calls_of(&world, &world.unwanted_push()).await?;
        }
        measured.push(subject.end().await?);
    }
    tell(&measured, &programs, report)?;
    report.calls("trigger: calls for a push that no trigger wants", &unwanted, Some(&Calls::new()));
    world.end().await
}

fn tell(measured: &[Measured], programs: &programs::Programs, report: &mut Report) -> anyhow::Result<()> {
    let find = |name: &str| measured.iter().find(|one| one.name == name);
    let empty = find("empty").context("the empty handler was not measured")?;
    for one in measured {
        report.line(one);
    }
    for function in ["trigger", "notifier"] {
        let ours = find(function).with_context(|| format!("{function} was not measured"))?;
        report.ratio(
            &format!("{function}: start to first poll, against the empty handler"),
            ours.init / empty.init,
            2.5,
        );
        report.ratio(
            &format!("{function}: an event without AWS calls, against the empty handler"),
            ours.idle / empty.idle,
            1.5,
        );
        report.at_most(&format!("{function}: memory after {EVENTS} events, MB"), ours.memory, 16.0);
        report.at_most(&format!("{function}: zipped, MB"), programs.zipped(programs.of(function)?)?, 5.0);
        if let Some(python) = find(&format!("{function} in Python")) {
            let faster = python.first_done / ours.first_done;
            report.at_least(&format!("{function}: start to first event done, times faster than Python"), faster, 30.0);
            report.calls(
                &format!("{function}: calls for its first event, as in Python"),
                &ours.calls,
                Some(&python.calls),
            );
        } else {
            report.calls(&format!("{function}: calls for its first event"), &ours.calls, None);
        }
    }
    Ok(())
}
