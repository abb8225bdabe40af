//! What is published: a subject, a text, attributes, and the rules that SNS has for them.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Answer, ServiceError};
use crate::http::Parameters;

/// The largest message, with its attributes.
const LARGEST_MESSAGE: usize = 256 * 1024;

/// A subject must be shorter.
const SUBJECT_LIMIT: usize = 100;

/// The value of a message attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value")]
pub enum Attribute {
    /// `String`
    String(String),
    /// `String.Array`: a JSON list, as text.
    #[serde(rename = "String.Array")]
    Array(String),
    /// `Number`, as text.
    Number(String),
    /// `Binary`, in base64.
    Binary(String),
}

/// A message as it was published, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) subject: Option<String>,
    /// The text for each protocol; `default` where it is one for all.
    texts: BTreeMap<String, String>,
    pub(super) attributes: BTreeMap<String, Attribute>,
    size: usize,
}

pub(super) fn invalid(what: impl std::fmt::Display) -> ServiceError {
    ServiceError::bad("InvalidParameter", format!("Invalid parameter: {what}"))
}

impl Message {
    /// Reads a message from the fields that begin with `prefix`: empty for `Publish`, an entry's for `PublishBatch`.
    pub(super) fn parse(parameters: &Parameters, prefix: &str) -> Answer<Self> {
        let get = |name: &str| parameters.get(&format!("{prefix}{name}"));
        for name in ["MessageDeduplicationId", "MessageGroupId", "PhoneNumber"] {
            if get(name).is_some() {
                return Err(invalid(format!("{name}: the local cloud has standard topics only and sends no SMS")));
            }
        }
        let text = get("Message").ok_or_else(|| invalid("Message is missing"))?;
        if text.is_empty() {
            return Err(invalid("Empty message"));
        }
        let subject = get("Subject").map(str::to_owned);
        if let Some(subject) = &subject {
            check_subject(subject)?;
        }
        let attributes = read_attributes(parameters, &format!("{prefix}MessageAttributes.entry."))?;
        let texts = match get("MessageStructure") {
            None | Some("") => BTreeMap::from([("default".to_owned(), text.to_owned())]),
            Some("json") => {
                let texts: BTreeMap<String, Value> = serde_json::from_str(text)
                    .map_err(|_| invalid("Message Structure - JSON message body failed to parse"))?;
                let texts: BTreeMap<String, String> = texts
                    .into_iter()
                    .filter_map(|(protocol, text)| Some((protocol, text.as_str()?.to_owned())))
                    .collect();
                if !texts.contains_key("default") {
                    return Err(invalid("Message Structure - No default entry in JSON message body"));
                }
                texts
            }
            Some(other) => return Err(invalid(format!("MessageStructure {other} is not json"))),
        };
        let size = text.len() + attributes.iter().map(|(name, value)| name.len() + value.size()).sum::<usize>();
        if size > LARGEST_MESSAGE {
            return Err(invalid("Message too long"));
        }
        Ok(Self { subject, texts, attributes, size })
    }

    /// A message of an AWS service: one text for every protocol.
    pub(super) fn of_text(subject: Option<&str>, text: &str) -> Answer<Self> {
        subject.map_or(Ok(()), check_subject)?;
        match text.len() {
            0 => return Err(invalid("Empty message")),
            size if size > LARGEST_MESSAGE => return Err(invalid("Message too long")),
            _ => {}
        }
        let texts = BTreeMap::from([("default".to_owned(), text.to_owned())]);
        let subject = subject.map(str::to_owned);
        Ok(Self { subject, texts, attributes: BTreeMap::new(), size: text.len() })
    }

    /// The bytes that SNS counts: the text and the names, types and values of the attributes.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The text for a protocol.
    pub(super) fn text(&self, protocol: &str) -> &str {
        self.texts.get(protocol).or_else(|| self.texts.get("default")).map_or("", String::as_str)
    }

