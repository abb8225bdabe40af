//! The statements of `signalbox iam` before the real git, judged by the local cloud's own IAM.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use signalbox_policy::iam::{Form, Place, Prevention};
use signalbox_policy::parse_policy;

use super::testing::Site;
use crate::auth::Caller;
use crate::iam::{Definition, Need, gate};
use crate::template::{Pseudo, Stack, Template};

const PROTECTOR: &str = "signalbox-ProtectorRole-ABCDEFGHIJKL";
const REPLICATOR: &str = "signalbox-ReplicatorRole-ABCDEFGHIJKL";
const POLICY: &str = "
mode: enforce
repositories:
  'de*':
    protection:
      - refs: [main, 'release/*']
        forbid: [direct-push, force-push, deletion]
        watch: [default-branch, approval-rules, repository-triggers]
        bypass: ['arn:aws:sts::111122223333:assumed-role/BreakGlass/*']
      - refs: ['refs/tags/v*']
        forbid: [update, deletion]
      - refs: ['frozen/**']
        forbid: [creation, update, deletion]
    approvals:
      main: { reviewers: { count: 1 }, override: ['arn:aws:iam::111122223333:user/lead'] }
";

/// How the statements come to the people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attached {
    Policies,
    Template,
    ServiceControl,
}

fn all_but_iam() -> Value {
    json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "codecommit:*", "Resource": "*" }] })
}

fn role() -> Definition {
    Definition::of_service("lambda.amazonaws.com", "all", all_but_iam())
}

/// Everybody is under the statements: as in an account with a service control policy, or where somebody attached too much.
async fn attach(site: &Site, how: Attached) {
    let cloud = &site.running.cloud;
    let iam = &cloud.world.iam;
    let roles = [PROTECTOR, REPLICATOR, "BreakGlass", "Developers"];
    for name in roles {
        iam.put_role(name, role()).unwrap();
    }
    iam.put_role("OnAPath", Definition { path: "/team/".to_owned(), ..role() }).unwrap();
    iam.put_user("lead", Definition::default().with_policy("all", all_but_iam())).unwrap();
    let prevention = Prevention::of(&parse_policy(POLICY).unwrap(), &[]);
    let place = Place {
        partition: "aws".to_owned(),
        region: "*".to_owned(),
        account: "111122223333".to_owned(),
        stack: "signalbox".to_owned(),
    };
    let form = match how {
        Attached::Policies => Form::Managed,
        Attached::ServiceControl => Form::ServiceControl,
        Attached::Template => {
            let text = serde_json::to_string_pretty(&prevention.cloudformation("signalbox").unwrap().unwrap()).unwrap();
            let parameters = BTreeMap::from([
                ("Users".to_owned(), "developer,lead".to_owned()),
                ("Roles".to_owned(), [&roles[..], &["OnAPath"]].concat().join(",")),
            ]);
            let template =
                Template::parse(&text, &parameters, &Pseudo::new("111122223333", "eu-west-1", "guard")).unwrap();
            Stack::create(cloud, &template).await.unwrap();
            return;
        }
    };
    for (number, document) in prevention.documents(form, &place).unwrap().iter().enumerate() {
        let name = format!("prevention-{number}");
        for user in ["developer", "lead"] {
            iam.put_user_policy(user, &name, document).unwrap();
        }
        for role in roles.into_iter().chain(["OnAPath"]) {
            iam.put_role_policy(role, &name, document).unwrap();
        }
    }
}

async fn plays_out_as_the_policy_says(how: Attached) {
    let site = Site::with_demo().await;
    site.call("CreateRepository", json!({ "repositoryName": "other" })).await.unwrap();
    let tree = site.work_tree("tree").await;
    tree.commit("a", "0").await;
    tree.commit("a", "1").await;
    tree.git(&["push", "-q", "origin", "main"]).await;
    attach(&site, how).await;
    tree.commit("a", "2").await;

    let said = tree.git_fails(&["push", "origin", "main"]).await;
    for words in ["! [remote rejected]", "main -> main", "codecommit:GitPush", "explicit deny", "ProtectDeMainRelease"]
    {
        assert!(said.contains(words), "{how:?}: {words}: {said}");
    }
    tree.git(&["push", "-q", "origin", "main:topic", "main:release/1/deep"]).await;
    for refused in ["+main~2:main", ":main", "main:release/1", "main:quarantine/main/x", "main:frozen/x"] {
        let said = tree.git_fails(&["push", "origin", refused]).await;
        assert!(said.contains("explicit deny"), "{how:?}: {refused}: {said}");
    }
    tree.git(&["tag", "v1"]).await;
    tree.git(&["push", "-q", "origin", "v1"]).await;
    let said = tree.git_fails(&["push", "origin", "main:topic2", "main"]).await;
    assert!(said.contains("the whole push is refused because of refs/heads/main"), "{how:?}: {said}");
    let refs = tree.git(&["ls-remote", "origin"]).await;
    assert!(!refs.contains("topic2") && !refs.contains("release/1\n") && refs.contains("refs/tags/v1"), "{refs}");
    tree.git(&["push", "-q", &site.url_for(&site.developer, "other"), "main"]).await;

    // Those who are spared, each over the other's work.
    let cloud = &site.running.cloud;
    for (role, refs) in [
        (REPLICATOR, "main"),
        (PROTECTOR, "+main~1:main"),
        ("BreakGlass", "main"),
        (PROTECTOR, "main:quarantine/main/x"),
    ] {
        let keys = cloud.keys.session(&cloud.world, role, "run", None);
        tree.git(&["push", "-q", &site.url_for(&keys, "demo"), refs]).await;
    }
    tree.commit("a", "3").await;
    for (role, refs) in [
        ("Developers", "main"),
        ("OnAPath", "main"),
        (REPLICATOR, "main:quarantine/y"),
        ("BreakGlass", "main:quarantine/y"),
    ] {
        let keys = cloud.keys.session(&cloud.world, role, "run", None);
        let said = tree.git_fails(&["push", &site.url_for(&keys, "demo"), refs]).await;
        assert!(said.contains("explicit deny"), "{how:?}: {role}: {said}");
    }
}

