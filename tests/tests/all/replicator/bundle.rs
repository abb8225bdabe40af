//! Bundles in a bucket, with git itself as the judge of what is in them.

use std::path::PathBuf;

use serde_json::Value;
use signalbox_glue::Handled;
use signalbox_local::s3::Versioning;
use signalbox_replicator::Replicator;

use super::world::{World, commit, commit_of, git, is_whole, noise, policy, refs, set};

const BUCKET: &str = "demo-backup";
const KEY: &str = "git/demo.bundle";
const REPLICA: &str = "{ to: \"s3://demo-backup/git/{repository}.bundle\" }";

/// A world with a bucket; the function may write to it, as its name ends in `-backup`.
async fn world(replica: &str) -> World {
    let world = World::new(replica).await;
    world.ground.cloud().s3.create_bucket(BUCKET, Versioning::Off).unwrap();
    world
}

/// The bundle as it lies in the bucket: its tag, and a file with it.
fn bundle(world: &World) -> Option<(String, PathBuf)> {
    let object = world.ground.cloud().s3.get(BUCKET, KEY).unwrap()?;
    std::fs::create_dir_all(world.ground.desk()).unwrap();
    let file = world.ground.desk().join(format!("{}.bundle", object.etag));
    std::fs::write(&file, &object.bytes).unwrap();
    Some((object.etag, file))
}

/// Clones the bundle as a mirror; gives where.
fn cloned(world: &World) -> PathBuf {
    let (etag, file) = bundle(world).unwrap();
    let (here, clone) = (world.here(), world.ground.desk().join(etag));
    git(&here, &["bundle", "verify", "-q", &file.to_string_lossy()]);
    git(&here, &["clone", "-q", "--mirror", &file.to_string_lossy(), &clone.to_string_lossy()]);
    is_whole(&clone);
    clone
}

fn left_over(world: &World) -> usize {
    world.ground.uploads(BUCKET)
}

#[tokio::test]
async fn a_bundle_is_written_that_git_verifies_and_clones_with_all_refs_and_the_default_branch() {
    let world = world(REPLICA).await;
    let here = world.here();
    let one = commit(&here, "one", &[]);
    let two = commit(&here, "two", &[&one]);
    // Other branches at the same commit come before and behind it.
    for name in ["aaa", "trunk", "zzz"] {
        set(&here, &format!("refs/heads/{name}"), &two);
    }
    git(&here, &["tag", "-a", "-m", "the first", "v1", &one]);
    set(&here, "refs/heads/quarantine/main/1", &one);
    git(&here, &["symbolic-ref", "HEAD", "refs/heads/trunk"]);
    let report = world.copied().await;
    assert!(report.actions[0].contains("wrote a bundle of 4 refs, 4 of 4 refs moved, a pack of"), "{report:?}");
    assert!(report.actions[0].contains("s after the push"), "{report:?}");
    let clone = cloned(&world);
    let expected: Vec<String> =
        refs(&here).lines().filter(|line| !line.contains("quarantine")).map(str::to_owned).collect();
    assert_eq!(refs(&clone), expected.join("\n"));
    let (_, file) = bundle(&world).unwrap();
    let working = world.ground.desk().join("working");
    git(&here, &["clone", "-q", &file.to_string_lossy(), &working.to_string_lossy()]);
    assert_eq!(git(&working.join(".git"), &["symbolic-ref", "HEAD"]), "refs/heads/trunk");

    // Another event for what is equal already writes nothing.
    let (before, memory) = (bundle(&world).unwrap().0, world.memory());
    let report = world.copied().await;
    assert_eq!((report.verdict.as_str(), report.actions.len()), ("equal", 0), "{report:?}");
    assert_eq!((bundle(&world).unwrap().0, world.memory()), (before, memory));

    // Moves, deletions and another default branch make a new one.
    let three = commit(&here, "three", &[&two]);
    set(&here, "refs/heads/main", &three);
    git(&here, &["symbolic-ref", "HEAD", "refs/heads/main"]);
    git(&here, &["update-ref", "-d", "refs/heads/aaa"]);
    git(&here, &["tag", "-d", "v1"]);
    world.copied().await;
    let clone = cloned(&world);
    assert_eq!(git(&clone, &["symbolic-ref", "HEAD"]), "refs/heads/main");
    assert!(!refs(&clone).contains("aaa") && !refs(&clone).contains("v1"), "{}", refs(&clone));
    assert!(refs(&clone).contains(&three));
}

