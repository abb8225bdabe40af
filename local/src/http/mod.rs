//! The one endpoint: takes a request in, finds out who calls which service, and answers in that service's protocol.

mod protocol;

pub(crate) use protocol::Parameters;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::chaos;
use crate::cloud::Cloud;
use crate::error::ServiceError;

/// The largest body that an AWS operation may have here. Git packs are streamed and have no limit.
const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// A response's body: whole, or streamed as a git pack is.
pub(crate) type Body = BoxBody<Bytes, std::io::Error>;

/// A response on its way out.
pub(crate) type Response = hyper::Response<Body>;

/// A body that is there as a whole.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

/// An AWS call after its signature was checked.
#[derive(Debug)]
pub(crate) struct Call {
    /// Who calls.
    pub(crate) caller: crate::auth::Caller,
    /// The request's head.
    pub(crate) head: hyper::http::request::Parts,
    /// The request's body.
    pub(crate) body: Bytes,
}

/// Listens on loopback only.
///
/// # Errors
/// A port that is taken, with what to do about it.
pub(crate) async fn listen(port: u16) -> anyhow::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await.with_context(|| {
        format!("cannot listen on 127.0.0.1:{port}; is another local cloud running? choose another port with --port, or 0 for any")
    })
}

/// Answers until the task is dropped; its connections end with it.
pub(crate) async fn serve(listener: TcpListener, cloud: Arc<Cloud>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let cloud = Arc::clone(&cloud);
                    connections.spawn(async move {
                        let service = service_fn(move |request| {
                            let cloud = Arc::clone(&cloud);
                            async move { chaos::let_through(route(&cloud, request).await) }
                        });
                        let served = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
                            .serve_connection(TokioIo::new(stream), service)
                            .await;
                        if let Err(error) = served {
                            tracing::debug!(%error, "a connection ended early");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Whether a browser asked for this machine by its own name: a page of somebody else, whose name was made to point
/// here, must not read the inbox.
fn is_loopback(host: Option<&hyper::header::HeaderValue>) -> bool {
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    matches!(name, "127.0.0.1" | "localhost")
}

async fn route(cloud: &Arc<Cloud>, request: hyper::Request<Incoming>) -> Response {
    let path = request.uri().path().to_owned();
    if path.starts_with("/v1/repos/") {
        let work = cloud.codecommit.git_http(request, &cloud.keys);
        return match cloud.world.chaos.on_git(&path) {
            None => work.await,
            Some(trouble) => trouble.befall(work, protocol::render_plain).await,
        };
    }
    let anonymous_get = !request.headers().contains_key("authorization") && request.method() == hyper::Method::GET;
    if anonymous_get
        && is_loopback(request.headers().get("host"))
        && let Some(page) = cloud.page(&path)
    {
        return page;
    }
    let (head, body) = request.into_parts();
    let id = cloud.world.uuid();
    let body = match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            let refused = ServiceError::with_status(
                413,
                "RequestEntityTooLargeException",
                format!("cannot read the body: {error}"),
            );
            return protocol::render_error(&head, "", &refused, &id);
        }
    };
    let signed = crate::auth::SignedParts {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
        headers: &head.headers,
        body: &body,
    };
    match cloud.keys.check(&signed, cloud.world.now()) {
        Ok((_, scope)) if scope.region != cloud.world.region => {
            let (asked, here) = (&scope.region, &cloud.world.region);
            let what = format!("the request is signed for the region {asked}, but this local cloud plays {here}");
            let refused = ServiceError::with_status(403, "InvalidSignatureException", what);
            protocol::render_error(&head, &scope.service, &refused, &id)
        }
        Ok((caller, scope)) => {
            let call = Call { caller, head, body };
            match cloud.world.chaos.on_call(&scope.service, &call.head, &call.body) {
                None => protocol::dispatch(cloud, &scope.service, call, &id).await,
                Some(trouble) => {
                    let head = call.head.clone();
                    let refuse = |refused: &ServiceError| protocol::render_error(&head, &scope.service, refused, &id);
                    trouble.befall(protocol::dispatch(cloud, &scope.service, call, &id), refuse).await
                }
            }
        }
        Err(refused) => protocol::render_error(&head, "", &refused, &id),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn pages_are_only_for_a_browser_that_asked_for_this_machine() {
        let asked = |host: &'static str| is_loopback(Some(&HeaderValue::from_static(host)));
        assert!(asked("127.0.0.1:4600") && asked("localhost:4600") && asked("localhost"));
        assert!(!asked("evil.example.com:4600") && !asked("127.0.0.1.example.com") && !is_loopback(None));
    }
}
