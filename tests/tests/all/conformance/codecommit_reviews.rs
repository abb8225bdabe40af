//! The second half of `CodeCommit`'s script: pull requests, merges, comments, approval rules.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::run::Run;

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn with(base: &Value, more: Value) -> Value {
    let mut input = base.clone();
    let Value::Object(more) = more else { panic!("{more} is no object") };
    input.as_object_mut().unwrap().extend(more);
    input
}

fn rule(needed: u64) -> String {
    let statement = json!({ "Type": "Approvers", "NumberOfApprovalsNeeded": needed, "ApprovalPoolMembers": [] });
    json!({ "Version": "2018-11-08", "Statements": [statement] }).to_string()
}

/// Puts a file on a branch after its tip; gives the commit.
async fn put(run: &mut Run, branch: &str, path: &str, content: &str) -> String {
    let tip = run.plain("GetBranch", json!({ "repositoryName": "demo", "branchName": branch })).await;
    let input = json!({ "repositoryName": "demo", "branchName": branch, "filePath": path,
        "fileContent": STANDARD.encode(content), "parentCommitId": text(&tip, "/branch/commitId") });
    text(&run.plain("PutFile", input).await, "/commitId").to_owned()
}

/// A branch from `main` with one change; gives its tip.
async fn branch(run: &mut Run, name: &str, path: &str, content: &str) -> String {
    let tip = run.plain("GetBranch", json!({ "repositoryName": "demo", "branchName": "main" })).await;
    let input = json!({ "repositoryName": "demo", "branchName": name, "commitId": text(&tip, "/branch/commitId") });
    run.plain("CreateBranch", input).await;
    put(run, name, path, content).await
}

async fn open(run: &mut Run, source: &str) -> Value {
    let targets = json!([{ "repositoryName": "demo", "sourceReference": source, "destinationReference": "main" }]);
    run.plain("CreatePullRequest", json!({ "title": source, "targets": targets })).await
}

/// Everything, in the repository `demo` with the branch `main`.
pub(super) async fn reviews(run: &mut Run) {
    templates(run).await;
    let one = pull_requests(run).await;
    rules(run, &one).await;
    comments(run, &one).await;
    conflicts(run).await;
    merges(run).await;
    templates_end(run).await;
}

