//! The part of a push that one look takes in, fetched as a pack.
//!
//! The pack lies in a file without a name while it is opened; memory grows with the number of its objects, not with their length. What does not
//! fit is cut along the history: a look then fetches only up to a commit on the way to the tip.

use std::fs::File;
use std::io::Write;

use jiff::Timestamp;
use signalbox_aws::{ChangedPaths, Failure};
use signalbox_events::CommitId;
use signalbox_gitwire::http::{Source, Way};
use signalbox_gitwire::unpack::Unopened;
use signalbox_gitwire::{Fetch, Oid, PackForm};
use signalbox_policy::QUARANTINE;
use signalbox_protector_rules::{Ancestry, Cut, Keyring, Needs, Range, Rest, Subject, Want};

use crate::Protector;
use crate::bounds::Bounds;
use crate::git::sorted;
use crate::range::{base_of, plain_files};
use crate::walk::{Collisions, Depth, Part, Walk};

/// A history that is too long for one look is cut into so many parts, and each part that still is again.
const PARTS: u32 = 4;
/// So many tips of other refs are remembered for the next look at a new ref.
const MOST_BASES: usize = 2_000;

/// What is asked about a push.
pub(crate) struct Asked<'a> {
    pub(crate) old: Option<&'a CommitId>,
    pub(crate) new: &'a CommitId,
    /// All paths that changed, where this look has them.
    pub(crate) changes: Option<ChangedPaths>,
    pub(crate) needs: &'a Needs,
    /// How far earlier looks came.
    pub(crate) rest: Rest,
    pub(crate) until: Timestamp,
}

/// What one look fetches: everything up to the goal that is not behind the haves.
struct Goal {
    haves: Vec<Oid>,
    goal: Oid,
    tip: Oid,
    /// How far the goal is from the tip, which has 1.
    distance: u32,
    /// Whether there is no commit before it by which it could be cut.
    is_least: bool,
}

/// Reads the next commits and files of a push into `range`; says whether what was there is still in it, where the pack tells, and what is left.
pub(crate) async fn read_pack(
    function: &Protector,
    subject: &Subject,
    asked: Asked<'_>,
    range: &mut Range,
) -> Result<(Ancestry, Option<Rest>), Failure> {
    let Asked { old, new, changes, needs, mut rest, until } = asked;
    let Ok(tip) = Oid::parse(new.as_str()) else {
        range.unread.push(format!("{new} is no object's id"));
        return Ok((Ancestry::NotRead, None));
    };
    let prefixes: &[&str] = if old.is_some() { &[subject.reference.as_str()] } else { &["refs/heads/", "refs/tags/"] };
    let source = function.remote(&subject.repository).await?.source(prefixes).await;
    let source = source.map_err(|failure| sorted(&failure))?;
    if old.is_none() && rest.base.is_empty() {
        rest.base = others(&source, subject);
    }
    let haves = old.into_iter().chain(&rest.base).chain(&rest.done).filter_map(|id| Oid::parse(id.as_str()).ok());
    let mut goal = Goal { haves: haves.collect(), goal: tip, tip, distance: 1, is_least: false };
    if let Some(cut) = rest.cut {
        goal.choose(&source, cut).await?;
    }
    let unfit = match fetched(&source, &goal, function.bounds, until).await {
        Ok(Spooled::Whole(file)) => {
            let collisions = match &changes {
                Some(changes) => Collisions::Of(changes.clone()),
                None if rest.has_collisions => Collisions::Known,
                None => Collisions::Any,
            };
            let walk = Walk {
                old: old.filter(|_| rest.looks == 1).and_then(|old| Oid::parse(old.as_str()).ok()),
                goal: goal.goal,
                tip: new.clone(),
                collisions,
                depth: depth(needs),
                keys: needs.wants.contains(&Want::Signatures).then(|| Keyring::of(&needs.signing_keys)),
                allowed: needs.allowed_secrets.clone(),
                done: rest.done.clone(),
                within: rest.within.clone(),
                bounds: function.bounds,
                until,
            };
            let read = tokio::task::spawn_blocking(move || walk.read(file)).await;
            match read.map_err(|error| Failure::retry("opening a pack", error.to_string()))? {
                Ok(part) => return Ok(take(part, &goal, rest, range)),
                Err(unopened @ (Unopened::TooMany(_) | Unopened::Stopped { .. })) => unopened.to_string(),
                Err(unopened) => {
                    let cause = std::error::Error::source(&unopened).map(|cause| format!(": {cause}"));
                    range.files.extend(changes.iter().flat_map(|changes| plain_files(new, changes)));
                    range.unread.push(format!("{unopened}{}, and was not opened", cause.unwrap_or_default()));
                    return Ok((Ancestry::NotRead, None));
                }
            }
        }
        Ok(Spooled::Unfit(why)) => why,
        // A commit that no ref leads to any more is not given out by every server.
        Err(failure @ Failure::Refused(_)) => {
            range.files.extend(changes.iter().flat_map(|changes| plain_files(new, changes)));
            range.unread.push(format!("what arrived could not be fetched: {}", failure.chain()));
            return Ok((Ancestry::NotRead, None));
        }
        Err(failure) => return Err(failure),
    };
    // The next looks do not have them any more.
    range.files.extend(changes.iter().flat_map(|changes| plain_files(new, changes)));
    let cut = match rest.cut {
        Some(cut) => Some(Cut { step: (cut.step / PARTS).max(1), ..cut }).filter(|_| !goal.is_least),
        None => first_cut(function, &source, (subject, old, new), tip).await?,
    };
    if let Some(cut) = cut {
        rest.cut = Some(cut);
        tracing::info!(repo.name = subject.repository.as_str(), unfit, cut.left, cut.step, "looked at in parts");
        return Ok((Ancestry::NotRead, Some(rest)));
    }
    let upto = goal.goal.to_string();
    let upto = upto.get(..7).unwrap_or(&upto);
    range.unread.push(format!("what arrived up to commit {upto} is out of reach: {unfit}"));
    if goal.goal == tip {
        return Ok((Ancestry::NotRead, None));
    }
    rest.done.extend(CommitId::parse(goal.goal.to_string()));
    rest.within = None;
    rest.cut = rest.cut.map(|cut| Cut { left: goal.distance, ..cut });
    Ok((Ancestry::NotRead, Some(rest)))
}

