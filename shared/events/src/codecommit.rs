//! The events of CodeCommit.

mod comment;
mod pull_request;
mod reference;
mod template;

pub use comment::{Comment, CommentChange, CommentReaction, PullRequestComment};
pub use pull_request::{
    ApprovalRule, ApprovalStatus, OverrideStatus, PullRequestChange, PullRequestEnd, PullRequestEvent, PullRequestState,
};
pub(crate) use reference::parse_repository_change;
pub use reference::{
    ConflictDetailLevel, ConflictResolution, MergeDetail, MergeOption, RefChange, ReferenceChange,
    UnreferencedMergeCommit,
};
pub use template::{ApprovalRuleTemplateChange, TemplateChange};

use crate::error::ParseError;
use crate::fields::{Fields, cut};

pub(crate) const REPOSITORY: &str = "CodeCommit Repository State Change";
pub(crate) const PULL_REQUEST: &str = "CodeCommit Pull Request State Change";
pub(crate) const PULL_REQUEST_OLD: &str = "CodeCommit PullRequest State Change";
pub(crate) const COMMENT_ON_COMMIT: &str = "CodeCommit Comment on Commit";
pub(crate) const COMMENT_ON_PULL_REQUEST: &str = "CodeCommit Comment on Pull Request";
pub(crate) const REACTION: &str = "CodeCommit Comment Reaction Change";
pub(crate) const TEMPLATE: &str = "CodeCommit Approval Rule Template Change";

/// Which events come under which detail-type.
const EVENTS: &[(&str, &[&str])] = &[
    (REPOSITORY, reference::EVENTS),
    (PULL_REQUEST, pull_request::EVENTS),
    (COMMENT_ON_COMMIT, comment::ON_COMMIT_EVENTS),
    (COMMENT_ON_PULL_REQUEST, comment::ON_PULL_REQUEST_EVENTS),
    (REACTION, comment::REACTION_EVENTS),
    (TEMPLATE, template::EVENTS),
];

/// The word under `event`.
fn event_word<'a>(detail: &Fields<'a>) -> Result<&'a str, ParseError> {
    detail.text("event", "the name of a CodeCommit event")
}

/// An event name that does not belong where it is: another detail-type's, or nobody's.
fn unexpected_event(
    detail: &Fields<'_>,
    event: &str,
    detail_type: &'static str,
    known: &'static [&'static str],
) -> ParseError {
    match EVENTS.iter().find(|(_, events)| events.contains(&event)) {
        Some((belongs_under, _)) => ParseError::WrongDetailType { event: cut(event), detail_type, belongs_under },
        None => ParseError::Unknown { field: detail.at("event"), value: cut(event), known },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_event_name_belongs_to_two_detail_types() {
        let mut names: Vec<_> = EVENTS.iter().flat_map(|(_, events)| events.iter()).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
