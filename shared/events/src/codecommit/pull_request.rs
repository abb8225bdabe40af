//! Pull requests: made, pushed to, approved, overridden, merged, closed.

use serde::{Deserialize, Serialize};

use super::reference::MergeOption;
use super::{PULL_REQUEST, event_word, unexpected_event};
use crate::error::ParseError;
use crate::fields::{Fields, cut};
use crate::names::{
    ApprovalRuleId, ApprovalRuleName, Arn, CommitId, PullRequestId, RefName, RepositoryName, RevisionId,
};
use crate::words::words;

pub(super) const EVENTS: &[&str] = &[
    "pullRequestCreated",
    "pullRequestSourceBranchUpdated",
    "pullRequestStatusChanged",
    "pullRequestMergeStatusUpdated",
    "pullRequestApprovalStateChanged",
    "pullRequestApprovalRuleCreated",
    "pullRequestApprovalRuleUpdated",
    "pullRequestApprovalRuleDeleted",
    "pullRequestApprovalRuleOverridden",
];

/// A pull request changed; all but `event` is how it stood then.
///
/// The dates are left out: AWS writes them in three ways, and the envelope's time says enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequestChange {
    /// The repository. AWS sends a list, of exactly one.
    pub repository: RepositoryName,
    /// The pull request.
    pub pull_request: PullRequestId,
    /// The revision that approvals are votes on; absent from events before the middle of 2019.
    pub revision: Option<RevisionId>,
    /// What is to be merged.
    pub source: PullRequestEnd,
    /// What it is to be merged into. After a merge its commit is still the *old* tip.
    pub destination: PullRequestEnd,
    /// How it stands.
    pub state: PullRequestState,
    /// Its title.
    pub title: String,
    /// Its description, when it has one.
    pub description: Option<String>,
    /// Who made it: an ARN, or in old events a principal id.
    pub author: Option<Arn>,
    /// Who did what this event is about; the approver, for an approval.
    pub caller: Option<Arn>,
    /// What happened.
    pub event: PullRequestEvent,
}

/// One of the two branches of a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequestEnd {
    /// The branch; older documentation prints it as a short name.
    pub reference: RefName,
    /// Its tip.
    pub commit: CommitId,
}

/// What happened to a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PullRequestEvent {
    /// It was made.
    Created,
    /// Its source branch moved; the branch's own event comes beside this one.
    SourceBranchUpdated,
    /// It was closed without a merge; CodeCommit cannot open it again.
    StatusChanged,
    /// It was merged.
    MergeStatusUpdated {
        /// How, when the event says so.
        option: Option<MergeOption>,
    },
    /// The caller approved it, or took that back.
    ApprovalStateChanged {
        /// Which of the two.
        status: ApprovalStatus,
    },
    /// It got an approval rule.
    ApprovalRuleCreated(ApprovalRule),
    /// One of its approval rules was changed.
    ApprovalRuleUpdated(ApprovalRule),
    /// One of its approval rules was deleted.
    ApprovalRuleDeleted(ApprovalRule),
    /// Its approval rules were set aside, or put in force again.
    ApprovalRuleOverridden {
        /// Which of the two.
        status: OverrideStatus,
    },
}

/// The approval rule that an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRule {
    /// Its id.
    pub id: ApprovalRuleId,
    /// Its name.
    pub name: ApprovalRuleName,
    /// The SHA-256 of its content.
    pub content_sha256: Option<String>,
}

/// How a pull request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PullRequestState {
    /// Open.
    Open,
    /// Closed without a merge.
    Closed,
    /// Merged, and so closed.
    Merged,
}

words! {
    /// A vote on a revision.
    ApprovalStatus {
        /// Approved.
        Approve = "APPROVE",
        /// An approval was taken back.
        Revoke = "REVOKE",
    }
}

words! {
    /// Whether approval rules are set aside.
    OverrideStatus {
        /// They no longer block the merge.
        Override = "OVERRIDE",
        /// They block it again.
        Revoke = "REVOKE",
    }
}

