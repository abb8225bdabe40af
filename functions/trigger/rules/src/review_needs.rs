//! Which facts the decision on a pull request will want, once it was looked at.

use serde::{Deserialize, Serialize};
use signalbox_events::{ProjectName, PullRequestId, RefName, RepositoryName};
use signalbox_policy::{BuildspecFrom, PathFilter, Policy, PullRequestCommit, Start, Trigger};

use crate::needs::{WhichFiles, not_yet};
use crate::review::{Review, Subject, What};
use crate::wishes::{startable, taking, wishes};

/// What shall be gathered for one trigger of a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewTriggerNeeds {
    /// Its name.
    pub name: String,
    /// The key of its [`crate::RefState`] in the bucket.
    pub state_key: String,
    /// Whether its changed files are wanted.
    pub files: WhichFiles,
    /// What it builds.
    pub commit: PullRequestCommit,
    /// Where to look for the buildspec of the target branch; `None` where it runs the source's.
    pub buildspec: Option<BuildspecNeeds>,
}

/// Which buildspec of the target branch is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildspecNeeds {
    /// The project that names it, where the policy does not.
    pub project: ProjectName,
    /// The path that the policy names.
    pub path: Option<String>,
}

/// What shall be gathered for the triggers that a pull request may start: all that take it, or those that a comment names.
///
/// Nothing where the pull request is not open, or was not looked at.
pub fn review_needs(review: &Review, policy: &Policy) -> Vec<ReviewTriggerNeeds> {
    let Some(open) = review.open() else { return Vec::new() };
    let subject = &review.subject;
    let (triggers, filtered) = match (&subject.what, &review.commands) {
        (What::Revised { .. }, _) => (taking(&subject.repository, &open.into, policy), true),
        (What::Stale, _) => (of_merge_results(subject, &open.into, policy), false),
        (What::Commented { .. }, None) => (Vec::new(), false),
        (What::Commented { .. }, Some(commands)) => {
            let wishes = wishes(commands, &subject.repository, &open.into, policy);
            let named = match wishes.retest {
                Some(_) => startable(&subject.repository, &open.into, policy),
                None => wishes.starts.into_iter().map(|(trigger, _)| trigger).collect(),
            };
            // Whoever asks for a build by name wants it, whichever files changed.
            (named, false)
        }
    };
    let needs = triggers.into_iter().filter(|trigger| not_yet(trigger).is_none()).map(|trigger| ReviewTriggerNeeds {
        name: trigger.name.to_string(),
        state_key: review_state_key(&subject.repository, &subject.pull_request, trigger),
        files: match trigger.paths(PathFilter::PullRequest) {
            Some(_) if filtered => WhichFiles::OfPullRequest,
            _ => WhichFiles::NotWanted,
        },
        commit: what_is_built(trigger),
        buildspec: buildspec_needs(trigger),
    });
    needs.collect()
}

/// The triggers that build the merge result of pull requests into this branch.
pub(crate) fn of_merge_results<'a>(subject: &'a Subject, into: &RefName, policy: &'a Policy) -> Vec<&'a Trigger> {
    let taking = taking(&subject.repository, into, policy).into_iter();
    taking.filter(|trigger| what_is_built(trigger) == PullRequestCommit::MergeResult).collect()
}

/// Which commit of a pull request a trigger builds; one that only a comment starts builds the source.
pub(crate) fn what_is_built(trigger: &Trigger) -> PullRequestCommit {
    trigger.on.pull_request.as_ref().map(|filter| filter.commit).unwrap_or_default()
}

fn buildspec_needs(trigger: &Trigger) -> Option<BuildspecNeeds> {
    let Start::Build(build) = &trigger.start else { return None };
    let from = trigger.on.pull_request.as_ref().map(|filter| filter.buildspec_from).unwrap_or_default();
    (from == BuildspecFrom::Target).then(|| BuildspecNeeds {
        project: build.project.clone(),
        path: build.buildspec.as_ref().map(ToString::to_string),
    })
}

/// Whether a trigger wants the buildspec of the target branch.
pub(crate) fn wants_target_buildspec(trigger: &Trigger) -> bool {
    buildspec_needs(trigger).is_some()
}

/// The key of what is remembered of a trigger on a pull request.
pub(crate) fn review_state_key(repository: &RepositoryName, pull_request: &PullRequestId, trigger: &Trigger) -> String {
    review_key(repository, pull_request, trigger.name.as_str())
}

/// The key of the [`crate::RefState`] of a trigger, by its name, on a pull request.
pub fn review_key(repository: &RepositoryName, pull_request: &PullRequestId, trigger: &str) -> String {
    format!("state/triggers/{repository}/{trigger}/pull-requests/{pull_request}.json")
}
