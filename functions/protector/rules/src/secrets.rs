//! Texts that look like credentials.
//!
//! Each pattern stands for one kind of token with a form of its own, so that a hit is worth a mail. What was found is told
//! by its kind and its line; the text itself is kept nowhere.

use std::sync::LazyLock;

use regex::bytes::{Regex, RegexSet};
use serde::{Deserialize, Serialize};
use signalbox_policy::Pattern;

/// Of one file at most this many hits are told.
const MOST_HITS: usize = 20;

/// A kind of credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretKind {
    /// The id of an AWS access key; its secret is seldom far.
    AwsAccessKey,
    /// The secret of an AWS access key, by the name in front of it.
    AwsSecretKey,
    /// A private key in PEM form.
    PrivateKey,
    /// A token of GitHub.
    GithubToken,
    /// A token of GitLab.
    GitlabToken,
    /// A token of Slack.
    SlackToken,
    /// The address of a Slack hook, which is a credential in itself.
    SlackHook,
    /// A live key of Stripe.
    StripeKey,
    /// A key of a Google API.
    GoogleKey,
    /// A token of npm.
    NpmToken,
    /// A token of PyPI.
    PypiToken,
    /// A key of `SendGrid`.
    SendgridKey,
    /// A password in an address.
    PasswordInAddress,
}

impl SecretKind {
    /// What it is called in a sentence.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AwsAccessKey => "an AWS access key",
            Self::AwsSecretKey => "the secret of an AWS access key",
            Self::PrivateKey => "a private key",
            Self::GithubToken => "a GitHub token",
            Self::GitlabToken => "a GitLab token",
            Self::SlackToken => "a Slack token",
            Self::SlackHook => "the address of a Slack hook",
            Self::StripeKey => "a live Stripe key",
            Self::GoogleKey => "a Google API key",
            Self::NpmToken => "an npm token",
            Self::PypiToken => "a PyPI token",
            Self::SendgridKey => "a SendGrid key",
            Self::PasswordInAddress => "a password in an address",
        }
    }
}

/// A text that looks like a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretHit {
    /// Which kind.
    pub kind: SecretKind,
    /// The line, the first is 1.
    pub line: usize,
    /// The patterns of the policy, as written, that say that this text is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_by: Vec<String>,
}

