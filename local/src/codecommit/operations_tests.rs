//! The operations, as the JSON protocol hands them over, over real repositories.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::testing::Site;

fn paths(differences: &Value) -> Vec<String> {
    let side = |one: &Value, side: &str| one[side]["path"].as_str().unwrap_or("-").to_owned();
    differences["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            format!("{} {} {}", one["changeType"].as_str().unwrap(), side(one, "beforeBlob"), side(one, "afterBlob"))
        })
        .collect()
}

fn demo(mut input: Value) -> Value {
    input["repositoryName"] = json!("demo");
    input
}

#[tokio::test]
async fn a_repository_is_made_described_renamed_and_deleted() {
    let site = Site::start().await;
    let input = json!({ "repositoryName": "demo", "repositoryDescription": "For show" });
    let made = site.call("CreateRepository", input.clone()).await.unwrap();
    let metadata = &made["repositoryMetadata"];
    assert_eq!(metadata["accountId"], "111122223333");
    assert_eq!(metadata["Arn"], "arn:aws:codecommit:eu-west-1:111122223333:demo");
    assert_eq!(metadata["cloneUrlHttp"], format!("http://{}/v1/repos/demo", site.address()));
    assert_eq!(metadata["repositoryDescription"], "For show");
    assert!(metadata["creationDate"].as_f64().unwrap() > 1.7e9);
    assert!(metadata.get("defaultBranch").is_none());
    assert_eq!(site.refused("CreateRepository", input).await, "RepositoryNameExistsException");
    let cloud = &site.running.cloud.codecommit;
    assert!(cloud.repository_dir("demo").unwrap().join("HEAD").is_file());

    site.put("a", "1").await;
    let got = site.call("GetRepository", json!({ "repositoryName": "demo" })).await.unwrap();
    assert_eq!(got["repositoryMetadata"]["defaultBranch"], "main");
    assert_eq!(got["repositoryMetadata"]["repositoryId"], metadata["repositoryId"]);

    let rename = json!({ "oldName": "demo", "newName": "shown" });
    site.call("UpdateRepositoryName", rename.clone()).await.unwrap();
    assert_eq!(site.refused("UpdateRepositoryName", rename).await, "RepositoryDoesNotExistException");
    let input = json!({ "repositoryName": "shown", "repositoryDescription": "" });
    site.call("UpdateRepositoryDescription", input).await.unwrap();
    let names = json!({ "repositoryNames": ["shown", "demo"] });
    let batch = site.call("BatchGetRepositories", names).await.unwrap();
    assert_eq!(batch["repositories"][0]["repositoryId"], metadata["repositoryId"]);
    assert!(batch["repositories"][0].get("repositoryDescription").is_none());
    assert_eq!(batch["repositoriesNotFound"], json!(["demo"]));

    let deleted = site.call("DeleteRepository", json!({ "repositoryName": "shown" })).await.unwrap();
    assert_eq!(deleted["repositoryId"], metadata["repositoryId"]);
    assert_eq!(site.call("DeleteRepository", json!({ "repositoryName": "shown" })).await.unwrap(), json!({}));
    assert!(cloud.repository_dir("shown").is_none());
    let left: Vec<_> = std::fs::read_dir(site.folder.path().join("cloud/repositories")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn wrong_inputs_have_the_codes_of_the_model() {
    let site = Site::with_demo().await;
    for (operation, input, code) in [
        ("CreateRepository", json!({}), "RepositoryNameRequiredException"),
        ("CreateRepository", json!({ "repositoryName": "a/b" }), "InvalidRepositoryNameException"),
        ("CreateRepository", json!({ "repositoryName": "a.git" }), "InvalidRepositoryNameException"),
        ("CreateRepository", json!({ "repositoryName": "x", "tags": { "a": "b" } }), "UnknownOperationException"),
        ("CreateRepository", json!({ "repositoryName": "x", "colour": "red" }), "SerializationException"),
        ("CreateRepository", json!({ "repositoryName": 1 }), "SerializationException"),
        ("GetRepository", json!({ "repositoryName": "none" }), "RepositoryDoesNotExistException"),
        ("ListRepositories", json!({ "nextToken": "forged" }), "InvalidContinuationTokenException"),
        ("ListRepositories", json!({ "sortBy": "colour" }), "InvalidSortByException"),
        ("GetBranch", demo(json!({ "branchName": "main" })), "BranchDoesNotExistException"),
        ("GetBranch", demo(json!({})), "BranchNameRequiredException"),
        ("CreateBranch", demo(json!({ "branchName": "x" })), "CommitIdRequiredException"),
        ("CreateBranch", demo(json!({ "branchName": "x", "commitId": "main" })), "InvalidCommitIdException"),
        ("CreateBranch", demo(json!({ "branchName": "x", "commitId": "1".repeat(40) })), "CommitDoesNotExistException"),
        ("UpdateDefaultBranch", demo(json!({ "defaultBranchName": "x" })), "BranchDoesNotExistException"),
        ("GetCommit", demo(json!({ "commitId": "main" })), "InvalidCommitIdException"),
        ("GetCommit", demo(json!({ "commitId": "1".repeat(40) })), "CommitIdDoesNotExistException"),
        ("BatchGetCommits", demo(json!({ "commitIds": [] })), "CommitIdsListRequiredException"),
        ("GetFile", demo(json!({ "filePath": "a" })), "CommitDoesNotExistException"),
        ("GetFile", demo(json!({})), "PathRequiredException"),
        ("GetBlob", demo(json!({ "blobId": "x" })), "InvalidBlobIdException"),
        ("GetBlob", demo(json!({ "blobId": "1".repeat(40) })), "BlobIdDoesNotExistException"),
        ("GetDifferences", demo(json!({})), "CommitRequiredException"),
        ("GetDifferences", demo(json!({ "afterCommitSpecifier": "a..b" })), "InvalidCommitException"),
        ("GetDifferences", demo(json!({ "afterCommitSpecifier": "x", "MaxResults": 0 })), "InvalidMaxResultsException"),
        ("GetDifferences", demo(json!({ "afterCommitSpecifier": "x", "maxResults": 1 })), "SerializationException"),
        ("GetMergeCommit", demo(json!({ "sourceCommitSpecifier": "x" })), "CommitDoesNotExistException"),
        ("GetMergeCommit", demo(json!({ "conflictDetailLevel": "x" })), "InvalidConflictDetailLevelException"),
        ("CreateCommit", demo(json!({ "branchName": "main" })), "FileEntryRequiredException"),
        ("TagResource", json!({}), "UnknownOperationException"),
    ] {
        assert_eq!(site.refused(operation, input.clone()).await, code, "{operation} {input}");
    }
}

#[tokio::test]
async fn branches_are_made_listed_and_deleted_but_for_the_default_one() {
    let site = Site::with_demo().await;
    let commit = site.put("a", "1").await;
    site.events();
    let make = demo(json!({ "branchName": "feature/x", "commitId": commit }));
    site.call("CreateBranch", make.clone()).await.unwrap();
    assert_eq!(site.refused("CreateBranch", make).await, "BranchNameExistsException");
    let list = site.call("ListBranches", demo(json!({}))).await.unwrap();
    assert_eq!(list, json!({ "branches": ["feature/x", "main"] }));
    let events = site.events();
    assert_eq!(events.len(), 1, "the refused one is not told");
    assert_eq!((&events[0]["event"], &events[0]["referenceName"]), (&json!("referenceCreated"), &json!("feature/x")));

    let inside = demo(json!({ "branchName": "feature/x/y", "commitId": commit }));
    assert_eq!(site.refused("CreateBranch", inside).await, "InvalidBranchNameException");

    let delete = |name: &str| demo(json!({ "branchName": name }));
    assert_eq!(site.refused("DeleteBranch", delete("main")).await, "DefaultBranchCannotBeDeletedException");
    let deleted = site.call("DeleteBranch", delete("feature/x")).await.unwrap();
    assert_eq!(deleted["deletedBranch"], json!({ "branchName": "feature/x", "commitId": commit }));
    assert_eq!(site.call("DeleteBranch", delete("feature/x")).await.unwrap(), json!({}));
    assert_eq!(site.events()[0]["oldCommitId"], commit);

    site.call("CreateBranch", demo(json!({ "branchName": "next", "commitId": commit }))).await.unwrap();
    site.call("UpdateDefaultBranch", demo(json!({ "defaultBranchName": "next" }))).await.unwrap();
    site.call("DeleteBranch", delete("main")).await.unwrap();
    assert_eq!(site.refused("DeleteBranch", delete("next")).await, "DefaultBranchCannotBeDeletedException");
}

#[tokio::test]
async fn a_commit_is_made_of_files_put_moved_deleted_and_changed() {
    let site = Site::with_demo().await;
    let content = |text: &str| STANDARD.encode(text);
    let first = site
        .call(
            "CreateCommit",
            demo(json!({
                "branchName": "main", "authorName": "A. Developer", "email": "developer@example.com",
                "commitMessage": "Begin", "putFiles": [
                    { "filePath": "src/lib.rs", "fileContent": content("pub fn one() {}\n") },
                    { "filePath": "run.sh", "fileMode": "EXECUTABLE", "fileContent": content("#!/bin/sh\n") },
                    { "filePath": "ünï.txt", "fileContent": content("") },
                ],
            })),
        )
        .await
        .unwrap();
    assert_eq!(first["filesAdded"].as_array().unwrap().len(), 3);
    let parent = first["commitId"].as_str().unwrap();
    assert_eq!(site.events()[0]["event"], "referenceCreated");

    let change = json!({
        "branchName": "main", "parentCommitId": parent,
        "putFiles": [{ "filePath": "src/main.rs", "sourceFile": { "filePath": "src/lib.rs", "isMove": true } }],
        "deleteFiles": [{ "filePath": "ünï.txt" }],
        "setFileModes": [{ "filePath": "run.sh", "fileMode": "NORMAL" }],
    });
    let second = site.call("CreateCommit", demo(change.clone())).await.unwrap();
    let names = |list: &str| -> Vec<&str> {
        second[list].as_array().unwrap().iter().map(|file| file["absolutePath"].as_str().unwrap()).collect()
    };
    assert_eq!(names("filesAdded"), ["src/main.rs"]);
    assert_eq!(names("filesUpdated"), ["run.sh"]);
    assert_eq!(names("filesDeleted"), ["src/lib.rs", "ünï.txt"]);
    assert_eq!(site.refused("CreateCommit", demo(change)).await, "ParentCommitIdOutdatedException");
    let events = site.events();
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0]["oldCommitId"], &events[0]["commitId"]), (&first["commitId"], &second["commitId"]));

    let commit = site.call("GetCommit", demo(json!({ "commitId": second["commitId"] }))).await.unwrap();
    let commit = &commit["commit"];
    assert_eq!(commit["treeId"], second["treeId"]);
    assert_eq!(commit["parents"], json!([parent]));
    assert_eq!(commit["author"]["name"], "developer");
    assert!(commit["author"]["date"].as_str().unwrap().ends_with(" +0000"));
    let both = json!({ "commitIds": [parent, "1".repeat(40), "short"] });
    let both = site.call("BatchGetCommits", demo(both)).await.unwrap();
    assert_eq!(both["commits"][0]["message"], "Begin\n");
    assert_eq!(both["commits"][0]["author"]["email"], "developer@example.com");
    assert_eq!(both["errors"].as_array().unwrap().len(), 2);

    let tree = site.work_tree("tree").await;
    tree.git(&["pull", "-q", "origin", "main"]).await;
    tree.git(&["fsck", "--strict"]).await;
    assert_eq!(tree.git(&["ls-files", "-s", "run.sh"]).await.split(' ').next(), Some("100644"));
}

