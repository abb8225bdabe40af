//! Trouble on purpose: what AWS's documents allow to happen, made to happen, from a seed.
//!
//! Three places ask: the event bus before it sends to a target, the HTTP endpoint around every call, and Lambda around
//! every invocation. What is done by this process itself (the stage, a test's own looks) goes over neither and is spared.
//! Without chaos each of them reads one flag and goes on.

mod calls;
mod plan;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use sha2::{Digest, Sha256};

pub(crate) use self::calls::let_through;
pub use self::plan::{Chaos, HELP, Kind, ParseChaosError};

/// How many acts are remembered for whoever asks what happened.
const REMEMBERED: usize = 2_000;

/// How long an event is held back at most so that others overtake it.
const OVERTAKEN: Duration = Duration::from_secs(2);

/// In the mean a process that is killed while it works has lived this long with its event.
const LIFE: Duration = Duration::from_millis(150);

/// The source of trouble of one world; off until it is switched on.
#[derive(Debug, Default)]
pub struct Source {
    on: AtomicBool,
    plan: RwLock<Option<Arc<Chaos>>>,
    met: Mutex<HashMap<String, u64>>,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    tally: BTreeMap<(Kind, String), u64>,
    last: VecDeque<String>,
}

/// How an invocation's process shall end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doom {
    /// Before it takes the event.
    Early,
    /// So long after it took it, unless it has answered by then.
    Amid(Duration),
    /// When it answers: the answer is lost.
    Late,
    /// When it answers: for Lambda it took too long.
    TimeOut,
}

impl Source {
    /// Switches chaos on, to another, or off. What was counted stays.
    pub fn set(&self, chaos: Option<Chaos>) {
        let mut plan = self.plan.write().unwrap_or_else(PoisonError::into_inner);
        self.on.store(chaos.is_some(), Ordering::Release);
        *plan = chaos.map(Arc::new);
    }

    /// What shall go wrong, while it is on.
    pub fn plan(&self) -> Option<Arc<Chaos>> {
        if !self.on.load(Ordering::Acquire) {
            return None;
        }
        self.plan.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often each kind of trouble was made.
    pub fn tally(&self) -> BTreeMap<Kind, u64> {
        let mut tally = BTreeMap::new();
        for ((kind, _), count) in &self.told.lock().unwrap_or_else(PoisonError::into_inner).tally {
            *tally.entry(*kind).or_default() += count;
        }
        tally
    }

    /// How often one kind of trouble was made at one place: `sns:Publish`, a function's or a queue's name, `codecommit`.
    pub fn count(&self, kind: Kind, place: &str) -> u64 {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.tally.get(&(kind, place.to_owned())).copied().unwrap_or_default()
    }

    /// How often each kind of trouble was made, in one line for people.
    pub fn told(&self) -> String {
        let told: Vec<_> = self.tally().iter().map(|(kind, count)| format!("{} {count}", kind.word())).collect();
        if told.is_empty() { "nothing yet".to_owned() } else { told.join(", ") }
    }

    /// The last acts, oldest first, a line each.
    pub fn last_acts(&self) -> Vec<String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).last.iter().cloned().collect()
    }

    /// For each delivery of an event to a target how long it is late; none at all for an event that is dropped.
    pub(crate) fn deliveries(&self, source: &str, detail_type: &str, what: impl FnOnce() -> String) -> Vec<Duration> {
        let Some(plan) = self.plan() else { return vec![Duration::ZERO] };
        let what = &what();
        // `aws.codecommit` is named as the service is.
        let place = source.strip_prefix("aws.").unwrap_or(source);
        let n = self.nth(&format!("event {place} {detail_type}"));
        let draw = |label: &str| draw(plan.seed, &format!("{label} {place} {detail_type}"), n);
        let happens =
            |kind: Kind, copy: &str| draw(&format!("{}{copy}", kind.word())) < plan.rate(kind, place, detail_type);
        if happens(Kind::Drop, "") {
            self.tell(Kind::Drop, place, what);
            return Vec::new();
        }
        let mut copies = vec![""];
        if happens(Kind::Duplicate, "") {
            self.tell(Kind::Duplicate, place, what);
            copies.push(" again");
        }
        let late = |copy: &&str| {
            if happens(Kind::Delay, copy) {
                let late = lasting(plan.delay_for, draw(&format!("how late{copy}")));
                self.tell(Kind::Delay, place, &format!("{what} by {} ms", late.as_millis()));
                late
            } else if happens(Kind::Reorder, copy) {
                let late = OVERTAKEN.mul_f64(draw(&format!("how far{copy}")));
                self.tell(Kind::Reorder, place, &format!("{what}, held back {} ms", late.as_millis()));
                late
            } else {
                Duration::ZERO
            }
        };
        copies.iter().map(late).collect()
    }

    /// How this invocation of a function shall end before its time, if it shall.
    pub(crate) fn doom(&self, function: &str) -> Option<Doom> {
        let plan = self.plan()?;
        let n = self.nth(&format!("invocation {function}"));
        Some(match self.one_of(&plan, &Kind::OF_FUNCTIONS, ("invocation", function, ""), n)? {
            Kind::KillEarly => Doom::Early,
            Kind::Kill => Doom::Amid(lasting(LIFE, draw(plan.seed, &format!("life {function}"), n))),
            Kind::KillLate => Doom::Late,
            _ => Doom::TimeOut,
        })
    }

    /// Whether a message that was just received from a queue shall be received once more.
    pub(crate) fn redelivers(&self, queue: &str, message: &str) -> bool {
        let Some(plan) = self.plan() else { return false };
        let n = self.nth(&format!("message {queue}"));
        let happens = draw(plan.seed, &format!("redeliver {queue}"), n) < plan.rate(Kind::Redeliver, queue, "");
        if happens {
            self.tell(Kind::Redeliver, queue, &format!("message {message}"));
        }
        happens
    }

    /// Counts an act and logs it.
    pub(crate) fn tell(&self, kind: Kind, place: &str, what: &str) {
        tracing::debug!("chaos: {} {place} {what}", kind.word());
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        *told.tally.entry((kind, place.to_owned())).or_default() += 1;
        if told.last.len() == REMEMBERED {
            told.last.pop_front();
        }
        told.last.push_back(format!("{} {place} {what}", kind.word()).trim_end().to_owned());
    }

    /// At most one of these, by one draw.
    fn one_of(&self, plan: &Chaos, kinds: &[Kind], at: (&str, &str, &str), n: u64) -> Option<Kind> {
        let (label, name, operation) = at;
        let drawn = draw(plan.seed, &format!("{label} {name} {operation}"), n);
        let mut reached = 0.0;
        kinds.iter().copied().find(|kind| {
            reached += plan.rate(*kind, name, operation);
            drawn < reached
        })
    }

    /// The number of this meeting with `subject`, from 0.
    fn nth(&self, subject: &str) -> u64 {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        match met.get_mut(subject) {
            Some(count) => {
                *count += 1;
                *count
            }
            None => {
                met.insert(subject.to_owned(), 0);
                0
            }
        }
    }
}

