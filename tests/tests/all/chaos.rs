//! Pushes under hostile delivery: every trouble at once, and then each build and each mail counted.
//!
//! The short one is part of `cargo test`. The long one has 10,000 pushes, or as many as `SIGNALBOX_PUSHES` says:
//! `cargo test --test all -- --ignored --nocapture ten_thousand`

#![expect(clippy::indexing_slicing, reason = "a JSON value that lacks a member gives null")]

mod pushes;
mod truth;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use signalbox_glue::{Handle, Handled};
use signalbox_local::eventbridge::RuleState;
use signalbox_local::lambda::Settings;
use signalbox_tests::Ground;
use signalbox_trigger::Trigger;

use self::pushes::Pushes;
use self::truth::Truth;

const POLICY: &str = "mode: enforce\nrepositories:\n  demo:\n    triggers:\n      unit:\n        on: { push: { branches: [\"work-*\"] } }\n        start: { build: unit }\n      sad:\n        on: { push: { branches: [\"sad-*\"] } }\n        start: { build: sad }\n    notifications:\n      - about: [build.*]\n        to: [team-demo]\n";

/// How hard it is.
struct Trial {
    chaos: &'static str,
    /// Branches that are pushed to in every round, and whose builds pass.
    branches: usize,
    rounds: usize,
    /// So many of them are pushed to once more behind the last round, and no event tells of it: only the sweep can.
    unheard: usize,
    /// New branches in every round, whose builds fail: each is told by mail.
    sad: usize,
    /// After how many rounds a sweep comes.
    sweep_every: usize,
    /// How many processes of each function there may be at once.
    environments: usize,
    /// How many more builds than two may run at once.
    builds_at_once: usize,
    /// How long the functions may run: a process that is killed leaves its claims until then.
    time_out: Duration,
    /// Everything must be done by then.
    limit: Duration,
}

async fn ground(Trial { time_out, environments, builds_at_once, .. }: &Trial) -> Ground {
    let (time_out, environments, builds_at_once) = (*time_out, *environments, *builds_at_once);
    let ground = Ground::with_functions_for(time_out, Settings { environments }).await.unwrap();
    ground.repository("demo").await.unwrap();
    for (project, command) in [("unit", "true"), ("sad", "exit 1")] {
        let input = json!({
            "name": project,
            "source": { "type": "NO_SOURCE", "buildspec": format!("version: 0.2\nphases:\n  build:\n    commands: [\"{command}\"]\n") },
            "artifacts": { "type": "NO_ARTIFACTS" },
            "environment": { "type": "LINUX_CONTAINER", "image": "aws/codebuild/standard:7.0", "computeType": "BUILD_GENERAL1_SMALL" },
            "serviceRole": "arn:aws:iam::111122223333:role/build",
        });
        ground.cloud().codebuild.call("CreateProject", input, &ground.developer()).await.unwrap();
    }
    // Otherwise most starts are refused because the queue of builds is full, which is a trouble of its own.
    ground.cloud().codebuild.raise_quota(builds_at_once);
    ground.policy(POLICY).unwrap();
    // The notifier has a part of the builds, so that the trigger has most of the machine.
    let rules = ground.cloud().eventbridge.rule_names();
    let rule = rules.iter().find(|name| name.contains("NotifierRule")).unwrap();
    let pattern = json!({
        "source": ["aws.codebuild"], "detail-type": ["CodeBuild Build State Change"],
        "detail": { "build-status": ["SUCCEEDED", "FAILED", "FAULT", "TIMED_OUT", "STOPPED"], "project-name": ["sad"] },
    });
    ground.cloud().eventbridge.put_rule(rule, &pattern, RuleState::Enabled).unwrap();
    for function in ["trigger", "notifier"] {
        // What a killed process held comes again after this, and not after twelve minutes.
        hide_for(&ground, function, time_out + Duration::from_secs(2));
    }
    ground
}

fn hide_for(ground: &Ground, function: &str, time: Duration) {
    let attributes = [("VisibilityTimeout".to_owned(), time.as_secs().to_string())].into();
    ground.cloud().sqs.set_attributes(&ground.stage.function(function), &attributes).unwrap();
}

fn waiting(ground: &Ground, function: &str) -> usize {
    let counts = ground.cloud().sqs.counts(&ground.stage.function(function)).unwrap();
    counts.visible + counts.in_flight + counts.delayed
}

