//! Copies in another account, through a role that its administrator made there.

use std::time::Duration;

use serde_json::json;
use signalbox_glue::Handled;
use signalbox_local::s3::Versioning;
use signalbox_tests::{MIRROR, MIRROR_ROLE, mirror_template};

use super::world::{World, commit, dir_of, git, is_whole, refs, set, tip};

const COPY: &str = "{ to: codecommit://us-east-1/demo, create: true, role: \"arn:aws:iam::444455556666:role/SignalboxMirror\", external_id: our-copies }";

const BUNDLE: &str = "{ to: \"s3://their-backup/{repository}.bundle\", role: \"arn:aws:iam::444455556666:role/SignalboxMirror\", external_id: our-copies }";

fn mirror() -> String {
    std::fs::read_to_string(mirror_template()).unwrap()
}

#[tokio::test]
async fn a_copy_in_another_account_is_made_and_kept_through_a_role() {
    let world = World::with_mirror(COPY, &mirror()).await;
    let here = world.here();
    world.describe(world.ground.cloud(), "demo", "The demo").await;
    let one = commit(&here, "one", &[]);
    set(&here, "refs/heads/main", &one);
    set(&here, "refs/heads/old", &one);
    git(&here, &["tag", "-a", "-m", "the first", "v1", &one]);
    git(&here, &["symbolic-ref", "HEAD", "refs/heads/main"]);

    let mut calls = world.ground.cloud().world.watch_calls();
    let mut events = world.mirror().eventbridge.subscribe();
    let report = world.copied().await;
    assert!(report.actions[0].contains(&format!("codecommit://us-east-1/demo as {MIRROR_ROLE}")), "{report:?}");
    assert!(
        report.actions[0].contains("made the repository, ") && report.actions[0].contains("3 of 3 refs"),
        "{report:?}"
    );
    let there = dir_of(world.mirror(), "demo");
    assert_eq!(refs(&here), refs(&there));
    assert_eq!(git(&there, &["symbolic-ref", "HEAD"]), "refs/heads/main");
    assert_eq!(world.description(world.mirror(), "demo").await, "The demo");
    is_whole(&here);
    is_whole(&there);
    // It is there and nowhere else.
    assert!(world.elsewhere().codecommit.repository_dir("demo").is_none());
    // The other account sees who it was.
    let event = tokio::time::timeout(Duration::from_secs(10), events.recv()).await.unwrap().unwrap();
    assert_eq!(event.event["account"], MIRROR);
    let session = "arn:aws:sts::444455556666:assumed-role/SignalboxMirror/signalbox-replicator";
    assert_eq!(event.event["detail"]["callerUserArn"], session, "{}", event.event);

    let two = commit(&here, "two", &[&one]);
    set(&here, "refs/heads/main", &two);
    git(&here, &["update-ref", "-d", "refs/heads/old"]);
    world.describe(world.ground.cloud(), "demo", "The demo, moved").await;
    world.copied().await;
    assert_eq!(refs(&here), refs(&there));
    assert_eq!(world.description(world.mirror(), "demo").await, "The demo, moved");
    is_whole(&there);
    let mut assumed = 0;
    while let Ok(call) = calls.try_recv() {
        assumed += usize::from(call.operation == "AssumeRole");
    }
    assert_eq!(assumed, 1, "the keys of a role are good for more than one event");

    // What somebody pushed there is seen with the role's keys as well.
    let theirs = commit(&there, "theirs", &[&two]);
    set(&there, "refs/heads/main", &theirs);
    let report = world.refused().await;
    assert!(report.reasons[0].contains("refs/heads/main diverged"), "{report:?}");
    assert_eq!(tip(&there, "refs/heads/main"), theirs);

    let kept = format!("{:?} {:?}", world.ground.objects("ledger/").unwrap(), world.ground.objects("state/").unwrap());
    assert!(!kept.contains("ASIA") && !kept.contains("our-copies%"), "keys were written down");
}

#[tokio::test]
async fn what_keeps_the_replicator_out_of_another_account_is_told_with_what_to_do() {
    let beside = "{ to: codecommit://us-east-1/beside, create: true }";
    let theirs = "its trust policy must name the function's role or account";
    let asks = "ask for the external id that the policy file gives";
    let strangers = mirror().replace("Default: signalbox-ReplicatorRole-*", "Default: somebody-else");
    for (what, replica, mirror, words) in [
        ("a wrong external id", COPY.replace("our-copies", "their-copies"), mirror(), [theirs, asks]),
        ("no external id", COPY.replace(", external_id: our-copies", ""), mirror(), [theirs, "ask for no external id"]),
        ("a role that trusts others", COPY.to_owned(), strangers, [theirs, asks]),
        (
            "a role that the stack does not know",
            COPY.replace("SignalboxMirror", "Other"),
            mirror(),
            ["is not authorized to perform: sts:AssumeRole", "let the stack's parameter MirrorRoles name it"],
        ),
        (
            "a role that is not there",
            COPY.to_owned(),
            mirror().replace("Default: SignalboxMirror", "Default: Another"),
            [theirs, "has no policy"],
        ),
    ] {
        let world = World::with_mirror(&format!("{replica}\n      - {beside}"), &mirror).await;
        set(&world.here(), "refs/heads/main", &commit(&world.here(), "one", &[]));
        let report = world.refused().await;
        for words in words {
            assert!(report.reasons[0].contains(words), "{what}: {words}: {report:?}");
        }
        assert!(world.mirror().codecommit.repository_dir("demo").is_none(), "{what}");
        assert_eq!(refs(&world.here()), refs(&world.there("beside")), "{what}: the other copy is made all the same");
        let failing = world.memory_of("codecommit://us-east-1/demo ")["failing"]["demo"]["what"].to_string();
        assert!(failing.contains("sts:AssumeRole"), "{what}: {failing}");
    }
}

