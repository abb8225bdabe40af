//! The decision: what is new, who hears of it, and what is remembered.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use signalbox_events::{
    Arn, BuildId, BuildStart, BuildStatus, CommitId, Detail, ProjectName, ProtectionState, PullRequestId,
    PullRequestStart, RefKind, RefName, RepositoryName,
};
use signalbox_policy::{Mode, Policy, Topic};

use crate::copies::{CopyNews, CopyTold, decide_copy};
use crate::facts::{BuildFacts, Facts, Known, Origin};
use crate::history::{Began, Finished, History, StartedFor};
use crate::mail::{Mail, mail};
use crate::news::{News, news};
use crate::order::older;
use crate::protections::decide_protection;

/// What is decided on one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct Decision {
    /// In one word.
    pub verdict: Verdict,
    /// The mode of the policy; mail is sent in both.
    pub mode: Mode,
    /// Why.
    pub reasons: Vec<Reason>,
    /// What shall be done, in this order: mail before the history.
    ///
    /// Whoever takes over after a crash between the two finds the history as it was, decides the same, and skips the mail
    /// that the ledger says is sent. The other way round it would find this very result and be silent.
    pub actions: Vec<Action>,
}

/// A decision in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The event is nothing that mail is sent about.
    NotConcerned,
    /// It was considered, and nobody needs to hear of it.
    Silent,
    /// Somebody hears of it.
    Mail,
}

/// Why it was decided so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The event is about neither a build's result, nor a copy, nor a protection.
    NotConcerned,
    /// The build has only begun.
    NotEnded,
    /// Nobody knows which repository was built.
    NoRepository {
        /// The project.
        project: ProjectName,
    },
    /// `CodeBuild` no longer knows the build.
    OnlyTheEvent,
    /// The trigger recorded why the build ran.
    StartedByTrigger {
        /// The trigger.
        trigger: String,
    },
    /// The record of the start is missing.
    NoRecord {
        /// The trigger that the build's variables name.
        trigger: String,
    },
    /// No trigger of ours started it.
    StartedByOther {
        /// Who `CodeBuild` says did.
        initiator: Option<String>,
    },
    /// What is new.
    News(Box<News>),
    /// What is new about a copy.
    Copy(CopyNews),
    /// What became of a protection.
    Protection {
        /// In one word.
        state: ProtectionState,
    },
    /// The policy has nobody who wants to hear of it.
    Nobody {
        /// Of what.
        topic: Topic,
        /// Of which repository.
        repository: RepositoryName,
    },
    /// The policy, or the lack of one, says who hears of it.
    Heard {
        /// Of what.
        topic: Topic,
        /// By whom, as messages name them: `everyone` means every subscriber.
        to: Vec<String>,
        /// The lines of the policy that say so.
        lines: Vec<usize>,
    },
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Publish a mail.
    Mail(Box<Mail>),
    /// Remember the build.
    History {
        /// Where.
        key: String,
        /// What.
        finished: Box<Finished>,
        /// The builds that are known by now to be of an older commit.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        older: BTreeSet<BuildId>,
    },
    /// Remember what was told of a copy.
    CopyTold {
        /// Where.
        key: String,
        /// What.
        told: CopyTold,
    },
}

impl Action {
    /// The name under which its outcome is recorded.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Mail(_) => "mail",
            Self::History { .. } | Self::CopyTold { .. } => "history",
        }
    }
}

/// A build that ended, joined to why it ran.
pub(crate) struct Case<'a> {
    pub(crate) build: &'a BuildFacts,
    pub(crate) origin: &'a Origin,
    pub(crate) repository: RepositoryName,
    pub(crate) place: Place,
    pub(crate) commit: Option<CommitId>,
    pub(crate) previous: Option<&'a CommitId>,
    pub(crate) pusher: Option<&'a Arn>,
}

/// What was built, as far as somebody said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Ref(RefName),
    /// A pull request, and its source branch.
    Review(PullRequestId, RefName),
    Commit(CommitId),
    Version(String),
    Default,
}

impl Place {
    /// `refs/heads/x^{sha}` is `CodeBuild`'s own way to say which commit of a branch.
    fn of_version(version: Option<&str>) -> Self {
        let Some(version) = version.filter(|version| !version.is_empty()) else { return Self::Default };
        let name = version.split_once("^{").map_or(version, |(name, _)| name);
        match (RefName::parse(name), commit_of(version)) {
            (Ok(name), _) => Self::Ref(name),
            (_, Some(commit)) => Self::Commit(commit),
            _ => Self::Version(version.to_owned()),
        }
    }

    /// The place of a build that a trigger started.
    fn of_start(pull_request: Option<&PullRequestId>, reference: &RefName) -> Self {
        match pull_request {
            Some(id) => Self::Review(id.clone(), reference.clone()),
            None => Self::Ref(reference.clone()),
        }
    }

