//! The inbox as pages: plain HTML that needs no script, escapes everything and links only to the web.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use hyper::header::HeaderValue;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use super::inbox::Inbox;
use super::mail::Mail;
use crate::http::{Response, whole};

/// How many mails the list shows; older ones are files still.
const MOST_SHOWN: usize = 500;

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1c2128;--dim:#59636e;--line:#d1d9e0;--back:#fff;--soft:#f6f8fa;--link:#0757ba}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--dim:#9aa4af;--line:#3a424b;--back:#12161b;--soft:#1a2027;--link:#79b4ff}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}
main{max-width:60rem;margin:0 auto;padding:1.5rem 1rem 3rem}
h1{font-size:1.4rem;line-height:1.3;margin:.25rem 0 1rem;overflow-wrap:anywhere}
p{margin:.5rem 0}
a{color:var(--link)}
.dim,th,time{color:var(--dim)}
table{width:100%;border-collapse:collapse}
th,td{text-align:left;vertical-align:top;padding:.55rem .75rem .55rem 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
th{font-size:.85rem;font-weight:600}
time{white-space:nowrap;font-variant-numeric:tabular-nums}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;margin:0 0 1rem}
dt{color:var(--dim)}
dd{margin:0;overflow-wrap:anywhere}
pre{margin:0;padding:1rem;background:var(--soft);border:1px solid var(--line);border-radius:.4rem;white-space:pre-wrap;overflow-wrap:anywhere;font:.9rem/1.5 ui-monospace,monospace}
@media(max-width:40rem){thead{display:none}tr{display:block;padding:.6rem 0;border-bottom:1px solid var(--line)}td{display:block;padding:0;border:0}td.subject{font-weight:600}td.to,td.at{font-size:.9rem}}
";

/// The page at a path, if it is one of ours.
pub(super) fn page(inbox: &Inbox, path: &str) -> Option<Response> {
    match path {
        "/" => {
            let mut response = html(StatusCode::FOUND, "Inbox", "<p><a href=\"/inbox\">Inbox</a></p>");
            response.headers_mut().insert("location", HeaderValue::from_static("/inbox"));
            Some(response)
        }
        "/inbox" | "/inbox/" => {
            let mails = inbox.mails();
            let mails: Vec<&Mail> = mails.iter().rev().map(AsRef::as_ref).collect();
            Some(html(StatusCode::OK, "Inbox", &render_list(&mails)))
        }
        _ => {
            let id = path.strip_prefix("/inbox/")?;
            let found = id.parse().ok().and_then(|id| inbox.mail(id));
            Some(match found {
                Some(mail) => html(StatusCode::OK, &mail.subject, &render_mail(&mail)),
                None => html(
                    StatusCode::NOT_FOUND,
                    "No such mail",
                    "<p><a href=\"/inbox\">Inbox</a></p><h1>No such mail</h1><p>It may have been in another folder's inbox.</p>",
                ),
            })
        }
    }
}

fn render_list(mails: &[&Mail]) -> String {
    if mails.is_empty() {
        return "<h1>Inbox</h1><p class=\"dim\">No mail yet. It comes when something is published to a topic with an e-mail subscription; load this page again to see.</p>".to_owned();
    }
    let rows: String = mails
        .iter()
        .take(MOST_SHOWN)
        .map(|mail| {
            format!(
                "<tr><td class=\"to\">{}</td><td class=\"subject\"><a href=\"/inbox/{}\">{}</a></td><td class=\"at\">{}</td></tr>",
                escape(&mail.to),
                mail.id,
                escape(&mail.subject),
                time(mail.received)
            )
        })
        .collect();
    let older = match mails.len().saturating_sub(MOST_SHOWN) {
        0 => String::new(),
        older => format!("<p class=\"dim\">{older} older mails are in the folder <code>inbox</code>.</p>"),
    };
    format!(
        "<h1>Inbox</h1><table><thead><tr><th scope=\"col\">To</th><th scope=\"col\">Subject</th><th scope=\"col\">Received</th></tr></thead><tbody>{rows}</tbody></table>{older}"
    )
}

fn render_mail(mail: &Mail) -> String {
    let attributes: String = mail
        .attributes
        .iter()
        .map(|(name, value)| format!("<dt>{}</dt><dd>{}</dd>", escape(name), escape(value.text())))
        .collect();
    format!(
        "<p><a href=\"/inbox\">Inbox</a></p><h1>{}</h1><dl><dt>To</dt><dd>{}</dd><dt>Received</dt><dd>{}</dd>{attributes}</dl><pre>{}</pre>",
        escape(&mail.subject),
        escape(&mail.to),
        time(mail.received),
        link(&mail.body)
    )
}

fn time(at: Timestamp) -> String {
    let shown = at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S UTC");
    format!("<time datetime=\"{at}\">{shown}</time>")
}

/// Text with everything escaped, and what begins with http:// or https:// made a link.
fn link(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = ["http://", "https://"].iter().filter_map(|scheme| rest.find(scheme)).min() {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(&escape(before));
        let end = from
            .find(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | '`' | '\''))
            .unwrap_or(from.len());
        let (word, _) = from.split_at_checked(end).unwrap_or((from, ""));
        // What closes the sentence is not part of the address.
        let url = word.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '}']);
        rest = from.get(url.len()..).unwrap_or_default();
        let url = escape(url);
        out.push_str(&format!("<a href=\"{url}\" rel=\"noopener noreferrer\" target=\"_blank\">{url}</a>"));
    }
    out.push_str(&escape(rest));
    out
}

fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
        out
    })
}

fn html(status: StatusCode, title: &str, main: &str) -> Response {
    let text = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{} - Signalbox</title><style>{STYLE}</style></head><body><main>{main}</main></body></html>",
        escape(title)
    );
    // The hash lets this one style in and nothing else: no script, no image, no form, no frame.
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        STANDARD.encode(Sha256::digest(STYLE))
    );
    let mut response = Response::new(whole(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    headers.insert("cache-control", HeaderValue::from_static("no-store"));
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert("content-security-policy", policy);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_become_links_and_nothing_gets_out_of_them() {
        assert_eq!(
            link("see https://example.com/a?b=1&c=2."),
            "see <a href=\"https://example.com/a?b=1&amp;c=2\" rel=\"noopener noreferrer\" target=\"_blank\">https://example.com/a?b=1&amp;c=2</a>."
        );
        assert_eq!(link("javascript:alert(1) <b>"), "javascript:alert(1) &lt;b&gt;");
        let hostile = link("http://x\"onclick=\"alert(1) https://y'><script>");
        assert!(!hostile.contains("<script"), "{hostile}");
        assert!(hostile.contains("<a href=\"http://x\" "), "{hostile}");
        assert_eq!(link("(http://a) http://b").matches("<a ").count(), 2);
        assert!(link("https://...").contains("</a>..."));
    }
}
