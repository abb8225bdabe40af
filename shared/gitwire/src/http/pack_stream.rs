//! A pack on its way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::body::Watched;
use super::client::Remote;
use super::failure::{Cause, Failure};
use crate::{FetchEvent, FetchReader, Oid, PackChecker, PackSummary, WireError};

const DOING: &str = "cannot fetch from";

/// The pack that a source sends, checked as it goes by.
#[derive(Debug)]
pub struct PackStream {
    source: Remote,
    body: Watched,
    reader: FetchReader,
    checker: PackChecker,
    /// Pieces that came along before the first was asked for.
    first: Option<Bytes>,
    pub(crate) shallow: Vec<Oid>,
    summary: Option<PackSummary>,
    meter: Meter,
}

/// How much of a pack has gone by, to be read while it does.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<AtomicU64>);

impl Meter {
    /// Bytes of the pack so far.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl PackStream {
    pub(crate) fn new(source: Remote, body: Watched, reader: FetchReader, first: Bytes, shallow: Vec<Oid>) -> Self {
        let (checker, meter) = (PackChecker::default(), Meter::default());
        Self { source, body, reader, checker, first: Some(first), shallow, summary: None, meter }
    }

    /// The commits at which the history in the pack ends, where the source is shallow or a depth was asked for.
    pub fn shallow(&self) -> &[Oid] {
        &self.shallow
    }

    /// A counter that goes on while the pack does.
    pub fn meter(&self) -> Meter {
        self.meter.clone()
    }

    /// What the pack was, once it has gone by and was whole.
    pub fn summary(&self) -> Option<PackSummary> {
        self.summary
    }

    /// The next piece of the pack; nothing after its end, which is only told of a whole pack.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        std::future::poll_fn(|context| self.poll_piece(context)).await
    }

    pub(crate) fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Failure>> {
        self.poll_checked(context).map_err(|cause| self.source.failure(DOING, cause))
    }

    fn poll_checked(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Cause>> {
        if self.summary.is_some() {
            return Poll::Ready(Ok(None));
        }
        loop {
            let event = match self.first.take() {
                Some(first) => Some(FetchEvent::Pack(first)),
                None => self.reader.next_event()?,
            };
            match event {
                Some(FetchEvent::Pack(piece)) if piece.is_empty() => {}
                Some(FetchEvent::Pack(piece)) => {
                    self.checker.feed(&piece).map_err(WireError::from)?;
                    self.meter.0.store(self.checker.bytes(), Ordering::Relaxed);
                    return Poll::Ready(Ok(Some(piece)));
                }
                Some(_) => {}
                None => match ready!(self.body.poll_data(context)) {
                    Some(data) => self.reader.feed(&data?),
                    None => {
                        self.reader.finish()?;
                        let checker = std::mem::take(&mut self.checker);
                        self.summary = Some(checker.finish().map_err(WireError::from)?);
                        return Poll::Ready(Ok(None));
                    }
                },
            }
        }
    }
}
