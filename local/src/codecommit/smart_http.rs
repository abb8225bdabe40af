//! git's smart HTTP protocol: `git http-backend` behind the password check, streamed both ways.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Frame;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use signalbox_events::RepositoryName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::mpsc;

use super::events::{Move, RefChange};
use super::git::{Backend, GitFailure};
use super::receive::{Command, CommandReader, Commands, MOST_REFS, ReportReader};
use super::repositories::{Repositories, Repository};
use crate::auth::Caller;
use crate::http::{Broken, Response, Upload, whole};
use crate::iam::gate;

/// How much is read from git at once; four such pieces wait for a slow client at most.
const PIECE: usize = 32 * 1024;
/// After a push of so many refs they are put into one file.
const MANY_REFS: usize = 64;
/// More header than `git http-backend` would ever print.
const LARGEST_HEADER: usize = 16 * 1024;

/// What a git client wants of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// `GET .../info/refs?service=`: what there is.
    Refs(Service),
    /// `POST .../git-upload-pack` or `.../git-receive-pack`.
    Exchange(Service),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    UploadPack,
    ReceivePack,
}

impl Service {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "git-upload-pack" => Some(Self::UploadPack),
            "git-receive-pack" => Some(Self::ReceivePack),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }
}

/// An answer without git: the status and a sentence, which git shows to its user.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    text: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    fn broken(what: impl std::fmt::Display) -> Self {
        tracing::error!(%what, "cannot serve git");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the local cloud failed: {what}"))
    }

    pub(crate) fn render(self) -> Response {
        let mut response = hyper::Response::new(whole(format!("{}\n", self.text)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("text/plain; charset=utf-8"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert("www-authenticate", HeaderValue::from_static("Basic realm=\"CodeCommit\""));
        }
        response
    }
}

/// Answers one request below `/v1/repos/` of a caller whose password was good.
pub(super) async fn serve(repositories: &Arc<Repositories>, head: Parts, body: Upload, caller: Caller) -> Response {
    answer(repositories, &head, body, caller).await.unwrap_or_else(Refusal::render)
}

async fn answer(
    repositories: &Arc<Repositories>,
    head: &Parts,
    body: Upload,
    caller: Caller,
) -> Result<Response, Refusal> {
    let (name, wanted) = parse_target(&head.method, head.uri.path(), head.uri.query().unwrap_or_default())?;
    let admitted = match wanted {
        Wanted::Refs(Service::UploadPack) | Wanted::Exchange(Service::UploadPack) => {
            gate::admit_pull(&repositories.world, &name, &caller)
        }
        // Which references it is about is only known once its commands are read; then it is asked for them.
        Wanted::Refs(Service::ReceivePack) | Wanted::Exchange(Service::ReceivePack) => {
            gate::admit_push(&repositories.world, &name, &caller)
        }
    };
    admitted.map_err(|refused| Refusal::new(StatusCode::FORBIDDEN, refused.to_string()))?;
    let repository = RepositoryName::parse(name.clone())
        .ok()
        .and_then(|name| repositories.find(&name).ok())
        .ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, format!("repository {name} does not exist")))?;
    let exchange = Exchange { repositories: Arc::clone(repositories), repository, caller };
    match wanted {
        Wanted::Refs(_) | Wanted::Exchange(Service::UploadPack) => {
            let backend = exchange.backend(wanted, &head.headers)?;
            exchange.stream(backend, Vec::new(), body, None).await
        }
        Wanted::Exchange(Service::ReceivePack) => exchange.receive(&head.headers, body).await,
    }
}

/// Takes `/v1/repos/NAME/info/refs` and the like apart. There is no `.git` behind a name on CodeCommit.
fn parse_target(method: &Method, path: &str, query: &str) -> Result<(String, Wanted), Refusal> {
    let nothing = || Refusal::new(StatusCode::NOT_FOUND, "there is nothing here but git repositories");
    let (name, rest) = path.strip_prefix("/v1/repos/").and_then(|rest| rest.split_once('/')).ok_or_else(nothing)?;
    let wanted = match (method, rest) {
        (&Method::GET, "info/refs") => {
            let mut fields = form_urlencoded::parse(query.as_bytes());
            let service = fields.find_map(|(key, value)| (key == "service").then(|| Service::parse(&value)).flatten());
            Wanted::Refs(service.ok_or_else(|| {
                Refusal::new(StatusCode::FORBIDDEN, "only git's smart protocol is spoken here; use a newer git")
            })?)
        }
        (&Method::POST, service) => Wanted::Exchange(Service::parse(service).ok_or_else(nothing)?),
        _ => return Err(nothing()),
    };
    Ok((name.to_owned(), wanted))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// git said all it had to say.
    Reached,
    /// The client went away; git is to be stopped.
    Abandoned,
}

