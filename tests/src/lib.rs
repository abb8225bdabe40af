//! The ground that scenarios stand on: a local cloud of their own, with the template's stack in it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use signalbox_aws::{Aws, AwsEnvironment};
use signalbox_glue::{Invocation, Settings, Setup};
use signalbox_local::auth::{Caller, Credentials};
use signalbox_local::cloud::{Cloud, Settings as CloudSettings};
use signalbox_local::eventbridge::Published;
use signalbox_local::lambda::Settings as FunctionSettings;
use signalbox_local::stage::{FurtherAccount, GivenTemplate, Programs, Setting, Stage};
use signalbox_local::world::ACCOUNT;
use tempfile::TempDir;
use tokio::sync::broadcast;

/// A stage in a temporary folder.
#[derive(Debug)]
pub struct Ground {
    /// The stage.
    pub stage: Stage,
    events: broadcast::Receiver<Arc<Published>>,
    dir: TempDir,
}

/// What an environment variable names, for tests that need something from outside.
///
/// # Panics
/// It is not set where `CI` is: there nothing may be skipped.
pub fn from_outside(variable: &str, what: &str) -> Option<PathBuf> {
    let found = std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    if found.is_none() {
        let is_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
        assert!(!is_ci, "CI is set and {variable} does not name {what}: nothing is skipped there");
        let _closed = writeln!(std::io::stderr(), "skipped: {variable} does not name {what}");
    }
    found
}

/// An account beside the stack's own.
pub const MIRROR: &str = "444455556666";

/// The role that `docs/examples/mirror-account.yaml` makes there.
pub const MIRROR_ROLE: &str = "arn:aws:iam::444455556666:role/SignalboxMirror";

/// The external id that it asks for.
pub const EXTERNAL_ID: &str = "our-copies";

/// The template that lets the replicator into another account.
pub fn mirror_template() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/examples/mirror-account.yaml"))
}

/// The template of the workspace.
pub fn template() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml"))
}

impl Ground {
    /// A stage on which no function runs: the test hands events over itself.
    ///
    /// # Errors
    /// As [`Stage::set`].
    pub async fn without_functions() -> anyhow::Result<Self> {
        Self::with(&template(), Programs::None, FunctionSettings::default()).await
    }

    /// The same with another account, [`MIRROR`], in which nothing was deployed.
    ///
    /// # Errors
    /// As [`Stage::set`].
    pub async fn beside_another_account() -> anyhow::Result<Self> {
        let accounts = vec![FurtherAccount { id: MIRROR.to_owned(), template: None }];
        let change = |setting| Setting { accounts, ..setting };
        Self::set(&template(), Programs::None, FunctionSettings::default(), change).await
    }

    /// A stage with the real programs behind the queues.
    ///
    /// # Errors
    /// As [`Stage::set`], or a build that fails.
    pub async fn with_functions() -> anyhow::Result<Self> {
        Self::with(&template(), Programs::Run(programs().await?), FunctionSettings::default()).await
    }

    /// The same with functions that may run for six seconds instead of two minutes: the claim of one that died is free
    /// again that much sooner.
    ///
    /// # Errors
    /// As [`Ground::with_functions`], or a template whose time-outs are not found.
    pub async fn with_hasty_functions() -> anyhow::Result<Self> {
        Self::with_functions_for(Duration::from_secs(6), FunctionSettings::default()).await
    }

