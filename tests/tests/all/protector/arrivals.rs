//! What arrives: commits and files of real pushes against the rules for them.

use super::world::World;

/// Pushes to `main` what was committed, and gives the reasons of the report. Where it was put back, so is the clone.
async fn pushed(world: &mut World) -> (String, Vec<String>) {
    world.push("main");
    let report = world.next().await;
    if report.verdict == "restore" {
        assert_eq!(world.next().await.verdict, "ours");
        world.git(&["fetch", "--quiet", "origin", "main"]);
        world.git(&["reset", "--quiet", "--hard", "FETCH_HEAD"]);
        world.git(&["clean", "-fdq"]);
    }
    (report.verdict, report.reasons)
}

/// Pushes what was committed as a branch of its own, and gives what is said of it; the clone is where `good` is again.
///
/// One ref that is put back again and again would have to wait.
async fn pushed_as(world: &mut World, name: &str) -> (String, Vec<String>) {
    let reference = format!("refs/heads/{}", name.replace(' ', "-"));
    world.push(&format!("main:{reference}"));
    let event = world.event(&reference).await;
    let report = world.reported(&event).await;
    world.git(&["reset", "--quiet", "--hard", "good"]);
    world.git(&["clean", "-fdq"]);
    (report.verdict, report.reasons)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_commit_of_a_push_is_judged_and_the_whole_push_is_put_back() {
    let rules = "commits: { message: \"^(feat|fix)\", author: \"@example\\\\.com$\", history: linear }";
    let mut world = World::new(&format!("{{ refs: [main], {rules} }}")).await;
    world.commit("feat: one", &[("a", b"1")]);
    assert_eq!(pushed(&mut world).await.0, "allowed");
    let good = world.commit("fix: two", &[("a", b"2")]);
    assert_eq!(pushed(&mut world).await.0, "allowed");
    let bad = world.commit("wip", &[("a", b"3")]);
    world.commit("feat: three", &[("a", b"4")]);
    let (verdict, reasons) = pushed(&mut world).await;
    assert_eq!(verdict, "restore");
    assert!(reasons[0].starts_with(&format!("commits.message: commit {}", &bad[..7])), "{reasons:?}");
    assert!(reasons[0].contains("git commit --amend"), "{reasons:?}");
    assert_eq!(world.tip("refs/heads/main"), good);

    world.git(&["switch", "--quiet", "-c", "side", "HEAD~1"]);
    world.commit("feat: aside", &[("b", b"1")]);
    world.git(&["switch", "--quiet", "main"]);
    world.git(&["merge", "--quiet", "--no-edit", "-m", "feat: merge", "side"]);
    let (verdict, reasons) = pushed(&mut world).await;
    assert!(verdict == "restore" && reasons[0].contains("it is a merge commit"), "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_files_of_every_commit_is_looked_at() {
    let rules = "files: { forbid: [\"*.pem\"], max_size: 100KB, reject: [binary, escaping-symlink, case-collision, secret, submodule], allow_secrets: [\"^ghp_x+$\"] }";
    let mut world = World::new(&format!("{{ refs: [\"**\"], {rules} }}")).await;
    world.commit("one", &[("docs/Read", b"read\n"), ("src/a", b"text\n")]);
    assert_eq!(pushed(&mut world).await.0, "allowed");
    let token = format!("ghp_{}", "a1".repeat(18));
    let allowed = format!("ghp_{}", "x".repeat(36));
    let large = vec![b'x'; 100_001];

    world.commit("a text that is allowed", &[("src/b", allowed.as_bytes())]);
    let (verdict, reasons) = pushed(&mut world).await;
    assert_eq!(verdict, "allowed", "{reasons:?}");

    world.git(&["branch", "good"]);

    for (what, files, expected) in [
        ("a secret", vec![("src/b", format!("one\ntoken: {token}\n").into_bytes())], "files.reject secret: src/b in"),
        ("a name", vec![("deep/in/key.pem", b"x".to_vec())], "files.forbid: deep/in/key.pem in"),
        ("a size", vec![("big", large)], "files.max_size: big in"),
        ("no text", vec![("image", vec![1, 0, 2])], "files.reject binary: image in"),
        ("case", vec![("Docs/other", b"1".to_vec())], "files.reject case-collision: Docs/other in"),
        ("case below", vec![("docs/read", b"1".to_vec())], "files.reject case-collision: docs/read in"),
    ] {
        let files: Vec<(&str, &[u8])> = files.iter().map(|(path, content)| (*path, content.as_slice())).collect();
        world.commit(what, &files);
        let (verdict, reasons) = pushed_as(&mut world, what).await;
        assert!(verdict == "restore" && reasons[0].starts_with(expected), "{what}: {reasons:?}");
        assert!(!reasons.join(" ").contains(&token), "{reasons:?}");
    }

    std::os::unix::fs::symlink("../../etc/passwd", world.clone.join("src/link")).unwrap();
    world.commit("a link", &[]);
    let (verdict, reasons) = pushed_as(&mut world, "a link").await;
    assert!(
        verdict == "restore" && reasons[0].starts_with("files.reject escaping-symlink: src/link in"),
        "{reasons:?}"
    );

    // What a later commit of the same push takes away was there all the same.
    let bad = world.commit("a secret for a moment", &[("src/c", token.as_bytes())]);
    std::fs::remove_file(world.clone.join("src/c")).unwrap();
    world.commit("and gone", &[]);
    let (verdict, reasons) = pushed_as(&mut world, "a moment").await;
    assert_eq!(verdict, "restore", "{reasons:?}");
    assert!(reasons[0].contains(&format!("src/c in {}", &bad[..7])), "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submodule_may_come_only_from_where_the_policy_says() {
    let mut world = World::new("{ refs: [main], files: { submodules: [\"https://git.example.com/**\"] } }").await;
    let one = world.commit("one", &[("a", b"1")]);
    assert_eq!(pushed(&mut world).await.0, "allowed");
    for (address, expected) in [("https://git.example.com/lib", "allowed"), ("https://git.example.org/lib", "restore")]
    {
        let text = format!("[submodule \"lib\"]\n\tpath = lib\n\turl = {address}\n");
        std::fs::write(world.clone.join(".gitmodules"), text).unwrap();
        world.git(&["add", ".gitmodules"]);
        world.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{one},lib")]);
        world.git(&["commit", "--quiet", "-m", address]);
        world.push("main");
        let report = world.next().await;
        assert_eq!(report.verdict, expected, "{address}: {report:?}");
        if expected == "allowed" {
            world.git(&["rm", "--quiet", "--cached", "lib"]);
            world.git(&["commit", "--quiet", "-m", "out"]);
            world.push("main");
            world.next().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_branch_brings_only_what_is_nowhere_else() {
    let mut world = World::new("{ refs: [\"feature/**\"], commits: { message: \"^feat\" } }").await;
    world.commit("old and not ours", &[("a", b"1")]);
    world.push("main");
    world.git(&["switch", "--quiet", "-c", "feature/x"]);
    world.commit("feat: x", &[("a", b"2")]);
    world.push("feature/x");
    let event = world.event("refs/heads/feature/x").await;
    let report = world.reported(&event).await;
    assert_eq!(report.verdict, "allowed", "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_push_of_one_commit_costs_at_most_three_calls_of_the_api() {
    let light = "{ refs: [main], forbid: [force-push, deletion], commits: { message: \"^feat\", history: linear }, files: { forbid: [\"*.pem\"] } }";
    let whole = "{ refs: [main], forbid: [force-push], commits: { message: \"^feat\" }, files: { max_size: 1MB, reject: [secret, binary] } }";
    for (protection, expected) in [
        (light, vec!["GetCommit", "GetDifferences"]),
        // What is in files is read from the pack: two requests of git, and none for each file.
        (whole, vec!["GetDifferences"]),
        ("{ refs: [main], forbid: [deletion] }", vec![]),
    ] {
        let mut world = World::new(protection).await;
        world.commit("feat: one", &[("a", b"1")]);
        world.push("main");
        world.next().await;
        world.commit("feat: two", &[("a", b"2"), ("b/c", b"3"), ("d", b"4")]);
        world.push("main");
        let event = world.event("refs/heads/main").await;
        let mut calls = world.ground.cloud().world.watch_calls();
        let report = world.reported(&event).await;
        assert_eq!(report.verdict, "allowed", "{report:?}");
        let mut found = Vec::new();
        while let Ok(called) = calls.try_recv() {
            if called.service == "codecommit" {
                found.push(called.operation);
            }
        }
        found.sort();
        assert_eq!(found, expected, "{protection}");
    }
}
