//! The protector function: branches and tags that cannot stay broken.
//!
//! An event tells where a ref was, where it is and who moved it; that is written into a journal. A move that the policy does not allow is
//! undone with one compare-and-swap over git's own protocol, where the journal proves what was there.

mod apply;
mod gather;
mod git;
mod merges;
mod range;
mod sweep;
mod tell;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use signalbox_aws::{Aws, CodeCommit, Failure};
use signalbox_events::{Arn, Detail, Event, Parsed, Region, RepositoryName, StackName, parse_event};
use signalbox_gitwire::http::{Client, Patience};
use signalbox_glue::{Apply, Ending, Handle, Handled, InForce, Invocation, PolicySource, Setup, carry_out, received};
use signalbox_ledger::{Ledger, Noted, Outcome, Report, State, Turn};
use signalbox_policy::{ArnPattern, Mode, Policy};
use signalbox_protector_rules::{
    Action, Decision, Facts, Needs, Verdict, decide, needs, render_action, render_reason, wants_tip, watch_of,
};
use tokio::sync::OnceCell;

use crate::apply::Carrier;

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
    readable: Option<ArnPattern>,
    stack: Option<StackName>,
    spared: Vec<String>,
    kept_days: u32,
    function_name: String,
    sweep_time: Duration,
    patience: Duration,
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
            readable: settings.repositories.as_ref().and_then(|pattern| ArnPattern::parse(pattern.as_str()).ok()),
            spared: settings.spared_roles.iter().filter_map(|role| session_prefix(role)).collect(),
            kept_days: settings.quarantine_days.unwrap_or(KEPT_DAYS),
            function_name: settings.function_name.clone(),
            sweep_time: sweep::TIME,
            patience: sweep::PATIENCE,
        }
    }

    /// The same function, whose sweep waits no longer than this for the event of a move that it found: for tests.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Whether the template lets the function read this repository.
    fn may_read(&self, repository: &RepositoryName) -> bool {
        self.readable.as_ref().is_none_or(|pattern| self.arn_of(repository).is_some_and(|arn| pattern.matches(&arn)))
    }

    /// The ARN of a repository, where the template says how they begin.
    fn arn_of(&self, repository: &RepositoryName) -> Option<Arn> {
        let (place, _) = self.readable.as_ref()?.as_str().rsplit_once(':')?;
        Arn::parse(format!("{place}:{repository}")).ok()
    }

    /// Whether it is a session of one of the stack's own roles.
    fn is_ours(&self, by: Option<&Arn>) -> bool {
        by.is_some_and(|by| self.spared.iter().any(|prefix| by.as_str().starts_with(prefix)))
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
        let is_done = |action: &&Action| !is_observed || matches!(action, Action::Remember { .. } | Action::Tell(_));
        let left = decision.actions.iter().filter(|action| !is_done(action));
        let would: Vec<String> = left.map(|action| format!("would {}", render_action(action))).collect();
        let done: Vec<Action> = decision.actions.iter().filter(is_done).cloned().collect();
        let report = |actions: Vec<String>| {
            let actions = would.iter().cloned().chain(actions).collect();
            report((event, &received), &facts, &decision, actions, in_force.version.clone(), invocation)
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
        let report = report(lines);
        Ok(match self.ledger.note(turn, report.clone(), invocation.now).await? {
            Noted::Written => Handled::Reported(Box::new(report)),
            Noted::Before => Handled::Before,
        })
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
        let event = match parse_event(bytes) {
            Ok(Parsed::Ours(event)) => event,
            Ok(Parsed::NotOurs(_)) => return Ok(Handled::NotOurs),
            Err(error) => return Err(Failure::refused("reading the event", error.to_string())),
        };
        let in_force = self.policy.current().await?;
        // Whoever else may send one into the queue only has the refs looked at once more.
        if let Detail::Scheduled(_) = event.detail {
            return self.sweep(&event, &in_force, invocation).await;
        }
        if let Some(wanted) = watch_of(&event) {
            return self.watch_event((&event, &received(bytes)), &wanted, &in_force, invocation).await;
        }
        let needs = needs(&event, &in_force.policy);
        let came_in = (&*event, Some(received(bytes)));
        match self.look(came_in, &needs, &in_force, Turn::of(&event.envelope), invocation).await {
            Err(failure @ Failure::Refused(_)) => Err(self.refused(&needs, &event.envelope.id, failure).await),
            looked => looked,
        }
    }
}

/// How the ARN of each session of a role begins: `arn:aws:sts::ACCOUNT:assumed-role/ROLE/`.
fn session_prefix(role: &str) -> Option<String> {
    let mut parts = role.splitn(6, ':');
    let (arn, partition, _, _, account) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    // A session leaves out the path of its role.
    let name = parts.next()?.strip_prefix("role/")?.rsplit('/').next()?;
    Some(format!("{arn}:{partition}:sts::{account}:assumed-role/{name}/"))
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

fn report(
    (event, received): (&Event, &Option<Value>),
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
        verdict: verdict(decision.verdict).to_owned(),
        reasons: decision.reasons.iter().map(render_reason).collect(),
        actions,
        replay: json!({ "received": received, "event": event, "facts": facts.for_report(), "decision": decision }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_of_a_role_are_known_by_its_arn() {
        let prefix = session_prefix("arn:aws:iam::111122223333:role/path/to/signalbox-ProtectorRole-X").unwrap();
        assert_eq!(prefix, "arn:aws:sts::111122223333:assumed-role/signalbox-ProtectorRole-X/");
        assert_eq!(session_prefix("arn:aws:iam::111122223333:user/a"), None);
    }
}