async fn pull_requests(run: &mut Run) -> Value {
    put(run, "main", "lines", "1\n2\n3\n").await;
    branch(run, "topic", "topic", "topic\n").await;
    let create = json!({ "title": "A title", "description": "More about it", "clientRequestToken": "token",
        "targets": [{ "repositoryName": "demo", "sourceReference": "refs/heads/topic", "destinationReference": "refs/heads/main" }] });
    let one = run.good("CreatePullRequest", create.clone()).await["pullRequest"].clone();
    for (more, code) in [
        (json!({ "title": "Other" }), "IdempotencyParameterMismatchException"),
        (json!({ "clientRequestToken": "two words" }), "InvalidClientRequestTokenException"),
        (json!({ "targets": [] }), "TargetsRequiredException"),
        (json!({ "targets": [null] }), "TargetRequiredException"),
    ] {
        run.refused("CreatePullRequest", with(&create, more), code).await;
    }
    let target = |more: Value| {
        let target = with(&create["targets"][0], more);
        json!({ "title": "x", "targets": [target] })
    };
    for (more, code) in [
        (json!({ "sourceReference": "none" }), "ReferenceDoesNotExistException"),
        (json!({ "sourceReference": "a b" }), "InvalidReferenceNameException"),
        (json!({ "sourceReference": "refs/tags/v1" }), "ReferenceTypeNotSupportedException"),
        (json!({ "sourceReference": "main" }), "SourceAndDestinationAreSameException"),
        (json!({ "repositoryName": "none" }), "RepositoryDoesNotExistException"),
    ] {
        run.refused("CreatePullRequest", target(more), code).await;
    }
    let id = text(&one, "/pullRequestId").to_owned();
    run.good("GetPullRequest", json!({ "pullRequestId": id })).await;
    run.refused("GetPullRequest", json!({ "pullRequestId": "x" }), "InvalidPullRequestIdException").await;
    run.refused("GetPullRequest", json!({ "pullRequestId": "999" }), "PullRequestDoesNotExistException").await;
    let list = json!({ "repositoryName": "demo", "authorArn": text(&one, "/authorArn"), "pullRequestStatus": "OPEN", "maxResults": 1 });
    run.good("ListPullRequests", list.clone()).await;
    for (more, code) in [
        (json!({ "nextToken": "forged" }), "InvalidContinuationTokenException"),
        (json!({ "maxResults": 0 }), "InvalidMaxResultsException"),
        (json!({ "authorArn": "anna" }), "InvalidAuthorArnException"),
        (json!({ "authorArn": "arn:aws:iam::111122223333:user/nobody" }), "AuthorDoesNotExistException"),
    ] {
        run.refused("ListPullRequests", with(&list, more), code).await;
    }
    run.good("UpdatePullRequestTitle", json!({ "pullRequestId": id, "title": "Another title" })).await;
    run.good("UpdatePullRequestDescription", json!({ "pullRequestId": id, "description": "Other words" })).await;
    run.good("UpdatePullRequestStatus", json!({ "pullRequestId": id, "pullRequestStatus": "OPEN" })).await;
    let events = json!({ "pullRequestId": id, "pullRequestEventType": "PULL_REQUEST_CREATED",
        "actorArn": text(&one, "/authorArn"), "maxResults": 1 });
    run.good("DescribePullRequestEvents", events.clone()).await;
    for (more, code) in [
        (json!({ "nextToken": "forged" }), "InvalidContinuationTokenException"),
        (json!({ "maxResults": -1 }), "InvalidMaxResultsException"),
        (json!({ "actorArn": "anna" }), "InvalidActorArnException"),
        (json!({ "actorArn": "arn:aws:iam::111122223333:user/nobody" }), "ActorDoesNotExistException"),
    ] {
        run.refused("DescribePullRequestEvents", with(&events, more), code).await;
    }
    one
}

async fn rules(run: &mut Run, one: &Value) {
    let (id, revision) = (text(one, "/pullRequestId"), text(one, "/revisionId"));
    let named = json!({ "pullRequestId": id, "approvalRuleName": "own rule" });
    let create = with(&named, json!({ "approvalRuleContent": rule(1) }));
    let made = run.good("CreatePullRequestApprovalRule", create.clone()).await;
    run.refused("CreatePullRequestApprovalRule", create, "ApprovalRuleNameAlreadyExistsException").await;
    let update = json!({ "newRuleContent": rule(2), "existingRuleContentSha256": text(&made, "/approvalRule/ruleContentSha256") });
    let update = with(&named, update);
    run.good("UpdatePullRequestApprovalRuleContent", update.clone()).await;
    run.refused("UpdatePullRequestApprovalRuleContent", update.clone(), "InvalidRuleContentSha256Exception").await;
    for (name, code) in [
        ("none", "ApprovalRuleDoesNotExistException"),
        ("gate", "CannotModifyApprovalRuleFromTemplateException"),
        ("a:b", "InvalidApprovalRuleNameException"),
    ] {
        let input = with(&update, json!({ "approvalRuleName": name }));
        run.refused("UpdatePullRequestApprovalRuleContent", input, code).await;
    }
    let gate = json!({ "pullRequestId": id, "approvalRuleName": "gate" });
    run.refused("DeletePullRequestApprovalRule", gate, "CannotDeleteApprovalRuleFromTemplateException").await;

    let at = json!({ "pullRequestId": id, "revisionId": revision });
    run.good("UpdatePullRequestApprovalState", with(&at, json!({ "approvalState": "REVOKE" }))).await;
    let approve = with(&at, json!({ "approvalState": "APPROVE" }));
    run.refused("UpdatePullRequestApprovalState", approve, "PullRequestCannotBeApprovedByAuthorException").await;
    run.good("GetPullRequestApprovalStates", at.clone()).await;
    run.good("EvaluatePullRequestApprovalRules", at.clone()).await;
    let merge = json!({ "pullRequestId": id, "repositoryName": "demo" });
    for operation in ["MergePullRequestByFastForward", "MergePullRequestBySquash", "MergePullRequestByThreeWay"] {
        run.refused(operation, merge.clone(), "PullRequestApprovalRulesNotSatisfiedException").await;
    }
    let set = with(&at, json!({ "overrideStatus": "OVERRIDE" }));
    run.good("OverridePullRequestApprovalRules", set.clone()).await;
    run.refused("OverridePullRequestApprovalRules", set, "OverrideAlreadySetException").await;
    run.good("GetPullRequestOverrideState", at.clone()).await;
    run.good("DeletePullRequestApprovalRule", named).await;
    for operation in ["GetPullRequestApprovalStates", "GetPullRequestOverrideState", "EvaluatePullRequestApprovalRules"]
    {
        let other = with(&at, json!({ "revisionId": "f".repeat(64) }));
        run.refused(operation, other, "InvalidRevisionIdException").await;
    }
    // A push, and what was true of the revision before it.
    put(run, "topic", "topic", "more\n").await;
    run.refused("EvaluatePullRequestApprovalRules", at.clone(), "RevisionNotCurrentException").await;
    for (operation, more) in [
        ("UpdatePullRequestApprovalState", json!({ "approvalState": "REVOKE" })),
        ("OverridePullRequestApprovalRules", json!({ "overrideStatus": "REVOKE" })),
    ] {
        run.refused(operation, with(&at, more), "RevisionNotCurrentException").await;
    }
}

