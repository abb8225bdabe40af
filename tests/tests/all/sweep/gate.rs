//! A gate before the cloud that lets some calls not through.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signalbox_aws::{Aws, AwsEnvironment};
use signalbox_glue::Setup;
use signalbox_tests::Ground;
use signalbox_trigger::Trigger;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Stands before the cloud, and lets nobody make the calls that hold all of `words`.
async fn gatekeeper(ground: &Ground, closed: Arc<AtomicBool>, words: &'static [&'static str]) -> String {
    let cloud = ground.cloud().world.endpoint().trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (cloud, closed) = (cloud.clone(), closed.clone());
            tokio::spawn(async move {
                let mut request = Vec::new();
                loop {
                    client.read_buf(&mut request).await.unwrap();
                    let text = String::from_utf8_lossy(&request);
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let length = head
                        .to_lowercase()
                        .split_once("content-length: ")
                        .map_or(0, |(_, rest)| rest.split("\r\n").next().unwrap().parse().unwrap());
                    if body.len() >= length {
                        break;
                    }
                }
                let text = String::from_utf8_lossy(&request).into_owned();
                if closed.load(Ordering::SeqCst) && words.iter().all(|word| text.contains(word)) {
                    let body = r#"{"__type":"AccessDeniedException","message":"not this one"}"#;
                    let head = format!("HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\n", body.len());
                    let answer =
                        format!("{head}content-type: application/x-amz-json-1.1\r\nconnection: close\r\n\r\n{body}");
                    client.write_all(answer.as_bytes()).await.unwrap();
                } else {
                    let mut upstream = TcpStream::connect(&cloud).await.unwrap();
                    let last = text.replacen("\r\n", "\r\nconnection: close\r\n", 1);
                    upstream.write_all(last.as_bytes()).await.unwrap();
                    let _ended = tokio::io::copy(&mut upstream, &mut client).await;
                }
            });
        }
    });
    endpoint
}

/// The trigger behind a gatekeeper.
pub(super) async fn guarded(ground: &Ground, closed: Arc<AtomicBool>, words: &'static [&'static str]) -> Trigger {
    let endpoint = gatekeeper(ground, closed, words).await;
    let keys = ground.keys("trigger");
    let aws = Aws::new(AwsEnvironment {
        region: "eu-west-1".to_owned(),
        access_key_id: keys.access_key_id,
        secret_access_key: keys.secret_access_key,
        session_token: keys.session_token,
        endpoint: Some(endpoint),
    });
    Trigger::new(&Setup::new(aws, ground.setup("trigger").unwrap().settings))
}
