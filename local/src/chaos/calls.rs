//! Trouble with calls: throttled, failed, cut off, slow; before the work is done or after it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, SizeHint};

use super::{Kind, Source, draw, lasting};
use crate::error::ServiceError;
use crate::http::{Body, Response, whole};

/// What shall happen to one call.
#[derive(Debug)]
pub(crate) struct Trouble<'a> {
    source: &'a Source,
    kind: Kind,
    service: String,
    operation: String,
    /// From 0 up to 1: whatever else there is to choose.
    drawn: f64,
    slow_for: Duration,
}

/// A connection that ends without an answer.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("chaos cut the connection")]
pub(crate) struct Cut;

/// Lets an answer go out, or ends the connection in its place.
pub(crate) fn let_through(response: Response) -> Result<Response, Cut> {
    response.extensions().get::<Cut>().copied().map_or(Ok(response), Err)
}

fn cut() -> Response {
    let mut response = Response::new(whole(Bytes::new()));
    response.extensions_mut().insert(Cut);
    response
}

impl Source {
    /// What shall happen to a call of an AWS operation; one that is not offered is left alone.
    pub(crate) fn on_call(&self, service: &str, operation: impl FnOnce() -> Option<String>) -> Option<Trouble<'_>> {
        self.plan()?;
        self.trouble(service, operation()?)
    }

    /// What shall happen to a request of git's smart HTTP protocol: `info/refs`, `git-upload-pack`, `git-receive-pack`.
    pub(crate) fn on_git(&self, path: &str) -> Option<Trouble<'_>> {
        self.plan()?;
        let operation = if path.ends_with("/info/refs") { "info/refs" } else { path.rsplit('/').next()? };
        self.trouble("git", operation.to_owned())
    }

    fn trouble(&self, service: &str, operation: String) -> Option<Trouble<'_>> {
        let plan = self.plan()?;
        let n = self.nth(&format!("call {service}:{operation}"));
        let kind = self.one_of(&plan, &Kind::OF_CALLS, ("call", service, &operation), n)?;
        let drawn = draw(plan.seed, &format!("choice {service}:{operation}"), n);
        Some(Trouble { source: self, kind, service: service.to_owned(), operation, drawn, slow_for: plan.slow_for })
    }
}

impl Trouble<'_> {
    /// Does the work or not, and answers for it; `refuse` puts an error into the caller's protocol.
    pub(crate) async fn befall(
        self,
        work: impl Future<Output = Response>,
        refuse: impl FnOnce(&ServiceError) -> Response,
    ) -> Response {
        let call = format!("{}:{}", self.service, self.operation);
        match self.kind {
            Kind::Throttle => {
                self.source.tell(Kind::Throttle, &call, "");
                refuse(&throttled(&self.service))
            }
            Kind::Fail => {
                self.source.tell(Kind::Fail, &call, "");
                refuse(&failed(&self.service, self.drawn))
            }
            Kind::FailAfter => {
                drop(work.await);
                self.source.tell(Kind::FailAfter, &call, "");
                refuse(&failed(&self.service, self.drawn))
            }
            Kind::CutAnswer => {
                let answer = work.await;
                self.source.tell(Kind::CutAnswer, &call, "");
                sever(answer)
            }
            Kind::Slow => {
                let wait = lasting(self.slow_for, self.drawn);
                self.source.tell(Kind::Slow, &call, &format!("by {} ms", wait.as_millis()));
                tokio::time::sleep(wait).await;
                work.await
            }
            _ => {
                self.source.tell(Kind::Cut, &call, "");
                cut()
            }
        }
    }
}

/// How each service throttles, by its documents and service model.
fn throttled(service: &str) -> ServiceError {
    let (status, code, message) = match service {
        "s3" => (503, "SlowDown", "Please reduce your request rate."),
        "sqs" => (403, "RequestThrottled", "The request was denied due to request throttling."),
        "sns" => (429, "Throttled", "Rate exceeded"),
        "sts" | "cloudformation" | "iam" => (400, "Throttling", "Rate exceeded"),
        "git" => (429, "TooManyRequests", "Rate exceeded"),
        _ => (400, "ThrottlingException", "Rate exceeded"),
    };
    ServiceError::with_status(status, code, message)
}

/// How each service fails by its own fault: 500 or 503, one as often as the other.
fn failed(service: &str, drawn: f64) -> ServiceError {
    let own_fault = drawn < 0.5;
    let code = match (service, own_fault) {
        ("s3" | "sqs" | "sns", true) => "InternalError",
        ("logs", false) => "ServiceUnavailableException",
        (_, true) => "InternalFailure",
        (_, false) => "ServiceUnavailable",
    };
    let (status, message) = match own_fault {
        true => (500, "We encountered an internal error. Please try again."),
        false => (503, "The service is unavailable. Please try again."),
    };
    ServiceError::with_status(status, code, message)
}

