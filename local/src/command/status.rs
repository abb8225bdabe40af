//! `signalbox status`: how the stack fares, and what needs a person.

use anyhow::Context;
use jiff::Timestamp;
use serde::Serialize;
use signalbox_aws::{Bucket, Depth, Logs, Queue, Topic};
use signalbox_events::EventId;
use signalbox_ledger::Ledger;
use signalbox_policy::parse_policy;

use super::account::{AccountArguments, Entered, FunctionParts, Installed};
use super::dead_letters::{DeadLetter, look};
use super::{Outcome, Paint, block_on, tell};
use crate::stage::POLICY_KEY;

mod log;
mod show;

use log::{EventStatus, FunctionLog, Reach, TOO_LONG};

/// At most so many dead letters are taken up to find the newest.
const LOOKED_AT: usize = 100;

/// At most so many characters are told of what a sweep left.
const TOLD_OF_A_SWEEP: usize = 600;

/// Show how the stack fares: queues, dead letters with their reasons, the last events, the policy in force.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes:\n  0  nothing needs you\n  1  something does: dead letters, events that were refused within a \
                        day and did not go well since, a last sweep that left something, a policy with problems, a stack \
                        that failed\n  2  wrong usage\n  3  not \
                        known: there is no way into the account, no such stack, or a part could not be looked at, and \
                        nothing else needs you; or this output could not be written\n\nDead letters are hidden from others for at most 30 seconds while they are \
                        looked at."
)]
pub(super) struct Arguments {
    /// As JSON instead of text.
    #[arg(long)]
    json: bool,
    /// How many dead letters and how many of the last events are shown of each function.
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    events: usize,
    #[command(flatten)]
    account: AccountArguments,
}

/// Everything that is shown. What could not be looked at is `None`, and `unseen` says why.
#[derive(Debug, Serialize)]
struct Status {
    stack: StackStatus,
    policy: Option<PolicyStatus>,
    functions: Vec<FunctionStatus>,
    mail: Option<Vec<MailStatus>>,
    /// What needs a person, one sentence each.
    attention: Vec<String>,
    /// What could not be looked at, and why.
    unseen: Vec<String>,
}

#[derive(Debug, Serialize)]
struct StackStatus {
    name: String,
    status: String,
    account: String,
    region: String,
    changed: Option<Timestamp>,
}

#[derive(Debug, Default, Serialize)]
struct PolicyStatus {
    in_force: bool,
    version: Option<String>,
    written: Option<Timestamp>,
    writer: Option<String>,
    mode: Option<&'static str>,
    repositories: usize,
    triggers: usize,
    notification_rules: usize,
    problems: usize,
}

/// What could not be looked at is `None`, as everywhere.
#[derive(Debug, Default, Serialize)]
struct FunctionStatus {
    name: String,
    #[serde(flatten)]
    queue: Option<QueueStatus>,
    dead_letters: Option<u64>,
    newest_dead_letters: Option<Vec<DeadLetterStatus>>,
    last_events: Option<Vec<EventStatus>>,
    /// Refused within a day, and not gone well since.
    refused: Option<Vec<EventStatus>>,
    /// Whether there may be more of these.
    more_refused: bool,
    /// The last sweep of a day, for a function that sweeps.
    last_sweep: Option<EventStatus>,
}

#[derive(Debug, Serialize)]
struct QueueStatus {
    waiting: u64,
    in_flight: u64,
    delayed: u64,
}

impl From<Depth> for QueueStatus {
    fn from(depth: Depth) -> Self {
        Self { waiting: depth.visible, in_flight: depth.in_flight, delayed: depth.delayed }
    }
}

#[derive(Debug, Serialize)]
struct DeadLetterStatus {
    event: String,
    sent: Option<Timestamp>,
    summary: String,
    reason: String,
    what_to_do: String,
}

#[derive(Debug, Serialize)]
struct MailStatus {
    protocol: String,
    endpoint: String,
    is_confirmed: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let status = block_on(async {
        let entered = arguments.account.enter().await?;
        let installed = entered.installed().await?;
        gather(&entered, &installed, arguments.events).await
    })?;
    if arguments.json {
        tell(&serde_json::to_string_pretty(&status)?);
    } else {
        show::show(&status, Paint::for_stdout());
    }
    Ok(match (status.attention.as_slice(), status.unseen.as_slice()) {
        ([], []) => Outcome::Good,
        ([], _) => Outcome::Unseen,
        _ => Outcome::Bad,
    })
}

