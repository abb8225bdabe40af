//! Looks at the protection itself: the default branch, approval rules and their templates, repository triggers, and who may push.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use signalbox_aws::Failure;
use signalbox_events::{Event, EventId, PullRequestId, RepositoryName};
use signalbox_glue::{Apply, Ending, Handled, InForce, Invocation, Said, carry_out};
use signalbox_ledger::Turn;
use signalbox_policy::{Mode, Watched};
use signalbox_protector_rules::{
    Action, Decision, News, RuleSeen, TriggerSeen, Verdict, WatchFacts, WatchMemory, WatchWanted, Whose, decide_watch,
    render_action, render_reason, watched_words, watchers,
};

use crate::apply::Carrier;
use crate::{Protector, verdict};

/// Of so many open pull requests the rules are looked at in one sweep; the next one goes on behind them.
const MOST_PULL_REQUESTS: usize = 50;

/// What is looked at, and why.
struct Look<'a> {
    event: &'a Event,
    received: Option<&'a Value>,
    wanted: Option<&'a WatchWanted>,
    words: Vec<Watched>,
    in_force: &'a InForce,
    invocation: Invocation,
}

impl Protector {
    /// Looks at what an event is about.
    pub(crate) async fn watch_event(
        &self,
        (event, received): (&Event, &Value),
        wanted: &WatchWanted,
        in_force: &InForce,
        invocation: Invocation,
    ) -> Result<Handled, Failure> {
        let mut repositories = wanted.repositories.clone();
        let mut protections = in_force.policy.sections.iter().flat_map(|section| &section.protections);
        let is_asked_for = protections.any(|it| it.watch.contains(&wanted.word));
        if let (Some(template), true) = (&wanted.template, is_asked_for) {
            repositories.extend(self.codecommit.repositories_of_template(template).await?);
        }
        if wanted.permitted.is_some() && is_asked_for {
            repositories.extend(self.codecommit.repositories().await?.into_iter().map(|(name, _)| name));
        }
        let is_watched = |name: &RepositoryName| {
            self.readable.holds(name) && !watchers(&in_force.policy, name, wanted.word).is_empty()
        };
        let look = Look {
            event,
            received: Some(received),
            wanted: Some(wanted),
            words: vec![wanted.word],
            in_force,
            invocation,
        };
        let (mut handled, mut failed) = (Vec::new(), None);
        for repository in repositories.into_iter().filter(is_watched) {
            match self.look_at(&look, &repository).await {
                Ok(done) => handled.push(done),
                Err(failure) => failed = Some(self.watch_refused(&repository, &event.envelope.id, failure).await),
            }
        }
        if let Some(failure) = failed {
            return Err(failure);
        }
        // Each look is in the ledger by itself; of several the one that needs a person is told here.
        let refused = handled.iter().position(|one| matches!(one, Handled::Refused(_)));
        let nothing = || {
            let facts = json!({ "received": received });
            let verdict = verdict(Verdict::NotConcerned);
            let said = Said { verdict, reasons: Vec::new(), actions: Vec::new(), replay: facts };
            Handled::Reported(Box::new(in_force.report(said, invocation)))
        };
        Ok(match refused {
            Some(at) => handled.swap_remove(at),
            None => handled.pop().unwrap_or_else(nothing),
        })
    }

    /// Tells that a watched repository could not be looked at.
    async fn watch_refused(&self, repository: &RepositoryName, event: &EventId, failure: Failure) -> Failure {
        if !matches!(failure, Failure::Refused(_)) {
            return failure;
        }
        let news = News::failed(repository, None, failure.chain());
        match self.tell(&news, event).await {
            Err(later @ Failure::Retry(_)) => later,
            Ok(_) | Err(Failure::Refused(_)) => failure,
        }
    }

    /// Looks at what is watched of a repository, as far as it is among `words`; says what was found, if anything was.
    pub(crate) async fn watch_sweep(
        &self,
        event: &Event,
        in_force: &InForce,
        invocation: Invocation,
        (repository, words): (&RepositoryName, &[Watched]),
    ) -> Result<Option<Handled>, Failure> {
        let mut watched = watched_words(&in_force.policy, repository);
        watched.retain(|word| words.contains(word));
        if watched.is_empty() {
            return Ok(None);
        }
        let look = Look { event, received: None, wanted: None, words: watched, in_force, invocation };
        let handled = self.look_at(&look, repository).await?;
        let is_quiet = matches!(&handled, Handled::Reported(report) if report.verdict == verdict(Verdict::Allowed));
        Ok(Some(handled).filter(|handled| !is_quiet && *handled != Handled::Before))
    }

