//! A log stream for a browser: plain text, as it stands at the moment.

use hyper::header::HeaderValue;

use super::Logs;
use crate::http::{Response, whole};

/// Where pages of streams begin: `/logs` + group + `/` + stream.
const PREFIX: &str = "/logs";

/// The address of a stream's page below the endpoint.
pub(crate) fn address(endpoint: &str, group: &str, stream: &str) -> String {
    format!("{endpoint}{PREFIX}{group}/{stream}")
}

impl Logs {
    /// The page at a path, if there is such a stream.
    pub(crate) fn page(&self, path: &str) -> Option<Response> {
        let (group, stream) = path.strip_prefix(PREFIX)?.rsplit_once('/')?;
        let events = self.events(group, stream);
        if events.is_empty() {
            return None;
        }
        let text: String = events.iter().map(|event| format!("{}\n", event.message.trim_end())).collect();
        let mut response = Response::new(whole(text));
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        Some(response)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::world::World;

    #[test]
    fn the_address_of_a_stream_leads_to_its_lines_and_no_other_does() {
        let dir = tempfile::tempdir().unwrap();
        let world = Arc::new(World::new(dir.path().to_owned(), "eu-west-1", 1));
        let logs = Logs::open(&world).unwrap();
        logs.append("/aws/codebuild/unit", "stream-1", world.now(), "a line");
        let address = address("", "/aws/codebuild/unit", "stream-1");
        assert_eq!(address, "/logs/aws/codebuild/unit/stream-1");
        assert!(logs.page(&address).is_some());
        assert!(logs.page("/logs/aws/codebuild/unit/stream-2").is_none());
        assert!(logs.page("/inbox").is_none());
    }
}
