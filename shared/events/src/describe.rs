//! Events in one line, for log lines and listings. What people read in mail is rendered elsewhere.

use std::fmt;

use crate::signalbox::{CheckState, Protected, ProtectionState, ProtectionStateChange, ReplicaState};
use crate::{
    CommentChange, Detail, ExecutionTrigger, Permitted, PullRequestChange, PullRequestEvent, RefChange,
    ReferenceChange, TemplateChange,
};

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reference(change) => write!(f, "{change}"),
            Self::UnreferencedMergeCommit(made) => {
                write!(f, "{}: unreferenced {} {}", made.repository, made.merge.option, made.commit.short())
            }
            Self::PullRequest(change) => write!(f, "{change}"),
            Self::CommentOnCommit(comment) => {
                write!(f, "{}: comment on commit {} {}", comment.repository, comment.after.short(), comment.change)
            }
            Self::CommentOnPullRequest(on) => {
                let reply = if on.comment.in_reply_to.is_some() { "reply" } else { "comment" };
                write!(
                    f,
                    "{}: {reply} on pull request {} {}",
                    on.comment.repository, on.pull_request, on.comment.change
                )
            }
            Self::CommentReaction(reaction) => {
                // Escaped, as nothing has checked them: a line break must not make two log lines of one.
                let codes = reaction.shortcodes.join(" ").escape_debug().to_string();
                write!(f, "{}: reaction {codes} {}", reaction.repository, reaction.change)
            }
            Self::ApprovalRuleTemplate(template) => {
                let repositories: Vec<_> = template.repositories.keys().map(|name| name.as_str()).collect();
                write!(f, "approval rule template {} {} [{}]", template.name, template.change, repositories.join(", "))
            }
            Self::ApiCall(call) => write!(f, "{}: {}", call.repository, call.name),
            Self::IamCall(call) => match &call.whose {
                Permitted::User(name) => write!(f, "IAM user {}: {}", name.escape_debug(), call.name),
                Permitted::Role(name) => write!(f, "IAM role {}: {}", name.escape_debug(), call.name),
                Permitted::Others => write!(f, "IAM: {}", call.name),
            },
            Self::BuildState(build) => write!(f, "build {} {}", build.build, build.status),
            Self::BuildPhase(phase) => write!(f, "build {} phase {} {}", phase.build, phase.phase, phase.status),
            Self::Deployment(deployment) => {
                let group = (&deployment.application, &deployment.group);
                write!(f, "deployment {} of {} to {} {}", deployment.deployment, group.0, group.1, deployment.state)
            }
            Self::DeploymentInstance(on) => {
                write!(f, "deployment {} of {} on {} {}", on.deployment, on.application, on.instance, on.state)
            }
            Self::PipelineExecution(run) => {
                write!(f, "pipeline {} {}", run.pipeline, run.state)?;
                match &run.trigger {
                    Some(ExecutionTrigger::Start { trigger_type, .. }) => {
                        write!(f, " by {}", trigger_type.escape_debug())
                    }
                    Some(ExecutionTrigger::Commit(commit)) => match &commit.commit {
                        Some(id) => write!(f, " for {}", id.short()),
                        None => Ok(()),
                    },
                    None => Ok(()),
                }
            }
            Self::StageExecution(run) => write!(f, "pipeline {} stage {} {}", run.pipeline, run.stage, run.state),
            Self::ActionExecution(run) => {
                let category = run.action_type.category;
                write!(f, "pipeline {} action {}/{} ({category}) {}", run.pipeline, run.stage, run.action, run.state)
            }
            Self::Scheduled(scheduled) => match &scheduled.rule {
                Some(rule) => write!(f, "schedule {rule}"),
                None => f.write_str("schedule"),
            },
            Self::ReplicaState(change) => {
                let state = match change.state {
                    ReplicaState::Failed => "cannot be made equal",
                    ReplicaState::Changed => "still cannot be made equal",
                    ReplicaState::Equal => "is equal again",
                };
                write!(f, "{}: the copy at {} {state}", change.repository, change.target)
            }
            Self::ProtectionState(change) => write!(f, "{change}"),
            Self::CheckState(change) => {
                let state = match change.state {
                    CheckState::Wanted => "the protections that it needs are to be judged",
                    CheckState::Stale => "its merge results are to be built anew",
                    CheckState::Judged => "the protections that it needs were judged",
                };
                write!(f, "{}: pull request {}: {state}", change.repository, change.pull_request)
            }
        }
    }
}

impl fmt::Display for ProtectionStateChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.repository)?;
        match (self.about, &self.reference) {
            (Protected::Ref, Some(reference)) => write!(f, "{reference} ")?,
            (Protected::Ref, None) => f.write_str("its protected refs: ")?,
            (Protected::DefaultBranch, _) => f.write_str("the default branch ")?,
            (Protected::ApprovalRules, _) => f.write_str("its approval rules: ")?,
            (Protected::RepositoryTriggers, _) => f.write_str("its triggers: ")?,
            (Protected::PushPermissions, _) => f.write_str("who may push: ")?,
        }
        f.write_str(match self.state {
            ProtectionState::Restored => "was put back",
            ProtectionState::WouldRestore => "would be put back",
            ProtectionState::Violated => "is not as it should be",
            ProtectionState::Bypassed => "was changed by somebody who may",
            ProtectionState::Weakened => "the protection was weakened",
            ProtectionState::Contested => "is undone each time that it is put back",
            ProtectionState::Failed => "could not be judged or put back",
        })
    }
}

impl fmt::Display for ReferenceChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ", self.repository, self.reference)?;
        match &self.change {
            RefChange::Created { new } => write!(f, "created at {}", new.short())?,
            RefChange::Updated { old, new } => write!(f, "updated {}..{}", old.short(), new.short())?,
            RefChange::Deleted { old } => write!(f, "deleted, was {}", old.short())?,
        }
        match &self.merge {
            Some(merge) => write!(f, " by {}", merge.option),
            None => Ok(()),
        }
    }
}

impl fmt::Display for PullRequestChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: pull request {} ", self.repository, self.pull_request)?;
        match &self.event {
            PullRequestEvent::Created => write!(f, "created into {}", self.destination.reference),
            PullRequestEvent::SourceBranchUpdated => write!(f, "updated to {}", self.source.commit.short()),
            PullRequestEvent::StatusChanged => f.write_str("closed"),
            PullRequestEvent::MergeStatusUpdated { option: Some(option) } => write!(f, "merged by {option}"),
            PullRequestEvent::MergeStatusUpdated { option: None } => f.write_str("merged"),
            PullRequestEvent::ApprovalStateChanged { status } => write!(f, "approval {status}"),
            PullRequestEvent::ApprovalRuleCreated(rule) => write!(f, "rule {} created", rule.name),
            PullRequestEvent::ApprovalRuleUpdated(rule) => write!(f, "rule {} updated", rule.name),
            PullRequestEvent::ApprovalRuleDeleted(rule) => write!(f, "rule {} deleted", rule.name),
            PullRequestEvent::ApprovalRuleOverridden { status } => write!(f, "rules override {status}"),
        }
    }
}

impl fmt::Display for CommentChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Updated => "updated",
        })
    }
}

impl fmt::Display for TemplateChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Associated => "associated",
            Self::Disassociated => "disassociated",
            Self::BatchAssociated => "associated (batch)",
            Self::BatchDisassociated => "disassociated (batch)",
        })
    }
}