    /// As keys of histories name it: a pull request has one of its own, whatever is built of its branch beside it.
    fn history(&self) -> String {
        match self {
            Self::Review(id, _) => format!("pull-request/{id}"),
            Self::Ref(_) | Self::Commit(_) | Self::Version(_) | Self::Default => self.name().to_owned(),
        }
    }

    /// As message attributes name it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Ref(name) | Self::Review(_, name) => name.as_str(),
            Self::Commit(commit) => commit.as_str(),
            Self::Version(version) => version,
            Self::Default => "-",
        }
    }

    /// As people say it, behind the word "on".
    pub(crate) fn said(&self) -> (&'static str, &str) {
        match self {
            Self::Ref(name) => (if name.kind() == RefKind::Tag { "tag " } else { "" }, name.short()),
            Self::Review(id, _) => ("pull request ", id.as_str()),
            Self::Commit(commit) => ("commit ", commit.short()),
            Self::Version(version) => ("", version),
            Self::Default => ("", "the default branch"),
        }
    }
}

/// The commit that a version names, by itself or as `refs/heads/x^{sha}`.
fn commit_of(version: &str) -> Option<CommitId> {
    let version = version.split_once("^{").map_or(version, |(_, version)| version.trim_end_matches('}'));
    let is_id = version.len() == 40 && version.chars().all(|c| c.is_ascii_hexdigit());
    is_id.then(|| CommitId::parse(version).ok()).flatten()
}

impl<'a> Case<'a> {
    fn of(facts: &'a Facts) -> Option<Self> {
        let build = facts.build.as_ref()?;
        let built = build.resolved_version.as_deref().and_then(commit_of);
        Some(match &facts.origin {
            Origin::Recorded(start) => Self {
                build,
                origin: &facts.origin,
                repository: start.repository.clone(),
                place: Place::of_start(start.pull_request.as_ref().map(|review| &review.id), &start.reference),
                commit: Some(start.commit.clone()),
                // The first result of a pull request is about all that it brings.
                previous: start
                    .previous
                    .as_ref()
                    .or_else(|| start.pull_request.as_ref().and_then(|review| review.base.as_ref())),
                pusher: start.pusher.as_ref(),
            },
            Origin::Environment { repository, reference, commit, pull_request, .. } => Self {
                build,
                origin: &facts.origin,
                repository: repository.clone(),
                place: Place::of_start(pull_request.as_ref(), reference),
                commit: Some(commit.clone()),
                previous: None,
                pusher: None,
            },
            Origin::Other => Self {
                build,
                origin: &facts.origin,
                repository: build.repository.clone()?,
                place: Place::of_version(build.source_version.as_deref()),
                commit: built.or_else(|| build.source_version.as_deref().and_then(commit_of)),
                previous: None,
                pusher: None,
            },
        })
    }

    /// The pull request that the build was started for, as the trigger recorded it.
    pub(crate) fn review(&self) -> Option<&'a PullRequestStart> {
        match self.origin {
            Origin::Recorded(start) => start.pull_request.as_deref(),
            Origin::Environment { .. } | Origin::Other => None,
        }
    }

    pub(crate) fn trigger(&self) -> Option<&str> {
        match self.origin {
            Origin::Recorded(start) => Some(&start.trigger),
            Origin::Environment { trigger, .. } => Some(trigger),
            Origin::Other => None,
        }
    }

    /// What people call what ran: the trigger, or else the project.
    pub(crate) fn name(&self) -> &str {
        self.trigger().unwrap_or(self.build.project.as_str())
    }

    fn key(&self) -> String {
        History::key(&self.build.project, &self.repository, self.trigger(), &self.place.history())
    }

    fn finished(&self) -> Finished {
        let recorded = match self.origin {
            Origin::Recorded(start) => Some(start),
            _ => None,
        };
        Finished {
            build: self.build.build.clone(),
            number: self.build.number,
            started: self
                .build
                .start
                .or(recorded.map(|start| start.at))
                .or(self.build.end)
                .unwrap_or(Timestamp::UNIX_EPOCH),
            pushed: recorded.map(BuildStart::there),
            // The push that found a tip may have begun far before it.
            previous: recorded.filter(|start| start.seen.is_none()).and_then(|start| start.previous.clone()),
            ended: self.build.end,
            status: self.build.status,
            commit: self.commit.clone(),
            pusher: self.pusher.cloned(),
            began: if self.build.never_began() { Began::Never } else { Began::Yes },
            started_for: match self.origin {
                Origin::Recorded(_) => StartedFor::Ref,
                Origin::Environment { .. } | Origin::Other => StartedFor::Somebody,
            },
        }
    }
}

