//! `signalbox report protections`: what `enforce` did, or would have done.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use signalbox_aws::Bucket;
use signalbox_events::EventId;
use signalbox_ledger::{GivenReason, Reasons};
use signalbox_policy::{Globs, Period};

use super::item::{Became, Item, Read};
use super::read::{self, Window};
use super::{PROTECTOR, show};
use crate::command::account::AccountArguments;
use crate::command::{Outcome, Paint, block_on, tell};

/// Show what became of moves of protected refs: what `enforce` did, or in `observe` would have done, and who bypassed what.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Times are UTC: 2026-03-02, or 2026-03-02T09:00:00Z. The ledger is kept for the stack's LedgerDays.\n\nExit codes:\n  0  \
                  the report is whole, and nothing in it is open\n  1  something is open: bypasses without a reason, or moves that could \
                  not be judged or put back\n  2  wrong usage\n  3  not everything could be looked at, and nothing else is open; or this \
                  output could not be written"
)]
pub(super) struct Arguments {
    /// How far back it looks.
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = period, conflicts_with = "from")]
    last: Period,
    /// From when on, instead of --last.
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    /// Until when, instead of now.
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Timestamp>,
    /// Only repositories whose names match, such as payments-*. May be given several times.
    #[arg(long = "repository", value_name = "PATTERN", value_parser = pattern)]
    repositories: Vec<String>,
    /// At most so many entries of the ledger are read, the newest.
    #[arg(long, value_name = "COUNT", default_value_t = 20_000)]
    most: usize,
    /// How many moves are shown with what is wrong with them, the newest; --json has all.
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    moves: usize,
    /// As JSON instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    account: AccountArguments,
}

fn period(text: &str) -> Result<Period, String> {
    let period = Period::parse(text).map_err(|error| error.to_string())?;
    if period.seconds() == 0 { Err("it is no time at all".to_owned()) } else { Ok(period) }
}

fn pattern(text: &str) -> Result<String, String> {
    Globs::parse([text]).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn time(text: &str) -> Result<Timestamp, String> {
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    whole.parse().map_err(|_| "no time such as 2026-03-02 or 2026-03-02T09:00:00Z".to_owned())
}

/// Everything that is shown.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) stack: String,
    pub(super) account: String,
    pub(super) region: String,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    /// How many entries of the ledger were looked at.
    pub(super) entries: usize,
    /// Moves that nothing forbids, and the stack's own.
    pub(super) quiet: usize,
    pub(super) rules: Vec<RuleRow>,
    pub(super) people: Vec<PersonRow>,
    /// Newest first.
    pub(super) moves: Vec<Item>,
    pub(super) bypasses: Vec<Bypass>,
    /// Events that could not be judged, or refs that could not be put back.
    pub(super) failed: Vec<Item>,
    /// What could not be looked at, and why.
    pub(super) unseen: Vec<String>,
}

/// One rule of one protection of a repository, in numbers of moves.
#[derive(Debug, Default, Serialize)]
pub(super) struct RuleRow {
    pub(super) repository: String,
    pub(super) protection: String,
    pub(super) rule: String,
    pub(super) would_restore: usize,
    pub(super) restored: usize,
    pub(super) left: usize,
    pub(super) bypassed: usize,
    pub(super) failed: usize,
    pub(super) refs: BTreeSet<String>,
    pub(super) people: BTreeSet<String>,
}

/// How many moves of one person were not allowed.
#[derive(Debug, Serialize)]
pub(super) struct PersonRow {
    /// An ARN; none where nobody knows.
    pub(super) by: Option<String>,
    pub(super) moves: usize,
    pub(super) bypassed: usize,
}

/// A bypass and its reason.
#[derive(Debug, Serialize)]
pub(super) struct Bypass {
    #[serde(flatten)]
    pub(super) item: Item,
    pub(super) reason: Option<GivenReason>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let now = Timestamp::now();
    let to = arguments.to.unwrap_or(now);
    let last = SignedDuration::try_from(arguments.last.duration()).unwrap_or(SignedDuration::MAX);
    let from = arguments.from.or_else(|| to.checked_sub(last).ok()).unwrap_or(Timestamp::MIN);
    if from >= to {
        bail!("there is no time between {from} and {to}: --from must be before --to");
    }
    let globs = match arguments.repositories.as_slice() {
        [] => None,
        patterns => Some(Globs::parse(patterns.iter().map(String::as_str))?),
    };
    let window = Window { from, to };
    let report = block_on(gather(arguments, window, globs.as_ref()))?;
    if arguments.json {
        tell(&serde_json::to_string_pretty(&report)?);
    } else {
        show::show(&report, arguments.moves, Paint::for_stdout());
    }
    let is_open = !report.failed.is_empty() || report.bypasses.iter().any(|bypass| bypass.reason.is_none());
    Ok(match (is_open, report.unseen.is_empty()) {
        (true, _) => Outcome::Bad,
        (false, true) => Outcome::Good,
        (false, false) => Outcome::Unseen,
    })
}

