//! The stage: the local cloud with the template's stack made in it and the functions running.
//!
//! `demo`, `serve` and the scenario tests all start from here.

mod accounts;

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::{Value, json};

pub use self::accounts::{FurtherAccount, GivenTemplate, NoAccount, PlayedAccount};

use crate::auth::{Caller, Credentials};
use crate::cloud::{Accounts, Cloud, Regions, Running, Settings};
use crate::error::Answer;
use crate::lambda::{Functions, Settings as FunctionSettings, binaries};
use crate::template::{Problems, Pseudo, Stack, Template};

/// The name of the stack in the local cloud.
pub const STACK: &str = "signalbox";

/// Where the policy lies in the stack's bucket.
pub const POLICY_KEY: &str = "policy/signalbox.yaml";

/// How the stage is set.
#[derive(Debug)]
pub struct Setting {
    /// The cloud's settings.
    pub cloud: Settings,
    /// The accounts that are played beside the stack's own.
    pub accounts: Vec<FurtherAccount>,
    /// The template's file.
    pub template: PathBuf,
    /// Values for the template's parameters.
    pub parameters: BTreeMap<String, String>,
    /// What runs behind the queues.
    pub programs: Programs,
    /// How it is run.
    pub functions: FunctionSettings,
}

/// What runs behind the queues.
#[derive(Debug)]
pub enum Programs {
    /// The functions' programs, under the names of their binaries.
    Run(BTreeMap<String, PathBuf>),
    /// Nothing: events stay in their queues, and a test takes them from there itself.
    None,
}

/// The local cloud, the stack in it, and its functions.
#[derive(Debug)]
pub struct Stage {
    running: Running,
    /// What was made from the template.
    pub stack: Stack,
    /// The functions.
    pub functions: Functions,
    /// Keys of the user `developer`.
    pub developer: Credentials,
    /// The accounts beside the stack's own.
    pub accounts: Vec<PlayedAccount>,
}

impl Stage {
    /// Starts everything.
    ///
    /// # Errors
    /// A template that the local cloud cannot follow (all problems at once), a folder or port that cannot be used, no git.
    pub async fn set(setting: Setting) -> anyhow::Result<Self> {
        let home = setting.cloud.regions.first().context("a stage needs a region")?;
        let pseudo = Pseudo::new(crate::world::ACCOUNT, home, STACK);
        let (text, template) = read_template(&setting.template, &setting.parameters, &pseudo)?;
        let planned = accounts::plan(&setting.accounts, home)?;
        let ids = planned.iter().map(|account| account.id.clone()).collect();
        let running = Cloud::start(Settings { accounts: ids, ..setting.cloud }).await?;
        let cloud = Arc::clone(&running.cloud);
        let stack = Stack::create(&cloud, &template).await.context("the stack could not be made from the template")?;
        cloud.cloudformation.remember(&text, &template, &stack)?;
        let functions = match &setting.programs {
            Programs::Run(binaries) => Functions::start_with(&cloud, &stack.functions, binaries, setting.functions)?,
            Programs::None => Functions::start(&cloud, &[], &BTreeMap::new())?,
        };
        cloud.cloudformation.runs(functions.switches());
        let developer = cloud.keys.user(&cloud.world, "developer");
        let mut accounts = Vec::new();
        for account in planned {
            let regions = running.accounts.find(&account.id);
            let regions = regions.with_context(|| format!("the account {} was not started", account.id))?;
            accounts.push(account.make(regions).await?);
        }
        Ok(Self { running, stack, functions, developer, accounts })
    }

    /// The cloud.
    pub fn cloud(&self) -> &Arc<Cloud> {
        &self.running.cloud
    }

    /// The clouds of all accounts; the stack is in the first.
    pub fn all(&self) -> &Accounts {
        &self.running.accounts
    }

    /// The clouds of all regions of the stack's account; the stack is in the home region's.
    pub fn regions(&self) -> &Regions {
        &self.running.regions
    }

    /// The stack's bucket.
    ///
    /// # Errors
    /// The template makes none.
    pub fn bucket(&self) -> anyhow::Result<&str> {
        let bucket = self.stack.resources.get("Bucket").context("the template makes no resource `Bucket`")?;
        Ok(&bucket.reference)
    }

    /// The user `developer`, as services see who calls.
    pub fn caller(&self) -> Caller {
        Caller { arn: self.developer.arn.clone(), access_key_id: self.developer.access_key_id.clone() }
    }

