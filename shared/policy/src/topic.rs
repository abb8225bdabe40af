//! What mail can be about: a closed list, so that a misspelt topic is an error and not silence.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::keys::Acts;

macro_rules! topics {
    ($($variant:ident $name:literal $acts:expr, $doc:literal;)*) => {
        /// What a notification is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Topic {
            $(#[doc = $doc] #[serde(rename = $name)] $variant,)*
        }

        impl Topic {
            /// Every topic, in the order of the reference.
            pub const ALL: &'static [Topic] = &[$(Topic::$variant),*];

            /// The name that `about:` knows, such as `build.failed`.
            pub const fn name(self) -> &'static str {
                match self { $(Topic::$variant => $name),* }
            }

            /// What it means, in one line.
            pub const fn about(self) -> &'static str {
                match self { $(Topic::$variant => $doc),* }
            }

            /// Whether this version sends it.
            pub const fn acts(self) -> Acts {
                match self { $(Topic::$variant => $acts),* }
            }
        }
    };
}

topics! {
    BuildFailed "build.failed" Acts::Now, "A build failed, for the first time or again.";
    BuildFixed "build.fixed" Acts::Now, "A build passed that was broken before.";
    BuildStopped "build.stopped" Acts::Now, "Somebody stopped a build.";
    DeploymentStarted "deployment.started" Acts::Later, "A deployment began.";
    DeploymentReady "deployment.ready" Acts::Later, "A blue/green deployment waits to be continued.";
    DeploymentSucceeded "deployment.succeeded" Acts::Later, "A deployment is done.";
    DeploymentFailed "deployment.failed" Acts::Later, "A deployment failed.";
    DeploymentStopped "deployment.stopped" Acts::Later, "A deployment was stopped.";
    PipelineFailed "pipeline.failed" Acts::Later, "A pipeline execution failed.";
    PipelineFixed "pipeline.fixed" Acts::Later, "A pipeline passed that was broken before.";
    PipelineStopped "pipeline.stopped" Acts::Later, "A pipeline execution was stopped.";
    ApprovalRequested "approval.requested" Acts::Later, "Somebody is asked to approve.";
    ApprovalGranted "approval.granted" Acts::Later, "What was asked for was approved.";
    ApprovalRejected "approval.rejected" Acts::Later, "What was asked for was rejected.";
    ApprovalExpired "approval.expired" Acts::Later, "Nobody answered in time.";
    ProtectionViolated "protection.violated" Acts::Now, "A protection was broken, and what broke it stays.";
    ProtectionRestored "protection.restored" Acts::Now, "What is protected was put back.";
    ProtectionBypassed "protection.bypassed" Acts::Now, "Somebody used a bypass, and is asked for a reason.";
    ProtectionWeakened "protection.weakened" Acts::Now, "Somebody weakened a protection itself.";
    ProtectionContested "protection.contested" Acts::Now, "Something moves a ref each time that it is put back: a person must end that.";
    ProtectionFailed "protection.failed" Acts::Now, "What is protected could not be judged, or not be put back.";
    ReplicaFailed "replica.failed" Acts::Now, "A copy could not be made equal.";
    ReplicaFixed "replica.fixed" Acts::Now, "A copy is equal again.";
    PullRequestCreated "pull_request.created" Acts::Later, "A pull request was opened.";
    PullRequestUpdated "pull_request.updated" Acts::Later, "A pull request got new commits.";
    PullRequestCommented "pull_request.commented" Acts::Later, "Somebody commented on a pull request.";
    PullRequestApproved "pull_request.approved" Acts::Later, "Somebody approved a pull request.";
    PullRequestMerged "pull_request.merged" Acts::Later, "A pull request was merged.";
    PullRequestClosed "pull_request.closed" Acts::Later, "A pull request was closed without a merge.";
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Topic {
    /// The topic with exactly this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|topic| topic.name() == name)
    }
}
