//! `CodeCommit`'s script.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::codecommit_reviews::reviews;
use super::run::{Known, Run};

const KNOWN: Known = Known {
    // What the local cloud knows of and does not offer (tags, keys of one's own) is 501.
    common: &[("SerializationException", 400), ("UnknownOperationException", 501)],
    always: &[
        ("CreateRepository", "/repositoryMetadata/accountId"),
        ("CreateRepository", "/repositoryMetadata/repositoryId"),
        ("CreateRepository", "/repositoryMetadata/repositoryName"),
        ("CreateRepository", "/repositoryMetadata/lastModifiedDate"),
        ("CreateRepository", "/repositoryMetadata/creationDate"),
        ("CreateRepository", "/repositoryMetadata/cloneUrlHttp"),
        ("CreateRepository", "/repositoryMetadata/Arn"),
        ("BatchGetRepositories", "/repositories"),
        ("BatchGetRepositories", "/repositoriesNotFound"),
        ("BatchGetCommits", "/commits"),
        ("BatchGetCommits", "/errors"),
        ("ListRepositories", "/repositories"),
        ("ListBranches", "/branches"),
        ("DeleteRepository", "/repositoryId"),
        ("GetRepositoryTriggers", "/configurationId"),
        ("GetRepositoryTriggers", "/triggers/0/customData"),
        ("GetRepositoryTriggers", "/triggers/0/branches"),
        ("PutRepositoryTriggers", "/configurationId"),
        ("TestRepositoryTriggers", "/successfulExecutions"),
        ("TestRepositoryTriggers", "/failedExecutions/0/failureMessage"),
        ("GetBranch", "/branch/branchName"),
        ("GetBranch", "/branch/commitId"),
        ("DeleteBranch", "/deletedBranch/commitId"),
        ("GetCommit", "/commit/commitId"),
        ("GetCommit", "/commit/treeId"),
        ("GetCommit", "/commit/parents"),
        ("GetCommit", "/commit/message"),
        ("GetCommit", "/commit/author/name"),
        ("GetCommit", "/commit/author/email"),
        ("GetCommit", "/commit/author/date"),
        ("GetCommit", "/commit/committer/date"),
        ("GetCommit", "/commit/additionalData"),
        ("CreateCommit", "/commitId"),
        ("CreateCommit", "/treeId"),
        ("CreateCommit", "/filesAdded"),
        ("CreateCommit", "/filesUpdated"),
        ("CreateCommit", "/filesDeleted"),
        ("GetFolder", "/subFolders"),
        ("GetFolder", "/files"),
        ("GetFolder", "/symbolicLinks"),
        ("GetFolder", "/subModules"),
        ("GetFolder", "/treeId"),
        ("GetDifferences", "/differences"),
        ("GetMergeCommit", "/sourceCommitId"),
        ("GetMergeCommit", "/destinationCommitId"),
        ("GetMergeCommit", "/baseCommitId"),
        ("CreatePullRequest", "/pullRequest/pullRequestId"),
        ("CreatePullRequest", "/pullRequest/title"),
        ("CreatePullRequest", "/pullRequest/lastActivityDate"),
        ("CreatePullRequest", "/pullRequest/creationDate"),
        ("CreatePullRequest", "/pullRequest/pullRequestStatus"),
        ("CreatePullRequest", "/pullRequest/authorArn"),
        ("CreatePullRequest", "/pullRequest/clientRequestToken"),
        ("CreatePullRequest", "/pullRequest/revisionId"),
        ("CreatePullRequest", "/pullRequest/approvalRules/0/originApprovalRuleTemplate"),
        ("CreatePullRequest", "/pullRequest/approvalRules/0/ruleContentSha256"),
        ("GetPullRequest", "/pullRequest/pullRequestTargets/0/repositoryName"),
        ("GetPullRequest", "/pullRequest/pullRequestTargets/0/sourceReference"),
        ("GetPullRequest", "/pullRequest/pullRequestTargets/0/destinationReference"),
        ("GetPullRequest", "/pullRequest/pullRequestTargets/0/sourceCommit"),
        ("GetPullRequest", "/pullRequest/pullRequestTargets/0/destinationCommit"),
        ("GetPullRequest", "/pullRequest/pullRequestTargets/0/mergeBase"),
        ("GetPullRequest", "/pullRequest/pullRequestTargets/0/mergeMetadata/isMerged"),
        ("MergePullRequestBySquash", "/pullRequest/pullRequestTargets/0/mergeMetadata/mergeCommitId"),
        ("MergePullRequestBySquash", "/pullRequest/pullRequestTargets/0/mergeMetadata/mergedBy"),
        ("MergePullRequestBySquash", "/pullRequest/pullRequestTargets/0/mergeMetadata/mergeOption"),
        ("DescribePullRequestEvents", "/pullRequestEvents/0/pullRequestCreatedEventMetadata/sourceCommitId"),
        ("DescribePullRequestEvents", "/pullRequestEvents/0/actorArn"),
        ("MergeBranchesBySquash", "/treeId"),
        ("CreateUnreferencedMergeCommit", "/treeId"),
        ("GetMergeConflicts", "/conflictMetadataList/0/numberOfConflicts"),
        ("DescribeMergeConflicts", "/mergeHunks/0/source/hunkContent"),
        ("BatchDescribeMergeConflicts", "/conflicts/0/mergeHunks"),
        ("BatchDescribeMergeConflicts", "/errors/0/exceptionName"),
        ("PostCommentForPullRequest", "/comment/commentId"),
        ("PostCommentForPullRequest", "/comment/authorArn"),
        ("PostCommentForPullRequest", "/comment/callerReactions"),
        ("PostCommentForPullRequest", "/comment/reactionCounts"),
        ("PostCommentForPullRequest", "/afterBlobId"),
        ("PostCommentForPullRequest", "/location/filePath"),
        ("PostCommentReply", "/comment/inReplyTo"),
        ("DeleteCommentContent", "/comment/deleted"),
        ("GetCommentsForPullRequest", "/commentsForPullRequestData/0/comments/0/commentId"),
        ("GetCommentsForComparedCommit", "/commentsForComparedCommitData/0/comments/0/commentId"),
        ("GetCommentReactions", "/reactionsForComment/0/reactionUsers/0"),
        ("EvaluatePullRequestApprovalRules", "/evaluation/approvalRulesNotSatisfied/0"),
        ("EvaluatePullRequestApprovalRules", "/evaluation/overridden"),
        ("GetPullRequestApprovalStates", "/approvals"),
        ("GetPullRequestOverrideState", "/overrider"),
        ("GetApprovalRuleTemplate", "/approvalRuleTemplate/lastModifiedUser"),
        ("ListRepositoriesForApprovalRuleTemplate", "/repositoryNames/0"),
        ("ListAssociatedApprovalRuleTemplatesForRepository", "/approvalRuleTemplateNames/0"),
    ],
    // What is wrong with one repository of a batch is told in its answer.
    taken: &[
        ("BatchAssociateApprovalRuleTemplateWithRepositories", "repositoryNames[0]", "shorter than the model's min"),
        ("BatchAssociateApprovalRuleTemplateWithRepositories", "repositoryNames[0]", "longer than the model's max"),
        ("BatchAssociateApprovalRuleTemplateWithRepositories", "repositoryNames[0]", "not of the model's pattern"),
        ("BatchDisassociateApprovalRuleTemplateFromRepositories", "repositoryNames[0]", "shorter than the model's min"),
        ("BatchDisassociateApprovalRuleTemplateFromRepositories", "repositoryNames[0]", "longer than the model's max"),
        ("BatchDisassociateApprovalRuleTemplateFromRepositories", "repositoryNames[0]", "not of the model's pattern"),
    ],
};

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn content(text: &str) -> String {
    STANDARD.encode(text)
}

