//! Who calls: the keys that the local cloud hands out, and the signatures made with them.
//!
//! Signature Version 4 is checked in [`signature`]; the git password is checked here, as the AWS CLI's credential helper
//! makes it (method `GIT`, no payload hash, a timestamp without its `Z` in the string to sign). Who is not let in is told
//! why in the words of [`refusal`].

mod chunked;
mod refusal;
mod signature;

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use anyhow::Context;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::world::World;

pub(crate) use chunked::{Chunked, NotChunked};
pub use refusal::{Dialect, Refusal, Told};
pub use signature::{Scope, SignedParts};
pub(crate) use signature::{claimed_service, is_presigned, unsigned_query};

/// How far a caller's clock may be off, as on AWS.
const CLOCK_SKEW_SECONDS: i64 = 15 * 60;

/// Who made a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user's ARN, or the assumed-role session's.
    pub arn: String,
    /// The access key id the call was signed with.
    pub access_key_id: String,
}

impl Caller {
    /// The account whose keys the call was signed with.
    pub fn account(&self) -> &str {
        self.arn.split(':').nth(4).unwrap_or_default()
    }
}

/// A set of credentials that the local cloud handed out.
#[derive(Clone)]
pub struct Credentials {
    /// `AKIA...` for a user, `ASIA...` for a session.
    pub access_key_id: String,
    /// The secret; never logged.
    pub secret_access_key: String,
    /// The session's token; a user has none.
    pub session_token: Option<String>,
    /// The ARN of whoever holds them.
    pub arn: String,
    /// When they end; a user's never do.
    pub expires: Option<Timestamp>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).field("arn", &self.arn).finish()
    }
}

/// All keys that are good here. They live as long as the process: nothing is kept on disk.
#[cfg_attr(test, derive(Default))]
pub struct Keys {
    by_id: RwLock<HashMap<String, Credentials>>,
    /// What all secrets are made from. Ids may be guessed from the world's seed, secrets may not.
    source: [u8; 32],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    /// An empty ring, with a source of secrets that only this process knows.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn draw() -> anyhow::Result<Self> {
        Ok(Self { by_id: RwLock::default(), source: unguessable()? })
    }

    /// A secret that belongs to an access key id.
    fn secret(&self, access_key_id: &str, what: &str) -> String {
        hex::encode(mac(&self.source, &format!("{what} {access_key_id}")))
    }

    /// Long-lived keys of an IAM user.
    pub fn user(&self, world: &World, name: &str) -> Credentials {
        let access_key_id = format!("AKIA{}", world.hex(16).to_uppercase());
        self.add(Credentials {
            secret_access_key: self.secret(&access_key_id, "key"),
            access_key_id,
            session_token: None,
            arn: format!("arn:aws:iam::{}:user/{name}", world.account),
            expires: None,
        })
    }

    /// Keys of a role's session, good for an hour unless told otherwise.
    pub fn session(&self, world: &World, role: &str, session: &str, expires: Option<Timestamp>) -> Credentials {
        self.session_in(world, &world.account, role, session, expires)
    }

    /// The same for a role of any account.
    pub(crate) fn session_in(
        &self,
        world: &World,
        account: &str,
        role: &str,
        session: &str,
        expires: Option<Timestamp>,
    ) -> Credentials {
        let access_key_id = format!("ASIA{}", world.hex(16).to_uppercase());
        self.add(Credentials {
            secret_access_key: self.secret(&access_key_id, "key"),
            session_token: Some(self.secret(&access_key_id, "token")),
            access_key_id,
            arn: format!("arn:aws:sts::{account}:assumed-role/{role}/{session}"),
            expires,
        })
    }

    fn add(&self, credentials: Credentials) -> Credentials {
        let mut keys = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
        // Sessions that ran out a while ago are forgotten: every build makes one.
        let past = Timestamp::now() - SignedDuration::from_hours(1);
        keys.retain(|_, there| there.expires.is_none_or(|end| end > past));
        keys.insert(credentials.access_key_id.clone(), credentials.clone());
        credentials
    }

    fn find(&self, access_key_id: &str, token: Option<&str>, now: Timestamp) -> Result<Credentials, Refusal> {
        let keys = self.by_id.read().unwrap_or_else(PoisonError::into_inner);
        let found = keys.get(access_key_id).ok_or_else(|| Refusal::UnknownKey(access_key_id.to_owned()))?;
        if found.session_token.as_deref() != token {
            return Err(Refusal::WrongToken(token.unwrap_or_default().to_owned()));
        }
        if found.expires.is_some_and(|end| end <= now) {
            return Err(Refusal::SessionOver);
        }
        Ok(found.clone())
    }

    /// Checks the user name and password of a git request to `path` (`/v1/repos/NAME`) at one of `hosts`.
    ///
    /// # Errors
    /// Why not; git only sees a status.
    pub fn check_git(
        &self,
        user: &str,
        password: &str,
        hosts: &[&str],
        path: &str,
        region: &str,
        now: Timestamp,
    ) -> Result<Caller, Refusal> {
        let (id, token) = match user.split_once('%') {
            Some((id, token)) => (id, Some(token)),
            None => (user, None),
        };
        let keys = self.find(id, token, now)?;
        let malformed = || Refusal::Malformed("the git password is not TIMESTAMP + Z + signature".to_owned());
        let (stamp, signature) = password.split_once('Z').ok_or_else(malformed)?;
        let then = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S", stamp)
            .and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC))
            .map_err(|_| malformed())?;
        signature::check_clock(&format!("{stamp}Z"), then.timestamp(), now)?;
        let good =
            hosts.iter().any(|host| git_signature(&keys.secret_access_key, stamp, host, path, region) == signature);
        if !good {
            let (id, provided) = (id.to_owned(), signature.to_owned());
            return Err(Refusal::WrongSignature { id, provided, to_sign: String::new(), canonical: String::new() });
        }
        Ok(Caller { arn: keys.arn, access_key_id: keys.access_key_id })
    }
}

