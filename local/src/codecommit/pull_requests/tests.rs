//! Pull requests over a real repository, with the real git pushing.

use serde_json::{Value, json};
use signalbox_events::{Parsed, parse_event};

use super::super::testing::{Site, WorkTree};
use crate::auth::Caller;
use crate::iam::{Definition, gate};

const ANNA: &str = "arn:aws:iam::111122223333:user/anna";

fn create(token: &str, title: &str) -> Value {
    let targets = json!([{ "repositoryName": "demo", "sourceReference": "refs/heads/topic" }]);
    json!({ "title": title, "targets": targets, "clientRequestToken": token })
}

fn target(one: &Value) -> &Value {
    &one["pullRequestTargets"][0]
}

/// Where a branch is.
async fn tip(tree: &WorkTree, branch: &str) -> Option<String> {
    let line = tree.git(&["ls-remote", "origin", &format!("refs/heads/{branch}")]).await;
    line.split_whitespace().next().map(str::to_owned)
}

#[tokio::test]
async fn a_pull_request_stands_as_its_branches_stood_and_the_same_token_makes_no_second_one() {
    let (site, tree) = Site::with_topic().await;
    let (main, topic) = (tree.git(&["rev-parse", "main"]).await, tree.git(&["rev-parse", "topic"]).await);
    let made = site.call("CreatePullRequest", create("t", "Two")).await.unwrap()["pullRequest"].clone();
    assert_eq!((&made["pullRequestId"], &made["pullRequestStatus"]), (&json!("1"), &json!("OPEN")));
    assert_eq!(made["authorArn"], "arn:aws:iam::111122223333:user/developer");
    assert_eq!(made["revisionId"].as_str().unwrap().len(), 64);
    let expected = json!({
        "repositoryName": "demo", "sourceReference": "refs/heads/topic", "destinationReference": "refs/heads/main",
        "sourceCommit": topic, "destinationCommit": main, "mergeBase": main, "mergeMetadata": { "isMerged": false },
    });
    assert_eq!(target(&made), &expected, "the default branch is where it goes when nothing is said");
    assert_eq!(site.told(), ["pullRequestCreated 1"]);

    let again = site.call("CreatePullRequest", create("t", "Two")).await.unwrap()["pullRequest"].clone();
    assert_eq!(again, made);
    let other = site.refused("CreatePullRequest", create("t", "Three")).await;
    assert_eq!(other, "IdempotencyParameterMismatchException");
    assert!(site.told().is_empty());
    assert_eq!(site.pull_request("1").await, made);
}

#[tokio::test]
async fn every_push_to_the_source_makes_a_revision_and_one_to_the_destination_none() {
    let (site, tree) = Site::with_topic().await;
    let made = site.open_topic().await;
    site.told();
    let topic = tree.commit("c", "more\n").await;
    tree.git(&["push", "-q", "origin", "topic"]).await;
    assert_eq!(site.told(), ["referenceUpdated refs/heads/topic", "pullRequestSourceBranchUpdated 1"]);
    let moved = site.pull_request("1").await;
    assert_ne!(moved["revisionId"], made["revisionId"]);
    assert_eq!(target(&moved)["sourceCommit"], topic);

    tree.git(&["checkout", "-q", "main"]).await;
    let main = tree.commit("d", "beside\n").await;
    tree.git(&["push", "-q", "origin", "main"]).await;
    assert_eq!(site.told(), ["referenceUpdated refs/heads/main"]);
    let still = site.pull_request("1").await;
    assert_eq!(still["revisionId"], moved["revisionId"]);
    assert_eq!(target(&still)["destinationCommit"], main);
    assert_eq!(target(&still)["mergeBase"], target(&made)["mergeBase"]);

    // Forced back: a revision like any other.
    tree.git(&["push", "-q", "-f", "origin", "topic~1:topic"]).await;
    assert_eq!(site.told(), ["referenceUpdated refs/heads/topic", "pullRequestSourceBranchUpdated 1"]);
    let back = site.pull_request("1").await;
    assert_eq!(target(&back)["sourceCommit"], target(&made)["sourceCommit"]);
    assert_ne!(back["revisionId"], made["revisionId"]);
}

