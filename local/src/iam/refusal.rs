//! What whoever is not let through is told: AWS's sentence, and which line is missing.

use crate::error::ServiceError;

/// A request that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Who asked: an ARN, or the name of a service.
    pub principal: String,
    /// The action, for instance `codecommit:GetBranch`.
    pub action: String,
    /// The ARN of what it was to be done to.
    pub resource: String,
    /// What stood in the way.
    pub why: Why,
}

/// What stood in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// A statement denies it.
    Denied {
        /// The kind of policy that holds the statement.
        policy: PolicyType,
        /// The statement and whose it is.
        told: String,
    },
    /// Nothing allows it.
    NotAllowed {
        /// The kind of policy that would have to.
        policy: PolicyType,
        /// What comes nearest, or that nothing does.
        told: String,
    },
}

/// The kinds of policies, in AWS's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyType {
    /// Of a user or a role.
    Identity,
    /// Of a queue, a topic or a bucket.
    Resource,
    /// The most that a user or a role may ever do.
    Boundary,
    /// Who may assume a role.
    Trust,
}

impl PolicyType {
    fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity-based policy",
            Self::Resource => "resource-based policy",
            Self::Boundary => "permissions boundary",
            Self::Trust => "role trust policy",
        }
    }

    fn with_article(self) -> String {
        match self {
            Self::Identity => format!("an {}", self.name()),
            Self::Trust => format!("the {}", self.name()),
            Self::Resource | Self::Boundary => format!("a {}", self.name()),
        }
    }
}

impl Refusal {
    /// The statement that is in the way or missing.
    pub fn told(&self) -> &str {
        match &self.why {
            Why::Denied { told, .. } | Why::NotAllowed { told, .. } => told,
        }
    }

    /// The action as its service writes it in refusals.
    fn shown_action(&self) -> String {
        match self.action.split_once(':') {
            Some(("sqs", _)) => self.action.to_lowercase(),
            Some(("sns", action)) => format!("SNS:{action}"),
            _ => self.action.clone(),
        }
    }

    /// The refusal with the code of the service that gives it.
    pub(crate) fn into_service(self, service: &str) -> ServiceError {
        let (status, code) = match service {
            "sns" => (403, "AuthorizationError"),
            "sts" | "s3" | "cloudformation" | "iam" => (403, "AccessDenied"),
            "sqs" => (403, "AccessDeniedException"),
            _ => (400, "AccessDeniedException"),
        };
        ServiceError::with_status(status, code, self.to_string())
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (principal, action, resource) = (&self.principal, self.shown_action(), &self.resource);
        // S3 alone puts the resource into quotes.
        let resource = if resource.starts_with("arn:aws:s3:::") { format!("\"{resource}\"") } else { resource.clone() };
        write!(f, "User: {principal} is not authorized to perform: {action} on resource: {resource} ")?;
        match &self.why {
            Why::Denied { policy, told } => write!(f, "with an explicit deny in {} ({told})", policy.with_article()),
            Why::NotAllowed { policy, told } => {
                write!(f, "because no {} allows the {action} action ({told})", policy.name())
            }
        }
    }
}
