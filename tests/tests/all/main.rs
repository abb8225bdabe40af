//! Scenarios: the functions over the local cloud, and the template held against the code.

mod ledger;
mod policy_in_force;
mod story;
mod template;
mod trigger;
mod whole;
mod wire;