/// Waits until no more than so many events wait; says how it goes every ten seconds.
async fn until_at_most(ground: &Ground, truth: &Truth, (trigger, notifier): (usize, usize), limit: Instant) {
    let mut told = Instant::now();
    while waiting(ground, "trigger") > trigger
        || waiting(ground, "notifier") > notifier
        || (notifier == 0 && truth.running() > 0)
    {
        if told.elapsed() > Duration::from_secs(10) {
            told = Instant::now();
            println!(
                "  {} pushes, {} builds ({} run); {} and {} events wait; chaos: {}",
                truth.pushes(),
                truth.builds(),
                truth.running(),
                waiting(ground, "trigger"),
                waiting(ground, "notifier"),
                ground.cloud().world.chaos.told(),
            );
        }
        assert!(Instant::now() < limit, "not done in time\n{}", acts(ground));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the bus has told of so many pushes.
async fn until_pushed(ground: &Ground, truth: &Truth, count: usize, limit: Instant) {
    while truth.pushes() < count {
        assert!(Instant::now() < limit, "{} of {count} pushes\n{}", truth.pushes(), acts(ground));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What to replay a failure with.
fn acts(ground: &Ground) -> String {
    let chaos = &ground.cloud().world.chaos;
    let plan = chaos.plan().map(|plan| plan.to_string()).unwrap_or_default();
    let last = chaos.last_acts();
    let last = last.iter().rev().take(40).rev().cloned().collect::<Vec<_>>().join("\n  ");
    format!("chaos was {plan}\nit did: {}\nthe last acts:\n  {last}", chaos.told())
}

/// What a person finds in a function's log under an event's id: why it came again.
async fn reasons_in_log(ground: &Ground, function: &str, event: &str) -> Vec<String> {
    let group = format!("/aws/lambda/{}", ground.stage.function(function));
    let mut found = Vec::new();
    let mut input = json!({ "logGroupName": group, "filterPattern": format!("\"{event}\"") });
    loop {
        let page = ground.cloud().logs.call("FilterLogEvents", input.clone()).await.unwrap();
        for line in page["events"].as_array().into_iter().flatten() {
            let line: Value =
                serde_json::from_str(line["message"].as_str().unwrap_or_default().trim()).unwrap_or_default();
            if line["message"] == "comes again" && line["event.id"] == event {
                found.push(line["why"].as_str().unwrap_or_default().to_owned());
            }
        }
        match page.get("nextToken") {
            Some(token) => input["nextToken"] = token.clone(),
            None => return found,
        }
    }
}

/// Everything that lies in a function's dead-letter queue.
async fn dead_letters(ground: &Ground, function: &str) -> Vec<signalbox_local::sqs::Message> {
    let queue = format!("{}-dead-letters", ground.stage.function(function));
    let mut found = Vec::new();
    loop {
        let some = ground.cloud().sqs.receive(&queue, 10, Duration::ZERO).await.unwrap();
        if some.is_empty() {
            return found;
        }
        found.extend(some);
    }
}

/// What a trial leaves behind, all events done.
struct Aftermath {
    ground: Ground,
    truth: Truth,
    pushes: Pushes,
    unheard: usize,
    began: Instant,
    limit: Instant,
}

/// Pushes under trouble and waits until nothing is left to do.
async fn weather(trial: &Trial) -> Aftermath {
    let began = Instant::now();
    let limit = began + trial.limit;
    let ground = ground(trial).await;
    let truth = Truth::watch(&ground);
    let pushes = Pushes::prepare(&ground, (trial.branches, trial.unheard), (trial.rounds, trial.sad)).await;
    println!("{} pushes are prepared after {:.1} s", pushes.count(), began.elapsed().as_secs_f64());
    ground.cloud().world.chaos.set(Some(trial.chaos.parse().unwrap()));
    // The first sweep only remembers.
    sweep_clean(&ground).await;
    for round in 0..trial.rounds {
        pushes.push(&ground, round).await;
        if round % trial.sweep_every == trial.sweep_every - 1 {
            // In the midst of the events: whoever comes first, one acts.
            sweep(&ground).await;
        }
        until_at_most(&ground, &truth, (1_500, 400), limit).await;
    }
    until_at_most(&ground, &truth, (0, 0), limit).await;
    if trial.unheard > 0 {
        ground.cloud().world.chaos.set(Some(format!("{},drop@codecommit=1", trial.chaos).parse().unwrap()));
        pushes.push(&ground, trial.rounds).await;
        until_pushed(&ground, &truth, pushes.count(), limit).await;
        ground.cloud().world.chaos.set(Some(trial.chaos.parse().unwrap()));
    }
    sweep_clean(&ground).await;
    until_at_most(&ground, &truth, (0, 0), limit).await;
    let unheard = trial.unheard;
    Aftermath { ground, truth, pushes, unheard, began, limit }
}

impl Aftermath {
    /// Every push has its one build, but for those that are known to have none.
    fn no_start_is_lost_and_none_doubled(&self, without: &[&truth::Pushed]) {
        let (ground, kept) = (&self.ground, acts(&self.ground));
        let report = self.truth.report();
        println!(
            "{} pushes, {} of them told by no event ({} the last of their branch); {} starts; {} lost, {} doubled; {:.0} s\nchaos: {}",
            report.pushes,
            report.dropped,
            report.dropped_heads,
            report.starts,
            report.lost.iter().filter(|lost| !without.contains(lost)).count(),
            report.doubled.len(),
            self.began.elapsed().as_secs_f64(),
            ground.cloud().world.chaos.told()
        );
        assert_eq!(report.missed, 0, "this test itself missed events");
        assert_eq!(report.pushes, self.pushes.count() + without.len(), "not every push was published once\n{kept}");
        assert!(report.dropped_heads >= self.unheard, "the sweep was not put to the proof\n{kept}");
        let lost: Vec<_> = report.lost.iter().filter(|lost| !without.contains(lost)).collect();
        assert!(lost.is_empty(), "lost: {lost:?}\n{kept}");
        assert!(report.doubled.is_empty(), "doubled: {:?}\n{kept}", report.doubled);
        every_start_is_recorded_once(ground, &report);
    }

    /// Only these lie in the trigger's dead-letter queue, each with its reason: one that the rule was not let deliver, and
    /// one that the function gave up on.
    async fn dead_letters_have_their_reasons(&self, denied: &truth::Pushed, hopeless: &truth::Pushed) {
        let (ground, kept) = (&self.ground, acts(&self.ground));
        let dead = dead_letters(ground, "trigger").await;
        let ids: Vec<String> = dead.iter().map(|letter| event_id(&letter.body)).collect();
        let copies_of = |id: &str| ids.iter().filter(|other| *other == id).count();
        assert!(copies_of(&denied.event) >= 1 && copies_of(&hopeless.event) >= 1, "{ids:?}\n{kept}");
        assert_eq!(copies_of(&denied.event) + copies_of(&hopeless.event), ids.len(), "{ids:?}\n{kept}");
        for letter in dead.iter().filter(|letter| event_id(&letter.body) == denied.event) {
            let reason = letter.attributes["ERROR_MESSAGE"].string_value.clone().unwrap();
            assert_eq!(letter.attributes["ERROR_CODE"].string_value.as_deref(), Some("NO_PERMISSIONS"), "{reason}");
        }
        let why = reasons_in_log(ground, "trigger", &hopeless.event).await;
        assert!(why.iter().any(|why| why.contains("it is not what belongs there")), "{why:?}\n{kept}");
        assert_eq!(dead_letters(ground, "notifier").await.len(), 0, "{kept}");
        println!("{} dead letters, each with its reason", ids.len());
    }
}

/// Everything at once.
async fn all_trouble_at_once(trial: &Trial) {
    let aftermath = weather(trial).await;
    let ground = &aftermath.ground;
    let queue = ground.stage.function("trigger");
    let malformed = r#"{"id":"malformed-on-purpose","source":"aws.codecommit","detail-type":"CodeCommit Repository State Change","account":"1","region":"eu-west-1","resources":[],"detail":{"event":"referenceUpdated"}}"#;
    ground.cloud().sqs.send(&queue, malformed, Default::default()).unwrap();
    // These two events must come.
    ground.cloud().world.chaos.set(Some(format!("{},drop@codecommit=0", trial.chaos).parse().unwrap()));
    let denied = denied(ground, &aftermath.pushes).await;
    let hopeless = hopeless(ground, &aftermath.pushes).await;
    until_at_most(ground, &aftermath.truth, (0, 0), aftermath.limit).await;

    aftermath.no_start_is_lost_and_none_doubled(&[&denied, &hopeless]);
    every_failed_build_is_told(ground, &aftermath.truth).await;
    aftermath.dead_letters_have_their_reasons(&denied, &hopeless).await;
    let refused = ground.stage.ledger_entry("trigger", "malformed-on-purpose").unwrap().unwrap();
    assert_eq!(refused["phase"], "refused", "{refused}");
    ground.cloud().world.chaos.set(None);
    aftermath.ground.stage.clear().await.unwrap();
}

fn event_id(body: &str) -> String {
    let event: Value = serde_json::from_str(body).unwrap();
    event["id"].as_str().unwrap().to_owned()
}

/// A push whose event the queue's policy does not let in.
async fn denied(ground: &Ground, pushes: &Pushes) -> truth::Pushed {
    let queue = ground.stage.function("trigger");
    let read = json!({ "QueueUrl": ground.cloud().sqs.url(&queue), "AttributeNames": ["Policy"] });
    let before = ground.cloud().sqs.call("GetQueueAttributes", read, &ground.developer()).await.unwrap();
    let policy = before["Attributes"]["Policy"].as_str().unwrap().to_owned();
    let put =
        |policy: String| ground.cloud().sqs.set_attributes(&queue, &[("Policy".to_owned(), policy)].into()).unwrap();
    put(policy.replace("events.amazonaws.com", "sns.amazonaws.com"));
    let pushed = pushes.push_one(ground, "work-denied").await;
    put(policy);
    pushed
}

/// A push that the trigger can never handle: what it remembers of the branch is spoilt.
async fn hopeless(ground: &Ground, pushes: &Pushes) -> truth::Pushed {
    let bucket = ground.stage.bucket().unwrap();
    let key = "state/triggers/demo/unit/refs/heads/work-hopeless.json";
    ground.cloud().s3.put(bucket, key, b"spoilt").unwrap();
    let queue = ground.stage.function("trigger");
    let dead_letters = ground.cloud().sqs.arn(&format!("{queue}-dead-letters"));
    // A day of waiting is left out.
    let redrive = json!({ "deadLetterTargetArn": dead_letters, "maxReceiveCount": 3 }).to_string();
    ground.cloud().sqs.set_attributes(&queue, &[("RedrivePolicy".to_owned(), redrive)].into()).unwrap();
    pushes.push_one(ground, "work-hopeless").await
}

/// How often the notifier could not write into its ledger what it had done.
async fn times_unrecorded(ground: &Ground) -> u64 {
    let group = format!("/aws/lambda/{}", ground.stage.function("notifier"));
    let mut input = json!({ "logGroupName": group, "filterPattern": "\"comes again\" \"ledger/notifier\"" });
    let mut count = 0;
    loop {
        let page = ground.cloud().logs.call("FilterLogEvents", input.clone()).await.unwrap();
        count += page["events"].as_array().map_or(0, Vec::len) as u64;
        match page.get("nextToken") {
            Some(token) => input["nextToken"] = token.clone(),
            None => return count,
        }
    }
}

/// A sweep, as the scheduled rule has it done; by the function's own code over the wire, and not by its program, which may
/// run too shortly here. Gives its verdict.
async fn sweep(ground: &Ground) -> Option<String> {
    let trigger = Trigger::new(&ground.setup("trigger").unwrap());
    let event = json!({
        "version": "0", "id": ground.cloud().world.uuid(), "detail-type": "Scheduled Event", "source": "aws.events",
        "account": "111122223333", "time": ground.cloud().world.now().to_string(), "region": "eu-west-1",
        "resources": ["arn:aws:events:eu-west-1:111122223333:rule/sweep"], "detail": {},
    });
    match trigger.handle(event.to_string().as_bytes(), ground.invocation()).await {
        Ok(Handled::Reported(report) | Handled::Refused(report)) => Some(report.verdict),
        Ok(_) | Err(_) => None,
    }
}

/// Sweeps until one has looked and finds nothing any more.
async fn sweep_clean(ground: &Ground) {
    for _ in 0..40 {
        if sweep(ground).await.as_deref() == Some("swept") {
            return;
        }
    }
    panic!("forty sweeps, and each found something or failed\n{}", acts(ground));
}

/// The record of every start is there, and no build is known under two.
fn every_start_is_recorded_once(ground: &Ground, report: &truth::Counted) {
    let records = ground.objects("state/starts/").unwrap();
    let mut builds: Vec<&str> = records.values().filter_map(|record| record["build"].as_str()).collect();
    builds.sort_unstable();
    let mut started: Vec<&str> = report.builds.iter().map(String::as_str).collect();
    started.sort_unstable();
    assert_eq!(builds, started, "{}", acts(ground));
}

/// Every build that failed is told, and told twice only where the answer or the record of the first mail was lost.
async fn every_failed_build_is_told(ground: &Ground, truth: &Truth) {
    let kept = acts(ground);
    let mails = ground.cloud().sns.inbox();
    let (mut untold, mut doubled) = (Vec::new(), 0_u64);
    for branch in truth.failed() {
        match mails.iter().filter(|mail| mail.subject.contains(&branch)).count() {
            0 => untold.push(branch),
            count => doubled += count as u64 - 1,
        }
    }
    assert!(untold.is_empty(), "no mail tells of {untold:?}\n{kept}");
    // A record that could not be written brings the event back with the ledger's name in the reason.
    let unrecorded = times_unrecorded(ground).await;
    let lost_answers =
        truth::lost_words_of_the_notifier(&ground.cloud().world.chaos, &ground.stage.function("notifier")) + unrecorded;
    println!(
        "{} mails of failed builds, {doubled} of them doubled; {lost_answers} times an answer or a record was lost or a process died",
        mails.len()
    );
    assert!(
        doubled <= lost_answers,
        "{doubled} mails were doubled, and only {lost_answers} times a word was lost\n{kept}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn under_all_trouble_at_once_no_start_is_lost_and_none_doubled() {
    let trial = Trial {
        chaos: "rough,drop=0.05,duplicate=0.3,delay=0.2,reorder=0.3,delay-for=500ms,slow-for=200ms,kill=0.04,kill-late=0.04,redeliver=0.1,seed=7",
        branches: 12,
        rounds: 8,
        unheard: 4,
        sad: 2,
        sweep_every: 3,
        environments: 8,
        builds_at_once: 0,
        time_out: Duration::from_secs(6),
        limit: Duration::from_secs(300),
    };
    all_trouble_at_once(&trial).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_mail_is_doubled_where_the_notifier_hears_the_answer_and_can_write_it_down() {
    // Nobody dies after a mail, its answer comes, the ledger takes the record at the third try at the latest, and whatever
    // is begun has four seconds: half of the time-out without the functions' reserve.
    let trial = Trial {
        chaos: "rough,drop=0,duplicate=0.3,delay=0.3,reorder=0.3,delay-for=300ms,slow-for=100ms,\
                kill=0,kill-late=0,time-out=0,kill-early=0.1,\
                fail-after@sns=0,cut-answer@sns=0,throttle@sns=0.2,cut@sns=0.1,\
                throttle@s3:PutObject=0,fail@s3:PutObject=0,cut@s3:PutObject=0,\
                fail-after@s3:PutObject=0.05,cut-answer@s3:PutObject=0.05,seed=11",
        branches: 1,
        rounds: 3,
        unheard: 0,
        sad: 8,
        sweep_every: 3,
        environments: 8,
        builds_at_once: 0,
        time_out: Duration::from_secs(12),
        limit: Duration::from_secs(300),
    };
    let aftermath = weather(&trial).await;
    aftermath.no_start_is_lost_and_none_doubled(&[]);
    every_failed_build_is_told(&aftermath.ground, &aftermath.truth).await;
    aftermath.ground.cloud().world.chaos.set(None);
    aftermath.ground.stage.clear().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "ten thousand pushes take a while"]
async fn ten_thousand_pushes_under_all_trouble_at_once() {
    let count = std::env::var("SIGNALBOX_PUSHES").map_or(10_000, |count| count.parse().unwrap());
    let trial = Trial {
        chaos: "rough,drop=0.02,duplicate=0.1,slow-for=200ms,seed=7",
        branches: 190,
        rounds: usize::div_ceil(count, 200),
        unheard: 20,
        sad: 10,
        sweep_every: 10,
        environments: 24,
        builds_at_once: 14,
        time_out: Duration::from_secs(30),
        limit: Duration::from_secs(7200),
    };
    all_trouble_at_once(&trial).await;
}
