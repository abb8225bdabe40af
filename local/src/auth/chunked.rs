//! The `aws-chunked` encoding: how SDKs send a body in pieces, each with a signature, with a checksum behind it, or both.
//!
//! Whoever checks the signatures and whoever joins the pieces take the body apart by the same function, so that nothing
//! is used that was not looked at.

use sha2::{Digest, Sha256};

use super::mac;

/// What the header `x-amz-content-sha256` says of a body whose chunks are signed.
const SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
/// The same with a signed trailer.
const SIGNED_WITH_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
/// A body whose chunks are not signed, with a trailer.
const UNSIGNED_WITH_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

/// The field of a trailer that signs the others.
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";

/// The SHA-256 digest of nothing.
const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A body taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chunked<'a> {
    /// All chunks; the last one is empty.
    chunks: Vec<Chunk<'a>>,
    /// The fields behind them, names in lower case.
    fields: Vec<(String, &'a str)>,
}

#[derive(Debug, PartialEq, Eq)]
struct Chunk<'a> {
    bytes: &'a [u8],
    signature: Option<&'a str>,
}

/// Why a body cannot be taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotChunked {
    /// It ends too early or is not made of chunks; says where.
    Incomplete(String),
    /// A line of the trailer is no field.
    Trailer,
}

impl<'a> Chunked<'a> {
    /// Takes a body apart.
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, NotChunked> {
        let mut rest = body;
        let mut chunks = Vec::new();
        loop {
            let line = take_line(&mut rest)?;
            let (size, extension) = line.split_once(';').unwrap_or((line, ""));
            let size = usize::from_str_radix(size.trim(), 16).map_err(|_| {
                incomplete(format!("a chunk's size is {:?}", size.chars().take(20).collect::<String>()))
            })?;
            let signature = extension.trim().strip_prefix("chunk-signature=");
            if size == 0 {
                chunks.push(Chunk { bytes: &[], signature });
                break;
            }
            let (bytes, after) = rest.split_at_checked(size).ok_or_else(|| incomplete("a chunk is cut off"))?;
            chunks.push(Chunk { bytes, signature });
            rest = after.strip_prefix(b"\r\n").ok_or_else(|| incomplete("a chunk does not end where it says"))?;
        }
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let line = take_line(&mut rest)?;
            if !line.is_empty() {
                let (name, value) = line.split_once(':').ok_or(NotChunked::Trailer)?;
                fields.push((name.trim().to_ascii_lowercase(), value.trim()));
            }
        }
        Ok(Self { chunks, fields })
    }

    /// The body itself.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.chunks.iter().flat_map(|chunk| chunk.bytes).copied().collect()
    }

    /// The trailer without its signature, names in lower case.
    pub(crate) fn trailer(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), *value)).filter(|(name, _)| *name != TRAILER_SIGNATURE)
    }
}

fn take_line<'a>(rest: &mut &'a [u8]) -> Result<&'a str, NotChunked> {
    let end = rest.windows(2).position(|pair| pair == b"\r\n").ok_or_else(|| incomplete("a line has no end"))?;
    let (line, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
    *rest = after.get(2..).unwrap_or_default();
    std::str::from_utf8(line).map_err(|_| incomplete("a line is not text"))
}

fn incomplete(what: impl Into<String>) -> NotChunked {
    NotChunked::Incomplete(what.into())
}

/// Whether a word for a body's hash is one of those that say that it comes in chunks.
pub(super) fn is_streamed(word: &str) -> bool {
    matches!(word, SIGNED | SIGNED_WITH_TRAILER | UNSIGNED_WITH_TRAILER)
}

/// A signature that does not belong to its chunk.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unsigned {
    /// The signature that came.
    pub(super) provided: String,
    /// What should have been signed.
    pub(super) to_sign: String,
}

/// Why a body of signed chunks is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    Form(NotChunked),
    Signature(Unsigned),
}

/// The chain of signatures over a body: each is made over the one before, the first over that of the request's head.
#[derive(Debug)]
pub(super) struct Chain<'a> {
    pub(super) key: &'a [u8],
    /// `20130524T000000Z`
    pub(super) stamp: &'a str,
    /// `20130524/us-east-1/s3/aws4_request`
    pub(super) scope: &'a str,
    /// The signature of the request's head.
    pub(super) seed: &'a str,
}

