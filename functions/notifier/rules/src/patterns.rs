//! The patterns of secrets: what they look like, and what stands before them.

use std::sync::LazyLock;

use regex::Regex;

/// Names whose values are secrets.
const SECRET_NAME: &str = r"(?:password|passwd|passwort|passphrase|pwd|secret|token|credentials?|signature|(?:api|access|secret|private|account|auth|signing|encryption|master|storage)[_.-]?key|apikey|connection[_-]?string)";

/// What may stand behind such a name and still be part of it, as in `--secret-string`.
const SUFFIX: &str = r"(?:[_-](?:string|value|text|binary))?[0-9]*";

/// Names whose values may hold spaces.
const PASSWORD_NAME: &str = r"(?:password|passwd|passwort|passphrase|pwd)";

#[expect(clippy::expect_used, reason = "every pattern is a constant, and a test compiles them all")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

/// Tokens that are known by their shape alone.
pub(crate) static SHAPES: LazyLock<Regex> = LazyLock::new(|| {
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
pub(crate) static URL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(://)(?:[^\s/:@]*:[^\s/@]*(?:@[^\s/@]*)*|[^\s/:@]{20,})@"));

/// `Authorization: SCHEME VALUE`, to the end of the line or its quote.
pub(crate) static HEADER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?i)(\bauthorization\\{0,3}["']?[ \t]*[:=][ \t]*\\{0,3}["']?(?:bearer|basic|token|digest|negotiate|aws4-hmac-sha256)[ \t]+)[^"'\\\r\n]+"#,
    )
});

/// A scheme of that header anywhere else.
pub(crate) static SCHEME: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i-u)\b(bearer|basic)([ \t]+)([A-Za-z0-9+/_.~-]{16,}={0,2})"));

/// `name=value` of a link: the next part of the query is none of the value.
pub(crate) static QUERY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(r#"(?i)(?P<name>[?&][A-Za-z0-9_.-]*{SECRET_NAME}{SUFFIX})(?P<sep>=)(?P<value>[^\s"'&\#]+)"#))
});

/// `name = value` in the many ways of shells, JSON, YAML, links and properties.
pub(crate) static ASSIGNED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r#"(?i)(?P<name>[A-Za-z0-9_.-]*{SECRET_NAME}{SUFFIX})(?P<sep>\\{{0,3}}["']?[ \t]*(?:=>|:=|=|:)[ \t]*)(?P<value>\\+"[^"\n]*"?|"(?:[^"\\\n]|\\[^\n])*"?|'[^'\n]*'?|[^\s"']+)"#
    ))
});

/// `name: value with spaces`: to the end of the line for any name that begins the line, and for passwords wherever they stand.
///
/// Behind a brace other names follow, so there the value ends as everywhere else.
pub(crate) static TO_THE_END: LazyLock<Regex> = LazyLock::new(|| {
    let value = r#"[^\s"'\\\[{|>*:=][^\n]*"#;
    let margin = r"[ \t]*(?:\[[^\]\n]*\][ \t]*|[0-9][0-9T:./,Z+-]*[ \t]+|(?:TRACE|DEBUG|INFO|WARN|WARNING|ERROR):?[ \t]+|[-+>|*#][ \t]+)*";
    let anywhere = format!(
        r"^(?P<before>[^\n{{]*?[^A-Za-z0-9_.{{\n-]|)(?P<name>[A-Za-z0-9_.-]*{PASSWORD_NAME}[0-9]*)(?P<sep>:[ \t]+)(?P<value>{value})$"
    );
    let first = format!(
        r"^(?P<before2>{margin})(?P<name2>[A-Za-z0-9_.-]*{SECRET_NAME}{SUFFIX})(?P<sep2>:[ \t]+)(?P<value2>{value})$"
    );
    pattern(&format!("(?im){anywhere}|{first}"))
});

/// `--password value`.
pub(crate) static FLAG: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r#"(?i)(?P<name>--?[a-z0-9-]*{SECRET_NAME}{SUFFIX})(?P<sep>[ \t]+)(?P<value>"[^"\n]*"|'[^'\n]*'|[^\s"'-][^\s"']*)"#
    ))
});

/// `-p value` of programs that log in with it, and the `-pvalue` of databases.
pub(crate) static SHORT_FLAG: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?P<name>\b(?:(?:docker|podman|buildah|skopeo|nerdctl|finch|oras|helm)\b[^\n|;&]*?\blogin\b|sshpass\b|mongo(?:sh|dump|restore)?\b)(?:[^\n|;&]*?[ \t])??[ \t]*-p)(?P<sep>[ \t=]*)(?P<value>"[^"\n]*"|'[^'\n]*'|[^\s"'=-][^\s"']*)"#,
    )
});

/// See [`SHORT_FLAG`]: behind a space stands the name of a database, since the password is then asked for.
pub(crate) static DATABASE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?P<name>\b(?:mysql|mariadb)[a-z-]*\b(?:[^\n|;&]*?)[ \t]-p)(?P<sep>)(?P<value>"[^"\n]*"|'[^'\n]*'|[^\s"']+)"#,
    )
});

/// `-u user:password`, as curl takes it.
pub(crate) static USER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?m)(?P<name>(?:^|[\s'"`(=])(?:-[uU][ \t]*|--(?:proxy-)?user(?:[ \t]*=[ \t]*|[ \t]+)))(?:"(?P<user1>[^\s":/;]*):(?P<value1>[^"\n]+)"?|'(?P<user2>[^\s':/;]*):(?P<value2>[^'\n]+)'?|(?P<user3>[^\s"':/;=-][^\s"':/;]*):(?P<value3>[^\s"']+))"#,
    )
});

/// What a shell puts a value in for: names are upper case, since a secret, too, may begin with a dollar.
pub(crate) static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:\$(?:[A-Z_][A-Z0-9_]*|[0-9@*?]|env:[A-Za-z_][A-Za-z0-9_]*|\{[A-Za-z_][A-Za-z0-9_.]*\})[:/@,;.]?)+[,;.)\]}]*$|^\$\(",
    )
});

/// What might be an AWS secret key: 40 signs of base64 by themselves.
pub(crate) static FORTY: LazyLock<Regex> = LazyLock::new(|| pattern(r"[A-Za-z0-9/+]+"));

/// A part of a path or a name that a person wrote.
pub(crate) static WORDLIKE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?:[A-Z]{0,3}[a-z]+)+[0-9]{0,6}$|^[0-9]{1,8}$|^$"));