async fn triggers(run: &mut Run) {
    let trigger = json!({
        "name": "pushes", "destinationArn": "arn:aws:sns:eu-west-1:111122223333:none", "customData": "x", "branches": ["main"],
        "events": ["updateReference", "deleteReference"],
    });
    let of = |triggers: Value| json!({ "repositoryName": "demo", "triggers": triggers });
    run.good("PutRepositoryTriggers", of(json!([trigger]))).await;
    run.good("TestRepositoryTriggers", of(json!([trigger]))).await;
    run.good("GetRepositoryTriggers", json!({ "repositoryName": "demo" })).await;
    for operation in ["PutRepositoryTriggers", "TestRepositoryTriggers"] {
        let odd = |key: &str, value: Value| {
            let mut odd = trigger.clone();
            odd[key] = value;
            of(json!([odd]))
        };
        run.refused(operation, of(json!(vec![trigger.clone(); 11])), "MaximumRepositoryTriggersExceededException")
            .await;
        run.refused(operation, odd("name", json!("a b")), "InvalidRepositoryTriggerNameException").await;
        run.refused(
            operation,
            odd("destinationArn", json!("arn:aws:s3:::x")),
            "InvalidRepositoryTriggerDestinationArnException",
        )
        .await;
        run.refused(operation, odd("branches", json!(["a b"])), "InvalidRepositoryTriggerBranchNameException").await;
        run.refused(operation, json!({ "repositoryName": "none", "triggers": [] }), "RepositoryDoesNotExistException")
            .await;
    }
    run.refused("GetRepositoryTriggers", json!({ "repositoryName": "none" }), "RepositoryDoesNotExistException").await;
}