    /// The attributes as one JSON object, as filter policies see them; binary ones are not seen.
    pub(super) fn properties(&self) -> Map<String, Value> {
        let value = |attribute: &Attribute| match attribute {
            Attribute::String(text) => Some(Value::String(text.clone())),
            Attribute::Array(text) | Attribute::Number(text) => serde_json::from_str(text).ok(),
            Attribute::Binary(_) => None,
        };
        self.attributes.iter().filter_map(|(name, attribute)| Some((name.clone(), value(attribute)?))).collect()
    }
}

impl Attribute {
    fn parse(data_type: &str, text: Option<&str>, binary: Option<&str>) -> Result<Self, String> {
        let text =
            |kind: &str| text.filter(|text| !text.is_empty()).ok_or_else(|| format!("{kind} needs a StringValue"));
        match data_type {
            "String" => Ok(Self::String(text("String")?.to_owned())),
            "String.Array" => {
                let text = text("String.Array")?;
                let items: Vec<Value> =
                    serde_json::from_str(text).map_err(|_| "String.Array is not a JSON list".to_owned())?;
                if items.iter().any(|item| item.is_array() || item.is_object()) {
                    return Err("String.Array may hold texts, numbers, true, false and null".to_owned());
                }
                Ok(Self::Array(text.to_owned()))
            }
            "Number" => {
                let text = text("Number")?;
                // What JSON takes for a number is what a filter policy can compare with.
                match serde_json::from_str::<Value>(text) {
                    Ok(Value::Number(_)) => Ok(Self::Number(text.to_owned())),
                    _ => Err(format!("{text} is not a number")),
                }
            }
            "Binary" => match binary {
                Some(value) if !value.is_empty() && STANDARD.decode(value).is_ok() => {
                    Ok(Self::Binary(value.to_owned()))
                }
                _ => Err("Binary needs a BinaryValue".to_owned()),
            },
            other => Err(format!("the data type {other} is not String, String.Array, Number or Binary")),
        }
    }

    /// The name of its type.
    pub fn data_type(&self) -> &'static str {
        match self {
            Self::String(_) => "String",
            Self::Array(_) => "String.Array",
            Self::Number(_) => "Number",
            Self::Binary(_) => "Binary",
        }
    }

    /// The bytes that its type and its value count for.
    fn size(&self) -> usize {
        let value = match self {
            Self::Binary(value) => STANDARD.decode(value).map_or(value.len(), |bytes| bytes.len()),
            other => other.text().len(),
        };
        self.data_type().len() + value
    }

    /// Its value as text; base64 for `Binary`.
    pub fn text(&self) -> &str {
        match self {
            Self::String(text) | Self::Array(text) | Self::Number(text) | Self::Binary(text) => text,
        }
    }
}

fn check_subject(subject: &str) -> Answer<()> {
    let good = !subject.is_empty()
        && subject.len() < SUBJECT_LIMIT
        && subject.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && !subject.starts_with(' ');
    if good {
        Ok(())
    } else {
        Err(invalid(
            "Subject: it must be printable ASCII without line breaks, begin with a letter, number or punctuation mark, and be under 100 characters",
        ))
    }
}

fn read_attributes(parameters: &Parameters, prefix: &str) -> Answer<BTreeMap<String, Attribute>> {
    let mut attributes = BTreeMap::new();
    for number in 1.. {
        let get = |field: &str| parameters.get(&format!("{prefix}{number}.{field}"));
        let Some(name) = get("Name") else { break };
        let wrong = |what: String| {
            ServiceError::bad("ParameterValueInvalid", format!("The message attribute '{name}' is invalid: {what}"))
        };
        let good = (1..=256).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
            && !name.starts_with('.')
            && !name.ends_with('.')
            && !name.contains("..")
            && !["aws.", "amazon."].iter().any(|reserved| name.to_ascii_lowercase().starts_with(reserved));
        if !good {
            return Err(wrong(
                "its name may hold letters, digits, '.', '_' and '-', and must not be reserved".to_owned(),
            ));
        }
        let data_type = get("Value.DataType").unwrap_or_default();
        let value = Attribute::parse(data_type, get("Value.StringValue"), get("Value.BinaryValue")).map_err(wrong)?;
        if attributes.insert(name.to_owned(), value).is_some() {
            return Err(wrong("it is there twice".to_owned()));
        }
    }
    Ok(attributes)
}
