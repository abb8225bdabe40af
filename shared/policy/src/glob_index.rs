//! One compiled set over the globs of many triggers.
//!
//! Asking 1,000 lists about 10,000 files one by one costs ten million questions. Here every file passes one set once.

use std::collections::HashMap;

use crate::glob::{Compiled, Globs};
use crate::glob_syntax::split_exclusion;

/// Many lists of globs, compiled into one set; the lists keep the positions in which they were given.
#[derive(Debug)]
pub struct GlobIndex {
    set: Compiled,
    /// For every distinct pattern of the set: the lists that hold it, and where.
    uses: Vec<Vec<Use>>,
    /// Lists with the same patterns are asked once.
    groups: Vec<Group>,
    lists: usize,
}

#[derive(Debug)]
struct Group {
    lists: Vec<usize>,
    by_default: Side,
}

#[derive(Debug, Clone, Copy)]
struct Use {
    group: usize,
    position: usize,
    side: Side,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    In,
    Out,
}

impl GlobIndex {
    /// Compiles the lists.
    pub fn new<'a>(lists: impl IntoIterator<Item = &'a Globs>) -> Self {
        let mut group_of: HashMap<&[String], usize> = HashMap::new();
        let mut pattern_of: HashMap<&str, usize> = HashMap::new();
        let mut globs: Vec<&str> = Vec::new();
        let mut uses: Vec<Vec<Use>> = Vec::new();
        let mut groups: Vec<Group> = Vec::new();
        let mut count = 0;
        for (id, list) in lists.into_iter().enumerate() {
            count = id + 1;
            if let Some(group) = group_of.get(list.patterns()).and_then(|&at| groups.get_mut(at)) {
                group.lists.push(id);
                continue;
            }
            let group = groups.len();
            group_of.insert(list.patterns(), group);
            let by_default = if list.matches_by_default() { Side::In } else { Side::Out };
            groups.push(Group { lists: vec![id], by_default });
            for (position, pattern) in list.patterns().iter().enumerate() {
                let (excludes, glob) = split_exclusion(pattern);
                let side = if excludes { Side::Out } else { Side::In };
                let at = *pattern_of.entry(glob).or_insert_with(|| {
                    globs.push(glob);
                    uses.push(Vec::new());
                    globs.len() - 1
                });
                if let Some(uses) = uses.get_mut(at) {
                    uses.push(Use { group, position, side });
                }
            }
        }
        Self { set: Compiled::new(globs.into_iter()), uses, groups, lists: count }
    }

    /// How many lists there are.
    pub fn len(&self) -> usize {
        self.lists
    }

    /// Whether there is no list at all.
    pub fn is_empty(&self) -> bool {
        self.lists == 0
    }

    /// The positions of the lists that match this path, ascending.
    pub fn matching(&self, path: &str) -> Vec<usize> {
        let found = self.first_matches(std::iter::once(path));
        found.into_iter().enumerate().filter_map(|(list, first)| first.map(|_| list)).collect()
    }

    /// For every list the position of the first path that it matches.
    ///
    /// That is the question of a push: which triggers does it concern, and by which file. A list that was answered
    /// costs nothing more, and the walk ends when all were.
    pub fn first_matches<'a>(&self, paths: impl IntoIterator<Item = &'a str>) -> Vec<Option<usize>> {
        let mut found: Vec<Option<usize>> = vec![None; self.groups.len()];
        let mut open = self.groups.len();
        // Lists that match what no pattern mentions; each path is asked against those that are still open.
        let mut by_default: Vec<usize> = self
            .groups
            .iter()
            .enumerate()
            .filter_map(|(at, group)| (group.by_default == Side::In).then_some(at))
            .collect();
        let mut decided: Vec<Option<(usize, Side)>> = vec![None; self.groups.len()];
        let mut touched: Vec<usize> = Vec::new();
        let mut scratch = Vec::new();
        let mut hits = Vec::new();
        for (number, path) in paths.into_iter().enumerate() {
            if open == 0 {
                break;
            }
            self.set.matches_into(path, &mut scratch, &mut hits);
            for each in hits.iter().filter_map(|&hit| self.uses.get(hit)).flatten() {
                if found.get(each.group).is_some_and(Option::is_some) {
                    continue;
                }
                let Some(slot) = decided.get_mut(each.group) else { continue };
                match slot {
                    None => {
                        *slot = Some((each.position, each.side));
                        touched.push(each.group);
                    }
                    Some((position, _)) if *position < each.position => *slot = Some((each.position, each.side)),
                    Some(_) => {}
                }
            }
            by_default.retain(|&group| {
                let untouched = decided.get(group).is_some_and(Option::is_none);
                if untouched
                    && let Some(slot) = found.get_mut(group)
                    && slot.is_none()
                {
                    *slot = Some(number);
                    open -= 1;
                }
                found.get(group).is_some_and(Option::is_none)
            });
            for group in touched.drain(..) {
                let verdict = decided.get_mut(group).and_then(Option::take);
                if let (Some((_, Side::In)), Some(slot)) = (verdict, found.get_mut(group)) {
                    *slot = Some(number);
                    open -= 1;
                }
            }
        }
        let mut answers = vec![None; self.lists];
        for (group, first) in self.groups.iter().zip(found) {
            for &list in &group.lists {
                if let Some(answer) = answers.get_mut(list) {
                    *answer = first;
                }
            }
        }
        answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn a_pattern() -> impl Strategy<Value = String> {
        prop::sample::select(vec![
            "**",
            "*",
            "src/**",
            "!src/**",
            "**/*.md",
            "!**/*.md",
            "src/a.rs",
            "!src/a.rs",
            "docs/*",
            "!docs/*",
            "a?.rs",
            "{src,docs}/**",
            "!lib/**",
            "lib/*.rs",
        ])
        .prop_map(str::to_owned)
    }

    fn a_path() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "README.md",
            "src/a.rs",
            "src/a.md",
            "src/x/y.rs",
            "docs/a.md",
            "docs/x/a.md",
            "lib/a.rs",
            "ab.rs",
            "Cargo.toml",
        ])
    }

    proptest! {
        #[test]
        fn the_index_agrees_with_every_list_asked_alone(
            lists in prop::collection::vec(prop::collection::vec(a_pattern(), 0..5), 0..12),
            paths in prop::collection::vec(a_path(), 0..8),
        ) {
            let lists: Vec<Globs> = lists.into_iter().map(|patterns| Globs::parse(patterns).unwrap()).collect();
            let index = GlobIndex::new(&lists);
            let expected: Vec<Option<usize>> =
                lists.iter().map(|list| paths.iter().position(|path| list.matches(path))).collect();
            prop_assert_eq!(index.first_matches(paths.iter().copied()), expected);
            for path in &paths {
                let alone: Vec<usize> =
                    lists.iter().enumerate().filter_map(|(at, list)| list.matches(path).then_some(at)).collect();
                prop_assert_eq!(index.matching(path), alone);
            }
        }
    }

    #[test]
    fn no_lists_and_no_paths_are_no_trouble() {
        assert!(GlobIndex::new([]).is_empty());
        assert_eq!(GlobIndex::new([]).first_matches(["a"]), Vec::<Option<usize>>::new());
        assert_eq!(GlobIndex::new([&Globs::everything()]).first_matches([]), vec![None]);
        assert_eq!(GlobIndex::new([&Globs::nothing(), &Globs::everything()]).matching("a/b"), vec![1]);
    }
}
