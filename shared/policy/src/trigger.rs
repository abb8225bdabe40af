//! Triggers: for which reason what is started.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use signalbox_events::{ApplicationName, DeploymentGroupName, PipelineName, ProjectName, RefKind, RefName};

use crate::cron::Cron;
use crate::names::{BranchName, CommentCommand, FilePath, ParameterName, SecretName, TriggerName, VariableName};
use crate::{Globs, Period, Recipient};

/// The prefix that no job builds, copies or mails about: undone commits are kept there.
pub const QUARANTINE: &str = "refs/heads/quarantine/";

/// Whether a ref lies below the reserved prefix.
pub fn is_quarantined(name: &RefName) -> bool {
    name.as_str().starts_with(QUARANTINE)
}

/// One trigger: reasons, and the one thing that they start.
///
/// It starts one thing only, because its name stands for one check with one result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// Its name, unique among all triggers of a repository.
    pub name: TriggerName,
    /// The line of its name in the policy file.
    pub line: usize,
    /// The reasons.
    pub on: On,
    /// What is started.
    pub start: Start,
    /// Whether an older run of the same ref is stopped.
    pub supersede: Supersede,
    /// Who is asked first.
    pub ask: Option<Ask>,
    /// Whether `[skip ci]` in the commit message is honoured.
    pub skip_ci: SkipCi,
    /// The e-mail addresses of commit authors for whom it starts; none for all.
    pub authors: Option<Globs>,
}

/// The reasons of a trigger; at least one is there, and each is enough.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct On {
    /// A push to a branch or a tag.
    pub push: Option<PushFilter>,
    /// A pull request that is opened or updated.
    pub pull_request: Option<PullRequestFilter>,
    /// A command in a comment on a pull request.
    pub comment: Option<CommentCommand>,
    /// A build that ended.
    pub build: Option<BuildFilter>,
    /// A deployment that ended.
    pub deployment: Option<DeploymentFilter>,
    /// A pipeline execution that ended.
    pub pipeline: Option<PipelineFilter>,
    /// A time.
    pub schedule: Option<Schedule>,
}

/// Which pushes count.
///
/// With neither `branches` nor `tags` in the file every branch and no tag; with one of them only that kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PushFilter {
    /// Branches by short name; matches nothing when only tags are wanted.
    pub branches: Globs,
    /// Tags by short name; matches nothing unless tags are wanted.
    pub tags: Globs,
    /// Paths of changed files, one of which must match; none for every push.
    pub paths: Option<Globs>,
}

/// Which of a trigger's path filters is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathFilter {
    /// That of pushes.
    Push,
    /// That of pull requests.
    PullRequest,
}

impl Trigger {
    /// The globs of one of its path filters, if it has that.
    pub fn paths(&self, filter: PathFilter) -> Option<&Globs> {
        match filter {
            PathFilter::Push => self.on.push.as_ref()?.paths.as_ref(),
            PathFilter::PullRequest => self.on.pull_request.as_ref()?.paths.as_ref(),
        }
    }
}

impl PushFilter {
    /// Whether a push to this ref is wanted, its files aside; never true below the quarantine prefix.
    pub fn matches_ref(&self, name: &RefName) -> bool {
        match name.kind() {
            RefKind::Branch => !is_quarantined(name) && self.branches.matches(name.short()),
            RefKind::Tag => self.tags.matches(name.short()),
            RefKind::Other => false,
        }
    }
}

impl Default for PushFilter {
    fn default() -> Self {
        Self { branches: Globs::everything(), tags: Globs::nothing(), paths: None }
    }
}

/// Which pull requests count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PullRequestFilter {
    /// Target branches by short name.
    pub into: Globs,
    /// Paths of the whole pull request, one of which must match; none for all.
    pub paths: Option<Globs>,
    /// Which commit is built.
    pub commit: PullRequestCommit,
    /// Where the buildspec is taken from.
    pub buildspec_from: BuildspecFrom,
}

