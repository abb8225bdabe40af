//! Pull requests and comments on them: looked at as they stand, and taken up once, whoever told of them.

use serde_json::Value;
use signalbox_aws::Failure;
use signalbox_events::Event;
use signalbox_glue::{Handled, InForce, Invocation};
use signalbox_ledger::Turn;
use signalbox_trigger_rules::{
    Facts, Looked, Origin, PullRequest, Reason, Review, Subject, Verdict, Writer, commands, decide, needs,
};

use crate::{Trigger, gather_review};

impl Trigger {
    /// Handles what an event says of a pull request.
    pub(crate) async fn review(
        &self,
        event: &Event,
        received: Value,
        subject: Subject,
        in_force: &InForce,
        invocation: Invocation,
    ) -> Result<Handled, Failure> {
        let review = self.look(event, subject, in_force).await?;
        let own_id = &event.envelope.id;
        // An event that is run once more is meant itself, whoever came first.
        let again = event.envelope.again.is_some();
        let under = review.acts_under().filter(|_| !again).unwrap_or_else(|| own_id.clone());
        if under == *own_id {
            let turn = Turn::of(&event.envelope);
            return self.reviewed((event, Some(received)), review, Origin::Event, in_force, turn, invocation).await;
        }
        // The event is kept under its own id: whoever wants it run once more names that one.
        let turn = Turn::first(&under);
        let handled = self.reviewed((event, None), review, Origin::Event, in_force, turn, invocation).await?;
        let reason = Reason::TakenUpUnder { id: under.clone() };
        self.point((event, received), &reason, in_force, invocation).await?;
        Ok(handled)
    }

    /// Acts on a pull request that was looked at.
    pub(crate) async fn reviewed(
        &self,
        (event, received): (&Event, Option<Value>),
        review: Review,
        origin: Origin,
        in_force: &InForce,
        under: Turn<'_>,
        invocation: Invocation,
    ) -> Result<Handled, Failure> {
        let envelope = &event.envelope;
        let facts = Facts {
            review: Some(review),
            origin,
            again: envelope.again.clone(),
            id: Some(under.event().clone()),
            pushed_at: envelope.time.filter(|_| origin == Origin::Event),
            ..Facts::default()
        };
        let facts = gather_review::gather(facts, self, &in_force.policy, invocation.now).await?;
        self.act((event, received), &facts, in_force, under, invocation).await
    }

    /// Reads the comment, where there is one, and the pull request, as far as the policy has any use for them.
    async fn look(&self, event: &Event, subject: Subject, in_force: &InForce) -> Result<Review, Failure> {
        let mut review = Review::of(subject.clone());
        if needs(event, &in_force.policy).review.is_none() {
            return Ok(review);
        }
        if let Some(comment) = subject.comment() {
            if self.own.hold(subject.by.as_ref()) {
                return Ok(Review { writer: Writer::Ourselves, ..review });
            }
            // One that was deleted meanwhile asks for nothing.
            let text = self.codecommit.comment(comment).await?;
            review.commands = Some(text.map(|comment| commands(&comment.text)).unwrap_or_default());
            // A comment without a command is the rule: nothing more is read for it.
            let so_far = Facts { review: Some(review.clone()), ..Facts::default() };
            if decide(&so_far, &in_force.policy).verdict == Verdict::NotConcerned {
                return Ok(review);
            }
        }
        let there = self.codecommit.pull_request(&subject.repository, &subject.pull_request).await?;
        review.pull_request = there.map_or(Looked::Gone, |there| Looked::There(Box::new(facts_of(there))));
        Ok(review)
    }
}

/// A pull request as rules know it.
pub(crate) fn facts_of(there: signalbox_aws::PullRequest) -> PullRequest {
    PullRequest {
        state: there.state,
        revision: there.revision,
        source: there.source,
        source_commit: there.source_commit,
        into: there.into,
        into_commit: there.into_commit,
        base: there.base,
        author: there.author,
        title: there.title,
    }
}