#[tokio::test]
async fn codecommit_answers_as_its_model_says() {
    let Some(mut run) = Run::of("codecommit", KNOWN).await else { return };
    let gone = "f".repeat(40);
    repositories(&mut run).await;

    // Files and commits.
    let first = run
        .good(
            "CreateCommit",
            json!({ "repositoryName": "demo", "branchName": "main", "commitMessage": "one", "authorName": "A", "email": "a@example.com",
                "keepEmptyFolders": true, "putFiles": [
                    { "filePath": "a.txt", "fileContent": content("a\n"), "fileMode": "NORMAL" },
                    { "filePath": "bin/run", "fileContent": content("#!/bin/sh\n"), "fileMode": "EXECUTABLE" },
                    { "filePath": "link", "fileContent": content("a.txt"), "fileMode": "SYMLINK" },
                ] }),
        )
        .await;
    let first = text(&first, "/commitId").to_owned();
    let second = run
        .good(
            "CreateCommit",
            json!({ "repositoryName": "demo", "branchName": "main", "parentCommitId": first,
                "putFiles": [{ "filePath": "b.txt", "sourceFile": { "filePath": "a.txt", "isMove": false } }],
                "setFileModes": [{ "filePath": "a.txt", "fileMode": "EXECUTABLE" }],
                "deleteFiles": [{ "filePath": "link" }] }),
        )
        .await;
    let second = text(&second, "/commitId").to_owned();
    let third = run
        .good(
            "PutFile",
            json!({ "repositoryName": "demo", "branchName": "main", "fileContent": content("c"), "filePath": "c.txt", "fileMode": "NORMAL",
                "parentCommitId": second, "commitMessage": "three", "name": "A", "email": "a@example.com" }),
        )
        .await;
    let third = text(&third, "/commitId").to_owned();
    let fourth = run
        .good(
            "DeleteFile",
            json!({ "repositoryName": "demo", "branchName": "main", "filePath": "c.txt", "parentCommitId": third, "keepEmptyFolders": false,
                "commitMessage": "four", "name": "A", "email": "a@example.com" }),
        )
        .await;
    let fourth = text(&fourth, "/commitId").to_owned();
    writes_refused(&mut run, &fourth).await;

    let branch = json!({ "repositoryName": "demo", "branchName": "side", "commitId": first });
    run.good("CreateBranch", branch.clone()).await;
    run.refused("CreateBranch", branch, "BranchNameExistsException").await;
    run.refused(
        "CreateBranch",
        json!({ "repositoryName": "demo", "branchName": "x", "commitId": gone }),
        "CommitDoesNotExistException",
    )
    .await;
    run.refused(
        "CreateBranch",
        json!({ "repositoryName": "demo", "branchName": "x", "commitId": "xyz" }),
        "InvalidCommitIdException",
    )
    .await;
    run.refused(
        "CreateBranch",
        json!({ "repositoryName": "none", "branchName": "x", "commitId": first }),
        "RepositoryDoesNotExistException",
    )
    .await;
    run.good("GetBranch", json!({ "repositoryName": "demo", "branchName": "side" })).await;
    run.refused("GetBranch", json!({ "repositoryName": "demo", "branchName": "none" }), "BranchDoesNotExistException")
        .await;
    run.refused("GetBranch", json!({ "repositoryName": "demo", "branchName": "a b" }), "InvalidBranchNameException")
        .await;
    run.good("ListBranches", json!({ "repositoryName": "demo" })).await;
    run.refused(
        "ListBranches",
        json!({ "repositoryName": "demo", "nextToken": "forged" }),
        "InvalidContinuationTokenException",
    )
    .await;
    run.good("UpdateDefaultBranch", json!({ "repositoryName": "demo", "defaultBranchName": "side" })).await;
    run.refused(
        "UpdateDefaultBranch",
        json!({ "repositoryName": "demo", "defaultBranchName": "none" }),
        "BranchDoesNotExistException",
    )
    .await;
    run.refused(
        "DeleteBranch",
        json!({ "repositoryName": "demo", "branchName": "side" }),
        "DefaultBranchCannotBeDeletedException",
    )
    .await;
    run.plain("UpdateDefaultBranch", json!({ "repositoryName": "demo", "defaultBranchName": "main" })).await;
    triggers(&mut run).await;

    run.good("GetCommit", json!({ "repositoryName": "demo", "commitId": second })).await;
    run.refused("GetCommit", json!({ "repositoryName": "demo", "commitId": gone }), "CommitIdDoesNotExistException")
        .await;
    run.good("BatchGetCommits", json!({ "repositoryName": "demo", "commitIds": [first, gone] })).await;
    run.refused(
        "BatchGetCommits",
        json!({ "repositoryName": "demo", "commitIds": [] }),
        "CommitIdsListRequiredException",
    )
    .await;
    let many = vec![first.clone(); 101];
    run.refused(
        "BatchGetCommits",
        json!({ "repositoryName": "demo", "commitIds": many }),
        "CommitIdsLimitExceededException",
    )
    .await;
    let file =
        run.good("GetFile", json!({ "repositoryName": "demo", "commitSpecifier": "main", "filePath": "a.txt" })).await;
    run.plain("GetFile", json!({ "repositoryName": "demo", "filePath": "a.txt" })).await;
    run.refused("GetFile", json!({ "repositoryName": "demo", "filePath": "none" }), "FileDoesNotExistException").await;
    run.refused("GetFile", json!({ "repositoryName": "demo", "filePath": "../x" }), "InvalidPathException").await;
    run.refused(
        "GetFile",
        json!({ "repositoryName": "demo", "filePath": "a.txt", "commitSpecifier": "none" }),
        "CommitDoesNotExistException",
    )
    .await;
    run.good("GetFolder", json!({ "repositoryName": "demo", "commitSpecifier": first, "folderPath": "/" })).await;
    run.refused("GetFolder", json!({ "repositoryName": "demo", "folderPath": "none" }), "FolderDoesNotExistException")
        .await;
    run.good("GetBlob", json!({ "repositoryName": "demo", "blobId": text(&file, "/blobId") })).await;
    run.refused("GetBlob", json!({ "repositoryName": "demo", "blobId": gone }), "BlobIdDoesNotExistException").await;
    run.refused("GetBlob", json!({ "repositoryName": "demo", "blobId": "xyz" }), "InvalidBlobIdException").await;

    let difference =
        json!({ "repositoryName": "demo", "beforeCommitSpecifier": first, "afterCommitSpecifier": "main" });
    let page = run.plain("GetDifferences", with(&difference, &[("MaxResults", json!(1))])).await;
    run.good(
        "GetDifferences",
        with(&difference, &[("MaxResults", json!(1)), ("NextToken", page["NextToken"].clone())]),
    )
    .await;
    run.plain("GetDifferences", with(&difference, &[("beforePath", json!("bin")), ("afterPath", json!("bin"))])).await;
    run.refused(
        "GetDifferences",
        with(&difference, &[("NextToken", json!("forged"))]),
        "InvalidContinuationTokenException",
    )
    .await;
    run.refused("GetDifferences", with(&difference, &[("MaxResults", json!(0))]), "InvalidMaxResultsException").await;
    run.refused("GetDifferences", with(&difference, &[("afterPath", json!("none"))]), "PathDoesNotExistException")
        .await;
    run.refused(
        "GetDifferences",
        with(&difference, &[("afterCommitSpecifier", json!("none"))]),
        "CommitDoesNotExistException",
    )
    .await;

    let merge = json!({ "repositoryName": "demo", "sourceCommitSpecifier": "side", "destinationCommitSpecifier": "main",
        "conflictDetailLevel": "FILE_LEVEL", "conflictResolutionStrategy": "NONE" });
    run.good("GetMergeCommit", merge.clone()).await;
    run.refused(
        "GetMergeCommit",
        with(&merge, &[("sourceCommitSpecifier", json!("none"))]),
        "CommitDoesNotExistException",
    )
    .await;

    reviews(&mut run).await;
    run.good("DeleteBranch", json!({ "repositoryName": "demo", "branchName": "side" })).await;
    run.plain("DeleteBranch", json!({ "repositoryName": "demo", "branchName": "side" })).await;
    run.good("DeleteRepository", json!({ "repositoryName": "demo" })).await;
    run.end().await;
}

