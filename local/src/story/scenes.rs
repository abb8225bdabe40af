//! The scenes: broken, fixed, green, documentation only.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use super::git::Clone;
use super::voice::Voice;
use super::watch::Watch;
use crate::eventbridge::Published;
use crate::sns::Mail;
use crate::stage::Stage;

const REPOSITORY: &str = "demo";
const PROJECT: &str = "demo-unit";
const POLICY: &str = include_str!("../../demo/signalbox.yaml");

/// The project that the developer commits.
const FILES: [(&str, &str); 4] = [
    ("buildspec.yml", include_str!("../../demo/project/buildspec.yml")),
    ("add.sh", include_str!("../../demo/project/add.sh")),
    ("test.sh", include_str!("../../demo/project/test.sh")),
    ("README.md", include_str!("../../demo/project/README.md")),
];

/// What the story needs from outside.
#[derive(Debug)]
pub struct Cast<'a> {
    /// The stage, with the functions running.
    pub stage: &'a Stage,
    /// The `signalbox` program: git asks it for the password.
    pub signalbox: &'a Path,
    /// An empty folder for the developer's clone.
    pub desk: &'a Path,
}

/// Plays the whole story.
///
/// # Errors
/// Whatever does not happen as it should: the event, the decision, the build, the mail. It says what was waited for.
pub async fn play(cast: &Cast<'_>, voice: &mut Voice) -> anyhow::Result<()> {
    let mut watch = Watch::new(cast.stage);
    let clone = open(cast, voice).await?;
    broken(&clone, &mut watch, voice).await?;
    fixed(&clone, &mut watch, voice).await?;
    green(&clone, &mut watch, voice).await?;
    documentation(&clone, &mut watch, voice).await
}

async fn open(cast: &Cast<'_>, voice: &mut Voice) -> anyhow::Result<Clone> {
    let stage = cast.stage;
    voice.scene("An empty repository, a build project and a policy");
    let url = stage.make_repository(REPOSITORY).await.context("the repository could not be made")?;
    voice.does("cloud", &format!("repository {REPOSITORY} at {url}"));
    stage.make_project(PROJECT, REPOSITORY, None).await.context("the build project could not be made")?;
    voice.does("cloud", &format!("build project {PROJECT}"));
    stage.put_policy("signalbox.yaml", POLICY)?;
    voice.does("policy", "what shall happen, in one file:");
    voice.quote(POLICY.trim_end());
    Clone::make(&url, &cast.desk.join(REPOSITORY), cast.signalbox, stage.environment()).await
}

async fn broken(clone: &Clone, watch: &mut Watch<'_>, voice: &mut Voice) -> anyhow::Result<()> {
    voice.scene("A push that breaks the build");
    for (path, text) in FILES {
        clone.write(path, text)?;
    }
    push(clone, voice, "Add two numbers").await?;
    let build = decision(watch, voice).await?.context("the trigger was to start a build, and started none")?;
    ended(watch, voice, &build, "FAILED").await?;
    let mail = arrives(watch, voice, "the broken build").await?;
    ensure!(mail.subject.contains("broke"), "the mail's subject was to say that the build broke: {}", mail.subject);
    Ok(())
}

async fn fixed(clone: &Clone, watch: &mut Watch<'_>, voice: &mut Voice) -> anyhow::Result<()> {
    voice.scene("A push that fixes it");
    let [_, (path, text), ..] = FILES;
    clone.write(path, &text.replace("$1 - $2", "$1 + $2"))?;
    push(clone, voice, "Add instead of subtracting").await?;
    let build = decision(watch, voice).await?.context("the trigger was to start a build, and started none")?;
    ended(watch, voice, &build, "SUCCEEDED").await?;
    let mail = arrives(watch, voice, "the fixed build").await?;
    ensure!(mail.subject.contains("fixed"), "the mail's subject was to say that the build is fixed: {}", mail.subject);
    Ok(())
}

async fn green(clone: &Clone, watch: &mut Watch<'_>, voice: &mut Voice) -> anyhow::Result<()> {
    voice.scene("Another good push: green after green is no news");
    clone.write("test.sh", &format!("{}echo 'and nothing else was tested'\n", FILES.map(|(_, text)| text)[2]))?;
    push(clone, voice, "Say what was tested").await?;
    let build = decision(watch, voice).await?.context("the trigger was to start a build, and started none")?;
    let event = ended(watch, voice, &build, "SUCCEEDED").await?;
    let report = watch.report("notifier", &event).await?;
    voice.does("notifier", &sentences(&report));
    if let Some(mail) = watch.unexpected_mail() {
        bail!("no mail was to come, but this one did: {}", mail.subject);
    }
    voice.does("inbox", "no mail");
    Ok(())
}

