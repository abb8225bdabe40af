//! The client, and one repository behind it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client as Connections;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

use super::authorization::Authorization;
use super::body::{RequestBody, Watched};
use super::connect::Prompt;
use super::failure::{Cause, Failure, cause_of};
use super::url::RemoteUrl;
use crate::{Advertisement, AdvertisementReader, Outcome, Reader, Report, Version};

/// Hosts tell git from browsers by how this begins.
const NAME: &str = concat!("git/signalbox-", env!("CARGO_PKG_VERSION"));
/// As many redirects as git follows at most, and a few fewer.
const MOST_REDIRECTS: usize = 5;
/// Longer pages than this are no sentence for a person.
const MOST_WORDS: usize = 1024;

/// How long is waited for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For a connection, the handshake of TLS included.
    pub connect: Duration,
    /// For the beginning of the list of refs, which a server has at hand.
    pub greeting: Duration,
    /// For the beginning of an answer: a server may have much to do first, and after a pack it has to check it.
    pub answer: Duration,
    /// For the next byte of an answer, or for the target to take the next piece of a pack. git's servers give a sign of life
    /// every five seconds.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect: seconds(10), greeting: seconds(60), answer: seconds(300), silence: seconds(60) }
    }
}

/// The system names no certificate authority at all.
#[derive(Debug, thiserror::Error)]
#[error(
    "no certificate authorities were found on this system (SSL_CERT_FILE and SSL_CERT_DIR are looked at, too): {0}"
)]
pub struct NoCertificates(String);

/// At most so many repositories are remembered by what their hosts can do.
const MOST_KNOWN: usize = 64;

/// Connections to git hosts. To be made once: reading the system's certificates is the dearest part.
#[derive(Debug, Clone)]
pub struct Client {
    connections: Connections<Prompt, RequestBody>,
    patience: Patience,
    /// What sources of protocol version 2 can do: what they have is asked for by itself there.
    abilities: Arc<Mutex<HashMap<String, Advertisement>>>,
}

impl Client {
    /// A client that trusts whom the system trusts, private authorities in `SSL_CERT_FILE` included.
    pub fn new(patience: Patience) -> Result<Self, NoCertificates> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (taken, _unreadable) = roots.add_parsable_certificates(found.certs);
        if taken == 0 {
            let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
            return Err(NoCertificates(errors.join("; ")));
        }
        Self::trusting(roots, patience)
    }

    /// A client that trusts these authorities and no other.
    pub fn trusting(roots: RootCertStore, patience: Patience) -> Result<Self, NoCertificates> {
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| NoCertificates(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        // The scheme was looked at where the address was taken.
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(patience.connect));
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let connections = Connections::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            // A function that was frozen in between must not write into a connection that is long gone.
            .pool_idle_timeout(Duration::from_secs(20))
            .build(Prompt::new(connector, patience.connect));
        Ok(Self { connections, patience, abilities: Arc::default() })
    }

    /// What the source at this place can do, if it was asked before and did not come up against it.
    pub(crate) fn abilities(&self, url: &RemoteUrl) -> Option<Advertisement> {
        self.lock_abilities().get(&url.to_string()).cloned()
    }

    pub(crate) fn remember_abilities(&self, url: &RemoteUrl, abilities: &Advertisement) {
        let mut known = self.lock_abilities();
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(url.to_string(), abilities.clone());
    }

    pub(crate) fn forget_abilities(&self, url: &RemoteUrl) {
        self.lock_abilities().remove(&url.to_string());
    }

    fn lock_abilities(&self) -> MutexGuard<'_, HashMap<String, Advertisement>> {
        self.abilities.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One repository, as a source or a target.
#[derive(Debug, Clone)]
pub struct Remote {
    client: Client,
    url: RemoteUrl,
    authorization: Option<Authorization>,
}

/// The two services of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    UploadPack,
    ReceivePack,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }
}

