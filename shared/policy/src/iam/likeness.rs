//! Globs in IAM's words: `*` is any text, slashes too, and `?` any one character.
//!
//! What is denied must never be more than the policy forbids: a refusal that the policy does not know would block work,
//! and nobody could tell why, while what IAM lets through the protector mends within seconds. So a pattern is said exactly
//! or not at all, and an exclusion may only grow.

use std::collections::BTreeSet;

use crate::Globs;
use crate::glob_syntax::{Atom, atoms, spelled_out, split_exclusion};

/// The most patterns that one glob may become.
const MOST_PATTERNS: usize = 100;
/// The most `**` that are spelled out in one glob.
const MOST_DEEP: usize = 4;
/// The last letter that a policy document may hold, after the quotas of IAM.
const LAST_LETTER: char = '\u{ff}';

/// Refs as one statement can name them: like one of these, and like none of those.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RefPatterns {
    /// At least one of them fits.
    pub like: Vec<String>,
    /// None of them fits.
    pub not_like: Vec<String>,
}

/// A list of globs as IAM can say it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Said {
    pub(super) refs: Vec<RefPatterns>,
    /// What IAM cannot say, a sentence each.
    pub(super) unsaid: Vec<String>,
}

/// Why a glob cannot be said exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Unsaid {
    #[error("a class such as [!a] has no like in IAM")]
    Negated,
    #[error("it stands for more than {MOST_PATTERNS} patterns of IAM")]
    TooMany,
    #[error("IAM's * crosses slashes, and beside a ** nothing can keep it from that")]
    Crossing,
    #[error("a policy document takes no letters beyond Latin-1")]
    Letters,
    #[error("no repository has such a name")]
    NoName,
}

/// One pattern of IAM.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Like {
    pattern: String,
    /// With more slashes than these a text is not meant, though it fits.
    most_slashes: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flat {
    Char(char),
    One,
    Run,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// `**`
    Deep,
    Plain(Vec<Flat>),
}

/// Says a list of globs over refs. The last that matches decides: each run of patterns keeps all exclusions behind it.
pub(super) fn refs(globs: &Globs) -> Said {
    let mut runs: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
    for written in globs.patterns() {
        let (excludes, glob) = split_exclusion(written);
        if excludes {
            if runs.is_empty() {
                runs.push((vec!["**"], Vec::new()));
            }
            runs.iter_mut().for_each(|(_, without)| without.push(glob));
        } else {
            match runs.last_mut() {
                Some((these, without)) if without.is_empty() => these.push(glob),
                _ => runs.push((vec![glob], Vec::new())),
            }
        }
    }
    let mut said = Said::default();
    let mut told = BTreeSet::new();
    for (these, without) in runs {
        let mut not_like = Vec::new();
        for glob in without {
            let (wide, is_exact) = at_least(glob);
            not_like.extend(wide);
            if !is_exact && told.insert(glob) {
                let shown = shown(glob);
                said.unsaid.push(format!(
                    "the exclusion {shown} reaches further in IAM, whose * crosses slashes: what it takes out too much IAM lets through"
                ));
            }
        }
        let mut likes = Vec::new();
        for glob in these {
            match exactly(glob) {
                Ok(found) => likes.extend(found),
                Err(why) => {
                    said.unsaid.push(format!("{} cannot be said to IAM, which lets it through: {why}", shown(glob)))
                }
            }
        }
        said.refs.extend(grouped(likes, &not_like));
    }
    said
}

/// A ref's glob as the policy writes it.
pub(super) fn shown(glob: &str) -> &str {
    glob.strip_prefix("refs/heads/").unwrap_or(glob)
}

/// Patterns for the names of repositories, which hold no slash, so that everything but classes and braces is alike.
pub(super) fn repositories(glob: &str) -> Result<Vec<String>, String> {
    let said = spelled_out(glob).ok_or(Unsaid::TooMany).and_then(|spelled| {
        let mut patterns = BTreeSet::new();
        for one in spelled {
            for flat in without_classes(&one)? {
                patterns.insert(text(&flat)?);
            }
        }
        patterns.retain(|pattern| pattern.chars().all(|c| c.is_ascii_alphanumeric() || "._-*?".contains(c)));
        match patterns.len() {
            0 => Err(Unsaid::NoName),
            1..=MOST_PATTERNS => Ok(patterns),
            _ => Err(Unsaid::TooMany),
        }
    });
    said.map(|patterns| patterns.into_iter().collect()).map_err(|why| why.to_string())
}

