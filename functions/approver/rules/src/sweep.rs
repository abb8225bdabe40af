//! Where a sweep over the open pull requests goes on.

use serde::{Deserialize, Serialize};
use signalbox_events::{PullRequestId, RepositoryName};

/// Where the next sweep begins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The repository; `None` begins with the first.
    pub repository: Option<RepositoryName>,
    /// The pull request behind which it goes on there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<PullRequestId>,
}

impl Cursor {
    /// Where it lies in the bucket.
    pub const KEY: &str = "state/approver/sweep.json";

    /// The pull requests of a repository that are left, of all that are open, the oldest first.
    pub fn left(&self, repository: &RepositoryName, open: Vec<PullRequestId>) -> Vec<PullRequestId> {
        let number = |id: &PullRequestId| id.as_str().parse::<u64>().unwrap_or(u64::MAX);
        let behind = self.behind.as_ref().filter(|_| self.repository.as_ref() == Some(repository)).map(number);
        let mut left: Vec<PullRequestId> =
            open.into_iter().filter(|id| behind.is_none_or(|behind| number(id) > behind)).collect();
        // CodeCommit promises no order.
        left.sort_by_key(number);
        left
    }
}
