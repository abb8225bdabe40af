//! Merges over a real repository, held against what the real git makes of them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::testing::{Site, WorkTree};

/// `topic` and `main` of `demo`, which both begin at a commit with these files; gives the work tree.
async fn two_sides(base: &[(&str, &str)], source: &[(&str, &str)], destination: &[(&str, &str)]) -> (Site, WorkTree) {
    let site = Site::with_demo().await;
    let tree = site.work_tree("tree").await;
    write(&tree, base).await;
    tree.git(&["checkout", "-q", "-b", "topic"]).await;
    write(&tree, source).await;
    tree.git(&["checkout", "-q", "main"]).await;
    write(&tree, destination).await;
    tree.git(&["push", "-q", "origin", "main", "topic"]).await;
    site.events();
    (site, tree)
}

/// Commits files; one without content is deleted.
async fn write(tree: &WorkTree, files: &[(&str, &str)]) {
    for (path, content) in files {
        let file = tree.dir.join(path);
        if content.is_empty() {
            std::fs::remove_file(file).unwrap();
        } else {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, content).unwrap();
        }
    }
    tree.git(&["add", "-A"]).await;
    tree.git(&["commit", "-q", "--allow-empty", "-m", "Change"]).await;
}

fn merge(more: Value) -> Value {
    let mut input =
        json!({ "repositoryName": "demo", "sourceCommitSpecifier": "topic", "destinationCommitSpecifier": "main" });
    let Value::Object(more) = more else { panic!("{more} is no object") };
    input.as_object_mut().unwrap().extend(more);
    input
}

fn of_option(more: Value) -> Value {
    let mut input = merge(json!({ "mergeOption": "THREE_WAY_MERGE" }));
    let Value::Object(more) = more else { panic!("{more} is no object") };
    input.as_object_mut().unwrap().extend(more);
    input
}

/// The content of a file of `main`.
async fn content(site: &Site, path: &str) -> String {
    let input = json!({ "repositoryName": "demo", "commitSpecifier": "main", "filePath": path });
    let file = site.call("GetFile", input).await.unwrap();
    String::from_utf8(STANDARD.decode(file["fileContent"].as_str().unwrap()).unwrap()).unwrap()
}

const LINES: &str = "1\n2\n3\n4\n5\n6\n7\n8\n";

#[tokio::test]
async fn a_three_way_merge_has_the_tree_that_git_would_make() {
    let base = [("a", LINES), ("gone", "x\n"), ("both", "y\n"), ("src/old", "z\n"), ("kept", "k\n")];
    let source = [("a", "one\n2\n3\n4\n5\n6\n7\n8\n"), ("gone", ""), ("both", ""), ("new", "n\n"), ("src/old", "")];
    let destination = [("a", "1\n2\n3\n4\n5\n6\n7\neight\n"), ("both", ""), ("src/new/deep", "d\n"), ("kept", "kk\n")];
    let (site, tree) = two_sides(&base, &source, &destination).await;
    let input = merge(json!({ "conflictDetailLevel": "LINE_LEVEL" }));
    let made = site.call("MergeBranchesByThreeWay", input).await.unwrap();
    tree.git(&["fetch", "-q", "origin"]).await;
    let ours = tree.git(&["rev-parse", "origin/main"]).await;
    assert_eq!(made["commitId"], ours);
    tree.git(&["merge", "-q", "--no-edit", "topic"]).await;
    assert_eq!(tree.git(&["rev-parse", "HEAD^{tree}"]).await, made["treeId"].as_str().unwrap());
    assert_eq!(tree.git(&["diff", "HEAD", "origin/main"]).await, "");
    let parents = tree.git(&["rev-list", "--parents", "-n1", "origin/main"]).await;
    let expected =
        format!("{ours} {} {}", tree.git(&["rev-parse", "main~1"]).await, tree.git(&["rev-parse", "topic"]).await);
    assert_eq!(parents, expected, "main^1 is what main was, then the topic");
    assert_eq!(site.told(), ["referenceUpdated refs/heads/main"]);
}

