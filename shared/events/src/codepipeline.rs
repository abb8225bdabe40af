//! The events of CodePipeline.

mod parse;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::names::{ActionName, Arn, ArtifactName, CommitId, ExecutionId, PipelineName, Region, StageName};
use crate::words::words;

/// A run of a pipeline changed its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineExecution {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The run.
    pub execution: ExecutionId,
    /// How it stands.
    pub state: PipelineState,
    /// The version of the pipeline's structure; AWS writes `1`, `1.0` or `"1"`.
    pub version: Option<u64>,
    /// How often the run was tried; some documented samples say 0.
    pub attempt: Option<u64>,
    /// When it began.
    pub start_time: Option<Timestamp>,
    /// What started it, when the event says so.
    pub trigger: Option<ExecutionTrigger>,
    /// What the person who stopped it said.
    pub stop_comments: Option<String>,
}

/// A stage of a pipeline's run changed its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageExecution {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The run.
    pub execution: ExecutionId,
    /// The stage.
    pub stage: StageName,
    /// How it stands.
    pub state: StageState,
    /// The version of the pipeline's structure.
    pub version: Option<u64>,
    /// How often the run was tried.
    pub attempt: Option<u64>,
    /// When it began; may be absent after a retry.
    pub start_time: Option<Timestamp>,
    /// When it was last retried.
    pub last_retry_time: Option<Timestamp>,
}

/// An action of a pipeline's run changed its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionExecution {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The run.
    pub execution: ExecutionId,
    /// The stage.
    pub stage: StageName,
    /// The action.
    pub action: ActionName,
    /// The run of the action. For a manual approval it has been seen to be the token that answers it.
    pub action_execution: Option<ExecutionId>,
    /// How it stands.
    pub state: ActionState,
    /// What kind of action it is.
    pub action_type: ActionType,
    /// The action's region, which may not be the event's.
    pub region: Option<Region>,
    /// What came of it, once something did.
    pub result: Option<ActionResult>,
    /// What it was given.
    pub inputs: Vec<Artifact>,
    /// What it made.
    pub outputs: Vec<Artifact>,
    /// The version of the pipeline's structure.
    pub version: Option<u64>,
    /// How often the run was tried.
    pub attempt: Option<u64>,
    /// When it began.
    pub start_time: Option<Timestamp>,
}

impl ActionExecution {
    /// Whether somebody is asked to approve.
    pub fn is_approval_wanted(&self) -> bool {
        self.action_type.category == ActionCategory::Approval && self.state == ActionState::Started
    }

    /// Whether somebody said no, or nobody said anything in time: CodePipeline calls both a failure.
    pub fn is_approval_rejected(&self) -> bool {
        self.action_type.category == ActionCategory::Approval && self.state == ActionState::Failed
    }
}

/// What started a run. AWS sends two different shapes under one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionTrigger {
    /// At the start of a run: by whom or by what.
    Start {
        /// `StartPipelineExecution`, `Webhook`, `CloudWatchEvent`, `PollForSourceChanges`...
        trigger_type: String,
        /// The caller's ARN, a connection's ARN, a rule or a webhook.
        trigger_detail: Option<String>,
    },
    /// At the end of a run that a connection started: the commit that it ran for.
    Commit(Box<TriggerCommit>),
}

/// The commit that a connection started a run for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerCommit {
    /// The commit.
    pub commit: Option<CommitId>,
    /// Its message.
    pub message: Option<String>,
    /// The repository, as `OWNER/NAME`.
    pub repository: Option<String>,
    /// The host, for instance `GitHub`; AWS varies the spelling.
    pub provider: Option<String>,
    /// The branch, if a branch started it.
    pub branch: Option<String>,
    /// The tag, if a tag started it.
    pub tag: Option<String>,
    /// The author's name.
    pub author_name: Option<String>,
    /// The author's mail address.
    pub author_email: Option<String>,
    /// The author's name on the host.
    pub author_id: Option<String>,
    /// When it was written.
    pub author_date: Option<Timestamp>,
    /// The connection.
    pub connection: Option<Arn>,
}

/// What kind of action it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionType {
    /// What it does.
    pub category: ActionCategory,
    /// `AWS`, `ThirdParty` or `Custom`.
    pub owner: Option<String>,
    /// Who does it, for instance `CodeBuild`.
    pub provider: String,
    /// The version of the action type.
    pub version: Option<String>,
}

/// What came of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionResult {
    /// The page that shows it.
    pub url: Option<String>,
    /// What the provider says; a JSON text for sources of a connection.
    pub summary: Option<String>,
    /// What the provider calls it: a build id, a deployment id, a commit.
    pub external_id: Option<String>,
    /// Why it failed, in one word such as `JobFailed`.
    pub error_code: Option<String>,
}

/// An artifact that an action was given or made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Its name.
    pub name: ArtifactName,
    /// The bucket that it lies in.
    pub bucket: Option<String>,
    /// Where in the bucket.
    pub key: Option<String>,
}

words! {
    /// How a run of a pipeline stands.
    PipelineState {
        /// It runs.
        Started = "STARTED",
        /// It ended well.
        Succeeded = "SUCCEEDED",
        /// It failed.
        Failed = "FAILED",
        /// A failed stage was tried again.
        Resumed = "RESUMED",
        /// It is being stopped.
        Stopping = "STOPPING",
        /// It was stopped.
        Stopped = "STOPPED",
        /// A newer run overtook it.
        Superseded = "SUPERSEDED",
        /// It was cancelled, because the pipeline changed.
        Canceled = "CANCELED",
    }
}

words! {
    /// How a stage stands.
    StageState {
        /// It runs.
        Started = "STARTED",
        /// It ended well.
        Succeeded = "SUCCEEDED",
        /// It failed.
        Failed = "FAILED",
        /// It was tried again.
        Resumed = "RESUMED",
        /// It is being stopped.
        Stopping = "STOPPING",
        /// It was stopped.
        Stopped = "STOPPED",
        /// It was cancelled, because the pipeline changed.
        Canceled = "CANCELED",
    }
}

words! {
    /// How an action stands.
    ActionState {
        /// It runs, or waits for somebody's approval.
        Started = "STARTED",
        /// It ended well.
        Succeeded = "SUCCEEDED",
        /// It failed, or somebody rejected it.
        Failed = "FAILED",
        /// It was cancelled, because the pipeline changed.
        Canceled = "CANCELED",
        /// It was left alone when the run was stopped.
        Abandoned = "ABANDONED",
    }
}

words! {
    /// What an action does.
    ActionCategory {
        /// It fetches the source.
        Source = "Source",
        /// It builds.
        Build = "Build",
        /// It deploys.
        Deploy = "Deploy",
        /// It tests.
        Test = "Test",
        /// It calls a function or another pipeline.
        Invoke = "Invoke",
        /// It waits for somebody's approval.
        Approval = "Approval",
        /// It runs commands.
        Compute = "Compute",
    }
}
