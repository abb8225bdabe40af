//! Commands in comments: what they start, what they are answered, and what is none of ours.

use serde_json::json;
use signalbox_events::{AGAIN, BuildStart, EventId};
use signalbox_glue::Handled;
use signalbox_ledger::Reopened;

use super::world::{FAILING, QUICK, SLOW, World, policy};

const MORE: &str = "      lint:\n        on: { pull_request: {} }\n        start: { build: unit }\n        skip_ci: honour\n      stage:\n        on: { comment: \"/deploy stage\" }\n        start: { build: unit }\n";

/// A world with an open pull request whose event nobody has handled.
async fn opened(buildspec: &str) -> (World, String) {
    let mut world =
        World::new(&policy("{ pull_request: { into: [main], paths: [\"src/**\"] } }", MORE), Some(buildspec)).await;
    world.topic("feature", &[("docs/a", Some("[skip ci]"))]);
    let (number, _) = world.open("feature", "main").await;
    (world, number)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_for_a_build_gets_it_whichever_files_changed() {
    let (mut world, number) = opened(QUICK).await;
    let asked = world.comment(&number, "Looks good to me.\n\n/test unit\n").await;
    let report = world.report(&asked).await;
    assert_eq!(report.verdict, "start");
    assert!(report.reasons[0].ends_with("developer asked for it with /test unit"), "{report:?}");
    world.ground.build_end().await.unwrap();
    let [start]: [BuildStart; 1] = world.starts().try_into().unwrap();
    let review = start.pull_request.unwrap();
    assert_eq!((start.trigger.as_str(), review.id.as_str()), ("unit", &*number));
    assert_eq!(review.asked.as_ref().map(|asked| asked.person()), Some("developer"));
    assert_eq!(start.pusher, None);
    // Nothing needs to be said: a build is coming.
    assert_eq!(world.comments(&number).await.len(), 1);

    // The same comment once more, also under another event's id, starts nothing.
    let mut copy = asked.clone();
    copy["id"] = json!("copy");
    for event in [&asked, &copy] {
        assert_eq!(world.handle(event).await.unwrap(), Handled::Before);
    }
    // Another comment is another wish, even where the commit is green.
    let again = world.comment(&number, "/test unit").await;
    assert!(world.report(&again).await.reasons[0].contains("try 2 of this commit"));
    world.ground.build_end().await.unwrap();
    assert_eq!(world.built().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_of_the_policys_own_starts_its_trigger() {
    let (mut world, number) = opened(QUICK).await;
    let asked = world.comment(&number, "  /deploy   stage  ").await;
    let report = world.report(&asked).await;
    assert!(report.reasons[0].starts_with("stage starts for"), "{report:?}");
    let two = world.comment(&number, "/test unit lint").await;
    let report = world.report(&two).await;
    assert_eq!(report.reasons.len(), 2, "{report:?}");
    assert_eq!(world.starts().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_once_and_the_answer_is_no_question() {
    let (mut world, number) = opened(QUICK).await;
    let asked = world.comment(&number, "/test ?").await;
    let report = world.report(&asked).await;
    assert_eq!(report.verdict, "answer");
    let answer = world.ground.event("CodeCommit Comment on Pull Request").await.unwrap();
    assert!(!answer["detail"]["inReplyTo"].is_null());
    let comments = world.comments(&number).await;
    assert_eq!(comments.len(), 2);
    insta::assert_snapshot!(comments[1].1, @r"
    These can be asked for, each by a line of its own in a comment:

    - `/test unit` starts the build project `unit`
    - `/test lint` starts the build project `unit`
    - `/deploy stage` starts the build project `unit`
    - `/retest` starts once more what has failed of the current commit
    ");
    assert!(comments[1].1.lines().all(|line| !line.starts_with('/')));
    // Our own comment, and any comment without a command, is left alone and leaves nothing.
    let report = world.report(&answer).await;
    assert_eq!(report.reasons, ["the comment is the stack's own, which is never answered"]);
    let ourselves = world.ourselves();
    let own = world.comment_as(&number, "/test unit", &ourselves).await;
    assert_eq!(world.report(&own).await.verdict, "not concerned");
    let chat = world.comment(&number, "Why not?\n> /test unit\n`/test unit`").await;
    assert_eq!(world.report(&chat).await.reasons, ["no line of the comment is a command"]);
    assert_eq!((world.built().await, world.comments(&number).await.len()), (0, 4));
    let entries = world.ground.objects("ledger/trigger/").unwrap();
    assert_eq!(entries.len(), 2, "the question's own entry and that of its event: {:?}", entries.keys());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_name_is_answered_with_the_nearest_and_nothing_of_it_is_more_than_text() {
    let (mut world, number) = opened(QUICK).await;
    let asked = world.comment(&number, "/test untit `x`<img> stage").await;
    let report = world.report(&asked).await;
    assert_eq!((report.verdict.as_str(), world.built().await), ("answer", 0));
    insta::assert_snapshot!(world.comments(&number).await[1].1, @r"
    There is no trigger `untit` for this pull request. Did you mean `/test unit`?

    There is no trigger `?x??img?` for this pull request. `/test ?` lists what there is.

    `stage` is started by `/deploy stage`.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn retest_runs_only_what_failed_of_the_current_commit() {
    let failing = "version: 0.2\nphases:\n  build:\n    commands: [\"test $SIGNALBOX_TRIGGER = lint\"]\n";
    let (mut world, number) = opened(failing).await;
    let nothing = world.comment(&number, "/retest").await;
    let report = world.report(&nothing).await;
    assert_eq!(report.verdict, "answer", "{report:?}");
    assert!(world.comments(&number).await[1].1.starts_with("Nothing has failed for"));

    for name in ["unit", "lint"] {
        let asked = world.comment(&number, &format!("/test {name}")).await;
        world.report(&asked).await;
        world.ground.build_end().await.unwrap();
    }
    let retest = world.comment(&number, "/retest").await;
    let report = world.report(&retest).await;
    assert_eq!(report.verdict, "start");
    world.ground.build_end().await.unwrap();
    let names: Vec<String> =
        world.starts().into_iter().map(|start| format!("{} {}", start.trigger, start.attempt)).collect();
    assert_eq!(names, ["unit 1", "lint 1", "unit 2"]);

    // A new commit has not failed yet.
    world.push("feature", "two", &[("docs/a", Some("2"))]);
    let retest = world.comment(&number, "/retest").await;
    assert!(world.report(&retest).await.reasons.iter().any(|reason| reason.ends_with("and nothing has")));
    assert_eq!(world.built().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_already_is_not_started_beside_itself() {
    let (mut world, number) = opened(SLOW).await;
    for expected in ["start", "nothing"] {
        let asked = world.comment(&number, "/test unit").await;
        assert_eq!(world.report(&asked).await.verdict, expected);
    }
    assert_eq!((world.built().await, world.comments(&number).await.len()), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_on_a_closed_pull_request_or_one_that_was_deleted_starts_nothing() {
    let (mut world, number) = opened(FAILING).await;
    let asked = world.comment(&number, "/test unit").await;
    let deleted = world.comment(&number, "/test lint").await;
    let comment = json!({ "commentId": deleted["detail"]["commentId"] });
    world.call("DeleteCommentContent", comment).await;
    assert_eq!(world.report(&deleted).await.reasons, ["no line of the comment is a command"]);
    world.call("UpdatePullRequestStatus", json!({ "pullRequestId": number, "pullRequestStatus": "CLOSED" })).await;
    let report = world.report(&asked).await;
    assert_eq!(report.reasons, [format!("pull request {number} is closed by now")]);
    assert_eq!(world.built().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_comment_and_one_on_a_commit_are_none_of_ours() {
    let (mut world, number) = opened(QUICK).await;
    let asked = world.comment(&number, "nothing").await;
    let comment = asked["detail"]["commentId"].clone();
    world.call("UpdateComment", json!({ "commentId": comment, "content": "/test unit" })).await;
    let changed = world.ground.event("CodeCommit Comment on Pull Request").await.unwrap();
    assert_eq!(changed["detail"]["event"], "commentOnPullRequestUpdated");
    let report = world.report(&changed).await;
    assert_eq!(report.verdict, "not concerned");
    let main = world.git(&["rev-parse", "main"]);
    let input = json!({ "repositoryName": "demo", "afterCommitId": main, "content": "/test unit" });
    world.call("PostCommentForComparedCommit", input).await;
    let on_commit = world.ground.event("CodeCommit Comment on Commit").await.unwrap();
    assert_eq!(world.report(&on_commit).await.verdict, "not concerned");
    assert_eq!(world.built().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_that_is_run_once_more_is_not_answered_twice() {
    let (mut world, number) = opened(QUICK).await;
    let asked = world.comment(&number, "/test ?").await;
    world.report(&asked).await;
    let id = EventId::parse(asked["id"].as_str().unwrap()).unwrap();
    let ledger = world.ground.setup("trigger").unwrap().ledger;
    let Reopened::Open { round, received } = ledger.reopen(&id, jiff::Timestamp::now()).await.unwrap() else {
        panic!("the event is not kept")
    };
    let mut wish = received;
    wish[AGAIN] = json!(round);
    let report = world.report(&wish).await;
    assert!(report.actions[0].ends_with(": answered"), "{report:?}");
    assert_eq!(world.comments(&number).await.len(), 2);
}
