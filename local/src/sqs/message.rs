//! A message as callers see it, and the digests by which they check what they sent.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use crate::error::{Answer, ServiceError};

/// The most attributes that a message may have.
const MOST_ATTRIBUTES: usize = 10;

/// A message that was received: its body, its receipt and what the queue knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The message's id.
    pub id: String,
    /// What deletes it or changes its visibility; good until it is received again.
    pub receipt: String,
    /// The body.
    pub body: String,
    /// The sender's attributes.
    pub attributes: BTreeMap<String, MessageAttribute>,
    /// `SenderId`, `SentTimestamp`, `ApproximateReceiveCount` and the others.
    pub system_attributes: BTreeMap<String, String>,
}

impl Message {
    /// The MD5 digest of the body, in hex.
    pub fn md5(&self) -> String {
        md5_of_body(&self.body)
    }
}

/// An attribute of a message: a text or bytes, with its type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct MessageAttribute {
    /// `String`, `Number` or `Binary`, each with an optional `.LABEL`.
    pub data_type: String,
    /// The text, for `String` and `Number`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub string_value: Option<String>,
    /// The bytes in base64, for `Binary`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary_value: Option<String>,
}

impl MessageAttribute {
    /// A `String` attribute.
    pub fn string(text: impl Into<String>) -> Self {
        Self { data_type: "String".to_owned(), string_value: Some(text.into()), binary_value: None }
    }

    fn value(&self) -> Vec<u8> {
        match (&self.string_value, &self.binary_value) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, Some(bytes)) => STANDARD.decode(bytes).unwrap_or_default(),
            (None, None) => Vec::new(),
        }
    }

    fn check(&self, name: &str) -> Answer<()> {
        let wrong =
            |reason: &str| invalid_value(format!("The message attribute '{name}' is not valid. Reason: {reason}"));
        let kind = self.data_type.split('.').next().unwrap_or_default();
        match (kind, &self.string_value, &self.binary_value) {
            ("String", Some(text), None) if !text.is_empty() => check_characters(text),
            ("Number", Some(text), None) if text.parse::<f64>().is_ok_and(f64::is_finite) => Ok(()),
            ("Binary", None, Some(bytes)) if STANDARD.decode(bytes).is_ok_and(|bytes| !bytes.is_empty()) => Ok(()),
            ("String" | "Number", ..) => Err(wrong("it needs a StringValue that fits its DataType, and only that")),
            ("Binary", ..) => Err(wrong("it needs a BinaryValue in base64, and only that")),
            _ => Err(wrong("its DataType must be String, Number or Binary, with a .label if wanted")),
        }
    }
}

fn invalid_value(message: String) -> ServiceError {
    ServiceError::bad("InvalidParameterValue", message)
}

/// Checks what is to be sent against the queue's largest size.
pub(super) fn check_message(body: &str, attributes: &BTreeMap<String, MessageAttribute>, largest: u64) -> Answer<()> {
    if body.is_empty() {
        return Err(ServiceError::bad("MissingParameter", "The request must contain the parameter MessageBody."));
    }
    check_characters(body)?;
    if attributes.len() > MOST_ATTRIBUTES {
        return Err(invalid_value(format!(
            "A message may have {MOST_ATTRIBUTES} attributes, not {}.",
            attributes.len()
        )));
    }
    for (name, attribute) in attributes {
        check_name(name)?;
        attribute.check(name)?;
    }
    let size = size(body, attributes);
    if u64::try_from(size).unwrap_or(u64::MAX) > largest {
        return Err(invalid_value(format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {largest} bytes, it has {size}."
        )));
    }
    Ok(())
}

/// What counts against the largest size: the body and the attributes' names, types and values.
pub(super) fn size(body: &str, attributes: &BTreeMap<String, MessageAttribute>) -> usize {
    let attributes =
        attributes.iter().map(|(name, attribute)| name.len() + attribute.data_type.len() + attribute.value().len());
    body.len() + attributes.sum::<usize>()
}

fn check_name(name: &str) -> Answer<()> {
    let lower = name.to_ascii_lowercase();
    let good = (1..=256).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        && !lower.starts_with("aws.")
        && !lower.starts_with("amazon.")
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..");
    if good {
        return Ok(());
    }
    Err(invalid_value(format!(
        "The message attribute name '{name}' is not valid: 1 to 256 of letters, digits, _ - and . that do not start with AWS. or Amazon."
    )))
}

fn check_characters(text: &str) -> Answer<()> {
    let forbidden = |c: char| (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}');
    match text.chars().find(|c| forbidden(*c)) {
        None => Ok(()),
        Some(character) => Err(ServiceError::bad(
            "InvalidMessageContents",
            format!("Invalid character U+{:04X} was found in the message.", u32::from(character)),
        )),
    }
}

/// The MD5 digest of a body, in hex.
pub(super) fn md5_of_body(body: &str) -> String {
    hex::encode(Md5::digest(body))
}

/// The MD5 digest of attributes as AWS documents it: sorted by name, each part with its length; none for no attributes.
pub(super) fn md5_of_attributes(attributes: &BTreeMap<String, MessageAttribute>) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut digest = Md5::new();
    for (name, attribute) in attributes {
        let value = attribute.value();
        let transport: &[u8] = if attribute.string_value.is_some() { &[1] } else { &[2] };
        for (before, part) in
            [(&[][..], name.as_bytes()), (&[][..], attribute.data_type.as_bytes()), (transport, value.as_slice())]
        {
            digest.update(before);
            digest.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            digest.update(part);
        }
    }
    Some(hex::encode(digest.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digests_are_those_that_the_sdks_compute() {
        assert_eq!(md5_of_body("This is a test message"), "fafb00f5732ab283681e124bf8747ed1");
        assert_eq!(md5_of_attributes(&BTreeMap::new()), None);
        let of = |kind: &str| {
            let stamp = MessageAttribute { data_type: kind.to_owned(), ..MessageAttribute::string("1493147359900") };
            md5_of_attributes(&BTreeMap::from([("timestamp".to_owned(), stamp)])).unwrap()
        };
        assert_eq!(of("Number"), "235c5c510d26fb653d073faed50ae77c");
        assert_eq!(of("Number.java.lang.Long"), "2e2e4876d8e0bd6b8c2c8f556831c349");
    }

    #[test]
    fn attributes_that_aws_refuses_are_refused() {
        let with = |name: &str, attribute: MessageAttribute| {
            check_message("body", &BTreeMap::from([(name.to_owned(), attribute)]), 1024)
        };
        with("RULE_ARN", MessageAttribute::string("x")).unwrap();
        assert!(with("AWS.Trace", MessageAttribute::string("x")).is_err());
        assert!(with("a", MessageAttribute::string("")).is_err());
        let number = MessageAttribute { data_type: "Number.int".to_owned(), ..MessageAttribute::string("12x") };
        assert!(with("n", number).is_err());
        let bytes = MessageAttribute {
            data_type: "Binary".to_owned(),
            string_value: None,
            binary_value: Some("AQI=".to_owned()),
        };
        with("b", bytes).unwrap();
        assert!(with("big", MessageAttribute::string("x".repeat(1100))).unwrap_err().message.contains("shorter than"));
    }

    #[test]
    fn control_characters_are_no_message() {
        assert_eq!(check_message("a\u{1}", &BTreeMap::new(), 10).unwrap_err().code, "InvalidMessageContents");
        check_message("a\t\n", &BTreeMap::new(), 10).unwrap();
    }
}
