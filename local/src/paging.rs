//! Pages: how large one is, and tokens that lead to the next one of the very listing that gave them.
//!
//! A token names a place in a listing and is signed for that listing: for its operation, all its filters, the account and
//! the region. So none is good anywhere else, and nobody can make one up. The key lives as long as the process: tokens of
//! an earlier one are refused as forged ones are.

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

/// How many bytes of a signature a token carries.
const SEAL: usize = 16;

/// A token that no page of this listing gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadToken;

/// What all pages of one world have in common.
pub(crate) struct Pages {
    /// As long as SHA-256's blocks.
    key: [u8; 64],
    most: Option<usize>,
}

impl Default for Pages {
    /// Pages as AWS cuts them, with a key that everybody knows.
    fn default() -> Self {
        Self { key: [0; 64], most: None }
    }
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages").field("most", &self.most).finish_non_exhaustive()
    }
}

impl Pages {
    /// Pages of at most `most` items, or as AWS cuts them, with a key that only this process knows.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub(crate) fn draw(most: Option<usize>) -> anyhow::Result<Self> {
        let mut key = [0; 64];
        getrandom::fill(&mut key).context("the system gives no random numbers")?;
        Ok(Self { key, most })
    }

    /// The size of a page that AWS would give `size` items.
    pub(crate) fn size(&self, size: usize) -> usize {
        self.most.map_or(size, |most| size.min(most.max(1)))
    }

    /// The listing that these parts name: the operation, then everything that chooses or orders its items.
    pub(crate) fn listing(&self, parts: &[&str]) -> Listing<'_> {
        let mut name = Vec::new();
        for part in parts {
            name.extend(part.len().to_be_bytes());
            name.extend(part.bytes());
        }
        Listing { pages: self, name }
    }
}

/// The order of a listing's keys; written as CodeBuild does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Order {
    /// The smallest first.
    Ascending,
    /// The largest first.
    Descending,
}

impl Order {
    fn is_behind(self, key: &str, place: &str) -> bool {
        match self {
            Self::Ascending => key > place,
            Self::Descending => key < place,
        }
    }
}

/// One listing: what its tokens are good for.
pub(crate) struct Listing<'a> {
    pages: &'a Pages,
    name: Vec<u8>,
}

impl Listing<'_> {
    /// One page of `items`, which are in `order` of their keys, and the token of the next page if there is more.
    ///
    /// The token names the last item that was given: what comes or goes between two pages makes none appear twice and none
    /// be skipped. Where that item itself is gone the listing goes on behind where it was.
    pub(crate) fn page<T>(
        &self,
        items: impl IntoIterator<Item = (String, T)>,
        order: Order,
        size: usize,
        token: Option<&str>,
    ) -> Result<(Vec<T>, Option<String>), BadToken> {
        Ok(self.cut(self.rest(items, order, token)?, size))
    }

    /// What is left of `items` behind the token's place.
    pub(crate) fn rest<T>(
        &self,
        items: impl IntoIterator<Item = (String, T)>,
        order: Order,
        token: Option<&str>,
    ) -> Result<Vec<(String, T)>, BadToken> {
        let mut items: Vec<(String, T)> = items.into_iter().collect();
        if let Some(token) = token {
            let place = self.place(token)?;
            let behind = match items.iter().position(|(key, _)| *key == place) {
                Some(last) => last + 1,
                None => items.iter().position(|(key, _)| order.is_behind(key, &place)).unwrap_or(items.len()),
            };
            items.drain(..behind);
        }
        Ok(items)
    }

    /// The first page of what is left, and the token of the next one.
    pub(crate) fn cut<T>(&self, mut items: Vec<(String, T)>, size: usize) -> (Vec<T>, Option<String>) {
        let size = self.pages.size(size);
        let more = items.len() > size;
        items.truncate(size);
        let next = items.last().filter(|_| more).map(|(key, _)| self.token(key));
        (items.into_iter().map(|(_, item)| item).collect(), next)
    }

    /// The token for a place in this listing.
    pub(crate) fn token(&self, place: &str) -> String {
        let mut bytes = self.seal(place).finalize().into_bytes().to_vec();
        bytes.truncate(SEAL);
        bytes.extend(place.bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place that a token names.
    pub(crate) fn place(&self, token: &str) -> Result<String, BadToken> {
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| BadToken)?;
        let (seal, place) = bytes.split_at_checked(SEAL).ok_or(BadToken)?;
        let place = String::from_utf8(place.to_vec()).map_err(|_| BadToken)?;
        self.seal(&place).verify_truncated_left(seal).map_err(|_| BadToken)?;
        Ok(place)
    }

    /// A number that belongs to a place, for tokens that have a shape of their own.
    pub(crate) fn number(&self, place: &str) -> u64 {
        let bytes = self.seal(place).finalize().into_bytes();
        bytes.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn seal(&self, place: &str) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new(&self.pages.key.into());
        mac.chain_update(self.name.len().to_be_bytes()).chain_update(&self.name).chain_update(place)
    }
}

