//! The one port: plain HTTP and TLS alike, told apart by a connection's first byte.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::{Front, route, tls};
use crate::cloud::Regions;

/// The first byte of a TLS connection, a handshake record; no HTTP method begins with it.
const HANDSHAKE: u8 = 0x16;

/// Listens on loopback only.
///
/// # Errors
/// A port that is taken, with what to do about it.
pub(crate) async fn listen(port: u16) -> anyhow::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await.with_context(|| {
        format!("cannot listen on 127.0.0.1:{port}; is another local cloud running? choose another port with --port, or 0 for any")
    })
}

/// The certificate of the endpoint, kept in the cloud's folder.
///
/// # Errors
/// The folder cannot be written.
pub(crate) fn secure(regions: &Regions) -> anyhow::Result<TlsAcceptor> {
    let world = &regions.home.world;
    let names = tls::names(regions.iter().map(|cloud| cloud.world.region.as_str()));
    tls::acceptor(&world.dir, &names, world.now())
}

/// Answers until the task is dropped; its connections end with it.
pub(crate) async fn serve(listener: TcpListener, acceptor: TlsAcceptor, front: Front) {
    let front = Arc::new(front);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // An answer in pieces must not wait for the client to acknowledge each. Without it they only come later.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "a connection keeps small pieces back");
                    }
                    connections.spawn(take(stream, acceptor.clone(), Arc::clone(&front)));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Finds out what a connection speaks, and answers it.
async fn take(stream: TcpStream, acceptor: TlsAcceptor, front: Arc<Front>) {
    let mut first = [0];
    match tokio::time::timeout(front.silence, stream.peek(&mut first)).await {
        Ok(Ok(1)) if first == [HANDSHAKE] => match tokio::time::timeout(front.silence, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => answer(stream, front).await,
            // Most often a client that was not told to trust DIR/ca.pem.
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake was never finished"),
        },
        Ok(Ok(1)) => answer(stream, front).await,
        Ok(_) => {}
        Err(_) => tracing::debug!("a connection never sent anything"),
    }
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin, front: Arc<Front>) {
    let silence = front.silence;
    let service = service_fn(move |request| {
        let front = Arc::clone(&front);
        async move { crate::chaos::let_through(route(&front, request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(silence)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}
