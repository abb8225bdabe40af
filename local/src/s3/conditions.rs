//! When a request holds: the `If-...` headers of reads and writes, and ranges. Values in, outcome out.

use hyper::HeaderMap;
use jiff::Timestamp;

use super::error::{Outcome, Refused};

/// What must be true of the current object for a write to go through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum WriteCondition {
    /// Nothing: the last writer wins.
    #[default]
    Always,
    /// `If-None-Match: *`: there is none.
    Absent,
    /// `If-Match: ETAG`: it is this one.
    Is(String),
    /// `If-Match: *`, which only deletions take: there is one.
    Present,
}

impl WriteCondition {
    /// The condition of a `PutObject`.
    ///
    /// # Errors
    /// What S3 does not implement either: other values than `*` for `If-None-Match`, `*` for `If-Match`, both at once.
    pub(super) fn of_put(headers: &HeaderMap) -> Outcome<Self> {
        match (text(headers, "if-none-match"), text(headers, "if-match")) {
            (None, None) => Ok(Self::Always),
            (Some("*"), None) => Ok(Self::Absent),
            (None, Some("*")) => Err(Refused::unsupported_header("If-Match")),
            (None, Some(etag)) => Ok(Self::Is(bare(etag).to_owned())),
            (Some(_), _) => Err(Refused::unsupported_header("If-None-Match")),
        }
    }

    /// The condition of a `DeleteObject`.
    pub(super) fn of_delete(headers: &HeaderMap) -> Self {
        match text(headers, "if-match") {
            None => Self::Always,
            Some("*") => Self::Present,
            Some(etag) => Self::Is(bare(etag).to_owned()),
        }
    }

    /// Whether the outcome tells what the object holds: AWS then asks for `s3:GetObject`, too. That there is one at all
    /// (`*`) is told by any write.
    pub(super) fn tells_content(&self) -> bool {
        matches!(self, Self::Is(_))
    }

    /// Holds the condition against the current object's ETag; a delete marker counts as no object.
    ///
    /// # Errors
    /// 412 `PreconditionFailed`; 404 `NoSuchKey` where an ETag was expected and nothing is there.
    pub(super) fn check(&self, key: &str, current: Option<&str>) -> Outcome<()> {
        match (self, current) {
            (Self::Always, _) | (Self::Absent, None) | (Self::Present, Some(_)) => Ok(()),
            (Self::Absent, Some(_)) => Err(Refused::precondition_failed("If-None-Match")),
            (Self::Present, None) => Err(Refused::precondition_failed("If-Match")),
            (Self::Is(_), None) => Err(Refused::no_such_key(key)),
            (Self::Is(wanted), Some(etag)) if wanted == etag => Ok(()),
            (Self::Is(_), Some(_)) => Err(Refused::precondition_failed("If-Match")),
        }
    }
}

/// What a conditional read comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// Send it.
    Send,
    /// 304: the caller has it already.
    NotModified,
}

/// Weighs the four `If-...` headers of a read as S3 documents their precedence.
///
/// # Errors
/// 412 where `If-Match` differs, or `If-Unmodified-Since` does not hold and there is no `If-Match`.
pub(super) fn check_read(headers: &HeaderMap, etag: &str, modified: Timestamp) -> Outcome<Read> {
    let named = |list: &str| list.split(',').map(bare).any(|one| one == "*" || one == etag);
    let since = |name| text(headers, name).and_then(parse_date).map(Timestamp::as_second);
    match text(headers, "if-match") {
        Some(list) if !named(list) => return Err(Refused::precondition_failed("If-Match")),
        Some(_) => {}
        None => {
            if since("if-unmodified-since").is_some_and(|limit| modified.as_second() > limit) {
                return Err(Refused::precondition_failed("If-Unmodified-Since"));
            }
        }
    }
    let not_modified = match text(headers, "if-none-match") {
        Some(list) => named(list),
        None => since("if-modified-since").is_some_and(|limit| modified.as_second() <= limit),
    };
    Ok(if not_modified { Read::NotModified } else { Read::Send })
}

/// The bytes that a `Range` header asks for, as first and last; `None` for the whole.
///
/// Several ranges at once and what is not a byte range are answered with the whole object, as on AWS.
///
/// # Errors
/// 416 `InvalidRange` where it begins behind the end.
pub(super) fn parse_range(headers: &HeaderMap, size: u64) -> Outcome<Option<(u64, u64)>> {
    let Some(asked) = text(headers, "range") else { return Ok(None) };
    let Some((first, last)) = asked.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Ok(None);
    };
    let end = size.saturating_sub(1);
    let range = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.min(end)),
        (Ok(first), Err(_)) if last.trim().is_empty() => (first, end),
        (Err(_), Ok(count)) if first.trim().is_empty() => {
            if count == 0 {
                return Err(unsatisfiable(asked, size));
            }
            (size.saturating_sub(count), end)
        }
        _ => return Ok(None),
    };
    if range.0 >= size { Err(unsatisfiable(asked, size)) } else { Ok(Some(range)) }
}

