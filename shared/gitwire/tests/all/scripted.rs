//! A server that says, byte by byte, what a test wants.

use std::sync::{Arc, Mutex};

use signalbox_gitwire::http::RemoteUrl;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What comes back for a request line.
pub(crate) enum Say {
    /// These bytes, and the connection ends.
    Bytes(Vec<u8>),
    /// These bytes, and then nothing more, ever.
    Hang(Vec<u8>),
}

pub(crate) struct Scripted {
    pub(crate) address: String,
    heads: Arc<Mutex<Vec<String>>>,
}

/// An answer of one kind.
pub(crate) fn answer(status: &str, kind: &str, body: &[u8]) -> Say {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    Say::Bytes([head.as_bytes(), body].concat())
}

pub(crate) fn redirect(location: &str) -> Say {
    Say::Bytes(
        format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            .into_bytes(),
    )
}

impl Scripted {
    pub(crate) async fn start(script: impl Fn(&str) -> Say + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let (script, seen) = (Arc::new(script), Arc::clone(&heads));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, seen) = (Arc::clone(&script), Arc::clone(&seen));
                tokio::spawn(async move { serve(stream, &*script, &seen).await });
            }
        });
        Self { address, heads }
    }

    pub(crate) fn url(&self) -> RemoteUrl {
        RemoteUrl::parse(&format!("{}/acme/payments.git", self.address)).unwrap()
    }

    /// The heads of the requests so far, in small letters.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, script: &(dyn Fn(&str) -> Say + Send + Sync), seen: &Mutex<Vec<String>>) {
    let mut request = Vec::new();
    let end = loop {
        if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut request).await.unwrap_or_default() == 0 {
            return;
        }
    };
    let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    while request.len() < end + length && stream.read_buf(&mut request).await.unwrap_or_default() > 0 {}
    seen.lock().unwrap().push(head.clone());
    let (bytes, hangs) = match script(head.lines().next().unwrap_or_default()) {
        Say::Bytes(bytes) => (bytes, false),
        Say::Hang(bytes) => (bytes, true),
    };
    let _the_client_may_be_gone = stream.write_all(&bytes).await;
    if hangs {
        std::future::pending::<()>().await;
    }
}
