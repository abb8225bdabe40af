//! The policy file: parsed, checked, and asked.
//!
//! Raw YAML never leaves this crate: what comes out is checked, or it is a list of everything that is wrong.

mod cron;
mod glob;
mod glob_index;
mod glob_syntax;
mod guard;
pub mod iam;
pub mod keys;
mod model;
mod names;
mod problem;
mod read;
mod refer;
mod schema;
mod signing;
mod suggest;
mod topic;
mod trigger;
mod units;
mod words;
mod yaml;

pub use cron::{Cron, CronField, InvalidCron, Minute};
pub use glob::Globs;
pub use glob_index::GlobIndex;
pub use glob_syntax::InvalidGlob;
pub use guard::*;
pub use model::*;
pub use names::*;
pub use problem::{Note, Problem, ProblemKind, Problems, render_problems};
pub use read::parse_policy;
pub use schema::schema;
pub use signing::{Signed, SigningKey, speaks_for};
pub use suggest::nearest;
pub use topic::Topic;
pub use trigger::*;
pub use units::{ByteSize, InvalidUnit, Period};
