//! For tests: a running cloud, and requests to it that are really signed and really sent.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::auth::Credentials;
use crate::cloud::{Cloud, Running, Settings};

/// Longer than any answer takes; a test that waits on is stuck.
const PATIENCE: Duration = Duration::from_secs(30);

/// A cloud with a user who calls it.
pub(crate) struct Client {
    pub(crate) running: Running,
    pub(crate) keys: Credentials,
}

impl Client {
    pub(crate) async fn start(dir: &Path) -> Self {
        Self::start_in(dir, &["eu-west-1"]).await
    }

    pub(crate) async fn start_in(dir: &Path, regions: &[&str]) -> Self {
        let regions = regions.iter().map(|&region| region.to_owned()).collect();
        Self::start_with(Settings { regions, ..Settings::new(dir) }).await
    }

    pub(crate) async fn start_with(settings: Settings) -> Self {
        let running = Cloud::start(settings).await.unwrap();
        let keys = running.cloud.keys.user(&running.cloud.world, "developer");
        Self { running, keys }
    }

    /// `127.0.0.1:PORT`
    pub(crate) fn address(&self) -> String {
        self.running.cloud.world.endpoint().trim_start_matches("http://").to_owned()
    }

    /// A request that is not signed yet.
    pub(crate) fn draft(&self, service: &'static str, method: &'static str, target: &str) -> Draft {
        Draft {
            keys: self.keys.clone(),
            moment: self.running.cloud.world.now(),
            region: "eu-west-1".to_owned(),
            service,
            method,
            target: target.to_owned(),
            host: self.address(),
            headers: Vec::new(),
            body: Vec::new(),
            payload: None,
        }
    }

    /// The whole response as text, after a signed request.
    pub(crate) async fn send(
        &self,
        service: &'static str,
        method: &'static str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> String {
        let mut draft = self.draft(service, method, target).body(body);
        for (name, value) in headers {
            draft = draft.header(name, value);
        }
        self.exchange(&draft.sign()).await
    }

    /// A page as a browser asks for it.
    pub(crate) async fn browse(&self, path: &str) -> String {
        self.exchange(&page(path, &self.address())).await
    }

    /// An operation of SNS with its parameters.
    pub(crate) async fn sns(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", "2010-03-31").extend_pairs(parameters);
        self.send("sns", "POST", "/", &[], &form.finish()).await
    }

    /// Sends bytes over a connection of their own and reads until the other side closes it.
    pub(crate) async fn exchange(&self, request: &[u8]) -> String {
        exchange_over(TcpStream::connect(self.address()).await.unwrap(), request).await
    }

    /// A TLS connection of a client that trusts the authority in `ca` and no other.
    pub(crate) async fn connect_tls(&self, ca: &Path, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(self.address()).await?;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

/// What a browser sends for a page.
pub(crate) fn page(path: &str, host: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").into_bytes()
}

/// Sends bytes and reads until the other side closes the connection.
pub(crate) async fn exchange_over(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> String {
    let mut response = Vec::new();
    let both = async {
        // A server may answer and close before it has read everything.
        let _what_it_took = stream.write_all(request).await;
        let _ended_or_reset = stream.read_to_end(&mut response).await;
    };
    tokio::time::timeout(PATIENCE, both).await.expect("the server neither answered nor closed");
    String::from_utf8_lossy(&response).into_owned()
}

/// A request, before it is signed. The signing here knows nothing of the checking in `auth`.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) keys: Credentials,
    pub(crate) moment: Timestamp,
    pub(crate) region: String,
    pub(crate) service: &'static str,
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) host: String,
    /// Sent as they are; of them only `x-amz-` ones are signed.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// What `x-amz-content-sha256` says instead of the body's hash.
    pub(crate) payload: Option<String>,
}

impl Draft {
    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn stamp(&self) -> String {
        self.moment.strftime("%Y%m%dT%H%M%SZ").to_string()
    }

    fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", &self.stamp()[..8], self.region, self.service)
    }

    fn signature(&self, canonical: &str) -> String {
        let digest = hex::encode(Sha256::digest(canonical));
        self.sign_text(&format!("AWS4-HMAC-SHA256\n{}\n{}\n{digest}", self.stamp(), self.scope()))
    }

