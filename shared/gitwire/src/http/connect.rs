//! Connections that come in time or not at all.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use tower_service::Service;

type Inner = HttpsConnector<HttpConnector>;
type Failed = Box<dyn Error + Send + Sync>;

/// Gives up a connection that is not made in time: what is under it only watches TCP, and a handshake of TLS may hang as well.
#[derive(Debug, Clone)]
pub(crate) struct Prompt {
    inner: Inner,
    within: Duration,
}

#[derive(Debug, thiserror::Error)]
#[error("no connection was made within {0:?}, the handshake of TLS included")]
struct TooSlow(Duration);

impl Prompt {
    pub(crate) fn new(inner: Inner, within: Duration) -> Self {
        Self { inner, within }
    }
}

impl Service<Uri> for Prompt {
    type Response = <Inner as Service<Uri>>::Response;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failed>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, within) = (self.inner.call(uri), self.within);
        Box::pin(async move {
            match tokio::time::timeout(within, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(TooSlow(within).into()),
            }
        })
    }
}
