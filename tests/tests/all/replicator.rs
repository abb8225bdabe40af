//! The replicator over two regions of the local cloud, with git itself as the judge of what became equal.

mod accounts;
mod again;
mod bundle;
mod steps;
mod told;
pub(crate) mod world;

use serde_json::json;
use signalbox_glue::Handled;

use world::{World, commit, git, git_with, is_whole, refs, set, tip};

#[tokio::test]
async fn a_first_copy_is_made_and_equal_with_its_tags_and_its_default_branch() {
    let world = World::new("{ to: \"codecommit://us-east-1/{repository}\", create: true }").await;
    let here = world.here();
    let one = commit(&here, "one", &[]);
    let two = commit(&here, "two", &[&one]);
    set(&here, "refs/heads/main", &two);
    set(&here, "refs/heads/feature/x", &one);
    git(&here, &["tag", "-a", "-m", "the first", "v1", &one]);
    set(&here, "refs/tags/light", &two);
    set(&here, "refs/heads/quarantine/main/1", &one);
    git(&here, &["symbolic-ref", "HEAD", "refs/heads/main"]);

    let report = world.copied().await;
    assert_eq!(report.verdict, "copy");
    assert!(
        report.actions[0].contains("made the repository, ") && report.actions[0].contains("4 of 4 refs"),
        "{report:?}"
    );
    let there = world.there("demo");
    let expected: Vec<String> =
        refs(&here).lines().filter(|line| !line.contains("quarantine")).map(str::to_owned).collect();
    assert_eq!(refs(&there), expected.join("\n"));
    assert_eq!(git(&there, &["cat-file", "-t", "v1"]), "tag");
    assert_eq!(git(&there, &["symbolic-ref", "HEAD"]), "refs/heads/main");
    is_whole(&here);
    is_whole(&there);
    assert_eq!(world.memory()["agreed"]["refs/heads/main"], json!(two));

    // Another event for what is equal already changes nothing, neither there nor in our memory.
    let before = world.memory();
    let report = world.copied().await;
    assert_eq!((report.verdict.as_str(), report.actions.len()), ("equal", 0), "{report:?}");
    assert_eq!(world.memory(), before);
}

#[tokio::test]
async fn moves_force_pushes_and_deletions_are_copied() {
    let world = World::new("{ to: \"codecommit://us-east-1/{repository}\" }").await;
    let (here, there) = (world.here(), world.make_there("demo").await);
    let one = commit(&here, "one", &[]);
    let two = commit(&here, "two", &[&one]);
    for (name, id) in [("refs/heads/main", &two), ("refs/heads/a", &one), ("refs/tags/v1", &one)] {
        set(&here, name, id);
    }
    world.copied().await;
    assert_eq!(refs(&here), refs(&there));

    // Back by a commit, another way from there; a tag moves; a branch gives its name to a folder.
    let other = commit(&here, "other", &[&one]);
    set(&here, "refs/heads/main", &other);
    set(&here, "refs/tags/v1", &two);
    git(&here, &["update-ref", "-d", "refs/heads/a"]);
    set(&here, "refs/heads/a/b", &one);
    let report = world.copied().await;
    assert!(report.actions[0].contains("4 of 4 refs moved"), "{report:?}");
    assert_eq!(refs(&here), refs(&there));
    is_whole(&there);

    // What the target has already needs no pack but the empty one.
    set(&here, "refs/heads/main", &two);
    let report = world.copied().await;
    assert!(report.actions[0].contains("a pack of 32 bytes"), "{report:?}");
    assert_eq!(refs(&here), refs(&there));
}

#[tokio::test]
async fn the_default_branch_goes_along_before_the_old_one_is_deleted() {
    let world = World::new("{ to: \"codecommit://us-east-1/{repository}\", create: true }").await;
    let here = world.here();
    let one = commit(&here, "one", &[]);
    set(&here, "refs/heads/old", &one);
    git(&here, &["symbolic-ref", "HEAD", "refs/heads/old"]);
    world.copied().await;
    let there = world.there("demo");
    assert_eq!(git(&there, &["symbolic-ref", "HEAD"]), "refs/heads/old");
    set(&here, "refs/heads/main", &one);
    git(&here, &["symbolic-ref", "HEAD", "refs/heads/main"]);
    git(&here, &["update-ref", "-d", "refs/heads/old"]);
    world.copied().await;
    assert_eq!(git(&there, &["symbolic-ref", "HEAD"]), "refs/heads/main");
    assert_eq!(refs(&here), refs(&there));
}

