//! Events that come twice, sweeps, copies in both directions, git hosts, and what goes wrong.

use std::time::Duration;

use serde_json::{Value, json};
use signalbox_aws::Failure;
use signalbox_gitwire::http::{Client, Patience};
use signalbox_glue::Handled;
use signalbox_local::auth::git_credentials;
use signalbox_replicator::Replicator;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use super::world::{THERE, World, commit, commit_of, dir_of, git, git_with, is_whole, noise, policy, refs, set, tip};

#[tokio::test]
async fn two_that_copy_each_other_neither_loop_nor_bring_anything_back() {
    let world = World::new("{ to: codecommit://eu-west-1/twin }").await;
    world.ground.repository("twin").await.unwrap();
    let back = "  twin:\n    replicas:\n      - { to: codecommit://eu-west-1/demo }\n";
    world.ground.policy(&format!("{}{back}", policy("{ to: codecommit://eu-west-1/twin }"))).unwrap();
    let (here, twin) = (world.here(), dir_of(world.ground.cloud(), "twin"));
    let both = async || {
        for name in ["demo", "twin", "demo", "twin"] {
            let handled = world.handle(&world.event_of(name)).await.unwrap();
            assert!(matches!(handled, Handled::Reported(_)), "{handled:?}");
        }
    };
    let one = commit(&here, "one", &[]);
    set(&here, "refs/heads/main", &one);
    set(&here, "refs/heads/a", &one);
    let own = commit(&twin, "own", &[]);
    set(&twin, "refs/heads/b", &own);
    both().await;
    assert_eq!(refs(&here), refs(&twin));
    assert_eq!(refs(&here).lines().count(), 3);

    // Each side deletes one and moves one.
    git(&here, &["update-ref", "-d", "refs/heads/b"]);
    git(&twin, &["update-ref", "-d", "refs/heads/a"]);
    let two = commit(&twin, "two", &[&one]);
    set(&twin, "refs/heads/main", &two);
    both().await;
    assert_eq!(refs(&here), refs(&twin));
    assert_eq!(refs(&here), format!("{two} refs/heads/main"));
    for name in ["demo", "twin"] {
        let Handled::Reported(report) = world.handle(&world.event_of(name)).await.unwrap() else { panic!("not quiet") };
        assert_eq!((report.verdict.as_str(), report.actions.len()), ("equal", 0), "{report:?}");
    }
}

