//! `signalbox status`: how the stack fares, and what needs a person.

use jiff::Timestamp;
use serde::Serialize;
use signalbox_aws::{Bucket, Depth, Logs, Queue, Topic};
use signalbox_policy::parse_policy;

use super::account::{AccountArguments, Entered, FunctionParts, Installed};
use super::dead_letters::{DeadLetter, look};
use super::{Outcome, Paint, block_on, tell};
use crate::stage::POLICY_KEY;

mod log;
mod show;

use log::{EventStatus, FunctionLog};

/// At most so many dead letters are taken up to find the newest.
const LOOKED_AT: usize = 100;

/// Show how the stack fares: queues, dead letters with their reasons, the last events, the policy in force.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes:\n  0  nothing needs you\n  1  something does: dead letters, events that were refused within a \
                        day and did not go well since, a policy with problems, a stack that failed\n  2  wrong usage\n  3  not \
                        known: there is no way into the account, no such stack, or a part could not be looked at, and \
                        nothing else needs you\n\nDead letters are hidden from others for at most 30 seconds while they are \
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

/// Everything that is shown.
#[derive(Debug, Serialize)]
struct Status {
    stack: StackStatus,
    policy: PolicyStatus,
    functions: Vec<FunctionStatus>,
    mail: Vec<MailStatus>,
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

/// What could not be looked at is `None`.
#[derive(Debug, Default, Serialize)]
struct FunctionStatus {
    name: String,
    #[serde(flatten)]
    queue: Option<QueueStatus>,
    dead_letters: Option<u64>,
    newest_dead_letters: Vec<DeadLetterStatus>,
    last_events: Vec<EventStatus>,
    /// Refused within a day, and not gone well since.
    refused: Vec<EventStatus>,
    /// When the last sweep ended that found nothing.
    last_quiet_sweep: Option<Timestamp>,
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
        policy: PolicyStatus::default(),
        functions: Vec::new(),
        mail: Vec::new(),
        attention: Vec::new(),
        unseen: Vec::new(),
    };
    if description.status.contains("FAILED") || description.status.contains("ROLLBACK") {
        let why = description.reason.as_deref().unwrap_or("CloudFormation gives no reason");
        status.attention.push(format!("the stack is in the state {}: {why}", description.status));
    }
    // What one of these may not look at does not keep the others from being shown.
    match policy(entered, installed).await {
        Ok(policy) => status.policy = policy,
        Err(error) => status.unseen.push(format!("the policy: {error:#}")),
    }
    if status.policy.problems > 0 {
        status.attention.push("the policy in force has problems, so every event waits: apply a good one".to_owned());
    }
    for parts in installed.functions() {
        let function = function(entered, &parts, most, &mut status.unseen).await;
        status.attention.extend(attention(&function));
        status.functions.push(function);
    }
    if let Some(topic) = installed.physical("Topic") {
        match entered.or_told(Topic::new(&entered.aws, topic).subscribers().await) {
            Ok(subscribers) => {
                let mail = subscribers.into_iter().map(|one| MailStatus {
                    protocol: one.protocol,
                    endpoint: one.endpoint,
                    is_confirmed: one.is_confirmed,
                });
                status.mail = mail.collect();
            }
            Err(error) => status.unseen.push(format!("who gets mail: {error:#}")),
        }
    }
    Ok(status)
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
    let mut note = |what: &str, error: anyhow::Error| unseen.push(format!("{what} of {name}: {error:#}"));
    let mut status = FunctionStatus { name: name.clone(), ..FunctionStatus::default() };
    match entered.or_told(Queue::new(&entered.aws, &parts.queue).depth().await) {
        Ok(depth) => status.queue = Some(depth.into()),
        Err(error) => note("the queue", error),
    }
    let log = FunctionLog { entered, logs: Logs::new(&entered.aws), parts };
    match entered.or_told(Queue::new(&entered.aws, &parts.dead_letters).depth().await) {
        Ok(dead) => {
            status.dead_letters = Some(dead.visible + dead.in_flight);
            if dead.visible > 0 && most > 0 {
                match look(entered, parts, LOOKED_AT).await {
                    Ok(letters) => {
                        for letter in letters.into_iter().take(most) {
                            status.newest_dead_letters.push(dead_letter(&log, &letter).await);
                        }
                    }
                    Err(error) => note("the dead letters", error),
                }
            }
        }
        Err(error) => note("the dead letters", error),
    }
    match log.newest(most).await {
        Ok(newest) => {
            status.last_events = newest.events;
            status.last_quiet_sweep = newest.quiet_sweep;
        }
        Err(error) => note("the last events", error),
    }
    match log.refused().await {
        Ok(refused) => status.refused = refused,
        Err(error) => note("the refused events", error),
    }
    status
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

/// What of a function needs a person.
fn attention(function: &FunctionStatus) -> Vec<String> {
    let (name, mut all) = (&function.name, Vec::new());
    let events = |count: u64| if count == 1 { "1 event".to_owned() } else { format!("{count} events") };
    if let Some(count) = function.dead_letters.filter(|count| *count > 0) {
        all.push(format!("{name} gave up on {}", events(count)));
    }
    if let Some(last) = function.refused.first() {
        let (event, why) = (&last.event, &last.told);
        all.push(format!(
            "{name} refused {} within a day, last {event}: {why}; mend the cause, then: signalbox redrive {name} --again --event {event}",
            events(function.refused.len() as u64),
        ));
    }
    all
}