async fn comments(run: &mut Run, one: &Value) {
    let target = &one["pullRequestTargets"][0];
    let commits = json!({ "repositoryName": "demo", "beforeCommitId": target["destinationCommit"], "afterCommitId": target["sourceCommit"] });
    let location = json!({ "filePath": "topic", "filePosition": 1, "relativeFileVersion": "AFTER" });
    let post = json!({ "content": "A comment", "clientRequestToken": "comment", "location": location });
    let post = with(&commits, post);
    let id = text(one, "/pullRequestId");
    let of_review = with(&post, json!({ "pullRequestId": id }));
    let made = run.good("PostCommentForPullRequest", of_review.clone()).await;
    let comment = text(&made, "/comment/commentId").to_owned();
    for (more, code) in [
        (json!({ "content": "Other" }), "IdempotencyParameterMismatchException"),
        (json!({ "content": "x".repeat(10_241) }), "CommentContentSizeLimitExceededException"),
        (json!({ "beforeCommitId": commits["afterCommitId"] }), "BeforeCommitIdAndAfterCommitIdAreSameException"),
        (json!({ "afterCommitId": "f".repeat(40) }), "CommitDoesNotExistException"),
        (json!({ "afterCommitId": "xyz" }), "InvalidCommitIdException"),
        (json!({ "repositoryName": "other" }), "RepositoryNotAssociatedWithPullRequestException"),
        (json!({ "location": {} }), "InvalidFileLocationException"),
        (json!({ "location": { "filePath": "none" } }), "PathDoesNotExistException"),
    ] {
        run.refused("PostCommentForPullRequest", with(&of_review, more), code).await;
    }
    run.good("PostCommentForComparedCommit", with(&post, json!({ "clientRequestToken": "other" }))).await;
    let far = with(&location, json!({ "filePosition": 99 }));
    let far = with(&post, json!({ "location": far, "clientRequestToken": "far" }));
    run.refused("PostCommentForComparedCommit", far, "InvalidFilePositionException").await;
    let reply = json!({ "inReplyTo": comment, "content": "A reply", "clientRequestToken": "reply" });
    run.good("PostCommentReply", reply).await;
    run.good("UpdateComment", json!({ "commentId": comment, "content": "Other words" })).await;
    run.good("PutCommentReaction", json!({ "commentId": comment, "reactionValue": ":heart:" })).await;
    run.refused(
        "PutCommentReaction",
        json!({ "commentId": comment, "reactionValue": ":pizza:" }),
        "InvalidReactionValueException",
    )
    .await;
    let reactions = json!({ "commentId": comment, "reactionUserArn": text(one, "/authorArn"), "maxResults": 1 });
    run.good("GetCommentReactions", reactions.clone()).await;
    for (more, code) in [
        (json!({ "nextToken": "forged" }), "InvalidContinuationTokenException"),
        (json!({ "maxResults": 0 }), "InvalidMaxResultsException"),
        (json!({ "reactionUserArn": "anna" }), "InvalidReactionUserArnException"),
    ] {
        run.refused("GetCommentReactions", with(&reactions, more), code).await;
    }
    run.good("GetComment", json!({ "commentId": comment })).await;
    run.good("GetCommentsForPullRequest", with(&commits, json!({ "pullRequestId": id, "maxResults": 1 }))).await;
    run.plain("GetCommentsForPullRequest", json!({ "pullRequestId": id })).await;
    run.refused(
        "GetCommentsForPullRequest",
        json!({ "pullRequestId": id, "nextToken": "forged" }),
        "InvalidContinuationTokenException",
    )
    .await;
    run.good("GetCommentsForComparedCommit", with(&commits, json!({ "maxResults": 1 }))).await;
    run.good("DeleteCommentContent", json!({ "commentId": comment })).await;
    let gone = json!({ "commentId": comment });
    for operation in ["GetComment", "GetCommentReactions", "DeleteCommentContent"] {
        run.refused(operation, gone.clone(), "CommentDeletedException").await;
    }
    let nobody = format!("{0}:{0}", "00000000-0000-4000-a000-000000000000");
    run.refused("GetComment", json!({ "commentId": nobody }), "CommentDoesNotExistException").await;
    run.refused("GetComment", json!({ "commentId": "x" }), "InvalidCommentIdException").await;
}