#[tokio::test]
async fn one_file_changed_on_both_sides_is_a_conflict_at_file_level_and_none_at_line_level() {
    let (site, _tree) =
        two_sides(&[("a", LINES)], &[("a", "one\n2\n3\n4\n5\n6\n7\n8\n")], &[("a", "1\n2\n3\n4\n5\n6\n7\neight\n")])
            .await;
    let conflicts = site.call("GetMergeConflicts", of_option(json!({}))).await.unwrap();
    assert_eq!(
        (&conflicts["mergeable"], conflicts["conflictMetadataList"].as_array().unwrap().len()),
        (&json!(false), 1)
    );
    let metadata = &conflicts["conflictMetadataList"][0];
    let expected = json!({
        "filePath": "a",
        "fileSizes": { "source": 18, "destination": 20, "base": 16 },
        "fileModes": { "source": "NORMAL", "destination": "NORMAL", "base": "NORMAL" },
        "objectTypes": { "source": "FILE", "destination": "FILE", "base": "FILE" },
        "numberOfConflicts": 1,
        "isBinaryFile": { "source": false, "destination": false, "base": false },
        "contentConflict": true, "fileModeConflict": false, "objectTypeConflict": false,
        "mergeOperations": { "source": "M", "destination": "M" },
    });
    assert_eq!(metadata, &expected);
    let options = |level: &str| site.call("GetMergeOptions", merge(json!({ "conflictDetailLevel": level })));
    assert_eq!(options("FILE_LEVEL").await.unwrap()["mergeOptions"], json!([]));
    assert_eq!(options("LINE_LEVEL").await.unwrap()["mergeOptions"], json!(["SQUASH_MERGE", "THREE_WAY_MERGE"]));
    let line = site.call("GetMergeConflicts", of_option(json!({ "conflictDetailLevel": "LINE_LEVEL" }))).await.unwrap();
    assert_eq!((&line["mergeable"], &line["conflictMetadataList"]), (&json!(true), &json!([])));
    let forward = site.call("GetMergeConflicts", merge(json!({ "mergeOption": "FAST_FORWARD_MERGE" }))).await.unwrap();
    assert_eq!((&forward["mergeable"], &forward["conflictMetadataList"]), (&json!(false), &json!([])));

    assert_eq!(site.refused("MergeBranchesBySquash", merge(json!({}))).await, "ManualMergeRequiredException");
    assert!(site.told().is_empty());
    // What automerge is for.
    site.call("MergeBranchesBySquash", merge(json!({ "conflictResolutionStrategy": "AUTOMERGE" }))).await.unwrap();
    assert_eq!(content(&site, "a").await, "one\n2\n3\n4\n5\n6\n7\neight\n");
}

