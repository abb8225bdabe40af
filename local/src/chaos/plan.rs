//! What shall go wrong and how often: levels, single rates, and how they are written on the command line.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An event never reaches a rule's target.
    Drop,
    /// An event reaches a target twice.
    Duplicate,
    /// An event reaches a target late.
    Delay,
    /// An event is held back for a moment, so that later ones overtake it.
    Reorder,
    /// A call is refused with the service's throttling error.
    Throttle,
    /// A call fails with 500 or 503 before its work is done.
    Fail,
    /// A call fails with 500 or 503 after its work was done.
    FailAfter,
    /// A connection is cut before a call's work is done.
    Cut,
    /// A connection is cut in the middle of the answer, after the work was done.
    CutAnswer,
    /// A call takes its time.
    Slow,
    /// A function's process is killed before it takes its event.
    KillEarly,
    /// It is killed at some moment while it works.
    Kill,
    /// It is killed after its work and before its answer.
    KillLate,
    /// Its answer is taken for a time-out.
    TimeOut,
    /// A message that was just received is received once more although its visibility has not run out.
    Redeliver,
}

impl Kind {
    /// All of them, with their word and their rates in the levels calm, rough and hell.
    const ALL: [(Self, &'static str, [f64; 3]); 15] = [
        (Self::Drop, "drop", [0.0, 0.01, 0.05]),
        (Self::Duplicate, "duplicate", [0.02, 0.1, 0.3]),
        (Self::Delay, "delay", [0.05, 0.1, 0.3]),
        (Self::Reorder, "reorder", [0.05, 0.1, 0.3]),
        (Self::Throttle, "throttle", [0.01, 0.04, 0.12]),
        (Self::Fail, "fail", [0.003, 0.015, 0.05]),
        (Self::FailAfter, "fail-after", [0.002, 0.01, 0.04]),
        (Self::Cut, "cut", [0.002, 0.01, 0.04]),
        (Self::CutAnswer, "cut-answer", [0.002, 0.01, 0.04]),
        (Self::Slow, "slow", [0.01, 0.03, 0.08]),
        (Self::KillEarly, "kill-early", [0.002, 0.01, 0.04]),
        (Self::Kill, "kill", [0.005, 0.02, 0.06]),
        (Self::KillLate, "kill-late", [0.003, 0.015, 0.05]),
        (Self::TimeOut, "time-out", [0.001, 0.005, 0.02]),
        (Self::Redeliver, "redeliver", [0.01, 0.05, 0.15]),
    ];

    /// What happens to calls; at most one of them to each.
    pub(super) const OF_CALLS: [Self; 6] =
        [Self::Throttle, Self::Fail, Self::FailAfter, Self::Cut, Self::CutAnswer, Self::Slow];

    /// What happens to invocations; at most one of them to each.
    pub(super) const OF_FUNCTIONS: [Self; 4] = [Self::KillEarly, Self::Kill, Self::KillLate, Self::TimeOut];

    /// As it is written on the command line.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find_map(|(kind, word, _)| (*kind == self).then_some(*word)).unwrap_or_default()
    }

    fn of_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find_map(|(kind, known, _)| (*known == word).then_some(*kind))
    }
}

/// How `--chaos` is written, for people.
pub const HELP: &str = "\
Chaos: what may go wrong on AWS goes wrong here, on purpose and from a seed, so that it can be had again.
  --chaos                            the level `rough`
  --chaos=calm|rough|hell            a level: seldom, often, all the time
  --chaos=LEVEL,KIND=RATE,...        a level with other rates
  --chaos=KIND=RATE,...,seed=7       only these; a rate is a number from 0 to 1
KIND is one of
  events:     drop, duplicate, delay, reorder
  calls:      throttle, fail, fail-after (the work is done all the same), cut, cut-answer, slow
  functions:  kill-early, kill, kill-late (its answer is lost), time-out
  queues:     redeliver (a message is received again before it is due)
KIND@PLACE=RATE is for one place: throttle@s3=0.2, cut@codebuild:StartBuild=0.5, drop@codecommit=1, kill@trigger=0.1.
delay-for=3s and slow-for=500ms say how long in the mean; the longest is ten times that.";

/// What calls can go to: the services that are offered, and git.
fn services() -> impl Iterator<Item = &'static str> {
    crate::http::services().chain(["git"])
}

/// How often something goes wrong, everywhere or at one place.
#[derive(Debug, Clone, PartialEq)]
struct Rate {
    kind: Kind,
    place: Option<Place>,
    rate: f64,
}

/// Where: a service and perhaps one of its operations, an event's source, a function, a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    name: String,
    operation: Option<String>,
}

impl Place {
    fn is(&self, name: &str, operation: &str) -> bool {
        let named = name == self.name || name.strip_suffix(&self.name).is_some_and(|stack| stack.ends_with('-'));
        named && self.operation.as_deref().is_none_or(|wanted| wanted == operation)
    }
}