/// A number from 0 up to but not 1: the same for the same seed, label and count.
fn draw(seed: u64, label: &str, n: u64) -> f64 {
    let digest =
        Sha256::new().chain_update(seed.to_be_bytes()).chain_update(n.to_be_bytes()).chain_update(label).finalize();
    let bits = digest.iter().take(4).fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}

/// A length whose mean is `mean`: most are shorter, a few much longer, none more than ten times as long.
fn lasting(mean: Duration, drawn: f64) -> Duration {
    mean.mul_f64((-(1.0 - drawn).ln()).clamp(0.0, 10.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(chaos: &str) -> Source {
        let source = Source::default();
        source.set(Some(chaos.parse().unwrap()));
        source
    }

    fn fates(source: &Source) -> Vec<Vec<Duration>> {
        (0..2_000).map(|_| source.deliveries("aws.codecommit", "push", || "push".to_owned())).collect()
    }

    #[test]
    fn the_same_seed_makes_the_same_trouble_and_another_one_other() {
        let first = fates(&source("hell,seed=7"));
        assert_eq!(first, fates(&source("hell,seed=7")));
        assert_ne!(first, fates(&source("hell,seed=8")));
        let (one, other) = (source("hell,seed=7"), source("hell,seed=7"));
        for _ in 0..200 {
            assert_eq!(one.doom("signalbox-trigger"), other.doom("signalbox-trigger"));
        }
    }

    #[test]
    fn rates_are_kept_to_and_everything_is_counted() {
        let source = source("drop=0.1,duplicate=0.2,delay=0.3,seed=1");
        let fates = fates(&source);
        let near = |count: usize, expected: usize| count.abs_diff(expected) < 100;
        let dropped = fates.iter().filter(|fate| fate.is_empty()).count();
        let doubled = fates.iter().filter(|fate| fate.len() == 2).count();
        assert!(near(dropped, 200) && near(doubled, 360), "{dropped} {doubled}");
        let tally = source.tally();
        assert_eq!((tally[&Kind::Drop], tally[&Kind::Duplicate]), (dropped as u64, doubled as u64));
        let late: Vec<_> = fates.iter().flatten().filter(|late| !late.is_zero()).collect();
        assert_eq!(tally[&Kind::Delay], late.len() as u64);
        let mean = late.iter().copied().sum::<Duration>() / u32::try_from(late.len()).unwrap();
        assert!((2.4..3.6).contains(&mean.as_secs_f64()), "{mean:?}");
        assert_eq!(source.last_acts().len(), tally.values().sum::<u64>() as usize);
    }

    #[test]
    fn chaos_that_is_off_or_elsewhere_touches_nothing() {
        let source = source("drop@codebuild=1,kill@notifier=1,redeliver@notifier=1");
        assert_eq!(source.deliveries("aws.codecommit", "push", String::new), [Duration::ZERO]);
        assert!(source.deliveries("aws.codebuild", "state", String::new).is_empty());
        assert_eq!(source.doom("signalbox-trigger"), None);
        assert!(matches!(source.doom("signalbox-notifier"), Some(Doom::Amid(_))));
        assert!(source.redelivers("signalbox-notifier", "m") && !source.redelivers("signalbox-trigger", "m"));
        source.set(None);
        assert_eq!(source.deliveries("aws.codebuild", "state", String::new), [Duration::ZERO]);
        assert_eq!(source.doom("signalbox-notifier"), None);
    }
}
