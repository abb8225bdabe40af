//! Secrets taken out of text that leaves the account: log lines, commands, commit messages.
//!
//! What looks like a secret is removed even where it may not be one; what is plainly a word, a path or a commit id stays.
//! No pattern knows every secret: this is the last net, not the first.

use std::borrow::Cow;

use regex::Captures;

use crate::patterns::{
    ASSIGNED, DATABASE, FLAG, FORTY, HEADER, QUERY, REFERENCE, SCHEME, SHAPES, SHORT_FLAG, TO_THE_END, URL, USER,
    WORDLIKE,
};

/// What stands where a secret was.
pub(crate) const REMOVED: &str = "[removed]";

/// What stands before the command in a phase's context.
pub(crate) const COMMAND: &str = "Error while executing command: ";

/// What stands behind it.
pub(crate) const REASON: &str = ". Reason: ";

/// A text is looked at no more often than this once more.
const MOST_LOOKS: usize = 6;

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

/// The text with every secret that is recognised replaced by `[removed]`. Doing it twice changes nothing more.
pub fn redact(text: &str) -> String {
    let mut text = redact_once(text);
    // What was removed may have stood between a name and its value: the second look finds what is left, and a third hardly ever.
    for _ in 0..MOST_LOOKS {
        let again = redact_once(&text);
        if again == text {
            break;
        }
        text = again;
    }
    text
}

/// The context of a phase: each of its parts by itself, so that no secret swallows what stands behind it.
pub(crate) fn redact_context(context: &str) -> String {
    let Some((before, rest)) = context.split_once(COMMAND) else { return redact(context) };
    match rest.rsplit_once(REASON) {
        Some((command, reason)) => format!("{}{COMMAND}{}{REASON}{}", redact(before), redact(command), redact(reason)),
        None => format!("{}{COMMAND}{}", redact(before), redact(rest)),
    }
}

fn redact_once(text: &str) -> String {
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
    text = USER.replace_all(&text, of_user).into_owned();
    text = SHORT_FLAG.replace_all(&text, assigned).into_owned();
    text = DATABASE.replace_all(&text, assigned).into_owned();
    text = FLAG.replace_all(&text, assigned).into_owned();
    text = QUERY.replace_all(&text, assigned).into_owned();
    text = TO_THE_END.replace_all(&text, to_the_end).into_owned();
    text = ASSIGNED.replace_all(&text, assigned).into_owned();
    FORTY
        .replace_all(&text, |found: &Captures<'_>| {
            let value = part(found, 0);
            if is_secret_key(value) { REMOVED.to_owned() } else { value.to_owned() }
        })
        .into_owned()
}

fn part<'t>(found: &Captures<'t>, group: usize) -> &'t str {
    found.get(group).map_or("", |group| group.as_str())
}

fn named<'t>(found: &Captures<'t>, name: &str) -> &'t str {
    found.name(name).map_or("", |group| group.as_str())
}

/// Whether what stands behind the name of a secret is none.
fn is_no_secret(name: &str, bare: &str) -> bool {
    let word = bare.trim_end_matches(['.', ',', ';', ')', ']', '}', '!', '?', ':']).to_ascii_lowercase();
    WORDS.contains(&word.as_str())
        || bare.starts_with(REMOVED)
        || REFERENCE.is_match(bare)
        || bare.starts_with('<') && bare.ends_with('>')
        || bare.chars().all(|c| c == '*')
        // A type's path (`Token::new`), an operator (`token == 1`), and the shell's own `PWD=/...`.
        || bare.starts_with(':')
        || bare.starts_with('=')
        || bare.starts_with('/') && name.eq_ignore_ascii_case("pwd")
        || bare.starts_with('/') && name.eq_ignore_ascii_case("oldpwd")
}

fn assigned(found: &Captures<'_>) -> String {
    let (name, sep, value) = (named(found, "name"), named(found, "sep"), named(found, "value"));
    if is_no_secret(name, value.trim_matches(['\\', '"', '\''])) {
        return part(found, 0).to_owned();
    }
    let quote = value.strip_suffix(value.trim_start_matches(['\\', '"', '\''])).unwrap_or_default();
    // The inside of a value without its quotes may end with one of another kind; the shell does not care, and no secret stays.
    let closing = if !quote.is_empty() && value.len() > quote.len() && value.ends_with(quote) { quote } else { "" };
    format!("{name}{sep}{quote}{REMOVED}{closing}")
}

