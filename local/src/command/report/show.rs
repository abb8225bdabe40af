//! The report as text.

use jiff::Timestamp;

use super::item::{Became, Item};
use super::plain;
use super::protections::{Bypass, PersonRow, Report, RuleRow};
use crate::command::{Paint, tell};

/// Findings of one move that are shown.
const MOST_FINDINGS: usize = 3;
/// Names that are listed in one line.
const MOST_NAMED: usize = 4;

pub(super) fn show(report: &Report, most: usize, paint: Paint) {
    let headline = paint.headline(&format!("protections of stack {}", report.stack));
    let place = format!("account {}, region {}", report.account, report.region);
    tell(&format!("{headline} in {place}, from {} to {} UTC", time(report.from), time(report.to)));
    let quiet = match report.quiet {
        0 => String::new(),
        quiet => format!(", {quiet} of them of moves that nothing forbids"),
    };
    tell(&format!("{} entries of the ledger were looked at{quiet}", report.entries));
    rules(&report.rules, paint);
    people(&report.people, paint);
    moves(report, most, paint);
    bypasses(&report.bypasses, paint);
    failed(&report.failed, paint);
    for what in &report.unseen {
        tell(&format!("{} {}", paint.notice("not seen:"), plain(what)));
    }
    tell("");
    let open = report.bypasses.iter().filter(|bypass| bypass.reason.is_none()).count();
    if open > 0 {
        tell(&format!("{} {open} bypasses have no reason yet", paint.bad("needs you:")));
    }
    if !report.failed.is_empty() {
        let count = report.failed.len();
        tell(&format!("{} {count} moves could not be judged, or not be put back", paint.bad("needs you:")));
    }
    if open == 0 && report.failed.is_empty() {
        tell(&match report.unseen.is_empty() {
            true => format!("{} nothing is open", paint.good("good:")),
            false => format!("{} not everything could be looked at, see above", paint.notice("not known:")),
        });
    }
}

fn rules(rows: &[RuleRow], paint: Paint) {
    if rows.is_empty() {
        tell("\nno move broke a protection");
        return;
    }
    let width = |of: fn(&RuleRow) -> &str, least: usize| {
        rows.iter().map(|row| plain(of(row)).chars().count()).max().unwrap_or_default().max(least)
    };
    let repository = width(|row| &row.repository, 10);
    let protection = width(|row| &row.protection, 10);
    let rule = width(|row| &row.rule, 4);
    let head = format!(
        "{:<repository$}  {:<protection$}  {:<rule$}  {:>13}  {:>8}  {:>4}  {:>8}  {:>6}  refs",
        "repository", "protection", "rule", "would restore", "restored", "left", "bypassed", "failed"
    );
    tell(&format!("\n{}", paint.headline(&head)));
    for row in rows {
        let refs: Vec<String> = row.refs.iter().map(|name| short(name)).collect();
        tell(&format!(
            "{:<repository$}  {:<protection$}  {:<rule$}  {:>13}  {:>8}  {:>4}  {:>8}  {:>6}  {}",
            plain(&row.repository),
            plain(&row.protection),
            plain(&row.rule),
            row.would_restore,
            row.restored,
            row.left,
            row.bypassed,
            row.failed,
            named(&refs)
        ));
    }
}

fn people(rows: &[PersonRow], paint: Paint) {
    if rows.is_empty() {
        return;
    }
    tell(&format!("\n{}", paint.headline("who")));
    for row in rows.iter().take(20) {
        let by = row.by.as_deref().map_or_else(|| "nobody knows who".to_owned(), plain);
        let bypassed = if row.bypassed > 0 { format!(", {} of them bypasses", row.bypassed) } else { String::new() };
        tell(&format!("{:>5}  {by}{bypassed}", row.moves));
    }
    if rows.len() > 20 {
        tell(&format!("       ... and {} more", rows.len() - 20));
    }
}

fn moves(report: &Report, most: usize, paint: Paint) {
    let shown = report.moves.iter().filter(|item| !matches!(item.became, Became::Failed | Became::Bypassed));
    let (shown, count): (Vec<&Item>, usize) = (shown.clone().take(most).collect(), shown.count());
    if shown.is_empty() {
        return;
    }
    tell(&format!("\n{}", paint.headline("moves, newest first")));
    for item in shown {
        let became = match item.became {
            Became::WouldRestore => "would be put back",
            Became::Restored => "was put back",
            _ => "was left",
        };
        tell(&format!("{}  {} {}", time(item.at), place(item), paint.notice(became)));
        broken(item, paint);
        if let Some(kept) = &item.kept {
            tell(&format!("    {} {}", paint.dim("kept as"), plain(kept)));
        }
    }
    if count > most {
        tell(&format!("... and {} more; --moves shows them, --json has all", count - most));
    }
}

fn broken(item: &Item, paint: Paint) {
    for broken in item.broken.iter().take(MOST_FINDINGS) {
        tell(&format!("    {} {}", paint.dim("because"), plain(&broken.told)));
    }
    if item.broken.len() > MOST_FINDINGS {
        tell(&format!("            ... and {} more", item.broken.len() - MOST_FINDINGS));
    }
}

fn bypasses(all: &[Bypass], paint: Paint) {
    if all.is_empty() {
        return;
    }
    tell(&format!("\n{}", paint.headline("bypasses, newest first")));
    for bypass in all {
        tell(&format!("{}  {}", time(bypass.item.at), place(&bypass.item)));
        broken(&bypass.item, paint);
        match &bypass.reason {
            Some(given) => {
                let who = format!("{} at {}", plain(&given.by), time(given.at));
                tell(&format!("    {} {} ({who})", paint.good("reason:"), plain(given.reason.as_str())));
            }
            None => {
                let how = format!("signalbox report bypass {} --reason '...'", plain(&bypass.item.event));
                tell(&format!("    {} {how}", paint.bad("no reason:")));
            }
        }
    }
}

fn failed(items: &[Item], paint: Paint) {
    if items.is_empty() {
        return;
    }
    tell(&format!("\n{}", paint.headline("not judged, or not put back")));
    for item in items {
        tell(&format!("{}  {} (in the ledger as {})", time(item.at), place(item), plain(&item.event)));
        broken(item, paint);
        for why in &item.why {
            tell(&format!("    {} {}", paint.dim("because"), plain(why)));
        }
    }
}

fn place(item: &Item) -> String {
    let reference = item.reference.as_deref().map_or_else(|| "the sweep".to_owned(), short);
    let repository = item.repository.as_deref().map(|name| format!(" of {}", plain(name))).unwrap_or_default();
    let by = item.by.as_deref().map(|by| format!(" by {}", plain(by))).unwrap_or_default();
    format!("{reference}{repository}{by}")
}

fn short(reference: &str) -> String {
    plain(reference.strip_prefix("refs/heads/").or_else(|| reference.strip_prefix("refs/")).unwrap_or(reference))
}

fn named(names: &[String]) -> String {
    let shown = names.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > MOST_NAMED { format!("{shown} and {} more", names.len() - MOST_NAMED) } else { shown }
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}
