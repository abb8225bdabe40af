//! Replays: an archive's events on the bus once more, with their ids and times and the replay's name.

use std::collections::VecDeque;
use std::sync::PoisonError;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::EventBridge;
use super::envelope::Envelope;
use super::matching::Fields;

/// How many events a replay puts on the bus before others have their turn.
const AT_ONCE: usize = 50;

/// A replay, also when it is over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Replay {
    /// The archive's name.
    pub(super) archive: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    /// The ARN of the bus.
    pub(super) destination: String,
    /// The ARNs of the rules that get the events; none means all.
    pub(super) filter: Vec<String>,
    /// The range of the events' times, and all other times, in milliseconds since 1970.
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) state: ReplayState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    pub(super) started: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended: Option<i64>,
    /// The time of the last event that was replayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last: Option<i64>,
    /// How many events were replayed: a restart goes on behind them.
    pub(super) done: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum ReplayState {
    Starting,
    Running,
    Cancelling,
    Completed,
    Cancelled,
    Failed,
}

impl ReplayState {
    /// Whether there is something to do for it still.
    pub(super) fn is_going(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Cancelling)
    }
}

/// The events that a replay has not put on the bus yet.
pub(super) type Queue = VecDeque<(i64, Envelope)>;

impl EventBridge {
    /// Takes every replay that is going a step further; gives when the next step is.
    pub(super) fn replay_step(&self, now: Timestamp) -> Option<i64> {
        let going: Vec<(String, Replay)> = self.state.read(|state| {
            let going = state.replays.iter().filter(|(_, replay)| replay.state.is_going());
            going.map(|(name, replay)| (name.clone(), replay.clone())).collect()
        });
        for (name, replay) in &going {
            if replay.state == ReplayState::Cancelling {
                self.end_replay(name, ReplayState::Cancelled, None, now);
                continue;
            }
            let Some(mut queue) = self.queue_of(name, replay) else {
                let reason = format!("Archive {} cannot be read any more.", replay.archive);
                self.end_replay(name, ReplayState::Failed, Some(reason), now);
                continue;
            };
            let turn: Vec<_> = queue.drain(..queue.len().min(AT_ONCE)).collect();
            for (time, event) in &turn {
                self.put_again(name, replay, event, now);
                self.change_replay(name, |replay| {
                    replay.last = Some(*time);
                    replay.done += 1;
                });
            }
            if queue.is_empty() {
                self.end_replay(name, ReplayState::Completed, None, now);
            } else {
                self.replaying.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), queue);
                self.change_replay(name, |replay| {
                    // A cancellation that came meanwhile stands.
                    if replay.state == ReplayState::Starting {
                        replay.state = ReplayState::Running;
                    }
                });
            }
        }
        (!going.is_empty()).then(|| now.as_millisecond())
    }

    fn queue_of(&self, name: &str, replay: &Replay) -> Option<Queue> {
        if let Some(queue) = self.replaying.lock().unwrap_or_else(PoisonError::into_inner).remove(name) {
            return Some(queue);
        }
        let archive = self.state.read(|state| state.archives.get(&replay.archive).cloned())?;
        let events = self.archived(&replay.archive, &archive, replay.from, replay.to);
        let events = events.inspect_err(|error| tracing::error!(replay = name, %error, "an archive cannot be read"));
        Some(events.ok()?.into_iter().skip(replay.done).collect())
    }

    fn put_again(&self, name: &str, replay: &Replay, event: &Envelope, now: Timestamp) {
        let event = Envelope { replay_name: Some(name.to_owned()), ..event.clone() };
        let sealed = event.seal(now, None);
        let named = |rule: &str| replay.filter.is_empty() || replay.filter.contains(&self.rule_arn(rule));
        let matched = self.matching(&Fields::of(&sealed.event), named);
        self.hand_out(&sealed, &matched);
    }

    fn change_replay(&self, name: &str, change: impl FnOnce(&mut Replay)) {
        self.state.change(|state| state.replays.get_mut(name).map(change));
    }

    fn end_replay(&self, name: &str, state: ReplayState, reason: Option<String>, now: Timestamp) {
        self.replaying.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        self.change_replay(name, |replay| {
            replay.state = state;
            replay.reason = reason;
            replay.ended = Some(now.as_millisecond());
        });
    }
}
