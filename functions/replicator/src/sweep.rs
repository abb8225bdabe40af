//! The sweep: looks at every copy that the policy asks for, and does what a lost event left undone.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sha2::{Digest, Sha256};
use signalbox_aws::Failure;
use signalbox_events::{Event, EventId, RepositoryName};
use signalbox_glue::{Handled, InForce, Invocation, Said};
use signalbox_ledger::{SWEPT, SWEPT_IN_PART, Turn};
use signalbox_replicator_rules::{Cursor, Home, Origin, has_replicas, needs_of};
use tokio::time::Instant;

use crate::Replicator;

/// How long one sweep looks around.
pub(crate) const TIME: Duration = Duration::from_secs(5 * 60);

/// Kept back from the invocation's time, so that what was begun can be remembered.
const RESERVE: SignedDuration = SignedDuration::from_secs(30);

/// A sweep says of at most this many repositories what is open there.
const MOST_OPEN: usize = 20;

/// What one sweep did.
#[derive(Default)]
struct Swept {
    told: Vec<String>,
    /// Repositories with a copy that cannot be made equal, told before or not.
    open: Vec<String>,
    repositories: usize,
    is_refused: bool,
}

impl Replicator {
    /// Sweeps for as long as there is time, from where the last sweep stopped.
    pub(crate) async fn sweep(
        &self,
        event: &Event,
        in_force: &InForce,
        invocation: Invocation,
    ) -> Result<Handled, Failure> {
        let mut swept = Swept::default();
        let policy = &in_force.policy;
        if policy.sections.iter().any(|section| !section.replicas.is_empty()) {
            self.sweep_all(event, in_force, invocation, &mut swept).await?;
        }
        tracing::info!(repositories = swept.repositories, "swept");
        let mut reasons = vec![format!("every copy of {} repositories was looked at", swept.repositories)];
        let more = swept.open.len().saturating_sub(MOST_OPEN);
        let said = Said {
            // As the other sweep says it, so that who looks for events can pass this one over.
            verdict: match (swept.open.is_empty(), swept.told.is_empty()) {
                (false, _) => SWEPT_IN_PART,
                (true, true) => SWEPT,
                (true, false) => "copy",
            },
            reasons: {
                reasons.extend(swept.open.into_iter().take(MOST_OPEN));
                if more > 0 {
                    reasons.push(format!("and {more} more repositories"));
                }
                reasons
            },
            actions: swept.told,
            replay: json!({ "event": event }),
        };
        let report = in_force.report(said, invocation);
        // Nothing found is the rule: a line in the log is enough for it. What was found is in the ledger by itself.
        if swept.is_refused { Ok(Handled::Refused(Box::new(report))) } else { Ok(Handled::Reported(Box::new(report))) }
    }

    async fn sweep_all(
        &self,
        event: &Event,
        in_force: &InForce,
        invocation: Invocation,
        swept: &mut Swept,
    ) -> Result<(), Failure> {
        let left = invocation.deadline.duration_since(invocation.now).saturating_sub(RESERVE);
        let end = Instant::now() + Duration::try_from(left).unwrap_or_default();
        let until = end.min(Instant::now() + self.sweep_time);
        let cursor = self.state.read::<Cursor>(Cursor::KEY).await?.map(|kept| kept.value).unwrap_or_default();
        let found = self.codecommit.repositories().await?.into_iter().map(|(name, _)| name);
        let mut found: Vec<RepositoryName> =
            found.filter(|name| self.readable.holds(name) && has_replicas(name, &in_force.policy)).collect();
        found.sort();
        // Begins where the last one stopped, and goes around once.
        if let Some(there) = &cursor.repository {
            let begin = found.partition_point(|name| name < there);
            found.rotate_left(begin);
        }
        let mut next = Cursor::default();
        let mut is_over = false;
        for (index, repository) in found.into_iter().enumerate() {
            // Whatever the time is, each sweep gets on by one step.
            if index > 0 && (is_over || Instant::now() >= until) {
                tracing::info!(
                    repo.name = repository.as_str(),
                    "the time of a sweep is over: the next one goes on there"
                );
                next.repository = Some(repository);
                break;
            }
            let look = self.sweep_one(event, in_force, invocation, &repository, swept);
            if tokio::time::timeout_at(end, look).await.is_err() {
                // The next sweep begins behind it, whoever does not answer there.
                swept.open.push(format!("{repository}: this sweep had no time left for it"));
                is_over = true;
            }
            swept.repositories += 1;
        }
        if next != cursor {
            self.state.change(Cursor::KEY, |_: Option<&Cursor>| next.clone()).await?;
        }
        Ok(())
    }

    /// Looks at the copies of one repository; what must be tried again the next sweep finds again.
    async fn sweep_one(
        &self,
        event: &Event,
        in_force: &InForce,
        invocation: Invocation,
        repository: &RepositoryName,
        swept: &mut Swept,
    ) {
        let Some(id) = id_of(event, repository) else { return };
        let needs = needs_of(repository, &Home::of(&event.envelope), Origin::Sweep, &in_force.policy);
        // A copy ends in time for its look to be remembered.
        let deadline = invocation.deadline.saturating_sub(RESERVE).unwrap_or(invocation.deadline);
        let invocation = Invocation { now: Timestamp::now(), deadline, ..invocation };
        let looked = self.look((event, None), &needs, in_force, Turn::first(&id), invocation).await;
        let told = |came: String| format!("{repository}: {came} (in the ledger under {id})");
        match looked {
            Ok(looked) => {
                let mut is_open = looked.is_open;
                let report = match looked.handled {
                    Handled::Reported(report) => report,
                    Handled::Refused(report) => {
                        is_open = true;
                        // What a person knows already is tried again each time, and is not raised again.
                        swept.is_refused |= looked.is_news;
                        report
                    }
                    Handled::Before | Handled::NotOurs => return,
                };
                if is_open {
                    swept.open.push(format!("{repository}: {}", report.reasons.join("; ")));
                }
                if !looked.is_quiet {
                    swept.told.push(told(report.actions.join("; ")));
                }
            }
            Err(failure) => {
                let why = failure.chain();
                tracing::warn!(repo.name = repository.as_str(), why, "left for the next sweep");
                swept.open.push(format!("{repository}: left for the next sweep: {why}"));
            }
        }
    }
}

/// The id of one repository's look, the same for a redelivery of the sweep's event.
fn id_of(event: &Event, repository: &RepositoryName) -> Option<EventId> {
    let digest = Sha256::digest(format!("{}\n{repository}", event.envelope.id));
    let digest: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    EventId::parse(format!("sweep-{digest}")).ok()
}
