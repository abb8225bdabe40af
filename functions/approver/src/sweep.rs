//! The sweep: looks at the gates' templates and at every open pull request, for what no event told.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sha2::{Digest, Sha256};
use signalbox_approver_rules::{Cursor, Idle, Needs, Reason, Scope, Subject, render_reason};
use signalbox_aws::Failure;
use signalbox_events::{Detail, Event, EventId, PullRequestId, RefName, RepositoryName};
use signalbox_glue::{Handled, InForce, Invocation, Said, note};
use signalbox_ledger::{Report, Turn};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Approver;
use crate::templates::Kept;

/// How long one sweep looks around.
pub(crate) const TIME: Duration = Duration::from_secs(90);
/// Kept back from the invocation's time, so that what was begun can be finished.
const RESERVE: SignedDuration = SignedDuration::from_secs(20);
/// So many pull requests are looked at at once.
const AT_ONCE: usize = 8;
/// So many sentences of one sweep are reported; each pull request has its own report in the ledger.
const MOST_TOLD: usize = 200;

/// What one sweep did.
#[derive(Default)]
struct Swept {
    told: Vec<String>,
    left_out: usize,
    looked: usize,
    is_refused: bool,
    /// The first look that may go better later.
    later: Option<Failure>,
}

impl Swept {
    fn tell(&mut self, line: String) {
        if self.told.len() < MOST_TOLD {
            self.told.push(line);
        } else {
            self.left_out += 1;
        }
    }
}

impl Approver {
    /// Looks at the templates, and for the clock at the open pull requests, for as long as there is time.
    pub(crate) async fn sweep(
        &self,
        event: &Arc<Event>,
        in_force: &InForce,
        scope: Scope,
        invocation: Invocation,
    ) -> Result<Handled, Failure> {
        let by = match &event.detail {
            Detail::ApprovalRuleTemplate(change) => change.caller.as_ref().map(ToString::to_string),
            _ => None,
        };
        let kept = self.keep_templates(in_force, by.as_deref()).await?;
        let mut swept = Swept { is_refused: kept.is_refused, ..Swept::default() };
        for line in &kept.told {
            swept.tell(line.clone());
        }
        if scope == Scope::Everything {
            self.sweep_all(event, in_force, &kept, invocation, &mut swept).await?;
        }
        self.finish(event, in_force, (kept, swept), invocation).await
    }

    async fn finish(
        &self,
        event: &Event,
        in_force: &InForce,
        (kept, mut swept): (Kept, Swept),
        invocation: Invocation,
    ) -> Result<Handled, Failure> {
        if swept.left_out > 0 {
            swept.told.push(format!("and {} more", swept.left_out));
        }
        let mut reasons = kept.drift;
        let is_touched = !reasons.is_empty();
        reasons.push(format!(
            "the templates of {} repositories and {} open pull requests were looked at",
            kept.repositories.len(),
            swept.looked
        ));
        let verdict = match (is_touched, swept.told.is_empty()) {
            (true, _) => "put back",
            (false, false) => "reported",
            (false, true) => "nothing new",
        };
        let is_news = is_touched || swept.is_refused || kept.told.iter().any(|line| !line.starts_with("would "));
        let said = Said { verdict, reasons, actions: swept.told, replay: json!({ "event": event }) };
        let report = in_force.report(said, invocation);
        match (is_news, swept.is_refused) {
            // Nothing found is the rule: a line in the log is enough for it.
            (false, _) => Ok(Handled::Reported(Box::new(report))),
            (true, false) => note(&self.ledger, Turn::of(&event.envelope), report, invocation).await,
            (true, true) => {
                self.ledger.refuse(Turn::of(&event.envelope), report.clone(), invocation.now).await?;
                Ok(Handled::Refused(Box::new(report)))
            }
        }
    }

    /// Looks at the open pull requests into a branch that has moved, for as long as there is time; what is left the sweep looks at.
    pub(crate) async fn look_into(
        &self,
        event: &Arc<Event>,
        in_force: &InForce,
        (repository, into): (RepositoryName, RefName),
        invocation: Invocation,
    ) -> Result<Handled, Failure> {
        let mut swept = Swept::default();
        let until = self.until(invocation);
        let open = self.codecommit.open_pull_requests(&repository).await?;
        let mut left = open.len();
        for some in open.chunks(AT_ONCE) {
            if swept.looked > 0 && Instant::now() >= until {
                break;
            }
            let needs = |subject: Subject| Needs::of_target(subject, into.clone());
            self.look_at(event, in_force, (&repository, some), needs, invocation, &mut swept).await;
            left -= some.len();
        }
        // A vote that could not be taken back must not stand until the next sweep: the event comes again.
        if let Some(failure) = swept.later {
            return Err(failure);
        }
        if left > 0 {
            swept.tell(format!("{left} more pull requests are left to the next sweep"));
        }
        if swept.left_out > 0 {
            swept.told.push(format!("and {} more", swept.left_out));
        }
        let moved = Reason::Idle(Idle::About(Scope::Into { repository, into }));
        let reasons = vec![render_reason(&moved), format!("{} open pull requests were looked at", swept.looked)];
        let verdict = if swept.told.is_empty() { "nothing new" } else { "reported" };
        let (is_quiet, is_refused) = (swept.told.is_empty(), swept.is_refused);
        let said = Said { verdict, reasons, actions: swept.told, replay: json!({ "event": event }) };
        let report = in_force.report(said, invocation);
        if is_quiet {
            return Ok(Handled::Reported(Box::new(report)));
        }
        if !is_refused {
            return note(&self.ledger, Turn::of(&event.envelope), report, invocation).await;
        }
        self.ledger.refuse(Turn::of(&event.envelope), report.clone(), invocation.now).await?;
        Ok(Handled::Refused(Box::new(report)))
    }