#[tokio::test]
async fn lines_that_conflict_are_told_in_hunks_and_pages_of_them() {
    let (site, _tree) = two_sides(
        &[("a", LINES)],
        &[("a", "one\n2\n3\n4\n5\n6\n7\nacht\n")],
        &[("a", "uno\ndos\n2\n3\n4\n5\n6\n7\neight\n")],
    )
    .await;
    let lines = json!({ "filePath": "a", "conflictDetailLevel": "LINE_LEVEL" });
    let all = site.call("DescribeMergeConflicts", of_option(lines.clone())).await.unwrap();
    assert_eq!(all["conflictMetadata"]["numberOfConflicts"], 2);
    let side = |hunk: &Value, side: &str| {
        let text = STANDARD.decode(hunk[side]["hunkContent"].as_str().unwrap()).unwrap();
        (
            hunk[side]["startLine"].as_u64().unwrap(),
            hunk[side]["endLine"].as_u64().unwrap(),
            String::from_utf8(text).unwrap(),
        )
    };
    let hunks = all["mergeHunks"].as_array().unwrap();
    assert_eq!(hunks.len(), 2);
    assert_eq!(hunks[0]["isConflict"], true);
    assert_eq!(side(&hunks[0], "destination"), (0, 1, "uno\ndos\n".to_owned()));
    assert_eq!(side(&hunks[0], "source"), (0, 0, "one\n".to_owned()));
    assert_eq!(side(&hunks[0], "base"), (0, 0, "1\n".to_owned()));
    assert_eq!(side(&hunks[1], "source"), (8, 8, "acht\n".to_owned()));

    let mut page = of_option(lines.clone());
    page["maxMergeHunks"] = json!(1);
    let first = site.call("DescribeMergeConflicts", page.clone()).await.unwrap();
    assert_eq!(first["mergeHunks"], json!([hunks[0]]));
    page["nextToken"] = first["nextToken"].clone();
    let second = site.call("DescribeMergeConflicts", page.clone()).await.unwrap();
    assert_eq!((&second["mergeHunks"], second.get("nextToken")), (&json!([hunks[1]]), None));
    page["mergeOption"] = json!("SQUASH_MERGE");
    assert_eq!(site.refused("DescribeMergeConflicts", page).await, "InvalidContinuationTokenException");

    let whole = site.call("DescribeMergeConflicts", of_option(json!({ "filePath": "a" }))).await.unwrap();
    assert_eq!(whole["mergeHunks"].as_array().unwrap().len(), 1, "at file level the file is one hunk");
    let none = of_option(json!({ "filePath": "none" }));
    assert_eq!(site.refused("DescribeMergeConflicts", none).await, "FileDoesNotExistException");
    let forward = merge(json!({ "filePath": "a", "mergeOption": "FAST_FORWARD_MERGE" }));
    assert_eq!(site.refused("DescribeMergeConflicts", forward).await, "InvalidMergeOptionException");
}

#[tokio::test]
async fn each_strategy_takes_what_it_says_and_leaves_the_rest_merged() {
    let base = [("a", LINES), ("deleted", "x\n")];
    let source = [("a", "one\n2\n3\n4\n5\n6\n7\nacht\n"), ("deleted", ""), ("added", "theirs\n")];
    let destination = [("a", "1\n2\n3\nfour\n5\n6\n7\neight\n"), ("deleted", "changed\n"), ("added", "ours\n")];
    for (strategy, level, a, added, deleted) in [
        ("ACCEPT_SOURCE", "LINE_LEVEL", "one\n2\n3\nfour\n5\n6\n7\nacht\n", "theirs\n", None),
        ("ACCEPT_SOURCE", "FILE_LEVEL", "one\n2\n3\n4\n5\n6\n7\nacht\n", "theirs\n", None),
        ("ACCEPT_DESTINATION", "LINE_LEVEL", "one\n2\n3\nfour\n5\n6\n7\neight\n", "ours\n", Some("changed\n")),
        ("ACCEPT_DESTINATION", "FILE_LEVEL", "1\n2\n3\nfour\n5\n6\n7\neight\n", "ours\n", Some("changed\n")),
    ] {
        let (site, _tree) = two_sides(&base, &source, &destination).await;
        let how = json!({ "conflictResolutionStrategy": strategy, "conflictDetailLevel": level });
        site.call("MergeBranchesByThreeWay", merge(how)).await.unwrap();
        assert_eq!(content(&site, "a").await, a, "{strategy} {level}");
        assert_eq!(content(&site, "added").await, added, "{strategy} {level}");
        let input = json!({ "repositoryName": "demo", "commitSpecifier": "main", "filePath": "deleted" });
        match deleted {
            Some(text) => assert_eq!(content(&site, "deleted").await, text, "{strategy} {level}"),
            None => assert_eq!(site.refused("GetFile", input).await, "FileDoesNotExistException"),
        }
    }
}

