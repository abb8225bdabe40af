//! What two sides changed, put together path by path. Pure.

use std::collections::BTreeSet;

use super::super::tree::{Entry, Listing, ancestors, has_folder};

/// All files of the merge base, of what is merged, and of what it is merged into.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sides<'a> {
    pub(super) base: &'a Listing,
    pub(super) source: &'a Listing,
    pub(super) destination: &'a Listing,
}

/// The files after the merge, with the destination's version where both sides changed one.
#[derive(Debug)]
pub(super) struct Combined {
    pub(super) files: Listing,
    /// The paths that both sides changed, each in its own way, or made a file here and a folder there.
    pub(super) clashes: BTreeSet<String>,
}

/// Puts together what does not clash.
pub(super) fn combine(sides: Sides<'_>) -> Combined {
    let Sides { base, source, destination } = sides;
    let paths: BTreeSet<&String> = base.keys().chain(source.keys()).chain(destination.keys()).collect();
    let (mut files, mut clashes) = (Listing::new(), BTreeSet::new());
    for path in paths {
        let (before, theirs, ours) = (base.get(path), source.get(path), destination.get(path));
        let merged = if theirs == ours || theirs == before {
            ours
        } else if ours == before {
            theirs
        } else {
            clashes.insert(path.clone());
            ours
        };
        if let Some(entry) = merged {
            files.insert(path.clone(), entry.clone());
        }
    }
    // A path that is a file on one side and a folder on the other is told once, as the file.
    let doubled: BTreeSet<String> = files
        .keys()
        .flat_map(|path| ancestors(path))
        .filter(|folder| files.contains_key(*folder))
        .map(str::to_owned)
        .collect();
    for path in doubled {
        let inside = format!("{path}/");
        clashes.retain(|clash| !clash.starts_with(&inside));
        take_side(&mut files, &path, destination);
        clashes.insert(path);
    }
    Combined { files, clashes }
}

/// Lets a path, and what is below it, be what it is in `side`.
pub(super) fn take_side(files: &mut Listing, path: &str, side: &Listing) {
    let inside = format!("{path}/");
    files.retain(|name, _| name != path && !name.starts_with(&inside));
    let taken = side.range(path.to_owned()..).take_while(|(name, _)| name.starts_with(path));
    let taken = taken.filter(|(name, _)| *name == path || name.starts_with(&inside));
    files.extend(taken.map(|(name, entry)| (name.clone(), entry.clone())));
}

/// What a path is on one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found<'a> {
    Nothing,
    Entry(&'a Entry),
    Folder,
}

/// What a path is in a listing.
pub(super) fn find<'a>(listing: &'a Listing, path: &str) -> Found<'a> {
    match listing.get(path) {
        Some(entry) => Found::Entry(entry),
        None if has_folder(listing, path) => Found::Folder,
        None => Found::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::names::ObjectId;
    use super::super::super::tree::Mode;
    use super::*;

    /// `a1 b2` are the files a and b with these contents.
    fn files(text: &str) -> Listing {
        let entry = |word: &str| {
            let (path, digit) = word.split_at(word.len() - 1);
            (path.to_owned(), Entry { mode: Mode::Normal, id: ObjectId::parse(&digit.repeat(40)).unwrap() })
        };
        text.split_whitespace().map(entry).collect()
    }

    fn show(files: &Listing) -> String {
        let shown: Vec<_> = files.iter().map(|(path, entry)| format!("{path}{}", &entry.id.as_str()[..1])).collect();
        shown.join(" ")
    }

    fn combined(base: &str, source: &str, destination: &str) -> (String, Vec<String>) {
        let (base, source, destination) = (files(base), files(source), files(destination));
        let combined = combine(Sides { base: &base, source: &source, destination: &destination });
        (show(&combined.files), combined.clashes.into_iter().collect())
    }

    #[test]
    fn what_one_side_changed_is_taken_and_what_both_did_alike_too() {
        let (merged, clashes) = combined("a1 b1 c1 d1", "a2 b1 c1 e5", "a1 b3 c1 d1 e5");
        assert_eq!((merged.as_str(), clashes.len()), ("a2 b3 c1 e5", 0));
    }

    #[test]
    fn what_both_changed_clashes_and_stays_as_the_destination_has_it() {
        let (merged, clashes) = combined("a1 b1 c1", "a2 c2 d2", "a3 b3 d3");
        assert_eq!(merged, "a3 b3 d3");
        assert_eq!(clashes, ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_file_where_the_other_side_has_a_folder_clashes_once() {
        let (merged, clashes) = combined("z1", "z1 a/b2 a/c2", "z1 a3");
        assert_eq!((merged.as_str(), clashes), ("a3 z1", vec!["a".to_owned()]));
        let (merged, clashes) = combined("a/b1 a/c1", "a2", "a/b3 a/c1");
        assert_eq!((merged.as_str(), clashes), ("a/b3 a/c1", vec!["a".to_owned()]));
        // A folder that became a file on one side only is no conflict.
        let (merged, clashes) = combined("a/b1", "a2", "a/b1");
        assert_eq!((merged.as_str(), clashes.len()), ("a2", 0));
    }

    #[test]
    fn a_side_is_taken_with_all_that_is_below_the_path() {
        let mut merged = files("a3 ab3 z3");
        take_side(&mut merged, "a", &files("a/b2 a/c2 a.x2 z2"));
        assert_eq!(show(&merged), "a/b2 a/c2 ab3 z3");
        take_side(&mut merged, "a", &files("z2"));
        assert_eq!(show(&merged), "ab3 z3");
        assert_eq!(find(&files("a/b2"), "a"), Found::Folder);
        assert_eq!(find(&files("a/b2"), "b"), Found::Nothing);
    }
}
