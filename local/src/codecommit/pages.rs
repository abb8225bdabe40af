//! Listings come in pages; the token of the next one is good for that very listing only.

use sha2::{Digest, Sha256};

use crate::error::{Answer, ServiceError};

/// The page of `items` that `token` names, and the token of the page behind it.
///
/// `listing` says everything that the listing depends on, so that a token of another one (or of this one after it
/// changed under a moving branch) is refused instead of giving a page that belongs to neither.
pub(super) fn page<T>(
    items: Vec<T>,
    token: Option<&str>,
    size: usize,
    listing: &str,
) -> Answer<(Vec<T>, Option<String>)> {
    let start = match token {
        None => 0,
        Some(token) => read(token, listing).filter(|start| *start < items.len()).ok_or_else(|| {
            ServiceError::bad("InvalidContinuationTokenException", "the continuation token is not one of this listing")
        })?,
    };
    let end = start.saturating_add(size);
    let next = (end < items.len()).then(|| write(end, listing));
    Ok((items.into_iter().skip(start).take(size).collect(), next))
}

fn write(start: usize, listing: &str) -> String {
    let digest = Sha256::new().chain_update(start.to_be_bytes()).chain_update(listing).finalize();
    let seal: String = hex::encode(digest).chars().take(24).collect();
    format!("{start}.{seal}")
}

fn read(token: &str, listing: &str) -> Option<usize> {
    let start = token.split_once('.')?.0.parse().ok()?;
    (write(start, listing) == token).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_comes_once_whatever_the_size_of_a_page() {
        for size in [1, 2, 3, 7, 8] {
            let (mut seen, mut token) = (Vec::new(), None);
            loop {
                let (items, next) = page((0..7).collect(), token.as_deref(), size, "numbers").unwrap();
                assert!(items.len() <= size && !items.is_empty());
                seen.extend(items);
                token = next;
                if token.is_none() {
                    break;
                }
            }
            assert_eq!(seen, (0..7).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_forged_token_and_one_of_another_listing_are_refused() {
        let (_, token) = page(vec![1, 2, 3], None, 1, "a").unwrap();
        let token = token.unwrap();
        assert_eq!(page(vec![1, 2, 3], Some(&token), 1, "a").unwrap().0, [2]);
        let forged = token.replacen('1', "2", 1);
        for (bad, listing) in [(&*token, "b"), (&*forged, "a"), ("", "a"), ("x.y", "a")] {
            let refused = page(vec![1, 2, 3], Some(bad), 1, listing).unwrap_err();
            assert_eq!(refused.code, "InvalidContinuationTokenException", "{bad}");
        }
    }
}
