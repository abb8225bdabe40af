//! `signalbox redrive`: dead letters go back to their function; a finished event runs once more.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;
use serde_json::Value;
use signalbox_aws::{Bucket, Queue};
use signalbox_events::{AGAIN, EventId};
use signalbox_ledger::{Ledger, Reopened};

use super::account::{AccountArguments, Entered, FunctionParts, Installed};
use super::dead_letters::{DeadLetter, Taker, UNDELIVERED, give_back, look, summary};
use super::{Outcome, Paint, block_on, tell};

/// How long a dead letter is hidden from others while it is sent again.
const HIDDEN: Duration = Duration::from_secs(120);

/// At most so many are listed by a dry run.
const LISTED: usize = 100;

/// Send events again that a function gave up on, or run a finished event once more.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A dead letter is sent to its queue before it is deleted: an interruption loses nothing, and an event \
                        that comes twice is done once, because the ledger knows it.\n\nEnds with 1 when an event that you \
                        named could not be sent."
)]
pub(super) struct Arguments {
    /// The function, such as `trigger`; all of them where none is named.
    function: Option<String>,
    /// The id of an event; may be given several times.
    #[arg(long = "event", value_name = "ID")]
    events: Vec<String>,
    /// Every dead letter.
    #[arg(long, conflicts_with = "events", required_unless_present_any = ["events", "dry_run"])]
    all: bool,
    /// Run finished events once more: their actions get a new attempt, how they ended before stays in the ledger.
    #[arg(long, requires = "events", conflicts_with = "all")]
    again: bool,
    /// List what would be sent, and send nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    account: AccountArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    block_on(async {
        let entered = arguments.account.enter().await?;
        let installed = entered.installed().await?;
        let functions = installed.meant(arguments.function.as_deref())?;
        if arguments.again {
            return run_again(arguments, &entered, &installed, &functions).await;
        }
        if arguments.dry_run {
            return list(arguments, &entered, &functions).await;
        }
        send_back(arguments, &entered, &functions).await
    })
}

fn is_meant(arguments: &Arguments, letter: &DeadLetter) -> bool {
    arguments.events.is_empty() || arguments.events.iter().any(|id| id == letter.id() || *id == letter.message.id)
}

async fn list(arguments: &Arguments, entered: &Entered, functions: &[FunctionParts]) -> anyhow::Result<Outcome> {
    let mut found = 0_usize;
    for function in functions {
        for letter in look(entered, function, LISTED).await? {
            if is_meant(arguments, &letter) {
                found += 1;
                tell(&format!("{:>10}  {}  {}", function.name, letter.id(), letter.summary));
            }
        }
    }
    tell(&format!("dry run: {found} would be sent again; nothing was sent"));
    Ok(Outcome::Good)
}

async fn send_back(arguments: &Arguments, entered: &Entered, functions: &[FunctionParts]) -> anyhow::Result<Outcome> {
    let paint = Paint::for_stdout();
    let mut missing: BTreeSet<&str> = arguments.events.iter().map(String::as_str).collect();
    let (mut sent, began) = (0_usize, Timestamp::now());
    for function in functions {
        let queue = Queue::new(&entered.aws, &function.queue);
        let mut taker = Taker::new(&entered.aws, function, HIDDEN, began);
        let mut others = Vec::new();
        loop {
            let letters = taker.next(entered).await?;
            if letters.is_empty() {
                break;
            }
            for letter in letters {
                if !is_meant(arguments, &letter) {
                    others.push(letter);
                    continue;
                }
                // Sent before it is deleted: whatever ends this in between leaves it in both places, never in none.
                let again = letter.message.clone().without(&UNDELIVERED);
                entered.or_told(queue.send_again(&again).await)?;
                entered.or_told(taker.queue().delete(&letter.message.receipt).await)?;
                missing.remove(letter.id());
                missing.remove(letter.message.id.as_str());
                sent += 1;
                tell(&format!("{:>10}  {}  {}", function.name, letter.id(), letter.summary));
            }
            if !arguments.events.is_empty() && missing.is_empty() {
                break;
            }
        }
        for letter in others {
            give_back(taker.queue(), &letter.message).await;
        }
    }
    tell(&format!("{} {sent} sent again; `signalbox status` tells how they fare", paint.good("done:")));
    for id in &missing {
        let bad = paint.bad("not found:");
        tell(&format!("{bad} {id} is no dead letter; if it is finished, --again runs it once more"));
    }
    Ok(if missing.is_empty() { Outcome::Good } else { Outcome::Bad })
}

async fn run_again(
    arguments: &Arguments,
    entered: &Entered,
    installed: &Installed,
    functions: &[FunctionParts],
) -> anyhow::Result<Outcome> {
    let bucket = Bucket::new(&entered.aws, installed.bucket()?);
    let mut outcome = Outcome::Good;
    for id in &arguments.events {
        let event = EventId::parse(id).with_context(|| format!("`{id}` is no event id"))?;
        let mut known = Vec::new();
        for function in functions {
            let ledger = Ledger::new(bucket.clone(), &function.name);
            if entered.or_told(ledger.read(&event).await)?.is_some() {
                known.push((function, ledger));
            }
        }
        let one = match known.as_slice() {
            [(function, ledger)] => once_more(arguments, entered, function, ledger, &event).await,
            [] => Err(anyhow::anyhow!(
                "the ledger knows no event {id}: nothing was to be done for it, or it is longer ago than the ledger is kept"
            )),
            several => {
                let names: Vec<&str> = several.iter().map(|(function, _)| function.name.as_str()).collect();
                bail!("{id} was handled by {}; name the function that shall run it once more", names.join(" and "))
            }
        };
        if let Err(error) = one {
            eprintln!("{} {error:#}", Paint::for_stderr().bad("not sent:"));
            outcome = Outcome::Bad;
        }
    }
    Ok(outcome)
}

async fn once_more(
    arguments: &Arguments,
    entered: &Entered,
    function: &FunctionParts,
    ledger: &Ledger,
    event: &EventId,
) -> anyhow::Result<()> {
    if arguments.dry_run {
        let entry = entered.or_told(ledger.read(event).await)?;
        let verdict = entry.and_then(|entry| entry.report).map(|report| report.verdict);
        let verdict = verdict.unwrap_or_else(|| "not finished".to_owned());
        tell(&format!("dry run: {:>10}  {event}  ({verdict}) would run once more; nothing was changed", function.name));
        return Ok(());
    }
    // The entry is opened first: an event that came before that would be found finished, and dropped.
    match entered.or_told(ledger.reopen(event, Timestamp::now()).await)? {
        Reopened::Open { round, mut received } => {
            if let Value::Object(object) = &mut received {
                object.insert(AGAIN.to_owned(), Value::from(round));
            }
            let body = received.to_string();
            entered.or_told(Queue::new(&entered.aws, &function.queue).send(&body).await)?;
            let done = Paint::for_stdout().good("done:");
            tell(&format!("{done} {} runs {event} once more: {}", function.name, summary(&body)));
            Ok(())
        }
        Reopened::Busy { until } => bail!("{event} is being worked on until {until}; wait for its end"),
        Reopened::Unfinished => bail!(
            "{event} is not finished: it waits in its queue, or among the dead letters, which `signalbox redrive {} \
             --event {event}` sends again",
            function.name
        ),
        Reopened::NotKept => bail!(
            "the event of {event} was not kept, by an older version, because it was none, or because the sweep found what no event told; push another commit, or \
             hand the event to the function yourself"
        ),
        Reopened::Unknown => bail!("the ledger entry of {event} is gone"),
    }
}
