//! The trigger function: starts builds, pipelines and deployments.
//!
//! In this version: CodeBuild builds for pushes.

mod apply;
mod gather;

use serde_json::json;
use signalbox_aws::{CodeBuild, CodeCommit, Failure};
use signalbox_events::{Event, Parsed, parse_event};
use signalbox_glue::{Apply, Ending, Handle, Handled, InForce, Invocation, PolicySource, Setup, carry_out, received};
use signalbox_ledger::{Ledger, Report, State};
use signalbox_policy::Mode;
use signalbox_trigger_rules::{Decision, Facts, Verdict, decide, needs, render_action, render_reason};

/// The function with its clients.
#[derive(Debug)]
pub struct Trigger {
    policy: std::sync::Arc<PolicySource>,
    ledger: Ledger,
    state: State,
    codecommit: CodeCommit,
    codebuild: CodeBuild,
}

impl Trigger {
    /// The function over this setup.
    pub fn new(setup: &Setup) -> Self {
        Self {
            policy: setup.policy.clone(),
            ledger: setup.ledger.clone(),
            state: setup.state.clone(),
            codecommit: CodeCommit::new(&setup.aws),
            codebuild: CodeBuild::new(&setup.aws),
        }
    }

    /// The same function, reading `CodeCommit` in pages of `items`: for tests of paging.
    #[must_use]
    pub fn with_page_size(self, items: i32) -> Self {
        Self { codecommit: self.codecommit.with_page_size(items), ..self }
    }
}

impl Handle for Trigger {
    async fn handle(&self, bytes: &[u8], invocation: Invocation) -> Result<Handled, Failure> {
        let event = match parse_event(bytes) {
            Ok(Parsed::Ours(event)) => event,
            Ok(Parsed::NotOurs(_)) => return Ok(Handled::NotOurs),
            Err(error) => return Err(Failure::refused("reading the event", error.to_string())),
        };
        let InForce { policy, version } = self.policy.current().await?;
        let needs = needs(&event, &policy);
        let facts = gather::gather(&needs, &event, self, invocation.now).await?;
        let decision = decide(&facts, &policy);
        let id = &event.envelope.id;
        let report = |actions| report(bytes, &event, &facts, &decision, actions, version.clone(), invocation);

        // An event that is run once more has an entry, which must be finished again.
        if decision.verdict == Verdict::NotConcerned && event.envelope.again.is_none() {
            return Ok(Handled::Reported(Box::new(report(Vec::new()))));
        }
        if decision.mode == Mode::Observe {
            let would = decision.actions.iter().map(|action| format!("would {}", render_action(action)));
            let report = report(would.collect());
            self.ledger.note(id, report.clone(), invocation.now).await?;
            return Ok(Handled::Reported(Box::new(report)));
        }
        let ending = if decision.is_complete() { Ending::Done } else { Ending::Refused };
        if ending == Ending::Done && decision.actions.iter().all(|action| action.key().is_none()) {
            // What may simply be done again needs no claim.
            let mut done = Vec::new();
            for action in &decision.actions {
                let outcome = self.apply(action, 1, invocation).await?;
                done.push(format!("{}: {outcome}", self.step(action).told));
            }
            let report = report(done);
            self.ledger.note(id, report.clone(), invocation.now).await?;
            return Ok(Handled::Reported(Box::new(report)));
        }
        carry_out(self, &self.ledger, id, invocation, ending, &decision.actions, report).await
    }
}

fn report(
    bytes: &[u8],
    event: &Event,
    facts: &Facts,
    decision: &Decision,
    actions: Vec<String>,
    policy_version: Option<String>,
    invocation: Invocation,
) -> Report {
    Report {
        at: invocation.now,
        policy_version,
        mode: decision.mode.name().to_owned(),
        verdict: match decision.verdict {
            Verdict::Start => "start",
            Verdict::Nothing => "nothing",
            Verdict::NotConcerned => "not concerned",
        }
        .to_owned(),
        reasons: decision.reasons.iter().map(render_reason).collect(),
        actions,
        replay: json!({ "received": received(bytes), "event": event, "facts": facts.for_report(), "decision": decision }),
    }
}
