//! A request's body on its way in, from a client that is not waited for for ever.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// A body that is read piece by piece.
#[derive(Debug)]
pub(crate) struct Upload {
    body: Incoming,
    silence: Duration,
}

/// Why no more of a body comes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The connection ended in the middle.
    #[error("it broke off")]
    CutOff(#[source] hyper::Error),
    /// The client stopped in the middle.
    #[error("nothing more came")]
    Stalled,
}

impl Upload {
    /// A body whose client may say nothing for so long.
    pub(super) fn new(body: Incoming, silence: Duration) -> Self {
        Self { body, silence }
    }

    /// The next piece; none at the end.
    pub(crate) async fn piece(&mut self) -> Option<Result<Bytes, Broken>> {
        match tokio::time::timeout(self.silence, self.body.frame()).await {
            Ok(Some(Ok(frame))) => Some(Ok(frame.into_data().unwrap_or_default())),
            Ok(Some(Err(error))) => Some(Err(Broken::CutOff(error))),
            Ok(None) => None,
            Err(_) => Some(Err(Broken::Stalled)),
        }
    }
}
