//! CodeBuild as a whole: real repositories, real shells.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::source::tests::repository;
use super::*;
use crate::iam::Definition;
use crate::sqs::Sqs;

/// Long enough for a busy machine; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

struct Bench {
    dir: tempfile::TempDir,
    codebuild: CodeBuild,
    caller: Caller,
}

fn bench(pace: Pace) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let codebuild = open(dir.path(), pace);
    let caller = Caller {
        arn: "arn:aws:iam::111122223333:user/developer".to_owned(),
        access_key_id: "AKIADEVELOPER".to_owned(),
    };
    Bench { dir, codebuild, caller }
}

fn open(dir: &Path, pace: Pace) -> CodeBuild {
    let world = Arc::new(World::new(dir.to_owned(), "eu-west-1", 1));
    let logs = json!({ "Statement": { "Effect": "Allow", "Action": "logs:*", "Resource": "*" } });
    let role = Definition::of_service("codebuild.amazonaws.com", "logs", logs);
    world.iam.put_role("builder", Definition { path: "/service-role/".to_owned(), ..role }).unwrap();
    let keys = Arc::new(Keys::default());
    let logs = Arc::new(Logs::open(&world).unwrap());
    let bus = Arc::new(EventBridge::open(&world, &Arc::new(Sqs::open(&world).unwrap())).unwrap());
    let mut inner = Inner::open(pace, &world, &keys, &bus, &logs).unwrap();
    inner.repositories = Some(format!("file://{}", dir.join("repositories").display()));
    CodeBuild { inner: Arc::new(inner) }
}

/// Minutes of a second, and room for all.
fn roomy() -> Pace {
    Pace { minute: Duration::from_secs(1), at_once: 8 }
}

/// A buildspec whose build phase runs these commands.
fn spec(commands: &[&str]) -> String {
    json!({ "version": "0.2", "phases": { "build": { "commands": commands } } }).to_string()
}

fn project(name: &str, buildspec: &str) -> Value {
    json!({
        "name": name,
        "source": { "type": "NO_SOURCE", "buildspec": buildspec },
        "artifacts": { "type": "NO_ARTIFACTS" },
        "environment": {
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
        },
        "serviceRole": "arn:aws:iam::111122223333:role/service-role/builder",
    })
}

/// `value` with the members of `more` laid over it.
fn with(mut value: Value, more: &Value) -> Value {
    value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    value
}

impl Bench {
    async fn call(&self, operation: &str, input: Value) -> Answer<Value> {
        self.codebuild.call(operation, input, &self.caller).await
    }

    async fn ok(&self, operation: &str, input: Value) -> Value {
        self.call(operation, input.clone()).await.unwrap_or_else(|error| panic!("{operation} {input}: {error}"))
    }

    async fn refused(&self, operation: &str, input: Value) -> (String, String) {
        let error = self.call(operation, input.clone()).await.expect_err(&format!("{operation} {input}"));
        (error.code, error.message)
    }

    async fn start(&self, more: Value) -> String {
        let build = self.ok("StartBuild", with(json!({ "projectName": "unit" }), &more)).await;
        build["build"]["id"].as_str().unwrap().to_owned()
    }

    async fn get(&self, id: &str) -> Value {
        self.ok("BatchGetBuilds", json!({ "ids": [id] })).await["builds"][0].clone()
    }

    async fn until(&self, id: &str, what: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let build = self.get(id).await;
            if what(&build) {
                return build;
            }
            assert!(Instant::now() < deadline, "waited too long: {build:#}\n{:#?}", self.log(id));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn finished(&self, id: &str) -> Value {
        self.until(id, |build| build["buildComplete"] == true).await
    }

    /// A project with this inline buildspec, built once.
    async fn built(&self, buildspec: &str) -> Value {
        self.ok("CreateProject", project("unit", buildspec)).await;
        let id = self.start(json!({})).await;
        self.finished(&id).await
    }

    fn log(&self, id: &str) -> Vec<String> {
        let (name, uuid) = id.split_once(':').unwrap();
        let events = self.codebuild.inner.logs.events(&format!("/aws/codebuild/{name}"), uuid);
        events.into_iter().map(|event| event.message).collect()
    }

    /// The log without our own lines.
    fn output(&self, build: &Value) -> Vec<String> {
        let lines = self.log(build["id"].as_str().unwrap());
        lines.into_iter().filter(|line| !line.starts_with("[Container]")).collect()
    }

    fn published(&self) -> Vec<events::Event> {
        self.codebuild.inner.published.lock().unwrap().clone()
    }
}

/// `PHASE:STATUS` of every phase.
fn phases(build: &Value) -> Vec<String> {
    let phases = build["phases"].as_array().unwrap();
    phases
        .iter()
        .map(|phase| {
            let status = phase["phaseStatus"].as_str().map(|status| format!(":{status}")).unwrap_or_default();
            format!("{}{status}", phase["phaseType"].as_str().unwrap())
        })
        .collect()
}

fn context<'a>(build: &'a Value, phase: &str) -> &'a Value {
    let phases = build["phases"].as_array().unwrap();
    let phase = phases.iter().find(|found| found["phaseType"] == phase).unwrap_or_else(|| panic!("no phase {phase}"));
    &phase["contexts"][0]
}

