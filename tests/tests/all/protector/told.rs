//! What people are told of protected refs: over the bus, by mail, once, and what they are asked for.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use signalbox_aws::{Bus, Entry, Failure};
use signalbox_glue::{Handle, Handled};
use signalbox_local::sns::Mail;
use signalbox_notifier::Notifier;

use super::MAIN;
use super::world::{World, policy};
use crate::desk::Desk;

const KIND: &str = "Signalbox Protection State Change";
const PEOPLE: &str = "people:\n  \"arn:aws:iam::111122223333:user/developer\": { name: Anna, email: anna@example.com, teams: [team-demo] }\n";
/// A text without its line breaks.
pub(super) fn flat(body: &str) -> String {
    body.split_whitespace().collect::<Vec<_>>().join(" ")
}

const TOKEN: &str = "AKIAQ7W5ZBD3KXJ2TPLM";

impl World {
    /// What the protector had told since this was asked last.
    pub(super) async fn put(&mut self) -> Vec<Value> {
        self.ground.events(KIND).await
    }

    pub(super) async fn notified(&self, event: &Value) -> Handled {
        let notifier = Notifier::new(&self.ground.setup("notifier").unwrap());
        notifier.handle(event.to_string().as_bytes(), self.ground.invocation()).await.unwrap()
    }

    /// Hands over what was put; gives all mail so far.
    pub(super) async fn mailed(&mut self) -> Vec<Arc<Mail>> {
        for event in self.put().await {
            let handled = self.notified(&event).await;
            assert!(matches!(handled, Handled::Reported(_)), "{handled:?}");
        }
        self.ground.cloud().sns.inbox()
    }

    /// The event of the next push to `main`, made and not handled yet.
    async fn forced(&mut self, message: &str) -> Value {
        self.git(&["commit", "--quiet", "--amend", "-m", message]);
        self.push("+main");
        self.event("refs/heads/main").await
    }

    fn role(&self) -> String {
        self.ground.stage.stack.functions.iter().find(|made| made.name.ends_with("protector")).unwrap().role.clone()
    }

    pub(super) fn deny(&self, action: &str) {
        let deny =
            json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Deny", "Action": action, "Resource": "*" }] });
        self.ground.cloud().world.iam.put_role_policy(&self.role(), "lacking", &deny).unwrap();
    }
}

