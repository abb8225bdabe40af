//! `signalbox serve`: keeps the local cloud up.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use signalbox_events::{Parsed, parse_event};

use super::{Outcome, Paint, block_on, complain, reviews, tell};
use crate::chaos::{self, Chaos};
use crate::cloud::Settings;
use crate::git_credential::{credential_helper, quoted};
use crate::iam::ADMINISTRATOR;
use crate::lambda::binaries;
use crate::news::{Listener, News};
use crate::sns::is_address;
use crate::stage::{FurtherAccount, PlayedAccount, Programs, Setting, Stage, template};
use crate::world::{ACCOUNT, RegionError, World, check_region};

/// How often changed state is written to the disk.
const SAVE_EVERY: Duration = Duration::from_millis(500);

/// Keep the local cloud up, for git and the AWS SDKs.
#[derive(Debug, clap::Args)]
#[command(after_help = chaos::HELP)]
pub(super) struct Arguments {
    /// The port on 127.0.0.1; 0 takes any that is free.
    #[arg(long, default_value_t = 4600)]
    port: u16,
    /// A policy file to check and put into force at the start, and again whenever the file changes.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// A file with IAM policies that the user `developer` gets beside the administrator's, one behind the other as
    /// `signalbox iam --format json` prints them; may be given several times.
    #[arg(long = "user-policy", value_name = "FILE")]
    user_policies: Vec<PathBuf>,
    /// The folder that everything is kept in; a second `serve` finds it again.
    #[arg(long, default_value = "signalbox-local")]
    dir: PathBuf,
    /// The address that the stack's mail is subscribed for.
    #[arg(long, value_name = "ADDRESS", default_value = "team@example.com", value_parser = address)]
    email: String,
    /// A region that is played; the first is the home region, where the stack lives. May be given several times.
    #[arg(long = "region", value_name = "REGION", default_value = "eu-west-1", value_parser = region)]
    regions: Vec<String>,
    /// An account that is played beside 111122223333, with CodeCommit, S3, STS and IAM. TEMPLATE is what its administrator deploys
    /// there, roles and buckets only; behind it, after commas, are its parameters. May be given several times.
    #[arg(long = "account", value_name = "ID[=TEMPLATE[,NAME=VALUE]...]")]
    accounts: Vec<FurtherAccount>,
    /// A value for a parameter of the stack's template. May be given several times.
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
    /// Let things go wrong on purpose, as they may on AWS: events, calls, functions. `rough` if nothing is said; see below.
    #[arg(long, value_name = "CHAOS", num_args = 0..=1, require_equals = true, default_missing_value = "rough")]
    chaos: Option<Chaos>,
    /// The most items that a page of any listing holds, where AWS would give more; to see whether a client reads on.
    #[arg(long, value_name = "N")]
    page_size: Option<std::num::NonZeroUsize>,
    /// Show the functions' logs and what happens inside.
    #[arg(long)]
    verbose: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    super::log_to_stderr(if arguments.verbose { "debug" } else { "warn" });
    let policy = arguments.policy.as_deref().map(read_policy).transpose()?;
    let attached =
        arguments.user_policies.iter().map(|file| read_documents(file)).collect::<anyhow::Result<Vec<_>>>()?;
    // Asked before anything is built: a program whose file was replaced meanwhile has no path any more.
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    block_on(async {
        let programs = binaries::find().await?;
        let setting = Setting {
            cloud: Settings {
                port: arguments.port,
                regions: arguments.regions.clone(),
                seed: seed(),
                page_size: arguments.page_size.map(usize::from),
                chaos: arguments.chaos.clone(),
                ..Settings::new(&arguments.dir)
            },
            accounts: arguments.accounts.clone(),
            template: template()?,
            parameters: std::iter::once(("Email".to_owned(), arguments.email.clone()))
                .chain(arguments.parameters.iter().cloned())
                .collect(),
            programs: Programs::Run(programs),
            functions: Default::default(),
        };
        let stage = Stage::set(setting).await?;
        if let (Some(file), Some(text)) = (&arguments.policy, &policy) {
            stage.put_policy(&file.display().to_string(), text)?;
        }
        furnish(&stage).await.context("the first repository could not be made")?;
        attach(&stage, &arguments.user_policies, &attached)?;
        greet(&stage, arguments, &program)?;
        let watched = watch(&stage, arguments, policy).await;
        if let Some(chaos) = &arguments.chaos {
            tell(&format!("\nchaos, with seed {}: {}", chaos.seed, stage.cloud().world.chaos.told()));
        }
        tell("\nstopping: builds and functions are ended, the state is written");
        stage.clear().await?;
        watched
    })?;
    Ok(Outcome::Good)
}