fn alive(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}

async fn gone(pid: &str) {
    let deadline = Instant::now() + PATIENCE;
    while alive(pid) {
        assert!(Instant::now() < deadline, "the process {pid} still lives");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_pushed_commit_is_built_and_everybody_is_told() {
    let bench = bench(roomy());
    let buildspec = "version: 0.2\nphases:\n  build:\n    commands:\n      - cat which\n";
    let [_, head] = repository(&bench.dir.path().join("repositories/demo"), &[("buildspec.yml", buildspec)]);
    let location = "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/demo";
    let source = json!({ "source": { "type": "CODECOMMIT", "location": location, "gitCloneDepth": 1 } });
    bench.ok("CreateProject", with(project("unit", ""), &source)).await;
    let started = bench.ok("StartBuild", json!({ "projectName": "unit", "sourceVersion": "main" })).await;
    let started = &started["build"];
    assert_eq!((&started["buildStatus"], &started["currentPhase"]), (&json!("IN_PROGRESS"), &json!("QUEUED")));
    assert_eq!((&started["buildNumber"], &started["initiator"]), (&json!(1), &json!("developer")));
    assert!(started["logs"]["groupName"].is_null(), "the log has no place before PROVISIONING");
    let id = started["id"].as_str().unwrap();
    assert!(signalbox_events::BuildId::parse(id).is_ok(), "{id}");

    let build = bench.finished(id).await;
    assert_eq!(build["buildStatus"], "SUCCEEDED", "{:#?}", bench.log(id));
    assert_eq!((&build["sourceVersion"], &build["resolvedSourceVersion"]), (&json!("main"), &json!(head)));
    assert_eq!(bench.output(&build), ["second"]);
    assert_eq!(
        phases(&build),
        [
            "SUBMITTED:SUCCEEDED",
            "QUEUED:SUCCEEDED",
            "PROVISIONING:SUCCEEDED",
            "DOWNLOAD_SOURCE:SUCCEEDED",
            "INSTALL:SUCCEEDED",
            "PRE_BUILD:SUCCEEDED",
            "BUILD:SUCCEEDED",
            "POST_BUILD:SUCCEEDED",
            "UPLOAD_ARTIFACTS:SUCCEEDED",
            "FINALIZING:SUCCEEDED",
            "COMPLETED"
        ]
    );
    assert_eq!(build["phases"][0]["contexts"], json!([]));
    assert_eq!(build["phases"][2]["contexts"], json!([{ "statusCode": "", "message": "" }]));
    let logs = &build["logs"];
    let uuid = id.split_once(':').unwrap().1;
    assert_eq!((&logs["groupName"], &logs["streamName"]), (&json!("/aws/codebuild/unit"), &json!(uuid)));
    assert!(build["endTime"].as_f64().unwrap() >= build["startTime"].as_f64().unwrap());
    assert!(bench.log(id)[0].contains("takes no image"), "the first line tells the assumption");
    assert!(!bench.dir.path().join("builds").join(uuid).exists(), "nothing is left behind");

    let published = bench.published();
    let told: Vec<&str> = published
        .iter()
        .map(|event| {
            let detail = &event.detail;
            detail["build-status"].as_str().or(detail["completed-phase"].as_str()).unwrap()
        })
        .collect();
    let expected = [
        "IN_PROGRESS",
        "SUBMITTED",
        "QUEUED",
        "PROVISIONING",
        "DOWNLOAD_SOURCE",
        "INSTALL",
        "PRE_BUILD",
        "BUILD",
        "POST_BUILD",
        "UPLOAD_ARTIFACTS",
        "FINALIZING",
        "SUCCEEDED",
    ];
    assert_eq!(told, expected);
    let last = &published.last().unwrap().detail["additional-information"];
    assert_eq!((&last["build-number"], &last["logs"]["stream-name"]), (&json!(1), &json!(uuid)));
}

/// Answers every request with 404 and gives the heads of the requests.
fn listening() -> (String, std::sync::mpsc::Receiver<String>) {
    use std::io::{BufRead, BufReader, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (tell, heads) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut head = String::new();
            let mut reader = BufReader::new(stream);
            while reader.read_line(&mut head).is_ok_and(|count| count > 2) {}
            let _ =
                reader.get_mut().write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            if tell.send(head).is_err() {
                break;
            }
        }
    });
    (address, heads)
}