    /// Makes a repository; gives the address that it is cloned from.
    ///
    /// # Errors
    /// `CodeCommit`'s refusal.
    pub async fn make_repository(&self, name: &str) -> Answer<String> {
        let input = json!({ "repositoryName": name });
        let made = self.cloud().codecommit.call("CreateRepository", input, &self.caller()).await?;
        Ok(made.pointer("/repositoryMetadata/cloneUrlHttp").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// Makes a build project over a repository; `buildspec` is the text of one, or `None` for the repository's own.
    ///
    /// # Errors
    /// `CodeBuild`'s refusal.
    pub async fn make_project(&self, name: &str, repository: &str, buildspec: Option<&str>) -> Answer<()> {
        let world = &self.cloud().world;
        let mut source =
            json!({ "type": "CODECOMMIT", "location": format!("{}/v1/repos/{repository}", world.endpoint()) });
        if let (Some(text), Some(source)) = (buildspec, source.as_object_mut()) {
            source.insert("buildspec".to_owned(), Value::from(text));
        }
        let input = json!({
            "name": name,
            "source": source,
            "artifacts": { "type": "NO_ARTIFACTS" },
            "environment": {
                "type": "LINUX_CONTAINER", "image": "aws/codebuild/standard:7.0", "computeType": "BUILD_GENERAL1_SMALL",
            },
            "serviceRole": format!("arn:aws:iam::{}:role/build", world.account),
        });
        self.cloud().codebuild.call("CreateProject", input, &self.caller()).await.map(drop)
    }

    /// Checks a policy and puts it into force.
    ///
    /// # Errors
    /// The policy's problems, all at once.
    pub fn put_policy(&self, file: &str, text: &str) -> anyhow::Result<()> {
        if let Err(problems) = signalbox_policy::parse_policy(text) {
            bail!("the policy has problems\n{}", signalbox_policy::render_problems(file, text, &problems));
        }
        self.cloud()
            .s3
            .put(self.bucket()?, POLICY_KEY, text.as_bytes())
            .context("the policy could not be put into the bucket")
    }

    /// A function's ledger entry for an event, once there is one.
    ///
    /// # Errors
    /// An entry that is no JSON.
    pub fn ledger_entry(&self, function: &str, event: &str) -> anyhow::Result<Option<Value>> {
        let found = self.cloud().s3.get(self.bucket()?, &format!("ledger/{function}/{event}"))?;
        found.map(|object| serde_json::from_slice(&object.bytes).context("a ledger entry is no JSON")).transpose()
    }

    /// The name that a function of this short name has in the stack: `trigger` is `signalbox-trigger`.
    pub fn function(&self, short: &str) -> String {
        format!("{}-{short}", self.stack.name)
    }

    /// The last lines of a function's log, oldest first.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn last_lines(&self, short: &str, count: usize) -> anyhow::Result<Vec<String>> {
        let group = format!("/aws/lambda/{}", self.function(short));
        let mut lines = VecDeque::new();
        let mut input = json!({ "logGroupName": group });
        loop {
            let found = match self.cloud().logs.call("FilterLogEvents", input.clone()).await {
                Ok(found) => found,
                Err(refused) if refused.code == "ResourceNotFoundException" => return Ok(Vec::new()),
                Err(refused) => return Err(refused.into()),
            };
            for event in found.get("events").and_then(Value::as_array).into_iter().flatten() {
                let message = event.get("message").and_then(Value::as_str).unwrap_or_default();
                lines.push_back(message.trim_end().to_owned());
                if lines.len() > count {
                    lines.pop_front();
                }
            }
            match found.get("nextToken") {
                Some(token) => input = json!({ "logGroupName": group, "nextToken": token }),
                None => return Ok(lines.into()),
            }
        }
    }

    /// The environment in which a program is this stage's `developer`: keys, region and endpoint.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let world = &self.cloud().world;
        vec![
            ("AWS_ACCESS_KEY_ID", self.developer.access_key_id.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.developer.secret_access_key.clone()),
            ("AWS_REGION", world.region.clone()),
            ("AWS_DEFAULT_REGION", world.region.clone()),
            ("AWS_ENDPOINT_URL", world.endpoint().to_owned()),
        ]
    }

    /// What a program that speaks HTTPS needs besides: whom to trust, and where git-remote-codecommit finds repositories.
    pub fn https_environment(&self) -> Vec<(&'static str, String)> {
        let world = &self.cloud().world;
        let ca = world.dir.join(crate::http::tls::CA_FILE).display().to_string();
        vec![
            ("AWS_CA_BUNDLE", ca.clone()),
            ("CODE_COMMIT_ENDPOINT", world.endpoint().trim_start_matches("http://").to_owned()),
            ("GIT_SSL_CAINFO", ca),
        ]
    }

    /// Ends the functions, the builds and the server, and writes all state.
    ///
    /// # Errors
    /// The state cannot be written.
    pub async fn clear(self) -> anyhow::Result<()> {
        self.functions.stop().await;
        self.running.stop().await
    }
}

/// Reads a template, or says everything that the local cloud cannot follow in it.
fn read_template(
    file: &Path,
    parameters: &BTreeMap<String, String>,
    pseudo: &Pseudo,
) -> anyhow::Result<(String, Template)> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read the template {}", file.display()))?;
    match Template::parse(&text, parameters, pseudo) {
        Ok(template) => Ok((text, template)),
        Err(problems) => {
            let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            bail!("the local cloud cannot follow the template\n{}", Problems { file: &name, problems: &problems })
        }
    }
}

/// The file `template.yaml` of the workspace that this program was built from.
///
/// # Errors
/// The workspace is not where it was.
pub fn template() -> anyhow::Result<PathBuf> {
    let file = binaries::workspace()?.join("template.yaml");
    if file.is_file() {
        return Ok(file);
    }
    bail!("there is no {}; run this from a checkout of Signalbox", file.display())
}
