//! EventBridge: the default bus, its rules, and the queues behind them.

mod matching;
pub mod pattern;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::auth::Caller;
use crate::error::{Answer, ServiceError};
use crate::sqs::Sqs;
use crate::world::World;

/// The default event bus.
#[derive(Debug)]
pub struct EventBridge {
    _world: Arc<World>,
    _sqs: Arc<Sqs>,
}

impl EventBridge {
    /// Opens what is there.
    ///
    /// # Errors
    /// A spoilt state file.
    pub fn open(world: &Arc<World>, sqs: &Arc<Sqs>) -> anyhow::Result<Self> {
        Ok(Self { _world: Arc::clone(world), _sqs: Arc::clone(sqs) })
    }

    /// Puts an event of an AWS service on the bus: makes the envelope and hands it to every rule that matches.
    pub fn publish(
        &self,
        _source: &str,
        _detail_type: &str,
        _resources: Vec<String>,
        _time: Timestamp,
        _detail: Value,
    ) {
    }

    /// Answers one operation of the JSON protocol.
    ///
    /// # Errors
    /// AWS's codes.
    pub async fn call(&self, operation: &str, _input: Value, _caller: &Caller) -> Answer<Value> {
        Err(ServiceError::unknown_operation("events", operation))
    }

    /// Writes the state.
    ///
    /// # Errors
    /// The disk.
    pub fn save(&self) -> anyhow::Result<()> {
        Ok(())
    }
}
