//! What every `main()` needs: environment, tracing, clients, SQS batches, deadlines.
//!
//! A function is a value that can [`Handle`] one event. [`run`] makes it from a [`Setup`], asks Lambda for invocations,
//! takes SQS batches and bare events apart, and turns failures into what a queue understands.

mod batch;
mod carry_out;
mod event;
mod logging;
mod metrics;
mod policy_source;
mod reach;
mod run;
mod settings;

pub use batch::{Answer, Delivery, Invocation, answer_payload, wait_before_retry};
pub use carry_out::{Apply, Came, Ending, Order, Step, Twice, carry_out};
pub use event::{Said, note, read_event};
pub use logging::start_logging;
pub use metrics::{Measure, measure};
pub use policy_source::{InForce, PolicySource};
pub use reach::{OwnSessions, Readable};
pub use run::{Error, Handle, Handled, Setup, received, run};
pub use settings::{MissingSetting, Settings};
