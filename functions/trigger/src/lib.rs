//! The trigger function: starts builds, pipelines and deployments.
//!
//! In this version: CodeBuild builds for pushes.

mod apply;
mod gather;

use serde_json::json;
use signalbox_aws::{CodeBuild, CodeCommit, Failure};
use signalbox_events::{Event, Parsed, parse_event};
use signalbox_glue::{Handle, Handled, InForce, Invocation, PolicySource, Setup};
use signalbox_ledger::{Claim, Ledger, Report, State};
use signalbox_policy::Mode;
use signalbox_trigger_rules::{Decision, Facts, Verdict, decide, needs, render_reason};

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
    async fn handle(&self, event: &[u8], invocation: Invocation) -> Result<Handled, Failure> {
        let event = match parse_event(event) {
            Ok(Parsed::Ours(event)) => event,
            Ok(Parsed::NotOurs(_)) => return Ok(Handled::NotOurs),
            Err(error) => return Err(Failure::refused("reading the event", error.to_string())),
        };
        let InForce { policy, version } = self.policy.current().await?;
        let needs = needs(&event, &policy);
        let facts = gather::gather(&needs, &event, self).await?;
        let decision = decide(&facts, &policy);
        let report = |actions| report(&event, &facts, &decision, actions, version.clone(), invocation);

        if decision.verdict == Verdict::NotConcerned {
            return Ok(Handled::Reported(Box::new(report(Vec::new())?)));
        }
        let observed = decision.mode == Mode::Observe;
        if observed || decision.actions.iter().all(|action| action.key().is_none()) {
            // What may simply be done again needs no claim. Observing, what would be done is only told.
            let done = if observed { apply::would(&decision) } else { apply::freely(self, &decision).await? };
            let report = report(done)?;
            self.ledger.note(&event.envelope.id, report.clone()).await?;
            return Ok(Handled::Reported(Box::new(report)));
        }
        let mut held = match self.ledger.claim(&event.envelope.id, invocation.lease(), invocation.now).await? {
            Claim::Held(held) => held,
            Claim::Finished(_) => return Ok(Handled::Before),
            Claim::Busy { until } => {
                return Err(Failure::retry("claiming the event", format!("another invocation works on it until {until}")));
            }
        };
        match apply::apply(self, &decision, &mut held, invocation.now).await {
            Ok(done) => {
                let report = report(done)?;
                held.finish(report.clone()).await?;
                Ok(Handled::Reported(Box::new(report)))
            }
            Err(failure) => {
                if let Err(kept) = held.release().await {
                    tracing::warn!(why = kept.chain(), "the claim could not be given back; it runs out by itself");
                }
                Err(failure)
            }
        }
    }
}

fn report(
    event: &Event,
    facts: &Facts,
    decision: &Decision,
    actions: Vec<String>,
    policy_version: Option<String>,
    invocation: Invocation,
) -> Result<Report, Failure> {
    Ok(Report {
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
        replay: json!({ "event": event, "facts": facts, "decision": decision }),
    })
}
