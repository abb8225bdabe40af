//! One compiled set over the globs of many triggers.
//!
//! Asking 1,000 lists about 10,000 files one by one costs ten million questions. Here every file passes one set once.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::glob::{Compiled, Globs};
use crate::glob_syntax::split_exclusion;

/// Many lists of globs, compiled into one set; the lists keep the positions in which they were given.
#[derive(Debug)]
pub struct GlobIndex {
    set: Compiled,
    /// For every distinct pattern of the set: the groups that it lets in. Those that it shuts out are not looked up: most
    /// often they are all of them.
    lets_in: Vec<Vec<usize>>,
    /// Lists with the same patterns are asked once.
    groups: Vec<Group>,
    /// The group of each list.
    lists: Vec<usize>,
}

#[derive(Debug)]
struct Group {
    /// Its patterns by their number in the set, the deciding one first: the last that was written.
    patterns: Vec<(usize, Side)>,
    by_default: Side,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    In,
    Out,
}

impl Group {
    /// What holds for a path of which it is known which patterns match it.
    fn verdict(&self, is_hit: impl Fn(usize) -> bool) -> Side {
        self.patterns.iter().find(|(pattern, _)| is_hit(*pattern)).map_or(self.by_default, |(_, side)| *side)
    }
}

impl GlobIndex {
    /// Compiles the lists.
    pub fn new<'a>(lists: impl IntoIterator<Item = &'a Globs>) -> Self {
        let mut group_of: HashMap<&[String], usize> = HashMap::new();
        let mut pattern_of: HashMap<&str, usize> = HashMap::new();
        let mut globs: Vec<&str> = Vec::new();
        let mut lets_in: Vec<Vec<usize>> = Vec::new();
        let mut groups: Vec<Group> = Vec::new();
        let mut found = Vec::new();
        for list in lists {
            let group = *group_of.entry(list.patterns()).or_insert_with(|| {
                let by_default = if list.matches_by_default() { Side::In } else { Side::Out };
                let mut patterns = Vec::with_capacity(list.patterns().len());
                for pattern in list.patterns().iter().rev() {
                    let (excludes, glob) = split_exclusion(pattern);
                    let at = *pattern_of.entry(glob).or_insert_with(|| {
                        globs.push(glob);
                        lets_in.push(Vec::new());
                        globs.len() - 1
                    });
                    if !excludes && let Some(groups_let_in) = lets_in.get_mut(at) {
                        groups_let_in.push(groups.len());
                    }
                    patterns.push((at, if excludes { Side::Out } else { Side::In }));
                }
                groups.push(Group { patterns, by_default });
                groups.len() - 1
            });
            found.push(group);
        }
        Self { set: Compiled::new(globs.into_iter()), lets_in, groups, lists: found }
    }

    /// How many lists there are.
    pub fn len(&self) -> usize {
        self.lists.len()
    }

    /// Whether there is no list at all.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
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
        let all: Vec<usize> = (0..self.lists.len()).collect();
        self.first_matches_of(&all, paths)
    }

    /// The same for some of the lists only, in the order in which they are named.
    pub fn first_matches_of<'a>(
        &self,
        lists: &[usize],
        paths: impl IntoIterator<Item = &'a str>,
    ) -> Vec<Option<usize>> {
        let mut is_open = vec![false; self.groups.len()];
        for &list in lists {
            if let Some(is_open) = self.lists.get(list).and_then(|&group| is_open.get_mut(group)) {
                *is_open = true;
            }
        }
        let mut open = is_open.iter().filter(|is_open| **is_open).count();
        let mut found: Vec<Option<usize>> = vec![None; self.groups.len()];
        // Lists that match what no pattern mentions; each path is asked against those that are still open.
        let mut by_default: Vec<usize> = (self.groups.iter().zip(&is_open).enumerate())
            .filter_map(|(at, (group, is_open))| (*is_open && group.by_default == Side::In).then_some(at))
            .collect();
        // For every pattern the last path that it matched, counted from one.
        let mut hit_by: Vec<usize> = vec![0; self.lets_in.len()];
        let mut scratch = Vec::new();
        let mut hits = Vec::new();
        for (number, path) in paths.into_iter().enumerate() {
            if open == 0 {
                break;
            }
            self.set.matches_into(path, &mut scratch, &mut hits);
            for &hit in &hits {
                if let Some(by) = hit_by.get_mut(hit) {
                    *by = number + 1;
                }
            }
            let is_in = |group: usize| {
                let is_hit = |pattern: usize| hit_by.get(pattern) == Some(&(number + 1));
                self.groups.get(group).is_some_and(|group| group.verdict(is_hit) == Side::In)
            };
            let let_in = hits.iter().filter_map(|&hit| self.lets_in.get(hit)).flatten();
            for &group in let_in.chain(&by_default) {
                if let (Some(is_open @ true), Some(slot)) = (is_open.get_mut(group), found.get_mut(group))
                    && is_in(group)
                {
                    *slot = Some(number);
                    *is_open = false;
                    open -= 1;
                }
            }
            by_default.retain(|&group| is_open.get(group) == Some(&true));
        }
        lists.iter().map(|&list| self.lists.get(list).and_then(|&group| found.get(group).copied().flatten())).collect()
    }
}

/// An index that is made when it is first asked for, and kept by all copies of what it stands in.
///
/// It follows from what stands beside it, so it makes no difference between two values.
#[derive(Clone, Default)]
pub(crate) struct KeptIndex(Arc<OnceLock<GlobIndex>>);

impl KeptIndex {
    pub(crate) fn get<'a>(&self, lists: impl FnOnce() -> Vec<&'a Globs>) -> &GlobIndex {
        self.0.get_or_init(|| GlobIndex::new(lists()))
    }
}

impl PartialEq for KeptIndex {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for KeptIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeptIndex")
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
