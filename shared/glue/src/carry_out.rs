//! Actions, each done once, under a claim.

use jiff::Timestamp;
use signalbox_aws::Failure;
use signalbox_ledger::{Claim, Ledger, Outcome, Report, Turn};

use crate::batch::Invocation;
use crate::run::Handled;

/// An action's name in the ledger and its sentence in the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The same however often the event is decided; `None` for what may simply be done again.
    pub key: Option<String>,
    /// What is done, such as `start unit for main at 1a2b3c4`.
    pub told: String,
    /// What it waits for.
    pub order: Order,
    /// What a second try does, where the first was cut off before it was recorded.
    pub twice: Twice,
}

/// What a second try of an action does whose first was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twice {
    /// Nothing more: it finds what was done. It may be begun as long as there is any time.
    Harmless,
    /// The same once more: it is begun only with time for it and its record.
    Doubled,
}

/// What an action waits for among those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Nothing: it is done whatever becomes of the others.
    Free,
    /// Every action before it, done or refused: if one must be tried again, this one waits with it.
    AfterOthers,
    /// The action of this key, and that it was done: if that was refused, or left, it makes no sense.
    OnlyIfDone(String),
}

/// What came of an action that went well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    /// It is done, and so.
    Done(String),
    /// There was no need for it any more, and why.
    Left(String),
}

impl From<Came> for Outcome {
    fn from(came: Came) -> Self {
        match came {
            Came::Done(what) => Self::Done(what),
            Came::Left(why) => Self::Left(why),
        }
    }
}

/// How an event ends if all its actions go well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All that there was to decide was decided.
    Done,
    /// Something could not be decided, and never can: the report says what.
    Refused,
}

/// What a function does with its actions.
pub trait Apply<A>: Sync {
    /// The action's name and sentence.
    fn step(&self, action: &A) -> Step;

    /// Does the action; says what came of it. It chooses nothing, and can be done twice.
    ///
    /// `attempts` counts the invocations that have claimed the event: behind the first one an earlier may have died at it.
    fn apply(
        &self,
        action: &A,
        attempts: u32,
        invocation: Invocation,
    ) -> impl Future<Output = Result<Came, Failure>> + Send;

    /// Hears what came of the action of this key, now or in an earlier invocation: for what is told of it later.
    fn hear(&self, key: &str, outcome: &Outcome) {
        let _nobody_asked = (key, outcome);
    }
}

/// Claims the event, does every action that no earlier invocation did, and closes the claim with the report.
///
/// One action that fails does not keep the others from being done, beside those that wait for it. What is refused is recorded and not tried again; what
/// may go better later brings the event back, and only that is done then. So does an action that a second try would double, and for
/// which too little time is left to be recorded, too: it is not begun.
///
/// # Errors
/// [`Failure::Retry`]: another invocation holds the claim, and until when; an action must be tried again; or time is nearly
/// over.
pub async fn carry_out<A: Sync>(
    function: &impl Apply<A>,
    ledger: &Ledger,
    turn: Turn<'_>,
    invocation: Invocation,
    ending: Ending,
    actions: &[A],
    report: impl Fn(Vec<String>) -> Report + Send,
) -> Result<Handled, Failure> {
    let mut held = match ledger.claim(turn, invocation.lease(), invocation.now).await? {
        Claim::Held(held) => held,
        Claim::Finished(_) => return Ok(Handled::Before),
        Claim::Busy { until } => return Err(Failure::busy("claiming the event", until)),
    };
    held.outcomes().for_each(|(key, outcome)| function.hear(key, outcome));
    let decided: Vec<String> = actions.iter().filter_map(|action| function.step(action).key).collect();
    let mut lines = Vec::new();
    let mut ending = ending;
    let mut later = None;
    for (index, action) in actions.iter().enumerate() {
        let Step { key, told, order, twice } = function.step(action);
        match &order {
            Order::AfterOthers if later.is_some() => continue,
            Order::OnlyIfDone(other) => match held.outcome(other) {
                Some(Outcome::Done(_)) => {}
                Some(Outcome::Refused(_)) => {
                    lines.push(format!("{told}: left, as its counterpart was refused"));
                    continue;
                }
                Some(Outcome::Left(_)) => {
                    lines.push(format!("{told}: left, as its counterpart was"));
                    continue;
                }
                None => continue,
            },
            Order::Free | Order::AfterOthers => {}
        }
        let before = key.as_deref().and_then(|key| held.outcome(key)).cloned();
        let outcome = match before {
            Some(outcome) => {
                lines.push(format!("{told}: {outcome} (done before)"));
                outcome
            }
            None => {
                if twice == Twice::Doubled
                    && let Err(failure) = in_time(&told, invocation)
                {
                    later = later.or(Some(failure));
                    continue;
                }
                let outcome = match function.apply(action, held.attempts(), invocation).await {
                    Ok(came) => came.into(),
                    Err(failure @ Failure::Refused(_)) => Outcome::Refused(failure.chain()),
                    Err(failure) => {
                        later = later.or(Some(failure));
                        continue;
                    }
                };
                if let Some(key) = &key {
                    // Behind the last one the claim is closed, which records it as well: one write less.
                    if twice == Twice::Harmless && index + 1 == actions.len() {
                        held.record_with_the_next(key, outcome.clone());
                    } else {
                        held.record(key, outcome.clone()).await?;
                    }
                    function.hear(key, &outcome);
                }
                lines.push(format!("{told}: {outcome}"));
                outcome
            }
        };
        if matches!(outcome, Outcome::Refused(_)) {
            ending = Ending::Refused;
        }
    }
    // An earlier invocation may have decided on other actions: what it did belongs into the report, too.
    for (key, outcome) in held.outcomes().filter(|(key, _)| !decided.contains(key)) {
        lines.push(format!("{key}: {outcome} (done before)"));
    }
    if let Some(failure) = later {
        if let Err(kept) = held.release().await {
            tracing::warn!(why = kept.chain(), "the claim could not be given back; it runs out by itself");
        }
        return Err(failure);
    }
    let report = report(lines);
    match ending {
        Ending::Done => held.finish(report.clone()).await.map(|()| Handled::Reported(Box::new(report))),
        Ending::Refused => held.refuse(report.clone()).await.map(|()| Handled::Refused(Box::new(report))),
    }
}

/// Whether there is time enough for an action and its record: a mail that is cut off in between is sent once more.
fn in_time(doing: &str, invocation: Invocation) -> Result<(), Failure> {
    if Timestamp::now() <= invocation.last_begin {
        return Ok(());
    }
    Err(Failure::retry(doing, "the invocation's time is nearly over; nothing is begun that could not be recorded"))
}
