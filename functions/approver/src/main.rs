//! The Lambda entry point of the approver.

use signalbox_approver::Approver;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), signalbox_glue::Error> {
    signalbox_glue::run(Approver::new).await
}
