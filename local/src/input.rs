//! Inputs of the JSON protocol: how a JSON object becomes an operation's input, and what AWS says of a text's length.

use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Answer, ServiceError};

/// Reads an operation's input; `invalid` is the code with which its service refuses what does not fit.
///
/// A value of a wrong type never reaches a service on AWS, so that has a code of its own. A member that is not known is
/// refused as well: ignored, it would be a silent difference to AWS.
pub(crate) fn read<T: DeserializeOwned>(input: Value, invalid: &str) -> Answer<T> {
    serde_json::from_value(input).map_err(|error| {
        let what = error.to_string();
        let code = if what.starts_with("invalid type") { "SerializationException" } else { invalid };
        ServiceError::bad(code, format!("the local cloud does not take this input: {what}"))
    })
}

/// Whether a text is as long as the service model wants it, in characters.
pub(crate) fn check_length(
    invalid: &str,
    member: &str,
    text: Option<&str>,
    lengths: RangeInclusive<usize>,
) -> Answer<()> {
    let Some(text) = text else { return Ok(()) };
    let length = text.chars().count();
    if lengths.contains(&length) {
        return Ok(());
    }
    let bound = if length < *lengths.start() {
        format!("greater than or equal to {}", lengths.start())
    } else {
        format!("less than or equal to {}", lengths.end())
    };
    let shown: String = text.chars().take(100).collect();
    Err(ServiceError::bad(
        invalid,
        format!(
            "1 validation error detected: Value '{shown}' at '{member}' failed to satisfy constraint: Member must have length {bound}"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        #[expect(dead_code, reason = "it is only read in")]
        name: String,
    }

    #[test]
    fn a_wrong_type_has_a_code_of_its_own() {
        let code = |input| read::<Input>(input, "Invalid").unwrap_err().code;
        assert_eq!(code(json!({ "name": 7 })), "SerializationException");
        assert_eq!(code(json!({})), "Invalid");
        assert_eq!(code(json!({ "name": "a", "more": "b" })), "Invalid");
    }

    #[test]
    fn a_length_is_counted_in_characters() {
        let check = |text| check_length("Invalid", "name", Some(text), 1..=3);
        check("üöä").unwrap();
        assert!(check("").unwrap_err().message.ends_with(
            "'' at 'name' failed to satisfy constraint: Member must have length greater than or equal to 1"
        ));
        assert!(check("abcd").unwrap_err().message.ends_with("less than or equal to 3"));
        check_length("Invalid", "name", None, 1..=3).unwrap();
    }
}