#[tokio::test]
async fn a_deleted_branch_closes_its_pull_requests_and_their_commits_stay_and_are_shown_to_nobody() {
    let (site, tree) = Site::with_topic().await;
    let made = site.open_topic().await;
    site.told();
    tree.git(&["push", "-q", "origin", ":topic"]).await;
    assert_eq!(site.told(), ["referenceDeleted refs/heads/topic", "pullRequestStatusChanged 1"]);
    let closed = site.pull_request("1").await;
    assert_eq!(closed["pullRequestStatus"], "CLOSED");
    assert_eq!(target(&closed), target(&made));
    let source = target(&made)["sourceCommit"].as_str().unwrap();
    let repository = site.running.cloud.codecommit.repository_dir("demo").unwrap();
    let refs = tree.git(&["-C", &repository.to_string_lossy(), "for-each-ref", "--contains", source]).await;
    assert!(refs.contains("refs/pull-requests/1/1"), "{refs}");
    assert!(!tree.git(&["ls-remote", "origin"]).await.contains("pull-requests"));
    let hidden = json!({ "repositoryName": "demo", "commitSpecifier": "refs/pull-requests/1/1", "filePath": "b" });
    assert_eq!(site.refused("GetFile", hidden).await, "CommitDoesNotExistException");

    // It never opens again, also not when the branch comes back.
    tree.git(&["push", "-q", "origin", "topic"]).await;
    assert_eq!(site.pull_request("1").await["pullRequestStatus"], "CLOSED");
    let open = json!({ "pullRequestId": "1", "pullRequestStatus": "OPEN" });
    assert_eq!(site.refused("UpdatePullRequestStatus", open).await, "InvalidPullRequestStatusUpdateException");
    for operation in ["UpdatePullRequestTitle", "UpdatePullRequestDescription"] {
        let input = match operation {
            "UpdatePullRequestTitle" => json!({ "pullRequestId": "1", "title": "x" }),
            _ => json!({ "pullRequestId": "1", "description": "x" }),
        };
        assert_eq!(site.refused(operation, input).await, "PullRequestAlreadyClosedException");
    }
}

#[tokio::test]
async fn a_push_that_fast_forwards_the_destination_over_the_source_merges_the_pull_request() {
    let (site, tree) = Site::with_topic().await;
    let made = site.open_topic().await;
    site.told();
    tree.git(&["push", "-q", "origin", "topic:main"]).await;
    assert_eq!(site.told(), ["referenceUpdated refs/heads/main", "pullRequestMergeStatusUpdated 1"]);
    let merged = site.pull_request("1").await;
    let expected = json!({
        "isMerged": true, "mergedBy": "arn:aws:iam::111122223333:user/developer",
        "mergeCommitId": target(&made)["sourceCommit"], "mergeOption": "FAST_FORWARD_MERGE",
    });
    assert_eq!(target(&merged)["mergeMetadata"], expected);
    assert_eq!(target(&merged)["destinationCommit"], target(&made)["destinationCommit"], "as it was before");

    // A merge commit that was pushed closes nothing.
    tree.git(&["checkout", "-q", "topic"]).await;
    tree.commit("c", "more\n").await;
    tree.git(&["push", "-q", "origin", "topic"]).await;
    site.open_topic().await;
    tree.git(&["checkout", "-q", "main"]).await;
    tree.git(&["merge", "-q", "--no-ff", "-m", "Merge", "topic"]).await;
    tree.git(&["push", "-q", "origin", "main"]).await;
    assert_eq!(site.pull_request("2").await["pullRequestStatus"], "OPEN");
}

