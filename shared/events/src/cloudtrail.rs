//! Calls of CodeCommit's API that no event of its own tells of: EventBridge gets them from CloudTrail, where a trail is.
//!
//! Only the two that a protection watches; every other call is none of ours.

use serde::{Deserialize, Serialize};

use crate::error::ParseError;
use crate::fields::Fields;
use crate::names::{Arn, RepositoryName};
use crate::words::words;

/// The detail-type of every call that CloudTrail tells of.
pub(crate) const API_CALL: &str = "AWS API Call via CloudTrail";

/// A call that went well.
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
    /// The calls that are ours.
    ApiCallName {
        /// Another branch is the default one.
        UpdateDefaultBranch = "UpdateDefaultBranch",
        /// All triggers of a repository are replaced.
        PutRepositoryTriggers = "PutRepositoryTriggers",
    }
}

/// Whether it is one of the calls that are ours, and went well.
pub(crate) fn is_ours(event: &Fields<'_>) -> bool {
    let detail = event.optional_object("detail").ok().flatten();
    detail.is_some_and(|detail| {
        let name = detail.optional_text("eventName").ok().flatten();
        name.and_then(ApiCallName::from_aws).is_some() && !detail.has("errorCode")
    })
}

impl ApiCall {
    pub(crate) fn parse(detail: &Fields<'_>) -> Result<Self, ParseError> {
        let parameters = detail.object("requestParameters", "the parameters of the call")?;
        let identity = detail.optional_object("userIdentity")?;
        Ok(Self {
            name: detail.word("eventName")?,
            repository: parameters.name("repositoryName")?,
            by: identity.map(|identity| identity.optional_name("arn")).transpose()?.flatten(),
        })
    }
}