const PATTERNS: &[(SecretKind, &str)] = &[
    (SecretKind::AwsAccessKey, r"\b(AKIA|ASIA|AROA|AIDA)[A-Z2-7]{16}\b"),
    (
        SecretKind::AwsSecretKey,
        r#"(?i)aws_?(secret)?_?(access)?_?key(_?secret)?["']?\s{0,8}(=|:|=>)\s{0,8}["']?[A-Za-z0-9/+]{40}(["'\s]|$)"#,
    ),
    (SecretKind::PrivateKey, r"-----BEGIN ([A-Z0-9]{1,12} ){0,2}PRIVATE KEY( BLOCK)?-----"),
    (SecretKind::GithubToken, r"\b(gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_[A-Za-z0-9_]{82})\b"),
    (SecretKind::GitlabToken, r"\bglpat-[A-Za-z0-9_-]{20,}"),
    (SecretKind::SlackToken, r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    (SecretKind::SlackHook, r"https://hooks\.slack\.com/(services|workflows)/[A-Za-z0-9+/]{40,}"),
    (SecretKind::StripeKey, r"\b(sk|rk)_live_[A-Za-z0-9]{16,}"),
    (SecretKind::GoogleKey, r"\bAIza[A-Za-z0-9_-]{35}"),
    (SecretKind::NpmToken, r"\bnpm_[A-Za-z0-9]{36}\b"),
    (SecretKind::PypiToken, r"\bpypi-[A-Za-z0-9_-]{50,}"),
    (SecretKind::SendgridKey, r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    (
        SecretKind::PasswordInAddress,
        r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@'<>{}$]{1,64}:[^\s/@'<>{}$*]{3,128}@[A-Za-z0-9]",
    ),
];

/// Compiled on first use: most pushes are not looked into. A pattern that does not compile is a fault that the tests find.
static COMPILED: LazyLock<(RegexSet, Vec<(SecretKind, Regex)>)> = LazyLock::new(|| {
    let set = RegexSet::new(PATTERNS.iter().map(|(_, pattern)| pattern)).unwrap_or_else(|_| RegexSet::empty());
    let each = PATTERNS.iter().filter_map(|(kind, pattern)| Some((*kind, Regex::new(pattern).ok()?)));
    (set, each.collect())
});

/// Every text in this content that looks like a credential.
///
/// `allowed` are patterns of the policy for texts that are none; which of them are found in a hit is told with it. The engine takes time
/// linear in the content.
pub fn find_secrets(content: &[u8], allowed: &[Pattern]) -> Vec<SecretHit> {
    let (set, each) = &*COMPILED;
    let mut hits = Vec::new();
    for index in set.matches(content) {
        let Some((kind, regex)) = each.get(index) else { continue };
        for found in regex.find_iter(content) {
            let before = content.get(..found.start()).unwrap_or_default();
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let text = String::from_utf8_lossy(found.as_bytes());
            let allowed_by = allowed.iter().filter(|pattern| pattern.is_found_in(&text));
            let allowed_by = allowed_by.map(|pattern| pattern.as_str().to_owned()).collect();
            hits.push(SecretHit { kind: *kind, line, allowed_by });
            if hits.len() == MOST_HITS {
                return hits;
            }
        }
    }
    hits.sort_by_key(|hit| (hit.line, hit.kind));
    hits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<SecretKind> {
        find_secrets(text.as_bytes(), &[]).into_iter().map(|hit| hit.kind).collect()
    }

    #[test]
    fn every_pattern_compiles() {
        let (set, each) = &*COMPILED;
        assert_eq!((set.len(), each.len()), (PATTERNS.len(), PATTERNS.len()));
    }

    /// Put together here, so that no scanner of others takes this file for a leak.
    #[test]
    fn each_kind_is_found_by_its_form() {
        let long = "a1B2c3D4e5".repeat(9);
        let cut = |length: usize| &long[..length];
        for (text, kind) in [
            (format!("key = {}{}", "AKIA", "IOSFODNN7EXAMPLE".replace('1', "2")), SecretKind::AwsAccessKey),
            (format!("aws_secret_access_key = {}", cut(40)), SecretKind::AwsSecretKey),
            (format!("-----BEGIN {}PRIVATE KEY-----", "OPENSSH "), SecretKind::PrivateKey),
            (format!("-----BEGIN {}-----", "PRIVATE KEY"), SecretKind::PrivateKey),
            (format!("{}{}", "ghp_", cut(36)), SecretKind::GithubToken),
            (format!("{}{}", "glpat-", cut(20)), SecretKind::GitlabToken),
            (format!("{}{}", "xoxb-", cut(24)), SecretKind::SlackToken),
            (format!("{}{}", "sk_live_", cut(24)), SecretKind::StripeKey),
            (format!("{}{}", "AIza", cut(35)), SecretKind::GoogleKey),
            (format!("{}{}", "npm_", cut(36)), SecretKind::NpmToken),
            (format!("{}{}", "pypi-", cut(60)), SecretKind::PypiToken),
            (format!("{}{}.{}", "SG.", cut(22), cut(43)), SecretKind::SendgridKey),
            (format!("postgres://app:{}@db.example.com/app", "hunter22"), SecretKind::PasswordInAddress),
        ] {
            assert_eq!(kinds(&text), [kind], "{text}");
        }
    }

    #[test]
    fn what_only_resembles_a_credential_is_left_alone() {
        for text in [
            "AKIAIOSFODNN7EXAMPL",
            "-----BEGIN PUBLIC KEY-----",
            "-----BEGIN CERTIFICATE-----",
            "https://example.com/a:b@c",
            "https://user:${PASSWORD}@example.com",
            "https://example.com:8080/x@y",
            "ghp_short",
            "0123456789abcdef0123456789abcdef01234567",
            "user@example.com: hello",
        ] {
            assert_eq!(kinds(text), [], "{text}");
        }
    }

    #[test]
    fn a_hit_names_its_line_and_the_patterns_that_allow_it_and_never_the_text() {
        let token = format!("{}{}", "ghp_", "x".repeat(36));
        let allowed = [Pattern::parse("^ghp_x+$").unwrap(), Pattern::parse("other").unwrap()];
        let hits = find_secrets(format!("one\ntwo {token}\n").as_bytes(), &allowed);
        assert_eq!(hits.len(), 1);
        assert_eq!((hits[0].line, hits[0].allowed_by.as_slice()), (2, ["^ghp_x+$".to_owned()].as_slice()));
        assert!(!serde_json::to_string(&hits).unwrap().contains(&token));
    }
}