#[tokio::test]
async fn conflicts_are_resolved_one_by_one_and_only_when_all_are() {
    let base = [("keep", "b\n"), ("new", "b\n"), ("drop", "b\n"), ("bin", "b\0\n")];
    let source = [("keep", "s\n"), ("new", "s\n"), ("drop", "s\n"), ("bin", "s\0\n")];
    let destination = [("keep", "d\n"), ("new", "d\n"), ("drop", "d\n"), ("bin", "d\0\n")];
    let (site, _tree) = two_sides(&base, &source, &destination).await;
    let all = site
        .call("BatchDescribeMergeConflicts", of_option(json!({ "conflictDetailLevel": "LINE_LEVEL" })))
        .await
        .unwrap();
    let shown: Vec<(&str, usize)> = all["conflicts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["conflictMetadata"]["filePath"].as_str().unwrap(), one["mergeHunks"].as_array().unwrap().len()))
        .collect();
    assert_eq!(shown, [("bin", 0), ("drop", 1), ("keep", 1), ("new", 1)]);
    assert_eq!(all["errors"], json!([]));
    let some = of_option(json!({ "filePaths": ["new", "none", "../x"], "maxMergeHunks": 1 }));
    let some = site.call("BatchDescribeMergeConflicts", some).await.unwrap();
    assert_eq!(some["conflicts"].as_array().unwrap().len(), 1);
    let codes: Vec<&str> =
        some["errors"].as_array().unwrap().iter().map(|one| one["exceptionName"].as_str().unwrap()).collect();
    assert_eq!(codes, ["FileDoesNotExistException", "InvalidPathException"]);

    let resolution = |with_bin: bool| {
        let mut replace = vec![
            json!({ "filePath": "keep", "replacementType": "KEEP_SOURCE" }),
            json!({ "filePath": "new", "replacementType": "USE_NEW_CONTENT", "content": STANDARD.encode("n\n"), "fileMode": "EXECUTABLE" }),
        ];
        if with_bin {
            replace.push(json!({ "filePath": "bin", "replacementType": "KEEP_BASE" }));
        }
        merge(json!({
            "conflictResolutionStrategy": "AUTOMERGE",
            "conflictResolution": { "replaceContents": replace, "deleteFiles": [{ "filePath": "drop" }] },
        }))
    };
    assert_eq!(site.refused("MergeBranchesBySquash", resolution(false)).await, "ManualMergeRequiredException");
    let mut stray = resolution(true);
    stray["conflictResolution"]["setFileModes"] = json!([{ "filePath": "other", "fileMode": "NORMAL" }]);
    assert_eq!(site.refused("MergeBranchesBySquash", stray).await, "InvalidConflictResolutionException");
    site.call("MergeBranchesBySquash", resolution(true)).await.unwrap();
    assert_eq!((content(&site, "keep").await, content(&site, "new").await), ("s\n".to_owned(), "n\n".to_owned()));
    assert_eq!(content(&site, "bin").await, "b\0\n");
    let folder = json!({ "repositoryName": "demo", "commitSpecifier": "main", "folderPath": "/" });
    let files = site.call("GetFolder", folder).await.unwrap()["files"].clone();
    let modes: Vec<_> =
        files.as_array().unwrap().iter().map(|file| (&file["relativePath"], &file["fileMode"])).collect();
    assert_eq!(modes[2], (&json!("new"), &json!("EXECUTABLE")));
    assert_eq!(modes.len(), 3, "drop is gone");
}

#[tokio::test]
async fn modes_links_and_folders_conflict_in_their_own_ways() {
    let site = Site::with_demo().await;
    let tree = site.work_tree("tree").await;
    write(&tree, &[("mode", "m\n"), ("kind", "k\n"), ("one", "o\n")]).await;
    tree.git(&["checkout", "-q", "-b", "topic"]).await;
    tree.git(&["update-index", "--chmod=+x", "one"]).await;
    tree.git(&["commit", "-q", "-m", "Run"]).await;
    write(&tree, &[("place/inside", "i\n")]).await;
    std::fs::remove_file(tree.dir.join("kind")).unwrap();
    std::os::unix::fs::symlink("one", tree.dir.join("kind")).unwrap();
    tree.git(&["add", "-A"]).await;
    tree.git(&["update-index", "--chmod=+x", "one"]).await;
    tree.git(&["commit", "-q", "-m", "Link"]).await;
    tree.git(&["checkout", "-q", "-f", "main"]).await;
    tree.git(&["clean", "-qfd"]).await;
    write(&tree, &[("place", "a file\n"), ("kind", "kk\n"), ("one", "oo\n")]).await;
    tree.git(&["push", "-q", "origin", "main", "topic"]).await;
    let line = json!({ "conflictDetailLevel": "LINE_LEVEL" });
    let all = site.call("GetMergeConflicts", of_option(line)).await.unwrap()["conflictMetadataList"].clone();
    let shown: Vec<_> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let flags = ["contentConflict", "fileModeConflict", "objectTypeConflict"].map(|flag| one[flag] == true);
            (one["filePath"].as_str().unwrap().to_owned(), flags, one["objectTypes"].clone())
        })
        .collect();
    let expected = [
        (
            "kind".to_owned(),
            [false, false, true],
            json!({ "source": "SYMBOLIC_LINK", "destination": "FILE", "base": "FILE" }),
        ),
        ("place".to_owned(), [false, false, true], json!({ "source": "DIRECTORY", "destination": "FILE" })),
    ];
    assert_eq!(shown, expected, "`one` changed its mode here and its content there, which is no conflict");
    let accept = json!({ "conflictResolutionStrategy": "ACCEPT_SOURCE", "conflictDetailLevel": "LINE_LEVEL" });
    site.call("MergeBranchesByThreeWay", merge(accept)).await.unwrap();
    tree.git(&["fetch", "-q", "origin"]).await;
    let listed = tree.git(&["ls-tree", "-r", "origin/main"]).await;
    let listed: Vec<(&str, &str)> = listed.lines().map(|line| (&line[..6], line.split_once('\t').unwrap().1)).collect();
    assert_eq!(listed, [("120000", "kind"), ("100644", "mode"), ("100755", "one"), ("100644", "place/inside")]);
    assert_eq!(content(&site, "one").await, "oo\n");
}