async fn repositories(run: &mut Run) {
    run.good("CreateRepository", json!({ "repositoryName": "first", "repositoryDescription": "text" })).await;
    run.plain("CreateRepository", json!({ "repositoryName": "other" })).await;
    run.refused(
        "CreateRepository",
        json!({ "repositoryName": "x", "tags": { "team": "a" } }),
        "UnknownOperationException",
    )
    .await;
    run.refused("CreateRepository", json!({ "repositoryName": "first" }), "RepositoryNameExistsException").await;
    run.refused("CreateRepository", json!({ "repositoryName": "a.git" }), "InvalidRepositoryNameException").await;
    run.good("UpdateRepositoryName", json!({ "oldName": "first", "newName": "demo" })).await;
    run.refused(
        "UpdateRepositoryName",
        json!({ "oldName": "first", "newName": "new" }),
        "RepositoryDoesNotExistException",
    )
    .await;
    run.refused(
        "UpdateRepositoryName",
        json!({ "oldName": "demo", "newName": "other" }),
        "RepositoryNameExistsException",
    )
    .await;
    let describe = json!({ "repositoryName": "demo", "repositoryDescription": "other text" });
    run.good("UpdateRepositoryDescription", describe).await;
    run.refused("UpdateRepositoryDescription", json!({ "repositoryName": "none" }), "RepositoryDoesNotExistException")
        .await;
    run.good("GetRepository", json!({ "repositoryName": "demo" })).await;
    run.refused("GetRepository", json!({ "repositoryName": "none" }), "RepositoryDoesNotExistException").await;
    run.good("BatchGetRepositories", json!({ "repositoryNames": ["demo", "none"] })).await;
    let many = vec!["demo"; 101];
    run.refused("BatchGetRepositories", json!({ "repositoryNames": many }), "MaximumRepositoryNamesExceededException")
        .await;
    run.good("ListRepositories", json!({ "sortBy": "lastModifiedDate", "order": "descending" })).await;
    run.plain("ListRepositories", json!({})).await;
    run.refused("ListRepositories", json!({ "nextToken": "forged" }), "InvalidContinuationTokenException").await;
    // Deleting what is not there succeeds and says so by leaving the id out.
    let developer = run.ground.developer();
    let gone = json!({ "repositoryName": "none" });
    let deleted = run.ground.cloud().codecommit.call("DeleteRepository", gone, &developer).await;
    assert_eq!(deleted.unwrap(), json!({}));
}