async fn conflicts(run: &mut Run) {
    branch(run, "clash", "lines", "one\n2\n3\n").await;
    put(run, "main", "lines", "uno\n2\n3\n").await;
    let merge = json!({ "repositoryName": "demo", "sourceCommitSpecifier": "clash", "destinationCommitSpecifier": "main",
        "conflictDetailLevel": "LINE_LEVEL", "conflictResolutionStrategy": "NONE" });
    run.good("GetMergeOptions", merge.clone()).await;
    let merge = with(&merge, json!({ "mergeOption": "THREE_WAY_MERGE" }));
    run.good("GetMergeConflicts", with(&merge, json!({ "maxConflictFiles": 1 }))).await;
    run.good("DescribeMergeConflicts", with(&merge, json!({ "filePath": "lines", "maxMergeHunks": 1 }))).await;
    let many = json!({ "filePaths": ["lines", "none"], "maxMergeHunks": 1, "maxConflictFiles": 1 });
    run.good("BatchDescribeMergeConflicts", with(&merge, many)).await;
    run.plain("BatchDescribeMergeConflicts", merge.clone()).await;
    for (operation, more, code) in [
        ("GetMergeConflicts", json!({ "maxConflictFiles": 0 }), "InvalidMaxConflictFilesException"),
        ("GetMergeConflicts", json!({ "nextToken": "forged" }), "InvalidContinuationTokenException"),
        ("BatchDescribeMergeConflicts", json!({ "maxConflictFiles": 0 }), "InvalidMaxConflictFilesException"),
        ("BatchDescribeMergeConflicts", json!({ "maxMergeHunks": 0 }), "InvalidMaxMergeHunksException"),
        ("BatchDescribeMergeConflicts", json!({ "mergeOption": "FAST_FORWARD_MERGE" }), "InvalidMergeOptionException"),
        ("BatchDescribeMergeConflicts", json!({ "nextToken": "forged" }), "InvalidContinuationTokenException"),
        ("DescribeMergeConflicts", json!({ "filePath": "lines", "maxMergeHunks": 0 }), "InvalidMaxMergeHunksException"),
        ("DescribeMergeConflicts", json!({ "filePath": "none" }), "FileDoesNotExistException"),
        (
            "DescribeMergeConflicts",
            json!({ "filePath": "lines", "nextToken": "forged" }),
            "InvalidContinuationTokenException",
        ),
        ("CreateUnreferencedMergeCommit", json!({}), "ManualMergeRequiredException"),
        ("CreateUnreferencedMergeCommit", json!({ "sourceCommitSpecifier": "none" }), "CommitDoesNotExistException"),
    ] {
        run.refused(operation, with(&merge, more), code).await;
    }
}