/// One request that was let in.
struct Exchange {
    repositories: Arc<Repositories>,
    repository: Repository,
    caller: Caller,
}

impl Exchange {
    fn backend(&self, wanted: Wanted, headers: &HeaderMap) -> Result<Backend, Refusal> {
        let name = &self.repository.name;
        let (method, path, query) = match wanted {
            Wanted::Refs(service) => ("GET", format!("/{name}.git/info/refs"), format!("service={}", service.name())),
            Wanted::Exchange(service) => ("POST", format!("/{name}.git/{}", service.name()), String::new()),
        };
        // No CONTENT_LENGTH: then git reads to the end of its input, whether the body came with a length or in chunks.
        let mut variables = vec![
            ("REQUEST_METHOD", method),
            ("PATH_INFO", &*path),
            ("QUERY_STRING", &*query),
            ("REMOTE_USER", &*self.caller.access_key_id),
            ("REMOTE_ADDR", "127.0.0.1"),
        ];
        let mut pass_on = |variable, header| {
            if let Some(value) = text(headers, header) {
                variables.push((variable, value));
            }
        };
        pass_on("CONTENT_TYPE", "content-type");
        pass_on("HTTP_CONTENT_ENCODING", "content-encoding");
        pass_on("GIT_PROTOCOL", "git-protocol");
        self.repositories.git.http_backend(&self.repositories.root, &variables).map_err(Refusal::broken)
    }

