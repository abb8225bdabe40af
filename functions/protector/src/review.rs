//! Judges a pull request by the protections that it needs as checks, when the approver asks for it.

use jiff::Timestamp;
use serde_json::{Value, json};
use signalbox_aws::{Bus, Entry, Failure, Put};
use signalbox_events::{CHECK, CheckState, CheckStateChange, Event, OWN_SOURCE, PullRequestState, ReviewRecord};
use signalbox_glue::{Handled, InForce, Invocation, Said, note};
use signalbox_ledger::Turn;
use signalbox_protector_rules::{
    Arrival, Merged, Range, ReviewFacts, ReviewMemory, ReviewVerdict, Reviewed, decide_review, render_review,
};

use crate::Protector;
use crate::range::{Asking, read_arrival};

impl Protector {
    /// Looks at the pull request, writes down what the protections found, and lets the approver know.
    ///
    /// Level-triggered: what is judged is the pull request as it stands, whatever it was when somebody asked.
    pub(crate) async fn review(
        &self,
        (event, received): (&Event, &Value),
        change: &CheckStateChange,
        in_force: &InForce,
        invocation: Invocation,
    ) -> Result<Handled, Failure> {
        let key = ReviewRecord::key(&change.repository, &change.pull_request);
        let (facts, etag, failure) = self.review_facts(change, &key, in_force, invocation).await?;
        let decision = decide_review(&facts, &in_force.policy);
        let said = Said {
            verdict: decision.verdict.words(),
            reasons: render_review(&decision),
            actions: Vec::new(),
            replay: json!({ "received": received, "event": event, "facts": facts.for_report() }),
        };
        let report = in_force.report(said, invocation);
        if matches!(decision.verdict, ReviewVerdict::NotConcerned | ReviewVerdict::Unread) {
            return Ok(Handled::Reported(Box::new(report)));
        }
        let doing = || format!("judging pull request {} of {}", change.pull_request, change.repository);
        if decision.memory != facts.memory
            && self.state.replace(&key, etag.as_deref(), &decision.memory).await? == Put::Lost
        {
            return Err(Failure::retry(doing(), "another look at it was faster; it is looked at again"));
        }
        if decision.verdict == ReviewVerdict::Unfinished {
            // Nothing went wrong: it comes again at once.
            return Err(Failure::wait(doing(), "it is long, and the rest of it is looked at next", Timestamp::now()));
        }
        // Whoever was cut off before this says it when the event comes again.
        self.put_judged(change, invocation.now).await?;
        match failure {
            None => note(&self.ledger, Turn::of(&event.envelope), report, invocation).await,
            Some(why) => {
                tracing::warn!(repo.name = change.repository.as_str(), why, "a pull request cannot be judged");
                self.ledger.refuse(Turn::of(&event.envelope), report.clone(), invocation.now).await?;
                Ok(Handled::Refused(Box::new(report)))
            }
        }
    }

    /// The facts, the entity tag that the memory was read with, and what no waiting will mend.
    async fn review_facts(
        &self,
        change: &CheckStateChange,
        key: &str,
        in_force: &InForce,
        invocation: Invocation,
    ) -> Result<(ReviewFacts, Option<String>, Option<String>), Failure> {
        let mut facts = ReviewFacts::before_gathering(change.repository.clone(), change.pull_request.clone());
        let is_ours = self.stack.as_ref() == Some(&change.stack) && self.readable.holds(&change.repository);
        if !is_ours || change.state != CheckState::Wanted {
            return Ok((facts, None, None));
        }
        let found = self.codecommit.pull_request(&facts.repository, &facts.pull_request).await?;
        let Some(found) = found.filter(|found| found.state == PullRequestState::Open) else {
            return Ok((facts, None, None));
        };
        let base = found.base.unwrap_or(found.into_commit);
        facts.here = Some(Reviewed { into: found.into, source: found.source, commit: found.source_commit, base });
        if facts.protections(&in_force.policy).is_empty() {
            return Ok((facts, None, None));
        }
        let kept = self.state.read::<ReviewMemory>(key).await?;
        let etag = kept.map(|kept| {
            facts.memory = kept.value;
            kept.etag
        });
        let mut why = None;
        if let (Some((needs, before)), Some(here)) = (facts.wants(&in_force.policy), &facts.here)
            && let Some(subject) = &needs.subject
        {
            let asking = Asking { old: Some(&here.base), new: &here.commit, before, merged: Merged::No };
            match read_arrival(self, (&needs, subject), asking, invocation).await {
                Ok(Arrival { range, rest, .. }) => (facts.range, facts.rest) = (range, rest),
                Err(failure @ Failure::Refused(_)) => {
                    let told = failure.chain();
                    facts.range = Some(Range { unread: vec![told.clone()], ..Range::default() });
                    why = Some(told);
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok((facts, etag, why))
    }

    async fn put_judged(&self, change: &CheckStateChange, now: Timestamp) -> Result<(), Failure> {
        let judged = CheckStateChange { state: CheckState::Judged, ..change.clone() };
        let entry = Entry {
            source: OWN_SOURCE,
            detail_type: CHECK,
            resources: self.readable.arn_of(&change.repository).iter().map(ToString::to_string).collect(),
            time: now,
            detail: judged.to_detail().to_string(),
        };
        Bus::new(&self.aws).put(entry).await.map(drop)
    }
}
