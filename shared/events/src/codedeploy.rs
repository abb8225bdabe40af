//! The events of CodeDeploy. They name no actor and no revision: `GetDeployment` does.

use serde::{Deserialize, Serialize};

use crate::error::ParseError;
use crate::fields::Fields;
use crate::names::{ApplicationName, DeploymentGroupName, DeploymentId, InstanceId, Region};
use crate::words::words;

/// A deployment changed its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentChange {
    /// The application.
    pub application: ApplicationName,
    /// The deployment group.
    pub group: DeploymentGroupName,
    /// The deployment.
    pub deployment: DeploymentId,
    /// How it stands.
    pub state: DeploymentState,
    /// The UUID of the group, not of the deployment.
    pub instance_group_id: Option<String>,
    /// The deployment's region.
    pub region: Option<Region>,
}

/// A deployment changed its state on one instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentInstanceChange {
    /// The application.
    pub application: ApplicationName,
    /// The deployment group.
    pub group: DeploymentGroupName,
    /// The deployment.
    pub deployment: DeploymentId,
    /// The instance.
    pub instance: InstanceId,
    /// How the deployment stands on it.
    pub state: InstanceState,
    /// The UUID of the group, not of the deployment.
    pub instance_group_id: Option<String>,
    /// The deployment's region.
    pub region: Option<Region>,
}

words! {
    /// How a deployment stands.
    DeploymentState {
        /// It waits for another one.
        Queued = "QUEUED",
        /// It runs.
        Start = "START",
        /// A blue/green deployment waits to be continued.
        Ready = "READY",
        /// It ended well.
        Success = "SUCCESS",
        /// It failed.
        Failure = "FAILURE",
        /// Somebody, or an alarm, stopped it.
        Stop = "STOP",
    }
}

impl DeploymentState {
    /// Whether the deployment has ended, well or not.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Success | Self::Failure | Self::Stop)
    }

    /// Whether it ended well.
    pub fn is_success(self) -> bool {
        self == Self::Success
    }
}

words! {
    /// How a deployment stands on one instance.
    InstanceState {
        /// It runs.
        Start = "START",
        /// The instance waits for traffic.
        Ready = "READY",
        /// It ended well.
        Success = "SUCCESS",
        /// It failed.
        Failure = "FAILURE",
    }
}

impl DeploymentChange {
    pub(crate) fn parse(detail: &Fields<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            application: detail.name("application")?,
            group: detail.name("deploymentGroup")?,
            deployment: detail.name("deploymentId")?,
            state: detail.word("state")?,
            instance_group_id: detail.optional_string("instanceGroupId")?,
            region: detail.optional_name("region")?,
        })
    }
}

impl DeploymentInstanceChange {
    pub(crate) fn parse(detail: &Fields<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            application: detail.name("application")?,
            group: detail.name("deploymentGroup")?,
            deployment: detail.name("deploymentId")?,
            instance: detail.name("instanceId")?,
            state: detail.word("state")?,
            instance_group_id: detail.optional_string("instanceGroupId")?,
            region: detail.optional_name("region")?,
        })
    }
}
