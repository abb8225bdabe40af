//! The names that only the policy knows: triggers, teams, people, secrets, patterns of ARNs.
//!
//! AWS's own names (repositories, projects, ...) come from `signalbox_events`.

use std::fmt;

use serde::{Deserialize, Serialize};
use signalbox_events::{Arn, InvalidName};

fn wrong(kind: &'static str, value: &str, problem: &'static str) -> InvalidName {
    InvalidName { kind, value: value.chars().take(80).collect(), problem }
}

/// Rejects what could break a log line, a mail header or a message attribute.
fn check_length(kind: &'static str, value: &str, shortest: usize, longest: usize) -> Result<(), InvalidName> {
    let length = value.chars().count();
    if length == 0 {
        Err(wrong(kind, value, "is empty"))
    } else if length < shortest {
        Err(wrong(kind, value, "is too short"))
    } else if length > longest {
        Err(wrong(kind, value, "is too long"))
    } else if value.chars().any(char::is_control) {
        Err(wrong(kind, value, "holds a control character"))
    } else {
        Ok(())
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $shortest:literal ..= $longest:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks and wraps; the error says what is wrong.
            pub fn parse(value: impl Into<String>) -> Result<Self, InvalidName> {
                let value = value.into();
                check_length($kind, &value, $shortest, $longest)?;
                let check: fn(&str) -> Option<&'static str> = $check;
                match check(&value) {
                    Some(problem) => Err(wrong($kind, &value, problem)),
                    None => Ok(Self(value)),
                }
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(value: String) -> Result<Self, InvalidName> {
                Self::parse(value)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

fn plain_word(value: &str) -> Option<&'static str> {
    value
        .chars()
        .any(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')))
        .then_some("holds something other than letters, digits, '_', '.' and '-'")
}

name!(
    /// The name of a trigger or of a named protection: 2 to 64 of `[A-Za-z0-9_.-]`.
    ///
    /// It becomes a role session name and the name of an approval rule, so it must fit both alphabets.
    TriggerName, "trigger name", 2..=64, plain_word
);
name!(
    /// The name of a team: 1 to 64 of `[A-Za-z0-9_.-]`, because it becomes a value in SNS filter policies.
    TeamName, "team name", 1..=64, plain_word
);
name!(
    /// What a person is called in mail: up to 100 characters, spaces allowed.
    PersonName, "person name", 1..=100, |value| {
        (value.trim() != value).then_some("begins or ends with white space")
    }
);
name!(
    /// An e-mail address, checked no further than what a header needs.
    EmailAddress, "e-mail address", 3..=254, |value| {
        if value.chars().any(|c| c.is_whitespace() || matches!(c, '<' | '>' | ',' | ';')) {
            return Some("holds a space, a comma, a semicolon or an angle bracket");
        }
        match value.rsplit_once('@') {
            Some((local, domain)) if !local.is_empty() && !local.contains('@') && domain.contains('.')
                && !domain.starts_with('.') && !domain.ends_with('.') => None,
            _ => Some("is not of the form NAME@DOMAIN"),
        }
    }
);
name!(
    /// The name of a secret in Secrets Manager, not the secret.
    SecretName, "secret name", 1..=512, |value| {
        value.chars().any(|c| !(c.is_ascii_alphanumeric() || "/_+=.@-".contains(c)))
            .then_some("holds something other than letters, digits and '/_+=.@-'")
    }
);
name!(
    /// The name of a parameter in Systems Manager Parameter Store.
    ParameterName, "parameter name", 1..=1011, |value| {
        value.chars().any(|c| !(c.is_ascii_alphanumeric() || "/_.-".contains(c)))
            .then_some("holds something other than letters, digits and '/_.-'")
    }
);
name!(
    /// The name of an environment variable or of a pipeline variable.
    VariableName, "variable name", 1..=128, |value| {
        if value.starts_with(|c: char| c.is_ascii_digit()) {
            Some("begins with a digit")
        } else {
            value.chars().any(|c| !(c.is_ascii_alphanumeric() || c == '_'))
                .then_some("holds something other than letters, digits and '_'")
        }
    }
);
name!(
    /// The path of a file in a repository, from its root.
    FilePath, "file path", 1..=4096, |value| {
        if value.starts_with('/') {
            Some("begins with a slash: paths are relative to the root of the repository")
        } else {
            value.split('/').any(|part| matches!(part, "" | "." | "..")).then_some("has an empty, '.' or '..' part")
        }
    }
);
name!(
    /// A branch by its short name, such as `main` or `release/1`.
    BranchName, "branch name", 1..=256, |value| {
        if value.starts_with("refs/") {
            Some("is a full ref name: write the short name")
        } else {
            value.chars().any(|c| c.is_whitespace() || "*?[~^:\\".contains(c))
                .then_some("holds a character that git refuses")
        }
    }
);
name!(
    /// A command in a comment on a pull request, such as `/test unit`.
    CommentCommand, "comment command", 2..=100, |value| {
        if !value.starts_with('/') {
            Some("does not begin with '/'")
        } else if value.trim() != value {
            Some("begins or ends with white space")
        } else {
            matches!(value, "/retest" | "/test ?" | "/test").then_some("is a command that Signalbox has itself")
        }
    }
);
name!(
    /// A pattern over ARNs with `*` (any run of characters) and `?` (one), as in IAM.
    ///
    /// Not a path glob: an ARN is one text, and `*` crosses its slashes and colons as it does in an IAM policy.
    ArnPattern, "ARN pattern", 1..=2048, |value| {
        if !value.starts_with("arn:") {
            Some("does not begin with 'arn:'")
        } else {
            (value.splitn(6, ':').count() < 6).then_some("has fewer than six parts")
        }
    }
);

impl ArnPattern {
    /// Whether the pattern covers this ARN.
    pub fn matches(&self, arn: &Arn) -> bool {
        wildcard(self.0.as_bytes(), arn.as_str().as_bytes())
    }

    /// Whether it names exactly one ARN.
    pub fn is_exact(&self) -> bool {
        !self.0.contains(['*', '?'])
    }
}

/// Matches with one point to return to, so that many stars cost no more than the product of the two lengths.
fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(&byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(&wanted) if wanted == b'?' || wanted == byte => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    p = star + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|&byte| byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_pattern_matches_as_in_iam() {
        let covers = |pattern: &str, arn: &str| ArnPattern::parse(pattern).unwrap().matches(&Arn::parse(arn).unwrap());
        let session = "arn:aws:sts::111122223333:assumed-role/Developer/developer@example.com";
        assert!(covers("arn:aws:sts::111122223333:assumed-role/Developer/*", session));
        assert!(covers("arn:aws:sts::*:assumed-role/*/developer@example.com", session));
        assert!(covers("arn:aws:sts::111122223333:assumed-role/Developer/develope?@example.com", session));
        assert!(covers("arn:*:*:*:*:*", session));
        assert!(!covers("arn:aws:sts::111122223333:assumed-role/Developer", session));
        assert!(!covers("arn:aws:sts::111122223333:assumed-role/Admin/*", session));
    }

    #[test]
    fn many_stars_do_not_explode() {
        let pattern = ArnPattern::parse(format!("arn:a:b:c:d:{}b", "*a".repeat(500))).unwrap();
        assert!(!pattern.matches(&Arn::parse(format!("arn:a:b:c:d:{}", "a".repeat(1500))).unwrap()));
    }

    #[test]
    fn a_trigger_name_fits_a_session_name_and_an_approval_rule() {
        assert!(TriggerName::parse("unit-2.x_y").is_ok());
        for bad in ["", "u", "unit test", "unit:1", "unit/1", &"x".repeat(65)] {
            assert!(TriggerName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_email_address_cannot_smuggle_a_second_one() {
        assert!(EmailAddress::parse("developer@example.com").is_ok());
        for bad in ["developer", "a@b", "a@b.c, d@e.f", "Developer <a@b.c>", "a@b.c\nBcc: d@e.f", "@example.com"] {
            assert!(EmailAddress::parse(bad).is_err(), "{bad}");
        }
    }
}