    /// The signature of a chunk behind another signature.
    pub(crate) fn sign_chunk(&self, before: &str, chunk: &[u8]) -> String {
        let digest = |bytes: &[u8]| hex::encode(Sha256::digest(bytes));
        let (nothing, chunk) = (digest(b""), digest(chunk));
        let (stamp, scope) = (self.stamp(), self.scope());
        self.sign_text(&format!("AWS4-HMAC-SHA256-PAYLOAD\n{stamp}\n{scope}\n{before}\n{nothing}\n{chunk}"))
    }

    /// The signature of the head as it is now.
    pub(crate) fn seed(&self) -> String {
        let signed = String::from_utf8(self.sign()).unwrap();
        signed.split("Signature=").nth(1).unwrap()[..64].to_owned()
    }

    fn sign_text(&self, to_sign: &str) -> String {
        let mac = |key: &[u8], text: &str| {
            Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(text).finalize().into_bytes().to_vec()
        };
        let secret = format!("AWS4{}", self.keys.secret_access_key).into_bytes();
        let key = self.scope().split('/').fold(secret, |key, part| mac(&key, part));
        hex::encode(mac(&key, to_sign))
    }

    /// The request's bytes, signed in its header; the connection ends with the answer.
    pub(crate) fn sign(&self) -> Vec<u8> {
        let hash = self.payload.clone().unwrap_or_else(|| hex::encode(Sha256::digest(&self.body)));
        let mut signed: Vec<(String, String)> = vec![
            ("host".to_owned(), self.host.clone()),
            ("x-amz-content-sha256".to_owned(), hash.clone()),
            ("x-amz-date".to_owned(), self.stamp()),
        ];
        if let Some(token) = &self.keys.session_token {
            signed.push(("x-amz-security-token".to_owned(), token.clone()));
        }
        let (more, unsigned): (Vec<_>, Vec<_>) =
            self.headers.iter().cloned().partition(|(name, _)| name.starts_with("x-amz-") && name != "x-amz-target");
        signed.extend(more);
        signed.sort();
        let names = signed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
        let lines: String = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let signature =
            self.signature(&format!("{}\n{path}\n{}\n{lines}\n{names}\n{hash}", self.method, in_order(query)));
        let mut head = format!("{} {} HTTP/1.1\r\nconnection: close\r\n", self.method, self.target);
        for (name, value) in signed.iter().chain(&unsigned) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.headers.iter().any(|(name, _)| matches!(name.as_str(), "content-length" | "transfer-encoding")) {
            head.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        head.push_str(&format!(
            "authorization: AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={names}, Signature={signature}\r\n\r\n",
            self.keys.access_key_id,
            self.scope()
        ));
        [head.into_bytes(), self.body.clone()].concat()
    }

    /// The request with its signature in the address, good for so many seconds.
    pub(crate) fn presign(&self, seconds: i64) -> Vec<u8> {
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let credential = format!("{}/{}", self.keys.access_key_id, self.scope()).replace('/', "%2F");
        let stamp = self.stamp();
        let mut query = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={stamp}&X-Amz-Expires={seconds}&X-Amz-SignedHeaders=host&{query}"
        );
        if let Some(token) = &self.keys.session_token {
            query.push_str(&format!("&X-Amz-Security-Token={token}"));
        }
        let query = in_order(&query);
        let host = &self.host;
        let signature =
            self.signature(&format!("{}\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD", self.method));
        let length = self.body.len();
        let head = format!(
            "{} {path}?{query}&X-Amz-Signature={signature} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n",
            self.method
        );
        [head.into_bytes(), self.body.clone()].concat()
    }
}

/// A query as it is signed: each field with its `=`, in order. Tests write it encoded already.
fn in_order(query: &str) -> String {
    let mut fields: Vec<String> = query
        .split('&')
        .filter(|field| !field.is_empty())
        .map(|field| if field.contains('=') { field.to_owned() } else { format!("{field}=") })
        .collect();
    fields.sort();
    fields.join("&")
}
