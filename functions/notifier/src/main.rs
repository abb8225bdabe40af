//! The Lambda entry point of the notifier.

use signalbox_notifier::Notifier;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), signalbox_glue::Error> {
    signalbox_glue::run(Notifier::new).await
}
