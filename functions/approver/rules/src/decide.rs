//! What a pull request needs of us, and why. Total: whatever the facts are, there is a decision with a reason.

use signalbox_events::{PullRequestState, RevisionId};
use signalbox_policy::{Mode, Policy};

use crate::asked::Asked;
use crate::comment::render_comment;
use crate::decision::{Action, Decision, Reason, Tampering, Verdict};
use crate::facts::{CommentSeen, Facts, Found, Occasion, Overrider, PullRequestFacts, RuleEvent, RuleFacts, Subject};
use crate::gate::counts_everybody;
use crate::judge::{Met, filtered, head, judge, stale, startable, unjudged};
use crate::memory::{Memory, Read, digest};

/// The most rules of a pull request.
const MOST_RULES: usize = 30;

/// Decides on a pull request.
pub fn decide(facts: &Facts, policy: &Policy) -> Decision {
    let mut decision = Decision {
        verdict: Verdict::NotConcerned,
        mode: policy.mode,
        items: Vec::new(),
        reasons: Vec::new(),
        actions: Vec::new(),
        memory: facts.memory.clone(),
        was_told_full: facts.memory.told_full,
        told_overridden: facts.memory.overridden.clone(),
    };
    let Some(subject) = &facts.subject else {
        match &facts.occasion {
            Occasion::None(idle) => decision.reasons.push(Reason::Idle(idle.clone())),
            Occasion::Build { build } => decision.reasons.push(Reason::RecordUnread(build.clone())),
            Occasion::PullRequest { .. } | Occasion::Judged | Occasion::Target { .. } | Occasion::Sweep => {}
        }
        return decision;
    };
    let here = match &facts.pull_request {
        Found::Here(here) if here.state == PullRequestState::Open => here,
        Found::Here(_) => return over(decision, Reason::Closed),
        Found::Gone | Found::NotRead => return over(decision, Reason::Gone),
    };
    if let Occasion::Target { into } = &facts.occasion
        && here.destination != *into
    {
        decision.reasons.push(Reason::OtherTarget { into: here.destination.clone() });
        return decision;
    }
    let look = Look { facts, policy, subject, here };
    match Asked::of(policy, &subject.repository, &here.destination) {
        Some(asked) => look.hold(&asked, &mut decision),
        None => look.let_go(&mut decision),
    }
    decision
}

fn over(decision: Decision, reason: Reason) -> Decision {
    Decision { verdict: Verdict::Closed, reasons: vec![reason], ..decision }
}

/// How the gate shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Open,
    Closed,
}

/// One look at an open pull request.
struct Look<'a> {
    facts: &'a Facts,
    policy: &'a Policy,
    subject: &'a Subject,
    here: &'a PullRequestFacts,
}