#[tokio::test]
async fn an_event_that_comes_twice_late_or_at_once_with_another_ends_in_the_same_world() {
    let world = World::new("{ to: codecommit://us-east-1/demo }").await;
    let (here, there) = (world.here(), world.make_there("demo").await);
    let one = commit(&here, "one", &[]);
    set(&here, "refs/heads/main", &one);
    let first = world.event();
    let two = commit(&here, "two", &[&one]);
    set(&here, "refs/heads/main", &two);
    let second = world.event();
    assert!(matches!(world.handle(&second).await.unwrap(), Handled::Reported(_)));
    assert_eq!(refs(&here), refs(&there));
    assert!(matches!(world.handle(&second).await.unwrap(), Handled::Before));
    let Handled::Reported(late) = world.handle(&first).await.unwrap() else { panic!("not reported") };
    assert_eq!(late.verdict, "equal");

    let three = commit(&here, "three", &[&two]);
    set(&here, "refs/heads/main", &three);
    let events = [world.event(), world.event()];
    let (one, other) = tokio::join!(world.handle(&events[0]), world.handle(&events[1]));
    // Whoever came second looks again, and finds it done.
    for (event, handled) in events.iter().zip([one, other]) {
        match handled {
            Ok(Handled::Reported(_)) => {}
            Err(Failure::Retry(_)) => assert!(matches!(world.handle(event).await, Ok(Handled::Reported(_)))),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(refs(&here), refs(&there));
    assert!(world.memory().get("working").is_none());
}

#[tokio::test]
async fn the_sweep_mends_what_a_lost_event_left_undone_and_is_quiet_otherwise() {
    let world = World::new("{ to: codecommit://us-east-1/demo }").await;
    let (here, there) = (world.here(), world.make_there("demo").await);
    set(&here, "refs/heads/main", &commit(&here, "one", &[]));
    let Handled::Reported(report) = world.sweep().await else { panic!("not reported") };
    assert!(report.actions[0].contains("in the ledger under sweep-"), "{report:?}");
    assert_eq!(refs(&here), refs(&there));
    let count = || world.ground.objects("ledger/replicator/").unwrap().len();
    let before = count();
    world.sweep().await;
    assert_eq!(count(), before);

    // A copy that cannot be made equal is told once, not at every sweep.
    git(&there, &["update-ref", "-d", "refs/heads/main"]);
    set(&there, "refs/heads/own", &commit(&there, "own", &[]));
    let Handled::Refused(report) = world.sweep().await else { panic!("not refused") };
    assert!(report.actions[0].contains("was deleted in the copy"), "{report:?}");
    let before = count();
    assert!(matches!(world.sweep().await, Handled::Reported(_)));
    assert_eq!(count(), before);
}

#[tokio::test]
async fn a_sweep_that_has_no_time_goes_on_where_it_stopped() {
    let mut world = World::new("{ to: \"codecommit://us-east-1/{repository}\", create: true }").await;
    let more = "  other:\n    replicas: [{ to: \"codecommit://us-east-1/{repository}\", create: true }]\n";
    let text = format!("{}{more}", policy("{ to: \"codecommit://us-east-1/{repository}\", create: true }"));
    world.ground.policy(&text).unwrap();
    world.ground.repository("other").await.unwrap();
    world.replicator = Replicator::new(&world.ground.setup("replicator").unwrap()).with_sweep_time(Duration::ZERO);
    world.sweep().await;
    assert!(world.elsewhere().codecommit.repository_dir("demo").is_some());
    assert!(world.elsewhere().codecommit.repository_dir("other").is_none());
    world.sweep().await;
    assert!(world.elsewhere().codecommit.repository_dir("other").is_some());
}

#[tokio::test]
async fn a_missing_target_is_told_with_what_to_do_and_remembered() {
    let world = World::new("{ to: codecommit://us-east-1/demo }").await;
    set(&world.here(), "refs/heads/main", &commit(&world.here(), "one", &[]));
    let report = world.refused().await;
    assert!(report.reasons[0].contains("let the policy say `create: true`"), "{report:?}");
    assert!(world.memory()["failing"]["demo"]["since"].is_string());
    let there = world.make_there("demo").await;
    world.copied().await;
    assert_eq!(refs(&world.here()), refs(&there));
    assert!(world.memory().get("failing").is_none());
}

/// Whoever pushes to the copy at the same moment wins, and is then found and told.
#[tokio::test]
async fn a_commit_that_somebody_pushes_to_the_copy_meanwhile_stays_and_is_found() {
    let world = World::new("{ to: codecommit://us-east-1/demo }").await;
    let (here, there) = (world.here(), world.make_there("demo").await);
    let one = commit(&here, "one", &[]);
    set(&here, "refs/heads/main", &one);
    world.copied().await;
    let theirs = commit(&there, "theirs", &[&one]);
    // Long enough on its way that the copy moves first.
    set(&here, "refs/heads/main", &commit_of(&here, &[&noise(&here, 24 * 1024 * 1024, 7)], &[&one]));
    let event = world.event();
    let racer = async {
        while world.memory().get("working").is_none() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        set(&there, "refs/heads/main", &theirs);
    };
    let (handled, ()) = tokio::join!(world.handle(&event), racer);
    let Err(Failure::Retry(problem)) = handled else { panic!("{handled:?}") };
    assert!(problem.to_string().contains("refs/heads/main changed meanwhile"), "{problem}");
    assert_eq!(tip(&there, "refs/heads/main"), theirs);
    assert!(world.memory().get("working").is_none());
    let Ok(Handled::Refused(report)) = world.handle(&event).await else { panic!("not refused") };
    assert!(report.reasons[0].contains("refs/heads/main diverged"), "{report:?}");
    assert_eq!(tip(&there, "refs/heads/main"), theirs);
}

#[tokio::test]
async fn a_ref_that_the_target_protects_holds_up_no_other() {
    let world = World::new("{ to: codecommit://us-east-1/demo }").await;
    let (here, there) = (world.here(), world.make_there("demo").await);
    let cloud = world.ground.cloud();
    let role = &world.ground.stage.stack.functions.iter().find(|made| made.name.ends_with("replicator")).unwrap().role;
    let deny = json!({ "Version": "2012-10-17", "Statement": [{
        "Sid": "NobodyPushesToMain", "Effect": "Deny", "Action": "codecommit:GitPush",
        "Resource": "arn:aws:codecommit:us-east-1:*:demo",
        "Condition": { "StringEqualsIfExists": { "codecommit:References": ["refs/heads/main"] }, "Null": { "codecommit:References": "false" } },
    }] });
    cloud.world.iam.put_role_policy(role, "deny-main", &deny).unwrap();
    let one = commit(&here, "one", &[]);
    for number in 0..20 {
        set(&here, &format!("refs/heads/b{number}"), &commit(&here, &format!("of {number}"), &[&one]));
    }
    set(&here, "refs/heads/main", &one);
    set(&here, "refs/tags/v1", &one);
    let report = world.refused().await;
    assert!(report.actions[0].contains("21 of 22 refs moved"), "{report:?}");
    assert!(report.actions[0].contains("refs/heads/main was refused by the target"), "{report:?}");
    let without = |refs: String| refs.lines().filter(|line| !line.ends_with("/main")).collect::<Vec<_>>().join("\n");
    assert_eq!(without(refs(&there)), without(refs(&here)));
    is_whole(&there);

    // The sweep tries it again, and raises nothing that is known; what is new goes along.
    set(&here, "refs/heads/b0", &commit(&here, "more", &[&one]));
    let Handled::Reported(report) = world.sweep().await else { panic!("raised again") };
    assert_eq!(report.verdict, "swept in part", "{report:?}");
    assert_eq!(without(refs(&there)), without(refs(&here)));
    let nothing = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "codecommit:GetBranch", "Resource": "*" }] });
    cloud.world.iam.put_role_policy(role, "deny-main", &nothing).unwrap();
    world.sweep().await;
    assert_eq!(refs(&there), refs(&here));
}

