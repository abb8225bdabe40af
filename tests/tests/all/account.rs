//! The commands that work alike against an account and against the local cloud, as the real program.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use signalbox_tests::{Ground, programs};
use tempfile::TempDir;

const POLICY: &str = "mode: enforce\nrepositories:\n  demo:\n    triggers:\n      unit:\n        on: { push: { branches: [main] } }\n        start: { build: unit }\n";
const QUICK: &str = "version: 0.2\nphases:\n  build:\n    commands: [\"true\"]\n";
const KEY: &str = "policy/signalbox.yaml";

/// How a run ended, and what it said.
struct Ran {
    code: Option<i32>,
    out: String,
    error: String,
}

/// A desk with a home of its own: nothing of the real account is seen.
struct Desk {
    home: TempDir,
    environment: BTreeMap<String, String>,
}

impl Desk {
    fn bare() -> Self {
        let home = tempfile::tempdir().unwrap();
        let environment = BTreeMap::from([
            ("HOME".to_owned(), home.path().display().to_string()),
            ("PATH".to_owned(), std::env::var("PATH").unwrap()),
            ("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned()),
        ]);
        Self { home, environment }
    }

    fn at(ground: &Ground) -> Self {
        let mut desk = Self::bare();
        desk.environment.extend(ground.stage.environment().into_iter().map(|(name, value)| (name.to_owned(), value)));
        desk
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn file(&self, name: &str, text: &str) -> String {
        let file = self.home.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    }

    async fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let program = programs().await.unwrap().remove("signalbox").unwrap();
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).env_clear().envs(&self.environment).current_dir(self.home.path());
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).await.output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), out: text(output.stdout), error: text(output.stderr) }
    }
}

