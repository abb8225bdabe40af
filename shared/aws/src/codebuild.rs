//! CodeBuild: builds started, read, stopped.

use std::collections::BTreeMap;

use aws_sdk_codebuild::Client;
use aws_sdk_codebuild::types::{EnvironmentVariable, EnvironmentVariableType};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use signalbox_events::{BuildId, BuildLogs, BuildPhase, BuildStatus, PhaseStatus, PhaseType, ProjectName};

use crate::failure::{lacking, sort, timestamp, unreadable};
use crate::{Aws, Failure};

/// At most this many builds can be asked for at once.
const BUILDS_AT_ONCE: usize = 100;

/// Starts and reads builds.
#[derive(Debug, Clone)]
pub struct CodeBuild {
    client: Client,
}

/// A build that shall be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The project.
    pub project: ProjectName,
    /// What to build: a commit id.
    pub source_version: String,
    /// The same token within five minutes gives the same build back.
    pub token: String,
    /// Variables on top of the project's.
    pub environment: BTreeMap<String, Variable>,
    /// Another buildspec than the project's: a path or the text itself.
    pub buildspec: Option<String>,
    /// How much of the history is fetched.
    pub history: FetchedHistory,
}

/// How much of a repository's history a build fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FetchedHistory {
    /// As the project says.
    #[default]
    AsProject,
    /// All of it, whatever the project says: then every branch's tip is there, too.
    Whole,
}

/// Where a project takes its buildspec from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProjectBuildspec {
    /// It is a file of the repository, at this path.
    File(String),
    /// It is in the project itself, or in S3: no commit changes it.
    Elsewhere,
}

/// The file that CodeBuild reads where nobody names another.
const DEFAULT_BUILDSPEC: &str = "buildspec.yml";

/// The value of a build's variable, or where CodeBuild shall take it from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variable {
    /// The value itself: everybody who may read the build reads it.
    Plain(String),
    /// The name of a Secrets Manager secret.
    Secret(String),
    /// The name of a Systems Manager parameter.
    Parameter(String),
}

/// A build as CodeBuild tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Its id.
    pub id: BuildId,
    /// Its project.
    pub project: ProjectName,
    /// How it stands.
    pub status: BuildStatus,
    /// The project's count.
    pub number: Option<u64>,
    /// When it was started.
    pub start: Option<Timestamp>,
    /// When it ended.
    pub end: Option<Timestamp>,
    /// Its phases in order.
    pub phases: Vec<BuildPhase>,
    /// Where its log is.
    pub logs: Option<BuildLogs>,
    /// Where the source came from.
    pub source_location: Option<String>,
    /// The version it was asked to build.
    pub source_version: Option<String>,
    /// The commit it really built.
    pub resolved_version: Option<String>,
    /// Who started it.
    pub initiator: Option<String>,
    /// Its variables whose names begin with `SIGNALBOX_`; others may be secrets and are dropped here.
    pub environment: BTreeMap<String, String>,
}

impl CodeBuild {
    /// Starts and reads builds of this account and region.
    pub fn new(aws: &Aws) -> Self {
        Self { client: Client::new(&aws.config) }
    }

    /// Starts a build; gives its id, and the id of the build that the token already started where there is one.
    ///
    /// # Errors
    /// As [`Failure`] sorts them; a full CodeBuild is [`Failure::Retry`].
    pub async fn start(&self, start: Start) -> Result<BuildId, Failure> {
        let doing = format!("codebuild:StartBuild on {}", start.project);
        let mut request = self
            .client
            .start_build()
            .project_name(start.project.as_str())
            .source_version(start.source_version)
            .idempotency_token(start.token)
            .set_buildspec_override(start.buildspec)
            .set_git_clone_depth_override((start.history == FetchedHistory::Whole).then_some(0));
        for (name, value) in start.environment {
            let (kind, value) = match value {
                Variable::Plain(value) => (EnvironmentVariableType::Plaintext, value),
                Variable::Secret(value) => (EnvironmentVariableType::SecretsManager, value),
                Variable::Parameter(value) => (EnvironmentVariableType::ParameterStore, value),
            };
            let variable = EnvironmentVariable::builder().name(&name).value(value).r#type(kind).build();
            request =
                request.environment_variables_override(variable.map_err(|error| {
                    Failure::refused(&doing, format!("the variable {name} cannot be sent: {error}"))
                })?);
        }
        let answer = request.send().await.map_err(|error| sort(&doing, error))?;
        let id = answer.build_value.and_then(|build| build.id).ok_or_else(|| lacking(&doing, "build.id"))?;
        BuildId::parse(id).map_err(|error| unreadable(&doing, error))
    }

