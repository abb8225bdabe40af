//! The certificate of the one endpoint: git-remote-codecommit and whoever is told so speaks HTTPS to it.
//!
//! An authority of its own signs it once and is gone: its key is never written, so nobody can make another certificate
//! that clients of this one would trust. `DIR/ca.pem` is what they are told to trust; `DIR/tls.pem` has the certificate
//! and its key and is its owner's alone.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::{Span, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// What clients are told to trust, below the cloud's folder.
pub(crate) const CA_FILE: &str = "ca.pem";
/// The certificate and its key.
const OWN_FILE: &str = "tls.pem";
/// How long a certificate is good: less than the 398 days after which some clients take none.
const DAYS: i64 = 397;
/// A certificate that ends sooner is made anew at the start of a local cloud.
const DAYS_LEFT: u64 = 30;

/// The certificate as it lies in the folder.
struct Own {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// Takes the certificate of the folder for these names, or makes one where there is none that fits.
///
/// # Errors
/// The files cannot be written or read back.
pub(super) fn acceptor(dir: &Path, names: &[String], now: Timestamp) -> anyhow::Result<TlsAcceptor> {
    let provider = Arc::new(ring::default_provider());
    let own = match kept(dir, names, now, &provider) {
        Ok(own) => own,
        Err(why) => {
            tracing::debug!(why = format!("{why:#}"), "a certificate is made");
            make(dir, names, now).context("cannot make a certificate")?;
            kept(dir, names, now, &provider).context("the certificate that was just made does not fit")?
        }
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(own.chain, own.key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Reads what is there and holds it against what a client will: who signed it, for which names, until when; and against
/// its key.
fn kept(dir: &Path, names: &[String], now: Timestamp, provider: &Arc<CryptoProvider>) -> anyhow::Result<Own> {
    let ca = std::fs::read(dir.join(CA_FILE))?;
    let file = dir.join(OWN_FILE);
    let pem = std::fs::read(&file)?;
    let own = Own { chain: vec![CertificateDer::from_pem_slice(&pem)?], key: PrivateKeyDer::from_pem_slice(&pem)? };
    ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(own.chain.clone(), own.key.clone_key())?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&ca)?)?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build()?;
    let now = Duration::from_secs(now.as_second().try_into()?);
    let leaf = own.chain.first().context("there is no certificate")?;
    for name in names {
        let name = ServerName::try_from(name.clone())?;
        for moment in [now, now + Duration::from_hours(24 * DAYS_LEFT)] {
            verifier.verify_server_cert(leaf, &[], &name, &[], UnixTime::since_unix_epoch(moment))?;
        }
    }
    Ok(own)
}

fn make(dir: &Path, names: &[String], now: Timestamp) -> anyhow::Result<()> {
    let day = |moment: Timestamp| -> anyhow::Result<_> {
        let day = moment.to_zoned(jiff::tz::TimeZone::UTC).date();
        Ok(rcgen::date_time_ymd(day.year().into(), day.month().try_into()?, day.day().try_into()?))
    };
    // A day back: a client's clock may be a little behind.
    let (from, until) = (day(now - Span::new().hours(24))?, day(now + Span::new().hours(24 * DAYS))?);
    let params = |name: &str, names: &[String]| -> anyhow::Result<CertificateParams> {
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) = (from, until);
        Ok(params)
    };
    let mut authority = params("Signalbox local cloud: authority", &[])?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority_key = KeyPair::generate()?;
    let ca = authority.self_signed(&authority_key)?;
    let mut own = params("Signalbox local cloud", names)?;
    own.use_authority_key_identifier_extension = true;
    own.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    own.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let signed = own.signed_by(&key, &Issuer::from_params(&authority, &authority_key))?;
    write(dir, OWN_FILE, 0o600, &format!("{}{}", signed.pem(), key.serialize_pem()))?;
    write(dir, CA_FILE, 0o644, &ca.pem())
}

/// Writes a file whole, readable by whom `mode` says from its first byte on.
fn write(dir: &Path, name: &str, mode: u32, text: &str) -> anyhow::Result<()> {
    let (file, beside) = (dir.join(name), dir.join(format!("{name}.new")));
    // What an earlier attempt left behind may have another mode.
    let _nothing_left_behind = std::fs::remove_file(&beside);
    let mut options = File::options();
    let mut opened = options
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)
        .with_context(|| format!("cannot write {}", beside.display()))?;
    opened.write_all(text.as_bytes())?;
    opened.sync_all()?;
    std::fs::rename(&beside, &file).with_context(|| format!("cannot write {}", file.display()))
}

/// The names under which the endpoint is reached: this machine's, and a git host for each region as AWS has one. No star
/// for the buckets that S3 clients put before a host: no client takes `*.localhost`.
pub(super) fn names<'a>(regions: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    names.extend(regions.into_iter().map(|region| format!("git-codecommit.{region}.localhost")));
    names
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_certificate_is_kept_until_it_runs_out_or_does_not_fit() {
        let dir = tempfile::tempdir().unwrap();
        let names = names(["eu-west-1"]);
        let now = Timestamp::now();
        let open = |names: &[String], now: Timestamp| {
            acceptor(dir.path(), names, now).unwrap();
            (std::fs::read(dir.path().join(CA_FILE)).unwrap(), std::fs::read(dir.path().join(OWN_FILE)).unwrap())
        };
        let first = open(&names, now);
        let mode = |file: &str| std::fs::metadata(dir.path().join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(OWN_FILE), mode(CA_FILE)), (0o600, 0o644));
        assert!(!String::from_utf8_lossy(&first.0).contains("PRIVATE KEY"));
        assert_eq!(open(&names, now), first, "it is kept");
        assert_eq!(open(&names, now + Span::new().hours(24 * 360)), first, "it is good for a year");

        let later = open(&names, now + Span::new().hours(24 * 370));
        assert_ne!(later, first, "it would have run out soon");
        let now = now + Span::new().hours(24 * 370);
        let more = super::names(["eu-west-1", "us-east-1"]);
        let wider = open(&more, now);
        assert_ne!(wider, later, "a name was missing");
        std::fs::write(dir.path().join(CA_FILE), &first.0).unwrap();
        let healed = open(&more, now);
        assert!(healed.0 != first.0 && healed != wider, "another authority did not sign it");
        std::fs::write(dir.path().join(OWN_FILE), "not a certificate").unwrap();
        assert_ne!(open(&more, now), healed);
    }
}