#[tokio::test]
async fn the_parent_of_a_commit_must_be_the_tip() {
    let site = Site::with_demo().await;
    let first = site.put("a", "1").await;
    let put = |parent: &str| {
        let mut input = demo(json!({ "branchName": "main", "filePath": "a", "fileContent": STANDARD.encode("2") }));
        if !parent.is_empty() {
            input["parentCommitId"] = json!(parent);
        }
        input
    };
    assert_eq!(site.refused("PutFile", put("")).await, "ParentCommitIdRequiredException");
    assert_eq!(site.refused("PutFile", put("main")).await, "InvalidParentCommitIdException");
    assert_eq!(site.refused("PutFile", put(&"1".repeat(40))).await, "ParentCommitDoesNotExistException");
    let written = site.call("PutFile", put(&first)).await.unwrap();
    assert_eq!(site.refused("PutFile", put(&first)).await, "ParentCommitIdOutdatedException");
    let second = written["commitId"].as_str().unwrap();
    assert_eq!(site.refused("PutFile", put(second)).await, "SameFileContentException");
    let mut elsewhere = put(second);
    elsewhere["branchName"] = json!("other");
    assert_eq!(site.refused("PutFile", elsewhere).await, "BranchDoesNotExistException");

    let delete = demo(json!({ "branchName": "main", "filePath": "a", "parentCommitId": second }));
    let deleted = site.call("DeleteFile", delete).await.unwrap();
    assert_eq!(deleted["blobId"], written["blobId"]);
    let parent = site.put("docs/deep/x", "1").await;
    let delete = demo(json!({
        "branchName": "main", "filePath": "docs/deep/x", "parentCommitId": parent, "keepEmptyFolders": true,
    }));
    site.call("DeleteFile", delete).await.unwrap();
    let kept = site.call("GetFolder", demo(json!({ "folderPath": "docs/deep" }))).await.unwrap();
    assert_eq!(kept["files"][0]["relativePath"], ".gitkeep");
    let list = site.call("GetFolder", demo(json!({ "folderPath": "/" }))).await.unwrap();
    assert_eq!(list["files"], json!([]));
}