impl Look<'_> {
    /// Keeps the gate there, and opens it while everything is met.
    fn hold(&self, asked: &Asked<'_>, decision: &mut Decision) {
        let (here, facts) = (self.here, self.facts);
        decision.items = judge(asked, here, facts, self.policy);
        let worst = decision.items.iter().map(|item| item.met).max().unwrap_or(Met::Met);
        decision.verdict = match worst {
            Met::Met => Verdict::Met,
            Met::Waiting => Verdict::Waiting,
            Met::Missing => Verdict::Missing,
        };
        decision.memory = self.remember(asked);
        self.keep_gate(decision);
        self.keep_in_force(asked, decision);
        self.vote(if worst == Met::Met { Wish::Open } else { Wish::Closed }, decision);
        self.ask(asked, decision);
        self.build(asked, decision);
        for rule in self.others().filter(|rule| counts_everybody(&rule.content)) {
            decision.reasons.push(Reason::CountsEverybody { rule: rule.name.clone() });
        }
        self.say(decision);
    }

    /// Whether something is to be asked for: once, and again whenever the clock finds that nothing came of it.
    fn is_due(&self, wanted: Option<&String>, asked: Option<&String>) -> bool {
        wanted.is_some() && (wanted != asked || self.facts.occasion == Occasion::Sweep)
    }

    /// Has the protector judge what it has not.
    fn ask(&self, asked: &Asked<'_>, decision: &mut Decision) {
        let unjudged = unjudged(asked, self.here, self.facts).map(|unjudged| digest(&unjudged));
        if self.is_due(unjudged.as_ref(), self.facts.memory.asked.as_ref()) {
            decision.actions.push(Action::Ask { subject: self.subject.clone() });
        }
        decision.memory.asked = unjudged;
    }

    /// Has the trigger build what is stale. Where the branches conflict there is nothing to build.
    fn build(&self, asked: &Asked<'_>, decision: &mut Decision) {
        let stale = stale(asked, self.here, self.facts).filter(|_| self.facts.conflicts != Some(true));
        let stale = stale.map(|stale| digest(&stale));
        if self.is_due(stale.as_ref(), self.facts.memory.stale.as_ref()) {
            decision.actions.push(Action::Build { subject: self.subject.clone() });
        }
        decision.memory.stale = stale;
    }

    /// Opens what is left of the gate, where nothing is asked any more.
    fn let_go(&self, decision: &mut Decision) {
        let gates: Vec<&RuleFacts> = self.gates().collect();
        if gates.is_empty() {
            return;
        }
        (decision.verdict, decision.reasons) = (Verdict::NothingAsked, vec![Reason::NothingAsked]);
        let dropped = gates.iter().filter(|rule| rule.template.is_none()).map(|rule| rule.name.clone());
        let subject = || self.subject.clone();
        decision.actions.extend(dropped.map(|name| Action::DropRule { subject: subject(), name }));
        // A template's rule stays for good: it can only be met.
        if gates.iter().any(|rule| rule.template.is_some()) {
            self.vote(Wish::Open, decision);
        }
    }

    /// The rules that are called as the gate is.
    fn gates(&self) -> impl Iterator<Item = &RuleFacts> {
        let is_named = move |rule: &&RuleFacts| self.facts.gate.is_named(&rule.name, &self.here.destination);
        self.here.rules.iter().flatten().filter(is_named)
    }

    /// The rules that other people made.
    fn others(&self) -> impl Iterator<Item = &RuleFacts> {
        let is_named = move |rule: &&RuleFacts| !self.facts.gate.is_named(&rule.name, &self.here.destination);
        self.here.rules.iter().flatten().filter(is_named)
    }

    fn keep_gate(&self, decision: &mut Decision) {
        let gate = &self.facts.gate;
        let Some(rules) = &self.here.rules else { return };
        if self.gates().any(|rule| gate.is_gate(&rule.content)) {
            decision.memory.gated = true;
            decision.memory.told_full = false;
            // It may be back already that somebody took away; who did is told all the same.
            if let Some(reason) = self.told_tampering() {
                decision.reasons.push(reason);
            }
            return;
        }
        let (subject, content) = (self.subject.clone(), gate.content());
        let branch = &self.here.destination;
        let own = self.gates().find(|rule| rule.template.is_none());
        let changed = self.gates().next();
        let reason = match (self.told_tampering(), changed) {
            (Some(told), _) => told,
            (None, Some(rule)) => {
                Reason::Tampered { rule: rule.name.clone(), how: Tampering::Changed, by: rule.modified_by.clone() }
            }
            (None, None) if self.facts.memory.gated => {
                Reason::Tampered { rule: gate.name(branch), how: Tampering::Deleted, by: None }
            }
            (None, None) => Reason::NoGateYet,
        };
        decision.reasons.push(reason);
        match own {
            Some(rule) => {
                let (name, sha256) = (rule.name.clone(), rule.sha256.clone());
                decision.actions.push(Action::MendRule { subject, name, content, sha256 });
            }
            None if rules.len() >= MOST_RULES => {
                decision.reasons.push(Reason::Full);
                decision.verdict = Verdict::Missing;
                decision.memory.told_full = true;
                return;
            }
            None => {
                let name = if changed.is_some() { gate.second_name(branch) } else { gate.name(branch) };
                decision.actions.push(Action::GiveRule { subject, name, content });
            }
        }
        decision.memory.gated = true;
        decision.memory.told_full = false;
    }

    /// What the event itself says that somebody did to the gate.
    fn told_tampering(&self) -> Option<Reason> {
        let Occasion::PullRequest { rules: Some(rules), by } = &self.facts.occasion else { return None };
        let (name, how) = match rules {
            RuleEvent::Deleted(name) => (name, Tampering::Deleted),
            RuleEvent::Changed(name) => (name, Tampering::Changed),
            RuleEvent::Created(_) | RuleEvent::Overridden | RuleEvent::InForceAgain => return None,
        };
        let is_ours = self.facts.gate.is_named(name.as_str(), &self.here.destination);
        let by = by.as_ref().map(ToString::to_string);
        is_ours.then(|| Reason::Tampered { rule: name.to_string(), how, by })
    }

    fn keep_in_force(&self, asked: &Asked<'_>, decision: &mut Decision) {
        match &self.here.overrider {
            Overrider::By(by) if asked.may_override(by) => {
                decision.memory.overridden = Some(by.clone());
                decision.verdict = Verdict::Overridden;
                decision.reasons.push(Reason::OverriddenWithLeave(by.clone()));
            }
            Overrider::By(by) => {
                decision.reasons.push(Reason::OverriddenWithoutLeave(by.clone()));
                if let Some(revision) = self.revision() {
                    decision.actions.push(Action::EndOverride { subject: self.subject.clone(), revision });
                }
            }
            Overrider::Nobody => decision.memory.overridden = None,
            Overrider::NotRead => {}
        }
    }

    fn revision(&self) -> Option<RevisionId> {
        self.here.revision.clone()
    }

    fn vote(&self, wish: Wish, decision: &mut Decision) {
        let (Some(approvals), Some(revision)) = (&self.here.approvals, self.revision()) else { return };
        let is_given = approvals.iter().any(|arn| self.facts.gate.is_voter(arn));
        let subject = self.subject.clone();
        match (wish, is_given) {
            (Wish::Open, false) => decision.actions.push(Action::Approve { subject, revision }),
            (Wish::Closed, true) => decision.actions.push(Action::Revoke { subject, revision }),
            (Wish::Open, true) | (Wish::Closed, false) => {}
        }
    }

    fn say(&self, decision: &mut Decision) {
        if self.here.rules.is_none() {
            return;
        }
        let text = render_comment(decision, self.here, self.policy);
        let sha256 = digest(&text);
        let is_gone = self.facts.comment == CommentSeen::Gone;
        match &self.facts.memory.comment {
            Some(posted) if posted.given_up => return,
            Some(posted) if is_gone && !posted.may_come_back() => {
                decision.reasons.push(Reason::CommentUnwanted);
                return;
            }
            Some(posted) if posted.sha256 == sha256 && !is_gone => return,
            Some(_) | None => {}
        }
        decision.actions.push(Action::Say { subject: self.subject.clone(), text });
    }

    /// What is remembered: above all what was read of these commits, as the filters of the policy made it.
    fn remember(&self, asked: &Asked<'_>) -> Memory {
        let (here, facts) = (self.here, self.facts);
        let mut memory = facts.memory.clone();
        let head = head(here, facts).cloned();
        let mut paths = Vec::new();
        for check in &asked.checks {
            let filter = startable(check, &here.destination).ok().map(|(_, filter, _)| filter);
            let filtered = filter.and_then(|filter| filtered(filter, here, facts));
            paths.extend(filtered.filter(|filtered| !paths.contains(filtered)));
        }
        if head.is_some() || !paths.is_empty() {
            let (commit, base) = (here.source_commit.clone(), here.base.clone());
            memory.read = Some(Read { commit, base, head, paths });
        }
        memory
    }
}

impl Decision {
    /// What is done, and what is only told: where the policy only observes, all but asking the protector, which changes nothing that people
    /// see.
    pub fn done_and_told(&self) -> (Vec<Action>, Vec<Action>) {
        let is_done =
            |action: &Action| self.mode == Mode::Enforce || matches!(action, Action::Ask { .. } | Action::Build { .. });
        self.actions.iter().cloned().partition(is_done)
    }
}
