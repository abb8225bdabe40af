//! Commands and packs on their way to a target.

use std::collections::BTreeSet;

use signalbox_aws::Failure;
use signalbox_gitwire::http::{Pushed, Source, Target};
use signalbox_gitwire::{Change, Command as Order, Fetch, Oid, Outcome, RefName, Together};
use signalbox_replicator_rules::Command;

use crate::places::sorted;

/// What servers say where a ref is not any more where it was seen. CodeCommit's words are to be confirmed.
const RACE_WORDS: &[&str] = &[
    "already exists",
    "but expected",
    "cannot lock ref",
    "fetch first",
    "failed to update ref",
    "incorrect old value",
    "stale info",
];

/// What became of the commands of one push.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// How many refs moved.
    pub(crate) moved: usize,
    /// How many bytes the pack had.
    pub(crate) bytes: u64,
    /// Refs that the target did not move, with its words.
    pub(crate) refused: Vec<(String, String)>,
    /// Refs that were elsewhere by then.
    pub(crate) raced: Vec<String>,
}

impl Sent {
    pub(crate) fn add(&mut self, other: Self) {
        self.moved += other.moved;
        self.bytes += other.bytes;
        self.refused.extend(other.refused);
        self.raced.extend(other.raced);
    }
}

/// Sends one push: its commands, and what the target lacks for them straight from the source.
pub(crate) async fn send(
    source: &Source,
    target: &Target,
    had: &mut BTreeSet<Oid>,
    commands: &[Command],
) -> Result<Sent, Failure> {
    let orders: Vec<Order> = commands.iter().map(order).collect::<Option<_>>().ok_or_else(|| {
        Failure::refused(
            "pushing",
            "a command names an id or a ref that git does not know; this is a fault of the program",
        )
    })?;
    let wants: BTreeSet<Oid> = orders.iter().filter_map(new_id).filter(|id| !had.contains(id)).collect();
    let wants: Vec<Oid> = wants.into_iter().collect();
    let pushed = if wants.is_empty() {
        target.push(&orders, Together::Each).await
    } else {
        let haves = had.iter().copied().collect();
        let fetch = Fetch { wants: wants.clone(), haves, form: target.pack_form(), ..Fetch::default() };
        let pack = source.fetch(&fetch).await.map_err(|failure| sorted(&failure))?;
        target.push_pack(&orders, Together::Each, pack).await
    };
    let pushed = pushed.map_err(|failure| sorted(&failure))?;
    if pushed.report.unpack.is_ok() {
        had.extend(wants);
    }
    Ok(read(&pushed))
}

fn order(command: &Command) -> Option<Order> {
    let id = |object: &signalbox_replicator_rules::Object| Oid::parse(object.as_str()).ok();
    let change = match (&command.old, &command.new) {
        (None, Some(new)) => Change::Create(id(new)?),
        (Some(old), Some(new)) => Change::Update { old: id(old)?, new: id(new)? },
        (Some(old), None) => Change::Delete(id(old)?),
        (None, None) => return None,
    };
    Some(Order { name: RefName::parse(command.name.as_str()).ok()?, change })
}

fn new_id(order: &Order) -> Option<Oid> {
    match order.change {
        Change::Create(new) | Change::Update { new, .. } => Some(new),
        Change::Delete(_) => None,
    }
}

fn read(pushed: &Pushed) -> Sent {
    let mut sent = Sent { bytes: pushed.pack.map_or(0, |pack| pack.bytes), ..Sent::default() };
    let report = &pushed.report;
    for result in &report.results {
        let name = result.name.as_str().to_owned();
        match (&report.unpack, &result.outcome) {
            (Err(why), _) => sent.refused.push((name, format!("the pack was not taken: {why}"))),
            (Ok(()), Outcome::Done) => sent.moved += 1,
            (Ok(()), Outcome::Refused(why)) if is_race(why) => sent.raced.push(name),
            (Ok(()), Outcome::Refused(why)) => sent.refused.push((name, why.clone())),
            // Whether it moved, the next listing tells.
            (Ok(()), Outcome::Unreported) => sent.raced.push(name),
        }
    }
    sent
}

fn is_race(words: &str) -> bool {
    let words = words.to_lowercase();
    RACE_WORDS.iter().any(|race| words.contains(race))
}
