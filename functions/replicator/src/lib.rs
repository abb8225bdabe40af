//! The replicator function: copies of repositories that are always equal.
//!
//! An event only says *look now*: refs of both sides are listed, compared, and what the target lacks is streamed to it.

mod apply;
mod bundle;
mod gather;
mod places;
mod progress;
mod push;
mod steps;
mod sweep;

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::{Value, json};
use signalbox_aws::{Aws, CodeCommit, Failure, Roles, Secrets};
use signalbox_events::{Detail, Event, StackName};
use signalbox_gitwire::http::{Client, Patience};
use signalbox_glue::{
    Apply, Ending, Handle, Handled, InForce, Invocation, PolicySource, Readable, Said, Setup, carry_out, note,
    read_event, received,
};
use signalbox_ledger::{Ledger, Outcome, State, Turn};
use signalbox_policy::Mode;
use signalbox_replicator_rules::{Decision, Facts, Home, Needs, Verdict, decide, needs, render_action, render_reason};
use tokio::sync::OnceCell;

use crate::apply::Carrier;
use crate::gather::Seen;

/// The function with its clients.
#[derive(Debug)]
pub struct Replicator {
    policy: std::sync::Arc<PolicySource>,
    ledger: Ledger,
    state: State,
    aws: Aws,
    codecommit: CodeCommit,
    roles: OnceLock<Roles>,
    git: OnceCell<Client>,
    readable: Readable,
    stack: Option<StackName>,
    function_name: String,
    sweep_time: Duration,
}

impl Replicator {
    /// The function over this setup.
    pub fn new(setup: &Setup) -> Self {
        Self {
            policy: setup.policy.clone(),
            ledger: setup.ledger.clone(),
            state: setup.state.clone(),
            codecommit: CodeCommit::new(&setup.aws),
            aws: setup.aws.clone(),
            roles: OnceLock::new(),
            git: OnceCell::new(),
            stack: setup.settings.stack.as_ref().and_then(|name| StackName::parse(name.as_str()).ok()),
            readable: setup.settings.readable(),
            function_name: setup.settings.function_name.clone(),
            sweep_time: sweep::TIME,
        }
    }

    /// The same function, whose sweep looks no further after this time: for tests of how the next one goes on.
    #[must_use]
    pub fn with_sweep_time(self, sweep_time: Duration) -> Self {
        Self { sweep_time, ..self }
    }

    /// The same function with another client for git: for tests whose host nobody else trusts.
    #[must_use]
    pub fn with_git(self, git: Client) -> Self {
        Self { git: OnceCell::new_with(Some(git)), ..self }
    }

    /// Reads secrets; made where it is needed, as few copies are elsewhere.
    fn secrets(&self) -> Secrets {
        Secrets::new(&self.aws)
    }

    /// Assumes roles; made where it is needed. Their sessions are called after the function.
    fn roles(&self) -> &Roles {
        self.roles.get_or_init(|| Roles::new(&self.aws, &self.function_name))
    }

    /// The client for git, made when it is first needed: most events concern no copy.
    async fn git(&self) -> Result<&Client, Failure> {
        let make = || async {
            Client::new(Patience::default())
                .map_err(|error| Failure::retry("connecting to git hosts", error.to_string()))
        };
        self.git.get_or_try_init(make).await
    }

    /// Looks at a repository and its copies, makes them equal, and reports it in the ledger under the event of `turn`.
    async fn look(
        &self,
        (event, received): (&Event, Option<Value>),
        needs: &Needs,
        in_force: &InForce,
        turn: Turn<'_>,
        invocation: Invocation,
    ) -> Result<Looked, Failure> {
        let home = Home::of(&event.envelope);
        let seen = self.gather(needs, &home, &in_force.policy, invocation.now).await?;
        let decision = decide(&seen.facts, &in_force.policy);
        let report = |actions| in_force.report(said((event, &received), &seen.facts, &decision, actions), invocation);
        let is_quiet = decision.actions.is_empty();
        let is_open = !decision.is_complete();
        let handled = |handled| Ok(Looked { handled, is_quiet, is_open, is_news: false });

        // An event that is run once more has an entry, which must be finished again.
        if decision.verdict == Verdict::NotConcerned && event.envelope.again.is_none() {
            return handled(Handled::Reported(Box::new(report(Vec::new()))));
        }
        if received.is_none() && is_quiet {
            // The sweep found nothing to do, or nothing that was not told before.
            return handled(Handled::Reported(Box::new(report(Vec::new()))));
        }
        if decision.mode == Mode::Observe {
            let would = decision.actions.iter().map(|action| format!("would {}", render_action(action)));
            return handled(note(&self.ledger, turn, report(would.collect()), invocation).await?);
        }
        let carrier = Carrier {
            function: self,
            policy: &in_force.policy,
            seen: &seen,
            event: turn.event(),
            has_told: AtomicBool::new(false),
        };
        let ending = if decision.is_complete() { Ending::Done } else { Ending::Refused };
        if ending == Ending::Done && decision.actions.iter().all(|action| carrier.step(action).key.is_none()) {
            // What may simply be done again needs no claim.
            let mut done = Vec::new();
            for action in &decision.actions {
                let outcome = Outcome::from(carrier.apply(action, 1, invocation).await?);
                done.push(format!("{}: {outcome}", carrier.step(action).told));
            }
            return handled(note(&self.ledger, turn, report(done), invocation).await?);
        }
        let handled = carry_out(&carrier, &self.ledger, turn, invocation, ending, &decision.actions, report).await?;
        Ok(Looked { handled, is_quiet, is_open, is_news: carrier.has_told.into_inner() })
    }

    async fn gather(
        &self,
        needs: &Needs,
        home: &Home,
        policy: &signalbox_policy::Policy,
        now: jiff::Timestamp,
    ) -> Result<Seen, Failure> {
        gather::gather(self, needs, home, policy, now).await
    }
}

/// What a look came to.
struct Looked {
    handled: Handled,
    /// There was nothing to do.
    is_quiet: bool,
    /// Something needs a person, whether that is new or not.
    is_open: bool,
    /// People were told something.
    is_news: bool,
}

impl Handle for Replicator {
    async fn handle(&self, bytes: &[u8], invocation: Invocation) -> Result<Handled, Failure> {
        let Some((event, in_force)) = read_event(bytes, &self.policy).await? else { return Ok(Handled::NotOurs) };
        // Whoever else may send one into the queue only has the copies looked at once more.
        if let Detail::Scheduled(_) = event.detail {
            return self.sweep(&event, &in_force, invocation).await;
        }
        let needs = needs(&event, &in_force.policy);
        let came_in = (&*event, Some(received(bytes)));
        self.look(came_in, &needs, &in_force, Turn::of(&event.envelope), invocation).await.map(|looked| looked.handled)
    }
}

fn said((event, received): (&Event, &Option<Value>), facts: &Facts, decision: &Decision, actions: Vec<String>) -> Said {
    Said {
        verdict: match decision.verdict {
            Verdict::Copy => "copy",
            Verdict::Fail => "fail",
            Verdict::Equal => "equal",
            Verdict::NotConcerned => "not concerned",
        },
        reasons: decision.reasons.iter().map(render_reason).collect(),
        actions,
        replay: json!({
            "received": received, "event": event, "facts": facts.for_report(), "decision": decision.for_report(),
        }),
    }
}
