//! Secrets taken out of text that leaves the account: log lines, commands, commit messages.
//!
//! What looks like a secret is removed even where it may not be one; what is plainly a word, a path or a commit id stays.
//! No pattern knows every secret: this is the last net, not the first.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What stands where a secret was.
const REMOVED: &str = "[removed]";

/// Names whose values are secrets.
const SECRET_NAME: &str = r"(?:password|passwd|passwort|passphrase|pwd|secret|token|credentials?|signature|(?:api|access|secret|private|account|auth|signing|encryption|master|storage)[_.-]?key|apikey|connection[_-]?string)";

/// Values behind such a name that are a word of the message, not a secret.
const WORDS: &[&str] = &[
    "",
    "none",
    "null",
    "nil",
    "true",
    "false",
    "undefined",
    "required",
    "missing",
    "invalid",
    "incorrect",
    "expired",
    "wrong",
    "empty",
    "ok",
    "set",
    "unset",
    "not",
    "yes",
    "no",
    "failed",
    "denied",
    "rejected",
    "unknown",
    "changed",
    "is",
    "was",
    "must",
    "the",
    "a",
    "an",
    "expected",
    "unexpected",
    "could",
    "cannot",
    "found",
    "string",
    "str",
    "0",
    "1",
];

#[expect(clippy::expect_used, reason = "every pattern is a constant, and a test compiles them all")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

/// Tokens that are known by their shape alone.
static SHAPES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?x-u)
        \b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b                        # AWS access key ids
        | \b(?:FwoGZXIvYXdz|IQoJb3JpZ2lu|FQoGZXIvYXdz|AQoDYXdz)[A-Za-z0-9+/=%_-]{30,}  # AWS session tokens
        | \bgh[pousr]_[A-Za-z0-9]{20,} | \bgithub_pat_[A-Za-z0-9_]{20,}
        | \bgl[a-z]{2,5}-[A-Za-z0-9_.-]{20,}
        | \bxox[a-z]-[A-Za-z0-9-]{10,} | \bxapp-[A-Za-z0-9-]{10,}
        | \bhooks\.slack\.com/services/[A-Za-z0-9/_-]+
        | \b[sr]k_(?:live|test)_[A-Za-z0-9]{16,} | \bnpm_[A-Za-z0-9]{36} | \bpypi-[A-Za-z0-9_-]{50,}
        | \bAIza[A-Za-z0-9_-]{35}
        | \beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)?   # JSON web tokens
        | \beyJ[A-Za-z0-9+/_-]{60,}={0,2}                              # registry passwords are JSON in base64",
    )
});

/// `://user:password@`, and a long user without a password, which is a token.
static URL: LazyLock<Regex> = LazyLock::new(|| pattern(r"(://)(?:[^\s/:@]*:[^\s/@]*(?:@[^\s/@]*)*|[^\s/:@]{20,})@"));

/// `Authorization: SCHEME VALUE`, to the end of the line or its quote.
static HEADER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?i)(\bauthorization\\{0,3}["']?[ \t]*[:=][ \t]*\\{0,3}["']?(?:bearer|basic|token|digest|negotiate|aws4-hmac-sha256)[ \t]+)[^"'\\\r\n]+"#,
    )
});

/// A scheme of that header anywhere else.
static SCHEME: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i-u)\b(bearer|basic)([ \t]+)([A-Za-z0-9+/_.~-]{16,}={0,2})"));

/// `name = value` in the many ways of shells, JSON, YAML, URLs and properties.
static ASSIGNED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r#"(?i)(?P<name>[A-Za-z0-9_.-]*{SECRET_NAME}[0-9]*)(?P<sep>\\{{0,3}}["']?[ \t]*(?:=>|:=|=|:)[ \t]*)(?P<value>\\+"[^"\n]*"?|"(?:[^"\\\n]|\\[^\n])*"?|'[^'\n]*'?|[^\s"'&,;]+)"#
    ))
});

/// `--password value`.
static FLAG: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r#"(?i)(?P<name>--?[a-z0-9-]*{SECRET_NAME})(?P<sep>[ \t]+)(?P<value>"[^"\n]*"|'[^'\n]*'|[^\s"'-][^\s"']*)"#
    ))
});

/// What might be an AWS secret key: 40 signs of base64 by themselves.
static FORTY: LazyLock<Regex> = LazyLock::new(|| pattern(r"[A-Za-z0-9/+=_.-]+"));

/// A part of a path or a name that a person wrote.
static WORDLIKE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:[A-Z]{0,3}[a-z]+)+[0-9]{0,6}$|^[0-9]{1,8}$|^$"));

