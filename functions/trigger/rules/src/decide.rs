//! What a push starts, what it does not, and why.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use signalbox_events::{
    Again, Arn, BuildId, BuildStatus, CommitId, EventId, ProjectName, RefKind, RefName, RepositoryName,
};
use signalbox_policy::{EnvironmentValue, GlobIndex, Globs, Mode, Policy, SkipCi, Start, Supersede, Trigger};

use crate::facts::{Base, Facts, Push, SweepFacts, TriggerFacts};
use crate::journal::Origin;
use crate::needs::{concerned, not_yet, state_key};
use crate::sweep::sections;

/// What a commit message may say so that nothing is built, in any case of letters.
pub const SKIP_MARKERS: &[&str] = &["[skip ci]", "[ci skip]", "[no ci]"];

/// What is to be done, and why.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// In one word.
    pub verdict: Verdict,
    /// Whether the actions are done or only reported.
    pub mode: Mode,
    /// Why, for each trigger that was considered.
    pub reasons: Vec<Reason>,
    /// What to do, in this order.
    pub actions: Vec<Action>,
}

impl Decision {
    /// Whether every trigger could be decided on.
    pub fn is_complete(&self) -> bool {
        !self.reasons.iter().any(|reason| {
            matches!(reason, Reason::Idle { idle: Idle::Unreadable { .. }, .. } | Reason::NotSwept { .. })
        })
    }
}

/// A decision in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// At least one build starts.
    Start,
    /// The sweep found a push that no event told of.
    Found,
    /// Triggers were considered, and none starts.
    Nothing,
    /// The event concerns no trigger at all.
    NotConcerned,
}

/// Why something happens, or does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The event is no push.
    NotAPush,
    /// The sweep has nothing to look at: the policy starts nothing for pushes to branches.
    NothingToSweep,
    /// The sweep looks at the repositories of these sections.
    Sweeps {
        /// Their patterns.
        repositories: Vec<String>,
    },
    /// No event told of a push; the sweep found it.
    Missed {
        /// The push.
        push: Push,
    },
    /// The sweep could not look at a repository, and never will.
    NotSwept {
        /// The repository.
        repository: RepositoryName,
        /// Why.
        why: String,
    },
    /// The sweep took the push up before its event came.
    SweptBefore {
        /// The id of the push in the ledger.
        id: EventId,
    },
    /// No trigger of the policy wants pushes to this ref.
    NoTrigger {
        /// The repository.
        repository: RepositoryName,
        /// The branch or tag.
        reference: RefName,
    },
    /// A trigger starts its build.
    Starts {
        /// Its name.
        trigger: String,
        /// What is built.
        commit: CommitId,
        /// Which try of this commit it is.
        attempt: u32,
        /// What made it start.
        because: Because,
    },
    /// A trigger starts nothing.
    Idle {
        /// Its name.
        trigger: String,
        /// Why.
        idle: Idle,
    },
    /// An older build of the ref is stopped.
    Supersedes {
        /// The trigger's name.
        trigger: String,
        /// The older build.
        build: BuildId,
        /// What is built in its place.
        commit: CommitId,
    },
}

/// What made a trigger start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// It takes every push to the ref.
    Pushed,
    /// A changed path matches its filter.
    PathMatches {
        /// The first one that does.
        path: String,
        /// How many paths changed.
        changed: usize,
        /// Since when.
        base: Base,
    },
}

