//! EventBridge: the default bus, its rules, and the queues behind them.

mod matching;
mod operations;
pub mod pattern;
mod rules;
mod schedule;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{Notify, broadcast};

pub use self::operations::OPERATIONS;
pub use self::rules::RuleState;

use self::matching::Fields;
use self::rules::{Rule, State, Target};
use crate::error::{Answer, ServiceError};
use crate::kept::Kept;
use crate::sqs::{MessageAttribute, Sqs, Undeliverable};
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
    state: Kept<State>,
    listeners: broadcast::Sender<Arc<Published>>,
    /// When each rule that runs by the clock is due, in milliseconds since 1970.
    due: Mutex<BTreeMap<String, i64>>,
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
    /// It is in the target's queue.
    Delivered {
        /// The message's id there.
        message_id: String,
    },
    /// It failed and lies in the target's dead-letter queue.
    DeadLettered {
        /// That queue's ARN.
        queue: String,
        /// Why it failed.
        reason: String,
    },
    /// It failed and is lost.
    Dropped {
        /// Why it failed.
        reason: String,
    },
}

/// An event as it goes over the wire; the order of the members is AWS's.
#[derive(Serialize)]
struct Envelope<'a> {
    version: &'static str,
    id: &'a str,
    #[serde(rename = "detail-type")]
    detail_type: &'a str,
    source: &'a str,
    account: &'a str,
    time: String,
    region: &'a str,
    resources: &'a [String],
    detail: &'a Value,
}

