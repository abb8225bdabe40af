//! The Lambda entry point of the protector.

use signalbox_protector::Protector;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), signalbox_glue::Error> {
    signalbox_glue::run(Protector::new).await
}
