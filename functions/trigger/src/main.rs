//! The Lambda entry point of the trigger.

use signalbox_trigger::Trigger;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), signalbox_glue::Error> {
    signalbox_glue::run(Trigger::new).await
}
