//! Client request tokens: a request that is sent twice with the same one counts once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{Answer, ServiceError};

/// Longest token that is taken; AWS documents no length, and an SDK's are UUIDs.
const LONGEST: usize = 64;

/// The tokens that were used, by caller.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Tokens(BTreeMap<String, Used>);

#[derive(Debug, Serialize, Deserialize)]
struct Used {
    /// The SHA-256 of what was asked for.
    asked: String,
    /// The id of what was made.
    made: String,
}

/// A request with a token, as it is remembered.
#[derive(Debug)]
pub(super) struct Request {
    key: String,
    asked: String,
}

impl Request {
    /// None for a request without a token.
    pub(super) fn new(caller: &str, token: Option<&str>, asked: &Value) -> Option<Self> {
        let asked = hex::encode(Sha256::digest(asked.to_string()));
        token.map(|token| Self { key: format!("{caller} {token}"), asked })
    }
}

impl Tokens {
    /// What the same request made before, if it was there before.
    pub(super) fn find(&self, request: Option<&Request>) -> Answer<Option<&str>> {
        let Some(request) = request else { return Ok(None) };
        match self.0.get(&request.key) {
            None => Ok(None),
            Some(used) if used.asked == request.asked => Ok(Some(&used.made)),
            Some(_) => Err(ServiceError::bad(
                "IdempotencyParameterMismatchException",
                "the client request token was used for another request",
            )),
        }
    }

    /// Remembers what a request made.
    pub(super) fn note(&mut self, request: Option<Request>, made: impl Into<String>) {
        if let Some(Request { key, asked }) = request {
            self.0.insert(key, Used { asked, made: made.into() });
        }
    }

    /// Forgets the tokens of what is gone.
    pub(super) fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.0.retain(|_, used| is_there(&used.made));
    }
}

/// The `clientRequestToken` of an input, which may be missing.
pub(super) fn check_token(token: Option<String>) -> Answer<Option<String>> {
    let Some(token) = token else { return Ok(None) };
    if token.is_empty() {
        return Err(ServiceError::bad("ClientRequestTokenRequiredException", "the client request token is empty"));
    }
    if token.chars().count() > LONGEST || token.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(ServiceError::bad(
            "InvalidClientRequestTokenException",
            format!("a client request token has at most {LONGEST} characters, none of them a space"),
        ));
    }
    Ok(Some(token))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_belongs_to_its_caller_and_to_what_was_asked_with_it() {
        let mut tokens = Tokens::default();
        let request = |caller, title| Request::new(caller, Some("t"), &json!({ "title": title }));
        assert_eq!(tokens.find(request("anna", "one").as_ref()), Ok(None));
        tokens.note(request("anna", "one"), "7");
        assert_eq!(tokens.find(request("anna", "one").as_ref()), Ok(Some("7")));
        assert_eq!(tokens.find(request("ben", "two").as_ref()), Ok(None));
        let other = tokens.find(request("anna", "two").as_ref()).unwrap_err();
        assert_eq!(other.code, "IdempotencyParameterMismatchException");
        assert_eq!(tokens.find(Request::new("anna", None, &json!({})).as_ref()), Ok(None));
        tokens.retain(|made| made != "7");
        assert_eq!(tokens.find(request("anna", "two").as_ref()), Ok(None));
    }

    #[test]
    fn a_token_is_one_word_of_at_most_64_characters() {
        assert_eq!(check_token(None), Ok(None));
        let code = |token: &str| check_token(Some(token.to_owned())).unwrap_err().code;
        assert_eq!(code(""), "ClientRequestTokenRequiredException");
        assert_eq!(code("two words"), "InvalidClientRequestTokenException");
        assert_eq!(code(&"x".repeat(65)), "InvalidClientRequestTokenException");
    }
}