#[cfg(test)]
mod everywhere_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn items(names: &[&str]) -> Vec<(String, String)> {
        names.iter().map(|name| ((*name).to_owned(), name.to_uppercase())).collect()
    }

    #[test]
    fn every_item_comes_once_whatever_the_size_of_a_page() {
        let names = ["a", "b", "c", "d", "e", "f", "g"];
        for (asked, most) in [(1, None), (2, None), (7, None), (8, None), (8, Some(1)), (2, Some(3)), (3, Some(0))] {
            let pages = Pages { most, ..Pages::default() };
            let listing = pages.listing(&["events:ListRules"]);
            let (mut seen, mut token) = (Vec::new(), None);
            loop {
                let (page, next) = listing.page(items(&names), Order::Ascending, asked, token.as_deref()).unwrap();
                assert!(!page.is_empty() && page.len() <= pages.size(asked));
                seen.extend(page);
                token = next;
                if token.is_none() {
                    break;
                }
            }
            assert_eq!(seen.concat(), "ABCDEFG");
        }
    }

    #[test]
    fn what_comes_and_goes_between_two_pages_repeats_nothing_and_skips_nothing() {
        let pages = Pages::default();
        let listing = pages.listing(&["sqs:ListQueues"]);
        let next = |names: &[&str], order| listing.page(items(names), order, 2, None).unwrap().1.unwrap();
        let page =
            |names: &[&str], order, token: &str| listing.page(items(names), order, 9, Some(token)).unwrap().0.concat();

        let token = next(&["b", "d", "f"], Order::Ascending);
        assert_eq!(page(&["a", "b", "c", "d", "e", "f"], Order::Ascending, &token), "EF");
        assert_eq!(page(&["c", "e", "f"], Order::Ascending, &token), "EF");
        assert_eq!(page(&["a", "b"], Order::Ascending, &token), "");
        let token = next(&["f", "d", "b"], Order::Descending);
        assert_eq!(page(&["g", "f", "e", "d", "c", "b"], Order::Descending, &token), "CB");
        assert_eq!(page(&["g", "f", "e", "c", "b"], Order::Descending, &token), "CB");
        // Two of one moment stay as they stand where the last one is still there.
        let token = next(&["1 b", "1 a", "2 c"], Order::Ascending);
        assert_eq!(page(&["1 b", "1 a", "2 c"], Order::Ascending, &token), "2 C");
    }

    #[test]
    fn a_token_is_good_for_its_own_listing_and_process_only() {
        let (pages, other) = (Pages::draw(None).unwrap(), Pages::draw(None).unwrap());
        let token = pages.listing(&["sqs:ListQueues", "ab", "c"]).token("queue");
        assert_eq!(pages.listing(&["sqs:ListQueues", "ab", "c"]).place(&token).as_deref(), Ok("queue"));
        for parts in [&["sqs:ListQueues", "a", "bc"][..], &["sqs:ListQueues", "ab"], &["events:ListRules", "ab", "c"]] {
            assert_eq!(pages.listing(parts).place(&token), Err(BadToken), "{parts:?}");
        }
        assert_eq!(other.listing(&["sqs:ListQueues", "ab", "c"]).place(&token), Err(BadToken));

        let listing = pages.listing(&["sqs:ListQueues", "ab", "c"]);
        let place = URL_SAFE_NO_PAD.decode(&token).unwrap().split_off(SEAL);
        let forged = URL_SAFE_NO_PAD.encode([&[0; SEAL][..], &place].concat());
        for bad in ["", "queue", &token[1..], &token[..token.len() - 1], &token[..10], &format!("{token}A"), &forged] {
            assert_eq!(listing.place(bad), Err(BadToken), "{bad}");
        }
    }
}
