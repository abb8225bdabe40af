//! What both sides changed, judged: merged after all, resolved as the caller wants it, or a conflict.

use std::collections::HashMap;

use signalbox_events::{ConflictDetailLevel, ConflictResolution};

use super::super::names::ObjectId;
use super::super::repositories::{Repositories, Repository};
use super::super::tree::{Entry, Listing, Mode};
use super::combine::{Found, Sides, combine, find, take_side};
use super::lines::{Favour, Hunk, Lines, Versions};
use super::resolution::{Resolution, Version, Way};
use super::{How, NO_FILES, Tips};
use crate::error::{Answer, ServiceError};

/// Most files whose lines are looked at; AWS has a limit and does not say which.
const MOST_FILES: usize = 1000;
/// The largest file whose lines are merged; the API gives none that is larger.
const LARGEST: usize = 6 * 1024 * 1024;

/// A merge that was looked at.
#[derive(Debug)]
pub(super) struct Judged {
    /// The files of the merge base.
    pub(super) base: Listing,
    /// The files of what is merged.
    pub(super) source: Listing,
    /// The files of what it is merged into.
    pub(super) before: Listing,
    /// The files after the merge; where a conflict is open, as they were.
    pub(super) files: Listing,
    conflicts: Vec<Conflict>,
}

/// A path that both sides changed.
#[derive(Debug, Clone)]
pub(super) struct Conflict {
    pub(super) path: String,
    pub(super) content: bool,
    pub(super) mode: bool,
    pub(super) kind: bool,
    /// The lines that conflict, where lines were merged.
    pub(super) hunks: Vec<Hunk>,
    is_open: bool,
}

/// What becomes of a path.
#[derive(Debug)]
enum Outcome {
    /// As it is on one side, with another mode if there is one.
    Take(Version, Option<Mode>),
    Entry(Entry),
    Gone,
}

/// What merging the content of a file came to.
#[derive(Debug)]
enum Content {
    Merged(ObjectId),
    Lines(Vec<Hunk>),
    Whole,
}

impl Judged {
    /// The conflicts that nothing resolved, by path.
    pub(super) fn open(&self) -> impl Iterator<Item = &Conflict> {
        self.conflicts.iter().filter(|conflict| conflict.is_open)
    }

    pub(super) fn sides(&self) -> Sides<'_> {
        Sides { base: &self.base, source: &self.source, destination: &self.before }
    }
}

impl Conflict {
    /// Nothing is wrong with this path.
    pub(super) fn none(path: &str) -> Self {
        Self { path: path.to_owned(), content: false, mode: false, kind: false, hunks: Vec::new(), is_open: false }
    }

    /// How many conflicts the path has: each hunk, its mode, its kind.
    pub(super) fn count(&self) -> usize {
        let contents = if self.content { self.hunks.len().max(1) } else { 0 };
        contents + usize::from(self.mode) + usize::from(self.kind)
    }
}

impl Repositories {
    pub(super) async fn judge(
        &self,
        repository: &Repository,
        tips: &Tips,
        how: How,
        resolution: &Resolution,
    ) -> Answer<Judged> {
        let base = self.all_files(repository, tips.common()?).await?;
        let source = self.all_files(repository, &tips.source).await?;
        let before = self.all_files(repository, &tips.destination).await?;
        let sides = Sides { base: &base, source: &source, destination: &before };
        let combined = combine(sides);
        if let Some(stray) = resolution.0.keys().find(|path| !combined.clashes.contains(*path)) {
            return Err(ServiceError::bad(
                "InvalidConflictResolutionException",
                format!("{stray} has no conflict to be resolved"),
            ));
        }
        if how.merges_lines() && combined.clashes.len() > MOST_FILES {
            return Err(too_much(&format!("{} files changed on both sides", combined.clashes.len())));
        }
        let (mut files, mut conflicts) = (combined.files, Vec::new());
        for path in combined.clashes {
            let (conflict, outcome) = self.judge_path(repository, sides, &path, how, resolution.0.get(&path)).await?;
            if let Some(outcome) = outcome {
                apply(&mut files, sides, &path, outcome);
            }
            conflicts.push(conflict);
        }
        Ok(Judged { base, source, before, files, conflicts })
    }