async fn gather(entered: &Entered, installed: &Installed, most: usize) -> anyhow::Result<Status> {
    let description = &installed.description;
    let mut status = Status {
        stack: StackStatus {
            name: description.name.clone(),
            status: description.status.clone(),
            account: entered.identity.account.clone(),
            region: entered.aws.region().to_owned(),
            changed: description.changed,
        },
        policy: None,
        functions: Vec::new(),
        mail: None,
        attention: Vec::new(),
        unseen: Vec::new(),
    };
    if description.status.contains("FAILED") || description.status.contains("ROLLBACK") {
        let why = description.reason.as_deref().unwrap_or("CloudFormation gives no reason");
        status.attention.push(format!("the stack is in the state {}: {why}", description.status));
    }
    // What one of these may not look at does not keep the others from being shown.
    match policy(entered, installed).await {
        Ok(policy) => status.policy = Some(policy),
        Err(error) => status.unseen.push(format!("the policy: {error:#}")),
    }
    if status.policy.as_ref().is_some_and(|policy| policy.problems > 0) {
        status.attention.push("the policy in force has problems, so every event waits: apply a good one".to_owned());
    }
    for parts in installed.functions() {
        let function = function(entered, &parts, most, &mut status.unseen).await;
        let last = function.refused.as_ref().and_then(|refused| refused.first());
        let then = match last {
            Some(last) => match once_more(entered, installed, &function.name, &last.event).await {
                Ok(then) => Some(then),
                Err(error) => {
                    status.unseen.push(format!("whether {} can run once more: {error:#}", last.event));
                    None
                }
            },
            None => None,
        };
        status.attention.extend(attention(&function, then.as_deref()));
        status.functions.push(function);
    }
    match mail(entered, installed).await {
        Ok(mail) => status.mail = Some(mail),
        Err(error) => status.unseen.push(format!("who gets mail: {error:#}")),
    }
    Ok(status)
}

async fn mail(entered: &Entered, installed: &Installed) -> anyhow::Result<Vec<MailStatus>> {
    let topic = installed.physical("Topic").context("the stack has no resource `Topic`")?;
    let subscribers = entered.or_told(Topic::new(&entered.aws, topic).subscribers().await)?;
    let mail = subscribers.into_iter().map(|one| MailStatus {
        protocol: one.protocol,
        endpoint: one.endpoint,
        is_confirmed: one.is_confirmed,
    });
    Ok(mail.collect())
}

async fn policy(entered: &Entered, installed: &Installed) -> anyhow::Result<PolicyStatus> {
    let bucket = Bucket::new(&entered.aws, installed.bucket()?);
    let Some(object) = entered.or_told(bucket.get(POLICY_KEY).await)? else { return Ok(PolicyStatus::default()) };
    let text = String::from_utf8_lossy(&object.bytes);
    let mut status = PolicyStatus {
        in_force: true,
        version: object.version.clone(),
        written: object.written,
        writer: object.writer.clone(),
        ..PolicyStatus::default()
    };
    match parse_policy(&text) {
        Ok(policy) => {
            status.mode = Some(policy.mode.name());
            status.repositories = policy.sections.len();
            status.triggers = policy.sections.iter().map(|section| section.triggers.len()).sum();
            let rules = policy.sections.iter().filter_map(|section| section.notifications.as_ref());
            status.notification_rules = rules.map(Vec::len).sum();
        }
        Err(_) => status.problems = 1,
    }
    Ok(status)
}

async fn function(entered: &Entered, parts: &FunctionParts, most: usize, unseen: &mut Vec<String>) -> FunctionStatus {
    let name = &parts.name;
    let mut note = |what: &str, why: String| unseen.push(format!("{what} of {name}: {why}"));
    let mut status = FunctionStatus { name: name.clone(), ..FunctionStatus::default() };
    match entered.or_told(Queue::new(&entered.aws, &parts.queue).depth().await) {
        Ok(depth) => status.queue = Some(depth.into()),
        Err(error) => note("the queue", format!("{error:#}")),
    }
    let log = FunctionLog { entered, logs: Logs::new(&entered.aws), parts };
    match dead_letters(&log, most).await {
        Ok((count, newest)) => {
            status.dead_letters = Some(count);
            match newest {
                Ok(newest) => status.newest_dead_letters = Some(newest),
                Err(error) => note("the dead letters", format!("{error:#}")),
            }
        }
        Err(error) => note("the dead letters", format!("{error:#}")),
    }
    match log.newest(most).await {
        Ok(found) => {
            let is_cut = found.reach == Reach::Cut;
            status.last_events = Some(found.what).filter(|events| !(is_cut && events.is_empty()));
            if is_cut {
                note("the last events", format!("not all are known, {TOO_LONG}"));
            }
        }
        Err(error) => note("the last events", format!("{error:#}")),
    }
    match log.last_sweep().await {
        Ok(found) => {
            if found.reach == Reach::Cut {
                note("the last sweep", format!("not known, {TOO_LONG}"));
            }
            status.last_sweep = found.what;
        }
        Err(error) => note("the last sweep", format!("{error:#}")),
    }
    match log.refused().await {
        Ok(found) => {
            let is_cut = found.reach == Reach::Cut;
            status.more_refused = is_cut || !found.what.are_all;
            status.refused = Some(found.what.events).filter(|events| !(status.more_refused && events.is_empty()));
            if is_cut {
                note("the refused events", format!("not all are known, {TOO_LONG}"));
            } else if status.refused.is_none() {
                note("the refused events", "the newest went well since, of older ones it was not looked at".to_owned());
            }
        }
        Err(error) => note("the refused events", format!("{error:#}")),
    }
    status
}