#[tokio::test]
async fn hosts_that_do_not_answer_hold_up_no_other_copy() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let hosts = (0..4).map(|number| format!("{{ to: \"https://{address}/{number}\", credentials: signalbox/token }}"));
    let replicas: Vec<String> = hosts.chain(["{ to: codecommit://us-east-1/demo }".to_owned()]).collect();
    let world = World::new(&replicas.join("\n      - ")).await;
    let token = json!({ "Name": "signalbox/token", "SecretString": "a-token" });
    world.ground.cloud().secretsmanager.call("CreateSecret", token).unwrap();
    let (here, there) = (world.here(), world.make_there("demo").await);
    set(&here, "refs/heads/main", &commit(&here, "one", &[]));
    let begin = std::time::Instant::now();
    let event = world.event();
    let Err(Failure::Retry(_)) = world.handle(&event).await else { panic!("the silent host was not waited for") };
    assert_eq!(refs(&here), refs(&there));
    // Each is waited for ten seconds, and all at the same time.
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
    drop(silent);
}

#[tokio::test]
async fn a_source_without_refs_deletes_nothing_and_a_region_that_is_not_there_takes_no_other_copy_with_it() {
    let world = World::new("{ to: codecommit://mars-1/demo }\n      - { to: codecommit://us-east-1/demo }").await;
    let (here, there) = (world.here(), world.make_there("demo").await);
    set(&here, "refs/heads/main", &commit(&here, "one", &[]));
    let event = world.event();
    let _comes_again_or_is_refused = world.handle(&event).await;
    assert_eq!(refs(&here), refs(&there));

    world.ground.policy(&policy("{ to: codecommit://us-east-1/demo }")).unwrap();
    let before = refs(&there);
    git(&here, &["update-ref", "-d", "refs/heads/main"]);
    let report = world.refused().await;
    assert!(report.reasons[0].contains("nothing is deleted for that"), "{report:?}");
    assert_eq!(refs(&there), before);
}

#[tokio::test]
async fn more_refs_than_a_push_takes_go_in_several() {
    let world = World::new("{ to: codecommit://us-east-1/demo }").await;
    let (here, there) = (world.here(), world.make_there("demo").await);
    let one = commit(&here, "one", &[]);
    let all: String = (0..4_100).map(|number| format!("create refs/tags/t{number} {one}\n")).collect();
    assert!(git_with(&here, &["update-ref", "--stdin"], &all).0);
    let report = world.copied().await;
    assert!(report.actions[0].contains("4100 of 4100 refs moved"), "{:?}", report.actions[0].len());
    assert_eq!(refs(&here), refs(&there));
    // What is kept of so many refs stays small.
    assert!(report.replay.to_string().len() < 400_000, "{}", report.replay.to_string().len());
}