    fn until(&self, invocation: Invocation) -> Instant {
        let left = invocation.deadline.duration_since(Timestamp::now()).saturating_sub(RESERVE);
        Instant::now() + Duration::try_from(left).unwrap_or_default().min(self.sweep_time)
    }

    async fn sweep_all(
        &self,
        event: &Arc<Event>,
        in_force: &InForce,
        kept: &Kept,
        invocation: Invocation,
        swept: &mut Swept,
    ) -> Result<(), Failure> {
        let until = self.until(invocation);
        let cursor = self.state.read::<Cursor>(Cursor::KEY).await?.map(|kept| kept.value).unwrap_or_default();
        let mut repositories: Vec<&RepositoryName> = kept.repositories.iter().collect();
        // Begins where the last one stopped, and goes around once.
        if let Some(there) = &cursor.repository {
            let begin = repositories.partition_point(|name| *name < there);
            repositories.rotate_left(begin);
        }
        let mut next = Cursor::default();
        let mut is_first = true;
        'all: for repository in repositories {
            let open = match self.codecommit.open_pull_requests(repository).await {
                Ok(open) => open,
                Err(gone) if gone.code() == Some("RepositoryDoesNotExistException") => continue,
                Err(failure) => {
                    self.left(repository, &failure, swept);
                    continue;
                }
            };
            let mut behind = None;
            for some in cursor.left(repository, open).chunks(AT_ONCE) {
                // Whatever the time is, each sweep gets on by one step.
                if !is_first && Instant::now() >= until {
                    tracing::info!(
                        repo.name = repository.as_str(),
                        "the time of a sweep is over: the next one goes on there"
                    );
                    next = Cursor { repository: Some(repository.clone()), behind };
                    break 'all;
                }
                is_first = false;
                self.look_at(event, in_force, (repository, some), Needs::of_sweep, invocation, swept).await;
                behind = some.last().cloned();
            }
        }
        if next != cursor {
            self.state.change(Cursor::KEY, |_: Option<&Cursor>| next.clone()).await?;
        }
        tracing::info!(pull_requests = swept.looked, "swept");
        Ok(())
    }

    /// Looks at some pull requests at once; what fails is left for the next sweep.
    async fn look_at(
        &self,
        event: &Arc<Event>,
        in_force: &InForce,
        (repository, some): (&RepositoryName, &[PullRequestId]),
        needs: impl Fn(Subject) -> Needs,
        invocation: Invocation,
        swept: &mut Swept,
    ) {
        let mut looks = JoinSet::new();
        for id in some {
            let subject = Subject { repository: repository.clone(), pull_request: id.clone() };
            let (function, event, in_force) = (self.clone(), Arc::clone(event), in_force.clone());
            let needs = needs(subject.clone());
            looks.spawn(async move {
                let looked = function.look_for_sweep(&event, &in_force, (&subject, needs), invocation).await;
                (subject, looked)
            });
        }
        while let Some(looked) = looks.join_next().await {
            swept.looked += 1;
            let Ok((subject, looked)) = looked else { continue };
            let told =
                |report: &Report| format!("pull request {}: {}", subject.pull_request, report.actions.join("; "));
            match looked {
                Ok(Handled::Reported(report)) if !report.actions.is_empty() => swept.tell(told(&report)),
                Ok(Handled::Refused(report)) => {
                    swept.is_refused = true;
                    swept.tell(told(&report));
                }
                Ok(Handled::Reported(_) | Handled::Before | Handled::NotOurs) => {}
                Err(failure) => {
                    self.left(repository, &failure, swept);
                    if matches!(failure, Failure::Retry(_)) {
                        swept.later.get_or_insert(failure);
                    }
                }
            }
        }
    }

    fn left(&self, repository: &RepositoryName, failure: &Failure, swept: &mut Swept) {
        let why = failure.chain();
        tracing::warn!(repo.name = repository.as_str(), why, "left for the next sweep");
        swept.is_refused |= matches!(failure, Failure::Refused(_));
        swept.tell(format!("{repository}: left for the next sweep: {why}"));
    }

    async fn look_for_sweep(
        &self,
        event: &Event,
        in_force: &InForce,
        (subject, needs): (&Subject, Needs),
        invocation: Invocation,
    ) -> Result<Handled, Failure> {
        let Some(id) = id_of(event, subject) else { return Ok(Handled::NotOurs) };
        let invocation = Invocation { now: Timestamp::now(), ..invocation };
        self.look((event, None), needs, in_force, Turn::first(&id), invocation).await
    }
}

/// The id of the look at one pull request, the same for a redelivery of the sweep's event.
fn id_of(event: &Event, subject: &Subject) -> Option<EventId> {
    let digest = Sha256::digest(format!("{}\n{}\n{}", event.envelope.id, subject.repository, subject.pull_request));
    let digest: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    EventId::parse(format!("sweep-{digest}")).ok()
}
