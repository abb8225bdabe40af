//! The public keys that commits may be signed with.
//!
//! Here they are only looked at: that each is whole, public, and of a kind that is judged. What a signature is worth says the protector.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

const PGP_BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const PGP_END: &str = "-----END PGP PUBLIC KEY BLOCK-----";
/// Fewer bits can be broken; more are not judged.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// Whose signatures count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signed {
    /// A signature must be there.
    Anybody,
    /// It must be made by one of these keys.
    By(Vec<SigningKey>),
}

/// A public key that commits may be signed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SigningKey {
    /// As in a `.pub` file or a file of allowed signers.
    Ssh {
        /// Kind and key: `ssh-ed25519 AAAA...`.
        key: String,
        /// Which committers it speaks for, as patterns of e-mail addresses; empty for all.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        principals: Vec<String>,
    },
    /// An armoured OpenPGP public key block.
    OpenPgp(String),
}

/// Whether a key with these principals speaks for this committer: as `ssh-keygen` takes them, the case of letters counts, `*` and `?` stand for
/// characters, and one that begins with `!` and matches excludes.
pub fn speaks_for(principals: &[String], email: &str) -> bool {
    let excludes = |pattern: &String| pattern.strip_prefix('!').is_some_and(|pattern| is_like(pattern, email));
    principals.is_empty()
        || (!principals.iter().any(excludes) && principals.iter().any(|pattern| is_like(pattern, email)))
}

fn is_like(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut seen) = (0, 0);
    // Where the last star was, and what it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(seen) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(wanted) if wanted == byte || *wanted == b'?' => {
                at += 1;
                seen += 1;
            }
            _ => match star {
                Some((place, taken)) => {
                    star = Some((place, taken + 1));
                    at = place + 1;
                    seen = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

/// What is wrong with a key, and what to do; the text of the key is not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyFault {
    pub(crate) message: String,
    pub(crate) hint: &'static str,
}

impl KeyFault {
    fn new(message: impl Into<String>, hint: &'static str) -> Self {
        Self { message: message.into(), hint }
    }
}

const COPY: &str = "copy it again, whole, from the .pub file";

/// The keys of one text: an armoured OpenPGP block, or lines as of `.pub` files or of a file of allowed signers.
pub(crate) fn parse_signing_keys(text: &str) -> Result<Vec<SigningKey>, KeyFault> {
    let text = text.trim();
    if text.contains("PRIVATE KEY") {
        return Err(private());
    }
    if text.starts_with(PGP_BEGIN) {
        check_block(text)?;
        return Ok(vec![SigningKey::OpenPgp(text.to_owned())]);
    }
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let lines: Vec<(usize, &str)> = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect();
    if lines.is_empty() {
        return Err(KeyFault::new("there is no key in it", "write the line of a .pub file, or the word anybody"));
    }
    let several = lines.len() > 1;
    let parsed = lines.into_iter().map(|(number, line)| {
        parse_line(line).map_err(|fault| match several {
            true => KeyFault { message: format!("line {number} of it: {}", fault.message), ..fault },
            false => fault,
        })
    });
    parsed.collect()
}

fn private() -> KeyFault {
    KeyFault::new("this is a private key", "treat it as compromised, and write the public key")
}

fn is_kind(word: &&str) -> bool {
    ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"].iter().any(|kind| word.starts_with(kind))
}

fn parse_line(line: &str) -> Result<SigningKey, KeyFault> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let neither = || {
        let message = "this is neither an SSH public key nor an armoured OpenPGP public key block";
        KeyFault::new(message, "write the line of a .pub file, or the word anybody")
    };
    let at = words.iter().position(is_kind).ok_or_else(neither)?;
    let (kind, key) = match words.get(at..) {
        Some([kind, key, ..]) => (*kind, *key),
        _ => return Err(neither()),
    };
    let principals = match words.get(..at).unwrap_or_default() {
        [] => Vec::new(),
        [principals] => principals.trim_matches('"').split(',').map(str::to_owned).collect(),
        [..] => {
            let message = "options of a file of allowed signers are not judged";
            return Err(KeyFault::new(
                message,
                "write the addresses, then the key: anna@example.com ssh-ed25519 AAAA...",
            ));
        }
    };
    check_ssh(kind, key)?;
    Ok(SigningKey::Ssh { key: format!("{kind} {key}"), principals })
}