/// How many there are, and the newest.
async fn dead_letters(
    log: &FunctionLog<'_>,
    most: usize,
) -> anyhow::Result<(u64, anyhow::Result<Vec<DeadLetterStatus>>)> {
    let (entered, parts) = (log.entered, log.parts);
    let dead = entered.or_told(Queue::new(&entered.aws, &parts.dead_letters).depth().await)?;
    let mut newest = Vec::new();
    if dead.visible > 0 && most > 0 {
        match look(entered, parts, LOOKED_AT).await {
            Ok(letters) => {
                for letter in letters.into_iter().take(most) {
                    newest.push(dead_letter(log, &letter).await);
                }
            }
            Err(error) => return Ok((dead.visible + dead.in_flight, Err(error))),
        }
    }
    Ok((dead.visible + dead.in_flight, Ok(newest)))
}

async fn dead_letter(log: &FunctionLog<'_>, letter: &DeadLetter) -> DeadLetterStatus {
    let reason = match letter.undelivered() {
        Some(reason) => reason,
        None => log.last_word(letter.id()).await,
    };
    let again = format!("signalbox redrive {} --event {}", log.parts.name, letter.id());
    DeadLetterStatus {
        event: letter.id().to_owned(),
        sent: letter.message.sent,
        summary: letter.summary.clone(),
        reason,
        what_to_do: format!("mend the cause, then: {again}"),
    }
}

/// What is to be done about an event that was refused: it runs once more only where the ledger keeps it.
async fn once_more(entered: &Entered, installed: &Installed, function: &str, event: &str) -> anyhow::Result<String> {
    let Ok(id) = EventId::parse(event) else { return Ok(NOT_KEPT.to_owned()) };
    let ledger = Ledger::new(Bucket::new(&entered.aws, installed.bucket()?), function);
    let entry = entered.or_told(ledger.read(&id).await)?;
    Ok(match entry.as_ref().and_then(|entry| entry.received()) {
        Some(_) => format!("mend the cause, then: signalbox redrive {function} --again --event {event}"),
        None => NOT_KEPT.to_owned(),
    })
}

/// What to do about a refused event that the ledger does not keep: it was none, or a push that the sweep found.
const NOT_KEPT: &str = "mend the cause; the event was not kept, so what it asked for needs another push or event";

/// What of a function needs a person; `then` is what to do about the last refused event.
fn attention(function: &FunctionStatus, then: Option<&str>) -> Vec<String> {
    let (name, mut all) = (&function.name, Vec::new());
    let events = |count: u64| if count == 1 { "1 event".to_owned() } else { format!("{count} events") };
    if let Some(count) = function.dead_letters.filter(|count| *count > 0) {
        all.push(format!("{name} gave up on {}", events(count)));
    }
    if let Some(refused) = &function.refused
        && let Some(last) = refused.first()
    {
        let (event, why) = (&last.event, &last.told);
        let at_least = if function.more_refused { "at least " } else { "" };
        let count = events(refused.len() as u64);
        let then = then.unwrap_or("mend the cause");
        all.push(format!("{name} refused {at_least}{count} within a day, last {event}: {why}; {then}"));
    }
    if let Some(sweep) = function.last_sweep.as_ref().filter(|sweep| sweep.left_something()) {
        let why: String = sweep.told.chars().take(TOLD_OF_A_SWEEP).collect();
        let cut = if why.len() < sweep.told.len() { " ..." } else { "" };
        all.push(format!(
            "the last sweep of {name} left something ({}): {why}{cut}; mend the cause, the next one tries it again",
            sweep.event
        ));
    }
    all
}