#[tokio::test]
async fn a_target_branch_must_be_where_the_destination_is_and_a_fast_forward_needs_a_straight_way() {
    let (site, tree) = two_sides(&[("a", "1\n")], &[("b", "1\n")], &[("c", "1\n")]).await;
    tree.git(&["tag", "v1"]).await;
    tree.git(&["push", "-q", "origin", "v1", "main~1:refs/heads/behind"]).await;
    site.events();
    let refused = |more: Value| site.refused("MergeBranchesByThreeWay", merge(more));
    assert_eq!(refused(json!({ "targetBranch": "none" })).await, "BranchDoesNotExistException");
    assert_eq!(refused(json!({ "targetBranch": "v1" })).await, "BranchNameIsTagNameException");
    assert_eq!(refused(json!({ "targetBranch": "behind" })).await, "ConcurrentReferenceUpdateException");
    assert_eq!(refused(json!({ "destinationCommitSpecifier": "HEAD" })).await, "InvalidTargetBranchException");
    let forward = merge(json!({}));
    assert_eq!(site.refused("MergeBranchesByFastForward", forward).await, "ManualMergeRequiredException");
    let straight =
        json!({ "repositoryName": "demo", "sourceCommitSpecifier": "topic", "destinationCommitSpecifier": "behind" });
    let made = site.call("MergeBranchesByFastForward", straight.clone()).await.unwrap();
    assert_eq!(made["commitId"], tree.git(&["rev-parse", "topic"]).await);
    let events = site.events();
    assert_eq!((events.len(), &events[0]["mergeOption"]), (1, &json!("FAST_FORWARD_MERGE")));
    // There is nothing left to merge, which is no error and no event.
    assert_eq!(site.call("MergeBranchesByFastForward", straight).await.unwrap(), made);
    assert!(site.told().is_empty());
}

