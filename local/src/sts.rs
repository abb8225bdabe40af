//! STS: who am I, and a role's session.

use std::sync::Arc;

use crate::auth::{Caller, Keys};
use crate::error::{Answer, ServiceError};
use crate::http::Parameters;
use crate::world::World;

/// The service's state.
#[derive(Debug)]
pub struct Sts {
    _world: Arc<World>,
    _keys: Arc<Keys>,
}

impl Sts {
    /// A token service over the keys of this world.
    pub fn new(world: &Arc<World>, keys: &Arc<Keys>) -> Self {
        Self { _world: Arc::clone(world), _keys: Arc::clone(keys) }
    }

    pub(crate) async fn call(&self, action: &str, _parameters: &Parameters, _caller: &Caller) -> Answer<String> {
        Err(ServiceError::unknown_operation("sts", action))
    }
}
