//! What the tests of CodeBuild share.

use jiff::Timestamp;
use serde_json::json;

use super::model::Build;

/// A build that has just been asked for.
pub(crate) fn sample_build(start: Timestamp) -> Build {
    serde_json::from_value(json!({
        "id": "unit:0a1b2c3d-0000-4000-a000-000000000001",
        "arn": "arn:aws:codebuild:eu-west-1:111122223333:build/unit:0a1b2c3d-0000-4000-a000-000000000001",
        "buildNumber": 7,
        "startTime": start.as_second(),
        "currentPhase": "SUBMITTED",
        "buildStatus": "IN_PROGRESS",
        "sourceVersion": "main",
        "projectName": "unit",
        "phases": [],
        "source": {
            "type": "CODECOMMIT",
            "location": "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/demo",
            "gitCloneDepth": 1,
            "gitSubmodulesConfig": { "fetchSubmodules": false },
        },
        "artifacts": { "location": "" },
        "cache": { "type": "NO_CACHE" },
        "environment": {
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": [{ "name": "LEVEL", "value": "1" }],
        },
        "serviceRole": "arn:aws:iam::111122223333:role/builder",
        "logs": super::starts::no_logs_yet("eu-west-1"),
        "timeoutInMinutes": 60,
        "queuedTimeoutInMinutes": 480,
        "buildComplete": false,
        "initiator": "developer",
        "encryptionKey": "arn:aws:kms:eu-west-1:111122223333:alias/aws/s3",
    }))
    .unwrap()
}