impl Remote {
    /// A repository and the credential for its host.
    pub fn new(client: &Client, url: RemoteUrl, authorization: Option<Authorization>) -> Self {
        Self { client: client.clone(), url, authorization }
    }

    /// Where it is; behind a redirect, where that led.
    pub fn url(&self) -> &RemoteUrl {
        &self.url
    }

    pub(crate) fn patience(&self) -> Patience {
        self.client.patience
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// What became of a push, without the credential, should the target have repeated it.
    pub(crate) fn scrubbed(&self, mut report: Report) -> Report {
        let Some(authorization) = &self.authorization else { return report };
        report.messages = authorization.scrub(&report.messages);
        report.unpack = report.unpack.map_err(|words| authorization.scrub(&words));
        for result in &mut report.results {
            if let Outcome::Refused(words) = &mut result.outcome {
                *words = authorization.scrub(words);
            }
        }
        report
    }

    /// A failure of this repository.
    pub(crate) fn failure(&self, doing: &'static str, cause: impl Into<Cause>) -> Failure {
        Failure { doing, place: self.url.to_string(), cause: cause.into() }.scrubbed(self.authorization.as_ref())
    }

    /// Asks a service what it is; gives the repository as it is reached from here on.
    pub(crate) async fn greet(mut self, service: Service) -> Result<(Self, Advertisement), Failure> {
        const DOING: &str = "cannot read the refs of";
        let page = format!("info/refs?service={}", service.name());
        for _ in 0..=MOST_REDIRECTS {
            let uri = self.url.page(&page);
            let request = uri.map_err(|error| Cause::Request(Box::new(error))).and_then(|uri| {
                let mut request = self.request(Method::GET, uri, RequestBody::Whole(None))?;
                // Nobody speaks version 2 for a push, and some servers are confused by it.
                if service == Service::UploadPack {
                    request.headers_mut().insert("git-protocol", HeaderValue::from_static("version=2"));
                }
                Ok(request)
            });
            let answer = async { self.send(request?).await };
            let response = self.in_time(answer, self.client.patience.greeting).await;
            let response = response.map_err(|cause| self.failure(DOING, cause))?;
            if !response.status().is_redirection() {
                let kind = format!("application/x-{}-advertisement", service.name());
                let read = self.read(response, &kind, AdvertisementReader::default()).await;
                let advertisement = read.map_err(|cause| self.failure(DOING, cause))?;
                return Ok((self, advertisement));
            }
            let location = location(&response);
            let Some(url) = self.url.redirected(location, &page) else {
                return Err(self.failure(DOING, Cause::Redirected(place_of(location))));
            };
            if !url.has_host_of(&self.url) {
                self.authorization = None;
            }
            self.url = url;
        }
        Err(self.failure(DOING, Cause::Redirected("itself again and again".to_owned())))
    }

    /// Sends a request to a service and gives its answer once that has begun and is git's.
    pub(crate) async fn ask(
        &self,
        service: Service,
        version_2: Option<HeaderValue>,
        body: RequestBody,
    ) -> Result<Watched, Cause> {
        self.in_time(self.ask_patiently(service, version_2, body), self.client.patience.answer).await
    }

    /// The same without an end to the waiting, for a request that takes as long as it takes.
    pub(crate) async fn ask_patiently(
        &self,
        service: Service,
        version_2: Option<HeaderValue>,
        body: RequestBody,
    ) -> Result<Watched, Cause> {
        let name = service.name();
        let uri = self.url.page(name).map_err(|error| Cause::Request(Box::new(error)))?;
        let mut request = self.request(Method::POST, uri, body)?;
        let headers = request.headers_mut();
        let header = |text: String| HeaderValue::try_from(text).map_err(|error| Cause::Request(Box::new(error)));
        headers.insert(CONTENT_TYPE, header(format!("application/x-{name}-request"))?);
        headers.insert(ACCEPT, header(format!("application/x-{name}-result"))?);
        if let Some(version) = version_2 {
            headers.insert("git-protocol", version);
        }
        let response = self.send(request).await?;
        if response.status().is_redirection() {
            return Err(Cause::Redirected(place_of(location(&response))));
        }
        self.accept(response, &format!("application/x-{name}-result")).await
    }

    fn request(&self, method: Method, uri: Uri, body: RequestBody) -> Result<Request<RequestBody>, Cause> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(NAME));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.header());
        }
        Ok(request)
    }

    async fn send(&self, request: Request<RequestBody>) -> Result<Response<hyper::body::Incoming>, Cause> {
        self.client.connections.request(request).await.map_err(cause_of)
    }

    pub(crate) async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, Cause>>,
        after: Duration,
    ) -> Result<T, Cause> {
        match tokio::time::timeout(after, answer).await {
            Ok(answered) => answered,
            Err(_) => Err(Cause::Stalled { what: "the host has not answered", after }),
        }
    }

    /// Looks at status and kind of an answer.
    async fn accept(&self, response: Response<hyper::body::Incoming>, kind: &str) -> Result<Watched, Cause> {
        let (head, body) = response.into_parts();
        let mut body = Watched::new(body, self.client.patience.silence);
        let told = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let told = told.split(';').next().unwrap_or_default().trim();
        if head.status != StatusCode::OK {
            let words = if told == "text/plain" { first_words(&mut body).await } else { String::new() };
            return Err(refusal(head.status, words));
        }
        if !told.eq_ignore_ascii_case(kind) {
            let told = if told.is_empty() { "of no kind" } else { told };
            return Err(Cause::NotGit(crate::error::quote(told.as_bytes())));
        }
        Ok(body)
    }

    async fn read<R: Reader>(
        &self,
        response: Response<hyper::body::Incoming>,
        kind: &str,
        reader: R,
    ) -> Result<R::Output, Cause> {
        let body = self.accept(response, kind).await?;
        read_all(body, reader).await
    }
}

