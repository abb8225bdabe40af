//! The command line: what it prints, and how it ends.

use std::path::Path;
use std::process::Output;

use signalbox_tests::programs;

pub(crate) async fn signalbox(arguments: &[&str]) -> (Option<i32>, String, String) {
    let program = programs().await.unwrap().remove("signalbox").unwrap();
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let output: Output = tokio::process::Command::new(program)
        .args(arguments)
        .current_dir(workspace)
        .env_remove("CLICOLOR_FORCE")
        .output()
        .await
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn help_is_everywhere_and_wrong_usage_ends_with_2() {
    for command in
        ["demo", "serve", "check", "explain", "iam", "apply", "status", "redrive", "uninstall", "git-credential"]
    {
        let (code, out, _) = signalbox(&[command, "--help"]).await;
        assert_eq!(code, Some(0), "{command}");
        assert!(out.contains("Usage: signalbox"), "{out}");
    }
    let (code, out, error) = signalbox(&["chekc"]).await;
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(error.contains("check"), "{error}");
}

#[tokio::test]
async fn check_passes_a_good_policy_and_tells_every_problem_of_a_bad_one() {
    let (code, out, _) = signalbox(&["check", "local/demo/signalbox.yaml"]).await;
    assert_eq!((code, out.as_str()), (Some(0), "good: local/demo/signalbox.yaml\n"));
    let (code, out, _) = signalbox(&["check", "docs/examples/first.yaml"]).await;
    assert_eq!(code, Some(0));
    assert!(out.contains("the mode is `observe`"), "{out}");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bad.yaml");
    std::fs::write(&file, "mode: enforse\nrepositories:\n  \"a-*\": { trigers: {} }\n").unwrap();
    let (code, out, error) = signalbox(&["check", file.to_str().unwrap()]).await;
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(error.contains("bad.yaml:1:7:") && error.contains("did you mean \"triggers\"?"), "{error}");
    assert!(!error.contains('\u{1b}'), "no colours in a pipe: {error}");

    let (code, _, error) = signalbox(&["check", "no-such-file.yaml"]).await;
    assert_eq!(code, Some(1));
    assert!(error.contains("cannot read the policy no-such-file.yaml"), "{error}");
}

#[tokio::test]
async fn explain_tells_what_every_function_would_decide() {
    let explain = |event| ["explain", "--policy", "docs/examples/first.yaml", "--event", event];
    let (code, out, error) = signalbox(&explain("events/codecommit-reference-updated-push.json")).await;
    assert_eq!(code, Some(0), "{error}");
    insta::assert_snapshot!("explain_push", out);
    let (code, out, error) = signalbox(&explain("events/codebuild-build-failed.json")).await;
    assert_eq!(code, Some(0), "{error}");
    insta::assert_snapshot!("explain_build", out);
    let (code, out, error) = signalbox(&explain("events/scheduled-sweep.json")).await;
    assert_eq!(code, Some(0), "{error}");
    insta::assert_snapshot!("explain_sweep", out);
    let (code, out, _) = signalbox(&explain("events/unknown-ecr-image-push.json")).await;
    assert_eq!(code, Some(0));
    assert!(out.contains("none of ours"), "{out}");
    let (code, _, error) = signalbox(&explain("events/malformed-no-commit-id.json")).await;
    assert_eq!(code, Some(1));
    assert!(error.contains("detail.commitId"), "{error}");
}

#[tokio::test]
async fn check_and_explain_speak_of_pull_requests_and_comments() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("policy.yaml");
    let text = "mode: enforce\nrepositories:\n  payments:\n    triggers:\n      unit:\n        on: { pull_request: { paths: [\"src/**\"] }, comment: \"/go\" }\n        start: { build: unit }\n      lint:\n        on: { pull_request: { commit: merge-result } }\n        start: { build: lint }\n";
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let (code, out, error) = signalbox(&["check", file]).await;
    assert_eq!((code, out), (Some(0), format!("good: {file}\n")), "{error}");
    let explain = async |event: &str| {
        let (code, out, error) = signalbox(&["explain", "--policy", file, "--event", event]).await;
        assert_eq!(code, Some(0), "{error}");
        out
    };
    let opened = explain("events/codecommit-pull-request-created.json").await;
    for wanted in [
        "because unit starts nothing: it has a path filter, and which files changed is not known yet",
        "because lint starts for 0676edc: it takes every pull request into main, and this is 42",
        "would    start lint for pull request 42 at 0676edc, merged with ed278db",
        "decided as if nothing were known yet",
    ] {
        assert!(opened.contains(wanted), "no {wanted:?} in {opened}");
    }
    let asked = explain("events/codecommit-comment-on-pull-request-created.json").await;
    assert!(asked.contains("because what the comment says is not in the event, and not known yet"), "{asked}");
    assert!(asked.contains("the function would gather facts first"), "{asked}");
    let closed = explain("events/codecommit-pull-request-closed.json").await;
    assert!(closed.contains("trigger not concerned"), "{closed}");
}