    async fn look_at(&self, look: &Look<'_>, repository: &RepositoryName) -> Result<Handled, Failure> {
        let facts = self.gather_watch(look, repository).await?;
        let decision = decide_watch(&facts, &look.in_force.policy);
        let is_observed = decision.mode == Mode::Observe;
        let is_done = |action: &&Action| !is_observed || matches!(action, Action::Tell(_) | Action::See { .. });
        let done: Vec<Action> = decision.actions.iter().filter(is_done).cloned().collect();
        let report = |actions: Vec<String>| {
            let replay = json!({
                "received": look.received, "event": look.event, "facts": facts, "decision": decision,
            });
            let reasons = decision.reasons.iter().map(render_reason).collect();
            let said = Said { verdict: verdict(decision.verdict), reasons, actions, replay };
            look.in_force.report(said, look.invocation)
        };
        let id = id_of(&facts, &decision);
        let carrier = Carrier::new(self, &id);
        if done.iter().all(|action| matches!(action, Action::See { .. })) {
            // What only we remember may simply be written again: it needs no claim.
            let mut lines = Vec::new();
            for action in &done {
                carrier.apply(action, 1, look.invocation).await?;
                lines.push(render_action(action));
            }
            return Ok(Handled::Reported(Box::new(report(lines))));
        }
        let ending = if decision.is_complete() || is_observed { Ending::Done } else { Ending::Refused };
        carry_out(&carrier, &self.ledger, Turn::first(&id), look.invocation, ending, &done, report).await
    }

    async fn gather_watch(&self, look: &Look<'_>, repository: &RepositoryName) -> Result<WatchFacts, Failure> {
        let memory = self.state.read::<WatchMemory>(&WatchMemory::key(repository)).await?;
        let memory = memory.map(|kept| kept.value).unwrap_or_default();
        let told = look.wanted.map(|wanted| wanted.told.clone());
        let is_ours = self.own.hold(told.as_ref().and_then(|told| told.by.as_ref()));
        let region = look.event.envelope.region.clone();
        let mut facts = WatchFacts {
            whose: if is_ours { Whose::Ours } else { Whose::Theirs },
            memory,
            ..WatchFacts::before_gathering(repository.clone(), region, told, look.invocation.now)
        };
        for word in &look.words {
            match word {
                Watched::DefaultBranch => {
                    facts.there.default_branch = self.codecommit.default_branch(repository).await?;
                }
                Watched::ApprovalRules => self.gather_rules(look, &mut facts).await?,
                Watched::RepositoryTriggers => {
                    let triggers = self.codecommit.triggers(repository).await?.into_iter().map(|trigger| {
                        let seen = TriggerSeen {
                            destination: trigger.destination,
                            branches: trigger.branches.into_iter().collect(),
                            events: trigger.events.into_iter().collect(),
                        };
                        (trigger.name, seen)
                    });
                    facts.there.triggers = Some(triggers.collect());
                }
                Watched::PushPermissions => {
                    let permitted = look.wanted.and_then(|wanted| wanted.permitted.as_ref());
                    self.gather_pushers(permitted, &look.in_force.policy, &mut facts).await?;
                }
            }
        }
        Ok(facts)
    }

    async fn gather_rules(&self, look: &Look<'_>, facts: &mut WatchFacts) -> Result<(), Failure> {
        if let Some(id) = look.wanted.and_then(|wanted| wanted.pull_request.as_ref()) {
            return self.gather_rules_of(id, facts).await;
        }
        let mut templates = BTreeMap::new();
        for name in self.codecommit.templates_of(&facts.repository).await? {
            // One that was deleted just now does not apply any more.
            if let Some(template) = self.codecommit.template(&name).await? {
                templates.insert(name, RuleSeen { content: template.content, by: template.by });
            }
        }
        facts.there.templates = Some(templates);
        if look.wanted.is_some() {
            return Ok(());
        }
        let open: BTreeSet<PullRequestId> =
            self.codecommit.open_pull_requests(&facts.repository).await?.into_iter().collect();
        let mut ids: Vec<PullRequestId> = open.iter().cloned().collect();
        // Begins behind where the last sweep stopped, and goes around once.
        if let Some(there) = &facts.memory.cursor {
            let begin = ids.partition_point(|id| id <= there);
            ids.rotate_left(begin);
        }
        let is_cut = ids.len() > MOST_PULL_REQUESTS;
        ids.truncate(MOST_PULL_REQUESTS);
        for id in &ids {
            self.gather_rules_of(id, facts).await?;
        }
        facts.cursor = ids.pop().filter(|_| is_cut);
        facts.open = Some(open);
        Ok(())
    }

    async fn gather_rules_of(&self, id: &PullRequestId, facts: &mut WatchFacts) -> Result<(), Failure> {
        if let Some(rules) = self.codecommit.approval_rules(id).await? {
            let seen = rules.into_iter().map(|(name, rule)| (name, RuleSeen { content: rule.content, by: rule.by }));
            facts.there.rules.insert(id.clone(), seen.collect());
        }
        Ok(())
    }
}

/// The id under which a change is dealt with: the same for an event and for the sweep, whichever is faster, and another one
/// when it happens again. What could not be mended is tried again the next day.
fn id_of(facts: &WatchFacts, decision: &Decision) -> EventId {
    let what: Vec<_> = decision.violations().map(|violation| &violation.what).collect();
    let what = serde_json::to_string(&what).unwrap_or_default();
    let day = facts.now.strftime("%Y-%m-%d");
    let digest = Sha256::digest(format!("{}\n{}\n{day}\n{what}", facts.repository, facts.memory.times));
    let digest: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    EventId::parse(format!("watch-{digest}")).unwrap_or_else(|_| EventId::of_notice(0))
}
