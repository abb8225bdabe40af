//! Text that is safe to show: no control characters, no surprises in a subject line.

use jiff::{SignedDuration, Timestamp};

/// Cut to `longest` characters, with three dots where something is missing.
pub(crate) fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(longest.saturating_sub(3)).collect();
    short.push_str("...");
    short
}

/// Cut in the middle, where both ends say something.
pub(crate) fn cut_in_the_middle(text: &str, longest: usize) -> String {
    let length = text.chars().count();
    if length <= longest {
        return text.to_owned();
    }
    let kept = longest.saturating_sub(3);
    let tail = kept / 3;
    let head: String = text.chars().take(kept - tail).collect();
    format!("{head}...{}", text.chars().skip(length - tail).collect::<String>())
}

/// One line without terminal escapes, control characters, and characters that turn the direction of what follows.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => match rest.next() {
                // A sequence ends with its first letter; an operating system command with a bell or a backslash.
                Some('[') => while rest.next().is_some_and(|c| !('\u{40}'..='\u{7e}').contains(&c)) {},
                Some(']') => while rest.next().is_some_and(|c| c != '\u{7}' && c != '\\') {},
                _ => {}
            },
            '\t' => plain.push_str("    "),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => plain.push(' '),
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => {}
            c => plain.push(c),
        }
    }
    plain
}

/// Printable ASCII: letters lose their accents, each run of anything else becomes one question mark.
pub(crate) fn ascii(text: &str) -> String {
    let mut ascii = String::with_capacity(text.len());
    for c in plain(text).chars() {
        match c {
            ' '..='~' => ascii.push(c),
            'ß' => ascii.push_str("ss"),
            'Æ' => ascii.push_str("AE"),
            'æ' => ascii.push_str("ae"),
            'Œ' => ascii.push_str("OE"),
            'œ' => ascii.push_str("oe"),
            '\u{2010}'..='\u{2015}' => ascii.push('-'),
            '\u{2018}' | '\u{2019}' => ascii.push('\''),
            '\u{201c}' | '\u{201d}' => ascii.push('"'),
            '\u{a0}' => ascii.push(' '),
            c => match without_accent(c) {
                Some(letter) => ascii.push(letter),
                None if ascii.ends_with('?') => {}
                None => ascii.push('?'),
            },
        }
    }
    ascii
}

fn without_accent(c: char) -> Option<char> {
    const LETTERS: &[(char, &str)] = &[
        ('A', "ÀÁÂÃÄÅĀĂĄ"),
        ('a', "àáâãäåāăą"),
        ('C', "ÇĆĈĊČ"),
        ('c', "çćĉċč"),
        ('D', "ÐĎĐ"),
        ('d', "ðďđ"),
        ('E', "ÈÉÊËĒĔĖĘĚ"),
        ('e', "èéêëēĕėęě"),
        ('G', "ĜĞĠĢ"),
        ('g', "ĝğġģ"),
        ('I', "ÌÍÎÏĨĪĬĮİ"),
        ('i', "ìíîïĩīĭįı"),
        ('L', "ĹĻĽŁ"),
        ('l', "ĺļľł"),
        ('N', "ÑŃŅŇ"),
        ('n', "ñńņň"),
        ('O', "ÒÓÔÕÖØŌŎŐ"),
        ('o', "òóôõöøōŏő"),
        ('R', "ŔŖŘ"),
        ('r', "ŕŗř"),
        ('S', "ŚŜŞŠȘ"),
        ('s', "śŝşšș"),
        ('T', "ŢŤŦȚ"),
        ('t', "ţťŧț"),
        ('U', "ÙÚÛÜŨŪŬŮŰŲ"),
        ('u', "ùúûüũūŭůűų"),
        ('Y', "ÝŶŸ"),
        ('y', "ýŷÿ"),
        ('Z', "ŹŻŽ"),
        ('z', "źżž"),
    ];
    LETTERS.iter().find(|(_, accented)| accented.contains(c)).map(|(letter, _)| *letter)
}

/// A moment as people read it.
pub(crate) fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// How long, in its two largest units.
pub(crate) fn duration(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let two = |large: i64, unit, small: i64, small_unit| {
        if small == 0 { format!("{large} {unit}") } else { format!("{large} {unit} {small} {small_unit}") }
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => two(minutes, "min", seconds % 60, "s"),
        (0, hours, minutes) => two(hours, "h", minutes, "min"),
        (days, hours, _) => two(days, "d", hours, "h"),
    }
}

/// `1st`, `2nd`, `3rd`, `11th`.
pub(crate) fn ordinal(n: usize) -> String {
    let ending = match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{n}{ending}")
}

/// Broken into lines of at most 77 characters at spaces; a longer word stays whole, as a link must.
///
/// The first line begins behind something as wide as `indent`, which stands before every other line.
pub(crate) fn wrapped(text: &str, indent: &str) -> String {
    let margin = indent.chars().count();
    let mut lines = String::new();
    let mut column = margin;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let length = word.chars().count();
        if column > margin && column + 1 + length > 77 {
            lines.push('\n');
            lines.push_str(indent);
            column = margin;
        } else if column > margin {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += length;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_control_and_direction_marks_are_not_shown() {
        assert_eq!(plain("\u{1b}[31mred\u{1b}[0m \u{1b}]0;title\u{7}x\ty\r\nz\u{202e}!"), "red x    y  z!");
        assert_eq!(plain("ends in \u{1b}["), "ends in ");
    }

    #[test]
    fn a_subject_keeps_letters_and_marks_what_it_cannot_show() {
        assert_eq!(ascii("größe/naïve \u{1f680}\u{1f680}x\nBcc: y"), "grosse/naive ?x Bcc: y");
    }

    #[test]
    fn a_long_name_keeps_both_ends() {
        assert_eq!(cut_in_the_middle("feature/a-very-long-name-42", 18), "feature/a-...me-42");
    }

    #[test]
    fn durations_have_two_units_and_ordinals_their_endings() {
        let said = |seconds| duration(SignedDuration::from_secs(seconds));
        assert_eq!(
            [said(0), said(42), said(125), said(3_600), said(7_860), said(90_000)].join(", "),
            "0 s, 42 s, 2 min 5 s, 1 h, 2 h 11 min, 1 d 1 h"
        );
        assert_eq!([1, 2, 3, 4, 11, 12, 21, 112].map(ordinal).join(" "), "1st 2nd 3rd 4th 11th 12th 21st 112th");
    }
}
