//! Projects and builds, as the service model has them and as they are kept.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Seconds since 1970 with a fraction, as the JSON protocol carries time.
mod epoch {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of this age fit into 53 bits")]
        serializer.serialize_f64(time.as_millisecond() as f64 / 1000.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        #[expect(clippy::cast_possible_truncation, reason = "a time that does not fit is refused in the next line")]
        Timestamp::from_millisecond((seconds * 1000.0).round() as i64).map_err(D::Error::custom)
    }

    pub(super) mod option {
        use super::{Deserialize, Deserializer, Serializer, Timestamp};

        #[derive(Deserialize)]
        struct Epoch(#[serde(with = "super")] Timestamp);

        pub(in super::super) fn serialize<S: Serializer>(
            time: &Option<Timestamp>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match time {
                Some(time) => super::serialize(time, serializer),
                None => serializer.serialize_none(),
            }
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Timestamp>, D::Error> {
            Ok(Option::<Epoch>::deserialize(deserializer)?.map(|epoch| epoch.0))
        }
    }
}

/// Where the source comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SourceType {
    #[serde(rename = "CODECOMMIT")]
    CodeCommit,
    #[serde(rename = "NO_SOURCE")]
    NoSource,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Source {
    #[serde(rename = "type")]
    pub(crate) kind: SourceType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) location: Option<String>,
    /// 0 and absent are the whole history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) git_clone_depth: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) git_submodules_config: Option<Submodules>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) buildspec: Option<String>,
    /// Without meaning for CodeCommit, on AWS as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) insecure_ssl: Option<bool>,
    /// Without meaning for CodeCommit, on AWS as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) report_build_status: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Submodules {
    pub(crate) fetch_submodules: bool,
}

/// Only `NO_ARTIFACTS` is offered, and it takes no other member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Artifacts {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(flatten)]
    pub(crate) other: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cache {
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Environment {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) image: String,
    pub(crate) compute_type: String,
    #[serde(default)]
    pub(crate) environment_variables: Vec<Variable>,
    #[serde(default)]
    pub(crate) privileged_mode: bool,
    #[serde(default = "pulled_by_codebuild")]
    pub(crate) image_pull_credentials_type: String,
}

fn pulled_by_codebuild() -> String {
    "CODEBUILD".to_owned()
}

/// A variable with its value in the clear; the only type that is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: String,
    #[serde(rename = "type", default = "plaintext")]
    pub(crate) kind: String,
}

fn plaintext() -> String {
    "PLAINTEXT".to_owned()
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LogsConfig {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cloud_watch_logs: Option<CloudWatchLogs>,
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "s3Logs")]
    pub(crate) s3_logs: Option<S3Logs>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CloudWatchLogs {
    pub(crate) status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) group_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stream_name: Option<String>,
}

/// Only `DISABLED` is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct S3Logs {
    pub(crate) status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) encryption_disabled: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tag {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// A project as it is kept and shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Project {
    pub(crate) name: String,
    pub(crate) arn: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    pub(crate) source: Source,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source_version: Option<String>,
    pub(crate) artifacts: Artifacts,
    pub(crate) cache: Cache,
    pub(crate) environment: Environment,
    pub(crate) service_role: String,
    pub(crate) timeout_in_minutes: u32,
    pub(crate) queued_timeout_in_minutes: u32,
    pub(crate) encryption_key: String,
    pub(crate) tags: Vec<Tag>,
    #[serde(with = "epoch")]
    pub(crate) created: Timestamp,
    #[serde(with = "epoch")]
    pub(crate) last_modified: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) logs_config: Option<LogsConfig>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) concurrent_build_limit: Option<u32>,
}

/// How a build or a phase stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    InProgress,
    Succeeded,
    Failed,
    Fault,
    TimedOut,
    Stopped,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Fault => "FAULT",
            Self::TimedOut => "TIMED_OUT",
            Self::Stopped => "STOPPED",
        }
    }
}

/// The phases of a build, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum PhaseType {
    Submitted,
    Queued,
    Provisioning,
    DownloadSource,
    Install,
    PreBuild,
    Build,
    PostBuild,
    UploadArtifacts,
    Finalizing,
    Completed,
}

