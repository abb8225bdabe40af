//! What a copy costs, measured beside git's own way in one run:
//!
//!     cargo bench -p signalbox-tests --bench replication
//!
//! The real `replicator` program, built as it is deployed, copies generated repositories between two regions of the local
//! cloud, whose git is `git http-backend`; `git clone --mirror` and `git push --mirror` do the same over the same servers. What
//! counts are the ratios; a number that does not hold ends it with exit code 1.

mod generate;
mod git;
mod program;
mod report;
mod world;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::generate::{Generated, Shape};
use crate::program::Program;
use crate::report::Report;
use crate::world::World;

/// How many one-commit pushes are measured.
const PUSHES: usize = 5;

const HELP: &str = "\
Measures what a copy costs beside `git clone --mirror` and `git push --mirror`.

Usage: cargo bench -p signalbox-tests --bench replication [-- OPTIONS]

Options:
  --small     Small repositories, for a quick look: the limits on time are not held against them
  --third     Only the repository with a third of the history: no ratio is held against it
  --history   Only the repository with many commits and refs
  --bulk      Only the large repository
  -h, --help  Show this
";

/// Whether the limits on time mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    Full,
    Small,
}

fn main() -> ExitCode {
    let mut size = Size::Full;
    let mut only = None;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            // cargo says so to every benchmark.
            "--bench" => {}
            "--small" => size = Size::Small,
            "--third" => only = Some("third"),
            "--history" => only = Some("history"),
            "--bulk" => only = Some("bulk"),
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
    match run(size, only) {
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

fn run(size: Size, only: Option<&str>) -> anyhow::Result<Report> {
    let folder = program::target().join("replication");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let folder = folder.canonicalize()?;
    // What the local cloud keeps lies beside what is generated, so that nothing large is written elsewhere.
    let temporary = folder.join("tmp");
    let _nothing_was_left = std::fs::remove_dir_all(&temporary);
    std::fs::create_dir_all(&temporary)?;
    ensure!(tempfile::env::override_temp_dir(&temporary).is_ok(), "the temporary folder is set already");

    let mut report = Report::default();
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let measured = runtime.block_on(async {
        let binary = program::build(&folder).await?;
        for shape in Shape::all(size == Size::Small).into_iter().filter(|shape| only.is_none_or(|it| it == shape.name))
        {
            let generated = Generated::make(&folder, shape)?;
            measure(&binary, &generated, size, &mut report).await?;
        }
        Ok(())
    });
    let _removed_with_the_next_run = std::fs::remove_dir_all(&temporary);
    measured.map(|()| report)
}

async fn measure(
    binary: &std::path::Path,
    generated: &Generated,
    size: Size,
    report: &mut Report,
) -> anyhow::Result<()> {
    let name = generated.shape.name;
    let world = World::make(generated).await?;
    let mut program = Program::start(&world, binary)?;
    report.line(format!("{name}: {}", generated.told()?));

    eprintln!("{name}: the first copy ...");
    let ours = program.copy(&world).await?;
    world.is_equal(&world.there())?;
    let git = timed_git(&world)?;
    world.is_equal(&world.by_git())?;
    report.line(format!(
        "{name}: first copy: {} ms, a pack of {:.1} MB; clone and push of a mirror: {} ms",
        ours.took.as_millis(),
        ours.pack as f64 / 1e6,
        git.as_millis()
    ));
    let faster = git.as_secs_f64() / ours.took.as_secs_f64();
    report.timed(size, &format!("{name}: first copy, times faster than clone and push"), faster, 1.0);

    eprintln!("{name}: {PUSHES} pushes of one commit ...");
    let (mut ours, mut git, mut moved) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..PUSHES {
        world.commit(number)?;
        let copied = program.copy(&world).await?;
        ours.push(copied.took);
        moved.push(copied.pack);
        git.push(timed_git(&world)?);
    }
    for there in [world.there(), world.by_git()] {
        world.is_equal(&there)?;
    }
    let listing = world.listing()?;
    let most = moved.into_iter().max().unwrap_or_default();
    let (ours, git) = (median(ours), median(git));
    report.line(format!(
        "{name}: a push of one commit: {} ms, a pack of {most} bytes at most, and each listing of the refs {:.1} kB; clone and push of a mirror: {} ms",
        ours.as_millis(),
        listing as f64 / 1e3,
        git.as_millis()
    ));
    let faster = git.as_secs_f64() / ours.as_secs_f64();
    match generated.shape.times_faster {
        Some(least) => {
            report.timed(
                size,
                &format!("{name}: a push of one commit, times faster than clone and push"),
                faster,
                least,
            );
        }
        None => report.line(format!("{name}: a push of one commit is {faster:.1} times faster than clone and push")),
    }
    report.at_most(&format!("{name}: a push of one commit, kB moved"), most as f64 / 1e3, 100.0);
    let end = program.end().await?;
    report.at_most(&format!("{name}: memory of the program at its peak, MB"), end.memory, 40.0);
    report.at_most(&format!("{name}: bytes that the program wrote to disk"), end.written as f64, 0.0);
    world.end().await
}

/// How long git takes for the same; what it left behind is removed afterwards, by nobody's clock.
fn timed_git(world: &World) -> anyhow::Result<Duration> {
    let begin = Instant::now();
    world.copy_with_git()?;
    let took = begin.elapsed();
    world.forget_mirror()?;
    Ok(took)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