fn policy_in_force(ground: &Ground) -> Option<String> {
    let object = ground.cloud().s3.get(ground.stage.bucket().unwrap(), KEY).unwrap();
    object.map(|object| String::from_utf8(object.bytes.to_vec()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_checks_compares_and_writes_only_what_differs() {
    let ground = Ground::without_functions().await.unwrap();
    let desk = Desk::at(&ground);
    let file = desk.file("signalbox.yaml", POLICY);

    let ran = desk.run(&["apply", &file]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    assert!(ran.error.contains("no terminal to ask at") && ran.error.contains("--yes"), "{}", ran.error);
    let ran = desk.run(&["apply", "--dry-run"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.error);
    assert!(ran.out.contains("dry run: nothing was changed") && !ran.out.contains('\u{1b}'), "{}", ran.out);
    assert_eq!(policy_in_force(&ground), None);

    let ran = desk.run(&["apply", "--yes"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.error);
    for told in ["in force: none", "+mode: enforce", "becomes ENFORCE", "demo: the trigger unit is added", "as version"]
    {
        assert!(ran.out.contains(told), "{told}: {}", ran.out);
    }
    assert_eq!(policy_in_force(&ground).as_deref(), Some(POLICY));

    let ran = desk.run(&["apply", "--yes"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.error);
    assert!(
        ran.out.contains("nothing to do:") && ran.out.contains("by arn:aws:iam::111122223333:user/developer"),
        "{}",
        ran.out
    );

    desk.file("signalbox.yaml", &POLICY.replace("[main]", "[main, next]"));
    let ran = desk.run(&["apply", "--yes"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.error);
    assert!(ran.out.contains("-        on: { push: { branches: [main] } }"), "{}", ran.out);
    assert!(ran.out.contains("demo: the trigger unit changes"), "{}", ran.out);

    let before = policy_in_force(&ground);
    desk.file("signalbox.yaml", "mode: enforse\nrepositories:\n  \"a-*\": { trigers: {} }\n");
    let ran = desk.run(&["apply", "--yes"]).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.error.contains("signalbox.yaml:1:7:") && ran.error.contains("signalbox.yaml:3:"), "{}", ran.error);
    assert_eq!(policy_in_force(&ground), before);
    ground.stage.clear().await.unwrap();
}

/// Answers on a terminal of its own: `between` runs when the question is there.
async fn answer(desk: &Desk, arguments: &[&str], question: &str, typed: &str, between: impl FnOnce()) -> Ran {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let main = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&main).unwrap();
    unlockpt(&main).unwrap();
    let name = ptsname(&main, Vec::new()).unwrap().into_string().unwrap();
    let mut open = std::fs::OpenOptions::new();
    let terminal =
        open.read(true).write(true).custom_flags(rustix::fs::OFlags::NOCTTY.bits() as i32).open(name).unwrap();
    let mut command = desk.command(arguments).await;
    command.stdin(Stdio::from(terminal)).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut asked = child.stderr.take().unwrap();
    let mut error = String::new();
    let mut byte = [0_u8; 1];
    while !error.contains(question) {
        let read = tokio::io::AsyncReadExt::read(&mut asked, &mut byte).await.unwrap();
        assert!(read > 0, "it ended without asking: {error}");
        error.push(char::from(byte[0]));
    }
    between();
    std::fs::File::from(main.try_clone().unwrap()).write_all(format!("{typed}\n").as_bytes()).unwrap();
    let mut out = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut child.stdout.take().unwrap(), &mut out).await.unwrap();
    let code = child.wait().await.unwrap().code();
    Ran { code, out, error }
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_asks_and_a_lost_race_shows_what_the_other_changed() {
    let ground = Ground::without_functions().await.unwrap();
    let desk = Desk::at(&ground);
    desk.file("signalbox.yaml", POLICY);
    let question = "into force? [y/N] ";
    let ran = answer(&desk, &["apply"], question, "n", || {}).await;
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    assert_eq!(policy_in_force(&ground), None);
    let ran = answer(&desk, &["apply"], question, "y", || ground.policy("mode: observe\n").unwrap()).await;
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    assert!(ran.out.contains("somebody else changed the policy meanwhile"), "{}", ran.out);
    assert!(ran.out.contains("+mode: observe"), "{}", ran.out);
    assert_eq!(policy_in_force(&ground).as_deref(), Some("mode: observe\n"));
    let ran = answer(&desk, &["apply"], question, "y", || {}).await;
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    assert_eq!(policy_in_force(&ground).as_deref(), Some(POLICY));
    ground.stage.clear().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn status_of_a_healthy_stack_needs_nobody() {
    let ground = Ground::without_functions().await.unwrap();
    ground.policy(POLICY).unwrap();
    let desk = Desk::at(&ground);
    let ran = desk.run(&["status"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.error);
    for told in
        ["CREATE_COMPLETE in account 111122223333", "enforce: 1 repository section, 1 trigger", "nothing needs you"]
    {
        assert!(ran.out.contains(told), "{told}: {}", ran.out);
    }
    let ran = desk.run(&["status", "--json"]).await;
    let status: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &status["functions"][0]["name"]), (Some(0), &json!("notifier")));
    assert_eq!(status["mail"][0]["endpoint"], "team@example.com");
    ground.stage.clear().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_of_dead_letters_why_and_what_to_do() {
    let ground = Ground::without_functions().await.unwrap();
    let (sqs, desk) = (&ground.cloud().sqs, Desk::at(&ground));
    let dead = dead_letters(&ground, "trigger");
    let push: Value =
        serde_json::from_str(&std::fs::read_to_string("../events/codecommit-reference-updated-push.json").unwrap())
            .unwrap();
    let event = push["id"].as_str().unwrap();
    sqs.send(&dead, &push.to_string(), BTreeMap::new()).unwrap();
    let said =
        json!({ "message": "comes again", "event.id": event, "why": "codebuild:StartBuild on unit: AccessDenied" });
    ground.cloud().logs.append("/aws/lambda/signalbox-trigger", "one", jiff::Timestamp::now(), &said.to_string());
    let undelivered = BTreeMap::from([
        ("ERROR_CODE".to_owned(), signalbox_local::sqs::MessageAttribute::string("NO_PERMISSIONS")),
        ("RULE_ARN".to_owned(), signalbox_local::sqs::MessageAttribute::string("arn:aws:events:x")),
    ]);
    sqs.send(&dead, "not JSON", undelivered).unwrap();
    let ran = desk.run(&["status"]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.error);
    for told in [
        "trigger gave up on 2 events",
        "because codebuild:StartBuild on unit: AccessDenied",
        &format!("signalbox redrive trigger --event {event}"),
        "EventBridge could not put it into the queue: NO_PERMISSIONS",
    ] {
        assert!(ran.out.contains(told), "{told}: {}", ran.out);
    }
    // Looking takes nothing away: it can be looked at again at once.
    let again = desk.run(&["status", "--json"]).await;
    let status: Value = serde_json::from_str(&again.out).unwrap();
    assert_eq!(status["functions"][1]["newest_dead_letters"].as_array().unwrap().len(), 2, "{status}");

    let ran = desk.run(&["redrive", "--dry-run"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.error);
    assert!(ran.out.contains("2 would be sent again"), "{}", ran.out);
    let ran = desk.run(&["redrive", "trigger", "--event", event, "--event", "no-such-event"]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.error);
    assert!(ran.out.contains("1 sent again") && ran.out.contains("no-such-event is no dead letter"), "{}", ran.out);
    assert_eq!(sqs.counts(&dead).unwrap().visible, 1);
    let ran = desk.run(&["redrive", "--all"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.error);
    assert_eq!(sqs.counts(&dead).unwrap().visible, 0);
    let sent = sqs.receive(&ground.stage.function("trigger"), 10, Duration::ZERO).await.unwrap();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|message| message.attributes.is_empty()), "what EventBridge said of it is over: {sent:?}");
    ground.stage.clear().await.unwrap();
}

fn dead_letters(ground: &Ground, function: &str) -> String {
    let block = format!("{}{}", function[..1].to_uppercase(), &function[1..]);
    ground.stage.stack.resources[&format!("{block}DeadLetters")].reference.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_whose_cause_is_mended_is_done_and_again_starts_exactly_one_more_build() {
    let mut ground = Ground::with_functions().await.unwrap();
    let desk = Desk::at(&ground);
    ground.repository("demo").await.unwrap();
    ground.project("unit", "demo", Some(QUICK)).await.unwrap();
    let (bucket, queue) = (ground.stage.bucket().unwrap().to_owned(), ground.stage.function("trigger"));
    ground.cloud().s3.put(&bucket, KEY, b"mode: enforse\n").unwrap();
    let dead = dead_letters(&ground, "trigger");
    let arn = ground.cloud().sqs.arn(dead.rsplit('/').next().unwrap());
    let redrive = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": 1 }).to_string();
    ground.cloud().sqs.set_attributes(&queue, &[("RedrivePolicy".to_owned(), redrive)].into()).unwrap();
    ground.commit("demo", "main", "one", &[("a", Some("a"))]).await.unwrap();
    let event = ground.push_event().await.unwrap()["id"].as_str().unwrap().to_owned();
    let given_up = |ground: &Ground| Ok((ground.cloud().sqs.counts(&dead)?.visible == 1).then_some(()));
    ground.until("the dead letter", given_up).await.unwrap();

    let ran = desk.run(&["status"]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.error);
    assert!(ran.out.contains("the policy in force has problems") && ran.out.contains("enforse"), "{}", ran.out);
    desk.file("signalbox.yaml", POLICY);
    let ran = desk.run(&["apply", "--yes"]).await;
    assert!(ran.out.contains("the policy in force has problems, so events wait"), "{} {}", ran.out, ran.error);
    let ran = desk.run(&["redrive", "trigger", "--event", &event]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.error);
    let entry = |ground: &Ground, wanted: usize| {
        let entry = ground.stage.ledger_entry("trigger", &event)?.filter(|entry| !entry["report"].is_null());
        let earlier = |entry: &Value| entry["earlier"].as_array().map_or(0, Vec::len);
        Ok(entry.filter(|entry| earlier(entry) == wanted))
    };
    ground.until("the report", |ground| entry(ground, 0)).await.unwrap();
    assert_eq!(ground.builds("unit").await.unwrap().len(), 1);
    ground.build_end().await.unwrap();

    let ran = desk.run(&["redrive", "--again", "--event", &event, "--dry-run"]).await;
    assert!(ran.out.contains("would run once more"), "{} {}", ran.out, ran.error);
    let ran = desk.run(&["redrive", "--again", "--event", &event]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.error);
    let finished = ground.until("the second report", |ground| entry(ground, 1)).await.unwrap();
    let first = finished["earlier"][0]["outcomes"].as_object().unwrap();
    let second = finished["outcomes"].as_object().unwrap();
    assert_ne!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>(), "{finished}");
    assert_eq!(ground.builds("unit").await.unwrap().len(), 2, "{finished}");

    // The same wish delivered twice starts nothing more, also once its build has ended.
    ground.build_end().await.unwrap();
    let again = finished["report"]["replay"]["received"].clone();
    assert_eq!(again["signalbox-again"], 1, "{again}");
    ground.cloud().sqs.send(&queue, &again.to_string(), BTreeMap::new()).unwrap();
    let empty = |ground: &Ground| {
        let counts = ground.cloud().sqs.counts(&queue)?;
        Ok((counts.visible + counts.in_flight + counts.delayed == 0).then_some(()))
    };
    ground.until("an empty queue", empty).await.unwrap();
    assert_eq!(ground.builds("unit").await.unwrap().len(), 2);

    let ran = desk.run(&["redrive", "--again", "--event", "never-seen"]).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.error.contains("the ledger knows no event never-seen"), "{}", ran.error);
    ground.stage.clear().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn uninstall_leaves_nothing_and_may_be_repeated() {
    let ground = Ground::without_functions().await.unwrap();
    let desk = Desk::at(&ground);
    let bucket = ground.stage.bucket().unwrap().to_owned();
    for n in 0..1100 {
        ground.cloud().s3.put(&bucket, &format!("ledger/trigger/e-{n}"), b"{}").unwrap();
    }
    ground.policy("mode: observe\n").unwrap();
    ground.policy(POLICY).unwrap();

    let ran = desk.run(&["uninstall"]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    assert!(ran.error.contains("no terminal to ask at"), "{}", ran.error);
    let ran = desk.run(&["uninstall", "--dry-run"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.error);
    assert!(ran.out.contains("2 AWS::Lambda::Function") && ran.out.contains("--keep-bucket leaves it"), "{}", ran.out);
    let ran = answer(&desk, &["uninstall"], "to go on: ", "yes", || {}).await;
    assert!(ran.code == Some(1) && ran.out.contains("nothing was changed"), "{}", ran.out);

    let ran = answer(&desk, &["uninstall", "--keep-bucket"], "to go on: ", "signalbox", || {}).await;
    assert_eq!(ran.code, Some(0), "{} {}", ran.out, ran.error);
    assert!(ran.out.contains("kept: the bucket"), "{}", ran.out);
    assert!(ground.cloud().sqs.queue_names().is_empty());
    assert_eq!(policy_in_force(&ground).as_deref(), Some(POLICY));

    let backup = desk.home.path().join("backup");
    let ran = desk.run(&["uninstall", "--yes", "--backup", backup.to_str().unwrap()]).await;
    assert_eq!(ran.code, Some(0), "{} {}", ran.out, ran.error);
    assert!(ran.out.contains("the stack is deleted already") && ran.out.contains("deleted the bucket"), "{}", ran.out);
    assert_eq!(ground.cloud().s3.get(&bucket, KEY).unwrap_err().code, "NoSuchBucket");
    assert_eq!(std::fs::read_dir(backup.join(&bucket).join("policy")).unwrap().count(), 2);
    assert_eq!(std::fs::read_dir(backup.join(&bucket).join("ledger/trigger")).unwrap().count(), 1100);

    let ran = desk.run(&["uninstall", "--yes"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.error);
    assert!(ran.out.contains("nothing is left of signalbox"), "{}", ran.out);
    let ran = desk.run(&["status"]).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.error.contains("there is no stack signalbox"), "{}", ran.error);
    ground.stage.clear().await.unwrap();
}

/// Something that answers every call with one refusal.
fn refusing(status: u16, body: &'static str) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut head, mut buffer) = (Vec::new(), [0_u8; 4096]);
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                let read = stream.read(&mut buffer).unwrap_or(0);
                if read == 0 {
                    break;
                }
                head.extend_from_slice(&buffer[..read]);
            }
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: text/xml\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            let _closed = stream.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_way_is_told_with_what_to_do() {
    let desk = Desk::bare();
    let ran = desk.run(&["status"]).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.error.contains("no region is set") && ran.error.contains("--region"), "{}", ran.error);

    let ran = desk.run(&["status", "--region", "eu-west-1"]).await;
    assert!(
        ran.error.contains("no AWS credentials were found") && ran.error.contains("aws sso login"),
        "{}",
        ran.error
    );
    let ran = desk.run(&["status", "--region", "eu-west-1", "--profile", "nobody"]).await;
    assert!(ran.error.contains("no credentials in the profile `nobody`"), "{}", ran.error);

    desk.file(
        ".aws/config",
        "[profile team]\nregion = eu-west-1\nsso_session = acme\nsso_account_id = 111122223333\nsso_role_name = Admin\n\n[sso-session acme]\nsso_region = eu-west-1\nsso_start_url = https://acme.example.com/start\n",
    );
    let ran = desk.run(&["status", "--profile", "team"]).await;
    assert!(ran.error.contains("aws sso login --profile team"), "{}", ran.error);

    let desk = Desk::bare()
        .with("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
        .with("AWS_SECRET_ACCESS_KEY", "x")
        .with("AWS_REGION", "eu-west-1");
    let denied = refusing(
        403,
        "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: anna is not authorized</Message></Error></ErrorResponse>",
    );
    let ran = desk.run(&["status", "--endpoint-url", &denied]).await;
    assert!(ran.error.contains("your credentials may not sts:GetCallerIdentity"), "{}", ran.error);
    assert!(ran.error.contains("User: anna is not authorized"), "{}", ran.error);
    let expired = refusing(
        403,
        "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>The security token included in the request is expired</Message></Error></ErrorResponse>",
    );
    let ran = desk.run(&["status", "--endpoint-url", &expired]).await;
    assert!(ran.error.contains("your credentials have expired"), "{}", ran.error);
    let ran = desk.run(&["status", "--endpoint-url", "http://127.0.0.1:9"]).await;
    assert!(ran.error.contains("http://127.0.0.1:9 does not answer"), "{}", ran.error);

    let ground = Ground::without_functions().await.unwrap();
    let desk = Desk::at(&ground);
    let ran = desk.run(&["apply", "--stack", "other", &desk.file("p.yaml", POLICY)]).await;
    assert!(ran.error.contains("there is no stack other in account 111122223333, region eu-west-1"), "{}", ran.error);
    let ran = desk.run(&["redrive", "approver", "--all"]).await;
    assert!(ran.error.contains("has no function approver; it has notifier, trigger"), "{}", ran.error);
    let ran = desk.run(&["redrive"]).await;
    assert_eq!(ran.code, Some(2), "{}", ran.error);
    let ran = Desk::at(&ground).with("AWS_SECRET_ACCESS_KEY", "wrong").run(&["status"]).await;
    assert!(ran.error.contains("your keys are not known there"), "{}", ran.error);
    ground.stage.clear().await.unwrap();
}
