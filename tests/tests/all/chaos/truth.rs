//! What really happened: told by the bus itself, before chaos gets its hands on anything.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use signalbox_local::chaos::{Kind, Source};
use signalbox_local::eventbridge::{Outcome, Published};
use signalbox_tests::Ground;
use tokio::sync::broadcast::error::RecvError;

/// A branch that was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pushed {
    pub(super) branch: String,
    pub(super) commit: String,
    /// The event's id.
    pub(super) event: String,
    /// Chaos let no event of it through.
    pub(super) dropped: bool,
}

impl Pushed {
    pub(super) fn of(published: &Published) -> Option<Self> {
        let event = &published.event;
        let detail = event.get("detail").filter(|_| event["detail-type"] == "CodeCommit Repository State Change")?;
        Some(Self {
            branch: detail["referenceName"].as_str()?.to_owned(),
            commit: detail["commitId"].as_str()?.to_owned(),
            event: event["id"].as_str()?.to_owned(),
            dropped: published.deliveries.iter().any(|delivery| matches!(delivery.outcome, Outcome::Dropped { .. })),
        })
    }
}

/// A build that was started.
#[derive(Debug, Clone)]
struct Built {
    id: String,
    branch: String,
    commit: String,
    trigger: String,
    /// Its last status, and whether chaos let no event of its end through.
    status: String,
    dropped: bool,
}

#[derive(Debug, Default)]
struct Seen {
    pushes: Vec<Pushed>,
    builds: BTreeMap<String, Built>,
    missed: u64,
}

/// Listens from the moment it is made.
pub(super) struct Truth(Arc<Mutex<Seen>>);

/// What came of it all.
pub(super) struct Counted {
    pub(super) pushes: usize,
    pub(super) dropped: usize,
    /// Those among them that were a branch's last push.
    pub(super) dropped_heads: usize,
    pub(super) starts: usize,
    /// The ids of all builds.
    pub(super) builds: Vec<String>,
    /// Pushes without a build, though an event told of them or the branch is still there.
    pub(super) lost: Vec<Pushed>,
    /// Commits with more than one build.
    pub(super) doubled: Vec<String>,
    /// Events that this listener was too slow for.
    pub(super) missed: u64,
}

impl Truth {
    pub(super) fn watch(ground: &Ground) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (told, mut events) = (Arc::clone(&seen), ground.cloud().eventbridge.subscribe());
        tokio::spawn(async move {
            loop {
                match events.recv().await {
                    Ok(published) => told.lock().unwrap().learn(&published),
                    Err(RecvError::Lagged(count)) => told.lock().unwrap().missed += count,
                    Err(RecvError::Closed) => return,
                }
            }
        });
        Self(seen)
    }

    fn seen<R>(&self, look: impl FnOnce(&Seen) -> R) -> R {
        look(&self.0.lock().unwrap())
    }

    pub(super) fn pushes(&self) -> usize {
        self.seen(|seen| seen.pushes.len())
    }

    pub(super) fn builds(&self) -> usize {
        self.seen(|seen| seen.builds.len())
    }

    pub(super) fn running(&self) -> usize {
        self.seen(|seen| seen.builds.values().filter(|build| build.status == "IN_PROGRESS").count())
    }

    /// The branches whose build failed, where an event of that was let through.
    pub(super) fn failed(&self) -> Vec<String> {
        self.seen(|seen| {
            let failed = seen.builds.values().filter(|build| build.status == "FAILED" && !build.dropped);
            failed.map(|build| build.branch.clone()).collect()
        })
    }

    pub(super) fn report(&self) -> Counted {
        self.seen(|seen| {
            let mut of_push: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
            for build in seen.builds.values() {
                *of_push.entry((&build.branch, &build.commit, &build.trigger)).or_default() += 1;
            }
            let has_build = |push: &&Pushed| {
                of_push.keys().any(|(branch, commit, _)| *branch == push.branch && *commit == push.commit)
            };
            // Of a branch whose last push no event told of the sweep must have found it.
            let heads: BTreeMap<&str, &Pushed> = seen.pushes.iter().map(|push| (push.branch.as_str(), push)).collect();
            let must_start = |push: &&Pushed| !push.dropped || heads.get(push.branch.as_str()) == Some(push);
            let doubled = of_push.iter().filter(|(_, count)| **count > 1);
            Counted {
                pushes: seen.pushes.len(),
                dropped_heads: heads.values().filter(|push| push.dropped).count(),
                dropped: seen.pushes.iter().filter(|push| push.dropped).count(),
                starts: seen.builds.len(),
                builds: seen.builds.keys().cloned().collect(),
                lost: seen.pushes.iter().filter(|push| must_start(push) && !has_build(push)).cloned().collect(),
                doubled: doubled
                    .map(|((branch, commit, trigger), count)| format!("{trigger} of {branch} at {commit}: {count}"))
                    .collect(),
                missed: seen.missed,
            }
        })
    }
}

impl Seen {
    fn learn(&mut self, published: &Published) {
        if let Some(pushed) = Pushed::of(published) {
            self.pushes.push(pushed);
        }
        let event = &published.event;
        if event["detail-type"] != "CodeBuild Build State Change" {
            return;
        }
        let detail = &event["detail"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let variables = &detail["additional-information"]["environment"]["environment-variables"];
        let variable = |name: &str| {
            let found = variables.as_array().into_iter().flatten().find(|variable| variable["name"] == name);
            found.map(|variable| text(&variable["value"])).unwrap_or_default()
        };
        let arn = text(&detail["build-id"]);
        let id = arn.rsplit_once('/').map_or(arn.clone(), |(_, id)| id.to_owned());
        let built = Built {
            branch: variable("SIGNALBOX_REF").trim_start_matches("refs/heads/").to_owned(),
            commit: variable("SIGNALBOX_COMMIT"),
            trigger: variable("SIGNALBOX_TRIGGER"),
            status: text(&detail["build-status"]),
            dropped: published.deliveries.iter().any(|delivery| matches!(delivery.outcome, Outcome::Dropped { .. })),
            id,
        };
        self.builds.insert(built.id.clone(), built);
    }
}

/// How often the notifier cannot have known that its mail was sent: the answer was lost, or the process died.
pub(super) fn lost_words_of_the_notifier(chaos: &Source, function: &str) -> u64 {
    let answers = [Kind::FailAfter, Kind::CutAnswer].map(|kind| chaos.count(kind, "sns:Publish"));
    let deaths = [Kind::Kill, Kind::KillLate, Kind::TimeOut].map(|kind| chaos.count(kind, function));
    answers.iter().chain(&deaths).sum()
}
