//! The notifier over the local cloud, behind a real trigger and real builds; events are handed over by the test.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::SignedDuration;
use serde_json::{Value, json};
use signalbox_aws::{Aws, AwsEnvironment, Failure, Topic};
use signalbox_events::{AGAIN, EventId};
use signalbox_glue::{Handle, Handled, Invocation};
use signalbox_ledger::{Reopened, Report};
use signalbox_notifier::Notifier;
use signalbox_tests::Ground;
use signalbox_trigger::Trigger;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::commands::signalbox;

const POLICY: &str = "mode: enforce\nrepositories:\n  demo:\n    triggers:\n      unit:\n        on: { push: { branches: [main] } }\n        start: { build: unit }\n    notifications:\n      - about: [build.*]\n        to: [team-demo]\n";
const SPEC: &str = "version: 0.2\nphases:\n  build:\n    commands: [sh test.sh]\n";
const BAD: &str = "echo it does not add up\nexit 1\n";

struct Scene {
    ground: Ground,
    trigger: Trigger,
    notifier: Notifier,
}

impl Scene {
    async fn open() -> Self {
        let ground = Ground::without_functions().await.unwrap();
        ground.repository("demo").await.unwrap();
        ground.project("unit", "demo", Some(SPEC)).await.unwrap();
        ground.policy(POLICY).unwrap();
        let trigger = Trigger::new(&ground.setup("trigger").unwrap());
        let notifier = Notifier::new(&ground.setup("notifier").unwrap());
        Self { ground, trigger, notifier }
    }

    /// Pushes a test, lets the trigger start its build, and gives the event that tells of the end.
    async fn built(&mut self, test: &str) -> Value {
        self.ground.commit("demo", "main", "Change the test", &[("test.sh", Some(test))]).await.unwrap();
        let push = self.ground.push_event().await.unwrap();
        self.trigger.handle(push.to_string().as_bytes(), self.ground.invocation()).await.unwrap();
        self.ground.build_end().await.unwrap()
    }

    async fn told(&self, event: &Value) -> Handled {
        self.notifier.handle(event.to_string().as_bytes(), self.ground.invocation()).await.unwrap()
    }

    async fn report(&self, event: &Value) -> Report {
        match self.told(event).await {
            Handled::Reported(report) => *report,
            other => panic!("no report: {other:?}"),
        }
    }

    fn subjects(&self) -> Vec<String> {
        self.ground.cloud().sns.inbox().iter().map(|mail| mail.subject.clone()).collect()
    }
}

