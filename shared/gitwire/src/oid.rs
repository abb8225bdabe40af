//! Object ids.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The SHA-1 id of an object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Oid([u8; 20]);

/// A text that is not an object id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOid {
    /// 64 hexadecimal digits: the repository uses the other object format.
    #[error("{0} is a sha256 object id; only sha1 is supported")]
    Sha256(String),
    /// Anything else.
    #[error("{0:?} is not an object id of 40 hexadecimal digits")]
    Malformed(String),
}

impl Oid {
    /// What stands for "no object" in ref commands.
    pub const ZERO: Self = Self([0; 20]);

    /// Reads 40 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, InvalidOid> {
        Self::parse_bytes(text.as_bytes())
    }

    pub(crate) fn parse_bytes(text: &[u8]) -> Result<Self, InvalidOid> {
        let mut id = [0; 20];
        match hex::decode_to_slice(text, &mut id) {
            Ok(()) => Ok(Self(id)),
            Err(_) if text.len() == 64 && text.iter().all(u8::is_ascii_hexdigit) => {
                Err(InvalidOid::Sha256(String::from_utf8_lossy(text).into_owned()))
            }
            Err(_) => Err(InvalidOid::Malformed(crate::error::quote(text))),
        }
    }

    /// Whether it stands for "no object".
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

impl From<[u8; 20]> for Oid {
    fn from(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }
}

impl std::str::FromStr for Oid {
    type Err = InvalidOid;

    fn from_str(text: &str) -> Result<Self, InvalidOid> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Oid {
    type Error = InvalidOid;

    fn try_from(text: String) -> Result<Self, InvalidOid> {
        Self::parse(&text)
    }
}

impl From<Oid> for String {
    fn from(id: Oid) -> Self {
        id.to_string()
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forty_digits_are_an_id_and_come_out_as_they_went_in() {
        let text = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(Oid::parse(text).unwrap().to_string(), text);
        assert_eq!(serde_json::to_string(&Oid::parse(text).unwrap()).unwrap(), format!("{text:?}"));
        assert!(Oid::parse(&"0".repeat(40)).unwrap().is_zero());
    }

    #[test]
    fn a_sha256_id_is_named_as_what_it_is() {
        assert!(matches!(Oid::parse(&"a".repeat(64)), Err(InvalidOid::Sha256(_))));
        for wrong in ["", "abc", &"a".repeat(39), &"g".repeat(40), &"a".repeat(41)] {
            assert!(matches!(Oid::parse(wrong), Err(InvalidOid::Malformed(_))), "{wrong}");
        }
    }
}
