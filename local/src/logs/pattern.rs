//! Filter patterns, as far as they are plain text: every term must occur.

use crate::error::{Answer, ServiceError};

/// The terms of a pattern; a message matches when it holds each of them, as written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<String>);

impl Pattern {
    /// Reads words of letters, digits and `_`, and phrases in double quotes.
    ///
    /// Everything else that CloudWatch Logs knows (JSON, columns, `?or`, `-not`, `%regex%`) is refused: a pattern that means
    /// something else here than on AWS would be worse than none.
    pub(super) fn parse(text: &str) -> Answer<Self> {
        let mut terms = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (term, behind) = match rest.strip_prefix('"') {
                Some(quoted) => {
                    let (term, behind) =
                        quoted.split_once('"').ok_or_else(|| refused(text, "a quote is not closed"))?;
                    if term.contains('\\') {
                        return Err(refused(text, "escapes in quotes are not offered"));
                    }
                    (term, behind)
                }
                None => {
                    let (term, behind) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                    if !term.chars().all(|c| c.is_alphanumeric() || c == '_') {
                        return Err(refused(
                            text,
                            "a term with other signs than letters, digits and _ must be in quotes",
                        ));
                    }
                    (term, behind)
                }
            };
            terms.push(term.to_owned());
            rest = behind.trim_start();
        }
        Ok(Self(terms))
    }

    pub(super) fn matches(&self, message: &str) -> bool {
        self.0.iter().all(|term| message.contains(term.as_str()))
    }
}

fn refused(pattern: &str, why: &str) -> ServiceError {
    ServiceError::bad(
        "InvalidParameterException",
        format!(
            "the filter pattern {pattern:?} is not offered by the local cloud: {why}; it knows words and \"phrases\", all of which must occur"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_and_phrase_must_occur() {
        let pattern = Pattern::parse("  ERROR \"exit status 1\" ").unwrap();
        assert!(pattern.matches("an ERROR came: exit status 1"));
        assert!(!pattern.matches("an ERROR came: exit status"));
        assert!(!pattern.matches("an error came: exit status 1"), "case counts");
        assert!(Pattern::parse("").unwrap().matches("anything"));
    }

    #[test]
    fn what_is_more_than_text_is_refused() {
        for pattern in ["{ $.level = \"x\" }", "[ip, user]", "?a ?b", "-x", "%r.*%", "a.b", "\"open", "\"a\\\"b\""] {
            assert_eq!(Pattern::parse(pattern).unwrap_err().code, "InvalidParameterException", "{pattern}");
        }
    }
}
