//! Copies between repositories that git serves.

use signalbox_gitwire::http::{Cause, Kind, Pushed};
use signalbox_gitwire::{Change, Command, Fetch, Head, Oid, Outcome, PackForm, RefName, Together, Version, WireError};

use crate::host::{Host, Ways};
use crate::mirror::{COPIED, mirror};
use crate::repository::Repository;

const OLD: fn() -> Ways = || Ways { old: true, ..Ways::default() };
const NEW: fn() -> Ways = Ways::default;

fn id(text: &str) -> Oid {
    Oid::parse(text).unwrap()
}

fn name(text: &str) -> RefName {
    RefName::parse(text).unwrap()
}

/// Branches, a plain and an annotated tag, and a ref that is not copied.
fn fill(source: &Repository) {
    for number in 0..20 {
        source.commit("main", &format!("file-{}", number % 4), format!("{number}\n").repeat(200).as_bytes());
    }
    source.git(&["branch", "topic/one", "main~3"]);
    source.git(&["tag", "plain", "main~2"]);
    source.git(&["tag", "-a", "v1", "-m", "one", "main~1"]);
    source.git(&["update-ref", "refs/pull/1/head", "main~4"]);
}

fn same(source: &Repository, target: &Repository) {
    let copied =
        |refs: String| refs.lines().filter(|line| !line.contains("refs/pull/")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(copied(source.refs()), copied(target.refs()));
    target.check();
}

fn done(pushed: Option<Pushed>) -> Pushed {
    let pushed = pushed.expect("there was something to do");
    assert!(pushed.report.is_done(), "{pushed:?}");
    pushed
}

async fn goes_through_a_life(ways: Ways, settings: &[&str], together: Together) {
    let host = Host::start(ways).await;
    let (source, target) = (host.repository("source.git", &[]), host.repository("target.git", settings));
    fill(&source);
    let (from, to) = (host.remote("source.git"), host.remote("target.git"));
    let copy = async || mirror(&from, &to, together).await.unwrap();

    assert!(done(copy().await).pack.unwrap().objects > 40);
    same(&source, &target);
    assert_eq!(copy().await, None, "nothing is left to do");

    // A commit, a forced branch, a tag that moves, a deletion, all in one push.
    source.commit("main", "file-1", b"one more\n");
    source.git(&["update-ref", "refs/heads/topic/one", "main~5"]);
    source.git(&["tag", "-f", "-a", "v1", "-m", "two", "main"]);
    source.git(&["tag", "-d", "plain"]);
    let pushed = done(copy().await);
    assert_eq!((pushed.report.results.len(), pushed.pack.unwrap().objects), (4, 4), "commit, tree, blob, tag");
    same(&source, &target);

    // What the target has already needs an empty pack; deletions alone need none.
    source.git(&["branch", "again", "topic/one"]);
    assert_eq!(done(copy().await).pack.unwrap().objects, 0);
    source.git(&["branch", "-D", "again"]);
    assert_eq!(done(copy().await).pack, None);
    same(&source, &target);
}

#[tokio::test]
async fn a_copy_follows_its_source_with_version_2() {
    goes_through_a_life(NEW(), &[], Together::Atomic).await;
}

#[tokio::test]
async fn a_copy_follows_its_source_with_version_0() {
    goes_through_a_life(OLD(), &[], Together::Each).await;
}

#[tokio::test]
async fn a_copy_follows_its_source_without_atomic_and_ofs_delta() {
    let settings = ["receive.advertiseAtomic=false", "repack.useDeltaBaseOffset=false"];
    goes_through_a_life(NEW(), &settings, Together::Each).await;
    goes_through_a_life(OLD(), &settings, Together::Each).await;
}

#[tokio::test]
async fn a_large_copy_is_streamed_after_a_probe_and_a_small_one_sent_whole() {
    for ways in [NEW(), OLD()] {
        let host = Host::start(ways).await;
        let (source, target) = (host.repository("s.git", &[]), host.repository("t.git", &[]));
        source.commit("main", "large", &Repository::noise(3_000_000));
        let (from, to) = (host.remote("s.git"), host.remote("t.git"));
        let first = done(mirror(&from, &to, Together::Each).await.unwrap());
        assert!(first.pack.unwrap().bytes > 3_000_000);
        let pushes = |host: &Host| {
            let seen = host.seen().into_iter().filter(|seen| seen.line.starts_with("POST /t.git"));
            seen.map(|seen| seen.chunked).collect::<Vec<_>>()
        };
        assert_eq!(pushes(&host), [false, true]);
        same(&source, &target);

        source.commit("main", "small", b"a line\n");
        let second = done(mirror(&from, &to, Together::Each).await.unwrap());
        assert!(second.pack.unwrap().bytes < 1000, "{second:?}");
        assert_eq!(pushes(&host), [false]);
        same(&source, &target);
    }
}

#[tokio::test]
async fn a_thin_pack_is_smaller_and_completed_by_its_receiver() {
    let host = Host::start(NEW()).await;
    let source = host.repository("s.git", &[]);
    let mut content = Repository::noise(100_000);
    let old = source.commit("main", "large", &content);
    content.extend_from_slice(b"and a line\n");
    source.commit("main", "large", &content);
    let mut lengths = Vec::new();
    for (thin, name) in [(true, "thin.git"), (false, "full.git")] {
        let target = host.repository(name, &[]);
        source.git(&["push", "-q", target.dir.to_str().unwrap(), &format!("{old}:refs/heads/main")]);
        let (from, to) =
            (host.remote("s.git").source(COPIED).await.unwrap(), host.remote(name).target().await.unwrap());
        let new = id(&source.tip("main"));
        let form = PackForm { thin, ..to.pack_form() };
        let fetch = Fetch { wants: vec![new], haves: vec![id(&old)], form, ..Fetch::default() };
        let commands = [Command { name: name_of("main"), change: Change::Update { old: id(&old), new } }];
        let pack = from.fetch(&fetch).await.unwrap();
        let meter = pack.meter();
        let pushed = done(Some(to.push_pack(&commands, Together::Each, pack).await.unwrap()));
        assert_eq!(meter.bytes(), pushed.pack.unwrap().bytes);
        lengths.push(meter.bytes());
        same(&source, &target);
    }
    assert!(lengths[0] < 1000 && lengths[1] > 90_000, "{lengths:?}");
}

fn name_of(branch: &str) -> RefName {
    name(&format!("refs/heads/{branch}"))
}

#[tokio::test]
async fn an_empty_repository_is_listed_with_its_default_branch() {
    let host = Host::start(NEW()).await;
    let empty = host.repository("e.git", &[]);
    empty.git(&["symbolic-ref", "HEAD", "refs/heads/trunk"]);
    let source = host.remote("e.git").source(COPIED).await.unwrap();
    assert_eq!((source.listing.refs.len(), &source.listing.head), (0, &Head::Branch(name_of("trunk"))));
    assert!(host.remote("e.git").target().await.unwrap().listing().refs.is_empty());
    host.repository("t.git", &[]);
    assert_eq!(mirror(&host.remote("e.git"), &host.remote("t.git"), Together::Each).await.unwrap(), None);

    let old = Host::start(OLD()).await;
    old.repository("e.git", &[]);
    let source = old.remote("e.git").source(COPIED).await.unwrap();
    assert_eq!((source.server().version, source.listing.refs.len()), (Version::V0, 0));
}

#[tokio::test]
async fn both_versions_list_the_same() {
    let (new, old) = (Host::start(NEW()).await, Host::start(OLD()).await);
    let mut listings = Vec::new();
    for host in [&new, &old] {
        fill(&host.repository("s.git", &[]));
        let source = host.remote("s.git").source(&["refs/tags/"]).await.unwrap();
        listings.push((source.server().version, source.listing));
    }
    assert_eq!((listings[0].0, listings[1].0), (Version::V2, Version::V0));
    assert_eq!(listings[0].1, listings[1].1);
    assert_eq!(listings[0].1.refs.len(), 2);
    assert!(listings[0].1.refs[1].peeled.is_some());
    assert_eq!(listings[0].1.head, Head::Branch(name_of("main")));
}

#[tokio::test]
async fn a_shallow_source_says_where_its_history_ends() {
    for ways in [NEW(), OLD()] {
        let host = Host::start(ways).await;
        let (whole, taken, refused) = (
            host.repository("whole.git", &[]),
            host.repository("taken.git", &["receive.shallowUpdate=true"]),
            host.repository("refused.git", &[]),
        );
        fill(&whole);
        // The first version of upload-pack tells of it in a fetch only if a depth was asked for.
        let source = host.remote("whole.git").source(&["refs/heads/main"]).await.unwrap();
        let tip = id(&whole.tip("main"));
        let fetch = Fetch { wants: vec![tip], deepen: std::num::NonZeroU32::new(2), ..Fetch::default() };
        let commands = [Command { name: name_of("main"), change: Change::Create(tip) }];

        let pack = source.fetch(&fetch).await.unwrap();
        assert_eq!(pack.shallow(), [id(&whole.tip("main~1"))]);
        let target = host.remote("taken.git").target().await.unwrap();
        done(Some(target.push_pack(&commands, Together::Each, pack).await.unwrap()));
        assert_eq!(taken.git(&["rev-list", "--count", "main"]), "2");
        taken.check();

        let target = host.remote("refused.git").target().await.unwrap();
        let pushed = target.push_pack(&commands, Together::Each, source.fetch(&fetch).await.unwrap()).await.unwrap();
        assert_eq!(pushed.report.results[0].outcome, Outcome::Refused("shallow update not allowed".into()));
        assert!(refused.refs().is_empty());

        // A repository that is shallow itself says so in every fetch of version 2, and before it in the others.
        let shallow = host.remote("taken.git").source(&[]).await.unwrap();
        let pack = shallow.fetch(&Fetch { wants: vec![tip], ..Fetch::default() }).await.unwrap();
        assert_eq!(pack.shallow(), [id(&whole.tip("main~1"))]);
    }
}

#[tokio::test]
async fn many_haves_are_negotiated_in_rounds() {
    for ways in [NEW(), OLD()] {
        let host = Host::start(ways).await;
        let (source, target) = (host.repository("s.git", &[]), host.repository("t.git", &[]));
        fill(&source);
        let (from, to) = (host.remote("s.git"), host.remote("t.git"));
        done(mirror(&from, &to, Together::Each).await.unwrap());
        // The target has grown thousands of commits that the source does not know, and one that it does.
        let tree = target.tip("main^{tree}");
        let import: String = (0..9000)
            .map(|number| format!("commit refs/heads/own/{number}\ncommitter a <a@example.com> {number} +0000\ndata 0\nM 040000 {tree} \n\n"))
            .collect();
        target.git_with(&["fast-import", "--quiet"], import.as_bytes());
        target.git(&["pack-refs", "--all"]);
        source.commit("main", "file-1", b"one more\n");
        let source_side = from.source(COPIED).await.unwrap();
        let target_side = to.target().await.unwrap();
        let (old, new) = (id(&target.tip("main")), id(&source.tip("main")));
        let own = target_side.listing().refs.iter().filter(|entry| entry.name.as_str().contains("/own/"));
        let own: Vec<Oid> = own.map(|entry| entry.id).collect();
        assert_eq!(own.len(), 9000);
        let mut pack = None;
        // Known to both at once: the first round is enough. Known at last: all four are needed.
        for (haves, rounds) in [([&[old], &own[..]].concat(), 1), ([&own[..], &[old]].concat(), 4)] {
            host.seen();
            let fetch = Fetch { wants: vec![new], haves, form: target_side.pack_form(), ..Fetch::default() };
            pack = Some(source_side.fetch(&fetch).await.unwrap());
            assert_eq!(host.seen().len(), rounds);
        }
        let commands = [Command { name: name_of("main"), change: Change::Update { old, new } }];
        let pushed = done(Some(target_side.push_pack(&commands, Together::Each, pack.unwrap()).await.unwrap()));
        assert_eq!(pushed.pack.unwrap().objects, 3);
        assert_eq!(target.tip("main"), source.tip("main"));
        target.check();
    }
}

#[tokio::test]
async fn a_branch_that_a_hook_refuses_is_named_and_the_others_move() {
    let host = Host::start(NEW()).await;
    let (source, target) = (host.repository("s.git", &[]), host.repository("t.git", &[]));
    fill(&source);
    target.hook("update", "[ \"$1\" != refs/heads/main ] || { echo 'main is closed' >&2; exit 1; }");
    let (from, to) = (host.remote("s.git"), host.remote("t.git"));

    let all = mirror(&from, &to, Together::Atomic).await.unwrap().unwrap();
    assert!(all.report.results.iter().all(|result| matches!(result.outcome, Outcome::Refused(_))), "{all:?}");
    assert!(target.refs().is_empty());

    let each = mirror(&from, &to, Together::Each).await.unwrap().unwrap();
    let refused: Vec<_> = each.report.results.iter().filter(|result| result.outcome != Outcome::Done).collect();
    assert_eq!((refused.len(), &refused[0].name), (1, &name_of("main")));
    assert_eq!(refused[0].outcome, Outcome::Refused("hook declined".into()));
    assert!(each.report.messages.contains("main is closed"), "{each:?}");
    assert_eq!(target.tip("topic/one"), source.tip("topic/one"));
    target.check();
}

#[tokio::test]
async fn a_ref_that_has_moved_since_it_was_seen_is_left_alone() {
    let host = Host::start(NEW()).await;
    let target = host.repository("t.git", &[]);
    fill(&target);
    let seen = host.remote("t.git").target().await.unwrap();
    let (stale, other) = (id(&target.tip("main~1")), id(&target.tip("topic/one")));
    for change in [Change::Update { old: stale, new: other }, Change::Create(other)] {
        let commands = [Command { name: name_of("main"), change }];
        let pushed = seen.push(&commands, Together::Each).await.unwrap();
        assert!(matches!(pushed.report.results[0].outcome, Outcome::Refused(_)), "{pushed:?}");
    }
    // And forward or backward with what is there.
    let now = id(&target.tip("main"));
    let commands = [Command { name: name_of("main"), change: Change::Update { old: now, new: stale } }];
    done(Some(seen.push(&commands, Together::Each).await.unwrap()));
    assert_eq!(id(&target.tip("main")), stale);
}

#[tokio::test]
async fn what_is_not_offered_or_not_there_is_said() {
    let host = Host::start(NEW()).await;
    let target = host.repository("t.git", &["receive.advertiseAtomic=false"]);
    fill(&target);
    let seen = host.remote("t.git").target().await.unwrap();
    let delete = [Command { name: name_of("topic/one"), change: Change::Delete(id(&target.tip("topic/one"))) }];
    let failure = seen.push(&delete, Together::Atomic).await.unwrap_err();
    assert!(matches!(failure.cause, Cause::Wire(WireError::Missing("atomic"))) && failure.kind() == Kind::Refused);

    let source = host.remote("t.git").source(&[]).await.unwrap();
    let nowhere = Fetch { wants: vec![id(&"12".repeat(20))], ..Fetch::default() };
    let failure = source.fetch(&nowhere).await.unwrap_err();
    assert!(
        matches!(&failure.cause, Cause::Wire(WireError::Said(words)) if words.contains("not our ref")),
        "{failure}"
    );
    assert_eq!(failure.kind(), Kind::Retry, "it may be gone since it was listed");

    let failure = host.remote("nothing.git").source(&[]).await.unwrap_err();
    assert!(matches!(failure.cause, Cause::NotFound { status: 404, .. }), "{failure}");
    Repository::init(host.folder.path(), "sha256.git", &["--bare", "--object-format=sha256"], &[]);
    let failure = host.remote("sha256.git").source(&[]).await.unwrap_err();
    assert!(failure.to_string().contains("object format is sha256"), "{failure}");
    let failure = host.remote("sha256.git").target().await.unwrap_err();
    assert!(failure.to_string().contains("sha256"), "{failure}");
}

#[tokio::test]
async fn a_target_that_is_slow_to_answer_is_waited_for() {
    let host = Host::start(NEW()).await;
    let (source, target) = (host.repository("s.git", &[]), host.repository("t.git", &["receive.keepAlive=0"]));
    source.commit("main", "large", &Repository::noise(1_500_000));
    target.hook("pre-receive", "sleep 2");
    done(mirror(&host.remote("s.git"), &host.hasty("t.git"), Together::Each).await.unwrap());
    same(&source, &target);
}
