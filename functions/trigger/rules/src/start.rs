//! The build that a trigger starts for a push: its token, its variables, and what it takes the place of.

use sha2::{Digest, Sha256};
use signalbox_events::{CommitId, RefKind};
use signalbox_policy::{EnvironmentValue, Start, Supersede, Trigger};

use crate::action::{Action, OnlyIf, StartBuild, StopBuild};
use crate::decision::{Decision, Reason};
use crate::facts::{Facts, Push, TriggerFacts};
use crate::journal::Origin;
use crate::needs::state_key;

pub(crate) fn start_build(
    push: &Push,
    trigger: &Trigger,
    facts: &Facts,
    (commit, attempt): (&CommitId, u32),
) -> Option<StartBuild> {
    let Start::Build(build) = &trigger.start else { return None };
    let token = token(push, trigger, commit, attempt);
    let own = [
        ("SIGNALBOX_TRIGGER", trigger.name.to_string()),
        ("SIGNALBOX_REPOSITORY", push.repository.to_string()),
        ("SIGNALBOX_REF", push.reference.to_string()),
        ("SIGNALBOX_COMMIT", commit.to_string()),
        ("SIGNALBOX_TOKEN", token.clone()),
    ];
    let theirs = build.environment.iter().map(|(name, value)| (name.to_string(), value.clone()));
    let own = own.into_iter().map(|(name, value)| (name.to_owned(), EnvironmentValue::Text(value)));
    let environment = theirs.chain(own).collect();
    let only_if = if supersedes(push, trigger) { OnlyIf::StillTip } else { OnlyIf::Anyway };
    Some(StartBuild {
        trigger: trigger.name.to_string(),
        state_key: state_key(push, trigger),
        project: build.project.clone(),
        buildspec: build.buildspec.as_ref().map(ToString::to_string),
        repository: push.repository.clone(),
        reference: push.reference.clone(),
        commit: commit.clone(),
        previous: push.previous.clone(),
        pusher: push.pusher.clone().filter(|_| *commit == push.commit),
        pushed: facts.pushed_at.filter(|_| *commit == push.commit),
        only_if,
        attempt,
        not_before: match facts.origin {
            Origin::Event => facts.pushed_at,
            Origin::Sweep => facts.moved_since,
        },
        id: facts.id.clone(),
        token,
        environment,
        again: facts.again.clone(),
    })
}

/// Whether only the newest commit matters. Tags never supersede each other: a tag has no order of commits.
pub(crate) fn supersedes(push: &Push, trigger: &Trigger) -> bool {
    trigger.supersede == Supersede::StopOlder && push.reference.kind() == RefKind::Branch
}

/// What takes the place of older builds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Newer<'a> {
    /// A build of this commit that is yet to start, by the key of its action.
    Starts { commit: &'a CommitId, key: &'a str },
    /// The newest build of this commit, which is there already.
    IsThere(&'a CommitId),
}

/// Stops the builds of the same ref that still run for other commits.
///
/// Where the newer one is there already, only those that are older: an invocation may have died, or been throttled, between
/// its start and a stop.
pub(crate) fn supersede(
    push: &Push,
    trigger: &Trigger,
    known: &TriggerFacts,
    newer: Newer<'_>,
    decision: &mut Decision,
) {
    let state = known.state.settle(&known.settled);
    let (commit, for_start, began) = match newer {
        Newer::Starts { commit, key } => (commit, Some(key.to_owned()), None),
        Newer::IsThere(commit) => match state.newest_of(commit, &push.reference) {
            Some(there) => (commit, None, Some(there.at)),
            None => return,
        },
    };
    for old in &state.starts {
        let is_other = old.reference == push.reference && old.commit != *commit;
        if old.status.is_terminal() || !is_other || began.is_some_and(|began| old.at > began) {
            continue;
        }
        let (state_key, build) = (state_key(push, trigger), old.build.clone());
        let trigger = trigger.name.to_string();
        decision.reasons.push(Reason::Supersedes {
            trigger: trigger.clone(),
            build: build.clone(),
            commit: commit.clone(),
        });
        decision.actions.push(Action::Stop(StopBuild {
            trigger,
            build,
            state_key,
            superseded_by: commit.clone(),
            repository: push.repository.clone(),
            reference: push.reference.clone(),
            for_start: for_start.clone(),
        }));
    }
}

/// 64 hex digits, as long as CodeBuild's idempotency token may be.
fn token(push: &Push, trigger: &Trigger, commit: &CommitId, attempt: u32) -> String {
    let parts = [push.repository.as_str(), push.reference.as_str(), commit.as_str(), trigger.name.as_str()];
    // A line feed can stand in none of the parts, so no two lists of parts read the same.
    hex::encode(Sha256::digest(format!("{}\n{attempt}", parts.join("\n"))))
}