/// Whether the key is whole, and of a kind that is judged.
fn check_ssh(kind: &str, key: &str) -> Result<(), KeyFault> {
    if kind.contains("-cert-v") {
        return Err(KeyFault::new("this is a certificate, not a key", "write the key that it was made for"));
    }
    let broken = || KeyFault::new(format!("the key behind {kind} is not whole"), COPY);
    let bytes = STANDARD.decode(key).map_err(|_| broken())?;
    let mut rest = bytes.as_slice();
    let mut next = || {
        let (length, behind) = rest.split_at_checked(4)?;
        let length = u32::from_be_bytes(length.try_into().ok()?);
        let (field, behind) = behind.split_at_checked(usize::try_from(length).ok()?)?;
        rest = behind;
        Some(field)
    };
    if next() != Some(kind.as_bytes()) {
        return Err(KeyFault::new(format!("the key behind {kind} is of another kind, or not whole"), COPY));
    }
    let is_whole = match kind {
        "ssh-ed25519" => next().is_some_and(|point| point.len() == 32),
        "sk-ssh-ed25519@openssh.com" => next().is_some_and(|point| point.len() == 32) && next().is_some(),
        "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "ecdsa-sha2-nistp521" => {
            next() == kind.strip_prefix("ecdsa-sha2-").map(str::as_bytes) && next().is_some()
        }
        "sk-ecdsa-sha2-nistp256@openssh.com" => {
            next() == Some(b"nistp256".as_slice()) && next().is_some() && next().is_some()
        }
        "ssh-rsa" => {
            let modulus = next().and_then(|_exponent| next()).ok_or_else(broken)?;
            let modulus = modulus.strip_prefix(&[0]).unwrap_or(modulus);
            let zeros = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
            let bits = (modulus.len() * 8).saturating_sub(zeros);
            if !RSA_BITS.contains(&bits) {
                let message = format!("an RSA key of {bits} bits is not judged, only those of 2048 to 4096");
                return Err(KeyFault::new(message, "make another key: ssh-keygen -t ed25519"));
            }
            true
        }
        _ => {
            let message = format!("keys of the kind {kind} are not judged");
            return Err(KeyFault::new(message, "make another key: ssh-keygen -t ed25519"));
        }
    };
    if is_whole && rest.is_empty() { Ok(()) } else { Err(broken()) }
}

/// Whether the block is whole, and a public key is in it.
fn check_block(text: &str) -> Result<(), KeyFault> {
    const WRITE: &str = "write it with all its lines as a block: \"- |\", and the lines of gpg --armor --export below";
    let broken = |what: &str| KeyFault::new(format!("the OpenPGP public key block {what}"), WRITE);
    let mut lines = text.lines().map(str::trim).skip(1).skip_while(|line| line.contains(": ")).peekable();
    if lines.peek().is_none() {
        return Err(broken("is one line"));
    }
    let (mut body, mut sum, mut is_ended) = (String::new(), None, false);
    for line in lines {
        match line.strip_prefix('=') {
            Some(rest) => sum = STANDARD.decode(rest).ok(),
            None if line == PGP_END => {
                is_ended = true;
                break;
            }
            None => body.push_str(line),
        }
    }
    if !is_ended {
        return Err(broken("has no end"));
    }
    let bytes = STANDARD.decode(&body).map_err(|_| broken("is not whole"))?;
    if sum.is_some_and(|sum| sum != crc24(&bytes)) {
        return Err(broken("is not whole: its checksum is another one"));
    }
    // The number of the first packet, in the new form or the old.
    let first = bytes.first().copied().unwrap_or_default();
    let packet = if first & 0x40 == 0 { (first >> 2) & 0x0f } else { first & 0x3f };
    match packet {
        6 if first & 0x80 != 0 => Ok(()),
        5 if first & 0x80 != 0 => Err(private()),
        _ => Err(broken("does not begin with a public key")),
    }
}

