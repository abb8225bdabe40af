//! `signalbox demo`: what a bare `cargo run` does.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;

use super::{Outcome, Paint, block_on};
use crate::cloud::Settings;
use crate::lambda::binaries;
use crate::stage::{Programs, Setting, Stage, template};
use crate::story::{Cast, Voice, play};

/// Play the main job on this machine: a push starts a build, and its result arrives as mail.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Arguments {
    /// Keep everything in this folder instead of a temporary one; it must be empty or not there.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Say more of what happens inside.
    #[arg(long)]
    verbose: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    super::log_to_stderr(if arguments.verbose { "debug" } else { "warn" });
    let paint = Paint::for_stdout();
    let temporary = tempfile::tempdir().context("cannot make a temporary folder")?;
    let dir = match &arguments.dir {
        Some(dir) => {
            let is_empty = std::fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none());
            anyhow::ensure!(is_empty, "{} is not empty; the demo begins with an empty world", dir.display());
            std::fs::create_dir_all(dir).with_context(|| format!("cannot make the folder {}", dir.display()))?;
            dir.clone()
        }
        None => temporary.path().to_owned(),
    };
    let began = Instant::now();
    let programs = block_on(async { Ok(binaries::find().await?) })?;
    let built = began.elapsed();
    let began = Instant::now();
    let mut voice = Voice::new(Box::new(std::io::stdout()), paint);
    voice.line(&paint.headline("Signalbox: a push starts a real build, and its result arrives as mail."));
    voice.line("Everything below happens on this machine: real git, real builds, the real functions, no AWS account.");
    block_on(async {
        let setting = Setting {
            accounts: Vec::new(),
            cloud: Settings::new(dir.join("cloud")),
            template: template()?,
            parameters: [("Email".to_owned(), "team@example.com".to_owned())].into(),
            programs: Programs::Run(programs),
            functions: Default::default(),
        };
        let stage = Stage::set(setting).await?;
        let signalbox = std::env::current_exe().context("cannot find this program's own file")?;
        let desk = dir.join("desk");
        let cast = Cast { stage: &stage, signalbox: &signalbox, desk: &desk };
        let played = tokio::select! {
            played = play(&cast, &mut voice) => played,
            asked = super::asked_to_end() => asked.and_then(|()| Err(super::Interrupted.into())),
        };
        let cleared = stage.clear().await;
        if let Err(error) = played {
            let interrupted = error.is::<super::Interrupted>();
            return Err(if interrupted { error } else { error.context("the story could not be played to its end") });
        }
        cleared
    })?;
    voice.line("");
    voice.good(&format!(
        "The story played in {:.1} s (after {:.1} s of building the functions).",
        began.elapsed().as_secs_f32(),
        built.as_secs_f32()
    ));
    match &arguments.dir {
        Some(dir) => {
            let dir = dir.display();
            voice.line(&format!(
                "Everything is kept in {dir}; `cargo run -- serve --dir {dir}/cloud` brings it up again."
            ));
        }
        None => voice.line("The world of the story ended with it, and so did its links; `demo --dir FOLDER` keeps it."),
    }
    voice.line("Try next:  cargo run -- serve      keeps the cloud up for your own git and AWS tools");
    voice.line(
        "           cargo run -- explain --policy docs/examples/first.yaml --event events/codecommit-reference-updated-push.json",
    );
    Ok(Outcome::Good)
}
