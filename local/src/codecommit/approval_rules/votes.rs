//! Votes on a revision, overrides of all rules, and what they come to.

use serde::{Deserialize, Serialize};
use signalbox_events::{ApprovalStatus, OverrideStatus};

use super::super::Nothing;
use super::super::pull_requests::{News, PullRequest, What, check_id};
use super::super::repositories::Repositories;
use super::Met;
use crate::auth::Caller;
use crate::error::{Answer, ServiceError};

/// Most approvals of a pull request.
const MOST_APPROVALS: usize = 200;

/// `UpdatePullRequestApprovalState`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct Vote {
    pull_request_id: Option<String>,
    revision_id: Option<String>,
    approval_state: Option<String>,
}

/// `OverridePullRequestApprovalRules`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct Override {
    pull_request_id: Option<String>,
    revision_id: Option<String>,
    override_status: Option<String>,
}

/// An input that names a revision of a pull request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct OfRevision {
    pull_request_id: Option<String>,
    revision_id: Option<String>,
}

/// The output of `GetPullRequestApprovalStates`.
#[derive(Debug, Serialize)]
pub(in crate::codecommit) struct Approvals {
    approvals: Vec<Approval>,
}

/// `Approval` of the model; a vote that was taken back is not kept.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Approval {
    user_arn: String,
    approval_state: &'static str,
}

/// The output of `GetPullRequestOverrideState`.
#[derive(Debug, Serialize)]
pub(in crate::codecommit) struct OverrideState {
    overridden: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    overrider: Option<String>,
}

/// The output of `EvaluatePullRequestApprovalRules`.
#[derive(Debug, Serialize)]
pub(in crate::codecommit) struct Evaluated {
    evaluation: Evaluation,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Evaluation {
    approved: bool,
    overridden: bool,
    approval_rules_satisfied: Vec<String>,
    approval_rules_not_satisfied: Vec<String>,
}

impl Repositories {
    /// The author may take back what cannot be given, but not approve.
    pub(in crate::codecommit) fn vote(&self, input: Vote, caller: &Caller) -> Answer<Nothing> {
        let id = check_id(input.pull_request_id)?;
        let revision = check_revision(input.revision_id)?;
        let state = input.approval_state.filter(|state| !state.is_empty()).ok_or_else(|| {
            ServiceError::bad("ApprovalStateRequiredException", "APPROVE or REVOKE is required as approval state")
        })?;
        let status = ApprovalStatus::from_aws(&state).ok_or_else(|| {
            ServiceError::bad("InvalidApprovalStateException", format!("{state:?} is neither APPROVE nor REVOKE"))
        })?;
        let (_, repository) = self.pull_request(id)?;
        let now = self.world.now();
        let changed = self.pull_requests.change(|all| -> Answer<Option<PullRequest>> {
            let one = all.find_open(id)?;
            let is_author = one.author == caller.arn;
            let voted_on = one.current(&revision)?;
            let is_new = match status {
                ApprovalStatus::Approve if is_author => {
                    return Err(ServiceError::bad(
                        "PullRequestCannotBeApprovedByAuthorException",
                        format!("{} made pull request {id} and cannot approve it", caller.arn),
                    ));
                }
                ApprovalStatus::Approve => {
                    let is_new = !voted_on.approvers.contains(&caller.arn);
                    if is_new && voted_on.approvers.len() >= MOST_APPROVALS {
                        return Err(ServiceError::bad(
                            "MaximumNumberOfApprovalsExceededException",
                            format!("pull request {id} has {MOST_APPROVALS} approvals already"),
                        ));
                    }
                    voted_on.approvers.insert(caller.arn.clone())
                }
                ApprovalStatus::Revoke => voted_on.approvers.remove(&caller.arn),
            };
            if is_new {
                one.note(now, &caller.arn, What::ApprovalChanged { revision, status });
            }
            Ok(is_new.then(|| one.clone()))
        })?;
        if let Some(one) = changed {
            self.tell_review(&repository, &one, News::ApprovalChanged(status), caller);
        }
        Ok(Nothing {})
    }

