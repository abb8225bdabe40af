//! The event vocabulary: raw EventBridge JSON in, typed events out.
//!
//! Nothing behind [`parse_event`] sees raw JSON.

mod names;

pub use names::*;