/// The text with every secret that is recognised replaced by `[removed]`. Doing it twice changes nothing more.
pub fn redact(text: &str) -> String {
    let mut text = without_key_blocks(text);
    text = HEADER.replace_all(&text, format!("${{1}}{REMOVED}")).into_owned();
    text = URL.replace_all(&text, format!("${{1}}{REMOVED}@")).into_owned();
    text = SHAPES.replace_all(&text, REMOVED).into_owned();
    text = SCHEME
        .replace_all(&text, |found: &Captures<'_>| {
            let (scheme, space, value) = (part(found, 1), part(found, 2), part(found, 3));
            let is_word = !value.contains(|c: char| c.is_ascii_digit() || c == '=');
            if is_word { part(found, 0).to_owned() } else { format!("{scheme}{space}{REMOVED}") }
        })
        .into_owned();
    text = FLAG.replace_all(&text, assigned).into_owned();
    text = ASSIGNED.replace_all(&text, assigned).into_owned();
    FORTY
        .replace_all(&text, |found: &Captures<'_>| {
            let value = part(found, 0);
            let bare = value.rsplit_once('=').map_or(value, |(_, bare)| if bare.is_empty() { value } else { bare });
            let before = value.strip_suffix(bare).unwrap_or_default();
            if is_secret_key(bare) { format!("{before}{REMOVED}") } else { value.to_owned() }
        })
        .into_owned()
}

fn part<'t>(found: &Captures<'t>, group: usize) -> &'t str {
    found.get(group).map_or("", |group| group.as_str())
}

fn assigned(found: &Captures<'_>) -> String {
    let named = |name| found.name(name).map_or("", |group| group.as_str());
    let (name, sep, value) = (named("name"), named("sep"), named("value"));
    let bare = value.trim_matches(['\\', '"', '\'']);
    let word = bare.trim_end_matches(['.', ')', ']', '}', '!', '?', ':']).to_ascii_lowercase();
    let stays = WORDS.contains(&word.as_str())
        || bare.contains(REMOVED)
        || bare.starts_with('$')
        || bare.starts_with('<') && bare.ends_with('>')
        || bare.chars().all(|c| c == '*')
        // A type's path (`Token::new`), an operator (`token == 1`), and the shell's own `PWD=/...`.
        || bare.starts_with(':')
        || bare.starts_with('=')
        || bare.starts_with('/') && name.eq_ignore_ascii_case("pwd")
        || bare.starts_with('/') && name.eq_ignore_ascii_case("oldpwd");
    if stays {
        return part(found, 0).to_owned();
    }
    let quote = value.strip_suffix(value.trim_start_matches(['\\', '"', '\''])).unwrap_or_default();
    // The inside of a value without its quotes may end with one of another kind; the shell does not care, and no secret stays.
    let closing = if !quote.is_empty() && value.len() > quote.len() && value.ends_with(quote) { quote } else { "" };
    format!("{name}{sep}{quote}{REMOVED}{closing}")
}

/// 40 signs of base64 that are no commit id, no path and no long name.
fn is_secret_key(text: &str) -> bool {
    text.len() == 40
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '+'))
        && text.chars().any(|c| c.is_ascii_uppercase())
        && text.chars().any(|c| c.is_ascii_lowercase())
        && text.chars().any(|c| !c.is_ascii_alphabetic())
        && !text.chars().all(|c| c.is_ascii_hexdigit())
        && !text.split('/').all(|part| WORDLIKE.is_match(part))
}

/// Private keys span lines; the end of a log may begin in the middle of one.
fn without_key_blocks(text: &str) -> String {
    let mut kept: Vec<Cow<'_, str>> = Vec::new();
    let mut inside = false;
    for line in text.split('\n') {
        let begins =
            line.find("-----BEGIN ").filter(|at| line.get(*at..).is_some_and(|rest| rest.contains("PRIVATE KEY")));
        let ends =
            line.rfind("-----END ").filter(|at| line.get(*at..).is_some_and(|rest| rest.contains("PRIVATE KEY")));
        match (inside, begins, ends) {
            (_, Some(begin), end) => {
                kept.push(Cow::Owned(format!("{}{REMOVED}", line.get(..begin).unwrap_or_default())));
                inside = end.is_none_or(|end| end < begin);
            }
            (true, None, end) => inside = end.is_none(),
            (false, None, Some(_)) => {
                while kept.last().is_some_and(|line| is_key_line(line)) {
                    kept.pop();
                }
                kept.push(Cow::Borrowed(REMOVED));
            }
            (false, None, None) => kept.push(Cow::Borrowed(line)),
        }
    }
    kept.join("\n")
}

