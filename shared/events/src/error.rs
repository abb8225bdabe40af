//! What can be wrong with an event.

/// Why bytes are not an event that the functions can work on.
///
/// Every one of these is final: the same bytes fail the same way again, so nobody should retry. A message names the field
/// and what was expected; of the event it quotes at most one short value, because some inputs carry live credentials.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// The bytes are no JSON at all; the source says where they stop being it.
    #[error("the event is not JSON; expected one EventBridge event as a JSON object")]
    NotJson {
        /// The JSON reader's own words, with line and column.
        #[source]
        source: serde_json::Error,
    },
    /// JSON, but no object.
    #[error("the event is {found}; expected one EventBridge event as a JSON object")]
    NotAnObject {
        /// What it is instead, for instance `an array`.
        found: &'static str,
    },
    /// The form in which Developer Tools notifications send events through SNS: no id, `detailType`.
    #[error(
        "this is the Developer Tools notification form of {detail_type:?} (detailType, no id); the functions take the raw \
         EventBridge event (detail-type, id): send it through an EventBridge rule, not through a notification rule"
    )]
    NotificationForm {
        /// The event's `detailType`, cut to 80 characters.
        detail_type: String,
    },
    /// An object that is no EventBridge event.
    #[error("this is not an EventBridge event: detail-type is missing; it looks like {looks_like}")]
    NotAnEvent {
        /// What else AWS sends that looks like this.
        looks_like: &'static str,
    },
    /// A field that must be there is not.
    #[error("{field} is missing or empty; expected {expected}")]
    Missing {
        /// The path of the field, for instance `detail.commitId`.
        field: String,
        /// What belongs there.
        expected: String,
    },
    /// A field holds another type of JSON value.
    #[error("{field} is {found}; expected {expected}")]
    WrongType {
        /// The path of the field.
        field: String,
        /// What is there.
        found: &'static str,
        /// What belongs there.
        expected: &'static str,
    },
    /// A field has the right type but cannot mean anything.
    #[error("{field} cannot be used: {problem}")]
    Invalid {
        /// The path of the field.
        field: String,
        /// What is wrong with its value.
        problem: String,
    },
    /// A word that is none of those AWS documents for this field.
    #[error("{field} is {value:?}; expected one of {}", known.join(", "))]
    Unknown {
        /// The path of the field.
        field: String,
        /// The word, cut to 80 characters.
        value: String,
        /// The words that are known.
        known: &'static [&'static str],
    },
    /// A CodeCommit event under the detail-type of another one.
    #[error(
        "detail.event is {event:?}, which belongs under the detail-type {belongs_under:?}, not under {detail_type:?}"
    )]
    WrongDetailType {
        /// The value of `detail.event`.
        event: String,
        /// The detail-type that it came under.
        detail_type: &'static str,
        /// The detail-type that AWS sends it under.
        belongs_under: &'static str,
    },
}