/// How a conflict in `lines` is resolved, in every member that there is.
fn resolved(mode: &str) -> Value {
    json!({
        "conflictDetailLevel": "LINE_LEVEL", "conflictResolutionStrategy": "AUTOMERGE", "authorName": "A",
        "email": "a@example.com", "commitMessage": "Merge", "keepEmptyFolders": true,
        "conflictResolution": { "replaceContents": [{ "filePath": "lines", "replacementType": "USE_NEW_CONTENT",
            "content": STANDARD.encode("both\n2\n3\n"), "fileMode": mode }] },
    })
}

async fn merges(run: &mut Run) {
    let merge =
        json!({ "repositoryName": "demo", "sourceCommitSpecifier": "clash", "destinationCommitSpecifier": "main" });
    let unreferenced = with(&merge, json!({ "mergeOption": "SQUASH_MERGE" }));
    run.good("CreateUnreferencedMergeCommit", with(&unreferenced, resolved("NORMAL"))).await;
    for (resolution, code) in [
        (json!({ "deleteFiles": [{ "filePath": "other" }] }), "InvalidConflictResolutionException"),
        (
            json!({ "deleteFiles": [{ "filePath": "lines" }, { "filePath": "lines" }] }),
            "MultipleConflictResolutionEntriesException",
        ),
        (json!({ "setFileModes": [{ "filePath": "lines" }] }), "FileModeRequiredException"),
        (json!({ "deleteFiles": [{}] }), "PathRequiredException"),
        (
            json!({ "deleteFiles": vec![json!({ "filePath": "lines" }); 1001] }),
            "MaximumConflictResolutionEntriesExceededException",
        ),
        (
            json!({ "replaceContents": [{ "filePath": "lines", "replacementType": "USE_NEW_CONTENT" }] }),
            "ReplacementContentRequiredException",
        ),
    ] {
        let input = with(&with(&merge, resolved("NORMAL")), json!({ "conflictResolution": resolution }));
        run.refused("MergeBranchesBySquash", input, code).await;
    }
    let id = text(&open(run, "clash").await, "/pullRequest/pullRequestId").to_owned();
    let of_review = json!({ "pullRequestId": id, "repositoryName": "demo" });
    let revision =
        text(&run.plain("GetPullRequest", json!({ "pullRequestId": id })).await, "/pullRequest/revisionId").to_owned();
    let set = json!({ "pullRequestId": id, "revisionId": revision, "overrideStatus": "OVERRIDE" });
    run.plain("OverridePullRequestApprovalRules", set).await;
    run.refused("MergePullRequestByFastForward", of_review.clone(), "ManualMergeRequiredException").await;
    let modes = json!({ "conflictResolutionStrategy": "AUTOMERGE", "conflictResolution": { "setFileModes": [{ "filePath": "lines" }] } });
    run.refused("MergePullRequestBySquash", with(&of_review, modes), "InvalidFileModeException").await;
    let tip = run.plain("GetBranch", json!({ "repositoryName": "demo", "branchName": "clash" })).await;
    let source = json!({ "sourceCommitId": text(&tip, "/branch/commitId") });
    run.refused(
        "MergePullRequestBySquash",
        with(&of_review, json!({ "sourceCommitId": "f".repeat(40) })),
        "TipOfSourceReferenceIsDifferentException",
    )
    .await;
    run.refused(
        "MergePullRequestBySquash",
        with(&of_review, json!({ "repositoryName": "other" })),
        "RepositoryNotAssociatedWithPullRequestException",
    )
    .await;
    run.good("MergePullRequestBySquash", with(&with(&of_review, source), resolved("NORMAL"))).await;
    run.refused("MergePullRequestBySquash", of_review.clone(), "PullRequestAlreadyClosedException").await;
    run.refused(
        "UpdatePullRequestTitle",
        json!({ "pullRequestId": id, "title": "x" }),
        "PullRequestAlreadyClosedException",
    )
    .await;
    run.refused(
        "UpdatePullRequestStatus",
        json!({ "pullRequestId": id, "pullRequestStatus": "OPEN" }),
        "InvalidPullRequestStatusUpdateException",
    )
    .await;

    // The rules of the region are not asked from here on.
    let gate = json!({ "approvalRuleTemplateName": "gate", "repositoryName": "demo" });
    run.plain("DisassociateApprovalRuleTemplateFromRepository", gate).await;
    branch(run, "three", "lines", "drei\n2\n3\n").await;
    put(run, "main", "lines", "tre\n2\n3\n").await;
    let id = text(&open(run, "three").await, "/pullRequest/pullRequestId").to_owned();
    let of_review = json!({ "pullRequestId": id, "repositoryName": "demo" });
    run.good("MergePullRequestByThreeWay", with(&of_review, resolved("EXECUTABLE"))).await;
    let tip = branch(run, "forward", "forward", "1\n").await;
    let id = text(&open(run, "forward").await, "/pullRequest/pullRequestId").to_owned();
    run.good(
        "MergePullRequestByFastForward",
        json!({ "pullRequestId": id, "repositoryName": "demo", "sourceCommitId": tip }),
    )
    .await;

    branch(run, "squash", "lines", "one\n2\n3\n").await;
    put(run, "main", "lines", "uno\n2\n3\n").await;
    let squash = with(&merge, json!({ "sourceCommitSpecifier": "squash", "targetBranch": "main" }));
    for (more, code) in [
        (json!({ "targetBranch": "none" }), "BranchDoesNotExistException"),
        (json!({ "sourceCommitSpecifier": "none" }), "CommitDoesNotExistException"),
    ] {
        run.refused("MergeBranchesBySquash", with(&squash, more), code).await;
    }
    run.refused("MergeBranchesByFastForward", squash.clone(), "ManualMergeRequiredException").await;
    run.good("MergeBranchesBySquash", with(&squash, resolved("NORMAL"))).await;
    branch(run, "whole", "lines", "one\n2\n3\n").await;
    put(run, "main", "lines", "due\n2\n3\n").await;
    let whole = with(&merge, json!({ "sourceCommitSpecifier": "whole", "targetBranch": "main" }));
    run.good("MergeBranchesByThreeWay", with(&whole, resolved("NORMAL"))).await;
    branch(run, "ahead", "ahead", "1\n").await;
    let ahead = with(&merge, json!({ "sourceCommitSpecifier": "ahead", "targetBranch": "main" }));
    run.good("MergeBranchesByFastForward", ahead).await;
    let id = text(&open(run, "topic").await, "/pullRequest/pullRequestId").to_owned();
    run.good("UpdatePullRequestStatus", json!({ "pullRequestId": id, "pullRequestStatus": "CLOSED" })).await;
}

