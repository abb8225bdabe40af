//! STS's script.

use serde_json::json;
use signalbox_local::iam::Definition;
use signalbox_tests::{EXTERNAL_ID, MIRROR, MIRROR_ROLE};

use super::run::{Known, Run};

const KNOWN: Known = Known {
    common: &[("ValidationError", 400), ("AccessDenied", 403)],
    always: &[
        ("GetCallerIdentity", "/UserId"),
        ("GetCallerIdentity", "/Account"),
        ("GetCallerIdentity", "/Arn"),
        ("AssumeRole", "/Credentials/AccessKeyId"),
        ("AssumeRole", "/Credentials/SecretAccessKey"),
        ("AssumeRole", "/Credentials/SessionToken"),
        ("AssumeRole", "/Credentials/Expiration"),
        ("AssumeRole", "/AssumedRoleUser/AssumedRoleId"),
        ("AssumeRole", "/AssumedRoleUser/Arn"),
    ],
    taken: &[],
};

#[tokio::test]
async fn sts_answers_as_its_model_says() {
    let Some(mut run) = Run::of("sts", KNOWN).await else { return };
    run.good("GetCallerIdentity", json!({})).await;
    let role = format!("arn:aws:iam::{}:role/checks", run.ground.cloud().world.account);
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "AWS": "111122223333" }, "Action": "sts:AssumeRole",
    }] });
    let definition = Definition { trust: Some(trust), ..Definition::default() };
    run.ground.cloud().world.iam.put_role("checks", definition).unwrap();
    let assume = json!({ "RoleArn": role, "RoleSessionName": "unit", "DurationSeconds": 900, "ExternalId": "abc" });
    run.good("AssumeRole", assume).await;
    run.plain("AssumeRole", json!({ "RoleArn": role, "RoleSessionName": "unit" })).await;
    // A role of another account answers alike, once both sides agree.
    let mirror = json!({ "RoleArn": MIRROR_ROLE, "RoleSessionName": "unit", "ExternalId": EXTERNAL_ID });
    run.refused("AssumeRole", mirror.clone(), "AccessDenied").await;
    let there = run.ground.stage.all().find(MIRROR).unwrap();
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::111122223333:root" }, "Action": "sts:AssumeRole",
        "Condition": { "StringEquals": { "sts:ExternalId": EXTERNAL_ID } },
    }] });
    let definition = Definition { trust: Some(trust), ..Definition::default() };
    there.home.world.iam.put_role("SignalboxMirror", definition).unwrap();
    let assumed = run.plain("AssumeRole", mirror).await;
    assert_eq!(
        assumed["AssumedRoleUser"]["Arn"],
        format!("arn:aws:sts::{MIRROR}:assumed-role/SignalboxMirror/unit"),
        "{assumed}"
    );
    for external_id in [json!({}), json!({ "ExternalId": "another" })] {
        let mut asked = json!({ "RoleArn": MIRROR_ROLE, "RoleSessionName": "unit" });
        asked.as_object_mut().unwrap().extend(external_id.as_object().unwrap().clone());
        run.refused("AssumeRole", asked, "AccessDenied").await;
    }
    let elsewhere = json!({ "RoleArn": "arn:aws:iam::999999999999:role/checks", "RoleSessionName": "unit" });
    run.refused("AssumeRole", elsewhere, "AccessDenied").await;
    run.refused(
        "AssumeRole",
        json!({ "RoleArn": "arn:aws:iam::x:user/someone-else", "RoleSessionName": "unit" }),
        "ValidationError",
    )
    .await;
    run.end().await;
}
