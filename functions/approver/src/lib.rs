//! The approver function: pull requests that CodeCommit merges only when everything is met.
//!
//! Each pull request into a branch that the policy asks something of has a gate: an approval rule that only the stack's checks
//! role can meet. An event says that there is something to look at; what counts is the pull request as it stands, its builds as
//! CodeBuild tells of them, and the votes on its present revision.

mod apply;
mod gather;
mod sweep;
mod templates;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use signalbox_approver_rules::{
    Decision, Facts, Gate, Idle, Needs, Occasion, Reason, Verdict, decide, needs, needs_of_build, render_action,
    render_item, render_reason,
};
use signalbox_aws::{Aws, CodeBuild, CodeCommit, Failure, Reviews, Roles};
use signalbox_events::{Arn, Event, StackName};
use signalbox_glue::{
    Ending, Handle, Handled, InForce, Invocation, Measure, OwnSessions, PolicySource, Readable, Said, Setup, carry_out,
    measure, note, read_event, received,
};
use signalbox_ledger::{Ledger, State, Turn};
use signalbox_policy::Mode;

use crate::apply::Carrier;

/// The session in which the checks role votes: the console shows it beside each vote.
const SESSION: &str = "signalbox";

/// The function with its clients; a copy shares them.
#[derive(Debug, Clone)]
pub struct Approver {
    policy: Arc<PolicySource>,
    ledger: Ledger,
    state: State,
    codecommit: CodeCommit,
    codebuild: CodeBuild,
    reviews: Reviews,
    roles: Arc<Roles>,
    checks_role: Option<Arn>,
    trigger_role: Option<String>,
    readable: Readable,
    /// Whoever writes rules and comments as this stack.
    own: OwnSessions,
    gate: Gate,
    function_name: String,
    aws: Aws,
    stack: Option<StackName>,
    sweep_time: Duration,
}

impl Approver {
    /// The function over this setup.
    pub fn new(setup: &Setup) -> Self {
        let settings = &setup.settings;
        let role = |arn: &Option<String>| arn.as_ref().and_then(|arn| Arn::parse(arn.clone()).ok());
        let sessions = |arn: Option<&Arn>| arn.and_then(Arn::session_prefix).unwrap_or_default();
        let (checks_role, own_role) = (role(&settings.checks_role), role(&settings.spared_roles.first().cloned()));
        Self {
            policy: setup.policy.clone(),
            ledger: setup.ledger.clone(),
            state: setup.state.clone(),
            codecommit: CodeCommit::new(&setup.aws),
            codebuild: CodeBuild::new(&setup.aws),
            reviews: Reviews::new(&setup.aws),
            roles: Arc::new(Roles::new(&setup.aws, SESSION)),
            trigger_role: role(&settings.trigger_role)
                .and_then(|arn| arn.as_str().rsplit('/').next().map(|name| format!("{name}/"))),
            gate: Gate {
                stack: settings.stack.clone().unwrap_or_default(),
                voters: sessions(checks_role.as_ref()),
                writers: sessions(own_role.as_ref()),
            },
            checks_role,
            readable: settings.readable(),
            own: settings.own_sessions(),
            function_name: settings.function_name.clone(),
            aws: setup.aws.clone(),
            stack: settings.stack.as_ref().and_then(|name| StackName::parse(name.as_str()).ok()),
            sweep_time: sweep::TIME,
        }
    }

    /// The same function, whose sweep stops after this time: for tests.
    #[must_use]
    pub fn with_sweep_time(self, sweep_time: Duration) -> Self {
        Self { sweep_time, ..self }
    }

    /// The client that votes: with the keys of the checks role, which nobody else may assume.
    async fn ballot(&self) -> Result<Reviews, Failure> {
        let Some(role) = &self.checks_role else {
            let what = "the environment variable SIGNALBOX_CHECKS_ROLE is not set; template.yaml sets it";
            return Err(Failure::refused("voting", what));
        };
        Ok(Reviews::new(&self.roles.assume_own(role).await?))
    }

