//! What is wrong with a template, and where.

use std::fmt;

/// A place in the template's text; both count from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl Position {
    /// Where a text starts.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// One thing that the local cloud cannot follow or that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{}:{}: {message}", at.line, at.column)]
pub struct TemplateProblem {
    /// Where it stands.
    pub at: Position,
    /// What is wrong and what to do.
    pub message: String,
}

impl TemplateProblem {
    /// A problem at a place.
    pub fn new(at: Position, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

/// All problems of one template, a line each, with the file's name in front as compilers write it.
#[derive(Debug)]
pub struct Problems<'a> {
    /// The file's name as the reader knows it.
    pub file: &'a str,
    /// What was found.
    pub problems: &'a [TemplateProblem],
}

impl fmt::Display for Problems<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:{problem}", self.file)?;
        }
        Ok(())
    }
}

/// The known name that a wrong one was probably meant to be.
pub(crate) fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| (distance(&wrong.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be changed, added or taken away.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, from) in left.chars().enumerate() {
        let mut last = index + 1;
        let mut next = vec![last];
        for (to, (&diagonal, &above)) in right.iter().zip(row.iter().zip(row.iter().skip(1))) {
            last = (diagonal + usize::from(from != *to)).min(above + 1).min(last + 1);
            next.push(last);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
