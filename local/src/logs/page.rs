//! A log stream for a browser: plain text, as it stands at the moment.

use hyper::header::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{LogEvent, Logs};
use crate::http::{Response, whole};

/// Where pages of streams begin: `/logs/` + group + `/` + stream, each as one segment of the path.
const PREFIX: &str = "/logs/";

/// What stays as it is in a segment; a slash does not, as names are full of them.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The most text that a page shows. A browser is not the place for more, and the end is what is looked for.
const LARGEST_PAGE: usize = 5 * 1024 * 1024;

/// The address of a stream's page below the endpoint.
pub(crate) fn address(endpoint: &str, group: &str, stream: &str) -> String {
    let segment = |name| utf8_percent_encode(name, ENCODED);
    format!("{endpoint}{PREFIX}{}/{}", segment(group), segment(stream))
}

impl Logs {
    /// The page at a path, if there is such a stream.
    pub(crate) fn page(&self, path: &str) -> Option<Response> {
        let (group, stream) = path.strip_prefix(PREFIX)?.split_once('/').filter(|(_, stream)| !stream.contains('/'))?;
        let name = |segment| percent_decode_str(segment).decode_utf8().ok();
        let events = self.events(&name(group)?, &name(stream)?);
        if events.is_empty() {
            return None;
        }
        let mut response = Response::new(whole(text(&events)));
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        Some(response)
    }
}

/// The lines as far back as a page holds them; the first line says so where that is not all.
fn text(events: &[LogEvent]) -> String {
    let mut left = LARGEST_PAGE;
    let fits = |event: &&LogEvent| {
        let after = left.checked_sub(event.message.len() + 1);
        left = after.unwrap_or(left);
        after.is_some()
    };
    let shown = events.iter().rev().take_while(fits).count();
    let cut = events.len() - shown;
    let mut text = String::new();
    if cut > 0 {
        text = format!("... (cut: {cut} earlier lines are not shown, a page holds the last {LARGEST_PAGE} bytes)\n");
    }
    for event in events.iter().skip(cut) {
        text.push_str(event.message.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::BodyExt;

    use super::*;
    use crate::world::World;

    #[tokio::test]
    async fn the_address_of_a_stream_leads_to_its_lines_and_no_other_does() {
        let dir = tempfile::tempdir().unwrap();
        let world = Arc::new(World::new(dir.path().to_owned(), "eu-west-1", 1));
        let logs = Logs::open(&world).unwrap();
        let names = [
            ("/aws/codebuild/unit", "stream-1"),
            ("/aws/codebuild/unit", "unit/5b1f3c0e"),
            ("/aws/codebuild", "unit/stream-1"),
            ("/aws/lambda/notifier", "2026/11/21/[$LATEST]0123"),
            ("plain", "gr\u{fc}n 100%2F?#"),
        ];
        for (group, stream) in names {
            logs.append(group, stream, world.now(), &format!("{group} {stream}"));
        }
        for (group, stream) in names {
            let address = address("http://127.0.0.1:4600", group, stream);
            let uri: hyper::Uri = address.parse().unwrap();
            assert_eq!(uri.path().matches('/').count(), 3, "{address}");
            assert_eq!(uri.query(), None, "{address}");
            let body = logs.page(uri.path()).unwrap().into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, format!("{group} {stream}\n"));
        }
        assert_eq!(address("", "/aws/codebuild/unit", "s"), "/logs/%2Faws%2Fcodebuild%2Funit/s");
        assert!(logs.page("/logs/%2Faws%2Fcodebuild%2Funit/stream-2").is_none());
        assert!(logs.page("/logs/%2Faws%2Fcodebuild%2Funit/unit/5b1f3c0e").is_none());
        assert!(logs.page("/logs/%ff/stream-1").is_none());
        assert!(logs.page("/inbox").is_none());
    }

    #[test]
    fn a_page_of_a_long_stream_has_its_end_and_says_that_it_was_cut() {
        let event = |number: usize| LogEvent {
            timestamp: 0,
            ingested: 0,
            message: format!("{number}{}", "x".repeat(LARGEST_PAGE / 4)),
        };
        let events: Vec<LogEvent> = (0..6).map(event).collect();
        let shown = text(&events);
        assert!(shown.len() < LARGEST_PAGE + 200);
        assert!(shown.starts_with("... (cut: 3 earlier lines"), "{}", &shown[..80]);
        assert!(shown.contains("\n3xx") && shown.contains("\n5xx") && !shown.contains("\n2xx"));
        assert!(!text(&events[..3]).contains("cut"));
    }
}