#[tokio::test]
async fn the_three_merges_move_the_destination_close_the_pull_request_and_tell_how() {
    for (operation, option, parents) in [
        ("MergePullRequestByFastForward", "FAST_FORWARD_MERGE", 1),
        ("MergePullRequestBySquash", "SQUASH_MERGE", 1),
        ("MergePullRequestByThreeWay", "THREE_WAY_MERGE", 2),
    ] {
        let (site, tree) = Site::with_topic().await;
        let made = site.open_topic().await;
        let (before, source) = (target(&made)["destinationCommit"].clone(), target(&made)["sourceCommit"].clone());
        site.events();
        let mut input = json!({ "pullRequestId": "1", "repositoryName": "demo", "sourceCommitId": source });
        if option != "FAST_FORWARD_MERGE" {
            input["commitMessage"] = json!("All of it");
            input["authorName"] = json!("Releases");
            input["email"] = json!("releases@example.com");
        }
        let merged = site.call(operation, input).await.unwrap()["pullRequest"].clone();
        let now = tip(&tree, "main").await.unwrap();
        let metadata = &target(&merged)["mergeMetadata"];
        assert_eq!((&metadata["mergeCommitId"], &metadata["mergeOption"]), (&json!(now), &json!(option)));
        assert_eq!(target(&merged)["destinationCommit"], before, "{option}");

        let events = site.events();
        let [reference, review] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((&reference["event"], &reference["mergeOption"]), (&json!("referenceUpdated"), &json!(option)));
        assert_eq!((&reference["commitId"], &reference["oldCommitId"]), (&json!(now), &before));
        assert_eq!((&reference["sourceCommitId"], &reference["destinationCommitId"]), (&source, &before));
        assert_eq!(reference.get("baseCommitId").is_some(), option != "FAST_FORWARD_MERGE");
        assert_eq!(review["event"], "pullRequestMergeStatusUpdated");
        assert_eq!((&review["isMerged"], &review["destinationCommit"]), (&json!("True"), &before));

        let commit = json!({ "repositoryName": "demo", "commitId": now });
        let commit = site.call("GetCommit", commit).await.unwrap()["commit"].clone();
        assert_eq!(commit["parents"].as_array().unwrap().len(), parents, "{option}");
        if option == "FAST_FORWARD_MERGE" {
            assert_eq!(json!(now), source);
        } else {
            assert_eq!(commit["message"], "All of it\n");
            assert_eq!(commit["author"]["email"], "releases@example.com");
            assert_eq!(commit["parents"][0], before);
        }
        tree.git(&["fetch", "-q", "origin"]).await;
        assert_eq!(tree.git(&["diff", "origin/main", "origin/topic"]).await, "");

        let again = json!({ "pullRequestId": "1", "repositoryName": "demo" });
        assert_eq!(site.refused(operation, again).await, "PullRequestAlreadyClosedException");
    }
}

#[tokio::test]
async fn a_merge_is_refused_for_another_tip_another_repository_or_a_history_that_has_moved_on() {
    let (site, tree) = Site::with_topic().await;
    let made = site.open_topic().await;
    site.call("CreateRepository", json!({ "repositoryName": "other" })).await.unwrap();
    let merge = |repository: &str, source: Value| {
        let mut input = json!({ "pullRequestId": "1", "repositoryName": repository });
        if !source.is_null() {
            input["sourceCommitId"] = source;
        }
        site.refused("MergePullRequestByFastForward", input)
    };
    assert_eq!(merge("other", Value::Null).await, "RepositoryNotAssociatedWithPullRequestException");
    assert_eq!(merge("demo", json!("xyz")).await, "InvalidCommitIdException");
    let old = target(&made)["sourceCommit"].clone();
    tree.commit("c", "more\n").await;
    tree.git(&["push", "-q", "origin", "topic"]).await;
    assert_eq!(merge("demo", old).await, "TipOfSourceReferenceIsDifferentException");
    tree.git(&["checkout", "-q", "main"]).await;
    tree.commit("d", "beside\n").await;
    tree.git(&["push", "-q", "origin", "main"]).await;
    assert_eq!(merge("demo", Value::Null).await, "ManualMergeRequiredException");
    assert_eq!(site.pull_request("1").await["pullRequestStatus"], "OPEN", "nothing of it was done");
    // What a fast-forward cannot, a merge can.
    let input = json!({ "pullRequestId": "1", "repositoryName": "demo" });
    site.call("MergePullRequestByThreeWay", input).await.unwrap();
}

#[tokio::test]
async fn a_merge_into_the_source_of_another_pull_request_makes_a_revision_of_that_one() {
    let (site, tree) = Site::with_topic().await;
    site.open_topic().await;
    tree.git(&["push", "-q", "origin", "main~1:refs/heads/old"]).await;
    let targets = json!([{ "repositoryName": "demo", "sourceReference": "main", "destinationReference": "old" }]);
    let upward = site.call("CreatePullRequest", json!({ "title": "Up", "targets": targets })).await.unwrap();
    site.told();
    let input = json!({ "pullRequestId": "1", "repositoryName": "demo" });
    site.call("MergePullRequestByFastForward", input).await.unwrap();
    let mut told = site.told();
    told.sort();
    let expected =
        ["pullRequestMergeStatusUpdated 1", "pullRequestSourceBranchUpdated 2", "referenceUpdated refs/heads/main"];
    assert_eq!(told, expected);
    assert_ne!(site.pull_request("2").await["revisionId"], upward["pullRequest"]["revisionId"]);
}

