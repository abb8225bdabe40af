//! Reading fields out of raw JSON with the path at hand, so that every error can name the field.
//!
//! This is the only code that sees raw JSON. It is strict about types and tolerant of what AWS really varies: an absent
//! field, `null` and an empty text mean the same, and a number may come as an integer, as `60.0` or as `"60"`.

use serde_json::{Map, Value};

use crate::error::ParseError;
use crate::names::Named;
use crate::words::Word;

/// An object inside the event, and where it is.
#[derive(Clone)]
pub(crate) struct Fields<'a> {
    path: String,
    map: &'a Map<String, Value>,
}

/// One element of a list inside the event, and where it is.
pub(crate) struct Item<'a> {
    path: String,
    value: &'a Value,
}

/// What a JSON value is, in words for an error.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A value cut down to what may stand in an error or a log line.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

fn wrong_type(field: String, value: &Value, expected: &'static str) -> ParseError {
    ParseError::WrongType { field, found: kind_of(value), expected }
}

/// `a commit id`, `an event id`.
fn with_article(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u', 'A']) { "an" } else { "a" };
    format!("{article} {kind}")
}

/// Makes a name of a text, or says which field cannot be one.
fn name_at<T: Named>(field: String, text: &str) -> Result<T, ParseError> {
    T::try_from(text.to_owned()).map_err(|error| ParseError::Invalid { field, problem: error.to_string() })
}

/// A whole number from whatever AWS writes one as; a fraction of a second is dropped.
fn count_of(value: &Value) -> Option<u64> {
    const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) => number.as_u64().or_else(|| {
            let float = number.as_f64().filter(|float| (0.0..=LARGEST_EXACT).contains(float))?;
            // In range by the line above, and a fraction is meant to go.
            Some(float as u64)
        }),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

impl<'a> Fields<'a> {
    /// The whole event.
    pub(crate) fn root(map: &'a Map<String, Value>) -> Self {
        Self { path: String::new(), map }
    }

    /// The path of one of the fields.
    pub(crate) fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Whether the object holds anything under this key, were it `null`.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// The fields in the order of their keys.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'a str, Item<'a>)> {
        self.map.iter().map(|(key, value)| (key.as_str(), Item { path: self.at(key), value }))
    }

    fn present(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// An error about a field that is not there.
    pub(crate) fn missing(&self, key: &str, expected: impl Into<String>) -> ParseError {
        ParseError::Missing { field: self.at(key), expected: expected.into() }
    }

    /// An error about the value of a field.
    pub(crate) fn invalid(&self, key: &str, problem: impl Into<String>) -> ParseError {
        ParseError::Invalid { field: self.at(key), problem: problem.into() }
    }

    /// A text that may be absent; an empty one counts as absent.
    pub(crate) fn optional_text(&self, key: &str) -> Result<Option<&'a str>, ParseError> {
        match self.present(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(other) => Err(wrong_type(self.at(key), other, "a text")),
        }
    }

    /// A text that must be there.
    pub(crate) fn text(&self, key: &str, expected: &'static str) -> Result<&'a str, ParseError> {
        self.optional_text(key)?.ok_or_else(|| self.missing(key, expected))
    }

    /// A text to be kept as it is, if there is one.
    pub(crate) fn optional_string(&self, key: &str) -> Result<Option<String>, ParseError> {
        Ok(self.optional_text(key)?.map(str::to_owned))
    }

    /// A name that must be there.
    pub(crate) fn name<T: Named>(&self, key: &str) -> Result<T, ParseError> {
        match self.optional_name(key)? {
            Some(name) => Ok(name),
            None => Err(self.missing(key, with_article(T::KIND))),
        }
    }

    /// A name that may be absent.
    pub(crate) fn optional_name<T: Named>(&self, key: &str) -> Result<Option<T>, ParseError> {
        self.optional_text(key)?.map(|text| name_at(self.at(key), text)).transpose()
    }

    /// A name that AWS also writes as a bare number.
    pub(crate) fn name_or_number<T: Named>(&self, key: &str) -> Result<T, ParseError> {
        match self.present(key) {
            Some(Value::Number(number)) => name_at(self.at(key), &number.to_string()),
            _ => self.name(key),
        }
    }

    /// A text that AWS also writes as a bare number.
    pub(crate) fn optional_string_or_number(&self, key: &str) -> Result<Option<String>, ParseError> {
        match self.present(key) {
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            _ => self.optional_string(key),
        }
    }

    /// One of a closed set of words.
    pub(crate) fn word<T: Word>(&self, key: &str) -> Result<T, ParseError> {
        match self.optional_word(key)? {
            Some(word) => Ok(word),
            None => Err(self.missing(key, format!("one of {}", T::KNOWN.join(", ")))),
        }
    }

    /// One of a closed set of words, if it is there.
    pub(crate) fn optional_word<T: Word>(&self, key: &str) -> Result<Option<T>, ParseError> {
        self.optional_text(key)?.map(|text| self.known_word(key, text)).transpose()
    }

    fn known_word<T: Word>(&self, key: &str, text: &str) -> Result<T, ParseError> {
        T::from_word(text).ok_or_else(|| ParseError::Unknown { field: self.at(key), value: cut(text), known: T::KNOWN })
    }

    /// A whole number, if it is there.
    pub(crate) fn optional_count(&self, key: &str) -> Result<Option<u64>, ParseError> {
        match self.present(key) {
            None => Ok(None),
            Some(value) => {
                count_of(value).map(Some).ok_or_else(|| wrong_type(self.at(key), value, "a whole number from 0 on"))
            }
        }
    }

    /// A boolean, also in the spelling `"True"` and `"False"`; absent means no.
    pub(crate) fn flag(&self, key: &str) -> Result<bool, ParseError> {
        match self.present(key) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(Value::String(text)) => {
                Err(ParseError::Unknown { field: self.at(key), value: cut(text), known: &["True", "False"] })
            }
            Some(other) => Err(wrong_type(self.at(key), other, "\"True\" or \"False\"")),
        }
    }

    /// An object that must be there.
    pub(crate) fn object(&self, key: &str, expected: &'static str) -> Result<Fields<'a>, ParseError> {
        self.optional_object(key)?.ok_or_else(|| self.missing(key, expected))
    }

    /// An object that may be absent.
    pub(crate) fn optional_object(&self, key: &str) -> Result<Option<Fields<'a>>, ParseError> {
        self.present(key).map(|value| Item { path: self.at(key), value }.object()).transpose()
    }

    /// The elements of a list; absent means none.
    pub(crate) fn list(&self, key: &str) -> Result<Vec<Item<'a>>, ParseError> {
        match self.present(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => Ok(values
                .iter()
                .enumerate()
                .map(|(index, value)| Item { path: format!("{}[{index}]", self.at(key)), value })
                .collect()),
            Some(other) => Err(wrong_type(self.at(key), other, "an array")),
        }
    }

    /// The texts of a list; absent means none.
    pub(crate) fn texts(&self, key: &str) -> Result<Vec<String>, ParseError> {
        self.list(key)?.iter().map(|item| item.text().map(str::to_owned)).collect()
    }
}