#[tokio::test]
async fn a_build_that_breaks_stays_broken_and_is_fixed_is_told_each_time() {
    let mut scene = Scene::open().await;
    for test in [BAD, "exit 1\n", "true\n", "true # again\n"] {
        let end = scene.built(test).await;
        scene.report(&end).await;
    }
    assert_eq!(
        scene.subjects(),
        [
            "unit broke on main of demo",
            "unit is still broken on main of demo (2nd failure)",
            "unit is fixed on main of demo"
        ]
    );
    let mail = scene.ground.cloud().sns.inbox().remove(0);
    assert!(mail.body.contains("it does not add up") && mail.body.contains("Change the test"), "{}", mail.body);
    assert_eq!(mail.attributes["to"].text(), r#"["team-demo"]"#);
}

/// An answer that is lost says nothing of whether the mail went out: the client must not send it again on its own account.
#[tokio::test]
async fn a_mail_whose_answer_is_lost_is_sent_once_by_one_try() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let get = |name: &str| Some(if name == "AWS_ENDPOINT_URL" { endpoint.clone() } else { "x".to_owned() });
    let topic = Topic::new(&Aws::new(AwsEnvironment::read(get).unwrap()), "arn:aws:sns:x:111122223333:mail");
    let received = Arc::new(AtomicUsize::new(0));
    let counted = received.clone();
    tokio::spawn(async move {
        while let Ok((mut caller, _)) = listener.accept().await {
            let mut bytes = [0; 1_024];
            if caller.read(&mut bytes).await.is_ok_and(|read| read > 0) {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    let failure = topic.publish("subject", "body", &[]).await.unwrap_err();
    assert!(matches!(failure, Failure::Retry(_)), "{failure}");
    assert_eq!(received.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_result_that_is_told_again_is_not_mailed_again() {
    let mut scene = Scene::open().await;
    let end = scene.built(BAD).await;
    scene.report(&end).await;
    let mut again = end.clone();
    again["id"] = json!("another-delivery");
    assert_eq!(scene.told(&end).await, Handled::Before);
    let report = scene.report(&again).await;
    assert_eq!(report.verdict, "silent", "{:?}", report.reasons);
    assert_eq!(scene.subjects().len(), 1);
    // The ledger still tells of the mail, not of the silence after it.
    let entries = scene.ground.objects("ledger/notifier/").unwrap();
    let verdicts: Vec<&Value> = entries.values().map(|entry| &entry["report"]["verdict"]).collect();
    assert!(entries.len() == 2 && verdicts.contains(&&json!("mail")), "{verdicts:?}");
}

#[tokio::test]
async fn results_in_the_wrong_order_end_in_the_same_history() {
    let mut histories = Vec::new();
    for swapped in [false, true] {
        let mut scene = Scene::open().await;
        let mut ends = vec![scene.built(BAD).await, scene.built("true\n").await];
        if swapped {
            ends.reverse();
        }
        for end in &ends {
            scene.report(end).await;
        }
        let history = scene.ground.objects("state/history/").unwrap().into_values().next().unwrap();
        let statuses: Vec<Value> =
            history["builds"].as_array().unwrap().iter().map(|one| one["status"].clone()).collect();
        histories.push(statuses);
        // The green one came first: nobody is told any more of the failure before it.
        assert_eq!(scene.subjects().len(), if swapped { 0 } else { 2 }, "{:?}", scene.subjects());
    }
    assert_eq!(histories[0], histories[1]);
}

/// As `signalbox redrive --again` does it: the entry is opened, and the event as it was kept comes once more.
#[tokio::test]
async fn a_finished_event_that_is_run_once_more_sends_its_mail_once_more() {
    let mut scene = Scene::open().await;
    let end = scene.built(BAD).await;
    scene.report(&end).await;
    let fixed = scene.built("true\n").await;
    scene.report(&fixed).await;
    let broke = scene.subjects().remove(0);

    let ledger = scene.ground.setup("notifier").unwrap().ledger;
    let id = EventId::parse(end["id"].as_str().unwrap()).unwrap();
    let now = scene.ground.invocation().now;
    let Reopened::Open { round, received } = ledger.reopen(&id, now).await.unwrap() else { panic!("not opened") };
    let mut again = received;
    again[AGAIN] = json!(round);
    let report = scene.report(&again).await;
    assert_eq!(report.verdict, "mail", "{:?}", report.reasons);
    let mails = scene.ground.cloud().sns.inbox();
    assert_eq!((mails.len(), &mails[2].subject), (3, &broke));
    assert!(mails[2].body.starts_with("Look at the build of "), "{}", mails[2].body);
    // The same wish delivered twice sends no fourth.
    assert_eq!(scene.told(&again).await, Handled::Before);
    assert_eq!(scene.subjects().len(), 3);
}

/// The event of the older push comes last, so its build is started last.
#[tokio::test]
async fn a_push_whose_event_comes_late_breaks_nothing() {
    let mut scene = Scene::open().await;
    let start = async |scene: &mut Scene, push: &Value| {
        scene.trigger.handle(push.to_string().as_bytes(), scene.ground.invocation()).await.unwrap();
        scene.ground.build_end().await.unwrap()
    };
    scene.ground.commit("demo", "main", "Break it", &[("test.sh", Some(BAD))]).await.unwrap();
    let older = scene.ground.push_event().await.unwrap();
    scene.ground.commit("demo", "main", "Mend it", &[("test.sh", Some("true\n"))]).await.unwrap();
    let newer = scene.ground.push_event().await.unwrap();
    for push in [newer, older] {
        let end = start(&mut scene, &push).await;
        scene.report(&end).await;
    }
    assert_eq!(scene.subjects(), [""; 0]);
    let entries = scene.ground.objects("ledger/notifier/").unwrap();
    let reasons: String = entries.values().map(|entry| entry["report"]["reasons"].to_string()).collect();
    assert!(reasons.contains("it comes late"), "{reasons}");
}

/// The older commit has no build of its own push, so that only git knows which of the two is the older one.
#[tokio::test]
async fn an_older_commit_that_somebody_builds_breaks_nothing() {
    let mut scene = Scene::open().await;
    let older = scene.ground.commit("demo", "main", "Break it", &[("test.sh", Some(BAD))]).await.unwrap();
    scene.ground.push_event().await.unwrap();
    let green = scene.built("true\n").await;
    scene.report(&green).await;
    let variable = |name: &str, value: &str| json!({ "name": format!("SIGNALBOX_{name}"), "value": value });
    let by_hand = json!({
        "projectName": "unit", "sourceVersion": older,
        "environmentVariablesOverride": [
            variable("TRIGGER", "unit"), variable("REPOSITORY", "demo"), variable("REF", "refs/heads/main"),
            variable("COMMIT", &older),
        ],
    });
    scene.ground.cloud().codebuild.call("StartBuild", by_hand, &scene.ground.developer()).await.unwrap();
    let end = scene.ground.build_end().await.unwrap();
    // So much later that no record of a start is waited for.
    let now = scene.ground.invocation().now + SignedDuration::from_mins(3);
    let later = Invocation::new(now, now + SignedDuration::from_mins(2));
    let handled = scene.notifier.handle(end.to_string().as_bytes(), later).await.unwrap();
    let Handled::Reported(report) = handled else { panic!("no report: {handled:?}") };
    assert!(report.reasons[1].starts_with("it builds an older commit again"), "{:?}", report.reasons);
    assert!(scene.subjects().is_empty());
}

#[tokio::test]
async fn explain_takes_the_entry_of_the_ledger_alone() {
    let mut scene = Scene::open().await;
    let end = scene.built(BAD).await;
    let report = scene.report(&end).await;
    let entry = scene.ground.objects("ledger/notifier/").unwrap().into_values().next().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let policy = dir.path().join("signalbox.yaml");
    std::fs::write(&policy, POLICY).unwrap();
    // One that somebody has opened again keeps what it was decided on before.
    let mut opened = entry.clone();
    opened["earlier"] = json!([{ "phase": "done", "outcomes": {}, "report": opened["report"].take() }]);
    for (name, entry) in [("entry.json", entry), ("opened.json", opened)] {
        let file = dir.path().join(name);
        std::fs::write(&file, entry.to_string()).unwrap();
        let arguments = ["explain", "--policy", policy.to_str().unwrap(), "--json", "--facts", file.to_str().unwrap()];
        let (code, out, error) = signalbox(&arguments).await;
        assert_eq!(code, Some(0), "{error}");
        let explained: Value = serde_json::from_str(&out).unwrap();
        let notifier = &explained["functions"]["notifier"];
        assert_eq!((&notifier["facts_given"], &notifier["reasons"]), (&json!(true), &json!(report.reasons)));
    }
}

#[tokio::test]
async fn a_secret_in_the_log_reaches_neither_mail_nor_ledger() {
    let mut scene = Scene::open().await;
    let end = scene.built("echo password=hunter2hunter2\necho AKIAIOSFODNN7EXAMPLE\nexit 1\n").await;
    scene.report(&end).await;
    let mail = scene.ground.cloud().sns.inbox().remove(0);
    let ledger = Value::from_iter(scene.ground.objects("ledger/notifier/").unwrap()).to_string();
    for text in [mail.body.as_str(), &ledger] {
        assert!(!text.contains("hunter2") && !text.contains("AKIAIOSFODNN7EXAMPLE"), "{text}");
        assert!(text.contains("[removed]"), "{text}");
    }
}

#[tokio::test]
async fn a_build_that_somebody_started_by_hand_is_told_by_its_project_and_initiator() {
    let mut scene = Scene::open().await;
    scene.ground.commit("demo", "main", "one", &[("test.sh", Some(BAD))]).await.unwrap();
    let by_hand = json!({ "projectName": "unit", "sourceVersion": "main" });
    scene.ground.cloud().codebuild.call("StartBuild", by_hand, &scene.ground.developer()).await.unwrap();
    let end = scene.ground.build_end().await.unwrap();
    let report = scene.report(&end).await;
    assert_eq!(report.verdict, "mail", "{:?}", report.reasons);
    let mail = scene.ground.cloud().sns.inbox().remove(0);
    assert!(mail.subject.starts_with("unit broke on main of demo"), "{}", mail.subject);
    assert!(mail.body.contains("developer"), "{}", mail.body);
}

#[tokio::test]
async fn where_nobody_listens_no_mail_goes_out_and_the_history_is_kept() {
    let mut scene = Scene::open().await;
    scene
        .ground
        .policy(
            &POLICY.replace("      - about: [build.*]\n        to: [team-demo]\n", "      - about: [build.fixed]\n"),
        )
        .unwrap();
    let end = scene.built(BAD).await;
    scene.report(&end).await;
    assert!(scene.subjects().is_empty());
    let end = scene.built("true\n").await;
    scene.report(&end).await;
    assert_eq!(scene.subjects(), ["unit is fixed on main of demo"]);
}
