//! `signalbox uninstall`: the stack, and what CloudFormation leaves behind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;
use signalbox_aws::{Bucket, Logs, Queue, StackResource, VersionRef};

use super::account::{AccountArguments, Caution, Entered, Installed};
use super::ask::{Reply, confirm_by_name};
use super::{Outcome, Paint, block_on, tell};

/// How often a deletion is asked after.
const ASK_EVERY: Duration = Duration::from_secs(3);

/// How long a deletion may take before this stops to wait for it.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// Remove the stack, and the bucket and log groups that it leaves behind.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It may be interrupted and run again: what is gone already is passed over, and the bucket of a stack that \
                        was deleted within the last 90 days is found by the stack's record.\n\nEnds with 0 when everything is removed, \
                        with 1 when something failed or it is not known whether a bucket is left, and with 2 for wrong usage.\n\nNot touched: repositories, build \
                        projects and their builds and logs, other buckets (also the one that SAM keeps the code in)."
)]
pub(super) struct Arguments {
    /// Leave the bucket with the policy, the ledger and the state.
    #[arg(long)]
    keep_bucket: bool,
    /// First download the policy in all its versions, the ledger and the state into this folder; nothing is deleted if
    /// that fails.
    #[arg(long, value_name = "DIR")]
    backup: Option<PathBuf>,
    #[command(flatten)]
    caution: Caution,
    #[command(flatten)]
    account: AccountArguments,
}

/// What is there to be removed.
#[derive(Debug)]
struct Remains {
    /// The stack, unless it is deleted already.
    installed: Option<Installed>,
    /// Buckets that outlive their stack and are still there, each with the stack that made it.
    buckets: Vec<(Bucket, Origin)>,
    /// Buckets of deleted stacks that these credentials may not look at.
    closed: Vec<(String, Origin)>,
    /// The log groups of its functions that go with it, or went: a function that ended late may make one again.
    log_groups: BTreeSet<String>,
}

impl Remains {
    /// Says how far it is known that nothing is left, and how this ends.
    fn ended(&self, told: &str) -> Outcome {
        let paint = Paint::for_stdout();
        if self.closed.is_empty() {
            tell(&format!("{} {told}", paint.good("done:")));
            return Outcome::Good;
        }
        let note = paint.notice("not known:");
        for (name, _) in &self.closed {
            tell(&format!(
                "{note} whether the bucket {name} is left. Your credentials may not s3:ListBucket on it (docs/deploy.md has a \
                 policy), or its name is somebody else's by now"
            ));
        }
        Outcome::Bad
    }
}

/// The stack that made a bucket: there may have been several of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    /// The one that is there, and when it was made or changed last.
    There(Option<Timestamp>),
    /// One that was deleted, and when.
    Deleted(Option<Timestamp>),
}

impl Origin {
    fn of(&self, stack: &str) -> String {
        let (what, at) = match self {
            Self::There(at) => ("changed last", at),
            Self::Deleted(at) => ("deleted", at),
        };
        let at = at.map_or_else(|| "at an unknown time".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string());
        format!("of the stack {stack}, {what} {at},")
    }
}

/// What every stack of Signalbox has, by its logical id in the template.
const OURS: [&str; 3] = ["Bucket", "NotifierFunction", "TriggerFunction"];

/// Whether these are the resources of a stack of Signalbox: no other is ever touched.
fn is_signalbox(resources: &[StackResource]) -> bool {
    OURS.iter().all(|id| resources.iter().any(|one| one.logical_id == *id))
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    block_on(async {
        let entered = arguments.account.enter().await?;
        let remains = find(&entered).await?;
        uninstall(arguments, &entered, &remains).await
    })
}