#[tokio::test]
async fn git_is_asked_as_a_session_of_the_projects_role() {
    use base64::Engine;
    let mut bench = bench(roomy());
    Arc::get_mut(&mut bench.codebuild.inner).unwrap().repositories = None;
    let (address, heads) = listening();
    bench.codebuild.inner.world.listens_at(format!("http://{address}"));
    let location = "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/demo";
    let source = json!({ "source": { "type": "CODECOMMIT", "location": location } });
    bench.ok("CreateProject", with(project("unit", ""), &source)).await;
    let id = bench.start(json!({})).await;
    let build = bench.finished(&id).await;
    assert_eq!(context(&build, "DOWNLOAD_SOURCE")["statusCode"], "CLIENT_ERROR");

    let head = heads.recv_timeout(PATIENCE).unwrap();
    assert!(head.starts_with("GET /v1/repos/demo/info/refs?service=git-upload-pack "), "{head}");
    let basic = head.lines().find_map(|line| line.strip_prefix("Authorization: Basic ")).unwrap();
    let pair = String::from_utf8(base64::prelude::BASE64_STANDARD.decode(basic).unwrap()).unwrap();
    let (user, password) = pair.split_once(':').unwrap();
    let inner = &bench.codebuild.inner;
    let caller =
        inner.keys.check_git(user, password, &[&address], "/v1/repos/demo", "eu-west-1", inner.world.now()).unwrap();
    let uuid = id.split_once(':').unwrap().1;
    assert_eq!(caller.arn, format!("arn:aws:sts::111122223333:assumed-role/builder/AWSCodeBuild-{uuid}"));
    assert!(!bench.log(&id).concat().contains(password), "the log holds no password");
}

#[tokio::test]
async fn a_failing_test_fails_the_build_and_post_build_still_runs_and_knows() {
    let bench = bench(roomy());
    let buildspec = concat!(
        "version: 0.2\n",
        "phases:\n",
        "  install:\n    commands:\n      - TAG=v1\n      - mkdir sub && cd sub\n",
        "  build:\n    commands:\n      - echo testing; sh -c 'exit 3'\n      - echo never\n",
        "    finally:\n      - echo \"finally $CODEBUILD_BUILD_SUCCEEDING\"\n",
        "  post_build:\n    commands:\n      - echo \"post $CODEBUILD_BUILD_SUCCEEDING $TAG ${PWD##*/}\"\n",
    );
    let build = bench.built(buildspec).await;
    assert_eq!(build["buildStatus"], "FAILED");
    assert_eq!(bench.output(&build), ["testing", "finally 0", "post 0 v1 sub"]);
    assert_eq!(
        *context(&build, "BUILD"),
        json!({
            "statusCode": "COMMAND_EXECUTION_ERROR",
            "message": "Error while executing command: echo testing; sh -c 'exit 3'. Reason: exit status 3",
        })
    );
    let all = phases(&build);
    assert_eq!(
        all[6..],
        ["BUILD:FAILED", "POST_BUILD:SUCCEEDED", "UPLOAD_ARTIFACTS:SUCCEEDED", "FINALIZING:SUCCEEDED", "COMPLETED"]
    );
    let last = bench.published().pop().unwrap();
    assert_eq!((&last.detail["build-status"], &last.detail["current-phase"]), (&json!("FAILED"), &json!("COMPLETED")));
}

