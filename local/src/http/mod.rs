//! The one endpoint: takes a request in, finds out who calls which service, and answers in that service's protocol.

mod connection;
mod git;
mod offered;
mod operation;
mod protocol;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub(crate) mod tls;
mod upload;

pub(crate) use connection::{listen, secure, serve};
pub use offered::operations;
pub(crate) use offered::services;
pub(crate) use protocol::Parameters;
pub(crate) use upload::{Broken, Upload};

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::http::request::Parts;

use self::offered::is_offered;
use self::operation::operation;
use crate::auth::{Caller, Refusal, Scope, SignedParts, is_presigned, unsigned_query};
use crate::cloud::{Accounts, Cloud, Regions};
use crate::error::ServiceError;
use crate::iam::api as iam;
use crate::world::Called;

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
    pub(crate) caller: Caller,
    /// The request's head.
    pub(crate) head: Parts,
    /// The request's body.
    pub(crate) body: Bytes,
}

/// The region whose pages a browser asks for, of the stack's account: by this machine's own name the home region's, by `REGION.localhost` that
/// one's. A page of somebody else, whose name was made to point here, must not read the inbox.
fn browsed<'a>(regions: &'a Regions, host: Option<&hyper::header::HeaderValue>) -> Option<&'a Arc<Cloud>> {
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    match host.rsplit_once(':').map_or(host, |(name, _port)| name) {
        "127.0.0.1" | "localhost" => Some(&regions.home),
        name => regions.find(name.strip_suffix(".localhost")?),
    }
}

/// The front of a cloud: what its connections need to answer.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) accounts: Accounts,
    /// How long a client may say nothing in the middle of something.
    pub(crate) silence: Duration,
}

/// Answers whatever comes: git, a browser, an AWS client.
async fn route(front: &Front, request: hyper::Request<Incoming>) -> Response {
    let (head, body) = request.into_parts();
    if git::is_meant(&head) {
        let (cloud, caller) = match git::authenticate(&front.accounts, &head) {
            Ok(admitted) => admitted,
            Err(refusal) => return refusal.render(),
        };
        let trouble = cloud.world.chaos.on_git(head.uri.path());
        let work = cloud.codecommit.git_http(head, Upload::new(body, front.silence), caller);
        return match trouble {
            None => work.await,
            Some(trouble) => trouble.befall(work, protocol::render_plain).await,
        };
    }
    let is_signed = head.headers.contains_key("authorization") || is_presigned(head.uri.query().unwrap_or_default());
    if !is_signed
        && head.method == hyper::Method::GET
        && let Some(cloud) = browsed(&front.accounts.home, head.headers.get("host"))
        && let Some(page) = cloud.page(&head.uri)
    {
        return page;
    }
    answer(front, head, body).await
}

/// An AWS call on its way: receive, authenticate, find account and region, dispatch, answer. What stops it on the way is told in
/// the words of the service that it was meant for.
async fn answer(front: &Front, head: Parts, body: Incoming) -> Response {
    let home = &front.accounts.home.home;
    let id = home.world.uuid();
    let admitted = async {
        let body = receive(Upload::new(body, front.silence)).await?;
        let (caller, scope) = authenticate(home, &head, &body)?;
        // A request belongs to the account whose key signed it.
        let cloud = region(front.accounts.find(caller.account()).unwrap_or(&front.accounts.home), &scope)?;
        if !cloud.plays(&scope.service) {
            let account = cloud.world.account.clone();
            return Err(Refusal::OtherAccount { service: scope.service, account });
        }
        Ok((cloud, scope.service, caller, body))
    };
    match admitted.await {
        Ok((cloud, service, caller, body)) => {
            let call = Call { caller, head: without_signature(head), body };
            let operation = || operation(&service, &call.head, &call.body).filter(|name| is_offered(&service, name));
            cloud.world.tell_call(|| Called {
                service: service.clone(),
                operation: operation().unwrap_or_default(),
                path: call.head.uri.path().to_owned(),
            });
            match cloud.world.chaos.on_call(&service, operation) {
                None => protocol::dispatch(cloud, &service, call, &id).await,
                Some(trouble) => {
                    let head = call.head.clone();
                    let refuse = |refused: &ServiceError| protocol::render_error(&head, &service, refused, &id);
                    trouble.befall(protocol::dispatch(cloud, &service, call, &id), refuse).await
                }
            }
        }
        Err(refusal) => protocol::refuse(&head, &refusal, &id),
    }
}

/// Takes the body in, all of it or none.
async fn receive(mut body: Upload) -> Result<Bytes, Refusal> {
    let mut received = BytesMut::new();
    let mut too_large = false;
    while let Some(piece) = body.piece().await {
        let data = piece.map_err(|broken| match broken {
            Broken::CutOff(_) => Refusal::CutOff,
            Broken::Stalled => Refusal::Stalled,
        })?;
        too_large |= received.len() + data.len() > LARGEST_BODY;
        // The rest is read away: a client that still sends would not look up.
        if too_large {
            received = BytesMut::new();
        } else {
            received.extend_from_slice(&data);
        }
    }
    if too_large { Err(Refusal::TooLarge(LARGEST_BODY)) } else { Ok(received.freeze()) }
}

/// Who calls, and for which region and service that was signed.
fn authenticate(home: &Cloud, head: &Parts, body: &[u8]) -> Result<(Caller, Scope), Refusal> {
    let signed = SignedParts {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
        headers: &head.headers,
        body,
    };
    home.keys.check(&signed, home.world.now())
}

/// The cloud of the region that was signed for.
///
/// What all regions share is signed for the one that it belongs to, or by a client that only knows this address for its own.
fn region<'a>(regions: &'a Regions, scope: &Scope) -> Result<&'a Arc<Cloud>, Refusal> {
    let is_global = scope.service == "iam" && (scope.region == iam::REGION || regions.find(&scope.region).is_some());
    if is_global {
        return Ok(regions.find(iam::REGION).unwrap_or(&regions.home));
    }
    regions.find(&scope.region).ok_or_else(|| Refusal::OtherRegion {
        asked: scope.region.clone(),
        played: regions.names(),
        home: regions.home.world.region.clone(),
    })
}

/// A presigned address without what signed it: to a service that is no part of the request.
fn without_signature(mut head: Parts) -> Parts {
    if let Some(query) = head.uri.query().filter(|query| is_presigned(query)) {
        let rest = unsigned_query(query);
        let target = if rest.is_empty() { head.uri.path().to_owned() } else { format!("{}?{rest}", head.uri.path()) };
        head.uri = target.parse().unwrap_or(head.uri);
    }
    head
}
