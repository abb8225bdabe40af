//! Signed commits: the real git signs them with keys that the real ssh-keygen and gpg make.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use super::world::World;

/// Whether a program is there, said aloud where not.
///
/// # Panics
/// It is not there where `CI` is set: there nothing may be skipped.
fn is_there(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if !found {
        let is_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
        assert!(!is_ci, "CI is set and there is no {program}: nothing is skipped there");
        eprintln!("skipped: there is no {program}");
    }
    found
}

/// A new SSH key: where its public half lies.
fn ssh_key(dir: &Path, name: &str) -> PathBuf {
    let file = dir.join(name);
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "developer@example.com", "-f"]).arg(&file).stdin(Stdio::null());
    assert!(keygen.status().unwrap().success());
    file.with_extension("pub")
}

/// Has git sign every commit of the clone.
fn sign_with(world: &World, format: &str, key: &str) {
    world.git(&["config", "gpg.format", format]);
    world.git(&["config", "user.signingKey", key]);
    world.git(&["config", "commit.gpgSign", "true"]);
}

/// A world whose `main` and `topic/**` take only what one of these keys signed.
async fn world(keys: &str) -> World {
    let lines: String = keys.lines().map(|line| format!("              {line}\n")).collect();
    World::new(&format!("refs: [\"**\"]\n        commits:\n          signed:\n            - |\n{lines}")).await
}

