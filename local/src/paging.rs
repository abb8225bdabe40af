//! Pages of a listing that is sorted by a key: a token says which listing it continues and behind which key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A token that no page of this listing gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadToken;

/// One page of `items`, which are sorted by their keys, and the token of the next one if there is more.
///
/// `listing` names the operation and all its filters: a token is good for the listing that gave it and no other.
pub(crate) fn page<T>(
    listing: &str,
    items: impl IntoIterator<Item = (String, T)>,
    most: usize,
    token: Option<&str>,
) -> Result<(Vec<T>, Option<String>), BadToken> {
    let behind = token.map(|token| read(listing, token)).transpose()?;
    let mut page = Vec::new();
    let mut last = None;
    let mut items = items.into_iter().skip_while(|(key, _)| behind.as_ref().is_some_and(|behind| key <= behind));
    for (key, item) in items.by_ref().take(most.max(1)) {
        page.push(item);
        last = Some(key);
    }
    let next = items.next().and(last).map(|key| URL_SAFE_NO_PAD.encode(format!("{listing}\n{key}")));
    Ok((page, next))
}

fn read(listing: &str, token: &str) -> Result<String, BadToken> {
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| BadToken)?;
    let text = String::from_utf8(bytes).map_err(|_| BadToken)?;
    let key = text.strip_prefix(listing).and_then(|rest| rest.strip_prefix('\n')).ok_or(BadToken)?;
    Ok(key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_cover_all_items_once_and_a_token_is_good_for_its_own_listing_only() {
        let items = || ["a", "b", "c"].map(|name| (name.to_owned(), name));
        let (first, token) = page("ListRules", items(), 2, None).unwrap();
        let (second, end) = page("ListRules", items(), 2, token.as_deref()).unwrap();
        assert_eq!((first, second, end), (vec!["a", "b"], vec!["c"], None));
        assert_eq!(page("ListQueues", items(), 2, token.as_deref()), Err(BadToken));
        assert_eq!(page("ListRules", items(), 2, Some("forged")), Err(BadToken));
        assert_eq!(page("ListRules", items(), 3, None).unwrap().1, None);
    }
}
