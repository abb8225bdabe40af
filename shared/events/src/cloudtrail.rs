//! Calls of AWS's APIs that no event of their service tells of: EventBridge gets them from CloudTrail, where a trail is.
//!
//! Only those that a protection watches; every other call is none of ours.

use serde::{Deserialize, Serialize};

use crate::error::ParseError;
use crate::fields::Fields;
use crate::names::{Arn, RepositoryName};
use crate::words::words;

/// The detail-type of every call that CloudTrail tells of.
pub(crate) const API_CALL: &str = "AWS API Call via CloudTrail";

/// The source of the calls of IAM.
pub(crate) const IAM: &str = "aws.iam";

/// A call of CodeCommit that went well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiCall {
    /// What was called.
    pub name: ApiCallName,
    /// The repository.
    pub repository: RepositoryName,
    /// Who called: absent where AWS itself did, or another account whose name is not told.
    pub by: Option<Arn>,
}

words! {
    /// The calls of CodeCommit that are ours.
    ApiCallName {
        /// Another branch is the default one.
        UpdateDefaultBranch = "UpdateDefaultBranch",
        /// All triggers of a repository are replaced.
        PutRepositoryTriggers = "PutRepositoryTriggers",
    }
}

/// A call of IAM that went well, after which somebody may do more than before.
///
/// IAM is one for all regions: EventBridge gets its calls in us-east-1 only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IamCall {
    /// What was called.
    pub name: IamCallName,
    /// Who may do more.
    pub whose: Permitted,
    /// Who called.
    pub by: Option<Arn>,
}

/// Whose permissions a call of IAM changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permitted {
    /// One user's, by its name without a path.
    User(String),
    /// One role's, by its name without a path.
    Role(String),
    /// Those of everybody whom a group or a managed policy reaches.
    Others,
}

words! {
    /// The calls of IAM after which somebody may do more: what allows was given, or what denies was taken away.
    IamCallName {
        /// A user joins a group.
        AddUserToGroup = "AddUserToGroup",
        /// A group gets a managed policy.
        AttachGroupPolicy = "AttachGroupPolicy",
        /// A role gets a managed policy.
        AttachRolePolicy = "AttachRolePolicy",
        /// A user gets a managed policy.
        AttachUserPolicy = "AttachUserPolicy",
        /// A managed policy gets another text.
        CreatePolicyVersion = "CreatePolicyVersion",
        /// A role begins.
        CreateRole = "CreateRole",
        /// A user begins.
        CreateUser = "CreateUser",
        /// A group loses a policy of its own.
        DeleteGroupPolicy = "DeleteGroupPolicy",
        /// A role has no permissions boundary any more.
        DeleteRolePermissionsBoundary = "DeleteRolePermissionsBoundary",
        /// A role loses a policy of its own.
        DeleteRolePolicy = "DeleteRolePolicy",
        /// A user has no permissions boundary any more.
        DeleteUserPermissionsBoundary = "DeleteUserPermissionsBoundary",
        /// A user loses a policy of its own.
        DeleteUserPolicy = "DeleteUserPolicy",
        /// A group loses a managed policy.
        DetachGroupPolicy = "DetachGroupPolicy",
        /// A role loses a managed policy.
        DetachRolePolicy = "DetachRolePolicy",
        /// A user loses a managed policy.
        DetachUserPolicy = "DetachUserPolicy",
        /// A group's own policy is written.
        PutGroupPolicy = "PutGroupPolicy",
        /// A role gets another permissions boundary.
        PutRolePermissionsBoundary = "PutRolePermissionsBoundary",
        /// A role's own policy is written.
        PutRolePolicy = "PutRolePolicy",
        /// A user gets another permissions boundary.
        PutUserPermissionsBoundary = "PutUserPermissionsBoundary",
        /// A user's own policy is written.
        PutUserPolicy = "PutUserPolicy",
        /// A user leaves a group.
        RemoveUserFromGroup = "RemoveUserFromGroup",
        /// Another text of a managed policy is in force.
        SetDefaultPolicyVersion = "SetDefaultPolicyVersion",
    }
}

/// Whether it is one of the calls that are ours, and went well.
pub(crate) fn is_ours(source: &str, event: &Fields<'_>) -> bool {
    let detail = event.optional_object("detail").ok().flatten();
    detail.is_some_and(|detail| {
        let is_named = |name: &str| match source {
            IAM => IamCallName::from_aws(name).is_some(),
            _ => ApiCallName::from_aws(name).is_some(),
        };
        detail.optional_text("eventName").ok().flatten().is_some_and(is_named) && !detail.has("errorCode")
    })
}

/// Who called.
fn caller(detail: &Fields<'_>) -> Result<Option<Arn>, ParseError> {
    let identity = detail.optional_object("userIdentity")?;
    Ok(identity.map(|identity| identity.optional_name("arn")).transpose()?.flatten())
}

impl ApiCall {
    pub(crate) fn parse(detail: &Fields<'_>) -> Result<Self, ParseError> {
        let parameters = detail.object("requestParameters", "the parameters of the call")?;
        Ok(Self {
            name: detail.word("eventName")?,
            repository: parameters.name("repositoryName")?,
            by: caller(detail)?,
        })
    }
}

impl IamCall {
    pub(crate) fn parse(detail: &Fields<'_>) -> Result<Self, ParseError> {
        let parameters = detail.object("requestParameters", "the parameters of the call")?;
        // Whoever leaves or joins a group is named beside it.
        let whose = match (parameters.optional_text("userName")?, parameters.optional_text("roleName")?) {
            (Some(user), _) => Permitted::User(user.to_owned()),
            (None, Some(role)) => Permitted::Role(role.to_owned()),
            (None, None) => Permitted::Others,
        };
        Ok(Self { name: detail.word("eventName")?, whose, by: caller(detail)? })
    }
}
