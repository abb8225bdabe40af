//! The real git over HTTP against a running cloud.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::super::names::ObjectId;
use super::super::testing::Site;
use crate::auth::git_credentials;
use crate::http::testing::exchange_over;
use crate::iam::Definition;

fn show(events: &[Value]) -> Vec<String> {
    let mut shown: Vec<String> = events
        .iter()
        .map(|event| format!("{} {}", event["event"].as_str().unwrap(), event["referenceFullName"].as_str().unwrap()))
        .collect();
    shown.sort();
    shown
}

#[tokio::test]
async fn the_first_push_makes_the_default_branch_and_a_clone_gets_it_back() {
    let site = Site::with_demo().await;
    let tree = site.work_tree("tree").await;
    let commit = tree.commit("README.md", "hello\n").await;
    tree.git(&["checkout", "-q", "-b", "develop"]).await;
    tree.git(&["push", "-q", "origin", "develop"]).await;

    let events = site.events();
    assert_eq!(show(&events), ["referenceCreated refs/heads/develop"]);
    assert_eq!(events[0]["commitId"], commit);
    assert_eq!(events[0]["callerUserArn"], "arn:aws:iam::111122223333:user/developer");
    assert_eq!(site.running.cloud.codecommit.default_branch("demo").await.unwrap().as_deref(), Some("develop"));

    let clone = tree.beside("clone");
    clone.git(&["clone", "-q", &site.url(), "clone"]).await;
    assert_eq!(clone.git(&["symbolic-ref", "--short", "HEAD"]).await, "develop");
    assert_eq!(clone.git(&["rev-parse", "HEAD"]).await, commit);
}

#[tokio::test]
async fn an_empty_repository_can_be_cloned_and_then_pushed_to() {
    let site = Site::with_demo().await;
    let tree = site.work_tree("unused").await.beside("clone");
    tree.git(&["clone", "-q", &site.url(), "clone"]).await;
    tree.commit("a", "1").await;
    tree.git(&["push", "-q"]).await;
    assert_eq!(show(&site.events()), ["referenceCreated refs/heads/main"]);
}

#[tokio::test]
async fn one_push_of_many_refs_is_one_event_for_each() {
    let site = Site::with_demo().await;
    let tree = site.work_tree("tree").await;
    let first = tree.commit("a", "1").await;
    let second = tree.commit("a", "2").await;
    tree.git(&["push", "-q", "origin", "main", "main:feature/x", "main~1:refs/heads/gone"]).await;
    assert_eq!(site.events().len(), 3);
    assert_eq!(site.running.cloud.codecommit.default_branch("demo").await.unwrap().as_deref(), Some("main"));

    tree.git(&["reset", "-q", "--hard", "HEAD~1"]).await;
    let forced = tree.commit("a", "3").await;
    tree.git(&["tag", "light"]).await;
    tree.git(&["tag", "-a", "-m", "Annotated", "annotated"]).await;
    tree.git(&["push", "-q", "origin", "+main", ":gone", "light", "annotated", "main~1:refs/heads/late"]).await;
    let events = site.events();
    let expected = [
        "referenceCreated refs/heads/late",
        "referenceCreated refs/tags/annotated",
        "referenceCreated refs/tags/light",
        "referenceDeleted refs/heads/gone",
        "referenceUpdated refs/heads/main",
    ];
    assert_eq!(show(&events), expected);
    let of = |name: &str| events.iter().find(|event| event["referenceName"] == name).unwrap();
    assert_eq!((&of("main")["oldCommitId"], &of("main")["commitId"]), (&json!(second), &json!(forced)));
    assert_eq!(of("gone")["oldCommitId"], first);
    assert_eq!(of("light")["commitId"], forced);
    assert_eq!(of("annotated")["commitId"], forced, "the commit behind the tag");
    assert_eq!(of("annotated")["referenceType"], "tag");

    tree.git(&["push", "-q", "origin", ":annotated"]).await;
    assert_eq!(site.events()[0]["oldCommitId"], forced);
    tree.git(&["push", "-q", "origin", "main"]).await;
    assert!(site.events().is_empty(), "nothing changed, nothing is told");
}

