//! How text becomes lines of a mail, and back: RFC 2045 for bodies, RFC 2047 for names in the head.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Where an encoded word begins and ends.
const WORD: (&str, &str) = ("=?UTF-8?B?", "?=");

/// The most bytes of text in an encoded word, which may have 75 characters in all.
const WORD_BYTES: usize = 45;

/// A name in the head: as it is, in quotes, or in encoded words.
pub(super) fn write_phrase(name: &str) -> String {
    if !name.is_ascii() || name.starts_with(WORD.0) {
        let mut words: Vec<String> = vec![String::new()];
        for c in name.chars() {
            match words.last_mut() {
                Some(word) if word.len() + c.len_utf8() <= WORD_BYTES => word.push(c),
                _ => words.push(c.to_string()),
            }
        }
        let words: Vec<String> =
            words.iter().map(|word| format!("{}{}{}", WORD.0, STANDARD.encode(word), WORD.1)).collect();
        return words.join("\r\n ");
    }
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" !#$%&'*+-/=?^_`{|}~".contains(&byte)) {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A name that [`write_phrase`] wrote, its lines joined.
pub(super) fn read_phrase(text: &str) -> Option<String> {
    if let Some(words) = text.strip_prefix(WORD.0) {
        let words = words.split(WORD.0).map(|word| STANDARD.decode(word.trim_end().strip_suffix(WORD.1)?).ok());
        return String::from_utf8(words.collect::<Option<Vec<_>>>()?.concat()).ok();
    }
    let Some(quoted) = text.strip_prefix('"') else { return Some(text.to_owned()) };
    let mut name = String::new();
    let mut characters = quoted.strip_suffix('"')?.chars();
    while let Some(c) = characters.next() {
        name.push(if c == '\\' { characters.next()? } else { c });
    }
    Some(name)
}

/// A long header value on several lines.
pub(super) fn fold(value: &str) -> String {
    let mut folded = String::new();
    for (at, c) in value.chars().enumerate() {
        if at % 72 == 0 {
            folded.push_str("\r\n ");
        }
        folded.push(c);
    }
    folded
}

/// Quoted-printable text with CRLF line ends, no line over 76 characters.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\r\n"));
        let mut width = 0;
        let last = line.len().saturating_sub(1);
        for (at, byte) in line.bytes().enumerate() {
            let plain = matches!(byte, b'!'..=b'<' | b'>'..=b'~') || (byte == b' ' && at != last);
            let token = if plain { char::from(byte).to_string() } else { format!("={byte:02X}") };
            if width + token.len() > 75 {
                out.push_str("=\r\n");
                width = 0;
            }
            width += token.len();
            out.push_str(&token);
        }
        out.push_str(end);
    }
    out
}

pub(super) fn unquote(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'=' {
            bytes.push(*byte);
        } else if let Some(after) = rest.strip_prefix(b"\n") {
            rest = after;
        } else {
            let (digits, after) = rest.split_at_checked(2)?;
            bytes.extend(hex::decode(digits).ok()?);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}
