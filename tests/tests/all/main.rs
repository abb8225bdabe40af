//! Scenarios: the functions over the local cloud, and the template held against the code.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a scenario that cannot go on has failed")]

mod account;
mod carry_out;
mod chaos;
mod clients;
mod commands;
mod conformance;
#[cfg(target_os = "linux")]
mod full_disk;
mod iam;
mod ledger;
mod notifier;
mod pages;
mod policy_in_force;
mod replay;
mod story;
mod sweep;
mod template;
mod trigger;
mod whole;
mod wire;