/// Why a trigger starts nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Idle {
    /// No changed path matches its filter.
    NoPathMatches {
        /// How many paths changed.
        changed: usize,
        /// One of them.
        example: Option<String>,
        /// Since when.
        base: Base,
    },
    /// The commit message asks for no build.
    SkipCi {
        /// The words that do.
        marker: String,
    },
    /// The commit's author is not one that it starts for.
    OtherAuthor {
        /// The author's address.
        author_email: String,
    },
    /// The commit is already green here.
    Green {
        /// The build that says so.
        build: BuildId,
    },
    /// The commit is being built.
    Running {
        /// The build.
        build: BuildId,
    },
    /// It was started once more already, for this very wish.
    StartedAgain {
        /// The build.
        build: BuildId,
    },
    /// This push has had its build, which did not pass.
    Answered {
        /// The build.
        build: BuildId,
    },
    /// The branch is gone.
    RefGone,
    /// The commit is not in the repository any more.
    CommitGone {
        /// The commit.
        commit: CommitId,
    },
    /// It has a path filter, and nobody has looked yet which files changed.
    FilesUnknown,
    /// It asks people first, which this version cannot do yet: then it must not start.
    AskNotYet,
    /// It starts something that this version cannot start yet.
    StartNotYet,
    /// Something of it cannot be read, and never will be.
    Unreadable {
        /// What, and why.
        what: String,
    },
    /// The facts say nothing of this trigger: they were gathered for another policy.
    FactsMissing,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Remember how builds ended. It changes nothing but the trigger's own memory, and may be done twice.
    Settle {
        /// The key of the state.
        state_key: String,
        /// How they ended.
        settled: BTreeMap<BuildId, BuildStatus>,
    },
    /// Stop a build that a newer commit makes pointless.
    Stop(StopBuild),
    /// Start a build.
    Start(Box<StartBuild>),
}

/// What must still hold when a build is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnlyIf {
    /// Nothing more.
    Anyway,
    /// The branch is still at the commit; if it moved on, the event of that push starts the newer one.
    StillTip,
}

/// A build to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopBuild {
    /// The trigger that started it.
    pub trigger: String,
    /// The build.
    pub build: BuildId,
    /// The key of the trigger's state.
    pub state_key: String,
    /// The commit that takes its place.
    pub superseded_by: CommitId,
    /// The key of the start that takes its place.
    pub for_start: String,
}

/// A build to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartBuild {
    /// The trigger.
    pub trigger: String,
    /// The key of its state.
    pub state_key: String,
    /// The CodeBuild project.
    pub project: ProjectName,
    /// Another buildspec than the project's.
    pub buildspec: Option<String>,
    /// The repository.
    pub repository: RepositoryName,
    /// The branch or tag.
    pub reference: RefName,
    /// What is built.
    pub commit: CommitId,
    /// Where the ref was before.
    pub previous: Option<CommitId>,
    /// Who pushed; unknown where a newer commit than the pushed one is built.
    pub pusher: Option<Arn>,
    /// When the ref came to the commit; unknown in the same case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<Timestamp>,
    /// What must still hold.
    pub only_if: OnlyIf,
    /// Which try of this commit it is.
    pub attempt: u32,
    /// The id of the push that starts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<EventId>,
    /// The same for the same (repository, ref, commit, trigger, attempt), whoever decides it, however often.
    pub token: String,
    /// Variables for the build.
    pub environment: BTreeMap<String, EnvironmentValue>,
    /// The wish that it is started for, where somebody has a finished event run once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
}

impl Action {
    /// A name for it that stays the same however often it is decided; `None` where it may simply be done again.
    pub fn key(&self) -> Option<String> {
        match self {
            Self::Settle { .. } => None,
            Self::Stop(stop) => Some(format!("stop {}", stop.build)),
            Self::Start(start) => Some(start.key()),
        }
    }
}

impl StartBuild {
    /// A name for it that stays the same however often it is decided.
    pub fn key(&self) -> String {
        format!("start {} {} {}", self.trigger, self.commit, self.attempt)
    }
}

