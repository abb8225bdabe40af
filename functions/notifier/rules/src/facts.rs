//! What a decision of the notifier is made from.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use signalbox_events::{
    BuildId, BuildInformation, BuildLogs, BuildPhase, BuildStart, BuildStateChange, BuildStatus, CommitId, Detail,
    Event, PhaseStatus, PhaseType, ProjectName, PullRequestId, RefName, RepositoryName,
};

use crate::copies::CopyTold;
use crate::forebears::Forebear;
use crate::history::History;
use crate::links::Console;
use crate::redact::{redact, redact_context};
use crate::text;

/// A start record that is missing this long after the build ended will not come.
const RECORD_MAY_COME: SignedDuration = SignedDuration::from_mins(2);

/// How `CodeBuild` begins what it says of a buildspec that it cannot read.
pub(crate) const BUILDSPEC_ERROR: &str = "YAML_FILE_ERROR";

/// A line of a log is read no further than this.
const LONGEST_LINE: usize = 4_000;

/// Everything that is known; the event is part of it, so that a file of facts replays alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// What happened.
    pub event: Event,
    /// The build, for an event that says that one ended.
    pub build: Option<BuildFacts>,
    /// Why the build ran.
    pub origin: Origin,
    /// What was told last, for an event about a copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<CopyTold>,
    /// What was built before, whether or not this build is in it.
    pub history: History,
    /// Which older commits git knows to be part of a newer one, of those that were asked about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forebears: Vec<Forebear>,
    /// The last lines of the log with secrets removed; `None` where they were not read or are gone.
    pub log: Option<Vec<String>>,
    /// The commits since the last result.
    pub commits: Commits,
    /// The console, where there is one.
    pub console: Option<Console>,
}

/// A build that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildFacts {
    /// Where this was learnt.
    pub known: Known,
    /// The build.
    pub build: BuildId,
    /// The project.
    pub project: ProjectName,
    /// How it ended.
    pub status: BuildStatus,
    /// The project's count.
    pub number: Option<u64>,
    /// When it was started.
    pub start: Option<Timestamp>,
    /// When it ended.
    pub end: Option<Timestamp>,
    /// Its phases in order.
    pub phases: Vec<BuildPhase>,
    /// Where its log is.
    pub logs: Option<BuildLogs>,
    /// The `CodeCommit` repository that it was built from.
    pub repository: Option<RepositoryName>,
    /// The version that it was asked to build.
    pub source_version: Option<String>,
    /// The commit that it really built.
    pub resolved_version: Option<String>,
    /// Who started it.
    pub initiator: Option<String>,
    /// How long it might have run.
    pub timeout_in_minutes: Option<u64>,
    /// How long it might have waited in the queue.
    #[serde(default)]
    pub queued_timeout_in_minutes: Option<u64>,
}

/// Where the facts of a build come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// `CodeBuild` was asked.
    FromCodeBuild,
    /// `CodeBuild` no longer knows the build: only the event speaks.
    OnlyFromTheEvent,
}

/// Why a build ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The trigger recorded its start.
    Recorded(BuildStart),
    /// Only the build's own variables tell of a trigger: the record is missing, or somebody pressed "retry".
    Environment {
        /// The trigger.
        trigger: String,
        /// The repository.
        repository: RepositoryName,
        /// The branch or tag.
        reference: RefName,
        /// The commit.
        commit: CommitId,
        /// The pull request, where it was started for one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pull_request: Option<PullRequestId>,
    },
    /// Somebody else started it: a person, a pipeline, a schedule.
    Other,
}

/// Commits, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commits {
    /// As many as were read.
    pub listed: Vec<CommitFacts>,
    /// What comes before the last of them.
    pub rest: Rest,
}

/// What is known of the commits before the listed ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rest {
    /// The list ends where the last result was.
    Complete,
    /// There are more.
    More,
    /// Nobody looked.
    NotRead,
}

/// A commit as mail quotes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitFacts {
    /// Its id.
    pub id: CommitId,
    /// The first line of its message, cut to 300 characters.
    pub subject: String,
    /// The author's name, as git was told it.
    pub author: String,
}

impl CommitFacts {
    /// From a whole message, of which only the first line is kept.
    pub fn new(id: CommitId, message: &str, author: &str) -> Self {
        let subject = message.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        Self { id, subject: redact(&text::cut(subject, 300)), author: text::cut(author, 100) }
    }
}

impl Facts {
    /// The facts as the event alone tells them: nothing built before, nobody's start.
    ///
    /// For explaining an event by itself, and what gathering begins from.
    pub fn before_gathering(event: &Event) -> Self {
        let event = without_secrets(event);
        let build = match &event.detail {
            Detail::BuildState(change) if change.status.is_terminal() => {
                Some(BuildFacts::of_event(change, event.envelope.time))
            }
            _ => None,
        };
        Self {
            event,
            build,
            origin: Origin::Other,
            copy: None,
            history: History::default(),
            forebears: Vec::new(),
            log: None,
            commits: Commits { listed: Vec::new(), rest: Rest::NotRead },
            console: None,
        }
    }
}