/// What shall go wrong, how often, and from which seed: `rough`, `drop=0.01,throttle@s3=0.2,seed=7`.
#[derive(Debug, Clone, PartialEq)]
pub struct Chaos {
    /// The same seed makes the same trouble: the nth call of an operation, the nth event of a kind, the nth invocation
    /// of a function always meet the same. Which call is the nth is not up to chaos where things happen at once.
    pub seed: u64,
    /// How long late events are late in the mean; the longest ten times that.
    pub delay_for: Duration,
    /// How long slow calls take longer in the mean; the longest ten times that.
    pub slow_for: Duration,
    rates: Vec<Rate>,
}

impl Chaos {
    /// Nothing goes wrong, until rates are added.
    pub fn quiet(seed: u64) -> Self {
        Self { seed, delay_for: Duration::from_secs(3), slow_for: Duration::from_millis(500), rates: Vec::new() }
    }

    /// The level of that name.
    fn level(word: &str, seed: u64) -> Option<Self> {
        let column = ["calm", "rough", "hell"].iter().position(|level| *level == word)?;
        let rate = |(kind, _, levels): &(Kind, &str, [f64; 3])| {
            Some(Rate { kind: *kind, place: None, rate: *levels.get(column)? })
        };
        Some(Self { rates: Kind::ALL.iter().filter_map(rate).collect(), ..Self::quiet(seed) })
    }

    /// How often something goes wrong at this place: the last rate that names the operation, else the service, else
    /// neither.
    pub(super) fn rate(&self, kind: Kind, name: &str, operation: &str) -> f64 {
        let detail = |rate: &&Rate| rate.place.as_ref().map_or(0, |place| 1 + usize::from(place.operation.is_some()));
        let here = self
            .rates
            .iter()
            .filter(|rate| rate.kind == kind && rate.place.as_ref().is_none_or(|place| place.is(name, operation)));
        // Of equals `max_by_key` gives the last.
        here.max_by_key(detail).map_or(0.0, |rate| rate.rate)
    }

    fn add(&mut self, item: &str) -> Result<(), ParseChaosError> {
        let wrong = |why: String| ParseChaosError { item: item.to_owned(), why };
        let Some((key, value)) = item.split_once('=') else {
            return Err(wrong("it is neither a level (calm, rough, hell) nor KIND=RATE; levels come first".to_owned()));
        };
        match key {
            "seed" => {
                self.seed = value.parse().map_err(|_| wrong("a seed is a whole number, such as 7".to_owned()))?;
            }
            "delay-for" => self.delay_for = parse_length(value).map_err(wrong)?,
            "slow-for" => self.slow_for = parse_length(value).map_err(wrong)?,
            _ => self.rates.push(parse_rate(key, value).map_err(wrong)?),
        }
        Ok(())
    }

    /// What happens to one call or one invocation is drawn once: together its rates cannot be more than one.
    fn check(&self) -> Result<(), ParseChaosError> {
        let places = self.rates.iter().filter_map(|rate| rate.place.as_ref());
        let mut asked: Vec<(&str, &str)> =
            places.map(|place| (place.name.as_str(), place.operation.as_deref().unwrap_or_default())).collect();
        asked.push(("", ""));
        for (name, operation) in asked {
            for (kinds, of) in [(&Kind::OF_CALLS[..], "a call"), (&Kind::OF_FUNCTIONS[..], "an invocation")] {
                let sum: f64 = kinds.iter().map(|kind| self.rate(*kind, name, operation)).sum();
                // Rates are decimal fractions, which do not add up to exactly one.
                if sum > 1.0 + 1e-9 {
                    let words: Vec<_> = kinds.iter().map(|kind| kind.word()).collect();
                    let at = if name.is_empty() { String::new() } else { format!(" at {name}") };
                    let why =
                        format!("the rates of {}{at} make {sum:.3} together; at most 1 of {of}", words.join(", "));
                    return Err(ParseChaosError { item: self.to_string(), why });
                }
            }
        }
        Ok(())
    }
}

/// Why chaos cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{item}`: {why}")]
pub struct ParseChaosError {
    item: String,
    why: String,
}

fn parse_length(text: &str) -> Result<Duration, String> {
    let read = || {
        let (number, milliseconds) = match text.strip_suffix("ms") {
            Some(number) => (number, 1),
            None => (text.strip_suffix('s')?, 1000),
        };
        Some(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(milliseconds)?))
    };
    read()
        .filter(|length| *length <= Duration::from_secs(90))
        .ok_or_else(|| "a length is a whole number of ms or s of at most 90 s, such as 500ms or 3s".to_owned())
}