/// A region's name, as `--region` takes it.
fn region(name: &str) -> Result<String, RegionError> {
    check_region(name).map(|()| name.to_owned())
}

/// A parameter of the template, as `--parameter` takes it.
fn parameter(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("no NAME=VALUE, such as RepositoryNames=payments-*")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A mail address, as `--email` takes it.
fn address(text: &str) -> Result<String, &'static str> {
    if is_address(text) { Ok(text.to_owned()) } else { Err("no mail address, such as team@example.com") }
}

/// A seed of its own for each start: ids must not come again in a folder that is kept.
fn seed() -> u64 {
    let now = jiff::Timestamp::now();
    now.as_nanosecond().to_le_bytes().iter().take(8).rev().fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

/// The IAM policies of a file, one behind the other.
fn read_documents(file: &Path) -> anyhow::Result<Vec<Value>> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read the user's policy {}", file.display()))?;
    let documents: Vec<Value> = serde_json::Deserializer::from_str(&text)
        .into_iter()
        .collect::<Result<_, _>>()
        .with_context(|| format!("{} is no JSON", file.display()))?;
    anyhow::ensure!(!documents.is_empty(), "{} holds no policy", file.display());
    Ok(documents)
}

/// Gives the user `developer` what the files hold, each policy under the name of its file.
fn attach(stage: &Stage, files: &[PathBuf], attached: &[Vec<Value>]) -> anyhow::Result<()> {
    for (file, documents) in files.iter().zip(attached) {
        for (number, document) in (1..).zip(documents) {
            let name = format!("{} ({number})", file.display());
            let iam = &stage.cloud().world.iam;
            iam.put_user_policy(ADMINISTRATOR, &name, document)
                .with_context(|| format!("{} is no IAM policy for a user", file.display()))?;
        }
    }
    Ok(())
}

fn read_policy(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read the policy {}", file.display()))
}

/// Makes a first repository and project in an empty world, so that there is something to push to.
async fn furnish(stage: &Stage) -> anyhow::Result<()> {
    let there = stage.cloud().codecommit.call("ListRepositories", json!({}), &stage.caller()).await?;
    if there.get("repositories").and_then(Value::as_array).is_some_and(|repositories| !repositories.is_empty()) {
        return Ok(());
    }
    stage.make_repository("demo").await?;
    match stage.make_project("demo-unit", "demo", None).await {
        Ok(()) => Ok(()),
        Err(refused) if refused.code == "ResourceAlreadyExistsException" => Ok(()),
        Err(refused) => Err(refused.into()),
    }
}

