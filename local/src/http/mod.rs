//! The one endpoint: takes a request in, finds out who calls which service, and answers in that service's protocol.

mod connection;
mod git;
#[cfg(test)]
#[path = "tests.rs"]
mod over_sockets;
mod protocol;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod tls;

pub(crate) use connection::{listen, secure, serve};
pub(crate) use protocol::Parameters;

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited, combinators::BoxBody};
use hyper::body::Incoming;

use crate::cloud::{Cloud, Regions};
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

/// The region whose pages a browser asks for: by this machine's own name the home region's, by `REGION.localhost` that
/// one's. A page of somebody else, whose name was made to point here, must not read the inbox.
fn browsed<'a>(regions: &'a Regions, host: Option<&hyper::header::HeaderValue>) -> Option<&'a Arc<Cloud>> {
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    match host.rsplit_once(':').map_or(host, |(name, _port)| name) {
        "127.0.0.1" | "localhost" => Some(&regions.home),
        name => regions.find(name.strip_suffix(".localhost")?),
    }
}

async fn route(regions: &Regions, request: hyper::Request<Incoming>) -> Response {
    let path = request.uri().path().to_owned();
    if path.starts_with(git::PREFIX) {
        let (head, body) = request.into_parts();
        return match git::authenticate(regions, &head) {
            Ok((cloud, caller)) => cloud.codecommit.git_http(hyper::Request::from_parts(head, body), caller).await,
            Err(refusal) => refusal.render(),
        };
    }
    let anonymous_get = !request.headers().contains_key("authorization") && request.method() == hyper::Method::GET;
    if anonymous_get
        && let Some(cloud) = browsed(regions, request.headers().get("host"))
        && let Some(page) = cloud.page(&path)
    {
        return page;
    }
    let (head, body) = request.into_parts();
    let id = regions.home.world.uuid();
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
    match regions.home.keys.check(&signed, regions.home.world.now()) {
        Ok((caller, scope)) => {
            let Some(cloud) = regions.find(&scope.region) else {
                let (asked, here) = (&scope.region, regions.names());
                let what = format!("the request is signed for the region {asked}, but this local cloud plays {here}");
                let refused = ServiceError::with_status(403, "InvalidSignatureException", what);
                return protocol::render_error(&head, &scope.service, &refused, &id);
            };
            let call = Call { caller, head, body };
            protocol::dispatch(cloud, &scope.service, call, &id).await
        }
        Err(refused) => protocol::render_error(&head, "", &refused, &id),
    }
}
