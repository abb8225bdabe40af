//! The sweep: finds protected refs that are where no event told, and ends what was kept long enough.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use signalbox_aws::Failure;
use signalbox_events::{Event, EventId, RefName, RepositoryName};
use signalbox_gitwire::http::Source;
use signalbox_gitwire::{Change, Command, Outcome, Ref, Together};
use signalbox_glue::{Handled, InForce, Invocation};
use signalbox_ledger::{Report, Turn};
use signalbox_policy::{Mode, Policy, Watched, is_quarantined};
use signalbox_protector_rules::{
    Cursor, Journal, Judged, Move, Origin, Subject, Tip, has_protections, kept_since, needs_of, protections_of,
};
use tokio::time::Instant;

use crate::Protector;
use crate::git::{is_missing, sorted, tip_at};

/// How long one sweep looks around.
pub(crate) const TIME: Duration = Duration::from_secs(5 * 60);
/// For so long the event of a move may still come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// Kept back from the invocation's time, so that what was begun can be remembered.
const RESERVE: SignedDuration = SignedDuration::from_secs(30);
/// CodeCommit takes at most this many commands in one push.
const MOST_COMMANDS: usize = 4_000;

/// What CodeCommit itself is asked for.
const WATCHED_IN_CODECOMMIT: [Watched; 3] =
    [Watched::DefaultBranch, Watched::ApprovalRules, Watched::RepositoryTriggers];

/// What the last sweep saw of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Where the protected refs were.
    pub(crate) refs: BTreeMap<RefName, Tip>,
    /// Refs that were elsewhere without an event, since then.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) waiting: BTreeMap<RefName, Timestamp>,
}

impl Seen {
    /// Where it lies in the bucket.
    pub(crate) fn key(repository: &RepositoryName) -> String {
        format!("state/protected/{repository}.seen.json")
    }
}

/// What one sweep did.
#[derive(Default)]
struct Swept {
    told: Vec<String>,
    repositories: usize,
    is_refused: bool,
}

impl Protector {
    /// Sweeps for as long as there is time, from where the last sweep stopped.
    pub(crate) async fn sweep(
        &self,
        event: &Event,
        in_force: &InForce,
        invocation: Invocation,
    ) -> Result<Handled, Failure> {
        let mut swept = Swept::default();
        let policy = &in_force.policy;
        if policy.sections.iter().any(|section| !section.protections.is_empty()) {
            self.sweep_all(event, in_force, invocation, &mut swept).await?;
        }
        tracing::info!(repositories = swept.repositories, "swept");
        let report = Report {
            at: invocation.now,
            policy_version: in_force.version.clone(),
            mode: policy.mode.name().to_owned(),
            verdict: if swept.told.is_empty() { "nothing new" } else { "reported" }.to_owned(),
            reasons: vec![format!("the protected refs of {} repositories were looked at", swept.repositories)],
            actions: swept.told,
            replay: json!({ "event": event }),
        };
        // Nothing found is the rule: a line in the log is enough for it. What was found is in the ledger by itself.
        if !swept.is_refused {
            return Ok(Handled::Reported(Box::new(report)));
        }
        self.ledger.refuse(Turn::of(&event.envelope), report.clone(), invocation.now).await.map(drop)?;
        Ok(Handled::Refused(Box::new(report)))
    }

    async fn sweep_all(
        &self,
        event: &Event,
        in_force: &InForce,
        invocation: Invocation,
        swept: &mut Swept,
    ) -> Result<(), Failure> {
        let left = invocation.deadline.duration_since(invocation.now).saturating_sub(RESERVE);
        let until = Instant::now() + Duration::try_from(left).unwrap_or_default().min(self.sweep_time);
        let cursor = self.state.read::<Cursor>(Cursor::KEY).await?.map(|kept| kept.value).unwrap_or_default();
        let found = self.codecommit.repositories().await?.into_iter().map(|(name, _)| name);
        let mut found: Vec<RepositoryName> =
            found.filter(|name| self.readable.holds(name) && has_protections(name, &in_force.policy)).collect();
        found.sort();
        // Begins where the last one stopped, and goes around once.
        if let Some(there) = &cursor.repository {
            let begin = found.partition_point(|name| name < there);
            found.rotate_left(begin);
        }
        let mut next = Cursor::default();
        for (index, repository) in found.into_iter().enumerate() {
            // Whatever the time is, each sweep gets on by one step.
            if index > 0 && Instant::now() >= until {
                tracing::info!(
                    repo.name = repository.as_str(),
                    "the time of a sweep is over: the next one goes on there"
                );
                next.repository = Some(repository);
                break;
            }
            if let Err(failure) = self.sweep_one(event, in_force, invocation, &repository, swept).await {
                let why = failure.chain();
                tracing::warn!(repo.name = repository.as_str(), why, "left for the next sweep");
                swept.told.push(format!("{repository}: left for the next sweep: {why}"));
                if matches!(failure, Failure::Refused(_)) {
                    swept.is_refused = true;
                    self.tell_of_sweep(&repository, &event.envelope.id, &why, invocation.now).await;
                }
            }
            swept.repositories += 1;
        }
        if next != cursor {
            self.state.change(Cursor::KEY, |_: Option<&Cursor>| next.clone()).await?;
        }
        Ok(())
    }

