//! An open pack, walked: the commits from the oldest on, and the files that each of them brings.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;

use jiff::Timestamp;
use signalbox_aws::ChangedPaths;
use signalbox_events::CommitId;
use signalbox_gitwire::Oid;
use signalbox_gitwire::object::{Commit, Mode, Signed, TreeEntry, tree_entries};
use signalbox_gitwire::unpack::{Kind, OpenPack, Unopened};
use signalbox_policy::Pattern;
use signalbox_protector_rules::{
    Ancestry, CommitFacts, Content, FileFacts, FileKind, Form, Keyring, Range, Signature, Within, find_secrets, folded,
};

use crate::bounds::Bounds;
use crate::range::plain_files;

/// A message is kept up to here; no rule is about more of it.
const MOST_OF_A_MESSAGE: usize = 64 * 1024;

/// What is needed to read an open pack, without anything borrowed.
pub(crate) struct Walk {
    /// Where the ref was, where this look is to say whether that is still in it.
    pub(crate) old: Option<Oid>,
    /// The last commit of the pack.
    pub(crate) goal: Oid,
    /// The last commit of the push.
    pub(crate) tip: CommitId,
    pub(crate) collisions: Collisions,
    pub(crate) depth: Depth,
    /// What signatures are checked with, where that is wanted.
    pub(crate) keys: Option<Keyring>,
    pub(crate) allowed: Vec<Pattern>,
    /// What earlier looks were done with.
    pub(crate) done: Vec<CommitId>,
    pub(crate) within: Option<Within>,
    pub(crate) bounds: Bounds,
    pub(crate) until: Timestamp,
}

/// How far files are looked into.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Nobody asks for files.
    Commits,
    Paths,
    Contents,
}

/// Which names that only case tells apart are told.
pub(crate) enum Collisions {
    /// Those of the paths that are new here.
    Of(ChangedPaths),
    /// Those of what arrives, as far as the pack tells it.
    Any,
    /// They were told.
    Known,
}

/// What one look took in.
pub(crate) struct Part {
    pub(crate) range: Range,
    pub(crate) ancestry: Ancestry,
    /// Everything up to these commits was taken in, by this look and those before.
    pub(crate) done: Vec<CommitId>,
    /// And of the next commit the files up to this one.
    pub(crate) within: Option<Within>,
    /// Whether something is left of the pack.
    pub(crate) is_stopped: bool,
    pub(crate) has_collisions: bool,
}

/// A commit of the pack. Its message is read when it is its turn: there may be many.
struct Met {
    id: Oid,
    parents: Vec<Oid>,
}

impl Walk {
    pub(crate) fn read(&self, file: File) -> Result<Part, Unopened> {
        let mut pack = OpenPack::open_while(file, self.bounds.limits(), || Timestamp::now() <= self.until)?;
        let mut range = Range::default();
        if pack.unread() > 0 {
            range.unread.push(format!("{} objects are too long to be looked at", pack.unread()));
        }
        let order = order(&mut pack, self.goal, &mut range.unread)?;
        let is_forward = self.old == Some(self.goal)
            || order.iter().any(|met| self.old.is_some_and(|old| met.parents.contains(&old)));
        let ancestry = match (self.old, is_forward) {
            (Some(_), true) => Ancestry::Forward,
            (Some(_), false) if pack.unread() == 0 => Ancestry::Rewritten,
            _ => Ancestry::NotRead,
        };
        let tip = order.last().map(|met| met.id).filter(|id| id.to_string() == self.tip.as_str());
        let tip = tip.map(|id| pack.read(&id)).transpose()?.flatten();
        let tip_tree = tip.and_then(|bytes| Commit::parse(&bytes).tree);
        let mut part = Part {
            range,
            ancestry,
            done: Vec::new(),
            within: None,
            is_stopped: false,
            has_collisions: tip_tree.is_some(),
        };
        let mut heads: Vec<Oid> = self.done.iter().filter_map(|id| Oid::parse(id.as_str()).ok()).collect();
        let mut files = Files::default();
        let mut trees: HashMap<Oid, Oid> = HashMap::new();
        let mut message_bytes = 0;
        for (at, met) in order.into_iter().enumerate() {
            let Met { id, parents } = met;
            let is_full = part.range.commits.len() >= self.bounds.commits
                || message_bytes > self.bounds.message_bytes
                || self.is_full(&part.range);
            // Whatever the time is, each look gets on by something.
            if at > 0 && is_full {
                part.is_stopped = true;
                break;
            }
            let (Ok(name), Some(bytes)) = (CommitId::parse(id.to_string()), pack.read(&id)?) else { continue };
            let commit = Commit::parse(&bytes);
            let tree = commit.tree;
            let within = self.within.as_ref().filter(|within| at == 0 && within.commit == name);
            if within.is_none() {
                let signature = match &self.keys {
                    Some(keys) => {
                        let signed = Signed::parse(&bytes);
                        keys.check(&signed.signatures, &signed.content)
                    }
                    None => Signature::NotRead,
                };
                let facts = facts_of(name.clone(), commit, signature);
                message_bytes += facts.message.len();
                part.range.commits.push(facts);
            }
            let before = parents.first().and_then(|parent| trees.get(parent)).copied();
            trees.extend(tree.map(|tree| (id, tree)));
            if let Some(tree) = tree.filter(|_| self.depth != Depth::Commits)
                && let Some(last) = files.walk(self, &mut pack, (&name, tree, before), within, &mut part.range)?
            {
                part.is_stopped = true;
                part.within = Some(Within { commit: name, path: last });
                break;
            }
            heads.retain(|head| !parents.contains(head));
            heads.push(id);
        }
        part.done = heads.iter().filter_map(|id| CommitId::parse(id.to_string()).ok()).collect();
        self.add_paths(&mut pack, tip_tree, &files, &mut part.range)?;
        Ok(part)
    }

