//! The world that is measured in: two regions, a source, and two targets, one for each way.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use signalbox_local::auth::git_credentials;
use signalbox_local::cloud::Cloud;
use signalbox_local::template::function::Function;
use signalbox_tests::Ground;

use crate::generate::Generated;
use crate::git;

const HERE: &str = "eu-west-1";
const THERE: &str = "us-east-1";
const SOURCE: &str = "measured";
const BY_GIT: &str = "measured-by-git";

const POLICY: &str = "\
mode: enforce
repositories:
  measured:
    replicas:
      - to: codecommit://us-east-1/measured
";

/// A stage without functions of its own, with the repositories on it.
#[derive(Debug)]
pub(crate) struct World {
    ground: Ground,
    source: PathBuf,
    there: PathBuf,
    by_git: PathBuf,
    desk: PathBuf,
}

impl World {
    /// Makes it over a generated repository.
    pub(crate) async fn make(generated: &Generated) -> anyhow::Result<Self> {
        let ground = Ground::in_two_regions(THERE).await?;
        ground.repository(SOURCE).await?;
        ground.policy(POLICY)?;
        let elsewhere = ground.stage.regions().find(THERE).context("there is no second region")?;
        for name in [SOURCE, BY_GIT] {
            elsewhere
                .codecommit
                .call("CreateRepository", json!({ "repositoryName": name }), &ground.developer())
                .await?;
        }
        let dir = |cloud: &Cloud, name| cloud.codecommit.repository_dir(name).with_context(|| format!("no {name}"));
        let source = dir(ground.cloud(), SOURCE)?;
        let (there, by_git) = (dir(elsewhere, SOURCE)?, dir(elsewhere, BY_GIT)?);
        // The source borrows the generated objects: nothing is copied before it is measured.
        let objects = generated.dir.join("objects").canonicalize()?;
        std::fs::create_dir_all(source.join("objects/info"))?;
        std::fs::write(source.join("objects/info/alternates"), format!("{}\n", objects.display()))?;
        std::fs::copy(generated.dir.join("packed-refs"), source.join("packed-refs"))?;
        let desk = ground.desk();
        std::fs::create_dir_all(&desk)?;
        Ok(Self { ground, source, there, by_git, desk })
    }

    pub(crate) fn cloud(&self) -> &Arc<Cloud> {
        self.ground.cloud()
    }

    /// The copy that the function makes.
    pub(crate) fn there(&self) -> PathBuf {
        self.there.clone()
    }

    /// The copy that git makes.
    pub(crate) fn by_git(&self) -> PathBuf {
        self.by_git.clone()
    }

    /// The function as the template makes it.
    pub(crate) fn function(&self) -> anyhow::Result<&Function> {
        let name = self.ground.stage.function("replicator");
        let made = self.ground.stage.stack.functions.iter().find(|made| made.name == name);
        made.with_context(|| format!("the template has no function {name}"))
    }

    /// A push to `main`, as EventBridge tells of it.
    pub(crate) fn event(&self, id: &str) -> Value {
        let now = self.cloud().world.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        json!({
            "version": "0", "id": id, "detail-type": "CodeCommit Repository State Change", "source": "aws.codecommit",
            "account": "111122223333", "time": now, "region": HERE,
            "resources": [format!("arn:aws:codecommit:{HERE}:111122223333:{SOURCE}")],
            "detail": {
                "event": "referenceUpdated", "repositoryName": SOURCE, "repositoryId": "id", "referenceType": "branch",
                "referenceName": "main", "referenceFullName": "refs/heads/main",
                "commitId": "0123456789012345678901234567890123456789",
                "oldCommitId": "0123456789012345678901234567890123456789",
            },
        })
    }

    /// What the ledger says about an event.
    pub(crate) fn entry(&self, id: &str) -> anyhow::Result<Value> {
        let found = self.ground.stage.ledger_entry("replicator", id)?;
        found.with_context(|| format!("the ledger has no entry of {id}"))
    }

