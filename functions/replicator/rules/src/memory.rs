//! What is remembered of a copy: the refs that both sides last agreed on, and what is wrong with it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use signalbox_events::{EventId, RepositoryName};

use crate::facts::Refs;

/// The memory of one copy, or of two repositories that copy each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The target, for whoever reads the object.
    pub target: String,
    /// The refs that were equal on both sides when they were last listed, by their names in the target.
    pub agreed: Refs,
    /// The description that both sides had when they were last seen with the same one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What is wrong, for each source: two that copy each other share a memory.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failing: BTreeMap<RepositoryName, Failing>,
    /// Who copies at the moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working: Option<Working>,
}

/// A copy that could not be made equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// Since when.
    pub since: Timestamp,
    /// What is wrong, each as a sentence.
    pub what: Vec<String>,
}

/// An invocation that copies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Working {
    /// The event that it copies for.
    pub event: EventId,
    /// When others may take over.
    pub until: Timestamp,
}

impl Memory {
    /// A memory of nothing.
    pub fn empty(target: impl Into<String>) -> Self {
        Self { target: target.into(), ..Self::default() }
    }

    /// Who copies now, other than for this event.
    pub fn busy(&self, event: &EventId, now: Timestamp) -> Option<Timestamp> {
        self.working.as_ref().filter(|working| working.event != *event && working.until > now).map(|it| it.until)
    }

    /// The memory with `what` wrong for this source; the moment of the first failure stays.
    #[must_use]
    pub fn with_trouble(mut self, source: &RepositoryName, what: Vec<String>, now: Timestamp) -> Self {
        if what.is_empty() {
            self.failing.remove(source);
        } else {
            let since = self.failing.get(source).map_or(now, |failing| failing.since);
            self.failing.insert(source.clone(), Failing { since, what });
        }
        self
    }
}
