//! What was measured, and whether each number holds.

use std::fmt;

use crate::Size;

/// Lines of figures, and the limits behind them.
#[derive(Debug, Default)]
pub(crate) struct Report {
    lines: Vec<String>,
    checks: Vec<Check>,
}

#[derive(Debug)]
struct Check {
    what: String,
    got: f64,
    limit: String,
    holds: bool,
}

impl Report {
    /// Figures as a sentence.
    pub(crate) fn line(&mut self, line: String) {
        self.lines.push(line);
    }

    /// A ratio of times that must not be below a limit, where the repository is large enough for it to mean something.
    pub(crate) fn timed(&mut self, size: Size, what: &str, got: f64, limit: f64) {
        match size {
            Size::Full => self.add(what, got, format!("at least {limit:.0}x"), got >= limit),
            Size::Small => self.lines.push(format!("{what}: {got:.1} (not held against a limit)")),
        }
    }

    /// A figure that must not be above a limit.
    pub(crate) fn at_most(&mut self, what: &str, got: f64, limit: f64) {
        self.add(what, got, format!("at most {limit:.0}"), got <= limit);
    }

    fn add(&mut self, what: &str, got: f64, limit: String, holds: bool) {
        self.checks.push(Check { what: what.to_owned(), got, limit, holds });
    }

    /// Whether every number holds.
    pub(crate) fn all_hold(&self) -> bool {
        self.checks.iter().all(|check| check.holds)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        writeln!(f)?;
        for Check { what, got, limit, holds } in &self.checks {
            writeln!(f, "{}  {what:<72} {got:>8.2}   {limit}", if *holds { "holds" } else { "FAILS" })?;
        }
        Ok(())
    }
}
