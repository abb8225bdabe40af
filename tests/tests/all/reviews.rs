//! The trigger and pull requests over the local cloud, with the real git; events are handed over by the test.

mod comments;
mod mail;
mod merges;
mod sweep;
mod world;

use serde_json::{Value, json};
use signalbox_aws::Failure;
use signalbox_events::BuildStart;
use signalbox_glue::Handled;

use self::world::{FAILING, QUICK, SLOW, World, policy};

fn id(event: &Value) -> &str {
    event["id"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opened_pull_request_is_built_and_the_build_knows_what_it_is_for() {
    let mut world = World::new(&policy("{ pull_request: { into: [main] } }", ""), Some(QUICK)).await;
    let base = world.git(&["rev-parse", "main"]);
    let commit = world.topic("feature", &[("a", Some("a"))]);
    let (number, opened) = world.open("feature", "main").await;
    let report = world.report(&opened).await;
    assert_eq!(report.verdict, "start");
    assert_eq!(
        report.reasons,
        [format!("unit starts for {}: it takes every pull request into main, and this is {number}", &commit[..7])]
    );
    world.ground.build_end().await.unwrap();
    let [start]: [BuildStart; 1] = world.starts().try_into().unwrap();
    let review = start.pull_request.clone().unwrap();
    assert_eq!((start.commit.as_str(), start.reference.as_str()), (&*commit, "refs/heads/feature"));
    assert_eq!((review.id.as_str(), review.into.as_str()), (&*number, "refs/heads/main"));
    assert_eq!(review.base.as_ref().map(|base| base.as_str()), Some(&*base));
    assert_eq!(review.revision.as_str(), opened["detail"]["revisionId"].as_str().unwrap());
    assert_eq!(start.pusher.as_ref().map(|pusher| pusher.person()), Some("developer"));
    assert_eq!((review.merge, review.asked), (None, None));

    let variables = world.variables(&start).await;
    let expected = [
        ("SIGNALBOX_PULL_REQUEST", &*number),
        ("SIGNALBOX_REVISION", review.revision.as_str()),
        ("SIGNALBOX_REF", "refs/heads/feature"),
        ("SIGNALBOX_COMMIT", &commit),
        ("SIGNALBOX_INTO", "refs/heads/main"),
        ("SIGNALBOX_BASE", &base),
    ];
    for (name, value) in expected {
        assert!(variables.contains(&(name.to_owned(), value.to_owned())), "{name}={value} is not in {variables:?}");
    }
    // What anybody may write as free text is in none of them.
    assert!(variables.iter().all(|(_, value)| !value.contains("owned")), "{variables:?}");
    // What came of it is found by the revision, which everybody can tell who sees the pull request, and by the event.
    let taken = format!("pull-request-demo-{number}-{}", review.revision);
    assert_eq!(world.told(&taken), report.reasons);
    assert_eq!(
        world.told(id(&opened)),
        [format!("what came of it is in the ledger under {taken}, whoever told of it first")]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_to_the_source_branch_builds_the_new_revision_and_stops_the_older_build() {
    let supersede = policy("{ pull_request: {} }", "        supersede: true\n");
    let mut world = World::new(&supersede, Some(SLOW)).await;
    world.topic("feature", &[("a", Some("1"))]);
    let (_, opened) = world.open("feature", "main").await;
    world.report(&opened).await;
    let newer = world.push("feature", "two", &[("a", Some("2"))]);
    let updated = world.event().await;
    assert_eq!(updated["detail"]["event"], "pullRequestSourceBranchUpdated");
    let report = world.report(&updated).await;
    assert!(report.reasons.iter().any(|reason| reason.contains("stops the older build")), "{report:?}");
    let end = world.ground.build_end().await.unwrap();
    assert_eq!(end["detail"]["build-status"], "STOPPED");
    let [first, second]: [BuildStart; 2] = world.starts().try_into().unwrap();
    assert_eq!(first.superseded_by.as_ref().map(|by| by.as_str()), Some(&*newer));
    assert_eq!((second.commit.as_str(), second.superseded_by), (&*newer, None));
    assert_ne!(first.pull_request.unwrap().revision, second.pull_request.unwrap().revision);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_come_twice_late_or_swapped_build_each_revision_that_was_seen_once() {
    // A build that failed would be tried again by whatever counts as another push.
    let mut world = World::new(&policy("{ pull_request: {} }", ""), Some(FAILING)).await;
    world.topic("feature", &[("a", Some("1"))]);
    let (_, opened) = world.open("feature", "main").await;
    let newest = world.push("feature", "two", &[("a", Some("2"))]);
    let updated = world.event().await;

    // The later event first: it finds the pull request as it is, and so does the earlier one.
    assert_eq!(world.report(&updated).await.verdict, "start");
    world.ground.build_end().await.unwrap();
    for again in [&updated, &opened, &opened] {
        assert_eq!(world.handle(again).await.unwrap(), Handled::Before);
    }
    // A rule may send one event twice, under an id of its own.
    let mut copy = updated.clone();
    copy["id"] = json!("copy");
    assert_eq!(world.handle(&copy).await.unwrap(), Handled::Before);
    let starts = world.starts();
    assert_eq!((starts.len(), starts[0].commit.as_str()), (1, &*newest));
    assert_eq!(world.built().await, 1);
    // All of them say where to look.
    for event in [&opened, &updated, &copy] {
        assert!(world.told(id(event))[0].contains("in the ledger under pull-request-demo-"), "{event}");
    }
    // The event that came first told of this very revision: so it is known who pushed it.
    assert_eq!(starts[0].pusher.as_ref().map(|pusher| pusher.person()), Some("developer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_invocations_with_two_events_of_one_revision_start_one_build() {
    let mut world = World::new(&policy("{ pull_request: {} }", ""), Some(QUICK)).await;
    world.topic("feature", &[("a", Some("1"))]);
    let (_, opened) = world.open("feature", "main").await;
    let mut copy = opened.clone();
    copy["id"] = json!("copy");
    let (one, other) = tokio::join!(world.handle(&opened), world.handle(&copy));
    for (event, handled) in [(&opened, one), (&copy, other)] {
        if let Err(failure) = handled {
            assert!(matches!(failure, Failure::Retry(_)), "{failure}");
            world.handle(event).await.unwrap();
        }
    }
    assert_eq!(world.built().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_that_ended_meanwhile_starts_nothing_and_says_why() {
    let mut world = World::new(&policy("{ pull_request: {} }", ""), Some(QUICK)).await;
    world.topic("closed", &[("a", Some("1"))]);
    let (number, opened) = world.open("closed", "main").await;
    let input = json!({ "pullRequestId": number, "pullRequestStatus": "CLOSED" });
    world.call("UpdatePullRequestStatus", input).await;
    world.event().await;
    let report = world.report(&opened).await;
    assert_eq!(
        (report.verdict.as_str(), &*report.reasons),
        ("nothing", &[format!("pull request {number} is closed by now")][..])
    );

    world.topic("merged", &[("b", Some("1"))]);
    let (number, opened) = world.open("merged", "main").await;
    let input = json!({ "pullRequestId": number, "repositoryName": "demo" });
    world.call("MergePullRequestByFastForward", input).await;
    world.event().await;
    let report = world.report(&opened).await;
    assert_eq!(report.reasons, [format!("pull request {number} is merged by now")]);

    // Its source branch was deleted, which closes it, too.
    world.topic("deleted", &[("c", Some("1"))]);
    let (number, opened) = world.open("deleted", "main").await;
    world.git(&["push", "--quiet", "origin", "--delete", "deleted"]);
    world.event().await;
    assert_eq!(world.report(&opened).await.reasons, [format!("pull request {number} is closed by now")]);
    let mut elsewhere = opened.clone();
    elsewhere["id"] = json!("elsewhere");
    elsewhere["detail"]["pullRequestId"] = json!("4711");
    assert_eq!(world.report(&elsewhere).await.reasons, ["there is no pull request 4711 in this repository"]);
    assert_eq!(world.built().await, 0);
    assert_eq!(world.told(id(&opened)).len(), 1, "it is found under the event's own id");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_pull_requests_into_the_branches_of_the_policy_are_read_at_all() {
    let mut world = World::new(&policy("{ pull_request: { into: [\"release/**\"] } }", ""), Some(QUICK)).await;
    world.topic("feature", &[("a", Some("1"))]);
    let (_, opened) = world.open("feature", "main").await;
    let report = world.report(&opened).await;
    assert_eq!(report.reasons, ["no trigger of the policy takes pull requests into main of demo"]);
    assert!(world.ground.objects("ledger/").unwrap().is_empty() && world.ground.objects("state/").unwrap().is_empty());
    world.git(&["push", "--quiet", "origin", "main:refs/heads/release/1"]);
    let (_, opened) = world.open("feature", "release/1").await;
    assert_eq!(world.report(&opened).await.verdict, "start");
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_are_those_of_the_whole_pull_request() {
    let paths = policy("{ pull_request: { paths: [\"src/**\", \"!**/*.md\"] } }", "");
    let mut world = World::new(&paths, Some(QUICK)).await;
    // Many files, so that the difference has many pages, and the one that counts on none of the first.
    let many: Vec<String> = (0..12).map(|n| format!("docs/{n:02}")).collect();
    let mut files: Vec<(&str, Option<&str>)> = many.iter().map(|path| (path.as_str(), Some("d"))).collect();
    files.push(("src/new", Some("n")));
    world.topic("code", &files);
    let (_, opened) = world.open("code", "main").await;
    let first = world.report(&opened).await;
    assert!(first.reasons[0].contains("src/new matches its paths (13 files changed since"), "{first:?}");
    assert!(first.reasons[0].ends_with("where it left its target branch)"), "{first:?}");
    world.ground.build_end().await.unwrap();
    // The next push touches only documentation, and `main` moves on in `src`: the pull request still brings `src/new`.
    world.push("code", "docs", &[("docs/more", Some("d"))]);
    let updated = world.event().await;
    let second = world.report(&updated).await;
    assert!(second.reasons[0].contains("src/new matches its paths (14 files changed since"), "{second:?}");

    // Only documentation: skipped, with its reason in the ledger under the revision, whatever `main` did meanwhile.
    world.topic("docs", &[("docs/a", Some("a")), ("src/notes.md", Some("n"))]);
    world.push("main", "more code", &[("src/main", Some("m"))]);
    let (number, opened) = world.open("docs", "main").await;
    let skipped = world.report(&opened).await;
    assert_eq!(skipped.verdict, "nothing");
    let revision = opened["detail"]["revisionId"].as_str().unwrap();
    let told = world.told(&format!("pull-request-demo-{number}-{revision}"));
    assert!(told[0].starts_with("unit starts nothing: nothing matches its paths (2 files changed since"), "{told:?}");

    // Both sides of a rename count, and deletions.
    world.git(&["switch", "--quiet", "--create", "rename", "main"]);
    world.git(&["mv", "src/old", "old"]);
    world.git(&["commit", "--quiet", "-m", "rename"]);
    world.git(&["push", "--quiet", "origin", "rename"]);
    let (_, opened) = world.open("rename", "main").await;
    let renamed = world.report(&opened).await;
    assert!(renamed.reasons[0].contains("src/old matches its paths"), "{renamed:?}");
    world.topic("delete", &[("src/main", None)]);
    let (_, opened) = world.open("delete", "main").await;
    let deleted = world.report(&opened).await;
    assert!(deleted.reasons[0].contains("src/main matches its paths"), "{deleted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn skip_ci_and_authors_hold_for_pull_requests_too() {
    let authors = policy("{ pull_request: {} }", "        authors: [\"*@example.org\"]\n");
    let mut world = World::new(&policy("{ pull_request: {} }", ""), Some(QUICK)).await;
    world.topic("feature", &[("a", Some("1"))]);
    world.push("feature", "typo [skip ci]", &[("a", Some("2"))]);
    let (_, opened) = world.open("feature", "main").await;
    assert_eq!(world.report(&opened).await.reasons, ["unit starts nothing: the commit message says [skip ci]"]);
    world.ground.policy(&authors).unwrap();
    world.push("feature", "three", &[("a", Some("3"))]);
    let updated = world.event().await;
    let report = world.report(&updated).await;
    assert!(report.reasons[0].contains("developer@example.com, is not one of its authors"), "{report:?}");
    assert_eq!(world.built().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_back_to_a_commit_that_failed_is_built_again_and_one_that_is_green_is_not() {
    let mut world = World::new(
        &policy("{ pull_request: {} }", ""),
        Some("version: 0.2\nphases:\n  build:\n    commands: [\"test -f good\"]\n"),
    )
    .await;
    let bad = world.topic("feature", &[("a", Some("1"))]);
    let (_, opened) = world.open("feature", "main").await;
    world.report(&opened).await;
    world.ground.build_end().await.unwrap();
    let good = world.push("feature", "good", &[("good", Some("g"))]);
    let updated = world.event().await;
    world.report(&updated).await;
    world.ground.build_end().await.unwrap();
    for (to, expected) in [(&bad, "try 2 of this commit"), (&good, "the commit is already green here")] {
        world.git(&["push", "--quiet", "--force", "origin", &format!("{to}:refs/heads/feature")]);
        let back = world.event().await;
        let report = world.report(&back).await;
        assert!(report.reasons[0].contains(expected), "{report:?}");
        if report.verdict == "start" {
            world.ground.build_end().await.unwrap();
        }
    }
    assert_eq!(world.built().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn observing_tells_what_would_start_and_answers_nobody() {
    let observe = policy("{ pull_request: {} }", "").replace("enforce", "observe");
    let mut world = World::new(&observe, Some(QUICK)).await;
    world.topic("feature", &[("a", Some("1"))]);
    let (number, opened) = world.open("feature", "main").await;
    let report = world.report(&opened).await;
    assert!(report.actions[0].starts_with(&format!("would start unit for pull request {number} at")), "{report:?}");
    let asked = world.comment(&number, "/test ?").await;
    let report = world.report(&asked).await;
    assert!(report.actions[0].starts_with("would answer the comment"), "{report:?}");
    assert_eq!((world.built().await, world.comments(&number).await.len()), (0, 1));
}
