//! `git http-backend` behind a small HTTP server that remembers what it was asked.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use signalbox_gitwire::http::{Authorization, Client, Patience, Remote, RemoteUrl};
use signalbox_gitwire::pkt::{self, Decoder, Pkt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::RootCertStore;

use crate::repository::Repository;

/// What a host does beside serving git.
#[derive(Clone, Default)]
pub(crate) struct Ways {
    /// The git that serves; without it the first on the PATH.
    pub(crate) git: Option<PathBuf>,
    /// It does not know protocol version 2.
    pub(crate) old: bool,
    /// A capability that it says it has when it is to be pushed to.
    pub(crate) adds: Option<&'static str>,
    /// It wants this `Authorization`.
    pub(crate) wants: Option<&'static str>,
    /// What it makes of the answer to a fetch.
    pub(crate) spoils: Option<fn(&[u8]) -> Spoilt>,
}

/// An answer that is not what git said.
pub(crate) struct Spoilt {
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: End,
}

#[derive(Clone, Copy)]
pub(crate) enum End {
    Proper,
    Torn,
    Never,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) authorization: Option<String>,
    pub(crate) chunked: bool,
}

pub(crate) struct Host {
    pub(crate) folder: tempfile::TempDir,
    address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Held by everything that still runs for a request.
    running: Arc<()>,
}

impl Host {
    pub(crate) async fn start(ways: Ways) -> Self {
        Self::start_with(ways, None).await
    }

