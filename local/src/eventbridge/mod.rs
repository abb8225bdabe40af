//! EventBridge: the default bus, its rules and their targets, archives and replays.

mod archive;
mod archive_operations;
mod bus;
mod clock;
mod cron;
mod delivery;
mod envelope;
mod matcher;
mod matching;
mod operations;
mod path;
pub mod pattern;
mod put_events;
mod replay;
mod rules;
mod schedule;
mod transform;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{Notify, broadcast};

pub(crate) use self::bus::{bus_arn, rule_arn};
pub(crate) use self::matcher::Cidr;
pub use self::operations::OPERATIONS;
pub use self::rules::RuleState;

use self::archive::Shelf;
use self::envelope::{Draft, Envelope, Sealed};
use self::matching::Fields;
use self::rules::{Rule, State, Target};
use crate::error::{Answer, ServiceError};
use crate::kept::Kept;
use crate::logs::Logs;
use crate::sns::Sns;
use crate::sqs::Sqs;
use crate::world::World;

/// The principal under which rules send.
const PRINCIPAL: &str = "events.amazonaws.com";

/// How many events a listener may lag behind before it misses some.
const LISTENERS_MEMORY: usize = 4096;

/// The default event bus.
#[derive(Debug)]
pub struct EventBridge {
    world: Arc<World>,
    sqs: Arc<Sqs>,
    /// Where else targets can be: topics and log groups.
    others: OnceLock<(Arc<Sns>, Arc<Logs>)>,
    state: Kept<State>,
    shelf: Shelf,
    listeners: broadcast::Sender<Arc<Published>>,
    /// When each rule that runs by the clock is due, in milliseconds since 1970.
    due: Mutex<BTreeMap<String, i64>>,
    /// When archives are swept next, in milliseconds since 1970.
    sweep: Mutex<i64>,
    /// What replays have still to put on the bus.
    replaying: Mutex<BTreeMap<String, replay::Queue>>,
    rescheduled: Notify,
}

/// An event that was on the bus, and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// The whole event as targets received it.
    pub event: Value,
    /// The names of the rules that matched, sorted.
    pub rules: Vec<String>,
    /// What was delivered where.
    pub deliveries: Vec<Delivery>,
}

/// An event on its way from a rule to a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The rule's name.
    pub rule: String,
    /// The target's id in the rule.
    pub target_id: String,
    /// The target's ARN.
    pub target_arn: String,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The target has it.
    Delivered {
        /// The message's id there; the event's own id in a log group.
        message_id: String,
    },
    /// The target does not have it yet: it will be tried, or tried again.
    Waiting {
        /// Why it waits.
        reason: String,
    },
    /// It failed and lies in the target's dead-letter queue.
    DeadLettered {
        /// That queue's ARN.
        queue: String,
        /// Why it failed.
        reason: String,
    },
    /// It is lost.
    Dropped {
        /// Why.
        reason: String,
    },
}

impl EventBridge {
    /// Opens what is there.
    ///
    /// # Errors
    /// A spoilt state file.
    pub fn open(world: &Arc<World>, sqs: &Arc<Sqs>) -> anyhow::Result<Self> {
        Ok(Self {
            world: Arc::clone(world),
            sqs: Arc::clone(sqs),
            others: OnceLock::new(),
            state: Kept::open(&world.dir, "eventbridge")?,
            shelf: Shelf::new(world.dir.join("archives")),
            listeners: broadcast::channel(LISTENERS_MEMORY).0,
            due: Mutex::default(),
            sweep: Mutex::default(),
            replaying: Mutex::default(),
            rescheduled: Notify::new(),
        })
    }

    /// Says where targets that are topics and log groups are; before that there are none.
    pub fn delivers_to(&self, topics: &Arc<Sns>, logs: &Arc<Logs>) {
        // A second call could only repeat the first: there is one service of each.
        let _first_word_stands = self.others.set((Arc::clone(topics), Arc::clone(logs)));
    }

    /// Writes the state.
    ///
    /// # Errors
    /// The disk.
    pub fn save(&self) -> anyhow::Result<()> {
        self.state.save()
    }

