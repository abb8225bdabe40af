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
    /// Whether CodeCommit made the commit.
    #[serde(default)]
    is_made: bool,
}

fn key(repository: &RepositoryName) -> String {
    format!("state/protected/{repository}.merges.json")
}

impl Merges {
    fn find(&self, subject: &Subject, commit: &CommitId) -> Option<(PullRequestId, bool)> {
        let is_it = |merge: &Merge| merge.into == subject.reference.as_str() && merge.commit == *commit;
        let mut merges = self.closed.iter().filter_map(|(id, merge)| Some((id, merge.as_ref()?)));
        merges.find(|(_, merge)| is_it(merge)).map(|(id, merge)| (id.clone(), merge.is_made))
    }
}

impl Protector {
    /// The pull request whose merge made this commit the tip of the branch.
    ///
    /// That an event has the fields of a merge proves nothing: merging two branches without any pull request has them, too.
    pub(crate) async fn merged(&self, subject: &Subject, commit: &CommitId) -> Result<Merged, Failure> {
        Ok(self.merge_of(subject, commit).await?.map_or(Merged::No, |(id, _)| Merged::By(id)))
    }

    /// The pull request for whose merge CodeCommit made this commit.
    pub(crate) async fn made_for(
        &self,
        subject: &Subject,
        commit: &CommitId,
    ) -> Result<Option<PullRequestId>, Failure> {
        Ok(self.merge_of(subject, commit).await?.filter(|(_, is_made)| *is_made).map(|(id, _)| id))
    }

    async fn merge_of(&self, subject: &Subject, commit: &CommitId) -> Result<Option<(PullRequestId, bool)>, Failure> {
        let key = key(&subject.repository);
        let known = self.state.read::<Merges>(&key).await?.map(|kept| kept.value).unwrap_or_default();
        if let Some(found) = known.find(subject, commit) {
            return Ok(Some(found));
        }
        let closed = self.codecommit.closed_pull_requests(&subject.repository).await?;
        let mut learned = Merges::default();
        for id in closed.into_iter().filter(|id| !known.closed.contains_key(id)).take(MOST_ASKED) {
            let merged = self.codecommit.merged_pull_request(&subject.repository, &id).await?;
            let merge =
                merged.map(|merged| Merge { into: merged.into, commit: merged.commit, is_made: merged.is_made });
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
        Ok(learned.find(subject, commit))
    }
}