#[tokio::test]
async fn a_merge_that_no_ref_points_to_is_made_told_and_moves_nothing() {
    let (site, tree) = two_sides(&[("a", "1\n"), ("dir/x", "1\n")], &[("dir/x", "")], &[("c", "1\n")]).await;
    let main = tree.git(&["rev-parse", "main"]).await;
    let made =
        site.call("CreateUnreferencedMergeCommit", of_option(json!({ "keepEmptyFolders": true }))).await.unwrap();
    let events = site.events();
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(event["event"], "unreferencedMergeCommitCreated");
    assert_eq!((&event["commitId"], &event["mergeOption"]), (&made["commitId"], &json!("THREE_WAY_MERGE")));
    assert!(event.get("referenceName").is_none());
    let tip = site.call("GetBranch", json!({ "repositoryName": "demo", "branchName": "main" })).await.unwrap();
    assert_eq!(tip["branch"]["commitId"], main);
    let commit = made["commitId"].as_str().unwrap();
    tree.git(&["fetch", "-q", "origin", commit]).await;
    assert_eq!(tree.git(&["ls-tree", "-r", "--name-only", commit]).await, "a\nc\ndir/.gitkeep");
    let forward = merge(json!({ "mergeOption": "FAST_FORWARD_MERGE" }));
    assert_eq!(site.refused("CreateUnreferencedMergeCommit", forward).await, "InvalidMergeOptionException");
}

#[tokio::test]
async fn tips_without_a_common_history_or_too_far_apart_are_not_merged() {
    let site = Site::with_demo().await;
    let tree = site.work_tree("tree").await;
    tree.commit("a", "1\n").await;
    tree.git(&["checkout", "-q", "--orphan", "stranger"]).await;
    tree.commit("b", "1\n").await;
    let mut history = String::new();
    for number in 0..=super::FURTHEST {
        history.push_str("commit refs/heads/far\ncommitter A <a@example.com> 1700000000 +0000\ndata 1\nx\n");
        if number == 0 {
            history.push_str("from refs/heads/main^0\n");
        }
        history.push('\n');
    }
    tree.git_reading(&["fast-import", "--quiet"], history.as_bytes()).await;
    tree.git(&["push", "-q", "origin", "main", "stranger", "far"]).await;
    for source in ["stranger", "far"] {
        let input =
            json!({ "repositoryName": "demo", "sourceCommitSpecifier": source, "destinationCommitSpecifier": "main" });
        for operation in ["GetMergeOptions", "MergeBranchesBySquash"] {
            assert_eq!(site.refused(operation, input.clone()).await, "TipsDivergenceExceededException", "{source}");
        }
    }
}

#[tokio::test]
async fn a_merge_and_a_push_at_once_lose_neither() {
    let (site, tree) = two_sides(&[("a", "1\n")], &[("b", "1\n")], &[("c", "1\n")]).await;
    tree.commit("d", "1\n").await;
    let pushed = tree.git(&["rev-parse", "main"]).await;
    let (merged, was_pushed) = tokio::join!(
        site.call("MergeBranchesByThreeWay", merge(json!({}))),
        tree.run_freely(&["push", "-q", "origin", "main"])
    );
    tree.git(&["fetch", "-q", "origin"]).await;
    let history = tree.git(&["rev-list", "origin/main"]).await;
    match merged {
        Ok(made) => assert!(history.contains(made["commitId"].as_str().unwrap())),
        Err(refused) => assert_eq!(refused.code, "ConcurrentReferenceUpdateException"),
    }
    assert_eq!(was_pushed, history.contains(&pushed));
}