    pub(crate) async fn start_with(ways: Ways, tls: Option<TlsAcceptor>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https://localhost" } else { "http://127.0.0.1" };
        let address = format!("{scheme}:{}", listener.local_addr().unwrap().port());
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let running = Arc::new(());
        let server =
            Server { root: folder.path().into(), ways, seen: Arc::clone(&seen), running: Arc::downgrade(&running) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, tls) = (server.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => server.serve(stream).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                server.serve(stream).await;
                            }
                        }
                    }
                });
            }
        });
        Self { folder, address, seen, running }
    }

    /// A bare repository on this host.
    pub(crate) fn repository(&self, name: &str, settings: &[&str]) -> Repository {
        Repository::bare(self.folder.path(), name, &[&["http.receivepack=true"], settings].concat())
    }

    pub(crate) fn url(&self, name: &str) -> RemoteUrl {
        RemoteUrl::parse(&format!("{}/{name}", self.address)).unwrap()
    }

    pub(crate) fn remote(&self, name: &str) -> Remote {
        self.remote_as(name, None)
    }

    /// The same for a client that soon gives up on who says nothing.
    pub(crate) fn hasty(&self, name: &str) -> Remote {
        Remote::new(&client_with(Duration::from_millis(700)), self.url(name), None)
    }

    pub(crate) fn remote_as(&self, name: &str, authorization: Option<Authorization>) -> Remote {
        Remote::new(&client(), self.url(name), authorization)
    }

    /// Waits until a request in chunks has come, if one must, and until no git runs any more.
    pub(crate) async fn is_done(&self, chunked: bool) {
        let has_come = || self.seen.lock().unwrap().iter().any(|seen| seen.chunked);
        while (chunked && !has_come()) || Arc::strong_count(&self.running) > 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What it was asked since the last call.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

/// A client for plain HTTP, patient enough for a busy machine.
pub(crate) fn client() -> Client {
    client_with(Duration::from_secs(20))
}

pub(crate) fn client_with(silence: Duration) -> Client {
    let patience = Patience { silence, answer: Duration::from_secs(60), ..Patience::default() };
    Client::trusting(RootCertStore::empty(), patience).unwrap()
}

#[derive(Clone)]
struct Server {
    root: Arc<Path>,
    ways: Ways,
    seen: Arc<Mutex<Vec<Seen>>>,
    running: Weak<()>,
}

type Answer = Response<Pieces>;

impl Server {
    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = hyper::service::service_fn(move |request| {
            let server = self.clone();
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        let _a_torn_one_is_the_clients = connection.await;
    }

    async fn answer(self, request: Request<Incoming>) -> Answer {
        let text = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let authorization = text("authorization");
        let running = self.running.upgrade();
        self.seen.lock().unwrap().push(Seen {
            line: format!("{} {}", request.method(), request.uri()),
            authorization: authorization.clone(),
            chunked: text("transfer-encoding").as_deref() == Some("chunked"),
        });
        if self.ways.wants.is_some() && authorization.as_deref() != self.ways.wants {
            let mut answer = Response::new(Pieces::whole(format!("who is {authorization:?}?").into()));
            *answer.status_mut() = hyper::StatusCode::UNAUTHORIZED;
            answer.headers_mut().insert("content-type", HeaderValue::from_static("text/plain"));
            return answer;
        }
        let program = self.ways.git.as_deref().unwrap_or(Path::new("git"));
        let mut git = tokio::process::Command::from(crate::repository::git_of(program, &self.root));
        git.arg("http-backend")
            .env("GIT_PROJECT_ROOT", &*self.root)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("REMOTE_USER", "anna")
            .env("REQUEST_METHOD", request.method().as_str())
            .env("PATH_INFO", request.uri().path())
            .env("QUERY_STRING", request.uri().query().unwrap_or_default())
            .envs(text("content-type").map(|kind| ("CONTENT_TYPE", kind)))
            .envs(text("content-length").map(|length| ("CONTENT_LENGTH", length)))
            .envs(text("git-protocol").filter(|_| !self.ways.old).map(|version| ("GIT_PROTOCOL", version)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let adds = self.ways.adds.filter(|_| request.uri().query() == Some("service=git-receive-pack"));
        let is_fetch = request.uri().path().ends_with("/git-upload-pack");
        let mut child = git.spawn().unwrap();
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut body = request.into_body();
        tokio::spawn(async move {
            let mut takes_more = true;
            while let Some(Ok(frame)) = body.frame().await {
                // What git does not want any more is read away, or its answer would be lost with the connection.
                takes_more = takes_more && stdin.write_all(&frame.into_data().unwrap_or_default()).await.is_ok();
            }
        });
        let mut said = Vec::new();
        let head = loop {
            if let Some(end) = said.windows(4).position(|window| window == b"\r\n\r\n") {
                let rest = said.split_off(end + 4);
                break String::from_utf8(std::mem::replace(&mut said, rest)).unwrap();
            }
            assert!(stdout.read_buf(&mut said).await.unwrap() > 0, "git http-backend ended early");
        };
        let spoils = self.ways.spoils.filter(|_| is_fetch && head.contains("upload-pack-result"));
        let (sender, pieces) = mpsc::channel(2);
        tokio::spawn(async move {
            if let Some(spoil) = spoils {
                stdout.read_to_end(&mut said).await.unwrap();
                // An answer to ls-refs is left alone.
                let has_pack = said.windows(4).any(|window| window == b"PACK");
                let Spoilt { bytes, end } =
                    if has_pack { spoil(&said) } else { Spoilt { bytes: said, end: End::Proper } };
                // In pieces, so that little of it waits to be written when the connection is torn.
                for piece in bytes.chunks(64 * 1024) {
                    let _the_client_may_be_gone = sender.send(Ok(piece.to_vec().into())).await;
                }
                match end {
                    End::Proper => {}
                    End::Torn => drop(sender.send(Err(std::io::Error::other("torn"))).await),
                    End::Never => sender.closed().await,
                }
                return;
            }
            if let Some(capability) = adds {
                stdout.read_to_end(&mut said).await.unwrap();
                said = with_capability(&said, capability);
            }
            loop {
                if sender.send(Ok(std::mem::take(&mut said).into())).await.is_err() {
                    break;
                }
                said.reserve(64 * 1024);
                if stdout.read_buf(&mut said).await.unwrap_or_default() == 0 {
                    break;
                }
            }
            let _how_it_ended = child.wait().await;
            drop(running);
        });
        let mut answer = Response::new(Pieces(pieces));
        for line in head.lines().filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap();
            if name == "Status" {
                *answer.status_mut() = value[..3].parse().unwrap();
            } else {
                answer.headers_mut().insert(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
            }
        }
        answer
    }
}

/// The refs of a repository with one more word behind the first of them.
fn with_capability(listing: &[u8], capability: &str) -> Vec<u8> {
    let mut decoder = Decoder::default();
    decoder.feed(listing);
    let mut changed = Vec::new();
    while let Some(line) = decoder.next_pkt().unwrap() {
        match line {
            Pkt::Data(payload) if payload.contains(&0) => {
                let line = [payload.trim_ascii_end(), b" ", capability.as_bytes(), b"\n"].concat();
                pkt::write(&mut changed, &line).unwrap();
            }
            Pkt::Data(payload) => pkt::write(&mut changed, &payload).unwrap(),
            _ => pkt::write_flush(&mut changed),
        }
    }
    changed
}

/// An answer's body as it comes.
struct Pieces(mpsc::Receiver<std::io::Result<Bytes>>);

impl Pieces {
    fn whole(bytes: Bytes) -> Self {
        let (sender, pieces) = mpsc::channel(1);
        sender.try_send(Ok(bytes)).unwrap();
        Self(pieces)
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
