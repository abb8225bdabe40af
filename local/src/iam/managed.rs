//! The managed policies of AWS that roles are likely to name here.

use serde_json::{Value, json};

/// The document behind an ARN `arn:aws:iam::aws:policy/...`.
pub(super) fn document(arn: &str) -> Option<Value> {
    let logs = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"];
    let actions: Vec<&str> = match arn.strip_prefix("arn:aws:iam::aws:policy/")? {
        "AdministratorAccess" => vec!["*"],
        "service-role/AWSLambdaBasicExecutionRole" => logs.to_vec(),
        "service-role/AWSLambdaSQSQueueExecutionRole" => {
            let queue = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
            queue.into_iter().chain(logs).collect()
        }
        "AWSXRayDaemonWriteAccess" => vec![
            "xray:PutTraceSegments",
            "xray:PutTelemetryRecords",
            "xray:GetSamplingRules",
            "xray:GetSamplingTargets",
            "xray:GetSamplingStatisticSummaries",
        ],
        _ => return None,
    };
    Some(json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": actions, "Resource": "*" }],
    }))
}