async fn documentation(clone: &Clone, watch: &mut Watch<'_>, voice: &mut Voice) -> anyhow::Result<()> {
    voice.scene("A push that touches only documentation");
    clone.write("docs/adding.md", "# Adding\n\nTwo numbers, one sum.\n")?;
    push(clone, voice, "Explain adding").await?;
    if let Some(build) = decision(watch, voice).await? {
        bail!("documentation was to start nothing, but build {build} started");
    }
    Ok(())
}

async fn push(clone: &Clone, voice: &mut Voice, message: &str) -> anyhow::Result<()> {
    let began = Instant::now();
    let commit = clone.push_all(message).await?;
    let short = commit.get(..7).unwrap_or(&commit);
    tracing::debug!(seconds = began.elapsed().as_secs_f32(), "pushed");
    voice.does("developer", &format!("git push origin main    ({short} {message})"));
    Ok(())
}

/// Shows the reference event and what the trigger decided; gives the build that it started, if it did.
async fn decision(watch: &mut Watch<'_>, voice: &mut Voice) -> anyhow::Result<Option<String>> {
    let published = watch
        .event("reference event", |published| detail_type(published) == "CodeCommit Repository State Change")
        .await?;
    let detail = published.event.get("detail").cloned().unwrap_or_default();
    let text = |name: &str| detail.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    voice.does(
        "event",
        &format!(
            "{} {} of {}  ->  {}",
            text("event"),
            text("referenceFullName"),
            text("repositoryName"),
            rules(&published)
        ),
    );
    let id = event_id(&published);
    let report = watch.report("trigger", &id).await?;
    voice.does("trigger", &sentences(&report));
    let started = watch.outcomes("trigger", &id)?;
    let build = started.into_iter().find_map(|(action, outcome)| {
        action.starts_with("start ").then(|| outcome.strip_prefix("build ").map(str::to_owned))?
    });
    if build.is_none() {
        voice.does("ledger", &format!("ledger/trigger/{id} keeps the reason"));
    }
    Ok(build)
}

/// Follows a build to its end; gives the id of the event that told of it.
async fn ended(watch: &mut Watch<'_>, voice: &mut Voice, build: &str, wanted: &str) -> anyhow::Result<String> {
    let suffix = format!("build/{build}");
    let ours = |published: &Published| {
        published.event.pointer("/detail/build-id").and_then(Value::as_str).is_some_and(|id| id.ends_with(&suffix))
    };
    let mut phases = Vec::new();
    let last = watch
        .event("end of the build", |published| {
            if !ours(published) {
                return false;
            }
            let detail = |name: &str| {
                published.event.pointer(&format!("/detail/{name}")).and_then(Value::as_str).unwrap_or_default()
            };
            match detail_type(published) {
                "CodeBuild Build Phase Change" => {
                    let mark = if detail("completed-phase-status") == "SUCCEEDED" { "" } else { " FAILED" };
                    phases.push(format!("{}{mark}", detail("completed-phase")));
                    false
                }
                "CodeBuild Build State Change" => detail("build-status") != "IN_PROGRESS",
                _ => false,
            }
        })
        .await?;
    let status = last.event.pointer("/detail/build-status").and_then(Value::as_str).unwrap_or_default();
    voice.does("build", &format!("{build}\n{}", wrap(&phases)));
    voice.does("event", &format!("build {status}  ->  {}", rules(&last)));
    ensure!(status == wanted, "the build was to end as {wanted}, but it ended as {status}");
    Ok(event_id(&last))
}

async fn arrives(watch: &mut Watch<'_>, voice: &mut Voice, about: &str) -> anyhow::Result<Arc<Mail>> {
    let mail = watch.mail(about).await?;
    voice.does("inbox", &format!("mail to {}", mail.to));
    voice.quote(&format!("Subject: {}\n\n{}", mail.subject, mail.body));
    Ok(mail)
}

fn detail_type(published: &Published) -> &str {
    published.event.get("detail-type").and_then(Value::as_str).unwrap_or_default()
}

fn event_id(published: &Published) -> String {
    published.event.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The rules that an event met, by their names in the template: the stack's name and the suffix around them are noise.
fn rules(published: &Published) -> String {
    let plain = |rule: &String| rule.split('-').nth(1).unwrap_or(rule).to_owned();
    let names: Vec<String> = published.rules.iter().map(plain).collect();
    if names.is_empty() { "no rule".to_owned() } else { names.join(", ") }
}

fn wrap(words: &[String]) -> String {
    let mut lines = vec![String::new()];
    for word in words {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + word.len() < 90 => line.push_str(&format!(", {word}")),
            _ => lines.push(word.clone()),
        }
    }
    lines.join("\n")
}

/// A report's verdict with its reasons and actions.
fn sentences(report: &Value) -> String {
    let list = |name: &str| report.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let lines = list("reasons").into_iter().chain(list("actions"));
    let lines: Vec<String> = lines.filter_map(|line| line.as_str().map(str::to_owned)).collect();
    lines.join("\n")
}
