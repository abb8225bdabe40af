//! The commits and files that arrive, read from their pack.
//!
//! The pack lies in a file without a name while it is opened; memory grows with the number of its objects, not with their length.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::Write;

use jiff::{SignedDuration, Timestamp};
use signalbox_aws::{ChangedPaths, Failure};
use signalbox_events::CommitId;
use signalbox_gitwire::http::Source;
use signalbox_gitwire::object::{Commit, Mode, tree_entries};
use signalbox_gitwire::unpack::{Kind, Limits, OpenPack, Unopened};
use signalbox_gitwire::{Fetch, Oid, PackForm};
use signalbox_policy::{Pattern, QUARANTINE};
use signalbox_protector_rules::{
    Ancestry, CommitFacts, Content, FileFacts, FileKind, Form, Needs, Range, Subject, Want, find_secrets, folded,
};

use crate::Protector;
use crate::gather::plain_files;
use crate::git::sorted;

/// A pack of more bytes is not opened: a function has 512 MB of disk.
const MOST_BYTES: u64 = 400_000_000;
const LIMITS: Limits = Limits { objects: 1_000_000, object_bytes: 32 << 20, kept_bytes: 48 << 20 };
/// A message is kept up to here; no rule is about more of it.
const MOST_OF_A_MESSAGE: usize = 64 * 1024;
/// Kept back from the invocation's time for what follows.
const RESERVE: SignedDuration = SignedDuration::from_secs(45);

/// What is asked about a range.
pub(crate) struct Asked<'a> {
    pub(crate) old: Option<&'a CommitId>,
    pub(crate) new: &'a CommitId,
    pub(crate) changes: &'a ChangedPaths,
    pub(crate) needs: &'a Needs,
    pub(crate) deadline: Timestamp,
}

/// What is needed to read an open pack, without anything borrowed.
struct Walk {
    old: Option<Oid>,
    new: Oid,
    tip: CommitId,
    changes: ChangedPaths,
    looks_into: Depth,
    allowed: Vec<Pattern>,
    until: Timestamp,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Paths,
    Contents,
}

/// Reads the commits and files that arrive into `range`; says whether what was there is still in it, where the pack tells.
pub(crate) async fn read_range(
    function: &Protector,
    subject: &Subject,
    asked: &Asked<'_>,
    range: &mut Range,
) -> Result<Ancestry, Failure> {
    let unknown = |range: &mut Range, why: String| {
        range.files.extend(plain_files(asked.new, asked.changes));
        range.unread.push(why);
        Ok(Ancestry::NotRead)
    };
    let Ok(new) = Oid::parse(asked.new.as_str()) else {
        return unknown(range, format!("{} is no object's id", asked.new));
    };
    let old = asked.old.and_then(|old| Oid::parse(old.as_str()).ok());
    let prefixes: &[&str] = if old.is_some() { &[subject.reference.as_str()] } else { &["refs/heads/", "refs/tags/"] };
    let source = function.remote(&subject.repository).await?.source(prefixes).await;
    let source = source.map_err(|failure| sorted(&failure))?;
    let file = match fetched(&source, subject, old, new).await {
        Ok(Spooled::Whole(file)) => file,
        Ok(Spooled::TooLong) => {
            return unknown(range, format!("what arrived has over {} MB, and was not opened", MOST_BYTES / 1_000_000));
        }
        // A commit that no ref leads to any more is not given out by every server.
        Err(failure @ Failure::Refused(_)) => {
            return unknown(range, format!("what arrived could not be fetched: {}", failure.chain()));
        }
        Err(failure) => return Err(failure),
    };
    let walk = Walk {
        old,
        new,
        tip: asked.new.clone(),
        changes: asked.changes.clone(),
        looks_into: if asked.needs.wants.contains(&Want::Contents) { Depth::Contents } else { Depth::Paths },
        allowed: asked.needs.allowed_secrets.clone(),
        until: asked.deadline.checked_sub(RESERVE).unwrap_or(asked.deadline),
    };
    let read = tokio::task::spawn_blocking(move || walk.read(file)).await;
    match read.map_err(|error| Failure::retry("opening a pack", error.to_string()))? {
        Ok((found, ancestry)) => {
            range.commits.extend(found.commits);
            range.files.extend(found.files);
            range.unread.extend(found.unread);
            Ok(ancestry)
        }
        Err(unopened) => {
            let cause = std::error::Error::source(&unopened).map(|cause| format!(": {cause}")).unwrap_or_default();
            unknown(range, format!("{unopened}{cause}, and was not opened"))
        }
    }
}

enum Spooled {
    Whole(File),
    TooLong,
}