#[tokio::test]
async fn a_bundle_that_somebody_deleted_or_changed_is_made_again_and_what_is_no_bundle_stays() {
    let world = world(REPLICA).await;
    let here = world.here();
    set(&here, "refs/heads/main", &commit(&here, "one", &[]));
    let s3 = &world.ground.cloud().s3;
    s3.put(BUCKET, KEY, b"something of somebody's").unwrap();
    let report = world.refused().await;
    assert!(report.reasons[0].contains("there is something else under this key, and no bundle"), "{report:?}");
    assert_eq!(s3.get(BUCKET, KEY).unwrap().unwrap().bytes, "something of somebody's");
    s3.delete(BUCKET, KEY).unwrap();
    world.sweep().await;
    let first = std::fs::read(bundle(&world).unwrap().1).unwrap();

    for change in [None, Some(&b"# v2 git bundle\n\n"[..]), Some(&b"something else"[..]), Some(&b""[..])] {
        match change {
            Some(bytes) => s3.put(BUCKET, KEY, bytes).unwrap(),
            None => s3.delete(BUCKET, KEY).unwrap(),
        }
        world.sweep().await;
        assert_eq!(std::fs::read(bundle(&world).unwrap().1).unwrap(), first, "{change:?}");
    }
    // Nothing is left for the next one.
    let before = world.ground.objects("ledger/replicator/").unwrap().len();
    world.sweep().await;
    assert_eq!(world.ground.objects("ledger/replicator/").unwrap().len(), before);
}

#[tokio::test]
async fn a_filter_and_a_map_are_heeded_and_a_changed_filter_makes_a_new_bundle() {
    let map = "{ \"refs/heads/\": \"refs/heads/mirror/\" }";
    let replica = format!("{{ to: \"s3://demo-backup/git/{{repository}}.bundle\", refs: [main, next], map: {map} }}");
    let world = world(&replica).await;
    let here = world.here();
    let one = commit(&here, "one", &[]);
    for name in ["main", "next", "other"] {
        set(&here, &format!("refs/heads/{name}"), &one);
    }
    world.copied().await;
    let names = |clone: &PathBuf| git(clone, &["for-each-ref", "--format=%(refname)"]);
    assert_eq!(names(&cloned(&world)), "refs/heads/mirror/main\nrefs/heads/mirror/next");
    world.ground.policy(&policy(&replica.replace("[main, next]", "[main]"))).unwrap();
    world.copied().await;
    assert_eq!(names(&cloned(&world)), "refs/heads/mirror/main");
}

#[tokio::test]
async fn a_repository_without_refs_has_no_bundle_and_one_that_lost_them_keeps_its_own() {
    let world = world(REPLICA).await;
    let here = world.here();
    let report = world.copied().await;
    assert!(report.reasons[0].contains("git knows no empty bundle: none is written"), "{report:?}");
    assert_eq!(bundle(&world), None);
    set(&here, "refs/heads/main", &commit(&here, "one", &[]));
    world.copied().await;
    let before = bundle(&world).unwrap().0;
    git(&here, &["update-ref", "-d", "refs/heads/main"]);
    let report = world.refused().await;
    assert!(report.reasons[0].contains("nothing is deleted for that"), "{report:?}");
    assert_eq!(bundle(&world).unwrap().0, before);
}

#[tokio::test]
async fn half_a_pack_leaves_the_old_bundle_and_no_parts() {
    let world = world(REPLICA).await;
    let here = world.here();
    let small = commit(&here, "small", &[]);
    set(&here, "refs/heads/main", &small);
    world.copied().await;
    let before = bundle(&world).unwrap().0;

    // Of the two blobs the smaller one, which is sent last, cannot be read to its end; git looks into what it takes for large
    // only when it sends it.
    git(&here, &["config", "core.bigFileThreshold", "1k"]);
    let (broken, large) = (noise(&here, 1024 * 1024, 1), noise(&here, 24 * 1024 * 1024, 2));
    let old = commit_of(&here, &[&broken], &[&small]);
    let new = commit_of(&here, &[&large], &[&old]);
    set(&here, "refs/heads/main", &new);
    let file = here.join("objects").join(&broken[..2]).join(&broken[2..]);
    let whole = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let failed = world.handle(&world.event()).await;
    assert!(!matches!(failed, Ok(Handled::Reported(_))), "{failed:?}");
    assert_eq!(bundle(&world).unwrap().0, before);
    assert_eq!(left_over(&world), 0);

    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, &whole).unwrap();
    let report = world.copied().await;
    assert!(report.actions[0].contains("wrote a bundle of 1 refs"), "{report:?}");
    // An object of parts has a tag that says so.
    assert!(bundle(&world).unwrap().0.contains('-'));
    assert_eq!(refs(&cloned(&world)), refs(&here));
    assert_eq!(left_over(&world), 0);
}

