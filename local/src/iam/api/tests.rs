//! IAM's API within one process; what it says over the wire is held against the service model elsewhere.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::auth::Caller;
use crate::cloud::{Cloud, Running, Settings};

fn developer() -> Caller {
    Caller { arn: "arn:aws:iam::111122223333:user/developer".to_owned(), access_key_id: "AKIA".to_owned() }
}

async fn cloud(dir: PathBuf, regions: &[&str]) -> Running {
    let regions = regions.iter().map(|region| (*region).to_owned()).collect();
    Cloud::start(Settings { regions, ..Settings::new(dir) }).await.unwrap()
}

fn allow(action: &str) -> String {
    json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": action, "Resource": "*" }] })
        .to_string()
}

fn put(cloud: &Arc<Cloud>, policy: &str) {
    let members = [("UserName", "anna"), ("PolicyName", "push"), ("PolicyDocument", policy)];
    cloud.iam.perform("PutUserPolicy", &members, &developer()).unwrap();
}

#[tokio::test]
async fn all_regions_of_an_account_have_the_same_users_and_only_one_of_them_hears_of_calls() {
    let dir = tempfile::tempdir().unwrap();
    let running = cloud(dir.path().join("cloud"), &["eu-west-1", "us-east-1"]).await;
    let there = running.regions.find(super::REGION).unwrap();
    let (mut here_bus, mut there_bus) = (running.cloud.eventbridge.subscribe(), there.eventbridge.subscribe());
    let made = [("UserName", "anna"), ("Tags.member.1.Key", "team"), ("Tags.member.1.Value", "payments")];
    there.iam.perform("CreateUser", &made, &developer()).unwrap();
    let found = running.cloud.iam.perform("GetUser", &[("UserName", "anna")], &developer()).unwrap();
    assert!(found.contains("<Arn>arn:aws:iam::111122223333:user/anna</Arn>"), "{found}");
    let told = there_bus.recv().await.unwrap().event.clone();
    assert_eq!((&told["source"], &told["region"]), (&json!("aws.iam"), &json!("us-east-1")));
    assert_eq!(told["detail"]["eventName"], "CreateUser");
    let parameters = json!({ "userName": "anna", "tags": [{ "key": "team", "value": "payments" }] });
    assert_eq!(told["detail"]["requestParameters"], parameters);
    // A call that only reads is not told, and the home region hears of none.
    there.iam.perform("ListUsers", &[], &developer()).unwrap();
    put(&running.cloud, &allow("codecommit:GitPush"));
    assert!(there_bus.try_recv().is_err() && here_bus.try_recv().is_err());
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_simulation_says_what_the_judgement_would_say_and_leaves_no_trace_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let running = cloud(dir.path().join("cloud"), &["eu-west-1"]).await;
    let home = &running.cloud;
    home.iam.perform("CreateUser", &[("UserName", "anna")], &developer()).unwrap();
    let asked = [
        ("PolicySourceArn", "arn:aws:iam::111122223333:user/anna"),
        ("ActionNames.member.1", "codecommit:GitPush"),
        ("ResourceArns.member.1", "arn:aws:codecommit:eu-west-1:111122223333:demo"),
    ];
    let decided = || home.iam.perform("SimulatePrincipalPolicy", &asked, &developer()).unwrap();
    let before = (home.world.iam.uses(), home.world.iam.refusals());
    assert!(decided().contains("<EvalDecision>implicitDeny</EvalDecision>"), "{}", decided());
    put(home, &allow("codecommit:Git*"));
    assert!(decided().contains("<EvalDecision>allowed</EvalDecision>"), "{}", decided());
    assert_eq!((home.world.iam.uses(), home.world.iam.refusals()), before, "nobody did anything");
    let deny: Value = json!({ "Effect": "Deny", "Action": "codecommit:GitPush", "Resource": "*", "Condition": {
        "Null": { "codecommit:References": "false" } } });
    let both = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "*", "Resource": "*" }, deny ] });
    put(home, &both.to_string());
    let told = decided();
    assert!(told.contains("<EvalDecision>allowed</EvalDecision>"), "the key is not given: {told}");
    assert!(told.contains("<MissingContextValues><member>codecommit:References</member>"), "{told}");
    running.stop().await.unwrap();
}