/// The checksum of armour (RFC 9580, 6.1).
fn crc24(bytes: &[u8]) -> Vec<u8> {
    let mut crc = 0x00B7_04CE_u32;
    for byte in bytes {
        crc ^= u32::from(*byte) << 16;
        for _ in 0..8 {
            crc <<= 1;
            if crc & 0x0100_0000 != 0 {
                crc ^= 0x0186_4CFB;
            }
        }
    }
    let [_, high, middle, low] = crc.to_be_bytes();
    vec![high, middle, low]
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    fn message(text: &str) -> String {
        parse_signing_keys(text).unwrap_err().message
    }

    #[test]
    fn a_line_of_a_pub_file_and_one_of_allowed_signers_are_keys() {
        let plain = parse_signing_keys(&format!("{ED25519} somebody@example.com")).unwrap();
        assert_eq!(plain, [SigningKey::Ssh { key: ED25519.to_owned(), principals: Vec::new() }]);
        let file = format!("# our keys\n\nanna@example.com,*@ops.example.com {ED25519}\n{ED25519}\n");
        let keys = parse_signing_keys(&file).unwrap();
        let principals = vec!["anna@example.com".to_owned(), "*@ops.example.com".to_owned()];
        assert_eq!(keys[0], SigningKey::Ssh { key: ED25519.to_owned(), principals });
        assert_eq!(keys.len(), 2);
    }

    #[test]
    fn what_is_no_whole_key_says_what_is_wrong_and_never_the_text() {
        let cut = ED25519.get(..ED25519.len() - 4).unwrap();
        for (text, expected) in [
            (cut, "not whole"),
            ("ssh-ed25519 !!!", "not whole"),
            ("ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti", "of another kind"),
            ("ssh-ed25519-cert-v01@openssh.com AAAA", "a certificate"),
            ("ssh-dss AAAAB3NzaC1kc3M=", "ssh-dss are not judged"),
            ("not-a-key", "neither"),
            ("", "no key"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", "private key"),
            ("-----BEGIN PGP PUBLIC KEY BLOCK----- xxxx -----END PGP PUBLIC KEY BLOCK-----", "is one line"),
            ("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDME\n", "has no end"),
            ("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZg==\n=AAAA\n-----END PGP PUBLIC KEY BLOCK-----", "checksum"),
            ("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nlDME\n-----END PGP PUBLIC KEY BLOCK-----", "private key"),
            ("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\niDME\n-----END PGP PUBLIC KEY BLOCK-----", "does not begin"),
        ] {
            assert!(message(text).contains(expected), "{text}: {}", message(text));
        }
        let options = format!("anna@example.com cert-authority {ED25519}");
        assert!(message(&options).contains("options"), "{}", message(&options));
        let second = format!("{ED25519}\nssh-ed25519 xx\n");
        assert!(message(&second).starts_with("line 2 of it"), "{}", message(&second));
    }

    #[test]
    fn principals_are_patterns_of_addresses() {
        let all = |patterns: &[&str]| patterns.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        for (patterns, email, expected) in [
            (&[][..], "x@example.com", true),
            (&["anna@example.com"], "anna@example.com", true),
            (&["anna@example.com"], "anna@example.com.org", false),
            (&["*@example.com"], "anna@example.com", true),
            (&["*@example.com", "!bob@*"], "bob@example.com", false),
            (&["a?na@*.com"], "anna@x.y.com", true),
            (&["a*b*c"], "axxbyybzc", true),
            (&["a*b*c"], "axxbyyb", false),
            (&["!bob@*"], "anna@example.com", false),
        ] {
            assert_eq!(speaks_for(&all(patterns), email), expected, "{patterns:?} {email}");
        }
    }
}
