//! SQS: queues with visibility, redrive and long polling.

use std::sync::Arc;

use serde_json::Value;

use crate::error::{Answer, ServiceError};
use crate::world::World;

/// The service's state.
#[derive(Debug)]
pub struct Sqs {
    _world: Arc<World>,
}

impl Sqs {
    /// Opens what is there.
    ///
    /// # Errors
    /// A spoilt state file.
    pub fn open(world: &Arc<World>) -> anyhow::Result<Self> {
        Ok(Self { _world: Arc::clone(world) })
    }

    /// Answers one operation of the JSON protocol.
    ///
    /// # Errors
    /// AWS's codes.
    pub async fn call(&self, operation: &str, _input: Value) -> Answer<Value> {
        Err(ServiceError::unknown_operation("sqs", operation))
    }

    /// Writes the state.
    ///
    /// # Errors
    /// The disk.
    pub fn save(&self) -> anyhow::Result<()> {
        Ok(())
    }
}