async fn find(entered: &Entered) -> anyhow::Result<Remains> {
    let described = entered.or_told(entered.stacks.find(&entered.stack).await)?;
    let (mut resources, mut is_known) = (Vec::<StackResource>::new(), described.is_some());
    // The newest stack comes last and is the one that a bucket's name stands for.
    let mut names: BTreeMap<String, Origin> = BTreeMap::new();
    for one in entered.or_told(entered.stacks.deleted(&entered.stack).await)?.into_iter().rev() {
        let mut left = entered.or_told(entered.stacks.resources(&one.id).await)?;
        if is_signalbox(&left) {
            is_known = true;
            // What was deleted with the stack may be somebody else's by now, under the same name.
            left.retain(|one| one.kind != "AWS::S3::Bucket" || one.status == "DELETE_SKIPPED");
            names.extend(bucket_of(&left).map(|name| (name, Origin::Deleted(one.deleted))));
            resources.extend(left);
        }
    }
    let installed = match described {
        Some(description) => {
            let there = entered.or_told(entered.stacks.resources(&description.id).await)?;
            if !is_signalbox(&there) {
                let (stack, place) = (&entered.stack, entered.place());
                bail!(
                    "the stack {stack} in {place} is none of Signalbox: it has no {}; nothing was changed, give --stack",
                    OURS.join(", ")
                );
            }
            names.extend(bucket_of(&there).map(|name| (name, Origin::There(description.changed))));
            resources.extend(there.iter().cloned());
            Some(Installed { description, resources: there })
        }
        None => None,
    };
    if !is_known {
        let (stack, place) = (&entered.stack, entered.place());
        bail!(
            "there is no stack {stack} in {place}, and none of that name was deleted within 90 days; give --stack, --region or --profile"
        );
    }
    let log_groups = log_groups_of(&resources);
    let (mut buckets, mut closed) = (Vec::new(), Vec::new());
    for (name, origin) in names {
        let bucket = Bucket::new(&entered.aws, &name);
        match (bucket.exists().await, &origin) {
            (Ok(true), _) => buckets.push((bucket, origin)),
            (Ok(false), _) => {}
            // A name that is free may be anybody's by now: it keeps nothing else from being removed.
            (Err(failure), Origin::Deleted(_)) if failure.is_forbidden() => closed.push((name, origin)),
            (Err(failure), _) => return entered.or_told(Err(failure)),
        }
    }
    Ok(Remains { installed, buckets, closed, log_groups })
}

/// The log groups that the template makes beside its functions, but for those that outlive their stack because somebody
/// wants them to; one that somebody added to the stack is theirs.
fn log_groups_of(resources: &[StackResource]) -> BTreeSet<String> {
    let functions: BTreeSet<&str> = resources
        .iter()
        .filter(|one| one.kind == "AWS::Lambda::Function")
        .filter_map(|one| one.logical_id.strip_suffix("Function"))
        .collect();
    let ours = resources.iter().filter(|one| {
        one.kind == "AWS::Logs::LogGroup"
            && one.logical_id.strip_suffix("Logs").is_some_and(|block| functions.contains(block))
    });
    let (kept, gone): (Vec<_>, Vec<_>) = ours.partition(|one| one.status == "DELETE_SKIPPED");
    let named = |all: Vec<&StackResource>| all.into_iter().filter_map(|one| one.physical_id.clone()).collect();
    let (kept, gone): (BTreeSet<String>, BTreeSet<String>) = (named(kept), named(gone));
    gone.difference(&kept).cloned().collect()
}

/// The bucket that the template makes; one that somebody added to the stack is theirs.
fn bucket_of(resources: &[StackResource]) -> Option<String> {
    let ours = resources.iter().find(|one| one.kind == "AWS::S3::Bucket" && one.logical_id == "Bucket");
    ours?.physical_id.clone()
}