#[tokio::test]
async fn a_policy_that_observes_only_says_what_would_be_done() {
    let world = World::new("{ to: codecommit://us-east-1/demo }").await;
    let text = policy("{ to: codecommit://us-east-1/demo }").replace("enforce", "observe");
    world.ground.policy(&text).unwrap();
    let there = world.make_there("demo").await;
    set(&world.here(), "refs/heads/main", &commit(&world.here(), "one", &[]));
    let report = world.copied().await;
    assert!(
        report.actions[0].starts_with("would codecommit://us-east-1/demo: refs/heads/main is new at"),
        "{report:?}"
    );
    assert_eq!(refs(&there), "");
    assert_eq!(world.memory(), Value::Null);
}

#[tokio::test]
async fn a_git_host_is_reached_with_the_token_of_a_secret_and_a_wrong_one_is_told_and_never_shown() {
    let mut world = World::new("{ to: codecommit://us-east-1/mirror }").await;
    let (here, mirror) = (world.here(), world.make_there("mirror").await);
    set(&here, "refs/heads/main", &commit(&here, "one", &[]));
    // The local cloud's own HTTPS stands for a git host that no system trusts.
    let host = world.ground.cloud().world.endpoint().replace("http://127.0.0.1", "localhost");
    let variables = world.ground.stage.https_environment();
    let authority = variables.iter().find(|(name, _)| *name == "GIT_SSL_CAINFO").map(|(_, file)| file.clone()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_file_iter(&authority).unwrap().map(Result::unwrap));
    let client = Client::trusting(roots, Patience::default()).unwrap();
    world.replicator = Replicator::new(&world.ground.setup("replicator").unwrap()).with_git(client);

    let keys = &world.ground.stage.developer;
    let pair = (&*keys.access_key_id, &*keys.secret_access_key, None);
    let now = world.ground.cloud().world.now();
    let (user, password) = git_credentials(pair, &host, "/v1/repos/mirror", THERE, now);
    let right = json!({ "username": user, "password": password }).to_string();
    for (name, text) in [("signalbox/wrong", "hunter2"), ("signalbox/right", &*right)] {
        let input = json!({ "Name": name, "SecretString": text });
        world.ground.cloud().secretsmanager.call("CreateSecret", input).unwrap();
    }
    let use_secret = |name: &str| {
        let replica = format!("{{ to: \"https://{host}/v1/repos/mirror\", credentials: {name} }}");
        world.ground.policy(&policy(&replica)).unwrap();
    };
    for (secret, words) in [
        ("signalbox/none", "Secrets Manager can't find the specified secret"),
        ("elsewhere/token", "This permission is missing"),
        ("signalbox/wrong", "(40"),
    ] {
        use_secret(secret);
        let report = world.refused().await;
        assert!(report.reasons[0].contains(words), "{secret}: {report:?}");
        assert_eq!(refs(&mirror), "");
    }
    use_secret("signalbox/right");
    world.copied().await;
    assert_eq!(refs(&here), refs(&mirror));
    is_whole(&mirror);
    // Nobody can tell a git host which branch is its default one, so it does not let go of the one that it has.
    set(&here, "refs/heads/trunk", &tip(&here, "refs/heads/main"));
    git(&here, &["update-ref", "-d", "refs/heads/main"]);
    let report = world.refused().await;
    let told = "refs/heads/main was refused by the target: deletion of the current branch prohibited";
    assert!(report.actions[0].contains(told), "{report:?}");
    assert_eq!(tip(&mirror, "refs/heads/trunk"), tip(&here, "refs/heads/trunk"));
    assert!(world.memory_of("https")["failing"]["demo"]["what"][0]["reason"].as_str().unwrap().contains(told));

    let kept = format!("{:?} {:?}", world.ground.objects("ledger/").unwrap(), world.ground.objects("state/").unwrap());
    assert!(!kept.contains("hunter2") && !kept.contains(&password), "a secret was written down");
}
