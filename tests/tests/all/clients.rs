//! Clients that know nothing of us: the AWS CLI, AWS's credential helper and git-remote-codecommit against a whole stage.
//!
//! `SIGNALBOX_CLIENTS` names the folder of a Python environment with `awscli` and `git-remote-codecommit`; without it this
//! test says that it skips, and in CI it fails. What the clients do is in `tests/clients/*.sh`, a script a service, as a person would type it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use serde_json::json;
use signalbox_local::iam::Definition;
use signalbox_local::stage::Programs;
use signalbox_tests::{Ground, from_outside, mirror_template, programs, template};
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How many scripts run at once: a call costs its half second of processor time.
const AT_ONCE: usize = 2;

/// What has no good end here that a script could count on.
const REFUSED_ONLY: [(&str, &str); 2] = [
    ("events:CancelReplay", "a replay of a few events is over before anybody can cancel it"),
    ("sqs:CancelMessageMoveTask", "a move is over when the call that starts it returns"),
];

fn scripts() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/clients");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut scripts: Vec<PathBuf> = files
        .filter(|file| file.extension().is_some_and(|end| end == "sh") && file.file_stem().unwrap() != "common")
        .collect();
    scripts.sort();
    // The longest first.
    scripts.sort_by_key(|file| !file.ends_with("story.sh"));
    scripts
}

/// The shell with what `serve` prints and nothing else of this machine: no profile, no configuration, no other key.
fn shell(ground: &Ground, clients: &Path, script: &Path, driven: &Path) -> Command {
    let desk = ground.desk().join(script.file_stem().unwrap());
    std::fs::create_dir_all(&desk).unwrap();
    let path = format!("{}:{}", clients.join("bin").display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("/bin/sh");
    shell
        .arg(script)
        .current_dir(script.parent().unwrap())
        .env_clear()
        .envs(ground.stage.environment())
        .envs(ground.stage.https_environment())
        .env("PATH", path)
        .env("HOME", &desk)
        .env("AWS_CONFIG_FILE", desk.join("none"))
        .env("AWS_SHARED_CREDENTIALS_FILE", desk.join("none"))
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C.UTF-8")
        .env("ENDPOINT", ground.cloud().world.endpoint())
        .env("DESK", &desk)
        .env("DRIVEN", driven)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    shell
}

/// `codecommit get-branch` is `codecommit:GetBranch`.
fn operation(line: &str) -> String {
    let (service, words) = line.split_once(' ').unwrap_or((line, ""));
    let name: String = words
        .split('-')
        .map(|word| word.get(..1).unwrap_or_default().to_uppercase() + word.get(1..).unwrap_or_default())
        .collect();
    format!("{}:{name}", if service == "s3api" { "s3" } else { service })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_aws_cli_drives_every_operation_and_git_comes_and_goes_as_strangers_do() {
    let what = "a Python environment with awscli and git-remote-codecommit";
    let Some(clients) = from_outside("SIGNALBOX_CLIENTS", what) else { return };
    assert!(clients.join("bin/aws").is_file(), "there is no aws in {}/bin", clients.display());
    let text = std::fs::read_to_string(template()).unwrap();
    // The developer of these scripts stands for whoever may assume the role in the other account.
    let mirror =
        std::fs::read_to_string(mirror_template()).unwrap().replace("role/${ReplicatorRoleName}", "user/developer");
    let programs = Programs::Run(programs().await.unwrap());
    let ground = Arc::new(Ground::with_mirror(&text, &mirror, programs, "us-east-1").await.unwrap());
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "AWS": ground.cloud().world.account }, "Action": "sts:AssumeRole",
    }] });
    ground.cloud().world.iam.put_role("strangers", Definition { trust: Some(trust), ..Definition::default() }).unwrap();

    let driven = ground.desk().join("driven");
    let (slots, mut running) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    for script in scripts() {
        let (mut shell, slots) = (shell(&ground, &clients, &script, &driven), Arc::clone(&slots));
        running.spawn(async move {
            let _slot = slots.acquire_owned().await.unwrap();
            (script, shell.output().await.unwrap())
        });
    }
    let mut failures = Vec::new();
    while let Some(ended) = running.join_next().await {
        let (script, output) = ended.unwrap();
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            failures.push(format!("{}: {}\n{said}", script.display(), output.status));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));

    let driven = std::fs::read_to_string(driven).unwrap();
    let refused: BTreeSet<String> =
        driven.lines().filter_map(|line| line.strip_prefix("refused ")).map(operation).collect();
    let driven: BTreeSet<String> = driven.lines().map(operation).collect();
    for (one, why) in REFUSED_ONLY {
        assert!(refused.contains(one) && !driven.contains(one), "{one} is not only refused: {why}");
    }
    let offered = signalbox_local::operations().map(|(service, name)| format!("{service}:{name}"));
    let missed = offered.filter(|operation| !driven.contains(operation));
    let missed: Vec<String> = missed.filter(|operation| REFUSED_ONLY.iter().all(|(one, _)| one != operation)).collect();
    assert!(missed.is_empty(), "no script of tests/clients drives {} to a good end", missed.join(", "));
    Arc::into_inner(ground).unwrap().stage.clear().await.unwrap();
}

#[tokio::test]
async fn what_needs_something_from_outside_fails_in_ci_instead_of_skipping() {
    for test in [
        "clients::the_aws_cli_drives_every_operation_and_git_comes_and_goes_as_strangers_do",
        "conformance::sts::sts_answers_as_its_model_says",
    ] {
        for (ci, goes_well) in [("true", false), ("", true)] {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", test]).env("CI", ci);
            command.env_remove("SIGNALBOX_CLIENTS").env_remove("SIGNALBOX_SERVICE_MODELS");
            let output = command.output().await.unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(said.contains("running 1 test"), "{said}");
            assert_eq!(output.status.success(), goes_well, "{test} with CI={ci}: {said}");
        }
    }
}