#[tokio::test]
async fn on_failure_and_the_early_phases_decide_what_comes_next() {
    let table = [
        ("install: {commands: ['false']}", "INSTALL:FAILED FINALIZING:SUCCEEDED COMPLETED"),
        ("pre_build: {commands: ['false']}", "PRE_BUILD:FAILED FINALIZING:SUCCEEDED COMPLETED"),
        ("build: {commands: ['false'], on-failure: ABORT}", "BUILD:FAILED FINALIZING:SUCCEEDED COMPLETED"),
        (
            "pre_build: {commands: ['false'], on-failure: CONTINUE}",
            "PRE_BUILD:FAILED BUILD:SUCCEEDED POST_BUILD:SUCCEEDED UPLOAD_ARTIFACTS:SUCCEEDED FINALIZING:SUCCEEDED COMPLETED",
        ),
        (
            "post_build: {commands: ['false']}",
            "POST_BUILD:FAILED UPLOAD_ARTIFACTS:SUCCEEDED FINALIZING:SUCCEEDED COMPLETED",
        ),
        (
            "build: {commands: ['true'], finally: ['false']}",
            "BUILD:FAILED POST_BUILD:SUCCEEDED UPLOAD_ARTIFACTS:SUCCEEDED FINALIZING:SUCCEEDED COMPLETED",
        ),
    ];
    for (plan, expected) in table {
        let build = bench(roomy()).built(&format!("version: 0.2\nphases:\n  {plan}\n")).await;
        let all = phases(&build).join(" ");
        assert!(all.ends_with(expected), "{plan}: {all}");
        assert_eq!(build["buildStatus"], "FAILED", "{plan}");
    }
}

#[tokio::test]
async fn a_build_that_hangs_is_stopped_at_its_time_out_with_all_that_it_started() {
    let bench = bench(Pace { minute: Duration::from_millis(300), ..roomy() });
    let hang = with(project("unit", &spec(&["sh -c 'sleep 600 & echo $!; wait'"])), &json!({ "timeoutInMinutes": 5 }));
    bench.ok("CreateProject", hang).await;
    let id = bench.start(json!({})).await;
    let build = bench.finished(&id).await;
    assert_eq!(build["buildStatus"], "TIMED_OUT");
    let all = phases(&build);
    assert_eq!(all[all.len() - 2..], ["BUILD:TIMED_OUT", "COMPLETED"], "{all:?}");
    let expected = json!({ "statusCode": "BUILD_TIMED_OUT", "message": "Build has timed out." });
    assert_eq!(*context(&build, "BUILD"), expected);
    gone(&bench.output(&build)[0]).await;
}

#[tokio::test]
async fn a_build_that_never_stops_talking_is_stopped_as_well() {
    for commands in [&["yes"][..], &["yes & sleep 0.1; kill -9 $$"]] {
        let bench = bench(Pace { minute: Duration::from_millis(200), ..roomy() });
        let talks = with(project("unit", &spec(commands)), &json!({ "timeoutInMinutes": 5 }));
        bench.ok("CreateProject", talks).await;
        let id = bench.start(json!({})).await;
        let build = bench.finished(&id).await;
        let expected = if commands[0] == "yes" { "TIMED_OUT" } else { "FAILED" };
        assert_eq!(build["buildStatus"], expected, "{commands:?}");
        let log = bench.log(&id);
        assert!(log.last().unwrap().contains("The build is over"), "the last word is ours");
    }
}

#[tokio::test]
async fn a_stopped_build_is_over_when_the_answer_comes() {
    let bench = bench(roomy());
    bench.ok("CreateProject", project("unit", &spec(&["sh -c 'sleep 600 & echo $!; wait'"]))).await;
    let id = bench.start(json!({})).await;
    let deadline = Instant::now() + PATIENCE;
    let pid = loop {
        let build = bench.get(&id).await;
        if let Some(pid) = bench.output(&build).first() {
            break pid.clone();
        }
        assert!(Instant::now() < deadline, "{:#?}", bench.log(&id));
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let arn = bench.get(&id).await["arn"].clone();
    let build = bench.ok("StopBuild", json!({ "id": arn })).await["build"].clone();
    assert_eq!((&build["buildStatus"], &build["buildComplete"]), (&json!("STOPPED"), &json!(true)));
    assert!(phases(&build).contains(&"BUILD:STOPPED".to_owned()));
    gone(&pid).await;
    let again = bench.ok("StopBuild", json!({ "id": id })).await["build"].clone();
    assert_eq!(again, build, "stopping what is over changes nothing");
    assert_eq!(bench.refused("StopBuild", json!({ "id": "unit:none" })).await.0, "ResourceNotFoundException");
}

#[tokio::test]
async fn builds_beyond_the_quota_wait_and_the_queue_is_not_endless() {
    let bench = bench(Pace { minute: Duration::from_secs(60), at_once: 1 });
    let flag = bench.dir.path().join("go");
    let wait = format!("while ! [ -e {} ]; do sleep 0.02; done", flag.display());
    bench.ok("CreateProject", project("unit", &spec(&[&wait]))).await;
    let first = bench.start(json!({})).await;
    bench.until(&first, |build| build["currentPhase"] == "BUILD").await;
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(bench.start(json!({})).await);
    }
    let (code, message) = bench.refused("StartBuild", json!({ "projectName": "unit" })).await;
    assert_eq!(code, "AccountLimitExceededException");
    assert_eq!(message, "Cannot have more than 5 builds in queue for the account");
    assert_eq!(bench.get(&waiting[0]).await["currentPhase"], "QUEUED");
    let stopped = bench.ok("StopBuild", json!({ "id": waiting[4] })).await;
    assert_eq!(phases(&stopped["build"]), ["SUBMITTED:SUCCEEDED", "QUEUED:STOPPED", "COMPLETED"]);
    std::fs::write(flag, "").unwrap();
    for id in [&first, &waiting[0], &waiting[3]] {
        assert_eq!(bench.finished(id).await["buildStatus"], "SUCCEEDED");
    }
}

