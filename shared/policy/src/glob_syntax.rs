//! What a glob may look like, and whether two of them can match the same name.
//!
//! globset compiles the patterns; this file refuses what it would read otherwise than a policy writer means it.

/// The longest pattern; keeps every compiled list far below globset's limits.
pub(crate) const LONGEST: usize = 512;
/// The most braces inside each other.
const DEEPEST_BRACES: usize = 8;
/// The most names that the braces of one pattern may stand for when two patterns are compared.
const MOST_ALTERNATIVES: usize = 256;

/// A pattern that cannot mean what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the pattern {glob:?} {why}")]
pub struct InvalidGlob {
    /// The pattern as written, cut to 80 characters.
    pub glob: String,
    /// What is wrong with it.
    pub why: String,
    /// What to write instead, where that is known.
    pub hint: Option<String>,
}

/// Splits off the `!` of an exclusion.
pub(crate) fn split_exclusion(pattern: &str) -> (bool, &str) {
    match pattern.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    }
}

/// Checks a pattern (without its `!`) and gives the text that globset is to compile.
pub(crate) fn check_glob(written: &str) -> Result<String, InvalidGlob> {
    let (excludes, glob) = split_exclusion(written);
    let sign = if excludes { "!" } else { "" };
    let wrong = |why: &str, hint: Option<String>| InvalidGlob {
        glob: written.chars().take(80).collect(),
        why: why.to_owned(),
        hint,
    };
    if glob.is_empty() {
        return Err(wrong("is empty", None));
    }
    if glob.chars().count() > LONGEST {
        return Err(wrong("is longer than 512 characters", None));
    }
    if glob.chars().any(char::is_control) {
        return Err(wrong("holds a control character", None));
    }
    if glob.trim() != glob {
        return Err(wrong("begins or ends with white space", Some(format!("write \"{sign}{}\"", glob.trim()))));
    }
    if glob.starts_with('!') {
        return Err(wrong("begins with two exclamation marks", Some("one \"!\" excludes".to_owned())));
    }
    if let Some(rest) = glob.strip_prefix('/') {
        let hint = (!rest.is_empty()).then(|| format!("write \"{sign}{rest}\": every pattern begins at the root"));
        return Err(wrong("begins with a slash, so that nothing can match it", hint));
    }
    if glob.ends_with('/') {
        return Err(wrong(
            "ends with a slash, so that nothing can match it",
            Some(format!("write \"{sign}{glob}**\"")),
        ));
    }
    if glob.starts_with("./") || glob.contains("//") || glob.contains("/./") || glob.contains("/../") {
        return Err(wrong("has an empty, '.' or '..' segment, so that nothing can match it", None));
    }
    let compiled = check_parts(glob, &wrong)?;
    match build(&compiled) {
        Ok(_) => Ok(compiled),
        Err(error) => Err(wrong(&format!("is broken: {}", error.kind()), None)),
    }
}

/// The one set of options: `*` and `?` stop at a slash, a backslash escapes.
pub(crate) fn build(glob: &str) -> Result<globset::Glob, globset::Error> {
    globset::GlobBuilder::new(glob).literal_separator(true).backslash_escape(true).empty_alternates(true).build()
}

/// Walks over stars, classes and braces; a negated class gets the slash added that it must not match.
fn check_parts(glob: &str, wrong: &dyn Fn(&str, Option<String>) -> InvalidGlob) -> Result<String, InvalidGlob> {
    let mut out = String::with_capacity(glob.len() + 4);
    let mut chars = glob.char_indices().peekable();
    let mut before = None;
    let mut depth = 0_usize;
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                out.push(c);
                match chars.next() {
                    Some((_, escaped)) => out.push(escaped),
                    None => return Err(wrong("ends with a backslash that escapes nothing", None)),
                }
            }
            '[' => {
                let rest = glob.get(at..).unwrap_or_default();
                let class = Class::parse(rest).map_err(|why| wrong(why, None))?;
                out.push_str(&class.written);
                for _ in 1..class.length {
                    chars.next();
                }
            }
            '*' => {
                let mut stars = 1;
                while chars.next_if(|&(_, next)| next == '*').is_some() {
                    stars += 1;
                }
                let next = chars.peek().map(|&(_, next)| next);
                let whole =
                    matches!(before, None | Some('/' | '{' | ',')) && matches!(next, None | Some('/' | '}' | ','));
                if stars > 2 || (stars == 2 && !whole) {
                    let hint = "\"**\" crosses folders only as a whole segment, as in \"src/**\" or \"**/*.md\"";
                    return Err(wrong("has \"**\" inside a segment", Some(hint.to_owned())));
                }
                out.push_str(if stars == 2 { "**" } else { "*" });
            }
            '{' => {
                depth += 1;
                out.push(c);
            }
            '}' => {
                depth = depth.saturating_sub(1);
                out.push(c);
            }
            _ => out.push(c),
        }
        if depth > DEEPEST_BRACES {
            return Err(wrong("has more than eight braces inside each other", None));
        }
        before = Some(c);
    }
    Ok(out)
}

