//! Lists of globs: `*` stays inside one segment, `**` crosses, `!` excludes, the last match wins.

use std::fmt;
use std::sync::{Arc, OnceLock};

use globset::{Candidate, Glob, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

use crate::glob_syntax::{InvalidGlob, build, check_glob, split_exclusion};

/// A checked list of globs, compiled when it is first asked.
///
/// A list that begins with an exclusion means everything but what it excludes, as if `**` stood before it; an empty list
/// matches nothing. Compiling waits for the first question because most lists of a policy are never asked for one event.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Globs {
    patterns: Vec<String>,
    compiled: Arc<OnceLock<Compiled>>,
}

impl Globs {
    /// Checks every pattern; the error names the first that is wrong.
    pub fn parse<S: Into<String>>(patterns: impl IntoIterator<Item = S>) -> Result<Self, InvalidGlob> {
        let patterns: Vec<String> = patterns.into_iter().map(Into::into).collect();
        for pattern in &patterns {
            check_glob(pattern)?;
        }
        Ok(Self::from_checked(patterns))
    }

    /// From patterns that went through `check_glob`.
    pub(crate) fn from_checked(patterns: Vec<String>) -> Self {
        Self { patterns, compiled: Arc::default() }
    }

    /// The list that matches everything.
    pub fn everything() -> Self {
        Self::from_checked(vec!["**".to_owned()])
    }

    /// The list that matches nothing.
    pub fn nothing() -> Self {
        Self::from_checked(Vec::new())
    }

    /// The patterns as written, in order, exclusions with their `!`.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Whether the list matches this name or path.
    pub fn matches(&self, text: &str) -> bool {
        match self.deciding_pattern(text) {
            Some(pattern) => !pattern.starts_with('!'),
            None => self.matches_by_default(),
        }
    }

    /// The pattern that decides about this text, the last that matches it, for reasons that are shown to people.
    pub fn deciding_pattern(&self, text: &str) -> Option<&str> {
        let mut found = Vec::new();
        self.compiled().matches_into(text, &mut Vec::new(), &mut found);
        let last = found.into_iter().max()?;
        self.patterns.get(last).map(String::as_str)
    }

    /// What holds for a text that no pattern matches.
    pub(crate) fn matches_by_default(&self) -> bool {
        self.patterns.first().is_some_and(|first| first.starts_with('!'))
    }

    fn compiled(&self) -> &Compiled {
        self.compiled.get_or_init(|| Compiled::new(self.patterns.iter().map(|pattern| split_exclusion(pattern).1)))
    }
}

/// Compiled patterns that keep the positions in which they were given.
///
/// One set, except where the patterns are too many or too long for one: then each half is a set of its own.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    parts: Vec<(usize, GlobSet)>,
}

impl Compiled {
    /// Compiles patterns that were checked, without their `!`.
    pub(crate) fn new<'a>(globs: impl Iterator<Item = &'a str>) -> Self {
        let globs: Vec<Glob> =
            globs.filter_map(|glob| check_glob(glob).ok().and_then(|glob| build(&glob).ok())).collect();
        let mut parts = Vec::new();
        let mut todo = vec![(0, globs.as_slice())];
        while let Some((offset, globs)) = todo.pop() {
            let mut builder = GlobSetBuilder::new();
            for glob in globs {
                builder.add(glob.clone());
            }
            match builder.build() {
                Ok(set) => parts.push((offset, set)),
                // A single pattern that passed the check always builds; a test holds the limits to that.
                Err(_) if globs.len() < 2 => {}
                Err(_) => {
                    let (front, back) = globs.split_at(globs.len() / 2);
                    todo.push((offset + front.len(), back));
                    todo.push((offset, front));
                }
            }
        }
        Self { parts }
    }

    /// The positions of the patterns that match, in no order; `scratch` saves an allocation for each text.
    pub(crate) fn matches_into(&self, text: &str, scratch: &mut Vec<usize>, found: &mut Vec<usize>) {
        let candidate = Candidate::new(text);
        found.clear();
        for (offset, set) in &self.parts {
            set.matches_candidate_into(&candidate, scratch);
            found.extend(scratch.iter().map(|at| offset + at));
        }
    }
}

impl PartialEq for Globs {
    fn eq(&self, other: &Self) -> bool {
        self.patterns == other.patterns
    }
}

impl Eq for Globs {}

impl fmt::Debug for Globs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.patterns).finish()
    }
}

impl fmt::Display for Globs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.patterns.join(", "))
    }
}

