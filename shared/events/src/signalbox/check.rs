//! The approver asks for what its checks are made of: the protector to judge a pull request, the trigger to build its merge result anew. The protector says that it did.
//!
//! All three are no more than a reason to look: what the rules found lies in [`crate::ReviewRecord`], which the protector alone may write, and what was built
//! in the trigger's own state.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{VERSIONS, check_version};
use crate::error::ParseError;
use crate::fields::Fields;
use crate::names::{PullRequestId, RepositoryName, StackName};
use crate::words::words;

/// The checks of a pull request are to be made, or were.
pub const CHECK: &str = "Signalbox Check State Change";

/// What the checks of a pull request have come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckStateChange {
    /// The stack that it is for.
    pub stack: StackName,
    /// The repository.
    pub repository: RepositoryName,
    /// The pull request.
    pub pull_request: PullRequestId,
    /// What is wanted, or was done.
    pub state: CheckState,
}

words! {
    /// How far they are.
    CheckState {
        /// The approver wants protections judged.
        Wanted = "WANTED",
        /// The target branch has moved: the approver wants merge results built anew.
        Stale = "STALE",
        /// The protector has judged them.
        Judged = "JUDGED",
    }
}

impl CheckStateChange {
    /// The detail, as [`CheckStateChange::parse`] reads it.
    pub fn to_detail(&self) -> Value {
        json!({
            "version": VERSIONS.first(),
            "stack": self.stack,
            "repository": self.repository,
            "pull-request": self.pull_request,
            "state": self.state.as_aws(),
        })
    }

    pub(crate) fn parse(detail: &Fields<'_>) -> Result<Self, ParseError> {
        check_version(detail)?;
        Ok(Self {
            stack: detail.name("stack")?,
            repository: detail.name("repository")?,
            pull_request: detail.name("pull-request")?,
            state: detail.word("state")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_another_version_is_refused() {
        let change = CheckStateChange {
            stack: StackName::parse("signalbox").unwrap(),
            repository: RepositoryName::parse("payments").unwrap(),
            pull_request: PullRequestId::parse("7").unwrap(),
            state: CheckState::Wanted,
        };
        let read = |detail: &Value| CheckStateChange::parse(&Fields::root(detail.as_object().unwrap()));
        let mut detail = change.to_detail();
        assert_eq!(read(&detail).unwrap(), change);
        for (key, value, told) in [
            ("version", "2", "expected one of 1"),
            ("state", "RED", "expected one of WANTED"),
            ("pull-request", "x/y", "pull-request"),
        ] {
            let before = std::mem::replace(&mut detail[key], json!(value));
            let refused = read(&detail).unwrap_err().to_string();
            assert!(refused.contains(told), "{key}: {refused}");
            detail[key] = before;
        }
    }
}
