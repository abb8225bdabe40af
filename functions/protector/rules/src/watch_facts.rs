//! What is known of a repository's protection: as it is, and as it was seen before.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use signalbox_events::{Arn, PullRequestId, Region, RepositoryName};

use crate::facts::Whose;
use crate::pushers::{PusherLook, PusherMemory};

/// What is watched of a repository, as it was seen. What was never looked at is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guarded {
    /// The short name of the default branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_branch: Option<String>,
    /// The approval rule templates that apply, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub templates: Option<BTreeMap<String, RuleSeen>>,
    /// The approval rules of open pull requests, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<PullRequestId, BTreeMap<String, RuleSeen>>,
    /// The repository's triggers, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub triggers: Option<BTreeMap<String, TriggerSeen>>,
}

/// An approval rule or template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSeen {
    /// What it asks for, as CodeCommit writes it.
    pub content: String,
    /// Who changed it last.
    pub by: Option<Arn>,
}

/// A repository trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerSeen {
    /// The ARN of what it calls.
    pub destination: String,
    /// The branches; none for all.
    pub branches: BTreeSet<String>,
    /// What it tells of.
    pub events: BTreeSet<String>,
}

/// What is remembered of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchMemory {
    /// What was seen last.
    pub seen: Guarded,
    /// How often something was told: two equal changes are two.
    #[serde(default)]
    pub times: u64,
    /// When the default branch was put back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restores: Vec<Timestamp>,
    /// The pull request behind which the next sweep looks on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<PullRequestId>,
    /// Who could push.
    #[serde(default)]
    pub pushers: PusherMemory,
}

impl WatchMemory {
    /// Where it lies.
    pub fn key(repository: &RepositoryName) -> String {
        format!("state/protected/{repository}.watched.json")
    }
}

/// Everything that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchFacts {
    /// The repository.
    pub repository: RepositoryName,
    /// Its region.
    pub region: Region,
    /// When it was looked at.
    pub now: Timestamp,
    /// What an event told, where one did.
    pub told: Option<WatchTold>,
    /// Whose it was.
    pub whose: Whose,
    /// What is remembered.
    pub memory: WatchMemory,
    /// What is there.
    pub there: Guarded,
    /// Open pull requests, where that was asked: rules of others are forgotten.
    pub open: Option<BTreeSet<PullRequestId>>,
    /// Behind which of them the next sweep looks on.
    pub cursor: Option<PullRequestId>,
    /// Whom IAM lets push, where that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushers: Option<PusherLook>,
}

/// What an event tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchTold {
    /// Who did it.
    pub by: Option<Arn>,
    /// When.
    pub at: Option<Timestamp>,
    /// The pull request whose rules were set aside.
    pub overridden: Option<PullRequestId>,
}

impl WatchFacts {
    /// The facts before anything is read: for explaining an event by itself.
    pub fn before_gathering(
        repository: RepositoryName,
        region: Region,
        told: Option<WatchTold>,
        now: Timestamp,
    ) -> Self {
        Self {
            repository,
            region,
            now,
            told,
            whose: Whose::Theirs,
            memory: WatchMemory::default(),
            there: Guarded::default(),
            open: None,
            cursor: None,
            pushers: None,
        }
    }
}