fn unsatisfiable(asked: &str, size: u64) -> Refused {
    Refused::new(416, "InvalidRange", "The requested range is not satisfiable")
        .with("RangeRequested", asked)
        .with("ActualObjectSize", size.to_string())
        .with_header("content-range", format!("bytes */{size}"))
}

/// A header's text; a value that is not ASCII counts as not there.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// An ETag without the quotes and the weakness mark that a client may put around it.
pub(super) fn bare(etag: &str) -> &str {
    etag.trim().trim_start_matches("W/").trim_matches('"')
}

fn parse_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_write_holds_exactly_when_aws_says_so() {
        let put = |pairs: &[(&'static str, &str)], current| {
            WriteCondition::of_put(&headers(pairs))
                .and_then(|condition| condition.check("k", current))
                .map_err(|refused| (refused.status, refused.code))
        };
        let refused = |status, code: &str| Err((status, code.to_owned()));
        assert_eq!(put(&[], None), Ok(()));
        assert_eq!(put(&[("if-none-match", "*")], None), Ok(()));
        assert_eq!(put(&[("if-none-match", "*")], Some("e")), refused(412, "PreconditionFailed"));
        assert_eq!(put(&[("if-match", "\"e\"")], Some("e")), Ok(()));
        assert_eq!(put(&[("if-match", "e")], Some("e")), Ok(()));
        assert_eq!(put(&[("if-match", "\"e\"")], Some("f")), refused(412, "PreconditionFailed"));
        assert_eq!(put(&[("if-match", "\"e\"")], None), refused(404, "NoSuchKey"));
        assert_eq!(put(&[("if-none-match", "\"e\"")], None), refused(501, "NotImplemented"));
        assert_eq!(put(&[("if-none-match", "*"), ("if-match", "e")], None), refused(501, "NotImplemented"));
        assert_eq!(WriteCondition::of_delete(&headers(&[("if-match", "*")])).check("k", None).unwrap_err().status, 412);
    }

    #[test]
    fn a_read_weighs_etags_before_dates() {
        let modified: Timestamp = "2026-01-02T03:04:05.5Z".parse().unwrap();
        let (before, same) = ("Fri, 02 Jan 2026 03:04:04 GMT", "Fri, 02 Jan 2026 03:04:05 GMT");
        let read = |pairs: &[(&'static str, &str)]| {
            check_read(&headers(pairs), "e", modified).map_err(|refused| refused.status)
        };
        assert_eq!(read(&[]), Ok(Read::Send));
        assert_eq!(read(&[("if-match", "\"f\", \"e\"")]), Ok(Read::Send));
        assert_eq!(read(&[("if-match", "\"f\"")]), Err(412));
        assert_eq!(read(&[("if-unmodified-since", before)]), Err(412));
        assert_eq!(read(&[("if-unmodified-since", same)]), Ok(Read::Send));
        assert_eq!(read(&[("if-match", "e"), ("if-unmodified-since", before)]), Ok(Read::Send));
        assert_eq!(read(&[("if-none-match", "\"e\"")]), Ok(Read::NotModified));
        assert_eq!(read(&[("if-modified-since", same)]), Ok(Read::NotModified));
        assert_eq!(read(&[("if-none-match", "\"f\""), ("if-modified-since", same)]), Ok(Read::Send));
    }

    #[test]
    fn ranges_are_cut_to_the_object() {
        let range = |asked: &str, size| parse_range(&headers(&[("range", asked)]), size).map_err(|r| r.status);
        assert_eq!(range("bytes=0-3", 10), Ok(Some((0, 3))));
        assert_eq!(range("bytes=8-99", 10), Ok(Some((8, 9))));
        assert_eq!(range("bytes=4-", 10), Ok(Some((4, 9))));
        assert_eq!(range("bytes=-3", 10), Ok(Some((7, 9))));
        assert_eq!(range("bytes=-99", 10), Ok(Some((0, 9))));
        assert_eq!(range("bytes=10-", 10), Err(416));
        assert_eq!(range("bytes=0-0", 0), Err(416));
        assert_eq!(range("bytes=3-1", 10), Ok(None));
        assert_eq!(range("bytes=0-1,4-5", 10), Ok(None));
        assert_eq!(range("lines=0-1", 10), Ok(None));
    }
}