    /// Where a project takes its buildspec from; `None` where there is no such project.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn buildspec(&self, project: &ProjectName) -> Result<Option<ProjectBuildspec>, Failure> {
        let request = self.client.batch_get_projects().names(project.as_str());
        let answer =
            request.send().await.map_err(|error| sort(format!("codebuild:BatchGetProjects on {project}"), error))?;
        let found = answer.projects.unwrap_or_default().into_iter().next();
        Ok(found.map(|found| {
            let named = found.source.and_then(|source| source.buildspec).unwrap_or_default();
            // As CodeBuild tells them apart: a text is more than one line, or begins as a buildspec does.
            let is_text = |named: &str| {
                let begins = named.trim_start();
                named.contains('\n') || begins.starts_with("version:") || begins.starts_with('{')
            };
            match named.trim() {
                "" => ProjectBuildspec::File(DEFAULT_BUILDSPEC.to_owned()),
                path if is_text(&named) || path.starts_with("arn:") => ProjectBuildspec::Elsewhere,
                path => ProjectBuildspec::File(path.to_owned()),
            }
        }))
    }

    /// Reads builds; one that is not there (builds are kept for a year) is not in the answer.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn builds(&self, ids: &[BuildId]) -> Result<Vec<Build>, Failure> {
        let mut found = Vec::new();
        for some in ids.chunks(BUILDS_AT_ONCE) {
            let request = self.client.batch_get_builds().set_ids(Some(some.iter().map(ToString::to_string).collect()));
            let answer = request.send().await.map_err(|error| {
                let projects: Vec<_> = some.iter().map(BuildId::project).collect();
                sort(format!("codebuild:BatchGetBuilds on {}", projects.join(", ")), error)
            })?;
            for build in answer.builds.unwrap_or_default() {
                found.push(read(build)?);
            }
        }
        Ok(found)
    }

    /// The newest build of a project that is `wanted`, of those that were started at or after `since`.
    ///
    /// Reads the project's builds page by page, newest first, until one is older.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn find(
        &self,
        project: &ProjectName,
        since: Timestamp,
        wanted: impl Fn(&Build) -> bool + Send,
    ) -> Result<Option<Build>, Failure> {
        let doing = format!("codebuild:ListBuildsForProject on {project}");
        let mut token = None;
        loop {
            let request = self.client.list_builds_for_project().project_name(project.as_str()).set_next_token(token);
            let answer = request.send().await.map_err(|error| sort(&doing, error))?;
            let ids = answer.ids.unwrap_or_default().into_iter().map(BuildId::parse);
            let ids = ids.collect::<Result<Vec<_>, _>>();
            let ids = ids.map_err(|error| unreadable(&doing, error))?;
            // Asked for at once, they come in no promised order.
            let builds = self.builds(&ids).await?;
            let is_past_it = builds.iter().any(|build| build.start.is_some_and(|start| start < since));
            if let Some(found) = builds.into_iter().find(&wanted) {
                return Ok(Some(found));
            }
            token = answer.next_token.filter(|token| !token.is_empty());
            if is_past_it || token.is_none() {
                return Ok(None);
            }
        }
    }

    /// Stops a build; one that has already ended stays as it is.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn stop(&self, id: &BuildId) -> Result<(), Failure> {
        let request = self.client.stop_build().id(id.as_str());
        request.send().await.map(drop).map_err(|error| sort(format!("codebuild:StopBuild on {id}"), error))
    }
}

fn read(build: aws_sdk_codebuild::types::Build) -> Result<Build, Failure> {
    let doing = format!("codebuild:BatchGetBuilds on {}", build.project_name.as_deref().unwrap_or("a build"));
    let unreadable = |what: String| unreadable(&doing, what);
    let id = build.id.ok_or_else(|| lacking(&doing, "id"))?;
    let project = build.project_name.ok_or_else(|| lacking(&doing, "projectName"))?;
    let status = build.build_status.ok_or_else(|| lacking(&doing, "buildStatus"))?;
    let phases = build.phases.unwrap_or_default().into_iter().filter_map(|phase| {
        // A phase of a kind that is not known yet is left out: it cannot be named to a person either.
        Some(BuildPhase {
            phase: PhaseType::from_aws(phase.phase_type?.as_str())?,
            status: phase.phase_status.and_then(|status| PhaseStatus::from_aws(status.as_str())),
            context: phase
                .contexts
                .unwrap_or_default()
                .into_iter()
                .filter_map(|context| {
                    match (context.status_code.unwrap_or_default(), context.message.unwrap_or_default()) {
                        (code, message) if code.is_empty() && message.is_empty() => None,
                        (code, message) if code.is_empty() => Some(message),
                        (code, message) => Some(format!("{code}: {message}")),
                    }
                })
                .collect(),
            start: timestamp(phase.start_time),
            end: timestamp(phase.end_time),
            duration_seconds: phase.duration_in_seconds.and_then(|seconds| u64::try_from(seconds).ok()),
        })
    });
    let environment = build.environment.and_then(|environment| environment.environment_variables).unwrap_or_default();
    Ok(Build {
        id: BuildId::parse(id).map_err(|error| unreadable(error.to_string()))?,
        project: ProjectName::parse(project).map_err(|error| unreadable(error.to_string()))?,
        status: BuildStatus::from_aws(status.as_str())
            .ok_or_else(|| unreadable(format!("{} is no build status", status.as_str())))?,
        number: build.build_number.and_then(|number| u64::try_from(number).ok()),
        start: timestamp(build.start_time),
        end: timestamp(build.end_time),
        phases: phases.collect(),
        logs: build.logs.map(|logs| BuildLogs {
            group: logs.group_name,
            stream: logs.stream_name,
            deep_link: logs.deep_link,
        }),
        source_location: build.source.and_then(|source| source.location),
        source_version: build.source_version,
        resolved_version: build.resolved_source_version,
        initiator: build.initiator,
        environment: environment
            .into_iter()
            .filter(|variable| variable.name.starts_with("SIGNALBOX_"))
            .map(|variable| (variable.name, variable.value))
            .collect(),
    })
}