/// Fetches exactly what arrived into a file without a name.
async fn fetched(source: &Source, subject: &Subject, old: Option<Oid>, new: Oid) -> Result<Spooled, Failure> {
    let others = source.listing.refs.iter().filter(|found| {
        let name = found.name.as_str();
        name != subject.reference.as_str() && !name.starts_with(QUARANTINE)
    });
    let haves = match old {
        Some(old) => vec![old],
        None => others.map(|found| found.id).collect(),
    };
    // Nothing in it may build on what is not in it.
    let form = PackForm { thin: false, ofs_delta: true };
    let fetch = Fetch { wants: vec![new], haves, form, ..Fetch::default() };
    let mut pack = source.fetch(&fetch).await.map_err(|failure| sorted(&failure))?;
    let disk = |error: std::io::Error| Failure::retry("keeping a pack", error.to_string());
    let mut file = tempfile::tempfile().map_err(disk)?;
    let mut length = 0_u64;
    while let Some(piece) = pack.piece().await.map_err(|failure| sorted(&failure))? {
        length += piece.len() as u64;
        if length > MOST_BYTES {
            return Ok(Spooled::TooLong);
        }
        file.write_all(&piece).map_err(disk)?;
    }
    Ok(Spooled::Whole(file))
}

impl Walk {
    fn read(&self, file: File) -> Result<(Range, Ancestry), Unopened> {
        let mut pack = OpenPack::open(file, LIMITS)?;
        let mut range = Range::default();
        if pack.unread() > 0 {
            range.unread.push(format!("{} objects are too long to be looked at", pack.unread()));
        }
        let mut is_forward = self.old == Some(self.new);
        let mut roots = Vec::new();
        let mut seen = HashSet::from([self.new]);
        let mut next = vec![self.new];
        while let Some(id) = next.pop() {
            let Some((Kind::Commit, _)) = pack.info(&id) else { continue };
            let Some(bytes) = pack.read(&id)? else { continue };
            let commit = Commit::parse(&bytes);
            is_forward |= self.old.is_some_and(|old| commit.parents.contains(&old));
            next.extend(commit.parents.iter().copied().filter(|parent| seen.insert(*parent)));
            let Ok(name) = CommitId::parse(id.to_string()) else { continue };
            roots.extend(commit.tree.map(|tree| (name.clone(), tree)));
            range.commits.push(facts_of(name, commit));
        }
        let ancestry = match (self.old, is_forward) {
            (_, true) => Ancestry::Forward,
            (Some(_), false) if pack.unread() == 0 => Ancestry::Rewritten,
            _ => Ancestry::NotRead,
        };
        let mut files = Files::default();
        // The oldest first: a file is told with the commit that brought it.
        for (commit, tree) in roots.iter().rev() {
            files.walk(self, &mut pack, commit, *tree, &mut range)?;
        }
        let tip_tree = roots.iter().find(|(name, _)| *name == self.tip).map(|(_, tree)| *tree);
        let new_paths: HashSet<&str> = self
            .changes
            .paths
            .iter()
            .filter(|changed| !changed.was_there)
            .map(|changed| changed.path.as_str())
            .collect();
        for mut file in plain_files(&self.tip, &self.changes) {
            let collides = match (new_paths.contains(file.path.as_str()), tip_tree) {
                (true, Some(tree)) if self.looks_into == Depth::Contents => collision(&mut pack, tree, &file.path)?,
                _ => None,
            };
            match files.last.get(&file.path).and_then(|at| range.files.get_mut(*at)) {
                Some(found) => found.collides_with = collides,
                None => {
                    file.collides_with = collides;
                    range.files.push(file);
                }
            }
        }
        if files.left > 0 {
            range.unread.push(format!("the time was over: {} files were not looked into", files.left));
        }
        Ok((range, ancestry))
    }
}

fn facts_of(id: CommitId, commit: Commit) -> CommitFacts {
    let parents = commit.parents.iter().filter_map(|parent| CommitId::parse(parent.to_string()).ok()).collect();
    let mut message = commit.message;
    let mut end = message.len().min(MOST_OF_A_MESSAGE);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.truncate(end);
    CommitFacts { id, parents, message, author: commit.author, committer: commit.committer }
}

#[derive(Default)]
struct Files {
    /// Folders that were walked: where, and which.
    walked: HashSet<(String, Oid)>,
    /// Files that were met: where, and which.
    met: HashSet<(String, Oid)>,
    /// Under each path the last of its files in the range.
    last: HashMap<String, usize>,
    /// How many there was no time for.
    left: usize,
}

