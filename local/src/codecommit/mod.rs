//! CodeCommit over real bare git repositories.

use std::sync::Arc;

use hyper::body::Incoming;
use serde_json::Value;

use crate::auth::{Caller, Keys};
use crate::error::{Answer, ServiceError};
use crate::eventbridge::EventBridge;
use crate::http::{Response, whole};
use crate::world::World;

/// Repositories below `DIR/repositories`.
#[derive(Debug)]
pub struct CodeCommit {
    _world: Arc<World>,
    _bus: Arc<EventBridge>,
}

impl CodeCommit {
    /// Opens what is there.
    ///
    /// # Errors
    /// A folder that cannot be used, no git.
    pub fn open(world: &Arc<World>, bus: &Arc<EventBridge>) -> anyhow::Result<Self> {
        Ok(Self { _world: Arc::clone(world), _bus: Arc::clone(bus) })
    }

    /// Answers one operation of the JSON protocol.
    ///
    /// # Errors
    /// AWS's codes.
    pub async fn call(&self, operation: &str, _input: Value, _caller: &Caller) -> Answer<Value> {
        Err(ServiceError::unknown_operation("codecommit", operation))
    }

    pub(crate) async fn git_http(&self, _request: hyper::Request<Incoming>, _keys: &Keys) -> Response {
        Response::new(whole(""))
    }

    /// Writes the state.
    ///
    /// # Errors
    /// The disk.
    pub fn save(&self) -> anyhow::Result<()> {
        Ok(())
    }
}
