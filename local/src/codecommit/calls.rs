//! `AWS API Call via CloudTrail`: the calls that change a repository and that no event of CodeCommit tells of.

use serde_json::Value;

use super::events::SOURCE;
use super::repositories::Repositories;
use crate::auth::Caller;
use crate::cloudtrail::{self, DETAIL_TYPE};

/// The calls that are told.
const TOLD: [&str; 2] = ["PutRepositoryTriggers", "UpdateDefaultBranch"];

impl Repositories {
    /// Tells of a call that went well.
    pub(super) fn tell_call(&self, operation: &str, input: &Value, output: &Value, caller: &Caller) {
        if !TOLD.contains(&operation) {
            return;
        }
        let output = Some(output).filter(|output| output.as_object().is_some_and(|members| !members.is_empty()));
        let detail = cloudtrail::detail(&self.world, caller, "codecommit", operation, (input, output));
        self.bus.publish(SOURCE, DETAIL_TYPE, Vec::new(), self.world.now(), detail);
    }
}