    /// One more commit on the source's `main`, which changes one file.
    pub(crate) fn commit(&self, number: usize) -> anyhow::Result<()> {
        let text = self.desk.join("text");
        std::fs::write(&text, format!("change number {number}\n"))?;
        let blob = git::run(&self.source, &["hash-object", "-w", &text.to_string_lossy()])?;
        let tree = self.desk.join("tree");
        let entries = git::run(&self.source, &["ls-tree", "main"])?;
        let kept = entries.lines().filter(|line| !line.ends_with("\tCHANGES"));
        let mut entries: String = kept.map(|line| format!("{line}\n")).collect();
        entries.push_str(&format!("100644 blob {blob}\tCHANGES\n"));
        std::fs::write(&tree, entries)?;
        let mut mktree = git::command(&[]);
        mktree.arg("--git-dir").arg(&self.source).arg("mktree").stdin(std::fs::File::open(&tree)?);
        let tree = git::told(mktree)?;
        let commit = git::run(&self.source, &["commit-tree", &tree, "-p", "main", "-m", "One more change"])?;
        git::run(&self.source, &["update-ref", "refs/heads/main", &commit]).map(drop)
    }

    /// The other way: a fresh mirror of the source, pushed to its copy.
    pub(crate) fn copy_with_git(&self) -> anyhow::Result<()> {
        let mirror = self.mirror();
        let endpoint = self.cloud().world.endpoint();
        let url = |name: &str| format!("{endpoint}/v1/repos/{name}");
        let settings = [self.password(SOURCE, HERE), self.password(BY_GIT, THERE)];
        let mut clone = git::command(&settings);
        clone.args(["clone", "--quiet", "--mirror", &url(SOURCE)]).arg(&mirror);
        git::told(clone)?;
        let mut push = git::command(&settings);
        push.arg("--git-dir").arg(&mirror).args(["push", "--quiet", "--mirror", &url(BY_GIT)]);
        git::told(push).map(drop)
    }

    /// Forgets the mirror, so that the next one is made from nothing.
    pub(crate) fn forget_mirror(&self) -> anyhow::Result<()> {
        Ok(std::fs::remove_dir_all(self.mirror())?)
    }

    fn mirror(&self) -> PathBuf {
        self.desk.join("mirror.git")
    }

    /// The setting by which git sends the password of a repository.
    fn password(&self, name: &str, region: &str) -> (String, String) {
        let world = &self.cloud().world;
        let keys = &self.ground.stage.developer;
        let host = world.endpoint().trim_start_matches("http://");
        let path = format!("/v1/repos/{name}");
        let pair = (&*keys.access_key_id, &*keys.secret_access_key, None);
        let (user, password) = git_credentials(pair, host, &path, region, world.now());
        let header = format!("Authorization: Basic {}", STANDARD.encode(format!("{user}:{password}")));
        (format!("http.{}{path}.extraHeader", world.endpoint()), header)
    }

    /// The length of a listing of all refs, as the protocol sends it.
    pub(crate) fn listing(&self) -> anyhow::Result<usize> {
        let names = git::run(&self.source, &["for-each-ref", "--format=%(objectname) %(refname)"])?;
        Ok(names.lines().map(|line| line.len() + 5).sum())
    }

    /// git's word that a copy is whole and has the same refs.
    pub(crate) fn is_equal(&self, there: &Path) -> anyhow::Result<()> {
        let refs = |dir: &Path| git::run(dir, &["for-each-ref", "--format=%(objectname) %(refname)"]);
        ensure!(refs(&self.source)? == refs(there)?, "the refs of {} are not those of the source", there.display());
        git::run(there, &["fsck", "--connectivity-only", "--no-dangling"]).map(drop)
    }

    /// Removes it.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        self.ground.stage.clear().await
    }
}