    /// A push: its commands are read before git sees them, its report while the client does.
    async fn receive(self, headers: &HeaderMap, mut body: Upload) -> Result<Response, Refusal> {
        let encoding = text(headers, "content-encoding").unwrap_or("identity");
        if encoding != "identity" {
            // No git compresses a push, which is a pack already; and the commands must be read.
            return Err(Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("a push with Content-Encoding {encoding} is not taken; send it as it is"),
            ));
        }
        let mut reader = CommandReader::default();
        let malformed = |wrong: super::receive::Malformed| Refusal::new(StatusCode::BAD_REQUEST, wrong.to_string());
        let broken = |broken: Broken| {
            let status = match broken {
                Broken::CutOff(_) => StatusCode::BAD_REQUEST,
                Broken::Stalled => StatusCode::REQUEST_TIMEOUT,
            };
            Refusal::new(status, format!("the push cannot be read: {broken}"))
        };
        while let Some(piece) = body.piece().await {
            let data = piece.map_err(broken)?;
            if reader.feed(&data).map_err(malformed)? {
                break;
            }
        }
        let (commands, first) = reader.finish();
        if commands.list.len() > MOST_REFS {
            let reason = format!("at most {MOST_REFS} references in one push");
            return self.refuse(&commands, &reason, body).await;
        }
        let name = self.repository.name.as_str();
        let refused = commands.list.iter().map(Command::name).find_map(|reference| {
            let refusal = gate::admit_push_to(&self.repositories.world, name, reference, &self.caller).err()?;
            Some((reference, refusal))
        });
        if let Some((reference, refusal)) = refused {
            let reason = match commands.list.len() {
                1 => refusal.to_string(),
                _ => format!("{refusal}; the whole push is refused because of {reference}"),
            };
            return self.refuse(&commands, &reason, body).await;
        }
        let backend = self.backend(Wanted::Exchange(Service::ReceivePack), headers)?;
        self.stream(backend, first, body, Some(commands)).await
    }

    async fn refuse(self, commands: &Commands, reason: &str, mut body: Upload) -> Result<Response, Refusal> {
        // The client reads the answer only after it has sent everything.
        while let Some(Ok(_)) = body.piece().await {}
        if !commands.are_reported() {
            return Err(Refusal::new(StatusCode::FORBIDDEN, reason));
        }
        let mut response = hyper::Response::new(whole(commands.refusal(reason)));
        let kind = HeaderValue::from_static("application/x-git-receive-pack-result");
        response.headers_mut().insert("content-type", kind);
        Ok(response)
    }

    /// Feeds the request to git and git's answer to the client, each as fast as the slower side takes it.
    async fn stream(
        self,
        mut backend: Backend,
        first: Vec<u8>,
        body: Upload,
        push: Option<Commands>,
    ) -> Result<Response, Refusal> {
        let child = &mut backend.child;
        let (Some(stdin), Some(mut stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Refusal::broken("git http-backend has no streams"));
        };
        let feed = tokio::spawn(feed(stdin, first, body));
        tokio::spawn(log_errors(stderr));
        let (sender, receiver) = mpsc::channel(2);
        // On a task of its own from here on: a client that hangs up must not leave a push without its events.
        let (head_sender, head_receiver) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let head = read_head(&mut stdout).await;
            let rest = match head {
                Ok((response, rest)) => {
                    let _the_client_may_be_gone = head_sender.send(Ok(response));
                    rest
                }
                Err(refusal) => {
                    let _the_client_may_be_gone = head_sender.send(Err(refusal));
                    return;
                }
            };
            if self.pump(stdout, rest, push, &sender).await == End::Reached {
                let _ended_or_aborted = feed.await;
                let _the_report_told_all = backend.child.wait().await;
            }
        });
        let mut response =
            head_receiver.await.unwrap_or_else(|_| Err(Refusal::broken("git http-backend gave no answer")))?;
        *response.body_mut() = Pieces(receiver).boxed();
        Ok(response)
    }

    /// Hands git's answer on. A push goes on without its client; anything else ends with it.
    async fn pump(
        &self,
        mut stdout: ChildStdout,
        rest: Vec<u8>,
        push: Option<Commands>,
        sender: &mpsc::Sender<std::io::Result<Frame<Bytes>>>,
    ) -> End {
        let mut report = push.as_ref().map(ReportReader::new);
        let mut piece = rest;
        let mut client_is_there = true;
        let mut failed = None;
        loop {
            if let Some(Err(error)) = report.as_mut().map(|report| report.feed(&piece)) {
                tracing::error!(repo.name = %self.repository.name, %error, "cannot read git's report of a push");
                report = None;
            }
            if client_is_there && !piece.is_empty() {
                client_is_there = sender.send(Ok(Frame::data(Bytes::from(piece)))).await.is_ok();
            }
            if !client_is_there && push.is_none() {
                return End::Abandoned;
            }
            let mut buffer = Vec::with_capacity(PIECE);
            match stdout.read_buf(&mut buffer).await {
                Ok(0) => break,
                Ok(_) => piece = buffer,
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        // Before the client sees the end: whoever waits for its push can rely on the events being out.
        if let Some(commands) = push {
            let changes = self.changes(&commands, report.filter(|_| commands.are_reported())).await;
            let many = changes.len() >= MANY_REFS;
            self.repositories.tell(&self.repository, changes, &self.caller).await;
            if many {
                self.pack_refs().await;
            }
        }
        if let Some(error) = failed {
            let _the_client_may_be_gone = sender.send(Err(error)).await;
        }
        End::Reached
    }

    /// A file for each of many refs makes every listing slow. No `gc` runs here that would put them together.
    async fn pack_refs(&self) {
        let packed = self.repositories.git.run(&*self.repository.dir, &["pack-refs", "--all"], b"").await;
        if let Err(error) = packed {
            tracing::warn!(repo.name = %self.repository.name, %error, "the refs stay files of their own");
        }
    }

    /// What a push changed: by git's report, or for a client that wants none by what the refs are now.
    async fn changes(&self, commands: &Commands, report: Option<ReportReader>) -> Vec<RefChange> {
        let looked = match report {
            Some(report) => Ok(commands.changes(|name| report.is_done(name))),
            None => self.changes_by_refs(commands).await,
        };
        let looked = match looked {
            Ok(changes) => self.without_empty_deletions(changes).await,
            failed => failed,
        };
        looked.unwrap_or_else(|error| {
            tracing::error!(repo.name = %self.repository.name, %error, "cannot see what a push changed");
            Vec::new()
        })
    }

    async fn changes_by_refs(&self, commands: &Commands) -> Result<Vec<RefChange>, GitFailure> {
        let names: Vec<String> = commands.list.iter().map(|command| command.name().to_owned()).collect();
        let now = self.repositories.git.objects(&self.repository.dir, &names).await?;
        let pairs = commands.list.iter().zip(&now);
        let done: HashSet<&str> = pairs
            .filter(|(command, now)| command.target() == now.as_ref())
            .map(|(command, _)| command.name())
            .collect();
        Ok(commands.changes(|name| done.contains(name)))
    }

    /// git says `ok` to the deletion of a ref that was never there, when the client makes up what it was.
    async fn without_empty_deletions(&self, changes: Vec<RefChange>) -> Result<Vec<RefChange>, GitFailure> {
        let old = |change: &RefChange| match &change.how {
            Move::Deleted(old) => Some(old.to_string()),
            _ => None,
        };
        let asked: Vec<String> = changes.iter().filter_map(old).collect();
        if asked.is_empty() {
            return Ok(changes);
        }
        let found = self.repositories.git.objects(&self.repository.dir, &asked).await?;
        let known: HashSet<String> = found.into_iter().flatten().map(|id| id.to_string()).collect();
        let really = |change: &RefChange| old(change).is_none_or(|old| known.contains(&old));
        Ok(changes.into_iter().filter(really).collect())
    }
}

/// Writes the request's body to git; the end of the body is the end of git's input, and so is its client's silence.
async fn feed(mut stdin: ChildStdin, first: Vec<u8>, mut body: Upload) {
    let mut takes_more = stdin.write_all(&first).await.is_ok();
    drop(first);
    while let Some(piece) = body.piece().await {
        match piece {
            // A git that has seen enough closes its input; the rest is read away, or the client would never look up.
            Ok(data) if takes_more => takes_more = stdin.write_all(&data).await.is_ok(),
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "a git client sends no more");
                break;
            }
        }
    }
}

