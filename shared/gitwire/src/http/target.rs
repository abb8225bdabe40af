//! A repository that is written.

use std::time::Duration;

use bytes::BytesMut;

use super::body::{Pump, PumpHandle, RequestBody};
use super::client::{Remote, Service, read_all, whole};
use super::failure::{Cause, Failure};
use super::pack_stream::PackStream;
use crate::pack::EMPTY;
use crate::push::{PushRequest, needs_pack, request};
use crate::{Advertisement, Command, Listing, PackForm, PackSummary, Reader, Report, Together};

/// Requests up to this length (git's `http.postBuffer`) are sent whole, with their length: not every proxy takes chunks.
pub(crate) const HELD: usize = 1024 * 1024;

const DOING: &str = "cannot push to";

/// What a target has.
#[derive(Debug)]
pub struct Target {
    remote: Remote,
    server: Advertisement,
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// What the target says about each command.
    pub report: Report,
    /// The pack that it was sent; none behind deletions.
    pub pack: Option<PackSummary>,
}

impl Remote {
    /// Lists the refs of a repository that is to be written.
    pub async fn target(&self) -> Result<Target, Failure> {
        let (remote, server) = self.clone().greet(Service::ReceivePack).await?;
        Ok(Target { remote, server })
    }
}

impl Target {
    /// What it said about itself.
    pub fn server(&self) -> &Advertisement {
        &self.server
    }

    /// Where it is.
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// All refs that it shows.
    pub fn listing(&self) -> &Listing {
        &self.server.listing
    }

    /// How a pack for it may be written.
    pub fn pack_form(&self) -> PackForm {
        self.server.pack_form()
    }

    /// Moves refs to objects that the target has already, or deletes them.
    pub async fn push(&self, commands: &[Command], together: Together) -> Result<Pushed, Failure> {
        let asked =
            request(&self.server, commands, together, &[]).map_err(|error| self.remote.failure(DOING, error))?;
        let mut body = asked.head;
        let mut pack = None;
        if needs_pack(commands) {
            body.extend_from_slice(&EMPTY);
            let mut checker = crate::PackChecker::default();
            let summary = checker.feed(&EMPTY).and_then(|()| checker.finish());
            pack = summary.ok();
        }
        let report = self.send_whole(body, asked.report).await?;
        Ok(Pushed { report, pack })
    }

    /// Moves refs to the objects in a pack, which goes straight from its source to here.
    ///
    /// A pack that turns out not to be whole ends the request without its end, and the source's failure is given: the target then
    /// keeps nothing. So it does when this future is dropped.
    pub async fn push_pack(
        &self,
        commands: &[Command],
        together: Together,
        mut pack: PackStream,
    ) -> Result<Pushed, Failure> {
        let asked = request(&self.server, commands, together, pack.shallow());
        let PushRequest { head, report } = asked.map_err(|error| self.remote.failure(DOING, error))?;
        let mut held = BytesMut::from(&head[..]);
        while held.len() < HELD {
            let Some(piece) = pack.piece().await? else {
                // All of it is here and was whole.
                let summary = pack.summary();
                let report = self.send_whole(held.into(), report).await?;
                return Ok(Pushed { report, pack: summary });
            };
            held.extend_from_slice(&piece);
        }
        self.probe().await?;
        let (pump, handle) = Pump::new(held.freeze(), pack);
        self.send_pump(pump, handle, report).await
    }

    /// As git does before a request in chunks, which cannot be sent twice: a host that wants to say no can say so now.
    async fn probe(&self) -> Result<(), Failure> {
        let answer = self.remote.ask(Service::ReceivePack, None, whole(b"0000".to_vec())).await;
        let mut body = answer.map_err(|cause| self.remote.failure(DOING, cause))?;
        // Read to its end, so that the connection can be used again.
        while let Some(Ok(_)) = body.data().await {}
        Ok(())
    }

    async fn send_whole(&self, body: Vec<u8>, report: crate::push::ReportReader) -> Result<Report, Failure> {
        let sent = async {
            let answer = self.remote.ask(Service::ReceivePack, None, whole(body)).await?;
            // It may begin at once, and go on only when hooks have run.
            read_all(answer.patiently(self.remote.patience().answer), report).await
        };
        let report = sent.await.map_err(|cause| self.remote.failure(DOING, cause))?;
        Ok(self.remote.scrubbed(report))
    }

    async fn send_pump(
        &self,
        pump: Pump,
        handle: PumpHandle,
        mut report: crate::push::ReportReader,
    ) -> Result<Pushed, Failure> {
        let body = RequestBody::Pump(Box::new(pump));
        let sent = async {
            // It may begin before the pack has been sent, and is silent until then: the handle counts the time.
            let answer = self.remote.ask_patiently(Service::ReceivePack, None, body).await?;
            let mut answer = answer.patiently(Duration::MAX);
            while let Some(piece) = answer.data().await {
                handle.heard();
                report.feed(&piece?)?;
            }
            Ok(report.finish()?)
        };
        let ended: Result<Report, Cause> = tokio::select! {
            ended = sent => ended,
            cause = handle.stall(self.remote.patience()) => Err(cause),
        };
        match ended {
            Ok(report) => Ok(Pushed { report: self.remote.scrubbed(report), pack: handle.summary() }),
            // What tore the request is worth more than the target's view of it.
            Err(cause) => Err(handle.take_failure().unwrap_or_else(|| self.remote.failure(DOING, cause))),
        }
    }
}
