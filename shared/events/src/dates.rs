//! The dates that AWS writes in its details.

use jiff::civil::DateTime;
use jiff::{Timestamp, tz::Offset};

use crate::error::ParseError;
use crate::fields::Fields;

/// Reads CodeBuild's dates, such as `Sep 1, 2017 4:12:29 PM`: UTC, without saying so.
///
/// Newer Java puts a narrow no-break space before the half of the day, so any white space counts as one space.
pub(crate) fn parse_build_date(text: &str) -> Option<Timestamp> {
    let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let date = DateTime::strptime("%b %d, %Y %I:%M:%S %p", plain).ok()?;
    Offset::UTC.to_timestamp(date).ok()
}

/// A CodeBuild date in a field. One that cannot be read is `None`: no decision rests on it.
pub(crate) fn build_date(fields: &Fields<'_>, key: &str) -> Result<Option<Timestamp>, ParseError> {
    Ok(fields.optional_text(key)?.and_then(parse_build_date))
}

/// An RFC 3339 date in a field, as CodePipeline writes them. One that cannot be read is `None`, as above.
pub(crate) fn date(fields: &Fields<'_>, key: &str) -> Result<Option<Timestamp>, ParseError> {
    Ok(fields.optional_text(key)?.and_then(|text| text.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        parse_build_date(text).map(|date| date.to_string())
    }

    #[test]
    fn a_build_date_has_a_twelve_hour_clock_and_is_utc() {
        assert_eq!(read("Sep 1, 2017 4:12:29 PM").as_deref(), Some("2017-09-01T16:12:29Z"));
        assert_eq!(read("Apr 23, 2020 12:59:22 AM").as_deref(), Some("2020-04-23T00:59:22Z"));
        assert_eq!(read("Dec 31, 2025 12:00:00 PM").as_deref(), Some("2025-12-31T12:00:00Z"));
    }

    #[test]
    fn a_narrow_no_break_space_before_the_half_of_the_day_is_a_space() {
        assert_eq!(read("Sep 1, 2017 4:12:29\u{202f}PM").as_deref(), Some("2017-09-01T16:12:29Z"));
    }

    #[test]
    fn what_is_no_build_date_is_none() {
        for text in ["", "null", "2017-09-01T16:12:29Z", "Sep 31, 2017 4:12:29 PM", "Sep 1, 2017 14:12:29 PM"] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