async fn log_errors(mut stderr: tokio::process::ChildStderr) {
    let mut said = Vec::new();
    let _what_was_said_until_then = (&mut stderr).take(8 * 1024).read_to_end(&mut said).await;
    if !said.is_empty() {
        tracing::debug!(said = %String::from_utf8_lossy(&said).trim(), "git http-backend");
    }
    let _nobody_reads_on = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
}

/// Reads the CGI header and gives the response without its body, and what of the body came along.
async fn read_head(stdout: &mut ChildStdout) -> Result<(Response, Vec<u8>), Refusal> {
    let mut buffer = Vec::with_capacity(PIECE);
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = buffer.split_off(end + 4);
            return Ok((parse_head(&String::from_utf8_lossy(&buffer))?, rest));
        }
        if buffer.len() > LARGEST_HEADER {
            return Err(Refusal::broken("git http-backend printed no header"));
        }
        match stdout.read_buf(&mut buffer).await {
            Ok(0) => return Err(Refusal::broken("git http-backend ended without an answer")),
            Ok(_) => {}
            Err(error) => return Err(Refusal::broken(error)),
        }
    }
}

fn parse_head(text: &str) -> Result<Response, Refusal> {
    let mut response = hyper::Response::new(whole(""));
    for line in text.lines().filter(|line| !line.is_empty()) {
        let wrong = || Refusal::broken(format!("git http-backend printed {line:?}"));
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().unwrap_or_default();
            *response.status_mut() = StatusCode::from_bytes(code.as_bytes()).map_err(|_| wrong())?;
        } else {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
            response.headers_mut().append(name, HeaderValue::from_str(value).map_err(|_| wrong())?);
        }
    }
    Ok(response)
}

/// A response's body that comes in pieces.
struct Pieces(mpsc::Receiver<std::io::Result<Frame<Bytes>>>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.0.poll_recv(context)
    }
}

#[cfg(test)]
#[path = "smart_http_tests.rs"]
mod tests;
