//! The notifier function: mail that a person can read.
//!
//! In this version: the results of CodeBuild builds, with their history, copies that cannot be made equal, and protections.

mod apply;
mod gather;

use serde_json::json;
use signalbox_aws::{CodeBuild, CodeCommit, Failure, Logs, Topic};
use signalbox_glue::{
    Ending, Handle, Handled, Invocation, PolicySource, Said, Setup, carry_out, note, read_event, received,
};
use signalbox_ledger::{Ledger, State, Turn};
use signalbox_notifier_rules::{Decision, Facts, Verdict, decide, needs, render_reason};

/// Whether AWS itself is there, or something that stands in for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Surroundings {
    Aws,
    Emulated,
}

/// The function with its clients.
#[derive(Debug)]
pub struct Notifier {
    policy: std::sync::Arc<PolicySource>,
    ledger: Ledger,
    state: State,
    codebuild: CodeBuild,
    codecommit: CodeCommit,
    logs: Logs,
    topic: Option<Topic>,
    surroundings: Surroundings,
}

impl Notifier {
    /// The function over this setup.
    pub fn new(setup: &Setup) -> Self {
        Self {
            policy: setup.policy.clone(),
            ledger: setup.ledger.clone(),
            state: setup.state.clone(),
            codebuild: CodeBuild::new(&setup.aws),
            codecommit: CodeCommit::new(&setup.aws),
            logs: Logs::new(&setup.aws),
            topic: setup.settings.topic_arn.as_ref().map(|arn| Topic::new(&setup.aws, arn)),
            surroundings: match setup.aws.endpoint() {
                Some(_) => Surroundings::Emulated,
                None => Surroundings::Aws,
            },
        }
    }
}

impl Handle for Notifier {
    async fn handle(&self, bytes: &[u8], invocation: Invocation) -> Result<Handled, Failure> {
        let Some((event, in_force)) = read_event(bytes, &self.policy).await? else { return Ok(Handled::NotOurs) };
        let policy = &in_force.policy;
        let needs = needs(&event, policy);
        let facts = gather::gather(self, &event, &needs, policy, invocation.now).await?;
        let decision = decide(&facts, policy);
        let report = |actions| in_force.report(said(bytes, &facts, &decision, actions), invocation);

        // An event that is run once more has an entry, which must be finished again.
        if decision.verdict == Verdict::NotConcerned && event.envelope.again.is_none() {
            return Ok(Handled::Reported(Box::new(report(Vec::new()))));
        }
        let turn = Turn::of(&event.envelope);
        if decision.actions.is_empty() {
            // Considered, and silent: written down, so that a person can find out why no mail came.
            return note(&self.ledger, turn, report(Vec::new()), invocation).await;
        }
        carry_out(self, &self.ledger, turn, invocation, Ending::Done, &decision.actions, report).await
    }
}

fn said(bytes: &[u8], facts: &Facts, decision: &Decision, actions: Vec<String>) -> Said {
    Said {
        verdict: match decision.verdict {
            Verdict::Mail => "mail",
            Verdict::Silent => "silent",
            Verdict::NotConcerned => "not concerned",
        },
        reasons: decision.reasons.iter().map(render_reason).collect(),
        actions,
        replay: json!({ "received": received(bytes), "facts": facts, "decision": decision }),
    }
}
