//! For tests: a running cloud, and requests to it that are really signed and really sent.
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::auth::Credentials;
use crate::cloud::{Cloud, Running, Settings};

pub(crate) struct Client {
    pub(crate) running: Running,
    keys: Credentials,
}

impl Client {
    pub(crate) async fn start(dir: &std::path::Path) -> Self {
        Self::start_with(dir, None).await
    }

    pub(crate) async fn start_with(dir: &std::path::Path, page_size: Option<usize>) -> Self {
        let settings = Settings { dir: dir.to_owned(), port: 0, region: "eu-west-1".to_owned(), seed: 1, page_size };
        let running = Cloud::start(settings).await.unwrap();
        let keys = running.cloud.keys.user(&running.cloud.world, "tester");
        Self { running, keys }
    }

    /// The whole response as text, after a signed request.
    pub(crate) async fn send(
        &self,
        service: &str,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> String {
        let stamp = self.running.cloud.world.now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let date = &stamp[..8];
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let host = self.running.cloud.world.endpoint().trim_start_matches("http://").to_owned();
        let hash = hex::encode(Sha256::digest(body));
        let signed = "host;x-amz-content-sha256;x-amz-date";
        let canonical = format!(
            "{method}\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{hash}\nx-amz-date:{stamp}\n\n{signed}\n{hash}"
        );
        let scope = format!("{date}/eu-west-1/{service}/aws4_request");
        let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
        let mac = |key: &[u8], text: &str| {
            Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(text).finalize().into_bytes().to_vec()
        };
        let key = [date, "eu-west-1", service, "aws4_request"]
            .iter()
            .fold(format!("AWS4{}", self.keys.secret_access_key).into_bytes(), |key, part| mac(&key, part));
        let signature = hex::encode(mac(&key, &to_sign));
        let mut request = format!(
            "{method} {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\nx-amz-content-sha256: {hash}\r\nx-amz-date: {stamp}\r\ncontent-length: {}\r\nauthorization: AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed}, Signature={signature}\r\n",
            body.len(),
            self.keys.access_key_id
        );
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        self.exchange(&host, &format!("{request}\r\n{body}")).await
    }

    /// A page as a browser asks for it.
    pub(crate) async fn browse(&self, path: &str) -> String {
        let host = self.running.cloud.world.endpoint().trim_start_matches("http://").to_owned();
        self.exchange(&host, &format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")).await
    }

    /// An operation of SNS with its parameters.
    pub(crate) async fn sns(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).extend_pairs(parameters);
        self.send("sns", "POST", "/", &[], &form.finish()).await
    }

    async fn exchange(&self, host: &str, request: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response
    }
}
