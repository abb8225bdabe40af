//! What the story waits for: events on the bus, reports in the ledger, mail in the inbox; each with a deadline.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::sync::broadcast;
use tokio::time::{Instant, sleep, timeout};

use crate::eventbridge::Published;
use crate::sns::Mail;
use crate::stage::Stage;

/// How long a function may take to report on an event.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a build of the demo may take.
const BUILD_PATIENCE: Duration = Duration::from_secs(60);

/// Watches one stage from now on.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    stage: &'a Stage,
    events: broadcast::Receiver<Arc<Published>>,
    mail: broadcast::Receiver<Arc<Mail>>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(stage: &'a Stage) -> Self {
        Self { stage, events: stage.cloud().eventbridge.subscribe(), mail: stage.cloud().sns.subscribe_mail() }
    }

    /// The next event that `wanted` says yes to; each one that passes by before is shown to it.
    pub(super) async fn event(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&Published) -> bool,
    ) -> anyhow::Result<Arc<Published>> {
        let deadline = Instant::now() + BUILD_PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match timeout(left, self.events.recv()).await {
                Ok(Ok(published)) if wanted(&published) => return Ok(published),
                Ok(Ok(_) | Err(broadcast::error::RecvError::Lagged(_))) => {}
                Ok(Err(broadcast::error::RecvError::Closed)) => {
                    bail!("the event bus is gone while the story waited for {what}")
                }
                Err(_) => bail!("no {what} came within {} s", BUILD_PATIENCE.as_secs()),
            }
        }
    }

    /// The report of a function on an event.
    ///
    /// # Errors
    /// No report in time: says so, with the end of the function's log.
    pub(super) async fn report(&self, function: &str, event: &str) -> anyhow::Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(entry) = self.stage.ledger_entry(function, event)?
                && let Some(report) = entry.get("report").filter(|report| !report.is_null())
            {
                return Ok(report.clone());
            }
            sleep(Duration::from_millis(50)).await;
        }
        let log = self.stage.last_lines(function, 12).await?;
        let log =
            if log.is_empty() { "  (its log is empty: it was never invoked)".to_owned() } else { log.join("\n  ") };
        bail!(
            "the function {function} has not reported on event {event} within {} s. The end of its log:\n  {log}",
            PATIENCE.as_secs()
        )
    }

    /// What came of each action of an event that is finished, under the action's key.
    pub(super) fn outcomes(&self, function: &str, event: &str) -> anyhow::Result<Vec<(String, String)>> {
        let entry = self.stage.ledger_entry(function, event)?.unwrap_or_default();
        let outcomes = entry.get("outcomes").and_then(Value::as_object).into_iter().flatten();
        let done = outcomes.filter_map(|(key, outcome)| Some((key.clone(), outcome.get("done")?.as_str()?.to_owned())));
        Ok(done.collect())
    }

    /// The next mail.
    pub(super) async fn mail(&mut self, about: &str) -> anyhow::Result<Arc<Mail>> {
        let mail = timeout(PATIENCE, self.mail.recv()).await;
        mail.with_context(|| format!("no mail about {about} came within {} s", PATIENCE.as_secs()))?
            .with_context(|| format!("the inbox is gone while the story waited for mail about {about}"))
    }

    /// Whether any mail has come that nobody has asked for yet.
    pub(super) fn unexpected_mail(&mut self) -> Option<Arc<Mail>> {
        self.mail.try_recv().ok()
    }
}
