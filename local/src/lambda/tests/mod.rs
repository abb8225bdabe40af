mod fake;
mod feeding;
mod whole;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::environment::Spec;
use super::invocation::InvocationError;
use super::log::{self, Line};
use super::pool::{Pool, Presence, parse_answer};
use crate::auth::Keys;
use crate::iam::Definition;
use crate::template::function::{Function, LogFormat, Tracing};
use crate::world::World;

/// A function that is this test executable, and what it wrote.
struct Bench {
    pool: Arc<Pool>,
    lines: mpsc::Receiver<Line>,
    dir: tempfile::TempDir,
}

fn function(environment: &[(&str, &str)]) -> Function {
    let executable = std::env::current_exe().unwrap();
    let mut variables = BTreeMap::from([("TEST_EXECUTABLE".to_owned(), executable.display().to_string())]);
    variables.extend(environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    Function {
        id: "Trigger".to_owned(),
        name: "signalbox-trigger".to_owned(),
        arn: "arn:aws:lambda:eu-west-1:111122223333:function:signalbox-trigger".to_owned(),
        binary: "trigger".to_owned(),
        handler: "bootstrap".to_owned(),
        environment: variables,
        role: "signalbox-TriggerRole".to_owned(),
        role_arn: "arn:aws:iam::111122223333:role/signalbox-TriggerRole".to_owned(),
        tracing: Tracing::PassThrough,
        timeout: Duration::from_secs(20),
        memory: 256,
        reserved: None,
        log_group: "/aws/lambda/signalbox-trigger".to_owned(),
        log_format: LogFormat::Text,
        log_level: None,
        sources: Vec::new(),
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lambda/function_for_tests.sh")
}

fn bench(function: Function, change: impl FnOnce(&mut Spec)) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let world = Arc::new(World::new(dir.path().to_owned(), "eu-west-1", 7));
    world.listens_at("http://127.0.0.1:4566".to_owned());
    let logs = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";
    let role = Definition::of_service(
        "lambda.amazonaws.com",
        "none",
        json!({ "Statement": [{
        "Effect": "Deny", "Action": "iam:*", "Resource": "*",
    }] }),
    );
    world.iam.put_role("signalbox-TriggerRole", role.with_managed(logs)).unwrap();
    let keys = Arc::new(Keys::default());
    let (sender, lines) = log::channel();
    let (kill, killed) = watch::channel(0);
    let mut spec = Spec::new(function, script(), &world, &keys, sender, killed);
    change(&mut spec);
    Bench { pool: Arc::new(Pool::new(spec, kill, 2)), lines, dir }
}

fn plain() -> Bench {
    bench(function(&[]), |_| {})
}

impl Bench {
    async fn invoke(&self, event: Value) -> Result<Value, InvocationError> {
        self.pool.invoke(Bytes::from(event.to_string())).await.and_then(|body| parse_answer(&body))
    }

    async fn pid(&self) -> u64 {
        self.invoke(json!({ "do": "pid" })).await.unwrap().as_u64().unwrap()
    }

    /// Waits for a line that holds `text`.
    async fn line(&mut self, text: &str) -> String {
        let found = async {
            while let Some(line) = self.lines.recv().await {
                if line.text.contains(text) {
                    return line.text;
                }
            }
            String::new()
        };
        tokio::time::timeout(Duration::from_secs(10), found).await.unwrap_or_else(|_| panic!("no line holds {text:?}"))
    }
}

fn is_running(pid: u32) -> bool {
    // A process that ended and is not waited for yet is there, but it is a zombie.
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_function_gets_its_event_and_gives_its_answer_from_one_process() {
    let bench = plain();
    assert_eq!(bench.invoke(json!({ "hello": "world" })).await, Ok(json!({ "hello": "world" })));
    assert_eq!(bench.pid().await, bench.pid().await);
}

#[tokio::test]
async fn two_events_at_once_get_two_processes_and_a_third_waits() {
    let bench = plain();
    let (first, second, third) = tokio::join!(bench.pid(), bench.pid(), bench.pid());
    assert_ne!(first, second);
    assert!(third == first || third == second);
}

#[tokio::test]
async fn a_process_has_lambdas_environment_and_nothing_of_ours() {
    let bench = bench(function(&[("SIGNALBOX_BUCKET", "things")]), |_| {});
    let told = bench.invoke(json!({ "do": "environment" })).await.unwrap();
    let variables = told["variables"].as_object().unwrap();
    let value = |name: &str| variables.get(name).and_then(Value::as_str).unwrap_or_default();
    assert_eq!(value("SIGNALBOX_BUCKET"), "things");
    assert_eq!(value("AWS_LAMBDA_FUNCTION_NAME"), "signalbox-trigger");
    assert_eq!(value("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), "256");
    assert_eq!(value("AWS_REGION"), "eu-west-1");
    assert_eq!(value("AWS_ENDPOINT_URL"), "http://127.0.0.1:4566");
    assert_eq!(value("_HANDLER"), "bootstrap");
    assert_eq!(value("TZ"), ":UTC");
    assert!(value("AWS_ACCESS_KEY_ID").starts_with("ASIA"));
    assert_eq!(value("AWS_SESSION_TOKEN").len(), 64);
    for ours in ["HOME", "CARGO", "CARGO_MANIFEST_DIR", "USER"] {
        assert!(!variables.contains_key(ours), "{ours}");
    }
    assert_eq!(told["folder"], script().parent().unwrap().to_str().unwrap());

    let headers = told["headers"].as_object().unwrap();
    assert_eq!(headers["lambda-runtime-invoked-function-arn"], bench.pool.spec().function.arn);
    assert!(headers["lambda-runtime-trace-id"].as_str().unwrap().starts_with("Root=1-"));
    let deadline: i64 = headers["lambda-runtime-deadline-ms"].as_str().unwrap().parse().unwrap();
    let left = deadline - jiff::Timestamp::now().as_millisecond();
    assert!((10_000..=20_000).contains(&left), "{left}");
}

#[tokio::test]
async fn a_crash_is_an_error_and_the_next_event_gets_a_fresh_process() {
    let mut bench = plain();
    let before = bench.pid().await;
    assert_eq!(
        bench.invoke(json!({ "do": "crash" })).await,
        Err(InvocationError::Exited { status: "exit status 101".to_owned() })
    );
    assert_ne!(bench.pid().await, before);
    bench.line("about to crash").await;
    bench.line("Error: Runtime exited with error: exit status 101").await;
    bench.line("Status: error").await;
}

#[tokio::test]
async fn a_crash_behind_the_answer_does_not_undo_the_answer() {
    let bench = plain();
    assert_eq!(bench.invoke(json!({ "do": "answer, then crash" })).await, Ok(json!("answered")));
    assert_eq!(bench.invoke(json!("still there")).await, Ok(json!("still there")));
}

#[tokio::test]
async fn a_time_out_kills_the_process_and_all_that_it_started() {
    let mut bench = bench(Function { timeout: Duration::from_secs(1), ..function(&[]) }, |_| {});
    let file = bench.dir.path().join("pids");
    let error = bench.invoke(json!({ "do": "hang", "pids": file })).await.unwrap_err();
    assert_eq!(error.to_string(), "Task timed out after 1.00 seconds");
    let pids = std::fs::read_to_string(file).unwrap();
    for pid in pids.split(' ') {
        let pid = pid.parse().unwrap();
        until("the process group is gone", || !is_running(pid)).await;
    }
    bench.line("Task timed out after 1.00 seconds").await;
    assert_eq!(bench.invoke(json!("next")).await, Ok(json!("next")));
}

#[tokio::test]
async fn a_kill_ends_the_event_that_is_being_worked_on() {
    let bench = plain();
    let file = bench.dir.path().join("pids");
    let pool = Arc::clone(&bench.pool);
    let event = json!({ "do": "hang", "pids": file }).to_string();
    let working = tokio::spawn(async move { pool.invoke(Bytes::from(event)).await });
    until("the function works", || file.exists()).await;
    bench.pool.kill();
    assert_eq!(working.await.unwrap(), Err(InvocationError::Exited { status: "signal: killed".to_owned() }));
    assert_eq!(bench.invoke(json!("next")).await, Ok(json!("next")));
}

#[tokio::test]
async fn a_process_ends_with_its_pool() {
    let bench = plain();
    let pid = u32::try_from(bench.pid().await).unwrap();
    assert!(is_running(pid));
    drop(bench);
    until("the process is gone", || !is_running(pid)).await;
}

#[tokio::test]
async fn an_event_whose_invoker_went_away_ends_its_process() {
    let bench = plain();
    let file = bench.dir.path().join("pids");
    let event = Bytes::from(json!({ "do": "hang", "pids": file }).to_string());
    let pool = Arc::clone(&bench.pool);
    let working = tokio::spawn(async move { pool.invoke(event).await });
    until("the function works", || std::fs::read_to_string(&file).is_ok_and(|text| text.contains(' '))).await;
    working.abort();
    for pid in std::fs::read_to_string(&file).unwrap().split(' ') {
        let pid = pid.parse().unwrap();
        until("the process group is gone", || !is_running(pid)).await;
    }
}

#[tokio::test]
async fn an_error_answer_and_a_useless_answer_are_told_apart() {
    let bench = plain();
    assert_eq!(
        bench.invoke(json!({ "do": "fail" })).await,
        Err(InvocationError::Failed { kind: "Refused".to_owned(), message: "not today".to_owned() })
    );
    let nonsense = bench.invoke(json!({ "do": "say nonsense" })).await.unwrap_err();
    assert!(nonsense.to_string().contains("not JSON"), "{nonsense}");
    let too_much = bench.invoke(json!({ "do": "say too much" })).await.unwrap_err();
    assert!(too_much.to_string().contains("larger than 6 MB"), "{too_much}");
}

#[tokio::test]
async fn calls_that_do_not_fit_are_refused_and_harm_nothing() {
    let bench = plain();
    assert_eq!(bench.invoke(json!({ "do": "misbehave" })).await, Ok(json!([400, 403, 403, 404])));
    assert_eq!(bench.invoke(json!("next")).await, Ok(json!("next")));
}

#[tokio::test]
async fn a_process_that_dies_at_its_start_is_told_and_tried_again_after_a_pause() {
    let mut bench = bench(function(&[("FAKE_INIT", "crash")]), |_| {});
    let error = bench.invoke(json!({})).await.unwrap_err();
    assert_eq!(error.to_string(), "the function did not start: it ended before it asked for an event (exit status 3)");
    bench.line("no configuration").await;
    let begun = Instant::now();
    bench.invoke(json!({})).await.unwrap_err();
    assert!(begun.elapsed() >= Duration::from_millis(190), "the second try waits");
}

#[tokio::test]
async fn an_init_error_and_an_init_that_hangs_are_told_with_their_reason() {
    let said = bench(function(&[("FAKE_INIT", "error")]), |_| {});
    let error = said.invoke(json!({})).await.unwrap_err();
    assert_eq!(error.to_string(), "the function did not start: Config.Missing: no bucket");

    let hangs = bench(function(&[("FAKE_INIT", "hang")]), |spec| spec.init_limit = Duration::from_millis(300));
    let error = hangs.invoke(json!({})).await.unwrap_err();
    assert_eq!(error.to_string(), "the function did not start: it asked for no event within 0.3 seconds");

    let missing = bench(function(&[]), |spec| spec.binary = PathBuf::from("/nowhere/trigger"));
    let error = missing.invoke(json!({})).await.unwrap_err();
    assert!(error.to_string().contains("/nowhere/trigger cannot be run"), "{error}");
}

#[tokio::test]
async fn a_stopped_function_takes_nothing_until_it_is_started_again() {
    let bench = plain();
    let pid = u32::try_from(bench.pid().await).unwrap();
    bench.pool.set_presence(Presence::Stopped);
    until("its process is gone", || !is_running(pid)).await;
    assert!(matches!(bench.invoke(json!({})).await, Err(InvocationError::Stopped { .. })));
    bench.pool.set_presence(Presence::Here);
    assert_eq!(bench.invoke(json!({})).await, Ok(json!({})));
}

#[tokio::test]
async fn the_log_tells_of_every_event_in_lambdas_own_words() {
    let mut bench = plain();
    bench.invoke(json!({ "do": "log", "line": "a line of the function" })).await.unwrap();
    let start = bench.line("START RequestId: ").await;
    assert!(start.ends_with(" Version: $LATEST"), "{start}");
    bench.line("a line of the function").await;
    let report = bench.line("REPORT RequestId: ").await;
    assert!(report.contains("Memory Size: 256 MB") && report.contains("Init Duration: "), "{report}");
}

#[tokio::test]
async fn a_json_log_has_records_and_drops_what_is_below_its_level() {
    let function = Function { log_format: LogFormat::Json, log_level: Some("WARN".to_owned()), ..function(&[]) };
    let mut bench = bench(function, |_| {});
    bench.invoke(json!({ "do": "log", "line": r#"{"level":"INFO","message":"quiet"}"# })).await.unwrap();
    bench.invoke(json!({ "do": "log", "line": r#"{"level":"ERROR","message":"loud"}"# })).await.unwrap();
    let mut seen = Vec::new();
    while !seen.iter().any(|line: &String| line.contains("loud")) {
        let line = tokio::time::timeout(Duration::from_secs(10), bench.lines.recv()).await.unwrap().unwrap();
        seen.push(line.text);
    }
    assert!(!seen.iter().any(|line| line.contains("quiet")), "{seen:?}");
    assert!(seen.iter().any(|line| line.contains(r#""type":"platform.report""#)), "{seen:?}");
}
