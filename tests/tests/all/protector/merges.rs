//! Moves with and without a pull request, as the local cloud's own pull requests make them.

use serde_json::{Value, json};

use super::world::{World, is_whole};

async fn call(world: &World, operation: &str, input: Value) -> Value {
    let ground = &world.ground;
    ground.cloud().codecommit.call(operation, input, &ground.developer()).await.unwrap()
}

/// A branch with a commit of its own upon `main`, and a pull request that asks for it; gives its id and that commit.
async fn asked(world: &mut World, branch: &str) -> (String, String) {
    world.git(&["switch", "--quiet", "-c", branch, "main"]);
    let commit = world.commit(branch, &[(branch, b"1")]);
    world.push(branch);
    world.event(&format!("refs/heads/{branch}")).await;
    world.git(&["switch", "--quiet", "main"]);
    let target = json!({ "repositoryName": "demo", "sourceReference": branch, "destinationReference": "main" });
    let made = call(world, "CreatePullRequest", json!({ "title": branch, "targets": [target] })).await;
    (made["pullRequest"]["pullRequestId"].as_str().unwrap().to_owned(), commit)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_a_pull_request_brought_stays_where_direct_pushes_are_forbidden() {
    let rules = "forbid: [direct-push, force-push], commits: { forbid_message: wip }, files: { forbid: [\"*.pem\"] }";
    let mut world = World::new(&format!("{{ refs: [main], {rules} }}")).await;
    let first = world.commit("one", &[("a", b"1")]);
    world.push("main");
    assert_eq!(world.next().await.verdict, "allowed", "somebody has to begin");

    // Squashed, and forwarded to the very commit of the branch.
    for (branch, operation) in [("squash", "MergePullRequestBySquash"), ("forward", "MergePullRequestByFastForward")] {
        let (id, commit) = asked(&mut world, branch).await;
        call(&world, operation, json!({ "pullRequestId": id, "repositoryName": "demo" })).await;
        let event = world.event("refs/heads/main").await;
        let mut watched = world.ground.cloud().world.watch_calls();
        let report = world.reported(&event).await;
        assert_eq!(report.verdict, "allowed", "{branch}: {report:?}");
        let mut calls = Vec::new();
        while let Ok(called) = watched.try_recv() {
            calls.extend(Some(called.operation).filter(|_| called.service == "codecommit"));
        }
        calls.sort();
        assert_eq!(calls, ["GetDifferences", "GetPullRequest", "ListPullRequests"], "{branch}");
        let tip = world.tip("refs/heads/main");
        assert_eq!(tip == commit, branch == "forward");
        world.git(&["fetch", "--quiet", "origin", "main"]);
        world.git(&["reset", "--quiet", "--hard", "FETCH_HEAD"]);
    }
    let good = world.tip("refs/heads/main");
    assert_ne!(good, first);

    // The same branch merged without its pull request.
    asked(&mut world, "slipped").await;
    let input = json!({ "repositoryName": "demo", "sourceCommitSpecifier": "slipped", "destinationCommitSpecifier": "main", "targetBranch": "main" });
    let slipped = call(&world, "MergeBranchesBySquash", input).await["commitId"].as_str().unwrap().to_owned();
    assert_eq!(world.tip("refs/heads/main"), slipped);
    let report = world.next().await;
    assert!(report.verdict == "restore" && report.reasons[0].starts_with("direct-push"), "{report:?}");
    assert_eq!(world.tip("refs/heads/main"), good);
    assert_eq!(world.next().await.verdict, "ours");

    let pushed = world.commit("two", &[("a", b"2")]);
    world.push("main");
    assert_eq!(world.next().await.verdict, "restore");
    assert_eq!(world.tip("refs/heads/main"), good);
    let kept: Vec<String> = world.kept().into_iter().map(|(_, commit)| commit).collect();
    assert!(kept.contains(&slipped) && kept.contains(&pushed), "{kept:?}");
    is_whole(&world.here());
}
