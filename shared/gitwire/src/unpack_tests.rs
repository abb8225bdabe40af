//! Packs that git itself wrote, opened.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Oid;
use crate::object::{Commit, Mode, tree_entries};
use crate::unpack::{Kind, Limits, OpenPack, Unopened};

const LIMITS: Limits = Limits { objects: 10_000, object_bytes: 1 << 20, kept_bytes: 1 << 20 };

fn git(dir: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut git = Command::new("git");
    git.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    for role in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{role}_NAME"), "A Developer").env(format!("GIT_{role}_EMAIL"), "developer@example.com");
        git.env(format!("GIT_{role}_DATE"), "2024-01-01T00:00:00Z");
    }
    git.current_dir(dir).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = git.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "git {arguments:?}");
    ended.stdout
}

/// Twenty commits that each change a line of a long file, so that git packs changes.
fn repository(dir: &Path) -> Vec<u8> {
    git(dir, &["init", "-q", "-b", "main"], b"");
    std::fs::create_dir(dir.join("folder")).unwrap();
    let mut lines: Vec<String> = (0..400).map(|line| format!("line {line} {}", line * 7919)).collect();
    for round in 0..20 {
        lines[round * 11] = format!("round {round}");
        std::fs::write(dir.join("folder/long.txt"), lines.join("\n")).unwrap();
        git(dir, &["add", "-A"], b"");
        git(dir, &["commit", "-q", "-m", &format!("round {round}")], b"");
    }
    git(dir, &["tag", "-a", "-m", "a tag", "v1"], b"");
    git(dir, &["rev-list", "--objects", "--all", "--no-object-names"], b"")
}

#[test]
fn every_object_of_a_pack_is_what_git_says_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut objects = repository(dir.path());
    objects.extend(git(dir.path(), &["rev-parse", "v1"], b""));
    for form in
        [&["pack-objects", "--stdout", "-q", "--delta-base-offset"][..], &["pack-objects", "--stdout", "-q"][..]]
    {
        let bytes = git(dir.path(), form, &objects);
        // With little room for what was read last, too: then chains are followed again and again.
        for kept_bytes in [1 << 20, 100] {
            let mut pack = OpenPack::open(bytes.clone(), Limits { kept_bytes, ..LIMITS }).unwrap();
            assert_eq!(pack.unread(), 0);
            let found: Vec<(Oid, Kind, u64)> = pack.objects().collect();
            assert_eq!(found.len(), 20 * 4 + 1);
            for (id, kind, length) in found {
                let word = match kind {
                    Kind::Commit => "commit",
                    Kind::Tree => "tree",
                    Kind::Blob => "blob",
                    Kind::Tag => "tag",
                };
                let expected = git(dir.path(), &["cat-file", word, &id.to_string()], b"");
                let read = pack.read(&id).unwrap().unwrap();
                assert_eq!((&read[..], length), (&expected[..], expected.len() as u64), "{id}");
            }
        }
    }
}

#[test]
fn a_commit_leads_to_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let objects = repository(dir.path());
    let bytes = git(dir.path(), &["pack-objects", "--stdout", "-q"], &objects);
    let mut pack = OpenPack::open(bytes, LIMITS).unwrap();
    let tip = String::from_utf8(git(dir.path(), &["rev-parse", "HEAD"], b"")).unwrap();
    let commit = Commit::parse(&pack.read(&Oid::parse(tip.trim()).unwrap()).unwrap().unwrap());
    assert_eq!(
        (commit.message.as_str(), commit.author.as_str(), commit.parents.len()),
        ("round 19\n", "developer@example.com", 1)
    );
    let root = pack.read(&commit.tree.unwrap()).unwrap().unwrap();
    let folder = &tree_entries(&root)[0];
    assert_eq!((folder.name, folder.mode), (&b"folder"[..], Mode::Tree));
    let folder = pack.read(&folder.id).unwrap().unwrap();
    assert_eq!((tree_entries(&folder)[0].name, tree_entries(&folder)[0].mode), (&b"long.txt"[..], Mode::File));
}

#[test]
fn what_is_too_long_is_counted_and_not_held() {
    let dir = tempfile::tempdir().unwrap();
    let objects = repository(dir.path());
    let bytes = git(dir.path(), &["pack-objects", "--stdout", "-q", "--delta-base-offset"], &objects);
    let mut pack = OpenPack::open(bytes.clone(), Limits { object_bytes: 2_000, ..LIMITS }).unwrap();
    let whole: Vec<(Oid, Kind, u64)> = pack.objects().filter(|(_, _, length)| *length > 2_000).collect();
    assert!(!whole.is_empty() && whole.len() + pack.unread() == 20, "{} {}", whole.len(), pack.unread());
    assert!(pack.read(&whole[0].0).unwrap().is_none());
    assert!(matches!(OpenPack::open(bytes, Limits { objects: 3, ..LIMITS }), Err(Unopened::TooMany(81))));
}

#[test]
fn a_pack_that_there_is_no_time_for_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let objects = repository(dir.path());
    let bytes = git(dir.path(), &["pack-objects", "--stdout", "-q", "--delta-base-offset"], &objects);
    let mut asked = 0;
    let stopped = OpenPack::open_while(bytes, LIMITS, || {
        asked += 1;
        asked <= 30
    });
    assert!(matches!(stopped, Err(Unopened::Stopped { done: 30, objects: 81 })), "{stopped:?}");
}

#[test]
fn a_spoilt_pack_is_an_error_and_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let objects = repository(dir.path());
    let bytes = git(dir.path(), &["pack-objects", "--stdout", "-q"], &objects);
    for cut in (0..bytes.len() - 20).step_by(97) {
        assert!(OpenPack::open(bytes[..cut].to_vec(), LIMITS).is_err(), "cut at {cut}");
    }
    for at in (0..bytes.len()).step_by(37) {
        let mut spoilt = bytes.clone();
        spoilt[at] ^= 0x55;
        if let Ok(mut pack) = OpenPack::open(spoilt, LIMITS) {
            let ids: Vec<Oid> = pack.objects().map(|(id, _, _)| id).collect();
            for id in ids {
                let _either = pack.read(&id);
            }
        }
    }
}
