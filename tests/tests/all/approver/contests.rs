//! Pushes, votes and looks at the same time, and how many calls a look makes.

use serde_json::json;
use signalbox_aws::{Reviews, Vote, Written};
use signalbox_events::{PullRequestId, RevisionId};
use signalbox_glue::Handled;

use super::REFUSED;
use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_that_races_a_push_counts_for_nothing() {
    let mut world = World::new("{ checks: [unit] }").await;
    let id = world.open("feature", &["good"]).await;
    let mut last = None;
    for round in 0..4 {
        // Until the build is over, then the push and the look at the same time.
        let mut events = Vec::new();
        world.settle().await;
        let approved = world.revision(&id).await;
        assert!(world.is_voted(&id).await, "round {round}");
        let event = json!({
            "version": "0", "id": format!("look-{round}"), "detail-type": "CodeCommit Pull Request State Change",
            "source": "aws.codecommit", "account": "111122223333", "time": "2024-01-01T00:00:00Z", "region": "eu-west-1",
            "resources": ["arn:aws:codecommit:eu-west-1:111122223333:demo"],
            "detail": detail(&world, &id).await,
        });
        world.commit(&format!("round {round}"), &[&format!("round{round}")]);
        let mut push = world.command("git");
        push.args(["push", "--quiet", "origin", "feature"]);
        let pushing = tokio::task::spawn_blocking(move || push.status().unwrap());
        for _ in 0..3 {
            events.extend(world.deliver(&event).await);
        }
        assert!(pushing.await.unwrap().success());
        assert_ne!(world.revision(&id).await, approved);
        last = Some(approved);
        assert!(!world.is_voted(&id).await, "round {round}: nobody has built this revision: {events:?}");
        assert_eq!(world.merge(&id).await.as_deref(), Some(REFUSED));
    }

    // On the wire: CodeCommit refuses the vote on what is not there any more.
    let old = RevisionId::parse(last.unwrap()).unwrap();
    let number = PullRequestId::parse(id.clone()).unwrap();
    let ballot = Reviews::new(&super::roles::checks(&world).await);
    assert_eq!(ballot.vote(&number, &old, Vote::Approve).await.unwrap(), Written::Changed);
}

/// The detail of an event about a pull request as it stands.
async fn detail(world: &World, id: &str) -> serde_json::Value {
    let here = world.pull_request(id).await;
    let target = &here["pullRequestTargets"][0];
    json!({
        "event": "pullRequestApprovalStateChanged", "approvalStatus": "APPROVE", "pullRequestId": id,
        "repositoryNames": ["demo"], "revisionId": here["revisionId"],
        "sourceReference": target["sourceReference"], "sourceCommit": target["sourceCommit"],
        "destinationReference": target["destinationReference"], "destinationCommit": target["destinationCommit"],
        "pullRequestStatus": "Open", "isMerged": "False", "title": "x",
        "author": here["authorArn"], "callerUserArn": "arn:aws:iam::111122223333:user/reviewer",
        "creationDate": "now", "lastModifiedDate": "now", "notificationBody": "x",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn many_looks_at_the_same_time_make_one_comment_and_one_rule() {
    let mut world = World::new("{ reviewers: { count: 1 } }").await;
    let id = world.open("feature", &["good"]).await;
    world.waiting();
    let detail = detail(&world, &id).await;
    let mut looks = tokio::task::JoinSet::new();
    for number in 0..8 {
        let event = json!({
            "version": "0", "id": format!("look-{number}"), "detail-type": "CodeCommit Pull Request State Change",
            "source": "aws.codecommit", "account": "111122223333", "time": "2024-01-01T00:00:00Z", "region": "eu-west-1",
            "resources": ["arn:aws:codecommit:eu-west-1:111122223333:demo"], "detail": detail,
        });
        let (approver, invocation) = (world.approver.clone(), world.ground.invocation());
        looks.spawn(async move {
            for _ in 0..50 {
                match signalbox_glue::Handle::handle(&approver, event.to_string().as_bytes(), invocation).await {
                    Ok(_) => return,
                    Err(failure @ signalbox_aws::Failure::Refused(_)) => panic!("{}", failure.chain()),
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
                }
            }
            panic!("never done");
        });
    }
    while let Some(looked) = looks.join_next().await {
        looked.unwrap();
    }
    assert_eq!((world.rules(&id).await.len(), world.comments(&id).await.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_changes_nothing_costs_at_most_six_calls_and_no_write() {
    let ground = signalbox_tests::Ground::without_functions().await.unwrap();
    let text = super::policy("{ checks: [unit, lint], reviewers: { count: 1 } }").replace(
        "    approvals:",
        "      lint: { on: { pull_request: { paths: [\"lint/**\"] } }, start: { build: unit }, authors: [\"*@example.com\"] }\n    approvals:",
    );
    let mut world = World::on(ground, &text).await;
    let id = world.open("feature", &["good"]).await;
    world.settle().await;
    for (name, id_of_event) in [("a first look", "unchanged-1"), ("a second one", "unchanged-2")] {
        let event = json!({
            "version": "0", "id": id_of_event, "detail-type": "CodeCommit Pull Request State Change",
            "source": "aws.codecommit", "account": "111122223333", "time": "2024-01-01T00:00:00Z", "region": "eu-west-1",
            "resources": ["arn:aws:codecommit:eu-west-1:111122223333:demo"], "detail": detail(&world, &id).await,
        });
        let mut calls = world.ground.cloud().world.watch_calls();
        let Handled::Reported(report) = world.handle(&event).await.unwrap() else { panic!("{name}") };
        assert_eq!((report.verdict.as_str(), report.actions.len()), ("missing", 0), "{report:?}");
        let mut made = Vec::new();
        while let Ok(call) = calls.try_recv() {
            made.push(format!("{}:{} {}", call.service, call.operation, call.path));
        }
        assert!(
            made.iter().any(|call| call.contains("GetPullRequestApprovalStates")),
            "nothing was counted: {made:#?}"
        );
        let counted = made.iter().filter(|call| !call.contains("/policy/") && !call.contains("/ledger/")).count();
        assert!(counted <= 6, "{counted}: {made:#?}");
        for word in ["Put", "Update", "Post", "Create", "Override", "Delete", "AssumeRole"] {
            let is_write = |call: &&String| call.contains(&format!(":{word}"));
            assert_eq!(made.iter().find(is_write), None, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_branch_that_is_deleted_in_the_middle_is_no_trouble_for_anybody() {
    let mut world = World::new("{ checks: [unit] }").await;
    let id = world.open("feature", &["broken"]).await;
    world.settle().await;
    world.git(&["push", "--quiet", "origin", "--delete", "feature"]);
    world.settle().await;
    let Handled::Reported(report) = world.sweep("clock-1").await else { panic!("refused") };
    assert!(!report.actions.join("; ").contains("left for the next sweep"), "{report:?}");
    assert!(!world.is_voted(&id).await && world.merge(&id).await.is_some());

    // Others go on.
    let other = world.open("other", &["good"]).await;
    world.settle().await;
    assert!(world.is_voted(&other).await, "{}", world.comment(&other).await);
    assert_eq!(world.merge(&other).await, None);
}
