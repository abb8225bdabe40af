//! How every function begins with an event, and how it reports one.

use serde_json::Value;
use signalbox_aws::Failure;
use signalbox_events::{Event, Parsed, parse_event};
use signalbox_ledger::{Ledger, Noted, Report, Turn};

use crate::batch::Invocation;
use crate::policy_source::{InForce, PolicySource};
use crate::run::Handled;

/// Reads an event, and the policy that it is decided by; nothing for one that is none of ours.
///
/// # Errors
/// [`Failure::Refused`] for what is no event; [`Failure::Retry`] where the policy cannot be read.
pub async fn read_event(bytes: &[u8], policy: &PolicySource) -> Result<Option<(Box<Event>, InForce)>, Failure> {
    match parse_event(bytes) {
        Ok(Parsed::Ours(event)) => Ok(Some((event, policy.current().await?))),
        Ok(Parsed::NotOurs(_)) => Ok(None),
        Err(error) => Err(Failure::refused("reading the event", error.to_string())),
    }
}

/// What a function says of an event it decided on.
#[derive(Debug, Clone)]
pub struct Said {
    /// The decision in one word.
    pub verdict: &'static str,
    /// Why, each as a sentence.
    pub reasons: Vec<String>,
    /// What came of each action, as a sentence.
    pub actions: Vec<String>,
    /// What it takes to decide once more.
    pub replay: Value,
}

impl InForce {
    /// The report of an event that was decided by this policy.
    pub fn report(&self, said: Said, invocation: Invocation) -> Report {
        let Said { verdict, reasons, actions, replay } = said;
        Report {
            at: invocation.now,
            policy_version: self.version.clone(),
            mode: self.policy.mode.name().to_owned(),
            verdict: verdict.to_owned(),
            reasons,
            actions,
            replay,
        }
    }
}

/// Reports in the ledger what needed no claim.
///
/// # Errors
/// As [`Ledger::note`].
pub async fn note(ledger: &Ledger, turn: Turn<'_>, report: Report, invocation: Invocation) -> Result<Handled, Failure> {
    Ok(match ledger.note(turn, report.clone(), invocation.now).await? {
        Noted::Written => Handled::Reported(Box::new(report)),
        Noted::Before => Handled::Before,
    })
}
