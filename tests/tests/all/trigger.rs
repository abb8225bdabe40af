//! The trigger over the local cloud, one event at a time, handed over by the test.

use serde_json::{Value, json};
use signalbox_aws::{CodeBuild, Failure, FetchedHistory, Start, Variable};
use signalbox_events::{EventId, ProjectName};
use signalbox_glue::{Ending, Handle, Handled, carry_out};
use signalbox_ledger::{Report, Turn};
use signalbox_tests::Ground;
use signalbox_trigger::Trigger;
use signalbox_trigger_rules::Action;

const QUICK: &str = "version: 0.2\nphases:\n  build:\n    commands: [\"true\"]\n";
const FAILING: &str = "version: 0.2\nphases:\n  build:\n    commands: [\"false\"]\n";
const SLOW: &str = "version: 0.2\nphases:\n  build:\n    commands: [\"sleep 60\"]\n";

fn policy(push: &str, more: &str) -> String {
    format!(
        "mode: enforce\nrepositories:\n  demo:\n    triggers:\n      unit:\n        on: {{ push: {push} }}\n        start: {{ build: unit }}\n{more}"
    )
}

async fn ground(policy: &str, buildspec: &str) -> (Ground, Trigger) {
    let ground = Ground::without_functions().await.unwrap();
    ground.repository("demo").await.unwrap();
    ground.project("unit", "demo", Some(buildspec)).await.unwrap();
    ground.policy(policy).unwrap();
    let trigger = Trigger::new(&ground.setup("trigger").unwrap()).with_page_size(1);
    (ground, trigger)
}

async fn handle(ground: &Ground, trigger: &Trigger, event: &Value) -> Result<Handled, Failure> {
    trigger.handle(event.to_string().as_bytes(), ground.invocation()).await
}

async fn report(ground: &Ground, trigger: &Trigger, event: &Value) -> Report {
    match handle(ground, trigger, event).await.unwrap() {
        Handled::Reported(report) => *report,
        other => panic!("no report: {other:?}"),
    }
}

