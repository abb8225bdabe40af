//! The entries of a function's ledger that were written within a time.

use jiff::Timestamp;
use signalbox_aws::{Bucket, Failure, Object};
use signalbox_ledger::Entry;
use tokio::task::JoinSet;

use super::progress::Progress;
use crate::command::account::Entered;

/// So many objects are read at once.
const AT_ONCE: usize = 16;
/// A ledger is listed no further than this: a million objects.
const MOST_PAGES: usize = 1_000;

/// What is reported on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

impl Window {
    pub(super) fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }
}

/// How far a ledger was read.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// How many entries were.
    pub(super) entries: usize,
    /// Keys of what is no entry, or one of another version.
    pub(super) unread: Vec<String>,
    /// How many were left out, since there are more than were asked for.
    pub(super) left_out: usize,
    /// Whether the ledger was not even listed to its end.
    pub(super) is_cut: bool,
}

/// Hands every entry over that was written in the window, the newest ones where there are more than `most`.
pub(super) async fn read(
    entered: &Entered,
    bucket: &Bucket,
    function: &str,
    window: Window,
    most: usize,
    mut take: impl FnMut(Entry),
) -> anyhow::Result<Read> {
    let mut progress = Progress::new();
    let (keys, is_cut) = keys(entered, bucket, function, window, &mut progress).await?;
    let mut done = Read { is_cut, left_out: keys.len().saturating_sub(most), ..Read::default() };
    let all = keys.len().min(most);
    let mut waiting = keys.into_iter().take(most);
    let mut running: JoinSet<(String, Result<Option<Object>, Failure>)> = JoinSet::new();
    loop {
        while running.len() < AT_ONCE
            && let Some(key) = waiting.next()
        {
            let bucket = bucket.clone();
            running.spawn(async move {
                let got = bucket.get(&key).await;
                (key, got)
            });
        }
        let Some(ended) = running.join_next().await else { return Ok(done) };
        let (key, got) = ended?;
        // One that ran out meanwhile is none any more.
        let Some(object) = entered.or_told(got)? else { continue };
        done.entries += 1;
        match serde_json::from_slice::<Entry>(&object.bytes) {
            Ok(entry) => take(entry),
            Err(_) => done.unread.push(key),
        }
        progress.tell(|| format!("{} of {all} entries of the ledger read", done.entries));
    }
}

/// The keys of what was written since the window began, newest first; and whether there may be more.
async fn keys(
    entered: &Entered,
    bucket: &Bucket,
    function: &str,
    window: Window,
    progress: &mut Progress,
) -> anyhow::Result<(Vec<String>, bool)> {
    let prefix = format!("ledger/{function}/");
    let mut found = Vec::new();
    let (mut next, mut listed) = (None, 0_usize);
    for _ in 0..MOST_PAGES {
        let (page, after) = entered.or_told(bucket.list(&prefix, next).await)?;
        listed += page.len();
        // An entry is written last when its event is finished: what was written before the window is older than it.
        let is_new = |written: &Option<Timestamp>| written.is_none_or(|written| written >= floor(window.from));
        found.extend(page.into_iter().filter(|one| is_new(&one.written)).map(|one| (one.written, one.key)));
        progress.tell(|| format!("{listed} entries of the ledger listed"));
        next = after;
        if next.is_none() {
            break;
        }
    }
    found.sort_by(|one, other| other.cmp(one));
    Ok((found.into_iter().map(|(_, key)| key).collect(), next.is_some()))
}

/// S3 tells times to the second.
fn floor(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