#[tokio::test]
async fn a_build_that_waits_too_long_in_the_queue_times_out() {
    let bench = bench(Pace { minute: Duration::from_millis(20), at_once: 1 });
    bench.ok("CreateProject", with(project("unit", &spec(&["sleep 600"])), &json!({ "timeoutInMinutes": 2160 }))).await;
    let first = bench.start(json!({})).await;
    bench.until(&first, |build| build["currentPhase"] == "BUILD").await;
    let second = bench.start(json!({ "queuedTimeoutInMinutesOverride": 5 })).await;
    let build = bench.finished(&second).await;
    assert_eq!(build["buildStatus"], "TIMED_OUT");
    assert_eq!(phases(&build), ["SUBMITTED:SUCCEEDED", "QUEUED:TIMED_OUT", "COMPLETED"]);
    bench.codebuild.stop_all().await;
    assert_eq!(bench.get(&first).await["buildStatus"], "STOPPED");
}

#[tokio::test]
async fn a_projects_own_limit_rejects_instead_of_queueing() {
    let bench = bench(roomy());
    let limited = with(project("unit", &spec(&["sleep 600"])), &json!({ "concurrentBuildLimit": 1 }));
    bench.ok("CreateProject", limited).await;
    let first = bench.start(json!({})).await;
    let (code, message) = bench.refused("StartBuild", json!({ "projectName": "unit" })).await;
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("AccountLimitExceededException", "Cannot have more than 1 active builds for the project")
    );
    bench.ok("StopBuild", json!({ "id": first })).await;
    let second = bench.start(json!({})).await;
    assert_eq!(bench.get(&second).await["buildNumber"], 2, "a rejected start takes no number");
    bench.ok("UpdateProject", json!({ "name": "unit", "concurrentBuildLimit": -1 })).await;
    bench.start(json!({})).await;
    bench.codebuild.stop_all().await;
}

#[tokio::test]
async fn a_token_gives_the_old_build_back_until_it_is_forgotten() {
    let bench = bench(Pace { minute: Duration::from_millis(300), ..roomy() });
    bench.ok("CreateProject", project("unit", &spec(&["true"]))).await;
    let token = json!({ "idempotencyToken": "t-1", "sourceVersion": "main" });
    let began = Instant::now();
    let first = bench.start(token.clone()).await;
    assert_eq!(bench.start(token.clone()).await, first);
    let other = json!({ "projectName": "unit", "idempotencyToken": "t-1", "sourceVersion": "other" });
    let (code, message) = bench.refused("StartBuild", other).await;
    assert!(code == "InvalidInputException" && message.contains("mismatch"), "{message}");
    // Five minutes of 300 ms later the token means nothing any more.
    tokio::time::sleep(Duration::from_millis(1550).saturating_sub(began.elapsed())).await;
    assert_ne!(bench.start(token).await, first);
}

#[tokio::test]
async fn a_buildspec_that_is_missing_or_broken_fails_download_source_with_its_line() {
    let bench = bench(roomy());
    repository(
        &bench.dir.path().join("repositories/demo"),
        &[
            ("broken.yml", "version: 0.2\nphases:\n  build:\n    commands: [a\n"),
            ("odd.yml", "version: 0.2\nphase: {}\n"),
        ],
    );
    let location = "http://127.0.0.1:1/v1/repos/demo";
    let table = [
        (json!({}), "stat buildspec.yml: no such file or directory"),
        (json!({ "buildspecOverride": "broken.yml" }), "at line "),
        (json!({ "buildspecOverride": "odd.yml" }), "unknown key \"phase\" in the buildspec"),
        (json!({ "buildspecOverride": "../odd.yml" }), "outside of the source"),
    ];
    let source = json!({ "source": { "type": "CODECOMMIT", "location": location } });
    bench.ok("CreateProject", with(project("unit", ""), &source)).await;
    for (input, expected) in table {
        let id = bench.start(input).await;
        let build = bench.finished(&id).await;
        assert_eq!(build["buildStatus"], "FAILED");
        let all = phases(&build);
        assert_eq!(all[3..], ["DOWNLOAD_SOURCE:FAILED", "FINALIZING:SUCCEEDED", "COMPLETED"]);
        let context = context(&build, "DOWNLOAD_SOURCE");
        assert_eq!(context["statusCode"], "YAML_FILE_ERROR");
        assert!(context["message"].as_str().unwrap().contains(expected), "{context}");
    }
    let id = bench.start(json!({ "sourceVersion": "gone" })).await;
    let build = bench.finished(&id).await;
    let expected = "reference not found for primary source and source version gone";
    assert_eq!(*context(&build, "DOWNLOAD_SOURCE"), json!({ "statusCode": "CLIENT_ERROR", "message": expected }));
}