/// Decides what a push starts. Total: whatever the facts are, there is a decision with a reason.
pub fn decide(facts: &Facts, policy: &Policy) -> Decision {
    let mut decision =
        Decision { verdict: Verdict::NotConcerned, mode: policy.mode, reasons: Vec::new(), actions: Vec::new() };
    let Some(push) = &facts.push else {
        match &facts.sweep {
            Some(sweep) => decide_sweep(sweep, policy, &mut decision),
            None => decision.reasons.push(Reason::NotAPush),
        }
        return decision;
    };
    let triggers = concerned(push, policy);
    if triggers.is_empty() {
        let (repository, reference) = (push.repository.clone(), push.reference.clone());
        decision.reasons.push(Reason::NoTrigger { repository, reference });
        return decision;
    }
    decision.verdict = Verdict::Nothing;
    if facts.origin == Origin::Sweep {
        decision.reasons.push(Reason::Missed { push: push.clone() });
    }
    let first_matches = first_matching_paths(facts, &triggers);
    for trigger in triggers {
        let name = trigger.name.to_string();
        if let Some(idle) = not_yet(trigger) {
            decision.reasons.push(Reason::Idle { trigger: name, idle });
            continue;
        }
        let Some(known) = facts.triggers.get(&name) else {
            decision.reasons.push(Reason::Idle { trigger: name, idle: Idle::FactsMissing });
            continue;
        };
        if known.state.settle(&known.settled) != known.state {
            let settled = known.settled.iter().filter(|(_, status)| status.is_terminal());
            decision.actions.push(Action::Settle {
                state_key: state_key(push, trigger),
                settled: settled.map(|(build, status)| (build.clone(), *status)).collect(),
            });
        }
        match start_or_idle(push, trigger, known, facts, first_matches.get(name.as_str()).copied()) {
            Ok((start, because)) => {
                decision.verdict = Verdict::Start;
                decision.reasons.push(Reason::Starts {
                    trigger: name.clone(),
                    commit: start.commit.clone(),
                    attempt: start.attempt,
                    because,
                });
                let commit = start.commit.clone();
                let for_start = start.key();
                decision.actions.push(Action::Start(Box::new(start)));
                // The older build is stopped only after the newer one could be asked for.
                if supersedes(push, trigger) {
                    supersede(push, trigger, known, (&commit, &for_start), &mut decision);
                }
            }
            Err(idle) => decision.reasons.push(Reason::Idle { trigger: name, idle }),
        }
    }
    decision
}

/// A sweep decides nothing but what to say: each push that it found is decided like any other.
fn decide_sweep(sweep: &SweepFacts, policy: &Policy, decision: &mut Decision) {
    let repositories = sections(policy);
    if repositories.is_empty() {
        decision.reasons.push(Reason::NothingToSweep);
        return;
    }
    decision.verdict = if sweep.moved.is_empty() { Verdict::Nothing } else { Verdict::Found };
    decision.reasons.push(Reason::Sweeps { repositories });
    decision.reasons.extend(sweep.moved.iter().map(|moved| Reason::Missed { push: moved.push() }));
    let refused = sweep.refused.iter();
    decision
        .reasons
        .extend(refused.map(|(repository, why)| Reason::NotSwept { repository: repository.clone(), why: why.clone() }));
}

fn start_or_idle(
    push: &Push,
    trigger: &Trigger,
    known: &TriggerFacts,
    facts: &Facts,
    first_match: Option<&str>,
) -> Result<(StartBuild, Because), Idle> {
    if let Some(what) = &known.unreadable {
        return Err(Idle::Unreadable { what: what.clone() });
    }
    let commit = known.target.as_ref().ok_or(Idle::RefGone)?;
    let head = known.head.as_ref().ok_or_else(|| Idle::CommitGone { commit: commit.clone() })?;
    if trigger.skip_ci == SkipCi::Honour
        && let Some(marker) = skip_marker(&head.message)
    {
        return Err(Idle::SkipCi { marker: marker.to_owned() });
    }
    if trigger.authors.as_ref().is_some_and(|authors| !authors.matches(&head.author_email)) {
        return Err(Idle::OtherAuthor { author_email: head.author_email.clone() });
    }
    let state = known.state.settle(&known.settled);
    let past = state.newest_of(commit, &push.reference);
    match past {
        Some(past) if facts.again.is_some() && past.again == facts.again => {
            return Err(Idle::StartedAgain { build: past.build.clone() });
        }
        // What ended is run once more however it ended; what still runs tells soon enough.
        Some(past) if past.status.is_success() && facts.again.is_some() => {}
        Some(past) if past.status.is_success() => return Err(Idle::Green { build: past.build.clone() }),
        Some(past) if !past.status.is_terminal() => return Err(Idle::Running { build: past.build.clone() }),
        Some(past) if past.answers(facts, supersedes(push, trigger)) => {
            return Err(Idle::Answered { build: past.build.clone() });
        }
        _ => {}
    }
    let because = match known.difference.and_then(|index| facts.differences.get(index)) {
        None if trigger.on.push.as_ref().is_some_and(|filter| filter.paths.is_some()) => {
            return Err(Idle::FilesUnknown);
        }
        None => Because::Pushed,
        Some(difference) => {
            let (base, changed) = (difference.base.clone(), difference.paths.len() + difference.left_out);
            match first_match {
                Some(path) => Because::PathMatches { path: path.to_owned(), changed, base },
                None if difference.left_out > 0 => return Err(Idle::FilesUnknown),
                None => return Err(Idle::NoPathMatches { changed, example: difference.paths.first().cloned(), base }),
            }
        }
    };
    let attempt = past.map_or(1, |past| past.attempt.saturating_add(1));
    let start = start_build(push, trigger, facts, (commit, attempt));
    Ok((start.ok_or(Idle::FactsMissing)?, because))
}