impl PhaseType {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::Queued => "QUEUED",
            Self::Provisioning => "PROVISIONING",
            Self::DownloadSource => "DOWNLOAD_SOURCE",
            Self::Install => "INSTALL",
            Self::PreBuild => "PRE_BUILD",
            Self::Build => "BUILD",
            Self::PostBuild => "POST_BUILD",
            Self::UploadArtifacts => "UPLOAD_ARTIFACTS",
            Self::Finalizing => "FINALIZING",
            Self::Completed => "COMPLETED",
        }
    }

    /// Whether the phase runs in the build's environment: those carry a context, empty where there is nothing to say.
    pub(crate) fn has_context(self) -> bool {
        self >= Self::Provisioning && self < Self::Completed
    }
}

/// Why a phase ended as it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Context {
    pub(crate) status_code: String,
    pub(crate) message: String,
}

impl Context {
    pub(crate) fn new(status_code: &str, message: impl Into<String>) -> Self {
        Self { status_code: status_code.to_owned(), message: message.into() }
    }

    /// What a phase has that has nothing to say.
    pub(crate) fn empty() -> Self {
        Self::new("", "")
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Phase {
    pub(crate) phase_type: PhaseType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) phase_status: Option<Status>,
    #[serde(with = "epoch")]
    pub(crate) start_time: Timestamp,
    #[serde(with = "epoch::option", default, skip_serializing_if = "Option::is_none")]
    pub(crate) end_time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) duration_in_seconds: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) contexts: Option<Vec<Context>>,
}

impl Phase {
    /// A phase that begins.
    pub(crate) fn begin(phase_type: PhaseType, now: Timestamp) -> Self {
        Self {
            phase_type,
            phase_status: None,
            start_time: now,
            end_time: None,
            duration_in_seconds: None,
            contexts: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogsLocation {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) group_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stream_name: Option<String>,
    pub(crate) deep_link: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cloud_watch_logs_arn: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BuildArtifacts {
    pub(crate) location: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExportedVariable {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// A build as it is kept and shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Build {
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(crate) build_number: u64,
    #[serde(with = "epoch")]
    pub(crate) start_time: Timestamp,
    #[serde(with = "epoch::option", default, skip_serializing_if = "Option::is_none")]
    pub(crate) end_time: Option<Timestamp>,
    pub(crate) current_phase: PhaseType,
    pub(crate) build_status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source_version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resolved_source_version: Option<String>,
    pub(crate) project_name: String,
    pub(crate) phases: Vec<Phase>,
    pub(crate) source: Source,
    pub(crate) artifacts: BuildArtifacts,
    pub(crate) cache: Cache,
    pub(crate) environment: Environment,
    pub(crate) service_role: String,
    pub(crate) logs: LogsLocation,
    pub(crate) timeout_in_minutes: u32,
    pub(crate) queued_timeout_in_minutes: u32,
    pub(crate) build_complete: bool,
    pub(crate) initiator: String,
    pub(crate) encryption_key: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) exported_environment_variables: Vec<ExportedVariable>,
}

impl Build {
    /// The part of the id behind the colon.
    pub(crate) fn uuid(&self) -> &str {
        self.id.split_once(':').map_or(&*self.id, |(_, uuid)| uuid)
    }

    /// Begins a phase.
    pub(crate) fn begin(&mut self, phase: PhaseType, now: Timestamp) {
        self.current_phase = phase;
        self.phases.push(Phase::begin(phase, now));
    }

    /// Ends the phase that runs; a copy of it for the event, or nothing if none runs.
    pub(crate) fn end(&mut self, status: Status, context: Option<Context>, now: Timestamp) -> Option<Phase> {
        let phase = self.phases.last_mut().filter(|phase| phase.end_time.is_none())?;
        let context = context.or_else(|| phase.phase_type.has_context().then(Context::empty));
        phase.phase_status = Some(status);
        phase.end_time = Some(now);
        phase.duration_in_seconds = Some(now.as_second() - phase.start_time.as_second());
        phase.contexts = Some(context.into_iter().collect());
        Some(phase.clone())
    }

    /// Marks the build as over.
    pub(crate) fn complete(&mut self, status: Status, now: Timestamp) {
        self.begin(PhaseType::Completed, now);
        self.build_status = status;
        self.build_complete = true;
        self.end_time = Some(now);
    }
}
