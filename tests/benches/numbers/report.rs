//! What was measured, as a table, and whether each number holds.

use std::fmt;

use crate::measure::Measured;

/// Lines of a table and the limits behind it.
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
    /// A program's own figures.
    pub(crate) fn line(&mut self, one: &Measured) {
        self.lines.push(format!(
            "{:<20} {:>12.2} {:>16.2} {:>14.3} {:>14.2} {:>10.0}",
            one.name, one.init, one.first_done, one.idle, one.warm, one.memory
        ));
    }

    /// A ratio that must not be above a limit.
    pub(crate) fn ratio(&mut self, what: &str, got: f64, limit: f64) {
        self.add(what, got, format!("at most {limit:.1}x"), got <= limit);
    }

    /// A figure that must not be above a limit.
    pub(crate) fn at_most(&mut self, what: &str, got: f64, limit: f64) {
        self.add(what, got, format!("at most {limit:.0}"), got <= limit);
    }

    /// A figure that must not be below a limit.
    pub(crate) fn at_least(&mut self, what: &str, got: f64, limit: f64) {
        self.add(what, got, format!("over {limit:.0}"), got > limit);
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
        if !self.lines.is_empty() {
            writeln!(
                f,
                "{:<20} {:>12} {:>16} {:>14} {:>14} {:>10}",
                "medians", "start, ms", "first done, ms", "idle event, ms", "an event, ms", "memory, MB"
            )?;
            for line in &self.lines {
                writeln!(f, "{line}")?;
            }
            writeln!(f)?;
        }
        for Check { what, got, limit, holds } in &self.checks {
            writeln!(f, "{}  {what:<72} {got:>8.2}   {limit}", if *holds { "holds" } else { "FAILS" })?;
        }
        Ok(())
    }
}