/// Patterns that cover at least what the glob covers, and whether they cover just that.
pub(super) fn at_least(glob: &str) -> (Vec<String>, bool) {
    if let Ok(likes) = exactly(glob) {
        let is_exact = likes.iter().all(|like| like.most_slashes.is_none());
        return (likes.into_iter().map(|like| like.pattern).collect(), is_exact);
    }
    let wide = |one: &String| -> Option<String> {
        let mut out = String::new();
        for atom in atoms(&one.replace("**/", "**"))? {
            match atom {
                Atom::Char(c) if c > LAST_LETTER => out.push('?'),
                Atom::Char(c) => push(&mut out, c),
                Atom::One | Atom::Class(_) => out.push('?'),
                Atom::Run if out.ends_with('*') => {}
                Atom::Run => out.push('*'),
            }
        }
        Some(out)
    };
    let spelled = spelled_out(glob).unwrap_or_default();
    match spelled.iter().map(wide).collect::<Option<BTreeSet<_>>>() {
        Some(all) if !all.is_empty() && all.len() <= MOST_PATTERNS => (all.into_iter().collect(), false),
        _ => (vec!["*".to_owned()], false),
    }
}

/// Statements' worth of patterns: those that are kept from crossing slashes need an exclusion of their own.
fn grouped(likes: Vec<Like>, not_like: &[String]) -> Vec<RefPatterns> {
    let mut groups: Vec<(Option<usize>, RefPatterns)> = Vec::new();
    let (limited, free): (Vec<Like>, Vec<Like>) = likes.into_iter().partition(|like| like.most_slashes.is_some());
    for like in limited {
        match groups.iter_mut().find(|(most, _)| *most == like.most_slashes) {
            Some((_, group)) => group.like.push(like.pattern),
            None => {
                let deeper = like.most_slashes.map(|most| "*/".repeat(most + 1) + "*");
                let not_like = not_like.iter().cloned().chain(deeper).collect();
                groups.push((like.most_slashes, RefPatterns { like: vec![like.pattern], not_like }));
            }
        }
    }
    for like in free {
        let slashes = like.pattern.matches('/').count();
        let is_literal = !like.pattern.replace("${*}", "").replace("${?}", "").contains(['*', '?']);
        let fits = |most: Option<usize>| most.is_none_or(|most| is_literal && slashes <= most);
        match groups.iter_mut().find(|(most, _)| fits(*most)) {
            Some((_, group)) => group.like.push(like.pattern),
            None => groups.push((None, RefPatterns { like: vec![like.pattern], not_like: not_like.to_vec() })),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

fn exactly(glob: &str) -> Result<Vec<Like>, Unsaid> {
    let mut likes = Vec::new();
    if has_deep_braces(glob) {
        return Err(Unsaid::Crossing);
    }
    for one in spelled_out(glob).ok_or(Unsaid::TooMany)? {
        // An escaped slash is one all the same; nobody writes it.
        let mut spelled: Vec<Vec<Segment>> = vec![Vec::new()];
        for segment in one.replace("\\/", "/").split('/') {
            let plain = match segment {
                "**" => vec![Segment::Deep],
                segment => without_classes(segment)?.into_iter().map(Segment::Plain).collect(),
            };
            spelled = spelled
                .iter()
                .flat_map(|before| {
                    plain.iter().map(move |last| [before.as_slice(), std::slice::from_ref(last)].concat())
                })
                .collect();
            if spelled.len() > MOST_PATTERNS {
                return Err(Unsaid::TooMany);
            }
        }
        for segments in spelled {
            likes.extend(likes_of(&segments)?);
        }
    }
    let mut seen = BTreeSet::new();
    likes.retain(|like| seen.insert(like.clone()));
    if likes.len() > MOST_PATTERNS { Err(Unsaid::TooMany) } else { Ok(likes) }
}

/// Whether a `**` stands inside braces.
fn has_deep_braces(glob: &str) -> bool {
    let mut depth = 0_usize;
    let mut before = ' ';
    for c in glob.chars() {
        match c {
            '{' if before != '\\' => depth += 1,
            '}' if before != '\\' => depth = depth.saturating_sub(1),
            '*' if before == '*' && depth > 0 => return true,
            _ => {}
        }
        before = c;
    }
    false
}

fn is_wild(segment: &Segment) -> bool {
    matches!(segment, Segment::Plain(flat) if flat.iter().any(|one| !matches!(one, Flat::Char(_))))
}

fn likes_of(segments: &[Segment]) -> Result<Vec<Like>, Unsaid> {
    let deep: Vec<usize> = (0..segments.len()).filter(|&at| segments.get(at) == Some(&Segment::Deep)).collect();
    let wild: Vec<usize> = (0..segments.len()).filter(|&at| segments.get(at).is_some_and(is_wild)).collect();
    match (deep.as_slice(), wild.as_slice()) {
        ([], wild) => {
            // All slashes of a text that has no more are the pattern's own, so that no wildcard stands for one.
            let most_slashes = (!wild.is_empty()).then(|| segments.len().saturating_sub(1));
            Ok(vec![Like { pattern: joined(segments)?, most_slashes }])
        }
        (deep, []) if deep.len() <= MOST_DEEP => {
            let patterns = spell_deep(segments)?;
            Ok(patterns.into_iter().map(|pattern| Like { pattern, most_slashes: None }).collect())
        }
        ([deep], [wild]) => beside(segments, *deep, *wild).map(|pattern| vec![Like { pattern, most_slashes: None }]),
        _ => Err(Unsaid::Crossing),
    }
}

/// Each `**` that has something behind it is nothing, or some folders.
fn spell_deep(segments: &[Segment]) -> Result<Vec<String>, Unsaid> {
    let mut patterns = vec![String::new()];
    for (at, segment) in segments.iter().enumerate() {
        let is_last = at + 1 == segments.len();
        let own = match segment {
            Segment::Deep if is_last => vec!["*".to_owned()],
            Segment::Deep => vec![String::new(), "*/".to_owned()],
            Segment::Plain(flat) if is_last => vec![text(flat)?],
            Segment::Plain(flat) => vec![text(flat)? + "/"],
        };
        patterns = patterns.iter().flat_map(|before| own.iter().map(move |own| format!("{before}{own}"))).collect();
    }
    Ok(patterns)
}

/// `a*/**` and `**/*a`: the one star beside the `**` may cross slashes, because the `**` does.
fn beside(segments: &[Segment], deep: usize, wild: usize) -> Result<String, Unsaid> {
    let Some(Segment::Plain(flat)) = segments.get(wild) else { return Err(Unsaid::Crossing) };
    let wildcards = flat.iter().filter(|one| !matches!(one, Flat::Char(_))).count();
    let (before, behind) = (segments.get(..deep).unwrap_or_default(), segments.get(deep + 1..).unwrap_or_default());
    let ends_in_star = wild + 1 == deep && flat.last() == Some(&Flat::Run);
    let begins_with_star = wild == deep + 1 && flat.first() == Some(&Flat::Run);
    if wildcards != 1 || !(ends_in_star || begins_with_star) {
        return Err(Unsaid::Crossing);
    }
    let (before, behind) = (joined(before)?, joined(behind)?);
    Ok(match (ends_in_star, behind.as_str()) {
        (true, "") => format!("{before}/*"),
        (true, behind) => format!("{before}/{behind}"),
        (false, behind) if before.is_empty() => behind.to_owned(),
        (false, behind) => format!("{before}/{behind}"),
    })
}

fn joined(segments: &[Segment]) -> Result<String, Unsaid> {
    let texts: Result<Vec<String>, Unsaid> = segments
        .iter()
        .map(|segment| match segment {
            Segment::Deep => Ok("*".to_owned()),
            Segment::Plain(flat) => text(flat),
        })
        .collect();
    Ok(texts?.join("/"))
}

/// A segment with each class spelled out.
fn without_classes(segment: &str) -> Result<Vec<Vec<Flat>>, Unsaid> {
    let mut spelled: Vec<Vec<Flat>> = vec![Vec::new()];
    for atom in atoms(segment).ok_or(Unsaid::TooMany)? {
        let own: Vec<Flat> = match atom {
            Atom::Char(c) => vec![Flat::Char(c)],
            Atom::One => vec![Flat::One],
            Atom::Run => vec![Flat::Run],
            Atom::Class(class) => class.characters().ok_or(Unsaid::Negated)?.into_iter().map(Flat::Char).collect(),
        };
        spelled = spelled
            .iter()
            .flat_map(|before| own.iter().map(move |one| [before.as_slice(), std::slice::from_ref(one)].concat()))
            .collect();
        if spelled.len() > MOST_PATTERNS {
            return Err(Unsaid::TooMany);
        }
    }
    Ok(spelled)
}

fn text(flat: &[Flat]) -> Result<String, Unsaid> {
    let mut out = String::new();
    for one in flat {
        match one {
            Flat::Char(c) if *c > LAST_LETTER => return Err(Unsaid::Letters),
            Flat::Char(c) => push(&mut out, *c),
            Flat::One => out.push('?'),
            Flat::Run if out.ends_with('*') => {}
            Flat::Run => out.push('*'),
        }
    }
    Ok(out)
}

/// A character that stands for itself; `$` would begin a policy variable.
fn push(out: &mut String, c: char) {
    match c {
        '*' | '?' | '$' => {
            out.push_str("${");
            out.push(c);
            out.push('}');
        }
        c => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(patterns: &[&str]) -> Said {
        refs(&Globs::parse(patterns.iter().map(|pattern| (*pattern).to_owned())).unwrap())
    }

    fn shown_of(patterns: &[&str]) -> String {
        let said = said(patterns);
        let of = |one: &RefPatterns| match one.not_like.as_slice() {
            [] => one.like.join(" "),
            not => format!("{} without {}", one.like.join(" "), not.join(" ")),
        };
        said.refs
            .iter()
            .map(of)
            .chain(said.unsaid.iter().map(|what| format!("({what})")))
            .collect::<Vec<_>>()
            .join("; ")
    }

    #[test]
    fn globs_are_said_in_iams_words_or_not_at_all() {
        let table: &[&[&str]] = &[
            &["refs/heads/main", "refs/heads/release/**"],
            &["refs/heads/*"],
            &["refs/heads/main", "refs/heads/release/*"],
            &["refs/heads/release/*", "refs/heads/*-rc"],
            &["refs/heads/**/hotfix"],
            &["refs/heads/**/*-rc"],
            &["refs/heads/release*/**"],
            &["refs/heads/{main,release/**}"],
            &["refs/heads/{main,develop}"],
            &["refs/tags/v[0-2]"],
            &["refs/tags/v[!0-2]"],
            &["refs/tags/v[0-9].[0-9].[0-9]"],
            &["refs/heads/team/*/release/**"],
            &["refs/heads/**", "!refs/heads/feature/**"],
            &["refs/heads/**", "!refs/heads/feature/*"],
            &["refs/heads/release/**", "!refs/heads/release/old/**", "refs/heads/release/old/kept"],
            &["!refs/heads/feature/**"],
            &["refs/heads/${aws:username}"],
            &["refs/heads/a\\*b"],
            &["refs/heads/\u{4e16}"],
        ];
        insta::assert_snapshot!(
            table.iter().map(|one| format!("{}\n    {}", one.join(" "), shown_of(one))).collect::<Vec<_>>().join("\n")
        );
    }

    #[test]
    fn names_of_repositories_are_alike_but_for_classes_and_braces() {
        assert_eq!(repositories("payments-*").unwrap(), ["payments-*"]);
        assert_eq!(repositories("**").unwrap(), ["*"]);
        assert_eq!(repositories("{a,b}-[12]").unwrap(), ["a-1", "a-2", "b-1", "b-2"]);
        assert!(repositories("a$").unwrap_err().contains("no repository has such a name"));
        assert!(repositories("[!a]*").unwrap_err().contains("[!a]"));
    }

    /// `StringLike`, without policy variables.
    fn fits(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|at| fits(rest, &text[at..])),
            Some((b'?', rest)) => !text.is_empty() && fits(rest, &text[1..]),
            Some((c, rest)) => text.first() == Some(c) && fits(rest, &text[1..]),
        }
    }

    fn is_denied(said: &Said, name: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern.as_bytes(), name.as_bytes()));
        said.refs.iter().any(|refs| any(&refs.like) && !any(&refs.not_like))
    }

    fn glob() -> impl Strategy<Value = String> {
        let segment = prop_oneof![
            4 => "[ab]{1,2}",
            2 => Just("**".to_owned()),
            2 => Just("*".to_owned()),
            3 => prop::sample::select(vec!["a*", "*b", "a*b", "?", "?b", "[ab]", "[!a]b", "{a,bb}", "{a,b*}", "{,a}b"]).prop_map(str::to_owned),
        ];
        prop::collection::vec(segment, 1..5).prop_map(|segments| segments.join("/"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn iam_never_denies_what_the_policy_allows_and_says_where_it_denies_less(
            globs in prop::collection::vec((prop::bool::weighted(0.25), glob()), 1..4),
            names in prop::collection::vec(prop::collection::vec("[ab]{1,3}", 1..5), 40),
        ) {
            let written = globs.iter().map(|(excludes, glob)| format!("{}{glob}", if *excludes { "!" } else { "" }));
            let Ok(globs) = Globs::parse(written) else { return Ok(()) };
            let said = refs(&globs);
            for name in names.iter().map(|segments| segments.join("/")) {
                let (denied, forbidden) = (is_denied(&said, &name), globs.matches(&name));
                prop_assert!(!denied || forbidden, "{globs}: {name} is denied and not forbidden: {said:?}");
                prop_assert!(denied || !forbidden || !said.unsaid.is_empty(), "{globs}: {name} is let through unsaid: {said:?}");
            }
        }
    }
}