    async fn sweep_one(
        &self,
        event: &Event,
        in_force: &InForce,
        invocation: Invocation,
        repository: &RepositoryName,
        swept: &mut Swept,
    ) -> Result<(), Failure> {
        let source = match self.remote(repository).await?.source(&["refs/heads/", "refs/tags/"]).await {
            Ok(source) => source,
            Err(failure) if is_missing(&failure) => return Ok(()),
            Err(failure) => return Err(sorted(&failure)),
        };
        let key = Seen::key(repository);
        let before = self.state.read::<Seen>(&key).await?.map(|kept| kept.value);
        let now = Timestamp::now();
        let mut next = Seen::default();
        for (reference, tip) in protected_refs(&source, repository, before.as_ref(), &in_force.policy) {
            let Some(before) = &before else {
                // Where it was when the protector came is where it belongs.
                next.refs.insert(reference, tip);
                continue;
            };
            let was = before.refs.get(&reference).cloned().unwrap_or(Tip::Gone);
            let subject = Subject { repository: repository.clone(), reference: reference.clone() };
            if was == tip {
                next.refs.insert(reference, tip);
                continue;
            }
            let since = before.waiting.get(&reference).copied().unwrap_or(now);
            let id = id_of(&subject, (&was, &tip), since);
            if self.is_told(&subject, &tip, id.as_ref()).await? {
                next.refs.insert(reference, tip);
                continue;
            }
            let waited = Duration::try_from(now.duration_since(since)).unwrap_or_default();
            if waited < self.patience {
                next.waiting.insert(reference.clone(), since);
                next.refs.insert(reference, was);
                continue;
            }
            match self.tell_gap(event, in_force, invocation, (&subject, &was, &tip, id), swept).await {
                Ok(()) => {
                    next.refs.insert(reference, tip);
                }
                // The other refs need not wait for it. Its id stays the same, so that a long one is gone on with where this sweep stopped.
                Err(failure @ Failure::Retry(_)) => {
                    swept.told.push(format!("{reference}: left for the next sweep: {}", failure.chain()));
                    next.waiting.insert(reference.clone(), since);
                    next.refs.insert(reference, was);
                }
                Err(failure) => return Err(failure),
            }
        }
        // What is not there and was not is not worth a line.
        next.refs.retain(|_, tip| *tip != Tip::Gone);
        if before.as_ref() != Some(&next) {
            self.state.change(&key, |_: Option<&Seen>| next.clone()).await?;
        }
        self.sweep_watched(event, in_force, invocation, (repository, &WATCHED_IN_CODECOMMIT), swept).await?;
        if in_force.policy.mode == Mode::Enforce {
            self.end_kept(&source, repository, now, swept).await?;
        }
        // The last, and by itself: a permission that is missing in IAM hinders nothing else.
        self.sweep_watched(event, in_force, invocation, (repository, &[Watched::PushPermissions]), swept).await
    }

    /// Looks at what is watched beside the refs.
    async fn sweep_watched(
        &self,
        event: &Event,
        in_force: &InForce,
        invocation: Invocation,
        (repository, words): (&RepositoryName, &[Watched]),
        swept: &mut Swept,
    ) -> Result<(), Failure> {
        match self.watch_sweep(event, in_force, invocation, (repository, words)).await? {
            Some(Handled::Refused(report)) => {
                swept.is_refused = true;
                swept.told.push(format!("{repository}: {}", report.reasons.join("; ")));
            }
            Some(Handled::Reported(report)) => swept.told.push(format!("{repository}: {}", report.reasons.join("; "))),
            Some(Handled::Before | Handled::NotOurs) | None => {}
        }
        Ok(())
    }

