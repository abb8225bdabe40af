//! Whom IAM lets push where the policy lets nobody: found by the sweep and by events, told once, never put back.

use serde_json::{Value, json};
use signalbox_glue::Handled;
use signalbox_local::iam::Definition;
use signalbox_local::stage::Programs;
use signalbox_policy::iam::{Form, Place, Prevention};
use signalbox_policy::parse_policy;
use signalbox_protector::{Bounds, Protector};
use signalbox_tests::Ground;

use super::told::flat;
use super::watched::line;
use super::world::{World, policy};

const GUARDED: &str = "{ refs: [main, \"release/**\"], forbid: [direct-push], watch: [default-branch, push-permissions], bypass: [\"arn:aws:iam::*:user/developer\", \"arn:aws:sts::*:assumed-role/break-glass/*\"] }";
const BOTH: &str = "refs/heads/main, refs/heads/release/x";

fn allow(condition: &Value) -> Value {
    let repository = "arn:aws:codecommit:*:111122223333:demo";
    json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "codecommit:Git*", "Resource": repository, "Condition": condition,
    }] })
}

impl World {
    fn make_user(&self, name: &str, policies: &[(&str, Value)]) {
        let definition = Definition::default();
        let definition = policies.iter().fold(definition, |all, (name, policy)| all.with_policy(name, policy.clone()));
        self.ground.cloud().world.iam.put_user(name, definition).unwrap();
    }

    fn make_role(&self, path: &str, name: &str) {
        let definition = Definition::of_service("ec2.amazonaws.com", "push", allow(&json!({})));
        let definition = Definition { path: path.to_owned(), ..definition };
        self.ground.cloud().world.iam.put_role(name, definition).unwrap();
    }

    fn iam(&self, operation: &str, members: &[(&str, &str)]) {
        self.ground.cloud().iam.perform(operation, members, &self.ground.developer()).unwrap();
    }

    /// Everything that was told to be wrong since the last time.
    async fn wrongs(&mut self) -> Vec<String> {
        let events = self.put().await;
        let findings = events.iter().flat_map(|event| event["detail"]["findings"].as_array().unwrap());
        findings.map(|finding| finding["wrong"].as_str().unwrap().to_owned()).collect()
    }
}

fn wrong(kind: &str, path: &str, name: &str, refs: &str) -> String {
    format!("IAM lets the {kind} {name} (arn:aws:iam::111122223333:{kind}/{path}{name}) push to {refs}")
}

/// The deny statements that `signalbox iam` prints for this policy.
fn denied(ground: &Ground) -> Value {
    let policy = parse_policy(&policy(GUARDED)).unwrap();
    let [partition, region, account] = ["aws", "*", "*"].map(str::to_owned);
    let place = Place { partition, region, account, stack: ground.stage.stack.name.clone() };
    let documents = Prevention::of(&policy, &[]).documents(Form::Managed, &place).unwrap();
    assert_eq!(documents.len(), 1);
    documents[0].clone()
}

