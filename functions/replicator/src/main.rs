//! The Lambda entry point of the replicator.

use signalbox_replicator::Replicator;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), signalbox_glue::Error> {
    signalbox_glue::run(Replicator::new).await
}
