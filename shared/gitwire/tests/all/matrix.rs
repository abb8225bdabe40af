//! Every git of this machine as `git http-backend`, on both sides, with and without what it may offer.
//!
//! All programs named `git` on the PATH are taken, one of each version: what a machine has beside its own is found without being
//! named.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use signalbox_gitwire::{Together, Version};

use crate::host::{Host, Ways};
use crate::mirror::{COPIED, mirror};
use crate::repository::Repository;

/// What a target offers, and how it is pushed to.
#[derive(Debug, Clone, Copy)]
struct Offer {
    together: Together,
    ofs_delta: bool,
    thin: bool,
}

impl Offer {
    fn all() -> Vec<Self> {
        let each = [Together::Atomic, Together::Each].into_iter();
        let each = each.flat_map(|together| [true, false].map(|ofs_delta| (together, ofs_delta)));
        each.flat_map(|(together, ofs_delta)| [true, false].map(|thin| Self { together, ofs_delta, thin })).collect()
    }

    fn settings(self) -> Vec<&'static str> {
        let atomic = ["receive.advertiseAtomic=false", "receive.advertiseAtomic=true"];
        let deltas = ["repack.useDeltaBaseOffset=false", "repack.useDeltaBaseOffset=true"];
        vec![atomic[usize::from(self.together == Together::Atomic)], deltas[usize::from(self.ofs_delta)]]
    }
}

/// Each git on the PATH, by its version.
fn gits() -> BTreeMap<String, PathBuf> {
    let path = std::env::var_os("PATH").unwrap();
    let mut found = BTreeMap::new();
    for program in std::env::split_paths(&path).map(|folder| folder.join("git")) {
        let Ok(output) = Command::new(&program).arg("--version").output() else { continue };
        let version = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        if version.starts_with("git version ") {
            found.entry(version).or_insert(program);
        }
    }
    assert!(!found.is_empty(), "there is no git on the PATH");
    found
}

fn fill(source: &Repository, content: &[u8]) {
    for number in 0..6 {
        source.commit("main", "small", format!("{number}\n").repeat(50).as_bytes());
    }
    source.commit("main", "large", content);
    source.git(&["branch", "topic/one", "main~3"]);
    source.git(&["tag", "-a", "v1", "-m", "one", "main~1"]);
    source.git(&["branch", "gone", "main~2"]);
}

/// One server as the source of copies to every kind of target.
async fn from(ways: Ways, expected: Version) {
    let source_host = Host::start(ways).await;
    let source = source_host.repository("s.git", &[]);
    let mut content = Repository::noise(60_000);
    fill(&source, &content);
    let from = source_host.remote("s.git");
    assert_eq!(from.source(COPIED).await.unwrap().server().version, expected);

    let mut targets = Vec::new();
    for (version, program) in gits() {
        for offer in Offer::all() {
            let adds = if offer.thin { None } else { Some("no-thin") };
            let host = Host::start(Ways { git: Some(program.clone()), adds, ..Ways::default() }).await;
            let target = host.repository("t.git", &offer.settings());
            targets.push((format!("{version}, {offer:?}"), offer, host, target));
        }
    }
    for (what, offer, host, _) in &targets {
        let seen = host.remote("t.git").target().await.unwrap();
        let offers = |name: &str| seen.server().capabilities.has(name);
        let offered = (offers("atomic"), offers("ofs-delta"), !offers("no-thin"));
        assert_eq!(offered, (offer.together == Together::Atomic, offer.ofs_delta, offer.thin), "{what}");
    }
    copied(&from, &source, &targets, |_, _| true).await;

    content.extend_from_slice(b"and a line\n");
    source.commit("main", "large", &content);
    source.git(&["update-ref", "refs/heads/topic/one", "main~2"]);
    source.git(&["tag", "-f", "-a", "v1", "-m", "two", "main"]);
    source.git(&["branch", "-D", "gone"]);
    // A thin pack builds on what the target has; without it the large file comes once more.
    copied(&from, &source, &targets, |offer, bytes| if offer.thin { bytes < 2_000 } else { bytes > 50_000 }).await;
}

async fn copied(
    from: &signalbox_gitwire::http::Remote,
    source: &Repository,
    targets: &[(String, Offer, Host, Repository)],
    is_as_long_as_it_should: impl Fn(&Offer, u64) -> bool,
) {
    for (what, offer, host, target) in targets {
        let pushed = mirror(from, &host.remote("t.git"), offer.together).await.unwrap().unwrap();
        assert!(pushed.report.is_done(), "{what}: {pushed:?}");
        assert!(is_as_long_as_it_should(offer, pushed.pack.unwrap().bytes), "{what}: {pushed:?}");
        assert_eq!(source.refs(), target.refs(), "{what}");
        target.check();
    }
}

#[tokio::test]
async fn every_git_with_version_2_is_copied_to_every_git() {
    for git in gits().into_values() {
        from(Ways { git: Some(git), ..Ways::default() }, Version::V2).await;
    }
}

#[tokio::test]
async fn every_git_without_version_2_is_copied_to_every_git() {
    for git in gits().into_values() {
        from(Ways { git: Some(git), old: true, ..Ways::default() }, Version::V0).await;
    }
}
