//! The credential of a remote.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;

/// Fewer letters than this at the end of a sentence are no part of a secret, but of a word.
const LEAST_SECRET: usize = 4;

/// The value of an `Authorization` header, which shows itself nowhere else.
#[derive(Clone)]
pub struct Authorization {
    header: HeaderValue,
    /// What is taken out of a server's words, should it repeat it.
    secrets: Vec<String>,
}

/// A credential that does not fit into a header. It is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAuthorization {
    /// Control characters, such as a line end behind a token that came from a file.
    #[error("the credential contains a line end or another control character")]
    Characters,
    /// `Basic` separates user and password by a colon.
    #[error("the credential's user name contains a colon")]
    User,
}

impl Authorization {
    /// A user and a password or token.
    pub fn basic(user: &str, password: &str) -> Result<Self, InvalidAuthorization> {
        if user.contains(':') {
            return Err(InvalidAuthorization::User);
        }
        if user.contains(char::is_control) || password.contains(char::is_control) {
            return Err(InvalidAuthorization::Characters);
        }
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        Self::new(&format!("Basic {encoded}"), vec![encoded, password.to_owned()])
    }

    fn new(value: &str, mut secrets: Vec<String>) -> Result<Self, InvalidAuthorization> {
        let mut header = HeaderValue::from_str(value).map_err(|_| InvalidAuthorization::Characters)?;
        header.set_sensitive(true);
        secrets.retain(|secret| !secret.is_empty());
        Ok(Self { header, secrets })
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// A server's words without the credential.
    pub(crate) fn scrub(&self, words: &str) -> String {
        self.secrets.iter().fold(words.to_owned(), |words, secret| {
            let mut words = words.replace(secret, "***");
            // Words that were cut may end within it.
            let beginnings = secret.char_indices().map(|(at, _)| at).filter(|at| *at >= LEAST_SECRET).rev();
            let end = beginnings.filter_map(|at| secret.get(..at)).find(|beginning| words.ends_with(beginning));
            if let Some(end) = end {
                words.truncate(words.len() - end.len());
                words.push_str("***");
            }
            words
        })
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorization(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_in_its_header_and_nowhere_else() {
        let basic = Authorization::basic("anna", "s3cret").unwrap();
        assert_eq!(basic.header(), "Basic YW5uYTpzM2NyZXQ=");
        assert!(basic.header().is_sensitive());
        assert_eq!(format!("{basic:?}"), "Authorization(***)");
        assert_eq!(basic.scrub("no: s3cret, YW5uYTpzM2NyZXQ="), "no: ***, ***");
        // A sentence that was cut within it.
        assert_eq!(basic.scrub("no: s3cr"), "no: ***");
        assert_eq!(basic.scrub("it is, as"), "it is, as");
        assert_eq!(Authorization::basic("anna", "").unwrap().scrub("a word"), "a word");
    }

    #[test]
    fn what_no_header_can_carry_is_refused() {
        assert_eq!(Authorization::basic("a", "b\n").unwrap_err(), InvalidAuthorization::Characters);
        assert_eq!(Authorization::basic("a:b", "c").unwrap_err(), InvalidAuthorization::User);
    }
}