/// A build that ended, and what is new about it.
pub(crate) struct Told<'a> {
    pub(crate) case: Case<'a>,
    pub(crate) news: News,
    pub(crate) topic: Option<Topic>,
    /// For mail that was asked for once more: the newest result since.
    pub(crate) since: Option<Finished>,
    pub(crate) finished: Finished,
    pub(crate) older: BTreeSet<BuildId>,
}

/// Every build that is known of, the one that ended among them, and that one by itself.
pub(crate) fn builds_of(facts: &Facts) -> Option<(Vec<Finished>, Finished, RepositoryName)> {
    let case = Case::of(facts)?;
    let finished = case.finished();
    let mut builds = facts.history.without(&finished.build).builds;
    builds.push(finished.clone());
    Some((builds, finished, case.repository))
}

/// What is new, or `None` where nothing can be.
pub(crate) fn told(facts: &Facts) -> Option<Told<'_>> {
    let case = Case::of(facts)?;
    let superseded_by = match case.origin {
        Origin::Recorded(start) => start.superseded_by.as_ref(),
        _ => None,
    };
    let (builds, finished, _) = builds_of(facts)?;
    let older = older(&builds, &finished, &facts.forebears);
    let known = History { builds }.with_older(&older);
    let finished = known.builds.iter().find(|one| one.build == finished.build).cloned().unwrap_or(finished);
    // Whoever has an event run once more wants the mail that it once was, whatever came after it.
    let (before, since) = match facts.event.envelope.again {
        Some(_) => known.split_at(&finished),
        None => (facts.history.clone().with_older(&older), None),
    };
    let news = news(&before, &finished, superseded_by);
    let topic = match news {
        News::Broke { .. } | News::StillBroken { .. } | News::NotRun => Some(Topic::BuildFailed),
        News::Fixed { .. } => Some(Topic::BuildFixed),
        News::Stopped => Some(Topic::BuildStopped),
        News::Unchanged { .. } | News::Late { .. } | News::Again { .. } | News::Told | News::Superseded { .. } => None,
    };
    Some(Told { case, news, topic, since, finished, older })
}

impl Facts {
    /// Where the history of this build lies; `None` where the build belongs to none.
    pub fn history_key(&self) -> Option<String> {
        Case::of(self).map(|case| case.key())
    }
}

/// Decides on one event.
pub fn decide(facts: &Facts, policy: &Policy) -> Decision {
    let silent = |verdict, reasons| Decision { verdict, mode: policy.mode, reasons, actions: Vec::new() };
    match &facts.event.detail {
        Detail::BuildState(change) if change.status == BuildStatus::InProgress => {
            return silent(Verdict::NotConcerned, vec![Reason::NotEnded]);
        }
        Detail::BuildState(_) => {}
        Detail::ReplicaState(change) => return decide_copy(change, facts, policy),
        Detail::ProtectionState(change) => return decide_protection(change, facts, policy),
        _ => return silent(Verdict::NotConcerned, vec![Reason::NotConcerned]),
    }
    let Some(build) = &facts.build else { return silent(Verdict::NotConcerned, vec![Reason::NotConcerned]) };
    let mut reasons = Vec::new();
    if build.known == Known::OnlyFromTheEvent {
        reasons.push(Reason::OnlyTheEvent);
    }
    reasons.push(match &facts.origin {
        Origin::Recorded(start) => Reason::StartedByTrigger { trigger: start.trigger.clone() },
        Origin::Environment { trigger, .. } => Reason::NoRecord { trigger: trigger.clone() },
        Origin::Other => Reason::StartedByOther { initiator: build.initiator.clone() },
    });
    let Some(told) = told(facts) else {
        reasons.push(Reason::NoRepository { project: build.project.clone() });
        return silent(Verdict::Silent, reasons);
    };
    reasons.push(Reason::News(Box::new(told.news.clone())));

    let mut actions = Vec::new();
    if let Some(topic) = told.topic {
        let repository = &told.case.repository;
        let audience = policy.audience(repository, topic);
        match audience.to.names() {
            None => reasons.push(Reason::Nobody { topic, repository: repository.clone() }),
            Some(to) => {
                reasons.push(Reason::Heard { topic, to: to.clone(), lines: audience.rules });
                actions.push(Action::Mail(Box::new(mail(facts, &told, topic, to, policy))));
            }
        }
    }
    let verdict = if actions.is_empty() { Verdict::Silent } else { Verdict::Mail };
    if !matches!(told.news, News::Told | News::Superseded { .. }) {
        let Told { case, finished, older, .. } = told;
        actions.push(Action::History { key: case.key(), finished: Box::new(finished), older });
    }
    Decision { verdict, mode: policy.mode, reasons, actions }
}