    async fn judge_path(
        &self,
        repository: &Repository,
        sides: Sides<'_>,
        path: &str,
        how: How,
        way: Option<&Way>,
    ) -> Answer<(Conflict, Option<Outcome>)> {
        let (base, source, destination) =
            (find(sides.base, path), find(sides.source, path), find(sides.destination, path));
        let mut conflict = Conflict::none(path);
        let mut merged = None;
        let mut lines = None;
        match (&source, &destination) {
            (Found::Entry(theirs), Found::Entry(ours)) if kind(theirs.mode) == kind(ours.mode) => {
                let before = match &base {
                    Found::Entry(entry) if kind(entry.mode) == kind(ours.mode) => Some(*entry),
                    _ => None,
                };
                let mode = three_way(before.map(|entry| entry.mode), theirs.mode, ours.mode);
                conflict.mode = mode.is_none();
                let content = self.merge_content(repository, before, theirs, ours, how).await?;
                match content {
                    Content::Merged(id) => merged = Some(Entry { mode: mode.unwrap_or(ours.mode), id }),
                    Content::Lines(hunks) => {
                        conflict.content = true;
                        conflict.hunks = hunks;
                        lines = Some((before, *theirs, *ours));
                    }
                    Content::Whole => conflict.content = true,
                }
            }
            (Found::Nothing, _) | (_, Found::Nothing) => conflict.content = true,
            _ => conflict.kind = true,
        }
        if conflict.count() == 0 {
            return Ok((conflict, merged.map(Outcome::Entry)));
        }
        let outcome = match (how.strategy, way) {
            (ConflictResolution::AcceptSource, _) => match lines {
                Some(three) => Some(self.favoured(repository, three, Version::Source).await?),
                None => Some(accept(merged, Version::Source, &source)),
            },
            (ConflictResolution::AcceptDestination, _) => match lines {
                Some(three) => Some(self.favoured(repository, three, Version::Destination).await?),
                None => Some(accept(merged, Version::Destination, &destination)),
            },
            (ConflictResolution::Automerge, Some(way)) => {
                self.resolve(repository, way, merged, [&destination, &source, &base]).await?
            }
            (ConflictResolution::Automerge, None) | (ConflictResolution::None, _) => None,
        };
        conflict.is_open = outcome.is_none();
        Ok((conflict, outcome))
    }

    async fn merge_content(
        &self,
        repository: &Repository,
        before: Option<&Entry>,
        theirs: &Entry,
        ours: &Entry,
        how: How,
    ) -> Answer<Content> {
        let old = before.map(|entry| &entry.id);
        if theirs.id == ours.id {
            return Ok(Content::Merged(ours.id.clone()));
        }
        if !how.merges_lines() {
            return Ok(Content::Whole);
        }
        if old == Some(&theirs.id) || old == Some(&ours.id) {
            let changed = if old == Some(&theirs.id) { &ours.id } else { &theirs.id };
            return Ok(Content::Merged(changed.clone()));
        }
        if !matches!(ours.mode, Mode::Normal | Mode::Executable) {
            return Ok(Content::Whole);
        }
        let versions = self.versions(repository, before, Some(theirs), Some(ours)).await?;
        if versions.is_binary() {
            return Ok(Content::Whole);
        }
        Ok(match self.merge_lines(repository, &versions, Favour::Nobody).await? {
            Lines::Merged(text) => Content::Merged(self.write_blob(repository, text).await?),
            Lines::Conflict(hunks) => Content::Lines(hunks),
        })
    }

    /// The lines of both sides, and those of the favoured one where they conflict.
    async fn favoured(
        &self,
        repository: &Repository,
        (before, theirs, ours): (Option<&Entry>, &Entry, &Entry),
        favoured: Version,
    ) -> Answer<Outcome> {
        let versions = self.versions(repository, before, Some(theirs), Some(ours)).await?;
        let (favour, side) = match favoured {
            Version::Source => (Favour::Source, theirs),
            Version::Base | Version::Destination => (Favour::Destination, ours),
        };
        let mode = three_way(before.map(|entry| entry.mode), theirs.mode, ours.mode).unwrap_or(side.mode);
        match self.merge_lines(repository, &versions, favour).await? {
            Lines::Merged(text) => Ok(Outcome::Entry(Entry { mode, id: self.write_blob(repository, text).await? })),
            Lines::Conflict(_) => Ok(Outcome::Take(favoured, None)),
        }
    }