fn start_build(
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
        only_if: if supersedes(push, trigger) { OnlyIf::StillTip } else { OnlyIf::Anyway },
        attempt,
        id: facts.id.clone(),
        token,
        environment,
        again: facts.again.clone(),
    })
}

/// Whether only the newest commit matters. Tags never supersede each other: a tag has no order of commits.
fn supersedes(push: &Push, trigger: &Trigger) -> bool {
    trigger.supersede == Supersede::StopOlder && push.reference.kind() == RefKind::Branch
}

/// The builds of the same ref that still run for other commits.
fn supersede(push: &Push, trigger: &Trigger, known: &TriggerFacts, newer: (&CommitId, &str), decision: &mut Decision) {
    let (commit, for_start) = newer;
    for old in &known.state.settle(&known.settled).starts {
        if old.status.is_terminal() || old.reference != push.reference || old.commit == *commit {
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
            for_start: for_start.to_owned(),
        }));
    }
}

fn skip_marker(message: &str) -> Option<&'static str> {
    let message = message.to_lowercase();
    SKIP_MARKERS.iter().find(|marker| message.contains(*marker)).copied()
}

/// The first changed path that each trigger's filter lets through, under the trigger's name.
///
/// All filters that look at the same difference go over its paths together, in one pass of one compiled set.
fn first_matching_paths<'f>(facts: &'f Facts, triggers: &[&Trigger]) -> BTreeMap<String, &'f str> {
    let mut found = BTreeMap::new();
    for (index, difference) in facts.differences.iter().enumerate() {
        let asking: Vec<(&str, &Globs)> = triggers
            .iter()
            .filter(|trigger| {
                facts.triggers.get(trigger.name.as_str()).is_some_and(|known| known.difference == Some(index))
            })
            .filter_map(|trigger| Some((trigger.name.as_str(), trigger.on.push.as_ref()?.paths.as_ref()?)))
            .collect();
        let paths = || difference.paths.iter().map(String::as_str);
        if let [(name, globs)] = asking.as_slice() {
            if let Some(path) = paths().find(|path| globs.matches(path)) {
                found.insert((*name).to_owned(), path);
            }
            continue;
        }
        let together = GlobIndex::new(asking.iter().map(|(_, globs)| *globs));
        for ((name, _), first) in asking.iter().zip(together.first_matches(paths())) {
            if let Some(path) = first.and_then(|first| difference.paths.get(first)) {
                found.insert((*name).to_owned(), path);
            }
        }
    }
    found
}

/// 64 hex digits, as long as CodeBuild's idempotency token may be.
fn token(push: &Push, trigger: &Trigger, commit: &CommitId, attempt: u32) -> String {
    let parts = [push.repository.as_str(), push.reference.as_str(), commit.as_str(), trigger.name.as_str()];
    // A line feed can stand in none of the parts, so no two lists of parts read the same.
    let digest = Sha256::digest(format!("{}\n{attempt}", parts.join("\n")));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
