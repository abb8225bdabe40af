//! SNS: topics, subscriptions, and an inbox that people can read.

use std::sync::Arc;

use crate::auth::Caller;
use crate::error::{Answer, ServiceError};
use crate::http::{Parameters, Response};
use crate::world::World;

/// Topics and the inbox.
#[derive(Debug)]
pub struct Sns {
    _world: Arc<World>,
}

impl Sns {
    /// Opens what is there.
    ///
    /// # Errors
    /// A spoilt state file.
    pub fn open(world: &Arc<World>) -> anyhow::Result<Self> {
        Ok(Self { _world: Arc::clone(world) })
    }

    pub(crate) async fn call(&self, action: &str, _parameters: &Parameters, _caller: &Caller) -> Answer<String> {
        Err(ServiceError::unknown_operation("sns", action))
    }

    pub(crate) fn page(&self, _path: &str) -> Option<Response> {
        None
    }

    /// Writes the state.
    ///
    /// # Errors
    /// The disk.
    pub fn save(&self) -> anyhow::Result<()> {
        Ok(())
    }
}