impl Files {
    /// Takes in every file below a commit's tree whose content arrives with the range.
    fn walk(
        &mut self,
        walk: &Walk,
        pack: &mut OpenPack<File>,
        commit: &CommitId,
        tree: Oid,
        range: &mut Range,
    ) -> Result<(), Unopened> {
        let mut folders = vec![(String::new(), tree)];
        while let Some((prefix, tree)) = folders.pop() {
            // What is not in the pack was there before.
            if !matches!(pack.info(&tree), Some((Kind::Tree, _))) || !self.walked.insert((prefix.clone(), tree)) {
                continue;
            }
            let Some(bytes) = pack.read(&tree)? else { continue };
            for entry in tree_entries(&bytes) {
                let path = format!("{prefix}{}", String::from_utf8_lossy(entry.name));
                let kind = match entry.mode {
                    Mode::Tree => {
                        folders.push((format!("{path}/"), entry.id));
                        continue;
                    }
                    // They are told by the changed paths.
                    Mode::Submodule => continue,
                    Mode::File => FileKind::File,
                    Mode::Symlink => FileKind::Symlink { target: None },
                };
                let Some((Kind::Blob, size)) = pack.info(&entry.id) else { continue };
                if !self.met.insert((path.clone(), entry.id)) {
                    continue;
                }
                let file = FileFacts {
                    commit: commit.clone(),
                    path: path.clone(),
                    kind,
                    size: Some(size),
                    content: None,
                    collides_with: None,
                };
                let file = if walk.looks_into == Depth::Contents {
                    self.look_into(walk, pack, entry.id, file, range)?
                } else {
                    file
                };
                self.last.insert(path, range.files.len());
                range.files.push(file);
            }
        }
        Ok(())
    }

    fn look_into(
        &mut self,
        walk: &Walk,
        pack: &mut OpenPack<File>,
        id: Oid,
        mut file: FileFacts,
        range: &mut Range,
    ) -> Result<FileFacts, Unopened> {
        if Timestamp::now() > walk.until {
            self.left += 1;
            return Ok(file);
        }
        let Some(bytes) = pack.read(&id)? else {
            range.unread.push(format!(
                "{} has {} bytes, and was not looked into",
                file.path,
                file.size.unwrap_or_default()
            ));
            return Ok(file);
        };
        if let FileKind::Symlink { target } = &mut file.kind {
            *target = Some(String::from_utf8_lossy(&bytes).into_owned());
        }
        let form = Form::of(&bytes);
        let secrets = find_secrets(&bytes, &walk.allowed);
        file.content = Some(Content { form, secrets });
        Ok(file)
    }
}

/// Another path that only case tells from this one, at any level of it.
fn collision(pack: &mut OpenPack<File>, root: Oid, path: &str) -> Result<Option<String>, Unopened> {
    let mut tree = root;
    let mut prefix = String::new();
    for part in path.split('/') {
        // A folder that is not in the pack was there before as it is.
        let Some(bytes) = pack.read(&tree)? else { return Ok(None) };
        let entries = tree_entries(&bytes);
        let wanted = folded(part);
        let other = entries.iter().find(|entry| {
            entry.name != part.as_bytes() && std::str::from_utf8(entry.name).is_ok_and(|name| folded(name) == wanted)
        });
        if let Some(other) = other {
            return Ok(Some(format!("{prefix}{}", String::from_utf8_lossy(other.name))));
        }
        let Some(next) = entries.iter().find(|entry| entry.name == part.as_bytes()) else { return Ok(None) };
        tree = next.id;
        prefix.push_str(part);
        prefix.push('/');
    }
    Ok(None)
}

/// The addresses of submodules by their paths, from the text of `.gitmodules`.
pub(crate) fn submodules(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let (mut path, mut url) = (None, None);
    for line in text.lines().map(str::trim).chain(["["]) {
        if line.starts_with('[') {
            if let (Some(path), Some(url)) = (path.take(), url.take()) {
                found.insert(path, url);
            }
            (path, url) = (None, None);
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        let value = value.trim().trim_matches('"').to_owned();
        match key.trim().to_ascii_lowercase().as_str() {
            "path" => path = Some(value),
            "url" => url = Some(value),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_by_path_whatever_the_order() {
        let text = "[submodule \"a\"]\n\tpath = lib/a\n\turl = https://git.example.com/a\n[submodule \"b\"]\n  url=\"../b\"\n  path = b\n[submodule \"c\"]\n path = c\n";
        let found = submodules(text);
        assert_eq!(found.get("lib/a").map(String::as_str), Some("https://git.example.com/a"));
        assert_eq!(found.get("b").map(String::as_str), Some("../b"));
        assert_eq!(found.len(), 2);
    }
}
