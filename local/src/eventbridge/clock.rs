//! What happens because time passes: rules that run by the clock, further attempts, replays, retention.

use std::pin::pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::EventBridge;
use super::envelope::Draft;
use super::rules::Target;
use super::schedule::Schedule;

impl EventBridge {
    /// Does what is due, for as long as it is polled.
    pub async fn run_schedules(self: Arc<Self>) {
        loop {
            let mut rescheduled = pin!(self.rescheduled.notified());
            rescheduled.as_mut().enable();
            let now = self.world.now();
            let next = [self.fire_due(now), self.retry_due(now), self.replay_step(now), self.sweep_due(now)]
                .into_iter()
                .flatten()
                .min();
            let wait = next.map(|at| Duration::from_millis(u64::try_from(at - now.as_millisecond()).unwrap_or(0)));
            tokio::select! {
                () = rescheduled => {}
                // With nothing that runs by the clock there is nothing to wait for but a change.
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
            }
        }
    }

    /// Lets a rule's clock start anew.
    pub(super) fn reschedule(&self, rule: &str) {
        self.due.lock().unwrap_or_else(PoisonError::into_inner).remove(rule);
        self.rescheduled.notify_waiters();
    }

    /// Fires every rule that is due, once even if it was missed more often; gives when the next one is.
    ///
    /// The first run of a rate is one period after the rule was made, enabled, or found at the start.
    pub(super) fn fire_due(&self, now: Timestamp) -> Option<i64> {
        let at = now.as_millisecond();
        let clocked: Vec<(String, Schedule, Vec<Target>)> = self.state.read(|state| {
            let clocked = state.rules.iter().filter_map(|(name, rule)| {
                Some((name.clone(), rule.live_schedule()?, rule.targets.values().cloned().collect()))
            });
            clocked.collect()
        });
        let mut fired = Vec::new();
        let next = {
            let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
            due.retain(|name, _| clocked.iter().any(|(clocked, ..)| clocked == name));
            for (name, schedule, targets) in clocked {
                let last = due.get(&name).copied();
                if last.is_some_and(|last| last > at) {
                    continue;
                }
                match schedule.next(last, now) {
                    Some(next) => due.insert(name.clone(), next),
                    None => due.remove(&name),
                };
                if last.is_some() {
                    fired.push((name, targets));
                }
            }
            due.values().min().copied()
        };
        for rule in fired {
            let event = self.seal(Draft {
                source: "aws.events",
                detail_type: "Scheduled Event",
                resources: vec![self.rule_arn(&rule.0)],
                time: now,
                detail: json!({}),
                trace_header: None,
            });
            self.hand_out(&event, &[rule]);
        }
        next
    }
}