async fn begun(ground: Ground) -> World {
    let mut world = World::on(ground, GUARDED).await;
    world.commit("one", &[("a", b"1")]);
    world.push("main");
    world.next().await;
    world.put().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_push_is_told_once_by_mail_and_afterwards_only_who_is_new() {
    let mut world = begun(Ground::without_functions().await.unwrap()).await;
    let elsewhere = json!({ "StringLike": { "codecommit:References": "refs/heads/feature/*" } });
    world.make_user("anna", &[("push", allow(&json!({})))]);
    world.make_user("ben", &[("push", allow(&elsewhere))]);
    world.make_user("carol", &[("push", allow(&json!({}))), ("signalbox", denied(&world.ground))]);
    world.make_user("dora", &[]);
    world.make_role("/teams/", "deploy");
    world.make_role("/ops/", "break-glass");
    world.make_role("/aws-service-role/support.amazonaws.com/", "AWSServiceRoleForSupport");
    let Handled::Reported(report) = world.sweep("clock-1").await else { panic!("refused") };
    assert!(report.actions[0].contains("IAM lets the user anna"), "{report:?}");

    let put = world.put().await;
    assert_eq!(put.len(), 1, "{put:?}");
    let detail = &put[0]["detail"];
    assert_eq!((&detail["state"], &detail["about"]), (&json!("WEAKENED"), &json!("PUSH_PERMISSIONS")));
    let told: Vec<&str> =
        detail["findings"].as_array().unwrap().iter().map(|one| one["wrong"].as_str().unwrap()).collect();
    assert_eq!(told, [wrong("role", "teams/", "deploy", BOTH), wrong("user", "", "anna", BOTH)]);
    assert!(matches!(world.notified(&put[0]).await, Handled::Reported(_)));
    let mail = world.ground.cloud().sns.inbox().remove(0);
    assert_eq!(mail.subject, "IAM lets 2 users and roles push to demo past its protection");
    let body = flat(&mail.body);
    for said in
        ["the user anna", "refs/heads/main", "`signalbox iam --policy signalbox.yaml`", "name the ARN under `bypass`"]
    {
        assert!(body.contains(said), "{said}: {}", mail.body);
    }
    assert_eq!(body.matches("signalbox iam").count(), 1, "{}", mail.body);
    assert_eq!(mail.attributes["topic"].text(), "protection.weakened");

    world.sweep("clock-2").await;
    assert_eq!(world.wrongs().await, Vec::<String>::new());
    // A newcomer, and whoever loses the permission and gets it again.
    let text = allow(&json!({})).to_string();
    let of = |user| [("UserName", user), ("PolicyName", "push"), ("PolicyDocument", text.as_str())];
    world.iam("PutUserPolicy", &of("dora"));
    world.iam("DeleteUserPolicy", &of("anna")[..2]);
    world.sweep("clock-3").await;
    assert_eq!(world.wrongs().await, [wrong("user", "", "dora", BOTH)]);
    world.iam("PutUserPolicy", &of("anna"));
    world.sweep("clock-4").await;
    assert_eq!(world.wrongs().await, [wrong("user", "", "anna", BOTH)]);

    // Another policy lets nobody push to `next` either: that is news of those who are known already.
    let more = GUARDED.replace("[main, ", "[main, next, ");
    world.ground.policy(&policy(&more)).unwrap();
    world.sweep("clock-5").await;
    let next = |kind: &str, path: &str, name: &str| wrong(kind, path, name, "refs/heads/next");
    let expected = [
        next("role", "teams/", "deploy"),
        next("user", "", "anna"),
        next("user", "", "carol"),
        next("user", "", "dora"),
    ];
    assert_eq!(world.wrongs().await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_asked_for_in_parts_and_told_together_when_all_were() {
    let mut world = begun(Ground::in_pages_of_one(Programs::None).await.unwrap()).await;
    for name in ["anna", "ben", "carol"] {
        world.make_user(name, &[("push", allow(&json!({})))]);
    }
    world.protector = Protector::new(&world.ground.setup("protector").unwrap())
        .with_bounds(Bounds { questions: 2, ..Bounds::default() });
    let mut sweeps = 0;
    let told = loop {
        sweeps += 1;
        world.sweep(&format!("clock-{sweeps}")).await;
        let told = world.wrongs().await;
        if !told.is_empty() || sweeps > 40 {
            break told;
        }
    };
    let all = ["anna", "ben", "carol"].map(|name| wrong("user", "", name, BOTH));
    assert_eq!(told, all);
    assert!(sweeps > 3, "two questions are one user: {sweeps} sweeps");
    // The second round is silent, but for a newcomer.
    world.make_user("aaron", &[("push", allow(&json!({})))]);
    let mut told = Vec::new();
    for later in 1..=sweeps + 1 {
        world.sweep(&format!("later-{later}")).await;
        told.extend(world.wrongs().await);
    }
    assert_eq!(told, [wrong("user", "", "aaron", BOTH)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_iam_that_cloudtrail_tells_of_is_answered_at_once_with_who_made_it() {
    let mut world = begun(Ground::in_two_regions("us-east-1").await.unwrap()).await;
    world.sweep("clock-1").await;
    assert_eq!(world.wrongs().await, Vec::<String>::new());
    world.make_user("dora", &[]);
    let there = world.ground.stage.regions().find("us-east-1").unwrap().clone();
    let mut bus = there.eventbridge.subscribe();
    let text = allow(&json!({})).to_string();
    let members = [("UserName", "dora"), ("PolicyName", "push"), ("PolicyDocument", text.as_str())];
    there.iam.perform("PutUserPolicy", &members, &world.ground.developer()).unwrap();
    let call = bus.recv().await.unwrap().event.clone();
    assert_eq!((&call["source"], &call["detail"]["eventName"]), (&json!("aws.iam"), &json!("PutUserPolicy")));
    assert_eq!(world.reported(&call).await.verdict, "bypassed", "the developer may, by `bypass`");
    let said = world.said().await;
    assert_eq!(said, [line("BYPASSED", "PUSH_PERMISSIONS", "developer", &wrong("user", "", "dora", BOTH))]);
    // Neither the event that comes twice nor the sweep tells it again.
    world.handle(&call).await.unwrap();
    world.sweep("clock-2").await;
    assert_eq!(world.wrongs().await, Vec::<String>::new());

    // Somebody else made it; and what reaches many has everybody looked at.
    let mut other = call.clone();
    other["id"] = json!("another");
    other["detail"]["userIdentity"]["arn"] = json!("arn:aws:iam::111122223333:user/administrator");
    world.make_user("emil", &[("push", allow(&json!({})))]);
    world.make_user("fred", &[("push", allow(&json!({})))]);
    other["detail"]["requestParameters"] = json!({ "userName": "emil", "policyName": "push" });
    assert_eq!(world.reported(&other).await.verdict, "reported");
    let said = world.said().await;
    assert_eq!(said, [line("WEAKENED", "PUSH_PERMISSIONS", "administrator", &wrong("user", "", "emil", BOTH))]);
    other["id"] = json!("a-third");
    other["detail"]["eventName"] = json!("SetDefaultPolicyVersion");
    other["detail"]["requestParameters"] = json!({ "policyArn": "arn:aws:iam::111122223333:policy/developers" });
    assert_eq!(world.reported(&other).await.verdict, "reported");
    assert_eq!(world.wrongs().await, [wrong("user", "", "fred", BOTH)]);

    // Where nobody watches it, IAM is not asked.
    world.ground.policy(&policy("{ refs: [main], forbid: [direct-push] }")).unwrap();
    world.deny("iam:*");
    other["id"] = json!("a-fourth");
    assert_eq!(world.reported(&other).await.verdict, "not concerned");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_told_by_its_name_and_hinders_nothing_else() {
    let mut world = begun(Ground::without_functions().await.unwrap()).await;
    world.make_user("anna", &[("push", allow(&json!({})))]);
    world.push("main:refs/heads/develop");
    world.sweep("clock-1").await;
    assert_eq!(world.wrongs().await, [wrong("user", "", "anna", BOTH)]);
    for (number, action) in ["iam:ListUsers", "iam:ListRoles", "iam:SimulatePrincipalPolicy"].into_iter().enumerate() {
        world.deny(action);
        let Handled::Refused(report) = world.sweep(&format!("lacking-{number}")).await else { panic!("not refused") };
        assert!(report.actions.iter().any(|line| line.contains(action)), "{report:?}");
        let said = world.put().await;
        let failed = said.iter().find(|one| one["detail"]["state"] == "FAILED").unwrap();
        assert!(failed["detail"]["why"][0].as_str().unwrap().contains(action), "{failed}");
    }
    let other = json!({ "repositoryName": "demo", "defaultBranchName": "develop" });
    world.ground.cloud().codecommit.call("UpdateDefaultBranch", other, &world.ground.developer()).await.unwrap();
    world.sweep("clock-2").await;
    assert!(world.said().await.iter().any(|said| said.1 == "DEFAULT_BRANCH"));
}
