//! Cron expressions of five fields, in UTC.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A text that is not a cron expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a cron expression: {why}")]
pub struct InvalidCron {
    /// As written, cut to 80 characters.
    pub text: String,
    /// What is wrong.
    pub why: String,
}

/// The times of a schedule: minute, hour, day of the month, month, day of the week.
///
/// As in cron, a day counts when it fits either day field, unless one of them is `*`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cron {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
}

/// A minute, as a schedule sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Minute {
    /// 0 to 59.
    pub minute: u32,
    /// 0 to 23.
    pub hour: u32,
    /// 1 to 31.
    pub day: u32,
    /// 1 to 12.
    pub month: u32,
    /// 0 for Sunday to 6 for Saturday.
    pub weekday: u32,
}

/// A field of a cron expression: what its numbers may be.
#[derive(Debug, Clone, Copy)]
pub struct CronField {
    /// `minute`
    pub name: &'static str,
    /// The least number.
    pub low: u32,
    /// The greatest number.
    pub high: u32,
    /// Words for the numbers from the least one on, in any case.
    pub words: &'static [&'static str],
    /// The longest step behind a slash.
    pub longest_step: u32,
}

const fn field(name: &'static str, low: u32, high: u32, words: &'static [&'static str]) -> CronField {
    CronField { name, low, high, words, longest_step: 59 }
}

const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

const FIELDS: [CronField; 5] = [
    field("minute", 0, 59, &[]),
    field("hour", 0, 23, &[]),
    field("day of the month", 1, 31, &[]),
    field("month", 1, 12, MONTHS),
    field("day of the week", 0, 7, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

impl Cron {
    /// Reads and checks an expression.
    pub fn parse(text: &str) -> Result<Self, InvalidCron> {
        let wrong = |why: String| InvalidCron { text: text.chars().take(80).collect(), why };
        let parts: Vec<&str> = text.split_whitespace().collect();
        let mut sets = [0_u64; 5];
        if parts.len() != FIELDS.len() {
            return Err(wrong(format!("it has {} fields and needs 5: minute hour day month weekday", parts.len())));
        }
        for ((set, part), field) in sets.iter_mut().zip(&parts).zip(&FIELDS) {
            let values = field.values(part).map_err(|why| wrong(format!("{} {part:?} {why}", field.name)))?;
            *set = values.into_iter().fold(0, |set, value| set | 1 << value);
        }
        let [minutes, hours, days, months, weekdays] = sets;
        // 7 is Sunday as well.
        let weekdays = (weekdays & 0x7f) | (weekdays >> 7 & 1);
        Ok(Self { text: parts.join(" "), minutes, hours, days, months, weekdays })
    }

    /// Whether the schedule strikes in this minute.
    pub fn strikes(&self, at: Minute) -> bool {
        let holds = |set: u64, value: u32| value < 64 && set >> value & 1 == 1;
        let day = holds(self.days, at.day);
        let weekday = holds(self.weekdays, at.weekday);
        let mut fields = self.text.split(' ').skip(2);
        let any_day = fields.next().is_some_and(|field| field.starts_with('*'));
        let any_weekday = fields.nth(1).is_some_and(|field| field.starts_with('*'));
        let right_day = if any_day || any_weekday { day && weekday } else { day || weekday };
        holds(self.minutes, at.minute) && holds(self.hours, at.hour) && holds(self.months, at.month) && right_day
    }
}

impl CronField {
    /// The numbers that a list of numbers, ranges and steps names, sorted: `*`, `1,3`, `9-17`, `*/5`, `10/15`.
    ///
    /// # Errors
    /// What is wrong, to be said behind the field's name.
    pub fn values(&self, text: &str) -> Result<Vec<u32>, String> {
        let mut values = Vec::new();
        for part in text.split(',') {
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => (range, Some(self.step(step)?)),
                None => (part, None),
            };
            let (low, high) = match range.split_once('-') {
                _ if range == "*" => (self.low, self.high),
                Some((low, high)) => (self.value(low)?, self.value(high)?),
                None => {
                    let low = self.value(range)?;
                    (low, if step.is_some() { self.high } else { low })
                }
            };
            if low > high {
                return Err("runs backwards".to_owned());
            }
            values.extend((low..=high).step_by(step.unwrap_or(1) as usize));
        }
        values.sort_unstable();
        values.dedup();
        Ok(values)
    }

    fn step(&self, text: &str) -> Result<u32, String> {
        let step = text.parse().ok().filter(|step| (1..=self.longest_step).contains(step));
        step.ok_or_else(|| format!("has a step that is not 1 to {}", self.longest_step))
    }

    /// A single number or word.
    ///
    /// # Errors
    /// What is wrong, to be said behind the field's name.
    pub fn value(&self, text: &str) -> Result<u32, String> {
        if let Some(at) = self.words.iter().position(|word| word.eq_ignore_ascii_case(text)) {
            return Ok(self.low + at as u32);
        }
        text.parse()
            .ok()
            .filter(|value| (self.low..=self.high).contains(value))
            .ok_or_else(|| format!("is not {} to {}", self.low, self.high))
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Cron {
    type Error = InvalidCron;
    fn try_from(text: String) -> Result<Self, InvalidCron> {
        Self::parse(&text)
    }
}

impl From<Cron> for String {
    fn from(cron: Cron) -> String {
        cron.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_strikes_when_all_fields_fit() {
        let at = |minute, hour, day, month, weekday| Minute { minute, hour, day, month, weekday };
        let nightly = Cron::parse("30 2 * * MON-FRI").unwrap();
        assert!(nightly.strikes(at(30, 2, 9, 3, 1)));
        assert!(!nightly.strikes(at(30, 2, 8, 3, 0)));
        assert!(!nightly.strikes(at(31, 2, 9, 3, 1)));
        assert!(Cron::parse("*/15 * * * *").unwrap().strikes(at(45, 5, 1, 1, 4)));
        assert!(Cron::parse("0 0 * * 7").unwrap().strikes(at(0, 0, 8, 3, 0)));
        let either = Cron::parse("0 0 1 * mon").unwrap();
        assert!(either.strikes(at(0, 0, 1, 4, 3)) && either.strikes(at(0, 0, 6, 4, 1)));
        assert!(!either.strikes(at(0, 0, 7, 4, 2)));
    }

    #[test]
    fn what_is_no_cron_expression_is_refused() {
        for text in
            ["", "* * * *", "60 * * * *", "* * 0 * *", "5-1 * * * *", "*/0 * * * *", "* * * foo *", "* * * * * *"]
        {
            assert!(Cron::parse(text).is_err(), "{text}");
        }
    }
}
