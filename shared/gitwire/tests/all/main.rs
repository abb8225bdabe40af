//! The client against git's own servers, and against servers that do wrong.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod copies;
mod dulwich;
mod history;
mod host;
mod hostile;
mod matrix;
mod mirror;
mod names;
mod repository;
mod scripted;
mod secure;
