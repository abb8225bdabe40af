//! `cron(MINUTES HOURS DAY-OF-MONTH MONTH DAY-OF-WEEK YEAR)` as EventBridge has it, in UTC.
//!
//! Not the five fields of the policy's schedules (`signalbox_policy::Cron`), whose lists and ranges it has: here one of the
//! day fields is `?`, Sunday is 1, and there are `L`, `W`, `#` and years.

use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use signalbox_policy::CronField;

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const YEARS: (u32, u32) = (1970, 2199);

/// The moments of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cron {
    minutes: Set,
    hours: Set,
    day: Day,
    months: Set,
    years: Set,
}

/// Which days of a month.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Day {
    OfMonth(Set),
    /// `L`
    Last,
    /// `LW`
    LastWorkday,
    /// `15W`: Monday to Friday nearest to the 15th, in the same month.
    Workday(i8),
    OfWeek(Set),
    /// `6L`: the last Friday.
    LastOfWeek(i8),
    /// `6#3`: the third Friday.
    NthOfWeek(i8, i8),
}

/// The values of a field, sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Set(Vec<u32>);

const fn field(name: &'static str, low: u32, high: u32, words: &'static [&'static str]) -> CronField {
    CronField { name, low, high, words, longest_step: YEARS.1 }
}

const MINUTE: CronField = field("minutes", 0, 59, &[]);
const HOUR: CronField = field("hours", 0, 23, &[]);
const DAY: CronField = field("day of month", 1, 31, &[]);
const MONTH: CronField = field("month", 1, 12, &MONTHS);
const WEEKDAY: CronField = field("day of week", 1, 7, &WEEKDAYS);
const YEAR: CronField = field("year", YEARS.0, YEARS.1, &[]);

impl Cron {
    /// Reads what stands between the parentheses; the error says what was expected.
    pub(super) fn parse(fields: &str) -> Result<Self, String> {
        let parts: Vec<&str> = fields.split_whitespace().collect();
        let [minutes, hours, day, month, weekday, year] = parts.as_slice() else {
            return Err(format!(
                "it has {} fields and needs 6: minutes hours day-of-month month day-of-week year",
                parts.len()
            ));
        };
        let day = match (*day, *weekday) {
            ("?", "?") => return Err("only one of day-of-month and day-of-week can be ?".to_owned()),
            (day, "?") => parse_day(day)?,
            ("?", weekday) => parse_weekday(weekday)?,
            _ => return Err("one of day-of-month and day-of-week must be ?".to_owned()),
        };
        Ok(Self {
            minutes: Set::parse(&MINUTE, minutes)?,
            hours: Set::parse(&HOUR, hours)?,
            day,
            months: Set::parse(&MONTH, month)?,
            years: Set::parse(&YEAR, year)?,
        })
    }

    /// The first moment behind `after`, if there is one.
    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let from = after.to_zoned(TimeZone::UTC).datetime();
        let mut date = from.date();
        while u32::try_from(date.year()).is_ok_and(|year| year <= YEARS.1) {
            if !self.years.has(date.year()) || !self.months.has(date.month()) {
                date = date.last_of_month().tomorrow().ok()?;
                continue;
            }
            if self.day.is_on(date) {
                let now = (u32::try_from(from.hour()).ok()?, u32::try_from(from.minute()).ok()?);
                let behind = |hour: u32, minute: u32| date > from.date() || (hour, minute) > now;
                let times =
                    self.hours.0.iter().flat_map(|hour| self.minutes.0.iter().map(move |minute| (*hour, *minute)));
                if let Some((hour, minute)) = times.into_iter().find(|(hour, minute)| behind(*hour, *minute)) {
                    let at = date.at(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0);
                    return at.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp());
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }
}

fn parse_day(text: &str) -> Result<Day, String> {
    match text {
        "L" => Ok(Day::Last),
        "LW" => Ok(Day::LastWorkday),
        _ => match text.strip_suffix('W') {
            Some(day) => number(&DAY, day).map(Day::Workday),
            None => Set::parse(&DAY, text).map(Day::OfMonth),
        },
    }
}

fn parse_weekday(text: &str) -> Result<Day, String> {
    if let Some((weekday, nth)) = text.split_once('#') {
        let nth = nth.parse().ok().filter(|nth| (1..=5).contains(nth));
        let nth = nth.ok_or_else(|| format!("day of week {text:?} needs 1 to 5 behind the #"))?;
        return Ok(Day::NthOfWeek(number(&WEEKDAY, weekday)?, nth));
    }
    match text.strip_suffix('L') {
        // The last day of a week is its Saturday.
        Some("") => Ok(Day::OfWeek(Set(vec![7]))),
        Some(weekday) => number(&WEEKDAY, weekday).map(Day::LastOfWeek),
        None => Set::parse(&WEEKDAY, text).map(Day::OfWeek),
    }
}

impl Day {
    fn is_on(&self, date: Date) -> bool {
        let weekday = date.weekday().to_sunday_one_offset();
        let nth = (date.day() - 1) / 7 + 1;
        match self {
            Self::OfMonth(days) => days.has(date.day()),
            Self::Last => date == date.last_of_month(),
            Self::LastWorkday => nearest_workday(date, date.days_in_month()) == Some(date),
            Self::Workday(day) => nearest_workday(date, *day) == Some(date),
            Self::OfWeek(days) => days.has(weekday),
            Self::LastOfWeek(day) => weekday == *day && date.day() + 7 > date.days_in_month(),
            Self::NthOfWeek(day, wanted) => weekday == *day && nth == *wanted,
        }
    }
}

/// The Monday to Friday nearest to a day, in the month of `within`; none in a month that has no such day.
fn nearest_workday(within: Date, day: i8) -> Option<Date> {
    let at = Date::new(within.year(), within.month(), day).ok()?;
    let moved = match at.weekday() {
        Weekday::Saturday if day == 1 => day + 2,
        Weekday::Saturday => day - 1,
        Weekday::Sunday if day == at.days_in_month() => day - 2,
        Weekday::Sunday => day + 1,
        _ => day,
    };
    Date::new(within.year(), within.month(), moved).ok()
}

impl Set {
    fn parse(field: &CronField, text: &str) -> Result<Self, String> {
        field.values(text).map(Self).map_err(|why| told(field, text, &why))
    }

    fn has(&self, value: impl TryInto<u32>) -> bool {
        value.try_into().is_ok_and(|value| self.0.binary_search(&value).is_ok())
    }
}

/// A day's number; no field of days goes beyond 31.
fn number(field: &CronField, text: &str) -> Result<i8, String> {
    let value = field.value(text).map_err(|why| told(field, text, &why))?;
    Ok(i8::try_from(value).unwrap_or(i8::MAX))
}

fn told(field: &CronField, text: &str, why: &str) -> String {
    format!("{} {text:?} {why}", field.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(fields: &str, after: &str, count: usize) -> Vec<String> {
        let cron = Cron::parse(fields).unwrap_or_else(|error| panic!("{fields}: {error}"));
        let mut at: Timestamp = format!("{after}Z").parse().unwrap();
        let mut found = Vec::new();
        while found.len() < count {
            let Some(next) = cron.next(at) else { break };
            assert!(next > at, "{fields}");
            at = next;
            found.push(at.strftime("%Y-%m-%dT%H:%M").to_string());
        }
        found
    }

    #[test]
    fn the_documented_examples_strike_when_they_should() {
        // 2026-11-21 is a Saturday.
        assert_eq!(next("0 10 * * ? *", "2026-11-21T10:00:00", 2), ["2026-11-22T10:00", "2026-11-23T10:00"]);
        assert_eq!(next("15 12 * * ? *", "2026-11-21T12:14:59", 1), ["2026-11-21T12:15"]);
        assert_eq!(next("0 18 ? * MON-FRI *", "2026-11-20T18:00:30", 2), ["2026-11-23T18:00", "2026-11-24T18:00"]);
        assert_eq!(next("0 8 1 * ? *", "2026-11-21T00:00:00", 2), ["2026-12-01T08:00", "2027-01-01T08:00"]);
        assert_eq!(next("0/15 * * * ? *", "2026-11-21T23:46:00", 2), ["2026-11-22T00:00", "2026-11-22T00:15"]);
        assert_eq!(next("0/5 8-17 ? * MON-FRI *", "2026-11-20T17:55:00", 2), ["2026-11-23T08:00", "2026-11-23T08:05"]);
        assert_eq!(next("0 9 ? * 2#1 *", "2026-11-21T00:00:00", 2), ["2026-12-07T09:00", "2027-01-04T09:00"]);
        assert_eq!(
            next("0/30 20-22 ? * 1,7 2026-2027", "2026-11-21T22:15:00", 2),
            ["2026-11-21T22:30", "2026-11-22T20:00"]
        );
    }

    #[test]
    fn last_days_nearest_workdays_and_years_are_found() {
        assert_eq!(next("0 0 L * ? *", "2028-02-01T00:00:00", 2), ["2028-02-29T00:00", "2028-03-31T00:00"]);
        // 2026-08-01 is a Saturday, 2026-05-31 a Sunday.
        assert_eq!(next("0 0 1W 8 ? *", "2026-01-01T00:00:00", 1), ["2026-08-03T00:00"]);
        assert_eq!(next("0 0 LW 5 ? *", "2026-01-01T00:00:00", 1), ["2026-05-29T00:00"]);
        assert_eq!(next("0 0 31W * ? 2026", "2026-08-31T00:00:00", 2), ["2026-10-30T00:00", "2026-12-31T00:00"]);
        assert_eq!(next("0 0 ? * 6L *", "2026-11-01T00:00:00", 2), ["2026-11-27T00:00", "2026-12-25T00:00"]);
        assert_eq!(next("0 0 ? * L *", "2026-11-21T00:00:00", 1), ["2026-11-28T00:00"]);
        assert_eq!(next("0 0 ? * FRI#5 *", "2026-11-01T00:00:00", 1), ["2027-01-29T00:00"]);
        assert_eq!(next("0 0 29 2 ? *", "2026-11-21T00:00:00", 2), ["2028-02-29T00:00", "2032-02-29T00:00"]);
        assert_eq!(next("0 0 1 JAN ? 2020", "2026-11-21T00:00:00", 1), [""; 0]);
        assert_eq!(next("0 0 1 1 ? 2199", "2026-11-21T00:00:00", 2), ["2199-01-01T00:00"]);
    }

    #[test]
    fn what_eventbridge_would_refuse_is_refused() {
        for (wrong, why) in [
            ("0 12 * * *", "5 fields"),
            ("0 12 * * * *", "must be ?"),
            ("0 12 ? * ? *", "only one of"),
            ("60 12 * * ? *", "minutes \"60\" is not 0 to 59"),
            ("0 24 * * ? *", "hours"),
            ("0 12 0 * ? *", "day of month"),
            ("0 12 32W * ? *", "day of month"),
            ("0 12 ? * 0 *", "day of week"),
            ("0 12 ? * 8L *", "day of week"),
            ("0 12 ? * MON#6 *", "1 to 5"),
            ("0 12 * 13 ? *", "month"),
            ("0 12 * * ? 1969", "year"),
            ("0/0 12 * * ? *", "step"),
            ("10-5 12 * * ? *", "backwards"),
            ("? 12 * * ? *", "minutes"),
        ] {
            let error = Cron::parse(wrong).unwrap_err();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }
}