#[tokio::test]
async fn explain_takes_facts_from_a_file_and_answers_in_json() {
    let dir = tempfile::tempdir().unwrap();
    let facts = dir.path().join("facts.json");
    let event = "events/codecommit-reference-updated-push.json";
    let explain = |more: &[&str]| {
        let mut all = vec!["explain", "--policy", "docs/examples/first.yaml", "--event", event, "--json"];
        all.extend(more);
        all.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let run = async |arguments: Vec<String>| {
        let (code, out, error) = signalbox(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await;
        assert_eq!(code, Some(0), "{error}");
        serde_json::from_str::<serde_json::Value>(&out).unwrap()
    };
    let without = run(explain(&[])).await;
    assert_eq!(without["functions"]["trigger"]["facts_given"], false);
    let push = without["functions"]["trigger"]["needs"]["push"]["push"].clone();
    let commit = &push["commit"];
    let given = serde_json::json!({
        "push": push,
        "triggers": { "unit": {
            "target": commit, "head": { "message": "", "author_email": "" },
            "state": { "green": null, "starts": [] }, "settled": {}, "difference": 0,
        } },
        "differences": [{ "base": "nothing", "target": commit, "paths": ["README.md"] }],
    });
    std::fs::write(&facts, given.to_string()).unwrap();
    let with = run(explain(&["--facts", facts.to_str().unwrap()])).await;
    let reason = with["functions"]["trigger"]["reasons"][0].as_str().unwrap();
    assert!(reason.starts_with("unit starts nothing: nothing matches its paths (1 file in all"), "{reason}");

    // A ledger entry has its event in it: what the sweep found has no other.
    let entry = serde_json::json!({
        "function": "trigger", "report": { "replay": { "event": without["event"], "facts": given } },
    });
    std::fs::write(&facts, entry.to_string()).unwrap();
    let whole = ["explain", "--policy", "docs/examples/first.yaml", "--json", "--facts", facts.to_str().unwrap()];
    assert_eq!(run(whole.map(str::to_owned).to_vec()).await, with);

    std::fs::write(&facts, "{}").unwrap();
    let arguments = explain(&["--facts", facts.to_str().unwrap()]);
    let (code, _, error) = signalbox(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(code, Some(1));
    assert!(error.contains("holds no facts"), "{error}");
}

#[tokio::test]
async fn a_busy_port_and_a_machine_without_git_are_told_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("cloud");
    let serve = ["serve", "--port", &port, "--dir", folder.to_str().unwrap()];
    let (code, _, error) = signalbox(&serve).await;
    assert_eq!(code, Some(1));
    assert!(error.contains(&format!("cannot listen on 127.0.0.1:{port}")) && error.contains("--port"), "{error}");

    let program = programs().await.unwrap().remove("signalbox").unwrap();
    let functions = program.parent().unwrap();
    let output = tokio::process::Command::new(&program)
        .args(["serve", "--port", "0", "--dir", folder.to_str().unwrap()])
        .env("PATH", "/nowhere")
        .env(signalbox_local::lambda::binaries::READY_MADE, functions)
        .output()
        .await
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("git") && error.contains("install"), "{error}");
}

#[tokio::test]
async fn a_region_that_aws_could_not_have_is_wrong_usage() {
    for (wrong, words) in [("mars", "eu-west-1"), ("../up-1", "eu-west-1"), ("cn-north-1", "partition")] {
        let (code, out, error) = signalbox(&["serve", "--region", "eu-west-1", "--region", wrong]).await;
        assert_eq!((code, out.as_str()), (Some(2), ""), "{error}");
        assert!(error.contains("--region") && error.contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_folder_that_is_in_use_is_left_alone() {
    let ground = signalbox_tests::Ground::without_functions().await.unwrap();
    let dir = ground.cloud().world.dir.clone();
    let (code, _, error) = signalbox(&["serve", "--port", "0", "--dir", dir.to_str().unwrap()]).await;
    assert_eq!(code, Some(1));
    assert!(error.contains("another local cloud runs in") && error.contains("--dir"), "{error}");
}

#[tokio::test]
async fn schema_prints_what_editors_read() {
    let (code, out, error) = signalbox(&["schema"]).await;
    assert_eq!(code, Some(0), "{error}");
    let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(schema, signalbox_policy::schema());
    let (code, out, _) = signalbox(&["schema", "--help"]).await;
    assert_eq!(code, Some(0));
    assert!(out.contains("# yaml-language-server: $schema=signalbox.schema.json"), "{out}");
}

/// Runs with the one end of a pipe whose other end is closed.
async fn unread(arguments: &[&str]) -> (Option<i32>, Option<i32>) {
    let program = programs().await.unwrap().remove("signalbox").unwrap();
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let closed = || std::process::Stdio::from(std::io::pipe().unwrap().1);
    let mut codes = Vec::new();
    for both in [true, false] {
        let mut command = tokio::process::Command::new(&program);
        command
            .args(arguments)
            .current_dir(workspace)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env_remove("AWS_REGION");
        command.stdin(std::process::Stdio::null()).stderr(closed());
        command.stdout(if both { closed() } else { std::process::Stdio::null() });
        codes.push(command.status().await.unwrap().code());
    }
    (codes[0], codes[1])
}

#[tokio::test]
async fn whoever_stops_reading_makes_no_command_panic() {
    let dir = tempfile::tempdir().unwrap();
    let bad = dir.path().join("bad.yaml");
    std::fs::write(&bad, "mode: enforse\n").unwrap();
    let bad = bad.to_str().unwrap();
    let event = "events/codecommit-reference-updated-push.json";
    let nowhere = ["--endpoint-url", "http://127.0.0.1:9", "--profile", "nobody", "--region", "eu-west-1"];
    for (arguments, code) in [
        (vec!["schema"], 0),
        (vec!["check", bad], 1),
        (vec!["check", "no-such-file.yaml"], 1),
        (vec!["explain", "--policy", bad, "--event", event], 1),
        (vec!["explain", "--event", event, "--verbose"], 2),
        (vec!["apply", bad], 1),
        ([&["apply", "docs/examples/first.yaml"], &nowhere[..]].concat(), 1),
        ([&["status"], &nowhere[..]].concat(), 3),
        ([&["redrive", "--all"], &nowhere[..]].concat(), 1),
        ([&["uninstall"], &nowhere[..]].concat(), 1),
        (vec!["serve", "--policy", "no-such-file.yaml"], 1),
        (vec!["demo", "--dir", "."], 1),
        (vec!["git-credential", "get"], 1),
    ] {
        let (both, only_error) = unread(&arguments).await;
        assert_eq!((both, only_error), (Some(code), Some(code)), "{arguments:?}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn output_that_cannot_be_written_is_an_error() {
    let program = programs().await.unwrap().remove("signalbox").unwrap();
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    for arguments in [&["schema"][..], &["check", "docs/examples/first.yaml"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = tokio::process::Command::new(&program);
        command.args(arguments).current_dir(workspace).stdout(full).stderr(std::process::Stdio::piped());
        let output = command.spawn().unwrap().wait_with_output().await.unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(error.contains("standard output cannot be written") && error.contains("No space left"), "{error}");
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_wrong_usage() {
    for wrong in ["nomail", "a b@example.com", "@example.com", ""] {
        let (code, out, error) = signalbox(&["serve", "--email", wrong]).await;
        assert_eq!((code, out.as_str()), (Some(2), ""), "{error}");
        assert!(error.contains("--email") && error.contains("team@example.com"), "{error}");
    }
}
