//! `signalbox status`: how the stack fares, and what needs a person.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;
use signalbox_aws::{Bucket, LogLine, Logs, Queue, Topic};
use signalbox_policy::parse_policy;

use super::account::{AccountArguments, Entered, FunctionParts, Installed};
use super::dead_letters::look;
use super::{Outcome, Paint, block_on, tell};
use crate::stage::POLICY_KEY;

mod show;

/// At most so many dead letters are taken up to find the newest.
const LOOKED_AT: usize = 100;

/// How far back the last events are looked for, in hours: further only if there were too few.
const WINDOWS: [i64; 3] = [1, 24, 14 * 24];

/// At most so many pages of a log are searched for an event.
const PAGES: u16 = 20;

/// Show how the stack fares: queues, dead letters with their reasons, the last events, the policy in force.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Ends with 1 when something needs a person: dead letters, a policy with problems, a stack that \
                        failed. Dead letters are hidden from others for at most 30 seconds while they are looked at."
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

#[derive(Debug, Serialize)]
struct FunctionStatus {
    name: String,
    waiting: u64,
    in_flight: u64,
    delayed: u64,
    dead_letters: u64,
    newest_dead_letters: Vec<DeadLetterStatus>,
    last_events: Vec<EventStatus>,
}

#[derive(Debug, Serialize)]
struct DeadLetterStatus {
    event: String,
    sent: Option<Timestamp>,
    summary: String,
    reason: String,
    what_to_do: String,
}

/// What a function logged of an event.
#[derive(Debug, Serialize)]
struct EventStatus {
    at: Timestamp,
    event: String,
    /// `handled`, `refused` or `comes again`.
    outcome: String,
    verdict: String,
    told: String,
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
    Ok(if status.attention.is_empty() { Outcome::Good } else { Outcome::Bad })
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
        let function = function(entered, &parts, most, &mut status.unseen).await?;
        if function.dead_letters > 0 {
            let (name, count) = (&function.name, function.dead_letters);
            let what = if count == 1 { "1 event".to_owned() } else { format!("{count} events") };
            status.attention.push(format!("{name} gave up on {what}"));
        }
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

async fn function(
    entered: &Entered,
    parts: &FunctionParts,
    most: usize,
    unseen: &mut Vec<String>,
) -> anyhow::Result<FunctionStatus> {
    let queue = entered.or_told(Queue::new(&entered.aws, &parts.queue).depth().await)?;
    let dead = entered.or_told(Queue::new(&entered.aws, &parts.dead_letters).depth().await)?;
    let logs = Logs::new(&entered.aws);
    let mut newest = Vec::new();
    if dead.visible > 0 && most > 0 {
        match look(entered, parts, LOOKED_AT).await {
            Ok(letters) => {
                for letter in letters.into_iter().take(most) {
                    let reason = match letter.undelivered() {
                        Some(reason) => reason,
                        None => last_word(entered, &logs, parts, letter.id()).await,
                    };
                    let again = format!("signalbox redrive {} --event {}", parts.name, letter.id());
                    newest.push(DeadLetterStatus {
                        event: letter.id().to_owned(),
                        sent: letter.message.sent,
                        summary: letter.summary.clone(),
                        reason,
                        what_to_do: format!("mend the cause, then: {again}"),
                    });
                }
            }
            Err(error) => unseen.push(format!("the dead letters of {}: {error:#}", parts.name)),
        }
    }
    let last_events = newest_events(entered, &logs, parts, most).await.unwrap_or_else(|error| {
        unseen.push(format!("the log of {}: {error:#}", parts.name));
        Vec::new()
    });
    Ok(FunctionStatus {
        name: parts.name.clone(),
        waiting: queue.visible,
        in_flight: queue.in_flight,
        delayed: queue.delayed,
        dead_letters: dead.visible + dead.in_flight,
        newest_dead_letters: newest,
        last_events,
    })
}

/// What a function's log said last of an event.
async fn last_word(entered: &Entered, logs: &Logs, parts: &FunctionParts, event: &str) -> String {
    if !event.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c)) {
        return "not known: its id is none that the log could be searched for".to_owned();
    }
    // As long as an event can be in a queue.
    let since = Timestamp::now() - SignedDuration::from_hours(14 * 24);
    match entered.or_told(logs.search(&parts.log_group, event, since, PAGES).await) {
        Ok(lines) => {
            let words = lines.iter().rev().filter_map(EventStatus::read).find(|said| said.event == event);
            words.map_or_else(
                || format!("the log says nothing of it; the function may die over it: see {}", parts.log_group),
                |said| said.told,
            )
        }
        Err(error) => format!("not known, the log could not be searched: {error:#}"),
    }
}

/// The last events of a function, newest first, from the one line that it logs for each.
///
/// Not from the newest streams: when a stream was last written to is known to CloudWatch only up to an hour later.
async fn newest_events(
    entered: &Entered,
    logs: &Logs,
    parts: &FunctionParts,
    most: usize,
) -> anyhow::Result<Vec<EventStatus>> {
    let mut events = Vec::new();
    for hours in WINDOWS {
        let since = Timestamp::now() - SignedDuration::from_hours(hours);
        let lines = entered.or_told(logs.search(&parts.log_group, "event.id", since, PAGES).await)?;
        events = last_events(&lines, most);
        if events.len() >= most {
            break;
        }
    }
    Ok(events)
}

fn last_events(lines: &[LogLine], most: usize) -> Vec<EventStatus> {
    let told = lines.iter().rev().filter_map(EventStatus::read).filter(|said| said.verdict != "not ours");
    told.take(most).collect()
}

impl EventStatus {
    /// Reads the one line that a function logs for an event.
    fn read(line: &LogLine) -> Option<Self> {
        let said: Value = serde_json::from_str(&line.text).ok()?;
        let field = |name: &str| said.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let outcome = field("message").filter(|message| matches!(*message, "handled" | "refused" | "comes again"))?;
        let words = [field("reasons"), field("actions"), field("why")].into_iter().flatten().collect::<Vec<_>>();
        Some(Self {
            at: line.at,
            event: field("event.id").unwrap_or_default().to_owned(),
            outcome: outcome.to_owned(),
            verdict: field("verdict").unwrap_or_default().to_owned(),
            told: words.join("; "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lines_that_tell_of_an_event_are_events() {
        let line = |text: &str| LogLine { at: Timestamp::UNIX_EPOCH, text: text.to_owned() };
        let lines = [
            line(
                r#"{"message":"handled","event.id":"e-1","verdict":"start","reasons":"unit starts","actions":"done"}"#,
            ),
            line("START RequestId: x"),
            line(r#"{"message":"handled","event.id":"e-2","verdict":"not ours"}"#),
            line(r#"{"_aws":{}}"#),
            line(r#"{"message":"comes again","event.id":"e-3","why":"throttled"}"#),
        ];
        let events = last_events(&lines, 5);
        let told: Vec<(&str, &str)> = events.iter().map(|one| (one.event.as_str(), one.told.as_str())).collect();
        assert_eq!(told, [("e-3", "throttled"), ("e-1", "unit starts; done")]);
    }
}
