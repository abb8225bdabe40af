//! A function for tests: this very test executable, started again as a process, speaking HTTP over plain sockets.
//!
//! What it does with an event stands in the event: `{"do": "crash"}`.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

fn http(method: &str, path: &str, body: &str) -> Answer {
    let host = std::env::var("AWS_LAMBDA_RUNTIME_API").unwrap();
    let mut stream = TcpStream::connect(&host).unwrap();
    write!(
        stream,
        "{method} /2018-06-01/runtime/{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    Answer { status, headers, body: body.to_owned() }
}

fn respond(id: &str, value: &Value) -> Answer {
    http("POST", &format!("invocation/{id}/response"), &value.to_string())
}

fn hang() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(60));
    }
}

/// Not a test: the function itself. Without a Runtime API it does nothing.
#[test]
#[ignore = "is started as a process by the other tests"]
fn plays_the_function() {
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_none() {
        return;
    }
    match std::env::var("FAKE_INIT").as_deref() {
        Ok("crash") => {
            eprintln!("no configuration");
            std::process::exit(3);
        }
        Ok("hang") => hang(),
        Ok("error") => {
            let answer = http("POST", "init/error", r#"{"errorType":"Config.Missing","errorMessage":"no bucket"}"#);
            assert_eq!(answer.status, 202);
            hang();
        }
        _ => {}
    }
    loop {
        let next = http("GET", "invocation/next", "");
        assert_eq!(next.status, 200, "{}", next.body);
        let id = next.headers["lambda-runtime-aws-request-id"].clone();
        let event: Value = serde_json::from_str(&next.body).unwrap();
        work(&id, &event, &next);
    }
}

fn work(id: &str, event: &Value, next: &Answer) {
    match event["do"].as_str() {
        Some("pid") => {
            respond(id, &json!(std::process::id()));
        }
        Some("environment") => {
            let variables: BTreeMap<String, String> = std::env::vars().collect();
            respond(
                id,
                &json!({ "variables": variables, "headers": next.headers, "folder": std::env::current_dir().unwrap() }),
            );
        }
        Some("crash") => {
            println!("about to crash");
            std::process::exit(101);
        }
        Some("answer, then crash") => {
            respond(id, &json!("answered"));
            std::process::exit(1);
        }
        Some("hang") => {
            // Something that it started must end with it.
            let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
            std::fs::write(event["pids"].as_str().unwrap(), format!("{} {}", std::process::id(), child.id())).unwrap();
            child.wait().unwrap();
        }
        Some("fail") => {
            let path = format!("invocation/{id}/error");
            let answer = http("POST", &path, r#"{"errorType":"Refused","errorMessage":"not today"}"#);
            assert_eq!(answer.status, 202);
        }
        Some("misbehave") => {
            let statuses = [
                http("POST", "invocation/nobody/response", "{}").status,
                http("GET", "invocation/next", "").status,
                http("POST", "init/error", "{}").status,
                http("GET", "nothing", "").status,
            ];
            respond(id, &json!(statuses));
            // Twice is once too often.
            assert_eq!(respond(id, &json!("again")).status, 400);
        }
        Some("say too much") => {
            let answer = respond(id, &json!("x".repeat(6 * 1024 * 1024)));
            assert_eq!(answer.status, 413);
        }
        Some("say nonsense") => {
            http("POST", &format!("invocation/{id}/response"), "{");
        }
        Some("log") => {
            println!("{}", event["line"].as_str().unwrap());
            respond(id, &Value::Null);
        }
        _ if event["Records"].is_array() => batch(id, event),
        _ => {
            respond(id, event);
        }
    }
}

/// A message whose body is `bad` fails, one that is `crash` kills the function, one that is `nonsense` spoils the answer.
fn batch(id: &str, event: &Value) {
    let records = event["Records"].as_array().unwrap();
    let bodies: Vec<&str> = records.iter().map(|record| record["body"].as_str().unwrap()).collect();
    println!("batch {}", bodies.join(","));
    if bodies.contains(&"crash") {
        std::process::exit(101);
    }
    if bodies.contains(&"nonsense") {
        respond(id, &json!({ "batchItemFailures": [{ "itemIdentifier": "nobody" }] }));
        return;
    }
    let failures: Vec<Value> = records
        .iter()
        .filter(|record| record["body"] == "bad")
        .map(|record| json!({ "itemIdentifier": record["messageId"] }))
        .collect();
    respond(id, &json!({ "batchItemFailures": failures }));
}
