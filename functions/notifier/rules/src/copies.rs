//! A copy that cannot be made equal, or is equal again: what is new about it, and who hears of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use signalbox_events::{EventId, ReplicaState, ReplicaStateChange, RepositoryName};
use signalbox_policy::{Policy, Topic};

use crate::copy_mail::copy_mail;
use crate::decide::{Action, Decision, Reason, Verdict};
use crate::facts::Facts;

/// What people were told last of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyTold {
    /// When it was seen.
    pub seen: Timestamp,
    /// The id of what was told.
    pub notice: EventId,
}

/// What is new about a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyNews {
    /// It cannot be made equal.
    Fails,
    /// It still cannot, for other reasons.
    Changed,
    /// It is equal again.
    Equal,
    /// Something newer was told of it already.
    Late {
        /// When that was seen.
        newer: Timestamp,
    },
    /// This very thing was told already.
    Told,
}

impl CopyTold {
    /// Where it lies in the stack's bucket.
    pub fn key(repository: &RepositoryName, target: &str) -> String {
        let digest: String = Sha256::digest(target).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("state/history/copies/{repository}/{digest}.json")
    }

    /// Of two the one that was seen later.
    #[must_use]
    pub fn over(&self, there: Option<&Self>) -> Self {
        there.filter(|there| there.seen > self.seen).unwrap_or(self).clone()
    }
}

fn news(change: &ReplicaStateChange, facts: &Facts) -> CopyNews {
    // Whoever has an event run once more wants the mail that it once was.
    let before = facts.copy.as_ref().filter(|_| facts.event.envelope.again.is_none());
    match (before, change.state) {
        (Some(before), _) if before.notice == change.notice => CopyNews::Told,
        (Some(before), _) if before.seen > change.seen => CopyNews::Late { newer: before.seen },
        (_, ReplicaState::Failed) => CopyNews::Fails,
        (_, ReplicaState::Changed) => CopyNews::Changed,
        (_, ReplicaState::Equal) => CopyNews::Equal,
    }
}

/// Decides on what the replicator told of a copy.
pub(crate) fn decide_copy(change: &ReplicaStateChange, facts: &Facts, policy: &Policy) -> Decision {
    let news = news(change, facts);
    let topic = match news {
        CopyNews::Fails | CopyNews::Changed => Some(Topic::ReplicaFailed),
        CopyNews::Equal => Some(Topic::ReplicaFixed),
        CopyNews::Late { .. } | CopyNews::Told => None,
    };
    let mut reasons = vec![Reason::Copy(news)];
    let mut actions = Vec::new();
    let mut verdict = Verdict::Silent;
    if let Some(topic) = topic {
        let audience = policy.audience(&change.repository, topic);
        match audience.to.names() {
            None => reasons.push(Reason::Nobody { topic, repository: change.repository.clone() }),
            Some(to) => {
                reasons.push(Reason::Heard { topic, to: to.clone(), lines: audience.rules });
                actions.push(Action::Mail(Box::new(copy_mail(change, facts, topic, to, policy))));
                verdict = Verdict::Mail;
            }
        }
        let told = CopyTold { seen: change.seen, notice: change.notice.clone() };
        actions.push(Action::CopyTold { key: CopyTold::key(&change.repository, &change.target), told });
    }
    Decision { verdict, mode: policy.mode, reasons, actions }
}
