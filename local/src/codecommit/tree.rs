//! What a commit made through the API changes in a tree: pure, with the code that AWS answers for every way to go wrong.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::names::ObjectId;
use crate::error::{Answer, ServiceError};

/// The file that keeps an empty folder alive.
const KEEP: &str = ".gitkeep";

/// What a file is. The API takes and gives the words, git the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Mode {
    /// 100644
    Normal,
    /// 100755
    Executable,
    /// 120000
    Symlink,
    /// 160000; the API neither takes nor gives it as a file.
    Submodule,
}

impl Mode {
    /// From git's number; what git does not write any more (100664) is an ordinary file.
    pub(super) fn from_git(number: &str) -> Self {
        match number {
            "100755" => Self::Executable,
            "120000" => Self::Symlink,
            "160000" => Self::Submodule,
            _ => Self::Normal,
        }
    }

    /// git's number.
    pub(super) fn number(self) -> &'static str {
        match self {
            Self::Normal => "100644",
            Self::Executable => "100755",
            Self::Symlink => "120000",
            Self::Submodule => "160000",
        }
    }

    /// The word of an input.
    pub(super) fn check(word: &str) -> Answer<Self> {
        match word {
            "NORMAL" => Ok(Self::Normal),
            "EXECUTABLE" => Ok(Self::Executable),
            "SYMLINK" => Ok(Self::Symlink),
            _ => Err(ServiceError::bad("InvalidFileModeException", format!("{word:?} is no file mode"))),
        }
    }
}

/// A file in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) mode: Mode,
    pub(super) id: ObjectId,
}

/// All files of a commit by path.
pub(super) type Listing = BTreeMap<String, Entry>;

/// Where a file's content comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// A blob that was written for it.
    Blob(ObjectId),
    /// Another file of the parent commit.
    CopyOf(String),
    /// Another file of the parent commit, which goes away.
    MoveOf(String),
}

/// A file to add or change; without a mode it keeps the one it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Put {
    pub(super) path: String,
    pub(super) mode: Option<Mode>,
    pub(super) content: Content,
}

/// What becomes of a folder that loses its last file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(from = "bool")]
pub(super) enum EmptyFolders {
    /// It goes, as in git.
    Go,
    /// It gets a `.gitkeep`.
    Stay,
}

impl From<bool> for EmptyFolders {
    fn from(keep: bool) -> Self {
        if keep { Self::Stay } else { Self::Go }
    }
}

/// Everything that one commit is to change.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    pub(super) puts: Vec<Put>,
    pub(super) deletes: Vec<String>,
    pub(super) modes: Vec<(String, Mode)>,
}

/// What really changes: for each path the file before and after.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) steps: BTreeMap<String, (Option<Entry>, Option<Entry>)>,
}

impl Changes {
    /// Every path that is written or taken away; the same one twice is an error.
    fn check_paths(&self) -> Answer<BTreeSet<&str>> {
        let moved = self.puts.iter().filter_map(|put| match &put.content {
            Content::MoveOf(source) => Some(source),
            _ => None,
        });
        let all = self.puts.iter().map(|put| &put.path).chain(&self.deletes);
        let all = all.chain(self.modes.iter().map(|(path, _)| path)).chain(moved);
        let mut seen = BTreeSet::new();
        for path in all {
            if !seen.insert(path.as_str()) {
                return Err(ServiceError::bad("SamePathRequestException", format!("{path} is named more than once")));
            }
        }
        for (folder, file) in self.puts.iter().flat_map(|put| ancestors(&put.path).map(move |up| (up, &put.path))) {
            if self.puts.iter().any(|put| put.path == folder) {
                return Err(ServiceError::bad(
                    "PutFileEntryConflictException",
                    format!("{folder} cannot be a file and hold {file}"),
                ));
            }
        }
        Ok(seen)
    }

