//! A source's history, asked about with nothing fetched; git is the judge.

use std::num::NonZeroU32;

use signalbox_gitwire::Oid;

use crate::host::{Host, Ways};
use crate::repository::Repository;

fn id(text: &str) -> Oid {
    Oid::parse(text).unwrap()
}

/// Ten commits on main, with a side branch that leaves it at the fourth and comes back at the eighth.
fn fill(source: &Repository) {
    for number in 0..4 {
        source.commit("main", "file", format!("{number}\n").as_bytes());
    }
    source.git(&["branch", "side", "main"]);
    for number in 4..7 {
        source.commit("main", "file", format!("{number}\n").as_bytes());
        source.commit("side", "beside", format!("{number}\n").as_bytes());
    }
    let tree = source.tip("main^{tree}");
    let merged = source.git(&["commit-tree", &tree, "-m", "merge", "-p", "main", "-p", "side"]);
    source.git(&["update-ref", "refs/heads/main", &merged]);
    for number in 8..10 {
        source.commit("main", "file", format!("{number}\n").as_bytes());
    }
}

#[tokio::test]
async fn commits_are_found_by_their_distance_and_told_from_others() {
    for ways in [Ways::default(), Ways { old: true, ..Ways::default() }] {
        let host = Host::start(ways.clone()).await;
        let settings = ["uploadpack.allowReachableSHA1InWant=true"];
        let repository = host.repository("s.git", &settings);
        fill(&repository);
        let source = host.remote("s.git").source(&[]).await.unwrap();
        assert!(source.gives_by_id() && source.tells_depth());
        let tip = id(&repository.tip("main"));
        let at = async |depth: u32| {
            let mut found = source.commits_at(tip, NonZeroU32::new(depth).unwrap()).await.unwrap();
            found.sort();
            found
        };
        assert_eq!(at(1).await, [tip]);
        assert_eq!(at(2).await, [id(&repository.tip("main~1"))]);
        // Behind the merge, both ways; the fork itself is reached by both at once.
        let mut both = [id(&repository.tip("main~3")), id(&repository.tip("side"))];
        both.sort();
        assert_eq!(at(4).await, both);
        assert_eq!(at(9).await, [id(&repository.tip("main~8"))]);
        assert_eq!(at(10).await, [id(&repository.tip("main~9"))]);
        // There is nothing before the first commit of all.
        assert_eq!(at(11).await, []);
        assert_eq!(at(10_000).await, []);

        let (side, early, fork) = (repository.tip("side"), repository.tip("main~4"), repository.tip("side~3"));
        for (above, below, expected) in [
            (&side, &fork, true),
            (&early, &fork, true),
            (&early, &side, false),
            (&fork, &side, false),
            (&side, &side, true),
        ] {
            assert_eq!(source.reaches(id(above), id(below)).await.unwrap(), expected, "{above} reaches {below}");
        }
        let nowhere = id(&"12".repeat(20));
        assert!(!source.reaches(id(&side), nowhere).await.unwrap());
        let seen = host.seen();
        assert!(seen.len() > 10, "{seen:?}");
    }
}

#[tokio::test]
async fn a_source_that_gives_nothing_by_its_id_is_known_beforehand() {
    let host = Host::start(Ways { old: true, ..Ways::default() }).await;
    fill(&host.repository("s.git", &[]));
    let source = host.remote("s.git").source(&[]).await.unwrap();
    assert!(!source.gives_by_id() && source.tells_depth());
}