#[tokio::test]
async fn of_many_writers_at_once_each_that_is_told_done_is_in_the_history() {
    let site = Site::with_demo().await;
    let first = site.put("a", "0").await;
    site.events();
    let put = |number: i32| {
        let input = demo(json!({
            "branchName": "main", "filePath": format!("f{number}"), "fileContent": "", "parentCommitId": first,
        }));
        site.call("PutFile", input)
    };
    let (a, b, c, d) = tokio::join!(put(1), put(2), put(3), put(4));
    let answers = [a, b, c, d];
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        assert_eq!(refused.code, "ParentCommitIdOutdatedException");
    }
    assert_eq!(site.events().len(), 1);
}

#[tokio::test]
async fn files_folders_and_blobs_are_read_at_any_commit() {
    let site = Site::with_demo().await;
    let first = site.put("docs/a.md", "one").await;
    site.put("docs/a.md", "two").await;
    site.put("docs/deep/b.md", "b").await;
    let tree = site.work_tree("tree").await;
    tree.git(&["pull", "-q", "origin", "main"]).await;
    std::os::unix::fs::symlink("a.md", tree.dir.join("docs/link")).unwrap();
    tree.git(&["add", "."]).await;
    tree.git(&["commit", "-q", "-m", "Link"]).await;
    tree.git(&["tag", "-a", "-m", "v1", "v1"]).await;
    tree.git(&["push", "-q", "origin", "main", "v1"]).await;

    for (specifier, expected) in
        [(first.as_str(), "one"), ("main", "two"), ("HEAD", "two"), ("refs/heads/main", "two"), ("v1", "two")]
    {
        let input = demo(json!({ "filePath": "/docs/a.md", "commitSpecifier": specifier }));
        let file = site.call("GetFile", input).await.unwrap();
        assert_eq!(file["fileContent"], STANDARD.encode(expected), "{specifier}");
        assert_eq!(
            (&file["filePath"], &file["fileSize"], &file["fileMode"]),
            (&json!("docs/a.md"), &json!(3), &json!("NORMAL"))
        );
        let blob = site.call("GetBlob", demo(json!({ "blobId": file["blobId"] }))).await.unwrap();
        assert_eq!(blob["content"], STANDARD.encode(expected));
    }
    for path in ["docs", "none", "docs/a.md/x", "docs/*.md"] {
        assert_eq!(
            site.refused("GetFile", demo(json!({ "filePath": path }))).await,
            "FileDoesNotExistException",
            "{path}"
        );
    }
    let folder = site.call("GetFolder", demo(json!({ "folderPath": "docs" }))).await.unwrap();
    assert_eq!(folder["subFolders"][0]["absolutePath"], "docs/deep");
    assert_eq!(folder["files"][0]["relativePath"], "a.md");
    assert_eq!(folder["symbolicLinks"][0]["fileMode"], "SYMLINK");
    for path in ["docs/a.md", "none"] {
        assert_eq!(site.refused("GetFolder", demo(json!({ "folderPath": path }))).await, "FolderDoesNotExistException");
    }
}

