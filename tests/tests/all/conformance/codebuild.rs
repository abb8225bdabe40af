//! `CodeBuild`'s script.

use std::time::Duration;

use serde_json::{Value, json};

use super::run::{Known, Run};

const KNOWN: Known = Known {
    common: &[("SerializationException", 400)],
    always: &[
        ("CreateProject", "/project/name"),
        ("CreateProject", "/project/arn"),
        ("CreateProject", "/project/source/type"),
        ("CreateProject", "/project/artifacts/type"),
        ("CreateProject", "/project/cache/type"),
        ("CreateProject", "/project/environment/environmentVariables"),
        ("CreateProject", "/project/environment/privilegedMode"),
        ("CreateProject", "/project/environment/imagePullCredentialsType"),
        ("CreateProject", "/project/serviceRole"),
        ("CreateProject", "/project/timeoutInMinutes"),
        ("CreateProject", "/project/queuedTimeoutInMinutes"),
        ("CreateProject", "/project/encryptionKey"),
        ("CreateProject", "/project/created"),
        ("CreateProject", "/project/lastModified"),
        ("CreateProject", "/project/badge/badgeEnabled"),
        ("CreateProject", "/project/projectVisibility"),
        ("BatchGetProjects", "/projects"),
        ("BatchGetProjects", "/projectsNotFound"),
        ("ListProjects", "/projects"),
        ("ListBuilds", "/ids"),
        ("ListBuildsForProject", "/ids"),
        ("StartBuild", "/build/id"),
        ("StartBuild", "/build/arn"),
        ("StartBuild", "/build/buildNumber"),
        ("StartBuild", "/build/startTime"),
        ("StartBuild", "/build/currentPhase"),
        ("StartBuild", "/build/buildStatus"),
        ("StartBuild", "/build/projectName"),
        ("StartBuild", "/build/phases"),
        ("StartBuild", "/build/logs/deepLink"),
        ("StartBuild", "/build/buildComplete"),
        ("StartBuild", "/build/initiator"),
        ("BatchGetBuilds", "/builds"),
        ("BatchGetBuilds", "/buildsNotFound"),
    ],
    taken: &[],
};

/// A project that waits until it is stopped.
fn project(run: &Run, name: &str) -> Value {
    let world = &run.ground.cloud().world;
    json!({
        "name": name,
        "source": { "type": "NO_SOURCE", "buildspec": "version: 0.2\nphases:\n  build:\n    commands:\n      - sleep $SECONDS_TO_WAIT\n" },
        "artifacts": { "type": "NO_ARTIFACTS" },
        "environment": { "type": "LINUX_CONTAINER", "image": "aws/codebuild/standard:7.0", "computeType": "BUILD_GENERAL1_SMALL" },
        "serviceRole": format!("arn:aws:iam::{}:role/build", world.account),
    })
}