    /// Looks at one pull request, does what follows, and reports it in the ledger under the event of `turn`.
    async fn look(
        &self,
        (event, received): (&Event, Option<Value>),
        needs: Needs,
        in_force: &InForce,
        turn: Turn<'_>,
        invocation: Invocation,
    ) -> Result<Handled, Failure> {
        let policy = &in_force.policy;
        let gathered = gather::gather(self, &needs, event, policy).await?;
        let decision = decide(&gathered.facts, policy);
        let report = |actions| {
            let replay = json!({ "received": received, "event": event, "facts": gathered.facts.for_report(), "decision": decision });
            let (verdict, reasons) = (decision.verdict.words(), reasons(&decision));
            in_force.report(Said { verdict, reasons, actions, replay }, invocation)
        };
        if decision.is_loud() {
            let why = reasons(&decision).join("; ");
            tracing::warn!(event.id = turn.event().as_str(), why, "the gate was touched");
        }
        let is_wanted = event.envelope.again.is_some() && decision.verdict != Verdict::NotConcerned;
        if decision.actions.is_empty() && !decision.is_loud() && !is_wanted {
            return Ok(Handled::Reported(Box::new(report(Vec::new()))));
        }
        let (done, told) = decision.done_and_told();
        let would: Vec<String> = told.iter().map(|action| format!("would {}", render_action(action))).collect();
        if done.is_empty() {
            let lines = would;
            // The clock comes again and again: what it would do is said once an hour by nobody.
            if gathered.facts.occasion == Occasion::Sweep && decision.mode == Mode::Observe {
                return Ok(Handled::Reported(Box::new(report(lines))));
            }
            return note(&self.ledger, turn, report(lines), invocation).await;
        }
        let ending = if decision.is_complete() { Ending::Done } else { Ending::Refused };
        let carrier = Carrier::new(self, &gathered, &decision);
        let report = |actions: Vec<String>| report(would.iter().cloned().chain(actions).collect());
        let handled = carry_out(&carrier, &self.ledger, turn, invocation, ending, &done, report).await?;
        if matches!(handled, Handled::Reported(_) | Handled::Refused(_)) && was_put_back(&decision) {
            measure(&self.function_name, Measure::Restored);
        }
        Ok(handled)
    }
}

impl Handle for Approver {
    async fn handle(&self, bytes: &[u8], invocation: Invocation) -> Result<Handled, Failure> {
        let Some((event, in_force)) = read_event(bytes, &self.policy).await? else { return Ok(Handled::NotOurs) };
        let mut needs = needs(&event, &in_force.policy, &self.gate);
        if let Occasion::None(Idle::About(scope)) = needs.occasion {
            return self.sweep(&Arc::new(*event), &in_force, scope, invocation).await;
        }
        if let Some(build) = &needs.build {
            let record = self.record(&event, build, invocation).await?;
            needs = needs_of_build(build, record.as_ref(), &in_force.policy);
        }
        let came_in = (&*event, Some(received(bytes)));
        self.look(came_in, needs, &in_force, Turn::of(&event.envelope), invocation).await
    }
}

/// Everything that is met and missing, and what else there is to say.
fn reasons(decision: &Decision) -> Vec<String> {
    decision.items.iter().map(render_item).chain(decision.reasons.iter().map(render_reason)).collect()
}

fn was_put_back(decision: &Decision) -> bool {
    let is_tampering = |reason: &Reason| matches!(reason, Reason::Tampered { .. } | Reason::OverriddenWithoutLeave(_));
    decision.reasons.iter().any(is_tampering)
}

/// The facts that nothing could be gathered for.
fn nothing(event: &Event, needs: &Needs, gate: &Gate) -> Facts {
    Facts::before_gathering(event, needs.subject.clone(), needs.occasion.clone(), gate.clone())
}
