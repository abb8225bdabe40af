//! `AWS API Call via CloudTrail`: the calls that change a repository and that no event of CodeCommit tells of.
//!
//! On AWS an account sees them once it has a trail; here there is one.

use serde_json::{Value, json};

use super::events::SOURCE;
use super::repositories::Repositories;
use crate::auth::Caller;

const DETAIL_TYPE: &str = "AWS API Call via CloudTrail";

/// The calls that are told.
const TOLD: [&str; 2] = ["PutRepositoryTriggers", "UpdateDefaultBranch"];

impl Repositories {
    /// Tells of a call that went well.
    pub(super) fn tell_call(&self, operation: &str, input: &Value, output: &Value, caller: &Caller) {
        if !TOLD.contains(&operation) {
            return;
        }
        let now = self.world.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let output = Some(output).filter(|output| output.as_object().is_some_and(|members| !members.is_empty()));
        let kind = match caller.arn.split(':').nth(5) {
            Some(name) if name.starts_with("assumed-role/") => "AssumedRole",
            Some("root") => "Root",
            _ => "IAMUser",
        };
        let detail = json!({
            "eventVersion": "1.11",
            "userIdentity": { "type": kind, "arn": caller.arn, "accountId": self.world.account },
            "eventTime": now,
            "eventSource": "codecommit.amazonaws.com",
            "eventName": operation,
            "awsRegion": self.world.region,
            "requestParameters": input,
            "responseElements": output,
            "eventID": self.world.uuid(),
            "readOnly": false,
            "eventType": "AwsApiCall",
            "managementEvent": true,
            "recipientAccountId": self.world.account,
            "eventCategory": "Management",
        });
        self.bus.publish(SOURCE, DETAIL_TYPE, Vec::new(), self.world.now(), detail);
    }
}