#[tokio::test]
async fn what_happened_to_a_pull_request_is_told_in_order_and_by_type() {
    let (site, tree) = Site::with_topic().await;
    let made = site.open_topic().await;
    tree.commit("c", "more\n").await;
    tree.git(&["push", "-q", "origin", "topic"]).await;
    site.call_as(ANNA, "UpdatePullRequestStatus", json!({ "pullRequestId": "1", "pullRequestStatus": "CLOSED" }))
        .await
        .unwrap();
    let events = async |more: Value| {
        let mut input = json!({ "pullRequestId": "1" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        site.call("DescribePullRequestEvents", input).await.unwrap()["pullRequestEvents"].as_array().unwrap().clone()
    };
    let all = events(json!({})).await;
    let types: Vec<&str> = all.iter().map(|event| event["pullRequestEventType"].as_str().unwrap()).collect();
    let expected = ["PULL_REQUEST_CREATED", "PULL_REQUEST_SOURCE_REFERENCE_UPDATED", "PULL_REQUEST_STATUS_CHANGED"];
    assert_eq!(types, expected);
    assert_eq!(all[0]["pullRequestCreatedEventMetadata"]["sourceCommitId"], target(&made)["sourceCommit"]);
    let updated = &all[1]["pullRequestSourceReferenceUpdatedEventMetadata"];
    assert_eq!(updated["beforeCommitId"], target(&made)["destinationCommit"]);
    assert_eq!(all[2]["pullRequestStatusChangedEventMetadata"], json!({ "pullRequestStatus": "CLOSED" }));
    assert_eq!(all[2]["actorArn"], ANNA);
    let one = events(json!({ "pullRequestEventType": "PULL_REQUEST_CREATED" })).await;
    assert_eq!(one, all[..1]);
    let developer = json!({ "actorArn": "arn:aws:iam::111122223333:user/developer" });
    assert_eq!(events(developer).await, all[..2]);
}

#[tokio::test]
async fn a_repository_has_at_most_a_thousand_open_pull_requests() {
    let (site, _tree) = Site::with_topic().await;
    site.open_topic().await;
    // Made one by one they would take a minute.
    site.running.cloud.codecommit.repositories.pull_requests.change(|all| {
        let first = all.find(1).unwrap().clone();
        for _ in 1..super::operations::MOST_OPEN {
            let mut another = first.clone();
            another.id = all.next_id();
            all.insert(another);
        }
    });
    let targets = json!([{ "repositoryName": "demo", "sourceReference": "topic" }]);
    let input = json!({ "title": "One more", "targets": targets });
    assert_eq!(site.refused("CreatePullRequest", input.clone()).await, "MaximumOpenPullRequestsExceededException");
    site.call("UpdatePullRequestStatus", json!({ "pullRequestId": "7", "pullRequestStatus": "CLOSED" })).await.unwrap();
    site.call("CreatePullRequest", input).await.unwrap();
}

#[tokio::test]
async fn a_pull_request_is_the_same_after_a_restart_and_goes_with_its_repository() {
    let (site, tree) = Site::with_topic().await;
    site.open_topic().await;
    tree.commit("c", "more\n").await;
    tree.git(&["push", "-q", "origin", "topic"]).await;
    let before = site.pull_request("1").await;
    let Site { running, folder, .. } = site;
    running.stop().await.unwrap();

    let site = Site::start_in(folder).await;
    assert_eq!(site.pull_request("1").await, before);
    let renamed = json!({ "oldName": "demo", "newName": "renamed" });
    site.call("UpdateRepositoryName", renamed).await.unwrap();
    assert_eq!(target(&site.pull_request("1").await)["repositoryName"], "renamed");
    let next = json!([{ "repositoryName": "renamed", "sourceReference": "topic" }]);
    let next = site.call("CreatePullRequest", json!({ "title": "Next", "targets": next })).await.unwrap();
    assert_eq!(next["pullRequest"]["pullRequestId"], "2");
    site.call("DeleteRepository", json!({ "repositoryName": "renamed" })).await.unwrap();
    assert_eq!(
        site.refused("GetPullRequest", json!({ "pullRequestId": "1" })).await,
        "PullRequestDoesNotExistException"
    );
}

#[tokio::test]
async fn what_a_killed_cloud_had_not_saved_is_found_in_the_branches_at_the_next_start() {
    let (site, tree) = Site::with_topic().await;
    let made = site.open_topic().await;
    tree.git(&["push", "-q", "origin", "topic:second"]).await;
    let targets = json!([{ "repositoryName": "demo", "sourceReference": "second", "destinationReference": "main" }]);
    site.call("CreatePullRequest", json!({ "title": "Second", "targets": targets })).await.unwrap();
    site.running.cloud.save().unwrap();
    let file = site.folder.path().join("cloud/state/codecommit-pull-requests.json");
    let saved = std::fs::read(&file).unwrap();
    let topic = tree.commit("c", "more\n").await;
    tree.git(&["push", "-q", "origin", "topic", ":second"]).await;
    let Site { running, folder, .. } = site;
    running.stop().await.unwrap();
    std::fs::write(&file, saved).unwrap();

    let site = Site::start_in(folder).await;
    let now = site.pull_request("1").await;
    assert_eq!(target(&now)["sourceCommit"], topic);
    assert_ne!(now["revisionId"], made["revisionId"]);
    assert_eq!(site.pull_request("2").await["pullRequestStatus"], "CLOSED");
    let mut told = site.told();
    told.sort();
    assert_eq!(told, ["pullRequestSourceBranchUpdated 1", "pullRequestStatusChanged 2"]);
    site.call("MergePullRequestByFastForward", json!({ "pullRequestId": "1", "repositoryName": "demo" }))
        .await
        .unwrap();
}

#[tokio::test]
async fn every_event_of_a_review_is_one_that_the_functions_understand() {
    let (site, tree) = Site::with_topic().await;
    let mut events = site.running.cloud.eventbridge.subscribe();
    let statement = json!({ "Type": "Approvers", "NumberOfApprovalsNeeded": 1 });
    let content = json!({ "Version": "2018-11-08", "Statements": [statement] }).to_string();
    let template = json!({ "approvalRuleTemplateName": "gate", "approvalRuleTemplateContent": content });
    site.call("CreateApprovalRuleTemplate", template).await.unwrap();
    let associate = json!({ "approvalRuleTemplateName": "gate", "repositoryName": "demo" });
    site.call("AssociateApprovalRuleTemplateWithRepository", associate).await.unwrap();
    let mut batch = json!({ "approvalRuleTemplateName": "gate", "repositoryNames": ["demo"] });
    site.call("BatchDisassociateApprovalRuleTemplateFromRepositories", batch.clone()).await.unwrap();
    site.call("BatchAssociateApprovalRuleTemplateWithRepositories", batch.take()).await.unwrap();
    let made = site.open_topic().await;
    tree.commit("c", "more\n").await;
    tree.git(&["push", "-q", "origin", "topic"]).await;
    let of = |more: Value| {
        let mut input = json!({ "pullRequestId": "1" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let rule = of(json!({ "approvalRuleName": "own", "approvalRuleContent": content }));
    site.call("CreatePullRequestApprovalRule", rule).await.unwrap();
    let rule = of(json!({ "approvalRuleName": "own", "newRuleContent": content }));
    site.call("UpdatePullRequestApprovalRuleContent", rule).await.unwrap();
    site.call("DeletePullRequestApprovalRule", of(json!({ "approvalRuleName": "own" }))).await.unwrap();
    let revision = site.pull_request("1").await["revisionId"].clone();
    let vote = of(json!({ "revisionId": revision, "approvalState": "APPROVE" }));
    site.call_as(ANNA, "UpdatePullRequestApprovalState", vote).await.unwrap();
    let set = of(json!({ "revisionId": revision, "overrideStatus": "OVERRIDE" }));
    site.call("OverridePullRequestApprovalRules", set).await.unwrap();
    let comment = json!({ "repositoryName": "demo", "beforeCommitId": target(&made)["destinationCommit"],
        "afterCommitId": target(&made)["sourceCommit"], "content": "text" });
    site.call("PostCommentForComparedCommit", comment.clone()).await.unwrap();
    let posted = site.call("PostCommentForPullRequest", of(comment)).await.unwrap();
    let id = &posted["comment"]["commentId"];
    site.call("PostCommentReply", json!({ "inReplyTo": id, "content": "text" })).await.unwrap();
    site.call("UpdateComment", json!({ "commentId": id, "content": "text" })).await.unwrap();
    site.call("PutCommentReaction", json!({ "commentId": id, "reactionValue": ":eyes:" })).await.unwrap();
    let merge = json!({ "repositoryName": "demo", "sourceCommitSpecifier": "topic",
        "destinationCommitSpecifier": "main", "mergeOption": "SQUASH_MERGE" });
    site.call("CreateUnreferencedMergeCommit", merge).await.unwrap();
    site.call("MergePullRequestBySquash", of(json!({ "repositoryName": "demo" }))).await.unwrap();
    let told = site.events();
    let mut kinds = std::collections::BTreeSet::new();
    for detail in &told {
        let event = events.recv().await.unwrap().event.clone();
        assert_eq!(&event["detail"], detail);
        match parse_event(event.to_string().as_bytes()) {
            Ok(Parsed::Ours(_)) => kinds.insert(event["detail-type"].as_str().unwrap().to_owned()),
            other => panic!("{event}: {other:?}"),
        };
    }
    assert_eq!(kinds.len(), 6, "{kinds:?}");
    assert_eq!(told.len(), 20);
}

#[tokio::test]
async fn a_permission_is_one_for_the_repository_of_the_pull_request_and_a_merge_names_its_branch() {
    let (site, _tree) = Site::with_topic().await;
    site.open_topic().await;
    let cloud = &site.running.cloud;
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "codecommit:*", "Resource": "arn:aws:codecommit:*:*:demo" },
        { "Sid": "NotIntoMain", "Effect": "Deny", "Action": "codecommit:Merge*", "Resource": "*",
          "Condition": { "StringLikeIfExists": { "codecommit:References": ["refs/heads/main"] },
                         "Null": { "codecommit:References": "false" } } },
    ] });
    cloud.world.iam.put_user("anna", Definition::default().with_policy("demo", policy)).unwrap();
    let caller = Caller { arn: ANNA.to_owned(), access_key_id: String::new() };
    let is_let = |operation: &str, input: Value| {
        gate::admit_json(cloud, "codecommit", operation, &input, &caller).map_err(|refused| refused.message)
    };
    let one = json!({ "pullRequestId": "1" });
    is_let("GetPullRequest", one.clone()).unwrap();
    is_let("UpdatePullRequestApprovalState", one).unwrap();
    is_let("GetPullRequest", json!({ "pullRequestId": "2" })).unwrap_err();
    is_let("CreateApprovalRuleTemplate", json!({})).unwrap_err();
    let targets = |name: &str| json!({ "targets": [{ "repositoryName": name, "sourceReference": "topic" }] });
    is_let("CreatePullRequest", targets("demo")).unwrap();
    is_let("CreatePullRequest", targets("other")).unwrap_err();
    let both = json!({ "targets": [{ "repositoryName": "demo" }, { "repositoryName": "other" }] });
    is_let("CreatePullRequest", both).unwrap_err();

    // Whatever repository the caller names, it is that of the pull request which counts.
    for named in ["demo", "other"] {
        let merge = json!({ "pullRequestId": "1", "repositoryName": named });
        let refused = is_let("MergePullRequestBySquash", merge).unwrap_err();
        assert!(refused.contains("NotIntoMain"), "{refused}");
    }
    let branches = |destination: &str, target: Option<&str>| {
        let mut input = json!({ "repositoryName": "demo", "destinationCommitSpecifier": destination });
        if let Some(target) = target {
            input["targetBranch"] = json!(target);
        }
        is_let("MergeBranchesBySquash", input)
    };
    branches("main", None).unwrap_err();
    branches("dev", Some("main")).unwrap_err();
    branches("dev", None).unwrap();
    branches("refs/heads/main", Some("dev")).unwrap();

    let site_call = json!({ "repositoryName": "other" });
    site.call("CreateRepository", site_call).await.unwrap();
    let comment = json!({ "repositoryName": "demo", "afterCommitId": site.put("x", "1").await, "content": "text" });
    let comment = site.call("PostCommentForComparedCommit", comment).await.unwrap()["comment"]["commentId"].clone();
    is_let("GetComment", json!({ "commentId": comment })).unwrap();
    is_let("PostCommentReply", json!({ "inReplyTo": comment })).unwrap();
    site.call("UpdateRepositoryName", json!({ "oldName": "demo", "newName": "renamed" })).await.unwrap();
    is_let("GetComment", json!({ "commentId": comment })).unwrap_err();
}
