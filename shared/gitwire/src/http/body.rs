//! Bodies: what is sent, and what is waited for.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

use super::client::Patience;
use super::failure::{Cause, Failure};
use super::pack_stream::PackStream;
use crate::PackSummary;

/// The longest chunk of what was held back, as long as git's own are: some servers take none that is much longer.
const CHUNK: usize = 64 * 1024;

/// What goes into a request.
#[derive(Debug)]
pub(crate) enum RequestBody {
    /// Of known length.
    Whole(Option<Bytes>),
    /// In chunks.
    Pump(Box<Pump>),
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Torn;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Torn>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Pump(pump) => pump.poll_piece(context).map(|piece| piece.map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Pump(_) => SizeHint::default(),
        }
    }
}

/// Ends a request without its end: hyper closes the connection, and the server sees half a request.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the pack was not sent to its end")]
pub(crate) struct Torn;

/// How far a pump has come.
#[derive(Debug)]
pub(crate) enum Progress {
    /// The last time the target took something.
    Sending(Instant),
    /// The source owes the next piece; its own patience is counted there.
    Waiting,
    /// All is sent; the last time the target said something, or could.
    Ended(PackSummary, Instant),
    /// It was torn, because of the source.
    Failed(Option<Failure>),
}

/// The body of a push: what was held back until it was known to be long, then the source's pack as the target takes it.
#[derive(Debug)]
pub(crate) struct Pump {
    held: Bytes,
    pack: PackStream,
    progress: Arc<Mutex<Progress>>,
    /// Ends when whoever waits for the push gives up.
    owner: oneshot::Receiver<()>,
}

/// The other end of a pump: dropped, it tears the request.
#[derive(Debug)]
pub(crate) struct PumpHandle {
    progress: Arc<Mutex<Progress>>,
    _owner: oneshot::Sender<()>,
}

impl Pump {
    pub(crate) fn new(held: Bytes, pack: PackStream) -> (Self, PumpHandle) {
        let progress = Arc::new(Mutex::new(Progress::Sending(Instant::now())));
        let (sender, owner) = oneshot::channel();
        let handle = PumpHandle { progress: Arc::clone(&progress), _owner: sender };
        (Self { held, pack, progress, owner }, handle)
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Torn>>> {
        if Pin::new(&mut self.owner).poll(context).is_ready() {
            return Poll::Ready(Some(Err(Torn)));
        }
        if !self.held.is_empty() {
            let chunk = self.held.split_to(CHUNK.min(self.held.len()));
            return Poll::Ready(Some(Ok(chunk)));
        }
        let (progress, answer) = match self.pack.poll_piece(context) {
            Poll::Pending => (Progress::Waiting, Poll::Pending),
            Poll::Ready(Ok(Some(piece))) => (Progress::Sending(Instant::now()), Poll::Ready(Some(Ok(piece)))),
            Poll::Ready(Ok(None)) => match self.pack.summary() {
                Some(summary) => (Progress::Ended(summary, Instant::now()), Poll::Ready(None)),
                None => (Progress::Failed(None), Poll::Ready(Some(Err(Torn)))),
            },
            Poll::Ready(Err(failure)) => (Progress::Failed(Some(failure)), Poll::Ready(Some(Err(Torn)))),
        };
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
        answer
    }
}

impl PumpHandle {
    /// The source's failure, if it is what tore the request.
    pub(crate) fn take_failure(&self) -> Option<Failure> {
        match &mut *self.progress.lock().unwrap_or_else(PoisonError::into_inner) {
            Progress::Failed(failure) => failure.take(),
            _ => None,
        }
    }

    /// What was sent, once all of it is.
    pub(crate) fn summary(&self) -> Option<PackSummary> {
        match &*self.progress.lock().unwrap_or_else(PoisonError::into_inner) {
            Progress::Ended(summary, _) => Some(*summary),
            _ => None,
        }
    }

    /// The target said something, if only that it is alive.
    pub(crate) fn heard(&self) {
        if let Progress::Ended(_, since) = &mut *self.progress.lock().unwrap_or_else(PoisonError::into_inner) {
            *since = Instant::now();
        }
    }

    /// Comes back when the target has taken nothing for too long, though there was something to take, or has said nothing
    /// since it took all.
    pub(crate) async fn stall(&self, patience: Patience) -> Cause {
        loop {
            let (what, since, after) = match &*self.progress.lock().unwrap_or_else(PoisonError::into_inner) {
                Progress::Sending(since) => ("the target has taken nothing of the pack", *since, patience.silence),
                Progress::Ended(_, since) => ("the target has said nothing about the pack", *since, patience.answer),
                Progress::Waiting | Progress::Failed(_) => ("", Instant::now(), patience.silence),
            };
            if since.elapsed() >= after {
                return Cause::Stalled { what, after };
            }
            tokio::time::sleep_until(since + after).await;
        }
    }
}

/// The body of an answer, with an eye on how long it is silent.
#[derive(Debug)]
pub(crate) struct Watched {
    body: Incoming,
    silence: Duration,
    /// Runs only while something is waited for: a slow reader is not the server's fault.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    pub(crate) fn new(body: Incoming, silence: Duration) -> Self {
        Self { body, silence, timer: None }
    }

    /// Waits for so long instead.
    #[must_use]
    pub(crate) fn patiently(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }

    pub(crate) fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cause>>> {
        loop {
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(frame) => {
                    self.timer = None;
                    match frame {
                        None => return Poll::Ready(None),
                        Some(Err(error)) => return Poll::Ready(Some(Err(Cause::BrokenOff(Box::new(error))))),
                        // Trailers say nothing here.
                        Some(Ok(frame)) => match frame.into_data() {
                            Ok(data) => return Poll::Ready(Some(Ok(data))),
                            Err(_) => continue,
                        },
                    }
                }
                Poll::Pending => {
                    let silence = self.silence;
                    let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(silence)));
                    return timer
                        .as_mut()
                        .poll(context)
                        .map(|()| Some(Err(Cause::Stalled { what: "the host has sent nothing", after: silence })));
                }
            }
        }
    }

    pub(crate) async fn data(&mut self) -> Option<Result<Bytes, Cause>> {
        std::future::poll_fn(|context| self.poll_data(context)).await
    }
}