fn parse_rate(key: &str, value: &str) -> Result<Rate, String> {
    let (word, place) = key.split_once('@').map_or((key, None), |(word, place)| (word, Some(place)));
    let kind = Kind::of_word(word).ok_or_else(|| {
        let words: Vec<_> = Kind::ALL.iter().map(|(_, word, _)| *word).collect();
        format!("there is no `{word}`; there are {}, and seed, delay-for, slow-for", words.join(", "))
    })?;
    let rate = value.parse::<f64>().ok().filter(|rate| (0.0..=1.0).contains(rate));
    let rate = rate.ok_or_else(|| "a rate is a number from 0 to 1, such as 0.05".to_owned())?;
    let place = place.map(|place| {
        let (name, operation) = place.split_once(':').map_or((place, None), |(name, rest)| (name, Some(rest)));
        if Kind::OF_CALLS.contains(&kind) && services().all(|service| service != name) {
            return Err(format!("calls go to one of {}, not to `{name}`", services().collect::<Vec<_>>().join(", ")));
        }
        if name.is_empty() || operation == Some("") {
            return Err("a place is NAME or SERVICE:OPERATION, such as s3 or codebuild:StartBuild".to_owned());
        }
        Ok(Place { name: name.to_owned(), operation: operation.map(str::to_owned) })
    });
    Ok(Rate { kind, place: place.transpose()?, rate })
}

impl FromStr for Chaos {
    type Err = ParseChaosError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Few digits, so that a person can type the seed again; it is told wherever chaos is.
        let seed = jiff::Timestamp::now().as_microsecond().unsigned_abs() % 1_000_000;
        let mut items = text.split(',').map(str::trim).filter(|item| !item.is_empty()).peekable();
        let level = items.peek().and_then(|word| Self::level(word, seed));
        if level.is_some() {
            items.next();
        }
        let mut chaos = level.unwrap_or_else(|| Self::quiet(seed));
        for item in items {
            chaos.add(item)?;
        }
        chaos.check()?;
        Ok(chaos)
    }
}

impl fmt::Display for Chaos {
    /// In words that can be given to `--chaos` again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed={}", self.seed)?;
        let mut told = BTreeMap::new();
        for Rate { kind, place, rate } in &self.rates {
            let at = match place {
                None => String::new(),
                Some(Place { name, operation: None }) => format!("@{name}"),
                Some(Place { name, operation: Some(operation) }) => format!("@{name}:{operation}"),
            };
            told.insert((*kind, at), *rate);
        }
        for ((kind, at), rate) in told.iter().filter(|((_, at), rate)| !at.is_empty() || **rate > 0.0) {
            write!(f, ",{}{at}={rate}", kind.word())?;
        }
        let (delay, slow) = (self.delay_for.as_millis(), self.slow_for.as_millis());
        write!(f, ",delay-for={delay}ms,slow-for={slow}ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Chaos {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_shown_can_be_given_again() {
        for text in
            ["calm", "rough", "hell", "drop=0.01,duplicate=0.1,seed=7", "hell,throttle@codebuild:StartBuild=0.5,kill=0"]
        {
            let chaos = parse(text);
            let again = parse(&chaos.to_string());
            for (kind, ..) in Kind::ALL {
                for operation in ["StartBuild", "StopBuild"] {
                    assert_eq!(
                        chaos.rate(kind, "codebuild", operation),
                        again.rate(kind, "codebuild", operation),
                        "{text}"
                    );
                }
            }
            assert_eq!((chaos.seed, chaos.delay_for), (again.seed, again.delay_for));
        }
    }

    #[test]
    fn the_narrowest_place_wins_and_of_equals_the_last() {
        let chaos = parse(
            "rough,throttle@s3=0.2,throttle@s3:PutObject=0.4,throttle=0.1,kill@trigger=1,kill-early=0,kill-late=0,time-out=0",
        );
        assert_eq!(chaos.rate(Kind::Throttle, "s3", "GetObject"), 0.2);
        assert_eq!(chaos.rate(Kind::Throttle, "s3", "PutObject"), 0.4);
        assert_eq!(chaos.rate(Kind::Throttle, "sqs", "SendMessage"), 0.1);
        assert_eq!(chaos.rate(Kind::Kill, "signalbox-trigger", ""), 1.0);
        assert_eq!(chaos.rate(Kind::Kill, "signalbox-notifier", ""), 0.02);
        assert_eq!(parse("duplicate=0.5").rate(Kind::Drop, "codecommit", ""), 0.0);
    }

    #[test]
    fn mistakes_say_what_is_wrong_and_what_would_be_right() {
        for (text, said) in [
            ("loud", "neither a level (calm, rough, hell) nor KIND=RATE"),
            ("drop=0.1,rough", "levels come first"),
            ("drop=2", "a number from 0 to 1"),
            ("dorp=0.1", "there is no `dorp`; there are drop, duplicate"),
            ("throttle@s4=0.1", "calls go to one of"),
            ("throttle@ec2=0.1", "calls go to one of cloudformation, codebuild"),
            ("throttle@s3:=0.1", "SERVICE:OPERATION"),
            ("seed=x", "a whole number"),
            ("slow-for=2h", "500ms or 3s"),
            ("throttle=0.6,fail=0.6", "at most 1 of a call"),
            ("hell,throttle@s3=0.9", "at s3"),
        ] {
            let error = text.parse::<Chaos>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