#[tokio::test]
async fn the_default_branch_and_refs_that_are_no_branch_and_no_tag_are_refused() {
    let site = Site::with_demo().await;
    let tree = site.work_tree("tree").await;
    tree.commit("a", "1").await;
    tree.git(&["push", "-q", "origin", "main"]).await;
    site.events();
    let said = tree.git_fails(&["push", "origin", ":main"]).await;
    assert!(said.contains("deletion of the current branch prohibited"), "{said}");
    let said = tree.git_fails(&["push", "origin", "main:refs/notes/x", "main:refs/heads/good"]).await;
    assert!(said.contains("hidden ref"), "{said}");
    assert_eq!(show(&site.events()), ["referenceCreated refs/heads/good"], "the good half of a push is done and told");
    assert!(!tree.git(&["ls-remote", "origin"]).await.contains("notes"));
}

#[tokio::test]
async fn more_refs_than_a_push_may_have_are_refused_with_a_reason() {
    let site = Site::with_demo().await;
    let tree = site.work_tree("tree").await;
    tree.commit("a", "1").await;
    let refs: Vec<String> = (0..4001).map(|number| format!("main:refs/heads/b{number}")).collect();
    let mut arguments = vec!["push", "origin"];
    arguments.extend(refs.iter().map(String::as_str));
    let said = tree.git_fails(&arguments).await;
    assert!(said.contains("at most 4000 references"), "{}", &said[..500]);
    assert!(site.events().is_empty());
    assert_eq!(tree.git(&["ls-remote", "origin"]).await, "");
}

#[tokio::test]
async fn strangers_are_told_apart_from_callers_of_what_is_not_there() {
    let site = Site::with_demo().await;
    let tree = site.work_tree("tree").await;
    let address = site.address();
    let said = tree.git_fails(&["ls-remote", &format!("http://{address}/v1/repos/demo")]).await;
    assert!(said.contains("could not read Username"), "401 makes git ask: {said}");
    let said = tree.git_fails(&["ls-remote", &site.url().replace("AKIA", "AKIB")]).await;
    assert!(said.contains("403"), "{said}");
    let (user, _) = site.password(&site.developer, "demo");
    let said = tree.git_fails(&["ls-remote", &format!("http://{user}:secret@{address}/v1/repos/demo")]).await;
    assert!(said.contains("403"), "{said}");
    let said = tree.git_fails(&["ls-remote", &site.url_for(&site.developer, "other")]).await;
    assert!(said.contains("not found"), "{said}");
    let said = tree.git_fails(&["ls-remote", &site.url_for(&site.developer, "demo.git")]).await;
    assert!(said.contains("not found"), "a name on CodeCommit has no .git behind it: {said}");
    // A password for one repository opens no other.
    site.call("CreateRepository", json!({ "repositoryName": "other" })).await.unwrap();
    let said = tree.git_fails(&["ls-remote", &site.url().replace("/demo", "/other")]).await;
    assert!(said.contains("403"), "{said}");
}

#[tokio::test]
async fn a_session_pushes_under_its_own_name() {
    let site = Site::with_demo().await;
    let cloud = &site.running.cloud;
    let trust = json!({ "Statement": { "Effect": "Allow", "Principal": { "AWS": "111122223333" }, "Action": "sts:AssumeRole" } });
    let role = Definition { trust: Some(trust), ..Definition::default() };
    let push = json!({ "Statement": { "Effect": "Allow", "Action": "codecommit:GitPush", "Resource": "*" } });
    cloud.world.iam.put_role("Deployer", role.with_policy("push", push)).unwrap();
    let session = cloud.keys.session(&cloud.world, "Deployer", "release-7", None);
    let tree = site.work_tree("tree").await;
    tree.commit("a", "1").await;
    tree.git(&["push", "-q", &site.url_for(&session, "demo"), "main"]).await;
    let arn = "arn:aws:sts::111122223333:assumed-role/Deployer/release-7";
    assert_eq!(site.events()[0]["callerUserArn"], arn);
}

