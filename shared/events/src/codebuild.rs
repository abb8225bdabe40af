//! The events of CodeBuild.

mod parse;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::names::{Arn, BuildId, ProjectName, RepositoryName};
use crate::words::words;

/// A build began or ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildStateChange {
    /// The project.
    pub project: ProjectName,
    /// The build, as the API takes it.
    pub build: BuildId,
    /// The build, as the event names it.
    pub build_arn: Arn,
    /// How it stands.
    pub status: BuildStatus,
    /// The phase it is in; `COMPLETED` for a build that ended, however it did.
    pub current_phase: Option<PhaseType>,
    /// What that phase has to say: mostly nothing, also when the build failed. The failed phase's own context says why.
    pub context: Vec<String>,
    /// The rest; missing from some documented events.
    pub information: Option<BuildInformation>,
}

/// A phase of a build ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildPhaseChange {
    /// The project.
    pub project: ProjectName,
    /// The build, as the API takes it.
    pub build: BuildId,
    /// The build, as the event names it.
    pub build_arn: Arn,
    /// The phase.
    pub phase: PhaseType,
    /// How it ended.
    pub status: PhaseStatus,
    /// What it has to say, such as `COMMAND_EXECUTION_ERROR: ...`.
    pub context: Vec<String>,
    /// When it began; the envelope's time is this one, too.
    pub start: Option<Timestamp>,
    /// When it ended.
    pub end: Option<Timestamp>,
    /// How long it took.
    pub duration_seconds: Option<u64>,
    /// The rest.
    pub information: Option<BuildInformation>,
}

/// What a build event says about its build beside the state.
///
/// A build that has only begun has no number, no phases and no log stream yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildInformation {
    /// Who started it, in one of many forms: `user/x`, `ROLE/SESSION`, `codepipeline/NAME`, `rule/NAME`, a bare name.
    pub initiator: Option<String>,
    /// The project's counter.
    pub build_number: Option<u64>,
    /// When it was started.
    pub start_time: Option<Timestamp>,
    /// What kind of place the source came from.
    pub source_type: Option<SourceType>,
    /// Where the source came from; absent in a pipeline.
    pub source_location: Option<String>,
    /// A commit, a branch, `refs/heads/x^{sha}`, an S3 ARN, or absent.
    pub source_version: Option<String>,
    /// How long it may run.
    pub timeout_in_minutes: Option<u64>,
    /// How long it may wait.
    pub queued_timeout_in_minutes: Option<u64>,
    /// Whether it has ended.
    pub complete: bool,
    /// Where its log is, once there is one.
    pub logs: Option<BuildLogs>,
    /// Its phases, in order; the last one may be running.
    pub phases: Vec<BuildPhase>,
    /// The *names* of the variables that it was started with. The values are never read: they may be secrets.
    pub environment_variables: Vec<String>,
}

/// Where a build's log is. AWS writes `null` into these texts while there is none; that reads as `None`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildLogs {
    /// The log group.
    pub group: Option<String>,
    /// The log stream; not always the build's UUID.
    pub stream: Option<String>,
    /// The page of the console that shows the log.
    pub deep_link: Option<String>,
}

/// One phase of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildPhase {
    /// Which one.
    pub phase: PhaseType,
    /// How it ended; `None` while it runs, and always for `COMPLETED`.
    pub status: Option<PhaseStatus>,
    /// What it has to say, such as `COMMAND_EXECUTION_ERROR: ...`.
    pub context: Vec<String>,
    /// When it began.
    pub start: Option<Timestamp>,
    /// When it ended.
    pub end: Option<Timestamp>,
    /// How long it took.
    pub duration_seconds: Option<u64>,
}

words! {
    /// How a build stands.
    BuildStatus {
        /// It waits or runs.
        InProgress = "IN_PROGRESS",
        /// It ended well.
        Succeeded = "SUCCEEDED",
        /// Something in it failed.
        Failed = "FAILED",
        /// CodeBuild itself failed.
        Fault = "FAULT",
        /// It took longer than it may.
        TimedOut = "TIMED_OUT",
        /// Somebody stopped it.
        Stopped = "STOPPED",
    }
}

impl BuildStatus {
    /// Whether the build has ended, well or not.
    pub fn is_terminal(self) -> bool {
        self != Self::InProgress
    }

    /// Whether it ended well.
    pub fn is_success(self) -> bool {
        self == Self::Succeeded
    }
}