/// A character class such as `[a-z]` or `[!0-9]`.
pub(crate) struct Class {
    /// Characters taken from the pattern.
    length: usize,
    /// What globset gets.
    written: String,
    negated: bool,
    ranges: Vec<(char, char)>,
}

impl Class {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let chars: Vec<char> = text.chars().collect();
        let mut at = 1;
        let negated = matches!(chars.get(at), Some('!' | '^'));
        at += usize::from(negated);
        let first = at;
        let end = loop {
            match chars.get(at) {
                None => return Err("has a '[' that is never closed"),
                Some(']') if at > first => break at,
                Some('/') => return Err("has a slash inside '[...]', which never matches one"),
                Some('\\') => return Err("has a backslash inside '[...]'"),
                // globset reads paths as bytes: a letter of two bytes would never be found.
                Some(c) if !c.is_ascii() => return Err("has a letter inside '[...]' that is not ASCII: use braces"),
                Some(_) => at += 1,
            }
        };
        let inside = chars.get(first..end).unwrap_or_default();
        let mut ranges = Vec::new();
        let mut i = 0;
        while let Some(&low) = inside.get(i) {
            match (inside.get(i + 1), inside.get(i + 2)) {
                (Some('-'), Some(&high)) => {
                    if low > high {
                        return Err("has a range in '[...]' that runs backwards");
                    }
                    if low <= '/' && '/' <= high {
                        return Err("has a range in '[...]' that holds the slash");
                    }
                    ranges.push((low, high));
                    i += 3;
                }
                _ => {
                    ranges.push((low, low));
                    i += 1;
                }
            }
        }
        let mut written: String = chars.get(..end).unwrap_or_default().iter().collect();
        if negated {
            // A final '-' stands for itself and must stay last, or it would become a range up to the slash.
            let dash = written.ends_with('-').then(|| written.pop()).flatten();
            written.push('/');
            written.extend(dash);
        }
        written.push(']');
        Ok(Self { length: end + 1, written, negated, ranges })
    }

    /// Every character that it stands for; none where it stands for all but some.
    pub(crate) fn characters(&self) -> Option<std::collections::BTreeSet<char>> {
        (!self.negated).then(|| self.ranges.iter().flat_map(|&(low, high)| low..=high).collect())
    }

    fn matches(&self, c: char) -> bool {
        self.ranges.iter().any(|&(low, high)| low <= c && c <= high) != self.negated
    }
}

/// Whether two patterns over names without slashes can match the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overlap {
    /// No name matches both.
    Never,
    /// Cannot be told.
    Unknown,
    /// Some name matches both.
    Certain,
}

/// What a pattern without braces is made of.
pub(crate) enum Atom {
    /// The character itself.
    Char(char),
    /// `?`
    One,
    /// `*`
    Run,
    /// `[a-z]`
    Class(Class),
}

/// Compares two patterns for repository names; exclusions and long braces stay undecided.
pub(crate) fn overlap(a: &str, b: &str) -> Overlap {
    if a == b {
        return Overlap::Certain;
    }
    if a.starts_with('!') || b.starts_with('!') {
        return Overlap::Unknown;
    }
    let (Some(left), Some(right)) = (alternatives(a), alternatives(b)) else {
        return Overlap::Unknown;
    };
    let mut answer = Overlap::Never;
    for x in &left {
        for y in &right {
            match overlap_one(x, y) {
                Overlap::Certain => return Overlap::Certain,
                Overlap::Unknown => answer = Overlap::Unknown,
                Overlap::Never => {}
            }
        }
    }
    answer
}

fn overlap_one(a: &[Atom], b: &[Atom]) -> Overlap {
    let columns = b.len() + 1;
    let mut seen = vec![false; (a.len() + 1) * columns];
    let mut todo = vec![(0, 0)];
    let mut certain = true;
    let mut found = false;
    while let Some((i, j)) = todo.pop() {
        match seen.get_mut(i * columns + j) {
            Some(slot) if !*slot => *slot = true,
            _ => continue,
        }
        let (x, y) = (a.get(i), b.get(j));
        if x.is_none() && y.is_none() {
            found = true;
        }
        if matches!(x, Some(Atom::Run)) {
            todo.push((i + 1, j));
        }
        if matches!(y, Some(Atom::Run)) {
            todo.push((i, j + 1));
        }
        let (Some(x), Some(y)) = (x, y) else { continue };
        let meet = match (x, y) {
            (Atom::Char(x), Atom::Char(y)) => x == y,
            (Atom::Char(c), Atom::Class(class)) | (Atom::Class(class), Atom::Char(c)) => class.matches(*c),
            (Atom::Class(_), _) | (_, Atom::Class(_)) => {
                certain = false;
                true
            }
            _ => true,
        };
        if meet {
            let next_i = if matches!(x, Atom::Run) { i } else { i + 1 };
            let next_j = if matches!(y, Atom::Run) { j } else { j + 1 };
            todo.push((next_i, next_j));
        }
    }
    match (found, certain) {
        (false, _) => Overlap::Never,
        (true, true) => Overlap::Certain,
        (true, false) => Overlap::Unknown,
    }
}