    /// The same with another time-out and other settings.
    ///
    /// # Errors
    /// As [`Ground::with_hasty_functions`].
    pub async fn with_functions_for(time_out: Duration, functions: FunctionSettings) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir().context("no temporary folder")?;
        let text = std::fs::read_to_string(template())?;
        let hasty = text.replace("Timeout: 120\n", &format!("Timeout: {}\n", time_out.as_secs()));
        anyhow::ensure!(hasty != text, "the template has no `Timeout: 120`");
        let file = dir.path().join("template.yaml");
        std::fs::write(&file, hasty)?;
        Self::with(&file, Programs::Run(programs().await?), functions).await
    }

    /// A stage with a template of the test's own.
    ///
    /// # Errors
    /// As [`Stage::set`].
    pub async fn with_template(text: &str, programs: Programs) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir().context("no temporary folder")?;
        let file = dir.path().join("template.yaml");
        std::fs::write(&file, text)?;
        Self::with(&file, programs, FunctionSettings::default()).await
    }

    /// The same with another region beside the stack's own, and another account, [`MIRROR`], whose administrator deployed
    /// `mirror` there, so that the replicator may keep copies in it.
    ///
    /// # Errors
    /// As [`Stage::set`].
    pub async fn with_mirror(text: &str, mirror: &str, programs: Programs, other: &str) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir().context("no temporary folder")?;
        let (file, mirror_file) = (dir.path().join("template.yaml"), dir.path().join("mirror.yaml"));
        std::fs::write(&file, text)?;
        std::fs::write(&mirror_file, mirror)?;
        let given = [("SourceAccount", ACCOUNT), ("ExternalId", EXTERNAL_ID), ("BundleBuckets", "*-backup")];
        let parameters = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let mirror = GivenTemplate { file: mirror_file, parameters };
        Self::set(&file, programs, FunctionSettings::default(), |mut setting| {
            setting.cloud.regions = vec!["eu-west-1".to_owned(), other.to_owned()];
            setting.accounts = vec![FurtherAccount { id: MIRROR.to_owned(), template: Some(mirror) }];
            setting.parameters.insert("MirrorRoles".to_owned(), MIRROR_ROLE.to_owned());
            setting
        })
        .await
    }

    /// The same as [`Ground::with_functions`] or [`Ground::without_functions`] in a cloud whose listings hold one item a page.
    ///
    /// # Errors
    /// As [`Ground::with_functions`].
    pub async fn in_pages_of_one(programs: Programs) -> anyhow::Result<Self> {
        Self::of(&template(), programs, FunctionSettings::default(), Some(1)).await
    }

    /// A stage on which no function runs, with another region beside the stack's own.
    ///
    /// # Errors
    /// As [`Stage::set`].
    pub async fn in_two_regions(other: &str) -> anyhow::Result<Self> {
        let regions = vec!["eu-west-1".to_owned(), other.to_owned()];
        Self::on(&template(), Programs::None, FunctionSettings::default(), |cloud| CloudSettings { regions, ..cloud })
            .await
    }

    async fn with(template: &Path, programs: Programs, functions: FunctionSettings) -> anyhow::Result<Self> {
        Self::of(template, programs, functions, None).await
    }

    async fn of(
        template: &Path,
        programs: Programs,
        functions: FunctionSettings,
        page_size: Option<usize>,
    ) -> anyhow::Result<Self> {
        Self::on(template, programs, functions, |cloud| CloudSettings { page_size, ..cloud }).await
    }

    async fn on(
        template: &Path,
        programs: Programs,
        functions: FunctionSettings,
        cloud: impl FnOnce(CloudSettings) -> CloudSettings,
    ) -> anyhow::Result<Self> {
        Self::set(template, programs, functions, |setting| Setting { cloud: cloud(setting.cloud), ..setting }).await
    }

    async fn set(
        template: &Path,
        programs: Programs,
        functions: FunctionSettings,
        change: impl FnOnce(Setting) -> Setting,
    ) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir().context("no temporary folder")?;
        let setting = Setting {
            cloud: CloudSettings { seed: 7, ..CloudSettings::new(dir.path().join("cloud")) },
            accounts: Vec::new(),
            template: template.to_owned(),
            parameters: BTreeMap::from([
                ("Email".to_owned(), "team@example.com".to_owned()),
                ("BundleBuckets".to_owned(), "*-backup".to_owned()),
            ]),
            programs,
            functions,
        };
        let stage = Stage::set(change(setting)).await?;
        let events = stage.cloud().eventbridge.subscribe();
        Ok(Self { stage, events, dir })
    }

    /// The cloud.
    pub fn cloud(&self) -> &Arc<Cloud> {
        self.stage.cloud()
    }

    /// A folder of the test's own.
    pub fn desk(&self) -> PathBuf {
        self.dir.path().join("desk")
    }

    /// The user `developer`.
    pub fn developer(&self) -> Caller {
        self.stage.caller()
    }

    /// Keys of a session of a function's role; of a role that does not exist where the template has no such function.
    pub fn keys(&self, function: &str) -> Credentials {
        let name = self.stage.function(function);
        let made = self.stage.stack.functions.iter().find(|made| made.name == name);
        let role = made.map_or("none", |made| made.role.as_str());
        self.cloud().keys.session(&self.cloud().world, role, &name, None)
    }

    /// The SDK clients of a function's role, at this cloud.
    pub fn aws(&self, function: &str) -> Aws {
        let (world, keys) = (&self.cloud().world, self.keys(function));
        Aws::new(AwsEnvironment {
            region: world.region.clone(),
            access_key_id: keys.access_key_id,
            secret_access_key: keys.secret_access_key,
            session_token: keys.session_token,
            endpoint: Some(world.endpoint().to_owned()),
        })
    }

    /// What a function is made from, with the environment that the template gives it.
    ///
    /// # Errors
    /// A function that the template does not have, or a variable that it does not set.
    pub fn setup(&self, function: &str) -> anyhow::Result<Setup> {
        let name = self.stage.function(function);
        let made = self.stage.stack.functions.iter().find(|made| made.name == name);
        let environment = &made.with_context(|| format!("the template has no function {name}"))?.environment;
        let settings = Settings::read(|variable| match variable {
            "AWS_REGION" => Some(self.cloud().world.region.clone()),
            "AWS_LAMBDA_FUNCTION_NAME" => Some(name.clone()),
            _ => environment.get(variable).cloned(),
        })?;
        Ok(Setup::new(self.aws(function), settings))
    }

    /// An invocation that begins now and has the template's two minutes.
    pub fn invocation(&self) -> Invocation {
        let now = Timestamp::now();
        Invocation::new(now, now + SignedDuration::from_mins(2))
    }

    /// Puts a policy into force.
    ///
    /// # Errors
    /// Its problems.
    pub fn policy(&self, text: &str) -> anyhow::Result<()> {
        self.stage.put_policy("signalbox.yaml", text)
    }

    /// Makes a repository.
    ///
    /// # Errors
    /// `CodeCommit`'s refusal.
    pub async fn repository(&self, name: &str) -> anyhow::Result<()> {
        self.stage.make_repository(name).await?;
        Ok(())
    }

    /// Makes a build project over a repository; `buildspec` is the text of one, or `None` for the repository's own.
    ///
    /// # Errors
    /// `CodeBuild`'s refusal.
    pub async fn project(&self, name: &str, repository: &str, buildspec: Option<&str>) -> anyhow::Result<()> {
        self.stage.make_project(name, repository, buildspec).await?;
        Ok(())
    }

    /// Commits files to a branch through the API (`None` deletes one); gives the commit's id. The branch is made if it is new.
    ///
    /// # Errors
    /// `CodeCommit`'s refusal.
    pub async fn commit(
        &self,
        repository: &str,
        branch: &str,
        message: &str,
        files: &[(&str, Option<&str>)],
    ) -> anyhow::Result<String> {
        let codecommit = &self.cloud().codecommit;
        let caller = self.developer();
        let tip =
            codecommit.call("GetBranch", json!({ "repositoryName": repository, "branchName": branch }), &caller).await;
        let puts: Vec<Value> = files
            .iter()
            .filter_map(|(path, text)| {
                text.map(|text| json!({ "filePath": path, "fileContent": STANDARD.encode(text) }))
            })
            .collect();
        let deletes: Vec<Value> =
            files.iter().filter(|(_, text)| text.is_none()).map(|(path, _)| json!({ "filePath": path })).collect();
        let mut input = json!({
            "repositoryName": repository,
            "branchName": branch,
            "commitMessage": message,
            "authorName": "The developer",
            "email": "developer@example.com",
            "putFiles": puts,
            "deleteFiles": deletes,
        });
        if let (Ok(tip), Some(input)) = (tip, input.as_object_mut()) {
            let parent = tip.pointer("/branch/commitId").cloned().unwrap_or_default();
            input.insert("parentCommitId".to_owned(), parent);
        }
        let made = codecommit.call("CreateCommit", input, &caller).await?;
        Ok(made.get("commitId").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// Makes a branch at a commit.
    ///
    /// # Errors
    /// `CodeCommit`'s refusal.
    pub async fn branch(&self, repository: &str, branch: &str, commit: &str) -> anyhow::Result<()> {
        let input = json!({ "repositoryName": repository, "branchName": branch, "commitId": commit });
        self.cloud().codecommit.call("CreateBranch", input, &self.developer()).await?;
        Ok(())
    }

    /// The next event on the bus of this detail-type.
    ///
    /// # Errors
    /// None within half a minute.
    pub async fn event(&mut self, detail_type: &str) -> anyhow::Result<Value> {
        let wait = async {
            loop {
                match self.events.recv().await {
                    Ok(published) if published.event.get("detail-type").is_some_and(|kind| kind == detail_type) => {
                        return Ok(published.event.clone());
                    }
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => bail!("the event bus is gone"),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), wait)
            .await
            .with_context(|| format!("no event {detail_type} came"))?
    }

    /// What came on the bus of this detail-type since an event was last asked for, as far as it comes without a pause.
    pub async fn events(&mut self, detail_type: &str) -> Vec<Value> {
        let mut found = Vec::new();
        while let Ok(Ok(event)) = tokio::time::timeout(Duration::from_millis(300), self.event(detail_type)).await {
            found.push(event);
        }
        found
    }

    /// The next push event.
    ///
    /// # Errors
    /// As [`Ground::event`].
    pub async fn push_event(&mut self) -> anyhow::Result<Value> {
        self.event("CodeCommit Repository State Change").await
    }

    /// The next event that tells of a build's end.
    ///
    /// # Errors
    /// As [`Ground::event`].
    pub async fn build_end(&mut self) -> anyhow::Result<Value> {
        loop {
            let event = self.event("CodeBuild Build State Change").await?;
            if event.pointer("/detail/build-status").is_some_and(|status| status != "IN_PROGRESS") {
                return Ok(event);
            }
        }
    }

    /// Every object below a prefix of the stack's bucket, by its key.
    ///
    /// # Errors
    /// S3's refusal.
    pub fn objects(&self, prefix: &str) -> anyhow::Result<BTreeMap<String, Value>> {
        let (s3, bucket) = (&self.cloud().s3, self.stage.bucket()?);
        let mut found = BTreeMap::new();
        for key in s3.list(bucket, prefix)? {
            if let Some(object) = s3.get(bucket, &key)? {
                found.insert(key, serde_json::from_slice(&object.bytes)?);
            }
        }
        Ok(found)
    }

    /// How many uploads in parts lie in a bucket that nobody finished or took back.
    pub fn uploads(&self, bucket: &str) -> usize {
        let uploads = self.dir.path().join("cloud/buckets").join(bucket).join("uploads");
        std::fs::read_dir(uploads).map_or(0, Iterator::count)
    }

    /// The ids of all builds of a project.
    ///
    /// # Errors
    /// `CodeBuild`'s refusal.
    pub async fn builds(&self, project: &str) -> anyhow::Result<Vec<String>> {
        let mut builds = Vec::new();
        let mut input = json!({ "projectName": project });
        loop {
            let found = self.cloud().codebuild.call("ListBuildsForProject", input, &self.developer()).await?;
            let ids = found.get("ids").and_then(Value::as_array).into_iter().flatten();
            builds.extend(ids.filter_map(|id| id.as_str().map(str::to_owned)));
            match found.get("nextToken") {
                Some(token) => input = json!({ "projectName": project, "nextToken": token }),
                None => return Ok(builds),
            }
        }
    }

    /// Waits until `look` finds something.
    ///
    /// # Errors
    /// It finds nothing within a minute.
    pub async fn until<T>(
        &self,
        what: &str,
        mut look: impl FnMut(&Self) -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(found) = look(self)? {
                return Ok(found);
            }
            if tokio::time::Instant::now() > deadline {
                bail!("{what} did not happen within a minute");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The programs, built once for all tests of this process.
///
/// # Errors
/// The build's.
pub async fn programs() -> anyhow::Result<BTreeMap<String, PathBuf>> {
    static BUILT: tokio::sync::OnceCell<BTreeMap<String, PathBuf>> = tokio::sync::OnceCell::const_new();
    let built = BUILT.get_or_try_init(signalbox_local::lambda::binaries::find).await?;
    Ok(built.clone())
}
