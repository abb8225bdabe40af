//! What became of a protected ref, or of the protection itself: who hears of it.

use signalbox_events::{ProtectionState, ProtectionStateChange};
use signalbox_policy::{Policy, Topic};

use crate::decide::{Action, Decision, Reason, Verdict};
use crate::facts::Facts;
use crate::protection_mail::protection_mail;

/// What the mail is about.
const fn topic_of(state: ProtectionState) -> Topic {
    match state {
        ProtectionState::Restored => Topic::ProtectionRestored,
        ProtectionState::WouldRestore | ProtectionState::Violated => Topic::ProtectionViolated,
        ProtectionState::Bypassed => Topic::ProtectionBypassed,
        ProtectionState::Weakened => Topic::ProtectionWeakened,
        ProtectionState::Contested => Topic::ProtectionContested,
        ProtectionState::Failed => Topic::ProtectionFailed,
    }
}

/// Decides on what the protector told. Each notice is news of its own: what was told before, the ledger knows.
pub(crate) fn decide_protection(change: &ProtectionStateChange, facts: &Facts, policy: &Policy) -> Decision {
    let topic = topic_of(change.state);
    let mut reasons = vec![Reason::Protection { state: change.state }];
    let mut actions = Vec::new();
    let audience = policy.audience(&change.repository, topic);
    let verdict = match audience.to.names() {
        None => {
            reasons.push(Reason::Nobody { topic, repository: change.repository.clone() });
            Verdict::Silent
        }
        Some(mut to) => {
            // Whoever did it is meant, too: a subscription of their own finds it by their name.
            let person = change.by.as_ref().and_then(|by| policy.person(by)).and_then(|person| person.name.as_ref());
            if let Some(name) = person.map(ToString::to_string).filter(|name| !to.contains(name)) {
                to.push(name);
            }
            reasons.push(Reason::Heard { topic, to: to.clone(), lines: audience.rules });
            actions.push(Action::Mail(Box::new(protection_mail(change, facts, topic, to, policy))));
            Verdict::Mail
        }
    };
    Decision { verdict, mode: policy.mode, reasons, actions }
}
