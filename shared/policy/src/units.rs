//! Durations and sizes as people write them: `2d`, `1h30m`, `5MB`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A text that is not a duration or a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUnit {
    /// Not a duration.
    #[error("{0:?} is not a duration such as 30m, 2d or 1h30m")]
    Duration(String),
    /// Not a size.
    #[error("{0:?} is not a size such as 500KB or 5MB")]
    Size(String),
}

/// A length of time, written as `45s`, `30m`, `1h30m`, `2d` or `1w`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period {
    seconds: u64,
}

const PERIOD_UNITS: [(char, u64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Period {
    /// Reads the written form; each unit at most once, the largest first.
    pub fn parse(text: &str) -> Result<Self, InvalidUnit> {
        let invalid = || InvalidUnit::Duration(text.chars().take(40).collect());
        let mut rest = text;
        let mut seconds: u64 = 0;
        let mut largest = u64::MAX;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(invalid)?;
            let (number, tail) = rest.split_at(digits);
            let number: u64 = number.parse().map_err(|_| invalid())?;
            let letter = tail.chars().next().ok_or_else(invalid)?;
            let (_, unit) = PERIOD_UNITS.into_iter().find(|&(name, _)| name == letter).ok_or_else(invalid)?;
            if unit >= largest {
                return Err(invalid());
            }
            largest = unit;
            seconds = number.checked_mul(unit).and_then(|part| seconds.checked_add(part)).ok_or_else(invalid)?;
            rest = tail.get(letter.len_utf8()..).unwrap_or_default();
        }
        if largest == u64::MAX { Err(invalid()) } else { Ok(Self { seconds }) }
    }

    /// From whole seconds.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self { seconds }
    }

    /// In whole seconds.
    pub const fn seconds(self) -> u64 {
        self.seconds
    }

    /// As the standard library's type.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.seconds == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.seconds;
        for (name, unit) in PERIOD_UNITS {
            if rest >= unit {
                write!(f, "{}{name}", rest / unit)?;
                rest %= unit;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Period {
    type Error = InvalidUnit;
    fn try_from(text: String) -> Result<Self, InvalidUnit> {
        Self::parse(&text)
    }
}

impl From<Period> for String {
    fn from(period: Period) -> String {
        period.to_string()
    }
}

/// A number of bytes, written as `512`, `500KB`, `5MB`, `1GiB`.
///
/// `KB`, `MB` and `GB` count in thousands, `KiB`, `MiB` and `GiB` in 1,024s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByteSize(u64);

const SIZE_UNITS: [(&str, u64); 8] = [
    ("", 1),
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

impl ByteSize {
    /// Reads the written form.
    pub fn parse(text: &str) -> Result<Self, InvalidUnit> {
        let invalid = || InvalidUnit::Size(text.chars().take(40).collect());
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| invalid())?;
        let (_, factor) =
            SIZE_UNITS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim())).ok_or_else(invalid)?;
        number.checked_mul(factor).map(Self).ok_or_else(invalid)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = SIZE_UNITS.into_iter().filter(|&(_, unit)| unit > 1 && self.0 > 0 && self.0.is_multiple_of(unit));
        match fits.max_by_key(|&(_, unit)| unit) {
            Some((name, unit)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_the_same() {
        for (text, seconds) in [("2d", 172_800), ("30m", 1_800), ("1h30m", 5_400), ("45s", 45), ("1w2d3h4m5s", 788_645)]
        {
            let period = Period::parse(text).unwrap();
            assert_eq!(period.seconds(), seconds, "{text}");
            assert_eq!(period.to_string(), text);
        }
        assert_eq!(Period::parse("90m").unwrap().to_string(), "1h30m");
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "2", "d", "2 d", "-2d", "2.5h", "30m1h", "1h1h", "2days", "99999999999999999999s", "2ü"] {
            assert!(Period::parse(text).is_err(), "{text}");
        }
        assert!(Period::parse("18446744073709551615w").is_err());
    }

    #[test]
    fn sizes_count_in_thousands_unless_they_say_otherwise() {
        for (text, bytes) in [("512", 512), ("512B", 512), ("5MB", 5_000_000), ("5 MB", 5_000_000), ("5MiB", 5 << 20)] {
            assert_eq!(ByteSize::parse(text).unwrap().bytes(), bytes, "{text}");
        }
        for text in ["", "MB", "5.5MB", "-1", "5XB", "99999999999GB"] {
            assert!(ByteSize::parse(text).is_err(), "{text}");
        }
        assert_eq!(ByteSize::parse("5MB").unwrap().to_string(), "5MB");
        assert_eq!(ByteSize::parse("1536").unwrap().to_string(), "1536B");
    }
}
