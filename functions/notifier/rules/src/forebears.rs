//! Which of two commits is part of the other's history: asked of git in as few reads as it takes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use signalbox_events::CommitId;

/// Two commits, of which one is part of the other's history, or may be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Forebear {
    /// The older one.
    pub older: CommitId,
    /// The newer one, which has it in its history.
    pub newer: CommitId,
}

/// Reads commits until it is clear of each pair whether it is what it may be.
///
/// Both histories are read in turn, as what is built is mostly the newer one: then its first parents tell, and all is said.
#[derive(Debug, Clone)]
pub struct Search {
    pairs: Vec<Forebear>,
    most: usize,
    parents: BTreeMap<CommitId, Vec<CommitId>>,
}

/// What is known of one commit's history.
struct Walk {
    seen: BTreeSet<CommitId>,
    read: usize,
    unread: Option<CommitId>,
}

impl Search {
    /// A search for these pairs that reads at most so many commits.
    pub fn new(pairs: Vec<Forebear>, most: usize) -> Self {
        Self { pairs, most, parents: BTreeMap::new() }
    }

    /// The commit to read next; `None` where nothing is open any more, or enough was read.
    pub fn wanted(&self) -> Option<CommitId> {
        if self.parents.len() >= self.most {
            return None;
        }
        self.pairs.iter().find_map(|pair| {
            let (newer, older) = (self.walk(&pair.newer), self.walk(&pair.older));
            if newer.seen.contains(&pair.older) || older.seen.contains(&pair.newer) {
                return None;
            }
            if older.read <= newer.read { older.unread.or(newer.unread) } else { newer.unread.or(older.unread) }
        })
    }

    /// Learns the parents of a commit; one that is gone has none.
    pub fn learn(&mut self, commit: CommitId, parents: Vec<CommitId>) {
        self.parents.insert(commit, parents);
    }

    /// The pairs that are what they may be, as far as was read.
    pub fn found(self) -> Vec<Forebear> {
        let is_found = |pair: &&Forebear| self.walk(&pair.newer).seen.contains(&pair.older);
        self.pairs.iter().filter(is_found).cloned().collect()
    }

    fn walk(&self, from: &CommitId) -> Walk {
        let mut walk = Walk { seen: BTreeSet::from([from.clone()]), read: 0, unread: None };
        let mut next = VecDeque::from([from.clone()]);
        while let Some(commit) = next.pop_front() {
            if let Some(parents) = self.parents.get(&commit) {
                walk.read += 1;
                next.extend(parents.iter().filter(|parent| walk.seen.insert((*parent).clone())).cloned());
            } else if walk.unread.is_none() {
                walk.unread = Some(commit);
            }
        }
        walk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(n: u32) -> CommitId {
        CommitId::parse(format!("{n:040x}")).unwrap()
    }

    /// What is found, and how many commits are read for it, where each commit's parent is the one before.
    fn searched(pairs: &[(u32, u32)]) -> (Vec<(u32, u32)>, usize) {
        let forebear = |(older, newer): &(u32, u32)| Forebear { older: commit(*older), newer: commit(*newer) };
        let number = |id: &CommitId| u32::from_str_radix(id.as_str(), 16).unwrap();
        let mut search = Search::new(pairs.iter().map(forebear).collect(), 20);
        while let Some(id) = search.wanted() {
            let parent = number(&id).checked_sub(1).filter(|n| n % 100 != 99);
            search.learn(id, parent.map(commit).into_iter().collect());
        }
        let read = search.parents.len();
        (search.found().iter().map(|pair| (number(&pair.older), number(&pair.newer))).collect(), read)
    }

    #[test]
    fn what_is_built_in_its_turn_takes_one_read_a_commit() {
        assert_eq!(searched(&[(51, 50)]), (vec![], 1));
        assert_eq!(searched(&[(53, 50)]), (vec![], 5));
    }

    #[test]
    fn an_older_commit_is_found_among_those_before_the_newer_one() {
        assert_eq!(searched(&[(47, 50)]), (vec![(47, 50)], 6));
        // What was read for one serves the other.
        assert_eq!(searched(&[(47, 50), (48, 50)]), (vec![(47, 50), (48, 50)], 6));
    }

    #[test]
    fn a_search_ends_where_histories_end_or_enough_was_read() {
        assert_eq!(searched(&[(2, 101)]), (vec![], 5), "two histories of three and two commits");
        assert_eq!(searched(&[(10, 90), (11, 91), (12, 92)]), (vec![], 20));
    }
}