impl<'a> Item<'a> {
    /// The element as a text.
    pub(crate) fn text(&self) -> Result<&'a str, ParseError> {
        match self.value {
            Value::String(text) => Ok(text),
            other => Err(wrong_type(self.path.clone(), other, "a text")),
        }
    }

    /// The element as a name.
    pub(crate) fn name<T: Named>(&self) -> Result<T, ParseError> {
        name_at(self.path.clone(), self.text()?)
    }

    /// The element as an object.
    pub(crate) fn object(&self) -> Result<Fields<'a>, ParseError> {
        match self.value {
            Value::Object(map) => Ok(Fields { path: self.path.clone(), map }),
            other => Err(wrong_type(self.path.clone(), other, "an object")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_count_is_an_integer_a_float_or_a_text_and_never_negative() {
        for (value, count) in [
            (json!(60), Some(60)),
            (json!(60.0), Some(60)),
            (json!("60"), Some(60)),
            (json!(0.7), Some(0)),
            (json!(u64::MAX), Some(u64::MAX)),
            (json!(-1), None),
            (json!(-0.5), None),
            (json!(1e300), None),
            (json!("sixty"), None),
            (json!(true), None),
        ] {
            assert_eq!(count_of(&value), count, "{value}");
        }
    }

    #[test]
    fn absent_null_and_empty_are_the_same() {
        let value = json!({ "null": null, "empty": "", "text": "x" });
        let fields = Fields::root(value.as_object().unwrap());
        assert_eq!(fields.optional_text("absent").unwrap(), None);
        assert_eq!(fields.optional_text("null").unwrap(), None);
        assert_eq!(fields.optional_text("empty").unwrap(), None);
        assert_eq!(fields.optional_text("text").unwrap(), Some("x"));
        assert!(fields.texts("absent").unwrap().is_empty());
    }

    #[test]
    fn an_error_names_the_whole_path() {
        let value = json!({ "detail": { "phases": [{}, { "phase-type": 3 }] } });
        let detail = Fields::root(value.as_object().unwrap()).object("detail", "an object").unwrap();
        let phases = detail.list("phases").unwrap();
        let error = phases[1].object().unwrap().text("phase-type", "a phase").unwrap_err();
        assert_eq!(error.to_string(), "detail.phases[1].phase-type is a number; expected a text");
    }

    #[test]
    fn a_long_value_is_cut_before_it_is_quoted() {
        let value = json!({ "isMerged": "x".repeat(5_000) });
        let error = Fields::root(value.as_object().unwrap()).flag("isMerged").unwrap_err();
        assert!(error.to_string().len() < 200, "{error}");
    }
}
