//! Which facts a decision will want.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use signalbox_events::{Detail, Event, RefChange, RefKind, RefName};
use signalbox_policy::{PathFilter, Policy, Start, Supersede, Trigger};

use crate::decision::Idle;
use crate::facts::Push;
use crate::review::{Subject, What, review_of};
use crate::sweep::sections;
use crate::wishes::{builds_merge_results, hears_comments, taking};

/// At most this many bytes of a ref stand in a key as they are.
const LONGEST_PART: usize = 200;

/// What shall be gathered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// For a push that concerns at least one trigger.
    pub push: Option<PushNeeds>,
    /// For a pull request that concerns at least one trigger, and for a comment that may.
    ///
    /// What is wanted of each trigger is known when the pull request was looked at: [`crate::review_needs`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Subject>,
    /// For the sweep, where the policy has anything to sweep for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep: Option<SweepNeeds>,
}

/// What the sweep shall look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepNeeds {
    /// The sections of the policy, by their patterns, that start something for a push to a branch or for a pull request.
    pub repositories: Vec<String>,
}

/// What shall be gathered for a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushNeeds {
    /// The push.
    pub push: Push,
    /// For each trigger that the push concerns.
    pub triggers: Vec<TriggerNeeds>,
}

/// Which commit would be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Each pushed commit is built.
    Pushed,
    /// Only the newest commit matters: wherever the branch is now.
    Tip,
}

/// What shall be gathered for one trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerNeeds {
    /// Its name.
    pub name: String,
    /// The key of its [`crate::RefState`] in the bucket.
    pub state_key: String,
    /// Which commit it would build.
    pub target: Target,
    /// Whether its changed files are wanted.
    pub files: WhichFiles,
}

/// Whether a trigger looks at files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhichFiles {
    /// It has a path filter: every changed path since the last green commit.
    SinceGreen,
    /// It has one for pull requests: every path that the whole pull request changes.
    OfPullRequest,
    /// It has none.
    NotWanted,
}

/// The push that an event tells of, if it tells of one.
pub fn push_of(event: &Event) -> Option<Push> {
    let Detail::Reference(change) = &event.detail else { return None };
    let (commit, previous) = match &change.change {
        RefChange::Created { new } => (new.clone(), None),
        RefChange::Updated { old, new } => (new.clone(), Some(old.clone())),
        RefChange::Deleted { .. } => return None,
    };
    Some(Push {
        repository: change.repository.clone(),
        reference: change.reference.clone(),
        commit,
        previous,
        pusher: change.caller.clone(),
    })
}

/// The triggers of the policy that a push to this ref concerns, in the order of the policy.
pub(crate) fn concerned<'a>(push: &'a Push, policy: &'a Policy) -> Vec<&'a Trigger> {
    let wants = |trigger: &&Trigger| trigger.on.push.as_ref().is_some_and(|filter| filter.matches_ref(&push.reference));
    policy.triggers_for(&push.repository).into_iter().filter(wants).collect()
}

/// Why this version never starts a trigger, whatever the facts are.
pub(crate) fn not_yet(trigger: &Trigger) -> Option<Idle> {
    if trigger.ask.is_some() {
        return Some(Idle::AskNotYet);
    }
    (!matches!(trigger.start, Start::Build(_))).then_some(Idle::StartNotYet)
}

/// What a trigger's state is kept by: each branch alone, all tags together.
pub fn scope(reference: &RefName) -> &str {
    match reference.kind() {
        RefKind::Tag => "refs/tags",
        RefKind::Branch | RefKind::Other => reference.as_str(),
    }
}

/// Which facts the decision on this event will want.
pub fn needs(event: &Event, policy: &Policy) -> Needs {
    if matches!(event.detail, Detail::Scheduled(_)) {
        let repositories = sections(policy);
        let sweep = (!repositories.is_empty()).then_some(SweepNeeds { repositories });
        return Needs { sweep, ..Needs::default() };
    }
    if let Some(review) = review_of(event) {
        let concerned = match &review.what {
            What::Revised { into, .. } => {
                taking(&review.repository, into, policy).into_iter().any(|trigger| not_yet(trigger).is_none())
            }
            What::Commented { .. } => hears_comments(&review.repository, policy),
            What::Stale => builds_merge_results(&review.repository, policy),
        };
        return Needs { review: concerned.then_some(review), ..Needs::default() };
    }
    let Some(push) = push_of(event) else { return Needs::default() };
    let concerned = concerned(&push, policy);
    let startable: Vec<_> = concerned.into_iter().filter(|trigger| not_yet(trigger).is_none()).collect();
    if startable.is_empty() {
        return Needs::default();
    }
    let is_branch = push.reference.kind() == RefKind::Branch;
    let triggers = startable.iter().map(|trigger| {
        let filtered = trigger.paths(PathFilter::Push).is_some();
        TriggerNeeds {
            name: trigger.name.to_string(),
            state_key: state_key(&push, trigger),
            target: if is_branch && trigger.supersede == Supersede::StopOlder { Target::Tip } else { Target::Pushed },
            files: if filtered { WhichFiles::SinceGreen } else { WhichFiles::NotWanted },
        }
    });
    Needs { push: Some(PushNeeds { triggers: triggers.collect(), push }), ..Needs::default() }
}

/// A ref as part of a key: S3 keys have at most 1,024 bytes, ref names may have more.
pub(crate) fn key_part(scope: &str) -> String {
    if scope.len() <= LONGEST_PART {
        return scope.to_owned();
    }
    let end = (0..=LONGEST_PART).rev().find(|end| scope.is_char_boundary(*end)).unwrap_or_default();
    format!("{}~{}", scope.get(..end).unwrap_or_default(), hex::encode(Sha256::digest(scope)))
}

/// The key of what is remembered of a trigger on the pushed ref.
pub(crate) fn state_key(push: &Push, trigger: &Trigger) -> String {
    format!("state/triggers/{}/{}/{}.json", push.repository, trigger.name, key_part(scope(&push.reference)))
}
