//! Protections as checks: the protector's rules hold a pull request's range before it is merged.

use serde_json::json;
use signalbox_glue::{Handle, Handled};
use signalbox_protector::{Bounds, Protector};
use signalbox_tests::Ground;

use super::REFUSED;
use super::world::{CHECK, World};

/// A policy whose merges into `main` need the protection `tidy`, which says this.
fn policy(rules: &str) -> String {
    format!(
        "mode: enforce\nrepositories:\n  demo:\n    approvals:\n      main: {{ checks: [tidy] }}\n    protection:\n      - \
         {{ name: tidy, refs: [main], {rules} }}\n"
    )
}

const RULES: &str = "commits: { message: \"^feat\" }, files: { forbid: [\"*.pem\"], reject: [secret] }";

async fn world(rules: &str) -> World {
    World::on(Ground::without_functions().await.unwrap(), &policy(rules)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_judged_before_it_is_merged_and_everything_is_listed_at_once() {
    let mut world = world(RULES).await;
    world.git(&["switch", "--quiet", "-c", "feature", "main"]);
    let first = world.commit("wip", &["server.pem"]);
    let token = format!("ghp_{}", "a1".repeat(18));
    let second = world.commit(&format!("feat {token}"), &["config"]);
    world.git(&["push", "--quiet", "origin", "feature"]);
    let id = world.open_only("feature").await;
    world.settle().await;
    assert_eq!(world.merge(&id).await.as_deref(), Some(REFUSED));
    assert!(!world.is_voted(&id).await);
    let comment = world.comment(&id).await;
    assert!(comment.contains("| check tidy | missing | it found 3 faults |"), "{comment}");
    for finding in [
        format!("- commits.message: commit {}: the message does not match", &first[..7]),
        format!("- files.forbid: server.pem in {}: files like", &first[..7]),
        format!("- files.reject secret: config in {}: line 1 has what looks like", &second[..7]),
    ] {
        assert!(comment.contains(&finding), "{finding}: {comment}");
    }
    assert!(comment.contains("git commit --amend") && !comment.contains("ghp_"), "{comment}");

    // Nothing of it may be in the history that is merged: the branch is made anew.
    world.git(&["reset", "--quiet", "--hard", "main"]);
    world.commit("feat: it", &["good"]);
    world.git(&["push", "--quiet", "--force", "origin", "feature"]);
    world.settle().await;
    let comment = world.comment(&id).await;
    assert!(comment.contains("| check tidy | met | nothing is wrong in 1 commit |"), "{comment}");
    assert_eq!(world.merge(&id).await, None);
    world.settle().await;

    // Once it is judged nobody is asked again.
    let entries = world.ground.objects("ledger/protector/").unwrap();
    assert_eq!(entries.len(), 2, "{:?}", entries.keys().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_rules_have_it_judged_anew_and_a_protection_without_any_is_green() {
    let mut world = world("forbid: [deletion]").await;
    let id = world.open("feature", &["a.pem"]).await;
    world.settle().await;
    let comment = world.comment(&id).await;
    assert!(comment.contains("| check tidy | met | it has no rules for commits and files"), "{comment}");
    assert!(world.is_voted(&id).await && world.ground.objects("state/protected/demo/").unwrap().is_empty());

    world.ground.policy(&policy("files: { forbid: [\"*.pem\"] }")).unwrap();
    world.sweep("clock-1").await;
    assert!(!world.is_voted(&id).await, "what is not judged yet is not green");
    world.settle().await;
    assert!(world.comment(&id).await.contains("| check tidy | missing | it found 1 fault |"));
    assert_eq!(world.merge(&id).await.as_deref(), Some(REFUSED));

    world.ground.policy(&policy("files: { forbid: [\"*.key\"] }")).unwrap();
    world.sweep("clock-2").await;
    world.settle().await;
    assert_eq!(world.merge(&id).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_that_was_lost_is_said_again_by_the_sweep_and_an_answer_twice_does_no_harm() {
    let mut world = world(RULES).await;
    let id = world.open("feat-a", &["good"]).await;
    let events = world.waiting();
    let made = events.iter().find(|event| event["detail"]["event"] == "pullRequestCreated").unwrap().clone();
    world.deliver(&made).await;
    let lost = world.waiting();
    assert!(lost.iter().any(|event| event["detail-type"] == CHECK), "{lost:?}");
    // Another event asks for nothing: it was asked for.
    world.deliver(&made).await;
    assert!(world.waiting().iter().all(|event| event["detail-type"] != CHECK));
    assert!(!world.is_voted(&id).await);

    world.sweep("clock-1").await;
    let events = world.waiting();
    let wanted = events.iter().find(|event| event["detail-type"] == CHECK).unwrap().clone();
    assert_eq!(world.judge(&wanted).await, 1);
    // Its answer is lost, too, and it is asked once more: it says again what it found.
    world.waiting();
    let mut again = wanted.clone();
    again["id"] = json!("5a0e8a54-0000-4000-8000-000000000001");
    assert_eq!(world.judge(&again).await, 1);
    world.settle().await;
    assert!(world.is_voted(&id).await);
    assert_eq!(world.merge(&id).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_pull_request_is_judged_in_parts_to_its_last_commit() {
    let mut world = world("commits: { forbid_message: marked }, files: { reject: [secret] }").await;
    let setup = world.ground.setup("protector").unwrap();
    let bounds = Bounds { commits: 10, files: 8, ..Bounds::default() };
    world.protector = Protector::new(&setup).with_bounds(bounds);
    world.git(&["switch", "--quiet", "-c", "feature", "main"]);
    let first = world.commit("marked first", &["f-first"]);
    for number in 0..40 {
        world.commit(&format!("step {number}"), &[&format!("f{number}")]);
    }
    let last = world.commit("marked last", &["f-last"]);
    world.git(&["push", "--quiet", "origin", "feature"]);
    let id = world.open_only("feature").await;
    let made = world.waiting().into_iter().find(|event| event["detail"]["event"] == "pullRequestCreated").unwrap();
    world.deliver(&made).await;
    let wanted = world.waiting().into_iter().find(|event| event["detail-type"] == CHECK).unwrap();
    let looks = world.judge(&wanted).await;
    assert!(looks > 3, "{looks}");
    world.settle().await;
    let comment = world.comment(&id).await;
    assert!(comment.contains("it found 2 faults"), "{comment}");
    for commit in [first, last] {
        assert!(comment.contains(&format!("commit {}", &commit[..7])), "{comment}");
    }
    let record = &world.ground.objects("state/protected/demo/pull-requests/").unwrap();
    let record = record.values().next().unwrap();
    assert_eq!(record["commits"], 42, "{record}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_leave_to_read_the_commits_the_check_is_missing_with_why_until_there_is() {
    let mut world = world(RULES).await;
    let id = world.open("feat-b", &["good"]).await;
    let role = world.ground.stage.stack.resources.get("ProtectorRole").unwrap().name.clone();
    let deny = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Deny", "Action": ["codecommit:GitPull", "codecommit:GetDifferences"], "Resource": "*" },
    ] });
    let iam = &world.ground.cloud().world.iam;
    iam.put_role_policy(&role, "taken", &deny).unwrap();
    world.settle().await;
    let comment = world.comment(&id).await;
    assert!(comment.contains("| check tidy | missing |") && comment.contains("codecommit:G"), "{comment}");
    assert_eq!(world.merge(&id).await.as_deref(), Some(REFUSED));
    let told = world.ground.objects("ledger/protector/").unwrap();
    assert!(
        told.values().any(|entry| entry["status"] == "refused" || entry.to_string().contains("refused")),
        "{told:?}"
    );

    let nothing = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*" },
    ] });
    world.ground.cloud().world.iam.put_role_policy(&role, "taken", &nothing).unwrap();
    world.sweep("clock-1").await;
    world.settle().await;
    assert_eq!(world.merge(&id).await, None, "{}", world.comment(&id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_open_or_not_of_this_stack_is_not_judged() {
    let mut world = world(RULES).await;
    let id = world.open("feat-c", &["good"]).await;
    world.settle().await;
    let event = |stack: &str, id: &str, number: usize| {
        json!({
            "version": "0", "id": format!("5a0e8a54-0000-4000-8000-00000000010{number}"), "detail-type": CHECK, "source": "signalbox",
            "account": "111122223333", "time": "2024-01-01T00:00:00Z", "region": "eu-west-1", "resources": [],
            "detail": { "version": "1", "stack": stack, "repository": "demo", "pull-request": id, "state": "WANTED" },
        })
    };
    world.call("UpdatePullRequestStatus", json!({ "pullRequestId": id, "pullRequestStatus": "CLOSED" })).await.unwrap();
    for (number, (stack, id)) in
        [("signalbox", id.as_str()), ("other", id.as_str()), ("signalbox", "999")].into_iter().enumerate()
    {
        let bytes = event(stack, id, number).to_string();
        match world.protector.handle(bytes.as_bytes(), world.ground.invocation()).await.unwrap() {
            Handled::Reported(report) => assert_eq!(report.verdict, "not concerned", "{stack} {id}"),
            other => panic!("{other:?}"),
        }
    }
}