/// The atoms of each pattern that the braces stand for; none when there are too many or the pattern does not parse.
fn alternatives(glob: &str) -> Option<Vec<Vec<Atom>>> {
    spelled_out(glob)?.iter().map(|pattern| atoms(pattern)).collect()
}

/// Spells out the braces, in the order of the pattern; none when there are too many or the pattern does not parse.
pub(crate) fn spelled_out(glob: &str) -> Option<Vec<String>> {
    let mut done = Vec::new();
    let mut todo = vec![glob.to_owned()];
    while let Some(pattern) = todo.pop() {
        if done.len() + todo.len() > MOST_ALTERNATIVES {
            return None;
        }
        match first_brace(&pattern) {
            Brace::None => done.push(pattern),
            Brace::Broken => return None,
            Brace::Parts(parts) => todo.extend(parts.into_iter().rev()),
        }
    }
    Some(done)
}

enum Brace {
    None,
    Broken,
    Parts(Vec<String>),
}

fn first_brace(pattern: &str) -> Brace {
    let mut depth = 0_usize;
    let mut class = false;
    let mut escaped = false;
    let mut open = 0;
    let mut cuts = Vec::new();
    for (at, c) in pattern.char_indices() {
        if escaped {
            escaped = false;
            continue;
        }
        match c {
            '\\' => escaped = true,
            ']' => class = false,
            _ if class => {}
            '[' => class = true,
            '{' => {
                if depth == 0 {
                    open = at;
                }
                depth += 1;
            }
            ',' if depth == 1 => cuts.push(at),
            '}' if depth == 1 => {
                let head = pattern.get(..open).unwrap_or_default();
                let tail = pattern.get(at + 1..).unwrap_or_default();
                let starts = std::iter::once(open).chain(cuts.iter().copied());
                let ends = cuts.iter().copied().chain(std::iter::once(at));
                let parts = starts
                    .zip(ends)
                    .map(|(from, to)| format!("{head}{}{tail}", pattern.get(from + 1..to).unwrap_or_default()));
                return Brace::Parts(parts.collect());
            }
            '}' if depth > 1 => depth -= 1,
            _ => {}
        }
    }
    if depth == 0 { Brace::None } else { Brace::Broken }
}

/// Takes a pattern without braces apart; none where it does not parse.
pub(crate) fn atoms(pattern: &str) -> Option<Vec<Atom>> {
    let mut out = Vec::new();
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        match c {
            '*' => out.push(Atom::Run),
            '?' => out.push(Atom::One),
            '\\' => {
                let escaped = rest.chars().nth(1)?;
                taken += escaped.len_utf8();
                out.push(Atom::Char(escaped));
            }
            '[' => {
                let class = Class::parse(rest).ok()?;
                taken = rest.chars().take(class.length).map(char::len_utf8).sum();
                out.push(Atom::Class(class));
            }
            _ => out.push(Atom::Char(c)),
        }
        rest = rest.get(taken..)?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_can_match_nothing_are_refused_with_what_to_write() {
        let refused = |glob: &str| {
            let error = check_glob(glob).unwrap_err();
            format!("{error}{}", error.hint.clone().map(|hint| format!("; {hint}")).unwrap_or_default())
        };
        insta::assert_snapshot!(
            [
                "",
                "!",
                "/src/**",
                "docs/",
                "!docs/",
                "src**",
                "a/**b/c",
                "***",
                "[abc",
                "[z-a]",
                "[+-9]",
                "a[/]b",
                "[ü]",
                "{a,b",
                "a}",
                "x\\",
                " main",
                "./src",
                "a//b",
                "!!a",
                &"{".repeat(9),
                &"?".repeat(513),
            ]
            .map(refused)
            .join("\n")
        );
    }

    #[test]
    fn two_patterns_overlap_when_some_name_matches_both() {
        for (a, b, expected) in [
            ("payments-*", "payments-api", Overlap::Certain),
            ("payments-*", "*-api", Overlap::Certain),
            ("payments-*", "billing-*", Overlap::Never),
            ("**", "anything", Overlap::Certain),
            ("a?c", "abc", Overlap::Certain),
            ("a?c", "ac", Overlap::Never),
            ("{a,b}-*", "b-{x,y}", Overlap::Certain),
            ("{a,b}-*", "c-{x,y}", Overlap::Never),
            ("x{,-{1,2}}", "x-2", Overlap::Certain),
            ("[ab]c", "ac", Overlap::Certain),
            ("[!ab]c", "ac", Overlap::Never),
            ("[ab]c", "[cd]c", Overlap::Unknown),
            ("!a", "b", Overlap::Unknown),
            ("a\\*", "ab", Overlap::Never),
            ("*a*a*a*a*a*a*a*a*a*b", "a*a*a*a*a*a*a*a*a*a*c", Overlap::Never),
        ] {
            assert_eq!(overlap(a, b), expected, "{a} {b}");
            assert_eq!(overlap(b, a), expected, "{b} {a}");
        }
    }
}
