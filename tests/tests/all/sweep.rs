//! The trigger's sweep over the local cloud: what a lost event left undone is done, and once.

mod gate;
mod told;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use signalbox_aws::Failure;
use signalbox_glue::{Handle, Handled};
use signalbox_ledger::Report;
use signalbox_tests::Ground;
use signalbox_trigger::Trigger;

use self::gate::guarded;

const QUICK: &str = "version: 0.2\nphases:\n  build:\n    commands: [\"true\"]\n";
const FAILING: &str = "version: 0.2\nphases:\n  build:\n    commands: [\"false\"]\n";

fn policy(push: &str, more: &str) -> String {
    format!(
        "mode: enforce\nrepositories:\n  \"demo*\":\n    triggers:\n      unit:\n        on: {{ push: {push} }}\n        start: {{ build: unit }}\n{more}"
    )
}

/// A repository with one commit on `main`, whose event was handled, and a sweep behind it.
async fn ground(policy: &str, buildspec: &str) -> (Ground, Trigger) {
    let mut ground = Ground::without_functions().await.unwrap();
    ground.repository("demo").await.unwrap();
    ground.project("unit", "demo", Some(buildspec)).await.unwrap();
    ground.policy(policy).unwrap();
    let trigger = Trigger::new(&ground.setup("trigger").unwrap());
    ground.commit("demo", "main", "first [skip ci]", &[("README.md", Some("r"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    handle(&ground, &trigger, &push).await.unwrap();
    assert_eq!(sweep(&ground, &trigger).await.verdict, "swept");
    (ground, trigger)
}

async fn handle(ground: &Ground, trigger: &Trigger, event: &Value) -> Result<Handled, Failure> {
    trigger.handle(event.to_string().as_bytes(), ground.invocation()).await
}

/// A scheduled event as the template's rule sends it.
fn scheduled(id: &str) -> Value {
    let sample: Value = serde_json::from_str(include_str!("../../../events/scheduled-sweep.json")).unwrap();
    let Value::Object(mut event) = sample else { panic!("the sample is no event") };
    event.insert("id".to_owned(), json!(id));
    event.insert("time".to_owned(), json!(Timestamp::now().to_string()));
    Value::Object(event)
}

async fn swept(ground: &Ground, trigger: &Trigger, id: &str) -> Handled {
    handle(ground, trigger, &scheduled(id)).await.unwrap()
}

async fn sweep(ground: &Ground, trigger: &Trigger) -> Report {
    match swept(ground, trigger, "sweep").await {
        Handled::Reported(report) => *report,
        other => panic!("no report: {other:?}"),
    }
}

async fn report(ground: &Ground, trigger: &Trigger, event: &Value) -> Report {
    match handle(ground, trigger, event).await.unwrap() {
        Handled::Reported(report) => *report,
        other => panic!("no report: {other:?}"),
    }
}

async fn built(ground: &Ground) -> usize {
    ground.builds("unit").await.unwrap().len()
}

/// What the sweep remembers of the branches of `demo`: short names with the commit, where there is one.
fn remembered(ground: &Ground) -> Vec<(String, Option<String>)> {
    let all = ground.objects("state/sweep/repositories/demo.json").unwrap();
    let branches = all.values().next().and_then(|memory| memory.get("branches")?.as_object()).unwrap();
    let tip = |seen: &Value| seen.get("commit").and_then(Value::as_str).map(str::to_owned);
    branches.iter().map(|(name, seen)| (name.clone(), tip(seen))).collect()
}

#[tokio::test]
async fn a_lost_push_is_found_and_built_once_whenever_its_event_comes() {
    // A build that failed would be tried again by an event that counts as another push.
    let (mut ground, trigger) = ground(&policy("{ branches: [main] }", ""), FAILING).await;
    let commit = ground.commit("demo", "main", "one", &[("a", Some("a"))]).await.unwrap();
    let lost = ground.push_event().await.unwrap();

    let found = sweep(&ground, &trigger).await;
    assert_eq!(found.verdict, "found");
    assert!(found.reasons[1].ends_with("no event told of it, the sweep found it"), "{:?}", found.reasons);
    assert!(found.actions[0].contains("start unit for main"), "{:?}", found.actions);
    ground.build_end().await.unwrap();
    let starts = ground.objects("state/starts/").unwrap();
    let start = starts.values().next().unwrap();
    assert_eq!((&start["commit"], &start["pusher"]), (&json!(commit), &Value::Null));
    assert!(start["previous"].is_string(), "{start}");
    // The sweep's own entry, and that of the push it found.
    let ledger = ground.objects("ledger/trigger/").unwrap();
    assert_eq!(ledger["ledger/trigger/sweep"]["report"]["verdict"], "found");
    let push = ledger.iter().find(|(key, _)| key.starts_with("ledger/trigger/sweep-")).unwrap().1;
    assert!(push["report"]["reasons"][0].as_str().unwrap().contains("no event told of it"), "{push}");

    for again in ["quiet-1", "quiet-2"] {
        let Handled::Reported(report) = swept(&ground, &trigger, again).await else { panic!("no report") };
        assert_eq!(report.verdict, "swept");
    }
    assert!(ground.objects("ledger/trigger/quiet-").unwrap().is_empty(), "a quiet sweep leaves nothing");
    assert_eq!(handle(&ground, &trigger, &lost).await.unwrap(), Handled::Before);
    let id = lost["id"].as_str().unwrap();
    let told = &ground.objects("ledger/trigger/").unwrap()[&format!("ledger/trigger/{id}")]["report"]["reasons"][0];
    assert!(told.as_str().unwrap().starts_with("the sweep found this push before its event came"), "{told}");
    assert_eq!(built(&ground).await, 1);
}

#[tokio::test]
async fn a_push_whose_event_came_is_left_alone_by_the_sweep() {
    let (mut ground, trigger) = ground(&policy("{ branches: [main] }", ""), FAILING).await;
    ground.commit("demo", "main", "one", &[("a", Some("a"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    report(&ground, &trigger, &push).await;
    ground.build_end().await.unwrap();
    assert_eq!(sweep(&ground, &trigger).await.verdict, "swept");
    assert_eq!(built(&ground).await, 1);
}

#[tokio::test]
async fn an_event_and_two_sweeps_at_once_start_one_build() {
    let (mut ground, trigger) = ground(&policy("{ branches: [main] }", ""), QUICK).await;
    for round in 0..3 {
        ground.commit("demo", "main", "one", &[("a", Some(&format!("{round}")))]).await.unwrap();
        let push = ground.push_event().await.unwrap();
        let (one, other) = (scheduled(&format!("s-{round}-1")), scheduled(&format!("s-{round}-2")));
        let all = tokio::join!(
            handle(&ground, &trigger, &one),
            handle(&ground, &trigger, &push),
            handle(&ground, &trigger, &other)
        );
        // Whoever lost a race comes again.
        for (event, outcome) in [(&one, all.0), (&push, all.1), (&other, all.2)] {
            if let Err(failure) = outcome {
                assert!(matches!(failure, Failure::Retry(_)), "{failure}");
                handle(&ground, &trigger, event).await.unwrap();
            }
        }
        assert_eq!(sweep(&ground, &trigger).await.verdict, "swept");
        assert_eq!(built(&ground).await, round + 1);
    }
}

#[tokio::test]
async fn what_is_seen_for_the_first_time_starts_nothing() {
    let everything = policy("{ branches: [main] }", "");
    let (ground, trigger) = ground(&everything, QUICK).await;
    // A repository that no sweep knows, branches that no trigger wanted, a repository that is made anew.
    ground.repository("demo-2").await.unwrap();
    ground.commit("demo-2", "main", "old", &[("a", Some("a"))]).await.unwrap();
    let tip = ground.commit("demo", "main", "older [skip ci]", &[("a", Some("a"))]).await.unwrap();
    ground.branch("demo", "feature", &tip).await.unwrap();
    assert_eq!(sweep(&ground, &trigger).await.verdict, "found");
    ground.branch("demo", "other", &tip).await.unwrap();
    assert_eq!(sweep(&ground, &trigger).await.verdict, "swept");
    ground.policy(&everything.replace("[main]", "[\"**\"]")).unwrap();
    assert_eq!(sweep(&ground, &trigger).await.verdict, "swept");

    let codecommit = &ground.cloud().codecommit;
    codecommit.call("DeleteRepository", json!({ "repositoryName": "demo" }), &ground.developer()).await.unwrap();
    ground.repository("demo").await.unwrap();
    let tip = ground.commit("demo", "main", "of another repository", &[("b", Some("b"))]).await.unwrap();
    ground.branch("demo", "feature", &tip).await.unwrap();
    let anew = sweep(&ground, &trigger).await;
    assert!(anew.reasons.iter().any(|reason| reason.starts_with("demo was deleted and made again")), "{anew:?}");
    assert_eq!(built(&ground).await, 0);
    // From then on it is swept like any other.
    ground.commit("demo", "feature", "lost", &[("c", Some("c"))]).await.unwrap();
    assert_eq!(sweep(&ground, &trigger).await.verdict, "found");
    assert_eq!(built(&ground).await, 1);
}

#[tokio::test]
async fn a_push_that_was_considered_and_started_nothing_is_not_started_by_the_sweep() {
    let paths = policy("{ branches: [main], paths: [\"src/**\"] }", "");
    let (mut ground, trigger) = ground(&paths, QUICK).await;
    for (message, file) in [("docs", "docs/a"), ("typo [skip ci]", "src/a")] {
        ground.commit("demo", "main", message, &[(file, Some("a"))]).await.unwrap();
        let push = ground.push_event().await.unwrap();
        assert_eq!(report(&ground, &trigger, &push).await.verdict, "nothing");
        // Not even where the policy would start it by now.
        ground.policy(&policy("{ branches: [main] }", "        skip_ci: ignore\n")).unwrap();
        assert_eq!(sweep(&ground, &trigger).await.verdict, "swept");
        ground.policy(&paths).unwrap();
    }
    // One that nobody considered is considered, and its filter holds.
    ground.commit("demo", "main", "docs", &[("docs/b", Some("a"))]).await.unwrap();
    ground.commit("demo", "main", "typo [skip ci]", &[("docs/c", Some("a"))]).await.unwrap();
    let found = sweep(&ground, &trigger).await;
    assert!(found.actions[0].contains("nothing to do"), "{:?}", found.actions);
    assert_eq!(built(&ground).await, 0);
}

#[tokio::test]
async fn a_lost_branch_is_found_and_a_deleted_one_forgotten() {
    let (mut ground, trigger) = ground(&policy("{ branches: [\"**\"] }", ""), QUICK).await;
    let tip = ground.commit("demo", "main", "one", &[("a", Some("a"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    report(&ground, &trigger, &push).await;
    ground.branch("demo", "feature", &tip).await.unwrap();
    let found = sweep(&ground, &trigger).await;
    assert!(found.reasons[1].starts_with("feature of demo is new"), "{:?}", found.reasons);
    assert_eq!(remembered(&ground), [("feature", &tip), ("main", &tip)].map(|(b, c)| (b.to_owned(), Some(c.clone()))));
    assert_eq!(built(&ground).await, 2);

    let codecommit = &ground.cloud().codecommit;
    let delete = json!({ "repositoryName": "demo", "branchName": "feature" });
    codecommit.call("DeleteBranch", delete, &ground.developer()).await.unwrap();
    assert_eq!(sweep(&ground, &trigger).await.verdict, "swept");
    assert_eq!(remembered(&ground), [("main".to_owned(), Some(tip))]);
}

#[tokio::test]
async fn a_lost_push_back_to_a_commit_whose_build_failed_is_another_push() {
    for more in ["", "        supersede: true\n"] {
        lost_push_back(&policy("{ branches: [main] }", more)).await;
    }
}

async fn lost_push_back(policy: &str) {
    let (mut ground, trigger) = ground(policy, FAILING).await;
    let mut commits = Vec::new();
    for text in ["one", "two"] {
        commits.push(ground.commit("demo", "main", text, &[("a", Some(text))]).await.unwrap());
        let push = ground.push_event().await.unwrap();
        report(&ground, &trigger, &push).await;
        ground.build_end().await.unwrap();
    }
    assert_eq!(sweep(&ground, &trigger).await.verdict, "swept");
    // Forced back, and no event told of it.
    let codecommit = &ground.cloud().codecommit;
    ground.branch("demo", "other", &commits[1]).await.unwrap();
    let default = json!({ "repositoryName": "demo", "defaultBranchName": "other" });
    codecommit.call("UpdateDefaultBranch", default, &ground.developer()).await.unwrap();
    let delete = json!({ "repositoryName": "demo", "branchName": "main" });
    codecommit.call("DeleteBranch", delete, &ground.developer()).await.unwrap();
    ground.branch("demo", "main", &commits[0]).await.unwrap();
    let found = sweep(&ground, &trigger).await;
    assert_eq!(found.verdict, "found", "{found:?}");
    assert_eq!(built(&ground).await, 3);
}

#[tokio::test]
async fn a_sweep_that_has_no_time_left_goes_on_where_it_stopped() {
    let (mut ground, trigger) = ground(&policy("{ branches: [\"**\"] }", ""), QUICK).await;
    let tip = ground.commit("demo", "main", "one", &[("a", Some("a"))]).await.unwrap();
    let push = ground.push_event().await.unwrap();
    report(&ground, &trigger, &push).await;
    for branch in 0..9 {
        ground.branch("demo", &format!("b{branch}"), &tip).await.unwrap();
        let push = ground.push_event().await.unwrap();
        report(&ground, &trigger, &push).await;
    }
    ground.repository("demo-2").await.unwrap();
    assert_eq!(sweep(&ground, &trigger).await.verdict, "swept");
    let before = built(&ground).await;

    // One step a sweep: eight branches, or what is left of a repository.
    let hasty = trigger.with_sweep_time(Duration::ZERO);
    let lost = ground.commit("demo", "main", "lost", &[("b", Some("b"))]).await.unwrap();
    let whole = ground.objects("state/sweep/cursor").unwrap()["state/sweep/cursor.json"].clone();
    assert_eq!(sweep(&ground, &hasty).await.verdict, "swept");
    let whole_cursor = || ground.objects("state/sweep/cursor").unwrap()["state/sweep/cursor.json"].clone();
    let cursor = || json!([whole_cursor()["repository"], whole_cursor()["behind"]]);
    assert_eq!(cursor(), json!(["demo", "b7"]));
    assert_eq!(whole_cursor()["began"], whole["began"], "it answers for no other sweep");
    let round = whole_cursor()["round"].clone();
    assert_eq!(sweep(&ground, &hasty).await.verdict, "found");
    assert!(remembered(&ground).contains(&("main".to_owned(), Some(lost))));
    assert_eq!(cursor(), json!(["demo-2", null]));
    assert_eq!(sweep(&ground, &hasty).await.verdict, "swept");
    assert_eq!(cursor(), json!(["demo", null]));
    assert_eq!(whole_cursor()["began"], round, "the round came around");
    assert_eq!(built(&ground).await, before + 1);
}

#[tokio::test]
async fn a_start_that_must_be_tried_again_is_done_by_the_next_sweep() {
    let (mut ground, trigger) = ground(&policy("{ branches: [main] }", ""), QUICK).await;
    ground.commit("demo", "main", "lost", &[("a", Some("a"))]).await.unwrap();
    let late = ground.push_event().await.unwrap();
    // The trigger's memory of the branch is spoilt: whoever needs it has to wait.
    let (s3, bucket) = (&ground.cloud().s3, ground.stage.bucket().unwrap());
    let key = "state/triggers/demo/unit/refs/heads/main.json";
    s3.put(bucket, key, b"spoilt").unwrap();
    let found = sweep(&ground, &trigger).await;
    assert!(found.actions[0].starts_with("main of demo: left for the next sweep"), "{:?}", found.actions);
    assert!(matches!(handle(&ground, &trigger, &late).await, Err(Failure::Retry(_))));
    // Said aloud once, when a queue would have given it up; and tried on.
    let memory = "state/sweep/repositories/demo.json";
    let mut there = ground.objects(memory).unwrap().remove(memory).unwrap();
    there["troubles"]["main"]["since"] = json!((Timestamp::now() - SignedDuration::from_hours(25)).to_string());
    s3.put(bucket, memory, there.to_string().as_bytes()).unwrap();
    let Handled::Refused(told) = swept(&ground, &trigger, "s-1").await else { panic!("not said") };
    let said = "main of demo could not be swept: it has failed for 25 hours: ";
    assert!(told.reasons.iter().any(|reason| reason.starts_with(said)), "{told:?}");
    assert!(matches!(swept(&ground, &trigger, "s-2").await, Handled::Reported(_)));
    s3.put(bucket, key, br#"{"green":null,"starts":[]}"#).unwrap();
    assert_eq!(sweep(&ground, &trigger).await.verdict, "found");
    handle(&ground, &trigger, &late).await.unwrap();
    assert_eq!(built(&ground).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_no_rule_let_through_is_built_by_the_programs_themselves() {
    let ground = Ground::with_functions().await.unwrap();
    ground.repository("demo").await.unwrap();
    ground.project("unit", "demo", Some(QUICK)).await.unwrap();
    ground.policy(&policy("{ branches: [main] }", "")).unwrap();
    ground.commit("demo", "main", "first [skip ci]", &[("a", Some("a"))]).await.unwrap();
    let queue = ground.stage.function("trigger");
    let tick = |id: &str| ground.cloud().sqs.send(&queue, &scheduled(id).to_string(), Default::default()).unwrap();
    let seen = |ground: &Ground| {
        let there = ground.objects("state/sweep/repositories/")?;
        Ok(there.values().next().map(|memory| memory["branches"]["main"]["commit"].clone()))
    };
    tick("sweep-1");
    let first = ground.until("the baseline", seen).await.unwrap();

    let rule = json!({ "Name": ground.stage.stack.resources["TriggerRule"].name });
    let bus = &ground.cloud().eventbridge;
    bus.call("DisableRule", rule.clone(), &ground.developer()).await.unwrap();
    let lost = ground.commit("demo", "main", "lost", &[("a", Some("b"))]).await.unwrap();
    bus.call("EnableRule", rule, &ground.developer()).await.unwrap();
    assert!(ground.objects("state/starts/").unwrap().is_empty());
    tick("sweep-2");
    tick("sweep-3");
    let moved = |ground: &Ground| Ok(seen(ground)?.filter(|commit| *commit != first));
    assert_eq!(ground.until("the sweep", moved).await.unwrap(), json!(lost));
    let starts = ground.objects("state/starts/").unwrap();
    assert_eq!(starts.values().map(|start| &start["commit"]).collect::<Vec<_>>(), [&json!(lost)]);
    ground.stage.clear().await.unwrap();
}

#[tokio::test]
async fn a_scheduled_event_that_waited_through_an_outage_finishes_as_answered() {
    let (ground, trigger) = ground(&policy("{ branches: [main] }", ""), QUICK).await;
    ground.commit("demo", "main", "lost", &[("a", Some("a"))]).await.unwrap();
    let mut old = scheduled("old");
    old["time"] = json!((Timestamp::now() - SignedDuration::from_mins(10)).to_string());
    let answered = report(&ground, &trigger, &old).await;
    assert!(answered.reasons[0].starts_with("a sweep that began later"), "{answered:?}");
    assert_eq!(built(&ground).await, 0);
    assert!(ground.objects("ledger/trigger/old").unwrap().is_empty());
    assert_eq!(sweep(&ground, &trigger).await.verdict, "found");
    assert_eq!(built(&ground).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_cannot_be_looked_at_is_left_by_itself_and_told_once() {
    let (mut ground, trigger) = ground(&policy("{ branches: [\"**\"] }", "        skip_ci: ignore\n"), QUICK).await;
    let tip = ground.commit("demo", "main", "one", &[("a", Some("a"))]).await.unwrap();
    ground.push_event().await.unwrap();
    for branch in ["first", "last"] {
        ground.branch("demo", branch, &tip).await.unwrap();
    }
    sweep(&ground, &trigger).await;
    assert_eq!(sweep(&ground, &trigger).await.verdict, "swept");
    let before = built(&ground).await;
    let closed = Arc::new(AtomicBool::new(true));
    let guarded = guarded(&ground, closed.clone(), &[".GetBranch", "\"last\""]).await;
    for branch in ["first", "last", "main"] {
        ground.commit("demo", branch, "lost", &[("b", Some(branch))]).await.unwrap();
    }
    let Handled::Refused(told) = swept(&ground, &guarded, "s-1").await else { panic!("not refused") };
    assert!(told.reasons.iter().any(|reason| reason.starts_with("last of demo could not be swept")), "{told:?}");
    assert_eq!(built(&ground).await, before + 2, "its neighbours are swept");
    for again in ["s-2", "s-2b"] {
        let Handled::Reported(told) = swept(&ground, &guarded, again).await else { panic!("told twice") };
        assert_eq!(told.verdict, "swept in part", "nothing is new, and all is not well");
        assert!(told.actions.iter().any(|left| left.starts_with("last of demo: left for the next sweep")), "{told:?}");
    }
    closed.store(false, Ordering::SeqCst);
    assert!(matches!(swept(&ground, &guarded, "s-3").await, Handled::Reported(told) if told.verdict == "found"));
    assert_eq!(built(&ground).await, before + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_may_not_be_read_is_refused_by_itself_and_told_once() {
    let (mut ground, trigger) = ground(&policy("{ branches: [main] }", ""), QUICK).await;
    for name in ["demo-1", "demo-2", "demo-3"] {
        ground.repository(name).await.unwrap();
        ground.commit(name, "main", "first", &[("a", Some("a"))]).await.unwrap();
        ground.push_event().await.unwrap();
    }
    assert_eq!(sweep(&ground, &trigger).await.verdict, "swept");
    let closed = Arc::new(AtomicBool::new(true));
    let guarded = guarded(&ground, closed.clone(), &[".ListBranches", "\"demo-2\""]).await;

    for name in ["demo-1", "demo-2", "demo-3"] {
        ground.commit(name, "main", "lost", &[("a", Some("b"))]).await.unwrap();
    }
    let Handled::Refused(told) = swept(&ground, &guarded, "s-1").await else { panic!("not refused") };
    assert!(told.reasons.iter().any(|reason| reason.contains("demo-2 could not be swept")), "{told:?}");
    assert_eq!(built(&ground).await, 2, "the neighbours on both sides are swept");
    let entry = &ground.objects("ledger/trigger/s-1").unwrap()["ledger/trigger/s-1"];
    assert_eq!(entry["phase"], "refused");
    // Told once, not at every sweep; and once it may be read again nothing is lost.
    let part = |handled: Handled| matches!(handled, Handled::Reported(told) if told.verdict == "swept in part");
    assert!(part(swept(&ground, &guarded, "s-2").await));
    // Neither is a sweep whole that had no time to look there again.
    let hasty = guarded.with_sweep_time(Duration::ZERO);
    for again in 0..6 {
        assert!(part(swept(&ground, &hasty, &format!("hasty-{again}")).await), "{again}");
    }
    closed.store(false, Ordering::SeqCst);
    let trigger = hasty.with_sweep_time(Duration::from_secs(30));
    assert!(matches!(swept(&ground, &trigger, "s-3").await, Handled::Reported(told) if told.verdict == "found"));
    assert_eq!(sweep(&ground, &trigger).await.verdict, "swept");
    assert_eq!(built(&ground).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_may_not_even_list_the_repositories_is_refused_as_one_that_left_something() {
    let (ground, _) = ground(&policy("{ branches: [main] }", ""), QUICK).await;
    let closed = Arc::new(AtomicBool::new(true));
    let guarded = guarded(&ground, closed.clone(), &[".ListRepositories"]).await;
    let Handled::Refused(told) = swept(&ground, &guarded, "s-1").await else { panic!("not refused") };
    assert_eq!(told.verdict, "swept in part");
    assert!(told.reasons[0].contains("codecommit:ListRepositories"), "{told:?}");
    assert_eq!(ground.objects("ledger/trigger/s-1").unwrap()["ledger/trigger/s-1"]["phase"], "refused");
    closed.store(false, Ordering::SeqCst);
    assert_eq!(sweep(&ground, &guarded).await.verdict, "swept");
}

#[tokio::test]
async fn a_repository_out_of_the_templates_reach_is_not_looked_at() {
    let (ground, trigger) = ground(&policy("{ branches: [main] }", ""), QUICK).await;
    ground.repository("demo-2").await.unwrap();
    let mut setup = ground.setup("trigger").unwrap();
    setup.settings.repositories = Some("arn:aws:codecommit:eu-west-1:111122223333:de?o-*".to_owned());
    ground.commit("demo", "main", "out of reach", &[("a", Some("a"))]).await.unwrap();
    assert_eq!(sweep(&ground, &Trigger::new(&setup)).await.verdict, "swept");
    let seen = ground.objects("state/sweep/repositories/demo-2").unwrap();
    assert_eq!(seen.len(), 1, "its neighbour is looked at");
    assert_eq!(sweep(&ground, &trigger).await.verdict, "found");
}