#[tokio::test]
async fn a_push_that_a_policy_denies_changes_nothing_and_names_the_statement() {
    let site = Site::with_demo().await;
    let cloud = &site.running.cloud;
    let work = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": ["codecommit:GitPull", "codecommit:GitPush"], "Resource": "*" },
        {
            "Sid": "ProtectMain", "Effect": "Deny", "Action": "codecommit:GitPush", "Resource": "*",
            "Condition": {
                "StringEqualsIfExists": { "codecommit:References": ["refs/heads/main"] },
                "Null": { "codecommit:References": "false" },
            },
        },
    ] });
    cloud.world.iam.put_user("author", Definition::default().with_policy("work", work)).unwrap();
    let author = cloud.keys.user(&cloud.world, "author");
    let tree = site.work_tree("tree").await;
    tree.commit("a", "1").await;
    let url = site.url_for(&author, "demo");
    let said = tree.git_fails(&["push", &url, "main"]).await;
    assert!(said.contains("remote rejected") && said.contains("the statement ProtectMain"), "{said}");
    let said = tree.git_fails(&["push", &url, "main:dev", "main:main"]).await;
    assert!(said.contains("remote rejected"), "{said}");
    assert!(site.events().is_empty(), "nothing was changed");
    tree.git(&["push", "-q", &url, "main:dev"]).await;
    assert_eq!(site.events().len(), 1);

    cloud.world.iam.put_user("stranger", Definition::default()).unwrap();
    let stranger = cloud.keys.user(&cloud.world, "stranger");
    let said = tree.git_fails(&["ls-remote", &site.url_for(&stranger, "demo")]).await;
    assert!(said.contains("is not authorized to perform: codecommit:GitPull"), "{said}");
    let said = tree.git_fails(&["push", &site.url_for(&stranger, "demo"), "main:dev"]).await;
    assert!(said.contains("is not authorized to perform: codecommit:GitPush"), "{said}");
    // Who may not push is not told either what there is to push to.
    for name in ["demo", "missing"] {
        let (user, password) = site.password(&stranger, name);
        let basic = STANDARD.encode(format!("{user}:{password}"));
        let push = format!(
            "POST /v1/repos/{name}/git-receive-pack HTTP/1.1\r\nhost: {}\r\nauthorization: Basic {basic}\r\ncontent-length: 4\r\nconnection: close\r\n\r\n0000",
            site.address()
        );
        let answer = exchange_over(TcpStream::connect(site.address()).await.unwrap(), push.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("codecommit:GitPush"), "{name}: {answer}");
    }
}

#[tokio::test]
async fn the_credential_helper_understands_what_git_asks_and_git_what_it_answers() {
    let site = Site::with_demo().await;
    let tree = site.work_tree("tree").await;
    let (asked, answer) = (tree.dir.join("asked"), tree.dir.join("answer"));
    let url = format!("http://{}/v1/repos/demo", site.address());
    let overhear = format!("credential.helper=!cat >'{}'; true", asked.display());
    tree.git_fails(&["-c", "credential.useHttpPath=true", "-c", &overhear, "ls-remote", &url]).await;
    let question = std::fs::read_to_string(&asked).unwrap();
    let keys = site.developer.clone();
    let environment = move |name: &str| match name {
        "AWS_ACCESS_KEY_ID" => Some(keys.access_key_id.clone()),
        "AWS_SECRET_ACCESS_KEY" => Some(keys.secret_access_key.clone()),
        "AWS_REGION" => Some("eu-west-1".to_owned()),
        _ => None,
    };
    let now = site.running.cloud.world.now();
    let said = crate::git_credential::answer("get", &question, &environment, now).unwrap();
    std::fs::write(&answer, said).unwrap();
    let repeat = format!("credential.helper=!cat '{}'; true", answer.display());
    tree.git(&["-c", "credential.useHttpPath=true", "-c", &repeat, "ls-remote", &url]).await;

    // Without the path there is nothing to sign.
    tree.git_fails(&["-c", &overhear, "ls-remote", &url]).await;
    let question = std::fs::read_to_string(&asked).unwrap();
    let refused = crate::git_credential::answer("get", &question, &environment, now).unwrap_err();
    assert!(refused.to_string().contains("useHttpPath"), "{refused}");
}