impl BuildFacts {
    /// What the event itself says; `time` is the envelope's.
    pub fn of_event(change: &BuildStateChange, time: Option<Timestamp>) -> Self {
        let information = change.information.as_ref();
        Self {
            known: Known::OnlyFromTheEvent,
            build: change.build.clone(),
            project: change.project.clone(),
            status: change.status,
            number: information.and_then(|information| information.build_number),
            start: information.and_then(|information| information.start_time),
            end: time,
            phases: information.map(|information| plain_phases(information.phases.clone())).unwrap_or_default(),
            logs: information.and_then(|information| information.logs.clone()),
            repository: information.and_then(BuildInformation::source_repository),
            source_version: information.and_then(|information| information.source_version.clone()),
            resolved_version: None,
            initiator: information.and_then(|information| information.initiator.clone()),
            timeout_in_minutes: information.and_then(|information| information.timeout_in_minutes),
            queued_timeout_in_minutes: information.and_then(|information| information.queued_timeout_in_minutes),
        }
    }
}

impl BuildFacts {
    /// The phase that did not end well.
    pub(crate) fn failed_phase(&self) -> Option<&BuildPhase> {
        self.phases.iter().find(|phase| phase.status.is_some_and(PhaseStatus::is_failure))
    }

    /// Whether it failed before its buildspec was begun; a buildspec that cannot be read counts as begun, since it was pushed.
    pub(crate) fn never_began(&self) -> bool {
        let before = [PhaseType::Submitted, PhaseType::Queued, PhaseType::Provisioning, PhaseType::DownloadSource];
        matches!(self.status, BuildStatus::Failed | BuildStatus::TimedOut)
            && self.failed_phase().is_some_and(|phase| {
                before.contains(&phase.phase)
                    && !phase.context.iter().any(|said| said.trim_start().starts_with(BUILDSPEC_ERROR))
            })
    }
}

/// Phases as facts keep them: a context quotes commands, and commands may hold secrets.
pub fn plain_phases(mut phases: Vec<BuildPhase>) -> Vec<BuildPhase> {
    for phase in &mut phases {
        redact_all(&mut phase.context);
    }
    phases
}

fn redact_all(contexts: &mut [String]) {
    for context in contexts {
        *context = redact_context(context);
    }
}

/// The event as facts keep it, which end in the ledger.
fn without_secrets(event: &Event) -> Event {
    let mut event = event.clone();
    let (context, information) = match &mut event.detail {
        Detail::BuildState(change) => (&mut change.context, &mut change.information),
        Detail::BuildPhase(change) => (&mut change.context, &mut change.information),
        Detail::ReplicaState(change) => {
            // It quotes what hosts say.
            for obstacle in &mut change.obstacles {
                (obstacle.reason, obstacle.remedy) = (redact(&obstacle.reason), redact(&obstacle.remedy));
            }
            return event;
        }
        Detail::ProtectionState(change) => {
            change.why.iter_mut().for_each(|why| *why = redact(why));
            for finding in &mut change.findings {
                (finding.wrong, finding.remedy) = (redact(&finding.wrong), redact(&finding.remedy));
            }
            return event;
        }
        _ => return event,
    };
    redact_all(context);
    if let Some(information) = information {
        information.phases = plain_phases(std::mem::take(&mut information.phases));
    }
    event
}

impl Origin {
    /// What the variables tell that the trigger starts its builds with; anything incomplete is nobody's word.
    pub fn of_environment(environment: &BTreeMap<String, String>) -> Self {
        let get = |name: &str| environment.get(name).cloned();
        let told = || {
            Some(Self::Environment {
                trigger: get("SIGNALBOX_TRIGGER").filter(|trigger| !trigger.is_empty())?,
                repository: RepositoryName::parse(get("SIGNALBOX_REPOSITORY")?).ok()?,
                reference: RefName::parse(get("SIGNALBOX_REF")?).ok()?,
                commit: CommitId::parse(get("SIGNALBOX_COMMIT")?).ok()?,
                pull_request: get("SIGNALBOX_PULL_REQUEST").and_then(|id| PullRequestId::parse(id).ok()),
            })
        };
        told().unwrap_or(Self::Other)
    }
}

/// Whether a start record that is not there yet may still be written: the build may end before the trigger has.
pub fn start_record_may_still_come(ended: Option<Timestamp>, now: Timestamp) -> bool {
    ended.is_some_and(|ended| now.duration_since(ended) < RECORD_MAY_COME)
}

/// The lines of a log as facts keep them: escapes and secrets removed before anything stores them.
pub fn log_lines(messages: &[String]) -> Vec<String> {
    let lines = messages.iter().flat_map(|message| message.trim_end_matches(['\n', '\r']).split('\n'));
    // A progress bar draws over itself: what it drew last is what a person would see.
    let lines = lines.map(|line| line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default());
    let plain: Vec<String> = lines.map(|line| text::plain(&text::cut(line, LONGEST_LINE))).collect();
    redact(&plain.join("\n")).split('\n').map(|line| line.trim_end().to_owned()).collect()
}