    /// Finds out what the changes do to the files of the parent commit.
    ///
    /// With the id of the empty blob a folder that loses its last file stays, and without it goes as in git.
    pub(super) fn plan(&self, before: &Listing, empty: Option<&ObjectId>) -> Answer<Plan> {
        self.check_paths()?;
        let mut after = before.clone();
        let source = |path: &str| file(before, path).cloned();
        let mut gone = Vec::new();
        for path in &self.deletes {
            source(path)?;
            gone.push(path);
        }
        for (path, mode) in &self.modes {
            after.insert(path.clone(), Entry { mode: *mode, ..source(path)? });
        }
        let mut written = Vec::new();
        for put in &self.puts {
            let old_mode = before.get(&put.path).map(|entry| entry.mode);
            let entry = match &put.content {
                Content::Blob(id) => Entry { mode: put.mode.or(old_mode).unwrap_or(Mode::Normal), id: id.clone() },
                Content::CopyOf(from) | Content::MoveOf(from) => {
                    if from.rsplit('/').next() == Some(KEEP) {
                        return Err(ServiceError::bad(
                            "RestrictedSourceFileException",
                            format!("{from} cannot be copied or moved"),
                        ));
                    }
                    let entry = source(from)?;
                    if matches!(put.content, Content::MoveOf(_)) {
                        gone.push(from);
                    }
                    Entry { mode: put.mode.unwrap_or(entry.mode), ..entry }
                }
            };
            written.push((put.path.clone(), entry));
        }
        for path in &gone {
            after.remove(*path);
        }
        for (path, entry) in written {
            check_room(&after, &path)?;
            after.insert(path, entry);
        }
        if let Some(empty) = empty {
            keep_folders(&mut after, gone.iter().map(|path| path.as_str()), empty);
        }
        Ok(Plan::between(before, &after))
    }
}

/// Keeps each folder alive that lost its last file with one of these paths.
pub(super) fn keep_folders<'a>(after: &mut Listing, gone: impl Iterator<Item = &'a str>, empty: &ObjectId) {
    for path in gone {
        let Some((folder, _)) = path.rsplit_once('/') else { continue };
        if !has_folder(after, folder) && !after.contains_key(folder) {
            after.insert(format!("{folder}/{KEEP}"), Entry { mode: Mode::Normal, id: empty.clone() });
        }
    }
}

impl Plan {
    /// What has to change for `before` to become `after`.
    pub(super) fn between(before: &Listing, after: &Listing) -> Self {
        let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let steps = paths
            .into_iter()
            .map(|path| (path, (before.get(path), after.get(path))))
            .filter(|(_, (old, new))| old != new)
            .map(|(path, (old, new))| (path.clone(), (old.cloned(), new.cloned())))
            .collect();
        Self { steps }
    }

    /// The input of `git update-index -z --index-info`: what goes first, so that a folder can take a file's place.
    pub(super) fn index_info(&self) -> String {
        let gone = self.steps.iter().filter(|(_, (_, new))| new.is_none());
        let gone = gone.map(|(path, _)| format!("0 {}\t{path}\0", ObjectId::NONE));
        let there = self.steps.iter().filter_map(|(path, (_, new))| {
            new.as_ref().map(|new| format!("{} {}\t{path}\0", new.mode.number(), new.id))
        });
        gone.chain(there).collect()
    }
}

/// The folders above a path, the nearest last.
pub(super) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').filter_map(|(end, _)| path.get(..end))
}

/// Whether there is anything below a folder.
pub(super) fn has_folder(listing: &Listing, folder: &str) -> bool {
    let inside = format!("{folder}/");
    listing.range(inside.clone()..).next().is_some_and(|(path, _)| path.starts_with(&inside))
}

fn file<'a>(listing: &'a Listing, path: &str) -> Answer<&'a Entry> {
    match listing.get(path) {
        Some(entry) if entry.mode == Mode::Submodule => Err(submodule(path)),
        Some(entry) => Ok(entry),
        None => Err(ServiceError::bad("FileDoesNotExistException", format!("there is no file {path}"))),
    }
}

fn check_room(listing: &Listing, path: &str) -> Answer<()> {
    if listing.get(path).is_some_and(|entry| entry.mode == Mode::Submodule) {
        return Err(submodule(path));
    }
    if has_folder(listing, path) {
        return Err(ServiceError::bad("FileNameConflictsWithDirectoryNameException", format!("{path} is a folder")));
    }
    for folder in ancestors(path) {
        match listing.get(folder) {
            Some(entry) if entry.mode == Mode::Submodule => return Err(submodule(folder)),
            Some(_) => {
                return Err(ServiceError::bad(
                    "DirectoryNameConflictsWithFileNameException",
                    format!("{folder} is a file, so there can be no {path}"),
                ));
            }
            None => {}
        }
    }
    Ok(())
}