#[tokio::test]
async fn the_commands_see_what_aws_gives_and_nothing_of_ours() {
    let bench = bench(roomy());
    let buildspec = concat!(
        "version: 0.2\n",
        "env:\n  variables:\n    A: spec\n    B: spec\n    C: spec\n  exported-variables: [OUT, UNSET]\n",
        "phases:\n  build:\n    commands:\n      - env | sort > \"$HOME/../env\" && cat \"$HOME/../env\"\n      - OUT=\"it's out\"\n",
    );
    let variables = json!([{ "name": "B", "value": "project" }, { "name": "C", "value": "project" }]);
    let mut made = project("unit", buildspec);
    made["environment"]["environmentVariables"] = variables;
    bench.ok("CreateProject", made).await;
    let id = bench.start(json!({ "environmentVariablesOverride": [{ "name": "C", "value": "start" }] })).await;
    let build = bench.finished(&id).await;
    assert_eq!(build["buildStatus"], "SUCCEEDED", "{:#?}", bench.log(&id));
    assert_eq!(build["environment"]["environmentVariables"].as_array().unwrap().len(), 2);
    let exported = json!([{ "name": "OUT", "value": "it's out" }, { "name": "UNSET", "value": "" }]);
    assert_eq!(build["exportedEnvironmentVariables"], exported);
    let output = bench.output(&build);
    let value = |name: &str| {
        let line = output.iter().find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("no {name} in {output:#?}"))
    };
    assert_eq!((value("A"), value("B"), value("C")), ("spec", "project", "start"));
    assert_eq!((value("CI"), value("AWS_REGION"), value("AWS_DEFAULT_REGION")), ("true", "eu-west-1", "eu-west-1"));
    assert_eq!((value("CODEBUILD_BUILD_ID"), value("CODEBUILD_BUILD_NUMBER")), (id.as_str(), "1"));
    assert_eq!(value("CODEBUILD_BUILD_ARN"), build["arn"].as_str().unwrap());
    assert_eq!((value("CODEBUILD_INITIATOR"), value("CODEBUILD_BUILD_SUCCEEDING")), ("developer", "1"));
    assert!(value("CODEBUILD_SRC_DIR").ends_with("/src") && value("HOME").ends_with("/home"));
    assert!(value("AWS_ACCESS_KEY_ID").starts_with("ASIA"));
    let foreign: Vec<&String> = output
        .iter()
        .filter(|line| {
            let name = line.split('=').next().unwrap_or_default();
            let known = ["A", "B", "C", "CI", "HOME", "LANG", "OLDPWD", "PATH", "PWD", "SHLVL", "_"];
            !(name.starts_with("CODEBUILD_") || name.starts_with("AWS_") || known.contains(&name))
        })
        .collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}