    /// Every event from now on, with the rules that matched it and what was delivered.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Published>> {
        self.listeners.subscribe()
    }

    /// Puts an event of an AWS service on the bus: makes the envelope and hands it to every rule that matches.
    pub fn publish(&self, source: &str, detail_type: &str, resources: Vec<String>, time: Timestamp, detail: Value) {
        self.put(Draft { source, detail_type, resources, time, detail, trace_header: None });
    }

    /// Gives the event's id.
    fn put(&self, draft: Draft<'_>) -> String {
        let sealed = self.seal(draft);
        let fields = Fields::of(&sealed.event);
        self.archive(&sealed, &fields);
        let matched = self.matching(&fields, |_| true);
        self.hand_out(&sealed, &matched);
        sealed.id
    }

    /// The rules that want an event, with their targets; only those that may have it.
    fn matching(&self, fields: &Fields<'_>, may: impl Fn(&str) -> bool) -> Vec<(String, Vec<Target>)> {
        let wants = |rule: &Rule| rule.live_pattern().is_some_and(|pattern| pattern.accepts(fields));
        self.state.read(|state| {
            let matching = state.rules.iter().filter(|(name, rule)| may(name) && wants(rule));
            matching.map(|(name, rule)| (name.clone(), rule.targets.values().cloned().collect())).collect()
        })
    }

    /// Makes the envelope, with an id of its own.
    fn seal(&self, draft: Draft<'_>) -> Sealed {
        let envelope = Envelope {
            version: "0".to_owned(),
            id: self.world.uuid(),
            detail_type: draft.detail_type.to_owned(),
            source: draft.source.to_owned(),
            account: self.world.account.clone(),
            time: draft.time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            region: self.world.region.clone(),
            replay_name: None,
            resources: draft.resources,
            detail: draft.detail,
        };
        envelope.seal(self.world.now(), draft.trace_header)
    }

    fn hand_out(&self, sealed: &Sealed, matched: &[(String, Vec<Target>)]) {
        let mut deliveries = Vec::new();
        for (rule, targets) in matched {
            deliveries.extend(targets.iter().map(|target| Delivery {
                rule: rule.clone(),
                target_id: target.id.clone(),
                target_arn: target.arn.clone(),
                outcome: self.deliver(sealed, rule, target, &self.lateness(sealed, rule)),
            }));
        }
        let rules = matched.iter().map(|(rule, _)| rule.clone()).collect();
        // Nobody has to listen.
        drop(self.listeners.send(Arc::new(Published { event: sealed.event.clone(), rules, deliveries })));
    }

    /// Each delivery's delay: one without a delay, unless there is chaos.
    fn lateness(&self, sealed: &Sealed, rule: &str) -> Vec<Duration> {
        let text = |member| sealed.event.get(member).and_then(Value::as_str).unwrap_or_default();
        let what = || format!("event {} of rule {rule}", sealed.id);
        self.world.chaos.deliveries(text("source"), text("detail-type"), what)
    }

    /// The ARN of a rule by its name, whether or not it exists.
    pub fn rule_arn(&self, name: &str) -> String {
        bus::rule_arn(&self.world, None, name)
    }

    /// Makes or changes a rule that looks at events; gives its ARN. Its targets stay.
    ///
    /// # Errors
    /// A name or a pattern that AWS refuses.
    pub fn put_rule(&self, name: &str, pattern: &Value, state: RuleState) -> Answer<String> {
        self.store(name, Rule { pattern: Some(pattern.to_string()), state, ..Rule::default() })
    }

    /// Makes or changes a rule that runs by the clock, `rate(5 minutes)` or `cron(0 12 * * ? *)`; gives its ARN. Its targets stay.
    ///
    /// # Errors
    /// A name or an expression that is not taken.
    pub fn put_schedule(&self, name: &str, expression: &str, state: RuleState) -> Answer<String> {
        self.store(name, Rule { schedule: Some(expression.to_owned()), state, ..Rule::default() })
    }

    /// Adds a queue, a topic or a log group to a rule's targets, or changes the target of that id.
    ///
    /// # Errors
    /// No such rule, something else, more than five targets.
    pub fn put_target(&self, rule: &str, id: &str, arn: &str, dead_letters: Option<&str>) -> Answer<()> {
        self.store_targets(rule, vec![Target::new(id, arn, dead_letters)])
    }

    /// Takes a rule away with its targets; one that is not there is no error.
    pub fn remove_rule(&self, name: &str) {
        self.state.change(|state| state.rules.remove(name));
        self.reschedule(name);
    }

    /// The names of all rules, sorted.
    pub fn rule_names(&self) -> Vec<String> {
        self.state.read(|state| state.rules.keys().cloned().collect())
    }

    fn store(&self, name: &str, rule: Rule) -> Answer<String> {
        rules::check_name("name", name)?;
        rule.check()?;
        self.state.change(|state| {
            if state.rules.len() >= rules::MOST_RULES && !state.rules.contains_key(name) {
                return Err(ServiceError::bad(
                    "LimitExceededException",
                    format!("The requested resource exceeds the maximum number allowed: {} rules.", rules::MOST_RULES),
                ));
            }
            let targets = state.rules.remove(name).map(|before| before.targets).unwrap_or_default();
            state.rules.insert(name.to_owned(), Rule { targets, ..rule });
            Ok(())
        })?;
        self.reschedule(name);
        Ok(self.rule_arn(name))
    }

    fn store_targets(&self, rule: &str, targets: Vec<Target>) -> Answer<()> {
        for target in &targets {
            target.check()?;
        }
        self.with_rule(rule, |rule| {
            let mut all = rule.targets.clone();
            all.extend(targets.into_iter().map(|target| (target.id.clone(), target)));
            if all.len() > rules::MOST_TARGETS {
                return Err(ServiceError::bad(
                    "LimitExceededException",
                    format!(
                        "The requested resource exceeds the maximum number allowed: {} targets.",
                        rules::MOST_TARGETS
                    ),
                ));
            }
            rule.targets = all;
            Ok(())
        })?
    }

    /// Changes a rule.
    fn with_rule<R>(&self, name: &str, change: impl FnOnce(&mut Rule) -> R) -> Answer<R> {
        self.state.change(|state| state.rules.get_mut(name).map(change)).ok_or_else(|| no_such_rule(name))
    }
}

fn no_such_rule(name: &str) -> ServiceError {
    ServiceError::bad("ResourceNotFoundException", format!("Rule {name} does not exist on EventBus default."))
}

fn no_such_bus(bus: &str) -> ServiceError {
    let what = format!("Event bus {bus} does not exist. The local cloud has the default bus only.");
    ServiceError::bad("ResourceNotFoundException", what)
}

#[cfg(test)]
mod tests;