impl Chain<'_> {
    /// Checks the signatures of every chunk and of the trailer, if the word for the body says that there are some.
    pub(super) fn check(&self, word: &str, body: &[u8]) -> Result<(), Wrong> {
        if !matches!(word, SIGNED | SIGNED_WITH_TRAILER) {
            return Ok(());
        }
        let body = Chunked::parse(body).map_err(Wrong::Form)?;
        let mut before = self.seed;
        for chunk in &body.chunks {
            let digest = hex::encode(Sha256::digest(chunk.bytes));
            before = self.link("PAYLOAD", before, &format!("{NOTHING}\n{digest}"), chunk.signature)?;
        }
        if word == SIGNED {
            let more = body.fields.first().map(|(name, _)| format!("behind the last chunk is {name:?}"));
            return more.map_or(Ok(()), |more| Err(Wrong::Form(NotChunked::Incomplete(more))));
        }
        let mut fields: Vec<String> = body.trailer().map(|(name, value)| format!("{name}:{value}\n")).collect();
        fields.sort();
        let signature = body.fields.iter().find(|(name, _)| name == TRAILER_SIGNATURE).map(|(_, value)| *value);
        self.link("TRAILER", before, &hex::encode(Sha256::digest(fields.concat())), signature)?;
        Ok(())
    }

    /// Checks one signature, and gives it for the next.
    fn link<'s>(&self, kind: &str, before: &str, digests: &str, signature: Option<&'s str>) -> Result<&'s str, Wrong> {
        let Self { key, stamp, scope, .. } = self;
        let to_sign = format!("AWS4-HMAC-SHA256-{kind}\n{stamp}\n{scope}\n{before}\n{digests}");
        let expected = hex::encode(mac(key, &to_sign));
        signature
            .filter(|provided| *provided == expected)
            .ok_or_else(|| Wrong::Signature(Unsigned { provided: signature.unwrap_or_default().to_owned(), to_sign }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::signing_key;
    use super::*;

    #[test]
    fn chunks_are_joined_and_the_trailer_is_read() {
        let body = b"5;chunk-signature=abc\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n";
        let decoded = Chunked::parse(body).unwrap();
        assert_eq!(decoded.bytes(), b"hello world");
        assert_eq!(decoded.trailer().collect::<Vec<_>>(), [("x-amz-checksum-crc32", "DUoRhQ==")]);
        assert_eq!(Chunked::parse(b"0\r\n\r\n").unwrap().bytes(), b"");
    }

    #[test]
    fn a_body_cut_at_any_byte_is_refused_or_lacks_its_trailer() {
        let body = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
        for end in 0..body.len() - 2 {
            if let Ok(decoded) = Chunked::parse(&body[..end]) {
                assert_eq!(decoded.trailer().count(), 0, "cut at {end}");
            }
        }
        assert!(matches!(Chunked::parse(b"ffffffffffffffff\r\nx"), Err(NotChunked::Incomplete(_))));
        assert_eq!(Chunked::parse(b"0\r\nno field\r\n\r\n"), Err(NotChunked::Trailer));
    }

    fn key() -> Vec<u8> {
        signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524", "us-east-1", "s3")
    }

    fn check(word: &str, seed: &str, body: &[u8]) -> Result<(), Wrong> {
        let chain = Chain { key: &key(), stamp: "20130524T000000Z", scope: "20130524/us-east-1/s3/aws4_request", seed };
        chain.check(word, body)
    }

    fn chunks(signatures: [&str; 3], trailer: &str) -> Vec<u8> {
        let [first, second, last] = signatures;
        let (first, second) = (
            format!("10000;chunk-signature={first}\r\n{}\r\n", "a".repeat(65_536)),
            format!("400;chunk-signature={second}\r\n{}\r\n", "a".repeat(1024)),
        );
        format!("{first}{second}0;chunk-signature={last}\r\n{trailer}\r\n").into_bytes()
    }

    /// The example of AWS's documents, "Signature Calculations for the Authorization Header: Transferring Payload in
    /// Multiple Chunks".
    #[test]
    fn the_documented_example_is_good_and_changed_in_any_place_it_is_not() {
        let seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
        let documented = chunks(
            [
                "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
                "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
                "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
            ],
            "",
        );
        assert_eq!(documented.len(), 66_824, "as its Content-Length says");
        assert_eq!(check(SIGNED, seed, &documented), Ok(()));
        for at in [100, documented.len() - 500, documented.len() - 20] {
            let mut changed = documented.clone();
            changed[at] = if changed[at] == b'b' { b'c' } else { b'b' };
            assert!(matches!(check(SIGNED, seed, &changed), Err(Wrong::Signature(_))), "{at}");
        }
        assert!(matches!(check(SIGNED, &seed.replace('4', "5"), &documented), Err(Wrong::Signature(_))));
        assert!(matches!(check(SIGNED, seed, b"0\r\n\r\n"), Err(Wrong::Signature(_))), "unsigned");
        assert!(matches!(check(SIGNED_WITH_TRAILER, seed, &documented), Err(Wrong::Signature(_))), "no trailer");
        let more = [&documented[..documented.len() - 2], b"x-amz-checksum-crc32:NhCmhg==\r\n\r\n"].concat();
        assert!(matches!(check(SIGNED, seed, &more), Err(Wrong::Form(_))), "nobody signed what follows");
        // Without the empty chunk somebody could cut the body.
        let end = documented.len() - 2 - "0;chunk-signature=".len() - 64 - 2;
        assert!(matches!(check(SIGNED, seed, &documented[..end]), Err(Wrong::Form(_))));
        assert_eq!(check(UNSIGNED_WITH_TRAILER, seed, b"5\r\nhello\r\n0\r\n\r\n"), Ok(()));
    }

    /// The same document's example with a trailer.
    #[test]
    fn the_documented_trailer_is_good_and_another_is_not() {
        let seed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
        let with = |trailer: &str| {
            let signatures = [
                "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
                "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
                "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
            ];
            check(SIGNED_WITH_TRAILER, seed, &chunks(signatures, trailer))
        };
        let signature = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435";
        let field = "x-amz-checksum-crc32c:sOO8/Q==\r\n";
        assert_eq!(with(&format!("{field}x-amz-trailer-signature:{signature}\r\n")), Ok(()));
        let other = field.replace("sOO8", "sOO9");
        assert!(matches!(with(&format!("{other}x-amz-trailer-signature:{signature}\r\n")), Err(Wrong::Signature(_))));
        assert!(matches!(with(field), Err(Wrong::Signature(_))));
    }
}
