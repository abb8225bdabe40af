//! Copies that do not fit at once: into what the target takes, or into the time that there is.

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use signalbox_aws::{Aws, AwsEnvironment, Failure};
use signalbox_glue::{Handle, Handled, Invocation, Setup};
use signalbox_replicator::Replicator;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::world::{World, commit, dir_of, git, git_with, is_whole, policy, refs, set, tip};

const POLICY: &str = "{ to: codecommit://us-east-1/demo }";

/// Hexadecimal noise: git makes half of it.
fn noise(seed: u64, length: usize) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ (seed + 1).wrapping_mul(0x2545_f491_4f6c_dd1d);
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        format!("{state:016x}")
    };
    std::iter::repeat_with(next).take(length / 16).collect()
}

/// A commit of one file, be that as long as it may.
fn change(dir: &Path, text: &str, parents: &[&str]) -> String {
    let (_, blob) = git_with(dir, &["hash-object", "-w", "--stdin"], text);
    let (_, tree) = git_with(dir, &["mktree"], &format!("100644 blob {blob}\tfile\n"));
    let mut arguments = vec!["commit-tree", &tree, "-m", "a change"];
    arguments.extend(parents.iter().flat_map(|parent| ["-p", parent]));
    git(dir, &arguments)
}

/// So many commits of so many bytes each, one upon the other; gives the last.
fn grow(dir: &Path, first: Option<&str>, count: u64, length: usize) -> String {
    let mut last = first.map(str::to_owned);
    for number in 0..count {
        let seed = number + last.as_ref().map_or(0, |id| u64::from_str_radix(&id[..8], 16).unwrap());
        last = Some(change(dir, &noise(seed, length), last.as_deref().as_slice()));
    }
    last.unwrap()
}

/// Where a branch has been, the oldest first.
fn places(dir: &Path, name: &str) -> Vec<String> {
    let log = std::fs::read_to_string(dir.join("logs").join(name)).unwrap_or_default();
    log.lines().map(|line| line[41..81].to_owned()).collect()
}

fn is_forward(dir: &Path, places: &[String]) -> bool {
    places.windows(2).all(|pair| git_with(dir, &["merge-base", "--is-ancestor", &pair[0], &pair[1]], "").0)
}

#[tokio::test]
async fn what_a_target_does_not_take_at_once_goes_in_steps_forward_along_its_own_history() {
    let world = World::new(POLICY).await;
    let (here, there) = (world.here(), world.make_there("demo").await);
    git(&there, &["config", "core.logAllRefUpdates", "true"]);
    git(&there, &["config", "receive.maxInputSize", "250000"]);
    let first = grow(&here, None, 30, 40_000);
    set(&here, "refs/heads/main", &first);
    set(&here, "refs/heads/topic", &commit(&here, "topic", &[&first]));
    set(&here, "refs/tags/v1", &first);
    let report = world.copied().await;
    assert!(
        report.actions[0].contains("3 of 3 refs moved") && report.actions[0].contains("refs/heads/main came in"),
        "{report:?}"
    );
    assert_eq!(refs(&here), refs(&there));
    is_whole(&there);
    let been = places(&there, "refs/heads/main");
    assert!(been.len() > 4 && is_forward(&there, &been), "{been:?}");

    // A branch that is there already only moves forward, also where there are two ways to its tip.
    let main = grow(&here, Some(&first), 12, 40_000);
    let side = grow(&here, Some(&first), 5, 39_008);
    let merged = commit(&here, "merged", &[&main, &side]);
    set(&here, "refs/heads/main", &merged);
    world.copied().await;
    assert_eq!(refs(&here), refs(&there));
    is_whole(&there);
    let been = places(&there, "refs/heads/main");
    assert!(is_forward(&there, &been), "{been:?}");
    assert!(world.memory().get("unfit").is_none(), "{}", world.memory());
}

#[tokio::test]
async fn a_commit_that_is_too_large_by_itself_is_told_with_its_size_and_takes_no_other_ref_with_it() {
    let world = World::new(POLICY).await;
    let (here, there) = (world.here(), world.make_there("demo").await);
    git(&there, &["config", "receive.maxInputSize", "250000"]);
    set(&here, "refs/heads/small", &commit(&here, "small", &[]));
    let good = grow(&here, None, 8, 1_000);
    let large = change(&here, &noise(99, 2_000_000), &[&good]);
    set(&here, "refs/heads/main", &large);
    let report = world.refused().await;
    let told = &report.actions[0];
    assert!(told.contains("refs/heads/main from") && told.contains("is out of reach"), "{report:?}");
    assert!(
        told.contains("larger than the target takes") && told.contains("pack exceeds maximum allowed size"),
        "{report:?}"
    );
    assert_eq!(tip(&there, "refs/heads/small"), tip(&here, "refs/heads/small"));
    // It has come as far as it can, and what was said of it is remembered.
    assert_eq!(tip(&there, "refs/heads/main"), good);
    assert!(world.memory()["failing"]["demo"].to_string().contains("is out of reach"), "{}", world.memory());
    is_whole(&there);

    // Once the target takes it, it is made equal and nothing is remembered any more.
    git(&there, &["config", "receive.maxInputSize", "0"]);
    world.copied().await;
    assert_eq!(refs(&here), refs(&there));
    assert!(world.memory().get("failing").is_none() && world.memory().get("unfit").is_none(), "{}", world.memory());
}