    /// Whether this look has no room or no time for more files.
    fn is_full(&self, range: &Range) -> bool {
        range.files.len() >= self.bounds.files || Timestamp::now() > self.until
    }

    /// Adds what only the list of changed paths tells, and names that only case tells apart.
    fn add_paths(
        &self,
        pack: &mut OpenPack<File>,
        tip_tree: Option<Oid>,
        files: &Files,
        range: &mut Range,
    ) -> Result<(), Unopened> {
        let alike = match tip_tree {
            Some(tree) if self.depth == Depth::Contents && !matches!(self.collisions, Collisions::Known) => {
                alike(pack, tree)?
            }
            _ => BTreeMap::new(),
        };
        match &self.collisions {
            Collisions::Of(changes) => {
                let is_new = changes.paths.iter().filter(|changed| !changed.was_there);
                let is_new: HashSet<&str> = is_new.map(|changed| changed.path.as_str()).collect();
                for mut file in plain_files(&self.tip, changes) {
                    let collides = if is_new.contains(file.path.as_str()) { beside(&alike, &file.path) } else { None };
                    match files.last.get(&file.path).and_then(|at| range.files.get_mut(*at)) {
                        Some(found) => found.collides_with = collides,
                        None => {
                            file.collides_with = collides;
                            range.files.push(file);
                        }
                    }
                }
            }
            Collisions::Any => {
                for (path, Alike { other, arrives }) in alike {
                    if !arrives {
                        range.unread.push(format!(
                            "{path} and {other}, which only case tells apart, are there: whether one of them is new could not be told"
                        ));
                        continue;
                    }
                    range.files.push(FileFacts {
                        commit: self.tip.clone(),
                        path,
                        kind: FileKind::File,
                        size: None,
                        content: None,
                        collides_with: Some(other),
                    });
                }
            }
            Collisions::Known => {}
        }
        Ok(())
    }
}

/// The commits of the pack that lead to the goal, each behind its parents. The same pack gives the same order, and so does one that lacks the first of
/// them.
fn order(pack: &mut OpenPack<File>, goal: Oid, unread: &mut Vec<String>) -> Result<Vec<Met>, Unopened> {
    let mut order = Vec::new();
    let mut seen = HashSet::from([goal]);
    // Each with the parents that are still to be gone into.
    let mut open: Vec<(Met, Vec<Oid>)> = Vec::new();
    let mut next = Some(goal);
    loop {
        if let Some(id) = next.take()
            && let Some((Kind::Commit, length)) = pack.info(&id)
        {
            match pack.read(&id)? {
                Some(bytes) => {
                    let parents = Commit::parse(&bytes).parents;
                    let next = parents.iter().rev().copied().collect();
                    open.push((Met { id, parents }, next));
                }
                None => unread.push(format!(
                    "commit {id} has {length} bytes, and neither it nor what is before it was looked at"
                )),
            }
        }
        let Some((_, parents)) = open.last_mut() else { return Ok(order) };
        match parents.pop() {
            Some(parent) if seen.insert(parent) => next = Some(parent),
            Some(_) => {}
            None => order.extend(open.pop().map(|(met, _)| met)),
        }
    }
}

fn facts_of(id: CommitId, commit: Commit, signature: Signature) -> CommitFacts {
    let parents = commit.parents.iter().filter_map(|parent| CommitId::parse(parent.to_string()).ok()).collect();
    let mut message = commit.message;
    let mut end = message.len().min(MOST_OF_A_MESSAGE);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.truncate(end);
    CommitFacts { id, parents, message, author: commit.author, committer: commit.committer, signature }
}

#[derive(Default)]
struct Files {
    /// Folders that were walked: where, and which.
    walked: HashSet<(String, Oid)>,
    /// Files that were met: where, and which.
    met: HashSet<(String, Oid)>,
    /// Under each path the last of its files in the range.
    last: HashMap<String, usize>,
}