async fn uninstall(arguments: &Arguments, entered: &Entered, remains: &Remains) -> anyhow::Result<Outcome> {
    let stack = &entered.stack;
    tell(&format!("stack {stack} in {}\n", entered.place()));
    announce(arguments, entered, remains).await?;
    if arguments.caution.dry_run {
        tell("dry run: nothing was changed");
        return Ok(Outcome::Good);
    }
    let nothing_left = format!("nothing is left of {stack}");
    if remains.installed.is_none() && remains.buckets.is_empty() && remains.log_groups.is_empty() {
        return Ok(remains.ended(&nothing_left));
    }
    let question = "This cannot be undone.";
    if !arguments.caution.yes && confirm_by_name(question, stack)? == Reply::No {
        tell("nothing was changed");
        return Ok(Outcome::Bad);
    }
    let mut backups = Vec::new();
    if let Some(dir) = &arguments.backup {
        backups.extend(remains.buckets.iter().map(|(bucket, _)| Backup::new(bucket, dir)));
    }
    // Whatever keeps it from being saved keeps it from being deleted.
    for backup in &mut backups {
        backup.save(entered).await?;
    }
    let mut log_groups = remains.log_groups.clone();
    if let Some(installed) = &remains.installed {
        let retained = delete_stack(entered, installed).await?;
        log_groups.retain(|group| !retained.contains(group));
        // The functions write until they are gone.
        for backup in &mut backups {
            backup.save(entered).await?;
        }
    }
    sweep_logs(entered, &log_groups).await?;
    if remains.installed.is_none() && remains.buckets.is_empty() {
        return Ok(remains.ended(&nothing_left));
    }
    for (bucket, _) in &remains.buckets {
        if arguments.keep_bucket {
            tell(&format!("kept: the bucket {}", bucket.name()));
        } else {
            delete_bucket(entered, bucket).await?;
        }
    }
    let outcome = remains.ended(&format!("{stack} is removed"));
    tell("\nNot touched, as it is not the stack's:");
    tell("  repositories, build projects, their builds and logs");
    tell("  mail that was sent; a confirmation mail that nobody followed simply expires");
    tell("  the bucket that `sam deploy` keeps the code in (aws-sam-cli-managed-default-...), and samconfig.toml");
    Ok(outcome)
}

/// Shows what goes and what stays.
async fn announce(arguments: &Arguments, entered: &Entered, remains: &Remains) -> anyhow::Result<()> {
    let paint = Paint::for_stdout();
    match &remains.installed {
        None => tell("the stack is deleted already"),
        Some(installed) => {
            let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
            for one in installed.resources.iter().filter(|one| one.kind != "AWS::S3::Bucket") {
                *kinds.entry(one.kind.as_str()).or_default() += 1;
            }
            let kinds: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            tell(&format!("{} {}", paint.bad("goes: "), kinds.join(", ")));
            for function in installed.functions() {
                let mut waiting = 0;
                for url in [&function.queue, &function.dead_letters] {
                    match Queue::new(&entered.aws, url).depth().await {
                        Ok(depth) => waiting += depth.visible + depth.in_flight + depth.delayed,
                        // A deletion that stopped half-way.
                        Err(failure) if failure.code().is_some_and(|code| code.ends_with("QueueDoesNotExist")) => {}
                        Err(failure) => return entered.or_told(Err(failure)),
                    }
                }
                if waiting > 0 {
                    let text = format!("goes:  {waiting} events that wait for {} or were given up", function.name);
                    tell(&paint.bad(&text));
                }
            }
        }
    }
    for (name, origin) in &remains.closed {
        let (note, origin) = (paint.notice("left: "), origin.of(&entered.stack));
        tell(&format!(
            "{note} the bucket {name} {origin} which you may not look at: you lack s3:ListBucket on it, or by now it is \
             somebody else's"
        ));
    }
    for group in &remains.log_groups {
        tell(&format!("{} the log group {group}, also where it was made again since", paint.bad("goes: ")));
    }
    for (bucket, origin) in &remains.buckets {
        let name = format!("{} {}", bucket.name(), origin.of(&entered.stack));
        let what = "with the policy in all its versions, the ledger and the state";
        if arguments.keep_bucket {
            tell(&format!("{} the bucket {name} {what}", paint.good("stays:")));
        } else {
            let hint = if arguments.backup.is_none() {
                "; --backup DIR downloads it first, --keep-bucket leaves it"
            } else {
                ""
            };
            tell(&format!("{} the bucket {name} {what}{hint}", paint.bad("goes: ")));
        }
    }
    Ok(())
}

