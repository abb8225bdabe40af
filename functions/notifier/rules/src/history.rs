//! What was built before: a bounded list for each thing that is built again and again.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use signalbox_events::{Arn, BuildId, BuildStatus, CommitId, ProjectName, RepositoryName};

use crate::order::{counts, in_order};

/// At most this many builds are remembered.
const REMEMBERED: usize = 50;

/// The finished builds of one trigger (or project) on one ref, in the order in which their commits came to the ref.
///
/// The order of arrival leaves no trace: the same builds in any order make the same history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Oldest first.
    pub builds: Vec<Finished>,
}

/// A build that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// The build.
    pub build: BuildId,
    /// The project's count: it orders builds that were started in the same second.
    pub number: Option<u64>,
    /// When it was started.
    pub started: Timestamp,
    /// When the ref came to its commit, to the second, or a moment at which it was there, where the trigger recorded one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<Timestamp>,
    /// Where the ref was before that, if it is known to have come straight from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<CommitId>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How it ended.
    pub status: BuildStatus,
    /// What was built.
    pub commit: Option<CommitId>,
    /// Who pushed it.
    pub pusher: Option<Arn>,
    /// Whether the buildspec was begun.
    #[serde(default)]
    pub began: Began,
    /// What it was started for.
    #[serde(default)]
    pub started_for: StartedFor,
}

/// Whether a build came to its buildspec.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Began {
    /// It did, as far as anybody knows.
    #[default]
    Yes,
    /// It ended in the queue, for want of a machine, or of the source.
    Never,
}

/// What a build was started for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartedFor {
    /// Where the ref pointed: the trigger recorded it.
    #[default]
    Ref,
    /// Somebody wanted it, perhaps again and for an older commit.
    Somebody,
    /// Somebody wanted it for a commit that is older than one that was built before it.
    Older,
}

impl Finished {
    /// Whether it says that the code is broken or green.
    ///
    /// A build that somebody stopped, that CodeBuild could not run, or that never came to its buildspec says neither.
    pub fn is_result(&self) -> bool {
        self.began == Began::Yes
            && matches!(self.status, BuildStatus::Succeeded | BuildStatus::Failed | BuildStatus::TimedOut)
    }
}

impl History {
    /// The history with this build in its place; a build that is there already is told anew.
    ///
    /// Those in `older` are known by now to be of an older commit, and stay so.
    #[must_use]
    pub fn with(&self, finished: &Finished, older: &BTreeSet<BuildId>) -> Self {
        let there = self.builds.iter().filter(|one| one.started_for == StartedFor::Older).map(|one| one.build.clone());
        let older = there.chain(older.iter().cloned()).collect();
        let mut builds = self.without(&finished.build).builds;
        builds.push(finished.clone());
        let mut builds = Self { builds }.with_older(&older).builds;
        // What is forgotten must not hang on what else is there, or the order of arrival would show.
        builds.sort_by(|one, other| one.moment().cmp(&other.moment()));
        let builds = builds.split_off(builds.len().saturating_sub(REMEMBERED));
        Self { builds: in_order(&builds).into_iter().cloned().collect() }
    }

    /// The history in which these are known to be of an older commit.
    pub(crate) fn with_older(mut self, older: &BTreeSet<BuildId>) -> Self {
        for one in self.builds.iter_mut().filter(|one| older.contains(&one.build)) {
            one.started_for = StartedFor::Older;
        }
        self
    }

    /// The history as it was before this build, and the newest result since.
    pub(crate) fn split_at(&self, finished: &Finished) -> (Self, Option<Finished>) {
        let mut builds = self.without(&finished.build).builds;
        builds.push(finished.clone());
        let order = in_order(&builds);
        let place = order.iter().position(|one| one.build == finished.build).unwrap_or_default();
        let (before, behind) = order.split_at(place);
        let since = behind.iter().rfind(|one| one.build != finished.build && counts(&builds, one));
        let before = Self { builds: before.iter().copied().cloned().collect() };
        (before, since.copied().cloned())
    }

    /// The history as if this build had never ended.
    #[must_use]
    pub fn without(&self, build: &BuildId) -> Self {
        Self { builds: self.builds.iter().filter(|one| one.build != *build).cloned().collect() }
    }

    /// Whether older builds may have been forgotten: then a count is only a lower bound.
    pub(crate) fn is_full(&self) -> bool {
        self.builds.len() >= REMEMBERED
    }

    /// Where a history lies in the stack's bucket.
    ///
    /// Each part is one segment of the key, so nothing that a ref may be called leads out of it.
    pub fn key(project: &ProjectName, repository: &RepositoryName, trigger: Option<&str>, place: &str) -> String {
        let parts = [project.as_str(), repository.as_str(), trigger.unwrap_or("-"), place].map(segment);
        format!("state/history/{}.json", parts.join("/"))
    }
}

/// One segment of a key: letters, digits, `.`, `_`, `-` and percent signs; not `.` or `..`; at most 200 characters.
fn segment(text: &str) -> String {
    let encoded = crate::links::encoded(text);
    if encoded.chars().all(|c| c == '.') {
        return encoded.replace('.', "%2E") + if encoded.is_empty() { "%" } else { "" };
    }
    if encoded.len() <= 200 {
        return encoded;
    }
    // S3 keys end at 1,024 bytes, and a ref of 256 signs may take 3,072: the digest keeps two long names apart.
    let digest = Sha256::digest(text.as_bytes());
    let digest: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{}~{digest}", encoded.chars().take(120).collect::<String>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn finished(n: i64) -> Finished {
        Finished {
            build: BuildId::parse(format!("demo-unit:{n}")).unwrap(),
            number: None,
            started: Timestamp::from_second(1_000 + n / 2).unwrap(),
            pushed: None,
            previous: None,
            ended: None,
            status: if n % 3 == 0 { BuildStatus::Succeeded } else { BuildStatus::Failed },
            commit: None,
            pusher: None,
            began: Began::Yes,
            started_for: StartedFor::Ref,
        }
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_leaves_no_trace(mut arrivals in proptest::collection::vec(0_i64..90, 0..120)) {
            let of = |arrivals: &[i64]| arrivals.iter().fold(History::default(), |all, n| all.with(&finished(*n), &BTreeSet::new()));
            let first = of(&arrivals);
            arrivals.reverse();
            prop_assert_eq!(&first, &of(&arrivals));
            arrivals.sort_unstable();
            arrivals.dedup();
            prop_assert_eq!(&first, &of(&arrivals));
            prop_assert!(first.builds.len() <= REMEMBERED);
        }

        #[test]
        fn a_key_has_six_segments_and_fits_whatever_the_ref_is_called(place in ".{0,300}") {
            let key = History::key(
                &ProjectName::parse("demo-unit").unwrap(), &RepositoryName::parse("demo").unwrap(), None, &place);
            prop_assert_eq!(key.split('/').count(), 6);
            prop_assert!(key.len() < 1_024 && key.is_ascii());
            prop_assert!(!key.split('/').any(|part| part.is_empty() || part == "." || part == ".."));
        }
    }

    #[test]
    fn two_refs_never_share_a_key() {
        let long = "\u{1f680}".repeat(200);
        let places = ["refs/heads/a/b", "refs/heads/a%2Fb", "..", ".", "", "%", &long, &format!("{long}x")];
        let project = ProjectName::parse("demo-unit").unwrap();
        let repository = RepositoryName::parse("demo").unwrap();
        let keys: std::collections::BTreeSet<_> =
            places.iter().map(|place| History::key(&project, &repository, Some("unit"), place)).collect();
        assert_eq!(keys.len(), places.len(), "{keys:#?}");
    }
}
