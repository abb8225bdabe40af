//! CodeBuild: real buildspecs, run in a shell.

use std::sync::Arc;

use serde_json::Value;

use crate::auth::{Caller, Keys};
use crate::error::{Answer, ServiceError};
use crate::eventbridge::EventBridge;
use crate::logs::Logs;
use crate::world::World;

/// Projects and builds.
#[derive(Debug)]
pub struct CodeBuild {
    _world: Arc<World>,
    _keys: Arc<Keys>,
    _bus: Arc<EventBridge>,
    _logs: Arc<Logs>,
}

impl CodeBuild {
    /// Opens what is there.
    ///
    /// # Errors
    /// A folder that cannot be used.
    pub fn open(
        world: &Arc<World>,
        keys: &Arc<Keys>,
        bus: &Arc<EventBridge>,
        logs: &Arc<Logs>,
    ) -> anyhow::Result<Self> {
        Ok(Self { _world: Arc::clone(world), _keys: Arc::clone(keys), _bus: Arc::clone(bus), _logs: Arc::clone(logs) })
    }

    /// Answers one operation of the JSON protocol.
    ///
    /// # Errors
    /// AWS's codes.
    pub async fn call(&self, operation: &str, _input: Value, _caller: &Caller) -> Answer<Value> {
        Err(ServiceError::unknown_operation("codebuild", operation))
    }

    /// Ends every build that still runs, with its process group.
    pub async fn stop_all(&self) {}

    /// Writes the state.
    ///
    /// # Errors
    /// The disk.
    pub fn save(&self) -> anyhow::Result<()> {
        Ok(())
    }
}
