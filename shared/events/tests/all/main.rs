//! What the parser makes of whole events: our samples, a corpus of other people's, and nonsense.

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod samples;

use signalbox_events::{ParseError, Parsed, parse_event};

/// What the parser made of an event, in one line.
fn summary(parsed: &Result<Parsed, ParseError>) -> String {
    match parsed {
        Ok(Parsed::Ours(event)) => event.detail.to_string(),
        Ok(Parsed::NotOurs(other)) => format!("not ours: {:?} from {}", other.detail_type, other.source),
        Err(error) => format!("error: {error}"),
    }
}

/// The same from bytes.
fn parse_to_summary(bytes: &[u8]) -> String {
    summary(&parse_event(bytes))
}