    /// Whether events told that the ref is there. A move of ours that is not looked at to its end is not told yet.
    async fn is_told(&self, subject: &Subject, tip: &Tip, id: Option<&EventId>) -> Result<bool, Failure> {
        let key = Journal::key(&subject.repository, &subject.reference);
        let journal = self.state.read::<Journal>(&key).await?.map(|kept| kept.value).unwrap_or_default();
        let is_unfinished = id.is_some_and(|id| journal.rests.contains_key(id));
        Ok(!is_unfinished && tip.place().is_some_and(|place| journal.last_place() == Some(&place)))
    }

    /// Judges a move that no event told of. Nothing is undone for it: who made it is not known, nor what came between.
    async fn tell_gap(
        &self,
        event: &Event,
        in_force: &InForce,
        invocation: Invocation,
        (subject, was, tip, id): (&Subject, &Tip, &Tip, Option<EventId>),
        swept: &mut Swept,
    ) -> Result<(), Failure> {
        let (Some(old), Some(new)) = (was.place(), tip.place()) else { return Ok(()) };
        let Some(id) = id else { return Ok(()) };
        let made = Move { id: id.clone(), at: Some(Timestamp::now()), old, new, by: None, judged: Judged::Good };
        let needs = needs_of(subject.clone(), Origin::Sweep, made, &in_force.policy);
        let invocation = Invocation { now: Timestamp::now(), ..invocation };
        let handled = self.look((event, None), &needs, in_force, Turn::first(&id), invocation).await?;
        let told = |report: &Report| format!("{}: {} (in the ledger under {id})", subject.reference, report.verdict);
        match handled {
            Handled::Reported(report) => swept.told.push(told(&report)),
            Handled::Refused(report) => {
                swept.is_refused = true;
                swept.told.push(told(&report));
            }
            Handled::Before | Handled::NotOurs => {}
        }
        Ok(())
    }

    /// Deletes what was kept long enough below the quarantine prefix.
    async fn end_kept(
        &self,
        source: &Source,
        repository: &RepositoryName,
        now: Timestamp,
        swept: &mut Swept,
    ) -> Result<(), Failure> {
        let kept = SignedDuration::from_hours(24 * i64::from(self.kept_days));
        let is_over = |name: &RefName| {
            let since = Some(name).filter(|name| is_quarantined(name)).and_then(kept_since);
            since.is_some_and(|since| now.duration_since(since) > kept)
        };
        let over: Vec<Command> = source
            .listing
            .refs
            .iter()
            .filter(|found| RefName::parse(found.name.as_str()).is_ok_and(|name| is_over(&name)))
            .map(|found| Command { name: found.name.clone(), change: Change::Delete(found.id) })
            .take(MOST_COMMANDS)
            .collect();
        if over.is_empty() {
            return Ok(());
        }
        let target = self.remote(repository).await?.target().await.map_err(|failure| sorted(&failure))?;
        let pushed = target.push(&over, Together::Each).await.map_err(|failure| sorted(&failure))?;
        let ended = pushed.report.results.iter().filter(|result| result.outcome == Outcome::Done).count();
        swept.told.push(format!(
            "{repository}: ended {ended} of {} branches that were kept for {} days below quarantine/",
            over.len(),
            self.kept_days
        ));
        Ok(())
    }
}

/// The refs that some protection covers: those that are there, and those that were.
fn protected_refs(
    source: &Source,
    repository: &RepositoryName,
    before: Option<&Seen>,
    policy: &Policy,
) -> BTreeMap<RefName, Tip> {
    let refs = &source.listing.refs;
    let places: BTreeMap<&str, &Ref> = refs.iter().map(|found| (found.name.as_str(), found)).collect();
    let there = places.keys().filter_map(|name| RefName::parse(*name).ok());
    let were = before.into_iter().flat_map(|before| before.refs.keys().cloned());
    let is_protected = |reference: &RefName| {
        let subject = Subject { repository: repository.clone(), reference: reference.clone() };
        !protections_of(policy, &subject).is_empty()
    };
    let tip = |reference: RefName| match places.get(reference.as_str()) {
        Some(found) => (reference, tip_at(found)),
        None => (reference, Tip::Gone),
    };
    there.chain(were).filter(is_protected).map(tip).collect()
}

/// The id of the look at a move that no event told of, the same for every sweep that looks at it.
fn id_of(subject: &Subject, (was, tip): (&Tip, &Tip), since: Timestamp) -> Option<EventId> {
    let place = |tip: &Tip| tip.place().flatten().map_or_else(|| "-".to_owned(), |commit| commit.to_string());
    let Subject { repository, reference } = subject;
    let digest = Sha256::digest(format!("{repository}\n{reference}\n{}\n{}\n{since}", place(was), place(tip)));
    let digest: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    EventId::parse(format!("sweep-{digest}")).ok()
}
