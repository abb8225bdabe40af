//! Comments over a real repository.

use serde_json::{Value, json};

use super::super::testing::Site;

const ANNA: &str = "arn:aws:iam::111122223333:user/anna";

/// A site with an open pull request; gives its two commits.
async fn with_review() -> (Site, String, String) {
    let (site, _tree) = Site::with_topic().await;
    let made = site.open_topic().await;
    let target = &made["pullRequestTargets"][0];
    let commit = |member: &str| target[member].as_str().unwrap().to_owned();
    let commits = (commit("destinationCommit"), commit("sourceCommit"));
    site.events();
    (site, commits.0, commits.1)
}

fn with(base: &Value, more: Value) -> Value {
    let mut input = base.clone();
    let Value::Object(more) = more else { panic!("{more} is no object") };
    input.as_object_mut().unwrap().extend(more);
    input
}

#[tokio::test]
async fn a_comment_and_its_replies_make_one_thread_in_pages_of_any_size() {
    let (site, before, after) = with_review().await;
    let post =
        json!({ "pullRequestId": "1", "repositoryName": "demo", "beforeCommitId": before, "afterCommitId": after });
    let first = with(&post, json!({ "content": "first", "clientRequestToken": "t" }));
    let first = site.call("PostCommentForPullRequest", first).await.unwrap();
    let id = first["comment"]["commentId"].as_str().unwrap().to_owned();
    assert_eq!(site.told(), ["commentOnPullRequestCreated 1"]);
    let again = with(&post, json!({ "content": "first", "clientRequestToken": "t" }));
    assert_eq!(site.call("PostCommentForPullRequest", again).await.unwrap(), first);
    let other = with(&post, json!({ "content": "other", "clientRequestToken": "t" }));
    assert_eq!(site.refused("PostCommentForPullRequest", other).await, "IdempotencyParameterMismatchException");
    assert!(site.told().is_empty());

    site.call("PostCommentForPullRequest", with(&post, json!({ "content": "second" }))).await.unwrap();
    let reply = json!({ "inReplyTo": id, "content": "a reply" });
    let reply = site.call_as(ANNA, "PostCommentReply", reply).await.unwrap()["comment"].clone();
    assert_eq!(reply["inReplyTo"], id);
    let thread = id.split_once(':').unwrap().0;
    assert!(reply["commentId"].as_str().unwrap().starts_with(thread), "a thread's comments begin alike");

    for (size, expected) in [
        (500, vec![vec!["first", "a reply"], vec!["second"]]),
        (2, vec![vec!["first", "a reply"], vec!["second"]]),
        (1, vec![vec!["first"], vec!["a reply"], vec!["second"]]),
    ] {
        let (mut seen, mut token) = (Vec::new(), Value::Null);
        loop {
            let mut input = json!({ "pullRequestId": "1", "maxResults": size });
            if !token.is_null() {
                input["nextToken"] = token;
            }
            let page = site.call("GetCommentsForPullRequest", input).await.unwrap();
            for thread in page["commentsForPullRequestData"].as_array().unwrap() {
                let comments = thread["comments"].as_array().unwrap().iter();
                seen.push(comments.map(|one| one["content"].as_str().unwrap().to_owned()).collect::<Vec<_>>());
            }
            token = page["nextToken"].clone();
            if token.is_null() {
                break;
            }
        }
        assert_eq!(seen, expected, "{size}");
    }
    let of = |before: &str| json!({ "pullRequestId": "1", "repositoryName": "demo", "beforeCommitId": before, "afterCommitId": after });
    let there = site.call("GetCommentsForPullRequest", of(&before)).await.unwrap();
    assert_eq!(there["commentsForPullRequestData"].as_array().unwrap().len(), 2);
    let none = site.call("GetCommentsForPullRequest", of(&after)).await.unwrap();
    assert_eq!(none["commentsForPullRequestData"], json!([]));
    let half = json!({ "pullRequestId": "1", "repositoryName": "demo" });
    assert_eq!(site.refused("GetCommentsForPullRequest", half).await, "CommitIdRequiredException");
    // They are none of the two commits alone.
    let compared = json!({ "repositoryName": "demo", "beforeCommitId": before, "afterCommitId": after });
    let compared = site.call("GetCommentsForComparedCommit", compared).await.unwrap();
    assert_eq!(compared["commentsForComparedCommitData"], json!([]));
}

