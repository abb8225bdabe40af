//! Moving a dead-letter queue's messages back: what a redrive uses.
//!
//! On AWS a task runs for a while; here it is done when the call returns, so a task is only ever seen completed.

use serde::{Deserialize, Serialize};

use super::address::name_in_arn;
use super::queue::Stored;
use super::{Sqs, invalid};
use crate::error::{Answer, ServiceError};

/// How many finished tasks AWS remembers for a source.
const MOST_REMEMBERED: usize = 10;

/// A task that moved messages.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct MoveTask {
    pub(super) source: String,
    pub(super) destination: Option<String>,
    pub(super) moved: usize,
    pub(super) to_move: usize,
    pub(super) started: i64,
}

fn no_such(arn: &str) -> ServiceError {
    ServiceError::bad("ResourceNotFoundException", format!("The queue {arn} does not exist."))
}

impl Sqs {
    /// The name of a queue that a move names: by its ARN only.
    fn name_of(&self, arn: &str) -> Answer<String> {
        name_in_arn(&self.world, arn).map(str::to_owned).ok_or_else(|| no_such(arn))
    }

    /// Moves the visible messages of a dead-letter queue to `destination`, or each to where it came from; gives how many.
    ///
    /// They are new messages there, with ids and ages of their own, as on AWS. What has nowhere to go stays.
    ///
    /// # Errors
    /// A queue that does not exist; a source that is no queue's dead-letter queue.
    pub fn redrive_messages(&self, source: &str, destination: Option<&str>) -> Answer<usize> {
        let source_name = self.name_of(source)?;
        let to = destination.map(|arn| self.name_of(arn)).transpose()?;
        let source_arn = self.arn(&source_name);
        if to.as_ref() == Some(&source_name) {
            return Err(invalid("DestinationArn", source, "Source queue and destination queue cannot be the same."));
        }
        let now = self.now();
        let (moved, rung) = self.state.change(|state| {
            if !state.queues.contains_key(&source_name) {
                return Err(no_such(source));
            }
            let is_dead_letter_queue = state
                .queues
                .values()
                .any(|queue| queue.attributes.redrive().is_some_and(|redrive| redrive.target == source_arn));
            if !is_dead_letter_queue {
                return Err(invalid("SourceArn", source, "Source queue must be configured as a Dead Letter Queue."));
            }
            if let Some(name) = to.as_ref().filter(|name| !state.queues.contains_key(*name)) {
                return Err(no_such(&self.arn(name)));
            }
            let waiting = state.queues.get_mut(&source_name).map(|queue| {
                queue.settle(now);
                queue.drain_visible()
            });
            let waiting = waiting.unwrap_or_default();
            let (to_move, mut moved, mut rung) = (waiting.len(), 0, Vec::new());
            for stored in waiting {
                let origin = || stored.dead_letter_source.as_deref().and_then(|arn| self.name(arn).ok());
                let target = to.clone().or_else(origin).filter(|name| state.queues.contains_key(name));
                let Some(name) = target else {
                    tracing::warn!(
                        queue = source_name,
                        message = stored.id,
                        "a dead letter has nowhere to go back to; it stays"
                    );
                    if let Some(queue) = state.queues.get_mut(&source_name) {
                        queue.push(stored, 0, now);
                    }
                    continue;
                };
                if let Some(queue) = state.queues.get_mut(&name) {
                    let mut anew = Stored::new(self.world.uuid(), stored.body, stored.sender, now);
                    anew.attributes = stored.attributes;
                    anew.trace_header = stored.trace_header;
                    queue.push(anew, 0, now);
                    moved += 1;
                }
                if !rung.contains(&name) {
                    rung.push(name);
                }
            }
            state.moves.push(MoveTask {
                source: source_arn.clone(),
                destination: to.map(|name| self.arn(&name)),
                moved,
                to_move,
                started: now,
            });
            let of_source = state.moves.iter().filter(|task| task.source == source_arn).count();
            if of_source > MOST_REMEMBERED
                && let Some(oldest) = state.moves.iter().position(|task| task.source == source_arn)
            {
                state.moves.remove(oldest);
            }
            Ok((moved, rung))
        })?;
        for name in rung {
            self.ring(&name);
        }
        Ok(moved)
    }

    /// The tasks that moved messages out of a queue, newest first.
    pub(super) fn move_tasks(&self, source: &str, most: usize) -> Answer<Vec<MoveTask>> {
        let name = self.name_of(source)?;
        let arn = self.arn(&name);
        self.state.read(|state| {
            if !state.queues.contains_key(&name) {
                return Err(no_such(source));
            }
            Ok(state.moves.iter().rev().filter(|task| task.source == arn).take(most).cloned().collect())
        })
    }
}
