//! `signalbox apply`: a policy file, checked, compared and put into force.

use std::path::PathBuf;

use anyhow::Context;
use signalbox_aws::{Bucket, Object, Replaced};
use signalbox_policy::{Mode, Policy, parse_policy, render_problems};
use similar::TextDiff;

use super::account::{AccountArguments, Caution, Entered};
use super::ask::{Reply, confirm};
use super::meaning::meaning;
use super::{Outcome, Paint, block_on, complain, tell};
use crate::stage::POLICY_KEY;

/// Put a policy file into force, after showing what it changes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Ends with 0 when the policy is in force, and with 1 when it has problems, when somebody else was \
                        faster, or when you say no. It is written only over the version that it was compared with."
)]
pub(super) struct Arguments {
    /// The policy file.
    #[arg(default_value = "signalbox.yaml")]
    policy: PathBuf,
    #[command(flatten)]
    caution: Caution,
    #[command(flatten)]
    account: AccountArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let file = arguments.policy.display().to_string();
    let text = std::fs::read_to_string(&arguments.policy).with_context(|| format!("cannot read the policy {file}"))?;
    let policy = match parse_policy(&text) {
        Ok(policy) => policy,
        Err(problems) => {
            let bad = Paint::for_stderr().bad("bad:");
            complain(&format!("{}{bad} {file}: nothing was changed", render_problems(&file, &text, &problems)));
            return Ok(Outcome::Bad);
        }
    };
    block_on(apply(arguments, &file, &text, &policy))
}

async fn apply(arguments: &Arguments, file: &str, text: &str, policy: &Policy) -> anyhow::Result<Outcome> {
    let paint = Paint::for_stdout();
    let entered = arguments.account.enter().await?;
    let installed = entered.installed().await?;
    let bucket = Bucket::new(&entered.aws, installed.bucket()?);
    let there = entered.or_told(bucket.get(POLICY_KEY).await)?;
    let before = there.as_ref().map(|object| String::from_utf8_lossy(&object.bytes).into_owned());
    tell(&format!("stack {} in {}", installed.description.name, entered.place()));
    if before.as_deref() == Some(text) {
        tell(&format!("{} {file} is in force already: {}", paint.good("nothing to do:"), version_of(there.as_ref())));
        return Ok(Outcome::Good);
    }
    match &there {
        Some(object) => tell(&format!("in force: {}\n", version_of(Some(object)))),
        None => tell("in force: none, so the stack only observes, and mails everyone about everything\n"),
    }
    show_difference(before.as_deref().unwrap_or_default(), text, ("in force", file), paint);
    tell(&format!("\n{}", paint.headline("what it means")));
    for line in told_meaning(before.as_deref(), policy) {
        let line = if line.is_loud { paint.bad(&line.text) } else { line.text };
        tell(&format!("  {line}"));
    }
    for note in policy.not_yet() {
        tell(&format!("  {} {file}:{note}", paint.notice("note:")));
    }
    tell("");
    if arguments.caution.dry_run {
        tell("dry run: nothing was changed");
        return Ok(Outcome::Good);
    }
    if !arguments.caution.yes && confirm(&format!("Put {file} into force?"))? == Reply::No {
        tell("nothing was changed");
        return Ok(Outcome::Bad);
    }
    write(&entered, &bucket, (file, text), there.as_ref()).await
}

/// Writes over what was read and nothing else.
async fn write(
    entered: &Entered,
    bucket: &Bucket,
    (file, text): (&str, &str),
    there: Option<&Object>,
) -> anyhow::Result<Outcome> {
    let paint = Paint::for_stdout();
    let over = there.map(|object| object.etag.as_str());
    let written = entered.or_told(bucket.replace(POLICY_KEY, text, over, &entered.identity.arn).await)?;
    match written {
        Replaced::Written { version } => {
            let version = version.map(|version| format!(" as version {version}")).unwrap_or_default();
            tell(&format!("{} {file} is in force{version}, from the next event on", paint.good("done:")));
            Ok(Outcome::Good)
        }
        Replaced::Lost => lost(entered, bucket, (file, text), there).await,
    }
}

/// Somebody wrote between the comparison and the writing: shows what is there now, and says what to do.
async fn lost(
    entered: &Entered,
    bucket: &Bucket,
    (file, text): (&str, &str),
    there: Option<&Object>,
) -> anyhow::Result<Outcome> {
    let paint = Paint::for_stdout();
    let now = entered.or_told(bucket.get(POLICY_KEY).await)?;
    if now.as_ref().is_some_and(|now| now.bytes == text.as_bytes()) {
        tell(&format!("{} {file} is in force: {}", paint.good("done:"), version_of(now.as_ref())));
        return Ok(Outcome::Good);
    }
    let bad = paint.bad("nothing was written:");
    tell(&format!("{bad} somebody else changed the policy meanwhile ({}):\n", version_of(now.as_ref())));
    let text_of = |object: &Object| String::from_utf8_lossy(&object.bytes).into_owned();
    let (old, new) = (there.map(text_of).unwrap_or_default(), now.as_ref().map(text_of).unwrap_or_default());
    show_difference(&old, &new, ("as it was compared", "as it is now"), paint);
    tell(&format!(
        "\nTheir policy is in force. Take their change into {file} if it shall stay, then run `signalbox apply` again: it \
         compares anew, and asks."
    ));
    Ok(Outcome::Bad)
}

/// Which version, since when, by whom.
pub(super) fn version_of(object: Option<&Object>) -> String {
    let Some(object) = object else { return "it was removed".to_owned() };
    let mut told = match &object.version {
        Some(version) => format!("version {version}"),
        None => format!("the object {}", object.etag),
    };
    if let Some(written) = object.written {
        told.push_str(&format!(" of {}", written.strftime("%Y-%m-%d %H:%M:%S UTC")));
    }
    if let Some(writer) = &object.writer {
        told.push_str(&format!(" by {writer}"));
    }
    told
}

fn show_difference(old: &str, new: &str, names: (&str, &str), paint: Paint) {
    let difference = TextDiff::from_lines(old, new);
    let unified = difference.unified_diff().context_radius(3).header(names.0, names.1).to_string();
    for line in unified.lines() {
        tell(&match line.chars().next() {
            Some('+') => paint.good(line),
            Some('-') => paint.bad(line),
            Some('@') => paint.dim(line),
            _ => line.to_owned(),
        });
    }
}

/// A change, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) text: String,
    pub(super) is_loud: bool,
}

fn told_meaning(before: Option<&str>, policy: &Policy) -> Vec<Change> {
    let quiet = |text: &str| Change { text: text.to_owned(), is_loud: false };
    match before.map(parse_policy) {
        None => meaning(&Policy::none(), policy),
        Some(Ok(before)) => meaning(&before, policy),
        Some(Err(_)) => {
            let mode = match policy.mode {
                Mode::Observe => "the mode is observe: it tells what it would do, and starts nothing",
                Mode::Enforce => "the mode is enforce: builds are started and stopped",
            };
            vec![quiet("the policy in force has problems, so events wait: this one lets them go on"), quiet(mode)]
        }
    }
}