#[tokio::test]
async fn a_file_that_the_api_cannot_carry_is_refused_both_ways() {
    let site = Site::with_demo().await;
    let large = "x".repeat(6 * 1024 * 1024 + 1);
    let input = demo(json!({ "branchName": "main", "filePath": "a", "fileContent": STANDARD.encode(&large) }));
    assert_eq!(site.refused("PutFile", input).await, "FileContentSizeLimitExceededException");
    let tree = site.work_tree("tree").await;
    tree.commit("large", &large).await;
    tree.git(&["push", "-q", "origin", "main"]).await;
    assert_eq!(site.refused("GetFile", demo(json!({ "filePath": "large" }))).await, "FileTooLargeException");
}

#[tokio::test]
async fn differences_come_whole_whatever_the_page_and_know_no_renames() {
    let site = Site::with_demo().await;
    let tree = site.work_tree("tree").await;
    std::fs::create_dir_all(tree.dir.join("src")).unwrap();
    for name in ["src/a", "src/b", "stays", "goes"] {
        tree.commit(name, &format!("the content of {name}, long enough to be recognised\n")).await;
    }
    let before = tree.git(&["rev-parse", "HEAD"]).await;
    tree.git(&["mv", "src/a", "moved"]).await;
    tree.git(&["rm", "-q", "goes"]).await;
    let after = tree.commit("src/b", "other").await;
    tree.git(&["push", "-q", "origin", "main"]).await;

    let expected = ["D goes -", "A - moved", "D src/a -", "M src/b src/b"];
    let input = json!({ "beforeCommitSpecifier": before, "afterCommitSpecifier": after });
    let all = site.call("GetDifferences", demo(input.clone())).await.unwrap();
    assert_eq!(paths(&all), expected);
    assert!(all.get("NextToken").is_none());
    assert_eq!(all["differences"][3]["afterBlob"]["mode"], "100644");

    let (mut seen, mut token) = (Vec::new(), None::<Value>);
    for _ in 0..10 {
        let mut page = demo(input.clone());
        page["MaxResults"] = json!(1);
        if let Some(token) = &token {
            page["NextToken"] = token.clone();
        }
        let page = site.call("GetDifferences", page).await.unwrap();
        seen.extend(paths(&page));
        token = page.get("NextToken").cloned();
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen, expected);
    let forged = demo(json!({ "afterCommitSpecifier": after, "NextToken": "1.000" }));
    assert_eq!(site.refused("GetDifferences", forged).await, "InvalidContinuationTokenException");

    let whole = site.call("GetDifferences", demo(json!({ "afterCommitSpecifier": "main" }))).await.unwrap();
    assert_eq!(paths(&whole), ["A - moved", "A - src/b", "A - stays"]);
    let with = |key: &str, path: &str| {
        let mut input = demo(input.clone());
        input[key] = json!(path);
        input
    };
    let below = site.call("GetDifferences", with("afterPath", "src")).await.unwrap();
    assert_eq!(paths(&below), ["D src/a -", "M src/b src/b"]);
    assert_eq!(site.refused("GetDifferences", with("beforePath", "none")).await, "PathDoesNotExistException");
}