#[tokio::test]
async fn a_map_a_filter_and_kept_deletions_are_heeded() {
    let map = "{ \"refs/heads/\": \"refs/heads/mirror/\" }";
    let world = World::new(&format!(
        "{{ to: codecommit://us-east-1/demo, refs: [main, \"release/**\"], map: {map}, deletions: false }}"
    ))
    .await;
    let (here, there) = (world.here(), world.make_there("demo").await);
    let one = commit(&here, "one", &[]);
    for name in ["main", "release/1", "other"] {
        set(&here, &format!("refs/heads/{name}"), &one);
    }
    set(&here, "refs/tags/v1", &one);
    let own = commit(&there, "own", &[]);
    set(&there, "refs/heads/main", &own);
    world.copied().await;
    let expected = [
        format!("{own} refs/heads/main"),
        format!("{one} refs/heads/mirror/main"),
        format!("{one} refs/heads/mirror/release/1"),
    ];
    assert_eq!(refs(&there), expected.join("\n"));
    git(&here, &["update-ref", "-d", "refs/heads/release/1"]);
    let report = world.copied().await;
    assert!(report.reasons[0].contains("the policy keeps it"), "{report:?}");
    assert_eq!(refs(&there), expected.join("\n"));
}

#[tokio::test]
async fn a_divergence_fails_is_kept_or_is_overwritten_as_the_policy_says() {
    for (mode, stays) in [("fail", true), ("keep", true), ("overwrite", false)] {
        let world = World::new(&format!("{{ to: codecommit://us-east-1/demo, on_divergence: {mode} }}")).await;
        let (here, there) = (world.here(), world.make_there("demo").await);
        let one = commit(&here, "one", &[]);
        set(&here, "refs/heads/main", &one);
        world.copied().await;
        let theirs = commit(&there, "theirs", &[&one]);
        set(&there, "refs/heads/main", &theirs);
        let ours = commit(&here, "ours", &[&one]);
        set(&here, "refs/heads/main", &ours);
        set(&here, "refs/heads/beside", &ours);
        let told = match world.handle(&world.event()).await.unwrap() {
            Handled::Reported(report) if mode != "fail" => report,
            Handled::Refused(report) if mode == "fail" => report,
            other => panic!("{mode}: {other:?}"),
        };
        let told = format!("{:?} {:?}", told.reasons, told.actions);
        assert_eq!(tip(&there, "refs/heads/main"), if stays { &*theirs } else { &*ours }, "{mode}");
        // The others are copied all the same.
        assert_eq!(tip(&there, "refs/heads/beside"), ours, "{mode}");
        if mode == "fail" {
            assert!(
                told.contains("refs/heads/main diverged: the copy is at") && told.contains("reset the copy"),
                "{told}"
            );
            assert!(world.memory()["failing"]["demo"]["what"][0]["reason"].as_str().unwrap().contains("diverged"));
            // A person brings the commits together, and it is over.
            let (_, merged) = git_with(&there, &["rev-parse", "refs/heads/main"], "");
            git(&here, &["fetch", "-q", &there.to_string_lossy(), "refs/heads/main"]);
            set(&here, "refs/heads/main", &commit(&here, "merge", &[&ours, &merged]));
            world.copied().await;
            assert_eq!(refs(&here), refs(&there));
            assert!(world.memory().get("failing").is_none(), "{}", world.memory());
        }
    }
}

#[tokio::test]
async fn a_target_that_went_back_is_made_equal_as_nothing_of_it_is_lost() {
    let world = World::new("{ to: codecommit://us-east-1/demo }").await;
    let (here, there) = (world.here(), world.make_there("demo").await);
    let one = commit(&here, "one", &[]);
    let two = commit(&here, "two", &[&one]);
    set(&here, "refs/heads/main", &two);
    world.copied().await;
    set(&there, "refs/heads/main", &one);
    world.copied().await;
    assert_eq!(refs(&here), refs(&there));
}