#[tokio::test]
async fn a_build_gets_exactly_its_commit_even_after_the_branch_was_forced_away() {
    let site = Site::with_demo().await;
    let tree = site.work_tree("tree").await;
    tree.commit("a", "1").await;
    let lost = tree.commit("a", "2").await;
    tree.git(&["push", "-q", "origin", "main"]).await;
    tree.git(&["push", "-q", "--force", "origin", "main~1:main"]).await;
    for version in ["0", "2"] {
        let build = tree.beside(&format!("build-{version}"));
        std::fs::create_dir(&build.dir).unwrap();
        build.git(&["init", "-q"]).await;
        let version = format!("protocol.version={version}");
        build.git(&["-c", &version, "fetch", "-q", "--depth", "1", &site.url(), &lost]).await;
        build.git(&["checkout", "-q", &lost]).await;
        assert_eq!(std::fs::read_to_string(build.dir.join("a")).unwrap(), "2");
        assert_eq!(build.git(&["rev-list", "--count", "HEAD"]).await, "1", "shallow");
    }
}

#[tokio::test]
async fn a_long_negotiation_comes_compressed_and_is_understood() {
    let site = Site::with_demo().await;
    let tree = site.work_tree("tree").await;
    tree.commit("a", "1").await;
    tree.git(&["push", "-q", "origin", "main"]).await;
    let clone = tree.beside("clone");
    clone.git(&["clone", "-q", &site.url(), "clone"]).await;
    // Commits that the server does not know: the client offers them all as haves, and git packs what is over 1,024 bytes.
    let many: String = (0..200)
        .map(|n| {
            format!(
                "commit refs/heads/main\ncommitter A <a@example.com> {n} +0000\ndata 1\nx\n{}\n",
                if n == 0 { "from refs/heads/main^0" } else { "" }
            )
        })
        .collect();
    clone.git_reading(&["fast-import", "--quiet"], many.as_bytes()).await;
    let news = tree.commit("a", "2").await;
    tree.git(&["push", "-q", "origin", "main"]).await;
    for version in ["protocol.version=0", "protocol.version=2"] {
        clone.git(&["update-ref", "-d", "refs/remotes/origin/main"]).await;
        clone.git(&["-c", version, "fetch", "-q", "origin"]).await;
        assert_eq!(clone.git(&["rev-parse", "origin/main"]).await, news);
    }
}

#[tokio::test]
async fn a_push_that_is_larger_than_a_buffer_comes_in_chunks() {
    let site = Site::with_demo().await;
    let tree = site.work_tree("tree").await;
    let mut seed = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed.to_le_bytes()
    })
    .take(512 * 1024)
    .flatten()
    .collect();
    std::fs::write(tree.dir.join("large"), &noise).unwrap();
    let commit = tree.commit("a", "1").await;
    tree.git(&["add", "large"]).await;
    tree.git(&["commit", "-q", "-m", "4 MB that do not compress"]).await;
    tree.git(&["push", "-q", "origin", "main"]).await;
    assert_eq!(show(&site.events()), ["referenceCreated refs/heads/main"]);
    let clone = tree.beside("clone");
    clone.git(&["clone", "-q", &site.url(), "clone"]).await;
    assert!(std::fs::read(clone.dir.join("large")).unwrap() == noise);
    assert_eq!(clone.git(&["rev-parse", "HEAD~1"]).await, commit);
}