#[tokio::test]
async fn a_build_that_ran_when_the_cloud_died_is_a_fault_and_the_rest_is_there_again() {
    let dir = {
        let bench = bench(roomy());
        bench.ok("CreateProject", project("unit", &spec(&["sleep 600"]))).await;
        let id = bench.start(json!({})).await;
        bench.until(&id, |build| build["currentPhase"] == "BUILD").await;
        bench.codebuild.save().unwrap();
        std::fs::copy(bench.dir.path().join("state/codebuild.json"), bench.dir.path().join("as-it-was")).unwrap();
        bench.codebuild.stop_all().await;
        bench.codebuild.save().unwrap();
        bench.dir
    };
    // What a cloud that was killed would have left.
    std::fs::rename(dir.path().join("as-it-was"), dir.path().join("state/codebuild.json")).unwrap();
    std::fs::create_dir_all(dir.path().join("builds/leftover")).unwrap();
    let codebuild = open(dir.path(), roomy());
    let caller = Caller { arn: "arn:aws:iam::111122223333:root".to_owned(), access_key_id: String::new() };
    let ids = codebuild.call("ListBuilds", json!({}), &caller).await.unwrap()["ids"].clone();
    let build = codebuild.call("BatchGetBuilds", json!({ "ids": ids }), &caller).await.unwrap()["builds"][0].clone();
    assert_eq!((&build["buildStatus"], &build["buildComplete"]), (&json!("FAULT"), &json!(true)));
    let expected = "The local cloud ended while this build ran.";
    assert_eq!(*context(&build, "BUILD"), json!({ "statusCode": "INTERNAL_SERVICE_ERROR", "message": expected }));
    assert!(codebuild.inner.published.lock().unwrap().is_empty(), "nothing is published at open");
    assert!(!dir.path().join("builds/leftover").exists());
    let next = codebuild.call("StartBuild", json!({ "projectName": "unit" }), &caller).await.unwrap();
    assert_eq!(next["build"]["buildNumber"], 2);
    codebuild.stop_all().await;
}

#[tokio::test]
async fn a_retried_build_is_a_new_one_with_the_same_input() {
    let bench = bench(roomy());
    bench.ok("CreateProject", project("unit", &spec(&["echo $WHO"]))).await;
    let id = bench.start(json!({ "environmentVariablesOverride": [{ "name": "WHO", "value": "me" }] })).await;
    let first = bench.finished(&id).await;
    let retried = bench.ok("RetryBuild", json!({ "id": id })).await["build"].clone();
    assert_ne!(retried["id"], first["id"]);
    assert_eq!(retried["buildNumber"], 2);
    let second = bench.finished(retried["id"].as_str().unwrap()).await;
    assert_eq!(bench.output(&second), ["me"]);
    assert_eq!(bench.refused("RetryBuild", json!({ "id": "unit:none" })).await.0, "ResourceNotFoundException");
}

#[tokio::test]
async fn builds_are_listed_newest_first_and_a_forged_token_is_refused() {
    let bench = bench(roomy());
    bench.ok("CreateProject", project("unit", &spec(&["true"]))).await;
    bench.ok("CreateProject", project("other", &spec(&["true"]))).await;
    let first = bench.start(json!({})).await;
    bench.ok("StartBuild", json!({ "projectName": "other" })).await;
    let last = bench.start(json!({})).await;
    let ask = |more: Value| bench.ok("ListBuildsForProject", with(json!({ "projectName": "unit" }), &more));
    assert_eq!(ask(json!({})).await["ids"], json!([last, first]));
    assert_eq!(ask(json!({ "sortOrder": "ASCENDING" })).await["ids"], json!([first, last]));
    let all = bench.ok("ListBuilds", json!({})).await;
    assert_eq!((all["ids"].as_array().unwrap().len(), &all["nextToken"]), (3, &Value::Null));
    for operation in ["ListBuilds", "ListProjects"] {
        assert_eq!(bench.refused(operation, json!({ "nextToken": "forged" })).await.0, "InvalidInputException");
    }
    let none = json!({ "projectName": "none" });
    assert_eq!(bench.refused("ListBuildsForProject", none).await.0, "ResourceNotFoundException");
    let names = bench.ok("ListProjects", json!({ "sortOrder": "DESCENDING" })).await;
    assert_eq!(names["projects"], json!(["unit", "other"]));
    bench.codebuild.stop_all().await;
}

#[tokio::test]
async fn projects_are_made_once_changed_and_deleted() {
    let bench = bench(roomy());
    let made = bench.ok("CreateProject", project("unit", &spec(&["true"]))).await["project"].clone();
    assert_eq!((&made["timeoutInMinutes"], &made["queuedTimeoutInMinutes"]), (&json!(60), &json!(480)));
    let again = project("unit", &spec(&["true"]));
    assert_eq!(bench.refused("CreateProject", again).await.0, "ResourceAlreadyExistsException");
    let changed = bench.ok("UpdateProject", json!({ "name": "unit", "timeoutInMinutes": 7 })).await;
    assert_eq!((&changed["project"]["timeoutInMinutes"], &changed["project"]["source"]), (&json!(7), &made["source"]));
    let names = json!({ "names": [made["arn"], "none"] });
    let found = bench.ok("BatchGetProjects", names).await;
    assert_eq!((&found["projects"][0]["name"], &found["projectsNotFound"]), (&json!("unit"), &json!(["none"])));
    bench.ok("DeleteProject", json!({ "name": "unit" })).await;
    assert_eq!(bench.refused("StartBuild", json!({ "projectName": "unit" })).await.0, "ResourceNotFoundException");
    let none = json!({ "name": "unit" });
    assert_eq!(bench.refused("UpdateProject", none).await.0, "ResourceNotFoundException");
}

