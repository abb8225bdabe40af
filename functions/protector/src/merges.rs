//! Which pull request brought a commit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use signalbox_aws::Failure;
use signalbox_events::{CommitId, PullRequestId, RepositoryName};
use signalbox_protector_rules::{Merged, Subject};

use crate::Protector;

/// So many closed pull requests of a repository are remembered.
const REMEMBERED: usize = 500;
/// So many are asked about for one commit: a merge is among the newest.
const MOST_ASKED: usize = 30;

/// What is known of closed pull requests. A merge never changes any more.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Merges {
    closed: BTreeMap<PullRequestId, Option<Merge>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Merge {
    into: String,
    commit: CommitId,
}

fn key(repository: &RepositoryName) -> String {
    format!("state/protected/{repository}.merges.json")
}

impl Merges {
    fn find(&self, subject: &Subject, commit: &CommitId) -> Option<PullRequestId> {
        let is_it = |merge: &Merge| merge.into == subject.reference.as_str() && merge.commit == *commit;
        self.closed.iter().find(|(_, merge)| merge.as_ref().is_some_and(is_it)).map(|(id, _)| id.clone())
    }
}

impl Protector {
    /// The pull request whose merge made this commit the tip of the branch.
    ///
    /// That an event has the fields of a merge proves nothing: merging two branches without any pull request has them, too.
    pub(crate) async fn merged(&self, subject: &Subject, commit: &CommitId) -> Result<Merged, Failure> {
        let key = key(&subject.repository);
        let known = self.state.read::<Merges>(&key).await?.map(|kept| kept.value).unwrap_or_default();
        if let Some(id) = known.find(subject, commit) {
            return Ok(Merged::By(id));
        }
        let closed = self.codecommit.closed_pull_requests(&subject.repository).await?;
        let mut learned = Merges::default();
        for id in closed.into_iter().filter(|id| !known.closed.contains_key(id)).take(MOST_ASKED) {
            let merged = self.codecommit.merged_pull_request(&subject.repository, &id).await?;
            let merge = merged.map(|merged| Merge { into: merged.into, commit: merged.commit });
            learned.closed.insert(id, merge);
            if learned.find(subject, commit).is_some() {
                break;
            }
        }
        if !learned.closed.is_empty() {
            let change = |there: Option<&Merges>| {
                let mut next = there.cloned().unwrap_or_default();
                next.closed.extend(learned.closed.clone());
                let mut numbers: Vec<PullRequestId> = next.closed.keys().cloned().collect();
                numbers.sort_by_key(|id| id.as_str().parse::<u64>().unwrap_or_default());
                for old in numbers.iter().take(numbers.len().saturating_sub(REMEMBERED)) {
                    next.closed.remove(old);
                }
                next
            };
            self.state.change(&key, change).await?;
        }
        Ok(learned.find(subject, commit).map_or(Merged::No, Merged::By))
    }
}
