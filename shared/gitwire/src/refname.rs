//! Names of refs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longer names fit into no file system that a host would keep them in.
const LONGEST: usize = 4096;

/// A full ref name below `refs/`, well formed by the rules of `git check-ref-format`.
///
/// git allows bytes that are no UTF-8, too; hosts do not, and neither does this type.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RefName(Box<str>);

/// A name that git refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a ref name: {problem}")]
pub struct InvalidRefName {
    /// The name, shortened.
    pub name: String,
    /// The rule that it breaks.
    pub problem: &'static str,
}

impl RefName {
    /// Checks a full name.
    pub fn parse(name: &str) -> Result<Self, InvalidRefName> {
        match problem_of(name) {
            None => Ok(Self(name.into())),
            Some(problem) => Err(InvalidRefName { name: crate::error::quote(name.as_bytes()), problem }),
        }
    }

    pub(crate) fn parse_bytes(name: &[u8]) -> Result<Self, InvalidRefName> {
        let invalid = || InvalidRefName { name: crate::error::quote(name), problem: "it is not UTF-8" };
        Self::parse(std::str::from_utf8(name).map_err(|_| invalid())?)
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The rules of git-check-ref-format(1), in its order.
fn problem_of(name: &str) -> Option<&'static str> {
    let rules: [(bool, &str); 11] = [
        (!name.starts_with("refs/"), "it does not begin with refs/"),
        (name.len() > LONGEST, "it is longer than 4096 bytes"),
        (name.split('/').any(str::is_empty), "a part between slashes is empty"),
        (name.split('/').any(|part| part.starts_with('.')), "a part begins with a dot"),
        (name.split('/').any(|part| part.ends_with(".lock")), "a part ends with .lock"),
        (name.contains(".."), "it contains two dots in a row"),
        (name.contains(|c: char| c.is_ascii_control()), "it contains a control character"),
        (name.contains([' ', '~', '^', ':']), "it contains a space, ~, ^ or :"),
        (name.contains(['?', '*', '[', '\\']), "it contains ?, *, [ or a backslash"),
        (name.contains("@{"), "it contains @{"),
        (name.ends_with('.'), "it ends with a dot"),
    ];
    rules.into_iter().find_map(|(broken, problem)| broken.then_some(problem))
}

impl TryFrom<String> for RefName {
    type Error = InvalidRefName;

    fn try_from(name: String) -> Result<Self, InvalidRefName> {
        Self::parse(&name)
    }
}

impl std::str::FromStr for RefName {
    type Err = InvalidRefName;

    fn from_str(name: &str) -> Result<Self, InvalidRefName> {
        Self::parse(name)
    }
}

impl From<RefName> for String {
    fn from(name: RefName) -> Self {
        name.0.into()
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_takes_is_taken() {
        for good in ["refs/heads/main", "refs/tags/v1.0", "refs/heads/a/b@c", "refs/heads/ä", "refs/heads/@", "refs/x"]
        {
            assert_eq!(RefName::parse(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn what_git_refuses_is_refused_with_the_rule() {
        for (bad, rule) in [
            ("HEAD", "refs/"),
            ("refs/", "empty"),
            ("refs/heads//a", "empty"),
            ("refs/heads/a/", "empty"),
            ("refs/heads/.a", "dot"),
            ("refs/heads/a.lock/b", ".lock"),
            ("refs/heads/a..b", "two dots"),
            ("refs/heads/a\x7f", "control"),
            ("refs/heads/a\nb", "control"),
            ("refs/heads/a b", "space"),
            ("refs/heads/a*", "*"),
            ("refs/heads/a@{b", "@{"),
            ("refs/heads/a.", "ends with a dot"),
        ] {
            let refused = RefName::parse(bad).unwrap_err();
            assert!(refused.problem.contains(rule), "{bad}: {refused}");
        }
        assert!(RefName::parse_bytes(b"refs/heads/\xff").is_err());
        assert!(serde_json::from_str::<RefName>("\"main\"").is_err());
    }
}
