//! The protector over real pushes, with git itself as the judge of what was put back.

mod arrivals;
mod contests;
mod long;
mod merges;
mod pushers;
mod signed;
mod told;
mod watched;
pub(crate) mod world;

use serde_json::json;
use signalbox_glue::Handled;

use world::{World, is_whole};

const MAIN: &str = "{ refs: [main, \"release/**\"], forbid: [force-push, deletion] }";

#[tokio::test(flavor = "multi_thread")]
async fn a_force_push_is_put_back_and_kept_and_can_be_fetched_again() {
    let mut world = World::new(MAIN).await;
    world.commit("one", &[("a", b"1")]);
    world.push("main");
    assert_eq!(world.next().await.verdict, "allowed");
    let two = world.commit("two", &[("a", b"2")]);
    world.push("main");
    let report = world.next().await;
    assert_eq!(
        (report.verdict.as_str(), report.reasons.as_slice()),
        ("allowed", ["it is allowed".to_owned()].as_slice())
    );

    world.git(&["commit", "--quiet", "--amend", "-m", "another two"]);
    let forced = world.git(&["rev-parse", "HEAD"]);
    world.push("+main");
    assert_eq!(world.tip("refs/heads/main"), forced);
    let event = world.event("refs/heads/main").await;
    let report = world.reported(&event).await;
    assert_eq!(report.verdict, "restore", "{report:?}");
    assert_eq!(world.tip("refs/heads/main"), two);
    let kept = world.kept();
    assert_eq!(kept.len(), 1);
    assert!(kept[0].0.starts_with("refs/heads/quarantine/main/") && kept[0].1 == forced, "{kept:?}");
    is_whole(&world.here());

    // The command that the report gives brings the commits back.
    let told = report.actions.join("\n");
    let rescue = told.split("to get it: ").nth(1).unwrap().split(')').next().unwrap().to_owned();
    let ran = world.command("sh").args(["-c", &rescue]).output().unwrap();
    assert!(ran.status.success(), "{rescue}: {}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(world.git(&["rev-parse", "HEAD"]), forced);

    // Our own move is ours, and the event that comes twice changes nothing.
    assert_eq!(world.next().await.verdict, "ours");
    assert_eq!(world.handle(&event).await.unwrap(), Handled::Before);
    assert_eq!(world.tip("refs/heads/main"), two);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_branch_comes_back_where_it_was() {
    let mut world = World::new(MAIN).await;
    let one = world.commit("one", &[("a", b"1")]);
    world.push("main");
    world.push("main:refs/heads/release/1");
    let event = world.event("refs/heads/release/1").await;
    world.reported(&event).await;
    world.push(":refs/heads/release/1");
    assert_eq!(world.tip("refs/heads/release/1"), "");
    let event = world.event("refs/heads/release/1").await;
    assert_eq!(world.reported(&event).await.verdict, "restore");
    assert_eq!(world.tip("refs/heads/release/1"), one);
    assert_eq!(world.kept(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_comes_back_as_the_object_that_it_was() {
    let mut world = World::new("{ refs: [\"refs/tags/v*\"], forbid: [update, deletion] }").await;
    world.commit("one", &[("a", b"1")]);
    world.git(&["tag", "-a", "-m", "the first", "v1"]);
    world.git(&["tag", "light"]);
    let tag = world.git(&["rev-parse", "v1"]);
    world.push("v1");
    let event = world.event("refs/tags/v1").await;
    assert_eq!(world.reported(&event).await.verdict, "allowed");
    world.push(":refs/tags/v1");
    let event = world.event("refs/tags/v1").await;
    assert_eq!(world.reported(&event).await.verdict, "restore");
    assert_eq!(world.tip("refs/tags/v1"), tag);

    let other = world.commit("two", &[("a", b"2")]);
    world.git(&["tag", "-f", "-a", "-m", "moved", "v1"]);
    world.push("+refs/tags/v1");
    let ours = world.event("refs/tags/v1").await;
    assert_eq!(world.reported(&ours).await.verdict, "ours");
    let event = world.event("refs/tags/v1").await;
    let report = world.reported(&event).await;
    assert_eq!(report.verdict, "restore", "{report:?}");
    assert_eq!(world.tip("refs/tags/v1"), tag);
    let kept = world.kept();
    assert!(kept.len() == 1 && kept[0].0.contains("quarantine/tags/v1/") && kept[0].1 == other, "{kept:?}");
    is_whole(&world.here());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_must_not_be_made_ends_and_its_commits_are_kept() {
    let mut world = World::new("{ refs: [\"**\"], names: \"^(main|feature/[a-z-]+)$\" }").await;
    let one = world.commit("one", &[("a", b"1")]);
    world.push("main");
    assert_eq!(world.next().await.verdict, "allowed");
    world.push("main:refs/heads/Test");
    let event = world.event("refs/heads/Test").await;
    let report = world.reported(&event).await;
    assert!(report.reasons[0].contains("its name does not match"), "{report:?}");
    assert_eq!(world.tip("refs/heads/Test"), "");
    assert_eq!(world.kept().into_iter().map(|(_, id)| id).collect::<Vec<_>>(), [one]);
}

#[tokio::test(flavor = "multi_thread")]
async fn observe_tells_what_it_would_do_and_does_nothing() {
    let mut world = World::new(MAIN).await;
    world.ground.policy(&world::policy(MAIN).replace("enforce", "observe")).unwrap();
    world.commit("one", &[("a", b"1")]);
    world.push("main");
    world.next().await;
    world.git(&["commit", "--quiet", "--amend", "-m", "other"]);
    let forced = world.git(&["rev-parse", "HEAD"]);
    world.push("+main");
    let report = world.next().await;
    assert!(
        report.verdict == "restore" && report.actions.iter().any(|line| line.starts_with("would put ")),
        "{report:?}"
    );
    assert_eq!((world.tip("refs/heads/main"), world.kept().len()), (forced.clone(), 0));

    // Once it is enforced, what was before is not reached back for.
    world.ground.policy(&world::policy(MAIN)).unwrap();
    let next = world.commit("next", &[("a", b"2")]);
    world.push("main");
    assert_eq!(world.next().await.verdict, "allowed");
    world.git(&["commit", "--quiet", "--amend", "-m", "once more"]);
    world.push("+main");
    assert_eq!(world.next().await.verdict, "restore");
    assert_eq!(world.tip("refs/heads/main"), next);
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_bypass_names_is_let_through_and_it_is_in_the_ledger() {
    let mut world =
        World::new("{ refs: [main], forbid: [force-push], bypass: [\"arn:aws:iam::*:user/developer\"] }").await;
    world.commit("one", &[("a", b"1")]);
    world.push("main");
    world.next().await;
    world.git(&["commit", "--quiet", "--amend", "-m", "other"]);
    let forced = world.git(&["rev-parse", "HEAD"]);
    world.push("+main");
    let event = world.event("refs/heads/main").await;
    let report = world.reported(&event).await;
    assert_eq!((report.verdict.as_str(), world.tip("refs/heads/main")), ("bypassed", forced));
    let entries = world.ground.objects("ledger/protector/").unwrap();
    let entry = &entries[&format!("ledger/protector/{}", event["id"].as_str().unwrap())];
    assert_eq!(entry["report"]["verdict"], json!("bypassed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_event_told_is_found_by_the_sweep_told_and_left() {
    let mut world = World::new(MAIN).await;
    world.commit("one", &[("a", b"1")]);
    world.push("main");
    world.next().await;
    world.sweep("clock-1").await;
    world.git(&["commit", "--quiet", "--amend", "-m", "other"]);
    let forced = world.git(&["rev-parse", "HEAD"]);
    world.push("+main");

    // Its event may still come.
    let Handled::Reported(report) = world.sweep("clock-2").await else { panic!("refused") };
    assert_eq!(report.actions, [""; 0]);
    let impatient = signalbox_protector::Protector::new(&world.ground.setup("protector").unwrap());
    world.protector = impatient.with_patience(std::time::Duration::ZERO);
    let Handled::Refused(report) = world.sweep("clock-3").await else { panic!("not told") };
    assert!(report.actions[0].starts_with("refs/heads/main: reported"), "{report:?}");
    assert_eq!((world.tip("refs/heads/main"), world.kept().len()), (forced, 0));
    let ledger = world.ground.objects("ledger/protector/").unwrap();
    let told = ledger.iter().find(|(key, _)| key.contains("/sweep-")).unwrap().1["report"]["reasons"].to_string();
    assert!(told.contains("force-push") && told.contains("no event told"), "{told}");
    // Told once.
    let Handled::Reported(report) = world.sweep("clock-4").await else { panic!("told twice") };
    assert_eq!(report.actions, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_ends_after_its_days_and_nothing_else_does() {
    let world = World::new(MAIN).await;
    world.commit("one", &[("a", b"1")]);
    let soon = format!("main:refs/heads/quarantine/main/{}-abcdef0", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ"));
    let all =
        ["main", "main:refs/heads/quarantine/main/20200101T000000Z-abcdef0", "main:refs/heads/quarantine/own", &soon];
    for what in all {
        world.push(what);
    }
    let Handled::Reported(report) = world.sweep("clock-1").await else { panic!("refused") };
    assert!(report.actions[0].contains("ended 1 of 1 branches"), "{report:?}");
    let kept: Vec<String> = world.kept().into_iter().map(|(name, _)| name).collect();
    assert!(kept.len() == 2 && !kept.iter().any(|name| name.contains("2020")), "{kept:?}");
}