#[tokio::test]
async fn of_two_pushes_at_once_one_wins_and_each_event_names_who_did_it() {
    let site = Site::with_demo().await;
    let cloud = &site.running.cloud;
    let administrator = Definition::default().with_managed("arn:aws:iam::aws:policy/AdministratorAccess");
    cloud.world.iam.put_user("pusher", administrator).unwrap();
    let pusher = cloud.keys.user(&cloud.world, "pusher");
    let (one, other) = (site.work_tree("one").await, site.work_tree("other").await);
    one.commit("a", "0").await;
    one.git(&["push", "-q", "origin", "main"]).await;
    other.git(&["pull", "-q", "origin", "main"]).await;
    other.git(&["remote", "set-url", "origin", &site.url_for(&pusher, "demo")]).await;
    site.events();
    let mut won = [0, 0];
    for round in 0..4 {
        let base = one.git(&["rev-parse", "HEAD"]).await;
        let mine = one.commit("a", &format!("mine {round}")).await;
        let theirs = other.commit("a", &format!("theirs {round}")).await;
        // Each also pushes a branch of its own, so that both have something to tell.
        let (name, their_name) = (format!("main:mine-{round}"), format!("main:theirs-{round}"));
        let (mine_args, their_args) = (["push", "origin", "main", &name], ["push", "origin", "main", &their_name]);
        let (a, b) = tokio::join!(one.run_freely(&mine_args), other.run_freely(&their_args));
        assert!(a != b, "exactly one push wins the branch");
        won[usize::from(b)] += 1;
        let events = site.events();
        for event in &events {
            let is_mine = event["commitId"] == mine;
            assert!(is_mine || event["commitId"] == theirs);
            let caller = if is_mine { "developer" } else { "pusher" };
            assert!(event["callerUserArn"].as_str().unwrap().ends_with(caller), "{event}");
        }
        let main: Vec<_> = events.iter().filter(|event| event["referenceName"] == "main").collect();
        assert_eq!(main.len(), 1);
        assert_eq!(main[0]["oldCommitId"], base);
        assert_eq!(main[0]["commitId"], if a { mine } else { theirs });
        for tree in [&one, &other] {
            tree.git(&["fetch", "-q", "origin", "main"]).await;
            tree.git(&["reset", "-q", "--hard", "FETCH_HEAD"]).await;
        }
    }
    assert_eq!(won.iter().sum::<i32>(), 4);
}

/// `OLD NEW REF` and what the client can do, as the only command of a push.
fn command(old: &str, new: &str, name: &str, capabilities: &str) -> Vec<u8> {
    let line = format!("{old} {new} {name}\0{capabilities}");
    format!("{:04x}{line}0000", line.len() + 4).into_bytes()
}

const POST: &str =
    "POST /v1/repos/demo/git-receive-pack HTTP/1.1\r\nContent-Type: application/x-git-receive-pack-request";

#[tokio::test]
async fn a_ref_is_put_back_with_an_empty_pack_and_a_stale_attempt_changes_nothing() {
    let site = Site::with_demo().await;
    let tree = site.work_tree("tree").await;
    let good = tree.commit("a", "1").await;
    let bad = tree.commit("a", "2").await;
    tree.git(&["push", "-q", "origin", "main"]).await;
    site.events();
    // The header of a pack without objects, and its checksum.
    let empty = hex::decode("5041434b0000000200000000029d08823bd8a8eab510ad6ac75c823cfd3ed31e").unwrap();
    for (capabilities, report) in [("report-status side-band-64k", "ok refs/heads/main"), ("", "")] {
        let body = [command(&bad, &good, "refs/heads/main", capabilities), empty.clone()].concat();
        let head = format!("{POST}\r\nContent-Length: {}", body.len());
        let answer = site.raw(&head, &body).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(report), "{answer}");
        assert_eq!(show(&site.events()), ["referenceUpdated refs/heads/main"], "{capabilities:?}");

        let stale = [command(&bad, &good, "refs/heads/main", "report-status"), empty.clone()].concat();
        let answer = site.raw(&format!("{POST}\r\nContent-Length: {}", stale.len()), &stale).await;
        assert!(answer.contains("ng refs/heads/main"), "{answer}");
        assert!(site.events().is_empty());
        tree.git(&["push", "-q", "--force", "origin", "main"]).await;
        site.events();
    }
}

#[tokio::test]
async fn the_deletion_of_a_ref_that_never_was_is_not_told() {
    let site = Site::with_demo().await;
    let tree = site.work_tree("tree").await;
    tree.commit("a", "1").await;
    tree.git(&["push", "-q", "origin", "main"]).await;
    site.events();
    for (capabilities, report) in [("report-status delete-refs", "ok refs/heads/never"), ("delete-refs", "")] {
        let body = command(&"1".repeat(40), ObjectId::NONE, "refs/heads/never", capabilities);
        let answer = site.raw(&format!("{POST}\r\nContent-Length: {}", body.len()), &body).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(report), "{answer}");
        assert!(site.events().is_empty(), "{answer}");
    }
}

