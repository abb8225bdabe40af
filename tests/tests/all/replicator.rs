//! The replicator over two regions of the local cloud, with git itself as the judge of what became equal.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use signalbox_aws::Failure;
use signalbox_gitwire::http::{Client, Patience};
use signalbox_glue::{Handle, Handled};
use signalbox_ledger::Report;
use signalbox_local::auth::git_credentials;
use signalbox_local::cloud::Cloud;
use signalbox_replicator::Replicator;
use signalbox_tests::Ground;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

const THERE: &str = "us-east-1";

/// Two regions, the repository `demo` in the first, and the function.
struct World {
    ground: Ground,
    replicator: Replicator,
    events: AtomicU32,
}

fn policy(replica: &str) -> String {
    format!("mode: enforce\nrepositories:\n  demo:\n    replicas:\n      - {replica}\n")
}

/// Runs git in a bare repository, whatever the machine's own configuration says.
fn git_with(dir: &Path, arguments: &[&str], input: &str) -> (bool, String) {
    let mut git = Command::new("git");
    git.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    for (name, value) in [("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_SYSTEM", "/dev/null")] {
        git.env(name, value);
    }
    for role in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{role}_NAME"), "A Developer").env(format!("GIT_{role}_EMAIL"), "developer@example.com");
        git.env(format!("GIT_{role}_DATE"), "2024-01-01T00:00:00Z");
    }
    git.arg("--git-dir").arg(dir).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = git.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    let said = [ended.stdout, ended.stderr].concat();
    (ended.status.success(), String::from_utf8_lossy(&said).trim().to_owned())
}

fn git(dir: &Path, arguments: &[&str]) -> String {
    let (ended_well, said) = git_with(dir, arguments, "");
    assert!(ended_well, "git {arguments:?}: {said}");
    said
}

/// A commit of one file, in nobody's branch yet.
fn commit(dir: &Path, text: &str, parents: &[&str]) -> String {
    let (_, blob) = git_with(dir, &["hash-object", "-w", "--stdin"], text);
    let (_, tree) = git_with(dir, &["mktree"], &format!("100644 blob {blob}\tfile\n"));
    let mut arguments = vec!["commit-tree", &tree, "-m", text];
    arguments.extend(parents.iter().flat_map(|parent| ["-p", parent]));
    git(dir, &arguments)
}

fn set(dir: &Path, name: &str, id: &str) {
    git(dir, &["update-ref", name, id]);
}

fn refs(dir: &Path) -> String {
    git(dir, &["for-each-ref", "--format=%(objectname) %(refname)"])
}

/// Where a ref is; an empty text where it is not.
fn tip(dir: &Path, name: &str) -> String {
    git(dir, &["for-each-ref", "--format=%(objectname)", name])
}

fn is_whole(dir: &Path) {
    git(dir, &["fsck", "--full", "--strict", "--no-dangling"]);
}

fn dir_of(cloud: &Cloud, name: &str) -> PathBuf {
    cloud.codecommit.repository_dir(name).unwrap_or_else(|| panic!("no repository {name}"))
}

impl World {
    async fn new(replica: &str) -> Self {
        let ground = Ground::in_two_regions(THERE).await.unwrap();
        ground.repository("demo").await.unwrap();
        ground.policy(&policy(replica)).unwrap();
        let replicator = Replicator::new(&ground.setup("replicator").unwrap());
        Self { ground, replicator, events: AtomicU32::new(0) }
    }

    fn elsewhere(&self) -> &Cloud {
        self.ground.stage.regions().find(THERE).unwrap()
    }

    async fn make_there(&self, name: &str) -> PathBuf {
        let input = json!({ "repositoryName": name });
        self.elsewhere().codecommit.call("CreateRepository", input, &self.ground.developer()).await.unwrap();
        self.there(name)
    }

    fn here(&self) -> PathBuf {
        dir_of(self.ground.cloud(), "demo")
    }

    fn there(&self, name: &str) -> PathBuf {
        dir_of(self.elsewhere(), name)
    }

    /// Any push to a branch: the replicator looks for itself what it was.
    fn event_of(&self, repository: &str) -> Value {
        let number = self.events.fetch_add(1, Ordering::Relaxed);
        let now = self.ground.cloud().world.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        json!({
            "version": "0", "id": format!("push-{number}"), "detail-type": "CodeCommit Repository State Change",
            "source": "aws.codecommit", "account": "111122223333", "time": now, "region": "eu-west-1",
            "resources": [format!("arn:aws:codecommit:eu-west-1:111122223333:{repository}")],
            "detail": {
                "event": "referenceCreated", "repositoryName": repository, "repositoryId": "id", "referenceType": "branch",
                "referenceName": "main", "referenceFullName": "refs/heads/main",
                "commitId": "0123456789012345678901234567890123456789",
            },
        })
    }

    fn event(&self) -> Value {
        self.event_of("demo")
    }

