//! What can be wrong with a policy file, and how it is told.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing that is wrong, where it is, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The way to the value, such as `repositories."payments-*".triggers.unit`; empty for the file as a whole.
    pub path: String,
    /// What is wrong.
    pub what: ProblemKind,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// The file is no YAML.
    #[error("not valid YAML: {message}")]
    Syntax {
        /// What the parser says.
        message: String,
    },
    /// The file is too large.
    #[error("the file has {bytes} bytes, and {limit} are the limit")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Values lie too deep inside each other.
    #[error("more than {limit} levels inside each other")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// Aliases blow the file up.
    #[error("more than {limit} values once the aliases are followed")]
    TooManyValues {
        /// The limit.
        limit: usize,
    },
    /// A second document.
    #[error("a second document: a policy is one")]
    SecondDocument,
    /// A merge key.
    #[error("merge keys (\"<<\") are not supported")]
    MergeKey,
    /// A tag.
    #[error("a YAML tag ({tag}), which a policy has no use for")]
    Tag {
        /// The tag.
        tag: String,
    },
    /// A key that is no text.
    #[error("a key must be a text")]
    KeyNotText,
    /// A key that came before.
    #[error("duplicate key {key:?}, first on line {first_line}")]
    DuplicateKey {
        /// The key.
        key: String,
        /// Where it came first.
        first_line: usize,
    },
    /// A key that the grammar does not know.
    #[error("unknown key {key:?} in {mapping}")]
    UnknownKey {
        /// The key.
        key: String,
        /// What holds it, in words.
        mapping: String,
    },
    /// A key that must be there.
    #[error("{mapping} needs the key {key:?}")]
    MissingKey {
        /// The key.
        key: String,
        /// What should hold it, in words.
        mapping: String,
    },
    /// A value of the wrong type.
    #[error("expected {expected}, found {found}")]
    WrongType {
        /// What is wanted, in words.
        expected: String,
        /// What is there, in words.
        found: String,
    },
    /// A key without a value, or an empty list.
    #[error("{what} is empty")]
    Empty {
        /// What is empty.
        what: String,
    },
    /// A word out of a closed list.
    #[error("unknown word {word:?}: expected one of {expected}")]
    UnknownWord {
        /// As written.
        word: String,
        /// The list.
        expected: String,
    },
    /// A value that does not have the shape of its kind.
    #[error("{message}")]
    Invalid {
        /// What is wrong with it.
        message: String,
    },
    /// A regular expression that does not compile.
    #[error("broken regular expression: {message}")]
    Regex {
        /// What the engine says, in one line.
        message: String,
    },
    /// A number or duration out of bounds.
    #[error("{value} is out of range: {allowed}")]
    OutOfRange {
        /// As written.
        value: String,
        /// The bounds.
        allowed: String,
    },
    /// A pattern that no topic has.
    #[error("no topic matches {pattern:?}")]
    UnknownTopic {
        /// As written.
        pattern: String,
    },
    /// A name that refers to nothing.
    #[error("{kind} {name:?} does not exist{scope}")]
    Dangling {
        /// What it should be.
        kind: String,
        /// As written.
        name: String,
        /// Where it was looked for, with a leading space; may be empty.
        scope: String,
    },
    /// The same name twice where it must be unique.
    #[error("{kind} {name:?} is defined twice, first on line {first_line}")]
    Twice {
        /// What it is.
        kind: String,
        /// The name.
        name: String,
        /// Where it came first.
        first_line: usize,
    },
    /// Triggers that start each other for ever.
    #[error("these triggers start each other without end: {chain}")]
    Cycle {
        /// The names, with arrows.
        chain: String,
    },
    /// Keys or values that do not go together.
    #[error("{message}")]
    Conflict {
        /// What does not fit.
        message: String,
    },
    /// Something that Signalbox keeps for itself.
    #[error("{name:?} is reserved")]
    Reserved {
        /// As written.
        name: String,
    },
}

impl Problem {
    fn write_message(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        if !self.path.is_empty() {
            write!(f, " (at {})", self.path)?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }

    /// As one line that begins with `FILE:LINE:COLUMN:`, as compilers and editors know it.
    pub fn in_file<'a>(&'a self, file_name: &'a str) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| {
            write!(f, "{file_name}:{}:{}: ", self.line, self.column)?;
            self.write_message(f)
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        self.write_message(f)
    }
}

/// Everything that is wrong with a policy file: at least one problem, sorted by place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Sorts them and drops repetitions; none when there are none.
    pub(crate) fn new(mut problems: Vec<Problem>) -> Option<Self> {
        problems.sort_by_key(|problem| (problem.line, problem.column));
        // A value behind an alias is checked wherever it is used, and is wrong once.
        problems.dedup_by(|a, b| (a.line, a.column, &a.what) == (b.line, b.column, &b.what));
        (!problems.is_empty()).then_some(Self(problems))
    }

    /// In order of place.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// How many; at least one.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Something that the file asks for and this version checks but does not do yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The way to the key.
    pub path: String,
    /// What is not done yet, in one line.
    pub what: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} ({})", self.line, self.column, self.what, self.path)
    }
}

/// The widest part of a line that is shown, in characters.
const WIDEST: usize = 120;

/// Shows every problem with its line and a caret below the place; ends with a line that counts them.
pub fn render_problems(file_name: &str, text: &str, problems: &Problems) -> String {
    use fmt::Write;
    let lines: Vec<&str> = text.lines().collect();
    let mut out = String::new();
    for problem in problems {
        let _ = writeln!(out, "{}", problem.in_file(file_name));
        let Some(line) = problem.line.checked_sub(1).and_then(|at| lines.get(at)) else { continue };
        // A place in front of the text points at its first character.
        let indent = line.chars().take_while(|c| c.is_whitespace()).count();
        let column = problem.column.saturating_sub(1).max(indent);
        let skipped = if column >= WIDEST { column - WIDEST / 2 } else { 0 };
        let shown: String = line
            .chars()
            .skip(skipped)
            .take(WIDEST)
            .map(|c| if c.is_control() || c == '\u{feff}' { ' ' } else { c })
            .collect();
        let number = problem.line.to_string();
        let _ = writeln!(out, " {number} | {}", shown.trim_end());
        let _ = writeln!(out, " {} | {}^", " ".repeat(number.len()), " ".repeat(column - skipped));
    }
    let count = problems.len();
    let _ = writeln!(out, "{count} {} in {file_name}", if count == 1 { "problem" } else { "problems" });
    out
}
