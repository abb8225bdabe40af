//! What the inputs of pull requests are made of, with the code that AWS answers when they are wrong.

use super::super::names::{BranchName, is_ref_name};
use super::shapes::Target;
use crate::error::{Answer, ServiceError};

/// Longest title; the service model has this, one sentence of the documentation 100.
const LONGEST_TITLE: usize = 150;
/// Longest description.
const LONGEST_DESCRIPTION: usize = 10_240;

/// The `pullRequestId` of an input.
pub(in crate::codecommit) fn check_id(id: Option<String>) -> Answer<u64> {
    let id = id
        .filter(|id| !id.is_empty())
        .ok_or_else(|| ServiceError::bad("PullRequestIdRequiredException", "the id of a pull request is required"))?;
    let digits = id.bytes().all(|byte| byte.is_ascii_digit());
    id.parse().ok().filter(|_| digits).ok_or_else(|| {
        ServiceError::bad("InvalidPullRequestIdException", format!("{id:?} is not the id of a pull request: a number"))
    })
}

pub(super) fn check_title(title: Option<String>) -> Answer<String> {
    let title = title
        .filter(|title| !title.trim().is_empty())
        .ok_or_else(|| ServiceError::bad("TitleRequiredException", "a title is required"))?;
    if title.chars().count() > LONGEST_TITLE {
        return Err(ServiceError::bad(
            "InvalidTitleException",
            format!("the title is longer than {LONGEST_TITLE} characters"),
        ));
    }
    Ok(title)
}

/// An empty description is none.
pub(super) fn check_description(description: Option<String>) -> Answer<Option<String>> {
    if description.as_ref().is_some_and(|text| text.chars().count() > LONGEST_DESCRIPTION) {
        return Err(ServiceError::bad(
            "InvalidDescriptionException",
            format!("the description is longer than {LONGEST_DESCRIPTION} characters"),
        ));
    }
    Ok(description.filter(|text| !text.is_empty()))
}

/// The one target that a pull request has.
pub(super) fn check_targets(targets: Option<Vec<Option<Target>>>) -> Answer<Target> {
    let targets = targets
        .filter(|targets| !targets.is_empty())
        .ok_or_else(|| ServiceError::bad("TargetsRequiredException", "a target is required"))?;
    let targets: Option<Vec<Target>> = targets.into_iter().collect();
    let mut targets =
        targets.ok_or_else(|| ServiceError::bad("TargetRequiredException", "a target is null"))?.into_iter();
    match (targets.next(), targets.next()) {
        (Some(target), None) => Ok(target),
        (Some(one), Some(other)) if one.repository_name != other.repository_name => {
            Err(ServiceError::bad("MultipleRepositoriesInPullRequestException", "a pull request is in one repository"))
        }
        _ => Err(ServiceError::bad("InvalidTargetsException", "a pull request has one target")),
    }
}

/// A branch, by its short or its full name.
pub(super) fn check_reference(name: Option<String>) -> Answer<BranchName> {
    let name = name
        .filter(|name| !name.is_empty())
        .ok_or_else(|| ServiceError::bad("ReferenceNameRequiredException", "the name of a branch is required"))?;
    let invalid = |name: &str| {
        ServiceError::bad("InvalidReferenceNameException", format!("{name:?} is no valid name of a reference"))
    };
    if name.starts_with("refs/") && !name.starts_with("refs/heads/") {
        return Err(if is_ref_name(&name) {
            ServiceError::bad("ReferenceTypeNotSupportedException", format!("{name} is not a branch"))
        } else {
            invalid(&name)
        });
    }
    let short = name.strip_prefix("refs/heads/").unwrap_or(&name);
    BranchName::check(Some(short.to_owned())).map_err(|_| invalid(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T: std::fmt::Debug>(answer: Answer<T>) -> String {
        answer.unwrap_err().code
    }

    #[test]
    fn an_id_is_a_number() {
        assert_eq!(check_id(Some("17".to_owned())), Ok(17));
        assert_eq!(code(check_id(None)), "PullRequestIdRequiredException");
        for wrong in ["x", "+1", "-1", "1.0", " 1", "99999999999999999999"] {
            assert_eq!(code(check_id(Some(wrong.to_owned()))), "InvalidPullRequestIdException", "{wrong}");
        }
    }

    #[test]
    fn a_branch_is_named_short_or_in_full_and_nothing_else_is_a_branch() {
        for name in ["feature/x", "refs/heads/feature/x"] {
            assert_eq!(check_reference(Some(name.to_owned())).unwrap().full(), "refs/heads/feature/x");
        }
        assert_eq!(code(check_reference(Some("refs/tags/v1".to_owned()))), "ReferenceTypeNotSupportedException");
        assert_eq!(code(check_reference(Some("refs/tags/a b".to_owned()))), "InvalidReferenceNameException");
        assert_eq!(code(check_reference(Some("a b".to_owned()))), "InvalidReferenceNameException");
        assert_eq!(code(check_reference(None)), "ReferenceNameRequiredException");
    }
}