/// Pushes what is checked out as a branch of its own, and gives verdict and reasons.
async fn pushed_as(world: &mut World, name: &str) -> (String, String) {
    let reference = format!("refs/heads/topic/{name}");
    world.push(&format!("HEAD:{reference}"));
    let event = world.event(&reference).await;
    let report = world.reported(&event).await;
    (report.verdict, report.reasons.join("\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_an_allowed_ssh_key_signed_stays() {
    if !is_there("ssh-keygen") {
        return;
    }
    let keys = tempfile::tempdir().unwrap();
    let (ours, other) = (ssh_key(keys.path(), "ours"), ssh_key(keys.path(), "other"));
    let line = std::fs::read_to_string(&ours).unwrap();
    let mut world = world(&format!("# who may\ndeveloper@example.com {line}")).await;
    sign_with(&world, "ssh", ours.to_str().unwrap());
    let good = world.commit("signed", &[("a", b"1")]);
    world.push("main");
    let report = world.next().await;
    assert_eq!(report.verdict, "allowed", "{report:?}");

    // One unsigned commit below a signed one.
    world.git(&["commit", "--quiet", "--no-gpg-sign", "--allow-empty", "-m", "not signed"]);
    let unsigned = world.git(&["rev-parse", "HEAD"]);
    world.commit("signed upon it", &[("a", b"2")]);
    world.push("main");
    let report = world.next().await;
    let told = report.reasons.join("\n");
    assert_eq!(report.verdict, "restore", "{told}");
    assert!(told.contains(&format!("commits.signed: commit {}: it is not signed", &unsigned[..7])), "{told}");
    assert!(told.contains("git commit --amend --no-edit -S"), "{told}");
    assert_eq!(world.tip("refs/heads/main"), good);

    let again = ["reset", "--quiet", "--hard", &good];
    world.git(&again);
    world.git(&[
        "-c",
        &format!("user.signingKey={}", other.display()),
        "commit",
        "--quiet",
        "--allow-empty",
        "-m",
        "x",
    ]);
    let (verdict, told) = pushed_as(&mut world, "other").await;
    assert!(verdict == "restore" && told.contains("none of the allowed keys"), "{told}");

    // The same signature over another message.
    world.git(&again);
    world.commit("signed once more", &[("a", b"3")]);
    let script =
        "git cat-file commit HEAD | sed 's/signed once more/changed since/' | git hash-object -t commit -w --stdin";
    let changed = world.command("sh").args(["-c", script]).output().unwrap();
    world.git(&["reset", "--quiet", "--hard", String::from_utf8(changed.stdout).unwrap().trim()]);
    let (verdict, told) = pushed_as(&mut world, "changed").await;
    assert!(verdict == "restore" && told.contains("was not made over this commit"), "{told}");

    // By the right key for somebody else.
    world.git(&again);
    let mut as_other = world.command("git");
    as_other.env("GIT_COMMITTER_EMAIL", "other@example.com").args(["commit", "--quiet", "--allow-empty", "-m", "y"]);
    assert!(as_other.status().unwrap().success());
    let (verdict, told) = pushed_as(&mut world, "committer").await;
    assert!(verdict == "restore" && told.contains("does not speak for the committer \"other@example.com\""), "{told}");

    // A merge that CodeCommit makes for a pull request it cannot sign; one without a pull request is a push like any other.
    world.git(&again);
    let ground = &world.ground;
    for (branch, pull_request) in [("with", true), ("without", false)] {
        world.git(&["switch", "--quiet", "-c", branch, &good]);
        world.commit(branch, &[(branch, b"1")]);
        world.push(branch);
        let caller = ground.developer();
        let codecommit = &ground.cloud().codecommit;
        if pull_request {
            let target = json!({ "repositoryName": "demo", "sourceReference": branch, "destinationReference": "main" });
            let input = json!({ "title": branch, "targets": [target] });
            let made = codecommit.call("CreatePullRequest", input, &caller).await.unwrap();
            let input = json!({ "pullRequestId": made["pullRequest"]["pullRequestId"], "repositoryName": "demo" });
            codecommit.call("MergePullRequestBySquash", input, &caller).await.unwrap();
        } else {
            let input = json!({ "repositoryName": "demo", "sourceCommitSpecifier": branch, "destinationCommitSpecifier": "main", "targetBranch": "main" });
            codecommit.call("MergeBranchesBySquash", input, &caller).await.unwrap();
        }
    }
    let mut verdicts = Vec::new();
    while verdicts.len() < 2 {
        let report = world.next().await;
        if report.verdict != "ours" {
            verdicts.push(report.verdict);
        }
    }
    assert_eq!(verdicts, ["allowed", "restore"]);
}

/// A home of gpg's own; its agent ends with it.
struct Gnupg(tempfile::TempDir);

impl Gnupg {
    fn new() -> Self {
        // Its socket's name may not be long.
        let home = tempfile::Builder::new().prefix("gpg").tempdir_in("/tmp").unwrap();
        let gnupg = Self(home);
        assert!(gnupg.command("chmod").arg("700").arg(gnupg.0.path()).status().unwrap().success());
        gnupg
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("GNUPGHOME", self.0.path()).stdin(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn gpg(&self, arguments: &[&str]) -> String {
        let mut gpg = self.command("gpg");
        gpg.args(["--batch", "--pinentry-mode", "loopback", "--passphrase", ""]).args(arguments);
        let output = gpg.output().unwrap();
        assert!(output.status.success(), "gpg {arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Gnupg {
    fn drop(&mut self) {
        let _ended_or_never_begun = self.command("gpgconf").args(["--kill", "all"]).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_an_allowed_openpgp_key_signed_stays() {
    if !is_there("gpg") {
        return;
    }
    let gnupg = Gnupg::new();
    for name in ["ours", "other"] {
        gnupg.gpg(&["--quick-generate-key", &format!("{name} <{name}@example.com>"), "ed25519", "sign", "never"]);
    }
    let mut world = world(&gnupg.gpg(&["--armor", "--export", "ours@example.com"])).await;
    let program = world.clone.join("../gpg-of-the-test");
    let home = gnupg.0.path().display().to_string();
    std::fs::write(
        &program,
        format!(
            "#!/bin/sh\nexport GNUPGHOME={home}\nexec gpg --batch --pinentry-mode loopback --passphrase '' \"$@\"\n"
        ),
    )
    .unwrap();
    assert!(Command::new("chmod").arg("755").arg(&program).status().unwrap().success());
    world.git(&["config", "gpg.program", program.to_str().unwrap()]);
    sign_with(&world, "openpgp", "ours@example.com");
    let good = world.commit("signed", &[("a", b"1")]);
    world.push("main");
    let report = world.next().await;
    assert_eq!(report.verdict, "allowed", "{report:?}");
    world.git(&["-c", "user.signingKey=other@example.com", "commit", "--quiet", "--allow-empty", "-m", "by another"]);
    world.push("main");
    let report = world.next().await;
    assert!(report.verdict == "restore" && report.reasons[0].contains("none of the allowed keys"), "{report:?}");
    assert_eq!(world.tip("refs/heads/main"), good);
}