impl TryFrom<Vec<String>> for Globs {
    type Error = InvalidGlob;
    fn try_from(patterns: Vec<String>) -> Result<Self, InvalidGlob> {
        Self::parse(patterns)
    }
}

impl From<Globs> for Vec<String> {
    fn from(globs: Globs) -> Self {
        globs.patterns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(patterns: &[&str]) -> Globs {
        Globs::parse(patterns.iter().copied()).unwrap()
    }

    #[test]
    fn globs_mean_what_the_reference_says() {
        let table: &[(&[&str], &[&str], &[&str])] = &[
            (&["*"], &["main", ".env", "a b"], &["a/b", "a/"]),
            (&["**"], &["main", "a/b/c", ".git/x"], &[]),
            (&["release/**"], &["release/1", "release/1/2"], &["release", "releases/1", "x/release/1"]),
            (&["release/*"], &["release/1"], &["release/1/2", "release"]),
            (&["**/*.md"], &["README.md", "docs/a.md", "a/b/c.md", ".md"], &["md", "a.mdx", "a.md/b"]),
            (&["*.md"], &["README.md"], &["docs/README.md"]),
            (&["src/**/test/*.rs"], &["src/test/a.rs", "src/a/b/test/c.rs"], &["src/test/x/a.rs", "test/a.rs"]),
            (&["src/**", "!**/*.md"], &["src/a.rs", "src/a/b.rs"], &["src/a.md", "README.md", "lib/a.rs"]),
            (&["src/**", "!src/gen/**", "src/gen/keep.rs"], &["src/a", "src/gen/keep.rs"], &["src/gen/a.rs"]),
            (&["!docs/**"], &["src/a", "docs"], &["docs/a", "docs/a/b"]),
            (&["!docs/**", "docs/api/**"], &["src/a", "docs/api/x"], &["docs/a"]),
            (&["main", "!main"], &[], &["main", "other"]),
            (&["v?.[0-9]"], &["v1.0", "va.9"], &["v1.10", "v/.0", "v1.x"]),
            (&["a[!b]c"], &["axc"], &["abc", "a/c"]),
            (&["a[!b-]c"], &["axc"], &["a-c", "abc", "a/c"]),
            (&["a?c"], &["abc"], &["a/c", "ac", "aüc"]),
            (&["a*ü"], &["aü", "abcü"], &["a/ü"]),
            (&["*.{rs,toml}"], &["a.rs", "Cargo.toml"], &["a.md", "x/a.rs"]),
            (&["{src,lib}/**"], &["src/a", "lib/b/c"], &["bin/a"]),
            (&["a\\*b", "\\!x"], &["a*b", "!x"], &["axb", "x"]),
            (&["Main"], &["Main"], &["main"]),
            (&[], &[], &["main", ""]),
        ];
        for (patterns, yes, no) in table {
            let list = globs(patterns);
            for text in *yes {
                assert!(list.matches(text), "{patterns:?} should match {text}");
            }
            for text in *no {
                assert!(!list.matches(text), "{patterns:?} should not match {text}");
            }
        }
    }

    #[test]
    fn the_last_pattern_that_matches_decides_and_is_named() {
        let list = globs(&["src/**", "!**/*.md", "src/README.md"]);
        assert_eq!(list.deciding_pattern("src/a.md"), Some("!**/*.md"));
        assert_eq!(list.deciding_pattern("src/README.md"), Some("src/README.md"));
        assert_eq!(list.deciding_pattern("lib/a.rs"), None);
    }

    #[test]
    fn the_worst_patterns_that_pass_the_check_still_compile() {
        let worst = ["?".repeat(509), "[!a-c]".repeat(84), "*a".repeat(254), "{a,b}".repeat(101), "ü".repeat(509)];
        let many: Vec<String> = (0..150).flat_map(|i| worst.iter().map(move |glob| format!("{i:03}{glob}"))).collect();
        let list = Globs::parse(many).unwrap();
        assert_eq!(list.compiled().parts.iter().map(|(_, set)| set.len()).sum::<usize>(), 750);
        assert!(list.compiled().parts.len() > 1, "the patterns should be too many for one set");
        assert!(list.matches(&format!("004{}", "ü".repeat(509))));
        assert!(list.matches(&format!("149{}", "a".repeat(101))));
        assert!(!list.matches(&format!("150{}", "a".repeat(101))));
    }

    #[test]
    fn a_list_survives_being_written_and_read() {
        let list = globs(&["src/**", "!**/*.md"]);
        let patterns: Vec<String> = list.clone().into();
        assert_eq!(Globs::try_from(patterns).unwrap(), list);
        assert!(Globs::try_from(vec!["[".to_owned()]).is_err());
    }
}