words! {
    /// A phase of a build, in the order in which they run.
    PhaseType {
        /// It was accepted.
        Submitted = "SUBMITTED",
        /// It waits for a machine.
        Queued = "QUEUED",
        /// The machine is made.
        Provisioning = "PROVISIONING",
        /// The source is fetched, and the buildspec read.
        DownloadSource = "DOWNLOAD_SOURCE",
        /// The buildspec's `install`.
        Install = "INSTALL",
        /// The buildspec's `pre_build`.
        PreBuild = "PRE_BUILD",
        /// The buildspec's `build`.
        Build = "BUILD",
        /// The buildspec's `post_build`.
        PostBuild = "POST_BUILD",
        /// Artifacts are stored.
        UploadArtifacts = "UPLOAD_ARTIFACTS",
        /// The machine is taken away.
        Finalizing = "FINALIZING",
        /// The end; it has no duration and no status.
        Completed = "COMPLETED",
    }
}

words! {
    /// How a phase of a build ended.
    PhaseStatus {
        /// It still runs.
        InProgress = "IN_PROGRESS",
        /// It ended well.
        Succeeded = "SUCCEEDED",
        /// Something in it failed.
        Failed = "FAILED",
        /// CodeBuild itself failed.
        Fault = "FAULT",
        /// It took longer than it may.
        TimedOut = "TIMED_OUT",
        /// Somebody stopped the build.
        Stopped = "STOPPED",
        /// The request was at fault; documented, never seen.
        ClientError = "CLIENT_ERROR",
    }
}

impl PhaseStatus {
    /// Whether the phase ended, and not well.
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::InProgress | Self::Succeeded)
    }
}

/// What kind of place a build's source came from.
///
/// The one open set here: a new kind of host is no reason to lose a build's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceType {
    /// A CodeCommit repository.
    CodeCommit,
    /// The artifacts of a pipeline.
    CodePipeline,
    /// An object in S3.
    S3,
    /// No source at all.
    NoSource,
    /// Another host, in AWS's spelling: `GITHUB`, `BITBUCKET`, `GITLAB`...
    Other(String),
}

impl BuildInformation {
    /// The CodeCommit repository that was built, when the source is the address of one.
    pub fn source_repository(&self) -> Option<RepositoryName> {
        RepositoryName::from_clone_url(self.source_location.as_deref()?)
    }

    /// The first phase that ended badly.
    pub fn failed_phase(&self) -> Option<&BuildPhase> {
        self.phases.iter().find(|phase| phase.status.is_some_and(PhaseStatus::is_failure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn information(location: &str) -> BuildInformation {
        BuildInformation {
            initiator: None,
            build_number: None,
            start_time: None,
            source_type: Some(SourceType::CodeCommit),
            source_location: Some(location.to_owned()),
            source_version: None,
            timeout_in_minutes: None,
            queued_timeout_in_minutes: None,
            complete: false,
            logs: None,
            phases: Vec::new(),
            environment_variables: Vec::new(),
        }
    }

    #[test]
    fn the_repository_is_known_from_codecommits_own_address() {
        for location in [
            "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/payments",
            "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/payments/",
            "https://git-codecommit.cn-north-1.amazonaws.com.cn/v1/repos/payments",
            "https://git-codecommit-fips.us-east-1.amazonaws.com/v1/repos/payments",
        ] {
            let repository = information(location).source_repository();
            assert_eq!(repository.as_ref().map(RepositoryName::as_str), Some("payments"), "{location}");
        }
    }

    #[test]
    fn no_other_address_is_taken_for_a_repository() {
        for location in [
            "https://github.com/v1/repos/payments",
            "https://git-codecommit.eu-west-1.example.com/v1/repos/payments",
            "https://git-codecommit.eu-west-1.amazonaws.com.example.com/v1/repos/payments",
            "https://git-codecommit..amazonaws.com/v1/repos/payments",
            "http://git-codecommit.eu-west-1.amazonaws.com/v1/repos/payments",
            "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/",
            "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/a/b",
            "https://git-codecommit.eu-west-1.amazonaws.com/payments",
            "payments-bucket/source.zip",
            "",
        ] {
            assert_eq!(information(location).source_repository(), None, "{location}");
        }
    }

    #[test]
    fn only_a_build_in_progress_has_not_ended() {
        for status in BuildStatus::ALL {
            assert_eq!(status.is_terminal(), *status != BuildStatus::InProgress, "{status}");
            assert_eq!(BuildStatus::from_aws(status.as_aws()), Some(*status));
        }
        assert_eq!(serde_json::to_string(&BuildStatus::TimedOut).unwrap(), "\"timed_out\"");
    }
}