#[tokio::test]
async fn what_is_not_offered_is_refused_and_says_so() {
    let bench = bench(roomy());
    let good = || project("unit", &spec(&["true"]));
    let source = |value: Value| with(good(), &json!({ "source": value }));
    let environment = |more: Value| {
        let mut project = good();
        project["environment"] = with(project["environment"].clone(), &more);
        project
    };
    let table = [
        (source(json!({ "type": "GITHUB", "location": "https://example.com/x.git" })), "GITHUB"),
        (
            source(json!({ "type": "CODECOMMIT", "location": "https://example.com/x.git" })),
            "not a CodeCommit clone URL",
        ),
        (source(json!({ "type": "NO_SOURCE" })), "needs its buildspec inline"),
        (source(json!({ "type": "NO_SOURCE", "buildspec": "a.yml" })), "needs its buildspec inline"),
        (with(good(), &json!({ "artifacts": { "type": "S3", "location": "b" } })), "artifacts of type S3"),
        (with(good(), &json!({ "artifacts": { "type": "NO_ARTIFACTS", "name": "n" } })), "take no name"),
        (with(good(), &json!({ "cache": { "type": "LOCAL" } })), "a cache of type LOCAL"),
        (environment(json!({ "type": "WINDOWS_CONTAINER" })), "environment type WINDOWS_CONTAINER"),
        (
            environment(json!({ "environmentVariables": [{ "name": "A", "value": "b", "type": "PARAMETER_STORE" }] })),
            "of type PARAMETER_STORE",
        ),
        (environment(json!({ "environmentVariables": [{ "name": "A=B", "value": "" }] })), "cannot be an environment"),
        (environment(json!({ "registryCredential": {} })), "registryCredential"),
        (with(good(), &json!({ "serviceRole": "builder" })), "Invalid service role"),
        (with(good(), &json!({ "timeoutInMinutes": 4 })), "timeoutInMinutes 4"),
        (with(good(), &json!({ "queuedTimeoutInMinutes": 481 })), "queuedTimeoutInMinutes 481"),
        (with(good(), &json!({ "name": "a b" })), "Invalid project name"),
        (with(good(), &json!({ "vpcConfig": {} })), "vpcConfig"),
        (with(good(), &json!({ "concurrentBuildLimit": 0 })), "concurrentBuildLimit 0"),
        (with(good(), &json!({ "logsConfig": { "s3Logs": { "status": "ENABLED" } } })), "logs in S3"),
        (json!({ "name": "unit" }), "source is required"),
    ];
    for (input, expected) in table {
        let (code, message) = bench.refused("CreateProject", input).await;
        assert!(code == "InvalidInputException" && message.contains(expected), "{code}: {message} lacks {expected}");
    }
    bench.ok("CreateProject", good()).await;
    let (code, message) = bench.refused("StartBuild", json!({ "projectName": "unit", "imageOverride": "x" })).await;
    assert!(code == "InvalidInputException" && message.contains("imageOverride"), "{message}");
    assert_eq!(bench.refused("StartBuildBatch", json!({})).await.0, "UnknownOperationException");
}

#[tokio::test]
async fn a_log_goes_where_the_project_says_or_nowhere() {
    let bench = bench(roomy());
    let config = |config: Value| json!({ "logsConfig": { "cloudWatchLogs": config } });
    let named = config(json!({ "status": "ENABLED", "groupName": "mine", "streamName": "ci" }));
    bench.ok("CreateProject", with(project("unit", &spec(&["echo here"])), &named)).await;
    let id = bench.start(json!({})).await;
    let build = bench.finished(&id).await;
    let stream = format!("ci/{}", id.split_once(':').unwrap().1);
    assert_eq!((&build["logs"]["groupName"], &build["logs"]["streamName"]), (&json!("mine"), &json!(stream)));
    let lines = bench.codebuild.inner.logs.events("mine", &stream);
    assert!(lines.iter().any(|event| event.message == "here"), "{lines:?}");

    let off = with(json!({ "name": "unit" }), &config(json!({ "status": "DISABLED" })));
    bench.ok("UpdateProject", off).await;
    let id = bench.start(json!({})).await;
    let build = bench.finished(&id).await;
    assert_eq!(build["buildStatus"], "SUCCEEDED");
    assert!(build["logs"]["groupName"].is_null() && bench.log(&id).is_empty());
}