fn greet(stage: &Stage, arguments: &Arguments, program: &Path) -> anyhow::Result<()> {
    let paint = Paint::for_stdout();
    let endpoint = stage.cloud().world.endpoint();
    let bucket = stage.bucket()?;
    let helper = quoted(&credential_helper(program));
    let up = format!("The local cloud is up at {endpoint}, kept in {}.", arguments.dir.display());
    tell(&paint.headline(&up));
    tell("\nIn another terminal you are the IAM user `developer` (these keys are good only here and only now):\n");
    tell("  unset AWS_PROFILE AWS_SESSION_TOKEN");
    for (name, value) in stage.environment() {
        tell(&format!("  export {name}={value}"));
    }
    let secure = endpoint.replacen("http://", "https://", 1);
    tell(&format!(
        "\nFor git-remote-codecommit, and for {secure}, which is the same cloud (git then trusts no other https host here):\n"
    ));
    for (name, value) in stage.https_environment() {
        tell(&format!("  export {name}={}", quoted(&value)));
    }
    tell(
        "\nThe repository `demo` and the build project `demo-unit` are there. Clone, add something with a buildspec.yml, push:\n",
    );
    tell(&format!("  git clone -c credential.helper= -c credential.helper={helper} \\"));
    tell(&format!("    -c credential.useHttpPath=true {endpoint}/v1/repos/demo"));
    tell(&format!("\nor, with git-remote-codecommit: git clone codecommit::{}://demo", stage.cloud().world.region));
    for cloud in stage.regions().iter().skip(1) {
        let world = &cloud.world;
        tell(&format!(
            "\nThe region {} is there, too: --region {}, pages at {}/inbox",
            world.region,
            world.region,
            world.pages()
        ));
    }
    for account in &stage.accounts {
        tell_account(account);
    }
    tell("\nThe AWS CLI works with these variables (of version 1, `aws sqs` needs --endpoint-url):\n");
    tell("  aws codecommit create-repository --repository-name another");
    tell(&format!("  aws s3 ls --recursive s3://{bucket}/ledger/      # what was decided, and why"));
    tell(
        "  aws logs filter-log-events --log-group-name /aws/codebuild/demo-unit --query 'events[].[message]' --output text",
    );
    tell(&format!("\n  mail     {endpoint}/inbox"));
    match &arguments.policy {
        Some(file) => tell(&format!("  policy   {} (put into force again whenever it changes)", file.display())),
        None => {
            tell("  policy   as it was, or none: then it only observes. Start with --policy local/demo/signalbox.yaml")
        }
    }
    for file in &arguments.user_policies {
        tell(&format!("  IAM      {} holds for the user `developer`", file.display()));
    }
    if let Some(chaos) = &arguments.chaos {
        tell(&format!(
            "\n{}",
            paint.bad(&format!("Chaos is on: the local cloud makes trouble, with seed {}.", chaos.seed))
        ));
        tell(&format!("  again    --chaos={chaos}"));
        if !arguments.verbose {
            tell("  --verbose tells of each act; they are counted at the end");
        }
    }
    tell("\nCtrl-C ends it. What happens is told below.\n");
    Ok(())
}

/// How to be somebody in another account.
fn tell_account(account: &PlayedAccount) {
    let PlayedAccount { id, developer, .. } = account;
    tell(&format!(
        "\nThe account {id} is there, too, with CodeCommit, S3, STS and IAM; its IAM user `developer` is:\n"
    ));
    tell("  unset AWS_PROFILE AWS_SESSION_TOKEN");
    tell(&format!("  export AWS_ACCESS_KEY_ID={}", developer.access_key_id));
    tell(&format!("  export AWS_SECRET_ACCESS_KEY={}", developer.secret_access_key));
    for role in account.roles() {
        tell(&format!("\nIt has the role {role}"));
    }
}

/// Where something happened, where it is not the stack's own place.
fn place(world: &World, home: &World) -> String {
    let account = Some(&world.account).filter(|account| *account != ACCOUNT);
    let region = Some(&world.region).filter(|region| **region != home.region);
    let parts: Vec<&str> = account.into_iter().chain(region).map(String::as_str).collect();
    if parts.is_empty() { String::new() } else { format!("{}: ", parts.join(", ")) }
}

