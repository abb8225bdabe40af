//! The trigger function: starts builds, pipelines and deployments.
//!
//! In this version: CodeBuild builds for pushes, pull requests and comments on them, and the sweep that finds what an event
//! was lost of.

mod apply;
mod gather;
mod gather_review;
mod review;
mod review_sweep;
mod sweep;

use std::time::Duration;

use serde_json::{Value, json};
use signalbox_aws::{CodeBuild, CodeCommit, Failure};
use signalbox_events::{Detail, Event, EventId, RefKind};
use signalbox_glue::{
    Apply, Ending, Handle, Handled, InForce, Invocation, OwnSessions, PolicySource, Readable, Said, Setup, carry_out,
    note, read_event, received,
};
use signalbox_ledger::{Ledger, Outcome, State, Turn};
use signalbox_policy::Mode;
use signalbox_trigger_rules::{
    Arrival, Decision, Facts, Journal, Known, Needs, Reason, Verdict, decide, needs, render_action, render_reason,
    review_of,
};

/// The function with its clients.
#[derive(Debug)]
pub struct Trigger {
    policy: std::sync::Arc<PolicySource>,
    ledger: Ledger,
    state: State,
    codecommit: CodeCommit,
    codebuild: CodeBuild,
    readable: Readable,
    /// Whoever writes comments as this stack.
    own: OwnSessions,
    sweep_time: Duration,
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
            readable: setup.settings.readable(),
            own: setup.settings.own_sessions(),
            sweep_time: sweep::TIME,
        }
    }

    /// The same function, reading `CodeCommit` in pages of `items`: for tests of paging.
    #[must_use]
    pub fn with_page_size(self, items: i32) -> Self {
        Self { codecommit: self.codecommit.with_page_size(items), ..self }
    }

    /// The same function, whose sweep looks no further after this time: for tests of how the next one goes on.
    #[must_use]
    pub fn with_sweep_time(self, sweep_time: Duration) -> Self {
        Self { sweep_time, ..self }
    }

    /// Takes up a push, does what it asks for, and reports it in the ledger.
    ///
    /// `received` is what came in, as a report keeps it; a push that the sweep found never came in.
    async fn push(
        &self,
        (event, received): (&Event, Option<Value>),
        known: Known,
        needs: &Needs,
        in_force: &InForce,
        under: Turn<'_>,
        invocation: Invocation,
    ) -> Result<Handled, Failure> {
        let facts = gather::gather(needs, (event, known, under.event()), self, invocation.now).await?;
        self.act((event, received), &facts, in_force, under, invocation).await
    }

    /// Decides on what was gathered, does it, and reports it in the ledger.
    async fn act(
        &self,
        (event, received): (&Event, Option<Value>),
        facts: &Facts,
        in_force: &InForce,
        under: Turn<'_>,
        invocation: Invocation,
    ) -> Result<Handled, Failure> {
        let decision = decide(facts, &in_force.policy);
        let report = |actions| in_force.report(said((event, &received), facts, &decision, actions), invocation);

        // An event that is run once more has an entry, which must be finished again.
        if decision.verdict == Verdict::NotConcerned && event.envelope.again.is_none() {
            return Ok(Handled::Reported(Box::new(report(Vec::new()))));
        }
        if decision.mode == Mode::Observe {
            let would = decision.actions.iter().map(|action| format!("would {}", render_action(action)));
            return note(&self.ledger, under, report(would.collect()), invocation).await;
        }
        let ending = if decision.is_complete() { Ending::Done } else { Ending::Refused };
        if ending == Ending::Done && decision.actions.iter().all(|action| action.key().is_none()) {
            // What may simply be done again needs no claim.
            let mut done = Vec::new();
            for action in &decision.actions {
                let outcome: Outcome = self.apply(action, 1, invocation).await?.into();
                done.push(format!("{}: {outcome}", self.step(action).told));
            }
            return note(&self.ledger, under, report(done), invocation).await;
        }
        carry_out(self, &self.ledger, under, invocation, ending, &decision.actions, report).await
    }

    /// Notes under an event's own id where it is told what came of it.
    async fn point(
        &self,
        (event, received): (&Event, Value),
        reason: &Reason,
        in_force: &InForce,
        invocation: Invocation,
    ) -> Result<(), Failure> {
        let told = Said {
            verdict: verdict(Verdict::Nothing),
            reasons: vec![render_reason(reason)],
            actions: Vec::new(),
            replay: json!({ "received": received, "event": event }),
        };
        let told = in_force.report(told, invocation);
        self.ledger.note(Turn::of(&event.envelope), told, invocation.now).await.map(drop)
    }

    /// Takes a push up in its branch's journal; gives the id to act under: its own, or that of whoever came first.
    async fn take_up(&self, needs: &Needs, arrival: &Arrival) -> Result<EventId, Failure> {
        // No sweep ever sees a tag, so there is nobody to meet.
        let on_branch = needs.push.as_ref().filter(|needs| needs.push.reference.kind() == RefKind::Branch);
        let Some(needs) = on_branch else { return Ok(arrival.id.clone()) };
        let enter = |journal: Option<&Journal>| journal.cloned().unwrap_or_default().with(arrival);
        let journal = self.state.change(&Journal::key(&needs.push), enter).await?;
        Ok(journal.entry(arrival).map_or_else(|| arrival.id.clone(), |entry| entry.id.clone()))
    }
}

