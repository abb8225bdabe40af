//! Commands and packs on their way to a target.

use std::collections::BTreeSet;

use signalbox_aws::Failure;
use signalbox_gitwire::http::{self, Cause, Meter, Pushed, Source, Target};
use signalbox_gitwire::{Change, Command as Order, Fetch, Listing, Oid, Outcome, Ref, RefName, Together};
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

/// What servers say of a pack that is too large for them.
const SIZE_WORDS: &[&str] = &["exceeds maximum allowed size", "pack exceeds", "pack is too large", "pack too large"];

/// HTTP's word for it.
const TOO_LARGE: u16 = 413;

/// A sentence repeats so much of what a target's hooks print.
const MOST_WORDS: usize = 300;

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
    /// The target's words for a pack that is too large for it; then nothing has moved.
    pub(crate) too_large: Option<String>,
}

impl Sent {
    /// Whether the target moved none of several refs, though it may only mind some of them.
    pub(crate) fn is_declined(&self) -> bool {
        self.moved == 0 && !self.refused.is_empty() && self.refused.len() + self.raced.len() > 1
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.moved += other.moved;
        self.bytes += other.bytes;
        self.refused.extend(other.refused);
        self.raced.extend(other.raced);
    }
}

/// What a target has, to be told to a source.
#[derive(Debug, Default)]
pub(crate) struct Had {
    all: BTreeSet<Oid>,
    /// The same, branches before all else.
    in_order: Vec<Oid>,
}

impl Had {
    /// What these refs need is there.
    pub(crate) fn of(listing: &Listing) -> Self {
        let is_branch = |found: &&Ref| found.name.as_str().starts_with("refs/heads/");
        let (branches, others): (Vec<&Ref>, Vec<&Ref>) = listing.refs.iter().partition(is_branch);
        let mut had = Self::default();
        had.add(branches.into_iter().chain(others).map(|found| found.id));
        had
    }

    fn add(&mut self, ids: impl IntoIterator<Item = Oid>) {
        for id in ids {
            if self.all.insert(id) {
                self.in_order.push(id);
            }
        }
    }

    /// All of it, where the refs that move are now at the beginning: most often a push builds upon that.
    fn for_pushing(&self, orders: &[Order]) -> Vec<Oid> {
        let old = orders.iter().filter_map(|order| match order.change {
            Change::Update { old, .. } | Change::Delete(old) => Some(old),
            Change::Create(_) => None,
        });
        let first: BTreeSet<Oid> = old.filter(|id| self.all.contains(id)).collect();
        let rest = self.in_order.iter().filter(|id| !first.contains(id));
        first.iter().chain(rest).copied().collect()
    }
}

/// Sends one push: its commands, and what the target lacks for them straight from the source. The meter counts the pack while
/// it goes by.
pub(crate) async fn send(
    source: &Source,
    target: &Target,
    had: &mut Had,
    commands: &[Command],
    meter: &mut Option<Meter>,
) -> Result<Sent, Failure> {
    let orders: Vec<Order> = commands.iter().map(order).collect::<Option<_>>().ok_or_else(|| {
        Failure::refused(
            "pushing",
            "a command names an id or a ref that git does not know; this is a fault of the program",
        )
    })?;
    let wants: BTreeSet<Oid> = orders.iter().filter_map(new_id).filter(|id| !had.all.contains(id)).collect();
    let wants: Vec<Oid> = wants.into_iter().collect();
    let pushed = if wants.is_empty() {
        target.push(&orders, Together::Each).await
    } else {
        let haves = had.for_pushing(&orders);
        let fetch = Fetch { wants: wants.clone(), haves, form: target.pack_form(), ..Fetch::default() };
        let pack = source.fetch(&fetch).await.map_err(|failure| sorted(&failure))?;
        *meter = Some(pack.meter());
        target.push_pack(&orders, Together::Each, pack).await
    };
    let pushed = match pushed {
        Err(http::Failure { cause: Cause::Status { status: TOO_LARGE, words }, .. }) => {
            return Ok(Sent {
                too_large: Some(format!("status {TOO_LARGE} {words}").trim().to_owned()),
                ..Sent::default()
            });
        }
        pushed => pushed.map_err(|failure| sorted(&failure))?,
    };
    let sent = read(&pushed);
    // Where nothing moved the target may have thrown the objects away: one that declines a push keeps nothing of it.
    if sent.moved > 0 {
        had.add(wants);
    }
    Ok(sent)
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
    let words = said(&report.messages);
    if let Err(why) = &report.unpack {
        let told = format!("{why}{words}");
        if has_word(&told, SIZE_WORDS) {
            return Sent { too_large: Some(told), ..sent };
        }
    }
    for result in &report.results {
        let name = result.name.as_str().to_owned();
        match (&report.unpack, &result.outcome) {
            (Err(why), _) => sent.refused.push((name, format!("the pack was not taken: {why}{words}"))),
            (Ok(()), Outcome::Done) => sent.moved += 1,
            (Ok(()), Outcome::Refused(why)) if has_word(why, RACE_WORDS) => sent.raced.push(name),
            (Ok(()), Outcome::Refused(why)) => sent.refused.push((name, format!("{why}{words}"))),
            // Whether it moved, the next listing tells.
            (Ok(()), Outcome::Unreported) => sent.raced.push(name),
        }
    }
    sent
}

/// What a target's hooks printed, as the end of a sentence: they say why, where the report only says that.
fn said(messages: &str) -> String {
    let lines: Vec<&str> = messages.split_whitespace().collect();
    let mut words: String = lines.join(" ").chars().take(MOST_WORDS).collect();
    if !words.is_empty() {
        words = format!(" ({words})");
    }
    words
}

fn has_word(text: &str, words: &[&str]) -> bool {
    let text = text.to_lowercase();
    words.iter().any(|word| text.contains(word))
}