/// What makes an event.
struct Draft<'a> {
    source: &'a str,
    detail_type: &'a str,
    resources: Vec<String>,
    time: Timestamp,
    detail: Value,
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
            state: Kept::open(&world.dir, "eventbridge")?,
            listeners: broadcast::channel(LISTENERS_MEMORY).0,
            due: Mutex::default(),
            rescheduled: Notify::new(),
        })
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
        self.put(&Draft { source, detail_type, resources, time, detail });
    }

    /// Gives the event's id.
    fn put(&self, draft: &Draft<'_>) -> String {
        let (id, body, event) = self.seal(draft);
        let fields = Fields::of(&event);
        let matched: Vec<(String, Vec<Target>)> = self.state.read(|state| {
            let wants = |rule: &Rule| rule.live_pattern().is_some_and(|pattern| pattern.accepts(&fields));
            let matching = state.rules.iter().filter(|(_, rule)| wants(rule));
            matching.map(|(name, rule)| (name.clone(), rule.targets.values().cloned().collect())).collect()
        });
        self.hand_out(&id, &body, event, &matched);
        id
    }

    /// Makes the envelope: its id, its text and its value.
    fn seal(&self, draft: &Draft<'_>) -> (String, String, Value) {
        let id = self.world.uuid();
        let envelope = Envelope {
            version: "0",
            id: &id,
            detail_type: draft.detail_type,
            source: draft.source,
            account: &self.world.account,
            time: draft.time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            region: &self.world.region,
            resources: &draft.resources,
            detail: &draft.detail,
        };
        // Texts and a JSON value: neither can fail to be JSON.
        let body = serde_json::to_string(&envelope).unwrap_or_default();
        let event = serde_json::to_value(&envelope).unwrap_or_default();
        (id, body, event)
    }

    fn hand_out(&self, id: &str, body: &str, event: Value, matched: &[(String, Vec<Target>)]) {
        let mut deliveries = Vec::new();
        for (rule, targets) in matched {
            deliveries.extend(targets.iter().map(|target| Delivery {
                rule: rule.clone(),
                target_id: target.id.clone(),
                target_arn: target.arn.clone(),
                outcome: self.deliver(id, body, rule, target, &self.lateness(id, &event, rule)),
            }));
        }
        let rules = matched.iter().map(|(rule, _)| rule.clone()).collect();
        // Nobody has to listen.
        drop(self.listeners.send(Arc::new(Published { event, rules, deliveries })));
    }

    /// Each delivery's delay: one without a delay, unless there is chaos.
    fn lateness(&self, id: &str, event: &Value, rule: &str) -> Vec<Duration> {
        let text = |member| event.get(member).and_then(Value::as_str).unwrap_or_default();
        self.world.chaos.deliveries(text("source"), text("detail-type"), || format!("event {id} of rule {rule}"))
    }

    /// Sends to the target's queue, once for each of `lateness`, else to its dead-letter queue; both must let the rule send.
    fn deliver(&self, id: &str, body: &str, rule: &str, target: &Target, lateness: &[Duration]) -> Outcome {
        let rule_arn = self.rule_arn(rule);
        let send = |late: &Duration| self.sqs.send_late_for_service(&target.arn, PRINCIPAL, &rule_arn, body, *late);
        let failed = match lateness.iter().map(send).collect::<Result<Vec<_>, _>>() {
            Ok(sent) => {
                return match sent.into_iter().next() {
                    Some(first) => Outcome::Delivered { message_id: first.id },
                    None => Outcome::Dropped { reason: "chaos dropped it".to_owned() },
                };
            }
            Err(failed) => failed,
        };
        let code = match failed {
            Undeliverable::NoSuchQueue { .. } => "NO_RESOURCE",
            Undeliverable::NotAllowed { .. } => "NO_PERMISSIONS",
            Undeliverable::Refused { .. } => "INVALID_PARAMETER",
        };
        let reason = failed.to_string();
        let Some(queue) = target.dead_letters() else {
            tracing::error!(
                event.id = id,
                rule,
                target = target.arn,
                reason,
                "an event was dropped: it could not be delivered and the target has no dead-letter queue"
            );
            return Outcome::Dropped { reason };
        };
        let attributes = [
            ("RULE_ARN", rule_arn.as_str()),
            ("TARGET_ARN", target.arn.as_str()),
            ("ERROR_CODE", code),
            ("ERROR_MESSAGE", reason.as_str()),
        ];
        let attributes =
            attributes.map(|(name, value)| (name.to_owned(), MessageAttribute::string(value))).into_iter().collect();
        match self.sqs.send_for_service(queue, PRINCIPAL, &rule_arn, body, attributes) {
            Ok(_) => {
                tracing::warn!(
                    event.id = id,
                    rule,
                    target = target.arn,
                    reason,
                    queue,
                    "an event went to the dead-letter queue"
                );
                Outcome::DeadLettered { queue: queue.to_owned(), reason }
            }
            Err(second) => {
                tracing::error!(event.id = id, rule, target = target.arn, reason, queue, second = %second, "an event was dropped: neither the target nor its dead-letter queue took it");
                Outcome::Dropped { reason: format!("{reason}; and its dead-letter queue: {second}") }
            }
        }
    }

    /// The ARN of a rule by its name, whether or not it exists.
    pub fn rule_arn(&self, name: &str) -> String {
        self.world.arn("events", &format!("rule/{name}"))
    }

    /// Makes or changes a rule that looks at events; gives its ARN. Its targets stay.
    ///
    /// # Errors
    /// A name or a pattern that AWS refuses.
    pub fn put_rule(&self, name: &str, pattern: &Value, state: RuleState) -> Answer<String> {
        self.store(name, Rule { pattern: Some(pattern.to_string()), state, ..Rule::default() })
    }

    /// Makes or changes a rule that runs by the clock, `rate(5 minutes)`; gives its ARN. Its targets stay.
    ///
    /// # Errors
    /// A name or an expression that is not taken.
    pub fn put_schedule(&self, name: &str, expression: &str, state: RuleState) -> Answer<String> {
        self.store(name, Rule { schedule: Some(expression.to_owned()), state, ..Rule::default() })
    }

    /// Adds a queue to a rule's targets, or changes the target of that id.
    ///
    /// # Errors
    /// No such rule, something else than a queue, more than five targets.
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

    /// Lets a rule's clock start anew.
    fn reschedule(&self, name: &str) {
        self.due.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        self.rescheduled.notify_waiters();
    }

    /// Runs the rules that run by the clock, for as long as it is polled.
    pub async fn run_schedules(self: Arc<Self>) {
        loop {
            let mut rescheduled = pin!(self.rescheduled.notified());
            rescheduled.as_mut().enable();
            let now = self.world.now();
            let next = self.fire_due(now);
            let wait = next.map(|at| Duration::from_millis(u64::try_from(at - now.as_millisecond()).unwrap_or(1)));
            tokio::select! {
                () = rescheduled => {}
                // With no rule that runs by the clock there is nothing to wait for but a change.
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
            }
        }
    }

    /// Fires every rule that is due, once even if it was missed more often; gives when the next one is.
    ///
    /// A rule's first run is one period after it was made, enabled, or found at the start.
    fn fire_due(&self, now: Timestamp) -> Option<i64> {
        let at = now.as_millisecond();
        let clocked: Vec<(String, i64, Vec<Target>)> = self.state.read(|state| {
            let clocked = state.rules.iter().filter_map(|(name, rule)| {
                Some((name.clone(), rule.rate()?.period(), rule.targets.values().cloned().collect()))
            });
            clocked.collect()
        });
        let mut fired = Vec::new();
        let next = {
            let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
            due.retain(|name, _| clocked.iter().any(|(clocked, ..)| clocked == name));
            for (name, period, targets) in clocked {
                let first = at + period;
                let when = due.entry(name.clone()).or_insert(first);
                if *when <= at {
                    *when = if *when + period > at { *when + period } else { first };
                    fired.push((name, targets));
                }
            }
            due.values().min().copied()
        };
        for rule in fired {
            let (id, body, event) = self.seal(&Draft {
                source: "aws.events",
                detail_type: "Scheduled Event",
                resources: vec![self.rule_arn(&rule.0)],
                time: now,
                detail: json!({}),
            });
            self.hand_out(&id, &body, event, &[rule]);
        }
        next
    }
}

fn no_such_rule(name: &str) -> ServiceError {
    ServiceError::bad("ResourceNotFoundException", format!("Rule {name} does not exist on EventBus default."))
}

#[cfg(test)]
mod tests;
