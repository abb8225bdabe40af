//! The Runtime API as AWS documents it, version 2018-06-01: the HTTP side, which decides nothing.
//!
//! Every request becomes a [`Call`] to the environment that owns the process, and waits for its reply.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::invocation::{FunctionFailure, LARGEST_PAYLOAD};

const PREFIX: &str = "/2018-06-01/runtime/";

/// What a function asks of its environment.
#[derive(Debug)]
pub(super) enum Call {
    /// The next event, when there is one.
    Next(oneshot::Sender<Result<Delivery, Refused>>),
    /// The answer to an event; `None` is one that is too large to be taken.
    Response(String, Option<Bytes>, oneshot::Sender<Result<(), Refused>>),
    /// The event failed.
    Error(String, FunctionFailure, oneshot::Sender<Result<(), Refused>>),
    /// The function could not even start.
    InitError(FunctionFailure, oneshot::Sender<Result<(), Refused>>),
}

/// An event with what its headers say.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) id: String,
    pub(super) payload: Bytes,
    pub(super) deadline_ms: i64,
    pub(super) function_arn: String,
    pub(super) trace: String,
}

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// The id is of no event that this process works on.
    UnknownRequest,
    /// The call does not fit what the process is doing.
    WrongMoment,
    /// The answer is larger than Lambda takes.
    TooLarge,
}

/// Serves one process until dropped.
pub(super) async fn serve(listener: TcpListener, calls: mpsc::Sender<Call>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                };
                let calls = calls.clone();
                connections.spawn(async move {
                    let service = service_fn(move |request| {
                        let calls = calls.clone();
                        async move { Ok::<_, Infallible>(answer(&calls, request).await) }
                    });
                    let served = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                    if let Err(error) = served {
                        tracing::trace!(%error, "a function's connection ended early");
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(calls: &mpsc::Sender<Call>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    let Some(path) = path.strip_prefix(PREFIX) else {
        return error(StatusCode::NOT_FOUND, "NotFound", "the local cloud offers the Runtime API 2018-06-01 only");
    };
    let parts: Vec<&str> = path.split('/').collect();
    let get = request.method() == Method::GET;
    let post = request.method() == Method::POST;
    match parts.as_slice() {
        ["invocation", "next"] if get => next(calls).await,
        ["invocation", id, "response"] if post => {
            let id = (*id).to_owned();
            let body = body(request).await;
            ask(calls, |reply| Call::Response(id, body, reply)).await
        }
        ["invocation", id, "error"] if post => {
            let id = (*id).to_owned();
            let failure = failure(request).await;
            ask(calls, |reply| Call::Error(id, failure, reply)).await
        }
        ["init", "error"] if post => {
            let failure = failure(request).await;
            ask(calls, |reply| Call::InitError(failure, reply)).await
        }
        _ => error(StatusCode::NOT_FOUND, "NotFound", "there is no such call in the Runtime API"),
    }
}

async fn next(calls: &mpsc::Sender<Call>) -> Response<Full<Bytes>> {
    let (reply, delivered) = oneshot::channel();
    let sent = calls.send(Call::Next(reply)).await;
    let delivery = match (sent, delivered.await) {
        (Ok(()), Ok(Ok(delivery))) => delivery,
        (Ok(()), Ok(Err(refused))) => return refuse(refused),
        _ => return gone(),
    };
    let mut response = Response::new(Full::new(delivery.payload));
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", delivery.id),
        ("lambda-runtime-deadline-ms", delivery.deadline_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", delivery.function_arn),
        ("lambda-runtime-trace-id", delivery.trace),
    ];
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

async fn ask(
    calls: &mpsc::Sender<Call>,
    call: impl FnOnce(oneshot::Sender<Result<(), Refused>>) -> Call,
) -> Response<Full<Bytes>> {
    let (reply, answered) = oneshot::channel();
    if calls.send(call(reply)).await.is_err() {
        return gone();
    }
    match answered.await {
        Ok(Ok(())) => json_response(StatusCode::ACCEPTED, &json!({ "status": "OK" })),
        Ok(Err(refused)) => refuse(refused),
        Err(_) => gone(),
    }
}

/// The body, if it is not too large; one that is cut off is empty, and so of no use as an answer.
async fn body(request: Request<Incoming>) -> Option<Bytes> {
    match Limited::new(request.into_body(), LARGEST_PAYLOAD).collect().await {
        Ok(body) => Some(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => None,
        Err(_) => Some(Bytes::from_static(b"{")),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody {
    error_type: Option<String>,
    error_message: Option<String>,
}

async fn failure(request: Request<Incoming>) -> FunctionFailure {
    let header = request
        .headers()
        .get("lambda-runtime-function-error-type")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let body = body(request).await.unwrap_or_default();
    let stated: ErrorBody = serde_json::from_slice(&body).unwrap_or_default();
    FunctionFailure {
        kind: stated.error_type.or(header).unwrap_or_else(|| "Runtime.Unknown".to_owned()),
        message: stated.error_message.unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned()),
    }
}

fn refuse(refused: Refused) -> Response<Full<Bytes>> {
    match refused {
        Refused::UnknownRequest => error(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID"),
        Refused::WrongMoment => error(
            StatusCode::FORBIDDEN,
            "InvalidStateTransition",
            "the call does not fit what the runtime is doing; answer the event before asking for the next",
        ),
        Refused::TooLarge => error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            &format!("Exceeded maximum allowed payload size ({LARGEST_PAYLOAD} bytes)."),
        ),
    }
}

fn gone() -> Response<Full<Bytes>> {
    error(StatusCode::INTERNAL_SERVER_ERROR, "ContainerError", "the execution environment is being shut down")
}

fn error(status: StatusCode, kind: &str, message: &str) -> Response<Full<Bytes>> {
    json_response(status, &json!({ "errorMessage": message, "errorType": kind }))
}

fn json_response(status: StatusCode, body: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response
}
