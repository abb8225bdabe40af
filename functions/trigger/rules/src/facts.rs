//! What a decision of the trigger is made from.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use signalbox_events::{Again, Arn, BuildId, BuildStatus, CommitId, Event, EventId, RefName, RepositoryName};
use signalbox_policy::Policy;

use crate::journal::Origin;
use crate::needs::{Needs, push_of};
use crate::review::{Review, TargetBuildspec};
use crate::review_needs::review_needs;
use crate::review_sweep::FoundReview;
use crate::state::RefState;
use crate::sweep::{BeginsAnew, Moved};
use crate::trouble::NotSwept;

/// Everything that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// What was pushed; `None` for an event that is no push.
    pub push: Option<Push>,
    /// The pull request, for an event that tells of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Review>,
    /// How the push came to be known.
    #[serde(default, skip_serializing_if = "Origin::is_event")]
    pub origin: Origin,
    /// What the sweep found; `None` for an event that is no sweep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep: Option<SweepFacts>,
    /// Somebody has the event run once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
    /// The id under which the push is acted on in the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<EventId>,
    /// When it was pushed, to the second, where the event says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed_at: Option<Timestamp>,
    /// For a push that the sweep found: the branch was elsewhere then; `None` for a branch that is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_since: Option<Timestamp>,
    /// What is known for each trigger that the push concerns, under its name.
    pub triggers: BTreeMap<String, TriggerFacts>,
    /// What changed between two commits, once for all triggers that ask for the same two.
    pub differences: Vec<Difference>,
}

/// What a sweep found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepFacts {
    /// The branches that moved without an event that told of it.
    pub moved: Vec<Moved>,
    /// The same of pull requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reviews: Vec<FoundReview>,
    /// What could not be looked at or dealt with, and is told this time.
    pub not_swept: Vec<NotSwept>,
    /// The repositories that are known and begin anew all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub anew: Vec<BeginsAnew>,
    /// When the sweep began that looked for this one, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Timestamp>,
}

impl SweepFacts {
    /// How much there is to tell, beside the pushes that were found.
    pub fn news(&self) -> usize {
        self.not_swept.len() + self.anew.len()
    }
}

/// A report keeps at most this many paths of a difference.
const REPORTED_PATHS: usize = 500;

impl Facts {
    /// The facts as a report keeps them: long lists of paths are cut, and say so.
    #[must_use]
    pub fn for_report(&self) -> Self {
        let mut facts = self.clone();
        for difference in &mut facts.differences {
            difference.left_out = difference.paths.len().saturating_sub(REPORTED_PATHS);
            difference.paths.truncate(REPORTED_PATHS);
        }
        facts
    }

    /// The facts as if nothing were known yet: never built, an ordinary commit, no file compared.
    ///
    /// For explaining an event by itself; a function always gathers.
    pub fn before_gathering(event: &Event, needs: &Needs, policy: &Policy) -> Self {
        let known = |commit: &CommitId| TriggerFacts {
            target: Some(commit.clone()),
            head: Some(Head::default()),
            ..TriggerFacts::default()
        };
        let review = Review::of_event(event);
        let of_push = needs
            .push
            .iter()
            .flat_map(|needs| needs.triggers.iter().map(|one| (one.name.clone(), known(&needs.push.commit))));
        let of_review = review.iter().filter_map(|review| Some((review, review.open()?))).flat_map(|(review, open)| {
            let needs = review_needs(review, policy);
            needs.into_iter().map(|one| (one.name, known(&open.source_commit)))
        });
        let triggers = of_push.chain(of_review).collect();
        Self {
            push: push_of(event),
            review,
            again: event.envelope.again.clone(),
            id: Some(event.envelope.id.clone()),
            pushed_at: event.envelope.time,
            moved_since: None,
            triggers,
            differences: Vec::new(),
            sweep: needs.sweep.as_ref().map(|_| SweepFacts::default()),
            origin: Origin::Event,
        }
    }
}

/// A ref that got a new commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// The repository.
    pub repository: RepositoryName,
    /// The branch or tag.
    pub reference: RefName,
    /// Where it is since.
    pub commit: CommitId,
    /// Where it was before; `None` for a new ref.
    pub previous: Option<CommitId>,
    /// Who pushed, where the event says so.
    pub pusher: Option<Arn>,
}

/// What is known for one trigger on the pushed ref.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerFacts {
    /// What would be built: the pushed commit, or the branch's tip where only the newest commit matters. `None` where the
    /// branch is gone.
    pub target: Option<CommitId>,
    /// What the target says of itself; `None` where the commit is not in the repository any more.
    pub head: Option<Head>,
    /// The state as it is in the bucket.
    pub state: RefState,
    /// How builds stand that the state did not know to have ended.
    pub settled: BTreeMap<BuildId, BuildStatus>,
    /// Why something of it cannot be read, and never will be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
    /// Which of [`Facts::differences`] it asks about; `None` where it has no path filter.
    pub difference: Option<usize>,
    /// The buildspec of the target branch, where it wants that one for a pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buildspec: Option<TargetBuildspec>,
}

/// What a commit says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The whole message.
    pub message: String,
    /// The author's e-mail address: claimed, not proven.
    pub author_email: String,
}

/// The paths that changed, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What the target was compared with.
    pub base: Base,
    /// What would be built.
    pub target: CommitId,
    /// Both sides of renames, deletions too. They need not be sorted.
    pub paths: Vec<String>,
    /// How many paths a report left out to stay small. A function gathers them all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// What a commit was compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// The last commit that was green for this trigger.
    Green(CommitId),
    /// Where the branch left the default branch: it was never green.
    MergeBase(CommitId),
    /// Where a pull request's source branch left its target branch: the whole pull request counts.
    Target(CommitId),
    /// Nothing, as a pull request's branches have no history in common.
    Unrelated,
    /// Nothing: every file counts.
    Nothing,
}