#[tokio::test]
async fn a_branch_that_is_on_its_way_is_not_copied_back_over_its_source() {
    let forth = "{ to: codecommit://eu-west-1/twin }";
    let world = World::new(forth).await;
    world.ground.repository("twin").await.unwrap();
    let back = "  twin:\n    replicas:\n      - { to: codecommit://eu-west-1/demo, on_divergence: overwrite }\n";
    world.ground.policy(&format!("{}{back}", policy(forth))).unwrap();
    let (here, twin) = (world.here(), dir_of(world.ground.cloud(), "twin"));
    git(&twin, &["config", "receive.maxInputSize", "250000"]);
    let good = grow(&here, None, 8, 1_000);
    let large = change(&here, &noise(99, 2_000_000), &[&good]);
    set(&here, "refs/heads/main", &large);
    world.refused().await;
    assert_eq!(tip(&twin, "refs/heads/main"), good);
    // The copy's own event sees an older commit in it, which is no push of anybody's.
    let handled = world.handle(&world.event_of("twin")).await.unwrap();
    assert!(matches!(handled, Handled::Reported(_)), "{handled:?}");
    assert_eq!(tip(&here, "refs/heads/main"), large);
}

#[tokio::test]
async fn an_event_that_comes_when_the_time_is_over_changes_nothing_and_comes_again() {
    let world = World::new(POLICY).await;
    let (here, there) = (world.here(), world.make_there("demo").await);
    set(&here, "refs/heads/main", &commit(&here, "one", &[]));
    let event = world.event();
    let now = Timestamp::now();
    let late = Invocation::new(now, now + SignedDuration::from_secs(9));
    let failure = world.replicator.handle(event.to_string().as_bytes(), late).await.unwrap_err();
    assert!(matches!(&failure, Failure::Retry(_)) && failure.to_string().contains("took the time"), "{failure}");
    assert_eq!(refs(&there), "");
    assert!(world.memory().get("working").is_none());
    assert!(matches!(world.handle(&event).await.unwrap(), Handled::Reported(_)));
    assert_eq!(refs(&here), refs(&there));
}

/// A way to the local cloud on which each connection carries so many bytes a second, behind the first hundred thousand.
async fn slow_way(endpoint: &str, rate: usize) -> String {
    const AT_ONCE: usize = 8 * 1024;
    let far = endpoint.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let Ok(mut far) = TcpStream::connect(&far).await else { return };
            tokio::spawn(async move {
                let ((near_in, near_out), (far_in, far_out)) = (near.split(), far.split());
                let carry = async |mut from: tokio::net::tcp::ReadHalf<'_>, mut to: tokio::net::tcp::WriteHalf<'_>| {
                    let (mut piece, mut carried) = (vec![0; AT_ONCE], 0);
                    while let Ok(count) = from.read(&mut piece).await
                        && count > 0
                    {
                        carried += count;
                        if carried > 100_000 {
                            tokio::time::sleep(Duration::from_secs_f64(count as f64 / rate as f64)).await;
                        }
                        if to.write_all(&piece[..count]).await.is_err() {
                            return;
                        }
                    }
                };
                // Whichever side ends, the connection does.
                tokio::select! {
                    () = carry(near_in, far_out) => {}
                    () = carry(far_in, near_out) => {}
                }
            });
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn what_does_not_fit_into_the_time_goes_on_from_where_it_came_to() {
    let mut world = World::new(POLICY).await;
    let (here, there) = (world.here(), world.make_there("demo").await);
    let last = grow(&here, None, 40, 200_000);
    set(&here, "refs/heads/main", &last);
    set(&here, "refs/tags/v1", &last);
    let keys = world.ground.keys("replicator");
    let aws = Aws::new(AwsEnvironment {
        region: world.ground.cloud().world.region.clone(),
        access_key_id: keys.access_key_id,
        secret_access_key: keys.secret_access_key,
        session_token: keys.session_token,
        endpoint: Some(slow_way(world.ground.cloud().world.endpoint(), 300_000).await),
    });
    let settings = world.ground.setup("replicator").unwrap().settings;
    world.replicator = Replicator::new(&Setup::new(aws, settings));

    // Four megabytes at a third of a megabyte a second, and eight seconds for it; where a busy machine comes to nothing in
    // that time, some more.
    let mut event = world.event();
    let mut stood: Vec<String> = Vec::new();
    let begin = Instant::now();
    let mut time = SignedDuration::from_secs(18);
    loop {
        let now = Timestamp::now();
        let short = Invocation::new(now, now + time);
        match world.replicator.handle(event.to_string().as_bytes(), short).await {
            Ok(Handled::Reported(_)) => break,
            Err(Failure::Retry(problem)) => assert!(problem.to_string().contains("the rest follows"), "{problem}"),
            // The machine was so busy that not even the smallest step got through, which is told and ends the event.
            Ok(Handled::Refused(report)) if report.actions.join(" ").contains("did not get through in time") => {
                time += SignedDuration::from_secs(6);
                event = world.event();
            }
            other => panic!("{other:?}"),
        }
        let stands = tip(&there, "refs/heads/main");
        if stood.ends_with(&[stands.clone(), stands.clone()]) {
            time += SignedDuration::from_secs(2);
        }
        stood.push(stands);
        assert!(begin.elapsed() < Duration::from_secs(240), "{stood:?}");
    }
    assert_eq!(stood[0], "", "the whole did not fit, and nothing of it is left");
    stood.retain(|place| !place.is_empty());
    assert!(!stood.is_empty(), "it came to nowhere before the end");
    stood.push(last.clone());
    assert!(is_forward(&there, &stood), "{stood:?}");
    assert_eq!(refs(&here), refs(&there));
    is_whole(&there);
    assert!(world.memory().get("unfit").is_none(), "{}", world.memory());
}