/// Half of an answer, and then the end of the connection; of one without a body nothing.
fn sever(response: Response) -> Response {
    let size = response.body().size_hint().exact();
    if size == Some(0) {
        return cut();
    }
    response.map(|body| {
        let left = usize::try_from(size.unwrap_or(64) / 2).unwrap_or(usize::MAX);
        Severed { body, left, rest: Rest::Flows }.boxed()
    })
}

/// A body that ends in the middle.
struct Severed {
    body: Body,
    left: usize,
    rest: Rest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Flows,
    /// The last bytes are given; they are let out before the end.
    Flushes,
    Cut,
}

impl hyper::body::Body for Severed {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match self.rest {
            Rest::Flows => {}
            Rest::Flushes => {
                self.rest = Rest::Cut;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Rest::Cut => return Poll::Ready(Some(Err(std::io::Error::other(Cut)))),
        }
        let frame = match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => frame,
            // One that ends or fails by itself before it was cut: the same to whoever reads.
            Poll::Ready(_) => return Poll::Ready(Some(Err(std::io::Error::other(Cut)))),
            Poll::Pending => return Poll::Pending,
        };
        let Ok(mut data) = frame.into_data() else { return Poll::Ready(Some(Err(std::io::Error::other(Cut)))) };
        if data.len() >= self.left {
            data.truncate(self.left);
            self.rest = Rest::Flushes;
        }
        self.left -= data.len();
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    /// The whole body's: the caller must be able to see that something is missing.
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    async fn befall(chaos: &str, service: &str) -> (Response, bool) {
        let source = Source::default();
        source.set(Some(chaos.parse().unwrap()));
        let worked = AtomicBool::new(false);
        let work = async {
            worked.store(true, Ordering::Relaxed);
            Response::new(whole("a whole answer"))
        };
        let refuse = |refused: &ServiceError| {
            let mut response = Response::new(whole(refused.code.clone()));
            *response.status_mut() = hyper::StatusCode::from_u16(refused.status).unwrap();
            response
        };
        let response = source.on_call(service, || Some("StartBuild".to_owned())).unwrap().befall(work, refuse).await;
        assert_eq!(source.tally().values().sum::<u64>(), 1);
        (response, worked.into_inner())
    }

    #[tokio::test]
    async fn work_is_done_or_not_as_the_kind_of_trouble_says() {
        for (chaos, status, worked) in [
            ("throttle=1", 400, false),
            ("fail=1", 500, false),
            ("fail-after=1", 500, true),
            ("slow=1,slow-for=1ms", 200, true),
        ] {
            let (response, did) = befall(&format!("{chaos},seed=1"), "codebuild").await;
            let near = response.status().as_u16() == status || (status == 500 && response.status().as_u16() == 503);
            assert!(near && did == worked, "{chaos}: {} {did}", response.status());
            assert!(let_through(response).is_ok());
        }
        let (response, worked) = befall("cut=1", "codebuild").await;
        assert!(let_through(response).is_err() && !worked);
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_says_its_whole_length_and_gives_half() {
        let (response, worked) = befall("cut-answer=1", "codebuild").await;
        assert!(worked);
        let mut body = let_through(response).unwrap().into_body();
        assert_eq!(body.size_hint().exact(), Some(14));
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(&first[..], b"a whole");
        assert!(body.frame().await.unwrap().is_err());
        assert!(let_through(sever(Response::new(whole("")))).is_err());
    }

    #[tokio::test]
    async fn services_throttle_in_their_own_words() {
        for (service, status) in [("s3", 503), ("sqs", 403), ("sns", 429), ("sts", 400), ("codecommit", 400)] {
            assert_eq!(befall("throttle=1", service).await.0.status(), status, "{service}");
        }
    }

    #[test]
    fn only_what_is_named_meets_trouble() {
        let source = Source::default();
        source.set(Some("throttle=1".parse().unwrap()));
        assert!(source.on_call("iam", || None).is_none());
        let source = Source::default();
        assert!(source.on_git("/v1/repos/demo/info/refs").is_none());
        source.set(Some("cut@git:info/refs=1".parse().unwrap()));
        assert!(source.on_git("/v1/repos/demo/info/refs").is_some());
        assert!(source.on_git("/v1/repos/demo/git-upload-pack").is_none());
    }
}