#[tokio::test]
async fn what_is_no_push_and_what_is_cut_off_changes_nothing_and_breaks_nothing() {
    let site = Site::with_demo().await;
    let tree = site.work_tree("tree").await;
    let commit = tree.commit("a", "1").await;
    tree.git(&["push", "-q", "origin", "main"]).await;
    site.events();
    let answer = site.raw(&format!("{POST}\r\nContent-Length: 4"), b"what").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let answer = site.raw(&format!("{POST}\r\nContent-Encoding: gzip\r\nContent-Length: 4"), b"0000").await;
    assert!(answer.starts_with("HTTP/1.1 415"), "{answer}");
    let answer = site.raw("GET /v1/repos/demo/info/refs HTTP/1.1", b"").await;
    assert!(answer.starts_with("HTTP/1.1 403"), "the dumb protocol is not spoken: {answer}");
    let answer = site.raw("GET /v1/repos/demo/HEAD HTTP/1.1", b"").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    // A client that announces a pack and goes away in the middle of it.
    let cut =
        [command(ObjectId::NONE, &commit, "refs/heads/cut", "report-status"), b"PACK\0\0\0\x02".to_vec()].concat();
    let mut stream = TcpStream::connect(site.address()).await.unwrap();
    let (user, password) = site.password(&site.developer, "demo");
    let authorization = STANDARD.encode(format!("{user}:{password}"));
    let head = format!(
        "{POST}\r\nHost: {}\r\nAuthorization: Basic {authorization}\r\nContent-Length: 1000\r\n\r\n",
        site.address()
    );
    tokio::io::AsyncWriteExt::write_all(&mut stream, &[head.as_bytes(), &cut].concat()).await.unwrap();
    drop(stream);
    tree.commit("a", "2").await;
    tree.git(&["push", "-q", "origin", "main"]).await;
    assert_eq!(show(&site.events()), ["referenceUpdated refs/heads/main"]);
    assert!(!tree.git(&["ls-remote", "origin"]).await.contains("cut"));
}

#[tokio::test]
async fn repositories_of_one_name_in_two_regions_are_told_apart_by_the_password_and_by_the_host() {
    let site = Site::start_with(tempfile::tempdir().unwrap(), &["eu-west-1", "us-east-1"]).await;
    let other = site.running.regions.find("us-east-1").unwrap();
    let mut events = other.eventbridge.subscribe();
    let input = json!({ "repositoryName": "demo" });
    site.call("CreateRepository", input.clone()).await.unwrap();
    let made = other.codecommit.call("CreateRepository", input, &site.caller()).await.unwrap();
    let url = made["repositoryMetadata"]["cloneUrlHttp"].as_str().unwrap().to_owned();
    let host = url.split('/').nth(2).unwrap();

    let keys = (&*site.developer.access_key_id, &*site.developer.secret_access_key, None);
    let signed = |host: &str, region: &str| {
        let (user, password) = git_credentials(keys, host, "/v1/repos/demo", region, jiff::Timestamp::now());
        format!("http://{user}:{password}@{host}/v1/repos/demo")
    };
    let tree = site.work_tree("tree").await;
    let commit = tree.commit("a", "1").await;
    // Not every resolver knows that all of `localhost` is this machine.
    let resolve = format!("http.curloptResolve={host}:127.0.0.1");
    tree.git(&["-c", &resolve, "push", &signed(host, "us-east-1"), "main"]).await;
    assert_eq!(tree.git(&["ls-remote", &signed(site.address(), "eu-west-1")]).await, "", "the other demo is empty");
    let seen = tree.git(&["ls-remote", &signed(site.address(), "us-east-1"), "refs/heads/main"]).await;
    assert!(seen.starts_with(&commit), "{seen}");
    let said = tree.git_fails(&["-c", &resolve, "ls-remote", &signed(host, "eu-west-1")]).await;
    assert!(said.contains("403"), "the host says us-east-1: {said}");
    let said = tree.git_fails(&["ls-remote", &signed(site.address(), "ap-east-1")]).await;
    assert!(said.contains("403"), "{said}");

    let push = loop {
        let event = events.recv().await.unwrap();
        if event.event["detail-type"] == "CodeCommit Repository State Change" {
            break event;
        }
    };
    assert_eq!(push.event["region"], "us-east-1");
    assert!(push.event["resources"][0].as_str().unwrap().contains(":us-east-1:"), "{:?}", push.event);
    assert!(site.events().is_empty(), "nothing happened in the home region");
}
