//! A handler that does nothing: what the functions' start, overhead, memory and size are compared with
//! (`cargo bench -p signalbox-tests`).

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(|_event: LambdaEvent<Value>| async { Ok::<_, Error>(Value::Null) })).await
}
