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
use super::dead_letters::{DeadLetter, Taker, UNDELIVERED, summary};
use super::{Outcome, Paint, block_on, complain, tell};

/// How long a dead letter is hidden from others while it is sent again.
const HIDDEN: Duration = Duration::from_secs(120);

/// Send events again that a function gave up on, or run a finished event once more.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "signalbox redrive [FUNCTION] --all [--dry-run]\n       \
                      signalbox redrive [FUNCTION] --event <ID> [--event <ID>]... [--again] [--dry-run]",
    after_help = "A dead letter is sent to its queue before it is deleted: an interruption loses nothing, and an event \
                        that comes twice is done once, because the ledger knows it. One that cannot be sent keeps no other \
                        from being sent.\n\nEnds with 0 when everything that was meant was sent, with 1 when something could \
                        not be sent or was not found, and with 2 for wrong usage."
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
    /// List what would be sent, and send nothing; alone, of every dead letter.
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
        let mut redrive = Redrive {
            arguments,
            entered: &entered,
            missing: arguments.events.iter().map(String::as_str).collect(),
            sent: 0,
            failed: Vec::new(),
        };
        let began = Timestamp::now();
        for function in &functions {
            let mut taker = Taker::new(&entered.aws, function, HIDDEN, began);
            if let Err(error) = redrive.function(function, &mut taker).await {
                redrive.failed.push(format!("what {} has left: {error:#}", function.name));
            }
            if let Err(error) = taker.finish(&entered).await {
                let note = Paint::for_stderr().notice("note:");
                complain(&format!("{note} the dead letters of {} that were not sent: {error:#}", function.name));
            }
        }
        Ok(redrive.told())
    })
}

/// Dead letters on their way back, and what became of them.
#[derive(Debug)]
struct Redrive<'a> {
    arguments: &'a Arguments,
    entered: &'a Entered,
    /// Events that were named and not met yet.
    missing: BTreeSet<&'a str>,
    sent: usize,
    /// What could not be sent, and why.
    failed: Vec<String>,
}

impl Redrive<'_> {
    /// Sends what is meant of one function's dead letters.
    async fn function(&mut self, function: &FunctionParts, taker: &mut Taker) -> anyhow::Result<()> {
        let queue = Queue::new(&self.entered.aws, &function.queue);
        let by_name = !self.arguments.events.is_empty();
        loop {
            if by_name && self.missing.is_empty() {
                return Ok(());
            }
            let letters = taker.next(self.entered).await?;
            if letters.is_empty() {
                return Ok(());
            }
            let mut letters = letters.into_iter();
            while let Some(letter) = letters.next() {
                let ids = [letter.id().to_owned(), letter.message.id.clone()];
                if by_name && !self.arguments.events.iter().any(|id| ids.contains(id)) {
                    taker.hold(letter);
                    continue;
                }
                self.missing.retain(|id| !ids.iter().any(|known| known == id));
                if let Err(error) = self.one(function, &queue, taker, letter).await {
                    letters.for_each(|letter| taker.hold(letter));
                    return Err(error);
                }
            }
        }
    }

    /// Sends one; an error means that the others would fare no better.
    async fn one(
        &mut self,
        function: &FunctionParts,
        queue: &Queue,
        taker: &mut Taker,
        letter: DeadLetter,
    ) -> anyhow::Result<()> {
        let told = format!("{:>10}  {}  {}", function.name, letter.id(), letter.summary);
        if self.arguments.dry_run {
            self.sent += 1;
            tell(&told);
            taker.hold(letter);
            return Ok(());
        }
        // Sent before it is deleted: whatever ends this in between leaves it in both places, never in none.
        let again = letter.message.clone().without(&UNDELIVERED);
        if let Err(failure) = queue.send_again(&again).await {
            let is_forbidden = failure.is_forbidden();
            let told = self.entered.or_told::<()>(Err(failure));
            let id = letter.id().to_owned();
            taker.hold(letter);
            if is_forbidden {
                return told;
            }
            self.failed.extend(told.err().map(|error| format!("{id}: {error:#}")));
            return Ok(());
        }
        self.sent += 1;
        tell(&told);
        if let Err(error) = self.entered.or_told(taker.queue().delete(&letter.message.receipt).await) {
            let id = letter.id();
            self.failed
                .push(format!("{id} was sent, and is a dead letter still (sent twice it is done once): {error:#}"));
            taker.hold(letter);
        }
        Ok(())
    }

    fn told(&self) -> Outcome {
        let (paint, sent) = (Paint::for_stdout(), self.sent);
        if self.arguments.dry_run {
            tell(&format!("dry run: {sent} would be sent again; nothing was sent"));
        } else {
            tell(&format!("{} {sent} sent again; `signalbox status` tells how they fare", paint.good("done:")));
        }
        for id in &self.missing {
            let bad = paint.bad("not found:");
            tell(&format!("{bad} {id} is no dead letter; if it is finished, --again runs it once more"));
        }
        for what in &self.failed {
            complain(&format!("{} {what}", Paint::for_stderr().bad("not sent:")));
        }
        if self.missing.is_empty() && self.failed.is_empty() { Outcome::Good } else { Outcome::Bad }
    }
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
        if let Err(error) = again(arguments, entered, &bucket, functions, id).await {
            complain(&format!("{} {error:#}", Paint::for_stderr().bad("not sent:")));
            outcome = Outcome::Bad;
        }
    }
    Ok(outcome)
}

/// Finds the function that knows an event, and has it run the event once more.
async fn again(
    arguments: &Arguments,
    entered: &Entered,
    bucket: &Bucket,
    functions: &[FunctionParts],
    id: &str,
) -> anyhow::Result<()> {
    let event = EventId::parse(id).with_context(|| format!("`{id}` is no event id"))?;
    let mut known = Vec::new();
    for function in functions {
        let ledger = Ledger::new(bucket.clone(), &function.name);
        if entered.or_told(ledger.read(&event).await)?.is_some() {
            known.push((function, ledger));
        }
    }
    match known.as_slice() {
        [(function, ledger)] => once_more(arguments, entered, function, ledger, &event).await,
        [] => bail!(
            "the ledger knows no event {id}: nothing was to be done for it, or it is longer ago than the ledger is kept"
        ),
        several => {
            let names: Vec<&str> = several.iter().map(|(function, _)| function.name.as_str()).collect();
            bail!("{id} was handled by {}; name the function that shall run it once more", names.join(" and "))
        }
    }
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
