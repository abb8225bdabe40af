//! `signalbox serve`: keeps the local cloud up.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

use super::{Outcome, Paint, block_on};
use crate::cloud::Settings;
use crate::git_credential::{credential_helper, quoted};
use crate::lambda::binaries;
use crate::stage::{Programs, Setting, Stage, template};

/// How often changed state is written to the disk.
const SAVE_EVERY: Duration = Duration::from_millis(500);

/// Keep the local cloud up, for git and the AWS SDKs.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The port on 127.0.0.1; 0 takes any that is free.
    #[arg(long, default_value_t = 4600)]
    port: u16,
    /// A policy file to check and put into force at the start, and again whenever the file changes.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The folder that everything is kept in; a second `serve` finds it again.
    #[arg(long, default_value = "signalbox-local")]
    dir: PathBuf,
    /// The address that the stack's mail is subscribed for.
    #[arg(long, default_value = "team@example.com")]
    email: String,
    /// The region that is played.
    #[arg(long, default_value = "eu-west-1")]
    region: String,
    /// Show the functions' logs and what happens inside.
    #[arg(long)]
    verbose: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    super::log_to_stderr(if arguments.verbose { "debug" } else { "warn" });
    let policy = arguments.policy.as_deref().map(read_policy).transpose()?;
    block_on(async {
        let programs = binaries::find().await?;
        let setting = Setting {
            cloud: Settings {
                dir: arguments.dir.clone(),
                port: arguments.port,
                region: arguments.region.clone(),
                seed: seed(),
            },
            template: template()?,
            parameters: [("Email".to_owned(), arguments.email.clone())].into(),
            programs: Programs::Run(programs),
        };
        let stage = Stage::set(setting).await?;
        if let (Some(file), Some(text)) = (&arguments.policy, &policy) {
            stage.put_policy(&file.display().to_string(), text)?;
        }
        greet(&stage, arguments)?;
        let watched = watch(&stage, arguments, policy).await;
        println!("\nstopping: builds and functions are ended, the state is written");
        stage.clear().await?;
        watched
    })?;
    Ok(Outcome::Good)
}

/// A seed of its own for each start: ids must not come again in a folder that is kept.
fn seed() -> u64 {
    let now = jiff::Timestamp::now();
    now.as_nanosecond().to_le_bytes().iter().take(8).rev().fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

fn read_policy(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read the policy {}", file.display()))
}

fn greet(stage: &Stage, arguments: &Arguments) -> anyhow::Result<()> {
    let paint = Paint::for_stdout();
    let endpoint = stage.cloud().world.endpoint();
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    println!(
        "{}",
        paint.headline(&format!("The local cloud is up at {endpoint}, kept in {}.", arguments.dir.display()))
    );
    println!(
        "\nFor another terminal (you are the IAM user `developer`; these keys are good only here and only now):\n"
    );
    for (name, value) in stage.environment() {
        println!("  export {name}={value}");
    }
    println!("\nA repository and its clone:\n");
    let helper = credential_helper(&program);
    println!("  git config --global credential.{endpoint}.helper {}", quoted(&helper));
    println!("  git config --global credential.{endpoint}.useHttpPath true");
    println!("  aws codecommit create-repository --repository-name demo");
    println!("  git clone {endpoint}/v1/repos/demo");
    println!("\n  mail     {endpoint}/inbox");
    println!("  bucket   {}", stage.bucket()?);
    match &arguments.policy {
        Some(file) => println!("  policy   {} (put into force again whenever it changes)", file.display()),
        None => println!("  policy   none yet: it only observes; start with --policy FILE"),
    }
    println!("\nCtrl-C ends it. What happens is told below.\n");
    Ok(())
}

/// Tells what happens until somebody ends it.
async fn watch(stage: &Stage, arguments: &Arguments, policy: Option<String>) -> anyhow::Result<()> {
    let paint = Paint::for_stdout();
    let cloud = stage.cloud();
    let mut events = cloud.eventbridge.subscribe();
    let mut mail = cloud.sns.subscribe_mail();
    let mut logs = cloud.logs.subscribe();
    let mut save = tokio::time::interval(SAVE_EVERY);
    let mut unsaved = false;
    let mut policy = PolicyFile { in_force: policy, ..PolicyFile::default() };
    let ended = super::asked_to_end();
    tokio::pin!(ended);
    loop {
        tokio::select! {
            signal = &mut ended => return signal,
            _ = save.tick() => {
                match cloud.save() {
                    Ok(()) if unsaved => {
                        unsaved = false;
                        println!("{}", paint.good("the state can be written again"));
                    }
                    Ok(()) => {}
                    Err(error) if !unsaved => {
                        unsaved = true;
                        eprintln!("{} {error:#}; it is tried again, nothing is lost while this runs", paint.bad("the state cannot be written:"));
                    }
                    Err(_) => {}
                }
                if let Some(file) = &arguments.policy {
                    policy.look(stage, file, paint);
                }
            }
            Ok(published) = events.recv() => {
                let field = |name: &str| published.event.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                let rules = if published.rules.is_empty() { "no rule".to_owned() } else { published.rules.join(", ") };
                println!("{} {} -> {rules}", paint.notice("event"), field("detail-type"));
            }
            Ok(mail) = mail.recv() => {
                println!("{} to {}: {}", paint.notice("mail "), mail.to, mail.subject);
            }
            Ok(line) = logs.recv(), if arguments.verbose => {
                println!("{} {}", paint.dim(&line.group), line.message.trim_end());
            }
        }
    }
}

/// The policy file as it was last seen: put into force only when it was the same in two looks, because editors write a file
/// in two steps, and an empty policy is a good one.
#[derive(Debug, Default)]
struct PolicyFile {
    in_force: Option<String>,
    seen: Option<String>,
    unreadable: bool,
}

impl PolicyFile {
    fn look(&mut self, stage: &Stage, file: &Path, paint: Paint) {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                if !self.unreadable {
                    eprintln!(
                        "{} {} cannot be read ({error}); the last one stays in force",
                        paint.bad("policy"),
                        file.display()
                    );
                }
                self.unreadable = true;
                return;
            }
        };
        self.unreadable = false;
        let settled = self.seen.as_ref() == Some(&text);
        let told = self.in_force.as_ref() == Some(&text);
        self.seen = Some(text.clone());
        if !settled || told {
            return;
        }
        match stage.put_policy(&file.display().to_string(), &text) {
            Ok(()) => println!("{} {} is in force", paint.good("policy"), file.display()),
            Err(error) => eprintln!("{} the last good one stays in force. {error:#}", paint.bad("policy")),
        }
        self.in_force = Some(text);
    }
}