#[tokio::test]
async fn each_grant_of_the_role_in_the_other_account_is_missed_by_name() {
    let text = mirror();
    let grants: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("- codecommit:")).collect();
    assert_eq!(grants.len(), 5, "{grants:?}");
    for grant in grants {
        let without = text.replace(&format!("- codecommit:{grant}"), "- codecommit:Nothing");
        let world = World::with_mirror(COPY, &without).await;
        let here = world.here();
        let one = commit(&here, "one", &[]);
        set(&here, "refs/heads/main", &one);
        git(&here, &["symbolic-ref", "HEAD", "refs/heads/main"]);
        let mut told = Vec::new();
        // The first look makes the repository; the second has another default branch and another description to carry.
        for next in ["main", "next"] {
            set(&here, &format!("refs/heads/{next}"), &one);
            git(&here, &["symbolic-ref", "HEAD", &format!("refs/heads/{next}")]);
            world.describe(world.ground.cloud(), "demo", next).await;
            if let Ok(Handled::Refused(report)) = world.handle(&world.event()).await {
                told.push(format!("{:?} {:?}", report.reasons, report.actions));
            }
        }
        let told = told.join("\n");
        assert!(told.contains(&format!("codecommit:{grant}")), "{grant}: {told}");
        assert!(grant == "GitPush" || told.contains("docs/examples/mirror-account.yaml grants all"), "{grant}: {told}");
    }
}

#[tokio::test]
async fn a_bundle_in_another_account_is_written_through_the_role_and_each_of_its_grants_is_missed_by_name() {
    let text = mirror();
    let grants: Vec<&str> = text.lines().filter_map(|line| line.trim().split_once(" s3:")).map(|(_, it)| it).collect();
    assert_eq!(grants, ["AbortMultipartUpload", "GetObject", "PutObject", "ListBucket"]);
    for missing in [None, Some("GetObject"), Some("PutObject"), Some("ListBucket")] {
        let without =
            missing.map_or_else(|| text.clone(), |grant| text.replace(&format!(" s3:{grant}\n"), " s3:Nothing\n"));
        let world = World::with_mirror(BUNDLE, &without).await;
        world.mirror().s3.create_bucket("their-backup", Versioning::Off).unwrap();
        let here = world.here();
        let one = commit(&here, "one", &[]);
        set(&here, "refs/heads/main", &one);
        let Some(grant) = missing else {
            let report = world.copied().await;
            assert!(
                report.actions[0].contains(&format!("s3://their-backup/demo.bundle as {MIRROR_ROLE}")),
                "{report:?}"
            );
            // A second one is written over the first: it was found and read with the role's keys.
            set(&here, "refs/heads/main", &commit(&here, "two", &[&one]));
            world.copied().await;
            let object = world.mirror().s3.get("their-backup", "demo.bundle").unwrap().unwrap();
            std::fs::create_dir_all(world.ground.desk()).unwrap();
            let (file, clone) = (world.ground.desk().join("demo.bundle"), world.ground.desk().join("clone"));
            std::fs::write(&file, &object.bytes).unwrap();
            git(&here, &["clone", "-q", "--mirror", &file.to_string_lossy(), &clone.to_string_lossy()]);
            assert_eq!(refs(&clone), refs(&here));
            continue;
        };
        let mut told = Vec::new();
        for text in ["two", "three"] {
            if let Handled::Refused(report) = world.handle(&world.event()).await.unwrap() {
                told.push(format!("{:?} {:?}", report.reasons, report.actions));
            }
            set(&here, "refs/heads/main", &commit(&here, text, &[&one]));
        }
        let told = told.join("\n");
        assert!(
            told.contains(&format!("s3:{grant}")) && told.contains("docs/examples/mirror-account.yaml"),
            "{grant}: {told}"
        );
    }
}

#[tokio::test]
async fn the_description_goes_along_and_one_that_the_copys_owner_wrote_stays() {
    let world = World::new("{ to: codecommit://us-east-1/demo }").await;
    let there = world.make_there("demo").await;
    set(&world.here(), "refs/heads/main", &commit(&world.here(), "one", &[]));
    let (here, elsewhere) = (world.ground.cloud(), world.elsewhere());
    world.describe(here, "demo", "first").await;
    let report = world.copied().await;
    assert!(report.actions[0].contains("the description is the source's"), "{report:?}");
    assert_eq!(world.description(elsewhere, "demo").await, "first");
    assert_eq!(refs(&world.here()), refs(&there));

    // Nothing tells of a new description: the sweep finds it.
    world.describe(here, "demo", "second").await;
    world.sweep().await;
    assert_eq!(world.description(elsewhere, "demo").await, "second");
    assert_eq!(world.memory()["description"], json!("second"));

    world.describe(elsewhere, "demo", "the copy's own").await;
    world.describe(here, "demo", "third").await;
    let report = world.copied().await;
    assert!(report.reasons[0].contains("the description is left as it is"), "{report:?}");
    assert_eq!(world.description(elsewhere, "demo").await, "the copy's own");

    world
        .ground
        .policy(&super::world::policy("{ to: codecommit://us-east-1/demo, on_divergence: overwrite }"))
        .unwrap();
    world.copied().await;
    assert_eq!(world.description(elsewhere, "demo").await, "third");
}