fn calls_are_judged_alike(site: &Site, how: Attached) {
    let cloud = &site.running.cloud;
    let call = |operation: &str, more: Value| {
        let mut input = json!({ "repositoryName": "demo" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let caller = Caller { arn: site.developer.arn.clone(), access_key_id: site.developer.access_key_id.clone() };
        gate::admit_json(cloud, "codecommit", operation, &input, &caller).is_ok()
    };
    let branch = |name: &str| json!({ "branchName": name });
    for operation in ["PutFile", "DeleteFile", "CreateCommit", "DeleteBranch"] {
        assert!(!call(operation, branch("main")), "{how:?}: {operation}");
        assert!(call(operation, branch("topic")), "{how:?}: {operation}");
        assert!(call(operation, branch("release/1/deep")), "{how:?}: {operation}");
    }
    assert!(call("CreateBranch", branch("release/2")) && !call("CreateBranch", branch("frozen/2")), "{how:?}");
    assert!(!call("UpdateDefaultBranch", json!({ "defaultBranchName": "topic" })), "{how:?}");
    assert!(
        !call("DeleteRepository", json!({}))
            && !call("UpdateRepositoryName", json!({ "oldName": "demo", "newName": "x" }))
    );
    assert!(call("DeleteRepository", json!({ "repositoryName": "other" })), "{how:?}");
    assert!(
        call("GetMergeCommit", json!({ "destinationCommitSpecifier": "main" })),
        "{how:?}: reading is nobody's harm"
    );

    // What the local cloud does not offer yet is judged all the same.
    let judged = |caller: &str, action: &str, reference: Option<&str>| {
        let need = Need::new(format!("codecommit:{action}"), "arn:aws:codecommit:eu-west-1:111122223333:demo");
        let need = match reference {
            Some(reference) => need.with("codecommit:References", reference),
            None => need,
        };
        cloud.world.iam.check(caller, &need, None).is_ok()
    };
    let developer = site.developer.arn.as_str();
    for how_merged in ["FastForward", "Squash", "ThreeWay"] {
        let (branches, request) = (format!("MergeBranchesBy{how_merged}"), format!("MergePullRequestBy{how_merged}"));
        assert!(!judged(developer, &branches, Some("refs/heads/main")), "{how:?}");
        assert!(judged(developer, &branches, Some("refs/heads/topic")), "{how:?}");
        assert!(judged(developer, &request, Some("refs/heads/main")), "{how:?}: merges stay allowed");
        assert!(!judged(developer, &request, Some("refs/heads/frozen/x")), "{how:?}");
    }
    for action in [
        "OverridePullRequestApprovalRules",
        "UpdatePullRequestApprovalRuleContent",
        "DeletePullRequestApprovalRule",
        "DisassociateApprovalRuleTemplateFromRepository",
        "UpdateApprovalRuleTemplateContent",
        "DeleteApprovalRuleTemplate",
        "PutRepositoryTriggers",
    ] {
        assert!(!judged(developer, action, None), "{how:?}: {action}");
        let approver = "arn:aws:sts::111122223333:assumed-role/BreakGlass/run";
        assert!(judged(approver, action, None), "{how:?}: {action}");
    }
    let lead = "arn:aws:iam::111122223333:user/lead";
    assert!(judged(lead, "OverridePullRequestApprovalRules", None), "{how:?}: the policy lets the lead override");
    assert!(!judged(lead, "PutRepositoryTriggers", None), "{how:?}");
    for action in ["ListApprovalRuleTemplates", "UpdatePullRequestApprovalState", "CreatePullRequest"] {
        assert!(judged(developer, action, None), "{how:?}: {action}");
    }
}

#[tokio::test]
async fn iam_policies_keep_pushes_from_protected_branches() {
    plays_out_as_the_policy_says(Attached::Policies).await;
}

#[tokio::test]
async fn the_template_keeps_pushes_from_protected_branches() {
    plays_out_as_the_policy_says(Attached::Template).await;
}

#[tokio::test]
async fn service_control_policies_keep_pushes_from_protected_branches() {
    plays_out_as_the_policy_says(Attached::ServiceControl).await;
}

#[tokio::test]
async fn every_form_judges_calls_alike() {
    for how in [Attached::Policies, Attached::Template, Attached::ServiceControl] {
        let site = Site::with_demo().await;
        attach(&site, how).await;
        calls_are_judged_alike(&site, how);
    }
}
