//! What is no proper request: too long, too short, too slow, too old.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::LARGEST_BODY;
use super::super::testing::{Client, exchange_over};
use crate::auth::{Credentials, git_credentials};
use crate::cloud::{Cloud, Settings};

/// How long the clouds here wait for a client.
const SILENCE: Duration = Duration::from_millis(300);

async fn impatient(dir: &std::path::Path) -> Client {
    let running = Cloud::start(Settings { silence: SILENCE, ..Settings::new(dir) }).await.unwrap();
    let keys = running.cloud.keys.user(&running.cloud.world, "developer");
    Client { running, keys }
}

/// Everything that comes back for what is sent; the connection stays half open meanwhile.
async fn wait_for(client: &Client, request: &[u8]) -> (String, Duration) {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(client.address()).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(SILENCE * 20, stream.read_to_end(&mut answer)).await;
    let _closed_or_reset = read.expect("the connection was kept open");
    (String::from_utf8_lossy(&answer).into_owned(), begun.elapsed())
}

#[tokio::test]
async fn who_says_nothing_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let client = impatient(dir.path()).await;
    for begin in ["", "GET /inb", "GET /inbox HTTP/1.1\r\nhost: localhost\r\n", "\u{16}\u{3}\u{1}"] {
        let (answer, waited) = wait_for(&client, begin.as_bytes()).await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(waited >= SILENCE, "{begin:?} was given up after {waited:?}");
    }
    let long =
        String::from_utf8(client.draft("s3", "PUT", "/demo/k").header("content-length", "10").body("12345").sign());
    let (answer, _) = wait_for(&client, long.unwrap().as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("<Code>RequestTimeout</Code>"), "{answer}");
    let json = client.draft("codecommit", "POST", "/").header("x-amz-target", "CodeCommit_20150413.ListRepositories");
    let (answer, _) = wait_for(&client, &json.header("content-length", "10").body("{}").sign()).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("RequestTimeoutException"), "{answer}");
    client.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_git_client_that_stops_in_the_middle_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let client = impatient(dir.path()).await;
    let body = "{\"repositoryName\":\"demo\"}";
    let target = ("x-amz-target", "CodeCommit_20150413.CreateRepository");
    assert!(client.send("codecommit", "POST", "/", &[target], body).await.starts_with("HTTP/1.1 200"));
    let Credentials { access_key_id: id, secret_access_key: secret, .. } = &client.keys;
    let now = client.running.cloud.world.now();
    let (user, password) = git_credentials((id, secret, None), &client.address(), "/v1/repos/demo", "eu-west-1", now);
    let command = format!("{} {} refs/heads/main\0report-status", "0".repeat(40), "1".repeat(40));
    let command = format!("{:04x}{command}", command.len() + 4);
    for (service, begin, answered) in [
        ("git-receive-pack", command.clone(), "HTTP/1.1 408"),
        ("git-receive-pack", format!("{command}0000PACK"), "HTTP/1.1 200"),
        ("git-upload-pack", "0032want".to_owned(), "HTTP/1.1 "),
    ] {
        let request = format!(
            "POST /v1/repos/demo/{service} HTTP/1.1\r\nhost: {}\r\nauthorization: Basic {}\r\ncontent-type: application/x-{service}-request\r\ncontent-length: 4000\r\n\r\n{begin}",
            client.address(),
            STANDARD.encode(format!("{user}:{password}")),
        );
        let (answer, waited) = wait_for(&client, request.as_bytes()).await;
        assert!(waited >= SILENCE && answer.starts_with(answered), "{service} {begin:?} after {waited:?}: {answer}");
        assert!(!answer.contains("ok refs/heads/main"), "{answer}");
    }
    client.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_body_is_taken_as_long_as_it_says_and_not_a_byte_more_or_less() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::start(dir.path()).await;
    client.running.cloud.s3.create_bucket("demo", crate::s3::Versioning::Off).unwrap();
    let put =
        |said: &str, body: &str| client.draft("s3", "PUT", "/demo/k").header("content-length", said).body(body).sign();

    let mut stream = TcpStream::connect(client.address()).await.unwrap();
    stream.write_all(&put("10", "12345")).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    let _closed_or_reset = stream.read_to_string(&mut answer).await;
    assert!(answer.is_empty() || answer.contains("IncompleteBody"), "{answer}");
    assert_eq!(client.running.cloud.s3.get("demo", "k").unwrap(), None, "nothing of it was kept");

    let mut longer = client.draft("s3", "PUT", "/demo/k").header("content-length", "5").body("12345").sign();
    longer.extend_from_slice(b"678 is no request\r\n\r\n");
    let answer = client.exchange(&longer).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(client.running.cloud.s3.get("demo", "k").unwrap().unwrap().bytes, "12345");

    let chunked =
        client.draft("s3", "PUT", "/demo/k").header("transfer-encoding", "chunked").body("2\r\nab\r\n0\r\n\r\n");
    let mut chunked = chunked;
    chunked.payload = Some("UNSIGNED-PAYLOAD".to_owned());
    assert!(client.exchange(&chunked.sign()).await.starts_with("HTTP/1.1 200"));
    assert_eq!(client.running.cloud.s3.get("demo", "k").unwrap().unwrap().bytes, "ab", "HTTP's own chunks");

    for (service, said) in [("s3", "400 EntityTooLarge"), ("sns", "413 RequestEntityTooLargeException")] {
        let length = (LARGEST_BODY + 1).to_string();
        let mut large = client.draft(service, "POST", "/demo/k").header("content-length", &length);
        large.payload = Some("UNSIGNED-PAYLOAD".to_owned());
        let mut stream = TcpStream::connect(client.address()).await.unwrap();
        stream.write_all(&large.sign()).await.unwrap();
        for _ in 0..64 {
            stream.write_all(&vec![b'x'; LARGEST_BODY / 64]).await.unwrap();
        }
        let answer = exchange_over(stream, b"x").await;
        let (status, code) = said.split_once(' ').unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(code), "{answer}");
    }
    client.running.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_no_http_of_today_is_answered_or_refused_and_never_harms() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::start(dir.path()).await;
    let huge = format!("GET / HTTP/1.1\r\nhost: localhost\r\nx-long: {}\r\n\r\n", "x".repeat(2 * 1024 * 1024));
    assert!(client.exchange(huge.as_bytes()).await.starts_with("HTTP/1.1 431"));
    let many: String = (0..1000).map(|number| format!("x-{number}: 1\r\n")).collect();
    let many = format!("GET / HTTP/1.1\r\nhost: localhost\r\n{many}\r\n");
    assert!(client.exchange(many.as_bytes()).await.starts_with("HTTP/1.1 431"));
    assert!(client.exchange(b"this is no request at all\r\n\r\n").await.starts_with("HTTP/1.1 400"));

    let old = client.exchange(b"GET /inbox HTTP/1.0\r\nhost: localhost\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 200") && old.contains("No mail yet"), "{old}");
    let who = client.draft("sts", "POST", "/").body("Action=GetCallerIdentity&Version=2011-06-15");
    let signed = String::from_utf8(who.sign()).unwrap();
    let old = client.exchange(signed.replace("HTTP/1.1", "HTTP/1.0").as_bytes()).await;
    assert!(old.starts_with("HTTP/1.0 200") && old.contains(":user/developer"), "{old}");

    let nothing = client.exchange(&super::super::testing::page("/no/such/page", "localhost")).await;
    assert!(nothing.starts_with("HTTP/1.1 403") && nothing.contains("<Code>AccessDenied</Code>"), "{nothing}");
    let form = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    let metrics = client.send("monitoring", "POST", "/", &[form], "Action=ListMetrics&Version=2010-08-01").await;
    assert!(
        metrics.starts_with("HTTP/1.1 501") && metrics.contains("<ErrorResponse><Error><Type>Receiver</Type>"),
        "{metrics}"
    );
    assert!(
        metrics.contains("<Code>UnknownOperationException</Code>") && metrics.contains("monitoring:ListMetrics"),
        "{metrics}"
    );
    let machines = client.send("ec2", "POST", "/", &[form], "Action=DescribeInstances&Version=2016-11-15").await;
    assert!(machines.contains("<Response><Errors><Error>") && machines.contains("ec2:DescribeInstances"), "{machines}");
    let functions = client.send("lambda", "GET", "/2015-03-31/functions", &[], "").await;
    assert!(functions.contains("content-type: application/json\r\n"), "{functions}");
    assert!(functions.contains("x-amzn-errortype: UnknownOperationException"), "{functions}");
    assert!(functions.contains("lambda:GET /2015-03-31/functions"), "{functions}");
    let unknown = client.send("rekognition", "POST", "/", &[("x-amz-target", "RekognitionService.Detect")], "{}").await;
    assert!(unknown.contains("UnknownOperationException") && unknown.contains("rekognition:Detect"), "{unknown}");
    let lost = client.send("codecommit", "POST", "/2015-04-13/x", &[("x-amz-target", "CodeCommit.No")], "{}").await;
    assert!(lost.contains("UnknownOperationException"), "{lost}");
    let answer = client.browse("/inbox").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "it still answers: {answer}");
    client.running.stop().await.unwrap();
}