/// Bytes that nobody can guess; whatever is drawn from the world's seed can be.
///
/// # Errors
/// The system has no randomness to give.
pub(crate) fn unguessable() -> anyhow::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the system gives no random numbers")?;
    Ok(bytes)
}

/// The user name and password that git sends for a repository, as AWS's credential helper makes them.
///
/// `path` is the URL's path (`/v1/repos/NAME`), `host` its host with the port if it has one.
pub fn git_credentials(
    keys: (&str, &str, Option<&str>),
    host: &str,
    path: &str,
    region: &str,
    now: Timestamp,
) -> (String, String) {
    let (id, secret, token) = keys;
    let stamp = now.strftime("%Y%m%dT%H%M%S").to_string();
    let user = token.map_or_else(|| id.to_owned(), |token| format!("{id}%{token}"));
    let signature = git_signature(secret, &stamp, host, path, region);
    (user, format!("{stamp}Z{signature}"))
}

fn git_signature(secret: &str, stamp: &str, host: &str, path: &str, region: &str) -> String {
    let date = stamp.get(..8).unwrap_or_default();
    let canonical = format!("GIT\n{path}\n\nhost:{host}\n\nhost\n");
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{stamp}\n{date}/{region}/codecommit/aws4_request\n{}",
        hex::encode(Sha256::digest(canonical))
    );
    sign(secret, date, region, "codecommit", &to_sign)
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    Hmac::<Sha256>::new_from_slice(key)
        .map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec())
        .unwrap_or_default()
}

fn signing_key(secret: &str, date: &str, region: &str, service: &str) -> Vec<u8> {
    [date, region, service, "aws4_request"]
        .iter()
        .fold(format!("AWS4{secret}").into_bytes(), |key, part| mac(&key, part))
}

fn sign(secret: &str, date: &str, region: &str, service: &str, to_sign: &str) -> String {
    hex::encode(mac(&signing_key(secret, date, region, service), to_sign))
}

#[cfg(test)]
mod tests;
