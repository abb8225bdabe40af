//! The protector function: branches and tags that cannot stay broken.
//!
//! An event tells where a ref was, where it is and who moved it; that is written into a journal. A move that the policy does not allow is
//! undone with one compare-and-swap over git's own protocol, where the journal proves what was there.

mod apply;
mod bounds;
mod gather;
mod git;
mod merges;
mod pack;
mod pushers;
mod range;
mod review;
mod sweep;
mod tell;
mod walk;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use signalbox_aws::{Aws, CodeCommit, Failure};
use signalbox_events::{Detail, Event, Region, StackName};
use signalbox_gitwire::http::{Client, Patience};
use signalbox_glue::{
    Apply, Ending, Handle, Handled, InForce, Invocation, OwnSessions, PolicySource, Readable, Said, Setup, carry_out,
    note, read_event, received,
};
use signalbox_ledger::{Ledger, Outcome, State, Turn};
use signalbox_policy::{Mode, Policy};
use signalbox_protector_rules::{
    Action, Facts, Needs, Verdict, decide, needs, render_action, render_reason, wants_tip, watch_of,
};
use tokio::sync::OnceCell;

use crate::apply::Carrier;
pub use crate::bounds::Bounds;

/// How long what was undone is kept where the template does not say.
const KEPT_DAYS: u32 = 30;

/// The function with its clients.
#[derive(Debug)]
pub struct Protector {
    policy: Arc<PolicySource>,
    ledger: Ledger,
    state: State,
    aws: Aws,
    codecommit: CodeCommit,
    git: OnceCell<Client>,
    readable: Readable,
    stack: Option<StackName>,
    own: OwnSessions,
    kept_days: u32,
    function_name: String,
    sweep_time: Duration,
    patience: Duration,
    bounds: Bounds,
}

impl Protector {
    /// The function over this setup.
    pub fn new(setup: &Setup) -> Self {
        let settings = &setup.settings;
        Self {
            policy: setup.policy.clone(),
            ledger: setup.ledger.clone(),
            state: setup.state.clone(),
            codecommit: CodeCommit::new(&setup.aws),
            aws: setup.aws.clone(),
            git: OnceCell::new(),
            stack: settings.stack.as_ref().and_then(|name| StackName::parse(name.as_str()).ok()),
            readable: settings.readable(),
            own: settings.own_sessions(),
            kept_days: settings.quarantine_days.unwrap_or(KEPT_DAYS),
            function_name: settings.function_name.clone(),
            sweep_time: sweep::TIME,
            patience: sweep::PATIENCE,
            bounds: Bounds::default(),
        }
    }

    /// The same function, whose sweep waits no longer than this for the event of a move that it found: for tests.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The same function with other bounds for one look at a push: for tests.
    #[must_use]
    pub fn with_bounds(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
    }

    /// The client for git, made when it is first needed: most events concern no protected ref.
    async fn git(&self) -> Result<&Client, Failure> {
        let make = || async {
            Client::new(Patience::default())
                .map_err(|error| Failure::retry("connecting to CodeCommit", error.to_string()))
        };
        self.git.get_or_try_init(make).await
    }

    /// Looks at one move of a ref, does what follows, and reports it in the ledger under the event of `turn`.
    async fn look(
        &self,
        (event, received): (&Event, Option<Value>),
        needs: &Needs,
        in_force: &InForce,
        turn: Turn<'_>,
        invocation: Invocation,
    ) -> Result<Handled, Failure> {
        let region = event.envelope.region.clone();
        let facts = self.gathered(needs, &region, &in_force.policy, invocation).await?;
        let decision = decide(&facts, &in_force.policy);
        let is_observed = decision.mode == Mode::Observe;
        let is_memory = |action: &Action| matches!(action, Action::Remember { .. } | Action::Settle { .. });
        let is_done = |action: &&Action| {
            !is_observed || matches!(action, Action::Remember { .. } | Action::GoOn { .. } | Action::Tell(_))
        };
        let left = decision.actions.iter().filter(|action| !is_done(action));
        let would: Vec<String> = left.map(|action| format!("would {}", render_action(action))).collect();
        let done: Vec<Action> = decision.actions.iter().filter(is_done).cloned().collect();
        let report = |actions: Vec<String>| {
            let actions = would.iter().cloned().chain(actions).collect();
            let said = Said {
                verdict: verdict(decision.verdict),
                reasons: decision.reasons.iter().map(render_reason).collect(),
                actions,
                replay: json!({
                    "received": received, "event": event, "facts": facts.for_report(), "decision": decision,
                }),
            };
            in_force.report(said, invocation)
        };
        if decision.verdict == Verdict::NotConcerned && event.envelope.again.is_none() {
            return Ok(Handled::Reported(Box::new(report(Vec::new()))));
        }
        let carrier = Carrier::new(self, turn.event());
        let ending = if decision.is_complete() || is_observed { Ending::Done } else { Ending::Refused };
        if ending == Ending::Refused || !done.iter().all(is_memory) {
            return carry_out(&carrier, &self.ledger, turn, invocation, ending, &done, report).await;
        }
        // What only we remember may simply be written again: it needs no claim.
        let mut lines = Vec::new();
        for action in &done {
            let outcome = Outcome::from(carrier.apply(action, 1, invocation).await?);
            lines.push(format!("{}: {outcome}", render_action(action)));
        }
        note(&self.ledger, turn, report(lines), invocation).await
    }

    async fn gathered(
        &self,
        needs: &Needs,
        region: &Region,
        policy: &Policy,
        invocation: Invocation,
    ) -> Result<Facts, Failure> {
        let mut facts = gather::gather(self, needs, region, invocation).await?;
        if wants_tip(&facts, policy) {
            gather::gather_tip(self, &mut facts).await?;
        }
        Ok(facts)
    }
}

impl Handle for Protector {
    async fn handle(&self, bytes: &[u8], invocation: Invocation) -> Result<Handled, Failure> {
        let Some((event, in_force)) = read_event(bytes, &self.policy).await? else { return Ok(Handled::NotOurs) };
        // Whoever else may send one into the queue only has the refs looked at once more.
        if let Detail::Scheduled(_) = event.detail {
            return self.sweep(&event, &in_force, invocation).await;
        }
        if let Some(wanted) = watch_of(&event) {
            return self.watch_event((&event, &received(bytes)), &wanted, &in_force, invocation).await;
        }
        if let Detail::CheckState(change) = &event.detail {
            return self.review((&event, &received(bytes)), change, &in_force, invocation).await;
        }
        let needs = needs(&event, &in_force.policy);
        let came_in = (&*event, Some(received(bytes)));
        match self.look(came_in, &needs, &in_force, Turn::of(&event.envelope), invocation).await {
            Err(failure @ Failure::Refused(_)) => Err(self.refused(&needs, &event.envelope.id, failure).await),
            looked => looked,
        }
    }
}

/// A verdict as reports have it.
const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::NotConcerned => "not concerned",
        Verdict::Allowed => "allowed",
        Verdict::Bypassed => "bypassed",
        Verdict::Reported => "reported",
        Verdict::Restore => "restore",
        Verdict::Ours => "ours",
    }
}