/// Tells what happens until somebody ends it.
async fn watch(stage: &Stage, arguments: &Arguments, policy: Option<String>) -> anyhow::Result<()> {
    let paint = Paint::for_stdout();
    let mut listener = Listener::new(stage.all().clouds());
    let mut save = tokio::time::interval(SAVE_EVERY);
    let mut unsaved = false;
    let mut policy = PolicyFile { in_force: policy, ..PolicyFile::default() };
    let ended = super::asked_to_end();
    tokio::pin!(ended);
    loop {
        tokio::select! {
            signal = &mut ended => return signal,
            _ = save.tick() => {
                match stage.all().save() {
                    Ok(()) if unsaved => {
                        unsaved = false;
                        tell(&paint.good("the state can be written again"));
                    }
                    Ok(()) => {}
                    Err(error) if !unsaved => {
                        unsaved = true;
                        let what = paint.bad("the state cannot be written:");
                        complain(&format!("{what} {error:#}; it is tried again, nothing is lost while this runs"));
                    }
                    Err(_) => {}
                }
                if let Some(file) = &arguments.policy {
                    policy.look(stage, file, paint);
                }
            }
            Some((cloud, news)) = listener.next() => {
                let place = place(&cloud.world, &stage.cloud().world);
                for line in told(&news, &place, &cloud.world.pages(), arguments.verbose, paint) {
                    tell(&line);
                }
                let missed = listener.missed();
                if missed > 0 {
                    let note = paint.notice("   left:");
                    tell(&format!("{note} {missed} things that happened are not told, this terminal did not keep up"));
                }
            }
        }
    }
}

/// What is said of something that happened; `place` names a further account or region, `pages` are its pages.
fn told(news: &News, place: &str, pages: &str, verbose: bool, paint: Paint) -> Vec<String> {
    match news {
        News::Event(published) => {
            let (words, is_review) = summary(&published.event);
            // Phases, and whatever no rule wants, are for --verbose; a pull request is what somebody does here and now.
            let is_told = is_review || verbose || !published.rules.is_empty();
            is_told.then(|| format!("{} {place}{words}", paint.notice("   event"))).into_iter().collect()
        }
        News::Mail(mail) => {
            let (to, subject, id) = (&mail.to, &mail.subject, mail.id);
            vec![format!("{} {place}to {to}: {subject}    {pages}/inbox/{id}", paint.notice("    mail"))]
        }
        News::Line(line) => {
            let all = || format!("{} {}", paint.dim(&format!("{place}{}", line.group)), line.message.trim_end());
            decision(&line.group, &line.message, paint).into_iter().chain(verbose.then(all)).collect()
        }
    }
}

/// An event in one line, and whether it is of a pull request.
fn summary(event: &Value) -> (String, bool) {
    match parse_event(event.to_string().as_bytes()) {
        Ok(Parsed::Ours(event)) => match reviews::plain(&event) {
            Some(words) => (words, true),
            None => (event.detail.to_string(), false),
        },
        Ok(Parsed::NotOurs(other)) => (other.detail_type, false),
        Err(error) => (error.to_string(), false),
    }
}

/// What a function says of an event, from the one line that it logs for it.
fn decision(group: &str, message: &str, paint: Paint) -> Option<String> {
    let function = group.strip_prefix("/aws/lambda/")?.rsplit('-').next()?;
    let line: Value = serde_json::from_str(message.trim()).ok()?;
    let field = |name: &str| line.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let who = format!("{function:>8}");
    let words = [field("reasons"), field("actions")].into_iter().flatten().collect::<Vec<_>>().join("\n         ");
    match field("message")? {
        "handled" => {
            Some(format!("{} {}", paint.notice(&who), if words.is_empty() { field("verdict")? } else { &words }))
        }
        "refused" => {
            Some(format!("{} refused: {words}    (ledger/{function}/{})", paint.bad(&who), field("event.id")?))
        }
        "comes again" => {
            let wait = line.get("wait_s").and_then(Value::as_u64).unwrap_or_default();
            Some(format!("{} waits and tries again in {wait} s: {}", paint.bad(&who), field("why")?))
        }
        _ => None,
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
                    let policy = paint.bad("policy");
                    complain(&format!(
                        "{policy} {} cannot be read ({error}); the last one stays in force",
                        file.display()
                    ));
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
            Ok(()) => tell(&format!("{} {} is in force", paint.good("  policy"), file.display())),
            Err(error) => {
                tell(&format!("{} not taken, the last good one stays in force: {error:#}", paint.bad("  policy")))
            }
        }
        self.in_force = Some(text);
    }
}