#[tokio::test]
async fn the_merge_base_and_the_merge_that_was_made_are_found() {
    let site = Site::with_demo().await;
    let tree = site.work_tree("tree").await;
    let base = tree.commit("a", "1").await;
    tree.git(&["checkout", "-q", "-b", "topic"]).await;
    let topic = tree.commit("b", "1").await;
    tree.git(&["checkout", "-q", "main"]).await;
    let main = tree.commit("c", "1").await;
    tree.git(&["checkout", "-q", "--orphan", "stranger"]).await;
    tree.commit("d", "1").await;
    tree.git(&["push", "-q", "origin", "main", "topic", "stranger"]).await;
    let ask = |source: &str, destination: &str| {
        let input = json!({ "sourceCommitSpecifier": source, "destinationCommitSpecifier": destination });
        site.call("GetMergeCommit", demo(input))
    };
    let apart = ask("topic", "main").await.unwrap();
    assert_eq!(apart, json!({ "sourceCommitId": topic, "destinationCommitId": main, "baseCommitId": base }));
    let strangers = ask("stranger", "main").await.unwrap();
    assert!(strangers.get("baseCommitId").is_none());
    assert_eq!(ask("main", "main").await.unwrap()["baseCommitId"], main);
    // Behind: the base is the source itself, which is how an ancestor is recognised.
    assert_eq!(
        ask(&base, "main").await.unwrap(),
        json!({ "sourceCommitId": base, "destinationCommitId": main, "baseCommitId": base })
    );

    tree.git(&["checkout", "-q", "main"]).await;
    tree.git(&["merge", "-q", "--no-ff", "-m", "Merge", "topic"]).await;
    let merge = tree.git(&["rev-parse", "HEAD"]).await;
    tree.commit("e", "1").await;
    tree.git(&["push", "-q", "origin", "main"]).await;
    let merged = ask("topic", "main").await.unwrap();
    assert_eq!((&merged["mergedCommitId"], &merged["baseCommitId"]), (&json!(merge), &json!(topic)));
}

