//! Rules that run by the clock: `rate(5 minutes)` and `cron(0 12 * * ? *)`.

use std::time::Duration;

use jiff::Timestamp;

use super::cron::Cron;

/// When a rule runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Schedule {
    /// Once a period.
    Rate(Duration),
    Cron(Cron),
}

impl Schedule {
    /// Reads `rate(VALUE UNIT)` or `cron(FIELDS)`; the error says what was expected.
    pub(super) fn parse(expression: &str) -> Result<Self, String> {
        let inside = |name: &str| expression.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(fields) = inside("cron") {
            return Cron::parse(fields).map(Self::Cron).map_err(|why| format!("{expression:?}: {why}."));
        }
        let malformed = || {
            format!(
                "{expression:?} is not of the form rate(1 minute), rate(5 minutes), rate(2 hours), rate(1 day) or cron(0 12 * * ? *)."
            )
        };
        let (value, unit) = inside("rate").and_then(|rate| rate.trim().split_once(' ')).ok_or_else(malformed)?;
        let value: u64 = value.parse().ok().filter(|value| *value > 0).ok_or_else(malformed)?;
        // AWS wants the singular for one and the plural for more.
        let seconds = match (unit, value) {
            ("minute", 1) | ("minutes", 2..) => 60,
            ("hour", 1) | ("hours", 2..) => 60 * 60,
            ("day", 1) | ("days", 2..) => 24 * 60 * 60,
            _ => return Err(malformed()),
        };
        value.checked_mul(seconds).map(|seconds| Self::Rate(Duration::from_secs(seconds))).ok_or_else(malformed)
    }

    /// When it runs next, in milliseconds since 1970; `last` is when it was due the last time.
    ///
    /// What was missed is not made up for: the next run lies ahead of `now`.
    pub(super) fn next(&self, last: Option<i64>, now: Timestamp) -> Option<i64> {
        let at = now.as_millisecond();
        match self {
            Self::Rate(period) => {
                let period = i64::try_from(period.as_millis()).unwrap_or(i64::MAX / 4);
                let in_step = last.map(|last| last.saturating_add(period)).filter(|next| *next > at);
                Some(in_step.unwrap_or_else(|| at.saturating_add(period)))
            }
            Self::Cron(cron) => cron.next(now).map(Timestamp::as_millisecond),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_aws_reads_them() {
        let period = |text: &str| Schedule::parse(text).unwrap().next(None, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(period("rate(1 minute)"), 60_000);
        assert_eq!(period("rate(12 hours)"), 43_200_000);
        assert_eq!(period("rate(1 day)"), 86_400_000);
        for wrong in
            ["rate(0 minutes)", "rate(1 minutes)", "rate(5 minute)", "rate(5)", "rate(5 seconds)", "5 minutes", "cron"]
        {
            assert!(Schedule::parse(wrong).unwrap_err().contains("rate(5 minutes)"), "{wrong}");
        }
        assert!(Schedule::parse("cron(0 12 * * *)").unwrap_err().contains("needs 6"));
    }

    #[test]
    fn a_rate_keeps_its_step_and_nothing_that_was_missed_is_made_up_for() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let rate = Schedule::parse("rate(5 minutes)").unwrap();
        assert_eq!(rate.next(Some(300_000), at(301)), Some(600_000));
        assert_eq!(rate.next(Some(300_000), at(10_000)), Some(10_300_000));
        let cron = Schedule::parse("cron(0 12 * * ? *)").unwrap();
        assert_eq!(cron.next(None, at(0)), Some(43_200_000));
        assert_eq!(cron.next(Some(43_200_000), at(10 * 86_400)), Some(10 * 86_400_000 + 43_200_000));
        let never = Schedule::parse("cron(0 12 1 1 ? 1970)").unwrap();
        assert_eq!(never.next(None, at(86_400 * 400)), None);
    }
}
