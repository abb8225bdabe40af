//! The list of all mail, newest first.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::super::mail::Mail;
use super::text::escape;
use super::{Page, Query, full_time};

/// How many mails a page shows.
const SHOWN: usize = 50;

/// How many addresses are offered to choose from; others can be searched for.
const ADDRESSES: usize = 12;

/// How many characters of a mail's text the list shows.
const SNIPPET: usize = 160;

/// After how many seconds the list is loaded again, while nobody searches.
const REFRESH: u32 = 10;

pub(super) fn page(all: &[Arc<Mail>], query: &Query) -> Page {
    let (to, words) = (query.get("to"), query.get("q"));
    let before: Option<u64> = query.get("before").parse().ok();
    let found: Vec<&Mail> = all
        .iter()
        .rev()
        .map(AsRef::as_ref)
        .filter(|mail| (to.is_empty() || mail.to == to) && has(mail, words))
        .collect();
    let behind = found.iter().filter(|mail| before.is_none_or(|before| mail.id < before));
    let shown: Vec<&&Mail> = behind.clone().take(SHOWN).collect();
    let older = match shown.last() {
        Some(last) if behind.count() > SHOWN => {
            format!("<p><a href=\"{}\">Older mail &rarr;</a></p>", address(to, words, Some(last.id), ""))
        }
        _ => String::new(),
    };
    let live = words.is_empty() && before.is_none() && query.get("live") != "off";
    let main = if all.is_empty() {
        "<div class=\"empty\"><h1>No mail yet</h1><p>It comes when something is published to a topic with an e-mail subscription.<br>This page looks again by itself.</p></div>".to_owned()
    } else {
        let rows = if shown.is_empty() {
            "<div class=\"empty\"><p>No mail fits.</p><p><a href=\"/inbox\">Show all</a></p></div>".to_owned()
        } else {
            let now = Timestamp::now().to_zoned(TimeZone::UTC);
            let rows: String = shown.iter().map(|mail| row(mail, &now)).collect();
            format!("<ul class=\"mails\">{rows}</ul>{older}")
        };
        format!("{}{}{rows}", bar(found.len(), to, words, live), addresses(all, to, words))
    };
    let title = format!("Inbox ({})", found.len());
    let refresh = live.then_some(REFRESH);
    Page { search: (words.to_owned(), to.to_owned()), refresh, ..Page::new(&title, main) }
}

fn has(mail: &Mail, words: &str) -> bool {
    let text = || format!("{}\n{}\n{}", mail.subject, mail.to, mail.body).to_lowercase();
    words.is_empty() || {
        let text = text();
        words.to_lowercase().split_whitespace().all(|word| text.contains(word))
    }
}

fn address(to: &str, words: &str, before: Option<u64>, live: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in [("to", to), ("q", words), ("live", live)] {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    if let Some(before) = before {
        query.append_pair("before", &before.to_string());
    }
    let query = query.finish();
    if query.is_empty() { "/inbox".to_owned() } else { format!("/inbox?{}", escape(&query)) }
}

fn bar(count: usize, to: &str, words: &str, live: bool) -> String {
    let what = match (count, words) {
        (1, "") => "1 mail".to_owned(),
        (count, "") => format!("{count} mails"),
        (count, words) => format!("{count} found for &ldquo;{}&rdquo;", escape(words)),
    };
    let hint = match (live, words) {
        (true, _) => {
            format!("Looks again every {REFRESH} s &middot; <a href=\"{}\">stop</a>", address(to, words, None, "off"))
        }
        (false, "") => format!("<a href=\"{}\">Newest, and look again by itself</a>", address(to, "", None, "")),
        (false, _) => format!("<a href=\"{}\">Clear the search</a>", address(to, "", None, "")),
    };
    format!("<div class=\"bar\"><h1>{what}</h1><span class=\"dim small\">Times in UTC &middot; {hint}</span></div>")
}

fn addresses(all: &[Arc<Mail>], to: &str, words: &str) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for mail in all {
        *counts.entry(&mail.to).or_default() += 1;
    }
    if counts.len() < 2 && to.is_empty() {
        return String::new();
    }
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(address, count)| (*address != to, std::cmp::Reverse(*count)));
    let more = counts.len().saturating_sub(ADDRESSES);
    let chip = |name: &str, value: &str, count: usize| {
        let current = if value == to { " aria-current=\"true\"" } else { "" };
        format!(
            "<li><a href=\"{}\"{current}>{}<small>{count}</small></a></li>",
            address(value, words, None, ""),
            escape(name)
        )
    };
    let chips: String = counts.iter().take(ADDRESSES).map(|(address, count)| chip(address, address, *count)).collect();
    let more = if more > 0 { format!("<li class=\"dim small\">and {more} more</li>") } else { String::new() };
    format!("<ul class=\"chips\">{}{chips}{more}</ul>", chip("Everyone", "", all.len()))
}

fn row(mail: &Mail, now: &Zoned) -> String {
    let snippet: String =
        mail.body.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let snippet: String = snippet.chars().take(SNIPPET).collect();
    let at = mail.received.to_zoned(TimeZone::UTC);
    let short = if at.date() == now.date() {
        at.strftime("%H:%M")
    } else if at.year() == now.year() {
        at.strftime("%-d %b")
    } else {
        at.strftime("%Y-%m-%d")
    };
    format!(
        "<li><a href=\"/inbox/{}\"><span class=\"to\">{}</span><span class=\"subject\">{}</span><time datetime=\"{}\" title=\"{}\">{short}</time><span class=\"snippet\">{}</span></a></li>",
        mail.id,
        escape(&mail.to),
        escape(&mail.subject),
        mail.received,
        full_time(mail.received),
        escape(&snippet)
    )
}