#[tokio::test]
async fn repositories_are_the_same_after_a_restart() {
    let site = Site::with_demo().await;
    let commit = site.put("a", "1").await;
    let before = site.call("GetRepository", demo(json!({}))).await.unwrap();
    let Site { running, folder, .. } = site;
    running.stop().await.unwrap();
    // Somebody put a repository beside, and took the folder of none away.
    let root = folder.path().join("cloud/repositories");
    std::fs::create_dir_all(root.join("brought.git")).unwrap();
    std::fs::copy(root.join("demo.git/HEAD"), root.join("brought.git/HEAD")).unwrap();

    let site = Site::start_in(folder).await;
    let after = site.call("GetRepository", demo(json!({}))).await.unwrap();
    for member in ["repositoryId", "creationDate", "lastModifiedDate", "defaultBranch"] {
        assert_eq!(after["repositoryMetadata"][member], before["repositoryMetadata"][member], "{member}");
    }
    let tip = site.call("GetBranch", demo(json!({ "branchName": "main" }))).await.unwrap();
    assert_eq!(tip["branch"]["commitId"], commit);
    let list = site.call("ListRepositories", json!({ "order": "descending" })).await.unwrap();
    let names: Vec<_> = list["repositories"].as_array().unwrap().iter().map(|one| &one["repositoryName"]).collect();
    assert_eq!(names, ["demo", "brought"]);
}