#[tokio::test]
async fn only_its_creator_changes_a_comment_and_what_is_deleted_is_only_seen_among_others() {
    let (site, before, after) = with_review().await;
    let post = json!({ "pullRequestId": "1", "repositoryName": "demo", "beforeCommitId": before, "afterCommitId": after, "content": "text" });
    let made = site.call("PostCommentForPullRequest", post).await.unwrap();
    let id = made["comment"]["commentId"].clone();
    site.events();
    let update = json!({ "commentId": id, "content": "other" });
    let refused = site.call_as(ANNA, "UpdateComment", update.clone()).await.unwrap_err();
    assert_eq!(refused.code, "CommentNotCreatedByCallerException");
    let updated = site.call("UpdateComment", update.clone()).await.unwrap()["comment"].clone();
    assert_eq!((&updated["content"], &updated["commentId"]), (&json!("other"), &id));
    assert_eq!(site.told(), ["commentOnPullRequestUpdated 1"]);
    let deleted = site.call("DeleteCommentContent", json!({ "commentId": id })).await.unwrap()["comment"].clone();
    assert_eq!((&deleted["deleted"], deleted.get("content")), (&json!(true), None));
    for operation in ["GetComment", "DeleteCommentContent", "GetCommentReactions"] {
        assert_eq!(site.refused(operation, json!({ "commentId": id })).await, "CommentDeletedException");
    }
    assert_eq!(site.refused("UpdateComment", update).await, "CommentDeletedException");
    let all = site.call("GetCommentsForPullRequest", json!({ "pullRequestId": "1" })).await.unwrap();
    assert_eq!(all["commentsForPullRequestData"][0]["comments"][0], deleted);
}

#[tokio::test]
async fn a_place_is_a_line_that_the_named_version_of_the_file_has() {
    let (site, before, after) = with_review().await;
    let post = json!({ "repositoryName": "demo", "beforeCommitId": before, "afterCommitId": after, "content": "text" });
    let at = |location: Value| with(&post, json!({ "location": location }));
    let good = json!({ "filePath": "b", "filePosition": 1, "relativeFileVersion": "AFTER" });
    let made = site.call("PostCommentForComparedCommit", at(good.clone())).await.unwrap();
    assert_eq!(made["location"], good);
    assert_ne!(made["beforeBlobId"], made["afterBlobId"]);
    assert_eq!(site.told(), [format!("commentOnCommitCreated {}", made["comment"]["commentId"].as_str().unwrap())]);
    site.call("PostCommentForComparedCommit", at(json!({ "filePath": "a" }))).await.unwrap();
    for (location, code) in [
        (json!({}), "InvalidFileLocationException"),
        (json!({ "filePosition": 1, "relativeFileVersion": "AFTER" }), "PathRequiredException"),
        (json!({ "filePath": "../b" }), "InvalidPathException"),
        (json!({ "filePath": "none" }), "PathDoesNotExistException"),
        (json!({ "filePath": "b", "filePosition": 2, "relativeFileVersion": "AFTER" }), "InvalidFilePositionException"),
        (json!({ "filePath": "b", "filePosition": 0, "relativeFileVersion": "AFTER" }), "InvalidFilePositionException"),
        (json!({ "filePath": "b", "filePosition": 1 }), "InvalidRelativeFileVersionEnumException"),
        (json!({ "filePath": "b", "relativeFileVersion": "LATER" }), "InvalidRelativeFileVersionEnumException"),
    ] {
        assert_eq!(site.refused("PostCommentForComparedCommit", at(location)).await, code);
    }
    let same = with(&post, json!({ "beforeCommitId": after }));
    assert_eq!(
        site.refused("PostCommentForComparedCommit", same).await,
        "BeforeCommitIdAndAfterCommitIdAreSameException"
    );
    let long = with(&post, json!({ "content": "x".repeat(10_241) }));
    assert_eq!(site.refused("PostCommentForComparedCommit", long).await, "CommentContentSizeLimitExceededException");
    // The first commit is compared with nothing.
    let initial = json!({ "repositoryName": "demo", "afterCommitId": before, "content": "the beginning" });
    let initial = site.call("PostCommentForComparedCommit", initial).await.unwrap();
    assert!(initial.get("beforeCommitId").is_none());
}