#[tokio::test]
async fn codebuild_answers_as_its_model_says() {
    let Some(mut run) = Run::of("codebuild", KNOWN).await else { return };
    projects(&mut run).await;

    let wait = |seconds: &str| json!([{ "name": "SECONDS_TO_WAIT", "value": seconds, "type": "PLAINTEXT" }]);
    let start = json!({ "projectName": "unit", "environmentVariablesOverride": wait("0"), "timeoutInMinutesOverride": 10,
        "queuedTimeoutInMinutesOverride": 10, "idempotencyToken": "token" });
    let build = run.good("StartBuild", start).await;
    let id = build.pointer("/build/id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mismatch =
        json!({ "projectName": "unit", "environmentVariablesOverride": wait("1"), "idempotencyToken": "token" });
    run.refused("StartBuild", mismatch, "InvalidInputException").await;
    run.refused("StartBuild", json!({ "projectName": "none" }), "ResourceNotFoundException").await;
    finished(&mut run, &id).await;
    run.good("BatchGetBuilds", json!({ "ids": [id, "unit:none"] })).await;

    let again = run.good("RetryBuild", json!({ "id": id, "idempotencyToken": "again" })).await;
    let again = again.pointer("/build/id").and_then(Value::as_str).unwrap_or_default().to_owned();
    run.refused(
        "RetryBuild",
        json!({ "id": "unit:00000000-0000-4000-a000-000000000000" }),
        "ResourceNotFoundException",
    )
    .await;
    run.refused("RetryBuild", json!({}), "InvalidInputException").await;
    finished(&mut run, &again).await;
    let long =
        run.plain("StartBuild", json!({ "projectName": "unit", "environmentVariablesOverride": wait("600") })).await;
    let long = long.pointer("/build/id").and_then(Value::as_str).unwrap_or_default().to_owned();
    run.plain("BatchGetBuilds", json!({ "ids": [long] })).await;
    run.good("StopBuild", json!({ "id": long })).await;
    run.refused("StopBuild", json!({ "id": "unit:00000000-0000-4000-a000-000000000000" }), "ResourceNotFoundException")
        .await;
    finished(&mut run, &long).await;

    run.good("ListBuilds", json!({ "sortOrder": "ASCENDING" })).await;
    run.plain("ListBuilds", json!({})).await;
    run.refused("ListBuilds", json!({ "nextToken": "forged" }), "InvalidInputException").await;
    run.good("ListBuildsForProject", json!({ "projectName": "unit", "sortOrder": "DESCENDING" })).await;
    run.refused("ListBuildsForProject", json!({ "projectName": "none" }), "ResourceNotFoundException").await;
    run.good("DeleteProject", json!({ "name": "unit" })).await;
    run.plain("DeleteProject", json!({ "name": "unit" })).await;
    run.end().await;
}

async fn projects(run: &mut Run) {
    let mut full = project(run, "full");
    let world = std::sync::Arc::clone(&run.ground.cloud().world);
    for (name, value) in [
        ("description", json!("text")),
        ("sourceVersion", json!("main")),
        ("cache", json!({ "type": "NO_CACHE" })),
        ("timeoutInMinutes", json!(5)),
        ("queuedTimeoutInMinutes", json!(5)),
        ("encryptionKey", json!(world.arn("kms", "alias/aws/s3"))),
        ("tags", json!([{ "key": "team", "value": "a" }])),
        ("badgeEnabled", json!(false)),
        (
            "logsConfig",
            json!({ "cloudWatchLogs": { "status": "ENABLED", "groupName": "group", "streamName": "stream" }, "s3Logs": { "status": "DISABLED", "encryptionDisabled": false } }),
        ),
        ("concurrentBuildLimit", json!(2)),
    ] {
        full[name] = value;
    }
    full["source"] = json!({ "type": "CODECOMMIT", "location": format!("{}/v1/repos/demo", world.endpoint()), "buildspec": "buildspec.yml" });
    full["source"]["gitCloneDepth"] = json!(1);
    full["source"]["insecureSsl"] = json!(false);
    full["source"]["reportBuildStatus"] = json!(false);
    full["source"]["gitSubmodulesConfig"] = json!({ "fetchSubmodules": false });
    full["environment"]["privilegedMode"] = json!(false);
    full["environment"]["imagePullCredentialsType"] = json!("CODEBUILD");
    full["environment"]["environmentVariables"] = json!([{ "name": "A", "value": "b", "type": "PLAINTEXT" }]);
    run.good("CreateProject", full.clone()).await;
    run.refused("CreateProject", full.clone(), "ResourceAlreadyExistsException").await;
    let other = project(run, "unit");
    run.plain("CreateProject", other).await;
    run.good("UpdateProject", full).await;
    run.refused("UpdateProject", json!({ "name": "none" }), "ResourceNotFoundException").await;
    run.good("BatchGetProjects", json!({ "names": ["unit", "none"] })).await;
    run.good("ListProjects", json!({ "sortBy": "CREATED_TIME", "sortOrder": "DESCENDING" })).await;
    run.plain("ListProjects", json!({})).await;
    run.refused("ListProjects", json!({ "nextToken": "forged" }), "InvalidInputException").await;
}

/// Waits for a build's end; its whole way there is held against the model as well.
async fn finished(run: &mut Run, id: &str) {
    for _ in 0..600 {
        let found = run.plain("BatchGetBuilds", json!({ "ids": [id] })).await;
        if found.pointer("/builds/0/buildComplete") == Some(&Value::Bool(true)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the build {id} does not end");
}
