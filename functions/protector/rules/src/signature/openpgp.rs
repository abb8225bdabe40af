//! OpenPGP signatures, as `git commit -S` makes them with gpg.
//!
//! A key is judged at the moment that the signature names, which is claimed: a key that expired later does not spoil what was signed before. One that was
//! given away must be revoked, which spoils all that it ever signed; one that was only replaced or retired spoils what it signed later.

use pgp::composed::{Deserializable, DetachedSignature, SignedPublicKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{KeyFlags, RevocationCode, Signature as Packet, SignatureType};
use pgp::types::{KeyDetails, Tag, Timestamp};

use super::{Signature, Worth};

pub(super) const BEGIN: &str = "-----BEGIN PGP SIGNATURE-----";

/// Certificates, with what they say of their keys.
#[derive(Debug, Default)]
pub(super) struct Certificates {
    read: Vec<(SignedPublicKey, Vec<Key>)>,
}

/// One key of a certificate.
#[derive(Debug, Clone)]
struct Key {
    /// Which subkey; none for the primary key.
    subkey: Option<usize>,
    may_sign: bool,
    /// In seconds of Unix time.
    made: u64,
    expires: Option<u64>,
    revoked: Option<Revoked>,
}

#[derive(Debug, Clone, Copy)]
enum Revoked {
    /// For whatever time: somebody else may have it.
    Always,
    /// From then on.
    Since(u64),
}

impl Certificates {
    /// Reads all that can be read.
    pub(super) fn read<'a>(blocks: impl Iterator<Item = &'a str>) -> Self {
        let read = blocks.flat_map(certificates).map(|certificate| {
            let keys = keys_of(&certificate);
            (certificate, keys)
        });
        Self { read: read.collect() }
    }

    /// Checks a signature with the key that it names.
    pub(super) fn check(&self, text: &str, content: &[u8]) -> Signature {
        let packet = match DetachedSignature::from_string(text) {
            Ok((signature, _)) => signature.signature,
            Err(error) => return Signature::Spoilt { why: error.to_string() },
        };
        if !matches!(packet.typ(), Some(SignatureType::Binary | SignatureType::Text)) {
            return Signature::Spoilt { why: "it is no signature of a text".to_owned() };
        }
        // The best that any key makes of it: ids may meet by chance.
        let mut found: Option<Signature> = None;
        for (certificate, keys) in &self.read {
            for key in keys.iter().filter(|key| is_named(&packet, certificate, key)) {
                let signer = name(certificate);
                let worth = worth(&packet, certificate, key, content);
                if worth == Worth::Good {
                    return Signature::By { signer, worth };
                }
                found = found.or(Some(Signature::By { signer, worth }));
            }
        }
        found.unwrap_or_else(|| Signature::By { signer: issuer(&packet), worth: Worth::NoKey })
    }
}

/// The fingerprints of the certificates of a block.
pub(super) fn fingerprints(block: &str) -> Vec<String> {
    certificates(block).iter().map(name).collect()
}

fn certificates(block: &str) -> Vec<SignedPublicKey> {
    match SignedPublicKey::from_string_many(block) {
        Ok((found, _)) => found.filter_map(Result::ok).collect(),
        Err(_) => Vec::new(),
    }
}

fn name(certificate: &SignedPublicKey) -> String {
    format!("{:X}", certificate.primary_key.fingerprint())
}

fn issuer(packet: &Packet) -> String {
    let fingerprint = packet.issuer_fingerprint().first().map(|id| format!("{id:X}"));
    let id = || packet.issuer_key_id().first().map(|id| id.as_ref().iter().map(|byte| format!("{byte:02X}")).collect());
    fingerprint.or_else(id).unwrap_or_else(|| "a key that it does not name".to_owned())
}

/// Whether the signature names this key; one that names none may be of any.
fn is_named(packet: &Packet, certificate: &SignedPublicKey, key: &Key) -> bool {
    let (fingerprint, id) = match key.subkey.and_then(|at| certificate.public_subkeys.get(at)) {
        Some(subkey) => (subkey.key.fingerprint(), subkey.key.legacy_key_id()),
        None => (certificate.primary_key.fingerprint(), certificate.primary_key.legacy_key_id()),
    };
    let (fingerprints, ids) = (packet.issuer_fingerprint(), packet.issuer_key_id());
    (fingerprints.is_empty() && ids.is_empty())
        || fingerprints.contains(&&fingerprint)
        || (fingerprints.is_empty() && ids.contains(&&id))
}