/// Asks for the deletion, and waits for it; gives the names of what the stack left behind because it shall stay.
async fn delete_stack(entered: &Entered, installed: &Installed) -> anyhow::Result<BTreeSet<String>> {
    let (id, name) = (&installed.description.id, &installed.description.name);
    entered.or_told(entered.stacks.delete(id).await)?;
    tell(&format!("deleting the stack {name} ..."));
    let began = tokio::time::Instant::now();
    let mut last = None;
    loop {
        let Some(now) = entered.or_told(entered.stacks.find(id).await)? else { return Ok(BTreeSet::new()) };
        let resources = entered.or_told(entered.stacks.resources(id).await)?;
        let gone = resources.iter().filter(|one| matches!(one.status.as_str(), "DELETE_COMPLETE" | "DELETE_SKIPPED"));
        let gone = gone.count();
        if last != Some(gone) {
            tell(&format!("  {gone} of {} resources", resources.len()));
            last = Some(gone);
        }
        match now.status.as_str() {
            "DELETE_COMPLETE" => {
                let retained = resources.into_iter().filter(|one| one.status == "DELETE_SKIPPED");
                return Ok(retained.filter_map(|one| one.physical_id).collect());
            }
            "DELETE_FAILED" => {
                let failed = resources.iter().filter(|one| one.status == "DELETE_FAILED");
                let why = failed.map(|one| {
                    format!("{} ({}): {}", one.logical_id, one.kind, one.reason.as_deref().unwrap_or("no reason given"))
                });
                let why = why.collect::<Vec<_>>().join("\n  because ");
                bail!(
                    "the stack {name} could not be deleted; mend this and run `signalbox uninstall` again\n  because {why}"
                );
            }
            _ if began.elapsed() > PATIENCE => {
                bail!("the stack {name} is still being deleted after an hour; run `signalbox uninstall` again later")
            }
            _ => tokio::time::sleep(ASK_EVERY).await,
        }
    }
}

/// Deletes log groups that are still there: a function that ended late may have written once more.
async fn sweep_logs(entered: &Entered, groups: &BTreeSet<String>) -> anyhow::Result<()> {
    let logs = Logs::new(&entered.aws);
    for group in groups {
        if entered.or_told(logs.delete_group(group).await)? {
            tell(&format!("deleted the log group {group}"));
        }
    }
    Ok(())
}

async fn delete_bucket(entered: &Entered, bucket: &Bucket) -> anyhow::Result<()> {
    let name = bucket.name();
    tell(&format!("emptying the bucket {name} ..."));
    let mut deleted = 0;
    loop {
        // What was deleted is not listed again, so the first page is always the next one.
        let page = entered.or_told(bucket.first_versions().await)?;
        if page.is_empty() {
            break;
        }
        let failed = entered.or_told(bucket.delete_versions(&page).await)?;
        if let Some((key, why)) = failed.first() {
            if why.starts_with("AccessDenied") {
                bail!("your credentials may not s3:DeleteObjectVersion (docs/deploy.md has a policy): {why}");
            }
            bail!("{} of {} versions in {name} could not be deleted, such as {key}: {why}", failed.len(), page.len());
        }
        deleted += page.len();
        tell(&format!("  {deleted} versions deleted"));
    }
    entered.or_told(bucket.delete_bucket().await)?;
    tell(&format!("deleted the bucket {name}"));
    Ok(())
}

/// What a bucket knows, on its way into a folder: of the policy every version, of everything else the newest.
#[derive(Debug)]
struct Backup<'a> {
    bucket: &'a Bucket,
    dir: PathBuf,
    /// The versions that are saved, by key and version: another round takes only what came since.
    saved: BTreeSet<(String, String)>,
}