async fn gather(arguments: &Arguments, window: Window, globs: Option<&Globs>) -> anyhow::Result<Report> {
    let entered = arguments.account.enter().await?;
    let installed = entered.installed().await?;
    let bucket = Bucket::new(&entered.aws, installed.bucket()?);
    let is_meant = |name: Option<&String>| globs.is_none_or(|globs| name.is_some_and(|name| globs.matches(name)));
    let (mut items, mut quiet, mut unknown, mut open) = (Vec::new(), 0, Vec::new(), 0);
    let take = |entry: signalbox_ledger::Entry| match Read::of(&entry) {
        Read::Quiet { at, repository } if window.holds(at) && is_meant(repository.as_ref()) => quiet += 1,
        Read::Item(item) if window.holds(item.at) && is_meant(item.repository.as_ref()) => items.push(*item),
        Read::Quiet { .. } | Read::Item(_) => {}
        Read::Open => open += 1,
        Read::Unknown => unknown.push(entry.event.to_string()),
    };
    let done = read::read(&entered, &bucket, PROTECTOR, window, arguments.most, take).await?;
    items.sort_by(|one, other| (other.at, &other.event).cmp(&(one.at, &one.event)));

    let mut unseen = Vec::new();
    let mut note = |count: usize, what: &str| {
        if count > 0 {
            unseen.push(format!("{count} {what}"));
        }
    };
    note(done.left_out, "older entries of the ledger were left out: give --most, or a shorter time");
    note(usize::from(done.is_cut), "ledger is too long to be listed to its end");
    note(done.unread.len() + unknown.len(), "entries were written by another version of Signalbox, or are no entries");
    note(open, "events are being worked on, or wait for that");
    let reasons = Reasons::new(bucket);
    let mut report = Report {
        stack: installed.description.name.clone(),
        account: entered.identity.account.clone(),
        region: entered.aws.region().to_owned(),
        from: window.from,
        to: window.to,
        entries: done.entries,
        quiet,
        rules: rules(&items),
        people: people(&items),
        moves: items.clone(),
        bypasses: Vec::new(),
        failed: items.iter().filter(|item| item.became == Became::Failed).cloned().collect(),
        unseen,
    };
    for item in items.into_iter().filter(|item| item.became == Became::Bypassed) {
        let event = EventId::parse(item.event.as_str())?;
        match entered.or_told(reasons.of(&event).await) {
            Ok(reason) => report.bypasses.push(Bypass { item, reason }),
            Err(error) => {
                report.unseen.push(format!("the reason for {event}: {error:#}"));
                report.bypasses.push(Bypass { item, reason: None });
            }
        }
    }
    Ok(report)
}

fn rules(items: &[Item]) -> Vec<RuleRow> {
    let mut rows: BTreeMap<(String, String, String), RuleRow> = BTreeMap::new();
    for item in items {
        let repository = item.repository.clone().unwrap_or_default();
        // A push that breaks one rule in a hundred files is one move.
        let broken: BTreeSet<(&String, &String)> =
            item.broken.iter().map(|broken| (&broken.protection, &broken.rule)).collect();
        for (protection, rule) in broken {
            let key = (repository.clone(), protection.clone(), rule.clone());
            let row = rows.entry(key).or_insert_with(|| RuleRow {
                repository: repository.clone(),
                protection: protection.clone(),
                rule: rule.clone(),
                ..RuleRow::default()
            });
            let count = match item.became {
                Became::WouldRestore => &mut row.would_restore,
                Became::Restored => &mut row.restored,
                Became::Left => &mut row.left,
                Became::Bypassed => &mut row.bypassed,
                Became::Failed => &mut row.failed,
            };
            *count += 1;
            row.refs.extend(item.reference.clone());
            row.people.extend(item.by.clone());
        }
    }
    rows.into_values().collect()
}

fn people(items: &[Item]) -> Vec<PersonRow> {
    let mut rows: BTreeMap<Option<String>, (usize, usize)> = BTreeMap::new();
    for item in items {
        let (moves, bypassed) = rows.entry(item.by.clone()).or_default();
        *moves += 1;
        *bypassed += usize::from(item.became == Became::Bypassed);
    }
    let mut rows: Vec<PersonRow> =
        rows.into_iter().map(|(by, (moves, bypassed))| PersonRow { by, moves, bypassed }).collect();
    rows.sort_by(|one, other| (other.moves, &one.by).cmp(&(one.moves, &other.by)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_day_or_a_moment_and_a_duration_is_not_nothing() {
        assert_eq!(time("2026-03-02").unwrap(), time("2026-03-02T00:00:00Z").unwrap());
        assert!(time("yesterday").is_err() && time("2026-3-2").is_err());
        assert_eq!(period("1w").unwrap().seconds(), 604_800);
        assert!(period("0d").is_err() && period("a week").is_err());
    }
}
