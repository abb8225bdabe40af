//! Many clients at once.

use std::path::Path;

use tokio::task::JoinSet;

use super::super::testing::{Client, exchange_over};
use super::super::tls::CA_FILE;
use crate::auth::git_credentials;
use crate::s3::Versioning;

/// How many clients there are at once, each with a few calls of its own.
const CLIENTS: usize = 100;
/// One in so many of them is a git that clones.
const CLONES: usize = 5;

async fn git(dir: &Path, ca: &Path, arguments: &[&str]) -> String {
    let output = tokio::process::Command::new("git")
        .args(arguments)
        .current_dir(dir)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_SSL_CAINFO", ca)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_clients_at_once_each_get_their_own_right_answers() {
    let dir = tempfile::tempdir().unwrap();
    let cloud_dir = dir.path().join("cloud");
    let client = Client::start(&cloud_dir).await;
    let cloud = std::sync::Arc::clone(&client.running.cloud);
    cloud.s3.create_bucket("demo", Versioning::Enabled).unwrap();
    let target = |operation: &str| format!("CodeCommit_20150413.{operation}");
    let create = ("x-amz-target", target("CreateRepository"));
    let made = client.send("codecommit", "POST", "/", &[(create.0, &create.1)], "{\"repositoryName\":\"demo\"}").await;
    assert!(made.contains("200 OK"), "{made}");
    let put = ("x-amz-target", target("PutFile"));
    let file = "{\"repositoryName\":\"demo\",\"branchName\":\"main\",\"filePath\":\"a\",\"fileContent\":\"aGVsbG8=\"}";
    let made = client.send("codecommit", "POST", "/", &[(put.0, &put.1)], file).await;
    let commit = made.split("\"commitId\":\"").nth(1).unwrap()[..40].to_owned();
    client.send("sqs", "POST", "/", &[("x-amz-target", "AmazonSQS.CreateQueue")], "{\"QueueName\":\"q\"}").await;

    let client = std::sync::Arc::new(client);
    let mut crowd = JoinSet::new();
    for number in 0..CLIENTS {
        let (client, dir, ca) = (std::sync::Arc::clone(&client), dir.path().to_owned(), cloud_dir.join(CA_FILE));
        let commit = commit.clone();
        crowd.spawn(async move {
            if number % CLONES == 0 {
                let keys = (&*client.keys.access_key_id, &*client.keys.secret_access_key, None);
                let address = client.address();
                let (user, password) =
                    git_credentials(keys, &address, "/v1/repos/demo", "eu-west-1", jiff::Timestamp::now());
                let scheme = if number % (2 * CLONES) == 0 { "https" } else { "http" };
                let place = format!("clone-{number}");
                let url = format!("{scheme}://{user}:{password}@{address}/v1/repos/demo");
                git(&dir, &ca, &["clone", "-q", &url, &place]).await;
                assert_eq!(git(&dir.join(place), &ca, &["rev-parse", "HEAD"]).await, commit);
                return;
            }
            let text = format!("the text of {number}");
            let key = format!("/demo/{number}");
            let put = client.draft("s3", "PUT", &key).body(&text).sign();
            let put = if number % 2 == 0 {
                let stream = client.connect_tls(&ca, "localhost").await.unwrap();
                exchange_over(stream, &put).await
            } else {
                client.exchange(&put).await
            };
            assert!(put.starts_with("HTTP/1.1 200"), "{put}");
            let send = format!("{{\"QueueUrl\":\"q\",\"MessageBody\":\"{text}\"}}");
            let target = ("x-amz-target", "AmazonSQS.SendMessage");
            let queue = "http://127.0.0.1/111122223333/q";
            let sent =
                client.send("sqs", "POST", "/", &[target], &send.replace("\"q\"", &format!("\"{queue}\""))).await;
            assert!(sent.contains("MD5OfMessageBody"), "{sent}");
            let got = client.send("s3", "GET", &key, &[], "").await;
            assert!(got.starts_with("HTTP/1.1 200") && got.ends_with(&text), "{got}");
            let listed = client
                .send(
                    "codecommit",
                    "POST",
                    "/",
                    &[("x-amz-target", "CodeCommit_20150413.ListBranches")],
                    "{\"repositoryName\":\"demo\"}",
                )
                .await;
            assert!(listed.ends_with("{\"branches\":[\"main\"]}"), "{listed}");
            let who = client.send("sts", "POST", "/", &[], "Action=GetCallerIdentity&Version=2011-06-15").await;
            assert!(who.contains(":user/developer"), "{who}");
        });
    }
    while let Some(done) = crowd.join_next().await {
        done.unwrap();
    }
    assert_eq!(cloud.s3.list("demo", "").unwrap().len(), CLIENTS - CLIENTS / CLONES);
    let mut bodies = std::collections::BTreeSet::new();
    loop {
        let received = cloud.sqs.receive("q", 10, std::time::Duration::ZERO).await.unwrap();
        if received.is_empty() {
            break;
        }
        bodies.extend(received.into_iter().map(|message| message.body));
    }
    assert_eq!(bodies.len(), CLIENTS - CLIENTS / CLONES, "each message once and none lost");
}