    /// What an entry of the caller makes of a path; nothing where it does not settle everything.
    async fn resolve(
        &self,
        repository: &Repository,
        way: &Way,
        merged: Option<Entry>,
        sides: [&Found<'_>; 3],
    ) -> Answer<Option<Outcome>> {
        Ok(match way {
            Way::Keep(version, mode) => Some(Outcome::Take(*version, *mode)),
            Way::Delete => Some(Outcome::Gone),
            Way::Write(content, mode) => {
                let there = sides.into_iter().find_map(|side| match side {
                    Found::Entry(entry) if entry.mode != Mode::Submodule => Some(entry.mode),
                    _ => None,
                });
                let mode = mode.or(there).unwrap_or(Mode::Normal);
                Some(Outcome::Entry(Entry { mode, id: self.write_blob(repository, content.clone()).await? }))
            }
            // A mode alone settles no content.
            Way::SetMode(mode) => merged.map(|entry| Outcome::Entry(Entry { mode: *mode, ..entry })),
        })
    }

    /// The contents of a file's three versions.
    pub(super) async fn versions(
        &self,
        repository: &Repository,
        base: Option<&Entry>,
        source: Option<&Entry>,
        destination: Option<&Entry>,
    ) -> Answer<Versions> {
        let entries = [base, source, destination];
        let mut ids: Vec<ObjectId> = entries.into_iter().flatten().map(|entry| entry.id.clone()).collect();
        ids.sort();
        ids.dedup();
        let contents: HashMap<ObjectId, Vec<u8>> =
            ids.iter().cloned().zip(self.read_blobs(repository, &ids).await?).collect();
        let of = |entry: Option<&Entry>| entry.and_then(|entry| contents.get(&entry.id)).cloned().unwrap_or_default();
        let versions = Versions { base: of(base), source: of(source), destination: of(destination) };
        let largest = [&versions.base, &versions.source, &versions.destination].into_iter().map(Vec::len).max();
        if largest.is_some_and(|largest| largest > LARGEST) {
            return Err(too_much(&format!("a file has more than {LARGEST} bytes")));
        }
        Ok(versions)
    }

    async fn write_blob(&self, repository: &Repository, content: Vec<u8>) -> Answer<ObjectId> {
        let written = self.write_blobs(repository, &[content]).await?.into_iter().next();
        written.ok_or_else(|| ServiceError::internal("a blob is missing"))
    }
}

impl How {
    fn merges_lines(self) -> bool {
        self.level == ConflictDetailLevel::Line || self.strategy == ConflictResolution::Automerge
    }
}

/// Takes a side as a whole; where only modes conflict the merged content stays and the side's mode wins.
fn accept(merged: Option<Entry>, version: Version, side: &Found<'_>) -> Outcome {
    match (merged, side) {
        (Some(entry), Found::Entry(of_side)) => Outcome::Entry(Entry { mode: of_side.mode, ..entry }),
        _ => Outcome::Take(version, None),
    }
}

fn apply(files: &mut Listing, sides: Sides<'_>, path: &str, outcome: Outcome) {
    let entry = match outcome {
        Outcome::Take(version, mode) => {
            let side = match version {
                Version::Base => sides.base,
                Version::Source => sides.source,
                Version::Destination => sides.destination,
            };
            take_side(files, path, side);
            files.get(path).cloned().map(|entry| Entry { mode: mode.unwrap_or(entry.mode), ..entry })
        }
        Outcome::Gone => {
            take_side(files, path, &NO_FILES);
            None
        }
        Outcome::Entry(entry) => {
            take_side(files, path, &NO_FILES);
            Some(entry)
        }
    };
    if let Some(entry) = entry {
        files.insert(path.to_owned(), entry);
    }
}

/// What a file is, apart from whether it can be run.
fn kind(mode: Mode) -> Mode {
    if mode == Mode::Executable { Mode::Normal } else { mode }
}

/// The mode that a merge gives; none where both sides changed it to something else.
fn three_way(before: Option<Mode>, theirs: Mode, ours: Mode) -> Option<Mode> {
    if theirs == ours || before == Some(theirs) {
        Some(ours)
    } else if before == Some(ours) {
        Some(theirs)
    } else {
        None
    }
}

fn too_much(what: &str) -> ServiceError {
    ServiceError::bad("MaximumFileContentToLoadExceededException", format!("too much to merge: {what}"))
}
