//! The build that a trigger starts: its token, its variables, and what it takes the place of.

use sha2::{Digest, Sha256};
use signalbox_events::{CommitId, RefKind};
use signalbox_policy::{EnvironmentValue, Start, Supersede, Trigger};

use crate::action::{Action, OnlyIf, StartBuild, StopBuild};
use crate::decision::{Because, Decision, Idle, Reason, Verdict};
use crate::facts::{Facts, Push, TriggerFacts};
use crate::journal::Origin;
use crate::needs::state_key;
use crate::review::{PullRequest, Review};
use crate::review_needs::review_state_key;
use crate::state::PastStart;

/// What a build is started for: a push, or a pull request, whose source branch stands for one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct For<'a> {
    pub(crate) push: &'a Push,
    pub(crate) review: Option<(&'a Review, &'a PullRequest)>,
}

impl For<'_> {
    /// Where it lies what is remembered of a trigger.
    pub(crate) fn state_key(&self, trigger: &Trigger) -> String {
        match self.review {
            Some((review, _)) => review_state_key(&review.subject.repository, &review.subject.pull_request, trigger),
            None => state_key(self.push, trigger),
        }
    }

    /// 64 hex digits, as long as CodeBuild's idempotency token may be.
    fn token(&self, trigger: &Trigger, commit: &CommitId, attempt: u32) -> String {
        let of_review = self.review.map(|(review, _)| format!("pull-request/{}", review.subject.pull_request));
        let place = of_review.as_deref().unwrap_or(self.push.reference.as_str());
        let parts = [self.push.repository.as_str(), place, commit.as_str(), trigger.name.as_str()];
        // A line feed can stand in none of the parts, so no two lists of parts read the same; and no ref begins like that.
        hex::encode(Sha256::digest(format!("{}\n{attempt}", parts.join("\n"))))
    }
}

pub(crate) fn start_build(
    what: For<'_>,
    trigger: &Trigger,
    facts: &Facts,
    (commit, attempt): (&CommitId, u32),
) -> Option<StartBuild> {
    let Start::Build(build) = &trigger.start else { return None };
    let push = what.push;
    let token = what.token(trigger, commit, attempt);
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
        state_key: what.state_key(trigger),
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
        pull_request: None,
    })
}

/// Whether only the newest commit matters. Tags never supersede each other: a tag has no order of commits.
pub(crate) fn supersedes(push: &Push, trigger: &Trigger) -> bool {
    trigger.supersede == Supersede::StopOlder && push.reference.kind() == RefKind::Branch
}

/// What takes the place of older builds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Newer<'a> {
    /// A build of this commit that is yet to start, by the key of its action, and the commit that it merges first.
    Starts { commit: &'a CommitId, merge: Option<&'a CommitId>, key: &'a str },
    /// The newest build of this commit, which is there already.
    IsThere(&'a CommitId),
}

/// Stops the builds of the same ref that still run for other commits, or merge what the target branch has left behind.
///
/// Where the newer one is there already, only those that are older: an invocation may have died, or been throttled, between
/// its start and a stop.
fn supersede(what: For<'_>, trigger: &Trigger, known: &TriggerFacts, newer: Newer<'_>, decision: &mut Decision) {
    let push = what.push;
    let state = known.state.settle(&known.settled);
    let merged = |old: &PastStart| match newer {
        Newer::Starts { merge, .. } => old.merge.is_some() && old.merge.as_ref() != merge,
        Newer::IsThere(_) => false,
    };
    let (commit, for_start, began) = match newer {
        Newer::Starts { commit, key, .. } => (commit, Some(key.to_owned()), None),
        Newer::IsThere(commit) => match state.newest_of(commit, &push.reference) {
            Some(there) => (commit, None, Some(there.at)),
            None => return,
        },
    };
    for old in &state.starts {
        let is_other = old.reference == push.reference && (old.commit != *commit || merged(old));
        if old.status.is_terminal() || !is_other || began.is_some_and(|began| old.at > began) {
            continue;
        }
        let (state_key, build) = (what.state_key(trigger), old.build.clone());
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

/// Puts into the decision what came of one trigger: its start or why there is none, what is learned of its earlier builds, and
/// which of them are stopped.
pub(crate) fn conclude(
    what: For<'_>,
    trigger: &Trigger,
    known: &TriggerFacts,
    came: Result<(StartBuild, Because), Idle>,
    decision: &mut Decision,
) {
    let name = trigger.name.to_string();
    if known.state.settle(&known.settled) != known.state {
        let settled = known.settled.iter().filter(|(_, status)| status.is_terminal());
        decision.actions.push(Action::Settle {
            state_key: what.state_key(trigger),
            settled: settled.map(|(build, status)| (build.clone(), *status)).collect(),
        });
    }
    match came {
        Ok((start, because)) => {
            decision.verdict = Verdict::Start;
            decision.reasons.push(Reason::Starts {
                trigger: name,
                commit: start.commit.clone(),
                attempt: start.attempt,
                because,
            });
            let newer = supersedes(what.push, trigger).then(|| {
                let merge = start.pull_request.as_ref().and_then(|of| of.merge.clone());
                (start.commit.clone(), merge, start.key())
            });
            decision.actions.push(Action::Start(Box::new(start)));
            // The older build is stopped only after the newer one could be asked for.
            if let Some((commit, merge, key)) = &newer {
                supersede(what, trigger, known, Newer::Starts { commit, merge: merge.as_ref(), key }, decision);
            }
        }
        Err(idle) => {
            let is_there = idle.has_a_build() && supersedes(what.push, trigger);
            decision.reasons.push(Reason::Idle { trigger: name, idle });
            if let Some(commit) = known.target.as_ref().filter(|_| is_there) {
                supersede(what, trigger, known, Newer::IsThere(commit), decision);
            }
        }
    }
}