fn is_key_line(line: &str) -> bool {
    let line = line.trim();
    line.len() >= 16 && line.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '='))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Text, and the secret in it that must not be left.
    const SECRETS: &[(&str, &str)] = &[
        ("using key AKIAIOSFODNN7EXAMPLE now", "AKIAIOSFODNN7EXAMPLE"),
        ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI"),
        ("key: wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY,", "wJalrXUtnFEMI"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI"),
        ("export DB_PASSWORD='hunter two'", "hunter two"),
        ("password=hunter2", "hunter2"),
        ("dbPassword: hunter2", "hunter2"),
        ("{\"password\": \"hunter\\\"2\", \"user\": \"x\"}", "hunter"),
        ("\"{\\\"token\\\":\\\"hunter2\\\"}\"", "hunter2"),
        ("client_secret => hunter2", "hunter2"),
        ("curl https://example.com/?token=hunter2&page=1", "hunter2"),
        ("login --user x --password hunter2 host", "hunter2"),
        ("login --api-key 'hunter 2' host", "hunter 2"),
        ("Authorization: Bearer abc.def-ghi", "abc.def-ghi"),
        ("-H 'Authorization: Basic dXNlcjpwYXNz' https://example.com", "dXNlcjpwYXNz"),
        ("Authorization: AWS4-HMAC-SHA256 Credential=x/20260302, Signature=abcdef", "abcdef"),
        ("sent Bearer 0123456789abcdef0123", "0123456789abcdef0123"),
        ("git clone https://user:p@ss:w0rd@example.com/x.git", "w0rd"),
        ("git clone https://0123456789abcdefghijklmn@example.com/x.git", "0123456789abcdefghijklmn"),
        ("postgres://app:hunter2@db:5432/app", "hunter2"),
        ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "ghp_"),
        ("glpat-0123456789abcdefghij", "glpat"),
        ("xoxb-1234567890-abcdef", "xoxb"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "eyJ"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\nabc\n-----END RSA PRIVATE KEY-----\nafter", "MIIE"),
        ("MIIEowIBAAKCAQEAMIIEowIBAAKCAQEA\nMIIEowIBAAKCAQEA\n-----END PRIVATE KEY-----", "MIIE"),
        ("X-Amz-Security-Token=IQoJb3JpZ2luX2VjEAAaCWV1LXdlc3QtMSJHMEUCIQD", "IQoJ"),
    ];

    /// What stays as it is.
    const ORDINARY: &[&str] = &[
        "commit ed278db82e063d976ad5bf4de2f8def065aa898a",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "error: password is required",
        "SyntaxError: Unexpected token: expected a comma",
        "Password: required",
        "assert_eq!(token, Token::Plus) failed",
        "PWD=/codebuild/output/src101",
        "TOKEN=$GITHUB_TOKEN make",
        "password: ****",
        "docker login --password-stdin",
        "tokens: 15, secrets found: 0",
        "see https://example.com/a@b and mail developer@example.com",
        "http://localhost:8080/path",
        "basic functionality-tests and BasicAuthenticationProvider",
        "The bearer of good news",
        "src/main/java/com/example/Deeply/Nested1",
        "AKIA is a prefix",
        "test tests::a_build_that_hangs_is_stopped ... ok",
        "-----BEGIN CERTIFICATE-----",
        "expected 41, found 42 at src/sum.rs:17:5",
    ];

    #[test]
    fn what_is_secret_is_removed() {
        for (text, secret) in SECRETS {
            let redacted = redact(text);
            assert!(!redacted.contains(secret) && redacted.contains(REMOVED), "{text:?} became {redacted:?}");
        }
    }

    #[test]
    fn ordinary_text_stays_as_it_is() {
        for text in ORDINARY {
            assert_eq!(redact(text), *text);
        }
    }

    #[test]
    fn what_stands_around_a_secret_stays() {
        assert_eq!(
            redact("x {\"password\": \"a b\", \"user\": \"u\"} y"),
            "x {\"password\": \"[removed]\", \"user\": \"u\"} y"
        );
        assert_eq!(redact("https://example.com/?token=abc&page=1"), "https://example.com/?token=[removed]&page=1");
        assert_eq!(redact("a\n-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\nb"), "a\n[removed]\nb");
    }

    fn hostile() -> impl Strategy<Value = String> {
        let pieces =
            SECRETS.iter().map(|(text, _)| (*text).to_owned()).chain(ORDINARY.iter().map(|text| (*text).to_owned()));
        let pieces: Vec<String> = pieces.collect();
        let piece = prop_oneof![proptest::sample::select(pieces), ".{0,12}", "[a-z=:\"'\\\\ @/]{0,12}"];
        proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn it_never_grows_without_bound_and_twice_is_once(text in hostile()) {
            let once = redact(&text);
            prop_assert!(once.len() <= text.len() * 3 + REMOVED.len(), "{text:?} became {once:?}");
            prop_assert_eq!(redact(&once), once.clone(), "{:?} became {:?}", text, once);
        }

        #[test]
        fn it_takes_any_text(text in "\\PC{0,200}") {
            let _redacted = redact(&text);
        }
    }
}