async fn writes_refused(run: &mut Run, tip: &str) {
    let put = json!({ "repositoryName": "demo", "branchName": "main", "parentCommitId": tip, "fileContent": content("a\n"), "filePath": "a.txt" });
    for (changes, code) in [
        (vec![("fileMode", json!("EXECUTABLE"))], "SameFileContentException"),
        (vec![("filePath", json!("bin"))], "FileNameConflictsWithDirectoryNameException"),
        (vec![("filePath", json!("a.txt/x"))], "DirectoryNameConflictsWithFileNameException"),
        (vec![("parentCommitId", json!("f".repeat(40)))], "ParentCommitDoesNotExistException"),
        (vec![("parentCommitId", json!("xyz"))], "InvalidParentCommitIdException"),
        (vec![("parentCommitId", Value::Null)], "ParentCommitIdRequiredException"),
        (vec![("branchName", json!("none"))], "BranchDoesNotExistException"),
        (vec![("fileMode", json!("NONE"))], "InvalidFileModeException"),
        (vec![("email", json!("no address\n"))], "InvalidEmailException"),
        (vec![("name", json!("x".repeat(5000)))], "NameLengthExceededException"),
    ] {
        run.refused("PutFile", with(&put, &changes), code).await;
    }
    let commit = json!({ "repositoryName": "demo", "branchName": "main", "parentCommitId": tip });
    let file = json!([{ "filePath": "n", "fileContent": content("n") }]);
    for (changes, code) in [
        (vec![], "FileEntryRequiredException"),
        (
            vec![(
                "putFiles",
                json!([{ "filePath": "a.txt", "fileContent": content("a\n"), "fileMode": "EXECUTABLE" }]),
            )],
            "NoChangeException",
        ),
        (vec![("putFiles", json!([{ "filePath": "n" }]))], "SourceFileOrContentRequiredException"),
        (vec![("deleteFiles", json!([{ "filePath": "none" }]))], "FileDoesNotExistException"),
        (vec![("setFileModes", json!([{ "filePath": "a.txt" }]))], "FileModeRequiredException"),
        (vec![("putFiles", file.clone()), ("deleteFiles", json!([{ "filePath": "n" }]))], "SamePathRequestException"),
        (
            vec![("putFiles", file.clone()), ("parentCommitId", json!("f".repeat(40)))],
            "ParentCommitDoesNotExistException",
        ),
    ] {
        run.refused("CreateCommit", with(&commit, &changes), code).await;
    }
    let many: Vec<Value> =
        (0..101).map(|number| json!({ "filePath": format!("n{number}"), "fileContent": "" })).collect();
    run.refused(
        "CreateCommit",
        with(&commit, &[("putFiles", Value::from(many))]),
        "MaximumFileEntriesExceededException",
    )
    .await;
    let delete = json!({ "repositoryName": "demo", "branchName": "main", "parentCommitId": tip, "filePath": "none" });
    run.refused("DeleteFile", delete, "FileDoesNotExistException").await;
}

fn with(base: &Value, changes: &[(&str, Value)]) -> Value {
    let mut input = base.clone();
    for (name, value) in changes {
        let object = input.as_object_mut().unwrap();
        match value {
            Value::Null => drop(object.remove(*name)),
            value => drop(object.insert((*name).to_owned(), value.clone())),
        }
    }
    input
}
