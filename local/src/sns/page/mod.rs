//! The inbox as pages: plain HTML that needs no script, escapes everything and links only to the web.

mod letter;
mod list;
mod text;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use hyper::{StatusCode, Uri};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use self::text::escape;
use super::Sns;
use super::subscriptions::Confirmation;
use crate::error::Answer;
use crate::http::{Response, whole};

const STYLE: &str = include_str!("style.css");

/// The fields behind the `?` of an address.
struct Query(Vec<(String, String)>);

impl Query {
    fn of(uri: &Uri) -> Self {
        Self(form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// A field; the empty text where it is not there.
    fn get(&self, name: &str) -> &str {
        self.0.iter().find_map(|(key, value)| (key == name).then_some(value.as_str())).unwrap_or_default()
    }
}

/// The inside of a page.
struct Page {
    status: StatusCode,
    title: String,
    main: String,
    /// What was searched for, to stand in the field again, and for whose mail.
    search: (String, String),
    /// After how many seconds the browser loads it again.
    refresh: Option<u32>,
}

impl Page {
    fn new(title: &str, main: String) -> Self {
        Self { status: StatusCode::OK, title: title.to_owned(), main, search: Default::default(), refresh: None }
    }

    /// A page that says one thing.
    fn note(status: StatusCode, title: &str, text: &str) -> Self {
        let main = format!(
            "<div class=\"empty\"><h1>{}</h1><p>{text}</p><p><a href=\"/inbox\">To the inbox</a></p></div>",
            escape(title)
        );
        Self { status, ..Self::new(title, main) }
    }
}

/// The page at an address, if it is one of ours.
pub(super) fn page(sns: &Sns, uri: &Uri) -> Option<Response> {
    let query = Query::of(uri);
    let page = match (uri.path(), query.get("Action")) {
        ("/", "ConfirmSubscription") | ("/confirmation.html", _) => confirm(sns, &query),
        ("/", "Unsubscribe") | ("/unsubscribe.html", _) => unsubscribe(sns, &query),
        ("/", "") => {
            let mut response = respond(Page::note(StatusCode::FOUND, "Inbox", "It is elsewhere."));
            response.headers_mut().insert("location", HeaderValue::from_static("/inbox"));
            return Some(response);
        }
        ("/inbox" | "/inbox/", _) => list::page(&sns.inbox.mails(), &query),
        (path, _) => {
            let name = path.strip_prefix("/inbox/")?;
            let (number, is_file) = name.strip_suffix(".eml").map_or((name, false), |number| (number, true));
            match number.parse().ok().and_then(|id| sns.inbox.mail(id)) {
                Some(mail) if is_file => return Some(file(&mail.render())),
                Some(mail) => letter::page(&mail, &sns.inbox.mails(), &sns.world.pages()),
                None => Page::note(
                    StatusCode::NOT_FOUND,
                    "No such mail",
                    "There is no mail of this number here. It may have been in another folder's inbox.",
                ),
            }
        }
    };
    Some(respond(page))
}

/// What a click on a link did.
fn outcome(done: Answer<Page>, title: &str) -> Page {
    done.unwrap_or_else(|refused| Page::note(StatusCode::BAD_REQUEST, title, &escape(&refused.message)))
}

fn confirm(sns: &Sns, query: &Query) -> Page {
    let topic = query.get("TopicArn");
    let confirmed = sns.confirm(topic, query.get("Token"), &Confirmation::Given).map(|arn| {
        let text = format!(
            "Messages of <code>{}</code> come to this inbox from now on.</p><p class=\"small\">The subscription's id is <code>{}</code>.",
            escape(topic),
            escape(&arn)
        );
        Page::note(StatusCode::OK, "Subscription confirmed", &text)
    });
    outcome(confirmed, "This link does not confirm anything")
}

fn unsubscribe(sns: &Sns, query: &Query) -> Page {
    let removed = sns.unsubscribe_by_link(query.get("SubscriptionArn")).map(|topic| {
        let text = format!("Messages of <code>{}</code> do not come here any more.", escape(&topic));
        Page::note(StatusCode::OK, "Subscription removed", &text)
    });
    outcome(removed, "This link does not remove anything")
}

fn full_time(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y, %H:%M:%S UTC").to_string()
}

/// A mail as its file, for a mail program.
fn file(text: &str) -> Response {
    let mut response = Response::new(whole(text.to_owned()));
    response.headers_mut().insert("content-type", HeaderValue::from_static("message/rfc822"));
    guard(response)
}

fn respond(page: Page) -> Response {
    let Page { status, title, main, search: (words, to), refresh } = page;
    let refresh =
        refresh.map(|seconds| format!("<meta http-equiv=\"refresh\" content=\"{seconds}\">")).unwrap_or_default();
    let to = if to.is_empty() {
        String::new()
    } else {
        format!("<input type=\"hidden\" name=\"to\" value=\"{}\">", escape(&to))
    };
    let text = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">{refresh}<title>{} - Signalbox</title><style>{STYLE}</style></head>\
         <body><header><div><a class=\"brand\" href=\"/inbox\">Signalbox <span>local inbox</span></a>\
         <form action=\"/inbox\" method=\"get\" role=\"search\">{to}<input type=\"search\" name=\"q\" value=\"{}\" placeholder=\"Search mail\" aria-label=\"Search mail\"><button>Search</button></form></div></header>\
         <main>{main}</main></body></html>",
        escape(&title),
        escape(&words)
    );
    let mut response = Response::new(whole(text));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", HeaderValue::from_static("text/html; charset=utf-8"));
    guard(response)
}

/// Lets this one style and the search field in and nothing else: no script, no image, no frame.
fn guard(mut response: Response) -> Response {
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        STANDARD.encode(Sha256::digest(STYLE))
    );
    let headers = response.headers_mut();
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    headers.insert("cache-control", HeaderValue::from_static("no-store"));
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert("content-security-policy", policy);
    }
    response
}
