//! Listings in pages.

use crate::error::Answer;

use super::invalid;

/// The order of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum SortOrder {
    Ascending,
    Descending,
}

/// The page behind the item that the token names, and the token of the next page.
///
/// A token names the last item that was given, so a page neither repeats nor skips one when new items come in between. It is
/// good for the listing it was made for only.
pub(crate) fn page(
    listing: &str,
    all: &[String],
    token: Option<&str>,
    size: usize,
) -> Answer<(Vec<String>, Option<String>)> {
    let wrong = || invalid("The nextToken is not one that this listing gave");
    let from = match token {
        None => 0,
        Some(token) => {
            let told = hex::decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(wrong)?;
            let last = told.strip_prefix(listing).and_then(|rest| rest.strip_prefix('\n')).ok_or_else(wrong)?;
            all.iter().position(|item| item == last).ok_or_else(wrong)? + 1
        }
    };
    let given: Vec<String> = all.iter().skip(from).take(size).cloned().collect();
    let more = from + given.len() < all.len();
    let next = given.last().filter(|_| more).map(|last| hex::encode(format!("{listing}\n{last}")));
    Ok((given, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_and_foreign_tokens_are_refused() {
        let all: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        let (first, token) = page("x", &all, None, 2).unwrap();
        assert_eq!(first, ["a", "b"]);
        let (second, none) = page("x", &all, token.as_deref(), 2).unwrap();
        assert_eq!((second, none), (vec!["c".to_owned()], None));
        assert_eq!(page("y", &all, token.as_deref(), 2).unwrap_err().code, "InvalidInputException");
        assert_eq!(page("x", &all, Some("forged"), 2).unwrap_err().code, "InvalidInputException");
    }
}