fn submodule(path: &str) -> ServiceError {
    ServiceError::bad("FilePathConflictsWithSubmodulePathException", format!("{path} is a submodule"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: char) -> ObjectId {
        ObjectId::parse(&digit.to_string().repeat(40)).unwrap()
    }

    fn before() -> Listing {
        let entry = |mode, digit| Entry { mode, id: id(digit) };
        [
            ("README.md", entry(Mode::Normal, '1')),
            ("run.sh", entry(Mode::Executable, '2')),
            ("src/lib.rs", entry(Mode::Normal, '3')),
            ("empty/.gitkeep", entry(Mode::Normal, '0')),
            ("vendor", entry(Mode::Submodule, '4')),
        ]
        .into_iter()
        .map(|(path, entry)| (path.to_owned(), entry))
        .collect()
    }

    fn put(path: &str, content: Content) -> Put {
        Put { path: path.to_owned(), mode: None, content }
    }

    fn puts<const N: usize>(puts: [Put; N]) -> Changes {
        Changes { puts: Vec::from(puts), ..Changes::default() }
    }

    fn plan(changes: &Changes, folders: EmptyFolders) -> Answer<Vec<String>> {
        let empty = id('0');
        let plan = changes.plan(&before(), (folders == EmptyFolders::Stay).then_some(&empty))?;
        let show = |entry: &Option<Entry>| {
            entry.as_ref().map_or("-".to_owned(), |e| format!("{}{}", e.mode.number(), &e.id.as_str()[..1]))
        };
        Ok(plan.steps.into_iter().map(|(path, (old, new))| format!("{path} {} {}", show(&old), show(&new))).collect())
    }

    #[test]
    fn files_are_added_changed_moved_deleted_and_keep_their_mode() {
        let changes = Changes {
            puts: vec![
                put("docs/new.md", Content::Blob(id('7'))),
                put("run.sh", Content::Blob(id('8'))),
                put("src/main.rs", Content::MoveOf("src/lib.rs".to_owned())),
            ],
            deletes: vec!["README.md".to_owned()],
            modes: Vec::new(),
        };
        let expected = [
            "README.md 1006441 -",
            "docs/new.md - 1006447",
            "run.sh 1007552 1007558",
            "src/lib.rs 1006443 -",
            "src/main.rs - 1006443",
        ];
        assert_eq!(plan(&changes, EmptyFolders::Go).unwrap(), expected);
    }

    #[test]
    fn a_folder_that_loses_its_last_file_stays_when_asked() {
        let changes = Changes { deletes: vec!["src/lib.rs".to_owned()], ..Changes::default() };
        assert_eq!(plan(&changes, EmptyFolders::Go).unwrap(), ["src/lib.rs 1006443 -"]);
        let kept = plan(&changes, EmptyFolders::from(true)).unwrap();
        assert_eq!(kept, ["src/.gitkeep - 1006440", "src/lib.rs 1006443 -"]);
    }

    #[test]
    fn nothing_changes_when_the_content_is_what_it_was() {
        assert!(plan(&puts([put("README.md", Content::Blob(id('1')))]), EmptyFolders::Go).unwrap().is_empty());
    }

    #[test]
    fn a_file_takes_the_place_of_a_folder_only_when_the_folder_goes() {
        let mut changes = puts([put("src", Content::Blob(id('7')))]);
        let refused = plan(&changes, EmptyFolders::Go).unwrap_err();
        assert_eq!(refused.code, "FileNameConflictsWithDirectoryNameException");
        changes.deletes.push("src/lib.rs".to_owned());
        assert_eq!(plan(&changes, EmptyFolders::Go).unwrap(), ["src - 1006447", "src/lib.rs 1006443 -"]);
        let steps = changes.plan(&before(), None).unwrap().index_info();
        assert!(steps.starts_with("0 0000"), "what goes comes first: {steps}");
    }

    #[test]
    fn every_conflict_has_its_own_code() {
        let blob = || Content::Blob(id('7'));
        let delete = |path: &str| Changes { deletes: vec![path.to_owned()], ..Changes::default() };
        let cases = [
            (puts([put("README.md/x", blob())]), "DirectoryNameConflictsWithFileNameException"),
            (puts([put("vendor/x", blob())]), "FilePathConflictsWithSubmodulePathException"),
            (puts([put("vendor", blob())]), "FilePathConflictsWithSubmodulePathException"),
            (puts([put("a", blob()), put("a/b", blob())]), "PutFileEntryConflictException"),
            (puts([put("a", blob()), put("a", blob())]), "SamePathRequestException"),
            (puts([put("a", Content::CopyOf("none".to_owned()))]), "FileDoesNotExistException"),
            (puts([put("a", Content::CopyOf("empty/.gitkeep".to_owned()))]), "RestrictedSourceFileException"),
            (delete("none"), "FileDoesNotExistException"),
            (delete("src"), "FileDoesNotExistException"),
            (
                Changes { modes: vec![("none".to_owned(), Mode::Normal)], ..Changes::default() },
                "FileDoesNotExistException",
            ),
        ];
        for (changes, code) in cases {
            assert_eq!(plan(&changes, EmptyFolders::Go).unwrap_err().code, code, "{changes:?}");
        }
    }
}
