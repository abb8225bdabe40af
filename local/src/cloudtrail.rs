//! `AWS API Call via CloudTrail`: what EventBridge tells of a call where an account has a trail. Here there is one.

use serde_json::{Value, json};

use crate::auth::Caller;
use crate::world::World;

/// The detail-type.
pub(crate) const DETAIL_TYPE: &str = "AWS API Call via CloudTrail";

/// The detail of a call that went well; `service` is the first word of its event source, as in `codecommit.amazonaws.com`.
pub(crate) fn detail(
    world: &World,
    caller: &Caller,
    service: &str,
    operation: &str,
    (parameters, answer): (&Value, Option<&Value>),
) -> Value {
    let kind = match caller.arn.split(':').nth(5) {
        Some(name) if name.starts_with("assumed-role/") => "AssumedRole",
        Some("root") => "Root",
        _ => "IAMUser",
    };
    json!({
        "eventVersion": "1.11",
        "userIdentity": { "type": kind, "arn": caller.arn, "accountId": world.account },
        "eventTime": world.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "eventSource": format!("{service}.amazonaws.com"),
        "eventName": operation,
        "awsRegion": world.region,
        "requestParameters": parameters,
        "responseElements": answer,
        "eventID": world.uuid(),
        "readOnly": false,
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": world.account,
        "eventCategory": "Management",
    })
}