    pub(in crate::codecommit) fn approvals(&self, input: OfRevision) -> Answer<Approvals> {
        let id = check_id(input.pull_request_id)?;
        let revision = check_revision(input.revision_id)?;
        self.pull_requests.read(|all| {
            let approvers = all.find(id)?.revision(&revision)?.approvers.iter();
            let approvals = approvers
                .map(|arn| Approval { user_arn: arn.clone(), approval_state: ApprovalStatus::Approve.as_aws() });
            Ok(Approvals { approvals: approvals.collect() })
        })
    }

    /// An override holds for its revision, as a vote does.
    pub(in crate::codecommit) fn override_rules(&self, input: Override, caller: &Caller) -> Answer<Nothing> {
        let id = check_id(input.pull_request_id)?;
        let revision = check_revision(input.revision_id)?;
        let status = input.override_status.filter(|status| !status.is_empty()).ok_or_else(|| {
            ServiceError::bad("OverrideStatusRequiredException", "OVERRIDE or REVOKE is required as override status")
        })?;
        let status = OverrideStatus::from_aws(&status).ok_or_else(|| {
            ServiceError::bad("InvalidOverrideStatusException", format!("{status:?} is neither OVERRIDE nor REVOKE"))
        })?;
        let (_, repository) = self.pull_request(id)?;
        let now = self.world.now();
        let changed = self.pull_requests.change(|all| -> Answer<Option<PullRequest>> {
            let one = all.find_open(id)?;
            let overridden = one.current(&revision)?;
            let changes = match status {
                OverrideStatus::Override if overridden.overrider.is_some() => {
                    return Err(ServiceError::bad(
                        "OverrideAlreadySetException",
                        format!("the approval rules of pull request {id} are overridden already"),
                    ));
                }
                OverrideStatus::Override => {
                    overridden.overrider = Some(caller.arn.clone());
                    true
                }
                OverrideStatus::Revoke => overridden.overrider.take().is_some(),
            };
            if changes {
                one.note(now, &caller.arn, What::RulesOverridden { revision, status });
            }
            Ok(changes.then(|| one.clone()))
        })?;
        if let Some(one) = changed {
            self.tell_review(&repository, &one, News::Overridden(status), caller);
        }
        Ok(Nothing {})
    }

    pub(in crate::codecommit) fn override_state(&self, input: OfRevision) -> Answer<OverrideState> {
        let id = check_id(input.pull_request_id)?;
        let revision = check_revision(input.revision_id)?;
        self.pull_requests.read(|all| {
            let overrider = all.find(id)?.revision(&revision)?.overrider.clone();
            Ok(OverrideState { overridden: overrider.is_some(), overrider })
        })
    }

    /// `approved` says what the votes come to; an override stands beside it.
    pub(in crate::codecommit) fn evaluate(&self, input: OfRevision) -> Answer<Evaluated> {
        let id = check_id(input.pull_request_id)?;
        let revision = check_revision(input.revision_id)?;
        let mut one = self.pull_requests.read(|all| all.find(id).cloned())?;
        one.current(&revision)?;
        let met = Met::by(&one.rules, &one.revision.approvers);
        Ok(Evaluated {
            evaluation: Evaluation {
                approved: met.not_satisfied.is_empty(),
                overridden: one.revision.overrider.is_some(),
                approval_rules_satisfied: met.satisfied,
                approval_rules_not_satisfied: met.not_satisfied,
            },
        })
    }
}

fn check_revision(id: Option<String>) -> Answer<String> {
    let id = id
        .filter(|id| !id.is_empty())
        .ok_or_else(|| ServiceError::bad("RevisionIdRequiredException", "the id of a revision is required"))?;
    if id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(id)
    } else {
        Err(ServiceError::bad("InvalidRevisionIdException", format!("{id:?} is not the id of a revision")))
    }
}