impl Handle for Trigger {
    async fn handle(&self, bytes: &[u8], invocation: Invocation) -> Result<Handled, Failure> {
        let Some((event, in_force)) = read_event(bytes, &self.policy).await? else { return Ok(Handled::NotOurs) };
        // Whoever else may send one into the queue only has the branches looked at once more.
        if let Detail::Scheduled(_) = event.detail {
            // On the heap, as what follows it: no thread's stack has to hold all that a handler may do.
            return Box::pin(self.sweep(&event, &in_force, invocation)).await;
        }
        let needs = needs(&event, &in_force.policy);
        let (id, turn) = (&event.envelope.id, Turn::of(&event.envelope));
        if let Some(subject) = review_of(&event) {
            return Box::pin(self.review(&event, received(bytes), subject, &in_force, invocation)).await;
        }
        let known = Known::Pushed(event.envelope.time);
        let Some(push) = &needs.push else {
            return self.push((&event, Some(received(bytes))), known, &needs, &in_force, turn, invocation).await;
        };
        let arrival = Arrival { commit: push.push.commit.clone(), id: id.clone(), at: invocation.now, known };
        // An event that is run once more is meant itself, whoever came first.
        let under = if event.envelope.again.is_some() { id.clone() } else { self.take_up(&needs, &arrival).await? };
        let came_in = (&*event, Some(received(bytes)));
        let act_under = if under == *id { turn } else { Turn::first(&under) };
        let handled = self.push(came_in, known, &needs, &in_force, act_under, invocation).await?;
        if under != *id {
            // The sweep was faster. Whoever looks for this event finds where to look on.
            let reason = Reason::SweptBefore { id: under.clone() };
            self.point((&event, received(bytes)), &reason, &in_force, invocation).await?;
        }
        Ok(handled)
    }
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Start => "start",
        Verdict::Found => "found",
        Verdict::Answer => "answer",
        Verdict::Nothing => "nothing",
        Verdict::NotConcerned => "not concerned",
    }
}

fn said((event, received): (&Event, &Option<Value>), facts: &Facts, decision: &Decision, actions: Vec<String>) -> Said {
    Said {
        verdict: verdict(decision.verdict),
        reasons: decision.reasons.iter().map(render_reason).collect(),
        actions,
        replay: json!({ "received": received, "event": event, "facts": facts.for_report(), "decision": decision }),
    }
}
