//! SSH signatures (SSHSIG), as `git commit -S` makes them with `gpg.format = ssh`.

use ssh_key::{Algorithm, HashAlg, PublicKey, SshSig};

use super::{Signature, Worth};

pub(super) const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
/// What git says that it signs for.
const NAMESPACE: &str = "git";

/// Checks a signature with the key that it brings along.
pub(super) fn check(text: &str, content: &[u8]) -> Signature {
    let signature = match SshSig::from_pem(format!("{text}\n")) {
        Ok(signature) => signature,
        Err(error) => return Signature::Spoilt { why: error.to_string() },
    };
    let key = PublicKey::from(signature.public_key().clone());
    if let Algorithm::Dsa | Algorithm::Other(_) = key.algorithm() {
        return Signature::Unsupported { kind: format!("an SSH signature by a key {}", key.algorithm()) };
    }
    let worth = if let Algorithm::Rsa { hash: None } = signature.algorithm() {
        Worth::Weak { hash: "SHA-1".to_owned() }
    } else if signature.namespace() != NAMESPACE {
        Worth::Namespace(signature.namespace().to_owned())
    } else if key.verify(NAMESPACE, content, &signature).is_ok() {
        Worth::Good
    } else {
        Worth::OtherContent
    };
    Signature::By { signer: id(&key), worth }
}

/// How a key is named: as `ssh-keygen -l` does it.
pub(super) fn fingerprint(key: &str) -> Option<String> {
    PublicKey::from_openssh(key).ok().map(|key| id(&key))
}

fn id(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}
