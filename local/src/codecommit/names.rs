//! What CodeCommit's inputs are made of, checked once, with the code that AWS answers when they are wrong.

use signalbox_events::RepositoryName;

use crate::error::{Answer, ServiceError};

/// Longest branch name that CodeCommit takes.
const LONGEST_BRANCH: usize = 256;
/// Longest path of a file.
const LONGEST_PATH: usize = 4096;

/// The id of a git object: 40 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ObjectId(String);

impl ObjectId {
    /// What git calls "no object" in a compare-and-swap.
    pub(super) const NONE: &'static str = "0000000000000000000000000000000000000000";

    /// A full id, in either case; anything else is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_id = text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id.then(|| Self(text.to_ascii_lowercase()))
    }

    /// The digits.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ObjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for ObjectId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for ObjectId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not a full object id")))
    }
}

/// The `repositoryName` of an input.
pub(super) fn check_repository(name: Option<String>) -> Answer<RepositoryName> {
    let name = name
        .filter(|name| !name.is_empty())
        .ok_or_else(|| ServiceError::bad("RepositoryNameRequiredException", "a repository name is required"))?;
    RepositoryName::parse(name).map_err(|wrong| ServiceError::bad("InvalidRepositoryNameException", wrong.to_string()))
}

/// The size of a page: what was asked for, at most `most`; `code` is for what is no positive number.
pub(super) fn check_size(asked: Option<i64>, most: usize, code: &str) -> Answer<usize> {
    let Some(asked) = asked else { return Ok(most) };
    match usize::try_from(asked) {
        Ok(size) if size > 0 => Ok(size.min(most)),
        _ => Err(ServiceError::bad(code, format!("{asked} is not a positive number"))),
    }
}

/// The id of a commit, in full.
pub(super) fn check_commit_id(id: Option<String>) -> Answer<ObjectId> {
    let id = id
        .filter(|id| !id.is_empty())
        .ok_or_else(|| ServiceError::bad("CommitIdRequiredException", "the id of a commit is required"))?;
    ObjectId::parse(&id)
        .ok_or_else(|| ServiceError::bad("InvalidCommitIdException", format!("{id:?} is not a full commit id")))
}

/// An ARN that a listing is limited to; `code` is for what is none.
pub(super) fn check_arn(arn: Option<String>, code: &str) -> Answer<Option<String>> {
    let Some(arn) = arn else { return Ok(None) };
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let is_arn = matches!(parts.as_slice(), ["arn", partition, service, _, _, resource]
        if !partition.is_empty() && !service.is_empty() && !resource.is_empty());
    if is_arn { Ok(Some(arn)) } else { Err(ServiceError::bad(code, format!("{arn:?} is not an ARN"))) }
}

/// A branch's short name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BranchName(String);

impl BranchName {
    /// The branch of an input.
    pub(super) fn check(name: Option<String>) -> Answer<Self> {
        let name = name
            .filter(|name| !name.is_empty())
            .ok_or_else(|| ServiceError::bad("BranchNameRequiredException", "a branch name is required"))?;
        // A branch that looks like a commit id could never be told from one.
        let good = is_ref_name(&name)
            && !name.starts_with('-')
            && name.chars().count() <= LONGEST_BRANCH
            && ObjectId::parse(&name).is_none();
        if good {
            Ok(Self(name))
        } else {
            Err(ServiceError::bad("InvalidBranchNameException", format!("{name:?} is not a valid branch name")))
        }
    }

    /// `main`
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// `refs/heads/main`
    pub(super) fn full(&self) -> String {
        format!("refs/heads/{}", self.0)
    }
}

/// Whether git would take this as (the rest of) a ref's name; the rules of `git check-ref-format`.
pub(super) fn is_ref_name(name: &str) -> bool {
    let bad_character = |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    !name.is_empty()
        && name != "@"
        && !name.ends_with('.')
        && !name.contains("..")
        && !name.contains("@{")
        && !name.chars().any(bad_character)
        && name.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"))
}

/// The path of a file, from the repository's root and without a slash in front.
pub(super) fn check_path(path: Option<String>) -> Answer<String> {
    let path = path
        .filter(|path| !path.is_empty())
        .ok_or_else(|| ServiceError::bad("PathRequiredException", "the path of a file is required"))?;
    let relative = path.strip_prefix('/').unwrap_or(&path);
    if is_path(relative) { Ok(relative.to_owned()) } else { Err(invalid_path(&path)) }
}

/// The path of a folder; the root is empty or `/`.
pub(super) fn check_folder(path: &str) -> Answer<String> {
    let relative = path.strip_prefix('/').unwrap_or(path);
    let relative = relative.strip_suffix('/').unwrap_or(relative);
    if relative.is_empty() || is_path(relative) { Ok(relative.to_owned()) } else { Err(invalid_path(path)) }
}

fn is_path(path: &str) -> bool {
    path.chars().count() <= LONGEST_PATH
        && !path.contains('\0')
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != ".." && !part.eq_ignore_ascii_case(".git"))
}

fn invalid_path(path: &str) -> ServiceError {
    ServiceError::bad("InvalidPathException", format!("{path:?} is not a valid path in a repository"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T: std::fmt::Debug>(answer: Answer<T>) -> String {
        answer.unwrap_err().code
    }

    #[test]
    fn a_branch_has_a_name_that_git_takes_and_that_is_no_commit_id() {
        for good in ["main", "feature/x", "release/2026.1", "ünicode", "a-b_c"] {
            assert_eq!(BranchName::check(Some(good.to_owned())).unwrap().full(), format!("refs/heads/{good}"));
        }
        let long = "x".repeat(257);
        let id = "0123456789".repeat(4);
        for bad in
            ["-x", "a b", "a..b", "a/", "/a", "a//b", ".a", "a.lock", "a~1", "a^", "a:b", "@", "a@{1}", &long, &id]
        {
            assert_eq!(code(BranchName::check(Some(bad.to_owned()))), "InvalidBranchNameException", "{bad}");
        }
        assert_eq!(code(BranchName::check(None)), "BranchNameRequiredException");
        assert_eq!(code(BranchName::check(Some(String::new()))), "BranchNameRequiredException");
    }

    #[test]
    fn a_path_stays_inside_the_repository() {
        assert_eq!(check_path(Some("/src/lib.rs".to_owned())).unwrap(), "src/lib.rs");
        assert_eq!(check_folder("/").unwrap(), "");
        assert_eq!(check_folder("src/").unwrap(), "src");
        for bad in ["../x", "a/../b", "a//b", ".git/config", "a/.GIT", "a/", "//a", "a\0b"] {
            assert_eq!(code(check_path(Some(bad.to_owned()))), "InvalidPathException", "{bad}");
        }
        assert_eq!(code(check_path(None)), "PathRequiredException");
    }
}