#[tokio::test]
async fn a_bundle_goes_into_a_bucket_of_another_region_and_one_that_is_not_there_or_not_ours_is_told() {
    let world = world("{ to: \"s3://elsewhere-backup/demo.bundle\" }").await;
    let here = world.here();
    set(&here, "refs/heads/main", &commit(&here, "one", &[]));
    let report = world.refused().await;
    assert!(report.reasons[0].contains("there is no such bucket"), "{report:?}");
    world.elsewhere().s3.create_bucket("elsewhere-backup", Versioning::Off).unwrap();
    world.copied().await;
    let there = world.elsewhere().s3.get("elsewhere-backup", "demo.bundle").unwrap().unwrap();
    assert!(there.bytes.starts_with(b"# v2 git bundle\n"));

    world.ground.cloud().s3.create_bucket("somebody", Versioning::Off).unwrap();
    world.ground.policy(&policy("{ to: \"s3://somebody/demo.bundle\" }")).unwrap();
    let report = world.refused().await;
    assert!(report.reasons[0].contains("This permission is missing"), "{report:?}");
}

#[tokio::test]
async fn a_policy_that_observes_writes_no_bundle() {
    let world = world(REPLICA).await;
    world.ground.policy(&policy(REPLICA).replace("enforce", "observe")).unwrap();
    set(&world.here(), "refs/heads/main", &commit(&world.here(), "one", &[]));
    let report = world.copied().await;
    let told = "would s3://demo-backup/git/demo.bundle: write a bundle: refs/heads/main is new at";
    assert!(report.actions[0].starts_with(told), "{report:?}");
    assert_eq!((bundle(&world), world.memory()), (None, Value::Null));
}

#[tokio::test]
async fn an_invocation_that_has_no_time_for_a_bundle_leaves_no_parts() {
    let mut world = world(REPLICA).await;
    world.replicator = Replicator::new(&world.ground.setup("replicator").unwrap());
    let here = world.here();
    let large = noise(&here, 24 * 1024 * 1024, 3);
    set(&here, "refs/heads/main", &commit_of(&here, &[&large], &[]));
    let mut invocation = world.ground.invocation();
    // Ten seconds are kept back: a moment is left.
    invocation.deadline = invocation.now + jiff::SignedDuration::from_millis(10_150);
    let event = world.event().to_string();
    let failed = signalbox_glue::Handle::handle(&world.replicator, event.as_bytes(), invocation).await;
    if failed.is_err() {
        assert_eq!((bundle(&world), left_over(&world)), (None, 0), "{failed:?}");
    }
    let _the_same_again = world.handle(&world.event()).await;
    assert_eq!(left_over(&world), 0);
}

/// Of the real program, whatever the size of the repository.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn memory_does_not_grow_with_a_bundle() {
    const MB: usize = 1024 * 1024;
    let ground = signalbox_tests::Ground::with_functions().await.unwrap();
    ground.cloud().s3.create_bucket(BUCKET, Versioning::Off).unwrap();
    ground.repository("demo").await.unwrap();
    let here = super::world::dir_of(ground.cloud(), "demo");
    for (name, value) in [("core.compression", "0"), ("pack.compression", "0")] {
        git(&here, &["config", name, value]);
    }
    let blobs: Vec<String> = (1..=4).map(|seed| noise(&here, 24 * MB, seed)).collect();
    let blobs: Vec<&str> = blobs.iter().map(String::as_str).collect();
    set(&here, "refs/heads/main", &commit_of(&here, &blobs, &[]));
    ground.policy(&policy(REPLICA)).unwrap();
    ground.commit("demo", "main", "one", &[("a", Some("a"))]).await.unwrap();
    let written = |ground: &signalbox_tests::Ground| Ok(ground.cloud().s3.get(BUCKET, KEY)?);
    let object = ground.until("the bundle", written).await.unwrap();
    assert!(object.bytes.len() > 90 * MB, "{}", object.bytes.len());
    let port = ground.cloud().world.endpoint().rsplit(':').next().unwrap().to_owned();
    let of_this_cloud = |environment: &str| environment.contains(&format!(":{port}"));
    let mut largest = None;
    for process in std::fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let read = |name: &str| std::fs::read(process.path().join(name)).unwrap_or_default();
        let environment = String::from_utf8_lossy(&read("environ")).into_owned();
        if of_this_cloud(&environment) && environment.contains("SIGNALBOX_FUNCTION=replicator") {
            let status = String::from_utf8_lossy(&read("status")).into_owned();
            let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
            largest = largest.max(peak.trim().trim_end_matches(" kB").parse::<usize>().ok());
        }
    }
    let peak = largest.expect("the function's process") * 1024;
    assert!(peak < 56 * MB, "{} MB for a bundle of {} MB", peak / MB, object.bytes.len() / MB);
}
