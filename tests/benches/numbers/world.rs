//! The world that is measured in: a repository with many branches, builds that failed, and their real events.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use signalbox_local::cloud::Cloud;
use signalbox_local::template::function::Function;
use signalbox_tests::Ground;

const POLICY: &str = r#"mode: enforce
repositories:
  payments:
    triggers:
      unit:
        on: { push: { branches: ["build-*", "docs-*"], paths: ["src/**", "!**/*.md"] } }
        start: { build: unit }
"#;
const FAILING: &str = "version: 0.2\nphases:\n  build:\n    commands:\n      - echo testing\n      - \"false\"\n";

/// A stage without functions of its own, and what happens on it.
#[derive(Debug)]
pub(crate) struct World {
    ground: Ground,
    /// Pushes of a new branch each, whose files match the trigger's filter.
    pushes: Vec<Value>,
    /// A push whose files do not.
    docs: Value,
    /// A push that no trigger wants.
    other: Value,
    /// The ends of builds that failed, one a build.
    builds: Vec<Value>,
}

impl World {
    /// Makes it, with enough first events for `rounds` starts of each of two programs a function.
    pub(crate) async fn make(rounds: usize) -> anyhow::Result<Self> {
        let mut ground = Ground::without_functions().await?;
        ground.repository("payments").await?;
        ground.project("unit", "payments", Some(FAILING)).await?;
        ground.policy(POLICY)?;
        ground.commit("payments", "main", "begin", &[("README.md", Some("x")), ("src/lib.rs", Some("a"))]).await?;
        ground.push_event().await?;
        let main = ground.commit("payments", "main", "grow", &[("src/main.rs", Some("b"))]).await?;
        let other = ground.push_event().await?;
        ground.branch("payments", "work", &main).await?;
        ground.push_event().await?;
        let commit = ground.commit("payments", "work", "change it", &[("src/lib.rs", Some("c"))]).await?;
        ground.push_event().await?;
        let mut pushes = Vec::new();
        for number in 0..2 * rounds {
            ground.branch("payments", &format!("build-{number}"), &commit).await?;
            pushes.push(ground.push_event().await?);
        }
        ground.branch("payments", "docs-1", &main).await?;
        ground.push_event().await?;
        ground.commit("payments", "docs-1", "explain", &[("docs/guide.md", Some("d"))]).await?;
        let docs = ground.push_event().await?;
        let mut builds = Vec::new();
        for _ in 0..2 * rounds {
            let input = json!({ "projectName": "unit", "sourceVersion": commit });
            ground.cloud().codebuild.call("StartBuild", input, &ground.developer()).await?;
            builds.push(ground.build_end().await?);
        }
        Ok(Self { ground, pushes, docs, other, builds })
    }

    pub(crate) fn cloud(&self) -> &Arc<Cloud> {
        self.ground.cloud()
    }

    /// A function as the template makes it.
    pub(crate) fn function(&self, short: &str) -> anyhow::Result<&Function> {
        let name = self.ground.stage.function(short);
        let made = self.ground.stage.stack.functions.iter().find(|made| made.name == name);
        made.with_context(|| format!("the template has no function {name}"))
    }

    /// The first event of a process: one that starts a build, or sends a mail. Every start has its own.
    pub(crate) fn first_event(&self, function: &str, round: usize, subject: &str) -> anyhow::Result<Value> {
        let events = if function == "notifier" { &self.builds } else { &self.pushes };
        let at = 2 * round + usize::from(subject.ends_with("in Python"));
        let event = events.get(at).context("there are more rounds than events")?;
        Ok(with_id(event, &format!("first-{subject}-{round}").replace(' ', "-")))
    }

    /// One of the events that a process does when it is warm: a push of other files, a push that nobody wants, a build that
    /// is known.
    pub(crate) fn later_event(&self, function: &str, number: usize) -> Value {
        let event = match (function, number % 2) {
            ("notifier", _) => self.builds.first().unwrap_or(&Value::Null),
            (_, 0) => &self.docs,
            _ => &self.other,
        };
        with_id(event, &format!("later-{number}-{}", self.cloud().world.hex(8)))
    }

    /// A push that no trigger wants.
    pub(crate) fn unwanted_push(&self) -> Value {
        with_id(&self.other, "unwanted")
    }

    /// Waits until no build runs that an event started, so that the next measurement has the machine for itself.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        let ids = self.ground.builds("unit").await?;
        let newest: Vec<&String> = ids.iter().take(4).collect();
        for _ in 0..500 {
            let input = json!({ "ids": newest });
            let found = self.cloud().codebuild.call("BatchGetBuilds", input, &self.ground.developer()).await?;
            let builds = found.get("builds").and_then(Value::as_array).cloned().unwrap_or_default();
            if builds.iter().all(|build| build.get("buildStatus").is_some_and(|status| status != "IN_PROGRESS")) {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        anyhow::bail!("a build does not end")
    }

    /// Checks that the programs did what they were measured doing, and ends the world.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        let starts = self.ground.objects("state/starts/")?;
        let verdicts = |function: &str| -> anyhow::Result<BTreeMap<String, usize>> {
            let mut counts = BTreeMap::new();
            for (key, entry) in self.ground.objects(&format!("ledger/{function}/first-"))? {
                let verdict = entry.pointer("/report/verdict").and_then(Value::as_str).unwrap_or("none").to_owned();
                ensure!(entry.get("phase").is_some_and(|phase| phase == "done"), "{key} is not done: {entry}");
                *counts.entry(verdict).or_default() += 1;
            }
            Ok(counts)
        };
        let (trigger, notifier) = (verdicts("trigger")?, verdicts("notifier")?);
        let started = trigger.get("start").copied().unwrap_or_default();
        ensure!(trigger.len() == 1 && started == starts.len() && started > 0, "not every push started: {trigger:?}");
        ensure!(notifier.len() == 1 && notifier.contains_key("mail"), "not every build was mailed: {notifier:?}");
        self.ground.stage.clear().await
    }
}

/// An event that none of the functions is for.
pub(crate) fn not_ours() -> Value {
    json!({
        "version": "0", "id": "not-ours", "detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2",
        "account": "111122223333", "time": "2026-01-01T00:00:00Z", "region": "eu-west-1", "resources": [],
        "detail": { "instance-id": "i-abcd1111", "state": "pending" },
    })
}

fn with_id(event: &Value, id: &str) -> Value {
    let mut event = event.clone();
    if let Some(event) = event.as_object_mut() {
        event.insert("id".to_owned(), Value::from(id));
    }
    event
}