#[tokio::test]
async fn everybody_has_one_reaction_which_is_counted_and_taken_back() {
    let (site, before, after) = with_review().await;
    let post = json!({ "pullRequestId": "1", "repositoryName": "demo", "beforeCommitId": before, "afterCommitId": after, "content": "text" });
    let made = site.call("PostCommentForPullRequest", post).await.unwrap();
    let id = made["comment"]["commentId"].clone();
    site.events();
    let react = |value: &str| json!({ "commentId": id, "reactionValue": value });
    site.call("PutCommentReaction", react(":thumbsup:")).await.unwrap();
    site.call("PutCommentReaction", react(":thumbsup:")).await.unwrap();
    site.call("PutCommentReaction", react("U+2764")).await.unwrap();
    site.call_as("arn:aws:iam::111122223333:user/gone", "PutCommentReaction", react(":heart:")).await.unwrap();
    let told: Vec<String> = site.told().iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(told, ["commentReactionCreated", "commentReactionUpdated", "commentReactionCreated"]);
    let comment = site.call("GetComment", json!({ "commentId": id })).await.unwrap()["comment"].clone();
    assert_eq!((&comment["callerReactions"], &comment["reactionCounts"]), (&json!(["HEART"]), &json!({ "HEART": 2 })));
    let all = site.call("GetCommentReactions", json!({ "commentId": id })).await.unwrap();
    let expected = json!([{
        "reaction": { "emoji": "\u{2764}", "shortCode": ":heart:", "unicode": "U+2764" },
        "reactionUsers": ["arn:aws:iam::111122223333:user/developer"],
        "reactionsFromDeletedUsersCount": 1,
    }]);
    assert_eq!(all["reactionsForComment"], expected, "of a user that there is not only the count");
    site.call("PutCommentReaction", react("none")).await.unwrap();
    let comment = site.call("GetComment", json!({ "commentId": id })).await.unwrap()["comment"].clone();
    assert_eq!((&comment["callerReactions"], &comment["reactionCounts"]), (&json!([]), &json!({ "HEART": 1 })));
    assert_eq!(site.refused("PutCommentReaction", react(":pizza:")).await, "InvalidReactionValueException");
}

#[tokio::test]
async fn comments_are_there_after_a_restart_and_go_with_their_repository() {
    let (site, before, after) = with_review().await;
    let post = json!({ "pullRequestId": "1", "repositoryName": "demo", "beforeCommitId": before, "afterCommitId": after, "content": "text" });
    let made = site.call("PostCommentForPullRequest", post).await.unwrap()["comment"].clone();
    let Site { running, folder, .. } = site;
    running.stop().await.unwrap();
    let site = Site::start_in(folder).await;
    let id = json!({ "commentId": made["commentId"] });
    assert_eq!(site.call("GetComment", id.clone()).await.unwrap()["comment"], made);
    site.call("DeleteRepository", json!({ "repositoryName": "demo" })).await.unwrap();
    assert_eq!(site.refused("GetComment", id).await, "CommentDoesNotExistException");
}
