//! Builds of what a merge would give, and of the target branch's buildspec.

use signalbox_events::{BuildStart, BuildspecOf};

use super::world::{QUICK, World, policy};

/// The step that docs/policy.md asks for, and a test that needs what both branches brought.
const MERGING: &str = "version: 0.2\nphases:\n  install:\n    commands:\n      - test -z \"$SIGNALBOX_MERGE\" || git -c user.name=build -c user.email=build@localhost merge --no-edit \"$SIGNALBOX_MERGE\"\n  build:\n    commands:\n      - test -f of-main\n      - test -f of-feature\n";

const RESULT: &str = "{ pull_request: { into: [main], commit: merge-result } }";

#[tokio::test(flavor = "multi_thread")]
async fn the_result_of_the_merge_is_built_from_both_branches_as_they_are() {
    let mut world = World::new(&policy(RESULT, ""), Some(MERGING)).await;
    world.topic("feature", &[("of-feature", Some("f"))]);
    let main = world.push("main", "meanwhile", &[("of-main", Some("m"))]);
    let (number, opened) = world.open("feature", "main").await;
    let report = world.report(&opened).await;
    assert!(report.actions[0].contains(&format!(", merged with {}", &main[..7])), "{report:?}");
    let end = world.ground.build_end().await.unwrap();
    assert_eq!(end["detail"]["build-status"], "SUCCEEDED");
    let [start]: [BuildStart; 1] = world.starts().try_into().unwrap();
    let review = start.pull_request.clone().unwrap();
    assert_eq!(review.merge.as_ref().map(|with| with.as_str()), Some(&*main));
    assert!(world.variables(&start).await.contains(&("SIGNALBOX_MERGE".to_owned(), main)));
    // The source's own tip, with the whole history, so that the target's tip is there to be merged.
    let build = world.build(&start).await;
    assert_eq!(
        (&build["source"]["gitCloneDepth"], &build["sourceVersion"]),
        (&0.into(), &start.commit.as_str().into())
    );

    // The same commit on a target branch that moved on is another result: whoever asks for it gets it.
    let moved = world.push("main", "more", &[("of-main", Some("2"))]);
    let asked = world.comment(&number, "/test unit").await;
    world.report(&asked).await;
    world.ground.build_end().await.unwrap();
    let second = world.starts().remove(1);
    assert_eq!(second.pull_request.unwrap().merge.as_ref().map(|with| with.as_str()), Some(&*moved));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_conflict_starts_nothing_and_says_so() {
    let mut world = World::new(&policy(RESULT, ""), Some(MERGING)).await;
    world.topic("feature", &[("src/old", Some("line one\nfeature\nline three\n"))]);
    let main = world.push("main", "meanwhile", &[("src/old", Some("line one\nmain\nline three\n"))]);
    let (number, opened) = world.open("feature", "main").await;
    let report = world.report(&opened).await;
    let expected = format!("unit starts nothing: it cannot be merged into main at {} without conflicts", &main[..7]);
    assert_eq!((report.verdict.as_str(), &*report.reasons), ("nothing", &[expected][..]));
    // Whoever asks for it is told in the comment.
    let asked = world.comment(&number, "/test unit").await;
    assert_eq!(world.report(&asked).await.verdict, "answer");
    let answer = &world.comments(&number).await[1].1;
    assert!(answer.starts_with("`unit` starts nothing: it cannot be merged into main at"), "{answer}");
    assert_eq!(world.built().await, 0);
    // Mended, it is built.
    world.push("feature", "mended", &[("src/old", Some("line one\nmain\nline three\n")), ("of-feature", Some("f"))]);
    let updated = world.event().await;
    assert_eq!(world.report(&updated).await.verdict, "start");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_other_lines_of_one_file_are_no_conflict() {
    let mut world = World::new(&policy(RESULT, ""), Some(QUICK)).await;
    let text = |first: &str, last: &str| format!("{first}\n{}{last}\n", "same\n".repeat(20));
    world.push("main", "long", &[("long", Some(&text("a", "b")))]);
    world.topic("feature", &[("long", Some(&text("feature", "b")))]);
    world.push("main", "meanwhile", &[("long", Some(&text("a", "main")))]);
    let (_, opened) = world.open("feature", "main").await;
    assert_eq!(world.report(&opened).await.verdict, "start");
}

const TARGET: &str = "{ pull_request: { buildspec_from: target } }";

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_cannot_rewrite_the_buildspec_that_judges_it() {
    let mut world = World::new(&policy(TARGET, ""), None).await;
    let strict = "version: 0.2\nphases:\n  build:\n    commands: [\"test -f good\"]\n";
    let main = world.push("main", "the rules", &[("buildspec.yml", Some(strict))]);
    world.topic("feature", &[("buildspec.yml", Some(QUICK))]);
    let (_, opened) = world.open("feature", "main").await;
    assert_eq!(world.report(&opened).await.verdict, "start");
    let end = world.ground.build_end().await.unwrap();
    assert_eq!(end["detail"]["build-status"], "FAILED", "the source's own buildspec would have passed");
    let start = world.starts().remove(0);
    let expected = BuildspecOf::Target {
        commit: signalbox_events::CommitId::parse(main).unwrap(),
        path: "buildspec.yml".to_owned(),
    };
    assert_eq!(start.pull_request.unwrap().buildspec, expected);

    world.push("feature", "good", &[("good", Some("g"))]);
    let updated = world.event().await;
    world.report(&updated).await;
    assert_eq!(world.ground.build_end().await.unwrap()["detail"]["build-status"], "SUCCEEDED");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_buildspec_of_the_policy_is_read_from_the_target_and_a_projects_own_is_left_to_it() {
    let named = policy(TARGET, "").replace("{ build: unit }", "{ build: unit, buildspec: ci/unit.yml }");
    let mut world = World::new(&named, Some(QUICK)).await;
    world.topic("feature", &[("ci/unit.yml", Some(QUICK))]);
    let (_, opened) = world.open("feature", "main").await;
    let report = world.report(&opened).await;
    let expected = "unit starts nothing: it runs the buildspec of the target branch, and main has no ci/unit.yml";
    assert_eq!(report.reasons, [expected]);
    world.push("main", "empty", &[("ci/unit.yml", Some("\n"))]);
    world.push("feature", "two", &[("a", Some("2"))]);
    let updated = world.event().await;
    let report = world.report(&updated).await;
    assert!(report.reasons[0].contains("ci/unit.yml there (1 bytes) is no text of 1 to 65536 bytes"), "{report:?}");

    world.ground.policy(&policy(TARGET, "")).unwrap();
    world.push("feature", "three", &[("a", Some("3"))]);
    let updated = world.event().await;
    assert_eq!(world.report(&updated).await.verdict, "start");
    assert_eq!(world.starts().remove(0).pull_request.unwrap().buildspec, BuildspecOf::Project);
    let lost = policy(TARGET, "").replace("build: unit", "build: nowhere");
    world.ground.policy(&lost).unwrap();
    world.push("feature", "four", &[("a", Some("4"))]);
    let updated = world.event().await;
    let report = world.report(&updated).await;
    assert!(report.reasons[0].contains("its project is not there"), "{report:?}");
}
