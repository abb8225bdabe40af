//! The page of one mail.

use std::sync::Arc;

use super::super::mail::Mail;
use super::text::{escape, link};
use super::{Page, full_time};

pub(super) fn page(mail: &Mail, all: &[Arc<Mail>], here: &str) -> Page {
    let newer = all.iter().find(|other| other.id > mail.id).map(|other| other.id);
    let older = all.iter().rev().find(|other| other.id < mail.id).map(|other| other.id);
    let to =
        |id: Option<u64>, word: &str| id.map(|id| format!("<a href=\"/inbox/{id}\">{word}</a>")).unwrap_or_default();
    let attributes: String = mail
        .attributes
        .iter()
        .map(|(name, value)| format!("<dt>{}</dt><dd>{}</dd>", escape(name), escape(value.text())))
        .collect();
    let attributes = format!(
        "<details><summary>Where it comes from</summary><dl><dt>Topic</dt><dd><code>{}</code></dd><dt>Subscription</dt><dd><code>{}</code></dd><dt>Message</dt><dd><code>{}</code></dd>{attributes}</dl></details>",
        escape(&mail.topic),
        escape(&mail.subscription),
        escape(&mail.message_id)
    );
    let main = format!(
        "<nav><a href=\"/inbox\">&larr; Inbox</a><a href=\"/inbox/{}.eml\">Raw mail</a><span class=\"end\">{}{}</span></nav>\
         <h1>{}</h1><dl><dt>From</dt><dd>{}</dd><dt>To</dt><dd>{}</dd><dt>Received</dt><dd>{}</dd></dl>\
         <article><pre>{}</pre><pre>{}</pre></article>{attributes}",
        mail.id,
        to(newer, "Newer"),
        to(older, "Older"),
        escape(&mail.subject),
        escape(&mail.sender()),
        escape(&mail.to),
        full_time(mail.received),
        link(mail.body.trim_end(), here),
        link(&mail.footer, here)
    );
    Page::new(&mail.subject, main)
}