fn worth(packet: &Packet, certificate: &SignedPublicKey, key: &Key, content: &[u8]) -> Worth {
    let checked = match key.subkey.and_then(|at| certificate.public_subkeys.get(at)) {
        Some(subkey) => packet.verify(&subkey.key, content),
        None => packet.verify(&certificate.primary_key, content),
    };
    if checked.is_err() {
        return Worth::OtherContent;
    }
    if let Some(hash @ (HashAlgorithm::Md5 | HashAlgorithm::Sha1 | HashAlgorithm::Ripemd160)) = packet.hash_alg() {
        return Worth::Weak { hash: hash.to_string() };
    }
    let at = packet.created().map(seconds);
    match (key.revoked, at) {
        (Some(Revoked::Always), _) | (Some(Revoked::Since(_)), None) => return Worth::Revoked,
        (Some(Revoked::Since(since)), Some(at)) if at >= since => return Worth::Revoked,
        _ => {}
    }
    let is_in_time = at.is_some_and(|at| at >= key.made && key.expires.is_none_or(|expires| at < expires));
    if !is_in_time {
        return Worth::Expired;
    }
    if key.may_sign { Worth::Good } else { Worth::NotForSigning }
}

/// The keys of a certificate, by those of its own signatures that hold.
fn keys_of(certificate: &SignedPublicKey) -> Vec<Key> {
    let primary = &certificate.primary_key;
    let direct = certificate.details.direct_signatures.iter().filter(|packet| packet.verify_key(primary).is_ok());
    let users = certificate.details.users.iter().flat_map(|user| {
        let own = user.signatures.iter().filter(|packet| packet.is_certification());
        own.filter(|packet| packet.verify_certification(primary, Tag::UserId, &user.id).is_ok())
    });
    let newest = direct.chain(users).max_by_key(|packet| packet.created().map(seconds));
    let revocations = certificate.details.revocation_signatures.iter();
    let revoked = revoked(revocations.filter(|packet| packet.verify_key(primary).is_ok()));
    let made = seconds(primary.created_at());
    let whole = Key {
        subkey: None,
        // A key that does not say what it is for is for everything.
        may_sign: newest.is_some_and(|packet| packet.key_flags().sign() || packet.key_flags() == KeyFlags::default()),
        made,
        expires: newest.and_then(|packet| expiry(packet, made)),
        revoked,
    };
    let mut keys = vec![whole.clone()];
    for (at, subkey) in certificate.public_subkeys.iter().enumerate() {
        let holds =
            subkey.signatures.iter().filter(|packet| packet.verify_subkey_binding(primary, &subkey.key).is_ok());
        let (bindings, revocations): (Vec<&Packet>, Vec<&Packet>) =
            holds.partition(|packet| packet.typ() == Some(SignatureType::SubkeyBinding));
        let newest = bindings.into_iter().max_by_key(|packet| packet.created().map(seconds));
        let made = seconds(subkey.key.created_at());
        let expires = newest.and_then(|packet| expiry(packet, made));
        keys.push(Key {
            subkey: Some(at),
            // It must have agreed itself: else anybody could claim the key of somebody else.
            may_sign: newest.is_some_and(|packet| {
                let back = packet.embedded_signature();
                packet.key_flags().sign()
                    && back.is_some_and(|back| back.verify_primary_key_binding(&subkey.key, primary).is_ok())
            }),
            made,
            expires: expires.into_iter().chain(whole.expires).min(),
            revoked: whole.revoked.or_else(|| self::revoked(revocations.into_iter())),
        });
    }
    keys
}

fn revoked<'a>(revocations: impl Iterator<Item = &'a Packet>) -> Option<Revoked> {
    let mut found = None;
    for packet in revocations {
        let is_soft =
            matches!(packet.revocation_reason_code(), Some(RevocationCode::KeySuperseded | RevocationCode::KeyRetired));
        let since = packet.created().map(seconds).filter(|_| is_soft);
        found = match (found, since) {
            (Some(Revoked::Always), _) | (_, None) => Some(Revoked::Always),
            (Some(Revoked::Since(earlier)), Some(since)) => Some(Revoked::Since(since.min(earlier))),
            (None, Some(since)) => Some(Revoked::Since(since)),
        };
    }
    found
}

fn expiry(packet: &Packet, made: u64) -> Option<u64> {
    let after = packet.key_expiration_time().map(|after| u64::from(after.as_secs())).filter(|after| *after > 0);
    after.map(|after| made.saturating_add(after))
}

fn seconds(at: Timestamp) -> u64 {
    u64::from(at.as_secs())
}
