//! `signalbox report bypass`: why somebody went past a protection.

use anyhow::{Context, bail};
use jiff::Timestamp;
use signalbox_aws::Bucket;
use signalbox_events::EventId;
use signalbox_ledger::{Gave, GivenReason, Ledger, ReasonText, Reasons};

use super::item::{Became, Read};
use super::{PROTECTOR, plain};
use crate::command::account::AccountArguments;
use crate::command::{Outcome, Paint, block_on, tell};

/// Tell why a protection was bypassed; the mail about it names the event. What is told once stands.
///
/// It is kept in the stack's bucket beside the ledger, with the ARN that AWS gives for your credentials.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes:\n  0  the reason is kept\n  1  it is not: there is no such bypass, a reason was given before, no way into the \
                  account\n  2  wrong usage"
)]
pub(super) struct Arguments {
    /// The event of the bypass, as the mail and `signalbox report protections` name it.
    #[arg(value_name = "EVENT-ID")]
    event: String,
    /// Why it was necessary, in a sentence or two.
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: ReasonText,
    #[command(flatten)]
    account: AccountArguments,
}

fn reason(text: &str) -> Result<ReasonText, String> {
    ReasonText::parse(text).map_err(|error| error.to_string())
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    block_on(give(arguments))
}

async fn give(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let event =
        EventId::parse(arguments.event.as_str()).with_context(|| format!("{:?} is no event id", arguments.event))?;
    let entered = arguments.account.enter().await?;
    let installed = entered.installed().await?;
    let bucket = Bucket::new(&entered.aws, installed.bucket()?);
    let entry = entered.or_told(Ledger::new(bucket.clone(), PROTECTOR).read(&event).await)?;
    let Some(entry) = entry else {
        bail!(
            "the protector's ledger knows no event {event}: `signalbox report protections` lists the bypasses that it knows"
        );
    };
    let item = match Read::of(&entry) {
        Read::Item(item) if item.became == Became::Bypassed => item,
        _ => {
            let verdict = entry
                .report
                .map_or_else(|| "is not finished".to_owned(), |report| format!("ended as: {}", report.verdict));
            bail!("{event} is no bypass, it {verdict}");
        }
    };
    let given = GivenReason {
        event: event.clone(),
        reason: arguments.reason.clone(),
        by: entered.identity.arn.clone(),
        at: Timestamp::now(),
    };
    let what = format!(
        "{} of {} by {}",
        item.reference.as_deref().map(plain).unwrap_or_default(),
        item.repository.as_deref().map(plain).unwrap_or_default(),
        item.by.as_deref().map_or_else(|| "nobody knows whom".to_owned(), plain)
    );
    match entered.or_told(Reasons::new(bucket).give(&given).await)? {
        Gave::Written => {
            tell(&format!(
                "{} the reason for {event} ({what}) is kept, given by {}",
                Paint::for_stdout().good("done:"),
                given.by
            ));
            Ok(Outcome::Good)
        }
        Gave::Before(there) => bail!(
            "{event} ({what}) has a reason, given by {} at {}: {}",
            plain(&there.by),
            there.at,
            plain(there.reason.as_str())
        ),
    }
}