fn to_the_end(found: &Captures<'_>) -> String {
    let either = |one, other| found.name(one).or_else(|| found.name(other)).map_or("", |group| group.as_str());
    let (before, name) = (either("before", "before2"), either("name", "name2"));
    let (sep, value) = (either("sep", "sep2"), either("value", "value2"));
    // A message begins with a word of a message; a reference may have a comment behind it.
    if is_no_secret(name, value.split_whitespace().next().unwrap_or_default()) {
        return part(found, 0).to_owned();
    }
    format!("{before}{name}{sep}{REMOVED}")
}

fn of_user(found: &Captures<'_>) -> String {
    let of = |kind| ["1", "2", "3"].into_iter().find_map(|n| found.name(&format!("{kind}{n}"))).map(|it| it.as_str());
    let (user, value) = (of("user").unwrap_or_default(), of("value").unwrap_or_default());
    // `1000:1000` is a user and a group.
    let is_number = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if value.starts_with("//") || is_number(user) && is_number(value) || is_no_secret("", value) {
        return part(found, 0).to_owned();
    }
    let quote = if found.name("user1").is_some() {
        "\""
    } else if found.name("user2").is_some() {
        "'"
    } else {
        ""
    };
    format!("{}{quote}{user}:{REMOVED}{quote}", named(found, "name"))
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

/// Private keys span lines; a log may begin, and end, in the middle of one.
fn without_key_blocks(text: &str) -> String {
    let mut kept: Vec<Cow<'_, str>> = Vec::new();
    let mut inside = false;
    for line in text.split('\n') {
        let begins =
            line.find("-----BEGIN ").filter(|at| line.get(*at..).is_some_and(|rest| rest.contains("PRIVATE KEY")));
        let ends =
            line.rfind("-----END ").filter(|at| line.get(*at..).is_some_and(|rest| rest.contains("PRIVATE KEY")));
        if !inside && ends.is_some_and(|end| begins.is_some_and(|begin| end < begin)) {
            drop_key_lines(&mut kept);
        }
        match (inside, begins, ends) {
            (_, Some(begin), end) => {
                kept.push(Cow::Owned(format!("{}{REMOVED}", line.get(..begin).unwrap_or_default())));
                inside = end.is_none_or(|end| end < begin);
            }
            (true, None, end) => inside = end.is_none(),
            (false, None, Some(_)) => {
                drop_key_lines(&mut kept);
                kept.push(Cow::Borrowed(REMOVED));
            }
            (false, None, None) => kept.push(Cow::Borrowed(line)),
        }
    }
    without_key_bodies(kept).join("\n")
}

/// Takes away the end of a key whose beginning was cut off.
fn drop_key_lines(kept: &mut Vec<Cow<'_, str>>) {
    // The last line of a key may be as short as one group of base64.
    let mut shortest = 1;
    while kept.last().is_some_and(|line| key_signs(line).is_some_and(|signs| signs >= shortest)) {
        kept.pop();
        shortest = 16;
    }
}

/// A key of which neither the first nor the last line is there: full lines of base64 in a row, and a shorter one behind them.
fn without_key_bodies(lines: Vec<Cow<'_, str>>) -> Vec<Cow<'_, str>> {
    let is_full =
        |line: &Cow<'_, str>| key_signs(line).is_some_and(|signs| matches!(signs, 64 | 70 | 76)) && is_mixed(line);
    let mut kept: Vec<Cow<'_, str>> = Vec::with_capacity(lines.len());
    let mut rest = lines.into_iter().peekable();
    while let Some(line) = rest.next() {
        if !(is_full(&line) && rest.peek().is_some_and(is_full)) {
            kept.push(line);
            continue;
        }
        while rest.next_if(is_full).is_some() {}
        let _tail =
            rest.next_if(|line| key_signs(line).is_some() && (is_mixed(line) || line.trim_end().ends_with('=')));
        kept.push(Cow::Borrowed(REMOVED));
    }
    kept
}

/// How many signs of base64 end a line, whatever stands before them: a time, a margin, a quote.
fn key_signs(line: &str) -> Option<usize> {
    let line = line.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\\' | ','));
    let signs = line.rsplit(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '|' | ':')).next()?;
    let is_base64 = signs.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '='));
    (is_base64 && !signs.is_empty()).then_some(signs.len())
}