#[tokio::test]
async fn an_event_delivered_twice_starts_one_build_and_leaves_one_record() {
    // A failed commit would be tried again by another event: that it is not, is the ledger's doing alone.
    let (mut ground, trigger) = ground(&policy("{ branches: [main] }", ""), FAILING).await;
    let commit = ground.commit("demo", "main", "one", &[("a", Some("a"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    let first = report(&ground, &trigger, &push).await;
    assert_eq!(first.verdict, "start");
    ground.build_end().await.unwrap();
    assert_eq!(handle(&ground, &trigger, &push).await.unwrap(), Handled::Before);
    let builds = ground.builds("unit").await.unwrap();
    assert_eq!(builds.len(), 1);

    let starts = ground.objects("state/starts/").unwrap();
    let start = starts.values().next().unwrap();
    assert_eq!(starts.len(), 1);
    assert_eq!(start["build"], json!(builds[0]));
    assert_eq!((&start["trigger"], &start["commit"]), (&json!("unit"), &json!(commit)));
    assert_eq!(start["pusher"], "arn:aws:iam::111122223333:user/developer");
}

#[tokio::test]
async fn a_trigger_that_is_refused_does_not_keep_its_neighbour_from_starting() {
    let more = "      lost:\n        on: { push: { branches: [main] } }\n        start: { build: nowhere }\n      also:\n        on: { push: { branches: [main] } }\n        start: { build: unit }\n";
    let (mut ground, trigger) = ground(&policy("{ branches: [main] }", more), QUICK).await;
    ground.commit("demo", "main", "one", &[("a", Some("a"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    let Handled::Refused(report) = handle(&ground, &trigger, &push).await.unwrap() else { panic!("not refused") };
    assert!(
        report.actions.iter().any(|action| action.contains("nowhere") && action.contains("refused: ")),
        "{report:?}"
    );
    assert_eq!(ground.builds("unit").await.unwrap().len(), 2);
    let id = push["id"].as_str().unwrap();
    let entry = &ground.objects("ledger/trigger/").unwrap()[&format!("ledger/trigger/{id}")];
    assert_eq!(entry["phase"], "refused");
    assert_eq!(handle(&ground, &trigger, &push).await.unwrap(), Handled::Before);
}

#[tokio::test]
async fn two_invocations_with_the_same_event_at_once_start_one_build() {
    let (mut ground, trigger) = ground(&policy("{ branches: [main] }", ""), QUICK).await;
    ground.commit("demo", "main", "one", &[("a", Some("a"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    let (one, other) = tokio::join!(handle(&ground, &trigger, &push), handle(&ground, &trigger, &push));
    let retries = [one, other].into_iter().filter(|handled| matches!(handled, Err(Failure::Retry(_)))).count();
    assert!(retries <= 1);
    handle(&ground, &trigger, &push).await.unwrap();
    assert_eq!(ground.builds("unit").await.unwrap().len(), 1);
}

#[tokio::test]
async fn two_pushes_whose_events_are_swapped_end_in_the_same_world() {
    let mut worlds = Vec::new();
    for swapped in [false, true] {
        let (mut ground, trigger) = ground(&policy("{ branches: [main] }", ""), QUICK).await;
        let mut commits = Vec::new();
        let mut events = Vec::new();
        for text in ["one", "two"] {
            commits.push(ground.commit("demo", "main", text, &[("a", Some(text))]).await.unwrap());
            events.push(ground.push_event().await.unwrap());
        }
        if swapped {
            events.reverse();
        }
        for event in &events {
            report(&ground, &trigger, event).await;
        }
        let mut built: Vec<Value> =
            ground.objects("state/starts/").unwrap().values().map(|start| start["commit"].clone()).collect();
        built.sort_by_key(|commit| commits.iter().position(|there| commit == there));
        assert_eq!(built, commits.iter().map(|commit| json!(commit)).collect::<Vec<_>>());
        // Whatever the order, what the trigger remembers of the ref is the same two starts.
        let state = &ground.objects("state/triggers/").unwrap()["state/triggers/demo/unit/refs/heads/main.json"];
        let mut remembered: Vec<usize> = state["starts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|start| commits.iter().position(|there| start["commit"] == *there).unwrap())
            .collect();
        remembered.sort_unstable();
        worlds.push(remembered);
    }
    assert_eq!(worlds, [[0, 1], [0, 1]]);
}

#[tokio::test]
async fn a_failed_builds_changes_are_not_forgotten() {
    let paths = policy("{ branches: [main], paths: [\"src/**\"] }", "");
    let (mut ground, trigger) = ground(&paths, FAILING).await;
    ground.commit("demo", "main", "code", &[("src/a", Some("a"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    assert_eq!(report(&ground, &trigger, &push).await.verdict, "start");
    ground.build_end().await.unwrap();

    // The next push touches only documentation, but the code in it was never green.
    ground.commit("demo", "main", "docs", &[("docs/a", Some("a"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    let second = report(&ground, &trigger, &push).await;
    assert_eq!(second.verdict, "start", "{:?}", second.reasons);
}

#[tokio::test]
async fn after_a_green_build_documentation_starts_nothing_and_the_reason_is_in_the_ledger() {
    let paths = policy("{ branches: [main], paths: [\"src/**\"] }", "");
    let (mut ground, trigger) = ground(&paths, QUICK).await;
    let green = ground.commit("demo", "main", "code", &[("src/a", Some("a"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    report(&ground, &trigger, &push).await;
    ground.build_end().await.unwrap();
    ground.commit("demo", "main", "docs", &[("docs/a", Some("a"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    let second = report(&ground, &trigger, &push).await;
    assert_eq!(second.verdict, "nothing");
    let id = push["id"].as_str().unwrap();
    let entry = &ground.objects("ledger/trigger/").unwrap()[&format!("ledger/trigger/{id}")];
    let reason = entry["report"]["reasons"][0].as_str().unwrap();
    let expected = format!(
        "unit starts nothing: nothing matches its paths (1 file changed since {}, the last green commit, such as docs/a)",
        &green[..7]
    );
    assert!(*reason == *expected, "{reason}");
    // A removed source file counts, too: deletions are changes.
    ground.commit("demo", "main", "remove", &[("src/a", None), ("keep", Some("k"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    assert_eq!(report(&ground, &trigger, &push).await.verdict, "start");
}

#[tokio::test]
async fn a_late_event_of_an_older_commit_does_not_move_the_last_green_backwards() {
    let paths = policy("{ branches: [main], paths: [\"src/**\"] }", "");
    let (mut ground, trigger) = ground(&paths, QUICK).await;
    let mut pushes = Vec::new();
    let mut commits = Vec::new();
    for name in ["src/a", "src/b"] {
        commits.push(ground.commit("demo", "main", name, &[(name, Some("a"))]).await.unwrap());
        pushes.push(ground.push_event().await.unwrap());
    }
    // The newer push is handled first, and its build passes first.
    for push in pushes.iter().rev() {
        assert_eq!(report(&ground, &trigger, push).await.verdict, "start");
        ground.build_end().await.unwrap();
    }
    ground.commit("demo", "main", "docs", &[("docs/a", Some("a"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    let docs = report(&ground, &trigger, &push).await;
    assert_eq!(docs.verdict, "nothing", "{:?}", docs.reasons);
    assert!(docs.reasons[0].contains(&format!("since {}, the last green commit", &commits[1][..7])), "{docs:?}");
}

#[tokio::test]
async fn a_new_branch_is_compared_with_where_it_left_the_default_branch() {
    let paths = policy("{ branches: [\"**\"], paths: [\"src/**\"] }", "");
    let (mut ground, trigger) = ground(&paths, QUICK).await;
    let base = ground.commit("demo", "main", "code", &[("src/a", Some("a"))]).await.unwrap();
    ground.push_event().await.unwrap();
    ground.branch("demo", "feature", &base).await.unwrap();
    let created = ground.push_event().await.unwrap();
    let report_of_creation = report(&ground, &trigger, &created).await;
    assert_eq!(report_of_creation.verdict, "nothing", "{:?}", report_of_creation.reasons);
    // Meanwhile the default branch moves on in `src`: that is not this branch's change.
    ground.commit("demo", "main", "more", &[("src/b", Some("b"))]).await.unwrap();
    ground.push_event().await.unwrap();
    ground.commit("demo", "feature", "docs", &[("docs/a", Some("a"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    let docs = report(&ground, &trigger, &push).await;
    assert_eq!(docs.verdict, "nothing", "{:?}", docs.reasons);
    assert!(docs.reasons[0].contains("where it left the default branch"), "{:?}", docs.reasons);
}

#[tokio::test]
async fn skip_ci_in_the_message_starts_nothing() {
    let (mut ground, trigger) = ground(&policy("{ branches: [main] }", ""), QUICK).await;
    ground.commit("demo", "main", "typo [skip ci]", &[("a", Some("a"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    let report = report(&ground, &trigger, &push).await;
    assert_eq!(report.reasons, ["unit starts nothing: the commit message says [skip ci]"]);
}

#[tokio::test]
async fn superseding_stops_the_older_build_and_says_what_for() {
    let supersede = policy("{ branches: [main] }", "        supersede: true\n");
    let (mut ground, trigger) = ground(&supersede, SLOW).await;
    ground.commit("demo", "main", "one", &[("a", Some("1"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    report(&ground, &trigger, &push).await;
    let older = ground.builds("unit").await.unwrap().remove(0);
    let newer = ground.commit("demo", "main", "two", &[("a", Some("2"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    report(&ground, &trigger, &push).await;

    let end = ground.build_end().await.unwrap();
    assert_eq!(end["detail"]["build-status"], "STOPPED");
    assert!(end["detail"]["build-id"].as_str().unwrap().ends_with(&older));
    let starts = ground.objects("state/starts/").unwrap();
    let stopped = starts.values().find(|start| start["build"] == json!(older)).unwrap();
    assert_eq!(stopped["superseded_by"], json!(newer));
}

#[tokio::test]
async fn a_branch_that_goes_back_to_a_commit_whose_build_is_being_stopped_is_built_again() {
    let supersede = policy("{ branches: [main] }", "        supersede: true\n");
    let (mut ground, trigger) = ground(&supersede, SLOW).await;
    let first = ground.commit("demo", "main", "one", &[("a", Some("1"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    report(&ground, &trigger, &push).await;
    ground.commit("demo", "main", "two", &[("a", Some("2"))]).await.unwrap();
    let second = ground.push_event().await.unwrap();
    report(&ground, &trigger, &second).await;

    // Forced back: the branch is made anew at the first commit.
    let delete = json!({ "repositoryName": "demo", "branchName": "main" });
    let keep = ground.branch("demo", "other", &first).await;
    keep.unwrap();
    ground.push_event().await.unwrap();
    let default = json!({ "repositoryName": "demo", "defaultBranchName": "other" });
    let codecommit = &ground.cloud().codecommit;
    codecommit.call("UpdateDefaultBranch", default, &ground.developer()).await.unwrap();
    codecommit.call("DeleteBranch", delete, &ground.developer()).await.unwrap();
    ground.push_event().await.unwrap();
    ground.branch("demo", "main", &first).await.unwrap();
    let back = ground.push_event().await.unwrap();
    let report = report(&ground, &trigger, &back).await;
    assert_eq!(report.verdict, "start", "{:?}", report.reasons);
    assert!(report.reasons[0].contains("try 2 of this commit"), "{:?}", report.reasons);
}

#[tokio::test]
async fn an_older_build_goes_on_when_the_newer_one_can_never_start() {
    let supersede = policy("{ branches: [main] }", "        supersede: true\n");
    let (mut ground, trigger) = ground(&supersede, SLOW).await;
    ground.commit("demo", "main", "one", &[("a", Some("1"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    report(&ground, &trigger, &push).await;
    ground.policy(&supersede.replace("build: unit", "build: nowhere")).unwrap();
    ground.commit("demo", "main", "two", &[("a", Some("2"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    let Handled::Refused(report) = handle(&ground, &trigger, &push).await.unwrap() else { panic!("not refused") };
    assert!(report.actions.iter().any(|action| action.ends_with("left, as its counterpart was refused")), "{report:?}");
    let starts = ground.objects("state/starts/").unwrap();
    assert_eq!(starts.values().next().unwrap().get("superseded_by"), None);
}

/// The branch moves between the decision and the start, to a commit that nothing starts for.
#[tokio::test]
async fn an_older_build_goes_on_when_the_newer_one_is_not_started_after_all() {
    let supersede = policy("{ branches: [main] }", "        supersede: true\n");
    let (mut ground, trigger) = ground(&supersede, SLOW).await;
    ground.commit("demo", "main", "one", &[("a", Some("1"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    report(&ground, &trigger, &push).await;
    let older = ground.builds("unit").await.unwrap();
    ground.commit("demo", "main", "two", &[("a", Some("2"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    ground.policy(&supersede.replace("enforce", "observe")).unwrap();
    let mut decided = report(&ground, &trigger, &push).await.replay["decision"]["actions"].take();
    let actions: Vec<Action> = serde_json::from_value(decided.take()).unwrap();
    assert!(matches!(actions.as_slice(), [Action::Start(_), Action::Stop(_)]), "{actions:?}");

    ground.commit("demo", "main", "typo [skip ci]", &[("a", Some("3"))]).await.unwrap();
    let skipped = ground.push_event().await.unwrap();
    ground.policy(&supersede).unwrap();
    report(&ground, &trigger, &skipped).await;
    let (setup, id) = (ground.setup("trigger").unwrap(), EventId::parse("decided").unwrap());
    let told = |actions| Report {
        at: ground.invocation().now,
        policy_version: None,
        mode: "enforce".to_owned(),
        verdict: "start".to_owned(),
        reasons: Vec::new(),
        actions,
        replay: json!({}),
    };
    let (turn, now) = (Turn::first(&id), ground.invocation());
    let handled = carry_out(&trigger, &setup.ledger, turn, now, Ending::Done, &actions, told).await.unwrap();
    let Handled::Reported(report) = handled else { panic!("not done: {handled:?}") };
    assert!(report.actions[0].ends_with("not started: the branch has moved on"), "{report:?}");
    assert!(report.actions[1].ends_with("left, as its counterpart was"), "{report:?}");
    let starts = ground.objects("state/starts/").unwrap();
    assert_eq!(starts.values().map(|start| start.get("superseded_by")).collect::<Vec<_>>(), [None]);
    let builds = ground.builds("unit").await.unwrap();
    assert_eq!(builds, older);
}

#[tokio::test]
async fn a_stop_that_was_throttled_is_done_when_the_event_comes_again() {
    let supersede = policy("{ branches: [main] }", "        supersede: true\n");
    let (mut ground, trigger) = ground(&supersede, SLOW).await;
    ground.commit("demo", "main", "one", &[("a", Some("1"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    report(&ground, &trigger, &push).await;
    let older = ground.builds("unit").await.unwrap().remove(0);
    ground.commit("demo", "main", "two", &[("a", Some("2"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    let chaos = &ground.cloud().world.chaos;
    chaos.set(Some("throttle@codebuild:StopBuild=1,seed=1".parse().unwrap()));
    assert!(matches!(handle(&ground, &trigger, &push).await, Err(Failure::Retry(_))));
    chaos.set(None);
    let again = report(&ground, &trigger, &push).await;
    assert!(again.reasons[0].contains("the commit is being built"), "{again:?}");
    assert!(again.actions.contains(&format!("stop build {older}: asked to stop")), "{again:?}");
    assert_eq!(ground.builds("unit").await.unwrap().len(), 2);
    let end = ground.build_end().await.unwrap();
    assert_eq!(end["detail"]["build-status"], "STOPPED");
    assert!(end["detail"]["build-id"].as_str().unwrap().ends_with(&older));
}

#[tokio::test]
async fn a_late_event_of_a_superseding_trigger_builds_the_tip_once() {
    let supersede = policy("{ branches: [main] }", "        supersede: true\n");
    let (mut ground, trigger) = ground(&supersede, SLOW).await;
    ground.commit("demo", "main", "one", &[("a", Some("1"))]).await.unwrap();
    let first = ground.push_event().await.unwrap();
    let tip = ground.commit("demo", "main", "two", &[("a", Some("2"))]).await.unwrap();
    let second = ground.push_event().await.unwrap();
    report(&ground, &trigger, &second).await;
    let late = report(&ground, &trigger, &first).await;
    assert_eq!(late.verdict, "nothing", "{:?}", late.reasons);
    let starts = ground.objects("state/starts/").unwrap();
    assert_eq!(starts.values().map(|start| start["commit"].clone()).collect::<Vec<_>>(), [json!(tip)]);
}

#[tokio::test]
async fn a_tip_is_recorded_with_when_it_was_seen_and_not_with_the_push_that_found_it() {
    let supersede = policy("{ branches: [main] }", "        supersede: true\n");
    let (mut ground, trigger) = ground(&supersede, SLOW).await;
    ground.commit("demo", "main", "one", &[("a", Some("1"))]).await.unwrap();
    let first = ground.push_event().await.unwrap();
    let tip = ground.commit("demo", "main", "two", &[("a", Some("2"))]).await.unwrap();
    let before = jiff::Timestamp::now();
    report(&ground, &trigger, &first).await;
    let starts = ground.objects("state/starts/").unwrap();
    let start: signalbox_events::BuildStart = serde_json::from_value(starts.values().next().unwrap().clone()).unwrap();
    assert_eq!((start.commit.as_str(), start.pushed), (tip.as_str(), None));
    // Before the branch is looked at once more, and so before the build is asked for.
    assert!(start.seen.is_some_and(|seen| before <= seen && seen < start.at), "{start:?}");
}

#[tokio::test]
async fn a_build_that_a_dead_invocation_started_is_found_by_its_token() {
    let (mut ground, trigger) = ground(&policy("{ branches: [main] }", ""), SLOW).await;
    let commit = ground.commit("demo", "main", "one", &[("a", Some("a"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    // What the invocation that died had decided: the same facts and policy give the same token.
    let observed = policy("{ branches: [main] }", "").replace("enforce", "observe");
    ground.policy(&observed).unwrap();
    let mut rehearsal = push.clone();
    rehearsal["id"] = json!("rehearsal");
    let told = report(&ground, &trigger, &rehearsal).await;
    let token = told.replay["decision"]["actions"][0]["start"]["token"].as_str().unwrap().to_owned();
    ground.policy(&policy("{ branches: [main] }", "")).unwrap();
    // It claimed the event, started the build, and died before it wrote anything down. Another idempotency token stands
    // for the five minutes after which CodeBuild forgets.
    let setup = ground.setup("trigger").unwrap();
    let id = EventId::parse(push["id"].as_str().unwrap()).unwrap();
    let lease = jiff::SignedDuration::from_secs(1);
    let long_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(10);
    let claim = setup.ledger.claim(Turn::first(&id), lease, long_ago).await.unwrap();
    drop(claim);
    let start = Start {
        project: ProjectName::parse("unit").unwrap(),
        source_version: commit,
        token: "forgotten".to_owned(),
        environment: [("SIGNALBOX_TOKEN".to_owned(), Variable::Plain(token))].into(),
        buildspec: None,
        history: FetchedHistory::AsProject,
    };
    let build = CodeBuild::new(&setup.aws).start(start).await.unwrap();

    let report = report(&ground, &trigger, &push).await;
    assert!(report.actions[0].ends_with(&format!("build {build}")), "{:?}", report.actions);
    assert_eq!(ground.builds("unit").await.unwrap().len(), 1);
    assert_eq!(ground.objects("state/starts/").unwrap().len(), 1);
}

#[tokio::test]
async fn observing_tells_what_would_start_and_starts_nothing() {
    let observe = policy("{ branches: [main] }", "").replace("enforce", "observe");
    let (mut ground, trigger) = ground(&observe, QUICK).await;
    ground.commit("demo", "main", "one", &[("a", Some("a"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    let report = report(&ground, &trigger, &push).await;
    assert_eq!((report.mode.as_str(), report.verdict.as_str()), ("observe", "start"));
    assert!(report.actions[0].starts_with("would start unit for main"), "{:?}", report.actions);
    assert!(ground.builds("unit").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_push_that_concerns_no_trigger_reads_nothing_and_leaves_nothing() {
    let (mut ground, trigger) = ground(&policy("{ branches: [main] }", ""), QUICK).await;
    ground.commit("demo", "feature", "one", &[("a", Some("a"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    assert_eq!(report(&ground, &trigger, &push).await.verdict, "not concerned");
    assert!(ground.objects("ledger/").unwrap().is_empty());
    assert!(ground.objects("state/").unwrap().is_empty());
}

#[tokio::test]
async fn a_tag_starts_its_trigger_and_a_missing_project_is_refused() {
    let (mut ground, trigger) = ground(&policy("{ tags: [\"v*\"] }", ""), QUICK).await;
    let commit = ground.commit("demo", "main", "one", &[("a", Some("a"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    let mut tag = push.clone();
    tag["id"] = json!("tag-1");
    tag["detail"] = json!({
        "event": "referenceCreated", "repositoryName": "demo", "repositoryId": push["detail"]["repositoryId"],
        "referenceType": "tag", "referenceName": "v1", "referenceFullName": "refs/tags/v1", "commitId": commit,
    });
    assert_eq!(report(&ground, &trigger, &push).await.verdict, "not concerned");
    assert_eq!(report(&ground, &trigger, &tag).await.verdict, "start");

    ground.policy(&policy("{ tags: [\"v*\"] }", "").replace("build: unit", "build: nowhere")).unwrap();
    tag["id"] = json!("tag-2");
    tag["detail"]["referenceName"] = json!("v2");
    tag["detail"]["referenceFullName"] = json!("refs/tags/v2");
    let Handled::Refused(report) = handle(&ground, &trigger, &tag).await.unwrap() else { panic!("not refused") };
    assert!(
        report.actions[0].contains("refused: codebuild:StartBuild on nowhere: ResourceNotFoundException"),
        "{report:?}"
    );
}