    async fn handle(&self, event: &Value) -> Result<Handled, Failure> {
        self.replicator.handle(event.to_string().as_bytes(), self.ground.invocation()).await
    }

    async fn copied(&self) -> Report {
        match self.handle(&self.event()).await.unwrap() {
            Handled::Reported(report) => *report,
            other => panic!("not copied: {other:?}"),
        }
    }

    async fn refused(&self) -> Report {
        match self.handle(&self.event()).await.unwrap() {
            Handled::Refused(report) => *report,
            other => panic!("not refused: {other:?}"),
        }
    }

    async fn sweep(&self) -> Handled {
        let number = self.events.fetch_add(1, Ordering::Relaxed);
        let event = json!({
            "version": "0", "id": format!("clock-{number}"), "detail-type": "Scheduled Event", "source": "aws.events",
            "account": "111122223333", "time": "2024-01-01T00:00:00Z", "region": "eu-west-1",
            "resources": ["arn:aws:events:eu-west-1:111122223333:rule/sweep"], "detail": {},
        });
        self.handle(&event).await.unwrap()
    }

    /// What is remembered of the copy, where there is one.
    fn memory(&self) -> Value {
        self.memory_of("")
    }

    /// What is remembered of the copy whose address begins so.
    fn memory_of(&self, begin: &str) -> Value {
        let found = self.ground.objects("state/replicas/").unwrap().into_values();
        let mut found = found.filter(|kept| kept["target"].as_str().is_some_and(|target| target.starts_with(begin)));
        found.next().unwrap_or_default()
    }
}

#[tokio::test]
async fn a_first_copy_is_made_and_equal_with_its_tags_and_its_default_branch() {
    let world = World::new("{ to: \"codecommit://us-east-1/{repository}\", create: true }").await;
    let here = world.here();
    let one = commit(&here, "one", &[]);
    let two = commit(&here, "two", &[&one]);
    set(&here, "refs/heads/main", &two);
    set(&here, "refs/heads/feature/x", &one);
    git(&here, &["tag", "-a", "-m", "the first", "v1", &one]);
    set(&here, "refs/tags/light", &two);
    set(&here, "refs/heads/quarantine/main/1", &one);
    git(&here, &["symbolic-ref", "HEAD", "refs/heads/main"]);

    let report = world.copied().await;
    assert_eq!(report.verdict, "copy");
    assert!(
        report.actions[0].contains("made the repository, ") && report.actions[0].contains("4 of 4 refs"),
        "{report:?}"
    );
    let there = world.there("demo");
    let expected: Vec<String> =
        refs(&here).lines().filter(|line| !line.contains("quarantine")).map(str::to_owned).collect();
    assert_eq!(refs(&there), expected.join("\n"));
    assert_eq!(git(&there, &["cat-file", "-t", "v1"]), "tag");
    assert_eq!(git(&there, &["symbolic-ref", "HEAD"]), "refs/heads/main");
    is_whole(&here);
    is_whole(&there);
    assert_eq!(world.memory()["agreed"]["refs/heads/main"], json!(two));

    // Another event for what is equal already changes nothing, neither there nor in our memory.
    let before = world.memory();
    let report = world.copied().await;
    assert_eq!((report.verdict.as_str(), report.actions.len()), ("equal", 0), "{report:?}");
    assert_eq!(world.memory(), before);
}

#[tokio::test]
async fn moves_force_pushes_and_deletions_are_copied() {
    let world = World::new("{ to: \"codecommit://us-east-1/{repository}\" }").await;
    let (here, there) = (world.here(), world.make_there("demo").await);
    let one = commit(&here, "one", &[]);
    let two = commit(&here, "two", &[&one]);
    for (name, id) in [("refs/heads/main", &two), ("refs/heads/a", &one), ("refs/tags/v1", &one)] {
        set(&here, name, id);
    }
    world.copied().await;
    assert_eq!(refs(&here), refs(&there));

    // Back by a commit, another way from there; a tag moves; a branch gives its name to a folder.
    let other = commit(&here, "other", &[&one]);
    set(&here, "refs/heads/main", &other);
    set(&here, "refs/tags/v1", &two);
    git(&here, &["update-ref", "-d", "refs/heads/a"]);
    set(&here, "refs/heads/a/b", &one);
    let report = world.copied().await;
    assert!(report.actions[0].contains("4 of 4 refs moved"), "{report:?}");
    assert_eq!(refs(&here), refs(&there));
    is_whole(&there);

    // What the target has already needs no pack but the empty one.
    set(&here, "refs/heads/main", &two);
    let report = world.copied().await;
    assert!(report.actions[0].contains("a pack of 32 bytes"), "{report:?}");
    assert_eq!(refs(&here), refs(&there));
}