impl<'a> Backup<'a> {
    fn new(bucket: &'a Bucket, dir: &Path) -> Self {
        Self { bucket, dir: dir.join(bucket.name()), saved: BTreeSet::new() }
    }

    async fn save(&mut self, entered: &Entered) -> anyhow::Result<()> {
        let before = self.saved.len();
        make_folder(&self.dir)?;
        for one in entered.or_told(self.bucket.all_versions("").await)? {
            let is_policy = one.key.starts_with("policy/");
            let version = (one.key.clone(), one.version.clone());
            if one.size.is_none() || !(one.is_latest || is_policy) || self.saved.contains(&version) {
                continue;
            }
            let object = entered.or_told(self.bucket.get_version(&one.key, &one.version).await)?;
            let file = self.dir.join(place_of(&one, is_policy)?);
            if let Some(folder) = file.parent() {
                make_folder(folder)?;
            }
            std::fs::write(&file, &object.bytes).with_context(|| format!("cannot write {}", file.display()))?;
            self.saved.insert(version);
        }
        let (saved, dir) = (self.saved.len() - before, self.dir.display());
        if before == 0 || saved > 0 {
            tell(&format!("saved {saved} files in {dir}"));
        }
        Ok(())
    }
}

fn make_folder(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))
}

/// Where an object goes below the backup's folder; a key that would lead out of it is refused.
fn place_of(one: &VersionRef, is_policy: bool) -> anyhow::Result<PathBuf> {
    if one.key.split('/').any(|part| matches!(part, "" | "." | "..")) || one.key.contains(['\\', '\0']) {
        bail!("the key {:?} cannot be a file's name; take it out of the bucket yourself, then run this again", one.key);
    }
    let key = if is_policy { format!("{}.{}", one.key, one.version) } else { one.key.clone() };
    Ok(PathBuf::from(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_functions_log_groups_are_ours_and_what_shall_stay_stays() {
        let one = |logical: &str, kind: &str, physical: &str, status: &str| StackResource {
            logical_id: logical.to_owned(),
            physical_id: Some(physical.to_owned()),
            kind: kind.to_owned(),
            status: status.to_owned(),
            reason: None,
        };
        let function =
            |block: &str| one(&format!("{block}Function"), "AWS::Lambda::Function", block, "CREATE_COMPLETE");
        let group = |logical: &str, physical: &str, status: &str| one(logical, "AWS::Logs::LogGroup", physical, status);
        let resources = [
            function("Trigger"),
            function("Notifier"),
            function("Approver"),
            group("TriggerLogs", "trigger", "DELETE_COMPLETE"),
            // Kept with an older stack.
            group("NotifierLogs", "notifier", "DELETE_SKIPPED"),
            group("NotifierLogs", "notifier", "CREATE_COMPLETE"),
            group("ApproverLogs", "approver", "DELETE_SKIPPED"),
            group("AuditLogs", "audit", "CREATE_COMPLETE"),
            group("TriggerArchive", "archive", "CREATE_COMPLETE"),
        ];
        assert_eq!(log_groups_of(&resources), BTreeSet::from(["trigger".to_owned()]));
    }

    #[test]
    fn no_key_leads_out_of_the_backup() {
        let one =
            |key: &str| VersionRef { key: key.to_owned(), version: "v1".to_owned(), size: Some(1), is_latest: true };
        assert_eq!(place_of(&one("ledger/trigger/e-1"), false).unwrap(), PathBuf::from("ledger/trigger/e-1"));
        assert_eq!(place_of(&one("policy/p.yaml"), true).unwrap(), PathBuf::from("policy/p.yaml.v1"));
        for key in ["../x", "a/../../x", "/etc/passwd", "a//b", "a\\b"] {
            assert!(place_of(&one(key), false).is_err(), "{key}");
        }
    }
}