/// Reads an answer to its end.
pub(crate) async fn read_all<R: Reader>(mut body: Watched, mut reader: R) -> Result<R::Output, Cause> {
    while let Some(piece) = body.data().await {
        reader.feed(&piece?)?;
    }
    Ok(reader.finish()?)
}

fn refusal(status: StatusCode, words: String) -> Cause {
    match status.as_u16() {
        401 => Cause::Unauthorized(words),
        403 => Cause::Forbidden(words),
        status @ (404 | 410) => Cause::NotFound { status, words },
        411 => Cause::LengthRequired { most: super::target::HELD },
        status => Cause::Status { status, words },
    }
}

async fn first_words(body: &mut Watched) -> String {
    let mut said: Vec<u8> = Vec::new();
    while let Some(Ok(piece)) = body.data().await
        && said.len() < MOST_WORDS
    {
        said.extend(piece.iter().take(MOST_WORDS));
    }
    crate::error::quote(&said)
}

fn location(response: &Response<hyper::body::Incoming>) -> &str {
    response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// A redirect's target without anything that may be secret.
fn place_of(location: &str) -> String {
    let uri = location.parse::<Uri>().ok();
    let Some(uri) = uri else { return "nowhere".to_owned() };
    let host = uri.authority().map(|authority| authority.as_str().rsplit('@').next().unwrap_or_default().to_owned());
    let scheme = uri.scheme_str().map(|scheme| format!("{scheme}://")).unwrap_or_default();
    crate::error::quote(format!("{scheme}{}{}", host.unwrap_or_default(), uri.path()).as_bytes())
}

/// Version 2 is asked for again with every request.
pub(crate) fn version_2(server: &Advertisement) -> Option<HeaderValue> {
    (server.version == Version::V2).then(|| HeaderValue::from_static("version=2"))
}

/// A body that is known from the start.
pub(crate) fn whole(bytes: Vec<u8>) -> RequestBody {
    RequestBody::Whole(Some(Bytes::from(bytes)))
}