#[tokio::test]
async fn the_default_branch_goes_along_before_the_old_one_is_deleted() {
    let world = World::new("{ to: \"codecommit://us-east-1/{repository}\", create: true }").await;
    let here = world.here();
    let one = commit(&here, "one", &[]);
    set(&here, "refs/heads/old", &one);
    git(&here, &["symbolic-ref", "HEAD", "refs/heads/old"]);
    world.copied().await;
    let there = world.there("demo");
    assert_eq!(git(&there, &["symbolic-ref", "HEAD"]), "refs/heads/old");
    set(&here, "refs/heads/main", &one);
    git(&here, &["symbolic-ref", "HEAD", "refs/heads/main"]);
    git(&here, &["update-ref", "-d", "refs/heads/old"]);
    world.copied().await;
    assert_eq!(git(&there, &["symbolic-ref", "HEAD"]), "refs/heads/main");
    assert_eq!(refs(&here), refs(&there));
}

#[tokio::test]
async fn a_map_a_filter_and_kept_deletions_are_heeded() {
    let map = "{ \"refs/heads/\": \"refs/heads/mirror/\" }";
    let world = World::new(&format!(
        "{{ to: codecommit://us-east-1/demo, refs: [main, \"release/**\"], map: {map}, deletions: false }}"
    ))
    .await;
    let (here, there) = (world.here(), world.make_there("demo").await);
    let one = commit(&here, "one", &[]);
    for name in ["main", "release/1", "other"] {
        set(&here, &format!("refs/heads/{name}"), &one);
    }
    set(&here, "refs/tags/v1", &one);
    let own = commit(&there, "own", &[]);
    set(&there, "refs/heads/main", &own);
    world.copied().await;
    let expected = [
        format!("{own} refs/heads/main"),
        format!("{one} refs/heads/mirror/main"),
        format!("{one} refs/heads/mirror/release/1"),
    ];
    assert_eq!(refs(&there), expected.join("\n"));
    git(&here, &["update-ref", "-d", "refs/heads/release/1"]);
    let report = world.copied().await;
    assert!(report.reasons[0].contains("the policy keeps it"), "{report:?}");
    assert_eq!(refs(&there), expected.join("\n"));
}

#[tokio::test]
async fn a_divergence_fails_is_kept_or_is_overwritten_as_the_policy_says() {
    for (mode, stays) in [("fail", true), ("keep", true), ("overwrite", false)] {
        let world = World::new(&format!("{{ to: codecommit://us-east-1/demo, on_divergence: {mode} }}")).await;
        let (here, there) = (world.here(), world.make_there("demo").await);
        let one = commit(&here, "one", &[]);
        set(&here, "refs/heads/main", &one);
        world.copied().await;
        let theirs = commit(&there, "theirs", &[&one]);
        set(&there, "refs/heads/main", &theirs);
        let ours = commit(&here, "ours", &[&one]);
        set(&here, "refs/heads/main", &ours);
        set(&here, "refs/heads/beside", &ours);
        let told = match world.handle(&world.event()).await.unwrap() {
            Handled::Reported(report) if mode != "fail" => report,
            Handled::Refused(report) if mode == "fail" => report,
            other => panic!("{mode}: {other:?}"),
        };
        let told = format!("{:?} {:?}", told.reasons, told.actions);
        assert_eq!(tip(&there, "refs/heads/main"), if stays { &*theirs } else { &*ours }, "{mode}");
        // The others are copied all the same.
        assert_eq!(tip(&there, "refs/heads/beside"), ours, "{mode}");
        if mode == "fail" {
            assert!(
                told.contains("refs/heads/main diverged: the copy is at") && told.contains("reset the copy"),
                "{told}"
            );
            assert!(world.memory()["failing"]["demo"]["what"][0].as_str().unwrap().contains("diverged"));
            // A person brings the commits together, and it is over.
            let (_, merged) = git_with(&there, &["rev-parse", "refs/heads/main"], "");
            git(&here, &["fetch", "-q", &there.to_string_lossy(), "refs/heads/main"]);
            set(&here, "refs/heads/main", &commit(&here, "merge", &[&ours, &merged]));
            world.copied().await;
            assert_eq!(refs(&here), refs(&there));
            assert!(world.memory().get("failing").is_none(), "{}", world.memory());
        }
    }
}

#[tokio::test]
async fn a_target_that_went_back_is_made_equal_as_nothing_of_it_is_lost() {
    let world = World::new("{ to: codecommit://us-east-1/demo }").await;
    let (here, there) = (world.here(), world.make_there("demo").await);
    let one = commit(&here, "one", &[]);
    let two = commit(&here, "two", &[&one]);
    set(&here, "refs/heads/main", &two);
    world.copied().await;
    set(&there, "refs/heads/main", &one);
    world.copied().await;
    assert_eq!(refs(&here), refs(&there));
}

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
    assert!(world.memory_of("https")["failing"]["demo"]["what"][0].as_str().unwrap().contains(told));

    let kept = format!("{:?} {:?}", world.ground.objects("ledger/").unwrap(), world.ground.objects("state/").unwrap());
    assert!(!kept.contains("hunter2") && !kept.contains(&password), "a secret was written down");
}