/// One good commit on `main`, told.
async fn begun(protection: &str) -> World {
    let mut world = World::new(protection).await;
    world.ground.policy(&format!("{}{PEOPLE}", policy(protection))).unwrap();
    world.commit("one", &[("a", b"1")]);
    world.push("main");
    world.next().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn who_forced_a_branch_is_told_by_name_what_was_wrong_and_how_to_get_it_back() {
    let mut world = begun("{ refs: [main], forbid: [force-push], files: { reject: [secret] } }").await;
    std::fs::write(world.clone.join("key"), format!("key = {TOKEN}\n")).unwrap();
    world.git(&["add", "--all"]);
    let event = world.forced("a message nobody shall read").await;
    let pushed = world.git(&["rev-parse", "HEAD"]);
    assert_eq!(world.reported(&event).await.verdict, "restore");
    let put = world.put().await;
    assert_eq!(put.len(), 1, "{put:?}");
    for secret in [TOKEN, "a message nobody shall read"] {
        assert!(!put[0].to_string().contains(secret), "{}", put[0]);
    }
    assert!(matches!(world.notified(&put[0]).await, Handled::Reported(_)));
    let mail = world.ground.cloud().sns.inbox().remove(0);
    assert_eq!(mail.subject, "main of demo was put back (force-push and 1 more by Anna)");
    let first = mail.body.lines().next().unwrap();
    assert!(first.starts_with("Anna, please get what you pushed by the commands below"), "{}", mail.body);
    let short = &pushed[..7];
    for said in [
        "Anna <anna@example.com>, arn:aws:iam::111122223333:user/developer",
        "force-push (line 5): commits were dropped.",
        &format!("files.reject secret (line 5): key in {short}: line 1 has what looks like"),
        "Take it back where it was issued",
        &format!("ledger/protector/{}", event["id"].as_str().unwrap()),
    ] {
        let flat = mail.body.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(said), "{said}: {}", mail.body);
    }
    assert!(!mail.body.contains(TOKEN) && !mail.body.contains("nobody shall read"), "{}", mail.body);
    let attribute = |name: &str| mail.attributes.get(name).map(|value| value.text().to_owned());
    assert_eq!(attribute("topic").as_deref(), Some("protection.restored"));
    assert_eq!(attribute("ref").as_deref(), Some("refs/heads/main"));
    assert_eq!(attribute("to").as_deref(), Some(r#"["everyone","Anna"]"#));

    // The commands of the mail bring it back.
    let commands: Vec<&str> =
        mail.body.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| line.starts_with("git ")).collect();
    assert_eq!(commands.len(), 2, "{}", mail.body);
    let ran = world.command("sh").args(["-ec", &commands.join("\n")]).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(world.git(&["rev-parse", "HEAD"]), pushed);

    // Neither the event nor what it told is told twice.
    assert_eq!(world.handle(&event).await.unwrap(), Handled::Before);
    assert_eq!(world.put().await, Vec::<Value>::new());
    let mut again = put[0].clone();
    again["id"] = json!("another-delivery");
    assert_eq!(world.notified(&again).await, Handled::Before);
    assert_eq!(world.ground.cloud().sns.inbox().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_whose_name_is_a_command_is_a_word_in_mail() {
    let mut world = World::new("{ refs: [\"**\"], names: \"^main$\" }").await;
    let one = world.commit("one", &[("a", b"1")]);
    world.push("main");
    world.next().await;
    let odd = "refs/heads/x;touch${IFS}owned";
    world.push(&format!("main:{odd}"));
    let event = world.event(odd).await;
    assert_eq!(world.reported(&event).await.verdict, "restore");
    let mail = world.mailed().await.remove(0);
    let commands: Vec<&str> =
        mail.body.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| line.starts_with("git ")).collect();
    let ran = world.command("sh").args(["-ec", &commands.join("\n")]).output().unwrap();
    assert!(ran.status.success(), "{}: {}", mail.body, String::from_utf8_lossy(&ran.stderr));
    assert_eq!(world.git(&["rev-parse", "rescued"]), one);
    assert!(!world.clone.join("owned").exists(), "{}", mail.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_observed_or_only_reported_is_mailed_and_says_so() {
    let mut world = begun(MAIN).await;
    world.ground.policy(&policy(MAIN).replace("enforce", "observe")).unwrap();
    let event = world.forced("observed").await;
    world.reported(&event).await;
    let mail = world.mailed().await;
    assert_eq!(mail[0].subject, "main of demo would have been put back (force-push by developer)");
    assert!(mail[0].body.split_whitespace().collect::<Vec<_>>().join(" ").contains("the policy only observes"));
    assert_eq!(world.handle(&event).await.unwrap(), Handled::Before);

    let only = "{ refs: [main], forbid: [force-push], on_violation: report }";
    world.ground.policy(&policy(only)).unwrap();
    let event = world.forced("reported").await;
    world.reported(&event).await;
    let mail = world.mailed().await;
    assert_eq!(mail.len(), 2);
    assert_eq!(mail[1].subject, "main of demo is not as the policy wants it (force-push by developer)");
    assert!(flat(&mail[1].body).contains("on_violation: report"), "{}", mail[1].body);
    assert_eq!(mail[1].attributes["topic"].text(), "protection.violated");

    // Who hears of it is for the policy to say.
    world.ground.policy(&format!("{}    notifications: []\n", policy(only))).unwrap();
    let event = world.forced("silent").await;
    world.reported(&event).await;
    assert_eq!(world.mailed().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_is_missing_is_mailed_whether_it_is_to_judge_or_to_put_back() {
    let mut world = begun(MAIN).await;
    world.deny("codecommit:GetMergeCommit");
    let event = world.forced("not judged").await;
    let refused = world.handle(&event).await.unwrap_err();
    assert!(matches!(refused, Failure::Refused(_)), "{refused}");
    let mail = world.mailed().await;
    assert_eq!((mail.len(), mail[0].subject.as_str()), (1, "main of demo could not be protected"));
    assert!(mail[0].body.contains("codecommit:GetMergeCommit"), "{}", mail[0].body);
    assert_eq!(mail[0].attributes["topic"].text(), "protection.failed");
    // The queue's second delivery finds the same, and nobody is told twice.
    assert!(world.handle(&event).await.is_err());
    for event in world.put().await {
        assert_eq!(world.notified(&event).await, Handled::Before);
    }

    world.deny("codecommit:GitPush");
    let event = world.forced("not put back").await;
    let Handled::Refused(report) = world.handle(&event).await.unwrap() else { panic!("not refused") };
    assert_eq!(report.verdict, "restore");
    let mail = world.mailed().await;
    assert_eq!((mail.len(), mail[1].subject.as_str()), (2, "main of demo could not be protected"));
    assert!(mail[1].body.contains("codecommit:GitPush") && !mail[1].body.contains("git fetch"), "{}", mail[1].body);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_cut_off_before_it_is_told_tells_it_when_the_event_comes_again() {
    let mut world = begun(MAIN).await;
    let event = world.forced("cut off").await;
    let chaos = &world.ground.cloud().world.chaos;
    chaos.set(Some("fail@events:PutEvents=1".parse().unwrap()));
    assert!(matches!(world.handle(&event).await, Err(Failure::Retry(_))));
    world.ground.cloud().world.chaos.set(None);
    let kept = world.kept();
    assert_eq!(kept.len(), 1, "it is put back all the same");
    // By now the ref is where it was: what was done is known from the journal.
    let report = world.reported(&event).await;
    assert!(report.actions.iter().any(|line| line.contains("(done before)")), "{report:?}");
    let mail = world.mailed().await;
    assert_eq!((mail.len(), mail[0].subject.as_str()), (1, "main of demo was put back (force-push by Anna)"));
    let name = kept[0].0.trim_start_matches("refs/heads/");
    assert!(mail[0].body.contains(&format!("  git fetch origin {name}\n")), "{}", mail[0].body);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_keeps_pushing_gets_no_storm_of_mail() {
    let mut world = begun("{ refs: [main], forbid: [force-push], on_violation: report }").await;
    let (mut lines, mut told) = (Vec::new(), Vec::new());
    for number in 1..=9 {
        let event = world.forced(&format!("try {number}")).await;
        lines.extend(world.reported(&event).await.actions);
        told.extend(world.put().await);
    }
    for event in &told {
        world.notified(event).await;
    }
    let mail = world.ground.cloud().sns.inbox();
    assert_eq!(mail.len(), 6, "five one by one, and the eighth");
    let flat = mail[5].body.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("Before this, 2 more of Anna within an hour were not mailed"), "{}", mail[5].body);
    assert_eq!(lines.iter().filter(|line| line.contains("not mailed: it is number")).count(), 3, "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_bypasses_is_asked_for_a_reason_which_stands_once_it_is_given() {
    let protection = "{ refs: [main], forbid: [force-push], bypass: [\"arn:aws:iam::*:user/developer\"] }";
    let mut world = begun(protection).await;
    let event = world.forced("past it").await;
    let id = event["id"].as_str().unwrap().to_owned();
    assert_eq!(world.reported(&event).await.verdict, "bypassed");
    let mail = world.mailed().await.remove(0);
    assert_eq!(mail.subject, "Anna bypassed the protection of main of demo (force-push)");
    let command = format!("signalbox report bypass {id} --stack signalbox --reason '...'");
    assert!(mail.body.contains(&command), "{}", mail.body);

    let desk = Desk::at(&world.ground);
    let ran = desk.run(&["report", "protections"]).await;
    assert_eq!(ran.code, Some(1), "{} {}", ran.out, ran.error);
    assert!(ran.out.contains(&format!("no reason: signalbox report bypass {id}")), "{}", ran.out);
    assert!(ran.out.contains("needs you: 1 bypasses have no reason yet"), "{}", ran.out);

    // The command of the mail, as it stands there.
    let said = command.replace("'...'", "'the build was down'");
    let words: Vec<&str> = said.strip_prefix("signalbox ").unwrap().splitn(7, ' ').collect();
    let mut words: Vec<String> = words.into_iter().map(|word| word.trim_matches('\'').to_owned()).collect();
    let ran = desk.run(&words.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(ran.code, Some(0), "{} {}", ran.out, ran.error);
    let kept = world.ground.objects("ledger/reasons/").unwrap().remove(&format!("ledger/reasons/{id}")).unwrap();
    assert_eq!(
        (&kept["reason"], &kept["by"]),
        (&json!("the build was down"), &json!("arn:aws:iam::111122223333:user/developer"))
    );
    let ran = desk.run(&["report", "protections"]).await;
    assert_eq!(ran.code, Some(0), "{} {}", ran.out, ran.error);
    assert!(ran.out.contains("reason: the build was down (arn:aws:iam::111122223333:user/developer"), "{}", ran.out);

    // A second one is refused and tells the first; what is no bypass, and what is no reason, are refused, too.
    *words.last_mut().unwrap() = "another".to_owned();
    let ran = desk.run(&words.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert!(ran.code == Some(1) && ran.error.contains("the build was down"), "{} {}", ran.out, ran.error);
    for (event, reason, code, said) in [
        ("no-such-event", "x", 1, "knows no event no-such-event"),
        (id.as_str(), " ", 2, "the reason is empty"),
        ("with/slash", "x", 1, "is no event id"),
    ] {
        let ran = desk.run(&["report", "bypass", event, "--reason", reason]).await;
        assert!(ran.code == Some(code) && ran.error.contains(said), "{event}: {:?} {}", ran.code, ran.error);
    }
    let allowed = world.ground.objects("ledger/protector/").unwrap();
    let allowed = allowed.values().find(|entry| entry["report"]["verdict"] == "allowed").unwrap();
    let ran = desk.run(&["report", "bypass", allowed["event"].as_str().unwrap(), "--reason", "x"]).await;
    assert!(ran.code == Some(1) && ran.error.contains("is no bypass, it ended as: allowed"), "{}", ran.error);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_shows_what_enforce_would_have_done_and_did_by_rule_and_person() {
    let protection = "{ name: hygiene, refs: [main], forbid: [force-push], commits: { message: \"^[a-z]\" } }";
    let mut world = begun(protection).await;
    world.ground.policy(&policy(protection).replace("enforce", "observe")).unwrap();
    let event = world.forced("Bad message").await;
    world.reported(&event).await;
    world.ground.policy(&policy(protection)).unwrap();
    let event = world.forced("again").await;
    world.reported(&event).await;
    assert_eq!(world.next().await.verdict, "ours");
    world.deny("codecommit:GitPull");
    let event = world.forced("unjudged").await;
    // Refused events are written down by the loop around the function.
    let failure = world.handle(&event).await.unwrap_err();
    let report = signalbox_ledger::Report {
        at: Timestamp::now(),
        policy_version: None,
        mode: String::new(),
        verdict: "refused".to_owned(),
        reasons: vec![failure.chain()],
        actions: Vec::new(),
        replay: json!({ "received": event }),
    };
    let id = signalbox_events::EventId::parse(event["id"].as_str().unwrap()).unwrap();
    let ledger = world.ground.setup("protector").unwrap().ledger;
    ledger.refuse(signalbox_ledger::Turn::first(&id), report, Timestamp::now()).await.map(drop).unwrap();

    let desk = Desk::at(&world.ground);
    let ran = desk.run(&["report", "protections", "--json"]).await;
    assert_eq!(ran.code, Some(1), "{} {}", ran.out, ran.error);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    let rules: BTreeSet<(&str, u64, u64)> = report["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            assert_eq!((&row["protection"], &row["repository"]), (&json!("hygiene"), &json!("demo")));
            let number = |key: &str| row[key].as_u64().unwrap();
            (row["rule"].as_str().unwrap(), number("would_restore"), number("restored"))
        })
        .collect();
    assert_eq!(rules, [("commits.message", 1, 0), ("force-push", 1, 1)].into(), "{report}");
    assert_eq!(
        report["people"][0],
        json!({ "by": "arn:aws:iam::111122223333:user/developer", "moves": 3, "bypassed": 0 })
    );
    assert_eq!(report["failed"].as_array().unwrap().len(), 1, "{report}");
    assert_eq!((&report["failed"][0]["ref"], &report["unseen"]), (&json!("refs/heads/main"), &json!([])));
    assert!(report["failed"][0]["why"][0].as_str().unwrap().contains("codecommit:GitPull"), "{report}");

    let ran = desk.run(&["report", "protections"]).await;
    for said in
        ["hygiene", "would be put back", "was put back", "kept as quarantine/main/", "not judged, or not put back"]
    {
        assert!(ran.out.contains(said), "{said}: {}", ran.out);
    }
    assert!(!ran.out.contains('\u{1b}') && ran.error.is_empty(), "no colours, no progress: {:?}", ran.error);

    // Other repositories, another time, fewer entries; and what is no time at all.
    let ran = desk.run(&["report", "protections", "--repository", "other-*"]).await;
    assert!(ran.code == Some(0) && ran.out.contains("no move broke a protection"), "{} {}", ran.out, ran.error);
    let ran = desk.run(&["report", "protections", "--from", "2020-01-01", "--to", "2020-02-01"]).await;
    assert!(ran.code == Some(0) && ran.out.contains("no move broke a protection"), "{} {}", ran.out, ran.error);
    let ran = desk.run(&["report", "protections", "--most", "1", "--repository", "other"]).await;
    assert!(
        ran.code == Some(3) && ran.out.contains("older entries of the ledger were left out"),
        "{} {}",
        ran.out,
        ran.error
    );
    for arguments in [["--last", "a week"], ["--from", "yesterday"], ["--repository", "["]] {
        let ran = desk.run(&["report", "protections", arguments[0], arguments[1]]).await;
        assert_eq!(ran.code, Some(2), "{arguments:?}: {} {}", ran.out, ran.error);
    }
    let ran = desk.run(&["report", "protections", "--from", "2020-02-01", "--to", "2020-01-01"]).await;
    assert!(ran.code == Some(3) && ran.error.contains("--from must be before --to"), "{} {}", ran.out, ran.error);
    let ran = desk.run(&["report", "protections", "--stack", "none"]).await;
    assert!(ran.code == Some(3) && ran.error.contains("there is no stack none"), "{} {}", ran.out, ran.error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_the_sweep_cannot_read_is_told_once_a_day() {
    let mut world = begun(MAIN).await;
    world.deny("codecommit:GitPull");
    for id in ["clock-1", "clock-2"] {
        let Handled::Refused(report) = world.sweep(id).await else { panic!("not refused") };
        assert!(report.actions[0].contains("codecommit:GitPull"), "{report:?}");
    }
    let put = world.put().await;
    assert_eq!(put.len(), 2);
    // Midnight may have come between.
    if put[0]["detail"]["seen"].as_str().unwrap()[..10] == put[1]["detail"]["seen"].as_str().unwrap()[..10] {
        assert!(matches!(world.notified(&put[0]).await, Handled::Reported(_)));
        assert_eq!(world.notified(&put[1]).await, Handled::Before);
        assert_eq!(world.ground.cloud().sns.inbox()[0].subject, "the protected refs of demo could not be protected");
    }
}

/// The role may say nothing else.
#[tokio::test]
async fn the_protector_may_put_its_own_kind_of_event_only() {
    let world = World::new(MAIN).await;
    let put = async |source: &str, detail_type: &str| {
        let bus = Bus::new(&world.ground.aws("protector"));
        let (resources, time, detail) = (Vec::new(), Timestamp::now(), "{}".to_owned());
        bus.put(Entry { source, detail_type, resources, time, detail }).await
    };
    assert!(put("signalbox", KIND).await.is_ok());
    for (source, kind) in [("somebody", KIND), ("signalbox", "Signalbox Replica State Change")] {
        let refused = put(source, kind).await.unwrap_err();
        assert!(matches!(refused, Failure::Refused(_)) && refused.is_forbidden(), "{source}: {refused}");
    }
}