async fn templates(run: &mut Run) {
    let named = json!({ "approvalRuleTemplateName": "first" });
    let create = json!({ "approvalRuleTemplateContent": rule(1), "approvalRuleTemplateDescription": "What it is for" });
    run.good("CreateApprovalRuleTemplate", with(&named, create.clone())).await;
    run.refused(
        "CreateApprovalRuleTemplate",
        with(&named, create.clone()),
        "ApprovalRuleTemplateNameAlreadyExistsException",
    )
    .await;
    run.refused(
        "CreateApprovalRuleTemplate",
        json!({ "approvalRuleTemplateName": "a:b", "approvalRuleTemplateContent": rule(1) }),
        "InvalidApprovalRuleTemplateNameException",
    )
    .await;
    run.refused(
        "CreateApprovalRuleTemplate",
        json!({ "approvalRuleTemplateName": "x", "approvalRuleTemplateContent": "{}" }),
        "InvalidApprovalRuleTemplateContentException",
    )
    .await;
    let made = run.good("GetApprovalRuleTemplate", named.clone()).await;
    run.refused(
        "GetApprovalRuleTemplate",
        json!({ "approvalRuleTemplateName": "none" }),
        "ApprovalRuleTemplateDoesNotExistException",
    )
    .await;
    run.good("ListApprovalRuleTemplates", json!({ "maxResults": 1 })).await;
    run.refused("ListApprovalRuleTemplates", json!({ "nextToken": "forged" }), "InvalidContinuationTokenException")
        .await;
    run.refused("ListApprovalRuleTemplates", json!({ "maxResults": 0 }), "InvalidMaxResultsException").await;
    let update = json!({ "newRuleContent": rule(2), "existingRuleContentSha256": text(&made, "/approvalRuleTemplate/ruleContentSha256") });
    run.good("UpdateApprovalRuleTemplateContent", with(&named, update.clone())).await;
    run.refused("UpdateApprovalRuleTemplateContent", with(&named, update), "InvalidRuleContentSha256Exception").await;
    run.good(
        "UpdateApprovalRuleTemplateDescription",
        with(&named, json!({ "approvalRuleTemplateDescription": "Other" })),
    )
    .await;
    run.good(
        "UpdateApprovalRuleTemplateName",
        json!({ "oldApprovalRuleTemplateName": "first", "newApprovalRuleTemplateName": "gate" }),
    )
    .await;
    run.plain("CreateApprovalRuleTemplate", with(&create, json!({ "approvalRuleTemplateName": "second" }))).await;
    run.refused(
        "UpdateApprovalRuleTemplateName",
        json!({ "oldApprovalRuleTemplateName": "gate", "newApprovalRuleTemplateName": "second" }),
        "ApprovalRuleTemplateNameAlreadyExistsException",
    )
    .await;
    let associate = json!({ "approvalRuleTemplateName": "gate", "repositoryName": "demo" });
    run.good("AssociateApprovalRuleTemplateWithRepository", associate.clone()).await;
    run.refused(
        "AssociateApprovalRuleTemplateWithRepository",
        with(&associate, json!({ "repositoryName": "none" })),
        "RepositoryDoesNotExistException",
    )
    .await;
    run.refused(
        "DeleteApprovalRuleTemplate",
        json!({ "approvalRuleTemplateName": "gate" }),
        "ApprovalRuleTemplateInUseException",
    )
    .await;
    let batch = json!({ "approvalRuleTemplateName": "second", "repositoryNames": ["demo", "none"] });
    run.good("BatchAssociateApprovalRuleTemplateWithRepositories", batch.clone()).await;
    let many = json!({ "repositoryNames": vec!["demo"; 101] });
    for operation in
        ["BatchAssociateApprovalRuleTemplateWithRepositories", "BatchDisassociateApprovalRuleTemplateFromRepositories"]
    {
        run.refused(operation, with(&batch, many.clone()), "MaximumRepositoryNamesExceededException").await;
    }
    run.good("ListAssociatedApprovalRuleTemplatesForRepository", json!({ "repositoryName": "demo", "maxResults": 1 }))
        .await;
    run.refused(
        "ListAssociatedApprovalRuleTemplatesForRepository",
        json!({ "repositoryName": "demo", "nextToken": "forged" }),
        "InvalidContinuationTokenException",
    )
    .await;
    run.good("ListRepositoriesForApprovalRuleTemplate", json!({ "approvalRuleTemplateName": "gate", "maxResults": 1 }))
        .await;
    run.refused(
        "ListRepositoriesForApprovalRuleTemplate",
        json!({ "approvalRuleTemplateName": "gate", "nextToken": "forged" }),
        "InvalidContinuationTokenException",
    )
    .await;
    run.good("BatchDisassociateApprovalRuleTemplateFromRepositories", batch).await;
}

async fn templates_end(run: &mut Run) {
    let associate = json!({ "approvalRuleTemplateName": "gate", "repositoryName": "demo" });
    run.good("DisassociateApprovalRuleTemplateFromRepository", associate).await;
    for name in ["gate", "second"] {
        run.good("DeleteApprovalRuleTemplate", json!({ "approvalRuleTemplateName": name })).await;
    }
    // Deleting what is not there succeeds and says so by leaving the id out.
    let developer = run.ground.developer();
    let gone = json!({ "approvalRuleTemplateName": "gate" });
    let deleted = run.ground.cloud().codecommit.call("DeleteApprovalRuleTemplate", gone, &developer).await;
    assert_eq!(deleted.unwrap(), json!({}));
}
