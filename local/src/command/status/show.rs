//! The status as text.

use jiff::Timestamp;

use super::log::EventStatus;
use super::{DeadLetterStatus, FunctionStatus, MailStatus, PolicyStatus, Status};
use crate::command::{Paint, tell};

pub(super) fn show(status: &Status, paint: Paint) {
    let stack = &status.stack;
    let changed = stack.changed.map(|at| format!(", changed {}", time(at))).unwrap_or_default();
    let place = format!("{} in account {}, region {}{changed}", stack.status, stack.account, stack.region);
    tell(&format!("{} {place}", paint.headline(&format!("stack {}", stack.name))));
    let in_force = status.policy.as_ref().map_or_else(|| NOT_KNOWN.to_owned(), policy);
    tell(&format!("{} {in_force}", paint.headline("policy")));
    functions(&status.functions, paint);
    dead_letters(&status.functions, paint);
    last_events(&status.functions, paint);
    mail(status.mail.as_deref(), paint);
    for what in &status.unseen {
        tell(&format!("{} {what}", paint.notice("not seen:")));
    }
    tell("");
    if status.attention.is_empty() {
        tell(&if status.unseen.is_empty() {
            format!("{} nothing needs you", paint.good("good:"))
        } else {
            format!("{} not everything could be looked at, see above", paint.notice("not known:"))
        });
    }
    for what in &status.attention {
        tell(&format!("{} {what}", paint.bad("needs you:")));
    }
}

/// Said of what could not be looked at; why, stands below.
const NOT_KNOWN: &str = "not known";

fn mail(mail: Option<&[MailStatus]>, paint: Paint) {
    let headline = paint.headline("mail");
    let Some(mail) = mail else {
        tell(&format!("\n{headline} {NOT_KNOWN}"));
        return;
    };
    let pending: Vec<&str> = mail.iter().filter(|one| !one.is_confirmed).map(|one| one.endpoint.as_str()).collect();
    tell(&format!("\n{headline} {} of {} subscribers get mail", mail.len() - pending.len(), mail.len()));
    for endpoint in pending {
        let waits = paint.notice("not confirmed:");
        tell(&format!("  {waits} {endpoint} gets nothing before the link in AWS's mail is followed"));
    }
}

fn policy(policy: &PolicyStatus) -> String {
    if !policy.in_force {
        return "none is in force: it only observes, and mails everyone about everything; see `signalbox apply --help`"
            .to_owned();
    }
    let mode = policy.mode.unwrap_or("with problems");
    let version = policy.version.as_deref().map(|version| format!(", version {version}")).unwrap_or_default();
    let written = policy.written.map(|at| format!(", since {}", time(at))).unwrap_or_default();
    let writer = policy.writer.as_deref().map(|writer| format!(", by {writer}")).unwrap_or_default();
    format!(
        "{mode}: {}, {}, {}{version}{written}{writer}",
        count(policy.repositories, "repository section"),
        count(policy.triggers, "trigger"),
        count(policy.notification_rules, "notification rule")
    )
}

fn functions(functions: &[FunctionStatus], paint: Paint) {
    let head = format!("{:<12}{:>9}{:>11}{:>9}{:>14}", "function", "waiting", "in flight", "delayed", "dead letters");
    tell(&format!("\n{}", paint.headline(&head)));
    for one in functions {
        let number = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
        let dead = format!("{:>14}", number(one.dead_letters));
        let dead = if one.dead_letters == Some(0) { dead } else { paint.bad(&dead) };
        let queue = one.queue.as_ref();
        let [waiting, in_flight, delayed] = [
            number(queue.map(|queue| queue.waiting)),
            number(queue.map(|queue| queue.in_flight)),
            number(queue.map(|queue| queue.delayed)),
        ];
        tell(&format!("{:<12}{waiting:>9}{in_flight:>11}{delayed:>9}{dead}", one.name));
    }
}

fn dead_letters(functions: &[FunctionStatus], paint: Paint) {
    let letters: Vec<(&str, &DeadLetterStatus)> =
        functions.iter().flat_map(|one| of(one, one.newest_dead_letters.as_deref())).collect();
    if letters.is_empty() {
        return;
    }
    tell(&format!("\n{}", paint.headline("the newest dead letters")));
    for (name, letter) in letters {
        let sent = letter.sent.map(time).unwrap_or_default();
        tell(&format!("  {name}  {sent}  {}  {}", paint.bad(&letter.event), letter.summary));
        tell(&format!("    {} {}", paint.dim("because"), letter.reason));
        tell(&format!("    {}    {}", paint.dim("then"), letter.what_to_do));
    }
}

fn last_events(functions: &[FunctionStatus], paint: Paint) {
    let mut events: Vec<(&str, &EventStatus)> =
        functions.iter().flat_map(|one| of(one, one.last_events.as_deref())).collect();
    events.sort_by_key(|(_, event)| std::cmp::Reverse(event.at));
    tell(&format!("\n{}", paint.headline("the last events")));
    let unknown: Vec<&str> =
        functions.iter().filter(|one| one.last_events.is_none()).map(|one| one.name.as_str()).collect();
    if !unknown.is_empty() {
        tell(&format!("  {NOT_KNOWN} of {}", unknown.join(", ")));
    } else if events.is_empty() {
        tell("  none yet");
    }
    for (name, event) in events {
        let outcome = match event.outcome.as_str() {
            "handled" => event.verdict.clone(),
            other => other.to_owned(),
        };
        let outcome = format!("{outcome:<14}");
        let outcome = if event.outcome == "handled" { paint.good(&outcome) } else { paint.notice(&outcome) };
        tell(&format!("  {}  {name:<10}{outcome} {}  {}", time(event.at), event.event, event.told));
    }
    for (name, sweep) in functions.iter().filter_map(|one| Some((&one.name, one.last_sweep.as_ref()?))) {
        let swept = paint.dim("sweep");
        let how = if sweep.left_something() { "left something" } else { "found nothing" };
        tell(&format!("  {swept} the last one of {name} {how}: {}", time(sweep.at)));
    }
}

/// Each with the function's name.
fn of<'a, T>(function: &'a FunctionStatus, all: Option<&'a [T]>) -> impl Iterator<Item = (&'a str, &'a T)> {
    all.unwrap_or_default().iter().map(|one| (function.name.as_str(), one))
}

fn count(count: usize, what: &str) -> String {
    match (count, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        _ => format!("{count} {what}s"),
    }
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