impl PullRequestFilter {
    /// Whether pull requests into this branch are wanted, their files aside; never true below the quarantine prefix.
    pub fn takes(&self, into: &RefName) -> bool {
        into.kind() == RefKind::Branch && !is_quarantined(into) && self.into.matches(into.short())
    }
}

/// Which commit of a pull request is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PullRequestCommit {
    /// The tip of the source branch.
    #[default]
    Source,
    /// What a merge into the target branch would give.
    MergeResult,
}

/// Whose buildspec a pull request's build runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildspecFrom {
    /// That of the commit that is built.
    #[default]
    Source,
    /// That of the target branch, so that a pull request cannot rewrite its own check.
    Target,
}

/// How something ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Well.
    #[default]
    Succeeded,
    /// Badly, which includes faults and time-outs.
    Failed,
    /// By somebody's hand.
    Stopped,
}

/// Which builds count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BuildFilter {
    /// The project.
    pub project: ProjectName,
    /// How it must have ended.
    pub result: Outcome,
    /// Branches by short name; none for all.
    pub branches: Option<Globs>,
}

/// Which deployments count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeploymentFilter {
    /// The application; none for every one that has such a group.
    pub application: Option<ApplicationName>,
    /// The deployment group.
    pub group: DeploymentGroupName,
    /// How it must have ended.
    pub result: Outcome,
}

/// Which pipeline executions count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PipelineFilter {
    /// The pipeline.
    pub name: PipelineName,
    /// How it must have ended.
    pub result: Outcome,
}

/// When to start, and on which branch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// When.
    pub when: When,
    /// The branch whose tip is used; none for the default branch.
    pub branch: Option<BranchName>,
}

/// The times of a schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Again and again, this long after the last start.
    Every(Period),
    /// At the times of a cron expression, in UTC.
    Cron(Cron),
}

/// What a trigger starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// A CodeBuild build.
    Build(StartBuild),
    /// A CodePipeline execution.
    Pipeline(StartPipeline),
    /// A CodeDeploy deployment.
    Deployment(StartDeployment),
}

/// A build to start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StartBuild {
    /// The project.
    pub project: ProjectName,
    /// Another buildspec than the project's own, as a path in the repository.
    pub buildspec: Option<FilePath>,
    /// Further environment variables.
    pub environment: BTreeMap<VariableName, EnvironmentValue>,
}

/// The value of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvironmentValue {
    /// As written.
    Text(String),
    /// Read by CodeBuild from Secrets Manager.
    Secret(SecretName),
    /// Read by CodeBuild from Parameter Store.
    Parameter(ParameterName),
}

/// A pipeline execution to start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StartPipeline {
    /// The pipeline.
    pub name: PipelineName,
    /// Values for its variables.
    pub variables: BTreeMap<VariableName, String>,
}

/// A deployment to start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StartDeployment {
    /// The application.
    pub application: ApplicationName,
    /// The deployment group.
    pub group: DeploymentGroupName,
    /// Where the revision lies, as `s3://BUCKET/KEY` with `{commit}` for the commit id.
    ///
    /// None: the artifact of the build, or the revision of the deployment, that led here.
    pub revision: Option<S3Location>,
}

/// An object in S3, as `s3://BUCKET/KEY`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct S3Location {
    /// The bucket.
    pub bucket: String,
    /// The key; may hold `{commit}`.
    pub key: String,
}

/// Whether an older run of the same trigger and ref is stopped when a newer one starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Supersede {
    /// Older runs go on.
    #[default]
    Keep,
    /// Older runs are stopped.
    StopOlder,
}

/// What `[skip ci]` in the message of the pushed commit does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipCi {
    /// The trigger does not start.
    #[default]
    Honour,
    /// The trigger starts all the same.
    Ignore,
}

/// Who is asked before a trigger starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// Teams and people, each of whom may answer.
    pub from: Vec<Recipient>,
    /// How long the question stands.
    pub within: Period,
}
