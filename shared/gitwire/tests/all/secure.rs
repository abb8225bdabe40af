//! TLS, with an authority of our own.

use std::sync::Arc;

use signalbox_gitwire::http::{Cause, Client, Kind, Patience, Remote};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::host::{Host, Ways};

fn certificate() -> (CertificateDer<'static>, TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    (certificate, TlsAcceptor::from(Arc::new(config)))
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_told_and_only_then() {
    let (certificate, acceptor) = certificate();
    let host = Host::start_with(Ways::default(), Some(acceptor)).await;
    host.repository("s.git", &[]).commit("main", "a", b"a\n");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let trusting = Client::trusting(roots, Patience::default()).unwrap();
    let source = Remote::new(&trusting, host.url("s.git"), None).source(&[]).await.unwrap();
    assert_eq!(source.listing.refs.len(), 1);

    let failure = host.remote("s.git").source(&[]).await.unwrap_err();
    assert!(matches!(failure.cause, Cause::Untrusted(_)) && failure.kind() == Kind::Refused, "{failure:?}");
}