impl PullRequestChange {
    pub(crate) fn parse(detail: &Fields<'_>) -> Result<Self, ParseError> {
        let event = PullRequestEvent::parse(detail)?;
        Ok(Self {
            repository: parse_repository(detail)?,
            pull_request: detail.name("pullRequestId")?,
            revision: detail.optional_name("revisionId")?,
            source: PullRequestEnd::parse(detail, "sourceReference", "sourceCommit")?,
            destination: PullRequestEnd::parse(detail, "destinationReference", "destinationCommit")?,
            state: PullRequestState::parse(detail)?,
            title: detail.optional_string("title")?.unwrap_or_default(),
            description: detail.optional_string("description")?,
            author: detail.optional_name("author")?,
            caller: detail.optional_name("callerUserArn")?,
            event,
        })
    }
}

/// The one repository of the list. No pull request has ever had more, and guessing which one is meant would be worse.
fn parse_repository(detail: &Fields<'_>) -> Result<RepositoryName, ParseError> {
    match detail.list("repositoryNames")?.as_slice() {
        [one] => one.name(),
        [] => Err(detail.missing("repositoryNames", "an array with the name of the pull request's repository")),
        more => Err(detail.invalid("repositoryNames", format!("it holds {} names; expected one", more.len()))),
    }
}

impl PullRequestEnd {
    fn parse(detail: &Fields<'_>, reference: &str, commit: &str) -> Result<Self, ParseError> {
        let name = detail.text(reference, "the ref name of a branch")?;
        let full = if name.starts_with("refs/") { RefName::parse(name) } else { RefName::branch(name) };
        Ok(Self {
            reference: full.map_err(|error| detail.invalid(reference, error.to_string()))?,
            commit: detail.name(commit)?,
        })
    }
}

impl PullRequestState {
    /// `Open` in events, `OPEN` in the API: both are read. Where the two fields disagree, a merge is the later news.
    fn parse(detail: &Fields<'_>) -> Result<Self, ParseError> {
        let status = detail.text("pullRequestStatus", "Open or Closed")?;
        let open = status.eq_ignore_ascii_case("open");
        if !open && !status.eq_ignore_ascii_case("closed") {
            return Err(ParseError::Unknown {
                field: detail.at("pullRequestStatus"),
                value: cut(status),
                known: &["Open", "Closed"],
            });
        }
        Ok(match (detail.flag("isMerged")?, open) {
            (true, _) => Self::Merged,
            (false, true) => Self::Open,
            (false, false) => Self::Closed,
        })
    }
}

impl PullRequestEvent {
    fn parse(detail: &Fields<'_>) -> Result<Self, ParseError> {
        Ok(match event_word(detail)? {
            "pullRequestCreated" => Self::Created,
            "pullRequestSourceBranchUpdated" => Self::SourceBranchUpdated,
            "pullRequestStatusChanged" => Self::StatusChanged,
            "pullRequestMergeStatusUpdated" => {
                Self::MergeStatusUpdated { option: detail.optional_word("mergeOption")? }
            }
            "pullRequestApprovalStateChanged" => Self::ApprovalStateChanged { status: detail.word("approvalStatus")? },
            "pullRequestApprovalRuleCreated" => Self::ApprovalRuleCreated(ApprovalRule::parse(detail)?),
            "pullRequestApprovalRuleUpdated" => Self::ApprovalRuleUpdated(ApprovalRule::parse(detail)?),
            "pullRequestApprovalRuleDeleted" => Self::ApprovalRuleDeleted(ApprovalRule::parse(detail)?),
            "pullRequestApprovalRuleOverridden" => {
                Self::ApprovalRuleOverridden { status: detail.word("overrideStatus")? }
            }
            other => return Err(unexpected_event(detail, other, PULL_REQUEST, EVENTS)),
        })
    }
}

impl ApprovalRule {
    fn parse(detail: &Fields<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            id: detail.name("approvalRuleId")?,
            name: detail.name("approvalRuleName")?,
            content_sha256: detail.optional_string("approvalRuleContentSha256")?,
        })
    }
}
