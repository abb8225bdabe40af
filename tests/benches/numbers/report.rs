//! What was measured, as a table, and whether each number holds.

use std::fmt;

use crate::measure::{Calls, Measured};

/// Lines of a table and the limits behind it.
#[derive(Debug, Default)]
pub(crate) struct Report {
    lines: Vec<String>,
    checks: Vec<Check>,
    calls: Vec<String>,
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

    /// The AWS calls of something, and those that it must not be above where there is something to compare it with.
    pub(crate) fn calls(&mut self, what: &str, got: &Calls, wanted: Option<&Calls>) {
        let list = |calls: &Calls| {
            let named: Vec<String> = calls.iter().map(|(name, count)| format!("{count} {name}")).collect();
            if named.is_empty() { "none".to_owned() } else { named.join(", ") }
        };
        self.calls.push(format!("{what}: {}", list(got)));
        if let Some(wanted) = wanted {
            if got != wanted {
                self.calls.push(format!("  the other: {}", list(wanted)));
            }
            let sum = |calls: &Calls| calls.values().sum::<usize>();
            let (got, most) = (sum(got) as f64, sum(wanted) as f64);
            self.add(what, got, format!("at most {most:.0}"), got <= most);
        }
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
        for line in &self.calls {
            writeln!(f, "{line}")?;
        }
        if !self.calls.is_empty() {
            writeln!(f)?;
        }
        for Check { what, got, limit, holds } in &self.checks {
            writeln!(f, "{}  {what:<72} {got:>8.2}   {limit}", if *holds { "holds" } else { "FAILS" })?;
        }
        Ok(())
    }
}
