//! What was measured, and whether each number holds.

use std::fmt;

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
    most: f64,
}

impl Report {
    /// Figures as a sentence.
    pub(crate) fn line(&mut self, line: String) {
        self.lines.push(line);
    }

    /// A figure that must not be above a limit.
    pub(crate) fn at_most(&mut self, what: &str, got: f64, most: f64) {
        self.checks.push(Check { what: what.to_owned(), got, most });
    }

    /// Whether every number holds.
    pub(crate) fn all_hold(&self) -> bool {
        self.checks.iter().all(|check| check.got <= check.most)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        writeln!(f)?;
        for Check { what, got, most } in &self.checks {
            let word = if got <= most { "holds" } else { "FAILS" };
            writeln!(f, "{word}  {what:<72} {got:>8.2}   at most {most:.0}")?;
        }
        Ok(())
    }
}
