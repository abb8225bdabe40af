//! Scenarios: the functions over the local cloud, and the template held against the code.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that cannot go on has failed; a member of a JSON value that is not there is null"
)]

mod account;
mod approver;
mod carry_out;
mod chaos;
mod clients;
mod commands;
mod conformance;
mod desk;
#[cfg(target_os = "linux")]
mod full_disk;
mod iam;
mod ledger;
mod notifier;
mod pages;
mod policy_in_force;
mod prevention;
mod protector;
mod redrive;
mod replay;
mod replicator;
mod reviews;
mod rights;
mod status;
mod story;
mod sweep;
mod template;
mod trigger;
mod uninstall;
mod whole;
mod wire;
