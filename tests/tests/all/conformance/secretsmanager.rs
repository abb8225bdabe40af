//! Secrets Manager's script.

use serde_json::json;

use super::run::{Known, Run};

const KNOWN: Known = Known {
    common: &[("AccessDeniedException", 400), ("SerializationException", 400)],
    always: &[
        ("CreateSecret", "/ARN"),
        ("CreateSecret", "/Name"),
        ("CreateSecret", "/VersionId"),
        ("GetSecretValue", "/ARN"),
        ("GetSecretValue", "/CreatedDate"),
        ("GetSecretValue", "/Name"),
        ("GetSecretValue", "/SecretString"),
        ("GetSecretValue", "/VersionId"),
        ("GetSecretValue", "/VersionStages"),
    ],
    taken: &[],
};

#[tokio::test]
async fn secrets_manager_answers_as_its_model_says() {
    let Some(mut run) = Run::of("secretsmanager", KNOWN).await else { return };
    let token = "0123456789abcdef0123456789abcdef";
    let secret = json!({ "Name": "hosts/token", "SecretString": "s3cret", "ClientRequestToken": token });
    let made = run.good("CreateSecret", secret.clone()).await;
    assert_eq!(made["VersionId"], token);
    run.refused("CreateSecret", secret, "ResourceExistsException").await;
    run.plain("CreateSecret", json!({ "Name": "hosts/other", "SecretString": "s3cret" })).await;
    let by_name = run.good("GetSecretValue", json!({ "SecretId": "hosts/token" })).await;
    let by_arn = run.plain("GetSecretValue", json!({ "SecretId": made["ARN"] })).await;
    assert_eq!((&by_name["SecretString"], &by_name), (&json!("s3cret"), &by_arn));
    run.refused("GetSecretValue", json!({ "SecretId": "hosts/none" }), "ResourceNotFoundException").await;
    run.end().await;
}
