//! Somebody else moves the ref, too: before, meanwhile, and again and again.

use std::process::Stdio;
use std::time::{Duration, Instant};

use signalbox_aws::Failure;
use signalbox_glue::Handled;

use super::MAIN;
use super::world::{World, is_whole};

/// One good commit on `main`, told.
async fn begun() -> (World, String) {
    let mut world = World::new(MAIN).await;
    world.commit("one", &[("a", b"1")]);
    world.push("main");
    world.next().await;
    let good = world.commit("two", &[("a", b"2")]);
    world.push("main");
    world.next().await;
    (world, good)
}

#[tokio::test(flavor = "multi_thread")]
async fn events_in_another_order_end_in_the_same_world() {
    let (mut world, good) = begun().await;
    world.git(&["commit", "--quiet", "--amend", "-m", "forced"]);
    world.push("+main");
    let first = world.event("refs/heads/main").await;
    let upon = world.commit("work upon it", &[("b", b"1")]);
    world.push("main");
    let second = world.event("refs/heads/main").await;

    // The later one is a plain push, as far as anybody knows.
    assert_eq!(world.reported(&second).await.verdict, "allowed");
    assert_eq!(world.reported(&first).await.verdict, "restore");
    assert_eq!(world.tip("refs/heads/main"), good);
    assert_eq!(world.kept().into_iter().map(|(_, id)| id).collect::<Vec<_>>(), [upon]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_whose_way_is_not_known_yet_waits_for_the_missing_event() {
    let (mut world, good) = begun().await;
    world.git(&["commit", "--quiet", "--amend", "-m", "forced"]);
    world.push("+main");
    let first = world.event("refs/heads/main").await;
    world.commit("work upon it", &[("b", b"1")]);
    world.push("main");
    let second = world.event("refs/heads/main").await;
    assert!(matches!(world.handle(&first).await, Err(Failure::Retry(_))));
    let report = world.reported(&second).await;
    assert_eq!(report.verdict, "allowed", "{report:?}");
    assert_eq!(world.reported(&first).await.verdict, "restore");
    assert_eq!(world.tip("refs/heads/main"), good);
}

#[tokio::test(flavor = "multi_thread")]
async fn against_a_pusher_that_never_stops_nothing_is_lost_and_the_ref_comes_back() {
    let (mut world, good) = begun().await;
    world.git(&["commit", "--quiet", "--amend", "-m", "forced"]);
    world.push("+main");
    // A process of its own pushes commit after commit upon it.
    let script =
        "for n in 1 2 3 4 5 6; do git commit -q --allow-empty -m \"upon $n\"; git push -q origin main || exit 0; done";
    let mut pusher = world.command("sh");
    let mut pusher = pusher.args(["-c", script]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut waiting = vec![world.event("refs/heads/main").await];
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut is_over = false;
    while !(is_over && waiting.is_empty() && world.tip("refs/heads/main") == good) {
        assert!(Instant::now() < deadline, "the ref is at {}", world.tip("refs/heads/main"));
        is_over |= pusher.try_wait().unwrap().is_some();
        while let Ok(event) = tokio::time::timeout(Duration::from_millis(200), world.event("refs/heads/main")).await {
            waiting.push(event);
        }
        let mut again = Vec::new();
        for event in waiting {
            match world.handle(&event).await {
                Err(Failure::Retry(_)) => again.push(event),
                Err(Failure::Refused(why)) => panic!("{why}"),
                Ok(Handled::Refused(report)) => panic!("{report:?}"),
                Ok(_) => {}
            }
        }
        waiting = again;
    }
    pusher.wait().unwrap();
    assert!(!world.kept().is_empty());
    is_whole(&world.here());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_guard_is_answered_three_times_and_then_a_person_is_asked() {
    let (mut world, _good) = begun().await;
    world.git(&["commit", "--quiet", "--amend", "-m", "what the other guard wants"]);
    let theirs = world.git(&["rev-parse", "HEAD"]);
    world.push("+main");
    // It puts the branch back whenever it is elsewhere, as a cron job with a mirror does.
    let script = format!(
        "while true; do at=$(git ls-remote origin refs/heads/main | cut -f1); [ \"$at\" = {theirs} ] || git push -q --force origin {theirs}:refs/heads/main; sleep 0.2; done"
    );
    let mut guard = world.command("sh");
    let mut guard = guard.args(["-c", &script]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(90);
    let mut restored = 0;
    let told = loop {
        assert!(Instant::now() < deadline, "it never ends");
        let event = world.event("refs/heads/main").await;
        match world.handle(&event).await {
            Ok(Handled::Refused(report)) => break report,
            Ok(Handled::Reported(report)) => restored += usize::from(report.verdict == "restore"),
            Ok(other) => panic!("{other:?}"),
            Err(Failure::Retry(_)) => {
                // The third time it waits.
                tokio::time::sleep(Duration::from_secs(6)).await;
                let report = world.reported(&event).await;
                restored += usize::from(report.verdict == "restore");
            }
            Err(Failure::Refused(why)) => panic!("{why}"),
        }
    };
    guard.kill().unwrap();
    guard.wait().unwrap();
    assert_eq!(restored, 3);
    assert!(told.reasons.join(" ").contains("moves the ref back each time"), "{told:?}");
    let said = world.put().await.pop().unwrap();
    assert_eq!((&said["detail"]["state"], &said["detail"]["ref"]), (&"CONTESTED".into(), &"refs/heads/main".into()));
    assert_eq!(world.tip("refs/heads/main"), theirs);
}
