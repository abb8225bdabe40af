//! Rules that run by the clock: `rate(5 minutes)`.

use std::time::Duration;

/// How often a rule runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate(Duration);

impl Rate {
    /// Reads `rate(VALUE UNIT)`; the error says what was expected.
    pub(super) fn parse(expression: &str) -> Result<Self, String> {
        if expression.starts_with("cron(") {
            return Err("the local cloud runs rate(...) only, cron(...) is not offered yet.".to_owned());
        }
        let malformed = || {
            format!("{expression:?} is not of the form rate(1 minute), rate(5 minutes), rate(2 hours) or rate(1 day).")
        };
        let inner = expression.strip_prefix("rate(").and_then(|rest| rest.strip_suffix(')')).ok_or_else(malformed)?;
        let (value, unit) = inner.trim().split_once(' ').ok_or_else(malformed)?;
        let value: u64 = value.parse().ok().filter(|value| *value > 0).ok_or_else(malformed)?;
        // AWS wants the singular for one and the plural for more.
        let seconds = match (unit, value) {
            ("minute", 1) | ("minutes", 2..) => 60,
            ("hour", 1) | ("hours", 2..) => 60 * 60,
            ("day", 1) | ("days", 2..) => 24 * 60 * 60,
            _ => return Err(malformed()),
        };
        value.checked_mul(seconds).map(|seconds| Self(Duration::from_secs(seconds))).ok_or_else(malformed)
    }

    /// The time between two runs, in milliseconds.
    pub(super) fn period(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX / 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_aws_reads_them() {
        assert_eq!(Rate::parse("rate(1 minute)").unwrap().period(), 60_000);
        assert_eq!(Rate::parse("rate(12 hours)").unwrap().period(), 43_200_000);
        assert_eq!(Rate::parse("rate(1 day)").unwrap().period(), 86_400_000);
        for wrong in ["rate(0 minutes)", "rate(1 minutes)", "rate(5 minute)", "rate(5)", "rate(5 seconds)", "5 minutes"]
        {
            assert!(Rate::parse(wrong).unwrap_err().contains("rate(5 minutes)"), "{wrong}");
        }
        assert!(Rate::parse("cron(0 12 * * ? *)").unwrap_err().contains("not offered yet"));
    }
}