impl Files {
    /// Takes in every file below a commit's tree whose content arrives with the range, behind `within` where an earlier look went so far; gives the last
    /// one where there was no room or time for all. What is as in the tree before it was met with that.
    fn walk(
        &mut self,
        walk: &Walk,
        pack: &mut OpenPack<File>,
        (commit, tree, before): (&CommitId, Oid, Option<Oid>),
        within: Option<&Within>,
        range: &mut Range,
    ) -> Result<Option<String>, Unopened> {
        let mut folders = vec![(String::new(), tree, before)];
        let mut behind = within.map(|within| within.path.clone());
        let mut last = behind.clone();
        let mut count = 0;
        while let Some((prefix, tree, before)) = folders.pop() {
            // What is not in the pack was there before.
            if !matches!(pack.info(&tree), Some((Kind::Tree, _))) || !self.walked.insert((prefix.clone(), tree)) {
                continue;
            }
            let Some(bytes) = pack.read(&tree)? else {
                range.unread.push(format!("the folder {prefix:?} is too long to be looked at"));
                continue;
            };
            let before = match before {
                Some(before) => pack.read(&before)?,
                None => None,
            };
            let before = before.as_deref().map(tree_entries).unwrap_or_default();
            let mut before = before.iter().peekable();
            for entry in tree_entries(&bytes) {
                while before.next_if(|other| in_order(other, &entry) == Ordering::Less).is_some() {}
                let there = before.next_if(|other| in_order(other, &entry) == Ordering::Equal);
                if there.is_some_and(|there| there.id == entry.id) {
                    continue;
                }
                let path = format!("{prefix}{}", String::from_utf8_lossy(entry.name));
                let kind = match entry.mode {
                    Mode::Tree => {
                        let before = there.filter(|there| there.mode == Mode::Tree).map(|there| there.id);
                        folders.push((format!("{path}/"), entry.id, before));
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
                if let Some(end) = &behind {
                    if *end == path {
                        behind = None;
                    }
                    continue;
                }
                if count > 0 && walk.is_full(range) {
                    return Ok(last);
                }
                count += 1;
                let file = FileFacts {
                    commit: commit.clone(),
                    path: path.clone(),
                    kind,
                    size: Some(size),
                    content: None,
                    collides_with: None,
                };
                let file =
                    if walk.depth == Depth::Contents { look_into(walk, pack, entry.id, file, range)? } else { file };
                last = Some(path.clone());
                self.last.insert(path, range.files.len());
                range.files.push(file);
            }
        }
        if behind.is_some() {
            // The pack is another one than the last time: better to look twice.
            *self = Self::default();
            return self.walk(walk, pack, (commit, tree, before), None, range);
        }
        Ok(None)
    }
}

/// git's order of the entries of a tree: by name, that of a folder with a slash behind it.
fn in_order(one: &TreeEntry<'_>, other: &TreeEntry<'_>) -> Ordering {
    let end = |entry: &TreeEntry<'_>| if entry.mode == Mode::Tree { b"/".as_slice() } else { b"" };
    one.name.iter().chain(end(one)).cmp(other.name.iter().chain(end(other)))
}

fn look_into(
    walk: &Walk,
    pack: &mut OpenPack<File>,
    id: Oid,
    mut file: FileFacts,
    range: &mut Range,
) -> Result<FileFacts, Unopened> {
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

/// Another name beside a path that only case tells from it.
struct Alike {
    other: String,
    /// Whether what has the name is in the pack.
    arrives: bool,
}

/// Every path in the folders of the pack below this tree beside which there is another that only case tells from it.
fn alike(pack: &mut OpenPack<File>, root: Oid) -> Result<BTreeMap<String, Alike>, Unopened> {
    let mut found = BTreeMap::new();
    let mut folders = vec![(String::new(), root)];
    while let Some((prefix, tree)) = folders.pop() {
        // A folder that is not in the pack was there before as it is.
        if pack.info(&tree).is_none() {
            continue;
        }
        let Some(bytes) = pack.read(&tree)? else { continue };
        let entries = tree_entries(&bytes);
        let mut names: HashMap<String, Vec<(&str, Oid)>> = HashMap::new();
        for entry in &entries {
            let Ok(name) = std::str::from_utf8(entry.name) else { continue };
            names.entry(folded(name)).or_default().push((name, entry.id));
            if entry.mode == Mode::Tree {
                folders.push((format!("{prefix}{name}/"), entry.id));
            }
        }
        for group in names.values().filter(|group| group.len() > 1) {
            for (name, id) in group {
                let Some((other, _)) = group.iter().find(|(other, _)| other != name) else { continue };
                let alike = Alike { other: format!("{prefix}{other}"), arrives: pack.info(id).is_some() };
                found.insert(format!("{prefix}{name}"), alike);
            }
        }
    }
    Ok(found)
}

/// What only case tells from this path, at the first level of it where there is something.
fn beside(alike: &BTreeMap<String, Alike>, path: &str) -> Option<String> {
    if alike.is_empty() {
        return None;
    }
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    ends.filter_map(|end| alike.get(path.get(..end)?)).map(|alike| alike.other.clone()).next()
}