/// Letters of both sizes: a digest in hexadecimal has only one.
fn is_mixed(line: &str) -> bool {
    let signs = line.trim_end().rsplit(char::is_whitespace).next().unwrap_or_default();
    signs.chars().any(|c| c.is_ascii_uppercase()) && signs.chars().any(|c| c.is_ascii_lowercase())
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
        ("curl -u deploy:hunter2 https://example.com", "hunter2"),
        ("curl -udeploy:hunter2 https://example.com", "hunter2"),
        ("curl --user 'deploy:hunter two' https://example.com", "hunter two"),
        ("curl --user=a:hunter2 https://example.com", "hunter2"),
        ("mysql -h db -u app -phunter2 app", "hunter2"),
        ("mysqldump -p'hunter 2' app", "hunter 2"),
        ("docker login -u app -p hunter2 registry.example.com", "hunter2"),
        ("sshpass -p hunter2 ssh example.com", "hunter2"),
        ("aws rds create-db-instance --master-user-password hunter2", "hunter2"),
        ("aws secretsmanager put-secret-value --secret-id x --secret-string hunter2", "hunter2"),
        ("aws x --secret-string=hunter2", "hunter2"),
        ("tool --password x2 host", "x2"),
        ("tool --token x2 host", "x2"),
        ("password: $up3rS3cret", "3cret"),
        ("DB_PASSWORD=$up3rS3cret", "3cret"),
        ("DB_PASSWORD=${X:-hunter2}", "hunter2"),
        ("DB_PASSWORD=ab,cd;ef", "ab"),
        ("DB_PASSWORD=ab,cd;ef", "cd"),
        ("DB_PASSWORD=ab,cd;ef&gh", "ef"),
        ("DB_PASSWORD=ab,cd;ef&gh", "gh"),
        ("password: correct horse battery", "horse"),
        ("  db_password: correct horse battery", "battery"),
        ("[Container] 2026/03/02 09:14:52.123456 secret: correct horse battery", "battery"),
        ("using the passphrase: correct horse battery", "battery"),
        ("PASSWORD=x!AKIAIOSFODNN7EXAMPLE", "x!"),
        ("the key is wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY.", "wJalrXUtnFEMI"),
        ("\"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\"", "wJalrXUtnFEMI"),
        ("'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'.", "wJalrXUtnFEMI"),
        ("MIIEowIBAAKCAQEAMIIEowIBAAKCAQEA\nMIIEowIB\n-----END PRIVATE KEY-----", "MIIE"),
        ("MIIEowIBAAKCAQEAMIIEowIBAAKCAQEA\nQ==\n-----END PRIVATE KEY-----", "Q=="),
        ("    MIIEowIBAAKCAQEAMIIEowIBAAKCAQEA\n    MIIE\n    -----END RSA PRIVATE KEY-----", "MIIE"),
        ("09:14:52 | MIIEowIBAAKCAQEAMIIEowIBAAKCAQEA\n09:14:52 | MIIE\n09:14:52 | -----END PRIVATE KEY-----", "MIIE"),
        ("-----BEGIN PRIVATE KEY-----\n  MIIEowIBAAKCAQEA\n  MIIE", "MIIE"),
        (
            "MIIEowIBAAKCAQEAMIIEowIBAAKCAQEAMIIEowIBAAKCAQEAMIIEowIBAAKCAQEA\nMIIEowIBAAKCAQEAMIIEowIBAAKCAQEAMIIEowIBAAKCAQEAMIIEowIBAAKCAQEA\nMIIEow==\nafter",
            "MIIE",
        ),
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
        "docker run -u 1000:1000 --user app image",
        "git push -u origin main:main",
        "set -u; true",
        "mysql -h db -u app -p app",
        "mkdir -p /codebuild/output",
        "curl -u $USER:$PASS https://example.com",
        "password: ${DB_PASSWORD}",
        "password=$(aws ssm get-parameter --name x) make",
        "docker login --username AWS -p $TOKEN",
        "Password: must be at least 8 characters long",
        "wrong password: expected 8 characters, found 4",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
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