fn depth(needs: &Needs) -> Depth {
    match (needs.wants.contains(&Want::Contents), needs.wants.contains(&Want::Paths)) {
        (true, _) => Depth::Contents,
        (false, true) => Depth::Paths,
        (false, false) => Depth::Commits,
    }
}

/// Takes in what was read, and says what is left.
fn take(part: Part, goal: &Goal, mut rest: Rest, range: &mut Range) -> (Ancestry, Option<Rest>) {
    range.commits.extend(part.range.commits);
    range.files.extend(part.range.files);
    range.unread.extend(part.range.unread);
    rest.has_collisions |= part.has_collisions;
    rest.done = part.done;
    let is_over = part.within.is_none() && !part.is_stopped;
    rest.within = part.within;
    if is_over && goal.goal == goal.tip {
        return (part.ancestry, None);
    }
    let distance = goal.distance;
    if is_over && let Ok(goal) = CommitId::parse(goal.goal.to_string()) {
        if !rest.done.contains(&goal) {
            rest.done.push(goal);
        }
        // That went well: the next part may be longer.
        rest.cut = rest.cut.map(|cut| Cut { left: distance, step: cut.step.saturating_mul(2) });
    }
    // Where the goal is not the tip, the pack does not tell what became of what was there.
    let ancestry = if goal.goal == goal.tip { part.ancestry } else { Ancestry::NotRead };
    (ancestry, Some(rest))
}

/// The tips of the other refs: what is new with a new ref is not behind them.
fn others(source: &Source, subject: &Subject) -> Vec<CommitId> {
    let others = source.listing.refs.iter().filter(|found| {
        let name = found.name.as_str();
        name != subject.reference.as_str() && !name.starts_with(QUARANTINE)
    });
    let tips = others.filter_map(|found| CommitId::parse(found.peeled.unwrap_or(found.id).to_string()).ok());
    let mut tips: Vec<CommitId> = tips.collect();
    tips.sort();
    tips.dedup();
    tips.truncate(MOST_BASES);
    tips
}

/// How a history is cut that did not fit into one look; nothing where there is only one commit, or the server does not tell.
async fn first_cut(
    function: &Protector,
    source: &Source,
    (subject, old, new): (&Subject, Option<&CommitId>, &CommitId),
    tip: Oid,
) -> Result<Option<Cut>, Failure> {
    let floor = match old {
        Some(old) => function.codecommit.merge_base(&subject.repository, new.as_str(), old.as_str()).await?,
        None => base_of(function, subject, None, new).await?,
    };
    let floor = floor.and_then(|floor| Oid::parse(floor.as_str()).ok());
    let way = Way { source, tip, exactly: u32::MAX };
    let mut length = way.length(floor).await.map_err(|failure| sorted(&failure))?;
    if length <= 1 && floor.is_some() {
        // git tells what builds upon a commit by their dates, too. Where those are not in order, the whole history is cut: what was there before comes with
        // no pack.
        length = way.length(None).await.map_err(|failure| sorted(&failure))?;
    }
    // What comes first builds upon a commit that is one further away.
    Ok((length > 1).then(|| Cut { left: length.saturating_add(1), step: (length / PARTS).max(1) }))
}

impl Goal {
    /// Chooses the commit up to which this look fetches.
    async fn choose(&mut self, source: &Source, cut: Cut) -> Result<(), Failure> {
        let way = Way { source, tip: self.tip, exactly: u32::MAX };
        let stop = way.stop(cut.left.saturating_sub(cut.step), None).await.map_err(|failure| sorted(&failure))?;
        (self.goal, self.distance) = stop;
        self.is_least = cut.step <= 1 || cut.left <= 2;
        Ok(())
    }
}

enum Spooled {
    Whole(File),
    /// It does not fit into one look.
    Unfit(String),
}

/// Fetches exactly that into a file without a name.
async fn fetched(source: &Source, goal: &Goal, bounds: Bounds, until: Timestamp) -> Result<Spooled, Failure> {
    // Nothing in it may build on what is not in it.
    let form = PackForm { thin: false, ofs_delta: true };
    let fetch = Fetch { wants: vec![goal.goal], haves: goal.haves.clone(), form, ..Fetch::default() };
    let mut pack = source.fetch(&fetch).await.map_err(|failure| sorted(&failure))?;
    let disk = |error: std::io::Error| Failure::retry("keeping a pack", error.to_string());
    let mut file = tempfile::tempfile().map_err(disk)?;
    let mut length = 0_u64;
    while let Some(piece) = pack.piece().await.map_err(|failure| sorted(&failure))? {
        length += piece.len() as u64;
        if length > bounds.pack_bytes {
            return Ok(Spooled::Unfit(format!("it has over {}", megabytes(bounds.pack_bytes))));
        }
        if Timestamp::now() > until {
            return Ok(Spooled::Unfit(format!("the time was over after {} of it", megabytes(length))));
        }
        file.write_all(&piece).map_err(disk)?;
    }
    Ok(Spooled::Whole(file))
}

fn megabytes(bytes: u64) -> String {
    if bytes < 10_000_000 { format!("{} kB", bytes / 1_000) } else { format!("{} MB", bytes / 1_000_000) }
}
