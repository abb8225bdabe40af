//! Which facts a decision will want: first what tells the news, then what only mail needs.

use serde::{Deserialize, Serialize};
use signalbox_events::{BuildId, CommitId, Detail, Event, RepositoryName};
use signalbox_policy::{Policy, To};

use crate::copies::CopyTold;
use crate::decide::{Told, builds_of, told};
use crate::facts::Facts;
use crate::forebears::Forebear;
use crate::news::News;
use crate::order::questions;

/// How many lines of a log are read: more than are shown, because the end of a log is CodeBuild's own talk.
const LOG_LINES: u16 = 40;

/// At most this many commits are read for one mail.
const COMMITS: usize = 10;

/// At most this many commits are read for one event to tell which of two is the older one.
const FOREBEARS: usize = 20;

/// What must be known before it is clear what is new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// The build: its details, the record of its start, and its history.
    pub build: Option<BuildId>,
    /// Where it lies what was told last of a copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<String>,
}

/// What mail will quote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct More {
    /// The end of a log.
    pub log: Option<LogWanted>,
    /// The commits since the last result.
    pub commits: Option<CommitsWanted>,
}

/// The end of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogWanted {
    /// The log group.
    pub group: String,
    /// The stream.
    pub stream: String,
    /// How many lines.
    pub lines: u16,
}

/// Commits, from the newest along first parents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitsWanted {
    /// Where.
    pub repository: RepositoryName,
    /// The newest.
    pub from: CommitId,
    /// Where to stop: this one is known already. Without it only the newest is read.
    pub until: Option<CommitId>,
    /// How many at most.
    pub most: usize,
}

/// Commits that may be part of a newer one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForebearsWanted {
    /// Where.
    pub repository: RepositoryName,
    /// What to look for, and in whose history.
    pub pairs: Vec<Forebear>,
    /// How many commits to read at most, of all their histories together.
    pub most: usize,
}

/// Which facts the decision on this event will want.
///
/// The policy changes nothing: the history is kept whoever listens, or the first mail of a new subscriber would be wrong.
pub fn needs(event: &Event, _policy: &Policy) -> Needs {
    let build = match &event.detail {
        Detail::BuildState(change) if change.status.is_terminal() => Some(change.build.clone()),
        _ => None,
    };
    let copy = match &event.detail {
        Detail::ReplicaState(change) => Some(CopyTold::key(&change.repository, &change.target)),
        _ => None,
    };
    Needs { build, copy }
}

/// Which commits must be looked for in the history of a newer one, once it is known what was built before.
///
/// None for the builds that the trigger started: they are ordered by its records. For one that somebody wanted, or a schedule or
/// another tool started, of a commit whose push nobody remembers, git is asked whether the newest result before it is of a
/// newer commit; whether there will be mail or not, as what is remembered now decides what the next result is compared with. What
/// was told before needs no answer.
pub fn needs_forebears(facts: &Facts) -> Option<ForebearsWanted> {
    let is_told = |news: &News| matches!(news, News::Told | News::Superseded { .. });
    if told(facts).is_some_and(|told| is_told(&told.news)) {
        return None;
    }
    let (builds, finished, repository) = builds_of(facts)?;
    let pairs = questions(&builds, &finished);
    (!pairs.is_empty()).then_some(ForebearsWanted { repository, pairs, most: FOREBEARS })
}

/// What mail will quote, once it is clear that there will be mail: for silence no log is read, and no commits to list.
pub fn needs_more(facts: &Facts, policy: &Policy) -> More {
    let Some(Told { case, news, topic: Some(topic), .. }) = told(facts) else { return More::default() };
    if policy.audience(&case.repository, topic).to == To::Nobody {
        return More::default();
    }
    let failed = matches!(news, News::Broke { .. } | News::StillBroken { .. } | News::NotRun);
    let log = case.build.logs.as_ref().filter(|_| failed).and_then(|logs| {
        Some(LogWanted { group: logs.group.clone()?, stream: logs.stream.clone()?, lines: LOG_LINES })
    });
    let result_before = match &news {
        News::Broke { green } => green.as_ref(),
        News::StillBroken { last, .. } | News::Fixed { last, .. } => Some(last),
        _ => None,
    };
    let until = result_before.and_then(|before| before.commit.clone()).or_else(|| case.previous.cloned());
    let commits = case.commit.clone().map(|from| CommitsWanted {
        repository: case.repository.clone(),
        most: if until.is_some() { COMMITS } else { 1 },
        from,
        until,
    });
    More { log, commits }
}
